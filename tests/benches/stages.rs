//! Where the time of reading goes: the stages, each with those before it.

use std::path::Path;
use std::time::Duration;

use shadowcap::capture::{CaptureError, CaptureSet, Input, PacketSource};
use shadowcap::exchange::{Sequencer, SequencerLimits, Told};
use shadowcap::pipeline::{Reading, ReadingOptions};
use shadowcap::stream::{Application, Chunk, ConnectionInfo, ConnectionTable, Direction, Limits};
use shadowcap::wire::{Decoded, Decoder};

use super::measure;

/// A stage and the CPU time of it and of those before it.
pub type Stage = (&'static str, Duration);

/// Runs a stage and those before it over a capture.
type Run = fn(CaptureSet) -> Result<(), CaptureError>;

/// Reads a capture with each number of stages, and gives the least that it took in so many runs.
pub fn measure(file: &Path, runs: usize) -> Result<Vec<Stage>, CaptureError> {
    let stages: [(&str, Run); 4] = [
        ("read", read),
        ("and decode", decode),
        ("and reassemble", reassemble),
        ("and parse, pair", exchanges),
    ];
    let measured = stages.into_iter().map(|(name, stage)| {
        let mut least = Duration::MAX;
        for _ in 0..runs {
            let source = CaptureSet::open(&[Input::Path(file.to_owned())])?;
            let before = measure::cpu();
            stage(source)?;
            least = least.min(measure::cpu().saturating_sub(before));
        }
        Ok((name, least))
    });
    measured.collect()
}

fn read(mut source: CaptureSet) -> Result<(), CaptureError> {
    while let Some(packet) = source.next_packet()? {
        std::hint::black_box(packet);
    }
    Ok(())
}

fn decode(mut source: CaptureSet) -> Result<(), CaptureError> {
    let mut decoder = Decoder::new();
    while let Some(packet) = source.next_packet()? {
        std::hint::black_box(decoder.decode(&packet));
    }
    Ok(())
}

fn reassemble(mut source: CaptureSet) -> Result<(), CaptureError> {
    let mut decoder = Decoder::new();
    let mut table = ConnectionTable::new(Limits::default());
    while let Some(packet) = source.next_packet()? {
        if let Decoded::Segment(segment) = decoder.decode(&packet) {
            table.push(&segment, &mut Nobody);
        }
    }
    table.finish(&mut Nobody);
    Ok(())
}

fn exchanges(source: CaptureSet) -> Result<(), CaptureError> {
    let listener = Sequencer::new(SequencerLimits::default(), |told| {
        if let Told::Exchange(exchange) = told {
            std::hint::black_box(exchange);
        }
    });
    let mut reading = Reading::new(source, ReadingOptions::default(), listener);
    while reading.step()? {}
    reading.finish();
    Ok(())
}

/// Listens to streams and does nothing.
struct Nobody;

impl Application for Nobody {
    type State = ();

    fn open(&mut self, _: &ConnectionInfo) {}

    fn chunk(&mut self, _: &ConnectionInfo, (): &mut (), _: Direction, chunk: Chunk<'_>) {
        std::hint::black_box(chunk);
    }

    fn close(&mut self, _: &ConnectionInfo, (): ()) {}
}
