//! Routes as the whole capture shows them.
//!
//! [`template`](super::template()) looks at one target and opens what can only be the name of one thing. Names that are
//! words (`/users/alice/profile`) show only beside others: where a place has many names, none of them frequent, and what
//! follows them is alike, the place is open. The user's own templates come first.

mod templates;
mod tree;

use std::borrow::Cow;

pub use templates::{RouteTemplate, RouteTemplates};
use tree::Forest;

use super::template;

/// Learns route templates from the targets of a capture, in bounded memory.
#[derive(Clone, Debug, Default)]
pub struct RouteLearner {
    written: RouteTemplates,
    forest: Forest,
}

impl RouteLearner {
    /// A learner under the user's templates.
    #[must_use]
    pub fn new(written: RouteTemplates) -> Self {
        Self { written, forest: Forest::default() }
    }

    /// Counts one request.
    pub fn observe(&mut self, method: &[u8], host: &[u8], target: &[u8]) {
        if self.written.find(method, host, target).is_none() {
            self.forest.count(&[method, b" ", host].concat(), &template(target));
        }
    }

    /// The route of a target before anything is learned of others.
    pub(super) fn before(&self, method: &[u8], host: &[u8], target: &[u8]) -> String {
        self.written.route(method, host, target).into_owned()
    }

    /// The routes of what was seen.
    #[must_use]
    pub fn learned(&self) -> Routes {
        Routes { written: self.written.clone(), forest: self.forest.opened() }
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
