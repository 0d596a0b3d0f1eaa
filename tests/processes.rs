//! Who runs, from `/proc`: found by the program's marker, by a test's folder, or
//! as a descendant. Written without the program's own code, which it checks.

use std::fs;
use std::net::{SocketAddr, TcpStream};
use std::path::Path;
use std::time::Duration;

use nix::sys::signal::{Signal, kill};
use nix::unistd::Pid;

/// A process that lives, zombies left out. Pids are used again, so a process is
/// known by its start time, too.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Process {
    pub(crate) pid: u32,
    parent: u32,
    start_time: u64,
    command: String,
}

impl Process {
    pub(crate) fn is_alive(&self) -> bool {
        one(self.pid).is_some_and(|now| now.start_time == self.start_time)
    }

    /// Whether its arguments hold this text.
    pub(crate) fn mentions(&self, text: &str) -> bool {
        self.command.contains(text)
    }

    /// Kills it, unless it has ended already.
    pub(crate) fn kill(&self) {
        let pid = Pid::from_raw(i32::try_from(self.pid).expect("a pid"));
        if self.is_alive() {
            let sent = kill(pid, Signal::SIGKILL);
            // It may end between the look and the signal.
            assert!(sent.is_ok() || !self.is_alive(), "{self:?}: {sent:?}");
        }
    }
}

/// All that carry the marker of this run of the program.
pub(crate) fn marked_by(owner: u32) -> Vec<Process> {
    let is_its = |entry: &&[u8]| {
        let text = std::str::from_utf8(entry).unwrap_or_default();
        let marker = text.strip_prefix("AUTOTUNE_MARKER=");
        // PREFIX:NAMESPACE:PID:START:RANDOM
        marker.is_some_and(|marker| marker.split(':').nth(2) == Some(&owner.to_string()))
    };
    with(|pid| {
        let environment = fs::read(format!("/proc/{pid}/environ")).unwrap_or_default();
        environment.split(|byte| *byte == 0).any(|one| is_its(&one))
    })
}

/// All whose environment, arguments or working directory name this folder.
pub(crate) fn mentioning(folder: &Path) -> Vec<Process> {
    let needle = folder.as_os_str().as_encoded_bytes();
    let contains = |bytes: &[u8]| bytes.windows(needle.len()).any(|part| part == needle);
    with(|pid| {
        let file = |name: &str| fs::read(format!("/proc/{pid}/{name}")).unwrap_or_default();
        let cwd = fs::read_link(format!("/proc/{pid}/cwd")).unwrap_or_default();
        cwd.starts_with(folder) || contains(&file("environ")) || contains(&file("cmdline"))
    })
}

/// The children of a process.
pub(crate) fn children(of: u32) -> Vec<Process> {
    let all = with(|_| true);
    all.into_iter().filter(|one| one.parent == of).collect()
}

/// All below a process.
pub(crate) fn descendants(of: u32) -> Vec<Process> {
    let all = with(|_| true);
    let mut found: Vec<Process> = Vec::new();
    let mut parents = vec![of];
    while let Some(parent) = parents.pop() {
        for one in all.iter().filter(|one| one.parent == parent) {
            parents.push(one.pid);
            found.push(one.clone());
        }
    }
    found
}

/// Whether somebody listens on this port of the loopback interface.
pub(crate) fn is_listened_on(port: u16) -> bool {
    let address = SocketAddr::from(([127, 0, 0, 1], port));
    TcpStream::connect_timeout(&address, Duration::from_secs(1)).is_ok()
}

fn with(mut wanted: impl FnMut(u32) -> bool) -> Vec<Process> {
    let entries = fs::read_dir("/proc").expect("proc is mounted");
    let names = entries.filter_map(|entry| entry.ok()?.file_name().into_string().ok());
    let pids = names.filter_map(|name| name.parse::<u32>().ok());
    pids.filter(|pid| wanted(*pid)).filter_map(one).collect()
}

fn one(pid: u32) -> Option<Process> {
    let stat = fs::read_to_string(format!("/proc/{pid}/stat")).ok()?;
    // The name, in brackets, may hold spaces and brackets itself.
    let (_, rest) = stat.rsplit_once(") ")?;
    let fields: Vec<&str> = rest.split(' ').collect();
    let is_dead = matches!(*fields.first()?, "Z" | "X");
    let command = fs::read(format!("/proc/{pid}/cmdline")).ok()?;
    let command = String::from_utf8_lossy(&command).replace('\0', " ");
    (!is_dead).then_some(Process {
        pid,
        parent: fields.get(1)?.parse().ok()?,
        start_time: fields.get(19)?.parse().ok()?,
        command,
    })
}

#[test]
fn a_child_is_found_in_all_ways_until_it_ends() {
    let folder = tempfile::tempdir().expect("a folder");
    let mut child = std::process::Command::new("sleep")
        .arg("1000")
        .current_dir(folder.path())
        .env("AUTOTUNE_MARKER", "autotune1:1:4294967295:2:ab")
        .spawn()
        .expect("starts");
    // Between fork and exec it is still a copy of this program.
    while marked_by(u32::MAX).is_empty() {
        std::thread::yield_now();
    }
    let me = std::process::id();
    let found = [mentioning(folder.path()), children(me), descendants(me)];
    for found in found.iter().chain([&marked_by(u32::MAX)]) {
        assert!(
            found.iter().any(|one| one.pid == child.id()),
            "{found:?}, not {}",
            child.id()
        );
    }
    let process = one(child.id()).expect("lives");
    process.kill();
    child.wait().expect("our child");
    assert!(!process.is_alive());
    assert_eq!(marked_by(u32::MAX), []);
    assert_eq!(mentioning(folder.path()), []);
}
