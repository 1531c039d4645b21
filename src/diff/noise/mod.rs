//! Noise, measured: which differences one and the same service shows against itself.
//!
//! A [`Learner`] sees every exchange once: v1's recorded answer, v2's, and the answers that either gave when it was asked
//! again. What it [learned](Learned) then classifies the differences of the same exchanges:
//!
//! - where v1 was never seen to change: repeated by v2, a difference is confirmed; not asked again, unverified;
//! - where v1 now answers as v2 does: drift;
//! - where a side disagrees with itself: volatile, unless fresh answers of v2 differ from fresh answers of v1 by more than
//!   chance explains: an exact test, stratified by exchange, with the false-discovery rate controlled over all that is tested;
//! - a value of a form that v1's values at a volatile place never have is a finding of its own (a time near the answer's own
//!   moment, hexadecimal digits of a length, a host, …), and so is a status that v1 never gave.
//!
//! Places are told apart with indices and the names of single things left open; where the names of an object's members turn
//! out to be data (`$['users']['alice']`), all of them are one place.
//!
//! A side disagrees with itself where it answers otherwise when asked again, or where the capture has one request several
//! times and the recorded answers differ, without v2's having changed in the same way.

mod answers;
mod before;
mod exact;
mod forms;
mod members;
mod place;
mod repeats;
mod values;

use std::borrow::Cow;
use std::collections::HashMap;
use std::hash::BuildHasher;

use foldhash::fast::RandomState;
use hashbrown::Equivalent;

use super::routes::{RouteLearner, RouteTemplates, Routes};
use super::rules::Applicable;
use super::{Class, Context, Difference, Fingerprint, Layer};
use crate::http::{Request, Response};
use crate::time::Timestamp;

use answers::{Answers, Fresh, Key, key, place_of};
use before::Before;
use members::{Members, Root};
use place::{Event, Name, Named, Observed, Place};
use repeats::{Disagreements, Repeated, Repeats};
use values::Room;

/// What is known of places, by their names.
type ByName<T> = hashbrown::HashMap<Name, T, RandomState>;

/// Whom a request was sent to again.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, serde::Serialize, serde::Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Side {
    /// The service that was captured, as it is now.
    V1,
    /// The one under test.
    V2,
}

/// One exchange, as it is learned from and classified.
#[derive(Clone, Copy, Debug)]
pub struct Seen<'a> {
    /// The request. Requests are identical where method, target, Host, body and the fields that select an answer are.
    pub request: &'a Request,
    /// v1's recorded answer.
    pub v1: &'a Response,
    /// v2's first answer.
    pub v2: &'a Response,
    /// How they differ, as [`compare_by_rules`](super::compare_by_rules) found it under `context` and `rules`.
    pub differences: &'a [Difference],
    /// The answers to the same request asked again, in the order in which they were asked. The first of each side has to
    /// have been asked whatever the other gave; how many follow may depend on it.
    pub again: &'a [(Side, Response)],
    /// What was sent otherwise to v2 than captured.
    pub context: &'a Context<'a>,
    /// The rules that speak of the exchange.
    pub rules: &'a Applicable<'a>,
}

/// What a learner is told before.
#[derive(Clone, Debug)]
pub struct Settings {
    /// The user's route templates.
    pub templates: RouteTemplates,
    /// The expected share of false ones among what is told at volatile places (Benjamini and Hochberg, 1995).
    pub false_discovery_rate: f64,
}

impl Default for Settings {
    fn default() -> Self {
        Self { templates: RouteTemplates::default(), false_discovery_rate: 0.01 }
    }
}

/// Places that are counted; what is beyond is told by [`Learned::beyond`].
const MAX_PLACES: usize = 20_000;

/// Gathers what all exchanges show, in bounded memory. Below the bounds the order of the exchanges decides nothing but which
/// of several identical requests is the first, that the others are held against.
#[derive(Clone, Debug)]
pub struct Learner {
    settings: Settings,
    routes: RouteLearner,
    members: Members,
    places: Places,
    repeats: Repeats,
    before: Before,
    asked: bool,
    /// Whether v1 was seen to answer one request in several ways.
    disagreed: bool,
}

impl Learner {
    /// One that has seen nothing.
    #[must_use]
    pub fn new(settings: Settings) -> Self {
        let routes = RouteLearner::new(settings.templates.clone());
        Self {
            settings,
            routes,
            members: Members::default(),
            places: Places::default(),
            repeats: Repeats::default(),
            before: Before::default(),
            asked: false,
            disagreed: false,
        }
    }

    /// Takes one exchange in. Equal answers that were not asked for again cost a look-up of their route, and of the first
    /// answers to the same request.
    pub fn observe(&mut self, seen: &Seen<'_>) {
        let head = &seen.request.head;
        let (method, host) = (head.method(), head.host().unwrap_or_default());
        self.routes.observe(method, host, head.target());
        let repeated = self.repeats.against_first(seen);
        if seen.differences.is_empty() && seen.again.is_empty() && repeated.is_none() {
            return;
        }
        let root = (method, host, self.routes.before());
        self.members.observe(root, seen);
        let outline = self.members.of(root);
        // Nothing but v2's first answer has anything to say, and that mostly what the one of the exchange before did.
        let is_alone = seen.again.is_empty() && repeated.as_ref().is_none_or(Repeated::is_of_v2_alone);
        let may_be_as_before = is_alone && outline.is_none();
        if may_be_as_before && self.before.has(root, seen.differences) {
            return self.before.count(&mut self.places, seen, repeated.is_some());
        }
        let first = answers::Places::of(seen.differences, outline);
        if let Some(repeated) = &repeated {
            let disagreements = repeated.disagreements(&first, outline);
            self.disagreed |= self.places.count_repeated(&disagreements, root);
        }
        if seen.differences.is_empty() && seen.again.is_empty() {
            return;
        }
        self.asked |= !seen.again.is_empty();
        let fresh = Fresh::of(seen);
        let answers = Answers::of(seen, &first, &fresh, outline);
        for key in answers.keys() {
            let Some((place, room)) = self.places.at(key, root) else { continue };
            place.count(&answers.observed(key), room);
            answers.v1_values(key).for_each(|(value, at)| place.note(value, at));
        }
        if may_be_as_before {
            self.before.keep(root, seen.differences, &first, &self.places);
        }
    }

    /// What is known so far.
    #[must_use]
    pub fn learned(&self) -> Learned {
        let routes = self.routes.learned();
        let members = self.members.reopened(&routes);
        let mut places = self.places.reopened(&routes, &members);
        let rate = self.settings.false_discovery_rate;
        // Only where v1 or v2 disagrees with itself is anything decided by a test.
        let tested = |place: &Place| {
            let unsteady = place.is_volatile() || place.evidence.v2_changed > 0;
            if unsteady { place.tested(rate) } else { HashMap::new() }
        };
        let tests: ByName<HashMap<Event, f64>> =
            places.iter().map(|(name, place)| (name.clone(), tested(place))).collect();
        let threshold = exact::threshold(tests.values().flat_map(HashMap::values).copied().collect(), rate);
        for (name, place) in &mut places {
            let p = tests.get(name).and_then(|tests| tests.values().copied().min_by(f64::total_cmp));
            place.evidence.p = p;
            place.evidence.significant = p.zip(threshold).is_some_and(|(p, most)| p <= most);
            place.evidence.shapes = place.shape_names();
        }
        let telling = |tests: HashMap<Event, f64>| {
            threshold.map(|most| place::telling(&tests, most)).unwrap_or_default()
        };
        let telling = tests.into_iter().map(|(name, tests)| (name, telling(tests))).collect();
        let told = self.asked || self.disagreed;
        let beyond = self.places.beyond;
        Learned { routes, members, places, telling, told, beyond }
    }
}

/// The counts of all places.
#[derive(Clone, Debug, Default)]
struct Places {
    counts: Vec<Counted>,
    /// Where in `counts` a name is.
    names: hashbrown::HashTable<usize>,
    hasher: RandomState,
    /// The one that was asked for last.
    last: usize,
    room: Room,
    /// Places for which there was no room.
    beyond: u64,
}

/// A place while it is counted.
#[derive(Clone, Debug)]
struct Counted {
    name: Name,
    place: Place,
    /// The one that was asked for next: the answers of most exchanges differ at the places of those before.
    next: usize,
}

impl Places {
    /// Counts how the later of two identical requests was answered; says whether v1 disagrees with itself.
    fn count_repeated(&mut self, disagreements: &Disagreements<'_, '_>, root: Root<'_>) -> bool {
        let mut disagreed = false;
        for key in disagreements.keys() {
            let signs = [disagreements.v1.shown(key).0, disagreements.v2.shown(key).0];
            let observed = disagreements.observed(key);
            let Some((place, room)) = self.at(key, root) else { continue };
            place.count_repeated(signs, &observed, room);
            disagreements.v1_values(key).for_each(|(value, at)| place.note(value, at));
            disagreed |= signs[0].is_some();
        }
        disagreed
    }

    /// The counts of a place in answers to such requests, and the room for its values; `None` where there is no room for
    /// more places.
    fn at(&mut self, key: &Key<'_>, root: Root<'_>) -> Option<(&mut Place, &mut Room)> {
        let name = Named::new(root, key);
        let next = self.counts.get(self.last).map_or(0, |last| last.next);
        if self.counts.get(next).is_some_and(|next| name.equivalent(&next.name)) {
            self.last = next;
        } else {
            let at = self.find(&name)?;
            if let Some(last) = self.counts.get_mut(self.last) {
                last.next = at;
            }
            self.last = at;
        }
        self.counts.get_mut(self.last).map(|counted| (&mut counted.place, &mut self.room))
    }

    /// The counts of the place with that number.
    fn counted(&mut self, at: usize) -> Option<(&mut Place, &mut Room)> {
        self.counts.get_mut(at).map(|counted| (&mut counted.place, &mut self.room))
    }

    /// The number of a place that is counted.
    fn find_counted(&self, key: &Key<'_>, root: Root<'_>) -> Option<usize> {
        let name = Named::new(root, key);
        let hash = self.hasher.hash_one(&name);
        self.names.find(hash, |&at| name.equivalent(&self.counts[at].name)).copied()
    }

    /// Where a place is, which is made where there is none of that name.
    fn find(&mut self, name: &Named<'_>) -> Option<usize> {
        let (counts, hasher) = (&mut self.counts, &self.hasher);
        let hash = hasher.hash_one(name);
        if let Some(at) = self.names.find(hash, |&at| name.equivalent(&counts[at].name)) {
            return Some(*at);
        }
        if counts.len() >= MAX_PLACES {
            self.beyond += 1;
            return None;
        }
        let at = counts.len();
        counts.push(Counted { name: Name::from(name), place: Place::default(), next: 0 });
        // A name has the hash that it has where it is looked for.
        self.names.insert_unique(hash, at, |&at| hasher.hash_one(&counts[at].name));
        Some(at)
    }

    /// The same by what was learned of routes and of names. Where several names turned out to be one place, what one exchange
    /// has at each of them is no choice of its own, so that it is tested no more.
    fn reopened(&self, routes: &Routes, members: &Members) -> ByName<Place> {
        let mut places: ByName<Place> = ByName::default();
        for Counted { name, place, .. } in &self.counts {
            let route = routes.reopened(&name.method, &name.host, &name.route);
            let outline =
                members.of((&name.method, &name.host, &route)).filter(|_| name.layer == Layer::Body);
            let path = outline.map_or_else(|| name.path.clone(), |outline| outline.opened(&name.path));
            let tested = path == name.path;
            let all = places.entry(Name { route, path, ..name.clone() }).or_default();
            if tested { all.merge(place) } else { all.merge(&place.untested()) }
        }
        places
    }
}

/// What was learned.
#[derive(Clone, Debug, Default)]
pub struct Learned {
    routes: Routes,
    members: Members,
    places: ByName<Place>,
    /// The events at each place that are significant and explain what differs there.
    telling: ByName<Vec<Event>>,
    /// Whether something was asked again, or disagreed without being asked.
    told: bool,
    beyond: u64,
}

impl Learned {
    /// The route template of a request, without its method.
    #[must_use]
    pub fn route(&self, method: &[u8], host: &[u8], target: &[u8]) -> Cow<'_, str> {
        self.routes.route(method, host, target)
    }

    /// The place of a difference for all that are like it, in answers to requests of that method, Host and route.
    #[must_use]
    pub fn place(&self, method: &[u8], host: &[u8], route: &str, difference: &Difference) -> String {
        place_of(difference, self.members.of((method, host, route))).into_owned()
    }

    /// The fingerprint of a difference on a learned route.
    #[must_use]
    pub fn fingerprint(
        &self,
        method: &[u8],
        host: &[u8],
        route: &str,
        difference: &Difference,
    ) -> Fingerprint {
        let place = place_of(difference, self.members.of((method, host, route)));
        Fingerprint::at(method, host, route, &place, difference)
    }

    /// Gives the differences of an exchange, which are those of `seen`, the classes that the measurements justify. Those
    /// that the shadowing or the user's rules explain, or that could not be compared, keep theirs.
    pub fn classify(&self, seen: &Seen<'_>, differences: &mut [Difference]) {
        let open = differences.iter().any(|difference| difference.class == Class::Unverified);
        if self.places.is_empty() || !open {
            return;
        }
        let head = &seen.request.head;
        let (method, host) = (head.method(), head.host().unwrap_or_default());
        let route = self.routes.route(method, host, head.target());
        let outline = self.members.of((method, host, &route));
        let (first, fresh) = (answers::Places::of(seen.differences, outline), Fresh::of(seen));
        let answers = Answers::of(seen, &first, &fresh, outline);
        for difference in differences.iter_mut().filter(|d| d.class == Class::Unverified) {
            let key = key(difference, outline);
            let name = Named::new((method, host, &route), &key);
            if let Some(place) = self.places.get(&name) {
                let observed = answers.observed(&key);
                let class = self.class(difference, &name, (place, &observed), seen.v2.first_byte);
                difference.class = class;
            }
        }
    }

    /// The class of a difference in an answer of v2 of that moment.
    fn class(
        &self,
        difference: &Difference,
        name: &Named<'_>,
        (place, observed): (&Place, &Observed),
        at: Timestamp,
    ) -> Class {
        let confirmed = observed.is_repeated() && observed.v1_holds();
        if !place.is_volatile() {
            return match () {
                () if confirmed => Class::Confirmed,
                () if !observed.is_asked() || observed.is_repeated() => Class::Unverified,
                () if self.is_significant(difference, name, observed) => Class::Confirmed,
                () => Class::Volatile,
            };
        }
        let v2 = difference.v2.as_deref();
        let is_news = place.is_misshapen(v2, at) || (name.layer == Layer::Status && place.is_unknown(v2));
        if is_news || self.is_significant(difference, name, observed) {
            return if confirmed || observed.is_asked() { Class::Confirmed } else { Class::Unverified };
        }
        if observed.v1_is_as_v2() { Class::Drift } else { Class::Volatile }
    }

    /// Whether some event that the difference is one of is significant.
    fn is_significant(&self, difference: &Difference, name: &Named<'_>, observed: &Observed) -> bool {
        let Some(telling) = self.telling.get(name) else { return false };
        let values = place::values([difference]);
        telling.iter().any(|event| match event {
            Event::Differs => true,
            Event::Separates => observed.separates(),
            Event::Repeats => observed.is_repeated() && !observed.v1_is_as_v2(),
            Event::Value(value) => values.contains(value),
        })
    }

    /// What was measured where a difference is; `None` where nothing was. Of the method, Host and [route](Self::route) of
    /// the exchange.
    #[must_use]
    pub fn evidence(
        &self,
        method: &[u8],
        host: &[u8],
        route: &str,
        difference: &Difference,
    ) -> Option<&Evidence> {
        let root = (method, host, route);
        let key = key(difference, self.members.of(root));
        self.places.get(&Named::new(root, &key)).map(|place| &place.evidence)
    }

    /// How many differences lay at places beyond those that are counted: nothing was measured of them.
    #[must_use]
    pub fn beyond(&self) -> u64 {
        self.beyond
    }

    /// Whether it would change no class and no route of any exchange that was seen.
    #[must_use]
    pub fn is_neutral(&self) -> bool {
        self.routes.is_neutral() && self.members.is_closed() && !self.told
    }
}

/// What was measured of a distinct difference: the counts behind its class.
#[derive(Clone, Debug, Default, PartialEq, serde::Serialize, serde::Deserialize)]
pub struct Evidence {
    /// Exchanges with the difference.
    pub differing: u64,
    /// Of them, those that v2 was asked again.
    pub asked: u64,
    /// Of them, those in which v2 gave it each time.
    pub repeated: u64,
    /// Exchanges in which v1, asked now, answered at this place as recorded.
    pub v1_held: u64,
    /// Exchanges in which it did not.
    pub v1_changed: u64,
    /// Exchanges in which v2, asked again, did not answer at this place as it had.
    pub v2_changed: u64,
    /// Identical requests of the capture that v1 answered differently at this place than the first of them, and v2 not in
    /// the same way.
    pub v1_disagreed: u64,
    /// Those that v2 did.
    pub v2_disagreed: u64,
    /// The least probability of what was tested at the place, were v2 no other than v1; `None` where nothing was tested.
    pub p: Option<f64>,
    /// Whether that is significant with the false-discovery rate controlled.
    pub significant: bool,
    /// The forms that v1's values have there.
    pub shapes: Vec<String>,
}

#[cfg(test)]
mod tests;
