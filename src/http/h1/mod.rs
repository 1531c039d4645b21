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
mod framing;
mod lenient;
mod partial;
mod plain;
mod scan;
mod sixteen;
mod start;

use std::sync::Arc;

use bytes::Bytes;

pub use self::body::Dechunker;
use self::body::{Decoder, Hole, Piece, Place};
use self::collect::Collector;
use self::partial::{Partial, Took, prefix};
pub use self::start::{
    Head, Plausible, begins_surely, begins_with_method, parse_head, plausible_request, plausible_response,
};
use super::{Account, Body, BodyStore, Completeness, Framing, Message, Options};
use crate::anomaly::{Anomaly, AnomalySet};
use crate::time::Timestamp;

/// The largest head that is kept whole, in bytes; of a larger one only the first so many are kept.
pub const MAX_HEAD: usize = 256 * 1024;

/// What was asked, as far as it decides where the answer's body ends (RFC 9112, section 6.3).
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Asked {
    /// By HEAD: the answer has no body, whatever its fields say.
    Head,
    /// By CONNECT: an answer of 2xx makes a tunnel.
    Connect,
    /// By any other method.
    #[default]
    Other,
    /// By a request that is not known: the answer has the body that its fields announce, unless another
    /// answer begins in its place. Then it was to HEAD.
    Unknown,
}

impl Asked {
    /// The kind of a method.
    #[must_use]
    pub fn by(method: &[u8]) -> Self {
        match method {
            b"HEAD" => Self::Head,
            b"CONNECT" => Self::Connect,
            _ => Self::Other,
        }
    }
}

/// How a direction ended, as the parser needs to know it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Close {
    /// The sender said that nothing follows, and all before that was seen.
    Finished,
    /// A side broke the connection off.
    Reset,
    /// Nothing more was seen.
    Unknown,
}

/// Who is told what the parser reads.
pub trait Sink<H> {
    /// The first byte of a message was seen, so many bytes of the stream before those that are being read.
    fn started(&mut self, at: Timestamp, before: usize) {
        let _ = (at, before);
    }

    /// A head is complete. For a response (a final one) the answer says what was asked; for a request
    /// it means nothing.
    fn head(&mut self, head: &H, first_byte: Timestamp) -> Asked {
        let _ = (head, first_byte);
        Asked::Other
    }

    /// A message is complete, or will never be.
    fn message(&mut self, message: Message<H>);

    /// What was announced by [`Sink::started`] turned out to be no message.
    fn abandoned(&mut self) {}

    /// Where the next message begins is not known, and `missing` bytes that are none of the last
    /// message's are not in the capture: any number of messages may be lost here.
    fn lost(&mut self, missing: u64) {
        let _ = missing;
    }

    /// Whether the body of a message is wanted that is too large to be kept, by what its head tells: there is a store
    /// for it.
    fn wants_body(&mut self, head: &H, first_byte: Timestamp) -> bool {
        let _ = (head, first_byte);
        true
    }

    /// Whether bytes that begin no message are all the same an answer: that of HTTP/0.9, which has no
    /// head and lasts until the connection closes.
    fn is_headless(&mut self) -> bool {
        false
    }
}

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

/// What stood at the beginning of a packet, up to its end.
struct CutLine {
    at: Timestamp,
    bytes: Vec<u8>,
}

/// The longest beginning of a start line that is kept while the parser is lost.
const CUT_LINE: usize = 4096;

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

/// A message whose body is being read.
struct Reading<H> {
    head: H,
    decoder: Decoder,
    body: Collector,
    first_byte: Timestamp,
    last_byte: Timestamp,
    anomalies: AnomalySet,
    /// Part of the head is missing.
    cut_head: bool,
    /// Whether its body comes is not known, and no byte of it was seen.
    doubt: Option<Doubt>,
    /// A byte of the body was seen.
    has_body: bool,
}

/// Why a body that the head announces may not come.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Doubt {
    /// It is an answer, perhaps to HEAD.
    Unasked,
    /// It is a request that was refused before its body was sent.
    Refused,
}

impl Doubt {
    /// What a message is in whose body's place another one begins.
    const fn outcome(self) -> Completeness {
        match self {
            Self::Unasked => Completeness::Complete,
            Self::Refused => Completeness::Aborted,
        }
    }
}

/// What is known of a message when its head is complete.
#[derive(Clone, Copy)]
struct Begun {
    first_byte: Timestamp,
    last_byte: Timestamp,
    /// The length of the head.
    size: u64,
    /// Part of the head is missing.
    cut: bool,
}

impl<H> Reading<H> {
    /// Takes what of `bytes`, seen at `at`, belongs to the body; says how many they are.
    #[inline]
    fn take<S: Sink<H>>(
        &mut self,
        at: Timestamp,
        bytes: &[u8],
        store: Option<&dyn BodyStore>,
        sink: &mut S,
    ) -> usize {
        let mut used = 0;
        while let Some(rest) = bytes.get(used..).filter(|rest| !rest.is_empty())
            && !self.decoder.is_done()
            && !self.decoder.is_broken()
        {
            let piece = self.decoder.next(rest);
            let (Piece::Entity(length) | Piece::Framing(length)) = piece;
            let taken = rest.get(..length).unwrap_or_default();
            let (head, first_byte) = (&self.head, self.first_byte);
            let store = || store.filter(|_| sink.wants_body(head, first_byte));
            self.body.take(piece, taken, collect::rest(&self.decoder), store);
            used += length;
        }
        if used > 0 {
            self.last_byte = at;
        }
        used
    }
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

    fn read_between<S: Sink<H>>(&mut self, at: Timestamp, bytes: &[u8], sink: &mut S) -> usize {
        if let Some(used) = self.read_plain(at, bytes, sink) {
            return used;
        }
        // Empty lines ahead of a start line are passed over (RFC 9112, section 2.2).
        let blank = bytes.iter().take_while(|&&b| matches!(b, b'\r' | b'\n')).count();
        if blank > 0 {
            self.odd.insert(Anomaly::StrayBytes);
            return count(&mut self.account.stray, bytes.get(..blank).unwrap_or_default());
        }
        if H::plausible(prefix(bytes)) == Plausible::No {
            if sink.is_headless() {
                self.state = State::Headless;
            } else {
                self.odd.insert(Anomaly::StrayBytes);
                self.lose(0, sink);
                return count(&mut self.account.stray, bytes);
            }
            return self.read(at, bytes, sink);
        }
        self.begin(at, 0, sink);
        self.read_head(at, bytes, sink)
    }

    fn begin<S: Sink<H>>(&mut self, at: Timestamp, before: usize, sink: &mut S) {
        sink.started(at, before);
        self.state = State::Head(Box::new(Partial::new(at)));
    }

    fn read_head<S: Sink<H>>(&mut self, at: Timestamp, bytes: &[u8], sink: &mut S) -> usize {
        let State::Head(partial) = &mut self.state else { return bytes.len() };
        partial.last_byte = at;
        match partial.take::<H>(bytes) {
            Took::All => bytes.len(),
            Took::Head(used, raw) => {
                self.complete_head(raw, sink);
                used
            }
            Took::NoHead => {
                let stray = partial.kept.len() as u64 + bytes.len() as u64;
                self.account.stray += stray;
                self.odd.insert(Anomaly::StrayBytes);
                sink.abandoned();
                self.lose(0, sink);
                bytes.len()
            }
        }
    }

    /// A message whose head is whole and without oddity, which nearly all are: it is read where it lies, and
    /// nothing is kept of it but what the message holds.
    #[inline]
    fn read_plain<S: Sink<H>>(&mut self, at: Timestamp, bytes: &[u8], sink: &mut S) -> Option<usize> {
        let outline = H::outline(bytes)?;
        let (raw, rest) = bytes.split_at_checked(outline.end).filter(|(raw, _)| raw.len() <= MAX_HEAD)?;
        sink.started(at, 0);
        let head = H::plain(Bytes::copy_from_slice(raw), outline);
        let begun = Begun { first_byte: at, last_byte: at, size: raw.len() as u64, cut: false };
        let anomalies = std::mem::take(&mut self.odd);
        Some(raw.len() + self.read_on(head, begun, anomalies, rest, sink))
    }

    fn complete_head<S: Sink<H>>(&mut self, raw: Bytes, sink: &mut S) {
        let State::Head(partial) = std::mem::replace(&mut self.state, State::Between) else { return };
        let size = raw.len() as u64 + partial.beyond;
        let mut anomalies = std::mem::take(&mut self.odd);
        start::note_bare_lf(partial.scan.saw_bare_lf(), &mut anomalies);
        if partial.beyond > 0 {
            anomalies.insert(Anomaly::OversizedHead);
        }
        let Some(head) = H::parse(raw, &mut anomalies) else {
            self.account.stray += size;
            self.odd.insert(Anomaly::StrayBytes);
            sink.abandoned();
            self.lose(0, sink);
            return;
        };
        let Partial { first_byte, last_byte, beyond, .. } = *partial;
        self.read_on(head, Begun { first_byte, last_byte, size, cut: beyond > 0 }, anomalies, &[], sink);
    }

    /// Goes on behind a head with the bytes that follow it; says how many of them are the message's.
    #[inline]
    fn read_on<S: Sink<H>>(
        &mut self,
        head: H,
        begun: Begun,
        mut anomalies: AnomalySet,
        rest: &[u8],
        sink: &mut S,
    ) -> usize {
        self.account.head += begun.size;
        let asked = if head.is_interim() { Asked::Other } else { sink.head(&head, begun.first_byte) };
        let framing = head.framing(asked, &mut anomalies);
        if begun.cut {
            // It may be among the fields that are missing.
            anomalies = anomalies.without(Anomaly::MissingHost);
        }
        if framing == Framing::Tunnel {
            self.state = State::Tunnel;
        }
        if let Some(len) = self.merely_counted(framing, asked, rest) {
            self.account.body += len as u64;
            let completeness = if begun.cut { Completeness::Cut } else { Completeness::Complete };
            let Begun { first_byte, last_byte, .. } = begun;
            let body = Body::counted(framing, len as u64);
            sink.message(Message { head, body, first_byte, last_byte, completeness, anomalies });
            return len;
        }
        let decoder = match framing {
            Framing::None | Framing::Tunnel => Decoder::Length(0),
            Framing::Length(length) => Decoder::Length(length),
            Framing::Chunked => Decoder::CHUNKED,
            Framing::UntilClose => Decoder::UntilClose,
        };
        let mut reading = Reading {
            head,
            decoder,
            body: Collector::new(framing, self.options),
            first_byte: begun.first_byte,
            last_byte: begun.last_byte,
            anomalies,
            cut_head: begun.cut,
            doubt: (asked == Asked::Unknown).then_some(Doubt::Unasked),
            has_body: false,
        };
        // Whether there is a body, or how its framing is broken, is found out when it is read by itself.
        let used = match reading.decoder {
            Decoder::Length(_) if reading.doubt.is_none() => {
                reading.take(begun.last_byte, rest, self.store.as_deref(), sink)
            }
            _ => 0,
        };
        reading.has_body = used > 0;
        self.account.body += used as u64;
        if reading.decoder.is_done() {
            finish(reading, Completeness::Complete, sink);
        } else {
            self.state = State::Body(Box::new(reading));
        }
        used
    }

    /// How long a body is that is among the bytes at hand, all of it, and of which nothing else is asked for; `None`
    /// where a body has to be read for that.
    #[inline]
    fn merely_counted(&self, framing: Framing, asked: Asked, rest: &[u8]) -> Option<usize> {
        let len = match framing {
            Framing::None | Framing::Tunnel => 0,
            Framing::Length(len) => usize::try_from(len).ok()?,
            Framing::Chunked | Framing::UntilClose => return None,
        };
        let counted = self.options == Options::default() && asked != Asked::Unknown && len <= rest.len();
        counted.then_some(len)
    }

    fn read_body<S: Sink<H>>(&mut self, at: Timestamp, bytes: &[u8], sink: &mut S) -> usize {
        let State::Body(reading) = &mut self.state else { return bytes.len() };
        reading.has_body = true;
        if let Some(doubt) = reading.doubt.take()
            && begins_surely::<H>(bytes)
        {
            self.finish_body(doubt.outcome(), sink);
            return self.read_between(at, bytes, sink);
        }
        let used = reading.take(at, bytes, self.store.as_deref(), sink);
        self.account.body += used as u64;
        if reading.decoder.is_done() {
            self.finish_body(Completeness::Complete, sink);
        } else if reading.decoder.is_broken() {
            reading.anomalies.insert(Anomaly::InvalidChunk);
            self.finish_body(Completeness::Aborted, sink);
            self.account.torn += bytes.len().saturating_sub(used) as u64;
            self.lose(0, sink);
            return bytes.len();
        }
        used
    }

    /// A hole in a body: the message goes on where its framing is still known. Says how much of the hole is in it.
    fn hole<S: Sink<H>>(&mut self, hole: Hole, len: u64, sink: &mut S) -> u64 {
        let State::Body(reading) = &mut self.state else { return len };
        match hole {
            Hole::Within(lost) => {
                reading.body.lose(lost);
                if reading.decoder.is_done() {
                    self.finish_body(Completeness::Gap, sink);
                }
                lost
            }
            Hole::Lost => {
                reading.body.lose(len);
                self.finish_body(Completeness::Gap, sink);
                self.lose(0, sink);
                len
            }
        }
    }

    fn finish_body<S: Sink<H>>(&mut self, completeness: Completeness, sink: &mut S) {
        if let State::Body(reading) = std::mem::replace(&mut self.state, State::Between) {
            finish(*reading, completeness, sink);
        }
    }

    /// A head that will never be complete: where its start line is whole, it is told as far as it came.
    fn cut_head<S: Sink<H>>(&mut self, completeness: Completeness, sink: &mut S) {
        let State::Head(partial) = std::mem::replace(&mut self.state, State::Between) else { return };
        let size = partial.kept.len() as u64 + partial.beyond;
        let mut anomalies = std::mem::take(&mut self.odd);
        let whole_line = partial.scan.past_start_line();
        let Some(head) = Some(partial.kept)
            .filter(|_| whole_line)
            .and_then(|kept| H::parse(Bytes::from(kept), &mut anomalies))
        else {
            self.account.torn += size;
            sink.abandoned();
            return;
        };
        self.account.head += size;
        if !head.is_interim() {
            sink.head(&head, partial.first_byte);
        }
        let reading = Reading {
            head,
            decoder: Decoder::Length(0),
            body: Collector::new(Framing::None, self.options),
            first_byte: partial.first_byte,
            last_byte: partial.last_byte,
            anomalies,
            cut_head: true,
            doubt: None,
            has_body: true,
        };
        finish(reading, completeness, sink);
    }

    fn lose<S: Sink<H>>(&mut self, missing: u64, sink: &mut S) {
        self.state = State::Lost;
        sink.lost(missing);
    }

    /// Looks for a start line where one is most likely and nothing else is likely to look like one: at
    /// the very beginning of what was pushed, which is the beginning of a packet. The line may go on in the
    /// packets behind it.
    ///
    /// [`Parser::push`] does this; who hands the bytes of a packet to [`Parser::read`] does it first.
    #[inline]
    pub fn seek<S: Sink<H>>(&mut self, at: Timestamp, bytes: &[u8], sink: &mut S) {
        if self.is_lost() {
            self.find(at, bytes, sink);
        }
    }

    fn find<S: Sink<H>>(&mut self, at: Timestamp, bytes: &[u8], sink: &mut S) {
        let cut = self.cut_line.take();
        if begins_surely::<H>(bytes) {
            return self.begin(at, 0, sink);
        }
        let whole = memchr::memchr(b'\n', bytes).is_some();
        let Some(mut cut) = cut.filter(|cut| cut.bytes.len() + bytes.len() <= CUT_LINE) else {
            if !whole && bytes.len() <= CUT_LINE && H::plausible(prefix(bytes)) != Plausible::No {
                self.cut_line = Some(Box::new(CutLine { at, bytes: bytes.to_vec() }));
            }
            return;
        };
        let before = cut.bytes.len();
        cut.bytes.extend_from_slice(bytes);
        if whole && begins_surely::<H>(&cut.bytes) {
            self.account.torn -= before as u64;
            self.begin(cut.at, before, sink);
            self.read_head(cut.at, cut.bytes.get(..before).unwrap_or_default(), sink);
        } else if !whole {
            self.cut_line = Some(cut);
        }
    }
}

fn finish<H, S: Sink<H>>(reading: Reading<H>, completeness: Completeness, sink: &mut S) {
    let Reading { head, decoder, body, first_byte, last_byte, mut anomalies, cut_head, .. } = reading;
    anomalies.extend(decoder.odd());
    if body.is_oversized() {
        anomalies.insert(Anomaly::OversizedBody);
    }
    let completeness = match completeness {
        Completeness::Complete if body.has_hole() => Completeness::Gap,
        Completeness::Complete if cut_head => Completeness::Cut,
        other => other,
    };
    sink.message(Message { head, body: body.finish(), first_byte, last_byte, completeness, anomalies });
}

/// Counts all of `bytes`.
fn count(place: &mut u64, bytes: &[u8]) -> usize {
    *place += bytes.len() as u64;
    bytes.len()
}

impl Decoder {
    fn is_broken(&self) -> bool {
        matches!(self, Self::Chunked(chunked) if chunked.place == Place::Broken)
    }
}

#[cfg(test)]
mod tests;
