//! The end of the line: every row comes by here once, whatever command made it.

use std::collections::BTreeMap;
use std::fs;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use tokio::sync::mpsc;

use super::RunError;
use super::feed::Pending;
use super::judging::judged;
use super::ledger::Ledger;
use super::progress::Progress;
use super::reader::Read;
use super::report::RECORDING;
use crate::anomaly::AnomalyCounts;
use crate::diff::Verdict;
use crate::record::{Finished, Intents, Names, PutOff, RecordError, Redactor, Row, Run, Writer};
use crate::replay::clock::Clock;
use crate::replay::engine;
use crate::replay::{Outcome, SkipReason};
use crate::report::{Gate, Judged, ReportError, Reporter, Summary, visible, without_commands};

/// How many rows are taken at once, where so many wait.
pub(super) const BATCH: usize = 32;

/// What is made of the rows besides counting them.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Keep {
    /// Whether they are kept: in the recording, in `exchanges.csv`, in `report.html`.
    pub rows: bool,
    /// Whether v2's answers are compared with v1's. Where not, a run says nothing of v2 but its statuses
    /// and times.
    pub diff: bool,
}

/// All that can be.
impl Default for Keep {
    fn default() -> Self {
        Self { rows: true, diff: true }
    }
}

/// Redacts rows, records them, has them judged, and counts them.
pub(super) struct Judging {
    pub(super) redactor: Option<Redactor>,
    pub(super) diff: bool,
    /// `None` where no row is kept.
    writer: Option<Writer>,
    reporter: Reporter,
    pub(super) progress: Arc<Progress>,
    pub(super) anomalies: AnomalyCounts,
    /// Whether the recording began with this process.
    pub(super) is_new: bool,
    /// Rows taken.
    rows: u64,
    /// Of those, the ones that were sent.
    pub(super) sent: u64,
}

impl Judging {
    /// The recording and the reports at their beginning. What fails here fails before anything is sent: the
    /// folder was chosen badly.
    pub(super) fn begin(folder: &Path, run: Run, keep: Keep) -> Result<(Self, Option<Intents>), RunError> {
        if !keep.rows {
            return Ok((Self::new(None, Reporter::counting(folder, run), true), None));
        }
        let unusable = |folder, source| RunError::Folder { folder, source };
        let (writer, intents) = match Writer::create(&folder.join(RECORDING), &run) {
            Err(RecordError::Io { source, .. }) => return Err(unusable(folder.to_owned(), source)),
            other => other?,
        };
        match Reporter::create(folder, run) {
            Ok(reporter) => Ok((Self::new(Some(writer), reporter, true), Some(intents))),
            Err(error) => {
                writer.discard();
                Err(match error {
                    ReportError::Io { source, .. } => unusable(folder.to_owned(), source),
                    other @ ReportError::Render { .. } => other.into(),
                })
            }
        }
    }

    pub(super) fn new(writer: Option<Writer>, reporter: Reporter, is_new: bool) -> Self {
        Self {
            redactor: None,
            diff: true,
            writer,
            reporter,
            progress: Arc::default(),
            anomalies: AnomalyCounts::default(),
            is_new,
            rows: 0,
            sent: 0,
        }
    }

    /// Takes rows until there are no more. What is taken is first of all handed to the system, and its
    /// place among those on their way is free after that; it becomes a frame of the recording at least each
    /// second.
    pub(super) async fn all(
        &mut self,
        done: &mut mpsc::Receiver<engine::Done<Pending>>,
        skipped: &mut mpsc::Receiver<Row>,
        ledger: &Ledger,
    ) -> Result<(), RunError> {
        let mut tick = tokio::time::interval(std::time::Duration::from_secs(1));
        let (mut answered, mut others) = (Vec::new(), Vec::new());
        let (mut sending, mut reading) = (true, true);
        while sending || reading {
            tokio::select! {
                count = done.recv_many(&mut answered, BATCH), if sending => sending = count > 0,
                count = skipped.recv_many(&mut others, BATCH), if reading => reading = count > 0,
                _ = tick.tick() => self.flush()?,
            }
            let (mut rows, mut slots) = (Vec::new(), Vec::new());
            for engine::Done { request, client, outcome, payload, slot, .. } in answered.drain(..) {
                Progress::count(&self.progress.done);
                rows.push(payload.into_row(Some(request.head), Some(client), outcome));
                slots.push(slot);
            }
            rows.append(&mut others);
            self.keep(&mut rows)?;
            ledger.recorded(&rows);
            drop(slots);
            rows.iter().try_for_each(|row| self.judge(row))?;
        }
        Ok(())
    }

    /// Takes rows, all that are at hand. They are handed to the system at once; then `places` is dropped, and they are
    /// judged.
    pub(super) fn rows<P>(&mut self, mut rows: Vec<Row>, places: P) -> Result<(), RunError> {
        self.keep(&mut rows)?;
        drop(places);
        rows.iter().try_for_each(|row| self.judge(row))
    }

    /// Writes again the rows of these names, which an earlier part of the run had put off and this one has
    /// not met: they are put off still, or, where the capture was read to its end, not in it any more.
    pub(super) fn put_off_again(
        &mut self,
        folder: &Path,
        names: Names,
        interrupted: bool,
    ) -> Result<(), RunError> {
        if names.is_empty() {
            return Ok(());
        }
        self.flush()?;
        let mut put_off = PutOff::open(&folder.join(RECORDING), names)?;
        while let Some(mut row) = put_off.next_row()? {
            if !interrupted {
                row.outcome = Outcome::Skipped(SkipReason::NotMetAgain);
            }
            // Its secrets were taken out when it was written first.
            if let Some(writer) = &mut self.writer {
                writer.row(&row)?;
            }
            self.judge(&row)?;
        }
        Ok(())
    }

    /// What is recorded is on its way to disk.
    pub(super) fn flush(&mut self) -> Result<(), RunError> {
        let Some(writer) = &mut self.writer else { return Ok(()) };
        writer.is_in_place()?;
        Ok(writer.flush()?)
    }

    /// Records rows, with their secrets taken out, so that the death of the process loses none of them.
    fn keep(&mut self, rows: &mut Vec<Row>) -> Result<(), RunError> {
        self.rows += rows.len() as u64;
        // A repetition that was not begun is nothing that was captured.
        rows.retain(|row| row.lap == 0 || !matches!(row.outcome, Outcome::Skipped(SkipReason::TimeOver)));
        for row in rows.iter_mut() {
            match row.outcome {
                Outcome::Skipped(_) => (row.sent_head, row.client) = (None, None),
                Outcome::Answered { .. } | Outcome::Failed { .. } => self.sent += 1,
            }
            // Where nothing of a row goes further, nothing has to be taken out of it.
            if let Some(redactor) = self.redactor.as_ref().filter(|_| self.diff || self.writer.is_some()) {
                redactor.row(row);
            }
            if let Some(writer) = &mut self.writer {
                writer.row(row)?;
            }
        }
        Ok(self.writer.as_mut().map_or(Ok(()), Writer::keep)?)
    }

    /// The recording's last line.
    pub(super) fn account(
        &mut self,
        read: &Read,
        interrupted: bool,
        gave_up: Option<String>,
        clock: Clock,
    ) -> Finished {
        self.anomalies.merge(&read.anomalies());
        Finished {
            finished: clock.now(),
            interrupted,
            capture: read.totals(),
            anomalies: Finished::anomalies_of(&self.anomalies),
            without_row: BTreeMap::new(),
            broken_off: read.broken_off(self.rows),
            shares: read.shares.clone(),
            gave_up,
        }
    }

    /// How many rows were taken, and the anomalies of their messages.
    #[cfg(feature = "live")]
    pub(super) fn taken(&self) -> (u64, &AnomalyCounts) {
        (self.rows, &self.anomalies)
    }

    /// The reports of what there is so far, as if the run had ended with this account.
    #[cfg(feature = "live")]
    pub(super) fn interim(&mut self, finished: &Finished, gate: &Gate) -> Result<Summary, RunError> {
        self.flush()?;
        Ok(self.reporter.interim(finished, gate)?)
    }

    /// How many rows got which verdict so far.
    #[cfg(feature = "live")]
    pub(super) fn verdicts(&self) -> crate::report::Verdicts {
        self.reporter.verdicts()
    }

    /// The distinct differences that were met most often so far.
    #[cfg(feature = "live")]
    pub(super) fn top_differences(&self, most: usize) -> Vec<(String, u64)> {
        self.reporter.top_differences(most)
    }

    pub(super) fn finish(self, finished: &Finished, gate: &Gate) -> Result<Summary, RunError> {
        if let Some(writer) = self.writer {
            writer.finish(finished)?;
        }
        Ok(self.reporter.finish(Some(finished), &[], gate)?)
    }

    /// Takes everything away again that the run has made.
    pub(super) fn forget(self, made: &[PathBuf]) {
        if let Some(writer) = self.writer {
            writer.discard();
        }
        drop(self.reporter);
        for folder in made {
            // What is not empty is not ours alone.
            let _ = fs::remove_dir(folder);
        }
    }

    /// Judges a row that is recorded.
    fn judge(&mut self, row: &Row) -> Result<(), RunError> {
        count_anomalies(&mut self.anomalies, row);
        let judged = if self.diff { judged(row) } else { failed(row) };
        let verdict = judged.as_ref().map(|judged| judged.verdict);
        log(row, verdict);
        match verdict {
            Some(Verdict::Failed) => Progress::count(&self.progress.failed),
            Some(Verdict::Different) => Progress::count(&self.progress.different),
            _ => {}
        }
        Ok(self.reporter.add(row, judged.as_ref())?)
    }
}

pub(super) fn count_anomalies(counts: &mut AnomalyCounts, row: &Row) {
    let exchange = &row.exchange;
    counts.count_set(exchange.anomalies);
    counts.count_set(exchange.request.anomalies);
    exchange.response.iter().for_each(|response| counts.count_set(response.anomalies));
}

/// What is said of a row whose answers are not compared: whether v2 failed, and nothing of an answer.
fn failed(row: &Row) -> Option<Judged> {
    match &row.outcome {
        Outcome::Failed { .. } => judged(row),
        Outcome::Answered { .. } | Outcome::Skipped(_) => None,
    }
}

/// What became of a request, for whoever wants to watch: the fact at `info`, its times at `debug`.
fn log(row: &Row, verdict: Option<Verdict>) {
    if !tracing::enabled!(tracing::Level::INFO) {
        return;
    }
    let head = &row.exchange.request.head;
    let text = |bytes| without_commands(&visible(&String::from_utf8_lossy(bytes))).into_owned();
    let (id, method, target) = (row.request_name(), text(head.method()), text(head.target()));
    match (&row.outcome, verdict) {
        (Outcome::Skipped(reason), _) if reason.is_of_pairing() => {
            tracing::info!("{id} {method} {target}: not compared, {reason}");
        }
        (Outcome::Skipped(reason), _) => tracing::info!("{id} {method} {target}: not sent, {reason}"),
        (Outcome::Failed { failure, detail, .. }, _) => {
            tracing::info!(
                "{id} {method} {target}: failed, {failure}: {}",
                without_commands(&visible(detail))
            );
        }
        (Outcome::Answered { response, timing, .. }, verdict) => {
            let verdict = verdict.map_or("not judged", Verdict::name);
            tracing::info!("{id} {method} {target}: {} {verdict}", response.head.status);
            tracing::debug!("{id} {timing:?}");
        }
    }
}
