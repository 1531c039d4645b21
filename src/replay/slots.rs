//! The places among the requests that may be on their way at once.
//!
//! Whoever waits for one gets it in the order of the capture, and not in that of asking: so few captured connections are
//! under way at a time, each to its end, as they were when they were captured, and no more connections are open than that
//! takes.
//!
//! Places are taken where requests are sent and given back where outcomes are kept, on another thread. Those that
//! are given back while the sender does something else are counted, and it is woken once for all of them.

use std::collections::BTreeMap;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use tokio::sync::{Notify, oneshot};

/// All places.
pub(super) struct Slots {
    state: Mutex<State>,
    returned: Arc<Returned>,
    /// Nobody waits any more.
    served: Notify,
}

/// Invariant: nobody waits while there is a free place.
struct State {
    free: usize,
    /// Who waits, by its number in the order of the capture.
    waiting: BTreeMap<u64, oneshot::Sender<Slot>>,
}

/// Places that were given back and cannot be taken yet.
#[derive(Debug, Default)]
struct Returned {
    count: AtomicUsize,
    some: Notify,
}

/// A place among the requests that may be on their way at once; empty where nothing was sent. It is free when
/// this is dropped.
#[derive(Debug, Default)]
pub struct Slot(Option<Arc<Returned>>);

impl Slot {
    /// Whether it is the place of nothing that was sent.
    pub(super) const fn is_empty(&self) -> bool {
        self.0.is_none()
    }
}

impl Slots {
    pub(super) fn new(count: usize) -> Self {
        let state = State { free: count.max(1), waiting: BTreeMap::new() };
        Self { state: Mutex::new(state), returned: Arc::default(), served: Notify::new() }
    }

    /// A place, where one is free: nobody waits then.
    pub(super) fn try_take(&self) -> Option<Slot> {
        let mut state = self.state();
        self.collect(&mut state);
        state.free = state.free.checked_sub(1)?;
        Some(self.slot())
    }

    /// A place for the request of this number in the order of the capture, as soon as one is free for it.
    pub(super) async fn take(&self, number: u64) -> Slot {
        if let Some(slot) = self.try_take() {
            return slot;
        }
        let (give, given) = oneshot::channel();
        self.state().waiting.insert(number, give);
        // It is given one before the places themselves are gone.
        given.await.unwrap_or_default()
    }

    /// The place that a request had, for the one of this number, which follows it; `None` where one before that
    /// waits for it, and has it.
    pub(super) fn pass_on(&self, slot: Slot, number: u64) -> Option<Slot> {
        let mut state = self.state();
        self.collect(&mut state);
        if state.waiting.first_key_value().is_none_or(|(first, _)| number < *first) {
            return Some(slot);
        }
        self.give(&mut state, slot);
        None
    }

    /// Waits until nobody waits. One task may do so.
    pub(super) async fn all_are_served(&self) {
        while !self.state().waiting.is_empty() {
            self.served.notified().await;
        }
    }

    /// Makes places that are given back free, for as long as it is polled.
    pub(super) async fn usher(&self) {
        loop {
            self.returned.some.notified().await;
            self.collect(&mut self.state());
        }
    }

    /// Gives places that were given back to those who wait.
    fn collect(&self, state: &mut State) {
        if self.returned.count.load(Ordering::Relaxed) == 0 {
            return;
        }
        for _ in 0..self.returned.count.swap(0, Ordering::AcqRel) {
            self.give(state, self.slot());
        }
    }

    /// Gives a place to the first who waits and has not given up; it is free if there is none.
    fn give(&self, state: &mut State, mut slot: Slot) {
        while let Some((_, give)) = state.waiting.pop_first() {
            if state.waiting.is_empty() {
                self.served.notify_one();
            }
            match give.send(slot) {
                Ok(()) => return,
                Err(back) => slot = back,
            }
        }
        slot.0 = None;
        state.free += 1;
    }

    fn slot(&self) -> Slot {
        Slot(Some(Arc::clone(&self.returned)))
    }

    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Drop for Slot {
    fn drop(&mut self) {
        if let Some(returned) = &self.0
            && returned.count.fetch_add(1, Ordering::AcqRel) == 0
        {
            returned.some.notify_one();
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn a_place_that_is_given_back_goes_to_the_request_that_is_first_in_the_capture() {
        let slots = Arc::new(Slots::new(2));
        let (first, second) = (slots.take(0).await, slots.take(1).await);
        assert!(slots.try_take().is_none());
        let usher = Arc::clone(&slots);
        let usher = tokio::spawn(async move { usher.usher().await });
        let (told, mut order) = tokio::sync::mpsc::unbounded_channel();
        let mut waiting = Vec::new();
        for number in [7, 9, 5, 8] {
            let (slots, told) = (Arc::clone(&slots), told.clone());
            let waits = async move { told.send((number, slots.take(number).await)).unwrap() };
            waiting.push(tokio::spawn(waits));
            tokio::task::yield_now().await;
        }
        // One gives up.
        waiting.remove(2).abort();
        std::thread::spawn(move || drop((first, second))).join().unwrap();
        let (one, other) = (order.recv().await.unwrap(), order.recv().await.unwrap());
        assert_eq!((one.0, other.0), (7, 8));
        assert!(order.try_recv().is_err() && slots.try_take().is_none());
        // The connection of 7 goes on with a request that is before 9, and then with one that is not.
        let kept = slots.pass_on(one.1, 8).unwrap();
        assert!(slots.pass_on(kept, 10).is_none());
        let last = order.recv().await.unwrap();
        drop(other);
        let free = slots.try_take();
        assert!(last.0 == 9 && free.is_some() && slots.try_take().is_none());
        usher.abort();
    }

    #[tokio::test]
    async fn all_are_served_when_the_last_who_waits_has_a_place_or_has_given_up() {
        let slots = Arc::new(Slots::new(1));
        slots.all_are_served().await;
        let first = slots.take(0).await;
        let waits = |number| {
            let slots = Arc::clone(&slots);
            tokio::spawn(async move { slots.take(number).await })
        };
        let (second, third) = (waits(1), waits(2));
        let all = Arc::clone(&slots);
        let all = tokio::spawn(async move { all.all_are_served().await });
        tokio::task::yield_now().await;
        drop(first);
        slots.collect(&mut slots.state());
        let second = second.await.unwrap();
        assert!(!all.is_finished(), "the third waits");
        third.abort();
        assert!(third.await.is_err());
        drop(second);
        slots.collect(&mut slots.state());
        all.await.unwrap();
    }

    #[test]
    fn a_place_can_be_taken_again_without_anybody_who_waits() {
        let slots = Slots::new(1);
        for _ in 0..3 {
            let taken = slots.try_take();
            assert!(taken.is_some() && slots.try_take().is_none());
        }
        drop(Slot::default());
        assert!(slots.try_take().is_some());
    }
}
