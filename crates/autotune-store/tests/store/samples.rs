//! Records of every shape from a seed: the same seed gives the same record.

use std::collections::BTreeMap;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr};
use std::num::NonZeroU32;
use std::path::{Path, PathBuf};
use std::time::Duration;

use autotune_model::{
    Accounting, Anchor, Arrivals, Arriving, Bytes, Configuration, CpuPlacement, CpuSet,
    EndpointLoad, EndpointName, FailureClass, GeneratorRecord, GeneratorVerdict, Group, Groups,
    Histogram, HostFacts, HostLoad, Levels, LoadRecord, LoadSecond, LoadShape, LogRecord, Loops,
    MemorySource, Outcome, ParamName, Pause, Peer, ProcessRole, ProcessSample, Profile, Rate, Seed,
    ServerRecord, ServerSample, ServiceName, ServiceRecord, ServiceWindow, Span, SparseHistogram,
    Stage, Step, Think, TrialKey, TrialRecord, TrialSpec, Users, Value, VariantName,
};
use autotune_store::{FORMAT, Store, StudyMeta};
use rand::{Rng, RngExt, SeedableRng};
use rand_pcg::Pcg64;

/// The largest number that a column holds.
const LARGEST: u64 = i64::MAX.cast_unsigned();

pub(crate) fn meta() -> StudyMeta {
    StudyMeta {
        name: "blog".to_owned(),
        format: FORMAT,
        tool_version: "0.1.0".to_owned(),
        grid_text: "name = \"blog\"\n# naïve; 'quoted'\n".to_owned(),
        identity: "0123abcd".to_owned(),
        seed: Seed::new(u64::MAX - 1),
        host: HostFacts {
            facts: pairs(&[("cpu", "two of them"), ("cpu", "twice"), ("kernel", "6.1")]),
        },
        created_wall_ns: -1,
        placement: CpuPlacement {
            server: Some(CpuSet::new([1, 3])),
            generator: None,
            cores: 2,
        },
        provenance: pairs(&[("python", "3.11.7"), ("gunicorn", "27")]),
    }
}

fn pairs(pairs: &[(&str, &str)]) -> Vec<(String, String)> {
    let owned = |(name, value): &(&str, &str)| ((*name).to_owned(), (*value).to_owned());
    pairs.iter().map(owned).collect()
}

/// A fresh study in this folder.
pub(crate) fn study(folder: &Path) -> (PathBuf, Store) {
    let path = folder.join("blog").join("study.db");
    let store = Store::create(&path, &meta()).unwrap();
    (path, store)
}

/// The record of this seed; no two seeds below 100,000 have the same key.
pub(crate) fn record(seed: u64) -> TrialRecord {
    let rng = &mut Pcg64::seed_from_u64(seed);
    let spec = spec(rng, seed);
    let endpoints = rng.random_range(0..4);
    TrialRecord {
        outcome: outcome(rng),
        span: Span {
            start: anchor(rng),
            end: anchor(rng),
        },
        load: maybe(rng, |rng| load(rng, endpoints)),
        server: maybe(rng, server),
        spec,
    }
}

fn spec(rng: &mut Pcg64, seed: u64) -> TrialSpec {
    let number = u32::try_from(seed).unwrap();
    let stages = [Stage::Preflight, Stage::Measure];
    TrialSpec {
        key: TrialKey {
            stage: stages[(number % 2) as usize],
            block: number / 20,
            position: number / 2 % 10,
        },
        attempt: rng.random_range(0..3),
        configuration: configuration(rng),
        load: shape(rng),
        length: duration(rng),
        warm_up: duration(rng),
        seed: Seed::new(rng.random()),
    }
}

/// A plain shape as often as one that has all there can be.
fn shape(rng: &mut Pcg64) -> LoadShape {
    let ramp = if rng.random() {
        Duration::ZERO
    } else {
        duration(rng)
    };
    let endpoints = |rng: &mut Pcg64| {
        rng.random::<bool>()
            .then(|| vec![EndpointName::new(text(rng))])
    };
    let count = rng.random_range(1..3);
    match rng.random_range(0..4) {
        0 => LoadShape::open(rate(rng), arrivals(rng)),
        1 => LoadShape::closed(rng.random(), duration(rng)),
        2 => LoadShape::Open(Groups {
            groups: (0..count)
                .map(|_| Group {
                    endpoints: endpoints(rng),
                    who: Arriving {
                        rate: levels(rng, rate),
                        arrivals: arrivals(rng),
                    },
                })
                .collect(),
            ramp,
        }),
        _ => LoadShape::Closed(Groups {
            groups: (0..count)
                .map(|_| Group {
                    endpoints: endpoints(rng),
                    who: Users {
                        count: levels(rng, |rng| rng.random()),
                        pause: pause(rng),
                        loops: loops(rng),
                    },
                })
                .collect(),
            ramp,
        }),
    }
}

fn loops(rng: &mut Pcg64) -> Option<Loops> {
    let each = NonZeroU32::new(rng.random_range(0..3) * rng.random_range(1..1000))?;
    let at_most = duration(rng);
    Some(Loops { each, at_most })
}

fn rate(rng: &mut Pcg64) -> Rate {
    Rate::per_second(rng.random::<f64>() * 1e4 + f64::MIN_POSITIVE).unwrap()
}

fn arrivals(rng: &mut Pcg64) -> Arrivals {
    if rng.random() {
        Arrivals::Poisson
    } else {
        Arrivals::Constant
    }
}

fn levels<L>(rng: &mut Pcg64, level: impl Fn(&mut Pcg64) -> L) -> Levels<L> {
    if rng.random() {
        return Levels::Constant(level(rng));
    }
    let count = rng.random_range(1..4);
    let steps = (0..count).map(|_| Step {
        level: level(rng),
        length: duration(rng),
    });
    Levels::Steps(steps.collect())
}

fn pause(rng: &mut Pcg64) -> Pause {
    let (from, to, mean) = (duration(rng), duration(rng), duration(rng));
    match rng.random_range(0..4) {
        0 => Pause::Every(from),
        1 => Pause::Think(Think::Fixed(from)),
        2 => Pause::Think(Think::Uniform { from, to }),
        _ => Pause::Think(Think::Exponential { mean }),
    }
}

fn configuration(rng: &mut Pcg64) -> Configuration {
    let profile = Profile {
        name: "command".to_owned(),
        params: Vec::new(),
        label_fields: 0,
        folds: Vec::new(),
        recycling: None,
        config_file: None,
        workers: None,
        threads: None,
        cleared_env: Vec::new(),
    };
    let values = [
        (ParamName::new("zeal"), Value::Int(rng.random())),
        (ParamName::new("preload"), Value::Bool(rng.random())),
        (ParamName::new("class"), Value::Text(text(rng))),
    ];
    let count = rng.random_range(0..=values.len());
    let variant = VariantName::new(text(rng));
    Configuration::fold(&profile, &variant, &values[..count], rng.random()).configuration
}

fn outcome(rng: &mut Pcg64) -> Outcome {
    let detail = text(rng);
    match rng.random_range(0..8) {
        0 => Outcome::Measured,
        1 => Outcome::Overloaded { detail },
        2 => Outcome::FailedToStart { detail },
        3 => Outcome::Died { detail },
        4 => Outcome::OutOfMemory { detail },
        5 => Outcome::Invalid { detail },
        6 => Outcome::Aborted { detail },
        _ => Outcome::Interrupted,
    }
}

fn load(rng: &mut Pcg64, endpoints: u16) -> LoadRecord {
    let reasons = vec![text(rng), text(rng)];
    LoadRecord {
        start_ns: number(rng),
        length: duration(rng),
        warm_up: duration(rng),
        endpoints: (0..endpoints).map(|_| endpoint(rng)).collect(),
        seconds: some(rng, |rng| LoadSecond {
            endpoint: rng.random_range(0..endpoints.max(1)),
            second: rng.random(),
            accounting: accounting(rng),
            response: sparse(rng),
            service: sparse(rng),
            failed: sparse(rng),
        }),
        outstanding: some(rng, Rng::next_u32),
        generator: GeneratorRecord {
            own_lag: histogram(rng),
            waited_for_connection: number(rng),
            cpu: duration(rng),
            wall: duration(rng),
            connections_peak: rng.random(),
            connections_limit: rng.random(),
            outstanding_at_end: number(rng),
            retries: number(rng),
            verdict: match rng.random_range(0..3) {
                0 => GeneratorVerdict::Ok,
                1 => GeneratorVerdict::Suspect(reasons),
                _ => GeneratorVerdict::Invalid(reasons),
            },
        },
    }
}

fn endpoint(rng: &mut Pcg64) -> EndpointLoad {
    let mut failures = BTreeMap::new();
    for class in FailureClass::ALL {
        if rng.random() {
            failures.insert(class, number(rng));
        }
    }
    EndpointLoad {
        // Two endpoints of one name are told apart by their place.
        name: EndpointName::new(text(rng)),
        total: accounting(rng),
        window: accounting(rng),
        response: histogram(rng),
        service: histogram(rng),
        failed: histogram(rng),
        failures,
    }
}

fn server(rng: &mut Pcg64) -> ServerRecord {
    let named = |rng: &mut Pcg64| {
        some(rng, |rng| (text(rng), text(rng)))
            .into_iter()
            .collect()
    };
    ServerRecord {
        boot: maybe(rng, duration),
        stop: maybe(rng, duration),
        exit: maybe(rng, text),
        killed: rng.random(),
        settings: named(rng),
        versions: named(rng),
        restarts: rng.random(),
        memory_peak: maybe(rng, bytes),
        memory_before: maybe(rng, bytes),
        memory_after: maybe(rng, bytes),
        memory_source: if rng.random() {
            MemorySource::Pss
        } else {
            MemorySource::Rss
        },
        cpu: maybe(rng, duration),
        samples: some(rng, |rng| ServerSample {
            at_ns: rng.random(),
            processes: some(rng, process),
        }),
        log: LogRecord {
            tail: some(rng, text),
            bytes: number(rng),
            truncations: rng.random(),
        },
        peers: some(rng, |rng| Peer {
            address: SocketAddr::new(address(rng), rng.random()),
            protocol: "tcp".to_owned(),
            pid: rng.random(),
        }),
        isolation: text(rng),
        host: host(rng),
        services: some(rng, service),
    }
}

fn service(rng: &mut Pcg64) -> ServiceRecord {
    ServiceRecord {
        name: ServiceName::new(text(rng)),
        cpus: rng.random(),
        memory_peak: maybe(rng, bytes),
        memory_source: MemorySource::Rss,
        cpu: maybe(rng, duration),
        window: maybe(rng, |rng| ServiceWindow {
            wall: duration(rng),
            cpu: duration(rng),
            busiest: duration(rng),
            busiest_peak_pct: rng.random_range(0.0..800.0),
        }),
    }
}

fn host(rng: &mut Pcg64) -> Option<HostLoad> {
    maybe(rng, |rng| HostLoad {
        wall: duration(rng),
        cpus: rng.random(),
        stolen: duration(rng),
        others: duration(rng),
    })
}

fn process(rng: &mut Pcg64) -> ProcessSample {
    let roles = [
        ProcessRole::Main,
        ProcessRole::Child,
        ProcessRole::Descendant,
    ];
    ProcessSample {
        pid: rng.random(),
        start_time: rng.random(),
        role: roles[rng.random_range(0..3)],
        pss: maybe(rng, bytes),
        uss: maybe(rng, bytes),
        rss: bytes(rng),
        swap_pss: maybe(rng, bytes),
        cpu: duration(rng),
        threads: rng.random(),
    }
}

fn address(rng: &mut Pcg64) -> IpAddr {
    if rng.random() {
        Ipv4Addr::from_bits(rng.random()).into()
    } else {
        Ipv6Addr::from_bits(rng.random()).into()
    }
}

fn histogram(rng: &mut Pcg64) -> Histogram {
    let mut histogram = Histogram::new();
    for _ in 0..rng.random_range(0..40) {
        let value = time_us(rng);
        histogram.record_n(value, rng.random_range(1..1_000_000));
    }
    histogram
}

fn sparse(rng: &mut Pcg64) -> SparseHistogram {
    let counts = some(rng, |rng| (time_us(rng), rng.random_range(1..u32::MAX)));
    SparseHistogram::from_counts(counts)
}

/// From below a microsecond to beyond what a histogram holds, small ones often.
fn time_us(rng: &mut Pcg64) -> u64 {
    rng.random::<u64>() >> rng.random_range(34..64)
}

fn accounting(rng: &mut Pcg64) -> Accounting {
    let mut accounting = Accounting {
        scheduled: 0,
        completed: number(rng) / 5,
        failed: number(rng) / 5,
        timed_out: number(rng) / 5,
        dropped: number(rng) / 5,
    };
    accounting.scheduled = accounting.completed + accounting.not_completed();
    accounting
}

fn anchor(rng: &mut Pcg64) -> Anchor {
    Anchor {
        monotonic_ns: number(rng),
        boot_ns: number(rng),
        wall_ns: rng.random(),
    }
}

/// Any number that a column holds, small ones as likely as large ones.
fn number(rng: &mut Pcg64) -> u64 {
    let largest = if rng.random_ratio(1, 20) { LARGEST } else { 0 };
    largest.max(rng.random::<u64>() >> rng.random_range(1..64))
}

fn duration(rng: &mut Pcg64) -> Duration {
    Duration::from_nanos(number(rng))
}

fn bytes(rng: &mut Pcg64) -> Bytes {
    Bytes::new(number(rng))
}

fn maybe<T>(rng: &mut Pcg64, make: impl FnOnce(&mut Pcg64) -> T) -> Option<T> {
    rng.random_ratio(4, 5).then(|| make(rng))
}

fn some<T>(rng: &mut Pcg64, mut make: impl FnMut(&mut Pcg64) -> T) -> Vec<T> {
    let count = rng.random_range(0..6);
    (0..count).map(|_| make(rng)).collect()
}

/// What breaks careless quoting, parsing and truncation.
fn text(rng: &mut Pcg64) -> String {
    const PARTS: [&str; 8] = ["", "plain", "it's", "\"q\"", "a\nb\t", "ä→🦀", "\0", "NULL"];
    let count = rng.random_range(1..4);
    let parts = (0..count).map(|_| PARTS[rng.random_range(0..PARTS.len())]);
    parts.collect()
}
