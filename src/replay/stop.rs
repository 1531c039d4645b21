//! How a run is told to stop: once, and it finishes what is on its way; twice, and it drops that too.

use tokio::sync::watch;

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
pub struct StopHandle(watch::Sender<Stop>);

/// The side that is told.
#[derive(Clone, Debug)]
pub struct StopSignal(watch::Receiver<Stop>);

/// A handle and the signal that hears it.
#[must_use]
pub fn stop_channel() -> (StopHandle, StopSignal) {
    let (sender, receiver) = watch::channel(Stop::Run);
    (StopHandle(sender), StopSignal(receiver))
}

impl StopHandle {
    /// One step further: from running to finishing, from finishing to now.
    pub fn raise(&self) {
        self.0.send_modify(|stop| {
            *stop = match stop {
                Stop::Run => Stop::Finish,
                Stop::Finish | Stop::Now => Stop::Now,
            }
        });
    }
}

impl StopSignal {
    /// How far the run has been told to stop.
    #[must_use]
    pub fn state(&self) -> Stop {
        *self.0.borrow()
    }

    /// Waits until the run is told to stop at least so far; for ever, if it never is.
    pub async fn reached(&mut self, stop: Stop) {
        if self.0.wait_for(|state| *state >= stop).await.is_err() {
            std::future::pending::<()>().await;
        }
    }
}
