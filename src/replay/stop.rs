//! How a run is told to stop: once, and it finishes what is on its way; twice, and it drops that too.
//!
//! Every request waits for this besides its answer, and nearly always in vain. So a signal says once whom to
//! wake; after that, to look costs no more than to read a number.

use std::future::poll_fn;
use std::sync::atomic::{AtomicU8, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::task::{Context, Poll, Waker};

/// How far a run has been told to stop.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Stop {
    /// Not at all.
    Run,
    /// No further request is sent; those on their way may end.
    Finish,
    /// Nothing is waited for.
    Now,
}

/// The side that tells. When it is dropped, the run goes on as told last.
#[derive(Debug)]
pub struct StopHandle(Arc<Shared>);

/// The side that is told.
#[derive(Debug)]
pub struct StopSignal {
    shared: Arc<Shared>,
    /// Who is woken, and its place among those who are; `None` until somebody waits.
    told: Option<(usize, Waker)>,
}

#[derive(Debug, Default)]
struct Shared {
    /// A [`Stop`] as a number. Written before the listeners are looked at, and read after they are written.
    stop: AtomicU8,
    listeners: Mutex<Listeners>,
}

#[derive(Debug, Default)]
struct Listeners {
    wakers: Vec<Option<Waker>>,
    free: Vec<usize>,
}

/// A handle and the signal that hears it.
#[must_use]
pub fn stop_channel() -> (StopHandle, StopSignal) {
    let shared = Arc::new(Shared::default());
    (StopHandle(Arc::clone(&shared)), StopSignal { shared, told: None })
}

impl StopHandle {
    /// One step further: from running to finishing, from finishing to now.
    pub fn raise(&self) {
        let listeners = self.0.listeners();
        let next = if self.0.state() == Stop::Run { Stop::Finish } else { Stop::Now };
        self.0.stop.store(next as u8, Ordering::Release);
        let wakers: Vec<_> = listeners.wakers.iter().flatten().cloned().collect();
        drop(listeners);
        wakers.iter().for_each(Waker::wake_by_ref);
    }

    /// A further signal that hears this handle.
    pub(super) fn signal(&self) -> StopSignal {
        StopSignal { shared: Arc::clone(&self.0), told: None }
    }
}

impl StopSignal {
    /// How far the run has been told to stop.
    #[must_use]
    pub fn state(&self) -> Stop {
        self.shared.state()
    }

    /// Waits until the run is told to stop at least so far; for ever, if it never is.
    pub async fn reached(&mut self, stop: Stop) {
        poll_fn(|cx| self.poll_reached(cx, stop)).await;
    }

    /// The same for a task that waits for other things besides.
    pub(super) fn poll_reached(&mut self, cx: &mut Context<'_>, stop: Stop) -> Poll<()> {
        let is_told = self.told.as_ref().is_some_and(|(_, waker)| waker.will_wake(cx.waker()));
        if !is_told {
            self.tell(cx.waker());
        }
        if self.state() >= stop { Poll::Ready(()) } else { Poll::Pending }
    }

    fn tell(&mut self, waker: &Waker) {
        let mut listeners = self.shared.listeners();
        let place = match self.told.take() {
            Some((place, _)) => place,
            None => listeners.place(),
        };
        if let Some(listener) = listeners.wakers.get_mut(place) {
            *listener = Some(waker.clone());
        }
        drop(listeners);
        self.told = Some((place, waker.clone()));
    }
}

/// Another listener: nobody waits by it yet.
impl Clone for StopSignal {
    fn clone(&self) -> Self {
        Self { shared: Arc::clone(&self.shared), told: None }
    }
}

impl Drop for StopSignal {
    fn drop(&mut self) {
        if let Some((place, _)) = self.told.take() {
            let mut listeners = self.shared.listeners();
            let unneeded = listeners.wakers.get_mut(place).and_then(Option::take);
            listeners.free.push(place);
            drop(listeners);
            // It may be the last of a task, whose end must not find the listeners locked.
            drop(unneeded);
        }
    }
}

impl Shared {
    fn state(&self) -> Stop {
        match self.stop.load(Ordering::Acquire) {
            0 => Stop::Run,
            1 => Stop::Finish,
            _ => Stop::Now,
        }
    }

    fn listeners(&self) -> MutexGuard<'_, Listeners> {
        self.listeners.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Listeners {
    fn place(&mut self) -> usize {
        self.free.pop().unwrap_or_else(|| {
            self.wakers.push(None);
            self.wakers.len() - 1
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn whoever_waits_is_woken_at_the_step_that_it_waits_for() {
        let (handle, signal) = stop_channel();
        let waits = |stop| {
            let mut signal = signal.clone();
            tokio::spawn(async move {
                signal.reached(stop).await;
                signal.state()
            })
        };
        let (finish, now) = (waits(Stop::Finish), waits(Stop::Now));
        tokio::task::yield_now().await;
        handle.raise();
        assert_eq!(finish.await.unwrap(), Stop::Finish);
        assert!(!now.is_finished());
        handle.raise();
        assert_eq!(now.await.unwrap(), Stop::Now);
        handle.raise();
        assert_eq!(signal.state(), Stop::Now);
    }

    #[tokio::test]
    async fn a_signal_tells_each_task_that_waits_by_it_and_leaves_nothing_behind() {
        let (handle, mut signal) = stop_channel();
        for _ in 0..3 {
            signal = tokio::spawn(async move {
                let timeout = tokio::time::timeout(std::time::Duration::ZERO, signal.reached(Stop::Finish));
                assert!(timeout.await.is_err());
                signal
            })
            .await
            .unwrap();
        }
        assert_eq!(handle.0.listeners().wakers.len(), 1);
        let waiting = tokio::spawn(async move { signal.reached(Stop::Finish).await });
        tokio::task::yield_now().await;
        handle.raise();
        waiting.await.unwrap();
        assert!(handle.0.listeners().wakers.iter().all(Option::is_none));
    }
}
