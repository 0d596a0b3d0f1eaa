//! A study that is interrupted before any of its trials, and resumed, ends in
//! the same verdict; no finished trial is run again.

use std::collections::{BTreeMap, BTreeSet};
use std::path::Path;

use autotune_analysis::{Analysis, VerdictWord};
use autotune_model::{
    Anchor, Bytes, CpuPlacement, Decision, DecisionKind, History, HostFacts, Objective, Outcome,
    Seed, Span, Stage, StopReason, Surge, TrialRecord, TrialSpec,
};
use autotune_search::{Plan, Procedure};
use autotune_sim::{Failing, SimulatedServer, World};
use autotune_store::{FORMAT, Series, Store, StudyMeta};
use autotune_sweep::{Ended, Event, Finished, Sweep};

use crate::study::{configurations, objective, plan};

const SOME_INVALID: Failing = Failing::Invalid(0.1);

pub(crate) fn meta(seed: Seed) -> StudyMeta {
    StudyMeta {
        name: "simulated".to_owned(),
        format: FORMAT,
        tool_version: "test".to_owned(),
        grid_text: String::new(),
        identity: "same".to_owned(),
        seed,
        host: HostFacts::default(),
        created_wall_ns: 0,
        placement: CpuPlacement {
            server: None,
            generator: None,
            cores: 1,
        },
        provenance: Vec::new(),
    }
}

pub(crate) fn world(seed: Seed, failing: Failing) -> World {
    world_of([20_000.0, 22_000.0, 30_000.0], seed, failing)
}

fn world_of(p95s_us: [f64; 3], seed: Seed, failing: Failing) -> World {
    let truth: BTreeMap<_, _> = configurations(3)
        .iter()
        .zip(p95s_us)
        .map(|(one, p95_us)| {
            let server = SimulatedServer {
                p95_us,
                noise: 0.03,
                memory: Bytes::new(64 << 20),
                failing,
            };
            (one.id(), server)
        })
        .collect();
    World::new(truth, seed)
}

/// A trial without anything in it.
pub(crate) fn record(spec: &TrialSpec) -> TrialRecord {
    let anchor = Anchor {
        monotonic_ns: 0,
        boot_ns: 0,
        wall_ns: 0,
    };
    TrialRecord {
        spec: spec.clone(),
        outcome: Outcome::Measured,
        span: Span {
            start: anchor,
            end: anchor,
        },
        load: None,
        server: None,
    }
}

/// How many blocks are asked for, and whether a surge is.
#[derive(Clone, Copy)]
struct Asked {
    blocks: u32,
    surge: Option<Surge>,
}

async fn sweep(path: &Path, world: &mut World, seed: Seed) -> Finished {
    let asked = Asked {
        blocks: 4,
        surge: None,
    };
    sweep_for(asked, path, world, seed).await
}

async fn sweep_for(asked: Asked, path: &Path, world: &mut World, seed: Seed) -> Finished {
    let Asked { blocks, surge } = asked;
    let mut store = if path.exists() {
        Store::open(path)
    } else {
        Store::create(path, &meta(seed))
    }
    .unwrap();
    let known = store.load_history(Series::Without).unwrap();
    let known = known.decisions.len();
    let plan = plan(configurations(3), blocks, seed);
    let procedure = Procedure::exhaustive(Plan { surge, ..plan });
    let objective = Objective {
        surge,
        ..objective()
    };
    let mut sweep = Sweep {
        store: &mut store,
        procedure: &procedure,
        objective: &objective,
        owner: "here",
    };
    let (mut keys, mut told) = (Vec::new(), Vec::new());
    let mut on_event = |event: Event<'_>| match event {
        Event::TrialStarted { spec, .. } => keys.push((spec.key, spec.attempt)),
        Event::Decided { kind, .. } => told.push(kind.clone()),
        _ => {}
    };
    let finished = sweep.run(world, &mut on_event).await.unwrap();
    let decided = finished.history.decisions.iter().skip(known);
    let decided = decided.map(|decision| decision.kind.clone());
    let ends =
        |kind: &DecisionKind| matches!(kind, DecisionKind::Stopped { .. } | DecisionKind::Resumed);
    let decided: Vec<_> = decided.filter(|kind| !ends(kind)).collect();
    assert_eq!(told, decided, "every decision is told, ends apart");
    let mut distinct = keys.clone();
    distinct.sort();
    distinct.dedup();
    assert_eq!(keys.len(), distinct.len(), "a trial was run twice");
    finished
}

fn what_matters(finished: &Finished) -> (Vec<TrialRecord>, Analysis) {
    let History { trials, .. } = &finished.history;
    (trials.clone(), finished.analysis.clone())
}

#[test]
fn interrupted_anywhere_a_study_ends_the_same() {
    let asked = Asked {
        blocks: 4,
        surge: None,
    };
    interrupted_anywhere(asked);
}

#[test]
fn interrupted_anywhere_a_study_with_a_surge_ends_the_same() {
    let asked = Asked {
        blocks: 4,
        surge: Surge::new(1.5),
    };
    let whole = interrupted_anywhere(asked);
    // The best does not carry it, the next one does.
    let launched = whole.history.counting(Stage::Surge);
    let launched: Vec<_> = launched
        .map(|trial| trial.spec.configuration.id())
        .collect();
    let all = configurations(3);
    assert_eq!(launched.first(), Some(&all[0].id()));
    assert_eq!(whole.analysis.verdict.recommended, Some(all[1].id()));
}

fn interrupted_anywhere(asked: Asked) -> Finished {
    let runtime = tokio::runtime::Builder::new_current_thread()
        .build()
        .unwrap();
    let seed = Seed::new(3);
    let folder = tempfile::tempdir().unwrap();
    let new_world = || {
        let mut world = world(seed, SOME_INVALID);
        world.fails_surge = BTreeSet::from([configurations(3)[0].id()]);
        world
    };
    let path = folder.path().join("whole.db");
    let whole = runtime.block_on(sweep_for(asked, &path, &mut new_world(), seed));
    assert!(matches!(whole.ended, Ended::Done(_)));
    let expected = what_matters(&whole);
    let trials = u32::try_from(expected.0.len()).unwrap();
    for stop_before in 0..trials {
        let path = folder.path().join(format!("stopped-{stop_before}.db"));
        let mut world = new_world();
        world.stop_before = Some(stop_before);
        let first = runtime.block_on(sweep_for(asked, &path, &mut world, seed));
        assert!(
            matches!(first.ended, Ended::Interrupted),
            "before trial {stop_before}"
        );
        world.stop_before = None;
        let second = runtime.block_on(sweep_for(asked, &path, &mut world, seed));
        assert_eq!(
            what_matters(&second),
            expected,
            "stopped before trial {stop_before}"
        );
        assert_eq!(world.trials, trials, "stopped before trial {stop_before}");
        let third = runtime.block_on(sweep_for(asked, &path, &mut world, seed));
        assert!(
            what_matters(&third) == expected,
            "asked again after {stop_before}"
        );
        assert_eq!(world.trials, trials, "a finished study ran another trial");
    }
    whole
}

#[test]
fn a_block_that_was_interrupted_for_long_is_closed() {
    let runtime = tokio::runtime::Builder::new_current_thread()
        .build()
        .unwrap();
    let seed = Seed::new(3);
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("study.db");
    let mut world = world(seed, Failing::Never);
    // Four pre-flight trials, then one of the three of the first block.
    world.stop_before = Some(5);
    let first = runtime.block_on(sweep(&path, &mut world, seed));
    assert!(matches!(first.ended, Ended::Interrupted));
    world.stop_before = None;
    world.now_ns += 3_600_000_000_000;
    let second = runtime.block_on(sweep(&path, &mut world, seed));
    let in_first = second
        .history
        .trials
        .iter()
        .filter(|trial| trial.spec.key.stage == Stage::Measure && trial.spec.key.block == 0);
    assert!(second.history.is_closed(Stage::Measure, 0));
    assert_eq!(in_first.count(), 1, "the closed block was completed");
}

#[test]
fn a_larger_budget_goes_on_and_its_end_agrees_with_its_verdict() {
    a_larger_budget_goes_on(None);
}

#[test]
fn a_larger_budget_goes_on_with_a_surge_too() {
    a_larger_budget_goes_on(Surge::new(1.5));
}

fn a_larger_budget_goes_on(surge: Option<Surge>) {
    let of = |blocks| Asked { blocks, surge };
    let runtime = tokio::runtime::Builder::new_current_thread()
        .build()
        .unwrap();
    let folder = tempfile::tempdir().unwrap();
    let mut continued = 0;
    for number in 0..12 {
        let seed = Seed::new(number);
        let path = folder.path().join(format!("{number}.db"));
        // Three equals: at eight blocks the bound is about what is accepted, so
        // that it matters how much error a look may spend.
        let mut world = world_of([20_000.0; 3], seed, Failing::Never);
        let first = runtime.block_on(sweep_for(of(8), &path, &mut world, seed));
        if !matches!(first.ended, Ended::Done(StopReason::Budget)) {
            continue;
        }
        let trials = world.trials;
        let second = runtime.block_on(sweep_for(of(24), &path, &mut world, seed));
        assert!(world.trials > trials, "{number}: it went on");
        continued += 1;
        let kinds = |finished: &Finished| -> Vec<DecisionKind> {
            let decisions = finished.history.decisions.iter();
            decisions
                .map(|Decision { kind, .. }| kind.clone())
                .collect()
        };
        assert!(kinds(&second).contains(&DecisionKind::Resumed), "{number}");
        if matches!(second.ended, Ended::Done(StopReason::Answered)) {
            let word = second.analysis.verdict.word;
            assert_eq!(word, VerdictWord::Recommended, "{number}");
        }
        let trials = world.trials;
        let third = runtime.block_on(sweep_for(of(24), &path, &mut world, seed));
        assert_eq!(what_matters(&third), what_matters(&second), "{number}");
        assert_eq!(kinds(&third), kinds(&second), "{number}");
        assert_eq!(world.trials, trials, "{number}: ended, and ran a trial");
    }
    assert!(continued > 0, "no study ended by its budget");
}
