//! Kubernetes objects: what they are and what they are called.

use super::note::RulesError;
use super::yaml::{Fields, Line, Node, Reader};

/// One object of a rules file.
#[derive(Debug)]
pub(super) struct Document<'n> {
    /// Group and version: `networking.istio.io/v1`.
    pub(super) api_version: String,
    /// Its kind.
    pub(super) kind: String,
    /// Its name; empty without one.
    pub(super) name: String,
    /// Its namespace, or the one that rules are in which name none.
    pub(super) namespace: String,
    /// When it was made, as a cluster tells it.
    pub(super) created: Option<String>,
    /// Where it begins.
    pub(super) line: Line,
    /// What it says.
    pub(super) spec: Fields<'n>,
}

/// The objects of a document: itself, or, where it is a `List`, its items.
pub(super) fn objects<'n>(
    reader: &Reader,
    node: &'n Node,
    home: &str,
) -> Result<Vec<Document<'n>>, RulesError> {
    let mut all = Vec::new();
    let mut fields = reader.fields("the document", node)?;
    let kind = text(reader, &mut fields, "kind")?;
    if kind.ends_with("List") {
        if let Some(items) = fields.take("items") {
            for item in reader.list("items", items)? {
                all.push(object(reader, item, home)?);
            }
        }
        return Ok(all);
    }
    all.push(object(reader, node, home)?);
    Ok(all)
}

fn object<'n>(reader: &Reader, node: &'n Node, home: &str) -> Result<Document<'n>, RulesError> {
    let mut fields = reader.fields("the document", node)?;
    let kind = text(reader, &mut fields, "kind")?;
    let api_version = text(reader, &mut fields, "apiVersion")?;
    if kind.is_empty() || api_version.is_empty() {
        let missing = if kind.is_empty() { "kind" } else { "apiVersion" };
        return reader.fail(node.line, format!("this has no `{missing}`, and so is no Kubernetes object"));
    }
    let (mut name, mut namespace, mut created) = (String::new(), None, None);
    if let Some(node) = fields.take("metadata") {
        let mut metadata = reader.fields("metadata", node)?;
        name = text(reader, &mut metadata, "name")?;
        namespace = Some(text(reader, &mut metadata, "namespace")?).filter(|name| !name.is_empty());
        created = Some(text(reader, &mut metadata, "creationTimestamp")?).filter(|time| !time.is_empty());
    }
    let spec = match fields.take("spec") {
        Some(node) => reader.fields("spec", node)?,
        None => Fields::empty("spec", node.line),
    };
    let namespace = namespace.unwrap_or_else(|| home.to_owned());
    Ok(Document { api_version, kind, name, namespace, created, line: node.line, spec })
}

fn text(reader: &Reader, fields: &mut Fields<'_>, name: &str) -> Result<String, RulesError> {
    fields.take(name).map_or(Ok(String::new()), |node| reader.text(name, node).map(str::to_owned))
}
