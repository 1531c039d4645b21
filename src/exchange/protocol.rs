//! What a connection speaks, told by its first bytes.

use super::proxy::{Preface, preface};
use crate::http::h1::{self, Plausible};

/// What a connection speaks.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
#[repr(u8)]
pub enum Protocol {
    /// HTTP/1.1, 1.0 or 0.9.
    Http1,
    /// HTTP/2 in clear text: with prior knowledge, or after an upgrade (RFC 9113, section 3).
    Http2,
    /// TLS, of any version.
    Tls,
    /// Something else.
    Unknown,
}

impl Protocol {
    /// All of them.
    pub const ALL: &'static [Self] = &[Self::Http1, Self::Http2, Self::Tls, Self::Unknown];

    /// The name in reports.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::Http1 => "http/1",
            Self::Http2 => "http/2",
            Self::Tls => "tls",
            Self::Unknown => "unknown",
        }
    }
}

/// What the first bytes of one direction say.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Opening {
    /// A request of HTTP/1.
    Request,
    /// A response of HTTP/1.
    Response,
    /// The client's side of HTTP/2, TLS, or something unknown.
    Other(Protocol),
    /// The client's side of a SOCKS handshake, of version 4 or 5.
    Socks(u8),
    /// A preface of the PROXY protocol, of so many bytes.
    Proxy(usize),
    /// More bytes will tell.
    Perhaps,
}

/// How many bytes are looked at for the end of a request line with a method that is not registered.
const LONGEST_LINE: usize = 16 * 1024;

/// The connection preface of HTTP/2 (RFC 9113, section 3.4).
const PREFACE: &[u8] = b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n";

/// Tells by the first bytes of a direction what it carries.
pub(super) fn opening(bytes: &[u8]) -> Opening {
    match preface(bytes) {
        Preface::Whole(length) => return Opening::Proxy(length),
        Preface::Perhaps => return Opening::Perhaps,
        Preface::None => {}
    }
    let blank = bytes.iter().take_while(|b| matches!(b, b'\r' | b'\n' | b' ' | b'\t')).count();
    let text = bytes.get(blank..).unwrap_or_default();
    if text.is_empty() {
        return if bytes.len() < LONGEST_LINE { Opening::Perhaps } else { Opening::Other(Protocol::Unknown) };
    }
    if PREFACE.starts_with(text) || text.starts_with(PREFACE) {
        return if text.len() < PREFACE.len() { Opening::Perhaps } else { Opening::Other(Protocol::Http2) };
    }
    let ways = [tls(bytes), http2_settings(bytes), socks(bytes), response(text), request(text)];
    let decided = ways.iter().flatten().find(|opening| **opening != Opening::Perhaps);
    let undecided = ways.iter().flatten().next();
    decided.or(undecided).copied().unwrap_or(Opening::Other(Protocol::Unknown))
}

/// A TLS record (RFC 8446, section 5.1) of a sane length, or the hello of SSL 2.
fn tls(bytes: &[u8]) -> Option<Opening> {
    match *bytes {
        [0x14..=0x18, 3, 0..=4, high, _, ..] if high <= 0x48 => Some(Opening::Other(Protocol::Tls)),
        [0x80..=0x8f, _, 1, 3 | 0, 0..=4, ..] => Some(Opening::Other(Protocol::Tls)),
        [0x14..=0x18 | 0x80..=0x8f]
        | [0x14..=0x18, 3]
        | [0x14..=0x18, 3, 0..=4]
        | [0x14..=0x18, 3, 0..=4, _]
        | [0x80..=0x8f, _]
        | [0x80..=0x8f, _, 1]
        | [0x80..=0x8f, _, 1, 3 | 0] => Some(Opening::Perhaps),
        _ => None,
    }
}

/// The SETTINGS frame with which a server of HTTP/2 begins (RFC 9113, section 3.4).
fn http2_settings(bytes: &[u8]) -> Option<Opening> {
    let frame = [0, 0, 0, 4, 0, 0, 0, 0, 0];
    let same = bytes.iter().zip(frame).enumerate().all(|(at, (a, b))| at == 2 || *a == b);
    match bytes.get(2) {
        Some(length) if !same || length % 6 != 0 => None,
        _ if !same => None,
        _ if bytes.len() < frame.len() => Some(Opening::Perhaps),
        _ => Some(Opening::Other(Protocol::Http2)),
    }
}

/// A client's SOCKS greeting: version 4 with a command, or 5 (RFC 1928, section 3) with its methods.
fn socks(bytes: &[u8]) -> Option<Opening> {
    let (complete, version) = match *bytes {
        [4 | 5] => (false, 0),
        [4, 1 | 2, ..] => (bytes.len() >= 9, 4),
        [5, methods @ 1..=16, ref rest @ ..] => (rest.len() >= usize::from(methods), 5),
        _ => return None,
    };
    Some(if complete { Opening::Socks(version) } else { Opening::Perhaps })
}

fn response(text: &[u8]) -> Option<Opening> {
    match h1::plausible_response(text) {
        Plausible::Yes => Some(Opening::Response),
        Plausible::Perhaps => Some(Opening::Perhaps),
        Plausible::No => None,
    }
}

/// A request line: by a known method, else by the version at the line's end.
fn request(text: &[u8]) -> Option<Opening> {
    match h1::plausible_request(text) {
        Plausible::No => return None,
        Plausible::Perhaps => return Some(Opening::Perhaps),
        Plausible::Yes => {}
    }
    if h1::begins_with_method(text) {
        return Some(Opening::Request);
    }
    let method = text.split(|b| matches!(b, b' ' | b'\t')).next().unwrap_or_default();
    let Some(line) = memchr::memchr(b'\n', text).and_then(|lf| text.get(..lf)) else {
        return (text.len() < LONGEST_LINE).then_some(Opening::Perhaps);
    };
    let last = line.trim_ascii_end().rsplit(|b| matches!(b, b' ' | b'\t')).next().unwrap_or_default();
    let versioned = last.get(..5).is_some_and(|name| name.eq_ignore_ascii_case(b"HTTP/"));
    (versioned || method.eq_ignore_ascii_case(b"GET")).then_some(Opening::Request)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn first_bytes_tell_the_protocol() {
        let tls = Opening::Other(Protocol::Tls);
        let http2 = Opening::Other(Protocol::Http2);
        let unknown = Opening::Other(Protocol::Unknown);
        for (bytes, opening) in [
            (&b"GET / HTTP/1.1\r\n"[..], Opening::Request),
            (b"\r\nPOST /x", Opening::Request),
            (b"BREW /pot HTTP/1.0\r\n", Opening::Request),
            (b"BREW /pot", Opening::Perhaps),
            (b"get /\n", Opening::Request),
            (b"HTTP/1.1 200 OK\r\n", Opening::Response),
            (b"HTT", Opening::Perhaps),
            (b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n\0\0\x12", http2),
            (b"PRI * HTTP/2.0\r\n", Opening::Perhaps),
            (b"\0\0\x12\x04\0\0\0\0\0", http2),
            (b"\x16\x03\x01\x02\x00\x01", tls),
            (b"\x16\x03", Opening::Perhaps),
            (b"\x80\x2e\x01\x03\x01", tls),
            (b"\x05\x01\x00", Opening::Socks(5)),
            (b"\x05\x02\x00", Opening::Perhaps),
            (b"\x04\x01\x00\x50\x7f\0\0\x01\0", Opening::Socks(4)),
            (b"EHLO mail.example\r\n", unknown),
            (b"INVITE sip:a@b SIP/2.0\r\n", unknown),
            (b"220 mail.example ESMTP\r\n", unknown),
            (b"SSH-2.0-OpenSSH\r\n", unknown),
            (b"\0\0\0\x20\xffSMB", unknown),
            (b"", Opening::Perhaps),
        ] {
            assert_eq!(super::opening(bytes), opening, "{}", bytes.escape_ascii());
        }
    }
}
