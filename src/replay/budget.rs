//! How many bytes of requests may wait at once.
//!
//! One task takes shares and many give them back. Where the budget is spent, it waits until a part of it is back, and
//! then goes on with several requests at once: to be woken for each would cost more than to hand it on.

use std::future::poll_fn;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::task::{Context, Poll, Waker};

/// The budget. Only one task may wait for it at a time.
pub(super) struct Budget {
    whole: u32,
    /// How much of it has to be free for one who waits, at least.
    part: u32,
    state: Mutex<State>,
}

#[derive(Default)]
struct State {
    taken: u32,
    /// Who waits, and how much has to be free for it to go on.
    waiting: Option<(u32, Waker)>,
}

/// A part of the budget, given back when it is dropped.
pub(super) struct Share {
    budget: Arc<Budget>,
    bytes: u32,
}

impl Budget {
    /// So much. Whoever waits goes on when one of so many parts of it is free.
    pub(super) fn new(bytes: u32, parts: u32) -> Arc<Self> {
        let whole = bytes.max(1);
        Arc::new(Self { whole, part: whole / parts, state: Mutex::default() })
    }

    /// So much of it, as soon as it is free. Who wants more than all of it gets all of it.
    pub(super) async fn take(self: &Arc<Self>, bytes: usize) -> Share {
        let bytes = u32::try_from(bytes).unwrap_or(u32::MAX).min(self.whole);
        poll_fn(|cx| self.poll_take(cx, bytes)).await;
        Share { budget: Arc::clone(self), bytes }
    }

    fn poll_take(&self, cx: &mut Context<'_>, bytes: u32) -> Poll<()> {
        let mut state = self.state();
        if bytes <= self.whole - state.taken {
            state.taken += bytes;
            return Poll::Ready(());
        }
        state.waiting = Some((bytes.max(self.part), cx.waker().clone()));
        Poll::Pending
    }

    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Drop for Share {
    fn drop(&mut self) {
        let mut state = self.budget.state();
        state.taken -= self.bytes;
        let free = self.budget.whole - state.taken;
        let waker = state.waiting.take_if(|(wanted, _)| *wanted <= free);
        drop(state);
        if let Some((_, waker)) = waker {
            waker.wake();
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn what_is_taken_is_never_more_than_all_and_whoever_waits_gets_its_share() {
        let budget = Budget::new(100, 16);
        let mut shares = vec![budget.take(60).await, budget.take(40).await];
        let waiting = Arc::clone(&budget);
        let waiting = tokio::spawn(async move { waiting.take(50).await });
        tokio::task::yield_now().await;
        shares.pop();
        tokio::task::yield_now().await;
        assert!(!waiting.is_finished(), "40 are free");
        shares.pop();
        assert_eq!(waiting.await.unwrap().bytes, 50);
        assert_eq!(budget.take(1_000_000).await.bytes, 100, "all of it, which is free again");
        assert_eq!(budget.state().taken, 0);
    }
}
