//! Turns a new process into the server: its group, descriptors, CPUs, limits,
//! folder, signals, and last its program. The preparation that can fail early or
//! needs memory is done before the process is made.

use std::convert::Infallible;
use std::ffi::{CString, NulError};
use std::fs::{File, OpenOptions};
use std::io;
use std::os::fd::BorrowedFd;
use std::os::unix::fs::OpenOptionsExt;
use std::path::{Path, PathBuf};

use nix::errno::Errno;
use nix::sys::resource::{Resource, getrlimit, setrlimit};
use nix::sys::signal::{SigSet, Signal};
use nix::unistd::{AccessFlags, Gid, Pid, Uid};

use super::report::{Report, tell};
use crate::cgroup::{Group, name_of};
use crate::error::LaunchStep;
use crate::marker::MARKER_VARIABLE;
use crate::sys;
use crate::wire::{WireGroup, WireLaunch, WireUser};

/// More open files than the kernel allows a process by default. Old programs go
/// through all possible descriptors one by one, which takes minutes where the
/// hard limit is a thousand times that.
const MOST_FILES: u64 = 1 << 20;

/// A step that failed, with what it was tried on.
#[derive(Debug)]
pub(crate) struct Fault {
    pub(crate) step: LaunchStep,
    pub(crate) path: PathBuf,
    pub(crate) errno: i32,
}

/// All that the new process needs.
#[derive(Debug)]
pub(crate) struct Prepared {
    /// Where the program may be, in the order to try. What this process may run, a
    /// user may not.
    programs: Vec<CString>,
    argv: Vec<CString>,
    env: Vec<CString>,
    dir: PathBuf,
    cpus: Option<nix::sched::CpuSet>,
    files: Option<u64>,
    user: Option<WireUser>,
    pub(crate) own_ipc: bool,
    pub(crate) null: File,
    pub(crate) log: File,
    pub(crate) group: Group,
}

impl Prepared {
    /// Opens the log, finds the program, and last makes the group.
    pub(crate) fn new(launch: &WireLaunch) -> Result<Self, Fault> {
        let log = Path::new(&launch.log);
        let fault = |step, path: &Path, error: &io::Error| Fault {
            step,
            path: path.to_owned(),
            errno: error.raw_os_error().unwrap_or(Errno::EINVAL as i32),
        };
        // Programs print secrets, and the way here may be open to everybody.
        let log_file = OpenOptions::new()
            .append(true)
            .mode(0o600)
            .create(true)
            .open(log)
            .map_err(|error| fault(LaunchStep::Log, log, &error))?;
        let null = Path::new("/dev/null");
        let null_file = File::open(null).map_err(|error| fault(LaunchStep::Log, null, &error))?;
        let programs = find_programs(launch);
        let program = programs.first().cloned().unwrap_or_default();
        let text = |error: NulError| fault(LaunchStep::Exec, &program, &error.into());
        let bytes = programs
            .iter()
            .map(|program| program.as_os_str().as_encoded_bytes());
        Ok(Self {
            programs: bytes
                .map(CString::new)
                .collect::<Result<_, _>>()
                .map_err(text)?,
            argv: c_strings(launch.argv.iter().cloned()).map_err(text)?,
            env: c_strings(
                launch
                    .env
                    .iter()
                    .map(|(name, value)| format!("{name}={value}")),
            )
            .map_err(text)?,
            dir: PathBuf::from(&launch.dir),
            cpus: cpu_set(launch.cpus.as_deref()).map_err(|errno| Fault {
                step: LaunchStep::Cpus,
                path: program.clone(),
                errno: errno as i32,
            })?,
            files: launch.confinement.open_files,
            user: launch.user.clone(),
            own_ipc: launch.own_ipc,
            null: null_file,
            log: log_file,
            group: group(launch)?,
        })
    }

    /// What a step was tried on, for people.
    pub(crate) fn subject(&self, step: LaunchStep) -> PathBuf {
        match step {
            LaunchStep::Dir => self.dir.clone(),
            LaunchStep::Group => self.group.folder(),
            _ => {
                let first = self.programs.first();
                first.map_or_else(PathBuf::new, |first| {
                    PathBuf::from(first.to_string_lossy().as_ref())
                })
            }
        }
    }

    /// Becomes the server. Returns only what failed.
    pub(crate) fn run(&self, report: BorrowedFd<'_>, leash: Option<Pid>) -> (LaunchStep, Errno) {
        match self.try_run(report, leash) {
            Err(failed) => failed,
            Ok(never) => match never {},
        }
    }

    fn try_run(
        &self,
        report: BorrowedFd<'_>,
        leash: Option<Pid>,
    ) -> Result<Infallible, (LaunchStep, Errno)> {
        let at = |step| move |errno| (step, errno);
        // A group of its own, so that the server can signal its workers by it.
        nix::unistd::setpgid(Pid::from_raw(0), Pid::from_raw(0)).map_err(at(LaunchStep::Fork))?;
        // What only root may do is done before it is given up, and the wish to be
        // ended with the keeper is told after: a change of the user clears it.
        let (_, hard) = getrlimit(Resource::RLIMIT_NOFILE).map_err(at(LaunchStep::Limits))?;
        setrlimit(Resource::RLIMIT_NOFILE, hard.min(MOST_FILES), hard)
            .map_err(at(LaunchStep::Limits))?;
        if let Some(user) = &self.user {
            become_user(user).map_err(at(LaunchStep::User))?;
        }
        if let Some(keeper) = leash {
            nix::sys::prctl::set_pdeathsig(Signal::SIGKILL).map_err(at(LaunchStep::Fork))?;
            // The keeper may have ended before the call.
            if nix::unistd::getppid() != keeper {
                return Err((LaunchStep::Fork, Errno::ESRCH));
            }
        }
        nix::unistd::dup2_stdin(&self.null).map_err(at(LaunchStep::Fork))?;
        nix::unistd::dup2_stdout(&self.log).map_err(at(LaunchStep::Log))?;
        nix::unistd::dup2_stderr(&self.log).map_err(at(LaunchStep::Log))?;
        if let Some(cpus) = &self.cpus {
            nix::sched::sched_setaffinity(Pid::from_raw(0), cpus).map_err(at(LaunchStep::Cpus))?;
        }
        limit_files(self.files).map_err(at(LaunchStep::Limits))?;
        // From here on all that this process makes is in the group, too.
        self.group.enter().map_err(at(LaunchStep::Group))?;
        nix::unistd::chdir(&self.dir).map_err(at(LaunchStep::Dir))?;
        tell(report, Report::Here);
        sys::default_signals().map_err(at(LaunchStep::Fork))?;
        SigSet::empty()
            .thread_set_mask()
            .map_err(at(LaunchStep::Fork))?;
        let mut why = Errno::ENOENT;
        for program in &self.programs {
            match nix::unistd::execve(program, &self.argv, &self.env) {
                Ok(never) => match never {},
                // As a shell does, which goes on to the next folder.
                Err(Errno::EACCES) => why = Errno::EACCES,
                Err(errno) => return Err((LaunchStep::Exec, errno)),
            }
        }
        Err((LaunchStep::Exec, why))
    }
}

/// Both limits are the wanted one, as in a container that is started with it.
/// Where none is wanted, as many as this user may have.
fn limit_files(wanted: Option<u64>) -> nix::Result<()> {
    let (_, hard) = getrlimit(Resource::RLIMIT_NOFILE)?;
    match wanted {
        Some(files) => setrlimit(Resource::RLIMIT_NOFILE, files, files),
        None => setrlimit(Resource::RLIMIT_NOFILE, hard.min(MOST_FILES), hard),
    }
}

/// The group that the launch asks for; one without folders where it asks for none.
fn group(launch: &WireLaunch) -> Result<Group, Fault> {
    let limits = launch.confinement.limits();
    let made = match launch.confinement.group {
        WireGroup::None => return Ok(Group::default()),
        WireGroup::Own => Group::own(&limits),
        WireGroup::Make => {
            let marker = launch.env.iter().find(|(name, _)| name == MARKER_VARIABLE);
            let marker = marker.map_or("", |(_, marker)| marker.as_str());
            Group::make(&name_of(marker, std::process::id()), &limits)
        }
    };
    made.map_err(|fault| Fault {
        step: LaunchStep::Group,
        errno: fault.source.raw_os_error().unwrap_or(Errno::EIO as i32),
        path: fault.path,
    })
}

/// Groups first: without root's rights they could not be changed any more.
fn become_user(user: &WireUser) -> nix::Result<()> {
    let groups: Vec<Gid> = user.groups.iter().copied().map(Gid::from_raw).collect();
    let (uid, gid) = (Uid::from_raw(user.uid), Gid::from_raw(user.gid));
    nix::unistd::setgroups(&groups)?;
    nix::unistd::setresgid(gid, gid, gid)?;
    nix::unistd::setresuid(uid, uid, uid)
}

fn c_strings(texts: impl Iterator<Item = String>) -> Result<Vec<CString>, NulError> {
    texts.map(CString::new).collect()
}

fn cpu_set(cpus: Option<&[usize]>) -> nix::Result<Option<nix::sched::CpuSet>> {
    let Some(cpus) = cpus else {
        return Ok(None);
    };
    let mut set = nix::sched::CpuSet::new();
    for cpu in cpus {
        set.set(*cpu)?;
    }
    Ok(Some(set))
}

/// The program as it is to be run, at least one. A name without slash is looked up
/// in the `PATH` of the server, not of this program; where it is not found it stays
/// as it is, and running it gives the error.
fn find_programs(launch: &WireLaunch) -> Vec<PathBuf> {
    let name = launch.argv.first().map(String::as_str).unwrap_or_default();
    if name.contains('/') {
        return vec![PathBuf::from(name)];
    }
    let path = launch.env.iter().rev().find(|(name, _)| name == "PATH");
    let mut found: Vec<PathBuf> = path
        .iter()
        .flat_map(|(_, folders)| folders.split(':'))
        .map(|folder| Path::new(&launch.dir).join(folder).join(name))
        .filter(|file| file.is_file() && nix::unistd::access(file, AccessFlags::X_OK).is_ok())
        .collect();
    if found.is_empty() {
        found.push(PathBuf::from(name));
    }
    found
}

#[cfg(test)]
mod tests {
    use super::*;

    fn launch(argv: &str, path: Option<&str>) -> WireLaunch {
        WireLaunch {
            argv: vec![argv.to_owned()],
            env: path
                .map(|path| ("PATH".to_owned(), path.to_owned()))
                .into_iter()
                .collect(),
            dir: "/usr".to_owned(),
            log: "/dev/null".to_owned(),
            log_limit_bytes: 0,
            cpus: None,
            confinement: crate::wire::WireConfinement::of(&autotune_model::Confinement::default()),
            user: None,
            own_ipc: false,
            sample_every_us: None,
            origin_monotonic_ns: 0,
            isolate: false,
        }
    }

    #[test]
    fn programs_are_found_by_the_servers_path() {
        let check = |argv: &str, path: Option<&str>, expected: &str| {
            let found = find_programs(&launch(argv, path));
            assert_eq!(
                found.first().map(PathBuf::as_path),
                Some(Path::new(expected))
            );
        };
        check("sh", Some("/nowhere:/bin"), "/bin/sh");
        check("sh", Some("bin"), "/usr/bin/sh");
        check("sh", None, "sh");
        check("sh", Some("/etc"), "sh");
        check("bin/sh", Some("/bin"), "bin/sh");
        check("passwd", Some("/etc"), "passwd");
    }

    #[test]
    fn what_cannot_be_prepared_is_named() {
        let mut bad = launch("sh", None);
        bad.log = "/nowhere/log".to_owned();
        let fault = Prepared::new(&bad).expect_err("no such folder");
        assert_eq!(
            (fault.step, fault.errno),
            (LaunchStep::Log, Errno::ENOENT as i32)
        );
        assert_eq!(fault.path, Path::new("/nowhere/log"));
        let fault = Prepared::new(&launch("a\0b", None)).expect_err("not a C string");
        assert_eq!(
            (fault.step, fault.errno),
            (LaunchStep::Exec, Errno::EINVAL as i32)
        );
        let mut bad = launch("sh", None);
        bad.cpus = Some(vec![1 << 20]);
        let fault = Prepared::new(&bad).expect_err("no such CPU");
        assert_eq!(fault.step, LaunchStep::Cpus);
    }
}
