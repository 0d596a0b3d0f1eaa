//! Shapes of load over real sockets: what holds on any machine, however busy.

use std::num::NonZeroU32;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};

use autotune_load::{LoadError, run};
use autotune_model::{ConnectionPolicy, CpuSet, GeneratorVerdict, KeepLimits, LoadShape};

use crate::faults::{plan, send};
use crate::server::{Act, GOOD, Server};

#[test]
fn an_answer_that_is_held_back_shows_in_the_response_of_those_who_wait() {
    // One connection, and a first answer that takes twice the whole schedule.
    let length = Duration::from_millis(250);
    let server = Server::start(move |asked| {
        if asked.number == 0 {
            std::thread::sleep(length * 2);
        }
        Act::Answer(GOOD.to_vec())
    });
    let mut plan = plan(server.address());
    plan.pool_limit = 1;
    let record = send(&plan);
    assert_eq!(record.total().completed, record.total().scheduled);
    assert!(record.generator.waited_for_connection > 0);
    assert!(record.generator.outstanding_at_end > 0);
    let endpoint = &record.endpoints[0];
    let response = endpoint.response.mean_us().unwrap();
    let service = endpoint.service.mean_us().unwrap();
    assert!(response > service, "{response} {service}");
    assert!(matches!(
        record.generator.verdict,
        GeneratorVerdict::Invalid(_)
    ));
}

#[test]
fn closed_users_send_all_they_are_counted_for() {
    let server = Server::start(|_| Act::Answer(GOOD.to_vec()));
    let mut plan = plan(server.address());
    plan.shape = LoadShape::closed(4, Duration::from_millis(2));
    plan.pool_limit = 1;
    let record = send(&plan);
    assert_eq!(record.total().completed, server.requests());
    assert_eq!(server.connections(), 4);
    assert_eq!(record.generator.waited_for_connection, 0);
    assert_eq!(record.endpoints[0].response, record.endpoints[0].service);
    // A user cannot ask more often than once a think time.
    assert!(record.total().scheduled <= 4 * (250 / 2 + 1));
}

#[test]
fn a_connection_with_a_limit_carries_so_many_requests_and_loses_none() {
    let server = Server::start(|_| Act::Answer(GOOD.to_vec()));
    let mut plan = plan(server.address());
    plan.shape = LoadShape::closed(3, Duration::ZERO);
    let limits = KeepLimits::new(NonZeroU32::new(4), Some(Duration::from_secs(9)));
    plan.connections = ConnectionPolicy::Limited(limits.unwrap());
    let record = send(&plan);
    let requests = server.requests();
    assert_eq!(record.total().completed, requests);
    assert_eq!(record.generator.retries, 0);
    // Each user uses up one connection after the other; the last one of each may
    // have carried fewer.
    let fewest = requests.div_ceil(4);
    assert!((fewest..=fewest + 3).contains(&server.connections()));
    assert_eq!(record.generator.connections_peak, 3);
}

#[test]
fn a_stop_ends_the_load_long_before_its_length() {
    let stop = Arc::new(AtomicBool::new(false));
    let at_first = Arc::clone(&stop);
    let server = Server::start(move |_| {
        at_first.store(true, Ordering::Relaxed);
        Act::Answer(GOOD.to_vec())
    });
    let mut plan = plan(server.address());
    plan.length = Duration::from_secs(3600);
    let record = run(&plan, &stop).unwrap();
    assert!(record.length < plan.length);
    assert!(record.total().scheduled > 0);
    assert!(record.total().adds_up());
    assert_eq!(record.total().completed, server.requests());
}

#[test]
fn the_axis_and_the_generator_are_recorded() {
    let server = Server::start(|_| Act::Answer(GOOD.to_vec()));
    let before = nix::time::clock_gettime(nix::time::ClockId::CLOCK_MONOTONIC).unwrap();
    let mut plan = plan(server.address());
    plan.origin_monotonic_ns = u64::try_from(Duration::from(before).as_nanos()).unwrap();
    let begun = Instant::now();
    let record = send(&plan);
    assert!(record.start_ns > 0);
    assert!(Duration::from_nanos(record.start_ns) < begun.elapsed());
    assert!(record.generator.wall >= record.length);
    assert!(record.generator.cpu > Duration::ZERO);
    assert!(record.generator.cpu <= record.generator.wall);
    assert_eq!(record.outstanding.len(), 1);
}

#[test]
fn the_generator_is_pinned_or_says_that_it_cannot_be() {
    let server = Server::start(|_| Act::Answer(GOOD.to_vec()));
    let mut plan = plan(server.address());
    let mine = nix::sched::sched_getaffinity(nix::unistd::Pid::from_raw(0)).unwrap();
    let allowed = (0..1024).find(|cpu| mine.is_set(*cpu).unwrap()).unwrap();
    plan.cpus = Some(CpuSet::new([allowed]));
    let record = send(&plan);
    assert_eq!(record.total().completed, record.total().scheduled);
    // The calling thread stays as it was.
    assert_eq!(
        nix::sched::sched_getaffinity(nix::unistd::Pid::from_raw(0)).unwrap(),
        mine
    );
    plan.cpus = Some(CpuSet::new([1023]));
    let error = run(&plan, &AtomicBool::new(false)).unwrap_err();
    assert!(matches!(error, LoadError::Pin { .. }), "{error}");
}

#[test]
fn nothing_is_sent_beyond_loopback() {
    // An address for documentation, RFC 5737.
    let error = run(&plan(([192, 0, 2, 1], 80).into()), &AtomicBool::new(false)).unwrap_err();
    assert!(matches!(error, LoadError::NotLoopback { .. }), "{error}");
}
