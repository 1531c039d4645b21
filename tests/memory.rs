//! Reading holds connections and unfinished messages, never the file.

#![cfg(all(feature = "cli", target_os = "linux"))]
#![allow(clippy::unwrap_used, unreachable_pub, dead_code, reason = "a test says what broke by panicking")]

#[path = "benches/generator.rs"]
mod generator;
#[path = "memory/hostile.rs"]
mod hostile;

use std::fs::{self, File};
use std::path::Path;
use std::process::{ChildStdin, Command, Stdio};

use generator::{Shape, Written};
use hostile::Attack;
use serde_json::Value;

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
    let mut child = Command::new(env!("CARGO_BIN_EXE_shadowcap"))
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
        let write = |stdin: &mut ChildStdin| hostile::write(attack, count, stdin).unwrap();
        let ((), peak, document) = inspect_what(&arguments, write, folder.path());
        println!("{attack:?}, {count} packets: {} MiB", peak / MIB);
        assert!(peak < 96 * MIB, "{attack:?}: {} MiB", peak / MIB);
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
fn a_hole_that_never_fills_takes_no_more_memory_the_more_stands_behind_it() {
    assert_bounded(Attack::HoleThatNeverFills, packets(60_000));
}

#[test]
fn a_body_without_end_takes_no_more_memory_the_longer_it_lasts() {
    let count = packets(60_000);
    let document = assert_bounded(Attack::BoundlessBody, count);
    assert_eq!(document["http"]["exchanges"], 1, "{document:#}");
}
