//! Text from the wire as JSON.

use crate::record::put::fixed;

/// The member that names the host, and the name of the one behind it.
pub(super) fn host_and_status(out: &mut Vec<u8>, host: Option<&[u8]>) {
    fixed(out, b",\"host\":");
    optional(text)(out, host);
    fixed(out, b",\"status\":");
}

/// Text from the wire, lossy where that is not UTF-8. Most of it is ASCII that holds nothing to escape.
#[inline]
pub(super) fn text(out: &mut Vec<u8>, bytes: &[u8]) {
    if is_plain(bytes) {
        out.push(b'"');
        out.extend_from_slice(bytes);
        out.push(b'"');
    } else {
        // Writing to memory does not fail.
        let _ = serde_json::to_writer(out, &String::from_utf8_lossy(bytes));
    }
}

/// Whether text is ASCII that stands in JSON as it is (RFC 8259, section 7). It is looked at in blocks of one
/// size, of which the compiler looks at all bytes at once.
#[inline]
fn is_plain(text: &[u8]) -> bool {
    let all = |block: &[u8]| block.iter().fold(true, |all, &byte| all & is_plain_byte(byte));
    let (blocks, rest) = text.as_chunks::<16>();
    blocks.iter().all(|block| all(block))
        && text.last_chunk::<16>().map_or_else(|| all(rest), |last| all(last))
}

#[inline]
#[expect(clippy::needless_bitwise_bool, reason = "without branches the compiler looks at many bytes at once")]
const fn is_plain_byte(byte: u8) -> bool {
    (byte >= b' ') & (byte < 0x7f) & (byte != b'"') & (byte != b'\\')
}

pub(super) fn optional<T>(write: impl Fn(&mut Vec<u8>, T)) -> impl Fn(&mut Vec<u8>, Option<T>) {
    move |out, value| match value {
        Some(value) => write(out, value),
        None => fixed(out, b"null"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_plain_is_what_json_writes_as_it_is() {
        for length in 0..40 {
            for (place, byte) in (0..length).flat_map(|place| (0..=255).map(move |byte| (place, byte))) {
                let mut bytes = vec![b'a'; length];
                bytes[place] = byte;
                let unchanged = std::str::from_utf8(&bytes)
                    .is_ok_and(|text| serde_json::to_string(text).unwrap() == format!("\"{text}\""));
                let ascii = byte.is_ascii() && byte != 0x7f;
                assert_eq!(is_plain(&bytes), unchanged && ascii, "{}", bytes.escape_ascii());
            }
        }
    }
}
