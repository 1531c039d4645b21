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
}

impl Schedule {
    /// A schedule whose first request is due at once.
    #[must_use]
    pub fn new(speed: Speed) -> Self {
        Self { speed, first: None }
    }

    /// When a request that was captured at this time is due; `None` where it is due as soon as its turn
    /// comes. One that was captured before the first is due at once.
    pub fn due(&mut self, captured: Timestamp) -> Option<Duration> {
        let Speed::Times(Factor(factor)) = self.speed else { return None };
        let first = *self.first.get_or_insert(captured);
        let seconds = captured.since(first).as_secs_f64() / factor;
        // Beyond what a duration holds lies a due time that nobody will see.
        Some(Duration::try_from_secs_f64(seconds).unwrap_or(Duration::MAX))
    }
}

/// A cap on requests per second.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Rate(Factor);

/// Reads a number of requests per second.
impl FromStr for Rate {
    type Err = PaceError;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        let number = text.strip_suffix("/s").unwrap_or(text);
        let factor = number.parse().ok().and_then(Factor::new);
        factor.map(Self).ok_or_else(|| PaceError::Rate(text.to_owned()))
    }
}

/// Hands out slots so that never more than the rate allows begin within a second. A slot that nobody
/// used is gone: there are no bursts to catch up.
#[derive(Clone, Debug)]
pub struct RateCap {
    interval: Duration,
    next: Duration,
}

impl RateCap {
    /// A cap of this rate.
    #[must_use]
    pub fn new(rate: Rate) -> Self {
        let interval = Duration::try_from_secs_f64(1.0 / rate.0.0).unwrap_or(Duration::MAX);
        Self { interval, next: Duration::ZERO }
    }

    /// The earliest slot, as an offset from the run's start, for a request that could go `at` this one.
    pub fn slot(&mut self, at: Duration) -> Duration {
        let slot = at.max(self.next);
        self.next = slot.saturating_add(self.interval);
        slot
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const SECOND: i64 = 1_000_000_000;

    fn dues(speed: &str, captured: &[i64]) -> Vec<Option<Duration>> {
        let mut schedule = Schedule::new(speed.parse().unwrap());
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

    #[test]
    fn a_rate_spaces_requests_and_saves_up_nothing() {
        let mut cap = RateCap::new("4/s".parse().unwrap());
        let slots: Vec<_> =
            [0, 0, 0, 2000, 2000, 2100].map(|at| cap.slot(Duration::from_millis(at)).as_millis()).to_vec();
        assert_eq!(slots, [0, 250, 500, 2000, 2250, 2500]);
    }
}
