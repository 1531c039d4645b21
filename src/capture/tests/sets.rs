//! Files, folders and patterns as one capture.

use std::fs;
use std::io::Write;
use std::path::Path;
use std::sync::Arc;

use flate2::write::GzEncoder;

use super::super::{ByteOrder, CaptureError, CaptureSet, Input, LooksLike, PacketSource, Precision};
use super::round_trip::{pcap, pcapng};
use super::{Owned, drain};
use crate::anomaly::Anomaly;
use crate::time::Timestamp;

fn at(seconds: i64) -> Owned {
    Owned { at: seconds * 1_000_000_000, link: 1, interface: 0, original_len: 1, data: vec![1] }
}

fn write(path: &Path, seconds: &[i64]) {
    let packets: Vec<_> = seconds.iter().copied().map(at).collect();
    fs::write(path, pcap(&packets, Precision::Micros, ByteOrder::Little)).unwrap();
}

fn open(path: &Path) -> Result<CaptureSet, CaptureError> {
    CaptureSet::open(&[Input::Path(path.into())])
}

fn seconds(set: &mut CaptureSet) -> Vec<i64> {
    let (packets, error) = drain(set);
    assert!(error.is_none(), "{error:?}");
    packets.iter().map(|packet| packet.at / 1_000_000_000).collect()
}

#[test]
fn files_are_read_by_the_time_of_their_first_packet_and_merged_where_they_overlap() {
    let folder = tempfile::tempdir().unwrap();
    write(&folder.path().join("a"), &[50, 60]);
    write(&folder.path().join("b"), &[1, 4, 5, 20]);
    write(&folder.path().join("c"), &[2, 3, 5, 21]);
    write(&folder.path().join("d"), &[]);
    let mut set = open(folder.path()).unwrap();
    assert_eq!(seconds(&mut set), [1, 2, 3, 4, 5, 5, 20, 21, 50, 60]);
    let stats = set.stats();
    assert_eq!(stats.files.iter().map(|file| file.packets).collect::<Vec<_>>(), [2, 4, 4, 0]);
    assert_eq!(stats.bytes(), 10);
    assert_eq!(stats.first_packet().map(Timestamp::as_nanos), Some(1_000_000_000));
    assert_eq!(stats.last_packet().map(Timestamp::as_nanos), Some(60_000_000_000));
    assert_eq!(stats.anomalies().iter().count(), 0);
}

#[test]
fn the_order_within_a_file_is_kept_where_its_time_goes_back() {
    let folder = tempfile::tempdir().unwrap();
    write(&folder.path().join("a"), &[10, 5, 11]);
    write(&folder.path().join("b"), &[9, 12]);
    let mut set = open(folder.path()).unwrap();
    assert_eq!(seconds(&mut set), [9, 10, 5, 11, 12]);
    assert_eq!(set.stats().anomalies().of(Anomaly::TimeWentBack), 1);
    assert_eq!(set.stats().first_packet().map(Timestamp::as_nanos), Some(5_000_000_000));
}

#[test]
fn interfaces_of_different_files_are_different() {
    let folder = tempfile::tempdir().unwrap();
    let packets =
        [Owned { interface: 4, ..at(1) }, Owned { interface: 5, ..at(2) }, Owned { interface: 4, ..at(3) }];
    for (name, first) in [("a", 0), ("b", 10)] {
        let packets: Vec<_> =
            packets.iter().map(|p| Owned { at: p.at + first * 1_000_000_000, ..p.clone() }).collect();
        fs::write(folder.path().join(name), pcapng(&packets, Precision::Nanos, ByteOrder::Big)).unwrap();
    }
    let (packets, _) = drain(&mut open(folder.path()).unwrap());
    assert_eq!(packets.iter().map(|p| p.interface).collect::<Vec<_>>(), [0, 1, 0, 2, 3, 2]);
}

#[test]
fn a_folder_passes_over_what_is_no_capture_and_says_so() {
    let folder = tempfile::tempdir().unwrap();
    write(&folder.path().join("a.pcap"), &[1]);
    fs::write(folder.path().join("empty.pcap"), b"").unwrap();
    fs::write(folder.path().join("notes.txt"), b"captured on Tuesday\n").unwrap();
    fs::create_dir(folder.path().join("more")).unwrap();
    write(&folder.path().join("more/b.pcap"), &[2]);
    let mut set = open(folder.path()).unwrap();
    assert_eq!(seconds(&mut set), [1]);
    let skipped = set.stats().skipped;
    assert_eq!(skipped.len(), 2);
    assert!(skipped[0].name.ends_with("empty.pcap") && skipped[0].why.starts_with("the file is empty"));
    assert!(skipped[1].name.ends_with("notes.txt") && skipped[1].why.contains("it looks like text"));
}

#[test]
fn a_folder_without_captures_is_an_error() {
    let folder = tempfile::tempdir().unwrap();
    assert!(matches!(open(folder.path()), Err(CaptureError::NoCaptures { files: 0, .. })));
    fs::write(folder.path().join("notes.txt"), b"captured on Tuesday\n").unwrap();
    let error = open(folder.path()).unwrap_err();
    assert!(error.to_string().contains("its one file is no capture (for one, "), "{error}");
    let good = tempfile::tempdir().unwrap();
    write(&good.path().join("a"), &[1]);
    let both = [Input::Path(good.path().into()), Input::Path(folder.path().into())];
    assert!(matches!(CaptureSet::open(&both), Err(CaptureError::NoCaptures { .. })));
}

#[test]
fn a_file_that_was_named_itself_must_be_a_capture() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("notes.txt");
    fs::write(&path, b"captured on Tuesday\n").unwrap();
    assert!(matches!(open(&path), Err(CaptureError::NotACapture { looks_like: LooksLike::Text, .. })));
    fs::write(&path, b"").unwrap();
    assert!(matches!(open(&path), Err(CaptureError::Empty { .. })));
    assert!(matches!(open(&folder.path().join("other")), Err(CaptureError::NotFound { .. })));
    assert!(matches!(CaptureSet::open(&[]), Err(CaptureError::NothingNamed)));
    assert!(matches!(CaptureSet::open(&[Input::Stdin, Input::Stdin]), Err(CaptureError::StdinTwice)));
}

#[cfg(feature = "cli")]
#[test]
fn a_pattern_names_files_and_a_file_of_that_name_comes_first() {
    let folder = tempfile::tempdir().unwrap();
    write(&folder.path().join("a.pcap"), &[1]);
    write(&folder.path().join("b.pcap"), &[2]);
    write(&folder.path().join("c.cap"), &[3]);
    assert_eq!(seconds(&mut open(&folder.path().join("*.pcap")).unwrap()), [1, 2]);
    assert!(matches!(open(&folder.path().join("*.pcapng")), Err(CaptureError::NoCaptures { files: 0, .. })));
    assert!(matches!(open(&folder.path().join("a***")), Err(CaptureError::BadPattern { .. })));
    write(&folder.path().join("[ab].pcap"), &[7]);
    assert_eq!(seconds(&mut open(&folder.path().join("[ab].pcap")).unwrap()), [7]);
}

#[test]
fn a_file_named_twice_is_read_once() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("a.pcap");
    write(&path, &[1]);
    let inputs = [path, folder.path().into(), folder.path().join("./a.pcap")].map(Input::Path);
    assert_eq!(seconds(&mut CaptureSet::open(&inputs).unwrap()), [1]);
}

#[test]
fn damage_in_one_file_is_reported_and_the_others_are_read_on() {
    let folder = tempfile::tempdir().unwrap();
    let damaged = folder.path().join("a");
    write(&damaged, &[1, 2]);
    let mut bytes = fs::read(&damaged).unwrap();
    bytes.extend([0; 100]);
    fs::write(&damaged, &bytes).unwrap();
    write(&folder.path().join("b"), &[5]);
    let mut set = open(folder.path()).unwrap();
    let (packets, error) = drain(&mut set);
    assert_eq!(packets.len(), 2);
    match error {
        Some(CaptureError::Corrupt { file, offset, packet, .. }) => {
            assert_eq!(file, Arc::from(damaged.to_string_lossy()));
            assert_eq!((offset, packet), (24 + 2 * 17, 3));
        }
        other => panic!("{other:?}"),
    }
    assert_eq!(set.next_packet().unwrap().map(|packet| packet.number), Some(3));
    assert!(set.next_packet().unwrap().is_none());
    assert!(set.next_packet().unwrap().is_none());
}

#[cfg(target_os = "linux")]
#[test]
fn a_large_rotated_set_needs_few_descriptors() {
    let folder = tempfile::tempdir().unwrap();
    for file in 0..3000 {
        write(&folder.path().join(format!("{file:05}")), &[file * 10, file * 10 + 9]);
    }
    let mut set = open(folder.path()).unwrap();
    let mut most = 0;
    let mut packets = 0;
    while set.next_packet().unwrap().is_some() {
        packets += 1;
        if packets % 100 == 0 {
            let open = fs::read_dir("/proc/self/fd").unwrap().flatten().filter(|descriptor| {
                fs::read_link(descriptor.path()).is_ok_and(|target| target.starts_with(folder.path()))
            });
            most = most.max(open.count());
        }
    }
    assert_eq!(packets, 6000);
    assert!(most <= 2, "{most} files open at once");
}

#[test]
fn progress_ends_at_the_size_on_disk() {
    let folder = tempfile::tempdir().unwrap();
    let mut size = 0;
    // One file after the other, and the last two side by side.
    for (name, seconds) in [("a", [1, 2]), ("b.gz", [3, 4]), ("c", [5, 7]), ("d", [6, 8])] {
        let path = folder.path().join(name);
        write(&path, &seconds);
        if name == "b.gz" {
            let mut gzip = GzEncoder::new(Vec::new(), flate2::Compression::default());
            gzip.write_all(&fs::read(&path).unwrap()).unwrap();
            fs::write(&path, gzip.finish().unwrap()).unwrap();
        }
        size += fs::metadata(path).unwrap().len();
    }
    fs::write(folder.path().join("notes.txt"), "not to be read").unwrap();
    let mut set = open(folder.path()).unwrap();
    let progress = set.progress();
    assert_eq!((progress.read(), progress.total()), (0, Some(size)));
    assert!(set.next_packet().unwrap().is_some());
    assert!((1..size).contains(&progress.read()), "{progress:?}");
    assert_eq!(drain_rest(&mut set), 7);
    assert_eq!(progress.read(), size);
}

fn drain_rest(set: &mut CaptureSet) -> usize {
    let mut packets = 0;
    while set.next_packet().unwrap().is_some() {
        packets += 1;
    }
    packets
}
