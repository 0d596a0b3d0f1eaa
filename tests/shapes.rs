//! A load of groups, steps and connections with a limit, against a server that
//! counts connections and requests itself.

use std::collections::BTreeMap;

use crate::place::{Place, read};
use crate::tools::has_python;

/// Requests over one connection.
const LIMIT: usize = 5;

fn place() -> Place {
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

[load]
connections = {{ reconnect_every = {LIMIT}, idle = "30s" }}

[load.closed]
ramp = "500ms"

[[load.closed.group]]
endpoints = ["calm"]
every = "100ms"
steps = [{{ users = 1, for = "2s" }}, {{ users = 3, for = "2s" }}]

[[load.closed.group]]
endpoints = ["busy"]
users = 2
think = {{ from = "20ms", to = "60ms" }}

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
    let place = place();
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
