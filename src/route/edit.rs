//! What rules change in a request: header fields, authority and path.

use std::fmt;
use std::str::FromStr;
use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;

use super::condition::PathMatch;
use super::pattern::Pattern;
use super::request::Target;

/// The name of a header field: a token (RFC 9110, section 5.1), case kept.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct FieldName(String);

impl FieldName {
    /// Whether it is this name, without regard to case.
    #[must_use]
    pub fn is(&self, name: &[u8]) -> bool {
        self.0.as_bytes().eq_ignore_ascii_case(name)
    }

    /// The name as it was given.
    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl fmt::Display for FieldName {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

/// The text names no header field, or gives it a value that would break the head.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum FieldError {
    /// The name has characters that names cannot have.
    #[error("`{0}` is not a header name: letters, digits and any of !#$%&'*+-.^_`|~")]
    Name(String),
    /// The colon between name and value is missing.
    #[error("`{0}` has no colon: write `name: value`")]
    NoColon(String),
    /// The value has a line break or a NUL in it.
    #[error("the value of `{0}` contains a line break or NUL, which no header can carry")]
    Value(String),
}

impl FromStr for FieldName {
    type Err = FieldError;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        let token = |b: u8| b.is_ascii_alphanumeric() || b"!#$%&'*+-.^_`|~".contains(&b);
        if text.is_empty() || !text.bytes().all(token) {
            return Err(FieldError::Name(text.to_owned()));
        }
        Ok(Self(text.to_owned()))
    }
}

/// A header field with its value.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Field {
    /// Its name.
    pub name: FieldName,
    value: Bytes,
}

impl Field {
    /// Its value.
    #[must_use]
    pub const fn value(&self) -> &Bytes {
        &self.value
    }

    /// A field of that name and value.
    ///
    /// # Errors
    /// When the value has CR, LF or NUL in it (RFC 9110, section 5.5).
    pub fn new(name: FieldName, value: impl Into<Bytes>) -> Result<Self, FieldError> {
        let value = value.into();
        if value.iter().any(|b| matches!(b, b'\r' | b'\n' | 0)) {
            return Err(FieldError::Value(name.0));
        }
        Ok(Self { name, value })
    }
}

/// Reads `name: value`.
impl FromStr for Field {
    type Err = FieldError;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        let (name, value) = text.split_once(':').ok_or_else(|| FieldError::NoColon(text.to_owned()))?;
        Self::new(name.parse()?, value.trim_matches([' ', '\t']).as_bytes().to_vec())
    }
}

/// What becomes of the fields of one name.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct FieldEdit {
    /// Whose fields.
    pub name: FieldName,
    /// Whether the captured ones stay.
    pub keep: bool,
    /// The values that come in addition, or in their place.
    pub values: Vec<Bytes>,
}

/// Operations on header fields, one after the other, as what they come to for each name.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct FieldEdits(Vec<FieldEdit>);

impl FieldEdits {
    /// Nothing is left of the name.
    pub fn remove(&mut self, name: FieldName) {
        let edit = self.of(name);
        edit.keep = false;
        edit.values.clear();
    }

    /// The name has this value and no other.
    pub fn set(&mut self, field: Field) {
        let edit = self.of(field.name.clone());
        *edit = FieldEdit { name: field.name, keep: false, values: vec![field.value] };
    }

    /// The name has this value, too.
    pub fn add(&mut self, field: Field) {
        self.of(field.name).values.push(field.value);
    }

    /// These, and then those.
    #[must_use]
    pub fn then(&self, later: &Self) -> Self {
        let mut all = self.clone();
        for edit in &later.0 {
            let sum = all.of(edit.name.clone());
            if !edit.keep {
                *sum = edit.clone();
                continue;
            }
            sum.values.extend_from_slice(&edit.values);
        }
        all
    }

    /// Whether nothing changes.
    #[must_use]
    pub const fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    /// The edits, in the order in which their names came up.
    pub fn iter(&self) -> impl Iterator<Item = &FieldEdit> {
        self.0.iter()
    }

    /// Where the edit of that name stands among them.
    #[must_use]
    pub fn position(&self, name: &[u8]) -> Option<usize> {
        self.0.iter().position(|edit| edit.name.is(name))
    }

    /// The one that stands there.
    #[must_use]
    pub fn get(&self, position: usize) -> Option<&FieldEdit> {
        self.0.get(position)
    }

    fn of(&mut self, name: FieldName) -> &mut FieldEdit {
        let at = self.position(name.0.as_bytes()).unwrap_or_else(|| {
            self.0.push(FieldEdit { name, keep: true, values: Vec::new() });
            self.0.len() - 1
        });
        &mut self.0[at]
    }
}

/// What a rule changes in the requests that it forwards, beside the target.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct RequestEdits {
    /// The authority that takes the place of the captured one.
    pub authority: Option<Arc<str>>,
    /// What the mesh tells the destination of the authority before that.
    pub replaced: Replaced,
    /// The fields.
    pub fields: FieldEdits,
    /// How long the mesh lets the destination answer, which it tells the destination in a field.
    pub timeout: Option<Duration>,
}

/// The authority before a rewrite, as Envoy tells it in `x-envoy-original-host`.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub enum Replaced {
    /// Envoy says nothing of it: there is no rewrite, or it is one of several weighted destinations' own.
    #[default]
    Untold,
    /// The captured one.
    Captured,
    /// That of the weighted destination, which the rule's own rewrites once more.
    Other(Arc<str>),
}

impl RequestEdits {
    /// Whether nothing changes.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        *self == Self::default()
    }
}

/// Words for `shadowcap route`.
impl fmt::Display for RequestEdits {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let mut told: Vec<String> = Vec::new();
        told.extend(self.authority.iter().map(|authority| format!("authority {authority}")));
        for edit in self.fields.iter() {
            let values = edit.values.iter().map(|value| format!("{:?}", String::from_utf8_lossy(value)));
            let values = values.collect::<Vec<_>>().join(", ");
            told.push(match (edit.keep, edit.values.is_empty()) {
                (false, true) => format!("remove {}", edit.name),
                (false, false) => format!("set {} {values}", edit.name),
                (true, _) => format!("add {} {values}", edit.name),
            });
        }
        f.write_str(&told.join(", "))
    }
}

/// What a rule makes of the path.
#[derive(Clone, Debug)]
pub enum PathRewrite {
    /// This takes the place of what the match named: a prefix, else the whole path.
    Matched(String),
    /// This takes the place of the path elements that the match named, so that no slash is doubled or lost
    /// (Gateway API's `ReplacePrefixMatch`); without the trailing slash.
    Elements(String),
    /// This is the path.
    Full(String),
    /// Each part of the path that matches is replaced, with `\1` for what the first group matched.
    Regex(Pattern, Substitution),
}

impl PathRewrite {
    /// A rewrite by a pattern and its substitution.
    ///
    /// # Errors
    /// When the substitution is wrong; in words.
    pub fn regex(pattern: Pattern, substitution: &str) -> Result<Self, String> {
        let substitution = Substitution::new(substitution, pattern.groups())?;
        Ok(Self::Regex(pattern, substitution))
    }

    /// The target with its path rewritten, after a match on `path`.
    #[must_use]
    pub fn apply(&self, target: &Target<'_>, path: Option<&PathMatch>) -> Bytes {
        let old = &target.matched_path()[..];
        let matched = path.and_then(|path| path.matched(old)).unwrap_or(old.len()).min(old.len());
        let after = &old[matched..];
        let new = match self {
            Self::Full(text) => text.as_bytes().to_vec(),
            Self::Elements(text) if text.is_empty() && after.is_empty() => b"/".to_vec(),
            Self::Matched(text) | Self::Elements(text) => [text.as_bytes(), after].concat(),
            Self::Regex(pattern, substitution) => substitution.replace_all(pattern, old),
        };
        // A request line needs a target.
        let new = if new.is_empty() && target.origin.is_empty() { b"/".to_vec() } else { new };
        [target.origin, &new, target.rest].concat().into()
    }
}

/// The text that takes the place of a match, in RE2's syntax: `\0` is all of it, `\1` to `\9` are its
/// groups, `\\` is a backslash.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Substitution(Vec<Piece>);

#[derive(Clone, Debug, PartialEq, Eq)]
enum Piece {
    Text(u8),
    Group(usize),
}

impl Substitution {
    fn new(text: &str, groups: usize) -> Result<Self, String> {
        let mut pieces = Vec::new();
        let mut bytes = text.bytes();
        while let Some(byte) = bytes.next() {
            pieces.push(match (byte, byte == b'\\') {
                (byte, false) => Piece::Text(byte),
                (_, true) => match bytes.next() {
                    Some(b'\\') => Piece::Text(b'\\'),
                    Some(digit @ b'0'..=b'9') if usize::from(digit - b'0') <= groups => {
                        Piece::Group(usize::from(digit - b'0'))
                    }
                    Some(digit @ b'0'..=b'9') => {
                        return Err(format!(
                            "\\{} names a group that the pattern does not have",
                            char::from(digit)
                        ));
                    }
                    _ => return Err("a backslash stands before a digit or another backslash".to_owned()),
                },
            });
        }
        Ok(Self(pieces))
    }

    fn replace_all(&self, pattern: &Pattern, path: &[u8]) -> Vec<u8> {
        let Some(regex) = pattern.finder() else { return path.to_vec() };
        let replaced = regex.replace_all(path, |captures: &regex::bytes::Captures<'_>| {
            let mut out = Vec::new();
            for piece in &self.0 {
                match piece {
                    Piece::Text(byte) => out.push(*byte),
                    Piece::Group(group) => {
                        out.extend_from_slice(captures.get(*group).map_or(b"", |group| group.as_bytes()));
                    }
                }
            }
            out
        });
        replaced.into_owned()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn fields_that_would_break_a_head_are_refused() {
        for text in ["no colon", ": value", "two words: x", "n\u{e9}: x", "a: b\r\nEvil: 1", "a: \0"] {
            assert!(text.parse::<Field>().is_err(), "{text:?}");
        }
        assert!("a: b:c".parse::<Field>().is_ok());
        assert!("".parse::<FieldName>().is_err());
    }
}
