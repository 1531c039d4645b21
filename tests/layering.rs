//! Who may import whom: the house's rules, checked on the sources.
//!
//! When this fails, move the code. Change the table only when the design itself changes.

#![allow(clippy::unwrap_used, reason = "a test says what broke by panicking")]

#[path = "layering/paths.rs"]
mod paths;

use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

use paths::{NamedPath, named_paths};

/// A module of the crate and the modules that it may name, besides itself. In pipeline order.
const MAY_NAME: &[(&str, &[&str])] = &[
    ("time", &[]),
    ("anomaly", &[]),
    ("packet", &["time", "anomaly"]),
    ("capture", &["time", "anomaly", "packet"]),
    ("wire", &["time", "anomaly", "packet"]),
    ("stream", &["time", "anomaly", "packet", "wire"]),
    ("http", &["time", "anomaly"]),
    ("exchange", &["time", "anomaly", "stream", "http"]),
    ("route", &["time", "anomaly", "stream", "http", "exchange"]),
    ("expression", &[]),
    ("replay", &["time", "anomaly", "stream", "http", "exchange", "route", "expression"]),
    ("diff", &["time", "anomaly", "http"]),
    ("record", &["time", "anomaly", "packet", "stream", "http", "exchange", "route", "replay", "diff"]),
    (
        "report",
        &[
            "time",
            "anomaly",
            "packet",
            "stream",
            "http",
            "exchange",
            "route",
            "expression",
            "replay",
            "diff",
            "record",
        ],
    ),
    (
        "demo",
        &["time", "anomaly", "packet", "capture", "wire", "stream", "http", "exchange", "route", "replay"],
    ),
    (
        "config",
        &[
            "time",
            "anomaly",
            "packet",
            "capture",
            "wire",
            "stream",
            "http",
            "exchange",
            "route",
            "replay",
            "diff",
            "record",
            "report",
            "expression",
        ],
    ),
    (
        "pipeline",
        &[
            "time",
            "anomaly",
            "packet",
            "capture",
            "wire",
            "stream",
            "http",
            "exchange",
            "route",
            "replay",
            "diff",
            "record",
            "report",
            "config",
            "expression",
        ],
    ),
    (
        "cli",
        &[
            "time", "anomaly", "packet", "capture", "wire", "stream", "http", "exchange", "route", "replay",
            "diff", "record", "report", "demo", "config", "pipeline",
        ],
    ),
];

/// The modules that turn bytes and captured time into values, and do nothing else.
const SANS_IO: &[&str] =
    &["time", "anomaly", "packet", "wire", "stream", "http", "exchange", "route", "diff"];

/// Paths that a sans-IO module never names. Addresses (`SocketAddr`, `IpAddr`) are values and fine.
const IO_PATHS: &[&str] = &[
    "tokio",
    "clap",
    "pcap",
    "reqwest",
    "rustls",
    "socket2",
    "indicatif",
    "tracing",
    "anyhow",
    "std::fs",
    "std::env",
    "std::process",
    "std::thread",
    "std::os",
    "std::io::stdin",
    "std::io::stdout",
    "std::io::stderr",
];

/// Names that a sans-IO module never says, whatever the path they come by.
const IO_NAMES: &[&str] = &[
    "Instant",
    "SystemTime",
    "TcpStream",
    "TcpListener",
    "UdpSocket",
    "UnixStream",
    "UnixListener",
    "ToSocketAddrs",
    "OpenOptions",
];

fn allowed(module: &str) -> Option<&'static [&'static str]> {
    MAY_NAME.iter().find(|(name, _)| *name == module).map(|(_, allowed)| *allowed)
}

/// What is wrong in one source file. `file` is relative to `src/`.
fn violations(file: &Path, source: &str) -> Vec<String> {
    let home = module_path(file);
    let Some(module) = home.first().cloned() else { return Vec::new() };
    let Some(allowed) = allowed(&module) else {
        return vec![format!("{}: the module `{module}` is not in the table of this test", file.display())];
    };
    let mut found = Vec::new();
    for path in named_paths(source) {
        let at = format!("{}:{}", file.display(), path.line);
        if let Some(other) = crate_module(&home, &path)
            && other != module
            && !allowed.contains(&other.as_str())
        {
            found.push(format!("{at}: `{module}` may not name `crate::{other}`"));
        }
        if SANS_IO.contains(&module.as_str())
            && let Some(name) = io_name(&path)
        {
            found.push(format!("{at}: `{module}` is sans-IO and may not name `{name}`"));
        }
    }
    found
}

/// The path of the module that a file holds: `http/body.rs` is `["http", "body"]`, `lib.rs` is empty.
fn module_path(file: &Path) -> Vec<String> {
    let mut path: Vec<String> =
        file.with_extension("").iter().map(|part| part.to_string_lossy().into_owned()).collect();
    if path.last().is_some_and(|last| last == "mod") {
        path.pop();
    }
    if matches!(path.as_slice(), [root] if root == "lib" || root == "main") {
        path.clear();
    }
    path
}

/// The crate's module that a path leads to, if it leads into the crate at all.
fn crate_module(home: &[String], path: &NamedPath) -> Option<String> {
    let supers = path.segments.iter().take_while(|segment| *segment == "super").count();
    if supers > 0 {
        let mut absolute: Vec<&String> = home.iter().take(home.len().saturating_sub(supers)).collect();
        absolute.extend(&path.segments[supers..]);
        return absolute.first().map(|first| (*first).clone());
    }
    match path.segments.as_slice() {
        [root, module, ..] if root == "crate" => Some(module.clone()),
        _ => None,
    }
}

fn io_name(path: &NamedPath) -> Option<String> {
    let joined = path.segments.join("::");
    let by_path = IO_PATHS.iter().find(|io| joined == **io || joined.starts_with(&format!("{io}::")));
    let by_name = || path.segments.iter().find(|segment| IO_NAMES.contains(&segment.as_str()));
    // `Timestamp::now` of whatever crate; a variable `now` holds captured time.
    let asks_a_clock = || (path.segments.len() > 1 && path.segments.last()? == "now").then(|| joined.clone());
    by_path.map(ToString::to_string).or_else(|| by_name().cloned()).or_else(asks_a_clock)
}

fn rust_files(folder: &Path) -> Vec<PathBuf> {
    let mut files = Vec::new();
    for entry in fs::read_dir(folder).unwrap() {
        let path = entry.unwrap().path();
        if path.is_dir() {
            files.extend(rust_files(&path));
        } else if path.extension().is_some_and(|extension| extension == "rs") {
            files.push(path);
        }
    }
    files
}

#[test]
fn no_module_names_what_it_must_not_know() {
    let src = Path::new(env!("CARGO_MANIFEST_DIR")).join("src");
    let files = rust_files(&src);
    assert!(files.len() > 10, "the sources were not found under {}", src.display());
    let found: Vec<String> = files
        .iter()
        .filter(|file| !is_test_file(file))
        .flat_map(|file| violations(file.strip_prefix(&src).unwrap(), &fs::read_to_string(file).unwrap()))
        .collect();
    assert!(found.is_empty(), "\n{}\n", found.join("\n"));
}

/// `#[cfg(test)] mod tests;` in a file of its own: tests may use what they like.
fn is_test_file(file: &Path) -> bool {
    file.iter().any(|part| part == "tests.rs" || part == "tests")
}

#[test]
fn the_checker_sees_every_kind_of_violation() {
    let cases = [
        ("http/body.rs", "use crate::wire::Segment;", "http/body.rs:1: `http` may not name `crate::wire`"),
        (
            "http/mod.rs",
            "\nuse crate::{time::Timestamp, stream};",
            "http/mod.rs:2: `http` may not name `crate::stream`",
        ),
        ("http/mod.rs", "use super::stream::Chunk;", "http/mod.rs:1: `http` may not name `crate::stream`"),
        ("http/body.rs", "fn f() { super::super::cli::g() }", "`http` may not name `crate::cli`"),
        ("diff/mod.rs", "fn f(e: &crate::exchange::Exchange) {}", "`diff` may not name `crate::exchange`"),
        ("route/table.rs", "pub(crate) use crate::replay::*;", "`route` may not name `crate::replay`"),
        ("report/mod.rs", "use crate::config::Config;", "`report` may not name `crate::config`"),
        ("pipeline.rs", "use crate::cli;", "`pipeline` may not name `crate::cli`"),
        ("record/mod.rs", "use crate::*;", "`record` may not name `crate::*`"),
        ("secrets.rs", "", "the module `secrets` is not in the table"),
        ("wire/tcp.rs", "use std::{io, fs::File};", "`wire` is sans-IO and may not name `std::fs`"),
        ("stream/table.rs", "use std::time::{Duration, Instant};", "may not name `Instant`"),
        ("stream/table.rs", "use std::time; fn f() { time::Instant::now(); }", "may not name `Instant`"),
        ("stream/table.rs", "fn f() { jiff::Timestamp::now(); }", "may not name `jiff::Timestamp::now`"),
        ("route/mod.rs", "#[tokio::test]\nasync fn f() {}", "may not name `tokio`"),
        ("http/mod.rs", "use ::tokio::io;", "may not name `tokio`"),
        ("exchange.rs", "use std::net::{IpAddr, TcpStream};", "may not name `TcpStream`"),
        ("diff/json.rs", "use clap::Parser;", "may not name `clap`"),
        ("diff/mod.rs", "#[cfg(test)] mod tests { } use crate::cli;", "`diff` may not name `crate::cli`"),
    ];
    for (file, source, expected) in cases {
        let found = violations(Path::new(file), source).join("\n");
        assert!(found.contains(expected), "{file}: {source:?}\n  expected {expected:?}\n  found {found:?}");
    }
}

#[test]
fn the_checker_is_quiet_about_what_is_allowed() {
    let cases = [
        ("http/body.rs", "use super::Head; use super::super::time::Timestamp; use crate::http::Version;"),
        ("wire/tcp.rs", "use std::net::{IpAddr, SocketAddr}; use std::time::Duration;"),
        ("wire/tcp.rs", "// use tokio::net;\n/* crate::cli /* nested */ */ const S: &str = \"crate::cli\";"),
        (
            "wire/tcp.rs",
            "const R: &str = r#\"std::fs \" tokio::x\"#; const Q: char = '\"'; use crate::time::T;",
        ),
        ("wire/tcp.rs", "#[cfg(test)]\nmod tests { use std::fs; use crate::capture; fn f() { {} } }"),
        ("stream/table.rs", "fn f(now: Timestamp) { g(now, self.now) }"),
        ("wire/tcp.rs", "fn f<'a>(fs: &'a str) { self.now(); packet.fs(); crate::wire::g(); }"),
        ("cli/mod.rs", "use tokio::net::TcpStream; use crate::{config, pipeline, report};"),
        ("lib.rs", "pub mod anything; pub use cli::run;"),
    ];
    for (file, source) in cases {
        let found = violations(Path::new(file), source);
        assert!(found.is_empty(), "{file}: {source:?}\n  {}", found.join("\n"));
    }
}

#[test]
fn the_core_depends_on_no_runtime_no_command_line_and_no_c_capture_library() {
    let output = Command::new(env!("CARGO"))
        .args([
            "tree",
            "--locked",
            "--offline",
            "--edges",
            "normal",
            "--prefix",
            "none",
            "--no-default-features",
        ])
        .current_dir(env!("CARGO_MANIFEST_DIR"))
        .output()
        .unwrap();
    let tree = String::from_utf8_lossy(&output.stdout);
    assert!(output.status.success(), "cargo tree: {}", String::from_utf8_lossy(&output.stderr));
    let crates: Vec<&str> = tree.lines().filter_map(|line| line.split(' ').next()).collect();
    assert!(crates.contains(&"shadowcap") && crates.contains(&"etherparse"), "not a tree of ours:\n{tree}");
    for unwanted in ["tokio", "clap", "pcap", "reqwest", "rustls", "indicatif", "anyhow", "tracing"] {
        assert!(!crates.contains(&unwanted), "the core depends on {unwanted}:\n{tree}");
    }
}
