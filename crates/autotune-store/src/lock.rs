//! One sweep a machine: two at once would measure each other.

use std::fs::{File, OpenOptions, Permissions, TryLockError};
use std::io::{self, Read, Seek, Write};
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};

/// A host-wide lock (`flock`), held until this is dropped or the process dies,
/// however it dies. The file stays; that it exists means nothing.
#[derive(Debug)]
pub struct HostLock {
    file: File,
}

/// A lock that could not be taken.
#[derive(Debug, thiserror::Error)]
pub enum LockError {
    /// Another process has it.
    #[error("{} holds the lock {}", holder(*pid), path.display())]
    Held {
        /// The lock file.
        path: PathBuf,
        /// The process; `None` where it has not written its number yet.
        pid: Option<u32>,
    },
    /// The lock file cannot be used.
    #[error("cannot use the lock {}", path.display())]
    File {
        /// The lock file.
        path: PathBuf,
        /// Why.
        #[source]
        source: io::Error,
    },
}

fn holder(pid: Option<u32>) -> String {
    pid.map_or_else(
        || "another process".to_owned(),
        |pid| format!("process {pid}"),
    )
}

impl HostLock {
    /// Takes the lock, or says who has it; never waits.
    ///
    /// # Errors
    /// [`LockError::Held`] when another process has it, [`LockError::File`]
    /// when the file can neither be opened nor created.
    pub fn take(path: &Path) -> Result<Self, LockError> {
        let failed = |source| LockError::File {
            path: path.to_owned(),
            source,
        };
        let mut file = open(path).map_err(failed)?;
        match file.try_lock() {
            Ok(()) => {}
            Err(TryLockError::WouldBlock) => {
                return Err(LockError::Held {
                    path: path.to_owned(),
                    pid: read_pid(&mut file).map_err(failed)?,
                });
            }
            Err(TryLockError::Error(source)) => return Err(failed(source)),
        }
        write_pid(&mut file).map_err(failed)?;
        Ok(Self { file })
    }
}

impl Drop for HostLock {
    fn drop(&mut self) {
        // So that nobody reads the number of a process that is gone; the lock
        // itself ends with the file, and a failure here changes nothing.
        drop(self.file.set_len(0));
    }
}

/// Opens the lock file, which may be another user's: not with `O_CREAT`, which
/// Linux refuses for another's file in a sticky folder such as `/tmp`.
fn open(path: &Path) -> io::Result<File> {
    let mut options = OpenOptions::new();
    options.read(true).write(true);
    for _ in 0..8 {
        match options.clone().open(path) {
            Err(error) if error.kind() == io::ErrorKind::NotFound => {}
            opened => return opened,
        }
        match options.clone().create_new(true).open(path) {
            // Another process was faster.
            Err(error) if error.kind() == io::ErrorKind::AlreadyExists => {}
            Err(error) => return Err(error),
            Ok(file) => {
                // Every user of the machine must be able to take it.
                file.set_permissions(Permissions::from_mode(0o666))?;
                return Ok(file);
            }
        }
    }
    Err(io::ErrorKind::NotFound.into())
}

fn read_pid(file: &mut File) -> io::Result<Option<u32>> {
    let mut text = String::new();
    file.rewind()?;
    file.take(32).read_to_string(&mut text)?;
    Ok(text.trim().parse().ok())
}

fn write_pid(file: &mut File) -> io::Result<()> {
    file.set_len(0)?;
    file.rewind()?;
    writeln!(file, "{}", std::process::id())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_second_taker_learns_who_holds_it() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("lock");
        let first = HostLock::take(&path).unwrap();
        let error = HostLock::take(&path).unwrap_err();
        let me = std::process::id();
        assert!(
            matches!(error, LockError::Held { pid: Some(pid), .. } if pid == me),
            "{error}"
        );
        assert!(error.to_string().contains(&format!("process {me}")));
        drop(first);
        HostLock::take(&path).unwrap();
    }

    #[test]
    fn a_lock_file_that_exists_is_not_a_lock() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("lock");
        std::fs::write(&path, "1\n").unwrap();
        HostLock::take(&path).unwrap();
    }
}
