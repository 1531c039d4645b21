//! Bodies: what of them was kept, codings undone.
//!
//! Bodies that are equal as bytes are never looked into. The content of others is compared by what it is.
//! What cannot be compared is said, with [`Class::NotCompared`], and does not count.

use std::borrow::Cow;

use sha2::{Digest, Sha256};

use super::content::{self, Content, summary, whole};
use super::findings::Findings;
use super::json;
use super::media::MediaType;
use super::{Class, Kind};
use crate::http::coding::{self, CodingError, Limits};
use crate::http::{Headers, Response};

/// Compares two bodies that answer the same request with the same status; `alike` says that all that is compared of their
/// heads is known to be the same, the codings among it.
pub(super) fn compare(v1: &Response, v2: &Response, alike: bool, findings: &mut Findings<'_>) {
    if !(v1.completeness.is_complete() && v2.completeness.is_complete()) {
        let state = |r: &Response| if r.completeness.is_complete() { "complete" } else { "incomplete" };
        return whole(Kind::Undecodable, Class::NotCompared, (Some(state(v1)), Some(state(v2))), findings);
    }
    let (Some(a), Some(b)) = (entity(v1), entity(v2)) else { return not_kept(v1, v2, findings) };
    let (headers1, headers2) = (&v1.head.headers, &v2.head.headers);
    if a == b && (alike || are_coded_alike(headers1, headers2)) {
        return;
    }
    match (decode(headers1, a), decode(headers2, b)) {
        (Ok(x), Ok(y)) if x == y => {}
        (Ok(x), Ok(y)) => {
            let v1 = Content { bytes: x, media: MediaType::of(headers1) };
            let v2 = Content { bytes: y, media: MediaType::of(headers2) };
            content::compare(&v1, &v2, findings);
        }
        (x, y) => undecodable(x.as_ref().err(), y.as_ref().err(), findings),
    }
}

/// Looks at a body that is JSON, of at most so many bytes; `None` where it is none.
pub(super) fn with_json<R>(
    response: &Response,
    most: usize,
    look: impl FnOnce(&json::Document<'_>) -> R,
) -> Option<R> {
    let (headers, entity) = (&response.head.headers, entity(response)?);
    if entity.len() > most {
        return None;
    }
    let content = Content { bytes: decode(headers, entity).ok()?, media: MediaType::of(headers) };
    content::with_json(&content, most, look)
}

fn entity(response: &Response) -> Option<&[u8]> {
    match &response.body.entity {
        Some(bytes) => Some(bytes),
        None if response.body.len == 0 => Some(&[]),
        None => None,
    }
}

/// Whether the bodies behind two heads are coded alike.
pub(super) fn are_coded_alike(v1: &Headers, v2: &Headers) -> bool {
    codings(v1).eq(codings(v2))
}

fn codings(headers: &Headers) -> impl Iterator<Item = &[u8]> {
    headers.all("content-encoding")
}

/// The content of an entity. No bytes are no content in any coding, as in the answer to HEAD.
fn decode<'b>(headers: &Headers, entity: &'b [u8]) -> Result<Cow<'b, [u8]>, CodingError> {
    if entity.is_empty() {
        return Ok(Cow::Borrowed(entity));
    }
    let decoded = coding::decode(entity, codings(headers), Limits::default())?;
    Ok(decoded.map_or(Cow::Borrowed(entity), Cow::Owned))
}

/// Bodies of which at least one was too large to keep: by length and digest.
fn not_kept(v1: &Response, v2: &Response, findings: &mut Findings<'_>) {
    let (digest1, digest2) = (digest(v1), digest(v2));
    let same = v1.body.len == v2.body.len && digest1 == digest2;
    if same && digest1.is_some() {
        return;
    }
    // Two codings of one content differ in length and digest, and so do two runs of one coding.
    let plain = codings(&v1.head.headers).chain(codings(&v2.head.headers)).next().is_none();
    let differ = v1.body.len != v2.body.len || (digest1.is_some() && digest2.is_some());
    let (kind, class) = if plain && differ {
        (Kind::ValueChanged, Class::Unverified)
    } else {
        (Kind::Undecodable, Class::NotCompared)
    };
    let describe = |r: &Response, digest: Option<[u8; 32]>| match digest {
        Some(digest) => summary(r.body.len, &digest),
        None => format!("{} bytes, not kept", r.body.len),
    };
    whole(kind, class, (Some(describe(v1, digest1)), Some(describe(v2, digest2))), findings);
}

fn digest(response: &Response) -> Option<[u8; 32]> {
    response.body.sha256.or_else(|| entity(response).map(|bytes| Sha256::digest(bytes).into()))
}

/// A coding that cannot be undone. When v1's content is at hand and v2's bytes are not what v2 itself
/// says they are, no client can read them: that counts. Anything else leaves it open.
fn undecodable(v1: Option<&CodingError>, v2: Option<&CodingError>, findings: &mut Findings<'_>) {
    let class = match (v1, v2) {
        (None, Some(CodingError::Invalid { .. })) => Class::Unverified,
        _ => Class::NotCompared,
    };
    let describe =
        |error: Option<&CodingError>| error.map_or_else(|| "decoded".to_owned(), ToString::to_string);
    whole(Kind::Undecodable, class, (Some(describe(v1)), Some(describe(v2))), findings);
}
