//! Plain progress lines on stderr, from the sweep's events.

use std::time::Duration;

use autotune_analysis::{Analysis, VerdictWord};
use autotune_model::{DecisionKind, GeneratorVerdict, History, Outcome, Stage, TrialRecord};
use autotune_search::Warning;
use autotune_sweep::Event;

use crate::terminal::say;

/// Renders events; counts the trials of a block.
#[derive(Debug, Default)]
pub(crate) struct Progress {
    in_block: usize,
    of_block: usize,
    /// The machine that was last waited for.
    awaited: Option<String>,
}

impl Progress {
    /// One event, as lines.
    pub(crate) fn show(&mut self, event: &Event<'_>) {
        match event {
            Event::Resumed { trials, spent } => {
                say(&format!(
                    "going on: {trials} trials in {} are stored",
                    short(*spent)
                ));
            }
            Event::TrialStarted { of_block, .. } => {
                if self.of_block != *of_block || self.in_block >= *of_block {
                    (self.in_block, self.of_block) = (0, *of_block);
                }
                self.in_block += 1;
            }
            Event::TrialFinished { record, left } => {
                self.finished(record);
                self.estimate(record, *left);
            }
            Event::Waiting { owner } => {
                if self.awaited.as_deref() != Some(*owner) {
                    say(&format!(
                        "waiting for the machine {owner}, which runs what is left"
                    ));
                    self.awaited = Some((*owner).to_owned());
                }
            }
            Event::Decided {
                kind,
                warnings,
                history,
            } => {
                decided(kind, history);
                warnings
                    .iter()
                    .for_each(|warning| say(&format!("warning: {}", text(warning))));
            }
            Event::BlockFinished { analysis, left } => {
                self.in_block = self.of_block;
                standing(analysis, *left);
            }
            Event::Done { .. } => {}
        }
    }

    /// When the first trial of a row has shown what one takes, load and all else.
    fn estimate(&self, record: &TrialRecord, left: Duration) {
        let rest = u32::try_from(self.of_block.saturating_sub(self.in_block)).unwrap_or(0);
        if self.in_block == 1 && rest > 0 {
            say(&format!(
                "about {} for the rest of this block, {} of the budget left",
                short(record.span.length() * rest),
                short(left)
            ));
        }
    }

    fn finished(&self, record: &TrialRecord) {
        let key = record.spec.key;
        let place = match key.stage {
            Stage::Preflight => "pre-flight".to_owned(),
            Stage::Measure => format!("block {}", key.block + 1),
            Stage::Surge => "surge".to_owned(),
        };
        let again = if record.spec.attempt > 0 {
            " again"
        } else {
            ""
        };
        say(&format!(
            "{place} {}/{}{again}  {:<24} {}",
            self.in_block,
            self.of_block,
            record.spec.configuration,
            summary(record)
        ));
    }
}

/// From here on it is worth a word while the sweep runs. Whether it disturbed the
/// trial is judged beside the other trials.
const SHOWN_SHARE: f64 = 0.05;

/// A trial in a line.
pub(crate) fn summary(record: &TrialRecord) -> String {
    let mut parts = vec![record.outcome.as_str().to_owned()];
    if let (Outcome::Measured, Some(load)) = (&record.outcome, &record.load) {
        let p95 = load.endpoints.iter().map(|endpoint| {
            let infinite = endpoint.window.not_completed();
            endpoint
                .response
                .quantile_with_infinite_us(0.95, infinite)
                .map_or_else(|| "-".to_owned(), |us| format!("{:.1}", us as f64 / 1000.0))
        });
        parts.push(format!("p95 {} ms", p95.collect::<Vec<_>>().join(" ")));
        let lost = load.total().not_completed();
        if lost > 0 {
            parts.push(format!("{lost} not completed"));
        }
        // The reasons are in the report; here they would drown the figures.
        if matches!(load.generator.verdict, GeneratorVerdict::Suspect(_)) {
            parts.push("(generator a little late)".to_owned());
        }
    }
    let host = record.server.as_ref().and_then(|server| server.host);
    if let Some(share) = host
        .map(|host| host.share())
        .filter(|share| *share >= SHOWN_SHARE)
    {
        parts.push(format!("(others took {:.0} % of the CPUs)", share * 100.0));
    }
    if let Some(peak) = record.server.as_ref().and_then(|server| server.memory_peak) {
        parts.push(peak.to_string());
    }
    if let Some(detail) = record.outcome.detail() {
        parts.push(detail.lines().next().unwrap_or_default().to_owned());
    }
    parts.join("  ")
}

fn decided(kind: &DecisionKind, history: &History) {
    match kind {
        DecisionKind::Planned {
            control,
            length,
            warm_up,
            resolvable_pct,
        } => {
            let control = history
                .trials
                .iter()
                .map(|trial| &trial.spec.configuration)
                .find(|one| one.id() == *control);
            let name = control.map_or_else(|| "the control".to_owned(), ToString::to_string);
            let mut loads = history.trials.iter().map(|trial| &trial.spec.load);
            let at_most = match loads.any(|load| load.at_most().is_some()) {
                true => "at most ",
                false => "",
            };
            say(&format!(
                "pre-flight done: trials of {at_most}{} ({} of it warm-up), control {name}",
                short(*length),
                short(*warm_up)
            ));
            if let Some(busy) = busiest(history) {
                say(&format!(
                    "the best probed configuration is {busy:.0} % busy (of one CPU)"
                ));
            }
            match resolvable_pct {
                Some(percent) => say(&format!(
                    "the budget can resolve differences of about {percent:.0} % between settings \
                     as steady as {name}"
                )),
                None => say(
                    "what the budget can resolve is unknown: the control was not measured twice, \
                     or fewer than two blocks fit",
                ),
            }
        }
        DecisionKind::BlockClosed { block, .. } => {
            say(&format!(
                "block {} was interrupted for too long and is closed",
                block + 1
            ));
        }
        // Perhaps nothing is, or all that could be launched was.
        DecisionKind::Compared { .. } => {
            say("the comparison is over; what would be recommended must carry the surge first");
        }
        DecisionKind::Stopped { .. } | DecisionKind::Resumed => {}
    }
}

/// How busy the server of the fastest probe is, percent of one CPU.
fn busiest(history: &History) -> Option<f64> {
    let probes = history.counting(Stage::Preflight);
    let measured = probes
        .into_iter()
        .filter(|trial| trial.outcome == Outcome::Measured);
    let key = |trial: &&TrialRecord| {
        let load = trial.load.as_ref();
        load.and_then(|load| {
            load.endpoints
                .iter()
                .filter_map(|one| one.response.quantile_us(0.95))
                .sum::<u64>()
                .into()
        })
        .unwrap_or(u64::MAX)
    };
    let best = measured.min_by_key(key)?;
    let wall = best.load.as_ref()?.generator.wall.as_secs_f64();
    Some(best.server.as_ref()?.cpu?.as_secs_f64() / wall.max(1e-3) * 100.0)
}

/// A warning, for people.
pub(crate) fn text(warning: &Warning) -> String {
    match warning {
        Warning::AllIdle { busy_pct } => format!(
            "every probe was under 20 % busy (at most {busy_pct:.0} %): under so little load \
             configurations hardly differ; a higher rate asks a harder question"
        ),
        Warning::AllOverloaded => {
            "every probe was overloaded: lower the rate, or there is nothing to compare".to_owned()
        }
        Warning::FewRequests { expected, need } => format!(
            "the rarest endpoint gets about {expected} requests a trial where the quantile takes \
             {need}: the verdict will be exploratory; a higher rate helps, or longer trials: \
             longer steps where the load has steps, else --fresh with a larger --budget"
        ),
        Warning::FewBlocks { fit, need } => format!(
            "about {fit} blocks fit into the budget where {need} make a confirmed verdict: it may \
             be exploratory"
        ),
    }
}

fn standing(analysis: &Analysis, left: Duration) {
    if analysis.complete_blocks < 2 {
        return;
    }
    let verdict = &analysis.verdict;
    let favourite = verdict.recommended.and_then(|id| {
        analysis
            .configurations
            .iter()
            .find(|one| one.id == id)
            .map(|one| &one.configuration)
    });
    let (Some(favourite), Some(bound)) = (favourite, verdict.bound_pct) else {
        return;
    };
    let word = match verdict.word {
        _ if verdict.but_for_surge.is_some() => "within accept, surge still open",
        VerdictWord::Unresolved => "not yet within accept",
        VerdictWord::Recommended | VerdictWord::KeepCurrent | VerdictWord::Infeasible => {
            "within accept"
        }
    };
    say(&format!(
        "after {} blocks: {favourite}, at most {bound:.1} % worse than the best ({word}), {} left",
        analysis.complete_blocks,
        short(left)
    ));
}

/// A duration as people say it.
pub(crate) fn short(time: Duration) -> String {
    let seconds = time.as_secs_f64();
    match time.as_secs() {
        0..=59 => format!(
            "{} s",
            autotune_model::units::trim((seconds * 10.0).round() / 10.0)
        ),
        60..=5999 => format!("{} min {} s", time.as_secs() / 60, time.as_secs() % 60),
        _ => format!(
            "{} h {} min",
            time.as_secs() / 3600,
            time.as_secs() / 60 % 60
        ),
    }
}
