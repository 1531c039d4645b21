//! A JSON document as it was written (RFC 8259).
//!
//! Unlike a parser made for programs, this one keeps what a comparison must see: members that are
//! there twice, the text of numbers, strings that no Unicode string can hold (a lone surrogate
//! becomes its three-byte form, invalid UTF-8 stays as it is). Depth and the number of values are
//! bounded; a document beyond the bounds is not read as JSON.

use std::borrow::Cow;

use xxhash_rust::xxh3::{xxh3_64, xxh3_64_with_seed};

/// Arrays and objects within each other. Deeper ones are left to the comparison as text.
const MAX_DEPTH: u32 = 256;
/// Values in a document, about 150 MB of them at worst.
const MAX_VALUES: u32 = 2_000_000;

/// One value, and the bytes that it was written as.
#[derive(Debug)]
pub(super) struct Node<'b> {
    /// As written, without the white space around it.
    pub(super) source: &'b [u8],
    /// Equal for values that are written alike, save for white space, escapes in strings and the
    /// order of members.
    pub(super) digest: u64,
    pub(super) value: Value<'b>,
}

/// What a value is. Scalars are read from their source when they are needed.
#[derive(Debug)]
pub(super) enum Value<'b> {
    Null,
    Bool,
    Number,
    String,
    Array(Vec<Node<'b>>),
    Object(Vec<Member<'b>>),
}

/// A name and a value.
#[derive(Debug)]
pub(super) struct Member<'b> {
    /// The name, unescaped.
    pub(super) name: Cow<'b, [u8]>,
    pub(super) node: Node<'b>,
}

impl<'b> Node<'b> {
    /// The content of a string, unescaped; `None` where the value is no string.
    pub(super) fn string(&self) -> Option<Cow<'b, [u8]>> {
        match self.value {
            Value::String => Some(unescape(inner(self.source))),
            _ => None,
        }
    }
}

/// Why bytes are not taken for JSON.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub(in crate::diff) enum NotJson {
    /// The grammar is broken.
    #[error("not JSON at byte {0}")]
    Grammar(usize),
    /// It goes beyond what is read.
    #[error("nested deeper than {MAX_DEPTH} levels")]
    TooDeep,
    /// It goes beyond what is read.
    #[error("more than {MAX_VALUES} values")]
    TooMany,
}

/// Reads one document, a byte order mark before it allowed.
pub(super) fn parse(bytes: &[u8]) -> Result<Node<'_>, NotJson> {
    let mut parser = Parser { bytes, at: 0, values: 0 };
    if bytes.starts_with(b"\xEF\xBB\xBF") {
        parser.at = 3;
    }
    let node = parser.value(0)?;
    parser.space();
    if parser.at == bytes.len() { Ok(node) } else { Err(parser.broken()) }
}

/// Reads documents, one on each line (NDJSON), as the elements of an array. Empty lines count for
/// nothing.
pub(super) fn parse_lines(bytes: &[u8]) -> Result<Node<'_>, NotJson> {
    let mut parser = Parser { bytes, at: 0, values: 0 };
    let mut elements = Vec::new();
    parser.space();
    while parser.at < bytes.len() {
        let from = parser.at;
        elements.push(parser.value(1)?);
        let line = &bytes[from..parser.at];
        let rest = bytes.get(parser.at..).unwrap_or_default();
        let blank = rest.iter().take_while(|b| matches!(b, b' ' | b'\t' | b'\r')).count();
        if memchr::memchr(b'\n', line).is_some() || rest.get(blank).is_some_and(|&b| b != b'\n') {
            return Err(parser.broken());
        }
        parser.space();
    }
    Ok(array(bytes, elements))
}

struct Parser<'b> {
    bytes: &'b [u8],
    at: usize,
    values: u32,
}

impl<'b> Parser<'b> {
    fn value(&mut self, depth: u32) -> Result<Node<'b>, NotJson> {
        self.values += 1;
        if self.values > MAX_VALUES {
            return Err(NotJson::TooMany);
        }
        self.space();
        let from = self.at;
        match self.peek() {
            Some(b'{') if depth < MAX_DEPTH => self.object(depth + 1),
            Some(b'[') if depth < MAX_DEPTH => self.array(depth + 1),
            Some(b'{' | b'[') => Err(NotJson::TooDeep),
            Some(b'"') => {
                self.string()?;
                Ok(self.scalar(from, Value::String))
            }
            Some(b'-' | b'0'..=b'9') => {
                self.number()?;
                Ok(self.scalar(from, Value::Number))
            }
            _ => self.literal(),
        }
    }

    fn literal(&mut self) -> Result<Node<'b>, NotJson> {
        let (from, rest) = (self.at, self.bytes.get(self.at..).unwrap_or_default());
        for (word, value) in [("null", Value::Null), ("true", Value::Bool), ("false", Value::Bool)] {
            if rest.starts_with(word.as_bytes()) {
                self.at += word.len();
                return Ok(self.scalar(from, value));
            }
        }
        Err(self.broken())
    }

    fn scalar(&self, from: usize, value: Value<'b>) -> Node<'b> {
        let source = &self.bytes[from..self.at];
        let digest = match value {
            Value::String => xxh3_64_with_seed(&unescape(inner(source)), 1),
            _ => xxh3_64(source),
        };
        Node { source, digest, value }
    }

    fn array(&mut self, depth: u32) -> Result<Node<'b>, NotJson> {
        let from = self.at;
        let mut elements = Vec::new();
        self.at += 1;
        self.space();
        if !self.take(b']') {
            loop {
                elements.push(self.value(depth)?);
                if self.closes(b']')? {
                    break;
                }
            }
        }
        Ok(array(&self.bytes[from..self.at], elements))
    }

    fn object(&mut self, depth: u32) -> Result<Node<'b>, NotJson> {
        let from = self.at;
        let mut members = Vec::new();
        self.at += 1;
        self.space();
        if !self.take(b'}') {
            loop {
                members.push(self.member(depth)?);
                if self.closes(b'}')? {
                    break;
                }
            }
        }
        // A sum, so that the order of members does not count.
        let digest = members
            .iter()
            .fold(3u64, |sum, m: &Member<'_>| sum.wrapping_add(mix(xxh3_64(&m.name), m.node.digest)));
        Ok(Node { source: &self.bytes[from..self.at], digest, value: Value::Object(members) })
    }

    fn member(&mut self, depth: u32) -> Result<Member<'b>, NotJson> {
        self.space();
        let from = self.at;
        if self.peek() != Some(b'"') {
            return Err(self.broken());
        }
        self.string()?;
        let name = unescape(inner(&self.bytes[from..self.at]));
        self.space();
        if !self.take(b':') {
            return Err(self.broken());
        }
        Ok(Member { name, node: self.value(depth)? })
    }

    /// Whether the array or object ends here; otherwise a comma was there.
    fn closes(&mut self, end: u8) -> Result<bool, NotJson> {
        self.space();
        if self.take(end) {
            return Ok(true);
        }
        if self.take(b',') { Ok(false) } else { Err(self.broken()) }
    }

    /// Passes over a string, of which the opening quote is next.
    fn string(&mut self) -> Result<(), NotJson> {
        self.at += 1;
        loop {
            match self.peek() {
                Some(b'"') => {
                    self.at += 1;
                    return Ok(());
                }
                Some(b'\\') => self.escape()?,
                Some(0x20..) => self.at += 1,
                _ => return Err(self.broken()),
            }
        }
    }

    fn escape(&mut self) -> Result<(), NotJson> {
        let rest = self.bytes.get(self.at + 1..).unwrap_or_default();
        let len = match rest.first() {
            Some(b'"' | b'\\' | b'/' | b'b' | b'f' | b'n' | b'r' | b't') => 2,
            Some(b'u') if rest.get(1..5).is_some_and(|hex| hex.iter().all(u8::is_ascii_hexdigit)) => 6,
            _ => return Err(self.broken()),
        };
        self.at += len;
        Ok(())
    }

    fn number(&mut self) -> Result<(), NotJson> {
        self.take(b'-');
        if !self.take(b'0') {
            self.digits()?;
        }
        if self.take(b'.') {
            self.digits()?;
        }
        if self.take(b'e') || self.take(b'E') {
            let _sign = self.take(b'+') || self.take(b'-');
            self.digits()?;
        }
        Ok(())
    }

    fn digits(&mut self) -> Result<(), NotJson> {
        let rest = self.bytes.get(self.at..).unwrap_or_default();
        let n = rest.iter().take_while(|b| b.is_ascii_digit()).count();
        self.at += n;
        if n == 0 { Err(self.broken()) } else { Ok(()) }
    }

    fn space(&mut self) {
        while matches!(self.peek(), Some(b' ' | b'\t' | b'\n' | b'\r')) {
            self.at += 1;
        }
    }

    fn take(&mut self, byte: u8) -> bool {
        let there = self.peek() == Some(byte);
        self.at += usize::from(there);
        there
    }

    fn peek(&self) -> Option<u8> {
        self.bytes.get(self.at).copied()
    }

    fn broken(&self) -> NotJson {
        NotJson::Grammar(self.at)
    }
}

fn array<'b>(source: &'b [u8], elements: Vec<Node<'b>>) -> Node<'b> {
    let digest = elements.iter().fold(2, |digest, node| mix(digest, node.digest));
    Node { source, digest, value: Value::Array(elements) }
}

fn mix(a: u64, b: u64) -> u64 {
    let mut bytes = [0; 16];
    bytes[..8].copy_from_slice(&a.to_le_bytes());
    bytes[8..].copy_from_slice(&b.to_le_bytes());
    xxh3_64(&bytes)
}

/// A string's source without its quotes.
fn inner(source: &[u8]) -> &[u8] {
    source.get(1..source.len().saturating_sub(1)).unwrap_or_default()
}

/// The content of a string whose escapes are known to be well formed.
fn unescape(raw: &[u8]) -> Cow<'_, [u8]> {
    let Some(first) = memchr::memchr(b'\\', raw) else { return Cow::Borrowed(raw) };
    let mut out = Vec::with_capacity(raw.len());
    out.extend_from_slice(&raw[..first]);
    let mut rest = &raw[first..];
    while let [b'\\', kind, tail @ ..] = rest {
        rest = match kind {
            b'u' => unescape_unicode(tail, &mut out),
            b'b' => push(&mut out, 0x08, tail),
            b'f' => push(&mut out, 0x0C, tail),
            b'n' => push(&mut out, b'\n', tail),
            b'r' => push(&mut out, b'\r', tail),
            b't' => push(&mut out, b'\t', tail),
            other => push(&mut out, *other, tail),
        };
        let plain = memchr::memchr(b'\\', rest).unwrap_or(rest.len());
        out.extend_from_slice(&rest[..plain]);
        rest = &rest[plain..];
    }
    Cow::Owned(out)
}

fn push<'r>(out: &mut Vec<u8>, byte: u8, rest: &'r [u8]) -> &'r [u8] {
    out.push(byte);
    rest
}

/// Behind `\u`: four digits, and for a high surrogate the low one that may follow. What is no pair is
/// written as three bytes in the pattern of UTF-8, so that different strings stay different.
fn unescape_unicode<'r>(rest: &'r [u8], out: &mut Vec<u8>) -> &'r [u8] {
    let Some((unit, tail)) = hex4(rest) else { return rest };
    if let (0xD800..=0xDBFF, Some(low_tail)) = (unit, tail.strip_prefix(b"\\u"))
        && let Some((low @ 0xDC00..=0xDFFF, after)) = hex4(low_tail)
        && let Some(c) = char::from_u32(0x1_0000 + ((unit - 0xD800) << 10) + (low - 0xDC00))
    {
        out.extend_from_slice(c.encode_utf8(&mut [0; 4]).as_bytes());
        return after;
    }
    match char::from_u32(unit) {
        Some(c) => out.extend_from_slice(c.encode_utf8(&mut [0; 4]).as_bytes()),
        None => out.extend([unit >> 12 | 0xE0, unit >> 6 & 0x3F | 0x80, unit & 0x3F | 0x80].map(low_byte)),
    }
    tail
}

fn low_byte(n: u32) -> u8 {
    n.to_le_bytes()[0]
}

fn hex4(text: &[u8]) -> Option<(u32, &[u8])> {
    let (digits, rest) = text.split_at_checked(4)?;
    let unit = digits.iter().try_fold(0, |n, &b| Some(n << 4 | char::from(b).to_digit(16)?))?;
    Some((unit, rest))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn string(json: &str) -> Vec<u8> {
        parse(json.as_bytes()).unwrap().string().unwrap().into_owned()
    }

    /// Cases of RFC 8259 and of the JSON test suite's families: accepted, refused.
    #[test]
    fn the_grammar_is_that_of_rfc_8259() {
        for text in [
            "null",
            " true ",
            "\u{feff}[]",
            "{}",
            "[1,[2,{\"a\":{}}]]",
            "-0",
            "1e5",
            "1.5E-3",
            "\"\\u00e9\\n\"",
            "{\"a\":1,\"a\":2}",
            "123456789012345678901234567890",
        ] {
            assert!(parse(text.as_bytes()).is_ok(), "{text}");
        }
        for text in [
            "",
            " ",
            "nul",
            "[1,]",
            "[,1]",
            "{\"a\"}",
            "{\"a\":}",
            "{a:1}",
            "01",
            "1.",
            ".5",
            "+1",
            "1e",
            "--1",
            "\"\t\"",
            "\"\\x\"",
            "\"\\u12g4\"",
            "\"abc",
            "[1] 2",
            "'a'",
            "[1",
            "NaN",
            "{\"a\":1,}",
        ] {
            assert!(parse(text.as_bytes()).is_err(), "{text}");
        }
    }

    #[test]
    fn strings_are_unescaped_even_where_unicode_cannot_hold_them() {
        assert_eq!(string(r#""a\/\"\\\b\f\n\r\t""#), b"a/\"\\\x08\x0c\n\r\t");
        assert_eq!(string(r#""\u00e9\ud83d\ude00""#), "é😀".as_bytes());
        assert_eq!(string(r#""\ud800""#), b"\xED\xA0\x80");
        assert_eq!(string(r#""\ud800\u0041""#), b"\xED\xA0\x80A");
        assert_ne!(string(r#""\ud800""#), string(r#""\udc00""#));
        assert_eq!(*parse(b"\"\xff\"").unwrap().string().unwrap(), *b"\xff");
    }

    #[test]
    fn digests_disregard_space_escapes_and_the_order_of_members() {
        let digest = |text: &str| parse(text.as_bytes()).unwrap().digest;
        assert_eq!(digest(r#"{"a":1,"b":["x"]}"#), digest(r#"{ "b": ["\u0078"], "a": 1 }"#));
        assert_ne!(digest("[1,2]"), digest("[2,1]"));
        assert_ne!(digest("[[1],2]"), digest("[1,[2]]"));
        assert_ne!(digest("\"1\""), digest("1"));
        assert_ne!(digest("[]"), digest("{}"));
    }

    #[test]
    fn depth_and_number_are_bounded() {
        let deep = |n| format!("{}{}", "[".repeat(n), "]".repeat(n));
        assert!(parse(deep(256).as_bytes()).is_ok());
        assert_eq!(parse(deep(257).as_bytes()).unwrap_err(), NotJson::TooDeep);
        assert_eq!(parse(deep(1_000_000).as_bytes()).unwrap_err(), NotJson::TooDeep);
        let wide = format!("[{}0]", "0,".repeat(2_000_000));
        assert_eq!(parse(wide.as_bytes()).unwrap_err(), NotJson::TooMany);
    }

    #[test]
    fn documents_on_lines_are_the_elements_of_an_array() {
        let lines = parse_lines(b"{\"a\":1}\n\n[2]\r\n3\n").unwrap();
        let Value::Array(elements) = lines.value else { unreachable!("lines are an array") };
        assert_eq!(elements.len(), 3);
        assert!(parse_lines(b"{\"a\":\n1}").is_err());
        assert!(parse_lines(b"1 2").is_err());
    }
}
