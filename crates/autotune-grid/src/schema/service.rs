//! `[service.X]` in the schema.

use serde_json::{Value, json};

use super::{PATH, described, filled, given_or_taken, object, text, with_default};
use crate::{goal, server, service};

/// What can stand in a hole.
const NAME: &str = "^[A-Za-z_][A-Za-z0-9_]{0,63}$";

pub(super) fn services() -> Value {
    json!({
        "type": "object",
        "patternProperties": { NAME: object(&service::KEYS, &["start"], key) },
        "additionalProperties": false,
        "description": "What the app needs beside it, [service.NAME]: a database, a cache. Services start before the first server, in the order of the file, and end after the last one.",
    })
}

fn key(key: &str) -> Option<Value> {
    let command = || json!({ "type": "array", "minItems": 1, "items": text() });
    let (shape, words) = match key {
        "start" => (
            json!({ "anyOf": [filled(), command()] }),
            "The whole command, which stays in the foreground, with {{ port }}, {{ host }} and {{ run }}, a fresh folder of its own, as holes; {{ cache }} is what `setup` built.",
        ),
        "ready" => (
            json!({ "anyOf": [{ "type": "string", "pattern": PATH }, filled(), command()] }),
            "What tells that it can be used: a command that succeeds, as a list or a text, or a path such as \"/health\" that is answered with success. Left out: the port takes a connection. After a minute without that the sweep stops.",
        ),
        "stop" => (
            json!({ "enum": server::SIGNALS }),
            "The signal that ends it gracefully; after half a minute it is killed.",
        ),
        "user" => (
            json!({ "anyOf": [filled(), when_root()] }),
            "Whom `start`, `setup` and `ready` run as. A name holds for everybody, and only root can start something as somebody else; { when_root = \"postgres\" } holds where root runs the sweep, for programs that refuse root.",
        ),
        "cpus" => (
            json!({ "type": "array", "minItems": 1, "items": { "type": "integer", "minimum": 0, "maximum": goal::LAST_CPU } }),
            "The CPUs that it may use, such as [0], none of them the generator's. Left out: all but the generator's.",
        ),
        "dir" => (
            filled(),
            "Its working directory, relative to the grid file.",
        ),
        "setup" => (
            json!({ "type": "array", "items": filled() }),
            "Commands that build what it needs, run in `dir` once, and again when they, the files that they name or the user change; {{ cache }} is a folder that is kept between sweeps.",
        ),
        "env" => (
            json!({ "type": "object", "propertyNames": { "pattern": "^[^=]+$" }, "additionalProperties": given_or_taken() }),
            "Environment variables of it and of `ready`, with the same holes as `start`.",
        ),
        "may_reach" => (
            json!({ "type": "array", "items": filled() }),
            "Addresses beyond this machine that it may connect to.",
        ),
        _ => return None,
    };
    Some(with_default(described(shape, words), &["service", key]))
}

fn when_root() -> Value {
    object(&service::USER_KEYS, &["when_root"], |key| {
        let words = "The user where root runs the sweep; others run it as themselves.";
        (key == "when_root").then(|| described(filled(), words))
    })
}

#[cfg(test)]
pub(crate) mod tests {
    use crate::tree::Keys;

    use super::*;

    /// Every table of keys with where it stands in the schema.
    pub(crate) fn places() -> Vec<(&'static Keys<'static>, String)> {
        let keys = format!("/properties/service/patternProperties/{NAME}/properties");
        let user = format!("{keys}/user/anyOf/1/properties");
        vec![(&service::KEYS, keys), (&service::USER_KEYS, user)]
    }
}
