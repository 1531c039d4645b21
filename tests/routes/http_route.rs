//! Gateway API's `HTTPRoute`: what is accepted, and what it means. What is sent for it is also put to Envoy
//! (`tests/envoy`).

use shadowcap::replay::{HeadEdits, RuleEdits};
use shadowcap::route::{
    Action, Decision, Draws, Forward, NotMirrored, Role, RouteTable, Rules, Sampling, Setup, Vantage,
};

use crate::cases::head;

/// A route with these lines of metadata, of its spec, and rules.
fn route(name: &str, metadata: &str, spec: &str, rules: &str) -> String {
    format!(
        "apiVersion: gateway.networking.k8s.io/v1\nkind: HTTPRoute\nmetadata: {{name: {name}{metadata}}}\nspec:\n{spec}  rules:\n{rules}---\n"
    )
}

/// One for the host `a`.
fn plain(rules: &str) -> String {
    route("r", "", "  hostnames: [a]\n", rules)
}

fn read(text: &str) -> Rules {
    Rules::read(&[("r".to_owned(), text.to_owned())], "default")
        .unwrap_or_else(|error| panic!("{error}\n{text}"))
}

fn table(text: &str) -> RouteTable {
    RouteTable::new(read(text).sets, &Setup::default()).0
}

fn forward(text: &str) -> Forward {
    match &read(text).sets[0].rules[0].action {
        Action::Forward(forward) => forward.clone(),
        other => panic!("{other:?}"),
    }
}

fn decide(table: &RouteTable, request: &str, number: u64) -> Decision {
    table.decide(&head(request), &Draws::from_value(number, Sampling::Envoy))
}

/// The heads that leave under a rule with a mirror `m` and these lines, canaries first.
fn sent(rule: &str, request: &str) -> Vec<String> {
    let text = plain(&format!("  - {rule}\n"));
    let setup = Setup { captured: Some(shadowcap::route::Selector::new("v1")), ..Setup::default() };
    let (table, _) = RouteTable::new(read(&text).sets, &setup);
    let decision = decide(&table, request, 1);
    let edits = HeadEdits::default();
    let canary = edits.for_canary();
    let leave = |role| {
        let edits = if role == Role::Canary { &canary } else { &edits };
        let bytes = edits.apply(&head(request), [192, 0, 2, 7].into(), RuleEdits::of(&decision));
        String::from_utf8(bytes.to_vec()).unwrap().trim_end().replace("\r\n", "|")
    };
    decision.destinations.iter().map(|to| leave(to.role)).collect()
}

const REQUEST: &str = "GET /foo/x?q HTTP/1.1\r\nHost: a:80\r\nX-A: client\r\n\r\n";
const MIRROR: &str = "{type: RequestMirror, requestMirror: {backendRef: {name: m}}}";

#[test]
fn a_mirror_takes_a_percent_a_fraction_or_all() {
    for (share, numerator, denominator) in [
        ("", 100, 100),
        (", percent: 25", 25, 100),
        (", percent: 100", 100, 100),
        (", fraction: {numerator: 5}", 50_000, 1_000_000),
        (", fraction: {numerator: 1, denominator: 3}", 333_333, 1_000_000),
        (", fraction: {numerator: 5, denominator: 1000}", 5_000, 1_000_000),
        (", fraction: {numerator: 7, denominator: 7}", 1_000_000, 1_000_000),
    ] {
        let rule = format!(
            "  - filters: [{{type: RequestMirror, requestMirror: {{backendRef: {{name: m, port: 80}}{share}}}}}]\n    backendRefs: [{{name: b}}]\n"
        );
        let forward = forward(&plain(&rule));
        let [mirror] = &forward.mirrors[..] else { panic!("{:?}", forward.mirrors) };
        assert_eq!(
            (mirror.share.numerator, mirror.share.denominator.get()),
            (numerator, denominator),
            "{share}"
        );
    }
    for share in ["percent: 0", "fraction: {numerator: 0}"] {
        let rule = format!(
            "  - filters: [{{type: RequestMirror, requestMirror: {{backendRef: {{name: m}}, {share}}}}}]\n    backendRefs: [{{name: b}}]\n"
        );
        let forward = forward(&plain(&rule));
        assert!(forward.mirrors.is_empty(), "{share}");
        assert_eq!(&*forward.idle[0].name, "m", "it is named all the same");
    }
}

#[test]
fn a_backend_weighs_one_unless_it_says_otherwise() {
    let forward =
        forward(&plain("  - backendRefs: [{name: b}, {name: c, weight: 3}, {name: d, weight: 0}]\n"));
    let weights: Vec<_> = forward.primaries.iter().map(|to| (&*to.to.name, to.weight)).collect();
    assert_eq!(weights, [("b", 1), ("c", 3)]);
    assert_eq!(forward.idle.iter().map(|to| &*to.name).collect::<Vec<_>>(), ["d"]);
    let table = table(&plain("  - backendRefs: [{name: b}, {name: c, weight: 3}]\n"));
    let picks = (0..8).map(|n| decide(&table, REQUEST, n).picked.unwrap().primary.unwrap());
    assert_eq!(picks.collect::<Vec<_>>(), [0, 1, 1, 1, 0, 1, 1, 1]);
}

#[test]
fn without_a_backend_the_gateway_answers_500_and_a_redirect_is_its_own_answer() {
    for (rule, why) in [
        (format!("filters: [{MIRROR}]"), NotMirrored::Respond(500)),
        (format!("filters: [{MIRROR}]\n    backendRefs: []"), NotMirrored::Respond(500)),
        (
            format!("filters: [{MIRROR}]\n    backendRefs: [{{name: b, weight: 0}}]"),
            NotMirrored::Respond(500),
        ),
        (
            "filters: [{type: RequestRedirect, requestRedirect: {scheme: https, statusCode: 301}}]"
                .to_owned(),
            NotMirrored::Redirect,
        ),
    ] {
        let table = table(&plain(&format!("  - {rule}\n")));
        assert_eq!(decide(&table, REQUEST, 0).why_nothing, Some(why), "{rule}");
    }
}

#[test]
fn heads_are_modified_and_targets_rewritten() {
    let of = |filter: &str| format!("filters: [{MIRROR}, {filter}]\n    backendRefs: [{{name: v1}}]");
    for (filter, head) in [
        (
            "{type: RequestHeaderModifier, requestHeaderModifier: {set: [{name: x-a, value: '1'}, {name: X-A, value: '2'}], add: [{name: x-b, value: '3'}]}}",
            "GET /foo/x?q HTTP/1.1|Host: a-shadow:80|X-A: 1|x-b: 3",
        ),
        (
            "{type: RequestHeaderModifier, requestHeaderModifier: {remove: [x-a]}}",
            "GET /foo/x?q HTTP/1.1|Host: a-shadow:80",
        ),
        (
            "{type: URLRewrite, urlRewrite: {hostname: n.test}}",
            "GET /foo/x?q HTTP/1.1|Host: n.test-shadow|X-A: client",
        ),
        (
            "{type: URLRewrite, urlRewrite: {path: {type: ReplaceFullPath, replaceFullPath: /all}}}",
            "GET /all?q HTTP/1.1|Host: a-shadow:80|X-A: client",
        ),
    ] {
        assert_eq!(sent(&of(filter), REQUEST), [head], "{filter}");
    }
}

#[test]
fn the_filters_of_a_backend_go_with_its_requests() {
    let modifier = |value: &str| {
        format!(
            "{{type: RequestHeaderModifier, requestHeaderModifier: {{set: [{{name: x-a, value: {value}}}]}}}}"
        )
    };
    let own = modifier("own");
    let two = format!("backendRefs: [{{name: v1}}, {{name: c, filters: [{own}]}}]\n    filters: [{MIRROR}]");
    assert_eq!(
        sent(&two, REQUEST),
        ["GET /foo/x?q HTTP/1.1|Host: a:80|X-A: own", "GET /foo/x?q HTTP/1.1|Host: a-shadow:80|X-A: own"],
        "as canary, and as its copy"
    );
    // As Istio has it: of several backends, the rule's operations find the backend's done; one alone comes last.
    let of_rule = modifier("rule");
    let both = format!(
        "backendRefs: [{{name: v1}}, {{name: c, filters: [{own}]}}]\n    filters: [{MIRROR}, {of_rule}]"
    );
    assert!(sent(&both, REQUEST)[0].ends_with("X-A: rule"));
    let only = format!("backendRefs: [{{name: v1, filters: [{own}]}}]\n    filters: [{MIRROR}, {of_rule}]");
    assert!(sent(&only, REQUEST)[0].ends_with("X-A: own"));
    for (filter, what) in [
        ("{type: URLRewrite, urlRewrite: {hostname: x}}", "a rewrite of one backend"),
        (MIRROR, "a mirror of one backend"),
        ("{type: RequestRedirect, requestRedirect: {hostname: x}}", "a redirect of one backend"),
    ] {
        let rules = read(&plain(&format!("  - backendRefs:\n    - {{name: b, filters: [{filter}]}}\n")));
        let told: Vec<_> = rules.warnings.iter().map(ToString::to_string).collect();
        assert!(told.len() == 1 && told[0].starts_with("r:8: ") && told[0].contains(what), "{told:?}");
    }
}

#[test]
fn a_service_for_a_parent_makes_it_a_route_of_the_mesh_for_that_service() {
    let parent = "  parentRefs: [{group: '', kind: Service, name: shop, port: 80}]\n";
    let text = route("r", ", namespace: prod", parent, "  - backendRefs: [{name: shop-v2}]\n");
    let rules = read(&text);
    assert_eq!(
        (&rules.sets[0].hosts[..], &rules.sets[0].gateways[..]),
        (&["shop.prod.svc.cluster.local".to_owned()][..], &["mesh".to_owned()][..])
    );
    let table = table(&text);
    for (host, known) in [("shop", true), ("shop.prod:80", true), ("other", false)] {
        let why = decide(&table, &format!("GET / HTTP/1.1\r\nHost: {host}\r\n\r\n"), 0).why_nothing;
        assert_eq!(why != Some(NotMirrored::NoHost), known, "{host}");
    }
    // A gateway for a parent: the route is for what comes through it.
    let text =
        route("r", "", "  parentRefs: [{name: edge}]\n  hostnames: [a]\n", "  - backendRefs: [{name: b}]\n");
    for (gateway, applies) in [(None, true), (Some("edge"), true), (Some("other"), false)] {
        let vantage = Vantage { gateway: gateway.map(str::to_owned), ..Vantage::default() };
        let (table, _) = RouteTable::new(read(&text).sets, &Setup { vantage, ..Setup::default() });
        assert_eq!(table.sets().count() == 1, applies, "{gateway:?}");
    }
}

#[test]
fn of_routes_for_one_host_whose_matches_are_alike_the_older_goes_first_and_then_the_first_by_name() {
    let one = |name: &str, created: &str| {
        route(name, created, "  hostnames: [a]\n", &format!("  - backendRefs: [{{name: {name}}}]\n"))
    };
    let old = ", creationTimestamp: '2024-01-01T00:00:00Z'";
    let new = ", creationTimestamp: '2025-01-01T00:00:00Z'";
    for (first, second, found) in [
        (one("b", new), one("c", old), "c rules[0]"),
        (one("b", old), one("c", new), "b rules[0]"),
        (one("c", old), one("b", old), "b rules[0]"),
        (one("c", ""), one("b", ""), "b rules[0]"),
        (one("b", ""), one("c", new), "c rules[0]"),
        (one("c", ", namespace: n1"), one("b", ", namespace: n2"), "n1/c rules[0]"),
    ] {
        let table = table(&(first + &second));
        assert_eq!(&*decide(&table, REQUEST, 0).rule, found);
    }
    // A more specific match of a younger route goes before all that.
    let specific = route(
        "z",
        new,
        "  hostnames: [a]\n",
        "  - matches: [{path: {value: /foo}}]\n    backendRefs: [{name: z}]\n",
    );
    assert_eq!(&*decide(&table(&(one("b", old) + &specific)), REQUEST, 0).rule, "z rules[0]");
}
