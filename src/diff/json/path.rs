//! Where in a document: normalized paths (RFC 9535, section 2.7).

use std::fmt::Write as _;

use xxhash_rust::xxh3::xxh3_64;

/// Longer paths keep their beginning, and a digest that tells them apart.
const MAX_BYTES: usize = 1024;

/// The way from the root to a value.
#[derive(Default)]
pub(super) struct Path<'n>(Vec<Step<'n>>);

/// One segment.
#[derive(Clone, Copy)]
pub(super) enum Step<'n> {
    /// A member, by its name.
    Name(&'n [u8]),
    /// An element, by its place.
    Index(usize),
}

impl<'n> Path<'n> {
    /// Does something one step further down.
    pub(super) fn within<R>(&mut self, step: Step<'n>, f: impl FnOnce(&mut Self) -> R) -> R {
        self.0.push(step);
        let result = f(self);
        self.0.pop();
        result
    }

    /// The name of the member that the value is, or is an element of.
    pub(super) fn name(&self) -> Option<&'n [u8]> {
        self.0.iter().rev().find_map(|step| match step {
            Step::Name(name) => Some(*name),
            Step::Index(_) => None,
        })
    }

    /// The path as text, at most a little over a kilobyte.
    pub(super) fn text(&self) -> String {
        let mut out = String::from("$");
        for step in &self.0 {
            match step {
                Step::Index(i) => _ = write!(out, "[{i}]"),
                Step::Name(name) => quote(&mut out, name),
            }
        }
        if out.len() > MAX_BYTES {
            let digest = xxh3_64(out.as_bytes());
            out.truncate(out.floor_char_boundary(MAX_BYTES));
            _ = write!(out, "… (digest {digest:016x})");
        }
        out
    }
}

/// `['name']`, escaped as the normalized path asks for.
fn quote(out: &mut String, name: &[u8]) {
    out.push_str("['");
    for c in String::from_utf8_lossy(name).chars() {
        match c {
            '\'' => out.push_str("\\'"),
            '\\' => out.push_str("\\\\"),
            '\u{8}' => out.push_str("\\b"),
            '\t' => out.push_str("\\t"),
            '\n' => out.push_str("\\n"),
            '\u{c}' => out.push_str("\\f"),
            '\r' => out.push_str("\\r"),
            '\0'..='\u{1f}' => _ = write!(out, "\\u{:04x}", u32::from(c)),
            _ => out.push(c),
        }
    }
    out.push_str("']");
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The examples of RFC 9535, table 20.
    #[test]
    fn paths_are_normalized_as_rfc_9535_has_it() {
        for (steps, text) in [
            (vec![Step::Name(b"a")], "$['a']"),
            (vec![Step::Index(1)], "$[1]"),
            (vec![Step::Name(b"a"), Step::Name(b"b"), Step::Index(1)], "$['a']['b'][1]"),
            (vec![Step::Name(b"\x0b")], "$['\\u000b']"),
            (vec![Step::Name(b"a")], "$['a']"),
            (vec![], "$"),
            (vec![Step::Name(b"it's\n\\")], "$['it\\'s\\n\\\\']"),
        ] {
            assert_eq!(Path(steps).text(), text);
        }
    }

    #[test]
    fn long_paths_stay_bounded_and_distinct() {
        let (a, b) = (vec![b'x'; 100_000], [vec![b'x'; 99_999], vec![b'y']].concat());
        let (a, b) = (Path(vec![Step::Name(&a)]).text(), Path(vec![Step::Name(&b)]).text());
        assert!(a.len() < 1100 && b.len() < 1100);
        assert_ne!(a, b);
    }
}
