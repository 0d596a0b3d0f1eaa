//! The program's side of a supervised server: starts the supervisor, asks it,
//! and hears from it. All deciding and killing happens on the other side.

use std::collections::VecDeque;
use std::io;
use std::os::fd::OwnedFd;
use std::process::Stdio;
use std::time::Duration;

use autotune_model::{Confinement, LimitMeans, Peer, ServerSample};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::UnixStream;
use tokio::process::{Child, Command};

use crate::cgroup::{Scope, systemd_version, visible_exe};
use crate::error::ProcessError;
use crate::launch::{Launch, SupervisorSetup};
use crate::marker::MARKER_VARIABLE;
use crate::signal::{ExitStatus, StopSignal};
use crate::supervisor::{ARGUMENT, NAME};
use crate::sys;
use crate::wire::{Decoder, Reply, Request, VERSION, WireLaunch, WireReport, encode, microseconds};

/// How long an answer may take that needs no waiting on the other side; a busy
/// machine included. Killing what hangs in the kernel is within it.
const PATIENCE: Duration = Duration::from_secs(60);
/// Room for one read.
const READ_BYTES: usize = 16 << 10;

/// A server that was started, with the supervisor that watches over it. When
/// this is dropped, everything that was started is ended.
#[derive(Debug)]
pub struct Supervised {
    link: Link,
    pid: u32,
    isolation: String,
    requests: u64,
    reaped: Duration,
    events: VecDeque<Told>,
    answer: Option<(u64, Told)>,
    exit: Option<ExitStatus>,
    report: Option<StopReport>,
}

/// A sample that was told and is not given yet.
#[derive(Debug)]
struct Told {
    sample: ServerSample,
    peers: Vec<Peer>,
    reaped: Duration,
}

/// What happens while a server runs.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum ProcessEvent {
    /// The tree at one moment.
    Sampled {
        /// Its processes.
        sample: ServerSample,
        /// Its connections beyond loopback.
        peers: Vec<Peer>,
    },
    /// The main process ended. Others of its tree may still be there until
    /// [`Supervised::stop`].
    Exited(ExitStatus),
}

/// How a stop went.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct StopReport {
    /// How the main process ended; `None` where that is not known.
    pub exit: Option<ExitStatus>,
    /// From the signal to the last process's end.
    pub took: Duration,
    /// Processes that were still there after the grace and were killed.
    pub killed: u32,
    /// Bytes that were written to the log in all.
    pub log_bytes: u64,
    /// How often the log was begun anew.
    pub log_truncations: u32,
    /// How many processes of the tree the kernel killed for want of memory; `None`
    /// without a group that limits it.
    pub oom_kills: Option<u64>,
    /// Folders of the group that could not be removed.
    pub groups_left: Vec<String>,
}

impl Supervised {
    /// Starts a command under a supervisor. It has begun to run when this
    /// returns; whether it is of use is left to the caller.
    ///
    /// # Errors
    /// When the supervisor cannot be started, or the command cannot be run:
    /// [`ProcessError::Launch`] then says what was tried.
    pub async fn launch(launch: &Launch) -> Result<Self, ProcessError> {
        Self::launch_with(launch, &SupervisorSetup::default()).await
    }

    /// As [`Supervised::launch`], with another supervisor or isolation.
    ///
    /// # Errors
    /// As [`Supervised::launch`].
    pub async fn launch_with(
        launch: &Launch,
        setup: &SupervisorSetup,
    ) -> Result<Self, ProcessError> {
        let wire = WireLaunch::of(launch, setup.isolation)?;
        let mut link = Link::start(launch, setup).await?;
        link.send(&Request::Hello { version: VERSION }).await?;
        match link.receive_soon(PATIENCE).await? {
            // A supervisor that only speaks an older version cannot be met: it
            // refuses. A newer one would answer with its own number.
            Reply::Hello { version } if version <= VERSION => {}
            Reply::Hello { version } | Reply::Refused { version } => {
                return Err(ProcessError::Version {
                    ours: VERSION,
                    theirs: version,
                });
            }
            other => return Err(unexpected(other, "hello")),
        }
        link.send(&Request::Launch(Box::new(wire))).await?;
        match link.receive_soon(PATIENCE).await? {
            Reply::Started { pid, isolation } => {
                tracing::debug!(pid, isolation, supervisor = link.supervisor, "started");
                Ok(Self::new(link, pid, isolation))
            }
            Reply::LaunchFailed { step, path, errno } => Err(ProcessError::Launch {
                step: step.into(),
                path: path.into(),
                source: io::Error::from_raw_os_error(errno),
            }),
            other => Err(unexpected(other, "started")),
        }
    }

    fn new(link: Link, pid: u32, isolation: String) -> Self {
        Self {
            link,
            pid,
            isolation,
            requests: 0,
            reaped: Duration::ZERO,
            events: VecDeque::new(),
            answer: None,
            exit: None,
            report: None,
        }
    }

    /// The main process, as the host numbers it.
    pub fn pid(&self) -> u32 {
        self.pid
    }

    /// The supervisor.
    pub fn supervisor_pid(&self) -> u32 {
        self.link.supervisor
    }

    /// How the tree is held together: `pid-namespace` or `parent-death-signal`.
    pub fn isolation(&self) -> &str {
        &self.isolation
    }

    /// CPU time of processes of the tree that had ended by the sample that was given
    /// last: a process for each connection may live too short to be in any.
    pub fn reaped(&self) -> Duration {
        self.reaped
    }

    /// The next event. After the main process's end it is told once in its turn
    /// and then again whenever asked. Nothing is lost when the future is dropped.
    ///
    /// # Errors
    /// [`ProcessError::SupervisorLost`] when the supervisor was ended by someone
    /// else; the server is then ended too.
    pub async fn next(&mut self) -> Result<ProcessEvent, ProcessError> {
        loop {
            if let Some(told) = self.events.pop_front() {
                let (sample, peers) = self.give(told);
                return Ok(ProcessEvent::Sampled { sample, peers });
            }
            if let Some(exit) = self.exit {
                return Ok(ProcessEvent::Exited(exit));
            }
            let reply = self.link.receive().await?;
            self.file(reply)?;
        }
    }

    /// The tree at this moment. Events that come meanwhile are kept for
    /// [`Supervised::next`].
    ///
    /// # Errors
    /// As [`Supervised::next`].
    pub async fn sample_now(&mut self) -> Result<(ServerSample, Vec<Peer>), ProcessError> {
        self.requests += 1;
        let id = self.requests;
        self.link.send(&Request::Sample { id }).await?;
        loop {
            // An older answer is one that nobody waited for.
            if let Some((answered, told)) = self.answer.take()
                && answered == id
            {
                return Ok(self.give(told));
            }
            let reply = self.link.receive_soon(PATIENCE).await?;
            self.file(reply)?;
        }
    }

    /// Asks the main process to end and waits; what is left after the grace is
    /// killed, and so is what the main process leaves behind. Asked again it
    /// gives the same report.
    ///
    /// # Errors
    /// [`ProcessError::NotEnded`] when killed processes are still there;
    /// otherwise as [`Supervised::next`].
    pub async fn stop(
        &mut self,
        signal: StopSignal,
        grace: Duration,
    ) -> Result<StopReport, ProcessError> {
        if self.report.is_none() {
            let request = Request::Stop {
                signal: signal.to_string(),
                grace_us: microseconds(grace),
            };
            self.link.send(&request).await?;
        }
        loop {
            if let Some(report) = self.report.clone() {
                self.link.supervisor_end().await?;
                return Ok(report);
            }
            let reply = self
                .link
                .receive_soon(grace.saturating_add(PATIENCE))
                .await?;
            self.file(reply)?;
        }
    }

    /// Hands out a sample, and remembers what belongs to it.
    fn give(&mut self, told: Told) -> (ServerSample, Vec<Peer>) {
        self.reaped = told.reaped;
        (told.sample, told.peers)
    }

    /// Puts what came where it is waited for.
    fn file(&mut self, reply: Reply) -> Result<(), ProcessError> {
        match reply {
            Reply::Sampled { id, sample } => {
                let reaped = sample.reaped();
                let (sample, peers) = sample.into_parts();
                let told = Told {
                    sample,
                    peers,
                    reaped,
                };
                match id {
                    Some(id) => self.answer = Some((id, told)),
                    None => self.events.push_back(told),
                }
            }
            Reply::Exited(exit) => self.exit = Some(exit.into()),
            Reply::Stopped(report) => {
                let report = StopReport::from(report);
                self.exit = self.exit.or(report.exit);
                self.report = Some(report);
            }
            Reply::NotEnded { pids } => return Err(ProcessError::NotEnded { pids }),
            other => return Err(unexpected(other, "an event")),
        }
        Ok(())
    }
}

impl From<WireReport> for StopReport {
    fn from(wire: WireReport) -> Self {
        Self {
            exit: wire.exit.map(ExitStatus::from),
            took: Duration::from_micros(wire.took_us),
            killed: wire.killed,
            log_bytes: wire.log_bytes,
            log_truncations: wire.log_truncations,
            oom_kills: wire.oom_kills,
            groups_left: wire.groups_left,
        }
    }
}

fn unexpected(reply: Reply, wanted: &'static str) -> ProcessError {
    match reply {
        Reply::Fault { what } => ProcessError::Supervisor { what },
        other => ProcessError::Unexpected {
            got: other.name(),
            wanted,
        },
    }
}

/// How the supervisor is run: as itself, or by systemd in a scope of its own.
async fn supervisor_command(
    launch: &Launch,
    setup: &SupervisorSetup,
) -> Result<Command, ProcessError> {
    let Confinement {
        limits,
        enforcement,
    } = &launch.confinement;
    if enforcement.means() != Some(LimitMeans::SystemdScope) {
        let mut command = Command::new(&setup.exe);
        command.arg0(NAME).arg(ARGUMENT);
        return Ok(command);
    }
    let version = systemd_version().await?;
    let words = Scope { limits, version }.command();
    let mut command = Command::new(&words[0]);
    command.args(&words[1..]);
    command.arg(visible_exe(&setup.exe)).arg(ARGUMENT);
    Ok(command)
}

/// The socket to one supervisor. Requests that a dropped future left half sent
/// are sent on by the next one.
#[derive(Debug)]
struct Link {
    socket: UnixStream,
    decoder: Decoder,
    waiting: VecDeque<u8>,
    child: Child,
    supervisor: u32,
}

impl Link {
    async fn start(launch: &Launch, setup: &SupervisorSetup) -> Result<Self, ProcessError> {
        // Both ends are closed by an exec, so no process started meanwhile
        // holds one of them; standard input is made from a copy.
        let (ours, theirs) =
            std::os::unix::net::UnixStream::pair().map_err(ProcessError::Socket)?;
        ours.set_nonblocking(true).map_err(ProcessError::Socket)?;
        let socket = UnixStream::from_std(ours).map_err(ProcessError::Socket)?;
        let mut command = supervisor_command(launch, setup).await?;
        command
            .env(MARKER_VARIABLE, launch.marker.as_str())
            .stdin(Stdio::from(OwnedFd::from(theirs)))
            .stdout(Stdio::null())
            .stderr(Stdio::null());
        sys::in_own_session(&mut command);
        let child = command
            .spawn()
            .map_err(|source| ProcessError::StartSupervisor {
                exe: setup.exe.clone(),
                source,
            })?;
        let supervisor = child.id().unwrap_or_default();
        Ok(Self {
            socket,
            decoder: Decoder::default(),
            waiting: VecDeque::new(),
            child,
            supervisor,
        })
    }

    async fn send(&mut self, request: &Request) -> Result<(), ProcessError> {
        self.waiting.extend(encode(request)?);
        while !self.waiting.is_empty() {
            // Takes out of the queue exactly what was written.
            if let Err(error) = self.socket.write_buf(&mut self.waiting).await {
                return Err(self.lost(error).await);
            }
        }
        Ok(())
    }

    /// The next reply. Nothing is lost when the future is dropped.
    async fn receive(&mut self) -> Result<Reply, ProcessError> {
        loop {
            if let Some(reply) = self.decoder.next()? {
                return Ok(reply);
            }
            let buffer = self.decoder.buffer();
            buffer.reserve(READ_BYTES);
            match self.socket.read_buf(buffer).await {
                Ok(0) => {
                    return Err(self.lost(io::ErrorKind::UnexpectedEof.into()).await);
                }
                Ok(_) => {}
                Err(error) => return Err(self.lost(error).await),
            }
        }
    }

    async fn receive_soon(&mut self, patience: Duration) -> Result<Reply, ProcessError> {
        let pid = self.supervisor;
        match tokio::time::timeout(patience, self.receive()).await {
            Ok(reply) => reply,
            Err(tokio::time::error::Elapsed { .. }) => Err(ProcessError::SupervisorSilent {
                pid,
                seconds: patience.as_secs(),
            }),
        }
    }

    /// The error for a socket that ended although more was due.
    async fn lost(&mut self, error: io::Error) -> ProcessError {
        use io::ErrorKind::{BrokenPipe, ConnectionReset, UnexpectedEof};
        if !matches!(error.kind(), BrokenPipe | ConnectionReset | UnexpectedEof) {
            return ProcessError::Socket(error);
        }
        let how = match tokio::time::timeout(PATIENCE, self.child.wait()).await {
            Ok(Ok(status)) => status.to_string(),
            Ok(Err(error)) => error.to_string(),
            Err(_) => "it closed its socket".to_owned(),
        };
        ProcessError::SupervisorLost {
            pid: self.supervisor,
            how,
        }
    }

    /// Waits until the supervisor, which has nothing left to do, is reaped.
    async fn supervisor_end(&mut self) -> Result<(), ProcessError> {
        match tokio::time::timeout(PATIENCE, self.child.wait()).await {
            Ok(ended) => ended.map(drop).map_err(ProcessError::Socket),
            Err(tokio::time::error::Elapsed { .. }) => Err(ProcessError::SupervisorSilent {
                pid: self.supervisor,
                seconds: PATIENCE.as_secs(),
            }),
        }
    }
}
