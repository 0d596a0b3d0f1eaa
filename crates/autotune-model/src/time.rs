//! One time axis per trial.
//!
//! Every time within a trial is a number of nanoseconds of `CLOCK_MONOTONIC`
//! since the trial's start. Both ends of the axis are anchored to the wall
//! clock and to the boot clock, so that a jump between them (suspend, a clock
//! that was set) is seen.

use std::time::Duration;

/// The three clocks, read together.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Anchor {
    /// `CLOCK_MONOTONIC`, nanoseconds.
    pub monotonic_ns: u64,
    /// `CLOCK_BOOTTIME`, nanoseconds; goes on while the machine sleeps.
    pub boot_ns: u64,
    /// The wall clock, nanoseconds since 1970 UTC.
    pub wall_ns: i64,
}

/// A stretch of time between two anchors.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Span {
    /// Where the axis begins.
    pub start: Anchor,
    /// Where it ends.
    pub end: Anchor,
}

impl Span {
    /// The length by the boot clock: what counts against the budget.
    pub fn length(&self) -> Duration {
        Duration::from_nanos(self.end.boot_ns.saturating_sub(self.start.boot_ns))
    }

    /// By how much boot or wall time differ from monotonic time. More than a
    /// little invalidates a trial.
    pub fn jump(&self) -> Duration {
        let monotonic = self
            .end
            .monotonic_ns
            .saturating_sub(self.start.monotonic_ns);
        let boot = self.end.boot_ns.saturating_sub(self.start.boot_ns);
        let wall = self.end.wall_ns.saturating_sub(self.start.wall_ns);
        let by_boot = boot.abs_diff(monotonic);
        let by_wall = i128::from(wall).abs_diff(i128::from(monotonic));
        let by_wall = u64::try_from(by_wall).unwrap_or(u64::MAX);
        Duration::from_nanos(by_boot.max(by_wall))
    }
}
