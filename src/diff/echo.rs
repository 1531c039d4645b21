//! The shadowing's own effect on an answer.
//!
//! A shadow request carries another Host than the captured one, and whatever headers the user had
//! added or removed. A service that repeats its request (in a link, a redirect, a debug page) then
//! answers otherwise without being otherwise. Such a difference is recognised by undoing the edit: a
//! value is an echo only when nothing else about it differs.

use std::borrow::Cow;
use std::cell::OnceCell;

use memchr::memmem;

use crate::http::RequestHead;

/// What is known about the request that both answers are for.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Context<'a> {
    /// The request's method.
    pub method: Cow<'a, [u8]>,
    /// The authority that the captured request was for.
    pub host: Cow<'a, [u8]>,
    /// The authority that was sent in its place.
    pub shadow_host: Cow<'a, [u8]>,
    /// Whether the request carried a validator (RFC 9110, section 13.1), so that 304 and 200 may
    /// both be right.
    pub conditional: bool,
    /// The header fields that were sent otherwise than captured, the Host aside.
    pub edits: Vec<HeaderEdit>,
}

/// One header field that the replay added, replaced or removed.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct HeaderEdit {
    /// Its name, in any case.
    pub name: String,
    /// The value as sent; `None` where the field was removed.
    pub value: Option<Vec<u8>>,
}

impl<'a> Context<'a> {
    /// The context of a captured request that was sent with another Host.
    #[must_use]
    pub fn new(request: &'a RequestHead, shadow_host: &'a [u8], edits: Vec<HeaderEdit>) -> Self {
        Self {
            method: request.method().into(),
            host: request.host().unwrap_or_default().into(),
            shadow_host: shadow_host.into(),
            conditional: request.headers.have_validator(),
            edits,
        }
    }

    /// Whether the same is an echo under another.
    pub(super) fn has_echoes_of(&self, other: &Context<'_>) -> bool {
        self.host == other.host && self.shadow_host == other.shadow_host && self.edits == other.edits
    }

    /// The same in memory of its own.
    pub(super) fn kept(&self) -> Context<'static> {
        let kept = |part: &[u8]| Cow::Owned(part.to_vec());
        Context {
            method: kept(&self.method),
            host: kept(&self.host),
            shadow_host: kept(&self.shadow_host),
            conditional: self.conditional,
            edits: self.edits.clone(),
        }
    }

    /// The context of two answers of one side, which was asked as that host.
    pub(super) fn unedited<'h>(&'h self, host: &'h [u8]) -> Context<'h> {
        Context {
            method: Cow::Borrowed(&self.method),
            host: host.into(),
            shadow_host: host.into(),
            conditional: self.conditional,
            edits: Vec::new(),
        }
    }
}

/// Recognises the echo of what was edited in the request.
pub(super) struct Echo<'c> {
    context: &'c Context<'c>,
    /// What is searched for, and what it stood for: with its port, then without. Made for the first value that differs.
    substitutions: OnceCell<Vec<Substitution<'c>>>,
}

type Substitution<'c> = (Cow<'c, [u8]>, Cow<'c, [u8]>);

impl<'c> Echo<'c> {
    pub(super) const fn new(context: &'c Context<'c>) -> Self {
        Self { context, substitutions: OnceCell::new() }
    }

    fn substitutions(&self) -> &[Substitution<'c>] {
        self.substitutions.get_or_init(|| Self::of(self.context))
    }

    fn of(context: &'c Context<'c>) -> Vec<Substitution<'c>> {
        let (shadow, host) = (&*context.shadow_host, &*context.host);
        let mut substitutions: Vec<Substitution<'c>> = Vec::new();
        for (from, to) in [(shadow, host), (name_of(shadow), name_of(host))] {
            let lower = (from.to_ascii_lowercase().into(), to.to_ascii_lowercase().into());
            for pair in [(Cow::Borrowed(from), Cow::Borrowed(to)), lower] {
                if !pair.0.is_empty() && pair.0 != pair.1 && !substitutions.contains(&pair) {
                    substitutions.push(pair);
                }
            }
        }
        substitutions
    }

    /// Whether v2's value is v1's with the shadow's Host in place of the captured one, and no other
    /// change.
    pub(super) fn explains(&self, v1: &[u8], v2: &[u8]) -> bool {
        match self.undo(v2) {
            Some(undone) => undone == v1 || Some(undone) == self.undo(v1),
            None => false,
        }
    }

    /// Whether a value is the X-Forwarded-For that was sent, which services show under names of their
    /// own (`origin`, `ip`). A list of addresses is not met by chance, as `true` is.
    pub(super) fn is_forwarded_for(&self, v2: &[u8]) -> bool {
        !v2.is_empty() && self.is_edited_header(b"x-forwarded-for", Some(v2))
    }

    /// Whether a value under that name shows an edited header field: the value that was sent, or
    /// none where the field was removed.
    pub(super) fn is_edited_header(&self, name: &[u8], v2: Option<&[u8]>) -> bool {
        self.context
            .edits
            .iter()
            .any(|edit| edit.name.as_bytes().eq_ignore_ascii_case(name) && edit.value.as_deref() == v2)
    }

    /// Whether a line of text is an edited header field, written `name: value`.
    pub(super) fn is_edited_line(&self, line: &[u8]) -> bool {
        let Some(colon) = memchr::memchr(b':', line) else { return false };
        let (name, value) = line.split_at(colon);
        self.is_edited_header(name.trim_ascii(), Some(value[1..].trim_ascii()))
    }

    /// The value with each shadow host undone; `None` where it names none.
    fn undo(&self, value: &[u8]) -> Option<Vec<u8>> {
        let mut undone: Option<Vec<u8>> = None;
        for (from, to) in self.substitutions() {
            if let Some(next) = replace(undone.as_deref().unwrap_or(value), from, to) {
                undone = Some(next);
            }
        }
        undone
    }
}

/// An authority without its port; an IPv6 literal keeps its brackets (RFC 3986, section 3.2.2).
fn name_of(authority: &[u8]) -> &[u8] {
    match memchr::memrchr(b':', authority) {
        Some(colon) if authority[colon + 1..].iter().all(u8::is_ascii_digit) => &authority[..colon],
        _ => authority,
    }
}

/// All occurrences replaced, in linear time; `None` where there is none.
fn replace(value: &[u8], from: &[u8], to: &[u8]) -> Option<Vec<u8>> {
    if value.len() < from.len() {
        return None;
    }
    let mut places = memmem::find_iter(value, from).peekable();
    places.peek()?;
    let mut out = Vec::with_capacity(value.len());
    let mut copied = 0;
    for at in places {
        out.extend_from_slice(&value[copied..at]);
        out.extend_from_slice(to);
        copied = at + from.len();
    }
    out.extend_from_slice(&value[copied..]);
    Some(out)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn context<'a>(host: &'a str, shadow_host: &'a str) -> Context<'a> {
        let (host, shadow_host) = (host.as_bytes().into(), shadow_host.as_bytes().into());
        Context { host, shadow_host, ..Context::default() }
    }

    #[test]
    fn an_echo_is_explained_only_when_nothing_else_differs() {
        let context = context("httpbin:8000", "httpbin-shadow:8000");
        let echo = Echo::new(&context);
        for (v1, v2, explained) in [
            ("httpbin:8000", "httpbin-shadow:8000", true),
            ("httpbin", "httpbin-shadow", true),
            ("http://httpbin:8000/get", "http://httpbin-shadow:8000/get", true),
            ("u=http%3A%2F%2Fhttpbin%3A8000", "u=http%3A%2F%2Fhttpbin-shadow%3A8000", true),
            ("httpbin:8000 httpbin:8000", "httpbin-shadow:8000 httpbin-shadow:8000", true),
            ("see httpbin-shadow, from httpbin", "see httpbin-shadow, from httpbin-shadow", true),
            ("http://httpbin:8000/get", "http://httpbin-shadow:8000/got", false),
            ("httpbin-shadow", "httpbin", false),
            ("a", "b", false),
        ] {
            assert_eq!(echo.explains(v1.as_bytes(), v2.as_bytes()), explained, "{v1} / {v2}");
        }
    }

    #[test]
    fn names_are_also_found_in_lower_case_and_in_brackets() {
        let mixed = context("Api.Example", "Api.Example-shadow");
        assert!(Echo::new(&mixed).explains(b"//api.example/", b"//api.example-shadow/"));
        let v6 = context("[::1]:8080", "[::1]-shadow:8080");
        assert!(Echo::new(&v6).explains(b"http://[::1]/", b"http://[::1]-shadow/"));
    }

    #[test]
    fn without_a_change_of_host_nothing_is_an_echo() {
        let same = context("httpbin", "httpbin");
        assert!(!Echo::new(&same).explains(b"httpbin", b"httpbin!"));
        assert!(!Echo::new(&context("", "")).explains(b"", b"x"));
    }

    #[test]
    fn an_edited_header_is_known_by_name_and_value() {
        let mut context = context("a", "a-shadow");
        context.edits = vec![
            HeaderEdit { name: "x-envoy-internal".into(), value: Some(b"true".to_vec()) },
            HeaderEdit { name: "cookie".into(), value: None },
        ];
        let echo = Echo::new(&context);
        assert!(echo.is_edited_header(b"X-Envoy-Internal", Some(b"true")));
        assert!(!echo.is_edited_header(b"X-Envoy-Internal", Some(b"false")));
        assert!(!echo.is_edited_header(b"X-Envoy", Some(b"true")));
        assert!(echo.is_edited_header(b"Cookie", None));
        assert!(echo.is_edited_line(b"X-Envoy-Internal: true\r"));
        assert!(!echo.is_forwarded_for(b"true"));
    }
}
