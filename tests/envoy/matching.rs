//! Which rule a request meets: Envoy's choice and the program's.

use std::collections::BTreeMap;
use std::fmt::Write as _;

use serde_json::{Value, json};

use crate::client::{Answer, ask};
use crate::matchings::{MATCHINGS, Matching};
use crate::pilot::{Version, bootstrap, listener};
use crate::support::Envoy;

impl Matching {
    /// The rules, each of which mirrors.
    fn yaml(&self) -> String {
        let mut yaml = format!(
            "apiVersion: networking.istio.io/v1\nkind: VirtualService\nmetadata:\n  name: shop\nspec:\n  hosts: [{}]\n  http:\n",
            self.hosts
        );
        for (number, matches) in self.rules.iter().enumerate() {
            let _ = writeln!(yaml, "  - name: '{number}'");
            if !matches.is_empty() {
                let _ = writeln!(yaml, "    match: [{matches}]");
            }
            yaml += "    route: [{destination: {host: shop, subset: v1}}]\n    mirror: {host: shop, subset: v2}\n";
        }
        yaml
    }

    /// The same for Envoy: each rule answers with its number.
    fn answering(&self) -> Value {
        let mut service: Value =
            serde_saphyr::from_str(&self.yaml()).unwrap_or_else(|e| panic!("{e}: {}", self.name));
        for rule in service["spec"]["http"].as_array_mut().unwrap() {
            let body = json!({ "string": rule["name"] });
            let matched = rule["match"].take();
            *rule = json!({ "match": matched, "directResponse": { "status": 200, "body": body } });
        }
        service
    }

    fn request(&self) -> Vec<u8> {
        let mut lines = self.request.split('|');
        let mut request = format!("{} HTTP/1.1\r\n", lines.next().unwrap());
        for line in lines {
            let _ = write!(request, "{line}\r\n");
        }
        format!("{request}\r\n").into_bytes()
    }
}

/// The number in the body of a 200; `None` for a 404.
fn taken(answer: &Answer) -> Result<Option<usize>, String> {
    match answer.status {
        200 => answer.body.parse().map(Some).map_err(|_| answer.body.clone()),
        404 => Ok(None),
        status => Err(format!("status {status}")),
    }
}

#[test]
fn envoy_takes_the_rule_that_the_table_names() {
    assert!(MATCHINGS.len() >= 60, "{}", MATCHINGS.len());
    let name = |number: usize| format!("case {number}");
    let listeners: Vec<_> = (0..)
        .zip(MATCHINGS)
        .map(|(number, matching)| listener(&name(number), Version::WithSuffix, &[matching.answering()]))
        .collect();
    let envoy = or_skip!(Envoy::start(&bootstrap(&listeners, &BTreeMap::new())));
    let addresses = envoy.listeners();
    let mut wrong = Vec::new();
    for (number, matching) in MATCHINGS.iter().enumerate() {
        let taken = taken(&ask(addresses[&name(number)], &matching.request()));
        if taken != Ok(matching.taken) {
            wrong.push(format!("{}: {taken:?} by Envoy, {:?} in the table", matching.name, matching.taken));
        }
    }
    assert!(wrong.is_empty(), "{} of {}\n{}", wrong.len(), MATCHINGS.len(), wrong.join("\n"));
}
