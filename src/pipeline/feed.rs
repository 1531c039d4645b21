//! From exchanges to work: what is sent goes to the engine, what is not goes to the reports.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use tokio::sync::mpsc::Sender;

use super::reader::Taker;
use crate::exchange::{Exchange, Told};
use crate::record::Row;
use crate::replay::engine::{Job, Work};
use crate::replay::guard::{CapturedServer, Guard};
use crate::replay::{Outcome, Plan, Planner, SkipReason};
use crate::route::{Draw, Mirror, Role};

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
}

impl Pending {
    pub(super) fn into_row(self, sent_head: Option<bytes::Bytes>, outcome: Outcome) -> Row {
        let Self { exchange, role, destination, route } = self;
        Row { exchange, role, destination, route, sent_head, outcome }
    }

    /// The memory that the captured bytes take.
    pub(super) fn weight(&self) -> usize {
        let kept = |body: &crate::http::Body| {
            body.entity.as_ref().map_or(0, bytes::Bytes::len)
                + body.wire.as_ref().map_or(0, bytes::Bytes::len)
        };
        let request = &self.exchange.request;
        let response = self.exchange.response.as_ref();
        request.head.raw.len()
            + kept(&request.body)
            + response.map_or(0, |r| r.head.raw.len() + kept(&r.body))
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
    pub(super) mirror: Mirror,
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
            Told::Exchange(exchange) => self.exchange(*exchange).err(),
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
        let decision = self.mirror.decide(Draw::new(self.seed, exchange.id));
        let route = decision.rule.to_string();
        match self.planner.plan(&exchange, &decision) {
            Plan::Skip(reason) => self.skip(exchange, route, reason),
            Plan::Send(requests) => {
                for (destination, request) in requests {
                    let pending = Pending {
                        exchange: exchange.clone(),
                        role: destination.role,
                        destination: destination.name.to_string(),
                        route: route.clone(),
                    };
                    self.send(Work::Send(Box::new(Job {
                        connection: exchange.connection,
                        destination: 0,
                        request,
                        weight: pending.weight(),
                        payload: pending,
                    })))?;
                    self.rows += 1;
                }
                Ok(())
            }
        }
    }

    fn skip(&mut self, exchange: Exchange, route: String, reason: SkipReason) -> Result<(), Halt> {
        Progress::count(&self.progress.skipped);
        let destination = self.mirror.destination.name.to_string();
        let pending = Pending { exchange, role: self.mirror.destination.role, destination, route };
        let row = pending.into_row(None, Outcome::Skipped(reason));
        self.skipped.blocking_send(row).map_err(|_| Halt::Gone)?;
        self.rows += 1;
        Ok(())
    }

    fn send(&mut self, work: Work<Pending>) -> Result<(), Halt> {
        self.work.blocking_send(work).map_err(|_| Halt::Gone)
    }
}
