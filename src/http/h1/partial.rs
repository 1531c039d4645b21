//! A head as it comes in: kept until its empty line, up to a size.

use bytes::Bytes;

use super::MAX_HEAD;
use super::scan::{Found, Scan};
use super::start::{Head, Plausible, StartLine};
use crate::time::Timestamp;

/// How far into a line the parser looks for whether it can be a start line.
const LINE_PREFIX: usize = 64;

/// A head that is being read.
pub(super) struct Partial {
    pub(super) kept: Vec<u8>,
    /// Bytes beyond [`MAX_HEAD`].
    pub(super) beyond: u64,
    pub(super) scan: Scan,
    pub(super) first_byte: Timestamp,
    pub(super) last_byte: Timestamp,
}

/// What became of bytes that were handed to a partial head.
pub(super) enum Took {
    /// They are part of it.
    All,
    /// So many complete it; here it is.
    Head(usize, Bytes),
    /// It is none.
    NoHead,
}

impl Partial {
    /// A head whose first byte was seen at `at`.
    pub(super) fn new(at: Timestamp) -> Self {
        Self { kept: Vec::new(), beyond: 0, scan: Scan::default(), first_byte: at, last_byte: at }
    }

    /// Takes the next bytes, as far as they are the head's.
    pub(super) fn take<H: Head>(&mut self, bytes: &[u8]) -> Took {
        let before = self.kept.len();
        let mut from = 0;
        loop {
            match self.scan.feed(bytes, from) {
                Found::Nothing => {
                    self.keep(bytes);
                    let unsure = !self.scan.past_start_line() && before < LINE_PREFIX;
                    let refused = unsure && H::plausible(prefix(&self.kept)) == Plausible::No;
                    if refused {
                        self.kept.truncate(before);
                        return Took::NoHead;
                    }
                    return Took::All;
                }
                Found::StartLine(end) => match H::start_line(&self.joined(bytes, end)) {
                    StartLine::Whole => return Took::Head(end, self.complete(bytes, end)),
                    StartLine::Begins => from = end,
                    StartLine::None => return Took::NoHead,
                },
                Found::End(end) => return Took::Head(end, self.complete(bytes, end)),
            }
        }
    }

    fn joined<'a>(&'a self, bytes: &'a [u8], end: usize) -> std::borrow::Cow<'a, [u8]> {
        let piece = bytes.get(..end).unwrap_or_default();
        if self.kept.is_empty() { piece.into() } else { [self.kept.as_slice(), piece].concat().into() }
    }

    /// The head, which ends after `end` of `bytes`.
    fn complete(&mut self, bytes: &[u8], end: usize) -> Bytes {
        let piece = bytes.get(..end).unwrap_or_default();
        if self.kept.is_empty() && piece.len() <= MAX_HEAD {
            return Bytes::copy_from_slice(piece);
        }
        self.keep(piece);
        Bytes::from(std::mem::take(&mut self.kept))
    }

    fn keep(&mut self, bytes: &[u8]) {
        let room = MAX_HEAD.saturating_sub(self.kept.len()).min(bytes.len());
        self.kept.extend_from_slice(bytes.get(..room).unwrap_or_default());
        self.beyond += (bytes.len() - room) as u64;
    }
}

/// As much of `bytes` as is looked at to refuse a start line.
pub(super) fn prefix(bytes: &[u8]) -> &[u8] {
    bytes.get(..LINE_PREFIX).unwrap_or(bytes)
}
