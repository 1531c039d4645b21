//! Values of the lines that shadowcap prints by the million, put behind what there is of a line, without a `String` for any.

use std::io::Write as _;
use std::net::{Ipv4Addr, SocketAddr};

use crate::anomaly::{Anomaly, AnomalySet};
use crate::time::Timestamp;

/// Appends bytes, so many that the compiler copies them without asking how many.
#[inline]
pub(crate) fn fixed<const N: usize>(out: &mut Vec<u8>, bytes: &[u8; N]) {
    out.extend_from_slice(bytes);
}

/// Appends the first `used` of these bytes.
#[inline]
pub(crate) fn first<const N: usize>(out: &mut Vec<u8>, bytes: &[u8; N], used: usize) {
    let end = out.len() + used;
    fixed(out, bytes);
    out.truncate(end);
}

/// A decimal number.
#[inline]
pub(crate) fn number(out: &mut Vec<u8>, value: u64) {
    match value {
        0..1000 => few(out, value),
        1000..1_000_000 => {
            few(out, value / 1000);
            fixed(out, &three(u32::try_from(value % 1000).unwrap_or(0)));
        }
        _ => twenty(out, value),
    }
}

/// A number of at most three digits.
#[inline]
fn few(out: &mut Vec<u8>, value: u64) {
    let digits = three(u32::try_from(value).unwrap_or(0));
    match value {
        0..10 => out.push(digits[2]),
        10..100 => fixed(out, &[digits[1], digits[2]]),
        _ => fixed(out, &digits),
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
pub(crate) fn three(value: u32) -> [u8; 3] {
    static TEXT: [[u8; 3]; 1000] = all_of_three();
    TEXT[value as usize % 1000]
}

/// Every number of three digits.
const fn all_of_three() -> [[u8; 3]; 1000] {
    let mut all = [[0; 3]; 1000];
    let mut place = 0;
    while place < all.len() {
        let value = place as u64;
        all[place] = [digit(value / 100), digit(value / 10), digit(value)];
        place += 1;
    }
    all
}

/// Sixteen hexadecimal digits, as [`ExchangeId`](crate::exchange::ExchangeId) and digests are displayed.
#[inline]
pub(crate) fn hexadecimal(value: u64) -> [u8; 16] {
    let [high, low] = [value >> 32, value & 0xffff_ffff].map(eight_nibbles);
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

/// As [`SocketAddr`] is displayed.
pub(crate) fn address(out: &mut Vec<u8>, address: SocketAddr) {
    match address {
        SocketAddr::V4(v4) => {
            ipv4(out, *v4.ip());
            out.push(b':');
            number(out, v4.port().into());
        }
        // Writing to memory does not fail.
        SocketAddr::V6(v6) => _ = write!(out, "{v6}"),
    }
}

fn ipv4(out: &mut Vec<u8>, address: Ipv4Addr) {
    // Each octet is written over what is behind the one before it.
    let mut text = [b'.'; 16];
    let mut end = 0;
    for octet in address.octets() {
        let (digits, used) = octet_text(octet);
        if let Some(place) = text.get_mut(end..).and_then(<[u8]>::first_chunk_mut) {
            *place = digits;
        }
        end += used;
    }
    // There is no dot behind the last one.
    first(out, &text, end - 1);
}

/// A number of an address with a dot behind it, and how many bytes that takes.
#[inline]
fn octet_text(octet: u8) -> ([u8; 4], usize) {
    let [hundreds, tens, ones] = three(octet.into());
    match octet {
        0..10 => ([ones, b'.', 0, 0], 2),
        10..100 => ([tens, ones, b'.', 0], 3),
        _ => ([hundreds, tens, ones, b'.'], 4),
    }
}

/// The names of anomalies, as a JSON array.
pub(crate) fn names(out: &mut Vec<u8>, anomalies: AnomalySet) {
    if anomalies.is_empty() {
        return out.extend_from_slice(b"[]");
    }
    let names: Vec<_> = anomalies.iter().map(Anomaly::name).collect();
    // Writing to memory does not fail.
    let _ = serde_json::to_writer(out, &names);
}

/// A JSON string (RFC 8259, section 7), with the escapes that `serde_json` has.
pub(super) fn string(out: &mut Vec<u8>, text: &str) {
    out.push(b'"');
    escaped(out, text);
    out.push(b'"');
}

/// What stands between the quotes of a JSON string.
pub(super) fn escaped(out: &mut Vec<u8>, text: &str) {
    let mut rest = text.as_bytes();
    loop {
        let (plain, behind) = rest.split_at_checked(plain(rest)).unwrap_or((rest, &[]));
        out.extend_from_slice(plain);
        rest = match behind {
            [] => break,
            // The end of a line of a head.
            [b'\r', b'\n', behind @ ..] => {
                fixed(out, b"\\r\\n");
                behind
            }
            _ => escape(out, behind),
        };
    }
}

/// Whether a character of a string is escaped.
pub(super) const fn is_escaped(one: char) -> bool {
    one < ' ' || matches!(one, '"' | '\\')
}

/// Bytes of a string that are looked at together.
const BLOCK: usize = 16;

/// How many bytes there are before the first that is escaped.
#[inline]
fn plain(text: &[u8]) -> usize {
    let (blocks, last) = text.as_chunks::<BLOCK>();
    for (n, block) in blocks.iter().enumerate() {
        if let Some(plain) = first_escaped(block) {
            return n * block.len() + plain;
        }
    }
    // What is behind the blocks is looked at together with what is before it, or, where that is nothing, with blanks.
    if let Some(block) = text.last_chunk().filter(|_| !last.is_empty()) {
        return first_escaped(block).map_or(text.len(), |plain| text.len() - block.len() + plain);
    }
    let mut block = [b' '; BLOCK];
    block.iter_mut().zip(last).for_each(|(place, byte)| *place = *byte);
    first_escaped(&block).unwrap_or(text.len())
}

/// The first byte of a block that is escaped. Those of a word are looked at together.
#[inline]
fn first_escaped(block: &[u8; BLOCK]) -> Option<usize> {
    let (words, _) = block.as_chunks();
    words.iter().enumerate().find_map(|(n, word)| {
        let flags = escaped_bytes(u64::from_le_bytes(*word));
        (flags != 0).then(|| n * word.len() + flags.trailing_zeros() as usize / 8)
    })
}

/// The highest bit of each byte of a word that is escaped: a control character, `"` or `\`. Above the first of them others
/// may have it as well, since what is subtracted carries.
#[inline]
const fn escaped_bytes(word: u64) -> u64 {
    const EACH: u64 = 0x0101_0101_0101_0101;
    const HIGHEST: u64 = EACH * 0x80;
    const fn below(word: u64, bound: u8) -> u64 {
        word.wrapping_sub(EACH * bound as u64) & !word
    }
    let quotes = below(word ^ (EACH * b'"' as u64), 1);
    let slashes = below(word ^ (EACH * b'\\' as u64), 1);
    (below(word, b' ') | quotes | slashes) & HIGHEST
}

/// Puts the escape of the first byte, and returns what is behind it.
#[inline]
fn escape<'t>(out: &mut Vec<u8>, text: &'t [u8]) -> &'t [u8] {
    let [byte, rest @ ..] = text else { return text };
    let short = match byte {
        b'"' | b'\\' => *byte,
        b'\n' => b'n',
        b'\r' => b'r',
        b'\t' => b't',
        8 => b'b',
        12 => b'f',
        other => {
            let [.., high, low] = hexadecimal(u64::from(*other));
            out.extend_from_slice(&[b'\\', b'u', b'0', b'0', high, low]);
            return rest;
        }
    };
    out.extend_from_slice(&[b'\\', short]);
    rest
}

/// Puts times, of which most are in one of two seconds: that of the capture, and that of the run.
#[derive(Default)]
pub(crate) struct Times {
    known: [Option<(i64, [u8; SECOND])>; 2],
    /// The one to forget.
    next: usize,
    /// The last one as a JSON string: an event has several times at once.
    last: Option<(Timestamp, [u8; TIME + 2])>,
}

/// The length of `2019-02-15T05:47:50.`.
const SECOND: usize = 20;
/// The same with nanoseconds and `Z`.
const TIME: usize = SECOND + 10;

impl Times {
    /// A time as [`Timestamp`] is displayed.
    #[inline]
    pub(crate) fn put(&mut self, out: &mut Vec<u8>, time: Timestamp) {
        fixed(out, &self.text(time));
    }

    /// The same as a JSON string.
    #[inline]
    pub(super) fn put_quoted(&mut self, out: &mut Vec<u8>, time: Timestamp) {
        if let Some((last, text)) = &self.last
            && *last == time
        {
            return fixed(out, text);
        }
        let mut quoted = [b'"'; TIME + 2];
        if let Some(place) = quoted.get_mut(1..=TIME) {
            place.copy_from_slice(&self.text(time));
        }
        fixed(out, &quoted);
        self.last = Some((time, quoted));
    }

    #[inline]
    fn text(&mut self, time: Timestamp) -> [u8; TIME] {
        let second = time.as_nanos().div_euclid(1_000_000_000);
        let known = self.known.iter().flatten().find(|(known, _)| *known == second).map(|(_, text)| *text);
        let second = known.unwrap_or_else(|| self.of_another(second, time));
        // Below 10^9.
        let nanos = u32::try_from(time.as_nanos().rem_euclid(1_000_000_000)).unwrap_or(0);
        let digits = [nanos / 1_000_000, nanos / 1000, nanos].map(three);
        let mut text = [b'Z'; TIME];
        let parts =
            text.split_first_chunk_mut().and_then(|(first, rest)| Some((first, rest.first_chunk_mut()?)));
        if let Some((first, rest)) = parts {
            (*first, *rest) = (second, digits.as_flattened().try_into().unwrap_or([0; 9]));
        }
        text
    }

    #[cold]
    fn of_another(&mut self, second: i64, time: Timestamp) -> [u8; SECOND] {
        let text = time.text().as_str().as_bytes().first_chunk().copied().unwrap_or_default();
        if let Some(place) = self.known.get_mut(self.next) {
            *place = Some((second, text));
        }
        self.next = 1 - self.next;
        text
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn put(put: impl FnOnce(&mut Vec<u8>)) -> String {
        let mut out = Vec::new();
        put(&mut out);
        String::from_utf8(out).unwrap()
    }

    #[test]
    fn numbers_and_addresses_are_as_they_are_displayed() {
        for value in [0, 9, 10, 12_345, u64::MAX] {
            assert_eq!(put(|out| number(out, value)), value.to_string());
            assert_eq!(hexadecimal(value).to_vec(), format!("{value:016x}").into_bytes());
        }
        for text in ["10.0.0.255:80", "[2001:db8::1]:443", "[fe80::1%3]:8080"] {
            let value: SocketAddr = text.parse().unwrap();
            assert_eq!(put(|out| address(out, value)), value.to_string());
        }
    }

    proptest::proptest! {
        #[test]
        fn strings_are_as_serde_writes_them(
            text: String,
            ascii in "[\\x00-\\x7f]{0,70}",
            lines in "([ -~]{0,40}\r?\n?){0,6}",
        ) {
            for text in [text, ascii, lines] {
                proptest::prop_assert_eq!(put(|out| string(out, &text)), serde_json::to_string(&text).unwrap());
            }
        }

        #[test]
        fn times_are_as_they_are_displayed(times in proptest::collection::vec(-3_000_000_000_i64..3_000_000_000, 0..9)) {
            let mut all = Times::default();
            // Each with one that is hardly later.
            let times = times.into_iter().chain([i64::MIN, i64::MAX]).flat_map(|time| [time, time.saturating_add(1)]);
            for time in times.map(Timestamp::from_nanos) {
                proptest::prop_assert_eq!(put(|out| all.put(out, time)), time.to_string());
                for _ in 0..2 {
                    proptest::prop_assert_eq!(put(|out| all.put_quoted(out, time)), format!("\"{time}\""));
                }
            }
        }
    }
}
