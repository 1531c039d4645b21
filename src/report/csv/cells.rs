//! Cells of the tables: text that may be anybody's, and is never a formula.

use std::borrow::Cow;

/// A cell of anybody's bytes behind what there is of a line, lossy where they are not UTF-8.
pub(super) fn put(out: &mut Vec<u8>, cell: &[u8]) {
    match Sort::of(cell) {
        Sort::Plain => out.extend_from_slice(cell),
        Sort::Quoted => {
            out.push(b'"');
            out.extend_from_slice(cell);
            out.push(b'"');
        }
        Sort::Other => quoted(out, &inert(&String::from_utf8_lossy(cell))),
    }
}

/// Cells one behind the other: as texts, and as they are written.
#[derive(Default)]
pub(super) struct Cells {
    texts: Vec<u8>,
    /// Where in `texts` each ends.
    ends: Vec<usize>,
    pub(super) written: Vec<u8>,
}

impl Cells {
    /// Whether these are the cells.
    pub(super) fn are(&self, texts: &[&[u8]]) -> bool {
        let mut start = 0;
        self.ends.len() == texts.len()
            && self.ends.iter().zip(texts).all(|(end, text)| {
                let same = self.texts.get(start..*end) == Some(text);
                start = *end;
                same
            })
    }

    pub(super) fn keep(&mut self, texts: &[&[u8]], written: &[u8]) {
        self.texts.clear();
        self.ends.clear();
        for text in texts {
            self.texts.extend_from_slice(text);
            self.ends.push(self.texts.len());
        }
        written.clone_into(&mut self.written);
    }
}

/// How a cell is written.
enum Sort {
    /// As it is, as most.
    Plain,
    /// As it is, in quotes.
    Quoted,
    /// As is found out.
    Other,
}

impl Sort {
    /// What is known at a glance.
    fn of(cell: &[u8]) -> Self {
        // Looking at all of a short cell costs less than stopping where one is.
        let (mut odd, mut separates) = (false, false);
        for b in cell {
            odd |= !b.is_ascii() || matches!(b, 0 | b'"');
            separates |= matches!(b, b',' | b'\r' | b'\n');
        }
        // What most cells begin with begins no formula.
        let begins = cell.first().is_none_or(|b| b.is_ascii_alphanumeric() || *b == b'/');
        match (begins && !odd, separates) {
            (true, false) => Self::Plain,
            (true, true) => Self::Quoted,
            (false, _) => Self::Other,
        }
    }
}

/// A cell, in quotes where it needs them (RFC 4180, section 2).
fn quoted(out: &mut Vec<u8>, cell: &str) {
    // Looking at all of a short cell costs less than stopping where one is.
    let needs = |b: u8| matches!(b, b',' | b'"' | b'\r' | b'\n');
    if !cell.bytes().fold(false, |any, b| any | needs(b)) {
        return out.extend_from_slice(cell.as_bytes());
    }
    out.push(b'"');
    let mut rest = cell.as_bytes();
    while let Some(at) = memchr::memchr(b'"', rest) {
        let (before, behind) = rest.split_at(at + 1);
        out.extend_from_slice(before);
        out.push(b'"');
        rest = behind;
    }
    out.extend_from_slice(rest);
    out.push(b'"');
}

/// A cell that no spreadsheet runs: an apostrophe goes before what could begin a formula. NUL, which some
/// readers take for the end, is dropped.
pub(super) fn inert(cell: &str) -> Cow<'_, str> {
    // What most cells begin with begins no formula.
    let plain = cell.as_bytes().first().is_none_or(|b| b.is_ascii_alphanumeric() || *b == b'/');
    if plain && memchr::memchr(0, cell.as_bytes()).is_none() {
        return Cow::Borrowed(cell);
    }
    let begins = |c: char| {
        matches!(c, '=' | '+' | '-' | '@' | '\t' | '\r' | '\n' | '|' | '%' | '＝' | '＋' | '－' | '＠')
    };
    let formula = cell.trim_start_matches([' ', '\u{feff}']).starts_with(begins);
    if !formula && !cell.contains('\0') {
        return Cow::Borrowed(cell);
    }
    let mark = if formula { "'" } else { "" };
    Cow::Owned(format!("{mark}{}", cell.replace('\0', "")))
}

#[cfg(test)]
mod tests {
    use super::*;

    proptest::proptest! {
        #[test]
        fn a_plain_cell_is_written_as_any_other(cell in proptest::collection::vec(0_u8..=255, 0..4), text in "[a,é\"\r=/]{0,4}") {
            for cell in [cell.as_slice(), text.as_bytes()] {
                let (mut out, mut expected) = (Vec::new(), Vec::new());
                quoted(&mut expected, &inert(&String::from_utf8_lossy(cell)));
                put(&mut out, cell);
                proptest::prop_assert_eq!(out, expected);
            }
        }

        #[test]
        fn cells_are_quoted_as_by_the_crate(cells in proptest::collection::vec("[a,\"\r\n é'=]{0,5}", 2..4)) {
            let mut expected = csv::Writer::from_writer(Vec::new());
            expected.write_record(&cells).unwrap();
            let mut out = Vec::new();
            for (n, cell) in cells.iter().enumerate() {
                out.extend_from_slice(if n > 0 { b"," } else { b"" });
                quoted(&mut out, cell);
            }
            out.push(b'\n');
            proptest::prop_assert_eq!(out, expected.into_inner().unwrap());
        }
    }

    #[test]
    fn no_cell_is_a_formula() {
        for (cell, shown) in [
            ("=1+1", "'=1+1"),
            ("+a", "'+a"),
            ("-1", "'-1"),
            ("@SUM(A1)", "'@SUM(A1)"),
            ("\t=1", "'\t=1"),
            ("  =1", "'  =1"),
            ("\u{feff}=1", "'\u{feff}=1"),
            ("/a=b", "/a=b"),
            ("/a\0", "/a"),
            ("é=1", "é=1"),
            ("a\0b", "ab"),
        ] {
            assert_eq!(inert(cell), shown);
        }
    }
}
