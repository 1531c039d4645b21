//! Sees each request before it leaves: notes it on disk, and counts it.
//!
//! Requests that are announced before the first of them begins are noted together, by one system call. So after a kill
//! some are named as on their way that had not left yet, but never more than may be on their way, and none is missing.

use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use super::feed::Pending;
use super::progress::Progress;
use crate::record::{Intents, RecordError, Row, RowName};
use crate::replay::Outcome;
use crate::replay::engine::Watch;
use crate::replay::stop::StopHandle;

/// Shared by the engine, which begins requests, and by judging, which has them recorded.
pub(super) struct Ledger {
    /// `None` where no row is recorded.
    intents: Option<Intents>,
    progress: Arc<Progress>,
    stop: Arc<StopHandle>,
    noting: Mutex<Noting>,
}

#[derive(Default)]
struct Noting {
    /// Requests that begin soon and are not noted yet.
    announced: Vec<RowName>,
    /// Some could not be noted: they, and all others, must not be sent.
    failed: bool,
    error: Option<RecordError>,
}

impl Ledger {
    pub(super) fn new(intents: Option<Intents>, progress: Arc<Progress>, stop: Arc<StopHandle>) -> Self {
        Self { intents, progress, stop, noting: Mutex::default() }
    }

    /// These rows are recorded.
    pub(super) fn recorded<'r>(&self, rows: impl IntoIterator<Item = &'r Row>) {
        if let Some(intents) = &self.intents {
            intents.end(rows.into_iter().map(Row::name_at_hand));
        }
    }

    /// The run has ended in order.
    pub(super) fn close(&self) -> Result<(), RecordError> {
        self.intents.as_ref().map_or(Ok(()), Intents::close)
    }

    /// What kept a request from being noted, where something did: it was not sent.
    pub(super) fn take_error(&self) -> Option<RecordError> {
        self.noting().error.take()
    }

    /// Notes all that are announced. Whether the request that begins is noted, by this or before.
    fn note(&self) -> bool {
        let Some(intents) = &self.intents else { return true };
        let mut noting = self.noting();
        if !noting.failed
            && !noting.announced.is_empty()
            && let Err(error) = intents.begin_many(noting.announced.drain(..))
        {
            (noting.failed, noting.error) = (true, Some(error));
            // Nothing more can be kept: nothing more is sent.
            self.stop.raise();
            self.stop.raise();
        }
        !noting.failed
    }

    fn noting(&self) -> MutexGuard<'_, Noting> {
        self.noting.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Watch<Pending> for Ledger {
    fn announces(&self, pending: &Pending) {
        if self.intents.is_some() {
            self.noting().announced.push(pending.name());
        }
    }

    fn begins(&self, _: &Pending) -> bool {
        let may_begin = self.note();
        if may_begin {
            Progress::count(&self.progress.begun);
        }
        may_begin
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

#[cfg(test)]
mod tests {
    use std::collections::BTreeMap;
    use std::fs;

    use super::*;
    use crate::record::{Mode, Run, Writer, samples};
    use crate::replay::stop::stop_channel;

    fn pending(id: u64) -> Pending {
        let text = "HTTP/1.1 200 OK\r\n\r\n";
        let Row { mut exchange, role, destination, route, matched, reason, .. } =
            samples::row("GET / HTTP/1.1\r\nHost: a\r\n\r\n", text, text);
        exchange.id.0 = id;
        let place = None;
        Pending { exchange, lap: 0, copy: 0, role, destination, route, matched, reason, place }
    }

    #[test]
    fn what_is_announced_is_noted_before_the_first_of_it_begins_and_once() {
        let folder = tempfile::tempdir().unwrap();
        let run = Run {
            tool_version: String::new(),
            started: samples::NOON,
            seed: 0,
            mode: Mode::Replay,
            captures: Vec::new(),
            targets: BTreeMap::new(),
            options: Vec::new(),
            digests: BTreeMap::new(),
        };
        let recording = folder.path().join("recording");
        let (_writer, intents) = Writer::create(&recording, &run).unwrap();
        let noted = || {
            let text = fs::read_to_string(recording.join("intents")).unwrap();
            [1, 2, 3].map(|id| text.matches(&format!("{id:016x}")).count())
        };
        let ledger = Ledger::new(Some(intents), Arc::default(), Arc::new(stop_channel().0));
        let [first, second, third] = [1, 2, 3].map(pending);
        ledger.announces(&first);
        ledger.announces(&second);
        assert_eq!(noted(), [0, 0, 0]);
        assert!(ledger.begins(&second));
        assert_eq!(noted(), [1, 1, 0]);
        ledger.announces(&third);
        assert!(ledger.begins(&first));
        assert_eq!(noted(), [1, 1, 1]);
        assert!(ledger.begins(&third));
        assert_eq!(noted(), [1, 1, 1]);
    }
}
