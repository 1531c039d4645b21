//! `HTTPRouteFilter`: header operations, rewrites, redirects and mirrors.

use crate::route::address::Address;
use crate::route::edit::{Field, PathRewrite};
use crate::route::istio::{field_name, is_path};
use crate::route::note::RulesError;
use crate::route::operations::Operations;
use crate::route::rule::Mirror;
use crate::route::sampling::{Percent, Share};
use crate::route::yaml::{Fields, Node, Reader};

/// What the filters of a rule or of a backend come to.
#[derive(Debug, Default)]
pub(super) struct Filters {
    pub(super) operations: Operations,
    /// The host name of a rewrite.
    pub(super) authority: Option<String>,
    pub(super) path: Option<PathRewrite>,
    pub(super) mirrors: Vec<Mirror>,
    pub(super) redirects: bool,
}

const REDIRECT: &[&str] = &["scheme", "hostname", "path", "port", "statusCode"];

/// Reads a list of filters.
pub(super) fn filters(reader: &mut Reader, node: &Node, namespace: &str) -> Result<Filters, RulesError> {
    let mut all = Filters::default();
    for item in reader.list("filters", node)? {
        let mut fields = reader.fields("filter", item)?;
        let kind_node = fields.need(reader, "type")?;
        let kind = reader.text("type", kind_node)?;
        let (name, known): (&str, bool) = match kind {
            "RequestHeaderModifier" => ("requestHeaderModifier", true),
            "RequestMirror" => ("requestMirror", true),
            "RequestRedirect" => ("requestRedirect", true),
            "URLRewrite" => ("urlRewrite", true),
            _ => ("", false),
        };
        if !known {
            reader.warn(kind_node.line, format!("the filter {kind} is not acted on"));
            continue;
        }
        let Some(node) = fields.take(name) else {
            return reader.fail(item.line, format!("the filter {kind} has no `{name}`"));
        };
        fields.end(reader, &["type", name]);
        match kind {
            "RequestHeaderModifier" => modify(reader, node, &mut all.operations)?,
            "RequestMirror" => all.mirrors.push(mirror(reader, node, namespace)?),
            "URLRewrite" => rewrite(reader, node, &mut all)?,
            _ => {
                let mut redirect = reader.fields("requestRedirect", node)?;
                // Where the proxy sends the client is nothing that a shadow gets.
                redirect.ignore(REDIRECT);
                redirect.end(reader, REDIRECT);
                all.redirects = true;
            }
        }
    }
    Ok(all)
}

/// `HTTPHeaderFilter`. Of several entries for one name, the first alone counts; `host` is the authority.
fn modify(reader: &mut Reader, node: &Node, all: &mut Operations) -> Result<(), RulesError> {
    let mut fields = reader.fields("requestHeaderModifier", node)?;
    if let Some(node) = fields.take("remove") {
        for item in reader.list("remove", node)? {
            let name = reader.text("remove", item)?;
            all.removals.push(field_name(reader, item.line, name)?);
        }
    }
    for what in ["set", "add"] {
        let Some(node) = fields.take(what) else { continue };
        let mut seen: Vec<&str> = Vec::new();
        for item in reader.list(what, node)? {
            let mut field = reader.fields(what, item)?;
            let name = field.need(reader, "name")?;
            let name = reader.text("name", name)?;
            let value = field.need(reader, "value")?;
            let value = reader.text("value", value)?;
            field.end(reader, &["name", "value"]);
            if seen.iter().any(|other| other.eq_ignore_ascii_case(name)) {
                reader.warn(item.line, format!("`{name}` is named before, and only that counts"));
                continue;
            }
            seen.push(name);
            if name.eq_ignore_ascii_case("host") {
                all.authority = all.authority.take().or(Some(value.to_owned()));
                continue;
            }
            let made = Field::new(field_name(reader, item.line, name)?, value.as_bytes().to_vec());
            all.put(what == "set", made.or_else(|error| reader.fail(item.line, error.to_string()))?);
        }
    }
    fields.end(reader, &["set", "add", "remove"]);
    Ok(())
}

/// `HTTPRequestMirrorFilter`: a whole percentage, a fraction, or all.
fn mirror(reader: &mut Reader, node: &Node, namespace: &str) -> Result<Mirror, RulesError> {
    let mut fields = reader.fields("requestMirror", node)?;
    let backend = fields.need(reader, "backendRef")?;
    let mut reference = reader.fields("backendRef", backend)?;
    let to = backend_name(reader, &mut reference, namespace)?;
    reference.end(reader, &["group", "kind", "name", "namespace", "port"]);
    let percent = fields.take("percent").map(|node| reader.whole("percent", node, 100)).transpose()?;
    let fraction_node = fields.take("fraction");
    if let (Some(_), Some(node)) = (percent, fraction_node) {
        return reader.fail(node.line, "a mirror has either `percent` or `fraction`, not both");
    }
    let fraction = fraction_node.map(|node| fraction(reader, node)).transpose()?;
    fields.end(reader, &["backendRef", "percent", "fraction"]);
    let share = fraction.or(percent.map(Share::whole)).unwrap_or(Share::ALL);
    Ok(Mirror { to, share, place: None })
}

/// `Fraction`: a percentage with decimals to Istio, and so to this.
fn fraction(reader: &mut Reader, node: &Node) -> Result<Share, RulesError> {
    let mut fields = reader.fields("fraction", node)?;
    let numerator_node = fields.need(reader, "numerator")?;
    let most = i32::MAX as u32;
    let numerator = reader.whole("numerator", numerator_node, most)?;
    let denominator =
        fields.take("denominator").map(|node| Ok((reader.whole("denominator", node, most)?, node.line)));
    let (denominator, line) = denominator.transpose()?.unwrap_or((100, node.line));
    fields.end(reader, &["numerator", "denominator"]);
    if denominator == 0 || numerator > denominator {
        return reader.fail(line, format!("{numerator}/{denominator} is no fraction from 0 to 1"));
    }
    match Percent::new(100.0 * f64::from(numerator) / f64::from(denominator)) {
        Ok(percent) => Ok(percent.into()),
        Err(error) => reader.fail(line, error.to_string()),
    }
}

/// `HTTPURLRewriteFilter`.
fn rewrite(reader: &mut Reader, node: &Node, all: &mut Filters) -> Result<(), RulesError> {
    let mut fields = reader.fields("urlRewrite", node)?;
    if let Some(node) = fields.take("hostname") {
        all.authority = Some(reader.text("hostname", node)?.to_owned());
    }
    if let Some(node) = fields.take("path") {
        let mut path = reader.fields("path", node)?;
        let kind_node = path.need(reader, "type")?;
        let kind = reader.text("type", kind_node)?;
        let name = match kind {
            "ReplaceFullPath" => "replaceFullPath",
            "ReplacePrefixMatch" => "replacePrefixMatch",
            _ => {
                return reader.fail(
                    kind_node.line,
                    format!("`{kind}` is no type of rewrite: ReplaceFullPath or ReplacePrefixMatch"),
                );
            }
        };
        let value = path.take(name).map(|node| reader.text(name, node)).transpose()?.unwrap_or_default();
        if !is_path(value) {
            return reader.fail(node.line, format!("{value:?} is no path that a request could carry"));
        }
        path.end(reader, &["type", name]);
        all.path = Some(match kind {
            "ReplaceFullPath" => PathRewrite::Full(value.to_owned()),
            _ => PathRewrite::Elements(value.trim_end_matches('/').to_owned()),
        });
    }
    fields.end(reader, &["hostname", "path"]);
    Ok(())
}

/// A reference to a backend: a service, of the route's namespace where it names none.
pub(super) fn backend_name(
    reader: &mut Reader,
    fields: &mut Fields<'_>,
    namespace: &str,
) -> Result<Address, RulesError> {
    let node = fields.need(reader, "name")?;
    let name = reader.text("name", node)?;
    let home =
        fields.take("namespace").map(|node| reader.text("namespace", node)).transpose()?.unwrap_or(namespace);
    let kind = fields.take("kind").map(|node| Ok((reader.text("kind", node)?, node.line))).transpose()?;
    if let Some((kind, line)) = kind.filter(|(kind, _)| *kind != "Service") {
        reader.warn(line, format!("{kind} {name} is treated as a Service of that name"));
    }
    let port = fields.take("port").map(|node| reader.whole("port", node, 65_535)).transpose()?;
    fields.ignore(&["group"]);
    let shown = if home == namespace { name.to_owned() } else { format!("{name}.{home}") };
    let port = port.and_then(|port| u16::try_from(port).ok());
    let mut to = Address::new(name, None, port, home);
    to.name = shown.into();
    Ok(to)
}
