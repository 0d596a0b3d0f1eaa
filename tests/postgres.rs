//! The shipped grid of an app on PostgreSQL: every launch finds the data of the
//! template, whatever the one before has written. The cluster is the test's own.

use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};

use nix::sys::signal::{Signal, kill};
use nix::unistd::{Pid, geteuid};
use tempfile::TempDir;

use crate::place::{Place, read, wait_until};
use crate::tools;

const SHIPPED: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/../../grids");

/// A cluster in a folder of its own, reached by a socket there: no port is taken.
struct Cluster {
    child: Child,
    folder: TempDir,
}

impl Cluster {
    /// `None` where there is no PostgreSQL; with `CI=true` there must be one.
    fn start() -> Option<Self> {
        let bin = tools::postgres()?;
        let folder = tempfile::tempdir().expect("a folder");
        // PostgreSQL refuses to run as root, and its user has to get in here.
        let open = PermissionsExt::from_mode(0o777);
        std::fs::set_permissions(folder.path(), open).expect("set");
        let data = folder.path().join("data");
        let made = owned(&bin.join("initdb"))
            .args(["--no-sync", "-A", "trust", "-U", "postgres", "-D"])
            .arg(&data)
            .stdout(Stdio::null())
            .status();
        assert!(made.expect("initdb runs").success());
        let log = std::fs::File::create(folder.path().join("log")).expect("a file");
        let sockets = format!("unix_socket_directories={}", folder.path().display());
        let child = owned(&bin.join("postgres"))
            .arg("-D")
            .arg(&data)
            .args(["-c", "listen_addresses=", "-c", "fsync=off", "-c", &sockets])
            .stdout(Stdio::null())
            .stderr(log)
            .spawn()
            .expect("postgres starts");
        let cluster = Self { child, folder };
        wait_until("PostgreSQL answers", || cluster.ask("SELECT 1").is_some());
        Some(cluster)
    }

    fn ask(&self, query: &str) -> Option<String> {
        let asked = Command::new("psql")
            .args(["-X", "-t", "-A", "-U", "postgres", "-d", "postgres", "-h"])
            .arg(self.folder.path())
            .args(["-c", query])
            .output()
            .expect("psql runs");
        let answer = String::from_utf8_lossy(&asked.stdout).trim().to_owned();
        asked.status.success().then_some(answer)
    }
}

impl Drop for Cluster {
    fn drop(&mut self) {
        let pid = Pid::from_raw(self.child.id().try_into().expect("a pid"));
        kill(pid, Signal::SIGINT).expect("it runs until now");
        self.child.wait().expect("it ends");
    }
}

/// The program, as the user `postgres` where this is root; it ends with the test,
/// even if that is killed.
fn owned(program: &Path) -> Command {
    let mut command = Command::new("setpriv");
    command.args(["--pdeathsig", "INT"]);
    if geteuid().is_root() {
        command.args(["--reuid=postgres", "--regid=postgres", "--init-groups"]);
    }
    command.arg(program).current_dir("/");
    command
}

#[test]
fn every_trial_begins_with_the_same_data() {
    let Some(cluster) = Cluster::start() else {
        return;
    };
    let mut place = Place::new();
    let sockets = cluster.folder.path().to_str().expect("a text");
    place.variable("PGHOST", sockets);
    place.variable("PGUSER", "postgres");
    let shipped = PathBuf::from(SHIPPED).join("postgres");
    let text = read(&shipped.with_extension("toml"));
    let dir = format!("dir = {:?}", shipped.display().to_string());
    let text = text.replace("dir = \"postgres\"", &dir);
    assert!(text.contains(&dir));
    place.write("grid.toml", &text);
    for configuration in ["1/1/sync", "1/4/gthread"] {
        // The endpoint `restored` is right only on fresh data, before and under
        // load; the others must answer, too: without a session `mine` redirects,
        // and `note` refuses a token that is not its session's.
        let done = place.run(&["trial", "grid.toml", configuration]);
        assert!(done.stdout.contains("restored   "), "no load: {done}");
        assert!(!done.stdout.contains("x assertion"), "{done}");
        assert!(!done.stdout.contains("x status"), "{done}");
        wait_until("no connection is left", || {
            let left = "SELECT count(*) FROM pg_stat_activity WHERE datname LIKE 'notes%' \
                        AND backend_type = 'client backend'";
            cluster.ask(left).as_deref() == Some("0")
        });
    }
    let restoring = "before_trial = [\"sh restore.sh\"]\n";
    assert!(text.contains(restoring));
    place.write("grid.toml", &text.replace(restoring, ""));
    let done = place.run(&["sweep", "grid.toml"]);
    done.assert_code(5);
    done.assert_says("endpoint `restored`");
    done.assert_says("left over");
}
