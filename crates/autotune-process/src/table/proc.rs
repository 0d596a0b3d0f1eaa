//! The real process table: `/proc`, or a folder with the same files.

use std::io::{self, BufReader};
use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};
use std::time::Duration;

use autotune_model::Bytes;
use procfs::process::{SmapsRollup, Stat};
use procfs::{FromBufRead, FromRead};

use super::net::beyond_loopback;
use super::{Connection, Entry, Memory, ProcessKey, ProcessTable, Protocol};

/// Reads below a root.
#[derive(Clone, Debug)]
pub(crate) struct ProcFs {
    root: PathBuf,
}

impl Default for ProcFs {
    fn default() -> Self {
        Self {
            root: PathBuf::from("/proc"),
        }
    }
}

impl ProcFs {
    /// Its environment as it was given at its start; `None` where it is gone or
    /// may not be read.
    pub(crate) fn environment(&self, pid: u32) -> Option<Vec<u8>> {
        std::fs::read(self.file(pid, "environ")).ok()
    }

    fn file(&self, pid: u32, name: &str) -> PathBuf {
        self.root.join(pid.to_string()).join(name)
    }

    fn pids(&self) -> io::Result<Vec<u32>> {
        let mut pids = Vec::new();
        for entry in std::fs::read_dir(&self.root)? {
            let name = entry?.file_name();
            pids.extend(name.to_str().and_then(|name| name.parse::<u32>().ok()));
        }
        Ok(pids)
    }
}

impl ProcessTable for ProcFs {
    fn processes(&self) -> io::Result<Vec<Entry>> {
        Ok(self
            .pids()?
            .into_iter()
            .filter_map(|pid| self.entry(pid))
            .collect())
    }

    fn entry(&self, pid: u32) -> Option<Entry> {
        let file = std::fs::File::open(self.file(pid, "stat")).ok()?;
        entry(&Stat::from_read(file).ok()?)
    }

    fn memory(&self, pid: u32) -> Option<Memory> {
        let file = std::fs::File::open(self.file(pid, "smaps_rollup")).ok()?;
        let rollup = SmapsRollup::from_buf_read(BufReader::new(file)).ok()?;
        let fields = &rollup.memory_map_rollup.0.first()?.extension.map;
        let field = |name: &str| fields.get(name).copied();
        Some(Memory {
            pss: Bytes::new(field("Pss")?),
            uss: Bytes::new(field("Private_Clean")?.saturating_add(field("Private_Dirty")?)),
            // Missing where the kernel has no swap.
            swap_pss: Bytes::new(field("SwapPss").unwrap_or_default()),
        })
    }

    fn sockets(&self, pid: u32) -> Vec<u64> {
        let Ok(folder) = std::fs::read_dir(self.file(pid, "fd")) else {
            return Vec::new();
        };
        folder
            .filter_map(|entry| socket_inode(&std::fs::read_link(entry.ok()?.path()).ok()?))
            .collect()
    }

    fn network(&self, pid: u32) -> Option<u64> {
        std::fs::metadata(self.file(pid, "ns/net"))
            .ok()
            .map(|metadata| metadata.ino())
    }

    fn connections(&self, pid: u32) -> Vec<Connection> {
        let files = [
            ("net/tcp", Protocol::Tcp),
            ("net/tcp6", Protocol::Tcp),
            ("net/udp", Protocol::Udp),
            ("net/udp6", Protocol::Udp),
        ];
        files
            .iter()
            .filter_map(|(name, protocol)| {
                let text = std::fs::read_to_string(self.file(pid, name)).ok()?;
                Some(beyond_loopback(&text, *protocol))
            })
            .flatten()
            .collect()
    }
}

fn entry(stat: &Stat) -> Option<Entry> {
    let per_second = procfs::ticks_per_second().max(1);
    let time = |ticks: u64| Duration::from_nanos(ticks.saturating_mul(1_000_000_000 / per_second));
    let reaped = stat.cutime.saturating_add(stat.cstime);
    Some(Entry {
        key: ProcessKey {
            pid: u32::try_from(stat.pid).ok()?,
            start_time: stat.starttime,
        },
        parent: u32::try_from(stat.ppid).ok()?,
        dead: matches!(stat.state, 'Z' | 'X' | 'x'),
        cpu: time(stat.utime.saturating_add(stat.stime)),
        reaped_cpu: time(u64::try_from(reaped).unwrap_or_default()),
        threads: u32::try_from(stat.num_threads).unwrap_or_default(),
        rss: Bytes::new(stat.rss.saturating_mul(procfs::page_size())),
    })
}

/// `socket:[123]`.
fn socket_inode(link: &Path) -> Option<u64> {
    link.to_str()?
        .strip_prefix("socket:[")?
        .strip_suffix(']')?
        .parse()
        .ok()
}

/// The number that a process has in its own PID namespace, as it stands in the
/// server's log; `None` where the process is gone.
pub fn inner_pid(pid: u32) -> Option<u32> {
    innermost(&std::fs::read_to_string(format!("/proc/{pid}/status")).ok()?)
}

fn innermost(status: &str) -> Option<u32> {
    let line = status
        .lines()
        .find_map(|line| line.strip_prefix("NSpid:"))?;
    line.split_ascii_whitespace().next_back()?.parse().ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn write(root: &Path, name: &str, text: &str) {
        let path = root.join(name);
        std::fs::create_dir_all(path.parent().expect("below the root")).expect("a folder");
        std::fs::write(path, text).expect("a file");
    }

    const STAT: &str = "7 (a (strange) name) S 3 7 7 0 -1 4194304 1 2 3 4 150 50 9 9 20 0 5 0 \
        4321 1000 25 18446744073709551615 1 1 0 0 0 0 0 0 0 0 0 0 17 0 0 0 0 0 0 0 0 0 0 0 0 0 0\n";

    #[test]
    fn files_as_the_kernel_writes_them_are_read() {
        let root = tempfile::tempdir().expect("a folder");
        write(root.path(), "7/stat", STAT);
        write(root.path(), "8/stat", "torn");
        write(root.path(), "self/stat", STAT);
        write(
            root.path(),
            "7/smaps_rollup",
            "00400000-7ffd [rollup]\n"
                .replace("7ffd", "7ffd0000 ---p 00000000 00:00 0")
                .as_str(),
        );
        let table = ProcFs {
            root: root.path().to_owned(),
        };
        let entries = table.processes().expect("readable");
        let expected = Entry {
            key: ProcessKey {
                pid: 7,
                start_time: 4321,
            },
            parent: 3,
            dead: false,
            cpu: Duration::from_nanos(200 * (1_000_000_000 / procfs::ticks_per_second())),
            reaped_cpu: Duration::from_millis(180),
            threads: 5,
            rss: Bytes::new(25 * procfs::page_size()),
        };
        assert_eq!(entries, [expected]);
        assert_eq!(table.memory(7), None);
        assert_eq!(table.memory(9), None);
    }

    #[test]
    fn memory_is_read_from_the_rollup() {
        let root = tempfile::tempdir().expect("a folder");
        let text = "00400000-7ffd0000 ---p 00000000 00:00 0                  [rollup]\n\
            Rss:  900 kB\nPss:  300 kB\nPss_Dirty:  1 kB\nPrivate_Clean:  20 kB\n\
            Private_Dirty:  30 kB\nSwapPss:  4 kB\n";
        write(root.path(), "7/smaps_rollup", text);
        let table = ProcFs {
            root: root.path().to_owned(),
        };
        let kib = |count: u64| Bytes::new(count * 1024);
        let expected = Memory {
            pss: kib(300),
            uss: kib(50),
            swap_pss: kib(4),
        };
        assert_eq!(table.memory(7), Some(expected));
    }

    #[test]
    fn sockets_are_told_from_other_descriptors() {
        let root = tempfile::tempdir().expect("a folder");
        let fd = root.path().join("7/fd");
        std::fs::create_dir_all(&fd).expect("a folder");
        for (name, target) in [("0", "/dev/null"), ("3", "socket:[77]"), ("4", "pipe:[78]")] {
            std::os::unix::fs::symlink(target, fd.join(name)).expect("a link");
        }
        let table = ProcFs {
            root: root.path().to_owned(),
        };
        assert_eq!(table.sockets(7), [77]);
        assert_eq!(table.sockets(8), [0; 0]);
    }

    #[test]
    fn this_process_is_in_the_real_table() {
        let table = ProcFs::default();
        let me = std::process::id();
        let entries = table.processes().expect("proc is readable");
        assert!(
            entries
                .iter()
                .any(|entry| entry.key.pid == me && !entry.dead)
        );
        let memory = table.memory(me).expect("own memory is readable");
        assert!(memory.pss.get() > 0 && memory.uss.get() > 0);
        assert!(table.network(me).is_some());
    }

    #[test]
    fn the_inner_pid_is_the_last_one() {
        assert_eq!(
            innermost("Name:\tx\nNSpid:\t4711\t12\t3\nThreads:\t1\n"),
            Some(3)
        );
        assert_eq!(innermost("Name:\tx\nNSpid:\t4711\n"), Some(4711));
        assert_eq!(innermost("Name:\tx\n"), None);
        let me = std::process::id();
        assert_eq!(inner_pid(me), Some(me));
    }
}
