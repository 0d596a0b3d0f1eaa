//! Which processes of a tree are workers of the server: found once, when it is
//! ready, by parents and command lines.
//!
//! Usually they are the children of what was launched. A shell script that
//! stays in front of the server, or a helper process that the app starts before
//! the server forks, must not be counted.

use std::collections::BTreeSet;
use std::path::PathBuf;

use autotune_model::{ProcessRole, ServerSample};

use crate::tree::WorkerRule;

/// A process as `/proc` shows it.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct ProcessFacts {
    pub(crate) pid: u32,
    pub(crate) parent: u32,
    /// Arguments separated by spaces, or what the process made of them.
    pub(crate) title: String,
    /// The program, where it can be read.
    pub(crate) program: Option<PathBuf>,
}

/// Looks at the processes of a sample. Those that are gone are left out.
pub(crate) fn look(sample: &ServerSample) -> Vec<ProcessFacts> {
    let found = sample
        .processes
        .iter()
        .filter_map(|process| facts(process.pid));
    found.collect()
}

fn facts(pid: u32) -> Option<ProcessFacts> {
    let read = |name: &str| std::fs::read(format!("/proc/{pid}/{name}")).ok();
    let stat = String::from_utf8_lossy(&read("stat")?).into_owned();
    Some(ProcessFacts {
        pid,
        parent: parent(&stat)?,
        title: title(&read("cmdline")?),
        program: std::fs::read_link(format!("/proc/{pid}/exe")).ok(),
    })
}

/// For people: what a process is.
pub(crate) fn describe(pid: u32) -> String {
    let title = facts(pid).map(|facts| facts.title).unwrap_or_default();
    if title.is_empty() {
        format!("process {pid}")
    } else {
        format!("process {pid} ({title})")
    }
}

/// The fourth field; the second, a name in brackets, may hold spaces.
fn parent(stat: &str) -> Option<u32> {
    let (_, rest) = stat.rsplit_once(')')?;
    rest.split_whitespace().nth(1)?.parse().ok()
}

fn title(cmdline: &[u8]) -> String {
    let text = String::from_utf8_lossy(cmdline).replace('\0', " ");
    text.trim().to_owned()
}

/// The rule that tells workers from other processes, given the main process.
pub(crate) fn worker_rule(main: u32, processes: &[ProcessFacts]) -> WorkerRule {
    let server = server(main, processes);
    let role = if server == main {
        ProcessRole::Child
    } else {
        ProcessRole::Descendant
    };
    let parent = processes.iter().find(|process| process.pid == server);
    let is_worker =
        |process: &&ProcessFacts| process.parent == server && !is_helper(process, parent);
    let workers: BTreeSet<u32> = processes.iter().filter(is_worker).map(|p| p.pid).collect();
    let others = processes
        .iter()
        .filter(|process| !workers.contains(&process.pid));
    WorkerRule {
        role,
        helpers: others.map(|process| process.pid).collect(),
    }
}

/// The process that forks the workers: the main one, or, where that is a
/// launcher with one child of another kind, this child.
fn server(main: u32, processes: &[ProcessFacts]) -> u32 {
    let children = |pid| {
        processes
            .iter()
            .filter(move |process| process.parent == pid)
    };
    let mut server = main;
    // A launcher may stand before a launcher, but not often.
    for _ in 0..4 {
        let Some(here) = processes.iter().find(|process| process.pid == server) else {
            break;
        };
        let mut below = children(server);
        let (Some(child), None) = (below.next(), below.next()) else {
            break;
        };
        let other_program = child.program.is_some() && child.program != here.program;
        if !other_program || children(child.pid).next().is_none() {
            break;
        }
        server = child.pid;
    }
    server
}

/// Workers are forked, so they run the same program as their parent; Python's
/// own helpers do too, but say what they are.
fn is_helper(process: &ProcessFacts, parent: Option<&ProcessFacts>) -> bool {
    let other_program = match (&process.program, parent.and_then(|p| p.program.as_ref())) {
        (Some(own), Some(parents)) => own != parents,
        _ => false,
    };
    other_program || process.title.contains("multiprocessing.")
}

#[cfg(test)]
mod tests {
    use super::*;

    fn process(pid: u32, parent: u32, program: &str, title: &str) -> ProcessFacts {
        ProcessFacts {
            pid,
            parent,
            title: title.to_owned(),
            program: Some(program.into()),
        }
    }

    fn check(processes: &[ProcessFacts], role: ProcessRole, helpers: &[u32]) {
        let rule = worker_rule(1, processes);
        assert_eq!(rule.role, role);
        assert_eq!(rule.helpers, helpers.iter().copied().collect());
    }

    #[test]
    fn workers_are_children_of_the_main_process() {
        let tree = [
            process(1, 0, "python", "python gunicorn app:app"),
            process(2, 1, "python", "python gunicorn app:app"),
            process(3, 1, "python", "renamed"),
        ];
        check(&tree, ProcessRole::Child, &[1]);
    }

    #[test]
    fn what_the_app_started_is_no_worker() {
        let tree = [
            process(1, 0, "python", "python gunicorn app:app"),
            process(2, 1, "python", "python gunicorn app:app"),
            process(3, 1, "redis", "redis-server"),
            process(
                4,
                1,
                "python",
                "python -c from multiprocessing.resource_tracker import main",
            ),
        ];
        check(&tree, ProcessRole::Child, &[1, 3, 4]);
    }

    #[test]
    fn a_script_that_stays_in_front_is_looked_through() {
        let tree = [
            process(1, 0, "sh", "sh venv/bin/gunicorn app:app"),
            process(2, 1, "python", "python gunicorn app:app"),
            process(3, 2, "python", "python gunicorn app:app"),
            process(4, 2, "python", "python gunicorn app:app"),
        ];
        check(&tree, ProcessRole::Descendant, &[1, 2]);
    }

    #[test]
    fn one_worker_with_children_of_its_own_stays_a_worker() {
        let tree = [
            process(1, 0, "python", "python gunicorn app:app"),
            process(2, 1, "python", "python gunicorn app:app"),
            process(3, 2, "node", "node render.js"),
        ];
        check(&tree, ProcessRole::Child, &[1, 3]);
    }

    #[test]
    fn this_process_is_seen() {
        let own = facts(std::process::id()).unwrap();
        assert_eq!(own.program, std::env::current_exe().ok());
        assert!(!own.title.is_empty());
        assert_eq!(parent("7 (a ) b) S 42 7 7"), Some(42));
    }
}
