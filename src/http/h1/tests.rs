use proptest::prelude::*;

use super::*;
use crate::http::{BodyKeep, Framing, Message, Request, RequestHead, Response, ResponseHead, Version};

const NOW: Timestamp = Timestamp::from_nanos(7);
const KEEP: Options = Options { keep: BodyKeep::UpTo(1 << 20), hash: false };

/// Collects messages; answers responses with the kinds it was given.
struct Log<H> {
    messages: Vec<Message<H>>,
    asked: std::collections::VecDeque<Asked>,
    lost: usize,
}

impl<H> Default for Log<H> {
    fn default() -> Self {
        Self { messages: Vec::new(), asked: std::collections::VecDeque::new(), lost: 0 }
    }
}

impl Sink<RequestHead> for Log<RequestHead> {
    fn message(&mut self, message: Request) {
        self.messages.push(message);
    }

    fn lost(&mut self, _: u64) {
        self.lost += 1;
    }
}

impl Sink<ResponseHead> for Log<ResponseHead> {
    fn head(&mut self, _: &ResponseHead, _: Timestamp) -> Asked {
        self.asked.pop_front().unwrap_or_default()
    }

    fn message(&mut self, message: Response) {
        self.messages.push(message);
    }

    fn lost(&mut self, _: u64) {
        self.lost += 1;
    }
}

fn requests(wire: &[u8]) -> Vec<Request> {
    let (mut parser, mut log) = (Parser::<RequestHead>::new(KEEP), Log::default());
    parser.push(NOW, wire, &mut log);
    parser.end(Close::Finished, &mut log);
    assert_eq!(parser.account().total(), wire.len() as u64, "{}", wire.escape_ascii());
    log.messages
}

fn responses(asked: &[Asked], wire: &[u8]) -> Vec<Response> {
    let mut parser = Parser::<ResponseHead>::new(KEEP);
    let mut log = Log { asked: asked.iter().copied().collect(), ..Log::default() };
    parser.push(NOW, wire, &mut log);
    parser.end(Close::Finished, &mut log);
    assert_eq!(parser.account().total(), wire.len() as u64, "{}", wire.escape_ascii());
    log.messages
}

fn entity<H>(message: &Message<H>) -> String {
    String::from_utf8_lossy(message.body.entity.as_deref().unwrap_or_default()).into_owned()
}

fn names(anomalies: AnomalySet) -> String {
    anomalies.iter().map(Anomaly::name).collect::<Vec<_>>().join(" ")
}

#[test]
fn request_lines_are_read_as_far_as_their_meaning_is_clear() {
    use Version::{Http09, Http10, Http11, Other};
    for (line, method, target, version, anomalies) in [
        ("GET /where?q=now HTTP/1.1", "GET", "/where?q=now", Http11, ""),
        ("OPTIONS * HTTP/1.1", "OPTIONS", "*", Http11, ""),
        ("CONNECT www.example.com:80 HTTP/1.1", "CONNECT", "www.example.com:80", Http11, ""),
        ("GET http://www.example.org/a.html HTTP/1.0", "GET", "http://www.example.org/a.html", Http10, ""),
        ("x!y /{}\"<>\\ HTTP/1.1", "x!y", "/{}\"<>\\", Http11, ""),
        ("GET  /  HTTP/1.1", "GET", "/", Http11, "odd-whitespace"),
        ("GET\t/\tHTTP/1.1", "GET", "/", Http11, "odd-whitespace"),
        ("GET /a b HTTP/1.1", "GET", "/a b", Http11, "odd-whitespace"),
        ("GET / HTTP/1.1 ", "GET", "/", Http11, "odd-whitespace"),
        ("GET / http/1.1", "GET", "/", Http11, "invalid-start-line"),
        ("GET / HTTP/2.0", "GET", "/", Other(2, 0), "invalid-start-line"),
        ("GET / HTTP/1.15", "GET", "/", Other(1, 15), "invalid-start-line"),
        ("GET / HTTP/", "GET", "/", Other(0, 0), "invalid-start-line"),
        ("GET /old", "GET", "/old", Http09, "http-0.9"),
    ] {
        let host = if version == Http09 { "" } else { "Host: h\r\n" };
        let read = requests(format!("{line}\r\n{host}\r\n").as_bytes());
        let head = &read[0].head;
        assert_eq!((head.method(), head.target()), (method.as_bytes(), target.as_bytes()), "{line}");
        assert_eq!((head.version, names(read[0].anomalies).as_str()), (version, anomalies), "{line}");
        assert_eq!(read.len(), 1, "{line}");
    }
    for none in
        ["GET\r\n\r\n", "\x16\x03\x01 /\r\n\r\n", "a b c\r\n\r\n", "EHLO x\r\n\r\n", "G{T / HTTP/1.1\r\n\r\n"]
    {
        assert!(requests(none.as_bytes()).is_empty(), "{none}");
    }
}

#[test]
fn status_lines_are_read_as_far_as_their_meaning_is_clear() {
    use Version::{Http10, Http11, Other};
    for (line, version, status, reason, anomalies) in [
        ("HTTP/1.1 200 OK", Http11, 200, "OK", ""),
        ("HTTP/1.0 404 Not Found", Http10, 404, "Not Found", ""),
        ("HTTP/1.1 299 ", Http11, 299, "", ""),
        ("HTTP/1.1 200", Http11, 200, "", ""),
        ("HTTP/1.1 999 gone\u{e9}", Http11, 999, "gone\u{e9}", ""),
        ("HTTP/1.1  200 OK", Http11, 200, "OK", "odd-whitespace"),
        ("HTTP/1.1 20 OK", Http11, 20, "OK", "invalid-start-line"),
        ("http/1.1 200 OK", Http11, 200, "OK", "invalid-start-line"),
        ("HTTP/3.7 200 OK", Other(3, 7), 200, "OK", "invalid-start-line"),
    ] {
        let read = responses(&[], format!("{line}\r\nContent-Length: 0\r\n\r\n").as_bytes());
        let head = &read[0].head;
        assert_eq!(
            (head.version, head.status, head.reason()),
            (version, status, reason.as_bytes()),
            "{line}"
        );
        assert_eq!(names(read[0].anomalies), anomalies, "{line}");
    }
    for none in ["HTTP/1.1\r\n\r\n", "HTTP/1.1 abc OK\r\n\r\n", "HTTPS 200 OK\r\n\r\n", "200 OK\r\n\r\n"] {
        assert!(responses(&[], none.as_bytes()).is_empty(), "{none}");
    }
}

#[test]
fn odd_header_lines_are_kept_and_named() {
    let fields = |head: &RequestHead| -> Vec<(String, String)> {
        let text = |bytes: &[u8]| String::from_utf8_lossy(bytes).into_owned();
        head.headers.iter().map(|(name, value)| (text(name), text(value))).collect()
    };
    for (lines, expected, anomalies) in [
        ("Host: a\r\nhost:b \r\n", &[("Host", "a"), ("host", "b")][..], "duplicate-host"),
        ("A : 1\r\n", &[("A", "1")], "odd-whitespace"),
        ("A: 1\r\n  2\r\n\t3\r\nB: 4\r\n", &[("A", "1\r\n  2\r\n\t3"), ("B", "4")], "obs-fold"),
        ("A:\r\n 1\r\n", &[("A", "1")], "obs-fold"),
        (" A: 1\r\n", &[("A", "1")], "odd-whitespace"),
        ("A: 1\nB: 2\n", &[("A", "1"), ("B", "2")], "bare-lf"),
        ("nothing\r\nA: 1\r\n", &[("A", "1")], "invalid-header-line"),
        (": 1\r\nA: 2\r\n", &[("A", "2")], "invalid-header-line"),
        ("A(b): 1\r\n", &[("A(b)", "1")], "invalid-header-line"),
        ("A: \u{e9}\r\n", &[("A", "\u{e9}")], ""),
    ] {
        // Of HTTP/1.0, which needs no Host.
        let wire = format!("GET / HTTP/1.0\r\n{lines}\r\n");
        let read = requests(wire.as_bytes());
        let head = &read[0].head;
        let expected: Vec<_> = expected.iter().map(|&(n, v)| (n.to_owned(), v.to_owned())).collect();
        assert_eq!(fields(head), expected, "{lines:?}");
        assert_eq!(
            (names(read[0].anomalies).as_str(), &head.raw()[..]),
            (anomalies, wire.as_bytes()),
            "{lines:?}"
        );
    }
}

#[test]
fn more_fields_than_the_fast_way_takes_are_all_kept() {
    let fields: Vec<_> = (0..5000).map(|n| format!("X-{n}: {n}\r\n")).collect();
    let fields = fields.concat();
    let read = requests(format!("GET / HTTP/1.0\r\n{fields}\r\n").as_bytes());
    assert_eq!(read[0].head.headers.len(), 5000);
    assert_eq!(read[0].head.headers.get("x-4999"), Some(&b"4999"[..]));
    assert!(read[0].anomalies.is_empty());
}

#[test]
fn empty_lines_before_a_request_are_passed_over() {
    let read = requests(b"\r\n\r\nGET /a HTTP/1.0\r\n\r\n\r\nGET /b HTTP/1.1\r\n\r\n");
    assert_eq!(read.iter().map(|m| m.head.target()).collect::<Vec<_>>(), [b"/a", b"/b"]);
    assert!(read[0].head.raw().starts_with(b"GET"));
    assert_eq!(names(read[0].anomalies), "stray-bytes");
}

#[test]
fn what_a_strict_server_would_refuse_is_read_and_named() {
    let chunked = "POST / HTTP/1.1\r\nHost: h\r\nTransfer-Encoding: chunked\r\n\r\n";
    // The section of RFC 9112 (RFC 9110 where it says so), the request, and the names.
    for (section, head, rest, anomalies) in [
        ("3.2", "GET / HTTP/1.1\r\n\r\n", "", "missing-host"),
        ("3.2", "GET / HTTP/1.0\r\n\r\n", "", ""),
        ("3.2", "GET / HTTP/1.1\r\nHost:\r\n\r\n", "", ""),
        ("3.2", "GET / HTTP/1.1\r\nHost: a\r\nHOST: a\r\n\r\n", "", "duplicate-host"),
        ("3.2", "GET / HTTP/1.1\r\nHost: a b\r\n\r\n", "", "invalid-host"),
        ("3.2", "GET / HTTP/1.1\r\nHost: a/b\r\n\r\n", "", "invalid-host"),
        ("3.2", "GET / HTTP/1.1\r\nHost: me@a\r\n\r\n", "", "invalid-host"),
        ("3.2", "GET / HTTP/1.1\r\nHost: a:80x\r\n\r\n", "", "invalid-host"),
        ("3.2", "GET / HTTP/1.1\r\nHost: ::1\r\n\r\n", "", "invalid-host"),
        ("3.2", "GET / HTTP/1.1\r\nHost: \u{e9}\r\n\r\n", "", "invalid-host"),
        ("3.2", "GET / HTTP/1.1\r\nHost: [::1]:80\r\n\r\n", "", ""),
        ("3.2", "GET / HTTP/1.1\r\nHost: a_b.example:\r\n\r\n", "", ""),
        ("3.2", "GET /\u{1} HTTP/1.1\r\nHost: h\r\n\r\n", "", "invalid-target"),
        ("3.2", "GET /\u{7f} HTTP/1.1\r\nHost: h\r\n\r\n", "", "invalid-target"),
        ("3.2", "GET /\u{e9} HTTP/1.1\r\nHost: h\r\n\r\n", "", "invalid-target"),
        ("9110, 5.5", "GET / HTTP/1.1\r\nHost: h\r\nA: 1\0\r\n\r\n", "", "control-in-value"),
        ("9110, 5.5", "GET / HTTP/1.1\r\nHost: h\r\nA: \u{b}1\r\n\r\n", "", "control-in-value"),
        (
            "9110, 5.5",
            "GET / HTTP/1.1\r\nHost: h\r\nA: 1\r\n 2\u{7f}\r\n\r\n",
            "",
            "obs-fold control-in-value",
        ),
        ("9110, 5.5", "GET / HTTP/1.1\r\nHost: h\r\nA: 1\t2\r\n\r\n", "", ""),
        ("2.2", "GET / HTTP/1.1\r\nHost: h\r\nA: 1\r2\r\n\r\n", "", "bare-cr"),
        ("2.2", "GET / HTTP/1.1\r\nHost: h\r\nA: 1\r\r\n\r\n", "", "bare-cr"),
        (
            "6.1",
            "GET / HTTP/1.0\r\nTransfer-Encoding: chunked\r\n\r\n",
            "0\r\n\r\n",
            "transfer-encoding-in-http-1.0",
        ),
        ("7.1", chunked, "1 \r\na\r\n0\r\n\r\n", "odd-whitespace"),
        ("7.1", chunked, " 1\r\na\r\n0\r\n\r\n", "odd-whitespace"),
        ("7.1", chunked, "1\na\r\n0\r\n\r\n", "bare-lf"),
        ("7.1", chunked, "1;x\na\r\n0\r\n\r\n", "bare-lf"),
        ("7.1", chunked, "1\r\na\n0\r\n\r\n", "bare-lf"),
        ("7.1", chunked, "1\r\na\r\n0\r\n\n", "bare-lf"),
        ("7.1.2", chunked, "0\r\nA: b\r\n\r\n", ""),
        ("7.1.2", chunked, "0\r\nA: b\n\r\n", "bare-lf"),
        ("7.1.2", chunked, "0\r\nno colon\r\n\r\n", "invalid-trailer"),
        ("7.1.2", chunked, "0\r\nnothing\r\n\r\n", "invalid-trailer"),
        ("7.1.2", chunked, "0\r\nnothing\nA: b\r\n\r\n", "invalid-trailer"),
        ("7.1.2", chunked, "0\r\n: b\r\n\r\n", "invalid-trailer"),
        ("7.1.2", chunked, "0\r\nA: b\r\n c\r\n\r\n", "obs-fold"),
        ("7.1.2", chunked, "0\r\nA: b\rc\r\n\r\n", "bare-cr"),
        ("7.1.2", chunked, "0\r\nA: \u{b}\r\n\r\n", "control-in-value"),
    ] {
        let wire = format!("{head}{rest}");
        for cut in [0, wire.len() / 2, head.len() - 3, head.len(), wire.len() - 1] {
            let (mut parser, mut log) = (Parser::<RequestHead>::new(KEEP), Log::default());
            let (front, back) = wire.as_bytes().split_at(cut);
            parser.push(NOW, front, &mut log);
            parser.push(NOW, back, &mut log);
            parser.end(Close::Finished, &mut log);
            let [read] = log.messages.as_slice() else { panic!("{section}: {wire:?}") };
            assert_eq!(names(read.anomalies), anomalies, "{section}: {wire:?} cut at {cut}");
            assert_eq!(read.completeness, Completeness::Complete, "{section}: {wire:?}");
            assert_eq!(
                parser.account().head + parser.account().body,
                wire.len() as u64,
                "{section}: {wire:?}"
            );
        }
    }
}

#[test]
fn what_is_kept_weighs_what_it_takes() {
    let chunks = "1\r\na\r\n".repeat(1000);
    let wire = format!("POST / HTTP/1.1\r\nHost: h\r\nTransfer-Encoding: chunked\r\n\r\n{chunks}0\r\n\r\n");
    assert!(requests(wire.as_bytes())[0].memory() > wire.len() + 1000);
    // Each field of an odd head is listed by itself.
    let odd = format!("GET / HTTP/1.1\r\n{}\r\n", "A:\n".repeat(1000));
    assert!(requests(odd.as_bytes())[0].memory() > odd.len() + 16 * 1000);
}

#[test]
fn a_request_body_ends_where_rfc_9112_section_6_3_says() {
    use Framing::{Chunked, Length, None};
    let huge = "Content-Length: 9223372036854775808";
    for (fields, body, framing, seen, anomalies) in [
        ("Content-Length: 3", "abc", Length(3), "abc", ""),
        ("Content-Length: 0", "", Length(0), "", ""),
        ("Content-Length: 3\r\nContent-Length: 3", "abc", Length(3), "abc", "duplicate-content-length"),
        ("Content-Length: 3, 3", "abc", Length(3), "abc", "duplicate-content-length"),
        ("Content-Length: 3\r\nContent-Length: 4", "abc", Length(3), "abc", "invalid-content-length"),
        ("Content-Length: +3", "", None, "", "invalid-content-length"),
        ("Content-Length: 99999999999999999999", "", None, "", "invalid-content-length"),
        (huge, "abc", Length(1 << 63), "abc", "body-cut-short"),
        ("Transfer-Encoding: chunked", "3\r\nabc\r\n0\r\n\r\n", Chunked, "abc", ""),
        ("Transfer-Encoding: CHUNKED", "3;x=\"y\"\r\nabc\r\n0\r\nA: b\r\n\r\n", Chunked, "abc", ""),
        ("Transfer-Encoding: gzip, chunked", "1\r\nz\r\n0\r\n\r\n", Chunked, "z", ""),
        ("Transfer-Encoding: gzip\r\nTransfer-Encoding: chunked", "0\r\n\r\n", Chunked, "", ""),
        (
            "Content-Length: 3\r\nTransfer-Encoding: chunked",
            "1\r\na\r\n0\r\n\r\n",
            Chunked,
            "a",
            "length-with-transfer-encoding",
        ),
        ("Transfer-Encoding: chunked, gzip", "", None, "", "unknown-transfer-encoding"),
        ("Transfer-Encoding: xchunked", "", None, "", "unknown-transfer-encoding"),
        ("X: y", "", None, "", ""),
    ] {
        let wire = format!("POST / HTTP/1.1\r\nHost: h\r\n{fields}\r\n\r\n{body}");
        let read = requests(wire.as_bytes());
        assert_eq!((read[0].body.framing, entity(&read[0]).as_str()), (framing, seen), "{fields}");
        assert_eq!(names(read[0].anomalies), anomalies, "{fields}");
        assert_eq!(read[0].body.wire().map(|wire| &wire[..]), Some(body.as_bytes()), "{fields}");
    }
}

#[test]
fn a_response_body_ends_where_rfc_9112_section_6_3_says() {
    use Framing::{Chunked, Length, None, Tunnel, UntilClose};
    let three = "Content-Length: 3";
    for (asked, status, fields, body, framing, seen) in [
        (Asked::Other, 200, three, "abc", Length(3), "abc"),
        (Asked::Head, 200, three, "", None, ""),
        (Asked::Head, 200, "Transfer-Encoding: chunked", "", None, ""),
        (Asked::Other, 204, three, "", None, ""),
        (Asked::Other, 304, three, "", None, ""),
        (Asked::Other, 200, "X: y", "abc", UntilClose, "abc"),
        (Asked::Other, 200, "Transfer-Encoding: chunked, gzip", "abc", UntilClose, "abc"),
        (Asked::Other, 200, "Content-Length: x", "abc", UntilClose, "abc"),
        (Asked::Other, 200, "Transfer-Encoding: chunked", "2\r\nab\r\n0\r\n\r\n", Chunked, "ab"),
        (Asked::Connect, 200, three, "", Tunnel, ""),
        (Asked::Connect, 403, three, "abc", Length(3), "abc"),
        (Asked::Other, 101, "Upgrade: websocket", "", Tunnel, ""),
        (
            Asked::Other,
            206,
            "Content-Type: multipart/byteranges; boundary=B\r\nContent-Length: 24",
            "--B\r\n\r\nHTTP/1.1 200\r\n--B",
            Length(24),
            "--B\r\n\r\nHTTP/1.1 200\r\n--B",
        ),
    ] {
        let wire = format!("HTTP/1.1 {status} x\r\n{fields}\r\n\r\n{body}");
        let read = responses(&[asked], wire.as_bytes());
        assert_eq!(read.len(), 1, "{asked:?} {status} {fields}");
        assert_eq!((read[0].body.framing, entity(&read[0]).as_str()), (framing, seen), "{status} {fields}");
        assert_eq!(read[0].completeness.is_complete(), seen.len() != 20, "{status} {fields}");
    }
}

#[test]
fn interim_responses_come_as_messages_of_their_own() {
    let wire = b"HTTP/1.1 100 Continue\r\n\r\nHTTP/1.1 103 Early Hints\r\nLink: </a>\r\n\r\n\
                 HTTP/1.1 200 OK\r\nContent-Length: 1\r\n\r\nx";
    let read = responses(&[Asked::Other], wire);
    assert_eq!(read.iter().map(|m| m.head.status).collect::<Vec<_>>(), [100, 103, 200]);
}

#[test]
fn chunks_are_read_exactly_and_their_oddities_do_not_derail() {
    for (body, seen, completeness) in [
        ("000003\r\nabc\r\n000\r\n\r\n", "abc", Completeness::Complete),
        ("A \r\n0123456789\r\n0\r\n\r\n", "0123456789", Completeness::Complete),
        ("3\nabc\n0\n\n", "abc", Completeness::Complete),
        ("3\r\nabc\r\n0\r\nX: 1\r\nY: 2\r\n\r\n", "abc", Completeness::Complete),
        ("3\r\nabc\r\n", "abc", Completeness::Aborted),
        ("3\r\nabcd\r\n0\r\n\r\n", "abc", Completeness::Aborted),
        ("zz\r\n", "", Completeness::Aborted),
        ("10000000000000000\r\nabc", "", Completeness::Aborted),
        ("fffffffffffffff\r\nabc", "abc", Completeness::Aborted),
    ] {
        let wire = format!("HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n{body}");
        let read = responses(&[], wire.as_bytes());
        assert_eq!((entity(&read[0]).as_str(), read[0].completeness), (seen, completeness), "{body:?}");
    }
}

#[test]
fn a_hole_costs_only_what_it_covers() {
    let tail = "GET /next HTTP/1.1\r\n\r\n";
    let long = "POST / HTTP/1.1\r\nContent-Length: 10\r\n\r\n";
    let chunked = "POST / HTTP/1.1\r\nTransfer-Encoding: chunked\r\n\r\n";
    for (before, hole, after, seen, lost) in [
        (format!("{long}ab"), 5, format!("hij{tail}"), "abhij", 5),
        (format!("{long}ab"), 8, tail.into(), "ab", 8),
        (format!("{long}ab"), 30, tail.into(), "ab", 8),
        (format!("{chunked}8\r\nab"), 4, format!("gh\r\n0\r\n\r\n{tail}"), "abgh", 4),
        (format!("{chunked}8\r\nab"), 6, format!("\r\n0\r\n\r\n{tail}"), "ab", 6),
        (format!("{chunked}8\r\nab"), 40, tail.into(), "ab", 40),
        (format!("{chunked}8"), 4, tail.into(), "", 4),
        ("POST / HTTP/1.1\r\nContent-Len".into(), 40, tail.into(), "", 0),
    ] {
        let (mut parser, mut log) = (Parser::<RequestHead>::new(KEEP), Log::default());
        parser.push(NOW, before.as_bytes(), &mut log);
        parser.gap(hole, &mut log);
        parser.push(NOW, after.as_bytes(), &mut log);
        parser.end(Close::Finished, &mut log);
        let [first, second] = &log.messages[..] else { panic!("{before:?} {}", log.messages.len()) };
        assert_eq!((entity(first).as_str(), first.body.lost), (seen, lost), "{before:?}");
        assert_eq!(first.completeness, Completeness::Gap, "{before:?}");
        assert_eq!((second.head.target(), second.completeness), (&b"/next"[..], Completeness::Complete));
        assert_eq!(parser.account().total(), (before.len() + after.len()) as u64 + hole, "{before:?}");
    }
}

#[test]
fn a_hole_that_runs_over_the_end_of_a_message_is_passed_over_in_two() {
    for (head, body, within) in [
        ("POST / HTTP/1.1\r\nContent-Length: 10\r\n\r\n", "ab", 8),
        // Where in it the body ends is not known.
        ("POST / HTTP/1.1\r\nTransfer-Encoding: chunked\r\n\r\n", "8\r\nab", 33),
    ] {
        let (mut parser, mut log) = (Parser::<RequestHead>::new(KEEP), Log::default());
        parser.push(NOW, head.as_bytes(), &mut log);
        parser.push(NOW, body.as_bytes(), &mut log);
        let skipped = parser.skip(33, &mut log);
        assert_eq!((skipped, log.messages.len()), (within, 1), "{body:?}");
        assert_eq!(parser.account().gap, within, "{body:?}");
    }
}

#[test]
fn after_a_hole_a_start_line_may_be_cut_in_several_packets() {
    let rest = "\r\nHost: h\r\n\r\n";
    for (pieces, targets) in [
        (&["GE", "T /a HTT", "P/1.1", rest][..], &["/a"][..]),
        (&["GET /a HTTP/1.1\r", "\nHost: h\r\n\r\n"], &["/a"]),
        // The packet before was the end of something else.
        (&["GET", "GET /a HTTP/1.1\r\nHost: h\r\n\r\n"], &["/a"]),
        (&["a body that no one", " HTTP/1.1", rest], &[]),
        (&["xGE", "T /a HTTP/1.1", rest], &[]),
    ] {
        let (mut parser, mut log) = (Parser::<RequestHead>::midstream(KEEP), Log::default());
        for piece in pieces {
            parser.push(NOW, piece.as_bytes(), &mut log);
        }
        let found: Vec<_> = log.messages.iter().map(|message| message.head.target()).collect();
        assert_eq!(found, targets.iter().map(|target| target.as_bytes()).collect::<Vec<_>>(), "{pieces:?}");
        assert_eq!(parser.account().total(), pieces.concat().len() as u64, "{pieces:?}");
    }
}

#[test]
fn after_a_hole_between_messages_only_a_sure_start_line_begins_one() {
    let (mut parser, mut log) = (Parser::<RequestHead>::new(KEEP), Log::default());
    parser.gap(100, &mut log);
    parser.push(NOW, b"rest of a body\r\nGET /inside HTTP/1.1\r\n\r\n", &mut log);
    parser.push(NOW, b"get of something\r\n\r\n", &mut log);
    parser.push(NOW, b"PUT /x HTTP/1.1\r\n\r\n", &mut log);
    assert_eq!(log.messages.iter().map(|m| m.head.target()).collect::<Vec<_>>(), [b"/x"]);
    assert_eq!((log.lost, parser.account().torn), (1, 60));
}

#[test]
fn heads_are_bounded_and_what_follows_is_still_framed() {
    let wire = format!("GET /{} HTTP/1.1\r\nHost: a\r\n\r\n", "x".repeat(300_000));
    let next = "GET /next HTTP/1.1\r\n\r\n";
    let read =
        requests(format!("POST /a HTTP/1.1\r\nCookie: {}\r\n\r\n{next}", "x".repeat(400_000)).as_bytes());
    assert_eq!(read[0].head.raw().len(), MAX_HEAD);
    assert_eq!(names(read[0].anomalies), "oversized-head");
    assert_eq!((read[0].completeness, read[1].head.target()), (Completeness::Cut, &b"/next"[..]));
    let mut parser = Parser::<RequestHead>::new(KEEP);
    let mut log = Log::default();
    for piece in wire.as_bytes().chunks(1000) {
        parser.push(NOW, piece, &mut log);
        assert!(parser.memory() < 4 * MAX_HEAD);
    }
}

#[test]
fn bodies_beyond_the_limit_are_counted_and_digested_but_not_kept() {
    use sha2::Digest;
    let options = Options { keep: BodyKeep::UpTo(4), hash: false };
    for (size, at_once, kept) in [(4, 1, true), (5, 1, false), (4, 99, true), (5, 99, false)] {
        let wire = format!("POST / HTTP/1.1\r\nContent-Length: {size}\r\n\r\n{}", "y".repeat(size));
        let (mut parser, mut log) = (Parser::<RequestHead>::new(options), Log::default());
        wire.as_bytes().chunks(at_once).for_each(|piece| parser.push(NOW, piece, &mut log));
        let request = &log.messages[0];
        assert_eq!((request.body.len, request.body.entity.is_some()), (size as u64, kept));
        assert_eq!(request.anomalies.contains(Anomaly::OversizedBody), !kept);
        let digest: [u8; 32] = sha2::Sha256::digest("y".repeat(size)).into();
        assert_eq!(request.body.sha256, (!kept).then_some(digest));
    }
}

#[test]
fn after_a_tunnel_nothing_is_read() {
    let (mut parser, mut log) = (Parser::<ResponseHead>::new(KEEP), Log::default());
    parser.push(NOW, b"HTTP/1.1 101 Switching Protocols\r\n\r\nHTTP/1.1 200 OK\r\n\r\n", &mut log);
    parser.gap(9, &mut log);
    assert!(parser.is_tunnel());
    assert_eq!((log.messages.len(), parser.account().tunnel, parser.account().gap), (1, 19, 9));
}

/// A message to be written, and what it must be read as.
#[derive(Clone, Debug)]
struct Written {
    wire: Vec<u8>,
    head: usize,
    entity: Vec<u8>,
    asked: Asked,
}

fn body() -> impl Strategy<Value = Vec<u8>> {
    prop_oneof![
        proptest::collection::vec(any::<u8>(), 0..200),
        Just(b"\r\n\r\nGET / HTTP/1.1\r\n\r\nHTTP/1.1 200 OK\r\n\r\n".to_vec()),
    ]
}

/// The entity in chunks of the given sizes, with an extension here and there, and perhaps a trailer.
fn chunked(entity: &[u8], sizes: &[usize], trailer: bool) -> Vec<u8> {
    let (mut wire, mut rest, mut sizes) = (Vec::new(), entity, sizes.iter().cycle());
    while !rest.is_empty() {
        let size = (*sizes.next().unwrap()).clamp(1, rest.len());
        let extension = if size % 3 == 0 { ";a=\"b\"" } else { "" };
        wire.extend(format!("{size:x}{extension}\r\n").bytes());
        wire.extend(&rest[..size]);
        wire.extend(b"\r\n");
        rest = &rest[size..];
    }
    wire.extend(if trailer { &b"0\r\nT: 1\r\n\r\n"[..] } else { b"0\r\n\r\n" });
    wire
}

fn written(request: bool) -> impl Strategy<Value = Written> {
    let sizes = proptest::collection::vec(1usize..70, 1..5);
    (body(), 0u8..4, sizes, any::<bool>(), 0usize..4).prop_map(
        move |(entity, kind, sizes, trailer, fields)| {
            let start = if request { "POST /p?q HTTP/1.1\r\nHost: h\r\n" } else { "HTTP/1.1 200 OK\r\n" };
            let mut wire = start.as_bytes().to_vec();
            (0..fields).for_each(|n| wire.extend(format!("X-Field-{n}: value {n}\r\n").bytes()));
            let (line, payload, entity, asked) = match kind {
                0 => (format!("Content-Length: {}", entity.len()), entity.clone(), entity, Asked::Other),
                1 => (
                    "Transfer-Encoding: chunked".into(),
                    chunked(&entity, &sizes, trailer),
                    entity,
                    Asked::Other,
                ),
                2 if !request => (format!("Content-Length: {}", entity.len()), vec![], vec![], Asked::Head),
                _ => ("Content-Length: 0".into(), vec![], vec![], Asked::Other),
            };
            wire.extend(format!("{line}\r\n\r\n").bytes());
            let head = wire.len();
            wire.extend(payload);
            Written { wire, head, entity, asked }
        },
    )
}

fn read_in_pieces<H: Head>(wire: &[u8], cuts: &[usize], options: Options, mut log: Log<H>) -> Log<H>
where
    Log<H>: Sink<H>,
{
    let mut parser = Parser::<H>::new(options);
    let mut cuts: Vec<_> = cuts.iter().map(|cut| cut % (wire.len() + 1)).collect();
    cuts.sort_unstable();
    let mut from = 0;
    for to in cuts.into_iter().chain([wire.len()]) {
        parser.push(NOW, &wire[from..to], &mut log);
        from = to;
    }
    parser.end(Close::Unknown, &mut log);
    assert_eq!(parser.account().total(), wire.len() as u64);
    log
}

fn check<H: Head>(
    messages: &[Written],
    cuts: &[usize],
    raw: impl Fn(&H) -> &[u8],
) -> Result<(), TestCaseError>
where
    Log<H>: Sink<H>,
{
    let wire: Vec<u8> = messages.iter().flat_map(|m| m.wire.clone()).collect();
    let log = || Log { messages: Vec::new(), asked: messages.iter().map(|m| m.asked).collect(), lost: 0 };
    let kept = read_in_pieces::<H>(&wire, cuts, KEEP, log()).messages;
    let counted = read_in_pieces::<H>(&wire, cuts, Options::default(), log()).messages;
    prop_assert_eq!(kept.len(), messages.len());
    prop_assert_eq!(counted.len(), messages.len());
    for ((read, counted), written) in kept.iter().zip(&counted).zip(messages) {
        prop_assert_eq!(raw(&read.head), &written.wire[..written.head]);
        prop_assert_eq!(read.body.entity.as_deref(), Some(&written.entity[..]));
        prop_assert_eq!(read.body.wire().map(|wire| &wire[..]), Some(&written.wire[written.head..]));
        prop_assert_eq!(read.completeness, Completeness::Complete);
        prop_assert!(read.anomalies.is_empty());
        prop_assert_eq!(counted.body.len, written.entity.len() as u64);
        prop_assert_eq!(&counted.body.entity, &None);
        prop_assert_eq!(outline(counted), outline(read));
    }
    Ok(())
}

/// What is told of a message whatever is kept of its body.
fn outline<H>(message: &Message<H>) -> impl PartialEq + std::fmt::Debug + use<H> {
    let Message { body, first_byte, last_byte, completeness, anomalies, .. } = message;
    (body.framing, body.len, body.lost, *first_byte, *last_byte, *completeness, *anomalies)
}

/// Reads a stream, keeping bodies and not; whether the same messages are told. Digests have each body read by itself, be
/// it at hand or not.
fn keeping_makes_no_difference<H: Head>(wire: &[u8], cuts: &[usize]) -> Result<(), TestCaseError>
where
    Log<H>: Sink<H>,
{
    let [kept, digested, counted] = [KEEP, Options { hash: true, ..KEEP }, Options::default()]
        .map(|options| read_in_pieces::<H>(wire, cuts, options, Log::default()));
    let told = |log: &Log<H>| (log.lost, log.messages.iter().map(outline).collect::<Vec<_>>());
    prop_assert_eq!(told(&kept), told(&counted));
    prop_assert_eq!(told(&kept), told(&digested));
    let bodies = |log: &Log<H>| -> Vec<_> {
        log.messages.iter().map(|read| (read.body.entity.clone(), read.body.wire().cloned())).collect()
    };
    prop_assert_eq!(bodies(&kept), bodies(&digested));
    Ok(())
}

proptest! {
    #[test]
    fn requests_are_read_as_written_wherever_they_are_cut(
        messages in proptest::collection::vec(written(true), 1..6),
        cuts in proptest::collection::vec(any::<usize>(), 0..30),
    ) {
        check::<RequestHead>(&messages, &cuts, |head| head.raw())?;
    }

    #[test]
    fn responses_are_read_as_written_wherever_they_are_cut(
        messages in proptest::collection::vec(written(false), 1..6),
        cuts in proptest::collection::vec(any::<usize>(), 0..30),
    ) {
        check::<ResponseHead>(&messages, &cuts, |head| head.raw())?;
    }

    #[test]
    fn mutated_messages_never_panic_and_every_byte_is_counted(
        messages in proptest::collection::vec(written(true), 1..4),
        changes in proptest::collection::vec((any::<usize>(), any::<u8>()), 0..6),
        cuts in proptest::collection::vec(any::<usize>(), 0..6),
    ) {
        let mut wire: Vec<u8> = messages.iter().flat_map(|m| m.wire.clone()).collect();
        for (at, byte) in changes {
            let length = wire.len();
            wire[at % length] = byte;
        }
        keeping_makes_no_difference::<RequestHead>(&wire, &cuts)?;
        keeping_makes_no_difference::<ResponseHead>(&wire, &cuts)?;
    }

    #[test]
    fn with_a_hole_every_message_is_exact_or_marked_and_none_is_invented(
        messages in proptest::collection::vec(written(true), 1..6),
        hole in (any::<usize>(), 1usize..400),
    ) {
        let wire: Vec<u8> = messages.iter().flat_map(|m| m.wire.clone()).collect();
        let from = hole.0 % wire.len();
        let to = (from + hole.1).min(wire.len());
        // A packet of a body that begins like a request cannot be told from one.
        prop_assume!(!wire[to..].starts_with(b"GET / HTTP/1.1"));
        let (mut parser, mut log) = (Parser::<RequestHead>::new(KEEP), Log::default());
        parser.push(NOW, &wire[..from], &mut log);
        parser.gap((to - from) as u64, &mut log);
        // What follows comes in packets, some of which begin with a message.
        let mut starts: Vec<_> =
            messages.iter().scan(0, |at, m| { *at += m.wire.len(); Some(*at) }).filter(|&at| at > to).collect();
        starts.insert(0, to);
        for pair in starts.windows(2) {
            parser.push(NOW, &wire[pair[0]..pair[1]], &mut log);
        }
        parser.end(Close::Finished, &mut log);
        prop_assert_eq!(parser.account().total(), wire.len() as u64);
        prop_assert!(log.messages.len() <= messages.len());
        for read in &log.messages {
            let exact = messages.iter().any(|m| {
                *read.head.raw() == m.wire[..m.head] && read.body.entity.as_deref() == Some(&m.entity[..])
            });
            prop_assert!(exact || !read.completeness.is_complete());
        }
    }
}
