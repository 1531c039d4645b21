//! Heads as they were captured: one buffer, and where in it the parts are.

use std::ops::Range;

use bytes::Bytes;

use super::Version;
use super::known::Known;

/// Where a part of a head lies, in bytes from its start.
pub(crate) type Span = Range<u32>;

/// The header fields of a message in their order, duplicates and case kept, and the head that they lie in.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Headers {
    raw: Bytes,
    fields: Fields,
}

/// How the fields are known.
#[derive(Clone, Debug, PartialEq, Eq)]
enum Fields {
    /// Each is a line without any oddity: they are split when they are looked at, which for most heads is
    /// never.
    Plain(Plain),
    /// By name and value.
    Listed(Box<[(Span, Span)]>),
}

impl Default for Fields {
    fn default() -> Self {
        Self::Listed(Box::default())
    }
}

/// The lines of a plain head: `name ":" [SP] value CRLF`, each name a token, each value without control
/// characters.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct Plain {
    /// Where the first field begins.
    pub(crate) start: u32,
    /// How many fields there are; few, so that finding one of them by its place takes a short time.
    pub(crate) count: u8,
    /// Which of the known names they have.
    pub(crate) names: Known,
    /// What they say of the body's length.
    pub(crate) length: Length,
    /// The only Host.
    pub(crate) host: Option<Host>,
    /// Whether a Connection field says anything but `keep-alive`.
    pub(crate) other_options: bool,
}

/// How many fields a plain head has, and of which known names.
pub(crate) type PlainNames = (u8, Known);

/// What the fields of a plain head say of the body's length.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) enum Length {
    /// Nothing.
    #[default]
    Nothing,
    /// A single Content-Length, and no Transfer-Encoding.
    Of(u64),
    /// Something else, which their values tell.
    Unclear,
}

/// The value of a Host field.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Host {
    /// Where it begins and ends.
    pub(crate) start: u32,
    pub(crate) end: u32,
    /// Whether it can be that of a host (RFC 9110, section 7.2).
    pub(crate) valid: bool,
}

impl Headers {
    /// Fields as spans (name, value) into the raw head.
    pub(crate) fn new(raw: Bytes, fields: Vec<(Span, Span)>) -> Self {
        Self { raw, fields: Fields::Listed(fields.into()) }
    }

    /// The fields of a head of plain lines.
    pub(crate) fn plain(raw: Bytes, plain: Plain) -> Self {
        Self { raw, fields: Fields::Plain(plain) }
    }

    /// What is known of them, where each is a line without any oddity.
    #[inline]
    pub(super) fn as_plain(&self) -> Option<&Plain> {
        match &self.fields {
            Fields::Plain(plain) => Some(plain),
            Fields::Listed(_) => None,
        }
    }

    /// Whether it is known without a search that no field has that name.
    #[inline]
    fn lack(&self, name: &str) -> bool {
        let known =
            |plain: &Plain| Known::of(name.as_bytes()).is_some_and(|name| !plain.names.contains(name));
        self.as_plain().is_some_and(known)
    }

    /// Name and value of each field, as captured (the value without surrounding white space).
    pub fn iter(&self) -> impl ExactSizeIterator<Item = (&[u8], &[u8])> + Clone {
        self.spans().map(|(name, value)| (slice(&self.raw, &name), slice(&self.raw, &value)))
    }

    /// Where name and value of each field lie.
    fn spans(&self) -> Spans<'_> {
        match &self.fields {
            Fields::Plain(plain) => Spans::Plain { raw: &self.raw, at: plain.start, left: plain.count },
            Fields::Listed(fields) => Spans::Listed(fields.iter()),
        }
    }

    /// The values of all fields of that name, which is compared without regard to case.
    pub fn all<'a>(&'a self, name: &'a str) -> impl Iterator<Item = &'a [u8]> + Clone {
        let spans = if self.lack(name) { Spans::Listed([].iter()) } else { self.spans() };
        Named { raw: &self.raw, spans, name: name.as_bytes() }
    }

    /// The value of the first field of that name.
    #[must_use]
    pub fn get<'a>(&'a self, name: &'a str) -> Option<&'a [u8]> {
        self.all(name).next()
    }

    /// Whether there is a validator that a cache asks with, so that 304 may be the answer (RFC 9110, sections 13.1.2 and 13.1.3).
    pub(crate) fn have_validator(&self) -> bool {
        match self.as_plain() {
            Some(plain) => {
                plain.names.contains(Known::IF_NONE_MATCH) || plain.names.contains(Known::IF_MODIFIED_SINCE)
            }
            None => ["if-none-match", "if-modified-since"].iter().any(|name| self.get(name).is_some()),
        }
    }

    /// The value of the first Host field.
    #[must_use]
    pub fn host(&self) -> Option<&[u8]> {
        match &self.fields {
            Fields::Plain(plain) => plain.host.map(|host| slice(&self.raw, &(host.start..host.end))),
            Fields::Listed(_) => self.get("host"),
        }
    }

    /// Where the value of the only Host field lies in a head of plain lines.
    pub(crate) fn plain_host(&self) -> Option<Range<usize>> {
        match &self.fields {
            Fields::Plain(plain) => plain.host.map(|host| host.start as usize..host.end as usize),
            Fields::Listed(_) => None,
        }
    }

    /// The lines of fields that are all without any oddity, and the empty one behind them; `None` where some have one.
    pub(crate) fn plain_lines(&self) -> Option<&[u8]> {
        self.as_plain().and_then(|plain| self.raw.get(plain.start as usize..))
    }

    /// How many fields there are, and of which known names, where each is a line without any oddity: what two sections of the
    /// same names have in common.
    pub(crate) fn plain_names(&self) -> Option<PlainNames> {
        self.as_plain().map(|plain| (plain.count, plain.names))
    }

    /// The same fields in a buffer of their own.
    pub(crate) fn copied(&self) -> Self {
        Self { raw: Bytes::copy_from_slice(&self.raw), fields: self.fields.clone() }
    }

    /// Bytes of memory beside the head itself.
    pub(crate) fn memory(&self) -> usize {
        let listed = match &self.fields {
            Fields::Plain(_) => 0,
            Fields::Listed(fields) => size_of_val::<[_]>(fields),
        };
        self.raw.len() + listed
    }

    /// Where the name of the `index`th field lies in the raw head.
    #[must_use]
    pub fn name_range(&self, index: usize) -> Option<Range<usize>> {
        self.spans().nth(index).map(|(n, _)| n.start as usize..n.end as usize)
    }

    /// Where the value of the `index`th field lies in the raw head.
    #[must_use]
    pub fn value_range(&self, index: usize) -> Option<Range<usize>> {
        self.spans().nth(index).map(|(_, v)| v.start as usize..v.end as usize)
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
        // Mostly that is known already, and no field has to be looked for.
        let known = self.as_plain().filter(|plain| !plain.other_options);
        match version {
            _ if known.is_none() && self.has_connection_option("close") => false,
            Version::Http11 => true,
            Version::Http09 => false,
            Version::Http10 => match known {
                Some(plain) => plain.names.contains(Known::CONNECTION),
                None => self.has_connection_option("keep-alive"),
            },
            Version::Other(major, minor) => (major, minor) > (1, 0),
        }
    }

    /// How many fields there are.
    #[must_use]
    pub fn len(&self) -> usize {
        self.spans().len()
    }

    /// Whether there is none.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }
}

/// Walks over the fields.
#[derive(Clone)]
enum Spans<'a> {
    Plain {
        raw: &'a [u8],
        /// Where the next line begins.
        at: u32,
        /// How many lines are left.
        left: u8,
    },
    Listed(std::slice::Iter<'a, (Span, Span)>),
}

impl Iterator for Spans<'_> {
    type Item = (Span, Span);

    fn next(&mut self) -> Option<Self::Item> {
        match self {
            Self::Plain { left: 0, .. } => None,
            Self::Plain { raw, at, left } => {
                *left -= 1;
                let (fields, end) = plain_line(raw, *at)?;
                *at = end;
                Some(fields)
            }
            Self::Listed(fields) => fields.next().cloned(),
        }
    }

    fn nth(&mut self, n: usize) -> Option<Self::Item> {
        match self {
            // Heads of many fields are listed: looking each up by its place has to stay linear.
            Self::Listed(fields) => fields.nth(n).cloned(),
            Self::Plain { .. } => {
                for _ in 0..n {
                    self.next()?;
                }
                self.next()
            }
        }
    }

    fn size_hint(&self) -> (usize, Option<usize>) {
        let left = match self {
            Self::Plain { left, .. } => usize::from(*left),
            Self::Listed(fields) => fields.len(),
        };
        (left, Some(left))
    }
}

impl ExactSizeIterator for Spans<'_> {}

/// Walks over the values of the fields of one name. Of plain lines the others are passed over without being split.
#[derive(Clone)]
struct Named<'a> {
    raw: &'a Bytes,
    spans: Spans<'a>,
    name: &'a [u8],
}

impl<'a> Iterator for Named<'a> {
    type Item = &'a [u8];

    fn next(&mut self) -> Option<Self::Item> {
        if let Spans::Plain { raw, at, left } = &mut self.spans {
            while *left > 0 && !is_named(raw.get(*at as usize..)?, self.name) {
                let lf = memchr::memchr(b'\n', raw.get(*at as usize..)?)?;
                (*at, *left) = (at.checked_add(u32::try_from(lf + 1).ok()?)?, *left - 1);
            }
        }
        let (raw, name) = (self.raw, self.name);
        let is_named = |(n, _): &(Span, Span)| slice(raw, n).eq_ignore_ascii_case(name);
        self.spans.find(is_named).map(|(_, value)| slice(raw, &value))
    }
}

/// Whether a plain line has that name.
fn is_named(line: &[u8], name: &[u8]) -> bool {
    line.get(name.len()) == Some(&b':')
        && line.get(..name.len()).is_some_and(|n| n.eq_ignore_ascii_case(name))
}

/// Name and value of the plain field that begins at `at`, and where its line ends.
fn plain_line(raw: &[u8], at: u32) -> Option<((Span, Span), u32)> {
    let line = raw.get(at as usize..)?;
    let lf = memchr::memchr(b'\n', line)?;
    let line = line.get(..lf.checked_sub(1)?)?;
    let colon = memchr::memchr(b':', line)?;
    let value = line.get(colon + 1..)?;
    let from = colon + 1 + (value.len() - value.trim_ascii_start().len());
    let to = from + value.trim_ascii().len();
    let place = |n: usize| u32::try_from(n).ok()?.checked_add(at);
    Some(((at..place(colon)?, place(from)?..place(to)?), place(lf + 1)?))
}

/// Name and value.
type Field<'a> = (&'a [u8], &'a [u8]);

/// Name and value of the field that [plain lines](Headers::plain_lines) begin with, and what is behind its line.
pub(crate) fn first_field(lines: &[u8]) -> Option<(Field<'_>, &[u8])> {
    let ((name, value), end) = plain_line(lines, 0)?;
    let part = |span: Span| lines.get(span.start as usize..span.end as usize);
    Some(((part(name)?, part(value)?), lines.get(end as usize..)?))
}

fn slice<'a>(raw: &'a Bytes, span: &Span) -> &'a [u8] {
    raw.get(span.start as usize..span.end as usize).unwrap_or_default()
}

/// The head of a request: request line and header fields (RFC 9112, section 3).
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct RequestHead {
    /// The version in the request line.
    pub version: Version,
    /// The header fields.
    pub headers: Headers,
    pub(crate) method: Span,
    pub(crate) target: Span,
}

impl RequestHead {
    /// The head byte for byte, from the first byte of the method to the end of the empty line.
    #[must_use]
    pub fn raw(&self) -> &Bytes {
        &self.headers.raw
    }

    /// The method, case kept.
    #[must_use]
    pub fn method(&self) -> &[u8] {
        slice(self.raw(), &self.method)
    }

    /// The request target as on the wire.
    #[must_use]
    pub fn target(&self) -> &[u8] {
        slice(self.raw(), &self.target)
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
        absolute_authority(self.target()).or_else(|| self.headers.host())
    }
}

/// The authority of a target in absolute form (RFC 9112, section 3.2.2), where it is in that form.
#[must_use]
pub fn absolute_authority(target: &[u8]) -> Option<&[u8]> {
    // The usual form, to be told soon.
    if target.starts_with(b"/") {
        return None;
    }
    let scheme = target.iter().position(|b| !(b.is_ascii_alphanumeric() || b"+-.".contains(b)))?;
    let rest = target.get(scheme..)?.strip_prefix(b"://").filter(|_| scheme > 0)?;
    let end = rest.iter().position(|b| b"/?#".contains(b)).unwrap_or(rest.len());
    rest.get(..end)
}

/// The head of a response: status line and header fields (RFC 9112, section 4).
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ResponseHead {
    /// The version in the status line.
    pub version: Version,
    /// The status code.
    pub status: u16,
    /// The header fields.
    pub headers: Headers,
    pub(crate) reason: Span,
}

impl ResponseHead {
    /// The head byte for byte, from the first byte of the version to the end of the empty line.
    #[must_use]
    pub fn raw(&self) -> &Bytes {
        &self.headers.raw
    }

    /// Whether it answers its request for good: not an interim response (1xx), of which any number
    /// may precede the final one; 101 is final (RFC 9110, section 15.2).
    #[must_use]
    pub fn is_final(&self) -> bool {
        !matches!(self.status, 100 | 102..=199)
    }

    /// The reason phrase, often empty.
    #[must_use]
    pub fn reason(&self) -> &[u8] {
        slice(self.raw(), &self.reason)
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
