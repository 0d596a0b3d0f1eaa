//! What is recommended carries the surge, or is refused.

use std::collections::BTreeMap;

use autotune_analysis::{Analysis, LimitState, VerdictWord};
use autotune_model::{Bytes, Configuration, History, Objective, Outcome, Seed, Stage, Surge};
use autotune_search::{Plan, Procedure};
use autotune_sim::{Failing, SimulatedServer, World};

use crate::study::{configurations, objective, plan, study};

/// Three configurations of which each is so much slower than the one before.
fn world(step: f64, failing: &[usize], seed: Seed) -> World {
    let all = configurations(3);
    let server = |index: usize| SimulatedServer {
        p95_us: 20_000.0 * step.powi(index as i32),
        noise: 0.01,
        memory: Bytes::new(64 << 20),
        failing: Failing::Never,
    };
    let truth: BTreeMap<_, _> = all
        .iter()
        .enumerate()
        .map(|(index, one)| (one.id(), server(index)))
        .collect();
    let mut world = World::new(truth, seed);
    world.fails_surge = failing.iter().map(|index| all[*index].id()).collect();
    world
}

/// A study of so many blocks, and as many launches after them as it takes.
fn play(world: &mut World, blocks: u32) -> (History, Analysis) {
    let surge = Surge::new(1.5);
    let usual = plan(configurations(3), blocks, world.seed);
    let procedure = Procedure::exhaustive(Plan { surge, ..usual });
    let wanted = Objective {
        surge,
        ..objective()
    };
    let runtime = tokio::runtime::Builder::new_current_thread()
        .build()
        .unwrap();
    let (history, analysis, _) = runtime.block_on(study(&procedure, &wanted, world));
    assert!(history.time_spent() <= procedure.plan().budget);
    (history, analysis)
}

/// Who was launched under the surge, in order of their launches.
fn launched(history: &History) -> Vec<&Configuration> {
    let trials = history.counting(Stage::Surge);
    trials.map(|trial| &trial.spec.configuration).collect()
}

#[test]
fn one_that_carries_it_is_recommended_after_two_launches() {
    for seed in (0..50).map(Seed::new) {
        let all = configurations(3);
        let (history, analysis) = play(&mut world(1.3, &[], seed), 16);
        assert_eq!(analysis.verdict.word, VerdictWord::Recommended);
        assert_eq!(analysis.verdict.recommended, Some(all[0].id()));
        assert_eq!(launched(&history), [&all[0], &all[0]]);
        // Under more load, and in no comparison.
        let first = history.counting(Stage::Surge).next().unwrap();
        let compared = history.counting(Stage::Measure).next().unwrap();
        assert_ne!(first.spec.load, compared.spec.load);
        assert_eq!(analysis.configurations[0].launches.measured, 8);
    }
}

#[test]
fn one_that_does_not_is_refused_and_the_next_is_asked() {
    for seed in (0..50).map(Seed::new) {
        let all = configurations(3);
        let (history, analysis) = play(&mut world(1.3, &[0], seed), 16);
        assert_eq!(analysis.verdict.word, VerdictWord::Recommended);
        assert_eq!(analysis.verdict.recommended, Some(all[1].id()));
        assert_eq!(launched(&history), [&all[0], &all[0], &all[1], &all[1]]);
    }
}

#[test]
fn where_none_carries_it_nothing_is_recommended() {
    let (history, analysis) = play(&mut world(1.3, &[0, 1, 2], Seed::new(1)), 16);
    assert_eq!(analysis.verdict.word, VerdictWord::Infeasible);
    assert_eq!(analysis.verdict.recommended, None);
    assert_eq!(launched(&history).len(), 6);
}

#[test]
fn a_budget_that_ends_the_comparison_leaves_room_for_it() {
    // Equals are never told apart: the budget ends the comparison.
    for seed in (0..50).map(Seed::new) {
        let (history, analysis) = play(&mut world(1.0, &[], seed), 8);
        let recommended = analysis.verdict.recommended.unwrap();
        let launched = launched(&history);
        assert_eq!(launched.len(), 2, "{launched:?}");
        assert!(launched.iter().all(|one| one.id() == recommended));
        assert_eq!(analysis.verdict.but_for_surge, None);
    }
}

#[test]
fn what_was_never_told_under_the_surge_is_not_recommended() {
    let (mut history, analysis) = play(&mut world(1.3, &[], Seed::new(1)), 16);
    assert_eq!(analysis.verdict.word, VerdictWord::Recommended);
    for trial in &mut history.trials {
        if trial.spec.key.stage == Stage::Surge {
            trial.outcome = Outcome::Invalid {
                detail: String::new(),
            };
        }
    }
    let wanted = Objective {
        surge: Surge::new(1.5),
        ..objective()
    };
    let analysis = autotune_analysis::analyse(&history, &wanted);
    assert_eq!(analysis.verdict.word, VerdictWord::Unresolved);
    assert_eq!(
        analysis.verdict.but_for_surge,
        Some(VerdictWord::Recommended)
    );
    let limits = &analysis.configurations[0].limits;
    let surge = limits.iter().find(|check| check.limit == "surge").unwrap();
    assert_eq!(surge.state, LimitState::NotShownBroken);
}
