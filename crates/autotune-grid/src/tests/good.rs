//! Good grid files: every key arrives where it is used.

use std::path::PathBuf;
use std::time::Duration;

use autotune_model::{
    Accept, Arrivals, Bytes, ConnectionPolicy, CpuSet, EnvValue, LoadShape, Method, Metric, Over,
    Quantile, Rate, Share, Text,
};

use super::*;

#[test]
fn every_key_of_a_server_arrives() {
    let file = good(FULL);
    let server = &file.variants[0];
    assert_eq!(file.name, "blog");
    assert_eq!(server.name.as_str(), "gunicorn");
    assert_eq!(server.profile, "gunicorn");
    assert_eq!(server.app.as_deref(), Some("app:app"));
    assert_eq!(server.dir, PathBuf::from("/grids/apps/blog"));
    assert_eq!(server.fixture, Some(PathBuf::from("/grids/fixture")));
    assert_eq!(server.bin.as_deref(), Some("{{ cache }}/venv/bin"));
    assert_eq!(server.args, ["--preload", "--log-file={{ run }}/log"]);
    assert_eq!(server.may_reach, ["10.0.0.5:5432"]);
    assert_eq!(
        server.setup[0],
        ["python3", "-m", "venv", "{{ cache }}/venv"]
    );
    assert_eq!(
        server.before_trial,
        [["psql", "-f", "{{ run }}/my rows.sql"]]
    );
    assert_eq!(server.after_trial, [["dropdb", "blog"]]);
    let pip = ["{{ cache }}/venv/bin/pip", "install", "-r", "my reqs.txt"];
    assert_eq!(server.setup[1], pip);
    let database = EnvValue::Text("sqlite:///{{ run }}/blog.db".to_owned());
    let key = EnvValue::FromEnv {
        name: "BLOG_KEY".to_owned(),
        secret: true,
    };
    let expected = [
        ("DATABASE_URL".to_owned(), database),
        ("KEY".to_owned(), key),
    ];
    assert_eq!(server.env, expected);
    assert_eq!(
        (&server.command, &server.ready, &server.stop),
        (&vec![], &None, &None)
    );
}

#[test]
fn parameters_that_are_named_are_known() {
    let named = |text: &str| {
        let names = good(text).space.named;
        names.iter().map(ToString::to_string).collect::<Vec<_>>()
    };
    assert_eq!(named(LEAST), [""; 0]);
    let of_grid = ["worker_class", "workers", "threads", "max_requests"];
    assert_eq!(named(FULL), of_grid);
    let changed = FULL.replace("workers = 5", "workers = 5\nmax_requests_jitter = 0");
    assert_eq!(named(&changed)[4], "max_requests_jitter");
}

#[test]
fn every_key_of_load_and_goal_arrives() {
    let file = good(FULL);
    let report = &file.endpoints[0];
    assert_eq!(
        (report.name.as_str(), &report.path),
        ("report", &"/report?year=2024".into())
    );
    assert_eq!((report.weight, file.endpoints[1].weight), (3.0, 1.0));
    assert_eq!(report.expect.status, [200, 304]);
    assert_eq!(report.expect.contains.as_deref(), Some("total"));
    assert_eq!(report.expect.min_bytes, Some(10));
    assert_eq!(report.expect.max_bytes, Some(9000));
    let expected: Vec<_> = report.expect.json.iter().map(ToString::to_string).collect();
    assert_eq!(expected, ["5 at /data/0/id", "true at /ok"]);
    assert_eq!(file.endpoints[1].expect.status, [200]);
    assert_eq!(file.endpoints[1].expect.json, []);
    assert_eq!(file.connections, ConnectionPolicy::PerRequest);
    let rate = Rate::per_second(120.5).unwrap();
    assert_eq!(file.load, LoadShape::open(rate, Arrivals::Constant));
    let objective = &file.objective;
    assert_eq!(objective.minimize, Metric::Latency(Quantile::P99));
    assert_eq!(objective.over, Over::Worst);
    assert_eq!(objective.max_error_rate, Share::new(0.01).ok());
    let accept = Accept {
        relative: Share::new(0.1).ok(),
        absolute: Some(Duration::from_millis(2)),
    };
    assert_eq!(objective.accept, accept);
    assert_eq!(objective.min_effect.get(), 0.03);
    let weights: Vec<_> = objective
        .weights
        .iter()
        .map(|(n, w)| (n.as_str(), *w))
        .collect();
    assert_eq!(weights, [("report", 3.0), ("home", 1.0)]);
    assert_eq!(objective.workers, Some("workers".into()));
    assert_eq!(objective.baseline, file.space.baseline);
    assert_eq!(file.host.server_cpus, Some(CpuSet::new([1, 2])));
    assert_eq!(file.host.generator_cpus, Some(CpuSet::new([0])));
    assert!(!file.host.keep_awake);
    assert_eq!(file.budget, Some(Duration::from_secs(5400)));
    let limits = autotune_model::HostLimits {
        memory: Some(Bytes::new(3 << 29)),
        cpus: autotune_model::CpuQuota::new(8.5),
        files: Some(4096),
    };
    assert_eq!(file.limits, limits);
    let place = file.places.files.expect("it is given");
    assert_eq!(&FULL[place], "4096");
}

#[test]
fn every_kind_of_value_can_be_expected_of_json() {
    let of = |json: &str| {
        let text = edited(FULL, "\"/data/0/id\" = 5, \"/ok\" = true", json);
        let expected = good(&text).endpoints[0].expect.json.clone();
        expected.iter().map(ToString::to_string).collect::<Vec<_>>()
    };
    let each = [
        ("\"/b\" = \"five\"", "\"five\" at /b"),
        ("\"/b\" = -5", "-5 at /b"),
        ("\"/b\" = 1_000.5", "1000.5 at /b"),
        ("\"/b\" = false", "false at /b"),
        ("\"/b\" = { null = true }", "null at /b"),
        ("\"/b\" = { exists = true }", "some value at /b"),
        ("\"/b\" = { exists = false }", "nothing at /b"),
        ("\"/a~1b\" = 5", "5 at /a~1b"),
        ("\"\" = 5", "5 at the whole body"),
    ];
    for (json, said) in each {
        assert_eq!(of(json), [said]);
    }
    // In the order of the text.
    assert_eq!(of("\"/b\" = 1, \"/a\" = 2"), ["1 at /b", "2 at /a"]);
}

#[test]
fn the_space_is_distinct_in_grid_order() {
    let file = good(FULL);
    let expected = [
        "1/1/sync/0/0",
        "1/8/gthread/0/0",
        "4/1/sync/0/0",
        "4/8/gthread/0/0",
        "1/1/gthread/0/0",
        "4/1/gthread/0/0",
    ];
    assert_eq!(labels(&file), expected);
    assert_eq!(file.space.cells, 8);
    let folded: Vec<_> = file
        .space
        .folded
        .iter()
        .map(|cell| {
            (
                cell.spelled.as_str(),
                cell.into.as_str(),
                cell.reasons[0].as_str(),
            )
        })
        .collect();
    let (sync, twice) = ("sync with threads is gthread", "the grid has it already");
    let expected = [
        ("1/8/sync/0/0", "1/8/gthread/0/0", sync),
        ("4/8/sync/0/0", "4/8/gthread/0/0", sync),
        ("1/8/gthread/0/0", "1/8/gthread/0/0", twice),
        ("4/8/gthread/0/0", "4/8/gthread/0/0", twice),
    ];
    assert_eq!(folded, expected);
    let baseline = file.space.baseline.expect("there is one");
    assert_eq!(baseline.label().as_str(), "5/1/sync/0/0");
}

#[test]
fn what_is_left_out_has_its_default() {
    let file = good(LEAST);
    let server = &file.variants[0];
    assert_eq!(server.dir, PathBuf::from("/grids"));
    assert!(server.setup.is_empty() && server.args.is_empty() && server.env.is_empty());
    assert_eq!((&server.bin, &server.fixture), (&None, &None));
    assert_eq!(file.connections, ConnectionPolicy::KeepAlive);
    let users = LoadShape::closed(1, Duration::ZERO);
    assert_eq!(file.load, users);
    assert_eq!(file.objective.minimize, Metric::Latency(Quantile::P95));
    assert_eq!(file.objective.over, Over::Geomean);
    assert_eq!(file.objective.max_error_rate, Share::new(0.001).ok());
    assert_eq!(file.objective.accept.relative, Share::new(0.05).ok());
    assert_eq!(file.objective.accept.absolute, None);
    assert_eq!(file.objective.min_effect.get(), 0.02);
    let host = crate::HostRequest {
        server_cpus: None,
        generator_cpus: None,
        keep_awake: true,
    };
    assert_eq!(file.host, host);
    assert!(file.limits.is_empty() && file.places.files.is_none());
    assert_eq!((file.budget, &file.space.baseline), (None, &None));
    assert_eq!(labels(&file), ["1/1/sync/0/0"]);
    let open = edited(LEAST, "[load.closed]\nusers = 1", "[load.open]\nrate = 1");
    let rate = Rate::per_second(1.0).unwrap();
    assert_eq!(good(&open).load, LoadShape::open(rate, Arrivals::Poisson));
}

/// A default that no key falls back to would say something untrue.
#[test]
fn there_is_no_default_without_a_key() {
    fn paths(prefix: &str, table: &toml::Table, found: &mut Vec<String>) {
        for (key, value) in table {
            let path = format!("{prefix}{key}");
            match value.as_table() {
                Some(table) => paths(&format!("{path}."), table, found),
                None => found.push(path),
            }
        }
    }
    let mut found = Vec::new();
    paths("", &crate::DEFAULTS.parse().unwrap(), &mut found);
    let expected = [
        "endpoint.expect.status",
        "endpoint.headers.secret",
        "endpoint.method",
        "endpoint.weight",
        "host.keep_awake",
        "load.closed.group.think",
        "load.closed.think",
        "load.connections",
        "load.open.arrivals",
        "load.open.group.arrivals",
        "login.sessions",
        "login.step.expect.status",
        "login.step.headers.secret",
        "login.step.method",
        "login.values.secret",
        "objective.accept",
        "objective.max_error_rate",
        "objective.min_effect",
        "objective.minimize",
        "objective.over",
        "server.after_trial",
        "server.args",
        "server.before_trial",
        "server.dir",
        "server.env.secret",
        "server.may_reach",
        "server.setup",
        "server.stop",
        "service.dir",
        "service.env.secret",
        "service.may_reach",
        "service.setup",
        "service.stop",
    ];
    assert_eq!(found, expected);
}

#[test]
fn the_default_of_a_value_from_the_environment() {
    let file = good(&edited(FULL, ", secret = true", ""));
    let expected = EnvValue::FromEnv {
        name: "BLOG_KEY".to_owned(),
        secret: false,
    };
    assert_eq!(file.variants[0].env[1].1, expected);
}

#[test]
fn limits_on_response_times_arrive_at_their_endpoints() {
    let keys = "min_effect = \"3%\"\nmax_p95 = \"200ms\"\nmax_p99 = { home = \"1s\" }";
    let file = good(&edited(FULL, "min_effect = \"3%\"", keys));
    let found: Vec<_> = file.objective.max_latency.iter().collect();
    let expected = [
        (Quantile::P95, "report", 200),
        (Quantile::P95, "home", 200),
        (Quantile::P99, "home", 1000),
    ];
    assert_eq!(found.len(), expected.len());
    for (limit, (quantile, endpoint, ms)) in found.into_iter().zip(expected) {
        assert_eq!(
            (limit.quantile, limit.endpoint.as_str()),
            (quantile, endpoint)
        );
        assert_eq!(limit.at_most, Duration::from_millis(ms));
    }
}

#[test]
fn a_surge_arrives() {
    let surge = |grid: &str| good(grid).objective.surge.map(autotune_model::Surge::get);
    assert_eq!(surge(FULL), Some(1.5));
    assert_eq!(surge(&edited(FULL, "surge = 1.5", "surge = 2")), Some(2.0));
    assert_eq!(surge(&edited(FULL, "surge = 1.5\n", "")), None);
}

#[test]
fn a_limit_on_memory_arrives() {
    let limit = |text: &str| {
        let keys = format!("min_effect = \"3%\"\nmax_memory = \"{text}\"");
        let file = good(&edited(FULL, "min_effect = \"3%\"", &keys));
        file.objective.max_memory.map(Bytes::get)
    };
    assert_eq!(limit("512MiB"), Some(512 << 20));
    assert_eq!(limit("1.5 GiB"), Some(3 << 29));
    assert_eq!(limit("300 MB"), Some(300_000_000));
    assert_eq!(good(FULL).objective.max_memory, None);
}

#[test]
fn method_headers_and_body_arrive() {
    let keys = "path = \"/\"\nmethod = \"PATCH\"\nbody = '{\"a\": 1}'\n\
                headers = { Content-Type = \"application/json\", \
                Authorization = { from_env = \"TOKEN\", secret = true } }";
    let file = good(&edited(FULL, "path = \"/\"", keys));
    let home = &file.endpoints[1];
    let text = |text: &str| Text::from(text);
    let token = EnvValue::FromEnv {
        name: "TOKEN".to_owned(),
        secret: true,
    };
    let headers = [
        ("Content-Type".to_owned(), text("application/json")),
        ("Authorization".to_owned(), token.into()),
    ];
    assert_eq!(home.method, Method::Patch);
    assert_eq!(home.headers, headers);
    assert_eq!(home.body, Some(text("{\"a\": 1}")));
    let taken = &file.places.requests_from_env;
    assert_eq!((taken.len(), taken[0].0.as_str()), (1, "TOKEN"));
    let plain = &file.endpoints[0];
    assert_eq!((plain.method, &plain.body), (Method::Get, &None));
}

#[test]
fn an_argument_may_hold_a_parameter() {
    let file = good(&edited(
        FULL,
        "--preload",
        "-n=w{{ workers }}-{{ cores * 2 }}",
    ));
    assert_eq!(
        file.variants[0].args[0],
        "-n=w{{ workers }}-{{ cores * 2 }}"
    );
}

#[test]
fn the_quickstart_can_be_read() {
    let file = good(include_str!("../../../../grids/quickstart.toml"));
    assert_eq!(file.name, "quickstart");
    assert!((2..=5).contains(&file.space.configurations.len()));
}

#[test]
fn the_grid_of_an_app_with_a_database_can_be_read() {
    let file = good(include_str!("../../../../grids/postgres.toml"));
    assert_eq!(file.variants[0].before_trial, [["sh", "restore.sh"]]);
    assert_eq!(file.space.configurations.len(), 9);
}

#[test]
fn a_changed_value_changes_the_file() {
    let whole = good(FULL);
    let check = |from: &str, to: &str| {
        assert_ne!(good(&edited(FULL, from, to)), whole, "{from}");
    };
    check("\"blog\"", "\"blog2\"");
    check("app:app", "app:other");
    check("apps/blog", "apps/forum");
    check("secret = true", "secret = false");
    check("max_requests = 0", "max_requests = 500");
    check("workers = 5", "workers = 6");
    check("\"p99\"", "\"mean\"");
    check("\"worst\"", "\"pooled\"");
    check("\"constant\"", "\"poisson\"");
    check("\"per-request\"", "\"keep-alive\"");
    check("[1, 2]", "[2, 3]");
    check("1h 30m", "90s");
    check("\"2ms\"", "\"3ms\"");
}

#[test]
fn a_command_and_its_variables() {
    let file = good(COMMAND);
    let server = &file.variants[0];
    let expected = [
        "puma",
        "-w",
        "{{ workers }}",
        "-b",
        "tcp://{{ host }}:{{ port }}",
    ];
    assert_eq!(server.command, expected);
    assert_eq!(server.stop.as_deref(), Some("TERM"));
    assert_eq!((&server.ready, &server.app), (&None, &None));
    let expected = [
        "puma:workers=1,threads=4",
        "puma:workers=1,threads=8",
        "puma:workers=2,threads=4",
        "puma:workers=2,threads=8",
    ];
    assert_eq!(labels(&file), expected);
    // Written in another order, it is the same configuration all the same.
    assert_eq!(
        file.space.baseline.as_ref(),
        Some(&file.space.configurations[2])
    );
    let keys = "profile = \"command\"\nready = \"/up\"\nstop = \"INT\"";
    let more = good(&edited(COMMAND, "profile = \"command\"", keys));
    assert_eq!(more.variants[0].ready.as_deref(), Some("/up"));
    assert_eq!(more.variants[0].stop.as_deref(), Some("INT"));
    let list = "command = [\"puma\", \"{{ workers }}\", \"a b:{{ port }}\"]";
    let from = "command = \"puma -w {{ workers }} -b 'tcp://{{ host }}:{{ port }}'\"";
    let listed = good(&edited(COMMAND, from, list));
    assert_eq!(
        listed.variants[0].command,
        ["puma", "{{ workers }}", "a b:{{ port }}"]
    );
}

const SECOND: &str = "[server.flask-dev]\nprofile = \"command\"\n\
                      command = \"flask run --port {{ port }}\"\n\n[grid]";

#[test]
fn another_server_as_baseline() {
    let text = edited(FULL, "[grid]", SECOND);
    let text = edited(&text, "workers = 5", "server = \"flask-dev\"");
    let file = good(&text);
    let baseline = file.space.baseline.as_ref().expect("there is one");
    assert_eq!(baseline.label().as_str(), "flask-dev:");
    assert_eq!(baseline.variant().as_str(), "flask-dev");
    assert_eq!(file.variants.len(), 2);
    assert_eq!(
        file.configuration("flask-dev:", &profiles())
            .unwrap()
            .configuration,
        *baseline
    );
    // With a variable of its own.
    let text = edited(&text, "flask run", "flask run -n {{ n }}");
    let text = edited(
        &text,
        "server = \"flask-dev\"",
        "server = \"flask-dev\"\nn = 3",
    );
    let label = good(&text)
        .space
        .baseline
        .map(|baseline| baseline.label().to_string());
    assert_eq!(label.as_deref(), Some("flask-dev:n=3"));
}

#[test]
fn the_grid_may_be_for_several_servers() {
    let second = "[server.other]\nprofile = \"gunicorn\"\napp = \"app2:app\"\n\n[grid]\n";
    let both = edited(
        FULL,
        "[grid]\n",
        &format!("{second}server = [\"other\", \"gunicorn\"]\n"),
    );
    let file = good(&both);
    assert_eq!(file.space.cells, 16);
    let all = labels(&file);
    assert_eq!(
        (all.len(), all[0], all[6]),
        (12, "other:1/1/sync/0/0", "1/1/sync/0/0")
    );
    let only = good(&edited(&both, ", \"gunicorn\"]", "]"));
    assert!(
        labels(&only)
            .iter()
            .all(|label| label.starts_with("other:"))
    );
    // The baseline is still of the first.
    let baseline = only.space.baseline.expect("there is one");
    assert_eq!(baseline.label().as_str(), "5/1/sync/0/0");
}

#[test]
fn places_point_at_paths() {
    let file = good(FULL);
    let places = &file.places.variants[0];
    let under = |span: &Option<std::ops::Range<usize>>| span.clone().map(|span| &FULL[span]);
    assert_eq!(&FULL[places.name.clone()], "gunicorn");
    assert_eq!(under(&places.dir), Some("\"apps/blog\""));
    assert_eq!(under(&places.fixture), Some("\"fixture\""));
    assert_eq!(under(&places.app), Some("\"app:app\""));
    assert_eq!(under(&places.bin), Some("\"{{ cache }}/venv/bin\""));
    let from = &places.from_env[0];
    assert_eq!(
        (from.0.as_str(), &FULL[from.1.clone()]),
        ("BLOG_KEY", "\"BLOG_KEY\"")
    );
    assert_eq!(good(LEAST).places.variants[0].dir, None);
}

#[test]
fn paths_are_joined() {
    let check = |bin: &str, expected: &str| {
        let text = edited(
            FULL,
            "bin = \"{{ cache }}/venv/bin\"",
            &format!("bin = \"{bin}\""),
        );
        assert_eq!(good(&text).variants[0].bin.as_deref(), Some(expected));
    };
    check("venv/bin", "/grids/venv/bin");
    check("/opt/venv/bin", "/opt/venv/bin");
    check("{{ run }}/bin", "{{ run }}/bin");
    check("./x", "/grids/x");
}

#[test]
fn the_cells_of_a_grid_are_bounded_before_they_are_unfolded() {
    let hundred: Vec<String> = (1..=100).map(|n| n.to_string()).collect();
    let axis = format!("[{}]", hundred.join(", "));
    let grid = |more: &str| {
        edited(
            LEAST,
            "[grid]",
            &format!("[grid]\nworkers = {axis}\n{more}"),
        )
    };
    assert_eq!(
        good(&grid(&format!("threads = {axis}"))).space.cells,
        10_000
    );
    let text = grid(&format!(
        "threads = {axis}\nmax_requests = {axis}\nmax_requests_jitter = {axis}"
    ));
    let faults = read_text(&text).expect_err("too many");
    assert_eq!(faults.len(), 1);
    assert!(
        faults[0]
            .message
            .contains("100000000 cells, more than 10000"),
        "{}",
        faults[0]
    );
}
