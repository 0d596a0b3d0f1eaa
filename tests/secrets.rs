//! A secret that the app prints reaches no file, no stream.

use std::fs;
use std::path::{Path, PathBuf};

use crate::place::Place;
use crate::study::{folder, grid, place as waits, rows, verdict};
use crate::tools::has_python;

const SECRET: &str = "s3cr3t-t0ken-0f-the-app";

/// Below a folder, links not followed.
pub(crate) fn all_files(folder: &Path) -> Vec<PathBuf> {
    let mut found = Vec::new();
    for entry in fs::read_dir(folder).expect("a folder") {
        let path = entry.expect("an entry").path();
        if path.is_dir() {
            found.extend(all_files(&path));
        } else {
            found.push(path);
        }
    }
    found
}

pub(crate) fn contains(path: &Path, text: &str) -> bool {
    let bytes = fs::read(path).expect("readable");
    bytes
        .windows(text.len())
        .any(|part| part == text.as_bytes())
}

/// A server that prints its secret and does not start, at the second launch or
/// at the first.
fn place(fails_at_once: bool) -> Place {
    let mut place = waits("40s");
    let flag = place.path("started");
    if fails_at_once {
        fs::write(&flag, "").expect("written");
    }
    let more = format!(
        ", FAIL_AFTER = \"{}\", TOKEN = {{ from_env = \"MY_SECRET\", secret = true }}",
        flag.display()
    );
    place.write("grid.toml", &grid(&place, "40s", "[2]", &more));
    place.variable("MY_SECRET", SECRET);
    place
}

#[test]
fn a_secret_header_is_sent_and_shown_nowhere() {
    if !has_python() {
        return;
    }
    let mut place = waits("40s");
    let text = grid(
        &place,
        "40s",
        "[2]",
        ", TOKEN = \"s3cr3t-t0ken-0f-the-app\"",
    );
    let endpoint = r#"path = "/"
method = "POST"
headers = { Authorization = { from_env = "MY_SECRET", secret = true }, Content-Type = "application/x-www-form-urlencoded" }
body = "a=1"
expect = { status = [201] }"#;
    place.write("grid.toml", &text.replacen("path = \"/\"", endpoint, 1));
    let words = ["trial", "grid.toml", "waits:delay_ms=2", "--seconds", "2"];
    let unset = place.run(&words);
    unset.assert_code(2);
    unset.assert_says("the environment has no variable `MY_SECRET`");
    unset.assert_says("--> grid.toml:16:");
    place.variable("MY_SECRET", "wrong");
    let wrong = place.run(&words);
    wrong.assert_code(4);
    assert!(
        wrong.stdout.contains("answered 403, expected 201"),
        "{wrong}"
    );
    assert!(wrong.stdout.contains("asked with (secret)"), "{wrong}");
    place.variable("MY_SECRET", SECRET);
    let done = place.run(&words);
    // A machine that is too busy to measure gives 5; the requests were right.
    assert!([0, 5].map(Some).contains(&done.code), "{done}");
    assert!(!done.stdout.contains("x status"), "{done}");
    assert!(
        !done.stdout.contains(SECRET) && !done.stderr.contains(SECRET),
        "{done}"
    );
}

fn assert_hidden(place: &Place, printed: &[&str]) {
    for text in printed {
        assert!(!text.contains(SECRET), "{text}");
    }
    // The cache and the temporary files, too.
    for top in ["work", "cache", "tmp", "home"] {
        for file in all_files(&place.path(top)) {
            assert!(!contains(&file, SECRET), "in {}", file.display());
        }
    }
}

#[test]
fn a_secret_in_the_log_of_a_failed_start_is_hidden() {
    if !has_python() {
        return;
    }
    let place = place(true);
    let done = place.run(&["sweep", "grid.toml"]);
    done.assert_code(5);
    done.assert_says("this server wants to be started only once");
    done.assert_says("token is (secret)");
    assert_eq!(verdict(&folder(&place))["verdict"], "stopped");
    let trial = place.run(&["trial", "grid.toml", "waits:delay_ms=2"]);
    trial.assert_code(4);
    assert!(trial.stdout.contains("failed-to-start"), "{trial}");
    let printed = [done.stdout, done.stderr, trial.stdout, trial.stderr];
    assert_hidden(&place, &printed.each_ref().map(String::as_str));
}

#[test]
fn a_secret_in_stored_logs_is_hidden_and_fresh_keeps_the_old_study() {
    if !has_python() {
        return;
    }
    let place = place(false);
    let done = place.run(&["sweep", "grid.toml"]);
    // It starts for the check and never again: nothing meets the limits.
    done.assert_code(4);
    assert_eq!(verdict(&folder(&place))["verdict"], "infeasible");
    let rows = rows(&folder(&place));
    assert!(
        rows.iter().all(|row| row.outcome == "failed-to-start"),
        "{rows:#?}"
    );
    assert!(rows.len() >= 2, "{rows:#?}");
    let files = all_files(&place.work().join("results"));
    let printed = "token is (secret)";
    let database = folder(&place).join("study.db");
    assert!(contains(&database, printed), "the log's tail is stored");
    assert!(files.len() >= 5, "{files:?}");
    assert_hidden(&place, &[&done.stdout, &done.stderr]);

    let old = fs::read(&database).expect("readable");
    let fresh = place.run(&["sweep", "grid.toml", "--fresh"]);
    fresh.assert_code(5);
    let aside = place.work().join("results/waits.old-1");
    assert_eq!(fs::read(aside.join("study.db")).expect("kept"), old);
    assert!(aside.join("report.html").is_file());
    assert_eq!(verdict(&folder(&place))["verdict"], "stopped");
    assert_hidden(&place, &[&fresh.stdout, &fresh.stderr]);
}
