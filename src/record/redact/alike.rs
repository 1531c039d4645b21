//! Heads that are alike, as those of one client, or of one server, are: what was worked out for a part of one holds for
//! the same part of the next, which is found by comparing memory.

use std::ops::Range;

use super::parts::{goes_on, parts};
use crate::http::h1::agreement;

/// Longer heads are not remembered.
const LONGEST: usize = 8 << 10;

/// A head that later ones are compared with, by its parts: the start line, and each field with the lines that go on
/// with it.
#[derive(Default)]
pub(super) struct Model {
    text: Vec<u8>,
    /// Where each part ends.
    ends: Vec<usize>,
    /// How many heads in a row have had little in common with it.
    strangers: u32,
}

/// Parts of a head that stand together.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Run {
    /// Those of the model at these places, which begin here in the head.
    Known(Range<usize>, usize),
    /// One that the model does not have there.
    New(Range<usize>),
}

impl Model {
    /// The head as runs of parts, which are those that it has by itself.
    pub(super) fn runs(&self, head: &[u8], runs: &mut Vec<Run>) {
        runs.clear();
        let (mut at, mut place) = (0, 0);
        while let Some(rest) = head.get(at..).filter(|rest| !rest.is_empty()) {
            let (begin, behind) = (place, self.behind(rest, place));
            if behind > begin {
                runs.push(Run::Known(begin..behind, at));
                (at, place) = (at + self.span(begin..behind).len(), behind);
                continue;
            }
            if let Some(new) = self.last_new(head, at, place) {
                let known = new.end;
                runs.extend([Run::New(new), Run::Known(place + 1..self.ends.len(), known)]);
                return;
            }
            let Some(part) = parts(head, at).next() else { return };
            (at, place) = (part.end, place + 1);
            runs.push(Run::New(part));
        }
    }

    /// The part of a head that begins here, where what is behind it is what is behind this place: mostly one differs.
    fn last_new(&self, head: &[u8], at: usize, place: usize) -> Option<Range<usize>> {
        let known =
            self.ends.get(place).and_then(|end| self.text.get(*end..)).filter(|known| !known.is_empty())?;
        let end = head.len().checked_sub(known.len()).filter(|_| head.ends_with(known))?;
        let new = head.get(at..end)?;
        // A line that begins a part in the one head does so in the other, in which it has the same behind it.
        (memchr::memchr(b'\n', new)? + 1 == new.len()).then_some(at..end)
    }

    /// The place behind those, from this one on, with whose parts the rest of a head begins.
    fn behind(&self, rest: &[u8], place: usize) -> usize {
        let from = self.start(place);
        let known = self.text.get(from..).unwrap_or_default();
        // Mostly nothing differs behind what differs first.
        if rest == known {
            return self.ends.len();
        }
        let same = agreement(rest, known);
        // What ends the one head may go on in the other.
        let inner = self.ends.get(place..self.ends.len().saturating_sub(1)).unwrap_or_default();
        let behind = place + inner.iter().take_while(|end| **end - from <= same).count();
        let next = rest.get(self.start(behind) - from..).unwrap_or_default();
        if behind > place && (next.is_empty() || goes_on(next)) { behind - 1 } else { behind }
    }

    /// Where the parts at some places lie in the model.
    pub(super) fn span(&self, places: Range<usize>) -> Range<usize> {
        self.start(places.start)..self.start(places.end)
    }

    fn start(&self, place: usize) -> usize {
        place.checked_sub(1).map_or(0, |before| self.ends.get(before).copied().unwrap_or(self.text.len()))
    }

    /// Notes a head with so many parts, and so many that the model did not have; says whether it is the model from now
    /// on. One that has little in common with the model takes its place: where that happens again and again, more and
    /// more seldom, so that it costs little.
    pub(super) fn meet(&mut self, head: &[u8], all: usize, new: usize) -> bool {
        if new <= all / 2 {
            self.strangers = 0;
            return false;
        }
        self.strangers = self.strangers.saturating_add(1);
        if !self.strangers.is_power_of_two() || head.len() > LONGEST {
            return false;
        }
        self.text.clear();
        self.text.extend_from_slice(head);
        self.ends.clear();
        self.ends.extend(parts(head, 0).map(|part| part.end));
        true
    }

    /// The head itself.
    pub(super) fn text(&self) -> &[u8] {
        &self.text
    }

    /// Where its parts lie.
    pub(super) fn parts(&self) -> impl Iterator<Item = Range<usize>> {
        (0..self.ends.len()).map(|place| self.span(place..place + 1))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn model(head: &str) -> Model {
        let mut model = Model::default();
        assert!(model.meet(head.as_bytes(), 1, 1));
        model
    }

    /// The parts of a head, and whether the model has them.
    fn found(model: &Model, head: &str) -> Vec<(String, bool)> {
        let text = |bytes: &[u8]| String::from_utf8_lossy(bytes).into_owned();
        let of_run = |run| match run {
            Run::Known(places, at) => {
                let (span, from) = (model.span(places.clone()), model.span(places.clone()).start);
                assert_eq!(&head.as_bytes()[at..][..span.len()], &model.text()[span]);
                let place = |place| text(&head.as_bytes()[at..][..model.span(place..place + 1).end - from]);
                let long: Vec<_> = places.map(place).collect();
                let mut before = 0;
                long.iter()
                    .map(|all| (all[std::mem::replace(&mut before, all.len())..].to_owned(), true))
                    .collect()
            }
            Run::New(part) => vec![(text(&head.as_bytes()[part]), false)],
        };
        let mut runs = Vec::new();
        model.runs(head.as_bytes(), &mut runs);
        runs.into_iter().flat_map(|run| -> Vec<_> { of_run(run) }).collect()
    }

    #[test]
    fn a_head_is_known_by_the_parts_that_are_the_same() {
        let known = model("GET /a A\r\nHost: a\r\nB: c\r\n d\r\nE: f\r\n\r\n");
        for (head, new) in [
            ("GET /a A\r\nHost: a\r\nB: c\r\n d\r\nE: f\r\n\r\n", vec![]),
            ("GET /other A\r\nHost: a\r\nB: c\r\n d\r\nE: f\r\n\r\n", vec!["GET /other A\r\n"]),
            ("GET /a A\r\nHost: a-shadow\r\nB: c\r\n d\r\nE: f\r\n\r\n", vec!["Host: a-shadow\r\n"]),
            // The value of a field goes on otherwise, or where it did not.
            ("GET /a A\r\nHost: a\r\nB: c\r\n e\r\nE: f\r\n\r\n", vec!["B: c\r\n e\r\n"]),
            ("GET /a A\r\nHost: a\r\n g\r\nB: c\r\n d\r\nE: f\r\n\r\n", vec!["Host: a\r\n g\r\n"]),
            ("GET /a A\r\nHost: a\r\nB: c\r\n d\r\nE: f\r\n\r\nX: y", vec!["E: f\r\n\r\n", "X: y"]),
            ("GET /a A\r\nHost: a\r\nB: c\r\n d\r\n", vec!["B: c\r\n d\r\n"]),
        ] {
            let all = found(&known, head);
            let missing: Vec<_> =
                all.iter().filter(|(_, known)| !known).map(|(part, _)| part.as_str()).collect();
            assert_eq!(missing, new, "{head:?}");
        }
    }

    #[test]
    fn a_model_gives_way_to_what_has_little_in_common_with_it_more_and_more_seldom() {
        let mut known = model("GET /a A\r\nB: c\r\n\r\n");
        let taken: Vec<_> = (2..20).filter(|n| known.meet(format!("{n}\r\n").as_bytes(), 4, 3)).collect();
        assert_eq!(taken, [2, 4, 8, 16]);
        assert!(!known.meet(b"G\r\n", 4, 2) && known.meet(b"G\r\n", 4, 3), "known again");
        assert!(!known.meet(&[b'x'; LONGEST + 1], 4, 4), "too long");
    }

    proptest::proptest! {
        #[test]
        fn the_parts_are_those_of_the_head_by_itself(known in head(), other in head()) {
            let text = |range: Range<usize>| other[range].to_owned();
            let truth: Vec<_> = parts(other.as_bytes(), 0).map(text).collect();
            let found: Vec<_> = found(&model(&known), &other).into_iter().map(|(part, _)| part).collect();
            proptest::prop_assert_eq!(found, truth, "{:?} {:?}", known, other);
        }
    }

    /// Heads of few different lines.
    fn head() -> impl proptest::strategy::Strategy<Value = String> {
        use proptest::strategy::Strategy as _;
        let line = "(A|B|A: b|A: c|Host: a|Host: ab| d|\td|)\r?\n";
        proptest::collection::vec(line, 0..7).prop_map(|lines| lines.concat())
    }
}
