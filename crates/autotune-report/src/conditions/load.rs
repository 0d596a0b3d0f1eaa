//! The load and its connections in words.

use std::time::Duration;

use autotune_model::{
    Arrivals, Arriving, ConnectionPolicy, Group, Groups, Levels, LoadShape, Pause, Think, Users,
    units::trim,
};

use crate::format::{count, list, span};

/// `open load of 90 requests/s`, `closed load of 50 to 130 users in 5 steps with
/// 10 s think time`.
pub fn load_in_words(shape: &LoadShape) -> String {
    match shape {
        LoadShape::Open(open) => format!("open load of {}", all(open, arriving)),
        LoadShape::Closed(closed) => {
            let at_most = shape.at_most().map(time);
            let at_most = at_most.map_or_else(String::new, |time| format!(", for at most {time}"));
            format!("closed load of {}{at_most}", all(closed, users))
        }
    }
}

/// `keep-alive connections`, or up to when they are kept.
pub fn connections_in_words(policy: ConnectionPolicy) -> String {
    match policy {
        ConnectionPolicy::KeepAlive => "keep-alive connections".to_owned(),
        ConnectionPolicy::PerRequest => "a connection for each request".to_owned(),
        ConnectionPolicy::Limited(limits) => {
            let answers = limits
                .answers()
                .map(|answers| format!("for {}", count(u64::from(answers.get()), "request")));
            let idle = limits
                .idle()
                .map(|idle| format!("until unused for {}", time(idle)));
            let both: Vec<String> = answers.into_iter().chain(idle).collect();
            format!("connections kept {}", both.join(" or "))
        }
    }
}

fn all<G>(groups: &Groups<G>, words: impl Fn(&G) -> (String, bool)) -> String {
    let mut has_steps = false;
    let mut one = |group: &Group<G>| {
        let (text, steps) = words(&group.who);
        has_steps |= steps;
        match &group.endpoints {
            None => text,
            Some(names) => {
                let names: Vec<&str> = names.iter().map(|name| name.as_str()).collect();
                format!("{text} for {}", list(&names))
            }
        }
    };
    let each: Vec<String> = groups.groups.iter().map(&mut one).collect();
    let text = each.join("; ");
    match (groups.ramp, has_steps) {
        (Duration::ZERO, _) => text,
        (ramp, false) => format!("{text}, reached within {}", time(ramp)),
        (ramp, true) => format!("{text}, each reached within {}", time(ramp)),
    }
}

fn arriving(who: &Arriving) -> (String, bool) {
    let spread = match who.arrivals {
        Arrivals::Poisson => "",
        Arrivals::Constant => " at even intervals",
    };
    let (levels, steps) = levels(&who.rate, |rate| rate.get());
    let noun = if levels == "1" { "request" } else { "requests" };
    let steps_words = in_steps(steps);
    (
        format!("{levels} {noun}/s{steps_words}{spread}"),
        steps.is_some(),
    )
}

fn users(who: &Users) -> (String, bool) {
    let (levels, steps) = levels(&who.count, f64::from);
    let noun = if levels == "1" { "user" } else { "users" };
    let steps_words = in_steps(steps);
    let loops = who.loops.map_or_else(String::new, |loops| {
        let each = u64::from(loops.each.get());
        format!(", {} each,", count(each, "loop"))
    });
    (
        format!("{levels} {noun}{loops}{steps_words} {}", pause(who.pause)),
        steps.is_some(),
    )
}

/// `90`, or `50 to 130` and in how many steps.
fn levels<L: Copy>(levels: &Levels<L>, number: impl Fn(L) -> f64) -> (String, Option<usize>) {
    let numbers: Vec<f64> = levels.all().map(number).collect();
    let low = numbers.iter().copied().fold(f64::INFINITY, f64::min);
    let high = numbers.iter().copied().fold(0.0, f64::max);
    let text = if low < high {
        format!("{} to {}", trim(low), trim(high))
    } else {
        trim(high)
    };
    (text, levels.length().map(|_| numbers.len()))
}

fn in_steps(steps: Option<usize>) -> String {
    steps.map_or_else(String::new, |steps| {
        format!(" in {}", count(steps as u64, "step"))
    })
}

fn pause(pause: Pause) -> String {
    match pause {
        Pause::Think(Think::Fixed(Duration::ZERO)) => "without think time".to_owned(),
        Pause::Think(Think::Fixed(think)) => format!("with {} think time", time(think)),
        Pause::Think(Think::Uniform { from, to }) => {
            format!("with {} to {} think time", time(from), time(to))
        }
        Pause::Think(Think::Exponential { mean }) => {
            format!("with {} mean think time", time(mean))
        }
        Pause::Every(pace) => format!("asking every {}", time(pace)),
    }
}

/// A time that the grid file gives, exactly where it is below a minute.
fn time(time: Duration) -> String {
    let seconds = time.as_secs_f64();
    if seconds < 1.0 {
        format!("{} ms", trim(seconds * 1e3))
    } else if seconds < 60.0 {
        format!("{} s", trim(seconds))
    } else {
        span(time)
    }
}

#[cfg(test)]
mod tests {
    use std::num::NonZeroU32;

    use autotune_model::{EndpointName, KeepLimits, Loops, Rate, Step};

    use super::*;

    fn seconds(seconds: u64) -> Duration {
        Duration::from_secs(seconds)
    }

    fn steps<L>(levels: impl IntoIterator<Item = L>) -> Levels<L> {
        let step = |level| Step {
            level,
            length: seconds(60),
        };
        Levels::Steps(levels.into_iter().map(step).collect())
    }

    #[test]
    fn every_shape_has_words_of_its_own() {
        let check = |shape: LoadShape, expected: &str| assert_eq!(load_in_words(&shape), expected);
        let rate = |per_second| Rate::per_second(per_second).unwrap();
        let arriving = |rate| Arriving {
            rate,
            arrivals: Arrivals::Constant,
        };
        check(
            LoadShape::open(rate(90.5), Arrivals::Poisson),
            "open load of 90.5 requests/s",
        );
        let climbing = |ramp, who| {
            LoadShape::Open(Groups {
                ramp: seconds(ramp),
                ..Groups::one(who)
            })
        };
        check(
            climbing(30, arriving(Levels::Constant(rate(9.0)))),
            "open load of 9 requests/s at even intervals, reached within 30 s",
        );
        check(
            climbing(5, arriving(steps([70.0, 50.0, 130.0].map(rate)))),
            "open load of 50 to 130 requests/s in 3 steps at even intervals, each reached within \
             5 s",
        );
        let group = |names: &[&str], per_second| Group {
            endpoints: Some(names.iter().map(|name| EndpointName::new(*name)).collect()),
            who: arriving(Levels::Constant(rate(per_second))),
        };
        check(
            LoadShape::Open(Groups {
                groups: vec![group(&["a", "b"], 30.0), group(&["c"], 1.0)],
                ramp: Duration::ZERO,
            }),
            "open load of 30 requests/s at even intervals for a and b; 1 request/s at even \
             intervals for c",
        );
        let users = |count, pause, loops| {
            LoadShape::Closed(Groups::one(Users {
                count,
                pause,
                loops,
            }))
        };
        let closed = |count, pause| users(count, pause, None);
        let constant = Levels::Constant(5);
        let think = |think| closed(constant.clone(), Pause::Think(think));
        check(
            LoadShape::closed(1, Duration::ZERO),
            "closed load of 1 user without think time",
        );
        check(
            closed(
                steps([50, 70, 90, 110, 130]),
                Pause::Every(Duration::from_millis(12_500)),
            ),
            "closed load of 50 to 130 users in 5 steps asking every 12.5 s",
        );
        let (from, to) = (Duration::from_millis(250), seconds(3));
        check(
            think(Think::Uniform { from, to }),
            "closed load of 5 users with 250 ms to 3 s think time",
        );
        let mean = seconds(2);
        check(
            think(Think::Exponential { mean }),
            "closed load of 5 users with 2 s mean think time",
        );
    }

    #[test]
    fn how_often_users_ask_is_said() {
        let check = |users: u32, each: u32, ramp: u64, expected: &str| {
            let who = Users {
                count: Levels::Constant(users),
                pause: Pause::Every(seconds(2)),
                loops: NonZeroU32::new(each).map(|each| Loops {
                    each,
                    at_most: seconds(600),
                }),
            };
            let shape = LoadShape::Closed(Groups {
                ramp: seconds(ramp),
                ..Groups::one(who)
            });
            assert_eq!(load_in_words(&shape), expected);
        };
        check(
            25,
            100,
            0,
            "closed load of 25 users, 100 loops each, asking every 2 s, for at most 10 min 0 s",
        );
        check(
            1,
            1,
            5,
            "closed load of 1 user, 1 loop each, asking every 2 s, reached within 5 s, for at most \
             10 min 0 s",
        );
    }

    #[test]
    fn limits_of_connections_are_said() {
        let check = |answers, idle: u64, expected: &str| {
            let idle = (idle > 0).then(|| seconds(idle));
            let limits = KeepLimits::new(NonZeroU32::new(answers), idle).unwrap();
            let said = connections_in_words(ConnectionPolicy::Limited(limits));
            assert_eq!(said, expected);
        };
        check(1000, 0, "connections kept for 1000 requests");
        check(0, 60, "connections kept until unused for 1 min 0 s");
        check(
            1,
            5,
            "connections kept for 1 request or until unused for 5 s",
        );
    }
}
