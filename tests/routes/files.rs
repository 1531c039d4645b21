//! What is said of rules files: refusals with file, line and reason; warnings with file and line; bounds.

use std::fmt::Write as _;

use proptest::prelude::*;
use shadowcap::route::{RouteTable, Rules, RulesError, Setup};

use crate::cases::head;
use crate::support::Shadowcap;

fn read(text: &str) -> Result<Rules, RulesError> {
    Rules::read(&[("r.yaml".to_owned(), text.to_owned())], "default")
}

/// A virtual service whose `http` is this.
fn http(rules: &str) -> String {
    format!(
        "apiVersion: networking.istio.io/v1\nkind: VirtualService\nmetadata: {{name: s}}\nspec:\n  hosts: [a]\n  http:\n{rules}"
    )
}

/// An HTTPRoute whose `rules` are these.
fn route(rules: &str) -> String {
    format!(
        "apiVersion: gateway.networking.k8s.io/v1\nkind: HTTPRoute\nmetadata: {{name: s}}\nspec:\n  hostnames: [a]\n  rules:\n{rules}"
    )
}

/// A rule, and a destination rule with this field: of its own, of its policy, of a port's, or of TLS.
fn destination_rule(place: &str, field: &str) -> String {
    let indented = match place {
        "spec" => format!("  subsets: []\n  {field}\n"),
        "policy" => format!("  trafficPolicy:\n    {field}\n"),
        "port" => {
            format!("  trafficPolicy: {{portLevelSettings: [{{port: {{number: 1}},\n    {field}}}]}}\n")
        }
        _ => format!("  trafficPolicy: {{tls: {{mode: SIMPLE,\n    {field}}}}}\n"),
    };
    http(&format!(
        "  - {TO}\n---\napiVersion: networking.istio.io/v1\nkind: DestinationRule\nspec: &spec\n{indented}  host: b\n"
    ))
}

const TO: &str = "route: [{destination: {host: b}}]";

#[test]
fn a_broken_file_is_refused_with_file_line_and_reason() {
    let mut wrong = Vec::new();
    for (text, line, reason) in [
        // YAML.
        ("a: [1".to_owned(), 1, "not YAML that can be read"),
        ("a: *nobody\n".to_owned(), 1, "not YAML that can be read"),
        (http("  - name: a\n    name: b\n"), 8, "not YAML that can be read"),
        ("- 1\n".to_owned(), 1, "`the document` is a list, where a mapping belongs"),
        ("kind: VirtualService\n".to_owned(), 1, "no `apiVersion`"),
        ("\n\napiVersion: v1\n".to_owned(), 3, "no `kind`"),
        (String::new(), 0, "no VirtualService and no HTTPRoute"),
        ("apiVersion: v1\nkind: Service\n".to_owned(), 0, "no VirtualService and no HTTPRoute"),
        // Types.
        (http("  - route: {destination: {host: b}}\n"), 7, "`route` is a mapping, where a list belongs"),
        (http("  - route:\n    - destination: b\n"), 8, "`destination` is a text, where a mapping belongs"),
        (http("  - route:\n    - destination: {host: 1}\n"), 8, "put it in quotes"),
        (http(&format!("  - {TO}\n    match: [{{headers: {{x: {{exact: yes}}}}}}]\n")), 8, "put it in quotes"),
        (http(&format!("  - {TO}\n    match: [{{uri: /a}}]\n")), 8, "`uri` is a text, where a mapping belongs"),
        (http(&format!("  - {TO}\n    match: [{{uri: {{suffix: /a}}}}]\n")), 8, "not by `suffix`"),
        (http(&format!("  - {TO}\n    match: [{{uri: {{exact: /a, prefix: /b}}}}]\n")), 8, "both `exact` and `prefix`"),
        (http(&format!("  - {TO}\n    match: [{{uri: {{regex: \"a(b\"}}}}]\n")), 8, "no pattern of RE2"),
        (http(&format!("  - {TO}\n    match: [{{uri: {{regex: \"a(?=b)\"}}}}]\n")), 8, "no pattern of RE2"),
        (http(&format!("  - {TO}\n    match: [{{uri: {{regex: \"(a{{1000}}){{1000}}\"}}}}]\n")), 8, "no pattern of RE2"),
        (http(&format!("  - {TO}\n    match: [{{uri: {{regex: \"a)|(b\"}}}}]\n")), 8, "no pattern of RE2"),
        (http(&format!("  - {TO}\n    match: [{{port: 70000}}]\n")), 8, "from 0 to 65535"),
        (http(&format!("  - {TO}\n    timeout: soon\n")), 8, "no duration"),
        // Weights and percentages.
        (http("  - route:\n    - {destination: {host: b}, weight: -1}\n    - {destination: {host: c}, weight: 1}\n"), 8, "`weight` is -1"),
        (http("  - route:\n    - {destination: {host: b}, weight: 1.5}\n"), 8, "where a whole number belongs"),
        (http("  - route:\n    - {destination: {host: b}, weight: 0}\n    - {destination: {host: c}}\n"), 8, "come to 0"),
        (http("  - route: []\n"), 7, "names no destination"),
        (http(&format!("  - {TO}\n    mirror: {{host: c}}\n    mirrorPercentage: {{value: 101}}\n")), 9, "not a percentage"),
        (http(&format!("  - {TO}\n    mirror: {{host: c}}\n    mirrorPercentage: 50\n")), 9, "write `mirrorPercentage: {value: 12.5}`"),
        (http(&format!("  - {TO}\n    mirror: {{host: c}}\n    mirror_percent: 101\n")), 9, "from 0 to 100"),
        (http(&format!("  - {TO}\n    mirror: {{host: c}}\n    mirrors: []\n")), 9, "either `mirror` or `mirrors`"),
        (http(&format!("  - {TO}\n    mirror: {{subset: c}}\n")), 8, "has no `host`"),
        // What contradicts itself.
        (http("  - name: x\n"), 7, "none of `route`, `redirect`"),
        (http(&format!("  - {TO}\n    redirect: {{uri: /x}}\n")), 8, "either `route` or `redirect`"),
        (http(&format!("  - {TO}\n    delegate: {{name: x}}\n")), 7, "either `delegate` or `route`"),
        (http(&format!("  - {TO}\n    rewrite: {{uri: /x, uriRegexRewrite: {{match: a, rewrite: b}}}}\n")), 8, "either `uri` or `uriRegexRewrite`"),
        (http(&format!("  - {TO}\n    rewrite: {{uri: \"/a b\"}}\n")), 8, "no path that a request could carry"),
        (http(&format!("  - {TO}\n    rewrite: {{uriRegexRewrite: {{match: (a), rewrite: '\\2'}}}}\n")), 8, "a group that the pattern does not have"),
        (http(&format!("  - {TO}\n    headers: {{request: {{set: {{\"x y\": a}}}}}}\n")), 8, "not a header name"),
        (http(&format!("  - {TO}\n    headers: {{request: {{set: {{x: \"a\\r\\nEvil: 1\"}}}}}}\n")), 8, "line break"),
        ("apiVersion: networking.istio.io/v1\nkind: VirtualService\nspec: {hosts: ['a:80']}\n".to_owned(), 3, "is no host"),
        ("apiVersion: networking.istio.io/v1\nkind: VirtualService\nspec: {hosts: ['a.*']}\n".to_owned(), 3, "is no host"),
        ("apiVersion: networking.istio.io/v1\nkind: DestinationRule\nspec: {host: a, trafficPolicy: {tls: {mode: SECRET}}}\n".to_owned(), 3, "no TLS mode"),
        ("apiVersion: networking.istio.io/v1\nkind: DestinationRule\nspec: {subsets: []}\n".to_owned(), 3, "has no `host`"),
        // Gateway API.
        (route("  - filters: [{type: RequestMirror, requestMirror: {backendRef: {name: b}, percent: 101}}]\n"), 7, "from 0 to 100"),
        (route("  - filters: [{type: RequestMirror, requestMirror: {backendRef: {name: b}, percent: 1, fraction: {numerator: 1}}}]\n"), 7, "either `percent` or `fraction`"),
        (route("  - filters: [{type: RequestMirror, requestMirror: {backendRef: {name: b}, fraction: {numerator: 2, denominator: 1}}}]\n"), 7, "no fraction from 0 to 1"),
        (route("  - filters: [{type: RequestMirror}]\n"), 7, "has no `requestMirror`"),
        (route("  - matches: [{path: {type: Suffix, value: /a}}]\n"), 7, "no type of path"),
        (route("  - matches: [{headers: [{name: a}]}]\n"), 7, "has no `value`"),
    ] {
        match read(&text) {
            Ok(_) => wrong.push(format!("{text}\nis not refused")),
            Err(error) if error.problem.contains(reason) && error.origin.line == line => {
                assert_eq!(&*error.origin.file, "r.yaml");
            }
            Err(error) => wrong.push(format!("{text}\n{error}\nwhere line {line} and {reason:?} are expected")),
        }
    }
    assert!(wrong.is_empty(), "{}", wrong.join("\n\n"));
}

#[test]
fn what_is_not_acted_on_is_named_with_file_and_line() {
    for (text, line, warning) in [
        (
            http(&format!("  - {TO}\n    mirorPercent: 1\n")),
            8,
            "no field `mirorPercent`, so it is not acted on; is `mirrorPercent` meant?",
        ),
        (http(&format!("  - {TO}\n    retries: {{attempts: 3}}\n")), 8, "`retries` is not acted on"),
        (http(&format!("  - {TO}\n    corsPolicy: {{}}\n")), 8, "`corsPolicy` is not acted on"),
        (
            http(&format!("  - {TO}\n    fault: {{delay: {{fixedDelay: 1s}}}}\n")),
            8,
            "`delay` is not acted on",
        ),
        (
            http(&format!(
                "  - {TO}\n    match: [{{headers: {{'@request.auth.claims.sub': {{exact: me}}}}}}]\n"
            )),
            8,
            "a claim that the mesh has checked",
        ),
        (
            http(&format!("  - {TO}\n    headers: {{response: {{remove: [x]}}}}\n")),
            8,
            "`response` header operations are not acted on",
        ),
        (
            http(&format!("  - {TO}\n    headers: {{request: {{set: {{x: '%REQ(y)%'}}}}}}\n")),
            8,
            "a fact of the mesh",
        ),
        (http(&format!("  - {TO}\n    mirrorPercent: 5\n")), 8, "no `mirror` that it would be of"),
        (http(&format!("  - {TO}\n  tls: []\n")), 8, "`tls` is not acted on"),
        (http("  - delegate: {name: nobody}\n"), 7, "no file has the VirtualService default/nobody"),
        (
            http(&format!("  - {TO}\n---\napiVersion: v1\nkind: Service\nmetadata: {{name: a}}\n")),
            9,
            "v1 Service is not acted on",
        ),
        (
            http(&format!("  - {TO}\n---\napiVersion: networking.istio.io/v2\nkind: VirtualService\n")),
            9,
            "of version v2 is not known",
        ),
        (
            http(
                "  - route: [{destination: {host: b, subset: v3}}]\n---\napiVersion: networking.istio.io/v1\nkind: DestinationRule\nspec: {host: b, subsets: [{name: v1}]}\n",
            ),
            7,
            "has the subset `v3`",
        ),
        (destination_rule("policy", "loadBalancer: {simple: RANDOM}"), 13, "`loadBalancer` is not acted on"),
        (destination_rule("policy", "connectionPool: {}"), 13, "`connectionPool` is not acted on"),
        (destination_rule("policy", "outlierDetection: {}"), 13, "`outlierDetection` is not acted on"),
        (destination_rule("policy", "tunnel: {}"), 13, "`tunnel` is not acted on"),
        (destination_rule("policy", "proxyProtocol: {}"), 13, "`proxyProtocol` is not acted on"),
        (destination_rule("policy", "retryBudget: {}"), 13, "`retryBudget` is not acted on"),
        (destination_rule("spec", "exportTo: [.]"), 13, "`exportTo` is not acted on"),
        (destination_rule("spec", "workloadSelector: {}"), 13, "`workloadSelector` is not acted on"),
        (destination_rule("tls", "subjectAltNames: [x]"), 13, "`subjectAltNames` is not acted on"),
        (destination_rule("tls", "caCrl: /x"), 13, "`caCrl` is not acted on"),
        (destination_rule("port", "connectionPool: {}"), 13, "`connectionPool` is not acted on"),
        (destination_rule("port", "sni: x"), 13, "portLevelSettings has no field `sni`"),
        (destination_rule("policy", "tsl: {}"), 13, "no field `tsl`, so it is not acted on; is `tls` meant?"),
        (
            http("  - redirect:\n      urii: /x\n"),
            8,
            "redirect has no field `urii`, so it is not acted on; is `uri` meant?",
        ),
        (
            http("  - directResponse:\n      status: 200\n      body: {text: x}\n"),
            9,
            "body has no field `text`",
        ),
        (
            route("  - filters: [{type: RequestRedirect, requestRedirect: {hostnam: x}}]\n"),
            7,
            "requestRedirect has no field `hostnam`, so it is not acted on; is `hostname` meant?",
        ),
        (
            route("  - filters: [{type: ExtensionRef, extensionRef: {}}]\n"),
            7,
            "the filter ExtensionRef is not acted on",
        ),
        (
            route("  - backendRefs: [{name: b}]\n    timeouts: {request: 1s}\n"),
            8,
            "`timeouts` is not acted on",
        ),
    ] {
        let rules = read(&text).unwrap_or_else(|error| panic!("{text}\n{error}"));
        let found = rules.warnings.iter().find(|told| told.text.contains(warning));
        let found = found.unwrap_or_else(|| panic!("{text}\n{:?}", rules.warnings));
        assert_eq!((&*found.origin.file, found.origin.line), ("r.yaml", line), "{text}\n{found}");
    }
}

#[test]
fn a_file_of_the_task_has_nothing_to_warn_of() {
    let text = http(
        "  - route: [{destination: {host: a, subset: v1}, weight: 100}]\n    mirror: {host: a, subset: v2}\n    mirrorPercentage: {value: 100.0}\n",
    );
    assert_eq!(read(&text).unwrap().warnings, []);
}

#[test]
fn several_files_are_one_and_each_is_named_for_what_it_says() {
    let object = |kind: &str, name: &str, spec: &str| {
        format!("apiVersion: networking.istio.io/v1\nkind: {kind}\nmetadata: {{name: {name}}}\nspec:\n{spec}")
    };
    let root = object(
        "VirtualService",
        "root",
        "  hosts: [a]\n  http:\n  - match: [{uri: {prefix: /p}}]\n    delegate: {name: child}\n    mirror: {host: m, sbset: v2}\n    mirror_percent: 25\n",
    );
    let child = object(
        "VirtualService",
        "child",
        &format!(
            "  http:\n  - {TO}\n    retries: {{}}\n  - match: [{{uri: {{regex: '/p/.*'}}}}]\n    {TO}\n"
        ),
    );
    let files = [("root.yaml".to_owned(), root.clone()), ("child.yaml".to_owned(), child)];
    let rules = Rules::read(&files, "default").unwrap();
    let [rule] = &rules.sets[0].rules[..] else { panic!("{:?}", rules.sets) };
    assert_eq!(
        (&*rule.name, rule.origin.to_string()),
        ("root http[0] > child http[0]", "child.yaml:6".to_owned())
    );
    // `mirror_percent` is what `mirrorPercent` is, and is inherited with the mirror.
    let shadowcap::route::Action::Forward(forward) = &rule.action else { panic!("{:?}", rule.action) };
    assert_eq!(forward.mirrors[0].share, shadowcap::route::Share::whole(25));
    let told: Vec<_> = rules.warnings.iter().map(ToString::to_string).collect();
    for (place, text) in [
        ("root.yaml:9: ", "mirror has no field `sbset`"),
        ("child.yaml:7: ", "`retries` is not acted on"),
        ("child.yaml:8: ", "child http[1] is left out where root.yaml:7 delegates to it"),
    ] {
        assert!(told.iter().any(|told| told.starts_with(place) && told.contains(text)), "{place}: {told:#?}");
    }
    // What is wrong in what a delegate inherits is in the root's file.
    let broken = root.replace("mirror_percent: 25", "mirror_percent: 101");
    let files = [("child.yaml".to_owned(), files[1].1.clone()), ("root.yaml".to_owned(), broken)];
    let error = Rules::read(&files, "default").unwrap_err();
    assert_eq!(error.origin.to_string(), "root.yaml:10", "{error}");
}

#[test]
fn anchors_merge_keys_lists_and_several_documents_are_read() {
    let text = "
apiVersion: v1
kind: List
items:
- apiVersion: networking.istio.io/v1beta1
  kind: VirtualService
  metadata: {name: one}
  spec:
    hosts: [one]
    http:
    - &rule
      name: first
      route: &to [{destination: {host: b}}]
      mirror: {host: c}
    - <<: *rule
      name: second
      match: [{uri: {prefix: /x}}]
---
---
apiVersion: gateway.networking.k8s.io/v1
kind: HTTPRoute
metadata: {name: two}
spec:
  hostnames: [two]
  rules:
  - backendRefs: [{name: b}]
";
    let rules = read(text).unwrap();
    let names: Vec<_> = rules.sets.iter().flat_map(|set| &set.rules).map(|rule| &*rule.name).collect();
    assert_eq!(names, ["one http[0] first", "one http[1] second", "two rules[0]"]);
    assert_eq!(rules.warnings, []);
}

#[test]
fn a_megabyte_of_nesting_and_a_bomb_of_aliases_are_refused_within_bounds() {
    let mut bomb = String::from("a0: &a0 [x, x, x, x, x, x, x, x, x, x]\n");
    for level in 1..12 {
        let inner = vec![format!("*a{}", level - 1); 10].join(", ");
        writeln!(bomb, "a{level}: &a{level} [{inner}]").unwrap();
    }
    for text in [
        "[".repeat(1 << 20),
        "{a: ".repeat(1 << 18),
        "- ".repeat(1 << 19),
        (0..1000).fold(String::new(), |all, depth| all + &" ".repeat(depth) + "a:\n"),
        "&a ".repeat(1 << 18),
        "---\n".repeat(1 << 18) + "x",
        bomb,
        "\u{0}".repeat(1000),
    ] {
        let error = read(&text).map(|_| ()).expect_err("this is no rules file");
        assert!(error.to_string().len() < 1000, "{error}");
    }
}

#[test]
fn a_thousand_hosts_with_a_hundred_rules_each_are_no_trouble() {
    let rule = format!("  - {TO}\n    match: [{{uri: {{regex: \"/x/[0-9]+\"}}}}]\n");
    let one = http(&rule.repeat(100));
    let of_hosts = |first: usize| -> String {
        let hosts: Vec<_> = (first..first + 50).map(|n| format!("h{n}.x, \"*.h{n}.x\"")).collect();
        one.replace("hosts: [a]", &format!("hosts: [{}]", hosts.join(", "))) + "---\n"
    };
    let many: String = (0..20).map(|n| of_hosts(50 * n)).collect();
    let rules = read(&many).unwrap();
    let (table, warnings) = RouteTable::new(rules.sets, &Setup::default());
    assert_eq!(table.rules().count(), 20 * 100);
    assert!(warnings.iter().all(|warning| !warning.text.contains("comes first")));
    for number in 0..1000 {
        for (host, target, found) in
            [(format!("h{number}.x"), "/x/7", true), (format!("a.h{number}.x:80"), "/x/a", false)]
        {
            let head = head(&format!("GET {target} HTTP/1.1\r\nHost: {host}\r\n\r\n"));
            let search = table.search(&shadowcap::route::RequestFacts::new(&head));
            assert!(search.host.is_some(), "{host}");
            assert_eq!(search.hit.is_some(), found, "{host}");
            assert_eq!(search.misses.len(), if found { 0 } else { 100 }, "{host}");
        }
    }
}

/// What the program says of a file that is made to cost much, with 300 MB of memory to say it in.
fn within_bounds(text: &str, target: &str) -> crate::support::Finished {
    let mut limited = std::process::Command::new("sh");
    limited.args(["-c", "ulimit -v 300000 && exec \"$0\" \"$@\""]);
    let url = format!("http://a{target}");
    let program = Shadowcap::under(limited, ["route", "r.yaml", "--url", &url]);
    std::fs::write(program.folder().join("r.yaml"), text).unwrap();
    // Some seconds of one processor, of which a busy machine gives little.
    program.patience(std::time::Duration::from_secs(300)).run()
}

/// As many rules with patterns of 420 states, each another one.
fn patterns(count: usize) -> String {
    let rule = |n| format!("  - {{match: [{{uri: {{regex: '/(a{{20}}){{20}}{n}'}}}}], {TO}}}\n");
    http(&(0..count).map(rule).collect::<String>())
}

#[test]
fn twenty_thousand_large_patterns_are_refused_and_a_thousand_are_compiled_within_bounds() {
    within_bounds(&patterns(20_000), "/x")
        .exits(2)
        .stderr_has("r.yaml:1")
        .stderr_has("the patterns of these files");
    let target = format!("/{}999", "a".repeat(400));
    within_bounds(&patterns(1000), &target).exits(0).stdout_has("rule      s http[999]");
}

#[test]
fn equal_patterns_are_one() {
    let rule = format!("  - {{match: [{{uri: {{regex: '/(a{{20}}){{20}}'}}}}], {TO}}}\n");
    within_bounds(&http(&rule.repeat(10_000)), "/x").exits(0).stdout_has("a proxy would answer 404");
}

#[test]
fn rules_that_delegation_multiplies_are_bounded() {
    let with_delegate = |roots: usize, rules: usize| {
        let delegate = format!("  - {TO}\n").repeat(rules);
        let delegate = http(&delegate).replace("name: s", "name: d").replace("  hosts: [a]\n", "");
        http(&"  - delegate: {name: d}\n".repeat(roots)) + "---\n" + &delegate
    };
    let refused = within_bounds(&with_delegate(400, 400), "/");
    refused.exits(2).stderr_has("r.yaml:").stderr_has("the rules that are delegated to come to more than");
    within_bounds(&with_delegate(100, 100), "/").exits(0).stdout_has("rule      s http[0] > d http[0]");
    // Large lists of matches multiply, too, and so does what a rule inherits.
    let matches: Vec<_> = (0..2000).map(|n| format!("{{uri: {{exact: /{n}}}}}")).collect();
    let own = format!("    match: [{}]\n", matches.join(", "));
    let both = with_delegate(1, 1)
        .replace("{name: d}\n  -", "{name: d}\n")
        .replace("  - delegate: {name: d}\n", &format!("  - delegate: {{name: d}}\n{own}"))
        + &own;
    within_bounds(&both, "/").exits(2).stderr_has("the rules that are delegated to come to more than");
}

#[test]
fn many_hosts_share_their_rules_and_sets_that_share_hosts_are_bounded() {
    let hosts: Vec<_> = (0..5000).map(|n| format!("h{n}.x")).collect();
    let one = http(&format!("  - {TO}\n").repeat(5000))
        .replace("hosts: [a]", &format!("hosts: [{}]", hosts.join(", ")));
    within_bounds(&one, "/").exits(0).stdout_has("no rules are for this host");
    within_bounds(&format!("{one}---\n{one}"), "/")
        .exits(2)
        .stderr_has("for hosts that several objects have rules for");
}

#[test]
fn of_two_virtual_services_for_a_host_a_sidecar_takes_one_and_a_gateway_both() {
    let two = |gateways: &str| {
        let one = |name: &str, rule: &str| {
            format!(
                "apiVersion: networking.istio.io/v1\nkind: VirtualService\nmetadata: {{name: {name}}}\nspec:\n  hosts: [a.x]\n  {gateways}\n  http:\n{rule}---\n"
            )
        };
        one("catch", &format!("  - {TO}\n"))
            + &one("late", &format!("  - {TO}\n    match: [{{uri: {{prefix: /x}}}}]\n"))
    };
    let rule_of = |text: &str| {
        let (table, warnings) = RouteTable::new(read(text).unwrap().sets, &Setup::default());
        let head = head("GET /x HTTP/1.1\r\nHost: a.x\r\n\r\n");
        let search = table.search(&shadowcap::route::RequestFacts::new(&head));
        (
            search.hit.unwrap().1.name.to_string(),
            warnings.iter().any(|told| told.text.contains("comes first")),
        )
    };
    assert_eq!(rule_of(&two("")), ("catch http[0]".to_owned(), true));
    assert_eq!(
        rule_of(&two("gateways: [edge]")),
        ("late http[0]".to_owned(), false),
        "what matches all goes last"
    );
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 300, failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn no_bytes_make_the_reading_of_rules_panic(bytes in proptest::collection::vec(any::<u8>(), 0..400)) {
        let _ = read(&String::from_utf8_lossy(&bytes));
    }

    #[test]
    fn no_edit_of_a_rules_file_makes_the_reading_of_it_panic(at in 0_usize..700, cut in 0_usize..40, put in "[ \\-:{}\\[\\],*&!|>'\"%@a-z0-9\n]{0,12}") {
        let text = http(&format!(
            "  - {TO}\n    match: [{{uri: {{regex: \"a+\"}}, headers: {{x: {{prefix: a}}}}, queryParams: {{q: {{exact: b}}}}}}]\n    mirrors:\n    - destination: {{host: c, subset: v2}}\n      percentage: {{value: 12.5}}\n    rewrite: {{uriRegexRewrite: {{match: \"^/(.*)$\", rewrite: '/x/\\1'}}}}\n    headers: {{request: {{set: {{a: b}}, remove: [c]}}}}\n    fault: {{abort: {{percentage: {{value: 1}}, httpStatus: 503}}}}\n"
        ));
        let at = (0..=at.min(text.len())).rev().find(|at| text.is_char_boundary(*at)).unwrap_or(0);
        let end = (at + cut).min(text.len());
        let broken = format!("{}{put}{}", &text[..at], &text[end..]);
        if let Ok(rules) = read(&broken) {
            let (table, _) = RouteTable::new(rules.sets, &Setup::default());
            let draws = shadowcap::route::Draws::from_value(7, shadowcap::route::Sampling::Envoy);
            let _ = table.decide(&head("GET /aaa?q=b HTTP/1.1\r\nHost: a\r\nX: abc\r\n\r\n"), &draws);
        }
    }
}
