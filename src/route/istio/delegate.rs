//! Virtual services put together with those that they delegate to.
//!
//! A rule that delegates stands for the rules of another virtual service: both matches have to hold, and
//! what the other's rules leave open, they have from the rule that delegates.

use std::collections::BTreeSet;

use super::http_rule::{Place, delegate, matches, rule};
use super::virtual_service::VirtualService;
use crate::route::condition::Match;
use crate::route::note::RulesError;
use crate::route::rule::{Order, Rule, RuleSet};
use crate::route::yaml::{Key, Node, Reader, Value};

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
/// Matches of one rule; delegation multiplies them.
const MOST_MATCHES: usize = 10_000;

/// The rules of all virtual services that are for hosts.
pub(in crate::route) fn rule_sets(
    readers: &mut [Reader],
    all: &[VirtualService],
    home: &str,
) -> Result<Vec<RuleSet>, RulesError> {
    let mut used = BTreeSet::new();
    let mut sets = Vec::new();
    for service in all.iter().filter(|service| !service.hosts.is_empty()) {
        sets.push(RuleSet {
            name: service.title().into(),
            origin: readers[service.file].origin(service.line),
            hosts: service.hosts.clone(),
            gateways: service.gateways.clone(),
            order: Order::Declared,
            rules: rules(readers, all, service, home, &mut used)?,
        });
    }
    for (number, service) in all.iter().enumerate() {
        if service.hosts.is_empty() && !used.contains(&number) {
            let text = format!("{} has no hosts, and no rule delegates to it", service.title());
            readers[service.file].warn(service.line, text);
        }
    }
    Ok(sets)
}

fn rules(
    readers: &mut [Reader],
    all: &[VirtualService],
    service: &VirtualService,
    home: &str,
    used: &mut BTreeSet<usize>,
) -> Result<Vec<Rule>, RulesError> {
    let prefix = service.prefix(home);
    let mut rules = Vec::new();
    for (number, node) in service.http.iter().enumerate() {
        let reader = &mut readers[service.file];
        let mut fields = reader.fields("http", node)?;
        let matches = matches(reader, &mut fields)?;
        let Some((name, namespace, line)) = delegate(reader, &mut fields)? else {
            let place = Place { prefix: &prefix, number, namespace: &service.namespace };
            rules.push(rule(reader, node, &place, matches)?);
            continue;
        };
        let namespace = namespace.as_deref().unwrap_or(&service.namespace);
        let is_named = |other: &VirtualService| other.name == name && other.namespace == namespace;
        let Some(other) = all.iter().position(is_named) else {
            let text = format!(
                "no file has the VirtualService {namespace}/{name}, so requests that come here find no rule"
            );
            reader.warn(line, text);
            continue;
        };
        used.insert(other);
        let prefix = format!("{prefix} http[{number}] > {}", all[other].prefix(home));
        delegated(readers, &all[other], node, &prefix, &matches, &mut rules)?;
    }
    Ok(rules)
}

/// The rules of a virtual service that is delegated to.
fn delegated(
    readers: &mut [Reader],
    service: &VirtualService,
    root: &Node,
    prefix: &str,
    outer: &[Match],
    rules: &mut Vec<Rule>,
) -> Result<(), RulesError> {
    let reader = &mut readers[service.file];
    if !service.hosts.is_empty() {
        return reader.fail(
            service.line,
            format!("{} is delegated to, and so has no `hosts` of its own", service.title()),
        );
    }
    for (number, node) in service.http.iter().enumerate() {
        let mut fields = reader.fields("http", node)?;
        let inner = matches(reader, &mut fields)?;
        if delegate(reader, &mut fields)?.is_some() {
            return reader.fail(node.line, "a rule that is delegated to cannot delegate further");
        }
        if outer.len() * inner.len() > MOST_MATCHES {
            return reader.fail(
                node.line,
                format!("with those that delegate to it, this rule has more than {MOST_MATCHES} matches"),
            );
        }
        let both = outer.iter().flat_map(|outer| inner.iter().map(|inner| outer.and(inner))).collect();
        let place = Place { prefix, number, namespace: &service.namespace };
        rules.push(rule(reader, &inherit(node, root), &place, both)?);
    }
    Ok(())
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
fn camel_case(name: &str) -> String {
    let mut words = name.split('_');
    let first = words.next().unwrap_or_default().to_owned();
    words.fold(first, |all, word| {
        let mut chars = word.chars();
        let head = chars.next().map(|c| c.to_ascii_uppercase());
        all + &head.into_iter().chain(chars).collect::<String>()
    })
}
