//! `[limits]` as users see them: kept or said not to be, in the check, in the
//! verdict and its report, and when a study is to go on.

#![expect(clippy::print_stderr, reason = "a test says why it is passed over")]

use std::process::{Command, Stdio};

use nix::sys::signal::Signal;
use serde_json::{Value, json};

use crate::place::{Done, Place, read};
use crate::study::{files, folder, grid, place as waiting, verdict, wait_for_load};
use crate::tools::has_python;

const LIMITS: &str = "[limits]\nmemory = \"256MiB\"\ncpus = 1.5\nfiles = 99\n\n[budget]";
/// Hides all control groups from the program, as a container may.
const HIDING: [&str; 5] = [
    "unshare",
    "--mount",
    "sh",
    "-c",
    "mount -t tmpfs none /sys/fs/cgroup && exec \"$0\" \"$@\"",
];

/// The server that waits, under limits.
fn place() -> Option<Place> {
    if !has_python() {
        return None;
    }
    let place = waiting("20m");
    limit(&place, LIMITS);
    Some(place)
}

fn limit(place: &Place, limits: &str) {
    let text = grid(place, "20m", "[2, 300]", "");
    place.write("grid.toml", &text.replacen("[budget]", limits, 1));
}

/// The machine as the check sees it.
fn host(done: &Done) -> Value {
    let document: Value =
        serde_json::from_str(&done.stdout).unwrap_or_else(|error| panic!("{error}: {done}"));
    document["host"].clone()
}

/// Whether this machine keeps a server to its limits.
fn is_kept(place: &Place) -> bool {
    let done = place.run(&["check", "grid.toml", "--json"]);
    done.assert_code(0);
    let limits = &host(&done)["limits"];
    let is_kept = limits["enforced"] == true;
    if !is_kept {
        let reason = &limits["not_enforced_because"];
        eprintln!("passed over: limits are not kept here: {reason}");
    }
    is_kept
}

fn can_hide() -> bool {
    let can = nix::unistd::geteuid().is_root() && {
        let mut command = Command::new(HIDING[0]);
        command.args(&HIDING[1..]).arg("true").stdin(Stdio::null());
        command.status().is_ok_and(|status| status.success())
    };
    if !can {
        eprintln!("passed over: control groups cannot be hidden here");
    }
    can
}

#[test]
fn the_check_says_what_is_kept_and_refuses_too_many_files() {
    let Some(place) = place() else {
        return;
    };
    if is_kept(&place) {
        let done = place.run(&["check", "grid.toml"]);
        done.assert_code(0);
        let held = "every server is held to 1.5 CPUs, 256 MiB of memory and 99 open files, by ";
        assert!(done.stdout.contains(held), "{done}");
    }
    limit(&place, "[limits]\nfiles = 1073741824\n\n[budget]");
    for command in ["check", "sweep"] {
        let done = place.run(&[command, "grid.toml"]);
        done.assert_code(2);
        done.assert_says("error[A0104]: `files` is above what this user may open");
        done.assert_says("prlimit");
    }
    assert!(!place.work().join("results").exists());
}

#[test]
fn limits_that_cannot_be_kept_are_a_problem_and_said_everywhere() {
    let Some(place) = place().filter(|_| can_hide()) else {
        return;
    };
    let done = place
        .start_under(&HIDING, &["check", "grid.toml", "--json"])
        .finish();
    done.assert_code(0);
    let problems = host(&done)["problems"].clone();
    let problems = problems.as_array().expect("a list");
    let ours = problems.iter().find(|one| one["code"] == "H0111");
    let text = ours.expect("a problem")["problem"].to_string();
    assert!(
        text.contains("limits not enforced: no permission to make a cgroup"),
        "{text}"
    );

    let mut running = place.start_under(&HIDING, &["sweep", "grid.toml"]);
    wait_for_load(&place, &mut running, 0).expect("a trial comes");
    running.signal(Signal::SIGINT);
    let done = running.finish();
    done.assert_code(130);
    let told = verdict(&folder(&place));
    assert_eq!(told["host_limits"]["enforced"], false, "{told:#}");
    let not_enforced = "limits not enforced: 1.5 CPUs and 256 MiB of memory";
    for text in [
        &done.stdout,
        &told["headline"].to_string(),
        &files(&place)["report.md"],
    ] {
        assert!(text.contains(not_enforced), "{text}");
    }
    assert!(files(&place)["report.html"].contains("limits not enforced"));
}

#[test]
fn a_study_remembers_its_limits_and_goes_on_under_no_others() {
    let Some(place) = place().filter(is_kept) else {
        return;
    };
    let mut running = place.start(&["sweep", "grid.toml"]);
    wait_for_load(&place, &mut running, 0).expect("a trial comes");
    running.signal(Signal::SIGINT);
    let done = running.finish();
    done.assert_code(130);
    let told = verdict(&folder(&place));
    let expected = json!({
        "memory_bytes": 256 << 20, "cpus": 1.5, "open_files": 99, "enforced": true,
        "enforced_by": told["host_limits"]["enforced_by"], "not_enforced_because": null,
    });
    assert_eq!(told["host_limits"], expected);
    let held = "held to 1.5 CPUs, 256 MiB of memory and 99 open files";
    assert!(told["headline"].to_string().contains(held), "{told:#}");
    assert_eq!(told["server_cpus"], 1);
    place.run(&["report", "waits"]).assert_code(130);
    let text = read(&folder(&place).join("report.md"));
    assert!(text.contains("limits of the server"), "{text}");

    limit(&place, &LIMITS.replace("256MiB", "257MiB"));
    let done = place.run(&["sweep", "grid.toml"]);
    done.assert_code(2);
    done.assert_says("was made from another grid");
    limit(&place, LIMITS);
    if can_hide() {
        let done = place.start_under(&HIDING, &["sweep", "grid.toml"]).finish();
        done.assert_code(2);
        done.assert_says("was made with its limits enforced, and now they are not");
        done.assert_says("--fresh");
    }
}
