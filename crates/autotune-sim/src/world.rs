//! The simulated world: what each configuration is worth, and what blurs it.

use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

use autotune_model::{
    Accounting, Anchor, Bytes, ConfigId, EndpointLoad, EndpointName, GeneratorRecord,
    GeneratorVerdict, Histogram, HostLoad, LoadRecord, MemorySource, Outcome, Seed, ServerRecord,
    ServiceName, ServiceRecord, ServiceWindow, Span, Stage, TrialRecord, TrialSpec,
};
use autotune_sweep::{Fault, RunTrial};
use rand_distr::{Distribution, StandardNormal};
use rand_pcg::Pcg64Mcg;
use rand_pcg::rand_core::SeedableRng;

/// What a configuration truly is.
#[derive(Clone, Copy, Debug)]
pub struct SimulatedServer {
    /// The p95 of every endpoint, microseconds.
    pub p95_us: f64,
    /// Standard deviation of its log between launches.
    pub noise: f64,
    /// Peak memory.
    pub memory: Bytes,
    /// How it fails, if it does.
    pub failing: Failing,
}

/// How a configuration fails.
#[derive(Clone, Copy, Debug, PartialEq)]
pub enum Failing {
    /// Never.
    Never,
    /// The backlog always grows.
    AlwaysOverloaded,
    /// It dies with this probability.
    Dies(f64),
    /// The generator is at fault with this probability.
    Invalid(f64),
}

/// A world of simulated servers with its own clock.
#[derive(Clone, Debug)]
pub struct World {
    /// The truth.
    pub truth: BTreeMap<ConfigId, SimulatedServer>,
    /// Standard deviation of the log that all trials of a block share.
    pub block_noise: f64,
    /// Change of the log latency per hour, for everybody.
    pub drift_per_hour: f64,
    /// How often others take a fifth of the machine during a trial, which then is
    /// three times as slow; never twice at the same place.
    pub disturbed: f64,
    /// Those that are overloaded under a surge.
    pub fails_surge: BTreeSet<ConfigId>,
    /// How busy the one database is under a configuration, as a share of its one
    /// CPU; without an entry there is no database.
    pub database: BTreeMap<ConfigId, f64>,
    /// For all noise.
    pub seed: Seed,
    /// What a trial takes besides its load.
    pub overhead: Duration,
    /// Nanoseconds since the study began.
    pub now_ns: u64,
    /// The trial before which the world ends, for tests of resuming.
    pub stop_before: Option<u32>,
    /// Trials run so far.
    pub trials: u32,
}

const WALL_START_NS: i64 = 1_700_000_000_000_000_000;
const REQUESTS: u64 = 400;

impl World {
    /// A steady world with these servers.
    pub fn new(truth: BTreeMap<ConfigId, SimulatedServer>, seed: Seed) -> Self {
        Self {
            truth,
            block_noise: 0.02,
            drift_per_hour: 0.0,
            disturbed: 0.0,
            fails_surge: BTreeSet::new(),
            database: BTreeMap::new(),
            seed,
            overhead: Duration::from_secs(2),
            now_ns: 0,
            stop_before: None,
            trials: 0,
        }
    }

    fn anchor(&self) -> Anchor {
        Anchor {
            monotonic_ns: self.now_ns,
            boot_ns: self.now_ns,
            wall_ns: self.now_wall_ns(),
        }
    }

    /// Noise is seeded by the place of the trial, never by its attempt, so that
    /// a study that was interrupted ends as one that was not.
    fn noise(&self, purpose: &str, spec: &TrialSpec, own: bool) -> f64 {
        let key = spec.key;
        let position = if own { u64::from(key.position) + 1 } else { 0 };
        let numbers = [key.stage as u64, u64::from(key.block), position];
        let seed = self.seed.derive(purpose, &numbers);
        let z: f64 = StandardNormal.sample(&mut Pcg64Mcg::seed_from_u64(seed.value()));
        z
    }

    /// Uniform in 0..1, from a normal number through its distribution's tail is
    /// not needed here: a second derived seed is enough.
    fn chance(&self, purpose: &str, spec: &TrialSpec) -> f64 {
        let key = spec.key;
        let numbers = [
            key.stage as u64,
            u64::from(key.block),
            u64::from(key.position),
        ];
        let seed = self.seed.derive(purpose, &numbers);
        (seed.value() >> 10) as f64 / (1u64 << 53) as f64
    }

    fn outcome(&self, server: &SimulatedServer, spec: &TrialSpec) -> Outcome {
        let detail = "simulated".to_owned();
        let is_surge = spec.key.stage == Stage::Surge;
        if is_surge && self.fails_surge.contains(&spec.configuration.id()) {
            return Outcome::Overloaded { detail };
        }
        match server.failing {
            Failing::AlwaysOverloaded => Outcome::Overloaded { detail },
            Failing::Dies(share) if self.chance("chance", spec) < share => Outcome::Died { detail },
            Failing::Invalid(share) if spec.attempt == 0 && self.chance("chance", spec) < share => {
                Outcome::Invalid { detail }
            }
            Failing::Never | Failing::Dies(_) | Failing::Invalid(_) => Outcome::Measured,
        }
    }

    /// What the database did; from launch to launch it differs by a hundredth.
    fn services(&self, spec: &TrialSpec) -> Vec<ServiceRecord> {
        let busy = self.database.get(&spec.configuration.id());
        let record = busy.map(|busy| {
            let noise = 0.01 * self.noise("database", spec, true);
            let wall = spec.length.saturating_sub(spec.warm_up);
            let cpu = wall.mul_f64((busy + noise).clamp(0.0, 1.0));
            ServiceRecord {
                name: ServiceName::new("db"),
                cpus: 1,
                memory_peak: Some(Bytes::new(200 << 20)),
                memory_source: MemorySource::Pss,
                cpu: Some(cpu),
                window: Some(ServiceWindow {
                    wall,
                    cpu,
                    busiest: cpu / 4,
                    busiest_peak_pct: 50.0,
                }),
            }
        });
        record.into_iter().collect()
    }

    fn record(&mut self, spec: &TrialSpec) -> TrialRecord {
        let server = self.truth[&spec.configuration.id()];
        let start = self.anchor();
        let hours = self.now_ns as f64 / 3.6e12;
        let is_disturbed = spec.attempt == 0 && self.chance("disturbed", spec) < self.disturbed;
        let log = server.p95_us.ln()
            + server.noise * self.noise("launch", spec, true)
            + self.block_noise * self.noise("block", spec, false)
            + self.drift_per_hour * hours
            + if is_disturbed { 3f64.ln() } else { 0.0 };
        let length = spec.length + self.overhead;
        self.now_ns += u64::try_from(length.as_nanos()).unwrap_or(u64::MAX);
        TrialRecord {
            spec: spec.clone(),
            outcome: self.outcome(&server, spec),
            span: Span {
                start,
                end: self.anchor(),
            },
            load: Some(load(spec, log.exp())),
            server: Some(ServerRecord {
                boot: Some(Duration::from_millis(500)),
                memory_peak: Some(server.memory),
                memory_before: Some(server.memory),
                memory_after: Some(server.memory),
                cpu: Some(spec.length / 2),
                host: Some(HostLoad {
                    wall: spec.length,
                    cpus: 2,
                    stolen: spec.length / if is_disturbed { 5 } else { 100 },
                    others: spec.length / if is_disturbed { 5 } else { 100 },
                }),
                services: self.services(spec),
                ..ServerRecord::default()
            }),
        }
    }
}

impl RunTrial for World {
    async fn run(&mut self, spec: &TrialSpec) -> Result<TrialRecord, Fault> {
        self.trials += 1;
        Ok(self.record(spec))
    }

    fn now_wall_ns(&self) -> i64 {
        WALL_START_NS + i64::try_from(self.now_ns).unwrap_or(i64::MAX)
    }

    async fn wait_until(&mut self, wall_ns: i64) {
        let wait = u64::try_from(wall_ns.saturating_sub(self.now_wall_ns())).unwrap_or(0);
        self.now_ns += wait;
    }

    fn is_stopping(&self) -> bool {
        self.stop_before.is_some_and(|trials| self.trials >= trials)
    }
}

/// A load in which every request of the one endpoint took `p95_us`.
fn load(spec: &TrialSpec, p95_us: f64) -> LoadRecord {
    let accounting = Accounting {
        scheduled: REQUESTS,
        completed: REQUESTS,
        ..Accounting::default()
    };
    let mut response = Histogram::new();
    response.record_n(p95_us.round() as u64, REQUESTS);
    let endpoint = EndpointLoad {
        name: EndpointName::new("only"),
        total: accounting,
        window: accounting,
        service: response.clone(),
        response,
        failed: Histogram::new(),
        failures: BTreeMap::new(),
    };
    LoadRecord {
        start_ns: 0,
        length: spec.length,
        warm_up: spec.warm_up,
        endpoints: vec![endpoint],
        seconds: Vec::new(),
        outstanding: Vec::new(),
        generator: GeneratorRecord {
            own_lag: Histogram::new(),
            waited_for_connection: 0,
            cpu: Duration::ZERO,
            wall: spec.length,
            connections_peak: 1,
            connections_limit: 256,
            outstanding_at_end: 0,
            retries: 0,
            verdict: GeneratorVerdict::Ok,
        },
    }
}
