//! What is found in answers as services give them.

use super::*;

#[test]
fn json_is_compared_by_structure() {
    type Row<'t> = (&'t str, &'t str, &'t [(&'t str, Kind)]);
    use Kind::*;
    let table: &[Row<'_>] = &[
        (r#"{"a":1,"b":2}"#, r#"{ "b": 2, "a": 1 }"#, &[]),
        (r#"{"a":1}"#, r#"{"a":2}"#, &[("$['a']", ValueChanged)]),
        (r#"{"a":1}"#, r#"{"a":1.0}"#, &[("$['a']", NumberFormat)]),
        (r#"{"a":1e400}"#, r#"{"a":10e399}"#, &[("$['a']", NumberFormat)]),
        ("[9007199254740993]", "[9007199254740992]", &[("$[0]", ValueChanged)]),
        (r#"{"a":1}"#, r#"{"a":"1"}"#, &[("$['a']", StringNumber)]),
        (r#"{"a":1}"#, r#"{"a":"one"}"#, &[("$['a']", TypeChanged)]),
        (r#"{"a":{"b":1}}"#, r#"{"a":null}"#, &[("$['a']", TypeChanged)]),
        (r#"{"a":true}"#, r#"{"a":false}"#, &[("$['a']", ValueChanged)]),
        (r#"{"a":null}"#, "{}", &[("$['a']", NullMissing)]),
        ("{}", r#"{"a":null}"#, &[("$['a']", NullMissing)]),
        (r#"{"a":{"b":{"c":1}}}"#, "{}", &[("$['a']", Missing)]),
        ("{}", r#"{"a":{"b":{"c":1}}}"#, &[("$['a']", Added)]),
        (r#"{"a":1,"a":2}"#, r#"{"a":2}"#, &[("$['a']", DuplicateKey)]),
        (r#"{"a":1,"a":2}"#, r#"{"a":1,"a":3}"#, &[("$['a']", ValueChanged)]),
        (r#"{"a":1,"b":0,"a":2}"#, r#"{"b":0,"a":1,"a":2}"#, &[]),
        (r#""\u0041""#, r#""A""#, &[]),
        (r#""\ud800""#, r#""\ud801""#, &[("$", ValueChanged)]),
        ("[1,2,3]", "[1,3]", &[("$[1]", ElementRemoved)]),
        ("[1,2,3]", "[0,1,2,3]", &[("$[0]", ElementAdded)]),
        ("[1,2,3]", "[3,1,2]", &[("$", Reordered)]),
        ("[0,1,0]", "[1,1,1]", &[("$[0]", ValueChanged), ("$[2]", ValueChanged)]),
        ("[1,2]", "[1,2.0]", &[("$[1]", NumberFormat)]),
        ("[[1,2],[3]]", "[[1,2],[4]]", &[("$[1][0]", ValueChanged)]),
        (")]}',\n{\"a\":1}", ")]}',\n{\"a\":2}", &[("$['a']", ValueChanged)]),
        ("{\"a\":1}\n{\"a\":2}\n", "{\"a\":1}\n{\"a\":3}\n", &[("$[1]['a']", ValueChanged)]),
    ];
    for (v1, v2, expected) in table {
        let expected: Vec<_> = expected.iter().map(|(path, kind)| ((*path).to_owned(), *kind)).collect();
        assert_eq!(json_facts(v1, v2), expected, "{v1} / {v2}");
    }
}

#[test]
fn elements_are_known_by_their_keys() {
    let v1 = r#"[{"id":1,"n":"a","p":5},{"id":2,"n":"b","p":6},{"id":3,"n":"c","p":7}]"#;
    for (v2, expected) in [
        (
            r#"[{"id":3,"n":"c","p":7},{"id":1,"n":"a","p":5},{"id":2,"n":"b","p":9}]"#,
            vec![("$", Kind::Reordered), ("$[1]['p']", Kind::ValueChanged)],
        ),
        (
            r#"[{"id":2,"n":"B","p":6},{"id":3,"n":"c","p":7}]"#,
            vec![("$[0]", Kind::ElementRemoved), ("$[1]['n']", Kind::ValueChanged)],
        ),
        (
            r#"[{"id":1,"n":"a","p":5},{"id":8,"n":"b","p":6},{"id":3,"n":"c","p":7}]"#,
            vec![("$[1]['id']", Kind::ValueChanged)],
        ),
        (
            r#"[{"id":11,"n":"a","p":5},{"id":12,"n":"b","p":6},{"id":13,"n":"c","p":7}]"#,
            vec![
                ("$[0]['id']", Kind::ValueChanged),
                ("$[1]['id']", Kind::ValueChanged),
                ("$[2]['id']", Kind::ValueChanged),
            ],
        ),
    ] {
        let expected: Vec<_> = expected.into_iter().map(|(path, kind)| (path.to_owned(), kind)).collect();
        assert_eq!(json_facts(v1, v2), expected, "{v2}");
    }
}

/// Members of no known name that prove to name the elements.
#[test]
fn elements_are_known_by_keys_that_are_learned() {
    let item = |(sku, stock, colour): &(&str, u32, &str)| {
        format!(r#"{{"colour":"{colour}","stock":{stock},"sku":"{sku}"}}"#)
    };
    let list =
        |items: &[(&str, u32, &str)]| format!("[{}]", items.iter().map(item).collect::<Vec<_>>().join(","));
    let v1 = list(&[("a", 1, "red"), ("b", 2, "red"), ("c", 3, "blue"), ("d", 4, "red")]);
    // Another order, other numbers in stock; one is gone and another new.
    let v2 = list(&[("d", 7, "red"), ("c", 8, "blue"), ("b", 9, "green"), ("e", 6, "blue")]);
    let at = |path: &str, kind: Kind| (path.to_owned(), kind);
    assert_eq!(
        json_facts(&v1, &v2),
        [
            at("$", Kind::Reordered),
            at("$[0]", Kind::ElementRemoved),
            at("$[1]['colour']", Kind::ValueChanged),
            at("$[1]['stock']", Kind::ValueChanged),
            at("$[2]['stock']", Kind::ValueChanged),
            at("$[3]", Kind::ElementAdded),
            at("$[3]['stock']", Kind::ValueChanged),
        ]
    );
    // With less than half in common it names nothing: elements are held against each other in their places.
    let v2 = list(&[("d", 4, "red"), ("x", 2, "red"), ("y", 3, "blue"), ("z", 1, "red")]);
    let found = json_facts(&v1, &v2);
    assert!(found.iter().all(|(_, kind)| *kind != Kind::ElementRemoved), "{found:?}");
    // What stays in its place needs no key.
    assert_eq!(
        json_facts(r#"[{"x":1},{"x":2},{"x":3}]"#, r#"[{"x":1},{"x":9},{"x":3}]"#),
        [at("$[1]['x']", Kind::ValueChanged)]
    );
}

#[test]
fn elements_without_keys_are_matched_by_likeness() {
    let v1 = r#"[{"x":1,"y":1,"z":1},{"x":2,"y":2,"z":2}]"#;
    let v2 = r#"[{"x":2,"y":2,"z":3}]"#;
    assert_eq!(
        json_facts(v1, v2),
        [("$[0]".to_owned(), Kind::ElementRemoved), ("$[1]['z']".to_owned(), Kind::ValueChanged)]
    );
}

#[test]
fn many_more_elements_are_one_difference() {
    let long = format!("[{}]", (0..100).map(|n| n.to_string()).collect::<Vec<_>>().join(","));
    let found = compare(&json(long), &json("[]"), &mirrored());
    assert_eq!(found.len(), 1);
    assert_eq!((found[0].kind, found[0].v1.as_deref()), (Kind::ArrayLength, Some("100 elements")));
}

#[test]
fn the_echo_of_the_suffixed_host_is_the_shadowings_own() {
    let v1 = r#"{"headers":{"Host":"httpbin:8000"},"url":"http://httpbin:8000/get","n":1}"#;
    let v2 = r#"{"headers":{"Host":"httpbin-shadow:8000"},"url":"http://httpbin-shadow:8000/get","n":2}"#;
    assert_eq!(
        facts(&json(v1), &json(v2)),
        [
            ("$['headers']['Host']".to_owned(), Kind::ValueChanged, Class::Shadow),
            ("$['url']".to_owned(), Kind::ValueChanged, Class::Shadow),
            ("$['n']".to_owned(), Kind::ValueChanged, Class::Unverified),
        ]
    );
    let redirect = |to: &str| response(302, &[&format!("Location: {to}")], "");
    assert_eq!(
        facts(&redirect("http://httpbin:8000/a"), &redirect("http://httpbin-shadow:8000/a")),
        [("location".to_owned(), Kind::ValueChanged, Class::Shadow)]
    );
    assert_eq!(
        facts(&text("hello\nfrom httpbin:8000\n"), &text("hello\nfrom httpbin-shadow:8000\n")),
        [("line 2".to_owned(), Kind::ValueChanged, Class::Shadow)]
    );
}

#[test]
fn the_echo_of_added_headers_is_the_shadowings_own() {
    let mut context = mirrored();
    context.edits = vec![
        HeaderEdit { name: "x-envoy-internal".into(), value: Some(b"true".to_vec()) },
        HeaderEdit { name: "x-forwarded-for".into(), value: Some(b"10.0.0.1".to_vec()) },
        HeaderEdit { name: "x-secret".into(), value: None },
    ];
    let v1 = json(r#"{"headers":{"X-Secret":"s","X-Other":"1"},"origin":"192.0.2.7"}"#);
    let v2 = json(
        r#"{"headers":{"X-Envoy-Internal":"true","X-Forwarded-For":["10.0.0.1"],"X-Own":"true"},"origin":"10.0.0.1"}"#,
    );
    let found: Vec<_> = compare(&v1, &v2, &context).into_iter().map(|d| (d.path, d.class)).collect();
    assert_eq!(
        found,
        [
            ("$['headers']['X-Envoy-Internal']".to_owned(), Class::Shadow),
            ("$['headers']['X-Forwarded-For']".to_owned(), Class::Shadow),
            ("$['headers']['X-Other']".to_owned(), Class::Unverified),
            ("$['headers']['X-Own']".to_owned(), Class::Unverified),
            ("$['headers']['X-Secret']".to_owned(), Class::Shadow),
            ("$['origin']".to_owned(), Class::Shadow),
        ]
    );
}

#[test]
fn text_is_compared_by_lines() {
    assert_eq!(
        facts(&text("a\nb\nc\nd\n"), &text("a\nc\nD\nd\n")),
        [
            ("line 2".to_owned(), Kind::Missing, Class::Unverified),
            ("line 3".to_owned(), Kind::Added, Class::Unverified),
        ]
    );
    assert_eq!(facts(&text("a"), &text("a\n")), [("line 2".to_owned(), Kind::Added, Class::Unverified)]);
}

#[test]
fn another_status_masks_the_content() {
    let v2 = response(500, &["Content-Type: text/html", "X-Own: 1"], "<h1>oops</h1>");
    let found = compare(&json("{}"), &v2, &mirrored());
    assert_eq!(
        found.iter().map(|d| (d.layer, d.path.as_str(), d.kind)).collect::<Vec<_>>(),
        [(Layer::Status, "", Kind::ValueChanged), (Layer::Header, "x-own", Kind::Added)]
    );
    assert_eq!((found[0].v1.as_deref(), found[0].v2.as_deref()), (Some("200"), Some("500")));
}

#[test]
fn a_validator_makes_304_and_200_a_kind_of_their_own() {
    let (fresh, stale) = (response(304, &["ETag: \"a\""], ""), response(200, &["ETag: \"b\""], "x"));
    let context = Context { conditional: true, ..mirrored() };
    assert_eq!(compare(&fresh, &stale, &context)[0].kind, Kind::NotModified);
    assert_eq!(compare(&fresh, &stale, &mirrored())[0].kind, Kind::ValueChanged);
}

#[test]
fn headers_are_compared_by_tier() {
    type Row<'t> = (&'t [&'t str], &'t [&'t str], &'t [(&'t str, Kind, Class)]);
    let table: &[Row<'_>] = &[
        (&["Content-Length: 5", "Connection: close"], &["Transfer-Encoding: chunked"], &[]),
        (&["Date: x", "ETag: \"a\""], &["date: y", "etag: \"b\""], &[]),
        (&["Date: x"], &[], &[("date", Kind::Missing, Class::Unverified)]),
        (&["Server: a/1"], &["Server: a/2"], &[("server", Kind::ValueChanged, Class::Volatile)]),
        (
            &["X-Candidate-Id: 1"],
            &["X-Candidate-Id: 2"],
            &[("x-candidate-id", Kind::ValueChanged, Class::Unverified)],
        ),
        (&["Vary: A", "Vary: B"], &["Vary: b, a"], &[]),
        (&["Set-Cookie: s=1; Path=/"], &["Set-Cookie: s=2; path=/"], &[]),
        (
            &["Set-Cookie: s=1; Secure", "Set-Cookie: t=1"],
            &["Set-Cookie: s=2"],
            &[
                ("set-cookie[s]", Kind::ValueChanged, Class::Unverified),
                ("set-cookie[t]", Kind::Missing, Class::Unverified),
            ],
        ),
        (&["Content-Encoding: gzip"], &[], &[("content-encoding", Kind::Missing, Class::Unverified)]),
    ];
    for (v1, v2, expected) in table {
        let expected: Vec<_> = expected.iter().map(|(p, k, c)| ((*p).to_owned(), *k, *c)).collect();
        assert_eq!(facts(&response(200, v1, ""), &response(200, v2, "")), expected, "{v1:?} / {v2:?}");
    }
}

#[test]
fn a_cookies_secret_is_never_shown() {
    let v1 = response(200, &["Set-Cookie: sid=topsecret; Secure"], "");
    let found = compare(&v1, &response(200, &[], ""), &mirrored());
    assert_eq!(found[0].v1.as_deref(), Some("sid=…; secure"));
}

#[test]
fn bodies_of_no_known_form_are_told_apart_by_digest() {
    let png = |body: &'static [u8]| response(200, &["Content-Type: image/png"], body);
    let found = compare(&png(b"abc"), &png(b"abd"), &mirrored());
    // The digests are those of `printf abc | sha256sum` and `printf abd | sha256sum`.
    assert_eq!(
        found[0].v1.as_deref(),
        Some(
            "3 bytes, sha256 ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad, first difference at byte 2"
        )
    );
    assert_eq!(
        found[0].v2.as_deref(),
        Some(
            "3 bytes, sha256 a52d159f262b2c6ddb724a61840befc36eb30c88877a4030b65cbe86298449c9, first difference at byte 2"
        )
    );
}

#[test]
fn what_one_side_has_not_or_breaks_is_said_of_the_whole() {
    for (v1, v2, kind) in [
        (json("{}"), json(""), Kind::Missing),
        (json(""), json("{}"), Kind::Added),
        (json("{}"), json("{"), Kind::Undecodable),
        (json("{}"), response(200, &["Content-Type: application/json"], "<html>"), Kind::Undecodable),
        (json("{"), json("{}"), Kind::TypeChanged),
    ] {
        let found = compare(&v1, &v2, &mirrored());
        assert_eq!(found.iter().map(|d| (d.path.as_str(), d.kind)).collect::<Vec<_>>(), [("", kind)]);
        assert!(found[0].class.counts());
    }
}

pub(super) fn gzip(content: &[u8]) -> Vec<u8> {
    let mut encoder = flate2::write::GzEncoder::new(Vec::new(), flate2::Compression::best());
    std::io::Write::write_all(&mut encoder, content).unwrap();
    encoder.finish().unwrap()
}

fn coded(coding: &str, body: Vec<u8>) -> Response {
    response(200, &["Content-Type: application/json", &format!("Content-Encoding: {coding}")], body)
}

#[test]
fn codings_are_undone_before_bodies_are_compared() {
    let changed = ("$['a']".to_owned(), Kind::ValueChanged, Class::Unverified);
    let coding = ("content-encoding".to_owned(), Kind::Missing, Class::Unverified);
    let v1 = coded("gzip", gzip(br#"{"a":1}"#));
    assert_eq!(facts(&v1, &coded("gzip", gzip(br#"{"a":2}"#))), [changed]);
    assert_eq!(facts(&v1, &coded("gzip", gzip(br#"{ "a":1}"#))), []);
    assert_eq!(facts(&v1, &json(r#"{"a":1}"#)), [coding]);
}

#[test]
fn what_cannot_be_decoded_counts_only_where_v2_breaks_its_own_word() {
    let whole = |class| vec![(String::new(), Kind::Undecodable, class)];
    let good = coded("gzip", gzip(b"{}"));
    let broken = |tail: &str| coded("gzip", format!("no gzip {tail}").into_bytes());
    let unknown = |tail: &str| coded("pack200-gzip", format!("? {tail}").into_bytes());
    let bomb = coded("gzip", gzip(&vec![0; 4 << 20]));
    assert_eq!(facts(&good, &broken("")), whole(Class::Unverified));
    assert_eq!(facts(&broken(""), &good), whole(Class::NotCompared));
    assert_eq!(facts(&broken("a"), &broken("b")), whole(Class::NotCompared));
    assert_eq!(facts(&unknown("a"), &unknown("b")), whole(Class::NotCompared));
    assert_eq!(facts(&unknown("a"), &unknown("a")), []);
    assert_eq!(facts(&good, &bomb), whole(Class::NotCompared));
}

#[test]
fn bodies_that_were_not_kept_are_compared_by_digest_where_there_is_one() {
    let unkept = |len, sha256, lines: &[&str]| {
        let mut response = response(200, lines, "");
        response.body = Body { entity: None, len, sha256, ..response.body };
        response
    };
    let plain: &[&str] = &[];
    let coded: &[&str] = &["Content-Encoding: gzip"];
    for (v1, v2, expected) in [
        (unkept(9, Some([1; 32]), plain), unkept(9, Some([1; 32]), plain), None),
        (unkept(9, Some([1; 32]), plain), unkept(9, Some([2; 32]), plain), Some(Class::Unverified)),
        (unkept(9, None, plain), unkept(8, None, plain), Some(Class::Unverified)),
        (unkept(9, None, plain), unkept(9, None, plain), Some(Class::NotCompared)),
        (unkept(9, Some([1; 32]), coded), unkept(8, Some([2; 32]), coded), Some(Class::NotCompared)),
    ] {
        assert_eq!(compare(&v1, &v2, &mirrored()).first().map(|d| d.class), expected);
    }
}

#[test]
fn the_verdict_never_takes_the_unknown_for_same_or_different() {
    let whole = json("{}");
    let cut = Response { completeness: Completeness::Cut, ..json("{}") };
    let of = |class| {
        let (layer, path, kind) = (Layer::Body, String::new(), Kind::ValueChanged);
        Difference { layer, path, kind, v1: None, v2: None, class }
    };
    for (v1, v2, classes, verdict) in [
        (Some(&whole), Some(&whole), vec![], Verdict::Match),
        (Some(&whole), Some(&whole), vec![Class::Shadow, Class::Volatile], Verdict::Noise),
        (Some(&whole), Some(&whole), vec![Class::Drift, Class::RuledOut], Verdict::Noise),
        (Some(&whole), Some(&whole), vec![Class::Shadow, Class::Unverified], Verdict::Different),
        (Some(&whole), Some(&whole), vec![Class::NotCompared, Class::Confirmed], Verdict::Different),
        (Some(&whole), Some(&whole), vec![Class::NotCompared, Class::Shadow], Verdict::NotComparable),
        (Some(&cut), Some(&whole), vec![Class::Unverified], Verdict::NotComparable),
        (None, Some(&whole), vec![], Verdict::NotComparable),
        (Some(&whole), Some(&cut), vec![], Verdict::Failed),
        (Some(&whole), None, vec![], Verdict::Failed),
        (None, None, vec![], Verdict::Failed),
    ] {
        let differences: Vec<_> = classes.into_iter().map(of).collect();
        assert_eq!(judge(v1, v2, &differences), verdict, "{differences:?}");
    }
}
