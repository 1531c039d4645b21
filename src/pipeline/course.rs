//! How far a run is on its way: what of all that is to be done is done, and how long the rest takes.
//!
//! Reading is far ahead of sending, so that the bytes read tell nothing of a run's end. What counts are
//! outcomes; how many there will be is known when reading has ended, and estimated before from how much of
//! the capture was read for those that were found. With a schedule the rest takes until its last due time.

use std::sync::OnceLock;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::time::{Duration, Instant};

use super::progress::Counter;

/// What is known of a run's course while it goes on.
#[derive(Debug, Default)]
pub struct Course {
    /// When the first request was handed on.
    began: OnceLock<Instant>,
    /// Rows that reading has handed on.
    handed: Counter,
    /// Requests that the schedule has taken.
    scheduled: Counter,
    /// The last due time among them, in nanoseconds from the first; none is due at a time where it is 0.
    last_due: AtomicU64,
    read_all: AtomicBool,
    gave_up: AtomicBool,
}

/// What bounds a run, known when it begins.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Extent {
    /// The capture, read so many times.
    Readings(u32),
    /// So much time from the first request on.
    Time(Duration),
}

/// How far a run is.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Outlook {
    /// Requests with an outcome.
    pub outcomes: u64,
    /// How many there will be; `None` where nothing tells.
    pub total: Option<u64>,
    /// Whether that is an estimate, since the capture is not read to its end.
    pub estimated: bool,
    /// Time since the first request.
    pub elapsed: Duration,
    /// How much of the run is done, from 0 to 1.
    pub done: Option<f64>,
    /// How long the rest takes.
    pub left: Option<Duration>,
}

impl Course {
    pub(super) fn hand_on(&self) {
        self.began.get_or_init(Instant::now);
        self.handed.fetch_add(1, Ordering::Relaxed);
    }

    pub(super) fn schedule(&self, due: Option<Duration>) {
        self.scheduled.fetch_add(1, Ordering::Relaxed);
        if let Some(due) = due {
            self.last_due.fetch_max(u64::try_from(due.as_nanos()).unwrap_or(u64::MAX), Ordering::Relaxed);
        }
    }

    pub(super) fn end_of_reading(&self) {
        self.read_all.store(true, Ordering::Relaxed);
    }

    pub(super) fn give_up(&self) {
        self.gave_up.store(true, Ordering::Relaxed);
    }

    pub(super) fn gave_up(&self) -> bool {
        self.gave_up.load(Ordering::Relaxed)
    }

    /// How far the run is, with so many outcomes and so many bytes read of so many.
    #[must_use]
    pub fn outlook(&self, extent: Extent, outcomes: u64, read: (u64, Option<u64>)) -> Outlook {
        let at = At {
            extent,
            outcomes,
            read,
            elapsed: self.began.get().map(Instant::elapsed).unwrap_or_default(),
            handed: self.handed.load(Ordering::Relaxed),
            scheduled: self.scheduled.load(Ordering::Relaxed),
            last_due: Duration::from_nanos(self.last_due.load(Ordering::Relaxed)),
            read_all: self.read_all.load(Ordering::Relaxed),
        };
        at.outlook()
    }
}

/// A course at one moment.
#[derive(Clone, Copy, Debug)]
struct At {
    extent: Extent,
    outcomes: u64,
    read: (u64, Option<u64>),
    elapsed: Duration,
    handed: u64,
    scheduled: u64,
    last_due: Duration,
    read_all: bool,
}

#[expect(clippy::cast_precision_loss, reason = "shares of counts, for a person")]
#[expect(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "finite and not negative")]
impl At {
    fn outlook(self) -> Outlook {
        let Self { outcomes, elapsed, read_all, .. } = self;
        let (total, done, left) = match self.extent {
            Extent::Time(limit) => {
                let done = (elapsed.as_secs_f64() / limit.as_secs_f64().max(f64::MIN_POSITIVE)).min(1.0);
                (None, Some(done), Some(limit.saturating_sub(elapsed)))
            }
            Extent::Readings(times) => {
                let total = self.total(times);
                let done = total.map(|total| (outcomes as f64 / total).min(1.0));
                (total, done, self.left(total))
            }
        };
        let total = total.map(|total| total.round() as u64);
        Outlook { outcomes, total, estimated: !read_all, elapsed, done, left }
    }

    /// How many rows there will be.
    fn total(self, times: u32) -> Option<f64> {
        let handed = self.handed as f64;
        if self.read_all {
            return Some(handed.max(1.0));
        }
        let all = self.read.1? as f64 * f64::from(times);
        let share = self.read.0 as f64 / all;
        // Below a thousandth the few that were found say nothing of the many that were not.
        (share >= 0.001 && handed > 0.0).then(|| (handed / share.min(1.0)).max(self.outcomes as f64))
    }

    fn left(self, total: Option<f64>) -> Option<Duration> {
        let total = total?;
        let end = self.last_due.as_secs_f64() * (total / (self.scheduled as f64).max(1.0)).max(1.0);
        let elapsed = self.elapsed.as_secs_f64();
        if elapsed < end {
            return Duration::try_from_secs_f64(end - elapsed).ok();
        }
        // No schedule, or one that cannot be held: as fast as until now.
        let done = self.outcomes as f64;
        if done == 0.0 {
            return None;
        }
        Duration::try_from_secs_f64(elapsed * (total - done).max(0.0) / done).ok()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const SECOND: Duration = Duration::from_secs(1);

    /// 100 rows, found in all of the capture; 10 have an outcome, 5 seconds after the first request.
    const AT: At = At {
        extent: Extent::Readings(1),
        outcomes: 10,
        read: (1000, Some(1000)),
        elapsed: Duration::from_secs(5),
        handed: 100,
        scheduled: 100,
        last_due: Duration::ZERO,
        read_all: true,
    };

    #[track_caller]
    fn is(at: At, total: Option<u64>, done: Option<f64>, left: Option<u64>) {
        let outlook = at.outlook();
        assert_eq!((outlook.total, outlook.done), (total, done), "{outlook:?}");
        assert_eq!(outlook.left.map(|left| (left + SECOND / 2).as_secs()), left, "{outlook:?}");
    }

    #[test]
    fn without_a_schedule_the_rest_takes_as_long_for_each_as_what_is_done() {
        is(AT, Some(100), Some(0.1), Some(45));
        is(At { outcomes: 0, ..AT }, Some(100), Some(0.0), None);
        is(At { outcomes: 100, ..AT }, Some(100), Some(1.0), Some(0));
    }

    #[test]
    fn a_schedule_ends_with_its_last_due_time_and_a_run_that_is_behind_it_with_its_own_pace() {
        is(At { last_due: 300 * SECOND, ..AT }, Some(100), Some(0.1), Some(295));
        is(At { last_due: 4 * SECOND, ..AT }, Some(100), Some(0.1), Some(45));
    }

    #[test]
    fn before_the_capture_is_read_to_its_end_rows_and_schedule_are_estimated_from_its_bytes() {
        let quarter = At { read: (250, Some(1000)), read_all: false, handed: 25, scheduled: 25, ..AT };
        is(quarter, Some(100), Some(0.1), Some(45));
        is(At { last_due: 60 * SECOND, ..quarter }, Some(100), Some(0.1), Some(235));
        assert!(quarter.outlook().estimated && !AT.outlook().estimated);
        // Read twice, the quarter of it is an eighth.
        is(At { extent: Extent::Readings(2), ..quarter }, Some(200), Some(0.05), Some(95));
    }

    #[test]
    fn nothing_is_said_of_what_nothing_tells() {
        is(At { read: (250, None), read_all: false, ..AT }, None, None, None);
        is(At { read: (0, Some(1000)), read_all: false, ..AT }, None, None, None);
        is(At { handed: 0, outcomes: 0, read: (900, Some(1000)), read_all: false, ..AT }, None, None, None);
        is(At { handed: 0, outcomes: 0, ..AT }, Some(1), Some(0.0), None);
    }

    #[test]
    fn a_run_of_so_much_time_ends_with_it() {
        is(At { extent: Extent::Time(20 * SECOND), ..AT }, None, Some(0.25), Some(15));
        is(At { extent: Extent::Time(SECOND), ..AT }, None, Some(1.0), Some(0));
    }
}
