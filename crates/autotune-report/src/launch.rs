//! Single launches as charts and tables show them. Nothing here decides: the
//! verdict rests on the analysis alone.

use std::time::Duration;

use autotune_model::{Histogram, Metric, Outcome, Over, Stage, TrialRecord};

use crate::study::{Study, Unit, weighted_geomean};

/// What one launch is shown by. `worst` is a ratio to other launches, so the
/// geometric mean over the endpoints stands in for it.
pub(crate) fn unit(study: &Study<'_>) -> Unit {
    match study.unit() {
        Unit::Ratio => Unit::Micros,
        unit @ (Unit::Micros | Unit::Bytes | Unit::Seconds) => unit,
    }
}

pub(crate) fn name(study: &Study<'_>) -> String {
    study.analysis.metric.to_string()
}

/// The objective of one measured launch, in [`unit`].
pub(crate) fn value(study: &Study<'_>, trial: &TrialRecord) -> Option<f64> {
    if trial.outcome != Outcome::Measured {
        return None;
    }
    let load = trial.load.as_ref()?;
    let server = trial.server.as_ref();
    match (study.analysis.metric, study.analysis.over) {
        (Metric::Memory, _) => Some(server?.memory_peak?.get() as f64),
        (Metric::Cpu, _) => Some(server?.cpu?.as_secs_f64() / load.total().completed.max(1) as f64),
        (Metric::Duration, _) => Some(load.length.as_secs_f64()),
        (metric, Over::Pooled) => {
            let mut all = Histogram::new();
            let mut lost = 0;
            for endpoint in &load.endpoints {
                all.merge(&endpoint.response);
                lost += endpoint.window.not_completed();
            }
            latency_us(metric, &all, lost)
        }
        (metric, Over::Geomean | Over::Worst) => {
            let values = load.endpoints.iter().map(|endpoint| {
                let lost = endpoint.window.not_completed();
                let value = latency_us(metric, &endpoint.response, lost)?;
                Some((study.weight(endpoint.name.as_str()), value))
            });
            weighted_geomean(&values.collect::<Option<Vec<_>>>()?)
        }
    }
}

fn latency_us(metric: Metric, response: &Histogram, lost: u64) -> Option<f64> {
    match metric {
        Metric::Latency(quantile) => {
            let value = response.quantile_with_infinite_us(quantile.fraction(), lost);
            value.map(|value| value as f64)
        }
        Metric::Mean | Metric::Memory | Metric::Cpu | Metric::Duration => response.mean_us(),
    }
}

/// The control by block, where it was measured.
pub(crate) fn control_by_block(study: &Study<'_>) -> Vec<(u32, f64)> {
    let Some(control) = study.control() else {
        return Vec::new();
    };
    study
        .measure_trials()
        .filter(|trial| trial.spec.configuration.id() == control.id)
        .filter_map(|trial| Some((trial.spec.key.block, value(study, trial)?)))
        .collect()
}

/// The launches of the pre-flight by configuration, in the order of first
/// appearance: the same setting, launched again and again.
pub(crate) fn preflight<'a>(study: &Study<'a>) -> Vec<(&'a str, Vec<f64>)> {
    let mut all: Vec<(&str, Vec<f64>)> = Vec::new();
    for trial in study.history.counting(Stage::Preflight) {
        let Some(value) = value(study, trial) else {
            continue;
        };
        let label = trial.spec.configuration.label().as_str();
        match all.iter_mut().find(|(have, _)| *have == label) {
            Some((_, values)) => values.push(value),
            None => all.push((label, vec![value])),
        }
    }
    all
}

/// How the time was spent.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct TimeSpent {
    pub(crate) starting: Duration,
    pub(crate) loading: Duration,
    pub(crate) between: Duration,
    pub(crate) trials: u64,
}

impl TimeSpent {
    pub(crate) fn total(&self) -> Duration {
        self.starting + self.loading + self.between
    }
}

/// Over the trials that pass the test.
pub(crate) fn time_spent(
    study: &Study<'_>,
    mut counts: impl FnMut(&TrialRecord) -> bool,
) -> TimeSpent {
    let mut spent = TimeSpent::default();
    for trial in study.history.trials.iter().filter(|trial| counts(trial)) {
        let whole = trial.span.length();
        let server = trial.server.as_ref();
        let starting = server
            .and_then(|server| server.boot)
            .unwrap_or_default()
            .min(whole);
        let load = trial
            .load
            .as_ref()
            .map(|load| load.generator.wall)
            .unwrap_or_default();
        let loading = load.min(whole.saturating_sub(starting));
        spent.starting += starting;
        spent.loading += loading;
        spent.between += whole.saturating_sub(starting + loading);
        spent.trials += 1;
    }
    spent
}
