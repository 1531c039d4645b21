//! What holds for any bytes, and for any valid packet by the account of another decoder.

use etherparse::{LaxSlicedPacket, PacketBuilder, TransportSlice};
use proptest::prelude::*;

use super::super::{Decoded, Decoder};
use super::samples::{REQUEST, all};
use super::{packet, payload};
use crate::packet::{LinkType, Packet};

#[test]
fn a_cut_packet_never_gives_more_than_was_captured() {
    for sample in all() {
        for len in 0..sample.bytes.len() {
            // With the original length stated, and by a tool that did not state it.
            for original in [sample.bytes.len(), len] {
                let cut = Packet {
                    data: &sample.bytes[..len],
                    original_len: u32::try_from(original).unwrap(),
                    ..packet(sample.link, 1, &sample.bytes)
                };
                let Ok((found, missing)) = payload(&mut Decoder::new(), &cut) else { continue };
                assert!(REQUEST.starts_with(&found), "{} at {len}", sample.name);
                // Only a packet that does not state its length can hide that it was cut.
                let offloaded = sample.name.contains("length 0") || sample.name.contains("jumbo");
                if !(offloaded && original == len) {
                    assert_eq!(found.len() + missing as usize, REQUEST.len(), "{} at {len}", sample.name);
                }
            }
        }
    }
}

/// Any header between link and payload may lie: the payload is still a part of the packet.
fn assert_borrows_from(packet: &Packet<'_>) {
    let mut decoder = Decoder::new();
    if let Decoded::Segment(segment) = decoder.decode(packet) {
        let (whole, part) = (packet.data.as_ptr_range(), segment.payload.as_ptr_range());
        assert!(segment.payload.is_empty() || (whole.start <= part.start && part.end <= whole.end));
    }
}

/// A valid packet and where its link types lead.
#[derive(Clone, Debug)]
struct Built {
    vlans: u8,
    v6: bool,
    udp: bool,
    payload: Vec<u8>,
    padding: usize,
    seq: u32,
    flags: u8,
    window: u16,
}

impl Built {
    fn bytes(&self) -> Vec<u8> {
        let link = PacketBuilder::ethernet2([1; 6], [2; 6]);
        let vlan = |id| etherparse::VlanId::try_new(id).unwrap();
        let addresses4 = ([10, 0, 0, 1], [10, 0, 0, 2], 64);
        let addresses6 = ([1; 16], [2; 16], 64);
        let ip = match (self.vlans, self.v6) {
            (0, false) => link.ipv4(addresses4.0, addresses4.1, addresses4.2),
            (0, true) => link.ipv6(addresses6.0, addresses6.1, addresses6.2),
            (1, false) => link.single_vlan(vlan(5)).ipv4(addresses4.0, addresses4.1, addresses4.2),
            (1, true) => link.single_vlan(vlan(5)).ipv6(addresses6.0, addresses6.1, addresses6.2),
            (_, false) => link.double_vlan(vlan(5), vlan(6)).ipv4(addresses4.0, addresses4.1, addresses4.2),
            (_, true) => link.double_vlan(vlan(5), vlan(6)).ipv6(addresses6.0, addresses6.1, addresses6.2),
        };
        let mut bytes = Vec::new();
        if self.udp {
            ip.udp(1000, 2000).write(&mut bytes, &self.payload).unwrap();
        } else {
            let mut header = etherparse::TcpHeader::new(1000, 80, self.seq, self.window);
            header.fin = self.flags & 1 != 0;
            header.syn = self.flags & 2 != 0;
            header.ack = self.flags & 0x10 != 0;
            ip.tcp_header(header).write(&mut bytes, &self.payload).unwrap();
        }
        bytes.resize(bytes.len() + self.padding, 0xee);
        bytes
    }
}

fn built() -> impl Strategy<Value = Built> {
    let payload = proptest::collection::vec(any::<u8>(), 0..200);
    let head = (0..3_u8, any::<bool>(), proptest::bool::weighted(0.2));
    (head, payload, 0..20_usize, any::<u32>(), any::<u8>(), any::<u16>()).prop_map(
        |((vlans, v6, udp), payload, padding, seq, flags, window)| Built {
            vlans,
            v6,
            udp,
            payload,
            padding,
            seq,
            flags: flags & 0x13,
            window,
        },
    )
}

proptest! {
    #[test]
    fn valid_packets_read_as_etherparse_reads_them(built in built(), keep in 0..150_usize) {
        let bytes = built.bytes();
        let kept = (bytes.len() * keep / 100).min(bytes.len());
        let cut = Packet { data: &bytes[..kept], ..packet(LinkType::ETHERNET, 1, &bytes) };
        let oracle = LaxSlicedPacket::from_ethernet(cut.data).ok().and_then(|sliced| sliced.transport);
        let mut decoder = Decoder::new();
        match (oracle, decoder.decode(&cut)) {
            (Some(TransportSlice::Tcp(expected)), Decoded::Segment(found)) => {
                prop_assert_eq!(found.payload, expected.payload());
                prop_assert_eq!(found.payload.len() + found.cut as usize, built.payload.len());
                prop_assert_eq!(found.seq.0, expected.sequence_number());
                prop_assert_eq!(found.ack.0, expected.acknowledgment_number());
                prop_assert_eq!(found.window, expected.window_size());
                prop_assert_eq!(found.flags.0, built.flags);
                prop_assert_eq!(found.source.port(), expected.source_port());
                prop_assert_eq!(found.destination.port(), expected.destination_port());
            }
            (Some(TransportSlice::Udp(_)), Decoded::Other(class)) => prop_assert_eq!(class.name(), "not-tcp"),
            (None, Decoded::Other(class)) => prop_assert!(class.name().starts_with("truncated"), "{}", class),
            (expected, found) => prop_assert!(false, "{:?} and {:?}", expected, found),
        }
    }

    #[test]
    fn random_bytes_on_any_link_do_no_harm(
        link in proptest::sample::select(vec![0, 1, 9, 12, 14, 50, 51, 101, 105, 108, 113, 127, 228, 229, 239, 276, 300]),
        bytes in proptest::collection::vec(any::<u8>(), 0..200),
        original_len in any::<u32>(),
    ) {
        assert_borrows_from(&Packet { original_len, ..packet(LinkType(link), 1, &bytes) });
    }

    #[test]
    fn damaged_packets_do_no_harm(
        choice in any::<proptest::sample::Index>(),
        damage in proptest::collection::vec((any::<proptest::sample::Index>(), any::<u8>()), 1..6),
        original_len in any::<u32>(),
    ) {
        let samples = all();
        let sample = choice.get(&samples);
        let mut bytes = sample.bytes.clone();
        for (place, value) in damage {
            let place = place.index(bytes.len());
            bytes[place] = value;
        }
        assert_borrows_from(&packet(sample.link, 1, &bytes));
        assert_borrows_from(&Packet { original_len, ..packet(sample.link, 1, &bytes) });
    }
}
