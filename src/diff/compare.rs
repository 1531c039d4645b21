//! Two answers to one request.

use super::echo::{Context, Echo};
use super::findings::Findings;
use super::headers::{self, Scope};
use super::rules::{Applicable, Ruled};
use super::{Class, Difference, Kind, Layer, Verdict, body, known};
use crate::http::Response;

/// Finds how v2's answer differs from v1's: the status, then header fields by name, then the body from
/// its beginning (members of JSON objects by name where the sides order them differently). At most 1,000 differences are listed; a last one of [`Kind::Unlisted`] stands for the
/// rest.
///
/// Differences come out as [`Class::Unverified`] unless the answers themselves explain them.
#[must_use]
pub fn compare(v1: &Response, v2: &Response, context: &Context<'_>) -> Vec<Difference> {
    compare_by_rules(v1, v2, context, &Applicable::default()).0
}

/// Finds the same under rules: what they allow has [`Class::RuledOut`], and is named beside the differences.
#[must_use]
pub fn compare_by_rules(
    v1: &Response,
    v2: &Response,
    context: &Context<'_>,
    rules: &Applicable<'_>,
) -> (Vec<Difference>, Vec<Ruled>) {
    let mut findings = Findings::new(Echo::new(context), rules, [v1.first_byte, v2.first_byte]);
    let (headers1, headers2) = (&v1.head.headers, &v2.head.headers);
    if v1.head.status == v2.head.status {
        if rules.is_empty() {
            known::compare(v1, v2, context, &mut findings);
        } else {
            afresh(v1, v2, &mut findings);
        }
    } else {
        // Another status is another content: what it holds, and the fields that describe it, follow
        // from that and are no further facts.
        status(v1.head.status, v2.head.status, context, &mut findings);
        headers::compare(headers1, headers2, Scope::NotContent, &mut findings);
    }
    findings.finish()
}

/// Compares two answers of one status; says how many differences are those of their heads.
pub(super) fn afresh(v1: &Response, v2: &Response, findings: &mut Findings<'_>) -> usize {
    let (headers1, headers2) = (&v1.head.headers, &v2.head.headers);
    let alike = headers::are_alike(headers1, headers2);
    if !alike {
        headers::compare(headers1, headers2, Scope::All, findings);
    }
    let in_heads = findings.listed().len();
    body::compare(v1, v2, alike, findings);
    in_heads
}

fn status(v1: u16, v2: u16, context: &Context<'_>, findings: &mut Findings<'_>) {
    let validated = context.conditional && matches!((v1, v2), (304, 200) | (200, 304));
    let kind = if validated { Kind::NotModified } else { Kind::ValueChanged };
    let (v1, v2) = (v1.to_string(), v2.to_string());
    let values = (Some(v1.as_bytes()), Some(v2.as_bytes()));
    findings.push((Layer::Status, kind, Class::Unverified), String::new, values);
}

/// The verdict on one request that was sent to v2.
///
/// `v1` is the captured answer, where the capture has one; `v2` is the answer that came, where a whole
/// one came. A failure of v2 is known without v1's answer; nothing else is.
#[must_use]
pub fn judge(v1: Option<&Response>, v2: Option<&Response>, differences: &[Difference]) -> Verdict {
    let whole = |response: Option<&Response>| response.is_some_and(|r| r.completeness.is_complete());
    let any = |class: fn(Class) -> bool| differences.iter().any(|d| class(d.class));
    if !whole(v2) {
        Verdict::Failed
    } else if !whole(v1) {
        Verdict::NotComparable
    } else if any(Class::counts) {
        Verdict::Different
    } else if any(|class| class == Class::NotCompared) {
        Verdict::NotComparable
    } else if differences.is_empty() {
        Verdict::Match
    } else {
        Verdict::Noise
    }
}
