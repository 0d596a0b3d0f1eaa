//! Whatever is killed or cut off, what was acknowledged is there, and nothing
//! is there by half.

use std::fs;
use std::io::{BufRead, BufReader};
use std::path::Path;
use std::process::{Child, Command, Stdio};

use autotune_store::{HostLock, LockError, Series, Store};

use crate::samples;

/// Tells a test that it runs as the process to be killed, and where.
const VICTIM: &str = "AUTOTUNE_STORE_TEST_VICTIM";
const ACKNOWLEDGED: &str = "acknowledged";

#[test]
fn a_copy_made_midway_opens_with_whole_records_only() {
    let folder = tempfile::tempdir().unwrap();
    let (path, mut store) = samples::study(folder.path());
    let records: Vec<_> = (0..12).map(samples::record).collect();
    for record in &records {
        store.record(record).unwrap();
    }
    // The writer is still there: all records are in the log beside the file.
    let database = fs::read(&path).unwrap();
    let log = fs::read(path.with_file_name("study.db-wal")).unwrap();
    let copy = folder.path().join("copy.db");
    let mut seen = Vec::new();
    for part in 0..=16 {
        let cut = log.len() * part / 16;
        fs::write(&copy, &database).unwrap();
        fs::write(folder.path().join("copy.db-wal"), &log[..cut]).unwrap();
        let copied = Store::open(&copy).unwrap();
        let mut trials = copied.load_history(Series::With).unwrap().trials;
        drop(copied);
        seen.push(trials.len());
        let mut first = records[..trials.len()].to_vec();
        let by_key = |trial: &autotune_model::TrialRecord| (trial.spec.key, trial.spec.attempt);
        trials.sort_by_key(by_key);
        first.sort_by_key(by_key);
        assert!(trials == first, "cut at {cut} of {} bytes", log.len());
    }
    assert!(seen.is_sorted(), "{seen:?}");
    assert_eq!((seen[0], seen[16]), (0, records.len()));
    assert!(seen.iter().any(|count| (1..12).contains(count)), "{seen:?}");
}

#[test]
fn a_killed_writer_loses_nothing_that_was_acknowledged() {
    for moment in [1, 2, 5] {
        let folder = tempfile::tempdir().unwrap();
        let (path, store) = samples::study(folder.path());
        drop(store);
        let mut victim = Victim::start("damage::victim_that_writes", &path);
        let mut acknowledged = 0;
        while acknowledged < moment {
            acknowledged = victim.next_acknowledged();
        }
        victim.kill();
        let mut store = Store::open(&path).unwrap();
        let stored = store.load_history(Series::With).unwrap().trials;
        let count = u64::try_from(stored.len()).unwrap();
        assert!(
            count >= acknowledged,
            "{acknowledged} records were acknowledged, {count} are there"
        );
        for seed in 0..count {
            assert!(stored.contains(&samples::record(seed)), "record {seed}");
            // Whoever resumes may hand in again what it does not know of.
            store.record(&samples::record(seed)).unwrap();
        }
    }
}

#[test]
fn a_study_killed_while_it_was_created_can_be_created() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("study.db");
    fs::write(folder.path().join("study.db.new"), b"half a database").unwrap();
    fs::write(folder.path().join("study.db.new-wal"), b"half a log").unwrap();
    Store::create(&path, &samples::meta()).unwrap();
    let mut names: Vec<_> = fs::read_dir(folder.path())
        .unwrap()
        .map(|entry| entry.unwrap().file_name())
        .collect();
    names.sort();
    assert_eq!(names, ["study.db"]);
}

#[test]
fn a_killed_holder_frees_the_host_lock() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("lock");
    let mut victim = Victim::start("damage::victim_that_holds_the_lock", &path);
    victim.next_acknowledged();
    let error = HostLock::take(&path).unwrap_err();
    let holder = victim.child.id();
    assert!(
        matches!(error, LockError::Held { pid: Some(pid), .. } if pid == holder),
        "{error} but the holder is {holder}"
    );
    victim.kill();
    HostLock::take(&path).unwrap();
}

/// Not a test of its own: the process that the tests above kill.
#[test]
#[ignore = "runs as the victim of another test"]
fn victim_that_writes() {
    let Some(path) = std::env::var_os(VICTIM) else {
        return;
    };
    let mut store = Store::open(Path::new(&path)).unwrap();
    // An end of its own, should its parent die.
    for seed in 0..5_000 {
        store.record(&samples::record(seed)).unwrap();
        println!("{ACKNOWLEDGED} {}", seed + 1);
    }
}

/// Not a test of its own: the process that the tests above kill.
#[test]
#[ignore = "runs as the victim of another test"]
fn victim_that_holds_the_lock() {
    let Some(path) = std::env::var_os(VICTIM) else {
        return;
    };
    let _lock = HostLock::take(Path::new(&path)).unwrap();
    println!("{ACKNOWLEDGED} 1");
    // Until it is killed, or its parent has died and the pipe ends.
    let mut line = String::new();
    std::io::stdin().read_line(&mut line).unwrap();
}

struct Victim {
    child: Child,
    lines: std::io::Lines<BufReader<std::process::ChildStdout>>,
}

impl Victim {
    fn start(test: &str, path: &Path) -> Self {
        let mut child = Command::new(std::env::current_exe().unwrap())
            .args(["--exact", test, "--ignored", "--nocapture"])
            .env(VICTIM, path)
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .stderr(Stdio::null())
            .spawn()
            .unwrap();
        let lines = BufReader::new(child.stdout.take().unwrap()).lines();
        Self { child, lines }
    }

    /// Waits for the next acknowledgement and gives its number.
    fn next_acknowledged(&mut self) -> u64 {
        loop {
            let line = self.lines.next().expect("the victim lives").unwrap();
            // The harness may have written before it on the same line.
            if let Some((_, number)) = line.split_once(ACKNOWLEDGED) {
                return number.trim().parse().unwrap();
            }
        }
    }

    fn kill(&mut self) {
        self.child.kill().unwrap();
        self.child.wait().unwrap();
    }
}

impl Drop for Victim {
    fn drop(&mut self) {
        // For a test that failed midway; a victim that is dead already is fine.
        drop(self.child.kill());
        drop(self.child.wait());
    }
}
