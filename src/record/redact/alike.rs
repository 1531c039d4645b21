//! Heads that are alike, as that which was sent is like that which was captured: only the lines in which they differ are
//! searched again.

use std::ops::Range;

use super::super::parts::goes_on;

/// The lines of a head that stand in the place of other lines of one like it.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Change {
    /// In the one that is known.
    pub(super) known: Range<usize>,
    /// In the other.
    pub(super) text: Range<usize>,
}

/// In which lines a head differs from one that is known: whole fields, and not the start line. `None` where that differs.
pub(super) fn change(known: &[u8], text: &[u8]) -> Option<Change> {
    let begin = memchr::memrchr(b'\n', known.get(..common_start(known, text))?)? + 1;
    let (known_rest, text_rest) = (known.get(begin..)?, text.get(begin..)?);
    let same = common_end(known_rest, text_rest);
    let tail = text_rest.get(text_rest.len() - same..)?;
    // Behind the line that the equal end begins in.
    let tail = tail.get(memchr::memchr(b'\n', tail).map_or(tail.len(), |end| end + 1)..)?;
    let change = Change { known: begin..known.len() - tail.len(), text: begin..text.len() - tail.len() };
    (!goes_on(known_rest) && !goes_on(text_rest) && !goes_on(tail)).then_some(change)
}

const BLOCK: usize = 32;

/// How many bytes two texts have in common at their beginning.
fn common_start(a: &[u8], b: &[u8]) -> usize {
    let blocks = a.as_chunks::<BLOCK>().0.iter().zip(b.as_chunks::<BLOCK>().0);
    let from = blocks.take_while(|(a, b)| a == b).count() * BLOCK;
    let rest = |text| <[u8]>::get(text, from..).unwrap_or_default().iter();
    from + rest(a).zip(rest(b)).take_while(|(a, b)| a == b).count()
}

/// How many at their end.
fn common_end(a: &[u8], b: &[u8]) -> usize {
    let blocks = a.as_rchunks::<BLOCK>().1.iter().rev().zip(b.as_rchunks::<BLOCK>().1.iter().rev());
    let from = blocks.take_while(|(a, b)| a == b).count() * BLOCK;
    let rest = |text: &'_ [u8]| text.len() - from;
    let (a, b) = (a.get(..rest(a)).unwrap_or_default(), b.get(..rest(b)).unwrap_or_default());
    from + a.iter().rev().zip(b.iter().rev()).take_while(|(a, b)| a == b).count()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn heads_differ_in_whole_fields() {
        let long = "x".repeat(100);
        for (known, text, expected) in [
            (
                "GET / A\r\nHost: a\r\nB: c\r\n\r\n",
                "GET / A\r\nHost: a-shadow\r\nB: c\r\n\r\n",
                Some(("Host: a\r\n", "Host: a-shadow\r\n")),
            ),
            ("GET / A\r\nB: c\r\n\r\n", "GET / A\r\nB: c\r\n\r\n", Some(("", ""))),
            ("GET /a A\r\nB: c\r\n\r\n", "GET /b A\r\nB: c\r\n\r\n", None),
            // The value of a field goes on.
            ("G\r\nA: a\r\n b\r\n\r\n", "G\r\nA: a\r\n c\r\n\r\n", None),
            ("G\r\nA: a\r\n b\r\n\r\n", "G\r\nA: c\r\n b\r\n\r\n", None),
            ("", "GET", None),
        ] {
            for (known, text) in [
                (known.to_owned(), text.to_owned()),
                (
                    known.replace("A\r\n", &format!("{long}\r\n")),
                    text.replace("A\r\n", &format!("{long}\r\n")),
                ),
                (
                    known.replace("\r\n\r\n", &format!("\r\nZ:{long}\r\n\r\n")),
                    text.replace("\r\n\r\n", &format!("\r\nZ:{long}\r\n\r\n")),
                ),
            ] {
                let found = change(known.as_bytes(), text.as_bytes());
                let found = found.map(|change| (&known[change.known], &text[change.text]));
                assert_eq!(found, expected, "{known:?} {text:?}");
            }
        }
    }
}
