//! Noise between launches of the same configuration, after block effects.

use autotune_stats::{median, variance};

use crate::effects::BlockEffects;
use crate::outcome::Noise;
use crate::sample::Arm;

/// Standard deviation of a configuration's log objective after block effects,
/// percent.
pub(crate) fn spread_pct(arm: &Arm<'_>, effects: &BlockEffects) -> Option<f64> {
    let rest: Vec<f64> = arm
        .measured()
        .map(|(launch, value)| value - effects.at(launch.block))
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
