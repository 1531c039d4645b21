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

/// Names made by machines that open a place for all that are like them.
const AMONG_MADE: usize = 2;

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
        if things {
            return names.into_iter().map(|(name, _)| name.clone()).collect();
        }
        ids(&words().map(|(name, _)| name.as_str()).collect::<Vec<_>>())
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

/// The names that are ids by their form, however often each was asked for: two of them, or one that can be nothing else. With
/// them those of the same length that may be.
fn ids(names: &[&str]) -> BTreeSet<String> {
    let made: Vec<&str> = names.iter().copied().filter(|name| is_made(name)).collect();
    if made.len() < AMONG_MADE && !made.iter().any(|name| is_surely_made(name)) {
        return BTreeSet::new();
    }
    let is_like = |name: &str| made.iter().any(|id| id.len() == name.len()) && may_be_made(name);
    let ids = names.iter().filter(|name| is_made(name) || is_like(name));
    ids.map(|name| (*name).to_owned()).collect()
}

/// Whether a name is one that a machine made at random, as base64url or in letters and digits: of short runs, where words,
/// `v1beta2`, `iPhone12Pro` and the like have long ones.
fn is_made(name: &str) -> bool {
    let (runs, has) = (runs(name), |is: fn(&u8) -> bool| name.bytes().any(|b| is(&b)));
    let both_cases = has(u8::is_ascii_uppercase) && has(u8::is_ascii_lowercase);
    let digits = name.bytes().filter(u8::is_ascii_digit).count();
    // On average less than two characters a run, or one and a half where there is but one case.
    let short = if both_cases { name.len() < runs * 2 } else { name.len() * 2 <= runs * 3 && digits >= 2 };
    (6..20).contains(&name.len()) && is_base64url(name) && runs >= 5 && digits >= 1 && short
}

fn is_surely_made(name: &str) -> bool {
    is_made(name) && name.len() >= 8 && runs(name) >= 6 && name.bytes().any(|b| b.is_ascii_uppercase())
}

/// Whether a name beside made ones may be another: no word in small letters.
fn may_be_made(name: &str) -> bool {
    is_base64url(name) && !name.bytes().skip(1).all(|b| b.is_ascii_lowercase() || b"-_".contains(&b))
}

fn is_base64url(name: &str) -> bool {
    name.bytes().all(|b| b.is_ascii_alphanumeric() || b"-_".contains(&b))
}

/// How many runs a name has: of small letters, with a capital before them or not; of capitals; of digits.
fn runs(name: &str) -> usize {
    let class = |b: u8| match b {
        b'a'..=b'z' => 0,
        b'A'..=b'Z' => 1,
        b'0'..=b'9' => 2,
        _ => 3,
    };
    let (mut runs, mut length, mut before) = (0, 0, 3);
    for class in name.bytes().map(class) {
        // One capital and small letters behind it are a run.
        let same = class == before || (before == 1 && class == 0 && length == 1);
        runs += usize::from(!same && class != 3);
        length = if same { length + 1 } else { 1 };
        before = class;
    }
    runs
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
