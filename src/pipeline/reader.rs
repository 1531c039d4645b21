//! The thread that reads: from the capture to who takes exchanges, and the account of what it read.

use std::num::NonZeroU32;
use std::str::FromStr;
use std::sync::Arc;
use std::thread;
use std::time::{Duration, Instant};

use super::RunError;
use super::feed::Halt;
use super::reading::{Account, Reading, ReadingOptions};
use crate::anomaly::AnomalyCounts;
use crate::capture::{CaptureError, CaptureSet, CaptureStats};
use crate::exchange::{Sequencer, Told};
use crate::record::{CaptureTotals, Outstanding};
use crate::replay::stop::{Stop, StopHandle, StopSignal};
use crate::route::ShareCount;
use crate::time::parse_duration;

/// Damaged files that are described each.
const MOST_TOLD: usize = 10;

/// Where the exchanges of a capture go, in the thread that reads.
pub(super) trait Taker: Send + 'static {
    /// Takes what was told, in the order of the capture.
    fn take(&mut self, told: Told);

    /// How often the capture has been read, this time counted in.
    fn readings(&self) -> u32 {
        1
    }

    /// Whether nothing more is taken.
    fn has_halted(&self) -> bool;

    /// Whether it makes sense to read the capture again for as long as there is time.
    fn goes_again(&self) -> bool {
        true
    }

    /// The capture, which lasted so long, is about to be read again.
    fn read_again(&mut self, _lasted: Duration) {}

    /// Nothing follows.
    fn end(self) -> Handed;
}

/// What came of the exchanges.
#[derive(Debug, Default)]
pub(super) struct Handed {
    /// Rows that were handed on.
    pub(super) rows: u64,
    /// Why nothing more was handed on, where something was there.
    pub(super) halt: Option<Halt>,
    /// How often destinations were picked.
    pub(super) shares: Vec<ShareCount>,
    /// What had to be met and was not.
    pub(super) unmet: Unmet,
}

/// Rows of an earlier part of the run that the capture did not have again, as far as it was read.
#[derive(Debug, Default)]
pub(super) struct Unmet {
    /// Those that had been put off.
    pub(super) put_off: Outstanding,
    /// How many had been on their way when the run was killed.
    pub(super) in_flight: u64,
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
    /// How often the destinations of the rules were picked.
    pub(super) shares: Vec<ShareCount>,
    /// What had to be met and was not.
    pub(super) unmet: Unmet,
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

/// How often a capture is replayed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Repeat {
    /// So many times.
    Times(NonZeroU32),
    /// Again and again until so much time has passed.
    For(Duration),
}

impl Repeat {
    /// Once.
    pub const ONCE: Self = Self::Times(NonZeroU32::MIN);

    /// Whether, after so many readings, one more begins or goes on.
    fn goes_on(self, readings: u32, since: Instant) -> bool {
        match self {
            Self::Times(times) => readings < times.get(),
            Self::For(time) => since.elapsed() < time,
        }
    }
}

/// The text says neither how often nor how long.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("`{0}` is neither a number of times such as 3 nor a duration such as 90s, 10m or 1h")]
pub struct RepeatError(String);

impl FromStr for Repeat {
    type Err = RepeatError;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        if let Ok(times) = text.parse() {
            return Ok(Self::Times(times));
        }
        let has_unit = text.ends_with(|c: char| c.is_ascii_alphabetic());
        let time = parse_duration(text).ok().filter(|_| has_unit);
        time.map(Self::For).ok_or_else(|| RepeatError(text.to_owned()))
    }
}

/// What is read, how, and how often.
pub(super) struct Source {
    pub(super) captures: CaptureSet,
    pub(super) options: ReadingOptions,
    pub(super) repeat: Repeat,
}

/// Starts the thread. It ends with the capture, or when the run is told to stop.
pub(super) fn spawn_reader(
    source: Source,
    taker: impl Taker,
    signal: StopSignal,
    stop: Arc<StopHandle>,
) -> Result<thread::JoinHandle<Read>, RunError> {
    let reading = move || read_all(source, taker, &signal, &stop);
    thread::Builder::new()
        .name("reading".to_owned())
        .spawn(reading)
        .map_err(|source| RunError::System { what: "a thread", source })
}

/// Reads the capture as often as it is to be. What it holds is told as the first reading found it.
fn read_all(source: Source, mut taker: impl Taker, signal: &StopSignal, stop: &StopHandle) -> Read {
    let Source { captures, options, repeat } = source;
    let began = Instant::now();
    let (mut read, mut parts) = read(captures, options, &mut taker, &|| signal.state() == Stop::Run);
    while signal.state() == Stop::Run
        && !taker.has_halted()
        && read.broken_off.is_empty()
        && repeat.goes_on(taker.readings(), began)
        && (matches!(repeat, Repeat::Times(_)) || taker.goes_again())
    {
        let lasted = read.stats.last_packet().zip(read.stats.first_packet());
        taker.read_again(lasted.map(|(last, first)| last.since(first)).unwrap_or_default());
        // A reading that was begun ends with the capture, or with the time.
        let goes_on = || signal.state() == Stop::Run && repeat.goes_on(0, began);
        match parts.0.rewound() {
            Ok(rewound) => {
                let again;
                (again, parts) = self::read(rewound, parts.1, &mut taker, &goes_on);
                read.broken_off = again.broken_off;
            }
            Err(error) => {
                read.broken_off = vec![error];
                break;
            }
        }
    }
    let Handed { rows, halt, shares, unmet } = taker.end();
    if matches!(halt, Some(Halt::Refused(_) | Halt::Unread(_))) {
        stop.raise();
        stop.raise();
    }
    Read { rows, halt, shares, unmet, ..read }
}

/// Reads the capture once, or as long as it goes on.
fn read(
    captures: CaptureSet,
    options: ReadingOptions,
    taker: &mut impl Taker,
    goes_on: &dyn Fn() -> bool,
) -> (Read, (CaptureSet, ReadingOptions)) {
    let sequencer = Sequencer::new(options.in_order(), |told: Told| taker.take(told));
    let mut reading = Reading::new(captures, options, sequencer);
    let broken_off = reading.read_while(goes_on);
    reading.finish();
    reading.listener_mut().finish();
    let (stats, account) = (reading.source().stats(), reading.account());
    let read =
        Read { stats, account, broken_off, rows: 0, halt: None, shares: Vec::new(), unmet: Unmet::default() };
    (read, reading.into_parts())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_capture_is_repeated_so_often_or_for_so_long() {
        for (text, repeat) in [
            ("1", Repeat::ONCE),
            ("3", Repeat::Times(NonZeroU32::new(3).unwrap())),
            ("90s", Repeat::For(Duration::from_secs(90))),
            ("1.5m", Repeat::For(Duration::from_secs(90))),
        ] {
            assert_eq!(text.parse(), Ok(repeat), "{text}");
        }
        for text in ["", "0", "-1", "1.5", "0s", "1d", "for ever"] {
            assert!(text.parse::<Repeat>().is_err(), "{text}");
        }
    }

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
                shares: Vec::new(),
                unmet: Unmet::default(),
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
