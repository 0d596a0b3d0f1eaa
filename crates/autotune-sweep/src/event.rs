//! What happens in a sweep, as values; the program renders them.

use std::time::Duration;

use autotune_analysis::Analysis;
use autotune_model::{DecisionKind, History, StopReason, TrialRecord, TrialSpec};
use autotune_search::Warning;

/// Something happened.
#[derive(Debug)]
pub enum Event<'a> {
    /// The study had trials already.
    Resumed {
        /// How many.
        trials: usize,
        /// The time they took.
        spent: Duration,
    },
    /// A trial begins.
    TrialStarted {
        /// Which.
        spec: &'a TrialSpec,
        /// Trials in what was asked for, this one included.
        of_block: usize,
        /// What is left of the budget.
        left: Duration,
    },
    /// A trial has ended and is stored.
    TrialFinished {
        /// It, with its series.
        record: &'a TrialRecord,
        /// What is left of the budget.
        left: Duration,
    },
    /// All that is left to do is being done by another machine.
    Waiting {
        /// Which.
        owner: &'a str,
    },
    /// A decision is written down.
    Decided {
        /// Which.
        kind: &'a DecisionKind,
        /// What a user should know of it.
        warnings: Vec<Warning>,
        /// All that is known.
        history: &'a History,
    },
    /// The trials that were asked for are done.
    BlockFinished {
        /// What follows so far.
        analysis: &'a Analysis,
        /// What is left of the budget.
        left: Duration,
    },
    /// The procedure has ended.
    Done {
        /// Why.
        reason: StopReason,
    },
}
