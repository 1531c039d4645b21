//! Which routes v2 answers more slowly than v1 did, beyond what chance explains.
//!
//! Four conditions have to agree, since each alone cries wolf: a ratio (a millisecond more of forty is nobody's concern), a
//! shift (nor is one of a third of a millisecond), enough exchanges, and an interval for the ratio from a paired bootstrap
//! (Efron and Tibshirani 1993, chapter 13) that stays clear of one. v1's times come from the packets and v2's from the
//! sender, so that a flag is a reason to look and never counts against v2 by itself.

use std::collections::BinaryHeap;
use std::time::Duration;

use serde::{Deserialize, Serialize};

/// Pairs of times that are kept for each route: those with the lowest keys, so that the order of rows does not matter.
const KEPT: usize = 512;
/// Fewer exchanges than this say nothing about a route.
const FEWEST: u64 = 100;
/// A quantile of v2 has to be this many times that of v1,
const RATIO: f64 = 1.25;
/// this much longer, in milliseconds,
const SHIFT_MS: f64 = 5.0;
/// and at 99 % confidence more than this many times v1's.
const SURE_RATIO: f64 = 1.1;
/// How often the kept pairs are drawn anew.
const RESAMPLES: usize = 1000;
/// What seeds the drawing: the same pairs give the same interval.
const SEED: u64 = 0x0073_6c6f_7765_7221;

/// A quantile of a route's latency that v2 has made longer.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Slower {
    /// Which: `p50` or `p90`.
    pub quantile: String,
    /// v1's, in milliseconds, of the pairs that were looked at.
    pub v1: f64,
    /// v2's.
    pub v2: f64,
    /// v2's divided by v1's.
    pub ratio: f64,
    /// Where the ratio lies, at 99 % confidence.
    pub interval: [f64; 2],
    /// How many exchanges were looked at: at most 512 of the route, chosen by their names.
    pub pairs: u64,
}

impl Slower {
    /// In words: `p50 12 ms → 45 ms, 3.8 times (3.1 to 4.4 at 99 %)`.
    #[must_use]
    pub fn words(&self) -> String {
        let [low, high] = self.interval;
        format!(
            "{} {} → {}, {:.1} times ({low:.1} to {high:.1} at 99 %)",
            self.quantile,
            super::ms(self.v1),
            super::ms(self.v2),
            self.ratio
        )
    }
}

/// A bounded sample of a route's pairs of times.
#[derive(Clone, Default)]
pub(super) struct Sample {
    /// By key, the greatest first: the next to go.
    kept: BinaryHeap<(u64, Times)>,
    count: u64,
}

/// How long v1 and v2 took, in microseconds.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
struct Times {
    v1: u32,
    v2: u32,
}

impl Sample {
    /// Takes a row's times; `key` is the row's own, and spread evenly.
    pub(super) fn offer(&mut self, key: u64, v1: Duration, v2: Duration) {
        self.count += 1;
        if self.kept.len() == KEPT {
            if self.kept.peek().is_some_and(|(greatest, _)| key >= *greatest) {
                return;
            }
            self.kept.pop();
        }
        let micros = |time: Duration| u32::try_from(time.as_micros()).unwrap_or(u32::MAX).max(1);
        self.kept.push((key, Times { v1: micros(v1), v2: micros(v2) }));
    }

    /// The first quantile that has become longer.
    pub(super) fn slower(&self) -> Option<Slower> {
        if self.count < FEWEST {
            return None;
        }
        let mut pairs: Vec<_> = self.kept.iter().map(|(_, times)| *times).collect();
        // A heap's own order depends on that of the rows.
        pairs.sort_unstable();
        [("p50", 0.5), ("p90", 0.9)].into_iter().find_map(|(name, share)| longer(&pairs, name, share))
    }
}

fn longer(pairs: &[Times], name: &str, share: f64) -> Option<Slower> {
    let (mut v1s, mut v2s) = sides(pairs.iter().copied());
    let (v1, v2) = (quantile(&mut v1s, share) / 1000.0, quantile(&mut v2s, share) / 1000.0);
    if v2 < RATIO * v1 || v2 - v1 < SHIFT_MS {
        return None;
    }
    let interval = interval(pairs, share);
    (interval[0] > SURE_RATIO).then(|| Slower {
        quantile: name.to_owned(),
        v1,
        v2,
        ratio: rounded(v2 / v1),
        interval: interval.map(rounded),
        pairs: pairs.len() as u64,
    })
}

fn sides(pairs: impl Iterator<Item = Times>) -> (Vec<u32>, Vec<u32>) {
    pairs.map(|times| (times.v1, times.v2)).unzip()
}

/// The ratio of v2's quantile to v1's lies here in 99 % of the samples that the pairs stand for.
fn interval(pairs: &[Times], share: f64) -> [f64; 2] {
    let mut random = SEED;
    let mut ratios: Vec<f64> = (0..RESAMPLES)
        .map(|_| {
            let drawn = (0..pairs.len()).map(|_| pairs[below(&mut random, pairs.len())]);
            let (mut v1s, mut v2s) = sides(drawn);
            quantile(&mut v2s, share) / quantile(&mut v1s, share)
        })
        .collect();
    ratios.sort_unstable_by(f64::total_cmp);
    [ratios[RESAMPLES / 200], ratios[RESAMPLES - 1 - RESAMPLES / 200]]
}

/// A number below `limit` (`SplitMix64`; the bias of the product is below 2^-50).
fn below(state: &mut u64, limit: usize) -> usize {
    *state = state.wrapping_add(0x9e37_79b9_7f4a_7c15);
    let mut z = *state;
    z = (z ^ (z >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
    z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
    z ^= z >> 31;
    usize::try_from((u128::from(z) * limit as u128) >> 64).unwrap_or(0)
}

/// The quantile by the nearest rank, in microseconds.
#[expect(
    clippy::cast_precision_loss,
    clippy::cast_possible_truncation,
    clippy::cast_sign_loss,
    reason = "a rank among at most 512"
)]
fn quantile(times: &mut [u32], share: f64) -> f64 {
    let rank = ((times.len() as f64 * share).ceil() as usize).clamp(1, times.len());
    let (_, at, _) = times.select_nth_unstable(rank - 1);
    f64::from(*at)
}

/// Three decimals are more than such a ratio is worth.
fn rounded(ratio: f64) -> f64 {
    (ratio * 1000.0).round() / 1000.0
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Times of `count` exchanges, v1's even between 10 and 20 ms, v2's made of them.
    fn sample(count: u64, v2: impl Fn(u64, u64) -> u64) -> Sample {
        let mut sample = Sample::default();
        for n in 0..count {
            let v1 = 10_000 + n * 7919 % 10_000;
            let key = xxhash_rust::xxh3::xxh3_64(&n.to_le_bytes());
            sample.offer(key, Duration::from_micros(v1), Duration::from_micros(v2(n, v1)));
        }
        sample
    }

    #[test]
    fn twice_the_time_is_flagged_with_its_numbers() {
        let slower = sample(2000, |_, v1| 2 * v1).slower().unwrap();
        assert_eq!((slower.quantile.as_str(), slower.ratio, slower.pairs), ("p50", 2.0, 512));
        assert!(slower.interval[0] > 1.8 && slower.interval[1] < 2.2, "{slower:?}");
        assert!(slower.v1 > 14.0 && slower.v1 < 16.0, "{slower:?}");
    }

    #[test]
    fn each_condition_alone_is_not_enough() {
        // The ratio is there, and no shift to speak of.
        let mut short = Sample::default();
        for n in 0..500 {
            short.offer(n, Duration::from_micros(500), Duration::from_millis(2));
        }
        assert_eq!(short.slower(), None);
        // A shift without the ratio.
        assert_eq!(sample(500, |_, v1| v1 + v1 / 10).slower(), None);
        // Too few exchanges.
        assert_eq!(sample(99, |_, v1| 2 * v1).slower(), None);
        // As fast, or faster.
        assert_eq!(sample(500, |_, v1| v1).slower(), None);
        assert_eq!(sample(500, |_, v1| v1 / 3).slower(), None);
    }

    #[test]
    fn what_chance_explains_is_not_flagged() {
        // Of 100 pairs, half of v2's are four times as long: its median is v1's or four times that, as it falls.
        let flips = sample(100, |n, v1| if n % 2 == 0 { 4 * v1 } else { v1 * 9 / 10 });
        assert!(flips.slower().is_none_or(|slower| slower.quantile == "p90"), "{:?}", flips.slower());
    }

    #[test]
    fn a_longer_tail_is_told_by_the_ninetieth_percentile() {
        let slower = sample(2000, |n, v1| if n % 5 == 0 { 10 * v1 } else { v1 }).slower().unwrap();
        assert_eq!(slower.quantile, "p90");
    }

    #[test]
    fn the_order_of_rows_and_their_number_do_not_matter() {
        let offered = |numbers: &mut dyn Iterator<Item = u64>| {
            let mut sample = Sample::default();
            for n in numbers {
                let key = xxhash_rust::xxh3::xxh3_64(&n.to_le_bytes());
                sample.offer(key, Duration::from_micros(9000 + n), Duration::from_micros(30_000 + n));
            }
            assert!(sample.kept.len() <= KEPT);
            sample.slower()
        };
        assert!(offered(&mut (0..5000)).is_some());
        assert_eq!(offered(&mut (0..5000)), offered(&mut (0..5000).rev()));
    }
}
