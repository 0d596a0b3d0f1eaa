//! What is a configuration's and what is its block's: additive effects on a log,
//! by unweighted least squares.

use std::collections::BTreeMap;

use autotune_model::ConfigId;
use autotune_stats::mean;

use crate::sample::{Arm, Arms, Launch};

/// Sweeps of alternating means; where all were in all blocks the second changes
/// nothing, and a few missing launches take a dozen.
const SWEEPS: usize = 200;
/// A change of a log that is none.
const SETTLED: f64 = 1e-12;

/// The blocks' effects on a log; their mean over blocks is zero.
#[derive(Clone, Debug, Default, PartialEq)]
pub(crate) struct BlockEffects(BTreeMap<u32, f64>);

impl BlockEffects {
    /// Fits `value = configuration + block` over these configurations, by
    /// alternating means (Gauss-Seidel on the normal equations). A mean over
    /// whatever launches exist would favour whoever missed a slow block.
    pub(crate) fn fit(
        arms: &Arms<'_>,
        of: &[ConfigId],
        value: impl Fn(&Launch<'_>) -> Option<f64>,
    ) -> Self {
        let rows: Vec<Vec<(u32, f64)>> = of
            .iter()
            .filter_map(|id| arms.get(id))
            .map(|arm| values(arm, &value))
            .filter(|row| !row.is_empty())
            .collect();
        let mut effects = Self::default();
        for _ in 0..SWEEPS {
            let next = effects.improved(&rows);
            let change = next.0.iter().map(|(block, now)| now - effects.at(*block));
            let largest = change.map(f64::abs).fold(0.0, f64::max);
            effects = next;
            if largest < SETTLED {
                break;
            }
        }
        effects
    }

    /// The mean of a configuration's values without the blocks' effects.
    pub(crate) fn mean_of(
        &self,
        arm: &Arm<'_>,
        value: impl Fn(&Launch<'_>) -> Option<f64>,
    ) -> Option<f64> {
        self.level(&values(arm, &value))
    }

    /// The effect of a block; zero where it is unknown.
    pub(crate) fn at(&self, block: u32) -> f64 {
        self.0.get(&block).copied().unwrap_or(0.0)
    }

    fn level(&self, row: &[(u32, f64)]) -> Option<f64> {
        let rest: Vec<f64> = row.iter().map(|(block, v)| v - self.at(*block)).collect();
        mean(&rest)
    }

    fn improved(&self, rows: &[Vec<(u32, f64)>]) -> Self {
        let mut rest: BTreeMap<u32, Vec<f64>> = BTreeMap::new();
        for row in rows {
            let level = self.level(row).unwrap_or(0.0);
            for (block, value) in row {
                rest.entry(*block).or_default().push(value - level);
            }
        }
        let means = rest
            .iter()
            .filter_map(|(block, v)| Some((*block, mean(v)?)));
        let raw: BTreeMap<u32, f64> = means.collect();
        let middle = mean(&raw.values().copied().collect::<Vec<_>>()).unwrap_or(0.0);
        Self(raw.iter().map(|(block, v)| (*block, v - middle)).collect())
    }
}

fn values(arm: &Arm<'_>, value: &impl Fn(&Launch<'_>) -> Option<f64>) -> Vec<(u32, f64)> {
    let measured = arm.measured().map(|(launch, _)| launch);
    measured
        .filter_map(|launch| Some((launch.block, value(launch)?)))
        .collect()
}
