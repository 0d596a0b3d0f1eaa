//! Every configuration in every block, until the question is answered or the
//! budget is spent.
//!
//! 1. Pre-flight: up to three configurations that differ most (what runs today,
//!    the last and the first of the grid), each launched twice in two blocks (A/A).
//!    It gives what a launch costs, how busy the server is and the control.
//! 2. Blocks: all configurations in random order under the same requests. One
//!    that fails twice, and more than once in five launches, is left out of
//!    later blocks: it cannot be recommended any more. What says nothing, or was
//!    disturbed by others on the machine, is launched once more at the block's end.
//! 3. It stops when the next block does not fit into the budget; or at a look
//!    (see `autotune_analysis::compare`) when the recommended configuration is
//!    shown within `accept` and no lighter one is open, or when all are shown to
//!    wait for a service.
//! 4. Where the recommended one must carry a surge, it is launched under that at
//!    the end; one that does not carry it is out, and the next one is asked.

use std::time::Duration;

use autotune_analysis::compare::{FIRST_LOOK, Moment, alpha, blocks, is_look};
use autotune_analysis::{Analysis, VerdictWord};
use autotune_model::{
    ConfigId, Configuration, DecisionKind, History, Outcome, Stage, StopReason, TrialRecord,
    TrialSpec,
};
use autotune_stats::student::upper_quantile;
use autotune_stats::{deviation_upper_bound, variance};

use crate::blocks::{BlockPlan, outstanding, still_compared};
use crate::length::{self, Length, Room};
use crate::outlook::{self, Known, Outlook, Pace};
use crate::plan::{Plan, Warning};
use crate::procedure::Next;
use crate::surge;

/// Blocks of the pre-flight: each probe is launched so often.
const PREFLIGHT_BLOCKS: u32 = 2;

/// What is known, and what follows from it.
type Seen<'a> = (&'a History, &'a Analysis);

/// See the module.
#[derive(Clone, Debug, PartialEq)]
pub struct Exhaustive {
    plan: Plan,
}

/// What the pre-flight decided; read back from the history.
#[derive(Clone, Copy)]
struct Decided {
    control: ConfigId,
    length: Length,
}

impl Exhaustive {
    /// The procedure for this plan.
    pub fn new(plan: Plan) -> Self {
        Self { plan }
    }

    /// What it was built from.
    pub fn plan(&self) -> &Plan {
        &self.plan
    }

    /// The next step.
    pub fn next(&self, history: &History, analysis: &Analysis) -> Next {
        let Some(decided) = decided(history) else {
            return self.preflight(history);
        };
        let measured = history
            .trials
            .iter()
            .filter(|trial| trial.spec.key.stage == Stage::Measure);
        let current = measured.map(|trial| trial.spec.key.block).max();
        if let Some(block) = current
            && !history.is_closed(Stage::Measure, block)
        {
            let left = outstanding(self.block(history, decided, block), history);
            if !left.is_empty() {
                return self.run_or_stop((history, analysis), left);
            }
            if is_answered(history, analysis) {
                return self.end((history, analysis), StopReason::Answered);
            }
        }
        let block = current.map_or(0, |block| block + 1);
        let trials = self.block(history, decided, block);
        if trials.is_empty() {
            return Next::Done(StopReason::NothingMeasurable);
        }
        self.run_or_stop((history, analysis), trials)
    }

    /// The trials that the pre-flight launches.
    fn preflight(&self, history: &History) -> Next {
        let Length { length, warm_up } = length::preflight(&self.plan);
        let probes = self.probes();
        for block in 0..PREFLIGHT_BLOCKS {
            let plan = self.block_plan(Stage::Preflight, block, Length { length, warm_up });
            let left = outstanding(plan.trials(&probes), history);
            if left.is_empty() {
                continue;
            }
            // Of other loads it is a small part of any budget.
            if length::is_given(&self.plan.load) && !self.fits(history, &left, Duration::ZERO) {
                return Next::Done(StopReason::Budget);
            }
            return Next::Run(left);
        }
        Next::Decide(self.decide(history))
    }

    /// The configurations that differ most: what runs today, the last of the grid
    /// and its first.
    fn probes(&self) -> Vec<Configuration> {
        let is_baseline = |one: &&Configuration| Some(one.id()) == self.plan.baseline;
        let baseline = self.plan.configurations.iter().find(is_baseline);
        let others = || {
            self.plan
                .configurations
                .iter()
                .filter(|one| !is_baseline(one))
        };
        let mut probes: Vec<Configuration> = Vec::new();
        for one in baseline
            .into_iter()
            .chain(others().next_back())
            .chain(others().next())
        {
            if !probes.contains(one) {
                probes.push(one.clone());
            }
        }
        // A short budget is spent on the comparison.
        let most = if self.plan.budget < Duration::from_secs(900) {
            2
        } else {
            3
        };
        probes.truncate(most);
        probes
    }

    /// Control, length and what the budget can resolve.
    fn decide(&self, history: &History) -> DecisionKind {
        let trials: Vec<&TrialRecord> = history.counting(Stage::Preflight).collect();
        let overhead = length::overhead(trials.iter().copied());
        let rarest = length::rarest(&self.plan, trials.iter().copied());
        let left = self.plan.budget.saturating_sub(history.time_spent());
        let count = self.plan.configurations.len();
        let room = Room {
            configurations: count,
            left,
            overhead,
            rarest,
            reserved: surge::usual(&self.plan),
            took: length::took(trials.iter().copied()),
        };
        let decided = length::comparison(&self.plan, room);
        let fit = length::blocks(room, decided);
        let Length { length, warm_up } = decided;
        let control = self.control(&trials);
        DecisionKind::Planned {
            control,
            length,
            warm_up,
            resolvable_pct: spread(&trials, control)
                .and_then(|spread| resolvable_pct(spread, fit.min(1e6) as u32, count)),
        }
    }

    /// Of the probes that were measured in all their launches the fastest, which
    /// is the farthest from being overloaded and hence steady; two launches are
    /// too few to tell steadiness itself. Where there is none, the first
    /// configuration of the grid.
    fn control(&self, trials: &[&TrialRecord]) -> ConfigId {
        let probes = self.probes();
        let sound = probes.iter().filter_map(|probe| {
            let of = || {
                trials
                    .iter()
                    .filter(|trial| trial.spec.configuration == *probe)
            };
            let all_measured = of().all(|trial| trial.outcome == Outcome::Measured);
            let logs: Vec<f64> = of().filter_map(|trial| log_p95(trial)).collect();
            Some((
                autotune_stats::mean(&logs).filter(|_| all_measured)?,
                probe.id(),
            ))
        });
        let fastest = sound.min_by(|a, b| a.0.total_cmp(&b.0));
        fastest.map_or(self.plan.configurations[0].id(), |(_, id)| id)
    }

    /// The trials of a block of the comparison: all that are still compared, the
    /// control in any case.
    fn block(&self, history: &History, decided: Decided, block: u32) -> Vec<TrialSpec> {
        let mut compared = still_compared(&self.plan.configurations, history, block);
        let is_control = |one: &&Configuration| one.id() == decided.control;
        if !compared.is_empty() && !compared.iter().any(|one| one.id() == decided.control) {
            compared.extend(self.plan.configurations.iter().find(is_control).cloned());
        }
        self.block_plan(Stage::Measure, block, decided.length)
            .trials(&compared)
    }

    fn block_plan(&self, stage: Stage, block: u32, length: Length) -> BlockPlan {
        BlockPlan {
            stage,
            block,
            load: self.plan.load.clone(),
            length: length.length,
            warm_up: length.warm_up,
            seed: self.plan.seed,
        }
    }

    /// The trials, unless they do not fit into what is left of the budget beside
    /// the launches under the surge.
    fn run_or_stop(&self, seen: Seen<'_>, trials: Vec<TrialSpec>) -> Next {
        let slot = trials.first().map_or(Duration::ZERO, |spec| spec.length);
        let reserve = (slot + length::overhead(seen.0.trials.iter())) * surge::usual(&self.plan);
        if self.fits(seen.0, &trials, reserve) {
            Next::Run(trials)
        } else {
            self.end(seen, StopReason::Budget)
        }
    }

    /// The end of the comparison, and of all once the recommended configuration
    /// is settled under the surge. The comparison's end is written down first, as
    /// it decides how much error the choice may spend, and hence what is launched.
    fn end(&self, (history, analysis): Seen<'_>, reason: StopReason) -> Next {
        let Some(decided) = decided(history).filter(|_| self.plan.surge.is_some()) else {
            return Next::Done(reason);
        };
        let launch = surge::next(&self.plan, decided.length, (history, analysis));
        let launch = launch.map(|spec| vec![spec]);
        let launch = launch.filter(|launch| self.fits(history, launch, Duration::ZERO));
        let last = history.decisions.last().map(|last| &last.kind);
        match (launch, last) {
            (Some(launch), Some(DecisionKind::Compared { reason: of })) if *of == reason => {
                Next::Run(launch)
            }
            (
                None,
                Some(DecisionKind::Compared { reason: of } | DecisionKind::Stopped { reason: of }),
            ) if *of == reason => Next::Done(reason),
            _ => Next::Decide(DecisionKind::Compared { reason }),
        }
    }

    /// Whether these trials fit into what is left of the budget beside a reserve.
    fn fits(&self, history: &History, trials: &[TrialSpec], reserve: Duration) -> bool {
        let overhead = length::overhead(history.trials.iter());
        // Users with a fixed number of requests are done before their time is over.
        let took = length::took(history.trials.iter()).map(|took| took.median);
        let each = trials.iter();
        let each = each.map(|spec| took.unwrap_or(spec.length) + overhead);
        let needed: Duration = each.sum();
        needed + reserve <= self.plan.budget.saturating_sub(history.time_spent())
    }

    /// What the pre-flight found that a user should know.
    pub fn warnings(&self, history: &History) -> Vec<Warning> {
        let Some(decided) = decided(history) else {
            return Vec::new();
        };
        let trials: Vec<&TrialRecord> = history.counting(Stage::Preflight).collect();
        let mut warnings = Vec::new();
        let overloaded = |trial: &&TrialRecord| matches!(trial.outcome, Outcome::Overloaded { .. });
        if !trials.is_empty() && trials.iter().all(overloaded) {
            warnings.push(Warning::AllOverloaded);
        }
        let busiest = trials
            .iter()
            .filter_map(|trial| busy_pct(trial))
            .reduce(f64::max);
        if let Some(busy_pct) = busiest.filter(|busy| *busy < 20.0) {
            warnings.push(Warning::AllIdle { busy_pct });
        }
        let rarest = length::rarest(&self.plan, trials.iter().copied());
        // All attempts took their time, also those that do not count.
        let all = history.trials.iter();
        let preflight = all.filter(|trial| trial.spec.key.stage == Stage::Preflight);
        let spent = preflight.map(|trial| trial.span.length()).sum();
        let room = Room {
            configurations: self.plan.configurations.len(),
            left: self.plan.budget.saturating_sub(spent),
            overhead: length::overhead(trials.iter().copied()),
            rarest,
            reserved: surge::usual(&self.plan),
            took: length::took(trials.iter().copied()),
        };
        let pace = Pace {
            blocks: length::blocks(room, decided.length),
            rarest: Some(rarest),
        };
        let expected = decided.length.expected(room.took);
        warnings.extend(outlook::too_few(&self.plan, expected, pace));
        warnings
    }

    /// What the plan's budget gives, before anything is measured.
    pub fn outlook(&self, known: Known) -> Outlook {
        let probes = self.probes().len() as u32 * PREFLIGHT_BLOCKS;
        outlook::outlook(&self.plan, probes, known)
    }
}

fn decided(history: &History) -> Option<Decided> {
    history
        .decisions
        .iter()
        .find_map(|decision| match decision.kind {
            DecisionKind::Planned {
                control,
                length,
                warm_up,
                ..
            } => Some(Decided {
                control,
                length: Length { length, warm_up },
            }),
            DecisionKind::BlockClosed { .. }
            | DecisionKind::Compared { .. }
            | DecisionKind::Stopped { .. }
            | DecisionKind::Resumed => None,
        })
}

/// Whether the sweep stops because of what it sees after a finished block.
///
/// An end for want of budget came after the look at this block, and the analysis
/// of an ended study may spend more error than a look; so a study that goes on
/// does not look at the same block again. Nor does it end before it is confirmed:
/// with a launch missing in one of eight blocks the next look is at sixteen.
fn is_answered(history: &History, analysis: &Analysis) -> bool {
    let was_looked_at = history.decisions.last().is_some_and(|last| {
        matches!(
            last.kind,
            DecisionKind::Compared {
                reason: StopReason::Budget
            } | DecisionKind::Stopped {
                reason: StopReason::Budget | StopReason::NothingMeasurable
            }
        )
    });
    let verdict = &analysis.verdict;
    let resolved = matches!(
        verdict.but_for_surge.unwrap_or(verdict.word),
        VerdictWord::Recommended | VerdictWord::KeepCurrent
    );
    let is_confirmed = analysis.complete_blocks >= FIRST_LOOK;
    let is_shown = resolved && verdict.lighter_open.is_empty();
    // More trials under the same load would wait for the same service.
    let is_final = is_shown || verdict.dependency_bound.is_some();
    !was_looked_at && is_look(blocks(history)) && is_confirmed && is_final
}

/// CPU time of the server per second of load, in percent of one CPU.
fn busy_pct(trial: &TrialRecord) -> Option<f64> {
    let wall = trial.load.as_ref()?.generator.wall.as_secs_f64();
    let cpu = trial.server.as_ref()?.cpu?.as_secs_f64();
    (wall > 0.0).then(|| cpu / wall * 100.0)
}

/// The log of the mean over endpoints of p95, for noise between A/A launches.
fn log_p95(trial: &TrialRecord) -> Option<f64> {
    let load = trial.load.as_ref()?;
    let logs: Option<Vec<f64>> = load
        .endpoints
        .iter()
        .map(|endpoint| {
            endpoint
                .response
                .quantile_us(0.95)
                .map(|value| (value as f64).ln())
        })
        .collect();
    autotune_stats::mean(&logs?)
}

/// How far A/A launches of one configuration lie apart.
#[derive(Clone, Copy, Debug, PartialEq)]
struct Spread {
    variance: f64,
    degrees: f64,
}

/// Of a configuration with two or more measured launches.
fn spread(trials: &[&TrialRecord], of: ConfigId) -> Option<Spread> {
    let of_it = trials
        .iter()
        .filter(|trial| trial.outcome == Outcome::Measured)
        .filter(|trial| trial.spec.configuration.id() == of);
    let logs: Vec<f64> = of_it.filter_map(|trial| log_p95(trial)).collect();
    Some(Spread {
        variance: variance(&logs)?,
        degrees: (logs.len() - 1) as f64,
    })
}

/// Launches of the steadiest settings were never seen to differ by less.
const LEAST_DEVIATION: f64 = 0.02;

/// The smallest difference between two configurations of this spread that so many
/// blocks show, in four of five studies, with the verdict's own quantile:
/// Student's, with the error divided among the comparisons with the best,
/// (t(alpha / (k - 1), n - 1) + t(0.2, n - 1)) sd sqrt(2 / n).
///
/// The few launches of the pre-flight know sd badly, and the root of a variance
/// with one degree of freedom is too small twice as often as not. So sd is the
/// bound that is right in half of all cases (chi-squared), 1.5 times the root for
/// one degree. `None` below two blocks, which show nothing.
fn resolvable_pct(spread: Spread, blocks: u32, configurations: usize) -> Option<f64> {
    if blocks < 2 {
        return None;
    }
    let n = f64::from(blocks);
    let tail = alpha(blocks, Moment::Ended) / (configurations.max(2) - 1) as f64;
    let quantiles = upper_quantile(tail, n - 1.0) + upper_quantile(0.2, n - 1.0);
    let sd = deviation_upper_bound(spread.variance, spread.degrees, 0.5)?;
    Some((quantiles * sd.max(LEAST_DEVIATION) * (2.0 / n).sqrt()).exp_m1() * 100.0)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_can_be_resolved_is_told_with_the_quantiles_of_the_verdict() {
        // 3 % with so many degrees that the bound is the value itself; five
        // blocks of five: t(0.0125, 4) = 3.4954, t(0.2, 4) = 0.9410.
        let known = Spread {
            variance: 0.03f64.powi(2),
            degrees: 1e6,
        };
        let pct = resolvable_pct(known, 5, 5).unwrap();
        let expected = (4.4364f64 * 0.03 * 0.4f64.sqrt()).exp_m1() * 100.0;
        assert!((pct - expected).abs() < 0.02, "{pct} {expected}");
        let guessed = Spread {
            degrees: 1.0,
            ..known
        };
        assert!(resolvable_pct(guessed, 5, 5).unwrap() > 1.4 * pct);
        // Two launches that agree by chance promise nothing.
        let by_chance = Spread {
            variance: 0.0,
            degrees: 1.0,
        };
        assert!(resolvable_pct(by_chance, 5, 5).unwrap() > 5.0);
        assert_eq!(resolvable_pct(known, 1, 5), None);
    }
}
