//! What is to be run, and how. Only data: the client sends it, the supervisor
//! acts on it.

use std::path::PathBuf;
use std::time::Duration;

use autotune_model::{Bytes, Confinement, CpuSet, Secret};

use crate::marker::Marker;
use crate::user::RunAs;

/// One command with all that decides how it runs.
#[derive(Clone, Debug)]
pub struct Launch {
    /// The program and its arguments. A program without a slash is looked up in
    /// the `PATH` of `env`; a relative one with a slash starts at `dir`.
    pub argv: Vec<String>,
    /// The complete environment: nothing is inherited. The marker is added.
    pub env: Vec<(String, Secret<String>)>,
    /// The working directory.
    pub dir: PathBuf,
    /// Where standard output and standard error go, appended.
    pub log: PathBuf,
    /// The size at which the log is begun anew. It is looked at several times a
    /// second, so it can be exceeded by what is written in between.
    pub log_limit: Bytes,
    /// The CPUs to run on; `None` leaves the choice to the kernel.
    pub cpus: Option<CpuSet>,
    /// What the tree may have, and by what it is kept to it. A group is made where
    /// the means is one; open files are limited in any case.
    pub confinement: Confinement,
    /// Whom it runs as; `None` for whoever runs this program. Only root can run
    /// something as somebody else.
    pub user: Option<RunAs>,
    /// Whose System V objects it sees.
    pub ipc: Ipc,
    /// What the processes are found by when every guard has died.
    pub marker: Marker,
    /// How often the tree is sampled unasked; `None` for never.
    pub sample_every: Option<Duration>,
    /// `CLOCK_MONOTONIC` in nanoseconds at the zero of the samples' times.
    pub origin_monotonic_ns: u64,
}

/// Whose shared memory and semaphores of System V a tree sees. They outlive their
/// processes, and one that is killed cannot remove its own.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Ipc {
    /// The machine's.
    #[default]
    Shared,
    /// Its own, which end with it, where it has a PID namespace.
    Own,
}

/// How the tree is to be held together.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum IsolationRequest {
    /// A PID namespace where the machine allows one.
    #[default]
    Auto,
    /// No namespace, as on a machine that allows none.
    Off,
}

/// Where the supervisor comes from and what it may use. The default is right
/// outside tests.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct SupervisorSetup {
    /// The program whose `main` begins with `run_if_asked`.
    pub exe: PathBuf,
    /// How the tree is to be held together.
    pub isolation: IsolationRequest,
}

impl Default for SupervisorSetup {
    fn default() -> Self {
        // Not the path of the program: the file there may have been replaced
        // by another version since this one was started.
        Self {
            exe: PathBuf::from("/proc/self/exe"),
            isolation: IsolationRequest::Auto,
        }
    }
}
