//! `autotune check` on a real gunicorn: what it prints, what stops it, and that it
//! leaves nothing.

#![expect(clippy::print_stderr, reason = "a test says why it is passed over")]

use std::net::UdpSocket;

use nix::sched::{CpuSet, sched_getaffinity};
use nix::sys::signal::Signal;
use nix::unistd::Pid;
use serde_json::{Value, json};

use crate::place::{Done, Place, read, wait_until};
use crate::processes;
use crate::{gunicorn, study, tools};

/// The place of the plain app with a grid that has everything a plan can have.
fn place(env: &str) -> Option<Place> {
    let place = gunicorn::place("/hello", env)?;
    let grid = read(&place.work().join("grid.toml"));
    let threads = "threads = [1, 2, 4]\nmax_requests_jitter = [0, 50]\n\
                   constraints = [\"workers * threads <= 4\"]\n\n[baseline]\nworkers = 3";
    let grid = grid.replacen("threads = [1]", threads, 1);
    let grid = grid.replacen("rate = 20", "rate = 60", 1);
    place.write("grid.toml", &grid.replacen("\"40s\"", "\"1h\"", 1));
    Some(place)
}

/// It made neither study nor folder, and what it printed is for programs or people.
#[track_caller]
fn assert_no_trace(place: &Place, done: &Done) {
    assert!(!place.work().join("results").exists(), "{done}");
}

fn document(done: &Done) -> Value {
    serde_json::from_str(&done.stdout).unwrap_or_else(|error| panic!("{error}: {done}"))
}

#[test]
fn an_answer_that_is_not_the_json_that_is_expected_stops_it() {
    if !tools::has_python() {
        return;
    }
    let place = study::place("20m");
    let grid = read(&place.work().join("grid.toml"));
    let expected = "path = \"/\"\nexpect = { json = { \"/ok\" = true } }";
    place.write("grid.toml", &grid.replacen("path = \"/\"", expected, 1));
    let done = place.run(&["check", "grid.toml"]);
    done.assert_code(5);
    done.assert_says("endpoint `hello` (/) answered with a body that is no JSON: expected value");
    done.assert_says("body: hello");
}

#[test]
fn a_good_grid_is_shown_as_a_page() {
    let Some(place) = place("") else {
        return;
    };
    let done = place.run(&["check", "grid.toml"]);
    done.assert_code(0);
    assert_no_trace(&place, &done);
    let words = |line: &str| line.split_whitespace().collect::<Vec<_>>().join(" ");
    let lines: Vec<String> = done.stdout.lines().map(words).collect();
    for expected in [
        "plan of plain: 6 configurations, 12 cells in the grid",
        // The rest of the jitters is folded into it.
        "1/1/sync/0/0 2",
        "1/4/gthread/0/0 2",
        "2/2/gthread/0/0 2",
        "3/1/sync/0/0 0 runs today; not in the grid",
        "1/1/sync/0/50 is 1/1/sync/0/0: jitter means nothing without max_requests",
        "2/4/sync/0/0 is 2/4/gthread/0/0: not workers * threads <= 4",
        "2/4/sync/0/50 is 2/4/gthread/0/0: not workers * threads <= 4",
        "workers 1 1 named in the grid file",
        "connections beyond this machine: none was seen",
        "time: budget 60 min 0 s",
        "this machine: server not pinned, generator not pinned",
    ] {
        let is_there = lines.iter().any(|line| line == expected);
        // Many CPUs are shared out unasked.
        let is_there = is_there || (expected.contains("not pinned") && has_cpus(4));
        assert!(is_there, "no `{expected}` in:\n{done}");
    }
    for part in [
        "wanted GET /hello 200 5 B",
        "text/plain status 200",
        "server: gunicorn 27.0.1, python 3.",
        "p95 takes 200",
        "max_error_rate of",
    ] {
        let is_there = lines.iter().any(|line| line.contains(part));
        assert!(is_there, "no `{part}` in:\n{done}");
    }
}

/// Measured as the program does it: a quota takes no CPU away.
fn has_cpus(count: usize) -> bool {
    let mask = sched_getaffinity(Pid::from_raw(0)).expect("the system says");
    let cpus = 0..CpuSet::count();
    let ours = cpus.filter(|cpu| mask.is_set(*cpu).unwrap_or(false));
    ours.count() >= count
}

/// Whether an app here could reach out at all; with `CI=true` it must.
pub(crate) fn has_route() -> bool {
    let route = UdpSocket::bind("0.0.0.0:0").and_then(|one| one.connect("198.51.100.1:9"));
    match route {
        Ok(()) => true,
        Err(why) if std::env::var("CI").as_deref() == Ok("true") => panic!("no route: {why}"),
        Err(why) => {
            eprintln!("skipped: there is no route to other machines: {why}");
            false
        }
    }
}

#[test]
fn the_same_is_there_as_json() {
    let Some(place) = place("") else {
        return;
    };
    let done = place.run(&["check", "grid.toml", "--json", "--budget", "30m"]);
    done.assert_code(0);
    assert_no_trace(&place, &done);
    let document = document(&done);
    assert_eq!(document["format"], 1);
    assert_eq!(document["fault"], Value::Null);
    let plan = &document["plan"];
    assert_eq!(plan["cells"], 12);
    let first = json!({"configuration": "1/1/sync/0/0", "cells": 2, "baseline": false});
    assert_eq!(plan["configurations"][0], first);
    let today = json!({"configuration": "3/1/sync/0/0", "cells": 0, "baseline": true});
    assert_eq!(plan["configurations"][5], today);
    let cells = |list: &Value| list.as_array().expect("a list").len();
    assert_eq!(cells(&plan["configurations"]), 6);
    assert_eq!(cells(&plan["dropped"]), 2);
    assert_eq!(plan["dropped"][0]["constraint"], "workers * threads <= 4");
    // All but the two that are spelled as they behave, and the two dropped.
    assert_eq!(cells(&plan["folded"]), 8);
    let launched = &document["launched"];
    let endpoint = &launched["endpoints"][0];
    let told = [
        &endpoint["endpoint"],
        &endpoint["status"],
        &endpoint["size_bytes"],
    ];
    assert_eq!(told, [&json!("wanted"), &json!(200), &json!(5)]);
    assert_eq!(endpoint["content_type"], "text/plain");
    assert!(endpoint["time_us"].as_u64().expect("a number") > 0);
    assert_eq!(endpoint["expect"]["statuses"], json!([200]));
    assert_eq!(endpoint["expect"]["min_bytes"], Value::Null);
    assert_eq!(document["login"], Value::Null);
    assert_eq!(launched["versions"]["gunicorn"], "27.0.1");
    assert_eq!(launched["settings"][0]["setting"], "workers");
    assert_eq!(launched["settings"][0]["value"], "1");
    assert_eq!(launched["outside"], json!([]));
    let time = &document["time"];
    assert_eq!(time["budget_s"], 1800.0);
    assert_eq!(time["preflight_trials"], 6);
    let seconds = |key: &str| time[key].as_f64().expect("a number");
    // As many as the machine is fast: that is for the launch to say.
    let fit = (seconds("budget_s") - seconds("preflight_s")) / seconds("block_s");
    let blocks = time["blocks"].as_f64().expect("a number");
    assert!((fit - 1.1..=fit + 0.1).contains(&blocks), "{time:#}");
    assert_eq!(time["trial_is_estimate"], false);
    assert_eq!(time["requests_needed"], 200);
    assert!(document["host"]["problems"].is_array());
}

#[test]
fn an_app_that_reaches_out_is_stopped_with_the_address() {
    let Some(mut place) = place("") else {
        return;
    };
    if !has_route() {
        return;
    }
    place.variable("REACH", "198.51.100.1");
    let done = place.run(&["check", "grid.toml", "--json"]);
    done.assert_code(5);
    assert_no_trace(&place, &done);
    done.assert_says("error[A0204]");
    done.assert_says("198.51.100.1:9 (udp)");
    done.assert_says("may_reach");
    let stopped = document(&done);
    assert_eq!(stopped["fault"]["code"], "A0204");
    assert_eq!(stopped["launched"], Value::Null);
    assert_eq!(stopped["plan"]["cells"], 12);

    let grid = read(&place.work().join("grid.toml"));
    let allowed = "bin = \"";
    let with = format!("may_reach = [\"198.51.100.0/24\"]\n{allowed}");
    place.write("grid.toml", &grid.replacen(allowed, &with, 1));
    let done = place.run(&["check", "grid.toml"]);
    done.assert_code(0);
    let line = "198.51.100.1:9 (udp): allowed by `198.51.100.0/24` in `may_reach`";
    assert!(done.stdout.contains(line), "{done}");
}

#[test]
fn an_endpoint_that_is_not_there_stops_it() {
    let Some(place) = gunicorn::place("/missing", "") else {
        return;
    };
    let done = place.run(&["check", "grid.toml"]);
    done.assert_code(5);
    assert_no_trace(&place, &done);
    done.assert_says("error[A0203]: endpoint `wanted` (/missing) answered 404, expected 200");
    done.assert_says("body: nowhere");
    done.assert_says("Booting worker");
    assert!(
        done.stdout.starts_with("plan of plain: 2 configurations"),
        "{done}"
    );
    assert!(!done.stdout.contains("answers of"), "{done}");
}

#[test]
fn a_setting_that_the_app_overrides_stops_it() {
    let Some(place) = gunicorn::place("/hello", "FORKED = \"../forked\"") else {
        return;
    };
    place.write("app/gunicorn.conf.py", include_str!("apps/forced.conf.py"));
    let done = place.run(&["check", "grid.toml", "--json"]);
    done.assert_code(5);
    done.assert_says("error[A0305]: every trial of 1/1/sync/0/0 would be invalid");
    let why = "`workers` was asked to be 1 but is 3, set by gunicorn.conf.py:7";
    done.assert_says(why);
    let fault = &document(&done)["fault"];
    assert_eq!(fault["code"], "A0305");
    let message = fault["message"].as_str().expect("a text");
    assert!(message.contains(why), "{fault}");
}

#[test]
fn an_interrupt_ends_the_server_and_leaves_nothing() {
    if !tools::has_python() {
        return;
    }
    let place = study::place("1h");
    let grid = study::grid(&place, "1h", "[600000]", "");
    place.write("grid.toml", &grid);
    let running = place.start(&["check", "grid.toml"]);
    wait_until("the server", || {
        running.stderr().contains("checking") && !processes::marked_by(running.pid()).is_empty()
    });
    running.signal(Signal::SIGINT);
    let done = running.finish();
    done.assert_code(130);
    assert_eq!(done.stdout, "");
    assert_no_trace(&place, &done);
}
