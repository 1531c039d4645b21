//! The exchanges that the HTML report shows in full, chosen within a budget.

use std::collections::{BTreeMap, HashMap};

use foldhash::fast::RandomState;
use serde::Serialize;
use xxhash_rust::xxh3::xxh3_64;

use super::beside::{Pair, beside};
use super::facts::{timing, v1_latency, v2_latency, v2_response};
use super::route::Routes;
use super::tally::Judged;
use super::visible::{excerpt, visible};
use super::{curl, pretty, raw_body};
use crate::diff::{Class, Difference, Layer, Verdict, general_path};
use crate::http::Response;
use crate::record::{RequestName, Row};
use crate::replay::client::ClientKind;
use crate::replay::{Outcome, Timing};

/// Bytes of the page for exchanges that count against v2.
const COUNTED_BYTES: usize = 8 << 20;
/// Further bytes for exchanges that are the first to show a difference, once that is spent.
const NOVEL_BYTES: usize = 3 << 20;
/// Bytes of the page for all others.
const OTHER_BYTES: usize = 5 << 19;
/// Exchanges of each uncounted verdict that are shown though they show nothing new.
const SAMPLES: u64 = 40;
/// Exchanges for each distinct difference that are novel.
const NOVEL: u32 = 3;
/// Differences listed for one exchange.
const MOST_DIFFERENCES: usize = 100;
/// Bytes of a head that are shown.
const MOST_HEAD: usize = 8 * 1024;
/// Characters of a target in the list of exchanges.
const MOST_TARGET: usize = 240;

/// Exchanges in the order of their rows.
pub(super) struct Selection {
    targets: BTreeMap<String, String>,
    names: Routes,
    chosen: Vec<Chosen>,
    counted: usize,
    novel: usize,
    other: usize,
    samples: HashMap<&'static str, u64, RandomState>,
    /// How often a difference was seen on a route, by the digest of both.
    seen: HashMap<u64, u32, RandomState>,
    /// Room for what that digest is of.
    name: String,
    /// How many rows of an exchange were chosen, for those with one.
    keys: HashMap<RequestName, u32, RandomState>,
    offered: u64,
}

/// An exchange for the page: its line in the list, and all that is shown of it. Both are JSON in which no
/// `<` stands.
pub(super) struct Chosen {
    pub(super) entry: String,
    pub(super) detail: String,
}

impl Selection {
    /// Nothing chosen yet; `targets` are the addresses of destinations by their names.
    pub(super) fn new(targets: &BTreeMap<String, String>) -> Self {
        Self {
            targets: targets.clone(),
            names: Routes::default(),
            chosen: Vec::new(),
            counted: 0,
            novel: 0,
            other: 0,
            samples: HashMap::default(),
            seen: HashMap::default(),
            name: String::new(),
            keys: HashMap::default(),
            offered: 0,
        }
    }

    /// Names routes by what was learned from all rows.
    pub(super) fn know(&mut self, names: Routes) {
        self.names = names;
    }

    /// Keeps the row, whose request is on that route, if it is worth its place. Each of its differences was met on that route
    /// so many `times` before at least, by rows that were offered.
    pub(super) fn offer(&mut self, row: &Row, judged: Option<&Judged>, (route, times): (&str, u32)) {
        self.offered += 1;
        let verdict = verdict(row, judged);
        let novel = times < NOVEL && self.is_novel(judged, route);
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
        let base = self.targets.get(&*row.destination).map(String::as_str);
        let times = self.keys.entry(row.request_name()).or_default();
        *times += 1;
        let chosen = Chosen::of(row, judged, verdict, base, *times, &self.names);
        *spent += chosen.entry.len() + chosen.detail.len();
        self.chosen.push(chosen);
    }

    pub(super) fn chosen(&self) -> &[Chosen] {
        &self.chosen
    }

    /// How many rows were offered and not chosen.
    pub(super) fn left_out(&self) -> u64 {
        self.offered - self.chosen.len() as u64
    }

    fn is_novel(&mut self, judged: Option<&Judged>, route: &str) -> bool {
        let Some(judged) = judged else { return false };
        let mut novel = false;
        for d in judged.differences.iter().take(MOST_DIFFERENCES) {
            if self.seen.len() >= 10_000 {
                break;
            }
            let place = general_path(d.layer, &d.path);
            self.name.clear();
            for part in [d.layer.name(), d.kind.name(), d.class.name(), route, &place] {
                self.name.push_str(part);
                self.name.push('\0');
            }
            let seen = self.seen.entry(xxh3_64(self.name.as_bytes())).or_default();
            *seen += 1;
            novel |= *seen <= NOVEL;
        }
        novel
    }
}

impl Chosen {
    /// `times` is how many rows of this exchange there are so far, this one included.
    fn of(
        row: &Row,
        judged: Option<&Judged>,
        verdict: &'static str,
        base: Option<&str>,
        times: u32,
        names: &Routes,
    ) -> Self {
        let name = row.request_name();
        let key = if times == 1 { name.to_string() } else { format!("{name}~{times}") };
        // Serializing strings and numbers into memory does not fail.
        let json = |text: serde_json::Result<String>| inert(&text.unwrap_or_default());
        Self {
            entry: json(serde_json::to_string(&Entry::of(row, judged, verdict, key, names))),
            detail: json(serde_json::to_string(&Detail::of(row, judged, base))),
        }
    }
}

/// JSON in which nothing can end a script element or begin a comment (HTML, section 4.12.1.3). Within
/// strings, where alone these characters occur, the escapes mean the same.
fn inert(json: &str) -> String {
    let mut out = String::with_capacity(json.len() + json.len() / 16);
    let mut rest = json;
    while let Some(at) = memchr::memchr3(b'<', b'>', b'&', rest.as_bytes()) {
        let (before, behind) = rest.split_at(at);
        out.push_str(before);
        out.push_str(match behind.as_bytes().first() {
            Some(b'<') => "\\u003c",
            Some(b'>') => "\\u003e",
            _ => "\\u0026",
        });
        rest = behind.get(1..).unwrap_or_default();
    }
    out.push_str(rest);
    out
}

fn verdict(row: &Row, judged: Option<&Judged>) -> &'static str {
    match (&row.outcome, judged) {
        (Outcome::Skipped(_), _) => "skipped",
        (_, Some(judged)) => judged.verdict.name(),
        (_, None) => Verdict::NotComparable.name(),
    }
}

/// An exchange in the list. All of it is text that was made visible, as in [`Detail`].
#[derive(Serialize)]
struct Entry {
    key: String,
    verdict: &'static str,
    method: String,
    target: String,
    host: String,
    route: String,
    destination: String,
    v1_status: Option<u16>,
    v2_status: Option<u16>,
    v1_ms: Option<f64>,
    v2_ms: Option<f64>,
    /// Fingerprint and class of each difference, as the cards are called.
    differences: Vec<String>,
}

/// What the page's script shows of an exchange.
#[derive(Serialize)]
struct Detail {
    id: String,
    role: &'static str,
    rule: String,
    matched: String,
    reason: String,
    /// By which client it was sent, where that is not the exact one.
    #[serde(skip_serializing_if = "Option::is_none")]
    by: Option<&'static str>,
    time: String,
    client: String,
    target: String,
    why: Option<String>,
    anomalies: Vec<&'static str>,
    late_ms: Option<f64>,
    request: Vec<String>,
    /// The request's body byte by byte, where that is not what `request` shows.
    #[serde(skip_serializing_if = "Option::is_none")]
    raw_request: Option<Vec<String>>,
    curl: Option<String>,
    no_curl: Option<&'static str>,
    differences: Vec<Shown>,
    heads: Vec<Pair>,
    bodies: Vec<Pair>,
    raw: Option<Vec<Pair>>,
    notes: [String; 2],
}

#[derive(Serialize)]
struct Shown {
    class: Class,
    layer: Layer,
    path: String,
    kind: &'static str,
    v1: Option<String>,
    v2: Option<String>,
}

impl Entry {
    fn of(row: &Row, judged: Option<&Judged>, verdict: &'static str, key: String, names: &Routes) -> Self {
        let head = &row.exchange.request.head;
        let text = |bytes: &[u8]| excerpt(&String::from_utf8_lossy(bytes), MOST_TARGET);
        let status = |response: &Response| response.head.status;
        let differences = judged.map(|j| j.differences.as_slice()).unwrap_or_default();
        let host = head.host().unwrap_or_default();
        let named = |d: &Difference| {
            let fingerprint = names.fingerprint(head, d);
            format!("{fingerprint}-{}", d.class.name())
        };
        let mut differences: Vec<_> = differences.iter().take(MOST_DIFFERENCES).map(named).collect();
        differences.sort_unstable();
        differences.dedup();
        Self {
            key,
            verdict,
            method: text(head.method()),
            target: text(head.target()),
            host: text(host),
            route: visible(&names.of(head)).into_owned(),
            destination: excerpt(&row.destination, MOST_TARGET),
            v1_status: row.exchange.response.as_ref().map(status),
            v2_status: v2_response(row).map(status),
            v1_ms: v1_latency(row).map(millis),
            v2_ms: v2_latency(row).map(millis),
            differences,
        }
    }
}

fn millis(time: std::time::Duration) -> f64 {
    (time.as_secs_f64() * 1e6).round() / 1e3
}

impl Detail {
    fn of(row: &Row, judged: Option<&Judged>, base: Option<&str>) -> Self {
        let exchange = &row.exchange;
        let (v1, v2) = (exchange.response.as_ref(), v2_response(row));
        let late = timing(row).and_then(Timing::lateness);
        let bodies = beside(body_lines(v1), body_lines(v2));
        let raw = beside(raw_lines_of(v1), raw_lines_of(v2));
        let curl = base.map(|base| curl::line(row, base));
        Self {
            id: row.request_name().to_string(),
            role: row.role.name(),
            rule: excerpt(&row.route, MOST_TARGET),
            matched: excerpt(&row.matched, MOST_TARGET),
            reason: excerpt(&row.reason, MOST_TARGET),
            by: row.client.filter(|client| *client != ClientKind::Exact).map(ClientKind::name),
            time: exchange.request.first_byte.to_string(),
            client: exchange.connection.client.to_string(),
            target: excerpt(&String::from_utf8_lossy(exchange.request.head.target()), 4096),
            why: why(row),
            anomalies: anomalies(row),
            late_ms: late.map(millis),
            request: request_lines(row),
            raw_request: raw_request(row),
            no_curl: curl.as_ref().and_then(|curl| curl.as_ref().err().copied()),
            curl: curl.and_then(Result::ok),
            differences: shown(judged.map(|j| j.differences.as_slice()).unwrap_or_default()),
            heads: beside(head_lines(v1), head_lines(v2)),
            raw: Some(raw).filter(|raw| *raw != bodies),
            bodies,
            notes: [note(v1), note(v2)],
        }
    }
}

/// What was odd about the request, v1's answer and their pairing.
fn anomalies(row: &Row) -> Vec<&'static str> {
    let exchange = &row.exchange;
    let mut all = exchange.anomalies;
    all.extend(exchange.request.anomalies);
    exchange.response.iter().for_each(|response| all.extend(response.anomalies));
    all.iter().map(crate::anomaly::Anomaly::name).collect()
}

/// How long a body is, in which coding, and whether all of it is there.
fn note(response: Option<&Response>) -> String {
    let Some(response) = response else { return "no answer".to_owned() };
    let mut note = format!("{} bytes", super::grouped(response.body.len));
    for coding in response.head.headers.all("content-encoding") {
        note.extend([", ", &excerpt(&String::from_utf8_lossy(coding), 40)]);
    }
    if let Some(kind) = response.head.headers.get("content-type") {
        note.extend([", ", &excerpt(&String::from_utf8_lossy(kind), 80)]);
    }
    if !response.completeness.is_complete() {
        note += ", not whole";
    }
    note
}

pub(super) fn why(row: &Row) -> Option<String> {
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
pub(super) fn request_lines(row: &Row) -> Vec<String> {
    let request = &row.exchange.request;
    let mut lines = raw_lines(row.sent_head.as_ref().unwrap_or(request.head.raw()));
    let body = request.body.entity.as_deref().unwrap_or_default();
    if !body.is_empty() {
        lines.push(String::new());
        lines.extend(pretty::lines(body));
    }
    lines
}

/// The body byte by byte, where that differs from its text laid out. The sizes of chunks are not in the recording, of which
/// the same page has to be made again.
fn raw_request(row: &Row) -> Option<Vec<String>> {
    let body = row.exchange.request.body.entity.as_deref().filter(|body| !body.is_empty())?;
    let (raw, laid_out) = (raw_body::lines(body), pretty::lines(body));
    Some(raw).filter(|raw| *raw != laid_out)
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
            kind: d.kind.words(),
            v1: value(&d.v1),
            v2: value(&d.v2),
        })
        .collect()
}

fn raw_lines(head: &[u8]) -> Vec<String> {
    let cut = head.get(..MOST_HEAD).unwrap_or(head);
    String::from_utf8_lossy(cut).trim_end().lines().map(|line| visible(line).into_owned()).collect()
}

pub(super) fn head_lines(response: Option<&Response>) -> Vec<String> {
    response.map(|r| raw_lines(r.head.raw())).unwrap_or_default()
}

pub(super) fn body_lines(response: Option<&Response>) -> Vec<String> {
    let Some(response) = response else { return Vec::new() };
    match crate::record::redact::decoded(&response.head.headers, &response.body) {
        Some(text) => pretty::lines(&text),
        None => match &response.body.entity {
            Some(coded) => vec![format!("({} bytes that could not be decoded)", coded.len())],
            None => vec![format!("({} bytes, not kept)", response.body.len)],
        },
    }
}

fn raw_lines_of(response: Option<&Response>) -> Vec<String> {
    let entity = response.and_then(|response| response.body.entity.as_deref());
    entity.map(raw_body::lines).unwrap_or_default()
}
