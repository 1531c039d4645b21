//! One packet for each way in which a segment can be wrapped. tshark 4 finds the same segment in all of
//! them (told of the port 8472 and the control word) but four that it does not read: NULL with Linux's
//! number of IPv6, NFLOG of a big-endian machine, IPv6 with a payload length of 0 (offloaded
//! segmentation), and a jumbo payload that is small.

use std::net::SocketAddr;

use super::super::{Decoded, Decoder, Flags, SeqNumber};
use super::packet;
use crate::packet::LinkType;

pub(super) const REQUEST: &[u8] = b"GET /a HTTP/1.1\r\nHost: x\r\n\r\n";

pub(super) struct Sample {
    pub(super) name: &'static str,
    pub(super) link: LinkType,
    pub(super) bytes: Vec<u8>,
}

/// RFC 9293, section 3.1: ports 40000 and 80, sequence 1000, acknowledgement 2000, PSH and ACK, window
/// 512; with the timestamp option and two fillers (RFC 7323, appendix A).
pub(super) fn tcp(payload: &[u8]) -> Vec<u8> {
    let mut bytes = vec![0x9c, 0x40, 0, 80, 0, 0, 0x03, 0xe8, 0, 0, 0x07, 0xd0, 0x80, 0x18, 2, 0, 0, 0, 0, 0];
    bytes.extend([1, 1, 8, 10, 0, 0, 0, 1, 0, 0, 0, 2]);
    bytes.extend(payload);
    bytes
}

/// RFC 791, section 3.1: 192.0.2.1 to 198.51.100.2, identification 0x1234, checksum left out.
pub(super) fn ipv4(protocol: u8, payload: &[u8]) -> Vec<u8> {
    let [high, low] = u16::try_from(20 + payload.len()).unwrap().to_be_bytes();
    let head = [0x45, 0, high, low, 0x12, 0x34, 0x40, 0, 64, protocol, 0, 0, 192, 0, 2, 1, 198, 51, 100, 2];
    [&head, payload].concat()
}

/// RFC 8200, section 3: `2001:db8::1` to `2001:db8::2`.
pub(super) fn ipv6(next_header: u8, payload: &[u8]) -> Vec<u8> {
    let [high, low] = u16::try_from(payload.len()).unwrap().to_be_bytes();
    let mut bytes = vec![0x60, 0, 0, 0, high, low, next_header, 64];
    for last in [1, 2] {
        bytes.extend([0x20, 0x01, 0x0d, 0xb8, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, last]);
    }
    [&bytes, payload].concat()
}

/// IEEE 802.3, section 3.
pub(super) fn ethernet(ether_type: u16, payload: &[u8]) -> Vec<u8> {
    let mut bytes = vec![2, 0, 0, 0, 0, 1, 2, 0, 0, 0, 0, 2];
    bytes.extend(ether_type.to_be_bytes());
    [&bytes, payload].concat()
}

/// RFC 768.
fn udp(port: u16, payload: &[u8]) -> Vec<u8> {
    let mut bytes = vec![0xc0, 0];
    bytes.extend(port.to_be_bytes());
    bytes.extend(u16::try_from(8 + payload.len()).unwrap().to_be_bytes());
    bytes.extend([0, 0]);
    [&bytes, payload].concat()
}

fn behind(head: &[u8], payload: &[u8]) -> Vec<u8> {
    [head, payload].concat()
}

fn on_ethernet(name: &'static str, ether_type: u16, payload: &[u8]) -> Sample {
    Sample { name, link: LinkType::ETHERNET, bytes: ethernet(ether_type, payload) }
}

fn in_ipv4(name: &'static str, protocol: u8, payload: &[u8]) -> Sample {
    on_ethernet(name, 0x0800, &ipv4(protocol, payload))
}

/// All of them.
pub(super) fn all() -> Vec<Sample> {
    [tagged(), links(), wireless(), internet(), tunnels(), udp_tunnels()].into_iter().flatten().collect()
}

fn tagged() -> Vec<Sample> {
    let (v4, v6) = (ipv4(6, &tcp(REQUEST)), ipv6(6, &tcp(REQUEST)));
    let llc = behind(&[0xaa, 0xaa, 3, 0, 0, 0, 8, 0], &v4);
    let length = u16::try_from(llc.len()).unwrap();
    // RFC 3032, section 2.1: label, bottom of stack, time to live.
    let (outer, bottom) = ([0, 1, 0x00, 64], [0, 2, 0x01, 64]);
    vec![
        on_ethernet("IPv4", 0x0800, &v4),
        on_ethernet("IPv6", 0x86dd, &v6),
        on_ethernet("802.1Q", 0x8100, &behind(&[0, 5, 8, 0], &v4)),
        on_ethernet("802.1ad", 0x88a8, &behind(&[0, 5, 0x81, 0, 0, 6, 0x86, 0xdd], &v6)),
        on_ethernet("old QinQ", 0x9100, &behind(&[0, 5, 0x81, 0, 0, 6, 0x81, 0, 0, 7, 8, 0], &v4)),
        on_ethernet("LLC and SNAP (RFC 1042)", length, &llc),
        on_ethernet("LLC in a VLAN", 0x8100, &[&[0, 5], &length.to_be_bytes()[..], &llc].concat()),
        on_ethernet("802.1ah", 0x88e7, &behind(&[0, 0, 0, 9], &ethernet(0x0800, &v4))),
        on_ethernet("MPLS with IPv4", 0x8847, &[&outer[..], &bottom, &v4].concat()),
        on_ethernet("MPLS with IPv6", 0x8847, &[&outer[..], &bottom, &v6].concat()),
        on_ethernet(
            "pseudowire with control word (RFC 4448)",
            0x8847,
            &[&bottom[..], &[0, 0, 0, 7], &ethernet(0x0800, &v4)].concat(),
        ),
        on_ethernet(
            "pseudowire without control word",
            0x8847,
            &behind(&bottom, &behind(&[0; 12], &behind(&[8, 0], &v4))),
        ),
        on_ethernet("PPPoE (RFC 2516)", 0x8864, &pppoe(&behind(&[0, 0x21], &v4))),
    ]
}

fn pppoe(ppp: &[u8]) -> Vec<u8> {
    let [high, low] = u16::try_from(ppp.len()).unwrap().to_be_bytes();
    behind(&[0x11, 0, 0, 1, high, low], ppp)
}

/// The formats at <https://www.tcpdump.org/linktypes.html>.
fn links() -> Vec<Sample> {
    let (v4, v6) = (ipv4(6, &tcp(REQUEST)), ipv6(6, &tcp(REQUEST)));
    let sample = |name, link, head: &[u8], ip: &[u8]| Sample { name, link, bytes: behind(head, ip) };
    let cooked = [0, 0, 0, 1, 0, 6, 2, 0, 0, 0, 0, 1, 0, 0];
    let cooked2 = [0, 0, 0, 0, 0, 3, 0, 1, 0, 6, 2, 0, 0, 0, 0, 1, 0, 0];
    let mut samples = vec![
        sample("SLL", LinkType::LINUX_SLL, &behind(&cooked, &[8, 0]), &v4),
        sample("SLL with VLAN", LinkType::LINUX_SLL, &behind(&cooked, &[0x81, 0, 0, 5, 0x86, 0xdd]), &v6),
        sample("SLL2", LinkType::LINUX_SLL2, &behind(&[0x86, 0xdd], &cooked2), &v6),
        sample("raw", LinkType::RAW, &[], &v4),
        sample("raw, BSD", LinkType::RAW_BSD, &[], &v6),
        sample("raw, OpenBSD", LinkType::RAW_OPENBSD, &[], &v6),
        sample("IPv4", LinkType::IPV4, &[], &v4),
        sample("IPv6", LinkType::IPV6, &[], &v6),
        sample("NULL, little-endian", LinkType::NULL, &[2, 0, 0, 0], &v4),
        sample("NULL, big-endian", LinkType::NULL, &[0, 0, 0, 2], &v4),
        sample("LOOP", LinkType::LOOP, &[0, 0, 0, 24], &v6),
        sample("PPP", LinkType::PPP, &[0, 0x21], &v4),
        sample("PPP, compressed protocol", LinkType::PPP, &[0x21], &v4),
        sample("PPP in HDLC framing", LinkType::PPP, &[0xff, 3, 0, 0x57], &v6),
        sample("PPP_HDLC", LinkType::PPP_HDLC, &[0xff, 3, 0, 0x21], &v4),
        sample("Cisco HDLC", LinkType::PPP_HDLC, &[0x0f, 0, 8, 0], &v4),
        sample("PPPoE without Ethernet", LinkType::PPP_ETHER, &[], &pppoe(&behind(&[0, 0x57], &v6))),
    ];
    for family in [10, 24, 28, 30] {
        samples.push(sample("NULL with IPv6", LinkType::NULL, &[family, 0, 0, 0], &v6));
    }
    let [low, high] = u16::try_from(4 + v4.len()).unwrap().to_le_bytes();
    // A packet header, a prefix that needs padding, the payload.
    let nflog = [2, 0, 0, 0, 8, 0, 1, 0, 8, 0, 0, 0, 5, 0, 10, 0, 0, 0, 0, 0, low, high, 9, 0];
    samples.push(sample("NFLOG", LinkType::NFLOG, &nflog, &v4));
    let nflog = [2, 0, 0, 0, 0, 8, 0, 1, 8, 0, 0, 0, high, low, 0, 9];
    samples.push(sample("NFLOG of a big-endian machine", LinkType::NFLOG, &nflog, &v4));
    samples
}

/// IEEE 802.11, section 9.3.2.1, and <https://www.radiotap.org>.
fn wireless() -> Vec<Sample> {
    let llc = behind(&[0xaa, 0xaa, 3, 0, 0, 0, 8, 0], &ipv4(6, &tcp(REQUEST)));
    let frame = |control: [u8; 2], rest: &[u8]| [&control[..], &[0; 22], rest, &llc].concat();
    let bare = |name, bytes| Sample { name, link: LinkType::IEEE802_11, bytes };
    let tapped = |name, head: &[u8], bytes: &[u8]| {
        let bytes = behind(head, bytes);
        Sample { name, link: LinkType::IEEE802_11_RADIOTAP, bytes }
    };
    let data = frame([0x08, 0x02], &[]);
    let [high, low] = u16::try_from(llc.len()).unwrap().to_be_bytes();
    let msdu = [2, 0, 0, 0, 0, 1, 2, 0, 0, 0, 0, 2, high, low];
    vec![
        bare("802.11 data", data.clone()),
        bare("802.11 QoS data", frame([0x88, 0x01], &[0, 0])),
        bare("802.11 with four addresses", frame([0x88, 0x03], &[0; 8])),
        bare("802.11 with HT control", frame([0x88, 0x81], &[0; 6])),
        bare("802.11 A-MSDU of one", frame([0x88, 0x01], &behind(&[0x80, 0], &msdu))),
        tapped("radiotap", &[0, 0, 8, 0, 0, 0, 0, 0], &data),
        tapped(
            "radiotap with check sequence",
            &[0, 0, 9, 0, 2, 0, 0, 0, 0x10],
            &behind(&data, &[1, 2, 3, 4]),
        ),
        tapped(
            "radiotap with padding, a timestamp and two words",
            &[&[0, 0, 25, 0, 3, 0, 0, 0x80, 0, 0, 0, 0, 0, 0, 0, 0], &[0; 8][..], &[0x20]].concat(),
            &frame([0x88, 0x01], &[0, 0, 0, 0]),
        ),
    ]
}

fn internet() -> Vec<Sample> {
    let segment = tcp(REQUEST);
    let mut options = ipv4(6, &behind(&[1; 8], &segment));
    options[0] = 0x47;
    let mut offloaded = ipv4(6, &segment);
    offloaded[2..4].fill(0);
    let mut offloaded6 = ipv6(6, &segment);
    offloaded6[4..6].fill(0);
    // RFC 2675, section 2: the option's length counts what follows the IPv6 header.
    let len = u8::try_from(segment.len() + 8).unwrap();
    let mut jumbo = ipv6(0, &behind(&[6, 0, 0xc2, 4, 0, 0, 0, len], &segment));
    jumbo[4..6].fill(0);
    // Hop-by-hop and destination options filled by PadN, a routing header of type 0 without segments.
    let chain =
        [&[43, 0, 1, 4, 0, 0, 0, 0][..], &[60, 0, 0, 0, 0, 0, 0, 0], &[6, 1, 1, 12], &[0; 12]].concat();
    // RFC 4302, section 2: 12 fixed bytes and 12 of check value.
    let authentication = [&[6, 4, 0, 0][..], &[7; 20]].concat();
    // RFC 6946: a fragment header of a whole datagram.
    let atomic = [6, 0, 0, 0, 1, 2, 3, 4];
    vec![
        on_ethernet("IPv4 options", 0x0800, &options),
        on_ethernet("IPv4 total length 0", 0x0800, &offloaded),
        on_ethernet("IPv6 payload length 0", 0x86dd, &offloaded6),
        on_ethernet("IPv6 jumbo payload", 0x86dd, &behind(&jumbo, &[0; 6])),
        on_ethernet("IPv6 extension headers", 0x86dd, &ipv6(0, &behind(&chain, &segment))),
        on_ethernet("IPv6 authentication header", 0x86dd, &ipv6(51, &behind(&authentication, &segment))),
        in_ipv4("IPv4 authentication header", 51, &behind(&authentication, &segment)),
        on_ethernet("IPv6 atomic fragment", 0x86dd, &ipv6(44, &behind(&atomic, &segment))),
        on_ethernet("Ethernet padding", 0x0800, &behind(&ipv4(6, &segment), &[0xee; 9])),
    ]
}

fn tunnels() -> Vec<Sample> {
    let (v4, v6) = (ipv4(6, &tcp(REQUEST)), ipv6(6, &tcp(REQUEST)));
    let frame = ethernet(0x0800, &v4);
    let ppp = behind(&[0xff, 3, 0, 0x21], &v4);
    let ppp_len = u8::try_from(ppp.len()).unwrap();
    vec![
        in_ipv4("IPv4 in IPv4 (RFC 2003)", 4, &v4),
        in_ipv4("IPv6 in IPv4 (RFC 4213)", 41, &v6),
        on_ethernet("IPv4 in IPv6 (RFC 2473)", 0x86dd, &ipv6(4, &v4)),
        in_ipv4("GRE (RFC 2784)", 47, &behind(&[0, 0, 8, 0], &v4)),
        in_ipv4(
            "GRE with all fields (RFC 2890)",
            47,
            &behind(&[&[0xb0, 0, 0x86, 0xdd], &[0; 12][..]].concat(), &v6),
        ),
        in_ipv4("GRE with a frame", 47, &behind(&[0x20, 0, 0x65, 0x58, 0, 0, 1, 0], &frame)),
        in_ipv4("ERSPAN I", 47, &behind(&[0, 0, 0x88, 0xbe], &frame)),
        in_ipv4(
            "ERSPAN II",
            47,
            &behind(&[0x10, 0, 0x88, 0xbe, 0, 0, 0, 1, 0x10, 5, 0, 1, 0, 0, 0, 0], &frame),
        ),
        in_ipv4(
            "ERSPAN III",
            47,
            &behind(&[0x10, 0, 0x22, 0xeb, 0, 0, 0, 1, 0x20, 5, 0, 1, 0, 0, 0, 0, 0, 0, 0, 0], &frame),
        ),
        in_ipv4(
            "ERSPAN III with subheader",
            47,
            &behind(
                &[&[0x10, 0, 0x22, 0xeb, 0, 0, 0, 1, 0x20, 5, 0, 1, 0, 0, 0, 0, 0, 0, 0, 1], &[0; 8][..]]
                    .concat(),
                &frame,
            ),
        ),
        in_ipv4(
            "PPTP (RFC 2637)",
            47,
            &behind(&[0x30, 0x81, 0x88, 0x0b, 0, ppp_len, 0, 1, 0, 0, 0, 1, 0, 0, 0, 2], &ppp),
        ),
        in_ipv4("MPLS in IP (RFC 4023)", 137, &behind(&[0, 2, 1, 64], &v4)),
        in_ipv4("Ethernet in IP (RFC 3378)", 97, &behind(&[0x30, 0], &frame)),
        in_ipv4("three deep", 4, &ipv4(41, &ipv6(47, &behind(&[0, 0, 8, 0], &v4)))),
    ]
}

fn udp_tunnels() -> Vec<Sample> {
    let (v4, v6) = (ipv4(6, &tcp(REQUEST)), ipv6(6, &tcp(REQUEST)));
    let frame = ethernet(0x86dd, &v6);
    let over = |name, port, head: &[u8], inner: &[u8]| in_ipv4(name, 17, &udp(port, &behind(head, inner)));
    let [high, low] = u16::try_from(v4.len()).unwrap().to_be_bytes();
    let [extended_high, extended_low] = u16::try_from(v4.len() + 8).unwrap().to_be_bytes();
    vec![
        over("VXLAN (RFC 7348)", 4789, &[8, 0, 0, 0, 0, 0, 7, 0], &frame),
        over("VXLAN on the old port of Linux", 8472, &[8, 0, 0, 0, 0, 0, 7, 0], &frame),
        over("VXLAN-GPE with IPv4", 4790, &[0x0c, 0, 0, 1, 0, 0, 7, 0], &v4),
        over("VXLAN-GPE with a frame", 4790, &[0x0c, 0, 0, 3, 0, 0, 7, 0], &frame),
        over("GENEVE (RFC 8926)", 6081, &[0, 0, 0x65, 0x58, 0, 0, 7, 0], &frame),
        over("GENEVE with options", 6081, &[1, 0, 0x08, 0, 0, 0, 7, 0, 0, 1, 0, 0], &v4),
        over("GTP-U (TS 29.281)", 2152, &[0x30, 0xff, high, low, 0, 0, 0, 1], &v4),
        over(
            "GTP-U with an extension header",
            2152,
            &[0x34, 0xff, extended_high, extended_low, 0, 0, 0, 1, 0, 0, 0, 0x85, 1, 0, 9, 0],
            &v4,
        ),
        over("Teredo (RFC 4380)", 3544, &[], &v6),
        over("Teredo with origin", 3544, &[0, 0, 0x12, 0x34, 1, 2, 3, 4], &v6),
        over(
            "Teredo with authentication and origin",
            3544,
            &[&[0, 1, 0, 0][..], &[7; 8], &[0], &[0, 0, 0x12, 0x34, 1, 2, 3, 4]].concat(),
            &v6,
        ),
        over("GRE in UDP (RFC 8086)", 4754, &[0x20, 0, 0x08, 0, 0, 0, 0, 9], &v4),
        over("MPLS in UDP (RFC 7510)", 6635, &[0, 2, 1, 64], &v4),
    ]
}

#[test]
fn every_wrapping_leads_to_the_segment() {
    for Sample { name, link, bytes } in all() {
        let mut decoder = Decoder::new();
        let segment = match decoder.decode(&packet(link, 1, &bytes)) {
            Decoded::Segment(segment) => segment,
            Decoded::Other(class) => panic!("{name}: {class}"),
        };
        let (source, destination) = if segment.source.is_ipv4() {
            ("192.0.2.1:40000", "198.51.100.2:80")
        } else {
            ("[2001:db8::1]:40000", "[2001:db8::2]:80")
        };
        assert_eq!(segment.source, source.parse::<SocketAddr>().unwrap(), "{name}");
        assert_eq!(segment.destination, destination.parse::<SocketAddr>().unwrap(), "{name}");
        assert_eq!((segment.seq, segment.ack), (SeqNumber(1000), SeqNumber(2000)), "{name}");
        assert_eq!((segment.flags, segment.window), (Flags::PSH | Flags::ACK, 512), "{name}");
        assert_eq!((segment.payload, segment.cut, segment.packet), (REQUEST, 0, 1), "{name}");
    }
}

/// The destination of RFC 4380, section 4, as an example has it: `2001:0:4137:9e50:...`, reached by a relay
/// on the ports that the client happens to use.
#[test]
fn teredo_is_known_by_its_addresses_on_any_port() {
    let to_teredo = |change: &dyn Fn(&mut Vec<u8>)| {
        let mut inner = ipv6(6, &tcp(REQUEST));
        inner[24..32].copy_from_slice(&[0x20, 0x01, 0, 0, 0x41, 0x37, 0x9e, 0x50]);
        change(&mut inner);
        let bytes = ethernet(0x0800, &ipv4(17, &udp(32900, &inner)));
        matches!(Decoder::new().decode(&packet(LinkType::ETHERNET, 1, &bytes)), Decoded::Segment(_))
    };
    assert!(to_teredo(&|_| {}), "a Teredo address");
    assert!(!to_teredo(&|inner| inner[27] = 1), "another prefix");
    assert!(!to_teredo(&|inner| inner.push(0)), "more than the packet");
    assert!(!to_teredo(&|inner| inner[0] = 0x40), "another version");
}
