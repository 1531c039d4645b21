//! Noise, measured: which differences one and the same service shows against itself.
//!
//! A [`Learner`] sees every exchange once: v1's recorded answer, v2's, and the answers that either gave when it was asked
//! again. What it [learned](Learned) then classifies the differences of the same exchanges:
//!
//! - where v1 was never seen to change: repeated by v2, a difference is confirmed; not asked again, unverified;
//! - where v1 now answers as v2 does: drift;
//! - where a side disagrees with itself: volatile, unless fresh answers of v2 differ from fresh answers of v1 by more than
//!   chance explains: an exact test, stratified by exchange, with the false-discovery rate controlled over all that is tested;
//! - a value of a form that v1's values at a volatile place never have is a finding of its own.

use std::borrow::Cow;

use super::routes::{RouteLearner, RouteTemplates, Routes};
use super::rules::Applicable;
use super::{Context, Difference, Fingerprint};
use crate::http::{Request, Response};

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

/// Gathers what all exchanges show, in bounded memory. The order of the exchanges does not matter.
#[derive(Clone, Debug)]
pub struct Learner {
    #[expect(dead_code, reason = "the skeleton")]
    settings: Settings,
    routes: RouteLearner,
}

impl Learner {
    /// One that has seen nothing.
    #[must_use]
    pub fn new(settings: Settings) -> Self {
        let routes = RouteLearner::new(settings.templates.clone());
        Self { settings, routes }
    }

    /// Takes one exchange in. Equal answers that were not asked for again cost a look-up of their route.
    pub fn observe(&mut self, seen: &Seen<'_>) {
        let head = &seen.request.head;
        self.routes.observe(head.method(), head.host().unwrap_or_default(), head.target());
    }

    /// What is known so far.
    #[must_use]
    pub fn learned(&self) -> Learned {
        Learned { routes: self.routes.learned() }
    }
}

/// What was learned.
#[derive(Clone, Debug, Default)]
pub struct Learned {
    routes: Routes,
}

impl Learned {
    /// The route template of a request, without its method.
    #[must_use]
    pub fn route(&self, method: &[u8], host: &[u8], target: &[u8]) -> Cow<'_, str> {
        self.routes.route(method, host, target)
    }

    /// The place of a difference for all that are like it, as [`general_path`](super::general_path()) gives it, with names that
    /// were learned to be names of single things left open too.
    #[must_use]
    pub fn general_path(
        &self,
        _method: &[u8],
        _host: &[u8],
        _route: &str,
        difference: &Difference,
    ) -> String {
        super::general_path(difference.layer, &difference.path)
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
    pub fn classify(&self, _seen: &Seen<'_>, _differences: &mut [Difference]) {}

    /// What was measured of a distinct difference; `None` where nothing was.
    #[must_use]
    pub fn evidence(&self, _fingerprint: Fingerprint) -> Option<Evidence> {
        None
    }

    /// Whether it would change no class and no route of any exchange that was seen.
    #[must_use]
    pub fn is_neutral(&self) -> bool {
        self.routes.is_neutral()
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
    /// Identical requests of the capture that v1 answered differently at this place.
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
