//! Contents of formats other than JSON.

use super::*;

fn of(kind: &str, body: &str) -> Response {
    response(200, &[&format!("Content-Type: {kind}")], body.to_owned())
}

fn found(kind: &str, v1: &str, v2: &str) -> Vec<(String, Kind)> {
    compare(&of(kind, v1), &of(kind, v2), &mirrored()).into_iter().map(|d| (d.path, d.kind)).collect()
}

#[test]
fn the_same_text_in_two_charsets_is_the_same() {
    let latin = response(200, &["Content-Type: text/plain; charset=iso-8859-1"], &b"caf\xE9"[..]);
    let utf8 = response(200, &["Content-Type: text/plain; charset=utf-8"], "café");
    let paths =
        |v1: &Response, v2: &Response| facts(v1, v2).into_iter().map(|(path, ..)| path).collect::<Vec<_>>();
    assert_eq!(paths(&latin, &utf8), ["content-type"]);
    let other = response(200, &["Content-Type: text/plain; charset=utf-8"], "cafe");
    assert_eq!(paths(&latin, &other), ["content-type", "line 1"]);
}

#[test]
fn a_charset_that_is_not_known_leaves_it_open_unless_both_name_it() {
    let of = |charset: &str, body: &'static str| {
        response(200, &[&format!("Content-Type: text/plain; charset={charset}")], body)
    };
    let found = facts(&of("utf-8", "a"), &of("klingon", "b"));
    assert_eq!(found.last(), Some(&(String::new(), Kind::Undecodable, Class::NotCompared)));
    let found = facts(&of("klingon", "a"), &of("klingon", "b"));
    assert_eq!(found, [("line 1".to_owned(), Kind::ValueChanged, Class::Unverified)]);
}

#[test]
fn events_are_compared_by_what_they_say() {
    let stream = "text/event-stream";
    assert_eq!(found(stream, ": hi\n\ndata: {\"a\": 1}\n\n", "data:{\"a\":1}\r\n\r\n"), []);
    let changed = found(stream, "data: {\"a\": 1}\n\n", "data: {\"a\": 2}\n\n");
    assert_eq!(changed, [("$[0]['data']['a']".to_owned(), Kind::ValueChanged)]);
    let more = found(stream, "data: a\n\n", "data: a\n\nevent: end\ndata\n\n");
    assert_eq!(more, [("$[1]".to_owned(), Kind::ElementAdded)]);
}

#[test]
fn forms_are_compared_by_the_names_of_fields() {
    let form = "application/x-www-form-urlencoded";
    assert_eq!(found(form, "a=1&b=x+y", "b=x%20y&a=1"), []);
    assert_eq!(found(form, "a=1&b=2", "a=1&b=3"), [("$['b']".to_owned(), Kind::ValueChanged)]);
    assert_eq!(found(form, "a=1&a=2", "a=2&a=1").len(), 2);
}

#[test]
fn parts_are_compared_by_name_and_by_what_they_are() {
    let multipart = |boundary: &str, parts: &[&str]| {
        let body =
            parts.iter().map(|part| format!("--{boundary}\r\n{part}\r\n")).collect::<Vec<_>>().concat();
        response(
            200,
            &[&format!("Content-Type: multipart/form-data; boundary=\"{boundary}\"")],
            format!("preamble\r\n{body}--{boundary}--\r\n"),
        )
    };
    let text = "Content-Disposition: form-data; name=t\r\n\r\nhello";
    let json = |n: u32| {
        format!(
            "Content-Disposition: form-data; name=\"j\"\r\nContent-Type: application/json\r\n\r\n{{\"a\":{n}}}"
        )
    };
    let facts = |v1: &Response, v2: &Response| {
        compare(v1, v2, &mirrored()).into_iter().map(|d| (d.path, d.kind)).collect::<Vec<_>>()
    };
    let v1 = multipart("aa", &[text, &json(1)]);
    assert_eq!(facts(&v1, &multipart("bb", &[&json(1), text])), []);
    let changed = ("part[j] $['a']".to_owned(), Kind::ValueChanged);
    assert_eq!(facts(&v1, &multipart("aa", &[text, &json(2)])), [changed]);
    assert_eq!(facts(&v1, &multipart("aa", &[text])), [("part[j]".to_owned(), Kind::Missing)]);
    let unnamed = |parts: &[&str]| multipart("aa", parts);
    let (a, b) = (unnamed(&["\r\nx", "\r\ny"]), unnamed(&["\r\nx", "\r\nz"]));
    assert_eq!(facts(&a, &b), [("part[2] line 1".to_owned(), Kind::ValueChanged)]);
}

#[test]
fn json_in_a_wrapping_of_scripts_is_json() {
    let changed = [("$['a']".to_owned(), Kind::ValueChanged)];
    assert_eq!(found("application/javascript", "/**/ cb({\"a\":1});", "cb({\"a\": 2})"), changed);
    assert_eq!(found("application/json", ")]}',\n{\"a\":1}", ")]}',\n{\"a\":2}"), changed);
    let other = found("application/javascript", "f({\"a\":1})", "g({\"a\":1})");
    assert_eq!(other, [("line 1".to_owned(), Kind::ValueChanged)]);
}

#[test]
fn the_type_of_unknown_bytes_is_told() {
    let png = b"\x89PNG\r\n\x1a\n\0\0\0\rIHDR";
    let gif = b"GIF89a\0\0\0\0";
    let of = |bytes: &'static [u8]| response(200, &["Content-Type: application/octet-stream"], bytes);
    let found = compare(&of(png), &of(gif), &mirrored());
    assert!(found[0].v1.as_deref().unwrap().starts_with("image/png, 16 bytes"));
    assert!(found[0].v2.as_deref().unwrap().starts_with("image/gif, 10 bytes"));
}

/// How many bodies are read as JSON to compare two answers.
fn parsed(v1: &Response, v2: &Response) -> u32 {
    use super::super::json::PARSED;
    PARSED.set(0);
    _ = compare(v1, v2, &mirrored());
    PARSED.get()
}

#[test]
fn bodies_are_read_no_more_often_than_they_have_to_be() {
    let gzip = |text: &str| {
        let lines = ["Content-Type: application/json", "Content-Encoding: gzip"];
        response(200, &lines, super::answers::gzip(text.as_bytes()))
    };
    let long = format!("[{}1]", "1,".repeat(5000));
    // Equal as bytes, and equal once the coding is undone.
    assert_eq!(parsed(&json("[1]"), &json("[1]")), 0);
    assert_eq!(parsed(&json(long.clone()), &gzip(&long)), 0);
    assert_eq!(parsed(&json("[1]"), &json("[2]")), 2);
    let lines = |text: &str| response(200, &["Content-Type: application/x-ndjson"], text.to_owned());
    assert_eq!(parsed(&lines("{\"a\":1}\n{}"), &lines("{\"a\":2}\n{}")), 2);
    // The second form is tried only where the first cannot be read.
    assert_eq!(parsed(&json("{\"a\":1}\n{}"), &json("{\"a\":2}\n{}")), 4);
}
