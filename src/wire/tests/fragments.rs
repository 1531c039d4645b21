//! Fragments of IPv4 and IPv6, in the ways in which they come.

use super::super::{Decoder, PacketClass};
use super::samples::{ipv4, ipv6, tcp};
use super::{packet, payload};
use crate::packet::{LinkType, Packet};
use crate::time::Timestamp;

/// Bytes `start..end` of a segment as an IP packet; the last of them where `more` is not set.
type Cutter = fn(segment: &[u8], start: usize, end: usize, more: bool) -> Vec<u8>;

fn cut4(segment: &[u8], start: usize, end: usize, more: bool) -> Vec<u8> {
    let mut bytes = ipv4(6, &segment[start..end]);
    let field = u16::try_from(start / 8).unwrap() | if more { 0x2000 } else { 0 };
    bytes[6..8].copy_from_slice(&field.to_be_bytes());
    bytes
}

fn cut6(segment: &[u8], start: usize, end: usize, more: bool) -> Vec<u8> {
    let [high, low] = u16::try_from(start).unwrap().to_be_bytes();
    let head = [6, 0, high, low | u8::from(more), 0, 0, 0x12, 0x34];
    ipv6(44, &[&head, &segment[start..end]].concat())
}

const CUTTERS: [(&str, Cutter); 2] = [("IPv4", cut4), ("IPv6", cut6)];

fn text() -> Vec<u8> {
    (0..100).map(|i| b'a' + i % 26).collect()
}

/// Feeds packets of raw IP; the last answer, after the others were held.
fn feed(packets: &[Vec<u8>]) -> Result<(Vec<u8>, u32), PacketClass> {
    let mut decoder = Decoder::new();
    let (last, others) = packets.split_last().unwrap();
    for (number, bytes) in (1..).zip(others) {
        let class = payload(&mut decoder, &packet(LinkType::RAW, number, bytes)).unwrap_err();
        assert_eq!(class, PacketClass::FragmentHeld, "packet {number}");
    }
    payload(&mut decoder, &packet(LinkType::RAW, packets.len() as u64, last))
}

#[test]
fn fragments_come_in_any_order() {
    let segment = tcp(&text());
    for (version, cut) in CUTTERS {
        let parts = [
            cut(&segment, 0, 48, true),
            cut(&segment, 48, 96, true),
            cut(&segment, 96, segment.len(), false),
        ];
        for order in [[0, 1, 2], [0, 2, 1], [1, 0, 2], [1, 2, 0], [2, 0, 1], [2, 1, 0]] {
            let found = feed(&order.map(|i| parts[i].clone()));
            assert_eq!(found, Ok((text(), 0)), "{version} in the order {order:?}");
        }
    }
}

#[test]
fn the_first_copy_of_overlapping_bytes_wins() {
    let (first, second) = (tcp(&text()), tcp(&[b'Z'; 100]));
    for (version, cut) in CUTTERS {
        let overlapping = [
            cut(&first, 40, 64, true),
            cut(&first, 80, 104, true),
            cut(&second, 32, 120, true),
            cut(&first, 0, 32, true),
            cut(&first, 120, first.len(), false),
        ];
        let mut expected = text();
        for place in (32..120).filter(|place| !(40..64).contains(place) && !(80..104).contains(place)) {
            expected[place - 32] = b'Z';
        }
        assert_eq!(feed(&overlapping), Ok((expected, 0)), "{version}");
    }
}

#[test]
fn a_fragment_that_contradicts_the_others_is_dropped() {
    let segment = tcp(&text());
    for (version, cut) in CUTTERS {
        let end = cut(&segment, 96, segment.len(), false);
        for other in [cut(&segment, 96, segment.len() - 8, false), cut(&[0; 400], 320, 400, true)] {
            assert_eq!(feed(&[end.clone(), other]), Err(PacketClass::FragmentDropped), "{version}");
        }
    }
}

#[test]
fn a_datagram_cannot_exceed_what_ip_allows() {
    let mut bytes = cut4(&[0; 64], 0, 64, true);
    bytes[6..8].copy_from_slice(&0x3fff_u16.to_be_bytes());
    assert_eq!(feed(&[bytes]), Err(PacketClass::FragmentDropped));
}

#[test]
fn a_copy_of_a_fragment_is_a_duplicate_even_when_its_datagram_is_whole() {
    let segment = tcp(&text());
    let parts = [cut4(&segment, 0, 48, true), cut4(&segment, 48, segment.len(), false)];
    let mut decoder = Decoder::new();
    let mut classes = Vec::new();
    for (number, part) in (1..).zip([0, 0, 1, 1]) {
        classes.push(decoder.decode(&packet(LinkType::RAW, number, &parts[part])).class().name());
    }
    assert_eq!(classes, ["fragment-held", "duplicate", "used", "duplicate"]);
    assert_eq!(decoder.incomplete_fragments(), 0);
}

#[test]
fn fragments_are_given_up_by_packet_time() {
    let segment = tcp(&text());
    let mut decoder = Decoder::new();
    let mut at = |seconds, number, bytes: &[u8]| {
        let at = Timestamp::from_parts(seconds, 0);
        payload(&mut decoder, &Packet { at, ..packet(LinkType::RAW, number, bytes) })
    };
    let held = Err(PacketClass::FragmentHeld);
    assert_eq!(at(0, 1, &cut4(&segment, 0, 48, true)), held);
    assert_eq!(at(31, 2, &cut4(&segment, 48, segment.len(), false)), held, "the first one is forgotten");
    assert_eq!(at(61, 3, &cut4(&segment, 0, 48, true)), Ok((text(), 0)));
    assert_eq!(decoder.incomplete_fragments(), 1);
}

#[test]
fn a_fragment_cut_by_the_snaplen_ends_the_payload_there() {
    let segment = tcp(&text());
    let parts = [cut4(&segment, 0, 64, true), cut4(&segment, 64, segment.len(), false)];
    let mut decoder = Decoder::new();
    let cut = Packet { data: &parts[0][..20 + 50], ..packet(LinkType::RAW, 1, &parts[0]) };
    assert_eq!(payload(&mut decoder, &cut), Err(PacketClass::FragmentHeld));
    let found = payload(&mut decoder, &packet(LinkType::RAW, 2, &parts[1]));
    assert_eq!(found, Ok((text()[..18].to_vec(), 82)));
}

#[test]
fn fragments_inside_a_fragmented_tunnel_are_put_together() {
    let segment = tcp(&text());
    let inner = [cut6(&segment, 0, 64, true), cut6(&segment, 64, segment.len(), false)];
    let mut outer = Vec::new();
    for (id, packet) in inner.iter().enumerate() {
        for (start, end) in [(0, 48), (48, packet.len())] {
            let mut part = cut4(packet, start, end, start == 0);
            part[5] = u8::try_from(id).unwrap();
            part[9] = 41;
            outer.push(part);
        }
    }
    assert_eq!(feed(&outer), Ok((text(), 0)));
}

#[test]
fn a_flood_of_first_fragments_stays_within_bounds() {
    let mut decoder = Decoder::new();
    let segment = tcp(&text());
    let mut account = super::super::PacketAccount::default();
    for number in 1..=20_000_u64 {
        let mut bytes = cut4(&segment, 0, 48, true);
        bytes[12..16].copy_from_slice(&u32::try_from(number).unwrap().to_be_bytes());
        bytes[6..8].copy_from_slice(&0x3f00_u16.to_be_bytes());
        account.count(decoder.decode(&packet(LinkType::RAW, number, &bytes)).class());
    }
    let (datagrams, bytes) = decoder.waiting();
    assert!(datagrams <= 4096 && bytes <= 16 << 20, "{datagrams} datagrams, {bytes} bytes");
    account.settle(decoder.incomplete_fragments());
    assert_eq!(account.of(PacketClass::FragmentDropped), 20_000);
}
