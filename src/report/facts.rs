//! What reports want to know of a row.

use std::time::Duration;

use super::words::{BODY_NOT_KEPT, INCOMPLETE_ANSWER, INTERRUPTED, KILLED, NO_ANSWER, NOT_JUDGED};
use crate::http::Response;
use crate::record::Row;
use crate::replay::{Failure, Outcome, Timing};

/// What came back from v2, whole or not.
pub(super) fn v2_response(row: &Row) -> Option<&Response> {
    match &row.outcome {
        Outcome::Answered { response, .. } => Some(response),
        Outcome::Failed { partial, .. } => partial.as_deref(),
        Outcome::Skipped(_) => None,
    }
}

/// How late the request left, which is ours and never v2's; `None` where nothing left.
pub(super) fn lateness(row: &Row) -> Option<Duration> {
    timing(row).and_then(Timing::lateness)
}

/// From the due time to the answer's last byte: what a client that keeps the schedule would have waited,
/// its own lateness and that of the requests before it included; `None` without a whole answer.
pub(super) fn since_due(row: &Row) -> Option<Duration> {
    match &row.outcome {
        Outcome::Answered { timing, .. } => Some(timing.last_byte?.since(timing.due)),
        Outcome::Failed { .. } | Outcome::Skipped(_) => None,
    }
}

/// When things happened to the shadow request; `None` where none was sent.
pub(super) const fn timing(row: &Row) -> Option<&Timing> {
    match &row.outcome {
        Outcome::Answered { timing, .. } | Outcome::Failed { timing, .. } => Some(timing),
        Outcome::Skipped(_) => None,
    }
}

/// v1's latency, from the request's first byte to the answer's last; `None` without a whole answer.
pub(super) fn v1_latency(row: &Row) -> Option<Duration> {
    let response = row.exchange.response.as_ref().filter(|r| r.completeness.is_complete())?;
    Some(response.last_byte.since(row.exchange.request.first_byte))
}

/// v2's latency, from the first byte sent to the last received; `None` without a whole answer.
pub(super) fn v2_latency(row: &Row) -> Option<Duration> {
    match &row.outcome {
        Outcome::Answered { timing, .. } => Some(timing.last_byte?.since(timing.sent?)),
        Outcome::Failed { .. } | Outcome::Skipped(_) => None,
    }
}

/// Those of both, where both gave a whole answer.
pub(super) fn both_latencies(row: &Row) -> Option<(Duration, Duration)> {
    v1_latency(row).zip(v2_latency(row))
}

/// What ended the exchange, where it was neither v2 nor time.
pub(super) fn cut_off(row: &Row) -> Option<&'static str> {
    match row.outcome {
        Outcome::Failed { failure: Failure::Interrupted, .. } => Some(INTERRUPTED),
        Outcome::Failed { failure: Failure::Killed, .. } => Some(KILLED),
        _ => None,
    }
}

/// Why nothing was compared.
pub(super) fn why_not_comparable(row: &Row) -> &'static str {
    if let Some(cut_off) = cut_off(row) {
        return cut_off;
    }
    match &row.exchange.response {
        None => NO_ANSWER,
        Some(response) if !response.completeness.is_complete() => INCOMPLETE_ANSWER,
        Some(response) if response.body.entity.is_none() => BODY_NOT_KEPT,
        Some(_) => NOT_JUDGED,
    }
}
