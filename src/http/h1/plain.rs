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

/// Notes what a field line says that the parser itself has to know; `None` if it is not plain. The names that tell it
/// have a length of their own: most fields are passed over without comparing.
#[inline]
fn note(bytes: &[u8], line: Range<usize>, fields: &mut Plain) -> Option<()> {
    let text = bytes.get(line.start..)?;
    let name = name_len(text).filter(|&len| len > 0)?;
    let behind = line.start + name + 1..line.end;
    match name {
        4 if is(text, b"host") => note_host(bytes, behind, fields),
        14 if is(text, b"content-length") => note_length(bytes, behind, fields),
        17 if is(text, b"transfer-encoding") => {
            fields.has_coding = true;
            Some(())
        }
        _ => Some(()),
    }
}

#[inline(never)]
fn note_host(bytes: &[u8], behind: Range<usize>, fields: &mut Plain) -> Option<()> {
    if fields.host.is_some() {
        return None;
    }
    fields.host = Some(value(bytes, behind)?);
    Some(())
}

#[inline(never)]
fn note_length(bytes: &[u8], behind: Range<usize>, fields: &mut Plain) -> Option<()> {
    fields.length = value(bytes, behind)?;
    fields.lengths += 1;
    Some(())
}

/// Whether `text` begins with a name of letters and hyphens, known in small letters. Of all characters of a token
/// only those are made equal to them by the bit that makes letters small.
#[inline]
fn is<const N: usize>(text: &[u8], known: &[u8; N]) -> bool {
    const SMALL: u64 = 0x2020_2020_2020_2020;
    let Some(name) = text.first_chunk::<N>() else { return false };
    let same = |(a, b): (&[u8; 8], &[u8; 8])| u64::from_ne_bytes(*a) | SMALL == u64::from_ne_bytes(*b);
    match (name.last_chunk(), known.last_chunk()) {
        (Some(a), Some(b)) => same((a, b)) && name.as_chunks().0.iter().zip(known.as_chunks().0).all(same),
        _ => name.map(|b| b | 0x20) == *known,
    }
}

/// How many bytes of a token come before the colon with which a name ends; `None` if something else ends it.
#[inline]
fn name_len(text: &[u8]) -> Option<usize> {
    let usual = text.first_chunk().map_or(0, |start| sixteen::name_characters(*start));
    let len = usual.trailing_ones() as usize;
    if text.get(len) == Some(&b':') { Some(len) } else { unusual_name_len(text) }
}

/// As [`name_len`]. A control character is behind the line, so the name ends.
#[cold]
fn unusual_name_len(text: &[u8]) -> Option<usize> {
    text.iter().position(|&b| !is_token(b)).filter(|&len| text.get(len) == Some(&b':'))
}

/// A value without the spaces around it, which are all the white space that a plain line has.
#[inline]
fn value(bytes: &[u8], range: Range<usize>) -> Option<(u32, u32)> {
    let text = bytes.get(range.clone())?;
    let start = text.iter().position(|&b| b != b' ').unwrap_or(text.len());
    let end = text.iter().rposition(|&b| b != b' ').map_or(start, |last| last + 1);
    let span = span(range.start + start..range.start + end)?;
    Some((span.start, span.end))
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

/// How many bytes are looked at together.
const BLOCK: usize = 64;

/// Walks over lines that end with CRLF and hold no other control character.
struct Lines<'b> {
    bytes: &'b [u8],
    /// Where the next line begins.
    at: usize,
    /// How far was looked: where the present block ends.
    seen: usize,
    /// The CRs in that block that were not passed yet and have nothing odd before them, a bit for each.
    ends: u64,
    /// Whether what follows them is odd.
    odd: bool,
    /// Whether the block before ended with a CR.
    cr_before: bool,
}

impl<'b> Lines<'b> {
    #[inline]
    const fn new(bytes: &'b [u8]) -> Self {
        Self { bytes, at: 0, seen: 0, ends: 0, odd: false, cr_before: false }
    }

    /// The next line without its end.
    #[inline]
    fn next_line(&mut self) -> Option<Range<usize>> {
        while self.ends == 0 {
            self.look_on()?;
        }
        let cr = self.seen - BLOCK + self.ends.trailing_zeros() as usize;
        self.ends &= self.ends - 1;
        if self.bytes.get(cr + 1) != Some(&b'\n') {
            return None;
        }
        let line = self.at..cr;
        self.at = cr + 2;
        Some(line)
    }

    /// Looks at the next block. A control character that is neither a CR nor behind one is odd. So is any other
    /// character behind a CR; there [`Self::next_line`] gives up before it comes to it.
    #[inline]
    fn look_on(&mut self) -> Option<()> {
        if self.odd {
            return None;
        }
        let Controls { all, crs } = controls(self.bytes, self.seen)?;
        self.seen += BLOCK;
        let odd = all ^ (crs | crs << 1 | u64::from(self.cr_before));
        // All bits below the lowest one that is set, or all.
        let before_odd = (odd & odd.wrapping_neg()).wrapping_sub(1);
        self.ends = crs & before_odd;
        self.odd = odd != 0;
        self.cr_before = crs >> (BLOCK - 1) != 0;
        Some(())
    }
}

/// Which bytes of a block are control characters, and which of them are CR: a bit for each, the first the lowest.
struct Controls {
    all: u64,
    crs: u64,
}

/// The control characters of the block at `from`; `None` behind the end.
#[inline]
fn controls(bytes: &[u8], from: usize) -> Option<Controls> {
    match bytes.get(from..)?.first_chunk() {
        Some(block) => Some(controls_in(block)),
        None => controls_at_end(bytes, from),
    }
}

#[inline(never)]
fn controls_at_end(bytes: &[u8], from: usize) -> Option<Controls> {
    let rest = bytes.get(from..).filter(|rest| !rest.is_empty())?;
    if let Some(last) = bytes.last_chunk() {
        let Controls { all, crs } = controls_in(last);
        let passed = BLOCK - rest.len();
        return Some(Controls { all: all >> passed, crs: crs >> passed });
    }
    let mut block = [b' '; BLOCK];
    block.get_mut(..rest.len())?.copy_from_slice(rest);
    Some(controls_in(&block))
}

#[inline]
fn controls_in(block: &[u8; BLOCK]) -> Controls {
    let (mut all, mut crs) = (0, 0);
    for (part, place) in block.as_chunks::<16>().0.iter().zip([0, 16, 32, 48]) {
        let (controls, cr) = sixteen::controls(*part);
        all |= u64::from(controls) << place;
        crs |= u64::from(cr) << place;
    }
    Controls { all, crs }
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
        fn lines_end_with_crlf_and_hold_no_other_control_character(
            pieces in proptest::collection::vec((".{0,70}", 0..9_usize), 0..12),
        ) {
            let ends = ["\r\n", "\r\n", "\r\n", "\r\n\r\n", "\r\n\r\n", "\r", "\n", "\n\r", "\t"];
            let text: String = pieces.iter().flat_map(|(text, end)| [text.as_str(), ends[*end]]).collect();
            let mut lines = Lines::new(text.as_bytes());
            let found: Vec<_> = std::iter::from_fn(|| lines.next_line()).map(|line| &text[line]).collect();
            let (whole, _) = text.rsplit_once("\r\n").unwrap_or_default();
            let plain = |line: &&str| !line.bytes().any(|b| b.is_ascii_control());
            let expected: Vec<_> = if text.contains("\r\n") { whole.split("\r\n").take_while(plain).collect() } else { Vec::new() };
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
