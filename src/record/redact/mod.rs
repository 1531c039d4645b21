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

use aho_corasick::{AhoCorasick, AhoCorasickKind, MatchKind};
pub use also::{Also, AlsoError};
use base64::Engine as _;
use bytes::Bytes;
use edits::Edits;
pub(crate) use recode::decoded;

use super::{Again, Row};
use crate::http::h1::parse_head;
use crate::http::{Body, Framing, Headers, Message, RequestHead, Response, ResponseHead, Version};
use crate::replay::Outcome;

/// What a secret's replacement begins with.
pub const MARK: &str = "redacted:";
/// Hexadecimal digits behind the mark.
const DIGITS: usize = 12;
/// Shorter values are replaced where they are named, and not wherever else their bytes occur.
const SHORTEST_ECHO: usize = 6;
/// Bytes of the secrets of one row whose echoes are looked for; bounds the work and the memory on a hostile row.
const MOST_ECHOED: usize = 1 << 18;
/// Secrets of a row that are searched for one after the other; more are in one pass, whose making costs more than that of
/// so few searches.
const FEW: usize = 8;
/// Replacements of a row that are remembered.
const MOST_REMEMBERED: usize = 64;

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

    /// Redacts a row in place, and says which secrets it held. Each of its texts is searched once for secrets of
    /// its own, and then, where the row has any, for what repeats those of another.
    pub fn row(&self, row: &mut Row) -> Secrets {
        let head = &row.exchange.request.head;
        let request = self.open(&row.exchange.request, head.raw(), &head.headers, None);
        let open = |answer: &Response, like: Option<&Opened>| {
            self.open(answer, answer.head.raw(), &answer.head.headers, like)
        };
        let v1 = row.exchange.response.as_ref().map(|response| open(response, None));
        let v2 = answer(&row.outcome).map(|response| open(response, v1.as_ref()));
        let sent = row.sent_head.clone().map(|head| self.searched(head, Part::Head));
        let mut secrets = Secrets::default();
        [Some(&request), v1.as_ref(), v2.as_ref()].into_iter().flatten().for_each(|m| secrets.of_message(m));
        if let Some(head) = &sent {
            secrets.of_text(head);
        }
        secrets.search = Search::new(&secrets.all);

        let exchange = &mut row.exchange;
        self.body(&exchange.request.head.headers, &mut exchange.request.body, &request.body, &mut secrets);
        if let Some(raw) = self.edited(&request.head, &mut secrets) {
            exchange.request.head = parse_head(raw).unwrap_or_else(no_request);
        }
        if let Some((response, opened)) = exchange.response.as_mut().zip(v1) {
            self.response(response, &opened, &mut secrets);
        }
        if let Some(edited) = sent.and_then(|head| self.edited(&head, &mut secrets)) {
            row.sent_head = Some(edited);
        }
        // A rule may name the value of a secret field.
        self.words(&mut row.matched, &mut secrets);
        self.outcome(&mut row.outcome, v2.as_ref(), &mut secrets);
        for again in &mut row.again {
            self.again(again, &secrets);
        }
        secrets
    }

    /// Redacts a further answer to the request of a row that held these secrets.
    pub fn again(&self, again: &mut Again, secrets: &Secrets) {
        let open = |answer: &Response| self.open(answer, answer.head.raw(), &answer.head.headers, None);
        let opened = answer(&again.outcome).map(open);
        let mut all = secrets.clone();
        if let Some(opened) = &opened {
            all.of_message(opened);
            all.search = Search::new(&all.all);
        }
        self.outcome(&mut again.outcome, opened.as_ref(), &mut all);
    }

    fn outcome(&self, outcome: &mut Outcome, opened: Option<&Opened>, secrets: &mut Secrets) {
        if let Outcome::Failed { detail, .. } = outcome {
            self.words(detail, secrets);
        }
        let answer = match outcome {
            Outcome::Answered { response, .. } => Some(response),
            Outcome::Failed { partial, .. } => partial.as_mut(),
            Outcome::Skipped(_) => None,
        };
        if let Some((response, opened)) = answer.zip(opened) {
            self.response(response, opened, secrets);
        }
    }

    fn response(&self, response: &mut Response, opened: &Opened, secrets: &mut Secrets) {
        self.body(&response.head.headers, &mut response.body, &opened.body, secrets);
        if let Some(raw) = self.edited(&opened.head, secrets) {
            response.head = parse_head(raw).unwrap_or_else(no_response);
        }
    }

    fn words(&self, text: &mut String, secrets: &mut Secrets) {
        if !text.is_empty()
            && let Some(edited) = self.redacted(text.as_bytes(), Part::Body, secrets)
        {
            *text = String::from_utf8_lossy(&edited).into_owned();
        }
    }

    fn body(&self, headers: &Headers, body: &mut Body, opened: &OpenedBody, secrets: &mut Secrets) {
        let redacted = match opened {
            OpenedBody::None => return,
            _ if secrets.too_many => None,
            OpenedBody::Decoded(text) => {
                let Some(redacted) = self.edited(text, secrets) else { return };
                recode::encoded(headers, redacted)
            }
            OpenedBody::AsItIs(text) => {
                let Some(redacted) = self.edited(text, secrets) else { return };
                Some(redacted)
            }
            OpenedBody::Closed => None,
        };
        body.entity = redacted;
        body.wire = body.entity.clone().filter(|_| body.framing != Framing::Chunked);
        // The digest of what was there would let a short secret be guessed.
        body.sha256 = None;
    }

    /// A message with its body decoded and searched; a body that is the same as that of `like` is not searched
    /// again.
    fn open<H>(&self, message: &Message<H>, raw: &Bytes, headers: &Headers, like: Option<&Opened>) -> Opened {
        let body = match (recode::decoded(headers, &message.body), &message.body.entity) {
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
        Opened { head: self.searched(raw.clone(), Part::Head), body }
    }

    fn searched(&self, text: Bytes, part: Part) -> Searched {
        let mut spans = Vec::new();
        part.spans(&text, &self.also, |span, form| {
            if !is_redacted(text.get(span.clone()).unwrap_or_default()) {
                spans.push((span, form));
            }
        });
        spans.sort_unstable_by_key(|(span, _)| (span.start, span.end));
        Searched { text, part, spans }
    }

    /// The bytes with their secrets and the echoes of others replaced; `None` when they hold none.
    fn redacted(&self, bytes: &[u8], part: Part, secrets: &mut Secrets) -> Option<Bytes> {
        self.edited(&self.searched(Bytes::copy_from_slice(bytes), part), secrets)
    }

    fn edited(&self, searched: &Searched, secrets: &mut Secrets) -> Option<Bytes> {
        let Searched { text, part, spans } = searched;
        let mut edits = Edits::default();
        for (span, form) in spans {
            let value = text.get(span.clone()).unwrap_or_default();
            edits.push(span.clone(), secrets.replacement(self, value, *form));
        }
        let mut echoes = Vec::new();
        secrets.search.find(text, &part.fixed(text), |span| {
            // Most are where they were found by their name.
            let place = |span: &Range<usize>| (span.start, span.end);
            if spans.binary_search_by_key(&place(&span), |(known, _)| place(known)).is_err() {
                echoes.push(span);
            }
        });
        for span in echoes {
            let value = text.get(span.clone()).unwrap_or_default();
            edits.push(span, secrets.replacement(self, value, Form::Bare));
        }
        edits.apply(text).map(Bytes::from)
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
        scan::forms(bytes, json, |span| found(span, Form::Bare));
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

/// A text of a row, and where secrets of its own lie.
#[derive(Clone)]
struct Searched {
    text: Bytes,
    part: Part,
    /// In their order.
    spans: Vec<(Range<usize>, Form)>,
}

/// A message, searched.
struct Opened {
    head: Searched,
    body: OpenedBody,
}

enum OpenedBody {
    /// It was not kept.
    None,
    /// Without its content codings.
    Decoded(Searched),
    /// Not in the coding that it claims, so that its bytes are what they are.
    AsItIs(Searched),
    /// A part of a coded body: what it holds cannot be searched, and could be recovered.
    Closed,
}

fn answer(outcome: &Outcome) -> Option<&Response> {
    match outcome {
        Outcome::Answered { response, .. } => Some(response),
        Outcome::Failed { partial, .. } => partial.as_ref(),
        Outcome::Skipped(_) => None,
    }
}

/// The secrets of one row, for finding their echoes, and what replaces each of them.
#[derive(Clone, Default)]
pub struct Secrets {
    all: BTreeSet<Vec<u8>>,
    bytes: usize,
    /// There are more than are looked for, so that what may echo them is not kept.
    too_many: bool,
    /// Made of all of them, once they are known.
    search: Search,
    replacements: Vec<(Vec<u8>, Form, Vec<u8>)>,
}

impl Secrets {
    fn of_message(&mut self, message: &Opened) {
        self.of_text(&message.head);
        if let OpenedBody::Decoded(text) = &message.body {
            self.of_text(text);
        }
    }

    fn of_text(&mut self, searched: &Searched) {
        for (span, _) in &searched.spans {
            let value = searched.text.get(span.clone()).unwrap_or_default();
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
        }
    }

    fn add(&mut self, value: &[u8]) {
        if value.len() < SHORTEST_ECHO || is_redacted(value) || self.all.contains(value) {
            return;
        }
        if self.bytes + value.len() > MOST_ECHOED {
            self.too_many = true;
            return;
        }
        self.bytes += value.len();
        self.all.insert(value.to_vec());
    }

    /// What replaces a secret: worked out once for each row, in which most stand several times.
    fn replacement(&mut self, redactor: &Redactor, value: &[u8], form: Form) -> Vec<u8> {
        if let Some((.., text)) = self.replacements.iter().find(|(v, f, _)| *f == form && v == value) {
            return text.clone();
        }
        let text = redactor.replacement(value, form);
        if self.replacements.len() < MOST_REMEMBERED {
            self.replacements.push((value.to_vec(), form, text.clone()));
        }
        text
    }
}

/// The search for what repeats the secrets of a row.
#[derive(Clone, Default)]
enum Search {
    #[default]
    None,
    /// One after the other, as in most rows: each search is made at once.
    Few(Vec<Echo>),
    /// All in one pass; of two of which one begins the other, the longer is found.
    Many(AhoCorasick),
}

impl Search {
    fn new(secrets: &BTreeSet<Vec<u8>>) -> Self {
        if secrets.is_empty() {
            return Self::None;
        }
        if secrets.len() <= FEW {
            return Self::Few(secrets.iter().map(|secret| Echo::new(secret)).collect());
        }
        let mut builder = AhoCorasick::builder();
        builder.match_kind(MatchKind::LeftmostLongest).kind(Some(AhoCorasickKind::ContiguousNFA));
        builder.build(secrets).map_or(Self::None, Self::Many)
    }

    /// Calls `found` with the span of each echo that touches nothing that is fixed.
    fn find(&self, text: &[u8], fixed: &[Range<usize>], mut found: impl FnMut(Range<usize>)) {
        match self {
            Self::None => {}
            Self::Few(echoes) => {
                let mut found = |span: Range<usize>| {
                    if is_free(&span, fixed) {
                        found(span);
                    }
                };
                for echo in echoes {
                    echo.find(text, &mut found);
                }
            }
            Self::Many(all) => {
                let mut start = 0;
                let ends = fixed.iter().filter(|part| !part.is_empty()).map(|part| (part.start, part.end));
                for (end, next) in ends.chain([(text.len(), text.len())]) {
                    let free = text.get(start..end).unwrap_or_default();
                    all.find_iter(free).for_each(|echo| found(start + echo.start()..start + echo.end()));
                    start = next;
                }
            }
        }
    }
}

/// A secret, and the search for it.
#[derive(Clone)]
struct Echo {
    secret: Vec<u8>,
    /// Finds its beginning.
    start: memchr::memmem::Finder<'static>,
}

impl Echo {
    /// A search for so few bytes is made at once. One for more prepares itself for the worst, which costs more
    /// than most rows are long.
    const START: usize = 32;
    /// A longer secret is searched for as a whole: comparing it at each place where it might begin would let a
    /// hostile row cost its length squared.
    const LONGEST_COMPARED: usize = 1024;

    fn new(secret: &[u8]) -> Self {
        let compared = secret.len() <= Self::LONGEST_COMPARED;
        let start = if compared { secret.get(..Self::START).unwrap_or(secret) } else { secret };
        Self { secret: secret.to_vec(), start: memchr::memmem::Finder::new(start).into_owned() }
    }

    /// Calls `found` with each place of the secret, of which none overlaps another.
    fn find(&self, text: &[u8], mut found: impl FnMut(Range<usize>)) {
        let mut from = 0;
        while let Some(at) = text.get(from..).and_then(|rest| self.start.find(rest)) {
            let at = from + at;
            from = at + 1;
            if text.get(at..).is_some_and(|rest| rest.starts_with(&self.secret)) {
                from = at + self.secret.len();
                found(at..from);
            }
        }
    }
}

#[cfg(test)]
mod tests;
