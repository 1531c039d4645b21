//! The kinds of text that are searched, and where in them secrets lie.

use std::cell::LazyCell;
use std::ops::Range;

use super::also::Also;
use super::signs::{Sign, Signs};
use super::{fields, nested, patterns, scan};

/// How a secret is written where it stands.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Form {
    /// Its bytes are the value.
    Bare,
    /// A JSON number: the replacement needs quotes.
    JsonNumber,
}

/// What kind of bytes are searched.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Part {
    /// A start line and header fields.
    Head,
    /// Header fields alone.
    Fields,
    /// A decoded body or another text.
    Body,
}

impl Part {
    /// What stays as it is, whatever it looks like.
    pub(super) fn fixed(self, bytes: &[u8]) -> [Range<usize>; 2] {
        match self {
            Self::Head => fields::fixed_parts(bytes),
            Self::Fields | Self::Body => [0..0, 0..0],
        }
    }

    /// Calls `found` with the span of each secret. A text that lacks the sign of a kind of secrets is not searched for it.
    pub(super) fn spans(
        self,
        bytes: &[u8],
        also: &Also,
        signs: Signs,
        mut found: impl FnMut(Range<usize>, Form),
    ) {
        let names = &also.names;
        let json = matches!(self, Self::Body) && scan::looks_like_json(bytes);
        // In most texts nothing is found that might touch it.
        let fixed = LazyCell::new(|| self.fixed(bytes));
        let mut found = |span: Range<usize>, form| {
            if is_free(&span, &*fixed) {
                found(span, form);
            }
        };
        if json {
            scan::json(bytes, names, |secret| {
                if secret.string {
                    let span = inside_quotes(bytes, secret.span);
                    let scheme = scan::scheme_len(bytes.get(span.clone()).unwrap_or_default());
                    found(span.start + scheme..span.end, Form::Bare);
                } else {
                    found(secret.span, Form::JsonNumber);
                }
            });
        }
        let mut bare = |span| found(span, Form::Bare);
        match self {
            Self::Head => fields::secrets(bytes, names, &mut bare),
            Self::Fields => fields::of_fields(bytes, 0, names, &mut bare),
            Self::Body if json => {}
            Self::Body => {
                if signs.has(Sign::Field) {
                    scan::multipart(bytes, names, &mut bare);
                }
                nested::elements(bytes, names, &mut bare);
                nested::lines(bytes, names, &mut bare);
            }
        }
        if matches!(self, Self::Body) {
            nested::members(bytes, names, json, &mut bare);
        }
        scan::pairs(bytes, names, &mut bare);
        if signs.has(Sign::Encoded) {
            nested::encoded_pairs(bytes, names, &mut bare);
        }
        if signs.has(Sign::Authority) {
            scan::userinfo(bytes, &mut bare);
        }
        if signs.has(Sign::Token) {
            scan::tokens(bytes, &mut bare);
        }
        if signs.has(Sign::Scheme) {
            scan::schemes(bytes, &mut bare);
        }
        if signs.has(Sign::Pem) {
            scan::private_keys(bytes, json, &mut bare);
        }
        if signs.has(Sign::Key) {
            patterns::keys(bytes, &mut bare);
        }
        let mut by_form = |span: Range<usize>| {
            let form = if json && is_json_number(bytes, &span) { Form::JsonNumber } else { Form::Bare };
            found(span, form);
        };
        patterns::cards(bytes, &mut by_form);
        also.matches(bytes, &mut by_form);
    }
}

/// Whether a span touches nothing that is fixed.
pub(super) fn is_free(span: &Range<usize>, fixed: &[Range<usize>]) -> bool {
    fixed.iter().all(|part| span.end <= part.start || span.start >= part.end)
}

/// Whether a span of a JSON text is a number of it, rather than a part of a string.
fn is_json_number(text: &[u8], span: &Range<usize>) -> bool {
    let before = text.get(..span.start).unwrap_or_default().trim_ascii_end().last();
    let after = text.get(span.end..).unwrap_or_default().trim_ascii_start().first();
    let number = text.get(span.clone()).is_some_and(|span| span.iter().all(u8::is_ascii_digit));
    number && before.is_some_and(|b| b":[,".contains(b)) && after.is_none_or(|b| b",]}".contains(b))
}

fn inside_quotes(text: &[u8], span: Range<usize>) -> Range<usize> {
    let closed = span.len() > 1 && text.get(span.end - 1) == Some(&b'"');
    span.start + 1..span.end - usize::from(closed)
}
