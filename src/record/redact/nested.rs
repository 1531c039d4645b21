//! Secrets in texts within texts: JSON in a string or a script, queries that are themselves encoded, the
//! elements of a markup, header fields in a page that shows a request.

use std::ops::Range;

use super::names::Names;
use super::scan::{self, scheme_len};

/// Calls `found` with the span of each value behind a quoted name and a colon whose name is a secret's. Quotes
/// may be escaped, as in JSON that stands in a string; with `escaped_only` they have to be.
pub(super) fn members(text: &[u8], names: &Names, escaped_only: bool, mut found: impl FnMut(Range<usize>)) {
    if escaped_only && memchr::memchr(b'\\', text).is_none() {
        return;
    }
    let mut floor = 0;
    for colon in memchr::memchr_iter(b':', text).filter(|colon| *colon > 0) {
        if colon < floor {
            continue;
        }
        let before = text.get(floor..colon).unwrap_or_default().trim_ascii_end();
        let Some((quote, name)) = name_before(before).filter(|(quote, _)| !escaped_only || quote.len() > 1)
        else {
            continue;
        };
        if !names.is_secret(name) {
            continue;
        }
        let rest = text.get(colon + 1..).unwrap_or_default();
        let start = colon + 1 + (rest.len() - rest.trim_ascii_start().len());
        if let Some(span) = value_at(text, start, quote) {
            floor = span.end;
            let scheme = scheme_len(text.get(span.clone()).unwrap_or_default());
            found(span.start + scheme..span.end);
        }
    }
}

/// The quote, with the backslashes before it, and the name between it and its partner, at the end of a text.
fn name_before(text: &[u8]) -> Option<(&[u8], &[u8])> {
    let mark = *text.last().filter(|b| b"\"'".contains(b))?;
    let slashes = text.iter().rev().skip(1).take_while(|b| **b == b'\\').count();
    let inside = text.get(..text.len() - 1 - slashes)?;
    let from = inside.len().saturating_sub(129);
    let open = memchr::memrchr2(mark, b'\\', inside.get(from..)?)?;
    Some((text.get(inside.len()..)?, inside.get(from + open + 1..)?))
}

/// A value in the same quotes as its name, or a bare number.
fn value_at(text: &[u8], start: usize, quote: &[u8]) -> Option<Range<usize>> {
    let rest = text.get(start..)?;
    if let Some(inside) = rest.strip_prefix(quote) {
        let from = start + quote.len();
        let len = memchr::memmem::find(inside, quote).unwrap_or(inside.len());
        return (len > 0).then_some(from..from + len);
    }
    let digits = rest.iter().take_while(|b| b.is_ascii_digit()).count();
    (digits > 0).then_some(start..start + digits)
}

/// Calls `found` with the span of each value of `name%3Dvalue` whose name is a secret's: a query within a
/// parameter of a query.
pub(super) fn encoded_pairs(text: &[u8], names: &Names, mut found: impl FnMut(Range<usize>)) {
    let mut floor = 0;
    for at in memchr::memmem::find_iter(text, b"%3").filter(|at| *at > 0) {
        if at < floor || !text.get(at + 2).is_some_and(|b| b"Dd".contains(b)) {
            continue;
        }
        let before = text.get(floor..at).unwrap_or_default();
        let len =
            before.iter().rev().take(129).take_while(|b| b.is_ascii_alphanumeric() || b"-_.".contains(b));
        let mut name = before.get(before.len() - len.count()..).unwrap_or_default();
        let is_code = before.len() > name.len() && before.get(before.len() - name.len() - 1) == Some(&b'%');
        if is_code {
            name = name.get(2..).unwrap_or_default();
        }
        if !names.is_secret(name) {
            continue;
        }
        let from = at + 3;
        let value = text.get(from..).unwrap_or_default();
        let plain =
            value.iter().take_while(|b| !b.is_ascii_whitespace() && !b"&;\"'<>#\\,`".contains(b)).count();
        let value = value.get(..plain).unwrap_or_default();
        let len = [&b"%26"[..], b"%23", b"%3B"]
            .iter()
            .filter_map(|end| memchr::memmem::find(value, end))
            .min()
            .unwrap_or(value.len());
        if len > 0 {
            floor = from + len;
            found(from..floor);
        }
    }
}

/// Calls `found` with the span of the text of each element whose name is a secret's.
pub(super) fn elements(text: &[u8], names: &Names, mut found: impl FnMut(Range<usize>)) {
    let mut floor = 0;
    for close in memchr::memchr_iter(b'<', text).filter(|at| text.get(at + 1) == Some(&b'/')) {
        let name = text.get(close + 2..).unwrap_or_default();
        let len =
            name.iter().take(129).take_while(|b| b.is_ascii_alphanumeric() || b"-_.:".contains(b)).count();
        let name = name.get(..len).unwrap_or_default();
        let local = name.rsplit(|&b| b == b':').next().unwrap_or_default();
        let before = text.get(floor..close).unwrap_or_default();
        if names.is_secret(local)
            && let Some(open) = memchr::memrchr(b'>', before).filter(|open| open + 1 < before.len())
        {
            found(floor + open + 1..close);
        }
        floor = close;
    }
}

/// Calls `found` with the span of each value of a line `Name: value` whose name is a secret's.
pub(super) fn lines(text: &[u8], names: &Names, mut found: impl FnMut(Range<usize>)) {
    let mut start = 0;
    for line in scan::lines(text) {
        let colon = memchr::memchr(b':', line.get(..line.len().min(129)).unwrap_or_default());
        if let Some(colon) = colon
            && names.is_secret(line.get(..colon).unwrap_or_default().trim_ascii_start())
        {
            let value = line.get(colon + 1..).unwrap_or_default();
            let from = colon + 1 + (value.len() - value.trim_ascii_start().len());
            let value = value.trim_ascii();
            let scheme = scheme_len(value);
            if value.len() > scheme {
                found(start + from + scheme..start + from + value.len());
            }
        }
        start += line.len();
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    type Finder = fn(&[u8], &Names, &mut dyn FnMut(Range<usize>));

    #[test]
    fn secrets_are_found_in_texts_within_texts() {
        let members: Finder = |t, n, f| members(t, n, false, f);
        let escaped: Finder = |t, n, f| super::members(t, n, true, f);
        let encoded: Finder = |t, n, f| encoded_pairs(t, n, f);
        let elements: Finder = |t, n, f| elements(t, n, f);
        let lines: Finder = |t, n, f| lines(t, n, f);
        for (finder, text, expected) in [
            (escaped, r#"{"data":"{\"password\": \"p w\", \"n\":1}"}"#, &["p w"][..]),
            (escaped, r#"{"data":"{\\\"token\\\":\\\"deep\\\"}"}"#, &["deep"]),
            (escaped, r#"{"token":"left to the scan of JSON"}"#, &[]),
            (escaped, r#""{\"pin\": 1234, \"x\": 5}""#, &["1234"]),
            (members, r#"var a = {"api_key": "k1", 'secret' : 'k2'}; b = x ? "token" : c"#, &["k1", "k2"]),
            (members, r#"{"token":"Bearer abc"#, &["abc"]),
            (encoded, "/go?next=%2Fcb%3Ftoken%3Dt1%26sid%3ds2%26a%3Db&c=d", &["t1", "s2"]),
            (encoded, "x%3D1 %3", &[]),
            (elements, "<a><password>p</password><ns:Token x='1'>t</ns:Token><b>c</b></a>", &["p", "t"]),
            (elements, "</token><token></token>", &[]),
            (
                lines,
                "GET / HTTP/1.1\r\nX-Api-Key: k \r\n  token: t\nAuthorization: Basic abc\nno: x",
                &["k", "t", "abc"],
            ),
        ] {
            let mut out = Vec::new();
            finder(text.as_bytes(), &Names::default(), &mut |span| out.push(text[span].to_owned()));
            assert_eq!(out, expected, "{text}");
        }
    }

    proptest::proptest! {
        #[test]
        fn spans_lie_within_any_text(text in "[\\\\\"':%3Dd<>/a-c token=\\n0-9]{0,80}") {
            let (bytes, names) = (text.as_bytes(), Names::default());
            let mut within = |span: Range<usize>| assert!(span.start <= span.end && span.end <= bytes.len());
            members(bytes, &names, false, &mut within);
            encoded_pairs(bytes, &names, &mut within);
            elements(bytes, &names, &mut within);
            lines(bytes, &names, &mut within);
        }
    }
}
