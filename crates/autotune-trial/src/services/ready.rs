//! Waits until a service can be used: a command succeeds, a path is answered with
//! success, or the port takes a connection.

use std::net::SocketAddr;
use std::path::Path;
use std::sync::atomic::AtomicBool;
use std::time::Duration;

use autotune_model::text::Row;
use autotune_model::{Endpoint, Filling, LoginSession, Peer, Service, ServiceName, ServiceReady};
use autotune_process::{ExitStatus, ProcessError, ProcessEvent, RunAs, Supervised, causes};
use autotune_server::{Command, Question, Readiness};
use tokio::net::TcpStream;
use tokio::time::{Instant, sleep, timeout};

use super::folder::ServiceFolder;
use super::outside;
use crate::error::TrialError;
use crate::port::{is_listened_on, may_meet_itself};
use crate::prepare::{Question as Tool, Trials, end};
use crate::reach::Reach;
use crate::session::stopped;

/// How long a service may take until it can be used.
const READY_LIMIT: Duration = Duration::from_secs(60);
/// Between two questions.
const PAUSE: Duration = Duration::from_millis(100);

/// A service that was started, and how it is asked.
pub(super) struct Asking<'a> {
    pub(super) service: &'a Service,
    /// Where a command tells that it can be used.
    pub(super) command: Option<&'a Command>,
    pub(super) address: SocketAddr,
    pub(super) user: Option<&'a RunAs>,
    pub(super) folder: &'a ServiceFolder,
}

impl<'a> Asking<'a> {
    /// The command that asks, as it is run.
    pub(super) fn tool(&self, command: &'a Command, log: &'a Path) -> Tool<'a> {
        Tool {
            command,
            dir: &self.service.dir,
            log,
            cpus: None,
            user: self.user,
        }
    }
}

/// Why a service cannot be used.
pub(super) enum NotReady {
    /// It ended.
    Exited(ExitStatus),
    /// It was asked in vain; what came last.
    Late(String),
    /// It connects to where it may not.
    Outside(Peer),
    /// It cannot be asked at all.
    Unaskable(String),
    /// A fault that is not its own.
    Other(TrialError),
}

impl NotReady {
    pub(super) fn into_error(
        self,
        service: &ServiceName,
        fault: impl Fn(String) -> TrialError,
    ) -> TrialError {
        match self {
            Self::Exited(status) => fault(format!("ended with {status} before it was ready")),
            Self::Late(last) => fault(format!(
                "did not get ready within {} s: {last}",
                READY_LIMIT.as_secs()
            )),
            Self::Unaskable(why) => fault(format!("cannot be asked whether it is ready: {why}")),
            Self::Outside(peer) => outside(service.clone(), peer),
            Self::Other(error) => error,
        }
    }
}

impl Trials {
    /// Waits until the service can be used, has ended, or the user asks for an end.
    pub(super) async fn until_ready(
        &self,
        asking: &Asking<'_>,
        supervised: &mut Supervised,
        (reach, stop): (&Reach, &AtomicBool),
    ) -> Result<(), NotReady> {
        let asked = self.ask_until_ready(asking, Instant::now() + READY_LIMIT);
        let mut asked = std::pin::pin!(asked);
        loop {
            tokio::select! {
                biased;
                event = supervised.next() => match event {
                    Ok(ProcessEvent::Sampled { peers, .. }) => {
                        if let Some(peer) = reach.first_outside(&peers).await {
                            return Err(NotReady::Outside(peer.clone()));
                        }
                    }
                    Ok(ProcessEvent::Exited(status)) => return Err(NotReady::Exited(status)),
                    Err(error) => return Err(NotReady::Other(error.into())),
                },
                () = stopped(stop) => return Err(NotReady::Other(TrialError::Interrupted)),
                ready = &mut asked => return ready,
            }
        }
    }

    async fn ask_until_ready(&self, asking: &Asking<'_>, until: Instant) -> Result<(), NotReady> {
        match (&asking.service.ready, asking.command) {
            (ServiceReady::Path(path), _) => self.ask_path(asking, path, until).await,
            (_, Some(command)) => self.ask_command(asking, command, until).await,
            (_, None) => connects(asking.address, until).await,
        }
    }

    async fn ask_command(
        &self,
        asking: &Asking<'_>,
        command: &Command,
        until: Instant,
    ) -> Result<(), NotReady> {
        let log = asking.folder.ready_log();
        let tool = asking.tool(command, &log);
        let line = command.redactor.clean(&command.argv.join(" "));
        loop {
            let left = until.saturating_duration_since(Instant::now());
            let last = match self.run_tool(&tool, left).await {
                Ok((finished, _)) if finished.is_success() => return Ok(()),
                Ok((finished, output)) => {
                    let said = output.trim().lines().last().unwrap_or_default();
                    format!("`{line}` ended with {}: {said}", end(&finished))
                }
                Err(TrialError::Process(error @ ProcessError::Launch { .. })) => {
                    return Err(NotReady::Unaskable(causes(&error)));
                }
                Err(error) => return Err(NotReady::Other(error)),
            };
            if Instant::now() >= until {
                return Err(NotReady::Late(last));
            }
            sleep(PAUSE).await;
        }
    }

    async fn ask_path(
        &self,
        asking: &Asking<'_>,
        path: &str,
        until: Instant,
    ) -> Result<(), NotReady> {
        let question = path_question(path).map_err(NotReady::Unaskable)?;
        let good: Vec<u16> = (200..300).collect();
        if may_meet_itself(asking.address) {
            until_listened_on(asking.address, until).await;
        }
        let mut last = "no answer".to_owned();
        loop {
            let left = until.saturating_duration_since(Instant::now());
            if left.is_zero() {
                return Err(NotReady::Late(format!("{last} from {path}")));
            }
            let asked = (&question, &good[..]);
            match self.http.until_ready(asking.address, asked, left).await {
                Readiness::Ready { .. } => return Ok(()),
                // Some answer 503 as long as they are starting.
                Readiness::Unexpected { last: answer } => last = answer.status.to_string(),
                Readiness::NoAnswer { .. } => {}
            }
        }
    }
}

pub(super) fn path_question(path: &str) -> Result<Question, String> {
    let endpoint = Endpoint::get("ready", path);
    let filling = Filling {
        session: &LoginSession::default(),
        data: &[],
        row: Row::Question(0),
    };
    Question::of(endpoint.asked(), &filling).map_err(|why| why.to_string())
}

/// Until the port takes a connection.
async fn connects(address: SocketAddr, until: Instant) -> Result<(), NotReady> {
    if may_meet_itself(address) {
        until_listened_on(address, until).await;
    }
    let mut last = "nobody listens".to_owned();
    loop {
        let left = until.saturating_duration_since(Instant::now());
        if left.is_zero() {
            return Err(NotReady::Late(format!("{last} at {address}")));
        }
        match timeout(left, TcpStream::connect(address)).await {
            Ok(Ok(_connection)) => return Ok(()),
            Ok(Err(error)) => last = error.to_string(),
            Err(late) => last = late.to_string(),
        }
        sleep(PAUSE).await;
    }
}

async fn until_listened_on(address: SocketAddr, until: Instant) {
    while !is_listened_on(address.port()) && Instant::now() < until {
        sleep(PAUSE).await;
    }
}
