//! Header operations of a rule and of its destinations, put together as Envoy does it.

use std::sync::Arc;
use std::time::Duration;

use super::edit::{Field, FieldEdits, FieldName, Replaced, RequestEdits};

/// Header operations, and the authority that they set.
#[derive(Clone, Debug, Default)]
pub(super) struct Operations {
    pub(super) removals: Vec<FieldName>,
    pub(super) sets: Vec<Field>,
    pub(super) additions: Vec<Field>,
    pub(super) authority: Option<String>,
}

impl Operations {
    /// Sets or adds a field. One without a value changes nothing: Envoy passes it over.
    pub(super) fn put(&mut self, is_set: bool, field: Field) {
        if field.value().is_empty() {
            return;
        }
        if is_set { self.sets.push(field) } else { self.additions.push(field) }
    }

    /// What lists of operations come to that Envoy has as one: all removals, then all that sets, then all
    /// that adds.
    fn as_one(lists: &[&Self]) -> FieldEdits {
        let mut sum = FieldEdits::default();
        lists.iter().flat_map(|list| &list.removals).for_each(|name| sum.remove(name.clone()));
        lists.iter().flat_map(|list| &list.sets).for_each(|field| sum.set(field.clone()));
        lists.iter().flat_map(|list| &list.additions).for_each(|field| sum.add(field.clone()));
        sum
    }
}

/// What a rule does to all requests that it forwards.
#[derive(Clone, Copy, Debug)]
pub(super) struct OfRule<'r> {
    pub(super) operations: &'r Operations,
    /// The authority of its `rewrite`.
    pub(super) authority: Option<&'r str>,
    pub(super) timeout: Option<Duration>,
}

impl OfRule<'_> {
    /// Its edits joined with those of a destination. Where that is the only one that the rule declares,
    /// both are one list of operations, the rule's first. Of several, the destination's own come before the
    /// rule's, which then find them done. The rule's authority goes before a destination's.
    pub(super) fn joined(&self, own: &Operations, is_only: bool) -> RequestEdits {
        let rule = self.operations;
        let fields = if is_only {
            Operations::as_one(&[rule, own])
        } else {
            Operations::as_one(&[own]).then(&Operations::as_one(&[rule]))
        };
        let of_rule = self.authority.or(rule.authority.as_deref());
        let of_own = own.authority.as_deref();
        let replaced = match (of_rule, of_own) {
            (Some(_), Some(own)) if !is_only => Replaced::Other(own.into()),
            (Some(_), _) => Replaced::Captured,
            (None, Some(_)) if is_only => Replaced::Captured,
            (None, _) => Replaced::Untold,
        };
        let authority: Option<Arc<str>> = of_rule.or(of_own).map(Into::into);
        RequestEdits { authority, replaced, fields, timeout: self.timeout }
    }
}
