//! From what was seen of a trial to its record. Pure, apart from two counters
//! of the kernel.

use std::time::Duration;

use autotune_model::{
    Bytes, Configuration, LoadShape, LogRecord, Outcome, ParamName, ProcessRole, Profile,
    ServerRecord, ServerSample, Span, TrialRecord, TrialSpec,
};
use autotune_server::{Behaviour, EventKind, events};

use crate::facts::Facts;
use crate::logs;
use crate::outcome::{Cut, Evidence, OomKills, outcome};
use crate::prepare::Prepared;
use crate::run::Loaded;
use crate::session::{Closed, Started};
use crate::tree::{WorkerRule, cpu, memory, memory_peak, memory_source, replaced, usual_workers};

/// All that was seen of one trial.
pub(crate) struct Seen<'a> {
    pub(crate) spec: &'a TrialSpec,
    pub(crate) prepared: &'a Prepared,
    pub(crate) facts: &'a Facts,
    pub(crate) span: Span,
    pub(crate) cut: Option<Cut>,
    pub(crate) started: Option<Started>,
    pub(crate) loaded: Option<Loaded>,
    pub(crate) closed: Option<Closed>,
    pub(crate) overridden: Option<String>,
    /// Of the whole machine.
    pub(crate) oom_kills: u64,
    /// What [limits] says.
    pub(crate) memory_limit: Option<Bytes>,
}

/// The record, and the outcome in it.
pub(crate) fn record(seen: Seen<'_>) -> TrialRecord {
    let log = seen
        .closed
        .as_ref()
        .map_or("", |closed| closed.log.as_str());
    let tail = logs::tail(log);
    let load_log = seen
        .closed
        .as_ref()
        .map_or("", |closed| closed.load_log.as_str());
    let behaviour = &seen.prepared.behaviour;
    let window = window(&seen);
    let overridden = seen.overridden.clone().or_else(|| {
        let rule = &seen.started.as_ref()?.rule;
        changed_under_load(&seen, (rule, window))
    });
    let spoiled = seen.closed.as_ref().and_then(|closed| {
        let port = "something still listens on the server's port after its stop";
        (!closed.port_free).then_some(port)
    });
    let outcome = outcome(&Evidence {
        cut: seen.cut.as_ref(),
        overridden: overridden.as_deref(),
        spoiled,
        oom_kills: oom_kills_of(&seen),
        worker_killed: worker_killed(behaviour, load_log),
        jump: seen.span.jump(),
        shape: &seen.spec.load,
        load: seen.loaded.as_ref().map(|loaded| &loaded.record),
        users_left: seen.loaded.as_ref().map_or(0, |loaded| loaded.users_left),
        log: &tail,
    });
    let planned = planned_restarts(behaviour, load_log);
    let server = server(&seen, (window, planned), tail);
    TrialRecord {
        spec: seen.spec.clone(),
        outcome: interrupted_first(outcome, seen.cut.as_ref()),
        span: seen.span,
        load: seen.loaded.map(|loaded| loaded.record),
        server,
    }
}

/// The group's own count where there is one.
fn oom_kills_of(seen: &Seen<'_>) -> OomKills {
    let report = seen
        .closed
        .as_ref()
        .and_then(|closed| closed.report.as_ref());
    let counted = report.and_then(|report| report.oom_kills);
    match counted.zip(seen.memory_limit) {
        Some((kills, limit)) => OomKills::Tree { kills, limit },
        None => OomKills::Machine(seen.oom_kills),
    }
}

/// A stop that was asked for is never a finding about the configuration.
fn interrupted_first(outcome: Outcome, cut: Option<&Cut>) -> Outcome {
    match cut {
        Some(Cut::Stopped) => Outcome::Interrupted,
        _ => outcome,
    }
}

fn server(
    seen: &Seen<'_>,
    (window, planned): (&[ServerSample], u32),
    tail: Vec<String>,
) -> Option<ServerRecord> {
    let closed = seen.closed.as_ref()?;
    let report = closed.report.as_ref();
    let restarts = match (&seen.started, seen.loaded.is_some()) {
        // Behind a launcher, what workers start stands beside the workers.
        (Some(started), true) if started.rule.role == ProcessRole::Child => {
            replaced(&started.rule, window).max(planned)
        }
        (Some(_), true) => planned,
        _ => 0,
    };
    let source = memory_source(window);
    let at = |sample: Option<&ServerSample>| memory(sample?, source);
    let exit = report
        .and_then(|report| report.exit)
        .map(|exit| exit.to_string());
    Some(ServerRecord {
        boot: seen.started.as_ref().map(|started| started.boot),
        stop: report.map(|report| report.took),
        exit,
        killed: report.map_or(0, |report| report.killed),
        settings: seen.facts.settings.clone(),
        versions: seen.prepared.versions.clone(),
        restarts,
        memory_peak: memory_peak(window, source),
        memory_before: at(window.first()),
        memory_after: at(window.last()),
        memory_source: source,
        cpu: cpu(window),
        samples: closed.samples.clone(),
        log: LogRecord {
            tail,
            bytes: report.map_or(0, |report| report.log_bytes),
            truncations: report.map_or(0, |report| report.log_truncations),
        },
        peers: closed.peers.iter().cloned().collect(),
        isolation: closed.isolation.clone(),
        host: seen.loaded.as_ref().and_then(|loaded| loaded.host),
        services: seen
            .loaded
            .as_ref()
            .map(|loaded| loaded.services.clone())
            .unwrap_or_default(),
    })
}

/// The samples from right before the load to right after it.
fn window<'a>(seen: &'a Seen<'_>) -> &'a [ServerSample] {
    let (Some(loaded), Some(closed)) = (&seen.loaded, &seen.closed) else {
        return &[];
    };
    let samples = &closed.samples;
    let from = samples.partition_point(|sample| sample.at_ns < loaded.from_ns);
    let to = samples.partition_point(|sample| sample.at_ns <= loaded.to_ns);
    &samples[from..to.max(from)]
}

/// A hook may change the number of workers later than the check at the start.
fn changed_under_load(
    seen: &Seen<'_>,
    (rule, window): (&WorkerRule, &[ServerSample]),
) -> Option<String> {
    let started = seen.started.as_ref()?;
    let name = seen.prepared.profile.workers.as_ref()?;
    let usual = usual_workers(rule, window)?;
    let steady = replaced(rule, window) == 0;
    // Fewer than at the start may be workers that are away to be replaced.
    let changed = usual > started.workers || (usual < started.workers && steady);
    let known = rule.role == ProcessRole::Child && window.len() >= 3;
    (known && changed).then(|| {
        let asked = started.workers;
        format!(
            "`{name}` was {asked} when the load began and {usual} under load: the app changes it"
        )
    })
}

fn planned_restarts(behaviour: &Behaviour, log: &str) -> u32 {
    let found = events(behaviour, log.lines());
    let planned = found
        .iter()
        .filter(|event| event.kind == EventKind::RestartPlanned);
    u32::try_from(planned.count()).unwrap_or(u32::MAX)
}

/// Whether a worker was killed that had not been found unresponsive before.
fn worker_killed(behaviour: &Behaviour, log: &str) -> bool {
    let found = events(behaviour, log.lines());
    found.iter().enumerate().any(|(index, event)| {
        let timed_out = |earlier: &&autotune_server::LogEvent| {
            earlier.kind == EventKind::WorkerTimeout && earlier.pid == event.pid
        };
        event.kind == EventKind::WorkerKilled && !found[..index].iter().any(|e| timed_out(&e))
    })
}

/// How many processes the kernel ended for want of memory since boot.
pub(crate) fn oom_kills() -> u64 {
    let text = std::fs::read_to_string("/proc/vmstat").unwrap_or_default();
    counter(&text, "oom_kill")
}

fn counter(text: &str, name: &str) -> u64 {
    text.lines()
        .find_map(|line| line.strip_prefix(name)?.trim().parse().ok())
        .unwrap_or_default()
}

/// How many connections the generator needs at most for this load against this
/// configuration.
pub fn connections_wanted(load: &LoadShape, profile: &Profile, of: &Configuration) -> u64 {
    let users = load.most_users().map(u64::from);
    users.unwrap_or_else(|| {
        let rate = load.peak_rate().unwrap_or_default();
        pool_wanted(concurrency(profile, of), rate)
    })
}

/// Workers times threads, as far as they are known.
fn concurrency(profile: &Profile, configuration: &Configuration) -> u64 {
    let number = |name: Option<&ParamName>| {
        let value = name.and_then(|name| configuration.value(name)?.as_int());
        u64::try_from(value.unwrap_or(1)).unwrap_or(1)
    };
    number(profile.workers.as_ref()).saturating_mul(number(profile.threads.as_ref()))
}

/// How many connections the generator may open: in open load more than twice
/// what the server can work on at a time, and enough for a stall of seconds.
fn pool_wanted(concurrency: u64, rate_per_second: f64) -> u64 {
    const STALL: Duration = Duration::from_secs(4);
    let for_stall = (rate_per_second * STALL.as_secs_f64()).ceil() as u64;
    (2 * concurrency + 64).max(for_stall).clamp(256, 4096)
}

/// The pool of a load: what it needs, as far as files may be opened. The users of a
/// closed load are as many as the grid file says.
pub(crate) fn pool_limit(load: &LoadShape, wanted: u64, most_files: u64) -> u32 {
    let limit = match load {
        LoadShape::Open(_) => wanted.min(most_files).max(1),
        LoadShape::Closed(_) => wanted,
    };
    u32::try_from(limit).unwrap_or(u32::MAX)
}

/// How many files this process may still open, with some left for itself.
pub fn most_files() -> u64 {
    let text = std::fs::read_to_string("/proc/self/limits").unwrap_or_default();
    let soft = text.lines().find_map(|line| {
        let rest = line.strip_prefix("Max open files")?;
        rest.split_whitespace().next()?.parse::<u64>().ok()
    });
    soft.unwrap_or(1024).saturating_sub(100)
}

#[cfg(test)]
mod tests {
    use super::*;
    use autotune_model::{Arrivals, Rate};
    use autotune_server::behaviour;

    #[test]
    fn a_worker_killed_after_a_timeout_was_not_out_of_memory() {
        let rules = behaviour("gunicorn").unwrap();
        let timeout = "[x] [1] [CRITICAL] WORKER TIMEOUT (pid:7)\n";
        let killed = "[x] [1] [ERROR] Worker (pid:7) was sent SIGKILL! Perhaps out of memory?\n";
        assert!(worker_killed(&rules, killed));
        assert!(!worker_killed(&rules, &format!("{timeout}{killed}")));
        assert!(worker_killed(&rules, &format!("{killed}{timeout}")));
        assert!(!worker_killed(&rules, ""));
    }

    #[test]
    fn planned_restarts_are_counted_in_the_log() {
        let rules = behaviour("gunicorn").unwrap();
        let line = "[x] [7] [INFO] Autorestarting worker after current request.\n";
        assert_eq!(planned_restarts(&rules, &line.repeat(3)), 3);
        assert_eq!(planned_restarts(&rules, "Booting worker with pid: 7"), 0);
    }

    #[test]
    fn the_pool_is_larger_than_twice_the_servers_concurrency() {
        assert_eq!(pool_wanted(4, 10.0), 256);
        assert_eq!(pool_wanted(400, 10.0), 864);
        assert_eq!(pool_wanted(4, 200.0), 800);
        assert_eq!(pool_wanted(9_000, 10.0), 4096);
        let rate = Rate::per_second(10.0).expect("a rate");
        let open = LoadShape::open(rate, Arrivals::Poisson);
        assert_eq!(pool_limit(&open, 864, 60_000), 864);
        assert_eq!(pool_limit(&open, 864, 500), 500);
        let closed = LoadShape::closed(900, Duration::ZERO);
        assert_eq!(pool_limit(&closed, 900, 500), 900);
        assert!(most_files() > 0);
    }

    #[test]
    fn the_kernels_counter_is_read() {
        assert_eq!(counter("pgfault 7\noom_kill 3\nx 1\n", "oom_kill"), 3);
        assert_eq!(counter("", "oom_kill"), 0);
    }
}
