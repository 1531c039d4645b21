//! The parts of a head that are searched by themselves: most heads of a run have most of their lines in common with others.

use std::ops::Range;

/// The start line, and each field, with the lines that go on with it, of the part of a head that begins at `start`, where
/// a line does that goes on with none.
pub(super) fn parts(head: &[u8], start: usize) -> impl Iterator<Item = Range<usize>> {
    let mut at = start;
    std::iter::from_fn(move || {
        let start = at;
        while let Some(rest) = head.get(at..).filter(|rest| !rest.is_empty()) {
            at += line_len(rest);
            if !goes_on(head.get(at..).unwrap_or_default()) {
                break;
            }
        }
        (at > start).then_some(start..at)
    })
}

/// Whether the line that a text begins with is taken for a part of the one before it: it begins with white space (RFC
/// 9112, section 5.2), or is no field by itself. The line that ends a head goes on with nothing.
pub(super) fn goes_on(text: &[u8]) -> bool {
    let line = text.get(..line_len(text)).unwrap_or_default();
    match line {
        [] => false,
        [b' ' | b'\t', ..] => true,
        b"\r\n" | b"\n" if line.len() == text.len() => false,
        _ => memchr::memchr(b':', line).is_none(),
    }
}

fn line_len(text: &[u8]) -> usize {
    memchr::memchr(b'\n', text).map_or(text.len(), |end| end + 1)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_folded_line_belongs_to_the_one_before_it() {
        for (head, expected) in [
            (
                "GET / A\r\nB: c\r\n d\r\n\te\r\nF: g\r\n\r\n",
                vec!["GET / A\r\n", "B: c\r\n d\r\n\te\r\n", "F: g\r\n", "\r\n"],
            ),
            ("B: c\r\nno field\r\n d\r\n\nE:\n", vec!["B: c\r\nno field\r\n d\r\n\n", "E:\n"]),
            (" \n \nA:", vec![" \n \n", "A:"]),
            ("A", vec!["A"]),
            ("", vec![]),
        ] {
            let found: Vec<_> = parts(head.as_bytes(), 0).map(|part| &head[part]).collect();
            assert_eq!(found, expected);
        }
    }
}
