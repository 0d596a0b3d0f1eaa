//! What this machine is like right now, as far as it can disturb a measurement.
//! Only read here; `host_problems` judges it. What cannot be read is unknown, and
//! nothing is said of it.

use std::path::Path;
use std::time::Duration;

use autotune_model::Bytes;
use nix::sys::statvfs::statvfs;
use sysinfo::{
    MemoryRefreshKind, ProcessRefreshKind, ProcessesToUpdate, RefreshKind, System, get_current_pid,
};

use crate::awake::{Awake, Refusal};
use crate::failure::Failure;
use crate::placement;

/// How long the machine is looked at.
const LOOK: Duration = Duration::from_secs(1);

/// The machine at one moment.
#[derive(Clone, Debug, Default, PartialEq)]
pub(crate) struct HostState {
    /// The CPUs that this process may use.
    pub(crate) cpus: Vec<usize>,
    /// How many CPUs the cgroup gives; `None` without a quota.
    pub(crate) quota: Option<f64>,
    /// Why the CPUs cannot be kept awake although that is asked for.
    pub(crate) asleep: Option<Refusal>,
    /// By CPU, where the kernel says.
    pub(crate) governors: Vec<(usize, String)>,
    /// What was done in the last second, this program idle.
    pub(crate) use_now: Option<UseNow>,
    /// The process that was busiest then, with the CPUs that it took.
    pub(crate) busiest: Option<(String, f64)>,
    /// Processes that ran or wanted to, mean of the last minute, and all CPUs of
    /// the machine.
    pub(crate) load: Option<(f64, usize)>,
    /// Memory and swap.
    pub(crate) memory: Option<Memory>,
    /// How many files the load engine may open.
    pub(crate) files: u64,
    /// What is free where the results go.
    pub(crate) disk: Option<Bytes>,
}

/// What the CPUs of the machine did.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(crate) struct UseNow {
    /// In CPUs.
    pub(crate) busy: f64,
    /// What the hypervisor gave to others, in CPUs.
    pub(crate) stolen: f64,
}

/// Memory and swap.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Memory {
    pub(crate) total: Bytes,
    pub(crate) available: Bytes,
    pub(crate) swapped: Bytes,
}

/// Looks at the machine for a second; the results go to this folder.
///
/// # Errors
/// When the system does not say which CPUs there are.
pub(crate) async fn read(awake: &Awake, results: &Path) -> Result<HostState, Failure> {
    let cpus = placement::allowed()?.as_slice().to_vec();
    let governors = cpus.iter().filter_map(|cpu| Some((*cpu, governor(*cpu)?)));
    let governors = governors.collect();
    // Read before the look, which keeps the machine busy for a moment.
    let load = System::load_average().ok().map(|load| load.one);
    let (use_now, busiest) = look().await;
    let stat = std::fs::read_to_string("/proc/stat").unwrap_or_default();
    Ok(HostState {
        cpus,
        quota: placement::quota_now(),
        asleep: awake.refusal(),
        governors,
        use_now,
        busiest,
        load: load.map(|load| (load, all_cpus(&stat))),
        memory: memory(),
        files: autotune_trial::most_files(),
        disk: free(results),
    })
}

fn governor(cpu: usize) -> Option<String> {
    let path = format!("/sys/devices/system/cpu/cpu{cpu}/cpufreq/scaling_governor");
    Some(std::fs::read_to_string(path).ok()?.trim().to_owned())
}

async fn look() -> (Option<UseNow>, Option<(String, f64)>) {
    let mut system = System::new().ok();
    let mut refresh = || {
        let kind = ProcessRefreshKind::nothing().with_cpu();
        if let Some(system) = &mut system {
            system.refresh_processes_specifics(ProcessesToUpdate::All, true, kind);
        }
    };
    refresh();
    // Looking at all processes is work, too: it stays out of the second.
    let before = cpu_times();
    tokio::time::sleep(LOOK).await;
    let after = cpu_times();
    refresh();
    let use_now = before
        .zip(after)
        .and_then(|(before, after)| difference(before, after));
    (use_now, system.as_ref().and_then(busiest))
}

/// The process that used the most of the CPUs between the two looks.
fn busiest(system: &System) -> Option<(String, f64)> {
    let own = get_current_pid().ok();
    let others = system.processes().values();
    let others = others.filter(|one| Some(one.pid()) != own && one.thread_kind().is_none());
    let most = others.max_by(|a, b| a.cpu_usage().total_cmp(&b.cpu_usage()))?;
    let name = most.name().to_string_lossy();
    let text = format!("process {} ({name})", most.pid());
    Some((text, f64::from(most.cpu_usage()) / 100.0))
}

/// Of all CPUs since boot, in ticks.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct CpuTimes {
    busy: u64,
    stolen: u64,
    total: u64,
    cpus: usize,
}

fn cpu_times() -> Option<CpuTimes> {
    parse(&std::fs::read_to_string("/proc/stat").ok()?)
}

/// `cpu  user nice system idle iowait irq softirq steal guest guest_nice`; the
/// guests' time is part of the first two.
fn parse(stat: &str) -> Option<CpuTimes> {
    let line = stat.lines().find_map(|line| line.strip_prefix("cpu "))?;
    let ticks: Result<Vec<u64>, _> = line.split_whitespace().take(8).map(str::parse).collect();
    let ticks = ticks.ok()?;
    let [user, nice, system, idle, iowait, irq, softirq, stolen] = ticks[..] else {
        return None;
    };
    let busy = user + nice + system + irq + softirq;
    Some(CpuTimes {
        busy,
        stolen,
        total: busy + stolen + idle + iowait,
        cpus: all_cpus(stat),
    })
}

fn all_cpus(stat: &str) -> usize {
    let lines = stat.lines().filter_map(|line| line.strip_prefix("cpu"));
    lines
        .filter(|rest| rest.starts_with(|c: char| c.is_ascii_digit()))
        .count()
}

fn difference(before: CpuTimes, after: CpuTimes) -> Option<UseNow> {
    let total = after
        .total
        .checked_sub(before.total)
        .filter(|all| *all > 0)?;
    let in_cpus =
        |from: u64, to: u64| to.saturating_sub(from) as f64 / total as f64 * after.cpus as f64;
    Some(UseNow {
        busy: in_cpus(before.busy, after.busy),
        stolen: in_cpus(before.stolen, after.stolen),
    })
}

fn memory() -> Option<Memory> {
    let what = MemoryRefreshKind::nothing().with_ram().with_swap();
    let system = System::new_with_specifics(RefreshKind::nothing().with_memory(what)).ok()?;
    Some(Memory {
        total: Bytes::new(system.total_memory()),
        available: Bytes::new(system.available_memory()),
        swapped: Bytes::new(system.used_swap()),
    })
}

/// What is free on the disk of a folder that need not be there yet.
fn free(folder: &Path) -> Option<Bytes> {
    let there = std::path::absolute(folder).ok()?;
    let there = there.ancestors().find(|path| path.exists())?;
    let disk = statvfs(there).ok()?;
    let bytes = disk.blocks_available().saturating_mul(disk.fragment_size());
    Some(Bytes::new(bytes))
}

#[cfg(test)]
mod tests {
    use super::*;

    const STAT: &str = "cpu  100 10 50 800 20 5 5 10 7 0\ncpu0 1 1 1 1\ncpu1 1 1 1 1\nintr 5\n";

    #[test]
    fn what_the_cpus_did_in_between() {
        let before = parse(STAT).unwrap();
        assert_eq!((before.busy, before.stolen, before.cpus), (170, 10, 2));
        assert_eq!(before.total, 1000);
        let later = STAT.replace(
            "cpu  100 10 50 800 20 5 5 10",
            "cpu  150 10 50 940 20 5 5 20",
        );
        let seen = difference(before, parse(&later).unwrap()).unwrap();
        // 50 and 10 of 200 ticks, on two CPUs.
        assert_eq!((seen.busy, seen.stolen), (0.5, 0.1));
        assert_eq!(difference(before, before), None);
        assert_eq!(parse("cpu  1 2 3\n"), None);
    }

    #[test]
    fn a_folder_that_is_not_there_yet_has_the_disk_of_the_one_above() {
        let folder = tempfile::tempdir().unwrap();
        let below = folder.path().join("results/night");
        assert!(free(&below).is_some());
    }
}
