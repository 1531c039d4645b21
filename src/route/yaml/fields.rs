//! Takes mappings apart field by field.
//!
//! Protocol buffers in JSON accept two spellings of a name, `mirrorPercent` and `mirror_percent`; so does
//! this. A field that is there and null counts as absent, as it does there.

use std::sync::Arc;

use super::{Line, Node, Value};
use crate::route::note::{Origin, RulesError, Warning};
use crate::route::pattern::{Pattern, Patterns};

/// The files while they are read: their names, and what there is to say about them.
#[derive(Debug, Default)]
pub(in crate::route) struct Reader {
    files: Vec<Arc<str>>,
    warnings: Vec<Warning>,
    patterns: Patterns,
}

/// Warnings that are kept; files with more are not such as were written by hand.
const MOST_WARNINGS: usize = 1000;

impl Reader {
    pub(in crate::route) fn new<'f>(files: impl IntoIterator<Item = &'f str>) -> Self {
        Self { files: files.into_iter().map(Into::into).collect(), ..Self::default() }
    }

    /// The pattern that is written so, shared with all places that have it.
    pub(in crate::route) fn pattern(&mut self, source: &str) -> Result<Pattern, String> {
        self.patterns.get(source)
    }

    pub(in crate::route) fn origin(&self, line: Line) -> Origin {
        let file = self.files.get(line.file).cloned().unwrap_or_default();
        Origin { file, line: line.number }
    }

    pub(in crate::route) fn warn(&mut self, line: Line, text: impl Into<String>) {
        if self.warnings.len() < MOST_WARNINGS {
            self.warnings.push(Warning { origin: self.origin(line), text: text.into() });
        }
    }

    /// What was said so far.
    pub(in crate::route) fn take_warnings(&mut self) -> Vec<Warning> {
        std::mem::take(&mut self.warnings)
    }

    pub(in crate::route) fn fail<T>(&self, line: Line, problem: impl Into<String>) -> Result<T, RulesError> {
        Err(RulesError::new(self.origin(line), problem))
    }

    /// The value is not of the type that its place wants.
    fn wrong<T>(&self, what: &str, node: &Node, wanted: &str) -> Result<T, RulesError> {
        let hint = match (&node.value, wanted) {
            (Value::Bool(_) | Value::Int(_) | Value::Float(_), "a text") => "; put it in quotes",
            _ => "",
        };
        self.fail(node.line, format!("`{what}` is {}, where {wanted} belongs{hint}", node.value.kind()))
    }

    /// The mapping that `node` is.
    pub(in crate::route) fn fields<'n>(&self, what: &str, node: &'n Node) -> Result<Fields<'n>, RulesError> {
        match &node.value {
            Value::Map(entries) => {
                let unused =
                    entries.iter().map(|(key, value)| (key.name.as_str(), key.line, value)).collect();
                Ok(Fields { what: what.to_owned(), line: node.line, entries: unused })
            }
            _ => self.wrong(what, node, "a mapping"),
        }
    }

    pub(in crate::route) fn list<'n>(&self, what: &str, node: &'n Node) -> Result<&'n [Node], RulesError> {
        match &node.value {
            Value::List(items) => Ok(items),
            _ => self.wrong(what, node, "a list"),
        }
    }

    pub(in crate::route) fn text<'n>(&self, what: &str, node: &'n Node) -> Result<&'n str, RulesError> {
        match &node.value {
            Value::Text(text) => Ok(text),
            _ => self.wrong(what, node, "a text"),
        }
    }

    pub(in crate::route) fn texts(&self, what: &str, node: &Node) -> Result<Vec<String>, RulesError> {
        self.list(what, node)?.iter().map(|item| self.text(what, item).map(str::to_owned)).collect()
    }

    /// Names and texts, with the line of each.
    pub(in crate::route) fn text_map<'n>(
        &self,
        what: &str,
        node: &'n Node,
    ) -> Result<Vec<(&'n str, &'n str, Line)>, RulesError> {
        let fields = self.fields(what, node)?;
        fields.entries.iter().map(|(name, line, value)| Ok((*name, self.text(name, value)?, *line))).collect()
    }

    /// The entries of a mapping, by name.
    pub(in crate::route) fn entries<'n>(
        &self,
        what: &str,
        node: &'n Node,
    ) -> Result<Vec<(&'n str, &'n Node)>, RulesError> {
        Ok(self.fields(what, node)?.entries.iter().map(|(name, _, value)| (*name, *value)).collect())
    }

    pub(in crate::route) fn boolean(&self, what: &str, node: &Node) -> Result<bool, RulesError> {
        match node.value {
            Value::Bool(value) => Ok(value),
            _ => self.wrong(what, node, "`true` or `false`"),
        }
    }

    pub(in crate::route) fn number(&self, what: &str, node: &Node) -> Result<f64, RulesError> {
        #[expect(clippy::cast_precision_loss, reason = "percentages are small, and larger ones are refused")]
        match node.value {
            Value::Int(value) => Ok(value as f64),
            Value::Float(value) => Ok(value),
            _ => self.wrong(what, node, "a number"),
        }
    }

    /// A whole number from 0 to `most`.
    pub(in crate::route) fn whole(&self, what: &str, node: &Node, most: u32) -> Result<u32, RulesError> {
        match node.value {
            Value::Int(value) => match u32::try_from(value).ok().filter(|value| *value <= most) {
                Some(value) => Ok(value),
                None => self.fail(
                    node.line,
                    format!("`{what}` is {value}: a whole number from 0 to {most} belongs here"),
                ),
            },
            _ => self.wrong(what, node, "a whole number"),
        }
    }
}

/// The fields of a mapping that nobody has asked for yet.
#[derive(Debug)]
pub(in crate::route) struct Fields<'n> {
    what: String,
    line: Line,
    entries: Vec<(&'n str, Line, &'n Node)>,
}

impl<'n> Fields<'n> {
    /// A mapping without fields.
    pub(in crate::route) fn empty(what: &str, line: Line) -> Self {
        Self { what: what.to_owned(), line, entries: Vec::new() }
    }

    /// One of the fields that nobody has asked for, and its line.
    pub(in crate::route) fn first(&self) -> Option<(&'n str, Line)> {
        self.entries.first().map(|(name, line, _)| (*name, *line))
    }

    /// Where the mapping begins.
    pub(in crate::route) const fn line(&self) -> Line {
        self.line
    }

    /// The value of a field, by its name as it is in both spellings, which may still be asked for.
    pub(in crate::route) fn peek(&self, name: &str) -> Option<&'n Node> {
        self.entries.iter().find(|(key, ..)| *key == name).map(|(.., node)| *node)
    }

    /// The value of a field; `None` where it is absent or null. It is asked for by its name in camel case.
    pub(in crate::route) fn take(&mut self, name: &str) -> Option<&'n Node> {
        let other = snake_case(name);
        let at = self.entries.iter().position(|(key, ..)| *key == name || *key == other)?;
        let (.., node) = self.entries.swap_remove(at);
        (!matches!(node.value, Value::Null)).then_some(node)
    }

    /// The value of a field that has to be there.
    pub(in crate::route) fn need(&mut self, reader: &Reader, name: &str) -> Result<&'n Node, RulesError> {
        match self.take(name) {
            Some(node) => Ok(node),
            None => reader.fail(self.line, format!("{} has no `{name}`", self.what)),
        }
    }

    /// Drops fields that say nothing about where a request goes.
    pub(in crate::route) fn ignore(&mut self, names: &[&str]) {
        self.entries.retain(|(key, ..)| !names.iter().any(|name| *name == *key || snake_case(name) == *key));
    }

    /// Warns of fields that a mesh acts on and this program does not, and says what that means.
    pub(in crate::route) fn pass_over(&mut self, reader: &mut Reader, table: &[(&str, &str)]) {
        for (name, meaning) in table {
            let other = snake_case(name);
            if let Some(at) = self.entries.iter().position(|(key, ..)| *key == *name || *key == other) {
                let (key, line, _) = self.entries.swap_remove(at);
                reader.warn(line, format!("`{key}` is not acted on: {meaning}"));
            }
        }
    }

    /// Warns of what is left: nobody knows it here.
    pub(in crate::route) fn end(mut self, reader: &mut Reader, known: &[&str]) {
        self.entries.sort_by_key(|(_, line, _)| *line);
        for (key, line, _) in &self.entries {
            let hint = nearest(key, known).map_or(String::new(), |name| format!("; is `{name}` meant?"));
            reader.warn(*line, format!("{} has no field `{key}`, so it is not acted on{hint}", self.what));
        }
    }
}

/// `mirrorPercent` as `mirror_percent`.
fn snake_case(name: &str) -> String {
    let mut out = String::with_capacity(name.len() + 4);
    for c in name.chars() {
        if c.is_ascii_uppercase() {
            out.push('_');
        }
        out.push(c.to_ascii_lowercase());
    }
    out
}

/// The known name that differs least, where it is near enough to be a slip of the hand.
fn nearest<'k>(name: &str, known: &[&'k str]) -> Option<&'k str> {
    if name.len() > 64 {
        return None;
    }
    let distances = known.iter().map(|known| (distance(name, known), *known));
    distances.min().filter(|(distance, _)| *distance <= 2).map(|(_, known)| known)
}

/// The edit distance of Levenshtein, without regard to case.
fn distance(a: &str, b: &str) -> usize {
    let b: Vec<char> = b.chars().flat_map(char::to_lowercase).collect();
    let mut row: Vec<usize> = (0..=b.len()).collect();
    for (i, from) in a.chars().flat_map(char::to_lowercase).enumerate() {
        let mut diagonal = std::mem::replace(&mut row[0], i + 1);
        for (j, to) in b.iter().enumerate() {
            let cost = (diagonal + usize::from(from != *to)).min(row[j] + 1).min(row[j + 1] + 1);
            diagonal = std::mem::replace(&mut row[j + 1], cost);
        }
    }
    row.last().copied().unwrap_or_default()
}
