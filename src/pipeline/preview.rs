//! What a run would do, without doing it.

use std::cell::Cell;
use std::time::Duration;

use super::RunError;
use super::planning::Planning;
use super::reading::{Reading, ReadingOptions};
use crate::capture::{CaptureError, CaptureSet};
use crate::exchange::{Sequencer, SequencerLimits, Told};
use crate::record::{Redactor, Row};
use crate::replay::pace::Schedule;
use crate::replay::{Outcome, SkipReason};

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
    options: ReadingOptions,
    mut planning: Planning,
    mut schedule: Schedule,
    redactor: Option<&Redactor>,
    mut show: impl FnMut(&Previewed<'_>) -> bool,
) -> Result<Vec<CaptureError>, RunError> {
    let (enough, mut refused) = (Cell::new(false), None);
    let sequencer = Sequencer::new(SequencerLimits::default(), |told: Told| {
        let Told::Exchange(exchange) = told else { return };
        if enough.get() {
            return;
        }
        match planning.plan(&exchange) {
            Ok((decision, plan)) => {
                for (pending, request) in planning.rows(exchange, 0, &decision, plan) {
                    let skipped = request.as_ref().err().copied();
                    let due = request.as_ref().ok().and_then(|(_, request)| schedule.due(request.captured));
                    let head = request.ok().map(|(_, request)| request.head);
                    // A row has an outcome; this one's is never shown.
                    let mut row = pending.into_row(head, None, Outcome::Skipped(SkipReason::Interrupted));
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
    let mut reading = Reading::new(source, options, sequencer);
    let broken_off = reading.read_while(|| !enough.get());
    reading.finish();
    reading.listener_mut().finish();
    drop(reading);
    refused.map_or(Ok(broken_off), |server| Err(server.into()))
}
