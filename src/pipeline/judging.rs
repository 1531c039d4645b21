//! From a row to what is said of it: the diff, under the circumstances that the row itself tells.

use std::sync::atomic::{AtomicU64, Ordering};

use bytes::Bytes;

use crate::diff::{
    Context, Difference, HeaderEdit, Rules, Subject, Verdict, compare_by_rules, judge, template,
};
use crate::http::{RequestHead, Response, h1};
use crate::record::Row;
use crate::replay::{Failure, Outcome};
use crate::report::Judged;

/// What is found in a row under no rules; `None` for one that was not sent.
#[must_use]
pub fn judged(row: &Row) -> Option<Judged> {
    Ruling::default().judged(row)
}

/// The user's rules, and how much each has ruled out.
#[derive(Debug, Default)]
pub struct Ruling {
    rules: Rules,
    /// For each rule how many differences it has allowed.
    allowed: Vec<AtomicU64>,
}

impl Ruling {
    /// A ruling under these rules.
    #[must_use]
    pub fn new(rules: Rules) -> Self {
        Self { allowed: rules.iter().map(|_| AtomicU64::new(0)).collect(), rules }
    }

    /// The same rules, of which none has allowed anything yet.
    #[must_use]
    pub fn anew(&self) -> Self {
        Self::new(self.rules.clone())
    }

    /// What is found in a row; `None` for one that was not sent.
    #[must_use]
    pub fn judged(&self, row: &Row) -> Option<Judged> {
        judged_by(row, self)
    }

    /// What each rule came to, in sentences: how much it ruled out and why, that it matched nothing, or that it
    /// has expired.
    #[must_use]
    pub fn sentences(&self) -> Vec<String> {
        let said = |(rule, allowed): (crate::diff::RuleInfo<'_>, &AtomicU64)| {
            let why = rule.reason.map(|reason| format!(" ({reason})")).unwrap_or_default();
            let name = rule.name;
            match (rule.expired, allowed.load(Ordering::Relaxed)) {
                (Some(day), _) => {
                    format!("the rule `{name}` has expired on {day} and allows nothing any more")
                }
                (None, 0) => format!("the rule `{name}` matched nothing"),
                (None, 1) => format!("the rule `{name}` ruled out one difference{why}"),
                (None, n) => format!("the rule `{name}` ruled out {n} differences{why}"),
            }
        };
        self.rules.iter().zip(&self.allowed).map(said).collect()
    }

    fn differences(&self, row: &Row, v1: &Response, v2: &Response) -> Vec<Difference> {
        let head = &row.exchange.request.head;
        let text = |bytes: &[u8]| String::from_utf8_lossy(bytes).to_ascii_lowercase();
        let host = text(head.host().unwrap_or_default());
        // Without a port; an IPv6 literal keeps its brackets (RFC 3986, section 3.2.2).
        let name = host.rsplit_once(':').filter(|(_, port)| port.bytes().all(|b| b.is_ascii_digit()));
        let declared = text(v1.head.headers.get("content-type").unwrap_or_default());
        let subject = Subject {
            route: &template(head.target()),
            method: &String::from_utf8_lossy(head.method()),
            host: name.map_or(&host, |(name, _)| name),
            status: v1.head.status,
            content_type: declared.split(';').next().unwrap_or_default().trim(),
        };
        let rules = self.rules.applicable(&subject);
        let (differences, ruled) = compare_by_rules(v1, v2, &context(row), &rules);
        for allowed in ruled.iter().filter_map(|ruled| self.allowed.get(ruled.rule)) {
            allowed.fetch_add(1, Ordering::Relaxed);
        }
        differences
    }
}

fn judged_by(row: &Row, ruling: &Ruling) -> Option<Judged> {
    let v1 = row.exchange.response.as_ref();
    let v2 = match &row.outcome {
        Outcome::Answered { response, .. } => Some(response),
        Outcome::Failed { .. } => None,
        Outcome::Skipped(_) => return None,
    };
    let differences = match (v1.filter(|v1| v1.completeness.is_complete()), v2) {
        (Some(v1), Some(v2)) => ruling.differences(row, v1, v2),
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
    // Mostly the Host alone is another, and then no name has to be looked up.
    if fields_but_host(captured).eq(fields_but_host(sent)) {
        return Vec::new();
    }
    let mut names: Vec<&[u8]> =
        captured.headers.iter().chain(sent.headers.iter()).map(|(name, _)| name).collect();
    names.sort_by_cached_key(|name| name.to_ascii_lowercase());
    names.dedup_by(|a, b| a.eq_ignore_ascii_case(b));
    let names = names.into_iter().filter_map(|name| std::str::from_utf8(name).ok());
    let other = names.filter(|name| !name.eq_ignore_ascii_case("host"));
    let edited = other.filter(|name| !captured.headers.all(name).eq(sent.headers.all(name)));
    edited
        .map(|name| HeaderEdit { name: name.to_owned(), value: sent.headers.get(name).map(<[u8]>::to_vec) })
        .collect()
}

fn fields_but_host(head: &RequestHead) -> impl Iterator<Item = (&[u8], &[u8])> {
    head.headers.iter().filter(|(name, _)| !name.eq_ignore_ascii_case(b"host"))
}
