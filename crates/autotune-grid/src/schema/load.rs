//! `[load]` in the schema.

use autotune_model::Surge;
use serde_json::{Value, json};

use super::{described, duration, object, with_default};
use crate::load;
use crate::tree::Keys;

pub(super) fn load() -> Value {
    let mut schema = object(&load::KEYS, &[], |key| {
        let (shape, words) = match key {
            "connections" => (
                json!({ "anyOf": [{ "enum": ["keep-alive", "per-request"] }, limits()] }),
                "Whether connections stay open, as behind a proxy with keep-alive, and up to \
                 which limit the client keeps them.",
            ),
            "open" => (
                one_of(
                    object(&load::OPEN_KEYS, &[], open_key),
                    ["rate", "steps", "group"],
                ),
                "Requests arrive at a rate, however slow the answers.",
            ),
            "closed" => (
                one_of(
                    object(&load::CLOSED_KEYS, &[], closed_key),
                    ["users", "steps", "group"],
                ),
                "Users who wait for an answer before they ask again.",
            ),
            _ => return None,
        };
        Some(with_default(described(shape, words), &["load", key]))
    });
    schema["oneOf"] = json!([{ "required": ["open"] }, { "required": ["closed"] }]);
    schema
}

/// Exactly one of these keys is there.
fn one_of<const N: usize>(mut schema: Value, keys: [&str; N]) -> Value {
    let each = keys.iter().map(|key| json!({ "required": [key] }));
    schema["oneOf"] = each.collect();
    schema
}

fn limits() -> Value {
    let mut schema = object(&load::CONNECTION_KEYS, &[], |key| {
        let (shape, words) = match key {
            "reconnect_every" => (
                json!({ "type": "integer", "minimum": 1, "maximum": load::MOST_ANSWERS }),
                "The client closes a connection after so many answers, as nginx does with \
                 keepalive_requests.",
            ),
            "idle" => (
                duration(),
                "The client closes a connection that it did not use for so long, as nginx does \
                 with keepalive_timeout.",
            ),
            _ => return None,
        };
        Some(described(shape, words))
    });
    schema["minProperties"] = json!(1);
    schema
}

fn rate() -> Value {
    json!({ "type": "number", "exclusiveMinimum": 0 })
}

fn users() -> Value {
    json!({ "type": "integer", "minimum": 1, "maximum": u32::MAX })
}

fn open_key(key: &str) -> Option<Value> {
    let (shape, words) = match key {
        "rate" => (
            rate(),
            "Requests a second over all endpoints. In its place: `steps`, or groups.",
        ),
        "arrivals" => (arrivals(), ARRIVALS),
        "ramp" => (
            duration(),
            "How long the rate takes to climb evenly from zero, and with `steps` from each rate to \
             the next. The first climb belongs to the warm-up, which does not count; trials \
             without steps are longer by it.",
        ),
        "steps" => (
            steps(&load::OPEN_STEP_KEYS, "rate"),
            "Rates, one after the other: [{ rate = 50, for = \"3m\" }, { rate = 70, for = \
             \"3m\" }]. Their lengths together are the length of a trial.",
        ),
        "surge" => (
            json!({ "type": "number", "exclusiveMinimum": 1, "maximum": Surge::MOST }),
            "How many times the rate the recommended setting must also carry, without a growing \
             backlog and within max_error_rate; it is launched under that at the end, and refused \
             where it fails in two launches.",
        ),
        "group" => (
            json!({ "type": "array", "minItems": 1, "items": open_group() }),
            "Endpoints with a rate of their own, [[load.open.group]].",
        ),
        _ => return None,
    };
    Some(with_default(
        described(shape, words),
        &["load", "open", key],
    ))
}

const ARRIVALS: &str = "Independent of each other, or evenly spaced.";

fn arrivals() -> Value {
    json!({ "enum": ["poisson", "constant"] })
}

fn closed_key(key: &str) -> Option<Value> {
    let (shape, words) = match key {
        "users" => (
            users(),
            "How many, in total; or in its place `steps`, or groups.",
        ),
        "think" => (think(), THINK),
        "every" => (duration(), EVERY),
        "ramp" => (
            duration(),
            "Over how long the users come in, evenly, and with `steps` over how long those of each \
             step come or leave. The first time belongs to the warm-up, which does not count; \
             trials without steps are longer by it.",
        ),
        "steps" => (
            steps(&load::CLOSED_STEP_KEYS, "users"),
            "Numbers of users, one after the other: [{ users = 50, for = \"3m\" }, { users = 70, \
             for = \"3m\" }]. Their lengths together are the length of a trial. Who leaves gets \
             the last answer; who stays keeps the connection.",
        ),
        "group" => (
            json!({ "type": "array", "minItems": 1, "items": closed_group() }),
            "Endpoints with users of their own, [[load.closed.group]].",
        ),
        _ => return None,
    };
    Some(with_default(
        described(shape, words),
        &["load", "closed", key],
    ))
}

const THINK: &str = "The pause of each user after an answer: a time, or one that is drawn for each \
                     request, { from = \"1s\", to = \"3s\" } evenly, { mean = \"2s\" } \
                     exponentially.";
const EVERY: &str = "In place of `think`, a pace: each user begins a request so often, and at once \
                     where the answer before took longer. Response time counts from when the \
                     request was due.";

fn think() -> Value {
    let times = |key: &str| {
        let words = match key {
            "from" => "The shortest.",
            "to" => "The longest.",
            "mean" => "The mean.",
            _ => return None,
        };
        Some(described(duration(), words))
    };
    json!({ "anyOf": [
        duration(),
        object(&load::UNIFORM_KEYS, &["from", "to"], times),
        object(&load::EXPONENTIAL_KEYS, &["mean"], times),
    ] })
}

fn steps(keys: &Keys<'_>, level: &str) -> Value {
    json!({ "type": "array", "minItems": 1, "items": step(keys, level) })
}

fn step(keys: &Keys<'_>, level: &str) -> Value {
    object(keys, &[level, "for"], |key| {
        let (shape, words) = match key {
            "rate" => (rate(), "Requests a second over all endpoints."),
            "users" => (users(), "How many, in total."),
            "for" => (
                duration(),
                "How long, in whole seconds, the change to it included.",
            ),
            _ => return None,
        };
        Some(described(shape, words))
    })
}

fn endpoints() -> Value {
    json!({ "type": "array", "minItems": 1, "items": { "type": "string" } })
}

const ENDPOINTS: &str = "The endpoints that it asks for, by name and with their weights among each \
                         other. Every endpoint is in exactly one group.";

const GROUP_STEPS: &str = "In place of one level, as without groups. All groups that have steps \
                           change at the same times.";

fn open_group() -> Value {
    let schema = object(&load::OPEN_GROUP_KEYS, &["endpoints"], |key| {
        let (shape, words) = match key {
            "endpoints" => (endpoints(), ENDPOINTS),
            "rate" => (rate(), "Requests a second over the endpoints of the group."),
            "arrivals" => (arrivals(), ARRIVALS),
            "steps" => (steps(&load::OPEN_STEP_KEYS, "rate"), GROUP_STEPS),
            _ => return None,
        };
        let path = ["load", "open", "group", key];
        Some(with_default(described(shape, words), &path))
    });
    one_of(schema, ["rate", "steps"])
}

fn closed_group() -> Value {
    let schema = object(&load::CLOSED_GROUP_KEYS, &["endpoints"], |key| {
        let (shape, words) = match key {
            "endpoints" => (endpoints(), ENDPOINTS),
            "users" => (users(), "How many in this group."),
            "think" => (think(), THINK),
            "every" => (duration(), EVERY),
            "steps" => (steps(&load::CLOSED_STEP_KEYS, "users"), GROUP_STEPS),
            _ => return None,
        };
        let path = ["load", "closed", "group", key];
        Some(with_default(described(shape, words), &path))
    });
    one_of(schema, ["users", "steps"])
}

#[cfg(test)]
pub(super) mod tests {
    use super::*;

    /// Every table of `[load]`: what the reader knows, and the schema's keys.
    pub(in crate::schema) fn tables(schema: &Value) -> Vec<(&'static Keys<'static>, Value)> {
        let all: [(&Keys<'_>, &str); 10] = [
            (&load::KEYS, ""),
            (&load::CONNECTION_KEYS, "/connections/anyOf/1/properties"),
            (&load::OPEN_KEYS, "/open/properties"),
            (
                &load::OPEN_STEP_KEYS,
                "/open/properties/steps/items/properties",
            ),
            (
                &load::OPEN_GROUP_KEYS,
                "/open/properties/group/items/properties",
            ),
            (&load::CLOSED_KEYS, "/closed/properties"),
            (
                &load::CLOSED_STEP_KEYS,
                "/closed/properties/steps/items/properties",
            ),
            (
                &load::CLOSED_GROUP_KEYS,
                "/closed/properties/group/items/properties",
            ),
            (
                &load::UNIFORM_KEYS,
                "/closed/properties/think/anyOf/1/properties",
            ),
            (
                &load::EXPONENTIAL_KEYS,
                "/closed/properties/think/anyOf/2/properties",
            ),
        ];
        let at = |path: &str| {
            let path = format!("/properties/load/properties{path}");
            let found = schema.pointer(&path);
            found.unwrap_or_else(|| panic!("no {path}")).clone()
        };
        all.into_iter()
            .map(|(keys, path)| (keys, at(path)))
            .collect()
    }
}
