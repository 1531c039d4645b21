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

use super::facts::{lateness, timing, v1_latency, v2_latency, v2_response};
use super::summary::{Standing, Summary};
use super::tally::Judged;
use crate::diff::{Difference, Evidence, Verdict};
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
    /// Room for a cell that is put together.
    cell: String,
    /// Cells of the row before, by their columns, as most rows have them in common with it.
    last: [Cell; COLUMNS],
}

/// A cell as text, and as it is written.
#[derive(Default)]
struct Cell {
    text: Vec<u8>,
    written: Vec<u8>,
}

/// Bytes of a cell that is kept for the next row.
const LONGEST_KEPT: usize = 512;
const COLUMNS: usize = EXCHANGE_COLUMNS.len();

impl<W: Write> ExchangesCsv<W> {
    pub(super) fn new(mut out: W) -> std::io::Result<Self> {
        out.write_all(EXCHANGE_COLUMNS.join(",").as_bytes())?;
        out.write_all(b"\n")?;
        Ok(Self {
            out,
            times: Times::default(),
            line: Vec::new(),
            cell: String::new(),
            last: Default::default(),
        })
    }

    /// Writes a row, whose request is on that route.
    pub(super) fn add(&mut self, row: &Row, judged: Option<&Judged>, route: &str) -> std::io::Result<()> {
        let request = &row.exchange.request;
        let v1 = row.exchange.response.as_ref();
        let v2 = v2_response(row);
        let differences = judged.map(|judged| judged.differences.as_slice()).unwrap_or_default();
        let first_byte = timing(row).and_then(|timing| Some(timing.first_byte?.since(timing.sent?)));
        self.line.clear();
        row.request_name().put(&mut self.line);
        self.text(1, row.role.name());
        self.text(2, &row.destination);
        self.ours(|out, times| times.put(out, request.first_byte));
        self.ours(|out, _| put::address(out, row.exchange.connection.client));
        self.again(5, request.head.method());
        self.again(6, request.head.host().unwrap_or_default());
        self.bytes(request.head.target());
        self.text(8, route);
        self.number(v1.map(|response| response.head.status.into()));
        self.number(v2.map(|response| response.head.status.into()));
        match (&row.outcome, judged) {
            (Outcome::Skipped(reason), _) => self.text(11, &format!("skipped:{reason}")),
            (_, Some(judged)) => self.text(11, judged.verdict.name()),
            (_, None) => self.text(11, Verdict::NotComparable.name()),
        }
        self.number(Some(differences.len() as u64));
        self.top(differences);
        self.millis(v1_latency(row));
        self.millis(v2_latency(row));
        self.number(v1.map(|response| response.body.len));
        self.number(v2.map(|response| response.body.len));
        self.millis(lateness(row));
        self.millis(first_byte);
        self.text(20, &row.route);
        self.text(21, &row.matched);
        self.text(22, &row.reason);
        self.millis(timing(row).and_then(Timing::connect_time));
        self.line.push(b'\n');
        self.out.write_all(&self.line)
    }

    /// A cell of text that may be anybody's, in a column whose cells mostly are that of the row before.
    fn text(&mut self, column: usize, text: &str) {
        self.again(column, text.as_bytes());
    }

    /// The same of bytes, lossy where they are not UTF-8.
    fn again(&mut self, column: usize, cell: &[u8]) {
        let last = &self.last[column];
        if last.text == cell && !last.written.is_empty() {
            return self.line.extend_from_slice(&last.written);
        }
        let start = self.line.len();
        self.bytes(cell);
        if cell.len() <= LONGEST_KEPT {
            let last = &mut self.last[column];
            cell.clone_into(&mut last.text);
            self.line[start..].clone_into(&mut last.written);
        }
    }

    /// A cell of anybody's bytes.
    fn bytes(&mut self, cell: &[u8]) {
        self.line.push(b',');
        if is_plain(cell) {
            self.line.extend_from_slice(cell);
        } else {
            let lossy = |_| String::from_utf8_lossy(cell);
            let cell = std::str::from_utf8(cell).map_or_else(lossy, Cow::Borrowed);
            quoted(&mut self.line, &inert(&cell));
        }
    }

    /// The first difference that counts, else the first.
    fn top(&mut self, differences: &[Difference]) {
        let mut cell = std::mem::take(&mut self.cell);
        cell.clear();
        if let Some(d) = differences.iter().find(|d| d.class.counts()).or(differences.first()) {
            super::put_line(&mut cell, (d.class, d.layer, &d.path, d.kind));
        }
        self.text(13, &cell);
        self.cell = cell;
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

/// Whether a cell is written as it is: it is ASCII, begins no formula and needs no quotes, as most.
fn is_plain(cell: &[u8]) -> bool {
    // Looking at all of a short cell costs less than stopping where one is.
    let begins = cell.first().is_none_or(|b| b.is_ascii_alphanumeric() || *b == b'/');
    begins && cell.iter().fold(true, |all, b| all & PLAIN[usize::from(*b)])
}

/// Bytes that a cell may have, anywhere but at its beginning, to be written as it is.
static PLAIN: [bool; 256] = {
    let (mut plain, mut byte) = ([false; 256], 1_u8);
    while byte < 128 {
        plain[byte as usize] = !matches!(byte, b',' | b'"' | b'\r' | b'\n');
        byte += 1;
    }
    plain
};

/// A cell, in quotes where it needs them (RFC 4180, section 2).
fn quoted(out: &mut Vec<u8>, cell: &str) {
    // Looking at all of a short cell costs less than stopping where one is.
    let needs = |b: u8| matches!(b, b',' | b'"' | b'\r' | b'\n');
    if !cell.bytes().fold(false, |any, b| any | needs(b)) {
        return out.extend_from_slice(cell.as_bytes());
    }
    out.push(b'"');
    let mut rest = cell.as_bytes();
    while let Some(at) = memchr::memchr(b'"', rest) {
        let (before, behind) = rest.split_at(at + 1);
        out.extend_from_slice(before);
        out.push(b'"');
        rest = behind;
    }
    out.extend_from_slice(rest);
    out.push(b'"');
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
    // What most cells begin with begins no formula.
    let plain = cell.as_bytes().first().is_none_or(|b| b.is_ascii_alphanumeric() || *b == b'/');
    if plain && memchr::memchr(0, cell.as_bytes()).is_none() {
        return Cow::Borrowed(cell);
    }
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

/// Milliseconds with three decimals, rounded as a floating-point number is.
fn millis(out: &mut Vec<u8>, time: Duration) {
    let nanos = time.as_nanos();
    match u64::try_from(nanos) {
        // Far from a half no error of a floating-point number decides.
        Ok(nanos) if nanos < LONGEST_EXACT && nanos % 1000 != 500 => {
            let micros = (nanos + 500) / 1000;
            put::number(out, micros / 1000);
            out.push(b'.');
            out.extend_from_slice(&put::three(u32::try_from(micros % 1000).unwrap_or(0)));
        }
        // Writing to memory does not fail.
        _ => _ = write!(out, "{:.3}", time.as_secs_f64() * 1000.0),
    }
}

/// Nanoseconds below which the milliseconds are told by whole numbers: a day.
const LONGEST_EXACT: u64 = 86_400_000_000_000;

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
        fn a_plain_cell_is_written_as_any_other(cell in proptest::collection::vec(0_u8..=255, 0..4), text in ".{0,4}") {
            // One behind the other in one column, so that each is that of the row before or another one.
            let mut csv = ExchangesCsv::new(Vec::new()).unwrap();
            for cell in [cell.as_slice(), text.as_bytes(), text.as_bytes(), cell.as_slice()] {
                let mut expected = b",".to_vec();
                quoted(&mut expected, &inert(&String::from_utf8_lossy(cell)));
                csv.line.clear();
                csv.again(3, cell);
                proptest::prop_assert_eq!(&csv.line, &expected);
            }
        }

        #[test]
        fn cells_are_quoted_as_by_the_crate(cells in proptest::collection::vec("[a,\"\r\n é'=]{0,5}", 2..4)) {
            let mut expected = csv::Writer::from_writer(Vec::new());
            expected.write_record(&cells).unwrap();
            let mut out = Vec::new();
            for (n, cell) in cells.iter().enumerate() {
                out.extend_from_slice(if n > 0 { b"," } else { b"" });
                quoted(&mut out, cell);
            }
            out.push(b'\n');
            proptest::prop_assert_eq!(out, expected.into_inner().unwrap());
        }
    }

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
            ("/a\0", "/a"),
            ("é=1", "é=1"),
            ("a\0b", "ab"),
        ] {
            assert_eq!(inert(cell), shown);
        }
    }
}
