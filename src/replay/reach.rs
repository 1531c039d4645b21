//! Whether there is still somebody to send to.

use std::num::NonZeroU32;
use std::sync::OnceLock;
use std::sync::atomic::{AtomicU32, Ordering};

use super::outcome::Outcome;
use super::stop::{StopHandle, StopSignal, stop_channel};

/// Counts, for each destination, how many attempts in a row came to no connection on which anything could
/// be sent, a handshake of TLS that failed among them, and gives up at a limit.
#[derive(Debug)]
pub(super) struct Reach {
    limit: Option<NonZeroU32>,
    in_a_row: Vec<AtomicU32>,
    gave_up: OnceLock<String>,
    told: StopHandle,
}

impl Reach {
    pub(super) fn new(limit: Option<NonZeroU32>, destinations: usize) -> Self {
        let in_a_row = std::iter::repeat_with(AtomicU32::default).take(destinations).collect();
        Self { limit, in_a_row, gave_up: OnceLock::new(), told: stop_channel().0 }
    }

    /// Takes what became of a request for this destination.
    pub(super) fn note(&self, destination: usize, outcome: &Outcome) {
        let Some(in_a_row) = self.in_a_row.get(destination) else { return };
        match outcome {
            Outcome::Failed { failure, detail, timing, .. }
                if failure.is_unconnected() && timing.sent.is_none() =>
            {
                let failed = in_a_row.fetch_add(1, Ordering::Relaxed).saturating_add(1);
                if self.limit.is_some_and(|limit| failed >= limit.get()) {
                    let times = if failed == 1 { "once" } else { "times in a row" };
                    let count = if failed == 1 { String::new() } else { format!("{failed} ") };
                    self.gave_up.get_or_init(|| {
                        format!("gave up after the target could not be reached {count}{times}: {detail}")
                    });
                    self.told.raise();
                }
            }
            // An attempt that was broken off says nothing.
            Outcome::Skipped(_) => {}
            Outcome::Answered { .. } | Outcome::Failed { .. } => in_a_row.store(0, Ordering::Relaxed),
        }
    }

    /// Tells those who wait to send when it gives up.
    pub(super) fn signal(&self) -> StopSignal {
        self.told.signal()
    }

    /// Why nothing more is sent, where that is so.
    pub(super) fn gave_up(&self) -> Option<&str> {
        self.gave_up.get().map(String::as_str)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::replay::{Failure, SkipReason, Timing};
    use crate::time::Timestamp;

    fn failed(failure: Failure) -> Outcome {
        Outcome::Failed { failure, detail: "refused".to_owned(), partial: None, timing: Timing::default() }
    }

    fn heard(failure: Failure) -> Outcome {
        let timing = Timing { sent: Some(Timestamp::default()), ..Timing::default() };
        Outcome::Failed { failure, detail: "refused".to_owned(), partial: None, timing }
    }

    #[test]
    fn only_failures_to_connect_in_a_row_at_one_destination_count() {
        let reach = Reach::new(NonZeroU32::new(3), 2);
        for (destination, outcome) in [
            (0, failed(Failure::Connect)),
            (0, failed(Failure::ConnectTimeout)),
            (1, failed(Failure::Connect)),
            (0, failed(Failure::Timeout)),
            (0, failed(Failure::Tls)),
            (0, failed(Failure::Tls)),
            // In TLS 1.3 a client hears only after it has spoken that its certificate is not wanted.
            (0, heard(Failure::Tls)),
            (0, failed(Failure::Connect)),
            (0, Outcome::Skipped(SkipReason::Interrupted)),
            (0, failed(Failure::Connect)),
        ] {
            reach.note(destination, &outcome);
            assert_eq!(reach.gave_up(), None);
        }
        reach.note(0, &failed(Failure::Tls));
        assert_eq!(
            reach.gave_up(),
            Some("gave up after the target could not be reached 3 times in a row: refused")
        );
    }

    #[test]
    fn without_a_limit_it_goes_on_for_ever() {
        let reach = Reach::new(None, 1);
        (0..100_000).for_each(|_| reach.note(0, &failed(Failure::Connect)));
        assert_eq!(reach.gave_up(), None);
    }
}
