//! The table of processes: what the machine says of them, and what follows for
//! one tree. Reading happens behind a trait, so that trees, roles, samples and
//! peers are tested without processes.

mod net;
mod proc;
mod sample;
mod tree;

use std::io;
use std::time::Duration;

use autotune_model::Bytes;

pub(crate) use net::{Connection, Protocol};
pub(crate) use proc::ProcFs;
pub use proc::inner_pid;
pub(crate) use sample::{Tree, peers, sample};
pub(crate) use tree::descendants;

/// A process, safe against pids that are used again.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub(crate) struct ProcessKey {
    /// As the host numbers it.
    pub(crate) pid: u32,
    /// Clock ticks since boot.
    pub(crate) start_time: u64,
}

/// One line of the table.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Entry {
    pub(crate) key: ProcessKey,
    pub(crate) parent: u32,
    /// Whether it has ended and only waits to be reaped.
    pub(crate) dead: bool,
    /// User and system time since it began.
    pub(crate) cpu: Duration,
    /// The same of its children that ended and were waited for, and of theirs.
    pub(crate) reaped_cpu: Duration,
    pub(crate) threads: u32,
    pub(crate) rss: Bytes,
}

/// Memory that needs a walk over the page tables.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Memory {
    pub(crate) pss: Bytes,
    /// Private memory, clean and dirty.
    pub(crate) uss: Bytes,
    pub(crate) swap_pss: Bytes,
}

/// What is asked of the machine. A process may vanish between any two
/// questions: that is no error, its answer is `None` or empty.
pub(crate) trait ProcessTable {
    /// All processes.
    fn processes(&self) -> io::Result<Vec<Entry>>;
    /// One process as it is now; `None` where it is gone.
    fn entry(&self, pid: u32) -> Option<Entry>;
    /// `None` where it is gone or may not be read.
    fn memory(&self, pid: u32) -> Option<Memory>;
    /// Inodes of its open sockets.
    fn sockets(&self, pid: u32) -> Vec<u64>;
    /// Identity of its network namespace.
    fn network(&self, pid: u32) -> Option<u64>;
    /// Connections of its network namespace, whoever holds them.
    fn connections(&self, pid: u32) -> Vec<Connection>;
}

#[cfg(test)]
pub(crate) use sample::tests;
