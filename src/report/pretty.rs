//! Bodies as lines that a person can compare.

use serde::de::IgnoredAny;

use super::visible::visible;

/// Bytes of a body that are shown; more is cut and said so.
const MOST_BYTES: usize = 24 * 1024;
/// Lines of a body that are shown.
const MOST_LINES: usize = 600;

/// A body as lines of visible text: JSON laid out with its numbers and names untouched, other text as it
/// is, and of anything else a word about it.
pub(super) fn lines(body: &[u8]) -> Vec<String> {
    let json = body.len() <= 4 * MOST_BYTES && serde_json::from_slice::<IgnoredAny>(body).is_ok();
    let laid_out = if json { laid_out(body) } else { body.to_vec() };
    let cut = laid_out.get(..MOST_BYTES).unwrap_or(&laid_out);
    let text = match std::str::from_utf8(cut) {
        Ok(text) => text,
        // A character cut in two at the end is no reason to call the body binary.
        Err(error) if error.error_len().is_none() => {
            std::str::from_utf8(cut.get(..error.valid_up_to()).unwrap_or_default()).unwrap_or_default()
        }
        Err(_) => return vec![format!("({} bytes that are not text)", body.len())],
    };
    let mut lines: Vec<String> =
        text.lines().take(MOST_LINES).map(|line| visible(line).into_owned()).collect();
    if cut.len() < laid_out.len() || text.lines().nth(MOST_LINES).is_some() {
        lines.push(format!("(cut here; {} bytes in all)", body.len()));
    }
    lines
}

/// Valid JSON with a line for each member and element. Strings and numbers stay as written.
fn laid_out(json: &[u8]) -> Vec<u8> {
    let mut out = Vec::with_capacity(json.len() * 2);
    let (mut depth, mut in_string, mut escaped) = (0_usize, false, false);
    for (at, &byte) in json.iter().enumerate() {
        if in_string {
            out.push(byte);
            in_string = escaped || byte != b'"';
            escaped = !escaped && byte == b'\\';
            continue;
        }
        match byte {
            b if b.is_ascii_whitespace() => {}
            b'{' | b'[' => {
                out.push(byte);
                if !closes_next(json, at) {
                    depth += 1;
                    line_break(&mut out, depth);
                }
            }
            b'}' | b']' => {
                if !out.last().is_some_and(|b| b"{[".contains(b)) {
                    depth = depth.saturating_sub(1);
                    line_break(&mut out, depth);
                }
                out.push(byte);
            }
            b',' => {
                out.push(byte);
                line_break(&mut out, depth);
            }
            b':' => out.extend_from_slice(b": "),
            _ => {
                in_string = byte == b'"';
                out.push(byte);
            }
        }
    }
    out
}

/// Whether nothing stands between the bracket at `at` and its partner.
fn closes_next(json: &[u8], at: usize) -> bool {
    json.iter().skip(at + 1).find(|b| !b.is_ascii_whitespace()).is_some_and(|b| b"}]".contains(b))
}

fn line_break(out: &mut Vec<u8>, depth: usize) {
    out.push(b'\n');
    // Deep nesting is told by brackets; indents beyond this only push text out of sight.
    out.resize(out.len() + 2 * depth.min(24), b' ');
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn json_is_laid_out_and_keeps_its_numbers() {
        let json = br#"{"a":1.0e+2,"b":[ ],"c":[{"d":"x,{\"}"},12345678901234567890123]}"#;
        let expected = [
            "{",
            "  \"a\": 1.0e+2,",
            "  \"b\": [],",
            "  \"c\": [",
            "    {",
            "      \"d\": \"x,{\\\"}\"",
            "    },",
            "    12345678901234567890123",
            "  ]",
            "}",
        ];
        assert_eq!(lines(json), expected);
    }

    #[test]
    fn other_bodies_are_shown_as_far_as_they_are_text() {
        assert_eq!(lines(b""), Vec::<String>::new());
        assert_eq!(lines(b"a\r\n\x1b[0m{"), ["a", "\\u{1b}[0m{"]);
        assert_eq!(lines(b"\xff\xfe\x00"), ["(3 bytes that are not text)"]);
        let long = "é".repeat(MOST_BYTES);
        assert!(lines(long.as_bytes()).last().unwrap().starts_with("(cut here; 49152 bytes"));
        assert_eq!(lines("\n".repeat(5000).as_bytes()).len(), MOST_LINES + 1);
    }
}
