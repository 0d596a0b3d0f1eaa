//! The fresh folder of one trial, and the copy of the fixture in it. It is
//! removed when the trial is over.

use std::fs::{self, File, FileTimes};
use std::io;
use std::path::{Path, PathBuf};

use tempfile::TempDir;

use crate::error::TrialError;

/// A trial's own folder.
#[derive(Debug)]
pub(crate) struct TrialFolder {
    root: TempDir,
}

impl TrialFolder {
    /// Makes the folder under `run_root`, with a fresh copy of the fixture.
    pub(crate) fn make(run_root: &Path, fixture: Option<&Path>) -> Result<Self, TrialError> {
        fs::create_dir_all(run_root).map_err(TrialError::file("make folder", run_root))?;
        let root = tempfile::Builder::new()
            .prefix("trial-")
            .tempdir_in(run_root)
            .map_err(TrialError::file("make a folder in", run_root))?;
        let folder = Self { root };
        let run = folder.run();
        match fixture {
            Some(fixture) => {
                copy_tree(fixture, &run).map_err(TrialError::file("copy fixture", fixture))?;
            }
            None => fs::create_dir(&run).map_err(TrialError::file("make folder", &run))?,
        }
        Ok(folder)
    }

    /// What `{{ run }}` stands for.
    pub(crate) fn run(&self) -> PathBuf {
        self.root.path().join("run")
    }

    /// What the commands around the trial print.
    pub(crate) fn hook_log(&self) -> PathBuf {
        self.root.path().join("hooks.log")
    }

    /// The server's log; not within what the app sees.
    pub(crate) fn log(&self) -> PathBuf {
        self.root.path().join("server.log")
    }
}

/// Copies a folder with permissions, times of files and symbolic links as they
/// are. Sockets and pipes are left out: they mean nothing in a copy.
pub(crate) fn copy_tree(from: &Path, to: &Path) -> io::Result<()> {
    let metadata = fs::metadata(from)?;
    fs::create_dir(to)?;
    for entry in fs::read_dir(from)? {
        let entry = entry?;
        let target = to.join(entry.file_name());
        let kind = entry.file_type()?;
        if kind.is_symlink() {
            std::os::unix::fs::symlink(fs::read_link(entry.path())?, &target)?;
        } else if kind.is_dir() {
            copy_tree(&entry.path(), &target)?;
        } else if kind.is_file() {
            copy_file(&entry.path(), &target)?;
        }
    }
    // Last, since a folder may not be writable.
    fs::set_permissions(to, metadata.permissions())
}

fn copy_file(from: &Path, to: &Path) -> io::Result<()> {
    fs::copy(from, to)?;
    let modified = fs::metadata(from)?.modified()?;
    // Opened for reading: a file that may not be written has a time too.
    File::open(to)?.set_times(FileTimes::new().set_modified(modified))
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::os::unix::fs::PermissionsExt;

    #[test]
    fn each_trial_finds_the_fixture_as_it_was() {
        let place = tempfile::tempdir().unwrap();
        let fixture = place.path().join("fixture");
        fs::create_dir_all(fixture.join("deep")).unwrap();
        fs::write(fixture.join("notes.db"), "rows").unwrap();
        fs::write(fixture.join("deep/tool"), "x").unwrap();
        fs::set_permissions(fixture.join("deep/tool"), PermissionsExt::from_mode(0o750)).unwrap();
        std::os::unix::fs::symlink("notes.db", fixture.join("link")).unwrap();

        let run_root = place.path().join("run");
        let first = TrialFolder::make(&run_root, Some(&fixture)).unwrap();
        // What a server does: changes, adds, removes.
        fs::write(first.run().join("notes.db"), "more rows").unwrap();
        fs::write(first.run().join("cache"), "x").unwrap();
        fs::remove_file(first.run().join("deep/tool")).unwrap();
        let gone = first.run();
        drop(first);
        assert!(!gone.exists(), "a trial's folder does not stay");

        let second = TrialFolder::make(&run_root, Some(&fixture)).unwrap();
        let read = |name: &str| fs::read_to_string(second.run().join(name)).unwrap();
        assert_eq!(read("notes.db"), "rows");
        assert_eq!(
            fs::read_to_string(fixture.join("notes.db")).unwrap(),
            "rows"
        );
        assert!(!second.run().join("cache").exists());
        let tool = fs::metadata(second.run().join("deep/tool")).unwrap();
        assert_eq!(tool.permissions().mode() & 0o777, 0o750);
        assert_eq!(
            fs::read_link(second.run().join("link")).unwrap(),
            Path::new("notes.db")
        );
    }

    #[test]
    fn without_a_fixture_the_folder_is_empty() {
        let place = tempfile::tempdir().unwrap();
        let folder = TrialFolder::make(&place.path().join("a/b"), None).unwrap();
        assert_eq!(fs::read_dir(folder.run()).unwrap().count(), 0);
        assert!(!folder.log().starts_with(folder.run()));
    }
}
