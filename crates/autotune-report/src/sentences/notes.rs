//! The sentences after the headline: what else a reader must know before acting
//! on it.

use autotune_analysis::{ConfigAnalysis, Estimate, Exploratory, Feasibility, Reason, VerdictWord};
use autotune_model::{LoadShape, MemorySource};

use crate::conditions::shared_cpus;
use crate::format::{change, count, in_unit, list, memory, percent, span};
use crate::sentences::{limit_sentence, services, unmeasured};
use crate::study::{Ending, Study, Unit, Word, label};
use crate::table::mebibytes_grown;

/// In the order in which they matter to somebody who acts on the verdict.
pub(super) fn notes(study: &Study<'_>) -> Vec<String> {
    let mut notes = Vec::new();
    notes.extend(next_step(study));
    notes.extend(tie(study));
    notes.extend(why(study));
    notes.extend(against_today(study));
    notes.extend(study.recommended().and_then(limit_sentence));
    notes.extend(not_enforced(study));
    // What a verdict lacks matters where there is one.
    if matches!(study.word(), Word::Verdict(_)) {
        let reasons = exploratory_reasons(study).into_iter();
        notes.extend(reasons.map(|reason| format!("Exploratory: {reason}.")));
    }
    notes.extend(lighter(study));
    notes.extend(restarts(study));
    notes.extend(drift(study));
    notes.extend(disturbed(study));
    notes.extend(busy_machine(study));
    notes.extend(shared_cpus(study));
    notes.extend(services::unseen(study));
    notes.extend(memory_source(study));
    notes
}

/// A setting that is best with all of this machine may be too large in production.
fn not_enforced(study: &Study<'_>) -> Option<String> {
    let reason = study.confinement.enforcement.refusal()?;
    Some(format!(
        "Limits not enforced: {reason}. The server had the memory and CPU time of this machine, and \
         nothing here says how it does with what [limits] gives."
    ))
}

/// What to do where there is no final answer.
fn next_step(study: &Study<'_>) -> Option<String> {
    let command = study.command;
    match (study.word(), study.ending) {
        (Word::Stopped, _) => Some(format!(
            "What was measured is kept; after the fault is mended the same command goes on: {command}"
        )),
        (Word::Interrupted, _) => Some(match study.favourite() {
            Some(config) => format!(
                "So far {} is the favourite; the same command goes on: {command}",
                label(config)
            ),
            None => format!("The same command goes on: {command}"),
        }),
        (Word::Verdict(_), _) if study.waits_for().is_some() => {
            let bound = study.waits_for();
            bound.map(|bound| services::less_load(study, bound))
        }
        (
            Word::Verdict(VerdictWord::Unresolved | VerdictWord::Infeasible),
            Ending::NothingMeasurable,
        ) => Some("The sweep ended early, as nothing could be measured.".to_owned()),
        (Word::Verdict(VerdictWord::Unresolved), _) if !unmeasured(study).is_empty() => {
            Some(unmeasured_step(study))
        }
        (Word::Verdict(VerdictWord::Unresolved), ending) => {
            let ended = match ending {
                Ending::Budget => "The budget ended before the answer",
                _ => "The data do not give the answer",
            };
            Some(format!(
                "{ended}: the same command with a larger --budget goes on with the comparison."
            ))
        }
        (Word::Verdict(_), _) => None,
    }
}

/// What there is to do of configurations of which nothing is known.
fn unmeasured_step(study: &Study<'_>) -> String {
    let all = study.analysis.configurations.iter();
    let told: Vec<String> = all
        .filter_map(|config| match &config.feasibility {
            Feasibility::Unknown(reasons) => {
                Some(format!("{} ({})", label(config), reasons.join("; ")))
            }
            Feasibility::Feasible | Feasibility::Infeasible(_) => None,
        })
        .collect();
    format!(
        "Not measured: {}. Its trials in the report say why; mend that or leave it out of [grid], \
         and begin anew with --fresh; where the machine was only busy, a larger --budget helps.",
        list(&told)
    )
}

fn tie(study: &Study<'_>) -> Option<String> {
    let ties = study.tie_set();
    let others = ties.get(1..).filter(|others| !others.is_empty())?;
    Some(format!(
        "These data cannot tell from the best: {}.",
        list(others)
    ))
}

fn why(study: &Study<'_>) -> Option<String> {
    study.recommended()?;
    let reasons: Vec<String> = study
        .analysis
        .verdict
        .why
        .iter()
        .map(|reason| reason_text(study, reason))
        .collect();
    (!reasons.is_empty()).then(|| format!("Why this one: {}.", reasons.join("; then ")))
}

/// A reason as a fragment.
pub(super) fn reason_text(study: &Study<'_>, reason: &Reason) -> String {
    match reason {
        Reason::OnlyOne => format!(
            "the only one shown within {} of the best",
            study.objective.accept
        ),
        Reason::BestEstimate => format!(
            "the best estimate, as none is shown within {} of the best",
            study.objective.accept
        ),
        Reason::LimitsShown => {
            "its limits are shown to hold and none of its launches failed, which is not so of others"
                .to_owned()
        },
        Reason::LeastMemory {
            memory: least,
            next,
        } => format!(
            "the least memory among those within {} of the best, {} against {} of the next",
            study.objective.accept,
            memory(*least),
            memory(*next)
        ),
        Reason::SmallestSpread {
            spread_pct,
            next_pct,
        } => format!(
            "the smallest spread between launches, {} against {}",
            percent(*spread_pct),
            percent(*next_pct)
        ),
        Reason::FewestChanges { changed } => format!(
            "the fewest changes from today's setting, {}",
            count(u64::from(*changed), "parameter")
        ),
        Reason::FewestWorkers { workers } => {
            format!("the fewest workers, {workers}")
        }
        Reason::Identity => "nothing else told them apart".to_owned(),
    }
}

fn against_today(study: &Study<'_>) -> Option<String> {
    let today = study.baseline()?;
    let name = label(today);
    match &today.feasibility {
        Feasibility::Infeasible(reasons) => Some(format!(
            "Today's setting {name} is ruled out: {}.",
            reasons.join("; ")
        )),
        Feasibility::Unknown(reasons) => Some(format!(
            "Today's setting {name} could not be judged: {}.",
            reasons.join("; ")
        )),
        Feasibility::Feasible => {
            let config = study.recommended().filter(|config| config.id != today.id)?;
            let parts = comparison(study, config, today);
            (!parts.is_empty()).then(|| format!("Against today's {name}: {}.", parts.join(", ")))
        }
    }
}

/// The objective and memory of the one against the other, with the change.
fn comparison(study: &Study<'_>, config: &ConfigAnalysis, today: &ConfigAnalysis) -> Vec<String> {
    let mut parts = Vec::new();
    let unit = study.unit();
    if let (Some(new), Some(old)) = (config.objective, today.objective)
        && unit != Unit::Bytes
    {
        let by = match study.analysis.verdict.against_baseline {
            Some(paired) => paired_change(&paired),
            None => change((new.value / old.value - 1.0) * 100.0),
        };
        let metric = study.analysis.metric;
        parts.push(format!(
            "{metric} {} instead of {} ({by})",
            in_unit(new.value, unit),
            in_unit(old.value, unit)
        ));
    }
    if let (Some(new), Some(old)) = (config.memory, today.memory) {
        let by = change((new.mib() / old.mib() - 1.0) * 100.0);
        parts.push(format!(
            "memory {} instead of {} ({by})",
            memory(new),
            memory(old)
        ));
    }
    parts
}

/// The change over the blocks that both were in, with its interval.
fn paired_change(ratio: &Estimate) -> String {
    let percent = |ratio: f64| change((ratio - 1.0) * 100.0);
    let interval = match (ratio.low, ratio.high) {
        (Some(low), Some(high)) => {
            format!(", 95 % interval {} to {}", percent(low), percent(high))
        }
        _ => String::new(),
    };
    format!("{}{interval}", percent(ratio.value))
}

/// Why the verdict is exploratory, naming what rate or time it needs.
pub(crate) fn exploratory_reasons(study: &Study<'_>) -> Vec<String> {
    let reasons = study.analysis.verdict.exploratory.iter();
    reasons
        .map(|reason| match reason {
            Exploratory::FewBlocks { have, need } => format!(
                "{}, {need} would do; a larger --budget gives more",
                count(u64::from(*have), "complete block")
            ),
            Exploratory::FewRequests { have, need } => format!(
                "an endpoint had only {} in the mean trial, {} needs {need}{}",
                count(*have, "request"),
                study.analysis.metric,
                remedy(study.load, *have, *need)
            ),
        })
        .collect()
}

/// What rate gives enough requests, with a margin as arrivals are random. The
/// length of trials follows from the budget at the start of a study, and stays.
fn remedy(load: &LoadShape, have: u64, need: u64) -> String {
    if have == 0 {
        return String::new();
    }
    let wanted = need as f64 + 3.0 * (need as f64).sqrt();
    let factor = wanted / have as f64;
    if load.fixed_length().is_some() {
        return format!(": steps that take {factor:.1} times as long would do");
    }
    if load.at_most().is_some() {
        return format!(": {factor:.1} times as many loops would do");
    }
    let more = match load {
        LoadShape::Open(open) => match &open.groups[..] {
            [_] => {
                let rate = load.mean_rate().unwrap_or_default();
                format!("a rate of {:.0} requests/s", (rate * factor).ceil())
            }
            _ => format!("{factor:.1} times the rate of its group"),
        },
        LoadShape::Closed(closed) => match &closed.groups[..] {
            [_] => {
                let users = load.most_users().unwrap_or_default();
                format!("{:.0} users", (f64::from(users) * factor).ceil())
            }
            _ => format!("{factor:.1} times the users of its group"),
        },
    };
    format!(": {more} would do, or --fresh with a --budget that is about {factor:.1} times as long")
}

fn lighter(study: &Study<'_>) -> Option<String> {
    study.recommended()?;
    let names = study.labels(&study.analysis.verdict.lighter_open);
    let (need, are) = if names.len() == 1 {
        ("needs", "is")
    } else {
        ("need", "are")
    };
    (!names.is_empty()).then(|| {
        format!(
            "{} {need} less memory and {are} neither shown within {} of the best nor outside: a \
             larger --budget could change the answer.",
            list(&names),
            study.objective.accept
        )
    })
}

/// That nothing is known of recycling where no worker was seen to be replaced.
pub(crate) fn restarts(study: &Study<'_>) -> Option<String> {
    let seen = study.analysis.restarts_observed;
    if study.analysis.configurations.is_empty() {
        return None;
    }
    if seen > 0 {
        return Some(format!(
            "{} of workers observed while load ran.",
            count(u64::from(seen), "restart")
        ));
    }
    let growth = match study.analysis.verdict.memory_growth {
        Some(growth) => format!(
            "; memory grew {} per 1,000 requests",
            mebibytes_grown(growth)
        ),
        None => String::new(),
    };
    Some(format!(
        "restarts not observed; max-requests not judged{growth}."
    ))
}

fn drift(study: &Study<'_>) -> Option<String> {
    let drift = study.analysis.drift.filter(|drift| drift.noticeable)?;
    let control = study.control().map_or("the control", label);
    Some(format!(
        "The machine changed meanwhile: {control}, in every block, went by {} from the first block \
         to the last (95 % interval {} to {}); configurations are compared within blocks only.",
        change(drift.total_pct),
        change(drift.low_pct),
        change(drift.high_pct)
    ))
}

/// Launches while which others had the machine.
fn disturbed(study: &Study<'_>) -> Option<String> {
    let disturbed = study.analysis.disturbed;
    let usual = disturbed.usual.filter(|_| disturbed.trials > 0)?;
    let kept = match disturbed.counting {
        0 => "none of them counts".to_owned(),
        kept => {
            format!("{kept} of them count all the same, for want of a calm one")
        }
    };
    Some(format!(
        "Others had more of the machine's CPU time than usual ({}) during {}; {kept}.",
        percent(usual * 100.0),
        count(u64::from(disturbed.trials), "trial"),
    ))
}

/// From so much on what others have of the machine is said beside the verdict.
const BUSY: f64 = 0.10;

/// Others who always have much of the machine disturb no trial more than the
/// next, and still decide what is best.
fn busy_machine(study: &Study<'_>) -> Option<String> {
    let usual = study
        .analysis
        .disturbed
        .usual
        .filter(|usual| *usual >= BUSY)?;
    Some(format!(
        "Others than the server and the load generator usually had {} of the machine's CPU time (a \
         database that the app asks is one of them): on a quieter machine the answer may be another.",
        percent(usual * 100.0)
    ))
}

fn memory_source(study: &Study<'_>) -> Option<String> {
    let from_rss = study
        .measure_trials()
        .filter_map(|trial| trial.server.as_ref())
        .any(|server| server.memory_peak.is_some() && server.memory_source == MemorySource::Rss);
    from_rss.then(|| {
        "Memory is RSS, as PSS could not be read: shared pages count in every process.".to_owned()
    })
}

/// How long the trials were, for tables of the environment.
pub(crate) fn lengths(study: &Study<'_>) -> Option<String> {
    let lengths = study.lengths()?;
    let resolves = lengths.resolvable_pct.map_or_else(String::new, |pct| {
        format!(
            "; the budget could resolve {} between settings as steady as the control",
            percent(pct)
        )
    });
    let at_most = match study.load.at_most() {
        Some(_) => "at most ",
        None => "",
    };
    Some(format!(
        "{}{} each, the first {} not counted{resolves}",
        at_most,
        span(lengths.length),
        span(lengths.warm_up)
    ))
}
