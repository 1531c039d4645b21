//! The exchanges of all connections in the order of their requests.

use std::collections::{BTreeMap, BTreeSet};

use super::Exchange;
use super::reader::{Listener, Start};
use crate::stream::ConnectionId;
use crate::time::Timestamp;

/// How much a [`Sequencer`] may hold back.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct SequencerLimits {
    /// Exchanges that are complete and wait for an earlier one.
    pub exchanges: usize,
    /// Bytes of their heads and kept bodies.
    pub bytes: usize,
}

impl Default for SequencerLimits {
    /// 16384 exchanges, 64 MiB.
    fn default() -> Self {
        Self { exchanges: 16 * 1024, bytes: 64 << 20 }
    }
}

/// What a [`Sequencer`] tells.
#[derive(Debug)]
pub enum Told {
    /// An exchange.
    Exchange(Box<Exchange>),
    /// A connection has closed, and all exchanges of it were told.
    Closed(ConnectionId),
}

/// Tells exchanges in the order of their requests' first bytes, and after those of a connection that it
/// has closed.
///
/// An exchange is held back while a request that began before it is not complete. What is held is
/// bounded: beyond the limits the earliest complete exchange is told all the same, and one that began
/// before it follows when it is complete. So the order is that of the requests save where one is
/// answered later than thousands after it.
pub struct Sequencer<F> {
    tell: F,
    limits: SequencerLimits,
    /// Requests that began and are not complete.
    open: BTreeSet<Start>,
    /// Exchanges that are complete and not told. Between calls the first open request lies before all.
    complete: BTreeMap<Start, Told>,
    /// Bytes of those.
    bytes: usize,
    next: u64,
    /// The latest time at which a request began.
    latest: Timestamp,
    early: u64,
}

impl<F: FnMut(Told)> Sequencer<F> {
    /// A sequencer that hands exchanges to `tell`.
    pub fn new(limits: SequencerLimits, tell: F) -> Self {
        let (open, complete) = (BTreeSet::new(), BTreeMap::new());
        Self {
            tell,
            limits,
            open,
            complete,
            bytes: 0,
            next: 0,
            latest: Timestamp::from_nanos(i64::MIN),
            early: 0,
        }
    }

    /// How many exchanges were told before one that began earlier.
    #[must_use]
    pub fn early(&self) -> u64 {
        self.early
    }

    /// Tells all that is complete.
    pub fn finish(&mut self) {
        while let Some((_, told)) = self.complete.pop_first() {
            self.release(told);
        }
    }

    /// Tells what waits for nothing any more, and what there is no room for.
    fn advance(&mut self) {
        while let Some((first, told)) = self.complete.first_key_value() {
            let waits = self.open.first().is_some_and(|open| open < first);
            let full = self.complete.len() > self.limits.exchanges || self.bytes > self.limits.bytes;
            if waits && !full {
                break;
            }
            self.early += u64::from(waits && matches!(told, Told::Exchange(_)));
            if let Some((_, told)) = self.complete.pop_first() {
                self.release(told);
            }
        }
    }

    fn release(&mut self, told: Told) {
        if let Told::Exchange(exchange) = &told {
            self.bytes = self.bytes.saturating_sub(weigh(exchange));
        }
        (self.tell)(told);
    }
}

impl<F: FnMut(Told)> Listener for Sequencer<F> {
    fn began(&mut self, at: Timestamp) -> Start {
        let start = Start { at, number: self.next };
        self.next += 1;
        self.latest = self.latest.max(at);
        self.open.insert(start);
        start
    }

    fn finished(&mut self, start: Start, exchange: Option<Exchange>) {
        self.open.remove(&start);
        match exchange {
            Some(exchange)
                if self.complete.is_empty() && self.open.first().is_none_or(|open| *open > start) =>
            {
                (self.tell)(Told::Exchange(Box::new(exchange)));
            }
            Some(exchange) => {
                self.bytes += weigh(&exchange);
                self.complete.insert(start, Told::Exchange(Box::new(exchange)));
            }
            None => {}
        }
        self.advance();
    }

    fn closed(&mut self, connection: ConnectionId) {
        // After every request that has begun, and so after those of this connection.
        let place = Start { at: self.latest, number: self.next };
        self.next += 1;
        self.complete.insert(place, Told::Closed(connection));
        self.advance();
    }
}

/// The memory that an exchange's bytes take.
pub(super) fn weigh(exchange: &Exchange) -> usize {
    let request = exchange.request.head.raw.len() + kept(&exchange.request.body);
    let response = exchange.response.as_ref().map_or(0, |m| m.head.raw.len() + kept(&m.body));
    request + response
}

fn kept(body: &crate::http::Body) -> usize {
    body.entity.as_ref().map_or(0, bytes::Bytes::len)
}
