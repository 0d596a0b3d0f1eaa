//! The subcommands, one file each.

pub(crate) mod report;
pub(crate) mod sweep;
pub(crate) mod trial;
