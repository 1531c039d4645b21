//! Wakes requests when they are due, to within the kernel's timer.
//!
//! The runtime's own timer counts whole milliseconds and rounds up, which is a good part of the time that
//! a request may be late. Here a thread of its own sleeps on the monotonic clock until the next due time
//! and then wakes the task that waits. A step of the system's clock does not reach it.

use std::cmp::{Ordering, Reverse};
use std::collections::BinaryHeap;
use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError};
use std::thread;

use tokio::sync::oneshot;
use tokio::time::{Instant, sleep_until};

/// The timer of one replay; its thread ends when it is dropped.
pub(super) struct Pacer {
    /// `None` where the system gave no thread: then the runtime's timer must do.
    shared: Option<Arc<Shared>>,
}

#[derive(Default)]
struct Shared {
    state: Mutex<State>,
    changed: Condvar,
}

#[derive(Default)]
struct State {
    waiting: BinaryHeap<Reverse<Waiting>>,
    closed: bool,
}

struct Waiting {
    at: Instant,
    wake: oneshot::Sender<()>,
}

impl Pacer {
    pub(super) fn start() -> Self {
        let shared = Arc::new(Shared::default());
        let timer = Arc::clone(&shared);
        let spawned = thread::Builder::new().name("pacing".to_owned()).spawn(move || timer.run());
        Self { shared: spawned.is_ok().then_some(shared) }
    }

    /// Returns at that instant, or at once if it is past.
    pub(super) async fn until(&self, at: Instant) {
        if at <= Instant::now() {
            return;
        }
        let Some(shared) = &self.shared else { return sleep_until(at).await };
        let (wake, woken) = oneshot::channel();
        shared.add(Waiting { at, wake });
        // The sender goes when the timer does, and with it the replay.
        woken.await.ok();
    }
}

impl Drop for Pacer {
    fn drop(&mut self) {
        if let Some(shared) = &self.shared {
            shared.state().closed = true;
            shared.changed.notify_one();
        }
    }
}

impl Shared {
    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn add(&self, waiting: Waiting) {
        let mut state = self.state();
        let first = state.waiting.peek().is_none_or(|Reverse(next)| waiting < *next);
        state.waiting.push(Reverse(waiting));
        if first {
            self.changed.notify_one();
        }
    }

    fn run(&self) {
        let mut state = self.state();
        while !state.closed {
            let now = Instant::now();
            state = match state.waiting.peek() {
                Some(Reverse(next)) if next.at <= now => {
                    if let Some(Reverse(due)) = state.waiting.pop() {
                        // Whoever waited may have been told to stop.
                        due.wake.send(()).ok();
                    }
                    state
                }
                Some(Reverse(next)) => {
                    let wait = next.at - now;
                    self.changed.wait_timeout(state, wait).unwrap_or_else(PoisonError::into_inner).0
                }
                None => self.changed.wait(state).unwrap_or_else(PoisonError::into_inner),
            };
        }
    }
}

impl PartialEq for Waiting {
    fn eq(&self, other: &Self) -> bool {
        self.at == other.at
    }
}

impl Eq for Waiting {}

impl PartialOrd for Waiting {
    fn partial_cmp(&self, other: &Self) -> Option<Ordering> {
        Some(self.cmp(other))
    }
}

impl Ord for Waiting {
    fn cmp(&self, other: &Self) -> Ordering {
        self.at.cmp(&other.at)
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;

    #[tokio::test]
    async fn whatever_the_order_of_asking_nobody_is_woken_early_and_the_earliest_is_first() {
        let pacer = Arc::new(Pacer::start());
        let start = Instant::now();
        let (woken, mut order) = tokio::sync::mpsc::unbounded_channel();
        for millis in [40_u64, 5, 30, 0, 20] {
            let (pacer, woken) = (Arc::clone(&pacer), woken.clone());
            tokio::spawn(async move {
                pacer.until(start + Duration::from_millis(millis)).await;
                assert!(start.elapsed() >= Duration::from_millis(millis));
                woken.send(millis).unwrap();
            });
        }
        drop(woken);
        let mut seen = Vec::new();
        while let Some(millis) = order.recv().await {
            seen.push(millis);
        }
        assert_eq!(seen, [0, 5, 20, 30, 40]);
    }

    #[tokio::test]
    async fn one_that_gives_up_waiting_holds_up_nobody() {
        let pacer = Pacer::start();
        let start = Instant::now();
        let near = start + Duration::from_millis(5);
        assert!(tokio::time::timeout(Duration::ZERO, pacer.until(near)).await.is_err());
        pacer.until(start + Duration::from_millis(10)).await;
        assert!(start.elapsed() >= Duration::from_millis(10));
    }
}
