//! Procedures: from what is known to what is tried next.
//!
//! A [`Procedure`] is built from a [`Plan`] and asked for the next step with the
//! history and its analysis. It keeps no state and reads no clock: time spent is
//! the sum of the durations in the history, so the same history gives the same
//! step, byte for byte, in a live sweep, after a resume and in a simulation. It
//! never sees a process.

mod blocks;
mod exhaustive;
mod length;
mod outlook;
mod plan;
mod procedure;
mod surge;

pub use exhaustive::Exhaustive;
pub use length::trial_length;
pub use outlook::{Known, Outlook};
pub use plan::{Plan, Warning};
pub use procedure::{Next, Procedure};
