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

mod cells;

use std::io::Write;
use std::net::{Ipv4Addr, SocketAddr};
use std::time::Duration;

use cells::{Cells, inert};

use super::facts::{lateness, timing, v1_latency, v2_latency, v2_response};
use super::summary::{Standing, Summary};
use super::tally::Judged;
use crate::diff::{Class, Difference, Evidence, Kind, Layer, Verdict};
use crate::http::Response;
use crate::record::Row;
use crate::record::put::{self, Times};
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

/// Writes rows as they come, each put together in one buffer, since there are millions of them.
pub(super) struct ExchangesCsv<W: Write> {
    out: W,
    times: Times,
    line: Vec<u8>,
    /// Cells of the row before, which most rows have in common with it.
    before: [Cells; 4],
    said: Said,
    /// The address that a client had last, as it is written before the port.
    client: Option<(Ipv4Addr, Vec<u8>)>,
}

/// Columns side by side, whose cells are kept together: the service, what was asked for, its route, and the rule.
const TARGET: usize = 0;
const ASKED: usize = 1;
const ROUTE: usize = 2;
const RULED: usize = 3;

/// What is said of a row's answers, from their statuses to the first difference, and how that is written.
#[derive(Default)]
struct Said {
    statuses: [Option<u16>; 2],
    verdict: Option<Verdict>,
    differences: usize,
    top: Option<(Class, Layer, Kind)>,
    path: String,
    written: Vec<u8>,
}

impl Said {
    /// Whether the same is said of another row.
    fn is(&self, statuses: [Option<u16>; 2], verdict: Verdict, (differences, top): Listed<'_>) -> bool {
        let top_is = |d: &Difference| self.top == Some((d.class, d.layer, d.kind)) && self.path == d.path;
        (self.statuses, self.verdict, self.differences) == (statuses, Some(verdict), differences)
            && top.map_or(self.top.is_none(), top_is)
    }

    fn keep(
        &mut self,
        statuses: [Option<u16>; 2],
        verdict: Verdict,
        (differences, top): Listed<'_>,
        written: &[u8],
    ) {
        (self.statuses, self.verdict, self.differences) = (statuses, Some(verdict), differences);
        self.top = top.map(|d| (d.class, d.layer, d.kind));
        self.path.clear();
        self.path.push_str(top.map_or("", |d| &d.path));
        written.clone_into(&mut self.written);
    }
}

/// How many differences a row has, and the one that is told.
type Listed<'d> = (usize, Option<&'d Difference>);

/// Bytes of cells that are kept for the next row.
const LONGEST_KEPT: usize = 512;

impl<W: Write> ExchangesCsv<W> {
    pub(super) fn new(mut out: W) -> std::io::Result<Self> {
        out.write_all(EXCHANGE_COLUMNS.join(",").as_bytes())?;
        out.write_all(b"\n")?;
        Ok(Self {
            out,
            times: Times::default(),
            line: Vec::new(),
            before: Default::default(),
            said: Said::default(),
            client: None,
        })
    }

    /// Writes a row, whose request is on that route.
    pub(super) fn add(&mut self, row: &Row, judged: Option<&Judged>, route: &str) -> std::io::Result<()> {
        let request = &row.exchange.request;
        let v1 = row.exchange.response.as_ref();
        let v2 = v2_response(row);
        let first_byte = timing(row).and_then(|timing| Some(timing.first_byte?.since(timing.sent?)));
        self.line.clear();
        row.request_name().put(&mut self.line);
        self.again(TARGET, &[row.role.name().as_bytes(), row.destination.as_bytes()]);
        self.ours(|out, times| times.put(out, request.first_byte));
        self.client(row.exchange.connection.client);
        self.again(ASKED, &[request.head.method(), request.head.host().unwrap_or_default()]);
        self.bytes(request.head.target());
        self.again(ROUTE, &[route.as_bytes()]);
        self.said(row, judged);
        self.millis(v1_latency(row));
        self.millis(v2_latency(row));
        self.number(v1.map(|response| response.body.len));
        self.number(v2.map(|response| response.body.len));
        self.millis(lateness(row));
        self.millis(first_byte);
        self.again(RULED, &[row.route.as_bytes(), row.matched.as_bytes(), row.reason.as_bytes()]);
        self.millis(timing(row).and_then(Timing::connect_time));
        self.line.push(b'\n');
        self.out.write_all(&self.line)
    }

    /// Cells of text that may be anybody's, lossy where it is not UTF-8, in columns whose cells mostly are those of the row
    /// before.
    fn again(&mut self, columns: usize, texts: &[&[u8]]) {
        let before = &self.before[columns];
        if before.are(texts) {
            return self.line.extend_from_slice(&before.written);
        }
        let start = self.line.len();
        for text in texts {
            self.bytes(text);
        }
        let written = &self.line[start..];
        if written.len() <= LONGEST_KEPT {
            self.before[columns].keep(texts, written);
        }
    }

    /// The statuses of both answers, the verdict, how many differences there are, and one of them.
    fn said(&mut self, row: &Row, judged: Option<&Judged>) {
        let status = |response: &Response| response.head.status;
        let statuses = [row.exchange.response.as_ref().map(status), v2_response(row).map(status)];
        let differences = judged.map(|judged| judged.differences.as_slice()).unwrap_or_default();
        // The first that counts, else the first.
        let top = differences.iter().find(|d| d.class.counts()).or(differences.first());
        let listed = (differences.len(), top);
        if let Outcome::Skipped(reason) = &row.outcome {
            return self.say(statuses, format!("skipped:{reason}").as_bytes(), listed);
        }
        let verdict = judged.map_or(Verdict::NotComparable, |judged| judged.verdict);
        self.judged(statuses, verdict, listed);
    }

    /// The same of a row that was sent: mostly that of the row before.
    fn judged(&mut self, statuses: [Option<u16>; 2], verdict: Verdict, listed: Listed<'_>) {
        if self.said.is(statuses, verdict, listed) {
            return self.line.extend_from_slice(&self.said.written);
        }
        let start = self.line.len();
        self.say(statuses, verdict.name().as_bytes(), listed);
        let written = &self.line[start..];
        if written.len() <= LONGEST_KEPT {
            self.said.keep(statuses, verdict, listed, written);
        }
    }

    fn say(&mut self, statuses: [Option<u16>; 2], verdict: &[u8], (differences, top): Listed<'_>) {
        for status in statuses {
            self.number(status.map(u64::from));
        }
        self.bytes(verdict);
        self.number(Some(differences as u64));
        let mut cell = String::new();
        if let Some(d) = top {
            super::put_line(&mut cell, (d.class, d.layer, &d.path, d.kind));
        }
        self.bytes(cell.as_bytes());
    }

    /// An address, of which that before the port mostly is that of another row.
    fn client(&mut self, client: SocketAddr) {
        let SocketAddr::V4(v4) = client else { return self.ours(|out, _| put::address(out, client)) };
        match &self.client {
            Some((known, written)) if known == v4.ip() => {
                self.line.extend_from_slice(written);
                put::number(&mut self.line, v4.port().into());
            }
            _ => {
                let start = self.line.len();
                self.ours(|out, _| put::address(out, client));
                let colon = memchr::memrchr(b':', &self.line[start..]).map_or(0, |colon| colon + 1);
                self.client = Some((*v4.ip(), self.line[start..start + colon].to_vec()));
            }
        }
    }

    /// A cell of anybody's bytes.
    fn bytes(&mut self, cell: &[u8]) {
        self.line.push(b',');
        cells::put(&mut self.line, cell);
    }

    /// A cell of our own, which is no formula and needs no quotes.
    fn ours(&mut self, put: impl FnOnce(&mut Vec<u8>, &mut Times)) {
        self.line.push(b',');
        put(&mut self.line, &mut self.times);
    }

    fn number(&mut self, number: Option<u64>) {
        self.ours(|out, _| number.into_iter().for_each(|number| put::number(out, number)));
    }

    fn millis(&mut self, time: Option<Duration>) {
        self.ours(|out, _| time.into_iter().for_each(|time| millis(out, time)));
    }

    pub(super) fn finish(mut self) -> std::io::Result<W> {
        self.out.flush()?;
        Ok(self.out)
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

/// Milliseconds with three decimals, rounded as a floating-point number is.
fn millis(out: &mut Vec<u8>, time: Duration) {
    // Far from a half no error of a floating-point number decides.
    let exact =
        |secs| Some(secs * 1_000_000_000 + u64::from(time.subsec_nanos())).filter(|n| n % 1000 != 500);
    match Some(time.as_secs()).filter(|secs| *secs < LONGEST_EXACT).and_then(exact) {
        Some(nanos) => {
            let micros = (nanos + 500) / 1000;
            put::number(out, micros / 1000);
            out.push(b'.');
            out.extend_from_slice(&put::three(u32::try_from(micros % 1000).unwrap_or(0)));
        }
        // Writing to memory does not fail.
        _ => _ = write!(out, "{:.3}", time.as_secs_f64() * 1000.0),
    }
}

/// Seconds below which the milliseconds are told by whole numbers: a day.
const LONGEST_EXACT: u64 = 86_400;

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

    proptest::proptest! {
        #[test]
        fn milliseconds_are_as_those_of_floating_point(nanos in 0_u64..200_000_000_000_000, half in 0_u64..1_000_000) {
            for nanos in [nanos, nanos % 10_000_000, half * 1000 + 500, half * 1000 + 499, half * 1000 + 501] {
                let time = Duration::from_nanos(nanos);
                let mut out = Vec::new();
                millis(&mut out, time);
                let expected = format!("{:.3}", time.as_secs_f64() * 1000.0);
                proptest::prop_assert_eq!(String::from_utf8(out).unwrap(), expected);
            }
        }
    }

    proptest::proptest! {
        #[test]
        fn cells_that_are_as_before_are_written_as_any_others(cell in proptest::collection::vec(0_u8..=255, 0..4), text in ".{0,4}") {
            // One behind the other in one column, so that each is that of the row before or another one.
            let mut csv = ExchangesCsv::new(Vec::new()).unwrap();
            let (cell, text) = (cell.as_slice(), text.as_bytes());
            for cells in [vec![cell], vec![text], vec![text], vec![cell], vec![cell, text], vec![text, cell], vec![text, cell]] {
                let mut expected = Vec::new();
                for cell in &cells {
                    expected.push(b',');
                    cells::put(&mut expected, cell);
                }
                csv.line.clear();
                csv.again(RULED, &cells);
                proptest::prop_assert_eq!(&csv.line, &expected);
            }
        }
    }

    proptest::proptest! {
        /// Of rows that resemble each other, what is said is what is said of each by itself.
        #[test]
        fn what_is_said_of_a_row_does_not_depend_on_the_row_before(
            rows in proptest::collection::vec((0_u8..3, 0_u8..2, 0_u8..4, 0_usize..3, 0_u8..2), 1..16),
        ) {
            let mut csv = ExchangesCsv::new(Vec::new()).unwrap();
            for (status, verdict, top, n, port) in rows {
                let statuses = [Some(200), [Some(200), Some(404), None][usize::from(status)]];
                let verdict = [Verdict::Noise, Verdict::Different][usize::from(verdict)];
                let top = (top > 0).then(|| Difference {
                    layer: Layer::Header,
                    path: ["x-a", "x,b", "x-a"][usize::from(top) - 1].to_owned(),
                    kind: if top == 3 { Kind::Missing } else { Kind::Added },
                    v1: None,
                    v2: None,
                    class: Class::Unverified,
                });
                let client = SocketAddr::from(([10, 0, 0, port], 8000 + u16::from(status)));
                let mut afresh = ExchangesCsv::new(Vec::new()).unwrap();
                csv.line.clear();
                csv.client(client);
                csv.judged(statuses, verdict, (n, top.as_ref()));
                afresh.ours(|out, _| put::address(out, client));
                afresh.say(statuses, verdict.name().as_bytes(), (n, top.as_ref()));
                proptest::prop_assert_eq!(&csv.line, &afresh.line);
            }
        }
    }
}
