//! `[load]`: shapes and limits of connections that a grid file can give.

use std::num::NonZeroU32;
use std::time::Duration;

use autotune_model::{
    Arrivals, Arriving, ConnectionPolicy, EndpointName, Group, Groups, KeepLimits, Levels,
    LoadShape, Loops, Metric, Pause, Rate, Step, Think, Users,
};

use super::*;

/// The load of the least grid file, with this in the place of its own.
fn loaded(text: &str) -> GridFile {
    let text = LEAST.replace("[load.closed]\nusers = 1", text);
    assert_eq!(schema::objections(&text), Vec::<String>::new(), "{text}");
    read_text(&text).unwrap_or_else(|faults| panic!("{faults:?}\n{text}"))
}

fn seconds(seconds: u64) -> Duration {
    Duration::from_secs(seconds)
}

fn rate(per_second: f64) -> Rate {
    Rate::per_second(per_second).unwrap()
}

#[test]
fn connections_have_one_limit_or_both() {
    let check = |text: &str, answers: u32, idle: Option<u64>| {
        let load = format!("[load]\nconnections = {text}\n[load.closed]\nusers = 1");
        let limits = KeepLimits::new(NonZeroU32::new(answers), idle.map(seconds));
        let expected = ConnectionPolicy::Limited(limits.unwrap());
        assert_eq!(loaded(&load).connections, expected);
    };
    check("{ reconnect_every = 100 }", 100, None);
    check("{ idle = \"1m\" }", 0, Some(60));
    check("{ reconnect_every = 1, idle = \"60s\" }", 1, Some(60));
}

#[test]
fn a_user_thinks_or_keeps_a_pace() {
    let check = |text: &str, pause: Pause| {
        let file = loaded(&format!("[load.closed]\nusers = 3\n{text}"));
        let users = Users {
            count: Levels::Constant(3),
            pause,
            loops: None,
        };
        assert_eq!(file.load, LoadShape::Closed(Groups::one(users)));
    };
    let thinks = |think: Think| Pause::Think(think);
    check("", thinks(Think::Fixed(seconds(0))));
    check("think = \"2s\"", thinks(Think::Fixed(seconds(2))));
    let (from, to) = (seconds(1), seconds(3));
    check(
        "think = { from = \"1s\", to = \"3s\" }",
        thinks(Think::Uniform { from, to }),
    );
    let mean = seconds(2);
    check(
        "think = { mean = \"2s\" }",
        thinks(Think::Exponential { mean }),
    );
    check("every = \"10s\"", Pause::Every(seconds(10)));
}

#[test]
fn steps_stand_in_place_of_one_level_and_take_a_ramp() {
    fn step<L>(level: L, length: u64) -> Step<L> {
        Step {
            level,
            length: seconds(length),
        }
    }
    let file = loaded(
        "[load.open]\nramp = \"30s\"\nsteps = [{ rate = 50, for = \"3m\" }, { rate = 70.5, for = \
         \"1m\" }]",
    );
    let expected = LoadShape::Open(Groups {
        ramp: seconds(30),
        ..Groups::one(Arriving {
            rate: Levels::Steps(vec![step(rate(50.0), 180), step(rate(70.5), 60)]),
            arrivals: Arrivals::Poisson,
        })
    });
    assert_eq!(file.load, expected);
    let file =
        loaded("[load.closed]\nevery = \"1s\"\n[[load.closed.steps]]\nusers = 5\nfor = \"3m\"");
    let expected = LoadShape::Closed(Groups::one(Users {
        count: Levels::Steps(vec![step(5, 180)]),
        pause: Pause::Every(seconds(1)),
        loops: None,
    }));
    assert_eq!(file.load, expected);
    let file = loaded("[load.closed]\nusers = 1\nramp = \"1m\"");
    assert_eq!(file.load.ramp(), seconds(60));
    // The shortest there are.
    let file = loaded(
        "[load.open]\nramp = \"500ms\"\nsteps = [{ rate = 5, for = \"6s\" }, { rate = 7, for = \
         \"6s\" }]",
    );
    assert_eq!(file.load.fixed_length(), Some(seconds(12)));
}

#[test]
fn groups_share_the_endpoints_among_them() {
    let two = "[[endpoint]]\nname = \"other\"\npath = \"/other\"\n";
    let first = EndpointName::new("home");
    let group = |name: EndpointName, who: Arriving| Group {
        endpoints: Some(vec![name]),
        who,
    };
    let file = loaded(&format!(
        "{two}[[load.open.group]]\nendpoints = [\"other\"]\nrate = 3\narrivals = \"constant\"\n\
         [[load.open.group]]\nendpoints = [\"home\"]\nrate = 4"
    ));
    let expected = LoadShape::Open(Groups {
        groups: vec![
            group(
                EndpointName::new("other"),
                Arriving {
                    rate: Levels::Constant(rate(3.0)),
                    arrivals: Arrivals::Constant,
                },
            ),
            group(
                first.clone(),
                Arriving {
                    rate: Levels::Constant(rate(4.0)),
                    arrivals: Arrivals::Poisson,
                },
            ),
        ],
        ramp: Duration::ZERO,
    });
    assert_eq!(file.load, expected);
    let file = loaded(&format!(
        "{two}[load.closed]\nramp = \"2s\"\n[[load.closed.group]]\nendpoints = [\"home\"]\nusers = 4\n\
         every = \"1s\"\n[[load.closed.group]]\nendpoints = [\"other\"]\nsteps = [{{ users = 7, for = \
         \"9s\" }}]"
    ));
    let group = |name: EndpointName, count, pause| Group {
        endpoints: Some(vec![name]),
        who: Users {
            count,
            pause,
            loops: None,
        },
    };
    let step = Step {
        level: 7,
        length: seconds(9),
    };
    let expected = LoadShape::Closed(Groups {
        groups: vec![
            group(first, Levels::Constant(4), Pause::Every(seconds(1))),
            group(
                EndpointName::new("other"),
                Levels::Steps(vec![step]),
                Pause::Think(Think::Fixed(Duration::ZERO)),
            ),
        ],
        ramp: seconds(2),
    });
    assert_eq!(file.load, expected);
    assert_eq!(file.load.fixed_length(), Some(seconds(9)));
}

#[test]
fn users_ask_a_number_of_times_in_a_time_that_is_bounded() {
    let loops = |each, at_most| {
        let each = NonZeroU32::new(each).unwrap();
        Some(Loops {
            each,
            at_most: seconds(at_most),
        })
    };
    let file = loaded(
        "[load.closed]\nusers = 3\nevery = \"1s\"\nramp = \"2s\"\nloops = 100\nat_most = \"10m\"",
    );
    let users = |count, pause, loops| Users {
        count: Levels::Constant(count),
        pause,
        loops,
    };
    let expected = LoadShape::Closed(Groups {
        ramp: seconds(2),
        ..Groups::one(users(3, Pause::Every(seconds(1)), loops(100, 600)))
    });
    assert_eq!(file.load, expected);
    assert_eq!(file.load.at_most(), Some(seconds(600)));
    assert_eq!(file.load.unseen_length(), Some((seconds(600), seconds(3))));
    assert_eq!(file.load.fixed_length(), None);

    let file = loaded(
        "[[endpoint]]\nname = \"other\"\npath = \"/other\"\n[load.closed]\nat_most = \"1m\"\n\
         [[load.closed.group]]\nendpoints = [\"home\"]\nusers = 4\nloops = 7\n\
         [[load.closed.group]]\nendpoints = [\"other\"]\nusers = 1\nloops = 9",
    );
    let group = |name, who| Group {
        endpoints: Some(vec![EndpointName::new(name)]),
        who,
    };
    let at_once = Pause::Think(Think::Fixed(Duration::ZERO));
    let expected = LoadShape::Closed(Groups {
        groups: vec![
            group("home", users(4, at_once, loops(7, 60))),
            group("other", users(1, at_once, loops(9, 60))),
        ],
        ramp: Duration::ZERO,
    });
    assert_eq!(file.load, expected);
    // Of such a load the total time can be what shall be small.
    let file = loaded(
        "[load.closed]\nusers = 3\nloops = 9\nat_most = \"1m\"\n[objective]\nminimize = \"duration\"",
    );
    assert_eq!(file.objective.minimize, Metric::Duration);
}
