//! Captures beside what Wireshark's tools make of them.

#![cfg(feature = "cli")]
#![allow(clippy::unwrap_used, reason = "a test's helpers fail the test")]

#[macro_use]
mod support;

use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

use shadowcap::capture::synth::Conversation;
use shadowcap::capture::{CaptureSet, Format, Input, PacketSource, PcapngWriter};
use shadowcap::packet::LinkType;
use shadowcap::time::Timestamp;
use support::require_tool;

/// What a tool prints.
fn tool(name: &str, arguments: &[&str]) -> String {
    let output = Command::new(name).args(arguments).output().unwrap();
    let stderr = String::from_utf8_lossy(&output.stderr);
    assert!(output.status.success(), "{name} {arguments:?}: {}\n{stderr}", output.status);
    String::from_utf8(output.stdout).unwrap()
}

/// Time, link type, original length and bytes.
type Read = (i64, LinkType, u32, Vec<u8>);

/// Each packet, and the set that it came from.
fn packets(paths: &[PathBuf]) -> (Vec<Read>, CaptureSet) {
    let inputs: Vec<_> = paths.iter().map(Input::parse).collect();
    let mut set = CaptureSet::open(&inputs).unwrap();
    let mut packets = Vec::new();
    while let Some(packet) = set.next_packet().unwrap() {
        packets.push((packet.at.as_nanos(), packet.link, packet.original_len, packet.data.to_vec()));
    }
    (packets, set)
}

/// A capture of a conversation, in microseconds that every format holds.
fn conversation(path: &Path, client: &str, start_micros: i64) {
    let start = Timestamp::from_nanos(start_micros * 1000);
    let mut talk = Conversation::new(client.parse().unwrap(), "192.0.2.2:80".parse().unwrap(), start);
    talk.open();
    for _ in 0..20 {
        talk.client_sends(b"GET / HTTP/1.1\r\nHost: a\r\n\r\n");
        talk.server_sends(&[b'x'; 3000]);
    }
    talk.close();
    let mut writer = PcapngWriter::new(fs::File::create(path).unwrap()).unwrap();
    for frame in talk.take_frames() {
        writer.write(&frame.packet(1)).unwrap();
    }
    writer.finish().unwrap();
}

#[test]
fn every_format_that_editcap_writes_reads_the_same() {
    or_skip!(require_tool("editcap", "-h"));
    let folder = tempfile::tempdir().unwrap();
    let original = folder.path().join("original.pcapng");
    conversation(&original, "192.0.2.1:4000", 1_700_000_000_123_456);
    let (expected, _) = packets(std::slice::from_ref(&original));
    for (name, format) in [
        ("pcap", Format::Pcap),
        ("nsecpcap", Format::PcapNanos),
        ("modpcap", Format::PcapModified),
        ("pcapng", Format::Pcapng),
    ] {
        let converted = folder.path().join(name);
        let [from, to] = [&original, &converted].map(|path| path.to_str().unwrap());
        tool("editcap", &["-F", name, from, to]);
        let (read, set) = packets(&[converted]);
        assert!(read == expected, "{name}: {} packets of {}", read.len(), expected.len());
        assert_eq!(set.stats().files[0].format, format);
    }
}

#[test]
fn a_merged_set_is_what_mergecap_writes() {
    or_skip!(require_tool("mergecap", "-h"));
    let folder = tempfile::tempdir().unwrap();
    let paths: Vec<_> = ["a", "b", "c"].iter().map(|name| folder.path().join(name)).collect();
    for (path, (client, start)) in paths.iter().zip([
        ("192.0.2.1:4000", 1_700_000_000_000_300),
        ("192.0.2.1:4001", 1_700_000_000_000_004),
        ("192.0.2.1:4002", 1_700_000_000_005_000),
    ]) {
        conversation(path, client, start);
    }
    let merged = folder.path().join("merged");
    let mut arguments = vec!["-w", merged.to_str().unwrap()];
    arguments.extend(paths.iter().map(|path| path.to_str().unwrap()));
    tool("mergecap", &arguments);
    assert!(packets(&paths).0 == packets(&[merged]).0);
}

#[test]
fn the_packets_are_as_many_as_capinfos_counts() {
    or_skip!(require_tool("capinfos", "-h"));
    let mut captures = Vec::new();
    for folder in ["captures", "../shared/captures", "../shared/corpus"] {
        find(&Path::new(env!("CARGO_MANIFEST_DIR")).join(folder), &mut captures);
    }
    for path in captures {
        let table = tool("capinfos", &["-c", "-M", "-T", "-r", path.to_str().unwrap()]);
        let counted: usize = table.trim().rsplit('\t').next().unwrap().parse().unwrap();
        let (read, _) = packets(std::slice::from_ref(&path));
        assert_eq!(read.len(), counted, "{}", path.display());
    }
}

fn find(folder: &Path, captures: &mut Vec<PathBuf>) {
    for entry in fs::read_dir(folder).into_iter().flatten().flatten() {
        let path = entry.path();
        let name = path.to_string_lossy();
        if path.is_dir() {
            find(&path, captures);
        } else if [".pcap", ".pcapng", ".cap", ".gz", ".zst"].iter().any(|end| name.ends_with(end)) {
            captures.push(path);
        }
    }
}
