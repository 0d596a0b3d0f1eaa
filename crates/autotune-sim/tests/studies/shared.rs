//! A study that another machine works on, too, and a store that fails.

use std::path::Path;
use std::time::Duration;

use autotune_model::{ErrorCode, Outcome, Seed, TrialSpec};
use autotune_search::Procedure;
use autotune_sim::{Failing, World};
use autotune_store::{Claim, Lease, Series, Store};
use autotune_sweep::{Ended, Event, Finished, Sweep};

use crate::resume::{meta, world};
use crate::study::{configurations, objective, plan};

fn seed() -> Seed {
    Seed::new(3)
}

fn run(path: &Path, world: &mut World, on_event: &mut dyn FnMut(Event<'_>)) -> Finished {
    let mut store = Store::open(path).unwrap();
    let procedure = Procedure::exhaustive(plan(configurations(3), 4, seed()));
    let objective = objective();
    let mut sweep = Sweep {
        store: &mut store,
        procedure: &procedure,
        objective: &objective,
        owner: "here",
    };
    let runtime = tokio::runtime::Builder::new_current_thread()
        .build()
        .unwrap();
    runtime.block_on(sweep.run(world, on_event)).unwrap()
}

fn study(folder: &Path) -> std::path::PathBuf {
    let path = folder.join("study.db");
    drop(Store::create(&path, &meta(seed())).unwrap());
    path
}

/// The first trial of a study.
fn first_trial() -> TrialSpec {
    let folder = tempfile::tempdir().unwrap();
    let path = study(folder.path());
    let mut world = world(seed(), Failing::Never);
    let mut first = None;
    run(&path, &mut world, &mut |event| {
        if let Event::TrialStarted { spec, .. } = event {
            first.get_or_insert_with(|| spec.clone());
        }
    });
    first.unwrap()
}

#[test]
fn what_a_dead_machine_holds_is_taken_when_its_lease_ends() {
    let folder = tempfile::tempdir().unwrap();
    let path = study(folder.path());
    let mut world = world(seed(), Failing::Never);
    let spec = first_trial();
    let lease = Lease {
        owner: "there".to_owned(),
        now_wall_ns: 1_700_000_000_000_000_000,
        length: Duration::from_secs(700),
    };
    let claim = Store::open(&path).unwrap().claim(&spec, &lease).unwrap();
    assert_eq!(claim, Claim::Granted);
    let mut waits = 0;
    let finished = run(&path, &mut world, &mut |event| {
        if let Event::Waiting { owner } = event {
            assert_eq!(owner, "there");
            waits += 1;
        }
    });
    assert!(matches!(finished.ended, Ended::Done(_)));
    assert!((1..=70).contains(&waits), "{waits} looks in 700 s");
    let taken = finished.history.trials.iter();
    let taken = taken.filter(|trial| trial.spec.key == spec.key);
    assert_eq!(taken.count(), 1);
}

#[test]
fn what_another_machine_has_done_counts() {
    let folder = tempfile::tempdir().unwrap();
    let path = study(folder.path());
    let mut here = world(seed(), Failing::Never);
    let mut elsewhere = false;
    let finished = run(&path, &mut here, &mut |event| {
        if matches!(event, Event::TrialFinished { .. }) && !elsewhere {
            elsewhere = true;
            let path = path.clone();
            // A runtime of its own needs a thread of its own.
            let other = std::thread::spawn(move || {
                let mut there = world(seed(), Failing::Never);
                run(&path, &mut there, &mut |_| {})
            });
            assert!(matches!(other.join().unwrap().ended, Ended::Done(_)));
        }
    });
    assert!(matches!(finished.ended, Ended::Done(_)));
    assert_eq!(here.trials, 1, "all else was done elsewhere");
    let stored = Store::open_read_only(&path).unwrap();
    let stored = stored.load_history(Series::Without).unwrap();
    assert_eq!(finished.history, stored);
}

#[test]
fn a_store_that_fails_ends_the_sweep_with_what_was_measured() {
    let folder = tempfile::tempdir().unwrap();
    let path = study(folder.path());
    let mut world = world(seed(), Failing::Never);
    let mut started = 0;
    let finished = run(&path, &mut world, &mut |event| {
        if let Event::TrialStarted { spec, .. } = event {
            started += 1;
            if started == 3 {
                // Its place is taken meanwhile: it cannot be stored any more.
                let mut last = crate::resume::record(spec);
                last.outcome = Outcome::Interrupted;
                Store::open(&path).unwrap().record(&last).unwrap();
            }
        }
    });
    match finished.ended {
        Ended::Stopped(fault) => assert_eq!(fault.code, ErrorCode::Store),
        other => panic!("{other:?}"),
    }
    assert_eq!(finished.history.trials.len(), 2);
    assert_eq!(finished.analysis.complete_blocks, 0);
}
