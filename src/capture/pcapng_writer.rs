//! Writing pcapng.

use std::io::{self, Write};

use super::ByteOrder;
use super::pcap_writer::{Precision, invalid, length, split};
use crate::packet::{LinkType, Packet};

/// Writes packets as pcapng: one section, with an interface for each interface number and link type
/// that the packets bring, described when its first packet comes.
///
/// It makes a few small writes for each packet, so the sink should be buffered.
#[derive(Debug)]
pub struct PcapngWriter<W> {
    sink: W,
    precision: Precision,
    order: ByteOrder,
    interfaces: Vec<(u32, LinkType)>,
    written: u64,
}

impl<W: Write> PcapngWriter<W> {
    /// Writes the header of a little-endian section of nanoseconds.
    pub fn new(sink: W) -> io::Result<Self> {
        Self::with_form(sink, Precision::Nanos, ByteOrder::Little)
    }

    /// Writes the header of a section of the given form.
    pub fn with_form(sink: W, precision: Precision, order: ByteOrder) -> io::Result<Self> {
        let mut writer = Self { sink, precision, order, interfaces: Vec::new(), written: 0 };
        let mut body = Vec::with_capacity(16);
        body.extend(order.put_u32(0x1a2b_3c4d));
        body.extend(order.put_u16(1));
        body.extend(order.put_u16(0));
        // The section's length is not known beforehand.
        body.extend([0xff; 8]);
        writer.block(0x0a0d_0d0a, &body, &[])?;
        Ok(writer)
    }

    /// Writes one packet. A time before 1970, or a packet of nearly 4 GiB or more, has no place in the
    /// format and is an [`io::ErrorKind::InvalidInput`].
    pub fn write(&mut self, packet: &Packet<'_>) -> io::Result<()> {
        let (seconds, nanos) = split(packet.at)?;
        let tick = u64::from(self.precision.tick());
        let ticks = seconds * (1_000_000_000 / tick) + u64::from(nanos) / tick;
        let captured = length(packet.data)?;
        let interface = self.interface(packet)?;
        let half = |ticks: u64| u32::try_from(ticks & 0xffff_ffff).unwrap_or_default();
        let mut fixed = [0; 20];
        let words = [interface, half(ticks >> 32), half(ticks), captured, packet.original_len];
        for (to, word) in fixed.chunks_exact_mut(4).zip(words) {
            to.copy_from_slice(&self.order.put_u32(word));
        }
        self.block(6, &fixed, packet.data)
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

    /// The number in the section of a packet's interface, described first where it is new.
    fn interface(&mut self, packet: &Packet<'_>) -> io::Result<u32> {
        let wanted = (packet.interface, packet.link);
        let at = match self.interfaces.iter().position(|known| *known == wanted) {
            Some(at) => at,
            None => self.describe(wanted)?,
        };
        u32::try_from(at).map_err(|_| invalid("more interfaces than a section can describe"))
    }

    fn describe(&mut self, interface: (u32, LinkType)) -> io::Result<usize> {
        let exponent = match self.precision {
            Precision::Micros => 6,
            Precision::Nanos => 9,
        };
        let mut body = Vec::with_capacity(20);
        body.extend(self.order.put_u16(interface.1.0));
        body.extend([0; 2]);
        // No limit on the captured length.
        body.extend([0; 4]);
        body.extend(self.order.put_u16(9));
        body.extend(self.order.put_u16(1));
        body.extend([exponent, 0, 0, 0]);
        body.extend([0; 4]);
        self.block(1, &body, &[])?;
        self.interfaces.push(interface);
        Ok(self.interfaces.len() - 1)
    }

    /// A block whose body is `fixed` and `data`, padded to 32 bits.
    fn block(&mut self, kind: u32, fixed: &[u8], data: &[u8]) -> io::Result<()> {
        let padding = data.len().next_multiple_of(4) - data.len();
        let total = u32::try_from(12 + fixed.len() + data.len() + padding)
            .map_err(|_| invalid("a block of more than 4 GiB"))?;
        self.sink.write_all(&self.order.put_u32(kind))?;
        self.sink.write_all(&self.order.put_u32(total))?;
        self.sink.write_all(fixed)?;
        self.sink.write_all(data)?;
        self.sink.write_all(&[0; 3][..padding])?;
        self.sink.write_all(&self.order.put_u32(total))?;
        self.written += u64::from(total);
        Ok(())
    }
}
