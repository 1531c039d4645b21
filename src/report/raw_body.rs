//! Bodies as they came, without what makes them easy to read.

use super::visible::visible;

/// Bytes of a text that are shown.
const MOST_TEXT: usize = 4 * 1024;
/// Bytes of anything else that are shown.
const MOST_BINARY: usize = 512;
/// Bytes on a line of a dump.
const COLUMNS: usize = 16;

/// The bytes as lines: text as it is, anything else as a dump of its bytes.
pub(super) fn lines(body: &[u8]) -> Vec<String> {
    let head = body.get(..MOST_TEXT).unwrap_or(body);
    let valid = match std::str::from_utf8(head) {
        Ok(text) => Some(text),
        // The cut may have gone through a character.
        Err(error) if error.error_len().is_none() && body.len() > head.len() => {
            head.get(..error.valid_up_to()).and_then(|head| std::str::from_utf8(head).ok())
        }
        Err(_) => None,
    };
    let mut lines: Vec<String> = match valid.filter(|text| !text.contains('\0')) {
        Some(text) => text.split_inclusive('\n').map(|line| visible(line).into_owned()).collect(),
        None => head.chunks(COLUMNS).take(MOST_BINARY / COLUMNS).enumerate().map(dumped).collect(),
    };
    let shown = if valid.is_some() { MOST_TEXT } else { MOST_BINARY };
    if body.len() > shown {
        lines.push(format!("(cut here; {} bytes in all)", body.len()));
    }
    lines
}

/// A line of a dump: the offset, the bytes, and those that are letters as letters.
fn dumped((line, bytes): (usize, &[u8])) -> String {
    let hex: Vec<_> = bytes.iter().map(|b| format!("{b:02x}")).collect();
    let letter = |b: &u8| if b.is_ascii_graphic() || *b == b' ' { char::from(*b) } else { '.' };
    let letters: String = bytes.iter().map(letter).collect();
    format!("{:08x}  {:<47}  {letters}", line * COLUMNS, hex.join(" "))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn text_is_shown_with_its_line_ends_and_anything_else_byte_by_byte() {
        assert_eq!(lines(b"a\r\n b"), ["a\\r\\n", " b"]);
        assert_eq!(lines(b""), Vec::<String>::new());
        let dump = lines(b"\x1f\x8b0123456789abcdefg");
        assert_eq!(dump[0], "00000000  1f 8b 30 31 32 33 34 35 36 37 38 39 61 62 63 64  ..0123456789abcd");
        assert_eq!(dump[1].trim_end(), "00000010  65 66 67                                         efg");
        assert_eq!(lines(&[0; 5000]).len(), 33);
        assert!(lines("é".repeat(4000).as_bytes()).last().unwrap().contains("8000 bytes"));
    }
}
