//! The load engine: plan, schedule, connection, recorder, and its verdict on itself.
//!
//! [`run`] sends what a [`LoadPlan`] says to a server on loopback and gives one
//! [`autotune_model::LoadRecord`]. The parts combine and know little of each
//! other:
//!
//! - `choice`, `members`, `curve`, `schedule`, `presence`, `pauses`, `users`, `spread`,
//!   `source`: which request is due when. Pure.
//! - `request`, `search`, `body`, `response`: bytes out and bytes in. Pure.
//! - `connection`: one exchange over any stream.
//! - `transport`, `clock` (over `timer`): the two doors to the machine, each with a simulated
//!   second implementation in the tests.
//! - `wake`, `pool`, `kept`, `flights`, `line`, `engine`: the dispatcher, one future on one
//!   thread; no task and no timer per request.
//! - `recorder`, `watch`, `judge`: what became of the requests, what the engine
//!   did itself, and whether it was the bottleneck.
//!
//! It leaves to others: starting the server, choosing the load, ranking.

mod plan;
mod run;

mod choice;
mod curve;
mod members;
mod pauses;
mod presence;
mod schedule;
mod source;
mod spread;
mod users;

mod body;
mod request;
mod response;
mod search;

mod clock;
mod connection;
mod timer;
mod transport;

mod engine;
mod flights;
mod kept;
mod line;
mod pool;
mod wake;

mod judge;
mod recorder;
mod watch;

#[cfg(any(test, feature = "rehearsal"))]
#[cfg_attr(
    not(test),
    expect(dead_code, reason = "most of it is for the tests of this crate")
)]
#[expect(clippy::unwrap_used, reason = "never in what is shipped")]
mod sim;

#[cfg(feature = "rehearsal")]
mod rehearsal;

pub use judge::generator_was_slow;
pub use plan::{LoadError, LoadPlan};
#[cfg(feature = "rehearsal")]
pub use rehearsal::{Rehearsed, Sent, rehearse};
pub use run::{Finished, run, send};
