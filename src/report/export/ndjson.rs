//! A row as one line of JSON.

use std::io::{self, Write};

use serde::Serialize;

use crate::diff::{Class, Difference, Fingerprint, Kind, Layer, Verdict};
use crate::http::Response;
use crate::record::Row;
use crate::replay::{Outcome, Timing};
use crate::report::facts::{timing, v1_latency, v2_latency, v2_response};
use crate::report::route::Routes;
use crate::report::tally::Judged;
use crate::time::Timestamp;

#[derive(Serialize)]
struct Line<'r> {
    id: String,
    role: &'static str,
    destination: &'r str,
    rule: &'r str,
    #[serde(rename = "match")]
    matched: &'r str,
    rule_reason: &'r str,
    time: Timestamp,
    client: String,
    method: String,
    host: String,
    target: String,
    route: String,
    verdict: &'static str,
    reason: Option<&'static str>,
    v1_status: Option<u16>,
    v2_status: Option<u16>,
    v1_ms: Option<f64>,
    v2_ms: Option<f64>,
    late_ms: Option<f64>,
    v1_bytes: Option<u64>,
    v2_bytes: Option<u64>,
    differences: Vec<Shown<'r>>,
}

#[derive(Serialize)]
struct Shown<'r> {
    fingerprint: Fingerprint,
    class: Class,
    layer: Layer,
    path: &'r str,
    kind: Kind,
    v1: Option<&'r str>,
    v2: Option<&'r str>,
}

/// Writes a row, and what was found in it, as one line.
pub(super) fn write(
    out: &mut impl Write,
    row: &Row,
    judged: Option<&Judged>,
    names: &Routes,
) -> io::Result<()> {
    serde_json::to_writer(&mut *out, &line(row, judged, names))?;
    out.write_all(b"\n")
}

fn line<'r>(row: &'r Row, judged: Option<&'r Judged>, names: &Routes) -> Line<'r> {
    let head = &row.exchange.request.head;
    let text = |bytes: &[u8]| String::from_utf8_lossy(bytes).into_owned();
    let (v1, v2) = (row.exchange.response.as_ref(), v2_response(row));
    let (verdict, reason) = match (&row.outcome, judged) {
        (Outcome::Skipped(reason), _) => ("skipped", Some(reason.name())),
        (Outcome::Failed { failure, .. }, judged) => (verdict(judged), Some(failure.name())),
        (Outcome::Answered { .. }, judged) => (verdict(judged), None),
    };
    let late = timing(row).and_then(Timing::lateness);
    let shown = |d: &'r Difference| Shown {
        fingerprint: names.fingerprint(head, d),
        class: d.class,
        layer: d.layer,
        path: &d.path,
        kind: d.kind,
        v1: d.v1.as_deref(),
        v2: d.v2.as_deref(),
    };
    Line {
        id: row.request_name().to_string(),
        role: row.role.name(),
        destination: &row.destination,
        rule: &row.route,
        matched: &row.matched,
        rule_reason: &row.reason,
        time: row.exchange.request.first_byte,
        client: row.exchange.connection.client.to_string(),
        method: text(head.method()),
        host: text(head.host().unwrap_or_default()),
        target: text(head.target()),
        route: names.of(head),
        verdict,
        reason,
        v1_status: v1.map(status),
        v2_status: v2.map(status),
        v1_ms: v1_latency(row).map(millis),
        v2_ms: v2_latency(row).map(millis),
        late_ms: late.map(millis),
        v1_bytes: v1.map(|response| response.body.len),
        v2_bytes: v2.map(|response| response.body.len),
        differences: judged.map(|j| j.differences.iter().map(shown).collect()).unwrap_or_default(),
    }
}

fn verdict(judged: Option<&Judged>) -> &'static str {
    judged.map_or(Verdict::NotComparable, |judged| judged.verdict).name()
}

const fn status(response: &Response) -> u16 {
    response.head.status
}

fn millis(time: std::time::Duration) -> f64 {
    (time.as_secs_f64() * 1e6).round() / 1e3
}
