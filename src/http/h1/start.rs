//! The two kinds of head, and what the one parser asks of them.

use bytes::Bytes;
use httparse::Header;

use super::last_head::LastHead;
use super::plain::Outline;
use super::{Asked, framing, lenient, plain};
use crate::anomaly::{Anomaly, AnomalySet};
use crate::http::head::Span;
use crate::http::{Framing, Headers, RequestHead, ResponseHead, Version};

/// More fields than this take the slower way through the lenient splitter.
const FIELDS: usize = 96;

/// The head of a request or of a response, as the parser needs it.
pub trait Head: Sized + sealed::Sealed {}

impl Head for RequestHead {}
impl Head for ResponseHead {}

/// Reads a head again that the parser handed over before, from its raw bytes: what comes out is equal to
/// it. `None` for bytes that never were such a head.
#[must_use]
pub fn parse_head<H: Head>(raw: Bytes) -> Option<H> {
    let mut known_already = AnomalySet::EMPTY;
    H::parse(raw, &mut known_already)
}

/// The same of a head that may have lines in common with the last one, of which then is known what they say.
#[cfg(feature = "cli")]
#[must_use]
pub(crate) fn parse_head_after<H: Head>(raw: Bytes, last: &mut LastHead<H>) -> Option<H> {
    let outline = H::outline(&raw, last).filter(|outline| outline.end == raw.len());
    let Some(outline) = outline else { return parse_head(raw) };
    last.note(&raw, &outline.line, outline.is_strange);
    Some(H::plain(raw, outline))
}

/// Whether bytes can be the beginning of a start line.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Plausible {
    /// They are such a beginning.
    Yes,
    /// So far; more bytes will tell.
    Perhaps,
    /// They are something else.
    No,
}

/// What a complete line begins.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum StartLine {
    /// A message, and is all of its head (HTTP/0.9).
    Whole,
    /// A message.
    Begins,
    /// Nothing.
    None,
}

pub(super) mod sealed {
    use super::{AnomalySet, Asked, Bytes, Framing, Head, LastHead, Outline, Plausible, StartLine};

    /// What only this module's parser may call.
    pub trait Sealed {
        /// Whether `prefix`, all or the first bytes of a line, can begin a message.
        fn plausible(prefix: &[u8]) -> Plausible;
        /// Whether `bytes` begin with a start line beyond doubt.
        fn certain(bytes: &[u8]) -> bool;
        /// What a complete line begins.
        fn start_line(line: &[u8]) -> StartLine;
        /// The parts of a start line without any oddity.
        type Line: Clone + PartialEq + std::fmt::Debug;
        /// The outline of the head with which `bytes` begin, if it is whole and has no oddity; of lines that the last head
        /// had, too, it is known.
        fn outline(bytes: &[u8], last: &LastHead<Self>) -> Option<Outline<Self::Line>>
        where
            Self: Head;
        /// The head of that outline.
        fn plain(raw: Bytes, outline: Outline<Self::Line>) -> Self;
        /// Reads a head, whatever its oddities: `raw` ends with the empty line, save where the head was cut.
        fn general(raw: Bytes, anomalies: &mut AnomalySet) -> Option<Self>
        where
            Self: Sized;
        /// Reads a head, in whichever way is fastest.
        fn parse(raw: Bytes, anomalies: &mut AnomalySet) -> Option<Self>
        where
            Self: Head,
        {
            match Self::outline(&raw, &LastHead::default()).filter(|outline| outline.end == raw.len()) {
                Some(outline) => Some(Self::plain(raw, outline)),
                None => Self::general(raw, anomalies),
            }
        }
        /// Whether another, final message follows for the same request (1xx save 101).
        fn is_interim(&self) -> bool;
        /// Whether the sender waits for an interim response before it sends the body (RFC 9110, section 10.1.1).
        fn awaits_go_ahead(&self) -> bool;
        /// How the body's end is found.
        fn framing(&self, asked: Asked, anomalies: &mut AnomalySet) -> Framing;
    }
}

impl sealed::Sealed for RequestHead {
    type Line = plain::RequestLine;

    #[inline]
    fn outline(bytes: &[u8], last: &LastHead<Self>) -> Option<Outline<Self::Line>> {
        plain::outline(bytes, plain::request_line, last)
    }

    #[inline]
    fn plain(raw: Bytes, outline: Outline<Self::Line>) -> Self {
        let plain::RequestLine { method, target, version } = outline.line;
        Self { version, headers: Headers::plain(raw, outline.fields), method, target }
    }

    fn plausible(prefix: &[u8]) -> Plausible {
        plausible_request(prefix)
    }

    fn certain(bytes: &[u8]) -> bool {
        certain_request(bytes)
    }

    fn start_line(line: &[u8]) -> StartLine {
        if line.ends_with(b" HTTP/1.1\r\n") {
            return StartLine::Begins;
        }
        match lenient::request_line(line, &mut AnomalySet::default()) {
            Some(parts) if parts.version == Version::Http09 => StartLine::Whole,
            Some(_) => StartLine::Begins,
            None => StartLine::None,
        }
    }

    fn general(raw: Bytes, anomalies: &mut AnomalySet) -> Option<Self> {
        let head = if let Some(head) = strict_request(&raw) {
            head
        } else {
            let lenient::RequestLine { method, target, version } = lenient::request_line(&raw, anomalies)?;
            let fields = lenient::fields(&raw, anomalies);
            Self { version, headers: Headers::new(raw, fields), method, target }
        };
        // White space is named where the line is split.
        if !head.target().iter().all(|b| b.is_ascii_graphic() || matches!(b, b' ' | b'\t')) {
            anomalies.insert(Anomaly::InvalidTarget);
        }
        Some(head)
    }

    fn is_interim(&self) -> bool {
        false
    }

    fn awaits_go_ahead(&self) -> bool {
        self.headers.all("expect").any(|value| value.eq_ignore_ascii_case(b"100-continue"))
    }

    fn framing(&self, _: Asked, anomalies: &mut AnomalySet) -> Framing {
        framing::of_request(self, anomalies)
    }
}

impl sealed::Sealed for ResponseHead {
    type Line = plain::StatusLine;

    #[inline]
    fn outline(bytes: &[u8], last: &LastHead<Self>) -> Option<Outline<Self::Line>> {
        plain::outline(bytes, plain::status_line, last)
    }

    #[inline]
    fn plain(raw: Bytes, outline: Outline<Self::Line>) -> Self {
        let plain::StatusLine { version, status, reason } = outline.line;
        Self { version, status, headers: Headers::plain(raw, outline.fields), reason }
    }

    fn plausible(prefix: &[u8]) -> Plausible {
        plausible_response(prefix)
    }

    fn certain(bytes: &[u8]) -> bool {
        certain_response(bytes)
    }

    fn start_line(line: &[u8]) -> StartLine {
        if line.starts_with(b"HTTP/1.1 ") || lenient::status_line(line, &mut AnomalySet::default()).is_some()
        {
            StartLine::Begins
        } else {
            StartLine::None
        }
    }

    fn general(raw: Bytes, anomalies: &mut AnomalySet) -> Option<Self> {
        if let Some(head) = strict_response(&raw) {
            return Some(head);
        }
        let lenient::StatusLine { version, status, reason } = lenient::status_line(&raw, anomalies)?;
        let fields = lenient::fields(&raw, anomalies);
        Some(Self { version, status, headers: Headers::new(raw, fields), reason })
    }

    fn is_interim(&self) -> bool {
        !self.is_final()
    }

    fn awaits_go_ahead(&self) -> bool {
        false
    }

    fn framing(&self, asked: Asked, anomalies: &mut AnomalySet) -> Framing {
        framing::of_response(self, asked, anomalies)
    }
}

/// The longest method that is taken for one: the registry's longest has 17 characters.
pub(super) const METHOD: usize = 32;

/// Whether `prefix` can begin a request line: white space, a token, white space, a printable byte.
pub fn plausible_request(prefix: &[u8]) -> Plausible {
    let token = prefix.iter().position(|&b| !lenient::is_token(b)).unwrap_or(prefix.len());
    match prefix.get(token) {
        _ if token > METHOD => Plausible::No,
        None => Plausible::Perhaps,
        Some(b' ' | b'\t') if token > 0 => Plausible::Yes,
        Some(_) => Plausible::No,
    }
}

/// Whether `prefix` can begin a status line: the protocol's name, in any case.
pub fn plausible_response(prefix: &[u8]) -> Plausible {
    let name = b"HTTP/";
    let same = prefix.iter().zip(name).all(|(a, b)| a.eq_ignore_ascii_case(b));
    match same {
        true if prefix.len() >= name.len() => Plausible::Yes,
        true => Plausible::Perhaps,
        false => Plausible::No,
    }
}

fn strict_request(raw: &Bytes) -> Option<RequestHead> {
    let mut fields = [const { std::mem::MaybeUninit::uninit() }; FIELDS];
    let mut request = httparse::Request::new(&mut []);
    let parsed = request.parse_with_uninit_headers(raw, &mut fields).ok()?;
    if !parsed.is_complete() {
        return None;
    }
    Some(RequestHead {
        version: version(request.version?),
        method: span(raw, request.method?.as_bytes())?,
        target: span(raw, request.path?.as_bytes())?,
        headers: headers(raw, request.headers)?,
    })
}

fn strict_response(raw: &Bytes) -> Option<ResponseHead> {
    let mut fields = [const { std::mem::MaybeUninit::uninit() }; FIELDS];
    let mut response = httparse::Response::new(&mut []);
    let parsed = httparse::ParserConfig::default()
        .parse_response_with_uninit_headers(&mut response, raw, &mut fields)
        .ok()?;
    // httparse hands no reason that is not ASCII; the lenient reader keeps it.
    let reason = response.reason.filter(|reason| parsed.is_complete() && !reason.is_empty());
    let reason = reason.map_or(Some(0..0), |reason| span(raw, reason.as_bytes()))?;
    if reason.is_empty() && !has_no_reason(raw) {
        return None;
    }
    Some(ResponseHead {
        version: version(response.version?),
        status: response.code?,
        reason,
        headers: headers(raw, response.headers)?,
    })
}

/// Whether the status line ends with the status code.
fn has_no_reason(raw: &[u8]) -> bool {
    let line = raw.split(|&b| b == b'\n').next().unwrap_or_default();
    line.trim_ascii_end().len() <= "HTTP/1.1 200".len()
}

fn version(minor: u8) -> Version {
    if minor == 0 { Version::Http10 } else { Version::Http11 }
}

fn headers(raw: &Bytes, fields: &[Header<'_>]) -> Option<Headers> {
    let mut spans = Vec::with_capacity(fields.len());
    for field in fields {
        spans.push((span(raw, field.name.as_bytes())?, span(raw, field.value)?));
    }
    Some(Headers::new(raw.clone(), spans))
}

/// Where `part`, a slice of `raw`, lies in it.
fn span(raw: &[u8], part: &[u8]) -> Option<Span> {
    if part.is_empty() {
        return Some(0..0);
    }
    let start = (part.as_ptr() as usize).checked_sub(raw.as_ptr() as usize)?;
    let end = start.checked_add(part.len()).filter(|&end| end <= raw.len())?;
    Some(u32::try_from(start).ok()?..u32::try_from(end).ok()?)
}

/// Names the anomaly of a head in which a line ended with LF alone.
pub(super) fn note_bare_lf(saw: bool, anomalies: &mut AnomalySet) {
    if saw {
        anomalies.insert(Anomaly::BareLf);
    }
}

/// Whether `bytes` begin with a complete start line that leaves no doubt: for use where they need not
/// begin a message at all.
pub fn begins_surely<H: Head>(bytes: &[u8]) -> bool {
    H::certain(bytes.get(..SURE_LINE).unwrap_or(bytes))
}

/// How far the end of such a start line is looked for.
const SURE_LINE: usize = 16 * 1024;

/// A status line that the strict grammar allows (RFC 9112, section 4).
fn certain_response(bytes: &[u8]) -> bool {
    let digits = |at: std::ops::Range<usize>| {
        let part = bytes.get(at.clone()).unwrap_or_default();
        part.len() == at.len() && part.iter().all(u8::is_ascii_digit)
    };
    bytes.starts_with(b"HTTP/1.")
        && digits(7..8)
        && bytes.get(8) == Some(&b' ')
        && digits(9..12)
        && matches!(bytes.get(12), Some(b' ' | b'\r' | b'\n'))
}

/// The methods of the registry (RFC 9110, section 16.1.1), those first that are used most.
const METHODS: [&[u8]; 39] = [
    b"GET",
    b"POST",
    b"PUT",
    b"HEAD",
    b"DELETE",
    b"OPTIONS",
    b"PATCH",
    b"CONNECT",
    b"TRACE",
    b"PROPFIND",
    b"PROPPATCH",
    b"MKCOL",
    b"COPY",
    b"MOVE",
    b"LOCK",
    b"UNLOCK",
    b"REPORT",
    b"SEARCH",
    b"QUERY",
    b"ACL",
    b"BASELINE-CONTROL",
    b"BIND",
    b"CHECKIN",
    b"CHECKOUT",
    b"LABEL",
    b"LINK",
    b"MERGE",
    b"MKACTIVITY",
    b"MKCALENDAR",
    b"MKREDIRECTREF",
    b"MKWORKSPACE",
    b"ORDERPATCH",
    b"REBIND",
    b"UNBIND",
    b"UNCHECKOUT",
    b"UNLINK",
    b"UPDATE",
    b"UPDATEREDIRECTREF",
    b"VERSION-CONTROL",
];

/// Whether `bytes` begin with a registered method and a space.
pub fn begins_with_method(bytes: &[u8]) -> bool {
    METHODS.iter().any(|method| bytes.strip_prefix(*method).is_some_and(|rest| rest.first() == Some(&b' ')))
}

/// A request line of a registered method that ends with a version of HTTP/1. The end of a longer
/// method is no other method, so that a line whose first bytes are lost is not taken for a whole one.
fn certain_request(bytes: &[u8]) -> bool {
    if !begins_with_method(bytes) {
        return false;
    }
    let Some(lf) = memchr::memchr(b'\n', bytes) else { return false };
    let line = bytes.get(..lf).unwrap_or_default().trim_ascii_end();
    let version = line.len().checked_sub(" HTTP/1.1".len()).and_then(|at| line.get(at..));
    matches!(version, Some(b" HTTP/1.1" | b" HTTP/1.0"))
}
