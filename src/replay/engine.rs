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
//! One thread sends faster than another can read a capture; where nothing is due at a time it may well do both
//! ([`Supply`]).
//!
//! Reading keeps just ahead of sending: each request takes its share of one *budget* in bytes when it
//! comes in, and gives it back when its outcome has been handed on. Nothing that waits in a lane waits
//! for a request that is not read yet, and each attempt ends by its time limit, so the budget always
//! comes back and the replay always moves on, however unevenly requests fall to connections. Whoever
//! starts a run has to take the outcomes while handing in work.
//!
//! The budget is of all lanes together, and the capture is read in its order. So a slow v2 delays only its own
//! connection as long as what waits behind its answers is within the budget (some ten thousand small
//! requests); beyond that reading stops, and with it all others, until one of the answers has come. No bound
//! for each lane could prevent it: what stands behind a request that finds no place in its lane would have to
//! be kept somewhere. What is late for it is told as lateness, like all else.

use std::num::NonZeroU32;
use std::sync::Arc;
use std::time::Duration;

use tokio::sync::mpsc;

use super::client::{Client, ClientKind};
use super::connections::Connections;
use super::dispatcher::Dispatcher;
use super::order::Order;
use super::outcome::Outcome;
use super::own_thread::on_own_thread;
use super::pace::{Rate, Speed};
use super::plan::ShadowRequest;
use super::serving::Serving;
pub use super::slots::Slot;
use super::stop::StopSignal;
use super::supply::{BATCH, Supply};
use crate::stream::{Closing, ConnectionId};

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
    /// way is free as soon as its outcome is handed on, or goes to the next of its lane.
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

/// Runs a replay until `work` closes and the last outcome is handed on. Outcomes that come about together are handed
/// on together, in their order. Once told to stop, it answers
/// what still waits, and what still comes in, with [`SkipReason::Interrupted`](super::SkipReason::Interrupted).
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
    mut work: impl Supply<T> + 'static,
    done: mpsc::Sender<Vec<Done<T>>>,
    stop: StopSignal,
    watch: Arc<dyn Watch<T>>,
) -> Ended {
    on_own_thread("sending", async move { run_here(settings, &mut work, done, stop, watch).await }).await
}

/// The same on the caller's runtime, which should have one thread and nothing to do that takes long.
pub async fn run_here<T: Send + 'static, S: Supply<T>>(
    settings: Settings,
    work: &mut S,
    done: mpsc::Sender<Vec<Done<T>>>,
    stop: StopSignal,
    watch: Arc<dyn Watch<T>>,
) -> Ended {
    let serving = Arc::new(Serving::new(&settings, stop, watch));
    let usher = tokio::spawn(Arc::clone(&serving).usher());
    let outbox = Arc::clone(&serving.outbox);
    let delivery = tokio::spawn(async move { outbox.deliver(done).await });
    let mut dispatcher = Dispatcher::new(&settings, S::PARTS, Arc::clone(&serving));
    let mut batch = Vec::with_capacity(BATCH);
    while work.next(&mut batch).await {
        for work in batch.drain(..) {
            match work {
                Work::Send(job) => dispatcher.send(job).await,
                Work::ConnectionEnded(connection, closing) => dispatcher.end(connection, closing),
            }
        }
        dispatcher.reap();
        if S::IS_READ_HERE {
            serving.all_leave().await;
        }
    }
    dispatcher.finish().await;
    serving.outbox.close();
    delivery.await.ok();
    usher.abort();
    Ended { gave_up: serving.reach.gave_up().map(str::to_owned) }
}
