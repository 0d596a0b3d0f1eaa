//! Studies with known truth: what the verdict is worth, and whether a study that
//! was interrupted anywhere ends as one that was not.

#![expect(clippy::unwrap_used, reason = "a test ends by panicking")]

mod resume;
#[cfg(test)]
mod shared;
mod steps;
mod study;
mod surge;
mod truth;
