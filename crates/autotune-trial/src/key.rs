//! The identity of what setup steps build: a hash of the steps, of Python, and
//! of the files that the steps name. Reads files, starts nothing.
//!
//! A folder that a step names (`pip install .`) counts with the files that can
//! change what is built; databases, logs and caches do not, since they change
//! with every trial.

use std::collections::BTreeSet;
use std::io;
use std::path::{Component, Path, PathBuf};

use sha2::{Digest, Sha256};

/// Another layout of what is hashed, or of the cache, gets another number.
const FORMAT: u8 = 3;
/// What pip and the like read of a folder; more is not worth the time.
const FILES_OF_A_FOLDER: usize = 20_000;
const SKIPPED_FOLDERS: [&str; 5] = ["__pycache__", "node_modules", "build", "dist", "results"];
const SKIPPED_ENDINGS: [&str; 9] = [
    ".pyc", ".db", ".sqlite", ".sqlite3", ".log", "-wal", "-shm", "-journal", ".pid",
];

/// The name of the folder for these steps: 32 hexadecimal digits.
///
/// # Errors
/// When a named file cannot be read.
pub fn cache_key(dir: &Path, steps: &[Vec<String>], python: &str) -> io::Result<String> {
    let mut hash = Sha256::new();
    hash.update([FORMAT]);
    for step in steps {
        push(&mut hash, format!("step of {}", step.len()).as_bytes());
        step.iter()
            .for_each(|word| push(&mut hash, word.as_bytes()));
    }
    push(&mut hash, python.as_bytes());
    for path in named_files(dir, steps)? {
        push(&mut hash, path.to_string_lossy().as_bytes());
        push(&mut hash, &std::fs::read(dir.join(&path))?);
    }
    if names_folder(dir, steps) {
        // What was built may point back to where the folder is.
        push(&mut hash, dir.to_string_lossy().as_bytes());
    }
    let digest = hash.finalize();
    Ok(digest[..16]
        .iter()
        .map(|byte| format!("{byte:02x}"))
        .collect())
}

fn push(hash: &mut Sha256, bytes: &[u8]) {
    hash.update((bytes.len() as u64).to_le_bytes());
    hash.update(bytes);
}

fn names_folder(dir: &Path, steps: &[Vec<String>]) -> bool {
    let mut relative = candidates(steps).into_iter().filter(|p| p.is_relative());
    relative.any(|path| is_source_folder(&dir.join(path)))
}

/// A virtual environment is something that was built, and large.
fn is_source_folder(path: &Path) -> bool {
    path.is_dir() && !path.join("pyvenv.cfg").exists()
}

/// The files that the steps name, and those that requirement files among them
/// name in turn.
fn named_files(dir: &Path, steps: &[Vec<String>]) -> io::Result<BTreeSet<PathBuf>> {
    let mut files = BTreeSet::new();
    let mut open: Vec<PathBuf> = candidates(steps).into_iter().collect();
    while let Some(path) = open.pop() {
        let full = dir.join(&path);
        if full.is_dir() {
            // What lies elsewhere is no source of the app.
            if path.is_absolute() || !is_source_folder(&full) {
                continue;
            }
            walk(&full, &path, &mut files)?;
        } else if full.is_file() && files.insert(path.clone()) {
            let beside = path.parent().unwrap_or(Path::new("")).to_owned();
            let text = String::from_utf8_lossy(&std::fs::read(&full)?).into_owned();
            open.extend(included(&text).map(|name| tidy(&beside.join(name))));
        }
    }
    Ok(files)
}

/// Everything in the steps that may be a path, most of them relative to the
/// app's folder. A path with a hole names nothing that is there yet.
fn candidates(steps: &[Vec<String>]) -> BTreeSet<PathBuf> {
    let splits = |c: char| c.is_whitespace() || "=;&|()<>\"'`,[]".contains(c);
    let mut found = BTreeSet::new();
    for word in steps.iter().flatten() {
        let word = without_holes(word);
        for part in word.split(splits) {
            let glued = ["-r", "-c", "-e"]
                .iter()
                .find_map(|flag| part.strip_prefix(flag));
            for name in [Some(part), glued].into_iter().flatten() {
                if !name.is_empty() && !name.contains(['{', '}', HOLE]) {
                    found.insert(tidy(Path::new(name)));
                }
            }
        }
    }
    found
}

/// Stands for a hole; no path holds it.
const HOLE: char = '\0';

/// The word with each `{{ … }}` cut out before it is split, or what stands in a
/// hole would pass for the name of a file.
fn without_holes(word: &str) -> String {
    let mut text = String::new();
    let mut rest = word;
    while let Some((before, hole)) = rest.split_once("{{") {
        let Some((_, after)) = hole.split_once("}}") else {
            break;
        };
        text.push_str(before);
        text.push(HOLE);
        rest = after;
    }
    text + rest
}

/// `-r other.txt` and its like in a requirements file.
fn included(text: &str) -> impl Iterator<Item = &str> {
    text.lines().filter_map(|line| {
        let line = line.trim();
        ["-r", "-c", "--requirement", "--constraint"]
            .iter()
            .rev()
            .find_map(|flag| line.strip_prefix(flag))
            .map(|rest| rest.trim_start_matches(['=', ' ', '\t']))
            .filter(|name| !name.is_empty())
    })
}

fn tidy(path: &Path) -> PathBuf {
    path.components()
        .filter(|part| *part != Component::CurDir)
        .collect()
}

fn walk(folder: &Path, name: &Path, files: &mut BTreeSet<PathBuf>) -> io::Result<()> {
    for entry in std::fs::read_dir(folder)? {
        let entry = entry?;
        let file_name = entry.file_name();
        let text = file_name.to_string_lossy();
        let kind = entry.file_type()?;
        if text.starts_with('.') || files.len() >= FILES_OF_A_FOLDER {
            continue;
        }
        let path = name.join(&file_name);
        if kind.is_dir() {
            let full = entry.path();
            let skipped = SKIPPED_FOLDERS.contains(&&*text)
                || text.ends_with(".egg-info")
                || full.join("pyvenv.cfg").exists();
            if !skipped {
                walk(&full, &path, files)?;
            }
        } else if kind.is_file() && !SKIPPED_ENDINGS.iter().any(|ending| text.ends_with(ending)) {
            files.insert(path);
        }
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::fs;

    fn steps(texts: &[&str]) -> Vec<Vec<String>> {
        let words = |text: &&str| {
            let whole = text.replace("{{ cache }}", "\0");
            let words = whole.split(' ');
            words
                .map(|word| word.replace('\0', "{{ cache }}"))
                .collect()
        };
        texts.iter().map(words).collect()
    }

    fn app() -> tempfile::TempDir {
        let dir = tempfile::tempdir().unwrap();
        fs::write(dir.path().join("requirements.txt"), "flask\n-r more.txt\n").unwrap();
        fs::write(dir.path().join("more.txt"), "gunicorn\n").unwrap();
        fs::write(dir.path().join("app.py"), "x = 1\n").unwrap();
        fs::write(dir.path().join("data.db"), "rows").unwrap();
        dir
    }

    fn key(dir: &tempfile::TempDir, texts: &[&str]) -> String {
        cache_key(dir.path(), &steps(texts), "Python 3.11.7").unwrap()
    }

    const PIP: &str = "{{ cache }}/bin/pip install -r requirements.txt";

    #[test]
    fn it_follows_the_files_that_the_steps_name() {
        let dir = app();
        let before = key(&dir, &[PIP]);
        assert_eq!(before.len(), 32);
        fs::write(dir.path().join("app.py"), "x = 2\n").unwrap();
        assert_eq!(key(&dir, &[PIP]), before, "no step names the app");
        fs::write(dir.path().join("more.txt"), "gunicorn<27\n").unwrap();
        let after = key(&dir, &[PIP]);
        assert_ne!(after, before, "requirements.txt includes it");
        fs::write(dir.path().join("requirements.txt"), "flask<3\n").unwrap();
        assert_ne!(key(&dir, &[PIP]), after);
    }

    #[test]
    fn the_data_of_the_shipped_database_are_part_of_its_identity() {
        let grid = include_str!("../../../grids/postgres.toml");
        let line = grid.lines().find(|line| line.starts_with("setup = ["));
        let step = line.and_then(|line| line.split('"').nth(1)).unwrap();
        let dir = tempfile::tempdir().unwrap();
        for file in ["cluster.sh", "seed.sql"] {
            fs::write(dir.path().join(file), "one\n").unwrap();
            let before = key(&dir, &[step]);
            fs::write(dir.path().join(file), "two\n").unwrap();
            assert_ne!(key(&dir, &[step]), before, "{file}");
        }
    }

    #[test]
    fn it_follows_the_steps_and_python() {
        let dir = app();
        assert_ne!(key(&dir, &["a b"]), key(&dir, &["a", "b"]));
        assert_ne!(key(&dir, &["a"]), key(&dir, &["b"]));
        let other = cache_key(dir.path(), &steps(&["a"]), "Python 3.12.0").unwrap();
        assert_ne!(key(&dir, &["a"]), other);
    }

    #[test]
    fn a_named_folder_counts_without_what_changes_by_running() {
        let dir = app();
        let install = ["{{ cache }}/bin/pip install ."];
        let before = key(&dir, &install);
        fs::write(dir.path().join("data.db"), "more rows").unwrap();
        fs::create_dir(dir.path().join("__pycache__")).unwrap();
        fs::write(dir.path().join("__pycache__/app.pyc"), "x").unwrap();
        assert_eq!(key(&dir, &install), before);
        fs::write(dir.path().join("app.py"), "x = 2\n").unwrap();
        assert_ne!(key(&dir, &install), before);
    }

    #[test]
    fn what_stands_in_a_hole_is_no_name() {
        let dir = app();
        let before = key(&dir, &[PIP]);
        fs::create_dir(dir.path().join("cache")).unwrap();
        fs::write(dir.path().join("cache/page.html"), "x").unwrap();
        assert_eq!(key(&dir, &[PIP]), before);
        assert_eq!(without_holes("a{{ x }}b{{y}}c{{"), "a\0b\0c{{");
    }

    #[test]
    fn a_virtual_environment_in_the_app_is_no_source() {
        let dir = app();
        fs::create_dir(dir.path().join("venv")).unwrap();
        fs::write(dir.path().join("venv/pyvenv.cfg"), "").unwrap();
        let make = ["python3 -m venv venv"];
        let before = key(&dir, &make);
        fs::write(dir.path().join("venv/module.py"), "x = 1\n").unwrap();
        assert_eq!(key(&dir, &make), before);
    }

    #[test]
    fn files_named_by_their_whole_path_count() {
        let (dir, elsewhere) = (app(), app());
        let name = elsewhere.path().join("requirements.txt");
        let step = format!("pip install -r {}", name.display());
        let before = key(&dir, &[&step]);
        fs::write(&name, "flask<3\n").unwrap();
        assert_ne!(key(&dir, &[&step]), before);
        // Folders elsewhere may be anything, such as the whole file system.
        let folder = format!("ls {}", elsewhere.path().display());
        let before = key(&dir, &[&folder]);
        fs::write(elsewhere.path().join("app.py"), "x = 2\n").unwrap();
        assert_eq!(key(&dir, &[&folder]), before);
    }

    #[test]
    fn names_within_a_shell_line_and_glued_to_flags_are_seen() {
        let steps = vec![vec![
            "sh".to_owned(),
            "-c".to_owned(),
            "pip install -rrequirements.txt --constraint=./more.txt".to_owned(),
        ]];
        let dir = app();
        let found = named_files(dir.path(), &steps).unwrap();
        let names: Vec<_> = found.iter().map(|path| path.to_str().unwrap()).collect();
        assert_eq!(names, ["more.txt", "requirements.txt"]);
    }
}
