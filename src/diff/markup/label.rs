//! What tells an element of HTML from others of its name: its id, its `name`, or the first of its classes.
//!
//! Only a word does, as an author writes it: what a machine or data makes (`ember123`, `css-1x2y3z`, `user-17`) is another in
//! each answer, and would make many differences out of one.

use std::fmt;

use super::tree::Element;

/// Longer texts are no words.
const MAX_BYTES: usize = 32;
/// Parts of a word, as in `searchResultList`.
const MAX_PARTS: usize = 5;

/// What an element is called, beside its name.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Label<'t> {
    None,
    /// No other element of the document has it (HTML, section 3.2.6).
    Id(&'t str),
    Name(&'t str),
    Class(&'t str),
}

impl<'t> Label<'t> {
    pub(super) fn of(element: &'t Element) -> Self {
        let value = |name: &str| {
            let at = element.attributes.binary_search_by(|(other, _)| (**other).cmp(name)).ok()?;
            Some(&*element.attributes[at].1)
        };
        let word = |name: &str| value(name).filter(|text| is_word(text));
        let class = || value("class").and_then(|classes| classes.split(' ').find(|class| is_word(class)));
        word("id")
            .map(Self::Id)
            .or_else(|| value("name").filter(|name| is_word(name) || is_letter(name)).map(Self::Name))
            .or_else(|| class().map(Self::Class))
            .unwrap_or(Self::None)
    }

    pub(super) fn is_unique(self) -> bool {
        matches!(self, Self::Id(_))
    }
}

/// As in a selector.
impl fmt::Display for Label<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::None => Ok(()),
            Self::Id(id) => write!(f, "#{id}"),
            Self::Name(name) => write!(f, "[name={name}]"),
            Self::Class(class) => write!(f, ".{class}"),
        }
    }
}

/// As the shortest fields of forms are called.
fn is_letter(text: &str) -> bool {
    matches!(text.as_bytes(), [b'a'..=b'z'])
}

/// Letters alone, in parts that can be spoken, at most one of them of two letters, joined by hyphens or capitals.
fn is_word(text: &str) -> bool {
    let letters = text.bytes().all(|b| b.is_ascii_alphabetic() || b"-_".contains(&b));
    let hex = text.len() >= 8 && text.bytes().all(|b| b.is_ascii_hexdigit());
    let (mut parts, mut short, mut part) = (0, 0, String::new());
    let mut good = true;
    for b in text.bytes().chain([b'-']) {
        let ends = b"-_".contains(&b)
            || (b.is_ascii_uppercase() && part.ends_with(|c: char| c.is_ascii_lowercase()));
        if ends && !part.is_empty() {
            good &= is_spoken(&part);
            parts += 1;
            short += usize::from(part.len() == 2);
            part.clear();
        }
        if b.is_ascii_alphabetic() {
            part.push(char::from(b));
        }
    }
    letters && !hex && good && short <= 1 && (1..=MAX_PARTS).contains(&parts) && text.len() <= MAX_BYTES
}

/// Abbreviations are short, and other words have vowels.
fn is_spoken(part: &str) -> bool {
    let vowel = |b: u8| b"aeiouyAEIOUY".contains(&b);
    part.len() >= 2 && (part.len() < 5 || part.bytes().any(vowel))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn words_are_what_authors_write() {
        for word in [
            "main",
            "item",
            "search-results",
            "searchResultList",
            "nav_bar",
            "btn",
            "btn-primary",
            "col-md",
            "csrf",
            "csrfmiddlewaretoken",
            "q-input",
            "HTML",
            "price",
        ] {
            assert_eq!(is_word(word), word != "q-input", "{word}");
        }
        for made in [
            "",
            "x",
            "ember123",
            "css-1x2y3z",
            "user-17",
            ":r1:",
            "deadbeef",
            "Button_root__3hK2j",
            "sc-bdVaJa",
            "xQwKzTr",
            "zxcvbnm",
            "a-b-c",
            "-",
            "mw-content-text-of-the-page-title",
            "caf\u{e9}",
            "a b",
            "123e4567-e89b-12d3-a456-426614174000",
        ] {
            assert!(!is_word(made), "{made}");
        }
    }
}
