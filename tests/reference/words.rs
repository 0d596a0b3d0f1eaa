//! What `docs/grid-file.md` says between its tables.

pub(super) const INTRO: &str = "\
# The grid file

A grid file is TOML. It says which server with which app, which settings to try, under which load,
and what is wanted. A small one that is complete:

```toml
name = \"shop\"                       # results go to results/shop

[server.gunicorn]
profile = \"gunicorn\"
app = \"shop:app\"                    # module:variable
dir = \"shop\"                        # where the app starts; a path from this file on
setup = [\"python3 -m venv {{ cache }}/venv\", \"{{ cache }}/venv/bin/pip install -r requirements.txt\"]
bin = \"{{ cache }}/venv/bin\"        # where setup put gunicorn

[grid]                              # every combination is tried
worker_class = [\"sync\", \"gthread\"]
workers = \"1..=4\"
threads = [1, 8]

[baseline]                          # what runs today
workers = 3

[[endpoint]]                        # what is asked; as many of these tables as there are endpoints
name = \"things\"
path = \"/things?page=2\"
expect = { contains = \"Things\" }    # any other answer is a failure

[[endpoint]]
name = \"report\"
path = \"/report\"
weight = 0.2                        # a fifth as often

[load.open]
rate = 50                           # requests a second, as in a busy hour

[objective]
minimize = \"p95\"
accept = \"5%\"                       # what is given for less memory

[budget]
time = \"2h\"
```

For your own start from a copy of `grids/quickstart.toml`, whose every key is explained, or of the
[example](../grids/README.md) for your server. Unknown keys are refused, with their place and the likely
spelling. Paths are relative to the grid file. How times, amounts, expressions, holes `{{ … }}` and
addresses are written is told [at the end](#values-times-amounts-expressions-addresses).

The tables here were written from the schema (`autotune schema`), in the order in which one writes a
grid file. An empty cell under \"left out\" means that there is none then.
";

pub(super) const VALUES: &str = "\
**Times** are texts: numbers with units, each unit once and the longest first, at most a year. The units
are `d`, `h`, `m` (minutes), `s`, `ms` and `us`: `\"10s\"`, `\"1h 30m\"`, `\"1.5s\"`, `\"250us\"`.

**Amounts** of memory are texts with one unit: `B`, `kB`, `MB` and `GB` by thousands, `KiB`, `MiB` and `GiB`
by 1,024s: `\"512MiB\"`, `\"1.5 GB\"`. **Percentages** are texts such as `\"5%\"` and `\"0.1%\"`.

**Ranges** stand in [grid] for lists: `\"1..=8\"`, both ends in it, or `\"1..=9 step 2\"`; the ends may be
computed, `\"1..={{ cores }}\"`.

**Expressions** stand between `{{` and `}}`, and as a whole in `constraints`. They are those of Jinja:
numbers, texts in quotes, names, parentheses; `+`, `-`, `*`, `/` (with a fraction), `//` (a whole number),
`%`, `**`; `==`, `!=`, `<`, `<=`, `>`, `>=`, `in`; `and`, `or`, `not`; `A if CONDITION else B`; filters, as
in `[cores, 8] | min` and `(cores / 2) | int`. In [grid] and [baseline] they know `cores`, how many CPUs the
server gets. A constraint knows the parameters of the servers, too, and is true or false; one that names
what a server does not have says nothing of that server.

**Holes** are filled by what there is by then:

| hole | stands for | in |
|---|---|---|
| `{{ cache }}` | a folder that is kept between sweeps | commands, `bin`, `args` and `env` of servers and services |
| `{{ run }}` | a fresh folder, for each trial or for a service's life | the same but `setup` |
| `{{ host }}`, `{{ port }}` | where the server, or the service, is to listen | the same but `setup` |
| `{{ cores }}` | how many CPUs the server gets | the same of servers; [grid], [baseline] |
| `{{ service.NAME.port }}`, `.host`, `.run` | where a service is | the same, in services only those further down |
| `{{ workers }}` and all other keys of [grid] | the value of the trial | `command` and `args`; where the profile is \"command\" also `env`, `before_trial` and `after_trial` |
| `{{ csrf }}`, `{{ items.id }}` | values of the login, columns of data files | requests, where they are plain names and no expressions |

**Addresses** of `may_reach` are IP addresses, networks or host names, with a port or, for all ports,
without: `\"10.0.0.5\"`, `\"10.0.0.5:5432\"`, `\"10.0.0.0/8\"`, `\"10.0.0.0/8:5432\"`, `\"fd00::1\"`,
`\"[fd00::1]:5432\"`, `\"db.example\"`, `\"db.example:5432\"`. Names are looked up before the first trial and
now and then. This machine's own loopback, 127.0.0.1, needs no entry.

**Out of the environment** comes, in place of a text of `env`, `values`, `headers` or `body`, a table with
these keys:";

pub(super) const LOAD: &str = "\
Either `open` or `closed`. Whatever the load, a request that is not answered 30 s after it was due has
failed: that limit is fixed, and does not become shorter where a grid file makes its other times shorter.";

pub(super) const SERVER: &str = "\
NAME has letters, digits, `-` and `_`. These keys are the same for all servers.";

pub(super) const COMMAND: &str = "\
For any server that can be started by a command.";

pub(super) const GRID: &str = "\
Besides these keys, the parameters of the server: for gunicorn those of the table below, for a command any
name that the command uses. Each is a value or a list of values; every combination is tried, and those
that make the server behave the same are tried once.";

pub(super) const PARAMETERS: &str = "\
In [grid] each is one value or a list of them, and a whole number can also be a range; in [baseline] it is
one value. Both can be computed.";

pub(super) const HOST: &str = "\
Left out: with four CPUs or more the generator has the last one and the server all others; with fewer
nothing is pinned, and both share what there is.";

pub(super) const BUDGET: &str = "\
Left out: the command must say it, `autotune sweep shop.toml --budget 8h`. What it says goes before what
stands here.";

pub(super) const LOGIN: &str = "\
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

pub(super) const LIMITS: &str = "\
The server and all that it starts live under these limits in every trial, as in the container or on
the host of production: a control group (cgroup) holds memory and CPU time, which takes root, a part of
the tree that is delegated, or a user's systemd. Where none of them is there the sweep goes on, and
headline, `verdict.json` (`host_limits`) and report say \"limits not enforced\"; `check` says so
beforehand. Setup steps and the commands around a trial are not limited.

They are not the limits of [objective]. `memory` here *holds*: the kernel ends a process of a server that
wants more, and a setting in which that happens fails. `max_memory` there *judges*: what a server was
seen to take, as PSS, decides whether its setting may be recommended. A server under `memory = \"1GiB\"`
can be asked to leave room with `max_memory = \"800MiB\"`.";

pub(super) const SERVICE: &str = "\
What the app needs beside it; NAME has letters, digits and `_`. Services are started once, before the first
server and in the order of the file, and are ended after the last server in the other order. One that ends
meanwhile stops the sweep. Texts of servers can name them, `{{ service.NAME.port }}`, `.host` and `.run`,
and so can services further down; setup steps cannot, since they come first.

While the load runs a service is sampled as the server is. Where it used 90 % of its CPUs, or one thread of
it all of one CPU, in most trials of the best settings, it was the bottleneck: nothing is recommended.

Where root runs the sweep and a `user` cannot enter the usual folders, `{{ cache }}` and `{{ run }}` lie below
the folder for temporary files. He must be able to enter `dir`.

```toml
[service.db]
start = \"redis-server --port {{ port }} --bind {{ host }} --dir {{ run }} --save ''\"
ready = [\"redis-cli\", \"-h\", \"{{ host }}\", \"-p\", \"{{ port }}\", \"ping\"]

[server.gunicorn]
env = { REDIS_URL = \"redis://{{ service.db.host }}:{{ service.db.port }}\" }
```";

pub(super) const DATA: &str = "\
Holes of requests are plain names: `{{ csrf }}`, `{{ accounts.user }}`. A value is percent-encoded in a
path or query, encoded as a form's in a body of the type `application/x-www-form-urlencoded`, escaped
in JSON (write the quotes around the hole), and stands as it is in headers and other bodies.

All requests are written before the load, one for each session and row: at most 100,000 over all
endpoints. In open load a request is of a session by chance, and an endpoint takes one row after the
other; in closed load a user keeps one session, and users begin at rows far from each other. The seed
decides the order, which is the same for every configuration. Where an endpoint uses several files,
the shorter ones begin anew meanwhile.";

pub(super) const CONNECTIONS: &str = "\
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

pub(super) const STEPS: &str = "\
One of `rate`, `steps` and `group`. A load with steps is judged at the end of each: a backlog that grew
in one makes the trial overloaded, whether or not a later step works it off. Percentiles are over all
steps after the warm-up, which is the ramp and a tenth of the first step.";

pub(super) const CLOSED: &str = "\
One of `users`, `steps` and `group`; one of `think` and `every`. Users who wait for a slow answer ask
less, so that a stall is met once by each of them and not by all who would have come meanwhile: with
`every`, too, what a slow answer kept a user from asking is not asked later and is in no percentile.
Where that matters, the load is an open one. Response time is that of the answer alone, or with `every`
from when the request was due.";

pub(super) const GROUPS: &str = "\
In place of one total, as a thread group for each endpoint in JMeter. `weight` of an endpoint is its
share within its group; in the objective endpoints count by `weight`, however often their group asks.
The seed decides what each group asks when, the same for every configuration.";
