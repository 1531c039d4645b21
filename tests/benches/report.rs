//! What rendering costs: `shadowcap report` on a run of a million exchanges, of hundreds of routes and more distinct
//! differences than are told apart. `cargo bench --bench report` runs it; `-- --rows 100000` with another number.
//! README.md beside this file has figures.

#![allow(clippy::unwrap_used, unreachable_pub, reason = "a tool that says what broke by panicking")]

#[allow(dead_code, reason = "other benchmarks measure other ends")]
mod measure;

use std::error::Error;
use std::fmt::Write as _;
use std::fs::{self, File};
use std::io::{self, Write as _};
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::time::Instant;

const FOLDER: &str = env!("CARGO_TARGET_TMPDIR");
const SEGMENT: &str = "recording/segment-00001.ndjson.zst";
/// First segments of paths, each of which makes routes and differences of its own.
const NAMES: usize = 400;

fn main() -> Result<(), Box<dyn Error>> {
    // cargo bench adds `--bench`.
    let arguments: Vec<String> = std::env::args().skip(1).filter(|argument| argument != "--bench").collect();
    let rows = match &arguments[..] {
        [] => 1_000_000,
        [option, rows] if option == "--rows" => rows.parse()?,
        _ => return Err("usage: cargo bench --bench report -- [--rows NUMBER]".into()),
    };
    let folder = PathBuf::from(FOLDER).join("bench-report");
    let _ = fs::remove_dir_all(&folder);
    let demo = folder.join("demo");
    let run = folder.join("run");
    fs::create_dir_all(run.join("recording"))?;
    // The demo's exit status tells of its v2, which is wrong on purpose.
    shadowcap(&["demo", "--quiet", "--out"], &demo).status()?;
    multiply(&demo.join(SEGMENT), &run.join(SEGMENT), rows)?;
    let begun = Instant::now();
    let cost = measure::run_to_any_of(shadowcap(&["report", "--quiet"], &run), &[0, 1, 3])?;
    println!(
        "{rows} rows: {:.1} s, CPU {:.1} s, peak {} MiB, report.html {} KiB",
        begun.elapsed().as_secs_f64(),
        cost.cpu.as_secs_f64(),
        cost.peak >> 20,
        fs::metadata(run.join("report.html"))?.len() >> 10
    );
    fs::remove_dir_all(&folder)?;
    Ok(())
}

fn shadowcap(arguments: &[&str], folder: &Path) -> Command {
    let mut command = Command::new(measure::program());
    command.args(arguments).arg(folder).stdin(Stdio::null()).stdout(Stdio::null());
    command
}

/// Repeats the rows of a segment until there are so many, each with an id of its own and another path.
fn multiply(from: &Path, to: &Path, rows: usize) -> io::Result<()> {
    let text = String::from_utf8(zstd::stream::decode_all(File::open(from)?)?).map_err(io::Error::other)?;
    let lines: Vec<_> = text.lines().collect();
    let originals: Vec<_> = lines.iter().filter(|line| line.contains("\"type\":\"row\"")).collect();
    let mut out = File::create(to)?;
    let mut frame = format!("{}\n", lines[0]);
    for n in 0..rows {
        let row = originals[n % originals.len()];
        let id = row.find("\"id\":\"").unwrap() + 6;
        let row = format!("{}{n:016x}{}", &row[..id], &row[id + 16..]);
        let place = name(n / originals.len() % NAMES);
        let row = ["GET", "POST"].iter().fold(row, |row, method| {
            row.replace(&format!("\"text\":\"{method} /"), &format!("\"text\":\"{method} /in{place}/"))
        });
        writeln!(frame, "{row}").unwrap();
        if n % 500 == 499 || n + 1 == rows {
            out.write_all(&zstd::bulk::compress(frame.as_bytes(), 1)?)?;
            frame.clear();
        }
    }
    out.write_all(&zstd::bulk::compress(format!("{}\n", lines[lines.len() - 1]).as_bytes(), 1)?)
}

/// Letters, since routes leave numbers open.
fn name(n: usize) -> String {
    [n / 26, n].map(|n| char::from(b'a' + u8::try_from(n % 26).unwrap_or(0))).iter().collect()
}
