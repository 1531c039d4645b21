//! Which thread does which stage of a replay.
//!
//! Requests that are due at a time are read ahead by a thread of its own, so that a disk that stalls makes none of them
//! late; so are those from a pipe or an address, which may stall for long. Where they leave as fast as they can, reading on another thread than the one that sends would only cost: see
//! [`Inline`]. The same holds of judging where nothing is kept or compared, which is to count.

use std::pin::Pin;
use std::sync::Arc;

use tokio::sync::mpsc;
use tokio::task::spawn_blocking;

use super::RunError;
use super::feed::{Channels, Feed, Onward, Past, Pending};
use super::inline::{Inline, Queue};
use super::keeping::Judging;
use super::ledger::Ledger;
use super::planning::{Lap, Planning};
use super::progress::Progress;
use super::reader::{Read, Reader, Source, spawn_reader};
use super::spill::Room;
use crate::record::Row;
use crate::replay::engine::{self, Done, Ended, Settings};
use crate::replay::on_own_thread;
use crate::replay::pace::Speed;
use crate::replay::stop::{StopHandle, StopSignal};

/// How many requests may wait to be taken in by the engine, and how many skipped rows to be judged.
pub(super) const WAITING: usize = 256;
/// How many batches of outcomes may wait to be judged.
pub(super) const BATCHES: usize = 2;

/// The thread that sends broke down.
const BROKEN: RunError = RunError::Defect { stage: "sending" };

/// What is read, sent and judged, and by what.
pub(super) struct Stages {
    pub(super) source: Source,
    pub(super) planning: Planning,
    pub(super) past: Past,
    /// Whether anybody reads what v1 answered, and not only how and when.
    pub(super) answers_are_read: bool,
    pub(super) settings: Settings,
    pub(super) judging: Judging,
    pub(super) ledger: Arc<Ledger>,
    pub(super) progress: Arc<Progress>,
    pub(super) stop: Arc<StopHandle>,
    pub(super) signal: StopSignal,
}

/// What came of them.
pub(super) struct Came {
    pub(super) judging: Judging,
    pub(super) judged: Result<(), RunError>,
    pub(super) ended: Ended,
    pub(super) read: Read,
}

/// Reads and sends, and says what came of both.
type Sending = Pin<Box<dyn Future<Output = (Ended, Result<Read, RunError>)> + Send>>;

impl Stages {
    /// Runs all of them until the last outcome is judged.
    ///
    /// # Errors
    /// When one of them could not begin, or broke down; what goes wrong with a row is in [`Came::judged`].
    pub(super) async fn run(self) -> Result<Came, RunError> {
        let only_counted = !self.answers_are_read;
        let (judge, sending) = self.begin()?;
        let ((judging, judged), sent) = if only_counted {
            let both = on_own_thread("sending", async move { tokio::join!(judge.all(), sending) });
            tokio::spawn(both).await.map_err(|_| BROKEN)?
        } else {
            let sending = tokio::spawn(on_own_thread("sending", sending));
            (judge.all().await, sending.await.map_err(|_| BROKEN)?)
        };
        let (ended, read) = sent;
        Ok(Came { judging, judged, ended, read: read? })
    }

    fn begin(self) -> Result<(Judge, Sending), RunError> {
        let Self { source, settings, ledger, stop, signal, .. } = self;
        let (done_in, done) = mpsc::channel(BATCHES);
        let (rows_in, rows) = mpsc::channel(WAITING);
        let judge =
            Judge { judging: self.judging, done, rows, ledger: Arc::clone(&ledger), stop: Arc::clone(&stop) };
        let feed = Fed {
            planning: self.planning,
            past: self.past,
            progress: self.progress,
            answers_are_read: self.answers_are_read,
        };
        let is_urgent = settings.speed == Speed::Max && settings.rate.is_none();
        if is_urgent && source.captures.never_stalls() {
            let reader = Reader::new(source, feed.into(Queue::default()), signal.clone());
            let mut inline = Inline::new(reader, rows_in, stop);
            let sending = async move {
                let ended = engine::run_here(settings, &mut inline, done_in, signal, ledger).await;
                (ended, Ok(inline.end()))
            };
            return Ok((judge, Box::pin(sending)));
        }
        let (work_in, mut work) = mpsc::channel(WAITING);
        let onward = Channels { work: work_in, rows: rows_in };
        let reader = spawn_reader(Reader::new(source, feed.into(onward), signal.clone()), stop)?;
        let sending = async move {
            let ended = engine::run_here(settings, &mut work, done_in, signal, ledger).await;
            let read = spawn_blocking(move || reader.join()).await;
            (ended, read.ok().and_then(Result::ok).ok_or(RunError::Defect { stage: "reading" }))
        };
        Ok((judge, Box::pin(sending)))
    }
}

/// A feed, wherever it leads.
struct Fed {
    planning: Planning,
    past: Past,
    progress: Arc<Progress>,
    answers_are_read: bool,
}

impl Fed {
    fn into<O: Onward>(self, onward: O) -> Feed<O> {
        let Self { planning, past, progress, answers_are_read } = self;
        Feed {
            planning,
            past,
            lap: Lap::default(),
            onward,
            progress,
            disk: Room::on_disk(),
            memory: Room::in_memory(),
            answers_are_read,
            rows: 0,
            halt: None,
        }
    }
}

/// Judging, and what it takes.
struct Judge {
    judging: Judging,
    done: mpsc::Receiver<Vec<Done<Pending>>>,
    rows: mpsc::Receiver<Row>,
    ledger: Arc<Ledger>,
    stop: Arc<StopHandle>,
}

impl Judge {
    /// Judges all rows, or as many as can be kept.
    async fn all(mut self) -> (Judging, Result<(), RunError>) {
        let judged = self.judging.all(&mut self.done, &mut self.rows, &self.ledger).await;
        if judged.is_err() {
            // Nothing more can be kept: nothing more is sent.
            self.stop.raise();
            self.stop.raise();
        }
        (self.judging, judged)
    }
}
