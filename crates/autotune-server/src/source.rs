//! Where the app's own configuration file sets a parameter: to name the source
//! of a conflict, and to say what the command line was stronger than.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

use crate::shipped::Behaviour;

/// A line of the app's configuration file that sets a parameter.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Assignment {
    /// From 1.
    pub line: usize,
    /// The line, without space around it.
    pub text: String,
    /// The value, where the line is a plain `name = value` of the file itself
    /// and not part of a hook.
    pub plain_value: Option<String>,
    /// The value as written, where the line changes the running server: an
    /// attribute that is assigned, or a setter, within a function.
    pub hook_value: Option<String>,
}

/// The file that the server reads its settings from: the one it names itself,
/// else the one that it looks for in its working directory. `None` where the
/// kind of server has none, or reads a Python module.
pub fn settings_file(
    behaviour: &Behaviour,
    dir: &Path,
    settings: &BTreeMap<String, String>,
) -> Option<PathBuf> {
    let usual = behaviour.settings_file.as_ref()?;
    let named = behaviour
        .settings_file_setting
        .as_ref()
        .and_then(|name| settings.get(name));
    match named.map(String::as_str) {
        Some(module) if module.starts_with("python:") => None,
        Some(path) => {
            let path = path.strip_prefix("file:").unwrap_or(path);
            Some(dir.join(path.strip_prefix("./").unwrap_or(path)))
        }
        None => Some(dir.join(usual)),
    }
}

/// The lines of a configuration file that set this parameter, those in hooks
/// first: a hook acts on the running server, stronger than the command line; a
/// plain assignment is weaker.
pub fn assignments(behaviour: &Behaviour, text: &str, parameter: &str) -> Vec<Assignment> {
    let mut names = behaviour
        .aliases
        .get(parameter)
        .cloned()
        .unwrap_or_default();
    names.push(parameter.to_owned());
    let mut in_function = false;
    let mut found: Vec<Assignment> = text
        .lines()
        .enumerate()
        .filter_map(|(index, line)| {
            let code = line.split('#').next().unwrap_or_default();
            // Not a bracket that closes a list of arguments over several lines.
            if code.starts_with(|c: char| c.is_alphanumeric() || "_@".contains(c)) {
                in_function = code.starts_with("def ") || code.starts_with("class ");
            }
            let sets = names.iter().any(|name| sets(code, name));
            sets.then(|| Assignment {
                line: index + 1,
                text: line.trim().to_owned(),
                plain_value: plain_value(code, parameter),
                hook_value: names
                    .iter()
                    .find_map(|name| hook_value(code, name))
                    .filter(|_| in_function),
            })
        })
        .collect();
    found.sort_by_key(|assignment| assignment.plain_value.is_some());
    found
}

/// Whether the code assigns to the name (`x.num_workers = 3`) or hands it to a
/// setter (`cfg.set("workers", 3)`).
fn sets(code: &str, name: &str) -> bool {
    code.match_indices(name).any(|(at, _)| {
        let (before, after) = (&code[..at], &code[at + name.len()..]);
        let word = |c: char| c.is_alphanumeric() || c == '_';
        if before.ends_with(word) || after.starts_with(word) {
            return false;
        }
        let rest = after.trim_start();
        let assigned = rest.starts_with('=') && !rest.starts_with("==");
        let quoted = before.ends_with(['"', '\'']) && after.starts_with(['"', '\'']);
        assigned || (quoted && before.contains("set"))
    })
}

/// What a line of a hook sets the name to: `server.num_workers = 3`,
/// `cfg.set("threads", 3)`, `setattr(server, "threads", 3)`. An object's own
/// attribute and an argument of a call are something else.
fn hook_value(code: &str, name: &str) -> Option<String> {
    let found = code.match_indices(name).find_map(|(at, _)| {
        let (before, after) = (&code[..at], &code[at + name.len()..]);
        let before = before.trim_end();
        if let Some(owner) = before.strip_suffix('.') {
            let value = after.trim_start().strip_prefix('=')?;
            let other = value.starts_with('=') || owner.trim() == "self";
            return (!other).then_some(value);
        }
        let caller = before.strip_suffix(['"', '\''])?.trim_end();
        let value = after.strip_prefix(['"', '\''])?.trim_start();
        let set = caller.ends_with(".set(") || caller.contains("setattr(");
        match value.strip_prefix(',') {
            Some(value) if set => Some(value),
            _ => value.strip_prefix("].set("),
        }
    })?;
    let value = found.trim().trim_end_matches([')', ';']).trim();
    Some(value.to_owned())
}

fn plain_value(code: &str, name: &str) -> Option<String> {
    let (left, right) = code.split_once('=')?;
    // Indented lines belong to a hook or a condition.
    (left.trim_end() == name).then(|| right.trim().to_owned())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::shipped::behaviour;

    fn lines(text: &str) -> Vec<usize> {
        let rules = behaviour("gunicorn").expect("shipped");
        let found = assignments(&rules, text, "workers");
        found.iter().map(|assignment| assignment.line).collect()
    }

    #[test]
    fn assignments_and_setters_are_found_hooks_first() {
        let text = "workers = 3\ndef on_starting(server):\n    server.num_workers = 3\n";
        assert_eq!(lines(text), [3, 1]);
        assert_eq!(lines("    server.cfg.set('workers', 3)"), [1]);
        assert_eq!(lines("    setattr(server, \"num_workers\", 3)"), [1]);
    }

    #[test]
    fn mentions_are_not_assignments() {
        assert!(lines("# workers = 3\nif server.num_workers == 3: pass").is_empty());
        assert!(lines("max_workers = 3\nworkers_x = 4\nprint('workers')").is_empty());
    }

    #[test]
    fn only_a_line_of_the_file_itself_is_plain() {
        let rules = behaviour("gunicorn").expect("shipped");
        let found = assignments(&rules, "workers=3\n  workers = 4\n", "workers");
        let plain: Vec<_> = found
            .iter()
            .map(|assignment| assignment.plain_value.as_deref())
            .collect();
        assert_eq!(plain, [None, Some("3")]);
    }

    #[test]
    fn what_a_hook_sets_is_told_from_what_it_mentions() {
        let rules = behaviour("gunicorn").expect("shipped");
        let check = |line: &str, expected: Option<&str>| {
            let text = format!("def on_starting(server):\n    {line}\n");
            let found = assignments(&rules, &text, "threads");
            let value = found.first().and_then(|found| found.hook_value.as_deref());
            assert_eq!(value, expected, "{line}");
        };
        check("server.cfg.set(\"threads\", 16)", Some("16"));
        check("server.cfg.set('threads', 16)  # more", Some("16"));
        check("setattr(server.cfg, 'threads', n)", Some("n"));
        check("server.cfg.settings['threads'].set(16)", Some("16"));
        check("worker.threads = 16", Some("16"));
        check("server.cfg.settings['threads'].get()", None);
        check("threads = 16", None);
        check("pool = Pool(threads=16)", None);
        check("self.threads = 16", None);
        check("if worker.threads == 16: pass", None);
        let condition = "if True:\n    x.threads = 16\n";
        assert_eq!(
            assignments(&rules, condition, "threads")[0].hook_value,
            None
        );
    }

    #[test]
    fn the_file_is_the_one_that_the_server_names() {
        let rules = behaviour("gunicorn").expect("shipped");
        let check = |config: Option<&str>, expected: Option<&str>| {
            let settings = config
                .map(|path| ("config".to_owned(), path.to_owned()))
                .into_iter()
                .collect();
            let found = settings_file(&rules, Path::new("/srv"), &settings);
            assert_eq!(found.as_deref(), expected.map(Path::new));
        };
        check(None, Some("/srv/gunicorn.conf.py"));
        check(Some("./gunicorn.conf.py"), Some("/srv/gunicorn.conf.py"));
        check(Some("/etc/g.py"), Some("/etc/g.py"));
        check(Some("python:conf"), None);
    }
}
