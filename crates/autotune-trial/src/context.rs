//! What trials are run with, what they tell meanwhile, and what a check of a
//! configuration finds.

use std::collections::BTreeMap;
use std::net::SocketAddr;
use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use autotune_model::{
    Bytes, Confinement, ConnectionPolicy, CpuPlacement, CpuSet, DataTable, Endpoint, EndpointName,
    Label, Login, ParamName, Profile, ServerVariant, Service, ServiceName,
};

use crate::error::Part;

/// What all trials of a study have in common.
#[derive(Clone, Debug)]
pub struct TrialContext {
    /// The servers, each with its profile.
    pub variants: Vec<(ServerVariant, Profile)>,
    /// What runs beside the servers, in the order in which it is started.
    pub services: Vec<Service>,
    /// The CPUs of a service that names none.
    pub service_cpus: ServiceCpus,
    /// Parameters that the grid file names. They are always given to the server
    /// and checked: left out where they have the server's default, they would be
    /// the app's own to set.
    pub named: Vec<ParamName>,
    /// What is asked; at least one.
    pub endpoints: Vec<Endpoint>,
    /// How somebody logs in before each load, where that is needed.
    pub login: Option<Login>,
    /// What fills requests.
    pub data: Arc<[DataTable]>,
    /// How connections are used.
    pub connections: ConnectionPolicy,
    /// Who runs on which CPUs.
    pub placement: CpuPlacement,
    /// What servers may have, and by what they are kept to it. Setup steps, hooks
    /// and questions to a server's program are not.
    pub confinement: Confinement,
    /// Where the results of setup steps are kept: `$XDG_CACHE_HOME/autotune`.
    pub cache_root: PathBuf,
    /// Where the trials' fresh folders are made: `results/NAME/run`. Logs of
    /// failed trials go to `logs` beside it.
    pub run_root: PathBuf,
    /// The environment that this program was started with.
    pub environment: BTreeMap<String, String>,
    /// For each request, from its due time.
    pub timeout: Duration,
    /// From the beginning of the check before all trials, how long it may take
    /// until a server is ready, whichever configuration is tried.
    pub check_limit: Duration,
}

impl TrialContext {
    /// What must reach neither store, log nor report, as far as the grid file
    /// gives it; the values of a server's environment are beside it.
    pub(crate) fn secrets(&self) -> impl Iterator<Item = &str> {
        let of_endpoints = self.endpoints.iter().flat_map(Endpoint::secrets);
        of_endpoints.chain(self.login.iter().flat_map(Login::secrets))
    }

    /// The secrets in the environments of all servers and services. What one of
    /// them is given may be asked of another one, which prints it.
    pub(crate) fn secrets_of_env(&self) -> impl Iterator<Item = &str> {
        let of_servers = self.variants.iter().flat_map(|(variant, _)| &variant.env);
        let of_services = self.services.iter().flat_map(|service| &service.env);
        let all = of_servers.chain(of_services);
        let variable = |name: &str| self.environment.get(name).map(String::as_str);
        all.filter_map(move |(_, value)| value.secret(variable))
    }
}

/// The CPUs of services that name none.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ServiceCpus {
    /// Which; `None` where nothing is pinned.
    pub set: Option<CpuSet>,
    /// The most that any service gets, whatever it names: the quota of this
    /// program, or all that it may use.
    pub most: usize,
}

/// What happens while trials are prepared and checked.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum TrialEvent {
    /// A setup step begins.
    SetupStep {
        /// For what.
        part: Part,
        /// The command, for people.
        step: String,
    },
    /// All setup steps are done.
    SetupDone {
        /// For what.
        part: Part,
        /// How long they took.
        took: Duration,
    },
    /// What the setup steps build is there from an earlier time.
    SetupReused {
        /// For what.
        part: Part,
        /// Where.
        cache: PathBuf,
    },
    /// Another program runs the same setup steps; it is waited for.
    SetupAwaited {
        /// For what.
        part: Part,
    },
    /// A service is started.
    ServiceStarting {
        /// Which.
        service: ServiceName,
    },
    /// A service can be used.
    ServiceReady {
        /// Which.
        service: ServiceName,
        /// From launch to that.
        took: Duration,
    },
    /// A server is started to be checked.
    Starting {
        /// Which configuration.
        configuration: Label,
    },
    /// Every endpoint answered as it should.
    Checked {
        /// Which configuration.
        configuration: Label,
        /// From launch to the first answer.
        boot: Duration,
    },
    /// Something that the user should know, and that stops nothing.
    Note {
        /// For people.
        text: String,
    },
}

/// What a check of a configuration found.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Verified {
    /// Versions, by name.
    pub versions: BTreeMap<String, String>,
    /// Settings in effect, by name.
    pub settings: BTreeMap<String, String>,
    /// From launch to the first answer.
    pub boot: Duration,
    /// A setting that the app overrides: setting, asked, effective and source.
    /// Every trial of this configuration will be invalid.
    pub overridden: Option<String>,
    /// What the user should know, for people.
    pub notes: Vec<String>,
    /// The last of the good answers of each endpoint, in the order of the grid file.
    pub answers: Vec<Answered>,
    /// Connections beyond this machine that were seen.
    pub outside: Vec<Outside>,
    /// What a trial takes besides its load: launch, questions, rest, stop.
    pub overhead: Duration,
    /// The services, in the order of the grid file.
    pub services: Vec<ServiceUp>,
}

/// A service that runs.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ServiceUp {
    /// Which.
    pub name: ServiceName,
    /// Where it is to listen.
    pub address: SocketAddr,
    /// Whom it runs as, where that is another user.
    pub user: Option<String>,
    /// How many CPUs it may use.
    pub cpus: u32,
    /// Whether the server may run on one of them: then it is not seen for certain
    /// whether the server waits for it.
    pub shares_server: bool,
    /// From launch to the moment when it could be used.
    pub ready: Duration,
}

/// A good answer.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Answered {
    /// Whose.
    pub endpoint: EndpointName,
    /// The HTTP status.
    pub status: u16,
    /// How long its body is.
    pub size: Bytes,
    /// From the question to its last byte.
    pub took: Duration,
    /// The type of its body, as the server says it.
    pub content_type: Option<String>,
}

/// A connection beyond this machine that stopped nothing.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Outside {
    /// The other side.
    pub address: SocketAddr,
    /// `tcp` or `udp`.
    pub protocol: String,
    /// The entry of `may_reach` that names it; `None` where a host that is named
    /// there could not be looked up, so that nobody knows.
    pub allowed_by: Option<String>,
}
