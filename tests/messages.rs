//! What the program says of broken grid files, word for word, as committed. The
//! cases are those of the reader's own tests; here they are seen as users see them.
//! After a wanted change `RENEW_HELP=1 cargo test -p autotune --test end_to_end
//! messages` writes them anew.

use std::fmt::Write as _;
use std::path::{Path, PathBuf};

use crate::place::{Place, read};

fn tests_of_the_reader(name: &str) -> String {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("../autotune-grid/src/tests");
    read(&folder.join(name))
}

/// A good grid file of the reader's tests, by the name of its constant.
fn good(name: &str, code: &str) -> String {
    let begin = format!("const {}: &str = r#\"", name.to_uppercase());
    let (_, rest) = code.split_once(&begin).expect("there is such a constant");
    let (text, _) = rest.split_once("\"#;").expect("it ends");
    text.to_owned()
}

/// A change that breaks a good grid file.
#[derive(Default)]
struct Case {
    whole: String,
    code: String,
    from: Vec<String>,
    to: Vec<String>,
}

fn cases() -> Vec<Case> {
    let mut cases: Vec<Case> = Vec::new();
    let text = tests_of_the_reader("broken.cases");
    let lines = text.lines();
    for line in lines.filter(|line| !line.is_empty() && !line.starts_with('#')) {
        let (mark, rest) = line.split_at(1);
        let rest = rest.strip_prefix(' ').unwrap_or(rest).to_owned();
        match (mark, cases.last_mut()) {
            ("<", Some(case)) => case.from.push(rest),
            (">", Some(case)) => case.to.push(rest),
            ("^" | "?", Some(_)) => {}
            _ => {
                let (whole, code) = line.split_once(' ').expect("a grid file and a code");
                cases.push(Case {
                    whole: whole.to_owned(),
                    code: code.to_owned(),
                    ..Case::default()
                });
            }
        }
    }
    cases
}

/// The profile of the reader's tests has a switch, and no shipped one has; what an
/// expression gives depends on the CPUs of this machine.
fn is_the_same_everywhere(case: &Case) -> bool {
    let to = case.to.join("\n");
    !to.contains("preload") && !to.contains("cores / 3")
}

fn committed() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../../tests/messages.txt")
}

#[test]
fn every_message_is_as_committed() {
    let code = tests_of_the_reader("mod.rs");
    let place = Place::new();
    let mut all = String::new();
    let cases = cases();
    assert!(cases.len() > 150, "only {} cases", cases.len());
    for case in cases.iter().filter(|case| is_the_same_everywhere(case)) {
        let (from, to) = (case.from.join("\n"), case.to.join("\n"));
        let good = good(&case.whole, &code);
        assert!(good.contains(&from), "nothing to replace: {from}");
        place.write("grid.toml", &good.replacen(&from, &to, 1));
        // Were it good after all, there would still be no such configuration.
        let done = place.run(&["trial", "grid.toml", "none"]);
        done.assert_code(2);
        assert_eq!(done.stdout, "", "{done}");
        done.assert_says(&format!("error[{}]", case.code));
        done.assert_says("--> grid.toml:");
        done.assert_says("nothing was started");
        let what = format!("#### {}: {from:?} -> {to:?}", case.whole);
        writeln!(all, "{what}\n\n{}", done.stderr).expect("a String takes everything");
    }
    if std::env::var_os("RENEW_HELP").is_some() {
        std::fs::write(committed(), &all).expect("written");
    }
    let (now, then) = (all.split("#### "), read(&committed()));
    let then: Vec<&str> = then.split("#### ").collect();
    for message in now.clone() {
        assert!(then.contains(&message), "not as committed:\n{message}");
    }
    assert_eq!(now.count(), then.len(), "there are others than these");
}

/// The reader's tests touch no files, so they cannot look for themselves.
#[test]
fn every_example_is_a_seed_of_wrong_grid_files() {
    let seeds = tests_of_the_reader("mutated.rs");
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../grids");
    let entries = std::fs::read_dir(folder).expect("the examples are there");
    let names = entries.map(|entry| entry.expect("an entry").file_name());
    let names = names.map(|name| name.to_string_lossy().into_owned());
    let examples: Vec<String> = names.filter(|name| name.ends_with(".toml")).collect();
    assert!(!examples.is_empty(), "there is no example");
    for name in examples {
        assert!(seeds.contains(&format!("/grids/{name}\"")), "{name}");
    }
}
