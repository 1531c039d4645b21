//! An exchange as a server's log tells it, and as `inspect` does.

use std::collections::BTreeMap;

use serde_json::Value;

use crate::support::AccessLine;

/// What a log line and an exchange have in common.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) struct Line {
    pub(crate) method: String,
    pub(crate) target: String,
    pub(crate) version: String,
    pub(crate) status: u64,
    /// Bytes of the answer's body. Gunicorn counts what the application gave it, before chunking and nothing for
    /// HEAD: just what `inspect` counts.
    pub(crate) length: u64,
}

impl Line {
    pub(crate) fn logged(line: &AccessLine) -> Self {
        Self {
            method: line.method().into(),
            target: line.target().into(),
            version: line.request.rsplit(' ').next().unwrap().into(),
            status: line.status.into(),
            length: line.length,
        }
    }

    /// A line of `inspect --format jsonl`.
    pub(crate) fn inspected(exchange: &Value) -> Self {
        let text = |name: &str| exchange[name].as_str().unwrap_or_else(|| panic!("{exchange}")).to_owned();
        let number = |name: &str| exchange[name].as_u64().unwrap_or_else(|| panic!("{exchange}"));
        Self {
            method: text("method"),
            target: text("target"),
            version: text("version"),
            status: number("status"),
            length: number("response_body_bytes"),
        }
    }
}

/// Asserts that log and capture tell of the same exchanges.
///
/// The log has a line when an answer has ended, the capture an exchange when a request has begun, and connections
/// are side by side: so line and exchange are paired by what they say, and then no exchange that the log has later
/// may have ended in the capture before one began that the log has earlier. `late` names targets of which httpbin
/// holds the log line back after the last byte.
pub(crate) fn assert_same(log: &[AccessLine], exchanges: &[Value], late: &[&str]) {
    let mut unpaired: BTreeMap<Line, Vec<&Value>> = BTreeMap::new();
    for exchange in exchanges.iter().rev() {
        unpaired.entry(Line::inspected(exchange)).or_default().push(exchange);
    }
    let paired: Vec<&Value> = log
        .iter()
        .map(|line| {
            let line = Line::logged(line);
            let found = unpaired.get_mut(&line).and_then(Vec::pop);
            found.unwrap_or_else(|| panic!("in the log and not in the capture: {line:?}"))
        })
        .collect();
    assert_eq!(paired.len(), exchanges.len(), "in the capture and not in the log: {unpaired:?}");
    let in_time = paired.iter().filter(|e| !late.iter().any(|late| e["target"] == **late));
    let mut begun = f64::NEG_INFINITY;
    for exchange in in_time {
        let (start, end) = times(exchange);
        assert!(end >= begun, "the log has it after one that began later than it ended: {exchange}");
        begun = begun.max(start);
    }
}

/// When an exchange began and ended, in ms since midnight.
fn times(exchange: &Value) -> (f64, f64) {
    let time = exchange["time"].as_str().unwrap();
    let clock = time.split_once('T').unwrap().1.trim_end_matches('Z');
    let seconds = clock.split(':').fold(0.0, |sum, part| sum * 60.0 + part.parse::<f64>().unwrap());
    (seconds * 1000.0, seconds * 1000.0 + exchange["duration_ms"].as_f64().unwrap())
}
