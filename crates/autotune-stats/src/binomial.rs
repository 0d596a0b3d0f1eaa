//! Bounds of a probability from a count: Clopper and Pearson, "The use of
//! confidence or fiducial limits illustrated in the case of the binomial",
//! Biometrika 26 (1934). Exact: one in 2,500 is not two in 2,500.

use statrs::distribution::{Beta, ContinuousCDF};

/// The one-sided upper bound of the probability after `hits` in `of` tries, at
/// this confidence. 1 without a try.
pub fn upper_bound(hits: u64, of: u64, confidence: f64) -> f64 {
    if hits >= of {
        return 1.0;
    }
    quantile(hits as f64 + 1.0, (of - hits) as f64, confidence).unwrap_or(1.0)
}

/// The one-sided lower bound of the probability after `hits` in `of` tries, at
/// this confidence. 0 without a hit.
pub fn lower_bound(hits: u64, of: u64, confidence: f64) -> f64 {
    if hits == 0 || of == 0 {
        return 0.0;
    }
    let misses = of.saturating_sub(hits) as f64 + 1.0;
    quantile(hits as f64, misses, 1.0 - confidence).unwrap_or(0.0)
}

/// How many tries without a hit show, at this confidence, that the probability is
/// at most this: the least n with (1 - p)^n at most 1 - confidence. `None` for a
/// probability that no number of tries shows.
pub fn tries_needed(at_most: f64, confidence: f64) -> Option<u64> {
    if at_most >= 1.0 {
        return Some(0);
    }
    let tries = (1.0 - confidence).ln() / (-at_most).ln_1p();
    (at_most > 0.0 && tries.is_finite()).then_some(tries.ceil() as u64)
}

fn quantile(a: f64, b: f64, probability: f64) -> Option<f64> {
    Beta::new(a, b)
        .ok()
        .map(|beta| beta.inverse_cdf(probability))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn agrees_with_printed_values() {
        // scipy.stats.beta.ppf; the first is 1 - 0.05^(1/n), the "rule of three".
        for (value, expected) in [
            (upper_bound(0, 3000, 0.95), 1.0 - 0.05f64.powf(1.0 / 3000.0)),
            (upper_bound(1, 2500, 0.95), 0.001_896_13),
            (upper_bound(2, 2500, 0.95), 0.002_516_15),
            (lower_bound(5, 10, 0.95), 0.222_441_1),
        ] {
            assert!((value - expected).abs() < 2e-6, "{value} {expected}");
        }
        assert_eq!(upper_bound(0, 0, 0.95), 1.0);
        assert_eq!(lower_bound(0, 10, 0.95), 0.0);
        assert_eq!(upper_bound(10, 10, 0.95), 1.0);
    }

    #[test]
    fn so_many_tries_are_just_enough() {
        for (at_most, expected) in [(0.001, 2995), (0.01, 299), (0.05, 59), (0.5, 5)] {
            assert_eq!(tries_needed(at_most, 0.95), Some(expected));
            assert!(upper_bound(0, expected, 0.95) <= at_most);
            assert!(upper_bound(0, expected - 1, 0.95) > at_most);
        }
        assert_eq!(tries_needed(1.0, 0.95), Some(0));
        assert_eq!(tries_needed(0.0, 0.95), None);
    }
}
