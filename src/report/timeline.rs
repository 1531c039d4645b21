//! What became of rows over the time of the capture, in a bounded number of slots.

use std::collections::VecDeque;
use std::ops::Range;

use serde::{Deserialize, Serialize};

use super::summary::Verdicts;
use crate::diff::Verdict;
use crate::time::Timestamp;

/// Slots that are told apart; when more are needed, each becomes twice as wide.
const MOST_SLOTS: i64 = 96;
/// The narrowest slot, in nanoseconds: a millisecond.
const NARROWEST: i64 = 1_000_000;

/// Rows by when the capture saw their requests.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct Timeline {
    /// How long each slot is, in milliseconds.
    pub slot_ms: f64,
    /// Slots from the first row to the last; those without rows are left out.
    pub slots: Vec<Slot>,
}

/// Rows whose requests began within one slot.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Slot {
    /// When it begins, in capture time.
    pub from: Timestamp,
    /// What was said of the rows that were sent.
    pub verdicts: Verdicts,
    /// Rows that were not sent.
    pub skipped: u64,
}

/// Counts rows into slots. Slots lie at multiples of their width since the epoch, so that the result does
/// not depend on the order in which rows come.
#[derive(Clone)]
pub(super) struct Counting {
    width: i64,
    /// The number of the first slot.
    first: i64,
    /// From the first to the last that has rows.
    slots: VecDeque<(Verdicts, u64)>,
    /// The slot of the row before, and the moments that lie in it: most rows have that of the row before.
    last: (usize, Range<i64>),
}

impl Default for Counting {
    fn default() -> Self {
        Self { width: NARROWEST, first: 0, slots: VecDeque::new(), last: (0, 0..0) }
    }
}

impl Counting {
    /// Counts a row; `verdict` is `None` for one that was not sent.
    pub(super) fn add(&mut self, at: Timestamp, verdict: Option<Verdict>) {
        let nanos = at.as_nanos();
        if !self.last.1.contains(&nanos) {
            self.last = self.place(nanos);
        }
        let Some(slot) = self.slots.get_mut(self.last.0) else { return };
        match verdict {
            Some(verdict) => slot.0.count(verdict),
            None => slot.1 += 1,
        }
    }

    /// Makes room for a moment; its place among the slots, and the moments that lie in that one.
    fn place(&mut self, nanos: i64) -> (usize, Range<i64>) {
        while self.with(nanos.div_euclid(self.width)).1 > MOST_SLOTS {
            self.widen();
        }
        let number = nanos.div_euclid(self.width);
        let (first, span) = self.with(number);
        while !self.slots.is_empty() && self.first > first {
            self.slots.push_front(Default::default());
            self.first -= 1;
        }
        self.first = first;
        self.slots.resize(usize::try_from(span).unwrap_or(0), Default::default());
        let from = number.checked_mul(self.width);
        let moments = from.and_then(|from| Some(from..from.checked_add(self.width)?)).unwrap_or(0..0);
        (usize::try_from(number - first).unwrap_or(0), moments)
    }

    /// The first of all slots, and how many there are, were that one among them.
    fn with(&self, number: i64) -> (i64, i64) {
        let len = i64::try_from(self.slots.len()).unwrap_or(i64::MAX);
        if len == 0 {
            return (number, 1);
        }
        let (first, end) =
            (self.first.min(number), self.first.saturating_add(len).max(number.saturating_add(1)));
        (first, end.saturating_sub(first))
    }

    fn widen(&mut self) {
        self.width = self.width.saturating_mul(2);
        let before = self.first;
        self.first = before.div_euclid(2);
        for (number, (verdicts, skipped)) in (before..).zip(std::mem::take(&mut self.slots)) {
            let place = usize::try_from(number.div_euclid(2) - self.first).unwrap_or(0);
            self.slots.resize(place + 1, Default::default());
            if let Some(slot) = self.slots.get_mut(place) {
                slot.0.merge(&verdicts);
                slot.1 += skipped;
            }
        }
    }

    #[expect(clippy::cast_precision_loss, reason = "a width of whole milliseconds far below 2^53")]
    pub(super) fn timeline(&self) -> Timeline {
        let has_rows = |(_, (verdicts, skipped)): &(i64, &(Verdicts, u64))| verdicts.in_all() + skipped > 0;
        let slot = |(number, &(verdicts, skipped)): (i64, &(Verdicts, u64))| {
            let from = Timestamp::from_nanos(number.saturating_mul(self.width));
            Slot { from, verdicts, skipped }
        };
        let slots = (self.first..).zip(&self.slots).filter(has_rows).map(slot).collect();
        Timeline { slot_ms: self.width as f64 / 1e6, slots }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::time::Duration;

    fn timeline(offsets: impl Iterator<Item = u64>) -> Timeline {
        let start = Timestamp::from_parts(1_795_348_800, 0);
        let mut counting = Counting::default();
        offsets.for_each(|ms| counting.add(start + Duration::from_millis(ms), Some(Verdict::Match)));
        counting.timeline()
    }

    #[test]
    fn every_row_is_in_one_of_a_bounded_number_of_slots_whatever_the_order() {
        let forward = timeline((0..7143_u32).map(|n| u64::from(n) * 7));
        assert!((40..=96).contains(&forward.slots.len()), "{forward:?}");
        assert_eq!(forward.slots.iter().map(|s| s.verdicts.matching).sum::<u64>(), 7143);
        assert_eq!(timeline((0..7143_u32).rev().map(|n| u64::from(n) * 7)), forward);
    }

    proptest::proptest! {
        /// Whatever the order, as if each row had been put into slots of the width that all of them need.
        #[test]
        fn every_row_is_in_the_slot_of_its_time(
            rows in proptest::collection::vec((0_i64..1 << 40, 0_u32..36, 0_u8..3), 1..60),
        ) {
            let mut counting = Counting::default();
            for (nanos, shift, kind) in &rows {
                let verdict = [Some(Verdict::Match), Some(Verdict::Different), None][usize::from(*kind)];
                counting.add(Timestamp::from_nanos((nanos - (1 << 39)) >> shift), verdict);
            }
            let times = || rows.iter().map(|(nanos, shift, _)| (nanos - (1 << 39)) >> shift);
            let span = |width: i64| {
                let numbers = || times().map(|nanos| nanos.div_euclid(width));
                numbers().max().unwrap() - numbers().min().unwrap() + 1
            };
            let width = (0..40).map(|n| NARROWEST << n).find(|width| span(*width) <= MOST_SLOTS).unwrap();
            let mut expected = std::collections::BTreeMap::<i64, (Verdicts, u64)>::new();
            for (nanos, (_, _, kind)) in times().zip(&rows) {
                let slot = expected.entry(nanos.div_euclid(width)).or_default();
                match kind {
                    0 => slot.0.matching += 1,
                    1 => slot.0.different += 1,
                    _ => slot.1 += 1,
                }
            }
            let slots: Vec<_> = expected
                .into_iter()
                .map(|(number, (verdicts, skipped))| {
                    Slot { from: Timestamp::from_nanos(number * width), verdicts, skipped }
                })
                .collect();
            proptest::prop_assert_eq!(counting.timeline().slots, slots);
        }
    }

    #[test]
    fn times_at_both_ends_of_what_can_be_said_are_no_trouble() {
        let mut counting = Counting::default();
        for nanos in [i64::MIN, 0, i64::MAX] {
            counting.add(Timestamp::from_nanos(nanos), None);
        }
        assert_eq!(counting.timeline().slots.iter().map(|s| s.skipped).sum::<u64>(), 3);
    }
}
