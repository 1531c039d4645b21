//! `exchanges.csv` and `differences.csv`.
//!
//! | `exchanges.csv` | |
//! |---|---|
//! | `id` | the exchange, as `inspect` names it |
//! | `role`, `destination` | where this row's request went |
//! | `time` | the request's first byte in the capture, RFC 3339 |
//! | `client` | address and port |
//! | `method`, `host`, `target` | of the request; lossy where it is not UTF-8 |
//! | `route` | method and path with what varies left open |
//! | `v1_status`, `v2_status` | empty without an answer |
//! | `verdict` | or `skipped:` and the reason |
//! | `differences` | how many, of every class |
//! | `top_difference` | the first that counts, else the first: `class layer path kind` |
//! | `v1_ms`, `v2_ms` | latency; empty without a whole answer |
//! | `v1_bytes`, `v2_bytes` | entity bytes of the answer, after de-chunking and before content-decoding |
//! | `late_ms` | how late the request left, which is ours and not v2's; empty where nothing left |
//! | `first_byte_ms` | from the first byte sent to the first of the answer |
//! | `connect_ms` | how long a connection took to be made for it; in neither `late_ms` nor `v2_ms`, and empty where there was one |
//! | `rule`, `match`, `reason` | the rule that applied, its match, and why the request went there or nowhere |
//!
//! `differences.csv` has the fields of [`DistinctDifference`](super::DistinctDifference) in their order, the
//! exchanges' ids separated by spaces, and `standing` empty without `--against`; behind it the
//! counts of what was asked again, empty where nothing was.
//!
//! [`EXCHANGE_SCHEMA`](super::EXCHANGE_SCHEMA) says the same in a form that programs check.
//!
//! A cell that a spreadsheet would take for a formula gets an apostrophe in front.

use std::borrow::Cow;
use std::io::Write;
use std::time::Duration;

use super::route::Routes;
use super::summary::{Standing, Summary};
use super::tally::{Judged, lateness, timing, v1_latency, v2_latency, v2_response};
use crate::diff::{Difference, Evidence};
use crate::http::Response;
use crate::record::Row;
use crate::replay::{Outcome, Timing};

const EXCHANGE_COLUMNS: [&str; 24] = [
    "id",
    "role",
    "destination",
    "time",
    "client",
    "method",
    "host",
    "target",
    "route",
    "v1_status",
    "v2_status",
    "verdict",
    "differences",
    "top_difference",
    "v1_ms",
    "v2_ms",
    "v1_bytes",
    "v2_bytes",
    "late_ms",
    "first_byte_ms",
    "rule",
    "match",
    "reason",
    "connect_ms",
];

const DIFFERENCE_COLUMNS: [&str; 19] = [
    "fingerprint",
    "class",
    "host",
    "route",
    "layer",
    "path",
    "kind",
    "count",
    "share",
    "v1_example",
    "v2_example",
    "exchanges",
    "standing",
    "asked",
    "repeated",
    "v1_held",
    "v1_changed",
    "v2_changed",
    "p",
];

/// Writes rows as they come.
pub(super) struct ExchangesCsv<W: Write> {
    csv: csv::Writer<W>,
    names: Routes,
}

impl<W: Write> ExchangesCsv<W> {
    pub(super) fn new(out: W) -> csv::Result<Self> {
        let mut csv = csv::Writer::from_writer(out);
        csv.write_record(EXCHANGE_COLUMNS)?;
        Ok(Self { csv, names: Routes::default() })
    }

    pub(super) fn knowing(self, names: Routes) -> Self {
        Self { names, ..self }
    }

    pub(super) fn add(&mut self, row: &Row, judged: Option<&Judged>) -> csv::Result<()> {
        let request = &row.exchange.request;
        let v1 = row.exchange.response.as_ref();
        let v2 = v2_response(row);
        let differences = judged.map(|judged| judged.differences.as_slice()).unwrap_or_default();
        let verdict = match (&row.outcome, judged) {
            (Outcome::Skipped(reason), _) => format!("skipped:{reason}"),
            (_, Some(judged)) => judged.verdict.name().to_owned(),
            (_, None) => crate::diff::Verdict::NotComparable.name().to_owned(),
        };
        let cells = [
            row.request_name().to_string(),
            row.role.name().to_owned(),
            row.destination.clone(),
            request.first_byte.to_string(),
            row.exchange.connection.client.to_string(),
            lossy(request.head.method()),
            lossy(request.head.host().unwrap_or_default()),
            lossy(request.head.target()),
            self.names.of(&request.head),
            status(v1),
            status(v2),
            verdict,
            differences.len().to_string(),
            top(differences),
            millis(v1_latency(row)),
            millis(v2_latency(row)),
            bytes(v1),
            bytes(v2),
            millis(lateness(row)),
            millis(timing(row).and_then(|timing| Some(timing.first_byte?.since(timing.sent?)))),
            row.route.clone(),
            row.matched.clone(),
            row.reason.clone(),
            millis(timing(row).and_then(Timing::connect_time)),
        ];
        self.csv.write_record(cells.iter().map(|cell| inert(cell).into_owned()))
    }

    pub(super) fn finish(self) -> std::io::Result<W> {
        self.csv.into_inner().map_err(csv::IntoInnerError::into_error)
    }
}

/// Writes the distinct differences.
pub(super) fn differences(summary: &Summary, out: impl Write) -> csv::Result<()> {
    let mut csv = csv::Writer::from_writer(out);
    csv.write_record(DIFFERENCE_COLUMNS)?;
    for d in &summary.differences {
        let told = |cell: fn(&Evidence) -> String| d.evidence.as_ref().map(cell).unwrap_or_default();
        let cells = [
            d.fingerprint.to_string(),
            d.class.name().to_owned(),
            d.host.clone(),
            d.route.clone(),
            d.layer.name().to_owned(),
            d.path.clone(),
            d.kind.name().to_owned(),
            d.count.to_string(),
            format!("{:.6}", d.share),
            d.v1_example.clone().unwrap_or_default(),
            d.v2_example.clone().unwrap_or_default(),
            d.exchanges.join(" "),
            d.standing.map(Standing::name).unwrap_or_default().to_owned(),
            told(|evidence| evidence.asked.to_string()),
            told(|evidence| evidence.repeated.to_string()),
            told(|evidence| evidence.v1_held.to_string()),
            told(|evidence| evidence.v1_changed.to_string()),
            told(|evidence| evidence.v2_changed.to_string()),
            told(|evidence| evidence.p.map(|p| format!("{p:.3e}")).unwrap_or_default()),
        ];
        csv.write_record(cells.iter().map(|cell| inert(cell).into_owned()))?;
    }
    csv.flush()?;
    Ok(())
}

/// A cell that no spreadsheet runs: an apostrophe goes before what could begin a formula. NUL, which some
/// readers take for the end, is dropped.
fn inert(cell: &str) -> Cow<'_, str> {
    let begins = |c: char| {
        matches!(c, '=' | '+' | '-' | '@' | '\t' | '\r' | '\n' | '|' | '%' | '＝' | '＋' | '－' | '＠')
    };
    let formula = cell.trim_start_matches([' ', '\u{feff}']).starts_with(begins);
    if !formula && !cell.contains('\0') {
        return Cow::Borrowed(cell);
    }
    let mark = if formula { "'" } else { "" };
    Cow::Owned(format!("{mark}{}", cell.replace('\0', "")))
}

fn lossy(bytes: &[u8]) -> String {
    String::from_utf8_lossy(bytes).into_owned()
}

fn status(response: Option<&Response>) -> String {
    response.map(|r| r.head.status.to_string()).unwrap_or_default()
}

fn bytes(response: Option<&Response>) -> String {
    response.map(|r| r.body.len.to_string()).unwrap_or_default()
}

fn millis(time: Option<Duration>) -> String {
    time.map(|time| format!("{:.3}", time.as_secs_f64() * 1000.0)).unwrap_or_default()
}

fn top(differences: &[Difference]) -> String {
    let counted = differences.iter().find(|d| d.class.counts()).or(differences.first());
    counted.map(|d| super::one_line(d.class, d.layer, &d.path, d.kind)).unwrap_or_default()
}

/// What the file system said, where it said something; what to do about it depends on that.
pub(super) fn io_error(error: csv::Error) -> std::io::Error {
    match error.into_kind() {
        csv::ErrorKind::Io(error) => error,
        other => std::io::Error::other(format!("{other:?}")),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn no_cell_is_a_formula() {
        for (cell, shown) in [
            ("=1+1", "'=1+1"),
            ("+a", "'+a"),
            ("-1", "'-1"),
            ("@SUM(A1)", "'@SUM(A1)"),
            ("\t=1", "'\t=1"),
            ("  =1", "'  =1"),
            ("\u{feff}=1", "'\u{feff}=1"),
            ("/a=b", "/a=b"),
            ("a\0b", "ab"),
        ] {
            assert_eq!(inert(cell), shown);
        }
    }
}
