//! What a run would do, without doing it.

use std::cell::Cell;
use std::sync::Arc;
use std::time::Duration;

use super::RunError;
use super::planning::{Planned, Planning};
use super::reading::{Reading, ReadingOptions};
use super::spill::Counted;
use crate::capture::{CaptureError, CaptureSet};
use crate::exchange::{Exchange, Sequencer, Told};
use crate::record::{Redactor, Row};
use crate::replay::pace::Schedule;
use crate::replay::{Outcome, SkipReason};
use crate::time::Timestamp;

/// What would become of one request at one destination.
#[derive(Debug)]
pub struct Previewed<'r> {
    /// The request, as the recording would hold it: its secrets taken out where they are to be.
    pub row: &'r Row,
    /// Why it would not be sent; `None` where it would.
    pub skipped: Option<SkipReason>,
    /// So long after the first one it would be due; `None` where it would be when its turn comes.
    pub due: Option<Duration>,
}

/// Reads the capture and tells `show` of each request, until that says `false`. Nothing is sent and
/// nothing written. Returns what could not be read.
///
/// # Errors
/// When the target is a server of the capture.
pub fn preview(
    source: CaptureSet,
    mut options: ReadingOptions,
    mut planning: Planning,
    mut schedule: Schedule,
    redactor: Option<&Redactor>,
    mut show: impl FnMut(&Previewed<'_>) -> bool,
) -> Result<Vec<CaptureError>, RunError> {
    let (enough, mut refused) = (Cell::new(false), None);
    let sequencer = Sequencer::new(options.in_order(), |told: Told| {
        let Told::Exchange(exchange) = told else { return };
        if enough.get() {
            return;
        }
        match planning.plan(&exchange) {
            Ok(planned) => {
                for (copy, one) in (0..).zip(planned) {
                    let (mut row, skipped, captured) = row(&exchange, copy, one);
                    let due = captured.and_then(|captured| schedule.due(captured));
                    if let Some(redactor) = redactor {
                        redactor.row(&mut row);
                    }
                    enough.set(enough.get() || !show(&Previewed { row: &row, skipped, due }));
                }
            }
            Err(server) => {
                refused = Some(server);
                enough.set(true);
            }
        }
    });
    options.store = Some(Arc::new(Counted));
    let mut reading = Reading::new(source, options, sequencer);
    let broken_off = reading.read_while(|| !enough.get());
    reading.finish();
    reading.listener_mut().finish();
    drop(reading);
    refused.map_or(Ok(broken_off), |server| Err(server.into()))
}

/// The row of an exchange at one destination: why it is not sent, or when the request was captured.
fn row(exchange: &Exchange, copy: u32, planned: Planned) -> (Row, Option<SkipReason>, Option<Timestamp>) {
    let Planned { role, destination, rule, matched, reason, request } = planned;
    let (skipped, sent_head, captured) = match request {
        Ok((_, request)) => (None, Some(request.head), Some(request.captured)),
        Err(reason) => (Some(reason), None, None),
    };
    let row = Row {
        exchange: Box::new(exchange.clone()),
        lap: 0,
        copy,
        role,
        destination,
        route: rule,
        matched,
        reason,
        sent_head,
        client: None,
        // A row has an outcome; this one's is never shown.
        outcome: Outcome::Skipped(SkipReason::Interrupted),
        again: Vec::new(),
        not_asked: None,
    };
    (row, skipped, captured)
}
