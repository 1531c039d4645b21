//! What is counted at one place of the answers on one route.

use std::collections::{BTreeMap, BTreeSet, HashMap};

use hashbrown::Equivalent;
use xxhash_rust::xxh3::{xxh3_64, xxh3_64_with_seed};

use super::super::{Difference, Kind, Layer};
use super::Evidence;
use super::answers::Key;
use super::exact::{Table, Tables};
use super::forms::Forms;
use super::members::Root;
use super::values::{Room, Values};
use crate::time::Timestamp;

/// Values of v1 that are remembered at one place.
const MAX_KNOWN: usize = 32;
/// A place and a sort of change there. Both directions of a change are one sort: what comes goes.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub(super) struct Name {
    pub(super) method: Vec<u8>,
    pub(super) host: Vec<u8>,
    pub(super) route: String,
    pub(super) layer: Layer,
    pub(super) path: String,
    pub(super) sort: Kind,
}

/// A [`Name`] that is looked for.
#[derive(Hash)]
pub(super) struct Named<'n> {
    method: &'n [u8],
    host: &'n [u8],
    route: &'n str,
    pub(super) layer: Layer,
    path: &'n str,
    sort: Kind,
}

impl<'n> Named<'n> {
    /// A place in answers to requests of that method, Host and route.
    pub(super) fn new((method, host, route): Root<'n>, (layer, path, sort): &'n Key<'_>) -> Self {
        Self { method, host, route, layer: *layer, path, sort: *sort }
    }
}

impl Equivalent<Name> for Named<'_> {
    fn equivalent(&self, name: &Name) -> bool {
        let Name { method, host, route, layer, path, sort } = name;
        (self.path, self.layer, self.sort) == (path.as_str(), *layer, *sort)
            && (self.route, self.method, self.host) == (route.as_str(), method.as_slice(), host.as_slice())
    }
}

impl From<&Named<'_>> for Name {
    fn from(named: &Named<'_>) -> Self {
        let Named { method, host, route, layer, path, sort } = *named;
        let (method, host) = (method.to_vec(), host.to_vec());
        Self { method, host, route: route.to_owned(), layer, path: path.to_owned(), sort }
    }
}

/// The sort that a kind belongs to.
pub(super) const fn sort(kind: Kind) -> Kind {
    match kind {
        Kind::Added => Kind::Missing,
        Kind::ElementAdded => Kind::ElementRemoved,
        other => other,
    }
}

/// What one answer has at a place, other than the recorded one: the digest of it.
pub(super) type Sign = Option<u64>;

/// Something, whatever it is.
pub(super) const ANY: u64 = 0;

/// An answer's differences at one place as a digest, with the values where it is they that changed.
pub(super) fn sign<'d>(differences: impl IntoIterator<Item = &'d Difference>) -> Sign {
    let mut sign = None;
    for d in differences {
        let values_changed = matches!(d.kind, Kind::ValueChanged | Kind::StringNumber | Kind::NumberFormat);
        let value = d.v2.as_deref().filter(|_| values_changed).unwrap_or_default();
        // Each by itself, with what came before it as the seed.
        let kind = xxh3_64_with_seed(d.kind.name().as_bytes(), sign.unwrap_or_default());
        let place = xxh3_64_with_seed(d.path.as_bytes(), kind);
        sign = Some(xxh3_64_with_seed(value.as_bytes(), place));
    }
    sign
}

/// The digests of the values that differ, wherever at the place they are.
pub(super) fn values<'d>(differences: impl IntoIterator<Item = &'d Difference>) -> Vec<u64> {
    differences.into_iter().filter_map(|d| d.v2.as_deref().map(digest)).collect()
}

/// The digest of a value.
pub(super) fn digest(value: &str) -> u64 {
    xxh3_64(value.as_bytes())
}

/// What the answers to one request have at one place.
#[derive(Clone, Debug, Default)]
pub(super) struct Observed {
    /// v2's first answer.
    pub(super) first: Sign,
    /// The fresh answers of v1 and of v2, without those that do not show the place.
    pub(super) fresh: [Vec<(Sign, Vec<u64>)>; 2],
}

impl Observed {
    pub(super) fn is_asked(&self) -> bool {
        !self.fresh[1].is_empty()
    }

    pub(super) fn is_repeated(&self) -> bool {
        self.is_asked() && self.fresh[1].iter().all(|(sign, _)| *sign == self.first)
    }

    pub(super) fn v1_holds(&self) -> bool {
        !self.fresh[0].is_empty() && self.fresh[0].iter().all(|(sign, _)| sign.is_none())
    }

    /// Whether v2 gave its first answer each time, and v1 never did.
    pub(super) fn separates(&self) -> bool {
        self.is_repeated() && self.fresh[0].iter().all(|(sign, _)| *sign != self.first)
    }

    /// The exchange as tables of an event that answers show; `None` where a side was not asked. The first answers of both
    /// sides are a table of their own: whether more were asked for may depend on them.
    pub(super) fn tables(&self, shows: impl Fn(&(Sign, Vec<u64>)) -> bool) -> Option<[Table; 2]> {
        let [v1, v2] = &self.fresh;
        let (first1, others1) = v1.split_first()?;
        let (first2, others2) = v2.split_first()?;
        let first = Table::of([shows(first1)], [shows(first2)]);
        Some([first, Table::of(others1.iter().map(&shows), others2.iter().map(&shows))])
    }

    pub(super) fn v1_is_as_v2(&self) -> bool {
        !self.fresh[0].is_empty() && self.fresh[0].iter().all(|(sign, _)| *sign == self.first)
    }
}

/// What is tested.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub(super) enum Event {
    /// The answer is another than the recorded one.
    Differs,
    /// It is what v2's first answer was. That one only says what is looked for, and is not counted.
    Repeats,
    /// All of v2's are what its first one was, and none of v1's is.
    Separates,
    /// It has that value.
    Value(u64),
}

/// Of the events of one place that are as probable as `most` at most, those that explain what differs there: an event that
/// says less is no news where another that says more is less probable. Five answers with one wrong value also make answers
/// repeat more often; that tells nothing of the others that repeat.
pub(super) fn telling(tests: &HashMap<Event, f64>, most: f64) -> Vec<Event> {
    let significant = || tests.iter().filter(|(_, p)| **p <= most);
    let explained = |event: &Event, p: f64| {
        significant().any(|(other, least)| other.says() > event.says() && *least <= p)
    };
    significant().filter(|(event, p)| !explained(event, **p)).map(|(event, _)| *event).collect()
}

impl Event {
    /// How much it says of an answer.
    const fn says(self) -> u8 {
        match self {
            Self::Differs => 0,
            Self::Repeats => 1,
            Self::Separates => 2,
            Self::Value(_) => 3,
        }
    }
}

/// The counts of one place.
#[derive(Clone, Debug, Default)]
pub(super) struct Place {
    pub(super) evidence: Evidence,
    events: BTreeMap<Event, Tables>,
    values: Values,
    /// The forms of v1's values.
    forms: Forms,
    /// Digests of v1's values, of which there are at most [`MAX_KNOWN`]; more are not all known.
    known: BTreeSet<u64>,
    /// Identical requests that v1 answered differently, and v2 in the same way: that is state, not noise.
    followed: u64,
}

impl Place {
    /// Takes in what one exchange shows.
    pub(super) fn count(&mut self, observed: &Observed, room: &mut Room) {
        let e = &mut self.evidence;
        let differs = observed.first.is_some();
        if observed.fresh.iter().all(Vec::is_empty) {
            // Nobody was asked: of all that is counted below there is nothing.
            e.differing += u64::from(differs);
            return self.values.bound(room);
        }
        e.differing += u64::from(differs);
        e.asked += u64::from(differs && observed.is_asked());
        e.repeated += u64::from(differs && observed.is_repeated());
        e.v2_changed += u64::from(observed.is_asked() && !observed.is_repeated());
        e.v1_held += u64::from(observed.v1_holds());
        e.v1_changed += u64::from(!observed.fresh[0].is_empty() && !observed.v1_holds());
        self.test(Event::Differs, observed, |(sign, _)| sign.is_some());
        let repeats = observed.fresh.iter().flatten().filter(|(sign, _)| *sign == observed.first).count();
        // What most answers of both sides are is the usual one, and v1's recorded answer was the odd one. The choice is by a
        // margin of the table, so that it favours no side.
        if differs && repeats <= observed.fresh[1].len() {
            self.test(Event::Repeats, observed, |(sign, _)| *sign == observed.first);
            self.separates(observed);
        }
        self.values.count(observed, room);
    }

    /// Among many answers that differ because v1's recorded one was odd, the sum of [`Event::Repeats`] drowns the few in which
    /// v2 alone insists. So those exchanges are counted by themselves in which as many answers are v2's first one as v2 gave:
    /// were v2 no other than v1, each choice of who gave them would be as likely as any. Asking more than once may depend on
    /// the first answers, but only so that fewer are asked on where v2 insists: that favours v1.
    fn separates(&mut self, observed: &Observed) {
        let shown = |side: usize| -> Vec<bool> {
            observed.fresh[side].iter().map(|(sign, _)| *sign == observed.first).collect()
        };
        let (v1, v2) = (shown(0), shown(1));
        if v1.len() < 2 || v2.len() < 2 {
            return;
        }
        let count = |answers: &[bool]| answers.iter().filter(|shown| **shown).count();
        let first = count(&v1[..1]) + count(&v2[..1]) == 1;
        let others = count(&v1[1..]) + count(&v2[1..]) == v2.len() - 1;
        if first && others {
            let insists = v2.iter().all(|shown| *shown);
            self.events.entry(Event::Separates).or_default().add_choice(v1.len() - 1, v2.len() - 1, insists);
        }
    }

    /// Takes in what the later of two identical requests shows: how v1 and v2 changed, and both answers as answers to the
    /// first one.
    pub(super) fn count_repeated(&mut self, [v1, v2]: [Sign; 2], observed: &Observed, room: &mut Room) {
        if v1.is_some() && v1 == v2 {
            self.followed += 1;
        } else {
            self.evidence.v1_disagreed += u64::from(v1.is_some());
            self.evidence.v2_disagreed += u64::from(v2.is_some());
        }
        self.test(Event::Differs, observed, |(sign, _)| sign.is_some());
        self.values.count(observed, room);
    }

    fn test(&mut self, event: Event, observed: &Observed, shows: impl Fn(&(Sign, Vec<u64>)) -> bool) {
        if let Some(tables) = observed.tables(shows) {
            let known = self.events.entry(event).or_default();
            for table in tables {
                known.add(table);
            }
        }
    }

    /// Notes one of v1's values, from an answer of that moment.
    pub(super) fn note(&mut self, value: Option<&str>, at: Timestamp) {
        if let Some(value) = value {
            self.note_known(value, digest(value), at);
        }
    }

    /// The same of a value that has that [digest].
    pub(super) fn note_known(&mut self, value: &str, digest: u64, at: Timestamp) {
        if self.known.len() <= MAX_KNOWN {
            self.known.insert(digest);
        }
        self.forms.note(bare(value), digest, at);
    }

    /// Whether a value, from an answer of that moment, has none of the forms that v1's values have, all of which have one.
    pub(super) fn is_misshapen(&self, value: Option<&str>, at: Timestamp) -> bool {
        value.is_some_and(|value| self.forms.is_news(bare(value), at))
    }

    /// Whether v1 was never seen to have that value, of whose values all are known.
    pub(super) fn is_unknown(&self, value: Option<&str>) -> bool {
        self.known.len() <= MAX_KNOWN && value.is_some_and(|value| !self.known.contains(&digest(value)))
    }

    pub(super) fn merge(&mut self, other: &Self) {
        let (e, o) = (&mut self.evidence, &other.evidence);
        for (mine, theirs) in [
            (&mut e.differing, o.differing),
            (&mut e.asked, o.asked),
            (&mut e.repeated, o.repeated),
            (&mut e.v1_held, o.v1_held),
            (&mut e.v1_changed, o.v1_changed),
            (&mut e.v2_changed, o.v2_changed),
            (&mut e.v1_disagreed, o.v1_disagreed),
            (&mut e.v2_disagreed, o.v2_disagreed),
            (&mut self.followed, other.followed),
        ] {
            *mine += theirs;
        }
        self.forms.merge(&other.forms);
        for (event, tables) in &other.events {
            self.events.entry(*event).or_default().merge(tables);
        }
        self.values.merge(&other.values);
        self.known.extend(&other.known);
    }

    /// The same without what is tested.
    pub(super) fn untested(&self) -> Self {
        Self { events: BTreeMap::new(), values: Values::default(), ..self.clone() }
    }

    /// Whether v1 was seen to disagree with itself: asked again, or in answers to identical requests, more often than v2
    /// changed with it.
    pub(super) fn is_volatile(&self) -> bool {
        self.evidence.v1_changed > 0 || self.evidence.v1_disagreed > self.followed
    }

    /// The probability of each event of which some outcome would have been significant by itself.
    pub(super) fn tested(&self, rate: f64) -> HashMap<Event, f64> {
        let events = self.events.iter().map(|(event, tables)| (*event, tables));
        let may_be = events.chain(self.values.events()).filter(|(_, tables)| tables.least() <= rate);
        may_be.filter_map(|(event, tables)| Some((event, tables.p()?))).collect()
    }

    pub(super) fn shape_names(&self) -> Vec<String> {
        self.forms.names()
    }
}

/// A value without the quotes of a JSON string.
fn bare(value: &str) -> &str {
    value.strip_prefix('"').and_then(|rest| rest.strip_suffix('"')).unwrap_or(value)
}
