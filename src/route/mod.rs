//! Where a request goes: which destinations, in which role, and why.
//!
//! It does not know that a replay exists: a request's head and its stable identity in, a
//! [`Decision`] out.

use std::sync::Arc;

/// The part that a destination plays for a request.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, serde::Serialize, serde::Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Role {
    /// A copy, with the shadow's Host; the client never sees the answer.
    Shadow,
    /// The weighted choice of the rule fell on another subset than the captured one: the request
    /// itself, its Host unchanged.
    Canary,
}

/// One place that a request is sent to.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Destination {
    /// In which role.
    pub role: Role,
    /// The destination's name in the rules (a subset or host), or `v2` for `--to`.
    pub name: Arc<str>,
}

/// What the rules say about one request.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Decision {
    /// The rule that matched, as the report names it.
    pub rule: Arc<str>,
    /// Where the request goes, and why it goes nowhere else.
    pub destinations: Vec<Destination>,
    /// Why nothing is sent, when `destinations` is empty.
    pub why_nothing: Option<NotMirrored>,
}

/// Why the rules send a request nowhere.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum NotMirrored {
    /// The sampled percentage left it out.
    NotSampled,
}
