//! One trial: a fresh folder, the server, the load, a clean stop, the record.

use std::net::SocketAddr;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use autotune_load::LoadPlan;
use autotune_model::{
    Anchor, Configuration, HostLoad, LoadRecord, LoginSession, Outcome, ParamName, ServiceRecord,
    Span, TrialRecord, TrialSpec,
};
use autotune_process::{HostWatch, causes, clock};
use autotune_server::{EventKind, LoginPlan, Mismatch, events};

use crate::error::TrialError;
use crate::facts::Facts;
use crate::logs;
use crate::outcome::Cut;
use crate::overrides::explain;
use crate::prepare::Trials;
use crate::record::{Seen, connections_wanted, most_files, oom_kills, pool_limit, record};
use crate::session::{Asking, Break, Care, READY_LIMIT, Session, StartFault, Started, stopped};

/// Beside the grace of the server itself, for what it cannot know of.
const STOP_MARGIN: Duration = Duration::from_secs(5);
const LONGEST_GRACE: Duration = Duration::from_secs(300);

/// A load that was sent.
#[derive(Debug)]
pub(crate) struct Loaded {
    pub(crate) record: LoadRecord,
    /// Users who had not made all the requests that the load says.
    pub(crate) users_left: u32,
    /// On the trial's axis: the sample right before the load.
    pub(crate) from_ns: u64,
    /// The sample right after it.
    pub(crate) to_ns: u64,
    /// What the machine did beside it, where that can be read.
    pub(crate) host: Option<HostLoad>,
    /// What the services did meanwhile.
    pub(crate) services: Vec<ServiceRecord>,
}

/// What became of a trial while its server ran.
#[derive(Default)]
struct Course {
    cut: Option<Cut>,
    started: Option<Started>,
    loaded: Option<Loaded>,
    overridden: Option<String>,
    /// What ends not only this trial.
    error: Option<TrialError>,
}

impl Trials {
    /// Runs one trial to its clean stop. A trial that failed is a record too.
    /// Setting `stop` ends the trial early, as interrupted.
    ///
    /// # Errors
    /// When trials cannot go on: a connection beyond this machine, a fault of
    /// files or of the supervisor, a server that cannot be described.
    pub async fn run(
        &mut self,
        spec: &TrialSpec,
        stop: &Arc<AtomicBool>,
    ) -> Result<TrialRecord, TrialError> {
        let configuration = &spec.configuration;
        let start = clock::anchor();
        if stop.load(Ordering::Relaxed) {
            return Ok(not_begun(spec, start));
        }
        self.services.check().await?;
        // Finding out the facts is work of this trial, too.
        let facts = tokio::select! {
            facts = self.facts(configuration) => facts?,
            () = stopped(stop) => return Ok(not_begun(spec, start)),
        };
        let prepared = self.prepared(configuration.variant())?;
        let ooms = oom_kills();
        let mut course = Course::default();
        let opened = Session::open(self, configuration, (start.monotonic_ns, stop));
        let opened = match opened.await {
            // In the midst of `before_trial`.
            Err(TrialError::Interrupted) => return Ok(not_begun(spec, start)),
            Err(error) => {
                // A command fails whose database is gone.
                self.services.check().await?;
                return Err(error);
            }
            Ok(opened) => opened,
        };
        let closed = match opened {
            Ok(mut session) => {
                course = self.course(&mut session, (spec, &facts), stop).await;
                let grace = self.grace(configuration, &facts);
                let closed = session.close(grace, stop).await;
                self.services.check().await?;
                match (closed, course.error.take()) {
                    // The first fault tells more than what came of it.
                    (_, Some(error)) => return Err(error),
                    (closed, None) => Some(closed?),
                }
            }
            Err(fault) => {
                course.cut = Some(Cut::Start {
                    reason: causes(&fault),
                });
                None
            }
        };
        let log = closed
            .as_ref()
            .map(|closed| closed.log.clone())
            .unwrap_or_default();
        let record = record(Seen {
            spec,
            prepared,
            facts: &facts,
            span: Span {
                start,
                end: clock::anchor(),
            },
            cut: course.cut,
            started: course.started,
            loaded: course.loaded,
            closed,
            overridden: course.overridden,
            oom_kills: oom_kills().saturating_sub(ooms),
            memory_limit: self.context.confinement.limits.memory,
        });
        self.keep_log(&record, &log)?;
        Ok(record)
    }

    /// From the launched server to the end of the load.
    async fn course(
        &self,
        session: &mut Session<'_>,
        (spec, facts): (&TrialSpec, &Facts),
        stop: &Arc<AtomicBool>,
    ) -> Course {
        let mut course = Course::default();
        let configuration = &spec.configuration;
        let started = match session
            .start(&self.asking(configuration, facts), stop)
            .await
        {
            Ok(started) => started,
            Err(fault) => {
                self.cut_at_start(&mut course, configuration, fault);
                return course;
            }
        };
        let overridden = facts.overridden.clone();
        course.overridden = overridden
            .or_else(|| self.overridden(configuration, facts, (&started, &session.log())));
        course.started = Some(started);
        if course.overridden.is_none() {
            self.load(session, &mut course, (spec, stop)).await;
        }
        course
    }

    async fn load(
        &self,
        session: &mut Session<'_>,
        course: &mut Course,
        (spec, stop): (&TrialSpec, &Arc<AtomicBool>),
    ) {
        let from_ns = match session.sample(stop).await {
            Ok(sample) => sample.at_ns,
            Err(cause) => return self.cut_under_load(course, spec, cause),
        };
        session.load_begins();
        self.services.load_begins().await;
        let watch = HostWatch::begin().ok();
        let to = (session.address, &session.sessions[..]);
        let plan = self.plan(spec, to, session.origin_ns);
        let flag = StopOnDrop(Arc::new(AtomicBool::new(false)));
        let seen = Arc::clone(&flag.0);
        let mut sending = tokio::task::spawn_blocking(move || autotune_load::send(&plan, &seen));
        let (joined, cause) = match session.watch(stop, &mut sending).await {
            Ok(joined) => (joined, None),
            Err(cause) => {
                flag.0.store(true, Ordering::Relaxed);
                (sending.await, Some(cause))
            }
        };
        let host = watch.and_then(|watch| watch.end().ok());
        let services = self.services.load_ends().await;
        let last = match &cause {
            None => session.sample(stop).await,
            Some(_) => Ok(session.samples.last().cloned().unwrap_or_default()),
        };
        match joined {
            Ok(Ok(sent)) => {
                let to_ns = last.as_ref().map_or(u64::MAX, |sample| sample.at_ns);
                let services =
                    self.services
                        .records(&services, (spec, &sent.record), session.origin_ns);
                course.loaded = Some(Loaded {
                    record: sent.record,
                    users_left: sent.users_left,
                    from_ns,
                    to_ns,
                    host,
                    services,
                });
            }
            Ok(Err(error)) => course.error = Some(error.into()),
            Err(error) => course.error = Some(error.into()),
        }
        if let Some(cause) = cause.or(last.err()) {
            self.cut_under_load(course, spec, cause);
        }
    }

    pub(crate) fn plan(
        &self,
        spec: &TrialSpec,
        (address, sessions): (SocketAddr, &[LoginSession]),
        origin_ns: u64,
    ) -> LoadPlan {
        let context = &self.context;
        let wanted = self
            .variants
            .get(spec.configuration.variant())
            .map_or(1, |prepared| {
                connections_wanted(&spec.load, &prepared.profile, &spec.configuration)
            });
        let pool_limit = pool_limit(&spec.load, wanted, most_files());
        LoadPlan {
            target: address,
            host_header: address.to_string(),
            endpoints: context.endpoints.clone(),
            sessions: sessions.to_vec(),
            data: Arc::clone(&context.data),
            shape: spec.load.clone(),
            connections: context.connections,
            length: spec.length,
            warm_up: spec.warm_up,
            timeout: context.timeout,
            pool_limit,
            seed: spec.seed,
            cpus: context.placement.generator.clone(),
            origin_monotonic_ns: origin_ns,
        }
    }

    pub(crate) fn asking<'a>(&'a self, configuration: &Configuration, facts: &Facts) -> Asking<'a> {
        Asking {
            care: Care::Usual,
            ready_limit: READY_LIMIT,
            http: &self.http,
            endpoints: &self.context.endpoints,
            login: self.login_plan(),
            data: &self.context.data,
            timeout: self.context.timeout,
            workers: self.expected_workers(configuration, facts),
        }
    }

    fn login_plan(&self) -> Option<LoginPlan<'_>> {
        let login = self.context.login.as_ref()?;
        let data = &self.context.data;
        Some(LoginPlan { login, data })
    }

    /// How many children the server should have; `None` where that is not known.
    fn expected_workers(&self, configuration: &Configuration, facts: &Facts) -> Option<usize> {
        let prepared = self.variants.get(configuration.variant())?;
        let name = prepared.profile.workers.as_ref()?;
        let asked = usize::try_from(configuration.value(name)?.as_int()?).ok()?;
        let extra = prepared.behaviour.extra_child_setting.as_ref();
        let extra = extra.and_then(|name| facts.settings.get(name)?.parse::<u64>().ok());
        Some(asked + usize::from(extra.unwrap_or(0) > 0))
    }

    /// A setting that the running server shows to be another one than asked.
    pub(crate) fn overridden(
        &self,
        configuration: &Configuration,
        facts: &Facts,
        (started, log): (&Started, &str),
    ) -> Option<String> {
        let prepared = self.variants.get(configuration.variant())?;
        let explained = |mismatch| explain(prepared, &facts.app, &mismatch);
        if let Some(expected) = self.expected_workers(configuration, facts)
            && expected != started.workers
        {
            let name = prepared.profile.workers.as_ref()?;
            let asked = configuration.value(name)?.as_int()?;
            let extra = expected - usize::try_from(asked).ok()?;
            return Some(explained(Mismatch {
                setting: name.to_string(),
                asked: asked.to_string(),
                effective: started.workers.saturating_sub(extra).to_string(),
            }));
        }
        let class = ParamName::from("worker_class");
        let asked = configuration.value(&class)?.to_string();
        let found = events(&prepared.behaviour, log.lines());
        let used = found
            .into_iter()
            .find(|event| event.kind == EventKind::WorkerClass && !event.rest.is_empty())?;
        (used.rest != asked).then(|| {
            explained(Mismatch {
                setting: class.to_string(),
                asked,
                effective: used.rest,
            })
        })
    }

    /// How long the server may take to stop.
    pub(crate) fn grace(&self, configuration: &Configuration, facts: &Facts) -> Duration {
        let behaviour = self
            .variants
            .get(configuration.variant())
            .map(|p| &p.behaviour);
        let own = behaviour
            .and_then(|behaviour| facts.settings.get(behaviour.grace_setting.as_ref()?))
            .and_then(|text| text.parse().ok())
            .map(Duration::from_secs);
        let usual = behaviour.map_or(Duration::from_secs(30), |behaviour| behaviour.grace);
        (own.unwrap_or(usual) + STOP_MARGIN).min(LONGEST_GRACE)
    }

    fn cut_at_start(&self, course: &mut Course, configuration: &Configuration, fault: StartFault) {
        match fault {
            StartFault::Break(Break::Exited(status)) => {
                let reason = format!("it ended with {status} before it was ready");
                course.cut = Some(Cut::Start { reason });
            }
            StartFault::Break(cause) => self.cut(course, configuration, cause),
            StartFault::Launch(error) => {
                course.cut = Some(Cut::Start {
                    reason: causes(&error),
                })
            }
            StartFault::NotReady(reason) => course.cut = Some(Cut::Start { reason }),
            StartFault::Endpoint(failure) => {
                let mut reason = causes(&*failure);
                if !failure.excerpt.is_empty() {
                    reason.push_str(&format!("; body: {}", failure.excerpt));
                }
                course.cut = Some(Cut::Start { reason });
            }
        }
    }

    fn cut_under_load(&self, course: &mut Course, spec: &TrialSpec, cause: Break) {
        self.cut(course, &spec.configuration, cause);
    }

    fn cut(&self, course: &mut Course, configuration: &Configuration, cause: Break) {
        course.cut = match cause {
            Break::Stopped => Some(Cut::Stopped),
            Break::Exited(status) => Some(Cut::Exit {
                status: status.to_string(),
            }),
            Break::Lost(error) => Some(Cut::Lost {
                reason: causes(&error),
            }),
            cause @ (Break::Outside(_) | Break::Service(_)) => {
                let fault = self.fault(configuration, StartFault::Break(cause), Vec::new());
                course.error = Some(fault);
                None
            }
        };
    }

    /// Keeps the whole log where the end of it in the record may not do.
    fn keep_log(&self, record: &TrialRecord, log: &str) -> Result<(), TrialError> {
        let boring = matches!(record.outcome, Outcome::Measured | Outcome::Interrupted);
        if boring || log.is_empty() {
            return Ok(());
        }
        let root = &self.context.run_root;
        let kept = logs::keep(root, &record.spec, log);
        kept.map(drop)
            .map_err(TrialError::file("keep a log beside", root))
    }
}

/// The record of a trial that no server was started for.
fn not_begun(spec: &TrialSpec, start: Anchor) -> TrialRecord {
    TrialRecord {
        spec: spec.clone(),
        outcome: Outcome::Interrupted,
        span: Span {
            start,
            end: clock::anchor(),
        },
        load: None,
        server: None,
    }
}

/// Ends the load when the trial is dropped: its thread would go on otherwise.
struct StopOnDrop(Arc<AtomicBool>);

impl Drop for StopOnDrop {
    fn drop(&mut self) {
        self.0.store(true, Ordering::Relaxed);
    }
}
