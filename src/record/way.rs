//! Where a row went and why, as its line says it: mostly that is what the line before it says.

use std::sync::Arc;

use super::{Row, put};
use crate::route::Role;

/// The way of the row that was written last.
pub(super) struct Way {
    role: Role,
    destination: Arc<str>,
    route: Arc<str>,
    matched: Arc<str>,
    reason: Arc<str>,
    /// Nothing where there is none yet.
    written: Vec<u8>,
}

impl Default for Way {
    fn default() -> Self {
        let none: Arc<str> = Arc::default();
        let [destination, route, matched, reason] = [none.clone(), none.clone(), none.clone(), none];
        Self { role: Role::Shadow, destination, route, matched, reason, written: Vec::new() }
    }
}

impl Way {
    /// Puts the members of a line that say it.
    pub(super) fn put(&mut self, out: &mut Vec<u8>, row: &Row) {
        if !self.is_that_of(row) {
            self.learn(row);
        }
        out.extend_from_slice(&self.written);
    }

    fn is_that_of(&self, row: &Row) -> bool {
        // Rows share their texts, and to see that takes no look at them.
        let is_same = |one: &Arc<str>, other: &Arc<str>| Arc::ptr_eq(one, other) || one == other;
        !self.written.is_empty()
            && self.role == row.role
            && is_same(&self.destination, &row.destination)
            && is_same(&self.route, &row.route)
            && is_same(&self.matched, &row.matched)
            && is_same(&self.reason, &row.reason)
    }

    fn learn(&mut self, row: &Row) {
        let Row { role, destination, route, matched, reason, .. } = row;
        self.role = *role;
        self.destination.clone_from(destination);
        self.route.clone_from(route);
        self.matched.clone_from(matched);
        self.reason.clone_from(reason);
        let out = &mut self.written;
        out.clear();
        out.extend_from_slice(b",\"role\":");
        put::string(out, role.name());
        let members =
            [("destination", destination), ("route", route), ("matched", matched), ("reason", reason)];
        for (name, text) in members {
            out.extend_from_slice(b",\"");
            out.extend_from_slice(name.as_bytes());
            out.extend_from_slice(b"\":");
            put::string(out, text);
        }
    }
}
