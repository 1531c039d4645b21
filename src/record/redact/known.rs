//! What the redactor has met before, bounded: most rows of a run have their bodies, their heads' lines or their cookies in
//! common with others, and what was worked out for equal bytes holds for them as well.

use std::ops::Range;

use bytes::Bytes;
use xxhash_rust::xxh3::xxh3_64;

use super::signs::Signs;
use super::{Form, Part};

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
    /// Lines of heads.
    lines: Table<Text>,
    replacements: Table<Replacement>,
}

struct Text {
    part: Part,
    bytes: Box<[u8]>,
    signs: Signs,
    spans: Spans,
}

impl Text {
    fn is(&self, part: Part, bytes: &[u8]) -> bool {
        self.part == part && *self.bytes == *bytes
    }
}

struct Replacement {
    form: Form,
    secret: Box<[u8]>,
    by: Bytes,
}

impl Known {
    /// What was found in an equal text.
    pub(super) fn text(&self, part: Part, text: &[u8]) -> Option<(Signs, Spans)> {
        let known = self.texts.get(digest(Some(text).filter(|text| text.len() <= LONGEST_TEXT)?))?;
        known.is(part, text).then(|| (known.signs, known.spans.clone()))
    }

    /// What was found in equal lines of a head; else they are looked at now.
    pub(super) fn lines(
        &mut self,
        part: Part,
        lines: &[u8],
        look: impl FnOnce() -> (Signs, Spans),
        mut found: impl FnMut(&(Range<usize>, Form)),
    ) -> Signs {
        let digest = digest(lines);
        if let Some(known) = self.lines.get(digest).filter(|known| known.is(part, lines)) {
            known.spans.iter().for_each(found);
            return known.signs;
        }
        let (signs, spans) = look();
        spans.iter().for_each(&mut found);
        if lines.len() <= LONGEST_LINE {
            self.lines.meet(digest, || Text { part, bytes: lines.into(), signs, spans });
        }
        signs
    }

    /// Remembers what was found in a text that is met for the second time: of most there is one alone.
    pub(super) fn learn_text(&mut self, part: Part, text: &[u8], signs: Signs, spans: &Spans) {
        if text.len() <= LONGEST_TEXT {
            let known = || Text { part, bytes: text.into(), signs, spans: spans.clone() };
            self.texts.meet(digest(text), known);
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

fn digest(bytes: &[u8]) -> u64 {
    xxh3_64(bytes)
}

/// A place for each of many digests: what was met once with it, or what was kept when it was met again. Whether bytes are
/// equal is for the one who asks to see.
struct Table<T>(Vec<(u64, Option<T>)>);

impl<T> Default for Table<T> {
    fn default() -> Self {
        Self(Vec::new())
    }
}

impl<T> Table<T> {
    fn get(&self, digest: u64) -> Option<&T> {
        let (met, kept) = self.0.get(Self::place(digest))?;
        kept.as_ref().filter(|_| *met == digest)
    }

    fn meet(&mut self, digest: u64, kept: impl FnOnce() -> T) {
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
        for met in 0..3 {
            let found = known.text(Part::Head, b"a text");
            assert_eq!(found.is_some(), met == 2);
            known.learn_text(Part::Head, b"a text", Signs::ALL, &spans);
        }
        assert_eq!(known.text(Part::Head, b"a text"), Some((Signs::ALL, spans.clone())));
        assert_eq!(known.text(Part::Body, b"a text"), None);
        assert_eq!(known.text(Part::Head, b"another"), None);
        let long = vec![b'x'; LONGEST_TEXT + 1];
        (0..3).for_each(|_| known.learn_text(Part::Head, &long, Signs::ALL, &spans));
        assert_eq!(known.text(Part::Head, &long), None);
        let other = (0..=u32::MAX)
            .map(u32::to_le_bytes)
            .find(|other| digest(other) % PLACES as u64 == digest(b"a text") % PLACES as u64);
        known.learn_text(Part::Head, &other.unwrap(), Signs::ALL, &spans);
        assert_eq!(known.text(Part::Head, b"a text"), None);
    }

    #[test]
    fn a_number_and_a_text_of_the_same_digits_are_two_secrets() {
        let mut known = Known::default();
        (0..2).for_each(|_| known.learn_replacement(Form::Bare, b"12", &Bytes::from_static(b"x")));
        assert_eq!(known.replacement(Form::Bare, b"12").as_deref(), Some(&b"x"[..]));
        assert_eq!(known.replacement(Form::JsonNumber, b"12"), None);
    }
}
