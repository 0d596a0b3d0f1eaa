//! The sure end of everything below a process. Waiting for it to take effect is
//! left to the callers, who reap in different ways.

use std::io;

use crate::sys;
use crate::table::{ProcessKey, ProcessTable, descendants};

/// Kills every living descendant of `root` but the spared ones, nearest first:
/// a master that lives longer than its workers would make new ones. What was
/// made meanwhile is found by the next call.
pub(crate) fn kill_descendants(
    table: &dyn ProcessTable,
    root: u32,
    spared: &[u32],
) -> io::Result<Vec<ProcessKey>> {
    let mut killed = Vec::new();
    for key in living_descendants(table, root)? {
        if !spared.contains(&key.pid) && sys::kill(key)? {
            killed.push(key);
        }
    }
    Ok(killed)
}

/// Descendants that have not ended, nearest first.
pub(crate) fn living_descendants(
    table: &dyn ProcessTable,
    root: u32,
) -> io::Result<Vec<ProcessKey>> {
    let entries = table.processes()?;
    let living = descendants(&entries, root)
        .into_iter()
        .filter(|entry| !entry.dead);
    Ok(living.map(|entry| entry.key).collect())
}
