//! A sweep from its first trial to its verdict, interrupted once on the way, and
//! what comes of the same command afterwards.

use nix::sys::signal::Signal;

use crate::place::{Done, Place, wait_until};
use crate::study::{
    assert_each_once, assert_kept, files, folder, grid, loads, place, rows, sweep_to_an_end,
    verdict, wait_for_load,
};
use crate::tools::has_python;

#[test]
fn a_sweep_is_interrupted_goes_on_and_is_shown_again() {
    if !has_python() {
        return;
    }
    let place = place("40s");
    interrupted_in_its_second_trial();
    interrupted_at_once(&place);
    let before = rows(&folder(&place));

    let done = sweep_to_an_end(&place);
    let after = rows(&folder(&place));
    assert_kept(&before, &after);
    assert_each_once(&after);
    if let Some(done) = done {
        done.assert_says("going on: ");
        stdout_and_verdict_agree(&place, &done);
        nothing_is_measured_again(&place, &done);
    }
    another_grid_is_refused(&place);
}

/// With a budget that no machine spends before the second trial.
fn interrupted_in_its_second_trial() {
    let place = &place("20m");
    let mut running = place.start(&["sweep", "grid.toml"]);
    wait_for_load(place, &mut running, 0).expect("a trial comes");
    let database = folder(place).join("study.db");
    for words in [
        &["sweep", "grid.toml"][..],
        &["sweep", "grid.toml", "--fresh"],
    ] {
        let second = place.run(words);
        second.assert_code(5);
        second.assert_says("another sweep runs on this machine");
        assert!(database.is_file(), "a running sweep loses its folder");
    }
    wait_for_load(place, &mut running, 1).expect("the second trial comes");
    running.signal(Signal::SIGINT);
    let done = running.finish();
    assert_interrupted(place, &done);
    let rows = rows(&folder(place));
    assert!(rows.len() >= 2, "{rows:#?}");
    // The one that ran, unless it ended before the signal came.
    let interrupted = rows.iter().filter(|row| row.outcome == "interrupted");
    assert!(interrupted.count() <= 1, "{rows:#?}");
}

fn interrupted_at_once(place: &Place) {
    let mut running = place.start(&["sweep", "grid.toml"]);
    wait_for_load(place, &mut running, 0).expect("a trial comes");
    running.signal(Signal::SIGINT);
    assert_interrupted(place, &running.finish());
}

#[track_caller]
fn assert_interrupted(place: &Place, done: &Done) {
    done.assert_code(130);
    done.assert_says("stopping: the trial is ended cleanly");
    assert!(!done.stdout.contains("recommended:"), "{done}");
    let told = verdict(&folder(place));
    assert_eq!(told["verdict"], "interrupted");
    assert!(told["recommended"].is_null(), "{told:#}");
    assert!(folder(place).join("study.db").is_file());
    // All of them are written, however a sweep ends.
    assert!(files(place).values().all(|text| !text.is_empty()));
    place.run(&["report", "waits"]).assert_code(130);
}

/// The app is gone when the study is to go on: nothing is measured or ruled out.
#[test]
fn a_resume_looks_at_the_app_first() {
    if !has_python() {
        return;
    }
    let place = place("20m");
    let down = place.path("down");
    let more = format!(", DOWN = \"{}\"", down.display());
    place.write("grid.toml", &grid(&place, "20m", "[2, 300]", &more));
    let mut running = place.start(&["sweep", "grid.toml"]);
    wait_for_load(&place, &mut running, 0).expect("a trial comes");
    running.signal(Signal::SIGINT);
    running.finish().assert_code(130);
    let before = rows(&folder(&place));
    std::fs::write(&down, "").expect("written");
    let done = place.run(&["sweep", "grid.toml"]);
    done.assert_code(5);
    done.assert_says("server does not start");
    done.assert_says("the database is down");
    assert_eq!(rows(&folder(&place)), before);
    place.run(&["report", "waits"]).assert_code(5);
}

fn stdout_and_verdict_agree(place: &Place, done: &Done) {
    let verdict = verdict(&folder(place));
    for key in [
        "format",
        "verdict",
        "recommended",
        "tie_set",
        "bound_pct",
        "bound_us",
        "exploratory",
        "limits",
        "server_cpus",
        "restarts_observed",
        "study",
    ] {
        assert!(verdict.get(key).is_some(), "no `{key}` in {verdict:#}");
    }
    assert_eq!(verdict["format"], 1);
    assert_eq!(verdict["study"], "waits");
    assert!(verdict["server_cpus"].as_u64().is_some_and(|cpus| cpus > 0));
    let headline = verdict["headline"].as_str().expect("a sentence");
    assert!(done.stdout.contains(headline), "{done}");
    let last = done.stdout.lines().last().expect("there is a line");
    match verdict["recommended"].as_str() {
        Some(recommended) => {
            let tie_set = verdict["tie_set"].as_array().expect("a list");
            let ties: Vec<_> = tie_set.iter().filter_map(|one| one.as_str()).collect();
            assert_eq!(ties.first(), Some(&recommended));
            assert_eq!(last, format!("recommended: {}", ties.join(" ")));
        }
        None => assert!(!last.starts_with("recommended:"), "{done}"),
    }
}

fn nothing_is_measured_again(place: &Place, first: &Done) {
    let (had, loads_before) = (files(place), loads(place));
    let again = place.run(&["sweep", "grid.toml"]);
    again.assert_says("nothing is measured");
    let json = place.run(&["sweep", "grid.toml", "--json"]);
    let report = place.run(&["report", "waits"]);
    let report_json = place.run(&["report", "results/waits", "--json"]);
    for done in [&again, &json, &report, &report_json] {
        assert_eq!(done.code, first.code, "{done}");
    }
    assert_eq!(loads(place), loads_before);
    assert_eq!(files(place), had, "the same study gives the same files");
    assert_eq!(again.stdout, first.stdout);
    assert_eq!(report.stdout, first.stdout);
    assert_eq!(json.stdout, had["verdict.json"]);
    assert_eq!(report_json.stdout, had["verdict.json"]);
}

fn another_grid_is_refused(place: &Place) {
    let had = files(place);
    place.write("grid.toml", &grid(place, "40s", "[2, 200]", ""));
    let done = place.run(&["sweep", "grid.toml"]);
    done.assert_code(2);
    done.assert_says("was made from another grid or app");
    done.assert_says("hint: --fresh ");
    assert_eq!(done.stdout, "");
    assert_eq!(files(place), had);
}

#[test]
fn an_interrupt_during_setup_ends_the_step() {
    let place = Place::new();
    let text = grid(&place, "40s", "[2]", "");
    let setup = "setup = [\"sh -c 'touch ../begun; exec sleep 1000'\"]\ncommand =";
    place.write("grid.toml", &text.replacen("command =", setup, 1));
    let begun = place.work().join("begun");
    for command in [
        &["sweep", "grid.toml"][..],
        &["check", "grid.toml"],
        &["trial", "grid.toml", "waits:delay_ms=2"],
    ] {
        let running = place.start(command);
        wait_until("the step", || begun.exists());
        running.signal(Signal::SIGINT);
        running.finish().assert_code(130);
        std::fs::remove_file(&begun).expect("it was there");
    }
    assert_eq!(verdict(&folder(&place))["verdict"], "interrupted");
}

#[test]
fn an_interrupted_trial_ends_cleanly() {
    if !has_python() {
        return;
    }
    let place = place("40s");
    let words = ["trial", "grid.toml", "waits:delay_ms=2", "--seconds", "600"];
    let mut running = place.start(&words);
    wait_for_load(&place, &mut running, 0).expect("it comes under load");
    running.signal(Signal::SIGINT);
    let done = running.finish();
    done.assert_code(130);
    assert!(
        done.stdout.starts_with("waits:delay_ms=2: interrupted"),
        "{done}"
    );
    let left: Vec<_> = std::fs::read_dir(place.path("tmp"))
        .expect("a folder")
        .map(|entry| entry.expect("an entry").file_name())
        .collect();
    assert_eq!(left, ["autotune.lock"]);
}
