//! Secrets in a head: by the names of its header fields.
//!
//! It splits the raw head by lines and asks for no grammar, so that odd heads, and those that were sent
//! and never parsed, are searched as well.

use std::ops::Range;

use super::names::Names;
use super::scan;

/// Calls `found` with the span of each credential in a header field's value.
pub(super) fn secrets(head: &[u8], names: &Names, mut found: impl FnMut(Range<usize>)) {
    authority(head, &mut found);
    let start_line = scan::lines(head).next().unwrap_or_default();
    of_fields(head, start_line.len(), names, found);
}

/// The same of the lines from `start` on, which are fields all.
pub(super) fn of_fields(head: &[u8], start: usize, names: &Names, mut found: impl FnMut(Range<usize>)) {
    let mut start = start;
    // Whether the field that a folded line goes on with (RFC 9112, section 5.2) is a secret's.
    let mut folded = false;
    for line in scan::lines(head.get(start..).unwrap_or_default()) {
        let continues = matches!(line.first(), Some(b' ' | b'\t'));
        if continues && folded {
            trimmed(line, start, 0).map(&mut found);
        } else if let Some(colon) = memchr::memchr(b':', line).filter(|_| !continues) {
            let name = line.get(..colon).unwrap_or_default().trim_ascii();
            folded = names.is_secret(name);
            if name.len() >= 4 && name[name.len() - 4..].eq_ignore_ascii_case(b"host") {
                // Userinfo has no place in a host (RFC 9110, section 4.2.4), and clients put it there.
                let span = trimmed(line, start, colon + 1).unwrap_or_default();
                let at = head.get(span.clone()).and_then(|host| memchr::memrchr(b'@', host));
                if let Some(at) = at.filter(|at| *at > 0) {
                    found(span.start..span.start + at);
                }
            }
            if folded && let Some(span) = trimmed(line, start, colon + 1) {
                value(name, head, span, &mut found);
            }
        }
        start += line.len();
    }
}

/// The userinfo of a target in authority form, which has no scheme before it (RFC 9112, section 3.2.3).
fn authority(head: &[u8], found: &mut impl FnMut(Range<usize>)) {
    let Some(rest) = head.strip_prefix(b"CONNECT ") else { return };
    let target = rest.split(u8::is_ascii_whitespace).next().unwrap_or_default();
    if let Some(at) = memchr::memrchr(b'@', target).filter(|at| *at > 0) {
        found(8..8 + at);
    }
}

/// The parts of a start line that make it one: method and version, or version and status. No secret lies in them,
/// and without them the head would be none.
pub(super) fn fixed_parts(head: &[u8]) -> [Range<usize>; 2] {
    let line = head.get(..memchr::memchr2(b'\r', b'\n', head).unwrap_or(head.len())).unwrap_or_default();
    let word = |from: usize| {
        let rest = line.get(from..).unwrap_or_default();
        from..from + memchr::memchr(b' ', rest).unwrap_or(rest.len())
    };
    let first = word(0);
    if line.starts_with(b"HTTP/") {
        let status = word((first.end + 1).min(line.len()));
        return [first, status];
    }
    let version = memchr::memrchr(b' ', line).map_or(line.len(), |space| space + 1);
    let is_version = line.get(version..).is_some_and(|word| word.starts_with(b"HTTP/"));
    [first, if is_version { version..line.len() } else { 0..0 }]
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
        secrets(head.as_bytes(), &Names::default(), |span| out.push(&head[span]));
        assert_eq!(out, ["abc def", "1", "2", "k", "v", "raw", "folded", "more"]);
    }

    #[test]
    fn userinfo_is_found_where_an_authority_stands_alone() {
        for (head, expected) in [
            ("CONNECT u:p@h:443 HTTP/1.1\r\nHost: u:p@h:443\r\n\r\n", vec!["u:p", "u:p"]),
            ("GET / HTTP/1.1\r\nX-Forwarded-Host: a@b\r\nHost: @b\r\nHost:\r\n\r\n", vec!["a"]),
        ] {
            let mut out = Vec::new();
            secrets(head.as_bytes(), &Names::default(), |span| out.push(&head[span]));
            assert_eq!(out, expected, "{head}");
        }
    }

    #[test]
    fn the_frame_of_a_start_line_is_known() {
        for (head, parts) in [
            ("GET /a b HTTP/1.1\r\nHost: x\r\n\r\n", ["GET", "HTTP/1.1"]),
            ("HTTP/1.1 404 Not Found\r\n\r\n", ["HTTP/1.1", "404"]),
            ("HTTP/1.0 200\n\n", ["HTTP/1.0", "200"]),
            ("GET /old\r\n", ["GET", ""]),
            ("", ["", ""]),
            ("HTTP/1.1", ["HTTP/1.1", ""]),
        ] {
            assert_eq!(fixed_parts(head.as_bytes()).map(|span| &head[span]), parts, "{head:?}");
        }
    }
}
