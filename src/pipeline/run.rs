//! A replay from the capture to the reports.
//!
//! ```text
//! reading ─work─▶ engine, at most N on the way ─done─▶ judging: redact, record, diff, count
//!    └────────────────────── skipped ────────────────────▲
//! ```
//!
//! Each has a thread of its own, or shares one: see `stages`. All channels are bounded, so reading keeps just ahead of sending. Told to stop, the engine answers
//! what waits with "interrupted", reading ends at the next packet, and the reports are of what there is.

use std::fs;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use super::RunError;
use super::feed::{Halt, Past};
use super::judging::Ruling;
use super::keeping::{Judging, Keep, count_anomalies};
use super::ledger::Ledger;
use super::planning::Planning;
use super::progress::Progress;
use super::reader::{Repeat, Source};
use super::reading::ReadingOptions;
use super::spill::Spill;
use super::stages::{Came, Stages};
use super::verifying::Verification;
use crate::anomaly::AnomalyCounts;
use crate::capture::{Cancel, CaptureSet};
use crate::http::BodyStore;
use crate::record::{Gathering, Intents, RecordError, Redactor, Resuming, RowName, Run};
use crate::replay::clock::Clock;
use crate::replay::engine::Settings;
use crate::replay::stop::{Stop, StopHandle, StopSignal};
use crate::replay::{Failure, Outcome, SkipReason};
use crate::report::{Gate, Reporter, Summary};

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
    /// What is made of the rows besides counting them.
    pub keep: Keep,
    /// The run's folder.
    pub folder: PathBuf,
    /// The user's rules.
    pub ruling: Ruling,
    /// What is asked again, if anything is.
    pub verification: Option<Verification>,
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
    /// Whether the run can be gone on with: it was recorded, and has a rest.
    pub resumable: bool,
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
    let resumable = job.keep.rows && matches!(job.repeat, Repeat::Times(_));
    let kept = Kept { folder: job.folder.clone(), recorded: job.keep.rows, resumable };
    let made = make_folder(&job.folder)?;
    let Begun { mut judging, intents, past, in_flight } =
        begin(&job.folder, job.run, job.resumption, job.keep, job.ruling)?;
    judging.redactor = job.redactor;
    judging.diff = job.keep.diff;
    judging.progress = Arc::clone(&progress);
    if let Some(verification) = job.verification.filter(|_| job.keep.diff) {
        judging.verify(verification, &job.settings, signal.clone());
    }
    let ledger = Arc::new(Ledger::new(intents, Arc::clone(&progress), Arc::clone(&stop)));

    let giving_up = tokio::spawn(give_up(job.source.canceller(), signal.clone()));
    let store: Arc<dyn BodyStore> = Arc::new(Spill::in_folder(job.folder.clone()));
    let options = ReadingOptions { store: Some(store), ..job.reading };
    let stages = Stages {
        source: Source { captures: job.source, options, repeat: job.repeat },
        planning: job.planning,
        past,
        answers_are_read: job.keep.rows || job.keep.diff,
        settings: job.settings,
        judging,
        ledger: Arc::clone(&ledger),
        progress,
        stop,
        signal: signal.clone(),
    };
    let came = Box::pin(stages.run()).await;
    giving_up.abort();
    let Came { mut judging, judged, ended, mut read } = came?;
    let unnoted = ledger.take_error().map_or(Ok(()), |error| Err(RunError::from(error)));
    judged.and(unnoted).map_err(|error| kept.unkept(error))?;

    if let Some(Halt::Unread(error)) = read.halt {
        return Err(kept.unkept(error.into()));
    }
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
    let unmet = std::mem::take(&mut read.unmet);
    judging.put_off_again(&job.folder, unmet.put_off, interrupted)?;
    let mut finished = judging.account(&read, interrupted, ended.gave_up.clone(), job.clock);
    if unmet.in_flight > 0 && !interrupted {
        finished.without_row.insert(SkipReason::NotMetAgain.name().to_owned(), unmet.in_flight);
    }
    let broken_off = finished.broken_off.clone();
    let summary = judging.finish(&finished, &job.gate).map_err(|error| kept.unkept(error))?;
    ledger.close()?;
    match refused {
        Some(refused) => Err(RunError::CapturedServerMet { refused, sent, folder: job.folder }),
        None => {
            Ok(RunOutcome { summary, broken_off, interrupted, in_flight, gave_up: ended.gave_up, resumable })
        }
    }
}

/// What there is of a run.
pub(super) struct Kept {
    /// Its folder.
    pub(super) folder: PathBuf,
    /// Whether there is a recording.
    pub(super) recorded: bool,
    /// Whether it can be gone on with.
    pub(super) resumable: bool,
}

impl Kept {
    /// What it means for the run that something could not be kept any more.
    pub(super) fn unkept(&self, error: RunError) -> RunError {
        match error {
            vanished @ RunError::Record(RecordError::Vanished(_)) => vanished,
            error => RunError::Unkept {
                source: Box::new(error),
                folder: self.folder.clone(),
                recorded: self.recorded,
                resumable: self.resumable,
            },
        }
    }
}

/// A run at its beginning, or where it goes on.
struct Begun {
    judging: Judging,
    intents: Option<Intents>,
    past: Past,
    in_flight: Vec<RowName>,
}

fn begin(
    folder: &Path,
    run: Run,
    resumption: Option<Resumption>,
    keep: Keep,
    ruling: Ruling,
) -> Result<Begun, RunError> {
    if let Some(resumption) = resumption {
        return go_on(folder, resumption, ruling);
    }
    let (judging, intents) = Judging::begin(folder, run, keep, ruling)?;
    Ok(Begun { judging, intents, past: Past::default(), in_flight: Vec::new() })
}

/// The recording behind its last row, and the reports with the rows that it holds.
fn go_on(folder: &Path, resumption: Resumption, ruling: Ruling) -> Result<Begun, RunError> {
    let Resumption { mut recording, resend } = resumption;
    let mut reporter = Reporter::create(folder, ruling.of(recording.run().clone()))?;
    let (mut anomalies, mut past) = (AnomalyCounts::default(), Past::default());
    let (mut killed, mut learner) = (Vec::new(), ruling.learner());
    let mut recorded = Gathering::default();
    while let Some(row) = recording.next_row()? {
        let judged = ruling.learn(&row, &mut learner);
        reporter.add(&row, judged.as_ref())?;
        count_anomalies(&mut anomalies, &row);
        recorded.add(row.name().digest());
        if matches!(row.outcome, Outcome::Failed { failure: Failure::Killed, .. }) {
            killed.push(row.name());
        }
    }
    past.recorded = recorded.finish();
    let resumed = recording.go_on(&past.recorded)?;
    let in_flight = if resend { Vec::new() } else { resumed.in_flight };
    past.in_flight = in_flight.iter().map(RowName::digest).collect();
    past.put_off = resumed.put_off;
    // With those of an earlier resumption, which may have been killed before it could name them.
    let in_flight = [killed, in_flight].concat();
    let mut judging = Judging::new(folder, Some(resumed.writer), reporter, ruling, false);
    judging.anomalies = anomalies;
    judging.learner = learner;
    Ok(Begun { judging, intents: Some(resumed.intents), past, in_flight })
}

/// Gives the reading of the capture up as soon as the run is told to stop.
pub(super) async fn give_up(reading: Cancel, mut signal: StopSignal) {
    signal.reached(Stop::Finish).await;
    reading.cancel();
}
