//! The differences of the exchange before: mostly those of the next one are at the same places, which then have not to be
//! looked for. What is counted there is what is counted at any place.

use super::super::{Difference, Kind, Layer};
use super::Seen;
use super::answers;
use super::members::Root;
use super::place::{self, Observed};

/// Differences of an exchange that are remembered.
const MOST: usize = 16;
/// Bytes of a value that is.
const LONGEST: usize = 1024;

/// What v2's first answer differed in, and where that is counted.
#[derive(Clone, Debug, Default)]
pub(super) struct Before {
    method: Vec<u8>,
    host: Vec<u8>,
    route: String,
    differences: Vec<Known>,
    /// The differences that count, by their numbers: those at one place one behind the other, in the order of the places.
    order: Vec<usize>,
    /// Of each place where it is counted, and where in `order` its differences end.
    places: Vec<(usize, usize)>,
    /// Room for what is observed.
    held: Observed,
}

#[derive(Clone, Debug)]
struct Known {
    layer: Layer,
    kind: Kind,
    counts: bool,
    /// Whether the values may be a part of the place.
    by_values: bool,
    path: String,
    v1: Value,
    v2: Value,
}

/// The value that a side had last, and its digest.
#[derive(Clone, Debug, Default)]
struct Value {
    text: Option<String>,
    digest: u64,
}

impl Before {
    /// Whether these differences in an answer to such a request are at the places of those before.
    pub(super) fn has(&self, (method, host, route): Root<'_>, differences: &[Difference]) -> bool {
        !differences.is_empty()
            && differences.len() == self.differences.len()
            && (self.route.as_str(), self.host.as_slice(), self.method.as_slice()) == (route, host, method)
            && self.differences.iter().zip(differences).all(|(known, difference)| known.is_at(difference))
    }

    /// Counts differences that are at the same places: what they say of the first answers to the same request, where it
    /// `is_repeated`, and what of themselves.
    pub(super) fn count(&mut self, places: &mut super::Places, seen: &Seen<'_>, is_repeated: bool) {
        if is_repeated {
            self.count_repeated(places, seen);
        }
        let observed = Observed { first: Some(place::ANY), ..Observed::default() };
        for (at, here) in steps(&self.places, &self.order) {
            let Some((place, room)) = places.counted(at) else { continue };
            place.count(&observed, room);
            for &n in here {
                let Some(value) = seen.differences[n].v1.as_deref() else { continue };
                place.note_known(value, self.differences[n].v1.digest(value), seen.v1.first_byte);
            }
        }
    }

    /// v1 answered as before, and v2 differs from that in these places.
    fn count_repeated(&mut self, places: &mut super::Places, seen: &Seen<'_>) {
        self.held.fresh[0].resize_with(1, Default::default);
        self.held.fresh[1].resize_with(1, || (Some(place::ANY), Vec::new()));
        for (at, here) in steps(&self.places, &self.order) {
            let Some((place, room)) = places.counted(at) else { continue };
            let values = &mut self.held.fresh[1][0].1;
            values.clear();
            for &n in here {
                let value = seen.differences[n].v2.as_deref();
                values.extend(value.map(|value| self.differences[n].v2.digest(value)));
            }
            place.count_repeated([None, None], &self.held, room);
        }
    }

    /// Remembers differences that were counted at these places.
    pub(super) fn keep(
        &mut self,
        root @ (method, host, route): Root<'_>,
        differences: &[Difference],
        at: &answers::Places<'_>,
        places: &super::Places,
    ) {
        self.differences.clear();
        self.order.clear();
        self.places.clear();
        let is_short = |value: &Option<String>| value.as_ref().is_none_or(|value| value.len() <= LONGEST);
        if differences.len() > MOST || !differences.iter().all(|d| is_short(&d.v1) && is_short(&d.v2)) {
            return;
        }
        for (key, here) in at.groups() {
            // What there is no room for is counted as that each time.
            let Some(place) = places.find_counted(key, root) else { return self.differences.clear() };
            self.order
                .extend(here.filter_map(|d| differences.iter().position(|other| std::ptr::eq(d, other))));
            self.places.push((place, self.order.len()));
        }
        self.differences.extend(differences.iter().map(Known::new));
        method.clone_into(&mut self.method);
        host.clone_into(&mut self.host);
        route.clone_into(&mut self.route);
    }
}

/// Each place, and the numbers of the differences there.
fn steps<'b>(places: &'b [(usize, usize)], order: &'b [usize]) -> impl Iterator<Item = (usize, &'b [usize])> {
    let starts = std::iter::once(0).chain(places.iter().map(|(_, end)| *end));
    starts.zip(places).map(|(start, (at, end))| (*at, &order[start..*end]))
}

impl Known {
    fn new(difference: &Difference) -> Self {
        let Difference { layer, kind, class, ref path, ref v1, ref v2 } = *difference;
        let by_values = is_by_values(difference);
        let value = |value: &Option<String>| Value::new(value.as_deref().filter(|_| by_values));
        let (counts, path, v1, v2) = (class.counts(), path.clone(), value(v1), value(v2));
        Self { layer, kind, counts, by_values, path, v1, v2 }
    }

    fn is_at(&self, difference: &Difference) -> bool {
        let Difference { layer, kind, class, path, v1, v2 } = difference;
        (self.layer, self.kind, self.counts) == (*layer, *kind, class.counts())
            && self.path == *path
            && (!self.by_values || (self.v1.text == *v1 && self.v2.text == *v2))
    }
}

/// Whether the values may be a part of the place, as the words of a text are. No place in JSON has any.
fn is_by_values(difference: &Difference) -> bool {
    let is_in_json = difference.path.starts_with('$') && difference.path.ends_with(']');
    difference.layer == Layer::Body && !is_in_json
}

impl Value {
    fn new(text: Option<&str>) -> Self {
        Self { text: text.map(str::to_owned), digest: text.map(place::digest).unwrap_or_default() }
    }

    /// The digest of a value, which mostly is the one before.
    fn digest(&mut self, text: &str) -> u64 {
        if self.text.as_deref() != Some(text) {
            self.digest = place::digest(text);
            text.clone_into(self.text.get_or_insert_default());
        }
        self.digest
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::super::tests::request;
    use super::super::{Learner, Settings};
    use super::*;
    use crate::diff::tests::response;
    use crate::diff::{Applicable, Context, compare};
    use crate::http::{Request, Response, h1::parse_head};

    /// Bodies of both answers: text of which words tell the place, JSON, and the same on both sides.
    const BODIES: [[&str; 2]; 8] = [
        ["", ""],
        ["state: open", "state: shut"],
        ["count 5", "count 6"],
        ["price 6\nstate: open", "price 7\nstate: shut"],
        ["total 5 of 7", "total 6 of 7"],
        ["{\"a\":1,\"b\":[1]}", "{\"a\":2,\"b\":[2]}"],
        ["{\"a\":3,\"b\":[1]}", "{\"a\":\"x\",\"b\":[1]}"],
        ["count 5", "count 5"],
    ];

    fn answer(id: u8, server: u8, body: &str) -> Response {
        let id = if id == 0 { "X-Other: 1".to_owned() } else { format!("X-Id: 7f4c0000000{id}") };
        let kind = if body.starts_with('{') { "application/json" } else { "text/plain" };
        let (server, kind) = (format!("Server: {server}"), format!("Content-Type: {kind}"));
        response(200, &[&id, &server, &kind], body.to_owned())
    }

    /// All that is counted.
    fn counted(learner: &Learner) -> String {
        let places: Vec<_> = learner.places.counts.iter().map(|one| (&one.name, &one.place)).collect();
        format!("{places:?} {} {}", learner.asked, learner.disagreed)
    }

    proptest! {
        #![proptest_config(ProptestConfig::with_cases(200))]
        /// Rows of few answers, one of them mostly several times one behind the other.
        #[test]
        fn what_is_remembered_changes_nothing(
            rows in proptest::collection::vec(
                (0_u8..3, 0_u8..3, 0_u8..2, 0..BODIES.len(), 0_usize..6, 0_u8..6, 1_u8..5),
                1..24,
            ),
        ) {
            let (context, rules) = (Context::default(), Applicable::default());
            let [mut learner, mut afresh] = [(); 2].map(|()| Learner::new(Settings::default()));
            for (id1, id2, server, bodies, target, again, times) in rows {
                let head = format!("GET /x/{} HTTP/1.1\r\nHost: api{}\r\n\r\n", target % 3, target / 5);
                let request = Request { head: parse_head(head.into()).unwrap(), ..request() };
                for n in 0..times {
                    let [ours, theirs] = BODIES[bodies];
                    let (v1, v2) = (answer(id1 + n % 2, 0, ours), answer(id2, server, theirs));
                    let again = if again == 0 { vec![(super::super::Side::V2, v2.clone())] } else { Vec::new() };
                    let differences = &compare(&v1, &v2, &context);
                    let (v1, v2) = (&v1, &v2);
                    let seen = Seen { request: &request, v1, v2, differences, again: &again, context: &context, rules: &rules };
                    learner.observe(&seen);
                    afresh.before = Before::default();
                    afresh.observe(&seen);
                    prop_assert_eq!(counted(&learner), counted(&afresh));
                }
            }
        }
    }
}
