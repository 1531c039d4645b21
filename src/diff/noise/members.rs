//! The places in JSON answers whose member names are data, route by route, as v1's recorded answers show them.
//!
//! Which places are opened follows from recorded answers alone, so that no test is about what it was chosen by.

use foldhash::fast::RandomState;
use hashbrown::{Equivalent, HashMap};

use super::super::body;
use super::super::json::Outline;
use super::super::routes::Routes;
use super::{Layer, Seen};

/// Answers that are looked into on one route.
const MAX_ON_ROUTE: u64 = 32;
/// The same in all.
const MAX_DOCUMENTS: u64 = 2000;
/// Bytes of an answer that is looked into.
const MAX_BYTES: usize = 256 << 10;
/// Places of all outlines together.
const MAX_STEPS: usize = 50_000;

/// Whose answers: method, Host and route.
pub(super) type Root<'r> = (&'r [u8], &'r [u8], &'r str);

/// A [`Root`] that is looked for.
#[derive(Hash)]
struct Named<'r>(Root<'r>);

impl Equivalent<(Vec<u8>, Vec<u8>, String)> for Named<'_> {
    fn equivalent(&self, (method, host, route): &(Vec<u8>, Vec<u8>, String)) -> bool {
        self.0 == (method.as_slice(), host.as_slice(), route.as_str())
    }
}

/// The outlines of v1's answers.
#[derive(Clone, Debug)]
pub(super) struct Members {
    roots: HashMap<(Vec<u8>, Vec<u8>, String), Known, RandomState>,
    documents: u64,
    room: usize,
}

#[derive(Clone, Debug, Default)]
struct Known {
    outline: Outline,
    /// Answers that were looked at, whether they were JSON or not.
    looked: u64,
    /// Whether it has a place whose names are data.
    open: bool,
}

impl Default for Members {
    fn default() -> Self {
        Self { roots: HashMap::default(), documents: 0, room: MAX_STEPS }
    }
}

impl Members {
    /// Looks into v1's answer, where it differs in JSON, and enough of the route is not known yet.
    pub(super) fn observe(&mut self, root: Root<'_>, seen: &Seen<'_>) {
        let in_json = seen.differences.iter().any(|d| d.layer == Layer::Body && d.path.starts_with("$["));
        if !in_json || self.documents >= MAX_DOCUMENTS {
            return;
        }
        if !self.roots.contains_key(&Named(root)) {
            let (method, host, route) = root;
            self.roots.insert((method.to_vec(), host.to_vec(), route.to_owned()), Known::default());
        }
        let Some(known) = self.roots.get_mut(&Named(root)) else { return };
        if known.looked >= MAX_ON_ROUTE {
            return;
        }
        known.looked += 1;
        self.documents += 1;
        let (outline, number, room) = (&mut known.outline, self.documents, &mut self.room);
        if body::with_json(seen.v1, MAX_BYTES, |document| outline.add(document, number, room)).is_some() {
            known.open = outline.open_up();
        }
    }

    /// The outline of a route's answers, where some place of it is open.
    pub(super) fn of(&self, root: Root<'_>) -> Option<&Outline> {
        self.roots.get(&Named(root)).filter(|known| known.open).map(|known| &known.outline)
    }

    /// The same by the routes that were learned.
    pub(super) fn reopened(&self, routes: &Routes) -> Self {
        let mut roots: HashMap<_, Known, RandomState> = HashMap::default();
        for ((method, host, before), known) in &self.roots {
            let route = routes.reopened(method, host, before);
            let merged = roots.entry((method.clone(), host.clone(), route)).or_default();
            merged.outline.merge(known.outline.clone());
        }
        for known in roots.values_mut() {
            known.open = known.outline.open_up();
        }
        Self { roots, ..*self }
    }

    /// Whether no place is open.
    pub(super) fn is_closed(&self) -> bool {
        self.roots.values().all(|known| !known.open)
    }
}
