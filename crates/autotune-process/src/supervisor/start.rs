//! The first steps of the supervisor, before it serves.

use std::fs::File;
use std::io;
use std::os::fd::AsFd;
use std::os::unix::net::UnixStream;
use std::process::ExitCode;

use nix::sys::prctl;
use nix::sys::signal::{SigSet, Signal};
use nix::sys::signalfd::{SfdFlags, SignalFd};

use super::link::Link;
use super::session::Session;
use crate::sys;

/// The first argument by which a program knows that it is the supervisor.
pub(crate) const ARGUMENT: &str = "__supervise";
/// How the supervisor calls itself in lists of processes.
pub(crate) const NAME: &str = "autotune: supervisor";

/// To be called first of all in `main`, before any thread is started. Where this
/// process was started to be a supervisor it does that work and returns how the
/// program is to end; elsewhere it returns `None` at once.
pub fn run_if_asked() -> Option<ExitCode> {
    let is_asked = std::env::args_os()
        .nth(1)
        .is_some_and(|argument| argument == ARGUMENT);
    // Nobody reads a message of this process; the program sees how it ends.
    is_asked.then(|| {
        if supervise().is_ok() {
            ExitCode::SUCCESS
        } else {
            ExitCode::FAILURE
        }
    })
}

fn supervise() -> io::Result<()> {
    // Nothing but KILL ends this process without its work being done. TERM ends
    // the tree first; INT and HUP are the program's business.
    SigSet::all().thread_set_mask()?;
    let mut mask = SigSet::empty();
    mask.add(Signal::SIGCHLD);
    mask.add(Signal::SIGTERM);
    let flags = SfdFlags::SFD_CLOEXEC | SfdFlags::SFD_NONBLOCK;
    let signals = SignalFd::with_flags(&mask, flags)?;
    let link = Link::new(take_socket()?)?;
    sys::close_all_on_exec()?;
    prctl::set_child_subreaper(true)?;
    // Keeps no folder busy; all paths of the protocol are absolute.
    std::env::set_current_dir("/")?;
    Session::new(link, signals).run()
}

/// The socket comes as standard input. It is moved away, so that no process made
/// later has it.
fn take_socket() -> io::Result<UnixStream> {
    let socket = io::stdin().as_fd().try_clone_to_owned()?;
    nix::unistd::dup2_stdin(&File::open("/dev/null")?)?;
    Ok(UnixStream::from(socket))
}
