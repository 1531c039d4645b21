//! Heads without any oddity, which nearly all are: read in one pass that looks at many bytes at once.
//!
//! A head is plain when each of its lines ends with CRLF, no other control character is in it, single spaces
//! part its start line, each field has a token ahead of its colon, and there are few of them. What is not
//! plain is left to the readers that know more; what is, they would read in the same way.

use std::ops::Range;

use super::lenient::is_token;
use super::sixteen;
use super::start::METHOD;
use crate::http::Version;
use crate::http::head::{Plain, Span};

/// More fields than this are no longer few.
const FIELDS: u8 = 128;

/// The parts of a plain head.
pub struct Outline<L> {
    pub(super) line: L,
    pub(super) fields: Plain,
    /// Where the head ends, its empty line included.
    pub(super) end: usize,
}

/// The parts of a plain request line.
pub struct RequestLine {
    pub(super) method: Span,
    pub(super) target: Span,
    pub(super) version: Version,
}

/// The parts of a plain status line.
pub struct StatusLine {
    pub(super) version: Version,
    pub(super) status: u16,
    pub(super) reason: Span,
}

/// The outline of the head with which `bytes` begin, if it is whole and plain.
#[inline]
pub(super) fn outline<L>(bytes: &[u8], start_line: impl Fn(&[u8]) -> Option<L>) -> Option<Outline<L>> {
    let mut lines = Lines::new(bytes);
    let line = start_line(bytes.get(lines.next_line()?)?)?;
    let mut fields = Plain { start: u32::try_from(lines.at).ok()?, ..Plain::default() };
    loop {
        let field = lines.next_line()?;
        if field.is_empty() {
            return Some(Outline { line, fields, end: lines.at });
        }
        if fields.count == FIELDS {
            return None;
        }
        fields.count += 1;
        note(bytes, field, &mut fields)?;
    }
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

/// Notes what a field line says that the parser itself has to know; `None` if it is not plain.
#[inline]
fn note(bytes: &[u8], line: Range<usize>, fields: &mut Plain) -> Option<()> {
    let text = bytes.get(line.start..)?;
    let name = name_len(text);
    if text.get(name) != Some(&b':') || name == 0 {
        return None;
    }
    let is = |known: &[u8]| text.get(..name).is_some_and(|name| name.eq_ignore_ascii_case(known));
    // The names have a length of their own: most fields are passed over without comparing.
    match name {
        4 if is(b"host") => {
            if fields.host.is_some() {
                return None;
            }
            fields.host = Some(value(bytes, line.start + name + 1..line.end)?);
        }
        14 if is(b"content-length") => {
            fields.length = value(bytes, line.start + name + 1..line.end)?;
            fields.lengths += 1;
        }
        17 if is(b"transfer-encoding") => fields.has_coding = true,
        _ => {}
    }
    Some(())
}

/// How many bytes of a token `text` begins with. A control character is behind it, so it ends.
#[inline]
fn name_len(text: &[u8]) -> usize {
    let usual = text.first_chunk().map_or(0, |start| sixteen::name_characters(*start));
    let len = usual.trailing_ones() as usize;
    if text.get(len) == Some(&b':') {
        return len;
    }
    text.iter().position(|&b| !is_token(b)).unwrap_or(text.len())
}

/// A value without the spaces around it.
fn value(bytes: &[u8], range: Range<usize>) -> Option<(u32, u32)> {
    let text = bytes.get(range.clone())?;
    let start = range.end - text.trim_ascii_start().len();
    let span = span(start..start + text.trim_ascii().len())?;
    Some((span.start, span.end))
}

/// Whether all bytes pass a test. Without a branch, so that many are tested at once.
#[inline]
fn all(bytes: &[u8], test: impl Fn(u8) -> bool) -> bool {
    bytes.iter().fold(true, |all, &b| all & test(b))
}

fn span(range: Range<usize>) -> Option<Span> {
    Some(u32::try_from(range.start).ok()?..u32::try_from(range.end).ok()?)
}

/// How many bytes are looked at together.
const BLOCK: usize = 64;

/// Walks over lines that end with CRLF and hold no other control character.
struct Lines<'b> {
    bytes: &'b [u8],
    /// Where the next line begins.
    at: usize,
    /// Where the present block begins.
    block: usize,
    /// The control characters in that block that were not passed yet, a bit for each.
    controls: u64,
}

impl<'b> Lines<'b> {
    #[inline]
    fn new(bytes: &'b [u8]) -> Self {
        Self { bytes, at: 0, block: 0, controls: controls(bytes, 0).unwrap_or(0) }
    }

    /// The next line without its end.
    #[inline]
    fn next_line(&mut self) -> Option<Range<usize>> {
        let (cr, lf) = (self.next_control()?, self.next_control()?);
        if lf != cr + 1 || self.bytes.get(cr..=lf) != Some(b"\r\n") {
            return None;
        }
        let line = self.at..cr;
        self.at = lf + 1;
        Some(line)
    }

    #[inline]
    fn next_control(&mut self) -> Option<usize> {
        while self.controls == 0 {
            self.block += BLOCK;
            self.controls = controls(self.bytes, self.block)?;
        }
        let at = self.block + self.controls.trailing_zeros() as usize;
        self.controls &= self.controls - 1;
        Some(at)
    }
}

/// Which of the bytes of the block at `from` are control characters; `None` behind the end.
#[inline]
fn controls(bytes: &[u8], from: usize) -> Option<u64> {
    let rest = bytes.get(from..).filter(|rest| !rest.is_empty())?;
    if let Some(block) = rest.first_chunk() {
        return Some(controls_in(block));
    }
    if let Some(last) = bytes.last_chunk() {
        return Some(controls_in(last) >> (BLOCK - rest.len()));
    }
    let mut block = [b' '; BLOCK];
    block.get_mut(..rest.len())?.copy_from_slice(rest);
    Some(controls_in(&block))
}

#[inline]
fn controls_in(block: &[u8; BLOCK]) -> u64 {
    let (parts, _) = block.as_chunks::<16>();
    parts.iter().rev().fold(0, |mask, part| mask << 16 | u64::from(sixteen::controls(*part)))
}

#[cfg(test)]
mod tests {
    use bytes::Bytes;
    use proptest::prelude::*;

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

    fn same<H: Sealed + std::fmt::Debug>(
        wire: &[u8],
        general: fn(Bytes, &mut AnomalySet) -> Option<H>,
        parts: fn(&H) -> Vec<Vec<u8>>,
    ) {
        let Some(outline) = H::outline(wire) else { return };
        let raw = Bytes::copy_from_slice(&wire[..outline.end]);
        let mut anomalies = AnomalySet::EMPTY;
        let expected = general(raw.clone(), &mut anomalies).expect("what is plain can be read");
        assert!(anomalies.is_empty(), "{}: {anomalies:?}", wire.escape_ascii());
        assert_eq!(parts(&H::plain(raw, outline)), parts(&expected), "{}", wire.escape_ascii());
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
        fn each_control_character_is_found_wherever_it_stands(bytes in proptest::collection::vec(any::<u8>(), 0..300)) {
            let mut lines = Lines::new(&bytes);
            let found: Vec<_> = std::iter::from_fn(|| lines.next_control()).collect();
            let expected: Vec<_> = (0..bytes.len()).filter(|&at| bytes[at].is_ascii_control()).collect();
            prop_assert_eq!(found, expected);
        }
    }

    #[test]
    fn usual_heads_are_plain() {
        for head in [
            "GET / HTTP/1.1\r\nHost: a.example\r\n\r\n",
            "GET http://a/%7Eb?c=[d] HTTP/1.0\r\nX_y.z:  1  \r\nEmpty:\r\nAn-Unusually-Long-Name-Of-A-Field: \u{e9}\r\n\r\n",
        ] {
            assert_eq!(RequestHead::outline(head.as_bytes()).map(|o| o.end), Some(head.len()), "{head}");
        }
        for head in ["HTTP/1.1 200 OK\r\nA: b\r\n\r\n", "HTTP/1.0 404\r\n\r\n"] {
            assert_eq!(ResponseHead::outline(head.as_bytes()).map(|o| o.end), Some(head.len()), "{head}");
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
            assert!(RequestHead::outline(head.as_bytes()).is_none(), "{head}");
        }
        for line in
            ["HTTP/1.1 200 ", "HTTP/1.1  200 OK", "HTTP/1.1 20 OK", "HTTP/1.1 200 OK ", "HTTP/1.1 200 \u{e9}"]
        {
            assert!(ResponseHead::outline(format!("{line}\r\n\r\n").as_bytes()).is_none(), "{line}");
        }
        let many = format!("GET / HTTP/1.1\r\n{}\r\n", "A: 1\r\n".repeat(usize::from(FIELDS) + 1));
        assert!(RequestHead::outline(many.as_bytes()).is_none());
    }
}
