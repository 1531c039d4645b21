//! `HTTPRoute`: hosts, parents, matches and backends.

use std::sync::Arc;

use super::filter::{Filters, backend_name, filters};
use crate::route::address::{Address, resolve};
use crate::route::condition::{Condition, Match, PathKind, PathMatch, TextMatch};
use crate::route::document::Document;
use crate::route::istio::pattern;
use crate::route::note::RulesError;
use crate::route::operations::OfRule;
use crate::route::request::MESH;
use crate::route::rule::{Action, Forward, Order, Part, Primary, Rule, RuleSet};
use crate::route::yaml::{Fields, Node, Reader};

/// A route, and what decides between routes for one host whose matches are alike.
pub(in crate::route) struct HttpRoute {
    set: RuleSet,
    created: Option<String>,
    title: (String, String),
}

/// The older of two routes goes first, then the one whose namespace and name come first.
pub(in crate::route) fn by_age(mut routes: Vec<HttpRoute>) -> impl Iterator<Item = RuleSet> {
    let key = |route: &HttpRoute| (route.created.is_none(), route.created.clone(), route.title.clone());
    routes.sort_by_cached_key(key);
    routes.into_iter().map(|route| route.set)
}

const FIELDS: &[&str] = &["parentRefs", "hostnames", "rules", "useDefaultGateways"];
const RULE: &[&str] =
    &["name", "matches", "filters", "backendRefs", "timeouts", "retry", "sessionPersistence"];

/// Reads one.
pub(in crate::route) fn http_route(
    reader: &mut Reader,
    document: Document<'_>,
    home: &str,
) -> Result<HttpRoute, RulesError> {
    let Document { name, namespace, created, line, mut spec, .. } = document;
    let parents = parents(reader, &mut spec, &namespace)?;
    let mut hosts = Vec::new();
    if let Some(node) = spec.take("hostnames") {
        hosts.extend(reader.texts("hostnames", node)?.iter().map(|host| host.to_ascii_lowercase()));
    }
    if hosts.is_empty() {
        hosts = if parents.services.is_empty() { vec!["*".to_owned()] } else { parents.services };
    }
    let prefix = if namespace == home { name.clone() } else { format!("{namespace}/{name}") };
    let mut rules = Vec::new();
    if let Some(node) = spec.take("rules") {
        for (number, item) in reader.list("rules", node)?.iter().enumerate() {
            rules.push(rule(reader, item, &format!("{prefix} rules[{number}]"), &namespace)?);
        }
    }
    if rules.is_empty() {
        reader.warn(line, format!("HTTPRoute {name} has no `rules`, so it matches no request"));
    }
    spec.ignore(&["useDefaultGateways"]);
    spec.end(reader, FIELDS);
    let set = RuleSet {
        name: format!("HTTPRoute {namespace}/{name}").into(),
        origin: reader.origin(line),
        hosts,
        gateways: parents.gateways,
        order: Order::Specific,
        rules,
    };
    Ok(HttpRoute { set, created, title: (namespace, name) })
}

/// What a route is attached to.
struct Parents {
    gateways: Vec<String>,
    /// Services of the mesh, resolved.
    services: Vec<String>,
}

const PARENT: &[&str] = &["group", "kind", "namespace", "name", "sectionName", "port"];

fn parents(reader: &mut Reader, spec: &mut Fields<'_>, namespace: &str) -> Result<Parents, RulesError> {
    let mut parents = Parents { gateways: Vec::new(), services: Vec::new() };
    if let Some(node) = spec.take("parentRefs") {
        for item in reader.list("parentRefs", node)? {
            let mut fields = reader.fields("parentRef", item)?;
            let name = fields.need(reader, "name")?;
            let name = reader.text("name", name)?;
            let kind =
                fields.take("kind").map(|node| reader.text("kind", node)).transpose()?.unwrap_or("Gateway");
            let home = fields.take("namespace").map(|node| reader.text("namespace", node)).transpose()?;
            if let Some(section) = fields.take("sectionName").or(fields.take("port")) {
                reader.warn(section.line, "the route is taken to be for all listeners of its parent");
            }
            fields.ignore(&["group"]);
            fields.end(reader, PARENT);
            match kind {
                "Gateway" => {
                    parents.gateways.push(home.map_or(name.to_owned(), |home| format!("{home}/{name}")));
                }
                "Service" => {
                    parents.gateways.push(MESH.to_owned());
                    parents.services.push(resolve(name, home.unwrap_or(namespace)));
                }
                other => reader.warn(item.line, format!("a parent of the kind {other} is not acted on")),
            }
        }
    }
    if parents.gateways.is_empty() {
        parents.gateways.push(MESH.to_owned());
    }
    Ok(parents)
}

fn rule(reader: &mut Reader, node: &Node, name: &str, namespace: &str) -> Result<Rule, RulesError> {
    let mut fields = reader.fields("rule", node)?;
    let own = fields.take("name").map(|node| reader.text("name", node)).transpose()?;
    let name = own.map_or(name.to_owned(), |own| format!("{name} {own}"));
    let mut matches = Vec::new();
    if let Some(node) = fields.take("matches") {
        for item in reader.list("matches", node)? {
            matches.push(matching(reader, item)?);
        }
    }
    if matches.is_empty() {
        matches.push(Match::new(None, vec![Condition::Path(any_path())]));
    }
    let of_rule = match fields.take("filters") {
        Some(node) => filters(reader, node, namespace)?,
        None => Filters::default(),
    };
    let backends = match fields.take("backendRefs") {
        Some(node) => backends(reader, node, namespace)?,
        None => Vec::new(),
    };
    fields.pass_over(
        reader,
        &[
            ("timeouts", "it limits how long a client waits; --timeout says how long the replay does"),
            ("retry", "a request is sent to each destination once"),
            ("sessionPersistence", "which workload gets a request is not for a replay to say"),
        ],
    );
    fields.end(reader, RULE);
    let action = action(of_rule, backends);
    Ok(Rule { name: name.into(), origin: reader.origin(node.line), matches, abort: None, action })
}

fn action(filters: Filters, backends: Vec<Backend>) -> Action {
    if filters.redirects {
        return Action::Redirect;
    }
    let (idle, backends): (Vec<_>, Vec<_>) = backends.into_iter().partition(|backend| backend.weight == 0);
    // As Istio has it, who translates only what has weight.
    let is_only = backends.len() == 1;
    let rule =
        OfRule { operations: &filters.operations, authority: filters.authority.as_deref(), timeout: None };
    let primary = |backend: Backend| {
        let edits = Arc::new(rule.joined(&backend.filters.operations, is_only));
        Primary { to: backend.to, weight: backend.weight, edits, part: Part::Other(None) }
    };
    let primaries: Vec<_> = backends.into_iter().map(primary).collect();
    if primaries.is_empty() {
        // Without a backend that could answer, the gateway answers 500.
        return Action::Respond(500);
    }
    let (silent, mirrors): (Vec<_>, Vec<_>) =
        filters.mirrors.into_iter().partition(|mirror| mirror.share.numerator == 0);
    let idle = idle.into_iter().map(|backend| backend.to).chain(silent.into_iter().map(|mirror| mirror.to));
    Action::Forward(Forward { primaries, mirrors, idle: idle.collect(), path: filters.path })
}

fn any_path() -> PathMatch {
    PathMatch { kind: PathKind::Elements(String::new()), ignore_case: false }
}

const MATCH: &[&str] = &["path", "headers", "queryParams", "method"];

fn matching(reader: &mut Reader, node: &Node) -> Result<Match, RulesError> {
    let mut fields = reader.fields("match", node)?;
    let path = fields.take("path").map(|node| path(reader, node)).transpose()?;
    let mut conditions = vec![Condition::Path(path.unwrap_or_else(any_path))];
    if let Some(node) = fields.take("method") {
        conditions.push(Condition::Method(TextMatch::Exact(reader.text("method", node)?.to_owned())));
    }
    for (name, make, alike) in [
        (
            "headers",
            Condition::Header as fn(String, TextMatch) -> Condition,
            str::eq_ignore_ascii_case as fn(&str, &str) -> bool,
        ),
        ("queryParams", Condition::Query, str::eq),
    ] {
        let Some(node) = fields.take(name) else { continue };
        let mut seen: Vec<&str> = Vec::new();
        for item in reader.list(name, node)? {
            let (key, text) = named(reader, name, item)?;
            // Of several for one name, the first alone counts.
            if seen.iter().any(|other| alike(other, key)) {
                reader.warn(item.line, format!("`{key}` is named before, and only that counts"));
                continue;
            }
            seen.push(key);
            conditions.push(make(key.to_owned(), text));
        }
    }
    fields.end(reader, MATCH);
    Ok(Match::new(None, conditions))
}

fn path(reader: &mut Reader, node: &Node) -> Result<PathMatch, RulesError> {
    let mut fields = reader.fields("path", node)?;
    let kind = fields.take("type").map(|node| Ok((reader.text("type", node)?, node.line))).transpose()?;
    let value = fields.take("value").map(|node| Ok((reader.text("value", node)?, node.line))).transpose()?;
    fields.end(reader, &["type", "value"]);
    let (value, line) = value.unwrap_or(("/", node.line));
    let kind = match kind {
        None | Some(("PathPrefix", _)) => PathKind::Elements(value.trim_end_matches('/').to_owned()),
        Some(("Exact", _)) => PathKind::Exact(value.to_owned()),
        Some(("RegularExpression", _)) => PathKind::Regex(pattern(reader, line, value)?),
        Some((other, line)) => {
            return reader
                .fail(line, format!("`{other}` is no type of path: PathPrefix, Exact or RegularExpression"));
        }
    };
    Ok(PathMatch { kind, ignore_case: false })
}

/// A name, and how its value is compared.
fn named<'n>(reader: &mut Reader, what: &str, node: &'n Node) -> Result<(&'n str, TextMatch), RulesError> {
    let mut fields = reader.fields(what, node)?;
    let kind = fields.take("type").map(|node| Ok((reader.text("type", node)?, node.line))).transpose()?;
    let name = fields.need(reader, "name")?;
    let name = reader.text("name", name)?;
    let value_node = fields.need(reader, "value")?;
    let value = reader.text("value", value_node)?;
    fields.end(reader, &["type", "name", "value"]);
    let text = match kind {
        None | Some(("Exact", _)) => TextMatch::Exact(value.to_owned()),
        Some(("RegularExpression", _)) => TextMatch::Regex(pattern(reader, value_node.line, value)?),
        Some((other, line)) => {
            return reader.fail(line, format!("`{other}` is no type of match: Exact or RegularExpression"));
        }
    };
    Ok((name, text))
}

/// A backend, its weight, and the filters of its own.
struct Backend {
    to: Address,
    weight: u32,
    filters: Filters,
}

const BACKEND: &[&str] = &["group", "kind", "name", "namespace", "port", "weight", "filters"];

fn backends(reader: &mut Reader, node: &Node, namespace: &str) -> Result<Vec<Backend>, RulesError> {
    let mut all = Vec::new();
    for item in reader.list("backendRefs", node)? {
        let mut fields = reader.fields("backendRef", item)?;
        let to = backend_name(reader, &mut fields, namespace)?;
        let weight = fields.take("weight").map(|node| reader.whole("weight", node, 1_000_000)).transpose()?;
        let filters = match fields.take("filters") {
            Some(node) => filters(reader, node, namespace)?,
            None => Filters::default(),
        };
        // As in Istio, who takes header operations alone from a backend.
        for (is_there, what) in [
            (!filters.mirrors.is_empty(), "a mirror"),
            (filters.redirects, "a redirect"),
            (filters.path.is_some() || filters.authority.is_some(), "a rewrite"),
        ] {
            if is_there {
                reader.warn(
                    item.line,
                    format!("{what} of one backend is not acted on; put it among the filters of the rule"),
                );
            }
        }
        fields.end(reader, BACKEND);
        all.push(Backend { to, weight: weight.unwrap_or(1), filters });
    }
    Ok(all)
}
