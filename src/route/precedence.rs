//! Which of several matches goes first where the rules do not say it by their order: Gateway API's
//! precedence (`HTTPRouteRule.matches`).

use std::cmp::Reverse;

use super::condition::{Condition, Match, PathKind};

/// What matches are sorted by. Patterns come last among the paths, as in Istio; the specification leaves
/// that open.
pub(super) type Rank = Reverse<(u8, usize, bool, usize, usize)>;

/// Exact paths before prefixes, long ones before short ones, then those with a method, then more header
/// fields, then more query parameters.
pub(super) fn rank(tried: &Match) -> Rank {
    let count = |is: fn(&Condition) -> bool| tried.conditions().iter().filter(|c| is(c)).count();
    let (kind, length) = match tried.path().map(|path| &path.kind) {
        Some(PathKind::Exact(text)) => (3, text.len()),
        // A slash at the end makes a prefix no longer.
        Some(PathKind::Elements(text) | PathKind::Prefix(text)) => (2, text.trim_end_matches('/').len()),
        Some(PathKind::Regex(pattern)) => (1, pattern.source().len()),
        None => (0, 0),
    };
    Reverse((
        kind,
        length,
        count(|c| matches!(c, Condition::Method(_))) > 0,
        count(|c| matches!(c, Condition::Header(..))),
        count(|c| matches!(c, Condition::Query(..))),
    ))
}
