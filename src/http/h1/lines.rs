//! Lines found many bytes at a time, as long as nothing is odd about where they end.

use std::ops::Range;

use super::sixteen;

/// How many bytes are looked at together.
const BLOCK: usize = 64;

/// Walks over lines that end with CRLF and hold no other control character.
pub(super) struct Lines<'b> {
    bytes: &'b [u8],
    /// Where the next line begins.
    pub(super) at: usize,
    /// How far was looked: where the present block ends.
    seen: usize,
    /// The CRs in that block that were not passed yet and have nothing odd before them, a bit for each.
    ends: u64,
    /// Whether what follows them is odd.
    odd: bool,
    /// Whether the block before ended with a CR.
    cr_before: bool,
}

impl<'b> Lines<'b> {
    #[inline]
    pub(super) const fn new(bytes: &'b [u8]) -> Self {
        Self { bytes, at: 0, seen: 0, ends: 0, odd: false, cr_before: false }
    }

    /// The next line without its end.
    #[inline]
    pub(super) fn next_line(&mut self) -> Option<Range<usize>> {
        while self.ends == 0 {
            self.look_on()?;
        }
        let cr = self.seen - BLOCK + self.ends.trailing_zeros() as usize;
        self.ends &= self.ends - 1;
        if self.bytes.get(cr + 1) != Some(&b'\n') {
            return None;
        }
        let line = self.at..cr;
        self.at = cr + 2;
        Some(line)
    }

    /// Passes over lines that are known to be such, up to `at`.
    #[inline]
    pub(super) fn pass_to(&mut self, at: usize) {
        *self = Self { at, seen: at, ..Self::new(self.bytes) };
    }

    /// Looks at the next block. A control character that is neither a CR nor behind one is odd. So is any other
    /// character behind a CR; there [`Self::next_line`] gives up before it comes to it.
    #[inline]
    fn look_on(&mut self) -> Option<()> {
        if self.odd {
            return None;
        }
        let Controls { all, crs } = controls(self.bytes, self.seen)?;
        self.seen += BLOCK;
        let odd = all ^ (crs | crs << 1 | u64::from(self.cr_before));
        // All bits below the lowest one that is set, or all.
        let before_odd = (odd & odd.wrapping_neg()).wrapping_sub(1);
        self.ends = crs & before_odd;
        self.odd = odd != 0;
        self.cr_before = crs >> (BLOCK - 1) != 0;
        Some(())
    }
}

/// Which bytes of a block are control characters, and which of them are CR: a bit for each, the first the lowest.
struct Controls {
    all: u64,
    crs: u64,
}

/// The control characters of the block at `from`; `None` behind the end.
#[inline]
fn controls(bytes: &[u8], from: usize) -> Option<Controls> {
    match bytes.get(from..)?.first_chunk() {
        Some(block) => Some(controls_in(block)),
        None => controls_at_end(bytes, from),
    }
}

#[inline(never)]
fn controls_at_end(bytes: &[u8], from: usize) -> Option<Controls> {
    let rest = bytes.get(from..).filter(|rest| !rest.is_empty())?;
    if let Some(last) = bytes.last_chunk() {
        let Controls { all, crs } = controls_in(last);
        let passed = BLOCK - rest.len();
        return Some(Controls { all: all >> passed, crs: crs >> passed });
    }
    let mut block = [b' '; BLOCK];
    block.get_mut(..rest.len())?.copy_from_slice(rest);
    Some(controls_in(&block))
}

#[inline]
fn controls_in(block: &[u8; BLOCK]) -> Controls {
    let (mut all, mut crs) = (0, 0);
    for (part, place) in block.as_chunks::<16>().0.iter().zip([0, 16, 32, 48]) {
        let (controls, cr) = sixteen::controls(*part);
        all |= u64::from(controls) << place;
        crs |= u64::from(cr) << place;
    }
    Controls { all, crs }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    proptest! {
        #![proptest_config(ProptestConfig { cases: 1000, failure_persistence: None, ..Default::default() })]

        #[test]
        fn lines_end_with_crlf_and_hold_no_other_control_character(
            pieces in proptest::collection::vec((".{0,70}", 0..9_usize), 0..12),
        ) {
            let ends = ["\r\n", "\r\n", "\r\n", "\r\n\r\n", "\r\n\r\n", "\r", "\n", "\n\r", "\t"];
            let text: String = pieces.iter().flat_map(|(text, end)| [text.as_str(), ends[*end]]).collect();
            let mut lines = Lines::new(text.as_bytes());
            let found: Vec<_> = std::iter::from_fn(|| lines.next_line()).map(|line| &text[line]).collect();
            let (whole, _) = text.rsplit_once("\r\n").unwrap_or_default();
            let plain = |line: &&str| !line.bytes().any(|b| b.is_ascii_control());
            let expected: Vec<_> = if text.contains("\r\n") { whole.split("\r\n").take_while(plain).collect() } else { Vec::new() };
            prop_assert_eq!(found, expected);
        }
    }
}
