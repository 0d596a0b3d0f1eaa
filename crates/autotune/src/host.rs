//! This machine: its facts for the report, its name for claims, and the lock that
//! keeps two measurements from spoiling each other.

use std::time::{SystemTime, UNIX_EPOCH};

use autotune_model::{Bytes, CpuPlacement, ErrorCode, HostFacts};
use autotune_store::HostLock;
use sha2::{Digest, Sha256};
use sysinfo::{CpuRefreshKind, MemoryRefreshKind, RefreshKind, System};

use crate::awake::Awake;
use crate::failure::Failure;

/// Read once, at the start of a study.
pub(crate) fn facts(placement: &CpuPlacement, awake: &Awake) -> HostFacts {
    let what = RefreshKind::nothing()
        .with_cpu(CpuRefreshKind::nothing())
        .with_memory(MemoryRefreshKind::nothing().with_ram().with_swap());
    // A fact that cannot be read is shown as unknown; nothing rests on it.
    let system = System::new_with_specifics(what).ok();
    let unknown = || "unknown".to_owned();
    let cpu = system.as_ref().and_then(|system| system.cpus().first());
    let cpu = cpu.map_or_else(unknown, |cpu| cpu.brand().trim().to_owned());
    let clock = "/sys/devices/system/clocksource/clocksource0/current_clocksource";
    let clock = std::fs::read_to_string(clock).map_or_else(|_| unknown(), |t| t.trim().to_owned());
    let set = |set: &Option<autotune_model::CpuSet>| {
        set.as_ref()
            .map_or_else(|| "not pinned".to_owned(), ToString::to_string)
    };
    let facts = [
        (
            "system",
            System::long_os_version().unwrap_or_else(|_| unknown()),
        ),
        (
            "kernel",
            System::kernel_version().unwrap_or_else(|_| unknown()),
        ),
        ("cpu", cpu),
        (
            "cpus",
            system
                .as_ref()
                .map_or_else(unknown, |system| system.cpus().len().to_string()),
        ),
        ("cpus of the server", set(&placement.server)),
        ("cpus of the generator", set(&placement.generator)),
        ("idle states of the cpus", awake.fact()),
        (
            "memory",
            system
                .as_ref()
                .map_or_else(unknown, |s| Bytes::new(s.total_memory()).to_string()),
        ),
        (
            "swap",
            system
                .as_ref()
                .map_or_else(unknown, |s| Bytes::new(s.total_swap()).to_string()),
        ),
        ("clock", clock),
    ];
    HostFacts {
        facts: facts.into_iter().map(|(k, v)| (k.to_owned(), v)).collect(),
    }
}

/// Holds the machine for one measurement at a time, until it is dropped.
///
/// # Errors
/// When another sweep or trial runs.
pub(crate) fn lock() -> Result<HostLock, Failure> {
    HostLock::take(&std::env::temp_dir().join("autotune.lock")).map_err(|error| {
        Failure::stopped(ErrorCode::HostBusy, "another sweep runs on this machine")
            .because(error)
            .hint("two sweeps at a time spoil each other; wait for it or end it")
    })
}

/// Names the machine and not the process: one sweep runs on a machine at a time,
/// so that what a killed one has claimed is its successor's. A host's name will
/// not do, which a container is given anew; without an identity of the machine
/// that of this boot of its kernel is taken.
pub(crate) fn identity() -> String {
    let files = ["/etc/machine-id", "/proc/sys/kernel/random/boot_id"];
    let texts = files
        .iter()
        .filter_map(|path| std::fs::read_to_string(path).ok());
    // As systemd writes before the first boot is complete.
    let mut known = texts.map(|text| text.trim().to_owned());
    let known = known
        .find(|text| !text.is_empty() && text != "uninitialized")
        .or_else(|| System::host_name().ok())
        .unwrap_or_else(|| "localhost".to_owned());
    // The identity itself is nobody else's business, and studies are shared.
    let digest = Sha256::digest(format!("autotune {known}"));
    digest
        .iter()
        .take(8)
        .map(|byte| format!("{byte:02x}"))
        .collect()
}

/// Nanoseconds since 1970 UTC.
pub(crate) fn now_wall_ns() -> i64 {
    let now = SystemTime::now()
        .duration_since(UNIX_EPOCH)
        .unwrap_or_default();
    i64::try_from(now.as_nanos()).unwrap_or(i64::MAX)
}
