//! The dispatcher against servers of random moods, in simulated time.

use std::io::ErrorKind;
use std::time::Duration;

use autotune_model::{ConnectionPolicy, FailureClass};
use proptest::prelude::*;

use super::tests::{check_identity, closed, open};
use crate::sim::{Asked, Connect, MS, Reply, Server, simulate};

/// A server of moods: each request draws what happens to it.
fn moody(moods: Vec<(u8, u64)>) -> Server {
    let mut drawn = moods.clone().into_iter().cycle();
    let mut connects = moods.into_iter().cycle();
    let serve = move |asked: &Asked| {
        let (mood, delay_ms) = drawn.next().unwrap();
        let at_ns = asked.at_ns + delay_ms * MS;
        let text: &[u8] = match mood {
            0 => return Reply::default(),
            1 => {
                return Reply {
                    close_ns: Some(at_ns),
                    ..Reply::default()
                };
            }
            2 => b"HTTP/1.1 200 OK\r\nContent-Length: 9\r\n\r\nshort",
            3 => b"HTTP/1.1 500 Oh\r\nContent-Length: 0\r\n\r\n",
            4 => b"nonsense\r\n\r\n",
            5 => b"HTTP/1.1 200 OK\r\nConnection: close\r\nContent-Length: 0\r\n\r\n",
            _ => b"HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n",
        };
        let close_ns = (mood == 2).then_some(at_ns + MS);
        Reply {
            bytes: text.to_vec(),
            at_ns: Some(at_ns),
            close_ns,
        }
    };
    let connect = move |_, _| match connects.next().unwrap() {
        (7, _) => Connect::Fail(ErrorKind::ConnectionRefused),
        (8, _) => Connect::Hang,
        _ => Connect::Open,
    };
    Server {
        connect: Box::new(connect),
        serve: Box::new(serve),
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(64))]

    /// Whatever the server does, every request ends exactly once, in time, and
    /// the server's own count of requests fits.
    #[test]
    fn nothing_is_lost_whatever_the_server_does(
        moods in prop::collection::vec((0u8..12, 0u64..400), 1..40),
        users in 0u32..6,
        limit in 1u32..8,
        per_request in any::<bool>(),
    ) {
        let mut plan = if users > 0 { closed(users, 7) } else { open(60.0, 2) };
        plan.pool_limit = limit;
        plan.timeout = Duration::from_millis(300);
        if per_request {
            plan.connections = ConnectionPolicy::PerRequest;
        }
        let (record, seen) = simulate(&plan, moody(moods));
        check_identity(&record);
        let total = record.total();
        prop_assert!(total.scheduled > 0);
        prop_assert!(record.generator.wall <= plan.length + plan.timeout + Duration::from_millis(1));
        prop_assert!(record.generator.connections_peak <= record.generator.connections_limit);
        let class = |class| record.endpoints[0].failures.get(&class).copied().unwrap_or(0);
        let never_written = total.dropped
            + class(FailureClass::ConnectRefused)
            + class(FailureClass::ConnectTimeout);
        // Each request is written once, and once more if it was sent again; a
        // second connect that failed leaves only the first writing.
        let asked = seen.asked.len() as u64;
        prop_assert!(asked >= total.scheduled - never_written);
        prop_assert!(asked <= total.scheduled - total.dropped + record.generator.retries);
        prop_assert_eq!(class(FailureClass::StaleKeepAlive), 0);
    }
}
