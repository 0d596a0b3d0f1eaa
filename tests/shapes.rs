//! A load of groups, steps and connections with a limit, against a server that
//! counts connections and requests itself.

use std::collections::BTreeMap;

use crate::place::{Done, Place, read};
use crate::tools::has_python;

/// Requests over one connection.
const LIMIT: usize = 5;

/// Groups, steps, a ramp and limits of connections.
const SHAPES: &str = r#"
[load]
connections = { reconnect_every = 5, idle = "30s" }

[load.closed]
ramp = "500ms"

[[load.closed.group]]
endpoints = ["calm"]
every = "100ms"
steps = [{ users = 1, for = "2s" }, { users = 3, for = "2s" }]

[[load.closed.group]]
endpoints = ["busy"]
users = 2
think = { from = "20ms", to = "60ms" }
"#;

/// Users with a number of requests.
const LOOPS: &str = r#"
[load.closed]
at_most = "1m"

[[load.closed.group]]
endpoints = ["calm"]
users = 2
every = "100ms"
loops = 25

[[load.closed.group]]
endpoints = ["busy"]
users = 3
think = "50ms"
loops = 40
"#;

/// A server that counts, under this load.
fn place(load: &str) -> Place {
    let place = Place::new();
    place.write("app/counting.py", include_str!("apps/counting.py"));
    let counts = place.path("counts");
    let counts = counts.display();
    place.write(
        "grid.toml",
        &format!(
            r#"name = "shapes"

[server.counting]
profile = "command"
command = "python3 counting.py {{{{ host }}}} {{{{ port }}}} {{{{ n }}}}"
dir = "app"
env = {{ COUNTS = "{counts}" }}

[grid]
n = [1]

[[endpoint]]
name = "calm"
path = "/calm"

[[endpoint]]
name = "busy"
path = "/busy"

{load}
[host]
keep_awake = false

[budget]
time = "60s"
"#
        ),
    );
    place
}

#[test]
fn a_load_of_groups_and_steps_reconnects_as_often_as_it_says() {
    if !has_python() {
        return;
    }
    let place = place(SHAPES);
    let done = place.run(&["trial", "grid.toml", "counting:n=1"]);
    // A machine that is too busy to measure gives 5; the requests were right.
    assert!([0, 5].map(Some).contains(&done.code), "{done}");
    let words = "closed load of 1 to 3 users in 2 steps asking every 100 ms for calm; 2 users with \
                 20 ms to 60 ms think time for busy, each reached within 500 ms, connections kept \
                 for 5 requests or until unused for 30 s";
    assert!(done.stdout.contains(words), "{done}");
    for name in ["calm", "busy"] {
        let mut rows = done.stdout.lines().map(str::split_whitespace);
        let row = rows.find_map(|mut row| (row.next() == Some(name)).then(|| row.next_back()));
        assert_eq!(row, Some(Some("0")), "failed requests: {done}");
    }

    // By connection: the path, and how often it was asked.
    let mut seen: BTreeMap<&str, Vec<&str>> = BTreeMap::new();
    let counts = read(&place.path("counts"));
    for line in counts.lines() {
        let (number, path) = line.split_once(' ').expect("a connection and a path");
        seen.entry(number).or_default().push(path);
    }
    for paths in seen.values() {
        assert!(paths.len() <= LIMIT, "{paths:?}");
        assert!(paths.iter().all(|path| path == &paths[0]), "{paths:?}");
    }
    // All but the last one of each of the five users, and the questions before
    // the load, are used up to the limit.
    let used_up = seen.values().filter(|paths| paths.len() == LIMIT).count();
    assert!(seen.len() - used_up <= 5 + 8, "{counts}");
    assert!(used_up >= 5, "{counts}");
    // 4 s of one user and 2 s of two more, ten times a second.
    let calm = seen.values().flatten().filter(|path| **path == "/calm");
    assert!((20..=90).contains(&calm.count()), "{counts}");

    let done = place.run(&["trial", "grid.toml", "counting:n=1", "--seconds", "3"]);
    done.assert_code(2);
    done.assert_says("the steps of the load decide how long it is");
}

/// A machine that is too busy to measure gives 5; the requests were right.
fn check_code(done: &Done, expected: i32) {
    assert!([expected, 5].map(Some).contains(&done.code), "{done}");
}

#[test]
fn each_user_asks_as_often_as_the_load_says() {
    if !has_python() {
        return;
    }
    let place = place(LOOPS);
    let done = place.run(&["trial", "grid.toml", "counting:n=1"]);
    check_code(&done, 0);
    let words = "closed load of 2 users, 25 loops each, asking every 100 ms for calm; 3 users, 40 \
                 loops each, with 50 ms think time for busy, for at most 1 min 0 s";
    assert!(done.stdout.contains(words), "{done}");
    assert!(done.stdout.contains("\nload: 170 requests in "), "{done}");

    // A connection for each user; the questions before the load have their own.
    let counts = read(&place.path("counts"));
    let mut seen: BTreeMap<&str, Vec<&str>> = BTreeMap::new();
    for line in counts.lines() {
        let (number, path) = line.split_once(' ').expect("a connection and a path");
        seen.entry(number).or_default().push(path);
    }
    let mut users: Vec<(&str, usize)> = seen
        .values()
        .filter(|paths| paths.len() > 1)
        .map(|paths| (paths[0], paths.len()))
        .collect();
    users.sort();
    let (calm, busy) = (("/calm", 25), ("/busy", 40));
    assert_eq!(users, [busy, busy, busy, calm, calm], "{counts}");

    let done = place.run(&["trial", "grid.toml", "counting:n=1", "--seconds", "3"]);
    done.assert_code(2);
    done.assert_says("the load ends when its users have made their loops");
}

#[test]
fn users_who_are_not_done_in_time_make_a_trial_overloaded() {
    if !has_python() {
        return;
    }
    let load = "[load.closed]\nusers = 2\nevery = \"1s\"\nloops = 100\nat_most = \"2s\"";
    let place = place(load);
    let done = place.run(&["trial", "grid.toml", "counting:n=1"]);
    check_code(&done, 4);
    if done.code == Some(4) {
        let why = "2 of 2 users had not finished their 100 loops after 2 s";
        assert!(done.stdout.contains("counting:n=1: overloaded, "), "{done}");
        assert!(done.stdout.contains(why), "{done}");
    }
}
