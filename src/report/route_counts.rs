//! Routes while they are counted, in memory that does not grow with the number of rows.

use std::time::Duration;

use foldhash::fast::RandomState;
use hashbrown::{Equivalent, HashMap};

use super::differences::shown_host;
use super::facts::v2_response;
use super::latency::Pair;
use super::recurring::Recurring;
use super::route::RouteName;
use super::slower::Sample;
use super::summary::{RouteSummary, StatusPair, Verdicts};
use crate::diff::Verdict;
use crate::http::Response;
use crate::record::Row;

/// Routes that are told apart; the rest are counted as one.
const MOST_ROUTES: usize = 500;
/// Pairs of statuses told apart for each route.
const MOST_STATUS_PAIRS: usize = 64;
/// Routes, the busiest first, whose distribution of latencies is kept.
const MOST_DISTRIBUTIONS: usize = 48;
/// The name of the routes that are not told apart.
const OTHER_ROUTES: &str = "(other routes)";

/// The statuses of v1 and v2.
type Statuses = (Option<u16>, Option<u16>);

/// A route while it is counted.
#[derive(Clone)]
pub(super) struct Route {
    rule: String,
    captured: u64,
    verdicts: Verdicts,
    /// At most [`MOST_STATUS_PAIRS`]; on most routes there is one.
    statuses: Vec<(Statuses, u64)>,
    statuses_beyond: u64,
    latency: Pair,
    times: Sample,
    recurring: Recurring,
}

/// A host and a route, as they are looked for.
#[derive(Hash)]
struct Named<'p>(&'p str, &'p str);

impl Equivalent<(String, String)> for Named<'_> {
    fn equivalent(&self, (host, route): &(String, String)) -> bool {
        (self.0, self.1) == (host, route)
    }
}

/// Routes while they are counted, by host and name.
#[derive(Clone, Default)]
pub(super) struct RouteCounts {
    places: HashMap<(String, String), usize, RandomState>,
    routes: Vec<((String, String), Route)>,
    /// The place of the one asked for last.
    last: usize,
}

impl RouteCounts {
    /// Those of a row's request on a route of that name.
    pub(super) fn of(&mut self, row: &Row, name: &str) -> &mut Route {
        let host = row.exchange.request.head.host().unwrap_or_default();
        let is_last =
            |((known, route), _): &((String, String), Route)| known.as_bytes() == host && route == name;
        if !self.routes.get(self.last).is_some_and(is_last) {
            self.last = self.place(row, host, name);
        }
        &mut self.routes[self.last].1
    }

    /// The differences of the row before on the route that was asked for last, where that is of this very host and method,
    /// not of all whose names look like theirs.
    pub(super) fn recurring(&mut self, row: &Row, name: &RouteName) -> Option<&mut Recurring> {
        let head = &row.exchange.request.head;
        let ((host, text), route) = self.routes.get_mut(self.last)?;
        let is_exact = host.as_bytes() == head.host().unwrap_or_default()
            && text == name.text()
            && name.has_method(head.method());
        is_exact.then_some(&mut route.recurring)
    }

    /// As the account has them, the busiest first.
    pub(super) fn by_size(self) -> Vec<RouteSummary> {
        let mut routes = self.routes;
        routes
            .sort_by(|(a_name, a), (b_name, b)| b.captured.cmp(&a.captured).then_with(|| a_name.cmp(b_name)));
        let all = routes.into_iter().enumerate();
        all.map(|(n, (name, route))| route.summary(name, n < MOST_DISTRIBUTIONS)).collect()
    }

    fn place(&mut self, row: &Row, host: &[u8], name: &str) -> usize {
        let host = shown_host(host);
        let own = self.places.get(&Named(&host, name)).copied();
        let place = if own.is_some() || self.routes.len() < MOST_ROUTES {
            Named(&host, name)
        } else {
            Named("", OTHER_ROUTES)
        };
        own.or_else(|| self.places.get(&place).copied()).unwrap_or_else(|| {
            let (name, at) = ((place.0.to_owned(), place.1.to_owned()), self.routes.len());
            self.places.insert(name.clone(), at);
            self.routes.push((name, Route::new(row.route.to_string())));
            at
        })
    }
}

impl Route {
    fn new(rule: String) -> Self {
        Self {
            rule,
            captured: 0,
            verdicts: Verdicts::default(),
            statuses: Vec::new(),
            statuses_beyond: 0,
            latency: Pair::new(2),
            times: Sample::default(),
            recurring: Recurring::default(),
        }
    }

    fn summary(self, (host, route): (String, String), distributed: bool) -> RouteSummary {
        let latency =
            if distributed { self.latency.latency_with_distribution() } else { self.latency.latency() };
        RouteSummary {
            host,
            route,
            rule: self.rule,
            captured: self.captured,
            replayed: self.verdicts.in_all(),
            verdicts: self.verdicts,
            statuses: statuses(&self.statuses),
            statuses_beyond: self.statuses_beyond,
            latency,
            slower: self.times.slower(),
        }
    }

    /// Counts a row that was not sent.
    pub(super) const fn count_skipped(&mut self) {
        self.captured += 1;
    }

    /// Counts a row that was, with the latencies of v1 and of v2 where both answered.
    pub(super) fn count_sent(
        &mut self,
        row: &Row,
        verdict: Verdict,
        latencies: Option<(Duration, Duration)>,
    ) {
        self.captured += 1;
        self.verdicts.count(verdict);
        self.count_statuses(row);
        if let Some((v1, v2)) = latencies {
            self.latency.add(v1, v2);
            self.times.offer(spread(row), v1, v2);
        }
    }

    fn count_statuses(&mut self, row: &Row) {
        let status = |response: &Response| response.head.status;
        let pair = (row.exchange.response.as_ref().map(status), v2_response(row).map(status));
        if let Some((_, count)) = self.statuses.iter_mut().find(|(known, _)| *known == pair) {
            *count += 1;
        } else if self.statuses.len() < MOST_STATUS_PAIRS {
            self.statuses.push((pair, 1));
        } else {
            self.statuses_beyond += 1;
        }
    }
}

fn statuses(counts: &[(Statuses, u64)]) -> Vec<StatusPair> {
    let mut pairs: Vec<_> = counts.iter().map(|&((v1, v2), count)| StatusPair { v1, v2, count }).collect();
    pairs.sort_by_key(|pair| (std::cmp::Reverse(pair.count), pair.v1, pair.v2));
    pairs
}
/// A number of the row's own, spread evenly, whatever the order of the rows.
fn spread(row: &Row) -> u64 {
    let mut name = [0; 16];
    name[..8].copy_from_slice(&row.exchange.id.0.to_le_bytes());
    name[8..12].copy_from_slice(&row.lap.to_le_bytes());
    name[12..].copy_from_slice(&row.copy.to_le_bytes());
    xxhash_rust::xxh3::xxh3_64(&name)
}
