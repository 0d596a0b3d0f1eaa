//! `docs/grid-file.md`: every key of the grid file, written from the schema, so
//! that it cannot say anything else than the reader does. Renewed as the help is.

use std::fmt::Write;
use std::path::Path;

use serde_json::Value;

use crate::place::{Place, read};

const INTRO: &str = "\
# The grid file

A grid file is TOML. It says which server with which app, which settings to try, under which load,
and what is wanted. Start from a copy of `grids/quickstart.toml`, or of the example for your server
(grids/README.md); the least that it needs stands in the README. Unknown keys are refused, with their place and the likely spelling. Paths are relative
to the grid file. Times are texts such as `\"500ms\"`, `\"10s\"`, `\"1h 30m\"`, shares are texts such as
`\"5%\"`. Holes, `{{ … }}`, are filled at launch: `{{ cache }}` is a folder that is kept between
sweeps, `{{ run }}` a fresh one for each trial, `{{ port }}` and `{{ host }}` where the server is to
listen, `{{ cores }}` how many CPUs it gets, `{{ service.NAME.port }}`, `.host` and `.run` where a service
is. Requests have holes of their own, see [login] and
[data.NAME].

What stands here was written from the schema (`autotune schema`).
";

const LOGIN: &str = "\
How somebody logs in, before the load of every trial and after the server is ready; the time counts
as the trial's and not as the load's. All sessions log in before the endpoints are asked in the check
before all trials, too, and a step that is not answered as expected stops everything there.

Cookies that steps set are sent with later steps and with every request of the session; one with
`Max-Age=0` or an `Expires` in the past is removed. `Path` and `Domain` mean nothing, since all goes to
one app on one host, nor does `Secure`, since in production a proxy speaks TLS. What endpoints set
changes no session: an app that gives a new token with every answer cannot be asked like this.

Extracted values, cookies, values `from_env` with `secret = true` and what a data file fills into a
step are secrets: neither store nor log, report or error shows them. Shorter ones than four characters
are shown.

```toml
[login]
sessions = 8
values = { password = { from_env = \"SHOP_PASSWORD\", secret = true } }

[[login.step]]
path = \"/login\"
extract = { csrf = { between = ['name=\"csrf_token\" value=\"', '\"'] } }

[[login.step]]
method = \"POST\"
path = \"/login\"
headers = { Content-Type = \"application/x-www-form-urlencoded\" }
body = \"user={{ accounts.user }}&password={{ password }}&csrf_token={{ csrf }}\"
expect = { status = [302] }
```";
const LIMITS: &str = "\
The server and all that it starts live under these limits in every trial, as in the container or on
the host of production: a control group (cgroup) holds memory and CPU time, which takes root, a part of
the tree that is delegated, or a user's systemd. Where none of them is there the sweep goes on, and
headline, `verdict.json` (`host_limits`) and report say \"limits not enforced\"; `check` says so
beforehand. Setup steps and the commands around a trial are not limited.

They are not the limits of [objective]. `memory` here *holds*: the kernel ends a process of a server that
wants more, and a setting in which that happens fails. `max_memory` there *judges*: what a server was
seen to take, as PSS, decides whether its setting may be recommended. A server under `memory = \"1GiB\"`
can be asked to leave room with `max_memory = \"800MiB\"`.";
const SERVICE: &str = "\
What the app needs beside it; NAME has letters, digits and `_`. Services are started once, before the first
server and in the order of the file, and are ended after the last server in the other order. One that ends
meanwhile stops the sweep. Texts of servers can name them, `{{ service.NAME.port }}`, `.host` and `.run`,
and so can services further down; setup steps cannot, since they come first.

While the load runs a service is sampled as the server is. Where it used 90 % of its CPUs, or one thread of
it all of one CPU, in most trials of the best settings, it was the bottleneck: nothing is recommended. On
CPUs that the server may use as well it can be the bottleneck unseen, as each has what the other one
leaves: `cpus` here and `server_cpus` of [host] without one in common make sure of it.

Where root runs the sweep and a `user` cannot enter the usual folders, `{{ cache }}` and `{{ run }}` lie below
the folder for temporary files. He must be able to enter `dir`.

```toml
[service.db]
start = \"redis-server --port {{ port }} --bind {{ host }} --dir {{ run }} --save ''\"
ready = [\"redis-cli\", \"-h\", \"{{ host }}\", \"-p\", \"{{ port }}\", \"ping\"]

[server.gunicorn]
env = { REDIS_URL = \"redis://{{ service.db.host }}:{{ service.db.port }}\" }
```";
const DATA: &str = "\
Holes of requests are plain names: `{{ csrf }}`, `{{ accounts.user }}`. A value is percent-encoded in a
path or query, encoded as a form's in a body of the type `application/x-www-form-urlencoded`, escaped
in JSON (write the quotes around the hole), and stands as it is in headers and other bodies.

All requests are written before the load, one for each session and row: at most 100,000 over all
endpoints. In open load a request is of a session by chance, and an endpoint takes one row after the
other; in closed load a user keeps one session, and users begin at rows far from each other. The seed
decides the order, which is the same for every configuration. Where an endpoint uses several files,
the shorter ones begin anew meanwhile.";

const CONNECTIONS: &str = "\
One of these or both. Which value is that of production, by what stands before the app:

| what | its connections to the app | `connections` |
|---|---|---|
| nginx up to 1.29.6, `proxy_pass` alone | HTTP/1.0, one for each request | `\"per-request\"` |
| nginx with `keepalive` in `upstream`, and from 1.29.7 on without it, too | kept for `keepalive_requests`, 1000, and unused for `keepalive_timeout`, 60 s, where nothing else is set | `{ reconnect_every = 1000, idle = \"60s\" }` |
| HAProxy from 2.0 on | kept, without a limit of requests; of unused ones it closes some every `pool-purge-delay`, 5 s where nothing else is set | `\"keep-alive\"` |
| AWS Application Load Balancer | kept until unused for its idle timeout, 60 s where nothing else is set | `{ idle = \"60s\" }` |
| Google Cloud external Application Load Balancer | kept until unused for 10 minutes, which cannot be changed | `{ idle = \"10m\" }` |

nginx up to 1.29.6 also needs `proxy_http_version 1.1` and an empty `Connection` header to keep any. It
keeps as many unused connections as `keepalive` says, for each of its own workers; here it is as many as
were in use at one time. A server that closes unused connections sooner than the proxy, as gunicorn does
after `keepalive`, 2 s, breaks some requests just as they go out; they are sent again where that is safe.";
const STEPS: &str = "\
One of `rate`, `steps` and `group`. A load with steps is judged at the end of each: a backlog that grew
in one makes the trial overloaded, whether or not a later step works it off. Percentiles are over all
steps after the warm-up, which is the ramp and a tenth of the first step.";
const CLOSED: &str = "\
One of `users`, `steps` and `group`; one of `think` and `every`. Users who wait for a slow answer ask
less, so that a stall is met once by each of them and not by all who would have come meanwhile: with
`every`, too, what a slow answer kept a user from asking is not asked later and is in no percentile.
Where that matters, the load is an open one. Response time is that of the answer alone, or with `every`
from when the request was due. With `loops` the load ends when all users are done, at the latest after
`at_most`; percentiles are over the time from the warm-up until the first of them is done, in which all
were asking.";
const GROUPS: &str = "\
In place of one total, as a thread group for each endpoint in JMeter. `weight` of an endpoint is its
share within its group; in the objective endpoints count by `weight`, however often their group asks.
The seed decides what each group asks when, the same for every configuration.";

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
}

fn reference(schema: &Value) -> String {
    let at = |path: &str| schema.pointer(path).unwrap_or_else(|| panic!("no {path}"));
    let named = |path: &str| {
        let tables = at(path).as_object();
        let only = tables.and_then(|tables| tables.values().next());
        only.expect("one pattern")
    };
    let server = named("/properties/server/patternProperties");
    let service = named("/properties/service/patternProperties");
    let sections = [
        ("At the top", at(""), ""),
        (
            "[server.NAME], with a profile such as `gunicorn`",
            &server["else"],
            "A name of letters, digits, `-` and `_`.",
        ),
        (
            "[server.NAME], with `profile = \"command\"`",
            &server["then"],
            "For any server that can be started by a command.",
        ),
        ("[service.NAME]", service, SERVICE),
        (
            "[grid]",
            at("/properties/grid"),
            "Besides these keys, the parameters of the server: for gunicorn those of the table below, for a command any name that the command uses. Each is a value or a list of values; every combination is tried, and those that make the server behave the same are tried once.",
        ),
        (
            "[grid] and [baseline] for gunicorn",
            at("/allOf/0/then/properties/baseline"),
            "A whole number can also be a range, `\"1..=8\"` or `\"1..=9 step 2\"` (in [grid]), or computed, `\"{{ cores * 2 + 1 }}\"`.",
        ),
        (
            "[baseline]",
            at("/properties/baseline"),
            "The same parameters, one value each; what is left out has the server's default.",
        ),
        (
            "[[endpoint]]",
            at("/properties/endpoint/items"),
            "At least one.",
        ),
        (
            "expect",
            at("/properties/endpoint/items/properties/expect"),
            "The same of a step of the login. A body has from `min_bytes` to `max_bytes` bytes.",
        ),
    ];
    let after = [
        ("[objective]", at("/properties/objective"), ""),
        ("[limits]", at("/properties/limits"), LIMITS),
        ("[host]", at("/properties/host"), ""),
        ("[budget]", at("/properties/budget"), ""),
    ];
    let mut text = INTRO.to_owned();
    let sections = sections.into_iter().chain(of_load(schema)).chain(after);
    for (title, table, words) in sections.chain(of_people(schema)) {
        // Writing to a String cannot fail.
        write!(text, "\n## {title}\n").expect("text");
        if !words.is_empty() {
            write!(text, "\n{words}\n").expect("text");
        }
        text.push_str(&keys(table));
    }
    text
}

/// The sections for how requests arrive.
fn of_load(schema: &Value) -> [(&'static str, &Value, &'static str); 8] {
    let load = &schema["properties"]["load"];
    let keys = &load["properties"];
    let (open, closed) = (&keys["open"], &keys["closed"]);
    let inner = |of: &'static str, table| -> &Value {
        let table: &Value = table;
        &table["properties"][of]["items"]
    };
    [
        ("[load]", load, "Either `open` or `closed`."),
        (
            "connections, as a table",
            &keys["connections"]["anyOf"][1],
            CONNECTIONS,
        ),
        ("[load.open]", open, STEPS),
        ("[[load.open.steps]]", inner("steps", open), ""),
        ("[[load.open.group]]", inner("group", open), GROUPS),
        ("[load.closed]", closed, CLOSED),
        ("[[load.closed.steps]]", inner("steps", closed), ""),
        ("[[load.closed.group]]", inner("group", closed), GROUPS),
    ]
}

/// The sections for requests that differ from person to person.
fn of_people(schema: &Value) -> [(&'static str, &Value, &'static str); 4] {
    let login = &schema["properties"]["login"];
    let step = &login["properties"]["step"]["items"];
    let extract = &step["properties"]["extract"]["additionalProperties"];
    let data = schema["properties"]["data"]["patternProperties"].as_object();
    let data = data
        .and_then(|tables| tables.values().next())
        .expect("one pattern");
    [
        ("[login]", login, LOGIN),
        (
            "[[login.step]]",
            step,
            "At least one. A value that a step takes out of its answer fills holes of later steps and of endpoints.",
        ),
        ("extract, of a step: one of these", extract, ""),
        ("[data.NAME]", data, DATA),
    ]
}

/// A table of the keys of an object, in alphabetical order.
fn keys(table: &Value) -> String {
    let required: Vec<&str> = table["required"]
        .as_array()
        .map(|names| names.iter().filter_map(Value::as_str).collect())
        .unwrap_or_default();
    let properties = table["properties"].as_object().expect("keys");
    let mut names: Vec<&String> = properties.keys().collect();
    names.sort();
    let described = names
        .into_iter()
        .filter(|name| properties[*name].is_object());
    let mut text = "\n| key | takes | left out | example | what it does, and why one sets it |\n|---|---|---|---|---|\n".to_owned();
    for name in described {
        let shape = &properties[name];
        let left_out = match &shape["default"] {
            _ if required.contains(&name.as_str()) => "must be given".to_owned(),
            Value::Null => String::new(),
            default => format!("`{default}`"),
        };
        let words = shape["description"].as_str().unwrap_or_default();
        writeln!(
            text,
            "| `{name}` | {} | {left_out} | `{}` | {words} |",
            takes(shape),
            example(name, shape)
        )
        .expect("text");
    }
    text
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
            _ if shape["exclusiveMinimum"].is_number() => "a number above zero".to_owned(),
            _ => "a number".to_owned(),
        },
        other => other.to_owned(),
    }
}

/// By what only texts of this kind can hold.
fn of_text(pattern: &str) -> &'static str {
    if pattern.contains("ms|us") {
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
