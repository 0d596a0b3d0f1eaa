//! A made-up study of a small app on one CPU, to be changed by tests. The
//! numbers follow a real one; the noise is a formula, so that the same study
//! comes out every time.

mod numbers;
mod trials;

use std::collections::BTreeMap;
use std::time::Duration;

use autotune_analysis::{
    Analysis, ConfigAnalysis, Disturbed, Drift, Feasibility, MemoryGrowth, Noise, Reason, Standing,
    Verdict, VerdictWord,
};
use autotune_model::{
    Accept, Arrivals, Bytes, ConfigFile, Configuration, Confinement, ConnectionPolicy,
    CpuPlacement, CpuQuota, CpuSet, Decision, DecisionKind, Endpoint, EndpointName, Enforcement,
    History, HostFacts, HostLimits, LimitMeans, LoadShape, Metric, Objective, Over, Param,
    ParamKind, ParamName, Profile, Quantile, Rate, Recycling, Service, Share, StopReason, Value,
    VariantName,
};

use crate::{Ending, Planned, Study};

pub(crate) const BLOCKS: u32 = 6;
pub(crate) const LENGTH: Duration = Duration::from_secs(25);
pub(crate) const WARM_UP: Duration = Duration::from_secs(5);

/// Everything that a study borrows.
#[derive(Clone, Debug)]
pub(crate) struct Fixture {
    pub(crate) name: String,
    pub(crate) history: History,
    pub(crate) analysis: Analysis,
    pub(crate) objective: Objective,
    pub(crate) variants: Vec<(VariantName, Profile)>,
    pub(crate) endpoints: Vec<Endpoint>,
    pub(crate) services: Vec<Service>,
    pub(crate) load: LoadShape,
    pub(crate) placement: CpuPlacement,
    pub(crate) confinement: Confinement,
    pub(crate) ending: Ending,
    pub(crate) host: HostFacts,
    pub(crate) versions: BTreeMap<String, String>,
    pub(crate) grid_text: String,
    pub(crate) planned: Planned,
    pub(crate) command: String,
}

/// How a configuration of the made-up study behaves.
pub(crate) struct Behaviour {
    pub(crate) workers: i64,
    pub(crate) threads: i64,
    pub(crate) class: &'static str,
    /// p95 over the endpoints, milliseconds; `None` where it fails.
    pub(crate) p95_ms: Option<f64>,
    pub(crate) memory_mib: f64,
    /// Standard deviation between launches, percent.
    pub(crate) noise_pct: f64,
    pub(crate) standing: Standing,
    pub(crate) bound_pct: Option<f64>,
}

const fn behaviour(
    (workers, threads, class): (i64, i64, &'static str),
    p95_ms: Option<f64>,
    (memory_mib, noise_pct): (f64, f64),
    (standing, bound_pct): (Standing, Option<f64>),
) -> Behaviour {
    Behaviour {
        workers,
        threads,
        class,
        p95_ms,
        memory_mib,
        noise_pct,
        standing,
        bound_pct,
    }
}

pub(crate) fn behaviours() -> Vec<Behaviour> {
    use Standing::{Open, Recommended, Tied, Unranked, WithinAccept, Worse};
    vec![
        behaviour((6, 1, "sync"), Some(11.0), (171.0, 1.8), (Tied, Some(2.2))),
        behaviour((9, 1, "sync"), Some(11.1), (212.0, 2.2), (Tied, Some(3.4))),
        behaviour((4, 1, "sync"), Some(11.3), (131.0, 1.6), (Tied, Some(4.9))),
        behaviour(
            (1, 8, "gthread"),
            Some(11.4),
            (38.2, 1.2),
            (Recommended, Some(6.1)),
        ),
        behaviour(
            (1, 16, "gthread"),
            Some(11.7),
            (40.4, 1.7),
            (WithinAccept, Some(9.3)),
        ),
        behaviour(
            (2, 4, "gthread"),
            Some(11.9),
            (70.8, 7.5),
            (Open, Some(18.7)),
        ),
        behaviour(
            (1, 4, "gthread"),
            Some(12.6),
            (37.1, 1.4),
            (Worse, Some(16.8)),
        ),
        behaviour(
            (4, 8, "gthread"),
            Some(13.1),
            (140.0, 14.0),
            (Open, Some(31.0)),
        ),
        behaviour(
            (3, 1, "sync"),
            Some(15.2),
            (101.0, 2.4),
            (Worse, Some(41.2)),
        ),
        behaviour(
            (2, 1, "gevent"),
            Some(17.9),
            (88.0, 3.0),
            (Worse, Some(66.0)),
        ),
        behaviour(
            (1, 1, "gevent"),
            Some(22.4),
            (48.5, 3.4),
            (Worse, Some(108.0)),
        ),
        behaviour(
            (2, 1, "sync"),
            Some(46.0),
            (69.5, 12.0),
            (Worse, Some(340.0)),
        ),
        behaviour((1, 1, "sync"), None, (36.2, 0.0), (Unranked, None)),
        behaviour((4, 1, "gevent"), None, (150.0, 0.0), (Unranked, None)),
    ]
}

impl Fixture {
    /// Fourteen configurations, six blocks, one recommended, a tie set of four.
    pub(crate) fn realistic() -> Self {
        let history = trials::history();
        let analysis = analysis(&history);
        Self {
            name: "blog".to_owned(),
            history,
            analysis,
            objective: objective(),
            variants: vec![(VariantName::new("gunicorn"), profile())],
            endpoints: endpoints(),
            services: Vec::new(),
            load: load(),
            placement: CpuPlacement {
                server: Some(CpuSet::new([1])),
                generator: Some(CpuSet::new([0])),
                cores: 1,
            },
            confinement: Confinement::default(),
            ending: Ending::Answered,
            host: HostFacts {
                facts: vec![
                    (
                        "processor".to_owned(),
                        "Example CPU at 3 GHz, 2 CPUs".to_owned(),
                    ),
                    ("kernel".to_owned(), "Linux 6.1".to_owned()),
                    ("memory of the host".to_owned(), "4 GiB".to_owned()),
                ],
            },
            versions: BTreeMap::from([
                ("gunicorn".to_owned(), "23.0.0".to_owned()),
                ("python".to_owned(), "3.11.2".to_owned()),
            ]),
            grid_text: "name = \"blog\"\n\n[server.gunicorn]\nprofile = \"gunicorn\"\n".to_owned(),
            planned: Planned {
                configurations: 14,
                cells: 15,
                folded: vec![
                    "1/8/sync/0/0 is 1/8/gthread/0/0: sync with threads is gthread".to_owned(),
                ],
                dropped: Vec::new(),
                named: vec!["workers".into(), "threads".into()],
            },
            command: "autotune sweep blog.toml".to_owned(),
        }
    }

    pub(crate) fn study(&self) -> Study<'_> {
        Study {
            name: &self.name,
            history: &self.history,
            analysis: &self.analysis,
            objective: &self.objective,
            variants: &self.variants,
            endpoints: &self.endpoints,
            services: &self.services,
            load: &self.load,
            connections: ConnectionPolicy::KeepAlive,
            placement: &self.placement,
            confinement: &self.confinement,
            ending: &self.ending,
            host: &self.host,
            versions: &self.versions,
            tool_version: "0.1.0",
            grid_text: &self.grid_text,
            planned: &self.planned,
            command: &self.command,
        }
    }

    /// With `[limits]`, kept or refused for this reason.
    pub(crate) fn limit(&mut self, refusal: Option<&str>) {
        self.confinement = Confinement {
            limits: HostLimits {
                memory: Some(Bytes::new(512 << 20)),
                cpus: CpuQuota::new(1.5),
                files: None,
            },
            enforcement: match refusal {
                None => Enforcement::By(LimitMeans::Cgroup),
                Some(reason) => Enforcement::Refused {
                    reason: reason.to_owned(),
                },
            },
        };
    }

    /// Adds the recommended one again with workers that are replaced: it shares a
    /// cell of the heat map.
    pub(crate) fn recycle(&mut self) {
        let mut again = self.find("1/8/gthread/0/0").clone();
        again.configuration = configuration(1, 8, "gthread", 1000);
        again.id = again.configuration.id();
        again.standing = Standing::WithinAccept;
        self.analysis.configurations.push(again);
    }

    pub(crate) fn find(&self, label: &str) -> &ConfigAnalysis {
        let mut all = self.analysis.configurations.iter();
        all.find(|config| config.configuration.label().as_str() == label)
            .unwrap()
    }

    /// A verdict without a recommendation: every configuration is ruled out.
    pub(crate) fn infeasible(&mut self) {
        for config in &mut self.analysis.configurations {
            config.feasibility = Feasibility::Infeasible(vec!["overloaded".to_owned()]);
            config.standing = Standing::Unranked;
            config.launches.overloaded += std::mem::take(&mut config.launches.measured);
        }
        let verdict = &mut self.analysis.verdict;
        verdict.word = VerdictWord::Infeasible;
        verdict.recommended = None;
        verdict.tie_set.clear();
        verdict.bound_pct = None;
        verdict.why.clear();
    }
}

/// All texts of an SVG, which must be well-formed.
pub(crate) fn texts(svg: &str) -> Vec<String> {
    let document = roxmltree::Document::parse(svg).unwrap();
    let texts = document
        .descendants()
        .filter(|node| node.tag_name().name() == "text");
    texts
        .map(|node| node.text().unwrap_or_default().trim().to_owned())
        .collect()
}

pub(crate) fn configuration(
    workers: i64,
    threads: i64,
    class: &str,
    max_requests: i64,
) -> Configuration {
    let given: Vec<(ParamName, Value)> = vec![
        ("workers".into(), workers.into()),
        ("threads".into(), threads.into()),
        ("worker_class".into(), class.into()),
        ("max_requests".into(), max_requests.into()),
    ];
    Configuration::fold(&profile(), &VariantName::new("gunicorn"), &given, false).configuration
}

fn profile() -> Profile {
    let int = |name: &str, default: i64| Param {
        name: name.into(),
        kind: ParamKind::Int {
            min: 0,
            max: 100_000,
        },
        default: default.into(),
        flag: format!("--{name}"),
    };
    let class = Param {
        name: "worker_class".into(),
        kind: ParamKind::Word {
            known: vec!["sync".to_owned()],
            open: true,
        },
        default: "sync".into(),
        flag: "--worker-class".to_owned(),
    };
    Profile {
        name: "gunicorn".to_owned(),
        params: vec![
            int("workers", 1),
            int("threads", 1),
            class,
            int("max_requests", 0),
            int("max_requests_jitter", 0),
        ],
        label_fields: 5,
        folds: Vec::new(),
        recycling: Some(Recycling {
            max_requests: "max_requests".into(),
            jitter: "max_requests_jitter".into(),
        }),
        config_file: Some(ConfigFile {
            name: "gunicorn.conf.py".to_owned(),
            comment: "#".to_owned(),
            setting: "{name} = {value}".to_owned(),
        }),
        workers: Some("workers".into()),
        threads: Some("threads".into()),
        cleared_env: Vec::new(),
    }
}

fn endpoints() -> Vec<Endpoint> {
    trials::ENDPOINTS
        .map(|(name, _)| Endpoint::get(name, &format!("/{name}")))
        .to_vec()
}

pub(crate) fn load() -> LoadShape {
    LoadShape::open(Rate::per_second(90.0).unwrap(), Arrivals::Poisson)
}

fn objective() -> Objective {
    Objective {
        minimize: Metric::Latency(Quantile::P95),
        over: Over::Geomean,
        max_error_rate: Some(Share::new(0.01).unwrap()),
        max_latency: Vec::new(),
        max_memory: None,
        surge: None,
        accept: Accept {
            relative: Some(Share::new(0.10).unwrap()),
            absolute: None,
        },
        min_effect: Share::new(0.02).unwrap(),
        weights: trials::ENDPOINTS
            .map(|(name, _)| (EndpointName::new(name), 1.0))
            .to_vec(),
        baseline: Some(configuration(3, 1, "sync", 0)),
        workers: Some("workers".into()),
    }
}

pub(crate) fn decisions() -> Vec<Decision> {
    let planned = DecisionKind::Planned {
        control: configuration(4, 1, "sync", 0).id(),
        length: LENGTH,
        warm_up: WARM_UP,
        resolvable_pct: Some(3.5),
    };
    let stopped = DecisionKind::Stopped {
        reason: StopReason::Answered,
    };
    vec![
        Decision {
            number: 0,
            kind: planned,
        },
        Decision {
            number: 1,
            kind: stopped,
        },
    ]
}

fn analysis(history: &History) -> Analysis {
    let configurations: Vec<ConfigAnalysis> = behaviours()
        .iter()
        .map(|behaviour| numbers::config(history, behaviour))
        .collect();
    let recommended = configuration(1, 8, "gthread", 0).id();
    let tied = configurations
        .iter()
        .filter(|config| config.standing == Standing::Tied);
    let tie_set = std::iter::once(recommended)
        .chain(tied.map(|config| config.id))
        .collect();
    Analysis {
        metric: Metric::Latency(Quantile::P95),
        over: Over::Geomean,
        complete_blocks: BLOCKS,
        confidence: 0.95,
        verdict: Verdict {
            word: VerdictWord::Recommended,
            recommended: Some(recommended),
            tie_set,
            bound_pct: Some(6.1),
            bound_us: Some(980.0),
            exploratory: Vec::new(),
            why: vec![Reason::LeastMemory {
                memory: mebibytes(38.2),
                next: mebibytes(40.4),
            }],
            but_for_surge: None,
            lighter_open: Vec::new(),
            memory_growth: Some(MemoryGrowth {
                mib_per_1000_requests: 0.42,
            }),
            against_baseline: None,
            dependency_bound: None,
        },
        configurations,
        noise: Some(Noise {
            median_pct: 2.4,
            least_pct: 1.2,
            most_pct: 14.0,
        }),
        drift: Some(Drift {
            total_pct: 1.3,
            low_pct: -2.1,
            high_pct: 4.8,
            noticeable: false,
        }),
        disturbed: Disturbed::default(),
        services: Vec::new(),
        restarts_observed: 0,
        fewest_requests: Some(441),
    }
}

pub(crate) fn mebibytes(mib: f64) -> Bytes {
    Bytes::new((mib * 1024.0 * 1024.0) as u64)
}
