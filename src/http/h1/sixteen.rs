//! Sixteen bytes looked at together: which of them are of a kind, the first in the lowest bit.

/// Control characters, which are those below the space and DEL; and those of them that are CR.
#[inline]
pub(super) fn controls(bytes: [u8; 16]) -> (u32, u32) {
    #[cfg(target_arch = "x86_64")]
    #[allow(unsafe_code, reason = "the compiler does not see that the instructions are there")]
    // SAFETY: SSE2 is part of x86_64; the function needs nothing else.
    return unsafe { sse2::controls(bytes) };
    #[cfg(not(target_arch = "x86_64"))]
    one_by_one::controls(bytes)
}

/// The characters of nearly all field names: letters, digits, hyphens.
#[inline]
pub(super) fn name_characters(bytes: [u8; 16]) -> u32 {
    #[cfg(target_arch = "x86_64")]
    #[allow(unsafe_code, reason = "the compiler does not see that the instructions are there")]
    // SAFETY: SSE2 is part of x86_64; the function needs nothing else.
    return unsafe { sse2::name_characters(bytes) };
    #[cfg(not(target_arch = "x86_64"))]
    one_by_one::name_characters(bytes)
}

#[cfg(target_arch = "x86_64")]
mod sse2 {
    use std::arch::x86_64::{
        __m128i, _mm_cmpeq_epi8, _mm_min_epu8, _mm_movemask_epi8, _mm_or_si128, _mm_set_epi64x,
        _mm_set1_epi8, _mm_sub_epi8,
    };

    #[target_feature(enable = "sse2")]
    #[inline]
    pub(super) fn controls(bytes: [u8; 16]) -> (u32, u32) {
        let bytes = load(bytes);
        let all = _mm_or_si128(within(bytes, 0, 0x1f), _mm_cmpeq_epi8(bytes, _mm_set1_epi8(0x7f)));
        (mask(all), mask(_mm_cmpeq_epi8(bytes, _mm_set1_epi8(b'\r'.cast_signed()))))
    }

    #[target_feature(enable = "sse2")]
    #[inline]
    pub(super) fn name_characters(bytes: [u8; 16]) -> u32 {
        let bytes = load(bytes);
        // This bit makes letters small, and brings nothing else among them.
        let letters = within(_mm_or_si128(bytes, _mm_set1_epi8(0x20)), b'a', 25);
        let hyphens = _mm_cmpeq_epi8(bytes, _mm_set1_epi8(b'-'.cast_signed()));
        mask(_mm_or_si128(_mm_or_si128(letters, within(bytes, b'0', 9)), hyphens))
    }

    /// Which bytes lie from `first` to so many after it.
    #[target_feature(enable = "sse2")]
    #[inline]
    fn within(bytes: __m128i, first: u8, more: u8) -> __m128i {
        let distance = _mm_sub_epi8(bytes, _mm_set1_epi8(first.cast_signed()));
        _mm_cmpeq_epi8(_mm_min_epu8(distance, _mm_set1_epi8(more.cast_signed())), distance)
    }

    #[target_feature(enable = "sse2")]
    #[inline]
    fn load(bytes: [u8; 16]) -> __m128i {
        let (halves, _) = bytes.as_chunks::<8>();
        let [low, high] = [0, 1].map(|half| halves.get(half).map_or(0, |half| i64::from_le_bytes(*half)));
        _mm_set_epi64x(high, low)
    }

    #[target_feature(enable = "sse2")]
    #[inline]
    fn mask(bytes: __m128i) -> u32 {
        _mm_movemask_epi8(bytes).cast_unsigned()
    }
}

/// The same without vectors.
#[cfg(any(test, not(target_arch = "x86_64")))]
mod one_by_one {
    pub(super) fn controls(bytes: [u8; 16]) -> (u32, u32) {
        (mask(bytes.map(|b| b.is_ascii_control())), mask(bytes.map(|b| b == b'\r')))
    }

    pub(super) fn name_characters(bytes: [u8; 16]) -> u32 {
        mask(bytes.map(|b| b.is_ascii_alphanumeric() || b == b'-'))
    }

    fn mask(kinds: [bool; 16]) -> u32 {
        kinds.iter().rev().fold(0, |mask, kind| mask << 1 | u32::from(*kind))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_byte_in_each_place_is_told_as_one_by_one() {
        for place in 0..16 {
            for byte in 0..=255 {
                let mut bytes = [b'a'; 16];
                bytes[place] = byte;
                assert_eq!(controls(bytes), one_by_one::controls(bytes), "{byte} at {place}");
                assert_eq!(name_characters(bytes), one_by_one::name_characters(bytes), "{byte} at {place}");
            }
        }
    }
}
