//! The engine's time: nanoseconds of `CLOCK_MONOTONIC` since the schedule
//! began, and one alarm. A simulated clock is the second implementation.

use std::io;
use std::task::{Context, Poll, ready};
use std::time::Duration;

use nix::sys::time::TimeSpec;
use nix::sys::timerfd::{Expiration, TimerSetTimeFlags};
use nix::time::{ClockId, clock_gettime};
use tokio::io::unix::AsyncFd;

use crate::timer::Timer;

/// Time and one alarm.
pub(crate) trait Clock {
    /// Nanoseconds since the schedule began.
    fn now(&self) -> u64;

    /// CPU time of this thread.
    fn cpu(&self) -> Duration;

    /// Ready once the deadline has come. Each call replaces the last deadline.
    fn poll_until(&mut self, deadline_ns: u64, cx: &mut Context<'_>) -> Poll<io::Result<()>>;
}

/// The real clock. The alarm is a timer of the kernel with an absolute
/// deadline: the runtime's own sleeps are rounded up to whole milliseconds,
/// which would send Poisson arrivals in bursts.
#[derive(Debug)]
pub(crate) struct MonotonicClock {
    /// `CLOCK_MONOTONIC` when the schedule began.
    start_ns: u64,
    timer: AsyncFd<Timer>,
    armed_ns: Option<u64>,
}

impl MonotonicClock {
    /// Begins now. To be called within the runtime that waits for it.
    pub(crate) fn start() -> io::Result<Self> {
        let timer = Timer::register()?;
        let start_ns = read(ClockId::CLOCK_MONOTONIC);
        Ok(Self {
            start_ns,
            timer,
            armed_ns: None,
        })
    }

    /// `CLOCK_MONOTONIC` when the schedule began, nanoseconds.
    pub(crate) fn start_ns(&self) -> u64 {
        self.start_ns
    }

    fn arm(&mut self, deadline_ns: u64) -> io::Result<()> {
        if self.armed_ns != Some(deadline_ns) {
            let at = Duration::from_nanos(self.start_ns.saturating_add(deadline_ns));
            let expiration = Expiration::OneShot(TimeSpec::from(at));
            self.timer
                .get_ref()
                .0
                .set(expiration, TimerSetTimeFlags::TFD_TIMER_ABSTIME)?;
            self.armed_ns = Some(deadline_ns);
        }
        Ok(())
    }
}

impl Clock for MonotonicClock {
    fn now(&self) -> u64 {
        read(ClockId::CLOCK_MONOTONIC).saturating_sub(self.start_ns)
    }

    fn cpu(&self) -> Duration {
        Duration::from_nanos(read(ClockId::CLOCK_THREAD_CPUTIME_ID))
    }

    fn poll_until(&mut self, deadline_ns: u64, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        while self.now() < deadline_ns {
            self.arm(deadline_ns)?;
            // The timer is not read: setting it anew clears it, and readiness
            // is edge-triggered.
            ready!(self.timer.poll_read_ready(cx))?.clear_ready();
        }
        Poll::Ready(Ok(()))
    }
}

fn read(clock: ClockId) -> u64 {
    let time = clock_gettime(clock).expect("every Linux has these two clocks");
    u64::try_from(Duration::from(time).as_nanos()).unwrap_or(u64::MAX)
}

#[cfg(test)]
mod tests {
    use std::future::poll_fn;

    use super::*;

    #[test]
    fn the_alarm_is_never_early() {
        let runtime = tokio::runtime::Builder::new_current_thread()
            .enable_io()
            .build()
            .unwrap();
        runtime.block_on(async {
            let mut clock = MonotonicClock::start().unwrap();
            let mut last = 0;
            // Also a deadline in the past, and one nearer than the last.
            for deadline in [2_000_000, 0, 4_000_000, 4_500_000, 4_200_000] {
                poll_fn(|cx| clock.poll_until(deadline, cx)).await.unwrap();
                assert!(clock.now() >= deadline);
                assert!(clock.now() >= last);
                last = clock.now();
            }
            // A deadline that is replaced before it has come.
            let far = clock.now() + 3_600_000_000_000;
            let near = clock.now() + 1_000_000;
            let pending = poll_fn(|cx| Poll::Ready(clock.poll_until(far, cx).is_pending())).await;
            assert!(pending);
            poll_fn(|cx| clock.poll_until(near, cx)).await.unwrap();
            assert!(clock.now() >= near);
        });
    }
}
