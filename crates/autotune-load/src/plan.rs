//! What to send, where, how and for how long; and the check that it can be
//! sent. Leaves the sending to `run`.

use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use autotune_model::{
    ConnectionPolicy, CpuSet, DataTable, Endpoint, EndpointName, LoadShape, LoginSession,
    MAX_VARIANTS, Seed, Unfilled,
};

use crate::spread::Spread;

/// One load, ready to be sent.
#[derive(Clone, Debug)]
pub struct LoadPlan {
    /// Where to; anything but loopback is refused.
    pub target: SocketAddr,
    /// The value of the `Host` header.
    pub host_header: String,
    /// What is asked, at least one.
    pub endpoints: Vec<Endpoint>,
    /// Who is logged in; nobody where it is empty. In open load each request is
    /// of one of them, in closed load each user is.
    pub sessions: Vec<LoginSession>,
    /// The data files. Requests take one row after the other, in an order that
    /// the seed decides; rows that belong to sessions stay with them.
    pub data: Arc<[DataTable]>,
    /// How requests arrive.
    pub shape: LoadShape,
    /// How connections are used.
    pub connections: ConnectionPolicy,
    /// How long requests are due.
    pub length: Duration,
    /// The part at the beginning that does not count.
    pub warm_up: Duration,
    /// For each request, from its due time. No answer within it, or no
    /// connection, ends the request; so the drain lasts no longer either.
    pub timeout: Duration,
    /// The most connections at one time in open load. In closed load each user
    /// has one connection and this number has no say.
    pub pool_limit: u32,
    /// The same seed gives the same due times and the same order of endpoints.
    pub seed: Seed,
    /// Where the generator thread runs; `None` leaves that to the kernel.
    pub cpus: Option<CpuSet>,
    /// Zero of the trial's time axis: nanoseconds of `CLOCK_MONOTONIC`.
    pub origin_monotonic_ns: u64,
}

/// Why no load was sent.
#[derive(Debug, thiserror::Error)]
pub enum LoadError {
    /// Load goes to this machine only.
    #[error("{target} is not a loopback address; load is sent to loopback only")]
    NotLoopback {
        /// The address that was asked for.
        target: SocketAddr,
    },
    /// A number in the plan that nothing can be done with.
    #[error("the plan has no {what}")]
    Missing {
        /// What is missing, for example `endpoint`.
        what: &'static str,
    },
    /// The plan holds more endpoints than can be numbered.
    #[error("{count} endpoints are more than the engine can tell apart")]
    TooManyEndpoints {
        /// How many there are.
        count: usize,
    },
    /// A weight that is not a share of the traffic.
    #[error("endpoint {endpoint}: weight {weight} is not a number above zero")]
    Weight {
        /// Which endpoint.
        endpoint: EndpointName,
        /// Its weight.
        weight: f64,
    },
    /// Groups that do not share the endpoints among them.
    #[error("endpoint {endpoint} is not in exactly one group")]
    Groups {
        /// Which endpoint.
        endpoint: EndpointName,
    },
    /// A path that cannot stand in a request line.
    #[error("endpoint {endpoint}: path {path:?} cannot be sent in a request line")]
    Path {
        /// Which endpoint.
        endpoint: EndpointName,
        /// Its path.
        path: String,
    },
    /// A header that cannot be sent.
    #[error("endpoint {endpoint}: header {header} cannot be sent as it is")]
    Header {
        /// Which endpoint.
        endpoint: EndpointName,
        /// Its name.
        header: String,
    },
    /// A request that cannot be made of what there is.
    #[error("endpoint {endpoint}: the request cannot be written")]
    Unfilled {
        /// Which endpoint.
        endpoint: EndpointName,
        /// Why.
        #[source]
        source: Unfilled,
    },
    /// Sessions and rows give more requests than can be written before the load.
    #[error("{count} requests would have to be written before the load, more than {MAX_VARIANTS}")]
    TooManyVariants {
        /// Over all endpoints.
        count: usize,
    },
    /// The requests take more memory than they may.
    #[error("the requests of all sessions and rows take more than {limit} bytes")]
    TooLarge {
        /// The limit.
        limit: usize,
    },
    /// A host that cannot stand in a header.
    #[error("host {host:?} cannot be sent in a header")]
    Host {
        /// The host.
        host: String,
    },
    /// The generator thread could not be pinned.
    #[error("the generator cannot be pinned to CPU {cpus}")]
    Pin {
        /// The wanted CPUs.
        cpus: CpuSet,
        /// The cause.
        #[source]
        source: nix::Error,
    },
    /// The generator thread, its runtime or its timer could not be made.
    #[error("the generator cannot make its {what}")]
    Setup {
        /// `thread`, `runtime` or `timer`.
        what: &'static str,
        /// The cause.
        #[source]
        source: std::io::Error,
    },
}

impl LoadPlan {
    /// Whether this can be sent at all.
    pub(crate) fn check(&self) -> Result<(), LoadError> {
        if !self.target.ip().is_loopback() {
            let target = self.target;
            return Err(LoadError::NotLoopback { target });
        }
        self.check_amounts()?;
        let printable = |text: &str| text.bytes().all(|byte| byte.is_ascii_graphic());
        if self.host_header.is_empty() || !printable(&self.host_header) {
            let host = self.host_header.clone();
            return Err(LoadError::Host { host });
        }
        for endpoint in &self.endpoints {
            if !(endpoint.weight.is_finite() && endpoint.weight > 0.0) {
                return Err(LoadError::Weight {
                    endpoint: endpoint.name.clone(),
                    weight: endpoint.weight,
                });
            }
        }
        Ok(())
    }

    /// How the requests of each endpoint differ.
    pub(crate) fn spreads(&self) -> impl Iterator<Item = Spread> {
        let endpoints = self.endpoints.iter();
        endpoints.map(|endpoint| Spread::of(endpoint, self))
    }

    fn check_amounts(&self) -> Result<(), LoadError> {
        let users = self.shape.most_users().unwrap_or(1);
        let missing = [
            (self.endpoints.is_empty(), "endpoint"),
            (self.length.is_zero(), "length"),
            (self.timeout.is_zero(), "timeout"),
            (self.pool_limit == 0, "connection"),
            (users == 0, "user"),
        ];
        if let Some((_, what)) = missing.into_iter().find(|(missing, _)| *missing) {
            return Err(LoadError::Missing { what });
        }
        self.check_groups()?;
        let count = self.endpoints.len();
        if count > usize::from(u16::MAX) {
            return Err(LoadError::TooManyEndpoints { count });
        }
        let spreads = self.spreads();
        let count = spreads.fold(0, |sum, spread| spread.count().saturating_add(sum));
        if count > MAX_VARIANTS {
            return Err(LoadError::TooManyVariants { count });
        }
        Ok(())
    }

    /// Whether every endpoint is in exactly one group, and no group is empty.
    fn check_groups(&self) -> Result<(), LoadError> {
        let groups: Vec<Option<&[EndpointName]>> = match &self.shape {
            LoadShape::Open(open) => {
                let groups = open.groups.iter();
                groups.map(|group| group.endpoints.as_deref()).collect()
            }
            LoadShape::Closed(closed) => {
                let groups = closed.groups.iter();
                groups.map(|group| group.endpoints.as_deref()).collect()
            }
        };
        let is_in = |names: &Option<&[EndpointName]>, name: &EndpointName| {
            names.is_none_or(|names| names.contains(name))
        };
        let all = || self.endpoints.iter().map(|endpoint| &endpoint.name);
        if groups
            .iter()
            .any(|names| !all().any(|name| is_in(names, name)))
        {
            return Err(LoadError::Missing {
                what: "endpoint in a group",
            });
        }
        let mut lost = all().filter(|name| {
            let its = groups.iter().filter(|names| is_in(names, name));
            its.count() != 1
        });
        lost.next().map_or(Ok(()), |endpoint| {
            Err(LoadError::Groups {
                endpoint: endpoint.clone(),
            })
        })
    }
}

/// In nanoseconds; 584 years at most.
pub(crate) fn nanos(duration: Duration) -> u64 {
    u64::try_from(duration.as_nanos()).unwrap_or(u64::MAX)
}

#[cfg(test)]
pub(crate) mod tests {
    use autotune_model::{Arrivals, Arriving, EnvValue, Group, Groups, Levels, Rate, Text};

    use super::*;
    use crate::request::write_all;

    pub(crate) fn endpoint(name: &str) -> Endpoint {
        Endpoint::get(name, &format!("/{name}"))
    }

    pub(crate) fn plan() -> LoadPlan {
        LoadPlan {
            target: SocketAddr::from(([127, 0, 0, 1], 9)),
            host_header: "localhost".to_owned(),
            endpoints: vec![endpoint("a")],
            sessions: Vec::new(),
            data: [].into(),
            shape: LoadShape::open(Rate::per_second(10.0).unwrap(), Arrivals::Constant),
            connections: ConnectionPolicy::KeepAlive,
            length: Duration::from_secs(1),
            warm_up: Duration::ZERO,
            timeout: Duration::from_secs(1),
            pool_limit: 10,
            seed: Seed::new(1),
            cpus: None,
            origin_monotonic_ns: 0,
        }
    }

    fn check(change: impl FnOnce(&mut LoadPlan), expected: &str) {
        let mut plan = plan();
        change(&mut plan);
        let text = match plan.check() {
            Ok(()) => write_all(&plan).unwrap_err().to_string(),
            Err(error) => error.to_string(),
        };
        assert!(text.contains(expected), "{text:?} lacks {expected:?}");
    }

    #[test]
    fn what_cannot_be_sent_is_refused() {
        assert!(plan().check().is_ok());
        check(
            |plan| plan.target = ([192, 0, 2, 1], 80).into(),
            "192.0.2.1:80 is not a loopback",
        );
        check(
            |plan| plan.target = ([0, 0, 0, 0], 80).into(),
            "not a loopback",
        );
        check(|plan| plan.endpoints.clear(), "no endpoint");
        check(|plan| plan.endpoints[0].weight = 0.0, "weight 0");
        check(|plan| plan.endpoints[0].weight = f64::NAN, "weight NaN");
        check(|plan| plan.endpoints[0].path = "a".into(), "path");
        check(|plan| plan.endpoints[0].path = "/a b".into(), "path");
        check(|plan| plan.endpoints[0].path = "/a\r\nX: y".into(), "path");
        let header = |name: &str, value: &str| {
            let header = (name.to_owned(), Text::from(value));
            move |plan: &mut LoadPlan| plan.endpoints[0].headers.push(header)
        };
        check(header("X-A", "1\r\nX-B: 2"), "header X-A cannot");
        check(header("X-A\r\n", "1"), "header X-A\\r\\n cannot");
        let from_env = EnvValue::FromEnv {
            name: "BODY".to_owned(),
            secret: false,
        };
        let body = Some(Text::from(from_env));
        check(|plan| plan.endpoints[0].body = body, "cannot be written");
        let session = || vec![LoginSession::default(); 100_001];
        check(|plan| plan.sessions = session(), "100001 requests");
        check(|plan| plan.host_header = "a\r\nX: y".to_owned(), "host");
        check(|plan| plan.length = Duration::ZERO, "no length");
        check(|plan| plan.timeout = Duration::ZERO, "no timeout");
        check(|plan| plan.pool_limit = 0, "no connection");
        let nobody = || LoadShape::closed(0, Duration::ZERO);
        check(|plan| plan.shape = nobody(), "no user");
        let grouped = |groups: &[&[&str]]| {
            let of = |names: &&[&str]| Group {
                endpoints: Some(names.iter().map(|name| EndpointName::new(*name)).collect()),
                who: Arriving {
                    rate: Levels::Constant(Rate::per_second(1.0).unwrap()),
                    arrivals: Arrivals::Constant,
                },
            };
            let shape = LoadShape::Open(Groups {
                groups: groups.iter().map(of).collect(),
                ramp: Duration::ZERO,
            });
            move |plan: &mut LoadPlan| plan.shape = shape
        };
        check(grouped(&[&["a"], &["b"]]), "no endpoint in a group");
        check(grouped(&[&["a"], &["a"]]), "endpoint a is not in exactly");
        let mut plan = plan();
        plan.endpoints.push(endpoint("b"));
        grouped(&[&["a"]])(&mut plan);
        let text = plan.check().unwrap_err().to_string();
        assert!(text.contains("endpoint b is not in exactly"), "{text}");
    }
}
