//! `[service.X]`: what runs beside the server starts before it and ends after it,
//! however the program ends, and a sweep does not go on without it.

use std::fs;
use std::os::unix::fs::{MetadataExt, PermissionsExt};
use std::path::Path;

use nix::sys::signal::Signal;
use nix::unistd::{User, geteuid};

use crate::check::has_route;
use crate::place::{LOOKS, PAUSE, Place, read};
use crate::processes::{Process, children, descendants, is_listened_on, marked_by};
use crate::study::{self, folder, loads, verdict, wait_for_load};
use crate::tools::{has_python, is_passed_over};

/// The grid of the waiting server with these services before it. What the server
/// gets in its environment beside the rest begins with a comma.
fn with(place: &Place, services: &str, env: &str) -> String {
    place.write("app/beside.py", include_str!("apps/beside.py"));
    let notes = place.path("notes");
    let services = services.replace("NOTES_FILE", &notes.display().to_string());
    let grid = study::grid(place, "4m", "[2, 300]", env);
    grid.replacen("[server.waits]", &format!("{services}\n[server.waits]"), 1)
}

fn place_with(services: &str, env: &str) -> Option<Place> {
    if !has_python() {
        return None;
    }
    let place = study::place("4m");
    place.write("grid.toml", &with(&place, services, env));
    Some(place)
}

fn notes(place: &Place) -> String {
    fs::read_to_string(place.path("notes")).unwrap_or_default()
}

const CACHE: &str = r#"[service.cache]
start = "python3 beside.py cache {{ port }}"
dir = "app"
env = { NOTES = "NOTES_FILE" }
"#;
const POOL: &str = r#"[service.pool]
start = ["python3", "beside.py", "pool", "{{ port }}"]
ready = "/health"
stop = "INT"
dir = "app"
cpus = [0]
env = { NOTES = "NOTES_FILE", TOLD = "{{ service.cache.host }}:{{ service.cache.port }}" }
"#;

const TRIAL: [&str; 5] = ["trial", "grid.toml", "waits:delay_ms=2", "--seconds", "3"];

#[test]
fn services_start_in_the_order_of_the_file_and_end_in_the_other() {
    let both = format!("{CACHE}{POOL}");
    let Some(place) = place_with(&both, "") else {
        return;
    };
    let hook = "before_trial = [\"sh -c 'echo server told {{ service.pool.port }} >> $NOTES'\"]";
    let text = read(&place.work().join("grid.toml"));
    let more = format!(", NOTES = \"{}\"", place.path("notes").display());
    let text = text.replacen("env = { LOADED", &format!("{hook}\nenv = {{ LOADED"), 1);
    let text = text.replacen(" }\n\n[grid]", &format!("{more} }}\n\n[grid]"), 1);
    place.write("grid.toml", &text);
    let done = place.run(&TRIAL);
    let all = notes(&place);
    let lines: Vec<&str> = all.lines().collect();
    let [cache, pool, server, pool_ends, cache_ends] = lines[..] else {
        panic!("{all}\n{done}");
    };
    assert!(cache.starts_with("cache started with nothing"), "{all}");
    // The second one knows where the first one listens, and has its own CPU.
    assert!(pool.starts_with("pool started with 127.0.0.1:"), "{all}");
    assert!(pool.ends_with(" on 0"), "{all}");
    assert!(server.starts_with("server told "), "{all}");
    assert_eq!(
        [pool_ends, cache_ends],
        ["pool ended by SIGINT", "cache ended by SIGTERM"]
    );
    for service in ["cache", "pool"] {
        let line = format!("service {service}: memory peak ");
        assert!(done.stdout.contains(&line), "{done}");
    }
}

#[test]
fn a_check_tells_of_services() {
    let Some(place) = place_with(CACHE, "") else {
        return;
    };
    let done = place.run(&["check", "grid.toml", "--json"]);
    done.assert_code(0);
    let shown: serde_json::Value = serde_json::from_str(&done.stdout).expect("JSON");
    let service = &shown["launched"]["services"][0];
    assert_eq!(service["service"], "cache");
    assert!(service["cpus"].as_u64() >= Some(1), "{service}");
    // It names none, so that it may run where the server does.
    assert_eq!(service["shares_server_cpus"], true);
    let address = service["address"].as_str().unwrap_or_default();
    assert!(address.starts_with("127.0.0.1:"), "{service}");
    assert!(notes(&place).ends_with("cache ended by SIGTERM\n"));
    let page = place.run(&["check", "grid.toml"]);
    assert!(
        page.stdout.contains("services, which run as long"),
        "{page}"
    );
    assert!(
        page.stdout.contains("cache may run on the server's CPUs"),
        "{page}"
    );
}

/// Its own process, which carries the marker of the program's run.
fn service_of(program: u32, name: &str) -> Process {
    let found = marked_by(program);
    let words = format!("beside.py {name}");
    let mut own = found.iter().filter(|one| one.mentions(&words));
    own.next().unwrap_or_else(|| panic!("{found:#?}")).clone()
}

#[test]
fn a_service_that_ends_in_mid_sweep_stops_it_and_the_sweep_goes_on_with_a_new_one() {
    let Some(place) = place_with(CACHE, "") else {
        return;
    };
    let mut running = place.start(&["sweep", "grid.toml"]);
    wait_for_load(&place, &mut running, 0).expect("a trial comes");
    service_of(running.pid(), "cache").kill();
    let done = running.finish();
    done.assert_code(5);
    done.assert_says("[A0206]");
    done.assert_says("service `cache` ended with signal 9");
    let told = verdict(&folder(&place));
    assert_eq!(
        (&told["verdict"], &told["fault"]["code"]),
        (&"stopped".into(), &"A0206".into())
    );
    assert!(folder(&place).join("logs/service-cache.log").exists());
    let before = loads(&place);
    let mut running = place.start(&["sweep", "grid.toml"]);
    wait_for_load(&place, &mut running, before).expect("the same command goes on");
    running.signal(Signal::SIGINT);
    running.finish().assert_code(130);
    assert!(notes(&place).ends_with("cache ended by SIGTERM\n"));
    // Another service is another study.
    let text = read(&place.work().join("grid.toml"));
    place.write(
        "grid.toml",
        &text.replacen("dir = \"app\"", "stop = \"INT\"\ndir = \"app\"", 1),
    );
    let done = place.run(&["sweep", "grid.toml"]);
    done.assert_code(2);
    done.assert_says("--fresh");
}

#[test]
fn program_and_supervisors_killed_leave_no_service() {
    let both = format!("{CACHE}{POOL}");
    let Some(place) = place_with(&both, "") else {
        return;
    };
    for with_supervisors in [false, true] {
        let before = loads(&place);
        let mut running = place.start(&["sweep", "grid.toml"]);
        let port = wait_for_load(&place, &mut running, before).expect("a trial comes");
        let supervisors = children(running.pid());
        let below = descendants(running.pid());
        assert!(below.iter().any(|one| one.mentions("beside.py pool")));
        running.signal(Signal::SIGKILL);
        if with_supervisors {
            supervisors.iter().for_each(Process::kill);
        }
        let is_left = || below.iter().any(Process::is_alive) || is_listened_on(port);
        let mut looks = 0;
        while is_left() && looks < LOOKS {
            std::thread::sleep(PAUSE);
            looks += 1;
        }
        let left: Vec<&Process> = below.iter().filter(|one| one.is_alive()).collect();
        assert!(left.is_empty(), "left: {left:#?}");
        assert_eq!(running.wait().code, None, "killed by a signal");
    }
    let folders = || {
        let entries = fs::read_dir(folder(&place).join("run")).expect("a folder");
        let names = entries.map(|one| one.expect("an entry").file_name());
        names
            .filter(|name| name.to_string_lossy().starts_with("service-"))
            .count()
    };
    assert!(folders() > 0, "their folders could not be removed");
    drop(place.run(&["sweep", "grid.toml", "--budget", "1s"]));
    assert_eq!(folders(), 0);
}

#[test]
fn one_that_does_not_get_ready_is_told_with_the_end_of_its_log() {
    let check = |services: &str, said: &[&str]| {
        let Some(mut place) = place_with(services, "") else {
            return;
        };
        place.variable("OUTER", "s3cr3t");
        let done = place.run(&TRIAL);
        done.assert_code(5);
        done.assert_says("[A0206]");
        said.iter().for_each(|part| done.assert_says(part));
        assert!(!done.stderr.contains("s3cr3t"), "{done}");
        let log = folder(&place).join("trial/logs/service-cache.log");
        let kept = fs::read_to_string(log).unwrap_or_else(|why| panic!("{why}: {done}"));
        assert!(!kept.contains("s3cr3t"), "{kept}");
    };
    let secret = ", TOKEN = { from_env = \"OUTER\", secret = true } }";
    let fails = CACHE
        .replace("{{ port }}", "{{ port }} fails")
        .replace(" }\n", &format!("{secret}\n"));
    check(
        &fails,
        &[
            "service `cache` ended with exit 3 before it was ready",
            "no room for (secret)",
        ],
    );
    let unaskable = format!("{CACHE}ready = [\"no-such-program-here\"]\n");
    check(
        &unaskable,
        &[
            "cannot be asked whether it is ready",
            "no-such-program-here",
        ],
    );
    let missing = CACHE.replace("python3 beside.py", "no-such-program-here");
    check(
        &missing,
        &["service `cache` cannot be started", "no-such-program-here"],
    );
}

#[test]
fn a_service_reaches_beyond_this_machine_only_where_it_may() {
    if !has_route() {
        return;
    }
    let reach = "198.51.100.1";
    let services = CACHE.replace(" }\n", &format!(", REACH = \"{reach}\" }}\n"));
    let Some(place) = place_with(&services, "") else {
        return;
    };
    let assert_refused = || {
        let done = place.run(&TRIAL);
        done.assert_code(5);
        done.assert_says("[A0204]");
        done.assert_says("service `cache` connects beyond this machine: ");
        done.assert_says(&format!("to {reach}:9 (udp)"));
    };
    assert_refused();
    // Also before it can be used, which this one never can.
    let never = format!("{services}ready = [\"false\"]\n");
    place.write("grid.toml", &with(&place, &never, ""));
    assert_refused();
    let allowed = format!("{services}may_reach = [\"{reach}\"]\n");
    place.write("grid.toml", &with(&place, &allowed, ""));
    let done = place.run(&TRIAL);
    assert!(done.stdout.contains("service cache: memory peak"), "{done}");
}

#[test]
fn a_setup_step_that_fails_is_told_as_that_of_a_service() {
    let setup = format!("{CACHE}setup = [\"sh -c 'echo no disk; exit 4'\"]\n");
    let Some(place) = place_with(&setup, "") else {
        return;
    };
    let done = place.run(&TRIAL);
    done.assert_code(5);
    done.assert_says("[A0201]");
    done.assert_says("of `service.cache` ended with exit 4");
    done.assert_says("no disk");
    assert_eq!(notes(&place), "", "it was started");
}

/// Everybody's system has it, and it owns nothing.
const USER: &str = "nobody";

/// A service that runs as somebody else. Without Python, which may lie where he
/// cannot get.
fn of_user(user: &str) -> String {
    format!(
        r#"[service.cache]
start = ["sh", "-c", "echo $(id -u) $HOME $(cat {{{{ cache }}}}/who) > {{{{ run }}}}/notes; exec sleep 1000"]
ready = "test -s {{{{ run }}}}/notes"
setup = ["sh -c 'id -un > {{{{ cache }}}}/who'"]
dir = "app"
user = {user}
"#
    )
}

fn set_mode(folder: &Path, mode: u32) {
    fs::set_permissions(folder, fs::Permissions::from_mode(mode)).expect("set");
}

#[test]
fn a_service_runs_as_its_user_in_folders_that_he_can_enter() {
    if !geteuid().is_root() {
        return without_root();
    }
    let Some(place) = place_with(&of_user("\"nobody\""), "") else {
        return;
    };
    set_mode(&place.path(""), 0o755);
    set_mode(&place.path("tmp"), 0o777);
    let text = read(&place.work().join("grid.toml"));
    // Its folder is gone once the service has ended.
    let (run, copy) = ("{{ service.cache.run }}", place.path("copy"));
    let copied = copy.display();
    let hook = format!("sh -c 'cp {run}/notes {copied}; ls -ld {run} >> {copied}'");
    let hook = format!("before_trial = [\"{hook}\"]\nenv = {{ LOADED");
    place.write("grid.toml", &text.replacen("env = { LOADED", &hook, 1));
    let user = User::from_name(USER).expect("a list").expect("a user");
    let usual = place.path("cache/autotune");
    let other = place.path(&format!("tmp/autotune-{}", geteuid()));
    // Where the usual folders can be entered, and where they cannot.
    for (mode, used) in [(0o755, usual), (0o700, other.join("cache"))] {
        set_mode(&place.path("cache"), mode);
        let done = place.run(&TRIAL);
        let text = fs::read_to_string(&copy).unwrap_or_else(|why| panic!("{why}: {done}"));
        let started = format!("{} {} {USER}", user.uid, user.dir.display());
        assert!(text.contains(&started), "{text}\n{done}");
        assert!(text.contains("drwx------"), "{text}");
        fs::remove_file(&copy).expect("removed");
        let kept = fs::read_dir(used).expect("a folder");
        let kept = kept.map(|one| one.expect("an entry"));
        let kept: Vec<(u32, u32)> = kept
            .filter(|one| one.path().join("who").exists())
            .map(|one| one.metadata().expect("there"))
            .map(|found| (found.uid(), found.mode() & 0o777))
            .collect();
        assert_eq!(kept, [(user.uid.as_raw(), 0o700)], "{done}");
        assert_eq!(other.exists(), mode == 0o700);
    }
    assert_eq!(fs::metadata(&other).expect("there").mode() & 0o777, 0o711);
    // No folder at all that he could enter.
    set_mode(&place.path("tmp"), 0o700);
    let done = place.run(&TRIAL);
    done.assert_code(5);
    done.assert_says("service `cache` runs as `nobody`, who may not enter");
}

/// Who is not root is refused, unless only root is to be somebody else.
fn without_root() {
    if !is_passed_over("only root can start something as another user") {
        return;
    }
    let Some(place) = place_with(&of_user("\"nobody\""), "") else {
        return;
    };
    let done = place.run(&TRIAL);
    done.assert_code(2);
    done.assert_says("only root can start something as `nobody`");
    let own = of_user("{ when_root = \"nobody\" }");
    place.write("grid.toml", &with(&place, &own, ""));
    let done = place.run(&TRIAL);
    assert!(done.stdout.contains("service cache: memory peak"), "{done}");
}

#[test]
fn a_user_or_a_cpu_that_is_not_there_is_a_fault_of_the_grid_file() {
    let services = format!("{CACHE}user = \"no-such-user-here\"\ncpus = [1023]\n");
    let place = study::place("4m");
    place.write("grid.toml", &with(&place, &services, ""));
    let done = place.run(&TRIAL);
    done.assert_code(2);
    done.assert_says("this machine has no user `no-such-user-here`");
    done.assert_says("there is no CPU 1023 for [service.cache]");
}
