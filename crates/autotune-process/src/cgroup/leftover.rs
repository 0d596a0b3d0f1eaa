//! Groups of runs whose every guard was killed: found by their names, which hold
//! the marker, and removed.

use std::io;
use std::path::{Path, PathBuf};

use super::group::{inner_groups, kill_all, remove, texts};
use super::hierarchy::hierarchies;
use crate::marker::{Marker, Owner};

/// No tree of groups is deeper.
const DEEPEST: usize = 24;

/// The name of a group that this marker's owner makes; `number` tells groups of
/// one owner apart. Colons separate the fields of `/proc/PID/cgroup`, so there
/// are none.
pub(crate) fn name_of(marker: &str, number: u32) -> String {
    format!("{}.{number}", marker.replace(':', "-"))
}

fn owner_of(name: &str) -> Option<Owner> {
    let (marker, _) = name.split_once('.')?;
    Some(Marker::parse(&marker.replace('-', ":"))?.owner())
}

/// Ends what is in groups of dead owners, and removes them. What cannot be
/// removed, as it is another user's, is left and told in the log of this program.
pub(crate) fn remove_leftovers(is_dead: &dyn Fn(Owner) -> bool) {
    let (mounts, membership) = texts();
    for hierarchy in hierarchies(&mounts, &membership) {
        let found = leftovers(&hierarchy.mount, is_dead, DEEPEST);
        for folder in found {
            let removed = kill_all(&folder).and_then(|()| remove(&folder));
            if let Err(error) = removed {
                let group = folder.display();
                tracing::warn!(%group, %error, "the group of a run that was killed stays");
            }
        }
    }
}

/// Groups of dead owners below this one. A folder that cannot be read, or is gone
/// meanwhile, has none.
fn leftovers(folder: &Path, is_dead: &dyn Fn(Owner) -> bool, depth: usize) -> Vec<PathBuf> {
    let inner: io::Result<Vec<PathBuf>> = inner_groups(folder);
    let mut found = Vec::new();
    for one in inner.unwrap_or_default() {
        let name = one.file_name().and_then(|name| name.to_str());
        match name.and_then(owner_of) {
            Some(owner) if is_dead(owner) => found.push(one),
            // One that lives looks after what is in its own.
            Some(_) => {}
            None if depth > 0 => found.extend(leftovers(&one, is_dead, depth - 1)),
            None => {}
        }
    }
    found
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_groups_of_the_dead_are_found() {
        let folder = tempfile::tempdir().expect("a folder");
        let owner = |pid| Owner {
            pid,
            start_time: 5,
            namespace: 9,
        };
        let marker = |pid| Marker::for_owner(owner(pid)).expect("urandom");
        let (dead, alive) = (marker(7), marker(8));
        let name = name_of(dead.as_str(), 31);
        assert_eq!(owner_of(&name), Some(owner(7)));
        assert!(!name.contains(':'));
        let at = |path: &str| folder.path().join(path);
        for path in [
            format!("user.slice/a/{name}"),
            format!("{}/inner", name_of(alive.as_str(), 1)),
            "autotune1-strange.2".to_owned(),
        ] {
            std::fs::create_dir_all(at(&path)).expect("a folder");
        }
        let found = leftovers(folder.path(), &|owner| owner.pid == 7, DEEPEST);
        assert_eq!(found, [at("user.slice/a").join(&name)]);
    }
}
