//! The folders of a service, where its user can get at them. Those of whoever
//! runs this program may be closed to another user: `/root` is.

use std::fs::{self, DirBuilder};
use std::io;
use std::os::unix::fs::{DirBuilderExt, MetadataExt, PermissionsExt};
use std::path::{Path, PathBuf};

use autotune_model::ServiceName;
use autotune_process::RunAs;
use sha2::{Digest, Sha256};
use tempfile::TempDir;

use crate::context::TrialContext;
use crate::error::TrialError;
use crate::logs;
use crate::prepare::remove_leftovers;
use crate::setup::give_to;

/// Others may pass, and see nothing.
const PASSAGE: u32 = 0o711;
/// Others may not even pass.
const CLOSED: u32 = 0o700;

/// Closes the folder of all runs to others; where a service runs as one of them, he
/// may pass. One that is somebody else's stays as it is.
pub(crate) fn close(run_root: &Path, is_passed: bool) -> Result<(), TrialError> {
    fs::create_dir_all(run_root).map_err(TrialError::file("make folder", run_root))?;
    let found = fs::metadata(run_root).map_err(TrialError::file("look at", run_root))?;
    if found.uid() != nix::unistd::geteuid().as_raw() {
        return Ok(());
    }
    let mode = if is_passed { PASSAGE } else { CLOSED };
    let closed = fs::Permissions::from_mode(mode);
    fs::set_permissions(run_root, closed).map_err(TrialError::file("close", run_root))
}

/// Where a service's folders are made.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Roots {
    /// What is kept between sweeps.
    pub(super) cache: PathBuf,
    /// Fresh ones.
    pub(super) run: PathBuf,
}

impl Roots {
    /// The usual places, unless the service runs as a user who cannot get there:
    /// then below the folder for temporary files. What an earlier run left there
    /// is removed.
    pub(super) fn find(
        context: &TrialContext,
        (service, user): (&ServiceName, Option<&RunAs>),
    ) -> Result<Self, TrialError> {
        let usual = Self {
            cache: context.cache_root.clone(),
            run: context.run_root.clone(),
        };
        for root in [&usual.cache, &usual.run] {
            fs::create_dir_all(root).map_err(TrialError::file("make folder", root))?;
        }
        let Some(user) = user else {
            return Ok(usual);
        };
        if closed(&usual.cache, user)?.is_none() && closed(&usual.run, user)?.is_none() {
            return Ok(usual);
        }
        let base = std::env::temp_dir();
        if let Some(folder) = closed(&base, user)? {
            return Err(TrialError::Unreachable {
                service: service.clone(),
                user: user.name.clone(),
                folder,
            });
        }
        let own = passage(base.join(format!("autotune-{}", nix::unistd::geteuid())))?;
        let digest = Sha256::digest(usual.run.as_os_str().as_encoded_bytes());
        let name: String = digest[..8]
            .iter()
            .map(|byte| format!("{byte:02x}"))
            .collect();
        let roots = Self {
            cache: passage(own.join("cache"))?,
            run: passage(own.join(format!("run-{name}")))?,
        };
        remove_leftovers(&roots.run)?;
        Ok(roots)
    }
}

/// Makes a folder that only this user may change and others may pass. One that is
/// there already may be somebody else's trap.
fn passage(path: PathBuf) -> Result<PathBuf, TrialError> {
    match DirBuilder::new().mode(PASSAGE).create(&path) {
        Ok(()) => {}
        Err(error) if error.kind() == io::ErrorKind::AlreadyExists => {}
        Err(error) => return Err(TrialError::file("make folder", path)(error)),
    }
    let found = fs::symlink_metadata(&path).map_err(TrialError::file("look at", &path))?;
    let is_own = found.is_dir() && found.uid() == nix::unistd::geteuid().as_raw();
    if !is_own || found.mode() & 0o022 != 0 {
        let why = io::Error::other("it is not a folder that only this user may change");
        return Err(TrialError::file("use", path)(why));
    }
    let open = fs::Permissions::from_mode(PASSAGE);
    fs::set_permissions(&path, open).map_err(TrialError::file("open", &path))?;
    Ok(path)
}

/// The first folder on the way to this one that is closed to the user.
fn closed(path: &Path, user: &RunAs) -> Result<Option<PathBuf>, TrialError> {
    let whole = fs::canonicalize(path).map_err(TrialError::file("look at", path))?;
    let mut way: Vec<&Path> = whole.ancestors().collect();
    way.reverse();
    for folder in way {
        let found = fs::metadata(folder).map_err(TrialError::file("look at", folder))?;
        if !may_enter((found.mode(), found.uid(), found.gid()), user) {
            return Ok(Some(folder.to_owned()));
        }
    }
    Ok(None)
}

/// Whether a folder with this mode, owner and group may be entered: the first of
/// the three kinds that the user belongs to decides.
fn may_enter((mode, uid, gid): (u32, u32, u32), user: &RunAs) -> bool {
    let bit = if uid == user.uid {
        0o100
    } else if user.groups.contains(&gid) || gid == user.gid {
        0o010
    } else {
        0o001
    };
    mode & bit != 0
}

/// The fresh folder of one run of a service.
#[derive(Debug)]
pub(super) struct ServiceFolder {
    root: TempDir,
}

impl ServiceFolder {
    /// Makes it below `run_root`, for that user.
    pub(super) fn make(run_root: &Path, user: Option<&RunAs>) -> Result<Self, TrialError> {
        let outer = if user.is_some() { PASSAGE } else { CLOSED };
        let root = tempfile::Builder::new()
            .prefix("service-")
            .permissions(fs::Permissions::from_mode(outer))
            .tempdir_in(run_root)
            .map_err(TrialError::file("make a folder in", run_root))?;
        let folder = Self { root };
        let run = folder.run();
        DirBuilder::new()
            .mode(CLOSED)
            .create(&run)
            .map_err(TrialError::file("make folder", &run))?;
        give_to(user, &run)?;
        logs::make(&folder.log(), user)?;
        logs::make(&folder.ready_log(), user)?;
        Ok(folder)
    }

    /// What `{{ run }}` stands for.
    pub(super) fn run(&self) -> PathBuf {
        self.root.path().join("run")
    }

    /// Its log; not within what it sees.
    pub(super) fn log(&self) -> PathBuf {
        self.root.path().join("service.log")
    }

    /// What the command prints that asks whether it is ready.
    pub(super) fn ready_log(&self) -> PathBuf {
        self.root.path().join("ready.log")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn user() -> RunAs {
        RunAs {
            name: "postgres".to_owned(),
            uid: 113,
            gid: 120,
            groups: vec![120, 117],
            home: "/var/lib/postgresql".into(),
        }
    }

    #[test]
    fn the_first_kind_that_the_user_belongs_to_decides() {
        let check = |mode, uid, gid, expected| {
            assert_eq!(may_enter((mode, uid, gid), &user()), expected, "{mode:o}");
        };
        check(0o40700, 0, 0, false);
        check(0o40711, 0, 0, true);
        check(0o40755, 0, 0, true);
        check(0o40700, 113, 0, true);
        check(0o40077, 113, 120, false);
        check(0o40710, 0, 117, true);
        check(0o40701, 0, 117, false);
    }

    #[test]
    fn a_folder_that_others_may_change_is_no_passage() {
        let place = tempfile::tempdir().unwrap();
        let path = place.path().join("passage");
        let made = passage(path.clone()).unwrap();
        let mode = |path: &Path| fs::metadata(path).unwrap().mode() & 0o777;
        assert_eq!(mode(&made), PASSAGE);
        assert!(passage(path.clone()).is_ok(), "it is there already");
        fs::set_permissions(&path, fs::Permissions::from_mode(0o777)).unwrap();
        assert!(passage(path.clone()).is_err());
        let link = place.path().join("link");
        std::os::unix::fs::symlink(&path, &link).unwrap();
        assert!(passage(link).is_err());
    }

    #[test]
    fn the_folder_of_all_runs_is_closed_unless_another_user_has_to_pass() {
        let place = tempfile::tempdir().unwrap();
        let run_root = place.path().join("results/night/run");
        let mode = || fs::metadata(&run_root).unwrap().mode() & 0o777;
        close(&run_root, false).unwrap();
        assert_eq!(mode(), CLOSED);
        close(&run_root, true).unwrap();
        assert_eq!(mode(), PASSAGE);
        close(&run_root, false).unwrap();
        assert_eq!(mode(), CLOSED);
    }

    #[test]
    fn a_service_has_a_folder_of_its_own_with_its_log_beside_it() {
        let place = tempfile::tempdir().unwrap();
        let folder = ServiceFolder::make(place.path(), None).unwrap();
        let run = folder.run();
        let mode = |path: &Path| fs::metadata(path).unwrap().mode() & 0o777;
        assert_eq!(mode(&run), CLOSED);
        assert_eq!([mode(&folder.log()), mode(&folder.ready_log())], [0o600; 2]);
        assert_eq!(mode(run.parent().unwrap()), CLOSED);
        assert!(!folder.log().starts_with(&run) && folder.log().exists());
        drop(folder);
        assert!(!run.exists());
    }
}
