//! What the names of reasons mean, where a person reads them. Files for programs keep the names.

use std::collections::BTreeMap;

use crate::record::Mode;
use crate::replay::{Failure, SkipReason};

/// Which kind of reasons is counted.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Reasons {
    /// Why requests were not sent.
    Skipped,
    /// Why no whole answer came.
    Failed,
    /// Why there was nothing to lay side by side.
    NotComparable,
}

impl Reasons {
    /// The words for a name; the name itself where this version does not know it.
    pub(super) fn words(self, name: &str) -> &str {
        let words = match self {
            Self::Skipped => SkipReason::from_name(name).map(SkipReason::words),
            Self::Failed => Failure::from_name(name).map(Failure::words),
            Self::NotComparable => not_comparable(name),
        };
        words.unwrap_or(name)
    }

    /// Counts as a list: `93 already shadow traffic, 2 tunnelled by CONNECT`.
    pub(super) fn list(self, counts: &BTreeMap<String, u64>) -> String {
        let all: Vec<_> = counts.iter().map(|(name, n)| format!("{n} {}", self.words(name))).collect();
        all.join(", ")
    }
}

/// What is said of the rows that count as replayed.
pub(super) const fn replayed(mode: Mode) -> &'static str {
    match mode {
        Mode::Compare => "paired",
        Mode::Replay | Mode::Live | Mode::Demo => "replayed",
    }
}

/// What is said of the rows that count as skipped.
pub(super) const fn not_sent(mode: Mode) -> &'static str {
    match mode {
        Mode::Compare => "not compared",
        Mode::Replay | Mode::Live | Mode::Demo => "not sent",
    }
}

/// The name of a row whose exchange was cut off by the user's stop.
pub(super) const INTERRUPTED: &str = Failure::Interrupted.name();
/// The name of a row whose request was on its way when the run was killed.
pub(super) const KILLED: &str = Failure::Killed.name();
/// The name of a row that the capture has no answer for.
pub(super) const NO_ANSWER: &str = "no-captured-answer";
/// The name of a row whose captured answer is not whole.
pub(super) const INCOMPLETE_ANSWER: &str = "incomplete-captured-answer";
/// The name of a row whose captured answer's body was not kept.
pub(super) const BODY_NOT_KEPT: &str = "body-not-kept";
/// The name of a row that was not judged.
pub(super) const NOT_JUDGED: &str = "not-judged";

fn not_comparable(name: &str) -> Option<&'static str> {
    Some(match name {
        INTERRUPTED => Failure::Interrupted.words(),
        KILLED => Failure::Killed.words(),
        NO_ANSWER => "without an answer of v1 in the capture",
        INCOMPLETE_ANSWER => "without v1's whole answer in the capture",
        BODY_NOT_KEPT => "with an answer of v1 above --max-body",
        NOT_JUDGED => "not judged",
        _ => return None,
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_reason_has_words_and_what_is_not_known_stays_as_it_is() {
        let plain = |words: &str| words.contains(' ');
        assert!(SkipReason::ALL.iter().all(|reason| plain(Reasons::Skipped.words(reason.name()))));
        assert!(Failure::ALL.iter().all(|failure| plain(Reasons::Failed.words(failure.name()))));
        for name in [INTERRUPTED, KILLED, NO_ANSWER, INCOMPLETE_ANSWER, BODY_NOT_KEPT, NOT_JUDGED] {
            assert!(plain(Reasons::NotComparable.words(name)), "{name}");
        }
        assert_eq!(Reasons::Skipped.words("of-a-later-version"), "of-a-later-version");
    }

    #[test]
    fn every_reason_is_in_the_schema() {
        let schema: serde_json::Value = serde_json::from_str(crate::report::SUMMARY_SCHEMA).unwrap();
        let known = &schema["$defs"]["skipped"]["properties"];
        assert!(known.is_object());
        let unknown: Vec<_> =
            SkipReason::ALL.iter().filter(|reason| known.get(reason.name()).is_none()).collect();
        assert!(unknown.is_empty(), "{unknown:?}");
    }

    #[test]
    fn counts_read_as_a_list() {
        let counts = BTreeMap::from([("already-shadow".to_owned(), 93), ("connect-method".to_owned(), 2)]);
        assert_eq!(Reasons::Skipped.list(&counts), "93 already shadow traffic, 2 tunnelled by CONNECT");
    }
}
