//! Capture time.
//!
//! Everything between the packet and the report tells time by the packets: there is no "now" here,
//! so that an old capture read slowly gives the same answer as a new one read fast.

use std::fmt;
use std::ops::{Add, Sub};
use std::time::Duration;

/// A point in time: nanoseconds since 1970-01-01T00:00:00Z, as the capture states it.
///
/// Sixty-four bits reach from 1677 to 2262. Values of a broken capture beyond that saturate.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Timestamp(i64);

impl Timestamp {
    /// A time from nanoseconds since the epoch.
    #[must_use]
    pub const fn from_nanos(nanos: i64) -> Self {
        Self(nanos)
    }

    /// A time from whole seconds and nanoseconds since the epoch, saturating.
    #[must_use]
    pub const fn from_parts(seconds: i64, nanos: u32) -> Self {
        Self(seconds.saturating_mul(1_000_000_000).saturating_add(nanos as i64))
    }

    /// Nanoseconds since the epoch.
    #[must_use]
    pub const fn as_nanos(self) -> i64 {
        self.0
    }

    /// The time in RFC 3339, in UTC with nine fractional digits.
    #[must_use]
    pub fn text(self) -> TimestampText {
        TimestampText::new(self.0)
    }

    /// The time that has passed since `earlier`; zero when `earlier` is later, which captures of
    /// several interfaces do contain.
    #[must_use]
    pub fn since(self, earlier: Self) -> Duration {
        Duration::from_nanos(u64::try_from(self.0.saturating_sub(earlier.0)).unwrap_or(0))
    }
}

impl Add<Duration> for Timestamp {
    type Output = Self;

    fn add(self, rhs: Duration) -> Self {
        Self(self.0.saturating_add(i64::try_from(rhs.as_nanos()).unwrap_or(i64::MAX)))
    }
}

impl Sub<Duration> for Timestamp {
    type Output = Self;

    fn sub(self, rhs: Duration) -> Self {
        Self(self.0.saturating_sub(i64::try_from(rhs.as_nanos()).unwrap_or(i64::MAX)))
    }
}

/// RFC 3339 in UTC with nine fractional digits, as in every file that shadowcap writes.
impl fmt::Display for Timestamp {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.text().as_str())
    }
}

/// A [`Timestamp`] in RFC 3339, on the stack: captures have millions of them.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct TimestampText([u8; TimestampText::LEN]);

impl TimestampText {
    /// `2019-02-15T05:47:50.159513000Z`; the years from 1677 to 2262 all have four digits.
    const LEN: usize = 30;

    /// The text.
    #[must_use]
    pub fn as_str(&self) -> &str {
        // Digits and ASCII punctuation only.
        std::str::from_utf8(&self.0).unwrap_or_default()
    }

    fn new(nanos: i64) -> Self {
        let (seconds, fraction) = (nanos.div_euclid(1_000_000_000), nanos.rem_euclid(1_000_000_000));
        let (days, second) = (seconds.div_euclid(86_400), seconds.rem_euclid(86_400));
        let (year, month, day) = civil(days);
        let mut text = *b"0000-00-00T00:00:00.000000000Z";
        let parts = [
            (0..4, year),
            (5..7, month),
            (8..10, day),
            (11..13, second / 3600),
            (14..16, second / 60 % 60),
            (17..19, second % 60),
            (20..29, fraction),
        ];
        for (place, mut value) in parts {
            for digit in text[place].iter_mut().rev() {
                // Below ten.
                *digit = b'0' + value.rem_euclid(10).to_le_bytes()[0];
                value /= 10;
            }
        }
        Self(text)
    }
}

/// Year, month and day of the Gregorian calendar, that many days after 1970-01-01.
///
/// The year is counted from March, so that the day which leap years add is its last, and the cycle of
/// 400 years begins on 0000-03-01, 719468 days before 1970.
fn civil(days: i64) -> (i64, i64, i64) {
    const CYCLE: i64 = 146_097;
    let days = days + 719_468;
    let (cycle, day) = (days.div_euclid(CYCLE), days.rem_euclid(CYCLE));
    // A leap day for every 4 years, none for every 100, and the cycle's last day.
    let year = (day - day / 1460 + day / 36_524 - day / (CYCLE - 1)) / 365;
    let day = day - (365 * year + year / 4 - year / 100);
    // Five months from March have 153 days, as have the five from August.
    let month = (5 * day + 2) / 153;
    let day = day - (153 * month + 2) / 5 + 1;
    let (month, carry) = if month < 10 { (month + 3, 0) } else { (month - 9, 1) };
    (cycle * 400 + year + carry, month, day)
}

/// Reads a length of time: a number and its unit (ms, s, m or h), seconds without one.
///
/// # Errors
/// What is wrong with the text, for a person. A length of zero is none.
pub fn parse_duration(text: &str) -> Result<Duration, String> {
    let digits = text.trim_end_matches(|c: char| c.is_ascii_alphabetic());
    let factor = match &text[digits.len()..] {
        "ms" => 0.001,
        "" | "s" => 1.0,
        "m" => 60.0,
        "h" => 3600.0,
        unit => return Err(format!("`{unit}` is no unit of time; use ms, s, m or h")),
    };
    let number: f64 =
        digits.trim().parse().map_err(|_| "a duration is a number and a unit, such as 30s".to_owned())?;
    match Duration::try_from_secs_f64(number * factor) {
        Ok(duration) if !duration.is_zero() => Ok(duration),
        _ => Err("a duration is more than zero".to_owned()),
    }
}

/// The text was not an RFC 3339 time.
#[derive(Debug, thiserror::Error)]
#[error("`{text}` is not an RFC 3339 time such as 2026-11-22T12:07:50.123456789Z")]
pub struct TimestampError {
    text: String,
}

impl std::str::FromStr for Timestamp {
    type Err = TimestampError;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        if let Some(time) = as_printed(text.as_bytes()) {
            return Ok(time);
        }
        let error = || TimestampError { text: text.to_owned() };
        let time: jiff::Timestamp = text.parse().map_err(|_| error())?;
        i64::try_from(time.as_nanosecond()).map(Self).map_err(|_| error())
    }
}

/// A time in the form that a [`Timestamp`] is printed in, which recordings have by the million; `None` for any other
/// text, be it a time or not.
fn as_printed(text: &[u8]) -> Option<Timestamp> {
    let text: &[u8; TimestampText::LEN] = text.try_into().ok()?;
    let joints = [(4, b'-'), (7, b'-'), (10, b'T'), (13, b':'), (16, b':'), (19, b'.'), (29, b'Z')];
    let number = |part: &[u8]| {
        part.iter().try_fold(0_i64, |sum, b| b.is_ascii_digit().then(|| sum * 10 + i64::from(b - b'0')))
    };
    let [year, month, day] = [number(&text[..4])?, number(&text[5..7])?, number(&text[8..10])?];
    let [hour, minute, second] = [number(&text[11..13])?, number(&text[14..16])?, number(&text[17..19])?];
    let fraction = number(&text[20..29])?;
    let days = days(year, month, day);
    // Leap seconds are for the general parser to judge.
    let is_any = civil(days) == (year, month, day) && hour < 24 && minute < 60 && second < 60;
    if !is_any || joints.iter().any(|&(at, joint)| text[at] != joint) {
        return None;
    }
    let seconds = days * 86_400 + hour * 3600 + minute * 60 + second;
    seconds.checked_mul(1_000_000_000)?.checked_add(fraction).map(Timestamp)
}

/// The days from 1970-01-01 to a day: [`civil`] the other way round.
const fn days(year: i64, month: i64, day: i64) -> i64 {
    let (year, month) = if month > 2 { (year, month - 3) } else { (year - 1, month + 9) };
    let (cycle, year) = (year.div_euclid(400), year.rem_euclid(400));
    let before = 365 * year + year / 4 - year / 100;
    cycle * 146_097 + before + (153 * month + 2) / 5 + day - 1 - 719_468
}

impl serde::Serialize for Timestamp {
    fn serialize<S: serde::Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.serialize_str(self.text().as_str())
    }
}

impl<'de> serde::Deserialize<'de> for Timestamp {
    fn deserialize<D: serde::Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let text = std::borrow::Cow::<'de, str>::deserialize(deserializer)?;
        text.parse().map_err(serde::de::Error::custom)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn prints_and_reads_rfc3339_with_nanoseconds() {
        let time = Timestamp::from_parts(1_550_209_670, 159_513_000);
        assert_eq!(time.to_string(), "2019-02-15T05:47:50.159513000Z");
        assert_eq!(time.to_string().parse::<Timestamp>().unwrap(), time);
        for text in [
            "yesterday",
            "2019-02-30T05:47:50.159513000Z",
            "2019-13-15T05:47:50.159513000Z",
            "2019-02-15T24:47:50.159513000Z",
            "2019-02-15T05:47:50.15951300xZ",
            "9999-02-15T05:47:50.159513000Z",
        ] {
            assert!(text.parse::<Timestamp>().is_err(), "{text}");
        }
        assert_eq!("2019-02-15t05:47:50.159513000z".parse::<Timestamp>().unwrap(), time);
        assert_eq!("2019-02-15T06:47:50.15951300+01:00".parse::<Timestamp>().unwrap(), time);
    }

    #[test]
    fn every_value_can_be_printed() {
        for nanos in [i64::MIN, -1, 0, i64::MAX] {
            assert!(Timestamp::from_nanos(nanos).to_string().ends_with('Z'));
        }
        assert_eq!(Timestamp::from_parts(i64::MAX, 7).as_nanos(), i64::MAX);
    }

    #[test]
    fn the_text_is_that_of_another_implementation() {
        const DAY: i64 = 86_400 * 1_000_000_000;
        let every_day = (i64::MIN / DAY..=i64::MAX / DAY).map(|day| day * DAY + day * 1_234_567);
        for nanos in every_day.chain([i64::MIN, -1, 0, 1, i64::MAX]) {
            let jiff = jiff::Timestamp::from_nanosecond(i128::from(nanos)).unwrap();
            let time = Timestamp::from_nanos(nanos);
            assert_eq!(time.text().as_str(), format!("{jiff:.9}"), "{nanos}");
            assert_eq!(time.to_string().parse::<Timestamp>().unwrap(), time, "{nanos}");
        }
    }

    #[test]
    fn time_never_runs_backwards() {
        let (early, late) = (Timestamp::from_nanos(5), Timestamp::from_nanos(9));
        assert_eq!(late.since(early), Duration::from_nanos(4));
        assert_eq!(early.since(late), Duration::ZERO);
        assert_eq!(early + Duration::from_nanos(4) - Duration::from_nanos(4), early);
    }

    #[test]
    fn durations_have_units_and_are_positive() {
        for (text, millis) in
            [("500ms", 500), ("30s", 30_000), ("2", 2000), ("1.5m", 90_000), ("1h", 3_600_000)]
        {
            assert_eq!(parse_duration(text), Ok(Duration::from_millis(millis)), "{text}");
        }
        for text in ["", "0s", "-1s", "inf", "NaN", "3 days", "1e30h"] {
            assert!(parse_duration(text).is_err(), "{text}");
        }
    }
}
