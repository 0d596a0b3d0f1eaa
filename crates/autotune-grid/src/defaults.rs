//! What holds where a grid file says nothing: one commented grid file, read by
//! the code that reads all others.

/// The text of all defaults, in the form of a grid file.
pub const DEFAULTS: &str = include_str!("defaults.toml");
