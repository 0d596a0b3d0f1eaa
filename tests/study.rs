//! The study of a small server that waits, and what its folder holds.

#![expect(clippy::print_stderr, reason = "a test says why it repeats a sweep")]

use std::collections::BTreeMap;
use std::fs;
use std::path::{Path, PathBuf};
use std::time::Instant;

use serde_json::Value;

use crate::place::{Done, PATIENCE, PAUSE, Place, Running, read};

/// What every sweep leaves.
pub(crate) const FILES: [&str; 4] = ["verdict.json", "trials.csv", "report.md", "report.html"];

/// A place with `grid.toml`: the same server, answering after 2 or after 300 ms,
/// so that no machine is so busy that the second is the better one.
pub(crate) fn place(budget: &str) -> Place {
    let place = Place::new();
    place.write("app/waits.py", include_str!("apps/waits.py"));
    place.write("grid.toml", &grid(&place, budget, "[2, 300]", ""));
    place
}

/// The text of a grid file; `more` goes into the environment of the server.
pub(crate) fn grid(place: &Place, budget: &str, delays: &str, more: &str) -> String {
    let loaded = place.loaded();
    let loaded = loaded.display();
    format!(
        r#"name = "waits"

[server.waits]
profile = "command"
dir = "app"
command = "python3 waits.py --host {{{{ host }}}} --port {{{{ port }}}} --delay-ms {{{{ delay_ms }}}}"
env = {{ LOADED = "{loaded}"{more} }}

[grid]
delay_ms = {delays}

[[endpoint]]
name = "hello"
path = "/"

[load]
connections = "keep-alive"

[load.open]
rate = 20

[objective]
minimize = "p95"
accept = "50%"

[budget]
time = "{budget}"
"#
    )
}

pub(crate) fn folder(place: &Place) -> PathBuf {
    place.work().join("results/waits")
}

/// The texts of the files that every sweep leaves.
pub(crate) fn files(place: &Place) -> BTreeMap<&'static str, String> {
    let folder = folder(place);
    let texts = FILES.map(|name| (name, read(&folder.join(name))));
    BTreeMap::from(texts)
}

pub(crate) fn verdict(folder: &Path) -> Value {
    serde_json::from_str(&read(&folder.join("verdict.json"))).expect("is JSON")
}

/// How many servers came under load so far.
pub(crate) fn loads(place: &Place) -> usize {
    ports(place).len()
}

/// The ports of the servers that came under load, the latest last.
fn ports(place: &Place) -> Vec<PathBuf> {
    let entries = fs::read_dir(place.loaded()).expect("a folder");
    let paths = entries.map(|entry| entry.expect("an entry").path());
    let mut paths: Vec<_> = paths.filter(|path| path.extension().is_none()).collect();
    paths.sort();
    paths
}

/// Waits until more servers than this came under load; the port of the latest.
/// `None` when the program has ended before.
pub(crate) fn wait_for_load(place: &Place, running: &mut Running, before: usize) -> Option<u16> {
    let until = Instant::now() + PATIENCE;
    loop {
        let ports = ports(place);
        if let Some(last) = ports.get(before..).and_then(<[_]>::last) {
            return Some(read(last).parse().expect("a port"));
        }
        if running.ended().is_some() {
            return None;
        }
        assert!(
            Instant::now() < until,
            "no load comes:\n{}",
            running.stderr()
        );
        std::thread::sleep(PAUSE);
    }
}

/// A row of trials.csv.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Row {
    /// Stage, block and position.
    pub(crate) key: [String; 3],
    pub(crate) attempt: String,
    pub(crate) config: String,
    pub(crate) outcome: String,
    /// As it stands in the file.
    pub(crate) line: String,
}

impl Row {
    /// It is tried again, for it says nothing of the configuration.
    fn says_nothing(&self) -> bool {
        ["invalid", "interrupted", "aborted"].contains(&self.outcome.as_str())
    }

    /// Others may have disturbed it: they had some of the machine meanwhile. How
    /// much is too much depends on what is usual, but never less than this.
    fn may_be_disturbed(&self) -> bool {
        let number = |field: Option<&str>| field.and_then(|field| field.parse::<f64>().ok());
        let mut last = self.line.rsplit(',');
        let taken = number(last.next()).zip(number(last.next()));
        let load = number(self.line.split(',').nth(7));
        taken
            .zip(load)
            .is_some_and(|((others, stolen), load)| others + stolen > 0.025 * load)
    }
}

/// The rows of trials.csv. No text of these studies before the outcome holds a
/// comma or a line break.
pub(crate) fn rows(folder: &Path) -> Vec<Row> {
    let text = read(&folder.join("trials.csv"));
    let mut lines = text.lines();
    let head = "stage,block,position,attempt,config,outcome,boot_ms,load_s,scheduled,completed,\
                failed,timed_out,dropped,response_p50_us,response_p95_us,response_p99_us,\
                pss_peak_bytes,cpu_s,";
    assert!(lines.next().is_some_and(|line| line.starts_with(head)));
    let row = |line: &str| {
        let fields: Vec<String> = line.split(',').take(6).map(str::to_owned).collect();
        let [stage, block, position, attempt, config, outcome] =
            <[String; 6]>::try_from(fields).expect("six fields");
        Row {
            key: [stage, block, position],
            attempt,
            config,
            outcome,
            line: line.to_owned(),
        }
    };
    lines.map(row).collect()
}

/// No trial is stored twice, and none that said something was run again, unless
/// others on the machine disturbed it.
#[track_caller]
pub(crate) fn assert_each_once(rows: &[Row]) {
    let mut told = BTreeMap::new();
    let mut seen = BTreeMap::new();
    for row in rows {
        let twice = seen.insert((&row.key, &row.attempt), row);
        assert_eq!(twice, None, "stored twice");
        if !row.says_nothing() && !row.may_be_disturbed() {
            assert_eq!(told.insert(&row.key, row), None, "run again");
        }
    }
}

/// What was stored is still there, unchanged.
#[track_caller]
pub(crate) fn assert_kept(earlier: &[Row], now: &[Row]) {
    for row in earlier {
        assert!(now.contains(row), "lost: {row:?}\nof {now:#?}");
    }
}

/// The command, until it does not stop for trials that were all spoiled: other
/// tests pass. `None` where this machine stays too busy to measure anything.
pub(crate) fn sweep_to_an_end(place: &Place) -> Option<Done> {
    for _ in 0..4 {
        let done = place.run(&["sweep", "grid.toml"]);
        assert_never_wrong(&folder(place), done.code);
        if done.code != Some(5) {
            return Some(done);
        }
        done.assert_says("of the sends were late");
        eprintln!("this machine is too busy to measure:\n{done}");
    }
    None
}

/// A busy machine may spoil trials, and then the verdict may be weak or none;
/// a wrong one never comes.
#[track_caller]
pub(crate) fn assert_never_wrong(folder: &Path, code: Option<i32>) {
    let verdict = verdict(folder);
    let word = verdict["verdict"].as_str().expect("a word");
    let expected = match word {
        "recommended" => 0,
        "unresolved" => 3,
        "infeasible" => 4,
        "stopped" => 5,
        _ => panic!("{verdict:#}"),
    };
    assert_eq!(code, Some(expected), "{verdict:#}");
    let recommended = verdict["recommended"].as_str();
    if word == "recommended" {
        assert_eq!(recommended, Some("waits:delay_ms=2"));
    } else {
        // A favourite that nothing was compared with is no wrong answer.
        let compared = verdict["complete_blocks"]
            .as_u64()
            .is_some_and(|blocks| blocks > 0);
        let unmeasured = rows(folder)
            .iter()
            .all(|row| !row.config.ends_with("=2") || row.outcome != "measured");
        if compared && !unmeasured {
            assert_ne!(recommended, Some("waits:delay_ms=300"), "{verdict:#}");
        }
    }
}
