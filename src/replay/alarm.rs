//! The alarm of a connection: set for each request, and hardly ever heard.
//!
//! To tell the runtime's timer of each request, and to take it back with each answer, would cost more than the
//! alarm is worth. So the timer is told of the first one, and of an earlier one; one that is later is told of
//! when the timer has run out for nothing.

use std::future::Future;
use std::pin::Pin;
use std::task::{Context, Poll, ready};

use tokio::time::{Instant, Sleep, sleep_until};

/// Rings at an instant that can be moved.
pub(super) struct Alarm {
    sleep: Pin<Box<Sleep>>,
    at: Instant,
}

impl Alarm {
    /// One that rings then. It belongs to the runtime that it is made on.
    pub(super) fn at(at: Instant) -> Self {
        Self { sleep: Box::pin(sleep_until(at)), at }
    }

    /// It rings then, and not before.
    pub(super) fn set(&mut self, at: Instant) {
        self.at = at;
        if at < self.sleep.deadline() {
            self.sleep.as_mut().reset(at);
        }
    }

    /// Whether it should have rung by now, also where nobody polls it.
    pub(super) fn is_past(&self) -> bool {
        Instant::now() >= self.at
    }

    /// Waits until it rings.
    pub(super) fn poll(&mut self, cx: &mut Context<'_>) -> Poll<()> {
        loop {
            ready!(self.sleep.as_mut().poll(cx));
            if self.is_past() {
                return Poll::Ready(());
            }
            self.sleep.as_mut().reset(self.at);
        }
    }
}

#[cfg(test)]
mod tests {
    use std::future::poll_fn;
    use std::time::Duration;

    use super::*;

    #[tokio::test(start_paused = true)]
    async fn it_rings_when_it_was_set_for_last_and_not_before() {
        let start = Instant::now();
        let after = |seconds| start + Duration::from_secs(seconds);
        let mut alarm = Alarm::at(after(30));
        for (set, rings) in [(after(60), 60), (after(200), 200), (after(100), 200), (after(250), 250)] {
            alarm.set(set);
            poll_fn(|cx| alarm.poll(cx)).await;
            assert_eq!(start.elapsed().as_secs(), rings);
        }
        alarm.set(after(500));
        assert!(tokio::time::timeout(Duration::from_secs(5), poll_fn(|cx| alarm.poll(cx))).await.is_err());
        alarm.set(after(300));
        assert!(!alarm.is_past());
        poll_fn(|cx| alarm.poll(cx)).await;
        assert_eq!(start.elapsed().as_secs(), 300);
        assert!(alarm.is_past());
    }
}
