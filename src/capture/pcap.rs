//! pcap, the classic format: a file header, then each packet behind a header of its own.
//!
//! Source: <https://www.ietf.org/archive/id/draft-ietf-opsawg-pcap-05.html>, and for the modified form
//! the reading of libpcap's `sf-pcap.c`.

use std::io::Read;

use super::byte_order::{ByteOrder, half, word};
use super::error::Corruption;
use super::file::Record;
use super::stats::Format;
use super::window::{MAX_RECORD, Stop, Window};
use crate::packet::LinkType;
use crate::time::Timestamp;

/// The length of the file header, in bytes.
const FILE_HEADER: usize = 24;

/// What libpcap writes at most for network links, whatever the file's snaplen says.
const USUAL_SNAPLEN: u32 = 262_144;

/// A file's magic number: its first four bytes, in its own byte order.
const MAGICS: [(u32, Format); 3] =
    [(0xa1b2_c3d4, Format::Pcap), (0xa1b2_3c4d, Format::PcapNanos), (0xa1b2_cd34, Format::PcapModified)];

/// The format and byte order that a magic number names.
pub(super) fn recognise(magic: [u8; 4]) -> Option<(Format, ByteOrder)> {
    [ByteOrder::Little, ByteOrder::Big].into_iter().find_map(|order| {
        let value = order.u32(magic);
        MAGICS.iter().find(|(known, _)| *known == value).map(|&(_, format)| (format, order))
    })
}

/// Every magic number as it stands in a file.
pub(super) fn magics() -> impl Iterator<Item = ([u8; 4], Format)> {
    MAGICS.iter().flat_map(|&(value, format)| {
        [ByteOrder::Little, ByteOrder::Big].map(|order| (order.put_u32(value), format))
    })
}

/// How the packets of a file are to be read.
#[derive(Debug)]
pub(super) struct PcapReader {
    order: ByteOrder,
    link: LinkType,
    nanos_per_tick: i64,
    /// The header of a packet, in bytes: 16, or 24 in the modified form.
    packet_header: usize,
    /// The longest packet that is believed.
    limit: u32,
    /// Files before version 2.3, and some of 2.3, have the two lengths the other way round.
    swapped_lengths: SwappedLengths,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum SwappedLengths {
    Never,
    WhenCapturedIsMore,
    Always,
}

impl PcapReader {
    /// Reads the file header; the window stands on its magic number.
    pub(super) fn open<R: Read>(
        window: &mut Window<R>,
        format: Format,
        order: ByteOrder,
    ) -> Result<Self, Stop> {
        window.demand(FILE_HEADER, 0)?;
        let taken = window.take(FILE_HEADER);
        let header = window.slice(taken);
        let (major, minor) = (order.u16(half(header, 2)), order.u16(half(header, 3)));
        let swapped_lengths = match (major, minor) {
            (2, 0..=2) => SwappedLengths::Always,
            (2, 3) => SwappedLengths::WhenCapturedIsMore,
            (2, _) => SwappedLengths::Never,
            _ => return Err(Stop::Corrupt(0, Corruption::Version(major, minor))),
        };
        let snaplen = order.u32(word(header, 4));
        // The upper half says whether and how long a frame check sequence is; the lower is the link.
        let [low, high, ..] = order.u32(word(header, 5)).to_le_bytes();
        Ok(Self {
            order,
            link: LinkType(u16::from_le_bytes([low, high])),
            nanos_per_tick: if format == Format::PcapNanos { 1 } else { 1000 },
            packet_header: if format == Format::PcapModified { 24 } else { 16 },
            limit: snaplen.clamp(USUAL_SNAPLEN, MAX_RECORD),
            swapped_lengths,
        })
    }

    /// Reads the next packet.
    #[inline]
    pub(super) fn next<R: Read>(&mut self, window: &mut Window<R>) -> Result<Record, Stop> {
        window.demand_start(self.packet_header)?;
        let at = window.offset();
        let header = window.unread();
        // All of it is at hand: of an array the compiler knows that.
        let first: [u8; 16] = header.first_chunk().copied().unwrap_or_default();
        let [seconds, ticks, captured, original] = self.order.words(&first);
        if seconds | ticks | captured | original == 0 {
            return Err(Stop::Corrupt(at, Corruption::Zeros));
        }
        let interface = if self.packet_header > 16 { self.order.u32(word(header, 4)) } else { 0 };
        let (captured, original) = self.lengths(captured, original);
        if captured > self.limit {
            return Err(Stop::Corrupt(at, Corruption::PacketLength(captured, self.limit)));
        }
        window.demand(self.packet_header + captured as usize, at)?;
        window.take(self.packet_header);
        Ok(Record {
            // 2^32 seconds and 2^32 microseconds are far below 2^63 nanoseconds.
            at: Timestamp::from_nanos(
                i64::from(seconds) * 1_000_000_000 + i64::from(ticks) * self.nanos_per_tick,
            ),
            link: self.link,
            interface,
            original_len: original,
            data: window.take(captured as usize),
        })
    }

    #[inline]
    fn lengths(&self, captured: u32, original: u32) -> (u32, u32) {
        match self.swapped_lengths {
            SwappedLengths::Always => (original, captured),
            SwappedLengths::WhenCapturedIsMore if captured > original => (original, captured),
            _ => (captured, original),
        }
    }
}
