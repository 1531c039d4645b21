//! Which of the rare signs of secrets a text bears, found in one pass, so that what has none is not searched for each.

use std::sync::LazyLock;

use aho_corasick::{AhoCorasick, Input, MatchKind};

/// A set of signs.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) struct Signs(u8);

/// What some secret cannot be without.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[repr(u8)]
pub(super) enum Sign {
    /// The authority of a URL.
    Authority,
    /// A JSON Web Token.
    Token,
    /// Credentials behind their scheme.
    Scheme,
    /// The marker of a key.
    Pem,
    /// A pair within a parameter.
    Encoded,
    /// A field of a multipart form.
    Field,
    /// The mark of an issuer of keys.
    Key,
    /// The name of the field that says how a body is coded: no secret's, and found in heads alone.
    Coding,
}

use Sign::{Authority, Encoded, Field, Key, Pem, Scheme, Token};

/// What each sign looks like. No text of one sign begins one of another.
pub(super) const TEXTS: [(&str, Sign); 40] = [
    ("://", Authority),
    ("eyJ", Token),
    ("Bearer ", Scheme),
    ("bearer ", Scheme),
    ("Basic ", Scheme),
    ("-----BEGIN", Pem),
    ("%3D", Encoded),
    ("%3d", Encoded),
    (" name=\"", Field),
    ("AKIA", Key),
    ("ASIA", Key),
    ("ghp_", Key),
    ("gho_", Key),
    ("ghu_", Key),
    ("ghs_", Key),
    ("ghr_", Key),
    ("github_pat_", Key),
    ("glpat-", Key),
    ("xoxa-", Key),
    ("xoxb-", Key),
    ("xoxe-", Key),
    ("xoxo-", Key),
    ("xoxp-", Key),
    ("xoxr-", Key),
    ("xoxs-", Key),
    ("AIza", Key),
    ("ya29.", Key),
    ("rk_live_", Key),
    ("rk_test_", Key),
    ("sk_live_", Key),
    ("sk_test_", Key),
    ("npm_", Key),
    ("pypi-", Key),
    ("SG.", Key),
    ("doo_v1_", Key),
    ("dop_v1_", Key),
    ("dor_v1_", Key),
    ("hvs.", Key),
    ("sk-ant-", Key),
    ("sk-proj-", Key),
];

static SEARCH: LazyLock<Option<AhoCorasick>> = LazyLock::new(|| {
    let mut builder = AhoCorasick::builder();
    builder.match_kind(MatchKind::LeftmostFirst);
    builder.build(TEXTS.map(|(text, _)| text)).ok()
});

impl Signs {
    /// No sign.
    pub(super) const NONE: Self = Self(0);
    /// Every sign, whether a text bears it or not.
    pub(super) const ALL: Self = Self(u8::MAX);

    /// Those of a text.
    pub(super) fn of(text: &[u8]) -> Self {
        let Some(search) = &*SEARCH else { return Self::ALL };
        let (mut signs, mut from) = (Self(0), 0);
        while let Some(found) = search.find(Input::new(text).range(from..)) {
            // One may begin within another.
            from = found.start() + 1;
            signs.0 |= TEXTS.get(found.pattern().as_usize()).map_or(0, |(_, sign)| 1 << *sign as u8);
        }
        signs
    }

    /// Those of a head, or of lines of one.
    pub(super) fn of_head(lines: &[u8]) -> Self {
        const NAME: &[u8] = b"content-encoding";
        let is_name = |dash: usize| {
            let name = dash.checked_sub(b"content".len()).and_then(|start| lines.get(start..));
            name.and_then(|name| name.get(..NAME.len())).is_some_and(|name| name.eq_ignore_ascii_case(NAME))
        };
        let coding = memchr::memchr_iter(b'-', lines).any(is_name);
        Self(Self::of(lines).0 | u8::from(coding) << Sign::Coding as u8)
    }

    /// These and others.
    pub(super) const fn and(self, others: Self) -> Self {
        Self(self.0 | others.0)
    }

    /// Whether this sign is among them.
    pub(super) const fn has(self, sign: Sign) -> bool {
        self.0 & (1 << sign as u8) != 0
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_sign_is_seen_and_hides_no_other() {
        for (text, sign) in TEXTS {
            assert_eq!(Signs::of(format!("a{text}b").as_bytes()), Signs(1 << sign as u8), "{text}");
            assert!(!Signs::of(&text.as_bytes()[1..]).has(sign) || text.starts_with('-'), "{text}");
            for (other, also) in TEXTS {
                // As much of the one as the other begins with stands only once.
                let shared = (0..text.len()).rev().find(|&n| text.ends_with(&other[..n.min(other.len())]));
                let joined = [text, &other[shared.unwrap_or(0).min(other.len())..]].concat();
                let signs = Signs::of(joined.as_bytes());
                assert!(signs.has(sign) && signs.has(also), "{joined}");
                assert!(text == other || sign == also || !text.starts_with(other), "{text} {other}");
            }
        }
        assert_eq!(Signs::of(b"GET / HTTP/1.1\r\nHost: a\r\n\r\n"), Signs(0));
    }

    #[test]
    fn a_head_says_whether_it_names_a_coding() {
        for (head, coded) in [
            ("A: b\r\nContent-Encoding: gzip\r\n\r\n", true),
            ("cONTENT-eNCODING : gzip", true),
            ("Content-Length: 1\r\nAccept-Encoding: gzip\r\n\r\n", false),
            ("-", false),
        ] {
            assert_eq!(Signs::of_head(head.as_bytes()).has(Sign::Coding), coded, "{head}");
        }
    }
}
