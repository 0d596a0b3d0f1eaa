//! The schema and the reader, held against each other from both sides: what the
//! reader takes the schema takes, and what is wrong by shape both refuse.

use std::sync::LazyLock;

use jsonschema::Validator;

use super::broken::{cases, edit};
use super::*;

static SCHEMA: LazyLock<Validator> = LazyLock::new(|| {
    let schema = crate::schema(&profiles());
    jsonschema::draft7::new(&schema).unwrap_or_else(|why| panic!("no schema: {why}"))
});

/// What the schema says against a text that is TOML. Numbers that no editor can
/// hold are an objection, too.
pub(super) fn objections(text: &str) -> Vec<String> {
    let table: toml::Table = match text.parse() {
        Ok(table) => table,
        Err(why) => return vec![why.to_string()],
    };
    let value = serde_json::to_value(table).unwrap_or_else(|why| panic!("{why}\n{text}"));
    let errors = SCHEMA.iter_errors(&value);
    errors
        .map(|error| format!("{} at {}", error, error.instance_path()))
        .collect()
}

#[test]
fn good_grid_files_are_taken() {
    let own = [FULL, COMMAND, LOGIN, SERVICES, LEAST];
    for text in own.into_iter().chain(super::mutated::EXAMPLES) {
        assert_eq!(objections(text), Vec::<String>::new(), "{text}");
    }
}

/// Unknown, planned and missing keys, and values of another kind. The words tell
/// what no schema can know: what a name refers to, what an expression gives.
#[test]
fn what_is_wrong_by_shape_is_refused() {
    let beyond = [
        "is not a template",
        "a template in",
        "nothing is called",
        "cannot be filled",
        "cannot be computed",
        "takes a whole number, this gives",
        "takes one value in [baseline]",
        "more than 10000 values",
        "is empty: ",
        "is not an expression",
        "no parameter is called",
        "neither true nor false",
        "is not told where to listen",
        "is not started by then",
        "is nothing that a service has",
        "no service runs when",
        "does not set",
        "the body has no type",
        "is not replaced by a home folder",
        "is not closed",
        "holds a zero byte",
        "is no address, network or host",
        "an endpoint's name has",
        "holds a control character",
        "is at most 100%",
        "is above zero",
        "is at least 1MiB",
        "is a time above zero",
        "is a time in whole seconds",
        "`to` is not longer",
        "nothing is left of",
        "a step has less than",
        "no endpoint is called",
        // Which server a grid is for, and what can be written in its labels.
        "`server` cannot be",
        "`threads` cannot be",
        "unknown parameter `speed` in [baseline]",
        "unknown parameter `a-b` in [grid]",
        // The lower end of a range.
        "`workers` cannot be `0`",
    ];
    let mut taken = Vec::new();
    for case in cases(include_str!("broken.cases")) {
        let (text, code) = edit(&case);
        let by_shape = ["A0102", "A0103", "A0104", "A0105"].contains(&code);
        if !by_shape || !objections(&text).is_empty() {
            continue;
        }
        let faults = read_text(&text).expect_err("a broken grid file");
        let message = &faults[0].message;
        if !beyond.iter().any(|part| message.contains(part)) {
            taken.push(format!("{code}: {message}"));
        }
    }
    assert_eq!(taken, Vec::<String>::new());
}

/// Where keys without words stand. Conditions are not shown, and the tables that
/// a condition narrows have their words where they stand first.
fn wordless(schema: &serde_json::Value, place: &str, found: &mut Vec<String>) {
    if let Some(list) = schema.as_array() {
        let numbered = list.iter().enumerate();
        numbered.for_each(|(number, one)| wordless(one, &format!("{place}/{number}"), found));
    }
    for (key, inner) in schema.as_object().into_iter().flatten() {
        let place = format!("{place}/{key}");
        let properties = inner.as_object().filter(|_| key == "properties");
        let narrows = place.starts_with("/allOf/") && place.ends_with("/then/properties");
        for (name, shape) in properties.into_iter().flatten() {
            if shape.get("description").is_none() && !narrows {
                found.push(format!("{place}/{name}"));
            }
        }
        if key != "if" {
            wordless(inner, &place, found);
        }
    }
}

#[test]
fn no_key_is_without_words() {
    let mut found = Vec::new();
    wordless(&crate::schema(&profiles()), "", &mut found);
    assert_eq!(found, Vec::<String>::new());
}
