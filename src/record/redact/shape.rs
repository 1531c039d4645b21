//! What a secret looks like, told without telling it.

use std::borrow::Cow;

/// Shorter secrets are not described: what they are made of would help to guess them.
const SHORTEST: usize = 16;

/// The shape of a secret: `jwt`, `uuid`, `digits16`, `hex32`, `text24` with the length in bytes, or `short`.
pub(super) fn shape(secret: &[u8]) -> Cow<'static, str> {
    let len = secret.len();
    if len < SHORTEST {
        "short".into()
    } else if secret.starts_with(b"eyJ") && memchr::memchr_iter(b'.', secret).count() >= 2 {
        "jwt".into()
    } else if is_uuid(secret) {
        "uuid".into()
    } else if secret.iter().all(u8::is_ascii_digit) {
        format!("digits{len}").into()
    } else if secret.iter().all(u8::is_ascii_hexdigit) {
        format!("hex{len}").into()
    } else {
        format!("text{len}").into()
    }
}

/// Whether a text could be a shape.
pub(super) fn is_shape(text: &[u8]) -> bool {
    (3..=28).contains(&text.len()) && text.iter().all(|b| b.is_ascii_lowercase() || b.is_ascii_digit())
}

/// The form of RFC 9562, section 4.
fn is_uuid(text: &[u8]) -> bool {
    let dash = |at: usize| matches!(at, 8 | 13 | 18 | 23);
    let fits = |(at, b): (usize, &u8)| if dash(at) { *b == b'-' } else { b.is_ascii_hexdigit() };
    text.len() == 36 && text.iter().enumerate().all(fits)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn long_secrets_have_a_shape_and_short_ones_none() {
        for (secret, expected) in [
            ("hunter2", "short"),
            ("4242424242424242", "digits16"),
            ("0123456789abcdef0123456789abcdef", "hex32"),
            ("123e4567-e89b-12d3-a456-426614174000", "uuid"),
            ("eyJhbGciOiJIUzI1NiJ9.eyJzdWIiOiIxIn0.c2lnbmF0dXJl", "jwt"),
            ("correct horse battery staple", "text28"),
        ] {
            assert_eq!(shape(secret.as_bytes()), expected);
            assert!(is_shape(expected.as_bytes()));
        }
    }
}
