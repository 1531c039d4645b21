//! Heads that the strict parser refuses: nothing is dropped, and each oddity is named.

use std::ops::Range;

use crate::anomaly::{Anomaly, AnomalySet};
use crate::http::Version;
use crate::http::head::Span;

/// The parts of a request line.
pub(super) struct RequestLine {
    pub(super) method: Span,
    pub(super) target: Span,
    pub(super) version: Version,
}

/// The parts of a status line.
pub(super) struct StatusLine {
    pub(super) version: Version,
    pub(super) status: u16,
    pub(super) reason: Span,
}

/// Reads a request line as widely as its meaning stays clear: a method, a target, and a version
/// unless the request is one of HTTP/0.9 (which only knows GET).
pub(super) fn request_line(raw: &[u8], anomalies: &mut AnomalySet) -> Option<RequestLine> {
    let line = first_line(raw);
    let start = skip(raw, 0..line, is_blank);
    let method = start..until(raw, start..line, is_blank);
    let rest = skip(raw, method.end..line, is_blank)..trim_end(raw, 0..line);
    if method.is_empty() || rest.is_empty() || !raw.get(method.clone())?.iter().all(|&b| is_token(b)) {
        return None;
    }
    let last = rest.start + raw.get(rest.clone())?.iter().rposition(|&b| is_blank(b)).map_or(0, |at| at + 1);
    let (target, version) = match version(raw.get(last..rest.end)?) {
        Some((version, clean)) if last > rest.start => {
            if !clean {
                anomalies.insert(Anomaly::InvalidStartLine);
            }
            (rest.start..trim_end(raw, rest.start..last), version)
        }
        _ if last == rest.start && raw.get(method.clone())?.eq_ignore_ascii_case(b"GET") => {
            anomalies.insert(Anomaly::Http09);
            (rest, Version::Http09)
        }
        _ => return None,
    };
    // Exactly one space between the parts, and white space nowhere else.
    let parts = [method.start..method.end, target.start..target.end, last..line];
    let parts = parts.map(|part| raw.get(part).unwrap_or_default());
    let spaced = if version == Version::Http09 { &parts[..2] } else { &parts[..] };
    if raw.get(..line)? != spaced.join(&b' ') || parts.concat().iter().any(|&b| is_blank(b)) {
        anomalies.insert(Anomaly::OddWhitespace);
    }
    Some(RequestLine { method: span(method)?, target: span(target)?, version })
}

/// Reads a status line: a version, a code of up to three digits, and whatever follows as the reason.
pub(super) fn status_line(raw: &[u8], anomalies: &mut AnomalySet) -> Option<StatusLine> {
    let line = first_line(raw);
    let end = until(raw, 0..line, is_blank);
    let (version, clean) = version(raw.get(..end)?)?;
    let start = skip(raw, end..line, is_blank);
    let code = start..until(raw, start..line, |b| !b.is_ascii_digit());
    let status = std::str::from_utf8(raw.get(code.clone())?).ok()?.parse().ok()?;
    // A control character after the code, such as a bare CR, makes the line invalid (section 2.2).
    if raw.get(code.end..line)?.first().is_some_and(|b| b.is_ascii_control() && !is_blank(*b)) {
        return None;
    }
    let reason = skip(raw, code.end..line, is_blank)..line;
    let controls = raw.get(reason.clone())?.iter().any(|b| b.is_ascii_control() && *b != b'\t');
    if !clean || code.len() != 3 || controls {
        anomalies.insert(Anomaly::InvalidStartLine);
    }
    if start != end + 1 {
        anomalies.insert(Anomaly::OddWhitespace);
    }
    Some(StatusLine { version, status, reason: span(reason)? })
}

/// Splits the lines after the start line into fields, as spans of name and value. A folded line
/// belongs to the value above it, its line break included.
pub(super) fn fields(raw: &[u8], anomalies: &mut AnomalySet) -> Vec<(Span, Span)> {
    let mut fields: Vec<(Span, Span)> = Vec::new();
    let mut at = line_end(raw, 0).1;
    while at < raw.len() {
        let (end, next) = line_end(raw, at);
        let folded = raw.get(at).is_some_and(|&b| is_blank(b));
        match fields.last_mut() {
            _ if at == end => {}
            Some((_, value)) if folded => {
                anomalies.insert(Anomaly::ObsFold);
                note_controls(raw, at..end, anomalies);
                extend(raw, value, at..end);
            }
            _ => match field(raw, at..end, anomalies) {
                Some(field) => fields.push(field),
                None => _ = anomalies.insert(Anomaly::InvalidHeaderLine),
            },
        }
        at = next;
    }
    fields
}

/// One field line: what stands before the first colon is its name.
fn field(raw: &[u8], line: Range<usize>, anomalies: &mut AnomalySet) -> Option<(Span, Span)> {
    let colon = line.start + memchr::memchr(b':', raw.get(line.clone())?)?;
    let name = skip(raw, line.start..colon, is_blank)..trim_end(raw, line.start..colon);
    if name.is_empty() {
        return None;
    }
    if name.start > line.start || name.end < colon {
        anomalies.insert(Anomaly::OddWhitespace);
    }
    if !raw.get(name.clone())?.iter().all(|&b| is_token(b)) {
        anomalies.insert(Anomaly::InvalidHeaderLine);
    }
    note_controls(raw, colon + 1..line.end, anomalies);
    let start = skip(raw, colon + 1..line.end, is_blank);
    Some((span(name)?, span(start..trim_end(raw, start..line.end))?))
}

/// Names what no value may hold (RFC 9110, section 5.5): a CR without LF, and other control characters.
fn note_controls(raw: &[u8], value: Range<usize>, anomalies: &mut AnomalySet) {
    for byte in raw.get(value).unwrap_or_default().iter().filter(|b| b.is_ascii_control()) {
        match byte {
            b'\t' => {}
            b'\r' => _ = anomalies.insert(Anomaly::BareCr),
            _ => _ = anomalies.insert(Anomaly::ControlInValue),
        }
    }
}

/// Stretches a value over the folded line that follows it.
fn extend(raw: &[u8], value: &mut Span, line: Range<usize>) {
    let start = skip(raw, line.clone(), is_blank);
    let Some(folded) = span(start..trim_end(raw, start..line.end)) else { return };
    if folded.is_empty() {
        return;
    }
    if value.start == value.end {
        value.start = folded.start;
    }
    value.end = folded.end;
}

/// The version that `token` names, and whether it is one of those that HTTP/1 messages carry.
fn version(token: &[u8]) -> Option<(Version, bool)> {
    let (name, digits) = token.split_at_checked(5)?;
    if !name.eq_ignore_ascii_case(b"HTTP/") {
        return None;
    }
    Some(match (name, digits) {
        (b"HTTP/", b"1.1") => (Version::Http11, true),
        (b"HTTP/", b"1.0") => (Version::Http10, true),
        (_, b"1.1") => (Version::Http11, false),
        (_, b"1.0") => (Version::Http10, false),
        _ => {
            let mut numbers = digits.splitn(2, |&b| b == b'.').map(number);
            let major = numbers.next().unwrap_or(0);
            (Version::Other(major, numbers.next().unwrap_or(0)), false)
        }
    })
}

/// A number that fits, else 0.
fn number(digits: &[u8]) -> u8 {
    std::str::from_utf8(digits).ok().and_then(|text| text.parse().ok()).unwrap_or(0)
}

/// Where the first line ends, its line end not counted.
fn first_line(raw: &[u8]) -> usize {
    line_end(raw, 0).0
}

/// Where the line that starts at `from` ends, without and with its line end.
fn line_end(raw: &[u8], from: usize) -> (usize, usize) {
    let rest = raw.get(from..).unwrap_or_default();
    let Some(lf) = memchr::memchr(b'\n', rest) else { return (raw.len(), raw.len()) };
    let content = rest.get(..lf).unwrap_or_default();
    let length = if content.last() == Some(&b'\r') { lf - 1 } else { lf };
    (from + length, from + lf + 1)
}

/// Space and tab. RFC 9112, section 3, lets parsers take VT, FF and a bare CR for white space too; no
/// widespread one does.
fn is_blank(byte: u8) -> bool {
    matches!(byte, b' ' | b'\t')
}

/// The characters of a token (RFC 9110, section 5.6.2).
pub(super) const fn is_token(byte: u8) -> bool {
    const TOKEN: [bool; 256] = kind(b"!#$%&'*+-.^_`|~");
    TOKEN[byte as usize]
}

/// For each byte, whether it is a letter, a digit, or one of these.
pub(super) const fn kind(others: &[u8]) -> [bool; 256] {
    let mut kind = [false; 256];
    let mut byte = 0_u8;
    while byte.is_ascii() {
        kind[byte as usize] = byte.is_ascii_alphanumeric();
        byte += 1;
    }
    let mut i = 0;
    while i < others.len() {
        kind[others[i] as usize] = true;
        i += 1;
    }
    kind
}

fn skip(raw: &[u8], range: Range<usize>, pass: impl Fn(u8) -> bool) -> usize {
    until(raw, range, |b| !pass(b))
}

fn until(raw: &[u8], range: Range<usize>, stop: impl Fn(u8) -> bool) -> usize {
    let part = raw.get(range.clone()).unwrap_or_default();
    part.iter().position(|&b| stop(b)).map_or(range.end, |at| range.start + at)
}

fn trim_end(raw: &[u8], range: Range<usize>) -> usize {
    let part = raw.get(range.clone()).unwrap_or_default();
    part.iter().rposition(|&b| !is_blank(b)).map_or(range.start, |at| range.start + at + 1)
}

fn span(range: Range<usize>) -> Option<Span> {
    Some(u32::try_from(range.start).ok()?..u32::try_from(range.end).ok()?)
}
