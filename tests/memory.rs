//! Reading holds connections and unfinished messages, never the file; replaying holds what is on its way, and what
//! lies just ahead of it.

#![cfg(all(feature = "cli", target_os = "linux"))]
#![allow(clippy::unwrap_used, unreachable_pub, dead_code, reason = "a test says what broke by panicking")]

#[path = "benches/generator.rs"]
mod generator;
#[path = "memory/hostile.rs"]
mod hostile;
#[macro_use]
mod support;
#[path = "memory/uploads.rs"]
mod uploads;

use std::fs::{self, File};
use std::io::{self, Write};
use std::path::Path;
use std::process::{Child, ChildStdin, Command, Stdio};
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use generator::{Shape, Written};
use hostile::Attack;
use serde_json::Value;
use support::{Nginx, RawServer, Reply, Script, program};

const MIB: u64 = 1 << 20;

/// The most memory that a process has held so far, in bytes.
fn peak(process: u32) -> u64 {
    let status = fs::read_to_string(format!("/proc/{process}/status")).unwrap();
    let line = status.lines().find_map(|line| line.strip_prefix("VmHWM:")).unwrap();
    line.trim().trim_end_matches(" kB").parse::<u64>().unwrap() * 1024
}

/// Sends traffic of that size through `inspect` by a pipe; gives what was sent, the peak and the document.
fn inspect(shape: Shape, size: u64, folder: &Path) -> (Written, u64, Value) {
    inspect_what(&[], |stdin| generator::write(shape, size, stdin).unwrap(), folder)
}

/// The same for any traffic, with more arguments.
fn inspect_what<T>(
    arguments: &[&str],
    write: impl FnOnce(&mut ChildStdin) -> T,
    folder: &Path,
) -> (T, u64, Value) {
    let output = folder.join("output.json");
    let mut child = Command::new(program())
        .args(["inspect", "--quiet", "--format", "json", "-"])
        .args(arguments)
        .stdin(Stdio::piped())
        .stdout(File::create(&output).unwrap())
        .spawn()
        .unwrap();
    let mut stdin = child.stdin.take().unwrap();
    let written = write(&mut stdin);
    // All but the last pipe full is read, and the process waits for more.
    let peak = peak(child.id());
    drop(stdin);
    assert!(child.wait().unwrap().success());
    (written, peak, serde_json::from_slice(&fs::read(output).unwrap()).unwrap())
}

#[test]
fn memory_follows_open_connections_and_not_the_size_of_the_capture() {
    let folder = tempfile::tempdir().unwrap();
    for (shape, size) in
        [(Shape::Bodies, 200 * MIB), (Shape::Messages, 24 * MIB), (Shape::Interleaved, 24 * MIB)]
    {
        let (written, peak, document) = inspect(shape, size, folder.path());
        println!("{}: {} MiB", shape.name(), peak / MIB);
        assert!(peak < 64 * MIB, "{}: {} MiB for {written:?}", shape.name(), peak / MIB);
        assert_eq!(document["http"]["exchanges"], written.exchanges, "{}", shape.name());
        assert_eq!(document["capture"]["packets"], written.packets, "{}", shape.name());
        assert_eq!(document["imbalances"], serde_json::json!([]), "{}", shape.name());
    }
}

/// Starts `replay` of standard input with 128 connections at once.
fn replay(url: &str, folder: &Path) -> Child {
    replay_with(url, folder, &[])
}

/// The same with further options.
fn replay_with(url: &str, folder: &Path, more: &[&str]) -> Child {
    Command::new(program())
        .args([
            "replay",
            "--quiet",
            "-",
            "--to",
            url,
            "--concurrency",
            "128",
            "--timeout",
            "600s",
            "--out",
            "run",
        ])
        .args(more)
        .current_dir(folder)
        .stdin(Stdio::piped())
        .stdout(Stdio::null())
        .spawn()
        .unwrap()
}

/// Counts what has gone through.
struct Counting<W>(W, Arc<AtomicU64>);

impl<W: Write> Write for Counting<W> {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        let written = self.0.write(bytes)?;
        self.1.fetch_add(written as u64, Ordering::Relaxed);
        Ok(written)
    }

    fn flush(&mut self) -> io::Result<()> {
        self.0.flush()
    }
}

#[test]
fn a_replay_holds_what_is_on_its_way_and_not_the_capture() {
    let nginx = or_skip!(Nginx::start("server { listen {listen}; location / { return 200 'here'; } }"));
    let folder = tempfile::tempdir().unwrap();
    let mut child = replay(&format!("http://{}", nginx.address()), folder.path());
    let mut stdin = child.stdin.take().unwrap();
    // `REPLAY_MIB=240` sends a capture of another size.
    let size = std::env::var("REPLAY_MIB").map_or(24, |asked| asked.parse().unwrap());
    let written = generator::write(Shape::Crowded, size * MIB, &mut stdin).unwrap();
    let peak = peak(child.id());
    drop(stdin);
    // Every answer differs from v1's.
    assert_eq!(child.wait().unwrap().code(), Some(1));
    println!("replay: {} MiB for {written:?}", peak / MIB);
    assert!(peak < 100 * MIB, "{} MiB for {written:?}", peak / MIB);
    let summary: Value =
        serde_json::from_slice(&fs::read(folder.path().join("run/summary.json")).unwrap()).unwrap();
    assert_eq!(summary["exchanges"]["replayed"], written.exchanges);
}

#[test]
fn a_replay_to_a_v2_that_hangs_stops_reading_and_stays_small() {
    let v2 = RawServer::start(Script::new(|_| Reply::hang()));
    let folder = tempfile::tempdir().unwrap();
    let mut child = replay(&v2.url(), folder.path());
    let taken = Arc::new(AtomicU64::new(0));
    let stdin = Counting(child.stdin.take().unwrap(), Arc::clone(&taken));
    // Far more than it may hold: this ends when the program does.
    let writing = std::thread::spawn(move || {
        let mut stdin = stdin;
        generator::write(Shape::Crowded, 4096 * MIB, &mut stdin).map(|_| ())
    });
    v2.wait_for_requests(128);
    // It has stopped reading when a while goes by without a byte.
    let mut before = u64::MAX;
    while before != taken.load(Ordering::Relaxed) {
        before = taken.load(Ordering::Relaxed);
        std::thread::sleep(Duration::from_secs(1));
    }
    let peak = peak(child.id());
    child.kill().unwrap();
    child.wait().unwrap();
    assert_eq!(writing.join().unwrap().unwrap_err().kind(), io::ErrorKind::BrokenPipe);
    println!("hanging: {} MiB after {} MiB", peak / MIB, before / MIB);
    assert!(peak < 100 * MIB, "{} MiB", peak / MIB);
    assert_eq!(v2.requests().len(), 128, "no more than are allowed at once");
}

#[test]
fn uploads_larger_than_the_memory_that_a_replay_may_take_pass_through_it() {
    const MIB_EACH: usize = 120;
    let (address, serving) = uploads::server(2);
    let folder = tempfile::tempdir().unwrap();
    let mut child = replay(&format!("http://{address}"), folder.path());
    let mut stdin = child.stdin.take().unwrap();
    uploads::write(2, MIB_EACH, &mut stdin);
    let seen = serving.join().unwrap();
    assert_eq!(seen, [MIB_EACH << 20; 2]);
    // It waits for more.
    let peak = peak(child.id());
    drop(stdin);
    assert_eq!(child.wait().unwrap().code(), Some(0));
    println!("uploads: {} MiB", peak / MIB);
    assert!(peak < 100 * MIB, "{} MiB", peak / MIB);
}

#[test]
fn uploads_to_a_v2_that_reads_nothing_wait_on_disk() {
    const COUNT: u16 = 64;
    let (address, connected) = uploads::deaf();
    let folder = tempfile::tempdir().unwrap();
    let mut child = replay_with(&format!("http://{address}"), folder.path(), &["--max-body", "64KiB"]);
    let mut stdin = child.stdin.take().unwrap();
    uploads::write(COUNT, 2, &mut stdin);
    (0..COUNT).for_each(|_| connected.recv().unwrap());
    // All is written that the sockets take, when it holds no more than a while ago.
    let mut before = 0;
    while before < peak(child.id()) {
        before = peak(child.id());
        std::thread::sleep(Duration::from_millis(500));
    }
    child.kill().unwrap();
    child.wait().unwrap();
    drop(stdin);
    println!("not read: {} MiB", before / MIB);
    assert!(before < 90 * MIB, "{} MiB, where the bodies are {}", before / MIB, 2 * COUNT);
}

/// How many packets an attack has: some ten thousand, so that the suite stays fast; any other number by
/// `HOSTILE_PACKETS=10000000`.
fn packets(usual: u32) -> u32 {
    std::env::var("HOSTILE_PACKETS").map_or(usual, |asked| asked.parse().unwrap())
}

/// Twice the attack takes no more memory, and every packet and byte of it is accounted for.
fn assert_bounded(attack: Attack, count: u32) -> Value {
    let folder = tempfile::tempdir().unwrap();
    let peaks = [count / 2, count].map(|count| {
        let arguments = ["--memory", "16MiB"];
        // What the allocator and the program take beside what is counted.
        let most = 16 * MIB * 3 / 2 + 40 * MIB;
        let write = |stdin: &mut ChildStdin| hostile::write(attack, count, stdin).unwrap();
        let ((), peak, document) = inspect_what(&arguments, write, folder.path());
        println!("{attack:?}, {count} packets: {} MiB", peak / MIB);
        assert!(peak < most, "{attack:?}: {} MiB", peak / MIB);
        assert_eq!(document["imbalances"], serde_json::json!([]), "{attack:?}");
        (peak, document)
    });
    let [(half, _), (whole, document)] = peaks;
    assert!(whole < half + 6 * MIB, "{attack:?}: {} MiB, {} MiB for twice as much", half / MIB, whole / MIB);
    document
}

#[test]
fn a_flood_of_syns_takes_no_more_memory_the_longer_it_lasts() {
    let count = packets(200_000);
    let document = assert_bounded(Attack::SynFlood, count);
    assert_eq!(document["connections"]["empty"], count, "{document:#}");
}

#[test]
fn connections_that_never_end_are_given_up_and_their_requests_told() {
    let count = packets(60_000);
    let document = assert_bounded(Attack::OpenConnections, count);
    assert_eq!(document["http"]["exchanges"], count, "{document:#}");
}

#[test]
fn a_process_with_more_open_connections_than_the_budget_holds_stays_within_the_budget() {
    let folder = tempfile::tempdir().unwrap();
    let inspect = |count| {
        let write = |stdin: &mut ChildStdin| hostile::write(Attack::OpenConnections, count, stdin).unwrap();
        inspect_what(&["--memory", "128MiB"], write, folder.path())
    };
    // What the program itself takes is another matter without optimization: there is room for a 32nd of the budget. So
    // many do not fit into the pipe: it has begun to read.
    let ((), itself, _) = inspect(3_000);
    // There is room for some 70,000.
    let count = 80_000;
    let ((), peak, document) = inspect(count);
    println!("{count} open connections within 128 MiB: {} MiB, {} for few", peak / MIB, itself / MIB);
    assert!(peak - itself < 124 * MIB, "{} MiB, {} for few", peak / MIB, itself / MIB);
    assert!(document["anomalies"]["evicted"].as_u64().is_some_and(|evicted| evicted > 0), "{document:#}");
    assert_eq!(document["http"]["exchanges"], count);
    assert_eq!(document["imbalances"], serde_json::json!([]));
}

#[test]
fn a_hole_that_never_fills_takes_no_more_memory_the_more_stands_behind_it() {
    assert_bounded(Attack::HoleThatNeverFills, packets(60_000));
}

#[test]
fn empty_lines_byte_by_byte_are_counted_in_the_budget() {
    // Each byte weighs fifty while it waits: the budget is reached with some 400,000 of them (`HOSTILE_PACKETS`).
    let count = packets(150_000);
    let document = assert_bounded(Attack::BlanksByteByByte, count);
    assert_eq!(document["connections"]["unknown"], count / 500, "{document:#}");
}

#[test]
fn interim_answers_without_end_take_no_more_memory_the_longer_they_come() {
    let document = assert_bounded(Attack::InterimForEver, packets(20_000));
    assert_eq!(document["http"]["exchanges"], 1, "{document:#}");
}

/// Bodies are kept where they will be sent: here by a replay of which nothing is sent.
#[test]
fn bodies_in_chunks_of_a_byte_are_counted_in_the_budget() {
    let count = packets(100_000);
    let folder = tempfile::tempdir().unwrap();
    let mut child = Command::new(program())
        .args(["replay", "--quiet", "-", "--dry-run", "--to", "http://127.0.0.1:9", "--memory", "16MiB"])
        .current_dir(folder.path())
        .stdin(Stdio::piped())
        .stdout(Stdio::null())
        .spawn()
        .unwrap();
    let mut stdin = child.stdin.take().unwrap();
    hostile::write(Attack::OneByteChunks, count, &mut stdin).unwrap();
    let peak = peak(child.id());
    drop(stdin);
    child.wait().unwrap();
    println!("one-byte chunks, {count} packets: {} MiB", peak / MIB);
    assert!(peak < 16 * MIB * 3 / 2 + 40 * MIB, "{} MiB", peak / MIB);
}

#[test]
fn a_body_without_end_takes_no_more_memory_the_longer_it_lasts() {
    let count = packets(60_000);
    let document = assert_bounded(Attack::BoundlessBody, count);
    assert_eq!(document["http"]["exchanges"], 1, "{document:#}");
}
