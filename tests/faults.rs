//! What is wrong with grid file or arguments is said with its place before
//! anything is started.

use std::path::Path;

use crate::place::{Done, Place};
use crate::study::{FILES, folder, grid, verdict};

fn place() -> Place {
    let place = Place::new();
    place.write("grid.toml", &grid(&place, "40s", "[2, 300]", ""));
    place
}

/// Exit 2, nothing on stdout, nothing started or written.
#[track_caller]
fn assert_refused(place: &Place, words: &[&str]) -> Done {
    let done = place.run(words);
    done.assert_code(2);
    assert_eq!(done.stdout, "", "{done}");
    assert!(!place.work().join("results").exists(), "{done}");
    done
}

/// The grid file with one change; the message names this place and these words.
#[track_caller]
fn check(from: &str, to: &str, line: &str, says: &[&str]) {
    let place = place();
    let text = grid(&place, "40s", "[2, 300]", "");
    assert!(text.contains(from), "{from} is not in the grid file");
    place.write("grid.toml", &text.replacen(from, to, 1));
    for command in [
        &["sweep", "grid.toml"][..],
        &["check", "grid.toml"],
        &["trial", "grid.toml", "x"],
    ] {
        let done = assert_refused(&place, command);
        // Names of the file, line and column, then the line with carets below.
        done.assert_says(&format!("--> grid.toml:{line}:"));
        done.assert_says("^");
        done.assert_says("nothing was started");
        says.iter().for_each(|part| done.assert_says(part));
    }
}

#[test]
fn faults_in_the_grid_file_are_shown_in_place() {
    check("rate = 20", "rat = 20", "20", &["rat", "rate"]);
    check("rate = 20", "rate = \"fast\"", "20", &["fast"]);
    check("rate = 20", "rate = -1", "20", &["-1"]);
    check("\"p95\"", "\"p97\"", "23", &["p97"]);
    check("accept = \"50%\"", "accept = 50", "24", &["accept"]);
    check("dir = \"app\"", "dir = \"ap\"", "5", &["not there"]);
    check("{{ delay_ms }}", "{{ delay }}", "6", &["delay"]);
    check("path = \"/\"", "path = \"http://a.b/\"", "14", &["path"]);
    check("[budget]", "[budge]", "26", &["budge", "budget"]);
}

#[test]
fn what_is_not_built_yet_is_said() {
    check(
        "[budget]",
        "[budget]\nuptime = \"7d\"",
        "27",
        &["not supported yet"],
    );
    let place = place();
    for name in ["race", "staged", "nonsense"] {
        let done = assert_refused(&place, &["sweep", "grid.toml", "--strategy", name]);
        done.assert_says(&format!("--strategy {name} is not supported yet"));
        done.assert_says("hint: ");
    }
}

#[test]
fn wrong_arguments_are_refused() {
    let place = place();
    for words in [
        &[][..],
        &["swep", "grid.toml"],
        &["sweep"],
        &["sweep", "grid.toml", "--budgett", "1h"],
        &["sweep", "grid.toml", "--budget", "0s"],
        &["sweep", "grid.toml", "--budget", "soon"],
        &["sweep", "grid.toml", "--until", "25:00"],
        &["sweep", "grid.toml", "--seed", "x"],
        &["sweep", "no-such-grid.toml"],
        &["check"],
        &["check", "no-such-grid.toml"],
        &["check", "grid.toml", "--budget", "soon"],
        &["sweep", "app"],
        &["trial", "grid.toml"],
        &["trial", "grid.toml", "nonsense"],
        &["trial", "grid.toml", "waits:delay_ms=fast,more=1"],
        &["trial", "grid.toml", "waits:delay_ms=2", "--seconds", "0"],
        &["report"],
    ] {
        let done = assert_refused(&place, words);
        assert!(!done.stderr.is_empty(), "{words:?}");
    }
    let done = assert_refused(&place, &["report", "no-such-study"]);
    done.assert_says("there is no study `no-such-study`");
    done.assert_says("hint: ");
}

#[test]
fn a_sweep_whose_budget_holds_no_block_of_its_steps_is_refused() {
    let place = place();
    let text = grid(&place, "40s", "[2, 300]", "");
    let steps = "steps = [{ rate = 20, for = \"1m\" }]";
    place.write("grid.toml", &text.replacen("rate = 20", steps, 1));
    for words in [
        &["sweep", "grid.toml"][..],
        &["sweep", "grid.toml", "--budget", "5m"],
        &["sweep", "grid.toml", "--fresh"],
    ] {
        let done = assert_refused(&place, words);
        done.assert_says("not one block fits into a budget of");
        done.assert_says("hint: a budget of ");
    }
}

#[test]
fn a_failed_setup_step_stops_the_sweep_and_leaves_its_files() {
    let place = place();
    let text = grid(&place, "40s", "[2]", "");
    let setup = "setup = [\"sh -c 'echo bad news; exit 7'\"]\ncommand =";
    place.write("grid.toml", &text.replacen("command =", setup, 1));
    let done = place.run(&["sweep", "grid.toml"]);
    done.assert_code(5);
    done.assert_says("ended with exit 7");
    done.assert_says("bad news");
    for file in FILES {
        assert!(folder(&place).join(file).is_file(), "no {file}");
    }
    let told = verdict(&folder(&place));
    assert_eq!(told["verdict"], "stopped");
    assert_eq!(told["fault"]["code"], "A0201");
    // The study remembers how it ended.
    let shown = place.run(&["report", "waits"]);
    shown.assert_code(5);
    assert_eq!(shown.stdout, done.stdout);
    assert_eq!(verdict(&folder(&place)), told);
}

#[test]
fn the_shipped_grid_is_read_and_planned() {
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).join("../..");
    let path = root.join("grids/quickstart.toml");
    let path = path.to_str().expect("a text");
    if std::thread::available_parallelism().is_ok_and(|cpus| cpus.get() > 1) {
        let place = place();
        let done = assert_refused(&place, &["trial", path, "nonsense"]);
        done.assert_says("`nonsense` is no configuration");
    }
    let mut place = place();
    // Without Python its setup fails at once: nothing is fetched or measured.
    place.variable("PATH", "/nowhere");
    let done = place.run(&["sweep", path]);
    if done.code == Some(2) {
        // It asks for two CPUs.
        done.assert_says("but this process may use only");
    } else {
        done.assert_code(5);
        done.assert_says("quickstart: 5 configurations (4 cells in the grid, and what runs today)");
        done.assert_says("python3 -m venv");
    }
}

/// The server is never started, so what it would have been asked does not matter.
#[test]
fn a_failed_command_before_a_trial_stops_the_sweep() {
    let place = Place::new();
    let hook = "dir = \"app\"\nbefore_trial = [\"sh -c 'echo no rows; exit 3'\"]\n";
    let text = grid(&place, "40s", "[2, 300]", "").replacen("dir = \"app\"\n", hook, 1);
    place.write("grid.toml", &text);
    for command in [
        &["sweep", "grid.toml"][..],
        &["trial", "grid.toml", "waits:delay_ms=2"],
    ] {
        let done = place.run(command);
        done.assert_code(5);
        done.assert_says("error[A0205]: `sh -c echo no rows; exit 3` of `before_trial`");
        done.assert_says("ended with exit 3");
        done.assert_says("  no rows");
        done.assert_says("hint: run the command by hand");
    }
}
