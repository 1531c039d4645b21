//! Heads are searched and edited part by part: most parts of one are those of the head that was met before it in the same
//! place of a row, and what was found in them holds again. What a part holds does not depend on others, save for private
//! keys, and for what the user's patterns may match; nor does what becomes of it, while no secret of the row holds a
//! line's end.

use std::ops::Range;

use bytes::Bytes;

use super::alike::{Model, Run};
use super::ids::differ_in_ids;
use super::known::{LineMemory, Spans};
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

/// The head that others of its place are compared with.
#[derive(Default)]
struct MetHead {
    model: Model,
    found: Found,
    edited: EditedHead,
    /// The last one that was compared with it: the number of that, and its runs.
    walk: u64,
    runs: Vec<Run>,
    last: LastHead,
}

/// The head that was compared last: the next one may be the same. Nothing where that is not remembered.
#[derive(Default)]
struct LastHead {
    text: Vec<u8>,
    signs: Signs,
    spans: Spans,
    /// The secrets, not zero, that change nothing in it.
    unchanged_by: Option<u64>,
}

impl LastHead {
    /// Longer heads are not remembered.
    const LONGEST: usize = 8 << 10;

    fn learn(&mut self, text: &[u8], signs: Signs, spans: &Spans) {
        self.text.clear();
        if text.len() <= Self::LONGEST {
            self.text.extend_from_slice(text);
        }
        self.signs = signs;
        self.spans.clone_from(spans);
        self.unchanged_by = None;
    }
}

/// What a model holds.
#[derive(Default)]
struct Found {
    /// Where its secrets lie, in their order.
    spans: Spans,
    /// For each part its signs, and how many secrets there are before its end.
    parts: Vec<(Signs, usize)>,
    /// The signs of all.
    signs: Signs,
}

/// What becomes of a model, part by part.
#[derive(Default)]
struct EditedHead {
    /// The secrets of the row that was met last.
    last: u64,
    /// The secrets that were replaced.
    secrets: u64,
    text: Vec<u8>,
    /// For each part where it ends, and how many were changed before that.
    ends: Vec<(usize, usize)>,
    /// Room for a head.
    room: Vec<u8>,
}

impl Found {
    /// Adds the secrets of some parts of the model, where those begin at `at`, and says which signs they bear.
    fn take_over(&self, model: &Model, places: Range<usize>, at: usize, spans: &mut Spans) -> Signs {
        let within = self.spans.get(self.count(places.start)..self.count(places.end)).unwrap_or_default();
        if !within.is_empty() {
            let from = model.span(places.clone()).start;
            spans.extend(within.iter().map(|(span, form)| (moved(span, from, at), *form)));
        }
        if self.signs == Signs::NONE {
            return Signs::NONE;
        }
        let parts = self.parts.get(places).unwrap_or_default();
        parts.iter().fold(Signs::NONE, |signs, (more, _)| signs.and(*more))
    }

    /// How many secrets there are before the part at a place.
    fn count(&self, place: usize) -> usize {
        let before = place.checked_sub(1).and_then(|before| self.parts.get(before));
        before.map_or(0, |(_, count)| *count)
    }

    /// Whether the model has at this place a part without a sign and without a secret, from which this one differs in ids
    /// alone.
    fn has_but_for_ids(&self, model: &Model, place: usize, part: &[u8]) -> bool {
        self.parts.get(place).is_some_and(|(signs, _)| *signs == Signs::NONE)
            && self.count(place) == self.count(place + 1)
            && differ_in_ids(model.text().get(model.span(place..place + 1)).unwrap_or_default(), part)
    }
}

impl MetHead {
    /// The model is another now, in which these secrets lie.
    fn learn(&mut self, spans: &Spans) {
        (self.walk, self.edited.secrets) = (0, 0);
        self.last.text.clear();
        self.found.spans.clone_from(spans);
        let text = self.model.text();
        let found = self.model.parts().map(|part| {
            let signs = Signs::of_head(text.get(part.clone()).unwrap_or_default());
            (signs, spans.partition_point(|(span, _)| span.end <= part.end))
        });
        self.found.parts = found.collect();
        self.found.signs = self.found.parts.iter().fold(Signs::NONE, |signs, (more, _)| signs.and(*more));
    }

    /// Makes sure that the model is edited for these secrets. The first row of several with the same secrets does not have
    /// it done: mostly there is no second one.
    fn is_edited(&mut self, redactor: &Redactor, secrets: &mut Secrets) -> bool {
        let edited = &mut self.edited;
        if std::mem::replace(&mut edited.last, secrets.id()) != secrets.id() {
            return false;
        }
        if edited.secrets != secrets.id() {
            edited.secrets = secrets.id();
            edited.text.clear();
            edited.ends.clear();
            let (text, spans, mut changed) = (self.model.text(), &self.found.spans, 0);
            for part in self.model.parts() {
                changed += usize::from(redactor.edit_part(&mut edited.text, text, part, spans, secrets));
                edited.ends.push((edited.text.len(), changed));
            }
        }
        true
    }

    /// A head that was compared with the model, which is edited, with its secrets and the echoes of others replaced.
    fn put_together(
        &mut self,
        redactor: &Redactor,
        head: &Searched<&[u8]>,
        secrets: &mut Secrets,
    ) -> Option<Bytes> {
        let Self { runs, edited: EditedHead { text, ends, room, .. }, .. } = self;
        let end = |place: usize| {
            let before = place.checked_sub(1).and_then(|before| ends.get(before));
            before.copied().unwrap_or_default()
        };
        // Most heads of answers have nothing to replace: no other is put together for them.
        let is_changed = |run: &Run| match run {
            Run::Known(places, _) => end(places.start).1 != end(places.end).1,
            Run::New(_) => false,
        };
        if !runs.iter().any(is_changed) && !runs.iter().any(|run| redactor.changes(run, head, secrets)) {
            return None;
        }
        room.clear();
        let mut changed = false;
        for run in &*runs {
            match run {
                Run::Known(places, _) => {
                    let ((start, before), (end, behind)) = (end(places.start), end(places.end));
                    room.extend_from_slice(text.get(start..end).unwrap_or_default());
                    changed |= behind > before;
                }
                Run::New(part) => {
                    changed |= redactor.edit_part(room, head.text, part.clone(), &head.spans, secrets);
                }
            }
        }
        changed.then(|| Bytes::copy_from_slice(room))
    }
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
    fn changes(&self, run: &Run, head: &Searched<&[u8]>, secrets: &mut Secrets) -> bool {
        let Run::New(part) = run else { return false };
        let (line, spans) = (head.text.get(part.clone()).unwrap_or_default(), within(&head.spans, part));
        !self.edits(line, kind(part), spans, part.start, secrets).is_empty()
    }

    /// Appends a part of a head with the secrets and the echoes in it replaced; says whether there are any.
    fn edit_part(
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
