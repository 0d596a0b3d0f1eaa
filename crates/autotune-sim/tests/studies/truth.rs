//! How often the verdict is right.

use std::cell::Cell;
use std::collections::BTreeMap;

use autotune_analysis::{Analysis, Feasibility, VerdictWord, analyse};
use autotune_model::{Bytes, ConfigId, Configuration, Outcome, Seed, Stage, StopReason};
use autotune_search::Procedure;
use autotune_sim::{Failing, SimulatedServer, World};

use crate::study::{configurations, objective, plan, study};

fn server(p95_us: f64, noise: f64) -> SimulatedServer {
    SimulatedServer {
        p95_us,
        noise,
        memory: Bytes::new(100 << 20),
        failing: Failing::Never,
    }
}

fn truth(
    configurations: &[Configuration],
    of: impl Fn(usize) -> SimulatedServer,
) -> BTreeMap<ConfigId, SimulatedServer> {
    configurations
        .iter()
        .enumerate()
        .map(|(index, one)| (one.id(), of(index)))
        .collect()
}

/// Plays one study for each seed and counts those that pass.
fn count(
    seeds: u64,
    blocks: u32,
    arms: i64,
    of: impl Fn(usize) -> SimulatedServer,
    passes: impl Fn(&Analysis, &[Configuration]) -> bool,
) -> u32 {
    let runtime = tokio::runtime::Builder::new_current_thread()
        .build()
        .unwrap();
    let configurations = configurations(arms);
    let mut passed = 0;
    for seed in 0..seeds {
        let seed = Seed::new(seed);
        let procedure = Procedure::exhaustive(plan(configurations.clone(), blocks, seed));
        let mut world = World::new(truth(&configurations, &of), seed);
        let (_, analysis, _) = runtime.block_on(study(&procedure, &objective(), &mut world));
        passed += u32::from(passes(&analysis, &configurations));
    }
    passed
}

#[test]
fn identical_configurations_have_no_winner() {
    let single = |analysis: &Analysis, _: &[Configuration]| {
        assert_eq!(analysis.complete_blocks, 8);
        analysis.verdict.tie_set.len() == 1
    };
    let winners = count(1000, 8, 4, |_| server(20_000.0, 0.03), single);
    assert!(
        winners <= 65,
        "{winners} of 1000 studies crowned one of four equals"
    );
}

#[test]
fn ten_percent_at_three_percent_noise_is_found_in_eight_blocks() {
    let of = |index: usize| server(20_000.0 * 1.1f64.powi(index as i32), 0.03);
    let right = |analysis: &Analysis, all: &[Configuration]| {
        assert_eq!(analysis.complete_blocks, 8);
        analysis.verdict.tie_set == [all[0].id()]
    };
    let found = count(200, 8, 4, of, right);
    assert!(
        found >= 160,
        "only {found} of 200 studies found the one that is 10 % better"
    );
}

/// Studies of sixteen blocks in which the database is so busy under each of three
/// configurations, the first of which is the fastest by a third.
fn with_database(busy: [f64; 3]) -> Vec<(Analysis, StopReason)> {
    let runtime = tokio::runtime::Builder::new_current_thread()
        .build()
        .unwrap();
    let all = configurations(3);
    let of = |index: usize| server(20_000.0 * (1.0 + index as f64 / 3.0), 0.03);
    let studies = (0..50).map(Seed::new).map(|seed| {
        let procedure = Procedure::exhaustive(plan(all.clone(), 16, seed));
        let mut world = World::new(truth(&all, of), seed);
        world.database = all.iter().map(Configuration::id).zip(busy).collect();
        let (_, analysis, reason) = runtime.block_on(study(&procedure, &objective(), &mut world));
        (analysis, reason)
    });
    studies.collect()
}

#[test]
fn where_all_wait_for_the_database_nothing_is_recommended_and_the_sweep_ends_soon() {
    for (analysis, reason) in with_database([0.96, 0.97, 0.98]) {
        let verdict = &analysis.verdict;
        assert!(verdict.dependency_bound.is_some());
        assert_eq!(verdict.word, VerdictWord::Unresolved);
        assert_eq!(verdict.recommended, None);
        // At the first look, although the budget has room for sixteen blocks.
        assert_eq!(
            (analysis.complete_blocks, reason),
            (8, StopReason::Answered)
        );
    }
}

#[test]
fn where_only_slow_settings_use_up_the_database_the_fast_one_is_recommended() {
    for (analysis, reason) in with_database([0.6, 0.97, 0.98]) {
        let verdict = &analysis.verdict;
        assert_eq!(verdict.dependency_bound, None);
        assert_eq!(verdict.recommended, Some(configurations(1)[0].id()));
        assert_eq!(
            (analysis.complete_blocks, reason),
            (8, StopReason::Answered)
        );
    }
}

#[test]
fn disturbed_trials_are_repeated_and_do_not_hide_the_winner() {
    let runtime = tokio::runtime::Builder::new_current_thread()
        .build()
        .unwrap();
    let all = configurations(3);
    let (mut found, mut disturbed, mut counting) = (0, 0, 0);
    for seed in (0..100).map(Seed::new) {
        let mut world = World::new(
            truth(&all, |index| {
                server(20_000.0 * 1.1f64.powi(index as i32), 0.03)
            }),
            seed,
        );
        world.disturbed = 0.1;
        // Room for eight blocks and the repetitions.
        let procedure = Procedure::exhaustive(plan(all.clone(), 10, seed));
        let (_, analysis, _) = runtime.block_on(study(&procedure, &objective(), &mut world));
        disturbed += analysis.disturbed.trials;
        counting += analysis.disturbed.counting;
        found += u32::from(analysis.verdict.tie_set == [all[0].id()]);
    }
    assert!(disturbed > 100, "{disturbed} trials were disturbed");
    // Only where the repetition no longer fits into the budget.
    assert!(counting * 20 < disturbed, "{counting} of {disturbed} count");
    assert!(
        found >= 80,
        "the best was found in only {found} of 100 studies"
    );
}

#[test]
fn the_bound_holds_and_the_best_is_in_the_tie_set() {
    // Noise of 2 and of 15 percent side by side, gaps about as large as the noise.
    let of = |index: usize| {
        let noise = if index.is_multiple_of(2) { 0.02 } else { 0.15 };
        server(20_000.0 * (1.0 + 0.03 * index as f64), noise)
    };
    let holds = |analysis: &Analysis, all: &[Configuration]| {
        let Some(chosen) = analysis.verdict.recommended else {
            return false;
        };
        let index = all.iter().position(|one| one.id() == chosen).unwrap();
        let true_loss_pct = 3.0 * index as f64;
        analysis
            .verdict
            .bound_pct
            .is_some_and(|bound| true_loss_pct <= bound + 1e-6)
    };
    let contains = |analysis: &Analysis, all: &[Configuration]| {
        analysis.verdict.tie_set.contains(&all[0].id())
    };
    for blocks in [5, 8] {
        let (held, found) = (Cell::new(0), Cell::new(0));
        count(200, blocks, 6, of, |analysis, all| {
            assert_eq!(analysis.complete_blocks, blocks);
            held.set(held.get() + u32::from(holds(analysis, all)));
            found.set(found.get() + u32::from(contains(analysis, all)));
            true
        });
        let (held, found) = (held.get(), found.get());
        assert!(
            held >= 183,
            "{blocks} blocks: the bound held in {held} of 200"
        );
        assert!(
            found >= 183,
            "{blocks} blocks: the best tied in {found} of 200"
        );
    }
}

#[test]
fn the_bound_holds_though_the_sweep_stops_when_it_likes() {
    // Room for 40 blocks: it may stop at 8, 16 or 32 because of what it sees.
    let of = |index: usize| server(if index == 0 { 20_000.0 } else { 20_800.0 }, 0.05);
    let holds = |analysis: &Analysis, all: &[Configuration]| {
        let true_loss_pct = if analysis.verdict.recommended == Some(all[0].id()) {
            0.0
        } else {
            4.0
        };
        analysis
            .verdict
            .bound_pct
            .is_some_and(|bound| true_loss_pct <= bound + 1e-6)
    };
    let held = count(200, 40, 5, of, holds);
    assert!(held >= 183, "the bound held in only {held} of 200 studies");
}

#[test]
fn the_lightest_within_accept_is_recommended() {
    // 2 % slower and half the memory; 30 % slower and a quarter of it.
    let of = |index: usize| {
        let (p95_us, mib) = [(20_000.0, 200), (20_400.0, 100), (26_000.0, 50)][index];
        SimulatedServer {
            memory: Bytes::new(mib << 20),
            ..server(p95_us, 0.02)
        }
    };
    let right = |analysis: &Analysis, all: &[Configuration]| {
        analysis.verdict.word == VerdictWord::Recommended
            && analysis.verdict.recommended == Some(all[1].id())
    };
    let found = count(100, 16, 3, of, right);
    assert!(
        found >= 80,
        "the lightest within accept was chosen in only {found} of 100 studies"
    );
}

#[test]
fn drift_is_seen_by_the_control_and_does_not_change_the_answer() {
    let configurations = configurations(4);
    let of = |index: usize| server(20_000.0 * 1.1f64.powi(index as i32), 0.01);
    let seed = Seed::new(11);
    let procedure = Procedure::exhaustive(plan(configurations.clone(), 12, seed));
    let mut world = World::new(truth(&configurations, of), seed);
    world.drift_per_hour = 1.5;
    world.block_noise = 0.0;
    let runtime = tokio::runtime::Builder::new_current_thread()
        .build()
        .unwrap();
    let (history, analysis, _) = runtime.block_on(study(&procedure, &objective(), &mut world));
    assert_eq!(analysis.verdict.tie_set, [configurations[0].id()]);
    let drift = analysis
        .drift
        .expect("twelve launches of the control show a drift");
    assert!(drift.noticeable && drift.total_pct > 5.0, "{drift:?}");
    // The guard itself: the control is in every block.
    let control = analysis
        .configurations
        .iter()
        .find(|one| one.is_control)
        .unwrap()
        .id;
    let last = history
        .trials
        .iter()
        .map(|trial| trial.spec.key.block)
        .max()
        .unwrap();
    for block in 0..=last {
        let in_block = history.trials.iter().any(|trial| {
            let key = trial.spec.key;
            (key.stage, key.block) == (Stage::Measure, block)
                && trial.spec.configuration.id() == control
        });
        assert!(in_block, "no control in block {block}");
    }
}

#[test]
fn failures_are_findings_and_stop_being_paid_for() {
    let configurations = configurations(4);
    let of = |index: usize| {
        let failing = [
            Failing::Never,
            Failing::AlwaysOverloaded,
            Failing::Dies(0.7),
            Failing::Invalid(0.5),
        ];
        // The failing ones would be fastest.
        let p95_us = if index == 0 { 20_000.0 } else { 10_000.0 };
        let p95_us = if index == 3 { 30_000.0 } else { p95_us };
        SimulatedServer {
            failing: failing[index],
            ..server(p95_us, 0.02)
        }
    };
    let seed = Seed::new(5);
    let procedure = Procedure::exhaustive(plan(configurations.clone(), 12, seed));
    let mut world = World::new(truth(&configurations, of), seed);
    let runtime = tokio::runtime::Builder::new_current_thread()
        .build()
        .unwrap();
    let (history, analysis, _) = runtime.block_on(study(&procedure, &objective(), &mut world));
    assert_eq!(analysis.verdict.recommended, Some(configurations[0].id()));
    for failing in [&configurations[1], &configurations[2]] {
        let one = analysis
            .configurations
            .iter()
            .find(|one| one.id == failing.id())
            .unwrap();
        assert!(
            matches!(one.feasibility, Feasibility::Infeasible(_)),
            "{one:?}"
        );
    }
    let overloaded = |trial: &&autotune_model::TrialRecord| {
        trial.spec.key.stage == Stage::Measure
            && matches!(trial.outcome, Outcome::Overloaded { .. })
    };
    assert_eq!(history.trials.iter().filter(overloaded).count(), 2);
}

#[test]
fn nothing_feasible_is_said_so() {
    let configurations = configurations(3);
    let of = |_| SimulatedServer {
        failing: Failing::AlwaysOverloaded,
        ..server(1000.0, 0.02)
    };
    let seed = Seed::new(5);
    let procedure = Procedure::exhaustive(plan(configurations.clone(), 12, seed));
    let mut world = World::new(truth(&configurations, of), seed);
    let runtime = tokio::runtime::Builder::new_current_thread()
        .build()
        .unwrap();
    let (history, analysis, reason) = runtime.block_on(study(&procedure, &objective(), &mut world));
    assert_eq!(analysis.verdict.word, VerdictWord::Infeasible);
    assert_eq!(reason, StopReason::NothingMeasurable);
    assert_eq!(
        analyse(&history, &objective()),
        analysis,
        "the same study, the same analysis"
    );
}
