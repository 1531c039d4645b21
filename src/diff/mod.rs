//! How two answers differ.
//!
//! Two messages in, [`Difference`]s out: facts with a place and a class, never a judgement by size.
//! It does not know which side was captured.

use std::fmt;

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
}

impl Class {
    /// Whether a difference of this class counts against v2.
    #[must_use]
    pub const fn counts(self) -> bool {
        matches!(self, Self::Confirmed | Self::Unverified)
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
    /// The same number, written differently.
    NumberFormat,
    /// Arrays of different lengths.
    ArrayLength,
    /// The same elements in another order.
    Reordered,
    /// A body that one side's declared coding or type does not describe, so that it could not be
    /// decoded; said, never guessed.
    Undecodable,
}

/// One fact about how two answers differ.
#[derive(Clone, Debug, PartialEq, Eq, serde::Serialize, serde::Deserialize)]
pub struct Difference {
    /// Where: the part of the message.
    pub layer: Layer,
    /// Where within it: a header name in lower case; a JSONPath (RFC 9535, normalized path) in a JSON
    /// body; `line 3` in text; empty for the whole.
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
