//! Writes a capture of the benchmark's traffic: `generate SHAPE SIZE [FILE]`, to standard output without FILE.
//!
//! ```text
//! cargo run --release --example generate messages 10G | shadowcap inspect --format json -
//! ```

#![allow(
    clippy::unwrap_used,
    unreachable_pub,
    reason = "a tool of the benchmark, with no input but its arguments"
)]

mod generator;

use std::fs::File;
use std::io::{self, ErrorKind, Write};
use std::process::ExitCode;

use generator::Shape;

fn main() -> ExitCode {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    match run(&arguments) {
        Ok(()) => ExitCode::SUCCESS,
        Err(message) => {
            eprintln!("{message}");
            ExitCode::from(2)
        }
    }
}

fn run(arguments: &[String]) -> Result<(), String> {
    let (shape, size, file) = match arguments {
        [shape, size] => (shape, size, None),
        [shape, size, file] => (shape, size, Some(file)),
        _ => return Err("usage: generate SHAPE SIZE [FILE], for example: generate messages 1G".to_owned()),
    };
    let shape: Shape = shape.parse()?;
    let size = generator::parse_size(size)?;
    let mut sink: Box<dyn Write> = match file {
        Some(file) => Box::new(File::create(file).map_err(|error| format!("{file}: {error}"))?),
        // Unbuffered, since it is written in blocks of a megabyte.
        None => Box::new(io::stdout().lock()),
    };
    match generator::write(shape, size, &mut sink) {
        Ok(written) => {
            let generator::Written { bytes, packets, exchanges } = written;
            eprintln!("{bytes} bytes, {packets} packets, {exchanges} exchanges");
            Ok(())
        }
        // Whoever reads has enough.
        Err(error) if error.kind() == ErrorKind::BrokenPipe => Ok(()),
        Err(error) => Err(error.to_string()),
    }
}
