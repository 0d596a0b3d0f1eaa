//! The configurations in `verdict.json`, with all their estimates.

use autotune_analysis::{
    ConfigAnalysis, EndpointEstimate, Estimate, Feasibility, Launches, LimitCheck, LimitFigures,
    LimitState, Standing,
};
use autotune_model::{EndpointName, Value};
use serde::{Serialize, Serializer};

use crate::study::{Study, Unit, label};

#[derive(Serialize)]
pub(super) struct ConfigurationRecord<'a> {
    label: &'a str,
    id: String,
    variant: &'a str,
    parameters: Parameters<'a>,
    standing: &'static str,
    baseline: bool,
    control: bool,
    feasibility: &'static str,
    feasibility_reasons: &'a [String],
    launches: LaunchesRecord,
    /// Exactly one of the four is there: the metric decides the unit.
    #[serde(skip_serializing_if = "Option::is_none")]
    objective_us: Option<Measure>,
    #[serde(skip_serializing_if = "Option::is_none")]
    objective_bytes: Option<Measure>,
    #[serde(skip_serializing_if = "Option::is_none")]
    objective_s: Option<Measure>,
    #[serde(skip_serializing_if = "Option::is_none")]
    objective_ratio: Option<Measure>,
    ratio_to_best: Measure,
    bound_pct: Option<f64>,
    bound_us: Option<f64>,
    spread_pct: Option<f64>,
    memory_bytes: Option<u64>,
    memory_least_bytes: Option<u64>,
    memory_most_bytes: Option<u64>,
    memory_growth_mib_per_1000: Option<f64>,
    cpu_per_request_us: Option<f64>,
    busy_pct: Option<f64>,
    boot_ms: Option<f64>,
    restarts: u32,
    endpoints: Vec<EndpointRecord<'a>>,
    limits: Vec<LimitRecord<'a>>,
}

/// An estimate, or `null`s where nothing was measured.
#[derive(Serialize)]
pub(super) struct Measure {
    value: Option<f64>,
    low: Option<f64>,
    high: Option<f64>,
}

#[derive(Serialize)]
struct LaunchesRecord {
    measured: u32,
    overloaded: u32,
    failed_to_start: u32,
    died: u32,
    out_of_memory: u32,
    not_attained: u32,
    invalid: u32,
    no_statistic: u32,
}

#[derive(Serialize)]
struct EndpointRecord<'a> {
    name: &'a str,
    value_us: Option<f64>,
    p50_us: Option<u64>,
    p95_us: Option<u64>,
    p99_us: Option<u64>,
    scheduled: u64,
    not_completed: u64,
}

/// A limit at an endpoint; what has no unit in its name is a share.
#[derive(Serialize)]
pub(super) struct LimitRecord<'a> {
    limit: &'a str,
    endpoint: Option<&'a str>,
    #[serde(flatten)]
    figures: FiguresRecord,
    state: &'static str,
}

#[derive(Serialize)]
#[serde(untagged)]
enum FiguresRecord {
    Share {
        at_most: f64,
        seen: f64,
        upper: f64,
    },
    Time {
        at_most_us: f64,
        seen_us: Option<f64>,
        upper_us: Option<f64>,
    },
    Memory {
        at_most_bytes: f64,
        seen_bytes: Option<f64>,
        upper_bytes: Option<f64>,
    },
    Surge {
        factor: f64,
        carried: u32,
        failed: u32,
    },
}

/// Parameters as an object in the order of the label.
struct Parameters<'a>(&'a ConfigAnalysis);

impl Serialize for Parameters<'_> {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let values = self.0.configuration.values().iter();
        serializer.collect_map(values.map(|(name, value)| (name.as_str(), ParameterValue(value))))
    }
}

struct ParameterValue<'a>(&'a Value);

impl Serialize for ParameterValue<'_> {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        match self.0 {
            Value::Int(number) => serializer.serialize_i64(*number),
            Value::Bool(flag) => serializer.serialize_bool(*flag),
            Value::Text(text) => serializer.serialize_str(text),
        }
    }
}

pub(super) fn all<'a>(study: &Study<'a>) -> Vec<ConfigurationRecord<'a>> {
    let unit = study.unit();
    study
        .analysis
        .configurations
        .iter()
        .map(|config| record(config, unit))
        .collect()
}

pub(super) fn limits(config: &ConfigAnalysis) -> Vec<LimitRecord<'_>> {
    config.limits.iter().map(limit).collect()
}

fn record(config: &ConfigAnalysis, unit: Unit) -> ConfigurationRecord<'_> {
    let objective = |of: Unit| (of == unit).then(|| measure(config.objective));
    let (feasibility, feasibility_reasons) = feasibility(&config.feasibility);
    ConfigurationRecord {
        label: label(config),
        id: config.id.to_string(),
        variant: config.configuration.variant().as_str(),
        parameters: Parameters(config),
        standing: standing(config.standing),
        baseline: config.is_baseline,
        control: config.is_control,
        feasibility,
        feasibility_reasons,
        launches: launches(&config.launches),
        objective_us: objective(Unit::Micros),
        objective_bytes: objective(Unit::Bytes),
        objective_s: objective(Unit::Seconds),
        objective_ratio: objective(Unit::Ratio),
        ratio_to_best: measure(config.ratio_to_best),
        bound_pct: config.bound_pct,
        bound_us: config.bound_us,
        spread_pct: config.spread_pct,
        memory_bytes: config.memory.map(|bytes| bytes.get()),
        memory_least_bytes: config.memory_range.map(|(least, _)| least.get()),
        memory_most_bytes: config.memory_range.map(|(_, most)| most.get()),
        memory_growth_mib_per_1000: config
            .memory_growth
            .map(|growth| growth.mib_per_1000_requests),
        cpu_per_request_us: config.cpu_per_request.map(|cpu| cpu.as_secs_f64() * 1e6),
        busy_pct: config.busy_pct,
        boot_ms: config.boot.map(|boot| boot.as_secs_f64() * 1e3),
        restarts: config.restarts,
        endpoints: config.endpoints.iter().map(endpoint).collect(),
        limits: limits(config),
    }
}

pub(super) fn measure(estimate: Option<Estimate>) -> Measure {
    Measure {
        value: estimate.map(|estimate| estimate.value),
        low: estimate.and_then(|estimate| estimate.low),
        high: estimate.and_then(|estimate| estimate.high),
    }
}

fn launches(launches: &Launches) -> LaunchesRecord {
    LaunchesRecord {
        measured: launches.measured,
        overloaded: launches.overloaded,
        failed_to_start: launches.failed_to_start,
        died: launches.died,
        out_of_memory: launches.out_of_memory,
        not_attained: launches.not_attained,
        invalid: launches.invalid,
        no_statistic: launches.no_statistic,
    }
}

fn endpoint(endpoint: &EndpointEstimate) -> EndpointRecord<'_> {
    EndpointRecord {
        name: endpoint.name.as_str(),
        value_us: endpoint.value_us,
        p50_us: endpoint.p50_us,
        p95_us: endpoint.p95_us,
        p99_us: endpoint.p99_us,
        scheduled: endpoint.scheduled,
        not_completed: endpoint.not_completed,
    }
}

fn limit(check: &LimitCheck) -> LimitRecord<'_> {
    LimitRecord {
        limit: &check.limit,
        endpoint: check.endpoint.as_ref().map(EndpointName::as_str),
        figures: match check.figures {
            LimitFigures::Share {
                at_most,
                seen,
                upper,
            } => FiguresRecord::Share {
                at_most,
                seen,
                upper,
            },
            LimitFigures::Time {
                at_most_us,
                seen_us,
                upper_us,
            } => FiguresRecord::Time {
                at_most_us,
                seen_us,
                upper_us,
            },
            LimitFigures::Surge {
                factor,
                carried,
                failed,
            } => FiguresRecord::Surge {
                factor,
                carried,
                failed,
            },
            LimitFigures::Memory {
                at_most,
                seen,
                upper,
            } => FiguresRecord::Memory {
                at_most_bytes: at_most,
                seen_bytes: seen,
                upper_bytes: upper,
            },
        },
        state: match check.state {
            LimitState::Shown => "shown",
            LimitState::NotShownBroken => "not_shown_broken",
            LimitState::Broken => "broken",
        },
    }
}

fn feasibility(feasibility: &Feasibility) -> (&'static str, &[String]) {
    match feasibility {
        Feasibility::Feasible => ("feasible", &[]),
        Feasibility::Infeasible(reasons) => ("infeasible", reasons),
        Feasibility::Unknown(reasons) => ("unknown", reasons),
    }
}

fn standing(standing: Standing) -> &'static str {
    match standing {
        Standing::Recommended => "recommended",
        Standing::Tied => "tied",
        Standing::WithinAccept => "within-accept",
        Standing::Open => "open",
        Standing::Worse => "worse",
        Standing::Unranked => "unranked",
    }
}
