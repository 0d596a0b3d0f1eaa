//! The loop: ask the procedure, run the trials, store them, analyse, repeat.
//!
//! A resumed sweep takes the same path as a fresh one: it begins with what the
//! store holds. The loop knows neither processes nor the terminal: trials are
//! run by a [`RunTrial`], and what happens is told as [`Event`]s.

mod event;
mod hopeless;
mod run_trial;
mod sweep;

pub use event::Event;
pub use run_trial::{Fault, RunTrial};
pub use sweep::{Ended, Finished, Sweep, SweepError};
