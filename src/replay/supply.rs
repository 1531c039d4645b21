//! Where the work of a replay comes from.

use tokio::sync::mpsc;

use super::engine::Work;

/// Gives the work of a replay, in the order of the capture.
///
/// It is asked on the thread that sends, between what that has to do for requests on their way: one that takes its time
/// has to let others go on meanwhile.
pub trait Supply<T>: Send {
    /// More is asked for when one of so many parts of the budget is free again. The larger they are, the seldomer whoever
    /// hands work in is woken; the smaller, the sooner memory that was given back is used again, as long as it is in a
    /// near cache.
    const PARTS: u32;

    /// Whether to ask for work has this very thread read it. Then nothing more is asked for while a request that could leave
    /// waits for a place: it would be in no near cache any more when its turn comes.
    const IS_READ_HERE: bool;

    /// Appends what comes next, not too much of it at once; `false` where nothing follows.
    fn next(&mut self, batch: &mut Vec<Work<T>>) -> impl Future<Output = bool> + Send;
}

/// How much work is taken from another thread at once: the more, the seldomer it is woken. It is bounded by the budget in
/// any case.
pub(super) const BATCH: usize = 64;

/// Work that another thread hands in, until it closes its end.
impl<T: Send> Supply<T> for mpsc::Receiver<Work<T>> {
    const PARTS: u32 = 16;
    const IS_READ_HERE: bool = false;

    async fn next(&mut self, batch: &mut Vec<Work<T>>) -> bool {
        self.recv_many(batch, BATCH).await > 0
    }
}
