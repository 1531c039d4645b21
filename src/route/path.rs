//! The path that rules see.
//!
//! A sidecar normalises a path before it looks for a route (Istio's `MeshConfig.pathNormalization`, whose
//! default is `BASE`; Envoy's `normalize_path`). What is sent to v2 keeps the path as captured, unless a rule
//! rewrites it. Each line here was measured on Envoy 1.40:
//!
//! - backslashes are slashes;
//! - the dot segments `.` and `..` are taken out (RFC 3986, section 5.2.4), also where they are escaped;
//! - so they are where path parameters follow (`..;x`), if they begin behind a slash and are not escaped: the
//!   parameters go first, and reach to the next slash;
//! - letters, digits, `-`, `.`, `_` and `~` lose their escapes, and no other character does;
//! - `"`, `<`, `>`, `^`, `` ` ``, `{`, `|` and `}` are escaped;
//! - slashes in a row, and the case of escapes, stay.

use std::borrow::Cow;

/// The path as a sidecar normalises it. What does not begin with a slash stays, and so do bytes for which
/// Envoy refuses the request.
#[must_use]
pub(super) fn normalised(path: &[u8]) -> Cow<'_, [u8]> {
    let Some(relative) = path.strip_prefix(b"/").filter(|_| !is_normal(path)) else { return path.into() };
    let mut out = Vec::with_capacity(path.len() + 16);
    let segments = relative.split(|b| *b == b'/').map(without_parameters);
    let mut segments = segments.flat_map(|segment| segment.split(|b| *b == b'\\')).peekable();
    while let Some(segment) = segments.next() {
        let begin = out.len();
        out.push(b'/');
        push(segment, &mut out);
        let parent = match &out[begin..] {
            b"/." => false,
            b"/.." => true,
            _ => continue,
        };
        out.truncate(begin);
        if parent {
            out.truncate(memchr::memrchr(b'/', &out).unwrap_or(0));
        }
        if segments.peek().is_none() {
            out.push(b'/');
        }
    }
    out.into()
}

/// A dot segment without the parameters behind it; any other as it is.
fn without_parameters(segment: &[u8]) -> &[u8] {
    let dots = segment.iter().take_while(|b| **b == b'.').count();
    match segment.get(dots) {
        Some(b';') if matches!(dots, 1 | 2) => &segment[..dots],
        _ => segment,
    }
}

/// Whether nothing is to be done, as with nearly every path.
fn is_normal(path: &[u8]) -> bool {
    let odd = |b: &u8| matches!(b, b'%' | b'\\') || is_escaped(*b);
    !path.iter().any(odd) && memchr::memmem::find(path, b"/.").is_none()
}

const fn is_escaped(byte: u8) -> bool {
    matches!(byte, b'"' | b'<' | b'>' | b'^' | b'`' | b'{' | b'|' | b'}')
}

/// Appends a segment with its escapes put right.
fn push(segment: &[u8], out: &mut Vec<u8>) {
    const DIGITS: &[u8; 16] = b"0123456789ABCDEF";
    let mut rest = segment;
    while let Some((&byte, after)) = rest.split_first() {
        rest = after;
        match unescaped(byte, after) {
            Some(plain) => {
                out.push(plain);
                rest = &after[2..];
            }
            None if is_escaped(byte) => {
                out.extend([b'%', DIGITS[usize::from(byte >> 4)], DIGITS[usize::from(byte & 15)]]);
            }
            None => out.push(byte),
        }
    }
}

/// The unreserved character (RFC 3986, section 2.3) that an escape stands for.
fn unescaped(byte: u8, after: &[u8]) -> Option<u8> {
    let digit = |at: usize| after.get(at).and_then(|b| char::from(*b).to_digit(16));
    let value = u8::try_from(digit(0).filter(|_| byte == b'%')? * 16 + digit(1)?).ok()?;
    (value.is_ascii_alphanumeric() || b"-._~".contains(&value)).then_some(value)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn paths_are_what_envoy_makes_of_them() {
        for (path, normal) in [
            ("/a/.", "/a/"),
            ("/a/..", "/"),
            ("/a/../", "/"),
            ("/a/...", "/a/..."),
            ("/.", "/"),
            ("/../..", "/"),
            ("/a/b/../../..", "/"),
            ("/a//../b", "/a/b"),
            ("/a/%2e", "/a/"),
            ("/a/%2E%2e/b", "/b"),
            ("/a/.%2e/b", "/b"),
            ("/a\\..\\b", "/b"),
            ("/a/b\\.", "/a/b/"),
            ("/a/..b", "/a/..b"),
            ("/a/..%2Fb", "/a/..%2Fb"),
            ("/a/%2e%2e%2fb", "/a/..%2fb"),
            ("/a/..;/b", "/b"),
            ("/a/b/..;x", "/a/"),
            ("/p/%2e;a/r", "/p/.;a/r"),
            ("/p/..;a\\r/s", "/s"),
            ("/p/q\\..;a", "/p/q/..;a"),
            ("/..;a/..;b/c", "/c"),
            ("//..//a", "//a"),
            ("/%", "/%"),
            ("/%4", "/%4"),
            ("/%%2e", "/%."),
            ("/%25%2e", "/%25."),
            ("/%5c..", "/%5c.."),
            ("/a/%5C../b", "/a/%5C../b"),
            ("/{a}/..", "/"),
            ("/%7bx%7D", "/%7bx%7D"),
            ("/^|`<>\"", "/%5E%7C%60%3C%3E%22"),
            ("/~%7E", "/~~"),
            ("/%2d%2E%5f%7e", "/-._~"),
            ("/.hidden/./x", "/.hidden/x"),
            ("///", "///"),
            ("/a/.//b", "/a//b"),
            ("/a/..//b", "//b"),
            ("*", "*"),
            ("", ""),
        ] {
            assert_eq!(normalised(path.as_bytes()), normal.as_bytes(), "{path}");
        }
    }

    #[test]
    fn a_long_path_takes_time_in_proportion_to_its_length() {
        let deep = "/a".repeat(100_000) + &"/..".repeat(99_999);
        assert_eq!(normalised(deep.as_bytes()), &b"/a/"[..]);
    }
}
