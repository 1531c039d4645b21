//! Heads without any oddity, which nearly all are: read in one pass that looks at many bytes at once.
//!
//! A head is plain when each of its lines ends with CRLF, no other control character is in it, single spaces
//! part its start line, each field has a token ahead of its colon, and there are few of them. What is not
//! plain is left to the readers that know more; what is, they would read in the same way.

use std::ops::Range;

use super::Head;
use super::field::says;
use super::last_head::LastHead;
use super::lenient::is_token;
use super::lines::Lines;
use super::start::METHOD;
use crate::http::Version;
use crate::http::head::{Plain, Span};

/// The parts of a plain head.
pub struct Outline<L> {
    pub(super) line: L,
    pub(super) fields: Plain,
    /// Where the head ends, its empty line included.
    pub(super) end: usize,
    /// It has little in common with the head before it.
    pub(super) is_strange: bool,
}

/// The parts of a plain request line.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct RequestLine {
    pub(super) method: Span,
    pub(super) target: Span,
    pub(super) version: Version,
}

/// The parts of a plain status line.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct StatusLine {
    pub(super) version: Version,
    pub(super) status: u16,
    pub(super) reason: Span,
}

/// The outline of the head with which `bytes` begin, if it is whole and plain. Lines that the `last` head had, too, are
/// read as they were then.
#[inline]
pub(super) fn outline<H: Head>(
    bytes: &[u8],
    start_line: impl Fn(&[u8]) -> Option<H::Line>,
    last: &LastHead<H>,
) -> Option<Outline<H::Line>> {
    let mut lines = Lines::new(bytes);
    let line = match last.start_line(bytes) {
        Some((line, end)) => {
            lines.pass_to(end);
            line
        }
        None => start_line(bytes.get(lines.next_line()?)?)?,
    };
    let mut fields = Plain { start: u32::try_from(lines.at).ok()?, ..Plain::default() };
    let (mut place, mut new) = (1, 0);
    loop {
        let at = u32::try_from(lines.at).ok()?;
        let (repeated, ended) = last.repeated(bytes.get(lines.at..)?, at, &mut place, &mut fields)?;
        if repeated > 0 {
            lines.pass_to(lines.at + repeated as usize);
        }
        if ended {
            break;
        }
        let field = lines.next_line()?;
        if field.is_empty() {
            break;
        }
        fields.join(&says(bytes.get(field.start..)?, field.len())?, u32::try_from(field.start).ok()?)?;
        (place, new) = (place + 1, new + 1);
    }
    Some(Outline { line, fields, end: lines.at, is_strange: new > fields.count / 2 })
}

/// A method, a target and a version.
pub(super) fn request_line(line: &[u8]) -> Option<RequestLine> {
    const VERSION: usize = " HTTP/1.1".len();
    let (rest, version) = line.split_last_chunk::<VERSION>()?;
    let version = match version {
        b" HTTP/1.1" => Version::Http11,
        b" HTTP/1.0" => Version::Http10,
        _ => return None,
    };
    let method = rest.iter().position(|&b| !is_token(b)).filter(|&len| len > 0 && len <= METHOD)?;
    let target = rest.get(method..)?.strip_prefix(b" ").filter(|target| !target.is_empty())?;
    if !all(target, |b| b.is_ascii_graphic()) {
        return None;
    }
    Some(RequestLine { method: span(0..method)?, target: span(method + 1..rest.len())?, version })
}

/// A version, three digits, and perhaps a reason.
pub(super) fn status_line(line: &[u8]) -> Option<StatusLine> {
    let (version, rest) = line.split_first_chunk::<9>()?;
    let version = match version {
        b"HTTP/1.1 " => Version::Http11,
        b"HTTP/1.0 " => Version::Http10,
        _ => return None,
    };
    let (code, rest) = rest.split_first_chunk::<3>()?;
    if !code.iter().all(u8::is_ascii_digit) {
        return None;
    }
    let status = code.iter().fold(0, |status, digit| status * 10 + u16::from(digit - b'0'));
    let reason = match rest {
        [] => 0..0,
        [b' ', reason @ ..] if is_reason(reason) => span(line.len() - reason.len()..line.len())?,
        _ => return None,
    };
    Some(StatusLine { version, status, reason })
}

/// Whether it is ASCII, and no white space surrounds it.
fn is_reason(text: &[u8]) -> bool {
    text.trim_ascii().len() == text.len() && !text.is_empty() && all(text, |b| b.is_ascii())
}

/// Whether all bytes pass a test: in blocks of one size and without a branch, so that many are tested at once.
#[inline]
fn all(bytes: &[u8], test: impl Fn(u8) -> bool) -> bool {
    let all_of = |block: &[u8]| block.iter().fold(true, |all, &b| all & test(b));
    let (blocks, rest) = bytes.as_chunks::<16>();
    blocks.iter().all(|block| all_of(block)) && all_of(bytes.last_chunk::<16>().map_or(rest, |last| last))
}

fn span(range: Range<usize>) -> Option<Span> {
    Some(u32::try_from(range.start).ok()?..u32::try_from(range.end).ok()?)
}

#[cfg(test)]
mod tests {
    use bytes::Bytes;
    use proptest::prelude::*;

    use super::super::field::FIELDS;
    use super::super::start::sealed::Sealed;
    use super::*;
    use crate::anomaly::AnomalySet;
    use crate::http::{RequestHead, ResponseHead};

    /// Pieces of which heads are made, most of them in order.
    fn lines() -> impl Strategy<Value = Vec<u8>> {
        let field = prop_oneof![
            8 => r"[A-Za-z-]{1,20}: ?[ -~]{0,90}\r\n",
            2 => r"(?i:content-length|transfer-encoding|host): {0,2}[0-9a-z,]{0,5} ?\r\n",
            1 => r"[!-~]{0,40}:?[ \t]{0,2}[\t -~\u{e9}\x7f]{0,9}[\r\n]{1,2}",
        ];
        let start = prop_oneof![
            4 => r"(GET|POST|x!y) /[!-~]{0,80} HTTP/1\.[01]\r\n",
            4 => r"HTTP/1\.[01] [0-9]{3}( [A-Za-z][ -~]{0,9})?\r\n",
            1 => r"[A-Z]{1,40}[ \t]{1,2}[!-~]{0,3} ?(HTTP/)?[0-9. ]{0,4}\r?\n",
            1 => r"HTTP/[0-9.]{0,3} {0,2}[0-9]{0,3} ?[ -~\u{e9}\t]{0,4} ?\r?\n",
        ];
        let end = prop_oneof![6 => Just("\r\n".to_owned()), 1 => r"[\r\n]{0,2}[a\r\n]{0,3}"];
        (start, proptest::collection::vec(field, 0..9), end)
            .prop_map(|(start, fields, end)| [start, fields.concat(), end].concat().into_bytes())
    }

    fn same<H: Head + std::fmt::Debug>(
        wire: &[u8],
        general: fn(Bytes, &mut AnomalySet) -> Option<H>,
        parts: fn(&H) -> Vec<Vec<u8>>,
    ) {
        let Some(outline) = H::outline(wire, &LastHead::default()) else { return };
        let raw = Bytes::copy_from_slice(&wire[..outline.end]);
        let mut anomalies = AnomalySet::EMPTY;
        let expected = general(raw.clone(), &mut anomalies).expect("what is plain can be read");
        assert!(anomalies.is_empty(), "{}: {anomalies:?}", wire.escape_ascii());
        assert_eq!(parts(&H::plain(raw, outline)), parts(&expected), "{}", wire.escape_ascii());
    }

    fn outline_of<H: Head>(wire: &[u8]) -> Option<Outline<H::Line>> {
        H::outline(wire, &LastHead::default())
    }

    fn fields(headers: &crate::http::Headers) -> Vec<Vec<u8>> {
        let mut all: Vec<_> = headers.iter().flat_map(|(n, v)| [n.to_vec(), v.to_vec()]).collect();
        all.push(headers.host().map_or_else(|| b"none".to_vec(), <[u8]>::to_vec));
        all.push(headers.len().to_string().into());
        all
    }

    fn request(head: &RequestHead) -> Vec<Vec<u8>> {
        let line = vec![head.method().to_vec(), head.target().to_vec(), head.version.to_string().into()];
        [line, fields(&head.headers)].concat()
    }

    fn response(head: &ResponseHead) -> Vec<Vec<u8>> {
        let (status, version) = (head.status.to_string(), head.version.to_string());
        [vec![status.into(), version.into(), head.reason().to_vec()], fields(&head.headers)].concat()
    }

    proptest! {
        #![proptest_config(ProptestConfig { cases: 1000, failure_persistence: None, ..Default::default() })]

        #[test]
        fn what_is_plain_is_read_as_the_general_readers_do(wire in lines()) {
            same::<RequestHead>(&wire, RequestHead::general, request);
            same::<ResponseHead>(&wire, ResponseHead::general, response);
        }

        #[test]
        fn what_is_remembered_changes_nothing(
            pool in proptest::collection::vec(field(), 1..5),
            heads in proptest::collection::vec((0..2_usize, proptest::collection::vec(line(), 0..6)), 2..12),
        ) {
            // Heads of few lines, so that they have many in common, in any order; and of lines that differ by a byte.
            let (mut requests, mut responses) = (LastHead::default(), LastHead::default());
            for (start, picked) in heads {
                let fields: Vec<u8> = picked.iter().flat_map(|one| one.of(&pool)).chain(*b"\r\n").collect();
                let request = ["GET / HTTP/1.1\r\n", "POST /a HTTP/1.0\r\n"][start];
                remembered::<RequestHead>(&[request.as_bytes(), &fields].concat(), &mut requests);
                let response = ["HTTP/1.1 200 OK\r\n", "HTTP/1.0 404\r\n"][start];
                remembered::<ResponseHead>(&[response.as_bytes(), &fields].concat(), &mut responses);
            }
        }
    }

    /// A field that may matter or not.
    fn field() -> impl Strategy<Value = String> {
        r"(?i:content-length|transfer-encoding|host|connection|x-[a-d]{1,9}): {0,2}[0-9a-z]{0,40} ?\r\n"
    }

    /// A line of a pool, of which one of the last bytes may be another.
    #[derive(Clone, Debug)]
    struct Picked {
        line: prop::sample::Index,
        other: Option<(usize, u8)>,
    }

    impl Picked {
        fn of(&self, pool: &[String]) -> Vec<u8> {
            let mut line = self.line.get(pool).clone().into_bytes();
            if let Some((before, byte)) = self.other
                && let Some(place) = line.len().checked_sub(1 + before)
            {
                line[place] = byte;
            }
            line
        }
    }

    fn line() -> impl Strategy<Value = Picked> {
        let other = (0..5_usize, prop::sample::select(b"07x \r\n:,".to_vec()));
        (any::<prop::sample::Index>(), proptest::option::weighted(0.3, other))
            .prop_map(|(line, other)| Picked { line, other })
    }

    /// Reads a head beside what is remembered and without it.
    fn remembered<H: Head>(wire: &[u8], last: &mut LastHead<H>) {
        let parts = |outline: &Outline<H::Line>| (outline.line.clone(), outline.fields, outline.end);
        let fresh = H::outline(wire, &LastHead::default());
        let known = H::outline(wire, last);
        assert_eq!(known.as_ref().map(parts), fresh.as_ref().map(parts), "{}", wire.escape_ascii());
        if let Some(known) = known {
            last.note(&wire[..known.end], &known.line, known.is_strange);
            let again = H::outline(wire, last);
            assert_eq!(again.as_ref().map(parts), fresh.as_ref().map(parts), "{}", wire.escape_ascii());
        }
    }

    #[test]
    fn usual_heads_are_plain() {
        for head in [
            "GET / HTTP/1.1\r\nHost: a.example\r\n\r\n",
            "GET http://a/%7Eb?c=[d] HTTP/1.0\r\nX_y.z:  1  \r\nEmpty:\r\nAn-Unusually-Long-Name-Of-A-Field: \u{e9}\r\n\r\n",
        ] {
            assert_eq!(outline_of::<RequestHead>(head.as_bytes()).map(|o| o.end), Some(head.len()), "{head}");
        }
        for head in ["HTTP/1.1 200 OK\r\nA: b\r\n\r\n", "HTTP/1.0 404\r\n\r\n"] {
            assert_eq!(
                outline_of::<ResponseHead>(head.as_bytes()).map(|o| o.end),
                Some(head.len()),
                "{head}"
            );
        }
    }

    #[test]
    fn odd_heads_are_not_plain() {
        for head in [
            "GET / HTTP/1.1\r\nHost: a\n\r\n",
            "GET / HTTP/1.1\nHost: a\r\n\r\n",
            "GET / HTTP/1.1\r\nHost: a\r\n",
            "GET  / HTTP/1.1\r\n\r\n",
            "GET / a HTTP/1.1\r\n\r\n",
            "GET / HTTP/1.1 \r\n\r\n",
            "GET / HTTP/2.0\r\n\r\n",
            "GET /\u{e9} HTTP/1.1\r\n\r\n",
            "GET / HTTP/1.1\r\nA : 1\r\n\r\n",
            "GET / HTTP/1.1\r\nA: 1\r\n 2\r\n\r\n",
            "GET / HTTP/1.1\r\nA: 1\t2\r\n\r\n",
            "GET / HTTP/1.1\r\nA(b): 1\r\n\r\n",
            "GET / HTTP/1.1\r\nnothing\r\n\r\n",
            "GET / HTTP/1.1\r\n: 1\r\n\r\n",
        ] {
            assert!(outline_of::<RequestHead>(head.as_bytes()).is_none(), "{head}");
        }
        for line in
            ["HTTP/1.1 200 ", "HTTP/1.1  200 OK", "HTTP/1.1 20 OK", "HTTP/1.1 200 OK ", "HTTP/1.1 200 \u{e9}"]
        {
            assert!(outline_of::<ResponseHead>(format!("{line}\r\n\r\n").as_bytes()).is_none(), "{line}");
        }
        let many = format!("GET / HTTP/1.1\r\n{}\r\n", "A: 1\r\n".repeat(usize::from(FIELDS) + 1));
        assert!(outline_of::<RequestHead>(many.as_bytes()).is_none());
    }
}
