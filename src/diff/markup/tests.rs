use super::super::tests::{facts, response};
use super::super::{Class, Kind};
use super::{NotMarkup, parse_html, parse_xml};

fn differ(kind: &str, v1: &str, v2: &str) -> Vec<(String, Kind, Class)> {
    let of = |body: &str| response(200, &[&format!("Content-Type: {kind}")], body.to_owned());
    facts(&of(v1), &of(v2))
}

/// What differs, where nothing is explained away.
fn counted(kind: &str, v1: &str, v2: &str) -> Vec<(String, Kind)> {
    let found = differ(kind, v1, v2);
    found
        .into_iter()
        .map(|(path, kind, class)| {
            assert_eq!(class, Class::Unverified, "{path}");
            (path, kind)
        })
        .collect()
}

#[test]
fn formatting_does_not_count() {
    for (v1, v2) in [
        ("<p a=1 b='2'>x</p>", "<P b=2 a=\"1\">\n  x\n</P>\n"),
        ("<ul><li>a<li>b</ul>", "<ul>\n <li>a</li>\n <li>b</li>\n</ul>"),
        ("<p class='a  b'>one  two", "<p class='b a'>one\ntwo</p>"),
        (
            "<!doctype html><title>a</title>",
            "<!DOCTYPE HTML>\n<html><head><title>a</title></head><body></body></html>",
        ),
        ("<script nonce=abc>f()</script>", "<script nonce=xyz>f()</script>"),
        ("<p>caf&eacute;", "<p>caf\u{e9}"),
    ] {
        assert_eq!(differ("text/html", v1, v2), [], "{v1} / {v2}");
    }
    for (v1, v2) in [
        ("<a x='1' y='2'/>", "<?xml version=\"1.0\"?>\n<a y=\"2\" x=\"1\"></a>"),
        ("<a><b>1</b></a>", "<a>\n\t<b> 1 </b>\n</a>"),
        ("<a xmlns='u'><b/></a>", "<p:a xmlns:p='u'><p:b/></p:a>"),
        ("<a>1 &lt; 2 &#233;</a>", "<a><![CDATA[1 < 2]]> \u{e9}</a>"),
    ] {
        assert_eq!(differ("application/xml", v1, v2), [], "{v1} / {v2}");
    }
}

#[test]
fn what_a_reader_would_see_counts() {
    for (v1, v2, path, kind) in [
        ("<p>a</p><p>b</p>", "<p>a</p><p>c</p>", "/html/body/p[2]/text()", Kind::ValueChanged),
        ("<p id=x>a", "<p id=y>a", "/html/body/p/@id", Kind::ValueChanged),
        ("<p id=x>a", "<p>a", "/html/body/p/@id", Kind::Missing),
        ("<p>a", "<p hidden>a", "/html/body/p/@hidden", Kind::Added),
        ("<ul><li>a<li>b<li>c</ul>", "<ul><li>a<li>c</ul>", "/html/body/ul/li[2]", Kind::ElementRemoved),
        ("<ul><li>a<li>c</ul>", "<ul><li>a<li>b<li>c</ul>", "/html/body/ul/li[2]", Kind::ElementAdded),
        ("<ul><li>a<li>b</ul>", "<ul><li>b<li>a</ul>", "/html/body/ul", Kind::Reordered),
        ("<pre>a  b</pre>", "<pre>a b</pre>", "/html/body/pre/text()", Kind::ValueChanged),
        ("<!doctype html><p>a", "<p>a", "/doctype()", Kind::ElementRemoved),
        (
            "<template><b>1</b></template>",
            "<template><b>2</b></template>",
            "/html/head/template/b/text()",
            Kind::ValueChanged,
        ),
        (
            "<script type=application/json>{\"a\":1}</script>",
            "<script type=application/json>{\"a\": 2}</script>",
            "/html/head/script $['a']",
            Kind::ValueChanged,
        ),
    ] {
        assert_eq!(counted("text/html", v1, v2), [(path.to_owned(), kind)], "{v1} / {v2}");
    }
    for (v1, v2, path, kind) in [
        ("<a><b n='1'/></a>", "<a><b n='2'/></a>", "/a/b/@n", Kind::ValueChanged),
        ("<a xmlns='u'/>", "<a xmlns='v'/>", "/a", Kind::ElementRemoved),
        ("<a>&x;</a>", "<a>&y;</a>", "/a/text()", Kind::ValueChanged),
        ("<a b='&x;'/>", "<a b='&y;'/>", "/a/@b", Kind::ValueChanged),
        ("<a/>", "<a>", "", Kind::Undecodable),
        ("<a/>", "<a/><b/>", "", Kind::Undecodable),
        ("<a/>", "", "", Kind::Missing),
    ] {
        let found = counted("text/xml", v1, v2);
        assert_eq!(found.first(), Some(&(path.to_owned(), kind)), "{v1} / {v2}");
    }
}

/// Places are said by what authors call them, as long as that is the same in each answer.
#[test]
fn elements_are_told_apart_by_id_name_or_class() {
    for (v1, v2, path) in [
        ("<div id=main><p>a</div>", "<div id=main><p>b</div>", "/html/body/div#main/p/text()"),
        (
            "<div><p>a</div><div id=main>b</div>",
            "<div><p>a</div><div id=main>c</div>",
            "/html/body/div#main/text()",
        ),
        (
            "<form><input name=q value=1><input name=page>",
            "<form><input name=q value=2><input name=page>",
            "/html/body/form/input[name=q][1]/@value",
        ),
        (
            "<ul><li class='item new'>a<li class=item>b",
            "<ul><li class='item new'>a<li class=item>c",
            "/html/body/ul/li.item[2]/text()",
        ),
        // Ids that are made, and those that v2 alone has, say nothing.
        (
            "<div id=ember42 class='css-1ab2 box'>a",
            "<div id=ember42 class='css-1ab2 box'>b",
            "/html/body/div.box/text()",
        ),
        ("<p id=one class=price>a", "<p id=two class=price>a", "/html/body/p#one/@id"),
        ("<p>a", "<p>a<b id=added>x", "/html/body/p/b#added"),
    ] {
        let found = counted("text/html", v1, v2);
        assert_eq!(found.iter().map(|(path, _)| path.as_str()).collect::<Vec<_>>(), [path], "{v1} / {v2}");
    }
    // Names of things in XML are data.
    let found = counted("text/xml", "<a><user id='alice'>1</user></a>", "<a><user id='alice'>2</user></a>");
    assert_eq!(found[0].0, "/a/user/text()");
}

#[test]
fn comments_are_told_and_do_not_count() {
    let found = differ("text/html", "<p>a<!-- made in 3 ms -->", "<p>a<!-- made in 4 ms -->");
    assert_eq!(found, [("/html/body/p/comment()".to_owned(), Kind::ValueChanged, Class::Volatile)]);
}

#[test]
fn a_link_to_the_shadow_is_an_echo() {
    let found =
        differ("text/html", "<a href='http://httpbin:8000/x'>", "<a href='http://httpbin-shadow:8000/x'>");
    assert_eq!(found, [("/html/body/a/@href".to_owned(), Kind::ValueChanged, Class::Shadow)]);
}

#[test]
fn hostile_documents_end_soon() {
    let deep = "<div>".repeat(200_000);
    assert_eq!(parse_html(&deep).err(), Some(NotMarkup::TooLarge));
    let formatting = (0..40_000).map(|i| format!("<b id={i}><p>")).collect::<Vec<_>>().concat();
    assert_eq!(parse_html(&formatting).err(), Some(NotMarkup::TooLarge));
    let foster = format!("<table>{}", "<a>x<tr>".repeat(20_000));
    _ = parse_html(&foster);
    let wide = format!("<ul>{}</ul>", "<li>x".repeat(100_000));
    assert!(parse_html(&wide).is_ok());
    let many = (0..100_000).map(|i| format!(" a{i}=1")).collect::<Vec<_>>().concat();
    assert_eq!(parse_html(&format!("<p{many}>")).err(), Some(NotMarkup::TooLarge));
    assert_eq!(parse_xml(&"<a>".repeat(1_000_000)).err(), Some(NotMarkup::TooLarge));
    let laughs = "<!DOCTYPE a [<!ENTITY b 'bb'><!ENTITY c '&b;&b;&b;&b;'>]><a>&c;</a>";
    assert!(parse_xml(laughs).is_ok());
}

proptest::proptest! {
    /// The parser is a library's; whatever it is given, it ends, and a document is equal to itself.
    #[test]
    fn any_text_is_read(text in "(<[/!]?(p|b|table|td|tr|a|template|svg|select|option|frameset|form|math|mi)( x=1)?>|x| |&lt;|--){0,60}") {
        if let (Ok(a), Ok(b)) = (parse_html(&text), parse_html(&format!("\n{text}"))) {
            proptest::prop_assert_eq!(a.node(0).digest, b.node(0).digest);
        }
        _ = parse_xml(&text);
    }
}
