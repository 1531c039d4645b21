//! What is changed in a captured head before it leaves: the Host, and what the user or Envoy's manners
//! ask for besides. Whatever no edit names goes out byte for byte.

use std::fmt;
use std::net::IpAddr;
use std::ops::Range;
use std::str::FromStr;

use bytes::Bytes;

use crate::http::RequestHead;
use crate::route::HostEdit;
use crate::route::host::effective_host;

/// The name of a header field: a token (RFC 9110, section 5.1), case kept.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct FieldName(String);

impl FieldName {
    fn is(&self, name: &[u8]) -> bool {
        self.0.as_bytes().eq_ignore_ascii_case(name)
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

/// A header field to set.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Field {
    name: FieldName,
    value: Bytes,
}

impl Field {
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

/// The edits of a head. Where several name one field, `set` goes before `remove`, and both before what
/// the shadow itself changes.
#[derive(Clone, Debug, Default)]
pub struct HeadEdits {
    /// What becomes of the Host.
    pub host: HostEdit,
    /// Adds what Envoy adds to a shadow: `x-envoy-internal: true`, and the client's address at the end
    /// of `x-forwarded-for`, after a comma without a space, as Envoy writes it.
    pub as_envoy: bool,
    /// Fields to leave out, all of each name.
    pub remove: Vec<FieldName>,
    /// Fields to set: the first of that name gets the value, the others are left out; where there is
    /// none, it goes to the end.
    pub set: Vec<Field>,
}

const FORWARDED_FOR: &str = "x-forwarded-for";
const ENVOY_INTERNAL: &str = "x-envoy-internal";

/// What becomes of one field.
enum Fate {
    Keep,
    Value(Bytes),
    Drop,
}

impl HeadEdits {
    /// The same edits with the Host unchanged, as a canary gets it.
    #[must_use]
    pub fn keeping_host(&self) -> Self {
        Self { host: HostEdit::None, ..self.clone() }
    }

    /// The head as it leaves, for a request that came from `client`.
    ///
    /// Each Host field that the head has is edited, since a server may read any of them; none is added
    /// where there is none. The target stays as captured, also in absolute form, whose authority then
    /// gives the value of the Host field (without one, nothing carries the shadow's name).
    #[must_use]
    pub fn apply(&self, head: &RequestHead, client: IpAddr) -> Bytes {
        let mut editor = Editor::new(self, head, client);
        for (index, (name, value)) in head.headers.iter().enumerate() {
            match editor.fate(index, name, value) {
                Fate::Keep => {}
                Fate::Value(value) => editor.replace(index, &value),
                Fate::Drop => editor.drop_field(index),
            }
        }
        editor.finish()
    }

    /// The value of the first field of that name in the head as it leaves.
    #[must_use]
    pub fn value_after<'a>(&'a self, head: &'a RequestHead, name: &'a str) -> Option<&'a [u8]> {
        match self.setting(name.as_bytes()).and_then(|place| self.set.get(place)) {
            Some(field) => Some(&field.value),
            None if self.removes(name.as_bytes()) => None,
            None => head.headers.get(name),
        }
    }

    fn setting(&self, name: &[u8]) -> Option<usize> {
        self.set.iter().rposition(|field| field.name.is(name))
    }

    fn removes(&self, name: &[u8]) -> bool {
        self.remove.iter().any(|removed| removed.is(name))
    }
}

/// One head on its way out: walks over the fields once, in order.
struct Editor<'a> {
    edits: &'a HeadEdits,
    head: &'a RequestHead,
    client: IpAddr,
    /// Which of `edits.set` have found their place.
    placed: Vec<bool>,
    /// The last `x-forwarded-for`, where Envoy's manners are asked for.
    forwarded_for: Option<usize>,
    has_envoy_internal: bool,
    out: Vec<u8>,
    /// How much of the raw head has been dealt with.
    copied: usize,
}

impl<'a> Editor<'a> {
    fn new(edits: &'a HeadEdits, head: &'a RequestHead, client: IpAddr) -> Self {
        let mut names = head.headers.iter().map(|(name, _)| name);
        let is = |wanted: &'static str| move |name: &[u8]| name.eq_ignore_ascii_case(wanted.as_bytes());
        let forwarded_for = if edits.as_envoy {
            names.clone().enumerate().filter(|(_, name)| is(FORWARDED_FOR)(name)).map(|(i, _)| i).last()
        } else {
            None
        };
        Self {
            edits,
            head,
            client,
            placed: vec![false; edits.set.len()],
            forwarded_for,
            has_envoy_internal: names.any(is(ENVOY_INTERNAL)),
            out: Vec::with_capacity(head.raw().len() + 64),
            copied: 0,
        }
    }

    fn fate(&mut self, index: usize, name: &[u8], value: &[u8]) -> Fate {
        if let Some(place) = self.edits.setting(name) {
            return self.set(place);
        }
        if self.edits.removes(name) {
            return Fate::Drop;
        }
        if name.eq_ignore_ascii_case(b"host") {
            let host = effective_host(self.head.target(), value);
            return self.edits.host.apply(host).map_or(Fate::Keep, Fate::Value);
        }
        if self.forwarded_for == Some(index) {
            let separator: &[u8] = if value.is_empty() { b"" } else { b"," };
            return Fate::Value([value, separator, self.client.to_string().as_bytes()].concat().into());
        }
        if self.edits.as_envoy && name.eq_ignore_ascii_case(ENVOY_INTERNAL.as_bytes()) {
            return Fate::Value(Bytes::from_static(b"true"));
        }
        Fate::Keep
    }

    fn set(&mut self, place: usize) -> Fate {
        let (Some(field), Some(placed)) = (self.edits.set.get(place), self.placed.get_mut(place)) else {
            return Fate::Keep;
        };
        if std::mem::replace(placed, true) { Fate::Drop } else { Fate::Value(field.value.clone()) }
    }

    fn replace(&mut self, index: usize, value: &[u8]) {
        if let Some(lines) = Lines::of_field(self.head, index) {
            self.copy_to(lines.value);
            self.out.extend_from_slice(value);
        }
    }

    fn drop_field(&mut self, index: usize) {
        if let Some(lines) = Lines::of_field(self.head, index) {
            self.copy_to(lines.all);
        }
    }

    /// Copies what lies ahead of `replaced` and passes over it.
    fn copy_to(&mut self, replaced: Range<usize>) {
        self.out.extend_from_slice(self.head.raw().get(self.copied..replaced.start).unwrap_or_default());
        self.copied = replaced.end;
    }

    /// The rest of the head, with the fields that it does not have yet ahead of its empty line.
    fn finish(mut self) -> Bytes {
        let edits = self.edits;
        let raw = &self.head.raw()[..];
        let end = empty_line(raw);
        self.copy_to(raw.len() - end.len()..raw.len());
        let free = |name: &str| {
            edits.as_envoy && edits.setting(name.as_bytes()).is_none() && !edits.removes(name.as_bytes())
        };
        if self.forwarded_for.is_none() && free(FORWARDED_FOR) {
            let client = self.client.to_string();
            self.add(FORWARDED_FOR, client.as_bytes(), end);
        }
        if !self.has_envoy_internal && free(ENVOY_INTERNAL) {
            self.add(ENVOY_INTERNAL, b"true", end);
        }
        for (place, field) in edits.set.iter().enumerate() {
            let counts = edits.setting(field.name.0.as_bytes()) == Some(place);
            if counts && self.placed.get(place) == Some(&false) {
                self.add(&field.name.0, &field.value, end);
            }
        }
        self.out.extend_from_slice(end);
        self.out.into()
    }

    fn add(&mut self, name: &str, value: &[u8], line_end: &[u8]) {
        for part in [name.as_bytes(), b": ", value, line_end] {
            self.out.extend_from_slice(part);
        }
    }
}

/// Where in the raw head one field lies.
struct Lines {
    /// From its name to the end of its last line.
    all: Range<usize>,
    /// Its value; where that is empty, the place after the colon and the white space that follows it.
    value: Range<usize>,
}

impl Lines {
    fn of_field(head: &RequestHead, index: usize) -> Option<Self> {
        let raw = &head.raw()[..];
        let name = head.headers.name_range(index)?;
        let mut value = head.headers.value_range(index)?;
        if value.is_empty() {
            let colon = name.end + memchr::memchr(b':', raw.get(name.end..)?)?;
            let blank = raw.get(colon + 1..)?.iter().take_while(|b| matches!(b, b' ' | b'\t')).count();
            value = colon + 1 + blank..colon + 1 + blank;
        }
        let mut end = value.end;
        // A folded field goes on while the next line begins with white space (RFC 9112, section 5.2).
        loop {
            end += memchr::memchr(b'\n', raw.get(end..)?)? + 1;
            if !matches!(raw.get(end), Some(b' ' | b'\t')) {
                return Some(Self { all: name.start..end, value });
            }
        }
    }
}

/// The empty line at the end of a head.
fn empty_line(head: &[u8]) -> &[u8] {
    [b"\r\n".as_slice(), b"\n"].into_iter().find(|end| head.ends_with(end)).unwrap_or_default()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::http::{BodyKeep, Options, Parser, Request, Sink};
    use crate::time::Timestamp;

    struct Heads(Vec<RequestHead>);

    impl Sink<RequestHead> for Heads {
        fn message(&mut self, request: Request) {
            self.0.push(request.head);
        }
    }

    fn head(raw: &[u8]) -> RequestHead {
        let mut heads = Heads(Vec::new());
        Parser::new(Options { keep: BodyKeep::Nothing, hash: false }).push(
            Timestamp::default(),
            raw,
            &mut heads,
        );
        heads.0.remove(0)
    }

    fn edited(edits: &HeadEdits, raw: &str) -> String {
        let client = IpAddr::from([192, 0, 2, 7]);
        String::from_utf8(edits.apply(&head(raw.as_bytes()), client).to_vec()).unwrap()
    }

    fn edits(set: &[&str], remove: &[&str], as_envoy: bool) -> HeadEdits {
        HeadEdits {
            host: HostEdit::None,
            as_envoy,
            remove: remove.iter().map(|name| name.parse().unwrap()).collect(),
            set: set.iter().map(|field| field.parse().unwrap()).collect(),
        }
    }

    #[test]
    fn a_field_that_is_set_takes_the_place_of_all_of_its_name() {
        let raw = "GET / HTTP/1.1\r\nHost: a\r\nx-a:  1 \r\nB: 2\r\nX-A: 3\r\n\r\n";
        assert_eq!(
            edited(&edits(&["X-a: new", "C:3"], &[], false), raw),
            "GET / HTTP/1.1\r\nHost: a\r\nx-a:  new \r\nB: 2\r\nC: 3\r\n\r\n"
        );
        let twice = edits(&["C: 1", "c: 2"], &[], false);
        assert_eq!(edited(&twice, "GET / HTTP/1.1\r\n\r\n"), "GET / HTTP/1.1\r\nc: 2\r\n\r\n");
        let bare = edited(&edits(&["C: 3"], &[], false), "GET / HTTP/1.1\nHost: a\n\n");
        assert_eq!(bare, "GET / HTTP/1.1\nHost: a\nC: 3\n\n", "line ends are those of the head");
    }

    #[test]
    fn a_field_that_is_removed_goes_with_its_folded_lines_and_duplicates() {
        let raw =
            "GET / HTTP/1.1\r\nHost: a\r\nX: 1\r\n more\r\nB: 2\r\nx:\r\nno field\r\nC: 3\r\nX: 9\r\n\r\n";
        assert_eq!(
            edited(&edits(&[], &["X", "Host"], false), raw),
            "GET / HTTP/1.1\r\nB: 2\r\nno field\r\nC: 3\r\n\r\n"
        );
        assert_eq!(
            edited(&edits(&["X: 5"], &["X"], false), "GET / HTTP/1.1\r\nX: 1\r\n\r\n"),
            "GET / HTTP/1.1\r\nX: 5\r\n\r\n"
        );
    }

    #[test]
    fn as_envoy_names_the_client_and_marks_the_request_as_internal() {
        let envoy = edits(&[], &[], true);
        assert_eq!(
            edited(&envoy, "GET / HTTP/1.1\r\nHost: a\r\n\r\n"),
            "GET / HTTP/1.1\r\nHost: a\r\nx-forwarded-for: 192.0.2.7\r\nx-envoy-internal: true\r\n\r\n"
        );
        assert_eq!(
            edited(
                &envoy,
                "GET / HTTP/1.1\r\nX-Forwarded-For: 10.0.0.1, 10.0.0.2\r\nx-envoy-internal: no\r\n\r\n"
            ),
            "GET / HTTP/1.1\r\nX-Forwarded-For: 10.0.0.1, 10.0.0.2,192.0.2.7\r\nx-envoy-internal: true\r\n\r\n"
        );
        assert_eq!(
            edited(
                &envoy,
                "GET / HTTP/1.1\r\nX-Forwarded-For: a\r\nX-Forwarded-For: b\r\nX-Envoy-Internal: true\r\n\r\n"
            ),
            "GET / HTTP/1.1\r\nX-Forwarded-For: a\r\nX-Forwarded-For: b,192.0.2.7\r\nX-Envoy-Internal: true\r\n\r\n"
        );
        let less = edits(&["x-forwarded-for: me"], &["x-envoy-internal"], true);
        assert_eq!(
            edited(&less, "GET / HTTP/1.1\r\nHost: a\r\n\r\n"),
            "GET / HTTP/1.1\r\nHost: a\r\nx-forwarded-for: me\r\n\r\n"
        );
    }

    #[test]
    fn a_literal_host_replaces_the_value_and_none_leaves_it() {
        let raw = "GET / HTTP/1.1\r\nHost:  a.example:80 \r\n\r\n";
        let literal = HeadEdits { host: HostEdit::Literal("v2.test:1".into()), ..HeadEdits::default() };
        assert_eq!(edited(&literal, raw), "GET / HTTP/1.1\r\nHost:  v2.test:1 \r\n\r\n");
        assert_eq!(edited(&literal.keeping_host(), raw), raw);
        assert_eq!(edited(&literal, "GET / HTTP/1.0\r\n\r\n"), "GET / HTTP/1.0\r\n\r\n");
    }

    #[test]
    fn fields_that_would_break_a_head_are_refused() {
        for text in ["no colon", ": value", "two words: x", "n\u{e9}: x", "a: b\r\nEvil: 1", "a: \0"] {
            assert!(text.parse::<Field>().is_err(), "{text:?}");
        }
        assert!("a: b:c".parse::<Field>().is_ok());
        assert!("".parse::<FieldName>().is_err());
    }

    #[test]
    fn a_head_of_many_fields_is_edited_in_linear_time() {
        let raw = format!("GET / HTTP/1.1\r\n{}Host: a\r\n\r\n", "x:\n".repeat(80_000));
        let began = std::time::Instant::now();
        let out = edited(&edits(&["x: 1"], &["y"], true), &raw);
        assert!(out.starts_with("GET / HTTP/1.1\r\nx:1\nHost: a\r\n"));
        assert!(began.elapsed().as_secs() < 60, "{:?}", began.elapsed());
    }
}
