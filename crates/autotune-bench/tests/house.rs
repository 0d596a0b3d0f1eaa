//! The house rules that no compiler checks: which crate may know which, how a
//! file opens, how long it may be, and what stands where. What each rule is
//! for is said in its message.

use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

use serde_json::Value;

/// Crate by crate, what it may depend on, `autotune-` left out. Normal and
/// build dependencies; those of tests are free.
const EDGES: [(&str, &[&str]); 13] = [
    ("sweep", &["analysis", "model", "search", "store"]),
    ("trial", &["load", "model", "process", "server", "stats"]),
    ("load", &["model"]),
    ("process", &["model"]),
    ("server", &["model", "process"]),
    ("store", &["model"]),
    ("grid", &["model"]),
    ("search", &["analysis", "model", "stats"]),
    ("analysis", &["model", "stats"]),
    ("stats", &[]),
    ("report", &["analysis", "model"]),
    ("model", &[]),
    ("sim", &["model", "sweep"]),
];
/// The program may know every crate that is shipped; `bench` any crate.
const PROGRAM: &str = "autotune";
const NOT_SHIPPED: [&str; 2] = ["bench", "sim"];

const PURE: [&str; 5] = ["model", "grid", "stats", "analysis", "search"];
const IMPURE: [&str; 9] = [
    "HashMap",
    "HashSet",
    "SystemTime",
    "Instant::now",
    "std::fs",
    "std::env",
    "std::process",
    "rand::rng",
    "tokio",
];

const LINES_LIMIT: usize = 600;

const TOP_LEVEL: [&str; 9] = [
    "Cargo.lock",
    "Cargo.toml",
    "LICENSE",
    "README.md",
    "crates",
    "docs",
    "grids",
    "results",
    "tests",
];

#[test]
fn crates_know_only_what_the_table_allows() {
    let found = internal_edges();
    let mut table: BTreeMap<_, BTreeSet<_>> = EDGES
        .iter()
        .map(|(name, edges)| (*name, edges.iter().copied().collect()))
        .collect();
    let shipped: BTreeSet<_> = table
        .keys()
        .copied()
        .filter(|name| !NOT_SHIPPED.contains(name))
        .collect();
    let free = [PROGRAM, "bench"];
    let mut faults = Vec::new();
    for (name, edges) in &found {
        let edges: BTreeSet<_> = edges.iter().map(String::as_str).collect();
        match (name.as_str(), table.remove(name.as_str())) {
            (PROGRAM, _) => {
                let beyond: Vec<_> = edges.difference(&shipped).collect();
                if !beyond.is_empty() {
                    faults.push(format!("{PROGRAM} depends on {beyond:?}, never shipped"));
                }
            }
            ("bench", _) => {}
            (_, Some(allowed)) if allowed == edges => {}
            (_, Some(allowed)) => faults.push(format!(
                "{name} depends on {edges:?}, but the table says {allowed:?}"
            )),
            (_, None) => faults.push(format!("{name} is not in the table")),
        }
    }
    faults.extend(table.keys().map(|name| format!("{name} does not exist")));
    for name in free {
        if !found.contains_key(name) {
            faults.push(format!("{name} does not exist"));
        }
    }
    report(
        "the dependencies between the crates differ from the table",
        &faults,
    );
}

#[test]
fn every_file_says_what_it_is_for() {
    let faults = rust_files()
        .into_iter()
        .filter(|file| !file.text.starts_with("//!"))
        .map(|file| file.name);
    report(
        "every file opens with `//!`: what it is for, what it leaves to others",
        &faults.collect::<Vec<_>>(),
    );
}

#[test]
fn no_file_is_too_long() {
    let faults = rust_files().into_iter().filter_map(|file| {
        let lines = without_tests(&file.text).lines().count();
        (lines > LINES_LIMIT).then(|| format!("{} has {lines}", file.name))
    });
    report(
        &format!("a file has at most {LINES_LIMIT} lines without its tests; split it"),
        &faults.collect::<Vec<_>>(),
    );
}

#[test]
fn lib_files_hold_no_logic() {
    let faults = rust_files().into_iter().filter_map(|file| {
        let is_root = file.name.ends_with("/src/lib.rs");
        let logic = is_root.then(|| logic_in_root(&file.text)).flatten()?;
        Some(format!("{}: {logic}", file.name))
    });
    report(
        "lib.rs holds documentation, attributes, `mod` and `pub use` only",
        &faults.collect::<Vec<_>>(),
    );
}

#[test]
fn nothing_else_stands_at_the_top() {
    let names: BTreeSet<_> = project_files()
        .iter()
        .filter_map(|name| name.split('/').next().map(str::to_owned))
        .filter(|name| !name.starts_with('.') && !TOP_LEVEL.contains(&name.as_str()))
        .collect();
    report(
        &format!("at the top level there are only {TOP_LEVEL:?} and dot files"),
        &names.into_iter().collect::<Vec<_>>(),
    );
}

#[test]
fn exceptions_from_lints_are_expected_with_a_reason() {
    // Put together, so that this file does not break its own rule.
    let needles = [concat!("#[", "allow("), concat!("#![", "allow(")];
    let faults = rust_files().into_iter().flat_map(|file| {
        let name = file.name;
        let lines: Vec<_> = (1..)
            .zip(file.text.lines())
            .filter(|(_, line)| needles.iter().any(|needle| line.contains(needle)))
            .map(|(number, _)| format!("{name}:{number}"))
            .collect();
        lines
    });
    report(
        "an exception from a lint is #[expect(…, reason = \"…\")]",
        &faults.collect::<Vec<_>>(),
    );
}

#[test]
fn pure_crates_touch_nothing() {
    let mut faults = Vec::new();
    for file in rust_files() {
        let is_pure = PURE.iter().any(|name| {
            file.name
                .starts_with(&format!("crates/autotune-{name}/src/"))
        });
        if is_pure {
            let found = impure_words(&file.text);
            faults.extend(found.iter().map(|word| format!("{}: {word}", file.name)));
        }
    }
    report(
        &format!("{PURE:?} use no clock, no entropy, no files, no async and no hash order"),
        &faults,
    );
}

#[test]
fn pure_crates_have_lints_of_their_own() {
    let faults = PURE.iter().filter_map(|name| {
        let path = format!("crates/autotune-{name}/clippy.toml");
        let text = fs::read_to_string(root().join(&path)).unwrap_or_default();
        let complete = ["disallowed-methods", "disallowed-types"]
            .iter()
            .all(|key| text.contains(key));
        (!complete).then_some(path)
    });
    report(
        "a pure crate has a clippy.toml that names what it may not use",
        &faults.collect::<Vec<_>>(),
    );
}

#[test]
fn every_end_to_end_test_is_run() {
    let files = project_files();
    let modules: Vec<_> = files.iter().filter_map(|name| end_to_end(name)).collect();
    if modules.is_empty() {
        eprintln!("skipped: there is no end-to-end test yet");
        return;
    }
    let main = fs::read_to_string(root().join("tests/main.rs")).unwrap_or_default();
    let declared: BTreeSet<_> = main.lines().filter_map(declared_module).collect();
    let faults = modules
        .into_iter()
        .filter(|module| !declared.contains(module))
        .map(str::to_owned);
    report(
        "tests/main.rs declares every file in tests/; a forgotten one is never run",
        &faults.collect::<Vec<_>>(),
    );
}

/// A Rust file of the project.
struct RustFile {
    /// Relative to the top level.
    name: String,
    text: String,
}

fn report(rule: &str, faults: &[String]) {
    assert!(
        faults.is_empty(),
        "house rule: {rule}\n  {}\n",
        faults.join("\n  ")
    );
}

fn root() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../..")
}

/// Internal dependencies other than those of tests, `autotune-` left out.
fn internal_edges() -> BTreeMap<String, BTreeSet<String>> {
    let output = Command::new(env!("CARGO"))
        .args(["metadata", "--format-version", "1", "--no-deps"])
        .current_dir(root())
        .output()
        .expect("cargo runs this test, so it can be started");
    let errors = String::from_utf8_lossy(&output.stderr);
    assert!(output.status.success(), "cargo metadata failed: {errors}");
    let metadata: Value = serde_json::from_slice(&output.stdout).expect("cargo writes JSON");
    list(&metadata, "packages")
        .iter()
        .map(|package| {
            let edges = list(package, "dependencies").iter();
            let internal = edges
                .filter(|edge| edge["kind"] != "dev" && !edge["path"].is_null())
                .map(short_name);
            (short_name(package), internal.collect())
        })
        .collect()
}

fn list<'a>(value: &'a Value, key: &str) -> &'a [Value] {
    let list = value[key].as_array();
    list.unwrap_or_else(|| panic!("`{key}` is a list in cargo's metadata"))
}

fn short_name(value: &Value) -> String {
    let name = value["name"].as_str().expect("names are texts");
    name.strip_prefix("autotune-").unwrap_or(name).to_owned()
}

/// What git tracks or would track, and what is there.
fn project_files() -> Vec<String> {
    let output = Command::new("git")
        // The checkout may belong to another user, as in a container.
        .args(["-c", "safe.directory=*", "ls-files", "-z"])
        .args(["--cached", "--others", "--exclude-standard"])
        .current_dir(root())
        .output()
        .expect("the house rules are checked on a git checkout, with git installed");
    let errors = String::from_utf8_lossy(&output.stderr);
    assert!(output.status.success(), "git ls-files failed: {errors}");
    let text = String::from_utf8(output.stdout).expect("file names are UTF-8");
    let files: Vec<_> = text
        .split_terminator('\0')
        .filter(|name| root().join(name).exists())
        .map(str::to_owned)
        .collect();
    assert!(files.len() > 50, "git lists only {files:?}");
    files
}

fn rust_files() -> Vec<RustFile> {
    project_files()
        .into_iter()
        .filter(|name| name.starts_with("crates/") || name.starts_with("tests/"))
        .filter(|name| name.ends_with(".rs"))
        .map(|name| {
            let text = fs::read_to_string(root().join(&name));
            let text = text.unwrap_or_else(|error| panic!("{name} cannot be read: {error}"));
            RustFile { name, text }
        })
        .collect()
}

/// The text up to the module of tests within the file.
fn without_tests(text: &str) -> &str {
    let marks = text.match_indices("#[cfg(test)]\nmod ");
    let mut inline = marks.filter(|(at, mark)| {
        let rest = &text[at + mark.len()..];
        rest.lines().next().is_some_and(|line| line.ends_with('{'))
    });
    inline.next().map_or(text, |(at, _)| &text[..at])
}

/// The code without whole-line comments.
fn code_of(text: &str) -> String {
    let lines = text
        .lines()
        .filter(|line| !line.trim_start().starts_with("//"));
    lines.map(|line| format!("{line}\n")).collect()
}

fn impure_words(text: &str) -> Vec<&'static str> {
    let code = code_of(without_tests(text));
    let mut found: Vec<_> = IMPURE
        .into_iter()
        .filter(|word| code.contains(word))
        .collect();
    // `use std::{env, fs}` hides the path.
    let groups = code.split("std::{").skip(1);
    for group in groups.filter_map(|rest| rest.split('}').next()) {
        let mut names = group.split(|c: char| !c.is_alphanumeric() && c != '_');
        if names.any(|name| ["fs", "env", "process"].contains(&name)) {
            found.push("std::{…}");
        }
    }
    found
}

/// The first thing in a `lib.rs` that is not allowed there.
fn logic_in_root(text: &str) -> Option<String> {
    let mut code = code_of(text);
    while let Some(start) = code.find("#[").or_else(|| code.find("#![")) {
        let mut depth = 0;
        let end = code[start..].char_indices().find(|(_, c)| {
            match c {
                '[' => depth += 1,
                ']' => depth -= 1,
                _ => {}
            }
            *c == ']' && depth == 0
        });
        let Some((length, _)) = end else {
            return Some("an attribute without end".to_owned());
        };
        code.replace_range(start..=start + length, "");
    }
    let is_allowed = |item: &str| {
        let module = ["mod ", "pub mod ", "pub(crate) mod "];
        item.starts_with("pub use ")
            || (!item.contains('{') && module.iter().any(|start| item.starts_with(start)))
    };
    let mut items = code.split(';').map(str::trim);
    let logic = items.find(|item| !item.is_empty() && !is_allowed(item))?;
    Some(logic.lines().next().unwrap_or_default().to_owned())
}

/// The module that a file in `tests/` should be, other than the main one.
fn end_to_end(name: &str) -> Option<&str> {
    let rest = name.strip_prefix("tests/")?;
    let module = rest
        .strip_suffix("/mod.rs")
        .or_else(|| rest.strip_suffix(".rs"))?;
    (module != "main" && !module.contains('/')).then_some(module)
}

fn declared_module(line: &str) -> Option<&str> {
    let name = line.trim().strip_prefix("mod ")?;
    name.strip_suffix(';')
}

#[test]
fn the_rules_see_what_they_forbid() {
    let lib =
        "//! Docs.\n#![cfg_attr(x, y([1]))]\nmod a;\npub mod b;\n\npub use a::{\n    X,\n};\n";
    assert_eq!(logic_in_root(lib), None);
    for logic in [
        "fn f() {}",
        "use a::X;",
        "mod a { fn f() {} }",
        "const X: u8 = 1;",
        "macro_rules! m { () => {} }",
    ] {
        let text = format!("{lib}{logic}\n");
        assert!(logic_in_root(&text).is_some(), "{logic}");
    }

    let tests = "#[cfg(test)]\nmod tests {\n    use std::fs;\n}\n";
    assert_eq!(without_tests(&format!("a\n{tests}")), "a\n");
    let elsewhere = "#[cfg(test)]\nmod tests;\nb\n";
    assert_eq!(without_tests(elsewhere), elsewhere);

    assert_eq!(impure_words(&format!("// HashMap\n{tests}")), [""; 0]);
    for (text, word) in [
        ("use std::collections::HashMap;", "HashMap"),
        ("use std::{\n    env,\n};", "std::{…}"),
        ("let now = Instant::now();", "Instant::now"),
    ] {
        assert_eq!(impure_words(text), [word]);
    }

    assert_eq!(end_to_end("tests/sweep.rs"), Some("sweep"));
    assert_eq!(end_to_end("tests/common/mod.rs"), Some("common"));
    assert_eq!(end_to_end("tests/main.rs"), None);
    assert_eq!(end_to_end("tests/common/app.py"), None);
    assert_eq!(declared_module("mod sweep;"), Some("sweep"));
}
