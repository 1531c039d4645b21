//! A distinct difference as a rule that would allow it, ready to be pasted into a rules file.

use std::fmt::Write as _;

use jiff::civil::Date;

use super::summary::DistinctDifference;
use crate::diff::{Class, Kind, Layer, Rules};

/// The rule that leaves the place out, or why there is none. A rule that is offered is one that rules files take.
pub(super) fn ignore_rule(d: &DistinctDifference) -> Result<String, &'static str> {
    if d.class == Class::RuledOut {
        return Err("A rule of yours covers it.");
    }
    // Rules are asked about nothing else.
    if !d.class.counts() && d.class != Class::NotCompared {
        return Err("It does not count, and needs no rule.");
    }
    if d.kind == Kind::Unlisted {
        return Err("It stands for differences that were not told apart, which no rule can name.");
    }
    let effect = format!("kind = \"{}\"\nignore = \"say why this may differ\"", d.kind.name());
    rule(d, &effect).ok_or("Its path is too long, or too odd, to be named in a rule.")
}

/// The rule with this effect, as a rules file says it; `None` where rules can name no such place.
pub(super) fn rule(d: &DistinctDifference, effect: &str) -> Option<String> {
    let place = match d.layer {
        Layer::Status => {
            format!("status = {}\nv2_status = {}", d.v1_example.as_ref()?, d.v2_example.as_ref()?)
        }
        Layer::Header => format!("header = {}", basic_string(&d.path)),
        Layer::Body if d.kind == Kind::Unlisted => "path = \"$\"".to_owned(),
        // A shortened name is that of no place.
        Layer::Body if d.path.contains("… (") => return None,
        Layer::Body => format!("path = {}", basic_string(&content(&d.path))),
    };
    let (method, route) = d.route.split_once(' ').unwrap_or(("", &d.route));
    let mut rule = String::from("[[rule]]\n");
    for (key, value) in [("method", method), ("host", &host_name(&d.host)), ("route", route)] {
        if !value.is_empty() {
            let _ = writeln!(rule, "{key} = {}", basic_string(value));
        }
    }
    let _ = writeln!(rule, "{place}\n{effect}");
    Rules::parse(&rule, Date::ZERO).is_ok().then_some(rule)
}

/// The host as rules name it: in lower case, without a port (RFC 3986, section 3.2.3).
fn host_name(host: &str) -> String {
    let host = host.to_ascii_lowercase();
    let port = host.rsplit_once(':').filter(|(_, port)| port.bytes().all(|b| b.is_ascii_digit()));
    port.map_or(host.as_str(), |(name, _)| name).to_owned()
}

/// The place in a body; `$` stands for a content as a whole. Lines, and the words of texts, are no places of rules.
fn content(path: &str) -> String {
    if path.starts_with('$') {
        return open(path);
    }
    if !path.starts_with(['/', 'p']) {
        return "$".to_owned();
    }
    let json = path.find(" $[").or_else(|| path.ends_with(" $").then(|| path.len() - 2));
    if json.is_some_and(|at| !path[..at].contains(" '")) {
        return open(path);
    }
    match path.split_once("] ").filter(|_| path.starts_with("part[")) {
        Some((part, _)) => format!("{part}]"),
        None if path.starts_with('/') => path.split(' ').next().unwrap_or_default().to_owned(),
        None if path.starts_with("part[") => path.to_owned(),
        None => "$".to_owned(),
    }
}

/// The path with each placeholder for the name of one thing as a step that stands for any, also where an extension follows
/// it.
fn open(path: &str) -> String {
    let mut out = String::with_capacity(path.len());
    let mut rest = path;
    while let Some(at) = rest.find("['{") {
        let (before, step) = rest.split_at(at);
        out.push_str(before);
        let (written, end) = placeholder_end(step).map_or(("['{", "['{".len()), |end| ("[*]", end));
        out.push_str(written);
        rest = &step[end..];
    }
    out + rest
}

/// Where a step ends that is a placeholder.
fn placeholder_end(step: &str) -> Option<usize> {
    let inner = step.strip_prefix("['{")?;
    let (name, behind) = inner.split_once('}')?;
    let end = behind.find("']").filter(|_| ["number", "uuid", "hex", "token", "date"].contains(&name))?;
    let extension = &behind[..end];
    let is_extension =
        extension.starts_with('.') && extension[1..].bytes().all(|b| b.is_ascii_alphanumeric());
    (extension.is_empty() || is_extension).then_some("['{}']".len() + name.len() + end)
}

/// A basic string of TOML 1.0.
pub(super) fn basic_string(text: &str) -> String {
    let mut out = String::from('"');
    for c in text.chars() {
        match c {
            '"' | '\\' => out.extend(['\\', c]),
            c if super::visible::is_deceptive(c) => {
                let _ = write!(out, "\\U{:08X}", u32::from(c));
            }
            c => out.push(c),
        }
    }
    out.push('"');
    out
}

#[cfg(test)]
mod tests {
    use bytes::Bytes;
    use proptest::prelude::*;

    use super::*;
    use crate::anomaly::AnomalySet;
    use crate::diff::{Context, Fingerprint, Learned, Subject, compare, compare_by_rules};
    use crate::http::{Body, Completeness, Elsewhere, Framing, Response, h1};
    use crate::time::Timestamp;

    fn difference(layer: Layer, path: &str) -> DistinctDifference {
        DistinctDifference {
            fingerprint: Fingerprint(1),
            class: Class::Unverified,
            host: "Shop.example:8080".into(),
            route: "GET /a\"b/{number}".into(),
            layer,
            path: path.into(),
            kind: Kind::ValueChanged,
            count: 1,
            share: 1.0,
            v1_example: None,
            v2_example: None,
            exchanges: vec![],
            examples: vec![],
            values: vec![],
            evidence: None,
            standing: None,
        }
    }

    #[test]
    fn a_rule_names_method_host_route_place_and_kind() {
        let expected = |place: &str| {
            format!(
                "[[rule]]\nmethod = \"GET\"\nhost = \"shop.example\"\nroute = \"/a\\\"b/{{number}}\"\n{place}\n\
                 kind = \"value_changed\"\nignore = \"say why this may differ\"\n"
            )
        };
        for (layer, path, place) in [
            (Layer::Body, "$['it\\'s'][*]['{uuid}']", r#"path = "$['it\\'s'][*][*]""#),
            (Layer::Body, "$['{number}.jpg']['{x}']", r#"path = "$[*]['{x}']""#),
            (Layer::Body, "line *", r#"path = "$""#),
            (Layer::Body, "", r#"path = "$""#),
            (Layer::Body, "/html/head/script $['a']", r#"path = "/html/head/script $['a']""#),
            (Layer::Body, "part[j] $['a'][*]", r#"path = "part[j] $['a'][*]""#),
            (Layer::Body, "part[j] line 'costs $5'", r#"path = "part[j]""#),
            (Layer::Body, "/html/p/text() 'costs $[5]'", r#"path = "/html/p/text()""#),
            (Layer::Body, "line 'costs $5'", r#"path = "$""#),
            (Layer::Body, "/html/body line *", r#"path = "/html/body""#),
            (Layer::Header, "cache-control", r#"header = "cache-control""#),
            (Layer::Header, "set-cookie[a]", r#"header = "set-cookie[a]""#),
            (Layer::Header, "set-cookie[SID]", r#"header = "set-cookie[SID]""#),
            (Layer::Body, "$['\u{202e}']", r#"path = "$['\U0000202E']""#),
        ] {
            assert_eq!(ignore_rule(&difference(layer, path)), Ok(expected(place)), "{path}");
        }
    }

    #[test]
    fn another_status_is_ruled_out_by_the_rule_that_is_offered_for_it_and_no_third_one_is() {
        let answer = |status: u16| {
            let head = format!("HTTP/1.1 {status} Whatever\r\n\r\n");
            Response { head: h1::parse_head(head.into()).unwrap(), ..answer("text/plain", "a=1", "") }
        };
        let distinct = DistinctDifference {
            v1_example: Some("200".into()),
            v2_example: Some("204".into()),
            ..difference(Layer::Status, "")
        };
        let rules = Rules::parse(&ignore_rule(&distinct).unwrap(), Date::ZERO).unwrap();
        let subject = Subject {
            route: "/a\"b/{number}",
            method: "GET",
            host: "shop.example",
            status: 200,
            content_type: "",
        };
        for (v2, class) in [(204, Class::RuledOut), (404, Class::Unverified)] {
            let (found, _) =
                compare_by_rules(&answer(200), &answer(v2), &Context::default(), &rules.applicable(&subject));
            assert_eq!(found.iter().map(|d| d.class).collect::<Vec<_>>(), [class], "{v2}");
        }
    }

    fn answer(content_type: &str, cookie: &str, body: &str) -> Response {
        let head = format!("HTTP/1.1 200 OK\r\nContent-Type: {content_type}\r\nSet-Cookie: {cookie}\r\n\r\n");
        let entity = Bytes::from(body.to_owned());
        Response {
            head: h1::parse_head(Bytes::from(head)).unwrap(),
            body: Body {
                framing: Framing::Length(entity.len() as u64),
                len: entity.len() as u64,
                lost: 0,
                entity: Some(entity),
                wire: None,
                sha256: None,
                elsewhere: Elsewhere::Nowhere,
            },
            first_byte: Timestamp::default(),
            last_byte: Timestamp::default(),
            completeness: Completeness::Complete,
            anomalies: AnomalySet::EMPTY,
        }
    }

    /// JSON with that name in it, and around it.
    fn object(name: &str, value: u8) -> String {
        serde_json::json!({ name: [{ "n": 1, name: value }], "same": 1, name.to_owned() + "x": value + 1 })
            .to_string()
    }

    /// Content of that sort, in which the name is that of something and the value differs.
    fn content_of(sort: u8, name: &str, value: u8) -> (&'static str, String) {
        let json = object(name, value);
        match sort {
            0 => ("application/json", json),
            1 => ("text/plain", format!("{name} costs ${value}\nsame $['a']\n")),
            2 => {
                let script = json.replace('<', "\\u003c");
                let text = name.replace(['<', '&'], "");
                let body = format!(
                    "<html><head><script type=\"application/json\">{script}</script></head><body><p>it ${value} \
                     {text}</p><p class=\"{value}\">x</p></body></html>"
                );
                ("text/html", body)
            }
            _ => {
                let mut body = String::new();
                let name: String =
                    name.chars().filter(|c| c.is_alphanumeric() || " $'".contains(*c)).collect();
                for (part, kind, content) in [
                    ("j", "application/json", json.as_str()),
                    (&name, "text/plain", &format!("{name} {value}")),
                ] {
                    let _ = write!(
                        body,
                        "--b\r\nContent-Disposition: form-data; name=\"{part}\"\r\nContent-Type: {kind}\r\n\
                         X-Part: {value}\r\n\r\n{content}\r\n"
                    );
                }
                ("multipart/form-data; boundary=b", body + "--b--\r\n")
            }
        }
    }

    proptest! {
        /// What is offered for a difference rules out that difference.
        #[test]
        fn the_rule_that_is_offered_rules_the_difference_out(
            sort in 0u8..4,
            name in prop_oneof![
                "[a-zA-Z$' \\]\\[/.{}\"<é*-]{1,12}",
                Just("17.jpg".to_owned()),
                Just("123e4567-e89b-12d3-a456-426614174000".to_owned()),
                Just("4711".to_owned()),
            ],
            cookie in "[a-zA-Z_-]{1,8}",
        ) {
            let side = |value: u8| {
                let (content_type, body) = content_of(sort, &name, value);
                answer(content_type, &format!("{cookie}=1; Path=/{value}"), &body)
            };
            let (v1, v2) = (side(1), side(2));
            let found = compare(&v1, &v2, &Context::default());
            prop_assert!(found.len() >= 2, "{found:?}");
            let content_type = content_of(sort, &name, 1).0.split(';').next().unwrap_or_default();
            let subject = Subject {
                route: "/a\"b/{number}", method: "GET", host: "shop.example", status: 200, content_type,
            };
            for (at, d) in found.iter().enumerate() {
                let path = Learned::default().place(b"", b"", "", d);
                let distinct = DistinctDifference { kind: d.kind, ..difference(d.layer, &path) };
                let rule = ignore_rule(&distinct);
                prop_assert!(rule.is_ok(), "{path}: {rule:?}");
                let rules = Rules::parse(&rule.clone().unwrap_or_default(), Date::ZERO).unwrap();
                let (ruled, _) = compare_by_rules(&v1, &v2, &Context::default(), &rules.applicable(&subject));
                prop_assert_eq!(ruled[at].class, Class::RuledOut, "{:?} by {:?}", d, rule);
            }
        }
    }

    #[test]
    fn no_rule_is_offered_that_could_not_work() {
        let of = |change: &dyn Fn(&mut DistinctDifference)| {
            let mut d = difference(Layer::Body, "$['a']");
            change(&mut d);
            ignore_rule(&d)
        };
        assert!(of(&|_| ()).is_ok());
        for class in [Class::Shadow, Class::Volatile, Class::Drift, Class::RuledOut] {
            assert!(of(&|d| d.class = class).is_err(), "{}", class.name());
        }
        assert!(of(&|d| d.layer = Layer::Status).is_err(), "no statuses are known");
        assert!(of(&|d| d.kind = Kind::Unlisted).is_err());
        assert!(of(&|d| d.path = "$['abc… (digest 0123456789abcdef)']".into()).is_err());
        assert!(
            of(&|d| d.route = format!("GET /{}", "x".repeat(300))).is_err(),
            "longer than a rule's route"
        );
        assert!(of(&|d| d.path = "$[*]".repeat(40)).is_err(), "no path of a rule");
    }
}
