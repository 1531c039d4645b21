//! What sending costs: `shadowcap replay --speed max` beside wrk, for the same load on the same servers, one after the
//! other. `make bench` runs it; `cargo bench --bench replay -- --size 500M` with another size of the capture.
//! README.md beside this file says what the columns mean.

#![allow(
    clippy::unwrap_used,
    unreachable_pub,
    dead_code,
    reason = "a tool that says what broke by panicking"
)]

mod bare;
mod bare_sender;
mod documents;
mod generator;
mod measure;
mod responder;

use std::error::Error;
use std::fs::{self, File};
use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::time::{Duration, Instant};

use generator::Shape;
use measure::Cost;
use responder::{Nginx, Responder};

const FOLDER: &str = env!("CARGO_TARGET_TMPDIR");

/// Rounds, in each of which every program takes its turn: what else the machine does falls on all alike. Of each
/// program the round is told in which it cost least.
const ROUNDS: usize = 5;
const CONNECTIONS: &str = "128";

/// Has this program itself send a capture, by [`bare_sender`]: so its cost is that of a process like the others.
const LEAST: &str = "--least";

/// Has this program itself write a capture of a shape: Linux counts what a process held for the peak of those that it
/// starts.
const WRITE: &str = "--write";

/// One run of a program.
#[derive(Clone, Copy)]
struct Ran {
    requests: u64,
    cost: Cost,
    wall: Duration,
}

impl Ran {
    /// For a request.
    fn micros(&self) -> f64 {
        self.of_each(self.cost.cpu)
    }

    /// The share of that in user space.
    fn user_micros(&self) -> f64 {
        self.of_each(self.cost.user)
    }

    #[allow(clippy::cast_precision_loss, reason = "figures of a table")]
    fn of_each(&self, time: Duration) -> f64 {
        time.as_secs_f64() * 1e6 / self.requests as f64
    }

    #[allow(clippy::cast_precision_loss, reason = "figures of a table")]
    fn rate(&self) -> f64 {
        self.requests as f64 / self.wall.as_secs_f64()
    }
}

fn main() -> Result<(), Box<dyn Error>> {
    // cargo bench adds `--bench`.
    let arguments: Vec<String> = std::env::args().skip(1).filter(|argument| argument != "--bench").collect();
    let size = match &arguments[..] {
        [option, server, capture] if option == LEAST => {
            let connections = CONNECTIONS.parse()?;
            println!("{}", bare_sender::send(Path::new(capture), server.parse()?, connections)?);
            return Ok(());
        }
        [option, shape, size, capture] if option == WRITE => {
            let (shape, mut file): (Shape, _) = (shape.parse()?, File::create(capture)?);
            println!("{}", generator::write(shape, size.parse()?, &mut file)?.exchanges);
            return Ok(());
        }
        [] => 200_000_000,
        [option, size] if option == "--size" => generator::parse_size(size)?,
        _ => return Err("usage: cargo bench --bench replay -- [--size BYTES]".into()),
    };
    println!(
        "{:<25} {:<34} {:>10} {:>10} {:>10} {:>12} {:>9} {:>7}",
        "load, server", "", "requests", "CPU us", "of user", "requests/s", "peak MiB", "times"
    );
    // wrk's own load first; then one whose connections are many, and follow each other.
    for shape in [Shape::Steady, Shape::Messages] {
        loaded(shape, size)?;
    }
    diffing()
}

/// What sending a capture of that shape costs, beside wrk.
fn loaded(shape: Shape, size: u64) -> Result<(), Box<dyn Error>> {
    let capture = PathBuf::from(FOLDER).join("bench-replay.pcap");
    let mut command = Command::new(std::env::current_exe()?);
    command.args([WRITE, shape.name(), &size.to_string()]).arg(&capture).stdout(Stdio::piped());
    let exchanges = measure::run_and_read(command)?.1.trim().parse()?;
    let named = |server| format!("{}, {server}", shape.name());
    let responder = Responder::start(responder::answer())?;
    measured(&named("our own"), responder.address(), &capture, exchanges)?;
    for (name, nginx) in [("nginx", Nginx::like_v1()), ("nginx, 5 unlike", Nginx::unlike_v1())] {
        match nginx {
            Ok(nginx) => measured(&named(name), nginx.address(), &capture, exchanges)?,
            Err(error) => println!("{name}: {error}"),
        }
    }
    Ok(fs::remove_file(capture)?)
}

/// What comparing costs of a replay: pairs of large JSON of which few differ, with the diff and without.
fn diffing() -> Result<(), Box<dyn Error>> {
    let capture = PathBuf::from(FOLDER).join("bench-diff.pcap");
    let pairs = documents::write(&mut File::create(&capture)?)?;
    let responder = Responder::start(documents::answer(false))?;
    let mut best: [Option<Ran>; 2] = [None; 2];
    for _ in 0..ROUNDS {
        let ran = [&["--diff", "none"][..], &[]].map(|more| replay(responder.address(), &capture, more));
        for (best, ran) in best.iter_mut().zip(ran) {
            let ran = ran?;
            assert_eq!(ran.requests, pairs, "requests sent, of those in the capture");
            *best = Some(best.filter(|best| best.micros() <= ran.micros()).unwrap_or(ran));
        }
    }
    let [Some(without), Some(with)] = best else { return Err("nothing was measured".into()) };
    for (what, ran) in [("recording alone", without), ("recording and diff", with)] {
        println!(
            "{:<25} {what:<34} {:>10} {:>10.2} {:>10.2} {:>12.0} {:>9.0}",
            "20 KB JSON",
            ran.requests,
            ran.micros(),
            ran.user_micros(),
            ran.rate(),
            mebibytes(ran.cost.peak),
        );
    }
    println!("comparing takes {:.1} % of the CPU", 100.0 * (1.0 - without.micros() / with.micros()));
    fs::remove_file(capture)?;
    Ok(())
}

fn measured(name: &str, server: SocketAddr, capture: &Path, exchanges: u64) -> Result<(), Box<dyn Error>> {
    let alone: &[&str] = &["--record", "none", "--diff", "none"];
    let mut best: [Option<Ran>; 4] = [None; 4];
    for _ in 0..ROUNDS {
        let replay = |more| replay(server, capture, more);
        let ran = [wrk(server)?, least(server, capture)?, replay(alone)?, replay(&[])?];
        for (best, ran) in best.iter_mut().zip(ran) {
            *best = Some(best.filter(|best| best.micros() <= ran.micros()).unwrap_or(ran));
        }
    }
    let [Some(wrk), Some(least), Some(alone), Some(full)] = best else {
        return Err("nothing was measured".into());
    };
    let sent = [least, alone, full].map(|ran| ran.requests);
    assert_eq!(sent, [exchanges; 3], "requests sent, of those in the capture");
    for (what, ran) in [
        ("wrk", wrk),
        ("the least (bare_sender.rs)", least),
        ("replay, sending alone", alone),
        ("replay, recording and diff", full),
    ] {
        println!(
            "{name:<25} {what:<34} {:>10} {:>10.2} {:>10.2} {:>12.0} {:>9.0} {:>7.2}",
            ran.requests,
            ran.micros(),
            ran.user_micros(),
            ran.rate(),
            mebibytes(ran.cost.peak),
            ran.micros() / wrk.micros(),
        );
    }
    Ok(())
}

/// As many connections, and requests of the same length; it reads no capture and keeps nothing.
fn wrk(server: SocketAddr) -> Result<Ran, Box<dyn Error>> {
    let padding = "x".repeat(500 - 44 - server.to_string().len() - 12);
    let mut command = Command::new("wrk");
    command.args(["-t", "2", "-c", CONNECTIONS, "-d", "3s", "-H", &format!("Cookie: {padding}")]);
    command.arg(format!("http://{server}/api/v1/items/1/0001")).stdout(Stdio::piped());
    let (cost, output) = measure::run_and_read(command)?;
    let count = output.split_whitespace().zip(output.split_whitespace().skip(1));
    let requests = count.filter(|(_, next)| *next == "requests").find_map(|(count, _)| count.parse().ok());
    Ok(Ran { requests: requests.ok_or("wrk counted nothing")?, cost, wall: Duration::from_secs(3) })
}

/// The capture's requests, sent by a loop that does nothing else.
fn least(server: SocketAddr, capture: &Path) -> Result<Ran, Box<dyn Error>> {
    let mut command = Command::new(std::env::current_exe()?);
    command.arg(LEAST).arg(server.to_string()).arg(capture).stdout(Stdio::piped());
    let began = Instant::now();
    let (cost, output) = measure::run_and_read(command)?;
    Ok(Ran { requests: output.trim().parse()?, cost, wall: began.elapsed() })
}

fn replay(server: SocketAddr, capture: &Path, more: &[&str]) -> Result<Ran, Box<dyn Error>> {
    let folder = tempfile::tempdir_in(FOLDER)?;
    let out = folder.path().join("run");
    let mut command = Command::new(measure::program());
    command.args(["replay", "--quiet", "--speed", "max", "--concurrency", CONNECTIONS]);
    command.arg("--to").arg(format!("http://{server}")).arg("--out").arg(&out).args(more).arg(capture);
    command.stdout(Stdio::null());
    let began = Instant::now();
    // It ends as the answers deserve: with 0, 1 or 3.
    let cost = measure::run_to_any_of(command, &[0, 1, 3])?;
    let wall = began.elapsed();
    let summary: serde_json::Value = serde_json::from_reader(File::open(out.join("summary.json"))?)?;
    assert_eq!(summary["failures"], serde_json::json!({}), "every request is answered");
    Ok(Ran { requests: summary["exchanges"]["replayed"].as_u64().ok_or("no summary")?, cost, wall })
}

#[allow(clippy::cast_precision_loss, reason = "figures of a table")]
fn mebibytes(bytes: u64) -> f64 {
    bytes as f64 / 1_048_576.0
}
