//! Whether a service, such as the database, was the bottleneck: then no setting of
//! the server can do better, and there is no ranking. Pure.
//!
//! A service is *saturated* in a trial when it used nearly all of the CPUs that it
//! may use; or when nearly all that it used went to one process that was at work
//! all the time and never did more than one CPU can: one thread, as in a Redis,
//! however many CPUs there are beside it. Requests that wait for a lock or for a
//! disk use no CPU and are not seen.
//!
//! On CPUs that the server may use as well, a service that is the bottleneck can go
//! unseen: each waits while the other one runs, and CPU time does not tell who
//! waited for whom.

use std::collections::BTreeMap;

use autotune_model::{ConfigId, Outcome, ServiceName, ServiceRecord, TrialRecord};

use crate::feasible::are_too_many;
use crate::outcome::{
    Among, ConfigAnalysis, DependencyBound, LimitFigures, LimitState, ServiceAnalysis, Verdict,
};
use crate::sample::{Arm, Arms};

/// The share of its CPUs from which on a service has no time left. The rest goes
/// to waits between requests, which come at random.
pub const ALL_CPUS: f64 = 0.90;
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
/// nothing can be recommended, in most trials of most of all, which may fail because
/// of it.
pub(crate) fn bound(
    arms: &Arms<'_>,
    (all, verdict): (&[ConfigAnalysis], &Verdict),
) -> Option<DependencyBound> {
    let (among, looked_at): (Among, Vec<ConfigId>) = match verdict.recommended {
        Some(_) => (Among::Best, verdict.tie_set.clone()),
        None => (Among::All, all.iter().map(|one| one.id).collect()),
    };
    let waits_for = |id: &ConfigId| {
        let may_wait = all.iter().any(|one| one.id == *id && may_wait(one));
        let names = arms.get(id).filter(|_| may_wait).map(saturated_in_most);
        names.unwrap_or_default()
    };
    let of_first = verdict.recommended.as_ref().map(waits_for);
    let mut by_service: BTreeMap<&ServiceName, usize> = BTreeMap::new();
    let names = looked_at.iter().flat_map(waits_for);
    names.for_each(|name| *by_service.entry(name).or_default() += 1);
    let of = looked_at.len();
    let mut bound = by_service.into_iter().filter(|(name, waiting)| {
        let binds_first = of_first.as_ref().is_none_or(|names| names.contains(name));
        binds_first && 2 * waiting > of
    });
    let (name, waiting) = bound.next()?;
    let seen = looked_at.iter().filter_map(|id| arms.get(id));
    let records: Vec<&ServiceRecord> = seen.flat_map(|arm| of_arm(arm, name)).collect();
    Some(DependencyBound {
        service: one(name, &records),
        among,
        waiting,
        of,
    })
}

/// Whether waiting for a service can be what is wrong with a configuration. One
/// that needs more memory than it may have, dies or does not start is ruled out by
/// what it is.
fn may_wait(one: &ConfigAnalysis) -> bool {
    let launches = &one.launches;
    let by_itself = launches.failed_to_start + launches.died + launches.out_of_memory;
    let broken = one
        .limits
        .iter()
        .filter(|check| check.state == LimitState::Broken);
    let mut by_waiting = broken.map(|check| match check.figures {
        LimitFigures::Share { .. } | LimitFigures::Time { .. } => true,
        LimitFigures::Memory { .. } | LimitFigures::Surge { .. } => false,
    });
    by_waiting.all(|by_waiting| by_waiting) && !are_too_many(by_itself, launches)
}

fn of_arm<'a>(arm: &Arm<'a>, name: &ServiceName) -> Vec<&'a ServiceRecord> {
    let loaded = arm
        .launches
        .iter()
        .filter_map(|launch| services(launch.record));
    loaded.flatten().filter(|one| &one.name == name).collect()
}

/// The services that were saturated in most launches with a load.
fn saturated_in_most<'a>(arm: &Arm<'a>) -> Vec<&'a ServiceName> {
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
    most.map(|(name, _)| name).collect()
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
        let bound = verdict.dependency_bound.as_ref().expect("a bottleneck");
        assert_eq!(bound.service.name, ServiceName::new("db"));
        // The third is worse than the best, and not among those that were looked at.
        assert_eq!((bound.among, bound.waiting, bound.of), (Among::Best, 2, 2));
        assert_eq!((bound.service.trials, bound.service.saturated), (16, 16));
        assert!(
            bound
                .service
                .busy_range
                .is_some_and(|(_, most)| most < 0.98)
        );
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

    /// Two configurations whose launches all end like this, beside a database
    /// without CPU time left; so many of them have used memory without bounds.
    fn failing(outcome: &Outcome, greedy: usize) -> crate::Analysis {
        let all = configurations(2);
        let mut trials = Vec::new();
        for block in 0..4 {
            for (index, configuration) in all.iter().enumerate() {
                let mut trial = trial(configuration, block, vec![sent("a", 9, [1, 900])]);
                trial.outcome = outcome.clone();
                if let Some(server) = &mut trial.server {
                    server.services = vec![used(1, [0.99, 0.5, 0.8])];
                    let mib = if index < greedy { 4096 } else { 64 };
                    server.memory_peak = Some(Bytes::new((mib << 20) + u64::from(block)));
                }
                trials.push(trial);
            }
        }
        let mut objective = objective();
        objective.max_memory = Some(Bytes::new(1 << 30));
        analyse(&history(trials), &objective)
    }

    #[test]
    fn a_service_that_makes_every_setting_fail_is_named() {
        let overloaded = Outcome::Overloaded {
            detail: "the backlog grew".to_owned(),
        };
        let verdict = failing(&overloaded, 0).verdict;
        let bound = verdict.dependency_bound.expect("a bottleneck");
        assert_eq!((bound.among, bound.waiting, bound.of), (Among::All, 2, 2));
        assert_eq!(verdict.word, VerdictWord::Unresolved);
    }

    #[test]
    fn what_no_service_explains_stays_infeasible() {
        let overloaded = Outcome::Overloaded {
            detail: "the backlog grew".to_owned(),
        };
        // One of two breaks its limit of memory: not most of all wait.
        for (outcome, greedy) in [(&overloaded, 2), (&overloaded, 1), (&Outcome::Measured, 2)] {
            let verdict = failing(outcome, greedy).verdict;
            assert_eq!(verdict.dependency_bound, None, "{outcome:?} {greedy}");
            assert_eq!(verdict.word, VerdictWord::Infeasible);
        }
    }
}
