//! Which children of two elements belong together: first those that do not differ, then, between these,
//! those of one kind and name.

use std::collections::HashMap;

use super::super::align::{Run, align};
use super::tree::{NodeId, Tree};

/// Nodes that belong together, and those that are alone.
#[derive(Default)]
pub(super) struct Matching {
    pub(super) pairs: Vec<(NodeId, NodeId)>,
    pub(super) removed: Vec<NodeId>,
    pub(super) added: Vec<NodeId>,
    /// Equal nodes lie in another order.
    pub(super) reordered: bool,
}

impl Matching {
    pub(super) fn of((tree1, v1): (&Tree, &[NodeId]), (tree2, v2): (&Tree, &[NodeId])) -> Self {
        let digests =
            |tree: &Tree, ids: &[NodeId]| ids.iter().map(|&id| tree.node(id).digest).collect::<Vec<_>>();
        let labels =
            |tree: &Tree, ids: &[NodeId]| ids.iter().map(|&id| tree.node(id).label()).collect::<Vec<_>>();
        let mut matching = Self::default();
        for run in align(&digests(tree1, v1), &digests(tree2, v2)) {
            let Run::Changed(a, b) = run else { continue };
            let (v1, v2) = (&v1[a], &v2[b]);
            for run in align(&labels(tree1, v1), &labels(tree2, v2)) {
                match run {
                    Run::Same { a, b, len } => {
                        let both = v1[a..a + len].iter().zip(&v2[b..b + len]);
                        matching.pairs.extend(both.map(|(&a, &b)| (a, b)));
                    }
                    Run::Changed(a, b) => {
                        matching.removed.extend_from_slice(&v1[a]);
                        matching.added.extend_from_slice(&v2[b]);
                    }
                }
            }
        }
        matching.take_moved(tree1, tree2);
        matching
    }

    /// Nodes that are alone on both sides and do not differ were moved.
    fn take_moved(&mut self, tree1: &Tree, tree2: &Tree) {
        let mut places: HashMap<u64, u32> = HashMap::new();
        for &b in &self.added {
            *places.entry(tree2.node(b).digest).or_default() += 1;
        }
        let mut moved: HashMap<u64, u32> = HashMap::new();
        self.removed.retain(|&a| {
            let digest = tree1.node(a).digest;
            let there = places.get_mut(&digest).filter(|left| **left > 0);
            let is_moved = there.map(|left| *left -= 1).is_some();
            *moved.entry(digest).or_default() += u32::from(is_moved);
            !is_moved
        });
        self.added.retain(|&b| {
            let there = moved.get_mut(&tree2.node(b).digest).filter(|left| **left > 0);
            let is_moved = there.map(|left| *left -= 1).is_some();
            self.reordered |= is_moved;
            !is_moved
        });
    }
}
