//! What asks the program to stop: Ctrl-C, and SIGTERM, which container runtimes send.

use std::io::{self, Write as _};
use std::sync::Arc;

use tokio::signal::unix::{Signal, SignalKind, signal};

use crate::replay::stop::StopHandle;

/// The signals from now on; none of them ends the process by itself any more.
pub(super) struct Signals {
    interrupt: Signal,
    terminate: Signal,
}

impl Signals {
    /// Begins to listen; on a runtime.
    pub(super) fn listen() -> io::Result<Self> {
        let (interrupt, terminate) = (SignalKind::interrupt(), SignalKind::terminate());
        Ok(Self { interrupt: signal(interrupt)?, terminate: signal(terminate)? })
    }

    /// Waits for the next one; `false` if there can be none.
    pub(super) async fn next(&mut self) -> bool {
        tokio::select! {
            heard = self.interrupt.recv() => heard.is_some(),
            heard = self.terminate.recv() => heard.is_some(),
        }
    }

    /// At the first one, what is on its way may end; at the second, nothing is waited for. The report
    /// is written in either case.
    pub(super) async fn heed(mut self, handle: Arc<StopHandle>, quiet: bool) {
        let mut first = true;
        while self.next().await {
            if first && !quiet {
                let message =
                    "Stopping: waiting for the answers that are on their way (Ctrl-C again: not even that).";
                // Where nobody reads stderr, the run stops all the same.
                let _ = writeln!(io::stderr(), "{message}");
            }
            first = false;
            handle.raise();
        }
    }
}
