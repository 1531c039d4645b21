//! Reports of many rows: the page stays small, and memory does not grow with the rows.

use std::fmt::Write as _;
use std::fs;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

use crate::made::{Talk, answer, capture, v2};
use crate::support::Shadowcap;

/// Rows whose answers are large and differ in many places, repeated from one recorded run until there are so
/// many; each copy has an id of its own.
fn recording(folder: &Path, rows: usize, lines: usize) -> PathBuf {
    let head = "HTTP/1.1 200 OK\r\nContent-Type: application/json";
    let body = |side: usize| {
        let member = |n: usize| {
            format!("\"name{n}\":\"value {} <&> {n}\"", if n.is_multiple_of(3) { side } else { 0 })
        };
        format!("{{{}}}", (0..lines).map(member).collect::<Vec<_>>().join(",")).into_bytes()
    };
    let talk = |n: usize| Talk {
        request: format!("GET /things/{n}?page=1 HTTP/1.1\r\nHost: h\r\nX-Case: {n}\r\n\r\n").into_bytes(),
        v1: answer(head, &body(1)),
        v2: answer(head, &body(1 + n % 2)),
    };
    let talks: Vec<_> = (0..8).map(talk).collect();
    let server = v2(&talks);
    let file = folder.join("made.pcap");
    fs::write(&file, capture(&talks)).unwrap();
    let run = folder.join(format!("run-{rows}"));
    let arguments = ["replay", file.to_str().unwrap(), "--out", run.to_str().unwrap(), "--to", &server.url()];
    Shadowcap::new(arguments).run().exits(1);
    multiply(&run.join("recording/segment-00001.ndjson.zst"), rows);
    run
}

/// Repeats the rows of a segment until there are so many, in frames of some hundred rows.
fn multiply(segment: &Path, rows: usize) {
    let text = zstd::stream::decode_all(fs::File::open(segment).unwrap()).unwrap();
    let text = String::from_utf8(text).unwrap();
    let lines: Vec<_> = text.lines().collect();
    let (first, last) = (lines[0], lines[lines.len() - 1]);
    let originals: Vec<_> = lines.iter().filter(|line| line.contains("\"type\":\"row\"")).collect();
    let mut out = Vec::new();
    let mut frame = format!("{first}\n");
    for n in 0..rows {
        let row = originals[n % originals.len()];
        let id = row.find("\"id\":\"").unwrap() + 6;
        // Routes of many names, and members: as many distinct differences as a run can tell apart.
        let name: String =
            [n / 8, n / 208].map(|n| char::from(b'a' + u8::try_from(n % 26).unwrap())).iter().collect();
        let row = format!("{}{n:016x}{}", &row[..id], &row[id + 16..]);
        let row = row.replace("/things/", &format!("/things-{name}/"));
        writeln!(frame, "{row}").unwrap();
        if n % 500 == 499 || n + 1 == rows {
            out.extend(zstd::bulk::compress(frame.as_bytes(), 1).unwrap());
            frame.clear();
        }
    }
    out.extend(zstd::bulk::compress(format!("{last}\n").as_bytes(), 1).unwrap());
    fs::write(segment, out).unwrap();
}

/// The largest page that a run can have.
pub(crate) fn large_report(folder: &Path) -> PathBuf {
    let run = recording(folder, 3000, 60);
    let report =
        Shadowcap::new(["report", run.to_str().unwrap()]).patience(crate::support::PATIENCE * 4).run();
    report.exits(1);
    run.join("report.html")
}

/// The most memory that rendering held, in bytes, as far as it could be seen while it ran.
#[cfg(target_os = "linux")]
fn peak(run: &Path) -> u64 {
    let mut child = Command::new(env!("CARGO_BIN_EXE_shadowcap"))
        .args(["report", "--quiet", run.to_str().unwrap()])
        .stdin(Stdio::null())
        .stdout(Stdio::null())
        .spawn()
        .unwrap();
    let status = format!("/proc/{}/status", child.id());
    let mut peak = 0;
    while child.try_wait().unwrap().is_none() {
        let text = fs::read_to_string(&status).unwrap_or_default();
        let line = text.lines().find_map(|line| line.strip_prefix("VmHWM:"));
        let kib = line.and_then(|line| line.trim().trim_end_matches(" kB").parse::<u64>().ok());
        peak = kib.map_or(peak, |kib| peak.max(kib * 1024));
        std::thread::yield_now();
    }
    peak
}

#[test]
#[cfg(target_os = "linux")]
fn memory_does_not_grow_with_the_rows() {
    let folder = tempfile::tempdir().unwrap();
    // Both fill what is kept for the page.
    let (few, many) = (recording(folder.path(), 6000, 24), recording(folder.path(), 24_000, 24));
    let (small, large) = (peak(&few), peak(&many));
    println!("6,000 rows: {} MiB; 24,000 rows: {} MiB", small >> 20, large >> 20);
    assert!(small > 10 << 20, "{small} bytes were seen");
    // What a run of a million rows may hold, since more rows hold no more.
    assert!(large < 300 << 20, "{} MiB", large >> 20);
    assert!(large < small + (24 << 20), "{} MiB and {} MiB", small >> 20, large >> 20);
    let size = |run: &Path| fs::metadata(run.join("report.html")).unwrap().len();
    assert!(size(&many) < size(&few) + (1 << 20) && size(&many) < 20 << 20, "{}", size(&many));
}
