//! Values of fields in the form in which they are compared.

use std::borrow::Cow;
use std::collections::BTreeSet;

use super::super::media;

/// What a value means, so that two ways of writing it are equal.
pub(super) fn canonical<'v>(name: &str, value: &'v [u8]) -> Cow<'v, [u8]> {
    let canonical = match name {
        // Lists whose elements are names in any case and in any order (RFC 9110, sections 8.5, 12.5.5
        // and 14.3; RFC 9111, section 5.2; the Fetch standard, section 3.3; W3C Clear Site Data).
        "accept-ranges"
        | "access-control-allow-headers"
        | "access-control-expose-headers"
        | "cache-control"
        | "clear-site-data"
        | "content-language"
        | "pragma"
        | "vary" => set(&value.to_ascii_lowercase()),
        // Methods have case (RFC 9110, sections 9.1 and 10.2.1).
        "access-control-allow-methods" | "allow" => set(value),
        // In the order in which they were applied (RFC 9110, section 8.4).
        "content-encoding" => joined(elements(&value.to_ascii_lowercase(), b',')),
        "content-type" => media_type(value),
        // A weak tag says less than a strong one; the rest is opaque (RFC 9110, section 8.8.3).
        "etag" => {
            if value.starts_with(b"W/") {
                b"W/\"\xE2\x80\xA6\"".to_vec()
            } else {
                "\"…\"".into()
            }
        }
        // A date, or what counts as a date in the past (RFC 9111, section 5.3).
        "expires" => {
            if value.contains(&b':') {
                b"a date".to_vec()
            } else {
                b"no date".to_vec()
            }
        }
        "content-security-policy" | "content-security-policy-report-only" => without_nonces(value),
        _ => return value.into(),
    };
    canonical.into()
}

fn set(value: &[u8]) -> Vec<u8> {
    joined(elements(value, b',').into_iter().collect::<BTreeSet<_>>())
}

fn joined<'v>(elements: impl IntoIterator<Item = &'v [u8]>) -> Vec<u8> {
    elements.into_iter().collect::<Vec<_>>().join(&b", "[..])
}

/// The parts between separators outside of quoted strings (RFC 9110, sections 5.6.1 and 5.6.4), the
/// empty ones left out.
pub(in crate::diff) fn elements(value: &[u8], separator: u8) -> Vec<&[u8]> {
    let (mut quoted, mut escaped) = (false, false);
    value
        .split(|&b| {
            let ends = b == separator && !quoted;
            quoted ^= b == b'"' && !escaped;
            escaped = quoted && b == b'\\' && !escaped;
            ends
        })
        .map(<[u8]>::trim_ascii)
        .filter(|element| !element.is_empty())
        .collect()
}

/// Type and parameters (RFC 9110, section 8.3.1): names in any case, values quoted or not, in any
/// order. A boundary is made anew for each message (RFC 2046, section 5.1.1).
fn media_type(value: &[u8]) -> Vec<u8> {
    let mut parts = elements(value, b';').into_iter();
    let essence = parts.next().unwrap_or_default().to_ascii_lowercase();
    let parameters: BTreeSet<Vec<u8>> = parts.map(parameter).collect();
    std::iter::once(essence).chain(parameters).collect::<Vec<_>>().join(&b"; "[..])
}

fn parameter(part: &[u8]) -> Vec<u8> {
    let Some((name, value)) = media::parameter(part) else { return part.to_ascii_lowercase() };
    let value = match name.as_slice() {
        b"boundary" => "…".as_bytes().to_vec(),
        b"charset" => value.to_ascii_lowercase(),
        _ => value,
    };
    [name, value].join(&b'=')
}

/// A policy with what each nonce is left out (Content Security Policy 3, section 2.3.1).
fn without_nonces(value: &[u8]) -> Vec<u8> {
    const OPEN: &[u8] = b"'nonce-";
    let mut out = Vec::with_capacity(value.len());
    let mut rest = value;
    while let Some(at) = memchr::memmem::find(rest, OPEN) {
        out.extend_from_slice(&rest[..at + OPEN.len()]);
        rest = &rest[at + OPEN.len()..];
        out.extend_from_slice("…".as_bytes());
        rest = &rest[memchr::memchr(b'\'', rest).unwrap_or(rest.len())..];
    }
    out.extend_from_slice(rest);
    out
}

/// A Set-Cookie value (RFC 6265, section 4.1): the name, and the form in which it is compared and
/// shown, without the secret.
pub(super) fn cookie(value: &[u8]) -> (Vec<u8>, Vec<u8>) {
    let mut parts = value.split(|&b| b == b';').map(<[u8]>::trim_ascii);
    let pair = parts.next().unwrap_or_default();
    let at = memchr::memchr(b'=', pair).unwrap_or(pair.len());
    let name = pair[..at].trim_ascii().to_vec();
    let content = if pair.get(at + 1..).unwrap_or_default().is_empty() { "" } else { "…" };
    let attributes: BTreeSet<Vec<u8>> = parts.filter(|part| !part.is_empty()).map(attribute).collect();
    let shown = [name.as_slice(), b"=", content.as_bytes()].concat();
    (name, std::iter::once(shown).chain(attributes).collect::<Vec<_>>().join(&b"; "[..]))
}

/// An attribute: its name in any case; the time of Expires runs with the clock.
fn attribute(part: &[u8]) -> Vec<u8> {
    let at = memchr::memchr(b'=', part).unwrap_or(part.len());
    let name = part[..at].trim_ascii().to_ascii_lowercase();
    let value = part.get(at + 1..).unwrap_or_default().trim_ascii();
    match name.as_slice() {
        b"expires" => [name.as_slice(), "=…".as_bytes()].concat(),
        b"samesite" | b"domain" => [name, value.to_ascii_lowercase()].join(&b'='),
        _ if at == part.len() => name,
        _ => [&name, value].join(&b'='),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn values_that_mean_the_same_are_equal() {
        for (name, a, b) in [
            ("vary", "Accept, Cookie", "cookie,accept"),
            ("allow", "GET, HEAD", "HEAD, GET"),
            ("cache-control", "max-age=60, private", "Private,max-age=60"),
            ("cache-control", "no-cache=\"a, b\"", "no-cache=\"a, b\","),
            ("content-type", "text/HTML;charset=\"UTF-8\"", "text/html; Charset=utf-8"),
            ("content-type", "multipart/mixed; boundary=abc", "multipart/mixed; boundary=\"d;ef\""),
            ("etag", "\"a\"", "\"b\""),
            ("expires", "Thu, 01 Dec 1994 16:00:00 GMT", "Fri, 02 Dec 1994 16:00:00 GMT"),
            ("content-security-policy", "script-src 'nonce-a1' 'self'", "script-src 'nonce-zz' 'self'"),
        ] {
            assert_eq!(canonical(name, a.as_bytes()), canonical(name, b.as_bytes()), "{name}: {a} / {b}");
        }
    }

    #[test]
    fn values_that_mean_something_else_are_not() {
        for (name, a, b) in [
            ("vary", "Accept", "Accept, Cookie"),
            ("allow", "GET", "get"),
            ("content-encoding", "gzip, br", "br, gzip"),
            ("content-type", "text/html; charset=utf-8", "text/html"),
            ("etag", "\"a\"", "W/\"a\""),
            ("expires", "0", "Fri, 02 Dec 1994 16:00:00 GMT"),
            ("content-security-policy", "script-src 'nonce-a1'", "script-src 'nonce-a1' 'unsafe-inline'"),
            ("x-own", "a, b", "b, a"),
        ] {
            assert_ne!(canonical(name, a.as_bytes()), canonical(name, b.as_bytes()), "{name}: {a} / {b}");
        }
    }

    #[test]
    fn cookies_are_known_by_name_and_attributes() {
        let shown = |value: &str| String::from_utf8(cookie(value.as_bytes()).1).unwrap();
        assert_eq!(shown("sid=s3cret; Path=/; HttpOnly"), "sid=…; httponly; path=/");
        assert_eq!(shown("sid=s3cret; Path=/; HttpOnly"), shown("sid=other; httponly; path=/"));
        assert_ne!(shown("sid=a; Secure"), shown("sid=a"));
        assert_ne!(shown("sid=a; SameSite=Lax"), shown("sid=a; SameSite=None"));
        assert_ne!(shown("sid="), shown("sid=a"));
        assert_eq!(cookie(b"").0, b"");
    }
}
