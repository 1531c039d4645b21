//! Body framing as a small machine: which of the bytes that follow a head are the entity's, which
//! are framing, and where the body ends (RFC 9112, sections 6 and 7).

use std::ops::Range;

use super::lenient::is_token;
use crate::anomaly::{Anomaly, AnomalySet};

/// Says of the bytes after a head what they are.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Decoder {
    /// This many entity bytes are still to come.
    Length(u64),
    /// Chunks.
    Chunked(Chunked),
    /// Everything until the connection closes.
    UntilClose,
}

/// What the first bytes handed to [`Decoder::next`] are.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Piece {
    /// This many entity bytes.
    Entity(usize),
    /// This many bytes of framing: chunk headers, line ends, trailers.
    Framing(usize),
}

/// What a hole did to a body.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Hole {
    /// This many of the lost bytes were entity bytes, and the framing is still known; where the hole
    /// is larger than that, the body ends inside it.
    Within(u64),
    /// It swallowed framing: where the body goes on is not known.
    Lost,
}

/// Where in the chunked coding the next byte stands (RFC 9112, section 7.1).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Place {
    /// In the size, of which so many digits were read.
    Size(u8),
    /// In a chunk extension, or in white space after the size.
    Extension,
    /// After the CR of the size line.
    SizeLf,
    /// In chunk data.
    Data,
    /// After chunk data.
    DataCr,
    /// After the CR that follows chunk data.
    DataLf,
    /// At the start of a line of the trailer section.
    Trailer,
    /// In the name of such a line.
    TrailerName,
    /// Behind the name, or in a line that has none.
    TrailerLine,
    /// After a CR within such a line.
    TrailerCr,
    /// After the CR of what may be the last line.
    EndLf,
    /// Nothing follows.
    Done,
    /// What came is no chunk.
    Broken,
}

/// The machine that reads the chunked coding. `left` is the size while the size is read, and in chunk
/// data what remains of it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Chunked {
    pub(super) place: Place,
    left: u64,
    /// What was odd about the framing.
    odd: AnomalySet,
}

impl Decoder {
    /// The start of a chunked body.
    pub(super) const CHUNKED: Self =
        Self::Chunked(Chunked { place: Place::Size(0), left: 0, odd: AnomalySet::EMPTY });

    /// What was odd about the framing so far.
    pub(super) fn odd(&self) -> AnomalySet {
        match self {
            Self::Chunked(chunked) => chunked.odd,
            Self::Length(_) | Self::UntilClose => AnomalySet::EMPTY,
        }
    }

    /// Whether the body is complete.
    pub(super) fn is_done(&self) -> bool {
        match self {
            Self::Length(left) => *left == 0,
            Self::Chunked(chunked) => chunked.place == Place::Done,
            Self::UntilClose => false,
        }
    }

    /// What the first of `bytes` are. Neither they nor what remains of the body may be empty.
    pub(super) fn next(&mut self, bytes: &[u8]) -> Piece {
        match self {
            Self::Length(left) => Piece::Entity(take(left, bytes.len())),
            Self::Chunked(chunked) => chunked.next(bytes),
            Self::UntilClose => Piece::Entity(bytes.len()),
        }
    }

    /// Passes over `len` bytes that are lost.
    pub(super) fn gap(&mut self, len: u64) -> Hole {
        match self {
            Self::Length(left) => {
                let lost = len.min(*left);
                *left -= lost;
                Hole::Within(lost)
            }
            Self::Chunked(chunked) => chunked.gap(len),
            Self::UntilClose => Hole::Within(len),
        }
    }
}

/// Takes the chunked coding of a whole body away, piece by piece.
#[derive(Clone, Copy, Debug)]
pub struct Dechunker(Decoder);

impl Default for Dechunker {
    fn default() -> Self {
        Self(Decoder::CHUNKED)
    }
}

impl Dechunker {
    /// How many of the next bytes, which are not none, were used, and which of those are the entity's; none are
    /// used behind the body's end.
    pub fn next(&mut self, bytes: &[u8]) -> (usize, Range<usize>) {
        if self.0.is_done() {
            return (0, 0..0);
        }
        match self.0.next(bytes) {
            Piece::Entity(length) => (length, 0..length),
            Piece::Framing(length) => (length, 0..0),
        }
    }
}

impl Chunked {
    fn next(&mut self, bytes: &[u8]) -> Piece {
        if self.place == Place::Data {
            let length = take(&mut self.left, bytes.len());
            if self.left == 0 {
                self.place = Place::DataCr;
            }
            return Piece::Entity(length);
        }
        let mut read = 0;
        for &byte in bytes {
            let place = self.step(byte);
            self.place = place;
            // A byte that breaks the grammar is not the body's: what follows it neither.
            read += usize::from(place != Place::Broken);
            if matches!(place, Place::Data | Place::Done | Place::Broken) {
                break;
            }
        }
        Piece::Framing(read)
    }

    fn step(&mut self, byte: u8) -> Place {
        match (self.place, byte) {
            (Place::Size(digits), _) if byte.is_ascii_hexdigit() => self.digit(digits, byte),
            (Place::Size(1..) | Place::SizeLf | Place::Extension, b'\n') => self.size_line_end(),
            (Place::Size(_), b' ' | b'\t') => self.odd_white_space(),
            (Place::Size(1..) | Place::Extension, b'\r') => Place::SizeLf,
            (Place::Size(1..), b';') | (Place::Extension, _) => Place::Extension,
            (Place::DataCr, b'\r') => Place::DataLf,
            (Place::DataCr, b'\n') => {
                self.odd.insert(Anomaly::BareLf);
                Place::Size(0)
            }
            (Place::DataLf, b'\n') => Place::Size(0),
            (Place::Trailer, b'\r') => Place::EndLf,
            (Place::Trailer, b'\n') => {
                self.odd.insert(Anomaly::BareLf);
                Place::Done
            }
            (Place::Trailer | Place::TrailerName | Place::TrailerLine | Place::TrailerCr, _) => {
                self.trailer(byte)
            }
            (Place::EndLf, b'\n') => Place::Done,
            _ => Place::Broken,
        }
    }

    /// A byte of the trailer section, whose lines are those of header fields.
    fn trailer(&mut self, byte: u8) -> Place {
        let (place, odd) = match (self.place, byte) {
            (Place::Trailer, b' ' | b'\t') => (Place::TrailerLine, Some(Anomaly::ObsFold)),
            (Place::TrailerName, b':') => (Place::TrailerLine, None),
            (Place::TrailerName, b'\n') => (Place::Trailer, Some(Anomaly::InvalidTrailer)),
            (Place::TrailerName, b'\r') => (Place::TrailerCr, Some(Anomaly::InvalidTrailer)),
            (Place::Trailer | Place::TrailerName, _) if is_token(byte) => (Place::TrailerName, None),
            (Place::Trailer | Place::TrailerName, _) => (Place::TrailerLine, Some(Anomaly::InvalidTrailer)),
            (Place::TrailerCr, b'\n') => (Place::Trailer, None),
            (_, b'\n') => (Place::Trailer, Some(Anomaly::BareLf)),
            (Place::TrailerCr, b'\r') => (Place::TrailerCr, Some(Anomaly::BareCr)),
            (Place::TrailerCr, _) => (Place::TrailerLine, Some(Anomaly::BareCr)),
            (_, b'\r') => (Place::TrailerCr, None),
            (_, b'\t') => (Place::TrailerLine, None),
            (_, 0..0x20 | 0x7f) => (Place::TrailerLine, Some(Anomaly::ControlInValue)),
            _ => (Place::TrailerLine, None),
        };
        if let Some(odd) = odd {
            self.odd.insert(odd);
        }
        place
    }

    /// One more digit of the size; sixteen significant ones fill 64 bits.
    fn digit(&mut self, digits: u8, byte: u8) -> Place {
        let value = char::from(byte).to_digit(16).unwrap_or(0);
        if self.left >> 60 != 0 {
            return Place::Broken;
        }
        self.left = self.left << 4 | u64::from(value);
        Place::Size(digits.saturating_add(1))
    }

    /// White space around the size: padding after it is common with old servers, before it is not.
    fn odd_white_space(&mut self) -> Place {
        self.odd.insert(Anomaly::OddWhitespace);
        match self.place {
            Place::Size(0) => Place::Size(0),
            _ => Place::Extension,
        }
    }

    fn size_line_end(&mut self) -> Place {
        if self.place != Place::SizeLf {
            self.odd.insert(Anomaly::BareLf);
        }
        if self.left == 0 { Place::Trailer } else { Place::Data }
    }

    /// A hole within chunk data leaves the framing known; any other swallows framing.
    fn gap(&mut self, len: u64) -> Hole {
        if self.place != Place::Data || len > self.left {
            return Hole::Lost;
        }
        self.left -= len;
        if self.left == 0 {
            self.place = Place::DataCr;
        }
        Hole::Within(len)
    }
}

/// Takes as many of `available` as are `left`.
fn take(left: &mut u64, available: usize) -> usize {
    let taken = usize::try_from(*left).unwrap_or(usize::MAX).min(available);
    *left -= taken as u64;
    taken
}
