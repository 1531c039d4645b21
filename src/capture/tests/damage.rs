//! Files cut off and files changed: every packet before the damage, no panic, no endless reading.

use std::io::{self, Read};

use proptest::prelude::*;

use super::super::file::{BUFFER, CaptureFile};
use super::super::{ByteOrder, CaptureError, Compression, Corruption, Precision};
use super::round_trip::{compress, pcap, pcapng};
use super::{Owned, read, read_opened};

fn packets() -> Vec<Owned> {
    (0..6_u8)
        .map(|n| Owned {
            at: 1_700_000_000_000_000_000 + i64::from(n) * 1_000_000,
            link: 1,
            interface: u32::from(n % 2),
            original_len: u32::from(n) * 11,
            data: vec![n; usize::from(n) * 10],
        })
        .collect()
}

/// One file of each format and byte order, and where its packets end.
fn files() -> Vec<(Vec<u8>, Vec<usize>)> {
    let packets = packets();
    let mut files = Vec::new();
    for order in [ByteOrder::Little, ByteOrder::Big] {
        for write in [pcap, pcapng] {
            let ends = (0..=packets.len()).map(|n| write(&packets[..n], Precision::Nanos, order).len());
            files.push((write(&packets, Precision::Nanos, order), ends.collect()));
        }
    }
    files
}

#[test]
fn a_file_cut_anywhere_gives_the_packets_before_the_cut_and_says_where_it_was() {
    let whole_packets: Vec<_> = packets().into_iter().map(|p| Owned { interface: 0, ..p }).collect();
    for (file, ends) in files() {
        for cut in 0..file.len() {
            let (read, stats) = read(&file[..cut]);
            let Some(whole) = ends.iter().filter(|end| **end <= cut).count().checked_sub(1) else {
                match stats {
                    Err(CaptureError::Empty { .. }) => assert_eq!(cut, 0),
                    Err(CaptureError::TruncatedHeader { length, .. }) => assert_eq!(length, cut as u64),
                    other => panic!("cut at {cut}: {other:?}"),
                }
                continue;
            };
            let plain: Vec<_> = read.into_iter().map(|p| Owned { interface: 0, ..p }).collect();
            assert_eq!(plain, whole_packets[..whole], "cut at {cut}");
            let truncated = stats.unwrap().truncated;
            if ends.contains(&cut) {
                assert_eq!(truncated, None, "cut at {cut}, between packets");
            } else if let Some(truncation) = truncated {
                assert_eq!(truncation.packets_before, whole as u64);
                assert!(truncation.offset < cut as u64 && truncation.offset >= ends[whole] as u64);
            } else {
                // Between the two blocks that a pcapng interface's first packet brings.
                assert_eq!(file[..4], [0x0a, 0x0d, 0x0d, 0x0a], "cut at {cut}");
            }
        }
    }
}

#[test]
fn what_is_decompressed_ahead_is_what_is_decompressed_at_once_whatever_is_wrong_with_it() {
    let same = |at_once: (Vec<Owned>, Result<_, CaptureError>),
                ahead: (Vec<Owned>, Result<_, CaptureError>)| {
        assert_eq!(at_once.0, ahead.0);
        assert_eq!(format!("{:?}", at_once.1), format!("{:?}", ahead.1));
    };
    let file = pcapng(&packets(), Precision::Nanos, ByteOrder::Big);
    for compression in [Compression::None, Compression::Gzip, Compression::Zstd] {
        let compressed = compress(&file, compression, 50);
        for place in 0..=compressed.len() {
            let cut = compressed[..place].to_vec();
            let mut changed = compressed.clone();
            changed.iter_mut().skip(place).take(1).for_each(|byte| *byte ^= 0x55);
            for bytes in [cut.clone(), changed] {
                let ahead = CaptureFile::ahead("test".into(), io::Cursor::new(bytes.clone()), BUFFER);
                same(read(&bytes[..]), read_opened(ahead));
            }
            let failing = || Failing(io::Cursor::new(cut.clone()));
            same(read(failing()), read_opened(CaptureFile::ahead("test".into(), failing(), BUFFER)));
        }
    }
}

#[test]
fn a_compressed_file_cut_anywhere_is_truncated_and_not_an_error() {
    let packets: Vec<_> = packets().into_iter().map(|p| Owned { interface: 0, ..p }).collect();
    let file = pcap(&packets, Precision::Nanos, ByteOrder::Little);
    for compression in [Compression::Gzip, Compression::Zstd] {
        let compressed = compress(&file, compression, 50);
        let mut truncated = 0;
        for cut in 0..compressed.len() {
            let (read, stats) = read(&compressed[..cut]);
            assert!(packets.starts_with(&read));
            match stats {
                Ok(stats) if stats.truncated.is_some() => truncated += 1,
                // The trailer is missing, or all packets are there and the cut lies between members.
                Ok(_) => assert!(read.len() >= 3, "{compression} cut at {cut}"),
                Err(
                    CaptureError::Empty { .. }
                    | CaptureError::NotACapture { .. }
                    | CaptureError::TruncatedHeader { .. },
                ) => assert!(read.is_empty()),
                Err(other) => panic!("{compression} cut at {cut}: {other}"),
            }
        }
        assert!(truncated > 10);
    }
}

#[test]
fn a_damaged_compressed_stream_is_an_error_with_its_place() {
    let packets: Vec<_> = (0..20_000).map(|_| packets().pop().unwrap()).collect();
    let file = pcap(&packets, Precision::Nanos, ByteOrder::Little);
    for compression in [Compression::Gzip, Compression::Zstd] {
        let mut compressed = compress(&file, compression, 50);
        // Into the header of the second member.
        let second = compress(&file, compression, 100).len();
        let at = (second / 3..compressed.len() - 4)
            .find(|at| match compression {
                Compression::Gzip => compressed[*at..].starts_with(&[0x1f, 0x8b, 8, 0]),
                _ => compressed[*at..].starts_with(&[0x28, 0xb5, 0x2f, 0xfd]),
            })
            .unwrap();
        compressed[at + 2] ^= 0xff;
        let (read, error) = read(&compressed[..]);
        match error {
            Err(CaptureError::Decompress { compression: named, packet, .. }) => {
                assert_eq!(named, compression);
                assert_eq!(packet, read.len() as u64 + 1);
            }
            other => panic!("{compression}: {other:?}"),
        }
        assert!(read.len() > 9_000, "{compression}: {} packets before the damage", read.len());
    }
}

#[test]
fn a_length_that_cannot_be_is_an_error_behind_the_packets_before_it() {
    let packets = packets();
    let at = pcap(&packets[..3], Precision::Nanos, ByteOrder::Big).len();
    let mut file = pcap(&packets, Precision::Nanos, ByteOrder::Big);
    file[at + 8..at + 12].copy_from_slice(&300_000_u32.to_be_bytes());
    let (read_packets, error) = read(&file[..]);
    assert_eq!(read_packets.len(), 3);
    match error {
        Err(CaptureError::Corrupt { offset, packet, what, .. }) => {
            assert_eq!((offset, packet), (at as u64, 4));
            assert_eq!(what, Corruption::PacketLength(300_000, 262_144));
        }
        other => panic!("{other:?}"),
    }
    file.truncate(at);
    file.extend([0; 4096]);
    match read(&file[..]) {
        (packets, Err(CaptureError::Corrupt { what: Corruption::Zeros, .. })) => assert_eq!(packets.len(), 3),
        other => panic!("{other:?}"),
    }
}

/// A stream that fails with an error of the system, after some bytes.
struct Failing<R>(R);

impl<R: Read> Read for Failing<R> {
    fn read(&mut self, buf: &mut [u8]) -> io::Result<usize> {
        const EIO: i32 = 5;
        match self.0.read(buf)? {
            0 => Err(io::Error::from_raw_os_error(EIO)),
            n => Ok(n),
        }
    }
}

#[test]
fn an_error_of_the_system_is_not_blamed_on_the_compression() {
    let file = pcap(&packets(), Precision::Nanos, ByteOrder::Little);
    for compression in [Compression::None, Compression::Gzip, Compression::Zstd] {
        let compressed = compress(&file, compression, 50);
        let cut = compressed.len() - 5;
        match read(Failing(&compressed[..cut])).1 {
            Err(CaptureError::Io { source, .. }) => assert_eq!(source.raw_os_error(), Some(5)),
            other => panic!("{compression}: {other:?}"),
        }
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(2000))]

    #[test]
    fn changed_bytes_never_panic_nor_make_packets_without_end(
        which in 0..4_usize,
        changes in proptest::collection::vec((any::<prop::sample::Index>(), any::<u8>()), 1..6),
    ) {
        let (mut file, _) = files().swap_remove(which);
        for (at, value) in changes {
            let at = at.index(file.len());
            file[at] = value;
        }
        let (packets, _) = read(&file[..]);
        // A packet takes at least 16 bytes of the file.
        prop_assert!(packets.len() <= file.len() / 16);
    }

    #[test]
    fn any_bytes_behind_a_magic_number_never_panic(
        magic in prop::sample::select(vec![
            [0xa1, 0xb2, 0xc3, 0xd4], [0x34, 0xcd, 0xb2, 0xa1], [0x0a, 0x0d, 0x0d, 0x0a],
            [0x1f, 0x8b, 8, 0], [0x28, 0xb5, 0x2f, 0xfd], [0x50, 0x2a, 0x4d, 0x18],
        ]),
        rest in proptest::collection::vec(any::<u8>(), 0..300),
    ) {
        let file = [&magic[..], &rest].concat();
        let _ = read(&file[..]);
    }
}
