//! Makes text from the wire harmless to show: nothing moves a cursor, hides, or reorders what is read.

use std::borrow::Cow;

/// The text with control, bidirectional and invisible characters written as escapes: `\n`, `\u{202e}`.
pub(crate) fn visible(text: &str) -> Cow<'_, str> {
    // Most text is plain, which is told from its bytes.
    if is_plain(text) || !text.chars().any(is_deceptive) {
        return Cow::Borrowed(text);
    }
    let mut out = String::with_capacity(text.len() + 16);
    for c in text.chars() {
        if is_deceptive(c) {
            out.extend(c.escape_default());
        } else {
            out.push(c);
        }
    }
    Cow::Owned(out)
}

/// Whether a text is one of printable ASCII alone.
fn is_plain(text: &str) -> bool {
    // Looking at all of it is done many bytes at once, in lanes of a byte.
    text.bytes().fold(0, |other, b| other | u8::from(b.wrapping_sub(b' ') > b'~' - b' ')) == 0
}

/// The text in which no runner of a pipeline finds a command: those of Azure, GitHub's older ones and
/// `TeamCity`'s are obeyed wherever in a line they stand. (GitHub's `::` counts at a line's start alone, where
/// nothing from the wire stands.)
pub(crate) fn without_commands(text: &str) -> Cow<'_, str> {
    let marks = ["##[", "##vso[", "##teamcity["];
    // Most text has not even their beginning.
    if memchr::memmem::find(text.as_bytes(), b"##").is_none() || !marks.iter().any(|mark| text.contains(mark))
    {
        return Cow::Borrowed(text);
    }
    let apart = |text: String, mark: &str| text.replace(mark, &mark.replacen("##", "# #", 1));
    Cow::Owned(marks.into_iter().fold(text.to_owned(), apart))
}

/// At most `most` characters of [`visible`] text, the last an ellipsis where some are left out.
pub(super) fn excerpt(text: &str, most: usize) -> String {
    // No text has more characters than bytes.
    if text.len() <= most {
        let shown = visible(text);
        if shown.len() <= most {
            return shown.into_owned();
        }
    }
    // Text far beyond the limit is not looked at.
    let head: String = text.chars().take(most + 1).collect();
    let shown = visible(&head);
    if shown.chars().count() <= most {
        return shown.into_owned();
    }
    shown.chars().take(most.saturating_sub(1)).chain(['…']).collect()
}

/// Whether a character acts on how others are shown instead of being shown itself.
pub(super) fn is_deceptive(c: char) -> bool {
    c.is_control()
        || matches!(c,
            '\u{00ad}' | '\u{061c}' | '\u{180e}' | '\u{200b}'..='\u{200f}' | '\u{2028}'..='\u{202e}'
            | '\u{2060}'..='\u{206f}' | '\u{feff}' | '\u{fff9}'..='\u{fffb}' | '\u{e0000}'..='\u{e007f}')
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn nothing_that_acts_on_the_reader_is_left() {
        for (text, shown) in [
            ("plain ü 漢", "plain ü 漢"),
            ("a\nb\tc", "a\\nb\\tc"),
            ("\x1b[31mred", "\\u{1b}[31mred"),
            ("gpj.\u{202e}exe", "gpj.\\u{202e}exe"),
            ("a\u{200b}b\u{9b}c", "a\\u{200b}b\\u{9b}c"),
        ] {
            assert_eq!(visible(text), shown);
        }
    }

    proptest::proptest! {
        #[test]
        fn plain_text_is_shown_as_it_is(text in "[ -~]{0,9}|.{0,9}", most in 1_usize..9) {
            let shown: String = visible(&text.chars().take(most + 1).collect::<String>()).into_owned();
            let expected = match shown.chars().count() {
                count if count <= most => shown,
                _ => shown.chars().take(most - 1).chain(['…']).collect(),
            };
            proptest::prop_assert_eq!(excerpt(&text, most), expected);
        }
    }

    #[test]
    fn no_command_of_a_pipeline_is_left() {
        assert_eq!(without_commands("a ##[error]x ##vso[task]"), "a # #[error]x # #vso[task]");
        assert_eq!(without_commands("## heading ##"), "## heading ##");
    }

    #[test]
    fn an_excerpt_says_that_it_is_one() {
        assert_eq!(excerpt("abcdef", 6), "abcdef");
        assert_eq!(excerpt("abcdefg", 6), "abcde…");
        assert_eq!(excerpt("\n\n\n\n", 6), "\\n\\n\\…");
    }
}
