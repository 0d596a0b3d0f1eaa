//! The one analysis.

use std::collections::BTreeMap;

use autotune_model::{ConfigId, DecisionKind, History, Metric, Objective, StopReason};

use crate::compare::{self, AgainstBest, FIRST_LOOK, Field, Moment};
use crate::effects::BlockEffects;
use crate::outcome::{
    Analysis, ConfigAnalysis, DependencyBound, Estimate, Exploratory, Feasibility, Noise, Reason,
    Standing, Verdict, VerdictWord,
};
use crate::sample::{Arm, Arms, Launch, arms, differences};
use crate::{dependency, disturbed, drift, estimate, feasible, growth, noise, recommend, surge};

/// From a history and an objective to everything that follows from them.
///
/// The history need not be complete and need not hold its per-second series:
/// the verdict is about what there is. Pure: no clock, no chance.
pub fn analyse(history: &History, objective: &Objective) -> Analysis {
    let arms = arms(history, objective);
    let asked = Asked {
        objective,
        control: history.control(),
        surge: surge::Launches::of(history, objective),
    };
    let all = arms.values().map(|arm| describe(arm, &asked));
    let mut all: Vec<ConfigAnalysis> = all.collect();
    let feasible: Vec<ConfigId> = all
        .iter()
        .filter(|one| one.feasibility == Feasibility::Feasible)
        .map(|one| one.id)
        .collect();
    let complete_blocks = complete_blocks(&arms, &feasible);
    let noise = settle(&mut all, &arms, &feasible);
    let alpha = compare::alpha(compare::blocks(history), moment(history));
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
    if let Some(bound) = dependency::bound(&arms, (&all, &verdict)) {
        verdict = waits_for(bound, &mut all);
    }
    verdict.exploratory = exploratory(complete_blocks, fewest_requests, objective.minimize);
    verdict.memory_growth = verdict
        .recommended
        .and_then(|id| growth::growth(arms.get(&id)?));
    verdict.against_baseline = against_baseline(&arms, &verdict, objective);
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
        drift: drift::drift(&arms, asked.control, objective),
        disturbed: disturbed::disturbed(history),
        services: dependency::describe(&arms),
        fewest_requests,
    }
}

fn moment(history: &History) -> Moment {
    match history.decisions.last().map(|decision| &decision.kind) {
        // An answered study ended because of what was seen at its last look.
        Some(
            DecisionKind::Stopped {
                reason: StopReason::Answered,
            }
            | DecisionKind::Compared {
                reason: StopReason::Answered,
            },
        )
        | None => Moment::Underway,
        Some(DecisionKind::Stopped { .. } | DecisionKind::Compared { .. }) => Moment::Ended,
        Some(
            DecisionKind::Planned { .. } | DecisionKind::BlockClosed { .. } | DecisionKind::Resumed,
        ) => Moment::Underway,
    }
}

/// What a configuration is described for.
struct Asked<'a> {
    objective: &'a Objective,
    control: Option<ConfigId>,
    surge: surge::Launches,
}

/// What follows from one configuration alone.
fn describe(arm: &Arm<'_>, asked: &Asked<'_>) -> ConfigAnalysis {
    let objective = asked.objective;
    let id = arm.configuration.id();
    let launches = arm.tally();
    let endpoints = estimate::endpoints(arm);
    let footprint = estimate::footprint(arm);
    let mut limits = feasible::limits(objective, arm, &endpoints);
    limits.extend(asked.surge.check(id));
    ConfigAnalysis {
        configuration: arm.configuration.clone(),
        id,
        is_baseline: objective
            .baseline
            .as_ref()
            .is_some_and(|baseline| baseline.id() == id),
        is_control: asked.control == Some(id),
        launches,
        objective: None,
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

/// Fills in what needs the blocks' effects: objective, endpoints, spread.
///
/// The effects are those of the feasible ones; what fails says little of the
/// machine. The interval about the objective keeps the blocks' ups and downs, for
/// it says where the next launch's block may lie.
fn settle(all: &mut [ConfigAnalysis], arms: &Arms<'_>, feasible: &[ConfigId]) -> Option<Noise> {
    let objective = |launch: &Launch<'_>| launch.log_objective;
    let effects = BlockEffects::fit(arms, feasible, objective);
    for one in all.iter_mut() {
        let Some(arm) = arms.get(&one.id) else {
            continue;
        };
        let logs: Vec<f64> = arm.measured().map(|(_, value)| value).collect();
        let middle = effects.mean_of(arm, objective);
        one.objective = middle.and_then(|middle| estimate::around(middle, &logs));
        one.spread_pct = noise::spread_pct(arm, &effects);
    }
    let endpoints = all.iter().map(|one| one.endpoints.len()).max();
    for index in 0..endpoints.unwrap_or(0) {
        let log_us =
            |launch: &Launch<'_>| Some(launch.endpoints_us.get(index).copied().flatten()?.ln());
        let effects = BlockEffects::fit(arms, feasible, log_us);
        for one in all.iter_mut() {
            let arm = arms.get(&one.id);
            if let Some((endpoint, arm)) = one.endpoints.get_mut(index).zip(arm) {
                endpoint.value_us = effects.mean_of(arm, log_us).map(f64::exp);
            }
        }
    }
    let ranked = all.iter().filter(|one| feasible.contains(&one.id));
    noise::noise(&ranked.filter_map(|one| one.spread_pct).collect::<Vec<_>>())
}

/// Fills in ratio and bounds against the best of the feasible ones.
fn relate(all: &mut [ConfigAnalysis], field: &Field<'_>) -> BTreeMap<ConfigId, Comparison> {
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
            let relative = field.against_best(one.id);
            let absolute_us = field.against_best_us(one.id);
            one.bound_pct = relative.upper.map(|upper| upper.exp_m1() * 100.0);
            one.bound_us = absolute_us.upper;
            let comparison = Comparison {
                relative,
                absolute_us,
            };
            comparisons.insert(one.id, comparison);
        }
    }
    comparisons
}

fn objective_of(one: &ConfigAnalysis) -> f64 {
    one.objective
        .map_or(f64::INFINITY, |estimate| estimate.value)
}

/// A configuration against the best, as a log ratio and in time.
struct Comparison {
    relative: AgainstBest,
    absolute_us: AgainstBest,
}

/// How the comparisons with the best are read under an objective.
struct Reading<'a> {
    comparisons: &'a BTreeMap<ConfigId, Comparison>,
    objective: &'a Objective,
}

impl Reading<'_> {
    /// Not shown worse than the best. Shown worse, but by less than is worth
    /// telling apart, is a tie as well.
    fn is_tied(&self, one: &ConfigAnalysis) -> bool {
        let least = self.objective.min_effect.get().ln_1p();
        self.comparisons.get(&one.id).is_some_and(|comparison| {
            let against = comparison.relative;
            against.lower <= 0.0 || against.upper.is_some_and(|upper| upper <= least)
        })
    }

    fn is_within_accept(&self, one: &ConfigAnalysis) -> bool {
        recommend::is_within_accept(self.objective, one)
    }

    /// Shown worse than `accept` allows: as either part of it suffices, beyond
    /// each that is given.
    fn is_worse(&self, one: &ConfigAnalysis) -> bool {
        let Some(comparison) = self.comparisons.get(&one.id) else {
            return false;
        };
        let accept = self.objective.accept;
        let beyond_share = accept
            .relative
            .map(|share| comparison.relative.lower > share.get().ln_1p());
        let beyond_time = accept
            .absolute
            .map(|time| comparison.absolute_us.lower > time.as_secs_f64() * 1e6);
        match (beyond_share, beyond_time) {
            (None, None) => comparison.relative.lower > 0.0,
            (share, time) => share.unwrap_or(true) && time.unwrap_or(true),
        }
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
        // That nothing is feasible is a finding only when all was measured.
        return nothing_chosen(if unknown || all.is_empty() {
            VerdictWord::Unresolved
        } else {
            VerdictWord::Infeasible
        });
    };
    let others = feasible.iter().copied().filter(|one| one.id != chosen.id);
    let mut tied: Vec<&ConfigAnalysis> = others.filter(|one| reading.is_tied(one)).collect();
    tied.sort_by(|a, b| by_rank(a, b));
    let is_open = |one: &&&ConfigAnalysis| {
        let decided = reading.is_within_accept(one) || reading.is_worse(one);
        !decided && recommend::is_lighter(one, chosen)
    };
    // What was never measured may be better than the best measured.
    let word = match (resolved && !unknown, chosen.is_baseline) {
        (false, _) => VerdictWord::Unresolved,
        (true, true) => VerdictWord::KeepCurrent,
        (true, false) => VerdictWord::Recommended,
    };
    // A recommended one must carry the surge; one that does not is infeasible.
    let waits_for_surge = surge::is_open(&chosen.limits) && word != VerdictWord::Unresolved;
    let verdict = Verdict {
        word: if waits_for_surge {
            VerdictWord::Unresolved
        } else {
            word
        },
        but_for_surge: waits_for_surge.then_some(word),
        recommended: Some(chosen.id),
        tie_set: std::iter::once(chosen.id)
            .chain(tied.iter().map(|one| one.id))
            .collect(),
        bound_pct: chosen.bound_pct,
        bound_us: chosen.bound_us,
        why,
        lighter_open: feasible.iter().filter(is_open).map(|one| one.id).collect(),
        ..nothing_chosen(VerdictWord::Unresolved)
    };
    all.iter_mut()
        .for_each(|one| one.standing = reading.standing(one, &verdict));
    verdict
}

/// Where none is shown within `accept`: the one that is best as far as is known.
/// The smallest bound would favour whatever happened to be launched most often.
fn best_estimate<'a>(feasible: &[&'a ConfigAnalysis]) -> Option<&'a ConfigAnalysis> {
    let by_value =
        |a: &&ConfigAnalysis, b: &&ConfigAnalysis| objective_of(a).total_cmp(&objective_of(b));
    feasible.iter().copied().min_by(by_value)
}

/// The recommended against what runs today, over the blocks that they share.
fn against_baseline(arms: &Arms<'_>, verdict: &Verdict, objective: &Objective) -> Option<Estimate> {
    let (recommended, baseline) = (verdict.recommended?, objective.baseline.as_ref()?.id());
    let pair = arms.get(&recommended).zip(arms.get(&baseline));
    let (own, today) = pair.filter(|_| recommended != baseline)?;
    estimate::geometric(&differences(own, today))
}

fn nothing_chosen(word: VerdictWord) -> Verdict {
    Verdict {
        word,
        recommended: None,
        tie_set: Vec::new(),
        bound_pct: None,
        bound_us: None,
        exploratory: Vec::new(),
        why: Vec::new(),
        but_for_surge: None,
        lighter_open: Vec::new(),
        memory_growth: None,
        against_baseline: None,
        dependency_bound: None,
    }
}

/// The verdict where the best wait for a service: differences between settings are then
/// differences in how they wait, and another service would rank them anew.
fn waits_for(bound: DependencyBound, all: &mut [ConfigAnalysis]) -> Verdict {
    let ranked = all
        .iter_mut()
        .filter(|one| one.standing != Standing::Unranked);
    ranked.for_each(|one| one.standing = Standing::Open);
    Verdict {
        dependency_bound: Some(bound),
        ..nothing_chosen(VerdictWord::Unresolved)
    }
}

/// The least over configurations and endpoints of the mean over launches. The
/// least over launches would be below what a length was chosen for in almost
/// every study, as arrivals are random.
fn fewest_requests(arms: &Arms<'_>) -> Option<u64> {
    let means = arms.values().flat_map(|arm| {
        let loads: Vec<_> = arm
            .measured()
            .filter_map(|(launch, _)| launch.record.load.as_ref())
            .collect();
        let endpoints = loads.first().map_or(0, |load| load.endpoints.len());
        (0..endpoints).map(move |index| {
            let windows = loads.iter().filter_map(|load| load.endpoints.get(index));
            let sum: u64 = windows.map(|endpoint| endpoint.window.scheduled).sum();
            sum / loads.len() as u64
        })
    });
    means.min()
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

#[cfg(test)]
mod tests;
