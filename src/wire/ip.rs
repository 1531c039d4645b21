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

/// What the layers above need of an IP header.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub(super) struct IpHeader {
    /// Who sent the packet.
    pub(super) source: IpAddr,
    /// To whom.
    pub(super) destination: IpAddr,
    /// The identification field of IPv4; 0 for IPv6.
    pub(super) id: u16,
}

/// The payload of one whole IP packet.
#[derive(Clone, Copy, Debug)]
pub(super) struct Datagram<'b> {
    /// The header that carried it.
    pub(super) ip: IpHeader,
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
    let [_, _, _, _, id_high, id_low, flags_high, flags_low, _, protocol, _, _, addresses @ ..] = *header;
    let [s0, s1, s2, s3, d0, d1, d2, d3] = addresses;
    let id = be16(id_high, id_low);
    let ip = IpHeader {
        source: IpAddr::V4(Ipv4Addr::new(s0, s1, s2, s3)),
        destination: IpAddr::V4(Ipv4Addr::new(d0, d1, d2, d3)),
        id,
    };
    let fragment = be16(flags_high, flags_low);
    if fragment & (MORE_FRAGMENTS | OFFSET) == 0 {
        return inside(ip, protocol, payload);
    }
    let more = fragment & MORE_FRAGMENTS != 0;
    let offset = usize::from(fragment & OFFSET) * 8;
    // The receivers at hand keep whole units of 8 bytes of a fragment that others follow.
    let payload = if more { payload.limit(payload.wire_len() & !7) } else { payload };
    Ok(Next::Fragment(ip, FragmentHeader { id: u32::from(id), protocol, offset, more }, payload))
}

/// An IPv6 packet (RFC 8200, section 3).
#[inline]
pub(super) fn version6(view: View<'_>) -> Parsed<'_> {
    let (header, rest) = view.header::<40>(Layer::Ipv6)?;
    if header[0] >> 4 != 6 {
        return Err(PacketClass::malformed(Layer::Ipv6));
    }
    let (addresses, _) = header[8..].as_chunks::<16>();
    let &[source, destination] = addresses else { return Err(PacketClass::malformed(Layer::Ipv6)) };
    let ip = IpHeader {
        source: IpAddr::V6(Ipv6Addr::from(source)),
        destination: IpAddr::V6(Ipv6Addr::from(destination)),
        id: 0,
    };
    let payload = match usize::from(be16(header[4], header[5])) {
        0 => jumbo(header[6], rest),
        len => rest.limit(len),
    };
    inside(ip, header[6], payload)
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

/// What follows an IP header, or the fragment header of one: extension headers are taken off.
#[inline]
pub(super) fn inside(ip: IpHeader, protocol: u8, payload: View<'_>) -> Parsed<'_> {
    match protocol {
        protocol::TCP | protocol::UDP => Ok(Next::Transport(Datagram { ip, protocol, payload })),
        _ => extended(ip, protocol, payload),
    }
}

fn extended(ip: IpHeader, mut next_header: u8, mut view: View<'_>) -> Parsed<'_> {
    let v6 = ip.source.is_ipv6();
    loop {
        let unit = match next_header {
            protocol::AUTHENTICATION => 4,
            protocol::FRAGMENT if v6 => return fragment6(ip, view),
            protocol::HOP_BY_HOP
            | protocol::ROUTING
            | protocol::DESTINATION
            | protocol::MOBILITY
            | protocol::HOST_IDENTITY
            | protocol::SHIM6
                if v6 =>
            {
                8
            }
            protocol => return Ok(Next::Transport(Datagram { ip, protocol, payload: view })),
        };
        let &[next, len] = view.peek::<2>().ok_or(PacketClass::truncated(Layer::IpExtension))?;
        // AH counts units of 4 bytes less 2 (RFC 4302, section 2.2), the others of 8 less 1.
        let units = usize::from(len) + if unit == 4 { 2 } else { 1 };
        view = view.skip(units * unit, Layer::IpExtension)?;
        next_header = next;
    }
}

/// A fragment header (RFC 8200, section 4.5). One that is the whole datagram is none (RFC 6946).
fn fragment6(ip: IpHeader, view: View<'_>) -> Parsed<'_> {
    let (header, payload) = view.header::<8>(Layer::IpExtension)?;
    let [protocol, _, high, low, id @ ..] = *header;
    let (offset, more) = (usize::from(be16(high, low) & !7), low & 1 == 1);
    if offset == 0 && !more {
        return extended(ip, protocol, payload);
    }
    if more && payload.wire_len() % 8 != 0 {
        return Err(PacketClass::FragmentDropped);
    }
    Ok(Next::Fragment(ip, FragmentHeader { id: u32::from_be_bytes(id), protocol, offset, more }, payload))
}
