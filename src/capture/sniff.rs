//! What a file is that is not a capture, so that the message can say what to do.

use std::fmt;

use super::pcap;
use super::stats::{Compression, Format};

/// How many bytes are looked at.
pub(super) const SAMPLE: usize = 1024;

/// What a file that is not a capture looks like.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum LooksLike {
    /// An HTTP archive, as browsers save it.
    Har,
    /// JSON of another kind.
    Json,
    /// A web page, such as a login form in place of a download.
    Html,
    /// Text, such as a log or what tcpdump prints.
    Text,
    /// A capture in Endace's extensible record format.
    Erf,
    /// A capture in the format of Solaris' snoop (RFC 1761).
    Snoop,
    /// A capture of Microsoft's Network Monitor.
    NetworkMonitor,
    /// A capture of another program, in a format that Wireshark reads.
    OtherCapture,
    /// Compressed or packed by the named program.
    Packed(&'static str),
    /// A compressed file within a compressed file.
    CompressedTwice,
    /// Compressed, and nothing in it.
    CompressedNothing(Compression),
    /// Nothing known, beginning with these bytes.
    Unknown([u8; 4]),
}

/// Magic numbers at the start of a file.
const MAGICS: [(&[u8], LooksLike); 14] = [
    (b"snoop\0\0\0", LooksLike::Snoop),
    (b"GMBU", LooksLike::NetworkMonitor),
    (b"RTSS", LooksLike::NetworkMonitor),
    (b"XCP\0", LooksLike::OtherCapture),
    (b"TRSNIFF data", LooksLike::OtherCapture),
    (b"\x1c\x00\x01\xac", LooksLike::OtherCapture),
    (b"\xac\x01\x00\x1c", LooksLike::OtherCapture),
    (b"BZh", LooksLike::Packed("bzip2")),
    (b"\xfd7zXZ\0", LooksLike::Packed("xz")),
    (b"\x04\x22\x4d\x18", LooksLike::Packed("lz4")),
    (b"PK\x03\x04", LooksLike::Packed("zip")),
    (b"7z\xbc\xaf", LooksLike::Packed("7z")),
    (b"\x1f\x8b", LooksLike::CompressedTwice),
    (b"\x28\xb5\x2f\xfd", LooksLike::CompressedTwice),
];

impl LooksLike {
    pub(super) fn of(sample: &[u8], compression: Compression) -> Self {
        if sample.is_empty() && compression != Compression::None {
            return Self::CompressedNothing(compression);
        }
        if let Some((_, known)) = MAGICS.iter().find(|(magic, _)| sample.starts_with(magic)) {
            return *known;
        }
        if sample.get(257..262) == Some(b"ustar") {
            return Self::Packed("tar");
        }
        if is_erf(sample) {
            return Self::Erf;
        }
        text(sample).unwrap_or_else(|| {
            let mut first = [0; 4];
            first.iter_mut().zip(sample).for_each(|(to, from)| *to = *from);
            Self::Unknown(first)
        })
    }

    /// What to do about it.
    #[must_use]
    pub const fn advice(self) -> &'static str {
        match self {
            Self::Har | Self::Json | Self::Html | Self::Text => {
                "give the file that `tcpdump -w` or Wireshark wrote"
            }
            Self::Erf | Self::Snoop | Self::NetworkMonitor | Self::OtherCapture => {
                "convert it with `editcap FILE out.pcapng`"
            }
            Self::Packed(_) => "unpack it first (.gz and .zst are read as they are)",
            Self::CompressedTwice => "decompress it once",
            Self::CompressedNothing(_) => "the capturing program wrote nothing",
            Self::Unknown(_) => "pcap and pcapng files are read, plain, .gz or .zst",
        }
    }
}

impl fmt::Display for LooksLike {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Har => f.write_str("it looks like an HTTP archive (HAR)"),
            Self::Json => f.write_str("it looks like JSON"),
            Self::Html => f.write_str("it looks like a web page"),
            Self::Text => f.write_str("it looks like text"),
            Self::Erf => f.write_str("it looks like an ERF capture"),
            Self::Snoop => f.write_str("it is a snoop capture"),
            Self::NetworkMonitor => f.write_str("it is a Network Monitor capture"),
            Self::OtherCapture => f.write_str("it is a capture of a kind that only Wireshark reads"),
            Self::Packed(by) => write!(f, "it is a {by} file"),
            Self::CompressedTwice => f.write_str("it is compressed twice"),
            Self::CompressedNothing(by) => write!(f, "it is {by} of nothing"),
            Self::Unknown(first) => write!(f, "it begins with {first:02x?}"),
        }
    }
}

/// The format whose magic number begins with these few bytes.
pub(super) fn format_of_prefix(bytes: &[u8]) -> Option<Format> {
    if super::pcapng::SECTION_HEADER.starts_with(bytes) {
        return Some(Format::Pcapng);
    }
    pcap::magics().find(|(magic, _)| magic.starts_with(bytes)).map(|(_, format)| format)
}

/// Text, and what kind, when the sample holds no control bytes that text has not.
fn text(sample: &[u8]) -> Option<LooksLike> {
    let odd = |b: &u8| *b < 0x20 && !matches!(b, b'\t' | b'\n' | b'\r' | 0x1b);
    // The sample may end inside a character.
    let valid =
        std::str::from_utf8(sample).map_or_else(|error| error.valid_up_to() + 4 > sample.len(), |_| true);
    if sample.is_empty() || !valid || sample.iter().any(odd) {
        return None;
    }
    let start = sample.trim_ascii_start().to_ascii_lowercase();
    let holds = |needle| memchr::memmem::find(&start, needle).is_some();
    Some(match start.first() {
        Some(b'{') if holds(b"\"log\"") && (holds(b"\"creator\"") || holds(b"\"entries\"")) => LooksLike::Har,
        Some(b'{' | b'[') => LooksLike::Json,
        Some(b'<') if holds(b"<html") || start.starts_with(b"<!doctype html") => LooksLike::Html,
        _ => LooksLike::Text,
    })
}

/// ERF has no magic number: a record is a time, a type, flags, and its own length, at which the next
/// record begins with a time close by.
fn is_erf(sample: &[u8]) -> bool {
    let Some(header) = sample.first_chunk::<16>() else { return false };
    let seconds =
        |record: &[u8]| record.get(4..8).and_then(|b| b.first_chunk()).map(|b| u32::from_le_bytes(*b));
    let length = usize::from(u16::from_be_bytes([header[10], header[11]]));
    let known_type = (1..=48).contains(&(header[8] & 0x7f));
    if !known_type || length < 16 {
        return false;
    }
    match (seconds(header), sample.get(length..).and_then(seconds)) {
        (Some(this), Some(next)) => this > 0 && next.abs_diff(this) < 86_400,
        _ => false,
    }
}
