//! What counts as a failure, what a verdict says where little was measured, and
//! what is worse.

use std::time::Duration;

use autotune_model::{
    Bytes, ConfigId, Configuration, Decision, EndpointLoad, EndpointName, MaxLatency, Outcome,
    Quantile, TrialRecord,
};

use super::*;
use crate::outcome::{LimitCheck, LimitFigures, LimitState};
use crate::testing::{configurations, history, objective, sent, trial};

/// Both endpoints with so long an answer, microseconds.
fn steady(us: u64) -> Vec<EndpointLoad> {
    vec![sent("a", us, [400, 0]), sent("b", us, [400, 0])]
}

fn died() -> Outcome {
    Outcome::Died {
        detail: String::new(),
    }
}

fn ended(configuration: &Configuration, block: u32, outcome: Outcome) -> TrialRecord {
    TrialRecord {
        outcome,
        ..trial(configuration, block, steady(20_000))
    }
}

fn of<'a>(analysis: &'a Analysis, configuration: &Configuration) -> &'a ConfigAnalysis {
    let id = configuration.id();
    let mut all = analysis.configurations.iter();
    all.find(|one| one.id == id).unwrap()
}

/// The second configuration in three blocks beside a steady first one.
fn second(endpoints: impl Fn() -> Vec<EndpointLoad>, objective: &Objective) -> ConfigAnalysis {
    let all = configurations(2);
    let trials = (0..3).flat_map(|block| {
        [
            trial(&all[0], block, steady(20_000)),
            trial(&all[1], block, endpoints()),
        ]
    });
    let analysis = analyse(&history(trials.collect()), objective);
    assert_eq!(analysis.verdict.recommended, Some(all[0].id()));
    of(&analysis, &all[1]).clone()
}

#[test]
fn only_failed_requests_make_a_missing_statistic_a_failure() {
    let quiet = second(
        || vec![sent("a", 20_000, [400, 0]), sent("b", 0, [0, 0])],
        &objective(),
    );
    assert_eq!(
        (quiet.launches.no_statistic, quiet.launches.failed()),
        (3, 0)
    );
    assert!(matches!(quiet.feasibility, Feasibility::Unknown(_)));
    let mut no_limit = objective();
    no_limit.max_error_rate = None;
    let lost = second(
        || vec![sent("a", 20_000, [400, 0]), sent("b", 20_000, [300, 100])],
        &no_limit,
    );
    assert_eq!((lost.launches.no_statistic, lost.launches.failed()), (0, 3));
    assert!(matches!(lost.feasibility, Feasibility::Infeasible(_)));
}

/// What three launches with these p95s at `b` say of a limit of 100 ms; 0 stands
/// for one that did not attain it.
fn limit_at_b(p95s_us: [u64; 3]) -> LimitCheck {
    let all = configurations(1);
    let mut limited = objective();
    limited.max_error_rate = None;
    limited.max_latency = vec![MaxLatency {
        quantile: Quantile::P95,
        endpoint: EndpointName::new("b"),
        at_most: Duration::from_millis(100),
    }];
    let trials = (0..).zip(p95s_us).map(|(block, us)| {
        let b = match us {
            0 => sent("b", 20_000, [900, 100]),
            us => sent("b", us, [1000, 0]),
        };
        trial(&all[0], block, vec![sent("a", 20_000, [1000, 0]), b])
    });
    let analysis = analyse(&history(trials.collect()), &limited);
    let found = of(&analysis, &all[0]);
    assert_eq!(found.limits.len(), 1);
    let is_infeasible = matches!(&found.feasibility, Feasibility::Infeasible(reasons)
        if reasons.iter().any(|reason| reason.starts_with("max_p95 at b: ")));
    assert_eq!(is_infeasible, found.limits[0].state == LimitState::Broken);
    found.limits[0].clone()
}

#[test]
fn a_limit_on_a_quantile_is_judged_by_the_launches() {
    let state = |p95s| limit_at_b(p95s).state;
    assert_eq!(state([80_000, 82_000, 81_000]), LimitState::Shown);
    assert_eq!(state([120_000, 125_000, 122_000]), LimitState::Broken);
    // As far apart as these, three launches cannot tell.
    assert_eq!(state([60_000, 90_000, 120_000]), LimitState::NotShownBroken);
    // Slower than any limit in one launch: nothing is shown to hold.
    assert_eq!(state([80_000, 82_000, 0]), LimitState::NotShownBroken);
    assert_eq!(state([0, 0, 0]), LimitState::Broken);
    let LimitFigures::Time {
        at_most_us,
        seen_us,
        upper_us,
    } = limit_at_b([80_000, 80_000, 80_000]).figures
    else {
        panic!("a time");
    };
    assert_eq!(at_most_us, 100_000.0);
    let near = |value: Option<f64>| value.is_some_and(|us| (us / 80_000.0 - 1.0).abs() < 2e-3);
    assert!(near(seen_us) && near(upper_us), "{seen_us:?} {upper_us:?}");
}

#[test]
fn a_block_without_the_control_is_no_failure() {
    let all = configurations(2);
    let mut worst = objective();
    worst.over = autotune_model::Over::Worst;
    let mut trials: Vec<TrialRecord> = (0..3)
        .map(|block| trial(&all[1], block, steady(30_000)))
        .collect();
    trials.extend((0..2).map(|block| trial(&all[0], block, steady(20_000))));
    trials.push(ended(&all[0], 2, died()));
    let mut history = history(trials);
    history.decisions.push(planned(all[0].id()));
    let analysis = analyse(&history, &worst);
    let launches = of(&analysis, &all[1]).launches;
    assert_eq!((launches.measured, launches.no_statistic), (2, 1));
    assert_eq!(launches.failed(), 0);
}

fn planned(control: ConfigId) -> Decision {
    Decision {
        number: 0,
        kind: DecisionKind::Planned {
            control,
            length: Duration::from_secs(10),
            warm_up: Duration::from_secs(1),
            resolvable_pct: None,
        },
    }
}

#[test]
fn memory_that_cannot_be_read_is_no_failure() {
    let all = configurations(1);
    let mut light = objective();
    light.minimize = Metric::Memory;
    let mut record = trial(&all[0], 0, steady(20_000));
    record.server.as_mut().unwrap().memory_peak = None;
    let analysis = analyse(&history(vec![record]), &light);
    let launches = of(&analysis, &all[0]).launches;
    assert_eq!((launches.no_statistic, launches.failed()), (1, 0));
    assert_eq!(analysis.verdict.word, VerdictWord::Unresolved);
}

#[test]
fn infeasible_is_said_only_when_all_were_measured() {
    let all = configurations(2);
    let word = |trials: Vec<TrialRecord>| {
        let verdict = analyse(&history(trials), &objective()).verdict;
        assert_eq!(verdict.recommended, None);
        verdict.word
    };
    assert_eq!(word(Vec::new()), VerdictWord::Unresolved);
    let dead = || vec![ended(&all[0], 0, died()), ended(&all[0], 1, died())];
    let mut with_dead = dead();
    with_dead.extend([ended(&all[1], 0, died()), ended(&all[1], 1, died())]);
    assert_eq!(word(with_dead), VerdictWord::Infeasible);
    let invalid = Outcome::Invalid {
        detail: String::new(),
    };
    let mut with_unknown = dead();
    with_unknown.push(ended(&all[1], 0, invalid));
    assert_eq!(word(with_unknown), VerdictWord::Unresolved);
    // Only the pre-flight was launched: the first block did not fit.
    let mut preflight = trial(&all[0], 0, steady(20_000));
    preflight.spec.key.stage = autotune_model::Stage::Preflight;
    assert_eq!(word(vec![preflight]), VerdictWord::Unresolved);
}

#[test]
fn a_launch_that_says_nothing_counts_nowhere() {
    let all = configurations(1);
    let mut invalid = trial(
        &all[0],
        1,
        vec![sent("a", 9, [0, 4000]), sent("b", 9, [1, 0])],
    );
    invalid.outcome = Outcome::Invalid {
        detail: String::new(),
    };
    let server = invalid.server.as_mut().unwrap();
    server.memory_peak = Some(Bytes::new(1 << 40));
    server.memory_after = server.memory_peak;
    server.restarts = 7;
    let alone = analyse(&history(vec![trial(&all[0], 0, steady(9))]), &objective());
    let both = vec![trial(&all[0], 0, steady(9)), invalid];
    let analysis = analyse(&history(both), &objective());
    let (expected, one) = (of(&alone, &all[0]), of(&analysis, &all[0]));
    assert_eq!(one.feasibility, Feasibility::Feasible);
    assert_eq!(one.endpoints, expected.endpoints);
    assert_eq!(one.limits, expected.limits);
    assert_eq!(one.memory_range, expected.memory_range);
    assert_eq!(one.restarts, 0);
    let growth = |analysis: &Analysis| analysis.verdict.memory_growth;
    assert_eq!(growth(&analysis), growth(&alone));
}

#[test]
fn worse_is_beyond_each_part_of_accept() {
    let all = configurations(2);
    // 20 ms against 30 ms, give or take 2 ms.
    let trials = (0..6u64).flat_map(|block| {
        let us = 30_000 + [0, 2_000, 0, 2_000, 0, 1_000][block as usize] - 1_000;
        let block = u32::try_from(block).unwrap();
        [
            trial(&all[0], block, steady(20_000)),
            trial(&all[1], block, steady(us)),
        ]
    });
    let history = history(trials.collect());
    let standing = |relative: bool, absolute_ms: Option<u64>| {
        let mut objective = objective();
        objective.accept.relative = objective.accept.relative.filter(|_| relative);
        objective.accept.absolute = absolute_ms.map(Duration::from_millis);
        of(&analyse(&history, &objective), &all[1]).standing
    };
    assert_eq!(standing(true, None), Standing::Worse);
    assert_eq!(standing(true, Some(10)), Standing::Open);
    assert_eq!(standing(true, Some(20)), Standing::WithinAccept);
    assert_eq!(standing(true, Some(5)), Standing::Worse);
    assert_eq!(standing(false, Some(10)), Standing::Open);
}

#[test]
fn requests_are_judged_by_the_mean_over_launches() {
    let all = configurations(2);
    let both = |count: u64| vec![sent("a", 20_000, [400, 0]), sent("b", 20_000, [count, 0])];
    let trials = vec![
        trial(&all[0], 0, both(186)),
        trial(&all[0], 1, both(240)),
        trial(&all[1], 0, both(230)),
        trial(&all[1], 1, both(205)),
    ];
    let analysis = analyse(&history(trials), &objective());
    assert_eq!(analysis.fewest_requests, Some(213));
    let few = |reason: &Exploratory| matches!(reason, Exploratory::FewRequests { .. });
    assert!(!analysis.verdict.exploratory.iter().any(few));
}

#[test]
fn drift_outlives_a_reboot() {
    let all = configurations(1);
    let trials = (0..8u32).map(|block| {
        let us = 20_000 + 1_000 * u64::from(block);
        let mut record = trial(&all[0], block, steady(us));
        // The machine was started anew before the fifth block.
        if block >= 4 {
            record.span.start.boot_ns %= 1_000_000_000_000;
        }
        record
    });
    let mut history = history(trials.collect());
    history.decisions.push(planned(all[0].id()));
    let drift = analyse(&history, &objective()).drift.unwrap();
    assert!(drift.noticeable && drift.total_pct > 20.0, "{drift:?}");
}

#[test]
fn who_missed_the_slow_block_is_not_ranked_by_it() {
    let all = configurations(3);
    let invalid = Outcome::Invalid {
        detail: String::new(),
    };
    // The second is slower than the first in each block, but its launch in the
    // slow block was invalid.
    let trials = (0..5u32).flat_map(|block| {
        let slow = if block == 4 { 3 } else { 1 };
        let at = |us: u64| steady(us * slow);
        let missed = TrialRecord {
            outcome: if block == 4 {
                invalid.clone()
            } else {
                Outcome::Measured
            },
            ..trial(&all[1], block, at(22_000))
        };
        [
            trial(&all[0], block, at(20_000)),
            missed,
            trial(&all[2], block, at(24_000)),
        ]
    });
    let mut objective = objective();
    objective.baseline = Some(all[2].clone());
    let analysis = analyse(&history(trials.collect()), &objective);
    let ranked: Vec<ConfigId> = analysis.configurations.iter().map(|one| one.id).collect();
    assert_eq!(ranked, [all[0].id(), all[1].id(), all[2].id()]);
    let value = |index: usize| of(&analysis, &all[index]).objective.unwrap().value;
    assert!(
        (value(1) / value(0) - 1.1).abs() < 0.002,
        "{}",
        value(1) / value(0)
    );
    let shown = of(&analysis, &all[1]).endpoints[0].value_us.unwrap();
    assert!((shown / value(1) - 1.0).abs() < 1e-6);
    // Where a configuration is in all blocks it is the plain mean.
    let plain = 20_000.0 * 3f64.powf(0.2);
    assert!((value(0) / plain - 1.0).abs() < 0.002);
    let against = analysis.verdict.against_baseline.unwrap();
    assert!((against.value - 20.0 / 24.0).abs() < 0.002, "{against:?}");
    assert!(against.low.is_some() && against.high.is_some());
}

/// What launches with these peaks, in MiB, say of a limit of 100 MiB.
fn limit_on_memory(peaks_mib: &[u64]) -> LimitState {
    let all = configurations(1);
    let mut limited = objective();
    limited.max_error_rate = None;
    limited.max_memory = Some(Bytes::new(100 << 20));
    let trials = (0..).zip(peaks_mib).map(|(block, mib)| {
        let mut trial = trial(&all[0], block, steady(20_000));
        trial.server.as_mut().unwrap().memory_peak = Some(Bytes::new(mib << 20));
        trial
    });
    let analysis = analyse(&history(trials.collect()), &limited);
    let found = of(&analysis, &all[0]);
    let [check] = &found.limits[..] else {
        panic!("one limit: {:?}", found.limits);
    };
    let is_infeasible = matches!(&found.feasibility, Feasibility::Infeasible(reasons)
        if reasons.iter().any(|reason| reason.starts_with("max_memory: ")));
    assert_eq!(is_infeasible, check.state == LimitState::Broken);
    check.state
}

#[test]
fn a_limit_on_memory_is_judged_by_the_launches() {
    assert_eq!(limit_on_memory(&[80, 82, 81]), LimitState::Shown);
    assert_eq!(limit_on_memory(&[120, 125, 122]), LimitState::Broken);
    assert_eq!(limit_on_memory(&[60, 100, 120]), LimitState::NotShownBroken);
    assert_eq!(limit_on_memory(&[80]), LimitState::NotShownBroken);
}

#[test]
fn the_total_time_ranks_whatever_the_latency() {
    let all = configurations(2);
    let mut total = objective();
    total.minimize = Metric::Duration;
    let took = |index: usize, block: u32, us: u64, ms: u64| {
        let mut record = trial(&all[index], block, steady(us));
        record.load.as_mut().unwrap().length = Duration::from_millis(ms + u64::from(block));
        record
    };
    let trials = (0..8u32).flat_map(|block| {
        [
            took(0, block, 20_000, 30_000),
            took(1, block, 40_000, 20_000),
        ]
    });
    let analysis = analyse(&history(trials.collect()), &total);
    let ranked: Vec<ConfigId> = analysis.configurations.iter().map(|one| one.id).collect();
    assert_eq!(ranked, [all[1].id(), all[0].id()]);
    let value = of(&analysis, &all[1]).objective.unwrap().value;
    assert!((value - 20.0035).abs() < 0.002, "{value}");
    assert_eq!(analysis.verdict.recommended, Some(all[1].id()));
}
