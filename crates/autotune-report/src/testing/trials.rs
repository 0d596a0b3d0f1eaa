//! The trials of the made-up study.

use std::collections::BTreeMap;
use std::time::Duration;

use autotune_model::{
    Accounting, Anchor, EndpointLoad, EndpointName, FailureClass, GeneratorRecord,
    GeneratorVerdict, Histogram, History, LoadRecord, LogRecord, MemorySource, Outcome, Seed,
    ServerRecord, Span, Stage, TrialKey, TrialRecord, TrialSpec,
};

use crate::testing::{
    BLOCKS, Behaviour, LENGTH, WARM_UP, behaviours, configuration, decisions, load, mebibytes,
};

/// Name, and time relative to the geometric mean.
pub(super) const ENDPOINTS: [(&str, f64); 4] = [
    ("notes", 0.6),
    ("report", 1.5),
    ("slow", 4.0),
    ("leaky", 1.0 / 3.6),
];
const PER_ENDPOINT: u64 = 450;

pub(super) fn history() -> History {
    let behaviours = behaviours();
    let mut trials = Vec::new();
    let recommended = &behaviours[3];
    let today = &behaviours[8];
    for launch in 0..3 {
        trials.push(trial(Stage::Preflight, (0, launch), recommended));
        trials.push(trial(Stage::Preflight, (1, launch), today));
    }
    for block in 0..BLOCKS {
        for (position, behaviour) in behaviours.iter().enumerate() {
            trials.push(trial(Stage::Measure, (block, position as u32), behaviour));
        }
    }
    trials.sort_by_key(|trial| trial.spec.key);
    History {
        trials,
        decisions: decisions(),
    }
}

/// A number between -1 and 1 that looks random.
fn wobble(numbers: [u64; 3]) -> f64 {
    let mixed = numbers.iter().fold(17u64, |sum, number| {
        (sum ^ (number + 1))
            .wrapping_mul(0x9E37_79B9_7F4A_7C15)
            .rotate_left(29)
    });
    (mixed >> 11) as f64 / (1u64 << 52) as f64 - 1.0
}

fn trial(stage: Stage, (block, position): (u32, u32), behaviour: &Behaviour) -> TrialRecord {
    let key = TrialKey {
        stage,
        block,
        position,
    };
    let shape = [
        behaviour.workers as u64,
        behaviour.threads as u64,
        u64::from(block * 37 + position),
    ];
    let factor = 1.0 + behaviour.noise_pct / 100.0 * 1.6 * wobble(shape);
    let start = Anchor {
        monotonic_ns: 0,
        boot_ns: 0,
        wall_ns: 1_700_000_000_000_000_000,
    };
    let after = 27_600_000_000 + u64::from(block) * 10_000_000;
    let end = Anchor {
        monotonic_ns: after,
        boot_ns: after,
        wall_ns: start.wall_ns + after as i64,
    };
    TrialRecord {
        spec: TrialSpec {
            key,
            attempt: 0,
            configuration: configuration(behaviour.workers, behaviour.threads, behaviour.class, 0),
            load: load(),
            length: LENGTH,
            warm_up: WARM_UP,
            seed: Seed::new(7).derive("block", &[u64::from(block)]),
        },
        outcome: outcome(behaviour),
        span: Span { start, end },
        load: Some(load_record(behaviour, factor)),
        server: Some(server(behaviour)),
    }
}

fn outcome(behaviour: &Behaviour) -> Outcome {
    match (behaviour.p95_ms, behaviour.class) {
        (Some(_), _) => Outcome::Measured,
        (None, "sync") => Outcome::Overloaded {
            detail: "212 requests outstanding at the end of 2250 due, and growing".to_owned(),
        },
        (None, _) => Outcome::OutOfMemory {
            detail: "worker 4711 was killed by the kernel\n[ERROR] Worker (pid:4711) was sent SIGKILL! Perhaps out of memory?".to_owned(),
        },
    }
}

fn load_record(behaviour: &Behaviour, factor: f64) -> LoadRecord {
    let p95_ms = behaviour.p95_ms.unwrap_or(4_000.0);
    let endpoints = ENDPOINTS.map(|(name, part)| endpoint(name, p95_ms * part * factor, behaviour));
    LoadRecord {
        start_ns: 900_000_000,
        length: LENGTH,
        warm_up: WARM_UP,
        endpoints: endpoints.to_vec(),
        seconds: Vec::new(),
        outstanding: Vec::new(),
        generator: GeneratorRecord {
            own_lag: histogram(0.05),
            waited_for_connection: 0,
            cpu: Duration::from_millis(640),
            wall: Duration::from_millis(25_300),
            connections_peak: 14,
            connections_limit: 256,
            outstanding_at_end: 0,
            retries: 0,
            verdict: GeneratorVerdict::Ok,
        },
    }
}

fn endpoint(name: &str, p95_ms: f64, behaviour: &Behaviour) -> EndpointLoad {
    let lost = if behaviour.p95_ms.is_none() { 50 } else { 0 };
    let accounting = |scheduled: u64| Accounting {
        scheduled,
        completed: scheduled - lost,
        timed_out: lost,
        ..Accounting::default()
    };
    let failures = if lost > 0 {
        BTreeMap::from([(FailureClass::ReadTimeout, lost)])
    } else {
        BTreeMap::new()
    };
    EndpointLoad {
        name: EndpointName::new(name),
        total: accounting(PER_ENDPOINT + 112),
        window: accounting(PER_ENDPOINT),
        response: histogram(p95_ms),
        service: histogram(p95_ms * 0.9),
        failed: Histogram::new(),
        failures,
    }
}

/// About log-normal, with this 95th percentile.
fn histogram(p95_ms: f64) -> Histogram {
    let mut histogram = Histogram::new();
    for step in 0..PER_ENDPOINT {
        let share = (step as f64 + 0.5) / PER_ENDPOINT as f64;
        let z = (share / (1.0 - share)).ln() / 1.702;
        histogram.record((p95_ms * 1e3 * (0.45 * (z - 1.73)).exp()) as u64);
    }
    histogram
}

fn server(behaviour: &Behaviour) -> ServerRecord {
    let failed = behaviour.p95_ms.is_none();
    let tail = if failed {
        vec!["[INFO] Booting worker with pid: 4711".to_owned()]
    } else {
        Vec::new()
    };
    ServerRecord {
        boot: Some(Duration::from_millis(610)),
        stop: Some(Duration::from_millis(240)),
        exit: Some("exit 0".to_owned()),
        memory_peak: Some(mebibytes(behaviour.memory_mib)),
        memory_before: Some(mebibytes(behaviour.memory_mib * 0.9)),
        memory_after: Some(mebibytes(behaviour.memory_mib)),
        memory_source: MemorySource::Pss,
        cpu: Some(Duration::from_millis(14_200)),
        log: LogRecord {
            tail,
            bytes: 120,
            truncations: 0,
        },
        isolation: "pid-namespace".to_owned(),
        host: None,
        ..ServerRecord::default()
    }
}
