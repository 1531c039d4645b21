//! The places among the requests that may be on their way at once.
//!
//! They are taken where requests are sent and given back where outcomes are kept, on another thread. Those that
//! are given back while the sender does something else are counted, and it is woken once for all of them.

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use tokio::sync::{Notify, Semaphore};

/// All places.
pub(super) struct Slots {
    free: Semaphore,
    returned: Arc<Returned>,
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

impl Slots {
    pub(super) fn new(count: usize) -> Self {
        Self { free: Semaphore::new(count.clamp(1, Semaphore::MAX_PERMITS)), returned: Arc::default() }
    }

    /// A place, where one is free and nobody waits for it.
    pub(super) fn try_take(&self) -> Option<Slot> {
        let permit = self.free.try_acquire().or_else(|_| {
            self.collect();
            self.free.try_acquire()
        });
        permit.ok().map(|permit| {
            permit.forget();
            Slot(Some(Arc::clone(&self.returned)))
        })
    }

    /// The next free place, in the order of asking.
    pub(super) async fn take(&self) -> Slot {
        // It is never closed.
        if let Ok(permit) = self.free.acquire().await {
            permit.forget();
        }
        Slot(Some(Arc::clone(&self.returned)))
    }

    /// Makes places that are given back free, for as long as it is polled.
    pub(super) async fn usher(&self) {
        loop {
            self.returned.some.notified().await;
            self.collect();
        }
    }

    fn collect(&self) {
        let count = self.returned.count.swap(0, Ordering::AcqRel);
        if count > 0 {
            self.free.add_permits(count);
        }
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
    async fn a_place_that_is_given_back_goes_to_whoever_has_waited_longest() {
        let slots = Arc::new(Slots::new(2));
        let (first, second) = (slots.take().await, slots.take().await);
        assert!(slots.try_take().is_none());
        let usher = Arc::clone(&slots);
        let usher = tokio::spawn(async move { usher.usher().await });
        let (told, mut order) = tokio::sync::mpsc::unbounded_channel();
        for number in 0..3 {
            let (slots, told) = (Arc::clone(&slots), told.clone());
            tokio::spawn(async move { told.send((number, slots.take().await)).unwrap() });
            tokio::task::yield_now().await;
        }
        std::thread::spawn(move || drop((first, second))).join().unwrap();
        let (zeroth, first) = (order.recv().await.unwrap(), order.recv().await.unwrap());
        assert_eq!((zeroth.0, first.0), (0, 1));
        assert!(order.try_recv().is_err() && slots.try_take().is_none());
        drop(zeroth);
        assert_eq!(order.recv().await.unwrap().0, 2);
        usher.abort();
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
