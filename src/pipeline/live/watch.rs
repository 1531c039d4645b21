//! What is known of a live run while it goes on: for whoever shows it, and for its account.

use std::collections::BTreeMap;
use std::path::PathBuf;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use hdrhistogram::Histogram;

use super::feed::Queued;
use crate::anomaly::AnomalyCounts;
use crate::capture::live;
use crate::capture::recorder::RecorderError;
use crate::packet::Packet;
use crate::pipeline::{Account, Progress};
use crate::record::{CaptureTotals, Finished};
use crate::replay::{Outcome, SkipReason, Timing, engine};
use crate::report::Verdicts;
use crate::route::ShareCount;
use crate::time::Timestamp;

/// How many packets were read, and when they were captured.
#[derive(Clone, Debug, Default)]
pub(super) struct ReadSoFar {
    packets: u64,
    bytes: u64,
    first: Option<Timestamp>,
    last: Option<Timestamp>,
}

impl ReadSoFar {
    pub(super) fn count(&mut self, packet: &Packet<'_>) {
        self.packets += 1;
        self.bytes += packet.data.len() as u64;
        self.first = Some(self.first.map_or(packet.at, |first| first.min(packet.at)));
        self.last = Some(self.last.map_or(packet.at, |last| last.max(packet.at)));
    }
}

/// A live run, seen from outside.
pub struct Watch {
    /// The counts of requests.
    pub progress: Arc<Progress>,
    interfaces: Arc<live::Account>,
    /// Requests that were handed to the engine.
    sent: AtomicU64,
    /// Rows of requests that were not sent.
    rows: AtomicU64,
    /// What waited was not sent to its end.
    drained_out: AtomicBool,
    inner: Mutex<Inner>,
}

struct Inner {
    read: ReadSoFar,
    account: Account,
    shares: Vec<ShareCount>,
    without_row: BTreeMap<SkipReason, u64>,
    delay: Histogram<u32>,
    verdicts: Verdicts,
    top: Vec<(String, u64)>,
    kept: Vec<PathBuf>,
    not_kept: Option<String>,
    not_stored: Option<String>,
}

/// A live run at one moment.
#[derive(Clone, Debug, Default)]
pub struct View {
    /// Packets read.
    pub packets: u64,
    /// Packets that the kernel had no room for.
    pub dropped_by_kernel: u64,
    /// Packets that the interface or its driver dropped.
    pub dropped_by_interface: u64,
    /// Requests found.
    pub requests: u64,
    /// Requests that wait for v2 or are on their way to it.
    pub in_flight: u64,
    /// Requests with an outcome.
    pub done: u64,
    /// Of those, the ones without a whole answer.
    pub failed: u64,
    /// Of those, the ones that differ in a way that counts.
    pub different: u64,
    /// Requests that were not sent, by intent.
    pub skipped: u64,
    /// Requests that were shed, by reason.
    pub shed: Vec<(SkipReason, u64)>,
    /// From v1's answer to the shadow's departure: the median, and what 99 of 100 stay below.
    pub delay: Option<(Duration, Duration)>,
    /// How many rows got which verdict.
    pub verdicts: Verdicts,
    /// The differences met most often, each with how many exchanges show it.
    pub top: Vec<(String, u64)>,
    /// Interfaces from which nothing comes any more, and why.
    pub gone: Vec<String>,
    /// Why packets are not kept any more.
    pub not_kept: Option<String>,
    /// Why the body of a request could not be kept on the disk until it is sent, the last time.
    pub not_stored: Option<String>,
}

impl Watch {
    /// The run on these interfaces, which has not begun.
    #[must_use]
    pub fn new(interfaces: Arc<live::Account>) -> Self {
        Self {
            progress: Arc::default(),
            interfaces,
            sent: AtomicU64::new(0),
            rows: AtomicU64::new(0),
            drained_out: AtomicBool::new(false),
            inner: Mutex::new(Inner {
                read: ReadSoFar::default(),
                account: Account::default(),
                shares: Vec::new(),
                without_row: BTreeMap::new(),
                delay: histogram(),
                verdicts: Verdicts::default(),
                top: Vec::new(),
                kept: Vec::new(),
                not_kept: None,
                not_stored: None,
            }),
        }
    }

    /// The run now.
    #[must_use]
    pub fn view(&self) -> View {
        let counts = self.interfaces.total();
        let of = Progress::read;
        let done = of(&self.progress.done);
        let inner = self.lock();
        View {
            packets: inner.read.packets,
            dropped_by_kernel: counts.dropped_by_kernel,
            dropped_by_interface: counts.dropped_by_interface,
            requests: of(&self.progress.requests),
            in_flight: of(&self.sent).saturating_sub(done),
            done,
            failed: of(&self.progress.failed),
            different: of(&self.progress.different),
            skipped: of(&self.progress.skipped),
            shed: inner.without_row.iter().map(|(&reason, &count)| (reason, count)).collect(),
            delay: (!inner.delay.is_empty()).then(|| (at(&inner.delay, 0.5), at(&inner.delay, 0.99))),
            verdicts: inner.verdicts,
            top: inner.top.clone(),
            gone: self.interfaces.gone(),
            not_kept: inner.not_kept.clone(),
            not_stored: inner.not_stored.clone(),
        }
    }

    /// The account of the interfaces.
    #[must_use]
    pub fn interfaces(&self) -> Arc<live::Account> {
        Arc::clone(&self.interfaces)
    }

    /// The files in which packets were kept.
    #[must_use]
    pub fn kept_files(&self) -> Vec<PathBuf> {
        self.lock().kept.clone()
    }

    /// The recording's last line, as of now.
    pub(super) fn finished(&self, of_rows: &AnomalyCounts, interrupted: bool, now: Timestamp) -> Finished {
        let interfaces: Vec<_> = self.interfaces.interfaces().into_iter().map(|one| one.name).collect();
        let gone = self.interfaces.gone();
        let inner = self.lock();
        let Inner { read, account, .. } = &*inner;
        let mut anomalies = account.anomalies();
        anomalies.merge(of_rows);
        anomalies.merge(&self.interfaces.anomalies());
        Finished {
            finished: now,
            interrupted,
            capture: CaptureTotals {
                files: interfaces,
                packets: read.packets,
                bytes: read.bytes,
                connections: account.streams.connections + account.streams.empty_connections,
                lost_bytes: account.streams.total().lost,
                first_packet: read.first,
                last_packet: read.last,
            },
            anomalies: Finished::anomalies_of(&anomalies),
            without_row: inner
                .without_row
                .iter()
                .map(|(reason, &count)| (reason.name().to_owned(), count))
                .collect(),
            broken_off: (!gone.is_empty()).then(|| gone.join("; ")),
            shares: inner.shares.clone(),
            gave_up: None,
        }
    }

    /// That not every request that was handed on has become a row, where that is so.
    pub(super) fn unaccounted(&self, rows: u64) -> Option<String> {
        let handed = self.sent.load(Ordering::Relaxed) + self.rows.load(Ordering::Relaxed);
        (handed != rows).then(|| {
            format!(
                "of {handed} requests {rows} have an outcome, which is a defect of shadowcap's own; please report it"
            )
        })
    }

    pub(super) fn count_sent(&self) {
        self.sent.fetch_add(1, Ordering::Relaxed);
    }

    pub(super) fn count_row(&self) {
        self.rows.fetch_add(1, Ordering::Relaxed);
    }

    pub(super) fn count_without_row(&self, reason: SkipReason) {
        *self.lock().without_row.entry(reason).or_default() += 1;
    }

    /// A shadow left.
    pub(super) fn departed(&self, timing: &Timing) {
        if let Some(late) = timing.lateness() {
            let micros = u64::try_from(late.as_micros()).unwrap_or(u64::MAX);
            // It grows as far as it must; what no histogram can hold is not counted.
            let _ = self.lock().delay.record(micros);
        }
    }

    pub(super) fn read(&self, read: ReadSoFar, account: Account, shares: Vec<ShareCount>) {
        let mut inner = self.lock();
        (inner.read, inner.account, inner.shares) = (read, account, shares);
    }

    pub(super) fn renew(&self, verdicts: Verdicts, top: Vec<(String, u64)>) {
        let mut inner = self.lock();
        (inner.verdicts, inner.top) = (verdicts, top);
    }

    pub(super) fn kept(&self, files: Vec<PathBuf>) {
        self.lock().kept = files;
    }

    pub(super) fn not_kept(&self, error: &RecorderError) {
        self.lock().not_kept = Some(error.to_string());
    }

    pub(super) fn not_stored(&self, why: &str) {
        self.lock().not_stored = Some(why.to_owned());
    }

    pub(super) fn drain_out(&self) {
        self.drained_out.store(true, Ordering::Relaxed);
    }

    pub(super) fn drained_out(&self) -> bool {
        self.drained_out.load(Ordering::Relaxed)
    }

    fn lock(&self) -> MutexGuard<'_, Inner> {
        self.inner.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// Nothing is noted of what is on its way: nobody can go on with a run of what was captured at the time.
impl engine::Watch<Queued> for Watch {
    fn begins(&self, _: &Queued) -> bool {
        Progress::count(&self.progress.begun);
        true
    }

    /// That is counted with the row, which knows when v1 had answered.
    fn ended(&self, _: &Queued, _: &Outcome) {}
}

/// Microseconds, to three digits.
fn histogram() -> Histogram<u32> {
    Histogram::new(3).unwrap_or_else(|_| unreachable!("three digits are allowed"))
}

fn at(delay: &Histogram<u32>, quantile: f64) -> Duration {
    Duration::from_micros(delay.value_at_quantile(quantile))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn delays_are_told_as_long_as_they_are() {
        let mut delay = histogram();
        for micros in 1..=1000 {
            delay.record(micros * 10).unwrap();
        }
        // Of ten microseconds to ten milliseconds, to three digits.
        for (quantile, micros) in [(0.5, 5000), (0.99, 9900)] {
            let exact = Duration::from_micros(micros);
            let told = at(&delay, quantile);
            assert!(told >= exact && told.saturating_sub(exact) <= exact / 1000, "{quantile}: {told:?}");
        }
    }
}
