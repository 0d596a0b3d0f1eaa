//! Estimates of one configuration over its launches.

use autotune_model::{Bytes, EndpointLoad, Histogram};
use autotune_stats::student::upper_quantile;
use autotune_stats::{mean, median, variance};
use std::time::Duration;

use crate::outcome::{EndpointEstimate, Estimate};
use crate::sample::{Arm, Launch};

/// Tail of each end of a 95 % interval.
const TAIL: f64 = 0.025;

/// The exponential of the mean of logs, with a 95 % t interval.
pub(crate) fn geometric(logs: &[f64]) -> Option<Estimate> {
    around(mean(logs)?, logs)
}

/// The same about another middle, with the spread of these logs.
pub(crate) fn around(middle: f64, logs: &[f64]) -> Option<Estimate> {
    if logs.is_empty() {
        return None;
    }
    let margin = variance(logs).map(|variance| {
        let n = logs.len() as f64;
        (variance / n).sqrt() * upper_quantile(TAIL, n - 1.0)
    });
    Some(Estimate {
        value: middle.exp(),
        low: margin.map(|margin| (middle - margin).exp()),
        high: margin.map(|margin| (middle + margin).exp()),
    })
}

/// By endpoint over all launches with a load that say something. The statistic
/// follows when the blocks' effects are known.
pub(crate) fn endpoints(arm: &Arm<'_>) -> Vec<EndpointEstimate> {
    let loads: Vec<&Launch<'_>> = arm
        .telling()
        .filter(|launch| launch.record.load.is_some())
        .collect();
    let Some(first) = loads.first().and_then(|launch| launch.record.load.as_ref()) else {
        return Vec::new();
    };
    let names = first.endpoints.iter().enumerate();
    names
        .map(|(index, endpoint)| one_endpoint(&loads, index, endpoint))
        .collect()
}

fn one_endpoint(
    launches: &[&Launch<'_>],
    index: usize,
    endpoint: &EndpointLoad,
) -> EndpointEstimate {
    let mut all = Histogram::new();
    let (mut scheduled, mut not_completed) = (0, 0);
    for load in launches
        .iter()
        .filter_map(|launch| launch.record.load.as_ref())
    {
        if let Some(endpoint) = load.endpoints.get(index) {
            all.merge(&endpoint.response);
            scheduled += endpoint.window.scheduled;
            not_completed += endpoint.window.not_completed();
        }
    }
    EndpointEstimate {
        name: endpoint.name.clone(),
        value_us: None,
        p50_us: all.quantile_with_infinite_us(0.50, not_completed),
        p95_us: all.quantile_with_infinite_us(0.95, not_completed),
        p99_us: all.quantile_with_infinite_us(0.99, not_completed),
        scheduled,
        not_completed,
    }
}

/// What the server took, over launches.
pub(crate) struct Footprint {
    pub(crate) memory: Option<Bytes>,
    pub(crate) memory_range: Option<(Bytes, Bytes)>,
    pub(crate) cpu_per_request: Option<Duration>,
    pub(crate) busy_pct: Option<f64>,
    pub(crate) boot: Option<Duration>,
    pub(crate) restarts: u32,
}

/// Medians over the launches that say something.
pub(crate) fn footprint(arm: &Arm<'_>) -> Footprint {
    let servers = || {
        arm.telling().filter_map(|launch| {
            Some((launch.record.server.as_ref()?, launch.record.load.as_ref()))
        })
    };
    let peaks: Vec<Bytes> = servers()
        .filter_map(|(server, _)| server.memory_peak)
        .collect();
    let peaks_bytes: Vec<f64> = peaks.iter().map(|peak| peak.get() as f64).collect();
    let per_request: Vec<f64> = servers()
        .filter_map(|(server, load)| {
            let completed = load?.total().completed;
            (completed > 0).then(|| server.cpu.map(|cpu| cpu.as_secs_f64() / completed as f64))?
        })
        .collect();
    let busy: Vec<f64> = servers()
        .filter_map(|(server, load)| {
            let wall = load?.generator.wall.as_secs_f64();
            (wall > 0.0).then(|| server.cpu.map(|cpu| cpu.as_secs_f64() / wall * 100.0))?
        })
        .collect();
    let boots: Vec<f64> = servers()
        .filter_map(|(server, _)| server.boot.map(|boot| boot.as_secs_f64()))
        .collect();
    Footprint {
        memory: median(&peaks_bytes).map(|bytes| Bytes::new(bytes as u64)),
        memory_range: peaks.iter().min().copied().zip(peaks.iter().max().copied()),
        cpu_per_request: median(&per_request).map(Duration::from_secs_f64),
        busy_pct: median(&busy),
        boot: median(&boots).map(Duration::from_secs_f64),
        restarts: servers().map(|(server, _)| server.restarts).sum(),
    }
}
