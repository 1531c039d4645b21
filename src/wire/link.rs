//! The first header of a packet, by the capture's link type.
//!
//! The formats are those of <https://www.tcpdump.org/linktypes.html>.

use super::account::{Layer, PacketClass, Undecodable};
use super::view::{Next, Parsed, View};
use super::{cooked, ethernet, ieee80211, ip, nflog, ppp};
use crate::packet::{LinkType, Packet};

/// Reads the link header of a packet.
#[inline]
pub(super) fn packet<'b>(packet: &Packet<'b>) -> Parsed<'b> {
    let on_wire = usize::try_from(packet.original_len).unwrap_or(usize::MAX);
    let view = View { bytes: packet.data, cut: on_wire.saturating_sub(packet.data.len()) };
    match packet.link {
        LinkType::ETHERNET => ethernet::frame(view),
        link => Ok(Next::Link(link, view)),
    }
}

/// Reads the header of a link other than Ethernet.
pub(super) fn other(link: LinkType, view: View<'_>) -> Parsed<'_> {
    match link {
        LinkType::LINUX_SLL => cooked::version1(view),
        LinkType::LINUX_SLL2 => cooked::version2(view),
        LinkType::RAW | LinkType::RAW_BSD | LinkType::RAW_OPENBSD => ip::by_version(view),
        LinkType::IPV4 => Ok(Next::Ipv4(view)),
        LinkType::IPV6 => Ok(Next::Ipv6(view)),
        LinkType::NULL | LinkType::LOOP => loopback(view),
        LinkType::PPP | LinkType::PPP_HDLC => ppp::frame(view),
        LinkType::PPP_ETHER => ppp::over_ethernet(view),
        LinkType::IEEE802_11 => ieee80211::frame(view, ieee80211::Padding::None),
        LinkType::IEEE802_11_RADIOTAP => ieee80211::radiotap(view),
        LinkType::NFLOG => nflog::packet(view),
        _ => Err(PacketClass::Undecodable(Undecodable::UnknownLink)),
    }
}

/// NULL and LOOP: an address family, in the byte order of a machine that the capture does not name.
/// The families are small numbers, so that the order shows.
fn loopback(view: View<'_>) -> Parsed<'_> {
    let (header, rest) = view.header::<4>(Layer::Loopback)?;
    let family = match u32::from_be_bytes(*header) {
        small @ 0..=0xffff => small,
        large => large.swap_bytes(),
    };
    match family {
        2 => Ok(Next::Ipv4(rest)),
        // Linux, Windows, NetBSD and OpenBSD, FreeBSD, Darwin.
        10 | 23 | 24 | 28 | 30 => Ok(Next::Ipv6(rest)),
        _ => Err(PacketClass::NotIp),
    }
}
