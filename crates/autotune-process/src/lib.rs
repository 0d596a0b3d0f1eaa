//! The supervisor, its protocol, the process tree, sampling and the sure end;
//! knows no server.
//!
//! A server is started by a *supervisor*: the same program, run again through
//! `/proc/self/exe`, single-threaded and without async. The program holds one
//! end of a socket pair, the supervisor the other. Whoever dies, the socket
//! closes, and what the supervisor started is ended.
//!
//! ```text
//! program ==socket== supervisor --clone--> keeper --fork--> server -> workers
//!                    samples, bounds        PID 1 of a namespace of its own,
//!                    the log, decides       or else a subreaper
//! ```
//!
//! The *keeper* reaps and reports how the server ended. Where the machine allows
//! it, it is the first process of a PID namespace with its own `/proc` and dies
//! with the supervisor, and the kernel then ends the whole namespace. Elsewhere
//! it is a subreaper that ends all its descendants when the supervisor is gone.
//!
//! Linux 5.3 or later is needed: processes are held by descriptor before they
//! are killed, so that no other process that got the same pid is hit.
//!
//! Left to others: which command to run, when it is ready, what its log says.

pub mod clock;
mod host;
mod launch;
mod marker;
mod signal;
mod user;

mod cgroup;
mod client;
mod error;
mod run;
mod strays;

mod supervisor;
mod sys;
mod table;
mod wire;

pub use cgroup::find_means;
pub use client::{ProcessEvent, StopReport, Supervised};
pub use error::{LaunchStep, ProcessError, causes};
pub use host::HostWatch;
pub use launch::{Ipc, IsolationRequest, Launch, SupervisorSetup};
pub use marker::{MARKER_VARIABLE, Marker, Owner};
pub use run::{Finished, run_to_end};
pub use signal::{ExitStatus, StopSignal, UnknownSignal};
pub use strays::end_strays;
pub use supervisor::run_if_asked;
pub use table::inner_pid;
pub use user::{RunAs, UnknownUser};
