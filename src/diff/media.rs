//! What a body is, by what it says and by its first bytes.

use crate::http::Headers;

/// The kinds of content that are compared in a way of their own.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Media {
    /// Declared as JSON.
    Json,
    /// Declared as JSON documents on lines.
    JsonLines,
    /// Declared as some text.
    Text,
    /// Declared as something else.
    Opaque,
    /// Not declared, or as nothing known.
    Unknown,
}

impl Media {
    /// By the Content-Type field (RFC 9110, section 8.3; the `+json` and `+xml` suffixes, RFC 6839).
    pub(super) fn of(headers: &Headers) -> Self {
        let value = headers.get("content-type").unwrap_or_default();
        let end = value.iter().position(|&b| b == b';').unwrap_or(value.len());
        let essence = String::from_utf8_lossy(value[..end].trim_ascii()).to_ascii_lowercase();
        Self::of_essence(&essence)
    }

    fn of_essence(essence: &str) -> Self {
        let Some((top, sub)) = essence.split_once('/') else { return Self::Unknown };
        match (top, sub) {
            (_, "json") => Self::Json,
            (_, "x-ndjson" | "ndjson" | "jsonl" | "x-jsonlines" | "jsonlines" | "stream+json") => {
                Self::JsonLines
            }
            _ if sub.ends_with("+json") => Self::Json,
            ("text", _)
            | (
                "application",
                "xml"
                | "javascript"
                | "ecmascript"
                | "x-javascript"
                | "graphql"
                | "x-www-form-urlencoded"
                | "yaml"
                | "x-yaml"
                | "toml"
                | "sql",
            ) => Self::Text,
            _ if sub.ends_with("+xml") => Self::Text,
            ("image" | "audio" | "video" | "font" | "model", _)
            | ("application", "octet-stream" | "pdf" | "zip" | "gzip" | "wasm" | "grpc") => Self::Opaque,
            _ => Self::Unknown,
        }
    }

    /// Whether it is declared as JSON in either form.
    pub(super) fn is_json(self) -> bool {
        matches!(self, Self::Json | Self::JsonLines)
    }
}

/// Whether content may be read as lines of text: no NUL, and UTF-8 unless it is declared as text,
/// which may then be in some other charset.
pub(super) fn is_text(media: Media, content: &[u8]) -> bool {
    let declared = matches!(media, Media::Text | Media::Json | Media::JsonLines);
    media != Media::Opaque
        && memchr::memchr(0, content).is_none()
        && (declared || std::str::from_utf8(content).is_ok())
}

/// Whether content begins as JSON objects and arrays do.
pub(super) fn looks_like_json(content: &[u8]) -> bool {
    let content = content.strip_prefix(b"\xEF\xBB\xBF").unwrap_or(content).trim_ascii_start();
    matches!(content.first(), Some(b'{' | b'['))
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
            ("text/html", Media::Text),
            ("image/svg+xml", Media::Text),
            ("image/png", Media::Opaque),
            ("application/vnd.acme", Media::Unknown),
            ("json", Media::Unknown),
            ("", Media::Unknown),
        ] {
            assert_eq!(Media::of_essence(essence), media, "{essence}");
        }
    }

    #[test]
    fn text_has_no_nul_and_a_charset_that_is_known_or_declared() {
        assert!(is_text(Media::Unknown, "é".as_bytes()));
        assert!(!is_text(Media::Unknown, b"\xe9"));
        assert!(is_text(Media::Text, b"\xe9"));
        assert!(!is_text(Media::Text, b"a\0b"));
        assert!(!is_text(Media::Opaque, b"plain"));
    }
}
