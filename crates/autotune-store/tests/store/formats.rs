//! Files of other formats: old ones are read and brought up to date, newer
//! ones are read and left alone, foreign ones are refused.

use std::fs;
use std::path::{Path, PathBuf};
use std::time::Duration;

use autotune_model::{
    Bytes, ErrorCode, History, HostLoad, MemorySource, ServiceName, ServiceRecord, ServiceWindow,
};
use autotune_store::{RunEnd, Series, Store, StoreError};
use rusqlite::Connection;

use crate::{format_1, samples};

/// A study of format 1 as it was first released. Never written again.
const VERSION_1: &str = concat!(
    env!("CARGO_MANIFEST_DIR"),
    "/tests/store/fixtures/version-1.db"
);

/// The same study in format 2, which has ends of runs.
const VERSION_2: &str = concat!(
    env!("CARGO_MANIFEST_DIR"),
    "/tests/store/fixtures/version-2.db"
);

/// The same study in format 3, which knows what the machine did beside a trial.
const VERSION_3: &str = concat!(
    env!("CARGO_MANIFEST_DIR"),
    "/tests/store/fixtures/version-3.db"
);

/// The same study in format 4, which knows what services did.
const VERSION_4: &str = concat!(
    env!("CARGO_MANIFEST_DIR"),
    "/tests/store/fixtures/version-4.db"
);

fn end() -> RunEnd {
    RunEnd::Stopped {
        code: ErrorCode::EndpointCheck,
        fault: "`/` answered 500\n  body: naïve; 'quoted'".to_owned(),
    }
}

/// As in format 1, with what format 3 knows of the machine beside each trial.
fn history_of_format_3() -> History {
    let mut history = format_1::history();
    let servers = history
        .trials
        .iter_mut()
        .flat_map(|trial| &mut trial.server);
    for server in servers {
        server.host = Some(HostLoad {
            wall: Duration::from_millis(8_060),
            cpus: 2,
            stolen: Duration::from_millis(30),
            others: Duration::from_millis(110),
        });
    }
    history
}

/// As in format 3, with what format 4 knows of services.
fn history_of_format_4() -> History {
    let mut history = history_of_format_3();
    let servers = history
        .trials
        .iter_mut()
        .flat_map(|trial| &mut trial.server);
    for server in servers {
        let quiet = ServiceRecord {
            name: ServiceName::new("cache"),
            cpus: 2,
            memory_peak: None,
            memory_source: MemorySource::Rss,
            cpu: None,
            window: None,
        };
        let busy = ServiceRecord {
            name: ServiceName::new("db"),
            cpus: 1,
            memory_peak: Some(Bytes::new(90 << 20)),
            memory_source: MemorySource::Pss,
            cpu: Some(Duration::from_millis(18_500)),
            window: Some(ServiceWindow {
                wall: Duration::from_millis(14_010),
                cpu: Duration::from_millis(13_300),
                busiest: Duration::from_millis(4_200),
                busiest_peak_pct: 61.25,
            }),
        };
        server.services = vec![busy, quiet];
    }
    history
}

fn write_study(path: &Path) {
    let mut store = Store::create(path, &format_1::meta()).unwrap();
    let history = history_of_format_4();
    for trial in &history.trials {
        store.record(trial).unwrap();
    }
    for decision in &history.decisions {
        store.append_decision(decision).unwrap();
    }
    store.append_end(&end(), 1_700_000_000_000_000_000).unwrap();
}

/// A copy that a test may change.
fn copy_of(original: &str, folder: &Path) -> PathBuf {
    let path = folder.join("study.db");
    fs::copy(original, &path).unwrap();
    path
}

/// Makes a fixture for a new format: add its name, run with `--ignored`, commit.
#[test]
#[ignore = "writes a fixture"]
fn write_a_fixture_that_is_missing() {
    let path = Path::new(VERSION_4);
    if !path.exists() {
        write_study(path);
    }
}

#[test]
fn a_study_of_format_1_is_read_and_written() {
    let folder = tempfile::tempdir().unwrap();
    let path = copy_of(VERSION_1, folder.path());
    let mut store = Store::open(&path).unwrap();
    assert_eq!(store.meta(), &format_1::meta());
    assert_eq!(
        store.load_history(Series::With).unwrap(),
        format_1::history()
    );
    store.record(&samples::record(50)).unwrap();
    // Ends of runs came with format 2.
    assert_eq!(store.last_end().unwrap(), None);
    store.append_end(&end(), 0).unwrap();
    assert_eq!(store.last_end().unwrap().unwrap().end, end());
}

#[test]
fn a_study_of_format_1_is_shown_without_being_changed() {
    let folder = tempfile::tempdir().unwrap();
    let path = copy_of(VERSION_1, folder.path());
    let before = fs::read(&path).unwrap();
    let store = Store::open_read_only(&path).unwrap();
    let history = store.load_history(Series::With).unwrap();
    assert_eq!(history, format_1::history());
    assert_eq!(store.last_end().unwrap(), None);
    drop(store);
    assert_eq!(fs::read(&path).unwrap(), before);
}

#[test]
fn studies_of_later_formats_are_read_and_written() {
    is_read_and_written(VERSION_2, &format_1::history());
    is_read_and_written(VERSION_3, &history_of_format_3());
    is_read_and_written(VERSION_4, &history_of_format_4());
}

fn is_read_and_written(version: &str, expected: &History) {
    let folder = tempfile::tempdir().unwrap();
    let path = copy_of(version, folder.path());
    let shown = Store::open_read_only(&path).unwrap();
    assert_eq!(&shown.load_history(Series::With).unwrap(), expected);
    drop(shown);
    let mut store = Store::open(&path).unwrap();
    let history = store.load_history(Series::With).unwrap();
    assert_eq!(&history, expected);
    let last = store.last_end().unwrap().unwrap();
    assert_eq!(last.end, end());
    assert_eq!(last.trials, history.trials.len());
    assert_eq!(last.decisions, history.decisions.len());
    store.append_end(&RunEnd::Interrupted, 0).unwrap();
}

#[test]
fn a_newer_format_is_read_and_never_written() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("study.db");
    write_study(&path);
    let connection = Connection::open(&path).unwrap();
    connection
        .execute_batch(
            "ALTER TABLE trial ADD COLUMN humidity_pct REAL;
             CREATE TABLE weather (x INTEGER) STRICT;
             PRAGMA user_version = 99;",
        )
        .unwrap();
    connection.close().unwrap();
    let before = fs::read(&path).unwrap();

    let mut store = Store::open(&path).unwrap();
    assert_eq!(
        store.load_history(Series::With).unwrap(),
        history_of_format_4()
    );
    let error = store.record(&samples::record(50)).unwrap_err();
    assert!(
        matches!(&error, StoreError::Newer { found: 99, .. }),
        "{error}"
    );
    assert!(error.to_string().contains("newer autotune"), "{error}");
    drop(store);
    assert_eq!(fs::read(&path).unwrap(), before);
}

#[test]
fn a_foreign_file_is_refused_and_left_alone() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("shop.db");
    let connection = Connection::open(&path).unwrap();
    connection
        .execute_batch("CREATE TABLE orders (x INTEGER)")
        .unwrap();
    connection.close().unwrap();
    let before = fs::read(&path).unwrap();
    let error = Store::open(&path).unwrap_err();
    assert!(matches!(error, StoreError::NotAStudy { .. }), "{error}");
    assert_eq!(fs::read(&path).unwrap(), before);

    let text = folder.path().join("notes.txt");
    fs::write(&text, "no database".repeat(100)).unwrap();
    assert!(Store::open(&text).is_err());
    let missing = folder.path().join("missing.db");
    let error = Store::open(&missing).unwrap_err();
    assert!(matches!(error, StoreError::Missing { .. }), "{error}");
    assert!(!missing.exists());
}

#[test]
fn measurements_cannot_be_changed_with_sql() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("study.db");
    write_study(&path);
    let connection = Connection::open(&path).unwrap();
    let mut tables = Vec::new();
    connection
        .prepare("SELECT name FROM sqlite_schema WHERE type = 'table' ORDER BY name")
        .unwrap()
        .query_map([], |row| row.get::<_, String>(0))
        .unwrap()
        .for_each(|name| tables.push(name.unwrap()));
    assert!(tables.len() >= 9, "{tables:?}");
    for table in tables.iter().filter(|table| *table != "claim") {
        for sql in [
            format!("DELETE FROM {table}"),
            format!("UPDATE {table} SET study = 'x'"),
        ] {
            let error = connection.execute(&sql, []).unwrap_err();
            assert!(error.to_string().contains("append-only"), "{sql}: {error}");
        }
    }
}

#[test]
fn every_table_is_strict_and_every_number_has_a_unit() {
    const UNITS: [&str; 6] = ["_ns", "_bytes", "_count", "_pct", "_per_s", "_hdr"];
    const WITHOUT: [&str; 7] = [
        "format",
        "seed",
        "block",
        "position",
        "attempt",
        "number",
        "config_id",
    ];
    let folder = tempfile::tempdir().unwrap();
    let (path, _store) = samples::study(folder.path());
    let connection = Connection::open(path).unwrap();
    let sql = "SELECT t.name, t.strict, c.name, c.type
         FROM pragma_table_list AS t JOIN pragma_table_info(t.name) AS c
         WHERE t.type = 'table' AND t.name NOT LIKE 'sqlite_%' ORDER BY t.name, c.name";
    let mut statement = connection.prepare(sql).unwrap();
    let mut rows = statement.query([]).unwrap();
    let mut columns = 0;
    while let Some(row) = rows.next().unwrap() {
        let (table, strict): (String, bool) = (row.get(0).unwrap(), row.get(1).unwrap());
        let (column, kind): (String, String) = (row.get(2).unwrap(), row.get(3).unwrap());
        assert!(strict, "{table} is not strict");
        let is_number = ["INTEGER", "REAL"].contains(&kind.as_str());
        let named = UNITS.iter().any(|unit| column.ends_with(unit));
        let known = WITHOUT.contains(&column.as_str());
        assert!(
            !is_number || named || known,
            "{table}.{column} has no unit in its name"
        );
        columns += 1;
    }
    assert!(columns > 80, "only {columns} columns were seen");
}
