//! `env` of a server or a service: the environment variables that it is started with. Taking
//! values out of our own environment is left to the program.

use std::ops::Range;

use autotune_model::{EnvValue, ErrorCode};
use toml::de::{DeTable, DeValue};

use crate::fault::{Checked, Faults, GridFault};
use crate::template::{Filled, Holed};
use crate::tree::{Keys, Node, Table, all};

pub(crate) const FROM_ENV_KEYS: Keys<'_> = Keys {
    known: &["from_env", "secret"],
    planned: &[],
};

/// All variables in the order of the text, none of those that are `cleared`.
/// Their texts with holes are added to `texts`.
pub(crate) fn read<'a>(
    server: &Table<'a>,
    (cleared, filled): (&[String], Filled),
    texts: &mut Vec<Holed<'a>>,
    faults: &mut Faults,
) -> Checked<Vec<(String, EnvValue)>> {
    let Some(node) = server.given("env") else {
        return Ok(Vec::new());
    };
    // All values share their defaults.
    let defaults = server.defaults_of("env");
    let env = node.table("`env`".to_owned(), defaults, faults)?;
    all(env.nodes.iter().map(|node| {
        name(node, cleared, faults)?;
        let value = if node.value.is_table() {
            from_env(node, defaults, faults)?
        } else if node.value.is_str() {
            let text = node.text(faults)?.to_owned();
            texts.push(Holed {
                node: node.clone(),
                words: vec![text.clone()],
                filled,
            });
            EnvValue::Text(text)
        } else {
            return Err(faults.add(node.mismatch("a text or { from_env = \"NAME\" }")));
        };
        Ok((node.key.to_owned(), value))
    }))
}

/// The values of `from_env` among these with their places, whether or not they
/// are right, in the order of the text.
pub(crate) fn from_env_places<'v, 'a: 'v>(
    values: impl Iterator<Item = &'v DeValue<'a>>,
) -> Vec<(String, Range<usize>)> {
    let mut places: Vec<(String, Range<usize>)> = values
        .filter_map(|value| value.get("from_env"))
        .filter_map(|from| Some((from.get_ref().as_str()?.to_owned(), from.span())))
        .collect();
    places.sort_by_key(|(_, span)| span.start);
    places
}

/// The same for `env` of a server.
pub(crate) fn places_in(server: &Table<'_>) -> Vec<(String, Range<usize>)> {
    let env = server.given("env");
    let values = env
        .as_ref()
        .and_then(|env| Some(env.value.as_table()?.values()));
    from_env_places(values.into_iter().flatten().map(|value| value.get_ref()))
}

fn name(node: &Node<'_>, cleared: &[String], faults: &mut Faults) -> Checked<()> {
    let (key, span) = (node.key, &node.key_span);
    if key.is_empty() || key.contains(['=', '\0']) {
        let message = format!("no environment variable can be called `{key}`");
        let code = ErrorCode::GridValue;
        return Err(faults.add(GridFault::new(code, span, message, "not a name")));
    }
    if cleared.iter().any(|cleared| cleared == key) {
        let message = format!("`{key}` would override what the grid sets");
        let code = ErrorCode::GridConflict;
        let fault = GridFault::new(code, span, message, "is cleared before each launch");
        return Err(faults.add(fault.hint("set the parameter in [grid] instead")));
    }
    Ok(())
}

/// `{ from_env = "NAME", secret = true }`.
pub(crate) fn from_env<'a>(
    node: &Node<'a>,
    defaults: Option<&'a DeTable<'a>>,
    faults: &mut Faults,
) -> Checked<EnvValue> {
    let mut table = node.table(format!("`{}`", node.key), defaults, faults)?;
    table.check_keys(&FROM_ENV_KEYS, faults);
    let hint = "the variable to take: from_env = \"NAME\"";
    let name = table
        .require("from_env", hint, faults)
        .and_then(|node| node.filled_text(faults));
    let secret = table
        .require("secret", "true or false", faults)
        .and_then(|node| node.bool(faults));
    Ok(EnvValue::FromEnv {
        name: name?.to_owned(),
        secret: secret?,
    })
}
