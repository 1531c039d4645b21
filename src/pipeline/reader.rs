//! The thread that reads: from the capture to who takes exchanges, and the account of what it read.

use std::sync::Arc;
use std::thread;

use super::RunError;
use super::feed::Halt;
use super::reading::{Account, Reading, ReadingOptions};
use crate::anomaly::AnomalyCounts;
use crate::capture::{CaptureError, CaptureSet, CaptureStats};
use crate::exchange::{Sequencer, SequencerLimits, Told};
use crate::record::CaptureTotals;
use crate::replay::stop::{Stop, StopHandle, StopSignal};

/// Damaged files that are described each.
const MOST_TOLD: usize = 10;

/// Where the exchanges of a capture go, in the thread that reads.
pub(super) trait Taker: Send + 'static {
    /// Takes what was told, in the order of the capture.
    fn take(&mut self, told: Told);

    /// Nothing follows. Says how many rows were handed on, and why no more, where something was there.
    fn end(self) -> (u64, Option<Halt>);
}

/// What the reading thread leaves behind.
pub(super) struct Read {
    stats: CaptureStats,
    account: Account,
    broken_off: Vec<CaptureError>,
    /// Rows that were handed on.
    rows: u64,
    /// Why nothing more was handed on, where something was there.
    pub(super) halt: Option<Halt>,
}

impl Read {
    /// What the capture held.
    pub(super) fn totals(&self) -> CaptureTotals {
        let Self { stats, account, .. } = self;
        CaptureTotals {
            files: stats.files.iter().map(|file| file.name.to_string()).collect(),
            packets: stats.packets(),
            bytes: stats.bytes(),
            connections: account.streams.connections + account.streams.empty_connections,
            lost_bytes: account.streams.total().lost,
            first_packet: stats.first_packet(),
            last_packet: stats.last_packet(),
        }
    }

    /// What kept the run from seeing all of the capture, or from judging all that it saw.
    pub(super) fn broken_off(&self, judged: u64) -> Option<String> {
        let mut all: Vec<_> = self.broken_off.iter().take(MOST_TOLD).map(ToString::to_string).collect();
        if self.broken_off.len() > MOST_TOLD {
            all.push(format!("and {} more files", self.broken_off.len() - MOST_TOLD));
        }
        if judged != self.rows {
            all.push(format!(
                "of {} requests {judged} have an outcome, which is a defect of shadowcap's own; please report it",
                self.rows
            ));
        }
        (!all.is_empty()).then(|| all.join("; "))
    }

    /// What was odd about the capture; the anomalies of the exchanges are in their rows.
    pub(super) fn anomalies(&self) -> AnomalyCounts {
        let mut all = self.stats.anomalies();
        all.merge(&self.account.anomalies());
        all
    }
}

/// Starts the thread. It ends with the capture, or when the run is told to stop.
pub(super) fn spawn_reader(
    source: CaptureSet,
    options: ReadingOptions,
    taker: impl Taker,
    signal: StopSignal,
    stop: Arc<StopHandle>,
) -> Result<thread::JoinHandle<Read>, RunError> {
    let reading = move || read(source, options, taker, &signal, &stop);
    thread::Builder::new()
        .name("reading".to_owned())
        .spawn(reading)
        .map_err(|source| RunError::System { what: "a thread", source })
}

fn read(
    source: CaptureSet,
    options: ReadingOptions,
    mut taker: impl Taker,
    signal: &StopSignal,
    stop: &StopHandle,
) -> Read {
    let sequencer = Sequencer::new(SequencerLimits::default(), |told: Told| taker.take(told));
    let mut reading = Reading::new(source, options, sequencer);
    let broken_off = reading.read_while(|| signal.state() == Stop::Run);
    reading.finish();
    reading.listener_mut().finish();
    let (stats, account) = (reading.source().stats(), reading.account());
    drop(reading);
    let (rows, halt) = taker.end();
    if matches!(halt, Some(Halt::Refused(_))) {
        stop.raise();
        stop.raise();
    }
    Read { stats, account, broken_off, rows, halt }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_request_without_an_outcome_and_files_without_an_end_are_told() {
        let error = |n: usize| CaptureError::NotFound { file: format!("{n}.pcap").into() };
        let told = |rows, judged, files: usize| {
            let broken_off = (0..files).map(error).collect();
            let read = Read {
                stats: CaptureStats::default(),
                account: Account::default(),
                broken_off,
                rows,
                halt: None,
            };
            read.broken_off(judged)
        };
        assert_eq!(told(5, 5, 0), None);
        assert!(told(5, 4, 0).is_some_and(|what| what.contains("of 5 requests 4 have an outcome")));
        assert!(told(5, 5, 1).is_some_and(|what| what.starts_with("0.pcap: ")));
        let many = told(5, 5, 300).unwrap();
        assert!(many.contains("9.pcap: ") && many.ends_with("and 290 more files"), "{many}");
    }
}
