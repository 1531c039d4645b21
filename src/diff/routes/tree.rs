//! Paths as trees of their segments, in which places with many names are opened.

use std::collections::{BTreeMap, BTreeSet};

/// Segments that are kept of all paths. Beyond it what can be opened is, and then new ones are left out.
const MAX_NODES: usize = 100_000;
/// Names of things below a plural (`/users/`), followed by the same words, that open a place.
const AMONG_PLURAL: usize = 16;
/// The same below any other word.
const AMONG_OTHER: usize = 40;
/// Names that open a place whatever follows: no service has so many words in one place.
const AMONG_ANY: usize = 100;
/// A name with more than this part of the requests is frequent, and stays.
const FREQUENT: u64 = 8;

/// One tree for each root.
#[derive(Clone, Debug, Default)]
pub(super) struct Forest {
    roots: BTreeMap<Vec<u8>, Node>,
    nodes: usize,
    /// How many nodes there have to be for an attempt to open places: none is made any more where one gained little.
    room: usize,
}

#[derive(Clone, Debug, Default)]
struct Node {
    count: u64,
    children: BTreeMap<String, Node>,
    /// The child that stands for all that have no name of their own.
    open: Option<String>,
}

impl Forest {
    /// Counts so many requests for a path.
    pub(super) fn count(&mut self, root: &[u8], path: &str, times: u64) {
        if self.nodes >= MAX_NODES && self.nodes >= self.room {
            self.make_room();
        }
        let has_room = self.nodes < MAX_NODES;
        if !has_room && !self.roots.contains_key(root) {
            return;
        }
        let mut node = self.roots.entry(root.to_vec()).or_insert_with(|| {
            self.nodes += 1;
            Node::default()
        });
        node.count += times;
        for segment in path.split('/') {
            let name = node.child(segment).unwrap_or(segment).to_owned();
            if !has_room && !node.children.contains_key(&name) {
                return;
            }
            let nodes = &mut self.nodes;
            node = node.children.entry(name).or_insert_with(|| {
                *nodes += 1;
                Node::default()
            });
            node.count += times;
        }
    }

    fn make_room(&mut self) {
        self.roots.values_mut().for_each(|root| root.open_up(""));
        self.nodes = self.roots.values().map(Node::size).sum();
        // Not again for each request, where little was gained.
        self.room = if self.nodes * 2 < MAX_NODES { 0 } else { usize::MAX };
    }

    pub(super) fn opened(&self) -> Self {
        let mut opened = self.clone();
        opened.roots.values_mut().for_each(|root| root.open_up(""));
        opened
    }

    /// The path with each segment that has no name of its own left open.
    pub(super) fn open(&self, root: &[u8], path: &str) -> String {
        let mut node = self.roots.get(root);
        let mut segments = Vec::new();
        for segment in path.split('/') {
            let name = node.and_then(|node| node.child(segment)).unwrap_or(segment);
            node = node.and_then(|node| node.children.get(name));
            segments.push(name);
        }
        segments.join("/")
    }

    #[cfg(test)]
    pub(super) fn size(&self) -> usize {
        self.roots.values().map(Node::size).sum()
    }

    pub(super) fn is_closed(&self) -> bool {
        self.roots.values().all(Node::is_closed)
    }
}

impl Node {
    /// The child that a segment leads to, by its name.
    fn child<'n>(&'n self, segment: &str) -> Option<&'n str> {
        let own = self.children.get_key_value(segment).map(|(name, _)| name.as_str());
        own.or(self.open.as_deref())
    }

    fn size(&self) -> usize {
        1 + self.children.values().map(Self::size).sum::<usize>()
    }

    fn is_closed(&self) -> bool {
        self.open.is_none() && self.children.values().all(Self::is_closed)
    }

    fn open_up(&mut self, name: &str) {
        let names = self.names_of_things(name);
        if !names.is_empty() {
            let open = self.open.clone().unwrap_or_else(|| format!("{{{}}}", singular(name)));
            let mut merged = self.children.remove(&open).unwrap_or_default();
            for name in names {
                merged.merge(self.children.remove(&name).unwrap_or_default());
            }
            self.children.insert(open.clone(), merged);
            self.open = Some(open);
        }
        self.children.iter_mut().for_each(|(name, child)| child.open_up(name));
    }

    fn merge(&mut self, other: Self) {
        self.count += other.count;
        self.open = self.open.take().or(other.open);
        for (name, child) in other.children {
            self.children.entry(name).or_default().merge(child);
        }
    }

    /// The children that are names of things; none where the place is one of words.
    fn names_of_things(&self, parent: &str) -> BTreeSet<String> {
        let words = || self.children.iter().filter(|(name, _)| !name.contains('{') && !name.is_empty());
        let total: u64 = words().map(|(_, child)| child.count).sum();
        let names: Vec<(&String, &Self)> =
            words().filter(|(_, child)| child.count * FREQUENT <= total).collect();
        let enough = if is_plural(parent) { AMONG_PLURAL } else { AMONG_OTHER };
        let things = names.len() >= AMONG_ANY
            || (names.len() >= enough && is_followed_alike(&names))
            || (names.len() >= AMONG_PLURAL && are_mostly(&names, is_slug));
        if things { names.into_iter().map(|(name, _)| name.clone()).collect() } else { BTreeSet::new() }
    }
}

/// Whether what follows the names are few words, each behind many of the names.
fn is_followed_alike(names: &[(&String, &Node)]) -> bool {
    let mut followers: BTreeMap<&str, usize> = BTreeMap::new();
    for name in names.iter().flat_map(|(_, child)| child.children.keys()) {
        *followers.entry(name).or_default() += 1;
    }
    let shared = |count: &usize| count * 5 >= names.len();
    let of_words =
        names.iter().filter(|(_, child)| child.children.keys().any(|name| !name.contains('{'))).count();
    of_words * 5 >= names.len() * 4 && followers.values().all(shared)
}

fn are_mostly(names: &[(&String, &Node)], is: impl Fn(&str) -> bool) -> bool {
    names.iter().filter(|(name, _)| is(name)).count() * 5 >= names.len() * 4
}

/// Words joined as titles are, or letters and digits mixed as in no word.
fn is_slug(name: &str) -> bool {
    let joints = name.bytes().filter(|b| b"-_".contains(b)).count();
    let digits = name.bytes().filter(u8::is_ascii_digit).count();
    joints >= 2 || (name.len() >= 6 && digits >= 2)
}

fn is_plural(word: &str) -> bool {
    word.len() > 3 && word.ends_with('s') && !word.ends_with("ss")
}

/// What one of them is called.
fn singular(word: &str) -> String {
    let is_word = !word.is_empty() && word.bytes().all(|b| b.is_ascii_alphanumeric() || b"-_".contains(&b));
    match word {
        _ if !is_word || !is_plural(word) => "name".to_owned(),
        _ if word.ends_with("ies") => format!("{}y", &word[..word.len() - 3]),
        _ => word[..word.len() - 1].to_owned(),
    }
}
