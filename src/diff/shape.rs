//! What a value looks like: forms that values take which are made anew each time.
//!
//! A shape never explains a difference by itself. It narrows what is asked of a value: to be of that form.

use std::net::IpAddr;

use jiff::Timestamp as Moment;
use jiff::fmt::rfc2822;

/// A form that a value may have.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Shape {
    /// 8-4-4-4-12 hexadecimal digits (RFC 9562, section 4).
    Uuid,
    /// 26 characters of Crockford's base 32, the first at most 7.
    Ulid,
    /// Three parts of base64url, the first of which begins a JSON object (RFC 7519, section 3).
    Jwt,
    /// A date and time (RFC 3339, section 5.6; RFC 9110, section 5.6.7).
    DateTime,
    /// A date alone (RFC 3339, section 5.6).
    Date,
    /// Eight hexadecimal digits or more, an even number of them.
    Hex,
    /// A decimal integer.
    Integer,
    /// A decimal number.
    Number,
    /// An IPv4 or IPv6 address.
    Address,
    /// Labels of letters, digits and hyphens, joined by dots (RFC 1123, section 2.1).
    Hostname,
    /// A scheme, `://` and more (RFC 3986, section 3).
    Url,
    /// Anything but nothing.
    Any,
}

impl Shape {
    /// Every shape by the name that rules use.
    pub(super) const NAMES: [(&'static str, Self); 12] = [
        ("uuid", Self::Uuid),
        ("ulid", Self::Ulid),
        ("jwt", Self::Jwt),
        ("date-time", Self::DateTime),
        ("date", Self::Date),
        ("hex", Self::Hex),
        ("integer", Self::Integer),
        ("number", Self::Number),
        ("address", Self::Address),
        ("hostname", Self::Hostname),
        ("url", Self::Url),
        ("any", Self::Any),
    ];

    pub(super) fn named(name: &str) -> Option<Self> {
        Self::NAMES.iter().find(|(other, _)| *other == name).map(|(_, shape)| *shape)
    }

    /// Whether a text has the form, or had it before redaction took it away.
    pub(super) fn fits(self, text: &str) -> bool {
        if let Some(form) = redacted(text) {
            return self.fitted(form);
        }
        let bytes = text.as_bytes();
        match self {
            Self::Uuid => is_uuid(bytes),
            Self::Ulid => bytes.len() == 26 && bytes[0] <= b'7' && bytes.iter().all(|b| is_crockford(*b)),
            Self::Jwt => is_jwt(bytes),
            Self::DateTime => instant(text).is_some(),
            Self::Date => bytes.len() == 10 && text.parse::<jiff::civil::Date>().is_ok(),
            Self::Hex => {
                bytes.len() >= 8 && bytes.len().is_multiple_of(2) && bytes.iter().all(u8::is_ascii_hexdigit)
            }
            Self::Integer => {
                let digits = text.strip_prefix('-').unwrap_or(text);
                !digits.is_empty() && digits.bytes().all(|b| b.is_ascii_digit())
            }
            Self::Number => super::json::is_number_text(bytes),
            Self::Address => text.parse::<IpAddr>().is_ok(),
            Self::Hostname => is_hostname(text),
            Self::Url => text.split_once("://").is_some_and(|(scheme, rest)| {
                let scheme = scheme.as_bytes();
                let inner = |b: &u8| b.is_ascii_alphanumeric() || b"+-.".contains(b);
                scheme.first().is_some_and(u8::is_ascii_alphabetic)
                    && scheme.iter().all(inner)
                    && !rest.is_empty()
            }),
            Self::Any => !text.is_empty(),
        }
    }
}

impl Shape {
    /// Whether what redaction calls so had the form.
    fn fitted(self, form: &str) -> bool {
        let digits = form.strip_prefix("digits").is_some();
        let even_hex = form
            .strip_prefix("hex")
            .or_else(|| form.strip_prefix("digits"))
            .is_some_and(|len| len.parse::<u64>().is_ok_and(|len| len >= 8 && len.is_multiple_of(2)));
        match self {
            Self::Jwt => form == "jwt",
            Self::Uuid => form == "uuid",
            Self::Hex => even_hex,
            Self::Integer | Self::Number => digits,
            Self::Any => true,
            _ => false,
        }
    }
}

/// What redaction says the form of a value was, as `hex32`: `redacted:`, twelve hexadecimal digits, `:` and the form.
pub(super) fn redacted(text: &str) -> Option<&str> {
    let (digest, form) = text.strip_prefix("redacted:")?.split_once(':')?;
    let is_form = !form.is_empty() && form.bytes().all(|b| b.is_ascii_lowercase() || b.is_ascii_digit());
    let is_digest = digest.len() == 12 && digest.bytes().all(|b| b.is_ascii_hexdigit());
    (is_digest && is_form).then_some(form)
}

fn is_uuid(bytes: &[u8]) -> bool {
    let mut groups = bytes.split(|&b| b == b'-');
    let fits = |len: &usize, group: &[u8]| group.len() == *len && group.iter().all(u8::is_ascii_hexdigit);
    [8, 4, 4, 4, 12].iter().all(|len| groups.next().is_some_and(|group| fits(len, group)))
        && groups.next().is_none()
}

fn is_crockford(b: u8) -> bool {
    b.is_ascii_digit() || (b.is_ascii_alphabetic() && !b"ILOU".contains(&b.to_ascii_uppercase()))
}

fn is_jwt(bytes: &[u8]) -> bool {
    let base64 = |part: &[u8]| part.iter().all(|b| b.is_ascii_alphanumeric() || b"-_".contains(b));
    let parts: Vec<_> = bytes.splitn(4, |&b| b == b'.').collect();
    // `eyJ` is how `{"` begins in base64.
    parts.len() == 3 && parts[0].starts_with(b"eyJ") && parts.iter().all(|part| base64(part))
}

fn is_hostname(text: &str) -> bool {
    let label = |label: &str| {
        (1..=63).contains(&label.len())
            && label.bytes().all(|b| b.is_ascii_alphanumeric() || b == b'-')
            && !label.starts_with('-')
            && !label.ends_with('-')
    };
    text.len() <= 253 && text.split('.').all(label) && text.bytes().any(|b| b.is_ascii_alphabetic())
}

/// The moment that a text names, with its offset from UTC or as HTTP writes it.
fn instant(text: &str) -> Option<Moment> {
    timestamp(text).or_else(|| http_date(text))
}

fn timestamp(text: &str) -> Option<Moment> {
    // None is without an offset; most values are told by that.
    let may_be = text.bytes().any(|b| b"Zz+-".contains(&b) || !b.is_ascii());
    may_be.then(|| text.parse().ok()).flatten()
}

fn http_date(text: &str) -> Option<Moment> {
    // None is without a time of day.
    let may_be = text.contains(':');
    may_be.then(|| rfc2822::DateTimeParser::new().parse_timestamp(text).ok()).flatten()
}

/// How a text names a moment.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub(super) enum TimeFormat {
    /// RFC 3339, section 5.6.
    Rfc3339,
    /// RFC 9110, section 5.6.7.
    HttpDate,
    /// Seconds since 1970.
    Seconds,
    /// Milliseconds since 1970.
    Millis,
    /// Microseconds since 1970.
    Micros,
    /// Nanoseconds since 1970.
    Nanos,
}

impl TimeFormat {
    /// Its name in reports.
    pub(super) const fn name(self) -> &'static str {
        match self {
            Self::Rfc3339 => "RFC 3339",
            Self::HttpDate => "HTTP date",
            Self::Seconds => "epoch in s",
            Self::Millis => "epoch in ms",
            Self::Micros => "epoch in µs",
            Self::Nanos => "epoch in ns",
        }
    }
}

/// The moment that a text names, in nanoseconds since 1970: a date and time, or a number of whatever unit makes it a
/// moment between 2001 and 2286.
pub(super) fn moment(text: &str) -> Option<(TimeFormat, i128)> {
    if let Some(moment) = timestamp(text) {
        return Some((TimeFormat::Rfc3339, moment.as_nanosecond()));
    }
    let Some(number) = super::json::decimal(text.as_bytes()) else {
        return http_date(text).map(|moment| (TimeFormat::HttpDate, moment.as_nanosecond()));
    };
    let units = [
        (TimeFormat::Seconds, 1_000_000_000),
        (TimeFormat::Millis, 1_000_000),
        (TimeFormat::Micros, 1000),
        (TimeFormat::Nanos, 1),
    ];
    let (format, unit) =
        units.into_iter().find(|(_, unit)| (1e18..1e19).contains(&(number * f64::from(*unit))))?;
    #[allow(clippy::cast_possible_truncation, reason = "the range was just checked")]
    let exactly = |number: f64| number as i128;
    // A double has no room for a moment and its nanoseconds.
    let whole = text.parse().unwrap_or_else(|_| exactly(number.trunc()));
    Some((format, whole * i128::from(unit) + exactly(number.fract() * f64::from(unit))))
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The examples of the documents that define the forms, and what is not quite one.
    #[test]
    fn values_have_the_shapes_that_their_documents_give() {
        for (name, fits, does_not) in [
            ("uuid", "f81d4fae-7dec-11d0-a765-00a0c91e6bf6", "f81d4fae-7dec-11d0-a765-00a0c91e6bfg"),
            ("ulid", "01ARZ3NDEKTSV4RRFFQ69G5FAV", "81ARZ3NDEKTSV4RRFFQ69G5FAV"),
            ("jwt", "eyJ0eXAiOiJKV1QiLCJhbGciOiJub25lIn0.eyJpc3MiOiJqb2UifQ.", "eyJ0.eyJp"),
            ("date-time", "1985-04-12T23:20:50.52Z", "1985-04-12T23:20:50"),
            ("date-time", "Sun, 06 Nov 1994 08:49:37 GMT", "Sun, 06 Nov 1994"),
            ("date", "1985-04-12", "1985-13-12"),
            ("hex", "d41d8cd98f00b204", "d41d8cd"),
            ("integer", "-12", "1.0"),
            ("number", "1.50e3", "01"),
            ("address", "2001:db8::1", "2001:db8::g"),
            ("hostname", "api-7f9c.example.com", "-a.example"),
            ("url", "https://example.com/", "//example.com"),
            ("any", " ", ""),
        ] {
            let shape = Shape::named(name).unwrap();
            assert!(shape.fits(fits), "{name}: {fits}");
            assert!(!shape.fits(does_not), "{name}: {does_not}");
        }
        assert_eq!(Shape::named("UUID"), None);
    }

    /// 784111777 is the moment of RFC 9110's example of a date (section 5.6.7).
    #[test]
    fn a_moment_is_known_in_each_common_form() {
        for (text, format, nanos) in [
            ("Sun, 06 Nov 1994 08:49:37 GMT", TimeFormat::HttpDate, 784_111_777_000_000_000),
            ("1994-11-06T08:49:37Z", TimeFormat::Rfc3339, 784_111_777_000_000_000),
            ("1994-11-06T09:49:37.5+01:00", TimeFormat::Rfc3339, 784_111_777_500_000_000),
            ("1700000000", TimeFormat::Seconds, 1_700_000_000_000_000_000),
            ("1700000000.25", TimeFormat::Seconds, 1_700_000_000_250_000_000),
            ("1700000000250", TimeFormat::Millis, 1_700_000_000_250_000_000),
            ("1700000000250000", TimeFormat::Micros, 1_700_000_000_250_000_000),
            ("1700000000250000000", TimeFormat::Nanos, 1_700_000_000_250_000_000),
        ] {
            assert_eq!(moment(text), Some((format, nanos)), "{text}");
        }
        for text in ["", "0", "-1", "17000000000", "170000000025", "1994-11-06", "now", "1e999", "éé"] {
            assert_eq!(moment(text), None, "{text}");
        }
    }

    proptest::proptest! {
        #[test]
        fn what_is_told_at_a_glance_is_no_moment(
            text in "[0-9TtZz: +.-]{0,24}|[0-9]{4}-[01][0-9]-[0-3][0-9][Tt ][0-2][0-9]:?[0-5][0-9](:?[0-5][0-9])?([Zz]|[+-][01][0-9])?\
                     |([MTW][a-z]{2}, )?[0-3]?[0-9] (Jan|Feb) [0-9]{4} [0-9]{2}[:. ]?[0-9]{2}( GMT| [+-][0-9]{4})?",
        ) {
            proptest::prop_assert_eq!(timestamp(&text), text.parse::<Moment>().ok());
            let date = rfc2822::DateTimeParser::new().parse_timestamp(&text).ok();
            proptest::prop_assert_eq!(http_date(&text), date);
        }
    }

    #[test]
    fn what_was_redacted_has_the_shape_that_it_had() {
        for (shape, form, fits) in [
            ("jwt", "jwt", true),
            ("uuid", "uuid", true),
            ("uuid", "jwt", false),
            ("hex", "hex32", true),
            ("hex", "hex33", false),
            ("integer", "digits16", true),
            ("integer", "text16", false),
            ("any", "short", true),
        ] {
            let text = format!("redacted:0123456789ab:{form}");
            assert_eq!(Shape::named(shape).unwrap().fits(&text), fits, "{shape} {form}");
        }
        assert!(!Shape::Jwt.fits("redacted:0123:jwt"));
    }
}
