//! Noise, measured: which differences one and the same service shows against itself.
//!
//! A [`Learner`] sees every exchange once: v1's recorded answer, v2's, and the answers that either gave when it was asked
//! again. What it [learned](Learned) then classifies the differences of the same exchanges:
//!
//! - where v1 was never seen to change: repeated by v2, a difference is confirmed; not asked again, unverified;
//! - where v1 now answers as v2 does: drift;
//! - where a side disagrees with itself: volatile, unless fresh answers of v2 differ from fresh answers of v1 by more than
//!   chance explains: an exact test, stratified by exchange, with the false-discovery rate controlled over all that is tested;
//! - a value of a form that v1's values at a volatile place never have is a finding of its own, and so is a status that v1
//!   never gave.
//!
//! A side disagrees with itself where it answers otherwise when asked again, or where the capture has one request several
//! times and the recorded answers differ, without v2's having changed in the same way.

mod exact;
mod place;
mod repeats;

use std::borrow::Cow;
use std::collections::{BTreeMap, BTreeSet, HashMap};

use super::routes::{RouteLearner, RouteTemplates, Routes};
use super::rules::Applicable;
use super::{Class, Context, Difference, Fingerprint, Kind, Layer, compare_by_rules};
use crate::http::{Request, Response};

use place::{Event, Name, Observed, Place, Sign};
use repeats::{Disagreements, Repeats};

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
    pub context: &'a Context,
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
    places: HashMap<Name, Place>,
    repeats: Repeats,
    beyond: u64,
    asked: bool,
    /// Whether v1 was seen to answer one request in several ways.
    disagreed: bool,
}

impl Learner {
    /// One that has seen nothing.
    #[must_use]
    pub fn new(settings: Settings) -> Self {
        let routes = RouteLearner::new(settings.templates.clone());
        let (places, repeats) = (HashMap::new(), Repeats::default());
        Self { settings, routes, places, repeats, beyond: 0, asked: false, disagreed: false }
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
        let route = self.routes.before(method, host, head.target());
        if let Some(disagreements) = repeated {
            self.count_repeated(&disagreements, (method, host, &route));
        }
        if seen.differences.is_empty() && seen.again.is_empty() {
            return;
        }
        self.asked |= !seen.again.is_empty();
        let answers = Answers::of(seen);
        for key in answers.keys() {
            let Some(place) = self.place(key, (method, host, &route)) else { continue };
            place.count(&answers.observed(key));
            answers.v1_values(key).for_each(|value| place.note(value));
        }
    }

    fn count_repeated(&mut self, disagreements: &Disagreements, of: (&[u8], &[u8], &str)) {
        for key in disagreements.keys().collect::<BTreeSet<_>>() {
            let signs = [shown(&disagreements.v1, key).0, shown(&disagreements.v2, key).0];
            let observed = disagreements.observed(key);
            let Some(place) = self.place(key, of) else { continue };
            place.count_repeated(signs, &observed);
            let values = disagreements.v1.get(key).into_iter().flatten();
            values.flat_map(|d| [d.v1.as_deref(), d.v2.as_deref()]).for_each(|value| place.note(value));
            self.disagreed |= signs[0].is_some();
        }
    }

    /// The counts of a place on a route of that method and host; `None` where there is no room for more places.
    fn place(&mut self, key: &Key, (method, host, route): (&[u8], &[u8], &str)) -> Option<&mut Place> {
        let (layer, path, sort) = key.clone();
        let (method, host, route) = (method.to_vec(), host.to_vec(), route.to_owned());
        let name = Name { method, host, route, layer, path, sort };
        if self.places.len() >= MAX_PLACES && !self.places.contains_key(&name) {
            self.beyond += 1;
            return None;
        }
        Some(self.places.entry(name).or_default())
    }

    /// What is known so far.
    #[must_use]
    pub fn learned(&self) -> Learned {
        let routes = self.routes.learned();
        let mut places: HashMap<Name, Place> = HashMap::new();
        for (name, place) in &self.places {
            let route = routes.reopened(&name.method, &name.host, &name.route);
            places.entry(Name { route, ..name.clone() }).or_default().merge(place);
        }
        let rate = self.settings.false_discovery_rate;
        // Only where v1 or v2 disagrees with itself is anything decided by a test.
        let tested = |place: &Place| {
            let unsteady = place.is_volatile() || place.evidence.v2_changed > 0;
            if unsteady { place.tested(rate) } else { HashMap::new() }
        };
        let tests: HashMap<Name, HashMap<Event, f64>> =
            places.iter().map(|(name, place)| (name.clone(), tested(place))).collect();
        let threshold = exact::threshold(tests.values().flat_map(HashMap::values).copied().collect(), rate);
        let mut fingerprints = HashMap::new();
        for (name, place) in &mut places {
            let p = tests.get(name).and_then(|tests| tests.values().copied().min_by(f64::total_cmp));
            place.evidence.p = p;
            place.evidence.significant = p.zip(threshold).is_some_and(|(p, most)| p <= most);
            place.evidence.shapes = place.shape_names();
            fingerprints.insert(name.clone(), place.clone());
        }
        let told = self.asked || self.disagreed;
        Learned { routes, places: fingerprints, tests, threshold, told, beyond: self.beyond }
    }
}

/// What was learned.
#[derive(Clone, Debug, Default)]
pub struct Learned {
    routes: Routes,
    places: HashMap<Name, Place>,
    tests: HashMap<Name, HashMap<Event, f64>>,
    /// The greatest probability that is significant.
    threshold: Option<f64>,
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

    /// The place of a difference for all that are like it.
    #[must_use]
    pub fn general_path(difference: &Difference) -> String {
        super::fingerprint::general_place_of(difference)
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
        Fingerprint::of(method, host, route, difference)
    }

    /// Gives the differences of an exchange, which are those of `seen`, the classes that the measurements justify. Those
    /// that the shadowing or the user's rules explain, or that could not be compared, keep theirs.
    pub fn classify(&self, seen: &Seen<'_>, differences: &mut [Difference]) {
        let open = differences.iter().any(|difference| difference.class == Class::Unverified);
        if self.places.is_empty() || !open {
            return;
        }
        let answers = Answers::of(seen);
        for difference in differences.iter_mut().filter(|d| d.class == Class::Unverified) {
            let name = self.name(seen, difference);
            if let Some(place) = self.places.get(&name) {
                let observed = answers.observed(&(name.layer, name.path.clone(), name.sort));
                difference.class = self.class(difference, &name, place, &observed);
            }
        }
    }

    fn name(&self, seen: &Seen<'_>, difference: &Difference) -> Name {
        let head = &seen.request.head;
        let (method, host) = (head.method(), head.host().unwrap_or_default());
        let (layer, path, sort) = key(difference);
        let route = self.routes.route(method, host, head.target()).into_owned();
        Name { method: method.to_vec(), host: host.to_vec(), route, layer, path, sort }
    }

    fn class(&self, difference: &Difference, name: &Name, place: &Place, observed: &Observed) -> Class {
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
        let is_news = place.is_misshapen(v2) || (name.layer == Layer::Status && place.is_unknown(v2));
        if is_news || self.is_significant(difference, name, observed) {
            return if confirmed || observed.is_asked() { Class::Confirmed } else { Class::Unverified };
        }
        if observed.v1_is_as_v2() { Class::Drift } else { Class::Volatile }
    }

    /// Whether some event that the difference is one of is significant.
    fn is_significant(&self, difference: &Difference, name: &Name, observed: &Observed) -> bool {
        let (Some(tests), Some(threshold)) = (self.tests.get(name), self.threshold) else { return false };
        let values = place::values(&[difference]);
        tests.iter().filter(|(_, p)| **p <= threshold).any(|(event, _)| match event {
            Event::Differs => true,
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
        let (layer, path, sort) = key(difference);
        let name =
            Name { method: method.to_vec(), host: host.to_vec(), route: route.to_owned(), layer, path, sort };
        self.places.get(&name).map(|place| &place.evidence)
    }

    /// How many differences lay at places beyond those that are counted: nothing was measured of them.
    #[must_use]
    pub fn beyond(&self) -> u64 {
        self.beyond
    }

    /// Whether it would change no class and no route of any exchange that was seen.
    #[must_use]
    pub fn is_neutral(&self) -> bool {
        self.routes.is_neutral() && !self.told
    }
}

/// A place within an answer, and the sort of change.
type Key = (Layer, String, Kind);

fn key(difference: &Difference) -> Key {
    (difference.layer, super::fingerprint::general_place_of(difference), place::sort(difference.kind))
}

/// The differences from v1's recorded answer that each answer to one request has, by place.
struct Answers {
    first: BTreeMap<Key, Vec<Difference>>,
    fresh: Vec<Fresh>,
}

struct Fresh {
    side: Side,
    /// Another status is another content: what is behind it does not show.
    other_status: bool,
    places: BTreeMap<Key, Vec<Difference>>,
}

impl Answers {
    fn of(seen: &Seen<'_>) -> Self {
        let as_captured = Context {
            method: seen.context.method.clone(),
            host: seen.context.host.clone(),
            shadow_host: seen.context.host.clone(),
            conditional: seen.context.conditional,
            edits: Vec::new(),
        };
        let whole = seen.again.iter().filter(|(_, response)| response.completeness.is_complete());
        let fresh = whole.map(|(side, response)| {
            let context = if *side == Side::V1 { &as_captured } else { seen.context };
            let (differences, _) = compare_by_rules(seen.v1, response, context, seen.rules);
            let other_status = response.head.status != seen.v1.head.status;
            Fresh { side: *side, other_status, places: by_place(differences) }
        });
        Self { first: by_place(seen.differences.to_vec()), fresh: fresh.collect() }
    }

    fn keys(&self) -> BTreeSet<&Key> {
        self.first.keys().chain(self.fresh.iter().flat_map(|fresh| fresh.places.keys())).collect()
    }

    fn observed(&self, key: &Key) -> Observed {
        let mut observed = Observed { first: shown(&self.first, key).0, ..Observed::default() };
        let shows = |fresh: &&Fresh| !fresh.other_status || key.0 == Layer::Status;
        for fresh in self.fresh.iter().filter(shows) {
            observed.fresh[usize::from(fresh.side == Side::V2)].push(shown(&fresh.places, key));
        }
        observed
    }

    /// The values that v1 has at a place: the recorded one, and those it gave now.
    fn v1_values<'a>(&'a self, key: &'a Key) -> impl Iterator<Item = Option<&'a str>> {
        let recorded = self.first.get(key).into_iter().flatten().map(|d| d.v1.as_deref());
        let now = self.fresh.iter().filter(|fresh| fresh.side == Side::V1);
        let now = now.filter_map(|fresh| fresh.places.get(key)).flatten().map(|d| d.v2.as_deref());
        recorded.chain(now)
    }
}

/// What an answer with these differences has at a place.
fn shown(places: &BTreeMap<Key, Vec<Difference>>, key: &Key) -> (Sign, Vec<u64>) {
    let differences: Vec<_> = places.get(key).into_iter().flatten().collect();
    (place::sign(&differences), place::values(&differences))
}

/// Those that count, by place.
fn by_place(differences: Vec<Difference>) -> BTreeMap<Key, Vec<Difference>> {
    let mut places: BTreeMap<Key, Vec<Difference>> = BTreeMap::new();
    for difference in differences.into_iter().filter(|d| d.class.counts()) {
        places.entry(key(&difference)).or_default().push(difference);
    }
    places
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
