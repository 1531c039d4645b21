//! From packets to exchanges: the stages of reading, one after the other in one pass.

use std::fmt;
use std::net::SocketAddr;
use std::sync::Arc;

use crate::anomaly::AnomalyCounts;
use crate::capture::{PacketFilter, PacketSource};
use crate::exchange::{ExchangeAccount, ExchangeReader, Listener, SequencerLimits};
use crate::http::{BodyStore, Options};
use crate::stream::{ConnectionTable, Limits, StreamAccount};
use crate::time::Timestamp;
use crate::wire::{Decoded, Decoder, PacketAccount, PacketClass, Segment};

/// Which packets are read, and what is kept of them.
#[derive(Default)]
pub struct ReadingOptions {
    /// Only packets that it admits; all without one.
    pub filter: Option<PacketFilter>,
    /// Only connections with one of these ports; all where it is empty.
    pub ports: Vec<u16>,
    /// What is kept of bodies.
    pub bodies: Options,
    /// What is kept of those of responses, where that is something else.
    pub answers: Option<Options>,
    /// Where the bodies of requests go that are too large to be kept; nowhere without one.
    pub store: Option<Arc<dyn BodyStore>>,
    /// What connections may cost, together with what waits for its turn behind them ([`Self::in_order`]).
    pub limits: Limits,
    /// Connections that are left out.
    pub except: Except,
}

impl ReadingOptions {
    /// What of the memory is for exchanges that wait for earlier ones.
    #[must_use]
    pub fn in_order(&self) -> SequencerLimits {
        SequencerLimits::within(self.limits.memory)
    }

    /// What is for the connections: a 32nd is left to the program itself.
    fn connections(&self) -> Limits {
        let Limits { memory } = self.limits;
        Limits { memory: (memory - memory / 32).saturating_sub(self.in_order().bytes as u64) }
    }
}

impl fmt::Debug for ReadingOptions {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { filter, ports, bodies, answers, store, limits, except } = self;
        let mut shown = f.debug_struct("ReadingOptions");
        shown.field("filter", filter).field("ports", ports).field("bodies", bodies);
        shown.field("answers", answers);
        shown.field("store", &store.is_some()).field("limits", limits).field("except", except).finish()
    }
}

/// Leaves connections out by their two endpoints, whatever else is asked for.
#[derive(Default)]
pub struct Except(Option<Box<dyn Fn(SocketAddr, SocketAddr) -> bool + Send>>);

impl Except {
    /// Leaves out those of which `one` says yes, given source and destination of a segment.
    pub fn those(one: impl Fn(SocketAddr, SocketAddr) -> bool + Send + 'static) -> Self {
        Self(Some(Box::new(one)))
    }

    #[inline]
    fn holds(&self, segment: &Segment<'_>) -> bool {
        self.0.as_ref().is_some_and(|one| one(segment.source, segment.destination))
    }
}

impl fmt::Debug for Except {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("Except").field(&self.0.is_some()).finish()
    }
}

/// Reads a capture: decodes packets, reassembles streams, parses and pairs messages, and tells a
/// [`Listener`] of each exchange.
pub struct Reading<S, L: Listener> {
    source: S,
    options: ReadingOptions,
    decoder: Decoder,
    table: ConnectionTable<ExchangeReader<L>>,
    exchanges: ExchangeReader<L>,
    packets: PacketAccount,
    /// Packets that the source gave.
    read: u64,
}

/// What became of everything that was read.
#[derive(Clone, Debug, Default)]
pub struct Account {
    /// How many packets were read.
    pub read: u64,
    /// What became of them.
    pub packets: PacketAccount,
    /// Of their TCP payload.
    pub streams: StreamAccount,
    /// Of the bytes of the streams.
    pub exchanges: ExchangeAccount,
}

impl Account {
    /// What was odd about the streams, and about what they carried outside of exchanges.
    #[must_use]
    pub fn anomalies(&self) -> AnomalyCounts {
        let mut counts = self.streams.anomalies.clone();
        counts.merge(&self.exchanges.anomalies);
        counts
    }

    /// The sums that do not come out even, as sentences; none where each packet and byte is accounted
    /// for.
    #[must_use]
    pub fn imbalances(&self) -> Vec<String> {
        let streams = self.streams.total();
        let sums = [
            ("packets read", self.read, "packets of a class", self.packets.total()),
            ("packets used", self.packets.of(PacketClass::Used), "segments taken", self.streams.segments),
            ("payload bytes", streams.payload, "payload bytes accounted for", streams.balance()),
            (
                "stream bytes delivered or lost",
                streams.delivered + streams.lost,
                "stream bytes accounted for",
                self.exchanges.total(),
            ),
        ];
        let uneven = sums.into_iter().filter(|(_, a, _, b)| a != b);
        uneven.map(|(what, a, other, b)| format!("{a} {what}, but {b} {other}")).collect()
    }
}

impl<S: PacketSource, L: Listener> Reading<S, L> {
    /// Stands before the first packet of `source`.
    pub fn new(source: S, options: ReadingOptions, listener: L) -> Self {
        Self {
            source,
            decoder: Decoder::new(),
            table: ConnectionTable::new(options.connections()),
            exchanges: ExchangeReader::new(options.bodies, listener)
                .with_answers(options.answers.unwrap_or(options.bodies))
                .storing(options.store.clone()),
            packets: PacketAccount::default(),
            read: 0,
            options,
        }
    }

    /// Reads one packet. `false` at the end of the capture.
    ///
    /// # Errors
    /// Those of the source. What was read before stays; [`Self::finish`] completes it.
    #[inline]
    pub fn step(&mut self) -> Result<bool, S::Error> {
        let Some(packet) = self.source.next_packet()? else { return Ok(false) };
        self.read += 1;
        if self.options.filter.as_mut().is_some_and(|filter| !filter.admits(&packet)) {
            self.packets.count(PacketClass::Filtered);
            return Ok(true);
        }
        // Looked at where it was put together: the processor waits for small writes that are moved as a whole.
        let class = match &self.decoder.decode(&packet) {
            Decoded::Segment(segment)
                if wanted(&self.options.ports, segment) && !self.options.except.holds(segment) =>
            {
                self.table.push(segment, &mut self.exchanges);
                PacketClass::Used
            }
            Decoded::Segment(_) => PacketClass::Filtered,
            Decoded::Other(class) => *class,
        };
        self.packets.count(class);
        Ok(true)
    }

    /// Reads packets to the end of the capture, or as long as `goes_on` says so. Returns what went wrong
    /// on the way: an error ends one file of a set, and reading goes on with the others.
    pub fn read_while(&mut self, mut goes_on: impl FnMut() -> bool) -> Vec<S::Error> {
        let mut broken_off = Vec::new();
        while goes_on() {
            match self.step() {
                Ok(true) => {}
                Err(error) if goes_on() => broken_off.push(error),
                // The end; or an error that has the same reason for which reading does not go on.
                Ok(false) | Err(_) => break,
            }
        }
        broken_off
    }

    /// Everything that was captured before `now` has been read: what waited for longer than it should is
    /// decided. For captures that go on while nothing is captured.
    pub fn pass_time(&mut self, now: Timestamp) {
        self.table.pass_time(now, &mut self.exchanges);
    }

    /// The capture has ended, or is not read on: ends all connections, so that every exchange is told.
    pub fn finish(&mut self) {
        self.table.finish(&mut self.exchanges);
        self.packets.settle(self.decoder.incomplete_fragments());
    }

    /// What became of what was read so far; it balances after [`Self::finish`].
    #[must_use]
    pub fn account(&self) -> Account {
        Account {
            read: self.read,
            packets: self.packets.clone(),
            streams: self.table.account().clone(),
            exchanges: self.exchanges.account().clone(),
        }
    }

    /// Where the packets come from.
    #[must_use]
    pub fn source(&self) -> &S {
        &self.source
    }

    /// The same, for sources that have to be waited for.
    pub fn source_mut(&mut self) -> &mut S {
        &mut self.source
    }

    /// Stands before the first packet of `source`, as if nothing had been read before; the listener stays.
    pub fn restart(&mut self, source: S) {
        self.source = source;
        self.decoder = Decoder::new();
        self.table = ConnectionTable::new(self.options.connections());
        self.exchanges.restart();
        self.packets = PacketAccount::default();
        self.read = 0;
    }

    /// Who is told of the exchanges.
    pub fn listener_mut(&mut self) -> &mut L {
        self.exchanges.listener_mut()
    }

    /// The same, when all is read.
    pub fn into_listener(self) -> L {
        self.exchanges.into_parts().0
    }
}

#[inline]
fn wanted(ports: &[u16], segment: &Segment<'_>) -> bool {
    ports.is_empty() || ports.contains(&segment.source.port()) || ports.contains(&segment.destination.port())
}
