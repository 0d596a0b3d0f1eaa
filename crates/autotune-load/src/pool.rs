//! The connections: which are open, which are free, and how many may be.
//! Leaves what happens on them to `engine`.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::task::Waker;

use crate::connection::Connection;
use crate::flights::FlightId;
use crate::kept::KeptOrder;
use crate::transport::Transport;
use crate::wake::WakeHub;

/// What is on one slot.
pub(crate) enum Slot<T: Transport> {
    /// Nothing.
    Free,
    /// A connection on its way.
    Connecting {
        /// Its way.
        connecting: T::Connecting,
        /// For whom.
        flight: FlightId,
    },
    /// A connection with a request on it.
    Busy {
        /// The connection.
        connection: Connection<T::Stream>,
        /// The request.
        flight: FlightId,
    },
    /// A connection that is kept for the next request.
    Idle {
        /// The connection.
        connection: Connection<T::Stream>,
    },
}

/// All connections of one load.
pub(crate) struct Pool<T: Transport> {
    slots: Vec<Slot<T>>,
    wakers: Vec<Waker>,
    free: Vec<u32>,
    /// Kept connections of nobody in particular; the last one is taken first.
    idle: Vec<u32>,
    /// Kept connections of users: a user comes back on the same connection.
    idle_of_user: BTreeMap<u32, u32>,
    /// Since when each is unused, where that matters.
    unused: Option<KeptOrder>,
    limit: u32,
    open: u32,
    peak: u32,
    hub: Arc<WakeHub>,
}

impl<T: Transport> Pool<T> {
    /// With at most this many connections.
    pub(crate) fn new(limit: u32, hub: Arc<WakeHub>) -> Self {
        Self::of(limit, None, hub)
    }

    /// The same, knowing which of the kept ones is unused for the longest.
    pub(crate) fn knowing_unused(limit: u32, hub: Arc<WakeHub>) -> Self {
        Self::of(limit, Some(KeptOrder::default()), hub)
    }

    fn of(limit: u32, unused: Option<KeptOrder>, hub: Arc<WakeHub>) -> Self {
        Self {
            slots: Vec::new(),
            wakers: Vec::new(),
            free: Vec::new(),
            idle: Vec::new(),
            idle_of_user: BTreeMap::new(),
            unused,
            limit,
            open: 0,
            peak: 0,
            hub,
        }
    }

    /// Whether one more may be opened.
    pub(crate) fn has_room(&self) -> bool {
        self.open < self.limit
    }

    /// The most that were open at one time.
    pub(crate) fn peak(&self) -> u32 {
        self.peak
    }

    /// The most that may be open.
    pub(crate) fn limit(&self) -> u32 {
        self.limit
    }

    /// A slot for a new connection, with what it holds; only with room.
    pub(crate) fn open(&mut self, content: Slot<T>) -> u32 {
        self.open += 1;
        self.peak = self.peak.max(self.open);
        if let Some(slot) = self.free.pop() {
            self.put(slot, content);
            return slot;
        }
        let slot = u32::try_from(self.slots.len()).expect("the limit is a u32");
        self.slots.push(content);
        self.wakers.push(self.hub.waker(slot));
        slot
    }

    /// What is on the slot, which is empty until something is put there again.
    pub(crate) fn take(&mut self, slot: u32) -> Slot<T> {
        std::mem::replace(&mut self.slots[slot as usize], Slot::Free)
    }

    /// Puts it on the slot.
    pub(crate) fn put(&mut self, slot: u32, content: Slot<T>) {
        self.slots[slot as usize] = content;
    }

    /// Closes what is on the slot.
    pub(crate) fn close(&mut self, slot: u32) {
        self.put(slot, Slot::Free);
        self.free.push(slot);
        self.open -= 1;
    }

    /// Whether a connection is still on its way there.
    pub(crate) fn is_connecting(&self, slot: u32) -> bool {
        matches!(self.slots[slot as usize], Slot::Connecting { .. })
    }

    /// Keeps a connection from now, for this user if it is one's.
    pub(crate) fn keep(
        &mut self,
        slot: u32,
        (user, now_ns): (Option<u32>, u64),
        connection: Connection<T::Stream>,
    ) {
        self.put(slot, Slot::Idle { connection });
        if let Some(unused) = &mut self.unused {
            unused.push(slot, now_ns);
        }
        match user {
            Some(user) => drop(self.idle_of_user.insert(user, slot)),
            None => self.idle.push(slot),
        }
    }

    /// Takes a kept connection, for this user if it is one's.
    pub(crate) fn take_kept(&mut self, user: Option<u32>) -> Option<u32> {
        let slot = match user {
            Some(user) => self.idle_of_user.remove(&user),
            None => self.idle.pop(),
        }?;
        if let Some(unused) = &mut self.unused {
            unused.remove(slot);
        }
        Some(slot)
    }

    /// Closes a kept connection. Rare, so the lists are searched.
    pub(crate) fn close_kept(&mut self, slot: u32) {
        self.idle.retain(|kept| *kept != slot);
        self.idle_of_user.retain(|_, kept| *kept != slot);
        if let Some(unused) = &mut self.unused {
            unused.remove(slot);
        }
        self.close(slot);
    }

    /// The kept connection that is unused for the longest, and since when; `None`
    /// also where nobody asked for it.
    pub(crate) fn longest_unused(&self) -> Option<(u32, u64)> {
        self.unused.as_ref()?.oldest()
    }

    /// The waker of the slot.
    pub(crate) fn waker(&self, slot: u32) -> Waker {
        self.wakers[slot as usize].clone()
    }
}
