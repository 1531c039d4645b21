use jiff::civil::date;

use super::super::tests::{mirrored, response};
use super::super::{Class, Difference, Kind, compare_by_rules};
use super::{Rules, Subject};
use crate::http::Response;
use crate::time::Timestamp;

fn rules(text: &str) -> Rules {
    Rules::parse(text, date(2026, 11, 22)).unwrap()
}

fn error(text: &str) -> (usize, String) {
    let error = Rules::parse(text, date(2026, 11, 22)).unwrap_err();
    (error.line, error.message)
}

const ORDERS: Subject<'_> = Subject {
    route: "/orders/{number}",
    method: "GET",
    host: "shop.example",
    status: 200,
    content_type: "application/json",
};

fn json(body: &str) -> Response {
    response(200, &["Content-Type: application/json", "X-Served-By: a"], body.to_owned())
}

fn judged(rules: &Rules, v1: &Response, v2: &Response) -> Vec<(String, Kind, Class)> {
    let (found, _) = compare_by_rules(v1, v2, &mirrored(), &rules.applicable(&ORDERS));
    found.into_iter().map(|Difference { path, kind, class, .. }| (path, kind, class)).collect()
}

/// The class of the one difference between two values of a member `x`.
fn class_of(effect: &str, v1: &str, v2: &str) -> Class {
    let rules = rules(&format!("[[rule]]\npath = \"$.x\"\n{effect}\n"));
    let found = judged(&rules, &json(&format!("{{\"x\":{v1}}}")), &json(&format!("{{\"x\":{v2}}}")));
    assert_eq!(found.len(), 1, "{found:?}");
    found[0].2
}

#[test]
fn each_effect_allows_what_it_names_and_no_more() {
    for (effect, v1, v2, allowed) in [
        ("ignore = true", "1", "2", true),
        ("ignore = 'why'", "1", "null", true),
        (
            "shape = 'uuid'",
            "\"f81d4fae-7dec-11d0-a765-00a0c91e6bf6\"",
            "\"123e4567-e89b-12d3-a456-426614174000\"",
            true,
        ),
        ("shape = 'uuid'", "\"f81d4fae-7dec-11d0-a765-00a0c91e6bf6\"", "\"\"", false),
        ("shape = 'uuid'", "\"f81d4fae-7dec-11d0-a765-00a0c91e6bf6\"", "null", false),
        ("shape = '/ord-[0-9]+/'", "\"ord-1\"", "\"ord-22\"", true),
        ("shape = '/ord-[0-9]+/'", "\"ord-1\"", "\"ord-22x\"", false),
        ("tolerance = 0.01", "1.00", "1.01", true),
        ("tolerance = 0.01", "1.00", "1.02", false),
        ("tolerance = 1", "\"1\"", "\"2\"", true),
        ("relative_tolerance = 0.1", "100", "109", true),
        ("relative_tolerance = 0.1", "100", "112", false),
        ("relative_tolerance = 0.1", "\"a\"", "\"b\"", false),
        ("time_tolerance = '5s'", "\"2026-01-01T00:00:00Z\"", "\"2026-01-01T01:00:04+01:00\"", true),
        ("time_tolerance = '5s'", "\"2026-01-01T00:00:00Z\"", "\"2026-01-01T00:00:06Z\"", false),
        ("time_tolerance = '5s'", "1767225600", "1767225604.5", true),
        ("time_tolerance = '5s'", "1767225600000", "1767225606000", false),
        ("time_tolerance = '1h'", "1", "2", false),
        ("case = 'ignore'", "\"USD\"", "\"usd\"", true),
        ("case = 'ignore'", "\"USD\"", "\"eur\"", false),
        ("equal = [['active', '1']]", "\"active\"", "\"1\"", true),
        ("equal = [['active', '1']]", "1", "\"active\"", true),
        ("equal = [['active', '1']]", "\"active\"", "\"2\"", false),
        ("equal = [['', 'null']]", "null", "\"\"", true),
    ] {
        let expected = if allowed { Class::RuledOut } else { Class::Unverified };
        assert_eq!(class_of(effect, v1, v2), expected, "{effect}: {v1} / {v2}");
    }
}

#[test]
fn a_time_may_be_that_of_its_own_answer() {
    let rules = rules("[[rule]]\npath = '$.now'\ntime_tolerance = '2s'\n");
    let at = |day: i64, now: &str| Response {
        first_byte: Timestamp::from_parts(1_767_225_600 + day * 86_400, 0),
        ..json(&format!("{{\"now\":\"{now}\"}}"))
    };
    let v1 = at(0, "2026-01-01T00:00:01Z");
    assert_eq!(judged(&rules, &v1, &at(9, "2026-01-09T23:59:59Z"))[0].2, Class::RuledOut);
    assert_eq!(judged(&rules, &v1, &at(9, "2026-01-09T23:59:50Z"))[0].2, Class::Unverified);
}

#[test]
fn the_most_exact_rule_decides_even_where_it_allows_less() {
    let rules = rules(
        "[[rule]]\npath = '$'\nignore = true\n\
         [[rule]]\npath = '$.price'\ntolerance = 0.01\n\
         [[rule]]\nroute = '/orders/*'\npath = '$.price'\ntolerance = 10\n\
         [[rule]]\nroute = '/carts/*'\npath = '$.price'\nignore = true\n",
    );
    let found = judged(&rules, &json(r#"{"a":1,"price":5}"#), &json(r#"{"a":2,"price":50}"#));
    assert_eq!(
        found,
        [
            ("$['a']".to_owned(), Kind::ValueChanged, Class::RuledOut),
            ("$['price']".to_owned(), Kind::ValueChanged, Class::Unverified)
        ]
    );
}

#[test]
fn rules_speak_of_what_they_select() {
    for (selector, speaks) in [
        ("route = '/orders/*'", true),
        ("route = '/carts/*'", false),
        ("method = 'GET'", true),
        ("method = 'get'", false),
        ("host = 'SHOP.*'", true),
        ("status = 200", true),
        ("status = '2xx'", true),
        ("status = '4xx'", false),
        ("content_type = 'application/*'", true),
        ("content_type = 'text/*'", false),
        ("kind = 'value_changed'", true),
        ("kind = 'missing'", false),
    ] {
        let rules = rules(&format!("[[rule]]\n{selector}\npath = '$'\nignore = true"));
        let class = judged(&rules, &json("1"), &json("2"))[0].2;
        assert_eq!(class == Class::RuledOut, speaks, "{selector}");
    }
}

#[test]
fn header_fields_go_by_their_names() {
    let rules = rules("[[rule]]\nheader = 'X-*'\nignore = 'hosts differ'\n");
    let v2 = response(200, &["Content-Type: text/json", "X-Served-By: b", "Y: 1"], "{}");
    let v1 = response(200, &["Content-Type: text/json", "X-Own: a"], "{}");
    let found = judged(&rules, &v1, &v2);
    let class = |name: &str| found.iter().find(|(path, ..)| path == name).unwrap().2;
    assert_eq!(class("x-own"), Class::RuledOut);
    assert_eq!(class("y"), Class::Unverified);
}

#[test]
fn cookies_go_by_their_field_and_by_their_own_names() {
    let answer = |lines: &[&str]| response(200, lines, "");
    let v1 = answer(&["Set-Cookie: SID=1; Secure", "Set-Cookie: lang=de; HttpOnly"]);
    let v2 = answer(&["Set-Cookie: SID=1", "Set-Cookie: lang=de"]);
    for (header, allowed) in [
        ("Set-Cookie", [true, true]),
        ("set-cookie[SID]", [true, false]),
        ("Set-Cookie[l*]", [false, true]),
        ("set-cookie[sid]", [false, false]),
        ("set", [false, false]),
    ] {
        let rules = rules(&format!("[[rule]]\nheader = '{header}'\nignore = true\n"));
        let found = judged(&rules, &v1, &v2);
        assert_eq!([found[0].2, found[1].2].map(|class| class == Class::RuledOut), allowed, "{header}");
    }
    // The one that names the cookie is the more exact one.
    let both = "[[rule]]\nheader = 'set-cookie'\nignore = true\n\
                [[rule]]\nheader = 'set-cookie[SID]'\nshape = 'uuid'\n";
    let found = judged(&rules(both), &v1, &v2);
    assert_eq!([found[0].2, found[1].2], [Class::Unverified, Class::RuledOut]);
}

#[test]
fn rules_look_at_whole_values() {
    let long = |word: &str, n: usize| format!("\"{}{word}\"", "lorem ipsum ".repeat(n));
    assert_eq!(class_of("case = 'ignore'", &long("A", 100), &long("a", 100)), Class::RuledOut);
    assert_eq!(class_of("case = 'ignore'", &long("A", 100), &long("b", 100)), Class::Unverified);
    let jwt = |last: &str| format!("\"eyJ{}.e30.{last}\"", "x".repeat(400));
    assert_eq!(class_of("shape = 'jwt'", &jwt("a"), &jwt("b")), Class::RuledOut);
    assert_eq!(class_of("equal = [['', 'x']]", &long("A", 100), "\"x\""), Class::Unverified);
    // A value that is longer than is looked at is none of which anything is known.
    assert_eq!(class_of("case = 'ignore'", &long("A", 10_000), &long("a", 10_000)), Class::Unverified);
    let redacted = |digest: u8, form: &str| format!("\"redacted:0123456789a{digest}:{form}\"");
    assert_eq!(class_of("shape = 'jwt'", &redacted(1, "jwt"), &redacted(2, "jwt")), Class::RuledOut);
    assert_eq!(class_of("shape = 'jwt'", &redacted(1, "jwt"), &redacted(2, "text40")), Class::Unverified);
}

#[test]
fn arrays_are_matched_as_a_rule_says() {
    let set = rules("[[rule]]\npath = '$.tags'\narray = 'set'\n");
    let of = |tags: &str| json(&format!("{{\"tags\":{tags}}}"));
    let found = judged(&set, &of("[1,2,3]"), &of("[3,1,4]"));
    assert_eq!(
        found,
        [
            ("$['tags']".to_owned(), Kind::Reordered, Class::RuledOut),
            ("$['tags'][1]".to_owned(), Kind::ElementRemoved, Class::Unverified),
            ("$['tags'][2]".to_owned(), Kind::ElementAdded, Class::Unverified),
        ]
    );
    let keyed = rules("[[rule]]\npath = '$.tags'\narray_key = 'sku'\n");
    let found = judged(
        &keyed,
        &of(r#"[{"sku":1,"n":1},{"sku":2,"n":2}]"#),
        &of(r#"[{"sku":2,"n":3},{"sku":9,"n":1}]"#),
    );
    let paths: Vec<_> = found.iter().map(|(path, kind, _)| (path.as_str(), *kind)).collect();
    assert_eq!(
        paths,
        [
            ("$['tags'][1]['n']", Kind::ValueChanged),
            ("$['tags'][0]", Kind::ElementRemoved),
            ("$['tags'][1]", Kind::ElementAdded)
        ]
    );
}

#[test]
fn what_rules_allow_is_named_with_the_rule() {
    let rules =
        rules("[[rule]]\npath = '$.b'\nignore = true\n[[rule]]\nname = 'a'\npath = '$.a'\nignore = 'x'\n");
    let (found, ruled) = compare_by_rules(
        &json(r#"{"a":1,"b":1,"c":1}"#),
        &json(r#"{"a":2,"b":2,"c":2}"#),
        &mirrored(),
        &rules.applicable(&ORDERS),
    );
    let named: Vec<_> =
        ruled.iter().map(|ruled| (found[ruled.difference].path.as_str(), ruled.rule)).collect();
    assert_eq!(named, [("$['a']", 1), ("$['b']", 0)]);
    let info: Vec<_> =
        rules.iter().map(|rule| (rule.name.to_owned(), rule.line, rule.reason.map(str::to_owned))).collect();
    assert_eq!(info, [("line 1".to_owned(), 1, None), ("a".to_owned(), 4, Some("x".to_owned()))]);
}

#[test]
fn rules_hold_until_they_expire() {
    for (expires, class) in [("2026-11-22", Class::RuledOut), ("2026-11-21", Class::Unverified)] {
        let rules = rules(&format!("[[rule]]\npath = '$'\nignore = true\nexpires = {expires}\n"));
        assert_eq!(judged(&rules, &json("1"), &json("2"))[0].2, class, "{expires}");
        let expired = rules.iter().next().unwrap().expired.is_some();
        assert_eq!(expired, class == Class::Unverified);
    }
}

#[test]
fn a_broken_file_is_refused_with_its_line() {
    for (text, line, part) in [
        ("[[rule]]\npath = '$.a'\nignore = true\n\n[[rule]]\npath = '$.b'\n", 5, "needs an effect"),
        ("[[rule]]\nignore = true", 1, "needs a place"),
        ("[[rule]]\npath = '$'\nheader = 'a'\nignore = true", 1, "one place"),
        ("[[rule]]\npath = '$'\nv2_status = 404\nignore = true", 1, "one place"),
        ("[[rule]]\nv2_status = 40\nignore = true", 1, "no status"),
        ("[[rule]]\nv2_status = 404\ntolerance = 1", 1, "nothing else"),
        (
            "[[rule]]\nv2_status = '4xx'\nignore = true\n[[rule]]\nv2_status = '4xx'\nignore = true",
            4,
            "same place",
        ),
        ("[[rule]]\npath = '$'\nignore = true\ntolerance = 1", 1, "one effect"),
        ("[[rule]]\npath = '$x'\nignore = true", 1, "$x: `.` or `[` is expected at character 1"),
        ("[[rule]]\npath = '$'\nshape = 'guid'", 1, "`guid` is no shape: uuid"),
        ("[[rule]]\npath = '$'\nshape = '/(/'", 1, "`/(/`"),
        ("[[rule]]\npath = '$'\ntolerance = -1", 1, "a tolerance is"),
        ("[[rule]]\npath = '$'\ntime_tolerance = 'soon'", 1, "`soon` is no duration"),
        ("[[rule]]\npath = '$'\nignore = true\nstatus = '6x'", 1, "`6x` is no status"),
        ("[[rule]]\npath = '$'\nignored = true", 3, "unknown field `ignored`"),
        ("[[rule]]\npath = '$'\nignore = true\nexpires = 10:00:00", 1, "a date is expected"),
        ("rule = 1", 1, "invalid type"),
        ("[[rule]\n", 1, ""),
        (
            "\n[[rule]]\nname='x'\npath = '$.a'\nignore = true\n[[rule]]\nname='x'\npath='$.b'\nignore=true",
            6,
            "line 2 is named `x`",
        ),
    ] {
        let (at, message) = error(text);
        assert_eq!(at, line, "{text}: {message}");
        assert!(message.contains(part), "{text}: {message}");
    }
}

#[test]
fn two_rules_that_are_equally_exact_for_one_place_are_refused() {
    let pair = |a: &str, b: &str| format!("[[rule]]\n{a}\nignore = true\n[[rule]]\n{b}\nignore = true\n");
    for (a, b) in [
        ("path = '$.a'", "path = '$.a'"),
        ("path = '$.a.*'", "path = '$.*.b'"),
        ("route = '/a*'\npath = '$.x'", "route = '*b'\npath = '$.x'"),
        ("header = 'x-*'", "header = '*-y'"),
    ] {
        let (_, message) = error(&pair(a, b));
        assert!(message.contains("the rule at line 1 speaks of the same place"), "{a} / {b}: {message}");
    }
    for (a, b) in [
        ("path = '$.a'", "path = '$.b'"),
        ("route = '/a'\npath = '$.x'", "route = '/b'\npath = '$.x'"),
        ("status = 200\npath = '$.x'", "status = 404\npath = '$.x'"),
        ("path = '$.a'\nexpires = 2020-01-01", "path = '$.a'"),
        ("kind = 'missing'\npath = '$.a'", "kind = 'added'\npath = '$.a'"),
    ] {
        rules(&pair(a, b));
    }
}

proptest::proptest! {
    #[test]
    fn any_text_is_read_or_refused(text in "(\\[\\[rule\\]\\]|path|header|ignore|=|'\\$\\.a'|true|\n| |\\[|1|\\.){0,40}") {
        _ = Rules::parse(&text, date(2026, 11, 22));
    }
}

#[test]
fn another_status_is_allowed_by_name_or_by_class_and_the_more_exact_rule_decides() {
    let rules = rules(
        "[[rule]]\nstatus = 200\nv2_status = '2xx'\nignore = 'any success'\n\
         [[rule]]\nstatus = 200\nv2_status = 206\nkind = 'not_modified'\nignore = true\n\
         [[rule]]\npath = '$'\nignore = true\n",
    );
    let judged = |v2: u16| {
        let v2 = response(v2, &["Content-Type: application/json", "X-Served-By: a"], "{}");
        judged(&rules, &json("{\"a\":1}"), &v2)
    };
    assert_eq!(judged(204), [(String::new(), Kind::ValueChanged, Class::RuledOut)]);
    assert_eq!(judged(404), [(String::new(), Kind::ValueChanged, Class::Unverified)]);
    assert_eq!(judged(206), [(String::new(), Kind::ValueChanged, Class::RuledOut)], "of another kind");
}
