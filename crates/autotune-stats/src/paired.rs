//! The mean of paired differences with one-sided bounds (Student, "The probable
//! error of a mean", Biometrika 6, 1908).
//!
//! Pairing within a block removes what the block shares; the variance is taken
//! from the differences themselves, so each pair of arms has its own noise.

use crate::describe::{mean, variance};
use crate::student::upper_quantile;

/// Differences of two arms, one for each block that both were in.
#[derive(Clone, Debug, PartialEq)]
pub struct PairedDifferences {
    mean: f64,
    standard_error: Option<f64>,
    blocks: usize,
}

impl PairedDifferences {
    /// From the differences; `None` when there is none.
    pub fn new(differences: &[f64]) -> Option<Self> {
        let standard_error =
            variance(differences).map(|variance| (variance / differences.len() as f64).sqrt());
        Some(Self {
            mean: mean(differences)?,
            standard_error,
            blocks: differences.len(),
        })
    }

    /// The mean difference.
    pub fn mean(&self) -> f64 {
        self.mean
    }

    /// How many blocks.
    pub fn blocks(&self) -> usize {
        self.blocks
    }

    /// What the true mean difference does not exceed, except with probability
    /// `tail`. Infinite with one block.
    pub fn upper(&self, tail: f64) -> f64 {
        self.mean + self.margin(tail)
    }

    /// What the true mean difference is not below, except with probability
    /// `tail`. Infinite with one block.
    pub fn lower(&self, tail: f64) -> f64 {
        self.mean - self.margin(tail)
    }

    fn margin(&self, tail: f64) -> f64 {
        match self.standard_error {
            None => f64::INFINITY,
            Some(error) => error * upper_quantile(tail, (self.blocks - 1) as f64),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn bounds_of_a_known_sample() {
        // scipy: ttest_1samp([1,2,3,4]).confidence_interval(0.90) = (0.98091, 4.01909)
        let pairs = PairedDifferences::new(&[1.0, 2.0, 3.0, 4.0]).unwrap();
        assert!((pairs.lower(0.05) - 0.980_91).abs() < 1e-5);
        assert!((pairs.upper(0.05) - 4.019_09).abs() < 1e-5);
        assert_eq!(
            PairedDifferences::new(&[1.0]).unwrap().upper(0.05),
            f64::INFINITY
        );
        assert_eq!(PairedDifferences::new(&[]), None);
    }
}
