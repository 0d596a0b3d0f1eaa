//! What every output is made from, and the look-ups that they share.
//!
//! Nothing is computed here that the analysis computes: the study only holds it
//! beside what was asked for.

use std::collections::BTreeMap;
use std::time::Duration;

use autotune_analysis::{Analysis, ConfigAnalysis, DependencyBound, VerdictWord};
use autotune_model::{
    ConfigId, Configuration, Confinement, ConnectionPolicy, CpuPlacement, DecisionKind, Endpoint,
    ErrorCode, History, HostFacts, LoadShape, Metric, Objective, Over, ParamName, Profile, Service,
    Stage, TrialRecord, VariantName,
};

/// A study as the outputs see it.
#[derive(Clone, Debug)]
pub struct Study<'a> {
    /// As in the grid file.
    pub name: &'a str,
    /// Its trials and decisions; the series per second may be left out.
    pub history: &'a History,
    /// What follows from the history.
    pub analysis: &'a Analysis,
    /// What the verdict was made for.
    pub objective: &'a Objective,
    /// The server variants with their profiles.
    pub variants: &'a [(VariantName, Profile)],
    /// What was asked of the app.
    pub endpoints: &'a [Endpoint],
    /// What ran beside the server.
    pub services: &'a [Service],
    /// How it was loaded.
    pub load: &'a LoadShape,
    /// How connections were used.
    pub connections: ConnectionPolicy,
    /// Which CPUs were used by whom.
    pub placement: &'a CpuPlacement,
    /// What `[limits]` let the server have, and whether it was kept to that.
    pub confinement: &'a Confinement,
    /// How the sweep ended.
    pub ending: &'a Ending,
    /// The machine.
    pub host: &'a HostFacts,
    /// Versions by name: `python`, `gunicorn`.
    pub versions: &'a BTreeMap<String, String>,
    /// The version of `autotune`.
    pub tool_version: &'a str,
    /// The grid file as it was read.
    pub grid_text: &'a str,
    /// What was to be measured.
    pub planned: &'a Planned,
    /// What to type to go on or to repeat it.
    pub command: &'a str,
}

/// What was to be measured.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Planned {
    /// Distinct configurations, the baseline included.
    pub configurations: usize,
    /// Cells of the grid, before equal ones were folded.
    pub cells: usize,
    /// For people: which spellings were folded, and why.
    pub folded: Vec<String>,
    /// For people: which configurations a constraint left out, and which one.
    pub dropped: Vec<String>,
    /// The parameters that the grid file names.
    pub named: Vec<ParamName>,
}

/// How a sweep ended.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Ending {
    /// The question is answered.
    Answered,
    /// The next block did not fit into the budget.
    Budget,
    /// Nothing could be measured.
    NothingMeasurable,
    /// By the user; the same command goes on.
    Interrupted,
    /// By a fault.
    Stopped {
        /// Which kind.
        code: ErrorCode,
        /// What happened, for people.
        fault: String,
    },
}

impl Ending {
    /// As exported.
    pub fn as_str(&self) -> &'static str {
        match self {
            Self::Answered => "answered",
            Self::Budget => "budget",
            Self::NothingMeasurable => "nothing-measurable",
            Self::Interrupted => "interrupted",
            Self::Stopped { .. } => "stopped",
        }
    }
}

/// The study in one word: the verdict's, unless the sweep did not end by itself.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Word {
    /// The analysis has a verdict.
    Verdict(VerdictWord),
    /// A fault ended the sweep.
    Stopped,
    /// The user ended the sweep.
    Interrupted,
}

impl Word {
    /// As exported.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Verdict(word) => word.as_str(),
            Self::Stopped => "stopped",
            Self::Interrupted => "interrupted",
        }
    }

    /// Whether a configuration is named.
    pub fn has_recommendation(self) -> bool {
        match self {
            Self::Verdict(VerdictWord::Infeasible) | Self::Stopped | Self::Interrupted => false,
            Self::Verdict(
                VerdictWord::Recommended | VerdictWord::KeepCurrent | VerdictWord::Unresolved,
            ) => true,
        }
    }
}

/// In what the objective is counted.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Unit {
    Micros,
    Bytes,
    Seconds,
    /// To the control.
    Ratio,
}

/// How trials were cut, as decided after the pre-flight.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Lengths {
    pub(crate) length: Duration,
    pub(crate) warm_up: Duration,
    pub(crate) resolvable_pct: Option<f64>,
}

impl<'a> Study<'a> {
    /// The study in one word.
    pub fn word(&self) -> Word {
        match self.ending {
            Ending::Stopped { .. } => Word::Stopped,
            Ending::Interrupted => Word::Interrupted,
            Ending::Answered | Ending::Budget | Ending::NothingMeasurable => {
                Word::Verdict(self.analysis.verdict.word)
            }
        }
    }

    /// The analysis of this configuration.
    pub(crate) fn find(&self, id: ConfigId) -> Option<&'a ConfigAnalysis> {
        self.analysis
            .configurations
            .iter()
            .find(|config| config.id == id)
    }

    /// The recommended one, where the word allows one.
    pub(crate) fn recommended(&self) -> Option<&'a ConfigAnalysis> {
        self.favourite()
            .filter(|_| self.word().has_recommendation())
    }

    /// What the analysis would recommend, also after an interruption.
    pub(crate) fn favourite(&self) -> Option<&'a ConfigAnalysis> {
        self.find(self.analysis.verdict.recommended?)
    }

    /// The service that the best settings wait for, where the word is the verdict's.
    pub(crate) fn waits_for(&self) -> Option<&'a DependencyBound> {
        let bound = self.analysis.verdict.dependency_bound.as_ref()?;
        matches!(self.word(), Word::Verdict(_)).then_some(bound)
    }

    /// What runs today, if it was launched.
    pub(crate) fn baseline(&self) -> Option<&'a ConfigAnalysis> {
        self.analysis
            .configurations
            .iter()
            .find(|config| config.is_baseline)
    }

    /// The steady one that is in every block.
    pub(crate) fn control(&self) -> Option<&'a ConfigAnalysis> {
        self.analysis
            .configurations
            .iter()
            .find(|config| config.is_control)
    }

    /// The labels of these configurations, in this order.
    pub(crate) fn labels(&self, ids: &[ConfigId]) -> Vec<&'a str> {
        let found = ids.iter().filter_map(|id| self.find(*id));
        found.map(label).collect()
    }

    /// The tie set, the recommended first, where the word allows one.
    pub(crate) fn tie_set(&self) -> Vec<&'a str> {
        match self.recommended() {
            Some(_) => self.labels(&self.analysis.verdict.tie_set),
            None => Vec::new(),
        }
    }

    pub(crate) fn profile(&self, configuration: &Configuration) -> Option<&'a Profile> {
        let mut variants = self.variants.iter();
        variants
            .find(|(name, _)| name == configuration.variant())
            .map(|(_, profile)| profile)
    }

    pub(crate) fn is_latency(&self) -> bool {
        matches!(self.analysis.metric, Metric::Mean | Metric::Latency(_))
    }

    pub(crate) fn unit(&self) -> Unit {
        match (self.analysis.metric, self.analysis.over) {
            (Metric::Memory, _) => Unit::Bytes,
            (Metric::Cpu | Metric::Duration, _) => Unit::Seconds,
            (Metric::Mean | Metric::Latency(_), Over::Worst) => Unit::Ratio,
            (Metric::Mean | Metric::Latency(_), Over::Geomean | Over::Pooled) => Unit::Micros,
        }
    }

    /// The latency that charts show, microseconds: the objective where it is one,
    /// otherwise the weighted geometric mean over the endpoints.
    pub(crate) fn latency_us(&self, config: &ConfigAnalysis) -> Option<f64> {
        if self.unit() == Unit::Micros {
            return Some(config.objective?.value);
        }
        let values = config
            .endpoints
            .iter()
            .map(|endpoint| Some((self.weight(endpoint.name.as_str()), endpoint.value_us?)));
        let values: Option<Vec<(f64, f64)>> = values.collect();
        weighted_geomean(&values?)
    }

    pub(crate) fn weight(&self, endpoint: &str) -> f64 {
        let mut weights = self.objective.weights.iter();
        weights
            .find(|(name, _)| name.as_str() == endpoint)
            .map_or(1.0, |(_, weight)| *weight)
    }

    /// The name of that latency: `p95`, or what the metric is.
    pub(crate) fn latency_name(&self) -> String {
        if self.is_latency() {
            self.analysis.metric.to_string()
        } else {
            "p95".to_owned()
        }
    }

    pub(crate) fn lengths(&self) -> Option<Lengths> {
        self.history
            .decisions
            .iter()
            .find_map(|decision| match decision.kind {
                DecisionKind::Planned {
                    length,
                    warm_up,
                    resolvable_pct,
                    ..
                } => Some(Lengths {
                    length,
                    warm_up,
                    resolvable_pct,
                }),
                DecisionKind::BlockClosed { .. }
                | DecisionKind::Compared { .. }
                | DecisionKind::Stopped { .. }
                | DecisionKind::Resumed => None,
            })
    }

    /// The trials of the comparison, the attempt of each that counts.
    pub(crate) fn measure_trials(&self) -> impl Iterator<Item = &'a TrialRecord> {
        self.history.counting(Stage::Measure)
    }
}

pub(crate) fn label(config: &ConfigAnalysis) -> &str {
    config.configuration.label().as_str()
}

/// Of pairs of weight and value.
pub(crate) fn weighted_geomean(values: &[(f64, f64)]) -> Option<f64> {
    let weights: f64 = values.iter().map(|(weight, _)| weight).sum();
    let sum: f64 = values
        .iter()
        .map(|(weight, value)| weight * value.ln())
        .sum();
    (weights > 0.0)
        .then(|| (sum / weights).exp())
        .filter(|value| value.is_finite())
}
