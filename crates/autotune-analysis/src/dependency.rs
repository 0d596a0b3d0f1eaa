//! Whether a service, such as the database, was the bottleneck: then no setting of
//! the server can do better, and there is no ranking. Pure.
//!
//! A service is *saturated* in a trial when it used nearly all of the CPUs that it
//! may use; or when nearly all that it used went to one process that was at work
//! all the time and never did more than one CPU can: one thread, as in a Redis,
//! however many CPUs there are beside it. Requests that wait for a lock or for a
//! disk use no CPU and are not seen.

use std::collections::BTreeMap;

use autotune_model::{ConfigId, Outcome, ServiceName, ServiceRecord, TrialRecord};

use crate::outcome::{ServiceAnalysis, Verdict};
use crate::sample::{Arm, Arms};

/// The share of its CPUs from which on a service has no time left. The rest goes
/// to waits between requests, which come at random.
const ALL_CPUS: f64 = 0.90;
/// The share of one CPU from which on a single thread has no time left.
const ONE_CPU: f64 = 0.95;
/// The share of a service's CPU time that its only thread at work has.
const ALONE: f64 = 0.95;
/// The most that one thread uses in any second, in percent of one CPU: a hundred, and
/// what the kernel's clock of a hundredth of a second may add.
const ONE_THREAD_PCT: f64 = 110.0;

/// The share of the CPUs that it may use which a service used after the warm-up.
pub fn busy_share(record: &ServiceRecord) -> Option<f64> {
    let window = record.window?;
    let most = window.wall.as_secs_f64() * f64::from(record.cpus);
    (most > 0.0).then(|| window.cpu.as_secs_f64() / most)
}

/// Whether a service had no CPU time left in a trial.
pub fn is_saturated(record: &ServiceRecord) -> bool {
    let Some(window) = record.window else {
        return false;
    };
    let all = busy_share(record).is_some_and(|share| share >= ALL_CPUS);
    let busiest = window.busiest.as_secs_f64();
    let is_alone = busiest >= ALONE * window.cpu.as_secs_f64();
    let is_one_thread = window.busiest_peak_pct <= ONE_THREAD_PCT;
    let never_rests = busiest >= ONE_CPU * window.wall.as_secs_f64();
    all || (is_alone && is_one_thread && never_rests)
}

/// The service that the settings wait for: it was saturated in most trials of the
/// recommended one, and so in most of those that cannot be told from the best. Where
/// nothing can be recommended, in most trials of most of all that were launched: they
/// fail because of it.
pub(crate) fn bound(arms: &Arms<'_>, verdict: &Verdict) -> Option<ServiceName> {
    let best: Vec<ConfigId> = match verdict.recommended {
        Some(_) => verdict.tie_set.clone(),
        None => arms.keys().copied().collect(),
    };
    let mut by_service: BTreeMap<&ServiceName, usize> = BTreeMap::new();
    let mut seen = 0;
    for id in &best {
        let Some(of_arm) = arms.get(id).and_then(saturated_in_most) else {
            continue;
        };
        seen += 1;
        of_arm
            .into_iter()
            .for_each(|name| *by_service.entry(name).or_default() += 1);
    }
    let of_first = verdict.recommended.map(|id| {
        let of_first = arms.get(&id).and_then(saturated_in_most);
        of_first.unwrap_or_default()
    });
    let mut bound = by_service.into_iter().filter(|(name, count)| {
        let binds_first = of_first.as_ref().is_none_or(|names| names.contains(name));
        binds_first && 2 * count > seen
    });
    bound.next().map(|(name, _)| name.clone())
}

/// The services that were saturated in most launches with a load; `None` where
/// there was no such launch.
fn saturated_in_most<'a>(arm: &Arm<'a>) -> Option<Vec<&'a ServiceName>> {
    let trials: Vec<&'a [ServiceRecord]> = arm
        .launches
        .iter()
        .filter_map(|launch| services(launch.record))
        .collect();
    let all = trials.iter().flat_map(|services| services.iter());
    let mut counts: BTreeMap<&ServiceName, usize> = BTreeMap::new();
    for record in all {
        *counts.entry(&record.name).or_default() += usize::from(is_saturated(record));
    }
    let most = counts
        .into_iter()
        .filter(|(_, count)| 2 * count > trials.len());
    (!trials.is_empty()).then(|| most.map(|(name, _)| name).collect())
}

/// Those of a trial that says something, with services that were seen.
fn services(record: &TrialRecord) -> Option<&[ServiceRecord]> {
    let loaded = matches!(
        record.outcome,
        Outcome::Measured | Outcome::Overloaded { .. }
    );
    let services = record.server.as_ref()?.services.as_slice();
    (loaded && !services.is_empty()).then_some(services)
}

/// Each service over all launches of the comparison, in the order of the grid file.
pub(crate) fn describe(arms: &Arms<'_>) -> Vec<ServiceAnalysis> {
    let launches = arms.values().flat_map(|arm| &arm.launches);
    let all: Vec<&ServiceRecord> = launches
        .filter_map(|launch| services(launch.record))
        .flatten()
        .collect();
    let mut names: Vec<&ServiceName> = Vec::new();
    for record in &all {
        if !names.contains(&&record.name) {
            names.push(&record.name);
        }
    }
    let names = names.into_iter();
    names
        .map(|name| {
            let own: Vec<&ServiceRecord> = all
                .iter()
                .copied()
                .filter(|one| &one.name == name)
                .collect();
            one(name, &own)
        })
        .collect()
}

fn one(name: &ServiceName, records: &[&ServiceRecord]) -> ServiceAnalysis {
    let peaks: Vec<_> = records.iter().filter_map(|one| one.memory_peak).collect();
    let shares: Vec<f64> = records.iter().filter_map(|one| busy_share(one)).collect();
    let saturated = records.iter().filter(|one| is_saturated(one)).count();
    let count = |number: usize| u32::try_from(number).unwrap_or(u32::MAX);
    ServiceAnalysis {
        name: name.clone(),
        cpus: records.iter().map(|one| one.cpus).max().unwrap_or(0),
        trials: count(records.len()),
        saturated: count(saturated),
        memory: autotune_stats::median(
            &peaks
                .iter()
                .map(|peak| peak.get() as f64)
                .collect::<Vec<_>>(),
        )
        .map(|bytes| autotune_model::Bytes::new(bytes as u64)),
        memory_range: peaks.iter().min().copied().zip(peaks.iter().max().copied()),
        busy_share: autotune_stats::median(&shares),
        busy_range: shares
            .iter()
            .copied()
            .reduce(f64::min)
            .zip(shares.iter().copied().reduce(f64::max)),
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use autotune_model::{Bytes, ServiceWindow};

    use super::*;
    use crate::analyse;
    use crate::outcome::VerdictWord;
    use crate::testing::{configurations, history, objective, sent, trial};

    /// Ten seconds in which all processes and the busiest one used so many CPUs.
    fn used(cpus: u32, [all, busiest, peak]: [f64; 3]) -> ServiceRecord {
        let wall = Duration::from_secs(10);
        ServiceRecord {
            name: ServiceName::new("db"),
            cpus,
            memory_peak: Some(Bytes::new(100 << 20)),
            memory_source: autotune_model::MemorySource::Pss,
            cpu: Some(wall.mul_f64(all)),
            window: Some(ServiceWindow {
                wall,
                cpu: wall.mul_f64(all),
                busiest: wall.mul_f64(busiest),
                busiest_peak_pct: 100.0 * peak,
            }),
        }
    }

    #[test]
    fn a_service_without_cpu_time_left_is_saturated() {
        let check = |cpus, use_of, expected| {
            let record = used(cpus, use_of);
            assert_eq!(is_saturated(&record), expected, "{cpus}: {use_of:?}");
        };
        // Many processes, as of a database.
        check(2, [1.81, 0.3, 0.5], true);
        check(2, [1.78, 0.3, 0.5], false);
        check(1, [0.91, 0.2, 0.3], true);
        // One thread, with CPUs to spare.
        check(4, [0.97, 0.96, 1.02], true);
        check(4, [0.93, 0.93, 1.02], false);
        // A process with several threads that happens to use one CPU.
        check(4, [0.97, 0.96, 1.6], false);
        // The busiest is one of several that work.
        check(4, [1.9, 0.97, 1.0], false);
        let mut unseen = used(1, [1.0, 1.0, 1.0]);
        unseen.window = None;
        assert!(!is_saturated(&unseen));
    }

    /// Eight blocks of as many configurations as there are shares: how busy the
    /// database is under each, and how slow each is.
    fn study(all: &[(f64, u64)]) -> crate::Analysis {
        let configurations = configurations(all.len() as i64);
        let mut trials = Vec::new();
        for block in 0..8 {
            for (configuration, (share, us)) in configurations.iter().zip(all) {
                // A little apart from block to block, or there would be no noise.
                let us = us + u64::from(block % 3) * 40;
                let endpoints = vec![sent("a", us, [1000, 0]), sent("b", us, [1000, 0])];
                let mut trial = trial(configuration, block, endpoints);
                if let Some(server) = &mut trial.server {
                    server.services = vec![used(2, [2.0 * share, share / 2.0, 0.9])];
                }
                trials.push(trial);
            }
        }
        analyse(&history(trials), &objective())
    }

    #[test]
    fn where_every_setting_waits_for_a_service_there_is_no_ranking() {
        let analysis = study(&[(0.97, 20_000), (0.95, 20_100), (0.99, 24_000)]);
        let verdict = &analysis.verdict;
        assert_eq!(verdict.dependency_bound, Some(ServiceName::new("db")));
        assert_eq!(verdict.word, VerdictWord::Unresolved);
        assert_eq!((verdict.recommended, verdict.tie_set.len()), (None, 0));
        assert_eq!(verdict.bound_pct, None);
        let standings = analysis.configurations.iter().map(|one| one.standing);
        assert!(standings.clone().all(|one| one == crate::Standing::Open));
        let service = &analysis.services[0];
        assert_eq!((service.trials, service.saturated), (24, 24));
        assert_eq!(service.memory, Some(Bytes::new(100 << 20)));
    }

    #[test]
    fn a_service_that_is_busy_only_under_bad_settings_takes_nothing_away() {
        let analysis = study(&[(0.40, 10_000), (0.95, 30_000), (0.97, 40_000)]);
        let verdict = &analysis.verdict;
        assert_eq!(verdict.dependency_bound, None);
        assert_eq!(verdict.word, VerdictWord::Recommended);
        assert_eq!(verdict.recommended, Some(configurations(1)[0].id()));
        assert_eq!(analysis.services[0].saturated, 16);
    }

    #[test]
    fn of_those_that_are_tied_most_must_wait() {
        // The one with the least memory is recommended; all are alike here, so the
        // fewest workers decide.
        let one_of_three = study(&[(0.95, 20_000), (0.5, 20_000), (0.5, 20_000)]);
        assert_eq!(one_of_three.verdict.dependency_bound, None);
        let recommended_is_free = study(&[(0.5, 20_000), (0.95, 20_000), (0.95, 20_000)]);
        assert_eq!(recommended_is_free.verdict.dependency_bound, None);
        let two_of_three = study(&[(0.95, 20_000), (0.95, 20_000), (0.5, 20_000)]);
        assert!(two_of_three.verdict.dependency_bound.is_some());
    }

    #[test]
    fn a_service_that_makes_every_setting_fail_is_named() {
        let configurations = configurations(2);
        let overloaded = |configuration, block| {
            let mut trial = trial(configuration, block, vec![sent("a", 9, [1, 900])]);
            trial.outcome = Outcome::Overloaded {
                detail: "the backlog grew".to_owned(),
            };
            if let Some(server) = &mut trial.server {
                server.services = vec![used(1, [0.99, 0.5, 0.8])];
            }
            trial
        };
        let trials = (0..4).flat_map(|block| {
            let of_block = configurations.iter();
            of_block.map(move |one| overloaded(one, block))
        });
        let analysis = analyse(&history(trials.collect()), &objective());
        assert!(analysis.verdict.dependency_bound.is_some());
        assert_eq!(analysis.verdict.word, VerdictWord::Unresolved);
    }
}
