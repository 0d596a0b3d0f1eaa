//! Quantiles of Student's t distribution.

use statrs::distribution::{ContinuousCDF, StudentsT};

/// The value that a t-distributed number with `degrees` of freedom exceeds with
/// probability `tail`. Infinite without a degree of freedom.
///
/// # Panics
/// When `tail` is not strictly between 0 and 1.
pub fn upper_quantile(tail: f64, degrees: f64) -> f64 {
    assert!(
        tail > 0.0 && tail < 1.0,
        "a tail is a probability strictly between 0 and 1"
    );
    match StudentsT::new(0.0, 1.0, degrees) {
        Ok(t) if degrees > 0.0 => t.inverse_cdf(1.0 - tail),
        _ => f64::INFINITY,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn agrees_with_printed_tables() {
        // Values of scipy.stats.t.isf, rounded to five digits.
        for (tail, degrees, expected) in [
            (0.05, 1.0, 6.31375),
            (0.05, 7.0, 1.89458),
            (0.0125, 4.0, 3.49541),
            (0.025, 29.0, 2.04523),
            (0.005, 3.0, 5.84091),
        ] {
            let value = upper_quantile(tail, degrees);
            assert!((value - expected).abs() < 2e-5, "{tail} {degrees}: {value}");
        }
        assert_eq!(upper_quantile(0.05, 0.0), f64::INFINITY);
    }
}
