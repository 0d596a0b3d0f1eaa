//! Users with a fixed number of requests, in simulated time.

use std::num::NonZeroU32;
use std::time::Duration;

use autotune_model::{
    EndpointName, GeneratorVerdict, Group, Groups, LoadRecord, LoadShape, Loops, Pause, Think,
    Users,
};
use autotune_model::{FailureClass, Levels};
use proptest::prelude::*;

use super::tests::check_identity;
use crate::plan::LoadPlan;
use crate::plan::tests::{endpoint, plan};
use crate::sim::{Asked, Conditions, MS, QUIET, Reply, Seen, Server, simulate, simulate_under};

const AT_MOST: Duration = Duration::from_secs(60);

fn ms(ms: u64) -> Duration {
    Duration::from_millis(ms)
}

fn users(count: u32, pause: Pause, each: u32) -> Users {
    Users {
        count: Levels::Constant(count),
        pause,
        loops: Some(Loops {
            each: NonZeroU32::new(each).unwrap(),
            at_most: AT_MOST,
        }),
    }
}

fn loops(users: Users) -> LoadPlan {
    LoadPlan {
        shape: LoadShape::Closed(Groups::one(users)),
        length: AT_MOST,
        ..plan()
    }
}

fn of_groups(groups: [(&str, Users); 2]) -> LoadPlan {
    let groups = groups.into_iter().map(|(name, who)| Group {
        endpoints: Some(vec![EndpointName::new(name)]),
        who,
    });
    LoadPlan {
        endpoints: vec![endpoint("a"), endpoint("b")],
        shape: LoadShape::Closed(Groups {
            groups: groups.collect(),
            ramp: Duration::ZERO,
        }),
        length: AT_MOST,
        ..plan()
    }
}

fn answers_after(service_ns: u64) -> Server {
    Server::new(move |asked| Reply::good(asked.at_ns + service_ns))
}

fn check_whole(record: &LoadRecord, seen: &Seen, requests: u64) {
    check_identity(record);
    assert_eq!(record.total().scheduled, requests);
    assert_eq!(seen.asked.len() as u64, requests);
    assert_eq!(seen.users_left, 0);
    assert_eq!(record.generator.outstanding_at_end, 0);
    assert_eq!(record.generator.verdict, GeneratorVerdict::Ok);
}

#[test]
fn the_load_ends_with_the_last_answer() {
    let think = Pause::Think(Think::Fixed(ms(100)));
    let (record, seen) = simulate(&loops(users(3, think, 20)), answers_after(50 * MS));
    check_whole(&record, &seen, 60);
    // They come within the think time, 33 ms apart, and need 20 answers and 19 pauses.
    let last = 2 * (100 * MS / 3) + 20 * 50 * MS + 19 * 100 * MS;
    let off = (record.length.as_nanos() as u64).abs_diff(last);
    assert!(off < 2 * MS, "{:?}", record.length);
    assert_eq!(record.generator.wall, record.length);
    assert_eq!(record.outstanding.len(), 3);
    // Who is done keeps no connection.
    assert_eq!((seen.connects, seen.closed_ns.len()), (3, 3));

    let every = Pause::Every(ms(200));
    let (record, seen) = simulate(&loops(users(2, every, 11)), answers_after(50 * MS));
    check_whole(&record, &seen, 22);
    assert_eq!(record.length, ms(100 + 10 * 200 + 50));
}

#[test]
fn the_window_is_that_in_which_all_were_running() {
    let at_once = Pause::Think(Think::Fixed(ms(100)));
    let mut plan = of_groups([("a", users(1, at_once, 30)), ("b", users(1, at_once, 100))]);
    plan.warm_up = Duration::from_secs(1);
    // Slow once the first is done: none of that is in the window.
    let serve = |asked: &Asked| match asked.at_ns {
        at if at < 6_000 * MS => Reply::good(at + 100 * MS),
        at => Reply::good(at + 500 * MS),
    };
    let (record, seen) = simulate(&plan, Server::new(serve));
    check_whole(&record, &seen, 130);
    let [a, b] = &record.endpoints[..] else {
        panic!("two endpoints")
    };
    assert_eq!((a.total.completed, b.total.completed), (30, 100));
    // 30 answers and 29 pauses are 5.9 s; a request each 200 ms from 1 s on.
    assert_eq!((a.window.completed, b.window.completed), (25, 25));
    let slowest = b.response.quantile_us(1.0).unwrap();
    assert!((99_000..102_000).contains(&slowest), "{slowest}");
    assert!(record.length > Duration::from_secs(40));
    let in_seconds: u64 = record
        .seconds
        .iter()
        .map(|one| one.accounting.completed)
        .sum();
    assert_eq!(in_seconds, 130);
}

#[test]
fn who_is_not_done_in_time_is_counted_and_what_is_open_times_out() {
    let mut who = users(4, Pause::Think(Think::Fixed(Duration::ZERO)), 10);
    let short = Duration::from_secs(2);
    who.loops = who.loops.map(|loops| Loops {
        at_most: short,
        ..loops
    });
    let mut plan = loops(who);
    plan.length = short;
    // The second user has four answers and no further one, on any connection.
    let serve = |asked: &Asked| match asked.connection {
        0 | 2 | 3 => Reply::good(asked.at_ns + 100 * MS),
        _ if asked.at_ns < 400 * MS => Reply::good(asked.at_ns + 100 * MS),
        _ => Reply::default(),
    };
    let (record, seen) = simulate(&plan, Server::new(serve));
    check_identity(&record);
    assert_eq!(seen.users_left, 1);
    assert_eq!(record.length, short);
    let total = record.total();
    // The last one was open at the end.
    assert_eq!((total.completed, total.timed_out), (34, 2));
    assert_eq!(record.generator.outstanding_at_end, 1);
    let failures = &record.endpoints[0].failures;
    assert_eq!(failures[&FailureClass::ReadTimeout], total.timed_out);
}

#[test]
fn a_failed_request_is_one_of_those_that_a_user_asks() {
    let mut number = 0;
    let serve = move |asked: &Asked| {
        number += 1;
        let text = match number % 3 {
            0 => "HTTP/1.1 500 Oh\r\nContent-Length: 0\r\n\r\n",
            _ => "HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n",
        };
        Reply {
            bytes: text.as_bytes().to_vec(),
            ..Reply::good(asked.at_ns + 10 * MS)
        }
    };
    let every = Pause::Every(ms(50));
    let (record, seen) = simulate(&loops(users(2, every, 30)), Server::new(serve));
    check_whole(&record, &seen, 60);
    assert_eq!((record.total().completed, record.total().failed), (40, 20));
}

#[test]
fn a_stop_ends_it_where_it_is() {
    let think = Pause::Think(Think::Fixed(ms(100)));
    let conditions = Conditions {
        stop_ns: 500 * MS,
        ..QUIET
    };
    let plan = loops(users(3, think, 20));
    let (record, seen) = simulate_under(&plan, answers_after(50 * MS), conditions);
    check_identity(&record);
    assert_eq!(seen.users_left, 3);
    assert!(record.length < ms(600), "{:?}", record.length);
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(48))]

    /// Whatever the groups and the answers, everybody asks as often as the load
    /// says, and the window is never more than the whole.
    #[test]
    fn everybody_asks_as_often_as_the_load_says(
        counts in (1u32..4, 1u32..4),
        each in (1u32..40, 1u32..40),
        pace in any::<bool>(),
        services in prop::collection::vec(1u64..120, 1..20),
    ) {
        let pause = if pace { Pause::Every(ms(70)) } else { Pause::Think(Think::Fixed(ms(13))) };
        let plan = of_groups([("a", users(counts.0, pause, each.0)), ("b", users(counts.1, pause, each.1))]);
        let mut services = services.into_iter().cycle();
        let serve = move |asked: &Asked| Reply::good(asked.at_ns + services.next().unwrap() * MS);
        let (record, seen) = simulate(&plan, Server::new(serve));
        check_identity(&record);
        let completed: Vec<u64> = record.endpoints.iter().map(|one| one.total.completed).collect();
        let expected = [counts.0 * each.0, counts.1 * each.1].map(u64::from);
        prop_assert_eq!(completed, expected);
        prop_assert_eq!(seen.users_left, 0);
        for endpoint in &record.endpoints {
            prop_assert!(endpoint.window.scheduled <= endpoint.total.scheduled);
            prop_assert!(endpoint.window.adds_up());
            prop_assert_eq!(endpoint.response.len(), endpoint.window.completed);
        }
    }
}
