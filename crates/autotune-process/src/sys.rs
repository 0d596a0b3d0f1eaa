//! The few system calls that the type system cannot vouch for, and the sure kill
//! of one process. What they are put together to is left to others.

use std::io;
use std::os::fd::{BorrowedFd, RawFd};

use nix::sched::{CloneCb, CloneFlags};
use nix::sys::signal::{SigHandler, Signal};
use nix::unistd::Pid;

use crate::table::{Entry, ProcFs, ProcessKey, ProcessTable};

/// Room for the first calls of a new process; its pages cost nothing until used.
const STACK_BYTES: usize = 1 << 20;

/// Makes a process that runs `child` and ends with its result.
///
/// Must only be called by the supervisor and what it made: they have one thread,
/// so no lock can be held by a thread that the new process does not have.
#[expect(unsafe_code, reason = "a process cannot be made otherwise")]
pub(crate) fn new_process(namespaces: CloneFlags, child: CloneCb<'_>) -> nix::Result<Pid> {
    let mut stack = vec![0; STACK_BYTES];
    let signal = Some(Signal::SIGCHLD as i32);
    // SAFETY: memory is not shared (no CLONE_VM), so the stack is the child's
    // own copy; this process has one thread.
    unsafe { nix::sched::clone(child, &mut stack, namespaces, signal) }
}

/// Makes the command lead a session of its own, so that Ctrl-C, which goes to
/// the group of the terminal, does not reach it.
#[expect(unsafe_code, reason = "code between fork and exec")]
pub(crate) fn in_own_session(command: &mut tokio::process::Command) {
    // SAFETY: setsid is async-signal-safe, and nothing is allocated.
    unsafe {
        command.pre_exec(|| {
            nix::unistd::setsid()?;
            Ok(())
        });
    }
}

/// Gives every signal its default meaning; what was ignored stays ignored over
/// an exec otherwise.
///
/// # Errors
/// When the system refuses.
#[expect(unsafe_code, reason = "signal handlers are global state")]
pub(crate) fn default_signals() -> nix::Result<()> {
    let fixed = [Signal::SIGKILL, Signal::SIGSTOP];
    for signal in Signal::iterator().filter(|signal| !fixed.contains(signal)) {
        // SAFETY: the default action runs no code of ours.
        unsafe { nix::sys::signal::signal(signal, SigHandler::SigDfl) }?;
    }
    Ok(())
}

/// Marks every descriptor but the standard ones to be closed by an exec: what
/// this process inherited must not keep a pipe of someone else's open.
///
/// # Errors
/// When the descriptors cannot be listed or marked.
#[expect(unsafe_code, reason = "descriptors that no value here owns")]
pub(crate) fn close_all_on_exec() -> io::Result<()> {
    for fd in open_descriptors()? {
        // SAFETY: only the flag is set; a number that is no longer open gives
        // an error.
        let fd = unsafe { BorrowedFd::borrow_raw(fd) };
        let flag = nix::fcntl::FcntlArg::F_SETFD(nix::fcntl::FdFlag::FD_CLOEXEC);
        unless_closed(nix::fcntl::fcntl(fd, flag).map(|_| ()))?;
    }
    Ok(())
}

/// Closes every descriptor but the standard ones and those to keep. Only for a
/// new process that never returns to the values that own them.
///
/// # Errors
/// When the descriptors cannot be listed or closed.
pub(crate) fn close_all_but(keep: &[RawFd]) -> io::Result<()> {
    for fd in open_descriptors()? {
        if !keep.contains(&fd) {
            unless_closed(nix::unistd::close(fd))?;
        }
    }
    Ok(())
}

/// The descriptor that the list was read through is in the list, but gone.
fn unless_closed(done: nix::Result<()>) -> nix::Result<()> {
    if done == Err(nix::errno::Errno::EBADF) {
        Ok(())
    } else {
        done
    }
}

fn open_descriptors() -> io::Result<Vec<RawFd>> {
    let mut found = Vec::new();
    for entry in std::fs::read_dir("/proc/self/fd")? {
        let name = entry?.file_name();
        found.extend(name.to_str().and_then(|name| name.parse::<RawFd>().ok()));
    }
    found.retain(|fd| *fd > 2);
    Ok(found)
}

/// Kills exactly this process, not one that got its pid meanwhile. `false` where
/// it has ended already.
///
/// # Errors
/// When the system refuses.
pub(crate) fn kill(key: ProcessKey) -> io::Result<bool> {
    let signalled = Target::open(key)?.map(|target| target.signal(Signal::SIGKILL));
    Ok(signalled.transpose()?.unwrap_or(false))
}

/// A process that is held, so that its pid cannot come to mean another one.
#[derive(Debug)]
pub(crate) struct Target(std::os::fd::OwnedFd);

impl Target {
    /// `None` where it has ended already.
    ///
    /// # Errors
    /// When the system refuses.
    pub(crate) fn open(key: ProcessKey) -> io::Result<Option<Self>> {
        let Some(held) = Self::open_pid(key.pid)? else {
            return Ok(None);
        };
        // Asked after it is held: what is seen now is what is held.
        let is_same = |entry: &Entry| entry.key == key && !entry.dead;
        let same = ProcFs::default().entry(key.pid).filter(is_same);
        Ok(same.map(|_| held))
    }

    /// As [`Target::open`], for a pid that was not reaped yet.
    ///
    /// # Errors
    /// When the system refuses.
    pub(crate) fn open_pid(pid: u32) -> io::Result<Option<Self>> {
        let number = i32::try_from(pid)
            .ok()
            .and_then(rustix::process::Pid::from_raw);
        let Some(number) = number else {
            return Ok(None);
        };
        match rustix::process::pidfd_open(number, rustix::process::PidfdFlags::empty()) {
            Ok(fd) => Ok(Some(Self(fd))),
            Err(rustix::io::Errno::SRCH) => Ok(None),
            Err(error) => Err(error.into()),
        }
    }

    /// `false` where it has ended.
    ///
    /// # Errors
    /// When the system refuses.
    pub(crate) fn signal(&self, signal: Signal) -> io::Result<bool> {
        let number = rustix::process::Signal::from_named_raw(signal as i32)
            .ok_or_else(|| io::Error::from(io::ErrorKind::InvalidInput))?;
        match rustix::process::pidfd_send_signal(&self.0, number) {
            Ok(()) => Ok(true),
            Err(rustix::io::Errno::SRCH) => Ok(false),
            Err(error) => Err(error.into()),
        }
    }
}
