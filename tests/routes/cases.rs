//! `cases.yaml` and `measured.yaml`: requests and the rules that they find.

use std::collections::BTreeMap;
use std::path::Path;

use serde::Deserialize;
use serde_json::{Value, json};
use shadowcap::http::h1::{Close, Parser, Sink};
use shadowcap::http::{Options, Request, RequestHead};
use shadowcap::route::{RouteTable, Rules, Setup, Vantage};
use shadowcap::time::Timestamp;

/// Rules, and requests to them.
#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct Group {
    /// What the cases show.
    pub(crate) about: String,
    /// Where the expectations come from.
    pub(crate) source: String,
    /// Whether a real Envoy can be asked as it stands.
    #[serde(default)]
    pub(crate) envoy: bool,
    hosts: Option<Vec<String>>,
    gateways: Option<Vec<String>>,
    #[serde(default)]
    vantage: VantageOf,
    http: Option<Vec<Value>>,
    services: Option<Vec<Service>>,
    route: Option<Vec<Value>>,
    pub(crate) requests: Vec<Case>,
}

#[derive(Clone, Debug, Default, Deserialize)]
#[serde(deny_unknown_fields, default)]
struct VantageOf {
    port: Option<u16>,
    gateway: Option<String>,
    source_labels: BTreeMap<String, String>,
    source_namespace: Option<String>,
}

/// Rules for some hosts.
#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct Service {
    pub(crate) hosts: Vec<String>,
    /// `http` of a virtual service, without destinations.
    pub(crate) http: Vec<Value>,
}

/// One request.
#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct Case {
    request: String,
    #[serde(default = "usual_host")]
    host: Option<String>,
    #[serde(default)]
    headers: Vec<String>,
    finds: Value,
}

#[expect(clippy::unnecessary_wraps, reason = "a default for a field that may be null")]
fn usual_host() -> Option<String> {
    Some("httpbin:8000".to_owned())
}

impl Case {
    /// The bytes of the request.
    pub(crate) fn bytes(&self) -> String {
        let host = self.host.iter().map(|host| format!("Host: {host}"));
        let lines =
            host.chain(self.headers.iter().cloned()).fold(String::new(), |all, line| all + &line + "\r\n");
        format!("{} HTTP/1.1\r\n{lines}\r\n", self.request)
    }

    /// The name of the rule, `404`, or `no host`.
    pub(crate) fn finds(&self) -> String {
        self.finds.as_str().map_or_else(|| self.finds.to_string(), str::to_owned)
    }
}

impl Group {
    /// All groups of the table.
    pub(crate) fn all() -> Vec<Self> {
        ["cases.yaml", "measured.yaml"].into_iter().flat_map(Self::read).collect()
    }

    fn read(file: &str) -> Vec<Self> {
        let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/routes").join(file);
        serde_saphyr::from_str(&std::fs::read_to_string(path).unwrap()).unwrap()
    }

    /// Istio's rules of the group.
    pub(crate) fn services(&self) -> Vec<Service> {
        let hosts = || self.hosts.clone().unwrap_or_else(|| vec!["httpbin".to_owned()]);
        let own = self.http.clone().map(|http| Service { hosts: hosts(), http });
        self.services.iter().flatten().cloned().chain(own).collect()
    }

    /// The objects of Kubernetes that hold the rules. JSON is YAML.
    fn file(&self) -> String {
        let mut documents = Vec::new();
        for (number, service) in self.services().into_iter().enumerate() {
            let http: Vec<_> = service.http.into_iter().map(to_itself).collect();
            let mut spec = json!({"hosts": service.hosts, "http": http});
            if let Some(gateways) = &self.gateways {
                spec["gateways"] = json!(gateways);
            }
            documents.push(json!({
                "apiVersion": "networking.istio.io/v1", "kind": "VirtualService",
                "metadata": {"name": format!("s{number}")}, "spec": spec,
            }));
        }
        if let Some(rules) = &self.route {
            let rules: Vec<_> = rules.iter().cloned().map(to_backend).collect();
            documents.push(json!({
                "apiVersion": "gateway.networking.k8s.io/v1", "kind": "HTTPRoute",
                "metadata": {"name": "r"}, "spec": {"hostnames": ["httpbin"], "rules": rules},
            }));
        }
        documents.iter().map(|document| format!("{document}\n")).collect::<Vec<_>>().join("---\n")
    }

    /// The table of the group's rules.
    pub(crate) fn table(&self) -> RouteTable {
        let rules = Rules::read(&[("cases".to_owned(), self.file())], "default");
        let rules = rules.unwrap_or_else(|error| panic!("{}: {error}\n{}", self.about, self.file()));
        let VantageOf { port, gateway, source_labels, source_namespace } = self.vantage.clone();
        let vantage = Vantage { port, gateway, source_labels, source_namespace, ..Vantage::default() };
        let (table, _) = RouteTable::new(rules.sets, &Setup { vantage, ..Setup::default() });
        table
    }
}

/// A rule that sends requests to the host of its own name.
fn to_itself(mut rule: Value) -> Value {
    rule["route"] = json!([{"destination": {"host": rule["name"]}}]);
    rule
}

fn to_backend(mut rule: Value) -> Value {
    rule["backendRefs"] = json!([{"name": rule["name"], "port": 80}]);
    rule
}

/// The head of a request as the parser yields it.
pub(crate) fn head(bytes: &str) -> RequestHead {
    struct Heads(Vec<RequestHead>);
    impl Sink<RequestHead> for Heads {
        fn message(&mut self, request: Request) {
            self.0.push(request.head);
        }
    }
    let mut heads = Heads(Vec::new());
    let mut parser = Parser::new(Options::default());
    parser.push(Timestamp::default(), bytes.as_bytes(), &mut heads);
    parser.end(Close::Unknown, &mut heads);
    heads.0.remove(0)
}
