//! `HTTPRoute` of Istio: one rule of a virtual service.

use std::time::Duration;

use super::action::{forward, mirrors, operations, percentage, primaries, rewrite, weighted};
use super::matching::matching;
use crate::route::condition::{Condition, Match, PathMatch};
use crate::route::note::RulesError;
use crate::route::operations::OfRule;
use crate::route::rule::{Action, Rule};
use crate::route::sampling::Share;
use crate::route::yaml::{Fields, Line, Node, Reader};

const FIELDS: &[&str] = &[
    "name",
    "match",
    "route",
    "redirect",
    "directResponse",
    "delegate",
    "rewrite",
    "timeout",
    "retries",
    "fault",
    "mirror",
    "mirrors",
    "mirrorPercent",
    "mirrorPercentage",
    "corsPolicy",
    "headers",
];

const PASSED_OVER: &[(&str, &str)] = &[
    ("retries", "a request is sent to each destination once"),
    ("corsPolicy", "preflight requests that a proxy would answer itself are treated as all others"),
];

const REDIRECT: &[&str] = &["uri", "authority", "port", "derivePort", "scheme", "redirectCode"];

/// Where a rule stands, for its name and for what it names.
pub(super) struct Place<'p> {
    /// What its name begins with.
    pub(super) prefix: &'p str,
    pub(super) number: usize,
    pub(super) namespace: &'p str,
}

/// The matches of a rule; one that any request meets where it has none.
pub(super) fn matches(reader: &mut Reader, fields: &mut Fields<'_>) -> Result<Vec<Match>, RulesError> {
    let mut all = Vec::new();
    if let Some(node) = fields.take("match") {
        for item in reader.list("match", node)? {
            all.push(matching(reader, item)?);
        }
    }
    if all.is_empty() {
        all.push(Match::new(None, vec![Condition::Path(PathMatch::any())]));
    }
    Ok(all)
}

/// Reads one rule, which applies where one of `matches` is met, and not what its own `match` says.
pub(super) fn rule(
    reader: &mut Reader,
    node: &Node,
    place: &Place<'_>,
    matches: Vec<Match>,
) -> Result<Rule, RulesError> {
    let mut fields = reader.fields("http", node)?;
    fields.take("match");
    let name = fields.take("name").map(|node| reader.text("name", node)).transpose()?;
    let name = name.map_or(String::new(), |name| format!(" {name}"));
    let abort = fields.take("fault").map(|node| fault(reader, node)).transpose()?.flatten();
    let timeout = fields.take("timeout").map(|node| duration(reader, node)).transpose()?;
    let action = action(reader, &mut fields, place.namespace, timeout)?;
    fields.pass_over(reader, PASSED_OVER);
    fields.end(reader, FIELDS);
    Ok(Rule {
        name: format!("{} http[{}]{name}", place.prefix, place.number).into(),
        origin: reader.origin(node.line),
        matches,
        abort,
        action,
    })
}

fn action(
    reader: &mut Reader,
    fields: &mut Fields<'_>,
    namespace: &str,
    timeout: Option<Duration>,
) -> Result<Action, RulesError> {
    let (redirect, respond) = (fields.take("redirect"), fields.take("directResponse"));
    let route = fields.take("route");
    let kinds = [("route", route), ("redirect", redirect), ("directResponse", respond)];
    let mut there = kinds.iter().filter_map(|(name, node)| Some((name, (*node)?)));
    match (there.next(), there.next()) {
        (None, _) => {
            return reader.fail(
                fields.line(),
                "the rule has none of `route`, `redirect`, `directResponse` and `delegate`",
            );
        }
        (Some((one, _)), Some((other, node))) => {
            return reader.fail(node.line, format!("a rule has either `{one}` or `{other}`, not both"));
        }
        _ => {}
    }
    let operations = operations(reader, fields)?;
    let (path, authority) = rewrite(reader, fields)?;
    let mut idle = Vec::new();
    let mirrors = mirrors(reader, fields, namespace, &mut idle)?;
    if let Some(node) = redirect.or(respond).filter(|_| !mirrors.is_empty()) {
        reader.warn(
            node.line,
            "a proxy that answers by itself mirrors nothing, so this rule's mirrors get nothing",
        );
    }
    if let Some(node) = redirect {
        let mut fields = reader.fields("redirect", node)?;
        // Where the proxy sends the client is nothing that a shadow gets.
        fields.ignore(REDIRECT);
        fields.end(reader, REDIRECT);
    }
    Ok(match (route, respond) {
        (Some(node), _) => {
            let all = weighted(reader, node, namespace, &mut idle)?;
            let rule = OfRule { operations: &operations, authority: authority.as_deref(), timeout };
            let all = primaries(all, rule);
            Action::Forward(forward(all, mirrors, idle, path))
        }
        (None, Some(node)) => Action::Respond(status(reader, node)?),
        (None, None) => Action::Redirect,
    })
}

fn status(reader: &mut Reader, node: &Node) -> Result<u16, RulesError> {
    let mut fields = reader.fields("directResponse", node)?;
    let node = fields.need(reader, "status")?;
    let status = reader.whole("status", node, 599)?;
    if let Some(node) = fields.take("body") {
        let mut body = reader.fields("body", node)?;
        body.ignore(&["string", "bytes"]);
        body.end(reader, &["string", "bytes"]);
    }
    fields.end(reader, &["status", "body"]);
    Ok(u16::try_from(status).unwrap_or(u16::MAX))
}

/// The share of requests that an injected fault answers; none where the percentage is left out.
fn fault(reader: &mut Reader, node: &Node) -> Result<Option<Share>, RulesError> {
    let mut fields = reader.fields("fault", node)?;
    if let Some(delay) = fields.take("delay") {
        reader.warn(delay.line, "`delay` is not acted on: it says when a request goes, and not where");
    }
    let abort = fields.take("abort").map(|node| abort(reader, node)).transpose()?;
    fields.end(reader, &["delay", "abort"]);
    Ok(abort.filter(|share| share.numerator > 0))
}

fn abort(reader: &mut Reader, node: &Node) -> Result<Share, RulesError> {
    let mut fields = reader.fields("abort", node)?;
    let share = fields.take("percentage").map(|node| percentage(reader, "percentage", node)).transpose()?;
    let errors = ["httpStatus", "grpcStatus", "http2Error"];
    let known = errors.iter().filter(|name| fields.take(name).is_some()).count();
    fields.end(reader, &["percentage", "httpStatus", "grpcStatus", "http2Error"]);
    if known == 0 {
        reader.warn(node.line, "`abort` has no `httpStatus`, so no request is aborted");
        return Ok(Share::whole(0));
    }
    Ok(share.unwrap_or(Share::whole(0)))
}

/// A duration as protocol buffers and Go write it: `1.5s`, `250ms`, `1h30m`.
pub(in crate::route) fn duration(reader: &Reader, node: &Node) -> Result<Duration, RulesError> {
    let text = reader.text("timeout", node)?;
    match parse_duration(text) {
        Some(duration) => Ok(duration),
        None => reader.fail(node.line, format!("{text:?} is no duration such as 1.5s, 250ms or 1h30m")),
    }
}

fn parse_duration(text: &str) -> Option<Duration> {
    let mut rest = text;
    let mut seconds = 0.0;
    while !rest.is_empty() {
        let digits = rest.len() - rest.trim_start_matches(|c: char| c.is_ascii_digit() || c == '.').len();
        let (number, after) = rest.split_at(digits);
        let unit =
            after.len() - after.trim_start_matches(|c: char| c.is_ascii_alphabetic() || c == 'µ').len();
        let (unit, after) = after.split_at(unit);
        let factor = match unit {
            "ns" => 1e-9,
            "us" | "µs" => 1e-6,
            "ms" => 1e-3,
            "s" => 1.0,
            "m" => 60.0,
            "h" => 3600.0,
            _ => return None,
        };
        seconds += number.parse::<f64>().ok()? * factor;
        rest = after;
    }
    (!text.is_empty()).then(|| Duration::try_from_secs_f64(seconds).ok()).flatten()
}

/// Only the kinds of action that a rule has when it delegates.
pub(super) fn delegate(
    reader: &mut Reader,
    fields: &mut Fields<'_>,
) -> Result<Option<(String, Option<String>, Line)>, RulesError> {
    let Some(node) = fields.take("delegate") else { return Ok(None) };
    for other in ["route", "redirect"] {
        if let Some(node) = fields.take(other) {
            return reader.fail(node.line, format!("a rule has either `delegate` or `{other}`, not both"));
        }
    }
    let mut delegate = reader.fields("delegate", node)?;
    let name = delegate.need(reader, "name")?;
    let name = reader.text("name", name)?.to_owned();
    let namespace = delegate
        .take("namespace")
        .map(|node| reader.text("namespace", node).map(str::to_owned))
        .transpose()?;
    delegate.end(reader, &["name", "namespace"]);
    Ok(Some((name, namespace, node.line)))
}
