//! From a row to what is said of it: the diff, under the circumstances that the row itself tells.

use bytes::Bytes;

use crate::diff::{Context, HeaderEdit, Verdict, compare, judge};
use crate::http::{RequestHead, h1};
use crate::record::Row;
use crate::replay::{Failure, Outcome};
use crate::report::Judged;

/// What is found in a row; `None` for one that was not sent.
#[must_use]
pub fn judged(row: &Row) -> Option<Judged> {
    let v1 = row.exchange.response.as_ref();
    let v2 = match &row.outcome {
        Outcome::Answered { response, .. } => Some(response),
        Outcome::Failed { .. } => None,
        Outcome::Skipped(_) => return None,
    };
    let differences = match (v1.filter(|v1| v1.completeness.is_complete()), v2) {
        (Some(v1), Some(v2)) => compare(v1, v2, &context(row)),
        _ => Vec::new(),
    };
    let verdict = match &row.outcome {
        // Cut off by the user's stop, or killed: that says nothing about v2.
        Outcome::Failed { failure: Failure::Interrupted | Failure::Killed, .. } => Verdict::NotComparable,
        _ => judge(v1, v2, &differences),
    };
    Some(Judged { verdict, differences })
}

/// What was sent otherwise than captured, read off the two heads.
fn context(row: &Row) -> Context {
    let captured = &row.exchange.request.head;
    let Some(sent) = row.sent_head.as_ref().and_then(parse) else {
        return Context::new(captured, captured.host().unwrap_or_default(), Vec::new());
    };
    let shadow_host = sent.headers.get("host").or_else(|| sent.host()).unwrap_or_default();
    Context::new(captured, shadow_host, edits(captured, &sent))
}

fn parse(head: &Bytes) -> Option<RequestHead> {
    h1::parse_head(head.clone())
}

fn edits(captured: &RequestHead, sent: &RequestHead) -> Vec<HeaderEdit> {
    let mut names: Vec<&[u8]> =
        captured.headers.iter().chain(sent.headers.iter()).map(|(name, _)| name).collect();
    names.sort_unstable_by_key(|name| name.to_ascii_lowercase());
    names.dedup_by(|a, b| a.eq_ignore_ascii_case(b));
    let names = names.into_iter().filter_map(|name| std::str::from_utf8(name).ok());
    let other = names.filter(|name| !name.eq_ignore_ascii_case("host"));
    let edited = other.filter(|name| !captured.headers.all(name).eq(sent.headers.all(name)));
    edited
        .map(|name| HeaderEdit { name: name.to_owned(), value: sent.headers.get(name).map(<[u8]>::to_vec) })
        .collect()
}
