//! What the rules say about one request.

use std::fmt;
use std::sync::Arc;

use bytes::Bytes;

use super::edit::RequestEdits;
use super::sampling::{Draw, Share};

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

impl Role {
    /// All of them.
    pub const ALL: [Self; 2] = [Self::Shadow, Self::Canary];

    /// The name in recordings and reports.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::Shadow => "shadow",
            Self::Canary => "canary",
        }
    }
}

/// One place that a request is sent to.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Destination {
    /// In which role.
    pub role: Role,
    /// The destination's name in the rules (`host`, or `host/subset`), or `v2` for `--to`.
    pub name: Arc<str>,
    /// Which of the endpoints it is; `None` where the user named none for it, so that nothing can be sent.
    pub place: Option<usize>,
    /// Why it goes there.
    pub why: Why,
}

/// What the rules say about one request.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Decision {
    /// The rule that matched, as the report names it; where none did, the document, or nothing.
    pub rule: Arc<str>,
    /// Which of its matches was met, in words.
    pub matched: Arc<str>,
    /// What was counted, where a rule forwards the request.
    pub picked: Option<Picked>,
    /// Where the request goes.
    pub destinations: Vec<Destination>,
    /// Why it goes nowhere, when `destinations` is empty.
    pub why_nothing: Option<NotMirrored>,
    /// What is changed in the request, whatever its destination.
    pub edits: Arc<RequestEdits>,
    /// The target in place of the captured one, where the rule rewrites it.
    pub target: Option<Bytes>,
}

/// Which of a rule's destinations were picked, by their numbers.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Picked {
    /// The rule's number in the table.
    pub rule: usize,
    /// The weighted destination; `None` where the rule has none.
    pub primary: Option<usize>,
    /// The mirrors.
    pub mirrors: Vec<usize>,
}

/// Why a request goes to a destination.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Why {
    /// The rule has no other.
    Only,
    /// R modulo the sum of the weights lies in this interval.
    Weight {
        /// R.
        draw: Draw,
        /// The sum of the weights.
        total: u64,
        /// Where the destination's interval begins.
        from: u64,
        /// Where the next one begins.
        to: u64,
    },
    /// The mirror's share takes R.
    Mirror {
        /// R.
        draw: Draw,
        /// The share.
        share: Share,
    },
}

impl fmt::Display for Why {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Only => f.write_str("the rule's only destination"),
            Self::Weight { draw, total, from, to } => {
                let rest = draw.value() % total;
                write!(f, "weight {} of {total}: R mod {total} = {rest} is in {from}..{to}", to - from)
            }
            Self::Mirror { share, .. } if share.fraction() >= 1.0 => f.write_str("mirror of all requests"),
            Self::Mirror { draw, share } => {
                let (n, d) = (share.numerator, share.denominator);
                write!(f, "mirror {share}: R mod {d} = {} < {n}", draw.value() % u64::from(d.get()))
            }
        }
    }
}

/// Why the rules send a request nowhere.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum NotMirrored {
    /// The sampled percentages left it out.
    NotSampled,
    /// It is for the captured service alone: the rule has no mirror.
    NoMirror,
    /// No rules are for its host.
    NoHost,
    /// No rule for its host matches: a proxy answers 404.
    NoRoute,
    /// The proxy answers with a redirect.
    Redirect,
    /// The proxy answers by itself, with this status.
    Respond(u16),
    /// The proxy answers with an injected fault.
    Fault,
}

impl fmt::Display for NotMirrored {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::NotSampled => f.write_str("left out by the percentage"),
            Self::NoMirror => f.write_str("for the captured service alone"),
            Self::NoHost => f.write_str("no rules are for this host"),
            Self::NoRoute => f.write_str("no rule matches: 404"),
            Self::Redirect => f.write_str("answered by a redirect"),
            Self::Respond(status) => write!(f, "answered by the proxy with {status}"),
            Self::Fault => f.write_str("answered by an injected fault"),
        }
    }
}
