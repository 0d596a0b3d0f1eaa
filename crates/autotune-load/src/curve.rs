//! A rate that changes over time, and when a count of requests is reached: the
//! inverse of the integrated rate, in closed form. Pure.

use std::time::Duration;

use autotune_model::{Rate, Step};

const NS_PER_SECOND: f64 = 1e9;
/// What rounding may take from a time before it is cut to whole nanoseconds.
const ROUNDING_NS: f64 = 1e-3;

/// A piece over which the rate changes evenly, or not at all.
#[derive(Clone, Copy, Debug)]
struct Piece {
    start_ns: f64,
    /// Requests that are due before it.
    before: f64,
    /// The same at its end; without end for the last one.
    until: f64,
    /// The rate at its start, a second.
    from: f64,
    /// By how much the rate grows in a second.
    slope: f64,
}

/// The rate of an open load at every time; the last level has no end.
#[derive(Clone, Debug)]
pub(crate) struct RateCurve {
    pieces: Box<[Piece]>,
}

impl RateCurve {
    /// From zero to the first level, and from each level to the next one, within
    /// `ramp` each time.
    pub(crate) fn new(steps: &[Step<Rate>], ramp: Duration) -> Self {
        let ramp_ns = ramp.as_nanos() as f64;
        let mut pieces = Vec::new();
        let (mut start_ns, mut before, mut level) = (0.0, 0.0, 0.0);
        for (number, step) in (1..).zip(steps) {
            let target = step.level.get();
            let length_ns = step.length.as_nanos() as f64;
            let change_ns = ramp_ns.min(length_ns);
            let mut add = |from: f64, length_ns: f64| {
                let seconds = length_ns / NS_PER_SECOND;
                let until = before + (from + target) / 2.0 * seconds;
                pieces.push(Piece {
                    start_ns,
                    before,
                    until,
                    from,
                    slope: (target - from) / seconds,
                });
                before = until;
                start_ns += length_ns;
            };
            if change_ns > 0.0 && target != level {
                add(level, change_ns);
                if change_ns < length_ns {
                    add(target, length_ns - change_ns);
                }
            } else if length_ns > 0.0 {
                add(target, length_ns);
            }
            if number == steps.len() {
                pieces.push(Piece {
                    start_ns,
                    before,
                    until: f64::INFINITY,
                    from: target,
                    slope: 0.0,
                });
            }
            level = target;
        }
        Self {
            pieces: pieces.into(),
        }
    }

    /// When so many requests are due before. Counts are asked for in ascending
    /// order; `at` is the piece of the last one, at first 0.
    pub(crate) fn due_ns(&self, at: &mut usize, count: f64) -> u64 {
        while self.pieces[*at].until <= count {
            *at += 1;
        }
        let piece = &self.pieces[*at];
        // from s + slope s^2 / 2 = n, solved for s without a difference of
        // numbers that are nearly the same.
        let n = count - piece.before;
        let root = (piece.from * piece.from + 2.0 * piece.slope * n).max(0.0);
        let twice = piece.from + root.sqrt();
        let since_ns = if n > 0.0 {
            2.0 * NS_PER_SECOND * n / twice
        } else {
            0.0
        };
        (piece.start_ns + since_ns + ROUNDING_NS) as u64
    }
}

#[cfg(test)]
pub(crate) mod tests {
    use proptest::prelude::*;

    use super::*;

    pub(crate) fn step(per_second: f64, seconds: f64) -> Step<Rate> {
        Step {
            level: Rate::per_second(per_second).unwrap(),
            length: Duration::from_secs_f64(seconds),
        }
    }

    /// The integral of the rate, by small slices: nothing of the code above.
    fn count_by(steps: &[Step<Rate>], ramp: f64, until: f64) -> f64 {
        let rate_at = |time: f64| {
            let (mut start, mut level) = (0.0, 0.0);
            for (index, step) in steps.iter().enumerate() {
                let length = step.length.as_secs_f64();
                if time < start + length || index + 1 == steps.len() {
                    let way = ((time - start) / ramp.max(1e-12)).min(1.0);
                    return level + (step.level.get() - level) * way;
                }
                start += length;
                level = step.level.get();
            }
            level
        };
        let slices = 20_000;
        let width = until / f64::from(slices);
        let middles = (0..slices).map(|slice| (f64::from(slice) + 0.5) * width);
        middles.map(|middle| rate_at(middle) * width).sum()
    }

    fn due(curve: &RateCurve) -> impl Iterator<Item = u64> {
        let mut at = 0;
        (0u32..).map(move |count| curve.due_ns(&mut at, f64::from(count)))
    }

    #[test]
    fn a_climb_from_zero_is_the_root_of_the_count() {
        // 10 a second after 10 s: t^2 / 2 requests at t, so the i-th at
        // sqrt(2 i), up to the 50th; then one every 100 ms.
        let curve = RateCurve::new(&[step(10.0, 100.0)], Duration::from_secs(10));
        let times: Vec<u64> = due(&curve).take(53).collect();
        assert_eq!(times[0], 0);
        assert_eq!(times[2], 2_000_000_000);
        assert_eq!(times[8], 4_000_000_000);
        assert_eq!(times[50], 10_000_000_000);
        assert_eq!(times[52], 10_200_000_000);
    }

    #[test]
    fn steps_follow_each_other_and_the_last_one_goes_on() {
        let steps = [step(2.0, 2.0), step(1.0, 2.0)];
        let times: Vec<u64> = due(&RateCurve::new(&steps, Duration::ZERO))
            .take(9)
            .collect();
        let expected = [0.0, 0.5, 1.0, 1.5, 2.0, 3.0, 4.0, 5.0, 6.0];
        assert_eq!(times, expected.map(|seconds| (seconds * 1e9) as u64));
    }

    proptest! {
        /// As many requests are due before a time as the rate gives up to it.
        #[test]
        fn the_count_up_to_a_time_is_the_integral(
            levels in prop::collection::vec((1.0f64..200.0, 1u32..6), 1..5),
            ramp in 0.0f64..1.0,
            share in 0.05f64..1.0,
        ) {
            let steps: Vec<_> = levels
                .iter()
                .map(|(level, seconds)| step(*level, f64::from(*seconds)))
                .collect();
            let length: f64 = steps.iter().map(|step| step.length.as_secs_f64()).sum();
            let until = length * share;
            let curve = RateCurve::new(&steps, Duration::from_secs_f64(ramp));
            let before = due(&curve).take_while(|due| *due < (until * 1e9) as u64).count();
            let integral = count_by(&steps, ramp, until);
            // The slices miss a little where the rate jumps.
            let missed = 200.0 * until / 20_000.0 * 10.0;
            prop_assert!(
                (before as f64 - integral.ceil()).abs() <= 1.0 + missed,
                "{before} for {integral}"
            );
            prop_assert!(due(&curve).take(500).collect::<Vec<_>>().is_sorted());
        }
    }
}
