//! Durations and digests as text, millions of them: appended without a `String`, and in pieces whose size is known.

use std::time::Duration;

use crate::record::put::{first, fixed, hexadecimal, number, three};

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
