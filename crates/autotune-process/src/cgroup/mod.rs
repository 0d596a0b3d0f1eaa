//! Control groups: what keeps a server's tree to the memory and CPUs that its
//! production host would give it. The supervisor makes one before the server
//! starts, the server enters it before it becomes its program, and the group is
//! removed once nothing of the tree is left.
//!
//! ```text
//! hierarchy   what /proc says of mounts and of our own groups (pure)
//! plan        where a group can be made, or why nowhere (pure)
//! group       makes it, counts what the kernel killed in it, removes it
//! leftover    removes those of runs that were killed
//! scope       the other way, where we may write no group: the user's systemd
//! means       which of the two this machine allows, by trying
//! ```

mod group;
mod hierarchy;
mod leftover;
mod means;
mod plan;
mod scope;

pub(crate) use group::Group;
pub(crate) use leftover::{name_of, remove_leftovers};
pub(crate) use scope::{Scope, systemd_version, visible_exe};

pub use means::find_means;
