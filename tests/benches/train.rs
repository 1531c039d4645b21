//! Puts a program that counts to work, so that it can be built by what was counted: `train PROGRAM`.
//! `deploy/build-by-profile` runs it.
//!
//! The work is what the program is for: captures of small messages, of large answers, and of JSON that differs, read and
//! sent to servers that answer alike and otherwise, with everything kept and with nothing, and reported again.

#![allow(
    clippy::expect_used,
    clippy::unwrap_used,
    unreachable_pub,
    dead_code,
    reason = "a tool of the build that says what broke by panicking"
)]

mod documents;
mod generator;
mod responder;

use std::ffi::OsString;
use std::fs::File;
use std::net::SocketAddr;
use std::path::Path;
use std::process::{Command, Stdio};

use generator::Shape;
use responder::Responder;

fn main() {
    let program = std::env::args_os().nth(1).expect("usage: train PROGRAM");
    let folder = tempfile::tempdir().unwrap();
    let capture = |name: &str| folder.path().join(name);
    let like_v1 = Responder::start(responder::answer()).unwrap();
    let unlike_v1 = Responder::start(responder::another_answer()).unwrap();
    for shape in [Shape::Messages, Shape::Crowded, Shape::Answers] {
        let file = capture(shape.name());
        generator::write(shape, 20_000_000, &mut File::create(&file).unwrap()).unwrap();
        run(&program, &["inspect", "--format", "json"], &file);
        for server in [&like_v1, &unlike_v1] {
            replayed(&program, folder.path(), &file, server.address(), &[]);
            replayed(
                &program,
                folder.path(),
                &file,
                server.address(),
                &["--record", "none", "--diff", "none"],
            );
        }
    }
    let file = capture("documents");
    documents::write(&mut File::create(&file).unwrap()).unwrap();
    let server = Responder::start(documents::answer(false)).unwrap();
    replayed(&program, folder.path(), &file, server.address(), &[]);
}

/// Replays a capture, and has what is kept of it reported again.
fn replayed(program: &OsString, folder: &Path, capture: &Path, server: SocketAddr, more: &[&str]) {
    let out = tempfile::tempdir_in(folder).unwrap();
    let (to, out) = (format!("http://{server}"), out.path().join("run"));
    let replay = ["replay", "--quiet", "--speed", "max", "--concurrency", "128", "--to", &to, "--out"];
    run(program, &[&replay[..], &[out.to_str().unwrap()], more].concat(), capture);
    if more.is_empty() {
        run(program, &["report", "--quiet"], Path::new(&out));
    }
}

/// Runs it to an end that speaks of the answers, and not of a failure.
fn run(program: &OsString, arguments: &[&str], last: &Path) {
    let mut command = Command::new(program);
    command.args(arguments).arg(last).stdin(Stdio::null()).stdout(Stdio::null());
    let status = command.status().unwrap();
    assert!(matches!(status.code(), Some(0 | 1 | 3)), "{command:?}: {status}");
}
