//! From exchanges to work, without ever waiting: what finds no room is shed.

use std::sync::Arc;

use tokio::sync::mpsc::Sender;
use tokio::sync::mpsc::error::TrySendError;
use tokio::sync::{OwnedSemaphorePermit, Semaphore};

use super::watch::Watch;
use crate::exchange::{Exchange, Told};
use crate::http::{Elsewhere, NoRoom};
use crate::pipeline::feed::Pending;
use crate::pipeline::planning::Planned;
use crate::pipeline::{Planning, Progress};
use crate::record::Row;
use crate::replay::engine::{Job, Work};
use crate::replay::{Outcome, ShadowRequest, SkipReason};
use crate::route::ShareCount;

/// What a waiting request costs besides its bytes, as the engine counts it.
const OVERHEAD: usize = 1024;

/// A place among those that wait, and bytes of their memory.
type Room = (OwnedSemaphorePermit, OwnedSemaphorePermit);

/// A row whose outcome is still to come, and its place in the queue.
pub(super) struct Queued {
    pub(super) pending: Pending,
    /// Given back when the row has been judged.
    pub(super) room: Room,
}

/// Takes exchanges as they complete, from the thread that reads.
pub(super) struct LiveFeed {
    pub(super) planning: Planning,
    /// Places in the queue.
    pub(super) room: Arc<Semaphore>,
    /// Bytes that what waits may hold.
    pub(super) memory: Arc<Semaphore>,
    pub(super) work: Sender<Work<Queued>>,
    pub(super) skipped: Sender<Row>,
    pub(super) watch: Arc<Watch>,
}

impl LiveFeed {
    pub(super) fn take(&mut self, told: Told) {
        match told {
            Told::Exchange(exchange) => self.exchange(exchange),
            // Where there is no room for the news, the engine keeps a connection for longer than it must.
            Told::Closed(connection, closing) => {
                drop(self.work.try_send(Work::ConnectionEnded(connection, closing)));
            }
        }
    }

    /// Whether a request may yet be sent of whose exchange there is the head alone.
    pub(super) fn wants(&mut self, begun: &Exchange) -> bool {
        self.planning.may_send(begun)
    }

    /// How often the destinations of the rules were picked so far.
    pub(super) fn shares(&self) -> Vec<ShareCount> {
        self.planning.shares.told(&self.planning.table)
    }

    fn exchange(&mut self, exchange: Box<Exchange>) {
        Progress::count(&self.watch.progress.requests);
        let Ok(mut planned) = self.planning.plan(&exchange) else {
            // A capture that goes on has more to tell than this: where it is guarded, what went to the
            // target is left out.
            return self.watch.count_without_row(SkipReason::ToTarget);
        };
        let last = planned.pop();
        let copies = u32::try_from(planned.len()).unwrap_or(u32::MAX);
        for (copy, one) in (0..copies).zip(planned) {
            self.row(exchange.clone(), copy, one);
        }
        if let Some(last) = last {
            self.row(exchange, copies, last);
        }
    }

    /// What becomes of the exchange at one of its destinations.
    fn row(&mut self, exchange: Box<Exchange>, copy: u32, planned: Planned) {
        let Planned { role, destination, rule, matched, reason, request } = planned;
        let pending =
            Pending { exchange, lap: 0, copy, role, destination, route: rule, matched, reason, place: None };
        match request {
            Ok((place, request)) => self.send(pending, place, request),
            Err(SkipReason::QueueDisk) => self.watch.count_without_row(SkipReason::QueueDisk),
            Err(reason) => self.skip(pending, reason),
        }
    }

    fn send(&mut self, pending: Pending, destination: usize, request: ShadowRequest) {
        let room = match self.room_for(&pending, &request) {
            Ok(room) => room,
            Err(reason) => return self.watch.count_without_row(reason),
        };
        let (connection, weight) = (pending.exchange.connection, pending.weight());
        let payload = Queued { pending, room };
        let job = Job { connection, destination, request, weight, payload };
        match self.work.try_send(Work::Send(Box::new(job))) {
            Ok(()) => self.watch.count_sent(),
            Err(TrySendError::Full(_)) => self.watch.count_without_row(SkipReason::QueueFull),
            // Nothing is kept any more, so the run is about to end.
            Err(TrySendError::Closed(_)) => self.watch.count_without_row(SkipReason::Interrupted),
        }
    }

    /// Room in the queue for a request, or why there is none.
    fn room_for(&self, pending: &Pending, request: &ShadowRequest) -> Result<Room, SkipReason> {
        let room = Arc::clone(&self.room).try_acquire_owned().map_err(|_| SkipReason::QueueFull)?;
        let bytes = request.head.len() + request.body.kept().len() + pending.weight() + OVERHEAD;
        let bytes = u32::try_from(bytes).unwrap_or(u32::MAX);
        let memory = Arc::clone(&self.memory).try_acquire_many_owned(bytes);
        Ok((room, memory.map_err(|_| SkipReason::QueueMemory)?))
    }

    /// A row of a request that is not sent; where judging cannot keep up, its count alone.
    fn skip(&mut self, pending: Pending, reason: SkipReason) {
        Progress::count(&self.watch.progress.skipped);
        if let Elsewhere::NoRoom(NoRoom::Refused(why)) = &pending.exchange.request.body.elsewhere
            && reason == SkipReason::NoRoomForBody
        {
            self.watch.not_stored(why);
        }
        match self.skipped.try_send(pending.into_row(None, None, Outcome::Skipped(reason))) {
            Ok(()) => self.watch.count_row(),
            Err(_) => self.watch.count_without_row(reason),
        }
    }
}
