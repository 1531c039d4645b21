//! Linux cooked captures: what `tcpdump -i any` writes in place of a link header.

use super::account::{Layer, PacketClass};
use super::ethernet;
use super::view::{Parsed, View, be16};

/// ARPHRD numbers whose frames have no Ethernet type in the protocol field.
const NETLINK: u16 = 824;

/// `LINKTYPE_LINUX_SLL`: packet type, device type, address length, address, protocol.
pub(super) fn version1(view: View<'_>) -> Parsed<'_> {
    let (header, rest) = view.header::<16>(Layer::Cooked)?;
    protocol(be16(header[2], header[3]), be16(header[14], header[15]), rest)
}

/// `LINKTYPE_LINUX_SLL2`: protocol, reserved, interface, device type, packet type, address length,
/// address.
pub(super) fn version2(view: View<'_>) -> Parsed<'_> {
    let (header, rest) = view.header::<20>(Layer::Cooked)?;
    protocol(be16(header[8], header[9]), be16(header[0], header[1]), rest)
}

fn protocol(device: u16, protocol: u16, view: View<'_>) -> Parsed<'_> {
    const LLC: u16 = 0x0004;
    match protocol {
        _ if device == NETLINK => Err(PacketClass::NotIp),
        LLC => ethernet::llc(view),
        // The other small numbers are Linux's names for frames without a type (ETH_P_802_3 and on).
        0..0x0600 => Err(PacketClass::NotIp),
        ether_type => ethernet::ether_type(ether_type, view),
    }
}
