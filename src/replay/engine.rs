//! The replay itself: captured connections side by side, each in its own order.
//!
//! ```text
//! Work ──▶ dispatcher ──▶ lane ──▶ worker ── due ─▶ rate ─▶ slot ─▶ client ──▶ Done
//!             │ budget      (one for each captured connection and destination)   │
//!             └◀──────────────────────── given back ◀────────────────────────────┘
//! ```
//!
//! Reading keeps just ahead of sending: each request takes its share of one *budget* in bytes when it
//! comes in, and gives it back when its outcome has been handed on. Nothing that waits in a lane waits
//! for a request that is not read yet, and each attempt ends by its time limit, so the budget always
//! comes back and the replay always moves on, however unevenly requests fall to connections. Whoever
//! starts a run has to take the outcomes while handing in work.
//!
//! The budget is of all lanes together, and the capture is read in its order. So a slow v2 delays only its own
//! connection as long as what waits behind its answers is within the budget (some twenty thousand small
//! requests); beyond that reading stops, and with it all others, until one of the answers has come. No bound
//! for each lane could prevent it: what stands behind a request that finds no place in its lane would have to
//! be kept somewhere. What is late for it is told as lateness, like all else.

use std::num::NonZeroU32;
use std::sync::{Arc, Mutex, OnceLock, PoisonError};
use std::time::Duration;

use tokio::sync::{OwnedSemaphorePermit, Semaphore, mpsc, watch};
use tokio::task::JoinSet;
use tokio::time::Instant;

use super::client::{Client, ClientKind, Connection};
use super::clock::Clock;
use super::connections::Connections;
use super::lanes::{How, LaneKey, Lanes};
use super::order::{Lanewise, Order};
use super::outcome::{Failure, Outcome, SkipReason, Timing};
use super::pace::{Arrivals, Rate, Schedule, Speed};
use super::pacer::Pacer;
use super::plan::ShadowRequest;
use super::reach::Reach;
use super::stop::{Stop, StopSignal};
use crate::stream::{Closing, ConnectionId};
use crate::time::Timestamp;

/// How a replay is run.
#[derive(Clone, Debug)]
pub struct Settings {
    /// The senders, one for each destination.
    pub clients: Vec<Client>,
    /// How many requests may be on their way at once; at least one.
    pub concurrency: usize,
    /// How many connections may be kept open between requests, besides those in use.
    pub max_parked: usize,
    /// Which connections those are. Where they are pooled, no more requests are on their way than the pool has.
    pub connections: Connections,
    /// How many bytes of requests, and of what comes with them, may wait at once.
    pub budget: u32,
    /// How fast.
    pub speed: Speed,
    /// So many requests per second are due at most. A run that has fallen behind catches up at no more
    /// than [`Rate::catching_up`].
    pub rate: Option<Rate>,
    /// Which requests wait for each other's answers.
    pub order: Order,
    /// After so many attempts in a row that came to no connection, nothing more is sent.
    pub abort_after: Option<NonZeroU32>,
    /// So long after the first request nothing more is sent.
    pub time_limit: Option<Duration>,
}

impl Settings {
    /// What the program does when it is told nothing else, with these senders.
    #[must_use]
    pub fn new(clients: Vec<Client>) -> Self {
        Self {
            clients,
            concurrency: 32,
            max_parked: 1024,
            connections: Connections::Captured,
            budget: 32 << 20,
            speed: Speed::Max,
            rate: None,
            order: Order::Connection,
            abort_after: None,
            time_limit: None,
        }
    }
}

/// What is handed in, in the order of the capture.
#[derive(Debug)]
pub enum Work<T> {
    /// A request to send.
    Send(Box<Job<T>>),
    /// A captured connection ended, in this way where the capture shows it: its connections to the
    /// destinations are closed alike when all its requests have been answered, under a speed not before that is
    /// due.
    ConnectionEnded(ConnectionId, Option<Closing>),
}

/// A request to send.
#[derive(Debug)]
pub struct Job<T> {
    /// The captured connection that it belongs to, whose order is kept.
    pub connection: ConnectionId,
    /// Which of [`Settings::clients`] sends it.
    pub destination: usize,
    /// What is sent.
    pub request: ShadowRequest,
    /// How many bytes the caller's own part of it holds in memory.
    pub weight: usize,
    /// What comes back with the outcome.
    pub payload: T,
}

/// What became of one job.
#[derive(Debug)]
pub struct Done<T> {
    /// Which of [`Settings::clients`] it was for.
    pub destination: usize,
    /// What was, or would have been, sent.
    pub request: ShadowRequest,
    /// By which client.
    pub client: ClientKind,
    /// What became of it.
    pub outcome: Outcome,
    /// What came with the job.
    pub payload: T,
    /// Its place among those on their way, which is free when this is dropped: whoever keeps outcomes holds
    /// it until this one is kept, so that no more than so many are ever unknown.
    pub slot: Slot,
}

/// A place among the requests that may be on their way at once; empty where nothing was sent.
#[derive(Debug, Default)]
pub struct Slot(#[allow(dead_code, reason = "held for its drop")] Option<OwnedSemaphorePermit>);

/// Sees what leaves.
pub trait Watch<T>: Send + Sync + 'static {
    /// A request is about to be sent: not one byte of it has left. Whether it may be.
    fn begins(&self, payload: &T) -> bool;
    /// This became of it.
    fn ended(&self, payload: &T, outcome: &Outcome);
    /// A request was handed in that is due so long after the first; `None` where it is due when its turn comes.
    fn scheduled(&self, _due: Option<Duration>) {}
    /// Nothing more is sent: the target cannot be reached.
    fn gave_up(&self) {}
}

/// Nobody watches.
#[derive(Clone, Copy, Debug)]
pub struct Unwatched;

impl<T> Watch<T> for Unwatched {
    fn begins(&self, _: &T) -> bool {
        true
    }

    fn ended(&self, _: &T, _: &Outcome) {}
}

/// How a replay ended.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Ended {
    /// Why nothing more was sent from some time on, where the target could not be reached any more.
    pub gave_up: Option<String>,
}

/// How much work is taken in at once. It is bounded by the budget in any case.
const BATCH: usize = 64;

/// What a waiting job costs besides its bytes.
const JOB_OVERHEAD: usize = 1024;

/// Runs a replay until `work` closes and the last outcome is handed on. Once told to stop, it answers
/// what still waits, and what still comes in, with [`SkipReason::Interrupted`].
pub async fn run<T: Send + 'static>(
    settings: Settings,
    work: mpsc::Receiver<Work<T>>,
    done: mpsc::Sender<Done<T>>,
    stop: StopSignal,
) -> Ended {
    run_watched(settings, work, done, stop, Arc::new(Unwatched)).await
}

/// The same with somebody who sees each request before it leaves.
pub async fn run_watched<T: Send + 'static>(
    settings: Settings,
    mut work: mpsc::Receiver<Work<T>>,
    done: mpsc::Sender<Done<T>>,
    stop: StopSignal,
    watch: Arc<dyn Watch<T>>,
) -> Ended {
    let mut schedule = Schedule::new(settings.speed, settings.rate);
    let mut lanewise = Lanewise::new(settings.order);
    let replay = Arc::new(Replay::new(&settings, done, stop, watch));
    let budget = Arc::new(Semaphore::new(settings.budget.max(1) as usize));
    let mut workers = JoinSet::new();
    let (mut closings, all_sent) = (JoinSet::new(), watch::Sender::new(false));
    // Many at a time, so that whoever hands them in is woken once for all of them.
    let mut batch = Vec::with_capacity(BATCH);
    while work.recv_many(&mut batch, BATCH).await > 0 {
        for work in batch.drain(..) {
            match work {
                Work::Send(job) => {
                    let Ok(share) = budget.clone().acquire_many_owned(job.cost(settings.budget)).await else {
                        return Ended::default();
                    };
                    let start = replay.begin();
                    let due = schedule.due(job.request.captured);
                    replay.watch.scheduled(due);
                    let due = due.map(|due| later(start, due));
                    let lane = lanewise.lane(job.connection);
                    let key = LaneKey { connection: lane, destination: job.destination };
                    if replay.lanes().push(key, Waiting { job, due, share }) {
                        workers.spawn(Arc::clone(&replay).serve(key));
                    }
                    if lanewise.is_single() {
                        replay.end(lane, How::Close);
                    }
                }
                Work::ConnectionEnded(connection, closing) => {
                    let Some(lane) = lanewise.ended(connection) else { continue };
                    let due = closing.and_then(|closing| schedule.moment(closing.at));
                    let how = How::of(closing);
                    match due.filter(|_| replay.is_open(lane)) {
                        Some(due) => {
                            let (at, all_sent) = (later(replay.begin(), due), all_sent.subscribe());
                            closings.spawn(Arc::clone(&replay).end_at(lane, how, at, all_sent));
                        }
                        None => replay.end(lane, how),
                    }
                }
            }
        }
        while workers.try_join_next().is_some() {}
        while closings.try_join_next().is_some() {}
    }
    while workers.join_next().await.is_some() {}
    // Nobody waits for connections that v1's clients kept open without asking anything more.
    all_sent.send_replace(true);
    while closings.join_next().await.is_some() {}
    Ended { gave_up: replay.reach.gave_up().map(str::to_owned) }
}

/// A job in its lane.
struct Waiting<T> {
    job: Box<Job<T>>,
    due: Option<Instant>,
    /// Its share of the budget.
    share: OwnedSemaphorePermit,
}

/// What the workers share.
struct Replay<T> {
    clients: Vec<Client>,
    clock: Clock,
    pacer: Pacer,
    lanes: Mutex<Lanes<Waiting<T>, Connection>>,
    slots: Arc<Semaphore>,
    throttle: Option<Mutex<Arrivals>>,
    /// When the first request came: times count from here.
    start: OnceLock<Instant>,
    time_limit: Option<Duration>,
    reach: Reach,
    done: mpsc::Sender<Done<T>>,
    stop: StopSignal,
    watch: Arc<dyn Watch<T>>,
}

impl<T> Job<T> {
    /// Its share of the budget: a job that is larger than all of it takes all of it.
    fn cost(&self, budget: u32) -> u32 {
        let bytes = self.request.head.len() + self.request.body.kept().len() + self.weight + JOB_OVERHEAD;
        u32::try_from(bytes).unwrap_or(u32::MAX).min(budget.max(1))
    }
}

impl<T: Send + 'static> Replay<T> {
    fn new(
        settings: &Settings,
        done: mpsc::Sender<Done<T>>,
        stop: StopSignal,
        watch: Arc<dyn Watch<T>>,
    ) -> Self {
        let (lanes, concurrency) = match settings.connections {
            Connections::Captured => (Lanes::new(settings.max_parked), settings.concurrency),
            Connections::Pooled(count) => (Lanes::pooled(count.get()), settings.concurrency.min(count.get())),
        };
        Self {
            clients: settings.clients.clone(),
            clock: settings.clients.first().map_or_else(Clock::start, Client::clock),
            pacer: Pacer::start(),
            lanes: Mutex::new(lanes),
            slots: Arc::new(Semaphore::new(concurrency.max(1))),
            throttle: settings.rate.map(|rate| Mutex::new(Arrivals::new(rate.catching_up()))),
            start: OnceLock::new(),
            time_limit: settings.time_limit,
            reach: Reach::new(settings.abort_after, settings.clients.len()),
            done,
            stop,
            watch,
        }
    }

    fn begin(&self) -> Instant {
        *self.start.get_or_init(Instant::now)
    }

    fn lanes(&self) -> std::sync::MutexGuard<'_, Lanes<Waiting<T>, Connection>> {
        self.lanes.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn end(&self, connection: ConnectionId, how: How) {
        for destination in 0..self.clients.len() {
            // Bound to a name, so that the socket is closed after the lock is gone.
            let unneeded = self.lanes().end(LaneKey { connection, destination }, how);
            close(unneeded.map(|unneeded| (unneeded, how)));
        }
    }

    /// The same at that instant, or when there is nothing more to be sent at all.
    async fn end_at(
        self: Arc<Self>,
        connection: ConnectionId,
        how: How,
        at: Instant,
        mut all_sent: watch::Receiver<bool>,
    ) {
        tokio::select! {
            () = self.pacer.until(at) => {}
            _ = all_sent.wait_for(|all| *all) => {}
        }
        self.end(connection, how);
    }

    /// Whether anything of a captured connection waits, is on its way or is open.
    fn is_open(&self, connection: ConnectionId) -> bool {
        let lanes = self.lanes();
        (0..self.clients.len()).any(|destination| lanes.has(LaneKey { connection, destination }))
    }

    /// Serves a lane until nothing waits in it.
    async fn serve(self: Arc<Self>, key: LaneKey) {
        let mut stop = self.stop.clone();
        loop {
            let (waiting, unneeded) = self.lanes().next(key);
            close(unneeded);
            let Some(waiting) = waiting else { return };
            let Job { destination, request, payload, .. } = *waiting.job;
            let client = self.clients.get(destination).map(Client::kind).unwrap_or_default();
            let (outcome, slot) = match self.turn(waiting.due, &mut stop).await {
                Ok((due, slot)) if self.watch.begins(&payload) => {
                    let outcome = self.send(key, &request, due, &mut stop).await;
                    self.reach.note(destination, &outcome);
                    self.watch.ended(&payload, &outcome);
                    (outcome, Some(slot))
                }
                Ok(_) => (Outcome::Skipped(SkipReason::Interrupted), None),
                Err(reason) => {
                    if reason == SkipReason::TargetGone {
                        self.watch.gave_up();
                    }
                    (Outcome::Skipped(reason), None)
                }
            };
            let slot = Slot(slot);
            // Nobody to tell is no reason to stop: the caller has gone, and the work will close, too.
            self.done.send(Done { destination, request, client, outcome, payload, slot }).await.ok();
            // Held until here, so that answers that nobody has taken yet stay few.
            drop(waiting.share);
        }
    }

    /// Waits for a request's turn, and says when it was due.
    ///
    /// # Errors
    /// Why it must not be sent any more.
    async fn turn(
        &self,
        due: Option<Instant>,
        stop: &mut StopSignal,
    ) -> Result<(Timestamp, OwnedSemaphorePermit), SkipReason> {
        let turn = async {
            if let Some(due) = due {
                self.pacer.until(due).await;
            }
            let slot = Arc::clone(&self.slots).acquire_owned().await.map_err(|_| SkipReason::Interrupted)?;
            let due = due.unwrap_or_else(Instant::now);
            if let Some(free) = self.throttled() {
                self.pacer.until(free).await;
            }
            Ok((self.clock.at(due), slot))
        };
        if let Some(reason) = self.closed(due) {
            return Err(reason);
        }
        let turn = tokio::select! {
            biased;
            () = stop.reached(Stop::Finish) => Err(SkipReason::Interrupted),
            () = self.reach.given_up() => Err(SkipReason::TargetGone),
            turn = turn => turn,
        };
        self.closed(None).map_or(turn, Err)
    }

    /// When a request may go that is ready now, where a rate says so.
    fn throttled(&self) -> Option<Instant> {
        let mut throttle = self.throttle.as_ref()?.lock().unwrap_or_else(PoisonError::into_inner);
        let start = self.begin();
        Some(later(start, throttle.slot(start.elapsed())))
    }

    /// Why a request that is due then, or now, is not sent any more, where the run itself says so.
    fn closed(&self, due: Option<Instant>) -> Option<SkipReason> {
        let over = || {
            let at = due.unwrap_or_else(Instant::now).max(Instant::now());
            self.time_limit.is_some_and(|limit| at.saturating_duration_since(self.begin()) >= limit)
        };
        match self.reach.gave_up() {
            Some(_) => Some(SkipReason::TargetGone),
            None => over().then_some(SkipReason::TimeOver),
        }
    }

    async fn send(
        &self,
        key: LaneKey,
        request: &ShadowRequest,
        due: Timestamp,
        stop: &mut StopSignal,
    ) -> Outcome {
        let Some(client) = self.clients.get(key.destination) else {
            let detail = format!("there is no destination number {}", key.destination);
            let timing = Timing { due, ..Timing::default() };
            return Outcome::Failed { failure: Failure::Connect, detail, partial: None, timing };
        };
        let mut connection = self.lanes().take_parked(key);
        let outcome = client.send(&mut connection, request, due, stop).await;
        if let Some(connection) = connection {
            let given_up = self.lanes().park(key, connection);
            drop(given_up);
        }
        outcome
    }
}

/// Closes a connection that nobody needs any more.
fn close(unneeded: Option<(Connection, How)>) {
    match unneeded {
        Some((connection, How::Reset)) => connection.reset(),
        Some((connection, How::Close)) => drop(connection),
        None => {}
    }
}

impl How {
    /// As the captured connection was, where the capture shows it.
    fn of(closing: Option<Closing>) -> Self {
        if closing.is_some_and(|closing| closing.reset_by_client) { Self::Reset } else { Self::Close }
    }
}

/// An instant so much later; one that cannot be told is a century away.
fn later(start: Instant, by: Duration) -> Instant {
    const CENTURY: Duration = Duration::from_secs(100 * 365 * 24 * 3600);
    start.checked_add(by.min(CENTURY)).unwrap_or(start)
}
