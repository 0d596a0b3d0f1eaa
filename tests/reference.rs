//! `docs/grid-file.md`: every key of the grid file, written from the schema, so
//! that it cannot say anything else than the reader does. Renewed as the help is.

use std::collections::{BTreeMap, BTreeSet};
use std::fmt::Write;
use std::path::Path;

use serde_json::Value;

use crate::place::{Place, read};

mod words;

#[test]
fn the_reference_of_the_grid_file_is_as_the_schema_says() {
    let done = Place::new().run(&["schema"]);
    done.assert_code(0);
    let schema: Value = serde_json::from_str(&done.stdout).expect("JSON");
    let text = reference(&schema);
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../docs/grid-file.md");
    if std::env::var_os("RENEW_HELP").is_some() {
        std::fs::write(&path, &text).expect("written");
    }
    assert_eq!(text, read(&path));
    let mut missing = Vec::new();
    every_key(&schema, &mut |name, shape| {
        let row = format!("| `{name}` |");
        let example = format!("| `{}` |", example(name, shape));
        let mut lines = text.lines();
        if !lines.any(|line| line.starts_with(&row) && line.contains(&example)) {
            missing.push(format!("{row} … {example}"));
        }
    });
    assert!(missing.is_empty(), "no row for {missing:#?}");
    let mut seen = BTreeSet::new();
    for words in text.lines().filter_map(|line| line.rsplit(" | ").next()) {
        let words = words.trim_end_matches(" |");
        for sentence in sentences(words).into_iter().filter(|one| one.len() > 40) {
            assert!(seen.insert(sentence.to_owned()), "twice: {sentence}");
        }
    }
}

/// Every key with an example, wherever it stands.
fn every_key(schema: &Value, found: &mut impl FnMut(&str, &Value)) {
    if let Some(properties) = schema["properties"].as_object() {
        let described = properties
            .iter()
            .filter(|(_, shape)| shape.get("examples").is_some());
        described.for_each(|(name, shape)| found(name, shape));
    }
    match schema {
        Value::Object(members) => members.values().for_each(|one| every_key(one, found)),
        Value::Array(items) => items.iter().for_each(|one| every_key(one, found)),
        _ => {}
    }
}

/// The keys of the file in the order in which one writes them.
const TOP: [&str; 13] = [
    "name",
    "server",
    "service",
    "grid",
    "baseline",
    "endpoint",
    "data",
    "login",
    "load",
    "objective",
    "limits",
    "host",
    "budget",
];

/// A table of keys under a heading of its own.
struct Section<'s> {
    title: &'static str,
    words: &'static str,
    /// With what it says of each, in this order.
    rows: Vec<(&'s str, &'s Value)>,
    /// Those that must be given.
    required: Vec<&'s str>,
}

fn reference(schema: &Value) -> String {
    let mut text = words::INTRO.to_owned();
    let mut said = BTreeMap::new();
    let all = [
        first(schema),
        of_settings(schema),
        of_requests(schema),
        of_load(schema),
        last(schema),
    ];
    for section in all.iter().flatten() {
        // Writing to a String cannot fail.
        write!(text, "\n## {}\n", section.title).expect("text");
        if !section.words.is_empty() {
            write!(text, "\n{}\n", section.words).expect("text");
        }
        text.push_str(&table(section, &mut said));
    }
    text
}

fn section<'s>(title: &'static str, words: &'static str, table: &'s Value) -> Section<'s> {
    let required = table["required"].as_array();
    let required = required.map(|names| names.iter().filter_map(Value::as_str).collect());
    let properties = table["properties"].as_object();
    let properties = properties.unwrap_or_else(|| panic!("no keys for {title}"));
    let mut rows: Vec<(&str, &Value)> = properties
        .iter()
        .map(|(name, shape)| (name.as_str(), shape))
        .collect();
    rows.sort_by_key(|(name, _)| *name);
    Section {
        title,
        words,
        rows,
        required: required.unwrap_or_default(),
    }
}

impl<'s> Section<'s> {
    fn only(mut self, keep: impl Fn(&str, &Value) -> bool) -> Self {
        self.rows.retain(|(name, shape)| keep(name, shape));
        self
    }
}

fn at<'s>(schema: &'s Value, path: &str) -> &'s Value {
    schema.pointer(path).unwrap_or_else(|| panic!("no {path}"))
}

/// The one table of a name that the user gives.
fn named<'s>(schema: &'s Value, key: &str) -> &'s Value {
    let tables = schema["properties"][key]["patternProperties"].as_object();
    let only = tables.and_then(|tables| tables.values().next());
    only.unwrap_or_else(|| panic!("no pattern in {key}"))
}

/// The whole file, and what runs.
fn first(schema: &Value) -> Vec<Section<'_>> {
    let mut top = section("At the top", "", schema);
    let place = |name: &str| TOP.iter().position(|key| *key == name);
    top.rows
        .sort_by_key(|(name, _)| place(name).unwrap_or_else(|| panic!("add `{name}` to TOP")));
    let server = named(schema, "server");
    let (of_command, of_profile) = (&server["then"], &server["else"]);
    let is_common = |name: &str, shape: &Value| {
        let others = &of_profile["properties"];
        others.get(name) == Some(shape)
    };
    let service = named(schema, "service");
    let user = at(service, "/properties/user/anyOf/1");
    vec![
        top,
        section("[server.NAME]", words::SERVER, of_command).only(is_common),
        section(
            "[server.NAME], with a profile such as `gunicorn`",
            "",
            of_profile,
        )
        .only(|name, shape| of_command["properties"].get(name) != Some(shape)),
        section(
            "[server.NAME], with `profile = \"command\"`",
            words::COMMAND,
            of_command,
        )
        .only(|name, shape| !is_common(name, shape)),
        section("[service.NAME]", words::SERVICE, service),
        section("user, as a table", "", user),
    ]
}

/// What is tried.
fn of_settings(schema: &Value) -> Vec<Section<'_>> {
    let of_gunicorn = at(schema, "/allOf/0/then/properties/baseline");
    let baseline = at(schema, "/properties/baseline");
    vec![
        section("[grid]", words::GRID, at(schema, "/properties/grid")),
        section(
            "[grid] and [baseline] for gunicorn",
            words::PARAMETERS,
            of_gunicorn,
        )
        .only(|name, _| baseline["properties"].get(name).is_none()),
        section(
            "[baseline]",
            "The parameters, and this key; what is left out has the server's default.",
            baseline,
        ),
    ]
}

/// What is asked, and as whom.
fn of_requests(schema: &Value) -> Vec<Section<'_>> {
    let endpoint = at(schema, "/properties/endpoint/items");
    let expect = at(endpoint, "/properties/expect");
    let json = at(expect, "/properties/json/additionalProperties/anyOf/3");
    let login = at(schema, "/properties/login");
    let step = at(login, "/properties/step/items");
    let extract = at(step, "/properties/extract/additionalProperties");
    vec![
        section("[[endpoint]]", "At least one.", endpoint),
        section(
            "expect",
            "The same of a step of the login. A body has from `min_bytes` to `max_bytes` bytes.",
            expect,
        ),
        section("json in expect, in place of a value", "One of these.", json),
        section("[data.NAME]", words::DATA, named(schema, "data")),
        section("[login]", words::LOGIN, login),
        section(
            "[[login.step]]",
            "At least one. A value that a step takes out of its answer fills holes of later steps and of endpoints.",
            step,
        ),
        section("extract, of a step: one of these", "", extract),
    ]
}

/// How requests arrive.
fn of_load(schema: &Value) -> Vec<Section<'_>> {
    let load = at(schema, "/properties/load");
    let (open, closed) = (at(load, "/properties/open"), at(load, "/properties/closed"));
    let (steps, group) = ("/properties/steps/items", "/properties/group/items");
    let think = at(closed, "/properties/think");
    let mut thinking = section(
        "think, as a table",
        "Either `from` and `to`, or `mean`.",
        at(think, "/anyOf/1"),
    );
    let drawn = section("", "", at(think, "/anyOf/2"));
    thinking.rows.extend(drawn.rows);
    thinking.required.clear();
    vec![
        section("[load]", words::LOAD, load),
        section(
            "connections, as a table",
            words::CONNECTIONS,
            at(load, "/properties/connections/anyOf/1"),
        ),
        section("[load.open]", words::STEPS, open),
        section("[[load.open.steps]]", "", at(open, steps)),
        section("[[load.open.group]]", words::GROUPS, at(open, group)),
        section("[load.closed]", words::CLOSED, closed),
        thinking,
        section("[[load.closed.steps]]", "", at(closed, steps)),
        section(
            "[[load.closed.group]]",
            "The same for users.",
            at(closed, group),
        ),
    ]
}

/// What is wanted and what there is for it, and how values are written.
fn last(schema: &Value) -> Vec<Section<'_>> {
    let env = at(named(schema, "service"), "/properties/env");
    let taken = at(env, "/additionalProperties/anyOf/1");
    vec![
        section("[objective]", "", at(schema, "/properties/objective")),
        section("[limits]", words::LIMITS, at(schema, "/properties/limits")),
        section("[host]", words::HOST, at(schema, "/properties/host")),
        section("[budget]", words::BUDGET, at(schema, "/properties/budget")),
        section(
            "Values: times, amounts, expressions, addresses",
            words::VALUES,
            taken,
        ),
    ]
}

/// The table of a section. What `said` tells to stand in an earlier one, by sentence
/// with the section and the key, is not said again.
fn table<'s>(
    section: &Section<'s>,
    said: &mut BTreeMap<String, (&'static str, &'s str)>,
) -> String {
    let mut text = "\n| key | takes | left out | example | what it does, and why one sets it |\n|---|---|---|---|---|\n".to_owned();
    for (name, shape) in &section.rows {
        let left_out = match &shape["default"] {
            _ if section.required.contains(name) => "must be given".to_owned(),
            Value::Null => String::new(),
            default => format!("`{default}`"),
        };
        let words = shape["description"].as_str().unwrap_or_default();
        writeln!(
            text,
            "| `{name}` | {} | {left_out} | `{}` | {} |",
            takes(shape),
            example(name, shape),
            fresh(words, (section.title, name), said),
        )
        .expect("text");
    }
    text
}

/// The sentences that were not said before, with where the others stand.
fn fresh<'s>(
    words: &str,
    (title, name): (&'static str, &'s str),
    said: &mut BTreeMap<String, (&'static str, &'s str)>,
) -> String {
    let mut new = Vec::new();
    for (number, sentence) in sentences(words).into_iter().enumerate() {
        let Some((other, key)) = said.get(sentence).copied() else {
            said.insert(sentence.to_owned(), (title, name));
            new.push(sentence.to_owned());
            continue;
        };
        let there = match other == title {
            true => format!("As `{key}`."),
            false => format!("As in {other}."),
        };
        let is_known = key == name || number == 0 || new.contains(&there);
        assert!(
            is_known,
            "say it otherwise of `{name}` than of `{key}`: {sentence}"
        );
        if !new.contains(&there) {
            new.push(there);
        }
    }
    new.join(" ")
}

/// Split where a new one begins.
fn sentences(words: &str) -> Vec<&str> {
    let mut all = Vec::new();
    let mut rest = words.trim();
    let begins = |text: &str| text.starts_with(|c: char| c.is_uppercase());
    while let Some(end) = rest
        .match_indices(". ")
        .map(|(place, _)| place + 1)
        .find(|end| begins(rest[*end..].trim_start()))
    {
        all.push(&rest[..end]);
        rest = rest[end..].trim_start();
    }
    all.push(rest);
    all
}

/// As it stands in a grid file.
fn example(name: &str, shape: &Value) -> String {
    let example = shape["examples"]
        .get(0)
        .unwrap_or_else(|| panic!("`{name}` has no example"));
    let value = toml::Value::try_from(example).expect("an example of the grid file is TOML");
    // In a table of Markdown a bar would end the cell.
    format!("{name} = {value}").replace('|', "\\|")
}

/// What a key takes, in words.
fn takes(shape: &Value) -> String {
    if let Some(choices) = shape["enum"].as_array() {
        let choices: Vec<String> = choices.iter().map(|choice| format!("`{choice}`")).collect();
        return choices.join(", ");
    }
    if let Some(only) = shape.get("const") {
        return format!("`{only}`");
    }
    if let Some(several) = shape["anyOf"].as_array() {
        let mut several: Vec<String> = several.iter().map(takes).collect();
        several.dedup();
        return several.join(", or ");
    }
    let kind = shape["type"].as_str().unwrap_or("a value");
    match kind {
        "string" => of_text(shape["pattern"].as_str().unwrap_or_default()).to_owned(),
        "array" => format!("a list: {}", takes(&shape["items"])),
        "object" => match shape.get("additionalProperties") {
            Some(each) if each.is_object() && shape.get("properties").is_none() => {
                format!("a table: {}", takes(each))
            }
            _ if shape["properties"].get("from_env").is_some() => {
                "`{ from_env = \"NAME\", secret = true }`".to_owned()
            }
            _ => "a table".to_owned(),
        },
        "boolean" => "`true`, `false`".to_owned(),
        "integer" => match (shape["minimum"].as_i64(), shape["maximum"].as_i64()) {
            (Some(min), Some(max)) => format!("a whole number from {min} to {max}"),
            _ => "a whole number".to_owned(),
        },
        "number" => match (shape["minimum"].as_f64(), shape["maximum"].as_f64()) {
            (Some(min), Some(max)) => format!("a number from {min} to {max}"),
            _ => match (
                shape["exclusiveMinimum"].as_f64(),
                shape["maximum"].as_f64(),
            ) {
                (Some(above), Some(max)) => format!("a number above {above}, at most {max}"),
                (Some(above), None) => format!("a number above {above}"),
                _ => "a number".to_owned(),
            },
        },
        other => other.to_owned(),
    }
}

/// By what only texts of this kind can hold.
fn of_text(pattern: &str) -> &'static str {
    if pattern.contains("KiB") {
        "an amount of memory"
    } else if pattern.contains("ms|us") {
        "a time"
    } else if pattern.contains('%') {
        "a percentage"
    } else if pattern.contains("step") {
        "a range or expression"
    } else if pattern.starts_with("^/") {
        "a path that begins with `/`"
    } else if pattern.contains(r"\.[A-Za-z_]") {
        "a dotted path, `package.module.Class`"
    } else {
        "a text"
    }
}
