//! Where a head ends: the empty line, found without looking at any byte twice.

/// What scanning came upon.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Found {
    /// The start line ends just before this offset.
    StartLine(usize),
    /// The head ends just before this offset.
    End(usize),
    /// Neither: all bytes were looked at.
    Nothing,
}

/// Finds the ends of the start line and of the head in bytes that arrive in pieces. A line ends with
/// LF, with or without CR before it (RFC 9112, section 2.2).
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct Scan {
    /// Bytes of the present line that earlier pieces held.
    carried: usize,
    /// The last byte of those.
    last: u8,
    start_line: bool,
    bare_lf: bool,
}

impl Scan {
    /// Whether the start line is complete.
    pub(super) fn past_start_line(self) -> bool {
        self.start_line
    }

    /// Whether a line ended with LF alone.
    pub(super) fn saw_bare_lf(self) -> bool {
        self.bare_lf
    }

    /// Looks through `bytes` from `from` on.
    pub(super) fn feed(&mut self, bytes: &[u8], from: usize) -> Found {
        let mut at = from;
        while let Some(rest) = bytes.get(at..).filter(|rest| !rest.is_empty()) {
            let Some(lf) = memchr::memchr(b'\n', rest) else {
                self.carried = self.carried.saturating_add(rest.len());
                self.last = rest.last().copied().unwrap_or(self.last);
                return Found::Nothing;
            };
            let empty = self.end_line(&rest[..lf]);
            at += lf + 1;
            if !self.start_line {
                self.start_line = true;
                return Found::StartLine(at);
            }
            if empty {
                return Found::End(at);
            }
        }
        Found::Nothing
    }

    /// Ends the present line, whose last piece is `tail`; says whether the line is empty.
    fn end_line(&mut self, tail: &[u8]) -> bool {
        let length = self.carried.saturating_add(tail.len());
        let last = tail.last().copied().unwrap_or(self.last);
        let cr = length > 0 && last == b'\r';
        self.carried = 0;
        self.bare_lf |= !cr;
        length == usize::from(cr)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn end_of(pieces: &[&str]) -> Option<(usize, bool)> {
        let (mut scan, mut before) = (Scan::default(), 0);
        for piece in pieces {
            let mut from = 0;
            loop {
                match scan.feed(piece.as_bytes(), from) {
                    Found::StartLine(at) => from = at,
                    Found::End(at) => return Some((before + at, scan.saw_bare_lf())),
                    Found::Nothing => break,
                }
            }
            before += piece.len();
        }
        None
    }

    #[test]
    fn the_head_ends_with_the_empty_line_wherever_it_is_cut() {
        for (head, bare) in [("A\r\nb: c\r\n\r\n", false), ("A\nb: c\n\n", true), ("A\r\n\n", true)] {
            let text = format!("{head}tail\r\n\r\n");
            assert_eq!(end_of(&[&text]), Some((head.len(), bare)));
            for cut in 0..text.len() {
                assert_eq!(end_of(&[&text[..cut], &text[cut..]]), Some((head.len(), bare)), "{cut}");
            }
        }
        assert_eq!(end_of(&["A\r\nb: c\r\n", "\r"]), None);
        assert_eq!(end_of(&["A\r\n b\r \r\n"]), None);
    }
}
