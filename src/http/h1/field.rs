//! What a field line of a plain head says that the parser itself has to know.

use super::framing::{decimal, is_host};
use super::lenient::is_token;
use super::sixteen;
use crate::http::head::{Host, Length, Plain};
use crate::http::known::Known;

/// More fields than this are no longer few.
pub(super) const FIELDS: u8 = 128;

/// What the field line of so many bytes says with which `text` begins; `None` if it is not plain. It depends on the line
/// alone, and places count from its first byte: the same line says the same wherever it stands.
///
/// The names that matter have a length of their own: most fields are passed over without comparing.
#[inline]
pub(super) fn says(text: &[u8], line: usize) -> Option<Plain> {
    let name = name_len(text).filter(|&len| len > 0)?;
    let named = |names| Some(Plain { names, ..LINE });
    match name {
        4 if is(text, b"host") => host(text.get(..line)?, name + 1),
        4 if is(text, b"vary") => named(Known::VARY),
        6 if is(text, b"expect") => named(Known::EXPECT),
        7 if is(text, b"upgrade") => named(Known::UPGRADE),
        7 if is(text, b"trailer") => named(Known::TRAILER),
        10 if is(text, b"connection") => connection(text.get(..line)?, name + 1),
        12 if is(text, b"x-request-id") => named(Known::X_REQUEST_ID),
        13 if is(text, b"if-none-match") => named(Known::IF_NONE_MATCH),
        14 if is(text, b"content-length") => length(text.get(..line)?, name + 1),
        16 if is(text, b"content-encoding") => named(Known::CONTENT_ENCODING),
        17 if is(text, b"if-modified-since") => named(Known::IF_MODIFIED_SINCE),
        17 if is(text, b"transfer-encoding") => {
            Some(Plain { names: Known::TRANSFER_ENCODING, length: Length::Unclear, ..LINE })
        }
        _ => Some(LINE),
    }
}

/// What a line says that says nothing.
const LINE: Plain = Plain {
    start: 0,
    count: 1,
    names: Known::NONE,
    length: Length::Nothing,
    host: None,
    other_options: false,
};

impl Plain {
    /// Takes up what the lines say that follow, from `at` on; `None` if all of them together are no longer plain.
    #[inline]
    pub(super) fn join(&mut self, other: &Self, at: u32) -> Option<()> {
        self.count = self.count.checked_add(other.count).filter(|&count| count <= FIELDS)?;
        // What says anything has a known name.
        if other.names == Known::NONE {
            return Some(());
        }
        self.names.insert(other.names);
        self.other_options |= other.other_options;
        self.length = match (self.length, other.length) {
            (Length::Nothing, length) | (length, Length::Nothing) => length,
            _ => Length::Unclear,
        };
        if let Some(Host { start, end, valid }) = other.host {
            if self.host.is_some() {
                return None;
            }
            self.host = Some(Host { start: at.checked_add(start)?, end: at.checked_add(end)?, valid });
        }
        Some(())
    }
}

#[inline(never)]
fn host(line: &[u8], value: usize) -> Option<Plain> {
    let (start, text) = trimmed(line, value)?;
    let end = start + text.len();
    let (start, end) = (u32::try_from(start).ok()?, u32::try_from(end).ok()?);
    let host = Host { start, end, valid: is_host(text) };
    Some(Plain { names: Known::HOST, host: Some(host), ..LINE })
}

#[inline(never)]
fn connection(line: &[u8], value: usize) -> Option<Plain> {
    let other_options = !trimmed(line, value)?.1.eq_ignore_ascii_case(b"keep-alive");
    Some(Plain { names: Known::CONNECTION, other_options, ..LINE })
}

#[inline(never)]
fn length(line: &[u8], value: usize) -> Option<Plain> {
    let length = decimal(trimmed(line, value)?.1).map_or(Length::Unclear, Length::Of);
    Some(Plain { names: Known::CONTENT_LENGTH, length, ..LINE })
}

/// The value that begins at `from`, without the spaces around it, which are all the white space that a plain line has;
/// and where it begins then.
#[inline]
fn trimmed(line: &[u8], from: usize) -> Option<(usize, &[u8])> {
    let text = line.get(from..)?;
    let start = text.iter().position(|&b| b != b' ').unwrap_or(text.len());
    let end = text.iter().rposition(|&b| b != b' ').map_or(start, |last| last + 1);
    Some((from + start, text.get(start..end)?))
}

/// Whether `text` begins with a name of letters and hyphens, known in small letters. Of all characters of a token
/// only those are made equal to them by the bit that makes letters small.
#[inline]
fn is<const N: usize>(text: &[u8], known: &[u8; N]) -> bool {
    const SMALL: u64 = 0x2020_2020_2020_2020;
    let Some(name) = text.first_chunk::<N>() else { return false };
    let same = |(a, b): (&[u8; 8], &[u8; 8])| u64::from_ne_bytes(*a) | SMALL == u64::from_ne_bytes(*b);
    match (name.last_chunk(), known.last_chunk()) {
        (Some(a), Some(b)) => same((a, b)) && name.as_chunks().0.iter().zip(known.as_chunks().0).all(same),
        _ => name.map(|b| b | 0x20) == *known,
    }
}

/// How many bytes of a token come before the colon with which a name ends; `None` if something else ends it.
#[inline]
fn name_len(text: &[u8]) -> Option<usize> {
    let usual = text.first_chunk().map_or(0, |start| sixteen::name_characters(*start));
    let len = usual.trailing_ones() as usize;
    if text.get(len) == Some(&b':') { Some(len) } else { unusual_name_len(text) }
}

/// As [`name_len`]. A control character is behind the line, so the name ends.
#[cold]
fn unusual_name_len(text: &[u8]) -> Option<usize> {
    text.iter().position(|&b| !is_token(b)).filter(|&len| text.get(len) == Some(&b':'))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_known_name_is_recognised_in_any_case_and_no_other() {
        for (known, name) in Known::ALL {
            for name in [(*name).to_owned(), name.to_uppercase()] {
                assert_eq!(Known::of(name.as_bytes()), Some(*known));
                let line = format!("{name}: 1");
                assert_eq!(says(line.as_bytes(), line.len()).map(|says| says.names), Some(*known), "{name}");
                for other in [format!("{name}s: 1"), format!("x{name}: 1"), format!("{}: 1", &name[1..])] {
                    assert_eq!(says(other.as_bytes(), other.len()), Some(LINE), "{other}");
                }
            }
        }
    }
}
