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
//! **Holes.** A hole is filled when its bytes arrive. It is lost once it has been waited for long enough
//! ([`waiting`]), when more than [`HELD_MEMORY`] waits behind it, and at the end.
//!
//! **Order between the directions.** A piece is handed on when all that its segment acknowledges of the
//! other direction has been, so that a request comes before its response. A repeat acknowledges more than
//! the first copy of its bytes did, so of several copies the one that asks for least is believed.
//!
//! **Belief.** Segments and acknowledgements may be forged; which are believed is told in [`belief`].

mod belief;
mod waiting;

use self::belief::Row;
use self::waiting::Wait;
pub(super) use self::waiting::{Onlooker, PROOF};
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
/// Where positions start, so that there is room for what comes before the first segment seen.
const ORIGIN: u64 = 1 << 32;

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
    #[inline]
    pub(super) fn carries_nothing(&self) -> bool {
        self.payload.is_empty() && self.cut == 0 && !self.fin
    }
}

/// What is known of the other direction when a segment or its acknowledgement is judged.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Other {
    /// Whether any segment of it was captured.
    pub(super) seen: bool,
    /// How far it has been handed on; `None` while its place is not settled.
    pub(super) told: Option<SeqNumber>,
    /// How far it may be relied on; `None` while nothing of it is expected.
    pub(super) cleared: Option<SeqNumber>,
    /// What it waits for: how far this direction must go for its next bytes to follow.
    pub(super) awaits: Option<SeqNumber>,
}

impl Other {
    /// How far `ack` lies ahead of what was handed on, for [`Chunk::Data`].
    #[inline]
    fn lead(self, ack: Option<SeqNumber>) -> Option<i32> {
        Some(ack?.distance_from(self.told?))
    }

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
    /// what the other side acknowledged, first and last.
    Unanchored { acked: Option<(SeqNumber, SeqNumber)> },
    /// The capture came into the middle, and earlier segments may yet turn up.
    Settling,
    /// The place in the stream is known.
    Running,
    /// The end was handed on.
    Ended(End),
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
    start: u64,
    next: u64,
    /// The end of what the other side acknowledged, as far as that is believed.
    acked: u64,
    /// Acknowledgements below `acked` while that lies ahead of the stream.
    doubts: Row,
    /// Acknowledgements that lie far ahead.
    far_acks: Row,
    /// Holes up to here are gaps.
    lost_to: u64,
    fin: Option<u64>,
    held: Held,
    recent: Recent,
    latest_gap: (u64, u64),
    /// Segments that lie far ahead.
    far: Row,
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
            start: ORIGIN,
            next: ORIGIN,
            acked: ORIGIN,
            doubts: Row::default(),
            far_acks: Row::default(),
            lost_to: ORIGIN,
            fin: None,
            held: Held::default(),
            recent: Recent::default(),
            latest_gap: (0, 0),
            far: Row::default(),
            confirmed: 0,
            wait: None,
        }
    }

    /// A direction whose first byte is known to have the number `first`.
    pub(super) fn from_start(first: SeqNumber) -> Self {
        Self::new(Phase::Running, first, true)
    }

    /// A direction that the capture comes into the middle of. `acked`: what the other side was seen to
    /// acknowledge first.
    pub(super) fn from_middle(acked: Option<SeqNumber>) -> Self {
        Self::new(Phase::Unanchored { acked: acked.map(|first| (first, first)) }, SeqNumber::default(), false)
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
                acked.is_none_or(|(acked, _)| ahead(acked, first).is_some_and(|n| n <= WINDOW))
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
            if let Some((_, latest)) = acked {
                self.acknowledge(latest);
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

    /// How far it was handed on, for [`Other::told`].
    #[inline]
    pub(super) fn told(&self) -> Option<SeqNumber> {
        match self.phase {
            Phase::Unanchored { acked } => acked.map(|(first, _)| first),
            Phase::Settling => None,
            Phase::Running | Phase::Ended(_) => Some(self.next_seq),
        }
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

    /// Whether it goes on from a place that is known, with nothing held, missing or waited for, and no end in sight.
    #[inline]
    pub(super) fn is_plain(&self) -> bool {
        self.phase == Phase::Running && self.fin.is_none() && self.is_at_rest()
    }

    /// How far a number lies ahead of the next byte's.
    #[inline]
    pub(super) fn lead(&self, seq: SeqNumber) -> i32 {
        seq.distance_from(self.next_seq)
    }

    /// Takes the next bytes of a direction that [`Self::is_plain`]. `acked` is that of [`Chunk::Data`].
    #[inline]
    pub(super) fn push_next(
        &mut self,
        at: Timestamp,
        bytes: &[u8],
        acked: Option<i32>,
        out: &mut impl Output,
    ) {
        out.account().payload += bytes.len() as u64;
        self.deliver(at, bytes, acked, out);
    }

    /// Takes a segment of this direction.
    #[inline]
    pub(super) fn push(&mut self, segment: &Arrival<'_>, other: Other, out: &mut impl Output) {
        out.account().payload += segment.payload.len() as u64;
        let plain = segment.cut == 0 && !segment.fin && self.fin.is_none();
        if plain && self.is_next(segment.seq, segment.ack, other) {
            if !segment.payload.is_empty() {
                self.deliver(segment.at, segment.payload, other.lead(segment.ack), out);
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
            // The snaplen may have left nothing of it.
            if !run.bytes.is_empty() {
                self.deliver(run.at, run.bytes, other.lead(run.needs), out);
            }
        } else {
            self.hold(&run, out);
        }
        self.drain(other, 0, out);
        self.keep_within_budget(other, out);
    }

    /// Finds the place in the stream by its first segment.
    fn anchor(&mut self, segment: &Arrival<'_>, acked: Option<(SeqNumber, SeqNumber)>) {
        (self.next_seq, self.phase) = match acked {
            // What was sent since then is in flight: late, or lost.
            Some((first, _)) if ahead(segment.seq, first).is_some_and(|n| n <= WINDOW) => {
                (first, Phase::Running)
            }
            _ => (segment.seq, Phase::Settling),
        };
        if let Some((_, latest)) = acked {
            self.acknowledge(latest);
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
    fn deliver(&mut self, at: Timestamp, bytes: &[u8], acked: Option<i32>, out: &mut impl Output) {
        self.recent.remember(self.next, bytes);
        self.advance(bytes.len() as u64);
        self.presumed_fin = false;
        out.account().delivered += bytes.len() as u64;
        out.chunk(Chunk::Data { at, bytes, acked });
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
                    let forced = other.blocks(needs);
                    if forced {
                        if offset >= force_to {
                            return;
                        }
                        self.held.split_first(force_to);
                    }
                    self.deliver_first(if forced { None } else { other.lead(needs) }, out);
                }
                _ => {
                    let end = self.fin.unwrap_or(u64::MAX).min(first.map_or(u64::MAX, |(offset, _)| offset));
                    let reach = self.lost_to.min(end);
                    if reach <= self.next {
                        break;
                    }
                    // A hole may hold several turns: those of the other side between them come in their place.
                    match other.awaits.map(|seq| ahead(seq, self.next_seq)) {
                        // It needs nothing more of this one: its turn is now.
                        Some(None | Some(0)) => return,
                        Some(Some(n)) if self.next + n < reach => return self.lose(n, out),
                        Some(Some(_)) | None => self.lose(reach - self.next, out),
                    }
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

    /// Whether the next bytes are held and wait for the other direction.
    pub(super) fn is_blocked(&self, other: Other) -> bool {
        other.blocks(self.awaits())
    }

    /// Hands on what comes before `seq` without waiting for the other direction.
    pub(super) fn drain_to(&mut self, seq: SeqNumber, other: Other, out: &mut impl Output) {
        let position = self.next + ahead(seq, self.next_seq).unwrap_or(0);
        self.drain(other, position, out);
    }

    fn deliver_first(&mut self, acked: Option<i32>, out: &mut impl Output) {
        if let Some((_, piece)) = self.held.pop_first() {
            out.account().held -= piece.bytes.len() as u64;
            self.lost_to = self.lost_to.max(piece.reaches);
            if !piece.bytes.is_empty() {
                self.deliver(piece.at, &piece.bytes, acked, out);
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

    /// Nothing more will come: hands on what is held, the holes as gaps, and the end, `end` unless a FIN
    /// was seen or acknowledged.
    pub(super) fn finish(&mut self, end: End, other: Other, out: &mut impl Output) {
        let other = Other { seen: false, cleared: None, awaits: None, ..other };
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

#[cfg(test)]
mod tests;
