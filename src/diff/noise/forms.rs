//! The forms that v1's values have at one place, and what is news beside them.
//!
//! A form explains nothing away: at a volatile place it is what is still asked of a value.

use std::collections::BTreeMap;

use super::super::shape::{Shape, TimeFormat, moment, redacted};
use crate::time::Timestamp;

/// Values of v1 whose forms have to be known before another form is news.
const MIN_KNOWN: u64 = 10;
/// Forms that are told apart at one place. What has more of them may be any text.
const MAX_FORMS: usize = 16;
/// How far from the moment of its own answer a time is still that moment: clocks of services differ, and answers take their
/// time. Kerberos allows as much (RFC 4120, section 1.6).
const NEAR: i128 = 300 * 1_000_000_000;
/// Shorter ones are words and numbers.
const MIN_HEX: usize = 8;

/// Forms that are made by machines, in the order in which they are looked for, behind a time near now; what has none of
/// them may be any text.
const SHAPES: [(&str, Shape); 7] = [
    ("uuid", Shape::Uuid),
    ("ulid", Shape::Ulid),
    ("jwt", Shape::Jwt),
    ("date-time", Shape::DateTime),
    ("date", Shape::Date),
    ("integer", Shape::Integer),
    ("number", Shape::Number),
];
/// Those behind hexadecimal digits, which are also looked for last.
const LATER_SHAPES: [(&str, Shape); 2] = [("address", Shape::Address), ("url", Shape::Url)];

/// A form that a value may have.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
enum Form {
    /// A time near the moment of the answer that it is in, written so.
    Now(TimeFormat),
    /// One of [`SHAPES`] or [`LATER_SHAPES`], by its place in both.
    Shaped(usize),
    /// So many hexadecimal digits.
    Hex(usize),
    /// A hostname of several labels, the last one of letters: a single word is no host by its form.
    Hostname,
}

impl Form {
    /// The first form that a value has, which names that moment.
    fn of(value: &str, named: Option<(TimeFormat, i128)>, at: Timestamp) -> Option<Self> {
        let now = named.filter(|(_, moment)| is_near(*moment, at)).map(|(format, _)| Self::Now(format));
        let shaped =
            |from: usize, to: usize| (from..to).find(|nth| shape(*nth).1.fits(value)).map(Self::Shaped);
        now.or_else(|| shaped(0, SHAPES.len()))
            .or_else(|| hex_digits(value).map(Self::Hex))
            .or_else(|| shaped(SHAPES.len(), SHAPES.len() + LATER_SHAPES.len()))
            .or_else(|| is_domain(value).then_some(Self::Hostname))
    }

    fn fits(self, value: &str, at: Timestamp) -> bool {
        match self {
            Self::Now(format) => {
                moment(value).is_some_and(|(is, moment)| is == format && is_near(moment, at))
            }
            Self::Shaped(nth) => shape(nth).1.fits(value),
            Self::Hex(len) => hex_digits(value) == Some(len),
            Self::Hostname => is_domain(value),
        }
    }

    fn name(self) -> String {
        match self {
            Self::Now(format) => format!("time near now ({})", format.name()),
            Self::Shaped(nth) => shape(nth).0.to_owned(),
            Self::Hex(len) => format!("hex of {len} digits"),
            Self::Hostname => "hostname".to_owned(),
        }
    }
}

fn shape(nth: usize) -> (&'static str, Shape) {
    SHAPES.get(nth).copied().unwrap_or_else(|| LATER_SHAPES[nth - SHAPES.len()])
}

fn is_near(moment: i128, at: Timestamp) -> bool {
    (moment - i128::from(at.as_nanos())).abs() <= NEAR
}

/// How many hexadecimal digits a value consists of, or did before redaction.
fn hex_digits(value: &str) -> Option<usize> {
    if let Some(form) = redacted(value) {
        return form.strip_prefix("hex").or_else(|| form.strip_prefix("digits"))?.parse().ok();
    }
    (value.len() >= MIN_HEX && value.bytes().all(|b| b.is_ascii_hexdigit())).then_some(value.len())
}

/// How many digits a value consists of that can be nothing but hexadecimal ones, as most ids: one of them is a letter that
/// no number has, and an ULID has another length.
fn digits_alone(value: &str) -> Option<usize> {
    let (mut all, mut letter) = (value.len() >= MIN_HEX && value.len() != 26, false);
    for b in value.bytes() {
        all &= b.is_ascii_hexdigit();
        letter |= matches!(b | 0x20, b'a'..=b'd' | b'f');
    }
    (all && letter).then_some(value.len())
}

fn is_domain(value: &str) -> bool {
    let top = value.rsplit_once('.').map(|(_, top)| top);
    top.is_some_and(|top| top.len() >= 2 && top.bytes().all(|b| b.is_ascii_alphabetic()))
        && Shape::Hostname.fits(value)
}

/// How often v1's values had which form.
#[derive(Clone, Debug, Default)]
pub(super) struct Forms {
    counts: BTreeMap<Form, u64>,
    /// Values that have none, or one more than are told apart.
    formless: u64,
    /// Whether hexadecimal digits began with a zero: then a number is not written with as few as it takes.
    keeps_zeros: bool,
    /// The digest of the last value that was no time, and its form, since most answers have there what the one before had.
    last: Option<(u64, Option<Form>)>,
}

impl Forms {
    /// Notes a value that has that digest, of an answer given at that moment.
    pub(super) fn note(&mut self, value: &str, digest: u64, at: Timestamp) {
        let form = match self.last {
            Some((last, form)) if last == digest => form,
            _ => {
                let len = digits_alone(value);
                let named = if len.is_some() { None } else { moment(value) };
                let form = len.map(Form::Hex).or_else(|| Form::of(value, named, at));
                if named.is_none() {
                    self.last = Some((digest, form));
                } else if !matches!(form, Some(Form::Now(_))) {
                    self.last = None;
                }
                form
            }
        };
        self.keeps_zeros |= matches!(form, Some(Form::Hex(_))) && value.starts_with('0');
        match form.filter(|form| self.counts.len() < MAX_FORMS || self.counts.contains_key(form)) {
            Some(form) => *self.counts.entry(form).or_default() += 1,
            None => self.formless += 1,
        }
    }

    /// Whether a value has none of the forms that the noted values have, all of which have one.
    pub(super) fn is_news(&self, value: &str, at: Timestamp) -> bool {
        self.formless == 0
            && self.counts.values().sum::<u64>() >= MIN_KNOWN
            && !self.counts.keys().any(|form| form.fits(value, at) || self.is_shorter(*form, value))
    }

    /// Whether a value may be such a number with a digit or two less, where zeros in front of one are left out.
    fn is_shorter(&self, form: Form, value: &str) -> bool {
        let Form::Hex(len) = form else { return false };
        !self.keeps_zeros && hex_digits(value).is_some_and(|digits| digits < len && len - digits <= 2)
    }

    pub(super) fn merge(&mut self, other: &Self) {
        for (form, count) in &other.counts {
            *self.counts.entry(*form).or_default() += count;
        }
        self.formless += other.formless;
        self.keeps_zeros |= other.keeps_zeros;
    }

    /// The forms as reports name them.
    pub(super) fn names(&self) -> Vec<String> {
        self.counts.keys().map(|form| form.name()).collect()
    }
}

#[cfg(test)]
mod tests {
    use xxhash_rust::xxh3::xxh3_64;

    use super::*;

    proptest::proptest! {
        #[test]
        fn what_is_known_to_be_digits_has_no_other_form(value in "[0-9a-fA-F]{0,40}|[1-9][0-9]{3,10}[eE][0-9]{1,8}|[0-7][0-9a-f]{25}|[0-9a-g-]{8,12}") {
            if let Some(len) = digits_alone(&value) {
                let form = Form::of(&value, moment(&value), THEN);
                proptest::prop_assert_eq!((moment(&value), form), (None, Some(Form::Hex(len))), "{}", value);
            }
        }
    }

    const THEN: Timestamp = Timestamp::from_parts(1_700_000_000, 0);
    const LATER: Timestamp = Timestamp::from_parts(1_800_000_000, 0);

    fn noted(values: impl IntoIterator<Item = String>) -> Forms {
        let mut forms = Forms::default();
        values.into_iter().for_each(|value| forms.note(&value, xxh3_64(value.as_bytes()), THEN));
        forms
    }

    /// A time that v1 always has near its own answer has to be near v2's, and written alike.
    #[test]
    fn a_time_that_is_not_near_its_answer_is_news() {
        for (made, near, others) in [
            (
                (|n| format!("{}", 1_700_000_000 + n)) as fn(u64) -> String,
                "1800000123",
                ["1700000001", "0", "1800000123000", "1800009999"],
            ),
            (
                |n| format!("{}", 1_700_000_000_000 + n),
                "1800000000009",
                ["1800000000", "1800000000009000", "1700000000001", "-1"],
            ),
            (
                |n| format!("{}", 1_700_000_000_000_000 + n),
                "1800000000000009",
                ["1800000000009", "1700000000000001", "1", "9"],
            ),
            (
                |n| format!("2023-11-14T22:13:2{}.5Z", n % 10),
                "2027-01-15T09:00:01+01:00",
                ["2027-01-15T09:00:01Z", "1970-01-01T00:00:00Z", "Fri, 15 Jan 2027 08:00:00 GMT", "null"],
            ),
            (
                |n| format!("Tue, 14 Nov 2023 22:13:2{} GMT", n % 10),
                "Fri, 15 Jan 2027 08:04:59 GMT",
                [
                    "Thu, 01 Jan 1970 00:00:00 GMT",
                    "Fri, 15 Jan 2027 08:05:01 GMT",
                    "0",
                    "2027-01-15T08:00:00Z",
                ],
            ),
        ] {
            let forms = noted((0..10).map(made));
            assert!(!forms.is_news(near, LATER), "{near}: {forms:?}");
            for other in others {
                assert!(forms.is_news(other, LATER), "{other}: {forms:?}");
            }
        }
    }

    /// v1 gives old times as well, so that an old one of v2 is none of news.
    #[test]
    fn a_time_may_be_any_where_v1_has_any() {
        let forms = noted((0..10).map(|n| format!("{}", 1_700_000_000 - n * 1000)));
        assert!(!forms.is_news("1700000000", LATER));
        assert!(forms.is_news("later", LATER));
        assert_eq!(forms.names(), ["time near now (epoch in s)", "integer"]);
    }

    #[test]
    fn hexadecimal_digits_of_another_length_are_news() {
        let digest =
            |n: u64| format!("{:016x}{:016x}", n.wrapping_mul(0x9e37_79b9_7f4a_7c15), n << 60 | 0xabc);
        let forms = noted((1..30).map(digest));
        assert!(!forms.is_news(&digest(99), LATER));
        // A digit less, where zeros in front are kept; more; none at all.
        for other in [&digest(99)[1..], &(digest(99) + "00"), "d41d8cd9", ""] {
            assert!(forms.is_news(other, LATER), "{other}");
        }
        // Numbers that are written with as few digits as they take.
        let number = |n: u64| format!("{:x}", n.wrapping_mul(0x9e37_79b9_7f4a_7c15) | 0xa000_0000_0000_0000);
        let forms = noted((1..30).map(number));
        assert!(!forms.is_news("abcdef012345678", LATER));
        assert!(forms.is_news("abcdef01", LATER));
    }

    #[test]
    fn hosts_addresses_and_urls_stay_what_they_are() {
        for (made, like, other) in [
            ((|n| format!("shop-{n}.example.com")) as fn(u64) -> String, "cart-7.example.org", "localhost"),
            (|n| format!("10.0.0.{n}"), "2001:db8::7", "10.0.0"),
            (|n| format!("https://cdn.example/f?sig={n}"), "https://cdn.example/g", "/f?sig=1"),
        ] {
            let forms = noted((0..10).map(made));
            assert!(!forms.is_news(like, LATER), "{like}: {forms:?}");
            assert!(forms.is_news(other, LATER), "{other}: {forms:?}");
        }
        // Words are no hosts: any other word may follow.
        let words = noted((0..20).map(|n| format!("w{n}rd")));
        assert!(!words.is_news("not found!", LATER));
    }

    #[test]
    fn few_values_say_nothing() {
        let forms = noted((0..9).map(|n| n.to_string()));
        assert!(!forms.is_news("x", LATER));
    }
}
