//! A replay from the capture to the reports.
//!
//! ```text
//! thread          runtime                       runtime
//! reading ─work─▶ engine, at most N on the way ─done─▶ judging: redact, record, diff, count
//!    └────────────────────── skipped ────────────────────▲
//! ```
//!
//! All channels are bounded, so reading keeps just ahead of sending. Told to stop, the engine answers
//! what waits with "interrupted", reading ends at the next packet, and the reports are of what there is.

use std::fs;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use tokio::sync::mpsc;

use super::RunError;
use super::feed::{Feed, Halt, Pending, Progress};
use super::judging::judged;
use super::reader::{Read, spawn_reader};
use super::reading::ReadingOptions;
use super::report::RECORDING;
use crate::anomaly::AnomalyCounts;
use crate::capture::{Cancel, CaptureSet};
use crate::diff::Verdict;
use crate::record::{Finished, RecordError, Redactor, Row, Run, Writer};
use crate::replay::clock::Clock;
use crate::replay::engine::{self, Settings};
use crate::replay::guard::Guard;
use crate::replay::stop::{Stop, StopHandle, StopSignal};
use crate::replay::{Outcome, Planner};
use crate::report::{Gate, ReportError, Reporter, Summary, visible};
use crate::route::{RouteTable, Sampling};

/// How many outcomes, and how many skipped rows, may wait to be judged.
const WAITING: usize = 256;

/// What is to be done.
pub struct Job {
    /// The run as the recording's first line names it.
    pub run: Run,
    /// Where the packets come from.
    pub source: CaptureSet,
    /// Which are read, and what is kept.
    pub reading: ReadingOptions,
    /// Which requests are sent where; its endpoints are the settings' clients.
    pub table: RouteTable,
    /// How its percentages draw.
    pub sampling: Sampling,
    /// What is sent.
    pub planner: Planner,
    /// Watches for traffic that was captured on its way to the target; `None` where any is allowed.
    pub guard: Option<Guard>,
    /// How it is sent.
    pub settings: Settings,
    /// The clock of the run.
    pub clock: Clock,
    /// Takes secrets out of what is kept; `None` where they are kept.
    pub redactor: Option<Redactor>,
    /// The run's folder.
    pub folder: PathBuf,
    /// What the verdict demands.
    pub gate: Gate,
}

/// What came of it.
#[derive(Debug)]
pub struct RunOutcome {
    /// The account, as the reports show it.
    pub summary: Summary,
    /// What broke the capture off, where something did.
    pub broken_off: Option<String>,
    /// Whether the user stopped the run.
    pub interrupted: bool,
}

/// Makes a folder and those above it, and says which it made, the innermost first.
pub(super) fn make_folder(folder: &Path) -> Result<Vec<PathBuf>, RunError> {
    let missing = folder.ancestors().take_while(|folder| !folder.as_os_str().is_empty() && !folder.exists());
    let missing = missing.map(Path::to_owned).collect();
    fs::create_dir_all(folder).map_err(|source| RunError::Folder { folder: folder.to_owned(), source })?;
    Ok(missing)
}

/// Replays a capture and writes its recording and reports.
///
/// # Errors
/// When nothing can be reported: the folder cannot be written, or the target is a server of the capture.
pub async fn run(
    job: Job,
    progress: Arc<Progress>,
    stop: Arc<StopHandle>,
    signal: StopSignal,
) -> Result<RunOutcome, RunError> {
    let made = make_folder(&job.folder)?;
    let (writer, reporter) = begin(&job)?;
    let mut judging = Judging {
        redactor: job.redactor,
        writer,
        reporter,
        progress: Arc::clone(&progress),
        anomalies: AnomalyCounts::default(),
        rows: 0,
        sent: 0,
    };

    let (work_in, work) = mpsc::channel(WAITING);
    let (done_in, mut done) = mpsc::channel(WAITING);
    let (skipped_in, mut skipped) = mpsc::channel(WAITING);
    let feed = Feed {
        table: job.table,
        sampling: job.sampling,
        seed: job.run.seed,
        planner: job.planner,
        guard: job.guard,
        work: work_in,
        skipped: skipped_in,
        progress,
        rows: 0,
        halt: None,
    };
    let giving_up = tokio::spawn(give_up(job.source.canceller(), signal.clone()));
    let reader = spawn_reader(job.source, job.reading, feed, signal.clone(), Arc::clone(&stop))?;
    let engine = tokio::spawn(engine::run(job.settings, work, done_in, signal.clone()));

    let judged = judging.all(&mut done, &mut skipped).await;
    if judged.is_err() {
        // Nothing more can be kept: nothing more is sent.
        stop.raise();
        stop.raise();
    }
    drop((done, skipped));
    let sending = engine.await;
    let reading = tokio::task::spawn_blocking(move || reader.join()).await;
    giving_up.abort();
    judged.map_err(|source| RunError::Unkept { source: Box::new(source), folder: job.folder.clone() })?;
    sending.map_err(|_| RunError::Defect { stage: "sending" })?;
    let Ok(Ok(read)) = reading else { return Err(RunError::Defect { stage: "reading" }) };

    let refused = match &read.halt {
        Some(Halt::Refused(refused)) if judging.sent == 0 => {
            judging.forget(&made);
            return Err(refused.clone().into());
        }
        Some(Halt::Refused(refused)) => Some(refused.clone()),
        _ => None,
    };
    let interrupted = signal.state() != Stop::Run;
    let sent = judging.sent;
    let finished = judging.account(&read, interrupted, job.clock);
    let broken_off = finished.broken_off.clone();
    let summary = judging.finish(&finished, job.gate)?;
    match refused {
        Some(refused) => Err(RunError::CapturedServerMet { refused, sent, folder: job.folder }),
        None => Ok(RunOutcome { summary, broken_off, interrupted }),
    }
}

/// The recording and the reports at their beginning. What fails here fails before anything is sent: the
/// folder was chosen badly.
fn begin(job: &Job) -> Result<(Writer, Reporter), RunError> {
    let unusable = |folder, source| RunError::Folder { folder, source };
    let writer = match Writer::create(&job.folder.join(RECORDING), &job.run) {
        Err(RecordError::Io { source, .. }) => return Err(unusable(job.folder.clone(), source)),
        other => other?,
    };
    match Reporter::create(&job.folder, job.run.clone()) {
        Ok(reporter) => Ok((writer, reporter)),
        Err(error) => {
            writer.discard();
            Err(match error {
                ReportError::Io { source, .. } => unusable(job.folder.clone(), source),
                other @ ReportError::Render { .. } => other.into(),
            })
        }
    }
}

/// Gives the reading of the capture up as soon as the run is told to stop.
async fn give_up(reading: Cancel, mut signal: StopSignal) {
    signal.reached(Stop::Finish).await;
    reading.cancel();
}

/// The end of the line: every row comes by here once.
struct Judging {
    redactor: Option<Redactor>,
    writer: Writer,
    reporter: Reporter,
    progress: Arc<Progress>,
    anomalies: AnomalyCounts,
    /// Rows taken.
    rows: u64,
    /// Of those, the ones that were sent.
    sent: u64,
}

impl Judging {
    /// Takes rows until there are no more; what is recorded is on its way to disk at least each second.
    async fn all(
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
                        self.row(done.payload.into_row(Some(done.request.head), done.outcome))?;
                    }
                    None => sending = false,
                },
                next = skipped.recv(), if reading => match next {
                    Some(row) => self.row(row)?,
                    None => reading = false,
                },
                _ = tick.tick() => self.writer.flush()?,
            }
        }
        Ok(())
    }

    /// The recording's last line.
    fn account(&mut self, read: &Read, interrupted: bool, clock: Clock) -> Finished {
        self.anomalies.merge(&read.anomalies());
        Finished {
            finished: clock.now(),
            interrupted,
            capture: read.totals(),
            anomalies: Finished::anomalies_of(&self.anomalies),
            broken_off: read.broken_off(self.rows),
        }
    }

    fn finish(self, finished: &Finished, gate: Gate) -> Result<Summary, RunError> {
        self.writer.finish(finished)?;
        Ok(self.reporter.finish(Some(finished), &[], gate)?)
    }

    /// Takes everything away again that the run has made.
    fn forget(self, made: &[PathBuf]) {
        self.writer.discard();
        drop(self.reporter);
        for folder in made {
            // What is not empty is not ours alone.
            let _ = fs::remove_dir(folder);
        }
    }

    fn row(&mut self, mut row: Row) -> Result<(), RunError> {
        self.rows += 1;
        match row.outcome {
            Outcome::Skipped(_) => row.sent_head = None,
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
