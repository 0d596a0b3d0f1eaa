//! Something that runs as another user: his rights and groups, and the same sure
//! end as for what runs as root.

use autotune_process::{IsolationRequest, LaunchStep, ProcessError, RunAs, UnknownUser};
use nix::unistd::geteuid;

use crate::support::{Bench, Case, PATIENCE, until, wait};

pub(crate) const CASES: &[(&str, Case)] = &[
    (
        "a_user_has_his_own_rights_only",
        a_user_has_his_own_rights_only,
    ),
    (
        "what_runs_as_a_user_ends_with_its_supervisor",
        what_runs_as_a_user_ends_with_its_supervisor,
    ),
    (
        "what_the_user_may_not_run_is_passed_over",
        what_the_user_may_not_run_is_passed_over,
    ),
    (
        "a_folder_that_the_user_cannot_enter_is_named",
        a_folder_that_the_user_cannot_enter_is_named,
    ),
];

/// Every system has it, and it owns nothing.
const USER: &str = "nobody";

/// `None` for anybody but root, who is refused; with `CI` set this must be root.
fn another_user() -> Option<RunAs> {
    if geteuid().is_root() {
        let found = RunAs::find(USER).expect("it is there");
        return Some(found.expect("root is somebody else"));
    }
    assert!(std::env::var_os("CI").is_none(), "only root can do this");
    println!("passed over: only root can run something as another user");
    assert!(matches!(
        RunAs::find("root"),
        Err(UnknownUser::NotRoot { .. })
    ));
    None
}

fn a_user_has_his_own_rights_only(isolation: IsolationRequest) {
    let Some(user) = another_user() else { return };
    wait(async {
        let script = "grep -E '^(Uid|Gid|Groups|CapEff):' /proc/self/status; echo ready; \
                      exec sleep 300";
        let mut bench = Bench::new(isolation, script);
        bench.launch.dir = "/".into();
        let (uid, gid) = (user.uid, user.gid);
        let groups: Vec<String> = user.groups.iter().map(u32::to_string).collect();
        bench.launch.user = Some(user);
        let server = bench.start_ready().await;
        let log = bench.log();
        let line = |name: &str| {
            let line = log.lines().find_map(|line| line.strip_prefix(name));
            let words = line.unwrap_or_default().split_whitespace();
            words.collect::<Vec<_>>().join(" ")
        };
        assert_eq!(line("Uid:"), format!("{uid} {uid} {uid} {uid}"));
        assert_eq!(line("Gid:"), format!("{gid} {gid} {gid} {gid}"));
        assert_eq!(line("Groups:"), groups.join(" "));
        assert_eq!(line("CapEff:"), "0000000000000000");
        drop(server);
        bench.assert_nothing_left().await;
    });
}

/// A change of the user clears the wish to be ended with the parent.
fn what_runs_as_a_user_ends_with_its_supervisor(isolation: IsolationRequest) {
    let Some(user) = another_user() else { return };
    wait(async {
        let mut bench = Bench::new(isolation, "sleep 300 & echo ready; wait");
        bench.launch.dir = "/".into();
        bench.launch.user = Some(user);
        let server = bench.start_ready().await;
        let pid = nix::unistd::Pid::from_raw(server.supervisor_pid().try_into().expect("a pid"));
        nix::sys::signal::kill(pid, nix::sys::signal::Signal::SIGKILL).expect("it runs");
        bench.assert_nothing_left().await;
        drop(server);
    });
}

/// A shell goes on to the next folder of its PATH where it may not run what it finds.
fn what_the_user_may_not_run_is_passed_over(isolation: IsolationRequest) {
    use std::os::unix::fs::PermissionsExt;
    let Some(user) = another_user() else { return };
    wait(async {
        let mut bench = Bench::new(isolation, "");
        let closed = bench.path().join("closed");
        std::fs::create_dir(&closed).expect("a folder");
        std::fs::write(closed.join("tail"), "#!/bin/sh\necho closed\n").expect("written");
        for (path, mode) in [(closed.join("tail"), 0o755), (closed.clone(), 0o700)] {
            std::fs::set_permissions(path, PermissionsExt::from_mode(mode)).expect("set");
        }
        let path = format!("{}:/usr/bin:/bin", closed.display());
        bench.launch.env = vec![("PATH".to_owned(), autotune_model::Secret::new(path))];
        bench.launch.argv = vec![
            "tail".to_owned(),
            "-n1".to_owned(),
            "/etc/passwd".to_owned(),
        ];
        bench.launch.dir = "/".into();
        bench.launch.user = Some(user);
        let mut server = bench.start().await;
        let event = server.next().await.expect("an event");
        let expected =
            autotune_process::ProcessEvent::Exited(autotune_process::ExitStatus::Code(0));
        assert_eq!(event, expected, "{}", bench.log());
        assert!(!bench.log().contains("closed"), "{}", bench.log());
    });
}

fn a_folder_that_the_user_cannot_enter_is_named(isolation: IsolationRequest) {
    let Some(user) = another_user() else { return };
    wait(async {
        let mut bench = Bench::new(isolation, "exit 0");
        let closed = std::os::unix::fs::PermissionsExt::from_mode(0o700);
        std::fs::set_permissions(bench.path(), closed).expect("set");
        bench.launch.user = Some(user);
        let refused = bench.try_start().await;
        let Err(ProcessError::Launch { step, path, .. }) = refused else {
            panic!("{refused:?}");
        };
        assert_eq!((step, path.as_path()), (LaunchStep::Dir, bench.path()));
        let gone = until(PATIENCE, || bench.left().is_empty()).await;
        assert!(gone.is_ok());
    });
}
