//! Which connections have news. The dispatcher is one future; each connection
//! slot has a waker of its own, so that only those are looked at that the
//! kernel named. Leaves the looking to `engine`.

use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::task::{Wake, Waker};

/// The slots with news, and whom to tell.
#[derive(Debug, Default)]
pub(crate) struct WakeHub {
    state: Mutex<State>,
}

#[derive(Debug, Default)]
struct State {
    /// Slots with news, each at most once.
    ready: Vec<u32>,
    /// By slot: whether it is in `ready`.
    listed: Vec<bool>,
    engine: Option<Waker>,
}

#[derive(Debug)]
struct SlotWaker {
    hub: Arc<WakeHub>,
    slot: u32,
}

impl WakeHub {
    /// Who is woken on news.
    pub(crate) fn register(&self, engine: &Waker) {
        let mut state = self.lock();
        if !state
            .engine
            .as_ref()
            .is_some_and(|known| known.will_wake(engine))
        {
            state.engine = Some(engine.clone());
        }
    }

    /// The waker of this slot.
    pub(crate) fn waker(self: &Arc<Self>, slot: u32) -> Waker {
        let mut state = self.lock();
        let needed = slot as usize + 1;
        if state.listed.len() < needed {
            state.listed.resize(needed, false);
        }
        Waker::from(Arc::new(SlotWaker {
            hub: Arc::clone(self),
            slot,
        }))
    }

    /// Moves the slots with news into this empty list.
    pub(crate) fn take_ready(&self, into: &mut Vec<u32>) {
        let mut state = self.lock();
        std::mem::swap(&mut state.ready, into);
        for slot in into {
            state.listed[*slot as usize] = false;
        }
    }

    // Nothing can panic while the lock is held, so a poisoned one is whole.
    fn lock(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Wake for SlotWaker {
    fn wake(self: Arc<Self>) {
        self.wake_by_ref();
    }

    fn wake_by_ref(self: &Arc<Self>) {
        let mut state = self.hub.lock();
        let slot = self.slot as usize;
        if !std::mem::replace(&mut state.listed[slot], true) {
            state.ready.push(self.slot);
        }
        let engine = state.engine.clone();
        drop(state);
        if let Some(engine) = engine {
            engine.wake();
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_slot_is_listed_once_until_taken() {
        let hub = Arc::new(WakeHub::default());
        let wakers = [hub.waker(0), hub.waker(1)];
        let mut ready = Vec::new();
        wakers[1].wake_by_ref();
        wakers[0].wake_by_ref();
        wakers[1].wake_by_ref();
        hub.take_ready(&mut ready);
        assert_eq!(ready, [1, 0]);
        ready.clear();
        wakers[1].wake_by_ref();
        hub.take_ready(&mut ready);
        assert_eq!(ready, [1]);
    }
}
