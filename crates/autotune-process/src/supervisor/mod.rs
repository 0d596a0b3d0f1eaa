//! The supervisor: what the program becomes when it is run again to watch over a
//! server. It has one thread and waits in one place.

mod ending;
mod keeper;
mod link;
mod log;
mod report;
mod running;
mod session;
mod spawn;
mod start;

pub use start::run_if_asked;
pub(crate) use start::{ARGUMENT, NAME};
