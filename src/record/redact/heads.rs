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

/// How a head was found to be that of its place.
#[derive(Clone)]
pub(super) struct Walk {
    place: Place,
    /// Of the head that it was compared with.
    version: u64,
    runs: Vec<Run>,
}

/// The head that others of its place are compared with.
#[derive(Default)]
pub(super) struct MetHead {
    model: Model,
    /// Tells it from every other.
    version: u64,
    /// Where its secrets lie, in their order.
    spans: Spans,
    /// For each part its signs, and how many secrets there are before its end.
    found: Vec<(Signs, usize)>,
    edited: EditedHead,
}

/// What becomes of it, part by part.
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

impl MetHead {
    /// Adds the secrets of some parts, where those begin at `at`, and says which signs they bear.
    fn take_over(&self, places: Range<usize>, at: usize, spans: &mut Spans) -> Signs {
        let count = |place: usize| {
            let before = place.checked_sub(1).and_then(|before| self.found.get(before));
            before.map_or(0, |(_, count)| *count)
        };
        let within = self.spans.get(count(places.start)..count(places.end)).unwrap_or_default();
        if !within.is_empty() {
            let from = self.model.span(places.clone()).start;
            spans.extend(within.iter().map(|(span, form)| (moved(span, from, at), *form)));
        }
        let found = self.found.get(places).unwrap_or_default();
        found.iter().fold(Signs::NONE, |signs, (more, _)| signs.and(*more))
    }

    /// Its text is now that in which these secrets lie.
    fn learn(&mut self, version: u64, spans: &Spans) {
        (self.version, self.edited.secrets) = (version, 0);
        self.spans.clone_from(spans);
        let text = self.model.text();
        let found = self.model.parts().map(|part| {
            let signs = Signs::of_head(text.get(part.clone()).unwrap_or_default());
            (signs, spans.partition_point(|(span, _)| span.end <= part.end))
        });
        self.found = found.collect();
    }

    /// Makes sure that it is edited for these secrets. The first row of several with the same secrets does not have it
    /// done: mostly there is no second one.
    fn is_edited(&mut self, redactor: &Redactor, secrets: &mut Secrets) -> bool {
        let edited = &mut self.edited;
        if std::mem::replace(&mut edited.last, secrets.id()) != secrets.id() {
            return false;
        }
        if edited.secrets != secrets.id() {
            edited.secrets = secrets.id();
            edited.text.clear();
            edited.ends.clear();
            let mut changed = 0;
            for part in self.model.parts() {
                let text = self.model.text();
                changed +=
                    usize::from(redactor.edit_part(&mut edited.text, text, part, &self.spans, secrets));
                edited.ends.push((edited.text.len(), changed));
            }
        }
        true
    }
}

#[cfg(test)]
impl MetHead {
    /// Whether what becomes of it is remembered.
    pub(super) fn is_edited_for_some(&self) -> bool {
        self.edited.secrets != 0
    }
}

impl EditedHead {
    /// Appends some parts; says whether any of them was changed.
    fn put(&mut self, places: Range<usize>) -> bool {
        let end = |place: usize| {
            let before = place.checked_sub(1).and_then(|before| self.ends.get(before));
            before.copied().unwrap_or_default()
        };
        let ((start, before), (end, behind)) = (end(places.start), end(places.end));
        self.room.extend_from_slice(self.text.get(start..end).unwrap_or_default());
        behind > before
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
        let Known { heads, lines, versions, .. } = &mut *known;
        let head = heads.get_mut(place as usize)?;
        let (mut signs, mut spans, mut runs) = (Signs::NONE, Spans::new(), Vec::with_capacity(4));
        let (mut all, mut new) = (0, 0);
        for run in head.model.runs(text) {
            let (count, more) = match &run {
                Run::Known(places, at) => (places.len(), head.take_over(places.clone(), *at, &mut spans)),
                Run::New(part) => {
                    new += 1;
                    (1, self.part(lines, text, part.clone(), &mut spans))
                }
            };
            all += count;
            signs = signs.and(more);
            runs.push(run);
        }
        if signs.has(Sign::Pem) {
            return None;
        }
        if head.model.meet(text, all, new) {
            *versions += 1;
            head.learn(*versions, &spans);
            return Some((signs, spans, Met::No));
        }
        let walk = Walk { place, version: head.version, runs };
        Some((signs, spans, Met::Head(walk)))
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
        // Without it nobody else can use it meanwhile, and without the lock nobody has to wait.
        let mut met = self.known().heads.get_mut(walk.place as usize).map(std::mem::take).unwrap_or_default();
        let is_that = met.version == walk.version && met.is_edited(self, secrets);
        let changed = is_that && self.put_together(head, walk, &mut met.edited, secrets);
        let edited = changed.then(|| Bytes::copy_from_slice(&met.edited.room));
        if let Some(place) = self.known().heads.get_mut(walk.place as usize) {
            *place = met;
        }
        if is_that { edited } else { self.edited(head, secrets) }
    }

    /// Puts a head together of parts that were edited before and of others; says whether any was changed.
    fn put_together(
        &self,
        head: &Searched<&[u8]>,
        walk: &Walk,
        known: &mut EditedHead,
        secrets: &mut Secrets,
    ) -> bool {
        known.room.clear();
        let mut changed = false;
        for run in &walk.runs {
            changed |= match run {
                Run::Known(places, _) => known.put(places.clone()),
                Run::New(part) => {
                    self.edit_part(&mut known.room, head.text, part.clone(), &head.spans, secrets)
                }
            };
        }
        changed
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
