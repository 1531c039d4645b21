//! Which elements of two sequences belong together.
//!
//! Elements are told apart by 64-bit digests. The longest common subsequence is sought where that is
//! cheap; where it is not, elements that are unique on both sides serve as anchors (patience diff);
//! where there are none, the stretch is one change. The time is O(n log n) with a fixed allowance for
//! the exact search, whatever the input. A digest only guides: callers compare what was aligned.

use std::collections::HashMap;
use std::ops::Range;

use similar::{Algorithm, DiffOp, capture_diff_slices};

/// Products of lengths up to this are searched exactly: a few hundred steps for each element.
const EXACT: usize = 1 << 16;
/// The sum of such products for one alignment.
const ALLOWANCE: usize = 1 << 23;
/// How often a stretch between anchors is divided again.
const MAX_DEPTH: u32 = 12;

/// A stretch of both sequences.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Run {
    /// Elements with equal digests, one to one.
    Same {
        /// Where the stretch begins on the first side.
        a: usize,
        /// Where it begins on the second.
        b: usize,
        /// How many elements it has on both.
        len: usize,
    },
    /// Elements that have no counterpart in order; one of the ranges may be empty.
    Changed(Range<usize>, Range<usize>),
}

/// The runs that cover both sequences, in order.
pub(super) fn align(a: &[u64], b: &[u64]) -> Vec<Run> {
    let mut aligner = Aligner { a, b, allowance: ALLOWANCE, runs: Vec::new() };
    aligner.stretch(0..a.len(), 0..b.len(), 0);
    aligner.runs
}

struct Aligner<'s> {
    a: &'s [u64],
    b: &'s [u64],
    allowance: usize,
    runs: Vec<Run>,
}

impl Aligner<'_> {
    fn stretch(&mut self, a: Range<usize>, b: Range<usize>, depth: u32) {
        let (left, right) = (&self.a[a.clone()], &self.b[b.clone()]);
        let head = left.iter().zip(right).take_while(|(x, y)| x == y).count();
        let (rest_left, rest_right) = (&left[head..], &right[head..]);
        let tail = rest_left.iter().rev().zip(rest_right.iter().rev()).take_while(|(x, y)| x == y).count();
        self.same(a.start, b.start, head);
        self.middle(a.start + head..a.end - tail, b.start + head..b.end - tail, depth);
        self.same(a.end - tail, b.end - tail, tail);
    }

    /// A stretch whose first elements differ, and whose last ones do.
    fn middle(&mut self, a: Range<usize>, b: Range<usize>, depth: u32) {
        if a.is_empty() || b.is_empty() {
            return self.changed(a, b);
        }
        let product = a.len().saturating_mul(b.len());
        if product == 1 {
            // Both differ: nothing has to be sought.
            self.allowance = self.allowance.saturating_sub(product);
            return self.changed(a, b);
        }
        if product <= EXACT.min(self.allowance) {
            self.allowance -= product;
            return self.exactly(a, b);
        }
        let anchors = if depth < MAX_DEPTH { self.anchors(&a, &b) } else { Vec::new() };
        if anchors.is_empty() {
            return self.changed(a, b);
        }
        let (mut from_a, mut from_b) = (a.start, b.start);
        for (i, j) in anchors {
            self.stretch(from_a..i, from_b..j, depth + 1);
            self.same(i, j, 1);
            (from_a, from_b) = (i + 1, j + 1);
        }
        self.stretch(from_a..a.end, from_b..b.end, depth + 1);
    }

    fn exactly(&mut self, a: Range<usize>, b: Range<usize>) {
        let ops = capture_diff_slices(Algorithm::Myers, &self.a[a.clone()], &self.b[b.clone()]);
        for op in ops {
            let (old, new) = (op.old_range(), op.new_range());
            let (i, j) = (a.start + old.start, b.start + new.start);
            match op {
                DiffOp::Equal { len, .. } => self.same(i, j, len),
                _ => self.changed(i..i + old.len(), j..j + new.len()),
            }
        }
    }

    /// The longest increasing chain of elements that occur exactly once on each side.
    fn anchors(&self, a: &Range<usize>, b: &Range<usize>) -> Vec<(usize, usize)> {
        let places = once(self.b, b);
        let mut unique: Vec<_> = once(self.a, a)
            .into_iter()
            .filter_map(|(digest, i)| Some((i?, (*places.get(&digest)?)?)))
            .collect();
        unique.sort_unstable();
        longest_increasing(&unique)
    }

    /// Runs come in order and cover everything, so two of a kind are one.
    fn same(&mut self, a: usize, b: usize, len: usize) {
        match self.runs.last_mut() {
            _ if len == 0 => {}
            Some(Run::Same { len: longer, .. }) => *longer += len,
            _ => self.runs.push(Run::Same { a, b, len }),
        }
    }

    fn changed(&mut self, a: Range<usize>, b: Range<usize>) {
        match self.runs.last_mut() {
            _ if a.is_empty() && b.is_empty() => {}
            Some(Run::Changed(x, y)) => (x.end, y.end) = (a.end, b.end),
            _ => self.runs.push(Run::Changed(a, b)),
        }
    }
}

/// Each digest of a range, with its place where it occurs once.
fn once(digests: &[u64], range: &Range<usize>) -> HashMap<u64, Option<usize>> {
    let mut places = HashMap::with_capacity(range.len());
    for i in range.clone() {
        places.entry(digests[i]).and_modify(|place| *place = None).or_insert(Some(i));
    }
    places
}

/// The longest chain of pairs that ascends on both sides; `pairs` ascend on the first.
fn longest_increasing(pairs: &[(usize, usize)]) -> Vec<(usize, usize)> {
    // `tops[n]` is the pair that ends the chain of length n + 1 with the smallest second place.
    let mut tops: Vec<usize> = Vec::new();
    let mut before = vec![usize::MAX; pairs.len()];
    for (k, &(_, place)) in pairs.iter().enumerate() {
        let n = tops.partition_point(|&top| pairs[top].1 < place);
        if let Some(&previous) = n.checked_sub(1).and_then(|m| tops.get(m)) {
            before[k] = previous;
        }
        if n == tops.len() { tops.push(k) } else { tops[n] = k }
    }
    let mut chain = Vec::with_capacity(tops.len());
    let mut next = tops.last().copied();
    while let Some(&pair) = next.and_then(|k| pairs.get(k)) {
        chain.push(pair);
        next = next.map(|k| before[k]);
    }
    chain.reverse();
    chain
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn covers(a: &[u64], b: &[u64], runs: &[Run]) {
        let mut at = (0, 0);
        for run in runs {
            let (left, right) = match run.clone() {
                Run::Same { a: from, b: to, len } => {
                    assert_eq!(a[from..from + len], b[to..to + len]);
                    (from..from + len, to..to + len)
                }
                Run::Changed(left, right) => (left, right),
            };
            assert_eq!((left.start, right.start), at);
            at = (left.end, right.end);
        }
        assert_eq!(at, (a.len(), b.len()));
    }

    #[test]
    fn an_insertion_moves_nothing_else() {
        let runs = align(&[1, 2, 3], &[1, 9, 2, 3]);
        assert_eq!(
            runs,
            [Run::Same { a: 0, b: 0, len: 1 }, Run::Changed(1..1, 1..2), Run::Same { a: 1, b: 2, len: 2 }]
        );
    }

    #[test]
    fn long_sequences_are_anchored_where_elements_are_unique() {
        let a: Vec<u64> = (0..100_000).collect();
        let b: Vec<u64> = (0..100_000)
            .filter(|n| n % 1000 != 7)
            .flat_map(|n| [n, 1 << 40].into_iter().take(1 + usize::from(n % 500 == 3)))
            .collect();
        let runs = align(&a, &b);
        covers(&a, &b, &runs);
        let same: usize = runs.iter().map(|run| if let Run::Same { len, .. } = run { *len } else { 0 }).sum();
        assert_eq!(same, 100_000 - 100);
    }

    #[test]
    fn long_sequences_without_anything_unique_end_soon() {
        let a: Vec<u64> = (0..200_000).map(|n| n % 3).collect();
        let b: Vec<u64> = (0..200_000).map(|n| (n / 7) % 3).collect();
        covers(&a, &b, &align(&a, &b));
    }

    proptest! {
        #[test]
        fn runs_cover_both_sides(a in prop::collection::vec(0u64..6, 0..40), b in prop::collection::vec(0u64..6, 0..40)) {
            covers(&a, &b, &align(&a, &b));
        }

        #[test]
        fn anchors_ascend_on_both_sides(places in Just((0usize..60).collect::<Vec<_>>()).prop_shuffle()) {
            let pairs: Vec<_> = places.into_iter().enumerate().collect();
            let chain = longest_increasing(&pairs);
            prop_assert!(chain.windows(2).all(|w| w[0].0 < w[1].0 && w[0].1 < w[1].1));
            prop_assert!(!chain.is_empty());
        }
    }
}
