//! What the answers to one request have otherwise than v1's recorded one, by place.

use std::borrow::Cow;

use super::super::json::Outline;
use super::super::{Difference, Kind, Layer, compare_by_rules, fingerprint};
use super::place::{self, Observed, Sign};
use super::{Seen, Side};
use crate::time::Timestamp;

/// A place within an answer, and the sort of change.
pub(super) type Key<'d> = (Layer, Cow<'d, str>, Kind);

pub(super) fn key<'d>(difference: &'d Difference, outline: Option<&Outline>) -> Key<'d> {
    (difference.layer, place_of(difference, outline), place::sort(difference.kind))
}

/// The place of a difference for all that are like it, in answers of that outline.
pub(super) fn place_of<'d>(difference: &'d Difference, outline: Option<&Outline>) -> Cow<'d, str> {
    let place = fingerprint::general_place_of(difference);
    let outline = outline.filter(|_| difference.layer == Layer::Body);
    outline.map(|outline| outline.opened(&place).into()).unwrap_or(place)
}

/// Those differences of an answer that count, in the order of their places; those at one place in their own.
pub(super) struct Places<'d>(Vec<(Key<'d>, &'d Difference)>);

impl<'d> Places<'d> {
    pub(super) fn of(differences: &'d [Difference], outline: Option<&Outline>) -> Self {
        let counting = differences.iter().filter(|difference| difference.class.counts());
        let mut places = Vec::with_capacity(differences.len());
        places.extend(counting.map(|difference| (key(difference, outline), difference)));
        places.sort_by(|(a, _), (b, _)| a.cmp(b));
        Self(places)
    }

    /// The differences at a place.
    pub(super) fn at(&self, key: &Key<'_>) -> impl Iterator<Item = &'d Difference> + Clone {
        let start = self.0.partition_point(|(place, _)| place < key);
        let rest = self.0.get(start..).unwrap_or_default().iter();
        rest.take_while(move |(place, _)| place == key).map(|(_, difference)| *difference)
    }

    /// What an answer with these differences has at a place.
    pub(super) fn shown(&self, key: &Key<'_>) -> (Sign, Vec<u64>) {
        // Often an answer is v1's recorded one.
        if self.0.is_empty() {
            return (None, Vec::new());
        }
        let differences = self.at(key);
        (place::sign(differences.clone()), place::values(differences))
    }

    /// The same where it does not matter what the answer has there, but that it has something.
    pub(super) fn present(&self, key: &Key<'_>) -> (Sign, Vec<u64>) {
        let values = place::values(self.at(key));
        (self.have(key).then_some(place::ANY), values)
    }

    fn have(&self, key: &Key<'_>) -> bool {
        self.at(key).next().is_some()
    }

    /// The places, and the differences at each.
    pub(super) fn groups(&self) -> impl Iterator<Item = (&Key<'d>, impl Iterator<Item = &'d Difference>)> {
        let groups = self.0.chunk_by(|(a, _), (b, _)| a == b);
        groups.map(|group| (&group[0].0, group.iter().map(|(_, difference)| *difference)))
    }

    fn keys(&self) -> impl Iterator<Item = &Key<'d>> {
        self.0.iter().map(|(place, _)| place)
    }
}

/// All places that some answers have differences at, in their order.
pub(super) fn keys<'p, 'd: 'p>(answers: impl IntoIterator<Item = &'p Places<'d>>) -> Vec<&'p Key<'d>> {
    let mut answers = answers.into_iter().filter(|places| !places.0.is_empty());
    let mut keys: Vec<_> = answers.next().into_iter().flat_map(Places::keys).collect();
    // Those of one answer are in their order.
    let before = keys.len();
    keys.extend(answers.flat_map(Places::keys));
    if keys.len() > before {
        keys.sort_unstable();
    }
    keys.dedup();
    keys
}

/// An answer to the request asked again.
pub(super) struct Fresh {
    side: Side,
    at: Timestamp,
    /// Another status is another content: what is behind it does not show.
    other_status: bool,
    /// From v1's recorded answer.
    differences: Vec<Difference>,
}

impl Fresh {
    /// Those to the request of an exchange.
    pub(super) fn of(seen: &Seen<'_>) -> Vec<Self> {
        if seen.again.is_empty() {
            return Vec::new();
        }
        let as_captured = seen.context.unedited(&seen.context.host);
        let whole = seen.again.iter().filter(|(_, response)| response.completeness.is_complete());
        let fresh = whole.map(|(side, response)| {
            let context = if *side == Side::V1 { &as_captured } else { seen.context };
            let (differences, _) = compare_by_rules(seen.v1, response, context, seen.rules);
            let other_status = response.head.status != seen.v1.head.status;
            let (side, at) = (*side, response.first_byte);
            Self { side, at, other_status, differences }
        });
        fresh.collect()
    }
}

/// The differences from v1's recorded answer that each answer to one request has, by place.
pub(super) struct Answers<'d> {
    first: &'d Places<'d>,
    /// The moment of v1's recorded answer.
    recorded: Timestamp,
    fresh: Vec<(&'d Fresh, Places<'d>)>,
}

impl<'d> Answers<'d> {
    /// Those to the request of an exchange, whose own differences are `first`, with the fresh ones.
    pub(super) fn of(
        seen: &Seen<'d>,
        first: &'d Places<'d>,
        fresh: &'d [Fresh],
        outline: Option<&Outline>,
    ) -> Self {
        let fresh = fresh.iter().map(|fresh| (fresh, Places::of(&fresh.differences, outline)));
        Self { first, recorded: seen.v1.first_byte, fresh: fresh.collect() }
    }

    pub(super) fn keys(&self) -> Vec<&Key<'d>> {
        keys(std::iter::once(self.first).chain(self.fresh.iter().map(|(_, places)| places)))
    }

    pub(super) fn observed(&self, key: &Key<'_>) -> Observed {
        if self.fresh.is_empty() {
            // With nothing to compare it with, what the answer has there does not matter.
            let first = self.first.have(key).then_some(place::ANY);
            return Observed { first, ..Observed::default() };
        }
        let mut observed = Observed { first: self.first.shown(key).0, ..Observed::default() };
        let shows = |fresh: &Fresh| !fresh.other_status || key.0 == Layer::Status;
        for (fresh, places) in self.fresh.iter().filter(|(fresh, _)| shows(fresh)) {
            observed.fresh[usize::from(fresh.side == Side::V2)].push(places.shown(key));
        }
        observed
    }

    /// The values that v1 has at a place, and when: the recorded one, and those it gave now.
    pub(super) fn v1_values<'a>(
        &'a self,
        key: &'a Key<'_>,
    ) -> impl Iterator<Item = (Option<&'d str>, Timestamp)> {
        let recorded = self.first.at(key).map(|d| (d.v1.as_deref(), self.recorded));
        let now = self.fresh.iter().filter(|(fresh, _)| fresh.side == Side::V1);
        let now = now.flat_map(|(fresh, places)| places.at(key).map(|d| (d.v2.as_deref(), fresh.at)));
        recorded.chain(now)
    }
}
