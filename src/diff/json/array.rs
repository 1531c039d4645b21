//! Which elements of two arrays belong together.
//!
//! In this order: by a member that names each element (`id` and its kin, else one whose values prove to); in place, where that leaves
//! no more changes than any other way; by the longest common subsequence, with equal elements that
//! are left over on both sides taken for moved ones. No way takes quadratic time.

use std::collections::HashMap;

use super::super::align::{Run, align};
use super::super::rules::Elements;
use super::super::{Class, Kind, Layer};
use super::Comparison;
use super::path::{Path, Step};
use super::value::{Node, Value};

/// So many elements that one side alone has are listed; more are one difference in length.
const MAX_LONE: usize = 16;
/// Members that are tried as keys.
const MAX_KEYS: usize = 8;
/// Products of lengths up to this are paired by likeness.
const MAX_LIKENESS: usize = 256;
/// Members that are looked at to tell how alike two objects are.
const MAX_ALIKE: usize = 64;

impl Comparison<'_, '_> {
    /// Compares two arrays. The path of an element is its place in v1; that of an added one, in v2.
    pub(super) fn elements<'n>(
        &mut self,
        (node1, v1): (&'n Node<'_>, &'n [Node<'_>]),
        (node2, v2): (&'n Node<'_>, &'n [Node<'_>]),
        path: &mut Path<'n>,
    ) {
        let told = self.findings.rules.speak_of_arrays().then(|| self.findings.rules.elements(&path.text()));
        let matching = match told.flatten() {
            Some(Elements::AnyOrder) => in_any_order(v1, v2),
            Some(Elements::ByKey(key)) => {
                by_member(key.as_bytes(), v1, v2).unwrap_or_else(|| Matching::of(v1, v2))
            }
            None => Matching::of(v1, v2),
        };
        if matching.reordered {
            self.report(Kind::Reordered, path, Some(node1), Some(node2));
        }
        for (i, j) in matching.pairs {
            path.within(Step::Index(i), |path| self.nodes(&v1[i], &v2[j], path));
        }
        let (removed, added) = (matching.removed, matching.added);
        if removed.len().max(added.len()) > MAX_LONE && (removed.is_empty() || added.is_empty()) {
            return self.length(v1.len(), v2.len(), path);
        }
        for i in removed {
            path.within(Step::Index(i), |path| self.report(Kind::ElementRemoved, path, Some(&v1[i]), None));
        }
        for j in added {
            path.within(Step::Index(j), |path| self.report(Kind::ElementAdded, path, None, Some(&v2[j])));
        }
    }

    fn length(&mut self, v1: usize, v2: usize, path: &Path<'_>) {
        let (v1, v2) = (format!("{v1} elements"), format!("{v2} elements"));
        let values = (Some(v1.as_bytes()), Some(v2.as_bytes()));
        self.findings.push((Layer::Body, Kind::ArrayLength, Class::Unverified), || path.text(), values);
    }
}

/// Elements that belong together, and those that are alone.
#[derive(Default, Debug)]
struct Matching {
    /// Places in v1 and in v2, ascending in v1 unless elements moved.
    pairs: Vec<(usize, usize)>,
    removed: Vec<usize>,
    added: Vec<usize>,
    reordered: bool,
}

impl Matching {
    fn of(v1: &[Node<'_>], v2: &[Node<'_>]) -> Self {
        let differs = |(a, b): (&Node<'_>, &Node<'_>)| a.digest != b.digest;
        let in_place = v1.iter().zip(v2).filter(|pair| differs(*pair)).count();
        if v1.len() == v2.len() && in_place == 0 {
            return Self::in_place(v1.len());
        }
        by_key(v1, v2).or_else(|| by_learned_key(v1, v2)).unwrap_or_else(|| by_sequence(v1, v2, in_place))
    }

    fn in_place(len: usize) -> Self {
        Self { pairs: (0..len).map(|i| (i, i)).collect(), ..Self::default() }
    }

    /// Pairs elements at one place that are alike but for their keys: what was given another key is still the
    /// same element.
    fn with_new_keys(mut self, v1: &[Node<'_>], v2: &[Node<'_>]) -> Self {
        let alike = |i: usize| alike(&v1[i], &v2[i]) * 2 > alike(&v1[i], &v1[i]);
        let (removed, added) = (&self.removed, &self.added);
        let rekeyed: Vec<usize> =
            removed.iter().copied().filter(|i| added.binary_search(i).is_ok() && alike(*i)).collect();
        self.removed.retain(|i| rekeyed.binary_search(i).is_err());
        self.added.retain(|j| rekeyed.binary_search(j).is_err());
        self.pairs.extend(rekeyed.iter().map(|&i| (i, i)));
        self.sorted()
    }

    fn sorted(mut self) -> Self {
        self.pairs.sort_unstable();
        self.removed.sort_unstable();
        self.added.sort_unstable();
        self
    }
}

/// Pairs elements by a member that seems to name them.
fn by_key(v1: &[Node<'_>], v2: &[Node<'_>]) -> Option<Matching> {
    candidate_keys(v1.first()?).into_iter().find_map(|name| {
        let matching = by_member(name, v1, v2)?;
        // Keys that hardly ever meet are made anew for each answer; they say nothing.
        let said = !matching.pairs.is_empty() && matching.pairs.len() * 2 >= v1.len().min(v2.len());
        said.then(|| matching.with_new_keys(v1, v2))
    })
}

/// Pairs elements by whatever member proves to name them: unique on each side, with at least half of its values in common.
/// Of several the one that pairs most, and of those one that leaves the order. `None` as well where elements stay in their
/// places by it: then the places say as much, and do not depend on a guess.
fn by_learned_key(v1: &[Node<'_>], v2: &[Node<'_>]) -> Option<Matching> {
    let learned = scalar_members(v1.first()?).into_iter().filter_map(|name| by_member(name, v1, v2));
    let mut learned: Vec<_> =
        learned.filter(|matching| matching.pairs.len() * 2 >= v1.len().max(v2.len())).collect();
    learned.sort_by_key(|matching| (std::cmp::Reverse(matching.pairs.len()), matching.reordered));
    let best = learned.into_iter().next()?;
    let stays = v1.len() == v2.len() && best.pairs.iter().all(|(i, j)| i == j);
    (!stays).then(|| best.with_new_keys(v1, v2))
}

/// The names of members with a text or a whole number, a few.
fn scalar_members<'n>(first: &'n Node<'_>) -> Vec<&'n [u8]> {
    let Value::Object(members) = &first.value else { return Vec::new() };
    let may_name = |node: &Node<'_>| match node.value {
        Value::String => true,
        Value::Number => node.source.iter().all(u8::is_ascii_digit),
        _ => false,
    };
    members.iter().filter(|m| may_name(&m.node)).map(|m| &*m.name).take(MAX_KEYS).collect()
}

/// Pairs elements by a member that all have and whose values are unique on each side.
fn by_member(name: &[u8], v1: &[Node<'_>], v2: &[Node<'_>]) -> Option<Matching> {
    let (keys1, keys2) = (unique_keys(v1, name)?, unique_keys(v2, name)?);
    let mut pairs: Vec<_> = keys1.iter().filter_map(|(key, &i)| Some((i, *keys2.get(key)?))).collect();
    pairs.sort_unstable();
    let reordered = !pairs.is_sorted_by_key(|&(_, j)| j);
    Some(Matching { pairs, removed: lone(&keys1, &keys2), added: lone(&keys2, &keys1), reordered })
}

/// Pairs equal elements wherever they are; objects that are left over on both sides are paired by likeness.
fn in_any_order(v1: &[Node<'_>], v2: &[Node<'_>]) -> Matching {
    let mut blocks = vec![((0..v1.len()).collect(), (0..v2.len()).collect())];
    let mut pairs = take_moved(&mut blocks, v1, v2);
    pairs.sort_unstable();
    let reordered = !pairs.is_sorted_by_key(|&(_, j)| j);
    let mut matching = Matching { pairs, reordered, ..Matching::default() };
    for (a, b) in blocks {
        let is_object = |node: &Node<'_>| matches!(node.value, Value::Object(_));
        if a.iter().all(|&i| is_object(&v1[i])) && b.iter().all(|&j| is_object(&v2[j])) {
            pair_block(&a, &b, v1, v2, &mut matching);
        } else {
            matching.removed.extend(a);
            matching.added.extend(b);
        }
    }
    matching.sorted()
}

/// The places of the keys that the other side has not, ascending.
fn lone(keys: &HashMap<u64, usize>, others: &HashMap<u64, usize>) -> Vec<usize> {
    let mut places: Vec<_> =
        keys.iter().filter(|(key, _)| !others.contains_key(key)).map(|(_, &place)| place).collect();
    places.sort_unstable();
    places
}

/// The names of members that may name an element, the likeliest first.
fn candidate_keys<'n>(first: &'n Node<'_>) -> Vec<&'n [u8]> {
    let Value::Object(members) = &first.value else { return Vec::new() };
    let rank = |name: &[u8]| match name {
        b"id" | b"_id" | b"Id" | b"ID" => Some(0),
        b"uuid" | b"guid" | b"key" => Some(1),
        _ if name.ends_with(b"_id") || name.ends_with(b"Id") || name.ends_with(b"ID") => Some(2),
        b"name" | b"slug" | b"code" => Some(3),
        _ => None,
    };
    let mut names: Vec<_> = members
        .iter()
        .filter(|m| matches!(m.node.value, Value::String | Value::Number))
        .filter_map(|m| Some((rank(&m.name)?, &*m.name)))
        .take(MAX_KEYS)
        .collect();
    names.sort_by_key(|(rank, _)| *rank);
    names.into_iter().map(|(_, name)| name).collect()
}

/// The place of each key; `None` where an element has none, or two have the same.
fn unique_keys(elements: &[Node<'_>], name: &[u8]) -> Option<HashMap<u64, usize>> {
    let mut places = HashMap::with_capacity(elements.len());
    for (i, element) in elements.iter().enumerate() {
        let Value::Object(members) = &element.value else { return None };
        let member = members.iter().find(|m| m.name == name)?;
        let is_scalar = matches!(member.node.value, Value::String | Value::Number);
        if !is_scalar || places.insert(member.node.digest, i).is_some() {
            return None;
        }
    }
    Some(places)
}

fn by_sequence(v1: &[Node<'_>], v2: &[Node<'_>], in_place: usize) -> Matching {
    let digests = |nodes: &[Node<'_>]| nodes.iter().map(|node| node.digest).collect::<Vec<_>>();
    let mut matching = Matching::default();
    let mut blocks = Vec::new();
    for run in align(&digests(v1), &digests(v2)) {
        match run {
            Run::Same { a, b, len } => matching.pairs.extend((a..a + len).zip(b..b + len)),
            Run::Changed(a, b) => blocks.push((a.collect::<Vec<_>>(), b.collect::<Vec<_>>())),
        }
    }
    let out_of_place: usize = blocks.iter().map(|(a, _)| a.len()).sum();
    let moved = take_moved(&mut blocks, v1, v2);
    let only_moved = blocks.iter().all(|(a, b)| a.is_empty() && b.is_empty());
    if v1.len() == v2.len() && in_place <= out_of_place && !only_moved {
        return Matching::in_place(v1.len());
    }
    matching.reordered = !moved.is_empty();
    matching.pairs.extend(moved);
    for (a, b) in blocks {
        pair_block(&a, &b, v1, v2, &mut matching);
    }
    matching.sorted()
}

/// Takes out of the blocks the elements that are equal and lie elsewhere on the other side.
fn take_moved(
    blocks: &mut [(Vec<usize>, Vec<usize>)],
    v1: &[Node<'_>],
    v2: &[Node<'_>],
) -> Vec<(usize, usize)> {
    let mut places: HashMap<u64, Vec<usize>> = HashMap::new();
    for &j in blocks.iter().rev().flat_map(|(_, b)| b.iter().rev()) {
        places.entry(v2[j].digest).or_default().push(j);
    }
    let mut moved = Vec::new();
    for (a, _) in blocks.iter_mut() {
        a.retain(|&i| match places.get_mut(&v1[i].digest).and_then(Vec::pop) {
            Some(j) => {
                moved.push((i, j));
                false
            }
            None => true,
        });
    }
    let mut taken: Vec<_> = moved.iter().map(|&(_, j)| j).collect();
    taken.sort_unstable();
    for (_, b) in blocks {
        b.retain(|j| taken.binary_search(j).is_err());
    }
    moved
}

/// Pairs what is left between two common stretches.
fn pair_block(a: &[usize], b: &[usize], v1: &[Node<'_>], v2: &[Node<'_>], matching: &mut Matching) {
    let pairs: Vec<(usize, usize)> = if a.len() == b.len() || a.len().saturating_mul(b.len()) > MAX_LIKENESS {
        (0..a.len().min(b.len())).map(|n| (n, n)).collect()
    } else {
        likeliest(a, b, |i, j| alike(&v1[i], &v2[j]))
    };
    let (mut next_a, mut next_b) = (0, 0);
    for (n, m) in pairs {
        matching.removed.extend(&a[next_a..n]);
        matching.added.extend(&b[next_b..m]);
        matching.pairs.push((a[n], b[m]));
        (next_a, next_b) = (n + 1, m + 1);
    }
    matching.removed.extend(&a[next_a..]);
    matching.added.extend(&b[next_b..]);
}

/// The pairing in order with the greatest likeness, by dynamic programming.
fn likeliest(a: &[usize], b: &[usize], like: impl Fn(usize, usize) -> usize) -> Vec<(usize, usize)> {
    let width = b.len() + 1;
    // `best[n * width + m]` is the greatest likeness of `a[n..]` and `b[m..]`.
    let mut best = vec![0; (a.len() + 1) * width];
    let scores: Vec<Vec<usize>> = a.iter().map(|&i| b.iter().map(|&j| like(i, j)).collect()).collect();
    for n in (0..a.len()).rev() {
        for m in (0..b.len()).rev() {
            let paired = scores[n][m] + best[(n + 1) * width + m + 1];
            best[n * width + m] = paired.max(best[(n + 1) * width + m]).max(best[n * width + m + 1]);
        }
    }
    let (mut n, mut m, mut pairs) = (0, 0, Vec::new());
    while n < a.len() && m < b.len() {
        let here = best[n * width + m];
        if scores[n][m] > 0 && here == scores[n][m] + best[(n + 1) * width + m + 1] {
            pairs.push((n, m));
            (n, m) = (n + 1, m + 1);
        } else if here == best[(n + 1) * width + m] {
            n += 1;
        } else {
            m += 1;
        }
    }
    pairs
}

/// How alike two values are: equal members count most, then the type.
fn alike(v1: &Node<'_>, v2: &Node<'_>) -> usize {
    match (&v1.value, &v2.value) {
        (Value::Object(a), Value::Object(b)) => {
            let equal = |(x, y): &(&super::Member<'_>, &super::Member<'_>)| {
                x.name == y.name && x.node.digest == y.node.digest
            };
            1 + a.iter().zip(b).take(MAX_ALIKE).filter(equal).count()
        }
        (a, b) => usize::from(std::mem::discriminant(a) == std::mem::discriminant(b)),
    }
}
