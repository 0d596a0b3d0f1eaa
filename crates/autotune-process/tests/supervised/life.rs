//! A server's life: what it is given, what is seen of it, how its end is told.

use std::time::Duration;

use autotune_model::{Bytes, CpuSet, ProcessRole, Secret};
use autotune_process::{
    ExitStatus, IsolationRequest, LaunchStep, ProcessError, ProcessEvent, StopSignal, inner_pid,
};

use crate::support::{Bench, Case, PATIENCE, tool, until, wait};

pub(crate) const CASES: &[(&str, Case)] = &[
    ("exit_code_is_passed_on", exit_code_is_passed_on),
    ("deadly_signal_is_passed_on", deadly_signal_is_passed_on),
    ("nothing_is_inherited", nothing_is_inherited),
    ("cpus_and_open_files_are_set", cpus_and_open_files_are_set),
    ("what_cannot_be_run_is_named", what_cannot_be_run_is_named),
    ("samples_show_the_tree", samples_show_the_tree),
    (
        "samples_come_unasked_and_none_is_lost",
        samples_come_unasked_and_none_is_lost,
    ),
    ("outside_connections_are_seen", outside_connections_are_seen),
    ("log_is_bounded", log_is_bounded),
    ("inner_pids_are_translated", inner_pids_are_translated),
];

fn exit_code_is_passed_on(isolation: IsolationRequest) {
    wait(async {
        let bench = Bench::new(isolation, "echo out; echo err >&2; exit 7");
        let mut server = bench.start().await;
        let event = server.next().await.expect("an event");
        assert_eq!(event, ProcessEvent::Exited(ExitStatus::Code(7)));
        let report = server
            .stop(StopSignal::Term, PATIENCE)
            .await
            .expect("a report");
        assert_eq!((report.exit, report.killed), (Some(ExitStatus::Code(7)), 0));
        assert_eq!(report.log_bytes, 8);
        assert_eq!(bench.log(), "out\nerr\n");
        let again = server
            .stop(StopSignal::Kill, PATIENCE)
            .await
            .expect("the same report");
        assert_eq!(again, report);
        bench.assert_nothing_left().await;
    });
}

fn deadly_signal_is_passed_on(isolation: IsolationRequest) {
    wait(async {
        let bench = Bench::new(isolation, "kill -USR1 $$; exec sleep 300");
        let mut server = bench.start().await;
        let event = server.next().await.expect("an event");
        assert_eq!(event, ProcessEvent::Exited(ExitStatus::Signal(10)));
    });
}

fn nothing_is_inherited(isolation: IsolationRequest) {
    let Some(ls) = tool("ls") else { return };
    wait(async {
        let script = format!(
            "env; echo descriptors: $({} /proc/self/fd); readlink /proc/self/fd/0; pwd; \
             cut -d' ' -f5 /proc/$$/stat; echo self $$",
            ls.display()
        );
        let mut bench = Bench::new(isolation, &script);
        bench
            .launch
            .env
            .push(("KEY".to_owned(), Secret::new("a b".to_owned())));
        let mut server = bench.start().await;
        let event = server.next().await.expect("an event");
        assert_eq!(
            event,
            ProcessEvent::Exited(ExitStatus::Code(0)),
            "{}",
            bench.log()
        );
        let log = bench.log();
        let marker = format!("AUTOTUNE_MARKER={}", bench.launch.marker);
        // What the shell sets by itself.
        let own = ["PWD=", "OLDPWD=", "SHLVL=", "_="];
        let is_own = |line: &str| own.iter().any(|name| line.starts_with(name));
        let (env, rest) = log.split_once("descriptors: ").expect("both parts");
        let mut env: Vec<_> = env.lines().filter(|line| !is_own(line)).collect();
        env.sort_unstable();
        assert_eq!(env, [marker.as_str(), "KEY=a b", "PATH=/usr/bin:/bin"]);
        let rest: Vec<_> = rest.lines().collect();
        // The fourth is the folder that is listed.
        assert_eq!(rest[0], "0 1 2 3");
        assert_eq!(rest[1], "/dev/null");
        let dir = bench.path().canonicalize().expect("a path");
        assert_eq!(std::path::Path::new(rest[2]), dir);
        assert_eq!(format!("self {}", rest[3]), rest[4], "leads its own group");
    });
}

fn cpus_and_open_files_are_set(isolation: IsolationRequest) {
    wait(async {
        let script = "grep Cpus_allowed_list /proc/self/status; ulimit -Sn; ulimit -Hn";
        let mut bench = Bench::new(isolation, script);
        let cpu = first_allowed_cpu();
        bench.launch.cpus = Some(CpuSet::new([cpu]));
        let mut server = bench.start().await;
        server.next().await.expect("an event");
        let log = bench.log();
        let lines: Vec<_> = log.lines().collect();
        assert_eq!(lines[0], format!("Cpus_allowed_list:\t{cpu}"));
        // As many as may be, up to a million.
        let most = lines[2].parse().unwrap_or(u64::MAX).min(1 << 20);
        assert_eq!(lines[1], most.to_string());
    });
}

/// The tests may be kept off some CPUs.
fn first_allowed_cpu() -> usize {
    let status = std::fs::read_to_string("/proc/self/status").expect("readable");
    let line = status
        .lines()
        .find_map(|line| line.strip_prefix("Cpus_allowed_list:"));
    let first = line.expect("named").trim().split([',', '-']).next();
    first.expect("one").parse().expect("a number")
}

fn what_cannot_be_run_is_named(isolation: IsolationRequest) {
    type Spoil = fn(&mut Bench);
    let cases: [(LaunchStep, &str, Spoil); 4] = [
        (LaunchStep::Exec, "/nowhere/server", |bench| {
            bench.launch.argv = vec!["/nowhere/server".to_owned()];
        }),
        (LaunchStep::Exec, "no-such-program", |bench| {
            bench.launch.argv = vec!["no-such-program".to_owned()];
        }),
        (LaunchStep::Dir, "/nowhere", |bench| {
            bench.launch.dir = "/nowhere".into()
        }),
        (LaunchStep::Log, "/nowhere/log", |bench| {
            bench.launch.log = "/nowhere/log".into()
        }),
    ];
    for (step, path, spoil) in cases {
        wait(async {
            let mut bench = Bench::new(isolation, "exit 0");
            spoil(&mut bench);
            match bench.try_start().await {
                Err(ProcessError::Launch {
                    step: failed,
                    path: of,
                    source,
                }) => {
                    assert_eq!((failed, of.as_path()), (step, path.as_ref()));
                    assert_eq!(source.kind(), std::io::ErrorKind::NotFound);
                }
                other => panic!("{other:?}"),
            }
            bench.assert_nothing_left().await;
        });
    }
}

fn samples_show_the_tree(isolation: IsolationRequest) {
    wait(async {
        // A worker, something below it, and an orphan.
        let script = "sh -c 'sleep 300 & echo ready; wait' & (sleep 300 &); wait";
        let bench = Bench::new(isolation, script);
        let mut server = bench.start_ready().await;
        use ProcessRole::{Child, Descendant, Main};
        let expected = [Main, Child, Descendant, Descendant];
        let mut roles = Vec::new();
        // An orphan is a child of its parent until that has ended.
        for _ in 0..10_000 {
            let (sample, peers) = server.sample_now().await.expect("a sample");
            assert_eq!(peers, []);
            roles = sample
                .processes
                .iter()
                .map(|process| process.role)
                .collect();
            roles.sort_unstable();
            let main = sample
                .processes
                .iter()
                .find(|process| process.pid == server.pid());
            let main = main.expect("the main process");
            assert_eq!(main.role, ProcessRole::Main);
            assert!(main.pss.expect("readable") > Bytes::new(0));
            assert!(main.rss >= main.uss.expect("readable"));
            assert_eq!(main.threads, 1);
            if roles == expected {
                break;
            }
        }
        assert_eq!(roles, expected);
        let report = server
            .stop(StopSignal::Term, PATIENCE)
            .await
            .expect("a report");
        assert_eq!(report.killed, 3);
        bench.assert_nothing_left().await;
    });
}

fn samples_come_unasked_and_none_is_lost(isolation: IsolationRequest) {
    wait(async {
        let mut bench = Bench::new(isolation, "exec sleep 300");
        bench.launch.sample_every = Some(Duration::from_millis(20));
        let mut server = bench.start().await;
        let mut times = Vec::new();
        while times.len() < 10 {
            // Futures that are dropped at any moment lose nothing.
            let next = tokio::time::timeout(Duration::from_millis(3), server.next());
            match next.await {
                Ok(Ok(ProcessEvent::Sampled { sample, .. })) => times.push(sample.at_ns),
                Ok(other) => panic!("{other:?}"),
                Err(_) => {}
            }
            let (asked, _) = server.sample_now().await.expect("a sample");
            assert_eq!(asked.processes.len(), 1);
        }
        assert!(times.is_sorted(), "{times:?}");
        // Counted from the origin, which was just before the launch.
        assert!(times[0] > 0 && times[0] < u64::try_from(PATIENCE.as_nanos()).expect("fits"));
    });
}

fn outside_connections_are_seen(isolation: IsolationRequest) {
    if tool("bash").is_none() {
        return;
    }
    wait(async {
        // To connect a UDP socket sends nothing.
        let script = "bash -c 'exec 3<>/dev/udp/127.0.0.1/9; exec 4<>/dev/udp/198.51.100.7/9; \
                      echo ready; exec sleep 300' & wait";
        let bench = Bench::new(isolation, script);
        let mut server = bench.start().await;
        until(PATIENCE, || !bench.log().is_empty())
            .await
            .expect("a word");
        if bench.log().contains("unreachable") {
            assert!(std::env::var_os("CI").is_none(), "no route to anywhere");
            println!("passed over: no route to anywhere");
            return;
        }
        let (sample, peers) = server.sample_now().await.expect("a sample");
        let worker = sample
            .processes
            .iter()
            .find(|process| process.role == ProcessRole::Child);
        let seen: Vec<_> = peers
            .iter()
            .map(|peer| {
                (
                    peer.address.to_string(),
                    peer.protocol.as_str(),
                    Some(peer.pid),
                )
            })
            .collect();
        let worker = worker.map(|worker| worker.pid);
        assert_eq!(seen, [("198.51.100.7:9".to_owned(), "udp", worker)]);
    });
}

fn log_is_bounded(isolation: IsolationRequest) {
    wait(async {
        let script = "head -c 300000 /dev/zero; : > written; while ! test -e go; do sleep 0.02; done; \
                      echo after; exec sleep 300";
        let mut bench = Bench::new(isolation, script);
        bench.launch.log_limit = Bytes::new(100_000);
        let mut server = bench.start().await;
        let size = || std::fs::metadata(&bench.launch.log).map_or(u64::MAX, |log| log.len());
        let written = bench.path().join("written");
        until(PATIENCE, || written.exists())
            .await
            .expect("it is written");
        until(PATIENCE, || size() <= 100_000)
            .await
            .expect("it is begun anew");
        std::fs::write(bench.path().join("go"), "").expect("written");
        bench.logged("after\n").await;
        // Appended at the new beginning, not behind a hole.
        assert!(size() <= 100_000);
        let report = server
            .stop(StopSignal::Term, PATIENCE)
            .await
            .expect("a report");
        assert!(report.log_truncations >= 1);
        assert!(report.log_bytes <= 300_006 && report.log_bytes > 100_000);
    });
}

fn inner_pids_are_translated(isolation: IsolationRequest) {
    wait(async {
        let bench = Bench::new(isolation, "echo $$ ready; exec sleep 300");
        let server = bench.start_ready().await;
        let log = bench.log();
        let inner: u32 = log
            .split(' ')
            .next()
            .expect("a pid")
            .parse()
            .expect("a number");
        assert_eq!(inner_pid(server.pid()), Some(inner));
        let is_namespace = server.isolation() == "pid-namespace";
        assert_eq!(inner != server.pid(), is_namespace);
        if isolation == IsolationRequest::Off {
            assert_eq!(server.isolation(), "parent-death-signal");
        }
    });
}
