//! Patterns of rules: checked when they are read, compiled when they are first asked.

use std::collections::HashMap;
use std::sync::{Arc, OnceLock};

use regex::bytes::{Regex, RegexBuilder};

use super::re2::{Translated, translate};

/// A regular expression in RE2's syntax, as Envoy matches with it: on bytes.
#[derive(Clone, Debug)]
pub struct Pattern(Arc<Inner>);

#[derive(Debug)]
struct Inner {
    source: String,
    translated: Translated,
    /// It has to match the whole of a value.
    whole: OnceLock<Option<Regex>>,
    /// It may match any part.
    part: OnceLock<Option<Regex>>,
}

impl PartialEq for Pattern {
    fn eq(&self, other: &Self) -> bool {
        self.0.source == other.0.source
    }
}

/// States of one pattern. Istio has Envoy refuse those whose program is longer than this.
const MOST_STATES: u64 = 32_768;
/// States of all different patterns of the files together: some 20,000 patterns as people write them.
const MOST_STATES_OF_ALL: u64 = 500_000;
/// Memory that a compiled pattern may take, in bytes; what has no more states than are allowed takes less.
const MOST_MEMORY: usize = 1 << 28;

impl Pattern {
    /// A pattern in RE2's syntax. Classes such as `\d` are ASCII, as they are there.
    ///
    /// # Errors
    /// When it is no such pattern, or too large; in words.
    pub fn new(source: &str) -> Result<Self, String> {
        let translated = translate(source)?;
        if translated.states > MOST_STATES {
            return Err(format!("it is larger than Istio lets patterns be ({MOST_STATES} states)"));
        }
        // The last word on what is well-formed, without the cost of compiling it.
        check(&translated.text)?;
        let (whole, part) = (OnceLock::new(), OnceLock::new());
        Ok(Self(Arc::new(Inner { source: source.to_owned(), translated, whole, part })))
    }

    /// The pattern as it was written.
    #[must_use]
    pub fn source(&self) -> &str {
        &self.0.source
    }

    /// Whether the whole of a value matches.
    #[must_use]
    pub fn matches(&self, value: &[u8]) -> bool {
        let whole = || compile(&format!(r"\A(?:{})\z", self.0.translated.text));
        self.0.whole.get_or_init(whole).as_ref().is_some_and(|regex| regex.is_match(value))
    }

    /// What finds it in any part of a value.
    pub(super) fn finder(&self) -> Option<&Regex> {
        self.0.part.get_or_init(|| compile(&self.0.translated.text)).as_ref()
    }

    /// How many groups it captures.
    pub(super) fn groups(&self) -> usize {
        self.0.translated.groups
    }
}

/// `None` never comes of what was checked and has no more states than are allowed.
fn compile(text: &str) -> Option<Regex> {
    RegexBuilder::new(text).unicode(false).size_limit(MOST_MEMORY).build().ok()
}

fn check(text: &str) -> Result<(), String> {
    let parsed = regex_syntax::ParserBuilder::new().unicode(false).utf8(false).build().parse(text);
    parsed.map(|_| ()).map_err(|error| {
        // The reason, without the drawing of the pattern above it.
        let text = error.to_string();
        text.lines().last().unwrap_or_default().trim_start_matches("error: ").to_owned()
    })
}

/// The patterns of the files that are read: equal ones are one, and all together are bounded.
#[derive(Debug, Default)]
pub(super) struct Patterns {
    known: HashMap<String, Pattern>,
    states: u64,
}

impl Patterns {
    /// The pattern that is written so.
    ///
    /// # Errors
    /// When it is none, or with all others is more than rules need; in words.
    pub(super) fn get(&mut self, source: &str) -> Result<Pattern, String> {
        if let Some(known) = self.known.get(source) {
            return Ok(known.clone());
        }
        let pattern =
            Pattern::new(source).map_err(|reason| format!("{source:?} is no pattern of RE2: {reason}"))?;
        self.states = self.states.saturating_add(pattern.0.translated.states);
        if self.states > MOST_STATES_OF_ALL {
            return Err(format!(
                "up to here, the patterns of these files come to {} states, which is more than any rules need ({MOST_STATES_OF_ALL})",
                self.states
            ));
        }
        self.known.insert(source.to_owned(), pattern.clone());
        Ok(pattern)
    }
}
