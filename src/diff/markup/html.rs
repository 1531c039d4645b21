//! HTML, read as browsers read it (HTML, section 13.2), so that what a document leaves out or breaks means
//! the same on both sides.

use std::borrow::Cow;
use std::cell::{Cell, Ref, RefCell};

use html5ever::interface::{ElementFlags, NodeOrText, QuirksMode, TreeSink};
use html5ever::tendril::{StrTendril, TendrilSink};
use html5ever::{Attribute, ParseOpts, QualName, local_name, ns, parse_document};

use super::tree::{Builder, Element, MAX_NODES, NotMarkup, Space, Tree, What};

/// So much is parsed between two looks at what it has grown to.
const STEP: usize = 16 << 10;
/// Parsing grows with the depth of what is open, which a document may set far beyond [`MAX_NODES`]: so many
/// steps of building are done for each document.
const MAX_STEPS: usize = 8 * MAX_NODES;
/// Elements within each other while parsing; the tree itself takes fewer.
const MAX_OPEN: usize = 512;
/// What separates attributes, in one tag: each attribute costs the parser a look at those before it.
const MAX_ATTRIBUTES: u32 = 5000;

/// Reads a document or a part of one.
pub(in crate::diff) fn parse(text: &str) -> Result<Tree, NotMarkup> {
    if has_endless_tag(text) {
        return Err(NotMarkup::TooLarge);
    }
    let mut parser = parse_document(Sink::new(), ParseOpts::default());
    let mut rest = text;
    while !rest.is_empty() {
        let end =
            (STEP.min(rest.len())..=rest.len()).find(|&at| rest.is_char_boundary(at)).unwrap_or(rest.len());
        let (step, tail) = rest.split_at(end);
        rest = tail;
        parser.process(StrTendril::from_slice(step));
        if parser.tokenizer.sink.sink.is_too_large() {
            return Err(NotMarkup::TooLarge);
        }
    }
    parser.finish()
}

/// Whether what may be one tag has more attributes than tags have.
fn has_endless_tag(text: &str) -> bool {
    /// Where the text stands: with the attributes so far, and the quote that a value began with.
    #[derive(Clone, Copy)]
    enum At {
        Text,
        Tag(u32, Option<u8>),
    }
    let mut at = At::Text;
    let next = text.bytes().skip(1).chain([b' ']);
    text.bytes().zip(next).any(|(b, next)| {
        at = match at {
            At::Text if b == b'<' && next.is_ascii_alphabetic() => At::Tag(0, None),
            At::Text | At::Tag(_, None) if b == b'>' => At::Text,
            At::Tag(n, Some(quote)) if b == quote => At::Tag(n + 1, None),
            At::Tag(n, None) if matches!(b, b'"' | b'\'') => At::Tag(n, Some(b)),
            At::Tag(n, None) if b.is_ascii_whitespace() || b == b'/' => At::Tag(n + 1, None),
            At::Text | At::Tag(..) => at,
        };
        matches!(at, At::Tag(n, _) if n > MAX_ATTRIBUTES)
    })
}

/// What the parser builds, until it has ended: nodes are moved about meanwhile.
struct Sink {
    nodes: RefCell<Vec<Built>>,
    steps: Cell<usize>,
    deepest: Cell<usize>,
}

struct Built {
    what: Kind,
    parent: Option<usize>,
    children: Vec<usize>,
    depth: usize,
}

enum Kind {
    Document,
    /// What a `template` holds.
    Fragment,
    Element {
        name: QualName,
        attributes: Vec<Attribute>,
        template: Option<usize>,
    },
    Text(String),
    Comment(String),
    Doctype(String),
}

impl Sink {
    fn new() -> Self {
        let sink = Self { nodes: RefCell::default(), steps: Cell::new(0), deepest: Cell::new(0) };
        sink.create(Kind::Document);
        sink
    }

    fn is_too_large(&self) -> bool {
        self.nodes.borrow().len() > MAX_NODES || self.steps.get() > MAX_STEPS || self.deepest.get() > MAX_OPEN
    }

    fn create(&self, what: Kind) -> usize {
        let mut nodes = self.nodes.borrow_mut();
        nodes.push(Built { what, parent: None, children: Vec::new(), depth: 0 });
        nodes.len() - 1
    }

    fn step(&self) {
        self.steps.set(self.steps.get().saturating_add(1));
    }

    /// Puts a node or text among a parent's children, at that place.
    fn insert(&self, parent: usize, at: usize, child: NodeOrText<usize>) {
        self.step();
        let child = match child {
            NodeOrText::AppendNode(child) => child,
            NodeOrText::AppendText(text) => {
                if self.extend_text(parent, at, &text) {
                    return;
                }
                self.create(Kind::Text(text.into()))
            }
        };
        self.detach(child);
        let mut nodes = self.nodes.borrow_mut();
        let depth = nodes[parent].depth + 1;
        self.deepest.set(self.deepest.get().max(depth));
        nodes[child].parent = Some(parent);
        nodes[child].depth = depth;
        let at = at.min(nodes[parent].children.len());
        nodes[parent].children.insert(at, child);
    }

    /// Adds to the text before that place, where there is text.
    fn extend_text(&self, parent: usize, at: usize, more: &str) -> bool {
        let mut nodes = self.nodes.borrow_mut();
        let before = at.checked_sub(1).and_then(|at| nodes[parent].children.get(at).copied());
        match before.map(|id| &mut nodes[id].what) {
            Some(Kind::Text(text)) => {
                text.push_str(more);
                true
            }
            _ => false,
        }
    }

    fn detach(&self, node: usize) {
        let mut nodes = self.nodes.borrow_mut();
        if let Some(parent) = nodes[node].parent.take() {
            // What is moved was put there last, most often.
            let siblings = &mut nodes[parent].children;
            self.steps.set(self.steps.get().saturating_add(siblings.len() / 64));
            if let Some(at) = siblings.iter().rposition(|&other| other == node) {
                siblings.remove(at);
            }
        }
    }

    fn len(&self, parent: usize) -> usize {
        self.nodes.borrow()[parent].children.len()
    }
}

impl TreeSink for Sink {
    type Handle = usize;
    type Output = Result<Tree, NotMarkup>;
    type ElemName<'a> = Ref<'a, QualName>;

    fn finish(self) -> Self::Output {
        if self.is_too_large() {
            return Err(NotMarkup::TooLarge);
        }
        tree(&self.nodes.into_inner())
    }

    fn parse_error(&self, _: Cow<'static, str>) {}

    fn get_document(&self) -> usize {
        0
    }

    fn elem_name<'a>(&'a self, target: &'a usize) -> Ref<'a, QualName> {
        // The parser asks of elements alone.
        static NONE: QualName = QualName { prefix: None, ns: ns!(), local: local_name!("") };
        Ref::map(self.nodes.borrow(), |nodes| match &nodes[*target].what {
            Kind::Element { name, .. } => name,
            _ => &NONE,
        })
    }

    fn create_element(&self, name: QualName, attributes: Vec<Attribute>, flags: ElementFlags) -> usize {
        self.step();
        let template = flags.template.then(|| self.create(Kind::Fragment));
        self.create(Kind::Element { name, attributes, template })
    }

    fn create_comment(&self, text: StrTendril) -> usize {
        self.create(Kind::Comment(text.into()))
    }

    fn create_pi(&self, target: StrTendril, data: StrTendril) -> usize {
        // HTML has none; its parser takes them for comments (section 13.2.5.6).
        self.create(Kind::Comment(format!("?{target} {data}")))
    }

    fn append(&self, parent: &usize, child: NodeOrText<usize>) {
        self.insert(*parent, self.len(*parent), child);
    }

    fn append_based_on_parent_node(&self, element: &usize, previous: &usize, child: NodeOrText<usize>) {
        if self.nodes.borrow()[*element].parent.is_some() {
            self.append_before_sibling(element, child);
        } else {
            self.append(previous, child);
        }
    }

    fn append_doctype_to_document(&self, name: StrTendril, public: StrTendril, system: StrTendril) {
        let doctype = format!("{name} {public} {system}");
        let doctype = self.create(Kind::Doctype(doctype.trim_end().to_owned()));
        self.append(&0, NodeOrText::AppendNode(doctype));
    }

    fn get_template_contents(&self, target: &usize) -> usize {
        match self.nodes.borrow()[*target].what {
            Kind::Element { template: Some(contents), .. } => contents,
            _ => *target,
        }
    }

    fn same_node(&self, x: &usize, y: &usize) -> bool {
        x == y
    }

    fn set_quirks_mode(&self, _: QuirksMode) {}

    fn append_before_sibling(&self, sibling: &usize, child: NodeOrText<usize>) {
        if let NodeOrText::AppendNode(child) = &child {
            self.detach(*child);
        }
        let Some(parent) = self.nodes.borrow()[*sibling].parent else { return };
        let place = {
            let nodes = self.nodes.borrow();
            let siblings = &nodes[parent].children;
            self.steps.set(self.steps.get().saturating_add(siblings.len() / 64));
            siblings.iter().rposition(|other| other == sibling)
        };
        self.insert(parent, place.unwrap_or(0), child);
    }

    fn add_attrs_if_missing(&self, target: &usize, more: Vec<Attribute>) {
        if let Kind::Element { attributes, .. } = &mut self.nodes.borrow_mut()[*target].what {
            for attribute in more {
                if !attributes.iter().any(|there| there.name == attribute.name) {
                    attributes.push(attribute);
                }
            }
        }
    }

    fn remove_from_parent(&self, target: &usize) {
        self.step();
        self.detach(*target);
    }

    fn reparent_children(&self, node: &usize, new_parent: &usize) {
        let children = std::mem::take(&mut self.nodes.borrow_mut()[*node].children);
        for child in children {
            self.nodes.borrow_mut()[child].parent = None;
            self.append(new_parent, NodeOrText::AppendNode(child));
        }
    }
}

/// The tree of what was built.
fn tree(nodes: &[Built]) -> Result<Tree, NotMarkup> {
    enum Next {
        Open(usize),
        Close,
    }
    let mut builder = Builder::new();
    let mut todo: Vec<Next> = Vec::new();
    let children = |id: usize, todo: &mut Vec<Next>| {
        todo.extend(nodes[id].children.iter().rev().map(|&id| Next::Open(id)));
    };
    children(0, &mut todo);
    while let Some(next) = todo.pop() {
        let Next::Open(id) = next else {
            builder.close();
            continue;
        };
        match &nodes[id].what {
            Kind::Element { name, attributes, template } => {
                let space = space_in(name, builder.space());
                builder.open(element(name, attributes), space)?;
                todo.push(Next::Close);
                children(id, &mut todo);
                if let Some(contents) = template {
                    children(*contents, &mut todo);
                }
            }
            Kind::Text(text) => builder.text(text)?,
            Kind::Comment(text) => builder.leaf(What::Comment(text.trim().into()))?,
            Kind::Doctype(text) => builder.leaf(What::Doctype(text.as_str().into()))?,
            Kind::Document | Kind::Fragment => {}
        }
    }
    Ok(builder.finish(true))
}

/// White space shows in some elements (HTML, section 15.3.3, and what is no text to be read).
fn space_in(name: &QualName, around: Space) -> Space {
    match &*name.local {
        "pre" | "textarea" | "listing" | "plaintext" | "xmp" => Space::Preserved,
        _ => around,
    }
}

fn element(name: &QualName, attributes: &[Attribute]) -> Element {
    let html = name.ns == ns!(html);
    let attributes = attributes.iter().map(|attribute| {
        let prefix = attribute.name.prefix.as_deref().map(|prefix| format!("{prefix}:")).unwrap_or_default();
        let name = format!("{prefix}{}", attribute.name.local);
        let value = match name.as_str() {
            // Sets of words (HTML, sections 3.2.6 and 4.6.6).
            "class" | "rel" => words(&attribute.value),
            _ => attribute.value.to_string(),
        };
        (name.into(), value.into())
    });
    Element {
        name: (&*name.local).into(),
        namespace: if html { "" } else { &*name.ns }.into(),
        attributes: attributes.collect(),
    }
}

fn words(value: &str) -> String {
    let words: std::collections::BTreeSet<_> = value.split_ascii_whitespace().collect();
    words.into_iter().collect::<Vec<_>>().join(" ")
}
