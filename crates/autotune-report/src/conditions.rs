//! Under what the answer holds, in words: objective, CPUs, load, connections.

use autotune_model::{Confinement, CpuPlacement, CpuSet, HostLimits, Metric, Over};

use crate::format::{count, list, memory, percent};
use crate::study::Study;

mod load;

pub use load::{connections_in_words, load_in_words};

/// `p95, geomean over 4 endpoints`.
pub(crate) fn objective(study: &Study<'_>) -> String {
    let endpoints = study.endpoints.len() as u64;
    let metric = match study.analysis.metric {
        Metric::Memory => return "peak memory".to_owned(),
        Metric::Cpu => return "CPU time per request".to_owned(),
        Metric::Duration => return "time to the last answer".to_owned(),
        metric @ (Metric::Mean | Metric::Latency(_)) => metric,
    };
    match (study.analysis.over, endpoints) {
        (Over::Geomean | Over::Pooled, 1) => format!("{metric} of 1 endpoint"),
        (Over::Geomean, _) => format!("{metric}, geomean over {}", count(endpoints, "endpoint")),
        (Over::Pooled, _) => format!("{metric}, pooled over {}", count(endpoints, "endpoint")),
        (Over::Worst, _) => {
            format!(
                "{metric}, worst of {} against the control",
                count(endpoints, "endpoint")
            )
        }
    }
}

/// `for a server on 1 CPU, open load of 90 requests/s, keep-alive connections`; with
/// `[limits]` it says what the server was held to, or that it was not.
pub(crate) fn circumstances(study: &Study<'_>) -> String {
    format!(
        "for a server on {}{}, {}, {}",
        count(study.placement.cores as u64, "CPU"),
        held(study.confinement).map_or_else(String::new, |held| format!(" {held}")),
        load_in_words(study.load),
        connections_in_words(study.connections)
    )
}

/// `held to 1.5 CPUs and 512 MiB of memory`; `None` without `[limits]`. What is not
/// enforced must be seen wherever the answer is.
pub(crate) fn held(confinement: &Confinement) -> Option<String> {
    let limits = &confinement.limits;
    let group = HostLimits {
        files: None,
        ..limits.clone()
    };
    let files = HostLimits {
        files: limits.files,
        ..HostLimits::default()
    };
    let refused = confinement.enforcement.refusal();
    let held = if refused.is_some() { &files } else { limits };
    let mut parts = Vec::new();
    parts.extend((!held.is_empty()).then(|| format!("held to {}", given(held))));
    parts.extend(refused.map(|_| format!("(limits not enforced: {})", given(&group))));
    (!parts.is_empty()).then(|| parts.join(" "))
}

/// `1.5 CPUs, 512 MiB of memory and 1024 open files`.
pub fn given(limits: &HostLimits) -> String {
    let mut parts = Vec::new();
    parts.extend(limits.cpus.map(|cpus| {
        let noun = if cpus.cpus() == 1.0 { "CPU" } else { "CPUs" };
        format!("{cpus} {noun}")
    }));
    let of_memory = limits.memory.map(memory);
    parts.extend(of_memory.map(|memory| format!("{memory} of memory")));
    parts.extend(limits.files.map(|files| count(files, "open file")));
    list(&parts)
}

/// `server on CPU 1, generator on CPU 0`, or that nothing is pinned.
pub(crate) fn placement(placement: &CpuPlacement) -> String {
    let of = |who: &str, set: &Option<CpuSet>| match set {
        Some(set) if set.len() == 1 => format!("{who} on CPU {set}"),
        Some(set) => format!("{who} on CPUs {set}"),
        None => format!("{who} not pinned"),
    };
    format!(
        "{}, {}",
        of("server", &placement.server),
        of("generator", &placement.generator)
    )
}

/// Whether the generator can take CPU time from the server, and how much it took.
pub(crate) fn shared_cpus(study: &Study<'_>) -> Option<String> {
    let took = generator_share(study).map_or_else(String::new, |share| {
        format!("; the generator used {} of one CPU", percent(share * 100.0))
    });
    match (&study.placement.server, &study.placement.generator) {
        (Some(server), Some(generator)) => {
            let both: Vec<usize> = server
                .as_slice()
                .iter()
                .copied()
                .filter(|cpu| generator.as_slice().contains(cpu))
                .collect();
            if both.is_empty() {
                return None;
            }
            let both = CpuSet::new(both);
            let noun = if both.len() == 1 { "CPU" } else { "CPUs" };
            Some(format!(
                "Server and load generator share {noun} {both}{took}."
            ))
        }
        (None, None) => Some(format!(
            "Nothing was pinned: server and load generator share the CPUs{took}."
        )),
        (Some(_), None) => Some(format!(
            "The load generator was not pinned: it may have run on the server's CPUs{took}."
        )),
        (None, Some(_)) => Some(format!(
            "The server was not pinned: it may have run on the load generator's CPUs{took}."
        )),
    }
}

/// CPU time of the generator over the time of the loads.
pub(crate) fn generator_share(study: &Study<'_>) -> Option<f64> {
    let mut cpu = 0.0;
    let mut wall = 0.0;
    for load in study
        .measure_trials()
        .filter_map(|trial| trial.load.as_ref())
    {
        cpu += load.generator.cpu.as_secs_f64();
        wall += load.length.as_secs_f64();
    }
    (wall > 0.0).then(|| cpu / wall)
}
