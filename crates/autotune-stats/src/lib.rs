//! Tests, intervals and slopes: pure functions, one method a file, with the
//! source of each formula. Nothing here knows what a trial is.

pub mod binomial;
pub mod describe;
pub mod deviation;
pub mod paired;
pub mod slope;
pub mod student;

pub use binomial::{lower_bound, tries_needed, upper_bound};
pub use describe::{mean, median, variance};
pub use deviation::deviation_upper_bound;
pub use paired::PairedDifferences;
pub use slope::{TheilSen, theil_sen};
