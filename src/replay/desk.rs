//! Where workers that have served their lane wait for another one.
//!
//! On captured connections that were open side by side lanes have a request at a time: a task that is made for each, and
//! let go of behind it, costs more than what it does.

use std::sync::{Mutex, MutexGuard, PoisonError};

use tokio::sync::oneshot;

use super::lanes::LaneKey;

/// Who waits, the one that came last at the end: what it last touched is in the nearest cache. `None` once nothing more will
/// have to be served.
pub(super) struct Desk {
    idle: Mutex<Option<Vec<oneshot::Sender<LaneKey>>>>,
    most: usize,
}

impl Desk {
    /// Nobody waits yet, and at no time will more than so many.
    pub(super) fn new(most: usize) -> Self {
        Self { idle: Mutex::new(Some(Vec::new())), most }
    }

    /// Has a worker that waits serve a lane. Whether there is one.
    #[must_use]
    pub(super) fn call(&self, key: LaneKey) -> bool {
        let mut idle = self.idle();
        let idle = idle.iter_mut().flat_map(|idle| std::iter::from_fn(|| idle.pop()));
        // One that has gone away since it came is passed over.
        idle.map(|worker| worker.send(key)).any(|called| called.is_ok())
    }

    /// The lane that a worker has to serve next; `None` where it has to end.
    pub(super) async fn next(&self) -> Option<LaneKey> {
        self.wait()?.await.ok()
    }

    fn wait(&self) -> Option<oneshot::Receiver<LaneKey>> {
        let mut idle = self.idle();
        let idle = idle.as_mut().filter(|idle| idle.len() < self.most)?;
        let (call, called) = oneshot::channel();
        idle.push(call);
        Some(called)
    }

    /// Lets all go who wait, and who will come.
    pub(super) fn close(&self) {
        *self.idle() = None;
    }

    fn idle(&self) -> MutexGuard<'_, Option<Vec<oneshot::Sender<LaneKey>>>> {
        self.idle.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

#[cfg(test)]
mod tests {
    use super::super::lanes::samples::key;
    use super::*;

    #[tokio::test]
    async fn who_came_last_is_called_first_and_who_has_gone_is_passed_over() {
        let desk = Desk::new(3);
        assert!(!desk.call(key(1)), "nobody waits");
        let (first, second, gone) = (desk.wait().unwrap(), desk.wait().unwrap(), desk.wait().unwrap());
        assert!(desk.next().await.is_none(), "one too many");
        drop(gone);
        assert!(desk.call(key(1)) && desk.call(key(2)) && !desk.call(key(3)));
        assert_eq!((second.await, first.await), (Ok(key(1)), Ok(key(2))));
    }

    #[tokio::test]
    async fn all_go_when_nothing_more_has_to_be_served() {
        let desk = Desk::new(3);
        let waits = desk.wait().unwrap();
        desk.close();
        assert!(waits.await.is_err() && desk.next().await.is_none() && !desk.call(key(1)));
    }
}
