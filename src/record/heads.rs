//! Heads in lines of the recording: most parts of one stand in the line of the row before it as well, and are taken over
//! from there as they were written.

use super::alike::{Model, Run};
use super::put;
use super::text;

/// The heads that stand in one place of lines.
#[derive(Default)]
pub(super) struct Heads {
    model: Model,
    /// The model's text as it is written.
    written: Vec<u8>,
    /// Where each of its parts ends there.
    ends: Vec<usize>,
}

impl Heads {
    /// Puts a head in the form of [`Text`](super::Text).
    pub(super) fn put(&mut self, out: &mut Vec<u8>, head: &[u8]) {
        let start = out.len();
        let Some((all, new)) = self.put_parts(out, head) else {
            out.truncate(start);
            return text::put(out, head);
        };
        if self.model.meet(head, all, new) {
            self.learn();
        }
    }

    /// Says how many parts there are, and how many of them are new; `None` where one is no text, and with it the head: each
    /// ends behind a line's end, in which no character lies.
    fn put_parts(&self, out: &mut Vec<u8>, head: &[u8]) -> Option<(usize, usize)> {
        let (mut all, mut new) = (0, 0);
        out.extend_from_slice(b"{\"text\":\"");
        for run in self.model.runs(head) {
            match run {
                Run::Known(places, _) => {
                    all += places.len();
                    let start = places
                        .start
                        .checked_sub(1)
                        .map_or(Some(0), |before| self.ends.get(before).copied())?;
                    let end = self.ends.get(places.end.checked_sub(1)?)?;
                    out.extend_from_slice(self.written.get(start..*end)?);
                }
                Run::New(part) => {
                    (all, new) = (all + 1, new + 1);
                    put::escaped(out, std::str::from_utf8(head.get(part)?).ok()?);
                }
            }
        }
        out.extend_from_slice(b"\"}");
        Some((all, new))
    }

    fn learn(&mut self) {
        self.written.clear();
        self.ends.clear();
        for part in self.model.parts() {
            let part = self.model.text().get(part).and_then(|part| std::str::from_utf8(part).ok());
            put::escaped(&mut self.written, part.unwrap_or_default());
            self.ends.push(self.written.len());
        }
    }
}

#[cfg(test)]
mod tests {
    use proptest::strategy::Strategy as _;

    use super::*;

    proptest::proptest! {
        #[test]
        fn what_was_written_before_changes_nothing(all in proptest::collection::vec(head(), 1..9)) {
            let mut heads = Heads::default();
            for head in all {
                let (mut out, mut afresh) = (b"x".to_vec(), b"x".to_vec());
                heads.put(&mut out, &head);
                text::put(&mut afresh, &head);
                proptest::prop_assert_eq!(String::from_utf8(out), String::from_utf8(afresh));
            }
        }
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
