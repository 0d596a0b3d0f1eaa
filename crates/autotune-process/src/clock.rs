//! Reads the three clocks that a trial's time axis is anchored to. What is done
//! with them is left to others.

use autotune_model::Anchor;
use nix::time::{ClockId, clock_gettime};

/// All three clocks, read one after the other.
pub fn anchor() -> Anchor {
    let wall = read(ClockId::CLOCK_REALTIME);
    Anchor {
        monotonic_ns: monotonic_ns(),
        boot_ns: nanoseconds(ClockId::CLOCK_BOOTTIME),
        wall_ns: wall.0.saturating_mul(1_000_000_000).saturating_add(wall.1),
    }
}

/// `CLOCK_MONOTONIC` in nanoseconds: equal in all processes of the machine.
pub fn monotonic_ns() -> u64 {
    nanoseconds(ClockId::CLOCK_MONOTONIC)
}

fn nanoseconds(clock: ClockId) -> u64 {
    let (seconds, rest) = read(clock);
    let nanoseconds = seconds.saturating_mul(1_000_000_000).saturating_add(rest);
    u64::try_from(nanoseconds).expect("clocks that count from boot are not negative")
}

fn read(clock: ClockId) -> (i64, i64) {
    let time = clock_gettime(clock).expect("every Linux has this clock");
    (time.tv_sec(), time.tv_nsec())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_clocks_go_forward_and_agree_with_the_system() {
        let first = anchor();
        let second = anchor();
        assert!(second.monotonic_ns >= first.monotonic_ns);
        assert!(second.boot_ns >= second.monotonic_ns);
        let system = std::time::SystemTime::now()
            .duration_since(std::time::UNIX_EPOCH)
            .expect("the clock of a test machine is past 1970");
        let system = i128::try_from(system.as_nanos()).expect("fits for centuries");
        assert!((system - i128::from(second.wall_ns)).abs() < 60_000_000_000);
    }
}
