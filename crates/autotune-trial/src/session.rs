//! A server that runs: launched, watched while something is done with it, and
//! stopped. Every sample and every connection passes through here.

use std::collections::BTreeSet;
use std::future::Future;
use std::net::SocketAddr;
use std::pin::pin;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use autotune_model::{Bytes, Configuration, DataTable, Endpoint, LoginSession, Peer, ServerSample};
use autotune_process::{
    ExitStatus, Ipc, Launch, ProcessError, ProcessEvent, StopReport, Supervised, clock,
};
use autotune_server::{CheckFailure, Http, LoginPlan, Redactor, render, render_hooks};
use tokio::time::{Instant, MissedTickBehavior, interval, sleep};

use crate::context::Answered;
use crate::error::TrialError;
use crate::folder::TrialFolder;
use crate::hooks::Hooks;
use crate::logs::{self, LOG_LIMIT_BYTES};
use crate::port::{free_address, is_free};
use crate::prepare::{Prepared, Trials};
use crate::services::Ended;
use crate::tree::{WorkerRule, cpu};
use crate::workers::{look, worker_rule};

mod asking;

/// How long a server may take until it answers.
pub(crate) const READY_LIMIT: Duration = Duration::from_secs(60);
const SAMPLE_EVERY: Duration = Duration::from_secs(1);
/// How often a request to stop is looked for.
const STOP_LOOK: Duration = Duration::from_millis(50);
/// Between two looks at a server that settles.
const SETTLE_STEP: Duration = Duration::from_millis(100);
/// How long the number of workers must stay: gunicorn forks them up to 0.1 s
/// apart.
const SETTLE_FOR: Duration = Duration::from_millis(400);
/// The same where the number is not the one that was asked for.
const SETTLE_ODD_FOR: Duration = Duration::from_secs(2);
/// Workers that still import the app are busy; this share of a CPU is not.
const SETTLED_CPU: f64 = 0.25;
/// An app with busy threads of its own never comes to rest.
const SETTLE_LIMIT: Duration = Duration::from_secs(8);
const PORT_PATIENCE: Duration = Duration::from_secs(1);
/// Between two looks at the connections of a server that is checked closely.
const CLOSE_LOOK: Duration = Duration::from_millis(10);
/// How often each endpoint is asked then: what an app connects to once in a
/// while, or for the length of one answer, is missed more easily than found.
pub(crate) const CLOSE_QUESTIONS: usize = 3;

/// A launched server.
#[derive(Debug)]
pub(crate) struct Session<'a> {
    trials: &'a Trials,
    prepared: &'a Prepared,
    after: Hooks,
    /// How long `before_trial` took.
    pub(crate) hooks_took: Duration,
    supervised: Supervised,
    folder: TrialFolder,
    redactor: Redactor,
    pub(crate) address: SocketAddr,
    /// Zero of the trial's time axis.
    pub(crate) origin_ns: u64,
    launched: Instant,
    /// Who is logged in; nobody before the login, or without one.
    pub(crate) sessions: Vec<LoginSession>,
    /// Bytes of the log that were there when the load began.
    load_log_from: Option<u64>,
    pub(crate) samples: Vec<ServerSample>,
    pub(crate) peers: BTreeSet<Peer>,
}

/// Why something was broken off.
#[derive(Debug)]
pub(crate) enum Break {
    /// The program was asked to stop.
    Stopped,
    /// The server's main process ended.
    Exited(ExitStatus),
    /// The supervisor was lost.
    Lost(ProcessError),
    /// The app connects to where it may not.
    Outside(Peer),
    /// A service that the app needs ended, or may not be what it is.
    Service(Ended),
}

/// Why a server did not become ready.
#[derive(Debug)]
pub(crate) enum StartFault {
    /// It was broken off.
    Break(Break),
    /// It cannot be run at all.
    Launch(ProcessError),
    /// It did not answer in time.
    NotReady(String),
    /// It answers, but an endpoint or a step of the login not as it should.
    Endpoint(Box<CheckFailure>),
}

impl From<Break> for StartFault {
    fn from(cause: Break) -> Self {
        Self::Break(cause)
    }
}

/// How well a server is looked at while it is asked.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Care {
    /// In a trial: nothing is to be disturbed.
    Usual,
    /// In the check before all trials: no connection may be missed.
    Close,
}

/// What a server is asked before any load.
#[derive(Clone, Copy)]
pub(crate) struct Asking<'a> {
    pub(crate) care: Care,
    /// How long the server may take until it is ready.
    pub(crate) ready_limit: Duration,
    pub(crate) http: &'a Http,
    pub(crate) endpoints: &'a [Endpoint],
    pub(crate) login: Option<LoginPlan<'a>>,
    pub(crate) data: &'a [DataTable],
    pub(crate) timeout: Duration,
    /// How many workers there should be, where that is known.
    pub(crate) workers: Option<usize>,
}

/// A server that is ready.
#[derive(Debug)]
pub(crate) struct Started {
    /// From launch to the first answer.
    pub(crate) boot: Duration,
    pub(crate) rule: WorkerRule,
    /// How many workers there are.
    pub(crate) workers: usize,
    /// Every good answer, in the order of the questions.
    pub(crate) answers: Vec<Answered>,
}

/// A server that was stopped.
#[derive(Debug)]
pub(crate) struct Closed {
    /// `None` where the supervisor was lost.
    pub(crate) report: Option<StopReport>,
    /// How long `after_trial` took.
    pub(crate) hooks_took: Duration,
    /// The log, without secrets.
    pub(crate) log: String,
    /// The part of it from the beginning of the load on; empty without one.
    pub(crate) load_log: String,
    /// Whether nobody listens any more.
    pub(crate) port_free: bool,
    pub(crate) isolation: String,
    pub(crate) samples: Vec<ServerSample>,
    pub(crate) peers: BTreeSet<Peer>,
}

impl<'a> Session<'a> {
    /// Launches a configuration in a fresh folder on a free port, once
    /// `before_trial` has ended. The inner result is the server's own fault.
    pub(crate) async fn open(
        trials: &'a Trials,
        configuration: &Configuration,
        (origin_ns, stop): (u64, &AtomicBool),
    ) -> Result<Result<Self, ProcessError>, TrialError> {
        let prepared = trials.prepared(configuration.variant())?;
        let fixture = prepared.variant.fixture.as_deref();
        let folder = TrialFolder::make(&trials.context.run_root, fixture)?;
        let address = free_address(clock::monotonic_ns())?;
        let place = trials.place(prepared, &folder, address);
        let rendering = trials.rendering(prepared, &place);
        let command =
            render(&rendering, configuration).map_err(|source| prepared.render_error(source))?;
        let hooks = |key, commands: &[Vec<String>]| {
            let commands = render_hooks(&rendering, configuration, commands);
            commands
                .map(|commands| Hooks { key, commands })
                .map_err(|source| prepared.render_error(source))
        };
        let before = hooks("before_trial", &prepared.variant.before_trial)?;
        let after = hooks("after_trial", &prepared.variant.after_trial)?;
        let redactor = command.redactor.with(trials.context.secrets());
        let around = (&folder, &redactor);
        let began = Instant::now();
        trials.run_hooks(prepared, (&before, around), stop).await?;
        let hooks_took = began.elapsed();
        let launch = Launch {
            argv: command.argv,
            env: command.env,
            dir: prepared.variant.dir.clone(),
            log: folder.log(),
            log_limit: Bytes::new(LOG_LIMIT_BYTES),
            cpus: trials.context.placement.server.clone(),
            user: None,
            ipc: Ipc::Shared,
            marker: trials.marker.clone(),
            sample_every: Some(SAMPLE_EVERY),
            origin_monotonic_ns: origin_ns,
        };
        let launched = Instant::now();
        let supervised = match Supervised::launch(&launch).await {
            Ok(supervised) => supervised,
            Err(fault @ ProcessError::Launch { .. }) => {
                trials.run_hooks(prepared, (&after, around), stop).await?;
                return Ok(Err(fault));
            }
            Err(error) => return Err(error.into()),
        };
        Ok(Ok(Self {
            trials,
            prepared,
            after,
            hooks_took,
            supervised,
            folder,
            redactor,
            address,
            origin_ns,
            launched,
            sessions: Vec::new(),
            load_log_from: None,
            samples: Vec::new(),
            peers: BTreeSet::new(),
        }))
    }

    /// Waits until the server answers, logs in, asks every endpoint, and waits
    /// until its workers are there and at rest.
    pub(crate) async fn start(
        &mut self,
        asking: &Asking<'_>,
        stop: &AtomicBool,
    ) -> Result<Started, StartFault> {
        let deadline = Instant::now() + asking.ready_limit;
        let boot = self.wait_until_ready(asking, stop).await?;
        self.log_in(asking, deadline, stop).await?;
        let times = match asking.care {
            Care::Usual => 1,
            Care::Close => CLOSE_QUESTIONS,
        };
        let mut answers = Vec::new();
        for time in 0..times {
            for endpoint in asking.endpoints {
                answers.push(self.ask(asking, (endpoint, time), stop).await?);
                self.sample(stop).await?;
            }
        }
        self.ask_other_sessions(asking, times, stop).await?;
        let (rule, workers) = self.settle(asking.workers, stop).await?;
        Ok(Started {
            boot,
            rule,
            workers,
            answers,
        })
    }

    /// Waits until the number of workers stays and their CPUs are at rest.
    async fn settle(
        &mut self,
        asked: Option<usize>,
        stop: &AtomicBool,
    ) -> Result<(WorkerRule, usize), Break> {
        let deadline = Instant::now() + SETTLE_LIMIT;
        let mut seen = vec![self.sample(stop).await?];
        loop {
            self.watch(stop, sleep(SETTLE_STEP)).await?;
            let sample = self.sample(stop).await?;
            let rule = worker_rule(self.supervised.pid(), &look(&sample));
            let workers = rule.workers(&sample).len();
            seen.push(sample);
            if is_settled(&rule, &seen, asked) || Instant::now() >= deadline {
                return Ok((rule, workers));
            }
        }
    }

    /// Does something while the server is watched: ends early when it ends, the
    /// supervisor is lost, a connection leads outside, or a stop is asked for.
    pub(crate) async fn watch<T>(
        &mut self,
        stop: &AtomicBool,
        work: impl Future<Output = T>,
    ) -> Result<T, Break> {
        let mut work = pin!(work);
        let mut look = interval(STOP_LOOK);
        look.set_missed_tick_behavior(MissedTickBehavior::Delay);
        loop {
            tokio::select! {
                biased;
                done = &mut work => return Ok(done),
                event = self.supervised.next() => match event.map_err(Break::Lost)? {
                    ProcessEvent::Sampled { sample, peers } => self.note(sample, peers).await?,
                    ProcessEvent::Exited(status) => return Err(Break::Exited(status)),
                },
                ended = self.trials.services.ended() => return Err(Break::Service(ended)),
                _ = look.tick() => {
                    if stop.load(Ordering::Relaxed) {
                        return Err(Break::Stopped);
                    }
                }
            }
        }
    }

    async fn watch_with<T>(
        &mut self,
        care: Care,
        stop: &AtomicBool,
        work: impl Future<Output = T>,
    ) -> Result<T, Break> {
        match care {
            Care::Usual => self.watch(stop, work).await,
            Care::Close => self.watch_closely(stop, work).await,
        }
    }

    /// As [`Session::watch`], and takes one sample after the other meanwhile: a
    /// connection that lasts no longer than an answer must be seen.
    async fn watch_closely<T>(
        &mut self,
        stop: &AtomicBool,
        work: impl Future<Output = T>,
    ) -> Result<T, Break> {
        let mut work = pin!(work);
        let mut done = None;
        loop {
            let pause = async {
                tokio::select! {
                    biased;
                    answer = &mut work => Some(answer),
                    () = sleep(CLOSE_LOOK) => None,
                }
            };
            // Samples of the server's own kind come here; its end, too.
            if let Some(answer) = self.watch(stop, pause).await? {
                return Ok(answer);
            }
            // To its end even when the answer comes meanwhile: the sample may be
            // the one that shows the connection.
            let mut sampling = pin!(self.sample(stop));
            loop {
                tokio::select! {
                    biased;
                    answer = &mut work, if done.is_none() => done = Some(answer),
                    sampled = &mut sampling => {
                        sampled?;
                        break;
                    }
                }
            }
            if let Some(answer) = done {
                return Ok(answer);
            }
        }
    }

    /// The tree at this moment.
    pub(crate) async fn sample(&mut self, stop: &AtomicBool) -> Result<ServerSample, Break> {
        if stop.load(Ordering::Relaxed) {
            return Err(Break::Stopped);
        }
        let asked = self.supervised.sample_now().await;
        let (sample, peers) = asked.map_err(Break::Lost)?;
        self.note(sample.clone(), peers).await?;
        Ok(sample)
    }

    async fn note(&mut self, sample: ServerSample, peers: Vec<Peer>) -> Result<(), Break> {
        self.samples.push(sample);
        let outside = self.prepared.reach.first_outside(&peers).await.cloned();
        self.peers.extend(peers);
        outside.map_or(Ok(()), |peer| Err(Break::Outside(peer)))
    }

    /// The load begins: what the log says from here on belongs to it.
    pub(crate) fn load_begins(&mut self) {
        self.load_log_from = Some(logs::length(&self.folder.log()));
    }

    /// The log since the load began, without secrets.
    fn load_log(&self) -> String {
        let from = self.load_log_from;
        from.map_or_else(String::new, |from| {
            logs::read_from(&self.folder.log(), from, &self.redactor)
        })
    }

    /// The log so far, without secrets.
    pub(crate) fn log(&self) -> String {
        logs::read_from(&self.folder.log(), 0, &self.redactor)
    }

    /// Stops the server gracefully, then surely, runs `after_trial`, and removes
    /// the folder. A program that is asked to stop leaves out `after_trial`: the
    /// user waits, and what it would undo `before_trial` meets after a kill, too.
    pub(crate) async fn close(
        mut self,
        grace: Duration,
        stop: &AtomicBool,
    ) -> Result<Closed, TrialError> {
        let report = match self.supervised.stop(self.prepared.stop, grace).await {
            Ok(report) => Some(report),
            Err(error @ ProcessError::NotEnded { .. }) => return Err(error.into()),
            Err(error) => {
                tracing::warn!(%error, "the supervisor was lost before the stop");
                None
            }
        };
        let mut samples = std::mem::take(&mut self.samples);
        samples.sort_by_key(|sample| sample.at_ns);
        let after = (&self.after, (&self.folder, &self.redactor));
        let began = Instant::now();
        match self.trials.run_hooks(self.prepared, after, stop).await {
            Ok(()) | Err(TrialError::Interrupted) => {}
            Err(error) => return Err(error),
        }
        let hooks_took = began.elapsed();
        Ok(Closed {
            report,
            hooks_took,
            log: self.log(),
            load_log: self.load_log(),
            port_free: becomes_free(self.address).await,
            isolation: self.supervised.isolation().to_owned(),
            samples,
            peers: std::mem::take(&mut self.peers),
        })
    }
}

async fn becomes_free(address: SocketAddr) -> bool {
    let deadline = Instant::now() + PORT_PATIENCE;
    loop {
        if is_free(address) {
            return true;
        }
        if Instant::now() >= deadline {
            return false;
        }
        sleep(SETTLE_STEP).await;
    }
}

/// Returns when the program is asked to stop.
pub(crate) async fn stopped(stop: &AtomicBool) {
    while !stop.load(Ordering::Relaxed) {
        sleep(STOP_LOOK).await;
    }
}

/// Whether the last samples show the same workers, at rest. Pure.
fn is_settled(rule: &WorkerRule, samples: &[ServerSample], asked: Option<usize>) -> bool {
    let Some(last) = samples.last() else {
        return false;
    };
    let workers = rule.workers(last);
    let needed = match asked {
        Some(asked) if asked != workers.len() => SETTLE_ODD_FOR,
        _ => SETTLE_FOR,
    };
    let age = |sample: &ServerSample| Duration::from_nanos(last.at_ns.saturating_sub(sample.at_ns));
    let same = samples
        .iter()
        .rev()
        .take_while(|sample| rule.workers(sample) == workers);
    let stayed = same.map(age).max().unwrap_or_default();
    let Some(start) = samples.iter().rposition(|sample| age(sample) >= SETTLE_FOR) else {
        return false;
    };
    let used = cpu(&samples[start..]).unwrap_or_default().as_secs_f64();
    let busy = used / age(&samples[start]).as_secs_f64();
    stayed >= needed && busy <= SETTLED_CPU
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::tree::tests::{rule, sample};

    /// One sample each 100 ms with these workers, all with this CPU time more.
    fn series(workers: &[&[u32]], cpu_ms: u64) -> Vec<ServerSample> {
        let made = workers.iter().enumerate().map(|(step, pids)| {
            let mut sample = sample(pids);
            sample.at_ns = step as u64 * 100_000_000;
            for process in &mut sample.processes {
                process.cpu = Duration::from_millis(step as u64 * cpu_ms);
            }
            sample
        });
        made.collect()
    }

    #[test]
    fn the_same_workers_at_rest_are_settled() {
        let four = [&[2, 3][..]; 5];
        assert!(is_settled(&rule(), &series(&four, 1), Some(2)));
        assert!(is_settled(&rule(), &series(&four, 1), None));
        assert!(
            !is_settled(&rule(), &series(&four[1..], 1), Some(2)),
            "too short"
        );
        assert!(!is_settled(&rule(), &series(&four, 50), Some(2)), "busy");
    }

    #[test]
    fn one_more_worker_begins_the_wait_anew() {
        let mut growing = vec![&[2][..]; 4];
        growing.push(&[2, 3]);
        assert!(!is_settled(&rule(), &series(&growing, 1), Some(2)));
    }

    #[test]
    fn an_odd_number_is_waited_for_longer() {
        let odd = vec![&[2, 3, 4][..]; 12];
        assert!(!is_settled(&rule(), &series(&odd, 1), Some(2)));
        let long = vec![&[2, 3, 4][..]; 21];
        assert!(is_settled(&rule(), &series(&long, 1), Some(2)));
    }
}
