//! Each misbehaviour ends in its own class, and in no other; nothing is lost.

use std::collections::BTreeMap;
use std::net::SocketAddr;
use std::sync::atomic::AtomicBool;
use std::time::Duration;

use autotune_load::{LoadPlan, run};
use autotune_model::{
    Arrivals, ConnectionPolicy, Endpoint, Expect, FailureClass, JsonExpect, JsonWanted, LoadRecord,
    LoadShape, Rate, Seed,
};
use tokio::net::TcpSocket;

use crate::server::{Act, Asked, GOOD, Server};

/// A short open load; the timeout is far longer than any busy machine's delay.
pub(crate) fn plan(target: SocketAddr) -> LoadPlan {
    LoadPlan {
        target,
        host_header: "localhost".to_owned(),
        endpoints: vec![Endpoint {
            expect: Expect {
                status: vec![200],
                contains: Some("ok".to_owned()),
                min_bytes: None,
                max_bytes: None,
                json: Vec::new(),
            },
            ..Endpoint::get("a", "/a")
        }],
        sessions: Vec::new(),
        data: [].into(),
        shape: LoadShape::open(Rate::per_second(200.0).unwrap(), Arrivals::Poisson),
        connections: ConnectionPolicy::KeepAlive,
        length: Duration::from_millis(250),
        warm_up: Duration::ZERO,
        timeout: Duration::from_secs(30),
        pool_limit: 200,
        seed: Seed::new(7),
        cpus: None,
        origin_monotonic_ns: 0,
    }
}

/// Sends the load, and checks that every request ended exactly once.
pub(crate) fn send(plan: &LoadPlan) -> LoadRecord {
    let record = run(plan, &AtomicBool::new(false)).unwrap();
    assert!(record.total().scheduled > 10, "{:?}", record.total());
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
    record
}

/// All requests of this record failed in this way, and none in another.
fn check_all(record: &LoadRecord, class: FailureClass) {
    let total = record.total();
    assert_eq!(
        record.endpoints[0].failures,
        BTreeMap::from([(class, total.scheduled)])
    );
    assert_eq!(total.failed, total.scheduled);
}

/// A server with one behaviour: all requests end in this class, on the server's
/// own count too.
fn check(behaviour: impl Fn(&Asked) -> Act + Send + Sync + 'static, class: FailureClass) {
    let server = Server::start(behaviour);
    let record = send(&plan(server.address()));
    check_all(&record, class);
    assert_eq!(
        server.requests(),
        record.total().scheduled + record.generator.retries
    );
}

#[test]
fn a_normal_server_completes_all() {
    let server = Server::start(|_| Act::Answer(GOOD.to_vec()));
    let record = send(&plan(server.address()));
    assert_eq!(record.endpoints[0].failures, BTreeMap::new());
    assert_eq!(record.total().completed, server.requests());
    assert_eq!(
        u64::from(record.generator.connections_peak),
        server.connections()
    );
    assert_eq!(record.generator.retries, 0);
    assert_eq!(record.generator.own_lag.len(), record.total().scheduled);
    let endpoint = &record.endpoints[0];
    assert!(endpoint.response.mean_us() >= endpoint.service.mean_us());
}

/// Answers come in chunks, over connections that are used again; every second one
/// says that something is not as it should be.
#[test]
fn what_json_says_is_looked_into_in_every_answer() {
    let server = Server::start(|asked| {
        let head = "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n";
        let ok = asked.number % 2 == 0;
        let body = format!("{{\"ok\": {ok}, \"no\": \"{}\"}}", asked.number);
        let (one, two) = body.split_at(7);
        let chunks = [one, two].map(|part| format!("{:x}\r\n{part}\r\n", part.len()));
        Act::Answer(format!("{head}{}0\r\n\r\n", chunks.concat()).into_bytes())
    });
    let mut plan = plan(server.address());
    plan.endpoints[0].expect.contains = None;
    plan.endpoints[0].expect.json = vec![JsonExpect {
        pointer: "/ok".to_owned(),
        wanted: JsonWanted::Bool(true),
    }];
    let record = send(&plan);
    let total = record.total();
    let even = server.requests().div_ceil(2);
    assert_eq!(
        (total.completed, server.requests()),
        (even, total.scheduled)
    );
    let failed = BTreeMap::from([(FailureClass::Assertion, total.scheduled - even)]);
    assert_eq!(record.endpoints[0].failures, failed);
}

#[test]
fn refused() {
    // Bound, so that nobody else gets the port, but not listening.
    let closed = TcpSocket::new_v4().unwrap();
    closed.bind(([127, 0, 0, 1], 0).into()).unwrap();
    let record = send(&plan(closed.local_addr().unwrap()));
    check_all(&record, FailureClass::ConnectRefused);
}

#[test]
fn reset_before_the_response() {
    check(
        |_| Act::Reset(Vec::new()),
        FailureClass::ResetBeforeResponse,
    );
    check(
        |_| Act::AnswerAndClose(Vec::new()),
        FailureClass::ResetBeforeResponse,
    );
}

#[test]
fn reset_within_the_response() {
    let part = b"HTTP/1.1 200 OK\r\nContent-Length: 50\r\n\r\nok";
    check(
        |_| Act::Reset(part.to_vec()),
        FailureClass::ResetDuringResponse,
    );
    let head = b"HTTP/1.1 200 OK\r\nConte";
    check(
        |_| Act::AnswerAndClose(head.to_vec()),
        FailureClass::ResetDuringResponse,
    );
}

#[test]
fn short_body() {
    let part = b"HTTP/1.1 200 OK\r\nContent-Length: 50\r\n\r\nok";
    check(
        |_| Act::AnswerAndClose(part.to_vec()),
        FailureClass::ShortBody,
    );
    let chunk = b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n2\r\nok\r\n";
    check(
        |_| Act::AnswerAndClose(chunk.to_vec()),
        FailureClass::ShortBody,
    );
}

#[test]
fn bad_head() {
    check(
        |_| Act::Answer(b"ok\r\n\r\n".to_vec()),
        FailureClass::BadResponse,
    );
    let excess = [GOOD, b"more".as_slice()].concat();
    check(
        move |_| Act::Answer(excess.clone()),
        FailureClass::BadResponse,
    );
}

#[test]
fn wrong_status() {
    let wrong = b"HTTP/1.1 500 Oh\r\nContent-Length: 2\r\n\r\nok";
    check(|_| Act::Answer(wrong.to_vec()), FailureClass::Status);
}

#[test]
fn wrong_body() {
    let wrong = b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nno";
    check(|_| Act::Answer(wrong.to_vec()), FailureClass::Assertion);
}

#[test]
fn in_flight_at_the_end_on_a_silent_server_are_timed_out_not_lost() {
    let server = Server::start(|asked| match asked.number {
        0 => Act::Answer(GOOD.to_vec()),
        _ => Act::Silence,
    });
    let mut plan = plan(server.address());
    plan.timeout = Duration::from_millis(300);
    let record = send(&plan);
    let total = record.total();
    assert_eq!(total.completed + total.timed_out, total.scheduled);
    assert!(total.timed_out >= total.scheduled - 1);
    let classes: Vec<FailureClass> = record.endpoints[0].failures.keys().copied().collect();
    assert_eq!(classes, [FailureClass::ReadTimeout]);
    assert!(record.generator.outstanding_at_end > 0);
    let fastest = record.endpoints[0].failed.quantile_us(0.0).unwrap();
    assert!(fastest >= 299_000, "{fastest}");
}

#[test]
fn a_kept_connection_that_is_closed_while_idle_fails_no_request() {
    let server = Server::start(|_| Act::AnswerAndClose(GOOD.to_vec()));
    let record = send(&plan(server.address()));
    assert_eq!(record.endpoints[0].failures, BTreeMap::new());
    assert_eq!(record.total().completed, record.total().scheduled);
    // One connection an answer; those that were tried in vain were counted.
    assert_eq!(server.connections(), record.total().scheduled);
    assert_eq!(server.requests(), record.total().scheduled);
}

#[test]
fn a_stale_connection_is_retried_once() {
    for stale in [
        || Act::Reset(Vec::new()),
        || Act::AnswerAndClose(Vec::new()),
    ] {
        let server = Server::start(move |asked| match asked.nth {
            0 => Act::Answer(GOOD.to_vec()),
            _ => stale(),
        });
        let record = send(&plan(server.address()));
        assert_eq!(record.endpoints[0].failures, BTreeMap::new());
        assert_eq!(record.total().completed, record.total().scheduled);
        assert!(record.generator.retries > 0);
        let both = record.total().scheduled + record.generator.retries;
        assert_eq!(server.requests(), both);
    }
}

#[test]
fn close_in_an_answer_is_obeyed() {
    // The server itself keeps the connection open.
    let close = b"HTTP/1.1 200 OK\r\nConnection: close\r\nContent-Length: 2\r\n\r\nok";
    let old = b"HTTP/1.0 200 OK\r\nContent-Length: 2\r\n\r\nok";
    for answer in [close.as_slice(), old.as_slice()] {
        let server = Server::start(|_| Act::Answer(answer.to_vec()));
        let record = send(&plan(server.address()));
        assert_eq!(record.endpoints[0].failures, BTreeMap::new());
        assert_eq!(server.connections(), record.total().scheduled);
        assert_eq!(record.generator.retries, 0);
    }
}

#[test]
fn a_body_that_ends_with_the_connection_is_whole() {
    let answer = b"HTTP/1.1 200 OK\r\n\r\nok to the end";
    let server = Server::start(|_| Act::AnswerAndClose(answer.to_vec()));
    let record = send(&plan(server.address()));
    assert_eq!(record.endpoints[0].failures, BTreeMap::new());
    assert_eq!(server.requests(), record.total().completed);
}

#[test]
fn a_connection_for_each_request() {
    let server = Server::start(
        |asked| match asked.text.contains("\r\nConnection: close\r\n") {
            true => Act::Answer(GOOD.to_vec()),
            false => Act::Reset(Vec::new()),
        },
    );
    let mut plan = plan(server.address());
    plan.connections = ConnectionPolicy::PerRequest;
    let record = send(&plan);
    assert_eq!(record.endpoints[0].failures, BTreeMap::new());
    assert_eq!(server.connections(), record.total().scheduled);
}
