//! What is not about one isolation: commands run to their end, strays, other
//! users, other supervisors.

use std::os::unix::fs::PermissionsExt;
use std::os::unix::process::CommandExt;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::sync::OnceLock;
use std::time::Duration;

use autotune_process::{
    ExitStatus, IsolationRequest, MARKER_VARIABLE, Marker, Owner, ProcessError, Supervised,
    SupervisorSetup, end_strays, run_to_end,
};

use crate::helper;
use crate::support::{Bench, Case, PATIENCE, tool, wait};

const NOBODY: u32 = 65534;

pub(crate) const CASES: &[(&str, Case)] = &[
    ("commands_run_to_their_end", commands_run_to_their_end),
    (
        "commands_that_take_too_long_are_ended",
        commands_that_take_too_long_are_ended,
    ),
    (
        "strays_are_ended_only_when_their_owner_is_dead",
        strays_of_dead_owners_only,
    ),
    (
        "namespaces_are_used_where_they_can_be_made",
        namespaces_are_used_where_possible,
    ),
    (
        "namespaces_of_a_user_are_used_where_they_can_be_made",
        namespaces_of_a_user,
    ),
    (
        "a_namespace_that_is_refused_is_done_without",
        a_namespace_that_is_refused_is_done_without,
    ),
    (
        "a_namespace_without_its_own_proc_is_done_without",
        a_namespace_without_its_own_proc_is_done_without,
    ),
    (
        "without_permission_the_users_systemd_is_asked",
        the_users_systemd_is_asked,
    ),
    (
        "a_newer_supervisor_is_refused",
        a_newer_supervisor_is_refused,
    ),
    (
        "what_is_no_supervisor_is_an_error",
        what_is_no_supervisor_is_an_error,
    ),
    (
        "a_supervisor_without_socket_ends",
        a_supervisor_without_socket_ends,
    ),
];

fn commands_run_to_their_end(_: IsolationRequest) {
    wait(async {
        let bench = Bench::new(IsolationRequest::Auto, "sleep 300 & exit 4");
        let finished = run_to_end(&bench.launch, PATIENCE).await.expect("it runs");
        assert_eq!(finished.exit, Some(ExitStatus::Code(4)));
        assert!(!finished.timed_out);
        bench.assert_nothing_left().await;
    });
}

fn commands_that_take_too_long_are_ended(_: IsolationRequest) {
    wait(async {
        let limit = Duration::from_millis(50);
        let bench = Bench::new(IsolationRequest::Auto, "exec sleep 300");
        let finished = run_to_end(&bench.launch, limit).await.expect("it runs");
        assert_eq!(finished.exit, Some(ExitStatus::Signal(15)));
        assert!(finished.timed_out && finished.took >= limit);
        bench.assert_nothing_left().await;
    });
}

fn strays_of_dead_owners_only(_: IsolationRequest) {
    let me = Owner::this_process().expect("readable");
    // This pid, but another process that had it before.
    let dead = Owner {
        start_time: me.start_time - 1,
        ..me
    };
    let elsewhere = Owner {
        namespace: me.namespace + 1,
        ..dead
    };
    let start = |owner: Owner| {
        let marker = Marker::for_owner(owner).expect("a marker");
        let mut command = Command::new("sleep");
        command
            .arg("300")
            .env(MARKER_VARIABLE, marker.as_str())
            .stdin(Stdio::null());
        command.spawn().expect("it starts")
    };
    let mut stray = start(dead);
    let mut others = [start(me), start(elsewhere)];
    // Who ended it may be another test that looks for strays at the same time.
    end_strays().expect("they end");
    let status = stray.wait().expect("reaped");
    assert!(!status.success());
    for other in &mut others {
        let ended = other.try_wait().expect("readable");
        other.kill().expect("killed");
        other.wait().expect("reaped");
        assert_eq!(ended, None);
    }
}

/// Whether `unshare` can make what the keeper needs.
fn can_unshare(unshare: &Path, arguments: &[&str], user: Option<u32>) -> bool {
    let mut command = Command::new(unshare);
    command
        .args(arguments)
        .args(["--pid", "--fork", "--mount-proc", "true"]);
    command
        .stdin(Stdio::null())
        .stdout(Stdio::null())
        .stderr(Stdio::null());
    if let Some(id) = user {
        command.uid(id).gid(id);
    }
    command.status().is_ok_and(|status| status.success())
}

fn namespaces_are_used_where_possible(_: IsolationRequest) {
    let Some(unshare) = tool("unshare") else {
        return;
    };
    let arguments: &[&str] = if nix::unistd::geteuid().is_root() {
        &[]
    } else {
        &["--user", "--map-current-user"]
    };
    let expected = if can_unshare(&unshare, arguments, None) {
        "pid-namespace"
    } else {
        "parent-death-signal"
    };
    wait(async {
        let bench = Bench::new(IsolationRequest::Auto, "exec sleep 300");
        assert_eq!(bench.start().await.isolation(), expected);
    });
}

fn namespaces_of_a_user(_: IsolationRequest) {
    let Some(unshare) = tool("unshare") else {
        return;
    };
    if !nix::unistd::geteuid().is_root() {
        println!("passed over: the other tests run as a user already");
        return;
    }
    let can = can_unshare(&unshare, &["--user", "--map-current-user"], Some(NOBODY));
    let expected = if can {
        "pid-namespace"
    } else {
        "parent-death-signal"
    };
    let mut command = Command::new(program("this"));
    command.arg(helper::ISOLATION).uid(NOBODY).gid(NOBODY);
    says(command, expected);
}

/// As in a container without the right to make namespaces.
fn a_namespace_that_is_refused_is_done_without(_: IsolationRequest) {
    let Some(setpriv) = tool("setpriv").filter(|_| is_root()) else {
        return;
    };
    let mut command = Command::new(setpriv);
    command
        .arg("--bounding-set=-sys_admin")
        .arg(std::env::current_exe().expect("a path"));
    command.arg(helper::ISOLATION);
    says(command, "parent-death-signal");
}

/// As in a container that hides parts of `/proc`: a user may make the namespace,
/// but not mount a `/proc` that would show them.
fn a_namespace_without_its_own_proc_is_done_without(_: IsolationRequest) {
    let (Some(unshare), Some(setpriv), Some(_)) = (
        tool("unshare"),
        tool("setpriv"),
        tool("mount").filter(|_| is_root()),
    ) else {
        return;
    };
    let script = format!(
        "mount -t tmpfs none /proc/sys/fs && exec {} --reuid {NOBODY} --regid {NOBODY} \
         --clear-groups {} {}",
        setpriv.display(),
        program("this").display(),
        helper::ISOLATION
    );
    let mut command = Command::new(unshare);
    command.args(["--mount", "sh", "-c", &script]);
    says(command, "parent-death-signal");
}

fn is_root() -> bool {
    let is_root = nix::unistd::geteuid().is_root();
    if !is_root {
        println!("passed over: only root can take rights away");
    }
    is_root
}

/// Programs that are written before any test runs: while a process is being
/// made, it holds every open file, and a program that is open for writing cannot
/// be run.
pub(crate) struct Programs {
    folder: tempfile::TempDir,
}

static PROGRAMS: OnceLock<PathBuf> = OnceLock::new();

impl Programs {
    /// Removed when this is dropped, after all tests.
    pub(crate) fn write() -> Self {
        let folder = tempfile::tempdir().expect("a folder");
        let programs = Self { folder };
        programs.open("", None);
        // This program may stand where only root may look.
        let exe = std::env::current_exe().expect("a path");
        programs.open("this", Some(std::fs::read(exe).expect("readable")));
        // Standard input is the socket, and the greeting is 23 bytes long.
        let greets = "#!/bin/sh\nhead -c 4 >/dev/null\nprintf '\\000\\000\\000\\027{\"hello\":{\"version\":9}}' >&0\n";
        programs.open("newer", Some(greets.into()));
        // Takes the place of systemd's tool: it makes no scope, but runs what it is
        // told to only when it is asked for the limits.
        let scope = "#!/bin/sh\n[ \"$1\" = --version ] && echo 'systemd 252 (2)' && exit\n\
            case \"$*\" in *MemoryMax=50331648*CPUQuota=150%*) ;; *) exit 3 ;; esac\n\
            while [ \"$1\" != -- ]; do shift; done\nshift\nexec \"$@\"\n";
        programs.open("systemd-run", Some(scope.into()));
        let path = programs.folder.path().to_owned();
        PROGRAMS.set(path).expect("written once");
        programs
    }

    fn open(&self, name: &str, content: Option<Vec<u8>>) {
        let path = self.folder.path().join(name);
        if let Some(content) = content {
            std::fs::write(&path, content).expect("written");
        }
        let mode = std::fs::Permissions::from_mode(0o755);
        std::fs::set_permissions(path, mode).expect("set");
    }
}

fn program(name: &str) -> PathBuf {
    PROGRAMS.get().expect("written by main").join(name)
}

/// Runs the helper and compares what it says: isolation, whether memory can be
/// read, and how many processes had to be killed.
fn says(mut command: Command, isolation: &str) {
    let output = command.stdin(Stdio::null()).output().expect("it runs");
    let stdout = String::from_utf8_lossy(&output.stdout);
    assert_eq!(stdout.trim(), format!("{isolation} true 0"), "{output:?}");
}

/// A user may make no group; what the machine itself has of systemd is hidden.
fn the_users_systemd_is_asked(_: IsolationRequest) {
    if !is_root() {
        return;
    }
    let asked = |path: &Path| {
        let mut command = Command::new(program("this"));
        command.arg(helper::MEANS).uid(NOBODY).gid(NOBODY);
        command.env("PATH", path).stdin(Stdio::null());
        let output = command.output().expect("it runs");
        String::from_utf8_lossy(&output.stdout).into_owned()
    };
    let folder = program("systemd-run");
    let folder = folder.parent().expect("a folder");
    let path = [folder, "/usr/bin".as_ref(), "/bin".as_ref()];
    let path = std::env::join_paths(path).expect("paths");
    let found = asked(path.as_ref());
    // The supervisor ran in what is no scope, and saw that nothing limits it.
    let words = "systemd-run --user --scope: cannot limit memory and CPUs by the cgroup";
    assert!(
        found.starts_with("not kept: ") && found.contains(words),
        "{found}"
    );
    let found = asked("/nowhere".as_ref());
    let words = "no scope can be made: systemd-run cannot be run";
    assert!(
        found.starts_with("not kept: ") && found.contains(words),
        "{found}"
    );
}

/// A program that answers with a greeting of another version.
fn a_newer_supervisor_is_refused(_: IsolationRequest) {
    wait(async {
        let bench = Bench::new(IsolationRequest::Auto, "exit 0");
        let setup = SupervisorSetup {
            exe: program("newer"),
            isolation: IsolationRequest::Auto,
        };
        let launched = Supervised::launch_with(&bench.launch, &setup).await;
        match launched {
            Err(error @ ProcessError::Version { ours: 2, theirs: 9 }) => {
                assert!(error.to_string().contains("version 9"), "{error}");
            }
            other => panic!("{other:?}"),
        }
    });
}

fn what_is_no_supervisor_is_an_error(_: IsolationRequest) {
    wait(async {
        let bench = Bench::new(IsolationRequest::Auto, "exit 0");
        let with = |exe: &str| SupervisorSetup {
            exe: exe.into(),
            ..SupervisorSetup::default()
        };
        let launched = Supervised::launch_with(&bench.launch, &with("/bin/false")).await;
        match launched {
            Err(ProcessError::SupervisorLost { how, .. }) => assert_eq!(how, "exit status: 1"),
            other => panic!("{other:?}"),
        }
        let launched = Supervised::launch_with(&bench.launch, &with("/nowhere")).await;
        assert!(
            matches!(launched, Err(ProcessError::StartSupervisor { .. })),
            "{launched:?}"
        );
    });
}

fn a_supervisor_without_socket_ends(_: IsolationRequest) {
    let exe = std::env::current_exe().expect("a path");
    let status = Command::new(exe)
        .arg("__supervise")
        .stdin(Stdio::null())
        .status();
    assert_eq!(status.expect("it runs").code(), Some(1));
}
