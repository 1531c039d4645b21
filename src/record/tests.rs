//! Recordings written, torn and read back.

use std::fs;
use std::path::Path;

use bytes::Bytes;
use proptest::prelude::*;

use super::*;
use crate::anomaly::Anomaly;
use crate::http::{Completeness, Framing};
use crate::replay::Outcome;
use crate::replay::{Failure, SkipReason};
use crate::time::Timestamp;

fn run() -> Run {
    Run {
        tool_version: "0.0.0".to_owned(),
        started: samples::NOON,
        seed: 7,
        mode: Mode::Replay,
        captures: vec!["a.pcap".to_owned()],
        targets: [("v2".to_owned(), "http://127.0.0.1:1".to_owned())].into(),
        options: vec!["--speed".to_owned(), "max".to_owned()],
        digests: [("capture".to_owned(), "1".to_owned())].into(),
    }
}

fn row(n: u64) -> Row {
    let mut row = samples::row(
        &format!("GET /{n} HTTP/1.1\r\nhost: a\r\nX-Odd:  b \r\n\r\n"),
        "HTTP/1.1 200 OK\r\nContent-Type: text/plain\r\n\r\n",
        "HTTP/1.1 503 Not Today\r\n\r\n",
    );
    row.exchange.id.0 = n;
    samples::set_bodies(&mut row, b"", b"some text", b"\xff\x00binary");
    row
}

fn read(folder: &Path) -> (Vec<Row>, Vec<Loss>, Option<Finished>) {
    let mut reader = Reader::open(folder).unwrap();
    assert_eq!(reader.run(), &run());
    let rows = std::iter::from_fn(|| reader.next_row().unwrap()).collect();
    (rows, reader.losses().to_vec(), reader.finished().cloned())
}

/// Goes on with a recording; also gives the ids of its rows that hold.
fn resume(folder: &Path) -> (Writer, Vec<u64>) {
    let mut resuming = Resuming::open(folder).unwrap();
    assert_eq!(resuming.run(), &run());
    let rows: Vec<_> = std::iter::from_fn(|| resuming.next_row().unwrap()).collect();
    let mut recorded = Gathering::default();
    for row in &rows {
        recorded.add(row.name().digest());
    }
    let rows = rows.iter().map(|row| row.exchange.id.0).collect();
    (resuming.go_on(&recorded.finish()).unwrap().writer, rows)
}

fn same(left: &Row, right: &Row) -> bool {
    // `Debug` shows every field of every type within a row.
    format!("{left:?}") == format!("{right:?}")
}

#[test]
fn what_was_written_is_read_back_and_private() {
    let folder = tempfile::tempdir().unwrap();
    let recording = folder.path().join("run/recording");
    let (mut writer, _) = Writer::create(&recording, &run()).unwrap();
    let rows: Vec<Row> = (0..10).map(row).collect();
    for r in &rows {
        writer.row(r).unwrap();
    }
    let finished = Finished { finished: samples::NOON, interrupted: true, ..Finished::default() };
    writer.finish(&finished).unwrap();

    let (back, losses, end) = read(&recording);
    assert_eq!(back.len(), 10);
    assert!(back.iter().zip(&rows).all(|(a, b)| same(a, b)), "{:#?}\n{:#?}", back[0], rows[0]);
    assert!(losses.is_empty());
    assert_eq!(end, Some(finished));
    #[cfg(unix)]
    {
        use std::os::unix::fs::PermissionsExt as _;
        let mode = |path: &Path| fs::metadata(path).unwrap().permissions().mode() & 0o777;
        assert_eq!(mode(&recording), 0o700);
        assert_eq!(mode(&writer::segment_path(&recording, 1)), 0o600);
    }
    assert!(matches!(Writer::create(&recording, &run()), Err(RecordError::Exists(_))));
}

#[test]
fn a_tear_at_any_byte_of_the_last_frame_loses_that_frame_alone_and_resume_goes_on() {
    let folder = tempfile::tempdir().unwrap();
    let (mut writer, _) = Writer::create(folder.path(), &run()).unwrap();
    let path = writer::segment_path(folder.path(), 1);
    writer.row(&row(1)).unwrap();
    writer.flush().unwrap();
    let good = fs::metadata(&path).unwrap().len();
    writer.row(&row(2)).unwrap();
    writer.row(&row(3)).unwrap();
    writer.flush().unwrap();
    drop(writer);
    let whole = fs::read(&path).unwrap();

    for cut in usize::try_from(good).unwrap()..whole.len() {
        fs::write(&path, &whole[..cut]).unwrap();
        let (rows, losses, _) = read(folder.path());
        assert_eq!(rows.len(), 1, "cut at {cut}");
        let bytes = cut as u64 - good;
        let expected = Loss { path: path.clone(), offset: good, bytes };
        assert_eq!(losses, if bytes == 0 { vec![] } else { vec![expected] }, "cut at {cut}");

        let (mut writer, recorded) = resume(folder.path());
        assert_eq!(recorded, [1]);
        writer.row(&row(4)).unwrap();
        writer.finish(&Finished::default()).unwrap();
        let (rows, losses, end) = read(folder.path());
        assert_eq!(rows.iter().map(|r| r.exchange.id.0).collect::<Vec<_>>(), [1, 4], "cut at {cut}");
        assert!(losses.is_empty() && end.is_some());
    }
}

#[test]
fn a_kill_loses_no_row_that_was_kept_and_a_torn_frame_of_kept_rows_loses_nothing() {
    let folder = tempfile::tempdir().unwrap();
    let (mut writer, _) = Writer::create(folder.path(), &run()).unwrap();
    let path = writer::segment_path(folder.path(), 1);
    let good = fs::metadata(&path).unwrap().len();
    let copy = |name: &str| fs::read(folder.path().join(name)).unwrap();
    let ids = || {
        let (rows, losses, _) = read(folder.path());
        assert!(losses.is_empty(), "{losses:?}");
        rows.iter().map(|row| row.exchange.id.0).collect::<Vec<_>>()
    };
    for n in 1..=3 {
        writer.row(&row(n)).unwrap();
        if n < 3 {
            writer.keep().unwrap();
        }
    }
    assert_eq!(ids(), [1, 2], "the third was not kept");
    writer.keep().unwrap();
    let journal = copy("journal.ndjson");
    writer.flush().unwrap();
    let whole = fs::read(&path).unwrap();
    // Killed before the journal was emptied: its rows are in the frame, and count once.
    fs::write(folder.path().join("journal.ndjson"), &journal).unwrap();
    assert_eq!(ids(), [1, 2, 3]);
    drop(writer);
    // Killed within the frame: its rows are in the journal. Half a line of that is none.
    for (cut, kept, expected) in [
        (good + 1, journal.len(), &[1, 2, 3][..]),
        (whole.len() as u64 - 1, journal.len(), &[1, 2, 3]),
        (good + 1, journal.len() - 1, &[1, 2]),
    ] {
        fs::write(&path, &whole[..usize::try_from(cut).unwrap()]).unwrap();
        fs::write(folder.path().join("journal.ndjson"), &journal[..kept]).unwrap();
        assert_eq!(ids(), expected, "cut at {cut}");
    }
    let (writer, recorded) = resume(folder.path());
    assert_eq!(recorded, [1, 2]);
    assert_eq!(ids(), [1, 2], "in a frame now");
    writer.finish(&Finished::default()).unwrap();
    assert_eq!((ids(), folder.path().join("journal.ndjson").exists()), (vec![1, 2], false));
}

#[test]
fn what_was_put_off_is_void_once_the_run_goes_on_and_not_before() {
    let folder = tempfile::tempdir().unwrap();
    let put_off = |n, reason| {
        let mut row = row(n);
        (row.outcome, row.sent_head) = (Outcome::Skipped(reason), None);
        row
    };
    let (mut writer, _) = Writer::create(folder.path(), &run()).unwrap();
    writer.row(&row(1)).unwrap();
    writer.row(&put_off(2, SkipReason::Interrupted)).unwrap();
    writer.row(&put_off(3, SkipReason::TargetGone)).unwrap();
    writer.row(&put_off(4, SkipReason::Filtered)).unwrap();
    writer.finish(&Finished { interrupted: true, ..Finished::default() }).unwrap();
    let ids = || read(folder.path()).0.iter().map(|row| row.exchange.id.0).collect::<Vec<_>>();
    assert_eq!(ids(), [1, 2, 3, 4]);

    let (mut writer, recorded) = resume(folder.path());
    assert_eq!(recorded, [1, 4]);
    assert_eq!((ids(), read(folder.path()).2), (vec![1, 4], None), "it has no end any more");
    writer.row(&row(2)).unwrap();
    writer.row(&put_off(3, SkipReason::Interrupted)).unwrap();
    writer.keep().unwrap();
    assert_eq!(ids(), [1, 4, 2, 3], "what is put off again holds until the run goes on again");
    writer.finish(&Finished::default()).unwrap();
    assert_eq!(ids(), [1, 4, 2, 3]);
    assert_eq!(resume(folder.path()).1, [1, 4, 2]);
}

#[test]
fn a_recording_is_written_by_one_process_at_a_time() {
    let folder = tempfile::tempdir().unwrap();
    let (writer, _) = Writer::create(folder.path(), &run()).unwrap();
    assert!(matches!(Resuming::open(folder.path()).err(), Some(RecordError::Busy(_))));
    assert!(writer.is_in_place().is_ok());
    fs::remove_file(folder.path().join("journal.ndjson")).unwrap();
    assert!(matches!(writer.is_in_place(), Err(RecordError::Vanished(_))));
}

#[test]
fn damage_within_a_segment_is_reported_and_the_next_segment_still_read() {
    let folder = tempfile::tempdir().unwrap();
    let (mut writer, _) = Writer::create(folder.path(), &run()).unwrap();
    writer.row(&row(1)).unwrap();
    writer.flush().unwrap();
    let path = writer::segment_path(folder.path(), 1);
    let frame = fs::read(&path).unwrap();
    let mut damaged = frame.clone();
    *damaged.last_mut().unwrap() ^= 1;
    fs::write(&path, damaged).unwrap();
    fs::write(writer::segment_path(folder.path(), 2), frame).unwrap();
    let (rows, losses, _) = read(folder.path());
    assert_eq!((rows.len(), losses.len()), (1, 1));
}

#[test]
fn what_is_no_recording_is_said_so() {
    let folder = tempfile::tempdir().unwrap();
    assert!(matches!(Reader::open(folder.path()), Err(RecordError::NotARecording(_))));
    fs::write(writer::segment_path(folder.path(), 1), b"not zstd").unwrap();
    assert!(matches!(Reader::open(folder.path()), Err(RecordError::NotARecording(_))));
    fs::write(writer::segment_path(folder.path(), 1), zstd::bulk::compress(b"{}\n", 1).unwrap()).unwrap();
    let Err(RecordError::Line { offset: 0, .. }) = Reader::open(folder.path()) else {
        panic!("no line error")
    };
}

fn outcome() -> impl Strategy<Value = u8> {
    0..4_u8
}

proptest! {
    #[test]
    fn any_row_comes_back_as_it_was(
        target in "/[!-~]{0,20}",
        value in "[ -~]{0,20}",
        status in 200..600_u16,
        entity: Option<Vec<u8>>,
        nanos: (i64, i64),
        kind in outcome(),
        framing in 0..5_u8,
        counts: (u32, u32, u64),
        flags: (bool, bool),
    ) {
        let mut row = samples::row(
            &format!("PUT {target} HTTP/1.1\r\nHost: x\r\nx-v: {value}\r\n\r\n"),
            &format!("HTTP/1.0 {status} {}\r\nA: 1\r\na: 2\r\n\r\n", value.trim()),
            &format!("HTTP/1.1 {status}\r\n\r\n"),
        );
        row.exchange.ordinal = counts.0;
        row.exchange.connection.instance = counts.1;
        row.exchange.request.first_byte = Timestamp::from_nanos(nanos.0);
        row.exchange.request.last_byte = Timestamp::from_nanos(nanos.1);
        row.exchange.request.anomalies.insert(Anomaly::ObsFold);
        row.exchange.request.completeness = if flags.0 { Completeness::Cut } else { Completeness::Gap };
        let body = &mut row.exchange.request.body;
        body.framing = [Framing::None, Framing::Length(counts.2), Framing::Chunked, Framing::UntilClose,
            Framing::Tunnel][usize::from(framing)];
        body.entity = entity.map(Bytes::from);
        (body.len, body.lost) = (counts.2, counts.2 / 2);
        body.sha256 = flags.1.then_some([9; 32]);
        if flags.1 {
            row.exchange.response = None;
        }
        row.outcome = match (kind, row.outcome) {
            (0, Outcome::Answered { response, timing, .. }) => Outcome::Failed {
                failure: Failure::ClosedInAnswer, detail: value, partial: Some(response), timing,
            },
            (1, Outcome::Answered { timing, .. }) => Outcome::Failed {
                failure: Failure::Connect, detail: value, partial: None, timing,
            },
            (2, _) => Outcome::Skipped(SkipReason::Http09),
            (_, outcome) => outcome,
        };
        let mut line = Vec::new();
        lines::Lines::default().row(&mut line, &row, false);
        let line = String::from_utf8(line).unwrap();
        let back = serde_json::from_str::<line::RowLine>(&line).unwrap().into_row().unwrap();
        prop_assert!(same(&back, &row), "{back:#?}\n{row:#?}");
    }
}
