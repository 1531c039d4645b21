//! Outcomes on their way to whoever takes them: those that come about together are handed on together, so that the
//! thread that takes them is not woken for each.

use std::mem;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use tokio::sync::{Notify, mpsc};

/// Of so many outcomes some should be handed on before others come.
const BATCH: usize = 128;

/// Where outcomes are put. What `S` is lives until they have been handed on.
pub(super) struct Outbox<D, S> {
    state: Mutex<State<D, S>>,
    changed: Notify,
}

struct State<D, S> {
    waiting: Vec<D>,
    held: Vec<S>,
    closed: bool,
}

impl<D, S> Outbox<D, S> {
    pub(super) fn new() -> Arc<Self> {
        let state = State { waiting: Vec::new(), held: Vec::new(), closed: false };
        Arc::new(Self { state: Mutex::new(state), changed: Notify::new() })
    }

    /// Whether another outcome may come on top of those that wait, though nothing is held for it that is scarce.
    pub(super) fn has_room(&self) -> bool {
        self.state().waiting.len() < BATCH
    }

    pub(super) fn put(&self, outcome: D, held: S) {
        let mut state = self.state();
        if state.waiting.is_empty() {
            state.waiting.reserve(BATCH);
        }
        state.waiting.push(outcome);
        state.held.push(held);
        let is_first = state.waiting.len() == 1;
        drop(state);
        if is_first {
            self.changed.notify_one();
        }
    }

    /// Nothing more is put in.
    pub(super) fn close(&self) {
        self.state().closed = true;
        self.changed.notify_one();
    }

    /// Hands outcomes on until the last one.
    pub(super) async fn deliver(&self, to: mpsc::Sender<Vec<D>>) {
        let mut held = Vec::new();
        loop {
            let (waiting, closed) = {
                let mut state = self.state();
                mem::swap(&mut state.held, &mut held);
                (mem::take(&mut state.waiting), state.closed)
            };
            if waiting.is_empty() {
                if closed {
                    return;
                }
                self.changed.notified().await;
                continue;
            }
            // Nobody to tell is no reason to stop: the caller has gone, and the work will close, too.
            to.send(waiting).await.ok();
            held.clear();
        }
    }

    fn state(&self) -> MutexGuard<'_, State<D, S>> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn all_that_is_put_in_arrives_in_its_order() {
        let outbox = Outbox::new();
        let (sender, mut receiver) = mpsc::channel(4);
        let delivering = Arc::clone(&outbox);
        let delivering = tokio::spawn(async move { delivering.deliver(sender).await });
        for number in 0..10 {
            outbox.put(number, ());
        }
        assert_eq!(receiver.recv().await, Some((0..10).collect()));
        (10..20).for_each(|number| outbox.put(number, ()));
        outbox.close();
        assert_eq!(receiver.recv().await, Some((10..20).collect()));
        assert_eq!(receiver.recv().await, None);
        delivering.await.unwrap();
    }
}
