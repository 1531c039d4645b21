//! Numbers as text, millions of them: appended without a `String`, and in pieces whose size is known.

use std::time::Duration;

/// Appends bytes, so many that the compiler copies them without asking how many.
#[inline]
pub(super) fn fixed<const N: usize>(out: &mut Vec<u8>, bytes: &[u8; N]) {
    out.extend_from_slice(bytes);
}

/// Appends the first `used` of these bytes.
#[inline]
fn first<const N: usize>(out: &mut Vec<u8>, bytes: &[u8; N], used: usize) {
    let end = out.len() + used;
    fixed(out, bytes);
    out.truncate(end);
}

/// A decimal number.
#[inline]
pub(super) fn number(out: &mut Vec<u8>, value: u64) {
    /// Above this a number has more than eight digits.
    const EIGHT: u64 = 99_999_999;
    match value {
        0..10 => out.push(digit(value)),
        10..=EIGHT => eight(out, value),
        _ => twenty(out, value),
    }
}

/// A number of at most eight digits. Each comes into the lowest byte and moves those behind it up, so that the
/// first of them is the first byte in memory.
#[inline]
fn eight(out: &mut Vec<u8>, mut value: u64) {
    let (mut word, mut used) = (0, 0);
    loop {
        word = word << 8 | u64::from(digit(value));
        value /= 10;
        used += 1;
        if value == 0 {
            return first(out, &word.to_le_bytes(), used);
        }
    }
}

/// Any number: 2^64 has twenty digits.
#[inline(never)]
fn twenty(out: &mut Vec<u8>, mut value: u64) {
    let mut digits = [0; 20];
    let mut used = 0;
    for place in digits.iter_mut().rev() {
        *place = digit(value);
        value /= 10;
        used += 1;
        if value == 0 {
            break;
        }
    }
    out.extend_from_slice(digits.get(digits.len() - used..).unwrap_or_default());
}

/// The last digit of a number.
#[inline]
const fn digit(value: u64) -> u8 {
    b'0' + (value % 10).to_le_bytes()[0]
}

/// The last three digits of a number.
#[inline]
pub(super) fn three(value: u32) -> [u8; 3] {
    [value / 100 % 10, value / 10 % 10, value % 10].map(|digit| b'0' + digit.to_le_bytes()[0])
}

/// Milliseconds, exact, with as many fractional digits as it takes and at least one.
#[inline]
pub(super) fn milliseconds(out: &mut Vec<u8>, duration: Duration) {
    number(out, u64::try_from(duration.as_millis()).unwrap_or(u64::MAX));
    let nanos = duration.subsec_nanos();
    let mut digits = *b".000000";
    digits[1..].copy_from_slice([nanos / 1000, nanos].map(three).as_flattened());
    let used = digits.iter().rposition(|digit| *digit != b'0').unwrap_or(0) + 1;
    first(out, &digits, used.max(2));
}

/// Sixteen hexadecimal digits.
#[inline]
pub(super) fn hexadecimal(number: u64) -> [u8; 16] {
    let [high, low] = [number >> 32, number & 0xffff_ffff].map(eight_nibbles);
    (u128::from(high) << 64 | u128::from(low)).to_be_bytes()
}

/// The eight hexadecimal digits of a number below 2^32, the first in the highest byte: its nibbles are moved
/// apart, into a byte each, and all are made digits at once.
#[inline]
const fn eight_nibbles(number: u64) -> u64 {
    const ONE_EACH: u64 = 0x0101_0101_0101_0101;
    let halves = (number << 16 | number) & 0x0000_ffff_0000_ffff;
    let bytes = (halves << 8 | halves) & 0x00ff_00ff_00ff_00ff;
    let nibbles = (bytes << 4 | bytes) & (ONE_EACH * 0x0f);
    // Six more carry those from ten on into the next bit.
    let letters = (nibbles + ONE_EACH * 6) >> 4 & ONE_EACH;
    nibbles + ONE_EACH * b'0' as u64 + letters * (b'a' - b'0' - 10) as u64
}

/// A digest in hexadecimal digits, in quotation marks.
pub(super) fn hex(out: &mut Vec<u8>, digest: &[u8; 32]) {
    out.push(b'"');
    for word in digest.as_chunks::<8>().0 {
        fixed(out, &hexadecimal(u64::from_be_bytes(*word)));
    }
    out.push(b'"');
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn written(write: impl Fn(&mut Vec<u8>)) -> String {
        let mut out = b"before ".to_vec();
        write(&mut out);
        String::from_utf8(out).unwrap().strip_prefix("before ").unwrap().to_owned()
    }

    #[test]
    fn numbers_are_those_of_the_standard_library() {
        let powers = (0..20).map(|n| 10_u64.pow(n));
        for n in
            powers.flat_map(|power| [power - 1, power, power + 1, power.wrapping_mul(7)]).chain([u64::MAX])
        {
            assert_eq!(written(|out| number(out, n)), n.to_string());
            assert_eq!(hexadecimal(n).as_slice(), format!("{n:016x}").as_bytes());
        }
    }

    #[test]
    fn milliseconds_have_the_digits_that_they_need() {
        for (nanos, ms) in [
            (0, "0.0"),
            (1, "0.000001"),
            (20_000, "0.02"),
            (999_999, "0.999999"),
            (1_000_000, "1.0"),
            (1_500_000, "1.5"),
            (61_000_000_000, "61000.0"),
            (u64::MAX, "18446744073709.551615"),
        ] {
            assert_eq!(written(|out| milliseconds(out, Duration::from_nanos(nanos))), ms);
        }
    }

    proptest! {
        #[test]
        fn any_number_is_that_of_the_standard_library(n in any::<u64>(), bits in 0..64_u32) {
            let n = n >> bits;
            prop_assert_eq!(written(|out| number(out, n)), n.to_string());
            let digits = hexadecimal(n);
            prop_assert_eq!(digits.escape_ascii().to_string(), format!("{n:016x}"));
            let digest: Vec<u8> = (0..4).flat_map(|i| n.rotate_left(i * 7).to_be_bytes()).collect();
            let expected = digest.iter().map(|byte| format!("{byte:02x}")).collect::<Vec<_>>().concat();
            prop_assert_eq!(written(|out| hex(out, digest.first_chunk().unwrap())), format!("\"{expected}\""));
        }
    }
}
