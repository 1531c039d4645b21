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

mod alike;
mod also;
mod edits;
mod fields;
mod heads;
mod ids;
mod known;
mod met;
mod names;
mod nested;
mod opened;
mod part;
mod parts;
mod patterns;
mod recode;
mod scan;
mod secrets;
mod shape;
mod signs;

use std::borrow::Cow;
use std::ops::Range;
use std::sync::{Arc, Mutex, PoisonError};

pub use also::{Also, AlsoError};
use bytes::Bytes;
use edits::Edits;
use heads::{HeadMemory, Place};
use known::{Known, Spans};
use opened::{Met, Opened, OpenedBody, Searched};
use part::{Form, Part, is_free};
pub(crate) use recode::decoded;
pub use secrets::Secrets;
use secrets::{Distinct, Set};
use signs::{Sign, Signs};

use super::{Again, Row};
use crate::http::h1::parse_head_after;
use crate::http::{Headers, Message, RequestHead, Response, ResponseHead, Version};
use crate::replay::Outcome;

/// What a secret's replacement begins with.
pub const MARK: &str = "redacted:";
/// Hexadecimal digits behind the mark.
const DIGITS: usize = 12;
/// Replaces secrets by digests of them.
pub struct Redactor {
    key: [u8; 32],
    also: Also,
    known: Mutex<Known>,
}

impl Redactor {
    /// With a key for the tests, or shared by runs whose digits are to be comparable.
    #[must_use]
    pub fn with_key(key: [u8; 32]) -> Self {
        Self { key, also: Also::default(), known: Mutex::default() }
    }

    /// With a new random key. `None` when the system has no randomness to give.
    #[must_use]
    pub fn random() -> Option<Self> {
        let mut key = [0; 32];
        rustls::crypto::ring::default_provider().secure_random.fill(&mut key).ok()?;
        Some(Self::with_key(key))
    }

    /// The same, which also redacts what the user names.
    #[must_use]
    pub fn also(self, also: Also) -> Self {
        Self { also, ..Self::with_key(self.key) }
    }

    /// Redacts a row in place, and says which secrets it held. Each of its texts is searched once for secrets of
    /// its own, and then, where the row has any, for what repeats those of another.
    pub fn row(&self, row: &mut Row) -> Secrets {
        let mut heads = self.heads();
        let secrets = self.row_with(&mut heads, row);
        self.known().heads = Some(heads);
        secrets
    }

    /// What is known of heads. Taken out nobody has to wait for it; who comes meanwhile begins anew.
    fn heads(&self) -> Box<HeadMemory> {
        self.known().heads.take().unwrap_or_default()
    }

    fn row_with(&self, heads: &mut HeadMemory, row: &mut Row) -> Secrets {
        let (asked, answered) = (&row.exchange.request, row.exchange.response.as_ref());
        let request = self.open(heads, asked, asked.head.raw(), &asked.head.headers, Place::Request, None);
        let v1 = answered.map(|response| self.open_answer(heads, response, Place::V1, None));
        let v2 = answer(&row.outcome);
        let v2 = v2.map(|response| self.open_answer(heads, response, Place::V2, v1.as_ref()));
        let sent = row.sent_head.as_deref().map(|head| self.searched_head(heads, head, Place::Sent));
        let mut values = Distinct::default();
        for opened in [Some(&request), v1.as_ref(), v2.as_ref()].into_iter().flatten() {
            opened.secrets(|value| values.add(value));
        }
        if let Some(sent) = &sent {
            sent.secrets(|value| values.add(value));
        }
        let secrets = &mut Secrets::of(self.set(&values));

        let request = Becomes {
            body: self.body(&asked.head.headers, &request, secrets),
            head: self.edited_head(heads, &request.head, secrets).map(|raw| self.parsed_request(raw)),
        };
        let v1 = answered.zip(v1.as_ref());
        let v1 = v1.map(|(response, opened)| self.response(heads, response, opened, secrets));
        let v2 = answer(&row.outcome).zip(v2.as_ref());
        let v2 = v2.map(|(response, opened)| self.response(heads, response, opened, secrets));
        let sent = sent.and_then(|head| self.edited_head(heads, &head, secrets));

        request.put_into(&mut row.exchange.request);
        if let Some((v1, response)) = v1.zip(row.exchange.response.as_mut()) {
            v1.put_into(response);
        }
        if let Some(sent) = sent {
            row.sent_head = Some(sent);
        }
        // A rule may name the value of a secret field.
        if let Some(matched) = self.words(&row.matched, secrets) {
            row.matched = matched.into();
        }
        self.outcome(&mut row.outcome, v2, secrets);
        for again in &mut row.again {
            self.again_with(heads, again, secrets);
        }
        secrets.without_texts()
    }

    /// Redacts a further answer to the request of a row that held these secrets.
    pub fn again(&self, again: &mut Again, secrets: &Secrets) {
        let mut heads = self.heads();
        self.again_with(&mut heads, again, secrets);
        self.known().heads = Some(heads);
    }

    fn again_with(&self, heads: &mut HeadMemory, again: &mut Again, secrets: &Secrets) {
        let opened = answer(&again.outcome);
        let opened = opened.map(|response| self.open_answer(heads, response, Place::V2, None));
        let mut values = Distinct::default();
        secrets.found().for_each(|value| values.add(value));
        if let Some(opened) = &opened {
            opened.secrets(|value| values.add(value));
        }
        let all = &mut Secrets::of(self.set(&values));
        let answer = answer(&again.outcome).zip(opened.as_ref());
        let becomes = answer.map(|(response, opened)| self.response(heads, response, opened, all));
        self.outcome(&mut again.outcome, becomes, all);
    }

    fn outcome(&self, outcome: &mut Outcome, answer: Option<Becomes<ResponseHead>>, secrets: &mut Secrets) {
        if let Outcome::Failed { detail, .. } = outcome
            && let Some(edited) = self.words(detail, secrets)
        {
            *detail = edited;
        }
        let response = match outcome {
            Outcome::Answered { response, .. } => Some(response),
            Outcome::Failed { partial, .. } => partial.as_mut(),
            Outcome::Skipped(_) => None,
        };
        if let Some((answer, response)) = answer.zip(response) {
            answer.put_into(response);
        }
    }

    fn response(
        &self,
        heads: &mut HeadMemory,
        response: &Response,
        opened: &Opened<'_>,
        secrets: &mut Secrets,
    ) -> Becomes<ResponseHead> {
        let head = self.edited_head(heads, &opened.head, secrets);
        Becomes {
            body: self.body(&response.head.headers, opened, secrets),
            head: head.map(|raw| self.parsed_response(raw)),
        }
    }

    fn parsed_request(&self, raw: Bytes) -> RequestHead {
        parse_head_after(raw, &mut self.known().parsed.0).unwrap_or_else(no_request)
    }

    fn parsed_response(&self, raw: Bytes) -> ResponseHead {
        parse_head_after(raw, &mut self.known().parsed.1).unwrap_or_else(no_response)
    }

    /// A text without its secrets, where it has some.
    fn words(&self, text: &str, secrets: &mut Secrets) -> Option<String> {
        if text.is_empty() {
            return None;
        }
        let edited = self.redacted(text.as_bytes(), Part::Body, secrets)?;
        Some(String::from_utf8_lossy(&edited).into_owned())
    }

    fn body(&self, headers: &Headers, opened: &Opened<'_>, secrets: &mut Secrets) -> BodyBecomes {
        let is_coded = opened.head.signs.has(Sign::Coding);
        match &opened.body {
            OpenedBody::None => BodyBecomes::TheSame,
            _ if secrets.are_too_many() => BodyBecomes::Another(None),
            OpenedBody::Decoded(text) => match self.edited_once(text, secrets) {
                Some(redacted) if is_coded => BodyBecomes::Another(recode::encoded(headers, redacted)),
                Some(redacted) => BodyBecomes::Another(Some(redacted)),
                None => BodyBecomes::TheSame,
            },
            OpenedBody::AsItIs(text) => match self.edited(text, secrets) {
                Some(redacted) => BodyBecomes::Another(Some(redacted)),
                None => BodyBecomes::TheSame,
            },
            OpenedBody::Closed => BodyBecomes::Another(None),
        }
    }

    fn open_answer<'r>(
        &self,
        heads: &mut HeadMemory,
        answer: &'r Response,
        place: Place,
        like: Option<&Opened<'_>>,
    ) -> Opened<'r> {
        self.open(heads, answer, answer.head.raw(), &answer.head.headers, place, like)
    }

    /// A message with its body decoded and searched; a body that is the same as that of `like` is not searched
    /// again.
    fn open<'r, H>(
        &self,
        heads: &mut HeadMemory,
        message: &Message<H>,
        raw: &'r [u8],
        headers: &Headers,
        place: Place,
        like: Option<&Opened<'_>>,
    ) -> Opened<'r> {
        let head = self.searched_head(heads, raw, place);
        let is_coded = head.signs.has(Sign::Coding);
        let text = if is_coded { decoded(headers, &message.body) } else { message.body.entity.clone() };
        let body = match (text, &message.body.entity) {
            (Some(text), _) => OpenedBody::Decoded(match like.map(|like| &like.body) {
                Some(OpenedBody::Decoded(known)) if known.text == text => known.clone(),
                _ => self.searched(text, Part::Body),
            }),
            (None, Some(entity)) if message.completeness.is_complete() => {
                OpenedBody::AsItIs(self.searched(entity.clone(), Part::Body))
            }
            (None, Some(_)) => OpenedBody::Closed,
            (None, None) => OpenedBody::None,
        };
        Opened { head, body }
    }

    fn searched<T: AsRef<[u8]>>(&self, text: T, part: Part) -> Searched<T> {
        let bytes = text.as_ref();
        if bytes.is_empty() {
            return Searched { text, part, signs: Signs::NONE, spans: Spans::new(), met: Met::No };
        }
        let (digest, found) = self.known().text(part, bytes);
        if let Some((signs, spans)) = found {
            return Searched { text, part, signs, spans, met: Met::Text(digest) };
        }
        let signs = if part == Part::Body { Signs::of(bytes) } else { Signs::of_head(bytes) };
        let spans = self.spans(bytes, part, signs);
        self.known().learn_text(part, bytes, digest, signs, &spans);
        Searched { text, part, signs, spans, met: Met::Text(digest) }
    }

    /// The secrets of a row, of which these values were found.
    fn set(&self, values: &Distinct<'_>) -> Arc<Set> {
        self.known().sets.of(values.all())
    }

    fn spans(&self, text: &[u8], part: Part, signs: Signs) -> Spans {
        let mut spans = Vec::new();
        part.spans(text, &self.also, signs, |span, form| {
            if !is_redacted(text.get(span.clone()).unwrap_or_default()) {
                spans.push((span, form));
            }
        });
        spans.sort_by_key(|(span, _)| (span.start, span.end));
        spans
    }

    fn known(&self) -> std::sync::MutexGuard<'_, Known> {
        self.known.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// The bytes with their secrets and the echoes of others replaced; `None` when they hold none.
    fn redacted(&self, bytes: &[u8], part: Part, secrets: &mut Secrets) -> Option<Bytes> {
        self.edited(&self.searched(bytes, part), secrets)
    }

    /// The same of a body, which is mostly that of v1 and of v2, and may be that of another row with the same secrets.
    fn edited_once(&self, searched: &Searched<Bytes>, secrets: &mut Secrets) -> Option<Bytes> {
        let Met::Text(digest) = searched.met else { return self.edited(searched, secrets) };
        if let Some(known) = secrets.edited(&searched.text) {
            return known;
        }
        let known = self.known().edited_text(searched.part, &searched.text, digest, secrets.id());
        let edited = known.unwrap_or_else(|| {
            let edited = self.edited(searched, secrets);
            self.known().learn_edited(searched.part, &searched.text, digest, secrets.id(), edited.as_ref());
            edited
        });
        secrets.learn_edited(&searched.text, edited.as_ref());
        edited
    }

    fn edited<T: AsRef<[u8]>>(&self, searched: &Searched<T>, secrets: &mut Secrets) -> Option<Bytes> {
        let Searched { text, part, spans, .. } = searched;
        if text.as_ref().is_empty() {
            return None;
        }
        let mut out = Vec::new();
        self.edits(text.as_ref(), *part, spans, 0, secrets)
            .put(&mut out, text.as_ref())
            .then(|| Bytes::from(out))
    }

    /// What is to be replaced in a text that holds these secrets of its own, in places of which the text begins at `from`.
    fn edits(
        &self,
        text: &[u8],
        part: Part,
        spans: &[(Range<usize>, Form)],
        from: usize,
        secrets: &mut Secrets,
    ) -> Edits {
        let mut edits = Edits::default();
        for (span, form) in spans {
            let span = moved(span, from, 0);
            let replacement = secrets.replacement(self, text.get(span.clone()).unwrap_or_default(), *form);
            edits.push(span, replacement);
        }
        let mut echoes = Vec::new();
        secrets.find(text, part, |span| {
            // Most are where they were found by their name.
            let place = (span.start + from, span.end + from);
            if spans.binary_search_by_key(&place, |(known, _)| (known.start, known.end)).is_err() {
                echoes.push(span);
            }
        });
        for span in echoes {
            let replacement =
                secrets.replacement(self, text.get(span.clone()).unwrap_or_default(), Form::Bare);
            edits.push(span, replacement);
        }
        edits
    }

    /// What replaces a secret, worked out once for those that come again.
    fn replacement(&self, value: &[u8], form: Form) -> Bytes {
        if let Some(known) = self.known().replacement(form, value) {
            return known;
        }
        let replacement = Bytes::from(self.digest(value, form));
        self.known().learn_replacement(form, value, &replacement);
        replacement
    }

    fn digest(&self, value: &[u8], form: Form) -> Vec<u8> {
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

/// Text of our own or of the user's that may hold a secret, as the address of a capture does, with `redacted`
/// in its place. It has no key: nothing is compared with it.
pub(crate) fn without_secrets(text: &str) -> Cow<'_, str> {
    let mut edits = Edits::default();
    let signs = Signs::of(text.as_bytes());
    Part::Body.spans(text.as_bytes(), &Also::default(), signs, |span, _| {
        if !text.get(span.clone()).is_some_and(|value| is_redacted(value.as_bytes())) {
            edits.push(span, Bytes::from_static(b"redacted"));
        }
    });
    let redacted = edits.apply(text.as_bytes()).and_then(|bytes| String::from_utf8(bytes).ok());
    redacted.map_or(Cow::Borrowed(text), Cow::Owned)
}

/// A span that begins at `to` what it began at `from`.
fn moved(span: &Range<usize>, from: usize, to: usize) -> Range<usize> {
    span.start - from + to..span.end - from + to
}

/// Whether a value is a replacement already, so that redacting again changes nothing.
fn is_redacted(value: &[u8]) -> bool {
    let value = value.strip_prefix(b"\"").and_then(|v| v.strip_suffix(b"\"")).unwrap_or(value);
    let digest = |b: &u8| b.is_ascii_digit() || (b'a'..=b'f').contains(b);
    value.strip_prefix(MARK.as_bytes()).and_then(|rest| rest.split_at_checked(DIGITS)).is_some_and(
        |(digits, shape)| digits.iter().all(digest) && shape.strip_prefix(b":").is_some_and(shape::is_shape),
    )
}

/// What a message becomes.
struct Becomes<H> {
    /// Another head, where it held secrets.
    head: Option<H>,
    body: BodyBecomes,
}

enum BodyBecomes {
    TheSame,
    /// `None` where what is left of it cannot be kept.
    Another(Option<Bytes>),
}

impl<H> Becomes<H> {
    fn put_into(self, message: &mut Message<H>) {
        if let BodyBecomes::Another(entity) = self.body {
            let body = &mut message.body;
            (body.entity, body.wire) = (entity, None);
            // The digest of what was there would let a short secret be guessed.
            body.sha256 = None;
        }
        if let Some(head) = self.head {
            message.head = head;
        }
    }
}

fn answer(outcome: &Outcome) -> Option<&Response> {
    match outcome {
        Outcome::Answered { response, .. } => Some(response),
        Outcome::Failed { partial, .. } => partial.as_deref(),
        Outcome::Skipped(_) => None,
    }
}

#[cfg(test)]
mod tests;
