//! `expect` in the schema, of endpoints and of steps of the login.

use serde_json::{Value, json};

use super::{described, object, text, with_default};
use crate::{endpoint, json};

/// A JSON pointer (RFC 6901).
const POINTER: &str = "^(/([^~]|~[01])*)?$";

pub(super) fn expect() -> Value {
    object(&endpoint::EXPECT_KEYS, &[], |key| {
        let size = || json!({ "type": "integer", "minimum": 0, "maximum": endpoint::MOST_BYTES });
        let (shape, words) = match key {
            "status" => (
                json!({ "type": "array", "minItems": 1, "items": { "type": "integer", "minimum": 100, "maximum": 599 } }),
                "The HTTP statuses that are good, such as [200, 304].",
            ),
            "contains" => (
                json!({ "type": "string", "minLength": 1 }),
                "A text that the body holds, word for word.",
            ),
            "min_bytes" => (size(), "The least bytes that a body may have."),
            "max_bytes" => (size(), "The most bytes that a body may have."),
            "json" => (
                expected(),
                "What the body says as JSON: by JSON pointer the value that stands there, { \"/data/0/id\" = 5, \"/ok\" = true }, or { exists = true }, { exists = false }, { null = true }. Such a body has at most 1 MiB.",
            ),
            _ => return None,
        };
        Some(with_default(
            described(shape, words),
            &["endpoint", "expect", key],
        ))
    })
}

fn expected() -> Value {
    let mut in_words = object(&json::WANTED_KEYS, &[], |key| {
        let (shape, words) = match key {
            "exists" => (
                json!({ "type": "boolean" }),
                "Whether anything stands there, null included.",
            ),
            "null" => (json!({ "const": true }), "That null stands there."),
            _ => return None,
        };
        Some(described(shape, words))
    });
    in_words["minProperties"] = json!(1);
    in_words["maxProperties"] = json!(1);
    json!({
        "type": "object",
        "minProperties": 1,
        "propertyNames": { "pattern": POINTER },
        "additionalProperties": { "anyOf": [
            text(),
            { "type": "number" },
            { "type": "boolean" },
            in_words,
        ] },
    })
}

#[cfg(test)]
pub(super) mod tests {
    use crate::tree::Keys;

    use super::*;

    /// The keys with where they stand in the schema.
    pub(in crate::schema) fn place() -> (&'static Keys<'static>, &'static str) {
        let path = "/properties/endpoint/items/properties/expect/properties/json\
                    /additionalProperties/anyOf/3/properties";
        (&json::WANTED_KEYS, path)
    }
}
