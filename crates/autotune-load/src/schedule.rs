//! When requests of an open load are due: a pure stream of nanoseconds since
//! the schedule began, whatever the server does. Leaves the waiting to `clock`.

use autotune_model::{Arrivals, Rate, Seed};
use rand::SeedableRng;
use rand_distr::{Distribution, Exp1};
use rand_pcg::Pcg64Mcg;

const NS_PER_SECOND: u128 = 1_000_000_000;
/// Rates are taken to the millionth of a request a second.
const MICRO: u128 = 1_000_000;

/// The due times of one open load, ascending, without end.
#[derive(Clone, Debug)]
pub(crate) enum Schedule {
    /// Evenly spaced: due(i) = i / rate, in closed form, so that no error adds
    /// up over a night.
    Constant {
        /// The number of the next request.
        next: u64,
        /// Requests in a million seconds.
        micro_rate: u128,
    },
    /// A Poisson process: independent gaps, exponentially distributed.
    Poisson {
        /// When the last one was due.
        last_ns: f64,
        /// The mean gap.
        gap_ns: f64,
        /// Where the gaps come from.
        stream: Pcg64Mcg,
    },
}

impl Schedule {
    /// The arrivals at this rate; the seed matters to Poisson arrivals only.
    pub(crate) fn new(rate: Rate, arrivals: Arrivals, seed: Seed) -> Self {
        match arrivals {
            Arrivals::Constant => Self::Constant {
                next: 0,
                micro_rate: ((rate.get() * MICRO as f64).round() as u128).max(1),
            },
            Arrivals::Poisson => Self::Poisson {
                last_ns: 0.0,
                gap_ns: NS_PER_SECOND as f64 / rate.get(),
                stream: Pcg64Mcg::seed_from_u64(seed.value()),
            },
        }
    }
}

impl Iterator for Schedule {
    type Item = u64;

    fn next(&mut self) -> Option<u64> {
        Some(match self {
            Self::Constant { next, micro_rate } => {
                let due = u128::from(*next) * NS_PER_SECOND * MICRO / *micro_rate;
                *next += 1;
                u64::try_from(due).unwrap_or(u64::MAX)
            }
            Self::Poisson {
                last_ns,
                gap_ns,
                stream,
            } => {
                let gap: f64 = Exp1.sample(stream);
                // Exact to the nanosecond for the first 104 days.
                *last_ns += gap * *gap_ns;
                *last_ns as u64
            }
        })
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn due(rate: f64, arrivals: Arrivals, seed: u64) -> Schedule {
        Schedule::new(Rate::per_second(rate).unwrap(), arrivals, Seed::new(seed))
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
