//! Content of several parts (RFC 2046, section 5.1), each with header fields and content of its own.
//!
//! Parts of a form go by their names (RFC 7578, section 4.2), others by their places.

use std::borrow::Cow;
use std::collections::BTreeMap;

use memchr::memmem;

use super::content::{self, Content, whole};
use super::excerpt::excerpt;
use super::findings::Findings;
use super::headers::elements;
use super::media::{MediaType, parameter};
use super::{Class, Kind, Layer};

/// More parts are not looked into.
const MAX_PARTS: usize = 10_000;
/// Multipart content within multipart content.
const MAX_DEPTH: usize = 4;

/// The parts, each by the place that its differences are told at.
pub(super) struct Parts<'b>(BTreeMap<String, Part<'b>>);

struct Part<'b> {
    /// The fields, names in lower case.
    fields: BTreeMap<Vec<u8>, &'b [u8]>,
    content: Content<'b>,
}

impl<'b> Parts<'b> {
    /// Divides content at its delimiters; `None` where there is no part, none ends, or there are too many.
    pub(super) fn parse(content: &'b [u8], boundary: &[u8]) -> Option<Self> {
        let delimiter = [b"\r\n--", boundary].concat();
        let first = delimiter.strip_prefix(b"\r\n")?;
        let start = if content.starts_with(first) { 0 } else { memmem::find(content, &delimiter)? + 2 };
        let mut rest = &content[start + first.len()..];
        let mut parts = BTreeMap::new();
        while !rest.starts_with(b"--") {
            let begin = memmem::find(rest, b"\r\n")? + 2;
            // The line end before a delimiter belongs to it, also where the part is empty.
            let end = memmem::find(&rest[begin - 2..], &delimiter)?;
            let part = Part::parse(rest.get(begin..begin - 2 + end).unwrap_or_default());
            rest = &rest[begin - 2 + end + delimiter.len()..];
            let place = part.name().unwrap_or_else(|| (parts.len() + 1).to_string());
            let place = format!("part[{place}]");
            let again =
                if parts.contains_key(&place) { format!("{place}[{}]", parts.len() + 1) } else { place };
            parts.insert(again, part);
            if parts.len() > MAX_PARTS {
                return None;
            }
        }
        (!parts.is_empty()).then_some(Self(parts))
    }
}

impl<'b> Part<'b> {
    fn parse(bytes: &'b [u8]) -> Self {
        let (head, body) = match memmem::find(bytes, b"\r\n\r\n") {
            _ if bytes.starts_with(b"\r\n") => (&bytes[..0], &bytes[2..]),
            Some(end) => (&bytes[..end], &bytes[end + 4..]),
            None => (bytes, &bytes[..0]),
        };
        let fields: BTreeMap<_, _> = head
            .split(|&b| b == b'\n')
            .filter_map(|line| {
                let colon = memchr::memchr(b':', line)?;
                Some((line[..colon].trim_ascii().to_ascii_lowercase(), line[colon + 1..].trim_ascii()))
            })
            .collect();
        let media = MediaType::parse(fields.get(&b"content-type"[..]).copied().unwrap_or(b"text/plain"));
        Self { fields, content: Content { bytes: Cow::Borrowed(body), media } }
    }

    fn name(&self) -> Option<String> {
        let disposition = self.fields.get(&b"content-disposition"[..])?;
        let parameters = elements(disposition, b';').into_iter().skip(1).filter_map(parameter);
        parameters.into_iter().find(|(name, _)| name == b"name").map(|(_, value)| excerpt(&value))
    }
}

/// Finds the differences of two contents of several parts.
pub(super) fn compare(v1: &Parts<'_>, v2: &Parts<'_>, findings: &mut Findings<'_>) {
    for (place, ours) in &v1.0 {
        findings.inside(place, |findings| match v2.0.get(place) {
            Some(theirs) => parts(ours, theirs, findings),
            None => whole(Kind::Missing, Class::Unverified, (Some(&*ours.content.bytes), None), findings),
        });
    }
    for (place, theirs) in v2.0.iter().filter(|(place, _)| !v1.0.contains_key(*place)) {
        findings.inside(place, |findings| {
            whole(Kind::Added, Class::Unverified, (None, Some(&*theirs.content.bytes)), findings);
        });
    }
}

fn parts(v1: &Part<'_>, v2: &Part<'_>, findings: &mut Findings<'_>) {
    for name in v1.fields.keys().chain(v2.fields.keys().filter(|name| !v1.fields.contains_key(*name))) {
        let (ours, theirs) = (v1.fields.get(name).copied(), v2.fields.get(name).copied());
        let kind = match (ours, theirs) {
            (a, b) if a == b => continue,
            (_, None) => Kind::Missing,
            (None, _) => Kind::Added,
            _ => Kind::ValueChanged,
        };
        let path = || String::from_utf8_lossy(name).into_owned();
        findings.push((Layer::Body, kind, Class::Unverified), path, (ours, theirs));
    }
    if v1.content.bytes == v2.content.bytes {
        return;
    }
    if findings.depth() > MAX_DEPTH {
        return whole(
            Kind::ValueChanged,
            Class::Unverified,
            (Some(&*v1.content.bytes), Some(&*v2.content.bytes)),
            findings,
        );
    }
    content::compare(&v1.content, &v2.content, findings);
}
