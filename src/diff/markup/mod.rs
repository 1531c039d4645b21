//! HTML and XML by structure.
//!
//! Elements are matched by content, then by name; attributes by name. Formatting does not count: the order
//! of attributes, white space between elements, runs of white space in text. Comments are told, and never
//! count. The place of a difference is written as in `XPath`, in HTML with what tells
//! an element from others, where that is a word: `/html/body/div#main/p.price[2]/@lang`, `input[name=q]`.

mod align;
mod html;
mod label;
mod tree;
mod xml;

use std::fmt::Write as _;

use super::content::{self, Content};
use super::findings::Findings;
use super::media::MediaType;
use super::{Class, Kind, Layer};

use align::Matching;
pub(super) use html::parse as parse_html;
use label::Label;
use tree::{Element, Node, NodeId, What};
pub(super) use tree::{NotMarkup, Tree};
pub(super) use xml::parse as parse_xml;

/// Larger documents are compared as text.
pub(super) const MAX_BYTES: usize = 16 << 20;

/// Finds the differences of two documents.
pub(super) fn compare(v1: &Tree, v2: &Tree, findings: &mut Findings<'_>) {
    let mut comparison = Comparison { v1, v2, path: String::new(), findings };
    comparison.nodes(Tree::ROOT, Tree::ROOT);
}

struct Comparison<'t, 'f, 'c> {
    v1: &'t Tree,
    v2: &'t Tree,
    /// The place of the elements that are being compared.
    path: String,
    findings: &'f mut Findings<'c>,
}

impl Comparison<'_, '_, '_> {
    /// Compares two nodes that belong together: of one kind, and elements of one name.
    fn nodes(&mut self, a: NodeId, b: NodeId) {
        let (ours, theirs) = (self.v1.node(a), self.v2.node(b));
        if ours.digest == theirs.digest {
            return;
        }
        let outer = self.path.len();
        self.enter(self.v1, ours);
        match (&ours.what, &theirs.what) {
            (What::Element(x), What::Element(y)) => {
                self.attributes(x, y);
                self.children(ours, theirs);
            }
            (What::Root, What::Root) => self.children(ours, theirs),
            _ => self.values(Kind::ValueChanged, Some(ours), Some(theirs)),
        }
        self.path.truncate(outer);
    }

    fn enter(&mut self, tree: &Tree, node: &Node) {
        let step = match &node.what {
            What::Root => return,
            What::Element(element) => {
                self.path.push('/');
                self.path.push_str(&element.name);
                let label = if tree.is_html() { Label::of(element) } else { Label::None };
                // Writing to a String cannot fail.
                _ = write!(self.path, "{label}");
                return self.nth(node.nth.filter(|_| !label.is_unique()));
            }
            What::Text(_) => "text()",
            What::Comment(_) => "comment()",
            What::Instruction(_) => "processing-instruction()",
            What::Doctype(_) => "doctype()",
        };
        self.path.push('/');
        self.path.push_str(step);
        self.nth(node.nth);
    }

    fn nth(&mut self, nth: Option<u32>) {
        if let Some(nth) = nth {
            // Writing to a String cannot fail.
            _ = write!(self.path, "[{nth}]");
        }
    }

    fn attributes(&mut self, v1: &Element, v2: &Element) {
        let find = |element: &Element, name: &str| {
            let at = element.attributes.binary_search_by(|(other, _)| (**other).cmp(name));
            at.ok().map(|at| element.attributes[at].1.clone())
        };
        for (name, ours) in &v1.attributes {
            match find(v2, name) {
                Some(theirs) if *ours == theirs || &**name == "nonce" => {}
                theirs => self.attribute(name, Some(ours), theirs.as_deref()),
            }
        }
        for (name, theirs) in v2.attributes.iter().filter(|(name, _)| find(v1, name).is_none()) {
            self.attribute(name, None, Some(theirs));
        }
    }

    fn attribute(&mut self, name: &str, v1: Option<&str>, v2: Option<&str>) {
        let kind = match (v1, v2) {
            (_, None) => Kind::Missing,
            (None, _) => Kind::Added,
            _ => Kind::ValueChanged,
        };
        let path = format!("{}/@{name}", self.path);
        self.report(kind, Class::Unverified, path, (v1, v2));
    }

    fn children(&mut self, v1: &Node, v2: &Node) {
        let matching = Matching::of((self.v1, &v1.children), (self.v2, &v2.children));
        if matching.reordered {
            let path = self.path.clone();
            let (ours, theirs) = (self.v1.excerpt(v1), self.v2.excerpt(v2));
            self.report(Kind::Reordered, Class::Unverified, path, (Some(&ours), Some(&theirs)));
        }
        for (a, b) in matching.pairs {
            if !self.embedded(a, b) {
                self.nodes(a, b);
            }
        }
        for a in matching.removed {
            self.one_sided(Kind::ElementRemoved, Some(self.v1.node(a)), None);
        }
        for b in matching.added {
            self.one_sided(Kind::ElementAdded, None, Some(self.v2.node(b)));
        }
    }

    /// Compares the JSON that two `script` elements hold, as services that render pages put it there;
    /// `false` where they hold none.
    fn embedded(&mut self, a: NodeId, b: NodeId) -> bool {
        let (ours, theirs) = (self.v1.node(a), self.v2.node(b));
        let (Some((script1, x)), Some((script2, y))) =
            (self.v1.json_script(ours), self.v2.json_script(theirs))
        else {
            return false;
        };
        if x == y {
            return false;
        }
        let outer = self.path.len();
        self.enter(self.v1, ours);
        self.attributes(script1, script2);
        let json = |text: &'_ str| Content {
            bytes: text.as_bytes().to_vec().into(),
            media: MediaType::parse(b"application/json"),
        };
        self.findings.inside(&self.path, |findings| content::compare(&json(x), &json(y), findings));
        self.path.truncate(outer);
        true
    }

    fn one_sided(&mut self, kind: Kind, v1: Option<&Node>, v2: Option<&Node>) {
        let outer = self.path.len();
        let ours = v1.map(|node| (self.v1, node));
        if let Some((tree, node)) = ours.or(v2.map(|node| (self.v2, node))) {
            self.enter(tree, node);
        }
        self.values(kind, v1, v2);
        self.path.truncate(outer);
    }

    fn values(&mut self, kind: Kind, v1: Option<&Node>, v2: Option<&Node>) {
        let told = |node: Option<&Node>| node.is_some_and(|node| matches!(node.what, What::Comment(_)));
        let class = if told(v1) || told(v2) { Class::Volatile } else { Class::Unverified };
        let (ours, theirs) = (v1.map(|node| self.v1.excerpt(node)), v2.map(|node| self.v2.excerpt(node)));
        let path = self.path.clone();
        self.report(kind, class, path, (ours.as_deref(), theirs.as_deref()));
    }

    fn report(&mut self, kind: Kind, class: Class, path: String, (v1, v2): (Option<&str>, Option<&str>)) {
        let (v1, v2) = (v1.map(str::as_bytes), v2.map(str::as_bytes));
        let echo = matches!((v1, v2), (Some(a), Some(b)) if self.findings.echo.explains(a, b));
        let class = if echo { Class::Shadow } else { class };
        self.findings.push((Layer::Body, kind, class), || path, (v1, v2));
    }
}

#[cfg(test)]
mod tests;
