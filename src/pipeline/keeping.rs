//! The end of the line: every row comes by here once, whatever command made it.

use std::collections::BTreeMap;
use std::fs;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use tokio::sync::mpsc;

use super::RunError;
use super::feed::{Pending, Progress};
use super::judging::judged;
use super::reader::Read;
use super::report::RECORDING;
use crate::anomaly::AnomalyCounts;
use crate::diff::Verdict;
use crate::record::{Finished, RecordError, Redactor, Row, Run, Writer};
use crate::replay::Outcome;
use crate::replay::clock::Clock;
use crate::replay::engine;
use crate::report::{Gate, ReportError, Reporter, Summary, Verdicts, visible};

/// The recording and the reports at their beginning. What fails here fails before anything is sent: the
/// folder was chosen badly.
fn begin(folder: &Path, run: &Run) -> Result<(Writer, Reporter), RunError> {
    let unusable = |folder, source| RunError::Folder { folder, source };
    let writer = match Writer::create(&folder.join(RECORDING), run) {
        Err(RecordError::Io { source, .. }) => return Err(unusable(folder.to_owned(), source)),
        other => other?,
    };
    match Reporter::create(folder, run.clone()) {
        Ok(reporter) => Ok((writer, reporter)),
        Err(error) => {
            writer.discard();
            Err(match error {
                ReportError::Io { source, .. } => unusable(folder.to_owned(), source),
                other @ ReportError::Render { .. } => other.into(),
            })
        }
    }
}

/// Redacts rows, records them, has them judged, and counts them.
pub(super) struct Judging {
    redactor: Option<Redactor>,
    writer: Writer,
    reporter: Reporter,
    progress: Arc<Progress>,
    anomalies: AnomalyCounts,
    /// Rows taken.
    rows: u64,
    /// Of those, the ones that were sent.
    pub(super) sent: u64,
}

impl Judging {
    /// The recording and the reports at their beginning.
    pub(super) fn begin(
        folder: &Path,
        run: &Run,
        redactor: Option<Redactor>,
        progress: Arc<Progress>,
    ) -> Result<Self, RunError> {
        let (writer, reporter) = begin(folder, run)?;
        let anomalies = AnomalyCounts::default();
        Ok(Self { redactor, writer, reporter, progress, anomalies, rows: 0, sent: 0 })
    }

    /// What is recorded is on its way to disk.
    pub(super) fn flush(&mut self) -> Result<(), RunError> {
        Ok(self.writer.flush()?)
    }

    /// Takes rows until there are no more; what is recorded is on its way to disk at least each second.
    pub(super) async fn all(
        &mut self,
        done: &mut mpsc::Receiver<engine::Done<Pending>>,
        skipped: &mut mpsc::Receiver<Row>,
    ) -> Result<(), RunError> {
        let mut tick = tokio::time::interval(std::time::Duration::from_secs(1));
        let (mut sending, mut reading) = (true, true);
        while sending || reading {
            tokio::select! {
                next = done.recv(), if sending => match next {
                    Some(done) => {
                        Progress::count(&self.progress.done);
                        self.row(done.payload.into_row(Some(done.request.head), Some(done.client), done.outcome))?;
                    }
                    None => sending = false,
                },
                next = skipped.recv(), if reading => match next {
                    Some(row) => self.row(row)?,
                    None => reading = false,
                },
                _ = tick.tick() => self.flush()?,
            }
        }
        Ok(())
    }

    /// The recording's last line.
    pub(super) fn account(&mut self, read: &Read, interrupted: bool, clock: Clock) -> Finished {
        self.anomalies.merge(&read.anomalies());
        Finished {
            finished: clock.now(),
            interrupted,
            capture: read.totals(),
            anomalies: Finished::anomalies_of(&self.anomalies),
            without_row: BTreeMap::new(),
            broken_off: read.broken_off(self.rows),
        }
    }

    /// How many rows were taken, and the anomalies of their messages.
    #[cfg(feature = "live")]
    pub(super) fn taken(&self) -> (u64, &AnomalyCounts) {
        (self.rows, &self.anomalies)
    }

    /// The reports of what there is so far, as if the run had ended with this account.
    #[cfg(feature = "live")]
    pub(super) fn interim(&mut self, finished: &Finished, gate: Gate) -> Result<Summary, RunError> {
        self.flush()?;
        Ok(self.reporter.interim(finished, gate)?)
    }

    /// How many rows got which verdict so far.
    #[cfg(feature = "live")]
    pub(super) fn verdicts(&self) -> Verdicts {
        self.reporter.verdicts()
    }

    /// The distinct differences that were met most often so far.
    #[cfg(feature = "live")]
    pub(super) fn top_differences(&self, most: usize) -> Vec<(String, u64)> {
        self.reporter.top_differences(most)
    }

    pub(super) fn finish(self, finished: &Finished, gate: Gate) -> Result<Summary, RunError> {
        self.writer.finish(finished)?;
        Ok(self.reporter.finish(Some(finished), &[], gate)?)
    }

    /// Takes everything away again that the run has made.
    pub(super) fn forget(self, made: &[PathBuf]) {
        self.writer.discard();
        drop(self.reporter);
        for folder in made {
            // What is not empty is not ours alone.
            let _ = fs::remove_dir(folder);
        }
    }

    pub(super) fn row(&mut self, mut row: Row) -> Result<(), RunError> {
        self.rows += 1;
        match row.outcome {
            Outcome::Skipped(_) => (row.sent_head, row.client) = (None, None),
            Outcome::Answered { .. } | Outcome::Failed { .. } => self.sent += 1,
        }
        if let Some(redactor) = &self.redactor {
            redactor.row(&mut row);
        }
        let exchange = &row.exchange;
        self.anomalies.count_set(exchange.anomalies);
        self.anomalies.count_set(exchange.request.anomalies);
        exchange.response.iter().for_each(|response| self.anomalies.count_set(response.anomalies));
        self.writer.row(&row)?;
        let judged = judged(&row);
        log(&row, judged.as_ref().map(|judged| judged.verdict));
        match judged.as_ref().map(|judged| judged.verdict) {
            Some(Verdict::Failed) => Progress::count(&self.progress.failed),
            Some(Verdict::Different) => Progress::count(&self.progress.different),
            _ => {}
        }
        Ok(self.reporter.add(&row, judged.as_ref())?)
    }
}

/// What became of a request, for whoever wants to watch: the fact at `info`, its times at `debug`.
fn log(row: &Row, verdict: Option<Verdict>) {
    if !tracing::enabled!(tracing::Level::INFO) {
        return;
    }
    let head = &row.exchange.request.head;
    let text = |bytes| visible(&String::from_utf8_lossy(bytes)).into_owned();
    let (id, method, target) = (row.exchange.id, text(head.method()), text(head.target()));
    match (&row.outcome, verdict) {
        (Outcome::Skipped(reason), _) if reason.is_of_pairing() => {
            tracing::info!("{id} {method} {target}: not compared, {reason}");
        }
        (Outcome::Skipped(reason), _) => tracing::info!("{id} {method} {target}: not sent, {reason}"),
        (Outcome::Failed { failure, detail, .. }, _) => {
            tracing::info!("{id} {method} {target}: failed, {failure}: {}", visible(detail));
        }
        (Outcome::Answered { response, timing, .. }, verdict) => {
            let verdict = verdict.map_or("not judged", Verdict::name);
            tracing::info!("{id} {method} {target}: {} {verdict}", response.head.status);
            tracing::debug!("{id} {timing:?}");
        }
    }
}
