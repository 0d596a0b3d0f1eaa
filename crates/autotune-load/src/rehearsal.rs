//! A load as it would be sent, in simulated time: the real engine on a clock and
//! a network that are not. For tests of other crates, which cannot see the bytes.

use autotune_model::LoadRecord;

use crate::plan::LoadPlan;
use crate::sim::{Reply, Server, simulate};

/// What would be sent, and what would be said of it.
#[derive(Clone, Debug)]
pub struct Rehearsed {
    /// In the order of arrival.
    pub sent: Vec<Sent>,
    /// What would be recorded.
    pub record: LoadRecord,
}

/// A request as the server sees it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Sent {
    /// When its last byte comes, in nanoseconds since the load began.
    pub at_ns: u64,
    /// On which connection, counted from 0.
    pub connection: usize,
    /// Its bytes.
    pub text: String,
}

/// Sends the plan to a server that takes `service_ns` for each answer.
///
/// # Panics
/// When the plan cannot be sent.
pub fn rehearse(
    plan: &LoadPlan,
    service_ns: u64,
    answer: impl Fn(&str) -> Vec<u8> + 'static,
) -> Rehearsed {
    let server = Server::new(move |asked| Reply {
        bytes: answer(&asked.text),
        at_ns: Some(asked.at_ns + service_ns),
        close_ns: None,
    });
    let (record, seen) = simulate(plan, server);
    let sent = seen.asked.into_iter().map(|asked| Sent {
        at_ns: asked.at_ns,
        connection: asked.connection,
        text: asked.text,
    });
    Rehearsed {
        sent: sent.collect(),
        record,
    }
}
