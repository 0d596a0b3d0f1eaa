//! What is said of services beside the server.

use std::path::PathBuf;

use autotune_analysis::{Among, DependencyBound, ServiceAnalysis, VerdictWord};
use autotune_model::{CpuSet, HostLoad, Service, ServiceName, ServiceReady, ServiceUser};

use super::*;

/// A database that may use one of two CPUs.
fn database() -> ServiceAnalysis {
    ServiceAnalysis {
        name: ServiceName::new("db"),
        cpus: 1,
        trials: 24,
        saturated: 23,
        memory: Some(crate::testing::mebibytes(96.0)),
        memory_range: None,
        busy_share: Some(0.9),
        busy_range: Some((0.88, 0.99)),
    }
}

/// What the grid file says of it.
fn described(cpus: Option<CpuSet>) -> Service {
    Service {
        name: ServiceName::new("db"),
        start: vec!["postgres".to_owned()],
        ready: ServiceReady::Port,
        stop: "TERM".to_owned(),
        user: ServiceUser::Own,
        cpus,
        env: Vec::new(),
        dir: PathBuf::from("/app"),
        setup: Vec::new(),
        may_reach: Vec::new(),
    }
}

/// A study whose database used all that it may where it matters.
fn bound(fixture: &mut Fixture) {
    fixture.analysis.services = vec![database()];
    fixture.services = vec![described(Some(CpuSet::new([0])))];
    let verdict = &mut fixture.analysis.verdict;
    verdict.word = VerdictWord::Unresolved;
    verdict.recommended = None;
    verdict.tie_set.clear();
    verdict.dependency_bound = Some(DependencyBound {
        service: ServiceAnalysis {
            trials: 12,
            saturated: 11,
            busy_share: Some(0.97),
            ..database()
        },
        among: Among::Best,
        waiting: 2,
        of: 2,
    });
    for trial in &mut fixture.history.trials {
        let host = trial.server.as_mut().map(|server| &mut server.host);
        if let Some(host) = host {
            *host = Some(HostLoad {
                wall: Duration::from_secs(20),
                cpus: 2,
                stolen: Duration::ZERO,
                others: Duration::ZERO,
            });
        }
    }
}

fn with_bound(change: impl FnOnce(&mut DependencyBound)) -> impl FnOnce(&mut Fixture) {
    move |fixture| {
        bound(fixture);
        change(fixture.analysis.verdict.dependency_bound.as_mut().unwrap());
    }
}

#[test]
fn a_service_that_the_best_wait_for_is_the_headline() {
    let headline = |who: &str| {
        format!(
            "unresolved, service `db` was the bottleneck: {who} for it (it used 97 % of its 1 CPU, and \
             had no CPU time left in 11 of their 12 trials), for a server on 1 CPU, open load of 90 \
             requests/s, keep-alive connections."
        )
    };
    check(bound, &headline("the best settings wait"));
    let of = |among, waiting| {
        with_bound(move |bound| (bound.among, bound.waiting, bound.of) = (among, waiting, 3))
    };
    check(
        of(Among::Best, 2),
        &headline("most of the best settings wait"),
    );
    check(of(Among::All, 2), &headline("most settings wait"));
    check(of(Among::All, 3), &headline("every setting waits"));
    let interrupted = |fixture: &mut Fixture| {
        bound(fixture);
        fixture.ending = Ending::Interrupted;
    };
    check_silent(interrupted, "bottleneck");
}

#[test]
fn what_to_do_about_it_is_what_can_be_done() {
    let lead = "There is no ranking: what tells the settings apart is how they wait. ";
    let more = format!(
        "{lead}Give `db` more CPUs (`cpus` of [service.db]), let the app ask it less, or send less \
         load, and begin anew with --fresh."
    );
    let less =
        format!("{lead}Let the app ask `db` less, or send less load, and begin anew with --fresh.");
    check_note(bound, &more);
    // Also where the sweep gave up: that is why.
    let gave_up = |fixture: &mut Fixture| {
        bound(fixture);
        fixture.ending = Ending::NothingMeasurable;
    };
    check_note(gave_up, &more);
    check_silent(gave_up, "nothing could be measured");
    check_silent(bound, "--budget");
    // It has all CPUs; or uses one of several; or is kept to none.
    check_note(with_bound(|bound| bound.service.cpus = 2), &less);
    check_note(
        with_bound(|bound| bound.service.busy_share = Some(0.5)),
        &less,
    );
    let unnamed = |fixture: &mut Fixture| {
        bound(fixture);
        fixture.services = vec![described(None)];
    };
    check_note(unnamed, &less);
}

#[test]
fn every_output_tells_of_services() {
    let mut fixture = Fixture::realistic();
    bound(&mut fixture);
    let json = crate::verdict_json(&fixture.study()).unwrap();
    let verdict: serde_json::Value = serde_json::from_str(&json).unwrap();
    assert_eq!(verdict["dependency_bound"], "db");
    assert_eq!(verdict["verdict"], "unresolved");
    assert_eq!(verdict["recommended"], serde_json::Value::Null);
    assert_eq!(verdict["services"][0]["saturated_trials"], 23);
    for page in [
        crate::report_md(&fixture.study()).unwrap(),
        crate::report_html(&fixture.study()).unwrap(),
    ] {
        assert!(page.contains("Beside the server") && page.contains("23 of 24"));
    }
}

#[test]
fn where_cpus_are_shared_it_is_said_that_waiting_cannot_be_told() {
    let on = |cpus: Option<CpuSet>| {
        move |fixture: &mut Fixture| {
            fixture.analysis.services = vec![database()];
            fixture.services = vec![described(cpus)];
        }
    };
    let said = "Shared with the server were the CPUs of `db`: it used 90 % of its 1 CPU; the server \
                with 1/8/gthread/0/0: it used 56 % of its CPUs. Which of them waits for the other \
                cannot be told from that; it can where `cpus` of the service and `server_cpus` of \
                [host] have none in common.";
    // The server has CPU 1.
    check_note(on(None), said);
    check_note(on(Some(CpuSet::new([1]))), said);
    check_silent(on(Some(CpuSet::new([0]))), "Shared with the server");
    let unpinned = |fixture: &mut Fixture| {
        on(Some(CpuSet::new([0])))(fixture);
        fixture.placement.server = None;
    };
    check_note(unpinned, said);
}
