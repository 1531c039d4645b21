//! How long a reassembler waits for bytes that may yet come.
//!
//! A hole is lost when the other side's acknowledgement covers it and [`PROOF`] has passed since: not at
//! once, since a capture of several queues or interfaces may show an acknowledgement ahead of the data. As
//! long as nothing waits behind the hole, in either direction, it costs nothing to wait on: an acknowledgement
//! alone may be forged, and then its bytes are yet to be sent.
//! Without any sign of the other side a hole is lost after [`SILENCE`], the time in which a sender would
//! have repeated it.

use std::time::Duration;

use super::{Other, Output, Phase, Reassembler, after};
use crate::time::Timestamp;

/// How long something is waited for: in packet time, and in segments of the connection.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(in crate::stream) struct Patience {
    pub(in crate::stream) time: Duration,
    pub(in crate::stream) segments: u32,
}

/// For bytes that must have been sent already. Queues of a network card and interfaces of a host are
/// captured at most some milliseconds apart.
pub(in crate::stream) const PROOF: Patience = Patience { time: Duration::from_millis(100), segments: 128 };
/// For bytes that the sender may repeat: three times the first retransmission timeout (RFC 6298).
const SILENCE: Patience = Patience { time: Duration::from_secs(3), segments: u32::MAX };

impl Patience {
    /// Whether it has an end by now, after a wait since a time and of so many segments.
    #[inline]
    pub(in crate::stream) fn is_over(self, now: Timestamp, since: Timestamp, segments: u32) -> bool {
        segments > self.segments || now.since(since) >= self.time
    }
}

/// The other direction, as far as a wait depends on it.
#[derive(Clone, Copy, Debug)]
pub(in crate::stream) struct Onlooker {
    /// Any segment of it was captured.
    pub(in crate::stream) seen: bool,
    /// Bytes of it are held back.
    pub(in crate::stream) holds: bool,
}

/// A wait that is going on.
#[derive(Clone, Copy, Debug)]
pub(super) struct Wait {
    since: Timestamp,
    segments: u32,
    /// The position that could not be passed when the wait began.
    next: u64,
    /// What was acknowledged then. Later acknowledgements have waits of their own.
    acked: u64,
}

impl Reassembler {
    /// What has to be waited for, if anything.
    #[inline]
    fn pending(&self, other: Onlooker) -> Option<Patience> {
        match self.phase {
            Phase::Settling => Some(PROOF),
            Phase::Running if self.acked > self.next + u64::from(self.presumed_fin) => {
                (other.holds || !self.held.is_empty()).then_some(PROOF)
            }
            Phase::Running if !other.seen && !self.held.is_empty() => Some(SILENCE),
            _ => None,
        }
    }

    /// Whether nothing is held, missing or waited for. Then [`Self::keep_waiting`] has nothing to do.
    #[inline]
    pub(in crate::stream) fn is_at_rest(&self) -> bool {
        self.wait.is_none()
            && self.held.is_empty()
            && self.acked <= self.next
            && self.phase != Phase::Settling
    }

    /// Whether a wait of its own will let this direction go on, whatever the other one does.
    pub(in crate::stream) fn waits_by_itself(&self, other: Onlooker) -> bool {
        let stands_at_piece =
            self.phase == Phase::Running && self.held.first().is_some_and(|(offset, _)| offset <= self.next);
        !stands_at_piece && self.pending(other).is_some()
    }

    /// Starts, goes on with, or ends a wait, at a segment of either direction captured `now`. Returns
    /// until when something is waited for.
    #[inline]
    pub(in crate::stream) fn keep_waiting(&mut self, now: Timestamp, other: Onlooker) -> Option<Timestamp> {
        let Some(patience) = self.pending(other) else {
            self.wait = None;
            return None;
        };
        let (next, acked) = (self.next, self.acked);
        let wait = self.wait.take().filter(|wait| wait.next == next);
        let wait = wait.unwrap_or(Wait { since: now, segments: 0, next, acked });
        self.wait = Some(Wait { segments: wait.segments.saturating_add(1), ..wait });
        Some(wait.since + patience.time)
    }

    /// Whether the wait has been long enough.
    #[inline]
    pub(in crate::stream) fn is_overdue(&self, now: Timestamp, other: Onlooker) -> bool {
        let Some(wait) = self.wait else { return false };
        self.pending(other).is_some_and(|patience| patience.is_over(now, wait.since, wait.segments))
    }

    /// The wait is over: what was waited for is lost.
    pub(in crate::stream) fn give_up_waiting(&mut self, other: Other, out: &mut impl Output) {
        let waited_for = self.wait.take().map_or(0, |wait| wait.acked).min(self.acked);
        self.settle(out);
        let first = self.held.first().map(|(offset, _)| offset);
        if self.misses_only_a_fin() {
            self.presumed_fin = true;
        } else if self.acked > self.next {
            // The hole at hand is one gap, though parts of it may have been acknowledged later.
            let hole = self.acked.min(first.unwrap_or(u64::MAX));
            self.lost_to = self.lost_to.max(waited_for).max(hole);
        } else if let Some(offset) = first
            && !other.seen
            && offset <= self.horizon()
        {
            self.lost_to = self.lost_to.max(offset);
        }
        self.drain(other, 0, out);
    }

    /// Nothing more will come: the hole at hand is lost.
    pub(in crate::stream) fn give_up_hole(&mut self, other: Other, out: &mut impl Output) {
        self.settle(out);
        let first = self.held.first().map_or(0, |(offset, _)| offset);
        if first <= self.horizon() {
            self.lost_to = self.lost_to.max(first);
            self.drain(other, 0, out);
        }
    }

    /// Whether nothing is known to follow the hole at hand that need not wait for the other direction. Then
    /// the hole is later than one of the other direction of which something is.
    pub(in crate::stream) fn waits_behind_hole(&self, other: Other) -> bool {
        self.held.first().is_none_or(|(_, piece)| other.blocks(piece.needs))
    }

    /// Goes on to what is acknowledged although it waits for the other direction: that waits for this one.
    pub(in crate::stream) fn stop_waiting_for_other(&mut self, other: Other, out: &mut impl Output) {
        self.drain(other, self.acked, out);
    }

    /// One number is acknowledged and missing, and nothing is known to follow it: a FIN has a number too.
    pub(super) fn misses_only_a_fin(&self) -> bool {
        self.acked == self.next + 1 && self.held.is_empty() && self.fin.is_none()
    }

    /// Begins with the earliest segment that has turned up. A single byte that nothing followed is taken
    /// for a keep-alive probe, which repeats a byte that was sent before.
    pub(super) fn settle(&mut self, out: &mut impl Output) {
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
}
