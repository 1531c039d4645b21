//! IPv4 (RFC 791) and IPv6 (RFC 8200) headers, and the extension headers between IP and transport.
//!
//! Checksums are not verified: captures on the sending machine have them unfinished where the network
//! card computes them.

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};

use super::account::{Layer, PacketClass};
use super::view::{Next, Parsed, View, be16};

/// Assigned Internet protocol numbers (IANA).
pub(super) mod protocol {
    pub(in super::super) const HOP_BY_HOP: u8 = 0;
    pub(in super::super) const IPV4: u8 = 4;
    pub(in super::super) const TCP: u8 = 6;
    pub(in super::super) const UDP: u8 = 17;
    pub(in super::super) const IPV6: u8 = 41;
    pub(in super::super) const ROUTING: u8 = 43;
    pub(in super::super) const FRAGMENT: u8 = 44;
    pub(in super::super) const GRE: u8 = 47;
    pub(in super::super) const AUTHENTICATION: u8 = 51;
    pub(in super::super) const DESTINATION: u8 = 60;
    pub(in super::super) const ETHERNET_IN_IP: u8 = 97;
    pub(in super::super) const MOBILITY: u8 = 135;
    pub(in super::super) const MPLS: u8 = 137;
    pub(in super::super) const HOST_IDENTITY: u8 = 139;
    pub(in super::super) const SHIM6: u8 = 140;
}

/// An IP header without its options. It stays where it is in the packet: the addresses are read when a
/// segment is found, not at every layer on the way.
#[derive(Clone, Copy, Debug)]
pub(super) enum IpHeader<'b> {
    /// RFC 791, section 3.1.
    V4(&'b [u8; 20]),
    /// RFC 8200, section 3.
    V6(&'b [u8; 40]),
}

impl IpHeader<'_> {
    /// Who sent the packet.
    #[inline]
    pub(super) fn source(self) -> IpAddr {
        match self {
            Self::V4(&[.., s0, s1, s2, s3, _, _, _, _]) => IpAddr::V4(Ipv4Addr::new(s0, s1, s2, s3)),
            Self::V6(header) => IpAddr::V6(address6(&header[8..24])),
        }
    }

    /// To whom.
    #[inline]
    pub(super) fn destination(self) -> IpAddr {
        match self {
            Self::V4(&[.., d0, d1, d2, d3]) => IpAddr::V4(Ipv4Addr::new(d0, d1, d2, d3)),
            Self::V6(header) => IpAddr::V6(address6(&header[24..])),
        }
    }

    /// The identification field of IPv4; 0 for IPv6.
    #[inline]
    pub(super) const fn id(self) -> u16 {
        match self {
            Self::V4(&[_, _, _, _, high, low, ..]) => be16(high, low),
            Self::V6(_) => 0,
        }
    }

    /// Whether it is IPv6.
    pub(super) const fn is_v6(self) -> bool {
        matches!(self, Self::V6(_))
    }
}

#[inline]
fn address6(bytes: &[u8]) -> Ipv6Addr {
    bytes.first_chunk::<16>().map_or(Ipv6Addr::UNSPECIFIED, |address| Ipv6Addr::from(*address))
}

/// The payload of one whole IP packet.
#[derive(Clone, Copy, Debug)]
pub(super) struct Datagram<'b> {
    /// The header that carried it.
    pub(super) ip: IpHeader<'b>,
    /// Its protocol number.
    pub(super) protocol: u8,
    /// Its bytes.
    pub(super) payload: View<'b>,
}

/// Where a fragment belongs.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct FragmentHeader {
    /// Common to all fragments of a datagram.
    pub(super) id: u32,
    /// The protocol of the datagram's payload.
    pub(super) protocol: u8,
    /// The first byte's place in the datagram's payload.
    pub(super) offset: usize,
    /// Whether others follow behind it.
    pub(super) more: bool,
}

/// An IP packet of either version.
pub(super) fn by_version(view: View<'_>) -> Parsed<'_> {
    match view.peek::<1>().map(|[first]| first >> 4) {
        Some(4) => Ok(Next::Ipv4(view)),
        Some(6) => Ok(Next::Ipv6(view)),
        Some(_) => Err(PacketClass::malformed(Layer::Ip)),
        None => Err(PacketClass::truncated(Layer::Ip)),
    }
}

/// Whether the bytes can be an IP packet: version and lengths agree with each other. For places where
/// no field says what follows.
pub(super) fn is_plausible(view: View<'_>) -> bool {
    match view.bytes {
        [first @ 0x45..=0x4f, _, high, low, ..] => {
            let (header, total) = (usize::from(first & 0x0f) * 4, usize::from(be16(*high, *low)));
            view.bytes.len() >= 20 && (total == 0 || (header..=view.wire_len()).contains(&total))
        }
        [0x60..=0x6f, _, _, _, high, low, ..] => {
            view.bytes.len() >= 40 && usize::from(be16(*high, *low)) + 40 <= view.wire_len()
        }
        _ => false,
    }
}

/// An IPv4 packet (RFC 791, section 3.1).
#[inline]
pub(super) fn version4(view: View<'_>) -> Parsed<'_> {
    const MORE_FRAGMENTS: u16 = 0x2000;
    const OFFSET: u16 = 0x1fff;
    let (header, _) = view.header::<20>(Layer::Ipv4)?;
    let header_len = usize::from(header[0] & 0x0f) * 4;
    let total_len = usize::from(be16(header[2], header[3]));
    if header[0] >> 4 != 4 || header_len < 20 || (total_len != 0 && total_len < header_len) {
        return Err(PacketClass::malformed(Layer::Ipv4));
    }
    // A total length of 0 means that the card will cut the packet up and fill it in: the packet is as
    // long as its frame.
    let packet = if total_len == 0 { view } else { view.limit(total_len) };
    let payload = packet.skip(header_len, Layer::Ipv4)?;
    let &[_, _, _, _, id_high, id_low, flags_high, flags_low, _, protocol, ..] = header;
    let ip = IpHeader::V4(header);
    let fragment = be16(flags_high, flags_low);
    if fragment & (MORE_FRAGMENTS | OFFSET) == 0 {
        return Ok(Next::Transport(Datagram { ip, protocol, payload }));
    }
    let more = fragment & MORE_FRAGMENTS != 0;
    let offset = usize::from(fragment & OFFSET) * 8;
    // The receivers at hand keep whole units of 8 bytes of a fragment that others follow.
    let payload = if more { payload.limit(payload.wire_len() & !7) } else { payload };
    Ok(Next::Fragment(
        ip,
        FragmentHeader { id: u32::from(be16(id_high, id_low)), protocol, offset, more },
        payload,
    ))
}

/// An IPv6 packet (RFC 8200, section 3).
#[inline]
pub(super) fn version6(view: View<'_>) -> Parsed<'_> {
    let (header, rest) = view.header::<40>(Layer::Ipv6)?;
    if header[0] >> 4 != 6 {
        return Err(PacketClass::malformed(Layer::Ipv6));
    }
    let payload = match usize::from(be16(header[4], header[5])) {
        0 => jumbo(header[6], rest),
        len => rest.limit(len),
    };
    Ok(Next::Transport(Datagram { ip: IpHeader::V6(header), protocol: header[6], payload }))
}

/// The payload of a packet whose length field is 0: what the jumbo payload option says (RFC 2675), or
/// the rest of the frame, as with offloaded segmentation. The option cannot make more of the packet
/// than its frame has.
fn jumbo(next_header: u8, view: View<'_>) -> View<'_> {
    match view.bytes {
        [_, _, 0xc2, 4, len @ ..] if next_header == protocol::HOP_BY_HOP => {
            let len = len.first_chunk().map_or(usize::MAX, |l| u32::from_be_bytes(*l) as usize);
            view.limit(len.min(view.wire_len()))
        }
        _ => view,
    }
}

/// A protocol that stands between IP and transport: an extension header of IPv6 (RFC 8200, section 4),
/// or an authentication header in either version.
pub(super) fn extension(datagram: Datagram<'_>) -> Parsed<'_> {
    let Datagram { ip, protocol, payload } = datagram;
    // AH counts units of 4 bytes less 2 (RFC 4302, section 2.2), the others of 8 less 1.
    let (unit, uncounted) = match protocol {
        protocol::AUTHENTICATION => (4, 2),
        protocol::FRAGMENT if ip.is_v6() => return fragment6(ip, payload),
        protocol::HOP_BY_HOP
        | protocol::ROUTING
        | protocol::DESTINATION
        | protocol::MOBILITY
        | protocol::HOST_IDENTITY
        | protocol::SHIM6
            if ip.is_v6() =>
        {
            (8, 1)
        }
        _ => return Err(PacketClass::NotTcp),
    };
    let &[protocol, len] = payload.peek::<2>().ok_or(PacketClass::truncated(Layer::IpExtension))?;
    let payload = payload.skip((usize::from(len) + uncounted) * unit, Layer::IpExtension)?;
    Ok(Next::Transport(Datagram { ip, protocol, payload }))
}

/// A fragment header (RFC 8200, section 4.5). One that is the whole datagram is none (RFC 6946).
fn fragment6<'b>(ip: IpHeader<'b>, view: View<'b>) -> Parsed<'b> {
    let (header, payload) = view.header::<8>(Layer::IpExtension)?;
    let [protocol, _, high, low, id @ ..] = *header;
    let (offset, more) = (usize::from(be16(high, low) & !7), low & 1 == 1);
    if offset == 0 && !more {
        return Ok(Next::Transport(Datagram { ip, protocol, payload }));
    }
    if more && payload.wire_len() % 8 != 0 {
        return Err(PacketClass::FragmentDropped);
    }
    Ok(Next::Fragment(ip, FragmentHeader { id: u32::from_be_bytes(id), protocol, offset, more }, payload))
}
