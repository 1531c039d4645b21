//! What a capture hands over: bytes, when, and on what kind of link.

use crate::time::Timestamp;

/// The link layer of a packet: a LINKTYPE value of the registry at
/// <https://www.tcpdump.org/linktypes.html>, as pcap and pcapng files state it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct LinkType(pub u16);

impl LinkType {
    /// BSD loopback: a 4-byte family in the byte order of the capturing machine.
    pub const NULL: Self = Self(0);
    /// Ethernet (IEEE 802.3).
    pub const ETHERNET: Self = Self(1);
    /// PPP, with or without HDLC framing.
    pub const PPP: Self = Self(9);
    /// PPP in HDLC-like framing, or Cisco HDLC.
    pub const PPP_HDLC: Self = Self(50);
    /// PPPoE session packets, without the Ethernet header.
    pub const PPP_ETHER: Self = Self(51);
    /// Raw IP, version from the first nibble.
    pub const RAW: Self = Self(101);
    /// Raw IP as some BSDs number it in files.
    pub const RAW_BSD: Self = Self(12);
    /// Raw IP as OpenBSD numbers it.
    pub const RAW_OPENBSD: Self = Self(14);
    /// IEEE 802.11 without a radio header.
    pub const IEEE802_11: Self = Self(105);
    /// OpenBSD loopback: a 4-byte family in network byte order.
    pub const LOOP: Self = Self(108);
    /// Linux cooked capture, version 1.
    pub const LINUX_SLL: Self = Self(113);
    /// IEEE 802.11 behind a radiotap header.
    pub const IEEE802_11_RADIOTAP: Self = Self(127);
    /// Raw IPv4.
    pub const IPV4: Self = Self(228);
    /// Raw IPv6.
    pub const IPV6: Self = Self(229);
    /// Linux netfilter log.
    pub const NFLOG: Self = Self(239);
    /// Linux cooked capture, version 2 (what `tcpdump -i any` writes).
    pub const LINUX_SLL2: Self = Self(276);
}

/// One captured packet. The bytes are borrowed from the buffer that they were read into.
#[derive(Clone, Copy, Debug)]
pub struct Packet<'b> {
    /// When the capture saw it.
    pub at: Timestamp,
    /// How to read the first bytes.
    pub link: LinkType,
    /// Its place in the capture (all files together), counted from 1 as Wireshark does.
    pub number: u64,
    /// The interface within the capture, for telling copies of a packet apart (0 where the file
    /// has no interfaces).
    pub interface: u32,
    /// The length on the wire, in bytes; more than `data` holds where the snaplen cut it.
    pub original_len: u32,
    /// The bytes that were captured.
    pub data: &'b [u8],
}
