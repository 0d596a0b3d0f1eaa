//! What changes the identity of a study, and what does not.

use super::*;

#[test]
fn data_and_caches_are_no_sources() {
    let folder = tempfile::tempdir().unwrap();
    let write = |name: &str| std::fs::write(folder.path().join(name), name).unwrap();
    for name in ["__pycache__", "own venv", "mine", "out", "results"] {
        std::fs::create_dir(folder.path().join(name)).unwrap();
    }
    let files = [
        "app.py",
        "requirements.txt",
        "output.txt",
        "notes.db",
        "app.log",
        "__pycache__/app.py",
        "own venv/pyvenv.cfg",
        "own venv/six.py",
        "mine/study.db",
        "mine/gunicorn.conf.py",
        "out/gunicorn.conf.py",
        "results/views.py",
    ];
    files.into_iter().for_each(write);
    let sources = sources(folder.path(), &folder.path().join("out")).unwrap();
    let expected = ["app.py", "requirements.txt", "results/views.py"];
    assert_eq!(sources, expected.map(|name| folder.path().join(name)));
}

/// A grid file beside its app and fixture.
fn grid(folder: &Path, from: &str, to: &str) -> Grid {
    let text = r#"name = "demo"
[server.demo]
profile = "command"
dir = "app"
command = "serve --port {{ port }} --n {{ n }}"
fixture = "data"
[grid]
n = [1, 2]
[baseline]
n = 1
[data.people]
file = "people.csv"
[login]
values = { word = "x" }
[[login.step]]
path = "/login"
extract = { csrf = { json = "/csrf" } }
[[login.step]]
path = "/login?user={{ people.user }}&word={{ word }}"
[[endpoint]]
name = "home"
path = "/"
headers = { X-Token = "{{ csrf }}" }
[load.open]
rate = 20
[objective]
minimize = "p95"
accept = "5%"
[budget]
time = "1h"
"#;
    assert!(text.contains(from), "{from}");
    let path = folder.join("grid.toml");
    std::fs::write(&path, text.replacen(from, to, 1)).unwrap();
    crate::grid_file::load(&path).unwrap()
}

#[test]
fn what_changes_the_answer_changes_the_identity() {
    let folder = tempfile::tempdir().unwrap();
    let (folder, results) = (folder.path(), folder.path().join("app/results"));
    for name in ["app", "data", "data/more", "app/results"] {
        std::fs::create_dir(folder.join(name)).unwrap();
    }
    std::fs::write(folder.join("app/app.py"), "1").unwrap();
    std::fs::write(folder.join("data/more/rows"), "1").unwrap();
    std::fs::write(folder.join("people.csv"), "user\nann\n").unwrap();
    let of = |from: &str, to: &str| identity(&grid(folder, from, to), &results).unwrap();
    let same = of("", "");
    for (from, to) in [
        ("\"p95\"", "\"p50\""),
        ("\"5%\"", "\"6%\""),
        ("[baseline]\nn = 1", "[baseline]\nn = 2"),
        ("[baseline]\nn = 1\n", ""),
        ("fixture = \"data\"\n", ""),
        ("fixture", "before_trial = [\"a b\"]\nfixture"),
        ("fixture", "after_trial = [\"a b\"]\nfixture"),
        ("rate = 20", "rate = 21"),
        ("[budget]", "[limits]\nmemory = \"1GiB\"\n[budget]"),
        ("[budget]", "[limits]\ncpus = 1.5\n[budget]"),
        ("[budget]", "[limits]\nfiles = 64\n[budget]"),
        ("word = \"x\"", "word = \"y\""),
        ("json = \"/csrf\"", "json = \"/c\""),
        ("json = \"/csrf\"", "header = \"/csrf\""),
        ("/login?user", "/signin?user"),
        ("{{ csrf }}", "{{ word }}"),
        ("[[login.step]]", "[[login.step]]\nmethod = \"POST\""),
        ("[[login.step]]", "[[login.step]]\nexpect.min_bytes = 1"),
        (
            "[[login.step]]",
            "[[login.step]]\nexpect.json = { \"/a\" = 1 }",
        ),
        ("[[endpoint]]", "[[endpoint]]\nexpect.json = { \"/a\" = 1 }"),
    ] {
        assert_ne!(of(from, to), same, "{to}");
    }
    assert_eq!(of("time = \"1h\"", "time = \"2h\""), same);
    let reach = "fixture = \"data\"\nmay_reach = [\"10.0.0.0/8\"]";
    assert_eq!(of("fixture = \"data\"", reach), same);
    std::fs::write(results.join("gunicorn.conf.py"), "1").unwrap();
    assert_eq!(of("", ""), same, "a result is no source");
    std::fs::write(folder.join("data/more/rows"), "2").unwrap();
    let other = of("", "");
    assert_ne!(other, same, "the fixture was changed");
    std::fs::write(folder.join("people.csv"), "user\nbob\n").unwrap();
    assert_ne!(of("", ""), other, "the data was changed");
}

#[test]
fn each_shape_of_load_is_another_study() {
    let folder = tempfile::tempdir().unwrap();
    let (folder, results) = (folder.path(), folder.path().join("results"));
    for name in ["app", "data"] {
        std::fs::create_dir(folder.join(name)).unwrap();
    }
    std::fs::write(folder.join("people.csv"), "user\nann\n").unwrap();
    let of = |from: &str, to: &str| identity(&grid(folder, from, to), &results).unwrap();
    let shapes = [
        "[load.open]\nrate = 20\narrivals = \"constant\"",
        "[load.open]\nrate = 20\nramp = \"5s\"",
        "[load.open]\nsteps = [{ rate = 20, for = \"9s\" }]",
        "[load.open]\nsteps = [{ rate = 20, for = \"8s\" }]",
        "[[load.open.group]]\nendpoints = [\"home\"]\nrate = 20",
        "[load.closed]\nusers = 20",
        "[load.closed]\nusers = 20\nloops = 9\nat_most = \"1m\"",
        "[load.closed]\nusers = 20\nloops = 8\nat_most = \"1m\"",
        "[load.closed]\nusers = 20\nloops = 9\nat_most = \"2m\"",
        "[load.closed]\nusers = 20\nthink = \"1s\"",
        "[load.closed]\nusers = 20\nthink = { mean = \"1s\" }",
        "[load.closed]\nusers = 20\nevery = \"1s\"",
        "[load.closed]\nsteps = [{ users = 20, for = \"9s\" }]",
        "[[load.closed.group]]\nendpoints = [\"home\"]\nusers = 20",
        "[load]\nconnections = { idle = \"5s\" }\n[load.open]\nrate = 20",
        "[load]\nconnections = { reconnect_every = 5 }\n[load.open]\nrate = 20",
    ];
    let mut all = vec![of("", "")];
    all.extend(
        shapes
            .iter()
            .map(|shape| of("[load.open]\nrate = 20", shape)),
    );
    all.sort();
    all.dedup();
    assert_eq!(all.len(), shapes.len() + 1, "each shape is another study");
}

#[test]
fn what_changes_a_service_changes_the_identity() {
    let folder = tempfile::tempdir().unwrap();
    let (folder, results) = (folder.path(), folder.path().join("results"));
    for name in ["app", "data", "db"] {
        std::fs::create_dir(folder.join(name)).unwrap();
    }
    std::fs::write(folder.join("people.csv"), "user\nann\n").unwrap();
    std::fs::write(folder.join("seed.sql"), "1").unwrap();
    let service = "[service.db]\nstart = \"serve {{ port }}\"\nsetup = [\"load seed.sql\"]\n";
    let of = |more: &str| {
        let text = format!("{service}{more}\n[server.demo]");
        identity(&grid(folder, "[server.demo]", &text), &results).unwrap()
    };
    let same = of("");
    assert_ne!(identity(&grid(folder, "", ""), &results).unwrap(), same);
    for more in [
        "ready = \"/health\"",
        "ready = [\"ask\"]",
        "stop = \"INT\"",
        "user = { when_root = \"nobody\" }",
        "cpus = [0]",
        "env = { A = \"1\" }",
        "[service.cache]\nstart = \"serve {{ port }}\"",
    ] {
        assert_ne!(of(more), same, "{more}");
    }
    assert_ne!(of("env = { A = \"1\" }"), of("env = { A = \"2\" }"));
    assert_eq!(of("may_reach = [\"10.0.0.0/8\"]"), same);
    std::fs::write(folder.join("seed.sql"), "2").unwrap();
    assert_ne!(of(""), same, "a file that a step names was changed");
}
