//! The grid file as a JSON Schema (draft-07), for editors: what may stand where,
//! of which kind. What only the whole file can tell (whether a name is used, a
//! folder is there, an expression can be computed) is left to `file`.
//!
//! The keys come from the readers themselves, so that none can be forgotten; a
//! test holds the schema against the reader from both sides.

use autotune_model::{Method, Param, ParamKind, Profile};
use serde_json::{Map, Value, json};

use crate::defaults::DEFAULTS;
use crate::tree::Keys;
use crate::{constraint, endpoint, environment, file, goal, server};

mod expect;
mod keys;
mod limits;
mod load;
mod login;
mod service;

const PERCENT: &str = r"^\s*[0-9]+(\.[0-9]+)?\s*%\s*$";
const DURATION: &str = r"^\s*([0-9]+(\.[0-9]+)?\s*(d|h|m|s|ms|us)\s*)+$";
/// Above zero: some digit is another one.
const AMOUNT: &str = r"^\s*(?=[0-9.]*[1-9])[0-9]+(\.[0-9]+)?\s*(KiB|MiB|GiB|kB|MB|GB|B)\s*$";
/// A range, or a text with a hole.
const COMPUTED: &str = r"\{\{|^\s*-?[0-9]+\s*\.\.\s*=\s*-?[0-9]+\s*(step\s*0*[1-9][0-9]*\s*)?$";
const NAME: &str = "^[A-Za-z0-9][A-Za-z0-9_-]{0,63}$";
/// What can stand in a request line; nothing from `#` on is ever sent.
const PATH: &str = r"^/[!-\x22$-~]*$";
/// The same with holes, whose spaces are never sent.
const REQUEST_PATH: &str = r"^/([!-\x22$-~]|\{\{[^{}#]*\}\})*$";
/// The name of a header (RFC 9110, section 5.6.2).
const TOKEN: &str = "^[!#$%&'*+.^_`|~A-Za-z0-9-]+$";
const DOTTED: &str = r"^[A-Za-z_][A-Za-z0-9_]*(\.[A-Za-z_][A-Za-z0-9_]*)+$";

/// The schema for servers of these profiles.
pub fn schema(profiles: &[Profile]) -> Value {
    let mut root = object(
        &file::KEYS,
        &["name", "server", "grid", "endpoint", "load"],
        |key| {
            Some(match key {
                "name" => described(
                    json!({ "type": "string", "pattern": NAME }),
                    "Names the study: its results go to results/NAME.",
                ),
                "server" => servers(profiles),
                "service" => service::services(),
                "grid" => grid_of_any(),
                "baseline" => baseline_of_any(),
                "endpoint" => json!({
                    "type": "array", "minItems": 1, "items": endpoint_schema(),
                    "description": "What is asked of the app. An answer that is not as expected counts as failed.",
                }),
                "data" => login::data(),
                "login" => login::login(),
                "load" => described(
                    load::load(),
                    "How requests arrive: one of [load.open] and [load.closed].",
                ),
                "objective" => described(objective(), "What is best, and which limits hold."),
                "limits" => limits::limits(),
                "host" => described(host(), "The CPUs of the server and of the load generator."),
                "budget" => budget(),
                _ => return None,
            })
        },
    );
    if let Value::Object(members) = &mut root {
        members.insert(
            "$schema".to_owned(),
            "http://json-schema.org/draft-07/schema#".into(),
        );
        members.insert("title".to_owned(), "Grid file of autotune".into());
        members.insert(
            "allOf".to_owned(),
            profiles.iter().filter_map(strict).collect(),
        );
    }
    keys::annotate(&mut root);
    root
}

fn budget() -> Value {
    let schema = object(&goal::BUDGET_KEYS, &[], |key| {
        let words = "How long trials may take in all, such as \"8h\".";
        (key == "time").then(|| described(duration(), words))
    });
    let words = "How long a sweep may work, unless the command says it with --budget.";
    described(schema, words)
}

/// Where all servers have this profile, its parameters are all that there are.
fn strict(profile: &Profile) -> Option<Value> {
    if profile.takes_any_param() {
        return None;
    }
    let all_have_it = json!({
        "properties": { "server": {
            "additionalProperties": {
                "properties": { "profile": { "const": profile.name } },
                "required": ["profile"],
            },
        } },
        "required": ["server"],
    });
    let named = |shape: fn(&Param) -> Value| -> Map<String, Value> {
        let params = profile.params.iter();
        params
            .map(|param| {
                let shape = described(shape(param), &words_of(param));
                (param.name.to_string(), shape)
            })
            .collect()
    };
    let mut grid = named(|param| axis(&value_of(&param.kind)));
    grid.insert("server".to_owned(), servers_of_grid());
    grid.insert(constraint::KEY.to_owned(), constraints());
    let mut baseline = named(|param| value_of(&param.kind));
    baseline.insert("server".to_owned(), server_of_baseline());
    Some(json!({
        "if": all_have_it,
        "then": { "properties": {
            "grid": { "properties": grid, "additionalProperties": false },
            "baseline": { "properties": baseline, "additionalProperties": false },
        } },
    }))
}

/// What a parameter does is for the server's own documentation to say.
fn words_of(param: &Param) -> String {
    format!(
        "The server's {}; {} where nothing sets it.",
        param.flag, param.default
    )
}

fn servers(profiles: &[Profile]) -> Value {
    let names: Vec<&str> = profiles
        .iter()
        .map(|profile| profile.name.as_str())
        .collect();
    let of_command = object(&server::COMMAND_KEYS, &["profile", "command"], |key| {
        server_key(key, &names)
    });
    let of_profile = object(&server::PROFILE_KEYS, &["profile", "app"], |key| {
        server_key(key, &names)
    });
    json!({
        "type": "object",
        "minProperties": 1,
        "patternProperties": { NAME: {
            "type": "object",
            "if": { "properties": { "profile": { "const": "command" } }, "required": ["profile"] },
            "then": of_command,
            "else": of_profile,
        } },
        "additionalProperties": false,
        "description": "Servers with their app, [server.NAME]; [grid] is for the first one unless it lists others.",
    })
}

fn server_key(key: &str, profiles: &[&str]) -> Option<Value> {
    let (shape, text) = match key {
        "profile" => (
            json!({ "enum": profiles }),
            "What kind of server it is; \"command\" for any that has no profile.",
        ),
        "app" => (
            filled(),
            "What the server is told to serve: module:variable, or a function that makes it, called with what it needs, module:create_app('prod').",
        ),
        "command" => (
            json!({ "anyOf": [filled(), { "type": "array", "minItems": 1, "items": text() }] }),
            "The whole command, with {{ port }}, {{ host }} and every key of [grid] as a hole; {{ run }} and {{ cache }} are folders.",
        ),
        "ready" => (
            json!({ "type": "string", "pattern": PATH }),
            "The path that answers with success once the server is ready; the first endpoint where it is left out.",
        ),
        "stop" => (
            json!({ "enum": server::SIGNALS }),
            "The signal that ends the server gracefully.",
        ),
        "dir" => (
            filled(),
            "The server's working directory, relative to the grid file. autotune itself writes nothing there.",
        ),
        "setup" => (
            json!({ "type": "array", "items": filled() }),
            "Commands that build what the server needs, run in `dir` once, and again when they or the files that they name change; {{ cache }} is a folder that is kept between sweeps.",
        ),
        "bin" => (
            filled(),
            "The folder of the server's program, such as \"{{ cache }}/venv/bin\"; without it the program is looked for in PATH.",
        ),
        "args" => (
            json!({ "type": "array", "items": text() }),
            "Further arguments of the server, one element each: [\"--timeout\", \"60\"].",
        ),
        "env" => (
            json!({ "type": "object", "propertyNames": { "pattern": "^[^=]+$" }, "additionalProperties": given_or_taken() }),
            "Environment variables of the server, with {{ run }} and {{ cache }} as holes.",
        ),
        "fixture" => (
            filled(),
            "A folder that is copied into {{ run }} before each trial.",
        ),
        "before_trial" => (
            json!({ "type": "array", "items": filled() }),
            "Commands that run in `dir`, with `env`, before the server of each trial starts: to restore data, for example. Those of one launch may take ten minutes together. One that fails stops the sweep.",
        ),
        "after_trial" => (
            json!({ "type": "array", "items": filled() }),
            "Commands that run in `dir`, with `env`, after the server of each trial has stopped; not after Ctrl-C or a kill. One that fails here stops the sweep, too.",
        ),
        "may_reach" => (
            json!({ "type": "array", "items": filled() }),
            "Addresses beyond this machine that the app may connect to.",
        ),
        _ => return None,
    };
    Some(with_default(described(shape, text), &["server", key]))
}

/// Any value that some parameter or variable takes.
fn any_value() -> Value {
    json!({ "type": ["string", "integer", "boolean"] })
}

fn grid_of_any() -> Value {
    json!({
        "type": "object",
        "properties": {
            "server": servers_of_grid(),
            constraint::KEY: constraints(),
        },
        "additionalProperties": axis(&any_value()),
        "description": "The settings to try: every combination of these values. A value may be a range, \"1..=8\" or \"1..=9 step 2\", or computed, \"{{ cores * 2 + 1 }}\".",
    })
}

fn servers_of_grid() -> Value {
    json!({
        "type": "array", "minItems": 1, "uniqueItems": true, "items": text(),
        "description": "The servers that the grid is for, by NAME of [server.NAME]; the first one where it is left out.",
    })
}

fn constraints() -> Value {
    json!({
        "type": "array", "minItems": 1, "items": filled(),
        "description": "Conditions that every configuration meets, such as \"workers * threads <= 64\".",
    })
}

fn server_of_baseline() -> Value {
    let words = "The server that runs today, by NAME of [server.NAME].";
    described(text(), words)
}

fn baseline_of_any() -> Value {
    json!({
        "type": "object",
        "properties": { "server": server_of_baseline() },
        "additionalProperties": any_value(),
        "description": "What runs today; measured too.",
    })
}

/// One value, or a list of them.
fn axis(value: &Value) -> Value {
    json!({ "anyOf": [value, { "type": "array", "minItems": 1, "items": value }] })
}

fn value_of(kind: &ParamKind) -> Value {
    match kind {
        ParamKind::Int { min, max } => json!({ "anyOf": [
            { "type": "integer", "minimum": min, "maximum": max },
            { "type": "string", "pattern": COMPUTED },
        ] }),
        ParamKind::Switch => json!({ "type": "boolean" }),
        ParamKind::Word { known, open: false } => json!({ "enum": known }),
        ParamKind::Word { known, open: true } => json!({ "anyOf": [
            { "enum": known },
            { "type": "string", "pattern": DOTTED },
        ] }),
    }
}

fn endpoint_schema() -> Value {
    let mut schema = object(&endpoint::KEYS, &["name", "path"], |key| {
        let (shape, words) = match key {
            "name" => (
                json!({ "type": "string", "minLength": 1, "maxLength": 64 }),
                "Names it in tables; no two are the same.",
            ),
            "method" => (
                methods(),
                "How it is asked. POST and PATCH are never sent twice.",
            ),
            "path" => (
                json!({ "type": "string", "pattern": REQUEST_PATH }),
                "Path and query, with holes: values of the login, such as {{ token }}, and columns of data files, {{ NAME.COLUMN }}.",
            ),
            "headers" => (
                json!({ "type": "object", "propertyNames": { "pattern": TOKEN }, "additionalProperties": given_or_taken() }),
                "Further headers; their values take the same holes as `path`.",
            ),
            "body" => (
                given_or_taken(),
                "What is sent with it, with the same holes as `path`; needs a Content-Type among the headers.",
            ),
            "weight" => (
                json!({ "type": "number", "exclusiveMinimum": 0 }),
                "Its share of the requests, and its weight in the objective.",
            ),
            "expect" => (expect::expect(), "What makes an answer good."),
            _ => return None,
        };
        Some(with_default(described(shape, words), &["endpoint", key]))
    });
    schema["dependencies"] = json!({ "body": ["method", "headers"] });
    schema
}

fn methods() -> Value {
    json!({ "enum": Method::ALL.map(Method::as_str) })
}

fn objective() -> Value {
    let percent = || json!({ "type": "string", "pattern": PERCENT });
    let either = || json!({ "anyOf": [percent(), duration()] });
    object(&goal::OBJECTIVE_KEYS, &[], |key| {
        let (shape, words) = match key {
            "minimize" => (
                json!({ "enum": goal::METRICS.map(|(name, _)| name) }),
                "What shall be small: response time, memory or CPU time.",
            ),
            "over" => (
                json!({ "enum": goal::COMBINATIONS.map(|(name, _)| name) }),
                "How the endpoints become one number: the geometric mean of their ratios, by weight; \"worst\", the one that is worst compared with the control; \"pooled\", all requests taken together.",
            ),
            "max_error_rate" => (
                percent(),
                "The largest share of failed requests of each endpoint, such as \"1%\".",
            ),
            "max_p95" | "max_p99" => (
                json!({ "anyOf": [duration(), { "type": "object", "additionalProperties": duration() }] }),
                "The slowest that this percentile may be: a time, \"200ms\", or one for each endpoint that has a limit, { report = \"1s\" }.",
            ),
            "max_memory" => (
                json!({ "type": "string", "pattern": AMOUNT }),
                "The most memory that a recommended server may have taken over the load, measured: an amount such as \"512MiB\". It ends nothing; [limits] memory does.",
            ),
            "accept" => (
                json!({ "anyOf": [either(), { "type": "array", "minItems": 1, "maxItems": 2, "items": either() }] }),
                "What is given for less memory: a percentage, \"5%\", a time, \"2ms\", or both in a list.",
            ),
            "min_effect" => (percent(), "Smaller differences are not worth resolving."),
            _ => return None,
        };
        Some(with_default(described(shape, words), &["objective", key]))
    })
}

fn host() -> Value {
    object(&goal::HOST_KEYS, &[], |key| {
        let cpus = || json!({ "type": "array", "minItems": 1, "items": { "type": "integer", "minimum": 0, "maximum": goal::LAST_CPU } });
        let (shape, words) = match key {
            "server_cpus" => (cpus(), "The CPUs of the server, such as [1]."),
            "generator_cpus" => (
                cpus(),
                "The CPUs of the load generator, such as [0]; none of them the server's.",
            ),
            "keep_awake" => (
                json!({ "type": "boolean" }),
                "Whether the CPUs are kept out of their idle states meanwhile, where that is permitted.",
            ),
            _ => return None,
        };
        Some(with_default(described(shape, words), &["host", key]))
    })
}

/// A text, or one out of the environment.
fn given_or_taken() -> Value {
    let taken = object(&environment::FROM_ENV_KEYS, &["from_env"], |key| {
        Some(match key {
            "from_env" => described(
                filled(),
                "The environment variable that the value is taken from when the sweep starts.",
            ),
            "secret" => {
                json!({ "type": "boolean", "default": false, "description": "Whether it must reach neither store, log nor report." })
            }
            _ => return None,
        })
    });
    json!({ "anyOf": [text(), taken] })
}

fn text() -> Value {
    json!({ "type": "string" })
}

fn filled() -> Value {
    json!({ "type": "string", "pattern": r"\S" })
}

fn duration() -> Value {
    json!({ "type": "string", "pattern": DURATION })
}

/// A table with these keys and no others.
fn object(keys: &Keys<'_>, required: &[&str], shape: impl Fn(&str) -> Option<Value>) -> Value {
    let known = keys.known.iter();
    let properties: Map<String, Value> = known
        .filter_map(|key| Some(((*key).to_owned(), shape(key)?)))
        .collect();
    json!({
        "type": "object",
        "properties": properties,
        "required": required,
        "additionalProperties": false,
    })
}

fn described(mut shape: Value, words: &str) -> Value {
    shape["description"] = words.into();
    shape
}

/// With the value that a key has when it is left out.
fn with_default(mut shape: Value, path: &[&str]) -> Value {
    let defaults: toml::Table = DEFAULTS
        .parse()
        .expect("the embedded defaults are TOML: every test that reads a grid file reads them");
    let mut found = Some(&toml::Value::Table(defaults)).cloned();
    for key in path {
        found = found.and_then(|table| table.get(*key).cloned());
    }
    // Tables have defaults of their own, key by key.
    if let Some(value) = found.filter(|value| !value.is_table())
        && let Ok(value) = serde_json::to_value(value)
    {
        shape["default"] = value;
    }
    shape
}

#[cfg(test)]
pub(crate) mod tests {
    use super::*;

    /// Every table of keys with where it stands in the schema.
    pub(crate) fn tables(schema: &Value) -> Vec<(&'static Keys<'static>, Value)> {
        let at = |path: &str| {
            schema
                .pointer(path)
                .cloned()
                .unwrap_or_else(|| panic!("no {path}"))
        };
        let server = format!("/properties/server/patternProperties/{NAME}");
        let places = [login::tests::places(), service::tests::places()].concat();
        let elsewhere = places.into_iter().map(|(keys, path)| (keys, at(&path)));
        let [json, limits] = [expect::tests::place(), limits::tests::place()];
        let others = vec![
            (json.0, at(json.1)),
            (limits.0, at(limits.1)),
            (&file::KEYS, at("/properties")),
            (
                &server::COMMAND_KEYS,
                at(&format!("{server}/then/properties")),
            ),
            (
                &server::PROFILE_KEYS,
                at(&format!("{server}/else/properties")),
            ),
            (&endpoint::KEYS, at("/properties/endpoint/items/properties")),
            (
                &endpoint::EXPECT_KEYS,
                at("/properties/endpoint/items/properties/expect/properties"),
            ),
            (
                &goal::OBJECTIVE_KEYS,
                at("/properties/objective/properties"),
            ),
            (&goal::HOST_KEYS, at("/properties/host/properties")),
            (&goal::BUDGET_KEYS, at("/properties/budget/properties")),
        ];
        let others = others.into_iter().chain(elsewhere);
        others.chain(load::tests::tables(schema)).collect()
    }

    #[test]
    fn every_key_that_is_read_is_described() {
        let schema = schema(&crate::tests::profiles());
        for (keys, properties) in tables(&schema) {
            let mut known = keys.known.to_vec();
            known.sort_unstable();
            let found: Vec<&str> = properties
                .as_object()
                .unwrap()
                .keys()
                .map(String::as_str)
                .collect();
            assert_eq!(found, known);
        }
    }
}
