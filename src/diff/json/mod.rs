//! JSON bodies by structure.
//!
//! Members are matched by name, whatever their order; what is there on one side only masks all
//! below it. Elements of arrays are matched by [`mod@array`]. Each leaf that differs is one difference.

mod array;
mod number;
mod outline;
mod path;
mod value;

use super::findings::Findings;
use super::{Class, Kind, Layer};
pub(super) use number::{decimal, is_number_text};
pub(super) use outline::Outline;
pub(super) use value::NotJson;

use number::same_decimal;
use path::{Path, Step};
use value::{Member, Node, Value};

/// Prefixes that servers put before JSON so that it cannot be run as a script.
const PREFIXES: [&[u8]; 4] = [b")]}',", b")]}'", b"while(1);", b"for(;;);"];

/// A document that can be compared with another.
pub(super) struct Document<'b>(Node<'b>);

/// How documents lie in a body.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Form {
    /// One document.
    Single,
    /// One document on each line.
    Lines,
}

#[cfg(test)]
thread_local! {
    /// How many bodies this thread has read as JSON.
    pub(super) static PARSED: std::cell::Cell<u32> = const { std::cell::Cell::new(0) };
}

/// Reads a body as JSON.
pub(super) fn parse(body: &[u8], form: Form) -> Result<Document<'_>, NotJson> {
    #[cfg(test)]
    PARSED.set(PARSED.get() + 1);
    match form {
        Form::Single => value::parse(body),
        Form::Lines => value::parse_lines(body),
    }
    .map(Document)
}

/// Whether bytes are one document.
pub(super) fn is_document(bytes: &[u8]) -> bool {
    value::parse(bytes).is_ok()
}

/// Two bodies without what a script wraps JSON in, where both are wrapped alike: a prefix against being run,
/// or the call of one function.
pub(super) fn unwrapped<'b>(v1: &'b [u8], v2: &'b [u8]) -> (&'b [u8], &'b [u8]) {
    let prefix =
        PREFIXES.iter().find_map(|prefix| Some((v1.strip_prefix(*prefix)?, v2.strip_prefix(*prefix)?)));
    let call = || {
        let ((f, a), (g, b)) = (argument(v1)?, argument(v2)?);
        (f == g).then_some((a, b))
    };
    prefix.or_else(call).unwrap_or((v1, v2))
}

/// The name and the argument of a call that a text consists of, a comment before it allowed.
fn argument(text: &[u8]) -> Option<(&[u8], &[u8])> {
    let text = text.trim_ascii();
    let text = text.strip_prefix(b"/**/").unwrap_or(text).trim_ascii_start();
    let name =
        text.iter().take_while(|b| b.is_ascii_alphanumeric() || matches!(b, b'_' | b'$' | b'.')).count();
    let inner = text.get(name..)?.strip_prefix(b"(")?;
    let inner = inner.strip_suffix(b";").unwrap_or(inner).trim_ascii_end().strip_suffix(b")")?;
    (name > 0).then_some((&text[..name], inner))
}

/// Finds the differences of two documents.
pub(super) fn compare(v1: &Document<'_>, v2: &Document<'_>, findings: &mut Findings<'_>) {
    Comparison { findings }.nodes(&v1.0, &v2.0, &mut Path::default());
}

struct Comparison<'f, 'c> {
    findings: &'f mut Findings<'c>,
}

impl Comparison<'_, '_> {
    fn nodes<'n>(&mut self, v1: &'n Node<'_>, v2: &'n Node<'_>, path: &mut Path<'n>) {
        let kind = match (&v1.value, &v2.value) {
            (Value::Object(a), Value::Object(b)) => return self.members(a, b, path),
            (Value::Array(a), Value::Array(b)) => return self.elements((v1, a), (v2, b), path),
            // No text is that of two types.
            _ if v1.source == v2.source => return,
            (Value::String, Value::String) if v1.string() == v2.string() => return,
            (Value::Number, Value::Number) if same_decimal(v1.source, v2.source) => Kind::NumberFormat,
            (Value::Bool, Value::Bool) | (Value::Number, Value::Number) | (Value::String, Value::String) => {
                Kind::ValueChanged
            }
            (Value::String, Value::Number) if is_number(v1, v2) => Kind::StringNumber,
            (Value::Number, Value::String) if is_number(v2, v1) => Kind::StringNumber,
            _ => Kind::TypeChanged,
        };
        self.report(kind, path, Some(v1), Some(v2));
    }

    fn members<'n>(&mut self, v1: &'n [Member<'_>], v2: &'n [Member<'_>], path: &mut Path<'n>) {
        let in_step = v1.len() == v2.len() && v1.iter().zip(v2).all(|(a, b)| a.name == b.name);
        if in_step {
            for (a, b) in v1.iter().zip(v2) {
                path.within(Step::Name(&a.name), |path| self.nodes(&a.node, &b.node, path));
            }
            return;
        }
        let (v1, v2) = (by_name(v1), by_name(v2));
        let (mut rest1, mut rest2) = (v1.as_slice(), v2.as_slice());
        while let Some(name) = least_name(rest1, rest2) {
            let (ours, theirs) = (take_name(&mut rest1, name), take_name(&mut rest2, name));
            path.within(Step::Name(name), |path| self.same_name(ours, theirs, path));
        }
    }

    /// The values that members of one name have; almost always one on each side.
    fn same_name<'n>(&mut self, v1: &[&'n Member<'_>], v2: &[&'n Member<'_>], path: &mut Path<'n>) {
        match (v1, v2) {
            (ours, theirs) if ours.len() == theirs.len() => {
                for (a, b) in ours.iter().zip(theirs) {
                    self.nodes(&a.node, &b.node, path);
                }
            }
            ([ours], []) => self.one_sided(Kind::Missing, path, Some(&ours.node), None),
            ([], [theirs]) => self.one_sided(Kind::Added, path, None, Some(&theirs.node)),
            (ours, theirs) => {
                let (ours, theirs) = (ours.last().map(|m| &m.node), theirs.last().map(|m| &m.node));
                self.report(Kind::DuplicateKey, path, ours, theirs);
            }
        }
    }

    fn one_sided(&mut self, kind: Kind, path: &Path<'_>, v1: Option<&Node<'_>>, v2: Option<&Node<'_>>) {
        let is_null = v1.or(v2).is_some_and(|node| matches!(node.value, Value::Null));
        self.report(if is_null { Kind::NullMissing } else { kind }, path, v1, v2);
    }

    fn report(&mut self, kind: Kind, path: &Path<'_>, v1: Option<&Node<'_>>, v2: Option<&Node<'_>>) {
        let class = self.class(path, v1, v2);
        let values = (v1.map(|node| node.source), v2.map(|node| node.source));
        self.findings.push((Layer::Body, kind, class), || path.text(), values);
    }

    fn class(&self, path: &Path<'_>, v1: Option<&Node<'_>>, v2: Option<&Node<'_>>) -> Class {
        let echo = &self.findings.echo;
        let ours = v1.and_then(Node::string);
        let theirs = v2.and_then(|node| node.string().or_else(|| only_string(node)));
        let host =
            matches!((&ours, &theirs), (Some(a), Some(b)) if echo.explains(a, b) || echo.is_forwarded_for(b));
        let header = v2.is_none() == theirs.is_none()
            && path.name().is_some_and(|name| echo.is_edited_header(name, theirs.as_deref()));
        if host || header { Class::Shadow } else { Class::Unverified }
    }
}

/// The one string of an array: how some services show a header's values.
fn only_string<'b>(node: &Node<'b>) -> Option<std::borrow::Cow<'b, [u8]>> {
    match &node.value {
        Value::Array(elements) => match elements.as_slice() {
            [only] => only.string(),
            _ => None,
        },
        _ => None,
    }
}

/// Whether a string's content is the number.
fn is_number(string: &Node<'_>, number: &Node<'_>) -> bool {
    string.string().is_some_and(|text| same_decimal(&text, number.source))
}

/// The members in the order of their names, those of one name in their own order.
fn by_name<'n, 'b>(members: &'n [Member<'b>]) -> Vec<&'n Member<'b>> {
    let mut members: Vec<_> = members.iter().collect();
    members.sort_by(|a, b| a.name.cmp(&b.name));
    members
}

/// The name that comes first on either side.
fn least_name<'n>(v1: &[&'n Member<'_>], v2: &[&'n Member<'_>]) -> Option<&'n [u8]> {
    let name = |members: &[&'n Member<'_>]| members.first().map(|member| &*member.name);
    match (name(v1), name(v2)) {
        (Some(a), Some(b)) => Some(a.min(b)),
        (a, b) => a.or(b),
    }
}

/// Takes the members of that name off the front.
fn take_name<'s, 'n, 'b>(rest: &mut &'s [&'n Member<'b>], name: &[u8]) -> &'s [&'n Member<'b>] {
    let n = rest.iter().take_while(|member| *member.name == *name).count();
    let (taken, left) = rest.split_at(n);
    *rest = left;
    taken
}
