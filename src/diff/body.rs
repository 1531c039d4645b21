//! Bodies: codings undone, then by what they are.
//!
//! Bodies that are equal as bytes are never looked into. Others are decoded and compared as JSON
//! where both are JSON, as text where both are text, and else by length, digest and the first byte
//! that differs. What cannot be compared is said, with [`Class::NotCompared`], and does not count.

use std::borrow::Cow;
use std::fmt::Write as _;

use sha2::{Digest, Sha256};

use super::excerpt::first_difference;
use super::findings::Findings;
use super::json::{self, Form, NotJson};
use super::media::{Media, is_text, looks_like_json};
use super::{Class, Kind, Layer, text};
use crate::http::coding::{self, CodingError, Limits};
use crate::http::{Headers, Response};

/// Compares two bodies that answer the same request with the same status.
pub(super) fn compare(v1: &Response, v2: &Response, findings: &mut Findings<'_>) {
    if !(v1.completeness.is_complete() && v2.completeness.is_complete()) {
        let state = |r: &Response| if r.completeness.is_complete() { "complete" } else { "incomplete" };
        return whole(Kind::Undecodable, Class::NotCompared, (Some(state(v1)), Some(state(v2))), findings);
    }
    let (Some(a), Some(b)) = (entity(v1), entity(v2)) else { return not_kept(v1, v2, findings) };
    let (headers1, headers2) = (&v1.head.headers, &v2.head.headers);
    if a == b && codings(headers1).eq(codings(headers2)) {
        return;
    }
    match (decode(headers1, a), decode(headers2, b)) {
        (Ok(x), Ok(y)) if x == y => {}
        (Ok(x), Ok(y)) => {
            let v1 = Content { bytes: x, media: Media::of(headers1) };
            let v2 = Content { bytes: y, media: Media::of(headers2) };
            contents(&v1, &v2, findings);
        }
        (x, y) => undecodable(x.as_ref().err(), y.as_ref().err(), findings),
    }
}

/// A body as the user of the service sees it.
struct Content<'b> {
    bytes: Cow<'b, [u8]>,
    media: Media,
}

fn entity(response: &Response) -> Option<&[u8]> {
    match &response.body.entity {
        Some(bytes) => Some(bytes),
        None if response.body.len == 0 => Some(&[]),
        None => None,
    }
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

fn contents(v1: &Content<'_>, v2: &Content<'_>, findings: &mut Findings<'_>) {
    match (v1.bytes.is_empty(), v2.bytes.is_empty()) {
        (false, true) => return whole(Kind::Missing, Class::Unverified, (Some(&*v1.bytes), None), findings),
        (true, false) => return whole(Kind::Added, Class::Unverified, (None, Some(&*v2.bytes)), findings),
        _ => {}
    }
    if as_json(v1, v2, findings).is_some() {
        return;
    }
    let readable = |c: &Content<'_>| c.bytes.len() <= text::MAX_BYTES && is_text(c.media, &c.bytes);
    if readable(v1) && readable(v2) {
        text::compare(&v1.bytes, &v2.bytes, findings);
    } else {
        opaque(&v1.bytes, &v2.bytes, findings);
    }
}

/// Compares JSON with JSON, and says where one side alone is JSON; `None` where neither is.
fn as_json(v1: &Content<'_>, v2: &Content<'_>, findings: &mut Findings<'_>) -> Option<()> {
    let may_be =
        |c: &Content<'_>| c.media.is_json() || (c.media != Media::Opaque && looks_like_json(&c.bytes));
    if !(may_be(v1) || may_be(v2)) {
        return None;
    }
    let lines = v1.media == Media::JsonLines || v2.media == Media::JsonLines;
    let forms = if lines { [Form::Lines, Form::Single] } else { [Form::Single, Form::Lines] };
    let mut parsed = forms.map(|form| (json::parse(&v1.bytes, form), json::parse(&v2.bytes, form)));
    // The form in which both can be read, else the declared one.
    parsed.sort_by_key(|(a, b)| !(a.is_ok() && b.is_ok()));
    let both = (Some(&*v1.bytes), Some(&*v2.bytes));
    match &parsed[0] {
        (Ok(a), Ok(b)) => json::compare(a, b, findings),
        (Ok(_), Err(NotJson::Grammar(_))) if v2.media.is_json() => {
            whole(Kind::Undecodable, Class::Unverified, both, findings);
        }
        (Ok(_), Err(NotJson::Grammar(_))) | (Err(NotJson::Grammar(_)), Ok(_)) => {
            whole(Kind::TypeChanged, Class::Unverified, both, findings);
        }
        _ => return None,
    }
    Some(())
}

/// Bytes that nothing is known about.
fn opaque(v1: &[u8], v2: &[u8], findings: &mut Findings<'_>) {
    let at = first_difference(v1, v2);
    let describe = |bytes: &[u8]| {
        format!("{}, first difference at byte {at}", summary(bytes.len() as u64, &Sha256::digest(bytes)))
    };
    whole(Kind::ValueChanged, Class::Unverified, (Some(describe(v1)), Some(describe(v2))), findings);
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

fn summary(len: u64, digest: &[u8]) -> String {
    let mut out = format!("{len} bytes, sha256 ");
    for byte in digest {
        _ = write!(out, "{byte:02x}");
    }
    out
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

fn whole<V: AsRef<[u8]>>(
    kind: Kind,
    class: Class,
    (v1, v2): (Option<V>, Option<V>),
    findings: &mut Findings<'_>,
) {
    let values = (v1.as_ref().map(AsRef::as_ref), v2.as_ref().map(AsRef::as_ref));
    findings.push((Layer::Body, kind, class), String::new, values);
}
