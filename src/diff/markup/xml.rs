//! XML with namespaces. Entities that a document declares are never expanded: they stay as they are
//! written, and so does nothing grow.

use quick_xml::XmlVersion;
use quick_xml::escape::resolve_xml_entity;
use quick_xml::events::{BytesRef, BytesStart, Event};
use quick_xml::name::ResolveResult;
use quick_xml::reader::NsReader;

use super::tree::{Builder, Element, NotMarkup, Space, Tree, What};

/// Reads a document (XML 1.0, Namespaces in XML 1.0).
pub(in crate::diff) fn parse(text: &str) -> Result<Tree, NotMarkup> {
    let mut reader = NsReader::from_str(text);
    reader.config_mut().expand_empty_elements = true;
    let mut building = Building { builder: Builder::new(), text: String::new() };
    let mut roots = 0u32;
    loop {
        let at = reader.buffer_position();
        let event = reader.read_event().map_err(|error| broken(at, &error))?;
        if !matches!(event, Event::Text(_) | Event::CData(_) | Event::GeneralRef(_)) {
            building.end_text()?;
        }
        match event {
            Event::Start(start) | Event::Empty(start) => {
                roots = roots.saturating_add(u32::from(!building.builder.is_inside()));
                let element = element(&reader, &start, at)?;
                let space = space_in(&element, building.builder.space());
                building.builder.open(element, space)?;
            }
            Event::End(_) => _ = building.builder.close(),
            Event::Text(text) => building.push(&text, at)?,
            Event::CData(text) => building.push(&text, at)?,
            Event::GeneralRef(reference) => building.refer(&reference, at)?,
            Event::Comment(text) => building.builder.leaf(What::Comment(utf8(&text, at)?.trim().into()))?,
            Event::PI(text) => building.builder.leaf(What::Instruction(utf8(&text, at)?.trim().into()))?,
            Event::DocType(text) => building.builder.leaf(What::Doctype(utf8(&text, at)?.trim().into()))?,
            Event::Decl(_) => {}
            Event::Eof if building.builder.is_inside() => {
                return Err(NotMarkup::Grammar("an element has no end".to_owned()));
            }
            Event::Eof if roots == 1 => return Ok(building.builder.finish(false)),
            Event::Eof => return Err(NotMarkup::Grammar(format!("{roots} elements that no other holds"))),
        }
    }
}

struct Building {
    builder: Builder,
    /// Text that goes on: sections and references do not divide it.
    text: String,
}

impl Building {
    fn push(&mut self, bytes: &[u8], at: u64) -> Result<(), NotMarkup> {
        self.text.push_str(utf8(bytes, at)?);
        Ok(())
    }

    fn refer(&mut self, reference: &BytesRef<'_>, at: u64) -> Result<(), NotMarkup> {
        if let Some(c) = reference.resolve_char_ref().map_err(|error| broken(at, &error))? {
            self.text.push(c);
            return Ok(());
        }
        let name = utf8(reference, at)?;
        match resolve_xml_entity(name) {
            Some(text) => self.text.push_str(text),
            None => self.text.extend(["&", name, ";"]),
        }
        Ok(())
    }

    fn end_text(&mut self) -> Result<(), NotMarkup> {
        let text = std::mem::take(&mut self.text);
        self.builder.text(&text)
    }
}

fn element(reader: &NsReader<&[u8]>, start: &BytesStart<'_>, at: u64) -> Result<Element, NotMarkup> {
    let (namespace, local) = reader.resolver().resolve_element(start.name());
    let mut attributes = Vec::new();
    for attribute in start.attributes() {
        let attribute = attribute.map_err(|error| broken(at, &error))?;
        if attribute.key.as_namespace_binding().is_some() {
            continue;
        }
        let (namespace, local) = reader.resolver().resolve_attribute(attribute.key);
        let namespace = namespace_of(&namespace, at)?;
        let local = utf8(local.into_inner(), at)?;
        let name = if namespace.is_empty() { local.to_owned() } else { format!("{{{namespace}}}{local}") };
        // A value with an entity that only the document type declares is compared as it is written.
        let value = attribute
            .normalized_value_with(XmlVersion::Implicit1_0, 0, resolve_xml_entity)
            .unwrap_or_else(|_| String::from_utf8_lossy(&attribute.value));
        attributes.push((name.into(), value.into()));
    }
    Ok(Element {
        name: utf8(local.into_inner(), at)?.into(),
        namespace: namespace_of(&namespace, at)?.into(),
        attributes,
    })
}

fn namespace_of<'n>(namespace: &ResolveResult<'n>, at: u64) -> Result<&'n str, NotMarkup> {
    match namespace {
        ResolveResult::Bound(namespace) => utf8(namespace.0, at),
        ResolveResult::Unbound => Ok(""),
        ResolveResult::Unknown(prefix) => {
            let prefix = String::from_utf8_lossy(prefix);
            Err(NotMarkup::Grammar(format!("the prefix `{prefix}` at byte {at} is not declared")))
        }
    }
}

fn space_in(element: &Element, around: Space) -> Space {
    const SPACE: &str = "{http://www.w3.org/XML/1998/namespace}space";
    match element.attributes.iter().find(|(name, _)| &**name == SPACE).map(|(_, value)| &**value) {
        Some("preserve") => Space::Preserved,
        Some("default") => Space::Collapses,
        _ => around,
    }
}

fn utf8(bytes: &[u8], at: u64) -> Result<&str, NotMarkup> {
    std::str::from_utf8(bytes).map_err(|error| broken(at, &error))
}

fn broken(at: u64, error: &dyn std::fmt::Display) -> NotMarkup {
    NotMarkup::Grammar(format!("at byte {at}: {error}"))
}
