//! Which claims about the stream's reach a reassembler believes.
//!
//! Anyone who sees a connection can forge a segment with likely numbers, and one who does not can guess.
//!
//! **Far claims.** A segment or an acknowledgement more than [`WINDOW`] ahead of all that is known is
//! believed only when [`CONFIRMING`] of its kind in a row say the same, or one kind confirms the other:
//! then the stream really went there, and the capture lost what lies between. Segments are held until
//! then, and dropped and counted if it never comes.
//!
//! **Doubted acknowledgements.** Acknowledgements are cumulative (RFC 9293, section 3.4). So when one that
//! covers bytes not captured yet is followed by [`CONFIRMING`] lower ones in a row, their sender did not
//! send it, and it is withdrawn. When it was only overtaken, later ones will say the same again.

use super::{LARGEST_WINDOW, Output, Phase, Reassembler, Run, WINDOW, ahead};
use crate::anomaly::Anomaly;
use crate::wire::SeqNumber;

/// How many claims in a row confirm each other.
const CONFIRMING: u8 = 3;

/// Claims of one kind that follow one another.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct Row {
    count: u8,
    end: u64,
}

impl Row {
    /// Takes the claim that the stream reaches from one position to another. Whether it and those
    /// before it confirm each other: none starts before the one before it, nor far behind.
    fn confirms(&mut self, from: u64, to: u64) -> bool {
        let follows = from >= self.end && from - self.end <= WINDOW;
        self.count = if follows { self.count + 1 } else { 1 };
        self.end = to;
        self.count >= CONFIRMING && std::mem::take(&mut self.count) > 0
    }
}

impl Reassembler {
    /// How far the stream is believed to reach.
    pub(super) fn horizon(&self) -> u64 {
        self.next.max(self.acked).max(self.confirmed) + WINDOW
    }

    /// Learns from where a segment lies.
    pub(super) fn judge_distance(&mut self, run: &Run<'_>) {
        if run.offset <= self.horizon() {
            self.far = Row::default();
            self.confirmed = self.confirmed.max(run.offset);
        } else if self.far.confirms(run.offset, run.reaches()) {
            self.confirmed = run.offset;
        }
    }

    /// Drops what was held and never confirmed.
    pub(super) fn drop_far(&mut self, out: &mut impl Output) {
        let dropped = self.held.drop_beyond(self.horizon());
        if dropped > 0 {
            out.account().held -= dropped;
            out.account().out_of_window += dropped;
            out.note(Anomaly::OutOfWindow);
        }
    }

    /// The other side acknowledges all before `ack`. Whether that is believed.
    #[inline]
    pub(in crate::stream) fn acknowledge(&mut self, ack: SeqNumber) -> bool {
        match &mut self.phase {
            Phase::Unanchored { acked } => {
                let (first, latest) = acked.unwrap_or((ack, ack));
                let latest = if ahead(ack, latest).is_some() { ack } else { latest };
                *acked = Some((first, latest));
                true
            }
            Phase::Ended(_) => true,
            Phase::Settling | Phase::Running => match ahead(ack, self.next_seq) {
                Some(0) | None if self.acked <= self.next => true,
                claim => self.judge_acknowledgement(claim),
            },
        }
    }

    /// Judges an acknowledgement so far ahead of the next byte (`None`: behind it), which says more or less
    /// than those before it.
    fn judge_acknowledgement(&mut self, ahead: Option<u64>) -> bool {
        let position = self.next + ahead.unwrap_or(0);
        if ahead.is_some_and(|n| n > LARGEST_WINDOW) {
            return false;
        }
        if position < self.acked {
            if self.doubts.confirms(0, 0) {
                self.acked = position;
            }
            return true;
        }
        let known = position <= self.horizon() || self.held.end().is_some_and(|end| position <= end);
        let believed = known || self.far_acks.confirms(position, position);
        if believed {
            self.acked = position;
            self.doubts = Row::default();
        }
        believed
    }
}
