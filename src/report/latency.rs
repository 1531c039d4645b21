//! How long answers took: histograms of bounded size, and the few numbers that reports show of them.

use std::time::Duration;

use hdrhistogram::Histogram;
use serde::{Deserialize, Serialize};

/// The longest latency that is told from longer ones.
const LONGEST_MICROS: u64 = 3_600_000_000;
/// Steps of the distribution for each factor of ten.
const STEPS_PER_DECADE: u32 = 8;

/// Quantiles of a latency, in milliseconds.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
pub struct Quantiles {
    /// The median.
    pub p50: f64,
    /// The ninetieth percentile.
    pub p90: f64,
    /// The ninety-fifth percentile.
    pub p95: f64,
    /// The ninety-ninth percentile.
    pub p99: f64,
    /// The longest.
    pub max: f64,
}

/// How often latencies up to a bound, and above the bound before it, were met.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
pub struct Step {
    /// The bound, in milliseconds; steps are even on a logarithmic scale.
    pub up_to_ms: f64,
    /// Answers of v1.
    pub v1: u64,
    /// Answers of v2.
    pub v2: u64,
}

/// How late requests were sent, in milliseconds.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Lateness {
    /// The few numbers.
    #[serde(flatten)]
    pub quantiles: Quantiles,
    /// How often which lateness was met.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub distribution: Vec<LateStep>,
}

/// How often lateness up to a bound, and above the bound before it, was met.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
pub struct LateStep {
    /// The bound, in milliseconds; steps are even on a logarithmic scale.
    pub up_to_ms: f64,
    /// Requests.
    pub count: u64,
}

/// Latencies of v1, as captured, beside those of v2, as measured, for rows that both answered.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct Latency {
    /// How many rows both answered.
    pub count: u64,
    /// v1, from the request's first byte to the answer's last, as the capture saw it; `None` without any.
    pub v1: Option<Quantiles>,
    /// v2, from the first byte sent to the last received; `None` without any.
    pub v2: Option<Quantiles>,
    /// Both distributions, from the shortest to the longest that was met.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub distribution: Vec<Step>,
}

/// Gathers durations in constant memory.
#[derive(Clone)]
pub(super) struct Gathered(Histogram<u32>);

impl Gathered {
    /// With `digits` significant decimal digits, from 1 to 5; more need more memory.
    pub(super) fn new(digits: u8) -> Self {
        // It fails for digits above 5 alone.
        let mut histogram =
            Histogram::new(digits.min(5)).unwrap_or_else(|_| unreachable!("digits are at most 5"));
        histogram.auto(true);
        Self(histogram)
    }

    pub(super) fn add(&mut self, time: Duration) {
        let micros = u64::try_from(time.as_micros()).unwrap_or(u64::MAX).clamp(1, LONGEST_MICROS);
        // A count that would overflow 32 bits stays: the quantiles are right by then.
        let _ = self.0.record(micros);
    }

    /// The numbers and the distribution, where anything was gathered.
    pub(super) fn lateness(&self) -> Option<Lateness> {
        let mut steps = Steps::new();
        self.count_into(&mut steps, |step| &mut step.0);
        let step = |(up_to_ms, (count, _)): (f64, (u64, u64))| LateStep { up_to_ms, count };
        let distribution = evenly(&steps).map(step).collect();
        self.quantiles().map(|quantiles| Lateness { quantiles, distribution })
    }

    fn count_into(&self, steps: &mut Steps, side: fn(&mut (u64, u64)) -> &mut u64) {
        for value in self.0.iter_recorded() {
            *side(steps.entry(step(value.value_iterated_to())).or_default()) +=
                u64::from(value.count_at_value());
        }
    }

    pub(super) fn quantiles(&self) -> Option<Quantiles> {
        let at = |quantile: f64| millis(self.0.value_at_quantile(quantile));
        (!self.0.is_empty()).then(|| Quantiles {
            p50: at(0.5),
            p90: at(0.9),
            p95: at(0.95),
            p99: at(0.99),
            max: millis(self.0.max()),
        })
    }
}

/// Both histograms side by side.
#[derive(Clone)]
pub(super) struct Pair {
    pub(super) v1: Gathered,
    pub(super) v2: Gathered,
    count: u64,
}

impl Pair {
    pub(super) fn new(digits: u8) -> Self {
        Self { v1: Gathered::new(digits), v2: Gathered::new(digits), count: 0 }
    }

    pub(super) fn add(&mut self, v1: Duration, v2: Duration) {
        self.v1.add(v1);
        self.v2.add(v2);
        self.count += 1;
    }

    /// The numbers, without the distribution.
    pub(super) fn latency(&self) -> Latency {
        Latency {
            count: self.count,
            v1: self.v1.quantiles(),
            v2: self.v2.quantiles(),
            distribution: Vec::new(),
        }
    }

    /// The numbers, with the distribution.
    pub(super) fn latency_with_distribution(&self) -> Latency {
        let mut steps = Steps::new();
        self.v1.count_into(&mut steps, |step| &mut step.0);
        self.v2.count_into(&mut steps, |step| &mut step.1);
        let step = |(up_to_ms, (v1, v2)): (f64, (u64, u64))| Step { up_to_ms, v1, v2 };
        let distribution = evenly(&steps).map(step).collect();
        Latency { distribution, ..self.latency() }
    }
}

/// Counts of two sides by the step of the logarithmic scale.
type Steps = std::collections::BTreeMap<u32, (u64, u64)>;

/// Every step from the first to the last that was met, by its upper bound in milliseconds.
fn evenly(steps: &Steps) -> impl Iterator<Item = (f64, (u64, u64))> + '_ {
    let ends = steps.first_key_value().zip(steps.last_key_value());
    let all = ends.map(|((first, _), (last, _))| *first..=*last).into_iter().flatten();
    all.map(|n| {
        let bound = rounded(10_f64.powf(f64::from(n) / f64::from(STEPS_PER_DECADE)) / 1000.0);
        (bound, steps.get(&n).copied().unwrap_or_default())
    })
}

/// The step on the logarithmic scale that a number of microseconds belongs to.
#[expect(
    clippy::cast_precision_loss,
    clippy::cast_possible_truncation,
    clippy::cast_sign_loss,
    reason = "microseconds of at most an hour; the logarithm is between 0 and 100"
)]
fn step(micros: u64) -> u32 {
    ((micros.max(1) as f64).log10() * f64::from(STEPS_PER_DECADE)).ceil() as u32
}

/// Microseconds as milliseconds.
#[expect(clippy::cast_precision_loss, reason = "microseconds of at most an hour")]
fn millis(micros: u64) -> f64 {
    micros as f64 / 1000.0
}

/// Three decimals, so that the last bits of a power do not depend on the machine.
fn rounded(value: f64) -> f64 {
    (value * 1000.0).round() / 1000.0
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn quantiles_are_within_the_precision_asked_for() {
        let mut pair = Pair::new(3);
        for ms in 1..=1000 {
            pair.add(Duration::from_millis(ms), Duration::from_millis(2 * ms));
        }
        let latency = pair.latency_with_distribution();
        let near = |value: f64, expected: f64| (value - expected).abs() <= expected * 0.002;
        let (v1, v2) = (latency.v1.unwrap(), latency.v2.unwrap());
        assert!(near(v1.p50, 500.0) && near(v1.p90, 900.0) && near(v1.p99, 990.0), "{v1:?}");
        assert!(near(v2.p95, 1900.0) && near(v2.max, 2000.0), "{v2:?}");
        assert_eq!(latency.distribution.iter().map(|s| s.v1).sum::<u64>(), 1000);
        assert_eq!(latency.distribution.iter().map(|s| s.v2).sum::<u64>(), 1000);
        assert!(latency.distribution.windows(2).all(|w| w[0].up_to_ms < w[1].up_to_ms));
    }

    #[test]
    fn nothing_and_eternity_are_no_trouble() {
        let mut pair = Pair::new(2);
        assert_eq!(pair.latency_with_distribution(), Latency::default());
        pair.add(Duration::ZERO, Duration::MAX);
        assert!(pair.latency().v2.unwrap().max >= 3_600_000.0);
    }
}
