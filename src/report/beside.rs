//! Lines of v1 beside those of v2.

use std::cell::RefCell;
use std::mem::take;

use serde::Serialize;
use similar::{Algorithm, ChangeTag, TextDiff};

/// A line of v1 beside one of v2; `None` where a side has none. Equal lines are written once.
#[derive(Debug, PartialEq, Eq, Serialize)]
#[serde(untagged)]
pub(super) enum Pair {
    Same(String),
    Differ([Option<String>; 2]),
}

/// What is done with the lines of both sides, one behind the other.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Step {
    /// This line of v1, by its place, is one of v2 as well.
    Both(usize),
    V1(usize),
    V2(usize),
}

/// Which lines are equal: for each, those of v2 behind those of v1, the place of the first that is the same.
#[derive(Default, PartialEq, Eq)]
struct Pattern {
    first: Vec<usize>,
    v1: usize,
}

/// Lines of both sides of which it is looked which are equal.
const MOST_LINES: usize = 48;

/// Patterns that are remembered: those of heads, of bodies and of bodies byte by byte.
const MOST_LAST: usize = 4;

thread_local! {
    /// The steps for the lines that were laid side by side last. Those of heads mostly are equal in the same places.
    static LAST: RefCell<Vec<(Pattern, Vec<Step>)>> = const { RefCell::new(Vec::new()) };
}

/// Equal lines once, runs of removed and added ones next to each other.
pub(super) fn beside(mut v1: Vec<String>, mut v2: Vec<String>) -> Vec<Pair> {
    if v1 == v2 {
        return v1.into_iter().map(Pair::Same).collect();
    }
    // Of single lines nothing has to be looked for.
    if let ([one], [other]) = (v1.as_mut_slice(), v2.as_mut_slice()) {
        return vec![Pair::Differ([Some(take(one)), Some(take(other))])];
    }
    if v1.len() + v2.len() > MOST_LINES {
        let steps = steps(&v1, &v2);
        return pairs(&mut v1, &mut v2, &steps);
    }
    let pattern = Pattern::of(&v1, &v2);
    LAST.with_borrow_mut(|last| {
        if let Some(at) = last.iter().position(|(known, _)| *known == pattern) {
            last[..=at].rotate_right(1);
        } else {
            last.truncate(MOST_LAST - 1);
            last.insert(0, (pattern, steps(&v1, &v2)));
        }
        let known = last.first().map(|(_, steps)| steps.as_slice()).unwrap_or_default();
        pairs(&mut v1, &mut v2, known)
    })
}

impl Pattern {
    fn of(v1: &[String], v2: &[String]) -> Self {
        let lines = || v1.iter().chain(v2);
        let first = |line: &String| lines().position(|other| other == line).unwrap_or(0);
        Self { first: lines().map(first).collect(), v1: v1.len() }
    }
}

/// Which steps there are follows from nothing but which lines are equal.
fn steps(v1: &[String], v2: &[String]) -> Vec<Step> {
    let (left, right): (Vec<&str>, Vec<&str>) =
        (v1.iter().map(String::as_str).collect(), v2.iter().map(String::as_str).collect());
    // No deadline: what is shown must not depend on the machine. `pretty` bounds the lines.
    let diff = TextDiff::configure().algorithm(Algorithm::Patience).diff_slices(&left, &right);
    let step = |change: similar::Change<&str>| match change.tag() {
        ChangeTag::Delete => change.old_index().map(Step::V1),
        ChangeTag::Insert => change.new_index().map(Step::V2),
        ChangeTag::Equal => change.old_index().map(Step::Both),
    };
    diff.iter_all_changes().filter_map(step).collect()
}

/// Takes the lines as the steps say.
fn pairs(v1: &mut [String], v2: &mut [String], steps: &[Step]) -> Vec<Pair> {
    let mut pairs = Vec::with_capacity(steps.len());
    let (mut removed, mut added) = (Vec::new(), Vec::new());
    for step in steps {
        match *step {
            Step::V1(n) => removed.extend(v1.get_mut(n).map(take)),
            Step::V2(n) => added.extend(v2.get_mut(n).map(take)),
            Step::Both(n) => {
                drain(&mut removed, &mut added, &mut pairs);
                pairs.extend(v1.get_mut(n).map(take).map(Pair::Same));
            }
        }
    }
    drain(&mut removed, &mut added, &mut pairs);
    pairs
}

fn drain(removed: &mut Vec<String>, added: &mut Vec<String>, pairs: &mut Vec<Pair>) {
    let (mut left, mut right) = (removed.drain(..), added.drain(..));
    loop {
        match [left.next(), right.next()] {
            [None, None] => break,
            pair => pairs.push(Pair::Differ(pair)),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn lines(text: &str) -> Vec<String> {
        text.chars().map(String::from).collect()
    }

    #[test]
    fn changed_lines_stand_side_by_side() {
        let differ =
            |a: Option<&str>, b: Option<&str>| Pair::Differ([a.map(str::to_owned), b.map(str::to_owned)]);
        assert_eq!(
            beside(lines("axb"), lines("ayzb")),
            [
                Pair::Same("a".into()),
                differ(Some("x"), Some("y")),
                differ(None, Some("z")),
                Pair::Same("b".into())
            ]
        );
        assert_eq!(beside(Vec::new(), lines("a")), [differ(None, Some("a"))]);
        assert_eq!(beside(lines("a"), lines("b")), [differ(Some("a"), Some("b"))]);
        assert_eq!(beside(lines("ab"), lines("ab")), [Pair::Same("a".into()), Pair::Same("b".into())]);
    }

    proptest::proptest! {
        /// Lines that are equal in the same places are laid side by side alike, whatever they are.
        #[test]
        fn what_was_laid_side_by_side_before_changes_nothing(v1 in "[a-d]{0,12}", v2 in "[a-d]{0,12}") {
            let renamed = |text: &str| lines(text).into_iter().map(|line| format!("{line}{line}")).collect::<Vec<_>>();
            for (v1, v2) in [(lines(&v1), lines(&v2)), (renamed(&v1), renamed(&v2))] {
                let steps = steps(&v1, &v2);
                let expected = pairs(&mut v1.clone(), &mut v2.clone(), &steps);
                proptest::prop_assert_eq!(beside(v1, v2), expected);
            }
        }
    }
}
