//! Commands around the launches of a server: `before_trial` and `after_trial`.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use autotune_model::{EnvValue, Login, Outcome, Secret};
use autotune_trial::TrialError;
use nix::sys::stat::Mode;
use nix::unistd::mkfifo;

use crate::command::files;
use crate::support::{Place, configuration, no_stop, run, spec};

/// Says on a line of `$NOTES` what the data are, where it runs, and whether
/// anybody listens at the port: 111 is that nobody does.
const NOTE: &str = "import os, socket; \
    listening = socket.socket().connect_ex(('127.0.0.1', {{ port }})); \
    data = open('{{ run }}/data').read(); \
    print(data, os.path.basename(os.getcwd()), listening, file=open(os.environ['NOTES'], 'a'))";

fn python(script: &str) -> Vec<String> {
    ["python3", "-c", script].map(str::to_owned).to_vec()
}

fn shell(script: &str) -> Vec<String> {
    ["sh", "-c", script].map(str::to_owned).to_vec()
}

/// A server whose hooks can write notes.
fn noting() -> Place {
    let mut place = files();
    let notes = place.root.path().join("notes").display().to_string();
    place.env("NOTES", &notes);
    place
}

fn notes(place: &Place) -> String {
    std::fs::read_to_string(place.root.path().join("notes")).unwrap_or_default()
}

pub(crate) async fn they_run_around_every_launch() {
    let mut place = noting();
    let restore = shell("printf restored > {{ run }}/data");
    place.variant.before_trial = vec![python(NOTE), restore];
    place.variant.after_trial = vec![python(NOTE)];
    place.endpoints[0].expect.contains = Some("restored".to_owned());
    let mut trials = place.trials().await;
    let none = configuration(&place, &[]);
    let around = "fresh app 111\nrestored app 111\n";
    trials
        .verify(&none, &mut |_| (), &no_stop())
        .await
        .expect("the restored data are served");
    assert_eq!(notes(&place), around);
    let record = run(&mut trials, &spec(none)).await;
    assert_eq!(record.outcome, Outcome::Measured);
    // A trial that the machine spoiled was launched again.
    let all = notes(&place);
    assert_eq!(all, around.repeat(all.lines().count() / 2));
    assert!(all.lines().count() >= 4, "{all}");
    place.assert_clean();
}

pub(crate) async fn one_that_fails_stops_the_trials() {
    let fails = shell("echo no rows for $TOKEN; exit 3");
    for key in ["before_trial", "after_trial"] {
        let mut place = noting();
        place
            .environment
            .insert("OUTER".to_owned(), "s3cr3t".to_owned());
        let secret = EnvValue::FromEnv {
            name: "OUTER".to_owned(),
            secret: true,
        };
        place.variant.env.push(("TOKEN".to_owned(), secret));
        let hooks = match key {
            "before_trial" => {
                place.variant.after_trial = vec![python(NOTE)];
                &mut place.variant.before_trial
            }
            _ => &mut place.variant.after_trial,
        };
        *hooks = vec![fails.clone(), python(NOTE)];
        let mut trials = place.trials().await;
        let none = configuration(&place, &[]);
        let errors = [
            trials
                .verify(&none, &mut |_| (), &no_stop())
                .await
                .expect_err("a failed hook"),
            trials
                .run(&spec(none), &no_stop())
                .await
                .expect_err("a failed hook"),
        ];
        for error in errors {
            assert_eq!(error.code().as_str(), "A0205");
            let text = error.to_string();
            let command = "`sh -c echo no rows for $TOKEN; exit 3`";
            let whole = format!("{command} of `{key}` in [server.gunicorn] ended with exit 3");
            assert!(text.starts_with(&whole), "{text}");
            assert!(text.ends_with("\n  no rows for (secret)"), "{text}");
        }
        assert_eq!(notes(&place), "", "nothing runs after what failed");
        place.assert_clean();
    }
}

pub(crate) async fn what_one_prints_of_the_login_is_hidden() {
    let mut place = noting();
    let password = EnvValue::Secret(Secret::new("s3cr3t".to_owned()));
    // The first command fails, so nobody comes to log in.
    place.login = Some(Login {
        sessions: 1,
        values: vec![("password".to_owned(), password)],
        steps: Vec::new(),
    });
    place.variant.before_trial = vec![shell("echo cannot seed s3cr3t; exit 1")];
    let mut trials = place.trials().await;
    let none = configuration(&place, &[]);
    let error = trials.run(&spec(none), &no_stop()).await;
    let text = error.expect_err("a failed hook").to_string();
    assert!(text.ends_with("\n  cannot seed (secret)"), "{text}");
    assert!(!text.contains("s3cr3t"), "{text}");
}

pub(crate) async fn a_server_that_cannot_be_run_is_cleaned_up_after_too() {
    let mut place = noting();
    place.variant.command = vec!["/nowhere/server".to_owned()];
    place.variant.after_trial = vec![python(NOTE)];
    let mut trials = place.trials().await;
    let record = run(&mut trials, &spec(configuration(&place, &[]))).await;
    assert_eq!(record.outcome.as_str(), "failed-to-start");
    assert_eq!(notes(&place), "fresh app 111\n");
    place.assert_clean();
}

pub(crate) async fn a_stop_ends_the_command_that_runs() {
    let mut place = noting();
    let held = place.root.path().join("held");
    mkfifo(&held, Mode::S_IRWXU).expect("a pipe");
    // The pipe is open for writing until the last process that has it has ended.
    let command = format!(
        "exec 3> '{}'; echo begun >> $NOTES; sleep 1000",
        held.display()
    );
    place.variant.before_trial = vec![shell(&command)];
    place.variant.after_trial = vec![python(NOTE)];
    let mut trials = place.trials().await;
    let none = configuration(&place, &[]);
    for checked in [true, false] {
        let stop = no_stop();
        let begun = notes(&place).lines().count() + 1;
        let path = held.clone();
        // Opening waits for the writer, reading for its end.
        let ended = tokio::task::spawn_blocking(move || std::fs::read(path));
        let waiting = stop_when_begun(&place, begun, &stop);
        if checked {
            let mut unheard = |_| ();
            let checking = trials.verify(&none, &mut unheard, &stop);
            let (checked, ()) = tokio::join!(checking, waiting);
            assert!(matches!(checked, Err(TrialError::Interrupted)));
        } else {
            let spec = spec(none.clone());
            let (record, ()) = tokio::join!(trials.run(&spec, &stop), waiting);
            let record = record.expect("a record");
            assert_eq!(record.outcome, Outcome::Interrupted);
            assert_eq!(record.server, None);
        }
        let ended = tokio::time::timeout(Duration::from_secs(60), ended).await;
        let read = ended.expect("the command ends").expect("no panic");
        assert_eq!(read.expect("readable"), Vec::<u8>::new());
        place.assert_clean();
    }
    assert_eq!(notes(&place), "begun\n".repeat(2));
}

/// Asks for a stop once the notes have this many lines.
async fn stop_when_begun(place: &Place, lines: usize, stop: &Arc<AtomicBool>) {
    let began = async {
        while notes(place).lines().count() < lines {
            tokio::time::sleep(Duration::from_millis(10)).await;
        }
    };
    let began = tokio::time::timeout(Duration::from_secs(60), began).await;
    stop.store(true, Ordering::Relaxed);
    began.expect("the command begins");
}
