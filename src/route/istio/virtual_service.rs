//! `VirtualService`: for which hosts and gateways its rules are.

use crate::route::address::resolve;
use crate::route::document::Document;
use crate::route::note::RulesError;
use crate::route::request::MESH;
use crate::route::yaml::{Line, Node, Reader};

/// A virtual service whose rules are still to be read: they may go on in others, that it delegates to.
#[derive(Debug)]
pub(in crate::route) struct VirtualService {
    pub(super) line: Line,
    pub(super) name: String,
    pub(super) namespace: String,
    /// Empty where it is there to be delegated to.
    pub(super) hosts: Vec<String>,
    pub(super) gateways: Vec<String>,
    pub(super) http: Vec<Node>,
}

const FIELDS: &[&str] = &["hosts", "gateways", "http", "tls", "tcp", "exportTo"];

const PASSED_OVER: &[(&str, &str)] = &[
    ("tls", "it routes connections that stay encrypted, which hold no request that could be replayed"),
    ("tcp", "it routes connections as a whole, and not requests"),
    ("exportTo", "the rules are taken to be visible to whoever sent the requests"),
];

impl VirtualService {
    /// Namespace and name.
    pub(super) fn title(&self) -> String {
        format!("VirtualService {}/{}", self.namespace, self.name)
    }

    /// What its rules' names begin with.
    pub(super) fn prefix(&self, home: &str) -> String {
        if self.namespace == home { self.name.clone() } else { format!("{}/{}", self.namespace, self.name) }
    }
}

/// Reads all but the rules.
pub(in crate::route) fn virtual_service(
    reader: &mut Reader,
    document: Document<'_>,
) -> Result<VirtualService, RulesError> {
    let Document { name, namespace, line, mut spec, .. } = document;
    let mut hosts = Vec::new();
    if let Some(node) = spec.take("hosts") {
        for item in reader.list("hosts", node)? {
            let host = reader.text("hosts", item)?;
            if !is_host(host) {
                return reader.fail(
                    item.line,
                    format!("{host:?} is no host: a name, `*.` and the end of one, or `*`"),
                );
            }
            hosts.push(resolve(host, &namespace));
        }
    }
    let gateways = spec.take("gateways").map(|node| reader.texts("gateways", node)).transpose()?;
    let gateways = gateways.filter(|names| !names.is_empty()).unwrap_or_else(|| vec![MESH.to_owned()]);
    let http = spec.take("http").map(|node| reader.list("http", node)).transpose()?.unwrap_or_default();
    if http.is_empty() {
        reader.warn(line, format!("VirtualService {name} has no `http` rules, so it matches no request"));
    }
    spec.pass_over(reader, PASSED_OVER);
    spec.end(reader, FIELDS);
    Ok(VirtualService { line, name, namespace, hosts, gateways, http: http.to_vec() })
}

/// Whether a text can be a host of rules: no port, and a star at its beginning alone.
fn is_host(text: &str) -> bool {
    let rest = text.strip_prefix('*').unwrap_or(text);
    let address = text.starts_with('[') || text.parse::<std::net::IpAddr>().is_ok();
    !text.is_empty() && (address || rest.chars().all(|c| c.is_alphanumeric() || matches!(c, '.' | '-' | '_')))
}
