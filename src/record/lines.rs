//! Writes the lines of rows: in the form that [`line`](super::line) reads, put together here since there are millions of
//! them and none needs more than the buffer that it goes to.

use std::ops::Range;

use super::put::{self, Times, number};
use super::way::Way;
use super::written::Written;
use super::{Again, NotAsked, Row, RowName};
use crate::anomaly::AnomalySet;
use crate::diff::Side;
use crate::http::{Body, Completeness, Framing, Message, ResponseHead};
use crate::replay::{Outcome, Timing};
use crate::stream::ConnectionId;
use crate::time::Timestamp;

/// What lines have in common.
#[derive(Default)]
pub(super) struct Lines {
    times: Times,
    way: Way,
    /// By their [`Place`].
    texts: [Texts; 4],
}

/// What the texts that stand in one place of lines have in common.
#[derive(Default)]
struct Texts {
    head: Written,
    body: Written,
}

/// Where in a line a message stands.
#[derive(Clone, Copy)]
enum Place {
    Request,
    V1,
    Sent,
    V2,
}

/// Members whose names need no escapes.
macro_rules! members {
    ($out:ident, $($name:literal: $write:expr;)*) => {
        $(
            $out.extend_from_slice(concat!(",\"", $name, "\":").as_bytes());
            $write;
        )*
    };
}

impl Lines {
    /// The line of a row; `asked` says that one with what became of its request when it was sent again follows.
    pub(super) fn row(&mut self, out: &mut Vec<u8>, row: &Row, asked: bool) {
        let (exchange, last) = (&row.exchange, &mut LastBody::default());
        out.extend_from_slice(b"{\"type\":\"row\",\"id\":\"");
        out.extend_from_slice(&put::hexadecimal(exchange.id.0));
        out.push(b'"');
        if row.lap != 0 {
            members!(out, "lap": number(out, row.lap.into()););
        }
        if row.copy != 0 {
            members!(out, "copy": number(out, row.copy.into()););
        }
        self.way.put(out, row);
        members!(out,
            "connection": connection(out, exchange.connection);
            "ordinal": number(out, exchange.ordinal.into());
            "anomalies": put::names(out, exchange.anomalies);
            "request": self.message(out, &exchange.request, exchange.request.head.raw(), Place::Request, last);
            "response": self.response(out, exchange.response.as_ref(), Place::V1, last);
            "interim": statuses(out, &exchange.interim);
            "sent_head": optional(out, row.sent_head.as_deref(), |out, head| self.texts(Place::Sent).head.put(out, head));
        );
        if let Some(client) = row.client {
            members!(out, "client": name(out, client.name()););
        }
        members!(out, "outcome": self.outcome(out, &row.outcome, last););
        not_asked(out, row.not_asked);
        if asked {
            members!(out, "again": out.extend_from_slice(b"true"););
        }
        out.extend_from_slice(b"}\n");
    }

    /// The line of what became of a row's request where it was sent again.
    pub(super) fn again(
        &mut self,
        out: &mut Vec<u8>,
        row: &RowName,
        again: &[Again],
        why_not: Option<NotAsked>,
    ) {
        out.extend_from_slice(b"{\"type\":\"again\",\"row\":");
        put::string(out, &row.to_string());
        members!(out, "answers": array(out, again, |out, again| self.answer(out, again)););
        not_asked(out, why_not);
        out.extend_from_slice(b"}\n");
    }

    fn answer(&mut self, out: &mut Vec<u8>, again: &Again) {
        out.extend_from_slice(match again.side {
            Side::V1 => b"{\"side\":\"v1\"",
            Side::V2 => b"{\"side\":\"v2\"",
        });
        members!(out,
            "round": number(out, again.round.into());
            "outcome": self.outcome(out, &again.outcome, &mut LastBody::default());
        );
        out.push(b'}');
    }

    fn outcome<'r>(&mut self, out: &mut Vec<u8>, outcome: &'r Outcome, last: &mut LastBody<'r>) {
        match outcome {
            Outcome::Answered { response, interim, timing } => {
                out.extend_from_slice(b"{\"kind\":\"answered\"");
                members!(out,
                    "timing": self.timing(out, timing);
                    "interim": statuses(out, interim);
                    "response": self.message(out, response, response.head.raw(), Place::V2, last);
                );
            }
            Outcome::Failed { failure, detail, partial, timing } => {
                out.extend_from_slice(b"{\"kind\":\"failed\"");
                members!(out,
                    "timing": self.timing(out, timing);
                    "failure": name(out, failure.name());
                    "detail": put::string(out, detail);
                    "partial": self.response(out, partial.as_deref(), Place::V2, last);
                );
            }
            Outcome::Skipped(reason) => {
                out.extend_from_slice(b"{\"kind\":\"skipped\"");
                members!(out, "reason": name(out, reason.name()););
            }
        }
        out.push(b'}');
    }

    fn timing(&mut self, out: &mut Vec<u8>, timing: &Timing) {
        out.extend_from_slice(b"{\"due\":");
        self.time(out, timing.due);
        if let Some(connecting) = timing.connecting {
            members!(out, "connecting": self.time(out, connecting););
        }
        members!(out,
            "sent": optional(out, timing.sent, |out, time| self.time(out, time));
            "first_byte": optional(out, timing.first_byte, |out, time| self.time(out, time));
            "last_byte": optional(out, timing.last_byte, |out, time| self.time(out, time));
        );
        out.push(b'}');
    }

    fn response<'r>(
        &mut self,
        out: &mut Vec<u8>,
        response: Option<&'r Message<ResponseHead>>,
        place: Place,
        last: &mut LastBody<'r>,
    ) {
        optional(out, response, |out, response| {
            self.message(out, response, response.head.raw(), place, last);
        });
    }

    fn message<'r, H>(
        &mut self,
        out: &mut Vec<u8>,
        message: &'r Message<H>,
        head: &[u8],
        place: Place,
        last: &mut LastBody<'r>,
    ) {
        out.extend_from_slice(b"{\"first_byte\":");
        self.time(out, message.first_byte);
        members!(out,
            "last_byte": self.time(out, message.last_byte);
            "completeness": name(out, completeness(message.completeness));
            "anomalies": anomalies(out, message.anomalies);
            "head": self.texts(place).head.put(out, head);
            "body": last.put(out, &message.body, &mut self.texts(place).body);
        );
        out.push(b'}');
    }

    fn texts(&mut self, place: Place) -> &mut Texts {
        let [request, v1, sent, v2] = &mut self.texts;
        match place {
            Place::Request => request,
            Place::V1 => v1,
            Place::Sent => sent,
            Place::V2 => v2,
        }
    }

    fn time(&mut self, out: &mut Vec<u8>, time: Timestamp) {
        self.times.put_quoted(out, time);
    }
}

fn anomalies(out: &mut Vec<u8>, anomalies: AnomalySet) {
    put::names(out, anomalies);
}

fn connection(out: &mut Vec<u8>, ConnectionId { client, server, instance }: ConnectionId) {
    out.extend_from_slice(b"{\"client\":\"");
    put::address(out, client);
    out.extend_from_slice(b"\",\"server\":\"");
    put::address(out, server);
    out.extend_from_slice(b"\",\"instance\":");
    number(out, instance.into());
    out.push(b'}');
}

/// The last body of a line, and where in the line it was written: v2's is mostly that of v1.
#[derive(Default)]
struct LastBody<'r>(Option<(&'r Body, Range<usize>)>);

impl<'r> LastBody<'r> {
    fn put(&mut self, out: &mut Vec<u8>, body: &'r Body, others: &mut Written) {
        if let Some((_, written)) = self.0.as_ref().filter(|(last, _)| is_written_alike(last, body)) {
            return out.extend_from_within(written.clone());
        }
        let start = out.len();
        put_body(out, body, others);
        self.0 = Some((body, start..out.len()));
    }
}

/// Whether all of two bodies is the same that is written of them.
fn is_written_alike(one: &Body, other: &Body) -> bool {
    (one.framing, one.len, one.lost) == (other.framing, other.len, other.lost)
        && one.sha256 == other.sha256
        && one.entity == other.entity
}

fn put_body(out: &mut Vec<u8>, body: &Body, others: &mut Written) {
    out.extend_from_slice(b"{\"framing\":");
    match body.framing {
        Framing::None => name(out, "none"),
        Framing::Length(length) => {
            out.extend_from_slice(b"{\"length\":");
            number(out, length);
            out.push(b'}');
        }
        Framing::Chunked => name(out, "chunked"),
        Framing::UntilClose => name(out, "until_close"),
        Framing::Tunnel => name(out, "tunnel"),
    }
    members!(out,
        "len": number(out, body.len);
        "lost": number(out, body.lost);
    );
    if let Some(digest) = &body.sha256 {
        members!(out, "sha256": array(out, digest, |out, byte| number(out, (*byte).into())););
    }
    members!(out, "entity": optional(out, body.entity.as_deref(), |out, entity| others.put(out, entity)););
    out.push(b'}');
}

const fn completeness(completeness: Completeness) -> &'static str {
    match completeness {
        Completeness::Complete => "complete",
        Completeness::Gap => "gap",
        Completeness::Cut => "cut",
        Completeness::Aborted => "aborted",
    }
}

fn not_asked(out: &mut Vec<u8>, why: Option<NotAsked>) {
    if let Some(why) = why {
        members!(out, "not_asked": name(out, why.name()););
    }
}

fn statuses(out: &mut Vec<u8>, statuses: &[u16]) {
    array(out, statuses, |out, status| number(out, (*status).into()));
}

/// A name of ours, which holds nothing to escape.
fn name(out: &mut Vec<u8>, name: &str) {
    out.push(b'"');
    out.extend_from_slice(name.as_bytes());
    out.push(b'"');
}

fn optional<T>(out: &mut Vec<u8>, value: Option<T>, write: impl FnOnce(&mut Vec<u8>, T)) {
    match value {
        Some(value) => write(out, value),
        None => out.extend_from_slice(b"null"),
    }
}

fn array<T>(out: &mut Vec<u8>, values: &[T], mut write: impl FnMut(&mut Vec<u8>, &T)) {
    out.push(b'[');
    for (n, value) in values.iter().enumerate() {
        if n > 0 {
            out.push(b',');
        }
        write(out, value);
    }
    out.push(b']');
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::anomaly::Anomaly;
    use crate::record::line::Line;
    use crate::record::samples;
    use crate::replay::client::ClientKind;
    use crate::replay::{Failure, SkipReason};
    use crate::route::Role;

    const ANSWER: &str = "HTTP/1.1 200 OK\r\nA: \"b\\\t\r\n\r\n";

    /// Reads a line and has serde write it again.
    fn again(line: &[u8]) -> Vec<u8> {
        let read: Line = serde_json::from_slice(line).unwrap();
        [serde_json::to_vec(&read).unwrap(), b"\n".to_vec()].concat()
    }

    fn rows() -> Vec<Row> {
        let plain = || samples::row("GET /é HTTP/1.1\r\nHost: a\r\n\r\n", ANSWER, ANSWER);
        let mut other = plain();
        (other.lap, other.copy, other.role) = (3, 1, Role::Canary);
        (other.client, other.sent_head) = (None, None);
        (other.destination, other.reason) = ("v\"2\"".into(), "\u{1}\u{7f}é".into());
        other.not_asked = Some(NotAsked::UnsafeMethod);
        other.exchange.anomalies = Anomaly::ALL.iter().copied().fold(AnomalySet::EMPTY, |mut set, one| {
            set.insert(one);
            set
        });
        other.exchange.connection.client = "[2001:db8::1]:80".parse().unwrap();
        samples::set_bodies(&mut other, b"\xff\xfe", b"", b"{\"a\":1}");
        let mut unanswered = plain();
        unanswered.exchange.response = None;
        unanswered.client = Some(ClientKind::Reqwest);
        unanswered.outcome = Outcome::Skipped(SkipReason::Method);
        let mut of_one_length = plain();
        samples::set_bodies(&mut of_one_length, b"ab", b"cd", b"ef");
        let mut all = vec![plain(), other, unanswered, of_one_length];
        for (failure, framing) in Failure::ALL.iter().zip(
            [
                Framing::None,
                Framing::Chunked,
                Framing::UntilClose,
                Framing::Tunnel,
                Framing::Length(u64::MAX),
            ]
            .into_iter()
            .cycle(),
        ) {
            let mut failed = plain();
            let Outcome::Answered { mut response, mut timing, .. } = failed.outcome else {
                panic!("answered")
            };
            response.completeness = Completeness::Aborted;
            (response.body.framing, response.body.sha256) = (framing, Some([200; 32]));
            (timing.connecting, timing.first_byte) = (timing.sent, None);
            let detail = "gone\n".to_owned();
            let partial = (framing != Framing::None).then_some(response);
            failed.outcome = Outcome::Failed { failure: *failure, detail, partial, timing };
            all.push(failed);
        }
        for completeness in [Completeness::Gap, Completeness::Cut] {
            let mut torn = plain();
            torn.exchange.request.completeness = completeness;
            all.push(torn);
        }
        all
    }

    #[test]
    fn lines_are_as_serde_writes_them() {
        let mut lines = Lines::default();
        for (n, row) in rows().iter().enumerate() {
            let mut out = Vec::new();
            lines.row(&mut out, row, n % 2 == 1);
            assert_eq!(String::from_utf8(again(&out)).unwrap(), String::from_utf8(out).unwrap());
        }
    }

    proptest::proptest! {
        #[test]
        fn what_was_written_before_changes_no_line(order in proptest::collection::vec((0_usize..99, 0_usize..6), 1..20)) {
            let (rows, mut lines) = (rows(), Lines::default());
            for (n, change) in order {
                let mut row = rows[n % rows.len()].clone();
                match change {
                    0 => row.role = Role::Canary,
                    1 => row.destination = "v\"1\"".into(),
                    2 => row.route = "a".into(),
                    3 => row.matched = "a".into(),
                    4 => row.reason = "a".into(),
                    _ => {}
                }
                let (mut out, mut afresh) = (Vec::new(), Vec::new());
                lines.row(&mut out, &row, false);
                Lines::default().row(&mut afresh, &row, false);
                proptest::prop_assert_eq!(String::from_utf8(out), String::from_utf8(afresh));
            }
        }
    }

    #[test]
    fn a_row_comes_back_as_it_was() {
        for row in rows() {
            let mut out = Vec::new();
            Lines::default().row(&mut out, &row, false);
            let Line::Row(line) = Line::read(&out).unwrap() else { panic!("a row") };
            let read = line.into_row().unwrap();
            let shown = |row: &Row| {
                let mut row = row.clone();
                let messages = [
                    Some(&mut row.exchange.request.body),
                    row.exchange.response.as_mut().map(|response| &mut response.body),
                    match &mut row.outcome {
                        Outcome::Answered { response, .. } => Some(&mut response.body),
                        Outcome::Failed { partial, .. } => partial.as_mut().map(|partial| &mut partial.body),
                        Outcome::Skipped(_) => None,
                    },
                ];
                // Chunks are not kept.
                messages.into_iter().flatten().for_each(|body| body.wire = None);
                format!("{row:?}")
            };
            assert_eq!(shown(&read), shown(&row));
        }
    }

    #[test]
    fn so_are_lines_of_what_was_asked_again() {
        let answers: Vec<_> = rows()
            .into_iter()
            .zip([Side::V1, Side::V2].into_iter().cycle())
            .map(|(row, side)| Again { side, round: row.copy, outcome: row.outcome })
            .collect();
        for (answers, why) in [(&answers[..], None), (&[], Some(NotAsked::Killed))] {
            let mut out = Vec::new();
            Lines::default().again(&mut out, &rows()[1].name(), answers, why);
            assert_eq!(String::from_utf8(again(&out)).unwrap(), String::from_utf8(out).unwrap());
        }
    }
}
