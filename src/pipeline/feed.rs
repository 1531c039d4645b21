//! From exchanges to work: what is sent goes to the engine, what is not goes to the reports.

use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::Duration;

use tokio::sync::mpsc::Sender;
use tokio::sync::mpsc::error::TrySendError;

use super::planning::{Lap, Planned, Planning};
use super::progress::Progress;
use super::reader::{Handed, Taker, Unmet};
use super::spill::{LARGE, LEAST, Place, Room};
use crate::exchange::{Exchange, Tell, Told};
use crate::http::{Body, Elsewhere, Request, Response};
use crate::record::{Digests, Names, Outstanding, RecordError, RequestName, Row, RowName};
use crate::replay::client::ClientKind;
use crate::replay::engine::{Job, Work};
use crate::replay::guard::CapturedServer;
use crate::replay::{Failure, Outcome, ShadowBody, ShadowRequest, SkipReason, Timing};
use crate::route::Role;
use crate::stream::Closing;

/// A row whose outcome is still to come.
#[derive(Debug)]
pub(super) struct Pending {
    pub(super) exchange: Box<Exchange>,
    pub(super) lap: u32,
    pub(super) copy: u32,
    pub(super) role: Role,
    pub(super) destination: Arc<str>,
    pub(super) route: Arc<str>,
    pub(super) matched: Arc<str>,
    pub(super) reason: Arc<str>,
    /// The room that it takes, where it is large or its body is stored.
    pub(super) place: Option<Place>,
}

impl Pending {
    pub(super) fn into_row(
        self,
        sent_head: Option<bytes::Bytes>,
        client: Option<ClientKind>,
        outcome: Outcome,
    ) -> Row {
        let Self { exchange, lap, copy, role, destination, route, matched, reason, place: _ } = self;
        let (again, not_asked) = (Vec::new(), None);
        Row {
            exchange,
            lap,
            copy,
            role,
            destination,
            route,
            matched,
            reason,
            sent_head,
            client,
            outcome,
            again,
            not_asked,
        }
    }

    pub(super) fn name(&self) -> RowName {
        let request = RequestName { id: self.exchange.id, lap: self.lap };
        RowName { request, copy: self.copy, role: self.role, destination: Arc::clone(&self.destination) }
    }

    /// The memory that the captured messages take.
    pub(super) fn weight(&self) -> usize {
        self.exchange.request.memory() + self.exchange.response.as_ref().map_or(0, Response::memory)
    }
}

/// Why nothing more is fed.
#[derive(Debug)]
pub(super) enum Halt {
    /// The target is a server of the capture.
    Refused(CapturedServer),
    /// What an earlier part of the run did cannot be looked up any more.
    Unread(RecordError),
    /// Nobody takes work any more.
    Gone,
}

/// What an earlier part of the run did already: rows by the digests of their names.
#[derive(Debug, Default)]
pub(super) struct Past {
    /// They have an outcome.
    pub(super) recorded: Digests,
    /// They were on their way when the run was killed, and are not sent again.
    pub(super) in_flight: Names,
    /// They were put off, and have to be met again.
    pub(super) put_off: Outstanding,
}

/// What an earlier part of the run left to this one.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Left {
    /// Nothing: its outcome is recorded.
    Nothing,
    /// To say that it may have been sent.
    Unknown,
    /// To send it, or to say why it is not sent.
    All,
}

impl Past {
    /// Meets a row of the capture.
    fn meet(&mut self, pending: &Pending) -> Result<Left, RecordError> {
        if self.recorded.is_empty() && self.in_flight.is_empty() && self.put_off.is_empty() {
            return Ok(Left::All);
        }
        let name = pending.name().digest();
        if self.recorded.contains(name) {
            return Ok(Left::Nothing);
        }
        self.put_off.cross_off(name)?;
        Ok(if self.in_flight.remove(&name) { Left::Unknown } else { Left::All })
    }
}

/// Where work and rows go from a feed.
pub(super) trait Onward: Send + 'static {
    /// Hands work to the engine.
    fn work(&mut self, work: Work<Pending>) -> Result<(), Halt>;
    /// Hands a row to judging that needs nothing sent.
    fn row(&mut self, row: Row) -> Result<(), Halt>;
    /// Takes room for what is to be handed on.
    fn place(&mut self, room: Room, bytes: u64) -> Place;
}

/// To other threads, as long as they have room for it.
pub(super) struct Channels {
    pub(super) work: Sender<Work<Pending>>,
    pub(super) rows: Sender<Row>,
}

impl Onward for Channels {
    fn work(&mut self, work: Work<Pending>) -> Result<(), Halt> {
        hand(&self.work, work)
    }

    fn row(&mut self, row: Row) -> Result<(), Halt> {
        hand(&self.rows, row)
    }

    fn place(&mut self, room: Room, bytes: u64) -> Place {
        room.take(bytes)
    }
}

/// Takes exchanges in the order of the capture, from whoever reads it.
pub(super) struct Feed<O> {
    pub(super) planning: Planning,
    pub(super) past: Past,
    pub(super) lap: Lap,
    pub(super) onward: O,
    pub(super) progress: Arc<Progress>,
    /// For the bodies that are not in memory, and for large messages that are.
    pub(super) disk: Room,
    pub(super) memory: Room,
    /// Whether anybody reads what v1 answered, and not only how and when.
    pub(super) answers_are_read: bool,
    /// Rows handed on.
    pub(super) rows: u64,
    /// Set once; all that follows is dropped.
    pub(super) halt: Option<Halt>,
}

impl<O: Onward> Tell for Feed<O> {
    fn tell(&mut self, told: Told) {
        if self.halt.is_some() {
            return;
        }
        self.halt = match told {
            Told::Exchange(exchange) => self.exchange(exchange).err(),
            Told::Closed(connection, closing) => {
                let shifted = |closing: Closing| Closing { at: closing.at + self.lap.shift, ..closing };
                let connection = self.lap.connection(connection);
                self.onward.work(Work::ConnectionEnded(connection, closing.map(shifted))).err()
            }
        };
    }
}

impl<O: Onward> Taker for Feed<O> {
    fn readings(&self) -> u32 {
        self.lap.number + 1
    }

    fn halt(&self) -> Option<&Halt> {
        self.halt.as_ref()
    }

    fn read_again(&mut self, lasted: Duration) {
        self.lap = self.lap.next(lasted);
        self.progress.lap.store(self.lap.number.into(), Ordering::Relaxed);
    }

    fn goes_again(&self) -> bool {
        !self.progress.course.gave_up()
    }

    fn all_is_read(&mut self) {
        self.progress.course.end_of_reading();
    }

    fn end(self) -> Handed {
        let shares = self.planning.shares.told(&self.planning.table);
        let unmet = Unmet { put_off: self.past.put_off, in_flight: self.past.in_flight.len() as u64 };
        Handed { rows: self.rows, halt: self.halt, shares, unmet }
    }
}

impl<O: Onward> Feed<O> {
    /// The room of which all is taken, where that is so of one.
    pub(super) fn full(&self) -> Option<&Room> {
        [&self.disk, &self.memory].into_iter().find(|room| room.is_full())
    }

    fn exchange(&mut self, exchange: Box<Exchange>) -> Result<(), Halt> {
        Progress::count(&self.progress.requests);
        let mut planned = self.planning.plan(&exchange).map_err(Halt::Refused)?;
        let last = planned.pop();
        let copies = u32::try_from(planned.len()).unwrap_or(u32::MAX);
        for (copy, one) in (0..copies).zip(planned) {
            self.row(exchange.clone(), copy, one)?;
        }
        last.map_or(Ok(()), |last| self.row(exchange, copies, last))
    }

    /// What becomes of the exchange at one of its destinations.
    fn row(&mut self, exchange: Box<Exchange>, copy: u32, planned: Planned) -> Result<(), Halt> {
        let Planned { role, destination, rule, matched, reason, request } = planned;
        let left_out = request.as_ref().err().is_some_and(|reason| reason.is_choice());
        let exchange = if left_out { without_bodies(exchange) } else { exchange };
        let lap = self.lap.number;
        let (route, place) = (rule, None);
        let pending = Pending { exchange, lap, copy, role, destination, route, matched, reason, place };
        match (self.past.meet(&pending).map_err(Halt::Unread)?, request) {
            (Left::Nothing, _) => Ok(()),
            (Left::Unknown, Ok((_, request))) => {
                self.hand_on(pending.into_row(Some(request.head), None, killed()))
            }
            (Left::All, Ok((place, request))) => self.request(pending, place, request),
            (Left::All | Left::Unknown, Err(reason)) => self.skip(pending, Outcome::Skipped(reason)),
        }
    }

    fn request(
        &mut self,
        mut pending: Pending,
        place: usize,
        mut request: ShadowRequest,
    ) -> Result<(), Halt> {
        let weight = pending.weight();
        if !self.answers_are_read
            && let Some(response) = &mut pending.exchange.response
        {
            // Not one of its bytes waits with the request; that is not why it is not compared.
            response.body.entity = Some(bytes::Bytes::new());
        }
        pending.place = match &request.body {
            ShadowBody::Stored { body, .. } => {
                Some(self.onward.place(self.disk.clone(), body.len().max(LEAST)))
            }
            ShadowBody::Kept(_) if weight as u64 >= LARGE => {
                Some(self.onward.place(self.memory.clone(), weight as u64))
            }
            ShadowBody::Kept(_) => None,
        };
        request.captured = request.captured + self.lap.shift;
        self.rows += 1;
        self.progress.course.hand_on();
        self.onward.work(Work::Send(Box::new(Job {
            connection: self.lap.connection(pending.exchange.connection),
            destination: place,
            request,
            weight,
            payload: pending,
        })))
    }

    fn skip(&mut self, pending: Pending, outcome: Outcome) -> Result<(), Halt> {
        Progress::count(&self.progress.skipped);
        self.hand_on(pending.into_row(None, None, outcome))
    }

    /// A row that needs nothing sent.
    fn hand_on(&mut self, row: Row) -> Result<(), Halt> {
        self.rows += 1;
        self.progress.course.hand_on();
        self.onward.row(row)
    }
}

/// Hands something on, and waits only where there is no room for it.
fn hand<W>(to: &Sender<W>, what: W) -> Result<(), Halt> {
    match to.try_send(what) {
        Ok(()) => Ok(()),
        Err(TrySendError::Full(what)) => to.blocking_send(what).map_err(|_| Halt::Gone),
        Err(TrySendError::Closed(_)) => Err(Halt::Gone),
    }
}

/// What is known of a request that was on its way when the run was killed.
fn killed() -> Outcome {
    Outcome::Failed {
        failure: Failure::Killed,
        detail: "the run was killed while this request was on its way: it may have reached the target, and is not \
                 sent again"
            .to_owned(),
        partial: None,
        timing: Timing::default(),
    }
}

/// What the user left out is counted and named; nobody will compare it.
fn without_bodies(mut exchange: Box<Exchange>) -> Box<Exchange> {
    let drop = |body: &mut Body| {
        (body.entity, body.wire, body.elsewhere) = (None, None, Elsewhere::Nowhere);
    };
    let Request { body, .. } = &mut exchange.request;
    drop(body);
    if let Some(response) = &mut exchange.response {
        drop(&mut response.body);
    }
    exchange
}

impl SkipReason {
    /// Whether the user's own choice left the request out.
    const fn is_choice(self) -> bool {
        matches!(
            self,
            Self::OutsideTime
                | Self::Method
                | Self::Filtered
                | Self::FilterFailed
                | Self::NotInSample
                | Self::BeyondLimit
        )
    }
}
