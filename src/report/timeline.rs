//! What became of rows over the time of the capture, in a bounded number of slots.

use std::collections::BTreeMap;

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
    slots: BTreeMap<i64, (Verdicts, u64)>,
}

impl Default for Counting {
    fn default() -> Self {
        Self { width: NARROWEST, slots: BTreeMap::new() }
    }
}

impl Counting {
    /// Counts a row; `verdict` is `None` for one that was not sent.
    pub(super) fn add(&mut self, at: Timestamp, verdict: Option<Verdict>) {
        let slot = self.slots.entry(at.as_nanos().div_euclid(self.width)).or_default();
        match verdict {
            Some(verdict) => slot.0.count(verdict),
            None => slot.1 += 1,
        }
        while self.span() > MOST_SLOTS {
            self.widen();
        }
    }

    fn span(&self) -> i64 {
        let (first, last) = (self.slots.first_key_value(), self.slots.last_key_value());
        first.zip(last).map_or(0, |((first, _), (last, _))| last.saturating_sub(*first).saturating_add(1))
    }

    fn widen(&mut self) {
        self.width = self.width.saturating_mul(2);
        for (at, (verdicts, skipped)) in std::mem::take(&mut self.slots) {
            let slot = self.slots.entry(at.div_euclid(2)).or_default();
            slot.0.merge(&verdicts);
            slot.1 += skipped;
        }
    }

    #[expect(clippy::cast_precision_loss, reason = "a width of whole milliseconds far below 2^53")]
    pub(super) fn timeline(&self) -> Timeline {
        let slot = |(&at, &(verdicts, skipped)): (&i64, &(Verdicts, u64))| {
            let from = Timestamp::from_nanos(at.saturating_mul(self.width));
            Slot { from, verdicts, skipped }
        };
        Timeline { slot_ms: self.width as f64 / 1e6, slots: self.slots.iter().map(slot).collect() }
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

    #[test]
    fn times_at_both_ends_of_what_can_be_said_are_no_trouble() {
        let mut counting = Counting::default();
        for nanos in [i64::MIN, 0, i64::MAX] {
            counting.add(Timestamp::from_nanos(nanos), None);
        }
        assert_eq!(counting.timeline().slots.iter().map(|s| s.skipped).sum::<u64>(), 3);
    }
}
