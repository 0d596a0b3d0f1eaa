//! Made-up trials for the tests of this crate.

use std::collections::BTreeMap;
use std::time::Duration;

use autotune_model::{
    Accept, Accounting, Arrivals, Bytes, Configuration, EndpointLoad, EndpointName,
    GeneratorRecord, GeneratorVerdict, Histogram, History, LoadRecord, LoadShape, Metric,
    Objective, Outcome, Over, ParamName, Profile, Quantile, Rate, Seed, ServerRecord, Share, Span,
    Stage, TrialKey, TrialRecord, TrialSpec, VariantName, time::Anchor,
};

/// So many distinct configurations of a server with one parameter, `workers`.
pub(crate) fn configurations(count: i64) -> Vec<Configuration> {
    let profile = Profile {
        name: "demo".to_owned(),
        params: Vec::new(),
        label_fields: 0,
        folds: Vec::new(),
        recycling: None,
        config_file: None,
        workers: Some(ParamName::from("workers")),
        threads: None,
        cleared_env: Vec::new(),
    };
    let one = |n: i64| {
        let given = [(ParamName::from("workers"), n.into())];
        Configuration::fold(&profile, &VariantName::new("demo"), &given, false).configuration
    };
    (1..=count).map(one).collect()
}

/// Minimise p95 over endpoints `a` and `b`, accept 5 %, resolve 2 %.
pub(crate) fn objective() -> Objective {
    let share = |value| Share::new(value).unwrap();
    Objective {
        minimize: Metric::Latency(Quantile::P95),
        over: Over::Geomean,
        max_error_rate: Some(share(0.01)),
        max_latency: Vec::new(),
        max_memory: None,
        surge: None,
        accept: Accept {
            relative: Some(share(0.05)),
            absolute: None,
        },
        min_effect: share(0.02),
        weights: vec![(EndpointName::new("a"), 1.0), (EndpointName::new("b"), 1.0)],
        baseline: None,
        workers: Some(ParamName::from("workers")),
    }
}

/// An endpoint of which so many requests took so long, and so many failed.
pub(crate) fn sent(name: &str, us: u64, [completed, failed]: [u64; 2]) -> EndpointLoad {
    let accounting = Accounting {
        scheduled: completed + failed,
        completed,
        failed,
        ..Accounting::default()
    };
    let mut response = Histogram::new();
    response.record_n(us, completed);
    EndpointLoad {
        name: EndpointName::new(name),
        total: accounting,
        window: accounting,
        service: response.clone(),
        response,
        failed: Histogram::new(),
        failures: BTreeMap::new(),
    }
}

/// A measured launch of the comparison that took 64 MiB. Its place in the block
/// is the number of workers.
pub(crate) fn trial(
    configuration: &Configuration,
    block: u32,
    endpoints: Vec<EndpointLoad>,
) -> TrialRecord {
    let workers = configuration.value(&ParamName::from("workers"));
    let position = workers.and_then(autotune_model::Value::as_int).unwrap();
    let length = Duration::from_secs(10);
    let anchor = |seconds: u64| Anchor {
        monotonic_ns: seconds * 1_000_000_000,
        boot_ns: seconds * 1_000_000_000,
        wall_ns: i64::try_from(seconds).unwrap() * 1_000_000_000,
    };
    let start = u64::from(block) * 1000;
    TrialRecord {
        spec: TrialSpec {
            key: TrialKey {
                stage: Stage::Measure,
                block,
                position: u32::try_from(position).unwrap(),
            },
            attempt: 0,
            configuration: configuration.clone(),
            load: LoadShape::open(Rate::per_second(10.0).unwrap(), Arrivals::Poisson),
            length,
            warm_up: Duration::from_secs(1),
            seed: Seed::new(1),
        },
        outcome: Outcome::Measured,
        span: Span {
            start: anchor(start),
            end: anchor(start + 10),
        },
        load: Some(load(length, endpoints)),
        server: Some(ServerRecord {
            memory_peak: Some(Bytes::new(64 << 20)),
            memory_before: Some(Bytes::new(32 << 20)),
            memory_after: Some(Bytes::new(64 << 20)),
            ..ServerRecord::default()
        }),
    }
}

fn load(length: Duration, endpoints: Vec<EndpointLoad>) -> LoadRecord {
    LoadRecord {
        start_ns: 0,
        length,
        warm_up: Duration::from_secs(1),
        endpoints,
        seconds: Vec::new(),
        outstanding: Vec::new(),
        generator: GeneratorRecord {
            own_lag: Histogram::new(),
            waited_for_connection: 0,
            cpu: Duration::ZERO,
            wall: length,
            connections_peak: 1,
            connections_limit: 256,
            outstanding_at_end: 0,
            retries: 0,
            verdict: GeneratorVerdict::Ok,
        },
    }
}

/// Trials without a decision, by block and position.
pub(crate) fn history(mut trials: Vec<TrialRecord>) -> History {
    trials.sort_by_key(|trial| (trial.spec.key, trial.spec.attempt));
    History {
        trials,
        decisions: Vec::new(),
    }
}
