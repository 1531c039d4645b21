//! Bodies: from the end of a head to the last byte of the message.

use bytes::Bytes;

use super::body::{Decoder, Hole, Piece, Place};
use super::collect::{self, Collector};
use super::heads::Begun;
use super::{Asked, Head, Parser, Sink, State, begins_surely};
use crate::anomaly::{Anomaly, AnomalySet};
use crate::http::{Body, BodyKeep, BodyStore, Completeness, Framing, Message};
use crate::time::Timestamp;

/// A message whose body is being read.
pub(super) struct Reading<H> {
    pub(super) head: H,
    pub(super) decoder: Decoder,
    pub(super) body: Collector,
    pub(super) first_byte: Timestamp,
    pub(super) last_byte: Timestamp,
    pub(super) anomalies: AnomalySet,
    /// Part of the head is missing.
    pub(super) cut_head: bool,
    /// Whether its body comes is not known, and no byte of it was seen.
    pub(super) doubt: Option<Doubt>,
    /// A byte of the body was seen.
    pub(super) has_body: bool,
}

/// Why a body that the head announces may not come.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Doubt {
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
    /// Goes on behind a head with the bytes that follow it; says how many of them are the message's.
    #[inline]
    pub(super) fn read_on<S: Sink<H>>(
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
        if let Some((len, body)) = self.at_hand(framing, asked, rest) {
            self.account.body += len as u64;
            let completeness = if begun.cut { Completeness::Cut } else { Completeness::Complete };
            let Begun { first_byte, last_byte, .. } = begun;
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

    /// A body that is among the bytes at hand, all of it, with its length, where it is counted or kept as it is; `None`
    /// where it has to be read to know.
    #[inline]
    fn at_hand(&self, framing: Framing, asked: Asked, rest: &[u8]) -> Option<(usize, Body)> {
        let len = match framing {
            Framing::None | Framing::Tunnel => 0,
            Framing::Length(len) => usize::try_from(len).ok()?,
            Framing::Chunked | Framing::UntilClose => return None,
        };
        let bytes = rest.get(..len).filter(|_| asked != Asked::Unknown && !self.options.hash)?;
        let entity = match self.options.keep {
            BodyKeep::Nothing => None,
            BodyKeep::UpTo(limit) if len <= limit => Some(Bytes::copy_from_slice(bytes)),
            BodyKeep::UpTo(_) => return None,
        };
        Some((len, Body { entity, ..Body::counted(framing, len as u64) }))
    }

    pub(super) fn read_body<S: Sink<H>>(&mut self, at: Timestamp, bytes: &[u8], sink: &mut S) -> usize {
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
    pub(super) fn hole<S: Sink<H>>(&mut self, hole: Hole, len: u64, sink: &mut S) -> u64 {
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

    pub(super) fn finish_body<S: Sink<H>>(&mut self, completeness: Completeness, sink: &mut S) {
        if let State::Body(reading) = std::mem::replace(&mut self.state, State::Between) {
            finish(*reading, completeness, sink);
        }
    }
}

pub(super) fn finish<H, S: Sink<H>>(reading: Reading<H>, completeness: Completeness, sink: &mut S) {
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

impl Decoder {
    fn is_broken(&self) -> bool {
        matches!(self, Self::Chunked(chunked) if chunked.place == Place::Broken)
    }
}
