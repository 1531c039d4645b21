//! From a row to what is said of it: the diff, under the circumstances that the row itself tells.

use std::sync::atomic::{AtomicU64, Ordering};

use bytes::Bytes;

use crate::diff::{
    Applicable, Context, Difference, HeaderEdit, Learned, Learner, Rules, Seen, Settings, Side, Subject,
    Verdict, compare_by_rules, judge,
};
use crate::http::{RequestHead, Response, h1};
use crate::record::{Again, Row, Run};
use crate::replay::{Failure, Outcome};
use crate::report::{Judged, RuleSummary};

/// The name of the digest of the file that differences were judged by.
const RULES_OF_DIFFERENCES: &str = "rules of differences";

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
    /// Of the rules' text, where they came from one.
    digest: Option<String>,
}

impl Ruling {
    /// A ruling under these rules, with a digest of their text.
    #[must_use]
    pub fn new(rules: Rules, digest: Option<String>) -> Self {
        Self { allowed: rules.iter().map(|_| AtomicU64::new(0)).collect(), rules, digest }
    }

    /// The run as its reports name it: with the digest of the rules that it is judged by.
    pub(super) fn of(&self, mut run: Run) -> Run {
        run.digests.extend(self.digest.clone().map(|digest| (RULES_OF_DIFFERENCES.to_owned(), digest)));
        run
    }

    /// The same rules, of which none has allowed anything yet.
    #[must_use]
    pub fn anew(&self) -> Self {
        Self::new(self.rules.clone(), self.digest.clone())
    }

    /// What is found in a row by itself; `None` for one that was not sent.
    #[must_use]
    pub fn judged(&self, row: &Row) -> Option<Judged> {
        self.pass(row, Pass::Alone)
    }

    /// The same with the classes that follow from all rows.
    #[must_use]
    pub fn judged_by(&self, row: &Row, learned: &Learned) -> Option<Judged> {
        self.pass(row, Pass::Second(learned))
    }

    /// What is found in a row by itself, which is learned from.
    pub(super) fn learn(&self, row: &Row, learner: &mut Learner) -> Option<Judged> {
        self.pass(row, Pass::First(learner))
    }

    /// A learner that knows the user's routes and has seen nothing.
    #[must_use]
    pub fn learner(&self) -> Learner {
        Learner::new(Settings { templates: self.rules.templates().clone(), ..Settings::default() })
    }

    fn pass(&self, row: &Row, pass: Pass<'_>) -> Option<Judged> {
        let differences = match answers(row)? {
            (Some(v1), Some(v2)) => self.differences(row, v1, v2, pass),
            _ => Vec::new(),
        };
        let verdict = verdict(row, &differences);
        Some(Judged { verdict, differences })
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

    /// The same as values.
    #[must_use]
    pub fn rules(&self) -> Vec<RuleSummary> {
        let told = |(rule, allowed): (crate::diff::RuleInfo<'_>, &AtomicU64)| RuleSummary {
            name: rule.name.to_string(),
            reason: rule.reason.map(str::to_owned),
            matched: allowed.load(Ordering::Relaxed),
            expired: rule.expired.map(|day| day.to_string()),
        };
        self.rules.iter().zip(&self.allowed).map(told).collect()
    }

    fn differences(&self, row: &Row, v1: &Response, v2: &Response, pass: Pass<'_>) -> Vec<Difference> {
        let request = &row.exchange.request;
        let (rules, context) = (self.applicable(row, v1, &pass), context(row));
        let (mut differences, ruled) = compare_by_rules(v1, v2, &context, &rules);
        for allowed in ruled.iter().filter_map(|ruled| self.allowed.get(ruled.rule)) {
            allowed.fetch_add(1, Ordering::Relaxed);
        }
        let again = again(row);
        let seen = |differences| {
            let (again, context, rules) = (again.as_slice(), &context, &rules);
            Seen { request, v1, v2, differences, again, context, rules }
        };
        match pass {
            Pass::Alone => {}
            Pass::First(learner) => learner.observe(&seen(&differences)),
            Pass::Second(learned) => {
                let found = differences.clone();
                learned.classify(&seen(&found), &mut differences);
            }
        }
        differences
    }

    /// The rules that speak of a row.
    fn applicable(&self, row: &Row, v1: &Response, pass: &Pass<'_>) -> Applicable<'_> {
        if self.rules.is_empty() {
            return Applicable::default();
        }
        let head = &row.exchange.request.head;
        let text = |bytes: &[u8]| String::from_utf8_lossy(bytes).to_ascii_lowercase();
        let host = text(head.host().unwrap_or_default());
        // Without a port; an IPv6 literal keeps its brackets (RFC 3986, section 3.2.2).
        let name = host.rsplit_once(':').filter(|(_, port)| port.bytes().all(|b| b.is_ascii_digit()));
        let declared = text(v1.head.headers.get("content-type").unwrap_or_default());
        let route = match pass {
            Pass::Second(learned) => {
                learned.route(head.method(), head.host().unwrap_or_default(), head.target())
            }
            Pass::Alone | Pass::First(_) => {
                let templates = self.rules.templates();
                templates.route(head.method(), head.host().unwrap_or_default(), head.target())
            }
        };
        self.rules.applicable(&Subject {
            route: &route,
            method: &String::from_utf8_lossy(head.method()),
            host: name.map_or(&host, |(name, _)| name),
            status: v1.head.status,
            content_type: declared.split(';').next().unwrap_or_default().trim(),
        })
    }
}

/// Which look at a row it is.
enum Pass<'l> {
    /// One of its own.
    Alone,
    /// The first of two, from which is learned.
    First(&'l mut Learner),
    /// The second, with what was learned.
    Second(&'l Learned),
}

/// The whole answers to a row's request that was sent again.
fn again(row: &Row) -> Vec<(Side, Response)> {
    let answer = |again: &Again| match &again.outcome {
        Outcome::Answered { response, .. } => Some((again.side, Response::clone(response))),
        Outcome::Failed { .. } | Outcome::Skipped(_) => None,
    };
    row.again.iter().filter_map(answer).collect()
}

/// The two answers of a row, as far as they are whole; `None` for one that was not sent.
fn answers(row: &Row) -> Option<(Option<&Response>, Option<&Response>)> {
    let v1 = row.exchange.response.as_ref().filter(|v1| v1.completeness.is_complete());
    match &row.outcome {
        Outcome::Answered { response, .. } => Some((v1, Some(response))),
        Outcome::Failed { .. } => Some((v1, None)),
        Outcome::Skipped(_) => None,
    }
}

fn verdict(row: &Row, differences: &[Difference]) -> Verdict {
    match &row.outcome {
        // Cut off by the user's stop, or killed: that says nothing about v2.
        Outcome::Failed { failure: Failure::Interrupted | Failure::Killed, .. } => Verdict::NotComparable,
        Outcome::Answered { response, .. } => {
            judge(row.exchange.response.as_ref(), Some(response), differences)
        }
        Outcome::Failed { .. } | Outcome::Skipped(_) => {
            judge(row.exchange.response.as_ref(), None, differences)
        }
    }
}

/// What was sent otherwise than captured, read off the two heads.
pub(super) fn context(row: &Row) -> Context<'_> {
    let captured = &row.exchange.request.head;
    if let Some(host) = row.sent_head.as_ref().and_then(|sent| only_host(captured, sent)) {
        return Context::new(captured, host, Vec::new());
    }
    let Some(sent) = row.sent_head.as_ref().and_then(parse) else {
        return Context::new(captured, captured.host().unwrap_or_default(), Vec::new());
    };
    let shadow_host = sent.headers.get("host").or_else(|| sent.host()).unwrap_or_default();
    Context {
        shadow_host: shadow_host.to_vec().into(),
        ..Context::new(captured, &[], edits(captured, &sent))
    }
}

/// The Host of a head that was sent, where nothing else of it is other than captured.
fn only_host<'s>(captured: &RequestHead, sent: &'s [u8]) -> Option<&'s [u8]> {
    let raw = captured.raw();
    let host = captured.headers.plain_host()?;
    let (before, behind) = (raw.get(..host.start)?, raw.get(host.end..)?);
    let host = sent.strip_prefix(before)?.strip_suffix(behind)?;
    host.iter().all(u8::is_ascii_graphic).then_some(host)
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
