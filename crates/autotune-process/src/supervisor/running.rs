//! The tree that a supervisor has started: how it begins, what is heard of it,
//! how it is sampled and how it ends. When to do what is left to `session`.

use std::collections::BTreeSet;
use std::io;
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};
use std::path::PathBuf;
use std::time::Duration;

use nix::errno::Errno;
use nix::poll::{PollFd, PollFlags, PollTimeout, poll};
use nix::sys::signalfd::SignalFd;
use nix::sys::socket::MsgFlags;
use nix::sys::wait::{WaitPidFlag, waitpid};
use nix::unistd::Pid;

use super::ending::{kill_descendants, living_descendants};
use super::keeper::{self, Isolation};
use super::log::BoundedLog;
use super::report::{Heard, Report, channel, hear};
use super::spawn::{Fault, Prepared};
use crate::cgroup::Group;
use crate::clock::monotonic_ns;
use crate::error::LaunchStep;
use crate::signal::{ExitStatus, StopSignal};
use crate::sys::Target;
use crate::table::{self, ProcFs, Tree};
use crate::wire::{WireLaunch, WireSample};

/// How long the keeper may take to notice that nothing is left, before it is
/// killed too. Longer than any scheduling delay of a busy machine.
const KEEPER_PATIENCE: Duration = Duration::from_secs(1);
/// After this, killed processes that are still there hang in the kernel.
const KILL_PATIENCE: Duration = Duration::from_secs(15);

/// A tree that was started.
#[derive(Debug)]
pub(crate) struct Running {
    keeper: Pid,
    keeper_ended: bool,
    /// `None` once nobody is left who could tell.
    report: Option<OwnedFd>,
    main: u32,
    target: Option<Target>,
    isolation: Isolation,
    exit: Option<ExitStatus>,
    origin_ns: u64,
    table: ProcFs,
    group: Group,
    pub(crate) log: BoundedLog,
}

/// What the sure end came to.
#[derive(Debug)]
pub(crate) struct Ended {
    /// Processes that had to be killed.
    pub(crate) killed: u32,
    /// Processes that are still there.
    pub(crate) left: Vec<u32>,
    /// How many of them the kernel killed for want of memory, as far as counted.
    pub(crate) oom_kills: Option<u64>,
    /// Folders of the group that could not be removed.
    pub(crate) groups_left: Vec<PathBuf>,
}

impl Running {
    /// Starts the server, in the best isolation that the machine allows.
    pub(crate) fn launch(launch: &WireLaunch) -> Result<Self, Fault> {
        let mut prepared = Prepared::new(launch)?;
        let is_root = nix::unistd::geteuid().is_root();
        let mut last = Errno::EPERM;
        for isolation in Isolation::candidates(launch.isolate, is_root) {
            match start(&prepared, *isolation) {
                Ok(Start::Runs {
                    keeper,
                    report,
                    main,
                }) => {
                    return running(launch, prepared, *isolation, (keeper, report, main));
                }
                Ok(Start::Failed { step, errno }) => {
                    prepared.group.remove();
                    return Err(Fault {
                        step,
                        path: prepared.subject(step),
                        errno,
                    });
                }
                Ok(Start::NotIsolated(errno)) | Err(errno) => last = errno,
            }
        }
        prepared.group.remove();
        let step = LaunchStep::Fork;
        Err(Fault {
            step,
            path: prepared.subject(step),
            errno: last as i32,
        })
    }

    /// The pid of the main process, as the host numbers it.
    pub(crate) fn main(&self) -> u32 {
        self.main
    }

    pub(crate) fn isolation(&self) -> Isolation {
        self.isolation
    }

    /// How the main process ended, once it did.
    pub(crate) fn exit(&self) -> Option<ExitStatus> {
        self.exit
    }

    /// Whether no process of the tree is left.
    pub(crate) fn is_empty(&self) -> bool {
        self.keeper_ended
    }

    /// Where something is heard when it happens.
    pub(crate) fn report(&self) -> Option<BorrowedFd<'_>> {
        self.report.as_ref().map(AsFd::as_fd)
    }

    /// Reaps and hears what there is.
    pub(crate) fn update(&mut self) -> io::Result<()> {
        let no_children = self.reap()?;
        self.hear()?;
        if self.keeper_ended && !no_children {
            // It was ended from outside; its orphans fell to this process.
            kill_descendants(&self.table, std::process::id(), &[])?;
        }
        // The keeper told nothing of the server's end.
        if no_children && self.exit.is_none() {
            self.exit = Some(ExitStatus::Signal(nix::libc::SIGKILL));
        }
        Ok(())
    }

    /// Asks the main process to end. It looks after its workers itself.
    pub(crate) fn signal(&self, signal: StopSignal) -> io::Result<()> {
        let asked = self.target.as_ref().filter(|_| self.exit.is_none());
        asked
            .map_or(Ok(false), |target| target.signal(signal.number()))
            .map(drop)
    }

    /// The tree as it is now.
    pub(crate) fn sample(&self) -> io::Result<WireSample> {
        let at_ns = monotonic_ns().saturating_sub(self.origin_ns);
        let root = u32::try_from(self.keeper.as_raw()).map_err(io::Error::other)?;
        let tree = Tree {
            root,
            main: self.main,
        };
        let (sample, reaped) = table::sample(&self.table, tree, at_ns)?;
        let peers = table::peers(&self.table, &sample);
        Ok(WireSample::of(sample, peers, reaped))
    }

    /// Ends everything, surely, and waits for it.
    pub(crate) fn end(&mut self, signals: &SignalFd) -> io::Result<Ended> {
        let me = std::process::id();
        let keeper = u32::try_from(self.keeper.as_raw()).map_err(io::Error::other)?;
        let began = std::time::Instant::now();
        let mut killed = BTreeSet::new();
        while !self.keeper_ended || !living_descendants(&self.table, me)?.is_empty() {
            // The keeper ends by itself when nothing is left, and before that
            // tells how the main process ended.
            let spared: &[u32] = if began.elapsed() < KEEPER_PATIENCE {
                &[keeper]
            } else {
                &[]
            };
            killed.extend(kill_descendants(&self.table, me, spared)?);
            wait_for_a_child(signals)?;
            self.update()?;
            if began.elapsed() > KILL_PATIENCE {
                break;
            }
        }
        killed.retain(|key| key.pid != keeper);
        let left = living_descendants(&self.table, me)?
            .iter()
            .map(|key| key.pid)
            .collect();
        Ok(Ended {
            killed: u32::try_from(killed.len()).unwrap_or(u32::MAX),
            left,
            oom_kills: self.group.oom_kills(),
            groups_left: self.group.remove(),
        })
    }

    /// Whether this process has no children any more.
    fn reap(&mut self) -> io::Result<bool> {
        loop {
            match waitpid(None, Some(WaitPidFlag::WNOHANG)) {
                Ok(status) => match status.pid() {
                    None => return Ok(false),
                    Some(pid) if pid == self.keeper && keeper::exit_of(status).is_some() => {
                        self.keeper_ended = true;
                    }
                    // Orphans of a keeper that was killed.
                    Some(pid) if u32::try_from(pid.as_raw()) == Ok(self.main) => {
                        self.exit = keeper::exit_of(status);
                    }
                    Some(_) => {}
                },
                Err(Errno::ECHILD) => return Ok(true),
                Err(Errno::EINTR) => {}
                Err(error) => return Err(error.into()),
            }
        }
    }

    fn hear(&mut self) -> io::Result<()> {
        while let Some(report) = &self.report {
            match hear(report.as_fd(), MsgFlags::MSG_DONTWAIT)? {
                Heard::Report(Report::Exited(exit), _) => self.exit = Some(exit),
                Heard::Report(..) => {}
                Heard::Nothing => return Ok(()),
                Heard::End => self.report = None,
            }
        }
        Ok(())
    }
}

/// Returns after the end of a child, or a moment.
fn wait_for_a_child(signals: &SignalFd) -> io::Result<()> {
    let mut fds = [PollFd::new(signals.as_fd(), PollFlags::POLLIN)];
    match poll(&mut fds, PollTimeout::from(10_u8)) {
        Ok(_) | Err(Errno::EINTR) => {}
        Err(error) => return Err(error.into()),
    }
    while signals.read_signal()?.is_some() {}
    Ok(())
}

/// How a start went.
enum Start {
    Runs {
        keeper: Pid,
        report: OwnedFd,
        main: u32,
    },
    Failed {
        step: LaunchStep,
        errno: i32,
    },
    NotIsolated(Errno),
}

fn start(prepared: &Prepared, isolation: Isolation) -> nix::Result<Start> {
    let (report, tells) = channel()?;
    let keeper = keeper::start(prepared, isolation, tells.as_fd())?;
    // Only the keeper's copy is left, so that its end is heard.
    drop(tells);
    let mut main = None;
    let failed = loop {
        match hear(report.as_fd(), MsgFlags::empty())? {
            Heard::Report(Report::Here, pid) => main = Some(pid),
            Heard::Report(Report::Started, _) => {
                if let Some(main) = main {
                    return Ok(Start::Runs {
                        keeper,
                        report,
                        main,
                    });
                }
            }
            Heard::Report(Report::Failed { step, errno }, _) => {
                break Start::Failed { step, errno };
            }
            Heard::Report(Report::NotIsolated { errno }, _) => {
                break Start::NotIsolated(Errno::from_raw(errno));
            }
            Heard::Report(Report::Exited(_), _) | Heard::Nothing => {}
            Heard::End => break Start::NotIsolated(Errno::ECHILD),
        }
    };
    waitpid(keeper, None)?;
    Ok(failed)
}

fn running(
    launch: &WireLaunch,
    prepared: Prepared,
    isolation: Isolation,
    (keeper, report, main): (Pid, OwnedFd, u32),
) -> Result<Running, Fault> {
    let target = Target::open_pid(main).map_err(|error| Fault {
        step: LaunchStep::Fork,
        path: prepared.subject(LaunchStep::Fork),
        errno: error.raw_os_error().unwrap_or(Errno::EIO as i32),
    })?;
    Ok(Running {
        keeper,
        keeper_ended: false,
        report: Some(report),
        main,
        target,
        isolation,
        exit: None,
        origin_ns: launch.origin_monotonic_ns,
        table: ProcFs::default(),
        group: prepared.group,
        log: BoundedLog::new(prepared.log, launch.log_limit_bytes),
    })
}
