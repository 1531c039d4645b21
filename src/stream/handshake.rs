//! A connection before its first payload: what little must be kept of millions of them.

use super::reassembler::Reassembler;
use super::slots::Side;
use super::{Roles, slots::Endpoints};
use crate::time::Timestamp;
use crate::wire::{Flags, Segment, SeqNumber};

/// What was seen of one side.
#[derive(Clone, Copy, Debug, Default)]
struct Half {
    seen: bool,
    /// It sent the last segment of the handshake (RFC 9293, section 3.5), before anything else: what that acknowledges
    /// is where the other side begins. A segment with payload tells less: it may be sent again, and acknowledge more.
    greeted: bool,
    /// What its SYN acknowledged, when that answered another one.
    answered: Option<SeqNumber>,
    /// The number of its SYN.
    syn: Option<SeqNumber>,
    /// What it acknowledged first.
    acked: Option<SeqNumber>,
    /// The number of its FIN.
    fin: Option<SeqNumber>,
}

/// A connection, or an attempt at one, that has carried no payload.
#[derive(Clone, Copy, Debug)]
pub(super) struct Handshake {
    pub(super) opened: Timestamp,
    pub(super) instance: u32,
    halves: [Half; 2],
    /// Who sent the first SYN that answered none.
    caller: Option<Side>,
}

impl Handshake {
    pub(super) fn new(opened: Timestamp, instance: u32) -> Self {
        Self { opened, instance, halves: [Half::default(); 2], caller: None }
    }

    /// Whether `segment` asks for a connection other than this one: a SYN with another number than the
    /// one that its sender was seen to send.
    pub(super) fn is_other_than(&self, segment: &Segment<'_>, side: Side) -> bool {
        segment.flags.contains(Flags::SYN)
            && !segment.flags.contains(Flags::ACK)
            && self.first_number(side).is_some_and(|first| first != segment.seq.advance(1))
    }

    /// Takes a segment without payload.
    pub(super) fn note(&mut self, segment: &Segment<'_>, side: Side) {
        let flags = segment.flags;
        let half = &mut self.halves[side.index()];
        if flags.contains(Flags::RST) {
            return;
        }
        half.seen = true;
        if flags.contains(Flags::ACK) && half.acked.is_none() {
            half.acked = Some(segment.ack);
            half.greeted = segment.is_mere_ack() && half.syn.is_some_and(|syn| syn.advance(1) == segment.seq);
        }
        if flags.contains(Flags::SYN) {
            half.syn = Some(segment.seq);
            if flags.contains(Flags::ACK) {
                half.answered = Some(segment.ack);
            } else if self.caller.is_none() {
                self.caller = Some(side);
            }
        } else if flags.contains(Flags::FIN) {
            half.fin = Some(segment.seq);
        }
    }

    /// The number of the first byte of a side, where the handshake tells.
    pub(super) fn first_number(&self, side: Side) -> Option<SeqNumber> {
        let (own, other) = (&self.halves[side.index()], &self.halves[side.other().index()]);
        own.syn.map(|syn| syn.advance(1)).or(other.answered)
    }

    /// Whether it tells where both sides begin; of a side whose SYN is missing, or late, the other's greeting does.
    pub(super) fn tells_beginnings(&self) -> bool {
        let greeted = |side: Side| self.halves[side.index()].greeted;
        [Side::Low, Side::High].iter().all(|&side| self.first_number(side).is_some() || greeted(side.other()))
    }

    pub(super) fn was_seen(&self, side: Side) -> bool {
        self.halves[side.index()].seen
    }

    /// The number of a side's FIN, if it closed before any payload was captured.
    pub(super) fn fin(&self, side: Side) -> Option<SeqNumber> {
        self.halves[side.index()].fin
    }

    /// Whether a SYN of either side was captured.
    pub(super) fn began(&self) -> bool {
        self.halves.iter().any(|half| half.syn.is_some())
    }

    /// A reassembler for a side's stream.
    pub(super) fn reassembler(&self, side: Side) -> Reassembler {
        let acked = self.halves[side.other().index()].acked;
        self.first_number(side).map_or_else(|| Reassembler::from_middle(acked), Reassembler::from_start)
    }

    /// Which side is the client. The side that sent a SYN, or whose SYN was answered, is; of two that
    /// both called (simultaneous open) the first. Without a handshake, a port of the ephemeral range
    /// against one below it tells (RFC 6335, section 6: from 49152; Linux: from 32768), and else
    /// `speaker`, the side that sends the first payload.
    pub(super) fn client(&self, endpoints: &Endpoints, speaker: Side) -> (Side, Roles) {
        let answered = |side: Side| self.halves[side.index()].answered.is_some();
        match self.caller {
            Some(side) => (side, Roles::Certain),
            None if answered(Side::High) => (Side::Low, Roles::Certain),
            None if answered(Side::Low) => (Side::High, Roles::Certain),
            None => (guess(endpoints).unwrap_or(speaker), Roles::Guessed),
        }
    }
}

/// The side with the ephemeral port, if just one has it.
fn guess(endpoints: &Endpoints) -> Option<Side> {
    let is_ephemeral = |side| endpoints.address(side).port() >= 32768;
    match (is_ephemeral(Side::Low), is_ephemeral(Side::High)) {
        (true, false) => Some(Side::Low),
        (false, true) => Some(Side::High),
        _ => None,
    }
}
