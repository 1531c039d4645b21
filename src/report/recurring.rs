//! The differences of the row before on a route: mostly those of the next row are the same ones, with other values.

use crate::diff::{Class, Difference, Kind, Layer};

/// Differences of a row that are remembered.
const MOST: usize = 8;
/// Bytes of a difference that is: there are as many lists as routes.
const LONGEST: usize = 1024;

/// What the row before showed, each difference in its place.
#[derive(Clone, Debug, Default)]
pub(super) struct Recurring(Vec<Known>);

#[derive(Clone, Debug)]
struct Known {
    layer: Layer,
    kind: Kind,
    class: Class,
    path: String,
    /// The values, where the fingerprint follows from them as well.
    values: Option<[Option<String>; 2]>,
    at: Option<usize>,
    times: u32,
}

/// A difference as it was met.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Met {
    /// Where it is counted, which its fingerprint and its class decide.
    pub(super) at: Option<usize>,
    /// In how many rows before, one behind the other, it was in its place.
    pub(super) times: u32,
}

impl Recurring {
    /// Where a row's `nth` difference is counted, which is looked for where the row before had another one in that place.
    pub(super) fn at(
        &mut self,
        nth: usize,
        difference: &Difference,
        find: impl FnOnce() -> Option<usize>,
    ) -> Met {
        if let Some(known) = self.0.get_mut(nth).filter(|known| known.is(difference)) {
            known.times = known.times.saturating_add(1);
            return Met { at: known.at, times: known.times - 1 };
        }
        let at = find();
        if nth <= self.0.len() && nth < MOST && is_short(difference) {
            let known = Known::new(difference, at);
            if nth < self.0.len() { self.0[nth] = known } else { self.0.push(known) }
        }
        Met { at, times: 0 }
    }
}

impl Known {
    fn new(difference: &Difference, at: Option<usize>) -> Self {
        let Difference { layer, kind, class, ref path, ref v1, ref v2 } = *difference;
        let values = is_told_by_values(difference).then(|| [v1.clone(), v2.clone()]);
        Self { layer, kind, class, path: path.clone(), values, at, times: 1 }
    }

    fn is(&self, difference: &Difference) -> bool {
        let Difference { layer, kind, class, path, v1, v2 } = difference;
        (self.layer, self.kind, self.class) == (*layer, *kind, *class)
            && self.path == *path
            && self.values.as_ref().is_none_or(|[known1, known2]| known1 == v1 && known2 == v2)
    }
}

fn is_short(difference: &Difference) -> bool {
    let value = |value: &Option<String>| value.as_ref().map_or(0, String::len);
    difference.path.len() + value(&difference.v1) + value(&difference.v2) <= LONGEST
}

/// Whether the values may be a part of what a fingerprint is made of: codes of a status, types, the words of a text. They are
/// none of it at a place in JSON; one in markup may end as such a place does, `text()[2]`.
fn is_told_by_values(difference: &Difference) -> bool {
    let is_in_json = difference.path.starts_with('$') && difference.path.ends_with(']');
    match difference.layer {
        Layer::Header => false,
        Layer::Status => true,
        Layer::Body => difference.kind == Kind::TypeChanged || !is_in_json,
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;
    use crate::diff::Fingerprint;

    fn difference() -> impl Strategy<Value = Difference> {
        let path = prop_oneof![
            "\\$(\\['[a-z ]{1,3}'\\]|\\[[0-9]\\]){0,2}",
            "line [1-3]",
            "/html/p\\[[12]\\](/text\\(\\)(\\[[12]\\])?)?",
            "/p\\[1\\] \\$\\['a'\\]",
            "part\\[a\\] line 1",
            "x-[ab]",
            "\\$\\['cut line [1-3]",
            Just(String::new()),
        ];
        let kind = prop_oneof![Just(Kind::ValueChanged), Just(Kind::TypeChanged), Just(Kind::Missing)];
        let layer = prop_oneof![Just(Layer::Status), Just(Layer::Header), Just(Layer::Body)];
        let class = prop_oneof![Just(Class::Unverified), Just(Class::Volatile)];
        let value = || proptest::option::of("a [bc]|[12]|\"x\"|null");
        (layer, path, kind, class, value(), value())
            .prop_map(|(layer, path, kind, class, v1, v2)| Difference { layer, path, kind, v1, v2, class })
    }

    proptest! {
        #[test]
        fn a_place_that_is_remembered_is_that_of_the_difference(
            pool in proptest::collection::vec(difference(), 1..5),
            rows in proptest::collection::vec(proptest::collection::vec((0_usize..5, any::<bool>()), 0..4), 1..20),
        ) {
            let (mut recurring, mut counted) = (Recurring::default(), Vec::new());
            for row in rows {
                for (nth, (one, other_values)) in row.into_iter().enumerate() {
                    let mut d = pool[one % pool.len()].clone();
                    if other_values {
                        d.v1 = Some("b b".to_owned());
                    }
                    let key = (Fingerprint::of(b"GET", b"api", "/x", &d), d.class);
                    let mut find = || {
                        let known = counted.iter().position(|known| *known == key);
                        known.or_else(|| {
                            counted.push(key);
                            Some(counted.len() - 1)
                        })
                    };
                    prop_assert_eq!(recurring.at(nth, &d, &mut find).at, find(), "{:?}", d);
                }
            }
        }
    }

    #[test]
    fn what_rows_have_in_one_place_is_counted_from_row_to_row() {
        let (mut recurring, path) = (Recurring::default(), "x-a".to_owned());
        let (layer, kind, class) = (Layer::Header, Kind::Missing, Class::Unverified);
        let mut d = Difference { layer, path, kind, v1: Some("1".into()), v2: None, class };
        let mut times = |d: &Difference| recurring.at(0, d, || Some(7)).times;
        assert_eq!([times(&d), times(&d), times(&d)], [0, 1, 2]);
        d.v1 = Some("2".to_owned());
        assert_eq!(times(&d), 3);
        d.class = Class::Volatile;
        assert_eq!(times(&d), 0);
    }
}
