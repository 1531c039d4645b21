//! From exchanges to work: what is sent goes to the engine, what is not goes to the reports.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use tokio::sync::mpsc::Sender;

use super::reader::Taker;
use crate::exchange::{Exchange, Told};
use crate::record::Row;
use crate::replay::client::ClientKind;
use crate::replay::engine::{Job, Work};
use crate::replay::guard::{CapturedServer, Guard};
use crate::replay::{Outcome, Plan, Planner, ShadowRequest, SkipReason};
use crate::route::{Decision, Draws, Role, RouteTable, Sampling};

/// How far a run has come; read while it goes on.
#[derive(Debug, Default)]
pub struct Progress {
    /// Requests found.
    pub requests: AtomicU64,
    /// Requests not sent, by intent.
    pub skipped: AtomicU64,
    /// Requests with an outcome.
    pub done: AtomicU64,
    /// Of those, the ones without a whole answer.
    pub failed: AtomicU64,
    /// Of those, the ones that differ in a way that counts.
    pub different: AtomicU64,
}

impl Progress {
    /// What a counter has come to.
    #[must_use]
    pub fn read(counter: &AtomicU64) -> u64 {
        counter.load(Ordering::Relaxed)
    }

    pub(super) fn count(counter: &AtomicU64) {
        counter.fetch_add(1, Ordering::Relaxed);
    }
}

/// A row whose outcome is still to come.
#[derive(Debug)]
pub(super) struct Pending {
    pub(super) exchange: Exchange,
    pub(super) role: Role,
    pub(super) destination: String,
    pub(super) route: String,
    pub(super) matched: String,
    pub(super) reason: String,
}

impl Pending {
    pub(super) fn into_row(
        self,
        sent_head: Option<bytes::Bytes>,
        client: Option<ClientKind>,
        outcome: Outcome,
    ) -> Row {
        let Self { exchange, role, destination, route, matched, reason } = self;
        Row { exchange, role, destination, route, matched, reason, sent_head, client, outcome }
    }

    /// The memory that the captured bytes take.
    pub(super) fn weight(&self) -> usize {
        let kept = |body: &crate::http::Body| {
            body.entity.as_ref().map_or(0, bytes::Bytes::len)
                + body.wire.as_ref().map_or(0, bytes::Bytes::len)
        };
        let request = &self.exchange.request;
        let response = self.exchange.response.as_ref();
        request.head.raw().len()
            + kept(&request.body)
            + response.map_or(0, |r| r.head.raw().len() + kept(&r.body))
    }
}

/// Why nothing more is fed.
#[derive(Debug)]
pub(super) enum Halt {
    /// The target is a server of the capture.
    Refused(CapturedServer),
    /// Nobody takes work any more.
    Gone,
}

/// Takes exchanges in the order of the capture, from the thread that reads.
pub(super) struct Feed {
    pub(super) table: RouteTable,
    pub(super) sampling: Sampling,
    pub(super) seed: u64,
    pub(super) planner: Planner,
    /// `None` where the user has allowed any target.
    pub(super) guard: Option<Guard>,
    pub(super) work: Sender<Work<Pending>>,
    pub(super) skipped: Sender<Row>,
    pub(super) progress: Arc<Progress>,
    /// Rows handed on.
    pub(super) rows: u64,
    /// Set once; all that follows is dropped.
    pub(super) halt: Option<Halt>,
}

impl Taker for Feed {
    fn take(&mut self, told: Told) {
        if self.halt.is_some() {
            return;
        }
        self.halt = match told {
            Told::Exchange(exchange) => self.exchange(exchange).err(),
            Told::Closed(connection) => self.send(Work::ConnectionEnded(connection)).err(),
        };
    }

    fn end(self) -> (u64, Option<Halt>) {
        (self.rows, self.halt)
    }
}

impl Feed {
    fn exchange(&mut self, exchange: Exchange) -> Result<(), Halt> {
        Progress::count(&self.progress.requests);
        if let Some(guard) = &mut self.guard {
            guard.admit(&exchange, self.planner.obstacle(&exchange)).map_err(Halt::Refused)?;
        }
        let draws = Draws::new(self.seed, exchange.id, self.sampling);
        let decision = self.table.decide(&exchange.request.head, &draws);
        match self.planner.plan(&exchange, &decision) {
            Plan::Skip(reason) => {
                let why = decision.why_nothing.filter(|why| SkipReason::from(*why) == reason);
                let why = why.map_or_else(|| reason.words().to_owned(), |why| why.to_string());
                let (role, name) = self.table.meant(&decision).unwrap_or((Role::Shadow, ""));
                let pending = pending(&exchange, &decision, role, name.to_owned(), why);
                self.skip(pending, reason)
            }
            Plan::Send(requests) => {
                for (to, request) in requests {
                    let (name, why) = (to.name.to_string(), to.why.to_string());
                    let pending = pending(&exchange, &decision, to.role, name, why);
                    match (request, to.place) {
                        (Ok(request), Some(place)) => self.dispatch(pending, place, request)?,
                        (Err(reason), _) => self.skip(pending, reason)?,
                        (Ok(_), None) => self.skip(pending, SkipReason::NoEndpoint)?,
                    }
                }
                Ok(())
            }
        }
    }

    fn dispatch(&mut self, payload: Pending, place: usize, request: ShadowRequest) -> Result<(), Halt> {
        let connection = payload.exchange.connection;
        let weight = payload.weight();
        self.send(Work::Send(Box::new(Job { connection, destination: place, request, weight, payload })))?;
        self.rows += 1;
        Ok(())
    }

    fn skip(&mut self, pending: Pending, reason: SkipReason) -> Result<(), Halt> {
        Progress::count(&self.progress.skipped);
        let row = pending.into_row(None, None, Outcome::Skipped(reason));
        self.skipped.blocking_send(row).map_err(|_| Halt::Gone)?;
        self.rows += 1;
        Ok(())
    }

    fn send(&mut self, work: Work<Pending>) -> Result<(), Halt> {
        self.work.blocking_send(work).map_err(|_| Halt::Gone)
    }
}

pub(super) fn pending(
    exchange: &Exchange,
    decision: &Decision,
    role: Role,
    destination: String,
    reason: String,
) -> Pending {
    Pending {
        exchange: exchange.clone(),
        role,
        destination,
        route: decision.rule.to_string(),
        matched: decision.matched.to_string(),
        reason,
    }
}
