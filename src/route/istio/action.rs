//! What an HTTP rule of Istio does: destinations, mirrors, rewrites and header operations.

use std::sync::Arc;

use crate::route::address::Address;
use crate::route::edit::{Field, FieldName, PathRewrite};
use crate::route::note::RulesError;
use crate::route::operations::{OfRule, Operations};
use crate::route::rule::{Forward, Mirror, Part, Primary};
use crate::route::sampling::{Percent, Share};
use crate::route::yaml::{Fields, Line, Node, Reader};

/// The destinations of a rule with their own edits, before those of the rule are known.
pub(super) struct Weighted {
    /// Those that have weight.
    all: Vec<(Address, u32, Operations)>,
    /// Whether the rule declares no other, be it without weight.
    is_only: bool,
}

const DESTINATION: &[&str] = &["host", "subset", "port"];
const PRIMARY: &[&str] = &["destination", "weight", "headers"];

/// A `Destination`.
pub(super) fn destination(
    reader: &mut Reader,
    what: &str,
    node: &Node,
    namespace: &str,
) -> Result<Address, RulesError> {
    let mut fields = reader.fields(what, node)?;
    let host_node = fields.need(reader, "host")?;
    let host = reader.text("host", host_node)?;
    if host.is_empty() || host.contains('*') {
        return reader.fail(host_node.line, format!("`{host}` is no host that a request could be sent to"));
    }
    let subset = fields.take("subset").map(|node| reader.text("subset", node)).transpose()?;
    let port = fields.take("port").map(|node| port(reader, node)).transpose()?.flatten();
    fields.end(reader, DESTINATION);
    Ok(Address::new(host, subset.filter(|subset| !subset.is_empty()), port, namespace))
}

/// A `PortSelector`.
fn port(reader: &mut Reader, node: &Node) -> Result<Option<u16>, RulesError> {
    let mut fields = reader.fields("port", node)?;
    let number = fields.take("number").map(|node| reader.whole("number", node, 65_535)).transpose()?;
    fields.end(reader, &["number"]);
    Ok(number.and_then(|number| u16::try_from(number).ok()))
}

/// The entries of a rule's `route`; those of weight zero are idle.
pub(super) fn weighted(
    reader: &mut Reader,
    node: &Node,
    namespace: &str,
    idle: &mut Vec<Address>,
) -> Result<Weighted, RulesError> {
    let items = reader.list("route", node)?;
    let mut all = Vec::with_capacity(items.len());
    for item in items {
        let mut fields = reader.fields("route", item)?;
        let to = fields.need(reader, "destination")?;
        let to = destination(reader, "destination", to, namespace)?;
        let weight = fields.take("weight").map(|node| weight(reader, node)).transpose()?.unwrap_or(0);
        let operations = operations(reader, &mut fields)?;
        fields.end(reader, PRIMARY);
        all.push((to, weight, operations));
    }
    let is_only = match &mut all[..] {
        [] => return reader.fail(node.line, "`route` names no destination"),
        // The weight of the only destination is 100, whatever it says.
        [(_, weight, _)] => {
            *weight = 100;
            true
        }
        several if several.iter().all(|(_, weight, _)| *weight == 0) => {
            return reader.fail(
                node.line,
                "the weights of these destinations come to 0, so that none could be chosen",
            );
        }
        _ => false,
    };
    idle.extend(all.extract_if(.., |(_, weight, _)| *weight == 0).map(|(to, ..)| to));
    Ok(Weighted { all, is_only })
}

fn weight(reader: &Reader, node: &Node) -> Result<u32, RulesError> {
    // The API's type is a signed integer of 32 bits.
    reader.whole("weight", node, i32::MAX as u32)
}

const RULE_HEADERS: &[&str] = &["request", "response"];

/// The `headers` of a rule or of a destination, as far as they concern requests.
pub(super) fn operations(reader: &mut Reader, fields: &mut Fields<'_>) -> Result<Operations, RulesError> {
    let Some(node) = fields.take("headers") else { return Ok(Operations::default()) };
    let mut headers = reader.fields("headers", node)?;
    let request = headers.take("request");
    if let Some(response) = headers.take("response") {
        reader.warn(
            response.line,
            "`response` header operations are not acted on: answers are compared as they come",
        );
    }
    headers.end(reader, RULE_HEADERS);
    request.map_or(Ok(Operations::default()), |node| field_edits(reader, node))
}

/// `HeaderOperations`. `host` and `:authority` rewrite the authority, and other names of HTTP/2's pseudo
/// fields mean nothing.
fn field_edits(reader: &mut Reader, node: &Node) -> Result<Operations, RulesError> {
    let mut fields = reader.fields("request", node)?;
    let mut all = Operations::default();
    if let Some(node) = fields.take("remove") {
        for item in reader.list("remove", node)? {
            let name = reader.text("remove", item)?;
            if !is_internal(name) {
                all.removals.push(field_name(reader, item.line, name)?);
            }
        }
    }
    let mut authorities = [None, None];
    for (place, (what, is_set)) in [("set", true), ("add", false)].into_iter().enumerate() {
        let Some(node) = fields.take(what) else { continue };
        let mut entries = reader.text_map(what, node)?;
        entries.sort_by_key(|(name, ..)| *name);
        for (name, value, line) in entries {
            if is_authority(name) {
                authorities[place] = Some(value.to_owned());
            }
            if !is_internal(name) {
                let value = literal(reader, line, value);
                let field = Field::new(field_name(reader, line, name)?, value.into_bytes());
                all.put(is_set, field.or_else(|error| reader.fail(line, error.to_string()))?);
            }
        }
    }
    fields.end(reader, &["set", "add", "remove"]);
    let [set, add] = authorities;
    all.authority = set.or(add).filter(|authority| !authority.is_empty());
    Ok(all)
}

fn is_authority(name: &str) -> bool {
    name == ":authority" || name.eq_ignore_ascii_case("host")
}

fn is_internal(name: &str) -> bool {
    name.starts_with(':') || name.eq_ignore_ascii_case("host")
}

/// A header name of a rules file.
pub(in crate::route) fn field_name(reader: &Reader, line: Line, name: &str) -> Result<FieldName, RulesError> {
    name.parse().or_else(|error: crate::route::edit::FieldError| reader.fail(line, error.to_string()))
}

/// A value as Envoy would send it: `%%` is a percent sign, and what stands between two single ones is a
/// fact of the mesh, which a capture does not tell.
fn literal(reader: &mut Reader, line: Line, value: &str) -> String {
    let plain = value.replace("%%", "%");
    if value.replace("%%", "").contains('%') {
        reader.warn(line, format!("`{value}` names a fact of the mesh, and is sent as it stands"));
        return value.to_owned();
    }
    plain
}

/// The destinations with the rule's edits joined to their own.
pub(super) fn primaries(destinations: Weighted, rule: OfRule<'_>) -> Vec<Primary> {
    let Weighted { all, is_only } = destinations;
    let primary = |(to, weight, own): (Address, u32, Operations)| Primary {
        to,
        weight,
        edits: Arc::new(rule.joined(&own, is_only)),
        part: Part::Other(None),
    };
    all.into_iter().map(primary).collect()
}

/// The mirrors of a rule: `mirror` with its percentage, and `mirrors`; those of share zero are idle.
pub(super) fn mirrors(
    reader: &mut Reader,
    fields: &mut Fields<'_>,
    namespace: &str,
    idle: &mut Vec<Address>,
) -> Result<Vec<Mirror>, RulesError> {
    let mut all = Vec::new();
    let (mirror, mirrors) = (fields.take("mirror"), fields.take("mirrors"));
    let share = rule_share(reader, fields, mirror.is_some())?;
    if let (Some(_), Some(more)) = (mirror, mirrors) {
        return reader.fail(more.line, "a rule has either `mirror` or `mirrors`, not both");
    }
    if let Some(node) = mirror {
        let to = destination(reader, "mirror", node, namespace)?;
        all.push(Mirror { to, share, place: None });
    }
    let items = mirrors.map(|node| reader.list("mirrors", node)).transpose()?.unwrap_or_default();
    for item in items {
        let mut policy = reader.fields("mirrors", item)?;
        let to = policy.need(reader, "destination")?;
        let to = destination(reader, "destination", to, namespace)?;
        let share =
            policy.take("percentage").map(|node| percentage(reader, "percentage", node)).transpose()?;
        let share = share.unwrap_or(Share::ALL);
        policy.end(reader, &["destination", "percentage"]);
        all.push(Mirror { to, share, place: None });
    }
    idle.extend(all.extract_if(.., |mirror| mirror.share.numerator == 0).map(|mirror| mirror.to));
    Ok(all)
}

/// The share of `mirror`: `mirrorPercentage`, else the deprecated `mirrorPercent`, else all.
fn rule_share(reader: &mut Reader, fields: &mut Fields<'_>, mirrored: bool) -> Result<Share, RulesError> {
    let exact = fields.take("mirrorPercentage");
    let whole = fields.take("mirrorPercent");
    if let (false, Some(node)) = (mirrored, exact.or(whole)) {
        reader.warn(node.line, "there is a percentage, and no `mirror` that it would be of");
    }
    let whole = whole.map(|node| reader.whole("mirrorPercent", node, 100)).transpose()?;
    match exact {
        Some(node) => percentage(reader, "mirrorPercentage", node),
        None => Ok(whole.map_or(Share::ALL, Share::whole)),
    }
}

/// A `Percent`: `{value: 12.5}`.
pub(super) fn percentage(reader: &mut Reader, what: &str, node: &Node) -> Result<Share, RulesError> {
    if node.is_number() {
        return reader.fail(
            node.line,
            format!("`{what}` is a number, where a mapping belongs: write `{what}: {{value: 12.5}}`"),
        );
    }
    let mut fields = reader.fields(what, node)?;
    let Some(value) = fields.take("value") else {
        fields.end(reader, &["value"]);
        return Ok(Share::whole(0));
    };
    let number = reader.number("value", value)?;
    fields.end(reader, &["value"]);
    match Percent::new(number) {
        Ok(percent) => Ok(percent.into()),
        Err(error) => reader.fail(value.line, error.to_string()),
    }
}

/// The `rewrite` of a rule: what becomes of the path, and of the authority.
pub(super) fn rewrite(
    reader: &mut Reader,
    fields: &mut Fields<'_>,
) -> Result<(Option<PathRewrite>, Option<String>), RulesError> {
    let Some(node) = fields.take("rewrite") else { return Ok((None, None)) };
    let mut rewrite = reader.fields("rewrite", node)?;
    let uri = rewrite.take("uri").map(|node| Ok((reader.text("uri", node)?, node.line))).transpose()?;
    let authority = rewrite.take("authority").map(|node| reader.text("authority", node)).transpose()?;
    let regex = rewrite.take("uriRegexRewrite").map(|node| regex_rewrite(reader, node)).transpose()?;
    rewrite.end(reader, &["uri", "authority", "uriRegexRewrite"]);
    if let (Some((_, line)), Some(_)) = (&uri, &regex) {
        return reader.fail(*line, "a rewrite has either `uri` or `uriRegexRewrite`, not both");
    }
    if let Some((bad, line)) = uri.filter(|(uri, _)| !is_path(uri)) {
        return reader.fail(line, format!("{bad:?} is no path that a request could carry"));
    }
    let uri = uri.filter(|(uri, _)| !uri.is_empty()).map(|(uri, _)| PathRewrite::Matched(uri.to_owned()));
    if let Some(bad) = authority.filter(|authority| !is_path(authority)) {
        return reader.fail(node.line, format!("{bad:?} is no authority that a request could carry"));
    }
    Ok((regex.or(uri), authority.filter(|authority| !authority.is_empty()).map(str::to_owned)))
}

/// Whether a text can stand in a request line without breaking it.
pub(in crate::route) fn is_path(text: &str) -> bool {
    !text.chars().any(|c| c.is_ascii_control() || c == ' ')
}

fn regex_rewrite(reader: &mut Reader, node: &Node) -> Result<PathRewrite, RulesError> {
    let mut fields = reader.fields("uriRegexRewrite", node)?;
    let pattern = fields.need(reader, "match")?;
    let substitution = fields.take("rewrite").map(|node| reader.text("rewrite", node)).transpose()?;
    let found = super::matching::pattern(reader, pattern.line, reader.text("match", pattern)?)?;
    fields.end(reader, &["match", "rewrite"]);
    let substitution = substitution.unwrap_or_default();
    if !is_path(substitution) {
        return reader.fail(node.line, format!("{substitution:?} is no path that a request could carry"));
    }
    PathRewrite::regex(found, substitution)
        .or_else(|reason| reader.fail(pattern.line, format!("this rewrite cannot be done: {reason}")))
}

/// What a rule forwards to.
pub(super) fn forward(
    primaries: Vec<Primary>,
    mirrors: Vec<Mirror>,
    idle: Vec<Address>,
    path: Option<PathRewrite>,
) -> Forward {
    Forward { primaries, mirrors, idle, path }
}
