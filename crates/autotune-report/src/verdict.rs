//! `verdict.json`: what a program reads. The types mirror the analysis, so that
//! a change there does not change the format unseen; numbers carry their unit
//! last in their name. Keys keep their order, and new ones are appended where
//! that reads well; a key that changes its meaning raises `format`.

mod configuration;
mod host_limits;

use std::collections::BTreeMap;

use autotune_analysis::ServiceAnalysis;
use autotune_model::{Bytes, MaxLatency, Surge};
use serde::{Serialize, Serializer};

use crate::conditions;
use crate::error::ReportError;
use crate::sentences::notes::exploratory_reasons;
use crate::sentences::sentences;
use crate::study::{Ending, Study, label};
use configuration::{ConfigurationRecord, LimitRecord};
pub use host_limits::HostLimitsRecord;

/// The format version of `verdict.json`.
const FORMAT: u32 = 1;

/// The verdict as JSON, pretty-printed, with a line end.
///
/// # Errors
/// When the JSON writer fails.
pub fn verdict_json(study: &Study<'_>) -> Result<String, ReportError> {
    let mut text = serde_json::to_string_pretty(&record(study))?;
    text.push('\n');
    Ok(text)
}

#[derive(Serialize)]
struct VerdictRecord<'a> {
    format: u32,
    verdict: &'static str,
    recommended: Option<&'a str>,
    tie_set: Vec<&'a str>,
    bound_pct: Option<f64>,
    bound_us: Option<f64>,
    dependency_bound: Option<&'a str>,
    exploratory: bool,
    exploratory_reasons: Vec<String>,
    limits: Vec<LimitRecord<'a>>,
    server_cpus: usize,
    server_cpu_set: Option<&'a [usize]>,
    generator_cpu_set: Option<&'a [usize]>,
    generator_cpu_pct: Option<f64>,
    host_limits: Option<HostLimitsRecord<'a>>,
    restarts_observed: u32,
    memory_growth_mib_per_1000: Option<f64>,
    lighter_open: Vec<&'a str>,
    ratio_to_baseline: configuration::Measure,
    fault: Option<FaultRecord<'a>>,
    headline: String,
    notes: Vec<String>,
    study: &'a str,
    ending: &'static str,
    objective: ObjectiveRecord,
    load: LoadRecord,
    confidence: f64,
    complete_blocks: u32,
    fewest_requests: Option<u64>,
    baseline: Option<&'a str>,
    control: Option<&'a str>,
    drift: Option<DriftRecord>,
    disturbed: DisturbedRecord,
    noise: Option<NoiseRecord>,
    time_spent_s: f64,
    planned: PlannedRecord<'a>,
    configurations: Vec<ConfigurationRecord<'a>>,
    services: Vec<ServiceRecord<'a>>,
    host: Pairs<'a>,
    versions: &'a BTreeMap<String, String>,
    tool_version: &'a str,
    command: &'a str,
}

#[derive(Serialize)]
struct FaultRecord<'a> {
    code: &'static str,
    message: &'a str,
}

#[derive(Serialize)]
struct ObjectiveRecord {
    minimize: String,
    over: String,
    accept_pct: Option<f64>,
    accept_us: Option<f64>,
    min_effect_pct: f64,
    max_error_rate_pct: Option<f64>,
    max_latency: Vec<MaxLatencyRecord>,
    max_memory_bytes: Option<u64>,
    surge: Option<f64>,
}

#[derive(Serialize)]
struct MaxLatencyRecord {
    limit: String,
    endpoint: String,
    at_most_us: f64,
}

#[derive(Serialize)]
struct LoadRecord {
    kind: &'static str,
    description: String,
    connections: String,
}

#[derive(Serialize)]
struct DisturbedRecord {
    trials: u32,
    counting: u32,
    usual_pct: Option<f64>,
}

#[derive(Serialize)]
struct DriftRecord {
    total_pct: f64,
    low_pct: f64,
    high_pct: f64,
    noticeable: bool,
}

#[derive(Serialize)]
struct NoiseRecord {
    median_pct: f64,
    least_pct: f64,
    most_pct: f64,
}

#[derive(Serialize)]
struct PlannedRecord<'a> {
    configurations: usize,
    cells: usize,
    folded: &'a [String],
    dropped: &'a [String],
}

/// What ran beside the server; shares are of the CPUs that it may use.
#[derive(Serialize)]
struct ServiceRecord<'a> {
    service: &'a str,
    cpus: u32,
    trials: u32,
    saturated_trials: u32,
    memory_peak_bytes: Option<u64>,
    memory_least_bytes: Option<u64>,
    memory_most_bytes: Option<u64>,
    cpu_pct: Option<f64>,
    cpu_least_pct: Option<f64>,
    cpu_most_pct: Option<f64>,
}

/// Pairs as an object in their own order.
struct Pairs<'a>(&'a [(String, String)]);

impl Serialize for Pairs<'_> {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_map(self.0.iter().map(|(name, value)| (name, value)))
    }
}

fn record<'a>(study: &Study<'a>) -> VerdictRecord<'a> {
    let analysis = study.analysis;
    let verdict = &analysis.verdict;
    let recommended = study.recommended();
    let mut sentences = sentences(study).into_iter();
    let lighter: &[_] = if recommended.is_some() {
        &verdict.lighter_open
    } else {
        &[]
    };
    VerdictRecord {
        format: FORMAT,
        verdict: study.word().as_str(),
        recommended: recommended.map(label),
        tie_set: study.tie_set(),
        bound_pct: recommended.and(verdict.bound_pct),
        bound_us: recommended.and(verdict.bound_us),
        dependency_bound: study.waits_for().map(|bound| bound.service.name.as_str()),
        exploratory: !verdict.exploratory.is_empty(),
        exploratory_reasons: exploratory_reasons(study),
        limits: recommended.map(configuration::limits).unwrap_or_default(),
        server_cpus: study.placement.cores,
        server_cpu_set: study.placement.server.as_ref().map(|set| set.as_slice()),
        generator_cpu_set: study.placement.generator.as_ref().map(|set| set.as_slice()),
        generator_cpu_pct: conditions::generator_share(study).map(|share| share * 100.0),
        host_limits: HostLimitsRecord::of(study.confinement),
        restarts_observed: analysis.restarts_observed,
        memory_growth_mib_per_1000: verdict
            .memory_growth
            .map(|growth| growth.mib_per_1000_requests),
        lighter_open: study.labels(lighter),
        ratio_to_baseline: configuration::measure(recommended.and(verdict.against_baseline)),
        fault: fault(study),
        headline: sentences.next().unwrap_or_default(),
        notes: sentences.collect(),
        study: study.name,
        ending: study.ending.as_str(),
        objective: objective(study),
        load: load(study),
        confidence: analysis.confidence,
        complete_blocks: analysis.complete_blocks,
        fewest_requests: analysis.fewest_requests,
        baseline: study
            .objective
            .baseline
            .as_ref()
            .map(|today| today.label().as_str()),
        control: study.control().map(label),
        drift: drift(study),
        disturbed: DisturbedRecord {
            trials: analysis.disturbed.trials,
            counting: analysis.disturbed.counting,
            usual_pct: analysis.disturbed.usual.map(|share| share * 100.0),
        },
        noise: noise(study),
        time_spent_s: study.history.time_spent().as_secs_f64(),
        planned: PlannedRecord {
            configurations: study.planned.configurations,
            cells: study.planned.cells,
            folded: &study.planned.folded,
            dropped: &study.planned.dropped,
        },
        configurations: configuration::all(study),
        services: analysis.services.iter().map(service).collect(),
        host: Pairs(&study.host.facts),
        versions: study.versions,
        tool_version: study.tool_version,
        command: study.command,
    }
}

fn fault<'a>(study: &Study<'a>) -> Option<FaultRecord<'a>> {
    match study.ending {
        Ending::Stopped { code, fault } => Some(FaultRecord {
            code: code.as_str(),
            message: fault,
        }),
        Ending::Answered | Ending::Budget | Ending::NothingMeasurable | Ending::Interrupted => None,
    }
}

fn service(service: &ServiceAnalysis) -> ServiceRecord<'_> {
    ServiceRecord {
        service: service.name.as_str(),
        cpus: service.cpus,
        trials: service.trials,
        saturated_trials: service.saturated,
        memory_peak_bytes: service.memory.map(Bytes::get),
        memory_least_bytes: service.memory_range.map(|(least, _)| least.get()),
        memory_most_bytes: service.memory_range.map(|(_, most)| most.get()),
        cpu_pct: service.busy_share.map(|share| share * 100.0),
        cpu_least_pct: service.busy_range.map(|(least, _)| least * 100.0),
        cpu_most_pct: service.busy_range.map(|(_, most)| most * 100.0),
    }
}

fn objective(study: &Study<'_>) -> ObjectiveRecord {
    let objective = study.objective;
    ObjectiveRecord {
        minimize: study.analysis.metric.to_string(),
        over: study.analysis.over.to_string(),
        accept_pct: objective.accept.relative.map(|share| share.percent()),
        accept_us: objective
            .accept
            .absolute
            .map(|time| time.as_secs_f64() * 1e6),
        min_effect_pct: objective.min_effect.percent(),
        max_error_rate_pct: objective.max_error_rate.map(|share| share.percent()),
        max_latency: objective.max_latency.iter().map(max_latency).collect(),
        max_memory_bytes: objective.max_memory.map(Bytes::get),
        surge: objective.surge.map(Surge::get),
    }
}

fn max_latency(limit: &MaxLatency) -> MaxLatencyRecord {
    MaxLatencyRecord {
        limit: limit.key(),
        endpoint: limit.endpoint.to_string(),
        at_most_us: limit.at_most.as_secs_f64() * 1e6,
    }
}

fn load(study: &Study<'_>) -> LoadRecord {
    LoadRecord {
        kind: study.load.kind(),
        description: conditions::load_in_words(study.load),
        connections: study.connections.to_string(),
    }
}

fn drift(study: &Study<'_>) -> Option<DriftRecord> {
    study.analysis.drift.map(|drift| DriftRecord {
        total_pct: drift.total_pct,
        low_pct: drift.low_pct,
        high_pct: drift.high_pct,
        noticeable: drift.noticeable,
    })
}

fn noise(study: &Study<'_>) -> Option<NoiseRecord> {
    study.analysis.noise.map(|noise| NoiseRecord {
        median_pct: noise.median_pct,
        least_pct: noise.least_pct,
        most_pct: noise.most_pct,
    })
}

#[cfg(test)]
mod tests;
