//! The replay itself: captured connections side by side, each in its own order.
//!
//! ```text
//! Work ──▶ dispatcher ──▶ lane ──▶ worker ── due ─▶ rate ─▶ slot ─▶ client ──▶ outbox ──▶ Done
//!             │ budget      (one for each captured connection and destination)      │
//!             └◀───────────────────────── given back ◀──────────────────────────────┘
//! ```
//!
//! All of it runs on one thread of its own, with its own reactor: nobody has to be woken for a request to go from
//! its lane to its connection, or for an answer to come back, and what goes to other threads goes in batches.
//! One thread sends faster than another can read a capture.
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

use tokio::sync::{mpsc, watch};
use tokio::task::JoinSet;
use tokio::time::Instant;

use super::budget::{Budget, Share};
use super::client::{Client, ClientKind, Connection};
use super::clock::Clock;
use super::connections::Connections;
use super::lanes::{How, LaneKey, Lanes};
use super::order::{Lanewise, Order};
use super::outbox::Outbox;
use super::outcome::{Failure, Outcome, SkipReason, Timing};
use super::own_thread::on_own_thread;
use super::pace::{Arrivals, Rate, Schedule, Speed};
use super::pacer::Pacer;
use super::plan::ShadowRequest;
use super::reach::Reach;
pub use super::slots::Slot;
use super::slots::Slots;
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
    /// What was, or would have been, sent.
    pub job: Box<Job<T>>,
    /// By which client.
    pub client: ClientKind,
    /// What became of it.
    pub outcome: Outcome,
    /// Its place among those on their way, which is free when this is dropped: whoever keeps outcomes holds
    /// it until this one is kept, so that no more than so many are ever unknown.
    pub slot: Slot,
}

/// Sees what leaves.
pub trait Watch<T>: Send + Sync + 'static {
    /// A request is to be sent soon: [`begins`](Self::begins) follows, in most cases after this has been said of others.
    fn announces(&self, _payload: &T) {}
    /// A request is about to be sent: not one byte of it has left. Whether it may be.
    fn begins(&self, payload: &T) -> bool;
    /// This became of it.
    fn ended(&self, payload: &T, outcome: &Outcome);
    /// A request was handed in that is due so long after the first; `None` where it is due when its turn comes.
    fn scheduled(&self, _due: Option<Duration>) {}
    /// Nothing more is sent: the target cannot be reached.
    fn gave_up(&self) {}
    /// Whether outcomes are kept somewhere. Where not, none can be lost, and the place of a request among those on their
    /// way is free as soon as its outcome is handed on.
    fn keeps(&self) -> bool {
        true
    }
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

/// Runs a replay until `work` closes and the last outcome is handed on. Outcomes that come about together are handed
/// on together, in their order. Once told to stop, it answers
/// what still waits, and what still comes in, with [`SkipReason::Interrupted`].
pub async fn run<T: Send + 'static>(
    settings: Settings,
    work: mpsc::Receiver<Work<T>>,
    done: mpsc::Sender<Vec<Done<T>>>,
    stop: StopSignal,
) -> Ended {
    run_watched(settings, work, done, stop, Arc::new(Unwatched)).await
}

/// The same with somebody who sees each request before it leaves.
pub async fn run_watched<T: Send + 'static>(
    settings: Settings,
    work: mpsc::Receiver<Work<T>>,
    done: mpsc::Sender<Vec<Done<T>>>,
    stop: StopSignal,
    watch: Arc<dyn Watch<T>>,
) -> Ended {
    on_own_thread("sending", dispatch(settings, work, done, stop, watch)).await
}

/// Hands work to the lanes, until there is none and the last outcome is handed on.
async fn dispatch<T: Send + 'static>(
    settings: Settings,
    mut work: mpsc::Receiver<Work<T>>,
    done: mpsc::Sender<Vec<Done<T>>>,
    stop: StopSignal,
    watch: Arc<dyn Watch<T>>,
) -> Ended {
    let replay = Arc::new(Replay::new(&settings, stop, watch));
    let usher = tokio::spawn(Arc::clone(&replay).usher());
    let outbox = Arc::clone(&replay.outbox);
    let delivery = tokio::spawn(async move { outbox.deliver(done).await });
    let mut dispatcher = Dispatcher::new(&settings, Arc::clone(&replay));
    // Many at a time, so that whoever hands them in is woken once for all of them.
    let mut batch = Vec::with_capacity(BATCH);
    while work.recv_many(&mut batch, BATCH).await > 0 {
        for work in batch.drain(..) {
            match work {
                Work::Send(job) => dispatcher.send(job).await,
                Work::ConnectionEnded(connection, closing) => dispatcher.end(connection, closing),
            }
        }
        dispatcher.reap();
    }
    dispatcher.finish().await;
    replay.outbox.close();
    delivery.await.ok();
    usher.abort();
    Ended { gave_up: replay.reach.gave_up().map(str::to_owned) }
}

/// Gives work to the lanes, and each lane that has some a worker.
struct Dispatcher<T> {
    replay: Arc<Replay<T>>,
    schedule: Schedule,
    lanewise: Lanewise,
    budget: Arc<Budget>,
    workers: JoinSet<()>,
    /// Connections that are closed when that is due.
    closings: JoinSet<()>,
    all_sent: watch::Sender<bool>,
}

impl<T: Send + 'static> Dispatcher<T> {
    fn new(settings: &Settings, replay: Arc<Replay<T>>) -> Self {
        Self {
            replay,
            schedule: Schedule::new(settings.speed, settings.rate),
            lanewise: Lanewise::new(settings.order),
            budget: Budget::new(settings.budget),
            workers: JoinSet::new(),
            closings: JoinSet::new(),
            all_sent: watch::Sender::new(false),
        }
    }

    /// Puts a request into its lane, as soon as the budget has room for it.
    async fn send(&mut self, job: Box<Job<T>>) {
        let share = self.budget.take(job.cost()).await;
        let replay = &self.replay;
        let start = replay.begin();
        let due = self.schedule.due(job.request.captured);
        replay.watch.scheduled(due);
        let due = due.map(|due| later(start, due));
        let lane = self.lanewise.lane(job.connection);
        let key = LaneKey { connection: lane, destination: job.destination };
        if replay.lanes().push(key, Waiting { job, due, share }) {
            self.workers.spawn(Arc::clone(replay).serve(key));
        }
        if self.lanewise.is_single() {
            replay.end(lane, How::Close);
        }
    }

    /// Has the connections of a captured one closed as it was: at once, or when that is due.
    fn end(&mut self, connection: ConnectionId, closing: Option<Closing>) {
        let Some(lane) = self.lanewise.ended(connection) else { return };
        let (replay, how) = (&self.replay, How::of(closing));
        let due = closing.and_then(|closing| self.schedule.moment(closing.at));
        match due.filter(|_| replay.is_open(lane)) {
            Some(due) => {
                let (at, all_sent) = (later(replay.begin(), due), self.all_sent.subscribe());
                self.closings.spawn(Arc::clone(replay).end_at(lane, how, at, all_sent));
            }
            None => replay.end(lane, how),
        }
    }

    /// Lets go of the tasks that are over.
    fn reap(&mut self) {
        while self.workers.try_join_next().is_some() {}
        while self.closings.try_join_next().is_some() {}
    }

    /// Waits until all has been sent.
    async fn finish(mut self) {
        while self.workers.join_next().await.is_some() {}
        // Nobody waits for connections that v1's clients kept open without asking anything more.
        self.all_sent.send_replace(true);
        while self.closings.join_next().await.is_some() {}
    }
}

/// A job in its lane.
struct Waiting<T> {
    job: Box<Job<T>>,
    due: Option<Instant>,
    share: Share,
}

/// What the workers share.
struct Replay<T> {
    clients: Vec<Client>,
    clock: Clock,
    pacer: Pacer,
    lanes: Mutex<Lanes<Waiting<T>, Connection>>,
    slots: Slots,
    throttle: Option<Mutex<Arrivals>>,
    /// When the first request came: times count from here.
    start: OnceLock<Instant>,
    time_limit: Option<Duration>,
    reach: Reach,
    outbox: Arc<Outbox<Done<T>, (Share, Slot)>>,
    stop: StopSignal,
    /// Whether outcomes are kept, by whom a place is held until they are.
    keeps: bool,
    watch: Arc<dyn Watch<T>>,
}

impl<T> Job<T> {
    /// How much of the budget it takes.
    fn cost(&self) -> usize {
        self.request.head.len() + self.request.body.kept().len() + self.weight + JOB_OVERHEAD
    }
}

impl<T: Send + 'static> Replay<T> {
    fn new(settings: &Settings, stop: StopSignal, watch: Arc<dyn Watch<T>>) -> Self {
        let (lanes, concurrency) = match settings.connections {
            Connections::Captured => (Lanes::new(settings.max_parked), settings.concurrency),
            Connections::Pooled(count) => (Lanes::pooled(count.get()), settings.concurrency.min(count.get())),
        };
        Self {
            clients: settings.clients.clone(),
            clock: settings.clients.first().map_or_else(Clock::start, Client::clock),
            pacer: Pacer::start(),
            lanes: Mutex::new(lanes),
            slots: Slots::new(concurrency),
            throttle: settings.rate.map(|rate| Mutex::new(Arrivals::new(rate.catching_up()))),
            start: OnceLock::new(),
            time_limit: settings.time_limit,
            reach: Reach::new(settings.abort_after, settings.clients.len()),
            outbox: Outbox::new(),
            stop,
            keeps: watch.keeps(),
            watch,
        }
    }

    async fn usher(self: Arc<Self>) {
        self.slots.usher().await;
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
        let mut stops = Stops { run: self.stop.clone(), reach: self.reach.signal() };
        let mut connection = None;
        while let Some(Waiting { job, due, share }) = self.next(key, &mut connection) {
            let turn = if let Some(turn) = self.turn_now(due) {
                turn
            } else {
                self.park(key, connection.take());
                self.turn(due, &mut stops).await
            };
            // Its place is taken before: whoever held a connection and no place would have another lane make one beyond
            // what a pool may have.
            if turn.is_ok() {
                self.watch.announces(&job.payload);
                if let Some(kept) = &mut connection {
                    kept.settle().await;
                }
            }
            let turn = turn.map(|(due, slot)| (self.clock.at(due.unwrap_or_else(Instant::now)), slot));
            let client = self.clients.get(job.destination).map(Client::kind).unwrap_or_default();
            let (outcome, slot) = match turn {
                Ok((due, slot)) if self.watch.begins(&job.payload) => {
                    let outcome = self.send(key, &mut connection, &job.request, due, &mut stops.run).await;
                    self.reach.note(job.destination, &outcome);
                    self.watch.ended(&job.payload, &outcome);
                    (outcome, slot)
                }
                Ok(_) => (Outcome::Skipped(SkipReason::Interrupted), Slot::default()),
                Err(reason) => {
                    if reason == SkipReason::TargetGone {
                        self.watch.gave_up();
                    }
                    (Outcome::Skipped(reason), Slot::default())
                }
            };
            // What is held until somebody has taken the outcome keeps answers few that nobody has taken yet.
            let (slot, held) = if self.keeps { (slot, Slot::default()) } else { (Slot::default(), slot) };
            self.outbox.put(Done { job, client, outcome, slot }, (share, held));
        }
    }

    /// The next request of a lane, whose connection stays with the worker meanwhile; with none the worker has to end.
    fn next(&self, key: LaneKey, connection: &mut Option<Connection>) -> Option<Waiting<T>> {
        let mut lanes = self.lanes();
        let next = lanes.next(key);
        if next.is_none() {
            let given_up = connection.take().and_then(|connection| lanes.park(key, connection));
            let unneeded = lanes.leave(key);
            // Sockets are closed after the lock is gone.
            drop(lanes);
            drop(given_up);
            close(unneeded);
        }
        next
    }

    fn park(&self, key: LaneKey, connection: Option<Connection>) {
        if let Some(connection) = connection {
            let given_up = self.lanes().park(key, connection);
            drop(given_up);
        }
    }

    /// The turn of a request that has to wait for nothing; `None` where it has to.
    fn turn_now(&self, due: Option<Instant>) -> Option<Turn> {
        if let Some(reason) = self.closed(due) {
            return Some(Err(reason));
        }
        if self.stop.state() >= Stop::Finish {
            return Some(Err(SkipReason::Interrupted));
        }
        if self.throttle.is_some() || due.is_some_and(|due| due > Instant::now()) {
            return None;
        }
        let slot = self.slots.try_take()?;
        Some(Ok((due, slot)))
    }

    /// Waits for a request's turn.
    async fn turn(&self, due: Option<Instant>, stops: &mut Stops) -> Turn {
        let turn = async {
            if let Some(due) = due {
                self.pacer.until(due).await;
            }
            let slot = self.slots.take().await;
            let due = due.unwrap_or_else(Instant::now);
            if let Some(free) = self.throttled() {
                self.pacer.until(free).await;
            }
            Ok((Some(due), slot))
        };
        let turn = tokio::select! {
            biased;
            () = stops.run.reached(Stop::Finish) => Err(SkipReason::Interrupted),
            () = stops.reach.reached(Stop::Finish) => Err(SkipReason::TargetGone),
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
        if self.reach.gave_up().is_some() {
            return Some(SkipReason::TargetGone);
        }
        let limit = self.time_limit?;
        let now = Instant::now();
        let at = due.map_or(now, |due| due.max(now));
        (at.saturating_duration_since(self.begin()) >= limit).then_some(SkipReason::TimeOver)
    }

    /// Sends a request over the worker's connection, or that of its lane, or a new one; the worker has it
    /// afterwards, where it can be used again.
    async fn send(
        &self,
        key: LaneKey,
        connection: &mut Option<Connection>,
        request: &ShadowRequest,
        due: Timestamp,
        stop: &mut StopSignal,
    ) -> Outcome {
        let Some(client) = self.clients.get(key.destination) else {
            let detail = format!("there is no destination number {}", key.destination);
            let timing = Timing { due, ..Timing::default() };
            return Outcome::Failed { failure: Failure::Connect, detail, partial: None, timing };
        };
        if connection.is_none() {
            *connection = self.lanes().take_parked(key);
        }
        client.send(connection, request, due, stop).await
    }
}

/// When a request was due, where that is not now, and its place among those on their way; or why it must not be sent any
/// more.
type Turn = Result<(Option<Instant>, Slot), SkipReason>;

/// What keeps a request from being sent.
struct Stops {
    /// The user's word.
    run: StopSignal,
    /// That there is nobody to send to.
    reach: StopSignal,
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
