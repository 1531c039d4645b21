//! Secrets leave the row before it is written, compared or shown.
//!
//! What is found by a name (credentials headers, cookies, parameters, form fields, JSON members), by a
//! place (userinfo of a URL) or by its form (JSON Web Tokens, private keys, keys of cloud services, numbers
//! of payment cards, the user's own patterns) is replaced by `redacted:`, twelve hexadecimal digits of a
//! keyed digest, and the secret's shape: `redacted:0123456789ab:hex32`. Equal secrets get equal digits, so
//! that the diff of two answers still sees whether they agree, and the shape says how they differ. Of
//! secrets below sixteen characters the shape tells neither length nor letters, which would help to guess. What was found in one message of a row is also replaced
//! where another message of that row repeats it, as an echo of the request in an error page does.
//!
//! The key is random, lives in memory, and is written nowhere: whoever holds a recording cannot try
//! passwords against it. Digits of different runs are therefore not comparable.
//!
//! A body in a content coding is decoded, redacted, and coded again with the same codings when something
//! was found, so that the head still describes it. `Body::len` stays that of the capture.

mod also;
mod edits;
mod fields;
mod names;
mod nested;
mod patterns;
mod recode;
mod scan;
mod shape;

use std::borrow::Cow;
use std::collections::BTreeSet;
use std::ops::Range;

pub use also::{Also, AlsoError};
use base64::Engine as _;
use bytes::Bytes;
use edits::Edits;
pub(crate) use recode::decoded;

use super::{Again, Row};
use crate::http::h1::parse_head;
use crate::http::{Body, Framing, Headers, Message, Request, RequestHead, Response, ResponseHead, Version};
use crate::replay::Outcome;

/// What a secret's replacement begins with.
pub const MARK: &str = "redacted:";
/// Hexadecimal digits behind the mark.
const DIGITS: usize = 12;
/// Shorter values are replaced where they are named, and not wherever else their bytes occur.
const SHORTEST_ECHO: usize = 6;
/// Secrets of one row whose echoes are looked for; bounds the work on a hostile row.
const MOST_ECHOES: usize = 64;

/// Replaces secrets by digests of them.
pub struct Redactor {
    key: [u8; 32],
    also: Also,
}

impl Redactor {
    /// With a key for the tests, or shared by runs whose digits are to be comparable.
    #[must_use]
    pub fn with_key(key: [u8; 32]) -> Self {
        Self { key, also: Also::default() }
    }

    /// With a new random key. `None` when the system has no randomness to give.
    #[must_use]
    pub fn random() -> Option<Self> {
        let mut key = [0; 32];
        rustls::crypto::ring::default_provider().secure_random.fill(&mut key).ok()?;
        Some(Self { key, also: Also::default() })
    }

    /// The same, which also redacts what the user names.
    #[must_use]
    pub fn also(self, also: Also) -> Self {
        Self { also, ..self }
    }

    /// Redacts a row in place, and says which secrets it held.
    pub fn row(&self, row: &mut Row) -> Secrets {
        let secrets = Secrets::of(row, &self.also);
        for again in &mut row.again {
            self.again(again, &secrets);
        }
        self.request(&mut row.exchange.request, &secrets);
        if let Some(response) = &mut row.exchange.response {
            self.response(response, &secrets);
        }
        if let Some(sent) = &mut row.sent_head {
            *sent = self.redacted(sent, Part::Head, &secrets).unwrap_or_else(|| sent.clone());
        }
        // A rule may name the value of a secret field.
        if let Some(text) = self.redacted(row.matched.as_bytes(), Part::Body, &secrets) {
            row.matched = String::from_utf8_lossy(&text).into_owned();
        }
        self.outcome(&mut row.outcome, &secrets);
        secrets
    }

    /// Redacts a further answer to the request of a row that held these secrets.
    pub fn again(&self, again: &mut Again, secrets: &Secrets) {
        let mut all = secrets.clone();
        all.of_outcome(&again.outcome, &self.also);
        self.outcome(&mut again.outcome, &all);
    }

    fn outcome(&self, outcome: &mut Outcome, secrets: &Secrets) {
        match outcome {
            Outcome::Answered { response, .. } => self.response(response, secrets),
            Outcome::Failed { partial, detail, .. } => {
                if let Some(text) = self.redacted(detail.as_bytes(), Part::Body, secrets) {
                    *detail = String::from_utf8_lossy(&text).into_owned();
                }
                if let Some(partial) = partial {
                    self.response(partial, secrets);
                }
            }
            Outcome::Skipped(_) => {}
        }
    }

    fn request(&self, request: &mut Request, secrets: &Secrets) {
        let whole = request.completeness.is_complete();
        self.body(&request.head.headers, &mut request.body, whole, secrets);
        if let Some(raw) = self.redacted(request.head.raw(), Part::Head, secrets) {
            request.head = parse_head(raw).unwrap_or_else(no_request);
        }
    }

    fn response(&self, response: &mut Response, secrets: &Secrets) {
        let whole = response.completeness.is_complete();
        self.body(&response.head.headers, &mut response.body, whole, secrets);
        if let Some(raw) = self.redacted(response.head.raw(), Part::Head, secrets) {
            response.head = parse_head(raw).unwrap_or_else(no_response);
        }
    }

    fn body(&self, headers: &Headers, body: &mut Body, whole: bool, secrets: &Secrets) {
        let redacted = match (recode::decoded(headers, body), &body.entity) {
            (Some(text), _) => {
                let Some(redacted) = self.redacted(&text, Part::Body, secrets) else { return };
                recode::encoded(headers, redacted)
            }
            // Not in the coding that it claims, so that its bytes are what they are.
            (None, Some(entity)) if whole => {
                let Some(redacted) = self.redacted(entity, Part::Body, secrets) else { return };
                Some(redacted)
            }
            // A part of a coded body: what it holds cannot be searched, and could be recovered.
            (None, Some(_)) => None,
            (None, None) => return,
        };
        body.entity = redacted;
        body.wire = body.entity.clone().filter(|_| body.framing != Framing::Chunked);
        // The digest of what was there would let a short secret be guessed.
        body.sha256 = None;
    }

    /// The bytes with their secrets and the echoes of others replaced; `None` when they hold none.
    fn redacted(&self, bytes: &[u8], part: Part, secrets: &Secrets) -> Option<Bytes> {
        let mut edits = Edits::default();
        part.spans(bytes, &self.also, |span, form| {
            let value = bytes.get(span.clone()).unwrap_or_default();
            if !is_redacted(value) {
                edits.push(span, self.replacement(value, form));
            }
        });
        let fixed = part.fixed(bytes);
        for secret in &secrets.0 {
            for at in memchr::memmem::find_iter(bytes, secret) {
                let span = at..at + secret.len();
                if is_free(&span, &fixed) {
                    edits.push(span, self.replacement(secret, Form::Bare));
                }
            }
        }
        edits.apply(bytes).map(Bytes::from)
    }

    fn replacement(&self, value: &[u8], form: Form) -> Vec<u8> {
        let mut hasher = blake3::Hasher::new_keyed(&self.key);
        // `12` and `"12"` stay different.
        hasher.update(if form == Form::JsonNumber { b"n" } else { b"t" }).update(value);
        let digest = hasher.finalize().to_hex();
        let shape = if form == Form::JsonNumber { "number".into() } else { shape::shape(value) };
        let text = format!("{MARK}{}:{shape}", digest.get(..DIGITS).unwrap_or_default());
        if form == Form::JsonNumber { format!("\"{text}\"").into_bytes() } else { text.into_bytes() }
    }
}

/// In place of a head that cannot be parsed once its secrets are out: they must not come back.
fn no_request() -> RequestHead {
    RequestHead { version: Version::Http11, headers: Headers::default(), method: 0..0, target: 0..0 }
}

/// As [`no_request`].
fn no_response() -> ResponseHead {
    ResponseHead { version: Version::Http11, status: 0, headers: Headers::default(), reason: 0..0 }
}

/// How a secret is written where it stands.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Form {
    /// Its bytes are the value.
    Bare,
    /// A JSON number: the replacement needs quotes.
    JsonNumber,
}

/// What kind of bytes are searched.
#[derive(Clone, Copy)]
enum Part {
    /// A start line and header fields.
    Head,
    /// A decoded body or another text.
    Body,
}

impl Part {
    /// What stays as it is, whatever it looks like.
    fn fixed(self, bytes: &[u8]) -> [Range<usize>; 2] {
        match self {
            Self::Head => fields::fixed_parts(bytes),
            Self::Body => [0..0, 0..0],
        }
    }

    /// Calls `found` with the span of each secret.
    fn spans(self, bytes: &[u8], also: &Also, mut found: impl FnMut(Range<usize>, Form)) {
        let names = &also.names;
        let json = matches!(self, Self::Body) && scan::looks_like_json(bytes);
        let fixed = self.fixed(bytes);
        let mut found = |span: Range<usize>, form| {
            if is_free(&span, &fixed) {
                found(span, form);
            }
        };
        match self {
            Self::Head => fields::secrets(bytes, names, |span| found(span, Form::Bare)),
            Self::Body if json => scan::json(bytes, names, |secret| {
                if secret.string {
                    let span = inside_quotes(bytes, secret.span);
                    let scheme = scan::scheme_len(bytes.get(span.clone()).unwrap_or_default());
                    found(span.start + scheme..span.end, Form::Bare);
                } else {
                    found(secret.span, Form::JsonNumber);
                }
            }),
            Self::Body => {
                scan::multipart(bytes, names, |span| found(span, Form::Bare));
                nested::elements(bytes, names, |span| found(span, Form::Bare));
                nested::lines(bytes, names, |span| found(span, Form::Bare));
            }
        }
        if matches!(self, Self::Body) {
            nested::members(bytes, names, json, |span| found(span, Form::Bare));
        }
        scan::pairs(bytes, names, |span| found(span, Form::Bare));
        nested::encoded_pairs(bytes, names, |span| found(span, Form::Bare));
        scan::userinfo(bytes, |span| found(span, Form::Bare));
        scan::forms(bytes, |span| found(span, Form::Bare));
        patterns::keys(bytes, |span| found(span, Form::Bare));
        let mut by_form = |span: Range<usize>| {
            let form = if json && is_json_number(bytes, &span) { Form::JsonNumber } else { Form::Bare };
            found(span, form);
        };
        patterns::cards(bytes, &mut by_form);
        also.matches(bytes, &mut by_form);
    }
}

/// Whether a span touches nothing that is fixed.
fn is_free(span: &Range<usize>, fixed: &[Range<usize>]) -> bool {
    fixed.iter().all(|part| span.end <= part.start || span.start >= part.end)
}

/// Whether a span of a JSON text is a number of it, rather than a part of a string.
fn is_json_number(text: &[u8], span: &Range<usize>) -> bool {
    let before = text.get(..span.start).unwrap_or_default().trim_ascii_end().last();
    let after = text.get(span.end..).unwrap_or_default().trim_ascii_start().first();
    let number = text.get(span.clone()).is_some_and(|span| span.iter().all(u8::is_ascii_digit));
    number && before.is_some_and(|b| b":[,".contains(b)) && after.is_none_or(|b| b",]}".contains(b))
}

/// Text of our own or of the user's that may hold a secret, as the address of a capture does, with `redacted`
/// in its place. It has no key: nothing is compared with it.
pub(crate) fn without_secrets(text: &str) -> Cow<'_, str> {
    let mut edits = Edits::default();
    Part::Body.spans(text.as_bytes(), &Also::default(), |span, _| {
        if !text.get(span.clone()).is_some_and(|value| is_redacted(value.as_bytes())) {
            edits.push(span, b"redacted".to_vec());
        }
    });
    let redacted = edits.apply(text.as_bytes()).and_then(|bytes| String::from_utf8(bytes).ok());
    redacted.map_or(Cow::Borrowed(text), Cow::Owned)
}

fn inside_quotes(text: &[u8], span: Range<usize>) -> Range<usize> {
    let closed = span.len() > 1 && text.get(span.end - 1) == Some(&b'"');
    span.start + 1..span.end - usize::from(closed)
}

/// Whether a value is a replacement already, so that redacting again changes nothing.
fn is_redacted(value: &[u8]) -> bool {
    let value = value.strip_prefix(b"\"").and_then(|v| v.strip_suffix(b"\"")).unwrap_or(value);
    let digest = |b: &u8| b.is_ascii_digit() || (b'a'..=b'f').contains(b);
    value.strip_prefix(MARK.as_bytes()).and_then(|rest| rest.split_at_checked(DIGITS)).is_some_and(
        |(digits, shape)| digits.iter().all(digest) && shape.strip_prefix(b":").is_some_and(shape::is_shape),
    )
}

/// The secrets of one row, for finding their echoes.
#[derive(Clone, Default)]
pub struct Secrets(BTreeSet<Vec<u8>>);

impl Secrets {
    fn of(row: &Row, also: &Also) -> Self {
        let mut secrets = Self::default();
        secrets
            .of_message(&row.exchange.request, row.exchange.request.head.raw(), also, |head| &head.headers);
        if let Some(response) = &row.exchange.response {
            secrets.of_message(response, response.head.raw(), also, |head| &head.headers);
        }
        secrets.of_outcome(&row.outcome, also);
        if let Some(sent) = &row.sent_head {
            secrets.of_bytes(sent, Part::Head, also);
        }
        secrets
    }

    fn of_outcome(&mut self, outcome: &Outcome, also: &Also) {
        let answer = match outcome {
            Outcome::Answered { response, .. } => Some(response),
            Outcome::Failed { partial, .. } => partial.as_ref(),
            Outcome::Skipped(_) => None,
        };
        if let Some(response) = answer {
            self.of_message(response, response.head.raw(), also, |head| &head.headers);
        }
    }

    fn of_message<H>(
        &mut self,
        message: &Message<H>,
        raw: &[u8],
        also: &Also,
        headers: impl Fn(&H) -> &Headers,
    ) {
        self.of_bytes(raw, Part::Head, also);
        if let Some(text) = recode::decoded(headers(&message.head), &message.body) {
            self.of_bytes(&text, Part::Body, also);
        }
    }

    fn of_bytes(&mut self, bytes: &[u8], part: Part, also: &Also) {
        part.spans(bytes, also, |span, _| {
            let value = bytes.get(span).unwrap_or_default();
            self.add(value);
            // Basic credentials (RFC 7617) are echoed decoded: `user:password`.
            if let Ok(plain) = base64::engine::general_purpose::STANDARD.decode(value)
                && let Some(colon) = memchr::memchr(b':', &plain)
            {
                self.add(plain.get(colon + 1..).unwrap_or_default());
            }
            if memchr::memchr(b'%', value).is_some() {
                self.add(&scan::percent_decoded(value));
            }
        });
    }

    fn add(&mut self, value: &[u8]) {
        if value.len() >= SHORTEST_ECHO && self.0.len() < MOST_ECHOES && !is_redacted(value) {
            self.0.insert(value.to_vec());
        }
    }
}

#[cfg(test)]
mod tests;
