//! Which endpoint is asked next: a seeded choice by weight. Leaves the times
//! to `schedule` and `users`.

use autotune_model::Seed;
use rand::{Rng, SeedableRng};
use rand_pcg::Pcg64Mcg;

/// The weights of all endpoints, summed up.
#[derive(Clone, Debug)]
pub(crate) struct Weights {
    /// The sum of the weights up to and including each endpoint.
    cumulative: Box<[f64]>,
}

impl Weights {
    /// At least one weight; all above zero and finite.
    pub(crate) fn new(weights: impl IntoIterator<Item = f64>) -> Self {
        let cumulative = weights
            .into_iter()
            .scan(0.0, |sum, weight| {
                *sum += weight;
                Some(*sum)
            })
            .collect();
        Self { cumulative }
    }

    /// The endpoint that the next number of the stream points to.
    pub(crate) fn pick(&self, stream: &mut ChoiceStream) -> u16 {
        let last = self.cumulative.len() - 1;
        let at = stream.unit() * self.cumulative[last];
        let index = self.cumulative.partition_point(|sum| *sum <= at).min(last);
        u16::try_from(index).expect("a plan with more endpoints is refused")
    }
}

/// One sequence of choices.
#[derive(Clone, Debug)]
pub(crate) struct ChoiceStream(Pcg64Mcg);

impl ChoiceStream {
    /// The same seed gives the same sequence.
    pub(crate) fn new(seed: Seed) -> Self {
        Self(Pcg64Mcg::seed_from_u64(seed.value()))
    }

    /// A whole number below this one, which is at least one. Below 2^32 the
    /// numbers are equally likely but for one part in two million.
    pub(crate) fn below(&mut self, bound: u64) -> u64 {
        ((self.unit() * bound as f64) as u64).min(bound - 1)
    }

    /// Uniform from 0 to below 1, in steps of 2^-53.
    fn unit(&mut self) -> f64 {
        (self.0.next_u64() >> 11) as f64 / (1u64 << 53) as f64
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn shares_follow_the_weights() {
        let weights = Weights::new([3.0, 1.0]);
        let mut stream = ChoiceStream::new(Seed::new(5));
        let picks: Vec<u16> = (0..10_000).map(|_| weights.pick(&mut stream)).collect();
        let first = picks.iter().filter(|index| **index == 0).count();
        // Expected 7,500 with a standard deviation of 43.
        assert!((7_280..7_720).contains(&first), "{first}");
    }

    proptest! {
        #[test]
        fn the_same_seed_gives_the_same_order(
            seed in any::<u64>(),
            weights in prop::collection::vec(0.01f64..100.0, 1..8),
        ) {
            let count = weights.len();
            let weights = Weights::new(weights);
            let order = |seed| {
                let mut stream = ChoiceStream::new(Seed::new(seed));
                (0..100).map(|_| weights.pick(&mut stream)).collect::<Vec<_>>()
            };
            prop_assert_eq!(order(seed), order(seed));
            prop_assert!(order(seed).iter().all(|index| usize::from(*index) < count));
            if count > 1 {
                // Two streams of 100 choices agree by chance only where one
                // endpoint has nearly all the weight.
                prop_assume!(weights.cumulative[0] / weights.cumulative[count - 1] < 0.8);
                prop_assume!(weights.cumulative[count - 2] / weights.cumulative[count - 1] > 0.2);
                prop_assert_ne!(order(seed), order(seed.wrapping_add(1)));
            }
        }
    }
}
