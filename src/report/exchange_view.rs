//! The exchanges that the HTML report shows in full, chosen within a budget.

use std::collections::HashMap;

use serde::Serialize;
use similar::{Algorithm, ChangeTag, TextDiff};

use super::pretty;
use super::role_name;
use super::route::route_of;
use super::tally::{Judged, timing, v1_latency, v2_latency, v2_response};
use super::visible::{excerpt, visible};
use crate::diff::{Class, Difference, Kind, Layer, Verdict, general_path};
use crate::http::Response;
use crate::record::Row;
use crate::replay::Outcome;
use crate::replay::client::ClientKind;

/// Bytes of JSON for exchanges that count against v2.
const COUNTED_BYTES: usize = 9 << 20;
/// Further bytes for exchanges that are the first to show a difference, once that is spent.
const NOVEL_BYTES: usize = 4 << 20;
/// Bytes of JSON for all others.
const OTHER_BYTES: usize = 3 << 20;
/// Exchanges of each uncounted verdict that are shown though they show nothing new.
const SAMPLES: u64 = 40;
/// Exchanges for each distinct difference that are novel.
const NOVEL: u32 = 3;
/// Differences listed for one exchange.
const MOST_DIFFERENCES: usize = 100;
/// Bytes of a head that are shown.
const MOST_HEAD: usize = 8 * 1024;

/// Exchanges as JSON, in the order of their rows.
#[derive(Default)]
pub(super) struct Selection {
    chosen: Vec<String>,
    counted: usize,
    novel: usize,
    other: usize,
    samples: HashMap<&'static str, u64>,
    seen: HashMap<(String, Layer, String, Kind, Class), u32>,
    offered: u64,
}

impl Selection {
    /// Keeps the row if it is worth its place.
    pub(super) fn offer(&mut self, row: &Row, judged: Option<&Judged>) {
        self.offered += 1;
        let verdict = verdict(row, judged);
        let novel = self.is_novel(row, judged);
        let counts = judged.is_some_and(|j| matches!(j.verdict, Verdict::Different | Verdict::Failed));
        let samples = self.samples.entry(verdict).or_default();
        *samples += 1;
        let (spent, budget) = match (counts, novel) {
            (true, _) if self.counted < COUNTED_BYTES => (&mut self.counted, COUNTED_BYTES),
            (true, true) => (&mut self.novel, NOVEL_BYTES),
            (false, novel) if novel || *samples <= SAMPLES => (&mut self.other, OTHER_BYTES),
            _ => return,
        };
        if *spent >= budget {
            return;
        }
        // Serializing strings and numbers into memory does not fail.
        let Ok(json) = serde_json::to_string(&View::of(row, judged, verdict)) else { return };
        *spent += json.len();
        self.chosen.push(json);
    }

    /// The chosen ones as a JSON array.
    pub(super) fn json(&self) -> String {
        format!("[{}]", self.chosen.join(",\n"))
    }

    /// How many were chosen.
    pub(super) fn len(&self) -> usize {
        self.chosen.len()
    }

    /// How many rows were offered and not chosen.
    pub(super) fn left_out(&self) -> u64 {
        self.offered - self.chosen.len() as u64
    }

    fn is_novel(&mut self, row: &Row, judged: Option<&Judged>) -> bool {
        let Some(judged) = judged else { return false };
        let route = route_of(&row.exchange.request.head);
        let mut novel = false;
        for d in judged.differences.iter().take(MOST_DIFFERENCES) {
            if self.seen.len() >= 10_000 {
                break;
            }
            let key = (route.clone(), d.layer, general_path(d.layer, &d.path), d.kind, d.class);
            let seen = self.seen.entry(key).or_default();
            *seen += 1;
            novel |= *seen <= NOVEL;
        }
        novel
    }
}

fn verdict(row: &Row, judged: Option<&Judged>) -> &'static str {
    match (&row.outcome, judged) {
        (Outcome::Skipped(_), _) => "skipped",
        (_, Some(judged)) => judged.verdict.name(),
        (_, None) => Verdict::NotComparable.name(),
    }
}

/// What the page's script shows of an exchange. All of it is text that was made visible.
#[derive(Serialize)]
struct View {
    id: String,
    verdict: &'static str,
    role: &'static str,
    destination: String,
    rule: String,
    /// By which client it was sent, where that is not the exact one.
    #[serde(skip_serializing_if = "Option::is_none")]
    by: Option<&'static str>,
    time: String,
    client: String,
    host: String,
    method: String,
    target: String,
    route: String,
    why: Option<String>,
    v1_status: Option<u16>,
    v2_status: Option<u16>,
    v1_ms: Option<f64>,
    v2_ms: Option<f64>,
    late_ms: Option<f64>,
    request: Vec<String>,
    differences: Vec<Shown>,
    heads: Vec<Pair>,
    bodies: Vec<Pair>,
}

#[derive(Serialize)]
struct Shown {
    class: Class,
    layer: Layer,
    path: String,
    kind: Kind,
    v1: Option<String>,
    v2: Option<String>,
}

/// A line of v1 beside one of v2; `None` where a side has none. Equal lines are written once.
#[derive(Debug, PartialEq, Eq, Serialize)]
#[serde(untagged)]
enum Pair {
    Same(String),
    Differ([Option<String>; 2]),
}

impl View {
    fn of(row: &Row, judged: Option<&Judged>, verdict: &'static str) -> Self {
        let head = &row.exchange.request.head;
        let text = |bytes: &[u8]| excerpt(&String::from_utf8_lossy(bytes), 4096);
        let (v1, v2) = (row.exchange.response.as_ref(), v2_response(row));
        let millis = |time: std::time::Duration| (time.as_secs_f64() * 1e6).round() / 1e3;
        let late = timing(row).and_then(|t| Some(t.sent?.since(t.due)));
        Self {
            id: row.exchange.id.to_string(),
            verdict,
            role: role_name(row.role),
            destination: visible(&row.destination).into_owned(),
            rule: visible(&row.route).into_owned(),
            by: row.client.filter(|client| *client != ClientKind::Exact).map(ClientKind::name),
            time: row.exchange.request.first_byte.to_string(),
            client: row.exchange.connection.client.to_string(),
            host: text(head.host().unwrap_or_default()),
            method: text(head.method()),
            target: text(head.target()),
            route: visible(&route_of(head)).into_owned(),
            why: why(row),
            v1_status: v1.map(|r| r.head.status),
            v2_status: v2.map(|r| r.head.status),
            v1_ms: v1_latency(row).map(millis),
            v2_ms: v2_latency(row).map(millis),
            late_ms: late.map(millis),
            request: request(row),
            differences: shown(judged.map(|j| j.differences.as_slice()).unwrap_or_default()),
            heads: beside(&head_lines(v1), &head_lines(v2)),
            bodies: beside(&body_lines(v1), &body_lines(v2)),
        }
    }
}

fn why(row: &Row) -> Option<String> {
    match &row.outcome {
        Outcome::Skipped(reason) if reason.is_of_pairing() => {
            Some(format!("not compared: {}", reason.words()))
        }
        Outcome::Skipped(reason) => Some(format!("not sent: {}", reason.words())),
        Outcome::Failed { failure, detail, .. } => {
            Some(format!("{}: {}", failure.words(), excerpt(detail, 500)))
        }
        Outcome::Answered { .. } => None,
    }
}

/// The request as it was sent, or as it was captured where it was not.
fn request(row: &Row) -> Vec<String> {
    let request = &row.exchange.request;
    let mut lines = raw_lines(row.sent_head.as_ref().unwrap_or(request.head.raw()));
    let body = request.body.entity.as_deref().unwrap_or_default();
    if !body.is_empty() {
        lines.push(String::new());
        lines.extend(pretty::lines(body));
    }
    lines
}

fn shown(differences: &[Difference]) -> Vec<Shown> {
    let value = |value: &Option<String>| value.as_deref().map(|v| excerpt(v, 1000));
    differences
        .iter()
        .take(MOST_DIFFERENCES)
        .map(|d| Shown {
            class: d.class,
            layer: d.layer,
            path: excerpt(&d.path, 1000),
            kind: d.kind,
            v1: value(&d.v1),
            v2: value(&d.v2),
        })
        .collect()
}

fn raw_lines(head: &[u8]) -> Vec<String> {
    let cut = head.get(..MOST_HEAD).unwrap_or(head);
    String::from_utf8_lossy(cut).trim_end().lines().map(|line| visible(line).into_owned()).collect()
}

fn head_lines(response: Option<&Response>) -> Vec<String> {
    response.map(|r| raw_lines(r.head.raw())).unwrap_or_default()
}

fn body_lines(response: Option<&Response>) -> Vec<String> {
    let Some(response) = response else { return Vec::new() };
    match crate::record::redact::decoded(&response.head.headers, &response.body) {
        Some(text) => pretty::lines(&text),
        None => match &response.body.entity {
            Some(coded) => vec![format!("({} bytes that could not be decoded)", coded.len())],
            None => vec![format!("({} bytes, not kept)", response.body.len)],
        },
    }
}

/// Lines side by side: equal ones once, runs of removed and added ones next to each other.
fn beside(v1: &[String], v2: &[String]) -> Vec<Pair> {
    let (left, right): (Vec<&str>, Vec<&str>) =
        (v1.iter().map(String::as_str).collect(), v2.iter().map(String::as_str).collect());
    // No deadline: what is shown must not depend on the machine. `pretty` bounds the lines.
    let diff = TextDiff::configure().algorithm(Algorithm::Patience).diff_slices(&left, &right);
    let mut pairs = Vec::new();
    let (mut removed, mut added) = (Vec::new(), Vec::new());
    for change in diff.iter_all_changes() {
        let line = change.value().to_owned();
        match change.tag() {
            ChangeTag::Delete => removed.push(line),
            ChangeTag::Insert => added.push(line),
            ChangeTag::Equal => {
                drain(&mut removed, &mut added, &mut pairs);
                pairs.push(Pair::Same(line));
            }
        }
    }
    drain(&mut removed, &mut added, &mut pairs);
    pairs
}

fn drain(removed: &mut Vec<String>, added: &mut Vec<String>, pairs: &mut Vec<Pair>) {
    let (mut left, mut right) = (removed.drain(..), added.drain(..));
    loop {
        match [left.next(), right.next()] {
            [None, None] => break,
            pair => pairs.push(Pair::Differ(pair)),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn changed_lines_stand_side_by_side() {
        let lines = |text: &str| text.chars().map(String::from).collect::<Vec<_>>();
        let differ =
            |a: Option<&str>, b: Option<&str>| Pair::Differ([a.map(str::to_owned), b.map(str::to_owned)]);
        assert_eq!(
            beside(&lines("axb"), &lines("ayzb")),
            [
                Pair::Same("a".into()),
                differ(Some("x"), Some("y")),
                differ(None, Some("z")),
                Pair::Same("b".into())
            ]
        );
        assert_eq!(beside(&[], &lines("a")), [differ(None, Some("a"))]);
    }
}
