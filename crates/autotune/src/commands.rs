//! The subcommands, one file each.

pub(crate) mod check;
pub(crate) mod explain;
pub(crate) mod report;
pub(crate) mod schema;
pub(crate) mod sweep;
pub(crate) mod trial;
