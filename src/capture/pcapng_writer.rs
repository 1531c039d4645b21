//! Writing pcapng.

use std::io::{self, Write};

use super::ByteOrder;
use super::pcap_writer::{Precision, invalid, length, split};
use crate::packet::{LinkType, Packet};
use crate::time::Timestamp;

/// What was counted on an interface, as its statistics block tells it.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct InterfaceCounts {
    /// Packets that the filter admitted; on a loopback interface the kernel may count each twice.
    pub received: u64,
    /// Packets lost because the kernel's buffer was full.
    pub dropped_by_kernel: u64,
    /// Packets lost by the interface or its driver.
    pub dropped_by_interface: u64,
}

const SECTION_HEADER: u32 = 0x0a0d_0d0a;
const INTERFACE_DESCRIPTION: u32 = 1;
const INTERFACE_STATISTICS: u32 = 5;
const ENHANCED_PACKET: u32 = 6;

/// Options of the blocks that are written; 0 ends them.
mod option {
    pub(super) const USER_APPLICATION: u16 = 4;
    pub(super) const NAME: u16 = 2;
    pub(super) const RESOLUTION: u16 = 9;
    pub(super) const FILTER: u16 = 11;
    pub(super) const START_TIME: u16 = 2;
    pub(super) const END_TIME: u16 = 3;
    pub(super) const RECEIVED: u16 = 4;
    pub(super) const DROPPED_BY_INTERFACE: u16 = 5;
    pub(super) const DROPPED_BY_SYSTEM: u16 = 7;
}

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
        Self::begin(sink, precision, order, None)
    }

    /// Writes the header of a little-endian section of nanoseconds that names the program that captured.
    pub fn by_application(sink: W, application: &str) -> io::Result<Self> {
        Self::begin(sink, Precision::Nanos, ByteOrder::Little, Some(application))
    }

    fn begin(sink: W, precision: Precision, order: ByteOrder, application: Option<&str>) -> io::Result<Self> {
        let mut writer = Self { sink, precision, order, interfaces: Vec::new(), written: 0 };
        let mut body = Vec::with_capacity(48);
        body.extend(order.put_u32(0x1a2b_3c4d));
        body.extend(order.put_u16(1));
        body.extend(order.put_u16(0));
        // The section's length is not known beforehand.
        body.extend([0xff; 8]);
        if let Some(application) = application {
            writer.option(&mut body, option::USER_APPLICATION, application.as_bytes());
            writer.end_of_options(&mut body);
        }
        writer.block(SECTION_HEADER, &body, &[])?;
        Ok(writer)
    }

    /// Writes one packet. A time before 1970, or a packet of nearly 4 GiB or more, has no place in the
    /// format and is an [`io::ErrorKind::InvalidInput`].
    pub fn write(&mut self, packet: &Packet<'_>) -> io::Result<()> {
        let [high, low] = self.halves(self.ticks(packet.at)?);
        let captured = length(packet.data)?;
        let interface = self.interface(packet)?;
        let [interface, captured, original] =
            [interface, captured, packet.original_len].map(|word| self.order.put_u32(word));
        let mut fixed = [0; 20];
        for (to, word) in fixed.chunks_exact_mut(4).zip([interface, high, low, captured, original]) {
            to.copy_from_slice(&word);
        }
        self.block(ENHANCED_PACKET, &fixed, packet.data)
    }

    /// Describes an interface before its first packet, by the number and link type that its packets will
    /// bring; the snaplen is 0 where there is none.
    pub fn describe(
        &mut self,
        interface: (u32, LinkType),
        name: &str,
        filter: Option<&str>,
        snaplen: u32,
    ) -> io::Result<()> {
        let mut options = Vec::new();
        self.option(&mut options, option::NAME, name.as_bytes());
        if let Some(filter) = filter {
            // The first byte says that what follows is an expression.
            let expression: Vec<u8> = [&[0], filter.as_bytes()].concat();
            self.option(&mut options, option::FILTER, &expression);
        }
        self.describe_with(interface, snaplen, &options).map(|_| ())
    }

    /// Writes what was counted on an interface that has been described, between two times.
    pub fn statistics(
        &mut self,
        interface: (u32, LinkType),
        counts: &InterfaceCounts,
        between: (Timestamp, Timestamp),
    ) -> io::Result<()> {
        let Some(number) = self.interfaces.iter().position(|known| *known == interface) else {
            return Err(invalid("statistics of an interface that is not described"));
        };
        let mut body = Vec::with_capacity(96);
        let number = u32::try_from(number).map_err(|_| invalid("too many interfaces"))?;
        body.extend(self.order.put_u32(number));
        let time = |at| Ok::<_, io::Error>(self.halves(self.ticks(at)?).concat());
        let end = time(between.1)?;
        body.extend(&end);
        self.option(&mut body, option::START_TIME, &time(between.0)?);
        self.option(&mut body, option::END_TIME, &end);
        for (code, count) in [
            (option::RECEIVED, counts.received),
            (option::DROPPED_BY_INTERFACE, counts.dropped_by_interface),
            (option::DROPPED_BY_SYSTEM, counts.dropped_by_kernel),
        ] {
            let [high, low] = self.halves(count);
            // Unlike a time, a count of 64 bits is one number in the section's byte order.
            let count = if self.order == ByteOrder::Little { [low, high] } else { [high, low] };
            self.option(&mut body, code, &count.concat());
        }
        self.end_of_options(&mut body);
        self.block(INTERFACE_STATISTICS, &body, &[])
    }

    /// The sink.
    pub fn sink_mut(&mut self) -> &mut W {
        &mut self.sink
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
            // No limit on the captured length.
            None => self.describe_with(wanted, 0, &[])?,
        };
        u32::try_from(at).map_err(|_| invalid("more interfaces than a section can describe"))
    }

    fn describe_with(
        &mut self,
        interface: (u32, LinkType),
        snaplen: u32,
        options: &[u8],
    ) -> io::Result<usize> {
        let exponent = match self.precision {
            Precision::Micros => 6,
            Precision::Nanos => 9,
        };
        let mut body = Vec::with_capacity(20 + options.len());
        body.extend(self.order.put_u16(interface.1.0));
        body.extend([0; 2]);
        body.extend(self.order.put_u32(snaplen));
        body.extend(options);
        self.option(&mut body, option::RESOLUTION, &[exponent]);
        self.end_of_options(&mut body);
        self.block(INTERFACE_DESCRIPTION, &body, &[])?;
        self.interfaces.push(interface);
        Ok(self.interfaces.len() - 1)
    }

    /// An option, padded to 32 bits; what is too long for one is cut.
    fn option(&self, to: &mut Vec<u8>, code: u16, value: &[u8]) {
        let length = u16::try_from(value.len()).unwrap_or(u16::MAX);
        let value = &value[..usize::from(length)];
        to.extend(self.order.put_u16(code));
        to.extend(self.order.put_u16(length));
        to.extend(value);
        to.extend(&[0; 3][..value.len().next_multiple_of(4) - value.len()]);
    }

    fn end_of_options(&self, to: &mut Vec<u8>) {
        self.option(to, 0, &[]);
    }

    /// A time in the units of the section.
    fn ticks(&self, at: Timestamp) -> io::Result<u64> {
        let (seconds, nanos) = split(at)?;
        let tick = u64::from(self.precision.tick());
        Ok(seconds * (1_000_000_000 / tick) + u64::from(nanos) / tick)
    }

    /// The upper and the lower 32 bits.
    fn halves(&self, number: u64) -> [[u8; 4]; 2] {
        let half = |half: u64| u32::try_from(half & 0xffff_ffff).unwrap_or_default();
        [half(number >> 32), half(number)].map(|half| self.order.put_u32(half))
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
