//! One connection that carries payload: who is who, both directions, and how it ends.

use super::handshake::Handshake;
use super::reassembler::{Arrival, Onlooker, Other, Output, PROOF, Reassembler};
use super::slots::{Endpoints, Side};
use super::{
    Application, ByteAccount, Chunk, Closing, ConnectionId, ConnectionInfo, Direction, End, Roles,
    StreamAccount,
};
use crate::anomaly::{Anomaly, AnomalySet};
use crate::time::Timestamp;
use crate::wire::{Flags, Segment, SeqNumber};

/// What everything that happens to a connection is told to.
pub(super) struct Listener<'a, A: Application> {
    pub(super) app: &'a mut A,
    pub(super) state: &'a mut A::State,
    pub(super) account: &'a mut StreamAccount,
}

/// A reset that was seen, and is believed when nothing contradicts it for a while.
#[derive(Clone, Copy, Debug)]
struct Reset {
    by: Side,
    seq: SeqNumber,
    since: Timestamp,
    segments: u32,
}

/// Each side's next bytes are held, and wait for those of the other.
///
/// It cannot have been so when they were sent: one of them stands in a repeat that was cut anew, and joins
/// old bytes with newer ones whose acknowledgement it carries. The first copies may turn up.
#[derive(Clone, Copy, Debug)]
struct Knot {
    since: Timestamp,
    segments: u32,
}

/// A connection.
#[derive(Debug)]
pub(super) struct Connection {
    info: ConnectionInfo,
    client: Side,
    sides: [Reassembler; 2],
    seen: [bool; 2],
    /// The numbers of the first bytes, where the handshake told them.
    first_numbers: [Option<SeqNumber>; 2],
    reset: Option<Reset>,
    knot: Option<Knot>,
    /// A SYN with another number came from this side: the start of another connection, if it is answered.
    challenge: Option<(Side, SeqNumber)>,
    latest: Timestamp,
}

/// Silence after which the ports may be used again without a farewell: twice the maximum segment
/// lifetime, as Linux counts it (`TCP_TIMEWAIT_LEN`).
pub(super) const QUIET: std::time::Duration = std::time::Duration::from_secs(60);

impl Connection {
    /// A connection whose first payload is about to come from `speaker`.
    pub(super) fn new(
        handshake: &Handshake,
        endpoints: &Endpoints,
        speaker: Side,
        account: &mut StreamAccount,
    ) -> Self {
        let (client, roles) = handshake.client(endpoints, speaker);
        let id = ConnectionId {
            client: endpoints.address(client),
            server: endpoints.address(client.other()),
            instance: handshake.instance,
        };
        let both = [Side::Low, Side::High];
        let first_numbers = both.map(|side| handshake.first_number(side));
        let mut connection = Self {
            info: ConnectionInfo {
                id,
                roles,
                from_start: handshake.tells_beginnings(),
                opened: handshake.opened,
                anomalies: AnomalySet::EMPTY,
                closing: None,
            },
            client,
            sides: both.map(|side| handshake.reassembler(side)),
            seen: both.map(|side| handshake.was_seen(side)),
            first_numbers,
            reset: None,
            knot: None,
            challenge: None,
            latest: handshake.opened,
        };
        if roles == Roles::Guessed {
            connection.note(Anomaly::MidConnection, account);
        }
        connection
    }

    pub(super) fn info(&self) -> &ConnectionInfo {
        &self.info
    }

    /// Takes the FINs that came before any payload.
    pub(super) fn begin<A: Application>(&mut self, handshake: &Handshake, listener: &mut Listener<'_, A>) {
        for side in [Side::Low, Side::High] {
            if let Some(seq) = handshake.fin(side) {
                let at = handshake.opened;
                let fin = Arrival { at, seq, ack: None, payload: &[], cut: 0, fin: true };
                self.push_payload(&fin, side, listener);
            }
        }
    }

    /// Whether both directions have ended. A direction of which nothing was captured ends with the other.
    pub(super) fn is_over(&self) -> bool {
        let ended = |side: Side| self.sides[side.index()].has_ended();
        let absent = |side: Side| !self.seen[side.index()];
        [Side::Low, Side::High].iter().all(|&side| ended(side) || (absent(side) && ended(side.other())))
    }

    /// Notes how it ended, as far as the capture shows it. To be asked before what is open is given up.
    pub(super) fn note_closing(&mut self) {
        self.info.closing = match &self.reset {
            Some(reset) => Some(Closing { at: reset.since, reset_by_client: reset.by == self.client }),
            None => self.is_over().then_some(Closing { at: self.latest, reset_by_client: false }),
        };
    }

    /// The next number of each side, for telling what comes after the end.
    pub(super) fn next_numbers(&self) -> [Option<SeqNumber>; 2] {
        [self.sides[0].next_seq(), self.sides[1].next_seq()]
    }

    pub(super) fn first_numbers(&self) -> [Option<SeqNumber>; 2] {
        self.first_numbers
    }

    /// When it was last heard of.
    pub(super) fn latest(&self) -> Timestamp {
        self.latest
    }

    pub(super) fn client(&self) -> Side {
        self.client
    }

    pub(super) fn was_reset(&self) -> bool {
        self.reset.is_some()
    }

    /// Whether a SYN with another number was seen.
    pub(super) fn is_challenged(&self) -> bool {
        self.challenge.is_some()
    }

    /// Bytes of memory in held segments.
    pub(super) fn memory(&self) -> u64 {
        self.sides[0].memory() + self.sides[1].memory()
    }

    /// Whether `segment` belongs to another, later connection of the same endpoints.
    ///
    /// A SYN with another number does when this connection has begun to close, was silent for
    /// [`QUIET`], or when the SYN carries payload. Otherwise it may be forged (RFC 5961, section 4), and
    /// starts a connection when it is answered, or when its sender goes on behind it.
    pub(super) fn is_succeeded_by(&mut self, segment: &Segment<'_>, side: Side) -> bool {
        let flags = segment.flags;
        if !flags.contains(Flags::SYN) {
            return self.challenge.is_some_and(|(by, first)| {
                by == side && segment.seq == first && self.sides[side.index()].next_seq() != Some(first)
            });
        }
        if flags.contains(Flags::ACK) {
            let answered = Some((side.other(), segment.ack));
            let known = self.first_numbers[side.other().index()] == Some(segment.ack);
            let answers = self.challenge == answered;
            if !known {
                self.challenge = answered;
            }
            return answers;
        }
        let first = segment.seq.advance(1);
        if self.first_numbers[side.index()] == Some(first) || self.sides[side.index()].could_start_at(first) {
            return false;
        }
        self.challenge = Some((side, first));
        let closing = self.reset.is_some() || self.sides.iter().any(Reassembler::has_ended);
        closing || !segment.payload.is_empty() || segment.at.since(self.latest) >= QUIET
    }

    /// Whether a segment is what nearly all are: the next one of its side, which acknowledges nothing that was not seen,
    /// while neither side holds, misses or waits for anything.
    #[inline]
    pub(super) fn expects(&self, segment: &Segment<'_>, side: Side) -> bool {
        const MARKS: u8 = Flags::SYN.0 | Flags::FIN.0 | Flags::RST.0;
        let [own, other] = [side, side.other()].map(|side| &self.sides[side.index()]);
        let undisturbed = self.reset.is_none() && self.knot.is_none() && self.challenge.is_none();
        segment.flags.0 & MARKS == 0
            && segment.cut == 0
            && undisturbed
            && own.is_plain()
            && other.is_plain()
            && own.lead(segment.seq) == 0
            && (other.lead(segment.ack) <= 0 || !segment.flags.contains(Flags::ACK))
    }

    /// Takes a segment that is expected, as [`Self::push`] would, which has nothing to find out about it. Whether the
    /// stream moved.
    #[inline]
    pub(super) fn push_expected<A: Application>(
        &mut self,
        segment: &Segment<'_>,
        side: Side,
        listener: &mut Listener<'_, A>,
    ) -> bool {
        self.latest = segment.at;
        self.seen[side.index()] = true;
        if segment.payload.is_empty() {
            return false;
        }
        let lead = self.sides[side.other().index()].lead(segment.ack);
        let acked = segment.flags.contains(Flags::ACK).then_some(lead);
        let (own, mut outlet) = self.outlet(side, listener);
        own.push_next(segment.at, segment.payload, acked, &mut outlet);
        true
    }

    /// Takes a segment of this connection. Returns until when something is waited for.
    #[inline]
    pub(super) fn push<A: Application>(
        &mut self,
        segment: &Segment<'_>,
        side: Side,
        listener: &mut Listener<'_, A>,
    ) -> Option<Timestamp> {
        self.latest = segment.at;
        self.seen[side.index()] = true;
        let flags = segment.flags;
        if flags.0 & (Flags::RST.0 | Flags::SYN.0) != 0 {
            self.push_rare(segment, side, listener);
        } else {
            let near = self.sides[side.index()].is_near(segment.seq);
            let other = &mut self.sides[side.other().index()];
            let believed = near && flags.contains(Flags::ACK) && other.acknowledge(segment.ack);
            // As every other segment of a stream.
            if !segment.is_mere_ack() || self.holds() {
                let ack = believed.then_some(segment.ack);
                let (at, seq, payload, cut) = (segment.at, segment.seq, segment.payload, segment.cut);
                let fin = flags.contains(Flags::FIN);
                self.push_payload(&Arrival { at, seq, ack, payload, cut, fin }, side, listener);
            }
        }
        self.keep_waiting(segment.at, listener)
    }

    /// Whether bytes of either side are held back.
    #[inline]
    fn holds(&self) -> bool {
        self.sides.iter().any(Reassembler::holds)
    }

    fn push_rare<A: Application>(
        &mut self,
        segment: &Segment<'_>,
        side: Side,
        listener: &mut Listener<'_, A>,
    ) {
        let (at, payload, cut) = (segment.at, segment.payload, segment.cut);
        if segment.flags.contains(Flags::RST) {
            // A reset may carry a text that explains it (RFC 9293, section 3.5.3); it is not of the stream.
            self.count_outside(side, payload.len() as u64, listener.account);
            self.note_reset(segment, side);
            return;
        }
        let first = segment.seq.advance(1);
        let own = &mut self.sides[side.index()];
        if own.could_start_at(first) {
            own.start_at(first);
            self.first_numbers[side.index()] = Some(first);
            self.info.from_start |= self.first_numbers.iter().all(Option::is_some);
        } else if self.first_numbers[side.index()] != Some(first) {
            self.count_outside(side, payload.len() as u64, listener.account);
            self.note(Anomaly::OutOfWindow, listener.account);
            return;
        }
        let fin = segment.flags.contains(Flags::FIN);
        self.push_payload(&Arrival { at, seq: first, ack: None, payload, cut, fin }, side, listener);
    }

    /// A reset is believed where the receiver could have expected its number (RFC 5961, section 3).
    fn note_reset(&mut self, segment: &Segment<'_>, by: Side) {
        let own = &self.sides[by.index()];
        if self.reset.is_none() && own.is_near(segment.seq) {
            self.reset = Some(Reset { by, seq: segment.seq, since: segment.at, segments: 0 });
        }
    }

    #[inline]
    fn push_payload<A: Application>(
        &mut self,
        arrival: &Arrival<'_>,
        side: Side,
        listener: &mut Listener<'_, A>,
    ) {
        if arrival.carries_nothing() && !self.holds() {
            return;
        }
        if self.reset.is_some() && !arrival.payload.is_empty() {
            self.contradict_reset(arrival, side, listener);
        }
        let other = self.other_of(side);
        let (own, mut outlet) = self.outlet(side, listener);
        own.push(arrival, other, &mut outlet);
        if self.holds() {
            self.drain_both(side.other(), listener);
        }
    }

    /// A sender that goes on behind its reset did not send that reset.
    fn contradict_reset<A: Application>(
        &mut self,
        arrival: &Arrival<'_>,
        side: Side,
        listener: &mut Listener<'_, A>,
    ) {
        let end = arrival.seq.advance(u32::try_from(arrival.payload.len()).unwrap_or(u32::MAX));
        if self.reset.is_some_and(|reset| reset.by == side && end.distance_from(reset.seq) > 0) {
            self.reset = None;
            self.note(Anomaly::DataAfterReset, listener.account);
        }
    }

    /// Hands on what of either direction waited for the other, `first` first.
    fn drain_both<A: Application>(&mut self, first: Side, listener: &mut Listener<'_, A>) {
        let mut side = first;
        let mut idle = 0;
        while idle < 2 {
            let other = self.other_of(side);
            let before = self.sides[side.index()].next_seq();
            let (own, mut outlet) = self.outlet(side, listener);
            own.drain(other, 0, &mut outlet);
            idle = if own.next_seq() == before { idle + 1 } else { 0 };
            side = side.other();
        }
    }

    /// Each side as the other's waits see it.
    #[inline]
    fn onlookers(&self) -> [Onlooker; 2] {
        [0, 1].map(|side: usize| Onlooker { seen: self.seen[side], holds: self.sides[side].holds() })
    }

    /// Whether each side's next bytes wait for those of the other.
    fn is_knotted(&self) -> bool {
        self.sides.iter().all(Reassembler::holds)
            && [Side::Low, Side::High]
                .iter()
                .all(|&side| self.sides[side.index()].is_blocked(self.other_of(side)))
    }

    /// Hands on of one side what the other waits for, of the client's if that moves anything.
    fn untie<A: Application>(&mut self, listener: &mut Listener<'_, A>) {
        self.knot = None;
        let before = self.next_numbers();
        for side in [self.client, self.client.other()] {
            let other = self.other_of(side);
            let (own, mut outlet) = self.outlet(side, listener);
            if let Some(awaited) = other.awaits {
                own.drain_to(awaited, other, &mut outlet);
            }
            self.drain_both(side.other(), listener);
            if self.next_numbers() != before {
                return;
            }
        }
    }

    /// Waits for what unties a knot; returns until when.
    fn keep_knot<A: Application>(
        &mut self,
        now: Timestamp,
        listener: &mut Listener<'_, A>,
    ) -> Option<Timestamp> {
        while self.is_knotted() {
            let knot = self.knot.get_or_insert(Knot { since: now, segments: 0 });
            knot.segments += 1;
            if !PROOF.is_over(now, knot.since, knot.segments) {
                return Some(knot.since + PROOF.time);
            }
            let before = self.next_numbers();
            self.untie(listener);
            if self.next_numbers() == before {
                break;
            }
        }
        self.knot = None;
        None
    }

    /// Whether nothing is held, missing or waited for, as nearly always.
    #[inline]
    pub(super) fn is_at_rest(&self) -> bool {
        self.reset.is_none() && self.knot.is_none() && self.sides.iter().all(Reassembler::is_at_rest)
    }

    /// Goes on waiting, or gives up what was waited for long enough, `now`.
    #[inline]
    pub(super) fn keep_waiting<A: Application>(
        &mut self,
        now: Timestamp,
        listener: &mut Listener<'_, A>,
    ) -> Option<Timestamp> {
        if self.is_at_rest() { None } else { self.wait_on(now, listener) }
    }

    #[inline(never)]
    fn wait_on<A: Application>(
        &mut self,
        now: Timestamp,
        listener: &mut Listener<'_, A>,
    ) -> Option<Timestamp> {
        let [low, high] = self.onlookers();
        let overdue = [self.sides[0].is_overdue(now, high), self.sides[1].is_overdue(now, low)];
        if overdue != [false, false] {
            self.give_up_waiting(overdue, listener);
        }
        if let Some(reset) = &mut self.reset {
            reset.segments += 1;
            if PROOF.is_over(now, reset.since, reset.segments) {
                self.finish(End::Reset, listener);
                return None;
            }
        }
        let knot = self.keep_knot(now, listener);
        let [low, high] = self.onlookers();
        let waits = [self.sides[0].keep_waiting(now, high), self.sides[1].keep_waiting(now, low)];
        let reset = self.reset.map(|reset| reset.since + PROOF.time);
        waits.into_iter().chain([reset, knot]).flatten().min()
    }

    /// Declares lost what was waited for long enough, and hands on what stood behind it. A side that does
    /// not get on by that stands at bytes which wait for the other side; where that waits as well, for this
    /// one, the order between the two can not be kept.
    fn give_up_waiting<A: Application>(&mut self, overdue: [bool; 2], listener: &mut Listener<'_, A>) {
        let sides = self.by_holes().into_iter().filter(|side| overdue[side.index()]);
        let before = self.next_numbers();
        for side in sides.clone() {
            let other = self.other_of(side);
            let (own, mut outlet) = self.outlet(side, listener);
            own.give_up_waiting(other, &mut outlet);
            self.drain_both(side.other(), listener);
        }
        for side in sides {
            let stuck = self.next_numbers() == before;
            let own = self.onlookers()[side.index()];
            if stuck && !self.sides[side.other().index()].waits_by_itself(own) {
                let other = self.other_of(side);
                let (own, mut outlet) = self.outlet(side, listener);
                own.stop_waiting_for_other(other, &mut outlet);
                self.drain_both(side.other(), listener);
            }
        }
    }

    /// Declares lost the hole that is likely to be the earlier one; `false` if that moves nothing.
    fn give_up_hole<A: Application>(&mut self, listener: &mut Listener<'_, A>) -> bool {
        let before = self.next_numbers();
        for side in self.by_holes() {
            let other = self.other_of(side);
            let (own, mut outlet) = self.outlet(side, listener);
            own.give_up_hole(other, &mut outlet);
            self.drain_both(side.other(), listener);
            if self.next_numbers() != before {
                return true;
            }
        }
        false
    }

    /// Both sides, first the one whose hole is likely to be the earlier one.
    fn by_holes(&self) -> [Side; 2] {
        let mut sides = [self.client, self.client.other()];
        sides.sort_by_key(|&side| self.sides[side.index()].waits_behind_hole(self.other_of(side)));
        sides
    }

    /// Ends both directions, the client's first.
    pub(super) fn finish<A: Application>(&mut self, end: End, listener: &mut Listener<'_, A>) {
        let end = if self.reset.is_some() { End::Reset } else { end };
        while self.holds() {
            let before = self.next_numbers();
            if self.is_knotted() {
                self.untie(listener);
            }
            if self.next_numbers() == before && !self.give_up_hole(listener) {
                break;
            }
        }
        for side in [self.client, self.client.other()] {
            if !self.seen[side.index()] {
                self.note(Anomaly::OneDirection, listener.account);
            }
            let other = self.other_of(side);
            let (own, mut outlet) = self.outlet(side, listener);
            own.finish(end, other, &mut outlet);
        }
    }

    /// Notes something odd about the connection as a whole.
    pub(super) fn note(&mut self, anomaly: Anomaly, account: &mut StreamAccount) {
        self.info.anomalies.insert(anomaly);
        account.anomalies.count(anomaly);
    }

    fn direction(&self, side: Side) -> Direction {
        if side == self.client { Direction::ToServer } else { Direction::ToClient }
    }

    /// Counts payload that belongs to no place in the stream.
    fn count_outside(&self, side: Side, len: u64, account: &mut StreamAccount) {
        let bytes = account.of_mut(self.direction(side));
        bytes.payload += len;
        bytes.out_of_window += len;
    }

    #[inline]
    fn other_of(&self, side: Side) -> Other {
        let index = side.other().index();
        let other = &self.sides[index];
        Other { seen: self.seen[index], told: other.told(), cleared: other.cleared(), awaits: other.awaits() }
    }

    #[inline]
    fn outlet<'c, A: Application>(
        &'c mut self,
        side: Side,
        listener: &'c mut Listener<'_, A>,
    ) -> (&'c mut Reassembler, Outlet<'c, A>) {
        let direction = self.direction(side);
        let Listener { app, state, account } = listener;
        (
            &mut self.sides[side.index()],
            Outlet { info: &mut self.info, direction, app: &mut **app, state: &mut **state, account },
        )
    }
}

/// One direction's way out of the connection.
struct Outlet<'c, A: Application> {
    info: &'c mut ConnectionInfo,
    direction: Direction,
    app: &'c mut A,
    state: &'c mut A::State,
    account: &'c mut StreamAccount,
}

impl<A: Application> Output for Outlet<'_, A> {
    #[inline]
    fn chunk(&mut self, chunk: Chunk<'_>) {
        self.app.chunk(self.info, self.state, self.direction, chunk);
    }

    fn note(&mut self, anomaly: Anomaly) {
        self.info.anomalies.insert(anomaly);
        self.account.anomalies.count(anomaly);
    }

    #[inline]
    fn account(&mut self) -> &mut ByteAccount {
        self.account.of_mut(self.direction)
    }
}
