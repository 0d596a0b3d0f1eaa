//! Drift: how the control changed from the first block to the last.

use autotune_model::{ConfigId, Objective};
use autotune_stats::theil_sen;

use crate::outcome::Drift;
use crate::sample::Arms;

/// From the control's launches by block; `None` below five of them. Blocks and
/// not clocks: a clock since boot begins anew when the machine does, and a wall
/// clock counts the time in which the sweep did not run.
pub(crate) fn drift(
    arms: &Arms<'_>,
    control: Option<ConfigId>,
    objective: &Objective,
) -> Option<Drift> {
    let arm = arms.get(&control?)?;
    let points: Vec<(f64, f64)> = arm
        .measured()
        .map(|(launch, value)| (f64::from(launch.block), value))
        .collect();
    let first = points
        .iter()
        .map(|point| point.0)
        .fold(f64::INFINITY, f64::min);
    let last = points
        .iter()
        .map(|point| point.0)
        .fold(f64::NEG_INFINITY, f64::max);
    let fit = theil_sen(&points)?;
    let percent = |slope: f64| (slope * (last - first)).exp_m1() * 100.0;
    let (low_pct, high_pct) = (percent(fit.low), percent(fit.high));
    let total_pct = percent(fit.slope);
    let beyond = total_pct.abs() >= objective.min_effect.percent();
    let noticeable = beyond && (low_pct > 0.0 || high_pct < 0.0);
    Some(Drift {
        total_pct,
        low_pct,
        high_pct,
        noticeable,
    })
}
