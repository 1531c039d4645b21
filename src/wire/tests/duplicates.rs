//! Copies of a packet, and what only looks like one.

use super::super::{Decoder, PacketClass};
use super::samples::{REQUEST, ethernet, ipv4, ipv6, tcp};
use super::{packet, payload};
use crate::packet::LinkType;

/// Whether the second packet is taken for a copy of the first when it comes `later` packets and
/// milliseconds after it.
fn is_copy(first: &[u8], second: &[u8], later: u64) -> bool {
    let mut decoder = Decoder::new();
    assert!(payload(&mut decoder, &packet(LinkType::ETHERNET, 1, first)).is_ok());
    let second = payload(&mut decoder, &packet(LinkType::ETHERNET, 1 + later, second));
    second == Err(PacketClass::Duplicate)
}

#[test]
fn a_copy_may_differ_in_what_a_bridge_or_router_changes() {
    let ip = ipv4(6, &tcp(REQUEST));
    let first = ethernet(0x0800, &ip);
    let tagged = ethernet(0x8100, &[&[0, 5, 8, 0], &ip[..]].concat());
    let mut routed = first.clone();
    routed[..6].fill(9);
    routed[14 + 8] -= 1;
    routed[14 + 10] ^= 0xff;
    let padded = [&first[..], &[0; 4]].concat();
    for (name, copy) in [("same", &first), ("tagged", &tagged), ("routed", &routed), ("padded", &padded)] {
        assert!(is_copy(&first, copy, 1), "{name}");
    }
    let six = ethernet(0x86dd, &ipv6(6, &tcp(REQUEST)));
    assert!(is_copy(&six, &six, 1));
}

#[test]
fn a_retransmission_is_no_copy() {
    let first = ethernet(0x0800, &ipv4(6, &tcp(REQUEST)));
    let changed = |at: usize| {
        let mut bytes = first.clone();
        bytes[at] ^= 1;
        bytes
    };
    let tcp_at = 14 + 20;
    let cases = [
        ("identification", changed(14 + 5)),
        ("source", changed(14 + 15)),
        ("sequence", changed(tcp_at + 7)),
        ("acknowledgement", changed(tcp_at + 11)),
        ("flags", changed(tcp_at + 13)),
        ("window", changed(tcp_at + 15)),
        ("checksum", changed(tcp_at + 17)),
        ("timestamp option", changed(tcp_at + 27)),
        ("first byte of the payload", changed(tcp_at + 32)),
        ("last byte of the payload", changed(first.len() - 1)),
        ("length", ethernet(0x0800, &ipv4(6, &tcp(&REQUEST[..9])))),
    ];
    for (name, other) in cases {
        assert!(!is_copy(&first, &other, 1), "{name}");
    }
    assert!(!is_copy(&first, &first, 200), "200 ms later");
}

#[test]
fn captures_without_times_still_tell_copies_by_their_distance() {
    let bytes = ethernet(0x0800, &ipv4(6, &tcp(REQUEST)));
    let mut decoder = Decoder::new();
    let mut at_zero = |number| {
        let at = crate::time::Timestamp::default();
        payload(&mut decoder, &crate::packet::Packet { at, ..packet(LinkType::ETHERNET, number, &bytes) })
    };
    assert!(at_zero(1).is_ok());
    assert_eq!(at_zero(2), Err(PacketClass::Duplicate));
    assert!(at_zero(1000).is_ok());
}
