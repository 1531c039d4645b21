//! Texts in lines of the recording: most of one stands in the same place of an earlier line as well, and is taken over from
//! there as it was written.

use super::{put, text};
use crate::http::h1::agreement;

/// Longer texts are not remembered.
const LONGEST: usize = 8 << 10;
/// How often the length of a text has to be written anew before it is remembered in place of another: remembering one costs
/// about twice what writing it does.
const PATIENCE: usize = 64;
/// Bytes that are compared at once.
const BLOCK: usize = 32;

/// A text that later ones in its place are compared with.
#[derive(Default)]
pub(super) struct Written {
    text: String,
    /// As it stands between the quotes of a JSON string.
    json: Vec<u8>,
    /// Each byte that is escaped, and where its escape ends in what is written.
    escapes: Vec<(usize, usize)>,
    /// Bytes of others that were written anew since then.
    anew: usize,
}

impl Written {
    /// Puts a text in the form of [`Text`](super::Text).
    pub(super) fn put(&mut self, out: &mut Vec<u8>, text: &[u8]) {
        if text == self.text.as_bytes() {
            out.extend_from_slice(b"{\"text\":\"");
            out.extend_from_slice(&self.json);
            return out.extend_from_slice(b"\"}");
        }
        let (before, behind) = self.shared(text);
        // What is shared ends and begins between characters, so that the whole is text where this is.
        let middle = text.get(before..text.len() - behind).unwrap_or_default();
        let Ok(middle) = std::str::from_utf8(middle) else { return text::put(out, text) };
        let end = self.place(self.text.len() - behind);
        out.extend_from_slice(b"{\"text\":\"");
        out.extend_from_slice(self.json.get(..self.place(before)).unwrap_or_default());
        put::escaped(out, middle);
        out.extend_from_slice(self.json.get(end..).unwrap_or_default());
        out.extend_from_slice(b"\"}");
        self.anew += middle.len();
        if self.text.is_empty() || self.anew > text.len() * PATIENCE {
            self.learn(text);
        }
    }

    /// How many bytes at the beginning and at the end, which do not overlap, a text has in common with the one that is
    /// remembered.
    fn shared(&self, text: &[u8]) -> (usize, usize) {
        let known = self.text.as_bytes();
        let mut before = agreement(text, known);
        while !self.text.is_char_boundary(before) {
            before -= 1;
        }
        let rests = (text.get(before..).unwrap_or_default(), known.get(before..).unwrap_or_default());
        let mut behind = agreement_behind(rests.0, rests.1);
        while !self.text.is_char_boundary(known.len() - behind) {
            behind -= 1;
        }
        (before, behind)
    }

    /// Where in what is written a place in the text is.
    fn place(&self, at: usize) -> usize {
        let escapes = self.escapes.partition_point(|(byte, _)| *byte < at);
        let last = escapes.checked_sub(1).and_then(|last| self.escapes.get(last));
        last.map_or(at, |(byte, end)| end + at - byte - 1)
    }

    fn learn(&mut self, text: &[u8]) {
        let Some(text) = std::str::from_utf8(text).ok().filter(|text| text.len() <= LONGEST) else { return };
        self.anew = 0;
        self.text.clear();
        self.text.push_str(text);
        self.json.clear();
        self.escapes.clear();
        let mut at = 0;
        // What is escaped is ASCII, so that between it there are whole characters.
        for piece in text.split_inclusive(put::is_escaped) {
            at += piece.len();
            put::escaped(&mut self.json, piece);
            if piece.ends_with(put::is_escaped) {
                self.escapes.push((at - 1, self.json.len()));
            }
        }
    }
}

/// How many bytes there are behind the last one that differs.
fn agreement_behind(one: &[u8], other: &[u8]) -> usize {
    let blocks = one.as_rchunks::<BLOCK>().1.iter().rev().zip(other.as_rchunks::<BLOCK>().1.iter().rev());
    let same = blocks.take_while(|(a, b)| a == b).count() * BLOCK;
    let one = one.get(..one.len() - same).unwrap_or_default();
    let other = other.get(..other.len() - same).unwrap_or_default();
    let words = |bytes| <[u8]>::as_rchunks::<8>(bytes).1.iter().rev().map(|word| u64::from_le_bytes(*word));
    let mut behind = 0;
    for (a, b) in words(one).zip(words(other)) {
        if a != b {
            return same + behind + (a ^ b).leading_zeros() as usize / 8;
        }
        behind += 8;
    }
    let rest = one.iter().rev().zip(other.iter().rev()).skip(behind);
    same + behind + rest.take_while(|(a, b)| a == b).count()
}

#[cfg(test)]
mod tests {
    use proptest::strategy::Strategy as _;

    use super::*;

    fn is_put_as_afresh(
        written: &mut Written,
        text: &[u8],
    ) -> Result<(), proptest::test_runner::TestCaseError> {
        let (mut out, mut afresh) = (b"x".to_vec(), b"x".to_vec());
        written.put(&mut out, text);
        text::put(&mut afresh, text);
        proptest::prop_assert_eq!(String::from_utf8(out), String::from_utf8(afresh));
        Ok(())
    }

    proptest::proptest! {
        #[test]
        fn what_was_written_before_changes_nothing(all in proptest::collection::vec(head(), 1..9)) {
            let mut written = Written::default();
            for head in &all {
                is_put_as_afresh(&mut written, head)?;
            }
            // Each is remembered once.
            for known in &all {
                written.learn(known);
                for head in &all {
                    is_put_as_afresh(&mut written, head)?;
                }
            }
        }

        #[test]
        fn texts_that_differ_in_a_few_bytes_are_put_as_afresh(
            known in "([a-zé€\u{1f600}]|\"|\\\\|\u{1}|\r\n){0,90}",
            changes in proptest::collection::vec((0_usize..200, 0_usize..3, "[a\"é€\u{1f600}\u{2}]{0,2}"), 0..3),
            broken in proptest::option::weighted(0.2, (0_usize..200, 0x80..=0xff_u8)),
        ) {
            let mut written = Written::default();
            is_put_as_afresh(&mut written, known.as_bytes())?;
            let mut other = known.as_bytes().to_vec();
            for (at, len, by) in &changes {
                let at = at % (other.len() + 1);
                let end = other.len().min(at + len);
                other.splice(at..end, by.bytes());
            }
            if let Some((at, byte)) = broken {
                let at = at % (other.len() + 1);
                other.insert(at, byte);
            }
            is_put_as_afresh(&mut written, &other)?;
        }

        #[test]
        fn what_two_texts_end_with_is_counted(one in "[ab]{0,4}", other in "[ab]{0,4}", tail in "[ab]{0,99}") {
            let (one, other) = ([one, tail.clone()].concat(), [other, tail].concat());
            let truth = one.bytes().rev().zip(other.bytes().rev()).take_while(|(a, b)| a == b).count();
            proptest::prop_assert_eq!(agreement_behind(one.as_bytes(), other.as_bytes()), truth);
        }
    }

    #[test]
    fn another_text_is_remembered_once_it_has_been_written_often_enough() {
        let mut written = Written::default();
        let text = |n: usize| format!("{n}{}", "b".repeat(40));
        let mut out = Vec::new();
        written.put(&mut out, b"aaaa");
        let after = (1..999).position(|n| {
            written.put(&mut out, text(n).as_bytes());
            written.text != "aaaa"
        });
        assert_eq!(after, Some(PATIENCE));
        written.put(&mut out, text(5).as_bytes());
        assert!(written.anew < 4, "alike");
        written.learn(&[b'x'; LONGEST + 1]);
        assert!(written.text.len() < 50, "too long");
    }

    /// Heads of few different lines, of which some are no text.
    fn head() -> impl proptest::strategy::Strategy<Value = Vec<u8>> {
        let line = proptest::prop_oneof![
            8 => "(GET|A|B): (\"b\"|\\\\|é|\u{1}|){0,3}\r\n( c\r\n)?",
            1 => "\r?\n?",
        ];
        let broken = proptest::collection::vec(
            proptest::prop_oneof![20 => proptest::strategy::Just(0), 1 => 0x80..=0xff_u8],
            0..7,
        );
        (proptest::collection::vec(line, 0..7), broken).prop_map(|(lines, broken)| {
            let mut head = Vec::new();
            for (n, line) in lines.iter().enumerate() {
                head.extend_from_slice(line.as_bytes());
                head.extend(broken.get(n).filter(|byte| **byte != 0));
            }
            head
        })
    }
}
