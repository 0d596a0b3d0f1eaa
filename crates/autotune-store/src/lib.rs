//! Studies on disk: one folder a study, with one SQLite file in it.
//!
//! The store keeps what was planned, claimed, measured and decided, and gives
//! it back exactly as it was handed in. It is written between trials, never
//! while one is measured. What the numbers mean, which trial comes next and
//! what the time is, it leaves to its callers; the text forms of ids, outcomes
//! and the like belong to the model.
//!
//! Measurements and decisions are only ever added: triggers in the schema
//! refuse everything else. Every write may be repeated. The bytes in the file
//! are described by the types and the SQL of this crate, so that the nouns of
//! the model may change without a word about files.

mod claims;
mod decisions;
mod ends;
mod error;
mod files;
mod json;
mod load_rows;
mod lock;
mod meta;
mod rows;
mod schema;
mod series;
mod server_rows;
mod service_rows;
mod shape;
mod store;
mod trials;

pub use claims::{Claim, Lease};
pub use ends::{LastEnd, RunEnd};
pub use error::{Fault, StoreError};
pub use files::write_whole;
pub use lock::{HostLock, LockError};
pub use meta::{FORMAT, StudyMeta};
pub use series::TrialSeries;
pub use store::{Series, Store};
