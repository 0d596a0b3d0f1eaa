//! When requests of an open load are due: a pure stream of nanoseconds since
//! the schedule began, whatever the server does. Leaves the waiting to `clock`.

use std::time::Duration;

use autotune_model::{Arrivals, Arriving, Seed};
use rand::SeedableRng;
use rand_distr::{Distribution, Exp1};
use rand_pcg::Pcg64Mcg;

use crate::curve::RateCurve;

/// The due times of the requests of one group, ascending, without end.
///
/// In both cases the times of a process with one request a second are taken to
/// where the integrated rate reaches them, in closed form: no error adds up over
/// a night, and a rate that changes is nothing special.
#[derive(Clone, Debug)]
pub(crate) struct Schedule {
    curve: RateCurve,
    /// The piece of the curve that the last request was in.
    piece: usize,
    process: Process,
}

/// Arrivals at one request a second.
#[derive(Clone, Debug)]
enum Process {
    /// At every whole second and this part of one.
    Constant { next: u64, part: f64 },
    /// Independent gaps, exponentially distributed.
    Poisson { last: f64, stream: Pcg64Mcg },
}

impl Schedule {
    /// The arrivals of a group; the seed matters to Poisson arrivals only. Evenly
    /// spaced ones begin with this part of a gap.
    pub(crate) fn new(who: &Arriving, (ramp, part): (Duration, f64), seed: Seed) -> Self {
        // A constant rate has no end; the length matters to steps only.
        let steps = who.rate.within(Duration::MAX);
        Self {
            curve: RateCurve::new(&steps, ramp),
            piece: 0,
            process: match who.arrivals {
                Arrivals::Constant => Process::Constant { next: 0, part },
                Arrivals::Poisson => Process::Poisson {
                    last: 0.0,
                    stream: Pcg64Mcg::seed_from_u64(seed.value()),
                },
            },
        }
    }
}

impl Iterator for Schedule {
    type Item = u64;

    fn next(&mut self) -> Option<u64> {
        let count = match &mut self.process {
            Process::Constant { next, part } => {
                let count = *next as f64 + *part;
                *next += 1;
                count
            }
            Process::Poisson { last, stream } => {
                let gap: f64 = Exp1.sample(stream);
                *last += gap;
                *last
            }
        };
        Some(self.curve.due_ns(&mut self.piece, count))
    }
}

#[cfg(test)]
mod tests {
    use autotune_model::{Levels, Rate};
    use proptest::prelude::*;

    use super::*;
    use crate::curve::tests::step;

    const MICRO: u128 = 1_000_000;

    const NO_RAMP: (Duration, f64) = (Duration::ZERO, 0.0);

    fn due(rate: f64, arrivals: Arrivals, seed: u64) -> Schedule {
        let rate = Levels::Constant(Rate::per_second(rate).unwrap());
        Schedule::new(&Arriving { rate, arrivals }, NO_RAMP, Seed::new(seed))
    }

    #[test]
    fn constant_arrivals_do_not_drift() {
        let third: Vec<u64> = due(3.0, Arrivals::Constant, 0).take(4).collect();
        assert_eq!(third, [0, 333_333_333, 666_666_666, 1_000_000_000]);
        let slow: Vec<u64> = due(0.5, Arrivals::Constant, 0).take(3).collect();
        assert_eq!(slow, [0, 2_000_000_000, 4_000_000_000]);
        // After a day at 7 a second the time is still exact.
        let mut day = due(7.0, Arrivals::Constant, 0);
        assert_eq!(day.nth(7 * 86_400), Some(86_400_000_000_000));
    }

    #[test]
    fn poisson_gaps_have_mean_and_spread_of_an_exponential() {
        let times: Vec<u64> = due(100.0, Arrivals::Poisson, 3).take(20_001).collect();
        let gaps: Vec<f64> = times
            .windows(2)
            .map(|pair| (pair[1] - pair[0]) as f64 / 1e9)
            .collect();
        let mean = gaps.iter().sum::<f64>() / gaps.len() as f64;
        let variance = gaps.iter().map(|gap| (gap - mean).powi(2)).sum::<f64>() / gaps.len() as f64;
        assert!((mean * 100.0 - 1.0).abs() < 0.03, "{mean}");
        assert!((variance.sqrt() / mean - 1.0).abs() < 0.05, "{variance}");
    }

    #[test]
    fn poisson_arrivals_follow_a_rate_that_changes() {
        // A climb of 400 s, 500 s at the level, then down within 400 s; within four
        // standard deviations each.
        let who = Arriving {
            rate: Levels::Steps(vec![step(100.0, 900.0), step(20.0, 500.0)]),
            arrivals: Arrivals::Poisson,
        };
        let times = |seed| Schedule::new(&who, (Duration::from_secs(400), 0.0), Seed::new(seed));
        let count = |from: f64, to: f64| {
            let within = times(5)
                .skip_while(|due| *due < (from * 1e9) as u64)
                .take_while(|due| *due < (to * 1e9) as u64);
            within.count() as f64
        };
        let near = |found: f64, expected: f64| {
            let off = (found - expected).abs() / expected.sqrt();
            assert!(off < 4.0, "{found} for {expected}");
        };
        near(count(0.0, 400.0), 20_000.0);
        near(count(0.0, 200.0), 5_000.0);
        near(count(400.0, 900.0), 50_000.0);
        // Down within 400 s, from 100 to 20: 60 on average.
        near(count(900.0, 1300.0), 24_000.0);
        near(count(1300.0, 1400.0), 2_000.0);
        let first: Vec<u64> = times(5).take(99).collect();
        assert_eq!(first, times(5).take(99).collect::<Vec<_>>());
        assert_ne!(first, times(6).take(99).collect::<Vec<_>>());
    }

    proptest! {
        #[test]
        fn the_same_seed_gives_the_same_ascending_times(
            seed in any::<u64>(),
            rate in 0.1f64..50_000.0,
            poisson in any::<bool>(),
        ) {
            let arrivals = if poisson { Arrivals::Poisson } else { Arrivals::Constant };
            let once: Vec<u64> = due(rate, arrivals, seed).take(200).collect();
            let again: Vec<u64> = due(rate, arrivals, seed).take(200).collect();
            prop_assert_eq!(&once, &again);
            prop_assert!(once.is_sorted());
            if poisson {
                let other: Vec<u64> = due(rate, arrivals, seed.wrapping_add(1)).take(200).collect();
                prop_assert_ne!(&once, &other);
            }
        }

        #[test]
        fn a_constant_rate_keeps_its_promise(micro_rate in 100_000u64..5_000_000_000, seconds in 1u64..100) {
            let rate = micro_rate as f64 / 1e6;
            let until = seconds * 1_000_000_000;
            let expected = (u128::from(seconds) * u128::from(micro_rate)).div_ceil(MICRO);
            prop_assume!(expected < 200_000);
            let count = due(rate, Arrivals::Constant, 0).take_while(|due| *due < until).count();
            prop_assert_eq!(count as u128, expected);
        }
    }
}
