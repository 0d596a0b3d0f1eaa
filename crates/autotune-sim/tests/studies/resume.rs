//! A study that is interrupted before any of its trials, and resumed, ends in
//! the same verdict; no finished trial is run again.

use std::collections::BTreeMap;
use std::path::Path;

use autotune_analysis::Analysis;
use autotune_model::{
    Anchor, Bytes, CpuPlacement, DecisionKind, History, HostFacts, Outcome, Seed, Span,
    TrialRecord, TrialSpec,
};
use autotune_search::Procedure;
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
    let truth: BTreeMap<_, _> = configurations(3)
        .iter()
        .zip([20_000.0, 22_000.0, 30_000.0])
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

async fn sweep(path: &Path, world: &mut World, seed: Seed) -> Finished {
    let mut store = if path.exists() {
        Store::open(path)
    } else {
        Store::create(path, &meta(seed))
    }
    .unwrap();
    let known = store.load_history(Series::Without).unwrap();
    let known = known.decisions.len();
    let procedure = Procedure::exhaustive(plan(configurations(3), 4, seed));
    let objective = objective();
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
    let decided: Vec<_> = decided
        .filter(|kind| !matches!(kind, DecisionKind::Stopped { .. }))
        .collect();
    assert_eq!(told, decided, "every decision is told, its end apart");
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
    let runtime = tokio::runtime::Builder::new_current_thread()
        .build()
        .unwrap();
    let seed = Seed::new(3);
    let folder = tempfile::tempdir().unwrap();
    let whole = runtime.block_on(sweep(
        &folder.path().join("whole.db"),
        &mut world(seed, SOME_INVALID),
        seed,
    ));
    assert!(matches!(whole.ended, Ended::Done(_)));
    let expected = what_matters(&whole);
    let trials = u32::try_from(expected.0.len()).unwrap();
    for stop_before in 0..trials {
        let path = folder.path().join(format!("stopped-{stop_before}.db"));
        let mut world = world(seed, SOME_INVALID);
        world.stop_before = Some(stop_before);
        let first = runtime.block_on(sweep(&path, &mut world, seed));
        assert!(
            matches!(first.ended, Ended::Interrupted),
            "before trial {stop_before}"
        );
        world.stop_before = None;
        let second = runtime.block_on(sweep(&path, &mut world, seed));
        assert_eq!(
            what_matters(&second),
            expected,
            "stopped before trial {stop_before}"
        );
        assert_eq!(world.trials, trials, "stopped before trial {stop_before}");
        let third = runtime.block_on(sweep(&path, &mut world, seed));
        assert!(
            what_matters(&third) == expected,
            "asked again after {stop_before}"
        );
        assert_eq!(world.trials, trials, "a finished study ran another trial");
    }
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
    let in_first = second.history.trials.iter().filter(|trial| {
        trial.spec.key.stage == autotune_model::Stage::Measure && trial.spec.key.block == 0
    });
    assert!(second.history.is_closed(autotune_model::Stage::Measure, 0));
    assert_eq!(in_first.count(), 1, "the closed block was completed");
}
