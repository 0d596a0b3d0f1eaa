//! Trials of a server that is only known by its command, and setup steps.

use std::time::Duration;

use autotune_model::Outcome;
use autotune_trial::{TrialError, TrialEvent, Trials};

use crate::support::{Place, configuration, no_stop, run, spec, words};

/// A server of the files in `{{ run }}`.
pub(crate) fn files() -> Place {
    let mut place = Place::new(&["/data"]);
    place.variant.profile = "command".to_owned();
    place.variant.app = None;
    place.variant.setup = Vec::new();
    place.variant.bin = None;
    let command = [
        "python3",
        "-m",
        "http.server",
        "--bind",
        "{{ host }}",
        "-d",
        "{{ run }}",
        "{{ port }}",
    ];
    place.variant.command = command.map(str::to_owned).to_vec();
    place.variant.stop = Some("INT".to_owned());
    place
}

pub(crate) async fn any_server_can_be_measured() {
    let place = files();
    let mut trials = place.trials().await;
    let record = run(&mut trials, &spec(configuration(&place, &[]))).await;
    assert_eq!(record.outcome, Outcome::Measured);
    let server = record.server.expect("a server ran");
    assert!(server.settings["argv"].contains("http.server --bind 127.0.0.1"));
    assert_eq!(server.killed, 0);
    place.assert_clean();
}

pub(crate) async fn a_program_that_is_not_there_fails_to_start() {
    let mut place = files();
    place.variant.command = words("/nowhere/server {{ port }}")
        .into_iter()
        .take(1)
        .collect();
    let mut trials = place.trials().await;
    let none = configuration(&place, &[]);
    let record = run(&mut trials, &spec(none.clone())).await;
    let detail = record.outcome.detail().expect("evidence").to_owned();
    assert_eq!(record.outcome.as_str(), "failed-to-start");
    assert!(detail.contains("cannot run /nowhere/server"), "{detail}");
    let error = trials
        .verify(&none, &mut |_| (), &no_stop())
        .await
        .expect_err("no server");
    assert_eq!(error.code().as_str(), "A0202");
    place.assert_clean();
}

pub(crate) async fn a_server_that_never_listens_stops_the_check_in_time() {
    let mut place = files();
    place.variant.command = words("sleep 300");
    place.check_limit = Duration::from_secs(1);
    let mut trials = place.trials().await;
    let one = |value: i64| configuration(&place, &[("x", value.into())]);
    let error = trials
        .verify_either([&one(1), &one(2)], &mut |_| (), &no_stop())
        .await
        .expect_err("nobody listens");
    assert_eq!(error.code().as_str(), "A0202");
    // The first one has used up the time of both.
    let text = error.to_string();
    assert!(
        text.contains("x=1: no answer from /data within 1 s"),
        "{text}"
    );
    place.assert_clean();
}

pub(crate) async fn a_server_that_is_not_ready_where_it_is_asked_stops_the_check() {
    let mut place = files();
    place.variant.ready = Some("/nothing".to_owned());
    let mut trials = place.trials().await;
    let error = trials
        .verify(&configuration(&place, &[]), &mut |_| (), &no_stop())
        .await
        .expect_err("404");
    assert_eq!(error.code().as_str(), "A0202");
    let text = error.to_string();
    assert!(
        text.contains("it went on answering 404 to /nothing"),
        "{text}"
    );
    place.assert_clean();
}

pub(crate) async fn setup_runs_once_by_content_and_failures_show_what_was_printed() {
    let mut place = files();
    // A word that no other run of the tests has: nothing of this is cached.
    let unique = place.root.path().display().to_string();
    let step = |script: &str| ["sh", "-c", script, &unique].map(str::to_owned).to_vec();
    place.variant.setup = vec![
        step("echo built > \"{{ cache }}/made\""),
        step("echo bad news; exit 7"),
    ];
    let failed = |place: &Place| {
        let context = place.context();
        async move { Trials::prepare(context, &mut |_| (), &no_stop()).await }
    };
    for _ in 0..2 {
        let error = failed(&place).await.expect_err("a step fails");
        assert!(matches!(error, TrialError::Setup { .. }));
        assert_eq!(error.code().as_str(), "A0201");
        let text = error.to_string();
        assert!(
            text.contains("ended with exit 7") && text.contains("bad news"),
            "{text}"
        );
    }
    place.variant.setup.truncate(1);
    let mut events = Vec::new();
    drop(place.prepare(&mut events).await);
    assert!(matches!(
        events[..],
        [TrialEvent::SetupStep { .. }, TrialEvent::SetupDone { .. }]
    ));
    events.clear();
    drop(place.prepare(&mut events).await);
    let [TrialEvent::SetupReused { cache, .. }] = &events[..] else {
        panic!("{events:?}");
    };
    assert_eq!(
        std::fs::read_to_string(cache.join("made")).expect("built"),
        "built\n"
    );
    std::fs::remove_dir_all(cache).expect("removed");
}
