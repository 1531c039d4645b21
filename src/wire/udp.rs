//! Tunnels over UDP, known by their ports (Teredo's also by its addresses) and believed only when their
//! headers check out.

use super::account::{Layer, PacketClass};
use super::view::{Next, Parsed, View, be16};
use super::{ethernet, gre, ip, mpls};

/// A UDP packet (RFC 768): a tunnel, or not TCP.
pub(super) fn packet(view: View<'_>) -> Parsed<'_> {
    let (header, rest) = view.header::<8>(Layer::Udp)?;
    let (source, destination) = (be16(header[0], header[1]), be16(header[2], header[3]));
    let payload = match usize::from(be16(header[4], header[5])) {
        // Offloaded segmentation, or a jumbogram.
        0 => rest,
        len => rest.limit(len.saturating_sub(header.len())),
    };
    tunnel(source, destination, payload).ok_or(PacketClass::NotTcp)
}

/// Ports of the IANA registry, and 8472, which Linux used for VXLAN before there was one.
fn tunnel(source: u16, destination: u16, view: View<'_>) -> Option<Next<'_>> {
    match (source, destination) {
        (_, 4789 | 8472) => vxlan(view),
        (_, 4790) => vxlan_gpe(view),
        (_, 6081) => geneve(view),
        (_, 2152) => gtp_user(view),
        (_, 4754) if gre::is_plausible(view) => gre::packet(view).ok(),
        (_, 6635) => mpls::stack(view).ok(),
        (3544, _) | (_, 3544) => teredo(view),
        _ => teredo_relayed(view),
    }
}

/// VXLAN (RFC 7348, section 5): a flag, a network, and a frame. Bits that extensions use (group
/// policy) may be set.
fn vxlan(view: View<'_>) -> Option<Next<'_>> {
    const NETWORK_VALID: u8 = 0x08;
    let (header, frame) = view.header::<8>(Layer::Udp).ok()?;
    (header[0] & NETWORK_VALID != 0 && header[7] == 0).then_some(Next::Ethernet(frame))
}

/// VXLAN with a next protocol (draft-ietf-nvo3-vxlan-gpe).
fn vxlan_gpe(view: View<'_>) -> Option<Next<'_>> {
    const PROTOCOL_VALID: u8 = 0x04;
    let (header, payload) = view.header::<8>(Layer::Udp).ok()?;
    match (header[0] & PROTOCOL_VALID, header[3]) {
        (0, _) => vxlan(view),
        (_, 1) if ip::is_plausible(payload) => Some(Next::Ipv4(payload)),
        (_, 2) if ip::is_plausible(payload) => Some(Next::Ipv6(payload)),
        (_, 3) => Some(Next::Ethernet(payload)),
        (_, 4) => service_header(payload),
        _ => None,
    }
}

/// A network service header (RFC 8300, section 2): its length in 4-byte words, and what follows.
fn service_header(view: View<'_>) -> Option<Next<'_>> {
    let &[_, length, _, next] = view.peek::<4>()?;
    let payload = view.skip(usize::from(length & 0x3f) * 4, Layer::Udp).ok()?;
    match next {
        1 => Some(Next::Ipv4(payload)),
        2 => Some(Next::Ipv6(payload)),
        3 => Some(Next::Ethernet(payload)),
        _ => None,
    }
}

/// GENEVE (RFC 8926, section 3.4): version 0, options, an Ethernet type.
fn geneve(view: View<'_>) -> Option<Next<'_>> {
    let (header, rest) = view.header::<8>(Layer::Udp).ok()?;
    let (version, options) = (header[0] >> 6, usize::from(header[0] & 0x3f) * 4);
    if version != 0 || header[7] != 0 {
        return None;
    }
    let payload = rest.skip(options, Layer::Udp).ok()?;
    ethernet::ether_type(be16(header[2], header[3]), payload).ok()
}

/// The user plane of GTP (3GPP TS 29.281, section 5.1): version 1, a G-PDU, extension headers, IP.
fn gtp_user(view: View<'_>) -> Option<Next<'_>> {
    const VERSION_AND_TYPE: u8 = 0xf0;
    const VERSION_1_GTP: u8 = 0x30;
    const OPTIONAL_FIELDS: u8 = 0x07;
    const EXTENDED: u8 = 0x04;
    const G_PDU: u8 = 0xff;
    let (header, rest) = view.header::<8>(Layer::Udp).ok()?;
    if header[0] & VERSION_AND_TYPE != VERSION_1_GTP || header[1] != G_PDU {
        return None;
    }
    let mut payload = rest.limit(usize::from(be16(header[2], header[3])));
    if header[0] & OPTIONAL_FIELDS != 0 {
        let (&[_, _, _, next], rest) = payload.header::<4>(Layer::Udp).ok()?;
        payload = rest;
        if header[0] & EXTENDED != 0 {
            payload = gtp_extensions(next, payload)?;
        }
    }
    if ip::is_plausible(payload) { ip::by_version(payload).ok() } else { None }
}

/// Extension headers (section 5.2.1): a length in 4-byte words, contents, the next one's type.
fn gtp_extensions(mut next: u8, mut view: View<'_>) -> Option<View<'_>> {
    while next != 0 {
        let len = usize::from(view.peek::<1>()?[0]) * 4;
        next = *view.bytes.get(len.checked_sub(1)?)?;
        view = view.skip(len, Layer::Udp).ok()?;
    }
    Some(view)
}

/// Teredo (RFC 4380, section 5.1.1): IPv6, behind an authentication and an origin indication.
fn teredo(mut view: View<'_>) -> Option<Next<'_>> {
    if let Some(&[0, 1, id, authentication]) = view.peek::<4>() {
        // The nonce and the confirmation byte follow both.
        view = view.skip(4 + usize::from(id) + usize::from(authentication) + 9, Layer::Udp).ok()?;
    }
    if let Some([0, 0]) = view.peek::<2>() {
        view = view.skip(8, Layer::Udp).ok()?;
    }
    (ip::is_plausible(view) && view.bytes.first().is_some_and(|first| first >> 4 == 6))
        .then_some(Next::Ipv6(view))
}

/// Teredo between a client and a relay or another client (RFC 4380, sections 5.2.4 and 5.4): any ports, and
/// no indication. It is known by an IPv6 packet that fills the datagram and has an address of the Teredo
/// prefix, `2001::/32` (section 2.6).
fn teredo_relayed(view: View<'_>) -> Option<Next<'_>> {
    const PREFIX: [u8; 4] = [0x20, 0x01, 0, 0];
    let header = view.peek::<40>()?;
    let fills = usize::from(be16(header[4], header[5])) + header.len() == view.wire_len();
    let prefixed = header[8..12] == PREFIX || header[24..28] == PREFIX;
    (header[0] >> 4 == 6 && fills && prefixed).then_some(Next::Ipv6(view))
}
