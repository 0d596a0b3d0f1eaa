//! All keys of the grid file, from its schema.

use std::collections::BTreeSet;

use serde_json::Value;

/// The keys that are no tables of further keys, as in `load.open.rate`; NAME
/// stands for a name that the user gives, and `[command]` for a server of that
/// profile.
pub(super) fn keys() -> BTreeSet<String> {
    let schema = autotune_grid::schema(&autotune_server::profiles());
    let mut keys = BTreeSet::new();
    walk(&schema, "", &mut keys);
    keys
}

fn members(shape: &Value, name: &str) -> impl Iterator<Item = (String, Value)> {
    let members = shape[name].as_object().cloned().unwrap_or_default();
    members.into_iter().filter(|(_, inner)| inner.is_object())
}

/// Whether it takes nothing but keys that have cases of their own.
fn is_table(shape: &Value) -> bool {
    if shape["items"].is_object() {
        return is_table(&shape["items"]);
    }
    let each = members(shape, "patternProperties").map(|(_, each)| each);
    let each: Vec<Value> = each
        .chain(shape.get("additionalProperties").cloned())
        .filter(Value::is_object)
        .collect();
    shape["properties"].is_object()
        || shape["then"].is_object()
        || (!each.is_empty() && each.iter().all(is_table))
}

fn walk(shape: &Value, path: &str, keys: &mut BTreeSet<String>) {
    for (name, inner) in members(shape, "properties") {
        let path = match path {
            "" => name,
            path => format!("{path}.{name}"),
        };
        if !is_table(&inner) {
            keys.insert(path.clone());
        }
        walk(&inner, &path, keys);
    }
    let named = format!("{path}.NAME");
    for (_, inner) in members(shape, "patternProperties") {
        walk(&inner, &named, keys);
    }
    if let Some(each) = shape.get("additionalProperties").filter(|e| e.is_object()) {
        // Names that the user makes up, beside those that there are.
        if shape["properties"].is_object() {
            keys.insert(named.clone());
        }
        walk(each, &named, keys);
    }
    walk_if_there(shape.get("items"), path, keys);
    for list in ["anyOf", "allOf", "oneOf"] {
        let shapes = shape[list].as_array();
        for inner in shapes.into_iter().flatten() {
            walk(inner, path, keys);
        }
    }
    let of_command = shape["if"]["properties"]["profile"]["const"] == "command";
    let then = if of_command { "[command]" } else { "" };
    walk_if_there(shape.get("then"), &format!("{path}{then}"), keys);
    walk_if_there(shape.get("else"), path, keys);
}

fn walk_if_there(shape: Option<&Value>, path: &str, keys: &mut BTreeSet<String>) {
    if let Some(shape) = shape {
        walk(shape, path, keys);
    }
}
