//! What else the machine does while something of ours runs: CPU time that the
//! hypervisor gave to others, and that of processes that are not ours. What
//! follows from it is left to the analysis.
//!
//! A pause of the machine shows in no figure of the server: its requests are
//! simply slow. The kernel's counters tell such a trial from a slow setting.

use std::io::{self, BufReader};
use std::path::Path;
use std::time::Duration;

use autotune_model::HostLoad;
use procfs::{FromBufReadSI, KernelStats, current_system_info};

use crate::clock;
use crate::table::{Entry, ProcFs, ProcessTable, descendants};

/// The machine's counters at one moment.
#[derive(Clone, Copy, Debug)]
pub struct HostWatch {
    at_ns: u64,
    counters: Counters,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct Counters {
    cpus: u32,
    /// Over all CPUs, since the machine started.
    stolen: Duration,
    /// Of all processes but ours, since they began.
    others: Duration,
}

impl HostWatch {
    /// The watch begins.
    ///
    /// # Errors
    /// When `/proc` cannot be read.
    pub fn begin() -> io::Result<Self> {
        let entries = ProcFs::default().processes()?;
        let (cpus, stolen) = kernel(Path::new("/proc/stat"))?;
        Ok(Self {
            at_ns: clock::monotonic_ns(),
            counters: Counters {
                cpus,
                stolen,
                others: others(&entries, std::process::id()),
            },
        })
    }

    /// What happened since it began.
    ///
    /// # Errors
    /// When `/proc` cannot be read.
    pub fn end(&self) -> io::Result<HostLoad> {
        let now = Self::begin()?;
        let wall = Duration::from_nanos(now.at_ns.saturating_sub(self.at_ns));
        Ok(now.counters.since(self.counters, wall))
    }
}

impl Counters {
    /// A process that ended without being waited for takes its time with it, so
    /// that the sum can even fall.
    fn since(self, before: Self, wall: Duration) -> HostLoad {
        HostLoad {
            wall,
            cpus: self.cpus,
            stolen: self.stolen.saturating_sub(before.stolen),
            others: self.others.saturating_sub(before.others),
        }
    }
}

/// How many CPUs there are, and what was stolen from all of them.
fn kernel(stat: &Path) -> io::Result<(u32, Duration)> {
    let reader = BufReader::new(std::fs::File::open(stat)?);
    let stats =
        KernelStats::from_buf_read(reader, current_system_info()).map_err(io::Error::other)?;
    let cpus = u32::try_from(stats.cpu_time.len()).unwrap_or(u32::MAX);
    Ok((cpus, stats.total.steal_duration().unwrap_or_default()))
}

/// CPU time of all that does not descend from this program. What a process used
/// goes to its parent when it ends and is waited for, so the sum over all that
/// are there grows by just what was used, whoever came and went.
fn others(entries: &[Entry], program: u32) -> Duration {
    let ours = descendants(entries, program);
    let is_ours = |entry: &&Entry| {
        entry.key.pid == program || ours.iter().any(|one| one.key.pid == entry.key.pid)
    };
    let rest = entries.iter().filter(|entry| !is_ours(entry));
    rest.map(|entry| entry.cpu + entry.reaped_cpu).sum()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::table::tests::entry;

    fn used(pid: u32, parent: u32, cpu_s: u64, reaped_s: u64) -> Entry {
        Entry {
            cpu: Duration::from_secs(cpu_s),
            reaped_cpu: Duration::from_secs(reaped_s),
            ..entry(pid, parent)
        }
    }

    #[test]
    fn what_others_used_does_not_depend_on_who_came_and_went() {
        // 10 is the program, 20 its server; 30 is a shell with a compiler.
        let before = [
            used(1, 0, 5, 7),
            used(10, 1, 100, 0),
            used(20, 10, 50, 0),
            used(30, 1, 1, 0),
            used(31, 30, 4, 0),
        ];
        // The compiler used another second, ended and was waited for.
        let after = [
            used(1, 0, 5, 7),
            used(10, 1, 900, 3),
            used(20, 10, 80, 0),
            used(30, 1, 1, 5),
        ];
        let (before, after) = (others(&before, 10), others(&after, 10));
        assert_eq!(before, Duration::from_secs(17));
        assert_eq!(after - before, Duration::from_secs(1));
    }

    #[test]
    fn stolen_time_is_read_over_all_cpus() {
        let folder = tempfile::tempdir().expect("a folder");
        let stat = folder.path().join("stat");
        let text = "cpu  10 0 10 100 0 0 0 250 0 0\ncpu0 5 0 5 50 0 0 0 50 0 0\n\
            cpu1 5 0 5 50 0 0 0 200 0 0\nintr 1\nctxt 1\nbtime 1\nprocesses 1\n\
            procs_running 1\nprocs_blocked 0\n";
        std::fs::write(&stat, text).expect("a file");
        let (cpus, stolen) = kernel(&stat).expect("readable");
        let per_second = procfs::ticks_per_second() as f64;
        assert_eq!(cpus, 2);
        assert!((stolen.as_secs_f64() - 250.0 / per_second).abs() < 1e-6);
    }

    #[test]
    fn a_watch_gives_differences() {
        let watch = HostWatch::begin().expect("Linux has /proc");
        let seen = watch.end().expect("Linux has /proc");
        assert!(seen.cpus >= 1);
        assert!(seen.wall > Duration::ZERO);
        let counters = |stolen, others| Counters {
            cpus: 2,
            stolen: Duration::from_secs(stolen),
            others: Duration::from_secs(others),
        };
        let load = counters(3, 9).since(counters(1, 10), Duration::from_secs(4));
        assert_eq!(load.stolen, Duration::from_secs(2));
        assert_eq!(load.others, Duration::ZERO);
    }
}
