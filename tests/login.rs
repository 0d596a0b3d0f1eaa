//! An app that wants a login, on a real gunicorn: it is measured within sessions,
//! and what is secret in them is shown nowhere.

use crate::place::{Done, Place, read};
use crate::secrets::{all_files, contains};
use crate::tools;

const PASSWORD: &str = "p+ss w&rd";

/// A place with the app. `None` without gunicorn.
fn place(login: &str, endpoints: &str, load: &str) -> Option<Place> {
    let bin = tools::gunicorn()?;
    let place = Place::new();
    place.write("app/shop.py", include_str!("apps/shop.py"));
    place.write("items.csv", "id\na b\nä/c\nd\n");
    let (bin, logins) = (bin.display(), place.path("logins"));
    let logins = logins.display();
    let grid = format!(
        r#"name = "shop"

[server.gunicorn]
profile = "gunicorn"
app = "shop:app"
dir = "app"
bin = "{bin}"
env = {{ LOGINS = "{logins}" }}

[grid]
worker_class = ["gthread"]
workers = [2]
threads = [4]

[data.items]
file = "items.csv"

[data.people]
file = "people.csv"

{login}

{endpoints}

{load}

[host]
keep_awake = false

[budget]
time = "40s"
"#
    );
    place.write("grid.toml", &grid);
    place.write("people.csv", "user,password\nann,p+ss w&rd\nbob,grün%=1\n");
    Some(place)
}

/// The login with this name and password, two texts that may have holes.
fn login(more: &str, user: &str, password: &str) -> String {
    format!(
        r#"[login]
{more}
[[login.step]]
path = "/login"
extract = {{ csrf = {{ between = ["csrf_token\" value=\"", "\""] }} }}
[[login.step]]
method = "POST"
path = "/login"
headers = {{ Content-Type = "application/x-www-form-urlencoded" }}
body = "user={user}&password={password}&csrf_token={{{{ csrf }}}}"
expect = {{ status = [302] }}"#
    )
}

const ENDPOINTS: &str = r#"[[endpoint]]
name = "home"
path = "/"
expect = { contains = "hello" }

[[endpoint]]
name = "item"
path = "/items/{{ items.id }}"
expect = { contains = "item " }"#;

const OPEN: &str = "[load.open]\nrate = 40";
const CLOSED: &str = "[load.closed]\nusers = 3\nthink = \"50ms\"";
const TRIAL: [&str; 5] = ["trial", "grid.toml", "2/4/gthread", "--seconds", "2"];

/// Measured at these endpoints without a failed request, as far as this machine is
/// quiet enough.
#[track_caller]
fn assert_no_failure(done: &Done, endpoints: &[&str]) {
    // A machine that is too busy to measure gives 5; the requests were right.
    assert!([0, 5].map(Some).contains(&done.code), "{done}");
    let rows: Vec<Vec<&str>> = done
        .stdout
        .lines()
        .map(|line| line.split_whitespace().collect())
        .collect();
    for name in endpoints {
        let row = rows.iter().find(|row| row.first() == Some(name));
        let row = row.unwrap_or_else(|| panic!("no {name}: {done}"));
        assert_eq!(row.last(), Some(&"0"), "{done}");
        assert_ne!(row[1], "0", "{done}");
    }
}

#[track_caller]
fn assert_hidden(done: &Done, secret: &str) {
    let printed = [&done.stdout, &done.stderr];
    assert!(!printed.iter().any(|text| text.contains(secret)), "{done}");
}

#[test]
fn an_app_with_a_login_is_measured_in_a_session() {
    let values = r#"values = { word = { from_env = "SHOP_PASSWORD", secret = true } }"#;
    let login = login(values, "ann", "{{ word }}");
    let Some(mut place) = place(&login, ENDPOINTS, OPEN) else {
        return;
    };
    place.variable("SHOP_PASSWORD", PASSWORD);
    let done = place.run(&TRIAL);
    assert_no_failure(&done, &["home", "item"]);
    assert_hidden(&done, PASSWORD);
    assert_eq!(read(&place.path("logins")), "ann\n", "once a trial");
}

#[test]
fn every_session_logs_in_with_its_own_row() {
    let login = login("sessions = 2", "{{ people.user }}", "{{ people.password }}");
    let own = r#"
[[endpoint]]
name = "me"
path = "/api/me?{{ people.user }}"
expect = { contains = "\"user\"" }"#;
    let endpoints = format!("{ENDPOINTS}\n{own}");
    let Some(place) = place(&login, &endpoints, CLOSED) else {
        return;
    };
    let done = place.run(&TRIAL);
    // The app answers 400 to Bob's session where it asks for Ann.
    assert_no_failure(&done, &["home", "item", "me"]);
    assert_eq!(read(&place.path("logins")), "ann\nbob\n");
}

#[test]
fn a_wrong_password_stops_and_names_the_step() {
    let values = r#"values = { word = { from_env = "SHOP_PASSWORD", secret = true } }"#;
    let login = login(values, "ann", "{{ word }}");
    let Some(mut place) = place(&login, ENDPOINTS, OPEN) else {
        return;
    };
    place.variable("SHOP_PASSWORD", "not the word");
    let done = place.run(&["sweep", "grid.toml"]);
    done.assert_code(5);
    done.assert_says("login step 2 (POST /login) answered 200, expected 302");
    done.assert_says("the password is wrong");
    // The tail of the log, and the form that came back with a fresh token.
    done.assert_says("bad password (secret) with (secret)");
    done.assert_says("value=\"(secret)\"");
    assert_hidden(&done, "not the word");
    assert_hidden(&done, "csrf-");
    let trial = place.run(&TRIAL);
    trial.assert_code(4);
    let failed = "login step 2 (POST /login) answered 200, expected 302";
    assert!(trial.stdout.contains(failed), "{trial}");
    assert_hidden(&trial, "not the word");
    assert_hidden(&trial, "csrf-");
    let files = all_files(&place.work().join("results"));
    let is_database = |path: &std::path::PathBuf| path.ends_with("study.db");
    assert!(files.iter().any(is_database), "{files:?}");
    for file in files {
        for secret in ["not the word", "not+the+word", "csrf-"] {
            assert!(!contains(&file, secret), "in {}", file.display());
        }
    }
}

#[test]
fn without_a_login_the_redirect_to_it_is_told() {
    let Some(place) = place("", ENDPOINTS, OPEN) else {
        return;
    };
    let done = place.run(&["sweep", "grid.toml"]);
    done.assert_code(5);
    done.assert_says("endpoint `home` (/) answered 302, a redirect to a login page");
    done.assert_says("[login]");
}
