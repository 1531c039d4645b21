//! Sections of plain lines, laid side by side as bytes: most lines of two of them are the same, and only others are
//! split.

use super::super::excerpt::first_difference;
use super::super::{Difference, Kind};
use super::{is_cookie, is_never_told};
use crate::http::PlainNames;
use crate::http::head::first_field;

/// Whether two sections have the same names in one order, and `goes_on` says so of each name that has another value in
/// one than in the other.
pub(super) fn have_one_order<'l>(
    mut ours: &'l [u8],
    mut theirs: &[u8],
    mut goes_on: impl FnMut(&'l [u8]) -> bool,
) -> bool {
    loop {
        let same = first_difference(ours, theirs);
        if same == ours.len() && same == theirs.len() {
            return true;
        }
        let start = memchr::memrchr(b'\n', &ours[..same]).map_or(0, |lf| lf + 1);
        let (line1, line2) = (first_field(&ours[start..]), first_field(&theirs[start..]));
        let (Some(((name, a), rest1)), Some(((other, b), rest2))) = (line1, line2) else { return false };
        if name != other || (a != b && !goes_on(name)) {
            return false;
        }
        (ours, theirs) = (rest1, rest2);
    }
}

/// The plain lines of a head that is kept, which others are held against.
#[derive(Clone, Debug, Default)]
pub(in crate::diff) struct Head {
    pub(in crate::diff) names: Option<PlainNames>,
    /// The lines, and the empty one behind them.
    text: Vec<u8>,
    /// Where they are; found when another head is held against this one.
    lines: Vec<Line>,
    /// The numbers of those that had another value of the same length, of which nothing is told but that value.
    free: Vec<usize>,
}

#[derive(Clone, Copy, Debug)]
struct Line {
    /// Where what is behind the colon begins, and where the next line does.
    value: usize,
    end: usize,
    /// Known as soon as another value was met.
    told: Option<Told>,
}

/// What is told of a field that has another value than before, in a head with the same names.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(in crate::diff) enum Told {
    /// Nothing: it is in both heads, and no value of it is ever told.
    Never,
    /// That it is in this head alone, which is the known difference of that place; and its value.
    Alone(usize),
    /// What a comparison finds.
    Compared,
    /// More than that: it has places of its own.
    Apart,
}

impl Head {
    /// Takes the place of another.
    pub(in crate::diff) fn keep(&mut self, names: Option<PlainNames>, lines: &[u8]) {
        self.names = names;
        lines.clone_into(&mut self.text);
        self.lines.clear();
        self.free.clear();
    }

    /// Whether other lines, which are as many, have the same names in the same order, and `goes_on` says so of each field that may
    /// have another value. This is the head of that side of a pair that has these differences.
    pub(in crate::diff) fn is_like<'l>(
        &mut self,
        mut other: &'l [u8],
        (side, differences): (usize, &[Difference]),
        mut goes_on: impl FnMut(Told, (&'l [u8], &'l [u8])) -> bool,
    ) -> bool {
        if self.is_like_but_free(other) {
            return self.free.iter().all(|&n| {
                let Line { value, end, told } = self.lines[n];
                let start = if n == 0 { 0 } else { self.lines[n - 1].end };
                let field = (&other[start..value - 1], other[value..end].trim_ascii());
                goes_on(told.unwrap_or(Told::Apart), field)
            });
        }
        self.find_lines();
        let (mut start, mut next) = (0, 0);
        loop {
            // Lines that are the same are passed over.
            let same = start + first_difference(other, &self.text[start..]);
            let lines = &self.lines[next..];
            let passed = lines.iter().take_while(|line| line.end <= same).count();
            let from = if passed == 0 { start } else { lines[passed - 1].end };
            (other, start, next) = (&other[from - start..], from, next + passed);
            let Some(&Line { value, end, told }) = self.lines.get(next) else {
                return other == &self.text[start..];
            };
            // What stands before the colon has to be the same.
            let Some(rest) = other.get(value - start..).filter(|_| same >= value) else { return false };
            let Some(lf) = memchr::memchr(b'\n', rest) else { return false };
            let name = &other[..value - start - 1];
            let told = told.unwrap_or_else(|| self.told(name, side, differences));
            self.lines[next].told = Some(told);
            if matches!(told, Told::Never | Told::Alone(_)) && value + lf + 1 == end {
                self.set_free(next);
            }
            if !goes_on(told, (name, rest[..lf].trim_ascii())) {
                return false;
            }
            (other, start, next) = (&rest[lf + 1..], end, next + 1);
        }
    }

    /// Whether other lines are the same but for the values that are free. As there are as many fields, of as many bytes, and
    /// each line has one end, none of these values has any, and the names are the same.
    fn is_like_but_free(&self, other: &[u8]) -> bool {
        let mut start = 0;
        other.len() == self.text.len()
            && self.free.iter().all(|&n| {
                let Line { value, end, .. } = self.lines[n];
                let same = other[start..value] == self.text[start..value];
                start = end - 1;
                same
            })
            && other[start..] == self.text[start..]
    }

    fn set_free(&mut self, line: usize) {
        if let Err(at) = self.free.binary_search(&line) {
            self.free.insert(at, line);
        }
    }

    fn find_lines(&mut self) {
        let mut start = 0;
        while self.lines.len() < self.names.map_or(0, |(count, _)| usize::from(count)) {
            let rest = &self.text[start..];
            let (Some(colon), Some(lf)) = (memchr::memchr(b':', rest), memchr::memchr(b'\n', rest)) else {
                return;
            };
            self.lines.push(Line { value: start + colon + 1, end: start + lf + 1, told: None });
            start += lf + 1;
        }
    }

    fn told(&self, name: &[u8], side: usize, differences: &[Difference]) -> Told {
        let Ok(text) = std::str::from_utf8(name) else { return Told::Apart };
        let known = differences.iter().position(|known| text.eq_ignore_ascii_case(&known.path));
        match known {
            None if is_never_told(name) => Told::Never,
            _ if is_cookie(text) => Told::Apart,
            Some(nth) => {
                let alone = if side == 0 { Kind::Missing } else { Kind::Added };
                let once = self.fields_named(name) == 1;
                if once && differences[nth].kind == alone { Told::Alone(nth) } else { Told::Compared }
            }
            None => Told::Compared,
        }
    }

    fn fields_named(&self, name: &[u8]) -> usize {
        let starts = std::iter::once(0).chain(self.lines.iter().map(|line| line.end));
        let names = starts.zip(&self.lines).map(|(start, line)| &self.text[start..line.value - 1]);
        names.filter(|other| other.eq_ignore_ascii_case(name)).count()
    }
}
