//! What failed, and what was not measured, with reasons.

use std::collections::BTreeMap;

use autotune_analysis::Feasibility;
use autotune_model::{DecisionKind, GeneratorVerdict, Outcome, TrialRecord};
use serde::Serialize;

use crate::format::{count, list};
use crate::sentences::feasible;
use crate::study::{Ending, Study, label};

/// Failures by kind.
#[derive(Debug, Serialize)]
pub(crate) struct Failures {
    trials: Vec<FailedTrials>,
    requests: Vec<FailedRequests>,
    ruled_out: Vec<RuledOut>,
}

/// Trials of one configuration that ended alike.
#[derive(Debug, Serialize)]
struct FailedTrials {
    configuration: String,
    outcome: &'static str,
    trials: u64,
    detail: String,
}

/// Requests of one configuration that failed alike.
#[derive(Debug, Serialize)]
struct FailedRequests {
    configuration: String,
    class: &'static str,
    requests: u64,
    /// How many at which endpoint.
    endpoints: String,
}

/// A configuration that cannot be recommended.
#[derive(Debug, Serialize)]
struct RuledOut {
    configuration: String,
    reasons: String,
}

/// The end of a server's log.
#[derive(Debug, Serialize)]
pub(crate) struct Log {
    title: String,
    text: String,
}

pub(crate) fn failures(study: &Study<'_>) -> Failures {
    Failures {
        trials: trials(study),
        requests: requests(study),
        ruled_out: ruled_out(study),
    }
}

/// One line of evidence; trials with the same one are counted together.
fn trials(study: &Study<'_>) -> Vec<FailedTrials> {
    let mut all: BTreeMap<(&str, &'static str, &str), u64> = BTreeMap::new();
    for trial in failed(study) {
        let detail = trial.outcome.detail().unwrap_or_default();
        let first = detail.lines().next().unwrap_or_default();
        *all.entry((name(trial), trial.outcome.as_str(), first))
            .or_default() += 1;
    }
    all.into_iter()
        .map(|((configuration, outcome, detail), trials)| FailedTrials {
            configuration: configuration.to_owned(),
            outcome,
            trials,
            detail: detail.to_owned(),
        })
        .collect()
}

fn failed<'a>(study: &Study<'a>) -> impl Iterator<Item = &'a TrialRecord> {
    study
        .history
        .trials
        .iter()
        .filter(|trial| trial.outcome != Outcome::Measured)
}

fn name(trial: &TrialRecord) -> &str {
    trial.spec.configuration.label().as_str()
}

fn requests(study: &Study<'_>) -> Vec<FailedRequests> {
    let mut all: BTreeMap<(&str, &'static str), BTreeMap<&str, u64>> = BTreeMap::new();
    for trial in &study.history.trials {
        for endpoint in trial.load.iter().flat_map(|load| &load.endpoints) {
            for (class, requests) in endpoint.failures.iter().filter(|(_, number)| **number > 0) {
                let endpoints = all.entry((name(trial), class.as_str())).or_default();
                *endpoints.entry(endpoint.name.as_str()).or_default() += requests;
            }
        }
    }
    let rows = all.into_iter();
    rows.map(|((configuration, class), endpoints)| FailedRequests {
        configuration: configuration.to_owned(),
        class,
        requests: endpoints.values().sum(),
        endpoints: endpoints
            .iter()
            .map(|(endpoint, requests)| format!("{endpoint} {requests}"))
            .collect::<Vec<_>>()
            .join(", "),
    })
    .collect()
}

fn ruled_out(study: &Study<'_>) -> Vec<RuledOut> {
    let all = study.analysis.configurations.iter();
    all.filter_map(|config| match &config.feasibility {
        Feasibility::Feasible => None,
        Feasibility::Infeasible(reasons) | Feasibility::Unknown(reasons) => Some(RuledOut {
            configuration: label(config).to_owned(),
            reasons: reasons.join("; "),
        }),
    })
    .collect()
}

/// The last failed trial of each configuration that left a log or evidence of
/// several lines.
pub(crate) fn logs(study: &Study<'_>) -> Vec<Log> {
    let mut last: BTreeMap<(&str, &'static str), String> = BTreeMap::new();
    for trial in failed(study) {
        let detail = trial.outcome.detail().unwrap_or_default();
        let mut lines: Vec<&str> = detail.lines().collect();
        let tail = trial.server.iter().flat_map(|server| &server.log.tail);
        // The evidence often quotes the log already.
        lines.extend(
            tail.map(String::as_str)
                .filter(|line| !detail.contains(line)),
        );
        if lines.len() > 1 {
            last.insert((name(trial), trial.outcome.as_str()), lines.join("\n"));
        }
    }
    last.into_iter()
        .map(|((configuration, outcome), text)| Log {
            title: format!("{configuration}, {outcome}"),
            text,
        })
        .collect()
}

/// What is missing, and why.
pub(crate) fn not_measured(study: &Study<'_>) -> Vec<String> {
    let mut lines = Vec::new();
    let launched = study.analysis.configurations.len();
    let missing = study.planned.configurations.saturating_sub(launched);
    if missing > 0 {
        lines.push(format!(
            "{} of {} never launched: {}.",
            count(missing as u64, "configuration"),
            study.planned.configurations,
            ended(study)
        ));
    }
    let closed = study
        .history
        .decisions
        .iter()
        .filter_map(|decision| match decision.kind {
            DecisionKind::BlockClosed { block, .. } => Some((block + 1).to_string()),
            DecisionKind::Planned { .. }
            | DecisionKind::Compared { .. }
            | DecisionKind::Stopped { .. }
            | DecisionKind::Resumed => None,
        });
    let closed: Vec<String> = closed.collect();
    if !closed.is_empty() {
        lines.push(format!(
            "Not completed after a long interruption: block {}.",
            list(&closed)
        ));
    }
    let suspect = suspect(study);
    if suspect > 0 {
        lines.push(format!(
            "In {} the load generator may have been slow itself; they count.",
            count(suspect, "trial")
        ));
    }
    let unsure = feasible(study)
        .filter(|config| config.bound_pct.is_none())
        .map(label);
    let unsure: Vec<&str> = unsure.collect();
    if !unsure.is_empty() {
        lines.push(format!("Too few launches for a bound: {}.", list(&unsure)));
    }
    let folded = study.planned.folded.iter();
    lines.extend(folded.map(|folded| format!("Folded: {folded}.")));
    let dropped = study.planned.dropped.iter();
    lines.extend(dropped.map(|dropped| format!("Left out by a constraint: {dropped}.")));
    lines
}

fn ended(study: &Study<'_>) -> &'static str {
    match study.ending {
        Ending::Answered => "the answer came before",
        Ending::Budget => "the budget ended before",
        Ending::NothingMeasurable => "nothing could be measured",
        Ending::Interrupted => "the sweep was interrupted",
        Ending::Stopped { .. } => "a fault ended the sweep",
    }
}

fn suspect(study: &Study<'_>) -> u64 {
    let loads = study
        .measure_trials()
        .filter_map(|trial| trial.load.as_ref());
    let verdicts = loads.map(|load| &load.generator.verdict);
    verdicts
        .filter(|verdict| matches!(verdict, GeneratorVerdict::Suspect(_)))
        .count() as u64
}
