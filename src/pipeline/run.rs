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
use std::io;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::thread;

use tokio::sync::mpsc;

use super::feed::{Feed, Halt, Pending, Progress};
use super::judging::judged;
use super::reading::{Account, Reading, ReadingOptions};
use super::report::RECORDING;
use crate::anomaly::AnomalyCounts;
use crate::capture::{CaptureError, CaptureSet, CaptureStats};
use crate::diff::Verdict;
use crate::exchange::{Sequencer, SequencerLimits, Told};
use crate::record::{CaptureTotals, Finished, RecordError, Redactor, Row, Run, Writer};
use crate::replay::clock::Clock;
use crate::replay::engine::{self, Settings};
use crate::replay::guard::{CapturedServer, Guard};
use crate::replay::stop::{Stop, StopHandle, StopSignal};
use crate::replay::{Outcome, Planner};
use crate::report::{Gate, ReportError, Reporter, Summary, visible};
use crate::route::Mirror;

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
    /// Which requests are sent.
    pub mirror: Mirror,
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
    pub broken_off: Option<CaptureError>,
    /// Whether the user stopped the run.
    pub interrupted: bool,
}

/// Why there are no reports.
#[derive(Debug, thiserror::Error)]
pub enum RunError {
    /// The target is a server of the capture.
    #[error(transparent)]
    CapturedServer(#[from] CapturedServer),
    /// The recording could not be written or read.
    #[error(transparent)]
    Record(#[from] RecordError),
    /// A report could not be written.
    #[error(transparent)]
    Report(#[from] ReportError),
    /// The run's folder could not be made.
    #[error("cannot make the run's folder {}: {source}; choose another with --out", folder.display())]
    Folder {
        /// The folder.
        folder: PathBuf,
        /// What the system said.
        source: io::Error,
    },
    /// The system gave no thread or no randomness.
    #[error("the system refused {what}: {source}")]
    System {
        /// What was asked for.
        what: &'static str,
        /// What it said.
        source: io::Error,
    },
}

/// Makes a folder and those above it.
pub(super) fn make_folder(folder: &Path) -> Result<(), RunError> {
    fs::create_dir_all(folder).map_err(|source| RunError::Folder { folder: folder.to_owned(), source })
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
    make_folder(&job.folder)?;
    let recording = job.folder.join(RECORDING);
    let writer = Writer::create(&recording, &job.run)?;
    let reporter = Reporter::create(&job.folder, job.run.clone())?;

    let (work_in, work) = mpsc::channel(WAITING);
    let (done_in, mut done) = mpsc::channel(WAITING);
    let (skipped_in, mut skipped) = mpsc::channel(WAITING);
    let feed = Feed {
        mirror: job.mirror,
        seed: job.run.seed,
        planner: job.planner,
        guard: job.guard,
        work: work_in,
        skipped: skipped_in,
        progress: Arc::clone(&progress),
        halt: None,
    };
    let reader = spawn_reader(job.source, job.reading, feed, signal.clone(), Arc::clone(&stop))?;
    let engine = tokio::spawn(engine::run(job.settings, work, done_in, signal.clone()));
    let mut judging =
        Judging { redactor: job.redactor, writer, reporter, progress, anomalies: AnomalyCounts::default() };

    let judged = judging.all(&mut done, &mut skipped).await;
    if judged.is_err() {
        // Nothing more can be kept: nothing more is sent.
        stop.raise();
        stop.raise();
        drop((done, skipped));
    }
    let _ = engine.await;
    let read = tokio::task::spawn_blocking(move || reader.join()).await;
    let read = read.ok().and_then(Result::ok).unwrap_or_default();
    judged?;
    if let Some(Halt::Refused(refused)) = read.halt {
        drop(judging);
        forget(&job.folder);
        return Err(refused.into());
    }
    judging.anomalies.merge(&read.stats.anomalies());
    judging.anomalies.merge(&read.account.anomalies());
    let interrupted = signal.state() != Stop::Run;
    let finished = Finished {
        finished: job.clock.now(),
        interrupted,
        capture: totals(&read.stats, &read.account),
        anomalies: Finished::anomalies_of(&judging.anomalies),
        broken_off: read.broken_off.as_ref().map(ToString::to_string),
    };
    judging.writer.finish(&finished)?;
    let summary = judging.reporter.finish(Some(&finished), &[], job.gate)?;
    Ok(RunOutcome { summary, broken_off: read.broken_off, interrupted })
}

/// Takes away a folder in which nothing was recorded yet.
fn forget(folder: &Path) {
    // What cannot be removed stays, and does no harm.
    let _ = fs::remove_dir_all(folder.join(RECORDING));
    let _ = fs::remove_dir(folder);
}

fn totals(stats: &CaptureStats, account: &Account) -> CaptureTotals {
    CaptureTotals {
        files: stats.files.iter().map(|file| file.name.to_string()).collect(),
        packets: stats.packets(),
        bytes: stats.bytes(),
        connections: account.streams.connections + account.streams.empty_connections,
        lost_bytes: account.streams.total().lost,
        first_packet: stats.first_packet(),
        last_packet: stats.last_packet(),
    }
}

/// What the reading thread leaves behind.
#[derive(Default)]
struct Read {
    stats: CaptureStats,
    account: Account,
    broken_off: Option<CaptureError>,
    halt: Option<Halt>,
}

fn spawn_reader(
    source: CaptureSet,
    options: ReadingOptions,
    feed: Feed,
    signal: StopSignal,
    stop: Arc<StopHandle>,
) -> Result<thread::JoinHandle<Read>, RunError> {
    let reading = move || read(source, options, feed, &signal, &stop);
    thread::Builder::new()
        .name("reading".to_owned())
        .spawn(reading)
        .map_err(|source| RunError::System { what: "a thread", source })
}

fn read(
    source: CaptureSet,
    options: ReadingOptions,
    mut feed: Feed,
    signal: &StopSignal,
    stop: &StopHandle,
) -> Read {
    let sequencer = Sequencer::new(SequencerLimits::default(), |told: Told| feed.take(told));
    let mut reading = Reading::new(source, options, sequencer);
    let mut broken_off = None;
    while signal.state() == Stop::Run {
        match reading.step() {
            Ok(true) => {}
            Ok(false) => break,
            Err(error) => {
                broken_off = Some(error);
                break;
            }
        }
    }
    reading.finish();
    reading.listener_mut().finish();
    let (stats, account) = (reading.source().stats(), reading.account());
    drop(reading);
    if matches!(feed.halt, Some(Halt::Refused(_))) {
        stop.raise();
        stop.raise();
    }
    Read { stats, account, broken_off, halt: feed.halt.take() }
}

/// The end of the line: every row comes by here once.
struct Judging {
    redactor: Option<Redactor>,
    writer: Writer,
    reporter: Reporter,
    progress: Arc<Progress>,
    anomalies: AnomalyCounts,
}

impl Judging {
    /// Takes rows until there are no more; what is recorded is on its way to disk at least each second.
    async fn all(
        &mut self,
        done: &mut mpsc::Receiver<engine::Done<Pending>>,
        skipped: &mut mpsc::Receiver<Row>,
    ) -> Result<(), RunError> {
        let mut tick = tokio::time::interval(std::time::Duration::from_secs(1));
        loop {
            tokio::select! {
                Some(done) = done.recv() => {
                    Progress::count(&self.progress.done);
                    self.row(done.payload.into_row(Some(done.request.head), done.outcome))?;
                }
                Some(row) = skipped.recv() => self.row(row)?,
                _ = tick.tick(), if !(done.is_closed() && skipped.is_closed()) => self.writer.flush()?,
                else => return Ok(()),
            }
        }
    }

    fn row(&mut self, mut row: Row) -> Result<(), RunError> {
        if let Outcome::Skipped(_) = row.outcome {
            row.sent_head = None;
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
