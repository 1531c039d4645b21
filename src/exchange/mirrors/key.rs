//! What two exchanges must have in common to be two sides of one mirrored request.

use xxhash_rust::xxh3::{Xxh3, xxh3_64};

use super::{Evidence, Side};
use crate::exchange::Exchange;
use crate::http::{Framing, RequestHead};

const REQUEST_ID: &str = "x-request-id";
const FORWARDED_FOR: &str = "x-forwarded-for";
const ENVOY_INTERNAL: &str = "x-envoy-internal";

/// A digest of what must be equal; never of more than that.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(super) struct Key(u128);

impl Key {
    /// The key of an exchange on that side, and which evidence it stands for; `None` where its request
    /// has no id and is not whole.
    pub(super) fn of(exchange: &Exchange, side: &Side) -> Option<(Self, Evidence)> {
        let head = &exchange.request.head;
        let mut parts = Parts(Xxh3::new());
        parts.add(head.method());
        parts.add(head.target());
        if let Some(id) = request_id(head) {
            parts.add(id);
            return Some((parts.key(), Evidence::RequestId));
        }
        parts.add(&host(head, side).to_ascii_lowercase());
        parts.add(&body(exchange)?);
        Some((parts.key(), Evidence::Likeness))
    }
}

/// Parts of a digest, each with its length, so that none can pass for two.
struct Parts(Xxh3);

impl Parts {
    fn add(&mut self, part: &[u8]) {
        self.0.update(&(part.len() as u64).to_le_bytes());
        self.0.update(part);
    }

    fn key(&self) -> Key {
        Key(self.0.digest128())
    }
}

/// The id that the first proxy gave the request, and that every other one hands on.
fn request_id(head: &RequestHead) -> Option<&[u8]> {
    head.headers.get(REQUEST_ID).filter(|id| !id.is_empty())
}

/// The host that the primary of the exchange carries, or that it carries itself.
fn host<'e>(head: &'e RequestHead, side: &'e Side) -> &'e [u8] {
    match side {
        Side::Shadow(of) => of,
        Side::Primary | Side::ToShadowServer | Side::Unmarked => head.host().unwrap_or_default(),
    }
}

/// Whether two exchanges are for one host, whose name has no case (RFC 9110, section 4.2.3).
pub(super) fn same_host(a: (&Exchange, &Side), b: (&Exchange, &Side)) -> bool {
    host(&a.0.request.head, a.1).eq_ignore_ascii_case(host(&b.0.request.head, b.1))
}

/// Length and digest of the request's body, after de-chunking; `None` where it is not whole.
fn body(exchange: &Exchange) -> Option<Vec<u8>> {
    let request = &exchange.request;
    if !request.completeness.is_complete() {
        return None;
    }
    let body = &request.body;
    let digest = match (&body.entity, body.sha256, body.framing) {
        (Some(entity), ..) => xxh3_64(entity).to_le_bytes().to_vec(),
        (None, _, Framing::None | Framing::Length(0)) => xxh3_64(b"").to_le_bytes().to_vec(),
        (None, Some(sha256), _) => sha256.to_vec(),
        (None, None, _) => return None,
    };
    Some([&body.len.to_le_bytes(), digest.as_slice()].concat())
}

/// Whether `shadow` can be a copy of `primary`, as far as their sides tell.
pub(super) fn fits(primary: (&Exchange, &Side), shadow: (&Exchange, &Side)) -> bool {
    match (primary.1, shadow.1) {
        (Side::Primary, Side::Shadow(_)) => same_host(primary, shadow),
        (Side::Primary, Side::ToShadowServer) => true,
        (Side::Unmarked, Side::Unmarked) => {
            primary.0.connection.client.ip() == shadow.0.connection.client.ip()
                && primary.0.connection.server != shadow.0.connection.server
                && has_marks_of_a_shadow(&shadow.0.request.head, &primary.0.request.head)
        }
        _ => false,
    }
}

/// Whether a proxy has added to `head` what it adds to a copy, and not to `other`.
fn has_marks_of_a_shadow(head: &RequestHead, other: &RequestHead) -> bool {
    let internal = |head: &RequestHead| head.headers.get(ENVOY_INTERNAL) == Some(b"true");
    let hops = |head: &RequestHead| {
        let lists = head.headers.all(FORWARDED_FOR);
        lists.flat_map(|list| list.split(|&b| b == b',')).filter(|hop| !hop.trim_ascii().is_empty()).count()
    };
    match (internal(head), internal(other)) {
        (true, false) => true,
        (false, true) => false,
        _ => hops(head) == hops(other) + 1,
    }
}

/// Whether two primaries were answered alike, so that it does not matter which of them a shadow's answer
/// is compared with.
pub(super) fn answered_alike(a: &Exchange, b: &Exchange) -> bool {
    match (&a.response, &b.response) {
        (Some(a), Some(b)) => {
            a.head.status == b.head.status
                && a.body.len == b.body.len
                && a.body.entity.is_some()
                && a.body.entity == b.body.entity
        }
        (None, None) => true,
        _ => false,
    }
}
