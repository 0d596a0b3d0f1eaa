//! A check as JSON: what a program reads. Numbers carry their unit last in their
//! name; a key that changes its meaning raises `format`.

use std::collections::BTreeMap;
use std::time::Duration;

use autotune_model::ErrorCode;
use autotune_trial::Verified;
use serde::Serialize;

use crate::commands::check::Checked;
use crate::commands::check::view::{planned, rarest, settings};
use crate::failure::Failure;
use crate::progress::text as warning;

/// The version of this document.
const FORMAT: u32 = 1;

/// The document, pretty-printed, with a line end.
pub(super) fn document(checked: &Checked<'_>) -> Result<String, Failure> {
    let text = serde_json::to_string_pretty(&record(checked)).map_err(|error| {
        Failure::stopped(ErrorCode::Internal, "the check cannot be written as JSON").because(error)
    })?;
    Ok(text + "\n")
}

#[derive(Serialize)]
struct CheckRecord<'a> {
    format: u32,
    study: &'a str,
    fault: Option<FaultRecord<'a>>,
    plan: PlanRecord<'a>,
    launched: Option<LaunchedRecord<'a>>,
    time: TimeRecord<'a>,
    host: HostRecord<'a>,
    tool_version: &'static str,
}

#[derive(Serialize)]
struct FaultRecord<'a> {
    code: &'static str,
    message: &'a str,
}

#[derive(Serialize)]
struct PlanRecord<'a> {
    cells: usize,
    configurations: Vec<ConfigurationRecord<'a>>,
    folded: Vec<FoldedRecord<'a>>,
    dropped: Vec<DroppedRecord<'a>>,
}

#[derive(Serialize)]
struct ConfigurationRecord<'a> {
    configuration: &'a str,
    cells: usize,
    baseline: bool,
}

#[derive(Serialize)]
struct FoldedRecord<'a> {
    cell: &'a str,
    configuration: &'a str,
    reasons: &'a [String],
}

#[derive(Serialize)]
struct DroppedRecord<'a> {
    cell: &'a str,
    configuration: &'a str,
    constraint: &'a str,
}

#[derive(Serialize)]
struct LaunchedRecord<'a> {
    configuration: String,
    boot_s: f64,
    endpoints: Vec<EndpointRecord<'a>>,
    settings: Vec<SettingRecord>,
    overridden: Option<&'a str>,
    notes: &'a [String],
    versions: &'a BTreeMap<String, String>,
    outside: Vec<OutsideRecord<'a>>,
}

/// An endpoint whose `expect` held; one that does not stops the check.
#[derive(Serialize)]
struct EndpointRecord<'a> {
    endpoint: &'a str,
    method: &'static str,
    path: String,
    status: u16,
    size_bytes: u64,
    time_us: u64,
    content_type: Option<&'a str>,
    expect_held: bool,
}

#[derive(Serialize)]
struct SettingRecord {
    setting: String,
    value: Option<String>,
    default: String,
    named: bool,
}

#[derive(Serialize)]
struct OutsideRecord<'a> {
    address: String,
    protocol: &'a str,
    allowed_by: Option<&'a str>,
}

#[derive(Serialize)]
struct TimeRecord<'a> {
    budget_s: f64,
    preflight_trials: u32,
    preflight_s: f64,
    trial_s: f64,
    warm_up_s: f64,
    overhead_s: f64,
    overhead_seen: bool,
    block_s: f64,
    blocks: u32,
    earliest_end_s: Option<f64>,
    latest_end_s: f64,
    rarest_endpoint: &'a str,
    requests_per_trial: Option<u64>,
    requests_needed: Option<u64>,
    max_error_rate_pct: Option<f64>,
    max_error_rate_requests: Option<u64>,
    max_error_rate_blocks: Option<u64>,
    warnings: Vec<String>,
}

#[derive(Serialize)]
struct HostRecord<'a> {
    server_cpus: usize,
    server_cpu_set: Option<&'a [usize]>,
    generator_cpu_set: Option<&'a [usize]>,
    problems: Vec<ProblemRecord<'a>>,
}

#[derive(Serialize)]
struct ProblemRecord<'a> {
    code: &'static str,
    problem: &'a str,
    remedy: &'a str,
}

fn record<'a>(checked: &'a Checked<'_>) -> CheckRecord<'a> {
    CheckRecord {
        format: FORMAT,
        study: &checked.grid.file.name,
        fault: checked.fault.map(|fault| FaultRecord {
            code: fault.code.as_str(),
            message: &fault.message,
        }),
        plan: plan(checked),
        launched: checked.launched.as_ref().map(|(configuration, verified)| {
            launched(checked, configuration.to_string(), verified)
        }),
        time: time(checked),
        host: host(checked),
        tool_version: env!("CARGO_PKG_VERSION"),
    }
}

fn plan<'a>(checked: &'a Checked<'_>) -> PlanRecord<'a> {
    let space = &checked.grid.file.space;
    let folded = space.folded.iter().map(|cell| FoldedRecord {
        cell: &cell.spelled,
        configuration: cell.into.as_str(),
        reasons: &cell.reasons,
    });
    let dropped = space.dropped.iter().map(|cell| DroppedRecord {
        cell: &cell.spelled,
        configuration: cell.configuration.as_str(),
        constraint: &cell.constraint,
    });
    let configurations = planned(checked);
    let configurations = configurations.iter().map(|one| ConfigurationRecord {
        configuration: one.label,
        cells: one.cells,
        baseline: one.is_baseline,
    });
    PlanRecord {
        cells: space.cells,
        configurations: configurations.collect(),
        folded: folded.collect(),
        dropped: dropped.collect(),
    }
}

fn launched<'a>(
    checked: &'a Checked<'_>,
    configuration: String,
    verified: &'a Verified,
) -> LaunchedRecord<'a> {
    let pairs = checked.grid.file.endpoints.iter().zip(&verified.answers);
    let endpoints = pairs.map(|(endpoint, answer)| EndpointRecord {
        endpoint: answer.endpoint.as_str(),
        method: endpoint.method.as_str(),
        path: endpoint.path.to_string(),
        status: answer.status,
        size_bytes: answer.size.get(),
        time_us: u64::try_from(answer.took.as_micros()).unwrap_or(u64::MAX),
        content_type: answer.content_type.as_deref(),
        expect_held: true,
    });
    let settings = settings(checked).into_iter().map(|setting| SettingRecord {
        setting: setting.name,
        value: setting.value,
        default: setting.default,
        named: setting.named,
    });
    let outside = verified.outside.iter().map(|one| OutsideRecord {
        address: one.address.to_string(),
        protocol: &one.protocol,
        allowed_by: one.allowed_by.as_deref(),
    });
    LaunchedRecord {
        configuration,
        boot_s: seconds(verified.boot),
        endpoints: endpoints.collect(),
        settings: settings.collect(),
        overridden: verified.overridden.as_deref(),
        notes: &verified.notes,
        versions: &verified.versions,
        outside: outside.collect(),
    }
}

fn time<'a>(checked: &'a Checked<'_>) -> TimeRecord<'a> {
    let outlook = &checked.outlook;
    let rate = checked.error_rate();
    TimeRecord {
        budget_s: seconds(checked.budget),
        preflight_trials: outlook.preflight_trials,
        preflight_s: seconds(outlook.preflight),
        trial_s: seconds(outlook.length),
        warm_up_s: seconds(outlook.warm_up),
        overhead_s: seconds(outlook.overhead),
        overhead_seen: checked.launched.is_some(),
        block_s: seconds(outlook.block),
        blocks: outlook.blocks,
        earliest_end_s: outlook.earliest_end.map(seconds),
        latest_end_s: seconds(outlook.latest_end),
        rarest_endpoint: rarest(checked),
        requests_per_trial: outlook.requests,
        requests_needed: outlook.requests_needed,
        max_error_rate_pct: rate.map(|rate| rate.limit.percent()),
        max_error_rate_requests: rate.and_then(|rate| rate.requests),
        max_error_rate_blocks: rate.and_then(|rate| rate.blocks),
        warnings: outlook.warnings.iter().map(warning).collect(),
    }
}

/// Milliseconds are all that means anything here.
fn seconds(time: Duration) -> f64 {
    (time.as_secs_f64() * 1e3).round() / 1e3
}

fn host<'a>(checked: &'a Checked<'_>) -> HostRecord<'a> {
    let placement = checked.placement;
    let problems = checked.problems.iter().map(|one| ProblemRecord {
        code: one.code.as_str(),
        problem: &one.text,
        remedy: &one.remedy,
    });
    HostRecord {
        server_cpus: placement.cores,
        server_cpu_set: placement.server.as_ref().map(|set| set.as_slice()),
        generator_cpu_set: placement.generator.as_ref().map(|set| set.as_slice()),
        problems: problems.collect(),
    }
}
