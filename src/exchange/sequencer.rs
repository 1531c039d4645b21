//! The exchanges of all connections in the order of their requests.

use std::collections::{BTreeMap, BTreeSet, VecDeque};

use super::Exchange;
use super::reader::{Listener, Start};
use crate::stream::{Closing, ConnectionId};
use crate::time::Timestamp;

/// How much a [`Sequencer`] may hold back.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct SequencerLimits {
    /// Exchanges that are complete and wait for an earlier one.
    pub exchanges: usize,
    /// Bytes of memory that they take.
    pub bytes: usize,
}

impl Default for SequencerLimits {
    /// 16384 exchanges, 64 MiB.
    fn default() -> Self {
        Self { exchanges: 16 * 1024, bytes: 64 << 20 }
    }
}

impl SequencerLimits {
    /// The share of a reader's memory that exchanges may take while they wait for their turn: an eighth, and no more
    /// than 64 MiB.
    #[must_use]
    pub fn within(memory: u64) -> Self {
        let all = Self::default();
        Self { bytes: usize::try_from(memory / 8).unwrap_or(usize::MAX).min(all.bytes), ..all }
    }
}

/// What a [`Sequencer`] tells.
#[derive(Debug)]
pub enum Told {
    /// An exchange.
    Exchange(Box<Exchange>),
    /// A connection has closed, and all exchanges of it were told.
    Closed(ConnectionId, Option<Closing>),
}

impl Told {
    /// The memory that its bytes take.
    fn weight(&self) -> usize {
        match self {
            Self::Exchange(exchange) => weigh(exchange),
            Self::Closed(..) => 0,
        }
    }
}

/// Who is told what comes out of a [`Sequencer`], in its order.
pub trait Tell {
    /// Takes what comes next.
    fn tell(&mut self, told: Told);
}

impl<F: FnMut(Told)> Tell for F {
    #[inline]
    fn tell(&mut self, told: Told) {
        self(told);
    }
}

/// Tells exchanges in the order of their requests' first bytes, and after those of a connection that it
/// has closed.
///
/// An exchange is held back while a request that began before it is not complete. What is held is
/// bounded: beyond the limits the earliest complete exchange is told all the same, and one that began
/// before it follows when it is complete. So the order is that of the requests save where one is
/// answered later than thousands after it.
///
/// Requests mostly begin in the order of time. Those that do stand in a line, in which each is found by its
/// number. Those that do not, and those that others have overtaken for so long that the line grew too long,
/// stand aside, in trees.
pub struct Sequencer<T> {
    teller: T,
    limits: SequencerLimits,
    /// One place for each number from `base` on, in the order of their starts.
    line: VecDeque<Place>,
    base: u64,
    /// Requests aside that began and are not complete.
    open: BTreeSet<Start>,
    /// What is complete aside, and not told.
    complete: BTreeMap<Start, Told>,
    /// How much is complete and not told, in the line and aside.
    held: usize,
    /// Bytes of those.
    bytes: usize,
    /// The latest time at which a request began.
    latest: Timestamp,
    early: u64,
}

/// What a request's place in the line takes, in bytes.
pub(super) const PLACE: usize = size_of::<Place>();

/// A place in the line, and what stands there. Between calls nothing complete stands first.
struct Place {
    at: Timestamp,
    state: State,
}

enum State {
    /// A request that is not complete.
    Open,
    Complete(Box<Told>),
    /// Nothing, any more or at all.
    Empty,
}

impl<T: Tell> Sequencer<T> {
    /// A sequencer that hands exchanges to `teller`.
    pub fn new(limits: SequencerLimits, teller: T) -> Self {
        Self {
            teller,
            limits,
            line: VecDeque::new(),
            base: 0,
            open: BTreeSet::new(),
            complete: BTreeMap::new(),
            held: 0,
            bytes: 0,
            latest: Timestamp::from_nanos(i64::MIN),
            early: 0,
        }
    }

    /// Who is told.
    pub fn teller_mut(&mut self) -> &mut T {
        &mut self.teller
    }

    /// The same, once nothing is to be told any more.
    pub fn into_teller(self) -> T {
        self.teller
    }

    /// Begins again, for another reading: what follows may be earlier than what came before. All was told
    /// ([`Self::finish`]).
    pub fn restart(&mut self) {
        self.latest = Timestamp::from_nanos(i64::MIN);
    }

    /// How many exchanges were told before one that began earlier.
    #[must_use]
    pub fn early(&self) -> u64 {
        self.early
    }

    /// Tells all that is complete.
    pub fn finish(&mut self) {
        let limits = std::mem::replace(&mut self.limits, SequencerLimits { exchanges: 0, bytes: 0 });
        let early = self.early;
        self.advance();
        // What is still open does not come late: it does not come at all.
        (self.limits, self.early) = (limits, early);
    }

    /// Gives a place to what starts `at` that time.
    fn join(&mut self, at: Timestamp, state: State) -> Start {
        let number = self.base + self.line.len() as u64;
        self.line.push_back(Place { at, state });
        Start { at, number }
    }

    /// Where in the line a request stands, if it does.
    #[inline]
    fn find(&self, start: Start) -> Option<usize> {
        let index = usize::try_from(start.number.checked_sub(self.base)?).ok()?;
        self.line.get(index).filter(|place| matches!(place.state, State::Open)).map(|_| index)
    }

    /// Whether a request is the first of all that were not told.
    #[inline]
    fn is_first(&self, index: usize) -> bool {
        index == 0 && self.open.is_empty() && self.complete.is_empty()
    }

    /// Tells what waits for nothing any more, and what there is no room for.
    fn advance(&mut self) {
        loop {
            let full = self.held > self.limits.exchanges || self.bytes > self.limits.bytes;
            self.trim(full);
            let in_line = self.front().filter(|_| self.starts_complete());
            let aside = self.complete.first_key_value().map(|(start, _)| *start);
            let Some(first) = in_line.into_iter().chain(aside).min() else { return };
            let in_line_open = self.front().filter(|_| !self.starts_complete());
            let waits = self.open.first().is_some_and(|open| *open < first)
                || in_line_open.is_some_and(|open| open < first);
            if waits && !full {
                return;
            }
            let told = if in_line == Some(first) { self.leave() } else { self.complete.remove(&first) };
            if let Some(told) = told {
                self.early += u64::from(waits && matches!(told, Told::Exchange(_)));
                self.release(told);
            }
        }
    }

    /// Takes empty places away from the line's front, and open ones aside where the line is too long or,
    /// `full`, something behind them has to be told.
    fn trim(&mut self, full: bool) {
        let longest = self.limits.exchanges.saturating_mul(2).max(MOST_OPEN);
        while let Some(place) = self.line.front() {
            match place.state {
                State::Empty => {}
                State::Open if full || self.line.len() > longest => {
                    self.open.insert(Start { at: place.at, number: self.base });
                }
                State::Open | State::Complete(_) => return,
            }
            self.line.pop_front();
            self.base += 1;
        }
    }

    fn front(&self) -> Option<Start> {
        self.line.front().map(|place| Start { at: place.at, number: self.base })
    }

    fn starts_complete(&self) -> bool {
        matches!(self.line.front(), Some(Place { state: State::Complete(_), .. }))
    }

    /// Takes the first place away from the line.
    fn leave(&mut self) -> Option<Told> {
        self.base += 1;
        match self.line.pop_front()?.state {
            State::Complete(told) => Some(*told),
            State::Open | State::Empty => None,
        }
    }

    fn hold(&mut self, told: &Told) {
        self.held += 1;
        self.bytes += told.weight();
    }

    fn release(&mut self, told: Told) {
        self.held -= 1;
        self.bytes -= told.weight();
        self.teller.tell(told);
    }
}

/// The line is allowed so many places in any case.
const MOST_OPEN: usize = 1024;

impl<T: Tell> Listener for Sequencer<T> {
    #[inline]
    fn began(&mut self, at: Timestamp) -> Start {
        if at >= self.latest {
            self.latest = at;
            return self.join(at, State::Open);
        }
        let Start { number, .. } = self.join(self.latest, State::Empty);
        let start = Start { at, number };
        self.open.insert(start);
        start
    }

    #[inline]
    fn finished(&mut self, start: Start, exchange: Option<Box<Exchange>>) {
        match (self.find(start), exchange.map(Told::Exchange)) {
            (Some(index), Some(told)) if self.is_first(index) => {
                self.leave();
                self.teller.tell(told);
            }
            (Some(index), told) => {
                if let Some(told) = &told {
                    self.hold(told);
                }
                let state = told.map_or(State::Empty, |told| State::Complete(Box::new(told)));
                if let Some(place) = self.line.get_mut(index) {
                    place.state = state;
                }
            }
            (None, told) => {
                self.open.remove(&start);
                if let Some(told) = told {
                    self.hold(&told);
                    self.complete.insert(start, told);
                }
            }
        }
        if !self.line.is_empty() || !self.complete.is_empty() {
            self.advance();
        }
    }

    fn closed(&mut self, connection: ConnectionId, closing: Option<Closing>) {
        // After every request that has begun, and so after those of this connection.
        let told = Told::Closed(connection, closing);
        self.hold(&told);
        self.join(self.latest, State::Complete(Box::new(told)));
        self.advance();
    }
}

/// The memory that an exchange takes.
pub(super) fn weigh(exchange: &Exchange) -> usize {
    let response = exchange.response.as_ref().map_or(0, crate::http::Response::memory);
    size_of::<Place>() + exchange.request.memory() + response + size_of_val(exchange.interim.as_slice())
}
