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
    if d.layer == Layer::Status {
        return Err("A status cannot be ruled out.");
    }
    let effect = format!("kind = \"{}\"\nignore = \"say why this may differ\"", d.kind.name());
    rule(d, &effect).ok_or("Its path is too long, or too odd, to be named in a rule.")
}

/// The rule with this effect, as a rules file says it; `None` where rules can name no such place.
pub(super) fn rule(d: &DistinctDifference, effect: &str) -> Option<String> {
    let (key, place) = match d.layer {
        Layer::Status => return None,
        Layer::Header => ("header", field(&d.path)),
        Layer::Body if d.kind == Kind::Unlisted => ("path", "$".to_owned()),
        // A shortened name is that of no place.
        Layer::Body if d.path.contains("… (") => return None,
        Layer::Body => ("path", content(&d.path)),
    };
    let (method, route) = d.route.split_once(' ').unwrap_or(("", &d.route));
    let mut rule = String::from("[[rule]]\n");
    for (key, value) in [("method", method), ("host", &host_name(&d.host)), ("route", route), (key, &place)] {
        if !value.is_empty() {
            let _ = writeln!(rule, "{key} = {}", basic_string(value));
        }
    }
    let _ = writeln!(rule, "{effect}");
    Rules::parse(&rule, Date::ZERO).is_ok().then_some(rule)
}

/// The host as rules name it: in lower case, without a port (RFC 3986, section 3.2.3).
fn host_name(host: &str) -> String {
    let host = host.to_ascii_lowercase();
    let port = host.rsplit_once(':').filter(|(_, port)| port.bytes().all(|b| b.is_ascii_digit()));
    port.map_or(host.as_str(), |(name, _)| name).to_owned()
}

/// A field's name, and of a cookie its name: rules know fields in lower case.
fn field(path: &str) -> String {
    match path.split_once('[').filter(|_| path.bytes().any(|b| b.is_ascii_uppercase())) {
        Some((name, _)) => format!("{name}[*]"),
        None => path.to_owned(),
    }
}

/// The place in a body. JSON within other content goes by its own path; `$` stands for a content as a whole.
fn content(path: &str) -> String {
    if let Some(at) = path.rfind(" $") {
        return open(path.get(at + 1..).unwrap_or_default());
    }
    match path.as_bytes() {
        [b'$', ..] => open(path),
        [b'/', ..] => path.split(' ').next().unwrap_or_default().to_owned(),
        _ => "$".to_owned(),
    }
}

/// The path with each placeholder for the name of one thing as a step that stands for any.
fn open(path: &str) -> String {
    let mut out = path.to_owned();
    for name in ["number", "uuid", "hex", "token", "date"] {
        out = out.replace(&format!("['{{{name}}}']"), "[*]");
    }
    out
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
    use super::*;
    use crate::diff::Fingerprint;

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
            (Layer::Body, "line *", r#"path = "$""#),
            (Layer::Body, "", r#"path = "$""#),
            (Layer::Body, "/html/head/script $['a']", r#"path = "$['a']""#),
            (Layer::Body, "/html/body line *", r#"path = "/html/body""#),
            (Layer::Header, "cache-control", r#"header = "cache-control""#),
            (Layer::Header, "set-cookie[a]", r#"header = "set-cookie[a]""#),
            (Layer::Header, "set-cookie[SID]", r#"header = "set-cookie[*]""#),
            (Layer::Body, "$['\u{202e}']", r#"path = "$['\U0000202E']""#),
        ] {
            assert_eq!(ignore_rule(&difference(layer, path)), Ok(expected(place)), "{path}");
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
        assert!(of(&|d| d.layer = Layer::Status).is_err());
        assert!(of(&|d| d.kind = Kind::Unlisted).is_err());
        assert!(of(&|d| d.path = "$['abc… (digest 0123456789abcdef)']".into()).is_err());
        assert!(
            of(&|d| d.route = format!("GET /{}", "x".repeat(300))).is_err(),
            "longer than a rule's route"
        );
        assert!(of(&|d| d.path = "$[*]".repeat(40)).is_err(), "no path of a rule");
    }
}
