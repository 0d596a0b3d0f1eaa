//! In which order kept connections were last used, so that the one that is
//! unused for the longest is found at once. A list over the slots of the pool:
//! nothing is allocated for a request, and there is no timer for a connection.

/// One slot in the list.
#[derive(Clone, Copy, Debug, Default)]
struct Node {
    before: Option<u32>,
    after: Option<u32>,
    since_ns: u64,
}

/// The slots of kept connections, the one that is unused for the longest first.
#[derive(Debug, Default)]
pub(crate) struct KeptOrder {
    nodes: Vec<Node>,
    first: Option<u32>,
    last: Option<u32>,
}

impl KeptOrder {
    /// The connection on this slot, which is not in the list, is unused from now.
    pub(crate) fn push(&mut self, slot: u32, since_ns: u64) {
        let index = slot as usize;
        if self.nodes.len() <= index {
            self.nodes.resize(index + 1, Node::default());
        }
        self.nodes[index] = Node {
            before: self.last,
            after: None,
            since_ns,
        };
        match self.last {
            Some(last) => self.nodes[last as usize].after = Some(slot),
            None => self.first = Some(slot),
        }
        self.last = Some(slot);
    }

    /// The connection on this slot, which is in the list, is used or closed.
    pub(crate) fn remove(&mut self, slot: u32) {
        let Node { before, after, .. } = self.nodes[slot as usize];
        match before {
            Some(before) => self.nodes[before as usize].after = after,
            None => self.first = after,
        }
        match after {
            Some(after) => self.nodes[after as usize].before = before,
            None => self.last = before,
        }
    }

    /// The slot that is unused for the longest, and since when.
    pub(crate) fn oldest(&self) -> Option<(u32, u64)> {
        let slot = self.first?;
        Some((slot, self.nodes[slot as usize].since_ns))
    }
}

#[cfg(test)]
mod tests {
    use std::collections::VecDeque;

    use proptest::prelude::*;

    use super::*;

    proptest! {
        /// The same as a queue from whose middle things are taken.
        #[test]
        fn the_oldest_is_that_of_a_queue(slots in prop::collection::vec(0u32..8, 0..200)) {
            let mut order = KeptOrder::default();
            let mut queue: VecDeque<(u32, u64)> = VecDeque::new();
            for (slot, now) in slots.into_iter().zip(0u64..) {
                if let Some(at) = queue.iter().position(|(kept, _)| *kept == slot) {
                    queue.remove(at);
                    order.remove(slot);
                } else {
                    queue.push_back((slot, now));
                    order.push(slot, now);
                }
                prop_assert_eq!(order.oldest(), queue.front().copied());
            }
        }
    }
}
