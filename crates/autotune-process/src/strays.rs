//! Ends what earlier runs left behind when every guard had died: processes that
//! carry a marker whose owner is no longer there.

use std::collections::BTreeSet;
use std::io;
use std::path::PathBuf;
use std::time::{Duration, Instant};

use crate::cgroup::remove_leftovers;
use crate::error::ProcessError;
use crate::marker::{Marker, Owner, own_namespace};
use crate::sys;
use crate::table::{Entry, ProcFs, ProcessKey, ProcessTable, descendants};

/// After this, killed processes that are still there hang in the kernel.
const PATIENCE: Duration = Duration::from_secs(10);
/// Between looks at processes that nobody tells the end of.
const PAUSE: Duration = Duration::from_millis(10);

/// Kills the processes that dead runs of this program left behind, with all
/// their descendants, and waits until they are gone. What belongs to a run that
/// lives, or to another PID namespace, is left alone. The control groups of dead
/// runs are removed, too. Returns who was killed.
///
/// # Errors
/// When `/proc` cannot be read, or killed processes do not end.
pub fn end_strays() -> Result<Vec<u32>, ProcessError> {
    let table = ProcFs::default();
    let namespace = own_namespace()?;
    let read = |source: io::Error| ProcessError::Read {
        path: PathBuf::from("/proc"),
        source,
    };
    let began = Instant::now();
    let mut killed = BTreeSet::new();
    loop {
        let entries = table.processes().map_err(read)?;
        let marked = |pid| Marker::in_environment(&table.environment(pid)?);
        let strays = strays(&entries, namespace, &marked);
        if strays.is_empty() {
            remove_leftovers(&|owner| owner.namespace == namespace && !is_alive(&entries, owner));
            return Ok(killed.into_iter().collect());
        }
        if began.elapsed() > PATIENCE {
            let pids = strays.into_iter().map(|key| key.pid).collect();
            return Err(ProcessError::NotEnded { pids });
        }
        for key in strays {
            if sys::kill(key).map_err(read)? {
                killed.insert(key.pid);
            }
        }
        std::thread::sleep(PAUSE);
    }
}

/// Whether this owner still runs.
fn is_alive(entries: &[Entry], owner: Owner) -> bool {
    let key = ProcessKey {
        pid: owner.pid,
        start_time: owner.start_time,
    };
    entries.iter().any(|entry| entry.key == key && !entry.dead)
}

/// Who is to be killed: living processes with the marker of a dead owner, and
/// all below them, except this process.
fn strays(
    entries: &[Entry],
    namespace: u64,
    marker: &dyn Fn(u32) -> Option<Marker>,
) -> Vec<ProcessKey> {
    let mut found = BTreeSet::new();
    for entry in entries.iter().filter(|entry| !entry.dead) {
        let owner = marker(entry.key.pid).map(|marker| marker.owner());
        if owner.is_some_and(|owner| owner.namespace == namespace && !is_alive(entries, owner)) {
            found.insert(entry.key);
            let below = descendants(entries, entry.key.pid);
            found.extend(
                below
                    .iter()
                    .filter(|entry| !entry.dead)
                    .map(|entry| entry.key),
            );
        }
    }
    let me = std::process::id();
    found.into_iter().filter(|key| key.pid != me).collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::table::tests::entry;

    const NAMESPACE: u64 = 77;

    fn found(entries: &[Entry], markers: &[(u32, Owner)]) -> Vec<u32> {
        let marker = |pid| {
            let (_, owner) = markers.iter().find(|(of, _)| *of == pid)?;
            Marker::for_owner(*owner).ok()
        };
        strays(entries, NAMESPACE, &marker)
            .into_iter()
            .map(|key| key.pid)
            .collect()
    }

    fn owner(pid: u32) -> Owner {
        Owner {
            pid,
            start_time: u64::from(pid) * 10,
            namespace: NAMESPACE,
        }
    }

    #[test]
    fn only_what_has_a_dead_owner_is_found_with_all_below_it() {
        let mut entries = vec![entry(5, 1), entry(20, 1), entry(21, 20), entry(22, 21)];
        assert_eq!(found(&entries, &[(20, owner(5))]), [0; 0]);
        assert_eq!(found(&entries, &[(20, owner(6))]), [20, 21, 22]);
        assert_eq!(found(&entries, &[(22, owner(6))]), [22]);
        assert_eq!(found(&entries, &[]), [0; 0]);
        // The pid is in use again, by another process.
        let reused = Owner {
            start_time: 1,
            ..owner(5)
        };
        assert_eq!(found(&entries, &[(22, reused)]), [22]);
        // The owner has ended and only waits to be reaped.
        entries[0].dead = true;
        assert_eq!(found(&entries, &[(22, owner(5))]), [22]);
        // What has ended needs no killing.
        entries[3].dead = true;
        assert_eq!(found(&entries, &[(22, owner(5))]), [0; 0]);
    }

    #[test]
    fn owners_of_another_namespace_are_not_judged() {
        let elsewhere = Owner {
            namespace: NAMESPACE + 1,
            ..owner(6)
        };
        assert_eq!(found(&[entry(20, 1)], &[(20, elsewhere)]), [0; 0]);
    }
}
