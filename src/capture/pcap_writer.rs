//! Writing pcap.

use std::io::{self, ErrorKind, Write};

use super::ByteOrder;
use crate::packet::{LinkType, Packet};
use crate::time::Timestamp;

/// How finely a file tells the time.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Precision {
    /// To the microsecond; what is finer is cut off.
    Micros,
    /// To the nanosecond.
    Nanos,
}

impl Precision {
    /// Nanoseconds in a tick.
    pub(super) const fn tick(self) -> u32 {
        match self {
            Self::Micros => 1000,
            Self::Nanos => 1,
        }
    }
}

/// Writes packets of one link type as pcap.
///
/// It makes two small writes for each packet, so the sink should be buffered.
#[derive(Debug)]
pub struct PcapWriter<W> {
    sink: W,
    link: LinkType,
    precision: Precision,
    order: ByteOrder,
    written: u64,
}

impl<W: Write> PcapWriter<W> {
    /// Writes the header of a file of little-endian nanoseconds.
    pub fn new(sink: W, link: LinkType) -> io::Result<Self> {
        Self::with_form(sink, link, Precision::Nanos, ByteOrder::Little)
    }

    /// Writes the header of a file of the given form.
    pub fn with_form(
        mut sink: W,
        link: LinkType,
        precision: Precision,
        order: ByteOrder,
    ) -> io::Result<Self> {
        const SNAPLEN: u32 = 262_144;
        let magic: u32 = match precision {
            Precision::Micros => 0xa1b2_c3d4,
            Precision::Nanos => 0xa1b2_3c4d,
        };
        let mut header = Vec::with_capacity(24);
        header.extend(order.put_u32(magic));
        header.extend(order.put_u16(2));
        header.extend(order.put_u16(4));
        for word in [0, 0, SNAPLEN, u32::from(link.0)] {
            header.extend(order.put_u32(word));
        }
        sink.write_all(&header)?;
        Ok(Self { sink, link, precision, order, written: header.len() as u64 })
    }

    /// Writes one packet. A packet of another link type, of a time before 1970 or after 2106, or of more
    /// than 4 GiB has no place in the format and is an [`ErrorKind::InvalidInput`].
    pub fn write(&mut self, packet: &Packet<'_>) -> io::Result<()> {
        if packet.link != self.link {
            return Err(invalid("a pcap file holds packets of one link type"));
        }
        let (seconds, nanos) = split(packet.at)?;
        let seconds = u32::try_from(seconds).map_err(|_| invalid("a pcap file ends in the year 2106"))?;
        let captured = length(packet.data)?;
        let mut header = [0; 16];
        let words = [seconds, nanos / self.precision.tick(), captured, packet.original_len];
        for (to, word) in header.chunks_exact_mut(4).zip(words) {
            to.copy_from_slice(&self.order.put_u32(word));
        }
        self.sink.write_all(&header)?;
        self.sink.write_all(packet.data)?;
        self.written += 16 + u64::from(captured);
        Ok(())
    }

    /// How many bytes were written, headers included.
    #[must_use]
    pub fn written(&self) -> u64 {
        self.written
    }

    /// Flushes, and gives the sink back.
    pub fn finish(mut self) -> io::Result<W> {
        self.sink.flush()?;
        Ok(self.sink)
    }
}

/// Seconds since 1970, and nanoseconds within the second.
pub(super) fn split(at: Timestamp) -> io::Result<(u64, u32)> {
    let nanos =
        u64::try_from(at.as_nanos()).map_err(|_| invalid("a capture file begins in the year 1970"))?;
    let within = u32::try_from(nanos % 1_000_000_000).unwrap_or_default();
    Ok((nanos / 1_000_000_000, within))
}

pub(super) fn length(data: &[u8]) -> io::Result<u32> {
    u32::try_from(data.len()).map_err(|_| invalid("a packet of more than 4 GiB"))
}

pub(super) fn invalid(what: &'static str) -> io::Error {
    io::Error::new(ErrorKind::InvalidInput, what)
}
