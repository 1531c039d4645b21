//! A distinct difference as a rule that would allow it, ready to be pasted into a rules file.

use std::fmt::Write as _;

use super::summary::DistinctDifference;
use crate::diff::{Kind, Layer};

/// The rule that leaves the place out; `None` where rules have no such place: a status is never ruled out.
pub(super) fn ignore_rule(d: &DistinctDifference) -> Option<String> {
    rule(d, "ignore = \"say why this may differ\"")
}

/// The rule with this effect, as a rules file says it.
pub(super) fn rule(d: &DistinctDifference, effect: &str) -> Option<String> {
    let place = match d.layer {
        Layer::Status => return None,
        Layer::Header => ("header", d.path.split('[').next().unwrap_or_default().to_owned()),
        // `$` stands for a content of any form as a whole.
        Layer::Body if d.path.is_empty() || d.path.starts_with("line ") || d.kind == Kind::Unlisted => {
            ("path", "$".to_owned())
        }
        Layer::Body => ("path", open(&d.path)),
    };
    let (method, route) = d.route.split_once(' ').unwrap_or(("", &d.route));
    let mut rule = String::from("[[rule]]\n");
    for (key, value) in [("method", method), ("route", route), (place.0, &place.1)] {
        let _ = writeln!(rule, "{key} = {}", basic_string(value));
    }
    let _ = writeln!(rule, "{effect}");
    Some(rule)
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
    use crate::diff::{Class, Fingerprint};

    fn offered(layer: Layer, path: &str) -> Option<String> {
        ignore_rule(&DistinctDifference {
            fingerprint: Fingerprint(1),
            class: Class::Unverified,
            host: "h".into(),
            route: "GET /a\"b/{number}".into(),
            layer,
            path: path.into(),
            kind: Kind::ValueChanged,
            count: 1,
            share: 1.0,
            v1_example: None,
            v2_example: None,
            exchanges: vec![],
            standing: None,
        })
    }

    #[test]
    fn a_rule_names_method_route_and_place() {
        let expected = |place: &str| {
            format!(
                "[[rule]]\nmethod = \"GET\"\nroute = \"/a\\\"b/{{number}}\"\n{place}\nignore = \"say why this may differ\"\n"
            )
        };
        for (layer, path, place) in [
            (Layer::Body, "$['it\\'s'][*]['{uuid}']", r#"path = "$['it\\'s'][*][*]""#),
            (Layer::Body, "line *", r#"path = "$""#),
            (Layer::Body, "", r#"path = "$""#),
            (Layer::Header, "cache-control", r#"header = "cache-control""#),
            (Layer::Header, "set-cookie[a]", r#"header = "set-cookie""#),
            (Layer::Body, "$['\u{202e}']", r#"path = "$['\U0000202E']""#),
        ] {
            assert_eq!(offered(layer, path), Some(expected(place)), "{path}");
        }
        assert_eq!(offered(Layer::Status, ""), None);
    }
}
