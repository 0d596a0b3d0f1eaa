//! The shipped grid of an app on PostgreSQL: the cluster is made and run by the
//! sweep, and every launch finds the data of the template, whatever the one before
//! has written.

use std::fs;
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};

use serde_json::Value;

use crate::place::{Place, read};
use crate::tools;

const SHIPPED: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/../../grids");

/// The shipped grid with a copy of its folder: where the sources lie, PostgreSQL's
/// own user may not be able to get. `None` where there is no PostgreSQL.
fn shipped() -> Option<(Place, String)> {
    tools::postgres()?;
    let place = Place::new();
    let open = |path: &Path| {
        fs::set_permissions(path, fs::Permissions::from_mode(0o755)).expect("set");
    };
    let copy = place.work().join("postgres");
    fs::create_dir(&copy).expect("a folder");
    for file in fs::read_dir(PathBuf::from(SHIPPED).join("postgres")).expect("a folder") {
        let file = file.expect("an entry");
        if file.path().is_file() {
            fs::copy(file.path(), copy.join(file.file_name())).expect("copied");
        }
    }
    let (root, cache) = (place.path(""), place.path("cache"));
    [root, cache, place.work(), copy]
        .iter()
        .for_each(|path| open(path));
    fs::set_permissions(place.path("tmp"), fs::Permissions::from_mode(0o777)).expect("set");
    let text = read(&PathBuf::from(SHIPPED).join("postgres.toml"));
    place.write("grid.toml", &text);
    Some((place, text))
}

#[test]
fn every_trial_begins_with_the_same_data() {
    let Some((place, text)) = shipped() else {
        return;
    };
    for configuration in ["1/1/sync", "1/4/gthread"] {
        // The endpoint `restored` is right only on fresh data, before and under
        // load; the others must answer, too: without a session `mine` redirects,
        // and `note` refuses a token that is not its session's.
        let done = place.run(&["trial", "grid.toml", configuration]);
        assert!(done.stdout.contains("restored   "), "no load: {done}");
        assert!(!done.stdout.contains("x assertion"), "{done}");
        assert!(!done.stdout.contains("x status"), "{done}");
        let service = done
            .stdout
            .lines()
            .find(|line| line.starts_with("service db: "));
        // What PostgreSQL holds in memory is never that little.
        assert!(
            service.is_some_and(|line| !line.contains("peak -")),
            "{done}"
        );
    }
    // Made once, by content.
    let done = place.run(&["check", "grid.toml"]);
    done.assert_code(0);
    done.assert_says("setup of service.db: reused from");
    let restoring = "before_trial = [\"sh restore.sh\"]\n";
    assert!(text.contains(restoring));
    let once = "before_trial = ['sh -c \"createdb -T notes_template notes_trial || true\"']\n";
    place.write("grid.toml", &text.replace(restoring, once));
    let done = place.run(&["sweep", "grid.toml"]);
    // The first launch finds fresh data, all others what those before have left.
    done.assert_code(4);
    done.assert_says("endpoint `restored`");
    done.assert_says("left over");
}

#[test]
fn a_sweep_has_its_own_database_and_tells_what_it_used() {
    let Some((place, text)) = shipped() else {
        return;
    };
    let text = text
        .replace("[1, 2, 4]", "[1]")
        .replace("[\"sync\", \"gthread\"]", "[\"sync\"]");
    place.write(
        "grid.toml",
        &text.replace("threads = [1, 4]", "threads = [1]"),
    );
    let done = place.run(&["sweep", "grid.toml", "--budget", "45s"]);
    let folder = place.work().join("results/postgres");
    let verdict: Value = serde_json::from_str(&read(&folder.join("verdict.json"))).expect("JSON");
    let trials = read(&folder.join("trials.csv"));
    let count = |outcome: &str| {
        let such = trials.lines().filter(|line| line.contains(outcome));
        such.count()
    };
    let (measured, overloaded) = (count(",measured,"), count(",overloaded,"));
    // Whether a busy machine lets one be told from the other, or carries the load
    // at all, is not asked here; whether the app answers is.
    match done.code {
        Some(0 | 3) => assert!(measured > 0, "{trials}\n{done}"),
        Some(4) => assert!(overloaded > 0, "{trials}\n{done}"),
        _ => panic!("{done}"),
    }
    let service = &verdict["services"][0];
    assert_eq!(service["service"], "db", "{done}");
    assert!(
        service["memory_peak_bytes"].as_u64() > Some(10 << 20),
        "{service}"
    );
    let report = read(&folder.join("report.md"));
    assert!(report.contains("## Beside the server") && report.contains("| db |"));
}
