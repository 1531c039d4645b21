//! `shadowcap route`: what is told of one request, and of a capture, to a person and as JSON.

use serde_json::{Value, json};

use crate::support::{Finished, Shadowcap, captures};

const RULES: &str = "
apiVersion: networking.istio.io/v1
kind: VirtualService
metadata: {name: shop}
spec:
  hosts: [shop, '*.shop.example']
  http:
  - name: never
    match: [{headers: {x-a: {exact: b}}}, {method: {exact: DELETE}}]
    redirect: {uri: /gone}
  - name: split
    match: [{uri: {prefix: /cart}}]
    rewrite: {uri: /basket}
    route:
    - {destination: {host: shop, subset: v1}, weight: 90, headers: {request: {set: {x-from: one}}}}
    - {destination: {host: shop, subset: v2}, weight: 10, headers: {request: {set: {x-from: two}}}}
    mirrors:
    - {destination: {host: shop, subset: v3}, percentage: {value: 12.5}}
    - {destination: {host: shop, subset: v4}}
  - name: broken
    match: [{uri: {prefix: /broken}}]
    directResponse: {status: 503}
  - name: faulty
    match: [{uri: {prefix: /faulty}}]
    fault: {abort: {percentage: {value: 40}, httpStatus: 500}}
    route: [{destination: {host: shop, subset: v1}}]
  - name: only-get
    match: [{method: {exact: GET}}]
    route: [{destination: {host: shop, subset: v1}}]
    mirror: {host: shop, subset: v2}
---
apiVersion: networking.istio.io/v1
kind: DestinationRule
metadata: {name: shop}
spec:
  host: shop
  subsets:
  - {name: v1}
  - {name: v2, trafficPolicy: {tls: {mode: MUTUAL, clientCertificate: /me.pem}}}
  - {name: v3}
  - {name: v4}
";

fn route_by(rules: &str, arguments: &[&str]) -> Finished {
    let program = Shadowcap::new(["route", "r.yaml"].iter().chain(arguments));
    std::fs::write(program.folder().join("r.yaml"), rules).unwrap();
    program.run()
}

/// What is told of a URL under [`RULES`], as text and as JSON.
fn told(url: &str, more: &[&str]) -> (String, Value) {
    let arguments = [&["--url", url][..], more].concat();
    let text = route_by(RULES, &arguments);
    let document = route_by(RULES, &[&arguments[..], &["--format", "json"]].concat());
    text.exits(0);
    document.exits(0);
    (text.stdout.clone(), document.json()["request"].clone())
}

#[track_caller]
fn has(text: &str, lines: &[&str]) {
    for line in lines {
        assert!(text.lines().any(|told| told == *line), "{line:?} is missing:\n{text}");
    }
}

#[test]
fn a_hit_is_told_with_weights_mirrors_edits_misses_and_what_is_not_reached() {
    let endpoint = ["--endpoint", "v3=http://127.0.0.1:1", "--set-header", "v4=x-own: 4"];
    let (text, document) = told("http://shop:8000/cart/1", &endpoint);
    has(
        &text,
        &[
            "request   GET /cart/1 for \"shop:8000\"",
            "host      shop",
            "rule      shop http[1] split (r.yaml:11)",
            "match     path prefix \"/cart\"",
            "outcome   forwarded",
            "captured  shop/v1  90 %  R mod 100 in 0..90; not sent, it has answered already",
            "canary    shop/v2  10 %  R mod 100 in 90..100; there is no --endpoint for it",
            "          MUTUAL: https, with a certificate of the server, and /me.pem for the client (--cert, --key)",
            "          > GET /basket/1 HTTP/1.1",
            "          > x-from: two",
            "shadow    shop/v3  12.5 %  R mod 1000000 < 125000, as a copy of what shop/v1 gets; sent to http://127.0.0.1:1",
            "shadow    shop/v3  12.5 %  R mod 1000000 < 125000, as a copy of what shop/v2 gets; sent to http://127.0.0.1:1",
            "shadow    shop/v4  100 %  always, as a copy of what shop/v2 gets; there is no --endpoint for it",
            "          > Host: shop-shadow:8000",
            "          > x-own: 4",
            "not       shop http[0] never (r.yaml:8): it wants header x-a exact \"b\", which is absent",
            "          shop http[0] never (r.yaml:8): it wants method exact \"DELETE\", which is \"GET\"",
            "          shop http[2] broken (r.yaml:20): not reached",
            "          shop http[4] only-get (r.yaml:27): not reached",
        ],
    );
    assert_eq!(document["host_entry"], "shop");
    assert_eq!(
        document["rule"],
        json!({"name": "shop http[1] split", "origin": "r.yaml:11", "matched": "path prefix \"/cart\""})
    );
    assert_eq!(document["not"].as_array().unwrap().len(), 2);
    assert_eq!(document["not"][1]["observed"], "\"GET\"");
    assert_eq!(document["not_reached"][2]["name"], "shop http[4] only-get");
    let all = document["destinations"].as_array().unwrap();
    let facts: Vec<_> = all
        .iter()
        .map(|to| {
            let changed = to["changed"].as_array().unwrap();
            let from = changed.iter().find(|line| line.as_str().unwrap().starts_with("x-from")).cloned();
            (
                to["standing"].as_str().unwrap(),
                to["destination"].as_str().unwrap(),
                to["share"].as_f64().unwrap(),
                to["sent"].as_bool().unwrap(),
                from.unwrap_or_default(),
            )
        })
        .collect();
    assert_eq!(
        facts,
        [
            ("captured", "shop/v1", 0.9, false, Value::Null),
            ("canary", "shop/v2", 0.1, false, json!("x-from: two")),
            ("shadow", "shop/v3", 0.125, true, json!("x-from: one")),
            ("shadow", "shop/v3", 0.125, true, json!("x-from: two")),
            ("shadow", "shop/v4", 1.0, false, json!("x-from: one")),
            ("shadow", "shop/v4", 1.0, false, json!("x-from: two")),
        ]
    );
}

#[test]
fn what_a_proxy_answers_by_itself_is_told_as_such() {
    for (url, more, outcome, host, rule) in [
        (
            "http://shop/",
            &["--method", "DELETE"][..],
            "answered by a redirect; nothing is sent",
            Some("shop"),
            Some("never"),
        ),
        (
            "http://shop/",
            &["--header", "X-A: b"],
            "answered by a redirect; nothing is sent",
            Some("shop"),
            Some("never"),
        ),
        (
            "http://shop/broken/x",
            &[],
            "answered by the proxy with 503; nothing is sent",
            Some("shop"),
            Some("broken"),
        ),
        (
            "http://shop/faulty",
            &[],
            "forwarded, but for 40% that a fault answers: of these nothing is sent",
            Some("shop"),
            Some("faulty"),
        ),
        (
            "http://shop/",
            &["--method", "POST"],
            "no rule matches: a proxy would answer 404",
            Some("shop"),
            None,
        ),
        ("http://a.b.shop.example/", &[], "forwarded", Some("*.shop.example"), Some("only-get")),
        ("http://shop.default.svc:80/", &[], "forwarded", Some("shop.default.svc"), Some("only-get")),
        ("http://x/", &["--header", "Host: shop"], "forwarded", Some("shop"), Some("only-get")),
        ("http://other/", &[], "no rules are for this host", None, None),
    ] {
        let (text, document) = told(url, more);
        has(&text, &[&format!("outcome   {outcome}")]);
        assert_eq!(document["outcome"], outcome, "{url}");
        assert_eq!(document["host_entry"].as_str(), host, "{url}");
        let name = document["rule"]["name"].as_str().map(|name| name.rsplit(' ').next().unwrap());
        assert_eq!(name, rule, "{url}");
        assert_eq!(
            document["destinations"].as_array().unwrap().is_empty(),
            !outcome.starts_with("forwarded")
        );
    }
}

#[test]
fn as_envoy_the_client_is_left_open_and_a_canary_is_not_marked() {
    let (text, document) = told("http://shop:8000/cart", &["--as-envoy"]);
    has(
        &text,
        &["          > x-forwarded-for: <address of the client>", "          > x-envoy-internal: true"],
    );
    assert!(!text.contains("0.0.0.0") && !text.contains("100::"), "{text}");
    let changed = |place: usize| document["destinations"][place]["changed"].to_string();
    assert!(!changed(1).contains("x-forwarded-for") && !changed(1).contains("internal"), "{}", changed(1));
    assert!(changed(1).contains("x-envoy-original-path: /cart"), "{}", changed(1));
    let (text, _) = told("http://shop/", &["--as-envoy", "--header", "X-Forwarded-For: 10.0.0.1"]);
    has(&text, &["          > X-Forwarded-For: 10.0.0.1,<address of the client>"]);
}

#[test]
fn a_v1_without_weight_has_answered_nothing() {
    let rules = RULES.replace("weight: 90", "weight: 0").replace("weight: 10", "weight: 100");
    let finished = route_by(&rules, &["--url", "http://shop/cart"]);
    has(
        &finished.stdout,
        &["canary    shop/v2  100 %  always: the rule's only destination; there is no --endpoint for it"],
    );
    assert!(!finished.stdout.contains("captured"), "{finished}");
}

/// Rules that each want one fact that no request tells.
const SEEN_FROM: &str = "
apiVersion: networking.istio.io/v1
kind: VirtualService
metadata: {name: shop}
spec:
  hosts: [shop]
  gateways: [mesh, edge]
  http:
  - {name: port, match: [{port: 9090}], route: [{destination: {host: b}}]}
  - {name: label, match: [{sourceLabels: {app: sleep}}], route: [{destination: {host: b}}]}
  - {name: namespace, match: [{sourceNamespace: prod}], route: [{destination: {host: b}}]}
  - {name: gateway, match: [{gateways: [edge]}], route: [{destination: {host: b}}]}
  - name: other
    route:
    - {destination: {host: b, subset: v1}, weight: 1}
    - {destination: {host: b, subset: v2}, weight: 1}
";

#[test]
fn each_option_about_where_requests_come_from_changes_what_is_found() {
    let rule = |arguments: &[&str], url: &str| {
        let finished = route_by(SEEN_FROM, &[&["--format", "json", "--url", url][..], arguments].concat());
        finished.exits(0);
        let document = finished.json()["request"].clone();
        let name = document["rule"]["name"].as_str().unwrap_or("none").rsplit(' ').next().unwrap().to_owned();
        (name, document)
    };
    for (arguments, found) in [
        (&[][..], "other"),
        (&["--service-port", "9090"], "port"),
        (&["--source-label", "app=sleep"], "label"),
        (&["--source-label", "app=web"], "other"),
        (&["--source-namespace", "prod"], "namespace"),
        (&["--gateway", "edge"], "gateway"),
    ] {
        assert_eq!(rule(arguments, "http://shop/").0, found, "{arguments:?}");
    }
    assert_eq!(rule(&[], "http://shop:9090/").0, "port", "the port of the Host");
    // The namespace of the rules is that of the service's longer names.
    for (namespace, found) in [("prod", "other"), ("default", "none")] {
        assert_eq!(rule(&["--namespace", namespace], "http://shop.prod/").0, found);
    }
    let captured = |arguments: &[&str]| {
        let document = rule(arguments, "http://shop/").1;
        let all = document["destinations"].as_array().unwrap().clone();
        all.iter().find(|to| to["standing"] == "captured").map(|to| to["destination"].clone()).unwrap()
    };
    assert_eq!((captured(&[]), captured(&["--captured", "v2"])), (json!("b/v1"), json!("b/v2")));
    let told = rule(&[], "http://shop/").1["not"].to_string();
    for reason in ["not told (--source-label)", "not told (--source-namespace)", "\\\"mesh\\\"", "80"] {
        let reason = reason.replace("\\\"", "");
        assert!(told.contains(&reason), "{reason}: {told}");
    }
}

#[test]
fn each_request_of_a_capture_is_told_with_its_primary_match_edits_and_the_shares_with_intervals() {
    let capture = captures::bundled("httpbin-v1.pcap").display().to_string();
    let rules = RULES.replace("hosts: [shop, ", "hosts: [httpbin, ").replace("prefix: /cart", "prefix: /get");
    let arguments = ["--capture", &capture, "--seed", "3"];
    let text = route_by(&rules, &arguments);
    text.exits(0);
    let finished = route_by(&rules, &[&arguments[..], &["--format", "json"]].concat());
    let document = finished.json();
    let requests = document["requests"].as_array().unwrap();
    let lines: Vec<_> = text.stdout.lines().collect();
    let (mut canaries, mut split) = (0, 0);
    for request in requests.iter().filter(|request| request["rule"] == "shop http[1] split") {
        split += 1;
        assert_eq!(request["matched"], "path prefix \"/get\"");
        assert_eq!(request["not"].as_array().unwrap().len(), 2, "{request}");
        let primary = request["primary"].as_str().unwrap();
        let to = request["to"].as_array().unwrap();
        let is_canary = to[0]["role"] == "canary";
        canaries += usize::from(is_canary);
        assert_eq!(primary, if is_canary { "shop/v2" } else { "shop/v1" });
        let shadow = to.iter().find(|to| to["destination"] == "shop/v4").unwrap();
        let changed = shadow["changed"].to_string();
        // The copy is of what the picked destination gets.
        let from = if is_canary { "x-from: two" } else { "x-from: one" };
        assert!(changed.contains("Host: httpbin-shadow:8000") && changed.contains(from), "{request}");
        let id = request["id"].as_str().unwrap();
        let line = lines.iter().find(|line| line.starts_with(id)).unwrap();
        assert!(line.contains("shop http[1] split (path prefix \"/get\"): "), "{line}");
        assert!(
            line.contains(if is_canary {
                ": canary shop/v2 (weight 10 of 100"
            } else {
                ": captured shop/v1, "
            }),
            "{line}"
        );
        assert!(line.contains(from), "{line}");
    }
    assert!(canaries > 0 && canaries < split, "{canaries} of {split}");
    let shares = document["shares"].as_array().unwrap();
    let v2 = shares
        .iter()
        .find(|share| share["destination"] == "shop/v2" && share["standing"] == "canary")
        .unwrap();
    assert_eq!((&v2["picked"], &v2["requests"]), (&json!(canaries), &json!(split)));
    let interval = v2["interval"].as_array().unwrap();
    let observed = v2["observed"].as_f64().unwrap();
    assert!(interval[0].as_f64().unwrap() < observed && observed < interval[1].as_f64().unwrap(), "{v2}");
    assert_eq!(v2["within"], true, "{v2}");
}
