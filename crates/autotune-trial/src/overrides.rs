//! Settings that the app overrides: which, and where. And the other way round:
//! what the app's own file says and the command line overrides.

use std::collections::BTreeMap;
use std::path::Path;

use autotune_model::Configuration;
use autotune_server::{Assignment, Mismatch, assignments, settings_file};

use crate::prepare::Prepared;

/// The file in which the app sets its server's parameters, as read.
#[derive(Clone, Debug, Default)]
pub(crate) struct AppSettings {
    name: String,
    text: String,
}

impl AppSettings {
    /// Reads the file; one that is not there sets nothing.
    pub(crate) fn read(prepared: &Prepared, settings: &BTreeMap<String, String>) -> Self {
        let dir = &prepared.variant.dir;
        let Some(path) = settings_file(&prepared.behaviour, dir, settings) else {
            return Self::default();
        };
        let text = std::fs::read_to_string(&path).unwrap_or_default();
        let name = path.strip_prefix(dir).unwrap_or(&path);
        Self {
            name: Path::new(name).display().to_string(),
            text,
        }
    }
}

/// For people: the setting, what was asked, what is in effect, and who says so.
pub(crate) fn explain(prepared: &Prepared, app: &AppSettings, mismatch: &Mismatch) -> String {
    let Mismatch {
        setting,
        asked,
        effective,
    } = mismatch;
    let source = source(prepared, app, mismatch);
    format!("`{setting}` was asked to be {asked} but is {effective}, set by {source}")
}

fn source(prepared: &Prepared, app: &AppSettings, mismatch: &Mismatch) -> String {
    let found = assignments(&prepared.behaviour, &app.text, &mismatch.setting);
    // A plain line is weaker than the command line: it is the source only if
    // it says just what is in effect.
    let guilty = |assignment: &&Assignment| match &assignment.plain_value {
        None => true,
        Some(value) => value.trim_matches(['"', '\'']) == mismatch.effective,
    };
    if let Some(assignment) = found.iter().find(guilty) {
        return format!("{}:{} (`{}`)", app.name, assignment.line, assignment.text);
    }
    let overriding = &prepared.behaviour.overriding_env;
    let variable = prepared
        .variant
        .env
        .iter()
        .find(|(name, _)| overriding.contains(name));
    match (variable, &prepared.behaviour.program) {
        (Some((name, _)), _) => format!("the environment variable {name} in `env`"),
        (None, Some(program)) => format!("a wrapper around {program}, or the app itself"),
        (None, None) => "the app itself".to_owned(),
    }
}

/// A parameter that a hook in the app's own file changes in the running server,
/// for people. The settings that the server prints do not show it, since no hook
/// runs then; how many workers there are is seen from outside.
pub(crate) fn changed_by_hook(
    prepared: &Prepared,
    app: &AppSettings,
    configuration: &Configuration,
) -> Option<String> {
    let names = prepared.behaviour.always.iter();
    let unseen = names.filter(|name| prepared.profile.workers.as_ref() != Some(name));
    unseen.into_iter().find_map(|name| {
        let asked = configuration.value(name)?.to_string();
        let found = assignments(&prepared.behaviour, &app.text, name.as_str());
        let changes = |assignment: &&Assignment| {
            let value = assignment.hook_value.as_deref();
            value.is_some_and(|value| value.trim_matches(['"', '\'']) != asked)
        };
        let guilty = found.iter().find(changes)?;
        Some(format!(
            "`{name}` was asked to be {asked} but a hook changes it, set by {}:{} (`{}`)",
            app.name, guilty.line, guilty.text
        ))
    })
}

/// Lines of the app's own file that the command line overrides, for people.
pub(crate) fn overridden_lines(
    prepared: &Prepared,
    app: &AppSettings,
    configuration: &Configuration,
) -> Vec<String> {
    let names = prepared.behaviour.always.iter();
    let notes = names.filter_map(|name| {
        let asked = configuration.value(name)?.to_string();
        let found = assignments(&prepared.behaviour, &app.text, name.as_str());
        let plain = found.iter().find_map(|assignment| {
            let value = assignment.plain_value.as_ref()?;
            (value.trim_matches(['"', '\'']) != asked).then_some(assignment)
        })?;
        Some(format!(
            "{}:{} says `{}`; the grid's value stands on the command line, which is stronger",
            app.name, plain.line, plain.text
        ))
    });
    notes.collect()
}
