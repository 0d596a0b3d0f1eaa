//! `[limits]`: what the production host lets the server have. Whether this
//! machine can keep it to that is for the program to find out.

use std::ops::Range;

use autotune_model::{Bytes, CpuQuota, HostLimits};

use crate::fault::{Checked, Faults};
use crate::goal;
use crate::tree::{Keys, Node, Table};

pub(crate) const KEYS: Keys<'_> = Keys {
    known: &["memory", "cpus", "files"],
    planned: &[],
};
/// Below, no server starts: a process has its standard streams, its libraries
/// while they are loaded, its log and its listener.
pub(crate) const LEAST_FILES: i64 = 32;
/// No kernel allows more.
pub(crate) const MOST_FILES: i64 = 1 << 30;

pub(crate) fn read(root: &Table<'_>, faults: &mut Faults) -> Checked<HostLimits> {
    let table = root.section("limits", &KEYS, faults)?;
    let memory = table
        .get("memory")
        .map(|node| memory(&node, faults))
        .transpose();
    let cpus = table
        .get("cpus")
        .map(|node| cpus(&node, faults))
        .transpose();
    let files = table.get("files").map(|node| {
        let files = node.int((LEAST_FILES, MOST_FILES), faults)?;
        Ok(files.unsigned_abs())
    });
    let files = files.transpose();
    Ok(HostLimits {
        memory: memory?,
        cpus: cpus?,
        files: files?,
    })
}

/// The value of `files`, for a fault of this machine.
pub(crate) fn files_place(root: &Table<'_>) -> Option<Range<usize>> {
    let table = root.given("limits")?;
    let value = table.value.as_table()?.get("files")?;
    Some(value.span())
}

fn memory(node: &Node<'_>, faults: &mut Faults) -> Checked<Bytes> {
    let memory = goal::bytes(node, faults)?;
    if memory < Bytes::MIB {
        let message = format!("`{}` is at least 1MiB", node.key);
        let fault = node.fault(message, "too little for any server");
        let hint = "write what the container or host of production gives the server in all";
        return Err(faults.add(fault.hint(hint)));
    }
    Ok(memory)
}

fn cpus(node: &Node<'_>, faults: &mut Faults) -> Checked<CpuQuota> {
    let number = node.positive(faults)?;
    CpuQuota::new(number).ok_or_else(|| {
        let (least, most) = (CpuQuota::LEAST, CpuQuota::MOST);
        let message = format!("`{}` is a number from {least} to {most}", node.key);
        let fault = node.fault(message, "out of range");
        faults.add(fault.hint("write how many CPUs the server gets: 2, or 0.5 for half of one"))
    })
}
