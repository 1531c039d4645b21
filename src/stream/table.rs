//! Finds the connection of a segment, and keeps all connections within a budget.
//!
//! ```text
//!            first payload              both ended
//!   Empty ───────────────────▶ Open ─────────────────▶ Closed
//!     ▲ SYN, or any segment      │ a new SYN, silence     │
//!     └──────────────────────────┴────────────────────────┘
//! ```
//!
//! All time is that of the packets, and nothing depends on how the capture is cut into files.

use std::cmp::Reverse;
use std::collections::BinaryHeap;

use super::connection::{Connection, Listener, QUIET};
use super::handshake::Handshake;
use super::reassembler::WINDOW;
use super::slots::{Endpoints, Line, Side, Slots};
use super::{Application, Direction, End, StreamAccount};
use crate::anomaly::Anomaly;
use crate::time::Timestamp;
use crate::wire::{Flags, Segment, SeqNumber};

/// What the connections may cost.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Limits {
    /// Bytes of memory for all connections together, held segments and application states included.
    /// Beyond it the connections that were silent longest are given up. A quarter of it is for
    /// connections without payload.
    pub memory: u64,
}

impl Default for Limits {
    /// 512 MiB.
    fn default() -> Self {
        Self { memory: 512 << 20 }
    }
}

/// How many connections that are over are remembered, so that what trails behind them opens none, and
/// the next one between the same endpoints gets the next instance number.
const REMEMBERED: usize = 1 << 16;

/// So many deadlines of connections that are over are left where they are.
const STALE_DEADLINES: usize = 1024;

/// What is remembered of a connection that is over.
#[derive(Clone, Copy, Debug)]
struct Closed {
    instance: u32,
    at: Timestamp,
    /// It was given up, so more of it may come.
    evicted: bool,
    client: Side,
    reset: bool,
    first_numbers: [Option<SeqNumber>; 2],
    next_numbers: [Option<SeqNumber>; 2],
}

/// A connection and what its application keeps.
#[derive(Debug)]
struct Open<S> {
    connection: Connection,
    state: S,
    /// Its memory as it stands in the table's sum, beside the fixed part.
    memory: u64,
    /// With which deadline it stands in the table's queue. (One that stands there with another was that of a
    /// connection which had the slot before.)
    timed: Option<Timestamp>,
}

#[derive(Debug)]
enum Slot<S> {
    Empty(Handshake),
    Open(Box<Open<S>>),
    Closed(Closed),
}

/// All connections of a capture.
#[derive(Debug)]
pub struct ConnectionTable<A: Application> {
    limits: Limits,
    slots: Slots<Slot<A::State>>,
    /// Memory of the open connections, in bytes.
    memory: u64,
    /// When connections should be looked at even if nothing more is captured of them.
    deadlines: BinaryHeap<Reverse<(Timestamp, u32)>>,
    account: StreamAccount,
}

impl<A: Application> ConnectionTable<A> {
    /// What an open connection takes beside its slot, with the allocator's own.
    const OPEN_COST: u64 = size_of::<Open<A::State>>() as u64 + 16;
    const DEADLINE_COST: u64 = size_of::<Reverse<(Timestamp, u32)>>() as u64;

    /// An empty table.
    #[must_use]
    pub fn new(limits: Limits) -> Self {
        Self {
            limits,
            slots: Slots::new(),
            memory: 0,
            deadlines: BinaryHeap::new(),
            account: StreamAccount::default(),
        }
    }

    /// What became of all bytes so far.
    #[must_use]
    pub fn account(&self) -> &StreamAccount {
        &self.account
    }

    /// How many connections are open and have carried payload.
    #[must_use]
    pub fn open_connections(&self) -> usize {
        self.slots.len(Line::Open)
    }

    /// How many deadlines are waited for.
    #[cfg(test)]
    pub(super) fn deadlines(&self) -> usize {
        self.deadlines.len()
    }

    /// Bytes of memory in use, as the budget counts them.
    #[must_use]
    pub fn memory(&self) -> u64 {
        let slots = [Line::Empty, Line::Open, Line::Closed].iter().map(|&line| self.slots.len(line) as u64);
        let deadlines = self.deadlines.len() as u64 * Self::DEADLINE_COST;
        self.memory + deadlines + slots.sum::<u64>() * Slots::<Slot<A::State>>::COST
    }

    /// Takes one segment, in capture order, and tells `app` what follows from it.
    #[inline]
    pub fn push(&mut self, segment: &Segment<'_>, app: &mut A) {
        self.push_by(Self::push_open, segment, app);
    }

    /// As [`Self::push`], without a quick way for what is expected.
    #[cfg(test)]
    pub(super) fn push_thoroughly(&mut self, segment: &Segment<'_>, app: &mut A) {
        self.push_by(Self::push_unexpected, segment, app);
    }

    #[inline]
    fn push_by(
        &mut self,
        push_open: impl Fn(&mut Self, u32, &Segment<'_>, Side, &mut A) -> bool,
        segment: &Segment<'_>,
        app: &mut A,
    ) {
        self.account.segments += 1;
        self.meet_deadlines(segment.at, app);
        let again = self.slots.find_again(&segment.source, &segment.destination);
        let (found, side) = again.map_or_else(|| self.find(segment), |(id, side)| (Some(id), side));
        match found {
            Some(id) if push_open(self, id, segment, side, app) => {}
            found => self.push_uncommon(found, segment, side, app),
        }
    }

    /// The slot of a segment's endpoints, and which of them sent it.
    #[inline(never)]
    fn find(&mut self, segment: &Segment<'_>) -> (Option<u32>, Side) {
        let (endpoints, side) = Endpoints::of(segment.source, segment.destination);
        (self.slots.find(&endpoints), side)
    }

    /// Nothing more comes that was captured before `now`: what waited for longer than it should is decided
    /// without it. For captures that go on while nothing is captured.
    pub fn pass_time(&mut self, now: Timestamp, app: &mut A) {
        self.meet_deadlines(now, app);
    }

    /// The capture has ended: hands on what is held, declares the remaining holes lost, and ends every
    /// connection, the longest silent first.
    pub fn finish(&mut self, app: &mut A) {
        self.deadlines.clear();
        while let Some(id) = self.slots.oldest(Line::Open) {
            self.close(id, app);
            self.slots.remove(id);
        }
        for line in [Line::Empty, Line::Closed] {
            while self.slots.oldest(line).is_some() {
                self.forget(line);
            }
        }
    }

    /// Gives a segment to an open connection; `false` when there is none, or this one is succeeded.
    #[inline]
    fn push_open(&mut self, id: u32, segment: &Segment<'_>, side: Side, app: &mut A) -> bool {
        let Some(Slot::Open(open)) = self.slots.get_mut(id) else { return false };
        if open.connection.expects(segment, side) {
            let mut listener = Listener { app, state: &mut open.state, account: &mut self.account };
            let moved = open.connection.push_expected(segment, side, &mut listener);
            self.slots.touch(id);
            if moved {
                self.weigh(id, app);
            }
            return true;
        }
        self.push_unexpected(id, segment, side, app)
    }

    /// As [`Self::push_open`], whatever the segment is.
    fn push_unexpected(&mut self, id: u32, segment: &Segment<'_>, side: Side, app: &mut A) -> bool {
        let Some(Slot::Open(open)) = self.slots.get_mut(id) else { return false };
        let rare = segment.flags.contains(Flags::SYN) || open.connection.is_challenged();
        if rare && open.connection.is_succeeded_by(segment, side) {
            return false;
        }
        // A mere acknowledgement changes nothing, unless it shows that something is missing.
        let idle = segment.is_mere_ack() && open.connection.is_at_rest();
        let mut listener = Listener { app, state: &mut open.state, account: &mut self.account };
        let deadline = open.connection.push(segment, side, &mut listener);
        self.slots.touch(id);
        if !idle || deadline.is_some() {
            self.settle_up(id, deadline, app);
        }
        true
    }

    /// After a connection moved: its memory, its deadline, and its end.
    #[inline]
    fn settle_up(&mut self, id: u32, deadline: Option<Timestamp>, app: &mut A) {
        let Some(Slot::Open(open)) = self.slots.get_mut(id) else { return };
        if let Some(deadline) = deadline
            && open.timed.is_none()
        {
            open.timed = Some(deadline);
            self.deadlines.push(Reverse((deadline, id)));
        }
        if open.connection.is_over() {
            self.close(id, app);
        }
        if deadline.is_some() {
            self.drop_stale_deadlines();
        }
        self.weigh(id, app);
    }

    /// Counts the memory of a connection anew.
    #[inline]
    fn weigh(&mut self, id: u32, app: &mut A) {
        if let Some(Slot::Open(open)) = self.slots.get_mut(id) {
            let memory = open.connection.memory() + app.memory(&open.state) as u64;
            self.memory = self.memory + memory - open.memory;
            open.memory = memory;
        }
        if self.memory > self.limits.memory / 2 {
            self.keep_within_budget(app);
        }
    }

    /// Takes away the deadlines of connections that are over, where they outnumber those that are open: they would
    /// pile up where the packets' time stands still.
    #[inline]
    fn drop_stale_deadlines(&mut self) {
        if self.deadlines.len() > 2 * self.slots.len(Line::Open) + STALE_DEADLINES {
            let slots = &mut self.slots;
            self.deadlines.retain(|&Reverse((deadline, id))| {
                matches!(slots.get_mut(id), Some(Slot::Open(open)) if open.timed == Some(deadline))
            });
        }
    }

    fn push_uncommon(&mut self, found: Option<u32>, segment: &Segment<'_>, side: Side, app: &mut A) {
        let (endpoints, _) = Endpoints::of(segment.source, segment.destination);
        let fresh = |instance| Slot::Empty(Handshake::new(segment.at, instance));
        let id = match found {
            None => self.slots.insert(endpoints, Line::Empty, fresh(1)),
            Some(id) => {
                match self.succession(id, segment, side, app) {
                    Succession::Same => {}
                    Succession::Trailing => return,
                    Succession::Next(instance) => {
                        self.slots.replace(id, Line::Empty, fresh(instance));
                    }
                }
                Some(id)
            }
        };
        if let Some(id) = id {
            self.push_empty(id, &endpoints, segment, side, app);
            self.keep_within_budget(app);
        }
    }

    /// Whether a segment belongs to the connection in a slot, closing that connection if not.
    fn succession(&mut self, id: u32, segment: &Segment<'_>, side: Side, app: &mut A) -> Succession {
        match self.slots.get_mut(id) {
            Some(Slot::Empty(handshake)) if handshake.is_other_than(segment, side) => {
                let next = handshake.instance.saturating_add(u32::from(handshake.began()));
                self.account.empty_connections += 1;
                Succession::Next(next)
            }
            Some(Slot::Open(open)) => {
                let next = open.connection.info().id.instance.saturating_add(1);
                self.close(id, app);
                Succession::Next(next)
            }
            Some(Slot::Closed(closed)) if closed.is_trailed_by(segment, side) => {
                closed.count(segment, side, &mut self.account);
                Succession::Trailing
            }
            Some(Slot::Closed(closed)) => Succession::Next(closed.instance.saturating_add(1)),
            Some(Slot::Empty(_)) | None => Succession::Same,
        }
    }

    /// Gives a segment to a connection without payload so far; with payload it opens.
    fn push_empty(&mut self, id: u32, endpoints: &Endpoints, segment: &Segment<'_>, side: Side, app: &mut A) {
        let Some(Slot::Empty(handshake)) = self.slots.get_mut(id) else { return };
        // The FIN's number is behind the payload; it is noted with it.
        let flags =
            if segment.payload.is_empty() { segment.flags } else { segment.flags.without(Flags::FIN) };
        handshake.note(&Segment { flags, ..*segment }, side);
        let (client, _) = handshake.client(endpoints, side);
        if segment.flags.contains(Flags::RST) {
            count_outside(segment, client == side, &mut self.account);
        }
        if segment.flags.contains(Flags::RST) || (segment.payload.is_empty() && segment.cut == 0) {
            self.slots.touch(id);
            return;
        }
        let handshake = *handshake;
        let mut connection = Connection::new(&handshake, endpoints, side, &mut self.account);
        let mut state = app.open(connection.info());
        self.account.connections += 1;
        self.memory += Self::OPEN_COST;
        let mut listener = Listener { app, state: &mut state, account: &mut self.account };
        connection.begin(&handshake, &mut listener);
        let open = Open { connection, state, memory: 0, timed: None };
        self.slots.replace(id, Line::Open, Slot::Open(Box::new(open)));
        self.push_open(id, segment, side, app);
    }

    /// Ends an open connection; what trails behind it will be known.
    fn close(&mut self, id: u32, app: &mut A) {
        let Some(Slot::Open(open)) = self.slots.get_mut(id) else { return };
        let mut listener = Listener { app, state: &mut open.state, account: &mut self.account };
        open.connection.note_closing();
        open.connection.finish(End::Idle, &mut listener);
        let closed = Slot::Closed(Closed::new(&open.connection));
        if let Some(Slot::Open(open)) = self.slots.replace(id, Line::Closed, closed) {
            self.memory -= open.memory + Self::OPEN_COST;
            app.close(open.connection.info(), open.state);
        }
        while self.slots.len(Line::Closed) > REMEMBERED {
            self.forget(Line::Closed);
        }
    }

    /// Gives up an open connection for its memory.
    fn evict(&mut self, id: u32, app: &mut A) {
        if let Some(Slot::Open(open)) = self.slots.get_mut(id) {
            open.connection.note(Anomaly::Evicted, &mut self.account);
        }
        self.close(id, app);
        if let Some(Slot::Closed(closed)) = self.slots.get_mut(id) {
            closed.evicted = true;
        }
    }

    /// Forgets the longest silent of a line without payload or already closed.
    fn forget(&mut self, line: Line) {
        if let Some(id) = self.slots.oldest(line)
            && let Some(Slot::Empty(_)) = self.slots.remove(id)
        {
            self.account.empty_connections += 1;
        }
    }

    fn keep_within_budget(&mut self, app: &mut A) {
        while self.slots.len(Line::Empty) as u64 * Slots::<Slot<A::State>>::COST > self.limits.memory / 4 {
            self.forget(Line::Empty);
        }
        while self.memory() > self.limits.memory {
            match (self.slots.oldest(Line::Closed), self.slots.oldest(Line::Open)) {
                (Some(_), _) => self.forget(Line::Closed),
                (None, Some(id)) => self.evict(id, app),
                (None, None) => return,
            }
        }
    }

    /// Looks at the connections whose wait is over by the time of the packet at hand.
    #[inline]
    fn meet_deadlines(&mut self, now: Timestamp, app: &mut A) {
        while let Some(&Reverse((deadline, id))) = self.deadlines.peek()
            && deadline <= now
        {
            self.deadlines.pop();
            if let Some(Slot::Open(open)) = self.slots.get_mut(id)
                && open.timed == Some(deadline)
            {
                open.timed = None;
                let mut listener = Listener { app, state: &mut open.state, account: &mut self.account };
                let deadline = open.connection.keep_waiting(now, &mut listener);
                self.settle_up(id, deadline, app);
            }
        }
    }
}

/// How a segment stands to the connection that its endpoints had.
enum Succession {
    /// It belongs to it.
    Same,
    /// It starts another one, with this instance number.
    Next(u32),
    /// It is a straggler of one that is over.
    Trailing,
}

impl Closed {
    fn new(connection: &Connection) -> Self {
        Self {
            instance: connection.info().id.instance,
            at: connection.latest(),
            evicted: false,
            client: connection.client(),
            reset: connection.was_reset(),
            first_numbers: connection.first_numbers(),
            next_numbers: connection.next_numbers(),
        }
    }

    /// Whether a segment is a straggler of this connection rather than the start of another: a repeated
    /// SYN, anything without payload, and payload near its end within [`QUIET`].
    fn is_trailed_by(&self, segment: &Segment<'_>, side: Side) -> bool {
        let recent = segment.at.since(self.at) < QUIET;
        if segment.flags.contains(Flags::SYN) {
            return recent && self.first_numbers[side.index()] == Some(segment.seq.advance(1));
        }
        let near = self.next_numbers[side.index()]
            .is_none_or(|next| u64::from(segment.seq.distance_from(next).unsigned_abs()) <= WINDOW);
        segment.payload.is_empty() || segment.flags.contains(Flags::RST) || (recent && near && !self.evicted)
    }

    fn count(&self, segment: &Segment<'_>, side: Side, account: &mut StreamAccount) {
        let len = segment.payload.len() as u64;
        if len == 0 {
            return;
        }
        let end = segment.seq.advance(u32::try_from(len).unwrap_or(u32::MAX));
        let direction = if side == self.client { Direction::ToServer } else { Direction::ToClient };
        let bytes = account.of_mut(direction);
        bytes.payload += len;
        if self.next_numbers[side.index()].is_some_and(|next| end.distance_from(next) <= 0) {
            bytes.duplicate += len;
        } else {
            bytes.after_end += len;
            let anomaly = if self.reset { Anomaly::DataAfterReset } else { Anomaly::DataAfterFin };
            account.anomalies.count(anomaly);
        }
    }
}

/// Counts payload that belongs to no stream: the text that a reset may carry.
fn count_outside(segment: &Segment<'_>, from_client: bool, account: &mut StreamAccount) {
    let bytes = account.of_mut(if from_client { Direction::ToServer } else { Direction::ToClient });
    bytes.payload += segment.payload.len() as u64;
    bytes.out_of_window += segment.payload.len() as u64;
}
