//! A robust slope: Theil 1950; Sen, "Estimates of the regression coefficient
//! based on Kendall's tau", JASA 63 (1968), with Sen's interval in the normal
//! approximation without ties.

use crate::describe::median;

/// A slope with its interval.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct TheilSen {
    /// The median of the slopes of all pairs of points.
    pub slope: f64,
    /// Lower end of the interval.
    pub low: f64,
    /// Upper end of the interval.
    pub high: f64,
}

/// The slope through points `(x, y)` with a 95 % interval; `None` below five
/// points (the normal approximation is not worth its name there) or when all
/// `x` are equal.
pub fn theil_sen(points: &[(f64, f64)]) -> Option<TheilSen> {
    if points.len() < 5 {
        return None;
    }
    let mut slopes = Vec::new();
    for (i, a) in points.iter().enumerate() {
        for b in &points[i + 1..] {
            if a.0 != b.0 {
                slopes.push((b.1 - a.1) / (b.0 - a.0));
            }
        }
    }
    slopes.sort_by(f64::total_cmp);
    let slope = median(&slopes)?;
    let n = points.len() as f64;
    // The variance of Kendall's S without ties; 1.96 is the normal quantile.
    let spread = 1.96 * (n * (n - 1.0) * (2.0 * n + 5.0) / 18.0).sqrt();
    let count = slopes.len() as f64;
    let low = ((count - spread) / 2.0).floor() - 1.0;
    let high = ((count + spread) / 2.0).ceil();
    let at = |index: f64| slopes[(index.max(0.0) as usize).min(slopes.len() - 1)];
    Some(TheilSen {
        slope,
        low: at(low),
        high: at(high),
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn one_outlier_does_not_move_a_line() {
        let mut points: Vec<_> = (0..9).map(|x| (f64::from(x), 2.0 * f64::from(x))).collect();
        points[4].1 = 500.0;
        let fit = theil_sen(&points).unwrap();
        assert!((fit.slope - 2.0).abs() < 1e-9);
        assert!(fit.low <= 2.0 && fit.high >= 2.0);
        assert_eq!(theil_sen(&points[..4]), None);
        assert_eq!(theil_sen(&[(1.0, 1.0); 6]), None);
    }
}
