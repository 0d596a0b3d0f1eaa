//! Reads a server's log, without the secrets, and keeps the logs of failed
//! trials.

use std::fs::{self, File, Permissions};
use std::io::{self, Read, Seek, SeekFrom};
use std::os::unix::fs::{OpenOptionsExt, PermissionsExt};
use std::path::{Path, PathBuf};

use autotune_model::{ServiceName, TrialSpec};
use autotune_process::RunAs;
use autotune_server::Redactor;

use crate::error::TrialError;
use crate::setup::give_to;

/// A log that grows larger is begun anew.
pub(crate) const LOG_LIMIT_BYTES: u64 = 16 << 20;
const TAIL_LINES: usize = 40;
const LINE_CHARS: usize = 400;

/// The log from this byte on, as text without secrets; empty where there is
/// none. A log that was begun anew meanwhile is read as a whole.
pub(crate) fn read_from(path: &Path, offset: u64, redactor: &Redactor) -> String {
    match try_read(path, offset) {
        Ok(bytes) => redactor.clean(&String::from_utf8_lossy(&bytes)),
        Err(error) if error.kind() == io::ErrorKind::NotFound => String::new(),
        Err(error) => {
            tracing::warn!(path = %path.display(), %error, "the log cannot be read");
            String::new()
        }
    }
}

fn try_read(path: &Path, offset: u64) -> io::Result<Vec<u8>> {
    let mut file = File::open(path)?;
    let length = file.metadata()?.len();
    if offset <= length {
        file.seek(SeekFrom::Start(offset))?;
    }
    let mut bytes = Vec::new();
    file.take(2 * LOG_LIMIT_BYTES).read_to_end(&mut bytes)?;
    Ok(bytes)
}

/// Makes an empty log where there is none, which only this user may read: programs
/// print secrets. Programs that open /dev/stderr anew must be able to.
pub(crate) fn make(path: &Path, user: Option<&RunAs>) -> Result<(), TrialError> {
    let closed = Permissions::from_mode(0o600);
    let mut options = File::options();
    let made = options.create(true).append(true).mode(0o600).open(path);
    // One that is there already may be open to others.
    made.and_then(|file| file.set_permissions(closed))
        .map_err(TrialError::file("write", path))?;
    give_to(user, path)
}

/// How long the log is now; zero where there is none.
pub(crate) fn length(path: &Path) -> u64 {
    fs::metadata(path).map_or(0, |metadata| metadata.len())
}

/// The last lines, each cut to a length that people read.
pub(crate) fn tail(text: &str) -> Vec<String> {
    let lines: Vec<&str> = text
        .lines()
        .filter(|line| !line.trim().is_empty())
        .collect();
    lines[lines.len().saturating_sub(TAIL_LINES)..]
        .iter()
        .map(|line| match line.char_indices().nth(LINE_CHARS) {
            Some((end, _)) => format!("{}…", &line[..end]),
            None => (*line).to_owned(),
        })
        .collect()
}

/// Where logs are kept: `logs` beside the run folders.
pub(crate) fn folder(run_root: &Path) -> PathBuf {
    run_root.parent().unwrap_or(run_root).join("logs")
}

/// Writes the log of a service that ended too early.
pub(crate) fn keep_of_service(folder: &Path, service: &ServiceName, text: &str) -> io::Result<()> {
    fs::create_dir_all(folder)?;
    fs::write(folder.join(format!("service-{service}.log")), text)
}

/// Writes the log of a failed trial to `logs` beside the run folders.
pub(crate) fn keep(run_root: &Path, spec: &TrialSpec, text: &str) -> io::Result<PathBuf> {
    let folder = folder(run_root);
    fs::create_dir_all(&folder)?;
    let key = spec.key;
    let (stage, block, position) = (key.stage.as_str(), key.block, key.position);
    let path = folder.join(format!("{stage}-{block}-{position}-{}.log", spec.attempt));
    fs::write(&path, text)?;
    Ok(path)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_log_is_read_from_a_place_on_and_without_secrets() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("log");
        let redactor = Redactor::new(["hunter2"]);
        assert_eq!(read_from(&path, 0, &redactor), "");
        fs::write(&path, "one\ntwo hunter2\n").unwrap();
        assert_eq!(length(&path), 16);
        assert_eq!(read_from(&path, 4, &redactor), "two (secret)\n");
        assert_eq!(read_from(&path, 99, &redactor), "one\ntwo (secret)\n");
    }

    #[test]
    fn only_its_user_may_read_a_log_also_one_that_was_open() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("log");
        let mode = || fs::metadata(&path).unwrap().permissions().mode() & 0o777;
        make(&path, None).unwrap();
        assert_eq!(mode(), 0o600);
        fs::write(&path, "kept").unwrap();
        fs::set_permissions(&path, Permissions::from_mode(0o644)).unwrap();
        make(&path, None).unwrap();
        assert_eq!((mode(), length(&path)), (0o600, 4));
    }

    #[test]
    fn the_tail_is_short() {
        let text: String = (0..100).map(|n| format!("line {n}\n\n")).collect();
        let tail = tail(&text);
        assert_eq!(tail.len(), TAIL_LINES);
        assert_eq!(tail.last().map(String::as_str), Some("line 99"));
        assert_eq!(
            super::tail(&"x".repeat(1000))[0].chars().count(),
            LINE_CHARS + 1
        );
    }
}
