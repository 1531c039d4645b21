//! A replay of what is captured at the moment.
//!
//! ```text
//! thread         thread                    runtime                      runtime
//! capture ─────▶ reading ──────try────────▶ engine ──────────done──────▶ judging: redact, record, diff
//!   │ kernel's      │ packets to -w            at most --queue waiting       ▲
//!   │ ring behind   └─────────── skipped, try ───────────────────────────────┘
//! ```
//!
//! Nothing on the way from the interface to the engine waits for what comes behind: where v2 is slower
//! than v1's traffic, a request that finds no room is shed, and counted by reason. So shadowing takes
//! nothing from v1 but CPU, and packets are lost only where this machine is too slow to read them, which
//! the kernel counts.
//!
//! A request is due when v1 has answered it; so the lateness in the reports is the time from v1's answer
//! to the shadow's departure.

mod feed;
mod reader;
mod watch;

use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use tokio::sync::{Semaphore, mpsc};
use tokio::time::{Instant, MissedTickBehavior, interval_at, sleep_until};

use self::feed::{LiveFeed, Queued};
use self::reader::{LiveReader, spawn};
pub use self::watch::{View, Watch};
use super::judging::Ruling;
use super::keeping::{BATCH, Judging, Keep, Taken, next};
use super::run::{Kept, make_folder};
use super::spill::Spill;
use super::stages::{BATCHES, WAITING};
use super::verifying::Verification;
use super::{Planning, Progress, ReadingOptions, RunError, RunOutcome};
use crate::capture::live::{LiveCapture, Stopper};
use crate::capture::recorder::Recorder;
use crate::http::BodyStore;
use crate::record::{Intents, Redactor, Row, Run};
use crate::replay::clock::Clock;
use crate::replay::engine::{self, Settings};
use crate::replay::stop::{Stop, StopHandle, StopSignal};
use crate::replay::{Outcome, SkipReason};
use crate::report::{Gate, Summary};

/// What waiting requests and what came with them may hold, in bytes.
const QUEUE_MEMORY: u32 = 256 << 20;
/// How long, after capturing has ended, what waits is still sent.
const DRAINING: Duration = Duration::from_secs(5);
/// How often the view of the run is renewed for whoever shows it.
const VIEWING: Duration = Duration::from_millis(250);
/// Differences in the view.
const MOST_SHOWN: usize = 12;

/// What is to be done.
pub struct LiveJob {
    /// The run as the recording's first line names it.
    pub run: Run,
    /// Where the packets come from.
    pub capture: LiveCapture,
    /// Where they are kept, if they are.
    pub recorder: Option<Recorder>,
    /// Which are read, and what is kept.
    pub reading: ReadingOptions,
    /// Which requests are sent, and what. A guard ends nothing here: it leaves out what it refuses.
    pub planning: Planning,
    /// How it is sent.
    pub settings: Settings,
    /// How many requests may wait for v2, or be on their way to it.
    pub queue: usize,
    /// Bytes of disk that the bodies of requests may take that are too large for memory, while they come in and wait.
    pub disk: u64,
    /// How long is captured, where the user says so.
    pub duration: Option<Duration>,
    /// How often reports are made of what there is so far.
    pub report_every: Option<Duration>,
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
    /// What the verdict demands.
    pub gate: Gate,
}

/// How the run is told what to do while it goes on.
pub struct Control {
    /// Ends sending: at once for what waits, and raised again for what is on its way.
    pub stop: Arc<StopHandle>,
    /// Hears that.
    pub signal: StopSignal,
    /// Each message asks for reports of what there is so far.
    pub report_now: mpsc::Receiver<()>,
}

/// Captures and shadows until the time is over or capturing ends, and writes recording and reports.
///
/// `told` is told of the reports that are made on the way.
///
/// # Errors
/// When nothing can be reported: the folder cannot be written.
pub async fn run(
    job: LiveJob,
    watch: Arc<Watch>,
    control: Control,
    told: impl Fn(&Summary),
) -> Result<RunOutcome, RunError> {
    make_folder(&job.folder)?;
    // Nobody can go on with a run of what was captured at the time, so what is on its way is not noted.
    let (mut judging, intents) = Judging::begin(&job.folder, job.run, job.keep, job.ruling)?;
    intents.as_ref().map_or(Ok(()), Intents::close)?;
    judging.diff = job.keep.diff;
    judging.redactor = job.redactor;
    judging.progress = Arc::clone(&watch.progress);
    let stopper = job.capture.stopper();
    if let Some(verification) = job.verification {
        judging.verify(verification, &job.settings, control.signal.clone());
    }

    let (work_in, work) = mpsc::channel(job.queue + WAITING);
    let (done_in, done) = mpsc::channel(BATCHES);
    let (skipped_in, skipped) = mpsc::channel(WAITING);
    let feed = LiveFeed {
        planning: job.planning,
        room: Arc::new(Semaphore::new(job.queue)),
        memory: Arc::new(Semaphore::new(QUEUE_MEMORY as usize)),
        work: work_in,
        skipped: skipped_in,
        watch: Arc::clone(&watch),
    };
    let store: Arc<dyn BodyStore> = Arc::new(Spill::within(job.folder.clone(), job.disk));
    let reader = LiveReader {
        capture: job.capture,
        recorder: job.recorder,
        options: ReadingOptions { store: Some(store), ..job.reading },
        watch: Arc::clone(&watch),
    };
    let (reader, captured_all) = spawn(reader, feed)?;
    // The queue's own memory is that of the engine, so that the engine never waits for it.
    let settings = Settings { budget: QUEUE_MEMORY, ..job.settings };
    let seeing: Arc<dyn engine::Watch<Queued>> = Arc::<Watch>::clone(&watch);
    let engine = tokio::spawn(engine::run_watched(settings, work, done_in, control.signal.clone(), seeing));

    let mut keeper = Keeper {
        judging,
        watch,
        gate: job.gate.clone(),
        clock: job.clock,
        done,
        skipped,
        stopper: stopper.clone(),
        stop: Arc::clone(&control.stop),
    };
    let signal = control.signal.clone();
    let times = Times { duration: job.duration, report_every: job.report_every };
    let kept = keeper.all(times, control.report_now, captured_all, &told).await;
    if kept.is_err() {
        // Nothing more can be kept: nothing more is captured or sent.
        stopper.stop();
        control.stop.raise();
        control.stop.raise();
    }
    let Keeper { judging, watch, done, skipped, .. } = keeper;
    drop((done, skipped));
    let sending = engine.await;
    let reading = tokio::task::spawn_blocking(move || reader.join()).await;
    let folder = Kept { folder: job.folder, recorded: true, resumable: false };
    kept.map_err(|error| folder.unkept(error))?;
    let ended = sending.map_err(|_| RunError::Defect { stage: "sending" })?;
    let Ok(Ok(())) = reading else { return Err(RunError::Defect { stage: "reading" }) };

    let interrupted = signal.state() != Stop::Run && !watch.drained_out();
    let (rows, anomalies) = judging.taken();
    let mut finished = watch.finished(anomalies, interrupted, job.clock.now());
    if let Some(defect) = watch.unaccounted(rows) {
        finished.broken_off =
            Some(finished.broken_off.map_or(defect.clone(), |what| format!("{what}; {defect}")));
    }
    finished.gave_up.clone_from(&ended.gave_up);
    let broken_off = finished.broken_off.clone();
    let summary = judging.finish(&finished, &job.gate).map_err(|error| folder.unkept(error))?;
    Ok(RunOutcome {
        summary,
        broken_off,
        interrupted,
        in_flight: Vec::new(),
        gave_up: ended.gave_up,
        resumable: false,
    })
}

#[derive(Clone, Copy)]
struct Times {
    duration: Option<Duration>,
    report_every: Option<Duration>,
}

/// The end of the line.
struct Keeper {
    judging: Judging,
    watch: Arc<Watch>,
    gate: Gate,
    clock: Clock,
    done: mpsc::Receiver<Vec<engine::Done<Queued>>>,
    skipped: mpsc::Receiver<Row>,
    stopper: Stopper,
    stop: Arc<StopHandle>,
}

impl Keeper {
    /// Takes rows until there are no more; what is recorded is on its way to disk at least each second.
    async fn all(
        &mut self,
        times: Times,
        mut report_now: mpsc::Receiver<()>,
        mut captured_all: tokio::sync::oneshot::Receiver<()>,
        told: &impl Fn(&Summary),
    ) -> Result<(), RunError> {
        let mut flush = ticks(Duration::from_secs(1));
        let mut view = ticks(VIEWING);
        let mut report = times.report_every.map(ticks);
        let mut capture_until = times.duration.map(|duration| Instant::now() + duration);
        let mut send_until = None;
        let (mut sending, mut reading, mut capturing, mut asked) = (true, true, true, true);
        let mut skipped = Vec::with_capacity(BATCH);
        while sending || reading || self.judging.is_asking() {
            tokio::select! {
                asked = next(&mut self.judging.verifying) => self.judging.asked(asked?)?,
                answered = self.done.recv(), if sending => match answered {
                    Some(answered) => self.outcomes(answered)?,
                    None => sending = false,
                },
                count = self.skipped.recv_many(&mut skipped, BATCH), if reading => {
                    reading = count > 0;
                    let skipped = skipped.drain(..).map(Taken::from).collect();
                    self.judging.rows(skipped, ())?;
                }
                _ = flush.tick() => self.judging.flush()?,
                _ = view.tick() => self.renew(),
                () = tick(&mut report) => self.report(told)?,
                more = report_now.recv(), if asked => match more {
                    Some(()) => self.report(told)?,
                    None => asked = false,
                },
                () = until(capture_until) => {
                    capture_until = None;
                    self.stopper.stop();
                }
                _ = &mut captured_all, if capturing => {
                    capturing = false;
                    send_until = Some(Instant::now() + DRAINING);
                }
                () = until(send_until) => {
                    send_until = None;
                    self.watch.drain_out();
                    self.stop.raise();
                    self.stop.raise();
                }
            }
        }
        self.renew();
        Ok(())
    }

    /// Renews what is shown of the run.
    fn renew(&self) {
        self.watch.renew(self.judging.verdicts(), self.judging.top_differences(MOST_SHOWN));
    }

    /// What became of requests; each was due when v1 had answered it.
    fn outcomes(&mut self, answered: Vec<engine::Done<Queued>>) -> Result<(), RunError> {
        let (mut taken, mut slots, mut rooms) = (Vec::new(), Vec::new(), Vec::new());
        for engine::Done { job, client, mut outcome, slot } in answered {
            let engine::Job { destination, request, payload, .. } = *job;
            Progress::count(&self.watch.progress.done);
            let Queued { pending, room } = payload;
            match &mut outcome {
                Outcome::Answered { timing, .. } | Outcome::Failed { timing, .. } => {
                    if let Some(response) = &pending.exchange.response {
                        timing.due = response.last_byte;
                        self.watch.departed(timing);
                    }
                    self.watch.progress.end(&outcome);
                }
                // Nothing more is sent, so there is nothing to capture for.
                Outcome::Skipped(SkipReason::TargetGone) => self.stopper.stop(),
                Outcome::Skipped(_) => {}
            }
            taken.push(self.judging.answered(pending, destination, request, client, outcome));
            slots.push(slot);
            rooms.push(room);
        }
        // Others may be on their way as soon as nothing of these can be lost; the memory is free when they are judged.
        let kept = self.judging.rows(taken, slots);
        drop(rooms);
        kept
    }

    fn report(&mut self, told: &impl Fn(&Summary)) -> Result<(), RunError> {
        let finished = self.watch.finished(self.judging.taken().1, false, self.clock.now());
        told(&self.judging.interim(&finished, &self.gate)?);
        Ok(())
    }
}

fn ticks(period: Duration) -> tokio::time::Interval {
    let mut ticks = interval_at(Instant::now() + period, period);
    ticks.set_missed_tick_behavior(MissedTickBehavior::Skip);
    ticks
}

/// The next tick, if there is a clock.
async fn tick(ticks: &mut Option<tokio::time::Interval>) {
    match ticks {
        Some(ticks) => {
            ticks.tick().await;
        }
        None => std::future::pending().await,
    }
}

/// A moment, if there is one.
async fn until(moment: Option<Instant>) {
    match moment {
        Some(moment) => sleep_until(moment).await,
        None => std::future::pending().await,
    }
}
