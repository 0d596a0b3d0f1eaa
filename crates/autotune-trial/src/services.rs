//! Services: what the app needs beside it. They are started once before the first
//! server and ended after the last one, each under a supervisor of its own.
//!
//! `folder` finds places that a service's user can get at, `ready` waits until it
//! can be used, `watch` owns it while it runs, `usage` computes what it used.

mod folder;
mod ready;
#[cfg(feature = "rehearsal")]
mod rehearsal;
mod usage;
mod watch;

use std::collections::BTreeMap;
use std::path::PathBuf;
use std::sync::atomic::AtomicBool;
use std::time::Duration;

use autotune_model::{
    Bytes, Confinement, CpuSet, LoadRecord, Peer, Service, ServiceName, ServiceRecord, ServiceUser,
    TrialSpec,
};
use autotune_process::{Ipc, Launch, ProcessError, RunAs, StopSignal, Supervised, causes, clock};
use autotune_server::{
    Command, Redactor, ServiceCommands, ServicePlace, ServiceRendering, render_service,
    render_service_setup,
};

use crate::context::{ServiceUp, TrialEvent};
use crate::error::{Part, TrialError};
use crate::logs::{self, LOG_LIMIT_BYTES};
use crate::port::free_address;
use crate::prepare::Trials;
use crate::reach::Reach;
use crate::setup::Building;
use crate::workers::describe;
#[cfg(feature = "rehearsal")]
pub use rehearsal::{RehearsedReady, RehearsedService};

pub(crate) use folder::close;
use folder::{Roots, ServiceFolder};
use ready::Asking;
use usage::Look;
use watch::{End, Watched};

/// How long a service may take to end gracefully: a database writes down what it
/// holds in memory.
const GRACE: Duration = Duration::from_secs(30);
/// As of servers.
const SAMPLE_EVERY: Duration = Duration::from_secs(1);

/// The services that run, in the order in which they were started.
#[derive(Debug, Default)]
pub(crate) struct Services {
    running: Vec<Running>,
    /// Where each is, of those that were started.
    places: BTreeMap<ServiceName, ServicePlace>,
    /// Where logs of those that ended too early are kept.
    logs: PathBuf,
}

/// A service that can be used.
#[derive(Debug)]
struct Running {
    watched: Watched,
    up: ServiceUp,
    stop: StopSignal,
    redactor: Redactor,
    // Last: it is removed once nothing is at work in it.
    folder: ServiceFolder,
}

/// A service that can be used no more.
#[derive(Clone, Debug)]
pub(crate) struct Ended {
    service: ServiceName,
    end: End,
}

/// A service whose setup is done and whose commands are known.
pub(crate) struct Prepared<'a> {
    service: &'a Service,
    part: Part,
    user: Option<RunAs>,
    roots: Roots,
    cache: PathBuf,
    reach: Reach,
    stop: StopSignal,
}

impl Prepared<'_> {
    /// What its setup steps build.
    fn building(&self) -> Building<'_> {
        Building {
            part: &self.part,
            dir: &self.service.dir,
            steps: &self.service.setup,
            root: &self.roots.cache,
            user: self.user.as_ref(),
        }
    }
}

/// One start, ready to be made.
struct ServiceOrders {
    folder: ServiceFolder,
    place: ServicePlace,
    commands: ServiceCommands,
    launch: Launch,
    /// How many CPUs it may use.
    cpus: u32,
}

impl Trials {
    /// Builds what the services need.
    pub(crate) async fn prepare_services<'a>(
        &self,
        services: &'a [Service],
        on_event: &mut dyn FnMut(TrialEvent),
    ) -> Result<Vec<Prepared<'a>>, TrialError> {
        let mut prepared = Vec::new();
        for service in services {
            prepared.push(self.prepare_service(service, on_event).await?);
        }
        Ok(prepared)
    }

    /// Starts one after the other. Those that were started run until
    /// [`Services::end`], also where a later one fails.
    pub(crate) async fn start_services(
        &mut self,
        prepared: Vec<Prepared<'_>>,
        on_event: &mut dyn FnMut(TrialEvent),
        stop: &AtomicBool,
    ) -> Result<(), TrialError> {
        self.services.logs = logs::folder(&self.context.run_root);
        for one in prepared {
            let name = one.service.name.clone();
            let (running, place) = self.start_service(one, on_event, stop).await?;
            self.services.running.push(running);
            self.services.places.insert(name, place);
        }
        Ok(())
    }

    async fn prepare_service<'a>(
        &self,
        service: &'a Service,
        on_event: &mut dyn FnMut(TrialEvent),
    ) -> Result<Prepared<'a>, TrialError> {
        let mut prepared = self.describe_service(service)?;
        prepared.reach.resolve().await;
        let of_user = of_user(prepared.user.as_ref());
        let rendering = self.service_rendering(service, &of_user);
        let render = |cache: &std::path::Path| render_service_setup(rendering, cache);
        let cache = self.set_up(prepared.building(), &render, on_event).await?;
        prepared.cache = cache;
        Ok(prepared)
    }

    /// A service before its setup steps: it has no folder yet.
    fn describe_service<'a>(&self, service: &'a Service) -> Result<Prepared<'a>, TrialError> {
        let part = Part::Service(service.name.clone());
        let user = user(service)?;
        let stop = service
            .stop
            .parse()
            .map_err(|source| TrialError::StopSignal {
                part: part.clone(),
                source,
            })?;
        let reach = Reach::parse(&service.may_reach).map_err(|entry| TrialError::MayReach {
            part: part.clone(),
            entry,
        })?;
        let roots = Roots::find(&self.context, (&service.name, user.as_ref()))?;
        Ok(Prepared {
            service,
            part,
            user,
            roots,
            cache: PathBuf::new(),
            reach,
            stop,
        })
    }

    fn service_rendering<'a>(
        &'a self,
        service: &'a Service,
        of_user: &'a [(&'a str, String)],
    ) -> ServiceRendering<'a> {
        ServiceRendering {
            service,
            inherited: &self.context.environment,
            of_user,
        }
    }

    /// Starts a service and waits until it can be used.
    async fn start_service(
        &self,
        prepared: Prepared<'_>,
        on_event: &mut dyn FnMut(TrialEvent),
        stop: &AtomicBool,
    ) -> Result<(Running, ServicePlace), TrialError> {
        let Prepared { service, user, .. } = &prepared;
        let name = service.name.clone();
        on_event(TrialEvent::ServiceStarting {
            service: name.clone(),
        });
        let ServiceOrders {
            folder,
            place,
            commands,
            launch,
            cpus,
        } = self.service_orders(&prepared)?;
        let redactor = commands.start.redactor;
        let fault = |what: String| {
            let log = logs::read_from(&folder.log(), 0, &redactor);
            self.services.keep_log(&name, &log);
            TrialError::Service {
                service: name.clone(),
                what,
                log: logs::tail(&log),
            }
        };
        let launched = tokio::time::Instant::now();
        let mut supervised = match Supervised::launch(&launch).await {
            Ok(supervised) => supervised,
            Err(error @ ProcessError::Launch { .. }) => {
                let why = causes(&error);
                return Err(fault(format!("cannot be started: {why}")));
            }
            Err(error) => return Err(error.into()),
        };
        let asking = Asking {
            service,
            command: commands.ready.as_ref(),
            address: place.address,
            user: user.as_ref(),
            folder: &folder,
        };
        let allowed = (&prepared.reach, stop);
        if let Err(why) = self.until_ready(&asking, &mut supervised, allowed).await {
            if let Err(error) = supervised.stop(prepared.stop, GRACE).await {
                tracing::warn!(service = %name, %error, "a service cannot be ended");
            }
            return Err(why.into_error(&name, fault));
        }
        let took = launched.elapsed();
        on_event(TrialEvent::ServiceReady {
            service: name.clone(),
            took,
        });
        let up = ServiceUp {
            name,
            address: place.address,
            user: user.as_ref().map(|user| user.name.clone()),
            cpus,
            shares_server: self.context.placement.server_shares(service.cpus.as_ref()),
            ready: took,
        };
        let running = Running {
            watched: Watched::begin(supervised, prepared.reach),
            up,
            stop: prepared.stop,
            redactor,
            folder,
        };
        Ok((running, place))
    }

    /// All that is decided before a service is started. Starts nothing.
    fn service_orders(&self, prepared: &Prepared<'_>) -> Result<ServiceOrders, TrialError> {
        let folder = ServiceFolder::make(&prepared.roots.run, prepared.user.as_ref())?;
        let place = ServicePlace {
            cache: prepared.cache.clone(),
            run: folder.run(),
            address: free_address(clock::monotonic_ns())?,
        };
        let of_user = of_user(prepared.user.as_ref());
        let rendering = self.service_rendering(prepared.service, &of_user);
        let commands = render_service(rendering, &place, &self.services.places());
        let mut commands = commands.map_err(|source| TrialError::Render {
            part: prepared.part.clone(),
            source,
        })?;
        let all = [Some(&mut commands.start), commands.ready.as_mut()];
        for command in all.into_iter().flatten() {
            let secrets = self.context.secrets().chain(self.context.secrets_of_env());
            command.redactor = command.redactor.with(secrets);
        }
        let (set, cpus) = self.cpus_of(prepared.service);
        let launch = self.service_launch(prepared, (&commands.start, set), &folder);
        Ok(ServiceOrders {
            folder,
            place,
            commands,
            launch,
            cpus,
        })
    }

    fn service_launch(
        &self,
        prepared: &Prepared<'_>,
        (command, cpus): (&Command, Option<CpuSet>),
        folder: &ServiceFolder,
    ) -> Launch {
        Launch {
            argv: command.argv.clone(),
            env: command.env.clone(),
            dir: prepared.service.dir.clone(),
            log: folder.log(),
            log_limit: Bytes::new(LOG_LIMIT_BYTES),
            cpus,
            // [limits] are the server's.
            confinement: Confinement::default(),
            user: prepared.user.clone(),
            // PostgreSQL has a segment that it would leave when it is killed.
            ipc: Ipc::Own,
            marker: self.marker.clone(),
            sample_every: Some(SAMPLE_EVERY),
            // Samples are of many trials: they carry the clock's own time.
            origin_monotonic_ns: 0,
        }
    }

    /// The CPUs that a service is bound to, and how many it may use.
    fn cpus_of(&self, service: &Service) -> (Option<CpuSet>, u32) {
        let of_all = &self.context.service_cpus;
        let set = service.cpus.clone().or_else(|| of_all.set.clone());
        let count = set.as_ref().map_or(of_all.most, CpuSet::len);
        let count = count.min(of_all.most).max(1);
        (set, u32::try_from(count).unwrap_or(u32::MAX))
    }
}

impl Services {
    /// What fills the holes of others.
    pub(crate) fn places(&self) -> BTreeMap<ServiceName, ServicePlace> {
        self.places.clone()
    }

    /// What is told of them.
    pub(crate) fn up(&self) -> Vec<ServiceUp> {
        self.running.iter().map(|one| one.up.clone()).collect()
    }

    /// Returns when one of them can be used no more; never while all can.
    pub(crate) async fn ended(&self) -> Ended {
        let mut waiting: Vec<_> = self
            .running
            .iter()
            .map(|one| {
                let service = one.up.name.clone();
                Box::pin(async move {
                    let end = one.watched.ended().await;
                    Ended { service, end }
                })
            })
            .collect();
        std::future::poll_fn(|context| {
            let mut all = waiting.iter_mut().map(|one| one.as_mut().poll(context));
            let first = all.find(std::task::Poll::is_ready);
            first.unwrap_or(std::task::Poll::Pending)
        })
        .await
    }

    /// The fault of the first one that can be used no more.
    ///
    /// # Errors
    /// [`TrialError::Service`] or [`TrialError::OutsideConnection`], where there is
    /// one.
    pub(crate) async fn check(&self) -> Result<(), TrialError> {
        for one in &self.running {
            if let Some(end) = one.watched.end_so_far().await {
                let service = one.up.name.clone();
                return Err(self.fault(Ended { service, end }));
            }
        }
        Ok(())
    }

    /// What stops the trials when a service can be used no more. Its whole log is
    /// kept beside those of failed trials.
    pub(crate) fn fault(&self, ended: Ended) -> TrialError {
        let Ended { service, end } = ended;
        let running = self.running.iter().find(|one| one.up.name == service);
        let log = running.map_or_else(String::new, |one| {
            logs::read_from(&one.folder.log(), 0, &one.redactor)
        });
        self.keep_log(&service, &log);
        let what = match end {
            End::Exited(status) => format!("ended with {status} while it was needed"),
            End::Lost(why) => format!("was lost: {why}"),
            End::Outside(peer) => return outside(service, peer),
        };
        TrialError::Service {
            service,
            what,
            log: logs::tail(&log),
        }
    }

    /// Keeps the whole log of one that failed.
    fn keep_log(&self, service: &ServiceName, log: &str) {
        if let Err(error) = logs::keep_of_service(&self.logs, service, log) {
            tracing::warn!(%service, %error, "the log of a service cannot be kept");
        }
    }

    /// From now on samples belong to a load.
    pub(crate) async fn load_begins(&self) {
        for one in &self.running {
            one.watched.begin_load().await;
        }
    }

    /// The samples of each since the load began.
    pub(crate) async fn load_ends(&self) -> Vec<Vec<Look>> {
        let mut all = Vec::new();
        for one in &self.running {
            all.push(one.watched.end_load().await);
        }
        all
    }

    /// What each did while this load ran.
    pub(crate) fn records(
        &self,
        looks: &[Vec<Look>],
        (spec, load): (&TrialSpec, &LoadRecord),
        origin_ns: u64,
    ) -> Vec<ServiceRecord> {
        let start_ns = origin_ns.saturating_add(load.start_ns);
        let ns = |time: Duration| u64::try_from(time.as_nanos()).unwrap_or(u64::MAX);
        let from_ns = start_ns.saturating_add(ns(spec.warm_up));
        let to_ns = start_ns.saturating_add(ns(load.length));
        let pairs = self.running.iter().zip(looks);
        pairs
            .map(|(one, looks)| {
                let whose = (one.up.name.clone(), one.up.cpus);
                usage::record(whose, looks, (from_ns, to_ns))
            })
            .collect()
    }

    /// Ends them, the last one first. All are ended, whatever happens.
    ///
    /// # Errors
    /// The first of them that cannot be ended.
    pub(crate) async fn end(&mut self) -> Result<(), TrialError> {
        let mut result = Ok(());
        while let Some(running) = self.running.pop() {
            let ended = running.watched.stop(running.stop, GRACE).await;
            result = result.and(ended.map_err(TrialError::from));
            drop(running.folder);
        }
        result
    }
}

impl Drop for Services {
    /// As [`Services::end`], without waiting.
    fn drop(&mut self) {
        while let Some(running) = self.running.pop() {
            drop(running);
        }
    }
}

/// Whether one of them runs as another user than this program's. One who is not
/// there is told of when it is described.
pub(crate) fn has_other_user(services: &[Service]) -> bool {
    let mut users = services.iter().map(user);
    users.any(|user| matches!(user, Ok(Some(_))))
}

/// The error for a service that connects to where it may not.
fn outside(service: ServiceName, peer: Peer) -> TrialError {
    TrialError::OutsideConnection {
        part: Part::Service(service),
        address: peer.address,
        protocol: peer.protocol,
        process: describe(peer.pid),
    }
}

/// Whom it runs as, where that is another user than this program's.
fn user(service: &Service) -> Result<Option<RunAs>, TrialError> {
    let name = match &service.user {
        ServiceUser::Own => return Ok(None),
        ServiceUser::WhenRoot(_) if !nix::unistd::geteuid().is_root() => return Ok(None),
        ServiceUser::Always(name) | ServiceUser::WhenRoot(name) => name,
    };
    RunAs::find(name).map_err(|source| TrialError::ServiceUser {
        service: service.name.clone(),
        source,
    })
}

/// What programs take for the user's own: root's would be closed to him.
fn of_user(user: Option<&RunAs>) -> Vec<(&'static str, String)> {
    let Some(user) = user else {
        return Vec::new();
    };
    vec![
        ("HOME", user.home.display().to_string()),
        ("USER", user.name.clone()),
        ("LOGNAME", user.name.clone()),
    ]
}
