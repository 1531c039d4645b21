//! How far a run has come, for whoever shows it while it goes on.

use std::fmt::{self, Write as _};
use std::ops::Deref;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use super::course::Course;
use crate::replay::{Outcome, Timing};

/// How far a run has come; read while it goes on.
#[derive(Debug, Default)]
pub struct Progress {
    /// Requests found.
    pub requests: Counter,
    /// Requests not sent, by intent.
    pub skipped: Counter,
    /// Requests whose sending was begun.
    pub begun: Counter,
    /// Of those, the ones that have ended, with or without an answer.
    pub ended: Counter,
    /// Requests with an outcome that was judged.
    pub done: Counter,
    /// Of those, the ones without a whole answer.
    pub failed: Counter,
    /// Of those, the ones that differ in a way that counts.
    pub different: Counter,
    /// How often a side was asked again.
    pub asked: Counter,
    /// How often the capture has been read before.
    pub lap: Counter,
    /// How late requests left against their due time.
    pub lateness: Durations,
    /// How long v2 took, from the first byte sent to the last received.
    pub latency: Durations,
    /// How far that is of all that is to be done.
    pub course: Course,
    /// The latest departure since somebody asked last, in nanoseconds.
    latest: AtomicU64,
}

/// A count on a cache line of its own: threads that count different things do not wait for each other.
#[derive(Debug, Default)]
#[repr(align(128))]
pub struct Counter(AtomicU64);

impl Deref for Counter {
    type Target = AtomicU64;

    fn deref(&self) -> &AtomicU64 {
        &self.0
    }
}

/// The bounds of the buckets in which durations are counted, in seconds.
const BOUNDS: [f64; 16] =
    [0.0001, 0.000_25, 0.0005, 0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 10.0, 60.0];

/// Durations, counted in buckets.
#[derive(Debug, Default)]
pub struct Durations {
    /// How many lie in each bucket alone; the last holds what lies beyond the bounds.
    buckets: [AtomicU64; BOUNDS.len() + 1],
    nanos: AtomicU64,
}

impl Durations {
    fn add(&self, time: Duration) {
        let seconds = time.as_secs_f64();
        let bucket = BOUNDS.iter().position(|bound| seconds <= *bound).unwrap_or(BOUNDS.len());
        if let Some(bucket) = self.buckets.get(bucket) {
            Progress::count(bucket);
        }
        self.nanos.fetch_add(u64::try_from(time.as_nanos()).unwrap_or(u64::MAX), Ordering::Relaxed);
    }
}

impl Progress {
    /// What a counter has come to.
    #[must_use]
    pub fn read(counter: &AtomicU64) -> u64 {
        counter.load(Ordering::Relaxed)
    }

    pub(super) fn count(counter: &AtomicU64) {
        Self::count_on(counter, 1);
    }

    /// Counts so many.
    pub(super) fn count_on(counter: &AtomicU64, count: u64) {
        counter.fetch_add(count, Ordering::Relaxed);
    }

    /// Takes what became of a request that was begun.
    pub(super) fn end(&self, outcome: &Outcome) {
        Self::count(&self.ended);
        let (Outcome::Answered { timing, .. } | Outcome::Failed { timing, .. }) = outcome else { return };
        let Timing { sent: Some(sent), last_byte, .. } = *timing else { return };
        let late = timing.lateness().unwrap_or_default();
        self.lateness.add(late);
        self.latest.fetch_max(u64::try_from(late.as_nanos()).unwrap_or(u64::MAX), Ordering::Relaxed);
        if let (Some(last), Outcome::Answered { .. }) = (last_byte, outcome) {
            self.latency.add(last.since(sent));
        }
    }

    /// Requests that have an outcome, sent or not.
    #[must_use]
    pub fn outcomes(&self) -> u64 {
        Self::read(&self.done) + Self::read(&self.skipped)
    }

    /// Requests on their way.
    #[must_use]
    pub fn in_flight(&self) -> u64 {
        let ended = self.ended.load(Ordering::Relaxed);
        self.begun.load(Ordering::Relaxed).saturating_sub(ended)
    }

    /// How late the latest request left since this was asked last.
    pub fn latest(&self) -> Duration {
        Duration::from_nanos(self.latest.swap(0, Ordering::Relaxed))
    }

    /// All of it in the text format of Prometheus, version 0.0.4.
    #[must_use]
    pub fn metrics(&self) -> String {
        let mut text = String::new();
        // Writing to a string does not fail.
        let _ = self.write_metrics(&mut text);
        text
    }

    fn write_metrics(&self, out: &mut String) -> fmt::Result {
        let counters: [(_, _, &AtomicU64); 7] = [
            ("requests", "Requests found in the capture.", &self.requests),
            ("skipped", "Requests that are not sent.", &self.skipped),
            ("sent", "Requests whose sending was begun.", &self.begun),
            ("judged", "Requests with an outcome that was judged.", &self.done),
            ("failed", "Requests without a whole answer of v2.", &self.failed),
            ("different", "Requests whose answers differ in a way that counts.", &self.different),
            ("asked_again", "Requests that were sent once more, to v1 or v2, to measure noise.", &self.asked),
        ];
        for (name, help, counter) in counters {
            let value = counter.load(Ordering::Relaxed);
            writeln!(out, "# HELP shadowcap_{name}_total {help}\n# TYPE shadowcap_{name}_total counter")?;
            writeln!(out, "shadowcap_{name}_total {value}")?;
        }
        for (name, help, value) in [
            ("in_flight", "Requests on their way.", self.in_flight()),
            ("lap", "How often the capture has been read before.", self.lap.load(Ordering::Relaxed)),
        ] {
            writeln!(
                out,
                "# HELP shadowcap_{name} {help}\n# TYPE shadowcap_{name} gauge\nshadowcap_{name} {value}"
            )?;
        }
        let lateness = "How late requests left against their due time.";
        self.lateness.write(out, "lateness", lateness)?;
        self.latency.write(out, "latency", "How long v2 took, from the first byte sent to the last received.")
    }
}

impl Durations {
    #[expect(clippy::cast_precision_loss, reason = "a sum of seconds for a graph")]
    fn write(&self, out: &mut String, name: &str, help: &str) -> fmt::Result {
        let name = format!("shadowcap_{name}_seconds");
        writeln!(out, "# HELP {name} {help}\n# TYPE {name} histogram")?;
        let mut below = 0;
        let bounds = BOUNDS.iter().map(ToString::to_string).chain(["+Inf".to_owned()]);
        for (bound, bucket) in bounds.zip(&self.buckets) {
            below += bucket.load(Ordering::Relaxed);
            writeln!(out, "{name}_bucket{{le=\"{bound}\"}} {below}")?;
        }
        writeln!(out, "{name}_sum {}", self.nanos.load(Ordering::Relaxed) as f64 / 1e9)?;
        writeln!(out, "{name}_count {below}")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn durations_lie_in_the_bucket_that_ends_above_them() {
        let durations = Durations::default();
        for micros in [0, 100, 101, 1000, 60_000_001] {
            durations.add(Duration::from_micros(micros));
        }
        let mut text = String::new();
        durations.write(&mut text, "x", "y").unwrap();
        for line in [
            "# TYPE shadowcap_x_seconds histogram",
            "shadowcap_x_seconds_bucket{le=\"0.0001\"} 2",
            "shadowcap_x_seconds_bucket{le=\"0.00025\"} 3",
            "shadowcap_x_seconds_bucket{le=\"0.001\"} 4",
            "shadowcap_x_seconds_bucket{le=\"60\"} 4",
            "shadowcap_x_seconds_bucket{le=\"+Inf\"} 5",
            "shadowcap_x_seconds_count 5",
        ] {
            assert!(text.lines().any(|l| l == line), "{line} in\n{text}");
        }
    }

    #[test]
    fn the_latest_departure_is_that_since_it_was_asked_for() {
        let progress = Progress::default();
        let due = crate::time::Timestamp::from_nanos(0);
        for late in [3, 9, 5] {
            let timing = Timing { due, sent: Some(due + Duration::from_millis(late)), ..Timing::default() };
            let (failure, detail) = (crate::replay::Failure::Timeout, String::new());
            progress.end(&Outcome::Failed { failure, detail, partial: None, timing });
        }
        assert_eq!((progress.latest(), progress.latest()), (Duration::from_millis(9), Duration::ZERO));
    }
}
