//! What reading costs: `shadowcap inspect` against tshark and tcpflow on the same captures, and the stages of
//! reading one by one. `make bench` runs it; `make bench ARGS='-- --size 10G'` with other sizes. README.md beside
//! this file says what the columns mean.

#![allow(clippy::unwrap_used, unreachable_pub, reason = "a tool that says what broke by panicking")]

mod bare;
mod generator;
#[allow(dead_code, reason = "another benchmark reads what commands print")]
mod measure;
mod stages;

use std::error::Error;
use std::fs::{self, File};
use std::io::{self, BufReader};
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

use generator::{Shape, Written};
use measure::Cost;

const FOLDER: &str = env!("CARGO_TARGET_TMPDIR");

/// Of these many runs the one that cost least is told: whatever else the machine does only adds.
const RUNS: usize = 3;

fn main() -> Result<(), Box<dyn Error>> {
    // cargo bench adds `--bench`.
    let arguments: Vec<String> = std::env::args().skip(1).filter(|argument| argument != "--bench").collect();
    let (compared, piped) = match &arguments[..] {
        [] => (200_000_000, 1_000_000_000),
        [option, size] if option == "--size" => (200_000_000, generator::parse_size(size)?),
        _ => return Err("usage: cargo bench --bench inspect -- [--size BYTES]".into()),
    };
    println!(
        "{:<12} {:<26} {:>9} {:>7} {:>10} {:>9} {:>9} {:>7}",
        "capture", "", "CPU s", "GB/s", "exchanges/s", "ns/packet", "peak MiB", "times"
    );
    for shape in Shape::ALL {
        compare(shape, compared)?;
        through_a_pipe(shape, piped)?;
    }
    Ok(())
}

/// All programs on one file, and the stages.
fn compare(shape: Shape, size: u64) -> Result<(), Box<dyn Error>> {
    let file = PathBuf::from(FOLDER).join(format!("bench-{}.pcap", shape.name()));
    let written = generator::write(shape, size, &mut File::create(&file)?)?;
    let ours = least(RUNS, || measure::run(inspect(&file)))?;
    assert_eq!(found(&file)?, written.exchanges, "exchanges found in {}", file.display());
    row(shape.name(), "shadowcap inspect", &written, &ours, &ours);
    for (name, cpu) in stages::measure(&file, RUNS)? {
        row("", &format!("  {name}"), &written, &Cost { cpu, ..Cost::default() }, &ours);
    }
    let bare = least(RUNS, || {
        let before = measure::cpu();
        let exchanges = bare::exchanges(&file)?;
        assert_eq!(exchanges, written.exchanges, "exchanges counted in {}", file.display());
        Ok(Cost { cpu: measure::cpu().saturating_sub(before), ..Cost::default() })
    })?;
    row("", "the least (bare.rs)", &written, &bare, &ours);
    let flows = tempfile::tempdir_in(FOLDER)?;
    let peers = [
        ("tcpflow", tcpflow(&file, flows.path())),
        ("tshark, four fields", tshark_fields(&file)),
        ("tshark -T json", tshark_json(&file)),
    ];
    for (name, command) in peers {
        match measure::run(command) {
            Ok(cost) => row("", name, &written, &cost, &ours),
            Err(error) => println!("{:<12} {name}: {error}", ""),
        }
    }
    fs::remove_file(file)?;
    Ok(())
}

/// A capture that is nowhere on disk.
fn through_a_pipe(shape: Shape, size: u64) -> Result<(), Box<dyn Error>> {
    let (reader, mut writer) = io::pipe()?;
    let mut command = inspect(Path::new("-"));
    command.stdin(reader);
    let writing = std::thread::spawn(move || generator::write(shape, size, &mut writer));
    let cost = measure::run(command)?;
    let written = writing.join().map_err(|_| "the generator panicked")??;
    row("", &format!("inspect -, {} MB", written.bytes / 1_000_000), &written, &cost, &cost);
    Ok(())
}

fn inspect(file: &Path) -> Command {
    let mut command = Command::new(measure::program());
    command.args(["inspect", "--quiet", "--format", "json"]).arg(file).stdout(Stdio::null());
    command
}

/// Reassembles every stream into a file of its own.
fn tcpflow(file: &Path, folder: &Path) -> Command {
    let mut command = Command::new("tcpflow");
    command.arg("-q").arg("-r").arg(file).arg("-o").arg(folder).stdout(Stdio::null()).stderr(Stdio::null());
    command
}

/// Prints a line for each request and each response, with a quarter of what `inspect` tells of an exchange.
fn tshark_fields(file: &Path) -> Command {
    let mut command = tshark(file, "fields");
    for field in ["tcp.stream", "http.request.method", "http.request.uri", "http.response.code"] {
        command.args(["-e", field]);
    }
    command
}

/// Prints all that it knows of each request and response, as JSON.
fn tshark_json(file: &Path) -> Command {
    tshark(file, "json")
}

fn tshark(file: &Path, format: &str) -> Command {
    let mut command = Command::new("tshark");
    command.arg("-r").arg(file).args(["-Y", "http", "-T", format]);
    command.stdout(Stdio::null()).stderr(Stdio::null());
    command
}

/// How many exchanges `inspect` finds.
fn found(file: &Path) -> Result<u64, Box<dyn Error>> {
    #[derive(serde::Deserialize)]
    struct Http {
        exchanges: u64,
    }
    #[derive(serde::Deserialize)]
    struct Totals {
        http: Http,
    }
    let mut child = inspect(file).stdout(Stdio::piped()).spawn()?;
    let output = BufReader::new(child.stdout.take().ok_or("no output")?);
    // As it comes: Linux counts the memory of the process that starts another as the other's first.
    let totals: Totals = serde_json::from_reader(output)?;
    child.wait()?;
    Ok(totals.http.exchanges)
}

fn least(runs: usize, mut run: impl FnMut() -> io::Result<Cost>) -> io::Result<Cost> {
    let mut best = run()?;
    for _ in 1..runs {
        let cost = run()?;
        best = if cost.cpu < best.cpu { cost } else { best };
    }
    Ok(best)
}

#[allow(clippy::cast_precision_loss, reason = "figures of a table")]
fn row(shape: &str, what: &str, written: &Written, cost: &Cost, ours: &Cost) {
    let seconds = cost.cpu.as_secs_f64();
    let peak = if cost.peak == 0 { String::new() } else { format!("{:.0}", cost.peak as f64 / 1_048_576.0) };
    println!(
        "{shape:<12} {what:<26} {seconds:>9.3} {:>7.2} {:>10.0} {:>9.0} {peak:>9} {:>7.2}",
        written.bytes as f64 / 1e9 / seconds,
        written.exchanges as f64 / seconds,
        seconds * 1e9 / written.packets as f64,
        seconds / ours.cpu.as_secs_f64(),
    );
}
