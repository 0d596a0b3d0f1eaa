//! The messages of the protocol, as they are written. The nouns of the model are
//! mirrored here, so that they can change without changing the protocol.

use std::net::SocketAddr;
use std::path::Path;
use std::time::Duration;

use autotune_model::{Bytes, Peer, ProcessRole, ProcessSample, ServerSample};
use serde::{Deserialize, Serialize};

use crate::error::ProcessError;
use crate::launch::{Ipc, IsolationRequest, Launch};
use crate::marker::MARKER_VARIABLE;
use crate::signal::ExitStatus;
use crate::wire::confinement::WireConfinement;

/// The version that this program speaks. A side that hears of a higher one
/// refuses. `Hello` and `Refused` keep their form in all versions.
pub(crate) const VERSION: u32 = 2;

/// From the program to the supervisor.
#[derive(Debug, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub(crate) enum Request {
    /// First of all.
    Hello { version: u32 },
    /// Second, and once.
    Launch(Box<WireLaunch>),
    /// Sample the tree now; answered by `Sampled` with this id.
    Sample { id: u64 },
    /// Ask the main process to end, then end all; answered by `Stopped`.
    Stop { signal: String, grace_us: u64 },
}

/// From the supervisor to the program.
#[derive(Debug, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub(crate) enum Reply {
    /// First of all.
    Hello { version: u32 },
    /// The version of the other side is not known; nothing follows.
    Refused { version: u32 },
    /// The program runs.
    Started { pid: u32, isolation: String },
    /// It does not; nothing follows.
    LaunchFailed {
        step: WireStep,
        path: String,
        errno: i32,
    },
    /// The tree at one moment; with an id where it was asked for.
    Sampled { id: Option<u64>, sample: WireSample },
    /// The main process ended.
    Exited(WireExit),
    /// All is ended; nothing follows.
    Stopped(WireReport),
    /// Processes resist; nothing follows.
    NotEnded { pids: Vec<u32> },
    /// A fault of the supervisor's own; nothing follows.
    Fault { what: String },
}

impl Reply {
    pub(crate) fn name(&self) -> &'static str {
        match self {
            Self::Hello { .. } => "hello",
            Self::Refused { .. } => "refused",
            Self::Started { .. } => "started",
            Self::LaunchFailed { .. } => "launch-failed",
            Self::Sampled { .. } => "sampled",
            Self::Exited(_) => "exited",
            Self::Stopped(_) => "stopped",
            Self::NotEnded { .. } => "not-ended",
            Self::Fault { .. } => "fault",
        }
    }
}

/// Mirrors `LaunchStep`.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub(crate) enum WireStep {
    Log,
    Fork,
    Dir,
    Cpus,
    Group,
    Limits,
    User,
    Exec,
}

/// Mirrors `ExitStatus`.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub(crate) enum WireExit {
    Code(i32),
    Signal(i32),
}

/// Mirrors `StopReport`.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct WireReport {
    pub(crate) exit: Option<WireExit>,
    pub(crate) took_us: u64,
    pub(crate) killed: u32,
    pub(crate) log_bytes: u64,
    pub(crate) log_truncations: u32,
    /// `None` without a group that limits memory.
    pub(crate) oom_kills: Option<u64>,
    /// Folders of the group that could not be removed.
    pub(crate) groups_left: Vec<String>,
}

/// Mirrors `Launch`. The values of the environment may be secret: there is no
/// `Debug` that shows them.
#[derive(Serialize, Deserialize)]
pub(crate) struct WireLaunch {
    pub(crate) argv: Vec<String>,
    pub(crate) env: Vec<(String, String)>,
    pub(crate) dir: String,
    pub(crate) log: String,
    pub(crate) log_limit_bytes: u64,
    pub(crate) cpus: Option<Vec<usize>>,
    pub(crate) confinement: WireConfinement,
    pub(crate) user: Option<WireUser>,
    pub(crate) own_ipc: bool,
    pub(crate) sample_every_us: Option<u64>,
    pub(crate) origin_monotonic_ns: u64,
    pub(crate) isolate: bool,
}

/// Mirrors `RunAs`.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct WireUser {
    pub(crate) uid: u32,
    pub(crate) gid: u32,
    pub(crate) groups: Vec<u32>,
}

impl std::fmt::Debug for WireLaunch {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("WireLaunch")
            .field("argv", &self.argv)
            .finish_non_exhaustive()
    }
}

impl WireLaunch {
    pub(crate) fn of(launch: &Launch, isolation: IsolationRequest) -> Result<Self, ProcessError> {
        if launch.argv.is_empty() {
            return Err(ProcessError::EmptyCommand);
        }
        let mut env: Vec<_> = launch
            .env
            .iter()
            .map(|(name, value)| (name.clone(), value.expose().clone()))
            .filter(|(name, _)| name != MARKER_VARIABLE)
            .collect();
        env.push((
            MARKER_VARIABLE.to_owned(),
            launch.marker.as_str().to_owned(),
        ));
        Ok(Self {
            argv: launch.argv.clone(),
            env,
            dir: absolute(&launch.dir)?,
            log: absolute(&launch.log)?,
            log_limit_bytes: launch.log_limit.get(),
            cpus: launch.cpus.as_ref().map(|cpus| cpus.as_slice().to_vec()),
            confinement: WireConfinement::of(&launch.confinement),
            user: launch.user.as_ref().map(|user| WireUser {
                uid: user.uid,
                gid: user.gid,
                groups: user.groups.clone(),
            }),
            own_ipc: launch.ipc == Ipc::Own,
            sample_every_us: launch.sample_every.map(microseconds),
            origin_monotonic_ns: launch.origin_monotonic_ns,
            isolate: isolation == IsolationRequest::Auto,
        })
    }
}

/// The supervisor works elsewhere, so paths are made absolute on this side.
fn absolute(path: &Path) -> Result<String, ProcessError> {
    let absolute = std::path::absolute(path).map_err(|source| ProcessError::Read {
        path: path.to_owned(),
        source,
    })?;
    let text = absolute.to_str().map(str::to_owned);
    text.ok_or_else(|| ProcessError::NotUtf8 {
        path: path.to_owned(),
    })
}

pub(crate) fn microseconds(duration: Duration) -> u64 {
    u64::try_from(duration.as_micros()).unwrap_or(u64::MAX)
}

/// Mirrors `ServerSample` and the peers that were seen with it.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct WireSample {
    at_ns: u64,
    processes: Vec<WireProcess>,
    peers: Vec<WirePeer>,
    reaped_us: u64,
}

#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
struct WireProcess {
    pid: u32,
    start_time: u64,
    role: WireRole,
    pss_bytes: Option<u64>,
    uss_bytes: Option<u64>,
    rss_bytes: u64,
    swap_pss_bytes: Option<u64>,
    cpu_us: u64,
    threads: u32,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
enum WireRole {
    Main,
    Child,
    Descendant,
}

#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
struct WirePeer {
    address: SocketAddr,
    protocol: String,
    pid: u32,
}

impl WireSample {
    pub(crate) fn of(sample: ServerSample, peers: Vec<Peer>, reaped: Duration) -> Self {
        Self {
            at_ns: sample.at_ns,
            reaped_us: microseconds(reaped),
            processes: sample
                .processes
                .into_iter()
                .map(WireProcess::from)
                .collect(),
            peers: peers
                .into_iter()
                .map(
                    |Peer {
                         address,
                         protocol,
                         pid,
                     }| WirePeer {
                        address,
                        protocol,
                        pid,
                    },
                )
                .collect(),
        }
    }

    /// CPU time of processes that ended.
    pub(crate) fn reaped(&self) -> Duration {
        Duration::from_micros(self.reaped_us)
    }

    pub(crate) fn into_parts(self) -> (ServerSample, Vec<Peer>) {
        let processes = self
            .processes
            .into_iter()
            .map(ProcessSample::from)
            .collect();
        let peers = self
            .peers
            .into_iter()
            .map(
                |WirePeer {
                     address,
                     protocol,
                     pid,
                 }| Peer {
                    address,
                    protocol,
                    pid,
                },
            )
            .collect();
        (
            ServerSample {
                at_ns: self.at_ns,
                processes,
            },
            peers,
        )
    }
}

impl From<ProcessSample> for WireProcess {
    fn from(sample: ProcessSample) -> Self {
        Self {
            pid: sample.pid,
            start_time: sample.start_time,
            role: match sample.role {
                ProcessRole::Main => WireRole::Main,
                ProcessRole::Child => WireRole::Child,
                ProcessRole::Descendant => WireRole::Descendant,
            },
            pss_bytes: sample.pss.map(Bytes::get),
            uss_bytes: sample.uss.map(Bytes::get),
            rss_bytes: sample.rss.get(),
            swap_pss_bytes: sample.swap_pss.map(Bytes::get),
            cpu_us: microseconds(sample.cpu),
            threads: sample.threads,
        }
    }
}

impl From<WireProcess> for ProcessSample {
    fn from(wire: WireProcess) -> Self {
        Self {
            pid: wire.pid,
            start_time: wire.start_time,
            role: match wire.role {
                WireRole::Main => ProcessRole::Main,
                WireRole::Child => ProcessRole::Child,
                WireRole::Descendant => ProcessRole::Descendant,
            },
            pss: wire.pss_bytes.map(Bytes::new),
            uss: wire.uss_bytes.map(Bytes::new),
            rss: Bytes::new(wire.rss_bytes),
            swap_pss: wire.swap_pss_bytes.map(Bytes::new),
            cpu: Duration::from_micros(wire.cpu_us),
            threads: wire.threads,
        }
    }
}

impl From<ExitStatus> for WireExit {
    fn from(status: ExitStatus) -> Self {
        match status {
            ExitStatus::Code(code) => Self::Code(code),
            ExitStatus::Signal(signal) => Self::Signal(signal),
        }
    }
}

impl From<WireExit> for ExitStatus {
    fn from(wire: WireExit) -> Self {
        match wire {
            WireExit::Code(code) => Self::Code(code),
            WireExit::Signal(signal) => Self::Signal(signal),
        }
    }
}

impl From<crate::error::LaunchStep> for WireStep {
    fn from(step: crate::error::LaunchStep) -> Self {
        use crate::error::LaunchStep;
        match step {
            LaunchStep::Log => Self::Log,
            LaunchStep::Fork => Self::Fork,
            LaunchStep::Dir => Self::Dir,
            LaunchStep::Cpus => Self::Cpus,
            LaunchStep::Group => Self::Group,
            LaunchStep::Limits => Self::Limits,
            LaunchStep::User => Self::User,
            LaunchStep::Exec => Self::Exec,
        }
    }
}

impl From<WireStep> for crate::error::LaunchStep {
    fn from(wire: WireStep) -> Self {
        match wire {
            WireStep::Log => Self::Log,
            WireStep::Fork => Self::Fork,
            WireStep::Dir => Self::Dir,
            WireStep::Cpus => Self::Cpus,
            WireStep::Group => Self::Group,
            WireStep::Limits => Self::Limits,
            WireStep::User => Self::User,
            WireStep::Exec => Self::Exec,
        }
    }
}

#[cfg(test)]
mod tests {
    use autotune_model::Secret;

    use super::*;
    use crate::marker::{Marker, Owner};
    use crate::wire::{Decoder, encode};

    fn marker() -> Marker {
        Marker::for_owner(Owner {
            pid: 1,
            start_time: 2,
            namespace: 3,
        })
        .expect("urandom")
    }

    #[test]
    fn a_sample_comes_back_as_it_was() {
        let sample = ServerSample {
            at_ns: u64::MAX,
            processes: vec![ProcessSample {
                pid: 7,
                start_time: 99,
                role: ProcessRole::Child,
                pss: Some(Bytes::new(3)),
                uss: None,
                rss: Bytes::new(u64::MAX - 1),
                swap_pss: Some(Bytes::new(0)),
                cpu: Duration::from_micros(1_500_000),
                threads: 4,
            }],
        };
        let peers = vec![Peer {
            address: "[2001:db8::1]:5432".parse().expect("an address"),
            protocol: "tcp".to_owned(),
            pid: 7,
        }];
        let reaped = Duration::from_micros(77);
        let wire = WireSample::of(sample.clone(), peers.clone(), reaped);
        let mut decoder = Decoder::default();
        let reply = Reply::Sampled {
            id: Some(1),
            sample: wire,
        };
        decoder.buffer().extend(encode(&reply).expect("short"));
        let Some(Reply::Sampled {
            id: Some(1),
            sample: back,
        }) = decoder.next().expect("whole")
        else {
            panic!("not a sample");
        };
        assert_eq!(back.reaped(), reaped);
        assert_eq!(back.into_parts(), (sample, peers));
    }

    #[test]
    fn a_hello_of_a_later_version_can_still_be_read() {
        let hello = r#"{"hello":{"version":9,"features":["more"]}}"#;
        let request: Request = serde_json::from_str(hello).expect("readable");
        assert!(matches!(request, Request::Hello { version: 9 }));
    }

    #[test]
    fn the_marker_joins_the_environment_and_no_value_is_shown() {
        let launch = Launch {
            argv: vec!["true".to_owned()],
            env: vec![
                (MARKER_VARIABLE.to_owned(), Secret::new("other".to_owned())),
                ("KEY".to_owned(), Secret::new("hunter2".to_owned())),
            ],
            dir: "/".into(),
            log: "/dev/null".into(),
            log_limit: Bytes::MIB,
            cpus: None,
            confinement: autotune_model::Confinement::default(),
            user: None,
            ipc: Ipc::Shared,
            marker: marker(),
            sample_every: None,
            origin_monotonic_ns: 0,
        };
        let wire = WireLaunch::of(&launch, IsolationRequest::Auto).expect("valid");
        let names: Vec<_> = wire.env.iter().map(|(name, _)| name.as_str()).collect();
        assert_eq!(names, ["KEY", MARKER_VARIABLE]);
        assert_eq!(wire.env[1].1, launch.marker.as_str());
        assert!(!format!("{wire:?} {launch:?}").contains("hunter2"));
        let empty = Launch {
            argv: Vec::new(),
            ..launch
        };
        let refused = WireLaunch::of(&empty, IsolationRequest::Auto);
        assert!(matches!(refused, Err(ProcessError::EmptyCommand)));
    }
}
