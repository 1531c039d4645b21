//! pcapng: sections of blocks, each section with its own byte order and interfaces.
//!
//! Source: <https://www.ietf.org/archive/id/draft-ietf-opsawg-pcapng-03.html>.

use std::io::Read;
use std::ops::Range;

use super::byte_order::{ByteOrder, half, word};
use super::error::Corruption;
use super::file::Record;
use super::pcapng_options::Clock;
use super::stats::SkippedBlocks;
use super::window::{MAX_RECORD, Stop, Window};
use crate::packet::LinkType;
use crate::time::Timestamp;

/// A section header's type, which reads the same in both byte orders.
pub(super) const SECTION_HEADER: [u8; 4] = [0x0a, 0x0d, 0x0d, 0x0a];

const SECTION_HEADER_BLOCK: u32 = 0x0a0d_0d0a;
const INTERFACE_DESCRIPTION: u32 = 1;
const OBSOLETE_PACKET: u32 = 2;
const SIMPLE_PACKET: u32 = 3;
const NAME_RESOLUTION: u32 = 4;
const INTERFACE_STATISTICS: u32 = 5;
const ENHANCED_PACKET: u32 = 6;
const DECRYPTION_SECRETS: u32 = 10;

/// Type and length before a block's body.
const BLOCK_HEADER: usize = 8;
/// Type, length, and the length again behind the body.
const BLOCK_FRAME: u32 = 12;
/// Block header, byte-order magic, version and section length.
const SECTION_FIXED: usize = 24;
/// Interfaces that a section may describe: their memory is bounded by this.
const MAX_INTERFACES: usize = 1 << 16;

#[derive(Clone, Copy, Debug)]
struct Interface {
    link: LinkType,
    snaplen: u32,
    clock: Clock,
}

/// A block whose frame has been checked and that is at hand in the window.
struct Block {
    offset: u64,
    /// The length of the whole block, in bytes; at least [`BLOCK_FRAME`].
    length: u32,
}

impl Block {
    /// Where the body lies, from the start of the block.
    fn body(&self) -> Range<usize> {
        BLOCK_HEADER..self.length as usize - 4
    }
}

/// Where in a block the packet lies, and what is said of it.
struct PacketFields {
    interface: u32,
    ticks: Option<u64>,
    captured: u32,
    original: u32,
    /// Where the data begins in the body.
    data_at: usize,
}

/// The state of the section that is being read.
#[derive(Debug)]
pub(super) struct PcapngReader {
    order: ByteOrder,
    interfaces: Vec<Interface>,
    /// Interfaces of the sections before this one, so that each has its number in the file.
    earlier_interfaces: u32,
    /// The time of the last packet that had one; simple packet blocks have none of their own.
    last: Timestamp,
    skipped: SkippedBlocks,
}

impl PcapngReader {
    /// Reads the first section's header, on which the window stands.
    pub(super) fn open<R: Read>(window: &mut Window<R>) -> Result<Self, Stop> {
        let mut reader = Self {
            order: ByteOrder::Little,
            interfaces: Vec::new(),
            earlier_interfaces: 0,
            last: Timestamp::default(),
            skipped: SkippedBlocks::default(),
        };
        reader.section_header(window)?;
        Ok(reader)
    }

    /// The blocks that were passed over so far.
    pub(super) fn skipped(&self) -> SkippedBlocks {
        self.skipped
    }

    /// Reads on to the next packet.
    #[inline]
    pub(super) fn next<R: Read>(&mut self, window: &mut Window<R>) -> Result<Record, Stop> {
        loop {
            window.demand_start(BLOCK_HEADER)?;
            let kind = self.order.u32(word(window.unread(), 0));
            match kind {
                ENHANCED_PACKET | SIMPLE_PACKET | OBSOLETE_PACKET => return self.packet(window, kind),
                SECTION_HEADER_BLOCK => self.section_header(window)?,
                INTERFACE_DESCRIPTION => self.interface_description(window)?,
                _ => self.pass_over(window, kind)?,
            }
        }
    }

    #[inline]
    fn packet<R: Read>(&mut self, window: &mut Window<R>, kind: u32) -> Result<Record, Stop> {
        let block = self.load(window, kind)?;
        let body = &window.unread()[block.body()];
        let corrupt = |what| Stop::Corrupt(block.offset, what);
        let Some(fields) = self.packet_fields(kind, body) else {
            return Err(corrupt(Corruption::BlockLength(kind, block.length)));
        };
        let Some(interface) = self.interfaces.get(fields.interface as usize) else {
            return Err(corrupt(Corruption::UnknownInterface(fields.interface, self.interfaces.len())));
        };
        let room = body.len() - fields.data_at;
        if fields.captured as usize > room {
            return Err(corrupt(Corruption::PacketInBlock(fields.captured, room)));
        }
        let link = interface.link;
        if let Some(ticks) = fields.ticks {
            self.last = interface.clock.time(ticks);
        }
        let start = window.take(block.length as usize).start + BLOCK_HEADER + fields.data_at;
        Ok(Record {
            at: self.last,
            link,
            interface: self.earlier_interfaces.saturating_add(fields.interface),
            original_len: fields.original,
            data: start..start + fields.captured as usize,
        })
    }

    /// The fixed fields before a packet's data; `None` when the body has no room for them.
    #[inline]
    fn packet_fields(&self, kind: u32, body: &[u8]) -> Option<PacketFields> {
        let number = |at| self.order.u32(word(body, at));
        let data_at = if kind == SIMPLE_PACKET { 4 } else { 20 };
        if body.len() < data_at {
            return None;
        }
        if kind == SIMPLE_PACKET {
            let original = number(0);
            let snaplen = match self.interfaces.first() {
                Some(interface) if interface.snaplen > 0 => interface.snaplen,
                _ => u32::MAX,
            };
            // The captured length is not written: it is the least of these three.
            let room = u32::try_from(body.len() - data_at).unwrap_or(u32::MAX);
            let captured = original.min(snaplen).min(room);
            return Some(PacketFields { interface: 0, ticks: None, captured, original, data_at });
        }
        let interface =
            if kind == ENHANCED_PACKET { number(0) } else { u32::from(self.order.u16(half(body, 0))) };
        let ticks = u64::from(number(1)) << 32 | u64::from(number(2));
        let (captured, original) = (number(3), number(4));
        Some(PacketFields { interface, ticks: Some(ticks), captured, original, data_at })
    }

    /// A block's length field, checked for what any block must keep to.
    #[inline]
    fn block_length<R: Read>(&self, window: &Window<R>, kind: u32) -> Result<u32, Stop> {
        let length = self.order.u32(word(window.unread(), 1));
        if length < BLOCK_FRAME || !length.is_multiple_of(4) {
            return Err(Stop::Corrupt(window.offset(), Corruption::BlockLength(kind, length)));
        }
        Ok(length)
    }

    /// Brings a whole block into the window, without moving on.
    #[inline]
    fn load<R: Read>(&self, window: &mut Window<R>, kind: u32) -> Result<Block, Stop> {
        let offset = window.offset();
        let length = self.block_length(window, kind)?;
        if length > MAX_RECORD {
            return Err(Stop::Corrupt(offset, Corruption::BlockLength(kind, length)));
        }
        window.demand(length as usize, offset)?;
        let behind = self.order.u32(word(window.unread(), length as usize / 4 - 1));
        if behind != length {
            return Err(Stop::Corrupt(offset, Corruption::BlockLengths(length, behind)));
        }
        Ok(Block { offset, length })
    }

    fn section_header<R: Read>(&mut self, window: &mut Window<R>) -> Result<(), Stop> {
        let offset = window.offset();
        window.demand(SECTION_FIXED, offset)?;
        let header = window.unread();
        self.order = match word(header, 2) {
            [0x4d, 0x3c, 0x2b, 0x1a] => ByteOrder::Little,
            [0x1a, 0x2b, 0x3c, 0x4d] => ByteOrder::Big,
            other => return Err(Stop::Corrupt(offset, Corruption::SectionByteOrder(other))),
        };
        let (major, minor) = (self.order.u16(half(header, 6)), self.order.u16(half(header, 7)));
        if major != 1 {
            return Err(Stop::Corrupt(offset, Corruption::Version(major, minor)));
        }
        let length = self.block_length(window, SECTION_HEADER_BLOCK)?;
        window.skip(u64::from(length), offset)?;
        let before = u32::try_from(self.interfaces.len()).unwrap_or(u32::MAX);
        self.earlier_interfaces = self.earlier_interfaces.saturating_add(before);
        self.interfaces.clear();
        Ok(())
    }

    fn interface_description<R: Read>(&mut self, window: &mut Window<R>) -> Result<(), Stop> {
        let block = self.load(window, INTERFACE_DESCRIPTION)?;
        let corrupt = |what| Err(Stop::Corrupt(block.offset, what));
        if self.interfaces.len() == MAX_INTERFACES {
            return corrupt(Corruption::TooManyInterfaces(MAX_INTERFACES));
        }
        let Some((fixed, options)) = window.unread()[block.body()].split_first_chunk::<8>() else {
            return corrupt(Corruption::BlockLength(INTERFACE_DESCRIPTION, block.length));
        };
        self.interfaces.push(Interface {
            link: LinkType(self.order.u16(half(fixed, 0))),
            snaplen: self.order.u32(word(fixed, 1)),
            clock: Clock::of_interface(self.order, options),
        });
        window.take(block.length as usize);
        Ok(())
    }

    fn pass_over<R: Read>(&mut self, window: &mut Window<R>, kind: u32) -> Result<(), Stop> {
        let offset = window.offset();
        let length = self.block_length(window, kind)?;
        window.skip(u64::from(length), offset)?;
        *match kind {
            DECRYPTION_SECRETS => &mut self.skipped.secrets,
            NAME_RESOLUTION => &mut self.skipped.names,
            INTERFACE_STATISTICS => &mut self.skipped.statistics,
            _ => &mut self.skipped.other,
        } += 1;
        Ok(())
    }
}
