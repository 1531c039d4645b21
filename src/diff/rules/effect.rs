//! What a rule allows at its place.

use std::borrow::Cow;
use std::time::Duration;

use regex::Regex;

use super::super::Kind;
use super::super::json::decimal;
use super::super::shape::{Shape, moment};
use crate::time::Timestamp;

/// What makes a difference one that does not count.
#[derive(Clone, Debug)]
pub(super) enum Effect {
    /// That it is there.
    Ignore,
    /// That both values have the form.
    Shape(Form),
    /// That both values are numbers, as near to each other as either of the two says: by their distance, or
    /// by that in proportion to the greater of them.
    Near { absolute: f64, relative: f64 },
    /// That both values are times no further from each other than that; or each is no further than that
    /// from the moment of its own answer.
    Time(Duration),
    /// That elements are in another order: they are matched whatever their order.
    AnyOrder,
    /// Nothing by itself: elements are matched by that member.
    ByKey(String),
    /// That both values differ in the case of letters alone.
    AnyCase,
    /// That the two values are one of these pairs, either way round.
    Equal(Vec<(String, String)>),
}

/// A form that values are asked to have.
#[derive(Clone, Debug)]
pub(super) enum Form {
    Named(Shape),
    /// The whole value fits.
    Pattern(Regex),
}

impl Form {
    /// The name of a shape, or a regular expression between slashes.
    pub(super) fn parse(text: &str) -> Result<Self, String> {
        if let Some(pattern) = text.strip_prefix('/').and_then(|text| text.strip_suffix('/')) {
            let whole = Regex::new(&format!("^(?:{pattern})$"));
            return whole.map(Self::Pattern).map_err(|error| format!("`{text}`: {error}"));
        }
        Shape::named(text).map(Self::Named).ok_or_else(|| {
            let names = Shape::NAMES.map(|(name, _)| name).join(", ");
            format!("`{text}` is no shape: {names}, or a regular expression between slashes")
        })
    }

    fn fits(&self, text: &str) -> bool {
        match self {
            Self::Named(shape) => shape.fits(text),
            Self::Pattern(regex) => regex.is_match(text),
        }
    }
}

impl Effect {
    /// Whether it says how the elements of an array belong together, and nothing of values.
    pub(super) fn is_of_arrays(&self) -> bool {
        matches!(self, Self::AnyOrder | Self::ByKey(_))
    }

    /// Whether a difference of that kind between v1's value and v2's at the rule's place is one that the rule allows;
    /// `answered` are the moments of v1's answer and of v2's.
    pub(super) fn allows(&self, kind: Kind, [v1, v2]: [&Value<'_>; 2], answered: [Timestamp; 2]) -> bool {
        let values = || Some((v1.meant()?, v2.meant()?));
        let both = |test: &dyn Fn(&str, &str) -> bool| values().is_some_and(|(a, b)| test(&a, &b));
        match self {
            Self::Ignore => true,
            Self::Shape(form) => both(&|a, b| form.fits(a) && form.fits(b)),
            Self::Near { absolute, relative } => both(&|a, b| is_near(a, b, *absolute, *relative)),
            Self::Time(tolerance) => both(&|a, b| is_at_the_time(a, b, *tolerance, answered)),
            Self::AnyOrder => kind == Kind::Reordered,
            Self::ByKey(_) => false,
            Self::AnyCase => both(&|a, b| a.to_lowercase() == b.to_lowercase()),
            Self::Equal(pairs) => {
                let (Some(a), Some(b)) = (v1.or_nothing(), v2.or_nothing()) else { return false };
                let is = |x: &str, y: &str| (x == a && y == b) || (x == b && y == a);
                pairs.iter().any(|(x, y)| is(x, y))
            }
        }
    }
}

/// Longer values are not looked at whole.
const MAX_VALUE: usize = 64 << 10;

/// One side's value at a place, as far as it is known.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(in super::super) enum Value<'v> {
    /// The side has none there.
    Absent,
    /// It has one of which only a part is known.
    Partial,
    /// All of it, as the answer has it.
    Whole(Cow<'v, str>),
}

impl<'v> Value<'v> {
    /// A value from an answer.
    pub(in super::super) fn of(bytes: Option<&'v [u8]>) -> Self {
        match bytes {
            None => Self::Absent,
            Some(bytes) if bytes.len() > MAX_VALUE => Self::Partial,
            Some(bytes) => Self::Whole(String::from_utf8_lossy(bytes)),
        }
    }

    /// A value as reports show it, which is cut where it is long.
    pub(super) fn shown(excerpt: Option<&'v str>) -> Self {
        match excerpt {
            None => Self::Absent,
            Some(text) if text.contains('…') && text.ends_with(" bytes)") => Self::Partial,
            Some(text) => Self::Whole(text.into()),
        }
    }

    /// The value as the service means it: the content of a JSON string. `None` where it is not wholly known, or not there.
    fn meant(&self) -> Option<Cow<'_, str>> {
        let Self::Whole(text) = self else { return None };
        let string = text.starts_with('"').then(|| serde_json::from_str(text).ok()).flatten();
        Some(string.map_or(Cow::Borrowed(&**text), Cow::<str>::Owned))
    }

    /// The same, with an empty text for none. `None` where it is not wholly known.
    fn or_nothing(&self) -> Option<Cow<'_, str>> {
        if *self == Self::Absent { Some(Cow::Borrowed("")) } else { self.meant() }
    }
}

fn is_near(a: &str, b: &str, absolute: f64, relative: f64) -> bool {
    let number = |text: &str| decimal(text.as_bytes()).filter(|number| number.is_finite());
    let (Some(a), Some(b)) = (number(a), number(b)) else { return false };
    let (distance, greater) = ((a - b).abs(), a.abs().max(b.abs()));
    // What the nearest doubles of two decimals are off by is no distance.
    let rounding = greater * f64::EPSILON;
    distance <= absolute + rounding || distance <= relative * greater + rounding
}

fn is_at_the_time(a: &str, b: &str, tolerance: Duration, answered: [Timestamp; 2]) -> bool {
    let (Some((_, a)), Some((_, b))) = (moment(a), moment(b)) else { return false };
    let near = |a: i128, b: i128| (a - b).unsigned_abs() <= tolerance.as_nanos();
    let since = |time: i128, answered: Timestamp| time - i128::from(answered.as_nanos());
    near(a, b) || (near(since(a, answered[0]), 0) && near(since(b, answered[1]), 0))
}
