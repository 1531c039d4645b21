//! Values as they are shown: bounded, and honest about what was left out.

use std::fmt::Write as _;

/// The longest excerpt, in characters, without the marks that say it was cut.
const MAX_CHARS: usize = 200;
/// Room for the marks that say that a value was cut.
const MARKS: usize = 32;
/// How much of what both values share is shown before the first difference.
const LEAD: usize = 40;

/// The value from its start. A cut one ends in `…` and its full length in bytes.
pub(super) fn excerpt(value: &[u8]) -> String {
    window(value, 0)
}

/// The same in the place of another text.
pub(super) fn put_excerpt(out: &mut String, value: &[u8]) {
    out.clear();
    put_window(out, value, 0);
}

/// Two values, each from shortly before the place where they part, so that long ones do not look
/// the same.
pub(super) fn excerpts(v1: &[u8], v2: &[u8]) -> (String, String) {
    if v1.len() <= MAX_CHARS && v2.len() <= MAX_CHARS {
        return (excerpt(v1), excerpt(v2));
    }
    let from = first_difference(v1, v2).saturating_sub(LEAD);
    (window(v1, from), window(v2, from))
}

/// The offset of the first byte at which two values differ.
pub(super) fn first_difference(v1: &[u8], v2: &[u8]) -> usize {
    // Whole blocks compare at the speed of memory; of the last one only the last few bytes are walked.
    let at = same_blocks::<4096>(v1, v2);
    let at = at + same_blocks::<16>(&v1[at..], &v2[at..]);
    let at = at + same_blocks::<8>(&v1[at..], &v2[at..]);
    match (v1[at..].first_chunk(), v2[at..].first_chunk()) {
        // Of eight bytes that are not the same the lowest bit that differs tells where.
        (Some(a), Some(b)) => {
            at + ((u64::from_le_bytes(*a) ^ u64::from_le_bytes(*b)).trailing_zeros() / 8) as usize
        }
        _ => at + v1[at..].iter().zip(&v2[at..]).take_while(|(a, b)| a == b).count(),
    }
}

/// How long the blocks of `N` bytes are that both begin with.
fn same_blocks<const N: usize>(v1: &[u8], v2: &[u8]) -> usize {
    let (blocks1, blocks2) = (v1.as_chunks::<N>().0, v2.as_chunks::<N>().0);
    blocks1.iter().zip(blocks2).take_while(|(a, b)| a == b).count() * N
}

fn window(value: &[u8], from: usize) -> String {
    let mut out = String::new();
    put_window(&mut out, value, from);
    out
}

fn put_window(out: &mut String, value: &[u8], from: usize) {
    let from = char_start(value, from.min(value.len()));
    // A character has at most four bytes.
    let end = value.len().min(from + 4 * MAX_CHARS);
    let window = &value[from..end];
    out.reserve(window.len().min(MAX_CHARS) + MARKS);
    out.push_str(if from > 0 { "…" } else { "" });
    let is_more = push_shown(out, window);
    let cut = end < value.len() || is_more;
    if cut {
        out.push('…');
    }
    if cut || from > 0 {
        // Writing to a String cannot fail.
        let _ = write!(out, " ({} bytes)", value.len());
    }
}

/// As many characters of a text as are shown; whether some are left.
fn push_shown(out: &mut String, text: &[u8]) -> bool {
    // Most text is plain: then a byte is a character, and shown as it is.
    let start = &text[..text.len().min(MAX_CHARS)];
    if start.iter().all(|b| matches!(b, b' '..=b'~')) {
        out.push_str(std::str::from_utf8(start).unwrap_or_default());
        return start.len() < text.len();
    }
    let text = String::from_utf8_lossy(text);
    let mut rest = text.chars();
    rest.by_ref().take(MAX_CHARS).for_each(|c| push_visible(out, c));
    rest.next().is_some()
}

/// Cuts a text to at most that many bytes, between characters.
pub(super) fn truncate(text: &mut String, bytes: usize) {
    let end = (0..=bytes.min(text.len())).rev().find(|&at| text.is_char_boundary(at));
    text.truncate(end.unwrap_or(0));
}

/// The start of the character that `at` lies in, if the bytes around it are UTF-8.
fn char_start(value: &[u8], at: usize) -> usize {
    (at.saturating_sub(3)..=at).rev().find(|&i| value.get(i).is_none_or(|b| b & 0xC0 != 0x80)).unwrap_or(at)
}

/// Control characters are written as escapes, so that a value is one line.
fn push_visible(out: &mut String, c: char) {
    if c.is_control() { out.extend(c.escape_default()) } else { out.push(c) }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn short_values_are_whole_and_long_ones_say_how_long() {
        assert_eq!(excerpt(b"abc"), "abc");
        assert_eq!(excerpt(b"a\r\n\0"), "a\\r\\n\\u{0}");
        assert_eq!(excerpt("é".repeat(200).as_bytes()), "é".repeat(200));
        assert_eq!(excerpt("é".repeat(201).as_bytes()), format!("{}… (402 bytes)", "é".repeat(200)));
        assert_eq!(excerpt(b"\xff"), "\u{fffd}");
    }

    proptest::proptest! {
        #[test]
        fn plain_text_is_shown_as_any_other(plain in "[ -~]{190,210}", other in "[ -~é\n]{0,3}") {
            for text in [plain.clone(), format!("{plain}{other}"), format!("{other}{plain}")] {
                let shown: String = text.chars().take(MAX_CHARS).map(|c| {
                    if c.is_control() { c.escape_default().to_string() } else { c.to_string() }
                }).collect();
                let cut = text.chars().count() > MAX_CHARS;
                let marks = if cut { format!("… ({} bytes)", text.len()) } else { String::new() };
                proptest::prop_assert_eq!(excerpt(text.as_bytes()), shown + &marks);
            }
        }
    }

    #[test]
    fn long_values_are_shown_where_they_part() {
        let (v1, v2) = (format!("{}one", "é".repeat(3000)), format!("{}two", "é".repeat(3000)));
        let (a, b) = excerpts(v1.as_bytes(), v2.as_bytes());
        assert_eq!(a, format!("…{}one (6003 bytes)", "é".repeat(20)));
        assert_eq!(b, format!("…{}two (6003 bytes)", "é".repeat(20)));
    }

    proptest::proptest! {
        #[test]
        fn the_first_difference_is_found_wherever_it_is(
            same in proptest::collection::vec(0_u8..=255, 0..70),
            rest in proptest::collection::vec(0_u8..=1, 0..20),
            other in proptest::collection::vec(0_u8..=1, 0..20),
        ) {
            let (v1, v2) = ([&same[..], &rest].concat(), [&same[..], &other].concat());
            let expected = v1.iter().zip(&v2).take_while(|(a, b)| a == b).count();
            proptest::prop_assert_eq!(first_difference(&v1, &v2), expected);
        }
    }

    #[test]
    fn the_first_difference_is_found_in_and_behind_whole_blocks() {
        let mut v = vec![7u8; 10_000];
        for at in [0, 4095, 4096, 9_999] {
            let before = v.clone();
            v[at] = 8;
            assert_eq!(first_difference(&before, &v), at);
            v = before;
        }
        assert_eq!(first_difference(&v, &v[..5000]), 5000);
    }
}
