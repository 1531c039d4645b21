//! Which rule a request meets: Envoy's choice and the program's.

use std::collections::BTreeMap;
use std::fmt::Write as _;

use serde_json::{Value, json};
use shadowcap::http::{Options, Parser, Request, RequestHead, Sink};
use shadowcap::route::{RequestFacts, RouteTable, Rules, Setup};
use shadowcap::time::Timestamp;

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

/// What the program takes.
fn taken_by_us(matching: &Matching) -> Option<usize> {
    let files = [("rules.yaml".to_owned(), matching.yaml())];
    let rules = Rules::read(&files, "default").unwrap_or_else(|error| panic!("{error}: {}", matching.name));
    let (table, _) = RouteTable::new(rules.sets, &Setup::default());
    let request = head(&matching.request());
    let (number, ..) = table.search(&RequestFacts::new(&request)).hit?;
    Some(number)
}

/// The head of a request, as the program reads it.
fn head(bytes: &[u8]) -> RequestHead {
    struct Heads(Vec<RequestHead>);
    impl Sink<RequestHead> for Heads {
        fn message(&mut self, request: Request) {
            self.0.push(request.head);
        }
    }
    let mut heads = Heads(Vec::new());
    Parser::new(Options::default()).push(Timestamp::default(), bytes, &mut heads);
    heads.0.remove(0)
}

#[test]
fn the_program_takes_the_rule_that_the_table_names() {
    let wrong = MATCHINGS.iter().filter_map(|matching| {
        let taken = taken_by_us(matching);
        let what = || format!("{}: {taken:?}, {:?} in the table", matching.name, matching.taken);
        (taken != matching.taken).then(what)
    });
    let wrong: Vec<_> = wrong.collect();
    assert!(wrong.is_empty(), "{} of {}\n{}", wrong.len(), MATCHINGS.len(), wrong.join("\n"));
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
