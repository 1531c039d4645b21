//! Routes as the whole capture shows them.
//!
//! [`template`](super::template()) looks at one target and opens what can only be the name of one thing. Names that are
//! words (`/users/alice/profile`) show only beside others: where a place has many names, none of them frequent, and what
//! follows them is alike, the place is open. The user's own templates come first.

mod templates;
mod tree;

use std::borrow::Cow;

use hashbrown::{Equivalent, HashMap};

pub use templates::{RouteTemplate, RouteTemplates};
use tree::Forest;

use super::template;
use super::template::push_template;

/// Learns route templates from the targets of a capture, in bounded memory.
#[derive(Clone, Debug, Default)]
pub struct RouteLearner {
    written: RouteTemplates,
    forest: Forest,
    /// How often each template was met that the forest has not been told of yet, by what its tree is called.
    met: HashMap<(Vec<u8>, String), u64, foldhash::fast::RandomState>,
    /// What the tree of the request before is called, and its route before anything is learned; and how many requests behind
    /// it have had both, which `met` has not been told of.
    root: Vec<u8>,
    template: String,
    again: u64,
    /// Room for the route of the next one.
    next: String,
}

/// What the tree of a request is called, and its template, as they are looked for.
#[derive(Hash)]
struct Met<'m>(&'m [u8], &'m str);

impl Equivalent<(Vec<u8>, String)> for Met<'_> {
    fn equivalent(&self, (root, template): &(Vec<u8>, String)) -> bool {
        (self.0, self.1) == (root.as_slice(), template.as_str())
    }
}

/// Templates that are counted apart before the forest is told of them: many requests have few.
const MOST_MET: usize = 1024;

impl RouteLearner {
    /// A learner under the user's templates.
    #[must_use]
    pub fn new(written: RouteTemplates) -> Self {
        Self { written, ..Self::default() }
    }

    /// Counts one request.
    pub fn observe(&mut self, method: &[u8], host: &[u8], target: &[u8]) {
        self.next.clear();
        let written = self.written.find(method, host, target);
        match written {
            Some(written) => self.next.push_str(written),
            None => push_template(&mut self.next, target),
        }
        let is_written = written.is_some();
        if !is_written && self.next == self.template && is_root(&self.root, method, host) {
            self.again += 1;
            return;
        }
        self.count_again();
        std::mem::swap(&mut self.template, &mut self.next);
        self.root.clear();
        if is_written {
            return;
        }
        for part in [method, b" ", host] {
            self.root.extend_from_slice(part);
        }
        if let Some(times) = self.met.get_mut(&Met(&self.root, &self.template)) {
            *times += 1;
            return;
        }
        self.met.insert((self.root.clone(), self.template.clone()), 1);
        if self.met.len() >= MOST_MET {
            let met = std::mem::take(&mut self.met);
            tell(&mut self.forest, met.iter().collect());
        }
    }

    /// Counts the requests that were as the one before them.
    fn count_again(&mut self) {
        let again = std::mem::take(&mut self.again);
        if again > 0 {
            *self.met.entry((self.root.clone(), self.template.clone())).or_default() += again;
        }
    }

    /// The route of the request that was counted last, before anything is learned of others.
    pub(super) fn before(&self) -> &str {
        &self.template
    }

    /// The routes of what was seen.
    #[must_use]
    pub fn learned(&self) -> Routes {
        let mut all = self.clone();
        all.count_again();
        tell(&mut all.forest, all.met.iter().collect());
        Routes { written: all.written, forest: all.forest.opened() }
    }
}

/// Whether the tree of such a request is called so.
fn is_root(root: &[u8], method: &[u8], host: &[u8]) -> bool {
    let rest = root.strip_prefix(method).and_then(|rest| rest.strip_prefix(b" "));
    rest == Some(host)
}

/// Tells the forest of templates, in an order that every run has.
fn tell(forest: &mut Forest, mut met: Vec<(&(Vec<u8>, String), &u64)>) {
    met.sort_unstable();
    for ((root, template), times) in met {
        forest.count(root, template, *times);
    }
}

/// Learned routes.
#[derive(Clone, Debug, Default)]
pub struct Routes {
    written: RouteTemplates,
    forest: Forest,
}

impl Routes {
    /// The template of a target: the user's, else the learned one, else what [`template`] makes of it alone. Without the
    /// method.
    #[must_use]
    pub fn route(&self, method: &[u8], host: &[u8], target: &[u8]) -> Cow<'_, str> {
        if let Some(written) = self.written.find(method, host, target) {
            return Cow::Borrowed(written);
        }
        Cow::Owned(self.forest.open(&[method, b" ", host].concat(), &template(target)))
    }

    /// The route that a target has whose [`template`] is this, or which has this template of the user.
    pub(super) fn reopened(&self, method: &[u8], host: &[u8], before: &str) -> String {
        if self.written.has(before) {
            return before.to_owned();
        }
        self.forest.open(&[method, b" ", host].concat(), before)
    }

    /// Whether every target has the template that [`template`] makes of it alone.
    #[must_use]
    pub fn is_neutral(&self) -> bool {
        self.written.is_empty() && self.forest.is_closed()
    }
}

#[cfg(test)]
mod tests;
