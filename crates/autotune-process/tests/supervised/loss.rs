//! The unclean end: whoever is killed, nothing is left.

use std::io::{BufRead, BufReader};
use std::process::{Child, Command, Stdio};

use autotune_process::{
    ExitStatus, IsolationRequest, ProcessError, ProcessEvent, StopSignal, end_strays,
};
use nix::sys::signal::{Signal, kill};
use nix::unistd::Pid;

use crate::helper;
use crate::support::{
    Bench, Case, PATIENCE, SURE_END, assert_nothing_left, left, parent, until, wait,
};

pub(crate) const CASES: &[(&str, Case)] = &[
    ("supervisor_killed", supervisor_killed),
    ("keeper_killed", keeper_killed),
    ("main_ends_with_its_keeper", main_ends_with_its_keeper),
    ("supervisor_asked_to_end", supervisor_asked_to_end),
    (
        "ctrl_c_and_hangup_do_not_reach_the_supervisor",
        ctrl_c_and_hangup_do_not_reach_it,
    ),
    ("program_killed", program_killed),
    (
        "program_and_supervisor_killed_at_once",
        program_and_supervisor_killed_at_once,
    ),
    (
        "all_guards_killed_then_strays_are_ended",
        all_guards_killed_then_strays_are_ended,
    ),
];

/// A master that ignores what it can, with a worker and a daemon.
pub(crate) const STUBBORN: &str = "trap '' TERM HUP INT; sleep 300 & \
    (setsid sh -c 'echo daemon; exec sleep 300' &); echo ready; wait";

pub(crate) fn send(pid: u32, signal: Signal) {
    let pid = Pid::from_raw(i32::try_from(pid).expect("a pid"));
    kill(pid, signal).expect("the process is there");
}

fn supervisor_killed(isolation: IsolationRequest) {
    wait(async {
        let bench = Bench::new(isolation, STUBBORN);
        let mut server = bench.start_ready().await;
        bench.logged("daemon").await;
        assert!(bench.left().len() >= 5);
        send(server.supervisor_pid(), Signal::SIGKILL);
        bench.assert_nothing_left().await;
        match server.next().await {
            Err(ProcessError::SupervisorLost { pid, how }) => {
                assert_eq!(pid, server.supervisor_pid());
                assert!(how.contains("signal: 9"), "{how}");
            }
            other => panic!("{other:?}"),
        }
        let stopped = server.stop(StopSignal::Term, PATIENCE).await;
        assert!(
            matches!(stopped, Err(ProcessError::SupervisorLost { .. })),
            "{stopped:?}"
        );
    });
}

fn keeper_killed(isolation: IsolationRequest) {
    wait(async {
        let bench = Bench::new(isolation, STUBBORN);
        let mut server = bench.start_ready().await;
        let keeper = parent(server.pid()).expect("a parent");
        assert_eq!(parent(keeper), Some(server.supervisor_pid()));
        send(keeper, Signal::SIGKILL);
        let event = server.next().await.expect("an event");
        assert_eq!(event, ProcessEvent::Exited(ExitStatus::Signal(9)));
        let report = server
            .stop(StopSignal::Term, PATIENCE)
            .await
            .expect("a report");
        assert_eq!(report.exit, Some(ExitStatus::Signal(9)));
        bench.assert_nothing_left().await;
    });
}

fn main_ends_with_its_keeper(isolation: IsolationRequest) {
    wait(async {
        let bench = Bench::new(isolation, STUBBORN);
        let mut server = bench.start_ready().await;
        let (main, supervisor) = (server.pid(), server.supervisor_pid());
        let keeper = parent(main).expect("a parent");
        // Held still, it cannot help.
        send(supervisor, Signal::SIGSTOP);
        send(keeper, Signal::SIGKILL);
        let ended = until(SURE_END, || !bench.left().contains(&main)).await;
        send(supervisor, Signal::SIGCONT);
        ended.expect("the main process has ended");
        server
            .stop(StopSignal::Term, PATIENCE)
            .await
            .expect("a report");
        bench.assert_nothing_left().await;
    });
}

fn supervisor_asked_to_end(isolation: IsolationRequest) {
    wait(async {
        let bench = Bench::new(isolation, STUBBORN);
        let mut server = bench.start_ready().await;
        send(server.supervisor_pid(), Signal::SIGTERM);
        bench.assert_nothing_left().await;
        let event = server.next().await;
        assert!(
            matches!(event, Err(ProcessError::SupervisorLost { .. })),
            "{event:?}"
        );
    });
}

fn ctrl_c_and_hangup_do_not_reach_it(isolation: IsolationRequest) {
    wait(async {
        let bench = Bench::new(isolation, STUBBORN);
        let mut server = bench.start_ready().await;
        let pid = server.supervisor_pid();
        let session = nix::unistd::getsid(Some(Pid::from_raw(i32::try_from(pid).expect("a pid"))));
        assert_eq!(
            session.map(Pid::as_raw),
            Ok(i32::try_from(pid).expect("a pid"))
        );
        send(pid, Signal::SIGINT);
        send(pid, Signal::SIGHUP);
        let (sample, _) = server.sample_now().await.expect("it still answers");
        assert!(!sample.processes.is_empty());
    });
}

/// Another program that has launched the stubborn server.
pub(crate) struct Program {
    pub(crate) child: Child,
    pub(crate) marker: String,
    pub(crate) supervisor: u32,
    pub(crate) main: u32,
}

impl Program {
    pub(crate) fn start(isolation: IsolationRequest, bench: &Bench) -> Self {
        let exe = std::env::current_exe().expect("a path");
        let mut child = Command::new(exe)
            .args([helper::LAUNCH, helper::name(isolation)])
            .arg(bench.path())
            .stdout(Stdio::piped())
            .spawn()
            .expect("it starts");
        let mut line = String::new();
        let stdout = child.stdout.take().expect("piped");
        BufReader::new(stdout).read_line(&mut line).expect("a line");
        let mut words = line.split_ascii_whitespace();
        let marker = words.next().expect("a marker").to_owned();
        let mut pid = || {
            words
                .next()
                .and_then(|word| word.parse().ok())
                .expect("a pid")
        };
        Self {
            child,
            marker,
            supervisor: pid(),
            main: pid(),
        }
    }

    /// Held still first, so that none of them sees the others go.
    pub(crate) fn kill_at_once(&mut self, pids: &[u32]) {
        for signal in [Signal::SIGSTOP, Signal::SIGKILL] {
            for pid in pids {
                send(*pid, signal);
            }
        }
        self.child.wait().expect("reaped");
    }
}

fn program_killed(isolation: IsolationRequest) {
    let bench = Bench::new(isolation, "");
    let mut program = Program::start(isolation, &bench);
    assert!(left(&program.marker).len() >= 5);
    program.child.kill().expect("killed");
    program.child.wait().expect("reaped");
    wait(assert_nothing_left(&program.marker));
}

fn program_and_supervisor_killed_at_once(isolation: IsolationRequest) {
    let bench = Bench::new(isolation, "");
    let mut program = Program::start(isolation, &bench);
    assert!(left(&program.marker).len() >= 5);
    program.kill_at_once(&[program.child.id(), program.supervisor]);
    wait(assert_nothing_left(&program.marker));
}

fn all_guards_killed_then_strays_are_ended(isolation: IsolationRequest) {
    wait(async {
        let bystander = Bench::new(isolation, STUBBORN);
        let mut server = bystander.start_ready().await;
        let bench = Bench::new(isolation, "");
        let mut program = Program::start(isolation, &bench);
        let keeper = parent(program.main).expect("a parent");
        program.kill_at_once(&[program.child.id(), program.supervisor, keeper]);
        end_strays().expect("they end");
        assert_eq!(left(&program.marker), [0; 0]);
        // What belongs to a program that lives was left alone.
        assert!(bystander.left().len() >= 5);
        server.sample_now().await.expect("it still answers");
    });
}
