//! Heads from the recording, parsed again.

use bytes::Bytes;

use crate::http::{Headers, RequestHead, ResponseHead, Version};

fn version(v: Option<u8>) -> Version {
    if v == Some(0) { Version::Http10 } else { Version::Http11 }
}

fn span(raw: &Bytes, part: &[u8]) -> std::ops::Range<u32> {
    if part.is_empty() {
        return 0..0;
    }
    let at = part.as_ptr() as usize - raw.as_ptr() as usize;
    at as u32..(at + part.len()) as u32
}

fn fields(raw: &Bytes, headers: &[httparse::Header<'_>]) -> Headers {
    Headers::new(
        raw.clone(),
        headers.iter().map(|h| (span(raw, h.name.as_bytes()), span(raw, h.value))).collect(),
    )
}

/// The head of a request.
pub(super) fn request(raw: &Bytes) -> Option<RequestHead> {
    let mut headers = [httparse::EMPTY_HEADER; 128];
    let mut r = httparse::Request::new(&mut headers);
    r.parse(raw).ok()?;
    Some(RequestHead {
        raw: raw.clone(),
        version: version(r.version),
        headers: fields(raw, r.headers),
        method: span(raw, r.method?.as_bytes()),
        target: span(raw, r.path?.as_bytes()),
    })
}

/// The head of a response.
pub(super) fn response(raw: &Bytes) -> Option<ResponseHead> {
    let mut headers = [httparse::EMPTY_HEADER; 128];
    let mut r = httparse::Response::new(&mut headers);
    r.parse(raw).ok()?;
    Some(ResponseHead {
        raw: raw.clone(),
        version: version(r.version),
        status: r.code?,
        headers: fields(raw, r.headers),
        reason: span(raw, r.reason.unwrap_or("").as_bytes()),
    })
}

/// The head of a request, or an empty one: what was redacted must not come back.
pub(super) fn request_or_placeholder(raw: &Bytes) -> RequestHead {
    request(raw).unwrap_or_else(|| RequestHead {
        raw: Bytes::new(),
        version: Version::Http11,
        headers: Headers::default(),
        method: 0..0,
        target: 0..0,
    })
}

/// The head of a response, or an empty one: what was redacted must not come back.
pub(super) fn response_or_placeholder(raw: &Bytes) -> ResponseHead {
    response(raw).unwrap_or_else(|| ResponseHead {
        raw: Bytes::new(),
        version: Version::Http11,
        status: 0,
        headers: Headers::default(),
        reason: 0..0,
    })
}
