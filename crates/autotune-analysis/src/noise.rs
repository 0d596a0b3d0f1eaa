//! Noise between launches of the same configuration, after block effects.

use std::collections::BTreeMap;

use autotune_model::ConfigId;
use autotune_stats::{mean, median, variance};

use crate::outcome::Noise;
use crate::sample::{Arm, Arms};

/// The mean log objective of each block, over the configurations that are in
/// all blocks in which anything of these was measured: its ups and downs are the
/// blocks'.
pub(crate) fn block_effects(arms: &Arms<'_>, of: &[ConfigId]) -> BTreeMap<u32, f64> {
    let mut by_block: BTreeMap<u32, Vec<(ConfigId, f64)>> = BTreeMap::new();
    for id in of {
        for (launch, value) in arms.get(id).into_iter().flat_map(Arm::measured) {
            by_block.entry(launch.block).or_default().push((*id, value));
        }
    }
    let blocks = by_block.len();
    let always: Vec<ConfigId> = of
        .iter()
        .filter(|id| {
            arms.get(id)
                .is_some_and(|arm| arm.measured().count() == blocks)
        })
        .copied()
        .collect();
    let effect = |values: &Vec<(ConfigId, f64)>| {
        let kept: Vec<f64> = values
            .iter()
            .filter(|(id, _)| always.contains(id))
            .map(|(_, value)| *value)
            .collect();
        mean(&kept)
    };
    by_block
        .iter()
        .filter_map(|(block, values)| Some((*block, effect(values)?)))
        .collect()
}

/// Standard deviation of a configuration's log objective after block effects,
/// percent.
pub(crate) fn spread_pct(arm: &Arm<'_>, effects: &BTreeMap<u32, f64>) -> Option<f64> {
    let rest: Vec<f64> = arm
        .measured()
        .map(|(launch, value)| value - effects.get(&launch.block).copied().unwrap_or(0.0))
        .collect();
    variance(&rest).map(|variance| variance.sqrt() * 100.0)
}

/// Over all configurations with a spread.
pub(crate) fn noise(spreads: &[f64]) -> Option<Noise> {
    Some(Noise {
        median_pct: median(spreads)?,
        least_pct: spreads.iter().copied().fold(f64::INFINITY, f64::min),
        most_pct: spreads.iter().copied().fold(0.0, f64::max),
    })
}
