//! Content by what it is: by its declared type, and where it declares none that is known, by how it begins.
//!
//! Each format has a comparison of its own; where one side is not what both should be, that is the
//! difference. What no format fits is compared as text, else by length, type, digest and the first byte that
//! differs.

use std::borrow::Cow;
use std::fmt::Write as _;

use sha2::{Digest, Sha256};

use super::excerpt::first_difference;
use super::findings::Findings;
use super::json::{self, Form, NotJson};
use super::markup::{self, NotMarkup, Tree};
use super::media::{Media, MediaType, is_text, looks_like_html, looks_like_json, looks_like_xml};
use super::{Class, Kind, Layer, charset, multipart, text, transcribe};

/// A body, or a part of one, as the user of the service sees it: without its codings.
#[derive(Clone)]
pub(super) struct Content<'b> {
    pub(super) bytes: Cow<'b, [u8]>,
    pub(super) media: MediaType,
}

impl<'b> Content<'b> {
    fn media(&self) -> Media {
        self.media.media
    }

    /// The same in UTF-8, where it is text in a known charset; what is not stays as it is.
    fn in_utf8(&'b self) -> Result<Self, charset::UnknownCharset> {
        let bytes = match self.media() {
            Media::Opaque | Media::Multipart => Cow::Borrowed(&*self.bytes),
            _ => charset::decode(&self.bytes, self.media.charset.as_deref())?,
        };
        Ok(Self { bytes, media: self.media.clone() })
    }
}

/// Compares two contents that are not equal as bytes.
pub(super) fn compare(v1: &Content<'_>, v2: &Content<'_>, findings: &mut Findings<'_>) {
    match (v1.bytes.is_empty(), v2.bytes.is_empty()) {
        (false, true) => return whole(Kind::Missing, Class::Unverified, (Some(&*v1.bytes), None), findings),
        (true, false) => return whole(Kind::Added, Class::Unverified, (None, Some(&*v2.bytes)), findings),
        _ => {}
    }
    match (v1.in_utf8(), v2.in_utf8()) {
        (Ok(a), Ok(b)) => in_one_charset(&a, &b, findings),
        // One label on both sides: other bytes are another text, whatever it says.
        (Err(a), Err(b)) if a == b => in_one_charset(v1, v2, findings),
        (a, b) => {
            let describe = |side: Result<Content<'_>, charset::UnknownCharset>| {
                side.map_or_else(|error| error.to_string(), |_| "decoded".to_owned())
            };
            whole(Kind::Undecodable, Class::NotCompared, (Some(describe(a)), Some(describe(b))), findings);
        }
    }
}

fn in_one_charset(v1: &Content<'_>, v2: &Content<'_>, findings: &mut Findings<'_>) {
    if v1.bytes == v2.bytes {
        return;
    }
    let known = as_multipart(v1, v2, findings)
        .or_else(|| as_transcript(v1, v2, findings))
        .or_else(|| as_markup(v1, v2, findings))
        .or_else(|| as_json(v1, v2, findings));
    if known.is_some() {
        return;
    }
    let readable = |c: &Content<'_>| c.bytes.len() <= text::MAX_BYTES && is_text(c.media(), &c.bytes);
    if readable(v1) && readable(v2) {
        text::compare(&v1.bytes, &v2.bytes, findings);
    } else {
        opaque(&v1.bytes, &v2.bytes, findings);
    }
}

fn as_multipart(v1: &Content<'_>, v2: &Content<'_>, findings: &mut Findings<'_>) -> Option<()> {
    let (a, b) = (parts(v1)?, parts(v2)?);
    multipart::compare(&a, &b, findings);
    Some(())
}

fn parts<'c>(content: &'c Content<'_>) -> Option<multipart::Parts<'c>> {
    let boundary = content.media.boundary.as_deref().filter(|_| content.media() == Media::Multipart)?;
    multipart::Parts::parse(&content.bytes, boundary)
}

/// Compares streams of events with each other, and forms.
fn as_transcript(v1: &Content<'_>, v2: &Content<'_>, findings: &mut Findings<'_>) -> Option<()> {
    let transcribe = match (v1.media(), v2.media()) {
        (Media::Events, Media::Events) => transcribe::events,
        (Media::Form, Media::Form) => transcribe::form,
        _ => return None,
    };
    let (a, b) = (transcribe(&v1.bytes), transcribe(&v2.bytes));
    let (Ok(a), Ok(b)) = (json::parse(&a, Form::Single), json::parse(&b, Form::Single)) else { return None };
    json::compare(&a, &b, findings);
    Some(())
}

/// Compares HTML with HTML and XML with XML.
fn as_markup(v1: &Content<'_>, v2: &Content<'_>, findings: &mut Findings<'_>) -> Option<()> {
    let both = |declared: Media, looks: fn(&[u8]) -> bool| {
        let is = |c: &Content<'_>| c.media() == declared || (c.media() == Media::Unknown && looks(&c.bytes));
        is(v1) && is(v2) && v1.bytes.len().max(v2.bytes.len()) <= markup::MAX_BYTES
    };
    let parse: fn(&str) -> Result<Tree, NotMarkup> = if both(Media::Html, looks_like_html) {
        markup::parse_html
    } else if both(Media::Xml, looks_like_xml) {
        markup::parse_xml
    } else {
        return None;
    };
    let (text1, text2) = (std::str::from_utf8(&v1.bytes).ok()?, std::str::from_utf8(&v2.bytes).ok()?);
    match (parse(text1), parse(text2)) {
        (Ok(a), Ok(b)) => markup::compare(&a, &b, findings),
        (Ok(_), Err(NotMarkup::Grammar(_))) => {
            let values = (Some(&*v1.bytes), Some(&*v2.bytes));
            whole(Kind::Undecodable, Class::Unverified, values, findings);
        }
        _ => return None,
    }
    Some(())
}

/// Compares JSON with JSON, and says where one side alone is JSON; `None` where neither is.
fn as_json(v1: &Content<'_>, v2: &Content<'_>, findings: &mut Findings<'_>) -> Option<()> {
    let (text1, text2) = json::unwrapped(&v1.bytes, &v2.bytes);
    let may_be = |c: &Content<'_>, text: &[u8]| {
        c.media().is_json() || (c.media() != Media::Opaque && looks_like_json(text))
    };
    if !(may_be(v1, text1) || may_be(v2, text2)) {
        return None;
    }
    let lines = v1.media() == Media::JsonLines || v2.media() == Media::JsonLines;
    let forms = if lines { [Form::Lines, Form::Single] } else { [Form::Single, Form::Lines] };
    let read = |form: Form| (json::parse(text1, form), json::parse(text2, form));
    // The form in which both can be read, else the declared one.
    let mut parsed = read(forms[0]);
    if parsed.0.is_err() || parsed.1.is_err() {
        let otherwise = read(forms[1]);
        if otherwise.0.is_ok() && otherwise.1.is_ok() {
            parsed = otherwise;
        }
    }
    let both = (Some(&*v1.bytes), Some(&*v2.bytes));
    match &parsed {
        (Ok(a), Ok(b)) => json::compare(a, b, findings),
        (Ok(_), Err(NotJson::Grammar(_))) if v2.media().is_json() => {
            whole(Kind::Undecodable, Class::Unverified, both, findings);
        }
        (Ok(_), Err(NotJson::Grammar(_))) | (Err(NotJson::Grammar(_)), Ok(_)) => {
            whole(Kind::TypeChanged, Class::Unverified, both, findings);
        }
        _ => return None,
    }
    Some(())
}

/// Looks at content that is JSON, of at most so many bytes, by itself; `None` where it is none.
pub(super) fn with_json<R>(
    content: &Content<'_>,
    most: usize,
    look: impl FnOnce(&json::Document<'_>) -> R,
) -> Option<R> {
    let content = content.in_utf8().ok().filter(|content| content.bytes.len() <= most)?;
    let (text, _) = json::unwrapped(&content.bytes, &content.bytes);
    let may_be = content.media().is_json() || (content.media() == Media::Unknown && looks_like_json(text));
    let read = |form| json::parse(text, form).ok();
    may_be.then(|| read(Form::Single).or_else(|| read(Form::Lines))).flatten().map(|document| look(&document))
}

/// Bytes that nothing is known about.
fn opaque(v1: &[u8], v2: &[u8], findings: &mut Findings<'_>) {
    let at = first_difference(v1, v2);
    let describe = |bytes: &[u8]| {
        let kind = infer::get(bytes).map(|kind| format!("{}, ", kind.mime_type())).unwrap_or_default();
        let summary = summary(bytes.len() as u64, &Sha256::digest(bytes));
        format!("{kind}{summary}, first difference at byte {at}")
    };
    whole(Kind::ValueChanged, Class::Unverified, (Some(describe(v1)), Some(describe(v2))), findings);
}

pub(super) fn summary(len: u64, digest: &[u8]) -> String {
    let mut out = format!("{len} bytes, sha256 ");
    for byte in digest {
        // Writing to a String cannot fail.
        _ = write!(out, "{byte:02x}");
    }
    out
}

/// Reports a difference of the content as a whole.
pub(super) fn whole<V: AsRef<[u8]>>(
    kind: Kind,
    class: Class,
    (v1, v2): (Option<V>, Option<V>),
    findings: &mut Findings<'_>,
) {
    let values = (v1.as_ref().map(AsRef::as_ref), v2.as_ref().map(AsRef::as_ref));
    findings.push((Layer::Body, kind, class), String::new, values);
}
