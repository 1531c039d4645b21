//! Heads are searched and edited part by part: most parts of one are those of the head that was met before it in the same
//! place of a row, and what was found in them holds again. What a part holds does not depend on others, save for private
//! keys, and for what the user's patterns may match; nor does what becomes of it, while no secret of the row holds a
//! line's end.

use std::ops::Range;

use bytes::Bytes;

use super::known::{Known, LineMemory, Spans};
use super::secrets::Secrets;
use super::signs::{Sign, Signs};
use super::{Form, Met, Part, Redactor, Searched, moved};
use crate::record::alike::{Model, Run};

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

/// The head that others of its place are compared with.
#[derive(Default)]
pub(super) struct MetHead {
    model: Model,
    found: Found,
    edited: EditedHead,
    /// The last one that was compared with it: the number of that, and its runs.
    walk: u64,
    runs: Vec<Run>,
}

/// What a model holds.
#[derive(Default)]
struct Found {
    /// Where its secrets lie, in their order.
    spans: Spans,
    /// For each part its signs, and how many secrets there are before its end.
    parts: Vec<(Signs, usize)>,
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
        let count = |place: usize| {
            let before = place.checked_sub(1).and_then(|before| self.parts.get(before));
            before.map_or(0, |(_, count)| *count)
        };
        let within = self.spans.get(count(places.start)..count(places.end)).unwrap_or_default();
        if !within.is_empty() {
            let from = model.span(places.clone()).start;
            spans.extend(within.iter().map(|(span, form)| (moved(span, from, at), *form)));
        }
        let parts = self.parts.get(places).unwrap_or_default();
        parts.iter().fold(Signs::NONE, |signs, (more, _)| signs.and(*more))
    }
}

impl MetHead {
    /// The model is another now, in which these secrets lie.
    fn learn(&mut self, spans: &Spans) {
        (self.walk, self.edited.secrets) = (0, 0);
        self.found.spans.clone_from(spans);
        let text = self.model.text();
        let found = self.model.parts().map(|part| {
            let signs = Signs::of_head(text.get(part.clone()).unwrap_or_default());
            (signs, spans.partition_point(|(span, _)| span.end <= part.end))
        });
        self.found.parts = found.collect();
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
impl MetHead {
    /// Whether what becomes of it is remembered.
    pub(super) fn is_edited_for_some(&self) -> bool {
        self.edited.secrets != 0
    }
}

impl Redactor {
    /// A head of this place, searched.
    pub(super) fn searched_head<'r>(&self, text: &'r [u8], place: Place) -> Searched<&'r [u8]> {
        let by_parts = if self.also.has_patterns() { None } else { self.by_parts(text, place) };
        match by_parts {
            Some((signs, spans, met)) => Searched { text, part: Part::Head, signs, spans, met },
            None => self.searched(text, Part::Head),
        }
    }

    /// What the parts of a head hold; `None` where they may be those of a private key.
    fn by_parts(&self, text: &[u8], place: Place) -> Option<(Signs, Spans, Met)> {
        let mut known = self.known();
        let Known { heads, lines, walks, .. } = &mut *known;
        let head = &mut **heads.get_mut(place as usize)?.get_or_insert_default();
        let (mut signs, mut spans) = (Signs::NONE, Spans::new());
        let (mut all, mut new) = (0, 0);
        head.runs.clear();
        for run in head.model.runs(text) {
            let (count, more) = match &run {
                Run::Known(places, at) => {
                    (places.len(), head.found.take_over(&head.model, places.clone(), *at, &mut spans))
                }
                Run::New(part) => {
                    new += 1;
                    (1, self.part(lines, text, part.clone(), &mut spans))
                }
            };
            all += count;
            signs = signs.and(more);
            head.runs.push(run);
        }
        *walks += 1;
        head.walk = *walks;
        if signs.has(Sign::Pem) {
            return None;
        }
        if head.model.meet(text, all, new) {
            head.learn(&spans);
            return Some((signs, spans, Met::No));
        }
        Some((signs, spans, Met::Head(Walk { place, number: head.walk })))
    }

    /// Adds what one part of a head holds, and says which signs it bears.
    fn part(&self, lines: &mut LineMemory, text: &[u8], part: Range<usize>, spans: &mut Spans) -> Signs {
        let line = text.get(part.clone()).unwrap_or_default();
        if line.len() <= EMPTY_LINE {
            return Signs::NONE;
        }
        let kind = kind(&part);
        let look = || {
            let signs = Signs::of_head(line);
            (signs, self.spans(line, kind, signs))
        };
        lines.of(kind, line, look, |(span, form): &(Range<usize>, Form)| {
            spans.push((moved(span, 0, part.start), *form));
        })
    }

    /// A head with its secrets and the echoes of others replaced; `None` when it holds none.
    pub(super) fn edited_head(&self, head: &Searched<&[u8]>, secrets: &mut Secrets) -> Option<Bytes> {
        let Met::Head(walk) = &head.met else { return self.edited(head, secrets) };
        if secrets.hold_line_ends() {
            return self.edited(head, secrets);
        }
        // Taken out nobody else can use it meanwhile, and without the lock nobody has to wait.
        let met = self.known().heads.get_mut(walk.place as usize).and_then(Option::take);
        let Some(mut met) = met else { return self.edited(head, secrets) };
        let is_that = met.walk == walk.number && met.is_edited(self, secrets);
        let edited = is_that.then(|| met.put_together(self, head, secrets));
        if let Some(place) = self.known().heads.get_mut(walk.place as usize) {
            *place = Some(met);
        }
        edited.unwrap_or_else(|| self.edited(head, secrets))
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
        let from = spans.partition_point(|(span, _)| span.start < part.start);
        let behind = spans.partition_point(|(span, _)| span.start < part.end);
        let spans = spans.get(from..behind).unwrap_or_default();
        let changed = self.edits(line, kind(&part), spans, part.start, secrets).put(out, line);
        if !changed {
            out.extend_from_slice(line);
        }
        changed
    }
}

/// The first part of a head is its start line.
const fn kind(part: &Range<usize>) -> Part {
    if part.start == 0 { Part::Head } else { Part::Fields }
}
