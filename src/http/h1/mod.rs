//! HTTP/1 messages from bytes (RFC 9112).
//!
//! One [`Parser`] reads one direction of one connection. It never looks ahead: a message is handed
//! over with its last byte.
//!
//! ```text
//!          first byte        empty line           last byte
//! Between ───────────▶ Head ───────────▶ Body ───────────────▶ Between
//!    │ garbage, hole     │ hole            │ hole in framing       │ 101, 2xx to CONNECT
//!    └───────▶ Lost ◀────┴─────────────────┘                       ▼
//!               └── start line at the start of a push ──▶ Head   Tunnel
//! ```

mod body;
mod collect;
mod field;
mod framing;
mod heads;
mod last_head;
mod lenient;
mod lines;
mod lost;
mod message;
mod partial;
mod plain;
mod scan;
mod sink;
mod sixteen;
mod start;

use std::sync::Arc;

pub use self::body::Dechunker;
use self::body::Decoder;
pub use self::last_head::LastHead;
#[cfg(feature = "cli")]
pub(crate) use self::last_head::agreement;
use self::lost::CutLine;
use self::message::{Doubt, Reading, finish};
use self::partial::Partial;
pub use self::sink::{Asked, Close, Sink};
#[cfg(feature = "cli")]
pub(crate) use self::start::parse_head_after;
pub use self::start::{
    Head, Plausible, begins_surely, begins_with_method, parse_head, plausible_request, plausible_response,
};
use super::{Account, BodyStore, Completeness, Options};
use crate::anomaly::{Anomaly, AnomalySet};
use crate::time::Timestamp;

/// The largest head that is kept whole, in bytes; of a larger one only the first so many are kept.
pub const MAX_HEAD: usize = 256 * 1024;

/// Reads the messages of one direction.
pub struct Parser<H> {
    options: Options,
    state: State<H>,
    account: Account,
    /// What was odd since the last message.
    odd: AnomalySet,
    /// While lost: the beginning of a packet that may be that of a start line.
    cut_line: Option<Box<CutLine>>,
    /// Where bodies go that are too large to be kept.
    store: Option<Arc<dyn BodyStore>>,
}

enum State<H> {
    /// The next byte begins a message.
    Between,
    /// In a head.
    Head(Box<Partial>),
    /// In a body.
    Body(Box<Reading<H>>),
    /// Where the next message begins is not known.
    Lost,
    /// What follows is not HTTP.
    Tunnel,
    /// An answer without head.
    Headless,
}

impl<H: Head> Parser<H> {
    /// A parser that stands between messages.
    #[must_use]
    pub fn new(options: Options) -> Self {
        let (account, odd) = (Account::default(), AnomalySet::EMPTY);
        Self { options, state: State::Between, account, odd, cut_line: None, store: None }
    }

    /// The same, with a place for bodies that are too large to be kept.
    #[must_use]
    pub fn storing(self, store: Option<Arc<dyn BodyStore>>) -> Self {
        Self { store, ..self }
    }

    /// A parser that was put before the middle of a stream: it looks for the next start line.
    #[must_use]
    pub fn midstream(options: Options) -> Self {
        Self { state: State::Lost, ..Self::new(options) }
    }

    /// What was odd after the last message, and belongs to none.
    #[must_use]
    pub fn leftover(&self) -> AnomalySet {
        self.odd
    }

    /// Bytes of memory beside the parser itself.
    #[must_use]
    pub fn memory(&self) -> usize {
        match &self.state {
            State::Lost => {
                self.cut_line.as_ref().map_or(0, |cut| size_of::<CutLine>() + cut.bytes.capacity())
            }
            State::Head(partial) => size_of::<Partial>() + partial.kept.capacity(),
            State::Body(reading) => size_of::<Reading<H>>() + reading.body.memory(),
            State::Between | State::Tunnel | State::Headless => 0,
        }
    }

    /// What became of the bytes so far. Those of a head that is still being read are not in it yet.
    #[must_use]
    pub fn account(&self) -> Account {
        self.account
    }

    /// Whether a message has begun and is not complete.
    #[must_use]
    pub fn is_within_message(&self) -> bool {
        matches!(self.state, State::Head(_) | State::Body(_))
    }

    /// Whether what follows is not HTTP.
    #[must_use]
    pub fn is_tunnel(&self) -> bool {
        matches!(self.state, State::Tunnel)
    }

    /// Whether the last bytes were no message, or their beginning is missing.
    #[must_use]
    pub fn is_lost(&self) -> bool {
        matches!(self.state, State::Lost)
    }

    /// Tells that the connection became a tunnel: what follows is not HTTP.
    pub fn tunnel<S: Sink<H>>(&mut self, sink: &mut S) {
        self.end(Close::Unknown, sink);
        self.state = State::Tunnel;
    }

    /// The other side gave its final answer to the message that is being read. Where that waited for a go-ahead
    /// ("Expect: 100-continue"), and nothing of its body was seen, the sender may leave the body out (RFC 9110,
    /// section 10.1.1) and begin another message in its place.
    pub fn refuse_body(&mut self) {
        if let State::Body(reading) = &mut self.state
            && !reading.has_body
            && reading.head.awaits_go_ahead()
        {
            reading.doubt = Some(Doubt::Refused);
        }
    }

    /// The next bytes, seen at `at`.
    pub fn push<S: Sink<H>>(&mut self, at: Timestamp, bytes: &[u8], sink: &mut S) {
        let mut rest = bytes;
        self.seek(at, rest, sink);
        while !rest.is_empty() {
            rest = rest.get(self.read(at, rest, sink)..).unwrap_or_default();
        }
    }

    /// Reads the first of `bytes`, at most to the end of the present message; says how many.
    ///
    /// At least one byte is read, so that a caller that wants one message stops when it has it.
    pub fn read<S: Sink<H>>(&mut self, at: Timestamp, bytes: &[u8], sink: &mut S) -> usize {
        match &mut self.state {
            State::Between => self.read_between(at, bytes, sink),
            State::Head(_) => self.read_head(at, bytes, sink),
            State::Body(_) => self.read_body(at, bytes, sink),
            State::Lost => count(&mut self.account.torn, bytes),
            State::Tunnel => count(&mut self.account.tunnel, bytes),
            State::Headless => count(&mut self.account.headless, bytes),
        }
    }

    /// `len` bytes are missing.
    pub fn gap<S: Sink<H>>(&mut self, len: u64, sink: &mut S) {
        let mut left = len;
        while left > 0 {
            left -= self.skip(left, sink);
        }
    }

    /// Passes over the first of `len` missing bytes, at most to the end of the present message; says how many.
    ///
    /// At least one is passed over: this is to [`Parser::gap`] what [`Parser::read`] is to [`Parser::push`].
    pub fn skip<S: Sink<H>>(&mut self, len: u64, sink: &mut S) -> u64 {
        let skipped = self.skip_within(len, sink);
        self.account.gap = self.account.gap.saturating_add(skipped);
        skipped
    }

    fn skip_within<S: Sink<H>>(&mut self, len: u64, sink: &mut S) -> u64 {
        self.cut_line = None;
        match &mut self.state {
            State::Between => self.lose(len, sink),
            State::Head(_) => {
                self.cut_head(Completeness::Gap, sink);
                self.lose(0, sink);
            }
            // Whether the hole is in a body is not known.
            State::Body(reading) if reading.doubt.is_some() => {
                self.finish_body(Completeness::Gap, sink);
                self.lose(len, sink);
            }
            State::Body(reading) => {
                let hole = reading.decoder.gap(len);
                return self.hole(hole, len, sink);
            }
            State::Lost => sink.lost(len),
            State::Tunnel | State::Headless => {}
        }
        len
    }

    /// Nothing follows.
    pub fn end<S: Sink<H>>(&mut self, close: Close, sink: &mut S) {
        let short = match close {
            Close::Finished | Close::Reset => Completeness::Aborted,
            Close::Unknown => Completeness::Cut,
        };
        match std::mem::replace(&mut self.state, State::Between) {
            State::Head(partial) => {
                self.state = State::Head(partial);
                self.cut_head(short, sink);
            }
            State::Body(mut reading) => {
                let whole = reading.decoder == Decoder::UntilClose && close == Close::Finished;
                if !whole && short == Completeness::Aborted {
                    reading.anomalies.insert(Anomaly::BodyCutShort);
                }
                finish(*reading, if whole { Completeness::Complete } else { short }, sink);
            }
            other => self.state = other,
        }
    }
}

/// Counts all of `bytes`.
fn count(place: &mut u64, bytes: &[u8]) -> usize {
    *place += bytes.len() as u64;
    bytes.len()
}

#[cfg(test)]
mod tests;
