//! What is wanted of a configuration, and what may not be broken.

use std::fmt;
use std::time::Duration;

use crate::configuration::Configuration;
use crate::endpoint::EndpointName;
use crate::load::Surge;
use crate::units::{Bytes, Share};
use crate::value::ParamName;

/// What the verdict is made for. `minimize` and the rest of `[objective]`.
#[derive(Clone, Debug, PartialEq)]
pub struct Objective {
    /// What shall be small.
    pub minimize: Metric,
    /// How endpoints are combined.
    pub over: Over,
    /// The largest error rate of each endpoint.
    pub max_error_rate: Option<Share>,
    /// The slowest that quantiles may be, endpoint by endpoint.
    pub max_latency: Vec<MaxLatency>,
    /// The most memory that the tree may take at its peak.
    pub max_memory: Option<Bytes>,
    /// How many times the rate the recommended one must also carry.
    pub surge: Option<Surge>,
    /// What the user gives for less memory.
    pub accept: Accept,
    /// Differences below this are not worth resolving.
    pub min_effect: Share,
    /// The endpoints with their weights, in the order of the grid file.
    pub weights: Vec<(EndpointName, f64)>,
    /// What runs today; keeping it is preferred where nothing speaks against it.
    pub baseline: Option<Configuration>,
    /// The parameter that counts worker processes, for "fewer workers".
    pub workers: Option<ParamName>,
}

/// A limit on a quantile of response time at one endpoint.
#[derive(Clone, Debug, PartialEq)]
pub struct MaxLatency {
    /// Which quantile.
    pub quantile: Quantile,
    /// Where.
    pub endpoint: EndpointName,
    /// The slowest that it may be.
    pub at_most: Duration,
}

impl MaxLatency {
    /// The key of the grid file: `max_p95`.
    pub fn key(&self) -> String {
        format!("max_{}", Metric::Latency(self.quantile))
    }
}

/// What is minimised.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Metric {
    /// Mean response time.
    Mean,
    /// A quantile of response time.
    Latency(Quantile),
    /// Peak memory of the tree.
    Memory,
    /// CPU time of the tree.
    Cpu,
    /// From the start of a load with loops to its last answer.
    Duration,
}

/// A quantile of response time that can be asked for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Quantile {
    /// The median.
    P50,
    /// 90 %.
    P90,
    /// 95 %.
    P95,
    /// 99 %.
    P99,
}

impl Quantile {
    /// Between 0 and 1.
    pub fn fraction(self) -> f64 {
        match self {
            Self::P50 => 0.50,
            Self::P90 => 0.90,
            Self::P95 => 0.95,
            Self::P99 => 0.99,
        }
    }

    /// The fewest requests per endpoint and trial that carry this quantile: ten
    /// beyond it, as in 200 for p95.
    pub fn requests_needed(self) -> u64 {
        (10.0 / (1.0 - self.fraction())).round() as u64
    }
}

impl fmt::Display for Metric {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Mean => "mean",
            Self::Latency(Quantile::P50) => "p50",
            Self::Latency(Quantile::P90) => "p90",
            Self::Latency(Quantile::P95) => "p95",
            Self::Latency(Quantile::P99) => "p99",
            Self::Memory => "memory",
            Self::Cpu => "cpu",
            Self::Duration => "duration",
        })
    }
}

/// How the endpoints of a trial become one number.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Over {
    /// Geometric mean by weight.
    Geomean,
    /// The worst endpoint, as a ratio to the control.
    Worst,
    /// All requests in one histogram.
    Pooled,
}

impl fmt::Display for Over {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Geomean => "geomean",
            Self::Worst => "worst",
            Self::Pooled => "pooled",
        })
    }
}

/// By how much the recommended configuration may be worse than the best in
/// exchange for less memory. Where both are given, either suffices.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Accept {
    /// Relative to the best.
    pub relative: Option<Share>,
    /// In time; must hold at every endpoint.
    pub absolute: Option<Duration>,
}

impl fmt::Display for Accept {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let absolute = self.absolute.map(|time| format!("{time:?}"));
        match (self.relative, absolute) {
            (Some(share), Some(time)) => write!(f, "{share} or {time}"),
            (Some(share), None) => write!(f, "{share}"),
            (None, Some(time)) => f.write_str(&time),
            (None, None) => f.write_str("nothing"),
        }
    }
}
