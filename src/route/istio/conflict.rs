//! When a match of a delegate does not go with one of the rule that delegates to it.
//!
//! Istio wants the delegate's to be narrower than the other's and judges that by their texts: it cannot
//! tell of a pattern what it takes, so a field that both match must have a pattern on neither side.
//! A pair that does not go together is left out.

use std::fmt;

use super::delegate::camel_case;
use crate::route::yaml::{Node, Value};

/// What two matches disagree about.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Conflict {
    /// The field, such as `uri` or `headers x-user`.
    field: String,
    why: &'static str,
}

impl fmt::Display for Conflict {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "`{}`: {}", self.field, self.why)
    }
}

/// Why a match of the delegate (`leaf`) does not go with one of the root; `None` where it does. Both have
/// been read as matches.
pub(super) fn conflict(root: &Node, leaf: &Node) -> Option<Conflict> {
    let texts = ["uri", "scheme", "method", "authority"].into_iter().find_map(|name| {
        let why = disagreement(text(get(root, name)), text(get(leaf, name)))?;
        Some(Conflict { field: name.to_owned(), why })
    });
    let maps = || {
        ["headers", "withoutHeaders", "queryParams"].into_iter().find_map(|name| in_maps(root, leaf, name))
    };
    texts.or_else(maps).or_else(|| source(root, leaf))
}

/// A field of a mapping, by its name in camel case; `None` where it is null, too.
fn get<'n>(node: &'n Node, name: &str) -> Option<&'n Node> {
    let Value::Map(entries) = &node.value else { return None };
    let found = entries.iter().find(|(key, _)| camel_case(&key.name) == name).map(|(_, node)| node);
    found.filter(|node| !node.is_null())
}

/// How a `StringMatch` compares, and with what; `None` where it asks for nothing.
fn text(node: Option<&Node>) -> Option<(&'static str, &str)> {
    ["exact", "prefix", "regex"].into_iter().find_map(|kind| match &get(node?, kind)?.value {
        Value::Text(text) if !text.is_empty() => Some((kind, text.as_str())),
        _ => None,
    })
}

fn disagreement(root: Option<(&str, &str)>, leaf: Option<(&str, &str)>) -> Option<&'static str> {
    match (root?, leaf?) {
        (("regex", _), _) | (_, ("regex", _)) => Some("both match it, and one of them by a pattern"),
        (("exact", _), ("prefix", _)) => {
            Some("a prefix is not narrower than the exact value that the root wants")
        }
        (("exact", wanted), (_, text)) => (wanted != text).then_some("both want another exact value"),
        ((_, prefix), (_, text)) => (!text.starts_with(prefix))
            .then_some("the delegate's value does not begin with the root's prefix"),
    }
}

fn in_maps(root: &Node, leaf: &Node, name: &str) -> Option<Conflict> {
    let (root, leaf) = (get(root, name)?, get(leaf, name)?);
    let (Value::Map(root), Value::Map(leaf)) = (&root.value, &leaf.value) else { return None };
    leaf.iter().find_map(|(key, own)| {
        let (_, other) = root.iter().find(|(other, _)| other.name == key.name)?;
        let why = disagreement(text(Some(other)), text(Some(own)))?;
        Some(Conflict { field: format!("{name} {}", key.name), why })
    })
}

/// What is not compared as texts are.
fn source(root: &Node, leaf: &Node) -> Option<Conflict> {
    let found = |field: &str, why| Some(Conflict { field: field.to_owned(), why });
    let is_set = |node, name| matches!(get(node, name).map(|node| &node.value), Some(Value::Bool(true)));
    if is_set(root, "ignoreUriCase") != is_set(leaf, "ignoreUriCase") {
        return found("ignoreUriCase", "one has it and the other does not");
    }
    let port = |node| match get(node, "port").map(|node| &node.value) {
        Some(Value::Int(port)) if *port > 0 => Some(*port),
        _ => None,
    };
    if port(root).zip(port(leaf)).is_some_and(|(root, leaf)| root != leaf) {
        return found("port", "both want another one");
    }
    let namespace = |node| match get(node, "sourceNamespace").map(|node| &node.value) {
        Some(Value::Text(name)) if !name.is_empty() => Some(name.as_str()),
        _ => None,
    };
    if namespace(root).is_some() && namespace(root) != namespace(leaf) {
        return found("sourceNamespace", "the delegate does not want the one that the root wants");
    }
    let labels = |node| match get(node, "sourceLabels").map(|node| &node.value) {
        Some(Value::Map(entries)) => &entries[..],
        _ => &[],
    };
    let label = |node: &Node| match &node.value {
        Value::Text(text) => text.clone(),
        _ => String::new(),
    };
    let differs = labels(leaf).iter().any(|(key, own)| {
        labels(root).iter().any(|(other, value)| other.name == key.name && label(value) != label(own))
    });
    if differs {
        return found("sourceLabels", "both want another value of a label");
    }
    let gateways = |node| match get(node, "gateways").map(|node| &node.value) {
        Some(Value::List(items)) => items.iter().map(label).collect(),
        _ => Vec::new(),
    };
    let (wide, narrow) = (gateways(root), gateways(leaf));
    if !wide.is_empty() && (narrow.len() > wide.len() || narrow.iter().any(|name| !wide.contains(name))) {
        return found("gateways", "the delegate names one that the root does not");
    }
    None
}
