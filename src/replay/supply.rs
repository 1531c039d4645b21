//! Where the work of a replay comes from.

use tokio::sync::mpsc;

use super::engine::Work;

/// Gives the work of a replay, in the order of the capture.
///
/// It is asked on the thread that sends, between what that has to do for requests on their way: one that takes its time
/// has to let others go on meanwhile.
pub trait Supply<T>: Send {
    /// Appends what comes next, some [`BATCH`] of it at most; `false` where nothing follows.
    fn next(&mut self, batch: &mut Vec<Work<T>>) -> impl Future<Output = bool> + Send;
}

/// How much work is taken in at once: the more, the seldomer whoever hands it in is woken. It is bounded by the budget
/// in any case.
pub const BATCH: usize = 64;

/// Work that another thread hands in, until it closes its end.
impl<T: Send> Supply<T> for mpsc::Receiver<Work<T>> {
    async fn next(&mut self, batch: &mut Vec<Work<T>>) -> bool {
        self.recv_many(batch, BATCH).await > 0
    }
}
