//! The reports of recordings, made again.

use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::mpsc::sync_channel;
use std::thread;

use super::RunError;
use super::judging::Ruling;
use super::run::make_folder;
use crate::diff::{Learned, Learner};
use crate::record::{Recordings, Redactor, Row};
use crate::report::{Earlier, Gate, Judged, Reporter, Routes, Summary, Tally};

/// The folder of a run in which its recording lies.
pub const RECORDING: &str = "recording";

/// What is rendered again, and how.
pub struct Rendering {
    /// The folders of the runs; several are shards of one capture.
    pub runs: Vec<PathBuf>,
    /// The folder of an earlier run, to say what is new, known and gone.
    pub against: Option<PathBuf>,
    /// Takes out further secrets; `None` where the recording is shown as it is.
    pub redactor: Option<Redactor>,
    /// The user's rules.
    pub ruling: Ruling,
    /// What the verdict demands.
    pub gate: Gate,
}

impl Rendering {
    /// Reads the recordings and writes their reports to `out`, which is made where it is missing. Nothing is
    /// sent.
    ///
    /// # Errors
    /// When there is no recording, or the reports cannot be written.
    pub fn report(&self, out: &Path) -> Result<Summary, RunError> {
        let earlier = self.against.as_deref().map(|run| self.earlier(run)).transpose()?;
        self.render(out, &self.learn()?, earlier)
    }

    /// The same by what was learned already.
    pub(super) fn render(
        &self,
        out: &Path,
        learned: &Knowledge,
        earlier: Option<Earlier>,
    ) -> Result<Summary, RunError> {
        let recordings = open(&self.runs)?;
        make_folder(out)?;
        let run = self.ruling.of(recordings.run().clone());
        let mut reporter = Reporter::create(out, run)?.knowing(&learned.routes());
        if let Some(earlier) = earlier {
            reporter = reporter.against(earlier);
        }
        let recordings = self.each(recordings, |row| {
            let judged = self.ruling.judged_by(row, &learned.0);
            Ok(reporter.add(row, judged.as_ref())?)
        })?;
        let reporter = reporter.noting([recordings.notes(), self.ruling.sentences()].concat());
        let reporter = reporter.ruling(self.ruling.rules());
        Ok(reporter.finish(recordings.finished().as_ref(), recordings.losses(), &self.gate)?)
    }

    /// Opens the recordings, for [`next`](Self::next).
    ///
    /// # Errors
    /// When there is none, or one cannot be read.
    pub fn open(&self) -> Result<Recordings, RunError> {
        open(&self.runs)
    }

    /// Looks at all rows, to learn what of their differences is noise, and which requests are alike.
    ///
    /// # Errors
    /// When a recording cannot be read.
    pub fn learn(&self) -> Result<Knowledge, RunError> {
        self.learn_from(open(&self.runs)?)
    }

    /// The next row of the recordings, and what is found in it.
    ///
    /// # Errors
    /// When a recording cannot be read.
    pub fn next(
        &self,
        recordings: &mut Recordings,
        learned: &Knowledge,
    ) -> Result<Option<(Row, Option<Judged>)>, RunError> {
        let Some(row) = self.next_row(recordings)? else { return Ok(None) };
        let judged = self.ruling.judged_by(&row, &learned.0);
        Ok(Some((row, judged)))
    }

    /// The account of the recordings, without a report.
    ///
    /// # Errors
    /// When there is none, or one cannot be read.
    pub fn summary(&self) -> Result<Summary, RunError> {
        self.account(&self.runs, &self.ruling)
    }

    /// What an earlier run's recording shows, judged as this one is.
    fn earlier(&self, run: &Path) -> Result<Earlier, RunError> {
        let summary = self.account(&[run.to_owned()], &self.ruling.anew())?;
        Ok(Earlier::new(&run.to_string_lossy(), summary))
    }

    fn account(&self, runs: &[PathBuf], rules: &Ruling) -> Result<Summary, RunError> {
        let learned = self.learn_from(open(runs)?)?;
        let recordings = open(runs)?;
        let mut tally = Tally::new(recordings.run().clone()).knowing(learned.routes());
        let recordings = self.each(recordings, |row| {
            tally.add(row, rules.judged_by(row, &learned.0).as_ref());
            Ok(())
        })?;
        let gate = Gate::default();
        Ok(tally.finish(recordings.finished().as_ref(), recordings.losses(), &gate, None))
    }

    fn learn_from(&self, recordings: Recordings) -> Result<Knowledge, RunError> {
        // What rules allow is counted when it is reported, and not when it is learned from.
        let rules = self.ruling.anew();
        let mut learner = rules.learner();
        self.each(recordings, |row| {
            rules.learn(row, &mut learner);
            Ok(())
        })?;
        Ok(Knowledge(Arc::new(learner.learned())))
    }

    /// Takes all rows in their order, while those that follow are read on a thread of its own; returns the recordings, which
    /// have been read to their end.
    fn each(
        &self,
        mut recordings: Recordings,
        mut take: impl FnMut(&Row) -> Result<(), RunError>,
    ) -> Result<Recordings, RunError> {
        let (batches_in, batches) = sync_channel(AHEAD);
        thread::scope(|scope| {
            let reading = scope.spawn(move || {
                loop {
                    let batch = batch(&mut recordings)?;
                    // Where nobody takes them any more, the one who did says why.
                    if batch.is_empty() || batches_in.send(batch).is_err() {
                        return Ok(recordings);
                    }
                }
            });
            for mut row in batches.into_iter().flatten() {
                self.redact(&mut row);
                take(&row)?;
            }
            reading.join().unwrap_or(Err(RunError::Defect { stage: "reading" }))
        })
    }

    fn next_row(&self, recordings: &mut Recordings) -> Result<Option<Row>, RunError> {
        let Some(mut row) = recordings.next_row()? else { return Ok(None) };
        self.redact(&mut row);
        Ok(Some(row))
    }

    fn redact(&self, row: &mut Row) {
        if let Some(redactor) = &self.redactor {
            redactor.row(row);
        }
    }
}

/// Batches of rows that may be read and wait to be taken.
const AHEAD: usize = 2;
/// Rows of a batch.
const BATCH: usize = 64;
/// Bytes of bodies behind which a batch takes no more rows.
const BATCH_BYTES: usize = 1 << 20;

/// The next rows; none at the end.
fn batch(recordings: &mut Recordings) -> Result<Vec<Row>, RunError> {
    let (mut rows, mut bytes) = (Vec::with_capacity(BATCH), 0);
    while rows.len() < BATCH
        && bytes < BATCH_BYTES
        && let Some(row) = recordings.next_row()?
    {
        bytes += row.body_memory();
        rows.push(row);
    }
    Ok(rows)
}

/// What all rows together have shown.
#[derive(Clone)]
pub struct Knowledge(Arc<Learned>);

impl Knowledge {
    /// What a run has learned on its way.
    pub(super) fn of(learner: &Learner) -> Self {
        Self(Arc::new(learner.learned()))
    }

    /// Whether rows are judged as each is by itself.
    pub(super) fn is_neutral(&self) -> bool {
        self.0.is_neutral()
    }

    /// The routes of their requests.
    #[must_use]
    pub fn routes(&self) -> Routes {
        Routes::learned(Arc::clone(&self.0))
    }
}

fn open(runs: &[PathBuf]) -> Result<Recordings, RunError> {
    let folders: Vec<_> = runs.iter().map(|run| run.join(RECORDING)).collect();
    Ok(Recordings::open(&folders)?)
}
