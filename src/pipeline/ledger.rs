//! Sees each request before it leaves: notes it on disk, and counts it.

use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use super::feed::Pending;
use super::progress::Progress;
use crate::record::{Intents, RecordError, Row};
use crate::replay::Outcome;
use crate::replay::engine::Watch;
use crate::replay::stop::StopHandle;

/// Shared by the engine, which begins requests, and by judging, which has them recorded.
pub(super) struct Ledger {
    /// `None` where no row is recorded.
    intents: Option<Intents>,
    progress: Arc<Progress>,
    stop: Arc<StopHandle>,
    error: Mutex<Option<RecordError>>,
}

impl Ledger {
    pub(super) fn new(intents: Option<Intents>, progress: Arc<Progress>, stop: Arc<StopHandle>) -> Self {
        Self { intents, progress, stop, error: Mutex::new(None) }
    }

    /// These rows are recorded.
    pub(super) fn recorded<'r>(&self, rows: impl IntoIterator<Item = &'r Row>) {
        if let Some(intents) = &self.intents {
            intents.end(rows.into_iter().map(Row::name));
        }
    }

    /// The run has ended in order.
    pub(super) fn close(&self) -> Result<(), RecordError> {
        self.intents.as_ref().map_or(Ok(()), Intents::close)
    }

    /// What kept a request from being noted, where something did: it was not sent.
    pub(super) fn take_error(&self) -> Option<RecordError> {
        self.error.lock().unwrap_or_else(PoisonError::into_inner).take()
    }
}

impl Watch<Pending> for Ledger {
    fn begins(&self, pending: &Pending) -> bool {
        match self.intents.as_ref().map_or(Ok(()), |intents| intents.begin(pending.name())) {
            Ok(()) => {
                Progress::count(&self.progress.begun);
                true
            }
            Err(error) => {
                self.error.lock().unwrap_or_else(PoisonError::into_inner).get_or_insert(error);
                // Nothing more can be kept: nothing more is sent.
                self.stop.raise();
                self.stop.raise();
                false
            }
        }
    }

    fn ended(&self, _: &Pending, outcome: &Outcome) {
        self.progress.end(outcome);
    }

    fn scheduled(&self, due: Option<Duration>) {
        self.progress.course.schedule(due);
    }

    fn gave_up(&self) {
        self.progress.course.give_up();
    }

    fn keeps(&self) -> bool {
        self.intents.is_some()
    }
}
