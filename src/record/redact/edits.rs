//! Replacing parts of a buffer: spans with what goes there.

use std::ops::Range;

use bytes::Bytes;

/// Replacements of spans. They may be pushed in any order; where two overlap, the one that begins first
/// is kept, and of two that begin together the longer.
#[derive(Default)]
pub(super) struct Edits(Vec<(Range<usize>, Bytes)>);

impl Edits {
    pub(super) fn push(&mut self, span: Range<usize>, replacement: Bytes) {
        self.0.push((span, replacement));
    }

    /// Whether there is none to make.
    pub(super) fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    /// The buffer with the replacements made; `None` when there is none to make.
    pub(super) fn apply(self, bytes: &[u8]) -> Option<Vec<u8>> {
        let mut out = Vec::new();
        self.put(&mut out, bytes).then_some(out)
    }

    /// Appends the same; says whether there is any to make, without which nothing is appended.
    pub(super) fn put(mut self, out: &mut Vec<u8>, bytes: &[u8]) -> bool {
        if self.0.is_empty() {
            return false;
        }
        self.0.sort_by_key(|(span, _)| (span.start, std::cmp::Reverse(span.end)));
        out.reserve(bytes.len());
        let mut at = 0;
        for (span, replacement) in self.0 {
            if span.start < at {
                continue;
            }
            out.extend_from_slice(bytes.get(at..span.start).unwrap_or_default());
            out.extend_from_slice(&replacement);
            at = span.end;
        }
        out.extend_from_slice(bytes.get(at..).unwrap_or_default());
        true
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn of_overlapping_spans_the_first_and_longest_is_replaced() {
        let mut edits = Edits::default();
        edits.push(6..8, "Z".into());
        edits.push(1..3, "X".into());
        edits.push(1..4, "Y".into());
        edits.push(3..5, "W".into());
        assert_eq!(edits.apply(b"0123456789").unwrap(), b"0Y45Z89");
        assert_eq!(Edits::default().apply(b"0123"), None);
    }
}
