//! Groups requests that a person would call the same: method and path, with what varies left open.
//!
//! A rules file names few routes, and `--to` none, so the reports' routes come from the requests.

use crate::diff::template;
use crate::http::RequestHead;

/// Characters that are kept of a method; known ones are shorter.
const METHOD_CHARS: usize = 32;

/// The route of a request as the reports name it: `GET /users/{number}/orders`.
#[must_use]
pub fn route_of(head: &RequestHead) -> String {
    named(head, &template(head.target()))
}

/// The same where the template of its target is at hand.
pub(super) fn named(head: &RequestHead, template: &str) -> String {
    let method = String::from_utf8_lossy(head.method());
    let end = method.char_indices().nth(METHOD_CHARS).map_or(method.len(), |(end, _)| end);
    [method.get(..end).unwrap_or_default(), " ", template].concat()
}
