//! Limits of memory, CPUs and open files that a server lives under, and the
//! control group that holds them. Where this machine lets no group be made, the
//! cases that need one say so.

use std::path::{Path, PathBuf};

use autotune_model::{Bytes, Confinement, CpuQuota, Enforcement, HostLimits, LimitMeans};
use autotune_process::{
    ExitStatus, IsolationRequest, ProcessEvent, StopReport, StopSignal, Supervised, end_strays,
    find_means,
};
use nix::sys::signal::Signal;

use crate::loss::{Program, send};
use crate::support::{Bench, Case, PATIENCE, SURE_END, left, parent, until, wait};

pub(crate) const CASES: &[(&str, Case)] = &[
    ("the_kernel_ends_what_takes_more_memory", memory_is_limited),
    ("a_worker_is_counted_too", a_worker_is_counted),
    ("a_kill_by_others_is_not_counted", a_kill_is_not_counted),
    ("all_of_the_tree_is_in_the_group", the_tree_is_in_the_group),
    ("the_group_goes_with_the_program", the_group_goes),
    (
        "the_next_start_removes_the_group_of_a_killed_run",
        the_next_start_removes_it,
    ),
    ("open_files_are_limited", open_files_are_limited),
];

/// Takes memory until there is none, as fast as it can.
const GREEDY: &str = "tail /dev/zero";

pub(crate) fn limits() -> HostLimits {
    HostLimits {
        memory: Some(Bytes::new(48 << 20)),
        cpus: CpuQuota::new(1.5),
        files: None,
    }
}

/// These limits with what keeps them here; `None` where nothing does.
pub(crate) async fn confinement(limits: &HostLimits) -> Option<Confinement> {
    let enforcement = find_means(limits).await.expect("a supervisor can be run");
    if let Some(reason) = enforcement.refusal() {
        println!("passed over: {reason}");
        return None;
    }
    Some(Confinement {
        limits: limits.clone(),
        enforcement,
    })
}

/// A script under the limits; `None` where they cannot be kept here.
async fn confined(isolation: IsolationRequest, script: &str) -> Option<Bench> {
    let mut bench = Bench::new(isolation, script);
    bench.launch.confinement = confinement(&limits()).await?;
    Some(bench)
}

async fn stop(server: &mut Supervised) -> StopReport {
    let stopped = server.stop(StopSignal::Kill, PATIENCE).await;
    stopped.expect("a report")
}

/// Folders of groups with this marker, found without the code that is tested.
fn groups(marker: &str) -> Vec<PathBuf> {
    let name = marker.replace(':', "-");
    let mut found = Vec::new();
    let mut folders = vec![PathBuf::from("/sys/fs/cgroup")];
    while let Some(folder) = folders.pop() {
        let entries = std::fs::read_dir(&folder).into_iter().flatten().flatten();
        for entry in entries.filter(|entry| entry.file_type().is_ok_and(|kind| kind.is_dir())) {
            let is_ours = entry.file_name().to_string_lossy().starts_with(&name);
            match is_ours {
                true => found.push(entry.path()),
                false => folders.push(entry.path()),
            }
        }
    }
    found
}

fn memory_is_limited(isolation: IsolationRequest) {
    wait(async {
        let Some(bench) = confined(isolation, &format!("exec {GREEDY}")).await else {
            return;
        };
        let mut server = bench.start().await;
        let event = server.next().await.expect("an event");
        assert_eq!(event, ProcessEvent::Exited(ExitStatus::Signal(9)));
        let report = stop(&mut server).await;
        assert!(report.oom_kills >= Some(1), "{report:?}");
        assert_eq!(report.groups_left, [""; 0]);
        assert_eq!(
            groups(bench.launch.marker.as_str()),
            [""; 0].map(PathBuf::from)
        );
    });
}

fn a_worker_is_counted(isolation: IsolationRequest) {
    wait(async {
        let script = format!("{GREEDY}; echo ended; exec sleep 300");
        let Some(bench) = confined(isolation, &script).await else {
            return;
        };
        let mut server = bench.start().await;
        bench.logged("ended").await;
        let report = stop(&mut server).await;
        assert!(report.oom_kills >= Some(1), "{report:?}");
    });
}

fn a_kill_is_not_counted(isolation: IsolationRequest) {
    wait(async {
        let Some(bench) = confined(isolation, "echo ready; exec sleep 300").await else {
            return;
        };
        let mut server = bench.start_ready().await;
        send(server.pid(), Signal::SIGKILL);
        let event = server.next().await.expect("an event");
        assert_eq!(event, ProcessEvent::Exited(ExitStatus::Signal(9)));
        assert_eq!(stop(&mut server).await.oom_kills, Some(0));
    });
}

fn the_tree_is_in_the_group(isolation: IsolationRequest) {
    wait(async {
        let script = "sleep 300 & (setsid sh -c 'echo ready; exec sleep 300' &); wait";
        let Some(bench) = confined(isolation, script).await else {
            return;
        };
        let mut server = bench.start_ready().await;
        let marker = bench.launch.marker.as_str();
        let keeper = parent(server.pid()).expect("a parent");
        let mut tree = left(marker);
        tree.retain(|pid| ![server.supervisor_pid(), keeper].contains(pid));
        assert!(tree.len() >= 3, "{tree:?}");
        let found = groups(marker);
        assert!(!found.is_empty());
        for group in &found {
            let procs = read(&group.join("cgroup.procs")).expect("a list");
            let mut inside: Vec<u32> = procs.lines().flat_map(str::parse).collect();
            inside.sort_unstable();
            tree.sort_unstable();
            assert_eq!(inside, tree, "{}", group.display());
        }
        let held = |files: [&str; 2]| {
            let read = |file: &&str| found.iter().find_map(|group| read(&group.join(file)));
            files
                .iter()
                .find_map(read)
                .map(|text| text.trim().to_owned())
        };
        let memory = held(["memory.limit_in_bytes", "memory.max"]);
        assert_eq!(memory, Some((48 << 20).to_string()));
        let cpu = held(["cpu.cfs_quota_us", "cpu.max"]).expect("a quota");
        assert!(["150000", "150000 100000"].contains(&cpu.as_str()), "{cpu}");
        stop(&mut server).await;
        assert_eq!(groups(marker), [""; 0].map(PathBuf::from));
    });
}

fn read(path: &Path) -> Option<String> {
    std::fs::read_to_string(path).ok()
}

fn can_make_groups() -> bool {
    wait(async {
        let found = confinement(&limits()).await;
        found.is_some_and(|one| one.enforcement == Enforcement::By(LimitMeans::Cgroup))
    })
}

fn the_group_goes(isolation: IsolationRequest) {
    if !can_make_groups() {
        return;
    }
    let bench = Bench::new(isolation, "");
    let mut program = Program::start(isolation, &bench);
    assert!(!groups(&program.marker).is_empty());
    program.child.kill().expect("killed");
    program.child.wait().expect("reaped");
    let gone = wait(until(SURE_END, || groups(&program.marker).is_empty()));
    assert!(gone.is_ok(), "still there: {:?}", groups(&program.marker));
}

fn the_next_start_removes_it(isolation: IsolationRequest) {
    if !can_make_groups() {
        return;
    }
    wait(async {
        let bystander = confined(isolation, "echo ready; exec sleep 300").await;
        let bystander = bystander.expect("groups can be made");
        let mut other = bystander.start_ready().await;
        let bench = Bench::new(isolation, "");
        let mut program = Program::start(isolation, &bench);
        let keeper = parent(program.main).expect("a parent");
        program.kill_at_once(&[program.child.id(), program.supervisor, keeper]);
        assert!(
            !groups(&program.marker).is_empty(),
            "nobody was left to remove it"
        );
        end_strays().expect("they end");
        assert_eq!(groups(&program.marker), [""; 0].map(PathBuf::from));
        assert!(!groups(bystander.launch.marker.as_str()).is_empty());
        stop(&mut other).await;
    });
}

fn open_files_are_limited(isolation: IsolationRequest) {
    wait(async {
        let script = "echo soft $(ulimit -Sn) hard $(ulimit -Hn); echo ready; exec sleep 300";
        let mut bench = Bench::new(isolation, script);
        bench.launch.confinement.limits.files = Some(77);
        let mut server = bench.start_ready().await;
        assert!(bench.log().contains("soft 77 hard 77"), "{}", bench.log());
        assert_eq!(stop(&mut server).await.oom_kills, None);
    });
}
