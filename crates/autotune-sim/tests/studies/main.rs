//! Studies with known truth: what the verdict is worth, and whether a study that
//! was interrupted anywhere ends as one that was not.

mod resume;
mod study;
mod truth;
