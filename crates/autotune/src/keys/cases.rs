//! One line for each key: a grid file, the change of the key in it, and the part of
//! the effect in which the change must show.

use super::effect::{
    AFTER, AWAKE, BEFORE, CHECK_ANSWERS, FOLDER, GENERATOR, LAUNCH, LOAD_ANSWERS, LOG, LOGIN, PLAN,
    REACH, READY, RESULTS, SETUP, STOP, TIME, VERDICT, WIRE,
};

/// A pair of grid files that differ in one key.
pub(super) struct Case {
    /// As the schema's walk names it.
    pub(super) key: &'static str,
    pub(super) base: &'static str,
    /// A text that stands once in `base`, and what stands there instead.
    pub(super) change: (&'static str, &'static str),
    /// Where the change must show, in each of these.
    pub(super) parts: &'static [&'static str],
}

/// A server of the profile gunicorn, with all that it takes.
const GUNICORN: &str = r#"
name = "keys"

[server.app]
profile = "gunicorn"
app = "app:app"
dir = "app"
bin = "bin"
args = ["--timeout", "60"]
setup = ["build -r needs.txt"]
before_trial = ["restore"]
after_trial = ["look"]
fixture = "seed"
may_reach = ["203.0.113.7"]
env = { MODE = "fast", OWN = { from_env = "PATH" }, KEY = { from_env = "PATH", secret = true } }

[server.today]
profile = "gunicorn"
app = "app:app"
dir = "app"

[grid]
worker_class = ["gthread"]
workers = [1, 2]
threads = [2]
worker_connections = [100]
keepalive = [3]
backlog = [256]
max_requests = [1000]
max_requests_jitter = [50]

[baseline]
worker_class = "gthread"
workers = 3
threads = 4
worker_connections = 200
keepalive = 7
backlog = 512
max_requests = 3000
max_requests_jitter = 70

[[endpoint]]
name = "index"
path = "/"

[load.open]
rate = 20

[budget]
time = "1h"
"#;

/// A server that is started by a command.
const COMMAND: &str = r#"
name = "keys"

[server.app]
profile = "command"
command = "serve --port {{ port }} --size {{ size }}"
dir = "app"
bin = "bin"
args = ["--quiet"]
setup = ["build -r needs.txt"]
before_trial = ["restore"]
after_trial = ["look"]
fixture = "seed"
may_reach = ["203.0.113.7"]
env = { MODE = "fast", OWN = { from_env = "PATH" }, KEY = { from_env = "PATH", secret = true } }
ready = "/ready"
stop = "TERM"

[grid]
size = [1, 2]

[baseline]
size = 4

[[endpoint]]
name = "index"
path = "/"

[load.closed]
users = 2
think = "10ms"

[budget]
time = "1h"
"#;

/// What is sent, and what of the answers is good.
const REQUESTS: &str = r#"
name = "keys"

[server.app]
profile = "gunicorn"
app = "app:app"
dir = "app"

[grid]
workers = [1]

[data.people]
file = "rows.csv"

[login]
sessions = 2
values = { word = "open sesame", own = { from_env = "PATH" }, key = { from_env = "PATH", secret = true } }

[[login.step]]
path = "/form"
method = "GET"
headers = { X-Own = { from_env = "PATH" }, X-Key = { from_env = "CARGO_PKG_VERSION", secret = true } }
extract.a = { json = "/first" }
extract.b = { header = "X-First" }
extract.c = { cookie = "first" }
extract.d = { between = ['form":"', '"'] }

[[login.step]]
path = "/login"
method = "POST"
headers = { Content-Type = "text/plain" }
body = "{{ word }} {{ own }} {{ key }}"
expect = { status = [200], contains = "hello", min_bytes = 10, max_bytes = 1000 }

[[login.step]]
path = "/given"
method = "POST"
headers = { Content-Type = "text/plain; kind=given" }
body = { from_env = "CARGO_MANIFEST_DIR" }

[[endpoint]]
name = "index"
path = "/"
method = "GET"
weight = 1
headers = { X-Values = "{{ a }} {{ b }} {{ c }} {{ d }}", X-Own = { from_env = "PATH" }, X-Key = { from_env = "HOME", secret = true } }
expect = { status = [200], contains = "hello", min_bytes = 10, max_bytes = 1000 }

[[endpoint]]
name = "person"
path = "/people/{{ people.id }}"

[[endpoint]]
name = "write"
path = "/write"
method = "PUT"
headers = { Content-Type = "text/plain" }
body = "some text"

[[endpoint]]
name = "given"
path = "/given"
method = "PUT"
headers = { Content-Type = "text/plain; kind=given" }
body = { from_env = "CARGO_PKG_DESCRIPTION" }

[load]
connections = "keep-alive"

[load.open]
rate = 40
arrivals = "constant"

[host]
server_cpus = [1]
generator_cpus = [0]
keep_awake = true

[budget]
time = "1h"
"#;

/// What is wanted of three configurations.
const OBJECTIVE: &str = r#"
name = "keys"

[server.app]
profile = "gunicorn"
app = "app:app"
dir = "app"

[grid]
workers = [1, 2, 3]

[[endpoint]]
name = "one"
path = "/one"

[[endpoint]]
name = "two"
path = "/two"

[load.open]
rate = 20

[objective]
minimize = "p95"
over = "geomean"
max_error_rate = "10%"
accept = "50%"
min_effect = "0.1%"

[budget]
time = "1h"
"#;

/// A server with what it needs beside it.
const SERVICE: &str = r#"
name = "keys"

[service.db]
start = "database --port {{ port }} --at {{ run }}"
ready = "/up"
stop = "TERM"
cpus = [1]
dir = "app"
setup = ["build -r needs.txt"]
env = { MODE = "fast", OWN = { from_env = "PATH" }, KEY = { from_env = "PATH", secret = true } }
may_reach = ["203.0.113.7"]

[server.app]
profile = "gunicorn"
app = "app:app"
dir = "app"
env = { DB = "{{ service.db.host }}:{{ service.db.port }}" }

[grid]
workers = [1]

[[endpoint]]
name = "index"
path = "/"

[load.open]
rate = 20

[budget]
time = "1h"
"#;

/// A command that says no more than a server of another profile could.
const OTHER_PROFILE: &str = r#"
name = "keys"

[server.app]
profile = "command"
command = "serve {{ workers }} {{ port }}"
dir = "app"

[grid]
workers = [1]

[[endpoint]]
name = "index"
path = "/"

[load.open]
rate = 20

[budget]
time = "1h"
"#;

/// A load of two endpoints.
macro_rules! loaded {
    ($load:literal) => {
        concat!(
            r#"
name = "keys"
server.app = { profile = "command", command = "serve {{ port }} {{ size }}", dir = "app" }
grid = { size = [1] }
endpoint = [{ name = "one", path = "/one" }, { name = "two", path = "/two" }]
budget = { time = "1h" }
"#,
            $load
        )
    };
}

const OPEN_STEPS: &str = loaded!(
    r#"
[load.open]
arrivals = "constant"
ramp = "500ms"
steps = [{ rate = 4, for = "7s" }, { rate = 20, for = "6s" }]
"#
);

const OPEN_GROUPS: &str = loaded!(
    r#"
[[load.open.group]]
endpoints = ["one"]
rate = 10
arrivals = "constant"

[[load.open.group]]
endpoints = ["two"]
steps = [{ rate = 2, for = "6s" }, { rate = 15, for = "6s" }]
"#
);

const PACE: &str = loaded!("[load.closed]\nusers = 2\nevery = \"200ms\"\n");
const UNIFORM: &str =
    loaded!("[load.closed]\nusers = 2\nthink = { from = \"100ms\", to = \"300ms\" }\n");
const EXPONENTIAL: &str = loaded!("[load.closed]\nusers = 2\nthink = { mean = \"100ms\" }\n");

const CLOSED_STEPS: &str = loaded!(
    r#"
[load.closed]
think = "100ms"
ramp = "500ms"
steps = [{ users = 2, for = "2s" }, { users = 4, for = "3s" }]
"#
);

const CLOSED_GROUPS: &str = loaded!(
    r#"
[[load.closed.group]]
endpoints = ["one"]
users = 1
think = "100ms"

[[load.closed.group]]
endpoints = ["two"]
every = "200ms"
steps = [{ users = 2, for = "2s" }, { users = 3, for = "3s" }]
"#
);

const LOOPS: &str =
    loaded!("[load.closed]\nusers = 2\nthink = \"100ms\"\nloops = 4\nat_most = \"20s\"\n");

const LOOP_GROUPS: &str = loaded!(
    r#"
[load.closed]
at_most = "20s"

[[load.closed.group]]
endpoints = ["one"]
users = 1
think = "100ms"
loops = 4

[[load.closed.group]]
endpoints = ["two"]
users = 2
think = "100ms"
loops = 2
"#
);

const DRAWN_GROUPS: &str = loaded!(
    r#"
[[load.closed.group]]
endpoints = ["one"]
users = 1
think = { from = "100ms", to = "300ms" }

[[load.closed.group]]
endpoints = ["two"]
users = 2
think = { mean = "250ms" }
"#
);

const CONNECTIONS: &str = loaded!(
    r#"
[load]
connections = { reconnect_every = 3, idle = "300ms" }

[load.open]
rate = 8
"#
);

/// All of them.
pub(super) const BASES: [&str; 17] = [
    GUNICORN,
    COMMAND,
    REQUESTS,
    OBJECTIVE,
    OTHER_PROFILE,
    OPEN_STEPS,
    OPEN_GROUPS,
    PACE,
    UNIFORM,
    EXPONENTIAL,
    CLOSED_STEPS,
    CLOSED_GROUPS,
    DRAWN_GROUPS,
    CONNECTIONS,
    LOOPS,
    LOOP_GROUPS,
    SERVICE,
];

const fn case(
    key: &'static str,
    base: &'static str,
    change: (&'static str, &'static str),
    parts: &'static [&'static str],
) -> Case {
    Case {
        key,
        base,
        change,
        parts,
    }
}

/// In the order of the schema's tables.
#[rustfmt::skip]
pub(super) const CASES: &[Case] = &[
    case("name", GUNICORN, (r#"name = "keys""#, r#"name = "other""#), &[RESULTS]),
    case("budget.time", GUNICORN, (r#""1h""#, r#""2h""#), &[TIME]),
    case("server.NAME.after_trial", GUNICORN, (r#""look""#, r#""see""#), &[AFTER]),
    case("server.NAME.app", GUNICORN, ("app = \"app:app\"\ndir = \"app\"\nbin", "app = \"app:other\"\ndir = \"app\"\nbin"), &[LAUNCH]),
    case("server.NAME.args", GUNICORN, (r#""60""#, r#""70""#), &[LAUNCH]),
    case("server.NAME.before_trial", GUNICORN, (r#""restore""#, r#""reset""#), &[BEFORE]),
    case("server.NAME.bin", GUNICORN, (r#""bin""#, r#""sbin""#), &[LAUNCH]),
    case("server.NAME.dir", GUNICORN, ("dir = \"app\"\nbin", "dir = \"other\"\nbin"), &[LAUNCH]),
    case("server.NAME.env", GUNICORN, (r#""fast""#, r#""slow""#), &[LAUNCH, BEFORE]),
    case("server.NAME.env.NAME.from_env", GUNICORN, (r#"OWN = { from_env = "PATH" }"#, r#"OWN = { from_env = "HOME" }"#), &[LAUNCH]),
    case("server.NAME.env.NAME.secret", GUNICORN, (", secret = true", ""), &[LOG]),
    case("server.NAME.fixture", GUNICORN, ("seed", "more"), &[FOLDER]),
    case("server.NAME.may_reach", GUNICORN, ("203.0.113.7", "198.51.100.1"), &[REACH]),
    case("server.NAME.profile", OBJECTIVE, ("profile = \"gunicorn\"\napp = \"app:app\"", "profile = \"command\"\ncommand = \"serve {{ workers }} {{ port }}\""), &[LAUNCH]),
    case("server.NAME.setup", GUNICORN, ("build -r", "make -r"), &[SETUP]),
    case("server.NAME[command].after_trial", COMMAND, (r#""look""#, r#""see""#), &[AFTER]),
    case("server.NAME[command].args", COMMAND, ("--quiet", "--loud"), &[LAUNCH]),
    case("server.NAME[command].before_trial", COMMAND, (r#""restore""#, r#""reset""#), &[BEFORE]),
    case("server.NAME[command].bin", COMMAND, (r#""bin""#, r#""sbin""#), &[LAUNCH]),
    case("server.NAME[command].command", COMMAND, ("serve --port", "serve -p"), &[LAUNCH]),
    case("server.NAME[command].dir", COMMAND, (r#"dir = "app""#, r#"dir = "other""#), &[LAUNCH]),
    case("server.NAME[command].env", COMMAND, (r#""fast""#, r#""slow""#), &[LAUNCH]),
    case("server.NAME[command].env.NAME.from_env", COMMAND, (r#"OWN = { from_env = "PATH" }"#, r#"OWN = { from_env = "HOME" }"#), &[LAUNCH]),
    case("server.NAME[command].env.NAME.secret", COMMAND, (", secret = true", ""), &[LOG]),
    case("server.NAME[command].fixture", COMMAND, ("seed", "more"), &[FOLDER]),
    case("server.NAME[command].may_reach", COMMAND, ("203.0.113.7", "198.51.100.1"), &[REACH]),
    case("server.NAME[command].profile", OTHER_PROFILE, ("profile = \"command\"\ncommand = \"serve {{ workers }} {{ port }}\"", "profile = \"gunicorn\"\napp = \"app:app\""), &[LAUNCH]),
    case("server.NAME[command].ready", COMMAND, ("/ready", "/alive"), &[READY]),
    case("server.NAME[command].setup", COMMAND, ("build -r", "make -r"), &[SETUP]),
    case("server.NAME[command].stop", COMMAND, (r#""TERM""#, r#""INT""#), &[STOP]),
    case("grid.NAME", COMMAND, ("[1, 2]", "[1, 3]"), &[LAUNCH]),
    case("grid.backlog", GUNICORN, ("[256]", "[257]"), &[LAUNCH]),
    case("grid.constraints", GUNICORN, ("[grid]", "[grid]\nconstraints = [\"workers < 2\"]"), &[PLAN]),
    case("grid.keepalive", GUNICORN, ("[3]", "[4]"), &[LAUNCH]),
    case("grid.max_requests", GUNICORN, ("[1000]", "[1001]"), &[LAUNCH]),
    case("grid.max_requests_jitter", GUNICORN, ("[50]", "[51]"), &[LAUNCH]),
    case("grid.server", GUNICORN, ("[grid]", "[grid]\nserver = [\"today\"]"), &[LAUNCH]),
    case("grid.threads", GUNICORN, ("threads = [2]", "threads = [3]"), &[LAUNCH]),
    case("grid.worker_class", GUNICORN, (r#"["gthread"]"#, r#"["gevent"]"#), &[LAUNCH]),
    case("grid.worker_connections", GUNICORN, ("[100]", "[101]"), &[LAUNCH]),
    case("grid.workers", GUNICORN, ("[1, 2]", "[1, 5]"), &[LAUNCH]),
    case("baseline.NAME", COMMAND, ("size = 4", "size = 5"), &[LAUNCH]),
    case("baseline.backlog", GUNICORN, ("512", "513"), &[LAUNCH]),
    case("baseline.keepalive", GUNICORN, ("keepalive = 7", "keepalive = 8"), &[LAUNCH]),
    case("baseline.max_requests", GUNICORN, ("3000", "3001"), &[LAUNCH]),
    case("baseline.max_requests_jitter", GUNICORN, ("= 70", "= 71"), &[LAUNCH]),
    case("baseline.server", GUNICORN, ("[baseline]", "[baseline]\nserver = \"today\""), &[LAUNCH]),
    case("baseline.threads", GUNICORN, ("threads = 4", "threads = 5"), &[LAUNCH]),
    case("baseline.worker_class", GUNICORN, (r#"= "gthread""#, r#"= "gevent""#), &[LAUNCH]),
    case("baseline.worker_connections", GUNICORN, ("= 200", "= 201"), &[LAUNCH]),
    case("baseline.workers", GUNICORN, ("workers = 3", "workers = 4"), &[LAUNCH]),
    case("data.NAME.file", REQUESTS, ("rows.csv", "more.csv"), &[WIRE]),
    case("login.sessions", REQUESTS, ("sessions = 2", "sessions = 3"), &[LOGIN]),
    case("login.values", REQUESTS, ("open sesame", "close sesame"), &[LOGIN]),
    case("login.values.NAME.from_env", REQUESTS, (r#"own = { from_env = "PATH" }"#, r#"own = { from_env = "HOME" }"#), &[LOGIN]),
    case("login.values.NAME.secret", REQUESTS, (r#"key = { from_env = "PATH", secret = true }"#, r#"key = { from_env = "PATH" }"#), &[LOGIN]),
    case("login.step.path", REQUESTS, (r#""/form""#, r#""/page""#), &[LOGIN]),
    case("login.step.method", REQUESTS, ("path = \"/form\"\nmethod = \"GET\"", "path = \"/form\"\nmethod = \"OPTIONS\""), &[LOGIN]),
    case("login.step.headers", REQUESTS, ("[[login.step]]\npath = \"/login\"\nmethod = \"POST\"\nheaders = { Content-Type = \"text/plain\" }", "[[login.step]]\npath = \"/login\"\nmethod = \"POST\"\nheaders = { Content-Type = \"text/css\" }"), &[LOGIN]),
    case("login.step.headers.NAME.from_env", REQUESTS, ("headers = { X-Own = { from_env = \"PATH\" }", "headers = { X-Own = { from_env = \"HOME\" }"), &[LOGIN]),
    case("login.step.headers.NAME.secret", REQUESTS, ("\"CARGO_PKG_VERSION\", secret = true", "\"CARGO_PKG_VERSION\""), &[LOG]),
    case("login.step.body", REQUESTS, ("{{ word }} ", "{{ word }}-"), &[LOGIN]),
    case("login.step.body.from_env", REQUESTS, ("CARGO_MANIFEST_DIR", "CARGO_PKG_LICENSE"), &[LOGIN]),
    case("login.step.body.secret", REQUESTS, ("\"CARGO_MANIFEST_DIR\"", "\"CARGO_MANIFEST_DIR\", secret = true"), &[LOG]),
    case("login.step.expect.status", REQUESTS, ("expect = { status = [200], contains = \"hello\", min_bytes = 10, max_bytes = 1000 }\n\n[[login", "expect = { status = [201], contains = \"hello\", min_bytes = 10, max_bytes = 1000 }\n\n[[login"), &[LOGIN]),
    case("login.step.expect.contains", REQUESTS, ("contains = \"hello\", min_bytes = 10, max_bytes = 1000 }\n\n[[login", "contains = \"goodbye\", min_bytes = 10, max_bytes = 1000 }\n\n[[login"), &[LOGIN]),
    case("login.step.expect.min_bytes", REQUESTS, ("min_bytes = 10, max_bytes = 1000 }\n\n[[login", "min_bytes = 900, max_bytes = 1000 }\n\n[[login"), &[LOGIN]),
    case("login.step.expect.json", REQUESTS, ("max_bytes = 1000 }\n\n[[login", "max_bytes = 1000, json = { \"/hello\" = \"moon\" } }\n\n[[login"), &[LOGIN]),
    case("login.step.expect.json.NAME.exists", REQUESTS, ("max_bytes = 1000 }\n\n[[login", "max_bytes = 1000, json = { \"/moon\" = { exists = true } } }\n\n[[login"), &[LOGIN]),
    case("login.step.expect.json.NAME.null", REQUESTS, ("max_bytes = 1000 }\n\n[[login", "max_bytes = 1000, json = { \"/hello\" = { null = true } } }\n\n[[login"), &[LOGIN]),
    case("login.step.expect.max_bytes", REQUESTS, ("max_bytes = 1000 }\n\n[[login", "max_bytes = 11 }\n\n[[login"), &[LOGIN]),
    case("login.step.extract.NAME.json", REQUESTS, ("/first", "/second"), &[WIRE]),
    case("login.step.extract.NAME.header", REQUESTS, ("X-First", "X-Second"), &[WIRE]),
    case("login.step.extract.NAME.cookie", REQUESTS, (r#"cookie = "first""#, r#"cookie = "second""#), &[WIRE]),
    case("login.step.extract.NAME.between", REQUESTS, (r#"'form":"'"#, r#"'hello":"'"#), &[WIRE]),
    case("endpoint.name", REQUESTS, (r#"name = "index""#, r#"name = "start""#), &[LOAD_ANSWERS, CHECK_ANSWERS]),
    case("endpoint.path", REQUESTS, (r#"path = "/write""#, r#"path = "/wrote""#), &[WIRE]),
    case("endpoint.method", REQUESTS, ("path = \"/\"\nmethod = \"GET\"", "path = \"/\"\nmethod = \"DELETE\""), &[WIRE]),
    case("endpoint.weight", OBJECTIVE, ("path = \"/one\"", "path = \"/one\"\nweight = 5"), &[WIRE, VERDICT]),
    case("endpoint.headers", REQUESTS, ("{{ a }} {{ b }}", "{{ a }}-{{ b }}"), &[WIRE]),
    case("endpoint.headers.NAME.from_env", REQUESTS, ("{{ d }}\", X-Own = { from_env = \"PATH\" }", "{{ d }}\", X-Own = { from_env = \"HOME\" }"), &[WIRE]),
    case("endpoint.headers.NAME.secret", REQUESTS, ("X-Key = { from_env = \"HOME\", secret = true } }\nexpect", "X-Key = { from_env = \"HOME\" } }\nexpect"), &[LOG]),
    case("endpoint.body", REQUESTS, ("some text", "other text"), &[WIRE]),
    case("endpoint.body.from_env", REQUESTS, ("CARGO_PKG_DESCRIPTION", "CARGO_PKG_LICENSE"), &[WIRE]),
    case("endpoint.body.secret", REQUESTS, ("\"CARGO_PKG_DESCRIPTION\"", "\"CARGO_PKG_DESCRIPTION\", secret = true"), &[LOG]),
    case("endpoint.expect.status", REQUESTS, ("status = [200], contains = \"hello\", min_bytes = 10, max_bytes = 1000 }\n\n[[endpoint", "status = [201], contains = \"hello\", min_bytes = 10, max_bytes = 1000 }\n\n[[endpoint"), &[LOAD_ANSWERS, CHECK_ANSWERS]),
    case("endpoint.expect.contains", REQUESTS, ("contains = \"hello\", min_bytes = 10, max_bytes = 1000 }\n\n[[endpoint", "contains = \"goodbye\", min_bytes = 10, max_bytes = 1000 }\n\n[[endpoint"), &[LOAD_ANSWERS, CHECK_ANSWERS]),
    case("endpoint.expect.min_bytes", REQUESTS, ("min_bytes = 10, max_bytes = 1000 }\n\n[[endpoint", "min_bytes = 900, max_bytes = 1000 }\n\n[[endpoint"), &[LOAD_ANSWERS, CHECK_ANSWERS]),
    case("endpoint.expect.json", REQUESTS, ("max_bytes = 1000 }\n\n[[endpoint", "max_bytes = 1000, json = { \"/hello\" = \"moon\" } }\n\n[[endpoint"), &[LOAD_ANSWERS, CHECK_ANSWERS]),
    case("endpoint.expect.json.NAME.exists", REQUESTS, ("max_bytes = 1000 }\n\n[[endpoint", "max_bytes = 1000, json = { \"/moon\" = { exists = true } } }\n\n[[endpoint"), &[LOAD_ANSWERS, CHECK_ANSWERS]),
    case("endpoint.expect.json.NAME.null", REQUESTS, ("max_bytes = 1000 }\n\n[[endpoint", "max_bytes = 1000, json = { \"/hello\" = { null = true } } }\n\n[[endpoint"), &[LOAD_ANSWERS, CHECK_ANSWERS]),
    case("endpoint.expect.max_bytes", REQUESTS, ("max_bytes = 1000 }\n\n[[endpoint", "max_bytes = 11 }\n\n[[endpoint"), &[LOAD_ANSWERS, CHECK_ANSWERS]),
    case("load.connections", REQUESTS, (r#""keep-alive""#, r#""per-request""#), &[WIRE]),
    case("load.open.rate", REQUESTS, ("rate = 40", "rate = 41"), &[WIRE]),
    case("load.open.arrivals", REQUESTS, ("constant", "poisson"), &[WIRE]),
    case("load.open.surge", OBJECTIVE, ("rate = 20", "rate = 20\nsurge = 1.5"), &[VERDICT, TIME]),
    case("load.closed.loops", LOOPS, ("loops = 4", "loops = 3"), &[WIRE]),
    case("load.closed.at_most", LOOPS, ("20s", "40s"), &[TIME]),
    case("load.closed.group.loops", LOOP_GROUPS, ("loops = 4", "loops = 3"), &[WIRE]),
    case("load.closed.users", COMMAND, ("users = 2", "users = 3"), &[WIRE]),
    case("load.closed.think", COMMAND, (r#""10ms""#, r#""20ms""#), &[WIRE]),
    case("load.connections.idle", CONNECTIONS, ("300ms", "50ms"), &[WIRE]),
    case("load.connections.reconnect_every", CONNECTIONS, ("reconnect_every = 3", "reconnect_every = 2"), &[WIRE]),
    case("load.open.ramp", OPEN_STEPS, ("500ms", "1s"), &[WIRE, TIME]),
    case("load.open.steps.for", OPEN_STEPS, (r#""7s""#, r#""6s""#), &[WIRE, TIME]),
    case("load.open.steps.rate", OPEN_STEPS, ("rate = 20", "rate = 30"), &[WIRE]),
    case("load.open.group.arrivals", OPEN_GROUPS, ("constant", "poisson"), &[WIRE]),
    case("load.open.group.endpoints", OPEN_GROUPS, ("[\"one\"]\nrate = 10\narrivals = \"constant\"\n\n[[load.open.group]]\nendpoints = [\"two\"]", "[\"two\"]\nrate = 10\narrivals = \"constant\"\n\n[[load.open.group]]\nendpoints = [\"one\"]"), &[WIRE]),
    case("load.open.group.rate", OPEN_GROUPS, ("rate = 10", "rate = 12"), &[WIRE]),
    case("load.open.group.steps.for", OPEN_GROUPS, (r#"{ rate = 2, for = "6s""#, r#"{ rate = 2, for = "5s""#), &[WIRE]),
    case("load.open.group.steps.rate", OPEN_GROUPS, ("rate = 15", "rate = 25"), &[WIRE]),
    case("load.closed.every", PACE, ("200ms", "250ms"), &[WIRE]),
    case("load.closed.think.from", UNIFORM, ("100ms", "150ms"), &[WIRE]),
    case("load.closed.think.to", UNIFORM, ("300ms", "400ms"), &[WIRE]),
    case("load.closed.think.mean", EXPONENTIAL, ("100ms", "200ms"), &[WIRE]),
    case("load.closed.ramp", CLOSED_STEPS, ("500ms", "1s"), &[WIRE, TIME]),
    case("load.closed.steps.for", CLOSED_STEPS, (r#""2s""#, r#""1s""#), &[WIRE, TIME]),
    case("load.closed.steps.users", CLOSED_STEPS, ("users = 4", "users = 6"), &[WIRE]),
    case("load.closed.group.endpoints", CLOSED_GROUPS, ("[\"one\"]\nusers = 1\nthink = \"100ms\"\n\n[[load.closed.group]]\nendpoints = [\"two\"]", "[\"two\"]\nusers = 1\nthink = \"100ms\"\n\n[[load.closed.group]]\nendpoints = [\"one\"]"), &[WIRE]),
    case("load.closed.group.every", CLOSED_GROUPS, ("200ms", "250ms"), &[WIRE]),
    case("load.closed.group.think", CLOSED_GROUPS, ("100ms", "150ms"), &[WIRE]),
    case("load.closed.group.users", CLOSED_GROUPS, ("users = 1", "users = 5"), &[WIRE]),
    case("load.closed.group.steps.for", CLOSED_GROUPS, (r#""2s""#, r#""1s""#), &[WIRE]),
    case("load.closed.group.steps.users", CLOSED_GROUPS, ("users = 3", "users = 4"), &[WIRE]),
    case("load.closed.group.think.from", DRAWN_GROUPS, ("100ms", "150ms"), &[WIRE]),
    case("load.closed.group.think.to", DRAWN_GROUPS, ("300ms", "400ms"), &[WIRE]),
    case("load.closed.group.think.mean", DRAWN_GROUPS, ("250ms", "350ms"), &[WIRE]),
    case("objective.minimize", OBJECTIVE, (r#""p95""#, r#""p50""#), &[VERDICT]),
    case("objective.over", OBJECTIVE, ("geomean", "pooled"), &[VERDICT]),
    case("objective.max_error_rate", OBJECTIVE, ("10%", "0.3%"), &[VERDICT]),
    case("objective.max_p95", OBJECTIVE, ("accept", "max_p95 = { two = \"15ms\" }\naccept"), &[VERDICT]),
    case("objective.max_p99", OBJECTIVE, ("accept", "max_p99 = \"19ms\"\naccept"), &[VERDICT]),
    case("objective.max_memory", OBJECTIVE, ("accept", "max_memory = \"150MiB\"\naccept"), &[VERDICT]),
    case("objective.accept", OBJECTIVE, ("50%", "1%"), &[VERDICT]),
    case("objective.min_effect", OBJECTIVE, ("0.1%", "70%"), &[VERDICT]),
    case("service.NAME.start", SERVICE, ("database --port", "database --quick --port"), &[LAUNCH]),
    case("service.NAME.ready", SERVICE, (r#""/up""#, r#"["is_up", "{{ port }}"]"#), &[READY]),
    case("service.NAME.stop", SERVICE, ("TERM", "INT"), &[STOP]),
    case("service.NAME.user", SERVICE, ("cpus = [1]", "cpus = [1]\nuser = \"nobody\""), &[LAUNCH]),
    case("service.NAME.user.when_root", SERVICE, ("cpus = [1]", "cpus = [1]\nuser = { when_root = \"nobody\" }"), &[LAUNCH]),
    case("service.NAME.cpus", SERVICE, ("cpus = [1]", "cpus = [0]"), &[LAUNCH]),
    case("service.NAME.dir", SERVICE, ("dir = \"app\"\nsetup", "dir = \"other\"\nsetup"), &[LAUNCH]),
    case("service.NAME.setup", SERVICE, ("build -r", "build -v -r"), &[SETUP]),
    case("service.NAME.env", SERVICE, ("fast", "slow"), &[LAUNCH]),
    case("service.NAME.env.NAME.from_env", SERVICE, (r#"OWN = { from_env = "PATH" }"#, r#"OWN = { from_env = "HOME" }"#), &[LAUNCH]),
    case("service.NAME.env.NAME.secret", SERVICE, ("secret = true", "secret = false"), &[LOG]),
    case("service.NAME.may_reach", SERVICE, ("203.0.113.7", "198.51.100.1"), &[REACH]),
    case("limits.memory", OBJECTIVE, ("[budget]", "[limits]\nmemory = \"1GiB\"\n[budget]"), &[LAUNCH]),
    case("limits.cpus", OBJECTIVE, ("[budget]", "[limits]\ncpus = 1.5\n[budget]"), &[LAUNCH]),
    case("limits.files", OBJECTIVE, ("[budget]", "[limits]\nfiles = 1024\n[budget]"), &[LAUNCH]),
    case("host.server_cpus", REQUESTS, ("server_cpus = [1]", "server_cpus = [2]"), &[LAUNCH]),
    case("host.generator_cpus", REQUESTS, ("generator_cpus = [0]", "generator_cpus = [3]"), &[GENERATOR]),
    case("host.keep_awake", REQUESTS, ("keep_awake = true", "keep_awake = false"), &[AWAKE]),
];
