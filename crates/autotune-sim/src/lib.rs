//! A simulated server with known truth behind `RunTrial`, for what reality
//! cannot show in milliseconds: thousands of studies. Not shipped, and reachable
//! only from integration tests and the bench crate.

mod world;

pub use world::{Failing, SimulatedServer, World};
