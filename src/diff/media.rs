//! What a body is, by what it says and by its first bytes.

use super::headers::elements;
use crate::http::Headers;

/// The kinds of content that are compared in a way of their own.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Media {
    /// Declared as JSON.
    Json,
    /// Declared as JSON documents on lines.
    JsonLines,
    /// Declared as server-sent events.
    Events,
    /// Declared as HTML.
    Html,
    /// Declared as XML, XHTML among it.
    Xml,
    /// Declared as a form's fields in one line.
    Form,
    /// Declared as several parts, each with header fields of its own.
    Multipart,
    /// Declared as some other text.
    Text,
    /// Declared as something else.
    Opaque,
    /// Not declared, or as nothing known.
    Unknown,
}

/// A Content-Type field (RFC 9110, section 8.3.1).
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct MediaType {
    pub(super) media: Media,
    /// The label of a character encoding.
    pub(super) charset: Option<Vec<u8>>,
    /// What stands between the parts of a multipart body.
    pub(super) boundary: Option<Vec<u8>>,
}

impl MediaType {
    pub(super) fn of(headers: &Headers) -> Self {
        Self::parse(headers.get("content-type").unwrap_or_default())
    }

    /// Reads a field's value. Of a parameter that is there twice the first counts.
    pub(super) fn parse(value: &[u8]) -> Self {
        let mut parts = elements(value, b';').into_iter();
        let essence = parts.next().unwrap_or_default().to_ascii_lowercase();
        let mut media_type = Self {
            media: Media::of_essence(&String::from_utf8_lossy(&essence)),
            charset: None,
            boundary: None,
        };
        for (name, value) in parts.filter_map(parameter) {
            let place = match name.as_slice() {
                b"charset" => &mut media_type.charset,
                b"boundary" => &mut media_type.boundary,
                _ => continue,
            };
            place.get_or_insert(value);
        }
        media_type
    }
}

/// A parameter's name in lower case, and its value without quotes (RFC 9110, section 5.6.6).
pub(super) fn parameter(part: &[u8]) -> Option<(Vec<u8>, Vec<u8>)> {
    let at = memchr::memchr(b'=', part)?;
    let (name, value) = (part[..at].trim_ascii(), part[at + 1..].trim_ascii());
    let quoted = value.strip_prefix(b"\"").and_then(|value| value.strip_suffix(b"\""));
    Some((name.to_ascii_lowercase(), quoted.map_or_else(|| value.to_vec(), unquoted)))
}

/// The text of a quoted string (RFC 9110, section 5.6.4).
fn unquoted(text: &[u8]) -> Vec<u8> {
    let mut escaped = false;
    let keep = |b: &u8| {
        escaped = *b == b'\\' && !escaped;
        !escaped
    };
    text.iter().copied().filter(keep).collect()
}

impl Media {
    /// By name; the suffixes are those of RFC 6838, section 4.2.8.
    fn of_essence(essence: &str) -> Self {
        let Some((top, sub)) = essence.split_once('/') else { return Self::Unknown };
        match (top, sub) {
            (_, "json") => Self::Json,
            (_, "x-ndjson" | "ndjson" | "jsonl" | "x-jsonlines" | "jsonlines" | "stream+json") => {
                Self::JsonLines
            }
            _ if sub.ends_with("+json") => Self::Json,
            ("text", "event-stream") => Self::Events,
            ("text", "html") => Self::Html,
            ("text" | "application", "xml" | "xml-external-parsed-entity" | "xml-dtd") => Self::Xml,
            _ if sub.ends_with("+xml") => Self::Xml,
            ("application", "x-www-form-urlencoded") => Self::Form,
            ("multipart", _) => Self::Multipart,
            ("text", _)
            | (
                "application",
                "javascript" | "ecmascript" | "x-javascript" | "graphql" | "yaml" | "x-yaml" | "toml" | "sql",
            ) => Self::Text,
            ("image" | "audio" | "video" | "font" | "model", _)
            | ("application", "octet-stream" | "pdf" | "zip" | "gzip" | "wasm" | "grpc") => Self::Opaque,
            _ => Self::Unknown,
        }
    }

    /// Whether it is declared as JSON in either form.
    pub(super) fn is_json(self) -> bool {
        matches!(self, Self::Json | Self::JsonLines)
    }

    /// Whether it is declared as something that is made of characters.
    pub(super) fn is_textual(self) -> bool {
        match self {
            Self::Json
            | Self::JsonLines
            | Self::Events
            | Self::Html
            | Self::Xml
            | Self::Form
            | Self::Text => true,
            Self::Multipart | Self::Opaque | Self::Unknown => false,
        }
    }
}

/// Whether content may be read as lines of text: no NUL, and UTF-8 unless it is declared as text,
/// which may then be in some other charset.
pub(super) fn is_text(media: Media, content: &[u8]) -> bool {
    media != Media::Opaque
        && memchr::memchr(0, content).is_none()
        && (media.is_textual() || std::str::from_utf8(content).is_ok())
}

/// Whether content begins as JSON objects and arrays do.
pub(super) fn looks_like_json(content: &[u8]) -> bool {
    matches!(start(content).first(), Some(b'{' | b'['))
}

/// Whether content begins as an XML document does: with the declaration (XML 1.0, section 2.8).
pub(super) fn looks_like_xml(content: &[u8]) -> bool {
    start(content).starts_with(b"<?xml")
}

/// Whether content begins as an HTML document does (WHATWG MIME Sniffing, section 7.1, the two signs that
/// nothing else has).
pub(super) fn looks_like_html(content: &[u8]) -> bool {
    let start = start(content);
    [&b"<!doctype html"[..], b"<html"]
        .iter()
        .any(|sign| start.get(..sign.len()).is_some_and(|head| head.eq_ignore_ascii_case(sign)))
}

/// The content without a byte order mark and the white space before it.
fn start(content: &[u8]) -> &[u8] {
    content.strip_prefix(b"\xEF\xBB\xBF").unwrap_or(content).trim_ascii_start()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn types_are_known_by_name_and_suffix() {
        for (essence, media) in [
            ("application/json", Media::Json),
            ("application/problem+json", Media::Json),
            ("application/x-ndjson", Media::JsonLines),
            ("text/event-stream", Media::Events),
            ("text/html", Media::Html),
            ("image/svg+xml", Media::Xml),
            ("application/xhtml+xml", Media::Xml),
            ("application/x-www-form-urlencoded", Media::Form),
            ("multipart/form-data", Media::Multipart),
            ("text/plain", Media::Text),
            ("image/png", Media::Opaque),
            ("application/vnd.acme", Media::Unknown),
            ("json", Media::Unknown),
            ("", Media::Unknown),
        ] {
            assert_eq!(Media::of_essence(essence), media, "{essence}");
        }
    }

    #[test]
    fn parameters_have_names_in_any_case_and_values_with_or_without_quotes() {
        let parsed = MediaType::parse(b"Text/HTML; Charset=\"utf-8\" ;boundary=\"a;\\\"b\"; charset=x");
        assert_eq!(parsed.media, Media::Html);
        assert_eq!(parsed.charset.as_deref(), Some(&b"utf-8"[..]));
        assert_eq!(parsed.boundary.as_deref(), Some(&b"a;\"b"[..]));
        assert_eq!(MediaType::parse(b"text/plain;charset").charset, None);
    }

    #[test]
    fn text_has_no_nul_and_a_charset_that_is_known_or_declared() {
        assert!(is_text(Media::Unknown, "é".as_bytes()));
        assert!(!is_text(Media::Unknown, b"\xe9"));
        assert!(is_text(Media::Text, b"\xe9"));
        assert!(!is_text(Media::Text, b"a\0b"));
        assert!(!is_text(Media::Opaque, b"plain"));
    }

    #[test]
    fn documents_are_known_by_their_beginning() {
        assert!(looks_like_html(b"\xEF\xBB\xBF\n<!DOCTYPE html>"));
        assert!(looks_like_html(b"<HTML lang=en>"));
        assert!(!looks_like_html(b"<h1>"));
        assert!(looks_like_xml(b" <?xml version='1.0'?>"));
        assert!(!looks_like_xml(b"<a/>"));
    }
}
