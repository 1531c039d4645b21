//! `shadowcap inspect`: what is in a capture.

mod document;
mod table;

use std::cell::Cell;
use std::io::{self, BufWriter, LineWriter, Write};

use anyhow::Context as _;

use super::args::{Digest, Global, Inspect, InspectFormat};
use super::{Exit, exit, terminal};
use crate::capture::{CaptureSet, Input};
use crate::config;
use crate::exchange::{Exchange, Sequencer, SequencerLimits, Told};
use crate::http::{BodyKeep, Options};
use crate::pipeline::{Reading, ReadingOptions};

use document::{Document, Line};

/// Reads the whole capture once and prints its exchanges as they come.
pub(super) fn run(args: &Inspect, global: &Global) -> anyhow::Result<Exit> {
    let bodies = Options { keep: BodyKeep::Nothing, hash: args.hash == Some(Digest::Sha256) };
    let options = args.reading.options(bodies)?;
    let inputs = config::inputs(&args.reading.captures);
    let source = CaptureSet::open(&inputs)?;
    let out: Box<dyn Write> = match args.format {
        InspectFormat::Text => Box::new(terminal::stdout(global.color)),
        InspectFormat::Json | InspectFormat::Jsonl => Box::new(io::stdout().lock()),
    };
    // What comes through a pipe may come slowly, and is shown as it comes.
    let mut out: Box<dyn Write> = if inputs.iter().any(|input| matches!(input, Input::Stdin)) {
        Box::new(LineWriter::with_capacity(64 << 10, out))
    } else {
        Box::new(BufWriter::with_capacity(64 << 10, out))
    };
    match print(args, source, options, &mut out, global).and_then(|exit| {
        out.flush().context("cannot write to standard output")?;
        Ok(exit)
    }) {
        // The reader of a pipe has seen enough: that is its business, and no failure.
        Err(error) if is_broken_pipe(&error) => Ok(Exit::Pass),
        other => other,
    }
}

fn print(
    args: &Inspect,
    source: CaptureSet,
    options: ReadingOptions,
    out: &mut dyn Write,
    global: &Global,
) -> anyhow::Result<Exit> {
    let mut printer = Printer { format: args.format, printed: 0, failure: None, out };
    printer.begin()?;
    let unread = Cell::new(false);
    let (document, broken_off) = {
        let sequencer = Sequencer::new(SequencerLimits::default(), |told| {
            if let Told::Exchange(exchange) = told {
                printer.exchange(&exchange);
                unread.set(printer.failure.is_some());
            }
        });
        let mut reading = Reading::new(source, options, sequencer);
        let mut broken_off = Vec::new();
        while !unread.get() {
            match reading.step() {
                Ok(true) => {}
                Ok(false) => break,
                // The file is done with; the others of the set can be read.
                Err(error) => broken_off.push(error),
            }
        }
        reading.finish();
        reading.listener_mut().finish();
        (Document::new(&reading.source().stats(), &reading.account()), broken_off)
    };
    printer.end(&document)?;
    if !broken_off.is_empty() {
        printer.out.flush().context("cannot write to standard output")?;
        broken_off.iter().for_each(|error| exit::complain(&error.to_string()));
        return Ok(Exit::Inconclusive);
    }
    if printer.printed == 0 {
        terminal::say(global, document.why_nothing());
    }
    Ok(Exit::Pass)
}

struct Printer<'o> {
    format: InspectFormat,
    printed: u64,
    /// What went wrong while printing, to be told when reading is done.
    failure: Option<io::Error>,
    out: &'o mut dyn Write,
}

impl Printer<'_> {
    fn begin(&mut self) -> io::Result<()> {
        match self.format {
            InspectFormat::Text => table::header(self.out),
            InspectFormat::Json => self.out.write_all(b"{\"exchanges\":["),
            InspectFormat::Jsonl => Ok(()),
        }
    }

    fn exchange(&mut self, exchange: &Exchange) {
        if self.failure.is_some() {
            return;
        }
        let line = Line::new(exchange);
        let written = match self.format {
            InspectFormat::Text => table::row(self.out, &line),
            InspectFormat::Json => {
                let comma: &[u8] = if self.printed > 0 { b",\n" } else { b"\n" };
                self.out.write_all(comma).and_then(|()| Ok(serde_json::to_writer(&mut *self.out, &line)?))
            }
            InspectFormat::Jsonl => serde_json::to_writer(&mut *self.out, &line)
                .map_err(io::Error::from)
                .and_then(|()| self.out.write_all(b"\n")),
        };
        self.printed += 1;
        self.failure = written.err();
    }

    fn end(&mut self, document: &Document) -> anyhow::Result<()> {
        if let Some(error) = self.failure.take() {
            return Err(error).context("cannot write to standard output");
        }
        match self.format {
            InspectFormat::Text => table::totals(self.out, document)?,
            InspectFormat::Json => {
                let totals = serde_json::to_string(document)?;
                // The totals are an object, too: its members follow the exchanges in the one document.
                writeln!(self.out, "\n],{}", totals.strip_prefix('{').unwrap_or(&totals))?;
            }
            InspectFormat::Jsonl => {}
        }
        Ok(())
    }
}

fn is_broken_pipe(error: &anyhow::Error) -> bool {
    error
        .chain()
        .filter_map(|cause| cause.downcast_ref::<io::Error>())
        .any(|e| e.kind() == io::ErrorKind::BrokenPipe)
}
