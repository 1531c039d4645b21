//! What goes wrong, through the program itself: what it says, how it ends, and what it leaves behind.

#![cfg(feature = "cli")]
#![allow(clippy::unwrap_used, reason = "a test says what broke by panicking")]

#[macro_use]
mod support;

/// Captures made to order.
#[path = "bad_input/made.rs"]
mod made;

/// Captures that cannot be read, or not whole.
#[path = "bad_input/capture.rs"]
mod capture;

/// Places that cannot be written, and recordings that cannot be read.
#[path = "bad_input/output.rs"]
mod output;

/// Runs that are stopped.
#[path = "bad_input/stopping.rs"]
mod stopping;

/// Targets that do not answer as a server should.
#[path = "bad_input/target.rs"]
mod target;

/// Words of the command line that cannot be meant.
#[path = "bad_input/usage.rs"]
mod usage;

use std::collections::HashSet;
use std::path::Path;

use serde_json::Value;
use support::{Finished, RawServer, Reply, Script, Shadowcap};

/// A v2 that answers as the captures' v1 did.
fn same_v2() -> RawServer {
    RawServer::start(Script::new(|_| made::answer()))
}

/// `shadowcap replay ... --to URL --out run`.
fn replay(url: &str, arguments: &[&str]) -> Shadowcap {
    Shadowcap::new([&["replay", "--to", url, "--out", "run"], arguments].concat())
}

/// Puts a file into the folder in which the program will run.
fn with_file(program: Shadowcap, name: &str, bytes: &[u8]) -> Shadowcap {
    let path = program.folder().join(name);
    std::fs::create_dir_all(path.parent().unwrap()).unwrap();
    std::fs::write(path, bytes).unwrap();
    program
}

/// Asserts the exit status, and what holds of every end: no panic, and no escape sequences where `NO_COLOR` is set.
#[track_caller]
fn ends(finished: &Finished, code: i32) {
    finished.exits(code);
    for text in [&finished.stdout, &finished.stderr] {
        assert!(!text.contains("panicked"), "{finished}");
        assert!(!text.contains('\x1b'), "{finished}");
    }
}

/// Asserts that it ended with this status, said all of `parts` on stderr, and left nothing behind.
#[track_caller]
fn refuses(finished: &Finished, code: i32, parts: &[&str]) {
    ends(finished, code);
    finished.stderr_has("error: ");
    for part in parts {
        finished.stderr_has(part);
    }
    assert!(!finished.folder().join("run").exists(), "a folder was left behind\n{finished}");
}

/// The run's summary, which is of the published form, and in which every row is accounted for.
#[track_caller]
fn summary(finished: &Finished) -> Value {
    summary_in(finished, Path::new("run"))
}

#[track_caller]
fn summary_in(finished: &Finished, folder: &Path) -> Value {
    let summary: Value = serde_json::from_str(&finished.file(folder.join("summary.json"))).unwrap();
    let schema: Value = serde_json::from_str(include_str!("../src/report/summary.schema.json")).unwrap();
    let validator = jsonschema::validator_for(&schema).unwrap();
    let errors: Vec<_> =
        validator.iter_errors(&summary).map(|e| format!("{}: {e}", e.instance_path())).collect();
    assert!(errors.is_empty(), "{errors:#?}\n{summary:#}");
    let sum = |counts: &Value| counts.as_object().unwrap().values().map(|n| n.as_u64().unwrap()).sum::<u64>();
    let exchanges = &summary["exchanges"];
    let replayed = exchanges["replayed"].as_u64().unwrap();
    assert_eq!(exchanges["captured"], replayed + sum(&exchanges["skipped"]), "{summary:#}");
    assert_eq!(replayed, sum(&summary["verdicts"]), "{summary:#}");
    let csv = finished.file(folder.join("exchanges.csv"));
    assert_eq!(csv.lines().count() as u64 - 1, exchanges["captured"].as_u64().unwrap(), "{csv}");
    summary
}

/// The reasons of the verdict as one text.
fn reasons(summary: &Value) -> String {
    let reasons = summary["reasons"].as_array().unwrap();
    reasons.iter().map(|reason| reason.as_str().unwrap()).collect::<Vec<_>>().join("\n")
}

/// The request targets that arrived, in order.
fn targets(server: &RawServer) -> Vec<String> {
    let target =
        |bytes: &[u8]| String::from_utf8_lossy(bytes).split(' ').nth(1).unwrap_or_default().to_owned();
    server.requests().iter().map(|request| target(&request.bytes)).collect()
}

/// Asserts that no request arrived twice.
#[track_caller]
fn none_came_twice(server: &RawServer) {
    let all = targets(server);
    assert_eq!(all.iter().collect::<HashSet<_>>().len(), all.len(), "{all:?}");
}

/// An answer that differs from v1's.
fn other_answer() -> Reply {
    Reply::status(500, "no")
}
