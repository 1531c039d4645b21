//! What the latest bytes looked like after they were handed on.

use crate::wire::Print;

/// Prints of the latest segments of a stream.
///
/// Bytes in order are handed on without a copy, so a repeat of them cannot be compared with the first
/// copy itself. It is compared with a print: of the length, and of the first and last [`SAMPLE`] bytes.
/// That tells an injected or rewritten segment from a retransmission where both have the same bounds,
/// which is the usual case; other repeats are not judged.
#[derive(Debug, Default)]
pub(super) struct Recent {
    prints: [(u64, u64); Self::DEPTH],
    newest: usize,
}

/// How many bytes at either end of a segment a print covers.
const SAMPLE: usize = 32;

impl Recent {
    const DEPTH: usize = 4;

    /// Remembers the bytes that were handed on at `offset`.
    pub(super) fn remember(&mut self, offset: u64, bytes: &[u8]) {
        self.newest = (self.newest + 1) % Self::DEPTH;
        self.prints[self.newest] = (offset, print(bytes));
    }

    /// Whether a repeat at `offset` differs from the bytes that were handed on from there to `end`,
    /// as far as that can be told.
    pub(super) fn contradicts(&self, offset: u64, bytes: &[u8]) -> bool {
        let len = bytes.len() as u64 & LENGTH;
        self.prints
            .iter()
            .any(|&(at, known)| at == offset && known & LENGTH == len && known != 0 && known != print(bytes))
    }
}

/// The bits of a print that hold the length.
const LENGTH: u64 = (1 << 20) - 1;

#[inline]
fn print(bytes: &[u8]) -> u64 {
    let mut print = Print::default();
    match (bytes.first_chunk::<SAMPLE>(), bytes.last_chunk::<SAMPLE>()) {
        (Some(first), Some(last)) => {
            add(&mut print, first);
            add(&mut print, last);
        }
        _ => add(&mut print, &padded(bytes)),
    }
    print.finish() & !LENGTH | bytes.len() as u64 & LENGTH
}

#[inline]
fn add(print: &mut Print, sample: &[u8; SAMPLE]) {
    for word in sample.as_chunks().0 {
        print.add(u128::from_ne_bytes(*word));
    }
}

/// Fewer bytes than a sample, and zeros behind them.
fn padded(bytes: &[u8]) -> [u8; SAMPLE] {
    let mut padded = [0; SAMPLE];
    for (place, byte) in padded.iter_mut().zip(bytes) {
        *place = *byte;
    }
    padded
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_a_repeat_with_the_same_bounds_is_judged() {
        let mut recent = Recent::default();
        recent.remember(0, b"GET / HTTP/1.1");
        recent.remember(14, b"\r\n\r\n");
        for (offset, bytes, differs) in [
            (0, &b"GET / HTTP/1.1"[..], false),
            (0, b"GET /xHTTP/1.1", true),
            (0, b"GET", false),
            (14, b"\r\n\r\n", false),
            (14, b"\r\n\rX", true),
            (99, b"\r\n\rX", false),
        ] {
            assert_eq!(recent.contradicts(offset, bytes), differs, "{offset} {bytes:?}");
        }
    }

    #[test]
    fn old_segments_are_forgotten() {
        let mut recent = Recent::default();
        (0..=Recent::DEPTH as u64).for_each(|i| recent.remember(i, b"a"));
        assert!(!recent.contradicts(0, b"b"));
        assert!(recent.contradicts(1, b"b"));
    }
}
