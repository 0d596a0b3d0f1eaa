//! A private place for one test: folders, environment, the program started in
//! it, and the proof that nothing is left at the end.

use std::fs::{self, File};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, ExitStatus, Stdio};
use std::sync::atomic::{AtomicU32, Ordering};
use std::time::{Duration, Instant};

use nix::sys::signal::{Signal, kill};
use nix::unistd::Pid;
use tempfile::TempDir;

use crate::processes;

/// Longer than any command of these tests takes on a busy machine.
pub(crate) const PATIENCE: Duration = Duration::from_secs(240);
/// After so many looks nothing may be left, however the program ended: three
/// seconds with [`PAUSE`] between them. A busy machine delays the looks as it does
/// the ends, so that counting them is fairer than the clock.
pub(crate) const LOOKS: u32 = 300;
/// Between looks at what nobody tells the end of.
pub(crate) const PAUSE: Duration = Duration::from_millis(10);

/// Folders of one test; everything the program may write is below them.
pub(crate) struct Place {
    root: TempDir,
    variables: Vec<(String, String)>,
    started: AtomicU32,
}

impl Place {
    pub(crate) fn new() -> Self {
        let root = tempfile::tempdir().expect("a folder");
        for folder in ["home", "cache", "tmp", "work/app", "loaded"] {
            fs::create_dir_all(root.path().join(folder)).expect("a folder");
        }
        Self {
            root,
            variables: Vec::new(),
            started: AtomicU32::new(0),
        }
    }

    /// The working directory, with the grid file, `app/` and `results/`.
    pub(crate) fn work(&self) -> PathBuf {
        self.root.path().join("work")
    }

    /// Where servers say that they are under load.
    pub(crate) fn loaded(&self) -> PathBuf {
        self.root.path().join("loaded")
    }

    pub(crate) fn path(&self, name: &str) -> PathBuf {
        self.root.path().join(name)
    }

    /// Writes a file below the working directory.
    pub(crate) fn write(&self, name: &str, text: &str) {
        fs::write(self.work().join(name), text).expect("written");
    }

    /// A variable that the program will see from now on.
    pub(crate) fn variable(&mut self, name: &str, value: &str) {
        self.variables.retain(|(have, _)| have != name);
        self.variables.push((name.to_owned(), value.to_owned()));
    }

    /// Starts the program.
    pub(crate) fn start(&self, words: &[&str]) -> Running {
        self.start_under(&[], words)
    }

    /// Starts another program, which is given ours and its arguments and becomes it.
    pub(crate) fn start_under(&self, wrapper: &[&str], words: &[&str]) -> Running {
        let number = self.started.fetch_add(1, Ordering::Relaxed);
        let file = |name| {
            let path = self.path(&format!("{name}-{number}"));
            (File::create(&path).expect("a file"), path)
        };
        let ((stdout, stdout_path), (stderr, stderr_path)) = (file("stdout"), file("stderr"));
        let all = [wrapper, &[env!("CARGO_BIN_EXE_autotune")], words].concat();
        let mut command = Command::new(all[0]);
        command
            .args(&all[1..])
            .current_dir(self.work())
            .env_clear()
            .envs(std::env::vars().filter(|(name, _)| is_kept(name)))
            .env("HOME", self.path("home"))
            .env("XDG_CACHE_HOME", self.path("cache"))
            // The lock that keeps two sweeps of a machine apart lies there, too.
            .env("TMPDIR", self.path("tmp"))
            .envs(self.variables.iter().cloned())
            .stdin(Stdio::null())
            .stdout(stdout)
            .stderr(stderr);
        Running {
            child: command.spawn().expect("the program starts"),
            outputs: (stdout_path, stderr_path),
        }
    }

    /// Runs the program to its end. Nothing that it started is left soon after.
    pub(crate) fn run(&self, words: &[&str]) -> Done {
        self.start(words).finish()
    }
}

impl Drop for Place {
    fn drop(&mut self) {
        if !std::thread::panicking() {
            let left = processes::mentioning(self.root.path());
            assert!(left.is_empty(), "left running: {left:#?}");
        }
    }
}

/// What pip and Python need to find packages; nothing else gets in.
fn is_kept(name: &str) -> bool {
    let upper = name.to_uppercase();
    upper == "PATH"
        || upper.starts_with("PIP_")
        || upper.starts_with("SSL_CERT_")
        || upper.ends_with("_CERT")
        || upper.ends_with("_PROXY")
        || upper.contains("INDEX")
}

/// A program that runs.
pub(crate) struct Running {
    child: Child,
    outputs: (PathBuf, PathBuf),
}

impl Running {
    pub(crate) fn pid(&self) -> u32 {
        self.child.id()
    }

    pub(crate) fn signal(&self, signal: Signal) {
        let pid = i32::try_from(self.pid()).expect("a pid");
        // Not waited for yet, so the pid is still its own.
        kill(Pid::from_raw(pid), signal).expect("it can be signalled");
    }

    /// Its end, if it has come.
    pub(crate) fn ended(&mut self) -> Option<ExitStatus> {
        self.child.try_wait().expect("it is our child")
    }

    pub(crate) fn stderr(&self) -> String {
        read(&self.outputs.1)
    }

    /// Waits for its end. Nothing that it started is left soon after: a
    /// supervisor whose program ends in the middle of its work sees that at once.
    pub(crate) fn finish(mut self) -> Done {
        let done = self.wait();
        let mut left = processes::marked_by(done.pid);
        for _ in 0..LOOKS {
            if left.is_empty() {
                break;
            }
            std::thread::sleep(PAUSE);
            left = processes::marked_by(done.pid);
        }
        assert!(left.is_empty(), "left running: {left:#?}\n{done:?}");
        done
    }

    /// Waits for its end.
    pub(crate) fn wait(&mut self) -> Done {
        let until = Instant::now() + PATIENCE;
        let status = loop {
            if let Some(status) = self.ended() {
                break status;
            }
            assert!(
                Instant::now() < until,
                "does not end:\n{}",
                read(&self.outputs.1)
            );
            std::thread::sleep(PAUSE);
        };
        Done {
            pid: self.pid(),
            code: status.code(),
            stdout: read(&self.outputs.0),
            stderr: read(&self.outputs.1),
        }
    }
}

impl Drop for Running {
    fn drop(&mut self) {
        // A failed test: the supervisors end what the program started.
        if self.child.kill().is_ok() {
            drop(self.child.wait());
        }
    }
}

/// What a run of the program gave.
#[derive(Debug)]
pub(crate) struct Done {
    pub(crate) pid: u32,
    /// `None` where a signal ended it.
    pub(crate) code: Option<i32>,
    pub(crate) stdout: String,
    pub(crate) stderr: String,
}

impl Done {
    #[track_caller]
    pub(crate) fn assert_code(&self, code: i32) {
        assert_eq!(self.code, Some(code), "{self}");
    }

    #[track_caller]
    pub(crate) fn assert_says(&self, part: &str) {
        assert!(self.stderr.contains(part), "no `{part}` in:\n{self}");
    }
}

impl std::fmt::Display for Done {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let Self { code, .. } = self;
        let (stdout, stderr) = (&self.stdout, &self.stderr);
        write!(
            f,
            "exit {code:?}\n--- stdout\n{stdout}\n--- stderr\n{stderr}"
        )
    }
}

/// Waits until something is so; it must come soon.
pub(crate) fn wait_until(what: &str, mut is_so: impl FnMut() -> bool) {
    let until = Instant::now() + PATIENCE;
    while !is_so() {
        assert!(Instant::now() < until, "{what} does not come");
        std::thread::sleep(PAUSE);
    }
}

pub(crate) fn read(path: &Path) -> String {
    fs::read_to_string(path).unwrap_or_else(|error| panic!("{}: {error}", path.display()))
}
