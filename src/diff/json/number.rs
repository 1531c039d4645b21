//! Numbers of JSON compared as exact decimals (RFC 8259, section 6), at any length.

use std::cmp::Ordering;

/// Exponents beyond this many digits are not followed; no decimal that anyone means has one.
const MAX_EXPONENT_DIGITS: usize = 18;

/// Whether two number texts stand for the same decimal. False where that cannot be told.
pub(super) fn same_decimal(a: &[u8], b: &[u8]) -> bool {
    match (Decimal::parse(a), Decimal::parse(b)) {
        (Some(a), Some(b)) => a == b,
        _ => false,
    }
}

/// Whether a text is a number of JSON.
pub(in crate::diff) fn is_number_text(text: &[u8]) -> bool {
    Decimal::parse(text).is_some()
}

/// The number that a text of JSON stands for, as near as a double comes to it.
pub(in crate::diff) fn decimal(text: &[u8]) -> Option<f64> {
    is_number_text(text).then(|| std::str::from_utf8(text).ok()?.parse().ok())?
}

/// A decimal in canonical form: `±digits × 10^exponent`, the digits without zeros at either end.
struct Decimal<'t> {
    negative: bool,
    /// The digits before and behind the point, the outer zeros gone.
    whole: &'t [u8],
    fraction: &'t [u8],
    /// The power of ten of the last digit kept.
    exponent: i64,
}

impl<'t> Decimal<'t> {
    /// `None` where the text is no JSON number, or its exponent is out of reach.
    fn parse(text: &'t [u8]) -> Option<Self> {
        let (negative, text) = match text.strip_prefix(b"-") {
            Some(rest) => (true, rest),
            None => (false, text),
        };
        let e = text.iter().position(|b| matches!(b, b'e' | b'E'));
        let (mantissa, exponent) = match e {
            Some(at) => (&text[..at], exponent(&text[at + 1..])?),
            None => (text, 0),
        };
        let point = mantissa.iter().position(|&b| b == b'.');
        let (whole, fraction) = match point {
            Some(at) => (&mantissa[..at], Some(&mantissa[at + 1..])),
            None => (mantissa, None),
        };
        let digits = |part: &[u8]| !part.is_empty() && part.iter().all(u8::is_ascii_digit);
        let valid = digits(whole) && fraction.is_none_or(digits) && (whole.len() == 1 || whole[0] != b'0');
        valid.then(|| Self::canonical(negative, whole, fraction.unwrap_or_default(), exponent))?
    }

    fn canonical(negative: bool, whole: &'t [u8], fraction: &'t [u8], exponent: i64) -> Option<Self> {
        let mut fraction = trim_end(fraction);
        let mut exponent = exponent.checked_sub(i64::try_from(fraction.len()).ok()?)?;
        let mut whole = trim_start(whole);
        if fraction.is_empty() {
            let kept = trim_end(whole);
            exponent = exponent.checked_add(i64::try_from(whole.len() - kept.len()).ok()?)?;
            whole = kept;
        }
        if whole.is_empty() {
            fraction = trim_start(fraction);
        }
        if whole.is_empty() && fraction.is_empty() {
            return Some(Self { negative: false, whole, fraction, exponent: 0 });
        }
        Some(Self { negative, whole, fraction, exponent })
    }

    fn digits(&self) -> impl Iterator<Item = &u8> {
        self.whole.iter().chain(self.fraction)
    }
}

impl PartialEq for Decimal<'_> {
    fn eq(&self, other: &Self) -> bool {
        self.negative == other.negative
            && self.exponent == other.exponent
            && self.digits().cmp(other.digits()) == Ordering::Equal
    }
}

fn exponent(text: &[u8]) -> Option<i64> {
    let digits = text.strip_prefix(b"+").or(text.strip_prefix(b"-")).unwrap_or(text);
    let kept = trim_start(digits);
    let valid = !digits.is_empty() && digits.iter().all(u8::is_ascii_digit);
    if !valid || kept.len() > MAX_EXPONENT_DIGITS {
        return None;
    }
    let value = kept.iter().fold(0i64, |n, b| n * 10 + i64::from(b - b'0'));
    Some(if text.starts_with(b"-") { -value } else { value })
}

fn trim_start(digits: &[u8]) -> &[u8] {
    &digits[digits.iter().take_while(|&&b| b == b'0').count()..]
}

fn trim_end(digits: &[u8]) -> &[u8] {
    &digits[..digits.len() - digits.iter().rev().take_while(|&&b| b == b'0').count()]
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn numbers_are_the_same_when_their_decimals_are() {
        for (a, b, same) in [
            ("1", "1.0", true),
            ("100", "1e2", true),
            ("0.001", "1E-3", true),
            ("1.50", "15e-1", true),
            ("0.05", "5e-2", true),
            ("10.10", "1.01e1", true),
            ("-0", "0", true),
            ("0e999999999999999999999", "0", false),
            ("0e5", "0", true),
            ("-1", "1", false),
            ("9007199254740993", "9007199254740992", false),
            ("0.1", "0.10000000000000001", false),
            ("1e400", "10e399", true),
            ("1e400", "1e401", false),
            ("1e99999999999999999999", "1e99999999999999999998", false),
            ("1", "", false),
            ("01", "1", false),
            ("1.", "1", false),
            ("abc", "abc", false),
        ] {
            assert_eq!(same_decimal(a.as_bytes(), b.as_bytes()), same, "{a} / {b}");
        }
        let zeros = format!("1{}", "0".repeat(400));
        assert!(same_decimal(zeros.as_bytes(), b"1e400"));
    }

    #[test]
    fn exponents_at_the_edge_do_not_overflow() {
        assert!(!same_decimal(b"1e999999999999999999", b"1e-999999999999999999"));
        assert!(!same_decimal(b"0.1e-999999999999999999", b"1e-999999999999999999"));
    }
}
