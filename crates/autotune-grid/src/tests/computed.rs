//! Ranges, expressions and constraints of a grid.

use super::*;

/// The labels of `FULL` with these workers, on a server with four CPUs.
#[track_caller]
fn workers(text: &str) -> Vec<i64> {
    let text = edited(FULL, "workers = [1, 4]", &format!("workers = {text}"));
    let text = edited(&text, "threads = [1, 8]", "threads = 1");
    let file = good(&edited(&text, "\"sync\", ", ""));
    let name = "workers".into();
    let values = file.space.configurations.iter().map(|one| one.value(&name));
    values
        .map(|value| value.unwrap().as_int().unwrap())
        .collect()
}

#[test]
fn a_range_is_all_its_numbers() {
    assert_eq!(workers("\"1..=4\""), [1, 2, 3, 4]);
    assert_eq!(workers("\"1..=9 step 4\""), [1, 5, 9]);
    assert_eq!(workers("\"2..=9 step 4\""), [2, 6]);
    assert_eq!(workers("[\"1..=2\", 8, \"{{ cores }}\"]"), [1, 2, 8, 4]);
    assert_eq!(
        workers("\"{{ cores }}..={{ cores * 2 + 1 }} step 5\""),
        [4, 9]
    );
}

#[test]
fn an_expression_knows_the_cores_of_the_server() {
    assert_eq!(workers("[\"{{ cores * 2 + 1 }}\"]"), [9]);
    assert_eq!(workers("\"{{ [cores // 3, 1] | max }}\""), [1]);
    let text = edited(FULL, "workers = 5", "workers = \"{{ cores * 2 + 1 }}\"");
    let baseline = good(&text).space.baseline.unwrap();
    assert_eq!(baseline.label().as_str(), "9/1/sync/0/0");
    let one = read(&text, Path::new("/grids"), &profiles(), &|host| {
        assert!(!host.keep_awake, "what [host] asks for is known by then");
        1
    });
    let baseline = one.unwrap().space.baseline.unwrap();
    assert_eq!(baseline.label().as_str(), "3/1/sync/0/0");
}

#[test]
fn the_limit_of_cpus_is_a_limit_of_cores() {
    let text = edited(FULL, "workers = 5", "workers = \"{{ cores }}\"");
    let workers = |cpus: &str| {
        let limited = edited(&text, "cpus = 8.5", &format!("cpus = {cpus}"));
        let baseline = good(&limited).space.baseline.expect("there is one");
        baseline.value(&"workers".into()).and_then(Value::as_int)
    };
    // The server has four.
    for (cpus, cores) in [("8.5", 4), ("4", 4), ("2.9", 2), ("1", 1), ("0.5", 1)] {
        assert_eq!(workers(cpus), Some(cores), "{cpus}");
    }
}

#[test]
fn variables_of_a_command_are_computed_too() {
    let text = edited(
        COMMAND,
        "workers = [1, 2]",
        "workers = \"2..={{ cores - 1 }}\"",
    );
    let file = good(&edited(
        &text,
        "threads = [4, 8]",
        "threads = \"x{{ cores }}\"",
    ));
    let expected = ["puma:workers=2,threads=x4", "puma:workers=3,threads=x4"];
    assert_eq!(labels(&file), expected);
}

#[test]
fn constraints_are_asked_of_what_a_cell_really_is() {
    let constrained = |constraints: &str| {
        let line = format!("max_requests = 0\nconstraints = {constraints}");
        let text = edited(FULL, "max_requests = 0", &line);
        good(&edited(&text, "\"gthread\"]", "\"gevent\"]"))
    };
    // Threads mean nothing to gevent: 4/8/gevent is 4/1/gevent.
    let file = constrained("[\"workers * threads <= 8\"]");
    let expected = [
        "1/1/sync/0/0",
        "1/8/gthread/0/0",
        "4/1/sync/0/0",
        "1/1/gevent/0/0",
        "4/1/gevent/0/0",
    ];
    assert_eq!(labels(&file), expected);
    let dropped: Vec<_> = file.space.dropped.iter().collect();
    assert_eq!(dropped.len(), 1);
    assert_eq!(dropped[0].spelled, "4/8/sync/0/0");
    assert_eq!(dropped[0].configuration.as_str(), "4/8/gthread/0/0");
    assert_eq!(dropped[0].constraint, "workers * threads <= 8");
    assert_eq!(file.space.cells_of, [1, 1, 1, 2, 2]);
    assert!(
        file.space
            .folded
            .iter()
            .all(|cell| cell.into.as_str() != "4/8/gthread/0/0")
    );
    // What runs today need not meet them.
    assert_eq!(
        file.space.baseline.unwrap().label().as_str(),
        "5/1/sync/0/0"
    );
    let both = constrained("[\"workers <= cores\", \"worker_class == 'gevent' or threads > 1\"]");
    let expected = [
        "1/8/gthread/0/0",
        "4/8/gthread/0/0",
        "1/1/gevent/0/0",
        "4/1/gevent/0/0",
    ];
    assert_eq!(labels(&both), expected);
}
