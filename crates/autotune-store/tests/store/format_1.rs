//! What the stored study of format 1 holds, written out: it must not follow
//! any generator that may change. A new field of the model gets here the value
//! that a study without it shall have.

use std::collections::BTreeMap;
use std::time::Duration;

use autotune_model::{
    Accounting, Anchor, Arrivals, Bytes, Configuration, CpuPlacement, CpuSet, Decision,
    DecisionKind, EndpointLoad, EndpointName, FailureClass, GeneratorRecord, GeneratorVerdict,
    Histogram, History, HostFacts, LoadRecord, LoadSecond, LoadShape, LogRecord, MemorySource,
    Outcome, ParamName, Peer, ProcessRole, ProcessSample, Rate, Seed, ServerRecord, ServerSample,
    Span, SparseHistogram, Stage, StopReason, TrialKey, TrialRecord, TrialSpec, Value, VariantName,
};
use autotune_store::StudyMeta;

pub(crate) fn meta() -> StudyMeta {
    StudyMeta {
        name: "quickstart".to_owned(),
        format: 1,
        tool_version: "0.1.0".to_owned(),
        grid_text: "name = \"quickstart\"\n".to_owned(),
        identity: "5d0f".to_owned(),
        seed: Seed::new(42),
        host: HostFacts {
            facts: vec![("kernel".to_owned(), "6.1.0".to_owned())],
        },
        created_wall_ns: 1_763_900_000_000_000_000,
        placement: CpuPlacement {
            server: Some(CpuSet::new([1])),
            generator: Some(CpuSet::new([0])),
            cores: 1,
        },
        provenance: vec![("python".to_owned(), "3.11.7".to_owned())],
    }
}

pub(crate) fn history() -> History {
    let control = configuration().id();
    let kinds = [
        DecisionKind::Planned {
            control,
            length: Duration::from_secs(20),
            warm_up: Duration::from_secs(5),
            resolvable_pct: Some(3.7),
        },
        DecisionKind::BlockClosed {
            stage: Stage::Measure,
            block: 0,
        },
        DecisionKind::Stopped {
            reason: StopReason::Answered,
        },
    ];
    let numbered = (0..).zip(kinds);
    History {
        trials: vec![failed_to_start(), measured()],
        decisions: numbered
            .map(|(number, kind)| Decision { number, kind })
            .collect(),
    }
}

fn configuration() -> Configuration {
    let int = |name: &str, value| (ParamName::new(name), Value::Int(value));
    Configuration::from_stored(
        VariantName::new("gunicorn"),
        vec![
            int("workers", 4),
            int("threads", 1),
            (ParamName::new("worker_class"), Value::Text("sync".into())),
            int("max_requests", 0),
            int("max_requests_jitter", 0),
            (ParamName::new("preload"), Value::Bool(true)),
        ],
        "4/1/sync/0/0,preload=true".to_owned(),
    )
}

fn spec(stage: Stage, load: LoadShape) -> TrialSpec {
    TrialSpec {
        key: TrialKey {
            stage,
            block: 0,
            position: 2,
        },
        attempt: 1,
        configuration: configuration(),
        load,
        length: Duration::from_secs(20),
        warm_up: Duration::from_secs(5),
        seed: Seed::new(u64::MAX),
    }
}

fn span() -> Span {
    let anchor = |at: u32| Anchor {
        monotonic_ns: u64::from(at),
        boot_ns: u64::from(at) + 5,
        wall_ns: 1_763_900_000_000_000_000 + i64::from(at),
    };
    Span {
        start: anchor(100),
        end: anchor(2_000_000_000),
    }
}

fn failed_to_start() -> TrialRecord {
    let users = LoadShape::closed(30, Duration::from_millis(250));
    TrialRecord {
        spec: spec(Stage::Preflight, users),
        outcome: Outcome::FailedToStart {
            detail: "exit 3\nModuleNotFoundError: no module named 'app'".to_owned(),
        },
        span: span(),
        load: None,
        server: None,
    }
}

fn measured() -> TrialRecord {
    TrialRecord {
        spec: spec(
            Stage::Measure,
            LoadShape::open(Rate::per_second(120.5).unwrap(), Arrivals::Poisson),
        ),
        outcome: Outcome::Measured,
        span: span(),
        load: Some(load()),
        server: Some(server()),
    }
}

fn load() -> LoadRecord {
    let accounting = Accounting {
        scheduled: 10,
        completed: 4,
        failed: 3,
        timed_out: 2,
        dropped: 1,
    };
    let histogram = |value| {
        let mut histogram = Histogram::new();
        histogram.record_n(value, 4);
        histogram.record(90_000_000);
        histogram
    };
    LoadRecord {
        start_ns: 700,
        length: Duration::from_secs(20),
        warm_up: Duration::from_secs(5),
        endpoints: vec![EndpointLoad {
            name: EndpointName::new("notes"),
            total: accounting,
            window: accounting,
            response: histogram(2_500),
            service: histogram(2_400),
            failed: Histogram::new(),
            failures: BTreeMap::from([(FailureClass::Status, 3), (FailureClass::ReadTimeout, 2)]),
        }],
        seconds: vec![LoadSecond {
            endpoint: 0,
            second: 6,
            accounting,
            response: SparseHistogram::from_counts([(2_500, 4)]),
            service: SparseHistogram::from_counts([(2_400, 4)]),
            failed: SparseHistogram::from_counts([(9, 3)]),
        }],
        outstanding: vec![0, 3, 2],
        generator: GeneratorRecord {
            own_lag: histogram(12),
            waited_for_connection: 1,
            cpu: Duration::from_millis(30),
            wall: Duration::from_secs(21),
            connections_peak: 8,
            connections_limit: 64,
            outstanding_at_end: 2,
            retries: 1,
            verdict: GeneratorVerdict::Suspect(vec!["own lag p99 of 3 ms".to_owned()]),
        },
    }
}

fn server() -> ServerRecord {
    let named = |name: &str, value: &str| BTreeMap::from([(name.to_owned(), value.to_owned())]);
    ServerRecord {
        boot: Some(Duration::from_millis(800)),
        stop: Some(Duration::from_millis(90)),
        exit: Some("exit 0".to_owned()),
        killed: 0,
        settings: named("workers", "4"),
        versions: named("gunicorn", "27"),
        restarts: 2,
        memory_peak: Some(Bytes::new(120 << 20)),
        memory_before: Some(Bytes::new(90 << 20)),
        memory_after: None,
        memory_source: MemorySource::Rss,
        cpu: Some(Duration::from_secs(7)),
        samples: vec![ServerSample {
            at_ns: 1_000_000_000,
            processes: vec![ProcessSample {
                pid: 4711,
                start_time: 99,
                role: ProcessRole::Child,
                pss: Some(Bytes::new(30 << 20)),
                uss: None,
                rss: Bytes::new(40 << 20),
                swap_pss: Some(Bytes::new(0)),
                cpu: Duration::from_millis(1500),
                threads: 2,
            }],
        }],
        log: LogRecord {
            tail: vec!["Booting worker".to_owned()],
            bytes: 512,
            truncations: 0,
        },
        peers: vec![Peer {
            address: "192.0.2.1:443".parse().unwrap(),
            protocol: "tcp".to_owned(),
            pid: 4711,
        }],
        isolation: "pid-namespace".to_owned(),
        host: None,
        services: Vec::new(),
    }
}
