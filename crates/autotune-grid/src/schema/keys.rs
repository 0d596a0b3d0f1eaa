//! An example of every key, and why one would set it: added to the schema, so that
//! editors and the reference show them.

use serde_json::Value;

const KEYS: &str = include_str!("keys.toml");
/// What stands in a path of the schema without being a key of the grid file.
const BETWEEN: [&str; 7] = [
    "properties",
    "patternProperties",
    "additionalProperties",
    "items",
    "anyOf",
    "then",
    "else",
];

/// Adds them to all tables of the schema.
pub(super) fn annotate(schema: &mut Value) {
    let keys: toml::Table = KEYS
        .parse()
        .expect("the embedded examples are TOML: every test of the schema reads them");
    walk(schema, ["", "top"], &keys);
}

/// `table` is the last key on the way, after the one before it.
fn walk(schema: &mut Value, table: [&str; 2], keys: &toml::Table) {
    if let Some(properties) = schema.get_mut("properties").and_then(Value::as_object_mut) {
        for (key, shape) in properties {
            if let Some(entry) = entry(keys, table, key).filter(|_| shape.is_object()) {
                add(shape, entry);
            }
        }
    }
    let members: Vec<(String, &mut Value)> = match schema {
        Value::Object(members) => members
            .iter_mut()
            .map(|(name, value)| (name.clone(), value))
            .collect(),
        Value::Array(items) => items
            .iter_mut()
            .map(|value| ("items".to_owned(), value))
            .collect(),
        _ => Vec::new(),
    };
    // What stands under `if` asks for keys and describes none.
    for (name, value) in members.into_iter().filter(|(name, _)| name != "if") {
        // A name that the user gives stands as its pattern.
        let is_key = !BETWEEN.contains(&name.as_str()) && !name.starts_with('^');
        let table = match (table, name.as_str()) {
            // The schema tells the kinds of servers apart by a condition.
            ([_, "server"], "then") => ["command", "server"],
            _ if is_key => [table[1], name.as_str()],
            _ => table,
        };
        walk(value, table, keys);
    }
}

/// What is said of a key: in the table of its name, where tables of the same name
/// differ with the name before it; what the environment gives and the parameters
/// of a server stand in many.
fn entry<'k>(
    keys: &'k toml::Table,
    [before, table]: [&str; 2],
    key: &str,
) -> Option<&'k toml::Value> {
    let other = match table {
        "grid" | "baseline" => "gunicorn",
        _ => "from_env",
    };
    let within = format!("{before}.{table}");
    [within.as_str(), table, other]
        .into_iter()
        .find_map(|table| keys.get(table)?.get(key))
}

fn add(shape: &mut Value, entry: &toml::Value) {
    let example = serde_json::to_value(&entry["example"])
        .expect("what TOML holds JSON holds; the examples have no dates");
    shape["examples"] = Value::Array(vec![example]);
    let words = shape["description"].as_str().unwrap_or_default();
    let why = entry["why"].as_str().unwrap_or_default();
    shape["description"] = format!("{words} {why}").into();
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::schema::{schema, tests::tables};

    #[test]
    fn every_key_has_an_example_that_its_schema_takes_and_a_reason() {
        let schema = schema(&crate::tests::profiles());
        let mut without = Vec::new();
        for (keys, properties) in tables(&schema) {
            for key in keys.known {
                let shape = &properties[key];
                let example = shape["examples"].get(0);
                let words = shape["description"].as_str().unwrap_or_default();
                let Some(example) = example.filter(|_| words.len() > 1) else {
                    without.push(format!("{key} of {:?}", keys.known));
                    continue;
                };
                let takes = jsonschema::draft7::new(shape).unwrap();
                assert!(takes.is_valid(example), "{key} = {example}");
            }
        }
        assert!(without.is_empty(), "add to schema/keys.toml: {without:#?}");
    }

    #[test]
    fn no_example_is_for_a_key_that_there_is_not() {
        let mut schema = schema(&crate::tests::profiles());
        // A second reason after the first one shows that the key was found.
        let all: toml::Table = KEYS.parse().unwrap();
        // The parameters are those of a profile that is not known here.
        for (table, entries) in all.iter().filter(|(table, _)| *table != "gunicorn") {
            for (key, entry) in entries.as_table().unwrap() {
                let alone: toml::Table = toml::Table::from_iter([(
                    table.clone(),
                    toml::Value::Table(toml::Table::from_iter([(key.clone(), entry.clone())])),
                )]);
                let before = schema.clone();
                walk(&mut schema, ["", "top"], &alone);
                assert!(before != schema, "{key} of {table} is no key");
            }
        }
    }
}
