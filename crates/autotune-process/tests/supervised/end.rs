//! The clean end: asked, then forced, and nothing left.

use std::time::Duration;

use autotune_process::{ExitStatus, Ipc, IsolationRequest, ProcessError, ProcessEvent, StopSignal};

use crate::support::{Bench, Case, PATIENCE, wait};

pub(crate) const CASES: &[(&str, Case)] = &[
    (
        "shared_memory_of_its_own_is_nobody_elses",
        shared_memory_of_its_own_is_nobody_elses,
    ),
    ("asked_it_ends_by_itself", asked_it_ends_by_itself),
    (
        "only_the_main_process_is_asked",
        only_the_main_process_is_asked,
    ),
    (
        "what_ignores_the_signal_is_killed",
        what_ignores_the_signal_is_killed,
    ),
    ("kill_does_not_wait", kill_does_not_wait),
    ("daemons_are_ended", daemons_are_ended),
    (
        "children_of_a_main_that_ended_are_ended",
        children_of_a_main_that_ended_are_ended,
    ),
    (
        "a_swarm_that_makes_new_processes_is_ended",
        a_swarm_that_makes_new_processes_is_ended,
    ),
    ("dropped_everything_ends", dropped_everything_ends),
    (
        "dropped_while_stopping_everything_ends",
        dropped_while_stopping_everything_ends,
    ),
];

/// A shell handles a signal when its current command has ended.
const PATIENT: &str = "while :; do sleep 0.02; done";

fn asked_it_ends_by_itself(isolation: IsolationRequest) {
    wait(async {
        for (signal, name) in [
            (StopSignal::Term, "TERM"),
            (StopSignal::Int, "INT"),
            (StopSignal::Quit, "QUIT"),
        ] {
            let script = format!("trap 'exit 3' {name}; echo ready; {PATIENT}");
            let bench = Bench::new(isolation, &script);
            let mut server = bench.start_ready().await;
            let report = server.stop(signal, PATIENCE).await.expect("a report");
            assert_eq!(
                (report.exit, report.killed),
                (Some(ExitStatus::Code(3)), 0),
                "{signal}"
            );
            assert!(report.took < PATIENCE);
            bench.assert_nothing_left().await;
        }
    });
}

fn only_the_main_process_is_asked(isolation: IsolationRequest) {
    wait(async {
        // The worker would say so if it were asked; the master ends it itself.
        let script = format!(
            "sh -c \"trap 'echo asked' TERM; trap 'exit 0' USR1; echo worker; {PATIENT}\" & \
             trap 'kill -USR1 $!; wait $!; echo all ended; exit 0' TERM; echo ready; {PATIENT}"
        );
        let bench = Bench::new(isolation, &script);
        let mut server = bench.start_ready().await;
        bench.logged("worker").await;
        let report = server
            .stop(StopSignal::Term, PATIENCE)
            .await
            .expect("a report");
        assert_eq!((report.exit, report.killed), (Some(ExitStatus::Code(0)), 0));
        assert!(bench.log().contains("all ended"));
        assert!(!bench.log().contains("asked"), "{}", bench.log());
    });
}

fn what_ignores_the_signal_is_killed(isolation: IsolationRequest) {
    wait(async {
        let grace = Duration::from_millis(200);
        let bench = Bench::new(isolation, "trap '' TERM; sleep 300 & echo ready; wait");
        let mut server = bench.start_ready().await;
        let report = server
            .stop(StopSignal::Term, grace)
            .await
            .expect("a report");
        assert_eq!(
            (report.exit, report.killed),
            (Some(ExitStatus::Signal(9)), 2)
        );
        assert!(report.took >= grace);
        let event = server.next().await.expect("an event");
        assert_eq!(event, ProcessEvent::Exited(ExitStatus::Signal(9)));
        bench.assert_nothing_left().await;
    });
}

fn kill_does_not_wait(isolation: IsolationRequest) {
    wait(async {
        let bench = Bench::new(isolation, "echo ready; exec sleep 300");
        let mut server = bench.start_ready().await;
        let report = server
            .stop(StopSignal::Kill, PATIENCE)
            .await
            .expect("a report");
        assert_eq!(
            (report.exit, report.killed),
            (Some(ExitStatus::Signal(9)), 1)
        );
        assert!(report.took < PATIENCE);
    });
}

fn daemons_are_ended(isolation: IsolationRequest) {
    wait(async {
        // A session of its own, and a parent that has ended.
        let script = "(setsid sh -c 'echo daemon; exec sleep 300' &); echo ready; exec sleep 300";
        let bench = Bench::new(isolation, script);
        let mut server = bench.start_ready().await;
        bench.logged("daemon").await;
        let report = server
            .stop(StopSignal::Term, PATIENCE)
            .await
            .expect("a report");
        assert_eq!(
            (report.exit, report.killed),
            (Some(ExitStatus::Signal(15)), 1)
        );
        assert!(report.took < PATIENCE);
        bench.assert_nothing_left().await;
    });
}

fn children_of_a_main_that_ended_are_ended(isolation: IsolationRequest) {
    wait(async {
        let bench = Bench::new(isolation, "sleep 300 & sleep 300 & exit 5");
        let mut server = bench.start().await;
        let event = server.next().await.expect("an event");
        assert_eq!(event, ProcessEvent::Exited(ExitStatus::Code(5)));
        let (sample, _) = server.sample_now().await.expect("a sample");
        assert_eq!(sample.processes.len(), 2);
        let report = server
            .stop(StopSignal::Term, PATIENCE)
            .await
            .expect("a report");
        assert_eq!((report.exit, report.killed), (Some(ExitStatus::Code(5)), 2));
        assert!(report.took < PATIENCE);
        bench.assert_nothing_left().await;
    });
}

fn a_swarm_that_makes_new_processes_is_ended(isolation: IsolationRequest) {
    wait(async {
        // Each of three shells replaces its worker as soon as it ends.
        let nursery = "trap '' TERM; while :; do sleep 0.01 & wait; done";
        let script =
            format!("for i in 1 2 3; do setsid sh -c \"{nursery}\" & done; echo ready; wait");
        let bench = Bench::new(isolation, &script);
        let mut server = bench.start_ready().await;
        let report = server
            .stop(StopSignal::Term, PATIENCE)
            .await
            .expect("a report");
        assert!(report.killed >= 3);
        assert_eq!(bench.left(), [0; 0]);
    });
}

fn dropped_everything_ends(isolation: IsolationRequest) {
    wait(async {
        let bench = Bench::new(isolation, "trap '' TERM; sleep 300 & echo ready; wait");
        let server = bench.start_ready().await;
        assert!(bench.left().len() >= 3);
        drop(server);
        bench.assert_nothing_left().await;
    });
}

fn dropped_while_stopping_everything_ends(isolation: IsolationRequest) {
    wait(async {
        let bench = Bench::new(isolation, "trap '' TERM; sleep 300 & echo ready; wait");
        let mut server = bench.start_ready().await;
        let stop = server.stop(StopSignal::Term, PATIENCE);
        let stopped = tokio::time::timeout(Duration::from_millis(50), stop).await;
        let none: Result<Result<_, ProcessError>, _> = stopped;
        assert!(none.is_err(), "it ignores the signal");
        drop(server);
        bench.assert_nothing_left().await;
    });
}

/// Shared memory of System V outlives its processes, but not its namespace.
fn shared_memory_of_its_own_is_nobody_elses(isolation: IsolationRequest) {
    wait(async {
        let machine = std::fs::read_link("/proc/self/ns/ipc").expect("readable");
        let machine = machine.display().to_string();
        for ipc in [Ipc::Shared, Ipc::Own] {
            let mut bench = Bench::new(isolation, "readlink /proc/self/ns/ipc; echo ready");
            bench.launch.ipc = ipc;
            let mut server = bench.start_ready().await;
            let is_own = ipc == Ipc::Own && server.isolation() == "pid-namespace";
            assert_eq!(!bench.log().contains(&machine), is_own, "{}", bench.log());
            server.stop(StopSignal::Term, PATIENCE).await.expect("ends");
            bench.assert_nothing_left().await;
        }
    });
}
