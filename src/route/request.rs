//! What rules look at in a request, and from where.

use std::borrow::Cow;
use std::collections::BTreeMap;

use super::host::split_port;
use super::path::normalised;
use crate::http::RequestHead;
use crate::http::head::absolute_authority;

/// A request as rules see it: the parts of its head as they were captured.
#[derive(Clone, Copy, Debug)]
pub struct RequestFacts<'r> {
    /// The head.
    pub head: &'r RequestHead,
    /// The target's parts.
    pub target: Target<'r>,
    /// The authority with its port: that of an absolute-form target, else the first Host field's; empty
    /// without either.
    pub authority: &'r [u8],
    /// `http` or `https`: the scheme of an absolute-form target, else what `x-forwarded-proto` says, as
    /// Envoy takes it from the mesh, else `http`.
    pub scheme: &'r [u8],
}

/// A request target in its parts, which together are the target (RFC 9112, section 3.2).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Target<'r> {
    /// Scheme and authority of an absolute-form target, else empty.
    pub origin: &'r [u8],
    /// The path, as long as it is: `/` is not added where it is missing.
    pub path: &'r [u8],
    /// The query with its question mark, and a fragment, which nobody should send.
    pub rest: &'r [u8],
}

impl<'r> Target<'r> {
    /// Takes a target apart.
    #[must_use]
    pub fn new(target: &'r [u8]) -> Self {
        let origin = absolute_authority(target).map_or(0, |authority| {
            // The authority lies within the target, after the scheme and its `://`.
            memchr::memmem::find(target, b"://").map_or(0, |at| at + 3 + authority.len())
        });
        let (origin, after) = target.split_at(origin.min(target.len()));
        let end = after.iter().position(|b| matches!(b, b'?' | b'#')).unwrap_or(after.len());
        let (path, rest) = after.split_at(end);
        Self { origin, path, rest }
    }

    /// The path as rules see it: normalised, and that of an absolute-form target that ends with its authority
    /// is `/` (RFC 9112, section 3.2.1). Where a query follows at once, Envoy sees no path, and neither do
    /// rules here.
    #[must_use]
    pub fn matched_path(&self) -> Cow<'r, [u8]> {
        if self.path.is_empty() && self.rest.is_empty() { Cow::Borrowed(b"/") } else { normalised(self.path) }
    }

    /// The query without its question mark; `None` without one.
    #[must_use]
    pub fn query(&self) -> Option<&'r [u8]> {
        let query = self.rest.strip_prefix(b"?")?;
        let end = memchr::memchr(b'#', query).unwrap_or(query.len());
        query.get(..end)
    }

    /// The value of the first parameter of that name, as captured: Envoy decodes nothing here either.
    #[must_use]
    pub fn parameter(&self, name: &[u8]) -> Option<&'r [u8]> {
        let pairs = self.query()?.split(|b| *b == b'&');
        let named = pairs.map(|pair| match memchr::memchr(b'=', pair) {
            Some(at) => (&pair[..at], &pair[at + 1..]),
            None => (pair, &b""[..]),
        });
        named.into_iter().find(|(key, _)| *key == name).map(|(_, value)| value)
    }
}

impl<'r> RequestFacts<'r> {
    /// The facts of a head.
    #[must_use]
    pub fn new(head: &'r RequestHead) -> Self {
        let target = Target::new(head.target());
        Self { head, target, authority: head.host().unwrap_or_default(), scheme: scheme(head, &target) }
    }

    /// The authority without its port.
    #[must_use]
    pub fn host(&self) -> &'r [u8] {
        split_port(self.authority).0
    }

    /// The port that the request was addressed to: the authority's, else the scheme's.
    #[must_use]
    pub fn port(&self) -> u16 {
        let named = split_port(self.authority).1.strip_prefix(b":");
        let number = named.and_then(|port| std::str::from_utf8(port).ok()).and_then(|port| port.parse().ok());
        number.unwrap_or(if self.scheme == b"https" { 443 } else { 80 })
    }
}

fn scheme<'r>(head: &'r RequestHead, target: &Target<'r>) -> &'r [u8] {
    let absolute = memchr::memmem::find(target.origin, b"://").and_then(|at| target.origin.get(..at));
    let forwarded =
        || head.headers.get("x-forwarded-proto").filter(|said| matches!(*said, b"http" | b"https"));
    absolute.or_else(forwarded).unwrap_or(b"http")
}

/// From where the captured requests were sent, and through what: facts that no capture holds.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Vantage {
    /// The namespace of rules that name none.
    pub namespace: String,
    /// The gateway that the traffic came through; `None` leaves it to the rules: `mesh` where they apply
    /// to it, else their first gateway.
    pub gateway: Option<String>,
    /// Labels of the workload that sent the requests.
    pub source_labels: BTreeMap<String, String>,
    /// Its namespace.
    pub source_namespace: Option<String>,
    /// The port that the requests were addressed to; `None` takes it from each request's authority.
    pub port: Option<u16>,
}

impl Default for Vantage {
    fn default() -> Self {
        Self {
            namespace: "default".to_owned(),
            gateway: None,
            source_labels: BTreeMap::new(),
            source_namespace: None,
            port: None,
        }
    }
}

/// The gateway of traffic between the sidecars of a mesh.
pub(super) const MESH: &str = "mesh";
