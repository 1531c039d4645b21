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

use std::sync::{Arc, Mutex, PoisonError};

use tokio::sync::{OwnedSemaphorePermit, Semaphore, SemaphorePermit, mpsc};
use tokio::task::JoinSet;
use tokio::time::{Instant, sleep_until};

use super::client::{Client, ClientKind, Connection};
use super::clock::Clock;
use super::lanes::{LaneKey, Lanes};
use super::outcome::{Failure, Outcome, SkipReason, Timing};
use super::pace::{Rate, RateCap, Schedule, Speed};
use super::plan::ShadowRequest;
use super::stop::{Stop, StopSignal};
use crate::stream::ConnectionId;
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
    /// How many bytes of requests, and of what comes with them, may wait at once.
    pub budget: u32,
    /// How fast.
    pub speed: Speed,
    /// At most so many requests per second.
    pub rate: Option<Rate>,
}

impl Settings {
    /// What the program does when it is told nothing else, with these senders.
    #[must_use]
    pub fn new(clients: Vec<Client>) -> Self {
        Self { clients, concurrency: 32, max_parked: 1024, budget: 32 << 20, speed: Speed::Max, rate: None }
    }
}

/// What is handed in, in the order of the capture.
#[derive(Debug)]
pub enum Work<T> {
    /// A request to send.
    Send(Box<Job<T>>),
    /// A captured connection ended: its connections to the destinations can be closed when all its
    /// requests have been sent.
    ConnectionEnded(ConnectionId),
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
}

/// What a waiting job costs besides its bytes.
const JOB_OVERHEAD: usize = 1024;

/// Runs a replay until `work` closes and the last outcome is handed on. Once told to stop, it answers
/// what still waits, and what still comes in, with [`SkipReason::Interrupted`].
pub async fn run<T: Send + 'static>(
    settings: Settings,
    mut work: mpsc::Receiver<Work<T>>,
    done: mpsc::Sender<Done<T>>,
    stop: StopSignal,
) {
    let mut schedule = Schedule::new(settings.speed);
    let mut start = None;
    let replay = Arc::new(Replay::new(&settings, done, stop));
    let budget = Arc::new(Semaphore::new(settings.budget.max(1) as usize));
    let mut workers = JoinSet::new();
    while let Some(work) = work.recv().await {
        match work {
            Work::Send(job) => {
                let Ok(share) = budget.clone().acquire_many_owned(job.cost(settings.budget)).await else {
                    break;
                };
                let start = *start.get_or_insert_with(|| replay.begin());
                let due = schedule.due(job.request.captured).map(|due| later(start, due));
                let key = LaneKey { connection: job.connection, destination: job.destination };
                if replay.lanes().push(key, Waiting { job, due, share }) {
                    workers.spawn(Arc::clone(&replay).serve(key));
                }
            }
            Work::ConnectionEnded(connection) => replay.end(connection),
        }
        while workers.try_join_next().is_some() {}
    }
    while workers.join_next().await.is_some() {}
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
    lanes: Mutex<Lanes<Waiting<T>, Connection>>,
    slots: Semaphore,
    rate: Option<Mutex<(RateCap, Instant)>>,
    done: mpsc::Sender<Done<T>>,
    stop: StopSignal,
}

impl<T> Job<T> {
    /// Its share of the budget: a job that is larger than all of it takes all of it.
    fn cost(&self, budget: u32) -> u32 {
        let bytes = self.request.head.len() + self.request.body.len() + self.weight + JOB_OVERHEAD;
        u32::try_from(bytes).unwrap_or(u32::MAX).min(budget.max(1))
    }
}

impl<T: Send + 'static> Replay<T> {
    fn new(settings: &Settings, done: mpsc::Sender<Done<T>>, stop: StopSignal) -> Self {
        let clock = settings.clients.first().map_or_else(Clock::start, Client::clock);
        Self {
            clients: settings.clients.clone(),
            clock,
            lanes: Mutex::new(Lanes::new(settings.max_parked)),
            slots: Semaphore::new(settings.concurrency.max(1)),
            rate: settings.rate.map(|rate| Mutex::new((RateCap::new(rate), Instant::now()))),
            done,
            stop,
        }
    }

    /// The first request has come: times count from here.
    fn begin(&self) -> Instant {
        let now = Instant::now();
        if let Some(rate) = &self.rate {
            rate.lock().unwrap_or_else(PoisonError::into_inner).1 = now;
        }
        now
    }

    fn lanes(&self) -> std::sync::MutexGuard<'_, Lanes<Waiting<T>, Connection>> {
        self.lanes.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn end(&self, connection: ConnectionId) {
        for destination in 0..self.clients.len() {
            // Bound to a name, so that the socket is closed after the lock is gone.
            let unneeded = self.lanes().end(LaneKey { connection, destination });
            drop(unneeded);
        }
    }

    /// Serves a lane until nothing waits in it.
    async fn serve(self: Arc<Self>, key: LaneKey) {
        let mut stop = self.stop.clone();
        loop {
            let (waiting, unneeded) = self.lanes().next(key);
            drop(unneeded);
            let Some(waiting) = waiting else { return };
            let Job { destination, request, payload, .. } = *waiting.job;
            let client = self.clients.get(destination).map(Client::kind).unwrap_or_default();
            let (outcome, slot) = match self.turn(waiting.due, &mut stop).await {
                Some((due, slot)) => (self.send(key, &request, due, &mut stop).await, Some(slot)),
                None => (Outcome::Skipped(SkipReason::Interrupted), None),
            };
            // Nobody to tell is no reason to stop: the caller has gone, and the work will close, too.
            self.done.send(Done { destination, request, client, outcome, payload }).await.ok();
            // Held until here, so that answers that nobody has taken yet stay few.
            drop((slot, waiting.share));
        }
    }

    /// Waits for a request's turn, and says when it was due; `None` when the run is told to stop first.
    async fn turn(
        &self,
        due: Option<Instant>,
        stop: &mut StopSignal,
    ) -> Option<(Timestamp, SemaphorePermit<'_>)> {
        if stop.state() >= Stop::Finish {
            return None;
        }
        let turn = async {
            if let Some(due) = due {
                sleep_until(due).await;
            }
            let slot = self.slots.acquire().await.ok()?;
            let ready = due.unwrap_or_else(Instant::now);
            let due = self.rate_slot(ready);
            if due > ready {
                sleep_until(due).await;
            }
            Some((self.clock.at(due), slot))
        };
        tokio::select! {
            biased;
            () = stop.reached(Stop::Finish) => None,
            turn = turn => turn,
        }
    }

    /// When the rate lets a request go that is ready at this instant.
    fn rate_slot(&self, ready: Instant) -> Instant {
        let Some(rate) = &self.rate else { return ready };
        let (cap, start) = &mut *rate.lock().unwrap_or_else(PoisonError::into_inner);
        // A late request takes a slot that is still to come, not one in the past.
        let from = ready.max(Instant::now());
        let slot = cap.slot(from.saturating_duration_since(*start));
        if slot > from.saturating_duration_since(*start) { later(*start, slot) } else { ready }
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

/// An instant so much later; one that cannot be told is a century away.
fn later(start: Instant, by: std::time::Duration) -> Instant {
    const CENTURY: std::time::Duration = std::time::Duration::from_secs(100 * 365 * 24 * 3600);
    start.checked_add(by.min(CENTURY)).unwrap_or(start)
}
