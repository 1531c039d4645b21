//! Comparing what a mesh has mirrored already, from the capture to the reports. Nothing is sent.
//!
//! ```text
//! thread                                runtime
//! reading ─▶ sides ─▶ pairs ────rows───▶ redact, record, diff, count
//! ```
//!
//! A row is a pair: the original as the captured exchange, the copy in the place of what a replay would
//! have sent and got. Pairs are counted as replayed. An original without a copy, and a copy without an
//! original, is a row of its own, counted as skipped with its reason. The reason of a pair is what made
//! it one.

use std::path::PathBuf;
use std::sync::Arc;

use tokio::sync::mpsc;

use super::feed::Halt;
use super::judging::Ruling;
use super::keeping::{Judging, Keep};
use super::reader::{Handed, Reader, Repeat, Source, Taker, spawn_reader};
use super::run::{Kept, give_up, make_folder};
use super::stages::WAITING;
use super::{Progress, ReadingOptions, RunError, RunOutcome, Sides};
use crate::capture::CaptureSet;
use crate::exchange::mirrors::{Alone, Evidence, Mirrored, Mirrors, MirrorsLimits};
use crate::exchange::{Exchange, Tell, Told};
use crate::http::Completeness;
use crate::record::{Intents, Redactor, Row, Run};
use crate::replay::clock::Clock;
use crate::replay::stop::{Stop, StopHandle, StopSignal};
use crate::replay::{Failure, Outcome, SkipReason, Timing};
use crate::report::Gate;
use crate::route::Role;

/// What is to be done.
pub struct Comparison {
    /// The run as the recording's first line names it.
    pub run: Run,
    /// Where the packets come from.
    pub source: CaptureSet,
    /// Which are read, and what is kept.
    pub reading: ReadingOptions,
    /// What tells copies from originals.
    pub sides: Sides,
    /// How far apart the sides of a pair may be, and how much may wait.
    pub limits: MirrorsLimits,
    /// The clock of the run.
    pub clock: Clock,
    /// Takes secrets out of what is kept; `None` where they are kept.
    pub redactor: Option<Redactor>,
    /// The run's folder.
    pub folder: PathBuf,
    /// The user's rules.
    pub ruling: Ruling,
    /// What the verdict demands.
    pub gate: Gate,
}

/// Pairs the two sides of what a mesh mirrored, and writes a recording and reports of how the answers
/// differ.
///
/// # Errors
/// When nothing can be reported, since the folder cannot be written.
pub async fn compare(
    job: Comparison,
    progress: Arc<Progress>,
    stop: Arc<StopHandle>,
    signal: StopSignal,
) -> Result<RunOutcome, RunError> {
    make_folder(&job.folder)?;
    let (mut judging, intents) = Judging::begin(&job.folder, job.run, Keep::default(), job.ruling)?;
    // Nothing is sent, so that nothing will be on its way.
    intents.as_ref().map_or(Ok(()), Intents::close)?;
    judging.redactor = job.redactor;
    judging.progress = Arc::clone(&progress);
    let (rows_in, mut rows) = mpsc::channel(WAITING);
    let pairing = Pairing {
        sides: job.sides,
        mirrors: Mirrors::new(job.limits),
        handing: Handing { rows: rows_in, progress, handed: 0, gone: false },
    };
    let giving_up = tokio::spawn(give_up(job.source.canceller(), signal.clone()));
    let source = Source { captures: job.source, options: job.reading, repeat: Repeat::ONCE };
    let reader = spawn_reader(Reader::new(source, pairing, signal.clone()), stop)?;

    let judged = all(&mut judging, &mut rows).await;
    drop(rows);
    let reading = tokio::task::spawn_blocking(move || reader.join()).await;
    giving_up.abort();
    let kept = Kept { folder: job.folder, recorded: true, resumable: false };
    judged.map_err(|error| kept.unkept(error))?;
    let Ok(Ok(read)) = reading else { return Err(RunError::Defect { stage: "reading" }) };

    let interrupted = signal.state() != Stop::Run;
    let finished = judging.account(&read, interrupted, None, job.clock);
    let broken_off = finished.broken_off.clone();
    let summary = judging.finish(&finished, &job.gate)?;
    Ok(RunOutcome {
        summary,
        broken_off,
        interrupted,
        in_flight: Vec::new(),
        gave_up: None,
        resumable: false,
    })
}

/// Judges rows until there are no more; what is recorded is on its way to disk at least each second.
async fn all(judging: &mut Judging, rows: &mut mpsc::Receiver<Row>) -> Result<(), RunError> {
    let mut tick = tokio::time::interval(std::time::Duration::from_secs(1));
    loop {
        tokio::select! {
            next = rows.recv() => match next {
                Some(row) => judging.row(row)?,
                None => return Ok(()),
            },
            _ = tick.tick() => judging.flush()?,
        }
    }
}

/// Takes exchanges in the order of the capture, from the thread that reads.
struct Pairing {
    sides: Sides,
    mirrors: Mirrors,
    handing: Handing,
}

/// Hands rows on.
struct Handing {
    rows: mpsc::Sender<Row>,
    progress: Arc<Progress>,
    handed: u64,
    /// Nobody takes rows any more.
    gone: bool,
}

impl Tell for Pairing {
    fn tell(&mut self, told: Told) {
        let Told::Exchange(exchange) = told else { return };
        if self.handing.gone {
            return;
        }
        Progress::count(&self.handing.progress.requests);
        let side = self.sides.of(&exchange);
        self.mirrors.take(*exchange, side, &mut |mirrored| self.handing.hand(mirrored));
    }
}

impl Taker for Pairing {
    fn halt(&self) -> Option<&Halt> {
        self.handing.gone.then_some(&Halt::Gone)
    }

    fn end(mut self) -> Handed {
        self.mirrors.finish(&mut |mirrored| self.handing.hand(mirrored));
        let halt = self.handing.gone.then_some(Halt::Gone);
        Handed { rows: self.handing.handed, halt, ..Handed::default() }
    }
}

impl Handing {
    fn hand(&mut self, mirrored: Mirrored) {
        let row = row(mirrored);
        let counter = match row.outcome {
            Outcome::Skipped(_) => &self.progress.skipped,
            Outcome::Answered { .. } | Outcome::Failed { .. } => &self.progress.done,
        };
        Progress::count(counter);
        self.gone |= self.rows.blocking_send(row).is_err();
        self.handed += u64::from(!self.gone);
    }
}

/// The rule of all rows: whatever the mesh had.
const RULE: &str = "the mesh's own";

/// What the reports are made of.
fn row(mirrored: Mirrored) -> Row {
    let (exchange, destination, sent_head, reason, outcome) = match mirrored {
        Mirrored::Pair { primary, shadow, evidence } => {
            let sent_head = Some(shadow.request.head.raw().clone());
            let server = shadow.connection.server.to_string();
            (primary, server, sent_head, words(evidence), outcome(*shadow))
        }
        Mirrored::Alone(exchange, why) => {
            let reason = skipped(why);
            (exchange, String::new(), None, reason.words(), Outcome::Skipped(reason))
        }
    };
    Row {
        exchange,
        lap: 0,
        copy: 0,
        role: Role::Shadow,
        destination: destination.into(),
        route: RULE.into(),
        matched: "".into(),
        reason: reason.into(),
        sent_head,
        client: None,
        outcome,
        again: Vec::new(),
        not_asked: None,
    }
}

const fn words(evidence: Evidence) -> &'static str {
    match evidence {
        Evidence::RequestId => "same x-request-id",
        Evidence::Likeness => "same method, target, host and body, near in time",
    }
}

const fn skipped(why: Alone) -> SkipReason {
    match why {
        Alone::NoShadow => SkipReason::NoShadow,
        Alone::NoPrimary => SkipReason::NoPrimary,
        Alone::OutsideWindow => SkipReason::OutsideWindow,
        Alone::Ambiguous => SkipReason::Ambiguous,
        Alone::NoRoom => SkipReason::NoRoom,
        Alone::IncompleteRequest => SkipReason::IncompleteRequest,
    }
}

/// What became of the copy. Where the capture lacks bytes of its answer, nothing is known of v2; where
/// the connection ended within it, v2 gave no whole one.
fn outcome(shadow: Exchange) -> Outcome {
    let began = shadow.request.first_byte;
    let Some(response) = shadow.response else { return Outcome::Skipped(SkipReason::NoShadowAnswer) };
    let timing = Timing {
        due: began,
        connecting: None,
        sent: Some(began),
        first_byte: Some(response.first_byte),
        last_byte: Some(response.last_byte),
    };
    match response.completeness {
        Completeness::Complete => {
            Outcome::Answered { response: Box::new(response), interim: shadow.interim, timing }
        }
        Completeness::Aborted => Outcome::Failed {
            failure: Failure::ClosedInAnswer,
            detail: "the captured connection ended within the shadow's answer".to_owned(),
            partial: Some(Box::new(response)),
            timing,
        },
        Completeness::Gap | Completeness::Cut => Outcome::Skipped(SkipReason::IncompleteShadowAnswer),
    }
}
