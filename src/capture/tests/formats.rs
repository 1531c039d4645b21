//! Files byte for byte as the formats' descriptions have them.

use super::super::{CaptureError, Compression, Format, LooksLike};
use super::{Owned, read};
use crate::time::Timestamp;

fn bytes(parts: &[&[u8]]) -> Vec<u8> {
    parts.concat()
}

fn packet(at: i64, link: u16, original_len: u32, data: &[u8]) -> Owned {
    Owned { at, link, interface: 0, original_len, data: data.to_vec() }
}

/// One packet, `abc` of 5 bytes, at second 1 and tick 2, in every form of pcap.
#[test]
fn pcap_is_read_in_both_byte_orders_and_all_units() {
    let little: &[&[u8]] = &[
        &[2, 0, 4, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 4, 0, 1, 0, 0, 0],
        &[1, 0, 0, 0, 2, 0, 0, 0, 3, 0, 0, 0, 5, 0, 0, 0],
        b"abc",
    ];
    let big: &[&[u8]] = &[
        &[0, 2, 0, 4, 0, 0, 0, 0, 0, 0, 0, 0, 0, 4, 0, 0, 0, 0, 0, 1],
        &[0, 0, 0, 1, 0, 0, 0, 2, 0, 0, 0, 3, 0, 0, 0, 5],
        b"abc",
    ];
    for (magic, rest, nanos, format) in [
        ([0xd4, 0xc3, 0xb2, 0xa1], little, 1_000_002_000, Format::Pcap),
        ([0xa1, 0xb2, 0xc3, 0xd4], big, 1_000_002_000, Format::Pcap),
        ([0x4d, 0x3c, 0xb2, 0xa1], little, 1_000_000_002, Format::PcapNanos),
        ([0xa1, 0xb2, 0x3c, 0x4d], big, 1_000_000_002, Format::PcapNanos),
    ] {
        let file = bytes(&[&magic, &rest.concat()]);
        let (packets, stats) = read(&file[..]);
        let stats = stats.unwrap();
        assert_eq!(packets, [packet(nanos, 1, 5, b"abc")], "{magic:02x?}");
        assert_eq!((stats.format, stats.packets, stats.bytes), (format, 1, 3));
        assert_eq!(stats.compression, Compression::None);
        assert_eq!(stats.first.map(Timestamp::as_nanos), Some(nanos));
        assert_eq!(stats.truncated, None);
    }
}

#[test]
fn modified_pcap_has_a_longer_packet_header_that_names_the_interface() {
    let file = bytes(&[
        &[0x34, 0xcd, 0xb2, 0xa1, 2, 0, 4, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 4, 0, 1, 0, 0, 0],
        &[1, 0, 0, 0, 2, 0, 0, 0, 3, 0, 0, 0, 3, 0, 0, 0, 7, 0, 0, 0, 8, 0, 0, 0],
        b"abc",
        &[1, 0, 0, 0, 3, 0, 0, 0, 1, 0, 0, 0, 1, 0, 0, 0, 9, 0, 0, 0, 8, 0, 0, 0],
        b"d",
    ]);
    let (packets, stats) = read(&file[..]);
    assert_eq!(stats.unwrap().format, Format::PcapModified);
    assert_eq!(
        packets,
        [
            Owned { interface: 7, ..packet(1_000_002_000, 1, 3, b"abc") },
            Owned { interface: 9, ..packet(1_000_003_000, 1, 1, b"d") },
        ]
    );
}

#[test]
fn the_link_type_is_the_lower_half_of_its_field() {
    let file = bytes(&[
        // A frame check sequence of four bytes: 0x5 in the highest bits.
        &[0xa1, 0xb2, 0xc3, 0xd4, 0, 2, 0, 4, 0, 0, 0, 0, 0, 0, 0, 0, 0, 4, 0, 0, 0x54, 0, 1, 20],
        &[0, 0, 0, 1, 0, 0, 0, 0, 0, 0, 0, 1, 0, 0, 0, 1, 9],
    ]);
    assert_eq!(read(&file[..]).0, [packet(1_000_000_000, 276, 1, &[9])]);
}

#[test]
fn files_before_version_2_3_have_their_lengths_swapped() {
    for (minor, captured_first) in [(2_u8, false), (3, false), (3, true), (4, true)] {
        let lengths: [u8; 8] =
            if captured_first { [0, 0, 0, 2, 0, 0, 0, 5] } else { [0, 0, 0, 5, 0, 0, 0, 2] };
        let file = bytes(&[
            &[0xa1, 0xb2, 0xc3, 0xd4, 0, 2, 0, minor, 0, 0, 0, 0, 0, 0, 0, 0, 0, 4, 0, 0, 0, 0, 0, 1],
            &[0, 0, 0, 1, 0, 0, 0, 0],
            &lengths,
            &[8, 9],
        ]);
        let (packets, stats) = read(&file[..]);
        assert_eq!(packets, [packet(1_000_000_000, 1, 5, &[8, 9])], "2.{minor}");
        assert_eq!(stats.unwrap().truncated, None);
    }
}

const SECTION_BE: [u8; 28] = [
    0x0a, 0x0d, 0x0d, 0x0a, 0, 0, 0, 28, 0x1a, 0x2b, 0x3c, 0x4d, 0, 1, 0, 0, 255, 255, 255, 255, 255, 255,
    255, 255, 0, 0, 0, 28,
];
const SECTION_LE: [u8; 28] = [
    0x0a, 0x0d, 0x0d, 0x0a, 28, 0, 0, 0, 0x4d, 0x3c, 0x2b, 0x1a, 1, 0, 0, 0, 255, 255, 255, 255, 255, 255,
    255, 255, 28, 0, 0, 0,
];
/// Ethernet, snaplen 4, microseconds.
const INTERFACE_BE: [u8; 20] = [0, 0, 0, 1, 0, 0, 0, 20, 0, 1, 0, 0, 0, 0, 0, 4, 0, 0, 0, 20];
/// Raw IP, no snaplen, nanoseconds, 100 seconds added.
const INTERFACE_LE: [u8; 44] = [
    1, 0, 0, 0, 44, 0, 0, 0, 101, 0, 0, 0, 0, 0, 0, 0, 9, 0, 1, 0, 9, 0, 0, 0, 14, 0, 8, 0, 100, 0, 0, 0, 0,
    0, 0, 0, 0, 0, 0, 0, 44, 0, 0, 0,
];
/// Interface 0, tick 2^32 + 5, three bytes of six, and a comment.
const ENHANCED_BE: [u8; 48] = [
    0, 0, 0, 6, 0, 0, 0, 48, 0, 0, 0, 0, 0, 0, 0, 1, 0, 0, 0, 5, 0, 0, 0, 3, 0, 0, 0, 6, b'a', b'b', b'c', 0,
    0, 1, 0, 2, b'h', b'i', 0, 0, 0, 0, 0, 0, 0, 0, 0, 48,
];
/// Interface 1, tick 7, one byte.
const ENHANCED_LE: [u8; 36] = [
    6, 0, 0, 0, 36, 0, 0, 0, 1, 0, 0, 0, 0, 0, 0, 0, 7, 0, 0, 0, 1, 0, 0, 0, 1, 0, 0, 0, b'z', 0, 0, 0, 36,
    0, 0, 0,
];
/// Six bytes on the wire, of which the snaplen leaves four.
const SIMPLE_BE: [u8; 20] = [0, 0, 0, 3, 0, 0, 0, 20, 0, 0, 0, 6, 1, 2, 3, 4, 0, 0, 0, 20];
/// The packet block of old: interface 0, 3 drops, tick 9.
const OBSOLETE_BE: [u8; 36] = [
    0, 0, 0, 2, 0, 0, 0, 36, 0, 0, 0, 3, 0, 0, 0, 0, 0, 0, 0, 9, 0, 0, 0, 2, 0, 0, 0, 2, b'o', b'k', 0, 0, 0,
    0, 0, 36,
];

fn other_block_be(kind: u32) -> Vec<u8> {
    bytes(&[&kind.to_be_bytes(), &[0, 0, 0, 16, 1, 2, 3, 4, 0, 0, 0, 16]])
}

#[test]
fn pcapng_sections_have_their_own_byte_order_interfaces_and_clocks() {
    let file = bytes(&[
        &SECTION_BE,
        &INTERFACE_BE,
        &ENHANCED_BE,
        &SIMPLE_BE,
        &OBSOLETE_BE,
        &SECTION_LE,
        &INTERFACE_LE,
        &INTERFACE_LE,
        &ENHANCED_LE,
    ]);
    let (packets, stats) = read(&file[..]);
    assert_eq!(stats.unwrap().format, Format::Pcapng);
    assert_eq!(
        packets,
        [
            packet(((1 << 32) + 5) * 1000, 1, 6, b"abc"),
            // It tells no time of its own.
            packet(((1 << 32) + 5) * 1000, 1, 6, &[1, 2, 3, 4]),
            packet(9000, 1, 2, b"ok"),
            // The second of this section, behind the one of the section before.
            Owned { interface: 2, ..packet(100_000_000_007, 101, 1, b"z") },
        ]
    );
}

#[test]
fn blocks_without_packets_are_passed_over_and_counted() {
    let file = bytes(&[
        &SECTION_BE,
        &other_block_be(10),
        &INTERFACE_BE,
        &other_block_be(4),
        &other_block_be(5),
        &other_block_be(0xbad),
        &other_block_be(0x8000_0001),
        &OBSOLETE_BE,
        &other_block_be(5),
    ]);
    let (packets, stats) = read(&file[..]);
    assert_eq!(packets.len(), 1);
    let skipped = stats.unwrap().skipped_blocks;
    assert_eq!((skipped.secrets, skipped.names, skipped.statistics, skipped.other), (1, 1, 2, 2));
}

#[test]
fn a_capture_without_packets_is_one() {
    let pcap = [0xa1, 0xb2, 0xc3, 0xd4, 0, 2, 0, 4, 0, 0, 0, 0, 0, 0, 0, 0, 0, 4, 0, 0, 0, 0, 0, 1];
    for file in [&pcap[..], &SECTION_BE, &bytes(&[&SECTION_BE, &INTERFACE_BE])] {
        let (packets, stats) = read(file);
        let stats = stats.unwrap();
        assert_eq!((packets.len(), stats.first, stats.truncated), (0, None, None));
    }
}

#[test]
fn what_is_no_capture_is_named() {
    let erf = {
        let record =
            |second| bytes(&[&[0, 0, 0, 0], &u32::to_le_bytes(second), &[2, 4, 0, 20, 0, 0, 0, 4], b"abcd"]);
        [record(1_700_000_000), record(1_700_000_001)].concat()
    };
    let tar = bytes(&[&[b'x'; 100], &[0; 157], b"ustar\x0000", &[0; 200]]);
    let cases: &[(&[u8], LooksLike)] = &[
        (br#"{"log": {"version": "1.2", "creator": {}, "entries": []}}"#, LooksLike::Har),
        (b"[1, 2]", LooksLike::Json),
        (b"<!DOCTYPE html>\n<title>Sign in</title>", LooksLike::Html),
        (b"12:00:01.5 IP 10.0.0.1.80 > 10.0.0.2.4000: Flags [S]\n", LooksLike::Text),
        ("127.0.0.1 - - \"GET /é HTTP/1.1\" 200\n".as_bytes(), LooksLike::Text),
        (b"a", LooksLike::Text),
        (&erf, LooksLike::Erf),
        (b"snoop\0\0\0\0\0\0\x02", LooksLike::Snoop),
        (b"PK\x03\x04....", LooksLike::Packed("zip")),
        (&tar, LooksLike::Packed("tar")),
        (&[0x7f, b'E', b'L', b'F', 2, 1, 1, 0], LooksLike::Unknown([0x7f, b'E', b'L', b'F'])),
        (&[0; 64], LooksLike::Unknown([0; 4])),
    ];
    for (file, expected) in cases {
        match read(*file).1 {
            Err(CaptureError::NotACapture { looks_like, .. }) => assert_eq!(looks_like, *expected),
            other => panic!("{expected:?}: {other:?}"),
        }
    }
}

#[test]
fn messages_say_what_where_and_what_to_do() {
    let message = |file: &[u8]| read(file).1.unwrap_err().to_string();
    assert_eq!(
        message(b""),
        "test: the file is empty (0 bytes); the capturing program wrote nothing, or had not flushed yet"
    );
    assert_eq!(
        message(&SECTION_BE[..10]),
        "test: pcapng file cut off at byte 10, inside its header, so that it holds no packets; capture \
         again, or copy the file again"
    );
    assert_eq!(
        message(b"{}"),
        "test: not a capture: it looks like JSON; give the file that `tcpdump -w` or Wireshark wrote"
    );
    let mut wrong_interface = bytes(&[&SECTION_BE, &INTERFACE_BE, &OBSOLETE_BE, &ENHANCED_BE]);
    wrong_interface[84 + 11] = 3;
    assert_eq!(
        message(&wrong_interface),
        "test: damaged at byte 84, at packet 2: a packet of interface 3, where the section describes 1; the \
         1 packets before it were read, those after it cannot be found"
    );
}
