//! Reading holds connections and unfinished messages, never the file.

#![cfg(all(feature = "cli", target_os = "linux"))]
#![allow(clippy::unwrap_used, unreachable_pub, dead_code, reason = "a test says what broke by panicking")]

#[path = "benches/generator.rs"]
mod generator;

use std::fs::{self, File};
use std::path::Path;
use std::process::{Command, Stdio};

use generator::{Shape, Written};
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
    let output = folder.join("output.json");
    let mut child = Command::new(env!("CARGO_BIN_EXE_shadowcap"))
        .args(["inspect", "--quiet", "--format", "json", "-"])
        .stdin(Stdio::piped())
        .stdout(File::create(&output).unwrap())
        .spawn()
        .unwrap();
    let mut stdin = child.stdin.take().unwrap();
    let written = generator::write(shape, size, &mut stdin).unwrap();
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
