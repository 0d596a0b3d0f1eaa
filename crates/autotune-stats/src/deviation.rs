//! A bound of a standard deviation from a variance and its degrees of freedom:
//! that variance times the degrees over the true one is chi-squared (Helmert
//! 1876; Pearson 1900).

use statrs::distribution::{ChiSquared, ContinuousCDF};

/// What the true standard deviation of normal numbers does not exceed, at this
/// confidence. `None` without a degree of freedom.
pub fn deviation_upper_bound(variance: f64, degrees: f64, confidence: f64) -> Option<f64> {
    let distribution = ChiSquared::new(degrees).ok()?;
    let quantile = distribution.inverse_cdf(1.0 - confidence);
    (quantile > 0.0).then(|| (variance * degrees / quantile).sqrt())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn agrees_with_printed_tables() {
        // scipy.stats.chi2.ppf(0.2, 2) = 0.446287, ppf(0.05, 10) = 3.940299.
        for (degrees, confidence, quantile) in [(2.0, 0.8, 0.446_287), (10.0, 0.95, 3.940_299f64)] {
            let bound = deviation_upper_bound(4.0, degrees, confidence).unwrap();
            let expected = (4.0 * degrees / quantile).sqrt();
            assert!((bound - expected).abs() < 1e-4, "{bound} {expected}");
        }
        assert_eq!(deviation_upper_bound(1.0, 0.0, 0.8), None);
    }
}
