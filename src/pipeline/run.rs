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
use super::feed::{Feed, Halt, Past, Pending};
use super::judging::judged;
use super::ledger::Ledger;
use super::planning::{Lap, Planning};
use super::progress::Progress;
use super::reader::{Read, Repeat, Source, spawn_reader};
use super::reading::ReadingOptions;
use super::report::RECORDING;
use crate::anomaly::AnomalyCounts;
use crate::capture::{Cancel, CaptureSet};
use crate::diff::Verdict;
use crate::record::{Finished, Intents, RecordError, Redactor, Resuming, Row, RowName, Run, Writer};
use crate::replay::clock::Clock;
use crate::replay::engine::{self, Settings};
use crate::replay::stop::{Stop, StopHandle, StopSignal};
use crate::replay::{Failure, Outcome, SkipReason};
use crate::report::{Gate, ReportError, Reporter, Summary, visible};

/// How many outcomes, and how many skipped rows, may wait to be judged.
const WAITING: usize = 256;
/// How many rows are taken at once, where so many wait.
const BATCH: usize = 32;

/// What is to be done.
pub struct Job {
    /// The run as the recording's first line names it.
    pub run: Run,
    /// Where the packets come from.
    pub source: CaptureSet,
    /// Which are read, and what is kept.
    pub reading: ReadingOptions,
    /// How often.
    pub repeat: Repeat,
    /// Which requests are sent, and what.
    pub planning: Planning,
    /// How it is sent.
    pub settings: Settings,
    /// The clock of the run.
    pub clock: Clock,
    /// Takes secrets out of what is kept; `None` where they are kept.
    pub redactor: Option<Redactor>,
    /// The run's folder.
    pub folder: PathBuf,
    /// The run that is gone on with; `None` where this is a new one.
    pub resumption: Option<Resumption>,
    /// What the verdict demands.
    pub gate: Gate,
}

/// A run that is gone on with.
pub struct Resumption {
    /// Its recording.
    pub recording: Resuming,
    /// Whether the requests that were on their way when it was killed are sent again, although they may
    /// have reached the target.
    pub resend: bool,
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
    /// The rows whose requests were on their way when an earlier part of this run was killed, and were not
    /// sent again.
    pub in_flight: Vec<RowName>,
    /// Why nothing more was sent from some time on, where the target could not be reached any more.
    pub gave_up: Option<String>,
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
    let Begun { mut judging, intents, past, in_flight } = begin(&job.folder, job.run, job.resumption)?;
    judging.redactor = job.redactor;
    judging.progress = Arc::clone(&progress);
    let ledger = Arc::new(Ledger::new(intents, Arc::clone(&progress), Arc::clone(&stop)));

    let (work_in, work) = mpsc::channel(WAITING);
    let (done_in, mut done) = mpsc::channel(WAITING);
    let (skipped_in, mut skipped) = mpsc::channel(WAITING);
    let feed = Feed {
        planning: job.planning,
        past,
        lap: Lap::default(),
        work: work_in,
        skipped: skipped_in,
        progress,
        rows: 0,
        halt: None,
    };
    let giving_up = tokio::spawn(give_up(job.source.canceller(), signal.clone()));
    let source = Source { captures: job.source, options: job.reading, repeat: job.repeat };
    let reader = spawn_reader(source, feed, signal.clone(), Arc::clone(&stop))?;
    let watch = Arc::clone(&ledger);
    let engine = tokio::spawn(engine::run_watched(job.settings, work, done_in, signal.clone(), watch));

    let judged = judging.all(&mut done, &mut skipped, &ledger).await;
    if judged.is_err() {
        // Nothing more can be kept: nothing more is sent.
        stop.raise();
        stop.raise();
    }
    drop((done, skipped));
    let sending = engine.await;
    let reading = tokio::task::spawn_blocking(move || reader.join()).await;
    giving_up.abort();
    let unnoted = ledger.take_error().map_or(Ok(()), |error| Err(RunError::from(error)));
    judged.and(unnoted).map_err(|error| unkept(error, &job.folder))?;
    let ended = sending.map_err(|_| RunError::Defect { stage: "sending" })?;
    let Ok(Ok(read)) = reading else { return Err(RunError::Defect { stage: "reading" }) };

    let refused = match &read.halt {
        Some(Halt::Refused(refused)) if judging.sent == 0 && judging.is_new => {
            judging.forget(&made);
            return Err(refused.clone().into());
        }
        Some(Halt::Refused(refused)) => Some(refused.clone()),
        _ => None,
    };
    let interrupted = signal.state() != Stop::Run;
    let sent = judging.sent;
    let finished = judging.account(&read, interrupted, ended.gave_up.clone(), job.clock);
    let broken_off = finished.broken_off.clone();
    let summary = judging.finish(&finished, job.gate).map_err(|error| unkept(error, &job.folder))?;
    match refused {
        Some(refused) => Err(RunError::CapturedServerMet { refused, sent, folder: job.folder }),
        None => Ok(RunOutcome { summary, broken_off, interrupted, in_flight, gave_up: ended.gave_up }),
    }
}

/// What it means for a run that something could not be kept any more.
fn unkept(error: RunError, folder: &Path) -> RunError {
    match error {
        vanished @ RunError::Record(RecordError::Vanished(_)) => vanished,
        error => RunError::Unkept { source: Box::new(error), folder: folder.to_owned() },
    }
}

/// A run at its beginning, or where it goes on.
struct Begun {
    judging: Judging,
    intents: Intents,
    past: Past,
    in_flight: Vec<RowName>,
}

fn begin(folder: &Path, run: Run, resumption: Option<Resumption>) -> Result<Begun, RunError> {
    match resumption {
        Some(resumption) => go_on(folder, resumption),
        None => begin_anew(folder, run),
    }
}

/// The recording and the reports at their beginning. What fails here fails before anything is sent: the
/// folder was chosen badly.
fn begin_anew(folder: &Path, run: Run) -> Result<Begun, RunError> {
    let unusable = |folder, source| RunError::Folder { folder, source };
    let (writer, intents) = match Writer::create(&folder.join(RECORDING), &run) {
        Err(RecordError::Io { source, .. }) => return Err(unusable(folder.to_owned(), source)),
        other => other?,
    };
    match Reporter::create(folder, run) {
        Ok(reporter) => Ok(Begun {
            judging: Judging::new(writer, reporter, true),
            intents,
            past: Past::default(),
            in_flight: Vec::new(),
        }),
        Err(error) => {
            writer.discard();
            Err(match error {
                ReportError::Io { source, .. } => unusable(folder.to_owned(), source),
                other @ ReportError::Render { .. } => other.into(),
            })
        }
    }
}

/// The recording behind its last row, and the reports with the rows that it holds.
fn go_on(folder: &Path, resumption: Resumption) -> Result<Begun, RunError> {
    let Resumption { mut recording, resend } = resumption;
    let mut reporter = Reporter::create(folder, recording.run().clone())?;
    let (mut anomalies, mut past) = (AnomalyCounts::default(), Past::default());
    let mut killed = Vec::new();
    while let Some(row) = recording.next_row()? {
        reporter.add(&row, judged(&row).as_ref())?;
        count_anomalies(&mut anomalies, &row);
        past.recorded.insert(row.name().digest());
        if matches!(row.outcome, Outcome::Failed { failure: Failure::Killed, .. }) {
            killed.push(row.name());
        }
    }
    let resumed = recording.go_on()?;
    let in_flight = if resend { Vec::new() } else { resumed.in_flight };
    past.in_flight = in_flight.iter().map(RowName::digest).collect();
    // With those of an earlier resumption, which may have been killed before it could name them.
    let in_flight = [killed, in_flight].concat();
    let judging = Judging { anomalies, ..Judging::new(resumed.writer, reporter, false) };
    Ok(Begun { judging, intents: resumed.intents, past, in_flight })
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
    /// Whether the recording began with this process.
    is_new: bool,
    /// Rows taken.
    rows: u64,
    /// Of those, the ones that were sent.
    sent: u64,
}

impl Judging {
    fn new(writer: Writer, reporter: Reporter, is_new: bool) -> Self {
        Self {
            redactor: None,
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
    async fn all(
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
                _ = tick.tick() => {
                    self.writer.is_in_place()?;
                    self.writer.flush()?;
                }
            }
            let (mut rows, mut slots) = (Vec::new(), Vec::new());
            for engine::Done { request, outcome, payload, slot, .. } in answered.drain(..) {
                Progress::count(&self.progress.done);
                rows.push(payload.into_row(Some(request.head), outcome));
                slots.push(slot);
            }
            rows.append(&mut others);
            self.keep(&mut rows, ledger)?;
            drop(slots);
            rows.iter().try_for_each(|row| self.judge(row))?;
        }
        Ok(())
    }

    /// Records rows, with their secrets taken out, so that the death of the process loses none of them.
    fn keep(&mut self, rows: &mut Vec<Row>, ledger: &Ledger) -> Result<(), RunError> {
        self.rows += rows.len() as u64;
        // A repetition that was not begun is nothing that was captured.
        rows.retain(|row| row.lap == 0 || !matches!(row.outcome, Outcome::Skipped(SkipReason::TimeOver)));
        for row in rows.iter_mut() {
            match row.outcome {
                Outcome::Skipped(_) => row.sent_head = None,
                Outcome::Answered { .. } | Outcome::Failed { .. } => self.sent += 1,
            }
            if let Some(redactor) = &self.redactor {
                redactor.row(row);
            }
            self.writer.row(row)?;
        }
        self.writer.keep()?;
        ledger.recorded(rows);
        Ok(())
    }

    /// The recording's last line.
    fn account(&mut self, read: &Read, interrupted: bool, gave_up: Option<String>, clock: Clock) -> Finished {
        self.anomalies.merge(&read.anomalies());
        Finished {
            finished: clock.now(),
            interrupted,
            capture: read.totals(),
            anomalies: Finished::anomalies_of(&self.anomalies),
            broken_off: read.broken_off(self.rows),
            gave_up,
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

    /// Judges a row that is recorded.
    fn judge(&mut self, row: &Row) -> Result<(), RunError> {
        count_anomalies(&mut self.anomalies, row);
        let judged = judged(row);
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

fn count_anomalies(counts: &mut AnomalyCounts, row: &Row) {
    let exchange = &row.exchange;
    counts.count_set(exchange.anomalies);
    counts.count_set(exchange.request.anomalies);
    exchange.response.iter().for_each(|response| counts.count_set(response.anomalies));
}

/// What became of a request, for whoever wants to watch: the fact at `info`, its times at `debug`.
fn log(row: &Row, verdict: Option<Verdict>) {
    if !tracing::enabled!(tracing::Level::INFO) {
        return;
    }
    let head = &row.exchange.request.head;
    let text = |bytes| visible(&String::from_utf8_lossy(bytes)).into_owned();
    let (id, method, target) = (row.request_name(), text(head.method()), text(head.target()));
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
