use tempfile::TempDir;

use super::*;
use crate::capture::{CaptureSet, Input, PacketSource};

/// What a set of files holds: the packets' first bytes, and the blocks of statistics.
fn read(paths: &[PathBuf]) -> (Vec<u8>, u64) {
    let inputs: Vec<_> = paths.iter().map(|path| Input::parse(path.to_str().unwrap())).collect();
    let mut set = CaptureSet::open(&inputs).unwrap();
    let mut firsts = Vec::new();
    while let Some(packet) = set.next_packet().unwrap() {
        firsts.push(packet.data[0]);
    }
    let stats = set.stats();
    assert!(stats.files.iter().all(|file| file.truncated.is_none()), "{stats:?}");
    (firsts, stats.files.iter().map(|file| file.skipped_blocks.statistics).sum())
}

fn options(path: PathBuf, rotation: Rotation) -> RecorderOptions {
    RecorderOptions {
        path: Some(path),
        rotation,
        interfaces: vec![("lo".to_owned(), LinkType::ETHERNET)],
        filter: Some("tcp".to_owned()),
        snaplen: 65_535,
    }
}

fn recorder(path: PathBuf, rotation: Rotation) -> Recorder {
    let counts = InterfaceCounts { received: 7, dropped_by_kernel: 2, dropped_by_interface: 1 };
    Recorder::create(options(path, rotation), Box::new(move || vec![counts])).unwrap()
}

fn packet(data: &[u8], nanos: i64) -> Packet<'_> {
    let original_len = u32::try_from(data.len()).unwrap();
    let at = Timestamp::from_nanos(nanos);
    Packet { at, link: LinkType::ETHERNET, number: 1, interface: 0, original_len, data }
}

fn write(recorder: &mut Recorder, firsts: impl IntoIterator<Item = u8>) {
    for first in firsts {
        recorder.write(&packet(&[first; 100], i64::from(first))).unwrap();
    }
}

#[test]
fn what_is_written_can_be_read_in_every_form() {
    let folder = TempDir::new().unwrap();
    for name in ["plain.pcapng", "a/b/packed.pcapng.gz", "packed.pcapng.zst"] {
        let mut recorder = recorder(folder.path().join(name), Rotation::default());
        write(&mut recorder, 0..200);
        assert_eq!(recorder.packets(), 200);
        let files = recorder.finish().unwrap();
        assert_eq!(files, [folder.path().join(name)]);
        assert_eq!(read(&files), ((0..200).collect(), 1), "{name}");
    }
}

#[test]
fn what_was_written_before_a_crash_is_whole() {
    let folder = TempDir::new().unwrap();
    for name in ["plain.pcapng", "packed.pcapng.gz", "packed.pcapng.zst"] {
        let path = folder.path().join(name);
        let mut recorder = recorder(path.clone(), Rotation::default());
        write(&mut recorder, 0..5);
        recorder.file.grow().unwrap();
        write(&mut recorder, 5..9);
        recorder.file.grow().unwrap();
        write(&mut recorder, 9..12);
        // As when the process is killed: nothing is finished.
        drop(recorder);
        assert_eq!(read(&[path]), ((0..9).collect(), 0), "{name}");
    }
}

#[test]
fn files_follow_one_another_by_packets_and_by_size() {
    let folder = TempDir::new().unwrap();
    let by_packets = Rotation { packets: Some(3), ..Rotation::default() };
    let mut recorder_1 = recorder(folder.path().join("p.pcapng"), by_packets);
    write(&mut recorder_1, 0..8);
    let files = recorder_1.finish().unwrap();
    assert_eq!(files.len(), 3);
    assert_eq!(read(&files[..1]), (vec![0, 1, 2], 1));
    assert_eq!(read(&files), ((0..8).collect(), 3));

    let by_size = Rotation { bytes: Some(1000), ..Rotation::default() };
    let mut recorder_2 = recorder(folder.path().join("s.pcapng"), by_size);
    write(&mut recorder_2, 0..20);
    let files = recorder_2.finish().unwrap();
    assert!(files.len() > 2, "{files:?}");
    // The statistics come on top, since they are written when the size is reached.
    assert!(files.iter().all(|path| fs::metadata(path).unwrap().len() <= 1000 + 100), "{files:?}");
    assert_eq!(read(&files).0, (0..20).collect::<Vec<_>>());
}

#[test]
fn files_follow_one_another_by_time_without_packets_too() {
    let folder = TempDir::new().unwrap();
    let every = Rotation { every: Some(Duration::from_nanos(1)), ..Rotation::default() };
    let mut recorder = recorder(folder.path().join("t.pcapng"), every);
    recorder.tick().unwrap();
    recorder.tick().unwrap();
    assert_eq!(recorder.finish().unwrap().len(), 3);
}

#[test]
fn a_ring_keeps_the_latest_files_across_runs_and_touches_no_others() {
    let folder = TempDir::new().unwrap();
    let other = folder.path().join("r_notes.pcapng");
    fs::write(&other, "mine").unwrap();
    let rotation = Rotation { packets: Some(2), keep: Some(3), ..Rotation::default() };
    let mut first = recorder(folder.path().join("r.pcapng"), rotation);
    write(&mut first, 0..10);
    assert_eq!(read(&first.finish().unwrap()).0, [4, 5, 6, 7, 8, 9]);
    let mut second = recorder(folder.path().join("r.pcapng"), rotation);
    write(&mut second, 10..13);
    let files = second.finish().unwrap();
    assert_eq!(read(&files).0, [8, 9, 10, 11, 12]);
    assert_eq!(fs::read_dir(folder.path()).unwrap().count(), 4, "three files of the ring, and the other");
    assert!(other.exists());
}

#[test]
fn a_full_disk_leaves_a_file_that_is_whole() {
    let full = Path::new("/dev/full");
    if !full.exists() {
        return;
    }
    let error = Recorder::create(options(full.to_owned(), Rotation::default()), Box::new(Vec::new))
        .err()
        .expect("nothing can be written there");
    assert!(error.to_string().contains("No space left"), "{error}");
}
