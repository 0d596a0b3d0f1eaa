//! What tests need from the machine: Python, and a gunicorn that is fetched once
//! and kept between runs.

#![expect(clippy::print_stderr, reason = "a test says why it is passed over")]

use std::fs::{self, File};
use std::path::{Path, PathBuf};
use std::process::Command;
use std::sync::OnceLock;

/// Another list makes another environment.
const REQUIREMENTS: &[&str] = &["gunicorn==27.0.1"];

/// Whether Python 3 runs; with `CI=true` it must.
pub(crate) fn has_python() -> bool {
    present("Python 3", python_version().map(drop)).is_some()
}

/// The folder of a gunicorn's programs, if there can be one; with `CI=true`
/// there must.
pub(crate) fn gunicorn() -> Option<PathBuf> {
    static BUILT: OnceLock<Result<PathBuf, String>> = OnceLock::new();
    present("gunicorn", BUILT.get_or_init(build).clone())
}

/// The folder of PostgreSQL's own programs, which Debian keeps off the `PATH`.
pub(crate) fn postgres() -> Option<PathBuf> {
    let path = std::env::var_os("PATH").unwrap_or_default();
    let debian = fs::read_dir("/usr/lib/postgresql").into_iter().flatten();
    let mut debian: Vec<PathBuf> = debian
        .filter_map(|entry| Some(entry.ok()?.path().join("bin")))
        .collect();
    debian.sort();
    let mut folders = debian.into_iter().rev().chain(std::env::split_paths(&path));
    let found = folders.find(|folder| folder.join("initdb").exists());
    present(
        "PostgreSQL",
        found.ok_or_else(|| "no initdb in PATH or /usr/lib/postgresql".to_owned()),
    )
}

/// Says why a test is passed over; with `CI=true` it fails.
pub(crate) fn is_passed_over(why: &str) -> bool {
    let missing: Result<(), String> = Err(why.to_owned());
    present("way to test this", missing).is_none()
}

fn present<T>(what: &str, found: Result<T, String>) -> Option<T> {
    match found {
        Ok(found) => Some(found),
        Err(why) if std::env::var("CI").as_deref() == Ok("true") => panic!("no {what}: {why}"),
        Err(why) => {
            eprintln!("skipped: there is no {what}: {why}");
            None
        }
    }
}

fn python_version() -> Result<String, String> {
    output(Command::new("python3").arg("--version"))
}

/// A virtual environment at its final path, since it cannot be moved; the mark
/// that it is complete comes last.
fn build() -> Result<PathBuf, String> {
    let version = python_version()?.trim().replace(' ', "-");
    let name = format!("{}-{version}", REQUIREMENTS.join("-"));
    let root = Path::new(env!("CARGO_TARGET_TMPDIR"));
    let venv = root.join(&name);
    let text = |error: std::io::Error| error.to_string();
    fs::create_dir_all(root).map_err(text)?;
    let lock = File::create(root.join(format!("{name}.lock"))).map_err(text)?;
    lock.lock().map_err(text)?;
    let bin = venv.join("bin");
    let complete = venv.join("complete");
    if complete.exists() && output(Command::new(bin.join("gunicorn")).arg("--version")).is_ok() {
        return Ok(bin);
    }
    if venv.exists() {
        fs::remove_dir_all(&venv).map_err(text)?;
    }
    output(Command::new("python3").args(["-m", "venv"]).arg(&venv))?;
    let pip = ["install", "-q", "--disable-pip-version-check"];
    output(
        Command::new(bin.join("pip"))
            .args(pip)
            .args(REQUIREMENTS)
            .env("PYTHONDONTWRITEBYTECODE", "1"),
    )?;
    fs::write(complete, "").map_err(text)?;
    Ok(bin)
}

fn output(command: &mut Command) -> Result<String, String> {
    let output = command
        .output()
        .map_err(|error| format!("{command:?}: {error}"))?;
    if output.status.success() {
        Ok(String::from_utf8_lossy(&output.stdout).into_owned())
    } else {
        let stderr = String::from_utf8_lossy(&output.stderr);
        Err(format!("{command:?}: {}\n{stderr}", output.status))
    }
}
