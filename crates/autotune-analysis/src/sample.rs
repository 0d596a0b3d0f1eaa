//! From trial records to the numbers that are compared: one log objective a
//! launch.

use std::collections::BTreeMap;

use autotune_model::{
    ConfigId, Configuration, EndpointLoad, Histogram, History, LoadRecord, Metric, Objective,
    Outcome, Over, Quantile, Stage, TrialRecord,
};

use crate::outcome::Launches;

/// One launch of the comparison.
#[derive(Clone, Debug)]
pub(crate) struct Launch<'a> {
    pub(crate) block: u32,
    pub(crate) record: &'a TrialRecord,
    /// By endpoint, microseconds; `None` where the statistic is not attained.
    pub(crate) endpoints_us: Vec<Option<f64>>,
    /// Measured, but so many requests failed that the statistic is not attained.
    pub(crate) is_lost: bool,
    /// The log of the objective; `None` where the launch cannot be compared.
    pub(crate) log_objective: Option<f64>,
}

/// All launches of one configuration, by block.
#[derive(Clone, Debug)]
pub(crate) struct Arm<'a> {
    pub(crate) configuration: &'a Configuration,
    pub(crate) launches: Vec<Launch<'a>>,
}

/// All arms by identity.
pub(crate) type Arms<'a> = BTreeMap<ConfigId, Arm<'a>>;

/// The launches of the comparison. Pre-flight launches only make their
/// configuration known: their data chose the control and the length, so they
/// are not fresh.
pub(crate) fn arms<'a>(history: &'a History, objective: &Objective) -> Arms<'a> {
    let mut arms = Arms::new();
    for record in &history.trials {
        let configuration = &record.spec.configuration;
        let new = || Arm {
            configuration,
            launches: Vec::new(),
        };
        arms.entry(configuration.id()).or_insert_with(new);
    }
    for record in history.counting(Stage::Measure) {
        if let Some(arm) = arms.get_mut(&record.spec.configuration.id()) {
            arm.launches.push(launch(record, objective));
        }
    }
    if objective.over == Over::Worst && is_latency(objective.minimize) {
        relate_to_control(&mut arms, history.control());
    }
    arms
}

impl Arm<'_> {
    /// How the launches ended.
    pub(crate) fn tally(&self) -> Launches {
        let mut tally = Launches::default();
        for launch in &self.launches {
            let slot = match launch.record.outcome {
                Outcome::Measured if launch.log_objective.is_some() => &mut tally.measured,
                Outcome::Measured if launch.is_lost => &mut tally.not_attained,
                Outcome::Measured => &mut tally.no_statistic,
                Outcome::Overloaded { .. } => &mut tally.overloaded,
                Outcome::FailedToStart { .. } => &mut tally.failed_to_start,
                Outcome::Died { .. } => &mut tally.died,
                Outcome::OutOfMemory { .. } => &mut tally.out_of_memory,
                Outcome::Invalid { .. } | Outcome::Aborted { .. } | Outcome::Interrupted => {
                    &mut tally.invalid
                }
            };
            *slot += 1;
        }
        tally
    }

    /// The launches that say something of the configuration.
    pub(crate) fn telling(&self) -> impl Iterator<Item = &Launch<'_>> {
        let all = self.launches.iter();
        all.filter(|launch| !launch.record.outcome.says_nothing())
    }

    /// The launches that can be compared, by block.
    pub(crate) fn measured(&self) -> impl Iterator<Item = (&Launch<'_>, f64)> {
        self.launches
            .iter()
            .filter_map(|launch| Some((launch, launch.log_objective?)))
    }
}

/// Differences of the log objective, first minus second, over shared blocks.
pub(crate) fn differences(first: &Arm<'_>, second: &Arm<'_>) -> Vec<f64> {
    let of_second: BTreeMap<u32, f64> = second
        .measured()
        .map(|(launch, value)| (launch.block, value))
        .collect();
    let shared = first
        .measured()
        .filter_map(|(launch, value)| of_second.get(&launch.block).map(|other| value - other));
    shared.collect()
}

fn launch<'a>(record: &'a TrialRecord, objective: &Objective) -> Launch<'a> {
    let statistic = endpoint_metric(objective.minimize);
    let endpoints_us: Vec<Option<f64>> = match &record.load {
        Some(load) => load
            .endpoints
            .iter()
            .map(|load| endpoint_us(statistic, load))
            .collect(),
        None => Vec::new(),
    };
    let measured = record.outcome == Outcome::Measured;
    let log_objective = if measured {
        log_objective(record, objective, &endpoints_us)
    } else {
        None
    };
    let load = record.load.as_ref().filter(|_| measured);
    Launch {
        block: record.spec.key.block,
        record,
        is_lost: load.is_some_and(|load| is_lost(objective, load, &endpoints_us)),
        endpoints_us,
        log_objective,
    }
}

fn is_latency(metric: Metric) -> bool {
    matches!(metric, Metric::Mean | Metric::Latency(_))
}

/// What is shown for an endpoint: the metric itself, or p95 where the metric is
/// no latency.
fn endpoint_metric(metric: Metric) -> Metric {
    if is_latency(metric) {
        metric
    } else {
        Metric::Latency(Quantile::P95)
    }
}

/// A latency statistic in which requests that were not completed count as
/// infinitely slow. A mean would be infinite with a single one of them, so it is
/// taken over the completed ones; `max_error_rate` guards the rest.
fn latency_us(metric: Metric, response: &Histogram, not_completed: u64) -> Option<f64> {
    match metric {
        Metric::Latency(quantile) => response
            .quantile_with_infinite_us(quantile.fraction(), not_completed)
            .map(|value| value as f64),
        Metric::Mean | Metric::Memory | Metric::Cpu | Metric::Duration => response.mean_us(),
    }
}

pub(crate) fn endpoint_us(metric: Metric, load: &EndpointLoad) -> Option<f64> {
    latency_us(metric, &load.response, load.window.not_completed())
}

fn log_objective(
    record: &TrialRecord,
    objective: &Objective,
    endpoints_us: &[Option<f64>],
) -> Option<f64> {
    let load = record.load.as_ref()?;
    let server = record.server.as_ref();
    match objective.minimize {
        Metric::Memory => Some((server?.memory_peak?.get() as f64).ln()),
        Metric::Cpu => {
            let completed = load.total().completed.max(1) as f64;
            Some((server?.cpu?.as_secs_f64() / completed).ln())
        }
        Metric::Duration => Some(load.length.as_secs_f64().ln()),
        metric @ (Metric::Mean | Metric::Latency(_)) => match objective.over {
            Over::Pooled => pooled(metric, load).map(f64::ln),
            // The worst endpoint is related to the control afterwards.
            Over::Geomean | Over::Worst => geomean(objective, load, endpoints_us),
        },
    }
    .filter(|value| value.is_finite())
}

/// Whether failed requests are why the objective has no statistic. An endpoint
/// without a request in the window, or a launch without a control beside it, has
/// none either, but that says nothing against the configuration.
fn is_lost(objective: &Objective, load: &LoadRecord, endpoints_us: &[Option<f64>]) -> bool {
    let lost = |endpoint: &EndpointLoad| endpoint.window.not_completed() > 0;
    match (is_latency(objective.minimize), objective.over) {
        (false, _) => false,
        (true, Over::Pooled) => {
            pooled(objective.minimize, load).is_none() && load.endpoints.iter().any(lost)
        }
        (true, Over::Geomean | Over::Worst) => {
            let mut endpoints = load.endpoints.iter().zip(endpoints_us);
            endpoints.any(|(endpoint, value)| value.is_none() && lost(endpoint))
        }
    }
}

/// The log of the weighted geometric mean; endpoints without a request in the
/// window are left out by nobody: without a statistic there is no objective.
fn geomean(objective: &Objective, load: &LoadRecord, endpoints_us: &[Option<f64>]) -> Option<f64> {
    let (mut sum, mut weights) = (0.0, 0.0);
    for (endpoint, value) in load.endpoints.iter().zip(endpoints_us) {
        let weight = objective
            .weights
            .iter()
            .find(|(name, _)| name == &endpoint.name)?
            .1;
        sum += weight * (*value)?.ln();
        weights += weight;
    }
    (weights > 0.0).then(|| sum / weights)
}

fn pooled(metric: Metric, load: &LoadRecord) -> Option<f64> {
    let mut all = Histogram::new();
    let mut not_completed = 0;
    for endpoint in &load.endpoints {
        all.merge(&endpoint.response);
        not_completed += endpoint.window.not_completed();
    }
    latency_us(metric, &all, not_completed)
}

/// `worst`: the largest ratio of an endpoint to the control's in the same block.
fn relate_to_control(arms: &mut Arms<'_>, control: Option<ConfigId>) {
    let by_block: BTreeMap<u32, Vec<Option<f64>>> = control
        .and_then(|id| arms.get(&id))
        .map(|arm| {
            let attained = arm.measured();
            attained
                .map(|(launch, _)| (launch.block, launch.endpoints_us.clone()))
                .collect()
        })
        .unwrap_or_default();
    for launch in arms.values_mut().flat_map(|arm| &mut arm.launches) {
        launch.log_objective = launch.log_objective.and_then(|_| {
            let reference = by_block.get(&launch.block)?;
            let ratios = launch.endpoints_us.iter().zip(reference);
            let logs: Option<Vec<f64>> = ratios
                .map(|(value, base)| Some(((*value)? / (*base)?).ln()))
                .collect();
            logs?.into_iter().max_by(f64::total_cmp)
        });
    }
}
