//! What ran beside the server: its memory and its CPU time, which are never added
//! to the server's.

use autotune_analysis::ServiceAnalysis;
use serde::Serialize;

use crate::format::{NONE, memory, percent};
use crate::study::Study;

#[derive(Debug, Serialize)]
pub(crate) struct ServiceRow {
    name: String,
    memory: String,
    cpu: String,
    cpus: String,
    saturated: String,
}

/// In the order of the grid file; none where there are no services.
pub(crate) fn rows(study: &Study<'_>) -> Vec<ServiceRow> {
    study.analysis.services.iter().map(row).collect()
}

fn row(service: &ServiceAnalysis) -> ServiceRow {
    let memory = service.memory.map(|middle| {
        let range = service
            .memory_range
            .map(|ends| (memory(ends.0), memory(ends.1)));
        with_range(memory(middle), range)
    });
    let of_cpus = |share: f64| percent(share * 100.0);
    let cpu = service.busy_share.map(|middle| {
        let range = service
            .busy_range
            .map(|ends| (of_cpus(ends.0), of_cpus(ends.1)));
        with_range(of_cpus(middle), range)
    });
    let none = || NONE.to_owned();
    ServiceRow {
        name: service.name.to_string(),
        memory: memory.unwrap_or_else(none),
        cpu: cpu.unwrap_or_else(none),
        cpus: service.cpus.to_string(),
        saturated: format!("{} of {}", service.saturated, service.trials),
    }
}

fn with_range(middle: String, range: Option<(String, String)>) -> String {
    match range {
        Some((least, most)) if least != most => format!("{middle} ({least} to {most})"),
        _ => middle,
    }
}
