//! `shadowcap inspect`: what is in a capture.

mod digits;
mod document;
mod line;
mod paced;
mod repeated;
mod table;
mod text;

use std::cell::Cell;
use std::io::{self, IsTerminal, Write};
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use anyhow::Context as _;

use super::args::{Digest, Global, Inspect, InspectFormat};
use super::progress::{Display, View};
use super::{Exit, exit, terminal};
use crate::capture::{CaptureSet, Input};
use crate::config;
use crate::exchange::{Exchange, Sequencer, Told};
use crate::http::{BodyKeep, Options};
use crate::pipeline::{Reading, ReadingOptions};

use document::Document;
use line::Line;
use paced::Paced;
use repeated::Repeated;

/// How much is printed at once, in bytes.
const PAGE: usize = 64 << 10;

/// Reads the whole capture once and prints its exchanges as they come.
pub(super) fn run(args: &Inspect, global: &Global) -> anyhow::Result<Exit> {
    let bodies = Options { keep: BodyKeep::Nothing, hash: args.hash == Some(Digest::Sha256) };
    let options = args.reading.options(bodies)?;
    let inputs = config::inputs(&args.reading.captures);
    let source = CaptureSet::open(&inputs)?;
    let out: Box<dyn Write + Send> = match args.format {
        InspectFormat::Text => Box::new(terminal::stdout(global.color)),
        InspectFormat::Json | InspectFormat::Jsonl => Box::new(io::stdout()),
    };
    // What comes through a pipe may come slowly, and is shown as it comes.
    let (page, out): (_, Box<dyn Write>) =
        if inputs.contains(&Input::Stdin) { (0, Box::new(Paced::new(out)?)) } else { (PAGE, out) };
    match Printer::new(args.format, page, out).and_then(|printer| print(source, options, printer, global)) {
        // The reader of a pipe has seen enough: that is its business, and no failure.
        Err(error) if is_broken_pipe(&error) => Ok(Exit::Pass),
        other => other,
    }
}

fn print(
    source: CaptureSet,
    options: ReadingOptions,
    mut printer: Printer,
    global: &Global,
) -> anyhow::Result<Exit> {
    let goes_on = Cell::new(true);
    let (document, broken_off) = {
        let _display = display(&source, &printer, global);
        let sequencer = Sequencer::new(options.in_order(), |told| {
            if let Told::Exchange(exchange) = told {
                goes_on.set(printer.exchange(&exchange));
            }
        });
        let mut reading = Reading::new(source, options, sequencer);
        // What nobody reads need not be found.
        let broken_off = reading.read_while(|| goes_on.get());
        reading.finish();
        reading.listener_mut().finish();
        (Document::new(&reading.source().stats(), &reading.account()), broken_off)
    };
    let printed = printer.printed();
    printer.end(&document).context("cannot write to standard output")?;
    if !broken_off.is_empty() {
        for error in broken_off {
            exit::complain(&error.to_string());
        }
        return Ok(Exit::Inconclusive);
    }
    if printed == 0 {
        terminal::say(global, document.why_nothing());
    }
    Ok(Exit::Pass)
}

/// Shows progress, unless the exchanges themselves appear on the terminal.
fn display(source: &CaptureSet, printer: &Printer, global: &Global) -> Option<Display> {
    let printed = Arc::clone(&printer.printed);
    let counts = move || format!("{} exchanges", printed.load(Ordering::Relaxed));
    let read = source.progress();
    let view = move |took| View::of_reading(&read, took, counts());
    (!io::stdout().is_terminal()).then(|| Display::start(global, view))
}

/// Prints exchanges as they come, a page at a time.
struct Printer {
    format: InspectFormat,
    /// How many; written by the printer alone.
    printed: Arc<AtomicU64>,
    repeated: Repeated,
    /// What is not handed on yet, and how much of it is handed on at once.
    page: Vec<u8>,
    page_size: usize,
    /// What went wrong while printing, to be told when reading is done.
    failure: Option<io::Error>,
    out: Box<dyn Write>,
}

impl Printer {
    fn new(format: InspectFormat, page_size: usize, out: Box<dyn Write>) -> anyhow::Result<Self> {
        let mut page = Vec::with_capacity(PAGE + 1024);
        match format {
            InspectFormat::Text => table::header(&mut page)?,
            InspectFormat::Json => page.extend_from_slice(b"{\"exchanges\":["),
            InspectFormat::Jsonl => {}
        }
        Ok(Self {
            format,
            printed: Arc::default(),
            repeated: Repeated::default(),
            page,
            page_size,
            failure: None,
            out,
        })
    }

    fn printed(&self) -> u64 {
        self.printed.load(Ordering::Relaxed)
    }

    /// Prints one; says whether more can be printed.
    fn exchange(&mut self, exchange: &Exchange) -> bool {
        if self.failure.is_some() {
            return false;
        }
        self.repeated.turn_to(exchange);
        let line = Line::new(exchange, &self.repeated);
        let written = match self.format {
            InspectFormat::Text => table::row(&mut self.page, &line),
            InspectFormat::Json => {
                self.page.extend_from_slice(if self.printed() > 0 { b",\n" } else { b"\n" });
                line.write_json(&mut self.page);
                Ok(())
            }
            InspectFormat::Jsonl => {
                line.write_json(&mut self.page);
                self.page.push(b'\n');
                Ok(())
            }
        };
        self.printed.store(self.printed() + 1, Ordering::Relaxed);
        let written =
            written.and_then(|()| if self.page.len() < self.page_size { Ok(()) } else { self.turn_page() });
        self.failure = written.err();
        self.failure.is_none()
    }

    fn turn_page(&mut self) -> io::Result<()> {
        self.out.write_all(&self.page)?;
        self.page.clear();
        Ok(())
    }

    fn end(mut self, document: &Document) -> io::Result<()> {
        if let Some(error) = self.failure.take() {
            return Err(error);
        }
        match self.format {
            InspectFormat::Text => table::totals(&mut self.page, document)?,
            InspectFormat::Json => {
                let totals = serde_json::to_string(document)?;
                // The totals are an object, too: its members follow the exchanges in the one document.
                writeln!(self.page, "\n],{}", totals.strip_prefix('{').unwrap_or(&totals))?;
            }
            InspectFormat::Jsonl => {}
        }
        self.turn_page()?;
        self.out.flush()
    }
}

fn is_broken_pipe(error: &anyhow::Error) -> bool {
    error
        .chain()
        .filter_map(|cause| cause.downcast_ref::<io::Error>())
        .any(|e| e.kind() == io::ErrorKind::BrokenPipe)
}
