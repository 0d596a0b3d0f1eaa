//! Kept connections with limits, paces, steps, ramps and groups, in simulated time.

use std::num::NonZeroU32;
use std::time::Duration;

use autotune_model::{
    Arrivals, Arriving, ConnectionPolicy, EndpointName, GeneratorVerdict, Group, Groups,
    KeepLimits, Levels, LoadShape, Pause, Rate, Step, Users,
};
use proptest::prelude::*;

use super::tests::{check_identity, closed, open};
use crate::plan::LoadPlan;
use crate::plan::tests::{endpoint, plan};
use crate::sim::{Asked, MS, Reply, Seen, Server, simulate};

const SECOND: u64 = 1000 * MS;

fn limited(answers: u32, idle_ms: u64) -> ConnectionPolicy {
    let answers = NonZeroU32::new(answers);
    let idle = (idle_ms > 0).then(|| Duration::from_millis(idle_ms));
    ConnectionPolicy::Limited(KeepLimits::new(answers, idle).unwrap())
}

fn answers_after(service_ns: u64) -> Server {
    Server::new(move |asked| Reply::good(asked.at_ns + service_ns))
}

/// How many requests came over each connection, in the order of connections.
fn carried(seen: &Seen) -> Vec<usize> {
    let of = |connection| {
        let asked = seen.asked.iter();
        asked.filter(|asked| asked.connection == connection).count()
    };
    (0..seen.connects).map(of).collect()
}

#[test]
fn a_kept_connection_is_closed_after_so_many_answers() {
    let mut plan = open(100.0, 1);
    plan.connections = limited(30, 0);
    let (record, seen) = simulate(&plan, answers_after(MS));
    assert_eq!(record.total().completed, 100);
    assert_eq!(carried(&seen), [30, 30, 30, 10]);
    // At once after its last answer, by us.
    assert_eq!(seen.closed_ns[&0], 291 * MS);
    assert_eq!(record.generator.retries, 0);
    // As a proxy does it: nothing of it is said in the request.
    assert_eq!(seen.asked[29].text, seen.asked[28].text);

    let mut plan = closed(2, 0);
    plan.connections = limited(7, 0);
    let (record, seen) = simulate(&plan, answers_after(20 * MS));
    let full = carried(&seen).iter().filter(|count| **count == 7).count();
    assert_eq!(full, seen.connects - 2);
    assert_eq!(record.total().completed, seen.asked.len() as u64);
}

#[test]
fn a_connection_that_is_unused_for_so_long_is_closed_then() {
    // Five at once, then one at a time: four connections have nothing to do.
    let mut plan = open(10.0, 2);
    plan.connections = limited(0, 450);
    let slow_at_first = |asked: &Asked| match asked.at_ns {
        at if at < 450 * MS => Reply::good(500 * MS),
        at => Reply::good(at + MS),
    };
    let (record, seen) = simulate(&plan, Server::new(slow_at_first));
    assert_eq!(record.total().completed, 20);
    assert_eq!(seen.connects, 5);
    let shut = seen.closed_ns.values().filter(|at| **at == 950 * MS);
    assert_eq!(shut.count(), 4, "{:?}", seen.closed_ns);

    // Users who think for longer than that come on a new connection each time.
    for (idle_ms, connects) in [(90, 10), (110, 1)] {
        let mut plan = closed(1, 100);
        plan.connections = limited(0, idle_ms);
        let (record, seen) = simulate(&plan, answers_after(MS));
        assert_eq!((record.total().completed, seen.connects), (10, connects));
    }
}

#[test]
fn a_request_that_is_taken_up_late_meets_what_was_there_when_it_was_due() {
    // The second one is taken up 20 ms late: 99 ms after the first answer when it is
    // due, 119 ms when it is sent.
    let conditions = crate::sim::Conditions {
        oversleep_ns: 30 * MS,
        ..crate::sim::QUIET
    };
    let connects = |idle_ms| {
        let mut plan = open(10.0, 1);
        plan.connections = limited(0, idle_ms);
        let (record, seen) = crate::sim::simulate_under(&plan, answers_after(MS), conditions);
        assert_eq!(record.total().completed, 10);
        seen.connects
    };
    assert_eq!(connects(110), 1);
    assert!(connects(90) > 1);
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(48))]

    /// Whatever the limits, no request fails by our own closing, and no
    /// connection carries more than it may.
    #[test]
    fn no_request_fails_by_our_own_closing(
        answers in 1u32..5,
        idle_ms in 0u64..40,
        users in 0u32..4,
        services in prop::collection::vec(0u64..60, 1..20),
    ) {
        let mut plan = if users > 0 { closed(users, 13) } else { open(80.0, 1) };
        plan.connections = limited(answers, idle_ms);
        let mut services = services.into_iter().cycle();
        let serve = move |asked: &Asked| Reply::good(asked.at_ns + services.next().unwrap() * MS);
        let (record, seen) = simulate(&plan, Server::new(serve));
        let total = record.total();
        prop_assert_eq!(total.completed, total.scheduled);
        prop_assert_eq!(record.generator.retries, 0);
        prop_assert!(carried(&seen).iter().all(|count| *count <= answers as usize));
    }
}

fn users(count: Levels<u32>, pause: Pause) -> LoadPlan {
    LoadPlan {
        shape: LoadShape::Closed(Groups::one(Users {
            count,
            pause,
            loops: None,
        })),
        ..plan()
    }
}

fn steps<L>(steps: impl IntoIterator<Item = (L, u64)>) -> Levels<L> {
    let steps = steps.into_iter().map(|(level, seconds)| Step {
        level,
        length: Duration::from_secs(seconds),
    });
    Levels::Steps(steps.collect())
}

#[test]
fn a_user_with_a_pace_asks_that_often_and_response_runs_from_the_due_time() {
    let every = Pause::Every(Duration::from_millis(200));
    let mut plan = users(Levels::Constant(1), every);
    plan.length = Duration::from_secs(2);
    let slow_once = |asked: &Asked| match asked.at_ns {
        at if (400 * MS..600 * MS).contains(&at) => Reply::good(at + 500 * MS),
        at => Reply::good(at + 50 * MS),
    };
    let (record, seen) = simulate(&plan, Server::new(slow_once));
    check_identity(&record);
    let at: Vec<u64> = seen.asked.iter().map(|asked| asked.at_ns / MS).collect();
    // After an answer that took longer the next is due at once, then on from there.
    assert_eq!(at, [0, 200, 400, 900, 1100, 1300, 1500, 1700, 1900]);
    assert_eq!(record.generator.verdict, GeneratorVerdict::Ok);
}

#[test]
fn with_a_pace_the_wait_before_sending_is_in_response() {
    // The machine is late each time, and no think time hides that.
    let late = |pause| {
        let mut plan = users(Levels::Constant(1), pause);
        plan.length = Duration::from_secs(2);
        let conditions = crate::sim::Conditions {
            oversleep_ns: 30 * MS,
            ..crate::sim::QUIET
        };
        let (record, _) = crate::sim::simulate_under(&plan, answers_after(5 * MS), conditions);
        let endpoint = &record.endpoints[0];
        let median = |histogram: &autotune_model::Histogram| histogram.quantile_us(0.5).unwrap();
        (
            median(&endpoint.response) / 1000,
            median(&endpoint.service) / 1000,
        )
    };
    let time = Duration::from_millis(200);
    let (response, service) = late(Pause::Every(time));
    assert!(response >= 2 * service, "{response} {service}");
    let (response, service) = late(Pause::Think(autotune_model::Think::Fixed(time)));
    assert_eq!(response, service);
}

#[test]
fn users_who_stay_keep_their_connections_over_steps_and_who_leaves_closes_one() {
    let every = Pause::Every(Duration::from_millis(100));
    let mut plan = users(steps([(2, 4), (5, 4), (1, 4)]), every);
    plan.length = Duration::from_secs(12);
    let (record, seen) = simulate(&plan, answers_after(10 * MS));
    check_identity(&record);
    assert_eq!(record.total().completed, seen.asked.len() as u64);
    assert_eq!(seen.connects, 5);
    assert_eq!(record.generator.connections_limit, 5);
    // Four users leave with the last answer of the second step; one stays.
    let gone = |at: &&u64| (7 * SECOND..=8 * SECOND).contains(at);
    let gone = seen.closed_ns.values().filter(gone);
    assert_eq!(gone.count(), 4, "{:?}", seen.closed_ns);
    let rate = |from: u64, to: u64| {
        let within = |asked: &&Asked| (from * SECOND..to * SECOND).contains(&asked.at_ns);
        seen.asked.iter().filter(within).count() as u64 / (to - from)
    };
    assert_eq!((rate(1, 4), rate(5, 8), rate(8, 12)), (20, 50, 10));
    assert_eq!(record.generator.verdict, GeneratorVerdict::Ok);
}

#[test]
fn an_open_load_climbs_and_changes_as_planned() {
    let rate = |per_second| Rate::per_second(per_second).unwrap();
    let plan = LoadPlan {
        shape: LoadShape::Open(Groups {
            groups: vec![Group {
                endpoints: None,
                who: Arriving {
                    rate: steps([(rate(100.0), 6), (rate(20.0), 4)]),
                    arrivals: Arrivals::Constant,
                },
            }],
            ramp: Duration::from_secs(2),
        }),
        length: Duration::from_secs(10),
        pool_limit: 100,
        ..plan()
    };
    let (record, seen) = simulate(&plan, answers_after(MS));
    check_identity(&record);
    let each: Vec<u64> = (0u32..10)
        .map(|second| {
            let mine = record.seconds.iter().filter(|one| one.second == second);
            mine.map(|one| one.accounting.scheduled).sum()
        })
        .collect();
    assert_eq!(each, [25, 75, 100, 100, 100, 100, 80, 40, 20, 20]);
    assert_eq!(seen.asked.len(), 660);
}

#[test]
fn groups_ask_for_their_own_endpoints_and_response_is_by_their_pause() {
    let mut plan = plan();
    plan.endpoints = vec![endpoint("a"), endpoint("b")];
    plan.length = Duration::from_secs(4);
    let group = |name: &str, count, pause| Group {
        endpoints: Some(vec![EndpointName::new(name)]),
        who: Users {
            count: Levels::Constant(count),
            pause,
            loops: None,
        },
    };
    let time = Duration::from_millis(200);
    let think = Pause::Think(autotune_model::Think::Fixed(time));
    plan.shape = LoadShape::Closed(Groups {
        groups: vec![group("a", 3, Pause::Every(time)), group("b", 2, think)],
        ramp: Duration::ZERO,
    });
    let (record, seen) = simulate(&plan, answers_after(50 * MS));
    check_identity(&record);
    let completed: Vec<u64> = record
        .endpoints
        .iter()
        .map(|one| one.total.completed)
        .collect();
    // Every 200 ms, and every 250 ms: 4 s of each.
    assert_eq!(completed, [60, 32]);
    assert_eq!(seen.connects, 5);
    assert_eq!(record.generator.connections_limit, 5);
}
