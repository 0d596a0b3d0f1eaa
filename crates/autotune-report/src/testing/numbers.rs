//! The estimates of the made-up study: near enough to what an analysis gives.

use std::time::Duration;

use autotune_analysis::{
    ConfigAnalysis, EndpointEstimate, Estimate, Feasibility, Launches, LimitCheck, LimitFigures,
    LimitState, MemoryGrowth,
};
use autotune_model::{EndpointName, History};

use crate::testing::trials::ENDPOINTS;
use crate::testing::{BLOCKS, Behaviour, configuration, mebibytes};

const BEST_MS: f64 = 11.0;

pub(super) fn config(history: &History, behaviour: &Behaviour) -> ConfigAnalysis {
    let configuration = configuration(behaviour.workers, behaviour.threads, behaviour.class, 0);
    let id = configuration.id();
    let launched = history.counting(autotune_model::Stage::Measure);
    let launched = launched
        .filter(|trial| trial.spec.configuration.id() == id)
        .count() as u32;
    assert_eq!(launched, BLOCKS);
    let failed = behaviour.p95_ms.is_none();
    let sync = behaviour.class == "sync";
    ConfigAnalysis {
        is_baseline: configuration.label().as_str() == "3/1/sync/0/0",
        is_control: configuration.label().as_str() == "4/1/sync/0/0",
        launches: Launches {
            measured: if failed { 0 } else { launched },
            overloaded: if failed && sync { launched } else { 0 },
            out_of_memory: if failed && !sync { launched } else { 0 },
            ..Launches::default()
        },
        objective: behaviour
            .p95_ms
            .map(|ms| around(ms * 1e3, behaviour.noise_pct)),
        ratio_to_best: behaviour
            .p95_ms
            .map(|ms| relative(ms / BEST_MS, behaviour.noise_pct)),
        bound_pct: behaviour.bound_pct,
        bound_us: behaviour.bound_pct.map(|pct| pct * 160.0),
        spread_pct: behaviour.p95_ms.map(|_| behaviour.noise_pct),
        endpoints: endpoints(behaviour),
        memory: Some(mebibytes(behaviour.memory_mib)),
        memory_range: Some((
            mebibytes(behaviour.memory_mib * 0.98),
            mebibytes(behaviour.memory_mib * 1.03),
        )),
        memory_growth: Some(MemoryGrowth {
            mib_per_1000_requests: behaviour.memory_mib / 100.0,
        }),
        cpu_per_request: Some(Duration::from_micros(6_310)),
        busy_pct: Some(56.4),
        boot: Some(Duration::from_millis(610)),
        restarts: 0,
        limits: limits(failed),
        feasibility: feasibility(behaviour),
        standing: behaviour.standing,
        configuration,
        id,
    }
}

fn around(value: f64, noise_pct: f64) -> Estimate {
    let margin = noise_pct / 100.0 * 2.57 / f64::from(BLOCKS).sqrt();
    Estimate {
        value,
        low: Some(value * (1.0 - margin)),
        high: Some(value * (1.0 + margin)),
    }
}

fn relative(value: f64, noise_pct: f64) -> Estimate {
    if value > 1.0 {
        around(value, noise_pct)
    } else {
        Estimate {
            value,
            low: None,
            high: None,
        }
    }
}

fn endpoints(behaviour: &Behaviour) -> Vec<EndpointEstimate> {
    let estimate = |(name, part): (&str, f64)| {
        let p95_us = behaviour.p95_ms.map(|ms| (ms * part * 1e3) as u64);
        EndpointEstimate {
            name: EndpointName::new(name),
            value_us: p95_us.map(|us| us as f64),
            p50_us: p95_us.map(|us| us * 46 / 100),
            p95_us,
            p99_us: p95_us.map(|us| us * 15 / 10),
            scheduled: 2_700,
            not_completed: if p95_us.is_none() { 300 } else { 0 },
        }
    };
    ENDPOINTS.map(estimate).to_vec()
}

fn limits(failed: bool) -> Vec<LimitCheck> {
    let check = |(name, _): (&str, f64)| LimitCheck {
        limit: "max_error_rate".to_owned(),
        endpoint: Some(EndpointName::new(name)),
        figures: LimitFigures::Share {
            at_most: 0.01,
            seen: if failed { 0.11 } else { 0.0 },
            upper: if failed { 0.12 } else { 0.0011 },
        },
        state: if failed {
            LimitState::Broken
        } else {
            LimitState::Shown
        },
    };
    ENDPOINTS.map(check).to_vec()
}

fn feasibility(behaviour: &Behaviour) -> Feasibility {
    match (behaviour.p95_ms, behaviour.class) {
        (Some(_), _) => Feasibility::Feasible,
        (None, "sync") => Feasibility::Infeasible(vec!["overloaded in 6 of 6 launches".to_owned()]),
        (None, _) => Feasibility::Infeasible(vec!["out of memory in 6 of 6 launches".to_owned()]),
    }
}
