//! Virtual services put together with those that they delegate to.
//!
//! A rule that delegates stands for the rules of another virtual service: both matches have to hold, and
//! what the other's rules leave open, they have from the rule that delegates.

use std::collections::{BTreeSet, HashMap};

use super::conflict::{Conflict, conflict};
use super::http_rule::{Place, delegate, matches, rule};
use super::virtual_service::VirtualService;
use crate::route::condition::Match;
use crate::route::note::{Origin, RulesError};
use crate::route::rule::{Order, Rule, RuleSet};
use crate::route::yaml::{Fields, Key, Line, MOST_NODES, Node, Reader, Value};

/// What a rule has from the one that delegates to it.
const INHERITED: &[&str] = &[
    "rewrite",
    "directResponse",
    "timeout",
    "retries",
    "fault",
    "mirror",
    "mirrorPercent",
    "mirrorPercentage",
    "mirrors",
    "corsPolicy",
    "headers",
];
/// Values of YAML that delegation repeats, as if all were written out: as many as a file may hold.
const MOST_REPEATED: usize = MOST_NODES;

/// The rules of all virtual services that are for hosts.
pub(in crate::route) fn rule_sets(
    reader: &mut Reader,
    all: &[VirtualService],
    home: &str,
) -> Result<Vec<RuleSet>, RulesError> {
    let mut merging = Merging { all, home, by_name: HashMap::new(), used: BTreeSet::new(), repeated: 0 };
    for (number, service) in all.iter().enumerate() {
        merging.by_name.entry((&service.namespace, &service.name)).or_insert(number);
    }
    let mut sets = Vec::new();
    for service in all.iter().filter(|service| !service.hosts.is_empty()) {
        sets.push(RuleSet {
            name: service.title().into(),
            origin: reader.origin(service.line),
            hosts: service.hosts.clone(),
            gateways: service.gateways.clone(),
            order: Order::Declared,
            rules: merging.rules(reader, service)?,
        });
    }
    let used = merging.used;
    for (number, service) in all.iter().enumerate() {
        if service.hosts.is_empty() && !used.contains(&number) {
            let text = format!("{} has no hosts, and no rule delegates to it", service.title());
            reader.warn(service.line, text);
        }
    }
    Ok(sets)
}

/// The virtual services while they are put together.
struct Merging<'s> {
    all: &'s [VirtualService],
    home: &'s str,
    by_name: HashMap<(&'s str, &'s str), usize>,
    /// Those that were delegated to.
    used: BTreeSet<usize>,
    /// Values that delegation has repeated.
    repeated: usize,
}

/// A rule that delegates.
struct Root<'n> {
    node: &'n Node,
    origin: Origin,
    matches: Vec<Match>,
    /// As they are written; empty where the rule has none.
    written: &'n [Node],
    size: usize,
}

impl Merging<'_> {
    fn rules(&mut self, reader: &mut Reader, service: &VirtualService) -> Result<Vec<Rule>, RulesError> {
        let prefix = service.prefix(self.home);
        let mut rules = Vec::new();
        for (number, node) in service.http.iter().enumerate() {
            let mut fields = reader.fields("http", node)?;
            let written = written_matches(&fields);
            let matches = matches(reader, &mut fields)?;
            let Some((name, namespace, line)) = delegate(reader, &mut fields)? else {
                let place = Place { prefix: &prefix, number, namespace: &service.namespace };
                rules.push(rule(reader, node, &place, matches)?);
                continue;
            };
            let namespace = namespace.as_deref().unwrap_or(&service.namespace);
            let Some(&other) = self.by_name.get(&(namespace, &*name)) else {
                let text = format!(
                    "no file has the VirtualService {namespace}/{name}, so requests that come here find no rule"
                );
                reader.warn(line, text);
                continue;
            };
            self.used.insert(other);
            let other = &self.all[other];
            let prefix = format!("{prefix} http[{number}] > {}", other.prefix(self.home));
            let root = Root { node, origin: reader.origin(node.line), matches, written, size: node.size() };
            self.delegated(reader, other, &root, &prefix, &mut rules)?;
        }
        Ok(rules)
    }

    /// The rules of a virtual service that is delegated to.
    fn delegated(
        &mut self,
        reader: &mut Reader,
        service: &VirtualService,
        root: &Root<'_>,
        prefix: &str,
        rules: &mut Vec<Rule>,
    ) -> Result<(), RulesError> {
        if !service.hosts.is_empty() {
            return reader.fail(
                service.line,
                format!("{} is delegated to, and so has no `hosts` of its own", service.title()),
            );
        }
        for (number, node) in service.http.iter().enumerate() {
            let mut fields = reader.fields("http", node)?;
            let written = written_matches(&fields);
            self.repeat(reader, node, root, written.len().max(1))?;
            let inner = matches(reader, &mut fields)?;
            if delegate(reader, &mut fields)?.is_some() {
                return reader.fail(node.line, "a rule that is delegated to cannot delegate further");
            }
            let place = Place { prefix, number, namespace: &service.namespace };
            match joint(root, &inner, written) {
                Ok(both) => rules.push(rule(reader, &inherit(node, root.node), &place, both)?),
                Err((line, conflict)) => {
                    let text = format!(
                        "{} http[{number}] is left out where {} delegates to it, as Istio does: its match does not go with that one's {conflict}",
                        service.name, root.origin
                    );
                    reader.warn(line, text);
                }
            }
        }
        Ok(())
    }

    /// Counts what a rule and its root come to together, before it is done.
    fn repeat(
        &mut self,
        reader: &Reader,
        node: &Node,
        root: &Root<'_>,
        inner: usize,
    ) -> Result<(), RulesError> {
        let own = node.size().saturating_mul(root.matches.len());
        self.repeated = self.repeated.saturating_add(own).saturating_add(root.size.saturating_mul(inner));
        if self.repeated > MOST_REPEATED {
            return reader.fail(
                node.line,
                format!(
                    "written out, the rules that are delegated to come to more than {MOST_REPEATED} values up to here ({} delegates to this one), which is more than any rules need",
                    root.origin
                ),
            );
        }
        Ok(())
    }
}

/// The entries of a rule's `match`, as they are written.
fn written_matches<'n>(fields: &Fields<'n>) -> &'n [Node] {
    match fields.peek("match").map(|node| &node.value) {
        Some(Value::List(items)) => items,
        _ => &[],
    }
}

/// The matches of both, each with each. Pairs that do not go together are left out, and where one of the
/// delegate's goes with none of the root's, the rule is.
fn joint(root: &Root<'_>, inner: &[Match], written: &[Node]) -> Result<Vec<Match>, (Line, Conflict)> {
    let mut both = Vec::new();
    for (place, inner) in inner.iter().enumerate() {
        let mut reason = None;
        let before = both.len();
        for (number, outer) in root.matches.iter().enumerate() {
            let pair = root.written.get(number).zip(written.get(place));
            match pair.and_then(|(outer, inner)| Some((inner.line, conflict(outer, inner)?))) {
                Some(conflict) => reason = reason.or(Some(conflict)),
                None => both.push(outer.and(inner)),
            }
        }
        if let (Some(conflict), true) = (reason, both.len() == before) {
            return Err(conflict);
        }
    }
    Ok(both)
}

/// A rule with what it leaves open taken from another.
fn inherit(node: &Node, root: &Node) -> Node {
    let (Value::Map(own), Value::Map(others)) = (&node.value, &root.value) else { return node.clone() };
    let camel = |key: &Key| camel_case(&key.name);
    let has = |name: &str| own.iter().any(|(key, _)| camel(key) == name);
    // An action of its own does not become another's.
    let acts = ["route", "redirect", "directResponse"].iter().any(|name| has(name));
    let inherited = others.iter().filter(|(key, _)| {
        let name = camel(key);
        let blocked = (name == "directResponse" && acts)
            || (name.starts_with("mirror") && ["mirror", "mirrors"].iter().any(|own| has(own)));
        INHERITED.contains(&name.as_str()) && !has(&name) && !blocked
    });
    let entries = own.iter().chain(inherited).cloned().collect();
    Node { line: node.line, value: Value::Map(entries) }
}

/// `mirror_percent` as `mirrorPercent`.
pub(super) fn camel_case(name: &str) -> String {
    let mut words = name.split('_');
    let first = words.next().unwrap_or_default().to_owned();
    words.fold(first, |all, word| {
        let mut chars = word.chars();
        let head = chars.next().map(|c| c.to_ascii_uppercase());
        all + &head.into_iter().chain(chars).collect::<String>()
    })
}
