//! The head that was read last: the lines of the next one are mostly the same.
//!
//! Those that are, byte for byte and with their ends, need not be looked at again: what a line says depends on
//! nothing but its own bytes. So a head is read as runs of known lines, found by comparing memory, and the lines
//! between them, which are read as any other.

use super::Head;
use super::field::says;
use super::lines::Lines;
use crate::http::head::Plain;

/// Longer heads are not remembered.
const LONGEST: usize = 8 << 10;

/// What is remembered of a head, for those that follow it. Of the heads of one client, or one server, most lines are
/// the same.
pub struct LastHead<H: Head> {
    /// The head, to the end of its empty line.
    bytes: Vec<u8>,
    /// What its start line said.
    start_line: Option<H::Line>,
    /// Its lines, the start line and the empty one included.
    lines: Vec<Line>,
    /// How many heads in a row have had little in common with it.
    strangers: u32,
}

#[derive(Clone, Copy)]
struct Line {
    /// Where it ends, behind its CRLF.
    end: u32,
    /// What it says, where it is a field.
    says: Plain,
    /// What all say from this one on, in places that count from it; `None` if they are not plain together.
    all_say: Option<Plain>,
}

impl<H: Head> Default for LastHead<H> {
    fn default() -> Self {
        Self { bytes: Vec::new(), start_line: None, lines: Vec::new(), strangers: 0 }
    }
}

impl<H: Head> LastHead<H> {
    /// What the start line says with which `bytes` begin, and how long it is with its end, if it is that of this head.
    #[inline]
    pub(super) fn start_line(&self, bytes: &[u8]) -> Option<(H::Line, usize)> {
        let end = self.lines.first()?.end as usize;
        if self.bytes.get(..end)? == bytes.get(..end)? { Some((self.start_line.clone()?, end)) } else { None }
    }

    /// Takes up the field lines with which `rest` begins, as far as they are those of this head from the `place`th line
    /// on. `at` is where `rest` begins in its own head, and `place` is then that of the line behind them. Says how many
    /// bytes they are, and whether they end the head; `None` if the head is no longer plain.
    #[inline]
    pub(super) fn repeated(
        &self,
        rest: &[u8],
        at: u32,
        place: &mut usize,
        fields: &mut Plain,
    ) -> Option<(u32, bool)> {
        let before = place.checked_sub(1).and_then(|before| self.lines.get(before));
        let (Some(from), Some(line)) = (before.map(|line| line.end), self.lines.get(*place)) else {
            return Some((0, false));
        };
        let known = self.bytes.get(from as usize..).unwrap_or_default();
        if let (Some(all_say), true) = (&line.all_say, rest.starts_with(known)) {
            fields.join(all_say, at)?;
            // The head is shorter than 2^32.
            return Some((u32::try_from(known.len()).unwrap_or(u32::MAX), true));
        }
        let same = agreement(rest, known);
        let mut used = 0;
        // The last line is the empty one: the others are fields.
        while let Some(line) = self.lines.get(*place).filter(|_| *place + 1 < self.lines.len())
            && (line.end - from) as usize <= same
        {
            fields.join(&line.says, at.checked_add(used)?)?;
            used = line.end - from;
            *place += 1;
        }
        Some((used, false))
    }

    /// Notes that a plain head was read, of which most lines were new, or not. One that has little in common with this
    /// one takes its place; where that happens again and again, more and more seldom, so that it costs little.
    #[inline]
    pub(super) fn note(&mut self, head: &[u8], start_line: &H::Line, is_stranger: bool) {
        if is_stranger {
            self.meet(head, start_line);
        } else {
            self.strangers = 0;
        }
    }

    #[inline(never)]
    fn meet(&mut self, head: &[u8], start_line: &H::Line) {
        self.strangers = self.strangers.saturating_add(1);
        if self.strangers.is_power_of_two() && head.len() <= LONGEST {
            self.bytes.clear();
            self.bytes.extend_from_slice(head);
            self.start_line = Some(start_line.clone());
            self.lines.clear();
            let mut lines = Lines::new(&self.bytes);
            while let Some(line) = lines.next_line() {
                let is_field = line.start > 0 && !line.is_empty();
                let says = is_field.then(|| says(self.bytes.get(line.start..)?, line.len())).flatten();
                let says = says.unwrap_or_default();
                // A head of this length has no place beyond 32 bits.
                let end = u32::try_from(lines.at).unwrap_or(u32::MAX);
                self.lines.push(Line { end, says, all_say: None });
            }
            self.join_lines();
        }
    }

    fn join_lines(&mut self) {
        let mut behind = Some(Plain::default());
        for place in (1..self.lines.len()).rev() {
            let [before, line] = [place - 1, place].map(|place| self.lines[place]);
            let mut all_say = line.says;
            let joined = behind.and_then(|behind| all_say.join(&behind, line.end - before.end));
            behind = joined.map(|()| all_say);
            self.lines[place].all_say = behind;
        }
    }
}

/// How many of the first bytes are the same.
#[inline]
pub(crate) fn agreement(one: &[u8], other: &[u8]) -> usize {
    let wide = one.as_chunks::<32>().0.iter().zip(other.as_chunks::<32>().0);
    let same = wide.take_while(|(a, b)| is_same(a, b)).count() * 32;
    let (one, other) = (one.get(same..).unwrap_or_default(), other.get(same..).unwrap_or_default());
    let words = |bytes| <[u8]>::as_chunks::<8>(bytes).0.iter().map(|word| u64::from_le_bytes(*word));
    let mut behind = 0;
    for (a, b) in words(one).zip(words(other)) {
        if a != b {
            return same + behind + (a ^ b).trailing_zeros() as usize / 8;
        }
        behind += 8;
    }
    let rest = one.iter().zip(other).skip(behind);
    same + behind + rest.take_while(|(a, b)| a == b).count()
}

/// Whether all bytes are the same, without calling a function for it.
#[inline]
fn is_same(one: &[u8; 32], other: &[u8; 32]) -> bool {
    let halves = |bytes: &[u8; 32]| {
        let [low, high] = [bytes.first_chunk(), bytes.last_chunk()];
        [low, high].map(|half| u128::from_ne_bytes(half.copied().unwrap_or_default()))
    };
    let ([a, b], [c, d]) = (halves(one), halves(other));
    (a ^ c) | (b ^ d) == 0
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn bytes_agree_up_to_the_first_that_differs() {
        let bytes: Vec<u8> = (0..150).collect();
        for length in 0..bytes.len() {
            let one = &bytes[..length];
            assert_eq!(agreement(one, &bytes), length);
            for place in 0..length {
                let mut other = one.to_vec();
                other[place] ^= 0x80;
                assert_eq!((agreement(one, &other), agreement(&other, one)), (place, place));
            }
        }
    }
}
