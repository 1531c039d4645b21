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
        let since_epoch = SystemTime::now().duration_since(SystemTime::UNIX_EPOCH).unwrap_or_default();
        Self { anchor: Instant::now(), wall: Timestamp::from_nanos(0) + since_epoch }
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
