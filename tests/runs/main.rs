//! Runs through the program itself: what they choose, when they send, and what becomes of them when they are killed,
//! stopped or starved.

#![cfg(feature = "cli")]
#![allow(clippy::unwrap_used, clippy::panic, reason = "a test says what broke by panicking")]

#[macro_use]
#[path = "../support/mod.rs"]
mod support;

/// Bodies that are too large to be kept in memory.
mod bodies;
/// What is done when v2 is not there, or there is nothing to be sent.
mod care;
/// Which requests are sent, and with what.
mod choice;
/// Recordings of other versions.
mod formats;
/// Killed at any moment, and gone on with.
mod killed;
/// Captures made to order.
mod made;
/// Gone on with after a stop, or refused.
mod resumed;
/// When requests leave.
mod schedule;
/// Disks, clocks and servers that fail.
mod starved;
/// What only a target over TLS has.
mod tls;
/// What is done about a difference as the page says.
mod told_apart;
/// What differs asked again, of v2 and of v1 as it is now.
mod verified;

use std::collections::{BTreeMap, HashSet};
use std::path::Path;

use serde_json::Value;
use support::{Finished, RawServer, Script, Shadowcap};

/// A v2 that answers as the captures' v1 did.
fn same_v2() -> RawServer {
    RawServer::start(Script::new(|_| made::answer()))
}

/// `shadowcap replay a.pcap --to URL --out run ...` with this capture.
fn replay(url: &str, capture: &[u8], arguments: &[&str]) -> Shadowcap {
    let program = Shadowcap::new([&["replay", "a.pcap", "--to", url, "--out", "run"], arguments].concat());
    std::fs::write(program.folder().join("a.pcap"), capture).unwrap();
    program
}

/// The same, going on with the run in this folder.
fn resume(url: &str, folder: &Path, arguments: &[&str]) -> Shadowcap {
    Shadowcap::new(["replay", "--to", url])
        .arg(folder.join("a.pcap"))
        .arg("--resume")
        .arg(folder.join("run"))
        .args(arguments)
}

/// The summary of the run in this folder, in which every row is accounted for.
#[track_caller]
fn summary(folder: &Path) -> Value {
    let text = std::fs::read_to_string(folder.join("run/summary.json")).unwrap();
    let summary: Value = serde_json::from_str(&text).unwrap();
    let schema: Value = serde_json::from_str(include_str!("../../src/report/summary.schema.json")).unwrap();
    let validator = jsonschema::validator_for(&schema).unwrap();
    let errors: Vec<_> =
        validator.iter_errors(&summary).map(|e| format!("{}: {e}", e.instance_path())).collect();
    assert!(errors.is_empty(), "{errors:#?}\n{summary:#}");
    let sum = |counts: &Value| counts.as_object().unwrap().values().map(|n| n.as_u64().unwrap()).sum::<u64>();
    let exchanges = &summary["exchanges"];
    let replayed = exchanges["replayed"].as_u64().unwrap();
    assert_eq!(exchanges["captured"], replayed + sum(&exchanges["skipped"]), "{summary:#}");
    assert_eq!(replayed, sum(&summary["verdicts"]), "{summary:#}");
    assert_eq!(rows(folder).len() as u64, exchanges["captured"].as_u64().unwrap());
    summary
}

/// The rows of `exchanges.csv`, each by its columns.
fn rows(folder: &Path) -> Vec<BTreeMap<String, String>> {
    let mut csv = csv::Reader::from_path(folder.join("run/exchanges.csv")).unwrap();
    csv.deserialize().map(Result::unwrap).collect()
}

/// What of a report does not depend on when the run was made, or where.
fn timeless(folder: &Path) -> (Value, Vec<BTreeMap<String, String>>) {
    let mut summary = summary(folder);
    let object = summary.as_object_mut().unwrap();
    for name in ["started", "finished", "latency", "lateness", "since_due", "connect", "captures", "targets"]
    {
        object.remove(name);
    }
    object["capture"].as_object_mut().unwrap().remove("files");
    for route in object["routes"].as_array_mut().unwrap() {
        route.as_object_mut().unwrap().remove("latency");
    }
    let mut rows = rows(folder);
    for row in &mut rows {
        for name in ["v2_ms", "late_ms", "first_byte_ms", "connect_ms"] {
            row.remove(name);
        }
    }
    rows.sort();
    (summary, rows)
}

/// Asserts the exit status, and that nothing panicked.
#[track_caller]
fn ends(finished: &Finished, code: i32) {
    finished.exits(code);
    assert!(!finished.stderr.contains("panicked"), "{finished}");
}

/// The request target of a request as it arrived.
fn target(bytes: &[u8]) -> String {
    String::from_utf8_lossy(bytes).split(' ').nth(1).unwrap_or_default().to_owned()
}

/// The request targets that arrived, in order.
fn targets(server: &RawServer) -> Vec<String> {
    server.requests().iter().map(|request| target(&request.bytes)).collect()
}

/// Asserts that no request arrived twice.
#[track_caller]
fn none_came_twice(server: &RawServer) {
    let all = targets(server);
    assert_eq!(all.iter().collect::<HashSet<_>>().len(), all.len(), "{all:?}");
}

/// Waits until a file is there.
fn wait_for_file(path: &Path) {
    let deadline = std::time::Instant::now() + support::PATIENCE;
    while !path.exists() {
        assert!(std::time::Instant::now() < deadline, "{} did not come", path.display());
        std::thread::sleep(std::time::Duration::from_millis(5));
    }
}
