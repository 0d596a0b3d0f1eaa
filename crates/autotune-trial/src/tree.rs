//! What samples of a process tree say: memory, CPU time, workers that were
//! replaced. Pure.

use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

use autotune_model::{Bytes, MemorySource, ProcessRole, ProcessSample, ServerSample};

/// Which processes of a sample are workers.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct WorkerRule {
    /// Where they stand: children of what was launched or, behind a launcher
    /// that stays, one further down.
    pub(crate) role: ProcessRole,
    /// Processes at that place that are something else.
    pub(crate) helpers: BTreeSet<u32>,
}

/// A process, by what makes it the same one.
type Key = (u32, u64);

fn key(process: &ProcessSample) -> Key {
    (process.pid, process.start_time)
}

impl WorkerRule {
    /// The workers of a sample.
    pub(crate) fn workers(&self, sample: &ServerSample) -> BTreeSet<Key> {
        let workers = sample
            .processes
            .iter()
            .filter(|process| process.role == self.role && !self.helpers.contains(&process.pid));
        workers.map(key).collect()
    }
}

/// How many workers came that were not there in the first sample: each took the
/// place of another one, as far as the number of workers did not grow.
pub(crate) fn replaced(rule: &WorkerRule, samples: &[ServerSample]) -> u32 {
    let Some(first) = samples.first().map(|sample| rule.workers(sample)) else {
        return 0;
    };
    let all: BTreeSet<Key> = samples.iter().flat_map(|s| rule.workers(s)).collect();
    let most = samples
        .iter()
        .map(|sample| rule.workers(sample).len())
        .max();
    let grown = most.unwrap_or_default().saturating_sub(first.len());
    let new = all.difference(&first).count();
    u32::try_from(new.saturating_sub(grown)).unwrap_or(u32::MAX)
}

/// The number of workers that most samples show; the larger one of two that are
/// as frequent, since a worker that is being replaced is missing for a moment.
pub(crate) fn usual_workers(rule: &WorkerRule, samples: &[ServerSample]) -> Option<usize> {
    let mut counts: BTreeMap<usize, usize> = BTreeMap::new();
    for sample in samples {
        *counts.entry(rule.workers(sample).len()).or_default() += 1;
    }
    counts
        .into_iter()
        .max_by_key(|(workers, times)| (*times, *workers))
        .map(|(workers, _)| workers)
}

/// The tree's memory at one moment: the sum of proportional set sizes and
/// swapped ones, or of resident ones. `None` for an empty tree, and where the
/// figure that is asked for cannot be read of every process.
pub(crate) fn memory(sample: &ServerSample, source: MemorySource) -> Option<Bytes> {
    // A process that has ended and waits to be reaped has no memory at all.
    let alive = || {
        sample
            .processes
            .iter()
            .filter(|process| process.pss.is_some() || process.rss > Bytes::default())
    };
    alive().next()?;
    let of = |process: &ProcessSample| match source {
        MemorySource::Rss => Some(process.rss),
        MemorySource::Pss => {
            let swapped = process.swap_pss.unwrap_or_default();
            process.pss.map(|pss| pss.saturating_add(swapped))
        }
    };
    alive().map(of).sum()
}

/// The figure that all samples are read by: PSS unless it is missing in most of
/// them. A process that may not be read misses it in all, one that was caught
/// while it ended in a single one, and that must not make the rest useless.
pub(crate) fn memory_source(samples: &[ServerSample]) -> MemorySource {
    let have = |source| {
        let read = samples.iter().filter(|s| memory(s, source).is_some());
        read.count()
    };
    if 2 * have(MemorySource::Pss) >= have(MemorySource::Rss) {
        MemorySource::Pss
    } else {
        MemorySource::Rss
    }
}

/// The largest memory over these samples, by one kind of figure for all of them.
pub(crate) fn memory_peak(samples: &[ServerSample], source: MemorySource) -> Option<Bytes> {
    samples.iter().filter_map(|s| memory(s, source)).max()
}

/// CPU time of the tree from the first sample to the last. A process that came
/// later counts from its birth; of one that went, what its last sample showed.
pub(crate) fn cpu(samples: &[ServerSample]) -> Option<Duration> {
    let first = samples.first()?;
    let before: BTreeMap<Key, Duration> = first
        .processes
        .iter()
        .map(|process| (key(process), process.cpu))
        .collect();
    let mut latest: BTreeMap<Key, Duration> = BTreeMap::new();
    for process in samples.iter().flat_map(|sample| &sample.processes) {
        let seen = latest.entry(key(process)).or_default();
        *seen = (*seen).max(process.cpu);
    }
    let used = latest.iter().map(|(key, cpu)| {
        let before = before.get(key).copied().unwrap_or_default();
        cpu.saturating_sub(before)
    });
    Some(used.sum())
}

#[cfg(test)]
pub(crate) mod tests {
    use super::*;

    pub(crate) fn process(pid: u32, role: ProcessRole) -> ProcessSample {
        ProcessSample {
            pid,
            start_time: 1,
            role,
            pss: Some(Bytes::new(100)),
            uss: None,
            rss: Bytes::new(300),
            swap_pss: Some(Bytes::new(10)),
            cpu: Duration::from_millis(10),
            threads: 1,
        }
    }

    /// A main process and workers with these pids.
    pub(crate) fn sample(workers: &[u32]) -> ServerSample {
        let mut processes = vec![process(1, ProcessRole::Main)];
        processes.extend(workers.iter().map(|pid| process(*pid, ProcessRole::Child)));
        ServerSample {
            at_ns: 0,
            processes,
        }
    }

    pub(crate) fn rule() -> WorkerRule {
        WorkerRule {
            role: ProcessRole::Child,
            helpers: BTreeSet::new(),
        }
    }

    #[test]
    fn replaced_workers_are_known_by_pid_and_start() {
        let check = |workers: &[&[u32]], expected| {
            let samples: Vec<_> = workers.iter().map(|pids| sample(pids)).collect();
            assert_eq!(replaced(&rule(), &samples), expected, "{workers:?}");
        };
        check(&[&[2, 3], &[2, 3]], 0);
        check(&[&[2, 3], &[2], &[2, 4]], 1);
        check(&[&[2, 3], &[2, 4], &[5, 4], &[5, 6]], 3);
        check(&[&[2], &[2, 3]], 0);
        check(&[], 0);
        let mut reused = sample(&[2, 3]);
        reused.processes[1].start_time = 9;
        assert_eq!(replaced(&rule(), &[sample(&[2, 3]), reused]), 1);
    }

    #[test]
    fn helpers_are_no_workers() {
        let rule = WorkerRule {
            helpers: [3].into(),
            ..rule()
        };
        assert_eq!(usual_workers(&rule, &[sample(&[2, 3])]), Some(1));
        assert_eq!(replaced(&rule, &[sample(&[2, 3]), sample(&[2, 3, 4])]), 0);
    }

    #[test]
    fn the_usual_number_of_workers_ignores_a_gap() {
        let samples = [sample(&[2, 3]), sample(&[2]), sample(&[2, 4])];
        assert_eq!(usual_workers(&rule(), &samples), Some(2));
        assert_eq!(
            usual_workers(&rule(), &[sample(&[2]), sample(&[2, 3])]),
            Some(2)
        );
        assert_eq!(usual_workers(&rule(), &[]), None);
    }

    #[test]
    fn memory_sums_shared_and_swapped_parts() {
        let check = |sample: &ServerSample, pss: Option<u64>, rss: Option<u64>| {
            assert_eq!(memory(sample, MemorySource::Pss), pss.map(Bytes::new));
            assert_eq!(memory(sample, MemorySource::Rss), rss.map(Bytes::new));
        };
        check(&sample(&[2]), Some(220), Some(600));
        check(&ServerSample::default(), None, None);
        let mut unreadable = sample(&[2]);
        unreadable.processes[1].pss = None;
        check(&unreadable, None, Some(600));
        let mut ended = sample(&[2]);
        ended.processes[1].pss = None;
        ended.processes[1].rss = Bytes::default();
        check(&ended, Some(110), Some(300));
    }

    #[test]
    fn the_peak_does_not_mix_kinds_of_figures() {
        let check = |samples: &[ServerSample], source, bytes: Option<u64>| {
            assert_eq!(memory_source(samples), source);
            assert_eq!(memory_peak(samples, source), bytes.map(Bytes::new));
        };
        use MemorySource::{Pss, Rss};
        let (two, three) = (sample(&[2]), sample(&[2, 3]));
        check(&[two.clone(), three.clone(), sample(&[])], Pss, Some(330));
        let mut unreadable = three;
        unreadable.processes[1].pss = None;
        check(&[two.clone(), unreadable.clone()], Pss, Some(220));
        check(&[two, unreadable.clone(), unreadable], Rss, Some(900));
        check(&[], Pss, None);
    }

    #[test]
    fn cpu_counts_those_that_came_and_those_that_went() {
        let at = |pid, ms| ProcessSample {
            cpu: Duration::from_millis(ms),
            ..process(pid, ProcessRole::Child)
        };
        let samples = [
            ServerSample {
                at_ns: 0,
                processes: vec![at(2, 100), at(3, 50)],
            },
            ServerSample {
                at_ns: 1,
                processes: vec![at(2, 150), at(3, 80)],
            },
            ServerSample {
                at_ns: 2,
                processes: vec![at(2, 170), at(4, 20)],
            },
        ];
        assert_eq!(cpu(&samples), Some(Duration::from_millis(70 + 30 + 20)));
        assert_eq!(cpu(&[]), None);
    }
}
