//! `report.html`: one file that loads nothing, for a browser or a CI artifact.
//!
//! Markup comes from templates that escape what they are given. Exchanges travel as inert JSON in which
//! no `<` stands, one script element for each, so that a browser parses what is looked at; the page's script
//! makes text nodes of them. The content security policy names the
//! digests of the one style sheet and the one script, so that a browser would run nothing else.

mod coverage;
mod plots;

use std::collections::{BTreeMap, HashSet};

use askama::Template;
use base64::Engine as _;
use sha2::{Digest as _, Sha256};

use super::exchange_view::{Chosen, Selection};
use super::ignore_rule::ignore_rule;
use super::summary::{
    Against, DistinctDifference, Judgement, RouteSummary, ShareSummary, Standing, StatusPair, Summary,
};
use super::terminal::why_not;
use super::visible::{excerpt, visible};
use super::{Quantiles, exact_percent, grouped, ms, percent};
use crate::diff::Class;
use coverage::Level;

const STYLE: &str = include_str!("html/style.css");
const SCRIPT: &str = include_str!("html/script.js");

/// Distinct differences shown as cards on a tab.
const MOST_CARDS: usize = 300;
/// Bytes of the texts of a tab's cards.
const MOST_CARD_BYTES: usize = 1 << 20;
/// Routes in the table.
const MOST_ROUTES: usize = 200;
/// Notes below the reasons.
const MOST_NOTES: usize = 20;
/// Differences that are no longer accepted and are named.
const MOST_LAPSED: usize = 20;
/// Routes with a plot of their own.
const MOST_PLOTS: usize = 24;
/// Pairs of statuses shown for a route.
const MOST_PAIRS: usize = 6;

#[derive(Template)]
#[template(path = "report.html", config = "src/report/askama.toml")]
struct Page<'a> {
    csp: String,
    style: &'static str,
    script: &'static str,
    verdict: &'static str,
    headline: &'static str,
    reasons: Vec<String>,
    notes: Vec<String>,
    notes_beyond: usize,
    warning: Option<&'static str>,
    mode: &'static str,
    started: String,
    tool_version: String,
    compared: String,
    differ: String,
    differ_any: bool,
    p99: String,
    captured: String,
    requests: String,
    reading: String,
    levels: Vec<Level>,
    against: Option<Comparison>,
    accepted: Option<String>,
    lapsed: Vec<String>,
    differences: Cards,
    noise: Cards,
    ruled_out: Cards,
    gone: Cards,
    chosen: &'a [Chosen],
    left_out: u64,
    routes: Vec<RouteRow>,
    routes_beyond: usize,
    plot: String,
    latency_rows: Vec<LatencyRow>,
    route_plots: Vec<RoutePlot>,
    axis: String,
    timeline: String,
    slot: String,
    lateness: String,
    facts: Vec<Fact>,
    anomalies: Vec<Fact>,
    shares: Vec<ShareRow>,
}

struct ShareRow {
    rule: String,
    standing: &'static str,
    destination: String,
    requests: u64,
    picked: u64,
    expected: String,
    observed: String,
    interval: String,
    within: bool,
}

/// The distinct differences of a tab.
struct Cards {
    shown: Vec<Card>,
    beyond: usize,
}

struct Card {
    anchor: String,
    class: &'static str,
    why: &'static str,
    standing: Option<&'static str>,
    host: String,
    route: String,
    layer: &'static str,
    path: String,
    kind: &'static str,
    count: String,
    share: String,
    width: String,
    v1: Option<String>,
    v2: Option<String>,
    rule: Option<String>,
    /// Why there is no rule.
    norule: &'static str,
    exchanges: Vec<String>,
}

/// How this run stands to an earlier one.
struct Comparison {
    run: String,
    started: String,
    new: u64,
    known: u64,
    gone: usize,
}

struct RouteRow {
    route: String,
    host: String,
    captured: String,
    bad: String,
    bad_width: String,
    statuses: Vec<Status>,
    quantiles: Vec<Both>,
    /// That v2 takes longer here.
    slower: Option<String>,
}

struct RoutePlot {
    route: String,
    host: String,
    plot: String,
    p50: Both,
    p99: Both,
}

struct Status {
    text: String,
    changed: bool,
    count: String,
}

struct Both {
    v1: String,
    v2: String,
}

struct LatencyRow {
    name: &'static str,
    cells: Vec<String>,
}

struct Fact {
    name: String,
    value: String,
}

/// The page.
pub(super) fn render(summary: &Summary, selection: &Selection) -> Result<String, askama::Error> {
    page(summary, selection).render()
}

fn page<'a>(summary: &Summary, selection: &'a Selection) -> Page<'a> {
    let mut offered = HashSet::new();
    let mut of =
        |which: fn(Class) -> bool| cards(summary.differences.iter().filter(|d| which(d.class)), &mut offered);
    let differ = summary.verdicts.different + summary.verdicts.failed;
    let (route_plots, axis) = route_plots(summary);
    let gone = summary.against.iter().flat_map(|against| &against.gone);
    let (differences, noise, ruled_out) = (
        of(Class::counts),
        of(|class| !class.counts() && class != Class::RuledOut),
        of(|class| class == Class::RuledOut),
    );
    Page {
        csp: policy(),
        style: STYLE,
        script: SCRIPT,
        verdict: summary.verdict.name(),
        headline: headline(summary.verdict),
        reasons: summary.reasons.iter().map(|reason| visible(reason).into_owned()).collect(),
        notes: summary.notes.iter().take(MOST_NOTES).map(|note| excerpt(note, 1000)).collect(),
        notes_beyond: summary.notes.len().saturating_sub(MOST_NOTES),
        warning: summary.keeps_secrets().then_some(SECRETS),
        mode: summary.mode.name(),
        started: to_the_second(summary.started),
        tool_version: visible(&summary.tool_version).into_owned(),
        compared: grouped(summary.verdicts.compared()),
        differ: grouped(differ),
        differ_any: differ > 0,
        p99: p99(summary),
        captured: grouped(summary.exchanges.captured),
        requests: grouped(summary.requests),
        reading: coverage::reading(summary),
        levels: coverage::levels(summary),
        against: summary.against.as_ref().map(comparison),
        accepted: summary.accepted.as_ref().map(|accepted| excerpt(&accepted.words(), 400)),
        lapsed: summary
            .accepted
            .iter()
            .flat_map(|accepted| &accepted.lapsed)
            .take(MOST_LAPSED)
            .map(|one| excerpt(one, 400))
            .collect(),
        differences,
        noise,
        ruled_out,
        gone: gone_cards(gone),
        chosen: selection.chosen(),
        left_out: selection.left_out(),
        routes: summary.routes.iter().take(MOST_ROUTES).map(route).collect(),
        routes_beyond: summary.routes.len().saturating_sub(MOST_ROUTES),
        plot: plots::distribution(&summary.latency),
        latency_rows: latency_rows(summary),
        route_plots,
        axis,
        timeline: plots::timeline(&summary.timeline),
        slot: ms(summary.timeline.slot_ms),
        lateness: summary.lateness.as_ref().map(plots::lateness).unwrap_or_default(),
        facts: facts(summary),
        anomalies: named(&summary.anomalies),
        shares: summary.shares.iter().take(MOST_ROUTES).map(share).collect(),
    }
}

/// What stands above a report that was made with `--no-redact`.
const SECRETS: &str =
    "This report was made with --no-redact: credentials, cookies and tokens stand in it as they were.";

const fn headline(verdict: Judgement) -> &'static str {
    match verdict {
        Judgement::Pass => "v2 answers as v1 did",
        Judgement::Fail => "v2 does not answer as v1 did",
        Judgement::Inconclusive => "too little was compared to say",
    }
}

/// A time as a heading needs it: `2026-11-22 12:00:00 UTC`.
fn to_the_second(time: crate::time::Timestamp) -> String {
    let text = time.to_string();
    text.split('.').next().unwrap_or_default().replace('T', " ") + " UTC"
}

/// Allows the one style sheet and the one script, by digest, and nothing else.
fn policy() -> String {
    let digest = |text: &str| base64::engine::general_purpose::STANDARD.encode(Sha256::digest(text));
    format!(
        "default-src 'none'; style-src 'sha256-{}'; script-src 'sha256-{}'; base-uri 'none'; form-action 'none'",
        digest(STYLE),
        digest(SCRIPT)
    )
}

/// Cards of what an earlier run showed; no rule of this run's could meet it.
fn gone_cards<'d>(gone: impl Iterator<Item = &'d DistinctDifference>) -> Cards {
    let mut cards = cards(gone, &mut HashSet::new());
    for card in &mut cards.shown {
        (card.rule, card.norule) = (None, "");
    }
    cards
}

/// Cards as far as they fit. `offered` are the rules of cards before them: one that two cards have stands with the
/// first, since a file takes it once.
fn cards<'d>(
    differences: impl Iterator<Item = &'d DistinctDifference>,
    offered: &mut HashSet<String>,
) -> Cards {
    let (mut shown, mut bytes, mut all) = (Vec::new(), 0, 0);
    for d in differences {
        all += 1;
        if shown.len() < MOST_CARDS && bytes < MOST_CARD_BYTES {
            let mut card = card(d);
            if card.rule.as_ref().is_some_and(|rule| !offered.insert(rule.clone())) {
                (card.rule, card.norule) = (None, "The rule of another difference at this place covers it.");
            }
            let rule = card.rule.as_ref().map_or(0, String::len);
            let values = [&card.v1, &card.v2].map(|value| value.as_ref().map_or(0, String::len));
            bytes += values[0] + values[1] + card.path.len() + card.route.len() + card.host.len() + rule;
            shown.push(card);
        }
    }
    Cards { beyond: all - shown.len(), shown }
}

fn card(d: &DistinctDifference) -> Card {
    let value = |value: &Option<String>| value.as_deref().map(|v| excerpt(v, 400));
    let rule = ignore_rule(d);
    Card {
        anchor: format!("{}-{}", d.fingerprint, d.class.name()),
        class: d.class.name(),
        why: if d.class.counts() { "" } else { why_not(d.class) },
        standing: d.standing.map(Standing::name),
        host: visible(&d.host).into_owned(),
        route: visible(&d.route).into_owned(),
        layer: d.layer.name(),
        path: excerpt(&d.path, 400),
        kind: d.kind.words(),
        count: grouped(d.count),
        share: percent(d.share),
        width: format!("{:.1}", (d.share * 100.0).clamp(1.0, 100.0)),
        v1: value(&d.v1_example),
        v2: value(&d.v2_example),
        norule: rule.as_ref().err().copied().unwrap_or_default(),
        rule: rule.ok(),
        exchanges: d.exchanges.clone(),
    }
}

fn comparison(against: &Against) -> Comparison {
    Comparison {
        run: excerpt(&against.run, 400),
        started: to_the_second(against.started),
        new: against.new,
        known: against.known,
        gone: against.gone.len(),
    }
}

/// The plots of the busiest routes on an axis that they share, and what the axis is.
fn route_plots(summary: &Summary) -> (Vec<RoutePlot>, String) {
    let steps = || summary.latency.distribution.iter().filter(|step| step.v1 + step.v2 > 0);
    let (Some(first), Some(last)) = (steps().next(), steps().next_back()) else {
        return (Vec::new(), String::new());
    };
    let (from, to) = (first.up_to_ms.max(0.001), last.up_to_ms.max(0.001));
    let routes = summary.routes.iter().filter(|route| !route.latency.distribution.is_empty());
    let plots = routes.take(MOST_PLOTS).map(|route| RoutePlot {
        route: visible(&route.route).into_owned(),
        host: visible(&route.host).into_owned(),
        plot: plots::small(&route.latency, from, to),
        p50: both(route, |q| q.p50),
        p99: both(route, |q| q.p99),
    });
    (plots.collect(), format!("{} to {}", ms(from), ms(to)))
}

fn both(route: &RouteSummary, of: fn(Quantiles) -> f64) -> Both {
    let shown = |quantiles: Option<Quantiles>| quantiles.map_or("–".to_owned(), |q| ms(of(q)));
    Both { v1: shown(route.latency.v1), v2: shown(route.latency.v2) }
}

#[expect(clippy::cast_precision_loss, reason = "a share of counts far below 2^53")]
fn route(route: &RouteSummary) -> RouteRow {
    let bad = route.verdicts.different + route.verdicts.failed;
    let share = bad as f64 / route.replayed.max(1) as f64;
    RouteRow {
        route: visible(&route.route).into_owned(),
        host: visible(&route.host).into_owned(),
        captured: grouped(route.captured),
        bad: if bad == 0 { "0".to_owned() } else { format!("{} ({})", grouped(bad), percent(share)) },
        bad_width: format!("{:.1}", share * 100.0),
        statuses: route.statuses.iter().take(MOST_PAIRS).map(status).collect(),
        quantiles: vec![both(route, |q| q.p50), both(route, |q| q.p95), both(route, |q| q.p99)],
        slower: route.slower.as_ref().map(super::Slower::words),
    }
}

fn share(share: &ShareSummary) -> ShareRow {
    let count = &share.count;
    let [low, high] = share.interval.map(exact_percent);
    ShareRow {
        rule: visible(&count.rule).into_owned(),
        standing: count.standing.name(),
        destination: visible(&count.destination).into_owned(),
        requests: count.requests,
        picked: count.picked,
        expected: exact_percent(count.expected),
        observed: exact_percent(share.observed),
        interval: format!("{low} to {high}"),
        within: share.within,
    }
}

fn status(pair: &StatusPair) -> Status {
    let shown = |status: Option<u16>| status.map_or("–".to_owned(), |status| status.to_string());
    let text = format!("{} → {}", shown(pair.v1), shown(pair.v2));
    Status { text, changed: pair.v1.is_some() && pair.v1 != pair.v2, count: grouped(pair.count) }
}

fn p99(summary: &Summary) -> String {
    let (Some(v1), Some(v2)) = (summary.latency.v1, summary.latency.v2) else { return "–".to_owned() };
    format!("{} → {}", ms(v1.p99), ms(v2.p99))
}

fn latency_rows(summary: &Summary) -> Vec<LatencyRow> {
    let lateness = summary.lateness.as_ref().map(|lateness| lateness.quantiles);
    [
        ("v1", summary.latency.v1),
        ("v2", summary.latency.v2),
        ("sent late", lateness),
        ("connecting", summary.connect),
    ]
    .into_iter()
    .filter_map(|(name, quantiles)| Some((name, quantiles?)))
    .filter(|_| summary.latency.count > 0)
    .map(|(name, q)| LatencyRow { name, cells: [q.p50, q.p90, q.p95, q.p99, q.max].map(ms).to_vec() })
    .collect()
}

fn named(counts: &BTreeMap<String, u64>) -> Vec<Fact> {
    counts.iter().map(|(name, n)| Fact { name: visible(name).into_owned(), value: grouped(*n) }).collect()
}

fn facts(summary: &Summary) -> Vec<Fact> {
    let capture = &summary.capture;
    let time = |time: Option<crate::time::Timestamp>| time.map_or("–".to_owned(), |time| time.to_string());
    let targets: Vec<_> = summary.targets.iter().map(|(name, url)| format!("{name} = {url}")).collect();
    let digests = summary.digests.iter().map(|(name, digest)| Fact {
        name: format!("digest of {}", excerpt(name, 60)),
        value: excerpt(digest, 200),
    });
    [
        ("captures", summary.captures.join(", ")),
        ("targets", targets.join(", ")),
        ("options", summary.options.join(" ")),
        ("seed", summary.seed.to_string()),
        ("recorded by", summary.tool_version.clone()),
        ("rendered by", summary.rendered_by.clone()),
        ("began", summary.started.to_string()),
        ("ended", time(summary.finished)),
        ("first packet", time(capture.first_packet)),
        ("last packet", time(capture.last_packet)),
        ("packets", grouped(capture.packets)),
        ("captured bytes", grouped(capture.bytes)),
        ("connections", grouped(capture.connections)),
        ("lost bytes", grouped(capture.lost_bytes)),
        ("requests' digest", summary.requests_digest.to_string()),
        ("broken off", summary.broken_off.clone().unwrap_or_default()),
        ("unreadable", summary.losses.join("; ")),
    ]
    .into_iter()
    .filter(|(_, value)| !value.is_empty())
    .map(|(name, value)| Fact { name: name.to_owned(), value: excerpt(&value, 2000) })
    .chain(digests)
    .collect()
}
