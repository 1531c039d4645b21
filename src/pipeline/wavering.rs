//! Which rows one further answer is not enough for.

use std::collections::HashSet;

use foldhash::fast::RandomState;

use super::judging::context;
use crate::diff::{Context, Difference, Fingerprint, Side, compare, template};
use crate::http::Response;
use crate::record::Row;
use crate::replay::Outcome;

/// How many places are remembered. Beyond them a row is judged by its own answers alone.
const MOST: usize = 10_000;

/// The places where a side has been met that disagrees with itself.
#[derive(Default)]
pub(super) struct Wavering(HashSet<Fingerprint, RandomState>);

impl Wavering {
    /// Whether a row, with the answers of the first round, has to be asked on: where they do not agree with
    /// those before, or where those of other rows did not.
    pub(super) fn has_to_be_asked_on(&mut self, row: &Row) -> bool {
        let Some((v1, v2)) = answers(row) else { return false };
        let head = &row.exchange.request.head;
        let host = head.host().unwrap_or_default();
        let (route, shadowed) = (template(head.target()), context(row));
        let name = |difference: &Difference| Fingerprint::of(head.method(), host, &route, difference);
        let first = counting(v1, v2, &shadowed);
        let captured = Context::new(head, host, Vec::new());
        let mut disagreeing = Vec::new();
        for again in &row.again {
            let Outcome::Answered { response, .. } = &again.outcome else { continue };
            match again.side {
                Side::V2 => {
                    let repeated = counting(v1, response, &shadowed);
                    disagreeing.extend(first.iter().filter(|d| !repeated.contains(d)).cloned());
                    disagreeing.extend(repeated.into_iter().filter(|d| !first.contains(d)));
                }
                Side::V1 => disagreeing.extend(counting(v1, response, &captured)),
            }
        }
        let known = first.iter().any(|difference| self.0.contains(&name(difference)));
        for difference in disagreeing.iter().take(MOST.saturating_sub(self.0.len())) {
            self.0.insert(name(difference));
        }
        known || !disagreeing.is_empty()
    }
}

fn answers(row: &Row) -> Option<(&Response, &Response)> {
    match (&row.exchange.response, &row.outcome) {
        (Some(v1), Outcome::Answered { response, .. }) => Some((v1, response)),
        _ => None,
    }
}

fn counting(one: &Response, other: &Response, context: &Context<'_>) -> Vec<Difference> {
    let mut differences = compare(one, other, context);
    differences.retain(|difference| difference.class.counts());
    differences
}
