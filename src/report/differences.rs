//! Distinct differences while they are counted, in memory that does not grow with the number of rows.

use std::borrow::Cow;

use foldhash::fast::RandomState;
use hashbrown::HashMap;

use super::recurring::{Met, Recurring};
use super::route::{Asked, RouteName, Routes};
use super::summary::DistinctDifference;
use super::values::Values;
use crate::diff::{Class, Difference, Fingerprint};
use crate::record::Row;

/// Distinct differences that are told apart; more are counted together.
const MOST: usize = 10_000;

/// Those of a run.
#[derive(Clone, Default)]
pub(super) struct Differences {
    counts: Vec<Counted>,
    /// Where in `counts` each is.
    at: HashMap<(Fingerprint, Class), usize, RandomState>,
    /// How often one was met for which there was no room.
    beyond: u64,
}

/// A distinct difference.
#[derive(Clone)]
struct Counted {
    fingerprint: Fingerprint,
    class: Class,
    host: String,
    route: String,
    asked: Asked,
    first: Difference,
    values: Values,
    count: u64,
    /// The last row that showed it, by its number: a row is counted once, however often it shows it.
    last_row: u64,
}

/// The row in which differences are met.
pub(super) struct Place<'p> {
    pub(super) row: &'p Row,
    /// Its number among all rows, from 1.
    pub(super) nth: u64,
    pub(super) route: &'p RouteName,
    pub(super) names: &'p Routes,
}

impl Differences {
    /// Counts the differences of a row; `recurring` are those of the row before on the route. Says in how many rows on it
    /// before, one behind the other, each of them was met at least.
    pub(super) fn count(
        &mut self,
        differences: &[Difference],
        place: &Place<'_>,
        mut recurring: Option<&mut Recurring>,
    ) -> u32 {
        let mut least = u32::MAX;
        for (nth, difference) in differences.iter().enumerate() {
            let mut make = || {
                let head = &place.row.exchange.request.head;
                let fingerprint = place.names.fingerprint_at(place.route.place(), head, difference);
                self.find(fingerprint, difference, place)
            };
            let Met { at, times } = match &mut recurring {
                Some(recurring) => recurring.at(nth, difference, make),
                None => Met { at: make(), times: 0 },
            };
            least = least.min(times);
            match at.and_then(|at| self.counts.get_mut(at)) {
                Some(counted) => counted.count(place, difference),
                None => self.beyond += 1,
            }
        }
        least
    }

    /// Where a difference is counted; `None` where there is no room for another one.
    fn find(
        &mut self,
        fingerprint: Fingerprint,
        difference: &Difference,
        place: &Place<'_>,
    ) -> Option<usize> {
        let key = (fingerprint, difference.class);
        if let Some(at) = self.at.get(&key) {
            return Some(*at);
        }
        let at = self.counts.len();
        if at >= MOST {
            return None;
        }
        self.counts.push(Counted::new(key, difference, place));
        self.at.insert(key, at);
        Some(at)
    }

    /// How often one was met for which there was no room.
    pub(super) const fn beyond(&self) -> u64 {
        self.beyond
    }

    /// Those that count and were met most often, each as a line, with how many exchanges show it.
    pub(super) fn top(&self, most: usize, names: &Routes) -> Vec<(String, u64)> {
        let mut top: Vec<_> = self.counts.iter().filter(|counted| counted.class.counts()).collect();
        top.sort_by(|a, b| b.count.cmp(&a.count).then_with(|| a.route.cmp(&b.route)));
        let line = |counted: &Counted| {
            let path = names.path(&counted.asked, &counted.first);
            format!("{} {path}: {}", counted.route, counted.first.kind.words())
        };
        top.into_iter().take(most).map(|counted| (line(counted), counted.count)).collect()
    }

    /// As the account has them, of so many exchanges that were compared.
    pub(super) fn ranked(self, compared: u64, names: &Routes) -> Vec<DistinctDifference> {
        let mut ranked: Vec<_> =
            self.counts.into_iter().map(|counted| counted.distinct(compared, names)).collect();
        ranked.sort_by(|a, b| {
            a.class
                .cmp(&b.class)
                .then_with(|| b.confidence().total_cmp(&a.confidence()))
                .then_with(|| b.count.cmp(&a.count))
                .then_with(|| {
                    (&a.host, &a.route, a.layer, &a.path).cmp(&(&b.host, &b.route, b.layer, &b.path))
                })
                .then_with(|| a.fingerprint.cmp(&b.fingerprint))
        });
        ranked
    }
}

impl Counted {
    fn new((fingerprint, class): (Fingerprint, Class), difference: &Difference, place: &Place<'_>) -> Self {
        let head = &place.row.exchange.request.head;
        Self {
            fingerprint,
            class,
            host: shown_host(head.host().unwrap_or_default()).into_owned(),
            route: place.route.text().to_owned(),
            asked: place.names.asked(head),
            first: difference.clone(),
            count: 0,
            last_row: 0,
            values: Values::default(),
        }
    }

    fn count(&mut self, place: &Place<'_>, difference: &Difference) {
        if self.last_row != place.nth {
            self.last_row = place.nth;
            self.count += 1;
            self.values.count(place.row.request_name(), difference);
        }
    }

    #[expect(clippy::cast_precision_loss, reason = "a share of counts far below 2^53")]
    fn distinct(self, compared: u64, names: &Routes) -> DistinctDifference {
        DistinctDifference {
            evidence: names.evidence(&self.asked, &self.first),
            path: names.path(&self.asked, &self.first),
            fingerprint: self.fingerprint,
            class: self.class,
            host: self.host,
            route: self.route,
            layer: self.first.layer,
            kind: self.first.kind,
            count: self.count,
            share: self.count as f64 / compared.max(1) as f64,
            v1_example: self.first.v1,
            v2_example: self.first.v2,
            exchanges: self.values.exchanges(),
            examples: self.values.examples(),
            values: self.values.common(),
            standing: None,
        }
    }
}

/// A host as the reports name it; no name in use is longer than the limit (RFC 1035, section 2.3.4).
pub(super) fn shown_host(host: &[u8]) -> Cow<'_, str> {
    let host = String::from_utf8_lossy(host);
    if host.len() <= LONGEST_HOST { host } else { host.chars().take(LONGEST_HOST).collect() }
}

const LONGEST_HOST: usize = 264;
