//! `kill -9` of the program, of its supervisor, of both: three seconds later
//! nothing is left, and the same command finishes the study.
//!
//! The thorough version takes minutes and is run by
//! `cargo test -p autotune --test end_to_end -- --ignored killed_at_twenty_moments`.

use std::time::{Duration, Instant};

use nix::sys::signal::Signal;

use crate::place::{Done, LOOKS, PAUSE, Place, Running};
use crate::processes::{Process, children, descendants, is_listened_on, marked_by};
use crate::study::{
    Row, assert_each_once, assert_kept, folder, loads, place, rows, sweep_to_an_end, wait_for_load,
};
use crate::tools::has_python;

/// Who is killed.
#[derive(Clone, Copy, Debug)]
enum Victim {
    Program,
    Supervisor,
    Both,
}

const VICTIMS: [Victim; 3] = [Victim::Both, Victim::Program, Victim::Supervisor];

#[test]
fn killed_under_load_it_leaves_nothing_and_the_study_is_finished() {
    if !has_python() {
        return;
    }
    // The shortest trials that there are, in a budget that no machine spends here.
    let place = place("4m");
    let mut stored = Vec::new();
    for victim in VICTIMS {
        let mut running = place.start(&["sweep", "grid.toml"]);
        // The program is killed in the second trial of a run: one is stored.
        let passed = match victim {
            Victim::Supervisor => 0,
            Victim::Program | Victim::Both => 1,
        };
        let before = loads(&place) + passed;
        let port = wait_for_load(&place, &mut running, before).expect("a trial comes");
        kill_and_look(&mut running, victim, Some(port));
        if let Victim::Supervisor = victim {
            goes_on_or_says_why(&place, running);
        } else {
            assert_eq!(running.wait().code, None, "killed by a signal");
        }
        look_at_what_is_stored(&place, &mut stored);
    }
    let mut running = place.start(&["sweep", "grid.toml"]);
    let before = loads(&place) + 1;
    wait_for_load(&place, &mut running, before).expect("a trial comes");
    running.signal(Signal::SIGINT);
    running.finish().assert_code(130);
    // A verdict is made of what there is.
    let done = place.run(&["sweep", "grid.toml", "--budget", "1s"]);
    assert!([0, 3, 4, 5].map(Some).contains(&done.code), "{done}");
    finished(&place, &stored);
}

#[test]
fn what_a_killed_trial_left_is_removed_by_the_next_one() {
    if !has_python() {
        return;
    }
    let place = place("40s");
    let words = |seconds| {
        [
            "trial",
            "grid.toml",
            "waits:delay_ms=2",
            "--seconds",
            seconds,
        ]
    };
    let mut running = place.start(&words("600"));
    let port = wait_for_load(&place, &mut running, 0).expect("it comes under load");
    kill_and_look(&mut running, Victim::Both, Some(port));
    assert_eq!(running.wait().code, None, "killed by a signal");
    let runs = folder(&place).join("trial/run");
    let left = || std::fs::read_dir(&runs).expect("a folder").count();
    assert_eq!(left(), 1, "its run folder could not be removed");
    // Whether a busy machine lets anything be measured is not asked here.
    let done = place.run(&words("2"));
    assert!(done.stdout.starts_with("waits:delay_ms=2: "), "{done}");
    assert_eq!(left(), 0);
}

/// Its moments are spread over launch, check, load, stop and storing of the
/// first two trials that a run gets to.
#[test]
#[ignore = "takes three minutes"]
fn killed_at_twenty_moments() {
    if !has_python() {
        return;
    }
    let place = place("120s");
    let mut stored = Vec::new();
    for moment in 0u32..20 {
        let victim = VICTIMS[moment as usize % VICTIMS.len()];
        let mut running = place.start(&["sweep", "grid.toml"]);
        let at = Instant::now() + Duration::from_millis(200) + Duration::from_millis(600) * moment;
        while Instant::now() < at && running.ended().is_none() {
            std::thread::sleep(PAUSE);
        }
        let ended = running.ended().is_some();
        assert!(!ended, "before moment {moment}:\n{}", running.stderr());
        kill_and_look(&mut running, victim, None);
        if running.ended().is_none() {
            // The supervisor alone: a later kill of the program is looked at, too.
            kill_and_look(&mut running, Victim::Program, None);
        }
        look_at_what_is_stored(&place, &mut stored);
    }
    drop(sweep_to_an_end(&place));
    finished(&place, &stored);
}

/// Kills, and asserts that three seconds later nothing of it is there.
fn kill_and_look(running: &mut Running, victim: Victim, port: Option<u16>) {
    let supervisors = children(running.pid());
    let below: Vec<Process> = descendants(running.pid());
    if !matches!(victim, Victim::Supervisor) {
        running.signal(Signal::SIGKILL);
    }
    if !matches!(victim, Victim::Program) {
        supervisors.iter().for_each(Process::kill);
    }
    let look = || {
        let mut left: Vec<Process> = below.iter().filter(|one| one.is_alive()).cloned().collect();
        if !matches!(victim, Victim::Supervisor) {
            // Left alone, the program may have begun the next trial.
            left.extend(marked_by(running.pid()));
        }
        let listens = port.is_some_and(is_listened_on);
        (left, listens)
    };
    let mut found = look();
    for _ in 0..LOOKS {
        if found == (Vec::new(), false) {
            break;
        }
        std::thread::sleep(PAUSE);
        found = look();
    }
    let (left, listens) = found;
    assert!(
        left.is_empty() && !listens,
        "{victim:?} killed, left: {left:#?}, somebody listens: {listens}\n{}",
        running.stderr()
    );
}

/// The program saw its supervisor die: it tries the trial again, or ends and
/// names the fault.
fn goes_on_or_says_why(place: &Place, mut running: Running) {
    let before = loads(place);
    if wait_for_load(place, &mut running, before).is_some() {
        running.signal(Signal::SIGINT);
        let done = running.finish();
        done.assert_code(130);
        done.assert_says("was lost: signal: 9 (SIGKILL)");
        assert!(!done.stderr.contains('\x1b'), "no colours in a file");
    } else {
        let done: Done = running.finish();
        done.assert_code(5);
        done.assert_says("supervisor");
    }
}

/// The study can be read, and holds at least what it held before.
fn look_at_what_is_stored(place: &Place, stored: &mut Vec<Row>) {
    if !folder(place).join("study.db").exists() {
        assert!(stored.is_empty());
        return;
    }
    let done = place.run(&["report", "waits"]);
    // A sweep that saw its supervisor die may have ended by itself.
    assert!([5, 130].map(Some).contains(&done.code), "{done}");
    let now = rows(&folder(place));
    assert_kept(stored, &now);
    assert_each_once(&now);
    *stored = now;
}

fn finished(place: &Place, stored: &[Row]) {
    let now = rows(&folder(place));
    assert_kept(stored, &now);
    assert_each_once(&now);
    assert!(now.len() >= 4, "{now:#?}");
    assert!(!stored.is_empty(), "nothing was stored before a kill");
    let runs = folder(place).join("run");
    let left: Vec<_> = std::fs::read_dir(runs).expect("a folder").collect();
    assert!(left.is_empty(), "run folders are left: {left:?}");
}
