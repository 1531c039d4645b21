//! One direction of a connection: segments in the order of capture become chunks in the order of the
//! stream.
//!
//! ```text
//!   start          next        acked            horizon
//!     │ handed on    │ hole      │  hole          │
//!   ──┴──────────────┼───────▒▒▒▒┼──────▒▒▒▒▒▒▒───┼────▒▒▒── far
//!                    └ lost, once the wait is over │     └ dropped, unless it is confirmed
//! ```
//!
//! Invariants: every byte before `next` was handed on or declared a gap, once; every held piece starts at
//! or behind `next`, and a piece at `next` is only held while it waits for the other direction.
//!
//! **Holes.** A hole is filled when its bytes arrive. It is lost when the other side's acknowledgement
//! covers it and [`PROOF`] has passed: not at once, since a capture of several queues or interfaces may
//! show an acknowledgement ahead of the data. Without any sign of the other side a hole is lost after
//! [`SILENCE`], the time in which a sender would have repeated it. It is also lost when more than
//! [`HELD_MEMORY`] waits behind it, and at the end.
//!
//! **Order between the directions.** A piece is handed on when all that its segment acknowledges of the
//! other direction has been, so that a request comes before its response.
//!
//! **Far segments.** One that starts more than [`WINDOW`] ahead of all that is known is held, but believed
//! only when an acknowledgement or the third of a row of such segments confirms that the stream really
//! went there (the capture lost what lies between); else it was injected, and is dropped and counted.

use std::time::Duration;

use super::held::{Held, Inserted, Run};
use super::recent::Recent;
use super::{ByteAccount, Chunk, End};
use crate::anomaly::Anomaly;
use crate::time::Timestamp;
use crate::wire::SeqNumber;

/// How far ahead of the known stream a segment is believed without confirmation, and how far behind it
/// one passes for a repeat, in bytes. Linux lets a receive buffer grow to 6 MiB by default (`tcp_rmem`).
pub(super) const WINDOW: u64 = 8 << 20;
/// The furthest that an acknowledgement can be ahead: the largest window there is (RFC 7323, section 2.3).
const LARGEST_WINDOW: u64 = 1 << 30;
/// What may be held behind a hole, in bytes of memory.
const HELD_MEMORY: u64 = 16 << 20;
/// How many far segments in a row confirm each other.
const CONFIRMING: u8 = 3;
/// Where positions start, so that there is room for what comes before the first segment seen.
const ORIGIN: u64 = 1 << 32;

/// How long something is waited for: in packet time, and in segments of the connection.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Patience {
    pub(super) time: Duration,
    pub(super) segments: u32,
}

/// For bytes that must have been sent already. Queues of a network card and interfaces of a host are
/// captured at most some milliseconds apart.
pub(super) const PROOF: Patience = Patience { time: Duration::from_millis(100), segments: 128 };
/// For bytes that the sender may repeat: three times the first retransmission timeout (RFC 6298).
pub(super) const SILENCE: Patience = Patience { time: Duration::from_secs(3), segments: u32::MAX };

/// Where a reassembler's chunks go.
pub(super) trait Output {
    /// The next piece of the stream.
    fn chunk(&mut self, chunk: Chunk<'_>);
    /// Something odd.
    fn note(&mut self, anomaly: Anomaly);
    /// The account of this direction.
    fn account(&mut self) -> &mut ByteAccount;
}

/// A segment, as far as the stream of its sender is concerned.
#[derive(Clone, Copy, Debug)]
pub(super) struct Arrival<'p> {
    pub(super) at: Timestamp,
    /// The number of the first payload byte (behind the SYN, where there is one).
    pub(super) seq: SeqNumber,
    /// What it acknowledges of the other direction.
    pub(super) ack: Option<SeqNumber>,
    pub(super) payload: &'p [u8],
    pub(super) cut: u32,
    pub(super) fin: bool,
}

impl Arrival<'_> {
    fn carries_nothing(&self) -> bool {
        self.payload.is_empty() && self.cut == 0 && !self.fin
    }
}

/// What is known of the other direction when a segment or its acknowledgement is judged.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Other {
    /// Whether any segment of it was captured.
    pub(super) seen: bool,
    /// How far it has been handed on; `None` while nothing of it is expected.
    pub(super) cleared: Option<SeqNumber>,
}

impl Other {
    fn blocks(self, needs: Option<SeqNumber>) -> bool {
        match (needs, self.cleared) {
            (Some(needs), Some(cleared)) => {
                self.seen && ahead(needs, cleared).is_some_and(|n| n > 0 && n <= LARGEST_WINDOW)
            }
            _ => false,
        }
    }
}

/// How far `seq` lies ahead of `origin`, if it does not lie behind.
fn ahead(seq: SeqNumber, origin: SeqNumber) -> Option<u64> {
    u64::try_from(seq.distance_from(origin)).ok()
}

/// The number `n` bytes behind `seq`: numbers wrap, positions do not.
#[allow(clippy::cast_possible_truncation, reason = "sequence numbers are positions modulo 2^32")]
const fn after(seq: SeqNumber, n: u64) -> SeqNumber {
    seq.advance(n as u32)
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Phase {
    /// The capture came into the middle, and nothing was seen of this direction yet, except perhaps
    /// what the other side acknowledged.
    Unanchored { acked: Option<SeqNumber> },
    /// The capture came into the middle, and earlier segments may yet turn up.
    Settling,
    /// The place in the stream is known.
    Running,
    /// The end was handed on.
    Ended(End),
}

#[derive(Clone, Copy, Debug)]
struct Wait {
    since: Timestamp,
    segments: u32,
    /// The position that could not be passed when the wait began.
    next: u64,
}

/// One direction of a connection.
#[derive(Debug)]
pub(super) struct Reassembler {
    next_seq: SeqNumber,
    phase: Phase,
    /// Whether the start of the stream was seen.
    whole: bool,
    /// Whether the one number missing at the end seems to be that of a FIN that was not captured.
    presumed_fin: bool,
    far_count: u8,
    start: u64,
    next: u64,
    /// The end of what the other side acknowledged.
    acked: u64,
    /// Holes up to here are gaps.
    lost_to: u64,
    fin: Option<u64>,
    held: Held,
    recent: Recent,
    latest_gap: (u64, u64),
    far_end: u64,
    confirmed: u64,
    wait: Option<Wait>,
}

impl Reassembler {
    fn new(phase: Phase, next_seq: SeqNumber, whole: bool) -> Self {
        Self {
            next_seq,
            phase,
            whole,
            presumed_fin: false,
            far_count: 0,
            start: ORIGIN,
            next: ORIGIN,
            acked: ORIGIN,
            lost_to: ORIGIN,
            fin: None,
            held: Held::default(),
            recent: Recent::default(),
            latest_gap: (0, 0),
            far_end: 0,
            confirmed: 0,
            wait: None,
        }
    }

    /// A direction whose first byte is known to have the number `first`.
    pub(super) fn from_start(first: SeqNumber) -> Self {
        Self::new(Phase::Running, first, true)
    }

    /// A direction that the capture comes into the middle of. `acked`: what the other side was seen to
    /// acknowledge.
    pub(super) fn from_middle(acked: Option<SeqNumber>) -> Self {
        Self::new(Phase::Unanchored { acked }, SeqNumber::default(), false)
    }

    /// Whether the end was handed on.
    pub(super) fn has_ended(&self) -> bool {
        matches!(self.phase, Phase::Ended(_))
    }

    /// Whether the place in the stream is known.
    pub(super) fn is_anchored(&self) -> bool {
        !matches!(self.phase, Phase::Unanchored { .. })
    }

    /// Whether a SYN that makes `first` the number of the first byte may belong to this stream: its place
    /// is not settled, and nothing that was seen lies before that byte or far behind it.
    pub(super) fn could_start_at(&self, first: SeqNumber) -> bool {
        match self.phase {
            Phase::Unanchored { acked } => {
                acked.is_none_or(|acked| ahead(acked, first).is_some_and(|n| n <= WINDOW))
            }
            Phase::Settling => {
                let offset = self.next.saturating_add_signed(i64::from(first.distance_from(self.next_seq)));
                let seen = self.held.first().map_or(self.next, |(offset, _)| offset);
                offset <= seen && offset + WINDOW >= seen
            }
            Phase::Running | Phase::Ended(_) => false,
        }
    }

    /// The number of the first byte is `first` after all.
    pub(super) fn start_at(&mut self, first: SeqNumber) {
        let moved = i64::from(first.distance_from(self.next_seq));
        if let Phase::Unanchored { acked } = self.phase {
            *self = Self::from_start(first);
            if let Some(acked) = acked {
                self.acknowledge(acked);
            }
        } else {
            self.next = self.next.saturating_add_signed(moved);
            (self.start, self.next_seq) = (self.next, first);
            (self.phase, self.whole) = (Phase::Running, true);
        }
    }

    /// Whether bytes are held back.
    pub(super) fn holds(&self) -> bool {
        !self.held.is_empty()
    }

    /// Bytes of memory in use for held segments.
    pub(super) fn memory(&self) -> u64 {
        self.held.memory()
    }

    /// The number of the next byte to hand on.
    pub(super) fn next_seq(&self) -> Option<SeqNumber> {
        self.is_anchored().then_some(self.next_seq)
    }

    /// How far the other direction may rely on this one, for [`Other::cleared`].
    pub(super) fn cleared(&self) -> Option<SeqNumber> {
        match self.phase {
            Phase::Unanchored { .. } | Phase::Ended(_) => None,
            _ => Some(self.next_seq.advance(u32::from(self.presumed_fin))),
        }
    }

    /// Whether a segment at `seq` lies where the receiver could have expected one.
    pub(super) fn is_near(&self, seq: SeqNumber) -> bool {
        !self.is_anchored() || u64::from(seq.distance_from(self.next_seq).unsigned_abs()) <= WINDOW
    }

    /// Takes a segment of this direction.
    #[inline]
    pub(super) fn push(&mut self, segment: &Arrival<'_>, other: Other, out: &mut impl Output) {
        out.account().payload += segment.payload.len() as u64;
        let plain = segment.cut == 0 && !segment.fin && self.fin.is_none();
        if plain && self.is_next(segment.seq, segment.ack, other) {
            if !segment.payload.is_empty() {
                self.deliver(segment.at, segment.payload, out);
            }
        } else if !segment.carries_nothing() {
            self.push_uncommon(segment, other, out);
        }
    }

    /// Whether bytes at `seq` can be handed on at once.
    #[inline]
    fn is_next(&self, seq: SeqNumber, needs: Option<SeqNumber>, other: Other) -> bool {
        seq == self.next_seq && self.phase == Phase::Running && self.held.is_empty() && !other.blocks(needs)
    }

    fn push_uncommon(&mut self, segment: &Arrival<'_>, other: Other, out: &mut impl Output) {
        let len = segment.payload.len() as u64;
        match self.phase {
            Phase::Ended(end) => return self.push_after_end(segment, end, out),
            Phase::Unanchored { acked } => self.anchor(segment, acked),
            Phase::Running if self.is_probe(segment) => {
                out.account().keep_alive += len;
                return;
            }
            Phase::Running | Phase::Settling => {}
        }
        let Some(run) = self.locate(segment, out) else { return };
        if segment.fin {
            self.note_fin(run.reaches());
        }
        let Some(run) = self.clip(run, out) else { return self.drain(other, 0, out) };
        if self.is_next(segment.seq, segment.ack, other) && run.bytes.len() == segment.payload.len() {
            self.lost_to = self.lost_to.max(run.reaches());
            self.deliver(run.at, run.bytes, out);
        } else {
            self.hold(&run, out);
        }
        self.drain(other, 0, out);
        self.keep_within_budget(other, out);
    }

    /// Finds the place in the stream by its first segment.
    fn anchor(&mut self, segment: &Arrival<'_>, acked: Option<SeqNumber>) {
        match acked {
            // What lies between is in flight: late, or lost.
            Some(acked) if ahead(segment.seq, acked).is_some_and(|n| n <= WINDOW) => {
                self.next_seq = acked;
                self.phase = Phase::Running;
            }
            _ => {
                self.next_seq = segment.seq;
                self.phase = Phase::Settling;
                if let Some(acked) = acked {
                    self.acknowledge(acked);
                }
            }
        }
    }

    /// A keep-alive probe repeats the number before the next one, with one byte that means nothing, or
    /// with none (RFC 9293, section 3.8.4).
    fn is_probe(&self, segment: &Arrival<'_>) -> bool {
        segment.seq.advance(1) == self.next_seq
            && segment.payload.len() <= 1
            && segment.cut == 0
            && !segment.fin
    }

    fn push_after_end(&self, segment: &Arrival<'_>, end: End, out: &mut impl Output) {
        let len = segment.payload.len() as u64;
        let past = i128::from(segment.seq.distance_from(self.next_seq)) + segment.payload.len() as i128;
        if self.is_probe(segment) {
            out.account().keep_alive += len;
        } else if past <= 0 {
            out.account().duplicate += len;
        } else {
            out.account().after_end += len;
            match end {
                End::Fin => out.note(Anomaly::DataAfterFin),
                End::Reset => out.note(Anomaly::DataAfterReset),
                End::Idle => {}
            }
        }
    }

    /// The position of a segment; `None`, counted, when it lies behind all that can be a repeat.
    fn locate<'p>(&mut self, segment: &Arrival<'p>, out: &mut impl Output) -> Option<Run<'p>> {
        let ahead = i64::from(segment.seq.distance_from(self.next_seq));
        let offset = self.next.saturating_add_signed(ahead);
        if offset + WINDOW < self.next || (self.whole && offset < self.start) {
            out.account().out_of_window += segment.payload.len() as u64;
            out.note(Anomaly::OutOfWindow);
            return None;
        }
        let run = Run {
            at: segment.at,
            needs: segment.ack,
            offset,
            bytes: segment.payload,
            cut: u64::from(segment.cut),
        };
        self.judge_distance(&run);
        Some(run)
    }

    /// Counts far segments that follow one another.
    fn judge_distance(&mut self, run: &Run<'_>) {
        if run.offset <= self.horizon() {
            self.far_count = 0;
            self.confirmed = self.confirmed.max(run.offset);
            return;
        }
        let follows = run.offset >= self.far_end && run.offset - self.far_end <= WINDOW;
        self.far_count = if follows { self.far_count + 1 } else { 1 };
        self.far_end = run.reaches();
        if self.far_count >= CONFIRMING {
            self.confirmed = run.offset;
            self.far_count = 0;
        }
    }

    /// How far the stream is believed to reach.
    fn horizon(&self) -> u64 {
        self.next.max(self.acked).max(self.confirmed) + WINDOW
    }

    fn note_fin(&mut self, position: u64) {
        if self.fin.is_none() && position >= self.next && position <= self.horizon() {
            self.fin = Some(position);
        }
    }

    /// What of `run` is neither a repeat of what was handed on nor beyond the FIN.
    fn clip<'p>(&mut self, mut run: Run<'p>, out: &mut impl Output) -> Option<Run<'p>> {
        if run.offset < self.next && self.phase == Phase::Running {
            let old = usize::try_from(self.next - run.offset).unwrap_or(usize::MAX).min(run.bytes.len());
            let (repeat, rest) = run.bytes.split_at(old);
            self.count_repeat(run.offset, repeat, rest.is_empty(), out);
            let cut = run.reaches().saturating_sub(self.next.max(run.end()));
            run = Run { offset: self.next, bytes: rest, cut, ..run };
        }
        if let Some(fin) = self.fin
            && run.reaches() > fin
        {
            let inside = usize::try_from(fin.saturating_sub(run.offset)).unwrap_or(usize::MAX);
            let (before, beyond) = run.bytes.split_at(inside.min(run.bytes.len()));
            out.account().after_end += beyond.len() as u64;
            out.note(Anomaly::DataAfterFin);
            run = Run { bytes: before, cut: run.cut.min(fin.saturating_sub(run.end())), ..run };
        }
        (!run.bytes.is_empty() || run.cut > 0).then_some(run)
    }

    fn count_repeat(&self, offset: u64, bytes: &[u8], entire: bool, out: &mut impl Output) {
        let len = bytes.len() as u64;
        let (from, to) = self.latest_gap;
        let late = (offset + len).min(to.max(self.start)).saturating_sub(offset.max(from));
        let late = if offset < self.start { len } else { late };
        let account = out.account();
        account.late += late;
        account.duplicate += len - late;
        if entire && late == 0 && self.recent.contradicts(offset, bytes) {
            account.conflicting += len;
            out.note(Anomaly::ConflictingOverlap);
        }
    }

    fn hold(&mut self, run: &Run<'_>, out: &mut impl Output) {
        let Inserted { new, duplicate, conflicting } = self.held.insert(run);
        let account = out.account();
        account.held += new;
        account.duplicate += duplicate;
        account.conflicting += conflicting;
        if conflicting > 0 {
            out.note(Anomaly::ConflictingOverlap);
        }
    }

    #[inline]
    fn deliver(&mut self, at: Timestamp, bytes: &[u8], out: &mut impl Output) {
        self.recent.remember(self.next, bytes);
        self.advance(bytes.len() as u64);
        self.presumed_fin = false;
        out.account().delivered += bytes.len() as u64;
        out.chunk(Chunk::Data { at, bytes });
    }

    fn advance(&mut self, n: u64) {
        self.next += n;
        self.next_seq = after(self.next_seq, n);
    }

    fn lose(&mut self, len: u64, out: &mut impl Output) {
        self.latest_gap = (self.next, self.next + len);
        self.advance(len);
        self.presumed_fin = false;
        out.account().lost += len;
        out.note(Anomaly::StreamGap);
        out.chunk(Chunk::Gap { len });
    }

    /// Hands on what can be, held pieces before `force_to` also when they should wait for the other
    /// direction.
    pub(super) fn drain(&mut self, other: Other, force_to: u64, out: &mut impl Output) {
        if self.phase != Phase::Running {
            return;
        }
        loop {
            let first = self.held.first().map(|(offset, piece)| (offset, piece.needs));
            match first {
                Some((offset, needs)) if offset <= self.next => {
                    if other.blocks(needs) {
                        if offset >= force_to {
                            return;
                        }
                        self.held.split_first(force_to);
                    }
                    self.deliver_first(out);
                }
                _ => {
                    let end = self.fin.unwrap_or(u64::MAX).min(first.map_or(u64::MAX, |(offset, _)| offset));
                    let reach = self.lost_to.min(end);
                    if reach <= self.next {
                        break;
                    }
                    self.lose(reach - self.next, out);
                }
            }
        }
        if self.fin == Some(self.next) {
            self.end(End::Fin, out);
        }
    }

    /// What of the other direction the next bytes wait for.
    pub(super) fn awaits(&self) -> Option<SeqNumber> {
        let (offset, piece) = self.held.first()?;
        if offset <= self.next { piece.needs } else { None }
    }

    /// Hands on what of the first piece comes before `seq` without waiting for the other direction, which
    /// itself waits for just that: a repeat that was cut anew joins old bytes with newer ones, and its
    /// acknowledgement is that of the newer ones.
    pub(super) fn drain_to(&mut self, seq: SeqNumber, other: Other, out: &mut impl Output) {
        let position = self.next + ahead(seq, self.next_seq).unwrap_or(0);
        let joined = self.held.first().is_some_and(|(at, piece)| at + piece.bytes.len() as u64 > position);
        if joined {
            self.drain(other, position, out);
        }
    }

    fn deliver_first(&mut self, out: &mut impl Output) {
        if let Some((_, piece)) = self.held.pop_first() {
            out.account().held -= piece.bytes.len() as u64;
            self.lost_to = self.lost_to.max(piece.reaches);
            if !piece.bytes.is_empty() {
                self.deliver(piece.at, &piece.bytes, out);
            }
        }
    }

    fn end(&mut self, end: End, out: &mut impl Output) {
        let left = std::mem::take(&mut self.held).bytes();
        out.account().held -= left;
        out.account().after_end += left;
        if end == End::Fin {
            self.next_seq = self.next_seq.advance(1);
        }
        self.phase = Phase::Ended(end);
        self.wait = None;
        out.chunk(Chunk::End(end));
    }

    /// The other side acknowledges all before `ack`.
    #[inline]
    pub(super) fn acknowledge(&mut self, ack: SeqNumber) {
        match &mut self.phase {
            Phase::Unanchored { acked } => {
                *acked = Some(acked.filter(|known| ahead(*known, ack).is_some()).unwrap_or(ack));
            }
            Phase::Ended(_) => {}
            Phase::Settling | Phase::Running => match ahead(ack, self.next_seq) {
                Some(n) if n <= LARGEST_WINDOW => self.acked = self.acked.max(self.next + n),
                _ => {}
            },
        }
    }

    /// What has to be waited for, if anything.
    #[inline]
    fn pending(&self, other_seen: bool) -> Option<Patience> {
        match self.phase {
            Phase::Settling => Some(PROOF),
            Phase::Running if self.acked > self.next + u64::from(self.presumed_fin) => Some(PROOF),
            Phase::Running if !other_seen && !self.held.is_empty() => Some(SILENCE),
            _ => None,
        }
    }

    /// Starts, goes on with, or ends a wait, at a segment of either direction captured `now`. Returns
    /// until when something is waited for.
    #[inline]
    pub(super) fn keep_waiting(&mut self, now: Timestamp, other_seen: bool) -> Option<Timestamp> {
        let Some(patience) = self.pending(other_seen) else {
            self.wait = None;
            return None;
        };
        let next = self.next;
        let wait = self.wait.take().filter(|wait| wait.next == next);
        let wait = wait.unwrap_or(Wait { since: now, segments: 0, next });
        self.wait = Some(Wait { segments: wait.segments.saturating_add(1), ..wait });
        Some(wait.since + patience.time)
    }

    /// Whether the wait has been long enough.
    pub(super) fn is_overdue(&self, now: Timestamp, other_seen: bool) -> bool {
        match (self.wait, self.pending(other_seen)) {
            (Some(wait), Some(patience)) => {
                now.since(wait.since) >= patience.time || wait.segments > patience.segments
            }
            _ => false,
        }
    }

    /// The wait is over: what was waited for is lost.
    pub(super) fn give_up_waiting(&mut self, other: Other, out: &mut impl Output) {
        self.wait = None;
        self.settle(out);
        if self.misses_only_a_fin() {
            self.presumed_fin = true;
        } else if self.acked > self.next {
            self.lost_to = self.lost_to.max(self.acked);
        } else if let Some((offset, _)) = self.held.first()
            && !other.seen
            && offset <= self.horizon()
        {
            self.lost_to = self.lost_to.max(offset);
        }
        self.drain(other, self.acked, out);
    }

    /// One number is acknowledged and missing, and nothing is known to follow it: a FIN has a number too.
    fn misses_only_a_fin(&self) -> bool {
        self.acked == self.next + 1 && self.held.is_empty() && self.fin.is_none()
    }

    /// Begins with the earliest segment that has turned up. A single byte that nothing followed is taken
    /// for a keep-alive probe, which repeats a byte that was sent before.
    fn settle(&mut self, out: &mut impl Output) {
        if self.phase != Phase::Settling {
            return;
        }
        let mut first = self.held.first().map(|(offset, _)| offset).or(self.fin).unwrap_or(self.next);
        if self.held.bytes() == 1 && self.fin.is_none() && self.held.pop_first().is_some() {
            out.account().held -= 1;
            out.account().keep_alive += 1;
            first += 1;
        }
        self.next_seq = after(self.next_seq, first.wrapping_sub(self.next));
        self.next = first;
        self.start = first;
        self.phase = Phase::Running;
    }

    fn keep_within_budget(&mut self, other: Other, out: &mut impl Output) {
        if self.held.memory() <= HELD_MEMORY {
            return;
        }
        self.settle(out);
        self.drop_far(out);
        while let Some((offset, _)) = self.held.first()
            && self.held.memory() > HELD_MEMORY
        {
            self.lost_to = self.lost_to.max(offset);
            self.drain(other, offset + 1, out);
        }
    }

    fn drop_far(&mut self, out: &mut impl Output) {
        let dropped = self.held.drop_beyond(self.horizon());
        if dropped > 0 {
            out.account().held -= dropped;
            out.account().out_of_window += dropped;
            out.note(Anomaly::OutOfWindow);
        }
    }

    /// Nothing more will come: hands on what is held, the holes as gaps, and the end, `end` unless a FIN
    /// was seen or acknowledged.
    pub(super) fn finish(&mut self, end: End, out: &mut impl Output) {
        let other = Other { seen: false, cleared: None };
        self.settle(out);
        if self.phase == Phase::Running {
            self.drop_far(out);
            self.lost_to = self.lost_to.max(self.held.end().unwrap_or(0));
            self.drain(other, u64::MAX, out);
        }
        if self.phase == Phase::Running {
            self.presumed_fin |= self.misses_only_a_fin();
            if !self.presumed_fin {
                self.lost_to = self.lost_to.max(self.acked).max(self.fin.unwrap_or(0));
                self.drain(other, u64::MAX, out);
            }
        }
        if !self.has_ended() {
            self.end(if self.presumed_fin { End::Fin } else { end }, out);
        }
    }
}
