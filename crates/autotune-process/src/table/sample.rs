//! Makes a sample of one tree, and the list of its connections beyond loopback,
//! out of a process table.

use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

use autotune_model::{Bytes, Peer, ProcessRole, ProcessSample, ServerSample};

use super::{Connection, Entry, ProcessTable, descendants};

/// Which tree.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Tree {
    /// The process that all others descend from; it is ours and not counted.
    pub(crate) root: u32,
    /// What was launched.
    pub(crate) main: u32,
}

/// The tree at one moment, and the CPU time of processes of it that have ended
/// and were waited for within it: no sample shows them any more. Processes that
/// have ended hold no memory and are left out, like those that vanish meanwhile.
pub(crate) fn sample(
    table: &dyn ProcessTable,
    tree: Tree,
    at_ns: u64,
) -> std::io::Result<(ServerSample, Duration)> {
    let entries = table.processes()?;
    let root = entries.iter().find(|entry| entry.key.pid == tree.root);
    let below = descendants(&entries, tree.root);
    let reaped = below.iter().chain(root).map(|entry| entry.reaped_cpu);
    let reaped = reaped.sum();
    let mut processes: Vec<_> = below
        .into_iter()
        .filter(|entry| !entry.dead)
        .filter_map(|entry| process(table, tree, entry))
        .collect();
    processes.sort_by_key(|process| process.pid);
    Ok((ServerSample { at_ns, processes }, reaped))
}

/// `None` for a process that ended between the two looks at it: with resident
/// memory but without a proportional part it would pass for one that may not be
/// read.
fn process(table: &dyn ProcessTable, tree: Tree, entry: Entry) -> Option<ProcessSample> {
    let memory = table.memory(entry.key.pid);
    if memory.is_none() && !is_still_there(table, &entry) {
        return None;
    }
    Some(ProcessSample {
        pid: entry.key.pid,
        start_time: entry.key.start_time,
        role: if entry.key.pid == tree.main {
            ProcessRole::Main
        } else if entry.parent == tree.main {
            ProcessRole::Child
        } else {
            ProcessRole::Descendant
        },
        pss: memory.map(|memory| memory.pss),
        uss: memory.map(|memory| memory.uss),
        rss: entry.rss,
        swap_pss: memory.map(|memory| memory.swap_pss),
        cpu: entry.cpu,
        threads: entry.threads,
    })
}

/// Whether it is the same process as before and holds memory. One that is
/// ending gives its memory back before it is seen as dead.
fn is_still_there(table: &dyn ProcessTable, before: &Entry) -> bool {
    table
        .entry(before.key.pid)
        .is_some_and(|now| now.key == before.key && !now.dead && now.rss > Bytes::default())
}

/// Connections beyond loopback that a process of the sample holds. A socket that
/// several hold, as after a fork, is named once for each. The descriptors are
/// only gone through where the machine has such a connection at all.
pub(crate) fn peers(table: &dyn ProcessTable, sample: &ServerSample) -> Vec<Peer> {
    let mut networks: BTreeMap<u64, BTreeMap<u64, Connection>> = BTreeMap::new();
    let mut found = BTreeSet::new();
    for process in &sample.processes {
        let Some(network) = table.network(process.pid) else {
            continue;
        };
        let connections = networks.entry(network).or_insert_with(|| {
            let all = table.connections(process.pid);
            all.into_iter()
                .map(|connection| (connection.inode, connection))
                .collect()
        });
        if connections.is_empty() {
            continue;
        }
        for inode in table.sockets(process.pid) {
            if let Some(connection) = connections.get(&inode) {
                found.insert(Peer {
                    address: connection.remote,
                    protocol: connection.protocol.as_str().to_owned(),
                    pid: process.pid,
                });
            }
        }
    }
    found.into_iter().collect()
}

#[cfg(test)]
pub(crate) mod tests {
    use std::cell::Cell;
    use std::io;

    use super::*;
    use crate::table::{Memory, ProcessKey, Protocol};

    pub(crate) fn entry(pid: u32, parent: u32) -> Entry {
        Entry {
            key: ProcessKey {
                pid,
                start_time: u64::from(pid) * 10,
            },
            parent,
            dead: false,
            cpu: Duration::from_millis(u64::from(pid)),
            reaped_cpu: Duration::ZERO,
            threads: 1,
            rss: Bytes::new(100),
        }
    }

    /// A machine on paper.
    #[derive(Default)]
    struct Paper {
        entries: Vec<Entry>,
        /// What a second look at a process finds, where that differs.
        later: BTreeMap<u32, Option<Entry>>,
        memory: BTreeMap<u32, Memory>,
        sockets: BTreeMap<u32, Vec<u64>>,
        networks: BTreeMap<u32, u64>,
        connections: BTreeMap<u64, Vec<Connection>>,
        looked_at_sockets: Cell<u32>,
        read_connections: Cell<u32>,
    }

    impl ProcessTable for Paper {
        fn processes(&self) -> io::Result<Vec<Entry>> {
            Ok(self.entries.clone())
        }
        fn entry(&self, pid: u32) -> Option<Entry> {
            let found = self.entries.iter().find(|entry| entry.key.pid == pid);
            let later = self.later.get(&pid).copied();
            later.unwrap_or_else(|| found.copied())
        }
        fn memory(&self, pid: u32) -> Option<Memory> {
            self.memory.get(&pid).copied()
        }
        fn sockets(&self, pid: u32) -> Vec<u64> {
            self.looked_at_sockets.set(self.looked_at_sockets.get() + 1);
            self.sockets.get(&pid).cloned().unwrap_or_default()
        }
        fn network(&self, pid: u32) -> Option<u64> {
            self.networks.get(&pid).copied()
        }
        fn connections(&self, pid: u32) -> Vec<Connection> {
            self.read_connections.set(self.read_connections.get() + 1);
            let network = self.networks.get(&pid);
            network
                .and_then(|network| self.connections.get(network))
                .cloned()
                .unwrap_or_default()
        }
    }

    /// 10 is the keeper, 20 the server, 21 and 22 its workers, 30 below a worker,
    /// 40 was orphaned, 50 is a stranger.
    fn paper() -> Paper {
        let pairs = [
            (10, 1),
            (20, 10),
            (21, 20),
            (22, 20),
            (30, 21),
            (40, 10),
            (50, 1),
        ];
        Paper {
            entries: pairs
                .iter()
                .map(|(pid, parent)| entry(*pid, *parent))
                .collect(),
            networks: pairs.iter().map(|(pid, _)| (*pid, 1)).collect(),
            ..Paper::default()
        }
    }

    fn sample(table: &Paper, tree: Tree, at_ns: u64) -> io::Result<ServerSample> {
        super::sample(table, tree, at_ns).map(|(sample, _)| sample)
    }

    const TREE: Tree = Tree { root: 10, main: 20 };

    #[test]
    fn roles_follow_the_parents() {
        let sample = sample(&paper(), TREE, 5).expect("paper is readable");
        let roles: Vec<_> = sample
            .processes
            .iter()
            .map(|process| (process.pid, process.role))
            .collect();
        use ProcessRole::{Child, Descendant, Main};
        let expected = [
            (20, Main),
            (21, Child),
            (22, Child),
            (30, Descendant),
            (40, Descendant),
        ];
        assert_eq!(roles, expected);
        assert_eq!(sample.at_ns, 5);
        assert_eq!(sample.processes[0].start_time, 200);
    }

    #[test]
    fn what_ended_or_vanished_is_no_error() {
        let mut paper = paper();
        paper.entries[2].dead = true;
        let memory = Memory {
            pss: Bytes::new(7),
            uss: Bytes::new(5),
            swap_pss: Bytes::new(1),
        };
        paper.memory.insert(20, memory);
        let sample = sample(&paper, TREE, 0).expect("paper is readable");
        let memory: Vec<_> = sample
            .processes
            .iter()
            .map(|process| (process.pid, process.pss))
            .collect();
        // 30 stays, although its parent has ended and is left out.
        let expected = [
            (20, Some(Bytes::new(7))),
            (22, None),
            (30, None),
            (40, None),
        ];
        assert_eq!(memory, expected);
        assert_eq!(sample.processes[0].uss, Some(Bytes::new(5)));
        assert_eq!(sample.processes[0].swap_pss, Some(Bytes::new(1)));
    }

    #[test]
    fn what_ends_between_two_looks_is_left_out() {
        let mut paper = paper();
        let with = |change: fn(&mut Entry)| {
            let mut later = entry(22, 20);
            change(&mut later);
            Some(later)
        };
        let ended = [
            None,
            with(|later| later.dead = true),
            with(|later| later.rss = Bytes::default()),
            with(|later| later.key.start_time += 1),
        ];
        for later in ended {
            paper.later.insert(22, later);
            let sample = sample(&paper, TREE, 0).expect("paper is readable");
            let pids: Vec<_> = sample.processes.iter().map(|process| process.pid).collect();
            assert_eq!(pids, [20, 21, 30, 40], "{later:?}");
        }
    }

    #[test]
    fn cpu_time_of_those_that_ended_is_that_of_the_tree() {
        let mut paper = paper();
        for (place, entry) in paper.entries.iter_mut().enumerate() {
            entry.reaped_cpu = Duration::from_millis(10_u64.pow(u32::try_from(place).unwrap()));
        }
        let (_, reaped) = super::sample(&paper, TREE, 0).expect("paper is readable");
        // All but that of the stranger, who is the last.
        assert_eq!(reaped, Duration::from_millis(111_111));
    }

    fn connection(inode: u64) -> Connection {
        let remote = "192.0.2.1:5432".parse().expect("an address");
        Connection {
            protocol: Protocol::Tcp,
            remote,
            inode,
        }
    }

    fn seen(paper: &Paper) -> Vec<u32> {
        let sample = sample(paper, TREE, 0).expect("paper is readable");
        peers(paper, &sample).iter().map(|peer| peer.pid).collect()
    }

    #[test]
    fn peers_are_those_of_the_tree_only() {
        let mut paper = paper();
        paper
            .connections
            .insert(1, vec![connection(900), connection(901)]);
        paper.sockets.insert(22, vec![5, 900]);
        paper.sockets.insert(40, vec![900]);
        paper.sockets.insert(50, vec![901]);
        assert_eq!(seen(&paper), [22, 40]);
        assert_eq!(paper.read_connections.get(), 1);
    }

    #[test]
    fn a_process_with_a_network_of_its_own_is_looked_at_there() {
        let mut paper = paper();
        paper.networks.insert(30, 2);
        paper.connections.insert(2, vec![connection(900)]);
        paper.sockets.insert(30, vec![900]);
        paper.sockets.insert(21, vec![900]);
        assert_eq!(seen(&paper), [30]);
    }

    #[test]
    fn without_outside_connections_no_descriptor_is_looked_at() {
        let mut paper = paper();
        paper.sockets.insert(21, vec![900]);
        assert_eq!(seen(&paper), [0; 0]);
        assert_eq!(paper.looked_at_sockets.get(), 0);
    }
}
