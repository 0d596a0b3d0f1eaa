//! The kernel's timer, as the runtime waits for it. The one place with unsafe
//! code. Leaves deadlines to `clock`.
#![expect(
    unsafe_code,
    reason = "the runtime takes a file descriptor on trust only"
)]

use std::io;
use std::os::fd::{AsFd, AsRawFd, RawFd};

use nix::sys::timerfd::{ClockId, TimerFd, TimerFlags};
use tokio::io::Interest;
use tokio::io::unix::AsyncFd;

/// A timer that owns its descriptor.
#[derive(Debug)]
pub(crate) struct Timer(pub(crate) TimerFd);

impl AsRawFd for Timer {
    fn as_raw_fd(&self) -> RawFd {
        self.0.as_fd().as_raw_fd()
    }
}

impl Timer {
    /// A new timer on `CLOCK_MONOTONIC`, known to the current runtime.
    pub(crate) fn register() -> io::Result<AsyncFd<Self>> {
        let flags = TimerFlags::TFD_NONBLOCK | TimerFlags::TFD_CLOEXEC;
        let timer = Self(TimerFd::new(ClockId::CLOCK_MONOTONIC, flags)?);
        // SAFETY: the descriptor is open, belongs to the timer, and is closed
        // only when the timer is dropped, which the `AsyncFd` does after it has
        // forgotten the descriptor. Nothing replaces it meanwhile.
        Ok(unsafe { AsyncFd::register_with_interest(timer, Interest::READABLE) }?)
    }
}
