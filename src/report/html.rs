//! `report.html`: one file that loads nothing, for a browser or a CI artifact.
//!
//! Markup comes from templates that escape what they are given. Exchanges travel as inert JSON in which
//! no `<` stands, and the page's script makes text nodes of them. The content security policy names the
//! digests of the one style sheet and the one script, so that a browser would run nothing else.

mod plot;

use std::collections::BTreeMap;

use askama::Template;
use base64::Engine as _;
use sha2::{Digest as _, Sha256};

use super::exchange_view::Selection;
use super::summary::{DistinctDifference, Judgement, RouteSummary, StatusPair, Summary};
use super::visible::{excerpt, visible};
use super::words::{Reasons, not_sent};
use super::{Quantiles, ms, percent};
use crate::diff::Verdict;

const STYLE: &str = include_str!("html/style.css");
const SCRIPT: &str = include_str!("html/script.js");

/// Distinct differences shown as cards, of those that count and of the others each.
const MOST_CARDS: usize = 300;
/// Routes in the table.
const MOST_ROUTES: usize = 200;
/// Pairs of statuses shown for a route.
const MOST_PAIRS: usize = 6;

#[derive(Template)]
#[template(path = "report.html", config = "src/report/askama.toml")]
struct Page {
    csp: String,
    style: &'static str,
    script: &'static str,
    verdict: &'static str,
    headline: &'static str,
    reasons: Vec<String>,
    mode: &'static str,
    started: String,
    tool_version: String,
    compared: u64,
    differ: u64,
    differ_any: bool,
    p99: String,
    captured: u64,
    requests: u64,
    bar_label: String,
    parts: Vec<Part>,
    counted: Vec<Card>,
    counted_beyond: usize,
    explained: Vec<Card>,
    explained_beyond: usize,
    chosen: usize,
    left_out: u64,
    routes: Vec<RouteRow>,
    routes_beyond: usize,
    plot: String,
    latency_rows: Vec<LatencyRow>,
    facts: Vec<Fact>,
    anomalies: Vec<Fact>,
    data: String,
}

/// A part of the coverage bar, in thousandths of its width.
struct Part {
    class: &'static str,
    label: &'static str,
    count: u64,
    causes: String,
    x: String,
    width: String,
}

struct Card {
    anchor: String,
    class: &'static str,
    host: String,
    route: String,
    layer: &'static str,
    path: String,
    kind: &'static str,
    count: u64,
    share: String,
    v1: Option<String>,
    v2: Option<String>,
    exchanges: Vec<String>,
}

struct RouteRow {
    route: String,
    host: String,
    captured: u64,
    bad: String,
    bad_width: String,
    statuses: Vec<Status>,
    quantiles: Vec<Both>,
}

struct Status {
    text: String,
    changed: bool,
    count: u64,
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

fn page(summary: &Summary, selection: &Selection) -> Page {
    let (counted, explained): (Vec<_>, Vec<_>) = summary.differences.iter().partition(|d| d.class.counts());
    let differ = summary.verdicts.different + summary.verdicts.failed;
    Page {
        csp: policy(),
        style: STYLE,
        script: SCRIPT,
        verdict: summary.verdict.name(),
        headline: headline(summary.verdict),
        reasons: summary.reasons.iter().map(|reason| visible(reason).into_owned()).collect(),
        mode: summary.mode.name(),
        started: to_the_second(summary.started),
        tool_version: visible(&summary.tool_version).into_owned(),
        compared: summary.verdicts.compared(),
        differ,
        differ_any: differ > 0,
        p99: p99(summary),
        captured: summary.exchanges.captured,
        requests: summary.requests,
        bar_label: bar_label(summary),
        parts: parts(summary),
        counted: counted.iter().take(MOST_CARDS).map(|d| card(d)).collect(),
        counted_beyond: counted.len().saturating_sub(MOST_CARDS),
        explained: explained.iter().take(MOST_CARDS).map(|d| card(d)).collect(),
        explained_beyond: explained.len().saturating_sub(MOST_CARDS),
        chosen: selection.len(),
        left_out: selection.left_out(),
        routes: summary.routes.iter().take(MOST_ROUTES).map(route).collect(),
        routes_beyond: summary.routes.len().saturating_sub(MOST_ROUTES),
        plot: plot::svg(&summary.latency),
        latency_rows: latency_rows(summary),
        facts: facts(summary),
        anomalies: named(&summary.anomalies),
        data: inert(&selection.json()),
    }
}

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

/// JSON in which nothing can end a script element or begin a comment (HTML, section 4.12.1.3). Within
/// strings, where alone these characters occur, the escapes mean the same.
fn inert(json: &str) -> String {
    let mut out = String::with_capacity(json.len() + json.len() / 16);
    for c in json.chars() {
        match c {
            '<' => out.push_str("\\u003c"),
            '>' => out.push_str("\\u003e"),
            '&' => out.push_str("\\u0026"),
            c => out.push(c),
        }
    }
    out
}

fn causes(reasons: Reasons, counts: &BTreeMap<String, u64>) -> String {
    excerpt(&reasons.list(counts), 600)
}

#[expect(clippy::cast_precision_loss, reason = "a share of counts far below 2^53")]
fn parts(summary: &Summary) -> Vec<Part> {
    let verdicts = &summary.verdicts;
    let none = String::new;
    let all = [
        ("match", "match", verdicts.of(Verdict::Match), none()),
        ("noise", "noise alone", verdicts.of(Verdict::Noise), none()),
        ("different", "different", verdicts.of(Verdict::Different), none()),
        ("failed", "failed", verdicts.of(Verdict::Failed), causes(Reasons::Failed, &summary.failures)),
        (
            "not_comparable",
            "not comparable",
            verdicts.of(Verdict::NotComparable),
            causes(Reasons::NotComparable, &summary.not_comparable),
        ),
        (
            "skipped",
            not_sent(summary.mode),
            summary.exchanges.skipped_in_all(),
            causes(Reasons::Skipped, &summary.exchanges.skipped),
        ),
    ];
    let whole = summary.exchanges.captured.max(1) as f64;
    let mut before = 0;
    let mut parts = Vec::new();
    for (class, label, count, causes) in all.into_iter().filter(|(.., count, _)| *count > 0) {
        let (x, width) = (before as f64 * 1000.0 / whole, count as f64 * 1000.0 / whole);
        before += count;
        parts.push(Part { class, label, count, causes, x: format!("{x:.2}"), width: format!("{width:.2}") });
    }
    parts
}

fn bar_label(summary: &Summary) -> String {
    let list: Vec<_> = parts(summary).iter().map(|part| format!("{} {}", part.count, part.label)).collect();
    format!("Of {} rows: {}", summary.exchanges.captured, list.join(", "))
}

fn card(d: &DistinctDifference) -> Card {
    let value = |value: &Option<String>| value.as_deref().map(|v| excerpt(v, 400));
    Card {
        anchor: format!("{}-{}", d.fingerprint, d.class.name()),
        class: d.class.name(),
        host: visible(&d.host).into_owned(),
        route: visible(&d.route).into_owned(),
        layer: d.layer.name(),
        path: excerpt(&d.path, 400),
        kind: d.kind.words(),
        count: d.count,
        share: percent(d.share),
        v1: value(&d.v1_example),
        v2: value(&d.v2_example),
        exchanges: d.exchanges.clone(),
    }
}

#[expect(clippy::cast_precision_loss, reason = "a share of counts far below 2^53")]
fn route(route: &RouteSummary) -> RouteRow {
    let bad = route.verdicts.different + route.verdicts.failed;
    let share = bad as f64 / route.replayed.max(1) as f64;
    let both = |of: fn(Quantiles) -> f64| {
        let shown = |quantiles: Option<Quantiles>| quantiles.map_or("–".to_owned(), |q| ms(of(q)));
        Both { v1: shown(route.latency.v1), v2: shown(route.latency.v2) }
    };
    RouteRow {
        route: visible(&route.route).into_owned(),
        host: visible(&route.host).into_owned(),
        captured: route.captured,
        bad: if bad == 0 { "0".to_owned() } else { format!("{bad} ({})", percent(share)) },
        bad_width: format!("{:.1}", share * 100.0),
        statuses: route.statuses.iter().take(MOST_PAIRS).map(status).collect(),
        quantiles: vec![both(|q| q.p50), both(|q| q.p95), both(|q| q.p99)],
    }
}

fn status(pair: &StatusPair) -> Status {
    let shown = |status: Option<u16>| status.map_or("–".to_owned(), |status| status.to_string());
    let text = format!("{} → {}", shown(pair.v1), shown(pair.v2));
    Status { text, changed: pair.v1.is_some() && pair.v1 != pair.v2, count: pair.count }
}

fn p99(summary: &Summary) -> String {
    let (Some(v1), Some(v2)) = (summary.latency.v1, summary.latency.v2) else { return "–".to_owned() };
    format!("{} → {}", ms(v1.p99), ms(v2.p99))
}

fn latency_rows(summary: &Summary) -> Vec<LatencyRow> {
    [("v1", summary.latency.v1), ("v2", summary.latency.v2), ("sent late", summary.lateness)]
        .into_iter()
        .filter_map(|(name, quantiles)| Some((name, quantiles?)))
        .filter(|_| summary.latency.count > 0)
        .map(|(name, q)| LatencyRow { name, cells: [q.p50, q.p90, q.p95, q.p99, q.max].map(ms).to_vec() })
        .collect()
}

fn named(counts: &BTreeMap<String, u64>) -> Vec<Fact> {
    counts.iter().map(|(name, n)| Fact { name: visible(name).into_owned(), value: n.to_string() }).collect()
}

fn facts(summary: &Summary) -> Vec<Fact> {
    let capture = &summary.capture;
    let time = |time: Option<crate::time::Timestamp>| time.map_or("–".to_owned(), |time| time.to_string());
    let targets: Vec<_> = summary.targets.iter().map(|(name, url)| format!("{name} = {url}")).collect();
    [
        ("captures", summary.captures.join(", ")),
        ("targets", targets.join(", ")),
        ("options", summary.options.join(" ")),
        ("seed", summary.seed.to_string()),
        ("version", summary.tool_version.clone()),
        ("began", summary.started.to_string()),
        ("ended", time(summary.finished)),
        ("first packet", time(capture.first_packet)),
        ("last packet", time(capture.last_packet)),
        ("packets", capture.packets.to_string()),
        ("captured bytes", capture.bytes.to_string()),
        ("connections", capture.connections.to_string()),
        ("lost bytes", capture.lost_bytes.to_string()),
        ("broken off", summary.broken_off.clone().unwrap_or_default()),
        ("unreadable", summary.losses.join("; ")),
    ]
    .into_iter()
    .filter(|(_, value)| !value.is_empty())
    .map(|(name, value)| Fact { name: name.to_owned(), value: excerpt(&value, 2000) })
    .collect()
}
