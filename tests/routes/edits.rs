//! What is sent for a rule: path, authority and fields, in Istio's and Envoy's order.

use shadowcap::replay::{HeadEdits, RuleEdits};
use shadowcap::route::{Draws, HostEdit, NotMirrored, RouteTable, Rules, Sampling, Setup};

use crate::cases::head;

/// The shadow's head under this virtual service's rule, without its empty line.
fn shadow(rule: &str, request: &str) -> Result<String, NotMirrored> {
    let text = format!(
        "apiVersion: networking.istio.io/v1\nkind: VirtualService\nmetadata: {{name: s}}\nspec:\n  hosts: [a]\n  http:\n  - mirror: {{host: m}}\n{rule}"
    );
    sent(&text, request, &HeadEdits::default())
}

fn sent(text: &str, request: &str, edits: &HeadEdits) -> Result<String, NotMirrored> {
    let rules = Rules::read(&[("r".to_owned(), text.to_owned())], "default").unwrap();
    let (table, _) = RouteTable::new(rules.sets, &Setup::default());
    let head = head(request);
    let decision = table.decide(&head, &Draws::from_value(0, Sampling::Envoy));
    if let Some(why) = decision.why_nothing {
        return Err(why);
    }
    let bytes = edits.apply(&head, [192, 0, 2, 7].into(), RuleEdits::of(&decision));
    Ok(String::from_utf8(bytes.to_vec()).unwrap().trim_end().replace("\r\n", "|"))
}

const ROUTE: &str = "    route: [{destination: {host: b}}]\n";

#[test]
fn paths_are_rewritten_as_istio_and_envoy_do_it() {
    for (rule, target, rewritten) in [
        // What a prefix matched is replaced, slashes and all.
        ("match: [{uri: {prefix: /api}}]\n    rewrite: {uri: /v2}", "/api/x?y=1", "/v2/x?y=1"),
        ("match: [{uri: {prefix: /api/}}]\n    rewrite: {uri: /}", "/api/x", "/x"),
        ("match: [{uri: {prefix: /api}}]\n    rewrite: {uri: /}", "/api/x", "//x"),
        ("match: [{uri: {prefix: /API}, ignoreUriCase: true}]\n    rewrite: {uri: /v2}", "/api/x", "/v2/x"),
        // An exact path, or a pattern's, as a whole.
        ("match: [{uri: {exact: /a}}]\n    rewrite: {uri: /b}", "/a?q", "/b?q"),
        ("match: [{uri: {regex: '/a.*'}}]\n    rewrite: {uri: /b}", "/abc?q", "/b?q"),
        // Without a match, the prefix is the first slash.
        ("rewrite: {uri: /v2}", "/x", "/v2x"),
        ("rewrite: {uri: /v2/}", "/x", "/v2/x"),
        // A pattern, wherever it matches, and not in the query.
        (
            "rewrite: {uriRegexRewrite: {match: '^/u/(\\d+)/(.*)$', rewrite: '/\\2/of/\\1'}}",
            "/u/7/x?/u/8",
            "/x/of/7?/u/8",
        ),
        ("rewrite: {uriRegexRewrite: {match: 'a', rewrite: 'bb'}}", "/a/a?a", "/bb/bb?a"),
        ("rewrite: {uriRegexRewrite: {match: 'z', rewrite: 'y'}}", "/a", "/a"),
        ("rewrite: {uriRegexRewrite: {match: '.*', rewrite: ''}}", "/a", "/"),
    ] {
        let head =
            shadow(&format!("    {rule}\n{ROUTE}"), &format!("GET {target} HTTP/1.1\r\nHost: a\r\n\r\n"));
        assert_eq!(head.unwrap(), format!("GET {rewritten} HTTP/1.1|Host: a-shadow"), "{rule}");
    }
}

/// The table of `ReplacePrefixMatch` in Gateway API's reference.
#[test]
fn prefixes_are_replaced_as_gateway_api_has_it() {
    for (path, prefix, replacement, rewritten) in [
        ("/foo/bar", "/foo", "/xyz", "/xyz/bar"),
        ("/foo/bar", "/foo", "/xyz/", "/xyz/bar"),
        ("/foo/bar", "/foo/", "/xyz", "/xyz/bar"),
        ("/foo/bar", "/foo/", "/xyz/", "/xyz/bar"),
        ("/foo", "/foo", "/xyz", "/xyz"),
        ("/foo/", "/foo", "/xyz", "/xyz/"),
        ("/foo/bar", "/foo", "", "/bar"),
        ("/foo/", "/foo", "", "/"),
        ("/foo", "/foo", "", "/"),
        ("/foo/", "/foo", "/", "/"),
        ("/foo", "/foo", "/", "/"),
    ] {
        let text = format!(
            "apiVersion: gateway.networking.k8s.io/v1\nkind: HTTPRoute\nmetadata: {{name: s}}\nspec:\n  hostnames: [a]\n  rules:\n  - matches: [{{path: {{value: {prefix}}}}}]\n    backendRefs: [{{name: b}}]\n    filters:\n    - {{type: RequestMirror, requestMirror: {{backendRef: {{name: m}}}}}}\n    - {{type: URLRewrite, urlRewrite: {{path: {{type: ReplacePrefixMatch, replacePrefixMatch: '{replacement}'}}}}}}\n"
        );
        let head =
            sent(&text, &format!("GET {path} HTTP/1.1\r\nHost: a\r\n\r\n"), &HeadEdits::default()).unwrap();
        assert_eq!(head, format!("GET {rewritten} HTTP/1.1|Host: a-shadow"), "{path} {prefix} {replacement}");
    }
}

#[test]
fn fields_are_removed_then_set_then_added_and_the_authority_takes_the_suffix() {
    let request = "GET / HTTP/1.1\r\nHost: a:80\r\nX-A: 0\r\nX-B: 0\r\n\r\n";
    for (rule, head) in [
        (
            "headers: {request: {remove: [x-a], set: {x-b: '1'}, add: {x-b: '2', c: '3'}}}",
            "GET / HTTP/1.1|Host: a-shadow:80|X-B: 1|x-b: 2|c: 3",
        ),
        ("headers: {request: {add: {x-a: '1'}}}", "GET / HTTP/1.1|Host: a-shadow:80|X-A: 0|X-B: 0|x-a: 1"),
        (
            "headers: {request: {set: {host: 'n:1', ':path': /x}}}",
            "GET / HTTP/1.1|Host: n-shadow:1|X-A: 0|X-B: 0",
        ),
        (
            "rewrite: {authority: r}\n    headers: {request: {set: {host: h}}}",
            "GET / HTTP/1.1|Host: r-shadow|X-A: 0|X-B: 0",
        ),
        ("headers: {request: {set: {x-a: '100%%'}}}", "GET / HTTP/1.1|Host: a-shadow:80|X-A: 100%|X-B: 0"),
    ] {
        assert_eq!(shadow(&format!("    {rule}\n{ROUTE}"), request).unwrap(), head, "{rule}");
    }
    // With one destination its operations come after the rule's, with several before them.
    let of = |destinations: &str| {
        let rule = format!("    headers: {{request: {{set: {{x-a: rule}}}}}}\n    route:\n{destinations}");
        shadow(&rule, "GET / HTTP/1.1\r\nHost: a\r\n\r\n").unwrap()
    };
    let own = "    - {destination: {host: b}, weight: 1, headers: {request: {set: {x-a: own}}}}\n";
    assert!(of(own).ends_with("|x-a: own"));
    assert!(of(&format!("{own}    - {{destination: {{host: c}}, weight: 1}}\n")).ends_with("|x-a: rule"));
}

#[test]
fn an_absolute_target_takes_the_new_authority_too() {
    let request = "GET http://a:80/x?y HTTP/1.1\r\nHost: a:80\r\n\r\n";
    let head = shadow(&format!("    rewrite: {{authority: 'n:1', uri: /z/}}\n{ROUTE}"), request).unwrap();
    assert_eq!(head, "GET http://n:1/z/x?y HTTP/1.1|Host: n-shadow:1");
}

#[test]
fn what_a_proxy_answers_by_itself_is_not_mirrored() {
    let request = "GET / HTTP/1.1\r\nHost: a\r\n\r\n";
    for (rule, why) in [
        ("    redirect: {uri: /x}\n".to_owned(), NotMirrored::Redirect),
        ("    directResponse: {status: 418, body: {string: no}}\n".to_owned(), NotMirrored::Respond(418)),
        (
            format!("    fault: {{abort: {{percentage: {{value: 100}}, httpStatus: 500}}}}\n{ROUTE}"),
            NotMirrored::Fault,
        ),
        (format!("    mirrorPercentage: {{value: 0}}\n{ROUTE}"), NotMirrored::NoMirror),
    ] {
        assert_eq!(shadow(&rule, request), Err(why), "{rule}");
    }
    for rule in ["abort: {httpStatus: 500}", "delay: {fixedDelay: 1s, percentage: {value: 100}}"] {
        assert!(shadow(&format!("    fault: {{{rule}}}\n{ROUTE}"), request).is_ok(), "{rule}");
    }
}

#[test]
fn a_delegate_has_both_matches_and_what_it_leaves_open_from_the_root() {
    let text = "apiVersion: networking.istio.io/v1\nkind: VirtualService\nmetadata: {name: root}\nspec:\n  hosts: [a]\n  http:\n  - match: [{uri: {prefix: /p}}]\n    delegate: {name: child, namespace: other}\n    mirror: {host: m}\n    headers: {request: {set: {x: root}}}\n---\napiVersion: networking.istio.io/v1\nkind: VirtualService\nmetadata: {name: child, namespace: other}\nspec:\n  http:\n  - match: [{uri: {prefix: /p/q}}]\n    rewrite: {uri: /r}\n    route: [{destination: {host: b}}]\n";
    let edits = HeadEdits { host: HostEdit::None, ..HeadEdits::default() };
    let of = |target: &str| sent(text, &format!("GET {target} HTTP/1.1\r\nHost: a\r\n\r\n"), &edits);
    assert_eq!(of("/p/q/s"), Ok("GET /r/s HTTP/1.1|Host: a|x: root".to_owned()));
    assert_eq!(of("/p"), Err(NotMirrored::NoRoute));
    assert_eq!(of("/q"), Err(NotMirrored::NoRoute));
}

/// Istio's `hasConflict` in `pilot/pkg/model/virtualservice.go`: what a delegate matches has to be narrower than what
/// the rule that delegates to it matches, by the texts of both.
#[test]
fn a_delegates_rule_that_does_not_go_with_its_root_is_left_out() {
    for (root, leaf, conflict) in [
        // No conflict where one of them leaves the field open.
        ("uri: {regex: '/p.*'}", "method: {exact: GET}", None),
        ("headers: {x: {regex: 'a.*'}}", "headers: {y: {regex: 'b.*'}}", None),
        ("uri: {prefix: /p}", "uri: {prefix: /p/q}", None),
        ("uri: {prefix: /p}", "uri: {exact: /p/q}", None),
        ("uri: {exact: /p/q}", "uri: {exact: /p/q}", None),
        ("uri: {prefix: /p}, ignoreUriCase: true", "uri: {prefix: /p/q}, ignoreUriCase: true", None),
        ("port: 80", "uri: {prefix: /p}", None),
        ("gateways: [mesh, edge]", "gateways: [mesh]", None),
        // A pattern on either side.
        ("uri: {regex: '/p.*'}", "uri: {prefix: /p/q}", Some("`uri`")),
        ("uri: {prefix: /p}", "uri: {regex: '/p/q'}", Some("`uri`")),
        ("uri: {regex: '/p.*'}", "uri: {regex: '/p.*'}", Some("`uri`")),
        ("method: {regex: 'G.*'}", "method: {exact: GET}", Some("`method`")),
        ("headers: {x: {regex: 'a.*'}}", "headers: {x: {exact: ab}}", Some("`headers x`")),
        ("withoutHeaders: {x: {exact: a}}", "withoutHeaders: {x: {regex: a}}", Some("`withoutHeaders x`")),
        ("queryParams: {q: {exact: a}}", "queryParams: {q: {regex: a}}", Some("`queryParams q`")),
        // What is not narrower.
        ("uri: {exact: /p/q}", "uri: {prefix: /p}", Some("`uri`")),
        ("uri: {exact: /p/q}", "uri: {exact: /p}", Some("`uri`")),
        ("uri: {prefix: /p/q}", "uri: {prefix: /p}", Some("`uri`")),
        ("uri: {prefix: /p/q}", "uri: {exact: /p}", Some("`uri`")),
        ("uri: {prefix: /p}, ignoreUriCase: true", "uri: {prefix: /p/q}", Some("`ignoreUriCase`")),
        ("uri: {prefix: /p}", "uri: {prefix: /p/q}, ignoreUriCase: true", Some("`ignoreUriCase`")),
        ("authority: {exact: a}", "authority: {exact: b}", Some("`authority`")),
        ("port: 80", "port: 81", Some("`port`")),
        ("sourceNamespace: other", "uri: {prefix: /p}", Some("`sourceNamespace`")),
        ("sourceLabels: {a: one}", "sourceLabels: {a: two}", Some("`sourceLabels`")),
        ("gateways: [mesh]", "gateways: [edge]", Some("`gateways`")),
    ] {
        let text = format!(
            "apiVersion: networking.istio.io/v1\nkind: VirtualService\nmetadata: {{name: root}}\nspec:\n  hosts: [a]\n  http:\n  - match: [{{{root}}}]\n    delegate: {{name: child}}\n---\napiVersion: networking.istio.io/v1\nkind: VirtualService\nmetadata: {{name: child}}\nspec:\n  http:\n  - name: first\n    match: [{{{leaf}}}]\n    mirror: {{host: m}}\n{ROUTE}  - name: second\n    mirror: {{host: m}}\n{ROUTE}"
        );
        let rules = Rules::read(&[("r".to_owned(), text)], "default").unwrap();
        let names: Vec<_> =
            rules.sets[0].rules.iter().map(|rule| rule.name.rsplit(' ').next().unwrap()).collect();
        let warnings: Vec<_> = rules.warnings.iter().map(ToString::to_string).collect();
        match conflict {
            None => assert_eq!(
                (&names[..], &warnings[..]),
                (&["first", "second"][..], &[][..]),
                "{root} and {leaf}"
            ),
            Some(field) => {
                assert_eq!(names, ["second"], "{root} and {leaf}");
                let [told] = &warnings[..] else { panic!("{warnings:?}") };
                // Both lines, and the field.
                assert!(
                    told.starts_with("r:16: child http[0] is left out where r:7 delegates to it"),
                    "{told}"
                );
                assert!(told.contains(field), "{told}");
            }
        }
    }
}

/// Each of the delegate's matches has to go with one of the root's, and is joined with those alone.
#[test]
fn of_several_matches_those_pairs_stay_that_go_together() {
    let text = |leaf: &str| {
        format!(
            "apiVersion: networking.istio.io/v1\nkind: VirtualService\nmetadata: {{name: root}}\nspec:\n  hosts: [a]\n  http:\n  - match: [{{uri: {{prefix: /p}}}}, {{uri: {{regex: '/.*'}}}}, {{uri: {{exact: /q}}}}]\n    delegate: {{name: child}}\n---\napiVersion: networking.istio.io/v1\nkind: VirtualService\nmetadata: {{name: child}}\nspec:\n  http:\n  - match: [{leaf}]\n{ROUTE}"
        )
    };
    for (leaf, words) in [
        (
            "{uri: {prefix: /p/x}}, {uri: {exact: /q}}",
            Some(vec!["path prefix \"/p\", path prefix \"/p/x\"", "path exact \"/q\""]),
        ),
        ("{uri: {prefix: /p/x}}, {uri: {exact: /other}}", None),
    ] {
        let rules = Rules::read(&[("r".to_owned(), text(leaf))], "default").unwrap();
        let found = rules.sets[0]
            .rules
            .first()
            .map(|rule| rule.matches.iter().map(|m| m.words().to_string()).collect());
        assert_eq!(
            found,
            words.map(|words| words.into_iter().map(str::to_owned).collect::<Vec<_>>()),
            "{leaf}"
        );
        assert_eq!(rules.warnings.is_empty(), leaf.ends_with("/q}}"), "{:?}", rules.warnings);
    }
}

#[test]
fn as_envoy_the_destination_is_told_of_the_rewrite_and_the_timeout() {
    let text = "apiVersion: networking.istio.io/v1\nkind: VirtualService\nmetadata: {name: s}\nspec:\n  hosts: [a]\n  http:\n  - mirror: {host: m}\n    rewrite: {uri: /r/}\n    timeout: 1.5s\n    route: [{destination: {host: b}}]\n";
    let edits = HeadEdits { as_envoy: true, ..HeadEdits::default() };
    let head = sent(text, "GET /x?y HTTP/1.1\r\nHost: a\r\n\r\n", &edits).unwrap();
    for field in [
        "|x-envoy-original-path: /x?y",
        "|x-envoy-expected-rq-timeout-ms: 1500",
        "|x-envoy-internal: true",
        "|x-forwarded-for: 192.0.2.7",
    ] {
        assert!(head.contains(field), "{field}: {head}");
    }
}
