//! Trials of a real gunicorn.

use std::sync::atomic::Ordering;

use autotune_model::{EnvValue, FailureClass, Outcome};
use autotune_trial::{TrialError, TrialEvent};

use crate::support::{Place, configuration, no_stop, run, spec};

pub(crate) async fn a_trial_is_measured_and_leaves_nothing() {
    let mut place = Place::new(&["/hello", "/spoil", "/data"]);
    let secret = EnvValue::FromEnv {
        name: "OUTER_TOKEN".to_owned(),
        secret: true,
    };
    place.variant.env.push(("TOKEN".to_owned(), secret));
    place
        .environment
        .insert("OUTER_TOKEN".to_owned(), "s3cr3t-t0ken".to_owned());
    place
        .environment
        .insert("WEB_CONCURRENCY".to_owned(), "7".to_owned());
    let mut events = Vec::new();
    let mut trials = place.prepare(&mut events).await;
    let two = configuration(&place, &[("workers", 2.into())]);
    let record = run(&mut trials, &spec(two.clone())).await;

    assert_eq!(record.outcome, Outcome::Measured);
    let load = record.load.expect("load was sent");
    assert_eq!(load.total().scheduled, 120);
    assert!(load.total().adds_up());
    assert_eq!(load.total().completed, 120);
    let server = record.server.expect("a server ran");
    assert_eq!(server.settings["workers"], "2");
    assert!(server.settings["argv"].contains("--no-control-socket"));
    assert!(server.versions.contains_key("gunicorn") && server.versions.contains_key("python"));
    assert!(server.boot.is_some_and(|boot| !boot.is_zero()));
    assert_eq!(server.exit.as_deref(), Some("exit 0"));
    assert_eq!((server.killed, server.restarts), (0, 0));
    let peak = server.memory_peak.expect("memory was read").mib();
    assert!((5.0..500.0).contains(&peak), "{peak} MiB");
    assert!(server.cpu.is_some_and(|cpu| !cpu.is_zero()));
    let all = format!("{:?} {:?}", server.log, server.settings);
    assert!(all.contains("token is (secret)"), "{all}");
    assert!(!all.contains("s3cr3t-t0ken"));
    place.assert_clean();

    // The fixture is fresh again, although `/spoil` wrote into its copy.
    let data = place.root.path().join("fixture/data");
    assert_eq!(std::fs::read_to_string(data).expect("there"), "fresh");
    place.endpoints.remove(1);
    place.endpoints[1].expect.contains = Some("fresh".to_owned());
    let mut again = place.prepare(&mut events).await;
    let verified = again
        .verify(&two, &mut |_| (), &no_stop())
        .await
        .expect("is fine");
    assert_eq!(verified.overridden, None);
    assert!(
        events
            .iter()
            .any(|event| matches!(event, TrialEvent::SetupReused { .. }))
    );
    place.assert_clean();
}

pub(crate) async fn recycled_workers_are_counted() {
    let place = Place::new(&["/hello"]);
    let mut trials = place.trials().await;
    let given = [("workers", 2.into()), ("max_requests", 25.into())];
    let spec = spec(configuration(&place, &given));
    let record = run(&mut trials, &spec).await;
    let server = record.server.expect("a server ran");
    // 120 requests at 25 a worker; how they spread over two is left to chance.
    assert!((2..=5).contains(&server.restarts), "{}", server.restarts);
    place.assert_clean();
}

pub(crate) async fn a_hook_that_forces_workers_makes_it_invalid_and_still_runs() {
    let mut place = Place::new(&["/hello"]);
    let forked = place.root.path().join("forked");
    place.env("FORKED", &forked.display().to_string());
    let hooks = "\
import os
def on_starting(server):
    server.num_workers = 3
def post_fork(server, worker):
    open(os.environ['FORKED'], 'a').write('x')
";
    std::fs::write(place.app_file("gunicorn.conf.py"), hooks).expect("written");
    let mut trials = place.trials().await;
    let two = configuration(&place, &[("workers", 2.into())]);
    let expected = "`workers` was asked to be 2 but is 3, set by gunicorn.conf.py:3 \
                    (`server.num_workers = 3`)";
    let verified = trials
        .verify(&two, &mut |_| (), &no_stop())
        .await
        .expect("it answers");
    assert_eq!(verified.overridden.as_deref(), Some(expected));
    std::fs::remove_file(&forked).expect("the hook ran in the check");
    let record = run(&mut trials, &spec(two)).await;
    assert_eq!(
        record.outcome,
        Outcome::Invalid {
            detail: expected.to_owned()
        }
    );
    assert_eq!(
        std::fs::read_to_string(&forked).expect("the hook ran"),
        "xxx"
    );
    place.assert_clean();
}

pub(crate) async fn a_plain_line_is_weaker_than_the_command_line() {
    let place = Place::new(&["/hello"]);
    std::fs::write(place.app_file("gunicorn.conf.py"), "workers = 3\n").expect("written");
    let mut trials = place.trials().await;
    let two = configuration(&place, &[("workers", 2.into())]);
    let verified = trials
        .verify(&two, &mut |_| (), &no_stop())
        .await
        .expect("it answers");
    assert_eq!(verified.overridden, None);
    assert_eq!(verified.settings["workers"], "2");
    assert!(verified.notes[0].starts_with("gunicorn.conf.py:1 says `workers = 3`"));
}

pub(crate) async fn a_default_that_the_grid_names_is_stronger_than_the_app() {
    let mut place = Place::new(&["/hello"]);
    let lines = "keepalive = 5\nbacklog = 64\n";
    std::fs::write(place.app_file("gunicorn.conf.py"), lines).expect("written");
    place.named = vec!["keepalive".into()];
    let mut trials = place.trials().await;
    let given = [("worker_class", "gthread".into()), ("keepalive", 2.into())];
    let verified = trials
        .verify(&configuration(&place, &given), &mut |_| (), &no_stop())
        .await
        .expect("it answers");
    assert_eq!(verified.overridden, None);
    assert_eq!(verified.settings["keepalive"], "2");
    assert_eq!(verified.settings["backlog"], "64", "the app's own to set");
    assert!(verified.notes[0].starts_with("gunicorn.conf.py:1 says `keepalive = 5`"));
}

pub(crate) async fn a_wrapper_that_forces_workers_is_named() {
    let mut place = Place::new(&["/hello"]);
    place.wrapper("#!/bin/sh\n\"$REAL/gunicorn\" --workers=1 \"$@\" --workers=3\n");
    let mut trials = place.trials().await;
    let two = configuration(&place, &[("workers", 2.into())]);
    let verified = trials
        .verify(&two, &mut |_| (), &no_stop())
        .await
        .expect("it answers");
    let overridden = verified.overridden.expect("three, not two");
    assert_eq!(
        overridden,
        "`workers` was asked to be 2 but is 3, set by a wrapper around gunicorn, or the app itself"
    );
    place.assert_clean();
}

async fn refused(place: &Place) -> (TrialError, std::time::Duration) {
    let mut trials = place.trials().await;
    let began = std::time::Instant::now();
    let one = configuration(place, &[]);
    let result = trials.verify(&one, &mut |_| (), &no_stop()).await;
    place.assert_clean();
    (result.expect_err("must be refused"), began.elapsed())
}

pub(crate) async fn what_is_wrong_with_an_app_shows_in_seconds() {
    let (error, took) = refused(&Place::new(&["/hello", "/missing"])).await;
    assert_eq!(error.code().as_str(), "A0203");
    let text = error.to_string();
    assert!(
        text.starts_with("endpoint `missing` (/missing) answered 404, expected 200"),
        "{text}"
    );
    assert!(
        text.contains("body: nowhere") && text.contains("Booting worker"),
        "{text}"
    );
    assert!(took.as_secs() < 30);

    let (error, took) = refused(&Place::new(&["/login-only"])).await;
    let text = error.to_string();
    assert!(
        text.contains("a redirect to a login page: /accounts/login?next=/"),
        "{text}"
    );
    assert!(took.as_secs() < 30);

    let mut place = Place::new(&["/hello"]);
    place.env("BREAK", "1");
    let (error, took) = refused(&place).await;
    assert_eq!(error.code().as_str(), "A0202");
    let text = error.to_string();
    assert!(
        text.contains("it ended with exit 3 before it was ready"),
        "{text}"
    );
    assert!(
        text.contains("No module named 'there_is_no_such_module'"),
        "{text}"
    );
    assert!(took.as_secs() < 30);
}

pub(crate) async fn a_connection_beyond_this_machine_stops_everything() {
    let mut place = Place::new(&["/hello"]);
    if !has_route() {
        return;
    }
    place.env("REACH", "198.51.100.1");
    let (error, _) = refused(&place).await;
    assert_eq!(error.code().as_str(), "A0204");
    let text = error.to_string();
    assert!(
        text.contains("198.51.100.1:9 (udp)") && text.contains("gunicorn"),
        "{text}"
    );

    place.variant.may_reach = vec!["198.51.100.0/24".to_owned()];
    let mut trials = place.trials().await;
    let one = configuration(&place, &[]);
    trials
        .verify(&one, &mut |_| (), &no_stop())
        .await
        .expect("allowed now");
}

/// To an address for documentation: nobody is there, and nothing is sent.
fn has_route() -> bool {
    let connected =
        std::net::UdpSocket::bind("0.0.0.0:0").and_then(|socket| socket.connect("198.51.100.1:9"));
    if connected.is_err() {
        println!("skipped: this machine has no route that a socket could be connected by");
    }
    connected.is_ok()
}

pub(crate) async fn a_connection_that_lasts_one_answer_is_seen_in_the_check() {
    if !has_route() {
        return;
    }
    let (error, _) = refused(&Place::new(&["/hello", "/reach"])).await;
    assert_eq!(error.code().as_str(), "A0204");
    let text = error.to_string();
    assert!(text.contains("198.51.100.1:9 (udp)"), "{text}");
}

pub(crate) async fn a_hook_that_changes_a_setting_unseen_makes_it_invalid() {
    let place = Place::new(&["/hello"]);
    let hook = "def on_starting(server):\n    server.cfg.set('threads', 16)\n";
    std::fs::write(place.app_file("gunicorn.conf.py"), hook).expect("written");
    let mut trials = place.trials().await;
    let four = [("threads", 4.into())];
    let verified = trials
        .verify(&configuration(&place, &four), &mut |_| (), &no_stop())
        .await
        .expect("it answers");
    assert_eq!(
        verified.overridden.as_deref(),
        Some(
            "`threads` was asked to be 4 but a hook changes it, set by gunicorn.conf.py:2 \
             (`server.cfg.set('threads', 16)`)"
        )
    );
    place.assert_clean();
}

pub(crate) async fn more_than_the_server_can_do_is_an_overload() {
    // One sync worker does ten a second and is asked for forty.
    let place = Place::new(&["/slow"]);
    let mut trials = place.trials().await;
    let one = configuration(&place, &[]);
    let record = run(&mut trials, &spec(one)).await;
    let Outcome::Overloaded { detail } = &record.outcome else {
        panic!("{:?}", record.outcome);
    };
    assert!(
        detail.contains(" of 120 requests were without an answer"),
        "{detail}"
    );
    place.assert_clean();
}

pub(crate) async fn a_server_that_dies_under_load_is_a_finding() {
    let place = Place::new(&["/kill-master"]);
    let mut trials = place.trials().await;
    let record = run(&mut trials, &spec(configuration(&place, &[]))).await;
    let Outcome::Died { detail } = &record.outcome else {
        panic!("{:?}", record.outcome);
    };
    assert!(
        detail.starts_with("the server ended under load with signal 9"),
        "{detail}"
    );
    let load = record.load.expect("load was sent");
    assert!(load.total().adds_up());
    let kept = place.root.path().join("results/logs/measure-0-0-0.log");
    assert!(
        std::fs::read_to_string(kept)
            .expect("kept")
            .contains("Booting worker")
    );
    place.assert_clean();
}

pub(crate) async fn a_stop_ends_the_trial_early_and_cleanly() {
    let place = Place::new(&["/hello"]);
    let mut trials = place.trials().await;
    let mut spec = spec(configuration(&place, &[]));
    spec.length = std::time::Duration::from_secs(600);
    let stop = no_stop();
    let asked = std::sync::Arc::clone(&stop);
    let began = std::time::Instant::now();
    let run_root = place.run_root();
    // Asks as soon as the trial's own folder is there.
    let asking = tokio::task::spawn_blocking(move || {
        while std::fs::read_dir(&run_root).map_or(0, Iterator::count) == 0 {
            std::thread::yield_now();
        }
        asked.store(true, Ordering::Relaxed);
    });
    let record = trials.run(&spec, &stop).await.expect("a record");
    asking.await.expect("asked");
    assert_eq!(record.outcome, Outcome::Interrupted);
    assert!(began.elapsed().as_secs() < 60);
    place.assert_clean();
}

pub(crate) async fn a_stop_is_heeded_while_settings_are_asked_for() {
    let mut place = Place::new(&["/hello"]);
    let begun = place.root.path().join("begun");
    let script = "#!/bin/sh\ncase \"$*\" in *--print-config*) : > \"$BEGUN\"; exec sleep 300;; esac\n\
                  exec \"$REAL/gunicorn\" \"$@\"\n";
    place.wrapper(script);
    place.env("BEGUN", &begun.display().to_string());
    let mut trials = place.trials().await;
    let stop = no_stop();
    let asked = std::sync::Arc::clone(&stop);
    let asking = tokio::task::spawn_blocking(move || {
        while !begun.exists() {
            std::thread::yield_now();
        }
        asked.store(true, Ordering::Relaxed);
    });
    let spec = spec(configuration(&place, &[]));
    let record = trials.run(&spec, &stop).await.expect("a record");
    asking.await.expect("asked");
    assert_eq!(record.outcome, Outcome::Interrupted);
    assert_eq!(record.server, None, "none was started");
    let span = record.span;
    assert!(span.end.monotonic_ns > span.start.monotonic_ns);
    place.assert_clean();
}

pub(crate) async fn a_class_that_cannot_be_loaded_fails_to_start() {
    let place = Place::new(&["/hello"]);
    let mut trials = place.trials().await;
    let gevent = configuration(&place, &[("worker_class", "gevent".into())]);
    let record = run(&mut trials, &spec(gevent)).await;
    assert_eq!(record.outcome.as_str(), "failed-to-start");
    let detail = record.outcome.detail().expect("evidence");
    assert!(detail.contains("gevent"), "{detail}");
    assert_eq!(
        record.load.map(|load| load.endpoints[0]
            .failures
            .contains_key(&FailureClass::Status)),
        None
    );
    place.assert_clean();
}
