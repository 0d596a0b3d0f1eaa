//! Whole files: there in full, or not at all.

use std::ffi::OsString;
use std::fs::{self, File};
use std::io::{self, Write};
use std::path::{Path, PathBuf};

use crate::error::StoreError;

/// Writes a file so that its old or its new content is there at any moment,
/// also after a loss of power: a temporary file beside it, sync, rename, sync
/// of the folder. The folder must exist.
///
/// # Errors
/// When one of the steps fails; the old content is then untouched.
pub fn write_whole(path: &Path, bytes: &[u8]) -> Result<(), StoreError> {
    let draft = draft_of(path);
    let written = File::create(&draft).and_then(|mut file| {
        file.write_all(bytes)?;
        file.sync_all()
    });
    let moved = written
        .map_err(|source| failed(&draft, "write", source))
        .and_then(|()| move_into_place(&draft, path));
    if moved.is_err() {
        // The error to report is the first one.
        drop(fs::remove_file(&draft));
    }
    moved
}

/// Renames and makes it last. What was synced before is whole at its new place.
pub(crate) fn move_into_place(draft: &Path, path: &Path) -> Result<(), StoreError> {
    fs::rename(draft, path).map_err(|source| failed(path, "put in place", source))?;
    let folder = folder_of(path);
    File::open(folder)
        .and_then(|folder| folder.sync_all())
        .map_err(|source| failed(folder, "sync", source))
}

/// Creates the folder of a file, if need be.
pub(crate) fn create_folder(path: &Path) -> Result<(), StoreError> {
    let folder = folder_of(path);
    fs::create_dir_all(folder).map_err(|source| failed(folder, "create", source))
}

/// Removes a file, if it is there.
pub(crate) fn discard(path: &Path) -> Result<(), StoreError> {
    match fs::remove_file(path) {
        Err(source) if source.kind() != io::ErrorKind::NotFound => {
            Err(failed(path, "remove", source))
        }
        Ok(()) | Err(_) => Ok(()),
    }
}

/// Hidden, and the same each time: what a killed process leaves is overwritten.
fn draft_of(path: &Path) -> PathBuf {
    let mut name = OsString::from(".");
    name.push(path.file_name().unwrap_or_default());
    name.push(".new");
    path.with_file_name(name)
}

fn folder_of(path: &Path) -> &Path {
    match path.parent() {
        Some(folder) if folder != Path::new("") => folder,
        _ => Path::new("."),
    }
}

fn failed(path: &Path, doing: &'static str, source: io::Error) -> StoreError {
    StoreError::File {
        path: path.to_owned(),
        doing,
        source,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn names(folder: &Path) -> Vec<OsString> {
        let entries = fs::read_dir(folder).unwrap();
        entries.map(|entry| entry.unwrap().file_name()).collect()
    }

    #[test]
    fn a_file_is_replaced_and_no_draft_stays() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("verdict.json");
        write_whole(&path, b"old and longer").unwrap();
        write_whole(&path, b"new").unwrap();
        assert_eq!(fs::read(&path).unwrap(), b"new");
        assert_eq!(names(folder.path()), ["verdict.json"]);
    }

    #[test]
    fn a_failure_names_the_path_and_leaves_no_draft() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("taken");
        fs::create_dir(&path).unwrap();
        let error = write_whole(&path, b"x").unwrap_err();
        assert!(error.to_string().ends_with("taken"), "{error}");
        assert_eq!(names(folder.path()), ["taken"]);
        let missing = folder.path().join("missing/file");
        assert!(write_whole(&missing, b"x").is_err());
    }
}
