//! `[service.X]`: every key arrives, and what is left out has its default.

use std::path::PathBuf;

use autotune_model::{CpuSet, EnvValue, ServiceReady, ServiceUser};

use super::*;

#[test]
fn every_key_of_a_service_arrives() {
    let file = good(SERVICES);
    let [db, pool] = &file.services[..] else {
        panic!("{:?}", file.services);
    };
    assert_eq!((db.name.as_str(), pool.name.as_str()), ("db", "pool"));
    let start = ["postgres", "-D", "{{ run }}/data", "-p", "{{ port }}"];
    assert_eq!(db.start, start);
    let asked = ["pg_isready", "-h", "{{ host }}", "-p", "{{ port }}"];
    let asked = asked.map(str::to_owned).to_vec();
    assert_eq!(db.ready, ServiceReady::Command(asked));
    assert_eq!(db.stop, "INT");
    assert_eq!(db.user, ServiceUser::WhenRoot("postgres".to_owned()));
    assert_eq!(db.cpus, Some(CpuSet::new([0])));
    assert_eq!(db.dir, PathBuf::from("/grids/db"));
    assert_eq!(db.setup, [["initdb", "-D", "{{ cache }}/data"]]);
    assert_eq!(db.may_reach, ["10.0.0.5:5432"]);
    let password = EnvValue::FromEnv {
        name: "DB_PASSWORD".to_owned(),
        secret: true,
    };
    assert_eq!(db.env[1], ("PGPASSWORD".to_owned(), password));
    assert_eq!(pool.start[2], "{{ service.db.host }}:{{ service.db.port }}");
    assert_eq!(pool.ready, ServiceReady::Path("/health".to_owned()));
    let places = &file.places.services[0];
    let text = |place: &Option<std::ops::Range<usize>>| {
        place.clone().map(|place| SERVICES[place].to_owned())
    };
    assert_eq!(text(&places.cpus).as_deref(), Some("[0]"));
    assert_eq!(places.from_env[0].0, "DB_PASSWORD");
}

#[test]
fn what_is_left_out_has_its_default() {
    let text = LEAST.replace(
        "[server.g]",
        "[service.db]\nstart = \"redis --port {{ port }}\"\n[server.g]",
    );
    let file = good(&text);
    let db = &file.services[0];
    assert_eq!(db.ready, ServiceReady::Port);
    assert_eq!((db.stop.as_str(), &db.user), ("TERM", &ServiceUser::Own));
    assert_eq!((&db.cpus, &db.dir), (&None, &PathBuf::from("/grids")));
    assert_eq!(db.setup, Vec::<Vec<String>>::new());
    assert_eq!((&db.env, &db.may_reach), (&vec![], &vec![]));
}

#[test]
fn ready_is_a_command_or_a_path_and_a_user_holds_for_everybody_or_for_root() {
    let ready = |text: &str| {
        let ready = "ready = [\"pg_isready\", \"-h\", \"{{ host }}\", \"-p\", \"{{ port }}\"]";
        good(&edited(SERVICES, ready, text)).services[0]
            .ready
            .clone()
    };
    let words = |words: &[&str]| {
        let words = words.iter().map(|word| (*word).to_owned());
        ServiceReady::Command(words.collect())
    };
    assert_eq!(
        ready("ready = \"ask {{ port }}\""),
        words(&["ask", "{{ port }}"])
    );
    assert_eq!(ready("ready = [\"/bin/ask\"]"), words(&["/bin/ask"]));
    let path = ServiceReady::Path("/bin/ask".to_owned());
    assert_eq!(ready("ready = \"/bin/ask\""), path);
    let text = edited(SERVICES, "{ when_root = \"postgres\" }", "\"postgres\"");
    let user = &good(&text).services[0].user;
    assert_eq!(user, &ServiceUser::Always("postgres".to_owned()));
}

/// A service whose command tells that it is ready may listen wherever it likes.
#[test]
fn with_a_command_as_ready_the_port_needs_not_be_used() {
    let text = edited(SERVICES, " -p {{ port }}\"", " -k {{ run }}\"");
    assert_eq!(good(&text).services.len(), 2);
}
