//! The replay's clock: wall time that never runs backwards, because it is read once and then carried
//! on by the monotonic clock. A step of the system's clock during a run changes no measurement.

use std::time::SystemTime;

use tokio::time::Instant;

use crate::time::Timestamp;

/// Wall time, anchored once.
#[derive(Clone, Copy, Debug)]
pub struct Clock {
    anchor: Instant,
    wall: Timestamp,
}

impl Clock {
    /// A clock that shows the system's time now, and runs on by itself.
    #[must_use]
    pub fn start() -> Self {
        // On a busy machine the thread may be put aside between the two readings: the closest pair counts.
        let pair = || {
            let (before, wall, after) = (Instant::now(), SystemTime::now(), Instant::now());
            (after - before, before, wall)
        };
        let mut closest = pair();
        for _ in 0..8 {
            let next = pair();
            if next.0 < closest.0 {
                closest = next;
            }
        }
        let (apart, before, wall) = closest;
        let since_epoch = wall.duration_since(SystemTime::UNIX_EPOCH).unwrap_or_default();
        Self { anchor: before + apart / 2, wall: Timestamp::from_nanos(0) + since_epoch }
    }

    /// The time now.
    #[must_use]
    pub fn now(&self) -> Timestamp {
        self.at(Instant::now())
    }

    /// The time at an instant; that of the start for an earlier one.
    #[must_use]
    pub fn at(&self, instant: Instant) -> Timestamp {
        self.wall + instant.saturating_duration_since(self.anchor)
    }
}
