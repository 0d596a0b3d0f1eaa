//! Services under real supervisors: what is recorded of them, and that those that
//! were started are ended however the preparation ends.

use std::path::{Path, PathBuf};
use std::sync::atomic::Ordering;

use autotune_model::{
    Bytes, CpuSet, EnvValue, Login, Secret, Service, ServiceName, ServiceReady, ServiceUser,
    ServiceWindow, TrialRecord,
};
use autotune_trial::{TrialError, TrialEvent, Trials};

use crate::command::files;
use crate::support::{Place, configuration, no_stop, run, spec};

fn service(place: &Place, name: &str, start: &[&str]) -> Service {
    Service {
        name: ServiceName::new(name),
        start: start.iter().map(|word| (*word).to_owned()).collect(),
        ready: ServiceReady::Port,
        stop: "TERM".to_owned(),
        user: ServiceUser::Own,
        cpus: None,
        env: Vec::new(),
        dir: place.variant.dir.clone(),
        setup: Vec::new(),
        may_reach: Vec::new(),
    }
}

/// Looks for connections without ever resting, so that it takes all of the CPU time
/// that it can get.
const SPINS: &str = "
import socket, sys
listener = socket.create_server(('127.0.0.1', int(sys.argv[1])))
listener.setblocking(False)
while True:
    try:
        listener.accept()[0].close()
    except BlockingIOError:
        pass
";

pub(crate) async fn one_that_never_rests_is_recorded_as_busy() {
    let mut place = files();
    let spins = service(&place, "spins", &["python3", "-c", SPINS, "{{ port }}"]);
    place.services = vec![Service {
        cpus: Some(CpuSet::new([0])),
        ..spins
    }];
    let mut trials = place.trials().await;
    let record: TrialRecord = run(&mut trials, &spec(configuration(&place, &[]))).await;
    trials.end().await.expect("ended");
    let server = record.server.expect("a server ran");
    let [spins] = &server.services[..] else {
        panic!("{:?}", server.services);
    };
    assert_eq!(spins.cpus, 1);
    assert!(spins.memory_peak > Some(Bytes::new(1 << 20)), "{spins:?}");
    // Of a busy machine it gets its part, which is more than what a few requests
    // cost the server: it is counted as nobody else's.
    assert!(spins.cpu > server.cpu, "{spins:?}, {:?}", server.cpu);
    let window = spins.window.expect("looks after the warm-up");
    assert!(
        window.cpu >= window.busiest && !window.busiest.is_zero(),
        "{window:?}"
    );
    let busy = busy_share(&window, spins.cpus);
    assert!(busy > 0.05 && busy < 1.2, "{busy}: {window:?}");
    place.assert_clean();
}

fn busy_share(window: &ServiceWindow, cpus: u32) -> f64 {
    window.cpu.as_secs_f64() / (window.wall.as_secs_f64() * f64::from(cpus))
}

/// Notes when it is ready to be ended, and when it is.
const ENDS: &str = "trap 'echo ended >> $0; exit' TERM; echo begun >> $0; \
                    while :; do sleep 0.1; done";

/// A place with a service that notes how it is ended.
fn with_first() -> (Place, PathBuf) {
    let mut place = files();
    let notes = place.root.path().join("notes");
    let path = notes.display().to_string();
    let first = service(&place, "first", &["sh", "-c", ENDS, &path]);
    let ready = ["test", "-s", &path].map(str::to_owned);
    place.services = vec![Service {
        ready: ServiceReady::Command(ready.to_vec()),
        ..first
    }];
    (place, notes)
}

fn read(path: &Path) -> String {
    std::fs::read_to_string(path).unwrap_or_default()
}

pub(crate) async fn those_that_run_are_ended_when_a_later_one_fails_and_its_log_is_kept() {
    let (mut place, notes) = with_first();
    let script = "echo no room for $PART and passw0rd; exit 3";
    let second = service(&place, "second", &["sh", "-c", script]);
    let part = EnvValue::Text("nothing".to_owned());
    let own = Service {
        env: vec![("PART".to_owned(), part)],
        ..second
    };
    place.services.push(own);
    // What it prints is a secret of the login, and of the environment of another one.
    let password = EnvValue::Secret(Secret::new("passw0rd".to_owned()));
    place.login = Some(Login {
        sessions: 1,
        values: vec![("password".to_owned(), password)],
        steps: Vec::new(),
    });
    let hidden = EnvValue::Secret(Secret::new("nothing".to_owned()));
    place.variant.env.push(("HIDDEN".to_owned(), hidden));
    let error = Trials::prepare(place.context(), &mut |_| (), &no_stop()).await;
    let text = error.expect_err("the second one fails").to_string();
    let told = "no room for (secret) and (secret)";
    assert!(
        text.contains("ended with exit 3") && text.contains(told),
        "{text}"
    );
    let kept = place.root.path().join("results/logs/service-second.log");
    assert_eq!(read(&kept).trim(), told);
    assert_eq!(read(&notes), "begun\nended\n");
    place.assert_clean();
}

pub(crate) async fn a_stop_while_one_is_started_ends_those_that_run() {
    let (mut place, notes) = with_first();
    let second = service(&place, "second", &["sleep", "1000"]);
    place.services.push(second);
    let stop = no_stop();
    // Nobody listens at the port of the second one, so that it never gets ready.
    let on_event = &mut |event| {
        if matches!(&event, TrialEvent::ServiceStarting { service } if service.as_str() == "second")
        {
            stop.store(true, Ordering::SeqCst);
        }
    };
    let error = Trials::prepare(place.context(), on_event, &stop).await;
    assert!(matches!(error, Err(TrialError::Interrupted)), "{error:?}");
    assert_eq!(read(&notes), "begun\nended\n");
    place.assert_clean();
}
