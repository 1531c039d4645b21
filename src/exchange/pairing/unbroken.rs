//! How far back the bytes of a direction were read without a break.
//!
//! A message says nothing of what came before it. Whether all of an answer was read, its interim responses included,
//! or whether a hole swallowed some of it, is told by where the messages begin that follow each other up to its end.

/// Where the messages of one direction began that follow each other without a byte between them that is missing, or
/// of which no message could be made.
#[derive(Debug, Default)]
pub(super) struct Unbroken {
    since: u64,
    broken: bool,
}

impl Unbroken {
    /// A direction of which bytes may have gone by.
    pub(super) fn broken() -> Self {
        Self { since: 0, broken: true }
    }

    /// Bytes are missing between messages, or are none.
    pub(super) fn break_off(&mut self) {
        self.broken = true;
    }

    /// A message begins at this position.
    #[inline]
    pub(super) fn begin(&mut self, position: u64) {
        if self.broken {
            *self = Self { since: position, broken: false };
        }
    }

    /// From where on everything was read, up to the end of the last message that began.
    pub(super) fn since(&self) -> u64 {
        self.since
    }
}
