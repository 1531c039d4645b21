//! The end of the line: every row comes by here once, whatever command made it.

use std::collections::BTreeMap;
use std::fs;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use tokio::sync::mpsc;

use super::RunError;
use super::feed::Pending;
use super::judging::Ruling;
use super::ledger::Ledger;
use super::progress::Progress;
use super::reader::Read;
use super::report::{Knowledge, RECORDING, Rendering};
use super::verifying::{Ask, Asked, Question, Verification, Verifying};
use crate::anomaly::AnomalyCounts;
use crate::diff::{Learner, Verdict, reuse};
use crate::record::{
    Finished, Intents, NotAsked, Outstanding, PutOff, RecordError, Redactor, Row, Run, Secrets, Writer,
};
use crate::replay::client::ClientKind;
use crate::replay::clock::Clock;
use crate::replay::engine::{self, Settings};
use crate::replay::stop::StopSignal;
use crate::replay::{Outcome, ShadowRequest, SkipReason};
use crate::report::{Gate, Judged, ReportError, Reporter, Summary, visible, without_commands};

/// How many rows are taken at once, where so many wait.
pub(super) const BATCH: usize = 32;

/// What the reports on the way of a run leave out.
#[cfg(feature = "live")]
const INTERIM: &str = "these are reports on the way: each exchange is judged by itself, so that differences which are noise \
                       still count. What all exchanges together tell of noise and of routes is in the reports at the \
                       run's end, since it takes judging the whole recording again; `shadowcap report` does that then, too";

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
    /// The user's rules.
    ruling: Ruling,
    /// Asks again; `None` where nothing is.
    pub(super) verifying: Option<Verifying>,
    /// What all rows together show.
    pub(super) learner: Learner,
    folder: PathBuf,
}

impl Judging {
    /// The recording and the reports at their beginning. What fails here fails before anything is sent: the
    /// folder was chosen badly.
    pub(super) fn begin(
        folder: &Path,
        run: Run,
        keep: Keep,
        ruling: Ruling,
    ) -> Result<(Self, Option<Intents>), RunError> {
        if !keep.rows {
            return Ok((
                Self::new(folder, None, Reporter::counting(folder, ruling.of(run)), ruling, true),
                None,
            ));
        }
        let unusable = |folder, source| RunError::Folder { folder, source };
        let (writer, intents) = match Writer::create(&folder.join(RECORDING), &run) {
            Err(RecordError::Io { source, .. }) => return Err(unusable(folder.to_owned(), source)),
            other => other?,
        };
        match Reporter::create(folder, ruling.of(run)) {
            Ok(reporter) => Ok((Self::new(folder, Some(writer), reporter, ruling, true), Some(intents))),
            Err(error) => {
                writer.discard();
                Err(match error {
                    ReportError::Io { source, .. } => unusable(folder.to_owned(), source),
                    other @ ReportError::Render { .. } => other.into(),
                })
            }
        }
    }

    pub(super) fn new(
        folder: &Path,
        writer: Option<Writer>,
        reporter: Reporter,
        ruling: Ruling,
        is_new: bool,
    ) -> Self {
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
            learner: ruling.learner(),
            ruling,
            verifying: None,
            folder: folder.to_owned(),
        }
    }

    /// Has rows asked again, at no more than the run's rate.
    pub(super) fn verify(&mut self, verification: Verification, settings: &Settings, stop: StopSignal) {
        let (ruling, progress) = (self.ruling.anew(), Arc::clone(&self.progress));
        self.verifying = Some(Verifying::new(verification, settings, ruling, stop, progress));
    }

    /// Takes rows until there are no more. What is taken is first of all handed to the system, and its
    /// place among those on their way is free after that; it becomes a frame of the recording at least each
    /// second.
    pub(super) async fn all(
        &mut self,
        done: &mut mpsc::Receiver<Vec<engine::Done<Pending>>>,
        skipped: &mut mpsc::Receiver<Row>,
        ledger: &Ledger,
    ) -> Result<(), RunError> {
        let mut tick = tokio::time::interval(std::time::Duration::from_secs(1));
        // Rooms for a batch, used again and again: a row is large, and is moved no more often than it must be.
        let mut others = Vec::with_capacity(BATCH);
        let (mut taken, mut slots) = (Vec::with_capacity(2 * BATCH), Vec::with_capacity(BATCH));
        let (mut sending, mut reading) = (true, true);
        while sending || reading || self.is_asking() {
            let (mut answered, has_room) = (Vec::new(), self.has_room());
            tokio::select! {
                batch = done.recv(), if sending && has_room => match batch {
                    Some(batch) => answered = self.with_more(batch, done),
                    None => sending = false,
                },
                count = skipped.recv_many(&mut others, BATCH), if reading => reading = count > 0,
                asked = next(&mut self.verifying) => self.asked(asked?)?,
                _ = tick.tick() => self.flush()?,
            }
            Progress::count_on(&self.progress.done, answered.len() as u64);
            for done in answered {
                let (row, slot) = self.received(done);
                taken.push(row);
                slots.push(slot);
            }
            taken.extend(others.drain(..).map(Taken::from));
            self.keep(&mut taken)?;
            ledger.recorded(taken.iter().map(|taken| &taken.row));
            slots.clear();
            self.pass_on(&mut taken)?;
        }
        Ok(())
    }

    /// A batch with those that wait behind it, up to so many that they are handed to the system together. Where some are
    /// asked again there may not be room for more.
    fn with_more(
        &self,
        mut batch: Vec<engine::Done<Pending>>,
        waiting: &mut mpsc::Receiver<Vec<engine::Done<Pending>>>,
    ) -> Vec<engine::Done<Pending>> {
        while batch.len() < BATCH
            && self.verifying.is_none()
            && let Ok(more) = waiting.try_recv()
        {
            batch.extend(more);
        }
        batch
    }

    /// An outcome as a row, with what it would be asked again with, and its place among those on their way.
    fn received(&self, done: engine::Done<Pending>) -> (Taken, engine::Slot) {
        let engine::Done { job, client, outcome, slot } = done;
        let engine::Job { destination, request, payload, .. } = *job;
        (self.answered(payload, destination, request, client, outcome), slot)
    }

    /// The same of an outcome whose place the caller keeps.
    pub(super) fn answered(
        &self,
        pending: Pending,
        destination: usize,
        request: ShadowRequest,
        client: ClientKind,
        outcome: Outcome,
    ) -> Taken {
        let question = self
            .verifying
            .as_ref()
            .map(|verifying| verifying.question(&pending.exchange, destination, &request, pending.weight()));
        let row = pending.into_row(Some(request.head), Some(client), outcome);
        Taken { question, ..Taken::from(row) }
    }

    /// Takes one row.
    pub(super) fn row(&mut self, taken: impl Into<Taken>) -> Result<(), RunError> {
        self.rows(vec![taken.into()], ())
    }

    /// Takes rows, all that are at hand. They are handed to the system at once; then `places` is dropped, and they are
    /// judged.
    pub(super) fn rows<P>(&mut self, mut taken: Vec<Taken>, places: P) -> Result<(), RunError> {
        self.keep(&mut taken)?;
        drop(places);
        self.pass_on(&mut taken)
    }

    /// Writes again the rows of these names, which an earlier part of the run had put off and this one has
    /// not met: they are put off still, or, where the capture was read to its end, not in it any more.
    pub(super) fn put_off_again(
        &mut self,
        folder: &Path,
        names: Outstanding,
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
            let judged = self.learned(&row);
            self.judge(&row, judged)?;
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
    fn keep(&mut self, rows: &mut Vec<Taken>) -> Result<(), RunError> {
        self.rows += rows.len() as u64;
        // A repetition that was not begun is nothing that was captured.
        rows.retain(|Taken { row, .. }| {
            row.lap == 0 || !matches!(row.outcome, Outcome::Skipped(SkipReason::TimeOver))
        });
        if self.writer.is_some() || self.diff {
            for taken in rows.iter() {
                taken.row.fetch();
            }
        }
        for taken in rows.iter_mut() {
            let row = &mut taken.row;
            match row.outcome {
                Outcome::Skipped(_) => (row.sent_head, row.client) = (None, None),
                Outcome::Answered { .. } | Outcome::Failed { .. } => self.sent += 1,
            }
            // Where nothing of a row goes further, nothing has to be taken out of it.
            let redactor = self.redactor.as_ref().filter(|_| self.diff || self.writer.is_some());
            let secrets = redactor.map(|redactor| redactor.row(row));
            self.choose(taken);
            // Further answers may repeat them.
            taken.secrets = secrets.filter(|_| taken.is_asked);
            if let Some(writer) = &mut self.writer {
                if taken.is_asked { writer.asked_row(&taken.row)? } else { writer.row(&taken.row)? }
            }
        }
        Ok(self.writer.as_mut().map_or(Ok(()), Writer::keep)?)
    }

    /// Decides whether a row is asked again, by its answers without their secrets.
    fn choose(&mut self, taken: &mut Taken) {
        if let Some((verifying, question)) = self.verifying.as_ref().zip(taken.question.as_ref()) {
            taken.is_asked = verifying.choose(&mut taken.row, question);
        }
    }

    /// Judges rows that are recorded, or has them asked again before, until none is left.
    fn pass_on(&mut self, rows: &mut Vec<Taken>) -> Result<(), RunError> {
        for Taken { row, .. } in rows.iter().filter(|taken| !taken.is_asked) {
            let judged = self.learned(row);
            self.judge(row, judged)?;
        }
        if rows.iter().any(|taken| taken.is_asked) {
            for asked in rows.drain(..).filter(|taken| taken.is_asked) {
                let Taken { row, secrets, question, .. } = asked;
                if let Some((verifying, question)) = self.verifying.as_mut().zip(question) {
                    let rounds = 0;
                    verifying.ask(Ask { row, secrets, question, rounds }, 1);
                }
            }
        }
        rows.clear();
        Ok(())
    }

    /// Takes the answers to a row that was asked again: asks on where they disagree, and else records and
    /// judges it.
    pub(super) fn asked(&mut self, asked: Asked) -> Result<(), RunError> {
        let Asked { mut ask, answers, interrupted } = asked;
        for mut again in answers {
            if let (Some(redactor), Some(secrets)) = (&self.redactor, &ask.secrets) {
                redactor.again(&mut again, secrets);
            }
            ask.row.again.push(again);
        }
        if interrupted {
            ask.row.not_asked = Some(NotAsked::Interrupted);
        } else if let Some(verifying) = &mut self.verifying {
            let Some(settled) = verifying.ask_on(ask) else { return Ok(()) };
            ask = settled;
        }
        let row = ask.row;
        if let Some(writer) = &mut self.writer {
            writer.again(&row.name(), &row.again, row.not_asked)?;
            writer.keep()?;
        }
        let judged = self.learned(&row);
        self.judge(&row, judged)
    }

    /// Whether rows wait for what becomes of them when they are asked again.
    pub(super) fn is_asking(&self) -> bool {
        self.verifying.as_ref().is_some_and(|verifying| !verifying.is_idle())
    }

    /// Whether further outcomes can be taken.
    pub(super) fn has_room(&self) -> bool {
        self.verifying.as_ref().is_none_or(Verifying::has_room)
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

    /// The reports of what there is so far, as if the run had ended with this account. Each row in them is judged as it was
    /// when it came: to judge all again by what they show together takes reading the whole recording, for which a run of
    /// live traffic, that sheds what it cannot keep up with, has no time.
    #[cfg(feature = "live")]
    pub(super) fn interim(&mut self, finished: &Finished, gate: &Gate) -> Result<Summary, RunError> {
        self.flush()?;
        let learned = Knowledge::of(&self.learner);
        let note = (!learned.is_neutral()).then_some(INTERIM);
        Ok(self.reporter.interim(finished, note, gate)?)
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

    /// Ends the recording, and writes the reports: again from the beginning where all rows together tell more than
    /// each by itself.
    pub(super) fn finish(self, finished: &Finished, gate: &Gate) -> Result<Summary, RunError> {
        let is_recorded = self.writer.is_some();
        if let Some(writer) = self.writer {
            writer.finish(finished)?;
        }
        let learned = Knowledge::of(&self.learner);
        if is_recorded && !learned.is_neutral() {
            drop(self.reporter);
            return rendering(&self.folder, &self.ruling, gate).render(&self.folder, &learned, None);
        }
        let mut notes = self.ruling.sentences();
        if !learned.is_neutral() {
            notes.push(
                "nothing was recorded, so that each exchange was judged by itself: what the others tell of noise and \
                 routes is left out"
                    .to_owned(),
            );
        }
        let reporter = self.reporter.noting(notes).ruling(self.ruling.rules());
        let reporter = if is_recorded { reporter.knowing(&learned.routes()) } else { reporter };
        Ok(reporter.finish(Some(finished), &[], gate)?)
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

    /// What is said of a row by itself, which is learned from.
    fn learned(&mut self, row: &Row) -> Option<Judged> {
        if self.diff { self.ruling.learn(row, &mut self.learner) } else { failed(row) }
    }

    /// Counts a row that is recorded, and what is said of it.
    fn judge(&mut self, row: &Row, judged: Option<Judged>) -> Result<(), RunError> {
        count_anomalies(&mut self.anomalies, row);
        let verdict = judged.as_ref().map(|judged| judged.verdict);
        log(row, verdict);
        match verdict {
            Some(Verdict::Failed) => Progress::count(&self.progress.failed),
            Some(Verdict::Different) => Progress::count(&self.progress.different),
            _ => {}
        }
        self.reporter.add(row, judged.as_ref())?;
        // The next row mostly differs in the same places.
        if let Some(judged) = judged {
            reuse(judged.differences);
        }
        Ok(())
    }
}

/// What renders the recording of a run again.
fn rendering(folder: &Path, ruling: &Ruling, gate: &Gate) -> Rendering {
    let runs = vec![folder.to_owned()];
    Rendering { runs, against: None, redactor: None, ruling: ruling.anew(), gate: gate.clone() }
}

/// The next row of which all further answers are there; for ever, where none is asked for.
pub(super) async fn next(verifying: &mut Option<Verifying>) -> Result<Asked, RunError> {
    match verifying {
        Some(verifying) => verifying.next().await,
        None => std::future::pending().await,
    }
}

/// A row on its way through the keeping.
pub(super) struct Taken {
    row: Row,
    secrets: Option<Secrets>,
    /// What it would be asked again with.
    question: Option<Question>,
    is_asked: bool,
}

impl From<Row> for Taken {
    fn from(row: Row) -> Self {
        Self { row, secrets: None, question: None, is_asked: false }
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
        Outcome::Failed { .. } => Ruling::default().judged(row),
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
