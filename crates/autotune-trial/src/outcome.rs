//! How a trial ended, from all that is known of it. Pure.

use std::time::Duration;

use autotune_model::{Bytes, FailureClass, GeneratorVerdict, LoadRecord, LoadShape, Outcome};

use crate::error::tail;
use crate::loops::{not_done, nothing_left};
use crate::overload::overload;

/// A difference between the clocks up to here is drift, beyond it a jump.
const LARGEST_JUMP: Duration = Duration::from_secs(1);
/// Where a trial was cut short.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Cut {
    /// The program was asked to stop.
    Stopped,
    /// The server could not be started, or never was as it should be.
    Start {
        /// What happened.
        reason: String,
    },
    /// The server ended under load.
    Exit {
        /// How.
        status: String,
    },
    /// The supervisor was lost.
    Lost {
        /// How.
        reason: String,
    },
}

/// How many processes the kernel ended for want of memory.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum OomKills {
    /// Of the server's own, in a group that may have so much.
    Tree { kills: u64, limit: Bytes },
    /// Of the whole machine: others may have been hit, and no limit of ours.
    Machine(u64),
}

impl OomKills {
    fn any(self) -> bool {
        let (Self::Tree { kills, .. } | Self::Machine(kills)) = self;
        kills > 0
    }

    /// Whether a process of the server was hit, beyond doubt.
    fn is_proof(self) -> bool {
        matches!(self, Self::Tree { .. }) && self.any()
    }

    /// What the memory was that was wanting.
    fn of_what(self) -> String {
        match self {
            Self::Tree { limit, .. } => format!("memory ([limits] gives {limit})"),
            Self::Machine(_) => "memory".to_owned(),
        }
    }
}

/// All that the outcome follows from.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Evidence<'a> {
    /// Where the trial was cut short, if it was.
    pub(crate) cut: Option<&'a Cut>,
    /// A setting that is not in effect as asked, for people.
    pub(crate) overridden: Option<&'a str>,
    /// What spoils a trial beside that: a port that stays taken, for example.
    pub(crate) spoiled: Option<&'a str>,
    /// Whom the kernel ended for want of memory meanwhile.
    pub(crate) oom_kills: OomKills,
    /// Whether a worker was killed, other than for not answering its watchdog.
    pub(crate) worker_killed: bool,
    /// By how much the clocks differ at the end.
    pub(crate) jump: Duration,
    /// How the load was to be.
    pub(crate) shape: &'a LoadShape,
    /// What the generator saw.
    pub(crate) load: Option<&'a LoadRecord>,
    /// Users who had not made all the requests that the load says.
    pub(crate) users_left: u32,
    /// The end of the server's log.
    pub(crate) log: &'a [String],
}

/// The first that applies: what was asked for or broke the trial from outside,
/// then what the server did, then what the generator did.
pub(crate) fn outcome(evidence: &Evidence<'_>) -> Outcome {
    let log = tail(evidence.log);
    let killed = evidence.oom_kills.any();
    let memory = evidence.oom_kills.of_what();
    match evidence.cut {
        Some(Cut::Stopped) => return Outcome::Interrupted,
        Some(Cut::Lost { reason }) => return invalid(reason.clone()),
        Some(Cut::Start { reason } | Cut::Exit { status: reason }) if killed => {
            let detail = format!("the kernel ended a process for want of {memory}: {reason}{log}");
            return Outcome::OutOfMemory { detail };
        }
        Some(Cut::Start { reason }) => {
            return Outcome::FailedToStart {
                detail: format!("{reason}{log}"),
            };
        }
        Some(Cut::Exit { status }) => {
            let detail = format!("the server ended under load with {status}{log}");
            return Outcome::Died { detail };
        }
        None => {}
    }
    if let Some(reason) = evidence.overridden.or(evidence.spoiled) {
        return invalid(reason.to_owned());
    }
    if evidence.oom_kills.is_proof() || killed && evidence.worker_killed {
        let detail = format!("the kernel ended a worker for want of {memory}{log}");
        return Outcome::OutOfMemory { detail };
    }
    if evidence.jump > LARGEST_JUMP {
        let jump = evidence.jump.as_secs_f64();
        return invalid(format!(
            "the clocks differ by {jump:.1} s from start to end; the machine slept, or its clock was set"
        ));
    }
    match evidence.load {
        Some(load) => by_load((evidence.shape, evidence.users_left), load),
        None => invalid("no load was sent".to_owned()),
    }
}

fn invalid(detail: String) -> Outcome {
    Outcome::Invalid { detail }
}

fn by_load((shape, users_left): (&LoadShape, u32), load: &LoadRecord) -> Outcome {
    let overload = overload(shape, load).or_else(|| not_done(shape, users_left));
    match (&load.generator.verdict, overload) {
        // A full pool is what an overload looks like from the generator's side.
        (GeneratorVerdict::Invalid(reasons), Some(_)) if generator_at_fault(load) => {
            invalid(reasons.join("; "))
        }
        (_, Some(detail)) => Outcome::Overloaded { detail },
        (GeneratorVerdict::Invalid(reasons), None) => invalid(reasons.join("; ")),
        (GeneratorVerdict::Ok | GeneratorVerdict::Suspect(_), None) => {
            nothing_left(shape, load).map_or(Outcome::Measured, invalid)
        }
    }
}

/// Whether the generator lagged by its own doing.
fn generator_at_fault(load: &LoadRecord) -> bool {
    let starved = load.endpoints.iter().any(|endpoint| {
        endpoint
            .failures
            .contains_key(&FailureClass::ClientResource)
    });
    starved || autotune_load::generator_was_slow(load)
}

#[cfg(test)]
pub(crate) mod tests {
    use super::*;
    use autotune_model::{
        Accounting, Arrivals, EndpointLoad, EndpointName, GeneratorRecord, Histogram, LoadSecond,
        Rate, SparseHistogram,
    };
    use std::collections::BTreeMap;
    use std::sync::LazyLock;

    static CLOSED: LazyLock<LoadShape> = LazyLock::new(|| LoadShape::closed(1, Duration::ZERO));

    static OPEN: LazyLock<LoadShape> =
        LazyLock::new(|| LoadShape::open(Rate::per_second(100.0).unwrap(), Arrivals::Poisson));

    /// Ten seconds at 100 a second, with these numbers outstanding.
    pub(crate) fn load(outstanding: &[u32]) -> LoadRecord {
        let total = Accounting {
            scheduled: 1_000,
            completed: 1_000,
            ..Accounting::default()
        };
        let mut own_lag = Histogram::new();
        own_lag.record_n(100, 1_000);
        LoadRecord {
            start_ns: 0,
            length: Duration::from_secs(10),
            warm_up: Duration::ZERO,
            endpoints: vec![EndpointLoad {
                name: EndpointName::new("a"),
                total,
                window: total,
                response: Histogram::new(),
                service: Histogram::new(),
                failed: Histogram::new(),
                failures: BTreeMap::new(),
            }],
            seconds: Vec::new(),
            outstanding: outstanding.to_vec(),
            generator: GeneratorRecord {
                own_lag,
                waited_for_connection: 0,
                cpu: Duration::from_secs(1),
                wall: Duration::from_secs(10),
                connections_peak: 8,
                connections_limit: 256,
                outstanding_at_end: outstanding.last().copied().unwrap_or_default().into(),
                retries: 0,
                verdict: GeneratorVerdict::Ok,
            },
        }
    }

    const CALM: [u32; 10] = [8, 9, 7, 10, 8, 9, 11, 8, 7, 9];
    const GROWING: [u32; 10] = [9, 20, 28, 41, 50, 58, 71, 80, 92, 99];

    fn evidence(load: &LoadRecord) -> Evidence<'_> {
        Evidence {
            cut: None,
            overridden: None,
            spoiled: None,
            oom_kills: OomKills::Machine(0),
            worker_killed: false,
            jump: Duration::from_millis(3),
            shape: &OPEN,
            load: Some(load),
            users_left: 0,
            log: &[],
        }
    }

    fn judged<'a>(load: &'a LoadRecord, change: impl FnOnce(&mut Evidence<'a>)) -> &'static str {
        let mut evidence = evidence(load);
        change(&mut evidence);
        match outcome(&evidence) {
            Outcome::Measured => "measured",
            Outcome::Overloaded { .. } => "overloaded",
            Outcome::FailedToStart { .. } => "failed-to-start",
            Outcome::Died { .. } => "died",
            Outcome::OutOfMemory { .. } => "out-of-memory",
            Outcome::Invalid { .. } => "invalid",
            Outcome::Aborted { .. } => "aborted",
            Outcome::Interrupted => "interrupted",
        }
    }

    #[test]
    fn a_calm_trial_is_measured() {
        assert_eq!(judged(&load(&CALM), |_| ()), "measured");
    }

    #[test]
    fn a_growing_backlog_is_an_overload_in_open_load_only() {
        assert_eq!(judged(&load(&GROWING), |_| ()), "overloaded");
        assert_eq!(judged(&load(&GROWING), |e| e.shape = &CLOSED), "measured");
        // Above 2 % but steady: slow, not overloaded.
        assert_eq!(judged(&load(&[40; 10]), |_| ()), "measured");
        // Rising, but within what is being served.
        let small: Vec<u32> = (1..=10).collect();
        assert_eq!(judged(&load(&small), |_| ()), "measured");
        // A short trial has too few seconds for an interval.
        assert_eq!(judged(&load(&[30, 60]), |_| ()), "overloaded");
    }

    #[test]
    fn a_slow_and_steady_server_is_not_overloaded() {
        // 300 ms at 20 a second: six in flight of 82 due, in a short trial in
        // which chance lets their number rise.
        let mut record = load(&[4, 5, 5, 6]);
        record.length = Duration::from_secs(4);
        record.endpoints[0].total.scheduled = 82;
        let second = |value_us| LoadSecond {
            response: SparseHistogram::from_counts([(value_us, 20)]),
            ..LoadSecond::default()
        };
        record.seconds = vec![second(302_000), second(310_000)];
        record.generator.outstanding_at_end = 6;
        assert_eq!(judged(&record, |_| ()), "measured");
        // Nor is one of which chance alone says that it was once faster.
        record.seconds[0] = second(5_000);
        assert_eq!(judged(&record, |_| ()), "measured");
        // Of a fast one twelve are a backlog, of a slow one they are not.
        record.outstanding = vec![0, 4, 8, 12];
        record.generator.outstanding_at_end = 12;
        assert_eq!(judged(&record, |_| ()), "overloaded");
        record.seconds[0] = second(302_000);
        assert_eq!(judged(&record, |_| ()), "measured");
    }

    #[test]
    fn a_backlog_that_timeouts_keep_level_is_an_overload_too() {
        let mut level = vec![10, 40, 80, 120, 160, 200];
        level.extend([200; 4]);
        assert_eq!(judged(&load(&level), |_| ()), "overloaded");
    }

    #[test]
    fn a_generator_at_fault_makes_it_invalid() {
        let mut record = load(&CALM);
        record.generator.verdict = GeneratorVerdict::Invalid(vec!["late".to_owned()]);
        assert_eq!(judged(&record, |_| ()), "invalid");
        record.generator.verdict = GeneratorVerdict::Suspect(vec!["a little".to_owned()]);
        assert_eq!(judged(&record, |_| ()), "measured");
    }

    #[test]
    fn a_full_pool_under_overload_is_the_servers_doing() {
        let mut record = load(&GROWING);
        record.generator.verdict = GeneratorVerdict::Invalid(vec!["pool".to_owned()]);
        assert_eq!(judged(&record, |_| ()), "overloaded");
        // The wait for the last answers does not make the thread less busy.
        record.generator.cpu = Duration::from_secs(9);
        record.generator.wall = Duration::from_secs(40);
        assert_eq!(judged(&record, |_| ()), "invalid");
        let mut record = load(&GROWING);
        record.generator.verdict = GeneratorVerdict::Invalid(vec!["late".to_owned()]);
        record.generator.own_lag.record_n(50_000, 100);
        assert_eq!(judged(&record, |_| ()), "invalid");
        // Beside answers that take a second, 50 ms are no matter.
        record.seconds = vec![LoadSecond {
            service: SparseHistogram::from_counts([(1_000_000, 100)]),
            ..LoadSecond::default()
        }];
        assert_eq!(judged(&record, |_| ()), "overloaded");
    }

    #[test]
    fn what_cut_the_trial_short_comes_first() {
        let calm = load(&CALM);
        let cut = |cut: Cut, oom_kills: u64| {
            let evidence = Evidence {
                cut: Some(&cut),
                oom_kills: OomKills::Machine(oom_kills),
                ..evidence(&calm)
            };
            outcome(&evidence).as_str().to_owned()
        };
        let start = || Cut::Start {
            reason: "exit 3".to_owned(),
        };
        let exit = || Cut::Exit {
            status: "signal 9".to_owned(),
        };
        assert_eq!(cut(Cut::Stopped, 1), "interrupted");
        assert_eq!(
            cut(
                Cut::Lost {
                    reason: String::new()
                },
                1
            ),
            "invalid"
        );
        assert_eq!(cut(start(), 0), "failed-to-start");
        assert_eq!(cut(start(), 1), "out-of-memory");
        assert_eq!(cut(exit(), 0), "died");
        assert_eq!(cut(exit(), 1), "out-of-memory");
    }

    #[test]
    fn a_worker_killed_for_memory_needs_both_signs() {
        let calm = load(&CALM);
        let check = |oom_kills, worker_killed, expected| {
            let found = judged(&calm, |evidence| {
                evidence.oom_kills = OomKills::Machine(oom_kills);
                evidence.worker_killed = worker_killed;
            });
            assert_eq!(found, expected);
        };
        check(1, true, "out-of-memory");
        check(1, false, "measured");
        check(0, true, "measured");
    }

    #[test]
    fn the_groups_own_count_is_proof() {
        let calm = load(&CALM);
        let cut = Cut::Exit {
            status: "signal 9".to_owned(),
        };
        let of = |kills, cut, worker_killed| {
            let limit = Bytes::new(64 << 20);
            outcome(&Evidence {
                cut,
                oom_kills: OomKills::Tree { kills, limit },
                worker_killed,
                ..evidence(&calm)
            })
        };
        assert_eq!(of(1, None, false).as_str(), "out-of-memory");
        assert_eq!(of(0, None, true).as_str(), "measured");
        assert_eq!(of(0, Some(&cut), true).as_str(), "died");
        let ended = of(1, Some(&cut), false);
        assert_eq!(ended.as_str(), "out-of-memory");
        let detail = ended.detail().expect("evidence");
        assert!(detail.contains("[limits] gives 64.0 MiB"), "{detail}");
    }

    #[test]
    fn what_spoils_a_trial_makes_it_invalid() {
        let calm = load(&CALM);
        assert_eq!(judged(&calm, |e| e.overridden = Some("workers")), "invalid");
        assert_eq!(judged(&calm, |e| e.spoiled = Some("port")), "invalid");
        assert_eq!(
            judged(&calm, |e| e.jump = Duration::from_millis(1_001)),
            "invalid"
        );
        assert_eq!(
            judged(&calm, |e| e.jump = Duration::from_secs(1)),
            "measured"
        );
        assert_eq!(judged(&calm, |e| e.load = None), "invalid");
    }

    #[test]
    fn the_detail_names_what_happened_and_the_log() {
        let cut = Cut::Start {
            reason: "ended with exit 3".to_owned(),
        };
        let log = ["ImportError: x".to_owned()];
        let calm = load(&CALM);
        let evidence = Evidence {
            cut: Some(&cut),
            log: &log,
            ..evidence(&calm)
        };
        assert_eq!(
            outcome(&evidence).detail(),
            Some("ended with exit 3; the end of its log:\n  ImportError: x")
        );
    }
}
