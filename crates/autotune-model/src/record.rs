//! What a trial leaves behind: one load record and one server record on one
//! time axis, per second.

use std::collections::BTreeMap;
use std::fmt;
use std::time::Duration;

use crate::endpoint::EndpointName;
use crate::histogram::{Histogram, SparseHistogram};
use crate::id::ServiceName;
use crate::time::Span;
use crate::trial::{Outcome, TrialSpec};
use crate::units::Bytes;

/// A finished trial.
#[derive(Clone, Debug, PartialEq)]
pub struct TrialRecord {
    /// What was planned.
    pub spec: TrialSpec,
    /// How it ended.
    pub outcome: Outcome,
    /// The time axis: from before the launch to after the clean stop.
    pub span: Span,
    /// What the generator saw; `None` where no load was sent.
    pub load: Option<LoadRecord>,
    /// What the server did; `None` where nothing was launched.
    pub server: Option<ServerRecord>,
}

/// Where requests have gone. Identity: the first is the sum of the others.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Accounting {
    /// Requests that were due.
    pub scheduled: u64,
    /// Answered, and every assertion passed.
    pub completed: u64,
    /// Answered wrongly or broken off.
    pub failed: u64,
    /// Without an answer at the timeout; open at the end included.
    pub timed_out: u64,
    /// Never written: the client's queue was full or they became too old.
    pub dropped: u64,
}

impl Accounting {
    /// Whether nothing was lost.
    pub fn adds_up(&self) -> bool {
        self.scheduled == self.completed + self.not_completed()
    }

    /// All but completed; they rank as infinitely slow.
    pub fn not_completed(&self) -> u64 {
        self.failed + self.timed_out + self.dropped
    }

    /// Adds the other one.
    pub fn add(&mut self, other: &Self) {
        self.scheduled += other.scheduled;
        self.completed += other.completed;
        self.failed += other.failed;
        self.timed_out += other.timed_out;
        self.dropped += other.dropped;
    }
}

/// Why a request was not completed.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum FailureClass {
    /// Nobody listens.
    ConnectRefused,
    /// No connection in time: the accept queue was full.
    ConnectTimeout,
    /// Another fault while connecting.
    ConnectOther,
    /// Reset, or closed, on a fresh connection before the first byte of an answer.
    ResetBeforeResponse,
    /// Reset, or closed, within an answer.
    ResetDuringResponse,
    /// Closed on a connection that was kept, before the first byte.
    StaleKeepAlive,
    /// No whole answer within the timeout.
    ReadTimeout,
    /// The body was shorter than announced.
    ShortBody,
    /// What came is not HTTP.
    BadResponse,
    /// The status was not expected.
    Status,
    /// The body was not as expected.
    Assertion,
    /// Waited too long for a free connection.
    ClientQueue,
    /// Out of ports or descriptors: the generator's fault.
    ClientResource,
}

impl FailureClass {
    /// All classes, in the order of reports.
    pub const ALL: [Self; 13] = [
        Self::ConnectRefused,
        Self::ConnectTimeout,
        Self::ConnectOther,
        Self::ResetBeforeResponse,
        Self::ResetDuringResponse,
        Self::StaleKeepAlive,
        Self::ReadTimeout,
        Self::ShortBody,
        Self::BadResponse,
        Self::Status,
        Self::Assertion,
        Self::ClientQueue,
        Self::ClientResource,
    ];

    /// As stored and exported.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::ConnectRefused => "connect-refused",
            Self::ConnectTimeout => "connect-timeout",
            Self::ConnectOther => "connect-other",
            Self::ResetBeforeResponse => "reset-before-response",
            Self::ResetDuringResponse => "reset-during-response",
            Self::StaleKeepAlive => "stale-keep-alive",
            Self::ReadTimeout => "read-timeout",
            Self::ShortBody => "short-body",
            Self::BadResponse => "bad-response",
            Self::Status => "status",
            Self::Assertion => "assertion",
            Self::ClientQueue => "client-queue",
            Self::ClientResource => "client-resource",
        }
    }

    /// Back from [`FailureClass::as_str`].
    pub fn parse(text: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|class| class.as_str() == text)
    }
}

impl fmt::Display for FailureClass {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(self.as_str())
    }
}

/// What the load engine saw in one trial.
#[derive(Clone, Debug, PartialEq)]
pub struct LoadRecord {
    /// When the schedule began: nanoseconds on the trial's axis.
    pub start_ns: u64,
    /// How long requests were due.
    pub length: Duration,
    /// The cut that the `window` parts below were made with.
    pub warm_up: Duration,
    /// By endpoint, in the order of the grid file.
    pub endpoints: Vec<EndpointLoad>,
    /// By endpoint and second of the due time; empty where a history was loaded
    /// without its series.
    pub seconds: Vec<LoadSecond>,
    /// Requests due but not yet ended at the end of each second: one entry a
    /// second of `length`; empty where a history was loaded without its series.
    pub outstanding: Vec<u32>,
    /// The engine on itself.
    pub generator: GeneratorRecord,
}

/// One endpoint over a whole trial and over the window after the warm-up.
#[derive(Clone, Debug, PartialEq)]
pub struct EndpointLoad {
    /// Which.
    pub name: EndpointName,
    /// Over the whole trial.
    pub total: Accounting,
    /// Of the requests due after the warm-up.
    pub window: Accounting,
    /// Completed requests of the window: end minus due.
    pub response: Histogram,
    /// Completed requests of the window: end minus first byte written.
    pub service: Histogram,
    /// Requests of the window that failed or timed out: end minus due.
    pub failed: Histogram,
    /// Why requests were not completed, over the whole trial.
    pub failures: BTreeMap<FailureClass, u64>,
}

/// One endpoint in one second of due time.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct LoadSecond {
    /// Index into [`LoadRecord::endpoints`].
    pub endpoint: u16,
    /// Seconds since the schedule began.
    pub second: u32,
    /// Of the requests due in this second.
    pub accounting: Accounting,
    /// Completed: end minus due.
    pub response: SparseHistogram,
    /// Completed: end minus first byte written.
    pub service: SparseHistogram,
    /// Failed or timed out: end minus due.
    pub failed: SparseHistogram,
}

impl LoadRecord {
    /// Makes the `window` parts of all endpoints again for another warm-up: a
    /// pure function over the seconds. A second counts when it begins at or
    /// after the cut.
    pub fn cut(&mut self, warm_up: Duration) {
        self.warm_up = warm_up;
        for (index, endpoint) in self.endpoints.iter_mut().enumerate() {
            endpoint.window = Accounting::default();
            endpoint.response = Histogram::new();
            endpoint.service = Histogram::new();
            endpoint.failed = Histogram::new();
            let mine = self
                .seconds
                .iter()
                .filter(|second| usize::from(second.endpoint) == index);
            for second in mine {
                if Duration::from_secs(u64::from(second.second)) >= warm_up {
                    endpoint.window.add(&second.accounting);
                    second.response.add_to(&mut endpoint.response);
                    second.service.add_to(&mut endpoint.service);
                    second.failed.add_to(&mut endpoint.failed);
                }
            }
        }
    }

    /// Over all endpoints and the whole trial.
    pub fn total(&self) -> Accounting {
        let mut sum = Accounting::default();
        self.endpoints
            .iter()
            .for_each(|endpoint| sum.add(&endpoint.total));
        sum
    }
}

/// The engine on itself.
#[derive(Clone, Debug, PartialEq)]
pub struct GeneratorRecord {
    /// First byte written minus due, where a connection was free: the
    /// generator's own doing. Microseconds.
    pub own_lag: Histogram,
    /// Requests that waited for a free connection.
    pub waited_for_connection: u64,
    /// CPU time of the generator thread while requests were due. In studies of
    /// earlier versions the wait for the last answers is included.
    pub cpu: Duration,
    /// Wall time of the load, draining included.
    pub wall: Duration,
    /// The most connections open at one time.
    pub connections_peak: u32,
    /// The largest number allowed.
    pub connections_limit: u32,
    /// Requests without an end when the last one was due.
    pub outstanding_at_end: u64,
    /// Stale connections on which a request was sent again.
    pub retries: u64,
    /// What it says of itself.
    pub verdict: GeneratorVerdict,
}

/// Whether the generator was the bottleneck.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum GeneratorVerdict {
    /// It was not.
    Ok,
    /// It may have been, a little; the reasons.
    Suspect(Vec<String>),
    /// It was: the trial must not be ranked; the reasons.
    Invalid(Vec<String>),
}

/// What the server did in one trial.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct ServerRecord {
    /// From launch to the first good answer.
    pub boot: Option<Duration>,
    /// From the stop signal to the last process's end.
    pub stop: Option<Duration>,
    /// How the main process ended, for people: `exit 0`, `signal 9`.
    pub exit: Option<String>,
    /// Processes that were still there after the graceful stop and were killed.
    pub killed: u32,
    /// Settings in effect, by name.
    pub settings: BTreeMap<String, String>,
    /// Versions, by name: `python`, `gunicorn`.
    pub versions: BTreeMap<String, String>,
    /// Workers that were replaced while the load ran.
    pub restarts: u32,
    /// Peak over the load of the sum over the tree of PSS and swapped PSS.
    pub memory_peak: Option<Bytes>,
    /// The same sum before the first request.
    pub memory_before: Option<Bytes>,
    /// The same sum after the last one.
    pub memory_after: Option<Bytes>,
    /// What memory was read from.
    pub memory_source: MemorySource,
    /// CPU time of the tree while the load ran.
    pub cpu: Option<Duration>,
    /// Once a second; empty where a history was loaded without its series.
    pub samples: Vec<ServerSample>,
    /// The log.
    pub log: LogRecord,
    /// Connections beyond loopback that were seen.
    pub peers: Vec<Peer>,
    /// How the tree was held together: `pid-namespace` or `parent-death-signal`.
    pub isolation: String,
    /// What the machine did beside it while the load ran; `None` where that could
    /// not be read, and in studies of earlier versions.
    pub host: Option<HostLoad>,
    /// What the services beside it did while the load ran, in the order of the
    /// grid file; empty where there are none, and where no load was sent.
    pub services: Vec<ServiceRecord>,
}

/// What a service did while the load of a trial ran.
#[derive(Clone, Debug, PartialEq)]
pub struct ServiceRecord {
    /// Which.
    pub name: ServiceName,
    /// How many CPUs it may use.
    pub cpus: u32,
    /// Peak over the load of the sum over its processes, as of the server.
    pub memory_peak: Option<Bytes>,
    /// What memory was read from.
    pub memory_source: MemorySource,
    /// CPU time of all its processes over the load.
    pub cpu: Option<Duration>,
    /// Its CPU time after the warm-up; `None` where too few samples fell there.
    pub window: Option<ServiceWindow>,
}

/// What a service's CPU time went to between two samples after the warm-up.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct ServiceWindow {
    /// From the first of these samples to the last.
    pub wall: Duration,
    /// CPU time of all its processes.
    pub cpu: Duration,
    /// CPU time of the process that used the most.
    pub busiest: Duration,
    /// The most CPU time that this process used from one sample to the next, in
    /// percent of one CPU: one that never goes beyond a hundred has one thread at
    /// work.
    pub busiest_peak_pct: f64,
}

/// What a machine did beside a trial.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct HostLoad {
    /// How long it was watched.
    pub wall: Duration,
    /// How many CPUs it has.
    pub cpus: u32,
    /// CPU time that the hypervisor gave to others, over all CPUs.
    pub stolen: Duration,
    /// CPU time of processes that are neither this program nor started by it, as
    /// far as they can be seen from where it runs.
    pub others: Duration,
}

impl HostLoad {
    /// The share of the machine's CPU time that went to others, from 0 to 1.
    pub fn share(&self) -> f64 {
        let all = self.wall.as_secs_f64() * f64::from(self.cpus);
        if all > 0.0 {
            ((self.stolen + self.others).as_secs_f64() / all).min(1.0)
        } else {
            0.0
        }
    }
}

/// Where a memory figure comes from.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum MemorySource {
    /// Proportional set size: shared pages are counted once over the tree.
    #[default]
    Pss,
    /// Resident set size, where PSS cannot be read: counts shared pages in
    /// every process.
    Rss,
}

/// The tree at one moment.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct ServerSample {
    /// Nanoseconds on the trial's axis.
    pub at_ns: u64,
    /// Every process of the tree, by pid.
    pub processes: Vec<ProcessSample>,
}

/// One process at one moment. A process is known by pid and start time.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ProcessSample {
    /// As the host numbers it.
    pub pid: u32,
    /// Clock ticks since boot.
    pub start_time: u64,
    /// The launched process, one of its children, or further down.
    pub role: ProcessRole,
    /// Proportional set size; `None` where it cannot be read.
    pub pss: Option<Bytes>,
    /// Private memory: what is freed if this process ends.
    pub uss: Option<Bytes>,
    /// Resident set size.
    pub rss: Bytes,
    /// Proportional share of what is swapped out.
    pub swap_pss: Option<Bytes>,
    /// User and system time since the process began.
    pub cpu: Duration,
    /// Threads.
    pub threads: u32,
}

/// Where a process stands in the tree.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum ProcessRole {
    /// What was launched.
    Main,
    /// A child of it: for most servers a worker.
    Child,
    /// Anything further down.
    Descendant,
}

/// What is kept of the server's log.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct LogRecord {
    /// The last lines.
    pub tail: Vec<String>,
    /// Bytes written in all.
    pub bytes: u64,
    /// How often it grew too large and was begun anew.
    pub truncations: u32,
}

/// A connection of the tree.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Peer {
    /// Address and port of the other side.
    pub address: std::net::SocketAddr,
    /// `tcp` or `udp`.
    pub protocol: String,
    /// The process that holds it.
    pub pid: u32,
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn cut_counts_seconds_that_begin_at_or_after_it() {
        let second = |second, value| LoadSecond {
            endpoint: 0,
            second,
            accounting: Accounting {
                scheduled: 1,
                completed: 1,
                ..Accounting::default()
            },
            response: SparseHistogram::from_counts([(value, 1)]),
            ..LoadSecond::default()
        };
        let mut record = LoadRecord {
            start_ns: 0,
            length: Duration::from_secs(3),
            warm_up: Duration::ZERO,
            endpoints: vec![EndpointLoad {
                name: EndpointName::new("a"),
                total: Accounting::default(),
                window: Accounting::default(),
                response: Histogram::new(),
                service: Histogram::new(),
                failed: Histogram::new(),
                failures: BTreeMap::new(),
            }],
            seconds: vec![second(0, 100), second(1, 20), second(2, 30)],
            outstanding: vec![0; 3],
            generator: GeneratorRecord {
                own_lag: Histogram::new(),
                waited_for_connection: 0,
                cpu: Duration::ZERO,
                wall: Duration::ZERO,
                connections_peak: 0,
                connections_limit: 0,
                outstanding_at_end: 0,
                retries: 0,
                verdict: GeneratorVerdict::Ok,
            },
        };
        record.cut(Duration::from_secs(1));
        assert_eq!(record.endpoints[0].window.completed, 2);
        assert_eq!(record.endpoints[0].response.max_us(), Some(30));
        record.cut(Duration::ZERO);
        assert_eq!(record.endpoints[0].response.max_us(), Some(100));
    }
}
