//! HTTP Archive 1.2: two pages, `v1` with what was captured and `v2` with what was answered, and an entry in
//! each for a request. What HAR has no field for stands in `_shadowcap`.

use std::collections::BTreeMap;
use std::io::{self, Write};

use base64::Engine as _;
use serde_json::{Value, json};

use crate::http::{Headers, RequestHead, Response, h1};
use crate::record::Row;
use crate::record::Run;
use crate::record::redact::decoded;
use crate::replay::Outcome;
use crate::report::facts::{timing, v1_latency, v2_latency, v2_response};
use crate::report::one_line;
use crate::report::tally::Judged;
use crate::time::Timestamp;

pub(super) struct Har<W: Write> {
    out: W,
    targets: BTreeMap<String, String>,
    entries: u64,
}

impl<W: Write> Har<W> {
    pub(super) fn new(run: &Run, mut out: W) -> io::Result<Self> {
        let page = |id: &str, title: &str| json!({ "startedDateTime": run.started, "id": id, "title": title, "pageTimings": {} });
        let creator = json!({ "name": "shadowcap", "version": run.tool_version });
        let pages = json!([page("v1", "v1, as captured"), page("v2", "v2, as answered")]);
        write!(out, "{{\"log\":{{\"version\":\"1.2\",\"creator\":{creator},\"pages\":{pages},\"entries\":[")?;
        Ok(Self { out, targets: run.targets.clone(), entries: 0 })
    }

    pub(super) fn add(&mut self, row: &Row, judged: Option<&Judged>) -> io::Result<()> {
        let request = &row.exchange.request;
        if let Some(response) = &row.exchange.response {
            let base = format!("http://{}", row.exchange.connection.server);
            let wait = v1_latency(row).map_or(0.0, millis);
            let entry = Entry { row, side: "v1", head: &request.head, base: &base, at: request.first_byte };
            self.entry(&entry.json(Some(response), wait, judged))?;
        }
        if matches!(row.outcome, Outcome::Skipped(_)) {
            return Ok(());
        }
        let sent = row.sent_head.as_ref().and_then(|head| h1::parse_head::<RequestHead>(head.clone()));
        let base = self.targets.get(&*row.destination).cloned().unwrap_or_default();
        let head = sent.as_ref().unwrap_or(&request.head);
        let at = timing(row).and_then(|timing| timing.sent).unwrap_or(request.first_byte);
        let entry = Entry { row, side: "v2", head, base: &base, at };
        let wait = v2_latency(row).map_or(0.0, millis);
        self.entry(&entry.json(v2_response(row), wait, judged))
    }

    fn entry(&mut self, entry: &Value) -> io::Result<()> {
        let comma = if self.entries > 0 { "," } else { "" };
        self.entries += 1;
        write!(self.out, "{comma}\n{entry}")
    }

    pub(super) fn finish(mut self) -> io::Result<()> {
        writeln!(self.out, "\n]}}}}")?;
        self.out.flush()
    }
}

struct Entry<'r> {
    row: &'r Row,
    side: &'static str,
    head: &'r RequestHead,
    base: &'r str,
    at: Timestamp,
}

impl Entry<'_> {
    /// `wait` is how long the answer took, in milliseconds.
    fn json(&self, response: Option<&Response>, wait: f64, judged: Option<&Judged>) -> Value {
        json!({
            "pageref": self.side,
            "startedDateTime": self.at,
            "time": wait,
            "request": self.request(),
            "response": answer(response),
            "cache": {},
            "timings": { "send": 0, "wait": wait, "receive": 0 },
            "_shadowcap": self.facts(judged),
        })
    }

    fn facts(&self, judged: Option<&Judged>) -> Value {
        let differences = judged.map(|judged| judged.differences.as_slice()).unwrap_or_default();
        let lines: Vec<_> = differences.iter().map(|d| one_line(d.class, d.layer, &d.path, d.kind)).collect();
        let failure = match &self.row.outcome {
            Outcome::Failed { failure, detail, .. } => Some(format!("{failure}: {detail}")),
            Outcome::Skipped(reason) => Some(format!("not sent: {reason}")),
            Outcome::Answered { .. } => None,
        };
        json!({
            "id": self.row.exchange.id,
            "destination": &*self.row.destination,
            "verdict": judged.map(|judged| judged.verdict.name()),
            "differences": lines,
            "failure": failure,
        })
    }

    fn request(&self) -> Value {
        let target = self.head.target();
        let mut request = json!({
            "method": text(self.head.method()),
            "url": url(self.base, target),
            "httpVersion": self.head.version.to_string(),
            "cookies": [],
            "headers": fields(&self.head.headers),
            "queryString": query(target),
            "headersSize": self.head.raw().len(),
            "bodySize": self.row.exchange.request.body.len,
        });
        let body = self.row.exchange.request.body.entity.as_deref().unwrap_or_default();
        if !body.is_empty() {
            let kind = self.head.headers.get("content-type").map(text).unwrap_or_default();
            request["postData"] = json!({ "mimeType": kind, "text": text(body) });
        }
        request
    }
}

/// An answer; status 0, as browsers write it, where there is none.
fn answer(response: Option<&Response>) -> Value {
    let Some(response) = response else {
        return json!({
            "status": 0, "statusText": "", "httpVersion": "", "cookies": [], "headers": [],
            "content": { "size": 0, "mimeType": "" }, "redirectURL": "", "headersSize": -1, "bodySize": -1,
        });
    };
    let head = &response.head;
    let field = |name: &str| head.headers.get(name).map(text).unwrap_or_default();
    json!({
        "status": head.status,
        "statusText": text(head.reason()),
        "httpVersion": head.version.to_string(),
        "cookies": [],
        "headers": fields(&head.headers),
        "content": content(response, &field("content-type")),
        "redirectURL": field("location"),
        "headersSize": head.raw().len(),
        "bodySize": response.body.len,
    })
}

fn content(response: &Response, kind: &str) -> Value {
    let Some(decoded) = decoded(&response.head.headers, &response.body) else {
        return json!({ "size": response.body.len, "mimeType": kind });
    };
    if let Ok(text) = std::str::from_utf8(&decoded) {
        return json!({ "size": decoded.len(), "mimeType": kind, "text": text });
    }
    let text = base64::engine::general_purpose::STANDARD.encode(&decoded);
    json!({ "size": decoded.len(), "mimeType": kind, "text": text, "encoding": "base64" })
}

fn fields(headers: &Headers) -> Vec<Value> {
    headers.iter().map(|(name, value)| json!({ "name": text(name), "value": text(value) })).collect()
}

fn query(target: &[u8]) -> Vec<Value> {
    let query = target.splitn(2, |&b| b == b'?').nth(1).unwrap_or_default();
    let pairs = query.split(|&b| b == b'&').filter(|pair| !pair.is_empty());
    pairs
        .map(|pair| {
            let mut parts = pair.splitn(2, |&b| b == b'=');
            let mut part = || parts.next().map(text).unwrap_or_default();
            json!({ "name": part(), "value": part() })
        })
        .collect()
}

/// A URL whatever the target holds: what has no place in one (RFC 3986, section 2) is percent-encoded.
fn url(base: &str, target: &[u8]) -> String {
    use std::fmt::Write as _;
    let mut out = if target.starts_with(b"/") { base.to_owned() } else { format!("{base}/") };
    for &b in target {
        if b.is_ascii_alphanumeric() || b"-._~:/?@!$&'()*+,;=%".contains(&b) {
            out.push(char::from(b));
        } else {
            let _ = write!(out, "%{b:02X}");
        }
    }
    out
}

fn text(bytes: &[u8]) -> String {
    String::from_utf8_lossy(bytes).into_owned()
}

fn millis(time: std::time::Duration) -> f64 {
    (time.as_secs_f64() * 1e6).round() / 1e3
}
