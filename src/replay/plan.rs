//! What is sent: exactly the captured bytes with the edits, or the reason why nothing is.

use std::collections::BTreeMap;
use std::net::SocketAddr;
use std::sync::Arc;

use bytes::Bytes;

use super::edits::{HeadEdits, RuleEdits};
use super::outcome::SkipReason;
use crate::exchange::Exchange;
use crate::http::{Asked, Elsewhere, Framing, NoRoom, Request, RequestHead, StoredBody, Version};
use crate::route::host::is_shadow_request;
use crate::route::{Decision, Destination, FieldEdits, RequestEdits, Role};
use crate::time::Timestamp;

/// Exactly the bytes that will be sent, and what the sender must know about them.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ShadowRequest {
    /// The head: as captured, with the edits.
    pub head: Bytes,
    /// What follows it: the captured bytes, chunk headers and trailers included.
    pub body: ShadowBody,
    /// What its method and version mean for the answer and the connection.
    pub manner: Manner,
    /// When the capture saw its first byte.
    pub captured: Timestamp,
}

/// The bytes that follow a head.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum ShadowBody {
    /// They are in memory.
    Kept(Bytes),
    /// They are too many for that.
    Stored {
        /// Where they are.
        body: StoredBody,
        /// How many of them are the entity's.
        entity: u64,
        /// Whether the others are those of the chunked coding.
        chunked: bool,
    },
}

impl ShadowBody {
    /// How many they are.
    #[must_use]
    pub fn len(&self) -> u64 {
        match self {
            Self::Kept(bytes) => bytes.len() as u64,
            Self::Stored { body, .. } => body.len(),
        }
    }

    /// Whether they are none.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// Those that are in memory.
    #[must_use]
    pub fn kept(&self) -> &[u8] {
        match self {
            Self::Kept(bytes) => bytes,
            Self::Stored { .. } => &[],
        }
    }
}

/// What a request's head means for how it is sent and how its answer is read.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Manner {
    /// What decides where the answer's body ends.
    pub asked: Asked,
    /// The body waits for `100 Continue` (RFC 9110, section 10.1.1).
    pub expects_continue: bool,
    /// The client meant to use the connection again (RFC 9112, section 9.3).
    pub persistent: bool,
}

/// What becomes of one captured exchange.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Plan {
    /// Nothing is sent anywhere.
    Skip(SkipReason),
    /// For each destination the request, or why none is sent there.
    Send(Vec<(Destination, Result<ShadowRequest, SkipReason>)>),
}

/// Turns exchanges and decisions into requests.
#[derive(Clone, Debug)]
pub struct Planner {
    shadow: HeadEdits,
    canary: HeadEdits,
    /// Edits for one destination alone, which come after all others.
    own: BTreeMap<Arc<str>, FieldEdits>,
    targets: Vec<SocketAddr>,
}

/// The default edits, and no target to be known.
impl Default for Planner {
    fn default() -> Self {
        Self::new(HeadEdits::default(), Vec::new())
    }
}

impl Planner {
    /// A planner that makes these edits (a canary keeps its Host), and that knows captured traffic to
    /// one of `targets` as the replay's own.
    #[must_use]
    pub fn new(edits: HeadEdits, targets: Vec<SocketAddr>) -> Self {
        Self { canary: edits.for_canary(), shadow: edits, own: BTreeMap::new(), targets }
    }

    /// The same with edits for some destinations alone, by the names that the rules have for them.
    #[must_use]
    pub fn with_own(self, own: BTreeMap<Arc<str>, FieldEdits>) -> Self {
        Self { own, ..self }
    }

    /// What is sent for an exchange, given what the rules decided about it.
    #[must_use]
    pub fn plan(&self, exchange: &Exchange, decision: &Decision) -> Plan {
        if let Some(reason) = self.obstacle(exchange).or_else(|| nothing_to_send(exchange, decision)) {
            return Plan::Skip(reason);
        }
        let request = |to: &Destination| (to.clone(), self.request(exchange, decision, to));
        Plan::Send(decision.destinations.iter().map(request).collect())
    }

    /// The request for one of the destinations of an exchange that can be sent.
    pub(crate) fn request(
        &self,
        exchange: &Exchange,
        decision: &Decision,
        to: &Destination,
    ) -> Result<ShadowRequest, SkipReason> {
        if to.place.is_none() {
            return Err(SkipReason::NoEndpoint);
        }
        let edits = match to.role {
            Role::Shadow => &self.shadow,
            Role::Canary => &self.canary,
        };
        let own =
            self.own.get(&to.name).map(|own| HeadEdits { fields: edits.fields.then(own), ..edits.clone() });
        Ok(request(exchange, own.as_ref().unwrap_or(edits), RuleEdits::of(decision)))
    }

    /// The request for v1 as it is now: with the user's edits and credentials, and the captured Host, without
    /// what rules and Envoy's manners change for v2.
    #[must_use]
    pub fn as_captured(&self, exchange: &Exchange) -> ShadowRequest {
        let edits = HeadEdits { as_envoy: false, ..self.shadow.for_canary() };
        request(exchange, &edits, RuleEdits::new(&RequestEdits::default()))
    }

    /// Why an exchange cannot or should not be sent again, whatever the rules say.
    #[must_use]
    pub fn obstacle(&self, exchange: &Exchange) -> Option<SkipReason> {
        let request = &exchange.request;
        let obstacles = [
            (self.is_shadow(&request.head), SkipReason::AlreadyShadow),
            (self.is_target(exchange.connection.server), SkipReason::ToTarget),
            (request.head.method() == b"CONNECT", SkipReason::Connect),
            (request.head.version == Version::Http09, SkipReason::Http09),
            (was_upgraded(exchange), SkipReason::Upgrade),
            (!request.completeness.is_complete(), SkipReason::IncompleteRequest),
        ];
        obstacles.into_iter().find_map(|(holds, reason)| holds.then_some(reason))
    }

    fn is_shadow(&self, head: &RequestHead) -> bool {
        self.shadow.host.known_suffixes().any(|suffix| is_shadow_request(head, suffix))
    }

    fn is_target(&self, server: SocketAddr) -> bool {
        let canonical = |at: SocketAddr| (at.ip().to_canonical(), at.port());
        self.targets.iter().any(|target| canonical(*target) == canonical(server))
    }
}

/// Why nothing is sent for an exchange, given what the rules decided about it, where nothing else keeps it from being sent.
pub(crate) fn nothing_to_send(exchange: &Exchange, decision: &Decision) -> Option<SkipReason> {
    decision.why_nothing.map(SkipReason::from).or_else(|| without_body(exchange))
}

fn request(exchange: &Exchange, edits: &HeadEdits, rule: RuleEdits<'_>) -> ShadowRequest {
    let body = body(exchange).unwrap_or_else(|| ShadowBody::Kept(Bytes::new()));
    ShadowRequest {
        manner: Manner::of(&exchange.request, edits, rule, !body.is_empty()),
        head: edits.apply(&exchange.request.head, exchange.connection.client.ip(), rule),
        body,
        captured: exchange.request.first_byte,
    }
}

impl Manner {
    fn of(request: &Request, edits: &HeadEdits, rule: RuleEdits<'_>, has_body: bool) -> Self {
        let expects = || {
            let expectation = edits.value_after(&request.head, "expect", rule);
            expectation.is_some_and(|value| value.eq_ignore_ascii_case(b"100-continue"))
        };
        let modern = request.head.version != Version::Http10;
        Self {
            asked: Asked::by(request.head.method()),
            // A server has to ignore the expectation of an HTTP/1.0 client.
            expects_continue: has_body && modern && expects(),
            persistent: request.keep_alive(),
        }
    }
}

/// Why the body of a request is not to be had. It may well be that nobody wanted to send it.
fn without_body(exchange: &Exchange) -> Option<SkipReason> {
    match &exchange.request.body.elsewhere {
        Elsewhere::NoRoom(NoRoom::Spent) => Some(SkipReason::QueueDisk),
        Elsewhere::NoRoom(NoRoom::Refused(_)) => Some(SkipReason::NoRoomForBody),
        Elsewhere::Nowhere | Elsewhere::Stored(_) => (!has_body(exchange)).then_some(SkipReason::BodyNotKept),
    }
}

/// v1 switched to another protocol. An Upgrade that v1 declined is a request like any other.
fn was_upgraded(exchange: &Exchange) -> bool {
    exchange.response.as_ref().is_some_and(|response| response.head.status == 101)
        || exchange.interim.contains(&101)
}

/// Whether the body's bytes are there, which may be none.
fn has_body(exchange: &Exchange) -> bool {
    let body = &exchange.request.body;
    let is_kept = body.wire().is_some() || matches!(body.elsewhere, Elsewhere::Stored(_));
    is_kept || matches!(body.framing, Framing::None | Framing::Length(0))
}

/// The body's bytes as captured, where they were kept.
fn body(exchange: &Exchange) -> Option<ShadowBody> {
    let body = &exchange.request.body;
    match (body.framing, &body.elsewhere) {
        (Framing::None | Framing::Length(0), _) => Some(ShadowBody::Kept(Bytes::new())),
        (framing, Elsewhere::Stored(stored)) => {
            let chunked = framing == Framing::Chunked;
            Some(ShadowBody::Stored { body: stored.clone(), entity: body.len, chunked })
        }
        _ => body.wire().cloned().map(ShadowBody::Kept),
    }
}

#[cfg(test)]
mod tests;
