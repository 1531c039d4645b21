//! How late requests leave: `shadowcap replay --speed 1` of a capture with 2,000 requests a second on 64 connections,
//! to a server in this process that answers at once. README.md beside this file says what the figures mean.
//!
//! ```text
//! cargo bench --bench pacing -- [SECONDS]
//! ```

#![allow(clippy::unwrap_used, unreachable_pub, reason = "a tool that says what broke by panicking")]

#[allow(dead_code, reason = "other benchmarks measure other ends")]
mod measure;

use std::error::Error;
use std::fs::File;
use std::io::{BufWriter, Read, Write};
use std::net::{SocketAddr, TcpListener, TcpStream};
use std::process::Command;
use std::thread;
use std::time::Duration;

use shadowcap::capture::PcapWriter;
use shadowcap::capture::synth::{Conversation, Frame};
use shadowcap::packet::LinkType;
use shadowcap::time::Timestamp;

const RATE: u32 = 2000;
const CONNECTIONS: u32 = 64;
const ANSWER: &[u8] = b"HTTP/1.1 200 OK\r\nContent-Type: text/plain\r\nContent-Length: 2\r\n\r\nok";

fn main() -> Result<(), Box<dyn Error>> {
    // cargo bench adds `--bench`.
    let seconds = std::env::args().skip(1).find(|argument| argument != "--bench");
    let seconds: u32 = seconds.map_or(Ok(20), |seconds| seconds.parse())?;
    let folder = tempfile::tempdir_in(env!("CARGO_TARGET_TMPDIR"))?;
    let capture = folder.path().join("paced.pcap");
    write_capture(RATE * seconds, &mut File::create(&capture)?)?;
    let address = serve()?;
    let run = folder.path().join("run");
    let status = Command::new(measure::program())
        .args([
            "replay",
            "--quiet",
            "--speed",
            "1",
            "--concurrency",
            "64",
            "--to",
            &format!("http://{address}"),
        ])
        .arg("--out")
        .arg(&run)
        .arg(&capture)
        .status()?;
    assert!(status.success(), "{status}");
    let late = lateness(&run.join("exchanges.csv"))?;
    assert_eq!(late.len(), (RATE * seconds) as usize);
    let at = |share: f64| {
        #[allow(
            clippy::cast_precision_loss,
            clippy::cast_possible_truncation,
            clippy::cast_sign_loss,
            reason = "an index"
        )]
        let index = (late.len() as f64 * share) as usize;
        late[index.min(late.len() - 1)]
    };
    let within = late.iter().filter(|late| **late <= 1.0).count() * 1000 / late.len();
    println!(
        "{} requests at {RATE}/s: late by p50 {:.3} ms, p90 {:.3}, p99 {:.3}, p99.9 {:.3}, max {:.3}; {}.{} % within 1 ms",
        late.len(),
        at(0.5),
        at(0.9),
        at(0.99),
        at(0.999),
        at(1.0),
        within / 10,
        within % 10
    );
    Ok(())
}

/// The requests evenly spaced, one connection after the other in turn.
fn write_capture(requests: u32, sink: &mut File) -> Result<(), Box<dyn Error>> {
    let start = Timestamp::from_parts(1_700_000_000, 0);
    let gap = Duration::from_secs(1) / RATE;
    let frames = (0..CONNECTIONS).flat_map(|connection| {
        let client = SocketAddr::from(([192, 0, 2, 1], u16::try_from(40_000 + connection).unwrap()));
        let opened = start + gap * connection - Duration::from_micros(30);
        let mut talk = Conversation::new(client, ([192, 0, 2, 80], 80).into(), opened);
        talk.open();
        for number in (connection..requests).step_by(CONNECTIONS as usize) {
            talk.wait((start + gap * number).since(talk.now()));
            talk.client_sends(format!("GET /items/{number} HTTP/1.1\r\nHost: shop\r\n\r\n").as_bytes());
            talk.server_sends(ANSWER);
        }
        talk.close();
        talk.take_frames()
    });
    let mut frames: Vec<Frame> = frames.collect();
    frames.sort_by_key(|frame| frame.at);
    let mut writer = PcapWriter::new(BufWriter::new(sink), LinkType::ETHERNET)?;
    for (number, frame) in (1..).zip(&frames) {
        writer.write(&frame.packet(number))?;
    }
    writer.finish()?.flush()?;
    Ok(())
}

/// A server that answers every request at once.
fn serve() -> Result<SocketAddr, Box<dyn Error>> {
    let listener = TcpListener::bind("127.0.0.1:0")?;
    let address = listener.local_addr()?;
    thread::spawn(move || {
        for stream in listener.incoming().flatten() {
            thread::spawn(move || answer(stream));
        }
    });
    Ok(address)
}

fn answer(mut stream: TcpStream) {
    let mut buffer = [0; 4096];
    let mut read = Vec::new();
    while let Ok(count @ 1..) = stream.read(&mut buffer) {
        read.extend_from_slice(&buffer[..count]);
        // One request at a time on each connection.
        if read.ends_with(b"\r\n\r\n") {
            read.clear();
            if stream.write_all(ANSWER).is_err() {
                return;
            }
        }
    }
}

/// The column `late_ms`, sorted.
fn lateness(file: &std::path::Path) -> Result<Vec<f64>, Box<dyn Error>> {
    let mut csv = csv::Reader::from_path(file)?;
    let column =
        csv.headers()?.iter().position(|name| name == "late_ms").ok_or("there is no column late_ms")?;
    let mut late = csv
        .records()
        .map(|record| Ok(record?.get(column).ok_or("a row is short")?.parse()?))
        .collect::<Result<Vec<f64>, Box<dyn Error>>>()?;
    late.sort_by(f64::total_cmp);
    Ok(late)
}
