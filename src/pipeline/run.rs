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
use super::feed::{Feed, Halt, Progress};
use super::keeping::Judging;
use super::reader::spawn_reader;
use super::reading::ReadingOptions;
use crate::capture::{Cancel, CaptureSet};
use crate::record::{Redactor, Run};
use crate::replay::Planner;
use crate::replay::clock::Clock;
use crate::replay::engine::{self, Settings};
use crate::replay::guard::Guard;
use crate::replay::stop::{Stop, StopHandle, StopSignal};
use crate::report::{Gate, Summary};
use crate::route::{RouteTable, Sampling};

/// How many outcomes, and how many skipped rows, may wait to be judged.
pub(super) const WAITING: usize = 256;

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
    let mut judging = Judging::begin(&job.folder, &job.run, job.redactor, Arc::clone(&progress))?;

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

/// Gives the reading of the capture up as soon as the run is told to stop.
pub(super) async fn give_up(reading: Cancel, mut signal: StopSignal) {
    signal.reached(Stop::Finish).await;
    reading.cancel();
}
