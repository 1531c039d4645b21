//! The narrowest effect that would allow all that was seen at one place.

use std::time::Duration;

use super::effect::{Effect, Form, Value};
use crate::diff::Difference;
use crate::diff::shape::Shape;
use crate::time::Timestamp;

/// The effects that are tried, from the narrowest on, as a rules file says them. The last allows anything.
fn all() -> Vec<(&'static str, Effect)> {
    let shape = |shape| Effect::Shape(Form::Named(shape));
    let seconds = |seconds| Effect::Time(Duration::from_secs(seconds));
    let near = |relative| Effect::Near { absolute: 0.0, relative };
    vec![
        ("array = \"set\"", Effect::AnyOrder),
        ("case = \"ignore\"", Effect::AnyCase),
        ("shape = \"uuid\"", shape(Shape::Uuid)),
        ("shape = \"ulid\"", shape(Shape::Ulid)),
        ("shape = \"jwt\"", shape(Shape::Jwt)),
        ("time_tolerance = \"1s\"", seconds(1)),
        ("time_tolerance = \"5s\"", seconds(5)),
        ("time_tolerance = \"1m\"", seconds(60)),
        ("time_tolerance = \"1h\"", seconds(3600)),
        ("relative_tolerance = 0.000001", near(1e-6)),
        ("relative_tolerance = 0.01", near(0.01)),
        ("relative_tolerance = 0.1", near(0.1)),
        ("shape = \"date-time\"", shape(Shape::DateTime)),
        ("shape = \"address\"", shape(Shape::Address)),
        ("shape = \"integer\"", shape(Shape::Integer)),
        ("shape = \"number\"", shape(Shape::Number)),
        ("shape = \"hex\"", shape(Shape::Hex)),
        ("shape = \"url\"", shape(Shape::Url)),
        ("ignore = true", Effect::Ignore),
    ]
}

/// What would allow the differences at one place that were seen so far.
#[derive(Clone, Debug)]
pub struct Allowing(Vec<(&'static str, Effect)>);

impl Default for Allowing {
    fn default() -> Self {
        Self(all())
    }
}

impl Allowing {
    /// Takes one of the differences; `answered` are the moments of v1's answer and of v2's.
    pub fn see(&mut self, difference: &Difference, answered: [Timestamp; 2]) {
        let values = [&difference.v1, &difference.v2].map(|value| Value::shown(value.as_deref()));
        let [v1, v2] = &values;
        self.0.retain(|(_, effect)| effect.allows(difference.kind, [v1, v2], answered));
    }

    /// The narrowest, as a rules file says it.
    #[must_use]
    pub fn narrowest(&self) -> &'static str {
        self.0.first().map_or("ignore = true", |(text, _)| text)
    }

    /// Whether something narrower than leaving the place out would do.
    #[must_use]
    pub fn is_narrow(&self) -> bool {
        self.0.len() > 1
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::diff::{Class, Kind, Layer};

    fn narrowest(pairs: &[(&str, &str)]) -> &'static str {
        let mut allowing = Allowing::default();
        for (v1, v2) in pairs {
            let difference = Difference {
                layer: Layer::Body,
                path: "$['a']".into(),
                kind: Kind::ValueChanged,
                v1: Some((*v1).into()),
                v2: Some((*v2).into()),
                class: Class::Unverified,
            };
            allowing.see(
                &difference,
                [Timestamp::from_parts(1_700_000_000, 0), Timestamp::from_parts(1_700_009_000, 0)],
            );
        }
        allowing.narrowest()
    }

    #[test]
    fn the_narrowest_effect_that_covers_all_pairs_is_found() {
        let uuid = |last: u8| format!("\"123e4567-e89b-42d3-a456-42661417400{last}\"");
        for (pairs, effect) in [
            (vec![("\"Red\"", "\"RED\"")], "case = \"ignore\""),
            (vec![(uuid(1).as_str(), uuid(2).as_str()), (&uuid(3), &uuid(4))], "shape = \"uuid\""),
            // Each is its own answer's time.
            (
                vec![("\"2023-11-14T22:13:20Z\"", "\"2023-11-15T00:43:20Z\""), ("1700000000", "1700009000")],
                "time_tolerance = \"1s\"",
            ),
            (vec![("\"2023-11-14T22:13:20Z\"", "\"2023-11-14T22:14:10Z\"")], "time_tolerance = \"1m\""),
            (vec![("100", "100.5"), ("0.1", "0.1")], "relative_tolerance = 0.01"),
            (vec![("7", "4711")], "shape = \"integer\""),
            (vec![(uuid(1).as_str(), uuid(2).as_str()), ("\"x\"", "\"y\"")], "ignore = true"),
            (vec![("\"open\"", "\"closed\"")], "ignore = true"),
        ] {
            assert_eq!(narrowest(&pairs), effect, "{pairs:?}");
        }
    }
}
