//! Requests that the capture itself has several times: what their answers say of noise without asking anything.
//!
//! The first answers to a request are kept, and later ones are held against them. What one answer of v1 has otherwise than
//! another is noise or state; where v2 changed in the same way, it was state.

use std::collections::HashMap;

use bytes::Bytes;
use foldhash::fast::RandomState;
use xxhash_rust::xxh3::xxh3_128;

use super::super::headers::{self, Head};
use super::super::json::Outline;
use super::super::{Difference, compare_by_rules};
use super::Seen;
use super::answers::{Key, Places, keys};
use super::place::Observed;
use crate::http::{Body, Elsewhere, Request, RequestHead, Response, ResponseHead};
use crate::time::Timestamp;

/// Requests of which the first answers are kept; others say nothing.
const MAX_REQUESTS: usize = 5_000;
/// Bytes of answers that are kept in all: a part of what a replay may hold, and full within seconds of a live one.
const MAX_MEMORY: usize = 16 << 20;
/// Bytes of the two answers to one request; longer ones are not kept.
const MAX_ANSWERS: usize = 512 << 10;
/// Answers that are held against the first ones. What so many do not show is rare.
const MAX_HELD: u8 = 32;
/// The first answers to each request, bounded.
#[derive(Clone, Debug, Default)]
pub(super) struct Repeats {
    first: HashMap<u128, First, RandomState>,
    memory: usize,
    /// Room for what a request is known by.
    parts: Vec<u8>,
    selecting: Selecting,
}

/// The fields of the request before that select an answer: most requests have them in common with it.
#[derive(Clone, Debug, Default)]
struct Selecting {
    /// All fields, where each is a plain line.
    head: Head,
    /// The names in Vary of the answer to it.
    varies: Vec<u8>,
    /// Of the fields.
    digest: u128,
}

#[derive(Clone, Debug)]
struct First {
    v1: Response,
    v2: Response,
    held: u8,
}

/// How the later answers of both sides differ from the first ones.
pub(super) struct Repeated {
    v1: Vec<Difference>,
    v2: Vec<Difference>,
    /// v2's from v1's first; `None` where they are those from v1's later one.
    across: Option<Vec<Difference>>,
    /// When v1 answered first, and when later.
    moments: [Timestamp; 2],
}

/// The same by place.
pub(super) struct Disagreements<'r, 'p> {
    /// v1's from v1's first.
    pub(super) v1: Places<'r>,
    /// v2's from v2's first.
    pub(super) v2: Places<'r>,
    /// v2's from v1's first.
    across: Across<'r, 'p>,
    moments: [Timestamp; 2],
}

/// Places that are known already, or not.
enum Across<'r, 'p> {
    Known(&'p Places<'r>),
    Own(Places<'r>),
}

impl<'r> Across<'r, '_> {
    fn places(&self) -> &Places<'r> {
        match self {
            Self::Known(places) => places,
            Self::Own(places) => places,
        }
    }
}

impl Repeats {
    /// What an exchange says against the first one of the same request; `None` where it is the first, where it says
    /// nothing, or where enough was said.
    pub(super) fn against_first(&mut self, seen: &Seen<'_>) -> Option<Repeated> {
        let request = identity(seen.request, seen.v1, (&mut self.parts, &mut self.selecting))?;
        let Some(first) = self.first.get_mut(&request) else {
            self.keep(request, seen);
            return None;
        };
        if first.held >= MAX_HELD {
            return None;
        }
        first.held += 1;
        let (here, there) = (&*seen.context.host, &*seen.context.shadow_host);
        let differ = |a: &Response, b: &Response, host: &[u8]| {
            // Mostly nothing has to be looked for.
            if is_same(a, b) || are_alike(a, b) {
                return Vec::new();
            }
            compare_by_rules(a, b, &seen.context.unedited(host), seen.rules).0
        };
        let is_same_v1 = is_same(&first.v1, seen.v1);
        let v1 = if is_same_v1 { Vec::new() } else { differ(&first.v1, seen.v1, here) };
        let across = if seen.rules.is_empty() && is_same_v1 {
            // v2 differs from the first answer as it does from this one.
            None
        } else {
            Some(compare_by_rules(&first.v1, seen.v2, seen.context, seen.rules).0)
        };
        let repeated = Repeated {
            v1,
            v2: differ(&first.v2, seen.v2, there),
            across,
            moments: [first.v1.first_byte, seen.v1.first_byte],
        };
        Some(repeated).filter(|repeated| repeated.is_any(seen.differences))
    }

    fn keep(&mut self, request: u128, seen: &Seen<'_>) {
        let size = |response: &Response| response.head.headers.memory() + response.body.memory();
        let memory = size(seen.v1) + size(seen.v2) + size_of::<First>();
        let whole = seen.v1.completeness.is_complete() && seen.v2.completeness.is_complete();
        let has_room = self.first.len() < MAX_REQUESTS && self.memory + memory <= MAX_MEMORY;
        if whole && has_room && memory <= MAX_ANSWERS {
            self.memory += memory;
            self.first.insert(request, First { v1: copied(seen.v1), v2: copied(seen.v2), held: 0 });
        }
    }
}

impl Repeated {
    /// Whether there is a difference that counts; `own` are those of the later exchange.
    fn is_any(&self, own: &[Difference]) -> bool {
        let all = [self.v1.as_slice(), &self.v2, self.across.as_deref().unwrap_or(own)];
        all.into_iter().flatten().any(|difference| difference.class.counts())
    }

    /// Whether v1 answered as it did the first time, and v2 as well: what is told is how they differ from each other.
    pub(super) fn is_of_v2_alone(&self) -> bool {
        self.v1.is_empty() && self.v2.is_empty() && self.across.is_none()
    }

    /// In answers of that outline; `own` are those of the later exchange.
    pub(super) fn disagreements<'r, 'p>(
        &'r self,
        own: &'p Places<'r>,
        outline: Option<&Outline>,
    ) -> Disagreements<'r, 'p> {
        let across = match &self.across {
            Some(across) => Across::Own(Places::of(across, outline)),
            None => Across::Known(own),
        };
        let [v1, v2] = [&self.v1, &self.v2].map(|differences| Places::of(differences, outline));
        Disagreements { v1, v2, across, moments: self.moments }
    }
}

impl<'r> Disagreements<'r, '_> {
    /// The values that v1 has at a place, and when.
    pub(super) fn v1_values<'a>(
        &'a self,
        key: &'a Key<'_>,
    ) -> impl Iterator<Item = (Option<&'r str>, Timestamp)> {
        let [first, later] = self.moments;
        let both = move |d: &'r Difference| [(d.v1.as_deref(), first), (d.v2.as_deref(), later)];
        self.v1.at(key).flat_map(both)
    }

    pub(super) fn keys(&self) -> Vec<&Key<'r>> {
        keys([&self.v1, &self.v2, self.across.places()])
    }

    /// Both later answers as answers to the first request: were v2 no other than v1, they could be exchanged.
    pub(super) fn observed(&self, key: &Key<'_>) -> Observed {
        let fresh = [vec![self.v1.present(key)], vec![self.across.places().present(key)]];
        Observed { fresh, ..Observed::default() }
    }
}

impl Selecting {
    /// Whether the fields of a request that select an answer are the same, as is known without looking for them.
    fn selects_as(&mut self, head: &RequestHead) -> bool {
        let (names, varies) = (head.headers.plain_names(), &self.varies);
        names.is_some()
            && self.head.names == names
            && head.headers.plain_lines().is_some_and(|lines| {
                self.head.is_like(lines, (0, &[]), |_, (name, _)| !selects(name, varies))
            })
    }
}

/// Whether two answers are equal in all that is compared, the moment aside.
fn is_same(a: &Response, b: &Response) -> bool {
    let body = |response: &Response| (response.body.len, response.body.sha256, response.completeness);
    a.head == b.head && body(a) == body(b) && a.body.entity == b.body.entity
}

/// Whether nothing that is compared differs, as is known without looking for it.
fn are_alike(a: &Response, b: &Response) -> bool {
    let entity = |response: &Response| response.completeness.is_complete() && response.body.entity.is_some();
    a.head.status == b.head.status
        && (entity(a) && entity(b) && a.body.entity == b.body.entity)
        && headers::are_alike(&a.head.headers, &b.head.headers)
}

/// What two requests have in common that are to have one answer; `None` where that is not known. `parts` is room for it, and
/// `last` what it was made of before.
fn identity(request: &Request, v1: &Response, (parts, last): (&mut Vec<u8>, &mut Selecting)) -> Option<u128> {
    if !request.completeness.is_complete() {
        return None;
    }
    let head = &request.head;
    parts.clear();
    let mut part = |part: &[u8]| {
        // Lengths keep the parts apart.
        parts.extend_from_slice(&(part.len() as u64).to_le_bytes());
        parts.extend_from_slice(part);
    };
    [head.method(), head.host().unwrap_or_default(), head.target()].into_iter().for_each(&mut part);
    match (&request.body.entity, request.body.sha256) {
        (Some(entity), _) => part(&xxh3_128(entity).to_le_bytes()),
        (None, Some(digest)) => part(&digest),
        (None, None) if request.body.len == 0 => part(&[]),
        (None, None) => return None,
    }
    let mut varies = Vec::new();
    for value in v1.head.headers.all("vary") {
        varies.extend_from_slice(value);
        varies.push(b',');
    }
    if varies != last.varies || !last.selects_as(head) {
        // Without plain lines the next request is looked at again.
        last.head.keep(None, &[]);
        let mut fields = Vec::new();
        select(head, &varies, &mut fields)?;
        last.digest = xxh3_128(&fields);
        if let Some(lines) = head.headers.plain_lines() {
            last.head.keep(head.headers.plain_names(), lines);
        }
        last.varies = varies;
    }
    parts.extend_from_slice(&last.digest.to_le_bytes());
    Some(xxh3_128(parts))
}

/// The fields of a request that select an answer which varies with those of these names, as parts of what it is known by;
/// `None` where it may vary with anything.
fn select(head: &RequestHead, varies: &[u8], parts: &mut Vec<u8>) -> Option<()> {
    if names_in(varies).any(|name| name == b"*") {
        return None;
    }
    let mut selecting: Vec<_> = head.headers.iter().filter(|(name, _)| selects(name, varies)).collect();
    // Values of one name in their order, names in any.
    selecting.sort_by(|(a, _), (b, _)| without_case(a).cmp(without_case(b)));
    for (name, value) in selecting {
        let start = parts.len() + size_of::<u64>();
        for part in [name, value] {
            parts.extend_from_slice(&(part.len() as u64).to_le_bytes());
            parts.extend_from_slice(part);
        }
        parts.get_mut(start..start + name.len())?.make_ascii_lowercase();
    }
    Some(())
}

/// Whether a field of a request selects an answer that varies with the fields of these names.
fn selects(name: &[u8], varies: &[u8]) -> bool {
    is_selecting(name) || names_in(varies).any(|varies| varies.eq_ignore_ascii_case(name))
}

/// The names in values of Vary, joined by commas.
fn names_in(varies: &[u8]) -> impl Iterator<Item = &[u8]> {
    varies.split(|&b| b == b',').map(<[u8]>::trim_ascii)
}

/// Whether a field of a request selects an answer whatever Vary says (RFC 9110, sections 12.5, 13.1 and 14.2).
fn is_selecting(name: &[u8]) -> bool {
    let mut lower = [0; 17];
    let Some(lower) = lower.get_mut(..name.len()) else { return false };
    lower.copy_from_slice(name);
    lower.make_ascii_lowercase();
    matches!(
        &*lower,
        b"accept"
            | b"accept-encoding"
            | b"accept-language"
            | b"authorization"
            | b"content-type"
            | b"cookie"
            | b"if-match"
            | b"if-modified-since"
            | b"if-none-match"
            | b"if-range"
            | b"range"
    )
}

fn without_case(name: &[u8]) -> impl Iterator<Item = u8> {
    name.iter().map(u8::to_ascii_lowercase)
}

/// A response by itself, which holds no larger buffer that it was read from.
fn copied(response: &Response) -> Response {
    let body = &response.body;
    let entity = body.entity.as_deref().map(Bytes::copy_from_slice);
    Response {
        head: ResponseHead { headers: response.head.headers.copied(), ..response.head.clone() },
        body: Body { entity, wire: None, elsewhere: Elsewhere::Nowhere, ..body.clone() },
        ..response.clone()
    }
}

#[cfg(test)]
mod tests {
    use super::super::tests::request;
    use super::*;
    use crate::diff::tests::response;
    use crate::http::h1::parse_head;

    proptest::proptest! {
        /// What a request is known by does not depend on the requests before it.
        #[test]
        fn a_request_is_known_by_itself(
            requests in proptest::collection::vec((0_usize..7, 0_usize..4, proptest::bool::ANY), 1..8),
        ) {
            let fields = [
                "Accept: a\r\n",
                "Accept: c\r\n",
                "Accept: b\r\nX-Lang: c\r\n",
                "Accept: b\r\nX-Lang: e\r\n",
                "X-Lang: d\r\naccept: a\r\n",
                "X-Other: e\r\n",
                "X-Other: f\r\n",
            ];
            let varies = [None, Some("X-Lang"), Some("x-other, X-Lang"), Some("*")];
            let (mut parts, mut last) = (Vec::new(), Selecting::default());
            for (one, varies_with, folded) in requests {
                let folded = if folded { "X-Folded: a\r\n b\r\n" } else { "" };
                let head = format!("GET /x HTTP/1.1\r\nHost: api\r\n{}{folded}\r\n", fields[one]);
                let request = Request { head: parse_head(head.into()).unwrap(), ..request() };
                let vary = varies[varies_with].map(|names| format!("Vary: {names}"));
                let v1 = response(200, &vary.iter().map(String::as_str).collect::<Vec<_>>(), "");
                let known = identity(&request, &v1, (&mut parts, &mut last));
                let afresh = identity(&request, &v1, (&mut Vec::new(), &mut Selecting::default()));
                proptest::prop_assert_eq!(known, afresh);
            }
        }
    }
}
