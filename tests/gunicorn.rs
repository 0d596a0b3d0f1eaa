//! A real gunicorn: settings that the app overrides, and apps that cannot be
//! measured and must say so at once.

use crate::place::{Done, Place, read};
use crate::study::{FILES, rows, verdict};
use crate::tools;

/// A place with the app, this path as its only endpoint. `None` without gunicorn.
pub(crate) fn place(path: &str, env: &str) -> Option<Place> {
    let bin = tools::gunicorn()?;
    let place = Place::new();
    place.write("app/plain.py", include_str!("apps/plain.py"));
    let bin = bin.display();
    let grid = format!(
        r#"name = "plain"

[server.gunicorn]
profile = "gunicorn"
app = "plain:app"
dir = "app"
bin = "{bin}"
env = {{ {env} }}

[grid]
worker_class = ["sync"]
workers = [1, 2]
threads = [1]

[[endpoint]]
name = "wanted"
path = "{path}"

[load]
connections = "keep-alive"

[load.open]
rate = 20

[objective]
minimize = "p95"
accept = "50%"

[budget]
time = "40s"
"#
    );
    place.write("grid.toml", &grid);
    Some(place)
}

#[test]
fn a_setting_that_the_app_overrides_makes_the_trial_invalid() {
    let Some(place) = place("/hello", "FORKED = \"../forked\"") else {
        return;
    };
    // The server's working directory is the app's folder.
    let forked = place.work().join("forked");
    place.write("app/gunicorn.conf.py", include_str!("apps/forced.conf.py"));
    let done = place.run(&["trial", "grid.toml", "2/1/sync", "--seconds", "2"]);
    done.assert_code(5);
    assert!(done.stdout.starts_with("2/1/sync/0/0: invalid"), "{done}");
    let expected = "`workers` was asked to be 2 but is 3, set by gunicorn.conf.py:7";
    assert!(done.stdout.contains(expected), "{done}");
    assert_eq!(read(&forked), "xxx", "the app's own hook runs");
}

/// Sweeps what cannot be measured; what it says, and the fault in the verdict.
fn stopped(place: &Place) -> (Done, String) {
    let folder = place.work().join("results/plain");
    std::fs::create_dir_all(&folder).expect("a folder");
    let outdated = folder.join("gunicorn.conf.py");
    std::fs::write(&outdated, "workers = 9").expect("written");
    let done = place.run(&["sweep", "grid.toml"]);
    done.assert_code(5);
    assert!(!outdated.exists(), "nothing is recommended any more");
    // At once: before any trial.
    assert_eq!(rows(&folder), []);
    for file in FILES {
        assert!(folder.join(file).is_file(), "no {file}");
    }
    let verdict = verdict(&folder);
    assert_eq!(verdict["verdict"], "stopped");
    assert!(verdict["recommended"].is_null());
    assert!(!done.stdout.contains("recommended:"), "{done}");
    let code = verdict["fault"]["code"].as_str().expect("a code");
    (done, code.to_owned())
}

#[test]
fn an_endpoint_that_is_not_there_stops_the_sweep() {
    let Some(place) = place("/missing", "") else {
        return;
    };
    let (done, code) = stopped(&place);
    assert_eq!(code, "A0203");
    done.assert_says("endpoint `wanted` (/missing) answered 404, expected 200");
    done.assert_says("nowhere");
    done.assert_says("Booting worker");
}

#[test]
fn a_redirect_to_a_login_stops_the_sweep() {
    let Some(place) = place("/account", "") else {
        return;
    };
    let (done, code) = stopped(&place);
    assert_eq!(code, "A0203");
    done.assert_says("endpoint `wanted` (/account) answered 302, a redirect to a login page");
    done.assert_says("/login?next=/account");
}

#[test]
fn an_app_that_does_not_import_stops_the_sweep() {
    let Some(place) = place("/hello", "BREAK = \"1\"") else {
        return;
    };
    let (done, code) = stopped(&place);
    assert_eq!(code, "A0202");
    done.assert_says("No module named 'there_is_no_such_module'");
}
