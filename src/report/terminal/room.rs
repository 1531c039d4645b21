//! How much of each part of the summary is shown, so that all of it fits a screen.

/// Lines that the summary takes at most.
pub(super) const SCREEN: usize = 40;

/// What each part may take. Nothing vanishes with less room: what is not listed is counted, and in the report.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Room {
    /// Lines of reasons for the verdict.
    pub(super) reasons: usize,
    /// Notes that are shown.
    pub(super) notes: usize,
    /// Lines of causes why requests were not sent.
    pub(super) causes: usize,
    /// Destinations of rules that are listed.
    pub(super) shares: usize,
    /// Distinct differences that are listed, each with an example.
    pub(super) differences: usize,
    /// Whether the counts behind a difference's class stand below it.
    pub(super) evidence: bool,
    /// Lines about an earlier run, and about what is accepted.
    pub(super) standing: usize,
    /// Whether each class of differences that do not count has a line of its own.
    pub(super) classes: bool,
    /// Slower routes that are listed.
    pub(super) slower: usize,
    /// Whether the figures of time say what they mean.
    pub(super) explained: bool,
}

const FULL: Room = Room {
    reasons: 12,
    notes: 3,
    causes: 6,
    shares: 5,
    differences: 5,
    evidence: true,
    standing: 6,
    classes: true,
    slower: 3,
    explained: true,
};
const LESS: Room = Room { reasons: 6, notes: 2, causes: 2, shares: 3, standing: 2, slower: 2, ..FULL };
const FEW: Room = Room { reasons: 4, notes: 1, shares: 1, classes: false, standing: 1, slower: 1, ..LESS };
const SHORT: Room =
    Room { reasons: 3, notes: 0, causes: 1, shares: 0, differences: 4, slower: 0, evidence: false, ..FEW };
const LEAST: Room = Room { reasons: 2, differences: 3, explained: false, ..SHORT };

/// From all that anybody reads to the least that answers: can v2 ship, and if not, why.
pub(super) const ROOMS: [Room; 5] = [FULL, LESS, FEW, SHORT, LEAST];
