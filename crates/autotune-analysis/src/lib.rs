//! From a history and an objective to everything that follows from them.
//!
//! [`analyse`] is the one analysis: a live sweep, a resumed one, a report made
//! again and any later re-reading of a study call it, so there is one verdict.
//! It is pure: the same history gives the same analysis, byte for byte.
//!
//! The unit of analysis is the trial (one launch), not the request. Trials are
//! compared within blocks only; see [`compare`] for the bound and the tie set.

mod analyse;
pub mod compare;
mod dependency;
mod disturbed;
mod drift;
mod effects;
mod estimate;
mod feasible;
mod growth;
mod noise;
pub mod outcome;
mod recommend;
mod sample;
pub mod surge;
#[cfg(test)]
mod testing;

pub use analyse::analyse;
pub use dependency::{ALL_CPUS, busy_share, is_saturated};
pub use disturbed::Disturbance;
pub use feasible::requests_to_show;
pub use outcome::{
    Among, Analysis, ConfigAnalysis, DependencyBound, Disturbed, Drift, EndpointEstimate, Estimate,
    Exploratory, Feasibility, Launches, LimitCheck, LimitFigures, LimitState, MemoryGrowth, Noise,
    Reason, ServiceAnalysis, Standing, Verdict, VerdictWord,
};
