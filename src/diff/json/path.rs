//! Where in a document: normalized paths (RFC 9535, section 2.7).

use std::cell::OnceCell;
use std::fmt::Write as _;

use xxhash_rust::xxh3::xxh3_64;

use super::super::excerpt::truncate;

/// Longer paths keep their beginning, and a digest that tells them apart.
const MAX_BYTES: usize = 1024;
/// So do longer names.
const MAX_NAME_BYTES: usize = 256;

/// The way from the root to a value. The text of a step is made when it is first asked for, and then
/// serves all that lies below it.
#[derive(Default)]
pub(super) struct Path<'n>(Vec<(Step<'n>, OnceCell<String>)>);

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
        self.0.push((step, OnceCell::new()));
        let result = f(self);
        self.0.pop();
        result
    }

    /// The name of the member that the value is, or is an element of.
    pub(super) fn name(&self) -> Option<&'n [u8]> {
        self.0.iter().rev().find_map(|(step, _)| match step {
            Step::Name(name) => Some(*name),
            Step::Index(_) => None,
        })
    }

    /// The path as text, at most a little over a kilobyte.
    pub(super) fn text(&self) -> String {
        let mut out = String::from("$");
        for (step, text) in &self.0 {
            out.push_str(text.get_or_init(|| step.text()));
        }
        if out.len() > MAX_BYTES {
            let digest = xxh3_64(out.as_bytes());
            truncate(&mut out, MAX_BYTES);
            _ = write!(out, "… (digest {digest:016x})");
        }
        out
    }
}

impl Step<'_> {
    pub(super) fn text(&self) -> String {
        match self {
            Self::Index(i) => format!("[{i}]"),
            Self::Name(name) if name.len() <= MAX_NAME_BYTES => quote(name, ""),
            Self::Name(name) => {
                let rest = format!("… (digest {:016x})", xxh3_64(name));
                quote(&name[..MAX_NAME_BYTES], &rest)
            }
        }
    }
}

/// `['name']`, escaped as the normalized path asks for.
fn quote(name: &[u8], rest: &str) -> String {
    let mut out = String::from("['");
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
    out.push_str(rest);
    out.push_str("']");
    out
}

#[cfg(test)]
mod tests {
    use super::*;

    fn path(steps: &[Step<'_>]) -> String {
        Path(steps.iter().map(|step| (*step, OnceCell::new())).collect()).text()
    }

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
            assert_eq!(path(&steps), text);
        }
    }

    #[test]
    fn long_paths_stay_bounded_and_distinct() {
        let (a, b) = (vec![b'x'; 100_000], [vec![b'x'; 99_999], vec![b'y']].concat());
        let (a, b) = (path(&[Step::Name(&a)]), path(&[Step::Name(&b)]));
        assert!(a.len() < 1100 && b.len() < 1100);
        assert_ne!(a, b);
        let deep = vec![Step::Name(b"name"); 250];
        let (a, b) = (path(&deep), path(&deep[1..]));
        assert!(a.len() < 1100);
        assert_ne!(a, b);
    }
}
