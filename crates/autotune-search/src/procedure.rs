//! The procedures as one closed set.

use autotune_analysis::Analysis;
use autotune_model::{DecisionKind, History, StopReason, TrialSpec};

use crate::exhaustive::Exhaustive;
use crate::outlook::{Known, Outlook};
use crate::plan::{Plan, Warning};

/// The next step of a study.
#[derive(Clone, Debug, PartialEq)]
pub enum Next {
    /// These trials, in this order; then ask again.
    Run(Vec<TrialSpec>),
    /// Write this down; then ask again.
    Decide(DecisionKind),
    /// There is no further step.
    Done(StopReason),
}

/// A way to search. A variant appears when it is built.
#[derive(Clone, Debug, PartialEq)]
pub enum Procedure {
    /// Every configuration in every block.
    Exhaustive(Exhaustive),
}

impl Procedure {
    /// Every configuration in every block.
    pub fn exhaustive(plan: Plan) -> Self {
        Self::Exhaustive(Exhaustive::new(plan))
    }

    /// What it was built from.
    pub fn plan(&self) -> &Plan {
        match self {
            Self::Exhaustive(exhaustive) => exhaustive.plan(),
        }
    }

    /// What a user should know before the comparison, from the pre-flight.
    pub fn warnings(&self, history: &History) -> Vec<Warning> {
        match self {
            Self::Exhaustive(exhaustive) => exhaustive.warnings(history),
        }
    }

    /// What the plan's budget gives, before anything is measured.
    pub fn outlook(&self, known: Known) -> Outlook {
        match self {
            Self::Exhaustive(exhaustive) => exhaustive.outlook(known),
        }
    }

    /// The next step.
    pub fn next(&self, history: &History, analysis: &Analysis) -> Next {
        match self {
            Self::Exhaustive(exhaustive) => exhaustive.next(history, analysis),
        }
    }
}
