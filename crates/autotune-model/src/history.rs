//! What is known of a study: its trials and its decisions, in order.

use std::collections::BTreeMap;
use std::time::Duration;

use crate::id::ConfigId;
use crate::record::TrialRecord;
use crate::trial::{Stage, TrialKey};

/// All finished trials by key and attempt, and all decisions by number.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct History {
    /// By key, then attempt. At most one record for each.
    pub trials: Vec<TrialRecord>,
    /// By number, from 0.
    pub decisions: Vec<Decision>,
}

/// Something that was decided on the way, and stays decided after a resume.
#[derive(Clone, Debug, PartialEq)]
pub struct Decision {
    /// From 0, without gaps.
    pub number: u32,
    /// What.
    pub kind: DecisionKind,
}

/// What can be decided.
#[derive(Clone, Debug, PartialEq)]
pub enum DecisionKind {
    /// The pre-flight is over.
    Planned {
        /// The configuration that is in every block to see drift.
        control: ConfigId,
        /// How long requests are sent in a trial, the warm-up included.
        length: Duration,
        /// The part that does not count.
        warm_up: Duration,
        /// What the budget can resolve, in percent; `None` where unknown.
        resolvable_pct: Option<f64>,
    },
    /// A block that was interrupted for too long is not completed.
    BlockClosed {
        /// Its stage.
        stage: Stage,
        /// Its number.
        block: u32,
    },
    /// Nothing more is compared; what is left are launches under the surge.
    Compared {
        /// Why the comparison has ended.
        reason: StopReason,
    },
    /// The procedure has ended.
    Stopped {
        /// Why.
        reason: StopReason,
    },
    /// A study that had ended goes on, as with a larger budget: the end before
    /// is no longer in force.
    Resumed,
}

/// Why a procedure has ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum StopReason {
    /// The question is answered.
    Answered,
    /// The next block does not fit into the budget.
    Budget,
    /// Nothing can be measured.
    NothingMeasurable,
}

impl StopReason {
    /// As stored and exported.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Answered => "answered",
            Self::Budget => "budget",
            Self::NothingMeasurable => "nothing-measurable",
        }
    }

    /// Back from [`StopReason::as_str`].
    pub fn parse(text: &str) -> Option<Self> {
        [Self::Answered, Self::Budget, Self::NothingMeasurable]
            .into_iter()
            .find(|reason| reason.as_str() == text)
    }
}

impl History {
    /// The time worked: what counts against the budget.
    pub fn time_spent(&self) -> Duration {
        self.trials.iter().map(|trial| trial.span.length()).sum()
    }

    /// The configuration that is in every block to see drift, once it is chosen.
    pub fn control(&self) -> Option<ConfigId> {
        self.decisions
            .iter()
            .find_map(|decision| match decision.kind {
                DecisionKind::Planned { control, .. } => Some(control),
                DecisionKind::BlockClosed { .. }
                | DecisionKind::Compared { .. }
                | DecisionKind::Stopped { .. }
                | DecisionKind::Resumed => None,
            })
    }

    /// The trials of a stage, of each key the attempt that counts: the last one
    /// that says something, else the last. There is a later one only because those
    /// before it said nothing or were disturbed.
    pub fn counting(&self, stage: Stage) -> impl Iterator<Item = &TrialRecord> {
        let mut best: BTreeMap<TrialKey, &TrialRecord> = BTreeMap::new();
        let worth = |trial: &TrialRecord| (!trial.outcome.says_nothing(), trial.spec.attempt);
        for trial in self
            .trials
            .iter()
            .filter(|trial| trial.spec.key.stage == stage)
        {
            let have = best.entry(trial.spec.key).or_insert(trial);
            if worth(trial) > worth(have) {
                *have = trial;
            }
        }
        best.into_values()
    }

    /// How often this key was tried.
    pub fn attempts(&self, key: TrialKey) -> u32 {
        let count = self
            .trials
            .iter()
            .filter(|trial| trial.spec.key == key)
            .count();
        u32::try_from(count).unwrap_or(u32::MAX)
    }

    /// Whether the block was closed before it was complete.
    pub fn is_closed(&self, stage: Stage, block: u32) -> bool {
        let closed = DecisionKind::BlockClosed { stage, block };
        self.decisions
            .iter()
            .any(|decision| decision.kind == closed)
    }
}
