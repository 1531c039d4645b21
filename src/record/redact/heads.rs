//! Heads are searched and edited part by part: most parts of one are those of the head that was met before it in the same
//! place of a row, and what was found in them holds again. What a part holds does not depend on others, save for private
//! keys, and for what the user's patterns may match; nor does what becomes of it, while no secret of the row holds a
//! line's end.

use std::ops::Range;

use bytes::Bytes;

use super::alike::Run;
use super::known::{LineMemory, Spans};
use super::met::MetHead;
use super::secrets::Secrets;
use super::signs::{Sign, Signs};
use super::{Form, Met, Part, Redactor, Searched, moved};

/// Bytes of the line that ends a head.
const EMPTY_LINE: usize = 2;

/// Where in a row a head stands.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Place {
    Request,
    V1,
    Sent,
    V2,
}

impl Place {
    pub(super) const COUNT: usize = 4;
}

/// That a head was compared with the one of its place.
#[derive(Clone, Copy)]
pub(super) struct Walk {
    place: Place,
    /// Tells it from every other.
    number: u64,
}

/// What is known of heads.
#[derive(Default)]
pub(super) struct HeadMemory {
    /// By their places.
    met: [MetHead; Place::COUNT],
    lines: LineMemory,
    /// How many heads were ever compared with those.
    walks: u64,
}

#[cfg(test)]
impl HeadMemory {
    /// Of how many heads what becomes of them is remembered.
    pub(super) fn edited_for_some(&self) -> usize {
        self.met.iter().filter(|head| head.edited.secrets != 0).count()
    }
}

impl Redactor {
    /// A head of this place, searched.
    pub(super) fn searched_head<'r>(
        &self,
        heads: &mut HeadMemory,
        text: &'r [u8],
        place: Place,
    ) -> Searched<&'r [u8]> {
        let by_parts = if self.also.has_patterns() { None } else { self.by_parts(heads, text, place) };
        match by_parts {
            Some((signs, spans, met)) => Searched { text, part: Part::Head, signs, spans, met },
            None => self.searched(text, Part::Head),
        }
    }

    /// What the parts of a head hold; `None` where they may be those of a private key.
    fn by_parts(&self, heads: &mut HeadMemory, text: &[u8], place: Place) -> Option<(Signs, Spans, Met)> {
        let HeadMemory { met, lines, walks } = heads;
        let head = met.get_mut(place as usize)?;
        let last = &head.last;
        if !text.is_empty() && last.text == text {
            let walk = Walk { place, number: head.walk };
            return Some((last.signs, last.spans.clone(), Met::Head(walk)));
        }
        let (mut signs, mut spans) = (Signs::NONE, Spans::new());
        let (mut all, mut new) = (0, 0);
        head.model.runs(text, &mut head.runs);
        for run in &head.runs {
            let (count, more) = match run {
                Run::Known(places, at) => {
                    (places.len(), head.found.take_over(&head.model, places.clone(), *at, &mut spans))
                }
                Run::New(part) => {
                    new += 1;
                    let line = text.get(part.clone()).unwrap_or_default();
                    // The start line is compared with the last one, of the request, which is nearer.
                    let is_like = all > 0 && head.found.has_but_for_ids(&head.model, all, line);
                    (1, if is_like { Signs::NONE } else { self.part(lines, line, part, &mut spans) })
                }
            };
            all += count;
            signs = signs.and(more);
        }
        *walks += 1;
        head.walk = *walks;
        if signs.has(Sign::Pem) {
            head.last.text.clear();
            return None;
        }
        if head.model.meet(text, all, new) {
            head.learn(&spans);
            return Some((signs, spans, Met::No));
        }
        head.last.learn(text, signs, &spans);
        Some((signs, spans, Met::Head(Walk { place, number: head.walk })))
    }

    /// Adds what one part of a head holds, and says which signs it bears.
    fn part(&self, lines: &mut LineMemory, line: &[u8], part: &Range<usize>, spans: &mut Spans) -> Signs {
        if line.len() <= EMPTY_LINE {
            return Signs::NONE;
        }
        let kind = kind(part);
        let look = || {
            let signs = Signs::of_head(line);
            (signs, self.spans(line, kind, signs))
        };
        lines.of(kind, line, look, |(span, form): &(Range<usize>, Form)| {
            spans.push((moved(span, 0, part.start), *form));
        })
    }

    /// A head with its secrets and the echoes of others replaced; `None` when it holds none.
    pub(super) fn edited_head(
        &self,
        heads: &mut HeadMemory,
        head: &Searched<&[u8]>,
        secrets: &mut Secrets,
    ) -> Option<Bytes> {
        let Met::Head(walk) = &head.met else { return self.edited(head, secrets) };
        if secrets.hold_line_ends() {
            return self.edited(head, secrets);
        }
        let met = heads.met.get_mut(walk.place as usize).filter(|met| met.walk == walk.number);
        let Some(met) = met else { return self.edited(head, secrets) };
        if met.last.unchanged_by == Some(secrets.id()) {
            return None;
        }
        let is_edited = met.is_edited(self, secrets);
        let edited =
            if is_edited { met.put_together(self, head, secrets) } else { self.edited(head, secrets) };
        met.last.unchanged_by = edited.is_none().then(|| secrets.id());
        edited
    }

    /// Whether a part that is new has anything that is replaced.
    pub(super) fn changes(&self, run: &Run, head: &Searched<&[u8]>, secrets: &mut Secrets) -> bool {
        let Run::New(part) = run else { return false };
        let (line, spans) = (head.text.get(part.clone()).unwrap_or_default(), within(&head.spans, part));
        !self.edits(line, kind(part), spans, part.start, secrets).is_empty()
    }

    /// Appends a part of a head with the secrets and the echoes in it replaced; says whether there are any.
    pub(super) fn edit_part(
        &self,
        out: &mut Vec<u8>,
        head: &[u8],
        part: Range<usize>,
        spans: &Spans,
        secrets: &mut Secrets,
    ) -> bool {
        let line = head.get(part.clone()).unwrap_or_default();
        let spans = within(spans, &part);
        let changed = self.edits(line, kind(&part), spans, part.start, secrets).put(out, line);
        if !changed {
            out.extend_from_slice(line);
        }
        changed
    }
}

/// The secrets that begin in a part.
fn within<'s>(spans: &'s Spans, part: &Range<usize>) -> &'s [(Range<usize>, Form)] {
    let from = spans.partition_point(|(span, _)| span.start < part.start);
    let behind = spans.partition_point(|(span, _)| span.start < part.end);
    spans.get(from..behind).unwrap_or_default()
}

/// The first part of a head is its start line.
const fn kind(part: &Range<usize>) -> Part {
    if part.start == 0 { Part::Head } else { Part::Fields }
}
