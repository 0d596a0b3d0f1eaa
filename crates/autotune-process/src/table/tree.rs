//! Which processes belong to one tree: found by parent ids, since the kernel's
//! own lists of children are only reliable for stopped ones.

use std::collections::BTreeMap;

use super::Entry;

/// All descendants of a process in order of their distance, those without
/// distance first; the process itself is not among them.
pub(crate) fn descendants(entries: &[Entry], root: u32) -> Vec<Entry> {
    let mut children: BTreeMap<u32, Vec<&Entry>> = BTreeMap::new();
    for entry in entries {
        children.entry(entry.parent).or_default().push(entry);
    }
    let mut found: Vec<Entry> = Vec::new();
    let mut next = 0;
    let mut parent = root;
    loop {
        // Taken out, so that a table read while it changed cannot make a circle.
        for child in children.remove(&parent).unwrap_or_default() {
            if child.key.pid != root {
                found.push(*child);
            }
        }
        let Some(entry) = found.get(next) else {
            return found;
        };
        parent = entry.key.pid;
        next += 1;
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::table::tests::entry;

    fn pids(pairs: &[(u32, u32)], root: u32) -> Vec<u32> {
        let entries: Vec<_> = pairs
            .iter()
            .map(|(pid, parent)| entry(*pid, *parent))
            .collect();
        descendants(&entries, root)
            .iter()
            .map(|entry| entry.key.pid)
            .collect()
    }

    #[test]
    fn descendants_are_found_at_any_depth_and_in_any_order() {
        let pairs = [(5, 4), (2, 1), (4, 2), (3, 2), (9, 1), (1, 0)];
        assert_eq!(pids(&pairs, 2), [4, 3, 5]);
        assert_eq!(pids(&pairs, 9), [0; 0]);
        assert_eq!(pids(&pairs, 77), [0; 0]);
    }

    #[test]
    fn a_circle_in_a_torn_table_ends() {
        assert_eq!(pids(&[(2, 3), (3, 2)], 2), [3]);
        assert_eq!(pids(&[(2, 2), (3, 2)], 2), [3]);
    }
}
