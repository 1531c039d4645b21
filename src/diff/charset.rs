//! Text in any character encoding, as UTF-8.
//!
//! The encoding is the one of the byte order mark, else of the Content-Type field, else of the document
//! itself (WHATWG Encoding, section 6; HTML, section 13.2.3.2). Text that names none stays as it is, and so
//! does text that is not well formed in the encoding it names: replacing what cannot be read would make
//! different bytes equal.

use std::borrow::Cow;

use encoding_rs::{Encoding, UTF_8};
use memchr::memmem;

/// How far into a document its own word about its encoding is sought (HTML, section 13.2.3.2).
const PRESCAN: usize = 1024;

/// The label names no encoding that is known (WHATWG Encoding, section 4.2).
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("the charset `{0}` is not known")]
pub(super) struct UnknownCharset(String);

/// The text in UTF-8 and without a byte order mark, where its encoding is known and it is well formed.
pub(super) fn decode<'t>(text: &'t [u8], declared: Option<&[u8]>) -> Result<Cow<'t, [u8]>, UnknownCharset> {
    if let Some((encoding, mark)) = Encoding::for_bom(text) {
        return Ok(transcode(text, &text[mark..], encoding));
    }
    let Some(label) = declared.or_else(|| declared_inside(text)) else { return Ok(Cow::Borrowed(text)) };
    match Encoding::for_label(label) {
        Some(encoding) => Ok(transcode(text, text, encoding)),
        None => Err(UnknownCharset(super::excerpt::excerpt(label))),
    }
}

fn transcode<'t>(whole: &'t [u8], text: &'t [u8], encoding: &'static Encoding) -> Cow<'t, [u8]> {
    if encoding == UTF_8 {
        return Cow::Borrowed(text);
    }
    match encoding.decode_without_bom_handling_and_without_replacement(text) {
        Some(Cow::Borrowed(_)) => Cow::Borrowed(text),
        Some(Cow::Owned(decoded)) => Cow::Owned(decoded.into_bytes()),
        None => Cow::Borrowed(whole),
    }
}

/// What an XML declaration (XML 1.0, section 4.3.3) or a `meta` element says.
fn declared_inside(text: &[u8]) -> Option<&[u8]> {
    let head = &text[..text.len().min(PRESCAN)];
    let (from, name): (_, &[u8]) = if head.starts_with(b"<?xml") {
        (0, b"encoding")
    } else {
        (memmem::find(head, b"<meta").or_else(|| memmem::find(head, b"<META"))?, b"charset")
    };
    let at = from + memmem::find(&head[from..], name)?;
    let value = head[at + name.len()..].trim_ascii_start().strip_prefix(b"=")?.trim_ascii_start();
    let value = value.strip_prefix(b"\"").or_else(|| value.strip_prefix(b"'")).unwrap_or(value);
    let end = value.iter().position(|b| matches!(b, b'"' | b'\'' | b'>' | b';' | b' ' | b'/' | b'?'))?;
    Some(&value[..end]).filter(|label| !label.is_empty())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn utf8(text: &[u8], declared: Option<&str>) -> Vec<u8> {
        decode(text, declared.map(str::as_bytes)).unwrap().into_owned()
    }

    /// The bytes are those that `iconv -f UTF-8 -t LABEL` makes.
    #[test]
    fn the_same_text_is_the_same_in_each_encoding() {
        for (label, bytes) in [
            ("utf-8", &b"\xC3\xA9\xE2\x82\xAC"[..]),
            ("iso-8859-15", b"\xE9\xA4"),
            ("Windows-1252", b"\xE9\x80"),
            ("utf-16le", b"\xE9\x00\xAC\x20"),
        ] {
            assert_eq!(utf8(bytes, Some(label)), "é€".as_bytes(), "{label}");
        }
        assert_eq!(utf8(b"\x93\xFA\x96{", Some("shift_jis")), "日本".as_bytes());
    }

    #[test]
    fn a_byte_order_mark_outranks_the_label_and_is_no_part_of_the_text() {
        assert_eq!(utf8(b"\xFE\xFF\x00a", Some("iso-8859-1")), b"a");
        assert_eq!(utf8(b"\xEF\xBB\xBF\xC3\xA9", Some("iso-8859-1")), "é".as_bytes());
    }

    #[test]
    fn a_document_says_itself_what_it_is_encoded_in() {
        let xml = b"<?xml version='1.0' encoding='ISO-8859-1'?><a>\xE9</a>";
        assert!(utf8(xml, None).ends_with("<a>é</a>".as_bytes()));
        for meta in ["<meta charset=\"latin1\">", "<META http-equiv=x content='text/html; charset=latin1'>"] {
            let html = [b"<html>", meta.as_bytes(), b"\xE9"].concat();
            assert!(utf8(&html, None).ends_with("é".as_bytes()), "{meta}");
        }
    }

    #[test]
    fn text_that_is_not_what_it_says_stays_as_it_is() {
        assert_eq!(utf8(b"\xFF", Some("utf-8")), b"\xFF");
        assert_eq!(utf8(b"\x81\xFF", Some("shift_jis")), b"\x81\xFF");
        assert_eq!(utf8(b"\xE9", None), b"\xE9");
        assert!(decode(b"a", Some(b"klingon")).is_err());
    }
}
