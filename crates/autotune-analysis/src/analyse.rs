//! The one analysis.

use std::collections::BTreeMap;

use autotune_model::{ConfigId, DecisionKind, History, Metric, Objective, StopReason};

use crate::compare::{self, AgainstBest, FIRST_LOOK, Field, Moment};
use crate::outcome::{
    Analysis, ConfigAnalysis, Estimate, Exploratory, Feasibility, Noise, Reason, Standing, Verdict,
    VerdictWord,
};
use crate::sample::{Arm, Arms, arms, control, differences};
use crate::{drift, estimate, feasible, growth, noise, recommend};

/// From a history and an objective to everything that follows from them.
///
/// The history need not be complete and need not hold its per-second series:
/// the verdict is about what there is. Pure: no clock, no chance.
pub fn analyse(history: &History, objective: &Objective) -> Analysis {
    let arms = arms(history, objective);
    let control = control(history);
    let mut all: Vec<ConfigAnalysis> = arms
        .values()
        .map(|arm| describe(arm, objective, control))
        .collect();
    let feasible: Vec<ConfigId> = all
        .iter()
        .filter(|one| one.feasibility == Feasibility::Feasible)
        .map(|one| one.id)
        .collect();
    let complete_blocks = complete_blocks(&arms, &feasible);
    let alpha = compare::alpha(complete_blocks, moment(history));
    let noise = spread(&mut all, &arms, &feasible);
    let field = Field {
        arms: &arms,
        rivals: &feasible,
        alpha,
    };
    let comparisons = relate(&mut all, &field);
    let fewest_requests = fewest_requests(&arms);
    let mut verdict = judge(
        &mut all,
        &Reading {
            comparisons: &comparisons,
            objective,
        },
    );
    verdict.exploratory = exploratory(complete_blocks, fewest_requests, objective.minimize);
    verdict.memory_growth = verdict
        .recommended
        .and_then(|id| growth::growth(arms.get(&id)?));
    all.sort_by(by_rank);
    Analysis {
        metric: objective.minimize,
        over: objective.over,
        complete_blocks,
        confidence: 1.0 - alpha,
        restarts_observed: all.iter().map(|one| one.restarts).sum(),
        configurations: all,
        verdict,
        noise,
        drift: drift::drift(&arms, control, objective),
        fewest_requests,
    }
}

fn moment(history: &History) -> Moment {
    match history.decisions.last().map(|decision| &decision.kind) {
        // An answered study ended because of what was seen at its last look.
        Some(DecisionKind::Stopped {
            reason: StopReason::Answered,
        })
        | None => Moment::Underway,
        Some(DecisionKind::Stopped { .. }) => Moment::Ended,
        Some(DecisionKind::Planned { .. } | DecisionKind::BlockClosed { .. }) => Moment::Underway,
    }
}

/// What follows from one configuration alone.
fn describe(arm: &Arm<'_>, objective: &Objective, control: Option<ConfigId>) -> ConfigAnalysis {
    let id = arm.configuration.id();
    let launches = arm.tally();
    let endpoints = estimate::endpoints(arm);
    let footprint = estimate::footprint(arm);
    let limits = feasible::limits(objective, &endpoints);
    let logs: Vec<f64> = arm.measured().map(|(_, value)| value).collect();
    ConfigAnalysis {
        configuration: arm.configuration.clone(),
        id,
        is_baseline: objective
            .baseline
            .as_ref()
            .is_some_and(|baseline| baseline.id() == id),
        is_control: control == Some(id),
        launches,
        objective: estimate::geometric(&logs),
        ratio_to_best: None,
        bound_pct: None,
        bound_us: None,
        spread_pct: None,
        endpoints,
        memory: footprint.memory,
        memory_range: footprint.memory_range,
        memory_growth: growth::growth(arm),
        cpu_per_request: footprint.cpu_per_request,
        busy_pct: footprint.busy_pct,
        boot: footprint.boot,
        restarts: footprint.restarts,
        feasibility: feasible::feasibility(&launches, &limits),
        limits,
        standing: Standing::Unranked,
    }
}

/// Blocks in which every feasible configuration was measured.
fn complete_blocks(arms: &Arms<'_>, feasible: &[ConfigId]) -> u32 {
    let mut seen: BTreeMap<u32, usize> = BTreeMap::new();
    for arm in feasible.iter().filter_map(|id| arms.get(id)) {
        arm.measured()
            .for_each(|(launch, _)| *seen.entry(launch.block).or_default() += 1);
    }
    let complete = seen
        .values()
        .filter(|count| **count == feasible.len())
        .count();
    u32::try_from(complete).unwrap_or(u32::MAX)
}

fn spread(all: &mut [ConfigAnalysis], arms: &Arms<'_>, feasible: &[ConfigId]) -> Option<Noise> {
    let effects = noise::block_effects(arms, feasible);
    for one in all.iter_mut() {
        one.spread_pct = arms
            .get(&one.id)
            .and_then(|arm| noise::spread_pct(arm, &effects));
    }
    let ranked = all.iter().filter(|one| feasible.contains(&one.id));
    noise::noise(&ranked.filter_map(|one| one.spread_pct).collect::<Vec<_>>())
}

/// Fills in ratio and bounds against the best of the feasible ones.
fn relate(all: &mut [ConfigAnalysis], field: &Field<'_>) -> BTreeMap<ConfigId, AgainstBest> {
    let (arms, feasible) = (field.arms, field.rivals);
    let best = all
        .iter()
        .filter(|one| feasible.contains(&one.id))
        .min_by(|a, b| objective_of(a).total_cmp(&objective_of(b)))
        .map(|one| one.id);
    let best_arm = best.and_then(|id| arms.get(&id));
    let mut comparisons = BTreeMap::new();
    for one in all.iter_mut() {
        let (Some(arm), Some(best_arm)) = (arms.get(&one.id), best_arm) else {
            continue;
        };
        one.ratio_to_best = if Some(one.id) == best {
            Some(Estimate {
                value: 1.0,
                low: Some(1.0),
                high: Some(1.0),
            })
        } else {
            estimate::geometric(&differences(arm, best_arm))
        };
        if feasible.contains(&one.id) {
            let against = field.against_best(one.id);
            one.bound_pct = against.upper.map(|upper| upper.exp_m1() * 100.0);
            one.bound_us = field.against_best_us(one.id).upper;
            comparisons.insert(one.id, against);
        }
    }
    comparisons
}

fn objective_of(one: &ConfigAnalysis) -> f64 {
    one.objective
        .map_or(f64::INFINITY, |estimate| estimate.value)
}

/// How the comparisons with the best are read under an objective.
struct Reading<'a> {
    comparisons: &'a BTreeMap<ConfigId, AgainstBest>,
    objective: &'a Objective,
}

impl Reading<'_> {
    /// Not shown worse than the best. Shown worse, but by less than is worth
    /// telling apart, is a tie as well.
    fn is_tied(&self, one: &ConfigAnalysis) -> bool {
        let least = self.objective.min_effect.get().ln_1p();
        self.comparisons.get(&one.id).is_some_and(|against| {
            against.lower <= 0.0 || against.upper.is_some_and(|upper| upper <= least)
        })
    }

    fn is_within_accept(&self, one: &ConfigAnalysis) -> bool {
        recommend::is_within_accept(self.objective, one)
    }

    /// Shown worse than `accept` allows.
    fn is_worse(&self, one: &ConfigAnalysis) -> bool {
        let accept = self
            .objective
            .accept
            .relative
            .map_or(0.0, |share| share.get().ln_1p());
        self.comparisons
            .get(&one.id)
            .is_some_and(|against| against.lower > accept)
    }

    /// The choice, why, and whether it is shown within `accept`.
    fn choose<'a>(
        &self,
        feasible: &[&'a ConfigAnalysis],
    ) -> Option<(&'a ConfigAnalysis, Vec<Reason>, bool)> {
        let within: Vec<&ConfigAnalysis> = feasible
            .iter()
            .copied()
            .filter(|one| self.is_within_accept(one))
            .collect();
        let chosen = recommend::choose(self.objective, &within);
        chosen
            .map(|(one, why)| (one, why, true))
            .or_else(|| best_estimate(feasible).map(|one| (one, vec![Reason::BestEstimate], false)))
    }

    fn standing(&self, one: &ConfigAnalysis, verdict: &Verdict) -> Standing {
        if !self.comparisons.contains_key(&one.id) {
            Standing::Unranked
        } else if verdict.recommended == Some(one.id) {
            Standing::Recommended
        } else if verdict.tie_set.contains(&one.id) {
            Standing::Tied
        } else if self.is_within_accept(one) {
            Standing::WithinAccept
        } else if self.is_worse(one) {
            Standing::Worse
        } else {
            Standing::Open
        }
    }
}

/// Sets the standings and makes the verdict.
fn judge(all: &mut [ConfigAnalysis], reading: &Reading<'_>) -> Verdict {
    let feasible: Vec<&ConfigAnalysis> = all
        .iter()
        .filter(|one| reading.comparisons.contains_key(&one.id))
        .collect();
    let unknown = all
        .iter()
        .any(|one| matches!(one.feasibility, Feasibility::Unknown(_)));
    let Some((chosen, why, resolved)) = reading.choose(&feasible) else {
        return nothing_feasible();
    };
    let others = feasible.iter().copied().filter(|one| one.id != chosen.id);
    let mut tied: Vec<&ConfigAnalysis> = others.filter(|one| reading.is_tied(one)).collect();
    tied.sort_by(|a, b| by_rank(a, b));
    let is_open = |one: &&&ConfigAnalysis| {
        let decided = reading.is_within_accept(one) || reading.is_worse(one);
        !decided && recommend::is_lighter(one, chosen)
    };
    let verdict = Verdict {
        // What was never measured may be better than the best measured.
        word: match (resolved && !unknown, chosen.is_baseline) {
            (false, _) => VerdictWord::Unresolved,
            (true, true) => VerdictWord::KeepCurrent,
            (true, false) => VerdictWord::Recommended,
        },
        recommended: Some(chosen.id),
        tie_set: std::iter::once(chosen.id)
            .chain(tied.iter().map(|one| one.id))
            .collect(),
        bound_pct: chosen.bound_pct,
        bound_us: chosen.bound_us,
        why,
        lighter_open: feasible.iter().filter(is_open).map(|one| one.id).collect(),
        ..nothing_feasible()
    };
    all.iter_mut()
        .for_each(|one| one.standing = reading.standing(one, &verdict));
    verdict
}

/// Where none is shown within `accept`: the one that is best as far as is known,
/// by its ratio to the best over shared blocks. The smallest bound would favour
/// whatever happened to be launched most often.
fn best_estimate<'a>(feasible: &[&'a ConfigAnalysis]) -> Option<&'a ConfigAnalysis> {
    let ratio = |one: &ConfigAnalysis| one.ratio_to_best.map_or(f64::INFINITY, |e| e.value);
    feasible.iter().copied().min_by(|a, b| {
        let by_ratio = ratio(a).total_cmp(&ratio(b));
        by_ratio.then(objective_of(a).total_cmp(&objective_of(b)))
    })
}

fn nothing_feasible() -> Verdict {
    Verdict {
        word: VerdictWord::Infeasible,
        recommended: None,
        tie_set: Vec::new(),
        bound_pct: None,
        bound_us: None,
        exploratory: Vec::new(),
        why: Vec::new(),
        lighter_open: Vec::new(),
        memory_growth: None,
    }
}

fn fewest_requests(arms: &Arms<'_>) -> Option<u64> {
    let launches = arms
        .values()
        .flat_map(|arm| arm.measured().map(|(launch, _)| launch.record));
    let windows = launches.filter_map(|record| record.load.as_ref());
    windows
        .flat_map(|load| load.endpoints.iter().map(|one| one.window.scheduled))
        .min()
}

fn exploratory(blocks: u32, requests: Option<u64>, metric: Metric) -> Vec<Exploratory> {
    let mut reasons = Vec::new();
    if blocks < FIRST_LOOK {
        reasons.push(Exploratory::FewBlocks {
            have: blocks,
            need: FIRST_LOOK,
        });
    }
    if let (Metric::Latency(quantile), Some(have)) = (metric, requests) {
        let need = quantile.requests_needed();
        if have < need {
            reasons.push(Exploratory::FewRequests { have, need });
        }
    }
    reasons
}

/// Feasible ones by estimate, then the others by label.
fn by_rank(a: &ConfigAnalysis, b: &ConfigAnalysis) -> std::cmp::Ordering {
    let out = |one: &ConfigAnalysis| one.feasibility != Feasibility::Feasible;
    let value = |one: &ConfigAnalysis| if out(one) { 0.0 } else { objective_of(one) };
    out(a)
        .cmp(&out(b))
        .then(value(a).total_cmp(&value(b)))
        .then_with(|| a.configuration.label().cmp(b.configuration.label()))
}
