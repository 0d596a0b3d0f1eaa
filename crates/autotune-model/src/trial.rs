//! Trials: what is planned, which is which, and how one can end.

use std::fmt;
use std::time::Duration;

use crate::configuration::Configuration;
use crate::id::Seed;
use crate::load::LoadShape;

/// The part of a study that a trial belongs to. A variant appears when it is
/// built: staged tables, race and confirmation will have their own.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Stage {
    /// A/A launches before the comparison: noise, boot time, busyness.
    Preflight,
    /// The blocks that the verdict rests on.
    Measure,
    /// Launches of a configuration that is about to be recommended, under a
    /// multiple of the rate. A block is a configuration, a position a launch.
    Surge,
}

impl Stage {
    /// As stored and exported.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Preflight => "preflight",
            Self::Measure => "measure",
            Self::Surge => "surge",
        }
    }

    /// Back from [`Stage::as_str`].
    pub fn parse(text: &str) -> Option<Self> {
        [Self::Preflight, Self::Measure, Self::Surge]
            .into_iter()
            .find(|stage| stage.as_str() == text)
    }
}

/// Which trial of a study: stage, block and position in the block. What is
/// tried again keeps its key and gets the next attempt.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct TrialKey {
    /// The part of the study.
    pub stage: Stage,
    /// The block, from 0.
    pub block: u32,
    /// The place in the block, from 0.
    pub position: u32,
}

impl fmt::Display for TrialKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(
            f,
            "{}/{}/{}",
            self.stage.as_str(),
            self.block,
            self.position
        )
    }
}

/// One launch of one configuration under one load for one length, as planned.
#[derive(Clone, Debug, PartialEq)]
pub struct TrialSpec {
    /// Which trial.
    pub key: TrialKey,
    /// From 0; above 0 when an earlier attempt at the same key was invalid or
    /// interrupted.
    pub attempt: u32,
    /// What is launched.
    pub configuration: Configuration,
    /// How it is loaded.
    pub load: LoadShape,
    /// How long requests are sent, the warm-up included.
    pub length: Duration,
    /// The part at the beginning that does not count; equal for all.
    pub warm_up: Duration,
    /// For the order and the times of the requests: the same for all trials of
    /// a block, so that they are compared under the same load.
    pub seed: Seed,
}

/// How a trial ended. A failed trial is data, not an error.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Outcome {
    /// It can be compared.
    Measured,
    /// Open load: the backlog grew. Closed load: users were not done with their
    /// requests in time. Its percentiles are censored.
    Overloaded {
        /// The evidence, for people.
        detail: String,
    },
    /// The server never answered as it should, or ended before.
    FailedToStart {
        /// The evidence, with the end of the log.
        detail: String,
    },
    /// The server ended under load.
    Died {
        /// The evidence.
        detail: String,
    },
    /// The kernel ended a process of the server for want of memory.
    OutOfMemory {
        /// The evidence.
        detail: String,
    },
    /// The generator or the host was at fault, or the app overrode a setting.
    Invalid {
        /// The reason, naming what to change.
        detail: String,
    },
    /// Ended early on purpose.
    Aborted {
        /// Why.
        detail: String,
    },
    /// The program was stopped meanwhile.
    Interrupted,
}

impl Outcome {
    /// As stored and exported.
    pub fn as_str(&self) -> &'static str {
        match self {
            Self::Measured => "measured",
            Self::Overloaded { .. } => "overloaded",
            Self::FailedToStart { .. } => "failed-to-start",
            Self::Died { .. } => "died",
            Self::OutOfMemory { .. } => "out-of-memory",
            Self::Invalid { .. } => "invalid",
            Self::Aborted { .. } => "aborted",
            Self::Interrupted => "interrupted",
        }
    }

    /// The evidence, where there is one.
    pub fn detail(&self) -> Option<&str> {
        match self {
            Self::Measured | Self::Interrupted => None,
            Self::Overloaded { detail }
            | Self::FailedToStart { detail }
            | Self::Died { detail }
            | Self::OutOfMemory { detail }
            | Self::Invalid { detail }
            | Self::Aborted { detail } => Some(detail),
        }
    }

    /// Back from [`Outcome::as_str`] and [`Outcome::detail`].
    pub fn parse(name: &str, detail: Option<String>) -> Option<Self> {
        let detail = detail.unwrap_or_default();
        Some(match name {
            "measured" => Self::Measured,
            "overloaded" => Self::Overloaded { detail },
            "failed-to-start" => Self::FailedToStart { detail },
            "died" => Self::Died { detail },
            "out-of-memory" => Self::OutOfMemory { detail },
            "invalid" => Self::Invalid { detail },
            "aborted" => Self::Aborted { detail },
            "interrupted" => Self::Interrupted,
            _ => return None,
        })
    }

    /// Whether the configuration itself failed: a finding that counts against
    /// it, other than a fault of generator, host or user.
    pub fn is_failure_of_configuration(&self) -> bool {
        matches!(
            self,
            Self::Overloaded { .. }
                | Self::FailedToStart { .. }
                | Self::Died { .. }
                | Self::OutOfMemory { .. }
        )
    }

    /// Whether the trial says nothing of the configuration and may be tried
    /// again at the same place.
    pub fn says_nothing(&self) -> bool {
        matches!(
            self,
            Self::Invalid { .. } | Self::Aborted { .. } | Self::Interrupted
        )
    }
}
