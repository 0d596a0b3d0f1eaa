//! The engine over real sockets, against small servers that misbehave.
#![expect(clippy::unwrap_used, reason = "a test ends at its first surprise")]

mod faults;
mod server;
mod shape;
