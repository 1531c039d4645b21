//! When each request is due: plain arithmetic on the times of the capture.
//!
//! The schedule is absolute. Each due time follows from the capture alone, never from when the request
//! before was sent, so that delays do not add up over a long run.

use std::fmt;
use std::str::FromStr;
use std::time::Duration;

use crate::time::Timestamp;

/// How fast a capture is replayed.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub enum Speed {
    /// As fast as v2 answers.
    #[default]
    Max,
    /// So many times as fast as captured; above zero, finite.
    Times(Factor),
}

/// A number above zero, finite.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Factor(f64);

/// The text was no speed, or no rate.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum PaceError {
    /// No speed.
    #[error("`{0}` is not a speed: `max`, or a number above zero such as 1, 0.5 or 10")]
    Speed(String),
    /// No rate.
    #[error("`{0}` is not a rate: a number of requests per second above zero, such as 100 or 0.5")]
    Rate(String),
}

impl Factor {
    /// `value`, where it is above zero and finite.
    #[must_use]
    pub fn new(value: f64) -> Option<Self> {
        (value > 0.0 && value.is_finite()).then_some(Self(value))
    }
}

/// Reads `max`, or a factor such as `1`, `0.5` or `10`.
impl FromStr for Speed {
    type Err = PaceError;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        if text == "max" {
            return Ok(Self::Max);
        }
        let factor = text.parse().ok().and_then(Factor::new);
        factor.map(Self::Times).ok_or_else(|| PaceError::Speed(text.to_owned()))
    }
}

impl fmt::Display for Speed {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Max => f.write_str("max"),
            Self::Times(Factor(factor)) => factor.fmt(f),
        }
    }
}

/// The schedule of one run: due times as offsets from its start.
#[derive(Clone, Debug)]
pub struct Schedule {
    speed: Speed,
    first: Option<Timestamp>,
    arrivals: Option<Arrivals>,
}

impl Schedule {
    /// When something that is no request happens, captured at this time; `None` where nothing has its time.
    #[must_use]
    pub fn moment(&self, captured: Timestamp) -> Option<Duration> {
        let Speed::Times(Factor(factor)) = self.speed else { return None };
        let seconds = captured.since(self.first?).as_secs_f64() / factor;
        Some(Duration::try_from_secs_f64(seconds).unwrap_or(Duration::MAX))
    }

    /// A schedule whose first request is due at once, and in which no more are due than `rate` allows.
    #[must_use]
    pub fn new(speed: Speed, rate: Option<Rate>) -> Self {
        Self { speed, first: None, arrivals: rate.map(Arrivals::new) }
    }

    /// When the next request is due, one that was captured at this time; `None` where it is due as soon
    /// as its turn comes. One that was captured before the first is due at once.
    pub fn due(&mut self, captured: Timestamp) -> Option<Duration> {
        let paced = match self.speed {
            Speed::Max => None,
            Speed::Times(Factor(factor)) => {
                let first = *self.first.get_or_insert(captured);
                let seconds = captured.since(first).as_secs_f64() / factor;
                // Beyond what a duration holds lies a due time that nobody will see.
                Some(Duration::try_from_secs_f64(seconds).unwrap_or(Duration::MAX))
            }
        };
        match &mut self.arrivals {
            Some(arrivals) => Some(arrivals.slot(paced.unwrap_or_default())),
            None => paced,
        }
    }
}

/// A number of requests per second, reached at once or by and by.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Rate {
    per_second: Factor,
    ramp: Duration,
}

impl Rate {
    /// The same rate, reached evenly from nothing within this time.
    #[must_use]
    pub const fn reached_after(self, ramp: Duration) -> Self {
        Self { ramp, ..self }
    }

    /// At what rate a run catches up that has fallen behind this one: a tenth more.
    #[must_use]
    pub const fn catching_up(self) -> Self {
        Self { per_second: Factor(self.per_second.0 * 1.1), ..self }
    }

    /// How many requests are due within the first `seconds`: the area below the rate.
    fn count(self, seconds: f64) -> f64 {
        let (rate, ramp) = (self.per_second.0, self.ramp.as_secs_f64());
        if seconds < ramp { rate * seconds * seconds / (2.0 * ramp) } else { rate * (seconds - ramp / 2.0) }
    }

    /// When so many are due: the inverse of [`count`](Self::count).
    fn seconds(self, count: f64) -> f64 {
        let (rate, ramp) = (self.per_second.0, self.ramp.as_secs_f64());
        if count < rate * ramp / 2.0 { (2.0 * ramp * count / rate).sqrt() } else { count / rate + ramp / 2.0 }
    }
}

/// Reads a number of requests per second, such as `100` or `0.5/s`.
impl FromStr for Rate {
    type Err = PaceError;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        let number = text.strip_suffix("/s").unwrap_or(text);
        let factor = number.parse().ok().and_then(Factor::new);
        factor
            .map(|per_second| Self { per_second, ramp: Duration::ZERO })
            .ok_or_else(|| PaceError::Rate(text.to_owned()))
    }
}

/// Hands out slots so that never more than the rate allows begin within a second. A slot that nobody
/// used is gone: there are no bursts to catch up.
#[derive(Clone, Debug)]
pub struct Arrivals {
    rate: Rate,
    /// How many are due before the next slot. Slots follow from it and not from each other, so that
    /// rounding does not add up.
    count: f64,
}

impl Arrivals {
    /// Slots of this rate.
    #[must_use]
    pub const fn new(rate: Rate) -> Self {
        Self { rate, count: 0.0 }
    }

    /// The earliest slot, as an offset from the run's start, for a request that could go `at` this one.
    pub fn slot(&mut self, at: Duration) -> Duration {
        // A slot that cannot be told never comes.
        let next = Duration::try_from_secs_f64(self.rate.seconds(self.count)).unwrap_or(Duration::MAX);
        let slot = at.max(next);
        if at > next {
            self.count = self.rate.count(at.as_secs_f64());
        }
        self.count += 1.0;
        slot
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const SECOND: i64 = 1_000_000_000;

    fn dues(speed: &str, captured: &[i64]) -> Vec<Option<Duration>> {
        let mut schedule = Schedule::new(speed.parse().unwrap(), None);
        captured.iter().map(|&at| schedule.due(Timestamp::from_nanos(at))).collect()
    }

    #[test]
    fn due_times_follow_the_capture_from_its_first_request_on() {
        let captured = [100 * SECOND, 101 * SECOND, 103 * SECOND + 500_000_000, 99 * SECOND];
        let millis = |times: [u64; 4]| times.map(|t| Some(Duration::from_millis(t))).to_vec();
        assert_eq!(dues("1", &captured), millis([0, 1000, 3500, 0]));
        assert_eq!(dues("2", &captured), millis([0, 500, 1750, 0]));
        assert_eq!(dues("0.5", &captured), millis([0, 2000, 7000, 0]));
        assert_eq!(dues("max", &captured), [None; 4]);
    }

    #[test]
    fn after_a_year_the_schedule_is_exact_to_the_microsecond() {
        let year = 365 * 24 * 3600;
        let due = dues("1", &[7, 7 + year * SECOND + 1_000])[1].unwrap();
        assert!(
            due.abs_diff(Duration::from_secs(year.unsigned_abs()) + Duration::from_micros(1))
                < Duration::from_micros(1)
        );
    }

    #[test]
    fn extreme_times_saturate() {
        assert_eq!(dues("1e-300", &[i64::MIN, i64::MAX])[1], Some(Duration::MAX));
        assert_eq!(dues("1e300", &[i64::MIN, i64::MAX])[1], Some(Duration::ZERO));
    }

    #[test]
    fn what_is_no_speed_or_rate_is_refused() {
        for text in ["", "0", "-1", "NaN", "inf", "fast", "MAX"] {
            let error = text.parse::<Speed>().unwrap_err().to_string();
            assert!(error.starts_with(&format!("`{text}` is not a speed")), "{error}");
            assert!(text.parse::<Rate>().is_err(), "{text}");
        }
        assert_eq!("10".parse::<Speed>().unwrap().to_string(), "10");
    }

    fn slots(rate: Rate, at: &[u64]) -> Vec<f64> {
        let mut arrivals = Arrivals::new(rate);
        at.iter().map(|at| arrivals.slot(Duration::from_millis(*at)).as_secs_f64()).collect()
    }

    #[track_caller]
    fn near(slots: &[f64], expected: &[f64]) {
        let right = slots.iter().zip(expected).all(|(slot, expected)| (slot - expected).abs() < 1e-6);
        assert!(right && slots.len() == expected.len(), "{slots:?}\n{expected:?}");
    }

    #[test]
    fn a_rate_spaces_requests_and_saves_up_nothing() {
        let rate: Rate = "4/s".parse().unwrap();
        near(&slots(rate, &[0, 0, 0, 2000, 2000, 2100]), &[0.0, 0.25, 0.5, 2.0, 2.25, 2.5]);
    }

    #[test]
    fn a_ramp_begins_with_nothing_and_reaches_the_rate_in_time() {
        let rate = "8".parse::<Rate>().unwrap().reached_after(Duration::from_secs(4));
        // Below a rate that grows by 2 each second lie t² requests; from the 16th on there are 8 each second.
        let expected: Vec<f64> = (0..=40_u32)
            .map(f64::from)
            .map(|n| if n < 16.0 { n.sqrt() } else { 4.0 + (n - 16.0) / 8.0 })
            .collect();
        near(&slots(rate, &[0; 41]), &expected);
    }

    #[test]
    fn a_rate_does_not_drift() {
        let mut arrivals = Arrivals::new("3000".parse().unwrap());
        let last = (0..=3000 * 3600).map(|_| arrivals.slot(Duration::ZERO)).last().unwrap();
        let error = last.abs_diff(Duration::from_secs(3600));
        assert!(error < Duration::from_micros(100), "{error:?} after an hour");
    }

    #[test]
    fn with_a_speed_and_a_rate_a_request_is_due_when_both_allow_it() {
        let mut schedule = Schedule::new("1".parse().unwrap(), Some("10/s".parse().unwrap()));
        let mut due =
            |millis: i64| schedule.due(Timestamp::from_nanos(millis * 1_000_000)).unwrap().as_millis();
        assert_eq!([0, 10, 20, 500].map(&mut due), [0, 100, 200, 500]);
        let mut schedule = Schedule::new(Speed::Max, Some("10/s".parse().unwrap()));
        assert_eq!(schedule.due(Timestamp::from_nanos(7)), Some(Duration::ZERO));
        assert_eq!(schedule.due(Timestamp::from_nanos(7)), Some(Duration::from_millis(100)));
    }

    #[test]
    fn rates_that_never_come_or_never_end_do_no_harm() {
        for text in ["1e-300", "1e300"] {
            let mut arrivals = Arrivals::new(text.parse().unwrap());
            let slots: Vec<_> = (0..10).map(|_| arrivals.slot(Duration::ZERO)).collect();
            assert!(slots.is_sorted(), "{slots:?}");
        }
    }
}
