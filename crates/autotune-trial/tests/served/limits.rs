//! Trials of servers under the limits of a production host.

use autotune_model::{Bytes, Confinement, CpuQuota, HostLimits, TrialRecord};
use autotune_process::find_means;

use crate::command::files;
use crate::support::{Place, configuration, no_stop, run, spec};

/// What the small server does with a request: see `app/leaks.py`.
async fn place(what: &str, memory: Bytes) -> Option<Place> {
    let mut place = files();
    place.variant.command = ["python3", "leaks.py", what, "{{ port }}"]
        .map(str::to_owned)
        .to_vec();
    std::fs::write(place.app_file("leaks.py"), include_str!("app/leaks.py")).expect("written");
    let limits = HostLimits {
        memory: Some(memory),
        cpus: CpuQuota::new(1.0),
        files: Some(256),
    };
    let enforcement = find_means(&limits).await.expect("a supervisor can be run");
    if let Some(reason) = enforcement.refusal() {
        println!("passed over: {reason}");
        return None;
    }
    place.confinement = Confinement {
        limits,
        enforcement,
    };
    Some(place)
}

async fn outcome(place: &Place) -> TrialRecord {
    let mut trials = place.trials().await;
    run(&mut trials, &spec(configuration(place, &[]))).await
}

pub(crate) async fn a_server_that_leaks_is_out_of_memory() {
    let Some(place) = place("leak", Bytes::new(64 << 20)).await else {
        return;
    };
    let record = outcome(&place).await;
    let detail = record.outcome.detail().unwrap_or_default();
    assert_eq!(record.outcome.as_str(), "out-of-memory", "{detail}");
    assert!(detail.contains("[limits] gives 64.0 MiB"), "{detail}");
    assert!(detail.contains("signal 9"), "{detail}");
}

pub(crate) async fn a_server_that_is_killed_otherwise_died() {
    let Some(place) = place("end", Bytes::new(64 << 20)).await else {
        return;
    };
    let record = outcome(&place).await;
    let detail = record.outcome.detail().unwrap_or_default();
    assert_eq!(record.outcome.as_str(), "died", "{detail}");
    assert!(detail.contains("signal 9"), "{detail}");
}

pub(crate) async fn a_server_that_does_not_fit_is_said_to_by_the_check() {
    let Some(place) = place("serve", Bytes::new(3 << 20)).await else {
        return;
    };
    let mut trials = place.trials().await;
    let error = trials
        .verify(&configuration(&place, &[]), &mut |_| (), &no_stop())
        .await
        .expect_err("it does not fit");
    assert_eq!(error.code().as_str(), "A0202");
    let text = error.to_string();
    assert!(
        text.contains("all the memory that [limits] gives"),
        "{text}"
    );
}
