//! What tells bytes apart that were seen from others: a print of some of them.

/// Hashes words. Unlike a common hasher it multiplies each by itself, so that the processor need not wait
/// for one before it begins with the next. It keeps no secret: who knows the whole of a packet beforehand
/// could hide it behind another with the same print, and nobody does.
#[derive(Default)]
pub(crate) struct Print {
    sum: u64,
    words: u64,
}

impl Print {
    #[inline]
    pub(crate) fn add(&mut self, word: u128) {
        // Digits of pi: odd, and without a pattern.
        const LOW: u64 = 0x243f_6a88_85a3_08d3;
        const HIGH: u64 = 0x1319_8a2e_0370_7345;
        self.words = self.words.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let [low, high] = halves(word);
        self.sum = self.sum.rotate_left(23) ^ folded(low ^ LOW ^ self.words, high ^ HIGH);
    }

    #[inline]
    pub(crate) fn finish(self) -> u64 {
        folded(self.sum, 0xa409_3822_299f_31d1)
    }
}

/// Both halves of a product, joined.
#[inline]
fn folded(a: u64, b: u64) -> u64 {
    let [low, high] = halves(u128::from(a) * u128::from(b));
    low ^ high
}

#[inline]
#[expect(clippy::cast_possible_truncation, reason = "the other half is taken, too")]
const fn halves(word: u128) -> [u64; 2] {
    [word as u64, (word >> 64) as u64]
}
