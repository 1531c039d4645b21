//! Where connections live: found by their two endpoints, and lined up by when they were last heard of.

use std::hash::BuildHasher;
use std::net::SocketAddr;

use hashbrown::HashTable;

/// One of the two ends of a connection, in the order of their addresses.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Side {
    /// The lower address.
    Low,
    /// The higher one.
    High,
}

impl Side {
    pub(super) const fn other(self) -> Self {
        match self {
            Self::Low => Self::High,
            Self::High => Self::Low,
        }
    }

    pub(super) const fn index(self) -> usize {
        self as usize
    }
}

/// Two endpoints, whichever sends.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Endpoints {
    low: SocketAddr,
    high: SocketAddr,
}

impl Endpoints {
    /// The endpoints of a segment, and which of them sent it.
    #[inline]
    pub(super) fn of(source: SocketAddr, destination: SocketAddr) -> (Self, Side) {
        if source <= destination {
            (Self { low: source, high: destination }, Side::Low)
        } else {
            (Self { low: destination, high: source }, Side::High)
        }
    }

    pub(super) const fn address(&self, side: Side) -> SocketAddr {
        match side {
            Side::Low => self.low,
            Side::High => self.high,
        }
    }

    fn hash(&self, hasher: &foldhash::fast::RandomState) -> u64 {
        let ports = u32::from(self.low.port()) << 16 | u32::from(self.high.port());
        match (self.low, self.high) {
            (SocketAddr::V4(low), SocketAddr::V4(high)) => {
                let addresses = u64::from(low.ip().to_bits()) << 32 | u64::from(high.ip().to_bits());
                hasher.hash_one(u128::from(ports) << 64 | u128::from(addresses))
            }
            (low, high) => hasher.hash_one((low.ip(), high.ip(), ports)),
        }
    }
}

/// The lines that slots stand in; in each, the longest silent comes first.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Line {
    /// Connections without payload so far.
    Empty,
    /// Connections that carry payload.
    Open,
    /// What is remembered of connections that are over.
    Closed,
}

#[derive(Debug)]
struct Slot<T> {
    endpoints: Endpoints,
    line: Line,
    older: u32,
    newer: u32,
    value: T,
}

#[derive(Clone, Copy, Debug)]
struct Ends {
    oldest: u32,
    newest: u32,
    len: usize,
}

const NONE: u32 = u32::MAX;

/// A slab of slots with an index by endpoints. Everything is O(1).
#[derive(Debug)]
pub(super) struct Slots<T> {
    index: HashTable<u32>,
    slab: Vec<Option<Slot<T>>>,
    free: Vec<u32>,
    lines: [Ends; 3],
    hasher: foldhash::fast::RandomState,
    /// The slots that were found last, by the lowest bits of their ports: segments come in trains, and those of a few
    /// connections in turns.
    recent: Box<[u32; RECENT]>,
}

/// How many slots there is room for at first, and by how many that grows at least.
const FIRST_ROOM: usize = 64;

/// So many connections take turns without being looked up again. A power of two.
const RECENT: usize = 256;

/// The place of two endpoints among the recent ones, whichever sends.
#[inline]
fn place(one: &SocketAddr, other: &SocketAddr) -> usize {
    usize::from(one.port() ^ other.port()) % RECENT
}

impl<T> Slots<T> {
    /// What one slot costs, in bytes, with its share of the index and of the room that the slab grows by.
    pub(super) const COST: u64 = (size_of::<Option<Slot<T>>>() * 9 / 8 + 10) as u64;

    pub(super) fn new() -> Self {
        Self {
            index: HashTable::new(),
            slab: Vec::new(),
            free: Vec::new(),
            lines: [Ends { oldest: NONE, newest: NONE, len: 0 }; 3],
            hasher: foldhash::fast::RandomState::default(),
            recent: Box::new([NONE; RECENT]),
        }
    }

    /// How many slots stand in a line.
    pub(super) fn len(&self, line: Line) -> usize {
        self.lines[line as usize].len
    }

    /// The slot of two endpoints, if it was found a short time ago, and which of them is the source.
    #[inline]
    pub(super) fn find_again(&self, source: &SocketAddr, destination: &SocketAddr) -> Option<(u32, Side)> {
        let id = self.recent[place(source, destination)];
        let Endpoints { low, high } = &self.slot(id)?.endpoints;
        if low == source && high == destination {
            Some((id, Side::Low))
        } else if high == source && low == destination {
            Some((id, Side::High))
        } else {
            None
        }
    }

    /// The slot of two endpoints.
    #[inline]
    pub(super) fn find(&mut self, endpoints: &Endpoints) -> Option<u32> {
        let hash = endpoints.hash(&self.hasher);
        let slots = &self.slab;
        let is_it = |&id: &u32| slot_in(slots, id).is_some_and(|slot| slot.endpoints == *endpoints);
        let found = self.index.find(hash, is_it).copied()?;
        self.recent[place(&endpoints.low, &endpoints.high)] = found;
        Some(found)
    }

    /// Puts a value for endpoints that have none, at the end of a line. `None` when 2^32 slots are full.
    pub(super) fn insert(&mut self, endpoints: Endpoints, line: Line, value: T) -> Option<u32> {
        let id = if let Some(id) = self.free.pop() {
            id
        } else {
            let id = u32::try_from(self.slab.len()).ok().filter(|&id| id != NONE)?;
            if self.slab.len() == self.slab.capacity() {
                // By an eighth, not to twice as much: what is unused counts as well.
                self.slab.reserve_exact((self.slab.len() / 8).max(FIRST_ROOM));
            }
            self.slab.push(None);
            id
        };
        self.slab[id as usize] = Some(Slot { endpoints, line, older: NONE, newer: NONE, value });
        let (slots, hasher) = (&self.slab, &self.hasher);
        let rehash = |&id: &u32| slot_in(slots, id).map_or(0, |slot| slot.endpoints.hash(hasher));
        self.index.insert_unique(endpoints.hash(hasher), id, rehash);
        self.join(id, line);
        Some(id)
    }

    /// Takes a slot away.
    pub(super) fn remove(&mut self, id: u32) -> Option<T> {
        self.leave(id);
        let slot = self.slab.get_mut(id as usize)?.take()?;
        if let Ok(entry) = self.index.find_entry(slot.endpoints.hash(&self.hasher), |&other| other == id) {
            entry.remove();
        }
        self.free.push(id);
        Some(slot.value)
    }

    #[inline]
    pub(super) fn get_mut(&mut self, id: u32) -> Option<&mut T> {
        self.slab.get_mut(id as usize)?.as_mut().map(|slot| &mut slot.value)
    }

    /// Puts another value into a slot, at the end of a line.
    pub(super) fn replace(&mut self, id: u32, line: Line, value: T) -> Option<T> {
        self.leave(id);
        let slot = self.slab.get_mut(id as usize)?.as_mut()?;
        let old = std::mem::replace(&mut slot.value, value);
        self.join(id, line);
        Some(old)
    }

    /// The one in a line that was silent longest.
    pub(super) fn oldest(&self, line: Line) -> Option<u32> {
        Some(self.lines[line as usize].oldest).filter(|&id| id != NONE)
    }

    /// Moves a slot to the end of its line: it was heard of just now.
    #[inline]
    pub(super) fn touch(&mut self, id: u32) {
        if let Some(slot) = self.slot(id) {
            let line = slot.line;
            if self.lines[line as usize].newest != id {
                self.leave(id);
                self.join(id, line);
            }
        }
    }

    #[inline]
    fn slot(&self, id: u32) -> Option<&Slot<T>> {
        slot_in(&self.slab, id)
    }

    fn slot_mut(&mut self, id: u32) -> Option<&mut Slot<T>> {
        self.slab.get_mut(id as usize)?.as_mut()
    }

    fn join(&mut self, id: u32, line: Line) {
        let newest = self.lines[line as usize].newest;
        if let Some(slot) = self.slot_mut(id) {
            (slot.line, slot.older, slot.newer) = (line, newest, NONE);
        }
        let ends = &mut self.lines[line as usize];
        ends.newest = id;
        ends.len += 1;
        match newest {
            NONE => ends.oldest = id,
            before => self.slot_mut(before).into_iter().for_each(|slot| slot.newer = id),
        }
    }

    fn leave(&mut self, id: u32) {
        let Some(slot) = self.slot(id) else { return };
        let (line, older, newer) = (slot.line as usize, slot.older, slot.newer);
        self.lines[line].len -= 1;
        match older {
            NONE => self.lines[line].oldest = newer,
            older => self.slot_mut(older).into_iter().for_each(|slot| slot.newer = newer),
        }
        match newer {
            NONE => self.lines[line].newest = older,
            newer => self.slot_mut(newer).into_iter().for_each(|slot| slot.older = older),
        }
    }
}

fn slot_in<T>(slots: &[Option<Slot<T>>], id: u32) -> Option<&Slot<T>> {
    slots.get(id as usize)?.as_ref()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn endpoints(port: u16) -> Endpoints {
        let client = SocketAddr::from(([10, 0, 0, 1], port));
        Endpoints::of(client, SocketAddr::from(([10, 0, 0, 2], 80))).0
    }

    fn drain(slots: &mut Slots<u16>, line: Line) -> Vec<u16> {
        std::iter::from_fn(|| slots.oldest(line).and_then(|id| slots.remove(id))).collect()
    }

    #[test]
    fn both_directions_have_the_same_endpoints() {
        let (a, b) = (SocketAddr::from(([10, 0, 0, 1], 9)), SocketAddr::from(([9, 0, 0, 1], 80)));
        let ((there, from_a), (back, from_b)) = (Endpoints::of(a, b), Endpoints::of(b, a));
        assert_eq!(there, back);
        assert_eq!(from_a, from_b.other());
        assert_eq!((there.address(from_a), there.address(from_b)), (a, b));
    }

    #[test]
    fn what_is_found_again_is_what_is_found() {
        let address = |host, port| SocketAddr::from(([10, 0, 0, host], port));
        // Ports that share their place among the recent ones, and ports that do not.
        let ports = [80, 81, 80 + 256, 81 + 256, 80 + 512];
        let mut slots = Slots::new();
        for (round, hosts) in (0..500_usize).zip((0..9_u8).cycle()) {
            let source = address(hosts % 3, ports[round % 5]);
            let destination = address(hosts / 3, ports[round / 5 % 5]);
            let (both, side) = Endpoints::of(source, destination);
            let again = slots.find_again(&source, &destination);
            let found = slots.find(&both);
            assert!(again.is_none() || again == found.map(|id| (id, side)), "{source} {destination}");
            match found {
                // A slot that is taken away is used again, for others.
                Some(id) if round % 7 == 0 => drop(slots.remove(id)),
                Some(id) => {
                    let back = slots.find_again(&destination, &source);
                    let side = if source == destination { side } else { side.other() };
                    assert_eq!(back, Some((id, side)), "{source} {destination}");
                }
                None => drop(slots.insert(both, Line::Open, ())),
            }
        }
    }

    #[test]
    fn the_longest_silent_comes_first() {
        let mut slots = Slots::new();
        for port in 1..=5 {
            slots.insert(endpoints(port), Line::Open, port);
        }
        for port in [5, 2, 1, 2] {
            let id = slots.find(&endpoints(port)).unwrap();
            slots.touch(id);
        }
        assert_eq!(drain(&mut slots, Line::Open), [3, 4, 5, 1, 2]);
    }

    #[test]
    fn a_slot_moves_between_lines_and_is_used_again() {
        let mut slots = Slots::new();
        let ids: Vec<_> =
            (1..=3).filter_map(|port| slots.insert(endpoints(port), Line::Empty, port)).collect();
        assert_eq!(slots.replace(ids[1], Line::Closed, 20), Some(2));
        assert_eq!(slots.remove(ids[0]), Some(1));
        assert_eq!(slots.find(&endpoints(1)), None);
        assert_eq!(slots.insert(endpoints(9), Line::Empty, 9), Some(ids[0]));
        assert_eq!((slots.len(Line::Empty), slots.len(Line::Closed)), (2, 1));
        assert_eq!(drain(&mut slots, Line::Empty), [3, 9]);
        assert_eq!(drain(&mut slots, Line::Closed), [20]);
    }
}
