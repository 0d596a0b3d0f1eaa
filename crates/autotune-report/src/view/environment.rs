//! On what, with what and under what was measured.

use std::collections::BTreeSet;

use autotune_model::{Endpoint, Enforcement, MemorySource, Method};

use crate::conditions;
use crate::format::percent;
use crate::sentences::notes::lengths;
use crate::study::Study;
use crate::view::Pair;

pub(crate) fn environment(study: &Study<'_>) -> Vec<Pair> {
    let mut pairs = vec![
        Pair::new("load", conditions::load_in_words(study.load)),
        Pair::new(
            "connections",
            conditions::connections_in_words(study.connections),
        ),
        Pair::new("CPUs of the server", study.placement.cores.to_string()),
        Pair::new("CPU placement", conditions::placement(study.placement)),
    ];
    pairs.extend(limits(study));
    if let Some(share) = conditions::generator_share(study) {
        pairs.push(Pair::new(
            "load generator",
            format!("{} of one CPU", percent(share * 100.0)),
        ));
    }
    for endpoint in study.endpoints {
        let expected: Vec<String> = endpoint.expect.status.iter().map(u16::to_string).collect();
        let contains = endpoint
            .expect
            .contains
            .as_ref()
            .map_or_else(String::new, |text| format!(" with \"{text}\""));
        let json: Vec<String> = endpoint
            .expect
            .json
            .iter()
            .map(|one| format!(" with {one}"))
            .collect();
        pairs.push(Pair::new(
            format!("endpoint {}", endpoint.name),
            format!(
                "{}{}, weight {}, good is {}{contains}{}",
                method(endpoint),
                endpoint.path,
                autotune_model::units::trim(endpoint.weight),
                expected.join(" or "),
                json.concat()
            ),
        ));
    }
    pairs.extend(lengths(study).map(|text| Pair::new("trials", text)));
    pairs.extend(memory(study).map(|text| Pair::new("memory", text)));
    pairs.extend(isolation(study).map(|text| Pair::new("held together by", text)));
    pairs.extend(
        study
            .host
            .facts
            .iter()
            .map(|(name, value)| Pair::new(name, value)),
    );
    pairs.extend(
        study
            .versions
            .iter()
            .map(|(name, value)| Pair::new(name, value)),
    );
    pairs.push(Pair::new("autotune", study.tool_version));
    pairs
}

/// What `[limits]` gave, and by what it was kept.
fn limits(study: &Study<'_>) -> Option<Pair> {
    let confinement = study.confinement;
    if confinement.limits.is_empty() {
        return None;
    }
    let given = conditions::given(&confinement.limits);
    let kept = match &confinement.enforcement {
        Enforcement::NotAsked => String::new(),
        Enforcement::By(means) => format!(", kept by {means}"),
        Enforcement::Refused { reason } => {
            format!(", memory and CPUs not enforced: {reason}")
        }
    };
    Some(Pair::new("limits of the server", format!("{given}{kept}")))
}

fn memory(study: &Study<'_>) -> Option<&'static str> {
    let servers = study
        .measure_trials()
        .filter_map(|trial| trial.server.as_ref());
    let mut sources = servers.filter(|server| server.memory_peak.is_some());
    let first = sources.next()?.memory_source;
    Some(match first {
        MemorySource::Pss => {
            "peak over the load of PSS and swapped PSS, summed over the processes; median over launches"
        }
        MemorySource::Rss => {
            "peak over the load of RSS, summed over the processes; shared pages count in each"
        }
    })
}

fn isolation(study: &Study<'_>) -> Option<String> {
    let servers = study
        .measure_trials()
        .filter_map(|trial| trial.server.as_ref());
    let ways: BTreeSet<&str> = servers
        .map(|server| server.isolation.as_str())
        .filter(|way| !way.is_empty())
        .collect();
    (!ways.is_empty()).then(|| ways.into_iter().collect::<Vec<_>>().join(", "))
}

/// What everybody expects need not be said.
fn method(endpoint: &Endpoint) -> String {
    match endpoint.method {
        Method::Get => String::new(),
        other => format!("{other} "),
    }
}
