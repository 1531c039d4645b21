//! How two answers differ.
//!
//! Two messages in, [`Difference`]s out: facts with a place and a class, never a judgement by size.
//! It does not know which side was captured.
//!
//! ```text
//! compare ─┬─ status
//!          ├─ headers   four tiers
//!          └─ body ──── codings ─▶ content, by what it is
//!                                   ├─ multipart   each part a content
//!                                   ├─ transcribe  events and forms, as JSON
//!                                   ├─ markup      HTML and XML as trees
//!                                   ├─ json        members by name, arrays aligned
//!                                   ├─ text        lines aligned
//!                                   └─ length, type, digest, first byte that differs
//! ```
//!
//! [`compare()`] asks of each difference whether the shadowing explains it (`echo`), [`compare_by_rules`]
//! whether the user's [`Rules`] allow it as well; [`judge`] sums up one exchange, and [`Fingerprint`] says which differences of many exchanges are the same one.

mod align;
mod body;
mod charset;
mod compare;
mod content;
mod echo;
mod excerpt;
mod findings;
mod fingerprint;
mod headers;
mod json;
mod known;
mod markup;
mod media;
mod multipart;
mod noise;
mod routes;
mod rules;
mod shape;
mod template;
mod text;
mod transcribe;

#[cfg(test)]
mod tests;

use std::fmt;

pub use compare::{compare, compare_by_rules, judge};
pub use echo::{Context, HeaderEdit};
pub use findings::reuse;
pub use fingerprint::{Fingerprint, FingerprintError, general_path};
pub use noise::{Evidence, Learned, Learner, Seen, Settings, Side};
pub use routes::{RouteLearner, RouteTemplate, RouteTemplates, Routes};
pub use rules::{Allowing, Applicable, RuleInfo, Ruled, Rules, RulesError, Subject};
#[cfg(feature = "cli")]
pub(crate) use template::push_template;
pub use template::template;

/// The part of a message that a difference lies in.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, serde::Serialize, serde::Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Layer {
    /// The status code.
    Status,
    /// The header fields.
    Header,
    /// The decoded body.
    Body,
}

impl Layer {
    /// The name in reports.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::Status => "status",
            Self::Header => "header",
            Self::Body => "body",
        }
    }
}

/// What counts against v2, and what explains a difference away.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, serde::Serialize, serde::Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Class {
    /// v2 repeats it, and v1, asked now, still answers as recorded.
    Confirmed,
    /// Seen once, nothing asked again.
    Unverified,
    /// v1 now answers like v2.
    Drift,
    /// One side disagrees with itself, or the field is volatile by nature.
    Volatile,
    /// Explained by the shadowing itself: the suffixed Host echoed back, headers that were added.
    Shadow,
    /// Explained by the user's rules.
    RuledOut,
    /// It could not be told whether there is a difference: counted neither as same nor as different.
    NotCompared,
}

impl Class {
    /// Whether a difference of this class counts against v2.
    #[must_use]
    pub const fn counts(self) -> bool {
        matches!(self, Self::Confirmed | Self::Unverified)
    }

    /// The name in reports.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::Confirmed => "confirmed",
            Self::Unverified => "unverified",
            Self::Drift => "drift",
            Self::Volatile => "volatile",
            Self::Shadow => "shadow",
            Self::RuledOut => "ruled_out",
            Self::NotCompared => "not_compared",
        }
    }
}

/// What kind of difference it is.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, serde::Serialize, serde::Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Kind {
    /// v1 has it, v2 does not.
    Missing,
    /// v2 has it, v1 does not.
    Added,
    /// Both have it, with another value of the same type.
    ValueChanged,
    /// Both have it, with values of different types.
    TypeChanged,
    /// One has it with the value null, the other does not have it.
    NullMissing,
    /// The same number, written differently.
    NumberFormat,
    /// The same number, as a string on one side.
    StringNumber,
    /// Arrays of which one has many elements more.
    ArrayLength,
    /// The same elements in another order.
    Reordered,
    /// An element of an array that v1 has and v2 does not.
    ElementRemoved,
    /// An element of an array that v2 has and v1 does not.
    ElementAdded,
    /// A name that the members of one object have more often on one side.
    DuplicateKey,
    /// A validator was sent, and one side answered 304 where the other answered 200.
    NotModified,
    /// A body that one side's declared coding or type does not describe, or that was not kept, so that
    /// it could not be compared; said, never guessed. It counts only where v1's could be read and v2's
    /// is not what v2 declares.
    Undecodable,
    /// Stands for the differences of one exchange beyond those that are listed.
    Unlisted,
}

impl Kind {
    /// The name in reports.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::Missing => "missing",
            Self::Added => "added",
            Self::ValueChanged => "value_changed",
            Self::TypeChanged => "type_changed",
            Self::NullMissing => "null_missing",
            Self::NumberFormat => "number_format",
            Self::StringNumber => "string_number",
            Self::ArrayLength => "array_length",
            Self::Reordered => "reordered",
            Self::ElementRemoved => "element_removed",
            Self::ElementAdded => "element_added",
            Self::DuplicateKey => "duplicate_key",
            Self::NotModified => "not_modified",
            Self::Undecodable => "undecodable",
            Self::Unlisted => "unlisted",
        }
    }

    /// The same in words for a person.
    #[must_use]
    pub const fn words(self) -> &'static str {
        match self {
            Self::Missing => "missing",
            Self::Added => "added",
            Self::ValueChanged => "another value",
            Self::TypeChanged => "another type",
            Self::NullMissing => "null against missing",
            Self::NumberFormat => "number written differently",
            Self::StringNumber => "number against string",
            Self::ArrayLength => "another length",
            Self::Reordered => "another order",
            Self::ElementRemoved => "element removed",
            Self::ElementAdded => "element added",
            Self::DuplicateKey => "duplicate key",
            Self::NotModified => "304 against 200",
            Self::Undecodable => "cannot be decoded",
            Self::Unlisted => "more, not listed",
        }
    }
}

/// One fact about how two answers differ.
#[derive(Debug, PartialEq, Eq, serde::Serialize, serde::Deserialize)]
pub struct Difference {
    /// Where: the part of the message.
    pub layer: Layer,
    /// Where within it: a header name in lower case; `set-cookie[name]` for a cookie; a JSONPath (RFC 9535,
    /// normalized path) in a JSON body, and in events and forms, which are lists of objects and an object;
    /// an `XPath` in HTML and XML, in HTML with an element's id, name or class where that is a word (`div#main`, `li.item[2]`);
    /// `line 3` in text; empty for the whole. Behind the place of content within
    /// other content and a space: `part[name] $['a']`, `/html/head/script[2] $['a']`.
    pub path: String,
    /// What kind.
    pub kind: Kind,
    /// v1's value as text, shortened to a bounded length; `None` where v1 has none.
    pub v1: Option<String>,
    /// v2's value as text, shortened to a bounded length; `None` where v2 has none.
    pub v2: Option<String>,
    /// Whether it counts, and if not, why.
    pub class: Class,
}

impl Clone for Difference {
    fn clone(&self) -> Self {
        let Self { layer, ref path, kind, ref v1, ref v2, class } = *self;
        Self { layer, path: path.clone(), kind, v1: v1.clone(), v2: v2.clone(), class }
    }

    /// Most rows differ where the row before did: the texts find the room of those.
    fn clone_from(&mut self, other: &Self) {
        let Self { layer, path, kind, v1, v2, class } = self;
        (*layer, *kind, *class) = (other.layer, other.kind, other.class);
        path.clone_from(&other.path);
        v1.clone_from(&other.v1);
        v2.clone_from(&other.v2);
    }
}

/// What is said of one replayed request in the end.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, serde::Serialize, serde::Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Verdict {
    /// No difference.
    Match,
    /// Differs only in what rules or measurements call noise.
    Noise,
    /// Differs in a way that counts.
    Different,
    /// v2 refused, timed out, reset, or answered garbage.
    Failed,
    /// The capture lacks v1's complete answer.
    NotComparable,
}

impl Verdict {
    /// All of them.
    pub const ALL: [Self; 5] = [Self::Match, Self::Noise, Self::Different, Self::Failed, Self::NotComparable];

    /// The name in reports.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::Match => "match",
            Self::Noise => "noise",
            Self::Different => "different",
            Self::Failed => "failed",
            Self::NotComparable => "not_comparable",
        }
    }
}

impl fmt::Display for Verdict {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.name())
    }
}
