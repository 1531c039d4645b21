//! The head that later ones in the same place of a row are compared with, what was found in it, and what became of it.

use std::ops::Range;

use bytes::Bytes;

use super::alike::{Model, Run};
use super::ids::differ_in_ids;
use super::known::Spans;
use super::secrets::Secrets;
use super::signs::Signs;
use super::{Redactor, Searched, moved};

/// The head that others of its place are compared with.
#[derive(Default)]
pub(super) struct MetHead {
    pub(super) model: Model,
    pub(super) found: Found,
    pub(super) edited: EditedHead,
    /// The last one that was compared with it: the number of that, and its runs.
    pub(super) walk: u64,
    pub(super) runs: Vec<Run>,
    pub(super) last: LastHead,
}

/// The head that was compared last: the next one may be the same. Nothing where that is not remembered.
#[derive(Default)]
pub(super) struct LastHead {
    pub(super) text: Vec<u8>,
    pub(super) signs: Signs,
    pub(super) spans: Spans,
    /// The secrets that are known to change nothing in it.
    pub(super) unchanged_by: Option<u64>,
}

impl LastHead {
    /// Longer heads are not remembered.
    const LONGEST: usize = 8 << 10;

    pub(super) fn learn(&mut self, text: &[u8], signs: Signs, spans: &Spans) {
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
pub(super) struct Found {
    /// Where its secrets lie, in their order.
    spans: Spans,
    /// For each part its signs, and how many secrets there are before its end.
    parts: Vec<(Signs, usize)>,
    /// The signs of all.
    signs: Signs,
}

/// What becomes of a model, part by part.
#[derive(Default)]
pub(super) struct EditedHead {
    /// The secrets of the row that was met last.
    last: u64,
    /// The secrets that were replaced.
    pub(super) secrets: u64,
    text: Vec<u8>,
    /// For each part where it ends, and how many were changed before that.
    ends: Vec<(usize, usize)>,
    /// Room for a head.
    room: Vec<u8>,
}

impl Found {
    /// Adds the secrets of some parts of the model, where those begin at `at`, and says which signs they bear.
    pub(super) fn take_over(
        &self,
        model: &Model,
        places: Range<usize>,
        at: usize,
        spans: &mut Spans,
    ) -> Signs {
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
    pub(super) fn has_but_for_ids(&self, model: &Model, place: usize, part: &[u8]) -> bool {
        self.parts.get(place).is_some_and(|(signs, _)| *signs == Signs::NONE)
            && self.count(place) == self.count(place + 1)
            && differ_in_ids(model.text().get(model.span(place..place + 1)).unwrap_or_default(), part)
    }
}

impl MetHead {
    /// The model is another now, in which these secrets lie.
    pub(super) fn learn(&mut self, spans: &Spans) {
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
    pub(super) fn is_edited(&mut self, redactor: &Redactor, secrets: &mut Secrets) -> bool {
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
    pub(super) fn put_together(
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
