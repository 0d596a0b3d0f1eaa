//! The dispatcher in simulated time.

use std::collections::BTreeMap;
use std::io::ErrorKind;
use std::time::Duration;

use autotune_model::{
    Accounting, Arrivals, ConnectionPolicy, FailureClass, GeneratorVerdict, Histogram, LoadRecord,
    LoadShape, Method, Rate,
};

use crate::plan::LoadPlan;
use crate::plan::tests::{endpoint, plan};
use crate::sim::{Asked, Conditions, Connect, MS, QUIET, Reply, Server, simulate, simulate_under};

const SECOND: u64 = 1000 * MS;

pub(super) fn open(rate: f64, seconds: u64) -> LoadPlan {
    let shape = LoadShape::open(Rate::per_second(rate).unwrap(), Arrivals::Constant);
    LoadPlan {
        shape,
        length: Duration::from_secs(seconds),
        pool_limit: 1000,
        ..plan()
    }
}

pub(super) fn closed(count: u32, think_ms: u64) -> LoadPlan {
    let think = Duration::from_millis(think_ms);
    LoadPlan {
        shape: LoadShape::closed(count, think),
        ..plan()
    }
}

/// Answers each request after so long.
fn answers_after(service_ns: u64) -> Server {
    Server::new(move |asked| Reply::good(asked.at_ns + service_ns))
}

pub(super) fn check_identity(record: &LoadRecord) {
    for endpoint in &record.endpoints {
        assert!(endpoint.total.adds_up(), "{:?}", endpoint.total);
        assert_eq!(
            endpoint.failures.values().sum::<u64>(),
            endpoint.total.not_completed()
        );
    }
    assert!(
        record
            .seconds
            .iter()
            .all(|second| second.accounting.adds_up())
    );
}

/// Where the requests went, and every class of failure there was.
fn check(record: &LoadRecord, total: Accounting, failures: &[(FailureClass, u64)]) {
    check_identity(record);
    assert_eq!(record.total(), total);
    let mut seen = BTreeMap::new();
    for (class, count) in record
        .endpoints
        .iter()
        .flat_map(|endpoint| &endpoint.failures)
    {
        *seen.entry(*class).or_insert(0) += count;
    }
    assert_eq!(seen, failures.iter().copied().collect());
}

fn completed(count: u64) -> Accounting {
    Accounting {
        scheduled: count,
        completed: count,
        ..Accounting::default()
    }
}

/// Within the resolution of a histogram.
fn check_time(histogram: &Histogram, fraction: f64, expected_us: u64) {
    let value = histogram.quantile_us(fraction).unwrap();
    assert!(
        value.abs_diff(expected_us) <= expected_us / 500,
        "{value} is not {expected_us}"
    );
}

#[test]
fn a_steady_server_is_measured_exactly() {
    let (record, seen) = simulate(&open(100.0, 2), answers_after(2 * MS));
    check(&record, completed(200), &[]);
    assert_eq!(seen.asked.len(), 200);
    let due: Vec<u64> = (0..200).map(|index| index * 10 * MS).collect();
    assert_eq!(
        seen.asked
            .iter()
            .map(|asked| asked.at_ns)
            .collect::<Vec<_>>(),
        due
    );
    check_time(&record.endpoints[0].response, 1.0, 2_000);
    check_time(&record.endpoints[0].service, 0.0, 2_000);
    assert_eq!(record.generator.connections_peak, 1);
    assert_eq!(record.generator.own_lag.max_us(), Some(1));
    assert_eq!(record.generator.verdict, GeneratorVerdict::Ok);
    assert_eq!(record.outstanding, [0, 0]);
    assert_eq!(record.generator.wall, Duration::from_secs(2));
}

#[test]
fn a_stall_of_the_server_is_in_the_response_time_of_all_who_came_meanwhile() {
    // Frozen from 1 s to 2 s of 4 s, at 100 a second.
    let frozen = |asked: &Asked| match asked.at_ns {
        at if (SECOND..2 * SECOND).contains(&at) => Reply::good(2 * SECOND + MS),
        at => Reply::good(at + MS),
    };
    let plan = LoadPlan {
        timeout: Duration::from_secs(10),
        ..open(100.0, 4)
    };
    let (record, _) = simulate(&plan, Server::new(frozen));
    check(&record, completed(400), &[]);
    // The mean is the stall squared, by twice the length: 125 ms, and the
    // millisecond of service.
    let mean = record.endpoints[0].response.mean_us().unwrap();
    assert!((mean - 127_000.0).abs() < 1_500.0, "{mean}");
    check_time(&record.endpoints[0].response, 0.99, 961_000);
    assert_eq!(record.outstanding, [0, 100, 0, 0]);
}

#[test]
fn waiting_for_a_connection_is_in_response_but_not_in_service() {
    let mut plan = open(100.0, 1);
    plan.pool_limit = 1;
    plan.timeout = Duration::from_secs(60);
    let (record, seen) = simulate(&plan, answers_after(20 * MS));
    check(&record, completed(100), &[]);
    assert_eq!(record.generator.connections_peak, 1);
    check_time(&record.endpoints[0].service, 0.0, 20_000);
    check_time(&record.endpoints[0].service, 1.0, 20_000);
    // The i-th is due at 10 i and ends at 20 (i + 1).
    check_time(
        &record.endpoints[0].response,
        1.0,
        20_000 * 100 - 10_000 * 99,
    );
    // First come, first served.
    assert!(seen.asked.is_sorted_by_key(|asked| asked.at_ns));
    assert_eq!(record.generator.waited_for_connection, 99);
    assert_eq!(record.generator.own_lag.len(), 1);
    let GeneratorVerdict::Invalid(reasons) = &record.generator.verdict else {
        panic!("a pool that binds is invalid");
    };
    assert!(reasons[0].contains("all 1 connections"));
}

#[test]
fn who_waits_behind_a_silent_server_has_its_own_deadline() {
    let mut plan = open(10.0, 1);
    plan.pool_limit = 1;
    let (record, seen) = simulate(&plan, Server::new(|_| Reply::default()));
    // The first holds the connection up to its deadline at 1000 ms. The second
    // gets it then, and is out of time at 1100 ms; and so on.
    let total = Accounting {
        scheduled: 10,
        timed_out: 10,
        ..Accounting::default()
    };
    check(&record, total, &[(FailureClass::ReadTimeout, 10)]);
    let asked_ms: Vec<u64> = seen.asked.iter().map(|asked| asked.at_ns / MS).collect();
    assert_eq!(
        asked_ms,
        [0, 1000, 1100, 1200, 1300, 1400, 1500, 1600, 1700, 1800]
    );
    check_time(&record.endpoints[0].failed, 0.0, 1_000_000);
    check_time(&record.endpoints[0].failed, 1.0, 1_000_000);
}

#[test]
fn what_still_waits_when_all_is_given_up_is_dropped_and_never_written() {
    let mut plan = open(100.0, 60);
    plan.pool_limit = 1;
    plan.timeout = Duration::from_secs(30);
    let silent = Server::new(|_| Reply::default());
    let (record, seen) = simulate_under(
        &plan,
        silent,
        Conditions {
            stop_ns: 500 * MS,
            ..QUIET
        },
    );
    let total = Accounting {
        scheduled: 51,
        timed_out: 1,
        dropped: 50,
        ..Accounting::default()
    };
    check(
        &record,
        total,
        &[
            (FailureClass::ReadTimeout, 1),
            (FailureClass::ClientQueue, 50),
        ],
    );
    assert_eq!(seen.asked.len(), 1);
}

#[test]
fn in_flight_at_the_end_are_timed_out_and_counted_not_lost() {
    let silent_at_last = |asked: &Asked| match asked.at_ns {
        at if at >= 900 * MS => Reply::default(),
        at => Reply::good(at + MS),
    };
    let (record, seen) = simulate(&open(100.0, 1), Server::new(silent_at_last));
    let total = Accounting {
        scheduled: 100,
        completed: 90,
        timed_out: 10,
        ..Accounting::default()
    };
    check(&record, total, &[(FailureClass::ReadTimeout, 10)]);
    assert_eq!(seen.asked.len(), 100);
    assert_eq!(record.generator.outstanding_at_end, 10);
    assert_eq!(record.outstanding, [10]);
    // Each from its own due time, to the nanosecond.
    check_time(&record.endpoints[0].failed, 0.0, 1_000_000);
    check_time(&record.endpoints[0].failed, 1.0, 1_000_000);
    assert_eq!(record.generator.wall, Duration::from_millis(1990));
    assert_eq!(
        record.endpoints[0]
            .response
            .quantile_with_infinite_us(0.95, 10),
        None
    );
}

#[test]
fn late_answers_of_the_drain_still_count() {
    let (record, _) = simulate(&open(100.0, 1), answers_after(500 * MS));
    check(&record, completed(100), &[]);
    // Those due after 500 ms; the one due then ends with the schedule.
    assert_eq!(record.generator.outstanding_at_end, 49);
}

#[test]
fn no_connection_in_time_and_no_connection_at_all() {
    let mut server = answers_after(MS);
    server.connect = Box::new(|_, _| Connect::Hang);
    let (record, _) = simulate(&open(10.0, 1), server);
    let total = Accounting {
        scheduled: 10,
        timed_out: 10,
        ..Accounting::default()
    };
    check(&record, total, &[(FailureClass::ConnectTimeout, 10)]);
    assert_eq!(record.generator.connections_peak, 10);

    let failing = [
        (ErrorKind::ConnectionRefused, FailureClass::ConnectRefused),
        (ErrorKind::TimedOut, FailureClass::ConnectTimeout),
        (ErrorKind::PermissionDenied, FailureClass::ConnectOther),
    ];
    for (kind, class) in failing {
        let mut server = answers_after(MS);
        server.connect = Box::new(move |_, _| Connect::Fail(kind));
        let (record, _) = simulate(&open(10.0, 1), server);
        let total = Accounting {
            scheduled: 10,
            failed: 10,
            ..Accounting::default()
        };
        check(&record, total, &[(class, 10)]);
    }
}

#[test]
fn a_kept_connection_that_the_server_closes_while_idle_is_replaced_silently() {
    let closes_soon = |asked: &Asked| Reply {
        close_ns: Some(asked.at_ns + 5 * MS),
        ..Reply::good(asked.at_ns + MS)
    };
    let (record, seen) = simulate(&open(100.0, 1), Server::new(closes_soon));
    check(&record, completed(100), &[]);
    assert_eq!(seen.connects, 100);
    assert_eq!(record.generator.retries, 0);
    assert_eq!(record.generator.connections_peak, 1);
}

#[test]
fn a_stale_connection_is_retried_once_and_its_time_goes_on() {
    // The second request of each connection is read, and 3 ms later the
    // connection is closed.
    let stale = |asked: &Asked| match asked.nth {
        0 => Reply::good(asked.at_ns + MS),
        _ => Reply {
            close_ns: Some(asked.at_ns + 3 * MS),
            ..Reply::default()
        },
    };
    let (record, seen) = simulate(&open(100.0, 1), Server::new(stale));
    check(&record, completed(100), &[]);
    // Every request but the first meets a connection that was used once.
    assert_eq!(record.generator.retries, 99);
    assert_eq!(seen.asked.len(), 199);
    check_time(&record.endpoints[0].service, 1.0, 4_000);
    check_time(&record.endpoints[0].response, 1.0, 4_000);
    check_time(&record.endpoints[0].response, 0.0, 1_000);
}

#[test]
fn what_may_have_been_done_is_not_asked_for_again() {
    let stale = |asked: &Asked| match asked.nth {
        0 => Reply::good(asked.at_ns + MS),
        _ => Reply {
            close_ns: Some(asked.at_ns + 3 * MS),
            ..Reply::default()
        },
    };
    let mut plan = open(100.0, 1);
    plan.endpoints[0].method = Method::Post;
    let (record, seen) = simulate(&plan, Server::new(stale));
    let total = Accounting {
        scheduled: 100,
        completed: 50,
        failed: 50,
        ..Accounting::default()
    };
    check(&record, total, &[(FailureClass::StaleKeepAlive, 50)]);
    assert_eq!((record.generator.retries, seen.asked.len()), (0, 100));
}

#[test]
fn a_retry_that_fails_too_counts_under_its_own_class() {
    let mut server = Server::new(|asked: &Asked| match (asked.connection, asked.nth) {
        (0, 0) => Reply::good(asked.at_ns + MS),
        _ => Reply {
            close_ns: Some(asked.at_ns + MS),
            ..Reply::default()
        },
    });
    let (record, _) = simulate(&open(2.0, 1), server);
    let total = Accounting {
        scheduled: 2,
        completed: 1,
        failed: 1,
        ..Accounting::default()
    };
    check(&record, total, &[(FailureClass::ResetBeforeResponse, 1)]);
    assert_eq!(record.generator.retries, 1);

    server = Server::new(|asked: &Asked| match asked.nth {
        0 => Reply::good(asked.at_ns + MS),
        _ => Reply {
            close_ns: Some(asked.at_ns + MS),
            ..Reply::default()
        },
    });
    server.connect = Box::new(|number, _| match number {
        0 => Connect::Open,
        _ => Connect::Fail(ErrorKind::ConnectionRefused),
    });
    let (record, _) = simulate(&open(2.0, 1), server);
    check(&record, total, &[(FailureClass::ConnectRefused, 1)]);
}

#[test]
fn close_in_an_answer_is_obeyed_at_once() {
    let says_close = |asked: &Asked| Reply {
        bytes: b"HTTP/1.1 200 OK\r\nConnection: close\r\nContent-Length: 0\r\n\r\n".to_vec(),
        ..Reply::good(asked.at_ns + MS)
    };
    let (record, seen) = simulate(&open(100.0, 1), Server::new(says_close));
    check(&record, completed(100), &[]);
    assert_eq!(seen.connects, 100);
    let closed: Vec<u64> = seen.closed_ns.values().copied().collect();
    let answered: Vec<u64> = seen.asked.iter().map(|asked| asked.at_ns + MS).collect();
    assert_eq!(closed, answered);
}

#[test]
fn a_connection_for_each_request_says_so_and_is_closed_after_the_answer() {
    let mut plan = open(100.0, 1);
    plan.connections = ConnectionPolicy::PerRequest;
    // The server would keep it.
    let (record, seen) = simulate(&plan, answers_after(MS));
    check(&record, completed(100), &[]);
    assert_eq!(seen.connects, 100);
    assert!(
        seen.asked
            .iter()
            .all(|asked| asked.text.contains("\r\nConnection: close\r\n"))
    );
    let lived = seen
        .asked
        .iter()
        .map(|asked| seen.closed_ns[&asked.connection] - asked.at_ns);
    assert!(lived.into_iter().all(|lived| lived == MS));
}

#[test]
fn kept_connections_are_taken_last_in_first_out() {
    // Four at once at the start, then one at a time: the fourth serves on.
    let slow_start = |asked: &Asked| match asked.at_ns {
        at if at < 40 * MS => Reply::good(45 * MS + asked.connection as u64),
        at => Reply::good(at + MS),
    };
    let (record, seen) = simulate(&open(100.0, 1), Server::new(slow_start));
    check(&record, completed(100), &[]);
    assert_eq!(seen.connects, 5);
    assert!(
        seen.asked[5..]
            .iter()
            .all(|asked| asked.connection == seen.asked[5].connection)
    );
}

#[test]
fn users_wait_think_and_keep_their_connection() {
    let (record, seen) = simulate(&closed(2, 10), answers_after(5 * MS));
    // A cycle is 15 ms; the second user begins 5 ms later.
    check(&record, completed(67 + 67), &[]);
    check_time(&record.endpoints[0].response, 1.0, 5_000);
    assert_eq!(record.endpoints[0].response, record.endpoints[0].service);
    assert_eq!(seen.connects, 2);
    assert_eq!(record.generator.connections_limit, 2);
    assert_eq!(record.generator.verdict, GeneratorVerdict::Ok);
    let first: Vec<u64> = seen
        .asked
        .iter()
        .filter(|asked| asked.connection == 0)
        .map(|asked| asked.at_ns)
        .collect();
    assert_eq!(
        first,
        (0..67).map(|cycle| cycle * 15 * MS).collect::<Vec<_>>()
    );
}

#[test]
fn users_of_a_dead_server_do_not_run_wild() {
    let mut server = answers_after(MS);
    server.connect = Box::new(|_, _| Connect::Fail(ErrorKind::ConnectionRefused));
    let (record, _) = simulate(&closed(3, 0), server);
    let total = Accounting {
        scheduled: 30,
        failed: 30,
        ..Accounting::default()
    };
    check(&record, total, &[(FailureClass::ConnectRefused, 30)]);
}

#[test]
fn a_stop_ends_schedule_and_drain_early() {
    let mut plan = open(100.0, 60);
    plan.timeout = Duration::from_secs(30);
    let silent = |asked: &Asked| match asked.at_ns {
        at if at >= 400 * MS => Reply::default(),
        at => Reply::good(at + MS),
    };
    let (record, _) = simulate_under(
        &plan,
        Server::new(silent),
        Conditions {
            stop_ns: 500 * MS,
            ..QUIET
        },
    );
    let total = Accounting {
        scheduled: 51,
        completed: 40,
        timed_out: 11,
        ..Accounting::default()
    };
    check(&record, total, &[(FailureClass::ReadTimeout, 11)]);
    assert_eq!(record.length, Duration::from_millis(500));
    assert_eq!(record.generator.wall, Duration::from_millis(1500));
    assert_eq!(record.outstanding, [11]);
}

#[test]
fn a_generator_that_is_late_says_so_and_hides_nothing() {
    let late = Conditions {
        oversleep_ns: 3 * MS,
        ..QUIET
    };
    let (record, _) = simulate_under(&open(20.0, 1), answers_after(MS), late);
    check(&record, completed(20), &[]);
    // The first is due when the clock begins; all others are sent 3 ms late,
    // which is the generator's doing but the response's all the same.
    check_time(&record.generator.own_lag, 0.5, 3_000);
    check_time(&record.endpoints[0].response, 0.5, 4_000);
    check_time(&record.endpoints[0].service, 0.5, 1_000);
    let GeneratorVerdict::Invalid(reasons) = &record.generator.verdict else {
        panic!("95 % of the sends were late");
    };
    assert!(
        reasons[0].contains("95.0 % of the sends were late"),
        "{reasons:?}"
    );
}

#[test]
fn a_wrong_status_and_a_wrong_body_stand_apart() {
    let mut plan = open(100.0, 1);
    plan.endpoints = vec![endpoint("good"), endpoint("absent"), endpoint("empty")];
    plan.endpoints[2].expect.contains = Some("total".to_owned());
    let by_path = |asked: &Asked| {
        let bytes = match asked.text.split(' ').nth(1) {
            Some("/absent") => b"HTTP/1.1 404 No\r\nContent-Length: 2\r\n\r\nno".to_vec(),
            _ => b"HTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\ntota!".to_vec(),
        };
        Reply {
            bytes,
            ..Reply::good(asked.at_ns + MS)
        }
    };
    let (record, seen) = simulate(&plan, Server::new(by_path));
    check_identity(&record);
    let [good, absent, empty] = &record.endpoints[..] else {
        panic!("three endpoints")
    };
    assert_eq!(good.total, completed(good.total.scheduled));
    assert_eq!(
        absent.failures,
        BTreeMap::from([(FailureClass::Status, absent.total.failed)])
    );
    assert_eq!(absent.total.failed, absent.total.scheduled);
    assert_eq!(
        empty.failures,
        BTreeMap::from([(FailureClass::Assertion, empty.total.failed)])
    );
    assert_eq!(empty.failed.len(), empty.total.scheduled);
    // Wrong answers, but whole ones: the connection is kept.
    assert_eq!(seen.connects, 1);
}

#[test]
fn a_body_that_is_too_short_or_too_long_is_no_answer() {
    let class = |least, most| {
        let mut plan = open(100.0, 1);
        plan.endpoints[0].expect.min_bytes = least;
        plan.endpoints[0].expect.max_bytes = most;
        // Its body has two bytes.
        let (record, _) = simulate(&plan, answers_after(MS));
        check_identity(&record);
        record.endpoints[0]
            .failures
            .get(&FailureClass::Assertion)
            .copied()
    };
    assert_eq!(class(Some(2), Some(2)), None);
    assert_eq!(class(Some(3), None), Some(100));
    assert_eq!(class(None, Some(1)), Some(100));
}

#[test]
fn the_same_seed_sends_the_same_requests_whatever_the_server_does() {
    let mut plan = open(200.0, 1);
    plan.shape = LoadShape::open(Rate::per_second(200.0).unwrap(), Arrivals::Poisson);
    plan.endpoints = vec![endpoint("a"), endpoint("b"), endpoint("c")];
    let sent = |service_ns| {
        let (_, seen) = simulate(&plan, answers_after(service_ns));
        seen.asked
            .into_iter()
            .map(|asked| (asked.at_ns, asked.text))
            .collect::<Vec<_>>()
    };
    assert_eq!(sent(MS), sent(300 * MS));
}
