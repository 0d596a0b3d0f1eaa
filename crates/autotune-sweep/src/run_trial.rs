//! The seam between the loop and the world: real, simulated or replayed.

use std::error::Error;
use std::fmt;

use autotune_model::{ErrorCode, TrialRecord, TrialSpec};

/// Something that can run a trial.
pub trait RunTrial {
    /// Runs one trial from start to clean stop. How it ended is in the record; a
    /// server that fails is data.
    ///
    /// # Errors
    /// Only for what keeps the whole sweep from going on.
    fn run(&mut self, spec: &TrialSpec) -> impl Future<Output = Result<TrialRecord, Fault>>;

    /// The wall clock of the world that trials run in: nanoseconds since 1970 UTC.
    fn now_wall_ns(&self) -> i64;

    /// Returns at this time of the wall clock, or when the user asks to stop.
    fn wait_until(&mut self, wall_ns: i64) -> impl Future<Output = ()>;

    /// Whether the user asked to stop.
    fn is_stopping(&self) -> bool;
}

/// What ends a sweep: a fault outside the configurations.
#[derive(Debug)]
pub struct Fault {
    /// Which.
    pub code: ErrorCode,
    /// For people: what, where, and the next action.
    pub message: String,
    /// The cause.
    pub source: Option<Box<dyn Error + Send + Sync>>,
}

impl fmt::Display for Fault {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.message)
    }
}

impl Error for Fault {
    fn source(&self) -> Option<&(dyn Error + 'static)> {
        self.source
            .as_deref()
            .map(|source| source as &(dyn Error + 'static))
    }
}
