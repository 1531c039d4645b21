//! `HTTPMatchRequest` and `StringMatch`.

use crate::route::condition::{Condition, Match, PathKind, PathMatch, TextMatch};
use crate::route::note::RulesError;
use crate::route::pattern::Pattern;
use crate::route::yaml::{Fields, Line, Node, Reader};

const FIELDS: &[&str] = &[
    "name",
    "uri",
    "scheme",
    "method",
    "authority",
    "headers",
    "port",
    "sourceLabels",
    "gateways",
    "queryParams",
    "ignoreUriCase",
    "withoutHeaders",
    "sourceNamespace",
    "statPrefix",
];

/// One entry of a rule's `match`.
pub(super) fn matching(reader: &mut Reader, node: &Node) -> Result<Match, RulesError> {
    let mut fields = reader.fields("match", node)?;
    let name = fields.take("name").map(|node| reader.text("name", node).map(str::to_owned)).transpose()?;
    let ignore_case = match fields.take("ignoreUriCase") {
        Some(node) => reader.boolean("ignoreUriCase", node)?,
        None => false,
    };
    let mut conditions = vec![Condition::Path(match fields.take("uri") {
        Some(node) => path(reader, node, ignore_case)?,
        None => PathMatch::any(),
    })];
    for (name, make) in [
        ("scheme", Condition::Scheme as fn(TextMatch) -> Condition),
        ("method", Condition::Method),
        ("authority", Condition::Authority),
    ] {
        if let Some(node) = fields.take(name) {
            conditions.push(make(text_match(reader, name, node)?));
        }
    }
    if let Some(node) = fields.take("headers") {
        named(reader, "headers", node, Condition::Header, &mut conditions)?;
    }
    if let Some(node) = fields.take("withoutHeaders") {
        named(reader, "withoutHeaders", node, Condition::WithoutHeader, &mut conditions)?;
    }
    if let Some(node) = fields.take("queryParams") {
        for (name, matching) in texts(reader, "queryParams", node)? {
            conditions.push(Condition::Query(name, matching));
        }
    }
    source(reader, &mut fields, &mut conditions)?;
    fields.ignore(&["statPrefix"]);
    fields.end(reader, FIELDS);
    Ok(Match::new(name, conditions))
}

/// What depends on who sent the request, and through what. Gateways override the rest.
fn source(
    reader: &mut Reader,
    fields: &mut Fields<'_>,
    conditions: &mut Vec<Condition>,
) -> Result<(), RulesError> {
    if let Some(node) = fields.take("port") {
        let port = reader.whole("port", node, u32::from(u16::MAX))?;
        // Zero is how the API writes that there is none.
        conditions.extend(u16::try_from(port).ok().filter(|port| *port > 0).map(Condition::Port));
    }
    let gateways = fields.take("gateways").map(|node| reader.texts("gateways", node)).transpose()?;
    let labels = fields.take("sourceLabels").map(|node| reader.text_map("sourceLabels", node)).transpose()?;
    let namespace =
        fields.take("sourceNamespace").map(|node| reader.text("sourceNamespace", node)).transpose()?;
    if let Some(names) = gateways.filter(|names| !names.is_empty()) {
        conditions.push(Condition::Gateways(names));
        return Ok(());
    }
    if let Some(labels) = labels.filter(|labels| !labels.is_empty()) {
        let labels = labels.into_iter().map(|(name, value, _)| (name.to_owned(), value.to_owned()));
        conditions.push(Condition::SourceLabels(labels.collect()));
    }
    let namespace = namespace.filter(|name| !name.is_empty());
    conditions.extend(namespace.map(|name| Condition::SourceNamespace(name.to_owned())));
    Ok(())
}

/// Conditions on header fields.
fn named(
    reader: &mut Reader,
    what: &str,
    node: &Node,
    make: fn(String, TextMatch) -> Condition,
    conditions: &mut Vec<Condition>,
) -> Result<(), RulesError> {
    for (name, matching) in texts(reader, what, node)? {
        conditions.push(if name.starts_with('@') {
            reader.warn(
                node.line,
                format!("`{name}` is a claim that the mesh has checked; a capture does not tell it, so this match is never met"),
            );
            Condition::Unknowable(name)
        } else {
            make(name, matching)
        });
    }
    Ok(())
}

/// Names, each with how its value is compared.
fn texts(reader: &mut Reader, what: &str, node: &Node) -> Result<Vec<(String, TextMatch)>, RulesError> {
    let entries = reader.entries(what, node)?;
    let mut text = |(name, node): (&str, &Node)| Ok((name.to_owned(), text_match(reader, name, node)?));
    entries.into_iter().map(&mut text).collect()
}

/// A `StringMatch`. One that says nothing, or the pattern `*`, which is none, asks for presence.
pub(super) fn text_match(reader: &mut Reader, what: &str, node: &Node) -> Result<TextMatch, RulesError> {
    let Some((kind, text, line)) = one_of(reader, what, node)? else { return Ok(TextMatch::Present) };
    Ok(match kind {
        "exact" => TextMatch::Exact(text.to_owned()),
        "prefix" => TextMatch::Prefix(text.to_owned()),
        _ if text == "*" => TextMatch::Present,
        _ => TextMatch::Regex(pattern(reader, line, text)?),
    })
}

fn path(reader: &mut Reader, node: &Node, ignore_case: bool) -> Result<PathMatch, RulesError> {
    let kind = match one_of(reader, "uri", node)? {
        None => return Ok(PathMatch::any()),
        Some(("exact", text, _)) => PathKind::Exact(text.to_owned()),
        Some(("prefix", text, _)) => PathKind::Prefix(text.to_owned()),
        Some((_, text, line)) => PathKind::Regex(pattern(reader, line, text)?),
    };
    Ok(PathMatch { kind, ignore_case })
}

/// A pattern of a rules file.
pub(in crate::route) fn pattern(reader: &mut Reader, line: Line, text: &str) -> Result<Pattern, RulesError> {
    reader.pattern(text).or_else(|reason| reader.fail(line, reason))
}

/// The one of `exact`, `prefix` and `regex` that is there, its value, and its line.
fn one_of<'n>(
    reader: &Reader,
    what: &str,
    node: &'n Node,
) -> Result<Option<(&'static str, &'n str, Line)>, RulesError> {
    if node.is_null() {
        return Ok(None);
    }
    let mut fields = reader.fields(what, node)?;
    let mut found: Option<(&'static str, &str, Line)> = None;
    for kind in ["exact", "prefix", "regex"] {
        let Some(value) = fields.take(kind) else { continue };
        if let Some((other, ..)) = found {
            return reader.fail(
                value.line,
                format!("`{what}` has both `{other}` and `{kind}`; only one can be meant"),
            );
        }
        found = Some((kind, reader.text(kind, value)?, value.line));
    }
    match fields.first() {
        Some((name, line)) => reader
            .fail(line, format!("`{what}` is compared by `exact`, `prefix` or `regex`, and not by `{name}`")),
        None => Ok(found),
    }
}
