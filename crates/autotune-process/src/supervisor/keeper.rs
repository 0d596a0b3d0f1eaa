//! The process between supervisor and server: it sets up the isolation, makes the
//! server, reaps, and reports how the server ended. It ends when no process of
//! the tree is left, or when the supervisor is gone, and then nothing is left
//! either.
//!
//! In a PID namespace it is the first process: its end is the namespace's end,
//! which the kernel enforces. Without one it is a subreaper, so that what the
//! server leaves behind falls to it and can be found.

use std::io;
use std::os::fd::{AsFd, AsRawFd, BorrowedFd};
use std::path::Path;
use std::time::Duration;

use nix::errno::Errno;
use nix::mount::{MsFlags, mount};
use nix::poll::{PollFd, PollFlags, PollTimeout, poll};
use nix::sched::CloneFlags;
use nix::sys::prctl;
use nix::sys::signal::{SigSet, Signal};
use nix::sys::signalfd::{SfdFlags, SignalFd};
use nix::sys::wait::{WaitPidFlag, WaitStatus, waitpid};
use nix::unistd::{Gid, Pid, Uid};

use super::ending::kill_descendants;
use super::report::{Report, tell};
use super::spawn::Prepared;
use crate::error::LaunchStep;
use crate::signal::ExitStatus;
use crate::sys;
use crate::table::ProcFs;

/// How the tree is held together.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Isolation {
    /// A PID namespace, by the right to make one.
    Namespace,
    /// A PID namespace within a user namespace, in which this user may make one.
    UserNamespace,
    /// A subreaper, and the parent's death as a signal to the server.
    Leash,
}

impl Isolation {
    pub(crate) fn as_str(self) -> &'static str {
        match self {
            Self::Namespace | Self::UserNamespace => "pid-namespace",
            Self::Leash => "parent-death-signal",
        }
    }

    /// What to try, best first. Root is not put into a user namespace: it would
    /// lose its rights over the files of other users, and the app behave
    /// differently from production.
    pub(crate) fn candidates(isolate: bool, is_root: bool) -> &'static [Self] {
        match (isolate, is_root) {
            (true, true) => &[Self::Namespace, Self::Leash],
            (true, false) => &[Self::UserNamespace, Self::Leash],
            (false, _) => &[Self::Leash],
        }
    }

    fn flags(self) -> CloneFlags {
        let namespace = CloneFlags::CLONE_NEWPID | CloneFlags::CLONE_NEWNS;
        match self {
            Self::Namespace => namespace,
            Self::UserNamespace => namespace | CloneFlags::CLONE_NEWUSER,
            Self::Leash => CloneFlags::empty(),
        }
    }

    fn is_namespace(self) -> bool {
        self != Self::Leash
    }
}

/// Makes the keeper. It tells over `report` what becomes of it.
pub(crate) fn start(
    prepared: &Prepared,
    isolation: Isolation,
    report: BorrowedFd<'_>,
) -> nix::Result<Pid> {
    let ids = (nix::unistd::getuid(), nix::unistd::getgid());
    let body = Box::new(move || match keep(prepared, isolation, report, ids) {
        Ok(()) => 0,
        Err(error) => {
            tell(
                report,
                Report::NotIsolated {
                    errno: errno_of(&error),
                },
            );
            1
        }
    });
    let mut flags = isolation.flags();
    flags.set(
        CloneFlags::CLONE_NEWIPC,
        prepared.own_ipc && isolation.is_namespace(),
    );
    sys::new_process(flags, body)
}

fn errno_of(error: &io::Error) -> i32 {
    error.raw_os_error().unwrap_or(Errno::EIO as i32)
}

fn keep(
    prepared: &Prepared,
    isolation: Isolation,
    report: BorrowedFd<'_>,
    ids: (Uid, Gid),
) -> io::Result<()> {
    // With it the copy of the socket to the program: it would hide the
    // supervisor's end from the program, and the program's end from us.
    let mut kept = prepared.group.descriptors();
    kept.extend([
        report.as_raw_fd(),
        prepared.log.as_raw_fd(),
        prepared.null.as_raw_fd(),
    ]);
    sys::close_all_but(&kept)?;
    SigSet::all().thread_set_mask()?;
    prctl::set_name(c"autotune-keeper")?;
    if isolation.is_namespace() {
        prctl::set_pdeathsig(Signal::SIGKILL)?;
    } else {
        prctl::set_child_subreaper(true)?;
    }
    nix::unistd::setsid()?;
    let watch = Watch::new(report)?;
    // The supervisor may have ended before the call above.
    if watch.wait(PollTimeout::ZERO)?.supervisor_gone {
        return Ok(());
    }
    isolate(isolation, ids)?;
    match start_server(prepared, isolation, report) {
        Ok(main) => {
            tell(report, Report::Started);
            reap_until_empty(&watch, main, isolation)
        }
        Err((step, errno)) => {
            tell(
                report,
                Report::Failed {
                    step,
                    errno: errno as i32,
                },
            );
            Ok(())
        }
    }
}

fn isolate(isolation: Isolation, (uid, gid): (Uid, Gid)) -> io::Result<()> {
    if isolation == Isolation::UserNamespace {
        // Each id means itself, so files look as they do outside.
        std::fs::write("/proc/self/setgroups", "deny")?;
        std::fs::write("/proc/self/uid_map", format!("{uid} {uid} 1"))?;
        std::fs::write("/proc/self/gid_map", format!("{gid} {gid} 1"))?;
    }
    if isolation.is_namespace() {
        let none: Option<&Path> = None;
        // Private first, or the next mount would reach the whole machine.
        mount(none, "/", none, MsFlags::MS_REC | MsFlags::MS_PRIVATE, none)?;
        let flags = MsFlags::MS_NOSUID | MsFlags::MS_NODEV | MsFlags::MS_NOEXEC;
        mount(Some("proc"), "/proc", Some("proc"), flags, none)?;
    }
    Ok(())
}

/// Makes the server and waits until it runs its program or failed to.
fn start_server(
    prepared: &Prepared,
    isolation: Isolation,
    report: BorrowedFd<'_>,
) -> Result<Pid, (LaunchStep, Errno)> {
    let fork = |errno| (LaunchStep::Fork, errno);
    // Closed by a successful exec: end of file is the good news.
    let (failed, fails) = nix::unistd::pipe2(nix::fcntl::OFlag::O_CLOEXEC).map_err(fork)?;
    let leash = (!isolation.is_namespace()).then(nix::unistd::getpid);
    let server = Box::new(|| {
        let (step, errno) = prepared.run(report, leash);
        let bytes = [step as u8, u8::try_from(errno as i32).unwrap_or(u8::MAX)];
        // Unheard, the failure is still seen as the end of the process.
        if nix::unistd::write(&fails, &bytes).is_ok() {
            127
        } else {
            126
        }
    });
    let main = sys::new_process(CloneFlags::empty(), server).map_err(fork)?;
    drop(fails);
    let mut bytes = [0; 2];
    let length = loop {
        match nix::unistd::read(&failed, &mut bytes) {
            Err(Errno::EINTR) => {}
            length => break length.map_err(fork)?,
        }
    };
    if length == 0 {
        return Ok(main);
    }
    let step = LaunchStep::ALL
        .into_iter()
        .find(|step| *step as u8 == bytes[0]);
    waitpid(main, None).map_err(fork)?;
    Err((
        step.unwrap_or(LaunchStep::Exec),
        Errno::from_raw(i32::from(bytes[1])),
    ))
}

/// Reaps until no process is left. When the supervisor is gone, a namespace ends
/// with this process; without one the descendants are ended here.
fn reap_until_empty(watch: &Watch<'_>, main: Pid, isolation: Isolation) -> io::Result<()> {
    let report = watch.report;
    let table = ProcFs::default();
    let mut timeout = PollTimeout::NONE;
    let mut pause = Duration::from_millis(5);
    loop {
        if watch.wait(timeout)?.supervisor_gone {
            if isolation.is_namespace() {
                return Ok(());
            }
            kill_descendants(&table, std::process::id(), &[])?;
            // The closed socket would end every wait at once, so the pause is made
            // here; what hangs in the kernel is not asked all the time.
            std::thread::sleep(pause);
            pause = (pause * 2).min(Duration::from_millis(250));
            timeout = PollTimeout::ZERO;
        }
        loop {
            match waitpid(None, Some(WaitPidFlag::WNOHANG)) {
                Ok(WaitStatus::StillAlive) => break,
                Ok(status) => {
                    if let Some(exit) = exit_of(status).filter(|_| status.pid() == Some(main)) {
                        tell(report, Report::Exited(exit));
                    }
                }
                Err(Errno::ECHILD) => return Ok(()),
                Err(Errno::EINTR) => {}
                Err(error) => return Err(error.into()),
            }
        }
    }
}

/// How a process ended; `None` where it did not.
pub(crate) fn exit_of(status: WaitStatus) -> Option<ExitStatus> {
    match status {
        WaitStatus::Exited(_, code) => Some(ExitStatus::Code(code)),
        WaitStatus::Signaled(_, signal, _) => Some(ExitStatus::Signal(signal as i32)),
        _ => None,
    }
}

/// What the keeper waits for.
struct Watch<'a> {
    report: BorrowedFd<'a>,
    children: SignalFd,
}

struct Seen {
    supervisor_gone: bool,
}

impl<'a> Watch<'a> {
    fn new(report: BorrowedFd<'a>) -> io::Result<Self> {
        let mut mask = SigSet::empty();
        mask.add(Signal::SIGCHLD);
        let flags = SfdFlags::SFD_CLOEXEC | SfdFlags::SFD_NONBLOCK;
        Ok(Self {
            report,
            children: SignalFd::with_flags(&mask, flags)?,
        })
    }

    fn wait(&self, timeout: PollTimeout) -> io::Result<Seen> {
        // Asked for nothing: a closed other end is told unasked.
        let mut fds = [
            PollFd::new(self.report, PollFlags::empty()),
            PollFd::new(self.children.as_fd(), PollFlags::POLLIN),
        ];
        match poll(&mut fds, timeout) {
            Ok(_) => {}
            Err(Errno::EINTR) => {
                return Ok(Seen {
                    supervisor_gone: false,
                });
            }
            Err(error) => return Err(error.into()),
        }
        let gone = fds[0].revents().is_some_and(|seen| !seen.is_empty());
        while self.children.read_signal()?.is_some() {}
        Ok(Seen {
            supervisor_gone: gone,
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn root_keeps_its_rights_and_all_have_a_way_without_namespace() {
        use Isolation::{Leash, Namespace, UserNamespace};
        assert_eq!(Isolation::candidates(true, true), [Namespace, Leash]);
        assert_eq!(Isolation::candidates(true, false), [UserNamespace, Leash]);
        assert_eq!(Isolation::candidates(false, true), [Leash]);
        assert_eq!(Isolation::candidates(false, false), [Leash]);
    }
}
