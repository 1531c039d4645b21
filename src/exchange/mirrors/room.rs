//! Where exchanges wait for their other side.

use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

use super::key::{Key, answered_alike, fits, same_host};
use super::{Alone, Evidence, Mirrored, Side};
use crate::exchange::Exchange;
use crate::exchange::sequencer::weigh;
use crate::time::Timestamp;

/// Primaries that are looked at on either side of a shadow's time. With ids there are never many; without
/// them, one that is so far down the list is not the nearest.
const LOOKED_AT: usize = 16;

/// Copies leave this much earlier or later than their originals on a busy proxy. Primaries that are not
/// farther apart than this cannot be told from each other by time.
const JITTER: Duration = Duration::from_millis(10);

/// How long, and how much, [`Mirrors`] may hold back.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct MirrorsLimits {
    /// How far apart the two sides of a mirrored request may begin.
    pub window: Duration,
    /// Exchanges that wait.
    pub exchanges: usize,
    /// Bytes of their heads and kept bodies.
    pub bytes: usize,
}

impl Default for MirrorsLimits {
    /// Five seconds, 65536 exchanges, 128 MiB.
    fn default() -> Self {
        Self { window: Duration::from_secs(5), exchanges: 64 * 1024, bytes: 128 << 20 }
    }
}

/// By the time of the request's first byte and, of those with one time, in the order of coming.
type Place = (Timestamp, u64);

/// Pairs the exchanges of a capture that are two sides of one mirrored request.
///
/// They are taken in about the order of their requests, and told in that order, each when two windows of
/// captured time have passed since it began.
#[derive(Debug)]
pub struct Mirrors {
    limits: MirrorsLimits,
    waiting: BTreeMap<Place, Waiting>,
    /// Those of them that may be somebody's primary.
    primaries: BTreeSet<(Key, Place)>,
    /// Those that may be somebody's shadow, and whose window is still open.
    unsettled: BTreeSet<Place>,
    /// Exchanges held, and their bytes.
    held: usize,
    bytes: usize,
    /// When the request began that was taken last. A time far ahead, as broken captures have, so does no
    /// more harm than to that one.
    now: Timestamp,
    next: u64,
}

#[derive(Debug)]
struct Waiting {
    exchange: Exchange,
    side: Side,
    /// `None` where nothing can be like it.
    key: Option<(Key, Evidence)>,
    shadows: Vec<Exchange>,
    alone: Alone,
}

impl Waiting {
    fn parts(&self) -> (&Exchange, &Side) {
        (&self.exchange, &self.side)
    }
}

/// A primary that a shadow may be of.
#[derive(Clone, Copy)]
struct Candidate {
    place: Place,
    distance: Duration,
}

impl Mirrors {
    /// Nothing waits yet.
    #[must_use]
    pub fn new(limits: MirrorsLimits) -> Self {
        Self {
            limits,
            waiting: BTreeMap::new(),
            primaries: BTreeSet::new(),
            unsettled: BTreeSet::new(),
            held: 0,
            bytes: 0,
            now: Timestamp::from_nanos(i64::MIN),
            next: 0,
        }
    }

    /// How many exchanges wait.
    #[must_use]
    pub fn held(&self) -> usize {
        self.held
    }

    /// The bytes of their heads and kept bodies.
    #[must_use]
    pub fn held_bytes(&self) -> usize {
        self.bytes
    }

    /// Takes the next exchange and what is known of its side. Pairs, and what stays alone, are handed to
    /// `tell` when their time has come.
    pub fn take(&mut self, exchange: Exchange, side: Side, tell: &mut impl FnMut(Mirrored)) {
        let place = (exchange.request.first_byte, self.next);
        self.next += 1;
        self.now = place.0;
        self.held += 1;
        self.bytes += weigh(&exchange);
        let key = Key::of(&exchange, &side);
        if let Some((key, _)) = key {
            if matches!(side, Side::Primary | Side::Unmarked) {
                self.primaries.insert((key, place));
            }
            if side != Side::Primary {
                self.unsettled.insert(place);
            }
        }
        let alone = match (&side, key) {
            (_, None) => Alone::IncompleteRequest,
            (Side::Primary | Side::Unmarked, _) => Alone::NoShadow,
            (Side::Shadow(_) | Side::ToShadowServer, _) => Alone::NoPrimary,
        };
        self.waiting.insert(place, Waiting { exchange, side, key, shadows: Vec::new(), alone });
        self.advance(tell);
    }

    /// Nothing follows: tells all that waits.
    pub fn finish(&mut self, tell: &mut impl FnMut(Mirrored)) {
        while let Some(place) = self.unsettled.pop_first() {
            self.settle(place);
        }
        while let Some((&place, _)) = self.waiting.first_key_value() {
            self.release(place, tell);
        }
    }

    /// Settles and tells those whose time has come, and makes room.
    fn advance(&mut self, tell: &mut impl FnMut(Mirrored)) {
        let closed = self.now - self.limits.window;
        while let Some(&place) = self.unsettled.first().filter(|place| place.0 < closed) {
            self.unsettled.remove(&place);
            self.settle(place);
        }
        let over = closed - self.limits.window;
        while let Some((&place, _)) = self.waiting.first_key_value().filter(|(place, _)| place.0 < over) {
            self.release(place, tell);
        }
        while self.held > self.limits.exchanges || self.bytes > self.limits.bytes {
            self.make_room(tell);
        }
    }

    /// Gives up the first that waits, before its time. What its shadow could be is settled before.
    fn make_room(&mut self, tell: &mut impl FnMut(Mirrored)) {
        while let Some(place) = self.unsettled.pop_first() {
            self.settle(place);
        }
        let Some(mut first) = self.waiting.first_entry() else { return };
        let waiting = first.get_mut();
        if matches!(waiting.alone, Alone::NoShadow | Alone::NoPrimary) {
            waiting.alone = Alone::NoRoom;
        }
        let place = *first.key();
        self.release(place, tell);
    }

    /// Finds the primary of what may be a shadow.
    fn settle(&mut self, place: Place) {
        let Some(shadow) = self.waiting.get(&place) else { return };
        // What was found to have shadows is no shadow itself.
        if !shadow.shadows.is_empty() {
            return;
        }
        match self.primary_of(shadow, place) {
            Ok(primary) => {
                let shadow = self.take_out(place);
                if let (Some(shadow), Some(primary)) = (shadow, self.waiting.get_mut(&primary)) {
                    primary.shadows.push(shadow.exchange);
                }
            }
            Err(why) => {
                if let Some(shadow) = self.waiting.get_mut(&place) {
                    shadow.alone = why;
                }
            }
        }
    }

    fn primary_of(&self, shadow: &Waiting, at: Place) -> Result<Place, Alone> {
        let mut candidates = self.candidates(shadow, at);
        if candidates.is_empty() {
            return Err(shadow.alone);
        }
        candidates.retain(|candidate| candidate.distance <= self.limits.window);
        if candidates.is_empty() {
            return Err(Alone::OutsideWindow);
        }
        self.prefer(&mut candidates, |primary| same_host(primary.parts(), shadow.parts()));
        let proxy = shadow.exchange.connection.client.ip();
        self.prefer(&mut candidates, |primary| primary.exchange.connection.client.ip() == proxy);
        candidates.sort_by_key(|candidate| candidate.distance);
        let server = shadow.exchange.connection.server;
        let free = |candidate: &&Candidate| {
            let primary = self.waiting.get(&candidate.place);
            primary
                .is_some_and(|primary| primary.shadows.iter().all(|other| other.connection.server != server))
        };
        let best = candidates.iter().find(free).ok_or(Alone::Ambiguous)?;
        let reach = best.distance.saturating_mul(2) + JITTER;
        let rival = |candidate: &Candidate| candidate.distance <= reach && !self.alike(candidate, best);
        if candidates.iter().any(rival) { Err(Alone::Ambiguous) } else { Ok(best.place) }
    }

    /// The primaries that the shadow may be of, the nearest of them in time, on either side.
    fn candidates(&self, shadow: &Waiting, at: Place) -> Vec<Candidate> {
        let Some((key, _)) = shadow.key else { return Vec::new() };
        let before = self.primaries.range((key, (Timestamp::from_nanos(i64::MIN), 0))..(key, at)).rev();
        let after = self.primaries.range((key, at)..=(key, (Timestamp::from_nanos(i64::MAX), u64::MAX)));
        let fitting = |(_, place): &&(Key, Place)| {
            let primary = self.waiting.get(place);
            *place != at && primary.is_some_and(|primary| fits(primary.parts(), shadow.parts()))
        };
        let near = before.take(LOOKED_AT).chain(after.take(LOOKED_AT)).filter(fitting);
        let candidate = |(_, place): &(Key, Place)| {
            let distance = place.0.since(at.0).max(at.0.since(place.0));
            Candidate { place: *place, distance }
        };
        near.map(candidate).collect()
    }

    /// Keeps those that have a property, where any has it.
    fn prefer(&self, candidates: &mut Vec<Candidate>, has: impl Fn(&Waiting) -> bool) {
        let has = |candidate: &Candidate| self.waiting.get(&candidate.place).is_some_and(&has);
        if candidates.iter().any(has) {
            candidates.retain(has);
        }
    }

    fn alike(&self, a: &Candidate, b: &Candidate) -> bool {
        let of = |candidate: &Candidate| self.waiting.get(&candidate.place).map(|waiting| &waiting.exchange);
        a.place == b.place || of(a).zip(of(b)).is_some_and(|(a, b)| answered_alike(a, b))
    }

    fn take_out(&mut self, place: Place) -> Option<Waiting> {
        let waiting = self.waiting.remove(&place)?;
        if let Some((key, _)) = waiting.key {
            self.primaries.remove(&(key, place));
        }
        self.unsettled.remove(&place);
        Some(waiting)
    }

    /// Tells one that waits, and forgets it.
    fn release(&mut self, place: Place, tell: &mut impl FnMut(Mirrored)) {
        let Some(waiting) = self.take_out(place) else { return };
        let Waiting { exchange, key, shadows, alone, .. } = waiting;
        let weight: usize = shadows.iter().map(weigh).sum();
        self.held = self.held.saturating_sub(1 + shadows.len());
        self.bytes = self.bytes.saturating_sub(weigh(&exchange) + weight);
        if shadows.is_empty() {
            return tell(Mirrored::Alone(Box::new(exchange), alone));
        }
        let evidence = key.map_or(Evidence::Likeness, |(_, evidence)| evidence);
        for shadow in shadows {
            let (primary, shadow) = (Box::new(exchange.clone()), Box::new(shadow));
            tell(Mirrored::Pair { primary, shadow, evidence });
        }
    }
}
