//! What the user wants redacted beside what is known: `--redact-also NAME|PATTERN`.

use std::ops::Range;

use regex::bytes::Regex;

use super::names::Names;

/// Names and patterns of the user's.
#[derive(Clone, Debug, Default)]
pub struct Also {
    pub(super) names: Names,
    patterns: Vec<Regex>,
}

/// A word that is neither a name nor a pattern.
#[derive(Debug, thiserror::Error)]
#[error("`{word}` is no name and no regular expression: {reason}")]
pub struct AlsoError {
    /// What was given.
    pub word: String,
    /// What is wrong with it.
    pub reason: String,
}

impl Also {
    /// Reads words: letters, digits, `-`, `_` and `.` are the name of a header field, parameter, cookie, form
    /// field or JSON member; anything else is a regular expression, of whose match, or first group where it
    /// has one, the text is redacted wherever it stands.
    ///
    /// # Errors
    /// When a word is no regular expression, or one that matches nothing at all.
    pub fn parse<W: AsRef<str>>(words: impl IntoIterator<Item = W>) -> Result<Self, AlsoError> {
        let mut also = Self::default();
        for word in words {
            let word = word.as_ref();
            let error = |reason: String| AlsoError { word: word.to_owned(), reason };
            if word.is_empty() {
                return Err(error("it is empty".to_owned()));
            }
            if word.bytes().all(|b| b.is_ascii_alphanumeric() || b"-_.".contains(&b)) {
                also.names.add(word);
                continue;
            }
            let pattern = Regex::new(word).map_err(|e| error(e.to_string()))?;
            if pattern.is_match(b"") {
                return Err(error("it matches the empty text, and so everything".to_owned()));
            }
            also.patterns.push(pattern);
        }
        Ok(also)
    }

    /// Whether there are patterns, which may match anything.
    pub(super) fn has_patterns(&self) -> bool {
        !self.patterns.is_empty()
    }

    /// Calls `found` with the span of each match.
    pub(super) fn matches(&self, text: &[u8], found: &mut impl FnMut(Range<usize>)) {
        for pattern in &self.patterns {
            for captures in pattern.captures_iter(text) {
                let span = captures.get(1).or_else(|| captures.get(0)).map(|found| found.range());
                span.filter(|span| !span.is_empty()).into_iter().for_each(&mut *found);
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn words_are_names_or_patterns() {
        let also = Also::parse(["x-customer", "cust=([a-z]+)", r"\d{3}-\d{3}"]).unwrap();
        let mut found = Vec::new();
        let text = b"cust=ada; 123-456; cust=";
        also.matches(text, &mut |span| found.push(&text[span]));
        assert_eq!(found, [&b"ada"[..], b"123-456"]);
        for (word, reason) in [("", "empty"), ("a*", "empty text"), ("(", "unclosed group")] {
            let message = Also::parse([word]).unwrap_err().to_string();
            assert!(message.contains(reason), "{word}: {message}");
        }
    }
}
