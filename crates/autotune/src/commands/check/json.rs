//! A check as JSON: what a program reads. Numbers carry their unit last in their
//! name; a key that changes its meaning raises `format`.

use std::collections::BTreeMap;
use std::time::Duration;

use autotune_model::{ErrorCode, Expect, JsonExpect};
use autotune_report::{HostLimitsRecord, connections_in_words, load_in_words};
use autotune_trial::{ServiceUp, Verified};
use serde::Serialize;

use crate::commands::check::Checked;
use crate::commands::check::view::{
    against, length_is_guessed, planned, rarest, settings, warnings,
};
use crate::failure::Failure;

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
    fault: Option<FaultRecord>,
    plan: PlanRecord<'a>,
    load: LoadRecord,
    login: Option<LoginRecord>,
    launched: Option<LaunchedRecord<'a>>,
    time: TimeRecord<'a>,
    host: HostRecord<'a>,
    tool_version: &'static str,
}

/// What the exit code 5 is for.
#[derive(Serialize)]
struct FaultRecord {
    code: &'static str,
    message: String,
    cause: Option<String>,
}

/// How requests arrive.
#[derive(Serialize)]
struct LoadRecord {
    kind: &'static str,
    description: String,
    connections: String,
    ramp_s: f64,
}

/// What is asked before the load of every trial, by each session.
#[derive(Serialize)]
struct LoginRecord {
    sessions: u32,
    steps: Vec<StepRecord>,
}

#[derive(Serialize)]
struct StepRecord {
    method: &'static str,
    path: String,
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
    services: Vec<ServiceRecord<'a>>,
}

/// What ran beside the server.
#[derive(Serialize)]
struct ServiceRecord<'a> {
    service: &'a str,
    address: String,
    ready_s: f64,
    cpus: u32,
    shares_server_cpus: bool,
    user: Option<&'a str>,
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
    expect: ExpectRecord<'a>,
}

/// The value as JSON has it, or `some value`, `nothing`.
#[derive(Serialize)]
struct JsonRecord<'a> {
    pointer: &'a str,
    expected: String,
}

#[derive(Serialize)]
struct ExpectRecord<'a> {
    statuses: &'a [u16],
    contains: Option<&'a str>,
    min_bytes: Option<u64>,
    max_bytes: Option<u64>,
    json: Vec<JsonRecord<'a>>,
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
    /// Whether the pre-flight will show another one.
    trial_is_estimate: bool,
    warm_up_s: f64,
    overhead_s: f64,
    overhead_seen: bool,
    block_s: f64,
    blocks: u32,
    /// Budgets that would do, where not one block fits.
    budget_for_one_block_s: Option<f64>,
    budget_for_confirmed_s: Option<f64>,
    surge_trials: u32,
    surge_s: f64,
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
    /// `None` without `[limits]`.
    limits: Option<HostLimitsRecord<'a>>,
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
        fault: against(checked).map(|against| FaultRecord {
            code: against.code.as_str(),
            message: against.message,
            cause: against.cause,
        }),
        plan: plan(checked),
        load: load(checked),
        login: login(checked),
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

fn login(checked: &Checked<'_>) -> Option<LoginRecord> {
    let login = checked.grid.file.login.as_ref()?;
    let steps = login.steps.iter().map(|step| StepRecord {
        method: step.method.as_str(),
        path: step.path.to_string(),
    });
    Some(LoginRecord {
        sessions: login.sessions,
        steps: steps.collect(),
    })
}

fn expected(expect: &Expect) -> ExpectRecord<'_> {
    ExpectRecord {
        statuses: &expect.status,
        contains: expect.contains.as_deref(),
        min_bytes: expect.min_bytes,
        max_bytes: expect.max_bytes,
        json: expect.json.iter().map(json_record).collect(),
    }
}

fn json_record(expect: &JsonExpect) -> JsonRecord<'_> {
    JsonRecord {
        pointer: &expect.pointer,
        expected: expect.wanted.to_string(),
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
        expect: expected(&endpoint.expect),
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
        services: verified.services.iter().map(service).collect(),
    }
}

fn service(up: &ServiceUp) -> ServiceRecord<'_> {
    ServiceRecord {
        service: up.name.as_str(),
        address: up.address.to_string(),
        ready_s: up.ready.as_secs_f64(),
        cpus: up.cpus,
        shares_server_cpus: up.shares_server,
        user: up.user.as_deref(),
    }
}

fn load(checked: &Checked<'_>) -> LoadRecord {
    let file = &checked.grid.file;
    LoadRecord {
        kind: file.load.kind(),
        description: load_in_words(&file.load),
        connections: connections_in_words(file.connections),
        ramp_s: seconds(file.load.ramp()),
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
        trial_is_estimate: length_is_guessed(checked),
        warm_up_s: seconds(outlook.warm_up),
        overhead_s: seconds(outlook.overhead),
        overhead_seen: checked.launched.is_some(),
        block_s: seconds(outlook.block),
        blocks: outlook.blocks,
        budget_for_one_block_s: checked.enough.map(|enough| seconds(enough.one_block)),
        budget_for_confirmed_s: checked.enough.map(|enough| seconds(enough.confirmed)),
        surge_trials: outlook.surge_trials,
        surge_s: seconds(outlook.surge),
        earliest_end_s: outlook.earliest_end.map(seconds),
        latest_end_s: seconds(outlook.latest_end),
        rarest_endpoint: rarest(checked),
        requests_per_trial: outlook.requests,
        requests_needed: outlook.requests_needed,
        max_error_rate_pct: rate.map(|rate| rate.limit.percent()),
        max_error_rate_requests: rate.and_then(|rate| rate.requests),
        max_error_rate_blocks: rate.and_then(|rate| rate.blocks),
        warnings: warnings(checked),
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
        limits: HostLimitsRecord::of(checked.confinement),
        problems: problems.collect(),
    }
}

#[cfg(test)]
mod tests {
    use autotune_model::EndpointName;
    use autotune_sweep::Fault;
    use autotune_trial::Answered;
    use serde_json::{Value, json};

    use super::*;
    use crate::commands::check::tests;

    fn shown(checked: &Checked<'_>) -> Value {
        serde_json::from_str(&document(checked).unwrap()).unwrap()
    }

    #[test]
    fn what_stands_against_a_sweep_is_there_with_its_cause() {
        let (grid, placement) = (tests::grid(), tests::placement());
        let fault = Fault {
            code: ErrorCode::Setup,
            message: "a step failed".to_owned(),
            source: Some("no such file".into()),
        };
        let mut checked = tests::checked(&grid, &placement, 60);
        assert_eq!(shown(&checked)["fault"], Value::Null);
        checked.fault = Some(&fault);
        let expected = json!({
            "code": ErrorCode::Setup.as_str(),
            "message": "a step failed",
            "cause": "no such file",
        });
        assert_eq!(shown(&checked)["fault"], expected);
        let mut checked = tests::checked(&grid, &placement, 60);
        checked.launched = Some(tests::overridden(&grid));
        let fault = &shown(&checked)["fault"];
        assert_eq!(fault["code"], ErrorCode::NothingValid.as_str());
        let message = fault["message"].as_str().unwrap();
        assert!(
            message.ends_with("`n` was asked to be 1 but is 3"),
            "{fault}"
        );
    }

    #[test]
    fn login_and_what_is_expected_are_there() {
        let (grid, placement) = (tests::grid(), tests::placement());
        let mut checked = tests::checked(&grid, &placement, 60);
        let steps = json!([
            { "method": "GET", "path": "/login" },
            { "method": "POST", "path": "/login" },
        ]);
        assert_eq!(
            shown(&checked)["login"],
            json!({ "sessions": 3, "steps": steps })
        );
        let (configuration, mut verified) = tests::overridden(&grid);
        verified.answers.push(Answered {
            endpoint: EndpointName::new("home"),
            status: 200,
            size: autotune_model::Bytes::new(20),
            took: Duration::from_millis(5),
            content_type: None,
        });
        checked.launched = Some((configuration, verified));
        let expected = json!({
            "statuses": [200, 304], "contains": "hi", "min_bytes": 10, "max_bytes": 90,
            "json": [{ "pointer": "/n", "expected": "5" }],
        });
        assert_eq!(
            shown(&checked)["launched"]["endpoints"][0]["expect"],
            expected
        );
    }

    #[test]
    fn a_budget_without_a_block_names_those_that_have_one() {
        let (grid, placement) = (tests::grid(), tests::placement());
        let time = &shown(&tests::checked(&grid, &placement, 60))["time"];
        assert_eq!(time["budget_for_one_block_s"], Value::Null);
        assert_eq!(time["trial_is_estimate"], false);
        let time = &shown(&tests::checked(&grid, &placement, 0))["time"];
        assert_eq!(time["blocks"], 0);
        let (one, eight) = (
            &time["budget_for_one_block_s"],
            &time["budget_for_confirmed_s"],
        );
        assert!(one.as_f64() < eight.as_f64(), "{time:#}");
        let warnings = time["warnings"].to_string();
        assert!(warnings.contains("not one block fits"), "{warnings}");
        assert!(!warnings.contains("may be exploratory"), "{warnings}");
    }
}
