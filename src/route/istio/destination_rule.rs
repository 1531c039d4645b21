//! `DestinationRule`: which subsets a host has, and how they are spoken to.

use crate::route::address::{Address, resolve};
use crate::route::document::Document;
use crate::route::note::{Origin, RulesError};
use crate::route::yaml::{Node, Reader};

/// How a destination is spoken to.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub enum TlsMode {
    /// In the clear.
    #[default]
    Disable,
    /// By TLS; the server shows a certificate.
    Simple(Tls),
    /// By TLS; both show certificates.
    Mutual(Tls),
    /// By TLS, with the certificates that the mesh gives its workloads.
    IstioMutual,
}

/// The particulars of TLS.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Tls {
    /// The name that is asked for.
    pub sni: Option<String>,
    /// The client's certificate, as the mesh finds it.
    pub client_certificate: Option<String>,
    /// The authority that the server's certificate is checked against.
    pub ca_certificates: Option<String>,
    /// Whether the server's certificate is not checked.
    pub insecure_skip_verify: bool,
}

/// How the ports of a destination are spoken to.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct TlsPolicy {
    /// Those that have none of their own.
    pub others: Option<TlsMode>,
    /// Single ports.
    pub ports: Vec<(u16, TlsMode)>,
}

impl TlsPolicy {
    /// How a port is spoken to; `None` where that is not said.
    #[must_use]
    pub fn of_port(&self, port: Option<u16>) -> Option<&TlsMode> {
        let own = self.ports.iter().find(|(number, _)| Some(*number) == port);
        own.map(|(_, mode)| mode).or(self.others.as_ref())
    }
}

/// A destination rule.
#[derive(Clone, Debug)]
pub struct DestinationRule {
    /// Where it stands.
    pub origin: Origin,
    /// The host, resolved.
    pub host: String,
    /// How its subsets are spoken to where they say nothing else.
    pub tls: TlsPolicy,
    /// Its subsets.
    pub subsets: Vec<Subset>,
}

impl DestinationRule {
    /// Its subset of that name.
    #[must_use]
    pub fn subset(&self, name: &str) -> Option<&Subset> {
        self.subsets.iter().find(|subset| subset.name == name)
    }

    /// Its host and each of its subsets.
    pub fn addresses(&self) -> impl Iterator<Item = Address> {
        let of = |subset| Address::new(&self.host, subset, None, "");
        std::iter::once(of(None)).chain(self.subsets.iter().map(move |subset| of(Some(&subset.name))))
    }
}

/// A subset.
#[derive(Clone, Debug)]
pub struct Subset {
    /// Its name.
    pub name: String,
    /// How it is spoken to, where it says so.
    pub tls: TlsPolicy,
}

const FIELDS: &[&str] = &["host", "trafficPolicy", "subsets", "exportTo", "workloadSelector"];
const SUBSET: &[&str] = &["name", "labels", "trafficPolicy"];
const POLICY: &[&str] = &["tls", "portLevelSettings"];
const POLICY_OF_PORT: &[&str] = &["port", "tls"];
const BALANCING: &[(&str, &str)] = &[
    ("loadBalancer", "which workload gets a request, --endpoint says"),
    ("connectionPool", "--concurrency, --connections and --timeout bound what the replay has open"),
    ("outlierDetection", "no endpoint is taken out of a replay for its answers, but see --abort-after"),
    ("tunnel", "a replay connects to its endpoint directly, or by --proxy"),
    ("proxyProtocol", "no PROXY preface is sent to the endpoint"),
    ("retryBudget", "a request is sent to each destination once"),
];
const ELSEWHERE: &[(&str, &str)] = &[
    ("exportTo", "the rule is taken to be visible to whoever sent the requests"),
    ("workloadSelector", "the rule is taken to apply to whoever sent the requests"),
];
const UNCHECKED: &[(&str, &str)] = &[
    ("subjectAltNames", "the server has to prove the name of its endpoint's URL, or of --sni"),
    ("caCrl", "no certificate is looked up among those that were revoked"),
];

/// Reads one.
pub(in crate::route) fn destination_rule(
    reader: &mut Reader,
    document: Document<'_>,
) -> Result<DestinationRule, RulesError> {
    let Document { namespace, line, mut spec, .. } = document;
    let host = spec.need(reader, "host")?;
    let host = resolve(reader.text("host", host)?, &namespace);
    let tls = policy(reader, spec.take("trafficPolicy"))?;
    let mut subsets = Vec::new();
    if let Some(node) = spec.take("subsets") {
        for item in reader.list("subsets", node)? {
            let mut fields = reader.fields("subset", item)?;
            let name = fields.need(reader, "name")?;
            let name = reader.text("name", name)?.to_owned();
            let tls = policy(reader, fields.take("trafficPolicy"))?;
            // Which workloads a subset has, --endpoint says.
            fields.ignore(&["labels"]);
            fields.end(reader, SUBSET);
            subsets.push(Subset { name, tls });
        }
    }
    spec.pass_over(reader, ELSEWHERE);
    spec.end(reader, FIELDS);
    Ok(DestinationRule { origin: reader.origin(line), host, tls, subsets })
}

/// A `TrafficPolicy`, as far as it says how a destination is spoken to.
fn policy(reader: &mut Reader, node: Option<&Node>) -> Result<TlsPolicy, RulesError> {
    let Some(node) = node else { return Ok(TlsPolicy::default()) };
    let mut fields = reader.fields("trafficPolicy", node)?;
    let others = fields.take("tls").map(|node| tls(reader, node)).transpose()?;
    let mut ports = Vec::new();
    if let Some(node) = fields.take("portLevelSettings") {
        for item in reader.list("portLevelSettings", node)? {
            let mut settings = reader.fields("portLevelSettings", item)?;
            let port = settings.take("port").map(|node| port(reader, node)).transpose()?.flatten();
            let mode = settings.take("tls").map(|node| self::tls(reader, node)).transpose()?;
            settings.pass_over(reader, BALANCING);
            settings.end(reader, POLICY_OF_PORT);
            ports.extend(port.zip(mode));
        }
    }
    fields.pass_over(reader, BALANCING);
    fields.end(reader, POLICY);
    Ok(TlsPolicy { others, ports })
}

fn port(reader: &mut Reader, node: &Node) -> Result<Option<u16>, RulesError> {
    let mut fields = reader.fields("port", node)?;
    let number = fields.take("number").map(|node| reader.whole("number", node, 65_535)).transpose()?;
    fields.end(reader, &["number"]);
    Ok(number.and_then(|number| u16::try_from(number).ok()))
}

const TLS: &[&str] = &[
    "mode",
    "clientCertificate",
    "privateKey",
    "caCertificates",
    "credentialName",
    "subjectAltNames",
    "sni",
    "insecureSkipVerify",
    "caCrl",
];

/// `ClientTLSSettings`.
fn tls(reader: &mut Reader, node: &Node) -> Result<TlsMode, RulesError> {
    let mut fields = reader.fields("tls", node)?;
    let mode = fields.take("mode").map(|node| Ok((reader.text("mode", node)?, node.line))).transpose()?;
    let text = |reader: &Reader, node: Option<&Node>| {
        node.map(|node| reader.text("tls", node).map(str::to_owned)).transpose()
    };
    let credential = text(reader, fields.take("credentialName"))?.map(|name| format!("the secret {name}"));
    let particulars = Tls {
        sni: text(reader, fields.take("sni"))?,
        client_certificate: text(reader, fields.take("clientCertificate"))?.or_else(|| credential.clone()),
        ca_certificates: text(reader, fields.take("caCertificates"))?.or(credential),
        insecure_skip_verify: match fields.take("insecureSkipVerify") {
            Some(node) => reader.boolean("insecureSkipVerify", node)?,
            None => false,
        },
    };
    // The key goes with the certificate.
    fields.ignore(&["privateKey"]);
    fields.pass_over(reader, UNCHECKED);
    fields.end(reader, TLS);
    match mode {
        None | Some(("DISABLE", _)) => Ok(TlsMode::Disable),
        Some(("SIMPLE", _)) => Ok(TlsMode::Simple(particulars)),
        Some(("MUTUAL", _)) => Ok(TlsMode::Mutual(particulars)),
        Some(("ISTIO_MUTUAL", _)) => Ok(TlsMode::IstioMutual),
        Some((other, line)) => {
            reader.fail(line, format!("`{other}` is no TLS mode: DISABLE, SIMPLE, MUTUAL or ISTIO_MUTUAL"))
        }
    }
}
