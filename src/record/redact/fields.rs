//! Secrets in a head: by the names of its header fields.
//!
//! It splits the raw head by lines and asks for no grammar, so that odd heads, and those that were sent
//! and never parsed, are searched as well.

use std::ops::Range;

use super::names::is_secret;
use super::scan;

/// Calls `found` with the span of each credential in a header field's value.
pub(super) fn secrets(head: &[u8], mut found: impl FnMut(Range<usize>)) {
    let mut start = 0;
    // Whether the field that a folded line goes on with (RFC 9112, section 5.2) is a secret's.
    let mut folded = false;
    for line in head.split_inclusive(|&b| b == b'\n') {
        let continues = line.first().is_some_and(|b| b" \t".contains(b));
        if continues && folded {
            trimmed(line, start, 0).map(&mut found);
        } else if let Some(colon) = memchr::memchr(b':', line).filter(|_| start > 0 && !continues) {
            let name = line.get(..colon).unwrap_or_default().trim_ascii();
            folded = is_secret(name);
            if let Some(span) = trimmed(line, start, colon + 1).filter(|_| folded) {
                value(name, head, span, &mut found);
            }
        }
        start += line.len();
    }
}

/// The span of a line from `from` on without surrounding white space; `None` when nothing is left.
fn trimmed(line: &[u8], start: usize, from: usize) -> Option<Range<usize>> {
    let rest = line.get(from..)?;
    let lead = rest.len() - rest.trim_ascii_start().len();
    let text = rest.trim_ascii();
    (!text.is_empty()).then(|| start + from + lead..start + from + lead + text.len())
}

fn value(name: &[u8], head: &[u8], span: Range<usize>, found: &mut impl FnMut(Range<usize>)) {
    let text = head.get(span.clone()).unwrap_or_default();
    let shifted = |part: Range<usize>| span.start + part.start..span.start + part.end;
    if name.eq_ignore_ascii_case(b"cookie") {
        scan::cookies(text, false, |part| found(shifted(part)));
    } else if name.eq_ignore_ascii_case(b"set-cookie") {
        scan::cookies(text, true, |part| found(shifted(part)));
    } else {
        found(span.start + scan::scheme_len(text)..span.end);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn credentials_fields_lose_their_values_and_keep_their_shape() {
        let head = "GET /cookie: HTTP/1.1\r\nAuthorization: Bearer abc def\r\nCookie: a=1; b=2\r\nHost: x\r\n\
                    X-Api-Key:k \r\nSet-Cookie: s=v; Path=/\nproxy-authorization: raw\r\n\tfolded \r\n \
                    more\r\nX: y\r\n z\r\n\r\n";
        let mut out = Vec::new();
        secrets(head.as_bytes(), |span| out.push(&head[span]));
        assert_eq!(out, ["abc def", "1", "2", "k", "v", "raw", "folded", "more"]);
    }
}
