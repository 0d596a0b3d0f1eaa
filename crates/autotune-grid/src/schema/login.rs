//! `[login]` and `[data.X]` in the schema.

use serde_json::{Value, json};

use super::{
    NAME, REQUEST_PATH, TOKEN, described, expect::expect, filled, given_or_taken, object,
    with_default,
};
use crate::login;

/// What can stand in a hole.
const VARIABLE: &str = "^[A-Za-z_][A-Za-z0-9_]*$";

pub(super) fn data() -> Value {
    let each = object(&login::DATA_KEYS, &["file"], |key| {
        let words = "A CSV file whose first line names the columns, relative to the grid file. \
                     {{ NAME.COLUMN }} in a request takes one row after the other, in an order \
                     that the seed decides; a file that the login uses gives each session one row, \
                     the first session the first one. Rows come again when all were used; in \
                     closed load a row may be asked more than once.";
        (key == "file").then(|| described(filled(), words))
    });
    json!({
        "type": "object",
        "patternProperties": { NAME: each },
        "additionalProperties": false,
        "description": "Files whose rows fill requests, [data.NAME].",
    })
}

pub(super) fn login() -> Value {
    let schema = object(&login::KEYS, &["step"], |key| {
        let (shape, words) = match key {
            "sessions" => (
                json!({ "type": "integer", "minimum": 1, "maximum": login::MOST_SESSIONS }),
                "How many people are logged in at once. In open load each request is of one of \
                 them, in closed load each user is; there are at most as many as users.",
            ),
            "values" => (
                json!({ "type": "object", "propertyNames": { "pattern": VARIABLE }, "additionalProperties": given_or_taken() }),
                "What fills holes of this name in steps and endpoints, such as a password.",
            ),
            "step" => (
                json!({ "type": "array", "minItems": 1, "items": step() }),
                "What is asked, one after the other; [[login.step]] for each.",
            ),
            _ => return None,
        };
        Some(with_default(described(shape, words), &["login", key]))
    });
    let words = "How somebody logs in, before the load of every trial. Cookies that the steps set \
                 are sent with later steps and with all requests of the session; their `Path`, \
                 `Domain` and `Secure` mean nothing. What endpoints set later changes no session.";
    described(schema, words)
}

fn step() -> Value {
    let mut schema = object(&login::STEP_KEYS, &["path"], |key| {
        let (shape, words) = match key {
            "method" => (super::methods(), "How it is asked."),
            "path" => (
                json!({ "type": "string", "pattern": REQUEST_PATH }),
                "Path and query, with holes: `values`, what steps before it extract, and columns \
                 of data files.",
            ),
            "headers" => (
                json!({ "type": "object", "propertyNames": { "pattern": TOKEN }, "additionalProperties": given_or_taken() }),
                "Further headers; their values take the same holes as `path`.",
            ),
            "body" => (
                given_or_taken(),
                "What is sent with it, with the same holes as `path`; needs a Content-Type among \
                 the headers.",
            ),
            "expect" => (expect(), "What makes the answer good, as of an endpoint."),
            "extract" => (
                json!({ "type": "object", "propertyNames": { "pattern": VARIABLE }, "additionalProperties": extractor() }),
                "What is taken out of the answer, by the name of the hole that it fills in later \
                 steps and in endpoints. These values are treated as secrets.",
            ),
            _ => return None,
        };
        Some(with_default(
            described(shape, words),
            &["login", "step", key],
        ))
    });
    schema["dependencies"] = json!({ "body": ["method", "headers"] });
    schema
}

fn extractor() -> Value {
    let mut schema = object(&login::EXTRACT_KEYS, &[], |key| {
        let (shape, words) = match key {
            "between" => (
                json!({ "type": "array", "minItems": 2, "maxItems": 2, "items": { "type": "string", "minLength": 1 } }),
                "The body's text between the first occurrence of a text and the next one of \
                 another, as it stands there: ['name=\"csrf\" value=\"', '\"'].",
            ),
            "header" => (filled(), "The value of a header."),
            "json" => (
                json!({ "type": "string", "pattern": "^(/|$)" }),
                "A JSON pointer into the body, such as \"/data/token\".",
            ),
            "cookie" => (filled(), "The value of a cookie that is set by now."),
            _ => return None,
        };
        Some(described(shape, words))
    });
    schema["minProperties"] = json!(1);
    schema["maxProperties"] = json!(1);
    schema
}

#[cfg(test)]
pub(crate) mod tests {
    use crate::tree::Keys;

    use super::*;

    /// Every table of keys with where it stands in the schema.
    pub(crate) fn places() -> Vec<(&'static Keys<'static>, String)> {
        let step = "/properties/login/properties/step/items/properties";
        vec![
            (&login::KEYS, "/properties/login/properties".to_owned()),
            (&login::STEP_KEYS, step.to_owned()),
            (
                &login::EXTRACT_KEYS,
                format!("{step}/extract/additionalProperties/properties"),
            ),
            (
                &login::DATA_KEYS,
                format!("/properties/data/patternProperties/{NAME}/properties"),
            ),
        ]
    }
}
