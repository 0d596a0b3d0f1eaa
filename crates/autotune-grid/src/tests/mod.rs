//! Tests of whole grid files: good ones, broken ones, random ones.

mod broken;
mod computed;
mod good;
mod load;
mod login;
mod mutated;
mod properties;
mod schema;
mod service;
mod spelling;

use std::path::Path;

use autotune_model::{Condition, Fold, Param, ParamKind, Profile, Recycling, Test, Value};

use crate::{GridFault, GridFile, read};

/// Uses every key that a gunicorn grid file can have, but for `[login]` and `[data]`.
const FULL: &str = r#"name = "blog"

[server.gunicorn]
profile = "gunicorn"
app = "app:app"
dir = "apps/blog"
setup = ["python3 -m venv {{ cache }}/venv", "{{ cache }}/venv/bin/pip install -r 'my reqs.txt'"]
bin = "{{ cache }}/venv/bin"
args = ["--preload", "--log-file={{ run }}/log"]
env = { DATABASE_URL = "sqlite:///{{ run }}/blog.db", KEY = { from_env = "BLOG_KEY", secret = true } }
fixture = "fixture"
before_trial = ["psql -f '{{ run }}/my rows.sql'"]
after_trial = ["dropdb blog"]
may_reach = ["10.0.0.5:5432"]

[grid]
worker_class = ["sync", "gthread"]
workers = [1, 4]
threads = [1, 8]
max_requests = 0

[baseline]
workers = 5

[[endpoint]]
name = "report"
path = "/report?year=2024"
weight = 3
expect = { status = [200, 304], contains = "total", min_bytes = 10, max_bytes = 9000, json = { "/data/0/id" = 5, "/ok" = true } }

[[endpoint]]
name = "home"
path = "/"

[load]
connections = "per-request"

[load.open]
rate = 120.5
arrivals = "constant"
surge = 1.5

[objective]
minimize = "p99"
over = "worst"
max_error_rate = "1%"
accept = ["10%", "2ms"]
min_effect = "3%"

[host]
server_cpus = [1, 2]
generator_cpus = [0]
keep_awake = false

[budget]
time = "1h 30m"

[limits]
memory = "1.5GiB"
cpus = 8.5
files = 4096
"#;

/// A server that the grid file says how to start.
const COMMAND: &str = r#"name = "puma"

[server.puma]
profile = "command"
command = "puma -w {{ workers }} -b 'tcp://{{ host }}:{{ port }}'"
env = { MIN_THREADS = "{{ threads }}" }

[grid]
workers = [1, 2]
threads = [4, 8]

[baseline]
threads = 4
workers = 2

[[endpoint]]
name = "home"
path = "/"

[load.closed]
users = 10
"#;

/// An app that wants a login, and uses every key of `[login]` and `[data]`.
const LOGIN: &str = r#"name = "shop"
[server.g]
profile = "gunicorn"
app = "app:app"
[grid]

[data.accounts]
file = "data/accounts.csv"
[data.items]
file = "items.csv"

[login]
sessions = 8
values = { team = "red", password = { from_env = "SHOP_PASSWORD", secret = true } }

[[login.step]]
path = "/login?team={{ team }}"
extract = { csrf = { between = ["value=\"", "\""] }, shop = { cookie = "shop" } }

[[login.step]]
method = "POST"
path = "/login"
headers = { Content-Type = "application/x-www-form-urlencoded", X-Shop = "{{ shop }}" }
body = "user={{ accounts.user }}&password={{ password }}&csrf={{csrf}}"
expect = { status = [302], contains = "welcome", json = { "/user" = "ann" } }
extract = { token = { header = "X-Token" }, id = { json = "/user/id" } }

[[endpoint]]
name = "item"
path = "/items/{{ items.id }}?by={{ id }}"
headers = { Authorization = "Bearer {{ token }}" }

[[endpoint]]
name = "home"
path = "/"

[load.closed]
users = 10
"#;

/// An app with two services, and every key that a service can have.
const SERVICES: &str = r#"name = "notes"
[service.db]
start = "postgres -D {{ run }}/data -p {{ port }}"
ready = ["pg_isready", "-h", "{{ host }}", "-p", "{{ port }}"]
stop = "INT"
user = { when_root = "postgres" }
cpus = [0]
dir = "db"
setup = ["initdb -D {{ cache }}/data"]
env = { PGDATA = "{{ run }}/data", PGPASSWORD = { from_env = "DB_PASSWORD", secret = true } }
may_reach = ["10.0.0.5:5432"]

[service.pool]
start = ["pooler", "--to", "{{ service.db.host }}:{{ service.db.port }}"]
ready = "/health"
env = { LISTEN = "{{ port }}" }

[server.g]
profile = "gunicorn"
app = "app:app"
before_trial = ["restore {{ service.db.run }}"]
args = ["--log-file={{ service.pool.run }}/g.log"]
env = { DATABASE_URL = "postgres://{{ service.db.host }}:{{ service.db.port }}/notes" }
[grid]
[[endpoint]]
name = "home"
path = "/"
[load.closed]
users = 1
[host]
generator_cpus = [1]
"#;

/// The least that a grid file can be.
const LEAST: &str = r#"name = "least"
[server.g]
profile = "gunicorn"
app = "app:app"
[grid]
[[endpoint]]
name = "home"
path = "/"
[load.closed]
users = 1
"#;

pub(crate) fn profiles() -> Vec<Profile> {
    vec![gunicorn(), command()]
}

fn command() -> Profile {
    Profile {
        name: "command".to_owned(),
        params: Vec::new(),
        label_fields: 0,
        folds: Vec::new(),
        recycling: None,
        config_file: None,
        workers: None,
        threads: None,
        cleared_env: vec!["PORT".to_owned()],
    }
}

fn gunicorn() -> Profile {
    let param = |name: &str, kind, default: Value, flag: &str| Param {
        name: name.into(),
        kind,
        default,
        flag: flag.to_owned(),
    };
    let int = |min| ParamKind::Int { min, max: 100_000 };
    let class = ParamKind::Word {
        known: ["sync", "gthread", "gevent"].map(str::to_owned).to_vec(),
        open: true,
    };
    let (no, jitter) = (Value::Bool(false), "max_requests_jitter");
    Profile {
        name: "gunicorn".to_owned(),
        params: vec![
            param("workers", int(1), 1.into(), "--workers"),
            param("threads", int(1), 1.into(), "--threads"),
            param("worker_class", class, "sync".into(), "-k"),
            param("max_requests", int(0), 0.into(), "--max-requests"),
            param(jitter, int(0), 0.into(), "--max-requests-jitter"),
            param("preload", ParamKind::Switch, no, "--preload"),
        ],
        label_fields: 5,
        folds: folds(),
        recycling: Some(Recycling {
            max_requests: "max_requests".into(),
            jitter: jitter.into(),
        }),
        workers: Some("workers".into()),
        threads: Some("threads".into()),
        cleared_env: vec!["WEB_CONCURRENCY".to_owned(), "PORT".to_owned()],
        ..command()
    }
}

fn folds() -> Vec<Fold> {
    let is = |name: &str, value: Value| Condition {
        param: name.into(),
        test: Test::IsOneOf(vec![value]),
    };
    let several = Condition {
        param: "threads".into(),
        test: Test::Above(1),
    };
    let fold = |when, set: &str, to: Value, because: &str| Fold {
        when,
        set: set.into(),
        to,
        because: because.to_owned(),
    };
    let sync = vec![is("worker_class", "sync".into()), several];
    let gevent = vec![is("worker_class", "gevent".into())];
    let never = vec![is("max_requests", 0.into())];
    vec![
        fold(
            sync,
            "worker_class",
            "gthread".into(),
            "sync with threads is gthread",
        ),
        fold(
            gevent,
            "threads",
            1.into(),
            "threads mean nothing to gevent",
        ),
        fold(
            never,
            "max_requests_jitter",
            0.into(),
            "nothing is restarted",
        ),
    ]
}

fn read_text(text: &str) -> Result<GridFile, Vec<GridFault>> {
    read(text, Path::new("/grids"), &profiles(), &|_| 4)
}

/// The file, or a panic that shows the faults.
#[track_caller]
fn good(text: &str) -> GridFile {
    read_text(text).unwrap_or_else(|faults| panic!("{faults:#?}\n{text}"))
}

/// The text with one part replaced, which must be there.
#[track_caller]
fn edited(text: &str, from: &str, to: &str) -> String {
    assert!(text.contains(from), "nothing to replace: {from}");
    text.replacen(from, to, 1)
}

fn labels(file: &GridFile) -> Vec<&str> {
    let labels = file.space.configurations.iter().map(|c| c.label().as_str());
    labels.collect()
}
