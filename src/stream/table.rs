//! Finds the connection of a segment.

use super::{Application, StreamAccount};
use crate::wire::Segment;

/// What the connections may cost.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Limits {
    /// Bytes of memory for all connections together, held segments and application states included.
    /// Beyond it the connections that were silent longest are given up.
    pub memory: u64,
}

impl Default for Limits {
    /// 512 MiB.
    fn default() -> Self {
        Self { memory: 512 << 20 }
    }
}

/// All connections of a capture.
#[derive(Debug)]
pub struct ConnectionTable<A: Application> {
    limits: Limits,
    account: StreamAccount,
    states: std::marker::PhantomData<A>,
}

impl<A: Application> ConnectionTable<A> {
    /// An empty table.
    #[must_use]
    pub fn new(limits: Limits) -> Self {
        Self { limits, account: StreamAccount::default(), states: std::marker::PhantomData }
    }

    /// Takes one segment, in capture order, and tells `app` what follows from it.
    pub fn push(&mut self, segment: &Segment<'_>, app: &mut A) {
        let _ = (segment, app, self.limits);
        self.account.segments += 1;
    }

    /// The capture has ended: hands on what is held, declares the remaining holes lost, and ends every
    /// connection, the longest silent first.
    pub fn finish(&mut self, app: &mut A) {
        let _ = app;
    }

    /// What became of all bytes so far.
    #[must_use]
    pub fn account(&self) -> &StreamAccount {
        &self.account
    }
}
