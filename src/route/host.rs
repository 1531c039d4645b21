//! The Host that a shadow carries.
//!
//! Envoy appends `-shadow` to the authority of a mirrored request, ahead of the port where there is
//! one, so that `v2` and its telemetry can tell the copy from the original. What counts as a port is
//! Envoy's own rule (`HeaderUtility::getPortStart`): the text after the last colon, unless a `]`
//! follows that colon, which then belongs to an IPv6 address (RFC 3986, section 3.2.2). The text need
//! not be a number, and may be empty.

use bytes::Bytes;

use crate::http::RequestHead;
use crate::http::head::absolute_authority;

/// What Envoy and Istio append.
pub const SHADOW_SUFFIX: &str = "-shadow";

/// What becomes of the Host of a shadow request.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum HostEdit {
    /// This text goes ahead of the port, else to the end.
    Suffix(String),
    /// Nothing: the Host stays as captured (Istio 1.28 and later, by default).
    None,
    /// This text takes the place of the whole value, port included.
    Literal(String),
}

impl Default for HostEdit {
    fn default() -> Self {
        Self::Suffix(SHADOW_SUFFIX.to_owned())
    }
}

impl HostEdit {
    /// The value that takes the place of `host`, or `None` where it stays.
    #[must_use]
    pub fn apply(&self, host: &[u8]) -> Option<Bytes> {
        self.pieces(host).map(|pieces| pieces.concat().into())
    }

    /// The same in the pieces that it is made of.
    pub(crate) fn pieces<'a>(&'a self, host: &'a [u8]) -> Option<[&'a [u8]; 3]> {
        match self {
            Self::Suffix(suffix) => {
                let (name, port) = split_port(host);
                Some([name, suffix.as_bytes(), port])
            }
            Self::None => None,
            Self::Literal(text) => Some([text.as_bytes(), b"", b""]),
        }
    }

    /// The suffixes by which a request is known as a shadow: the run's own, and that of the meshes,
    /// whose mirrored requests are in the capture whatever this run does to the Host.
    pub fn known_suffixes(&self) -> impl Iterator<Item = &str> {
        let own = match self {
            Self::Suffix(suffix) if suffix != SHADOW_SUFFIX => Some(suffix.as_str()),
            Self::Suffix(_) | Self::None | Self::Literal(_) => None,
        };
        own.into_iter().chain([SHADOW_SUFFIX])
    }
}

/// `host` with `suffix` ahead of the port, else at its end.
#[must_use]
pub fn with_suffix(host: &[u8], suffix: &str) -> Bytes {
    let (name, port) = split_port(host);
    [name, suffix.as_bytes(), port].concat().into()
}

/// `host` without `suffix`, where it carries it ahead of the port or at its end.
#[must_use]
pub fn without_suffix(host: &[u8], suffix: &str) -> Option<Bytes> {
    let (name, port) = split_port(host);
    let name = name.strip_suffix(suffix.as_bytes()).filter(|_| !suffix.is_empty())?;
    Some([name, port].concat().into())
}

/// Whether `host` carries `suffix`. Names of hosts have no case (RFC 9110, section 4.2.3), and no host
/// carries an empty suffix.
#[must_use]
pub fn is_shadow(host: &[u8], suffix: &str) -> bool {
    let (name, _) = split_port(host);
    !suffix.is_empty()
        && name
            .len()
            .checked_sub(suffix.len())
            .and_then(|at| name.get(at..))
            .is_some_and(|end| end.eq_ignore_ascii_case(suffix.as_bytes()))
}

/// Whether any authority that a request names, in its target or in a Host field, carries `suffix`.
#[must_use]
pub fn is_shadow_request(head: &RequestHead, suffix: &str) -> bool {
    let in_fields = || match head.headers.plain_host() {
        Some(only) => head.raw().get(only).is_some_and(|host| is_shadow(host, suffix)),
        None => head.headers.all("host").any(|host| is_shadow(host, suffix)),
    };
    absolute_authority(head.target()).is_some_and(|authority| is_shadow(authority, suffix)) || in_fields()
}

/// The host that the shadow's Host is made from, given the value of a Host field: the authority of an
/// absolute-form target wins (RFC 9112, section 3.2.2), without its user information, which has no
/// place in a Host field (section 3.2).
#[must_use]
pub fn effective_host<'h>(target: &'h [u8], field: &'h [u8]) -> &'h [u8] {
    match absolute_authority(target).map(without_userinfo) {
        None | Some(b"") => field,
        Some(authority) => authority,
    }
}

fn without_userinfo(authority: &[u8]) -> &[u8] {
    memchr::memrchr(b'@', authority).and_then(|at| authority.get(at + 1..)).unwrap_or(authority)
}

/// Name and port, the latter with its colon and empty where there is none.
pub(super) fn split_port(host: &[u8]) -> (&[u8], &[u8]) {
    match memchr::memrchr(b':', host) {
        Some(colon) if memchr::memrchr(b']', host).is_none_or(|bracket| bracket < colon) => {
            host.split_at(colon)
        }
        _ => (host, b""),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Measured on Envoy (the first eight) or following from its rule.
    const TABLE: &[(&str, &str)] = &[
        ("httpbin:8000", "httpbin-shadow:8000"),
        ("httpbin", "httpbin-shadow"),
        ("127.0.0.1:80", "127.0.0.1-shadow:80"),
        ("[::1]:8080", "[::1]-shadow:8080"),
        ("[::1]", "[::1]-shadow"),
        ("host:", "host-shadow:"),
        ("a:b:c", "a:b-shadow:c"),
        ("", "-shadow"),
        (":", "-shadow:"),
        (":80", "-shadow:80"),
        ("10.0.0.7", "10.0.0.7-shadow"),
        ("a.example.", "a.example.-shadow"),
        ("::1", ":-shadow:1"),
        ("[::1", "[:-shadow:1"),
        ("::1]", "::1]-shadow"),
        ("[fe80::1%25eth0]:80", "[fe80::1%25eth0]-shadow:80"),
        ("a]b:c", "a]b-shadow:c"),
        ("a b:80", "a b-shadow:80"),
        ("h-shadow:80", "h-shadow-shadow:80"),
    ];

    #[test]
    fn the_suffix_stands_where_envoy_puts_it() {
        for (host, shadow) in TABLE {
            assert_eq!(with_suffix(host.as_bytes(), "-shadow"), shadow.as_bytes(), "{host:?}");
        }
        assert_eq!(with_suffix(b"\xff:1", "-v2"), &b"\xff-v2:1"[..]);
    }

    #[test]
    fn what_was_suffixed_is_known_and_can_be_undone() {
        for (host, shadow) in TABLE {
            assert!(is_shadow(shadow.as_bytes(), "-shadow"), "{shadow:?}");
            assert_eq!(without_suffix(shadow.as_bytes(), "-shadow").unwrap(), host.as_bytes());
        }
    }

    #[test]
    fn other_hosts_are_no_shadows() {
        for host in
            ["", "shadow", "httpbin", "httpbin:8000", "a-shadow.example", "x:-shadow", "-shadows", "é"]
        {
            assert!(!is_shadow(host.as_bytes(), "-shadow"), "{host:?}");
            assert_eq!(without_suffix(host.as_bytes(), "-shadow"), None, "{host:?}");
        }
        assert!(!is_shadow(b"anything", ""));
        assert!(is_shadow(b"HTTPBIN-Shadow:80", "-shadow"));
    }

    #[test]
    fn an_absolute_target_wins_over_the_field() {
        for (target, field, host) in [
            ("/x", "b:1", "b:1"),
            ("http://a:80/x", "b:1", "a:80"),
            ("http://me:pw@a:80/x", "b", "a:80"),
            ("http:///x", "b", "b"),
            ("*", "b", "b"),
        ] {
            assert_eq!(effective_host(target.as_bytes(), field.as_bytes()), host.as_bytes(), "{target}");
        }
    }

    #[test]
    fn edits_are_suffix_literal_or_none() {
        assert_eq!(HostEdit::default().apply(b"a:1").unwrap(), &b"a-shadow:1"[..]);
        assert_eq!(HostEdit::Suffix("-v2".into()).apply(b"a:1").unwrap(), &b"a-v2:1"[..]);
        assert_eq!(HostEdit::Literal("v2.test".into()).apply(b"a:1").unwrap(), &b"v2.test"[..]);
        assert_eq!(HostEdit::None.apply(b"a:1"), None);
    }

    #[test]
    fn shadows_of_a_mesh_are_known_beside_those_of_the_run() {
        for (edit, known) in [
            (HostEdit::default(), &["-shadow"][..]),
            (HostEdit::Suffix("-v2".into()), &["-v2", "-shadow"]),
            (HostEdit::Literal("v2.test".into()), &["-shadow"]),
            (HostEdit::None, &["-shadow"]),
        ] {
            assert_eq!(edit.known_suffixes().collect::<Vec<_>>(), known, "{edit:?}");
        }
    }
}
