//! Which rule a request finds: the tables of `tests/routes`, put to Envoy.

use std::collections::BTreeMap;

use serde_json::{Value, json};
use shadowcap::route::Pattern;

use crate::client::{Answer, ask};
use crate::pilot::{Version, bootstrap, listener};
use crate::route_cases::{Case, Group, Service};
use crate::support::Envoy;

/// The service with rules that answer by their names.
fn answering(service: &Service) -> Value {
    let rule = |rule: &Value| {
        let body = json!({ "string": rule["name"] });
        json!({ "match": rule["match"], "directResponse": { "status": 200, "body": body } })
    };
    let http: Vec<_> = service.http.iter().map(rule).collect();
    json!({ "metadata": {}, "spec": { "hosts": service.hosts, "http": http } })
}

/// The name of the rule; `404` where there is none, for whatever reason.
fn found(answer: &Answer) -> String {
    if answer.status == 200 { answer.body.clone() } else { answer.status.to_string() }
}

/// What the table has, as far as Envoy tells it.
fn expected(case: &Case) -> String {
    match case.finds().as_str() {
        "no host" => "404".to_owned(),
        name => name.to_owned(),
    }
}

#[test]
fn envoy_finds_the_rules_that_the_tables_have() {
    let groups: Vec<_> = Group::all().into_iter().filter(|group| group.envoy).collect();
    let name = |number: usize| format!("group {number}");
    let services = |group: &Group| group.services().iter().map(answering).collect::<Vec<_>>();
    let listeners: Vec<_> = (0..)
        .zip(&groups)
        .map(|(number, group)| listener(&name(number), Version::WithSuffix, &services(group)))
        .collect();
    let envoy = or_skip!(Envoy::start(&bootstrap(&listeners, &BTreeMap::new())));
    let addresses = envoy.listeners();
    let (mut cases, mut wrong) = (0, Vec::new());
    for (number, group) in groups.iter().enumerate() {
        for case in &group.requests {
            cases += 1;
            let found = found(&ask(addresses[&name(number)], case.bytes().as_bytes()));
            if found != expected(case) {
                wrong.push(format!("{}: {case:?} finds {found}", group.about));
            }
        }
    }
    assert!(wrong.is_empty(), "{} of {cases}\n{}", wrong.len(), wrong.join("\n"));
    assert!(cases >= 120, "{cases}");
}

/// Patterns that are none in RE2's dialect, though other engines take them.
const REFUSED: [&str; 12] = [
    r"a**",
    r"a{2}{3}",
    r"a{1001}",
    r"(a{40}){26}",
    r"(?x)a",
    r"(?=a)",
    r"\1",
    r"\h",
    r"\x{100}",
    r"\E",
    r"[[:foo:]]",
    r"[\d-",
];

#[test]
fn patterns_that_envoy_refuses_are_refused() {
    let accepts = |pattern: &str| {
        let rule = json!({ "name": "r", "match": [{ "headers": { "x": { "regex": pattern } } }] });
        let service: Service = serde_json::from_value(json!({ "hosts": ["a"], "http": [rule] })).unwrap();
        let listener = listener("l", Version::WithSuffix, &[answering(&service)]);
        Envoy::accepts(&bootstrap(&[listener], &BTreeMap::new()))
    };
    assert!(or_skip!(accepts(r"(a{40}){25}")));
    assert!(Pattern::new(r"(a{40}){25}").is_ok());
    for pattern in REFUSED {
        assert!(!or_skip!(accepts(pattern)), "Envoy takes {pattern}");
        assert!(Pattern::new(pattern).is_err(), "{pattern} is taken");
    }
}
