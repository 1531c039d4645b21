//! The answers to a request that was asked for once more, to measure how far its sides agree with themselves.

use std::fmt;

use serde::{Deserialize, Serialize};

use crate::diff::Side;
use crate::replay::Outcome;

/// What became of the request of a row that was sent again. It is no row of its own.
#[derive(Clone, Debug)]
pub struct Again {
    /// To whom.
    pub side: Side,
    /// How often that side was asked before, for this row.
    pub round: u32,
    /// What became of it.
    pub outcome: Outcome,
}

/// Why a side was not asked again, or not as often as it should have been.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum NotAsked {
    /// The method may change state, and the user did not say that it may be sent twice.
    UnsafeMethod,
    /// The method may change state: v1, which serves others, is never asked with it.
    UnsafeBaseline,
    /// So many requests waited to be asked again that this one found no room.
    QueueFull,
    /// The run was told to stop.
    Interrupted,
    /// The run was killed before it had all answers.
    Killed,
}

impl NotAsked {
    /// All of them.
    pub const ALL: [Self; 5] =
        [Self::UnsafeMethod, Self::UnsafeBaseline, Self::QueueFull, Self::Interrupted, Self::Killed];

    /// The name in reports and recordings.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::UnsafeMethod => "unsafe-method",
            Self::UnsafeBaseline => "unsafe-baseline",
            Self::QueueFull => "queue-full",
            Self::Interrupted => "interrupted",
            Self::Killed => "killed",
        }
    }

    /// The same in words, as what follows a count of requests.
    #[must_use]
    pub const fn words(self) -> &'static str {
        match self {
            Self::UnsafeMethod => "with a method that may change state (--verify=all sends them twice)",
            Self::UnsafeBaseline => "of v1, with a method that may change state",
            Self::QueueFull => "when too many waited",
            Self::Interrupted => "not yet asked again when the run was stopped",
            Self::Killed => "not yet asked again when the run was killed",
        }
    }

    /// The reason of this name.
    #[must_use]
    pub fn from_name(name: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|reason| reason.name() == name)
    }
}

impl fmt::Display for NotAsked {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.words())
    }
}
