//! Records come back exactly as they were handed in.

use std::collections::BTreeSet;

use autotune_model::TrialRecord;
use autotune_store::{Series, Store, TrialSeries};

use crate::samples;

const SEEDS: std::ops::Range<u64> = 0..120;

fn without_series(mut record: TrialRecord) -> TrialRecord {
    if let Some(load) = &mut record.load {
        load.seconds.clear();
        load.outstanding.clear();
    }
    if let Some(server) = &mut record.server {
        server.samples.clear();
    }
    record
}

fn series(record: &TrialRecord) -> TrialSeries {
    let load = record.load.as_ref();
    let server = record.server.as_ref();
    TrialSeries {
        seconds: load.map_or_else(Vec::new, |load| load.seconds.clone()),
        outstanding: load.map_or_else(Vec::new, |load| load.outstanding.clone()),
        samples: server.map_or_else(Vec::new, |server| server.samples.clone()),
    }
}

#[test]
fn random_records_come_back_exactly_and_in_order() {
    let folder = tempfile::tempdir().unwrap();
    let (path, mut store) = samples::study(folder.path());
    let mut records: Vec<_> = SEEDS.map(samples::record).collect();
    // Handed in backwards: the order of a history is not the order of writing.
    for record in records.iter().rev() {
        store.record(record).unwrap();
    }
    drop(store);
    records.sort_by_key(|record| (record.spec.key, record.spec.attempt));

    let store = Store::open(&path).unwrap();
    let history = store.load_history(Series::With).unwrap();
    assert_eq!(history.trials.len(), records.len());
    for (stored, record) in history.trials.iter().zip(&records) {
        assert_eq!(stored, record);
    }
    let lean = store.load_history(Series::Without).unwrap();
    for (stored, record) in lean.trials.iter().zip(&records) {
        assert_eq!(stored, &without_series(record.clone()));
        let spec = &record.spec;
        assert_eq!(
            store.series_of(spec.key, spec.attempt).unwrap(),
            Some(series(record))
        );
    }
}

/// The test above proves little if its records leave parts of the type unused.
#[test]
fn the_random_records_use_every_part() {
    let records: Vec<_> = SEEDS.map(samples::record).collect();
    let outcomes: BTreeSet<_> = records.iter().map(|r| r.outcome.as_str()).collect();
    assert_eq!(outcomes.len(), 8, "{outcomes:?}");
    let count = |test: fn(&TrialRecord) -> bool| records.iter().filter(|r| test(r)).count();
    assert!(count(|r| r.load.is_none()) > 0);
    assert!(count(|r| r.server.is_none()) > 0);
    assert!(count(|r| r.load.as_ref().is_some_and(|l| l.endpoints.len() > 1)) > 10);
    assert!(count(|r| r.load.as_ref().is_some_and(|l| !l.seconds.is_empty())) > 10);
    assert!(count(|r| r.server.as_ref().is_some_and(|s| !s.samples.is_empty())) > 10);
    assert!(count(|r| r.spec.seed.value() > i64::MAX.cast_unsigned()) > 10);
}

#[test]
fn what_the_study_is_comes_back_exactly() {
    let folder = tempfile::tempdir().unwrap();
    let (path, store) = samples::study(folder.path());
    assert_eq!(store.meta(), &samples::meta());
    drop(store);
    assert_eq!(Store::open(&path).unwrap().meta(), &samples::meta());
}

#[test]
fn an_unknown_trial_has_no_series() {
    let folder = tempfile::tempdir().unwrap();
    let (_path, store) = samples::study(folder.path());
    let key = samples::record(1).spec.key;
    assert_eq!(store.series_of(key, 0).unwrap(), None);
}
