//! A thread with a reactor of its own.
//!
//! On a runtime that several threads share, a task that was woken may run on any of them, and each of them that
//! sleeps has to be woken first, which costs as much as half of sending a request.

use std::convert::Infallible;
use std::panic::resume_unwind;
use std::sync::OnceLock;
use std::thread::{self, JoinHandle};

use tokio::runtime::{Builder, Handle};
use tokio::sync::oneshot;
use tokio::task::JoinSet;

/// Runs a future on a runtime and a thread of its own; where the system gives none, on the caller's.
pub(crate) async fn on_own_thread<R: Send + 'static>(
    name: &str,
    future: impl Future<Output = R> + Send + 'static,
) -> R {
    let Ok(runtime) = Builder::new_current_thread().enable_all().build() else { return future.await };
    let (hand, handed) = oneshot::channel();
    let (tell, told) = oneshot::channel();
    let run = move || {
        if let Ok(future) = handed.blocking_recv() {
            tell.send(runtime.block_on(future)).ok();
        }
    };
    let Ok(thread) = thread::Builder::new().name(name.to_owned()).spawn(run) else { return future.await };
    hand.send(future).ok();
    match told.await {
        Ok(result) => result,
        // It panicked: so does whoever waits for it.
        Err(untold) => resume_unwind(thread.join().err().unwrap_or_else(|| Box::new(untold))),
    }
}

/// A reactor on a thread of its own, for futures whose tasks must never run at the same time. The thread begins with the
/// first of them, and ends when this is dropped.
#[derive(Debug, Default)]
pub(super) struct OwnReactor(OnceLock<Option<Reactor>>);

#[derive(Debug)]
struct Reactor {
    handle: Handle,
    /// Ends it by being dropped.
    end: Option<oneshot::Sender<Infallible>>,
    thread: Option<JoinHandle<()>>,
}

impl OwnReactor {
    /// Runs a future there, with all that it spawns. Where whoever waits for it gives up, it is dropped there as well.
    /// Where the system gives no thread, it runs on the caller's.
    pub(super) async fn run<R: Send + 'static>(&self, future: impl Future<Output = R> + Send + 'static) -> R {
        let Some(reactor) = self.0.get_or_init(Reactor::start) else { return future.await };
        let mut one = JoinSet::new();
        one.spawn_on(future, &reactor.handle);
        match one.join_next().await {
            Some(Ok(result)) => result,
            // Nobody ends the reactor or aborts what runs on it as long as this is borrowed: it panicked.
            Some(Err(error)) => resume_unwind(error.into_panic()),
            None => unreachable!("one was spawned"),
        }
    }

    /// Whether it has run anything.
    #[cfg(test)]
    pub(super) fn has_begun(&self) -> bool {
        self.0.get().is_some_and(Option::is_some)
    }
}

impl Reactor {
    fn start() -> Option<Self> {
        let runtime = Builder::new_current_thread().enable_all().build().ok()?;
        let handle = runtime.handle().clone();
        let (end, ended) = oneshot::channel::<Infallible>();
        let run = move || {
            runtime.block_on(ended).ok();
            // What reads a file for it is not waited for.
            runtime.shutdown_background();
        };
        let thread = thread::Builder::new().name("reqwest".to_owned()).spawn(run).ok()?;
        Some(Self { handle, end: Some(end), thread: Some(thread) })
    }
}

impl Drop for Reactor {
    fn drop(&mut self) {
        drop(self.end.take());
        // It ends at once. What is dropped by a task of its own cannot wait for it.
        if let Some(thread) =
            self.thread.take().filter(|thread| thread.thread().id() != thread::current().id())
        {
            thread.join().ok();
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test(flavor = "multi_thread", worker_threads = 4)]
    async fn what_many_threads_give_to_a_reactor_runs_on_its_one_thread_until_it_is_dropped() {
        let reactor = std::sync::Arc::new(OwnReactor::default());
        let thread = || async { thread::current().id() };
        let all: Vec<_> = (0..16)
            .map(|_| {
                let reactor = std::sync::Arc::clone(&reactor);
                tokio::spawn(async move {
                    let spawned = reactor.run(async move { tokio::spawn(thread()).await.unwrap() }).await;
                    (reactor.run(thread()).await, spawned)
                })
            })
            .collect();
        let first = reactor.run(thread()).await;
        assert_ne!(first, thread::current().id());
        for one in all {
            assert_eq!(one.await.unwrap(), (first, first));
        }
        // What nobody waits for any more is dropped there, and what is left there with it.
        let (dropped, hears) = (oneshot::channel::<()>(), oneshot::channel::<()>());
        let held = async move {
            let _held = dropped.0;
            std::future::pending::<()>().await;
        };
        let waited = tokio::time::timeout(std::time::Duration::ZERO, reactor.run(held)).await;
        assert!(waited.is_err() && dropped.1.await.is_err());
        let left = async move {
            tokio::spawn(async move {
                let _held = hears.0;
                std::future::pending::<()>().await;
            });
        };
        reactor.run(left).await;
        drop(reactor);
        assert!(hears.1.await.is_err());
    }

    #[tokio::test]
    async fn it_runs_elsewhere_and_its_result_comes_back() {
        let name = on_own_thread("elsewhere", async {
            let task = tokio::spawn(async { thread::current().name().map(str::to_owned) });
            task.await.unwrap()
        });
        assert_eq!(name.await.as_deref(), Some("elsewhere"));
    }

    #[tokio::test]
    async fn whoever_waits_for_one_that_panics_panics_with_it() {
        let waiting = tokio::spawn(on_own_thread("broken", async { panic!("broken") }));
        let panic = waiting.await.unwrap_err().into_panic();
        assert_eq!(panic.downcast_ref(), Some(&"broken"));
    }
}
