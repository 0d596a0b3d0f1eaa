//! What a procedure is built from.

use std::time::Duration;

use autotune_model::{ConfigId, Configuration, LoadShape, Metric, Seed, Share, Surge};

/// What there is to compare, with what, for how long.
#[derive(Clone, Debug, PartialEq)]
pub struct Plan {
    /// Distinct, in grid order; the baseline among them, wherever it comes from.
    pub configurations: Vec<Configuration>,
    /// What runs today.
    pub baseline: Option<ConfigId>,
    /// For orders and loads.
    pub seed: Seed,
    /// The time that trials may take.
    pub budget: Duration,
    /// How every trial is loaded.
    pub load: LoadShape,
    /// How many times that load the recommended one must also carry.
    pub surge: Option<Surge>,
    /// What is minimised: it decides how many requests a trial needs.
    pub metric: Metric,
    /// The share of the traffic of the rarest endpoint.
    pub rarest_endpoint: Share,
}

/// What the pre-flight found that a user should know before the night.
#[derive(Clone, Debug, PartialEq)]
pub enum Warning {
    /// Every probed configuration was under 20 % busy: differences will be small.
    AllIdle {
        /// The busiest, in percent of one CPU.
        busy_pct: f64,
    },
    /// Every probed configuration was overloaded.
    AllOverloaded,
    /// The trial is too short for the quantile.
    FewRequests {
        /// Requests of the rarest endpoint that are expected in a window.
        expected: u64,
        /// How many would do.
        need: u64,
    },
    /// Fewer complete blocks than a confirmed verdict takes fit into the budget.
    FewBlocks {
        /// How many fit.
        fit: u32,
        /// How many would do.
        need: u32,
    },
}
