//! What is not a segment, and why.

use super::super::{Decoder, PacketAccount};
use super::samples::{REQUEST, all, ethernet, ipv4, ipv6, tcp};
use super::{packet, payload};
use crate::packet::LinkType;

fn class_of(link: LinkType, bytes: &[u8]) -> &'static str {
    payload(&mut Decoder::new(), &packet(link, 1, bytes)).unwrap_err().name()
}

#[test]
fn every_refusal_has_its_class() {
    let segment = tcp(REQUEST);
    let on_ethernet = |ether_type, bytes: &[u8]| class_of(LinkType::ETHERNET, &ethernet(ether_type, bytes));
    let mut wrong_offset = segment.clone();
    wrong_offset[12] = 0x40;
    let mut beyond_the_end = tcp(&[]);
    beyond_the_end[12] = 0xf0;
    let mut version5 = ipv4(6, &segment);
    version5[0] = 0x55;
    let mut short_total = ipv4(6, &segment);
    short_total[2..4].copy_from_slice(&[0, 19]);
    let cases = [
        ("unknown-link-type", class_of(LinkType(147), &[0; 60])),
        ("truncated-ethernet", class_of(LinkType::ETHERNET, &[0; 13])),
        ("truncated-ethernet", on_ethernet(0x8100, &[0, 5, 8])),
        ("not-ip", on_ethernet(0x0806, &[0; 28])),
        ("not-ip", on_ethernet(0x88cc, &[0; 40])),
        ("not-ip", on_ethernet(38, &[0x42, 0x42, 3, 0, 0, 0, 0, 0])),
        ("truncated-ipv4", on_ethernet(0x0800, &ipv4(6, &segment)[..19])),
        ("malformed-ipv4", on_ethernet(0x0800, &version5)),
        ("malformed-ipv4", on_ethernet(0x0800, &short_total)),
        ("malformed-ipv6", on_ethernet(0x86dd, &ipv4(6, &[0; 40]))),
        ("malformed-ip", class_of(LinkType::RAW, &[0; 40])),
        ("truncated-ip-extension", on_ethernet(0x86dd, &ipv6(0, &[6, 9, 0, 0, 0, 0, 0, 0]))),
        ("truncated-tcp", on_ethernet(0x0800, &ipv4(6, &segment[..19]))),
        ("malformed-tcp", on_ethernet(0x0800, &ipv4(6, &wrong_offset))),
        ("malformed-tcp", on_ethernet(0x0800, &ipv4(6, &beyond_the_end))),
        ("not-tcp", on_ethernet(0x0800, &ipv4(1, &[8, 0, 0, 0]))),
        ("not-tcp", on_ethernet(0x0800, &ipv4(17, &[0, 53, 0, 53, 0, 8, 0, 0]))),
        ("not-tcp", on_ethernet(0x86dd, &ipv6(59, &[]))),
        // VXLAN's port without its flag.
        (
            "not-tcp",
            on_ethernet(0x0800, &ipv4(17, &[0, 53, 0x12, 0xb5, 0, 16, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0])),
        ),
        ("not-ip", class_of(LinkType::IEEE802_11, &[&[0x80, 0][..], &[0; 30]].concat())),
        ("encrypted", class_of(LinkType::IEEE802_11, &[&[0x08, 0x41][..], &[0; 30]].concat())),
        ("compressed", class_of(LinkType::PPP, &[0, 0xfd, 1, 2, 3])),
        ("encrypted", on_ethernet(0x88e5, &[0x0c; 40])),
    ];
    for (number, (expected, found)) in cases.into_iter().enumerate() {
        assert_eq!(expected, found, "case {number}");
    }
}

#[test]
fn nesting_has_an_end() {
    let nested = |depth| (0..depth).fold(ipv4(6, &tcp(REQUEST)), |inner, _| ipv4(4, &inner));
    let decode = |bytes: &[u8]| payload(&mut Decoder::new(), &packet(LinkType::RAW, 1, bytes));
    assert!(decode(&nested(8)).is_ok());
    assert_eq!(decode(&nested(100)).unwrap_err().name(), "nested-too-deep");
    let headers = [44, 0, 0, 0, 0, 0, 0, 0].repeat(8000);
    assert_eq!(decode(&ipv6(44, &headers)).unwrap_err().name(), "nested-too-deep");
}

#[test]
fn a_frame_of_several_packets_is_named() {
    let msdu = [2, 0, 0, 0, 0, 1, 2, 0, 0, 0, 0, 2, 0, 2, 0xaa, 0xaa];
    let frame = [&[0x88, 0x01][..], &[0; 22], &[0x80, 0], &msdu, &msdu].concat();
    assert_eq!(class_of(LinkType::IEEE802_11, &frame), "aggregated");
}

#[test]
fn every_packet_is_counted_once() {
    let mut decoder = Decoder::new();
    let mut account = PacketAccount::default();
    let mut packets = 0;
    for sample in all() {
        for len in 0..=sample.bytes.len() {
            packets += 1;
            account.count(decoder.decode(&packet(sample.link, packets, &sample.bytes[..len])).class());
        }
    }
    account.settle(decoder.incomplete_fragments());
    assert_eq!(account.total(), packets);
}
