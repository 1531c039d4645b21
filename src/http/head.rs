//! Heads as they were captured: one buffer, and where in it the parts are.

use std::ops::Range;

use bytes::Bytes;

use super::Version;

/// Where a part of a head lies, in bytes from its start.
pub(crate) type Span = Range<u32>;

/// The header fields of a message in their order, duplicates and case kept.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Headers {
    raw: Bytes,
    fields: Vec<(Span, Span)>,
}

impl Headers {
    /// Fields as spans (name, value) into the raw head.
    pub(crate) fn new(raw: Bytes, fields: Vec<(Span, Span)>) -> Self {
        Self { raw, fields }
    }

    /// Name and value of each field, as captured (the value without surrounding white space).
    pub fn iter(&self) -> impl ExactSizeIterator<Item = (&[u8], &[u8])> + Clone {
        self.fields.iter().map(|(name, value)| (slice(&self.raw, name), slice(&self.raw, value)))
    }

    /// The values of all fields of that name, which is compared without regard to case.
    pub fn all<'a>(&'a self, name: &'a str) -> impl Iterator<Item = &'a [u8]> + Clone {
        self.iter().filter(move |(n, _)| n.eq_ignore_ascii_case(name.as_bytes())).map(|(_, value)| value)
    }

    /// The value of the first field of that name.
    #[must_use]
    pub fn get<'a>(&'a self, name: &'a str) -> Option<&'a [u8]> {
        self.all(name).next()
    }

    /// Where the value of the `index`th field lies in the raw head.
    #[must_use]
    pub fn value_range(&self, index: usize) -> Option<Range<usize>> {
        self.fields.get(index).map(|(_, v)| v.start as usize..v.end as usize)
    }

    /// Whether a connection option is named in any Connection field (RFC 9110, section 7.6.1).
    #[must_use]
    pub fn has_connection_option(&self, option: &str) -> bool {
        self.all("connection")
            .flat_map(|value| value.split(|&b| b == b','))
            .any(|item| item.trim_ascii().eq_ignore_ascii_case(option.as_bytes()))
    }

    /// Whether fields and version let the connection persist (RFC 9112, section 9.3).
    pub(crate) fn keep_alive(&self, version: Version) -> bool {
        match version {
            _ if self.has_connection_option("close") => false,
            Version::Http11 => true,
            Version::Http09 => false,
            Version::Http10 => self.has_connection_option("keep-alive"),
            Version::Other(major, minor) => (major, minor) > (1, 0),
        }
    }

    /// How many fields there are.
    #[must_use]
    pub fn len(&self) -> usize {
        self.fields.len()
    }

    /// Whether there is none.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.fields.is_empty()
    }
}

fn slice<'a>(raw: &'a Bytes, span: &Span) -> &'a [u8] {
    raw.get(span.start as usize..span.end as usize).unwrap_or_default()
}

/// The head of a request: request line and header fields (RFC 9112, section 3).
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct RequestHead {
    /// The head byte for byte, from the first byte of the method to the end of the empty line.
    pub raw: Bytes,
    /// The version in the request line.
    pub version: Version,
    /// The header fields.
    pub headers: Headers,
    pub(crate) method: Span,
    pub(crate) target: Span,
}

impl RequestHead {
    /// The method, case kept.
    #[must_use]
    pub fn method(&self) -> &[u8] {
        slice(&self.raw, &self.method)
    }

    /// The request target as on the wire.
    #[must_use]
    pub fn target(&self) -> &[u8] {
        slice(&self.raw, &self.target)
    }

    /// Where the request target lies in the raw head.
    #[must_use]
    pub fn target_range(&self) -> Range<usize> {
        self.target.start as usize..self.target.end as usize
    }

    /// The authority the request is for: that of an absolute-form (or, with CONNECT, authority-form)
    /// target, else the first Host field (RFC 9112, section 3.2.2). `None` without either.
    #[must_use]
    pub fn host(&self) -> Option<&[u8]> {
        if self.method() == b"CONNECT" {
            return Some(self.target());
        }
        absolute_authority(self.target()).or_else(|| self.headers.get("host"))
    }
}

/// The authority of a target in absolute form (RFC 9112, section 3.2.2), where it is in that form.
#[must_use]
pub fn absolute_authority(target: &[u8]) -> Option<&[u8]> {
    let scheme = target.iter().position(|b| !(b.is_ascii_alphanumeric() || b"+-.".contains(b)))?;
    let rest = target.get(scheme..)?.strip_prefix(b"://").filter(|_| scheme > 0)?;
    let end = rest.iter().position(|b| b"/?#".contains(b)).unwrap_or(rest.len());
    rest.get(..end)
}

/// The head of a response: status line and header fields (RFC 9112, section 4).
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ResponseHead {
    /// The head byte for byte, from the first byte of the version to the end of the empty line.
    pub raw: Bytes,
    /// The version in the status line.
    pub version: Version,
    /// The status code.
    pub status: u16,
    /// The header fields.
    pub headers: Headers,
    pub(crate) reason: Span,
}

impl ResponseHead {
    /// Whether it answers its request for good: not an interim response (1xx), of which any number
    /// may precede the final one; 101 is final (RFC 9110, section 15.2).
    #[must_use]
    pub fn is_final(&self) -> bool {
        !matches!(self.status, 100 | 102..=199)
    }

    /// The reason phrase, often empty.
    #[must_use]
    pub fn reason(&self) -> &[u8] {
        slice(&self.raw, &self.reason)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_the_absolute_form_has_an_authority() {
        for (target, authority) in [
            ("http://a.example:8080/x?y", Some("a.example:8080")),
            ("HTTPS://[::1]:8080", Some("[::1]:8080")),
            ("http:///x", Some("")),
            ("http://a?b", Some("a")),
            ("/http://a/", None),
            ("*", None),
            ("://a/", None),
            ("a.example:443", None),
        ] {
            assert_eq!(absolute_authority(target.as_bytes()), authority.map(str::as_bytes), "{target}");
        }
    }
}
