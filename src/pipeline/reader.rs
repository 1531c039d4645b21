//! Reading a capture for a run: from its packets to who takes the exchanges, and the account of what was read.

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
use crate::exchange::{Sequencer, Tell};
use crate::record::{CaptureTotals, Outstanding};
use crate::replay::stop::{Stop, StopHandle, StopSignal};
use crate::route::ShareCount;
use crate::time::parse_duration;

/// Damaged files that are described each.
const MOST_TOLD: usize = 10;

/// Where the exchanges of a capture go, from whoever reads it.
pub(super) trait Taker: Tell + Send + 'static {
    /// How often the capture has been read, this time counted in.
    fn readings(&self) -> u32 {
        1
    }

    /// Why nothing more is taken, where that is so.
    fn halt(&self) -> Option<&Halt>;

    /// Whether it makes sense to read the capture again for as long as there is time.
    fn goes_again(&self) -> bool {
        true
    }

    /// The capture, which lasted so long, is about to be read again.
    fn read_again(&mut self, _lasted: Duration) {}

    /// Nothing is read any more.
    fn all_is_read(&mut self) {}

    /// Says what came of it, when all is read.
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

/// What reading leaves behind.
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

/// Reads a capture as often as it is to be. What it holds is told as the first reading found it.
pub(super) struct Reader<T: Taker> {
    reading: Reading<CaptureSet, Sequencer<T>>,
    repeat: Repeat,
    began: Instant,
    signal: StopSignal,
    /// What the first reading found, once it is over.
    found: Option<(CaptureStats, Account)>,
    broken_off: Vec<CaptureError>,
}

impl<T: Taker> Reader<T> {
    /// One that stands before the first packet.
    pub(super) fn new(source: Source, taker: T, signal: StopSignal) -> Self {
        let Source { captures, options, repeat } = source;
        let sequencer = Sequencer::new(options.in_order(), taker);
        let reading = Reading::new(captures, options, sequencer);
        Self { reading, repeat, began: Instant::now(), signal, found: None, broken_off: Vec::new() }
    }

    /// Who takes the exchanges.
    pub(super) fn taker_mut(&mut self) -> &mut T {
        self.reading.listener_mut().teller_mut()
    }

    /// Reads on, packet by packet, until there is `enough`. Whether there may be more.
    #[inline]
    pub(super) fn read_until(&mut self, mut enough: impl FnMut(&mut T) -> bool) -> bool {
        while self.goes_on() {
            match self.reading.step() {
                Ok(true) => {
                    if enough(self.taker_mut()) {
                        return true;
                    }
                }
                // It ends one file of a set, and reading goes on with the others.
                Err(error) if self.goes_on() => self.broken_off.push(error),
                // The end; or an error that has the same reason for which reading does not go on.
                Ok(false) | Err(_) => break,
            }
        }
        self.reading.finish();
        self.reading.listener_mut().finish();
        let (stats, account) = (self.reading.source().stats(), self.reading.account());
        self.found.get_or_insert((stats, account));
        let goes_again = self.goes_again();
        if !goes_again {
            self.taker_mut().all_is_read();
        }
        goes_again
    }

    /// Whether the reading that was begun goes on. The first ends with the capture, others with their time, too; and all as
    /// soon as nobody takes what is read.
    fn goes_on(&mut self) -> bool {
        self.taker_mut().halt().is_none()
            && self.signal.state() == Stop::Run
            && (self.found.is_none() || self.repeat.goes_on(0, self.began))
    }

    /// Stands before the first packet once more, where the capture is to be read again.
    fn goes_again(&mut self) -> bool {
        let (repeat, began) = (self.repeat, self.began);
        let stopped = self.signal.state() != Stop::Run || !self.broken_off.is_empty();
        let taker = self.taker_mut();
        if stopped
            || taker.halt().is_some()
            || !repeat.goes_on(taker.readings(), began)
            || !(matches!(repeat, Repeat::Times(_)) || taker.goes_again())
        {
            return false;
        }
        let stats = self.reading.source().stats();
        let lasted = stats.last_packet().zip(stats.first_packet()).map(|(last, first)| last.since(first));
        self.taker_mut().read_again(lasted.unwrap_or_default());
        match self.reading.source().rewound() {
            Ok(rewound) => {
                self.reading.restart(rewound);
                self.reading.listener_mut().restart();
                true
            }
            Err(error) => {
                self.broken_off.push(error);
                false
            }
        }
    }

    /// Nothing more is read.
    pub(super) fn end(self) -> Read {
        let Self { reading, found, broken_off, .. } = self;
        let (stats, account) = found.unwrap_or_else(|| (reading.source().stats(), reading.account()));
        let Handed { rows, halt, shares, unmet } = reading.into_listener().into_teller().end();
        Read { stats, account, broken_off, rows, halt, shares, unmet }
    }
}

/// Has the run stop at once where what was read forbids it.
pub(super) fn stop_if_refused<T: Taker>(reader: &mut Reader<T>, stop: &StopHandle) {
    if matches!(reader.taker_mut().halt(), Some(Halt::Refused(_) | Halt::Unread(_))) {
        stop.raise();
        stop.raise();
    }
}

/// Starts a thread that reads. It ends with the capture, or when the run is told to stop.
pub(super) fn spawn_reader<T: Taker>(
    mut reader: Reader<T>,
    stop: Arc<StopHandle>,
) -> Result<thread::JoinHandle<Read>, RunError> {
    let reading = move || {
        while reader.read_until(|_| false) {}
        stop_if_refused(&mut reader, &stop);
        reader.end()
    };
    thread::Builder::new()
        .name("reading".to_owned())
        .spawn(reading)
        .map_err(|source| RunError::System { what: "a thread", source })
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
