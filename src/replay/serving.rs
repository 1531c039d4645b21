//! The workers of the lanes: each takes the requests of its lane one after the other, waits for their turn, sends them
//! and hands on what became of them.

use std::sync::{Arc, Mutex, MutexGuard, OnceLock, PoisonError};
use std::time::Duration;

use tokio::sync::watch;
use tokio::time::Instant;

use super::budget::Share;
use super::client::{Client, Connection};
use super::clock::Clock;
use super::connections::Connections;
use super::desk::Desk;
use super::engine::{Done, Job, Settings, Watch};
use super::lanes::{How, LaneKey, Lanes};
use super::outbox::Outbox;
use super::outcome::{Failure, Outcome, SkipReason, Timing};
use super::pace::Arrivals;
use super::pacer::Pacer;
use super::reach::Reach;
use super::slots::{Slot, Slots};
use super::stop::{Stop, StopSignal};
use crate::stream::{Closing, ConnectionId};
use crate::time::Timestamp;

/// A job in its lane.
pub(super) struct Waiting<T> {
    pub(super) job: Box<Job<T>>,
    /// Its place in the order of the capture.
    pub(super) number: u64,
    pub(super) due: Option<Instant>,
    pub(super) share: Share,
}

/// What the workers share.
pub(super) struct Serving<T> {
    clients: Vec<Client>,
    clock: Clock,
    pacer: Pacer,
    lanes: Mutex<Lanes<Waiting<T>, Connection>>,
    /// Workers without a lane.
    pub(super) desk: Desk,
    slots: Slots,
    throttle: Option<Mutex<Arrivals>>,
    /// When the first request came: times count from here.
    start: OnceLock<Instant>,
    time_limit: Option<Duration>,
    pub(super) reach: Reach,
    pub(super) outbox: Arc<Outbox<Done<T>, (Share, Slot)>>,
    stop: StopSignal,
    /// Whether outcomes are kept, by whom a place is held until they are.
    keeps: bool,
    pub(super) watch: Arc<dyn Watch<T>>,
}

impl<T: Send + 'static> Serving<T> {
    pub(super) fn new(settings: &Settings, stop: StopSignal, watch: Arc<dyn Watch<T>>) -> Self {
        let (lanes, concurrency) = match settings.connections {
            Connections::Captured => (Lanes::new(settings.max_parked), settings.concurrency),
            Connections::Pooled(count) => (Lanes::pooled(count.get()), settings.concurrency.min(count.get())),
        };
        Self {
            clients: settings.clients.clone(),
            clock: settings.clients.first().map_or_else(Clock::start, Client::clock),
            pacer: Pacer::start(),
            lanes: Mutex::new(lanes),
            desk: Desk::new(concurrency),
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

    pub(super) async fn usher(self: Arc<Self>) {
        self.slots.usher().await;
    }

    /// Waits until no request waits for a place.
    pub(super) async fn all_leave(&self) {
        self.slots.all_are_served().await;
    }

    pub(super) fn begin(&self) -> Instant {
        *self.start.get_or_init(Instant::now)
    }

    /// Adds a request at the end of its lane. Whether the lane now needs a worker, and none is idle.
    #[must_use]
    pub(super) fn push(&self, key: LaneKey, waiting: Waiting<T>) -> bool {
        let needs_worker = self.lanes().push(key, waiting);
        needs_worker && !self.desk.call(key)
    }

    fn lanes(&self) -> MutexGuard<'_, Lanes<Waiting<T>, Connection>> {
        self.lanes.lock().unwrap_or_else(PoisonError::into_inner)
    }

    pub(super) fn end(&self, connection: ConnectionId, how: How) {
        for destination in 0..self.clients.len() {
            // Bound to a name, so that the socket is closed after the lock is gone.
            let unneeded = self.lanes().end(LaneKey { connection, destination }, how);
            close(unneeded.map(|unneeded| (unneeded, how)));
        }
    }

    /// The same at that instant, or when there is nothing more to be sent at all.
    pub(super) async fn end_at(
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
    pub(super) fn is_open(&self, connection: ConnectionId) -> bool {
        let lanes = self.lanes();
        (0..self.clients.len()).any(|destination| lanes.has(LaneKey { connection, destination }))
    }

    /// Serves a lane, and then others that need a worker.
    pub(super) async fn work(self: Arc<Self>, first: LaneKey) {
        let mut stops = Stops { run: self.stop.clone(), reach: self.reach.signal() };
        let mut lane = Some(first);
        while let Some(key) = lane {
            self.serve(key, &mut stops).await;
            lane = self.desk.next().await;
        }
    }

    /// Serves a lane until nothing waits in it.
    async fn serve(&self, key: LaneKey, stops: &mut Stops) {
        let (mut connection, mut kept) = (None, None);
        while let Some(Waiting { job, number, due, share }) = self.next(key, &mut connection) {
            let turn = if let Some(turn) = self.turn_now(due, number, kept.take()) {
                turn
            } else {
                self.park(key, connection.take());
                self.turn(due, number, stops).await
            };
            let client = self.clients.get(job.destination).map(Client::kind).unwrap_or_default();
            let (job, outcome, slot) = match turn {
                Ok((due, slot)) => {
                    let (job, outcome) = self.attempt(key, job, due, &mut connection, &mut stops.run).await;
                    (job, outcome, slot)
                }
                Err(reason) => {
                    if reason == SkipReason::TargetGone {
                        self.watch.gave_up();
                    }
                    (job, Outcome::Skipped(reason), Slot::default())
                }
            };
            if self.keeps || slot.is_empty() {
                self.outbox.put(Done { job, client, outcome, slot }, (share, Slot::default()));
                continue;
            }
            // Where outcomes are taken as fast as they come, the next request of the lane has the place of this one;
            // else it is held until somebody has taken the outcome, so that those that nobody has taken stay few.
            let held = if self.outbox.has_room() {
                kept = Some(slot);
                Slot::default()
            } else {
                slot
            };
            self.outbox.put(Done { job, client, outcome, slot: Slot::default() }, (share, held));
        }
    }

    /// Sends a request whose turn it is.
    async fn attempt(
        &self,
        key: LaneKey,
        job: Box<Job<T>>,
        due: Option<Instant>,
        connection: &mut Option<Connection>,
        stop: &mut StopSignal,
    ) -> (Box<Job<T>>, Outcome) {
        self.watch.announces(&job.payload);
        // Its place was taken before: whoever held a connection and no place would have another lane make one beyond
        // what a pool may have.
        if connection.is_none() {
            *connection = self.lanes().take_parked(key);
        }
        let settled = match connection {
            Some(kept) => kept.settle().await,
            None => None,
        };
        let due = self.clock.at(due.or(settled).unwrap_or_else(Instant::now));
        if !self.watch.begins(&job.payload) {
            return (job, Outcome::Skipped(SkipReason::Interrupted));
        }
        let outcome = match self.clients.get(job.destination) {
            Some(client) => client.send(connection, &job.request, due, stop).await,
            None => nowhere(job.destination, due),
        };
        self.reach.note(job.destination, &outcome);
        self.watch.ended(&job.payload, &outcome);
        (job, outcome)
    }

    /// The next request of a lane, whose connection stays with the worker meanwhile; with none the worker has to leave the lane.
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
    fn turn_now(&self, due: Option<Instant>, number: u64, kept: Option<Slot>) -> Option<Turn> {
        if let Some(reason) = self.closed(due) {
            return Some(Err(reason));
        }
        if self.stop.state() >= Stop::Finish {
            return Some(Err(SkipReason::Interrupted));
        }
        if self.throttle.is_some() || due.is_some_and(|due| due > Instant::now()) {
            return None;
        }
        let slot = match kept {
            Some(slot) => self.slots.pass_on(slot, number)?,
            None => self.slots.try_take()?,
        };
        Some(Ok((due, slot)))
    }

    /// Waits for a request's turn.
    async fn turn(&self, due: Option<Instant>, number: u64, stops: &mut Stops) -> Turn {
        let turn = async {
            if let Some(due) = due {
                self.pacer.until(due).await;
            }
            let slot = self.slots.take(number).await;
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
}

/// What becomes of a request for a destination that is none of the settings'.
fn nowhere(destination: usize, due: Timestamp) -> Outcome {
    let detail = format!("there is no destination number {destination}");
    let timing = Timing { due, ..Timing::default() };
    Outcome::Failed { failure: Failure::Connect, detail, partial: None, timing }
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
    pub(super) fn of(closing: Option<Closing>) -> Self {
        if closing.is_some_and(|closing| closing.reset_by_client) { Self::Reset } else { Self::Close }
    }
}

/// An instant so much later; one that cannot be told is a century away.
pub(super) fn later(start: Instant, by: Duration) -> Instant {
    const CENTURY: Duration = Duration::from_secs(100 * 365 * 24 * 3600);
    start.checked_add(by.min(CENTURY)).unwrap_or(start)
}
