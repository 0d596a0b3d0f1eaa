//! What all cases need: a launch in a folder of its own, and eyes that do not
//! rely on what is tested.

use std::future::Future;
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

use autotune_model::{Bytes, Confinement, Secret};
use autotune_process::{
    Ipc, IsolationRequest, Launch, Marker, ProcessError, Supervised, SupervisorSetup, clock,
};
use tempfile::TempDir;

/// A test that is run with each isolation.
pub(crate) type Case = fn(IsolationRequest);

/// Long enough for a busy machine; only reached when a test fails.
pub(crate) const PATIENCE: Duration = Duration::from_secs(30);
/// How long anything may outlive its guards.
pub(crate) const SURE_END: Duration = Duration::from_secs(3);

/// A command in a folder of its own.
pub(crate) struct Bench {
    folder: TempDir,
    isolation: IsolationRequest,
    pub(crate) launch: Launch,
}

impl Bench {
    /// With a shell that runs this script.
    pub(crate) fn new(isolation: IsolationRequest, script: &str) -> Self {
        let folder = tempfile::tempdir().expect("a folder");
        let launch = Launch {
            argv: vec!["sh".to_owned(), "-c".to_owned(), script.to_owned()],
            env: vec![("PATH".to_owned(), Secret::new("/usr/bin:/bin".to_owned()))],
            dir: folder.path().to_owned(),
            log: folder.path().join("log"),
            log_limit: Bytes::MIB,
            cpus: None,
            confinement: Confinement::default(),
            user: None,
            ipc: Ipc::Shared,
            marker: Marker::for_this_process().expect("a marker"),
            sample_every: None,
            origin_monotonic_ns: clock::monotonic_ns(),
        };
        Self {
            folder,
            isolation,
            launch,
        }
    }

    pub(crate) fn path(&self) -> &Path {
        self.folder.path()
    }

    pub(crate) async fn try_start(&self) -> Result<Supervised, ProcessError> {
        let setup = SupervisorSetup {
            isolation: self.isolation,
            ..SupervisorSetup::default()
        };
        Supervised::launch_with(&self.launch, &setup).await
    }

    pub(crate) async fn start(&self) -> Supervised {
        self.try_start().await.expect("it starts")
    }

    /// Started, and the script has said `ready`.
    pub(crate) async fn start_ready(&self) -> Supervised {
        let supervised = self.start().await;
        self.logged("ready").await;
        supervised
    }

    pub(crate) fn log(&self) -> String {
        std::fs::read_to_string(&self.launch.log).unwrap_or_default()
    }

    pub(crate) async fn logged(&self, text: &str) {
        until(PATIENCE, || self.log().contains(text))
            .await
            .unwrap_or_else(|()| {
                panic!("`{text}` never came into the log: {}", self.log());
            });
    }

    pub(crate) fn left(&self) -> Vec<u32> {
        left(self.launch.marker.as_str())
    }

    pub(crate) async fn assert_nothing_left(&self) {
        assert_nothing_left(self.launch.marker.as_str()).await;
    }
}

/// Living processes that carry the marker; ended ones have no environment.
pub(crate) fn left(marker: &str) -> Vec<u32> {
    let mut found = Vec::new();
    for entry in std::fs::read_dir("/proc")
        .expect("proc is readable")
        .flatten()
    {
        let environment = std::fs::read(entry.path().join("environ")).unwrap_or_default();
        let carries = environment
            .windows(marker.len())
            .any(|part| part == marker.as_bytes());
        let pid = entry
            .file_name()
            .to_str()
            .and_then(|name| name.parse::<u32>().ok());
        found.extend(pid.filter(|_| carries));
    }
    found
}

pub(crate) async fn assert_nothing_left(marker: &str) {
    let gone = until(SURE_END, || left(marker).is_empty()).await;
    assert!(gone.is_ok(), "still there: {:?}", left(marker));
}

/// Looks again and again.
pub(crate) async fn until(limit: Duration, mut is_so: impl FnMut() -> bool) -> Result<(), ()> {
    let began = Instant::now();
    while !is_so() {
        if began.elapsed() > limit {
            return Err(());
        }
        tokio::time::sleep(Duration::from_millis(5)).await;
    }
    Ok(())
}

pub(crate) fn wait<T>(future: impl Future<Output = T>) -> T {
    tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build()
        .expect("a runtime")
        .block_on(future)
}

/// The parent of a process, read without the code that is tested.
pub(crate) fn parent(pid: u32) -> Option<u32> {
    let status = std::fs::read_to_string(format!("/proc/{pid}/status")).ok()?;
    status
        .lines()
        .find_map(|line| line.strip_prefix("PPid:"))?
        .trim()
        .parse()
        .ok()
}

/// Where a tool is; without it the test says so and is passed over, but fails
/// where a machine is meant to have everything.
pub(crate) fn tool(name: &str) -> Option<PathBuf> {
    let found = ["/usr/bin", "/bin", "/usr/sbin", "/sbin"]
        .iter()
        .map(|folder| Path::new(folder).join(name))
        .find(|file| file.is_file());
    if found.is_none() {
        assert!(std::env::var_os("CI").is_none(), "{name} is missing");
        println!("passed over: {name} is missing");
    }
    found
}
