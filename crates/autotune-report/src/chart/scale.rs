//! From values to pixels, with round ticks.

/// One axis: linear, or logarithmic where the values span much.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Scale {
    log: bool,
    low: f64,
    high: f64,
    from_px: i32,
    to_px: i32,
}

/// Beyond this ratio of largest to smallest a linear axis crowds the small ones.
const LOG_FROM: f64 = 3.0;
/// Room beyond the outermost values, as a share of the axis.
const MARGIN: f64 = 0.08;

impl Scale {
    /// An axis over positive values, drawn between two pixels. `None` where there
    /// is no value.
    pub(crate) fn over(values: &[f64], [from_px, to_px]: [i32; 2]) -> Option<Self> {
        let usable = values
            .iter()
            .copied()
            .filter(|value| value.is_finite() && *value > 0.0);
        let least = usable.clone().min_by(f64::total_cmp)?;
        let most = usable.max_by(f64::total_cmp)?;
        let log = most / least > LOG_FROM;
        let (low, high) = if log {
            let room = (most / least).powf(MARGIN);
            (least / room, most * room)
        } else {
            // A lone value gets an axis around it.
            let room = ((most - least) * MARGIN).max(most * 0.02);
            (least - room, most + room)
        };
        Some(Self {
            log,
            low,
            high,
            from_px,
            to_px,
        })
    }

    /// Where a value stands; beyond the ends, at the end.
    pub(crate) fn px(&self, value: f64) -> i32 {
        let share = if self.log {
            (value / self.low).ln() / (self.high / self.low).ln()
        } else {
            (value - self.low) / (self.high - self.low)
        };
        let length = f64::from(self.to_px - self.from_px);
        self.from_px + (share.clamp(0.0, 1.0) * length).round() as i32
    }

    /// Round values within the axis, ascending: at least two.
    pub(crate) fn ticks(&self) -> Vec<f64> {
        if self.log {
            let ticks = self.log_ticks();
            if ticks.len() >= 3 {
                return ticks;
            }
        }
        self.linear_ticks()
    }

    pub(crate) fn is_log(&self) -> bool {
        self.log
    }

    fn linear_ticks(&self) -> Vec<f64> {
        let rough = (self.high - self.low) / 5.0;
        let magnitude = 10f64.powf(rough.log10().floor());
        let steps = [1.0, 2.0, 5.0, 10.0];
        let step = steps
            .iter()
            .map(|step| step * magnitude)
            .find(|step| *step >= rough);
        let step = step.unwrap_or(10.0 * magnitude);
        let first = (self.low / step).ceil() as i64;
        let last = (self.high / step).floor() as i64;
        (first..=last).map(|number| number as f64 * step).collect()
    }

    fn log_ticks(&self) -> Vec<f64> {
        let decades = self.low.log10().floor() as i32..=self.high.log10().ceil() as i32;
        let all = decades.flat_map(|decade| [1.0, 2.0, 5.0].map(|step| step * 10f64.powi(decade)));
        all.filter(|tick| *tick >= self.low && *tick <= self.high)
            .collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn ticks_are_round() {
        let check = |values: &[f64], expected: &[f64]| {
            let ticks = Scale::over(values, [0, 100]).unwrap().ticks();
            assert_eq!(ticks.len(), expected.len(), "{values:?}: {ticks:?}");
            let near = |(have, wanted): (&f64, &f64)| (have - wanted).abs() < 1e-9;
            assert!(
                ticks.iter().zip(expected).all(near),
                "{values:?}: {ticks:?}"
            );
        };
        check(&[10.2, 14.0], &[10.0, 11.0, 12.0, 13.0, 14.0]);
        check(&[36.0, 210.0], &[50.0, 100.0, 200.0]);
        check(&[3.0], &[2.95, 3.0, 3.05]);
        assert!(Scale::over(&[], [0, 1]).is_none());
    }

    proptest! {
        #[test]
        fn an_axis_keeps_order_and_has_ticks(
            values in prop::collection::vec(1e-3f64..1e9, 1..20),
            from in 0i32..50,
            length in 50i32..800,
        ) {
            let scale = Scale::over(&values, [from, from + length]).unwrap();
            let mut sorted = values;
            sorted.sort_by(f64::total_cmp);
            let pixels: Vec<i32> = sorted.iter().map(|value| scale.px(*value)).collect();
            prop_assert!(pixels.is_sorted());
            prop_assert!(pixels.iter().all(|px| (from..=from + length).contains(px)));
            prop_assert!(scale.ticks().len() >= 2, "{scale:?}");
        }
    }
}
