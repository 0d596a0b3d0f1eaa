//! What makes a study the same: the meaning of the grid and the app's sources.
//!
//! A changed budget or objective does not make trials strangers; a changed
//! server, endpoint, load or source file does. The app's database, logs and
//! compiled files change with every trial and are left out.

use std::path::{Path, PathBuf};

use autotune_model::{EnvValue, LoadShape, ServerVariant};
use sha2::{Digest, Sha256};

use crate::failure::Failure;
use crate::grid_file::Grid;

/// Endings of files that are sources.
const SOURCES: [&str; 19] = [
    "py", "rb", "js", "mjs", "ts", "go", "rs", "php", "html", "htm", "j2", "jinja", "jinja2",
    "sql", "toml", "cfg", "ini", "yaml", "yml",
];
/// Folders that hold no sources of the app.
const SKIPPED: [&str; 6] = [
    "__pycache__",
    "node_modules",
    "venv",
    "env",
    "results",
    "target",
];
/// More files than this are no app but something else below the folder.
const MOST_FILES: usize = 20_000;

/// Text parts with their lengths, so that no two sequences look alike.
struct Feed(Sha256);

impl Feed {
    fn text(&mut self, text: &str) {
        self.0.update((text.len() as u64).to_le_bytes());
        self.0.update(text.as_bytes());
    }

    fn texts<'a>(&mut self, texts: impl IntoIterator<Item = &'a str>) {
        texts.into_iter().for_each(|text| self.text(text));
        self.text("end");
    }
}

/// The identity of a study.
///
/// # Errors
/// When the app's folder cannot be read.
pub(crate) fn identity(grid: &Grid) -> Result<String, Failure> {
    let mut feed = Feed(Sha256::new());
    feed.text("autotune study 1");
    for variant in &grid.file.variants {
        feed_variant(&mut feed, variant);
        for path in sources(&variant.dir)? {
            // Its meaning is fed in below; a larger budget must not be a change.
            if is_same_file(&path, &grid.path) {
                continue;
            }
            feed.text(
                &path
                    .strip_prefix(&variant.dir)
                    .unwrap_or(&path)
                    .to_string_lossy(),
            );
            let bytes = std::fs::read(&path).map_err(|error| unreadable(&path, error))?;
            feed.0.update(Sha256::digest(&bytes));
        }
    }
    for configuration in grid.configurations() {
        feed.0.update(configuration.id().as_bytes());
    }
    for endpoint in &grid.file.endpoints {
        feed.texts([
            endpoint.name.as_str(),
            endpoint.method.as_str(),
            &endpoint.path,
            &endpoint.weight.to_string(),
        ]);
        let statuses: Vec<String> = endpoint.expect.status.iter().map(u16::to_string).collect();
        feed.texts(statuses.iter().map(String::as_str));
        feed.texts(endpoint.expect.contains.as_deref());
        for (name, value) in &endpoint.headers {
            feed_value(&mut feed, name, value);
        }
        if let Some(body) = &endpoint.body {
            feed_value(&mut feed, "body", body);
        }
        feed.text("end");
    }
    let load = match grid.file.load {
        LoadShape::Open { rate, arrivals } => format!("open {} {arrivals:?}", rate.get()),
        LoadShape::Closed(users) => format!("closed {} {:?}", users.count, users.think),
    };
    feed.texts([load.as_str(), grid.file.connections.as_str()]);
    let digest = feed.0.finalize();
    Ok(digest
        .iter()
        .take(16)
        .map(|byte| format!("{byte:02x}"))
        .collect())
}

fn feed_variant(feed: &mut Feed, variant: &ServerVariant) {
    feed.texts([variant.name.as_str(), &variant.profile]);
    feed.texts(variant.app.as_deref());
    feed.texts(variant.setup.iter().flatten().map(String::as_str));
    feed.texts(variant.bin.as_deref());
    feed.texts(
        variant
            .args
            .iter()
            .chain(&variant.command)
            .map(String::as_str),
    );
    feed.texts(
        variant
            .ready
            .as_deref()
            .into_iter()
            .chain(variant.stop.as_deref()),
    );
    for (name, value) in &variant.env {
        feed_value(feed, name, value);
    }
}

fn feed_value(feed: &mut Feed, name: &str, value: &EnvValue) {
    match value {
        EnvValue::Text(text) => feed.texts([name, text]),
        EnvValue::FromEnv { name: from, .. } => feed.texts([name, from]),
        // Neither the secret nor a hash of it may be stored.
        EnvValue::Secret(_) => feed.texts([name]),
    }
}

/// The source files below a folder, by path.
fn sources(dir: &Path) -> Result<Vec<PathBuf>, Failure> {
    let mut found = Vec::new();
    let mut folders = vec![dir.to_owned()];
    while let Some(folder) = folders.pop() {
        let entries = std::fs::read_dir(&folder).map_err(|error| unreadable(&folder, error))?;
        for entry in entries {
            let entry = entry.map_err(|error| unreadable(&folder, error))?;
            let kind = entry
                .file_type()
                .map_err(|error| unreadable(&entry.path(), error))?;
            let name = entry.file_name();
            let name = name.to_string_lossy();
            let skipped = name.starts_with('.') || SKIPPED.contains(&name.as_ref());
            if kind.is_dir() && !skipped {
                folders.push(entry.path());
            } else if kind.is_file() && is_source(&entry.path()) {
                found.push(entry.path());
            }
        }
        if found.len() > MOST_FILES {
            return Err(Failure::usage(format!(
                "{} holds more than {MOST_FILES} source files",
                dir.display()
            ))
            .hint("let `dir` name the folder of the app alone"));
        }
    }
    found.sort();
    Ok(found)
}

fn is_source(path: &Path) -> bool {
    let ending = path.extension().and_then(|ending| ending.to_str());
    let name = path
        .file_name()
        .and_then(|name| name.to_str())
        .unwrap_or_default();
    // Other texts are as likely to be somebody's output.
    let is_requirements = name.starts_with("requirements") && name.ends_with(".txt");
    is_requirements || ending.is_some_and(|ending| SOURCES.contains(&ending))
}

fn is_same_file(path: &Path, other: &Path) -> bool {
    let canonical = |path: &Path| std::fs::canonicalize(path).ok();
    canonical(path).is_some_and(|path| Some(path) == canonical(other))
}

fn unreadable(path: &Path, error: std::io::Error) -> Failure {
    Failure::usage(format!("{} cannot be read", path.display())).because(error)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn data_and_caches_are_no_sources() {
        let folder = tempfile::tempdir().unwrap();
        let write = |name: &str| std::fs::write(folder.path().join(name), name).unwrap();
        std::fs::create_dir(folder.path().join("__pycache__")).unwrap();
        let files = [
            "app.py",
            "requirements.txt",
            "output.txt",
            "notes.db",
            "app.log",
            "__pycache__/app.py",
        ];
        files.into_iter().for_each(write);
        let expected = ["app.py", "requirements.txt"].map(|name| folder.path().join(name));
        assert_eq!(sources(folder.path()).unwrap(), expected);
    }
}
