//! Why trials cannot go on. How a trial ended is data, not an error.

use std::fmt::{self, Write as _};
use std::path::PathBuf;

use autotune_load::LoadError;
use autotune_model::{ErrorCode, ServiceName, VariantName};
use autotune_process::{ProcessError, UnknownSignal, UnknownUser};
use autotune_server::{CheckFailure, HttpError, RenderError};

/// A part of what is described in the grid file.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Part {
    /// `[server.X]`.
    Server(VariantName),
    /// `[service.X]`.
    Service(ServiceName),
}

impl Part {
    /// What it is, with its name.
    pub(crate) fn noun(&self) -> String {
        match self {
            Self::Server(name) => format!("server `{name}`"),
            Self::Service(name) => format!("service `{name}`"),
        }
    }
}

impl fmt::Display for Part {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Server(name) => name.fmt(f),
            Self::Service(name) => write!(f, "service.{name}"),
        }
    }
}

/// The trials cannot go on.
#[derive(Debug, thiserror::Error)]
pub enum TrialError {
    /// A setup step failed.
    #[error("setup step `{step}` of `{part}` ended with {end}{}", tail(log))]
    Setup {
        /// Of what.
        part: Part,
        /// The command.
        step: String,
        /// How it ended.
        end: String,
        /// The end of what it printed.
        log: Vec<String>,
    },
    /// A command that runs around each trial failed.
    #[error(
        "`{command}` of `{key}` in [server.{variant}] ended with {end}{}",
        tail(log)
    )]
    Hook {
        /// Of which server.
        variant: VariantName,
        /// `before_trial` or `after_trial`.
        key: &'static str,
        /// The command.
        command: String,
        /// How it ended.
        end: String,
        /// The end of what it printed.
        log: Vec<String>,
    },
    /// A command line or environment cannot be made.
    #[error("{} cannot be launched as described", part.noun())]
    Render {
        /// Which server or service.
        part: Part,
        /// What is wrong.
        #[source]
        source: RenderError,
    },
    /// The stop signal does not exist.
    #[error("{} cannot be stopped as described", part.noun())]
    StopSignal {
        /// Which server or service.
        part: Part,
        /// What is wrong.
        #[source]
        source: UnknownSignal,
    },
    /// No server of this name was prepared.
    #[error("there is no server `{variant}`")]
    UnknownVariant {
        /// The name.
        variant: VariantName,
    },
    /// The server does not start.
    #[error("server does not start with {configuration}: {reason}{}", tail(log))]
    ServerStart {
        /// As people write it.
        configuration: String,
        /// What happened.
        reason: String,
        /// The end of its log.
        log: Vec<String>,
    },
    /// An endpoint, or a step of the login, does not answer as it should.
    #[error(
        "{failure} (with {configuration}){}{}",
        body(&failure.excerpt),
        tail(log)
    )]
    EndpointCheck {
        /// As people write it.
        configuration: String,
        /// What is wrong.
        failure: Box<CheckFailure>,
        /// The end of the server's log.
        log: Vec<String>,
        /// Why no answer came.
        #[source]
        source: Option<HttpError>,
    },
    /// The app connects to an address that it may not reach.
    #[error(
        "{} connects beyond this machine: {process} to {address} ({protocol}), \
         which `may_reach` does not name",
        part.noun()
    )]
    OutsideConnection {
        /// Which server or service.
        part: Part,
        /// The other side.
        address: std::net::SocketAddr,
        /// `tcp` or `udp`.
        protocol: String,
        /// The process that holds the connection, for people.
        process: String,
    },
    /// An entry of `may_reach` that is no address.
    #[error("`{entry}` in `may_reach` of `{part}` is no address, host or network")]
    MayReach {
        /// Which server or service.
        part: Part,
        /// The entry.
        entry: String,
    },
    /// A service does not get ready, or ended while it was needed.
    #[error("service `{service}` {what}{}", tail(log))]
    Service {
        /// Which.
        service: ServiceName,
        /// What happened.
        what: String,
        /// The end of its log.
        log: Vec<String>,
    },
    /// A service cannot be run as the user that the grid file names.
    #[error("service `{service}` cannot be run as its `user`")]
    ServiceUser {
        /// Which.
        service: ServiceName,
        /// Why.
        #[source]
        source: UnknownUser,
    },
    /// The user of a service cannot get at a folder that it needs.
    #[error("service `{service}` runs as `{user}`, who may not enter {}", folder.display())]
    Unreachable {
        /// Which.
        service: ServiceName,
        /// Whom it runs as.
        user: String,
        /// The first folder that is closed to him.
        folder: PathBuf,
    },
    /// No port is free.
    #[error("no free port was found outside the range of outgoing connections")]
    NoPort,
    /// A file or folder cannot be used.
    #[error("cannot {what} {path}")]
    File {
        /// What was tried.
        what: &'static str,
        /// With which.
        path: PathBuf,
        /// Why.
        #[source]
        source: std::io::Error,
    },
    /// Processes cannot be started, watched or ended.
    #[error("processes cannot be managed")]
    Process(#[from] ProcessError),
    /// The load cannot be sent.
    #[error("load cannot be sent")]
    Load(#[from] LoadError),
    /// Questions cannot be asked.
    #[error("the server cannot be asked")]
    Http(#[from] HttpError),
    /// The program was asked to stop.
    #[error("stopped on request")]
    Interrupted,
    /// A task of this program ended on its own.
    #[error("a task of the program failed")]
    Task(#[from] tokio::task::JoinError),
}

impl TrialError {
    /// The code under which the fault is explained.
    pub fn code(&self) -> ErrorCode {
        match self {
            Self::Setup { .. } => ErrorCode::Setup,
            Self::Hook { .. } => ErrorCode::Hook,
            Self::Render { source, .. } => match source {
                RenderError::MissingEnv { .. }
                | RenderError::MissingApp { .. }
                | RenderError::MissingCommand { .. } => ErrorCode::GridMissing,
                RenderError::Reserved { .. } => ErrorCode::GridConflict,
                RenderError::Template { .. } | RenderError::UnknownProfile { .. } => {
                    ErrorCode::GridValue
                }
            },
            Self::StopSignal { .. } | Self::MayReach { .. } => ErrorCode::GridValue,
            Self::ServerStart { .. } => ErrorCode::ServerStart,
            Self::EndpointCheck { .. } => ErrorCode::EndpointCheck,
            Self::OutsideConnection { .. } => ErrorCode::OutsideConnection,
            Self::Service { .. } => ErrorCode::Service,
            Self::ServiceUser { .. } => ErrorCode::GridValue,
            Self::File { .. } | Self::Unreachable { .. } => ErrorCode::GridPath,
            Self::NoPort | Self::Process(_) => ErrorCode::Process,
            Self::UnknownVariant { .. }
            | Self::Load(_)
            | Self::Http(_)
            | Self::Interrupted
            | Self::Task(_) => ErrorCode::Internal,
        }
    }

    /// For a fault with a file.
    pub(crate) fn file(
        what: &'static str,
        path: impl Into<PathBuf>,
    ) -> impl FnOnce(std::io::Error) -> Self {
        let path = path.into();
        move |source| Self::File { what, path, source }
    }
}

/// The end of a log below a message.
pub(crate) fn tail(log: &[String]) -> String {
    if log.is_empty() {
        return String::new();
    }
    let mut text = "; the end of its log:".to_owned();
    for line in log {
        // Writing to a String cannot fail.
        write!(text, "\n  {line}").unwrap_or_default();
    }
    text
}

fn body(excerpt: &str) -> String {
    if excerpt.is_empty() {
        return String::new();
    }
    format!("\n  body: {excerpt}")
}
