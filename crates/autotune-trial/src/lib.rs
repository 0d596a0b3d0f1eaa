//! One trial, from an empty folder to a clean stop, and what is done once before
//! all trials: setup steps, versions, settings in effect, one question to every
//! endpoint.
//!
//! What decides is pure and apart from what acts: `outcome`, `tree`, `key`,
//! `reach` and `port` compute; `prepare`, `facts`, `session`, `verify` and `run`
//! start, ask and stop. Which trials are run, and what they mean, is left to
//! others.

mod context;
mod error;

mod key;
mod prepare;
mod services;
mod setup;

mod folder;
mod logs;
mod port;
mod reach;
mod tree;
mod workers;

mod facts;
mod hooks;
mod orders;
mod overrides;
mod session;

mod loops;
mod outcome;
mod overload;
mod record;
mod run;
mod verify;

#[cfg(feature = "rehearsal")]
mod rehearsal;

pub use context::{Answered, Outside, ServiceCpus, ServiceUp, TrialContext, TrialEvent, Verified};
pub use error::{Part, TrialError};
pub use key::cache_key as files_key;
pub use prepare::Trials;
pub use record::{connections_wanted, most_files};
#[cfg(feature = "rehearsal")]
pub use rehearsal::{Rehearsal, rehearse};
#[cfg(feature = "rehearsal")]
pub use services::{RehearsedReady, RehearsedService};
