//! A document as a tree, in the form in which it is compared.

use std::collections::HashMap;

use xxhash_rust::xxh3::{xxh3_64, xxh3_64_with_seed};

/// Elements within each other. Deeper documents are left to the comparison as text.
pub(super) const MAX_DEPTH: usize = 256;
/// Nodes of a document.
pub(super) const MAX_NODES: usize = 1_000_000;
/// How much of a node is shown, in bytes.
const EXCERPT: usize = 1000;

/// Why bytes are not taken for a tree.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub(in crate::diff) enum NotMarkup {
    /// It is not well formed (XML 1.0, section 2.1).
    #[error("not well formed: {0}")]
    Grammar(String),
    /// It goes beyond what is read.
    #[error("more than {MAX_DEPTH} elements within each other, or more than {MAX_NODES} nodes")]
    TooLarge,
}

/// The place of a node in its tree.
pub(super) type NodeId = usize;

/// A document. Every node lies behind its parent.
pub(in crate::diff) struct Tree {
    nodes: Vec<Node>,
    html: bool,
}

pub(super) struct Node {
    /// Equal for nodes that do not differ.
    pub(super) digest: u64,
    pub(super) what: What,
    /// Its place among the siblings of its kind and name, from 1; `None` where there are no others.
    pub(super) nth: Option<u32>,
    pub(super) children: Vec<NodeId>,
}

pub(super) enum What {
    Root,
    Element(Element),
    Text(Box<str>),
    Comment(Box<str>),
    Instruction(Box<str>),
    Doctype(Box<str>),
}

pub(super) struct Element {
    /// As it is shown: without its namespace.
    pub(super) name: Box<str>,
    /// The namespace, where it is not the one that the document's kind implies.
    pub(super) namespace: Box<str>,
    /// Names and values, sorted by name.
    pub(super) attributes: Vec<(Box<str>, Box<str>)>,
}

impl Tree {
    pub(super) const ROOT: NodeId = 0;

    /// Whether the document is one of HTML, in which attributes have the meanings that HTML gives them.
    pub(super) fn is_html(&self) -> bool {
        self.html
    }

    pub(super) fn node(&self, id: NodeId) -> &Node {
        &self.nodes[id]
    }

    /// The text of an element that holds JSON (HTML, section 4.12.1).
    pub(super) fn json_script<'t>(&'t self, node: &'t Node) -> Option<(&'t Element, &'t str)> {
        let What::Element(element) = &node.what else { return None };
        let kind = element.attributes.iter().find(|(name, _)| &**name == "type")?;
        let is_json = super::MediaType::parse(kind.1.as_bytes()).media.is_json();
        match node.children.as_slice() {
            [only] if is_json && &*element.name == "script" => match &self.node(*only).what {
                What::Text(text) => Some((element, text)),
                _ => None,
            },
            _ => None,
        }
    }

    /// The beginning of a node, written as markup.
    pub(super) fn excerpt(&self, node: &Node) -> String {
        let mut out = String::new();
        self.write(node, &mut out);
        out
    }

    fn write(&self, node: &Node, out: &mut String) {
        match &node.what {
            What::Root => {}
            What::Element(element) => {
                out.push('<');
                out.push_str(&element.name);
                for (name, value) in &element.attributes {
                    out.extend([" ", &**name, "=\"", &**value, "\""]);
                }
                out.push('>');
            }
            What::Text(text) => out.push_str(text),
            What::Comment(text) => out.extend(["<!--", &**text, "-->"]),
            What::Instruction(text) => out.extend(["<?", &**text, "?>"]),
            What::Doctype(text) => out.extend(["<!DOCTYPE ", &**text, ">"]),
        }
        for &child in &node.children {
            if out.len() > EXCERPT {
                return;
            }
            self.write(self.node(child), out);
        }
        if let What::Element(element) = &node.what {
            out.extend(["</", &*element.name, ">"]);
        }
    }
}

/// How white space in an element's text is read.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Space {
    /// Runs of it are one space, and at either end of the text none.
    Collapses,
    /// It is kept.
    Preserved,
}

/// Builds a tree from what a parser meets, in the document's order.
pub(super) struct Builder {
    nodes: Vec<Node>,
    /// The elements that are open, outermost first, and how white space is read in them.
    open: Vec<(NodeId, Space)>,
}

impl Builder {
    pub(super) fn new() -> Self {
        let root = Node { digest: 0, what: What::Root, nth: None, children: Vec::new() };
        Self { nodes: vec![root], open: vec![(Tree::ROOT, Space::Collapses)] }
    }

    pub(super) fn open(&mut self, mut element: Element, space: Space) -> Result<(), NotMarkup> {
        if self.open.len() > MAX_DEPTH {
            return Err(NotMarkup::TooLarge);
        }
        element.attributes.sort();
        let id = self.add(What::Element(element))?;
        self.open.push((id, space));
        Ok(())
    }

    /// Whether an element is open.
    pub(super) fn is_inside(&self) -> bool {
        self.open.len() > 1
    }

    /// How white space is read where the document goes on.
    pub(super) fn space(&self) -> Space {
        self.open.last().map_or(Space::Collapses, |(_, space)| *space)
    }

    /// Adds text; none where it is white space alone that does not count.
    pub(super) fn text(&mut self, text: &str) -> Result<(), NotMarkup> {
        let text = match self.space() {
            Space::Collapses => collapsed(text),
            Space::Preserved => text.to_owned(),
        };
        if text.is_empty() {
            return Ok(());
        }
        self.add(What::Text(text.into())).map(drop)
    }

    pub(super) fn leaf(&mut self, what: What) -> Result<(), NotMarkup> {
        self.add(what).map(drop)
    }

    fn add(&mut self, what: What) -> Result<NodeId, NotMarkup> {
        let id = self.nodes.len();
        if id > MAX_NODES {
            return Err(NotMarkup::TooLarge);
        }
        let digest = own_digest(&what);
        self.nodes.push(Node { digest, what, nth: None, children: Vec::new() });
        if let Some((parent, _)) = self.open.last() {
            self.nodes[*parent].children.push(id);
        }
        Ok(id)
    }

    /// Closes the innermost element; `false` where none is open.
    pub(super) fn close(&mut self) -> bool {
        if self.open.len() < 2 {
            return false;
        }
        if let Some((id, _)) = self.open.pop() {
            self.complete(id);
        }
        true
    }

    /// The document, which is one of HTML or of XML.
    pub(super) fn finish(mut self, html: bool) -> Tree {
        while self.close() {}
        self.complete(Tree::ROOT);
        Tree { nodes: self.nodes, html }
    }

    /// Sums up an element whose children are known.
    fn complete(&mut self, id: NodeId) {
        let children = std::mem::take(&mut self.nodes[id].children);
        let mut digest = self.nodes[id].digest;
        let mut counts: HashMap<u64, (u32, NodeId)> = HashMap::with_capacity(children.len().min(16));
        for &child in &children {
            let node = &self.nodes[child];
            digest = mix(digest, node.digest);
            let (count, first) = counts.entry(node.label()).or_insert((0, child));
            *count += 1;
            let (nth, first) = (*count, *first);
            if nth > 1 {
                self.nodes[first].nth = Some(1);
                self.nodes[child].nth = Some(nth);
            }
        }
        self.nodes[id].digest = digest;
        self.nodes[id].children = children;
    }
}

impl Node {
    /// Equal for nodes that may be versions of each other.
    pub(super) fn label(&self) -> u64 {
        match &self.what {
            What::Root => 0,
            What::Element(element) => {
                xxh3_64_with_seed(element.name.as_bytes(), xxh3_64(element.namespace.as_bytes()))
            }
            What::Text(_) => 1,
            What::Comment(_) => 2,
            What::Instruction(_) => 3,
            What::Doctype(_) => 4,
        }
    }
}

fn own_digest(what: &What) -> u64 {
    match what {
        What::Root => 0,
        What::Element(element) => {
            let name = mix(xxh3_64(element.namespace.as_bytes()), xxh3_64(element.name.as_bytes()));
            element.attributes.iter().fold(name, |digest, (name, value)| {
                let value = if &**name == "nonce" { 0 } else { xxh3_64(value.as_bytes()) };
                mix(digest, mix(xxh3_64(name.as_bytes()), value))
            })
        }
        What::Text(text) => xxh3_64_with_seed(text.as_bytes(), 1),
        What::Comment(text) => xxh3_64_with_seed(text.as_bytes(), 2),
        What::Instruction(text) => xxh3_64_with_seed(text.as_bytes(), 3),
        What::Doctype(text) => xxh3_64_with_seed(text.as_bytes(), 4),
    }
}

fn mix(a: u64, b: u64) -> u64 {
    let mut bytes = [0; 16];
    bytes[..8].copy_from_slice(&a.to_le_bytes());
    bytes[8..].copy_from_slice(&b.to_le_bytes());
    xxh3_64(&bytes)
}

/// The words with one space between them.
pub(super) fn collapsed(text: &str) -> String {
    let mut words = text.split_ascii_whitespace();
    let mut out = String::with_capacity(text.len());
    out.push_str(words.next().unwrap_or_default());
    for word in words {
        out.push(' ');
        out.push_str(word);
    }
    out
}
