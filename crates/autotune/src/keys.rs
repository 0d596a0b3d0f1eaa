//! Every key of the grid file does something: for each key of the schema there is
//! a pair of grid files that differ in it, and what the program would do for one
//! of them differs from what it would do for the other. A key that is read and
//! ignored fails here, and so does one that nobody has written a case for.
//!
//! What is compared ends one step before the deed: that a trial runs the commands
//! around it, ends with this signal, or is held to its limits by the kernel, is
//! shown by tests on real servers.

mod answers;
mod cases;
mod effect;
mod history;
mod schema;

use std::collections::BTreeSet;

use cases::{CASES, Case};
use effect::{Effect, Place};

/// Keys that leave a study the same when they change: what was measured stays
/// comparable.
const SAME_STUDY: [&str; 11] = [
    "budget.time",
    // That the CPUs are others is noticed beside the identity.
    "host.generator_cpus",
    "host.server_cpus",
    "name",
    // What counts is what the files hold that its commands name.
    "service.NAME.dir",
    "service.NAME.env.NAME.secret",
    "service.NAME.may_reach",
    "server.NAME.env.NAME.secret",
    "server.NAME.may_reach",
    "server.NAME[command].env.NAME.secret",
    "server.NAME[command].may_reach",
];

/// Keys that only root can set.
const ROOTS: [&str; 2] = ["service.NAME.user", "service.NAME.user.when_root"];

/// Both grid files of a case, as texts.
fn texts(case: &Case) -> [String; 2] {
    let Case { key, base, .. } = case;
    let (from, to) = case.change;
    let count = base.matches(from).count();
    assert_eq!(
        count, 1,
        "the case of `{key}`: `{from}` stands {count} times"
    );
    [(*base).to_owned(), base.replace(from, to)]
}

/// Why this case shows nothing, if so.
fn fault(case: &Case, place: &Place) -> Option<String> {
    let key = case.key;
    if ROOTS.contains(&key) && !nix::unistd::geteuid().is_root() {
        eprintln!("passed over: only root can start something as another user, `{key}`");
        return None;
    }
    let (before, after) = match texts(case).map(|text| Effect::of(&text, place)) {
        [Ok(before), Ok(after)] => (before, after),
        [Err(why), _] | [_, Err(why)] => return Some(format!("the case of `{key}`: {why}")),
    };
    let differing = before.differing(&after);
    if differing.is_empty() {
        return Some(format!("`{key}` is read and ignored: it changes nothing"));
    }
    if let Some(part) = case.parts.iter().find(|part| !differing.contains(*part)) {
        return Some(format!("`{key}` changes {differing:?}, but not {part:?}"));
    }
    let same = before.identity == after.identity;
    match (same, SAME_STUDY.contains(&key)) {
        (true, false) => Some(format!(
            "`{key}` changes, and a study that goes on does not notice"
        )),
        (false, true) => Some(format!("`{key}` changes, and a study would begin anew")),
        _ => None,
    }
}

#[test]
fn every_key_does_something() {
    let place = Place::new();
    let faults: Vec<String> = CASES
        .iter()
        .filter_map(|case| fault(case, &place))
        .collect();
    assert!(faults.is_empty(), "\n{}\n", faults.join("\n"));
}

#[test]
fn every_key_of_the_schema_has_a_case() {
    let keys = schema::keys();
    let cased: BTreeSet<String> = CASES.iter().map(|case| case.key.to_owned()).collect();
    let mut faults: Vec<String> = Vec::new();
    faults.extend(keys.difference(&cased).map(|key| {
        format!(
            "`{key}` has no case: add a line to crates/autotune/src/keys/cases.rs with a grid file, \
             the change of this key, and the part of its effect that must differ"
        )
    }));
    faults.extend(
        cased
            .difference(&keys)
            .map(|key| format!("there is a case for `{key}`, which is no key any more")),
    );
    assert!(faults.is_empty(), "\n{}\n", faults.join("\n"));
}

/// What this test rests on: the same text has the same effect at any time.
#[test]
fn a_grid_file_that_does_not_change_has_the_same_effect() {
    let place = Place::new();
    for base in cases::BASES {
        let [one, other] = [(); 2].map(|()| Effect::of(base, &place).unwrap());
        assert_eq!(one.differing(&other), BTreeSet::new(), "{base}");
        assert_eq!(one.identity, other.identity);
    }
}
