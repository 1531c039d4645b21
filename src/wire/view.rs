//! A window on the bytes of a layer that knows how much of it the capture lacks.

use super::account::{Layer, PacketClass};
use super::ip::{Datagram, FragmentHeader, IpHeader};
use crate::packet::LinkType;

/// The rest of a packet: what was captured of it, and how much followed on the wire.
#[derive(Clone, Copy, Debug)]
pub(super) struct View<'b> {
    /// What was captured.
    pub(super) bytes: &'b [u8],
    /// How many bytes followed on the wire and were not captured.
    pub(super) cut: usize,
}

impl<'b> View<'b> {
    /// Its length on the wire.
    pub(super) const fn wire_len(&self) -> usize {
        self.bytes.len() + self.cut
    }

    /// The first `N` bytes, without moving on.
    #[inline]
    pub(super) fn peek<const N: usize>(&self) -> Option<&'b [u8; N]> {
        self.bytes.first_chunk()
    }

    /// A header of `N` bytes, and what follows it.
    #[inline]
    pub(super) fn header<const N: usize>(self, layer: Layer) -> Result<(&'b [u8; N], Self), PacketClass> {
        match self.bytes.split_first_chunk() {
            Some((header, bytes)) => Ok((header, Self { bytes, cut: self.cut })),
            None => Err(PacketClass::truncated(layer)),
        }
    }

    /// What follows `n` bytes.
    #[inline]
    pub(super) fn skip(self, n: usize, layer: Layer) -> Result<Self, PacketClass> {
        match self.bytes.get(n..) {
            Some(bytes) => Ok(Self { bytes, cut: self.cut }),
            None => Err(PacketClass::truncated(layer)),
        }
    }

    /// The same, of which only the first `len` bytes on the wire belong to the layer. A length beyond
    /// the packet's end counts as cut: the sender's headers are believed rather than the tool that
    /// wrote the file.
    #[inline]
    pub(super) fn limit(self, len: usize) -> Self {
        match self.bytes.get(..len) {
            Some(bytes) => Self { bytes, cut: 0 },
            None => Self { bytes: self.bytes, cut: len - self.bytes.len() },
        }
    }

    /// The same without the last `n` bytes on the wire, as for a frame check sequence.
    pub(super) fn trim_end(self, n: usize) -> Self {
        self.limit(self.wire_len().saturating_sub(n))
    }
}

/// What a layer found inside itself.
///
/// The layers of most packets (Ethernet, IP without extensions, TCP) call no function that returns one of
/// these: so that the compiler keeps it in registers, where it would move it through memory.
#[derive(Clone, Copy, Debug)]
pub(super) enum Next<'b> {
    /// A link other than Ethernet.
    Link(LinkType, View<'b>),
    /// What follows an Ethernet type other than those of IP.
    EtherType(u16, View<'b>),
    /// An Ethernet frame, without preamble.
    Ethernet(View<'b>),
    /// An IPv4 packet.
    Ipv4(View<'b>),
    /// An IPv6 packet.
    Ipv6(View<'b>),
    /// The payload of an IP packet: transport, a tunnel, or extension headers.
    Transport(Datagram<'b>),
    /// A part of the payload of an IP packet.
    Fragment(IpHeader<'b>, FragmentHeader, View<'b>),
}

/// A layer's answer.
pub(super) type Parsed<'b> = Result<Next<'b>, PacketClass>;

/// A 16-bit number in network byte order.
#[inline]
pub(super) const fn be16(high: u8, low: u8) -> u16 {
    u16::from_be_bytes([high, low])
}
