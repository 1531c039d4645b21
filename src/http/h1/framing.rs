//! How the end of a message's body is found (RFC 9112, section 6.3).

use crate::anomaly::{Anomaly, AnomalySet};
use crate::http::head::Length;
use crate::http::{Framing, Headers, RequestHead, ResponseHead, Version};

use super::Asked;
use super::lenient::kind;

/// The body framing of a request. What a server should refuse (section 6.3, items 3 to 5) is read as
/// the most widespread servers would, with the anomaly named.
pub(super) fn of_request(head: &RequestHead, anomalies: &mut AnomalySet) -> Framing {
    if head.version == Version::Http09 {
        return Framing::None;
    }
    note_host(head, anomalies);
    match announced(&head.headers, head.version, anomalies) {
        Announced::Chunked => Framing::Chunked,
        Announced::Length(length) => Framing::Length(length),
        // A request whose body cannot be delimited is refused by any server; a body until the
        // connection's end exists for responses only.
        Announced::OtherCoding | Announced::Nothing => Framing::None,
    }
}

/// The body framing of a response to a request of the kind `asked`.
pub(super) fn of_response(head: &ResponseHead, asked: Asked, anomalies: &mut AnomalySet) -> Framing {
    let announced = announced(&head.headers, head.version, anomalies);
    match (head.status, asked) {
        (101, _) | (200..=299, Asked::Connect) => return Framing::Tunnel,
        (100..=199 | 204 | 304, _) | (_, Asked::Head) => return Framing::None,
        _ => {}
    }
    match announced {
        Announced::Chunked => Framing::Chunked,
        Announced::Length(length) => Framing::Length(length),
        Announced::OtherCoding | Announced::Nothing => Framing::UntilClose,
    }
}

/// Names what a server has to refuse of Host (RFC 9112, section 3.2): none, several, or no host.
fn note_host(head: &RequestHead, anomalies: &mut AnomalySet) {
    let is_host = match head.headers.as_plain() {
        Some(plain) => plain.host.map(|host| host.valid),
        None => head.headers.host().map(is_host),
    };
    match is_host {
        None if head.version == Version::Http11 => _ = anomalies.insert(Anomaly::MissingHost),
        None | Some(true) => {}
        Some(false) => _ = anomalies.insert(Anomaly::InvalidHost),
    }
    if head.headers.as_plain().is_none() && head.headers.all("host").nth(1).is_some() {
        anomalies.insert(Anomaly::DuplicateHost);
    }
}

/// `uri-host [ ":" port ]` (RFC 9110, section 7.2; RFC 3986, section 3.2.2), an empty name included. Whether an address
/// in brackets is one, and what follows a percent sign, is not looked at.
pub(super) fn is_host(value: &[u8]) -> bool {
    // Most have neither a port nor brackets.
    if value.iter().all(|&b| is_name(b)) {
        return true;
    }
    let (name, port) = match value.iter().rposition(|&b| b == b':' || b == b']') {
        Some(at) if value.get(at) == Some(&b':') => value.split_at(at),
        _ => (value, &[][..]),
    };
    let literal = name.strip_prefix(b"[").and_then(|rest| rest.strip_suffix(b"]"));
    let named = match literal {
        Some(address) => !address.is_empty() && address.iter().all(|&b| b == b':' || is_name(b)),
        None => name.iter().all(|&b| is_name(b)),
    };
    named && port.iter().skip(1).all(u8::is_ascii_digit)
}

/// The characters of a registered name: unreserved, sub-delims, and the percent sign.
const fn is_name(byte: u8) -> bool {
    const NAME: [bool; 256] = kind(b"-._~!$&'()*+,;=%");
    NAME[byte as usize]
}

/// What the header fields say of the body's length.
enum Announced {
    Nothing,
    Length(u64),
    Chunked,
    /// A Transfer-Encoding that does not end with chunked.
    OtherCoding,
}

fn announced(headers: &Headers, version: Version, anomalies: &mut AnomalySet) -> Announced {
    match headers.as_plain().map(|plain| plain.length) {
        Some(Length::Nothing) => return Announced::Nothing,
        Some(Length::Of(length)) => return Announced::Length(length),
        Some(Length::Unclear) | None => {}
    }
    let mut length = None;
    let mut coding = None;
    for (name, value) in headers.iter() {
        // Both names have a length of their own: most fields are passed over without comparing.
        match name.len() {
            14 if name.eq_ignore_ascii_case(b"content-length") => {
                length = Some(content_length(value, length, anomalies));
            }
            17 if name.eq_ignore_ascii_case(b"transfer-encoding") => {
                coding = Some(transfer_coding(value, coding, anomalies));
            }
            _ => {}
        }
    }
    if coding == Some(Coding::Other) {
        anomalies.insert(Anomaly::UnknownTransferEncoding);
    }
    if coding.is_some() && version == Version::Http10 {
        anomalies.insert(Anomaly::CodingInHttp10);
    }
    if coding.is_some() && length.is_some() {
        anomalies.insert(Anomaly::LengthWithTransferEncoding);
    }
    match (coding, length) {
        (Some(Coding::Chunked), _) => Announced::Chunked,
        (Some(Coding::Other), _) => Announced::OtherCoding,
        (_, Some(Some(length))) => Announced::Length(length),
        (_, Some(None) | None) => Announced::Nothing,
    }
}

/// A Content-Length beside those `before` it: the first valid one counts.
#[allow(clippy::option_option, reason = "absent, invalid and a number are three things")]
fn content_length(value: &[u8], before: Option<Option<u64>>, anomalies: &mut AnomalySet) -> Option<u64> {
    let mut counted = before;
    for item in value.split(|&b| b == b',') {
        let number = decimal(item.trim_ascii());
        let anomaly = match (number, counted) {
            (Some(_), None) => None,
            (Some(new), Some(Some(old))) if new == old => Some(Anomaly::DuplicateContentLength),
            (None, _) | (Some(_), Some(_)) => Some(Anomaly::InvalidContentLength),
        };
        if let Some(anomaly) = anomaly {
            anomalies.insert(anomaly);
        }
        counted = Some(counted.flatten().or(number));
    }
    counted.flatten()
}

/// The value of a Content-Length that is a single number.
pub(super) fn decimal(text: &[u8]) -> Option<u64> {
    if text.is_empty() {
        return None;
    }
    text.iter().try_fold(0_u64, |number, digit| {
        let digit = digit.checked_sub(b'0').filter(|digit| *digit < 10)?;
        number.checked_mul(10)?.checked_add(u64::from(digit))
    })
}

#[derive(Clone, Copy, PartialEq, Eq)]
enum Coding {
    Chunked,
    Other,
}

/// A Transfer-Encoding beside those `before` it: the last coding of all decides.
fn transfer_coding(value: &[u8], before: Option<Coding>, anomalies: &mut AnomalySet) -> Coding {
    let mut last = before;
    for item in value.split(|&b| b == b',').map(<[u8]>::trim_ascii).filter(|item| !item.is_empty()) {
        if last == Some(Coding::Chunked) {
            anomalies.insert(Anomaly::UnknownTransferEncoding);
        }
        let name = item.split(|&b| b == b';').next().unwrap_or_default().trim_ascii_end();
        last = Some(if name.eq_ignore_ascii_case(b"chunked") { Coding::Chunked } else { Coding::Other });
        if !is_registered(name) {
            anomalies.insert(Anomaly::UnknownTransferEncoding);
        }
    }
    last.unwrap_or(Coding::Other)
}

/// The transfer codings of the registry (RFC 9112, section 7).
fn is_registered(name: &[u8]) -> bool {
    ["chunked", "gzip", "x-gzip", "deflate", "compress", "x-compress"]
        .iter()
        .any(|known| name.eq_ignore_ascii_case(known.as_bytes()))
}
