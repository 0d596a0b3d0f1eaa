//! Which configuration is recommended, and why this one.
//!
//! Among the feasible configurations that are shown within `accept` of the best,
//! the tie-break decides, step by step: limits shown to hold; least memory;
//! smallest spread between launches; fewest parameters changed from what runs
//! today; fewest workers; identity. Each step keeps all that are as good as the
//! best of it within its tolerance, and hands them to the next.

use autotune_model::{Bytes, Configuration, Objective};

use crate::outcome::{ConfigAnalysis, LimitFigures, LimitState, Reason};

/// Memory is equal within this share of the least …
const MEMORY_SHARE: f64 = 0.05;
/// … or within this much of it.
const MEMORY_BYTES: Bytes = Bytes::new(4 << 20);
/// Spreads are equal within this factor of the smallest.
const SPREAD_FACTOR: f64 = 1.5;

/// Whether the configuration is shown within `accept` of the best.
pub(crate) fn is_within_accept(objective: &Objective, one: &ConfigAnalysis) -> bool {
    let relative = objective.accept.relative.zip(one.bound_pct);
    let absolute = objective.accept.absolute.zip(one.bound_us);
    relative.is_some_and(|(accept, bound)| bound <= accept.percent())
        || absolute.is_some_and(|(accept, bound)| bound <= accept.as_secs_f64() * 1e6)
}

/// Whether the first needs so much less memory that it would win the tie-break.
pub(crate) fn is_lighter(first: &ConfigAnalysis, second: &ConfigAnalysis) -> bool {
    match (first.memory, second.memory) {
        (Some(first), Some(second)) => !is_memory_equal(first, second) && first < second,
        _ => false,
    }
}

/// The choice among those shown within `accept`, with the steps that decided.
/// `None` when there is none.
pub(crate) fn choose<'a>(
    objective: &Objective,
    candidates: &[&'a ConfigAnalysis],
) -> Option<(&'a ConfigAnalysis, Vec<Reason>)> {
    if let [only] = candidates {
        return Some((only, vec![Reason::OnlyOne]));
    }
    let mut why = Vec::new();
    let mut left = candidates.to_vec();
    for step in [
        limits_shown,
        least_memory,
        smallest_spread,
        fewest_changes,
        fewest_workers,
    ] {
        let (kept, reason) = step(objective, &left);
        if kept.len() < left.len() {
            why.extend(reason);
            left = kept;
        }
    }
    if left.len() > 1 {
        why.push(Reason::Identity);
    }
    let chosen = left.into_iter().min_by_key(|one| one.id)?;
    Some((chosen, why))
}

type Kept<'a> = (Vec<&'a ConfigAnalysis>, Option<Reason>);

fn limits_shown<'a>(_: &Objective, left: &[&'a ConfigAnalysis]) -> Kept<'a> {
    // The surge is asked of the chosen one, after the choice.
    let shown = |one: &&ConfigAnalysis| {
        let all = one
            .limits
            .iter()
            .filter(|check| !matches!(check.figures, LimitFigures::Surge { .. }))
            .all(|check| check.state == LimitState::Shown);
        all && one.launches.failed() == 0
    };
    let kept: Vec<_> = left.iter().copied().filter(|one| shown(one)).collect();
    if kept.is_empty() {
        (left.to_vec(), None)
    } else {
        (kept, Some(Reason::LimitsShown))
    }
}

fn least_memory<'a>(_: &Objective, left: &[&'a ConfigAnalysis]) -> Kept<'a> {
    let Some(least) = left.iter().filter_map(|one| one.memory).min() else {
        return (left.to_vec(), None);
    };
    let equal = |one: &ConfigAnalysis| one.memory.is_some_and(|m| is_memory_equal(least, m));
    let (kept, dropped): (Vec<&ConfigAnalysis>, Vec<&ConfigAnalysis>) =
        left.iter().copied().partition(|one| equal(one));
    let next = dropped.iter().filter_map(|one| one.memory).min();
    (
        kept,
        next.map(|next| Reason::LeastMemory {
            memory: least,
            next,
        }),
    )
}

fn is_memory_equal(least: Bytes, other: Bytes) -> bool {
    let more = other.get().abs_diff(least.get());
    more <= MEMORY_BYTES.get() || more as f64 <= MEMORY_SHARE * least.min(other).get() as f64
}

fn smallest_spread<'a>(_: &Objective, left: &[&'a ConfigAnalysis]) -> Kept<'a> {
    let spread = |one: &ConfigAnalysis| one.spread_pct.unwrap_or(f64::INFINITY);
    let least = left
        .iter()
        .map(|one| spread(one))
        .fold(f64::INFINITY, f64::min);
    let (kept, dropped): (Vec<&ConfigAnalysis>, Vec<&ConfigAnalysis>) = left
        .iter()
        .copied()
        .partition(|one| spread(one) <= least * SPREAD_FACTOR);
    let next = dropped
        .iter()
        .map(|one| spread(one))
        .fold(f64::INFINITY, f64::min);
    (
        kept,
        Some(Reason::SmallestSpread {
            spread_pct: least,
            next_pct: next,
        }),
    )
}

fn fewest_changes<'a>(objective: &Objective, left: &[&'a ConfigAnalysis]) -> Kept<'a> {
    let Some(baseline) = &objective.baseline else {
        return (left.to_vec(), None);
    };
    let (kept, fewest) = keep_least(left, |one| changes(baseline, &one.configuration) as i64);
    let changed = u32::try_from(fewest).unwrap_or(u32::MAX);
    (kept, Some(Reason::FewestChanges { changed }))
}

/// How many parameters differ; another server variant differs in one more.
fn changes(baseline: &Configuration, other: &Configuration) -> usize {
    let values = other.values().iter();
    let changed = values
        .filter(|(name, value)| baseline.value(name) != Some(value))
        .count();
    changed + usize::from(baseline.variant() != other.variant())
}

fn fewest_workers<'a>(objective: &Objective, left: &[&'a ConfigAnalysis]) -> Kept<'a> {
    let workers = |one: &ConfigAnalysis| {
        let name = objective.workers.as_ref()?;
        one.configuration.value(name)?.as_int()
    };
    let (kept, workers) = keep_least(left, |one| workers(one).unwrap_or(i64::MAX));
    (kept, Some(Reason::FewestWorkers { workers }))
}

fn keep_least<'a>(
    left: &[&'a ConfigAnalysis],
    key: impl Fn(&ConfigAnalysis) -> i64,
) -> (Vec<&'a ConfigAnalysis>, i64) {
    let least = left.iter().map(|one| key(one)).min().unwrap_or(i64::MAX);
    (
        left.iter()
            .copied()
            .filter(|one| key(one) == least)
            .collect(),
        least,
    )
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn memory_is_equal_within_five_percent_or_four_mebibytes() {
        let mib = |n: u64| Bytes::new(n << 20);
        for (least, other, expected) in [
            (mib(40), mib(44), true),
            (mib(40), mib(45), false),
            (mib(200), mib(210), true),
            (mib(200), mib(211), false),
        ] {
            assert_eq!(is_memory_equal(least, other), expected, "{least} {other}");
        }
    }
}
