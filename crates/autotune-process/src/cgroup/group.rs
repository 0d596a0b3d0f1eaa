//! A group of our own: made with its limits, entered, counted, emptied, removed.

use std::fs::{File, OpenOptions};
use std::io;
use std::os::fd::{AsRawFd, RawFd};
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

use autotune_model::{Bytes, HostLimits};
use nix::errno::Errno;
use nix::unistd::AccessFlags;

use super::hierarchy::{Controller, Version, hierarchies};
use super::plan::{Level, Place, Refusal, plan};
use crate::sys;
use crate::table::{ProcFs, ProcessTable};

/// The kernel's usual period of a CPU quota.
const PERIOD_US: u64 = 100_000;
/// How long the kernel may take until a group whose processes have ended can be
/// removed.
const REMOVE_PATIENCE: Duration = Duration::from_secs(2);
const PAUSE: Duration = Duration::from_millis(5);

/// Why a group cannot be made.
#[derive(Debug)]
pub(crate) struct Fault {
    pub(crate) path: PathBuf,
    pub(crate) source: io::Error,
    /// In words, where it is more than an error of the system.
    pub(crate) refusal: Option<Refusal>,
}

impl Fault {
    /// For people.
    pub(crate) fn text(&self) -> String {
        match &self.refusal {
            Some(refusal) => refusal.to_string(),
            None => format!("cannot write {}: {}", self.path.display(), self.source),
        }
    }

    fn at(path: &Path) -> impl FnOnce(io::Error) -> Self {
        let path = path.to_owned();
        move |source| Self {
            path,
            source,
            refusal: None,
        }
    }
}

/// A group, in one tree of the kernel or in several.
#[derive(Debug, Default)]
pub(crate) struct Group {
    folders: Vec<PathBuf>,
    /// Open for a process to enter by; opened here, since a server that is put
    /// into a user namespace may no longer be permitted to.
    doors: Vec<File>,
    /// Which file counts the processes that the kernel killed for want of memory.
    ooms: Option<PathBuf>,
}

impl Group {
    /// Makes a group of this name with these limits, where this process may.
    pub(crate) fn make(name: &str, limits: &HostLimits) -> Result<Self, Fault> {
        let mut wanted = Vec::new();
        wanted.extend(limits.memory.map(|_| Controller::Memory));
        wanted.extend(limits.cpus.map(|_| Controller::Cpu));
        let places = places_here(&wanted)?;
        Self::make_in(&places, name, limits)
    }

    fn make_in(places: &[Place], name: &str, limits: &HostLimits) -> Result<Self, Fault> {
        let mut group = Self::default();
        for place in places {
            if let Err(fault) = group.make_one(place, name, limits) {
                // What was made so far is empty, and goes at once.
                group.remove();
                return Err(fault);
            }
        }
        Ok(group)
    }

    fn make_one(&mut self, place: &Place, name: &str, limits: &HostLimits) -> Result<(), Fault> {
        for controller in &place.enable {
            let path = place.parent.join("cgroup.subtree_control");
            write(&path, &format!("+{controller}"))?;
        }
        let folder = place.parent.join(name);
        std::fs::create_dir(&folder).map_err(Fault::at(&folder))?;
        self.folders.push(folder.clone());
        for (file, value) in settings(place, limits) {
            write(&folder.join(file), &value)?;
        }
        if place.controllers.contains(&Controller::Memory) {
            self.without_swap(&folder, place.version, limits)?;
            self.ooms = Some(folder.join(match place.version {
                Version::One => "memory.oom_control",
                Version::Two => "memory.events",
            }));
        }
        let door = folder.join("cgroup.procs");
        let open = OpenOptions::new().write(true).open(&door);
        self.doors.push(open.map_err(Fault::at(&door))?);
        Ok(())
    }

    /// A server that swaps instead of dying is not what the limit is for. A
    /// kernel without swap accounting has no such file.
    fn without_swap(
        &self,
        folder: &Path,
        version: Version,
        limits: &HostLimits,
    ) -> Result<(), Fault> {
        let bytes = limits.memory.map_or(0, |bytes| bytes.get());
        let ways = match version {
            Version::One => [
                ("memory.memsw.limit_in_bytes", bytes),
                ("memory.swappiness", 0),
            ],
            Version::Two => [("memory.swap.max", 0), ("memory.zswap.max", 0)],
        };
        for (file, value) in ways {
            let path = folder.join(file);
            if path.exists() {
                write(&path, &value.to_string())?;
            }
        }
        Ok(())
    }

    /// The group that this process was put into by others, of which only the count
    /// is ours. A systemd that has not got a controller takes its limits all the
    /// same and does nothing: what is not in effect is a fault.
    pub(crate) fn own(limits: &HostLimits) -> Result<Self, Fault> {
        let (mounts, membership) = texts();
        let own = hierarchies(&mounts, &membership)
            .into_iter()
            .filter(|one| one.version == Version::Two)
            .find_map(|one| one.own);
        let folder = own.unwrap_or_else(|| PathBuf::from("/sys/fs/cgroup"));
        if !are_in_effect(&folder, limits) {
            return Err(Fault::at(&folder)(Errno::EOPNOTSUPP.into()));
        }
        let memory = limits.memory.map(|_| folder.join("memory.events"));
        Ok(Self {
            ooms: memory,
            ..Self::default()
        })
    }

    /// Where it is, or one of its places; empty where there is none.
    pub(crate) fn folder(&self) -> PathBuf {
        self.folders.first().cloned().unwrap_or_default()
    }

    /// What must stay open for [`Group::enter`].
    pub(crate) fn descriptors(&self) -> Vec<RawFd> {
        self.doors.iter().map(AsRawFd::as_raw_fd).collect()
    }

    /// Puts the calling process into the group, and with it all that it makes
    /// later. Only writes: can be called between fork and exec.
    pub(crate) fn enter(&self) -> nix::Result<()> {
        for door in &self.doors {
            // Zero stands for the one who writes, whatever its number here is.
            nix::unistd::write(door, b"0")?;
        }
        Ok(())
    }

    /// How many processes of the group the kernel killed for want of memory;
    /// `None` without a group that limits memory, and where it cannot be read.
    ///
    /// The kernel also counts those here that it killed because the machine, or a
    /// group around this one, had no memory left. Where this group never came to
    /// its own limit they are not told as its own.
    pub(crate) fn oom_kills(&self) -> Option<u64> {
        let path = self.ooms.as_ref()?;
        let text = std::fs::read_to_string(path).ok()?;
        let kills = count(&text, "oom_kill")?;
        let number = |file: &str| {
            let text = std::fs::read_to_string(path.with_file_name(file)).ok()?;
            text.trim().parse::<u64>().ok()
        };
        let most = number("memory.max_usage_in_bytes").zip(number("memory.limit_in_bytes"));
        (kills == 0 || came_to_its_limit(&text, most)).then_some(kills)
    }

    /// Removes the group, which nothing is left in; gives what resists.
    pub(crate) fn remove(&mut self) -> Vec<PathBuf> {
        self.doors.clear();
        let mut left = std::mem::take(&mut self.folders);
        left.retain(|folder| remove(folder).is_err());
        left
    }
}

/// Removes a group with all groups within it, once its processes have ended.
pub(super) fn remove(folder: &Path) -> io::Result<()> {
    for inner in inner_groups(folder)? {
        remove(&inner)?;
    }
    let began = Instant::now();
    loop {
        match std::fs::remove_dir(folder) {
            Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(()),
            // Those that have just ended still count for a moment.
            Err(error)
                if error.raw_os_error() == Some(Errno::EBUSY as i32)
                    && began.elapsed() < REMOVE_PATIENCE =>
            {
                std::thread::sleep(PAUSE);
            }
            done => return done,
        }
    }
}

/// The groups right within one; none where it has gone meanwhile.
pub(super) fn inner_groups(folder: &Path) -> io::Result<Vec<PathBuf>> {
    let entries = match std::fs::read_dir(folder) {
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(Vec::new()),
        entries => entries?,
    };
    let mut found = Vec::new();
    for entry in entries {
        let entry = entry?;
        if entry.file_type()?.is_dir() {
            found.push(entry.path());
        }
    }
    Ok(found)
}

/// Kills whoever is in the group.
pub(super) fn kill_all(folder: &Path) -> io::Result<()> {
    let table = ProcFs::default();
    let text = std::fs::read_to_string(folder.join("cgroup.procs"))?;
    for pid in text.lines().filter_map(|line| line.parse().ok()) {
        // One that has ended meanwhile has no entry.
        if let Some(entry) = table.entry(pid) {
            sys::kill(entry.key)?;
        }
    }
    Ok(())
}

/// The texts that tell of the groups of this process; empty where there are none.
pub(super) fn texts() -> (String, String) {
    let read = |path| std::fs::read_to_string(path).unwrap_or_default();
    (read("/proc/self/mountinfo"), read("/proc/self/cgroup"))
}

fn places_here(wanted: &[Controller]) -> Result<Vec<Place>, Fault> {
    let (mounts, membership) = texts();
    plan(&hierarchies(&mounts, &membership), wanted, &look).map_err(|refusal| Fault {
        path: PathBuf::from("/sys/fs/cgroup"),
        source: Errno::EACCES.into(),
        refusal: Some(refusal),
    })
}

fn look(dir: &Path) -> Level {
    let words = |file: &str| {
        let text = std::fs::read_to_string(dir.join(file)).unwrap_or_default();
        Controller::named(text.split_whitespace())
    };
    let may_write = |path: &Path| nix::unistd::access(path, AccessFlags::W_OK).is_ok();
    let processes = std::fs::read_to_string(dir.join("cgroup.procs")).unwrap_or_default();
    Level {
        writable: may_write(dir) && may_write(&dir.join("cgroup.procs")),
        available: words("cgroup.controllers"),
        enabled: words("cgroup.subtree_control"),
        has_processes: !processes.trim().is_empty(),
        // Every group but the machine's root has a type.
        is_root: !dir.join("cgroup.type").exists(),
    }
}

/// The files that hold the limits, with what is to be written.
fn settings(place: &Place, limits: &HostLimits) -> Vec<(&'static str, String)> {
    let has = |controller| place.controllers.contains(&controller);
    let memory = limits.memory.filter(|_| has(Controller::Memory));
    let cpus = limits.cpus.filter(|_| has(Controller::Cpu));
    let quota_us = cpus.map(|cpus| u64::from(cpus.thousandths()) * PERIOD_US / 1000);
    let mut files = Vec::new();
    match place.version {
        Version::One => {
            files.extend(memory.map(|bytes| ("memory.limit_in_bytes", bytes.get().to_string())));
            if let Some(quota_us) = quota_us {
                files.push(("cpu.cfs_period_us", PERIOD_US.to_string()));
                files.push(("cpu.cfs_quota_us", quota_us.to_string()));
            }
        }
        Version::Two => {
            files.extend(memory.map(|bytes| ("memory.max", bytes.get().to_string())));
            files.extend(quota_us.map(|us| ("cpu.max", format!("{us} {PERIOD_US}"))));
        }
    }
    files
}

/// Whether a group of version 2 has these limits, or a little less: memory is
/// counted in pages, and the period of a quota is systemd's to choose.
fn are_in_effect(folder: &Path, limits: &HostLimits) -> bool {
    let read = |file: &str| std::fs::read_to_string(folder.join(file)).unwrap_or_default();
    let is_held = |wanted: f64, found: Option<f64>| {
        found.is_some_and(|found| found <= wanted * 1.001 && found >= wanted * 0.9)
    };
    let memory = limits.memory.is_none_or(|bytes| {
        let found = read("memory.max").trim().parse().ok();
        is_held(bytes.get() as f64, found)
    });
    let cpus = limits.cpus.is_none_or(|cpus| {
        let text = read("cpu.max");
        let found = text.trim().split_once(' ').and_then(|(quota, period)| {
            Some(quota.parse::<f64>().ok()? / period.parse::<f64>().ok()?)
        });
        is_held(cpus.cpus(), found)
    });
    memory && cpus
}

fn write(path: &Path, text: &str) -> Result<(), Fault> {
    std::fs::write(path, text).map_err(Fault::at(path))
}

/// Version 2 counts it beside the kills. Version 1 tells the most that was used,
/// and the limit; its own count stays at zero where memory and swap have the same
/// limit.
fn came_to_its_limit(events: &str, most: Option<(u64, u64)>) -> bool {
    match (count(events, "oom"), most) {
        (Some(times), _) => times > 0,
        (None, Some((most, limit))) => most + Bytes::MIB.get() >= limit,
        // The kill is all that is told.
        (None, None) => true,
    }
}

/// `oom_kill 3` among the lines of both versions' files.
fn count(text: &str, name: &str) -> Option<u64> {
    let line = |line: &str| {
        let (found, number) = line.split_once(' ')?;
        (found == name).then(|| number.trim().parse().ok())?
    };
    text.lines().find_map(line)
}

#[cfg(test)]
mod tests {
    use autotune_model::CpuQuota;

    use super::*;

    fn limits() -> HostLimits {
        HostLimits {
            memory: Some(Bytes::new(64 << 20)),
            cpus: CpuQuota::new(1.5),
            files: None,
        }
    }

    /// A folder that looks like a group of version 2, in which a new folder has
    /// these files at once.
    fn unified(version: Version) -> (tempfile::TempDir, Place) {
        let folder = tempfile::tempdir().expect("a folder");
        let place = Place {
            version,
            parent: folder.path().to_owned(),
            controllers: Controller::ALL.to_vec(),
            enable: vec![Controller::Cpu],
        };
        (folder, place)
    }

    #[test]
    fn limits_are_written_as_each_version_has_them() {
        let texts = |version| {
            let (_folder, place) = unified(version);
            let files = settings(&place, &limits());
            let files: Vec<_> = files.iter().map(|(f, v)| format!("{f}={v}")).collect();
            files.join(" ")
        };
        assert_eq!(
            texts(Version::Two),
            "memory.max=67108864 cpu.max=150000 100000"
        );
        assert_eq!(
            texts(Version::One),
            "memory.limit_in_bytes=67108864 cpu.cfs_period_us=100000 cpu.cfs_quota_us=150000"
        );
    }

    #[test]
    fn limits_are_set_before_anybody_can_enter() {
        let (folder, place) = unified(Version::Two);
        // A plain folder has no file `cgroup.procs`.
        let fault =
            Group::make_in(std::slice::from_ref(&place), "ours", &limits()).expect_err("no way in");
        assert_eq!(fault.path, folder.path().join("ours/cgroup.procs"));
        let enabled = std::fs::read_to_string(folder.path().join("cgroup.subtree_control"));
        assert_eq!(enabled.expect("written"), "+cpu");
        let max = std::fs::read_to_string(folder.path().join("ours/cpu.max"));
        assert_eq!(max.expect("written"), "150000 100000");
    }

    #[test]
    fn limits_that_systemd_only_took_note_of_are_not_in_effect() {
        let (folder, _) = unified(Version::Two);
        let check = |memory: &str, cpu: &str, expected: bool| {
            for (file, text) in [("memory.max", memory), ("cpu.max", cpu)] {
                std::fs::write(folder.path().join(file), text).expect("written");
            }
            assert_eq!(
                are_in_effect(folder.path(), &limits()),
                expected,
                "{memory} {cpu}"
            );
        };
        assert!(!are_in_effect(folder.path(), &limits()), "no files");
        check("67108864\n", "150000 100000\n", true);
        check("67106816\n", "15000 10000\n", true);
        check("max\n", "150000 100000\n", false);
        check("67108864\n", "max 100000\n", false);
        check("134217728\n", "150000 100000\n", false);
        check("67108864\n", "200000 100000\n", false);
    }

    #[test]
    fn the_kernels_count_is_read() {
        let events = "low 0\nhigh 0\nmax 41\noom 2\noom_kill 3\noom_group_kill 0\n";
        assert_eq!(count(events, "oom_kill"), Some(3));
        assert_eq!(
            count("oom_kill_disable 0\nunder_oom 0\noom_kill 1\n", "oom_kill"),
            Some(1)
        );
        assert_eq!(count("oom_kill_disable 0\nunder_oom 0\n", "oom_kill"), None);
    }

    #[test]
    fn kills_for_want_of_the_machines_memory_are_not_the_groups() {
        assert!(came_to_its_limit("oom 2\noom_kill 3\n", None));
        assert!(!came_to_its_limit("oom 0\noom_kill 3\n", None));
        assert!(came_to_its_limit(
            "oom_kill 3\n",
            Some((67_000_000, 67_108_864))
        ));
        assert!(!came_to_its_limit(
            "oom_kill 3\n",
            Some((40_000_000, 67_108_864))
        ));
        // Where neither is told, the kill is all that there is.
        assert!(came_to_its_limit("oom_kill 3\n", None));
    }
}
