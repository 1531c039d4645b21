//! What asks the program to stop: Ctrl-C; SIGTERM, which container runtimes send; and SIGHUP, which comes when the
//! terminal or the connection to it goes away, unless somebody (nohup) has arranged that it does not count.

use std::io::{self, Write as _};
use std::sync::Arc;

use tokio::signal::unix::{Signal, SignalKind, signal};

use crate::replay::stop::StopHandle;

/// The signals from now on; none of them ends the process by itself any more.
pub(super) struct Signals {
    interrupt: Signal,
    terminate: Signal,
    hang_up: Option<Signal>,
}

impl Signals {
    /// Begins to listen; on a runtime.
    pub(super) fn listen() -> io::Result<Self> {
        let hang_up = if ignores_hang_up() { None } else { Some(signal(SignalKind::hangup())?) };
        let (interrupt, terminate) = (SignalKind::interrupt(), SignalKind::terminate());
        Ok(Self { interrupt: signal(interrupt)?, terminate: signal(terminate)?, hang_up })
    }

    /// Waits for the next one; `false` if there can be none.
    pub(super) async fn next(&mut self) -> bool {
        tokio::select! {
            heard = self.interrupt.recv() => heard.is_some(),
            heard = self.terminate.recv() => heard.is_some(),
            heard = next_of(&mut self.hang_up) => heard.is_some(),
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

async fn next_of(signal: &mut Option<Signal>) -> Option<()> {
    match signal {
        Some(signal) => signal.recv().await,
        None => std::future::pending().await,
    }
}

/// Whether the process was started so that SIGHUP does nothing to it; to be asked before it is listened to. Where the
/// system does not tell (`proc_pid_status(5)`), it is taken for heard.
fn ignores_hang_up() -> bool {
    let status = std::fs::read_to_string("/proc/self/status").unwrap_or_default();
    let ignored = status.lines().find_map(|line| line.strip_prefix("SigIgn:"));
    // A bit for each signal, from the lowest on: SIGHUP is number 1.
    ignored.and_then(|mask| u64::from_str_radix(mask.trim(), 16).ok()).is_some_and(|mask| mask & 1 != 0)
}
