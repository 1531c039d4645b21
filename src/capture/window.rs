//! A window that slides over a stream of bytes: large reads in, contiguous records out.

use std::io::{self, ErrorKind, Read};
use std::ops::Range;

use super::error::Corruption;

/// The longest packet or block that is held in memory, in bytes. Ethernet with the largest offload is
/// half a megabyte; anything beyond this is a damaged length field.
pub(super) const MAX_RECORD: u32 = 16 << 20;

/// Why a reader of records has no further one.
#[derive(Debug)]
pub(super) enum Stop {
    /// The stream ended between records.
    End,
    /// The stream ended inside the record that begins at this offset.
    Truncated(u64),
    /// The record that begins at this offset cannot be one.
    Corrupt(u64, Corruption),
    /// The stream could not be read at this offset.
    Io(u64, io::Error),
}

/// How the stream beneath a window ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Ended {
    Not,
    Properly,
    /// A decompressor ran out of input before its stream was complete.
    Early,
}

/// The window. Unread bytes are `buffer[start..end]`, and `buffer[0]` lies at offset `base`; so
/// `start <= end <= buffer.len()`, and `base + start` never decreases.
#[derive(Debug)]
pub(super) struct Window<R> {
    source: R,
    buffer: Vec<u8>,
    start: usize,
    end: usize,
    base: u64,
    ended: Ended,
}

impl<R: Read> Window<R> {
    pub(super) fn new(source: R, capacity: usize) -> Self {
        Self { source, buffer: vec![0; capacity], start: 0, end: 0, base: 0, ended: Ended::Not }
    }

    /// Where the unread bytes begin, in bytes from the start of the stream.
    #[inline]
    pub(super) fn offset(&self) -> u64 {
        self.base + self.start as u64
    }

    /// The bytes that are at hand.
    #[inline]
    pub(super) fn unread(&self) -> &[u8] {
        &self.buffer[self.start..self.end]
    }

    /// The bytes of a range that [`Self::take`] gave; valid until more is demanded.
    #[inline]
    pub(super) fn slice(&self, range: Range<usize>) -> &[u8] {
        &self.buffer[range]
    }

    pub(super) fn source(&self) -> &R {
        &self.source
    }

    /// Sees to it that `need` bytes are at hand; says whether the stream has that many.
    #[inline]
    pub(super) fn fill(&mut self, need: usize) -> Result<bool, Stop> {
        if self.end - self.start >= need { Ok(true) } else { self.refill(need) }
    }

    /// As [`Self::fill`], for the bytes of the record that begins at `record`.
    #[inline]
    pub(super) fn demand(&mut self, need: usize, record: u64) -> Result<(), Stop> {
        if self.fill(need)? { Ok(()) } else { Err(Stop::Truncated(record)) }
    }

    /// As [`Self::demand`] at the start of a record, where the stream may also end.
    #[inline]
    pub(super) fn demand_start(&mut self, need: usize) -> Result<(), Stop> {
        if self.fill(need)? {
            return Ok(());
        }
        let whole = self.start == self.end && self.ended == Ended::Properly;
        Err(if whole { Stop::End } else { Stop::Truncated(self.offset()) })
    }

    /// Moves on by `n` bytes, which are at hand, and says where they lie.
    #[inline]
    pub(super) fn take(&mut self, n: usize) -> Range<usize> {
        let taken = self.start..(self.start + n).min(self.end);
        self.start = taken.end;
        taken
    }

    /// Moves on by `n` bytes of the record that begins at `record` without keeping them.
    pub(super) fn skip(&mut self, mut n: u64, record: u64) -> Result<(), Stop> {
        loop {
            let here = usize::try_from(n).unwrap_or(usize::MAX).min(self.end - self.start);
            self.start += here;
            n -= here as u64;
            if n == 0 {
                return Ok(());
            }
            self.demand(1, record)?;
        }
    }

    #[cold]
    fn refill(&mut self, need: usize) -> Result<bool, Stop> {
        self.buffer.copy_within(self.start..self.end, 0);
        self.base += self.start as u64;
        self.end -= self.start;
        self.start = 0;
        while self.end < need {
            if self.ended != Ended::Not {
                return Ok(false);
            }
            if self.end == self.buffer.len() {
                // Doubling, so that a false length in a short file costs no more than the file.
                self.buffer.resize(need.min(self.buffer.len() * 2).max(64), 0);
            }
            self.read_once().map_err(|error| Stop::Io(self.base + self.end as u64, error))?;
        }
        Ok(true)
    }

    fn read_once(&mut self) -> io::Result<()> {
        let free = &mut self.buffer[self.end..];
        match self.source.read(free) {
            Ok(0) => self.ended = Ended::Properly,
            Ok(n) => self.end += n.min(free.len()),
            Err(error) if error.kind() == ErrorKind::Interrupted => {}
            Err(error) if error.kind() == ErrorKind::UnexpectedEof => self.ended = Ended::Early,
            Err(error) => return Err(error),
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Gives out the bytes in pieces of the given size.
    struct Trickle<'b>(&'b [u8], usize);

    impl Read for Trickle<'_> {
        fn read(&mut self, buf: &mut [u8]) -> io::Result<usize> {
            let n = self.1.min(self.0.len()).min(buf.len());
            let (now, later) = self.0.split_at(n);
            buf[..n].copy_from_slice(now);
            self.0 = later;
            Ok(n)
        }
    }

    #[test]
    fn slides_over_any_pieces_and_keeps_the_offset() {
        let bytes: Vec<u8> = (0..=255).collect();
        for piece in [1, 3, 7, 300] {
            let mut window = Window::new(Trickle(&bytes, piece), 8);
            for at in (0..250).step_by(10) {
                assert_eq!(window.offset(), at as u64);
                window.demand(10, 0).unwrap();
                let taken = window.take(10);
                assert_eq!(window.slice(taken), &bytes[at..at + 10]);
            }
            assert!(matches!(window.demand_start(10), Err(Stop::Truncated(250))));
            assert!(window.buffer.len() <= 64, "grew to {}", window.buffer.len());
            window.skip(6, 250).unwrap();
            assert!(matches!(window.demand_start(1), Err(Stop::End)));
        }
    }

    #[test]
    fn a_false_length_costs_no_more_memory_than_the_file() {
        let mut window = Window::new(&[0_u8; 1000][..], 64);
        assert!(!window.fill(MAX_RECORD as usize).unwrap());
        assert!(window.buffer.len() <= 2000);
    }
}
