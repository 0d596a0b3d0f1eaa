//! `expect.json` in the schema.

use serde_json::{Value, json};

use super::{described, object, text};
use crate::json;

/// A JSON pointer (RFC 6901).
const POINTER: &str = "^(/([^~]|~[01])*)?$";

pub(super) fn expected() -> Value {
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
