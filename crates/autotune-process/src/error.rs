//! What can go wrong around processes. How a *server* ended is data, not an
//! error.

use std::fmt;
use std::io;
use std::path::PathBuf;

use crate::wire::FrameError;

/// The supervisor could not do its work.
#[derive(Debug, thiserror::Error)]
pub enum ProcessError {
    /// The supervisor itself does not start.
    #[error("supervisor cannot be started from {exe}")]
    StartSupervisor {
        /// The program that was to be run.
        exe: PathBuf,
        /// The cause.
        #[source]
        source: io::Error,
    },
    /// The supervisor ended, or closed its socket, without being asked to.
    #[error("supervisor (pid {pid}) was lost: {how}")]
    SupervisorLost {
        /// Its pid.
        pid: u32,
        /// How it ended, as far as known.
        how: String,
    },
    /// No answer in time.
    #[error("supervisor (pid {pid}) did not answer within {seconds} s")]
    SupervisorSilent {
        /// Its pid.
        pid: u32,
        /// How long it was waited for.
        seconds: u64,
    },
    /// The two sides speak different versions.
    #[error("supervisor protocol version {theirs} is not supported; this side speaks {ours}")]
    Version {
        /// The version of this side.
        ours: u32,
        /// The version of the other side.
        theirs: u32,
    },
    /// What came over the socket is not the protocol.
    #[error("supervisor protocol was violated")]
    Frame(#[from] FrameError),
    /// An answer that does not fit the question.
    #[error("supervisor answered with {got} instead of {wanted}")]
    Unexpected {
        /// The name of what came.
        got: &'static str,
        /// The name of what was due.
        wanted: &'static str,
    },
    /// The supervisor met a fault of its own.
    #[error("supervisor failed: {what}")]
    Supervisor {
        /// In its words.
        what: String,
    },
    /// The socket to the supervisor failed.
    #[error("socket to the supervisor failed")]
    Socket(#[source] io::Error),
    /// The command cannot be run.
    #[error("cannot {step} {path}")]
    Launch {
        /// What was tried.
        step: LaunchStep,
        /// With which file or folder, or, for limits, which value.
        path: PathBuf,
        /// The cause.
        #[source]
        source: io::Error,
    },
    /// The user's systemd, which was to start the supervisor, is not to be had.
    #[error("no scope can be made: systemd-run {what}")]
    NoScope {
        /// What it lacks.
        what: String,
    },
    /// A command without a program.
    #[error("command is empty")]
    EmptyCommand,
    /// A path that the protocol cannot carry.
    #[error("path {path} is not valid UTF-8")]
    NotUtf8 {
        /// The path.
        path: PathBuf,
    },
    /// Processes are still there although they were killed.
    #[error("processes {pids:?} did not end although they were killed")]
    NotEnded {
        /// The processes.
        pids: Vec<u32>,
    },
    /// A file of the system cannot be read.
    #[error("cannot read {path}")]
    Read {
        /// The file.
        path: PathBuf,
        /// The cause.
        #[source]
        source: io::Error,
    },
}

/// What was tried while launching.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum LaunchStep {
    /// Open the log.
    Log,
    /// Make the processes.
    Fork,
    /// Enter the working directory.
    Dir,
    /// Bind to the CPUs.
    Cpus,
    /// Make or enter the group that limits memory and CPUs, or find it in effect.
    Group,
    /// Set the limit of open files.
    Limits,
    /// Become another user.
    User,
    /// Run the program.
    Exec,
}

impl LaunchStep {
    pub(crate) const ALL: [Self; 8] = [
        Self::Log,
        Self::Fork,
        Self::Dir,
        Self::Cpus,
        Self::Group,
        Self::Limits,
        Self::User,
        Self::Exec,
    ];
}

impl fmt::Display for LaunchStep {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Log => "open log",
            Self::Fork => "make a process for",
            Self::Dir => "enter folder",
            Self::Cpus => "bind to CPUs",
            Self::Group => "limit memory and CPUs by the cgroup",
            Self::Limits => "set the limit of open files for",
            Self::User => "change the user for",
            Self::Exec => "run",
        })
    }
}
/// An error and its causes on one line.
pub fn causes(error: &dyn std::error::Error) -> String {
    let mut text = error.to_string();
    let mut next = error.source();
    while let Some(cause) = next {
        text.push_str(&format!(": {cause}"));
        next = cause.source();
    }
    text
}
