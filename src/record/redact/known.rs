//! What the redactor has met before, bounded: most rows of a run have their bodies, their heads' lines or their cookies in
//! common with others, and what was worked out for equal bytes holds for them as well.

use std::ops::Range;

use bytes::Bytes;
use xxhash_rust::xxh3::xxh3_64;

use super::heads::HeadMemory;
use super::ids::differ_in_ids;
use super::secrets::Sets;
use super::signs::Signs;
use super::{Form, Part};
use crate::http::h1::LastHead;
use crate::http::{RequestHead, ResponseHead};

/// Texts, and replacements, that are remembered: a later one takes the place of the one that has it by its digest.
const PLACES: usize = 512;
/// Bytes of the longest text that is remembered.
const LONGEST_TEXT: usize = 4096;
/// Bytes of the longest line of a head that is remembered.
const LONGEST_LINE: usize = 1024;
/// Bytes of the longest secret whose replacement is remembered.
const LONGEST_SECRET: usize = 1024;

/// Where the secrets of a text lie, in their order.
pub(super) type Spans = Vec<(Range<usize>, Form)>;

/// Searched texts and replaced secrets.
#[derive(Default)]
pub(super) struct Known {
    texts: Table<Text>,
    /// The digests of the last that were met again: of a row there are two, v1's and v2's.
    last_texts: [u64; 2],
    /// Taken out by whoever redacts a row.
    pub(super) heads: Option<Box<HeadMemory>>,
    replacements: Table<Replacement>,
    pub(super) sets: Sets,
    /// The heads of requests and of responses that were parsed last.
    pub(super) parsed: (LastHead<RequestHead>, LastHead<ResponseHead>),
}

struct Text {
    part: Part,
    bytes: Box<[u8]>,
    signs: Signs,
    spans: Spans,
    /// What the secrets of the row that it was met in last made of it.
    edited: Option<(u64, Option<Bytes>)>,
}

impl Text {
    fn is(&self, part: Part, bytes: &[u8]) -> bool {
        self.part == part && *self.bytes == *bytes
    }
}

/// Parts of heads.
#[derive(Default)]
pub(super) struct LineMemory {
    /// What the last start line holds: that of a request stands in its row a second time, and mostly in no other.
    start: Start,
    others: Table<Text>,
}

#[derive(Default)]
struct Start {
    line: Vec<u8>,
    signs: Signs,
    spans: Spans,
}

impl LineMemory {
    /// What was found in an equal part; else it is looked at now.
    pub(super) fn of(
        &mut self,
        part: Part,
        line: &[u8],
        look: impl FnOnce() -> (Signs, Spans),
        found: impl FnMut(&(Range<usize>, Form)),
    ) -> Signs {
        if part != Part::Head {
            return self.of_fields(part, line, look, found);
        }
        let start = &mut self.start;
        if start.line != line {
            let is_bare = start.signs == Signs::NONE && start.spans.is_empty();
            if !(is_bare && differ_in_ids(&start.line, line)) {
                (start.signs, start.spans) = look();
            }
            start.line.clear();
            // An empty line is none.
            start.line.extend_from_slice(if line.len() <= LONGEST_LINE { line } else { &[] });
        }
        start.spans.iter().for_each(found);
        start.signs
    }

    fn of_fields(
        &mut self,
        part: Part,
        line: &[u8],
        look: impl FnOnce() -> (Signs, Spans),
        mut found: impl FnMut(&(Range<usize>, Form)),
    ) -> Signs {
        let digest = digest(line);
        if let Some(known) = self.others.get(digest).filter(|known| known.is(part, line)) {
            known.spans.iter().for_each(found);
            return known.signs;
        }
        let (signs, spans) = look();
        spans.iter().for_each(&mut found);
        if line.len() <= LONGEST_LINE {
            self.others.meet(digest, || Text { part, bytes: line.into(), signs, spans, edited: None });
        }
        signs
    }
}

struct Replacement {
    form: Form,
    secret: Box<[u8]>,
    by: Bytes,
}

impl Known {
    /// The digest of a text, and what was found in an equal one.
    pub(super) fn text(&mut self, part: Part, text: &[u8]) -> (u64, Option<(Signs, Spans)>) {
        let found = |known: &Text| known.is(part, text).then(|| (known.signs, known.spans.clone()));
        let last = self.last_texts;
        for digest in last {
            if let Some(found) = self.texts.get(digest).and_then(found) {
                return (digest, Some(found));
            }
        }
        let digest = text_digest(text);
        let found = self.texts.get(digest).and_then(found);
        if found.is_some() {
            self.last_texts = [digest, last[0]];
        }
        (digest, found)
    }

    /// Remembers what was found in a text that is met for the second time: of most there is one alone.
    pub(super) fn learn_text(&mut self, part: Part, text: &[u8], digest: u64, signs: Signs, spans: &Spans) {
        if text.len() <= LONGEST_TEXT {
            let known = || Text { part, bytes: text.into(), signs, spans: spans.clone(), edited: None };
            self.texts.meet(digest, known);
        }
    }

    /// What an equal text became in a row with the same secrets.
    #[allow(
        clippy::option_option,
        reason = "another text, an unchanged one, and what it became are three things"
    )]
    pub(super) fn edited_text(
        &self,
        part: Part,
        text: &[u8],
        digest: u64,
        secrets: u64,
    ) -> Option<Option<Bytes>> {
        let known = self.texts.get(digest).filter(|known| known.is(part, text))?;
        known.edited.as_ref().filter(|(of, _)| *of == secrets).map(|(_, edited)| edited.clone())
    }

    /// Remembers what a text became, where the text is known.
    pub(super) fn learn_edited(
        &mut self,
        part: Part,
        text: &[u8],
        digest: u64,
        secrets: u64,
        edited: Option<&Bytes>,
    ) {
        if let Some(known) = self.texts.get_mut(digest).filter(|known| known.is(part, text)) {
            known.edited = Some((secrets, edited.cloned()));
        }
    }

    /// What replaced an equal secret.
    pub(super) fn replacement(&self, form: Form, secret: &[u8]) -> Option<Bytes> {
        let known = self.replacements.get(digest(secret))?;
        (known.form == form && *known.secret == *secret).then(|| known.by.clone())
    }

    /// Remembers what replaces a secret that is met for the second time.
    pub(super) fn learn_replacement(&mut self, form: Form, secret: &[u8], replacement: &Bytes) {
        if secret.len() <= LONGEST_SECRET {
            let by = replacement.clone();
            self.replacements.meet(digest(secret), || Replacement { form, secret: secret.into(), by });
        }
    }
}

/// The digest by which a text is known; no longer one is remembered.
fn text_digest(text: &[u8]) -> u64 {
    if text.len() <= LONGEST_TEXT { digest(text) } else { 0 }
}

pub(super) fn digest(bytes: &[u8]) -> u64 {
    xxh3_64(bytes)
}

/// A place for each of many digests: what was met once with it, or what was kept when it was met again. Whether bytes are
/// equal is for the one who asks to see.
pub(super) struct Table<T>(Vec<(u64, Option<T>)>);

impl<T> Default for Table<T> {
    fn default() -> Self {
        Self(Vec::new())
    }
}

impl<T> Table<T> {
    pub(super) fn get(&self, digest: u64) -> Option<&T> {
        let (met, kept) = self.0.get(Self::place(digest))?;
        kept.as_ref().filter(|_| *met == digest)
    }

    fn get_mut(&mut self, digest: u64) -> Option<&mut T> {
        let (met, kept) = self.0.get_mut(Self::place(digest))?;
        kept.as_mut().filter(|_| *met == digest)
    }

    pub(super) fn meet(&mut self, digest: u64, kept: impl FnOnce() -> T) {
        if self.0.is_empty() {
            self.0.resize_with(PLACES, || (0, None));
        }
        if let Some(place) = self.0.get_mut(Self::place(digest)) {
            *place = (digest, (place.0 == digest).then(kept));
        }
    }

    fn place(digest: u64) -> usize {
        usize::try_from(digest % PLACES as u64).unwrap_or(0)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_met_twice_is_known_until_another_takes_its_place() {
        let mut known = Known::default();
        let spans = vec![(0..1, Form::Bare)];
        let text = |known: &mut Known, part, text: &[u8]| known.text(part, text).1;
        let learn = |known: &mut Known, text: &[u8]| {
            known.learn_text(Part::Head, text, text_digest(text), Signs::ALL, &spans);
        };
        for met in 0..3 {
            assert_eq!(text(&mut known, Part::Head, b"a text").is_some(), met == 2);
            learn(&mut known, b"a text");
        }
        assert_eq!(text(&mut known, Part::Head, b"a text"), Some((Signs::ALL, spans.clone())));
        assert_eq!(text(&mut known, Part::Body, b"a text"), None);
        assert_eq!(text(&mut known, Part::Head, b"another"), None);
        let long = vec![b'x'; LONGEST_TEXT + 1];
        (0..3).for_each(|_| learn(&mut known, &long));
        assert_eq!(text(&mut known, Part::Head, &long), None);
        let other = (0..=u32::MAX)
            .map(u32::to_le_bytes)
            .find(|other| digest(other) % PLACES as u64 == digest(b"a text") % PLACES as u64);
        learn(&mut known, &other.unwrap());
        assert_eq!(text(&mut known, Part::Head, b"a text"), None);
    }

    #[test]
    fn a_number_and_a_text_of_the_same_digits_are_two_secrets() {
        let mut known = Known::default();
        (0..2).for_each(|_| known.learn_replacement(Form::Bare, b"12", &Bytes::from_static(b"x")));
        assert_eq!(known.replacement(Form::Bare, b"12").as_deref(), Some(&b"x"[..]));
        assert_eq!(known.replacement(Form::JsonNumber, b"12"), None);
    }
}
