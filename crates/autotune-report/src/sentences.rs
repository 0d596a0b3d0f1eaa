//! The headline and the sentences that belong to it. Terminal, JSON, Markdown
//! and HTML say these same sentences, so that none of them says more than the
//! others.

pub(crate) mod notes;
mod services;

use std::collections::BTreeMap;

use autotune_analysis::{
    ConfigAnalysis, Feasibility, LimitCheck, LimitFigures, LimitState, Reason, VerdictWord,
};
use autotune_model::{Bytes, EndpointName};

use crate::conditions::{circumstances, objective};
use crate::format::{count, list, memory, one_line, percent_at_most, time_us};
use crate::study::{Ending, Study, Word, label};

/// What the study says: the headline, then a line for each sentence that must
/// not be missed, among them what was not judged.
pub fn headline(study: &Study<'_>) -> String {
    sentences(study).join("\n")
}

/// `recommended: A B C`: A is recommended, B and C are the rest of the tie set.
/// `None` where nothing is recommended.
pub fn recommended_line(study: &Study<'_>) -> Option<String> {
    let ties = study.tie_set();
    (!ties.is_empty()).then(|| format!("recommended: {}", ties.join(" ")))
}

/// The headline first.
pub(crate) fn sentences(study: &Study<'_>) -> Vec<String> {
    let mut all = vec![first(study)];
    all.extend(notes::notes(study));
    all.iter().map(|sentence| one_line(sentence)).collect()
}

/// The one sentence that stands for the study.
fn first(study: &Study<'_>) -> String {
    let circumstances = circumstances(study);
    match (study.word(), study.ending) {
        (Word::Stopped, Ending::Stopped { code, fault }) => {
            // The log that may follow is in the JSON and was printed with the fault.
            let fault = fault
                .lines()
                .next()
                .unwrap_or_default()
                .trim_end_matches([':', ';']);
            format!("stopped by a fault ({code}): {fault}; no verdict, {circumstances}.")
        }
        (Word::Stopped | Word::Interrupted, _) => interrupted(study, &circumstances),
        (Word::Verdict(VerdictWord::Infeasible), _) => infeasible(study, &circumstances),
        (Word::Verdict(word), _) => match (study.recommended(), study.waits_for()) {
            (_, Some(bound)) => services::waits(bound, &circumstances),
            (Some(config), None) => recommended(study, word, config),
            (None, None) => nothing_compared(study, &circumstances),
        },
    }
}

fn interrupted(study: &Study<'_>, circumstances: &str) -> String {
    let blocks = count(u64::from(study.analysis.complete_blocks), "complete block");
    format!("interrupted after {blocks}: no verdict yet, {circumstances}.")
}

fn recommended(study: &Study<'_>, word: VerdictWord, config: &ConfigAnalysis) -> String {
    let name = label(config);
    let lead = match word {
        VerdictWord::KeepCurrent => format!("keep {name}, which runs today"),
        VerdictWord::Recommended | VerdictWord::Infeasible => name.to_owned(),
        VerdictWord::Unresolved => match unmeasured(study).as_slice() {
            [] if study.analysis.verdict.but_for_surge.is_some() => format!(
                "unresolved, as it was not shown to carry the surge; the favourite is {name}"
            ),
            [] => format!("unresolved, the favourite is {name}"),
            names => format!(
                "unresolved, as {} could not be measured; the favourite of the others is {name}",
                list(names)
            ),
        },
    };
    format!(
        "{lead}: {} ({}), {}.",
        claim(study, word),
        objective(study),
        circumstances(study)
    )
}

/// What is claimed of the recommended one against the best.
fn claim(study: &Study<'_>, word: VerdictWord) -> String {
    let verdict = &study.analysis.verdict;
    let confidence = crate::format::confidence(study.analysis.confidence);
    let Some(bound_pct) = verdict.bound_pct else {
        return "measured too seldom to say how much worse than the best measured it may be"
            .to_owned();
    };
    if feasible(study).count() == 1 {
        return format!(
            "the only one of {} measured that meets the limits",
            count(study.analysis.configurations.len() as u64, "configuration")
        );
    }
    let bound = percent_at_most(bound_pct);
    let time = match (study.objective.accept.absolute, verdict.bound_us) {
        (Some(_), Some(bound_us)) => format!(" or {}", time_us(bound_us.ceil())),
        _ => String::new(),
    };
    // The bound is within `accept`, where only a configuration that could not be
    // measured keeps the verdict open.
    let is_within = !verdict.why.contains(&Reason::BestEstimate);
    match word {
        VerdictWord::Unresolved if !is_within => format!(
            "with {confidence} confidence it is only shown to be at most {bound}{time} worse than \
             the best measured, where {} is accepted",
            study.objective.accept
        ),
        _ => format!(
            "with {confidence} confidence at most {bound}{time} worse than the best measured"
        ),
    }
}

/// Configurations of which nothing is known: one of them may be the best.
pub(crate) fn unmeasured<'a>(study: &Study<'a>) -> Vec<&'a str> {
    let all = study.analysis.configurations.iter();
    all.filter(|config| matches!(config.feasibility, Feasibility::Unknown(_)))
        .map(label)
        .collect()
}

pub(crate) fn feasible<'a>(study: &Study<'a>) -> impl Iterator<Item = &'a ConfigAnalysis> {
    let all = study.analysis.configurations.iter();
    all.filter(|config| config.feasibility == Feasibility::Feasible)
}

/// Which limits and failures rule configurations out, and how many each.
fn infeasible(study: &Study<'_>, circumstances: &str) -> String {
    let configurations = &study.analysis.configurations;
    if configurations.is_empty() {
        return format!("nothing was launched: no verdict, {circumstances}.");
    }
    let mut causes: BTreeMap<String, u64> = BTreeMap::new();
    for cause in configurations.iter().flat_map(causes_of) {
        *causes.entry(cause).or_default() += 1;
    }
    let causes: Vec<String> = causes
        .iter()
        .map(|(cause, number)| format!("{cause} in {number}"))
        .collect();
    let because = if causes.is_empty() {
        String::new()
    } else {
        format!(" ({})", causes.join(", "))
    };
    format!(
        "no configuration meets the limits: of {} launched all fail{because}, {circumstances}.",
        count(configurations.len() as u64, "configuration")
    )
}

/// Why there is not even a favourite: what was not measured, and what fails.
fn nothing_compared(study: &Study<'_>, circumstances: &str) -> String {
    let configurations = &study.analysis.configurations;
    let mut unmeasured: BTreeMap<&str, u64> = BTreeMap::new();
    for config in configurations {
        if let Feasibility::Unknown(reasons) = &config.feasibility {
            let reasons = reasons.iter().map(String::as_str);
            reasons.for_each(|reason| *unmeasured.entry(reason).or_default() += 1);
        }
    }
    if unmeasured.is_empty() {
        return format!("nothing was measured: no verdict, {circumstances}.");
    }
    let reasons: Vec<String> = unmeasured
        .iter()
        .map(|(reason, number)| format!("{reason} in {number}"))
        .collect();
    let failing = configurations
        .iter()
        .filter(|config| matches!(config.feasibility, Feasibility::Infeasible(_)));
    let rest = match failing.count() {
        0 => String::new(),
        number => format!(", the other {number} fail"),
    };
    format!(
        "unresolved, nothing could be compared: of {} not all were measured ({}){rest}, \
         {circumstances}.",
        count(configurations.len() as u64, "configuration"),
        reasons.join(", ")
    )
}

/// Each cause once for a configuration.
fn causes_of(config: &ConfigAnalysis) -> Vec<String> {
    let broken = config
        .limits
        .iter()
        .filter(|check| check.state == LimitState::Broken);
    let mut causes: Vec<String> = broken
        .map(|check| format!("{} broken", check.limit))
        .collect();
    let launches = &config.launches;
    let failures = [
        (launches.overloaded, "overloaded"),
        (launches.failed_to_start, "failed to start"),
        (launches.died, "died under load"),
        (launches.out_of_memory, "out of memory"),
        (launches.not_attained, "too many failed requests"),
    ];
    causes.extend(
        failures
            .iter()
            .filter(|(number, _)| *number > 0)
            .map(|(_, text)| (*text).to_owned()),
    );
    if launches.telling() == 0 {
        causes.push("no valid launch".to_owned());
    }
    causes.sort();
    causes.dedup();
    causes
}

/// `overloaded 2, died 1`: for tables.
pub(crate) fn failures(config: &ConfigAnalysis) -> String {
    let launches = &config.launches;
    let parts = [
        (launches.overloaded, "overloaded"),
        (launches.failed_to_start, "failed to start"),
        (launches.died, "died"),
        (launches.out_of_memory, "out of memory"),
        (launches.not_attained, "not attained"),
        (launches.no_statistic, "too little data"),
        (launches.invalid, "invalid"),
    ];
    let parts: Vec<String> = parts
        .iter()
        .filter(|(number, _)| *number > 0)
        .map(|(number, text)| format!("{text} {number}"))
        .collect();
    parts.join(", ")
}

/// What is known of each limit, in words.
pub(crate) fn limit_sentence(config: &ConfigAnalysis) -> Option<String> {
    let mut texts: Vec<String> = Vec::new();
    for check in &config.limits {
        let text = limit_text(check);
        if !texts.contains(&text) {
            texts.push(text);
        }
    }
    let sentences = texts.iter().filter_map(|text| one_limit(config, text));
    let sentences: Vec<String> = sentences.collect();
    (!sentences.is_empty()).then(|| sentences.join(" "))
}

/// `max_p95 of 200 ms`.
fn limit_text(check: &LimitCheck) -> String {
    let at_most = match check.figures {
        LimitFigures::Share { at_most, .. } => crate::format::percent_exactly(at_most * 100.0),
        LimitFigures::Time { at_most_us, .. } => time_us(at_most_us),
        LimitFigures::Memory { at_most, .. } => memory(Bytes::new(at_most as u64)),
        LimitFigures::Surge { factor, .. } => format!("{factor} times the rate"),
    };
    format!("{} of {at_most}", check.limit)
}

/// Where this limit is shown to hold, and where that is open.
fn one_limit(config: &ConfigAnalysis, limit: &str) -> Option<String> {
    let own = || {
        config
            .limits
            .iter()
            .filter(|check| limit_text(check) == limit)
    };
    let of_server = own().find(|check| check.endpoint.is_none());
    if let Some(check) = of_server {
        return of_the_whole(check, limit);
    }
    let at = |state: LimitState| {
        let places = own().filter(|check| check.state == state);
        let names = places.filter_map(|check| check.endpoint.as_ref());
        names.map(EndpointName::as_str).collect::<Vec<_>>()
    };
    let (shown, unsure) = (at(LimitState::Shown), at(LimitState::NotShownBroken));
    let everywhere = own().count() == config.endpoints.len();
    let place = |names: &[&str], all: &str| match everywhere {
        true => all.to_owned(),
        false => list(names),
    };
    Some(match (shown.is_empty(), unsure.is_empty()) {
        (false, true) => format!(
            "{limit} is shown to hold at {}.",
            place(&shown, "every endpoint")
        ),
        (true, false) => format!(
            "{limit} is not shown broken at {}; too little was measured to show that it holds.",
            place(&unsure, "any endpoint")
        ),
        (false, false) => format!(
            "{limit} is shown to hold at {}, and not shown broken at {}.",
            list(&shown),
            list(&unsure)
        ),
        (true, true) => return None,
    })
}

fn of_the_whole(check: &LimitCheck, limit: &str) -> Option<String> {
    match (check.figures, check.state) {
        (_, LimitState::Broken) => None,
        (
            LimitFigures::Surge {
                carried, failed, ..
            },
            LimitState::Shown,
        ) => Some(format!(
            "{limit} is carried in {carried} of {} launches.",
            carried + failed
        )),
        (
            LimitFigures::Surge {
                carried, failed, ..
            },
            LimitState::NotShownBroken,
        ) => Some(format!(
            "{limit} is not shown to be carried: carried in {carried}, failed in {failed} launches.",
        )),
        (_, LimitState::Shown) => Some(format!("{limit} is shown to hold.")),
        (_, LimitState::NotShownBroken) => Some(format!(
            "{limit} is not shown broken; too little was measured to show that it holds."
        )),
    }
}

#[cfg(test)]
mod tests;
