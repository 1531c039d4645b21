//! Exact tests: whether v2's fresh answers show an event more often than v1's, exchange by exchange.

/// Sums with more possible values than this are told by the normal approximation, which is exact enough there.
const MAX_SUPPORT: usize = 2000;

/// Answers of one exchange: so many of v1's, so many of v2's, and how many of all show the event.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(super) struct Margins {
    pub(super) v1: u32,
    pub(super) v2: u32,
    pub(super) shown: u32,
}

/// The table of one exchange for one event.
#[derive(Clone, Copy, Debug)]
pub(super) struct Table {
    margins: Margins,
    /// How many of v2's answers show the event.
    by_v2: u32,
}

impl Table {
    /// Which of v1's answers and which of v2's show the event.
    pub(super) fn of(v1: impl IntoIterator<Item = bool>, v2: impl IntoIterator<Item = bool>) -> Self {
        let count = |all: (u32, u32), shown: bool| (all.0 + 1, all.1 + u32::from(shown));
        let (v1, by_v1) = v1.into_iter().fold((0, 0), count);
        let (v2, by_v2) = v2.into_iter().fold((0, 0), count);
        Self { margins: Margins { v1, v2, shown: by_v1 + by_v2 }, by_v2 }
    }

    /// Whether it says something: not all answers agree.
    pub(super) fn says(&self) -> bool {
        let Margins { v1, v2, shown } = self.margins;
        v1 > 0 && v2 > 0 && (1..v1 + v2).contains(&shown)
    }
}

/// Tables of many exchanges for one event. Only margins and one sum are kept: nothing else decides.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(super) struct Tables {
    /// The margins that there are, of which there are few, and how many exchanges have them.
    margins: Vec<(Margins, u64)>,
    /// How many of v2's answers show the event.
    by_v2: u64,
}

impl Tables {
    /// Adds one exchange. A table that says nothing is left out.
    pub(super) fn add(&mut self, table: Table) {
        if table.says() {
            self.count(table.margins, 1);
            self.by_v2 += u64::from(table.by_v2);
        }
    }

    /// Adds an exchange of which one thing alone is looked at, that would be so with the probability of one in twice as many
    /// as there are ways to choose `v2` of `v1 + v2`; and which is so where `met`.
    pub(super) fn add_choice(&mut self, v1: usize, v2: usize, met: bool) {
        let ways = (1..=v2).try_fold(1u32, |ways, n| {
            let (above, n) = (u32::try_from(v1 + n).ok()?, u32::try_from(n).ok()?);
            // Divides without a rest: it is the number of ways to choose n.
            Some(ways.checked_mul(above)? / n)
        });
        let Some(v1) = ways.and_then(|ways| ways.checked_mul(2)).map(|outcomes| outcomes - 1) else { return };
        // The same as one answer of v2 among so many of v1, of which one shows the event.
        self.count(Margins { v1, v2: 1, shown: 1 }, 1);
        self.by_v2 += u64::from(met);
    }

    fn count(&mut self, margins: Margins, times: u64) {
        if let Some((_, count)) = self.margins.iter_mut().find(|(known, _)| *known == margins) {
            *count += times;
        } else {
            self.margins.reserve_exact(1);
            self.margins.push((margins, times));
        }
    }

    #[cfg(test)]
    fn is_empty(&self) -> bool {
        self.margins.is_empty()
    }

    /// How many tables there are.
    pub(super) fn len(&self) -> u64 {
        self.margins.iter().map(|(_, count)| count).sum()
    }

    pub(super) fn merge(&mut self, other: &Self) {
        other.margins.iter().for_each(|(margins, count)| self.count(*margins, *count));
        self.by_v2 += other.by_v2;
    }

    /// The probability that v2 shows the event as often or more often, were each exchange's answers exchangeable between
    /// v1 and v2. `None` without tables.
    pub(super) fn p(&self) -> Option<f64> {
        if self.margins.is_empty() {
            return None;
        }
        let most: u64 = self.margins.iter().map(|(m, n)| u64::from(m.v2.min(m.shown)) * n).sum();
        let few = usize::try_from(most).is_ok_and(|most| most <= MAX_SUPPORT);
        Some(if few { self.exactly() } else { self.nearly(self.by_v2) })
    }

    /// The least probability that any outcome with these margins would have had; 1 without tables.
    pub(super) fn least(&self) -> f64 {
        let most = |m: Margins| hypergeometric(m).last().copied().unwrap_or(1.0);
        let power =
            |(m, count): &(Margins, u64)| most(*m).powf(i32::try_from(*count).map_or(f64::MAX, f64::from));
        self.margins.iter().map(power).product()
    }

    fn exactly(&self) -> f64 {
        let mut margins = self.margins.clone();
        // Sums of the same terms in another order may differ in their last digit.
        margins.sort_unstable();
        let mut sum = vec![1.0];
        for (margins, count) in &margins {
            let one = hypergeometric(*margins);
            for _ in 0..*count {
                sum = convolved(&sum, &one);
            }
        }
        let from = usize::try_from(self.by_v2).unwrap_or(usize::MAX).min(sum.len() - 1);
        // From the small end, so that small terms are not lost.
        sum[from..].iter().rev().sum::<f64>().min(1.0)
    }

    /// The upper tail by the normal distribution of the same mean and variance, with the correction for continuity.
    #[expect(clippy::cast_precision_loss, reason = "counts far below 2^53")]
    fn nearly(&self, at_least: u64) -> f64 {
        let (mut mean, mut variance) = (0.0, 0.0);
        let mut margins = self.margins.clone();
        margins.sort_unstable();
        for (m, count) in margins {
            let (n, v2, shown) = (f64::from(m.v1 + m.v2), f64::from(m.v2), f64::from(m.shown));
            mean += count as f64 * v2 * shown / n;
            variance += count as f64 * v2 * shown / n * (n - shown) / n * f64::from(m.v1) / (n - 1.0);
        }
        upper_tail((at_least as f64 - 0.5 - mean) / variance.sqrt())
    }
}

/// The probabilities that 0, 1, … of v2's answers show the event, `shown` being drawn from all without replacement.
fn hypergeometric(m: Margins) -> Vec<f64> {
    let all = binomial(m.v1 + m.v2, m.shown);
    let chance = |k: u32| {
        if m.shown - k > m.v1 { 0.0 } else { binomial(m.v2, k) * binomial(m.v1, m.shown - k) / all }
    };
    (0..=m.v2.min(m.shown)).map(chance).collect()
}

fn binomial(n: u32, k: u32) -> f64 {
    (0..k.min(n)).fold(1.0, |product, i| product * f64::from(n - i) / f64::from(i + 1))
}

fn convolved(a: &[f64], b: &[f64]) -> Vec<f64> {
    let mut sum = vec![0.0; a.len() + b.len() - 1];
    for (i, x) in a.iter().enumerate() {
        for (j, y) in b.iter().enumerate() {
            sum[i + j] += x * y;
        }
    }
    sum
}

/// The upper tail of the normal distribution, to seven digits (Abramowitz and Stegun, 26.2.17).
fn upper_tail(z: f64) -> f64 {
    if z < 0.0 {
        return 1.0 - upper_tail(-z);
    }
    let t = 1.0 / (1.0 + 0.231_641_9 * z);
    let series = [0.319_381_530, -0.356_563_782, 1.781_477_937, -1.821_255_978, 1.330_274_429];
    let sum = series.iter().rev().fold(0.0, |sum, c| (sum + c) * t);
    sum * (-z * z / 2.0).exp() / (2.0 * std::f64::consts::PI).sqrt()
}

/// The greatest of these probabilities that is significant where the expected share of false ones among the significant is
/// to be at most `rate` (Benjamini and Hochberg, 1995); `None` where none is.
pub(super) fn threshold(mut p: Vec<f64>, rate: f64) -> Option<f64> {
    p.sort_by(f64::total_cmp);
    #[expect(clippy::cast_precision_loss, reason = "bounded by the number of places")]
    let allowed = |nth: usize| rate * (nth + 1) as f64 / p.len() as f64;
    (0..p.len()).rev().find(|&nth| p[nth] <= allowed(nth)).map(|nth| p[nth])
}

#[cfg(test)]
mod tests {
    use super::*;

    fn near(a: f64, b: f64) {
        assert!((a - b).abs() < 1e-9 + b * 1e-6, "{a} is not {b}");
    }

    /// Fisher's lady tasting tea (The Design of Experiments, 1935): four of four right has 1/70, three or more 17/70.
    #[test]
    fn one_table_has_the_probability_that_fisher_gives() {
        for (by_v1, by_v2, p) in [(0, 4, 1.0 / 70.0), (1, 3, 17.0 / 70.0), (2, 2, 53.0 / 70.0)] {
            let shown = |n: usize| (0..4).map(|i| i < n).collect::<Vec<_>>();
            let mut tables = Tables::default();
            tables.add(Table::of(shown(by_v1), shown(by_v2)));
            near(tables.p().unwrap(), p);
            near(tables.least(), 1.0 / 70.0);
        }
    }

    /// Tables of one answer each are coins: five of five heads has 1/32, four or more 6/32.
    #[test]
    fn tables_of_pairs_are_the_sign_test() {
        let mut tables = Tables::default();
        (0..4).for_each(|_| tables.add(Table::of([false], [true])));
        tables.add(Table::of([true], [false]));
        near(tables.p().unwrap(), 6.0 / 32.0);
        tables = Tables::default();
        (0..5).for_each(|_| tables.add(Table::of([false], [true])));
        near(tables.p().unwrap(), 1.0 / 32.0);
        // All agree: nothing is said.
        tables = Tables::default();
        tables.add(Table::of([true; 4], [true; 4]));
        assert_eq!(tables.p(), None);
    }

    /// Of 3 and 3 answers 3 are one of 20 choices, and of 1 and 1 one of 2: together one of 40.
    #[test]
    fn a_choice_has_one_chance_in_twice_as_many_as_there_are_ways() {
        let mut tables = Tables::default();
        tables.add_choice(3, 3, true);
        near(tables.p().unwrap(), 1.0 / 40.0);
        tables.add_choice(3, 3, true);
        near(tables.p().unwrap(), 1.0 / 1600.0);
        near(tables.least(), 1.0 / 1600.0);
        // One of two at least.
        tables = Tables::default();
        tables.add_choice(3, 3, true);
        tables.add_choice(3, 3, false);
        near(tables.p().unwrap(), 1.0 - 39.0 * 39.0 / 1600.0);
        // More ways than can be counted say nothing.
        tables = Tables::default();
        tables.add_choice(60, 60, true);
        assert!(tables.is_empty());
    }

    #[test]
    fn the_approximation_is_near_the_exact_value() {
        let mut tables = Tables::default();
        (0..560).for_each(|_| tables.add(Table::of([false, true], [true, false])));
        (0..40).for_each(|_| tables.add(Table::of([false, false], [true, true])));
        let (exact, near) = (tables.exactly(), tables.nearly(tables.by_v2));
        assert!((exact / near - 1.0).abs() < 0.1, "{exact} {near}");
        // Phi(1.96) by any table.
        assert!((upper_tail(1.96) - 0.024_997_9).abs() < 1e-6);
    }

    /// The example of Benjamini and Hochberg's paper (section 3.2): fifteen hypotheses, four rejected at 0.05.
    #[test]
    fn false_discoveries_are_controlled_as_in_the_paper() {
        let p = [
            0.0001, 0.0004, 0.0019, 0.0095, 0.0201, 0.0278, 0.0298, 0.0344, 0.0459, 0.3240, 0.4262, 0.5719,
            0.6528, 0.7590, 1.0,
        ];
        assert_eq!(threshold(p.to_vec(), 0.05), Some(0.0095));
        assert_eq!(threshold(vec![0.5, 0.9], 0.05), None);
        assert_eq!(threshold(Vec::new(), 0.05), None);
    }
}
