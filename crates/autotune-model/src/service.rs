//! A service: `[service.X]` of the grid file, checked. It is what the app needs
//! beside it, such as a database; it runs for as long as trials do.

use std::path::PathBuf;

use crate::host::CpuSet;
use crate::id::ServiceName;
use crate::server::EnvValue;

/// Something that runs beside the server and is the same for all trials.
///
/// Texts may hold holes: `{{ cache }}`, `{{ run }}`, `{{ port }}`, `{{ host }}`
/// and those of the services before it, `{{ service.db.port }}`.
#[derive(Clone, Debug, PartialEq)]
pub struct Service {
    /// As in `[service.X]`.
    pub name: ServiceName,
    /// The whole command, split into words.
    pub start: Vec<String>,
    /// What tells that it can be used.
    pub ready: ServiceReady,
    /// The signal that ends it gracefully: `TERM`.
    pub stop: String,
    /// Whom it runs as.
    pub user: ServiceUser,
    /// The CPUs that it may use; `None` where the grid file does not say.
    pub cpus: Option<CpuSet>,
    /// Environment variables to set, in the order of the grid file.
    pub env: Vec<(String, EnvValue)>,
    /// Absolute: its working directory.
    pub dir: PathBuf,
    /// Steps that build what it needs, once by content; each already split into
    /// words.
    pub setup: Vec<Vec<String>>,
    /// Addresses beyond loopback that it may connect to.
    pub may_reach: Vec<String>,
}

/// What tells that a service can be used.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum ServiceReady {
    /// Its port takes a TCP connection.
    Port,
    /// This path is answered with success.
    Path(String),
    /// This command succeeds.
    Command(Vec<String>),
}

/// Whom a service runs as.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum ServiceUser {
    /// Whoever runs `autotune`.
    Own,
    /// This user, whoever runs `autotune`: only root can do that.
    Always(String),
    /// This user where root runs `autotune`, and otherwise whoever does: for
    /// programs that refuse root, such as PostgreSQL.
    WhenRoot(String),
}
