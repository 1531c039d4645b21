//! Counts rows as they come, in memory that does not grow with their number.

use std::collections::BTreeMap;

use super::differences::{Differences, Place};
use super::earlier::Earlier;
use super::facts::{both_latencies, lateness, since_due, timing, why_not_comparable};
use super::fail_on::Counts;
use super::gate::{End, Evidence, Gate};
use super::latency::{Gathered, Pair};
use super::route::{RouteName, Routes};
use super::route_counts::RouteCounts;
use super::summary::{AskedSummary, Exchanges, SCHEMA, ShareSummary, Summary, Verdicts};
use super::timeline::Counting;
use crate::anomaly::Anomaly;
use crate::diff::{Difference, Fingerprint, Verdict};
use crate::record::{Finished, Loss, Mode, Row, Run};
use crate::replay::methods::is_safe;
use crate::replay::{Outcome, Timing};

/// Destinations of rules whose shares are told.
const MOST_SHARES: usize = 2000;

/// What was found in one replayed row.
#[derive(Clone, Debug)]
pub struct Judged {
    /// What is said of it.
    pub verdict: Verdict,
    /// How its two answers differ.
    pub differences: Vec<Difference>,
}

/// Counts rows, and becomes the [`Summary`].
#[derive(Clone)]
pub struct Tally {
    run: Run,
    names: Routes,
    requests: u64,
    /// The sum of the hashes of their ids: the same for the same requests in any order.
    requests_digest: u64,
    /// Requests beside those.
    requests_without_row: u64,
    exchanges: Exchanges,
    verdicts: Verdicts,
    asked: AskedSummary,
    failures: BTreeMap<String, u64>,
    not_comparable: BTreeMap<String, u64>,
    differences: Differences,
    routes: RouteCounts,
    latency: Pair,
    lateness: Gathered,
    timeline: Counting,
    since_due: Gathered,
    connect: Gathered,
    /// What the first attempt said that came to no connection.
    unreached: Option<String>,
}

impl Tally {
    /// Nothing counted yet.
    #[must_use]
    pub fn new(run: Run) -> Self {
        Self {
            run,
            names: Routes::default(),
            requests: 0,
            requests_digest: 0,
            requests_without_row: 0,
            exchanges: Exchanges::default(),
            verdicts: Verdicts::default(),
            asked: AskedSummary::default(),
            failures: BTreeMap::new(),
            not_comparable: BTreeMap::new(),
            differences: Differences::default(),
            routes: RouteCounts::default(),
            latency: Pair::new(3),
            lateness: Gathered::new(2),
            since_due: Gathered::new(3),
            connect: Gathered::new(2),
            timeline: Counting::default(),
            unreached: None,
        }
    }

    /// Names routes, and ranks differences, by what was learned from all rows.
    #[must_use]
    pub fn knowing(self, names: Routes) -> Self {
        Self { names, ..self }
    }

    /// Counts a row. What was skipped counts as skipped whatever `judged` says; what was replayed and not
    /// judged counts as not comparable.
    pub fn add(&mut self, row: &Row, judged: Option<&Judged>) {
        let mut route = RouteName::default();
        self.names.name(&row.exchange.request.head, &mut route);
        let _ = self.add_on(row, judged, &route);
    }

    /// How routes are named.
    pub(super) const fn names(&self) -> &Routes {
        &self.names
    }

    /// Counts a row on the route that its request has; says in how many rows on it before, one behind the other, each of its
    /// differences was met at least.
    pub(super) fn add_on(&mut self, row: &Row, judged: Option<&Judged>, route_name: &RouteName) -> u32 {
        if row.copy == 0 && row.lap == 0 {
            self.requests += 1;
            let hash = xxhash_rust::xxh3::xxh3_64(&row.exchange.id.0.to_le_bytes());
            self.requests_digest = self.requests_digest.wrapping_add(hash);
        }
        self.exchanges.captured += 1;
        let route = self.routes.of(row, route_name.text());
        let at = row.exchange.request.first_byte;
        if let Outcome::Skipped(reason) = &row.outcome {
            route.count_skipped();
            self.timeline.add(at, None);
            count_one(&mut self.exchanges.skipped, reason.name());
            return 0;
        }
        let verdict = judged.map_or(Verdict::NotComparable, |judged| judged.verdict);
        let latencies = both_latencies(row);
        route.count_sent(row, verdict, latencies);
        self.exchanges.replayed += 1;
        self.exchanges.replayed_unsafe += u64::from(!is_safe(row.exchange.request.head.method()));
        self.verdicts.count(verdict);
        self.timeline.add(at, Some(verdict));
        if let Some((v1, v2)) = latencies {
            self.latency.add(v1, v2);
        }
        // What a mesh sent was due when it was sent.
        if let Some(late) = lateness(row).filter(|_| self.run.mode != Mode::Compare) {
            self.lateness.add(late);
        }
        if let Some(took) = timing(row).and_then(Timing::connect_time) {
            self.connect.add(took);
        }
        if let Some(took) = since_due(row) {
            self.since_due.add(took);
        }
        self.asked.count(row);
        self.count_causes(row, verdict);
        let differences = judged.map(|judged| judged.differences.as_slice()).unwrap_or_default();
        if differences.is_empty() {
            return 0;
        }
        let recurring = self.routes.recurring(row, route_name);
        // The row is the `captured`th, from 1.
        let on = Place { row, nth: self.exchanges.captured, route: route_name, names: &self.names };
        self.differences.count(differences, &on, recurring)
    }

    fn count_causes(&mut self, row: &Row, verdict: Verdict) {
        match (verdict, &row.outcome) {
            (Verdict::Failed, Outcome::Failed { failure, detail, .. }) => {
                if failure.is_unconnected() {
                    self.unreached.get_or_insert_with(|| detail.clone());
                }
                count_one(&mut self.failures, failure.name());
            }
            (Verdict::NotComparable, _) => {
                count_one(&mut self.not_comparable, why_not_comparable(row));
            }
            _ => {}
        }
    }

    /// How many rows got which verdict so far.
    #[must_use]
    pub const fn verdicts(&self) -> Verdicts {
        self.verdicts
    }

    /// The distinct differences that count and were met most often, each as a line, with how many exchanges
    /// show it.
    #[must_use]
    pub fn top_differences(&self, most: usize) -> Vec<(String, u64)> {
        self.differences.top(most, &self.names)
    }

    /// Requests that were not sent and of which nothing else is known.
    fn count_without_row(&mut self, finished: Option<&Finished>) {
        for (reason, count) in finished.into_iter().flat_map(|finished| &finished.without_row) {
            *self.exchanges.skipped.entry(reason.clone()).or_default() += count;
            self.exchanges.captured += count;
            self.requests_without_row += count;
        }
    }

    /// The account. `finished` is `None` for a recording whose run never ended in order; `earlier` is what this run is
    /// compared with.
    #[must_use]
    pub fn finish(
        mut self,
        finished: Option<&Finished>,
        losses: &[Loss],
        gate: &Gate,
        earlier: Option<Earlier>,
    ) -> Summary {
        self.count_without_row(finished);
        let differences_beyond = self.differences.beyond();
        let mut differences = self.differences.ranked(self.verdicts.compared(), &self.names);
        let against = earlier.map(|earlier| earlier.compare(&mut differences));
        let accepted = gate.accepted.as_ref().map(|accepted| accepted.compare(&mut differences));
        let routes = self.routes.by_size();
        let (verdict, reasons) = gate.judge(&Evidence {
            mode: self.run.mode,
            exchanges: &self.exchanges,
            verdicts: &self.verdicts,
            failures: &self.failures,
            not_comparable: &self.not_comparable,
            unreached: self.unreached.as_deref(),
            capture: finished.map(|f| &f.capture),
            dropped: finished.map_or(0, dropped),
            end: match finished {
                None => End::Unknown,
                Some(finished) if finished.interrupted => End::Stopped,
                Some(_) => End::InOrder,
            },
            broken_off: finished.and_then(|f| f.broken_off.as_deref()),
            gave_up: finished.and_then(|f| f.gave_up.as_deref()),
            unreadable: !losses.is_empty(),
            differences_beyond,
            counts: Counts::new(&self.exchanges, self.verdicts, &differences, &routes),
        });
        debug_assert_eq!(self.exchanges.captured, self.exchanges.replayed + self.exchanges.skipped_in_all());
        debug_assert_eq!(self.exchanges.replayed, self.verdicts.in_all());
        Summary {
            schema: SCHEMA.to_owned(),
            tool_version: self.run.tool_version,
            rendered_by: env!("CARGO_PKG_VERSION").to_owned(),
            digests: self.run.digests,
            started: self.run.started,
            finished: finished.map(|f| f.finished),
            interrupted: finished.is_none_or(|f| f.interrupted),
            seed: self.run.seed,
            mode: self.run.mode,
            captures: self.run.captures,
            targets: self.run.targets,
            options: self.run.options,
            capture: finished.map(|f| f.capture.clone()).unwrap_or_default(),
            broken_off: finished.and_then(|f| f.broken_off.clone()),
            requests: self.requests + self.requests_without_row,
            requests_digest: Fingerprint(self.requests_digest),
            differences,
            exchanges: self.exchanges,
            verdicts: self.verdicts,
            asked: self.asked,
            failures: self.failures,
            not_comparable: self.not_comparable,
            differences_beyond,
            routes,
            latency: self.latency.latency_with_distribution(),
            lateness: self.lateness.lateness(),
            since_due: self.since_due.quantiles(),
            connect: self.connect.quantiles(),
            timeline: self.timeline.timeline(),
            against,
            accepted,
            verdict,
            reasons,
            anomalies: finished.map(|f| f.anomalies.clone()).unwrap_or_default(),
            shares: finished.map(shares).unwrap_or_default(),
            losses: losses.iter().map(ToString::to_string).collect(),
            rules: Vec::new(),
            notes: Vec::new(),
        }
    }
}

/// Counts one more of that name.
fn count_one(counts: &mut BTreeMap<String, u64>, name: &str) {
    match counts.get_mut(name) {
        Some(count) => *count += 1,
        None => _ = counts.insert(name.to_owned(), 1),
    }
}

/// The shares of the rules that are told; more rules than that had requests in no run that a person reads.
fn shares(finished: &Finished) -> Vec<ShareSummary> {
    finished.shares.iter().take(MOST_SHARES).cloned().filter_map(ShareSummary::new).collect()
}

/// Packets that were dropped before the capture had them.
fn dropped(finished: &Finished) -> u64 {
    let of = |anomaly: Anomaly| finished.anomalies.get(anomaly.name()).copied().unwrap_or(0);
    of(Anomaly::DroppedByKernel) + of(Anomaly::DroppedByInterface)
}
