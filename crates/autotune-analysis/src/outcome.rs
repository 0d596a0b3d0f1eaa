//! What an analysis says: estimates, feasibility, bound, tie set, verdict.

use std::time::Duration;

use autotune_model::{Bytes, ConfigId, Configuration, EndpointName, Metric, Over, ServiceName};

/// All that follows from a history.
#[derive(Clone, Debug, PartialEq)]
pub struct Analysis {
    /// What was minimised.
    pub metric: Metric,
    /// How endpoints were combined.
    pub over: Over,
    /// Blocks in which every configuration still in the comparison was measured.
    pub complete_blocks: u32,
    /// The confidence of bound and tie set, between 0 and 1: 0.95, or more where
    /// the data were looked at before.
    pub confidence: f64,
    /// Every configuration that was launched: feasible ones first, by estimate;
    /// then the others, by label.
    pub configurations: Vec<ConfigAnalysis>,
    /// The verdict.
    pub verdict: Verdict,
    /// Noise between launches of the same configuration.
    pub noise: Option<Noise>,
    /// How the control changed over the study.
    pub drift: Option<Drift>,
    /// Workers that were seen to be replaced, over all trials.
    pub restarts_observed: u32,
    /// The trials that others on the machine disturbed.
    pub disturbed: Disturbed,
    /// What ran beside the server, in the order of the grid file.
    pub services: Vec<ServiceAnalysis>,
    /// The fewest requests of an endpoint in a trial's window, in the mean over
    /// the launches of a configuration.
    pub fewest_requests: Option<u64>,
}

/// Trials during which others had more of the machine than usual.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub struct Disturbed {
    /// How many, over all attempts.
    pub trials: u32,
    /// Of these, how many count all the same, as no attempt at their place was calm.
    pub counting: u32,
    /// The share of the machine's CPU time that others usually had, from 0 to 1;
    /// `None` where too little is known.
    pub usual: Option<f64>,
}

/// A service over all trials of the comparison that were loaded.
#[derive(Clone, Debug, PartialEq)]
pub struct ServiceAnalysis {
    /// Which.
    pub name: ServiceName,
    /// How many CPUs it may use.
    pub cpus: u32,
    /// In how many trials it was seen.
    pub trials: u32,
    /// In how many of them it had no CPU time left.
    pub saturated: u32,
    /// Median over trials of the peak over the load.
    pub memory: Option<Bytes>,
    /// The least and the largest of these peaks.
    pub memory_range: Option<(Bytes, Bytes)>,
    /// Median over trials of the share of its CPUs that it used, from 0 to 1.
    pub busy_share: Option<f64>,
    /// The least and the largest of these shares.
    pub busy_range: Option<(f64, f64)>,
}

/// A value with its interval.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Estimate {
    /// The middle.
    pub value: f64,
    /// Lower end of the 95 % interval; `None` with fewer than two launches.
    pub low: Option<f64>,
    /// Upper end of the 95 % interval; `None` with fewer than two launches.
    pub high: Option<f64>,
}

/// One configuration.
#[derive(Clone, Debug, PartialEq)]
pub struct ConfigAnalysis {
    /// Which.
    pub configuration: Configuration,
    /// Its identity.
    pub id: ConfigId,
    /// Whether it runs today.
    pub is_baseline: bool,
    /// Whether it is the control.
    pub is_control: bool,
    /// How its launches ended.
    pub launches: Launches,
    /// The objective: microseconds for latency, bytes for memory, seconds for
    /// CPU. Geometric mean over launches, without what their blocks did to them.
    /// `None` where nothing was measured.
    pub objective: Option<Estimate>,
    /// The objective as a ratio to the best estimate, over shared blocks; 1 for
    /// the best.
    pub ratio_to_best: Option<Estimate>,
    /// With the analysis's confidence at most this many percent worse than the
    /// best, simultaneously over all feasible configurations; never below zero.
    /// `None` where there are too few shared blocks.
    pub bound_pct: Option<f64>,
    /// The same in microseconds at the endpoint where it is largest.
    pub bound_us: Option<f64>,
    /// Standard deviation of the log objective between launches after block
    /// effects, times 100: about percent. `None` with fewer than two blocks.
    pub spread_pct: Option<f64>,
    /// By endpoint, in the order of the grid file.
    pub endpoints: Vec<EndpointEstimate>,
    /// Median over launches of the peak over the load.
    pub memory: Option<Bytes>,
    /// The least and the largest peak over launches.
    pub memory_range: Option<(Bytes, Bytes)>,
    /// Growth under load; what only the recommended one is said to have in words.
    pub memory_growth: Option<MemoryGrowth>,
    /// Median over launches of the CPU time per completed request.
    pub cpu_per_request: Option<Duration>,
    /// Median over launches of the server's CPU time per second of load, in
    /// percent of one CPU.
    pub busy_pct: Option<f64>,
    /// Median over launches: from launch to the first good answer.
    pub boot: Option<Duration>,
    /// Workers that were seen to be replaced.
    pub restarts: u32,
    /// The limits, each endpoint.
    pub limits: Vec<LimitCheck>,
    /// Whether it can be recommended at all.
    pub feasibility: Feasibility,
    /// Where it stands after all.
    pub standing: Standing,
}

/// How launches ended.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Launches {
    /// Can be compared.
    pub measured: u32,
    /// The backlog grew.
    pub overloaded: u32,
    /// Never answered.
    pub failed_to_start: u32,
    /// Ended under load.
    pub died: u32,
    /// Ended for want of memory.
    pub out_of_memory: u32,
    /// Measured, but more requests failed than the quantile leaves room for.
    pub not_attained: u32,
    /// Measured, but without the figure that is compared, for want of data: an
    /// endpoint without a request in the window, no control in the block, memory
    /// that could not be read. Does not count against the configuration.
    pub no_statistic: u32,
    /// Generator, host or an overridden setting at fault; says nothing.
    pub invalid: u32,
}

impl Launches {
    /// Launches that count against the configuration.
    pub fn failed(&self) -> u32 {
        self.overloaded + self.failed_to_start + self.died + self.out_of_memory + self.not_attained
    }

    /// Launches that say whether the configuration works.
    pub fn telling(&self) -> u32 {
        self.measured + self.no_statistic + self.failed()
    }
}

/// One endpoint of one configuration.
#[derive(Clone, Debug, PartialEq)]
pub struct EndpointEstimate {
    /// Which.
    pub name: EndpointName,
    /// The metric's statistic in microseconds (the quantile or mean; p95 where
    /// the metric is no latency); geometric mean over launches, without what
    /// their blocks did to them.
    pub value_us: Option<f64>,
    /// Median response time, microseconds, all launches merged.
    pub p50_us: Option<u64>,
    /// 95 % of response time, failures counted as infinite; `None`: not attained.
    pub p95_us: Option<u64>,
    /// 99 % of response time, failures counted as infinite; `None`: not attained.
    pub p99_us: Option<u64>,
    /// Requests due in the windows of all launches.
    pub scheduled: u64,
    /// Of those, not completed.
    pub not_completed: u64,
}

/// Whether a configuration can be recommended at all.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Feasibility {
    /// Nothing speaks against it.
    Feasible,
    /// It breaks a limit or fails; the reasons.
    Infeasible(Vec<String>),
    /// No launch can be compared, for no fault of its own; the reasons.
    Unknown(Vec<String>),
}

/// One limit, at one endpoint or of the whole server.
#[derive(Clone, Debug, PartialEq)]
pub struct LimitCheck {
    /// The key: `max_error_rate`.
    pub limit: String,
    /// Where it applies; `None` where it is about the whole server.
    pub endpoint: Option<EndpointName>,
    /// The limit, and what stands against it.
    pub figures: LimitFigures,
    /// What the data say.
    pub state: LimitState,
}

/// A limit and what was seen, in the unit of the limit.
#[derive(Clone, Copy, Debug, PartialEq)]
pub enum LimitFigures {
    /// Of requests, as a share.
    Share {
        /// The limit.
        at_most: f64,
        /// What was seen.
        seen: f64,
        /// One-sided 95 % upper bound of the true share (Clopper-Pearson).
        upper: f64,
    },
    /// A quantile of response time, in microseconds.
    Time {
        /// The limit.
        at_most_us: f64,
        /// Geometric mean over the launches in which it was attained.
        seen_us: Option<f64>,
        /// One-sided 95 % upper bound of that mean over all launches that could be
        /// (Student's t on the logs); `None` with one launch, or where one did not
        /// attain the quantile.
        upper_us: Option<f64>,
    },
    /// Peak memory of the tree, in bytes.
    Memory {
        /// The limit.
        at_most: f64,
        /// Geometric mean over the launches whose memory could be read.
        seen: Option<f64>,
        /// One-sided 95 % upper bound of that mean over all launches that could be
        /// (Student's t on the logs); `None` with one launch.
        upper: Option<f64>,
    },
    /// A multiple of the rate that was compared under; see [`crate::surge`].
    Surge {
        /// How many times the rate.
        factor: f64,
        /// Launches that carried it.
        carried: u32,
        /// Launches that did not.
        failed: u32,
    },
}

/// What the data say of a limit.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum LimitState {
    /// With 95 % confidence it holds.
    Shown,
    /// The data cannot tell.
    NotShownBroken,
    /// With 95 % confidence it is broken.
    Broken,
}

/// Where a configuration stands.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Standing {
    /// The one.
    Recommended,
    /// The night cannot tell it from the best.
    Tied,
    /// Shown within `accept` of the best, but not chosen.
    WithinAccept,
    /// Neither shown within `accept` nor shown outside.
    Open,
    /// Shown worse than `accept` allows.
    Worse,
    /// Infeasible or unknown.
    Unranked,
}

/// The verdict.
#[derive(Clone, Debug, PartialEq)]
pub struct Verdict {
    /// In one word.
    pub word: VerdictWord,
    /// The recommended configuration; `None` where none is feasible.
    pub recommended: Option<ConfigId>,
    /// The recommended one first, then those that the night cannot tell from the
    /// best, by estimate.
    pub tie_set: Vec<ConfigId>,
    /// Of the recommended: see [`ConfigAnalysis::bound_pct`].
    pub bound_pct: Option<f64>,
    /// Of the recommended: see [`ConfigAnalysis::bound_us`].
    pub bound_us: Option<f64>,
    /// Why the verdict is exploratory; empty where it is not.
    pub exploratory: Vec<Exploratory>,
    /// Why this one, in the order of the tie-break; each names a number.
    pub why: Vec<Reason>,
    /// Where only the surge is open: what the word is once it is carried.
    pub but_for_surge: Option<VerdictWord>,
    /// Configurations that need less memory than the recommended and are neither
    /// shown within `accept` nor outside: more time could change the answer.
    pub lighter_open: Vec<ConfigId>,
    /// How much memory grew under load, where no restart was seen.
    pub memory_growth: Option<MemoryGrowth>,
    /// The objective of the recommended as a ratio to the baseline's, over shared
    /// blocks; `None` where the recommended is the baseline, or they share none.
    pub against_baseline: Option<Estimate>,
    /// The service that the best settings wait for; then nothing is recommended.
    pub dependency_bound: Option<DependencyBound>,
}

/// A service that was the bottleneck where it matters.
#[derive(Clone, Debug, PartialEq)]
pub struct DependencyBound {
    /// The service, over the trials of the settings that it was looked for in.
    pub service: ServiceAnalysis,
    /// Which settings these are.
    pub among: Among,
    /// How many of them wait for it.
    pub waiting: usize,
    /// How many they are.
    pub of: usize,
}

/// In which settings a bottleneck was looked for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Among {
    /// Those that cannot be told from the best.
    Best,
    /// All, as none could be recommended.
    All,
}

/// The verdict in one word.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum VerdictWord {
    /// Another setting than today's is recommended, within `accept`.
    Recommended,
    /// Today's setting is the recommended one, within `accept`.
    KeepCurrent,
    /// A service was the bottleneck, so that there is no ranking. Or there is a
    /// favourite, but it is not shown to be within `accept`, or some
    /// configuration was never measured; or there is none, and some were never
    /// measured.
    Unresolved,
    /// All were measured, and none meets the limits.
    Infeasible,
}

impl VerdictWord {
    /// As exported.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Recommended => "recommended",
            Self::KeepCurrent => "keep-current",
            Self::Unresolved => "unresolved",
            Self::Infeasible => "infeasible",
        }
    }
}

/// Why a verdict is exploratory.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Exploratory {
    /// Too few complete blocks.
    FewBlocks {
        /// How many there are.
        have: u32,
        /// How many would do.
        need: u32,
    },
    /// Too few requests per endpoint and trial for the quantile.
    FewRequests {
        /// The fewest, in the mean over the launches of a configuration.
        have: u64,
        /// How many would do.
        need: u64,
    },
}

/// A step of the tie-break that decided.
#[derive(Clone, Debug, PartialEq)]
pub enum Reason {
    /// The only feasible configuration shown within `accept`.
    OnlyOne,
    /// The best estimate, as none is shown within `accept`.
    BestEstimate,
    /// Its limits are shown to hold and no launch failed; not so of others.
    LimitsShown,
    /// The least memory.
    LeastMemory {
        /// Its memory.
        memory: Bytes,
        /// The next larger one among those that were left.
        next: Bytes,
    },
    /// The smallest spread between launches.
    SmallestSpread {
        /// Its spread, percent.
        spread_pct: f64,
        /// The next larger one.
        next_pct: f64,
    },
    /// The fewest parameters changed from what runs today.
    FewestChanges {
        /// How many.
        changed: u32,
    },
    /// The fewest workers.
    FewestWorkers {
        /// How many.
        workers: i64,
    },
    /// Nothing else told them apart: the identity decided.
    Identity,
}

/// Growth of memory under load, of the recommended configuration.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct MemoryGrowth {
    /// Mebibytes per 1,000 requests to the whole server, median over launches.
    pub mib_per_1000_requests: f64,
}

/// Noise between launches, after block effects.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Noise {
    /// Median over configurations of the standard deviation, percent.
    pub median_pct: f64,
    /// Of the steadiest configuration.
    pub least_pct: f64,
    /// Of the least steady one.
    pub most_pct: f64,
}

/// How the control changed over the study.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Drift {
    /// Change of its objective from the first block to the last, percent
    /// (Theil-Sen).
    pub total_pct: f64,
    /// Lower end of the 95 % interval.
    pub low_pct: f64,
    /// Upper end of the 95 % interval.
    pub high_pct: f64,
    /// Whether the interval excludes zero and the change exceeds `min_effect`.
    pub noticeable: bool,
}
