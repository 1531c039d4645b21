//! What the writers write is read back, in every form.

use std::io::Write;

use proptest::prelude::*;

use super::super::{ByteOrder, CaptureSet, Compression, Input, PcapWriter, PcapngWriter, Precision};
use super::{Owned, drain, read};
use crate::packet::LinkType;

/// Time is kept in microseconds, so that both precisions hold it.
fn any_packet() -> impl Strategy<Value = Owned> {
    let data = proptest::collection::vec(any::<u8>(), 0..80);
    (1_i64..2_000_000_000_000_000, 0..3_u32, data, 0..100_u32).prop_map(|(micros, interface, data, cut)| {
        Owned {
            at: micros * 1000,
            link: 1,
            interface,
            original_len: u32::try_from(data.len()).unwrap() + cut,
            data,
        }
    })
}

fn any_order() -> impl Strategy<Value = ByteOrder> {
    prop_oneof![Just(ByteOrder::Little), Just(ByteOrder::Big)]
}

fn any_precision() -> impl Strategy<Value = Precision> {
    prop_oneof![Just(Precision::Micros), Just(Precision::Nanos)]
}

fn any_compression() -> impl Strategy<Value = Compression> {
    prop_oneof![Just(Compression::None), Just(Compression::Gzip), Just(Compression::Zstd)]
}

pub(super) fn pcap(packets: &[Owned], precision: Precision, order: ByteOrder) -> Vec<u8> {
    let mut writer = PcapWriter::with_form(Vec::new(), LinkType::ETHERNET, precision, order).unwrap();
    for packet in packets {
        writer.write(&packet.packet()).unwrap();
    }
    let written = writer.written();
    let bytes = writer.finish().unwrap();
    assert_eq!(bytes.len() as u64, written);
    bytes
}

pub(super) fn pcapng(packets: &[Owned], precision: Precision, order: ByteOrder) -> Vec<u8> {
    let mut writer = PcapngWriter::with_form(Vec::new(), precision, order).unwrap();
    for packet in packets {
        writer.write(&packet.packet()).unwrap();
    }
    let written = writer.written();
    let bytes = writer.finish().unwrap();
    assert_eq!(bytes.len() as u64, written);
    bytes
}

/// Compresses in two members or frames, cut at `cut` percent.
pub(super) fn compress(bytes: &[u8], compression: Compression, cut: usize) -> Vec<u8> {
    let (first, second) = bytes.split_at(bytes.len() * cut / 100);
    let gzip = |part: &[u8]| {
        let mut encoder = flate2::write::GzEncoder::new(Vec::new(), flate2::Compression::fast());
        encoder.write_all(part).unwrap();
        encoder.finish().unwrap()
    };
    let zstd = |part: &[u8]| zstd::stream::encode_all(part, 1).unwrap();
    match compression {
        Compression::None => bytes.to_vec(),
        Compression::Gzip => [gzip(first), gzip(second)].concat(),
        Compression::Zstd => [zstd(first), zstd(second)].concat(),
    }
}

/// Interfaces by the order of their first packets, as readers of several files number them.
fn renumbered(packets: &[Owned]) -> Vec<Owned> {
    let mut known = Vec::new();
    let number = |packet: &Owned| {
        let at = known.iter().position(|i| *i == packet.interface).unwrap_or_else(|| {
            known.push(packet.interface);
            known.len() - 1
        });
        Owned { interface: u32::try_from(at).unwrap(), ..packet.clone() }
    };
    packets.iter().map(number).collect()
}

proptest! {
    #[test]
    fn pcap_reads_as_written(
        packets in proptest::collection::vec(any_packet(), 0..40),
        precision in any_precision(), order in any_order(),
        compression in any_compression(), cut in 0..=100_usize,
    ) {
        let packets: Vec<_> = packets.into_iter().map(|packet| Owned { interface: 0, ..packet }).collect();
        let file = compress(&pcap(&packets, precision, order), compression, cut);
        let (read, stats) = read(&file[..]);
        prop_assert_eq!(read, packets);
        prop_assert_eq!(stats.unwrap().compression, compression);
    }

    #[test]
    fn pcapng_reads_as_written(
        packets in proptest::collection::vec(any_packet(), 0..40),
        precision in any_precision(), order in any_order(),
        compression in any_compression(), cut in 0..=100_usize,
    ) {
        let file = compress(&pcapng(&packets, precision, order), compression, cut);
        let (read, stats) = read(&file[..]);
        prop_assert_eq!(read, renumbered(&packets));
        prop_assert_eq!(stats.unwrap().compression, compression);
    }

    /// Packets dealt to files at random and read together come in time order; those of one file keep
    /// their order, and nothing is lost.
    #[test]
    fn files_are_merged_by_time(
        mut packets in proptest::collection::vec((any_packet(), 0..5_usize), 1..60),
        order in any_order(), compression in any_compression(),
    ) {
        packets.sort_by_key(|(packet, _)| packet.at);
        packets.dedup_by_key(|(packet, _)| packet.at);
        let folder = tempfile::tempdir().unwrap();
        let mut inputs = Vec::new();
        for file in 0..5 {
            let dealt: Vec<_> = packets.iter().filter(|(_, to)| *to == file).map(|(p, _)| p.clone()).collect();
            let bytes = if file % 2 == 0 {
                pcap(&dealt, Precision::Nanos, order)
            } else {
                pcapng(&dealt, Precision::Micros, order)
            };
            let path = folder.path().join(format!("{file}"));
            std::fs::write(&path, compress(&bytes, compression, 50)).unwrap();
            inputs.push(Input::Path(path));
        }
        inputs.reverse();
        let mut set = CaptureSet::open(&inputs).unwrap();
        let (read, error) = drain(&mut set);
        prop_assert!(error.is_none());
        let plain = |packet: &Owned| Owned { interface: 0, ..packet.clone() };
        let expected: Vec<_> = packets.iter().map(|(packet, _)| plain(packet)).collect();
        prop_assert_eq!(read.iter().map(plain).collect::<Vec<_>>(), expected);
        prop_assert_eq!(set.stats().packets(), packets.len() as u64);
    }

    /// A file cut into a rotated set is the same capture, whichever way the files are named.
    #[test]
    fn a_rotated_set_is_the_file_it_was_cut_from(
        mut packets in proptest::collection::vec(any_packet(), 1..60), size in 1..20_usize,
    ) {
        // Equal times lie on both sides of a cut.
        for packet in &mut packets {
            packet.at -= packet.at % 1_000_000_000_000_000;
            packet.interface = 0;
        }
        packets.sort_by_key(|packet| packet.at);
        let folder = tempfile::tempdir().unwrap();
        for (at, part) in packets.chunks(size).enumerate() {
            let path = folder.path().join(format!("trace.pcap{at:03}"));
            std::fs::write(path, pcap(part, Precision::Micros, ByteOrder::Little)).unwrap();
        }
        let mut set = CaptureSet::open(&[Input::Path(folder.path().into())]).unwrap();
        let (read, error) = drain(&mut set);
        prop_assert!(error.is_none());
        let plain = |packet: &Owned| Owned { interface: 0, ..packet.clone() };
        prop_assert_eq!(read.iter().map(plain).collect::<Vec<_>>(), packets);
    }
}

#[test]
fn writers_refuse_what_has_no_place_in_the_format() {
    let good = Owned { at: 1, link: 1, interface: 0, original_len: 0, data: Vec::new() };
    let mut pcap = PcapWriter::new(Vec::new(), LinkType::ETHERNET).unwrap();
    pcap.write(&good.packet()).unwrap();
    for bad in [
        Owned { link: 101, ..good.clone() },
        Owned { at: -1, ..good.clone() },
        Owned { at: 5_000_000_000_000_000_000, ..good.clone() },
    ] {
        assert_eq!(pcap.write(&bad.packet()).unwrap_err().kind(), std::io::ErrorKind::InvalidInput);
    }
    let mut pcapng = PcapngWriter::new(Vec::new()).unwrap();
    pcapng.write(&Owned { at: 5_000_000_000_000_000_000, ..good.clone() }.packet()).unwrap();
    pcapng.write(&Owned { at: -1, ..good }.packet()).unwrap_err();
}
