//! Claims, repeated writes, decisions, and what is refused.

use std::time::Duration;

use autotune_model::{
    ConfigId, Decision, DecisionKind, ErrorCode, Outcome, Stage, StopReason, TrialKey,
};
use autotune_store::{Claim, Fault, Lease, RunEnd, Series, Store, StoreError};

use crate::samples;

const MINUTE: Duration = Duration::from_secs(60);
const MINUTE_NS: i64 = 60_000_000_000;

fn lease(owner: &str, now_wall_ns: i64) -> Lease {
    Lease {
        owner: owner.to_owned(),
        now_wall_ns,
        length: MINUTE,
    }
}

fn held_by(owner: &str, until_wall_ns: i64) -> Claim {
    Claim::HeldBy {
        owner: owner.to_owned(),
        until_wall_ns,
    }
}

#[test]
fn a_claim_lasts_as_long_as_its_lease() {
    let folder = tempfile::tempdir().unwrap();
    let (path, mut store) = samples::study(folder.path());
    let spec = samples::record(1).spec;
    assert_eq!(store.claim(&spec, &lease("a", 0)).unwrap(), Claim::Granted);
    // Another process on another machine, through a connection of its own.
    let mut other = Store::open(&path).unwrap();
    let held = held_by("a", MINUTE_NS);
    assert_eq!(other.claim(&spec, &lease("b", 1)).unwrap(), held);
    assert_eq!(
        other.claim(&spec, &lease("b", MINUTE_NS - 1)).unwrap(),
        held
    );
    // The owner comes back after a crash and goes on at once.
    assert_eq!(store.claim(&spec, &lease("a", 5)).unwrap(), Claim::Granted);
    let late = MINUTE_NS + 5;
    assert_eq!(
        other.claim(&spec, &lease("b", late)).unwrap(),
        Claim::Granted
    );
    assert_eq!(
        store.claim(&spec, &lease("a", late)).unwrap(),
        held_by("b", late + MINUTE_NS)
    );
}

#[test]
fn a_stored_trial_is_done_and_its_next_attempt_is_not() {
    let folder = tempfile::tempdir().unwrap();
    let (_path, mut store) = samples::study(folder.path());
    let record = samples::record(3);
    store.claim(&record.spec, &lease("a", 0)).unwrap();
    store.record(&record).unwrap();
    for owner in ["a", "b"] {
        let claim = store.claim(&record.spec, &lease(owner, 1)).unwrap();
        assert_eq!(claim, Claim::AlreadyDone);
    }
    let mut again = record.spec;
    again.attempt += 1;
    assert_eq!(store.claim(&again, &lease("b", 1)).unwrap(), Claim::Granted);
}

#[test]
fn a_claim_without_a_record_does_not_bind_the_plan() {
    let folder = tempfile::tempdir().unwrap();
    let (_path, mut store) = samples::study(folder.path());
    let mut spec = samples::record(4).spec;
    store.claim(&spec, &lease("a", 0)).unwrap();
    spec.configuration = samples::record(5).spec.configuration;
    assert_eq!(store.claim(&spec, &lease("a", 1)).unwrap(), Claim::Granted);
}

#[test]
fn a_record_may_be_stored_again_but_not_changed() {
    let folder = tempfile::tempdir().unwrap();
    let (_path, mut store) = samples::study(folder.path());
    let mut record = samples::record(2);
    store.record(&record).unwrap();
    store.record(&record).unwrap();
    let stored = store.load_history(Series::With).unwrap();
    assert_eq!(stored.trials, [record.clone()]);

    record.outcome = Outcome::Aborted {
        detail: "something else".to_owned(),
    };
    let error = store.record(&record).unwrap_err();
    assert!(matches!(error, StoreError::OtherRecord { .. }), "{error}");
    assert_eq!(store.load_history(Series::With).unwrap(), stored);
}

#[test]
fn a_difference_in_the_series_alone_is_a_difference() {
    let folder = tempfile::tempdir().unwrap();
    let (_path, mut store) = samples::study(folder.path());
    let mut record = (0..)
        .map(samples::record)
        .find(|record| record.load.is_some())
        .unwrap();
    store.record(&record).unwrap();
    if let Some(load) = &mut record.load {
        load.outstanding.push(7);
    }
    assert!(matches!(
        store.record(&record),
        Err(StoreError::OtherRecord { .. })
    ));
}

#[test]
fn what_does_not_fit_is_refused_whole() {
    let folder = tempfile::tempdir().unwrap();
    let (_path, mut store) = samples::study(folder.path());
    let mut record = (0..)
        .map(samples::record)
        .find(|record| record.server.is_some())
        .unwrap();
    if let Some(server) = &mut record.server {
        server.log.bytes = u64::MAX;
    }
    // The trial's own row is written before the one that fails.
    let error = store.record(&record).unwrap_err();
    assert!(
        matches!(
            &error,
            StoreError::Database {
                source: Fault::Sqlite(_),
                ..
            }
        ),
        "{error}"
    );
    assert!(store.load_history(Series::With).unwrap().trials.is_empty());
    record.spec.length = Duration::MAX;
    let error = store.record(&record).unwrap_err();
    assert!(
        matches!(
            &error,
            StoreError::Database {
                source: Fault::TooLong(_),
                ..
            }
        ),
        "{error}"
    );
}

fn decisions() -> Vec<Decision> {
    let planned = |resolvable_pct| DecisionKind::Planned {
        control: ConfigId::of(b"control"),
        length: MINUTE,
        warm_up: Duration::from_nanos(1),
        resolvable_pct,
    };
    let kinds = [
        // A number whose decimal text does not give it back in every parser.
        planned(Some(2.226_073_858_507_201_4e-308)),
        planned(None),
        DecisionKind::BlockClosed {
            stage: Stage::Measure,
            block: 7,
        },
        DecisionKind::Stopped {
            reason: StopReason::Answered,
        },
        DecisionKind::Stopped {
            reason: StopReason::Budget,
        },
        DecisionKind::Resumed,
        DecisionKind::Stopped {
            reason: StopReason::NothingMeasurable,
        },
    ];
    let numbered = (0..).zip(kinds);
    numbered
        .map(|(number, kind)| Decision { number, kind })
        .collect()
}

#[test]
fn decisions_come_back_and_may_be_stored_again() {
    let folder = tempfile::tempdir().unwrap();
    let (path, mut store) = samples::study(folder.path());
    let decisions = decisions();
    for decision in decisions.iter().chain(&decisions) {
        store.append_decision(decision).unwrap();
    }
    drop(store);
    let store = Store::open_read_only(&path).unwrap();
    let history = store.load_history(Series::Without).unwrap();
    assert_eq!(history.decisions, decisions);
}

#[test]
fn decisions_are_neither_changed_nor_skipped() {
    let folder = tempfile::tempdir().unwrap();
    let (_path, mut store) = samples::study(folder.path());
    let all = decisions();
    let gap = store.append_decision(&all[1]).unwrap_err();
    assert!(
        matches!(gap, StoreError::DecisionGap { number: 1, next: 0 }),
        "{gap}"
    );
    store.append_decision(&all[0]).unwrap();
    let mut other = all[1].clone();
    other.number = 0;
    let error = store.append_decision(&other).unwrap_err();
    assert!(matches!(error, StoreError::OtherDecision { number: 0 }));
}

#[test]
fn an_end_is_stored_once_for_what_there_is() {
    let folder = tempfile::tempdir().unwrap();
    let (path, mut store) = samples::study(folder.path());
    assert_eq!(store.last_end().unwrap(), None);
    let ends = [
        RunEnd::Interrupted,
        RunEnd::Done(StopReason::Budget),
        RunEnd::Stopped {
            code: ErrorCode::Setup,
            fault: "a step failed".to_owned(),
        },
    ];
    for end in &ends {
        store.append_end(end, 5).unwrap();
        store.append_end(end, 6).unwrap();
        let last = store.last_end().unwrap().unwrap();
        assert_eq!((&last.end, last.trials, last.decisions), (end, 0, 0));
    }
    store.record(&samples::record(1)).unwrap();
    store.append_decision(&decisions()[0]).unwrap();
    // It speaks for what there was, not for what was added since.
    assert_eq!(store.last_end().unwrap().unwrap().trials, 0);
    store.append_end(&ends[2], 7).unwrap();
    let last = store.last_end().unwrap().unwrap();
    assert_eq!((last.trials, last.decisions), (1, 1));
    let rows: u32 = rusqlite::Connection::open(&path)
        .unwrap()
        .query_row("SELECT COUNT(*) FROM run_end", [], |row| row.get(0))
        .unwrap();
    assert_eq!(rows, 4);
}

#[test]
fn a_reader_sees_what_is_there_and_writes_nothing() {
    let folder = tempfile::tempdir().unwrap();
    let (path, mut store) = samples::study(folder.path());
    let mut reader = Store::open_read_only(&path).unwrap();
    let record = samples::record(9);
    // While the writer is at work.
    store.record(&record).unwrap();
    let history = reader.load_history(Series::With).unwrap();
    assert_eq!(history.trials, std::slice::from_ref(&record));
    let refused = |error| matches!(error, StoreError::ReadOnly { .. });
    assert!(refused(reader.record(&record).unwrap_err()));
    assert!(refused(
        reader.append_decision(&decisions()[0]).unwrap_err()
    ));
    let claim = reader.claim(&record.spec, &lease("a", 0));
    assert!(refused(claim.unwrap_err()));
}

#[test]
fn a_study_is_not_created_over_another() {
    let folder = tempfile::tempdir().unwrap();
    let (path, mut store) = samples::study(folder.path());
    store.record(&samples::record(1)).unwrap();
    let error = Store::create(&path, &samples::meta()).unwrap_err();
    assert!(matches!(error, StoreError::Exists { .. }), "{error}");
    assert_eq!(store.load_history(Series::With).unwrap().trials.len(), 1);
}

#[test]
fn keys_tell_trials_apart_in_every_part() {
    let folder = tempfile::tempdir().unwrap();
    let (_path, mut store) = samples::study(folder.path());
    let key = |stage, block, position| TrialKey {
        stage,
        block,
        position,
    };
    let places = [
        (key(Stage::Preflight, 0, 0), 0),
        (key(Stage::Preflight, 0, 0), 1),
        (key(Stage::Preflight, 0, 1), 0),
        (key(Stage::Preflight, 1, 0), 0),
        (key(Stage::Measure, 0, 0), 0),
    ];
    let mut record = samples::record(6);
    for (key, attempt) in places {
        record.spec.key = key;
        record.spec.attempt = attempt;
        store.record(&record).unwrap();
    }
    let history = store.load_history(Series::Without).unwrap();
    let stored: Vec<_> = history
        .trials
        .iter()
        .map(|trial| (trial.spec.key, trial.spec.attempt))
        .collect();
    assert_eq!(stored, places);
}
