//! A thread with a reactor of its own.
//!
//! On a runtime that several threads share, a task that was woken may run on any of them, and each of them that
//! sleeps has to be woken first, which costs as much as half of sending a request.

use std::panic::resume_unwind;
use std::thread;

use tokio::runtime::Builder;
use tokio::sync::oneshot;

/// Runs a future on a runtime and a thread of its own; where the system gives none, on the caller's.
pub(super) async fn on_own_thread<R: Send + 'static>(
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

#[cfg(test)]
mod tests {
    use super::*;

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
