//! PPP (RFC 1661), its HDLC-like framing (RFC 1662), Cisco HDLC, and PPPoE (RFC 2516).

use super::account::{Layer, PacketClass, Undecodable};
use super::view::{Next, Parsed, View, be16};
use super::{ethernet, mpls};

/// A frame, with or without address and control bytes.
pub(super) fn frame(view: View<'_>) -> Parsed<'_> {
    match view.peek::<2>() {
        Some([0xff, 0x03]) => protocol(view.skip(2, Layer::Ppp)?),
        // Cisco's HDLC: unicast or multicast address, no control, an Ethernet type.
        Some([0x0f | 0x8f, 0x00]) => {
            let (header, rest) = view.header::<4>(Layer::Ppp)?;
            ethernet::ether_type(be16(header[2], header[3]), rest)
        }
        _ => protocol(view),
    }
}

/// The session stage of PPPoE (RFC 2516, section 4): version and type 1, code 0.
pub(super) fn over_ethernet(view: View<'_>) -> Parsed<'_> {
    let (header, rest) = view.header::<6>(Layer::Pppoe)?;
    match (header[0], header[1], be16(header[4], header[5])) {
        (0x11, 0, 0) => protocol(rest),
        (0x11, 0, len) => protocol(rest.limit(usize::from(len))),
        (0x11, _, _) => Err(PacketClass::NotIp),
        _ => Err(PacketClass::malformed(Layer::Pppoe)),
    }
}

/// The protocol field, of one byte where its odd first byte says that it was compressed (RFC 1661,
/// section 6.5).
fn protocol(view: View<'_>) -> Parsed<'_> {
    let (&[first], rest) = view.header::<1>(Layer::Ppp)?;
    if first & 1 == 1 {
        return payload(u16::from(first), rest);
    }
    let (&[second], rest) = rest.header::<1>(Layer::Ppp)?;
    payload(be16(first, second), rest)
}

/// Numbers of the IANA registry "PPP DLL Protocol Numbers".
fn payload(protocol: u16, view: View<'_>) -> Parsed<'_> {
    match protocol {
        0x0021 => Ok(Next::Ipv4(view)),
        0x0057 => Ok(Next::Ipv6(view)),
        0x0281 | 0x0283 => mpls::stack(view),
        // RoHC, Van Jacobson, IP header compression, CCP (also as MPPE).
        0x0003 | 0x0005 | 0x002d | 0x002f | 0x0061..=0x006f | 0x00fb | 0x00fd => {
            Err(PacketClass::Undecodable(Undecodable::Compressed))
        }
        0x0053 | 0x0055 => Err(PacketClass::Undecodable(Undecodable::Encrypted)),
        _ => Err(PacketClass::NotIp),
    }
}
