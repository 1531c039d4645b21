//! Ethernet frames, what their types mean, and LLC (IEEE 802.3, 802.1Q, 802.2).

use super::account::{Layer, PacketClass, Undecodable};
use super::view::{Next, Parsed, View, be16};
use super::{gre, mpls, ppp};

/// Ethernet types, from the registry of the IEEE.
pub(super) mod types {
    pub(in super::super) const IPV4: u16 = 0x0800;
    pub(in super::super) const IPV6: u16 = 0x86dd;
    /// Transparent Ethernet bridging: a whole frame (RFC 1701 and its successors).
    pub(in super::super) const BRIDGED: u16 = 0x6558;
    pub(in super::super) const PPP: u16 = 0x880b;
    /// ERSPAN types I and II.
    pub(in super::super) const ERSPAN: u16 = 0x88be;
    /// ERSPAN type III.
    pub(in super::super) const ERSPAN_III: u16 = 0x22eb;
    pub(in super::super) const WCCP: u16 = 0x883e;
}

const VLAN: u16 = 0x8100;
const VLAN_SERVICE: u16 = 0x88a8;
const VLAN_OLD_QINQ: [u16; 3] = [0x9100, 0x9200, 0x9300];
/// Cisco VN-Tag, of the size of a VLAN tag.
const VN_TAG: u16 = 0x8926;
/// IEEE 802.1BR E-tag.
const E_TAG: u16 = 0x893f;
/// IEEE 802.1ah service instance: a whole frame follows.
const BACKBONE: u16 = 0x88e7;
const MAC_SECURITY: u16 = 0x88e5;
const MPLS: u16 = 0x8847;
const MPLS_MULTICAST: u16 = 0x8848;
const PPPOE_SESSION: u16 = 0x8864;
/// LLC frames too long for the length field.
const LLC_JUMBO: u16 = 0x8870;
/// Below this the type field is a length (IEEE 802.3, section 3.2.6).
const FIRST_TYPE: u16 = 0x0600;
const MAX_LLC_LEN: u16 = 1500;

/// A frame from its destination address on.
#[inline]
pub(super) fn frame(view: View<'_>) -> Parsed<'_> {
    let (header, rest) = view.header::<14>(Layer::Ethernet)?;
    match be16(header[12], header[13]) {
        types::IPV4 => Ok(Next::Ipv4(rest)),
        types::IPV6 => Ok(Next::Ipv6(rest)),
        other => Ok(Next::EtherType(other, rest)),
    }
}

/// What follows an Ethernet type, wherever that stands. Tags are taken off, however many.
pub(super) fn ether_type(mut ether_type: u16, mut view: View<'_>) -> Parsed<'_> {
    loop {
        match ether_type {
            types::IPV4 => return Ok(Next::Ipv4(view)),
            types::IPV6 => return Ok(Next::Ipv6(view)),
            _ => match tag_len(ether_type) {
                Some(len) => (ether_type, view) = tagged(len, view)?,
                None => return rare_type(ether_type, view),
            },
        }
    }
}

/// The bytes of a tag between its own type and the next one.
fn tag_len(ether_type: u16) -> Option<usize> {
    match ether_type {
        VLAN | VLAN_SERVICE | VN_TAG => Some(if ether_type == VN_TAG { 4 } else { 2 }),
        E_TAG => Some(6),
        other => VLAN_OLD_QINQ.contains(&other).then_some(2),
    }
}

/// Skips a tag of `len` bytes and reads the type behind it.
fn tagged(len: usize, view: View<'_>) -> Result<(u16, View<'_>), PacketClass> {
    let (next, rest) = view.skip(len, Layer::Ethernet)?.header::<2>(Layer::Ethernet)?;
    Ok((u16::from_be_bytes(*next), rest))
}

fn rare_type(ether_type: u16, view: View<'_>) -> Parsed<'_> {
    match ether_type {
        0..=MAX_LLC_LEN => llc(view.limit(usize::from(ether_type))),
        LLC_JUMBO => llc(view.skip(2, Layer::Llc)?),
        MPLS | MPLS_MULTICAST => mpls::stack(view),
        PPPOE_SESSION => ppp::over_ethernet(view),
        types::PPP => ppp::frame(view),
        types::BRIDGED => Ok(Next::Ethernet(view)),
        types::ERSPAN | types::ERSPAN_III => gre::erspan(ether_type, view),
        BACKBONE => Ok(Next::Ethernet(view.skip(4, Layer::Ethernet)?)),
        MAC_SECURITY => mac_security(view),
        _ => Err(PacketClass::NotIp),
    }
}

/// IEEE 802.1AE: the tag, with the channel identifier where its bit says so. The check value at the
/// end is left to the length of the packet inside.
fn mac_security(view: View<'_>) -> Parsed<'_> {
    const CHANNEL: u8 = 0x20;
    const ENCRYPTED_OR_CHANGED: u8 = 0x0c;
    let (tag, rest) = view.header::<6>(Layer::Ethernet)?;
    if tag[0] & ENCRYPTED_OR_CHANGED != 0 {
        return Err(PacketClass::Undecodable(Undecodable::Encrypted));
    }
    let channel = if tag[0] & CHANNEL == 0 { 0 } else { 8 };
    let (inner, rest) = tagged(channel, rest)?;
    ether_type(inner, rest)
}

/// An LLC header (IEEE 802.2), with SNAP (IEEE 802, section 9.5) or the old number of IP.
pub(super) fn llc(view: View<'_>) -> Parsed<'_> {
    const SNAP: u8 = 0xaa;
    const IP: u8 = 0x06;
    const UNNUMBERED_INFORMATION: u8 = 0x03;
    let (header, rest) = view.header::<3>(Layer::Llc)?;
    match *header {
        [SNAP, SNAP, UNNUMBERED_INFORMATION] => snap(rest),
        [IP, IP, UNNUMBERED_INFORMATION] => Ok(Next::Ipv4(rest)),
        _ => Err(PacketClass::NotIp),
    }
}

/// The organisations whose numbers are Ethernet types: RFC 1042 and the bridge tunnel encapsulation
/// of IEEE 802.1H.
fn snap(view: View<'_>) -> Parsed<'_> {
    let (header, rest) = view.header::<5>(Layer::Llc)?;
    match *header {
        [0, 0, 0 | 0xf8, high, low] => match be16(high, low) {
            FIRST_TYPE.. => ether_type(be16(high, low), rest),
            _ => Err(PacketClass::NotIp),
        },
        _ => Err(PacketClass::NotIp),
    }
}
