//! The lanes of a replay: for each captured connection and destination the requests that wait their
//! turn, and the connection to v2 that they share.
//!
//! A lane is *busy* while a worker serves it, and then gets no second one: this is what keeps the order.
//! Between two requests its connection to v2 is *parked* here. At most so many are parked at a time;
//! beyond that the one that has been parked longest is given up, and its lane connects again when
//! it must. A lane without waiting requests, worker and parked connection does not exist, so memory
//! follows what is waiting and what is open, not the number of connections in the capture.

use std::collections::{BTreeMap, HashMap, VecDeque};

use foldhash::fast::RandomState;

use crate::stream::ConnectionId;

/// A captured connection, and the destination (by its place among them) that its requests go to.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub(super) struct LaneKey {
    pub(super) connection: ConnectionId,
    pub(super) destination: usize,
}

/// All lanes. `J` is a waiting request, `C` a connection to v2.
#[derive(Debug)]
pub(super) struct Lanes<J, C> {
    by_key: HashMap<LaneKey, Lane<J, C>, RandomState>,
    /// The lanes with a parked connection, the one parked longest first.
    parked: BTreeMap<u64, LaneKey>,
    parkings: u64,
    max_parked: usize,
    /// Where lanes share their connections, the idle ones of each destination. No lane has a parked one then.
    pool: Option<HashMap<usize, Vec<C>, RandomState>>,
}

#[derive(Debug)]
struct Lane<J, C> {
    waiting: VecDeque<J>,
    busy: bool,
    parked: Option<(u64, C)>,
    /// How the captured connection ended, when it has: no request will follow those that wait.
    ended: Option<How>,
}

/// How a connection is closed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum How {
    /// Orderly.
    Close,
    /// By a reset.
    Reset,
}

impl<J, C> Lanes<J, C> {
    pub(super) fn new(max_parked: usize) -> Self {
        Self { by_key: HashMap::default(), parked: BTreeMap::new(), parkings: 0, max_parked, pool: None }
    }

    /// Lanes that share their connections: whoever parks one leaves it to the next.
    pub(super) fn pooled(max_parked: usize) -> Self {
        Self { pool: Some(HashMap::default()), ..Self::new(max_parked) }
    }

    /// Adds a request at the end of its lane. Whether the lane now needs a worker.
    #[must_use]
    pub(super) fn push(&mut self, key: LaneKey, job: J) -> bool {
        let lane = self.by_key.entry(key).or_insert_with(|| Lane {
            waiting: VecDeque::new(),
            busy: false,
            parked: None,
            ended: None,
        });
        lane.waiting.push_back(job);
        !std::mem::replace(&mut lane.busy, true)
    }

    /// The next request of a lane, for its worker.
    pub(super) fn next(&mut self, key: LaneKey) -> Option<J> {
        self.by_key.get_mut(&key)?.waiting.pop_front()
    }

    /// The worker leaves its lane, since nothing waits in it. Returns a connection that nobody needs any more, and how it
    /// is to be closed.
    #[must_use]
    pub(super) fn leave(&mut self, key: LaneKey) -> Option<(C, How)> {
        let lane = self.by_key.get_mut(&key)?;
        lane.busy = false;
        if lane.ended.is_none() && lane.parked.is_some() {
            return None;
        }
        let unneeded = lane.ended.and_then(|how| Some((self.unpark(key)?, how)));
        self.forget_if_empty(key);
        unneeded
    }

    /// The parked connection of a lane; where they are shared, the one that was used last, which v2 has most
    /// likely not closed yet.
    pub(super) fn take_parked(&mut self, key: LaneKey) -> Option<C> {
        if let Some(pool) = &mut self.pool {
            return pool.get_mut(&key.destination)?.pop();
        }
        self.unpark(key)
    }

    /// The connection that is parked in this very lane.
    fn unpark(&mut self, key: LaneKey) -> Option<C> {
        let (place, connection) = self.by_key.get_mut(&key)?.parked.take()?;
        self.parked.remove(&place);
        Some(connection)
    }

    /// Parks the connection of a busy lane. Returns one that has to be given up for it, if any.
    #[must_use]
    pub(super) fn park(&mut self, key: LaneKey, connection: C) -> Option<C> {
        if let Some(pool) = &mut self.pool {
            let idle = pool.entry(key.destination).or_default();
            idle.push(connection);
            return (idle.len() > self.max_parked).then(|| idle.remove(0));
        }
        let Some(lane) = self.by_key.get_mut(&key) else { return Some(connection) };
        self.parkings += 1;
        lane.parked = Some((self.parkings, connection));
        self.parked.insert(self.parkings, key);
        if self.parked.len() <= self.max_parked {
            return None;
        }
        let (_, longest) = self.parked.pop_first()?;
        let (_, given_up) = self.by_key.get_mut(&longest)?.parked.take()?;
        self.forget_if_empty(longest);
        Some(given_up)
    }

    /// The captured connection ended. Returns the lane's connection where nothing waits for it.
    #[must_use]
    pub(super) fn end(&mut self, key: LaneKey, how: How) -> Option<C> {
        let lane = self.by_key.get_mut(&key)?;
        lane.ended = Some(how);
        if lane.busy {
            return None;
        }
        let unneeded = self.unpark(key);
        self.forget_if_empty(key);
        unneeded
    }

    /// Whether there is anything of a lane.
    pub(super) fn has(&self, key: LaneKey) -> bool {
        self.by_key.contains_key(&key)
    }

    fn forget_if_empty(&mut self, key: LaneKey) {
        if self.by_key.get(&key).is_some_and(|l| !l.busy && l.waiting.is_empty() && l.parked.is_none()) {
            self.by_key.remove(&key);
        }
    }
}

#[cfg(test)]
pub(super) mod samples {
    use super::*;

    /// The lane of a captured connection from this port.
    pub(in super::super) fn key(port: u16) -> LaneKey {
        let connection = ConnectionId {
            client: ([10, 0, 0, 1], port).into(),
            server: ([10, 0, 0, 2], 80).into(),
            instance: 1,
        };
        LaneKey { connection, destination: 0 }
    }
}

#[cfg(test)]
mod tests {
    use super::samples::key;
    use super::*;

    #[test]
    fn a_lane_has_one_worker_and_keeps_its_order() {
        let mut lanes = Lanes::<u32, ()>::new(8);
        assert!(lanes.push(key(1), 1), "the first request needs a worker");
        assert!(!lanes.push(key(1), 2), "the second one has it");
        assert!(lanes.push(key(2), 3), "another lane needs its own");
        assert_eq!(lanes.next(key(1)), Some(1));
        assert_eq!(lanes.next(key(1)), Some(2));
        assert_eq!(lanes.next(key(1)), None);
        assert!(lanes.leave(key(1)).is_none());
        assert!(lanes.push(key(1), 4), "the worker has ended");
    }

    #[test]
    fn a_lane_gets_its_connection_back() {
        let mut lanes = Lanes::new(8);
        assert!(lanes.push(key(1), ()));
        lanes.next(key(1));
        assert_eq!(lanes.park(key(1), "a"), None);
        assert_eq!(lanes.leave(key(1)), None);
        assert!(lanes.push(key(1), ()));
        assert_eq!(lanes.take_parked(key(1)), Some("a"));
        assert_eq!(lanes.take_parked(key(1)), None);
    }

    #[test]
    fn the_connection_parked_longest_is_given_up_first() {
        let mut lanes = Lanes::new(2);
        for port in 1..=3 {
            assert!(lanes.push(key(port), ()));
            lanes.next(key(port));
        }
        assert_eq!(lanes.park(key(2), 2), None);
        assert_eq!(lanes.park(key(1), 1), None);
        assert_eq!(lanes.park(key(3), 3), Some(2));
        assert_eq!((lanes.take_parked(key(1)), lanes.take_parked(key(2))), (Some(1), None));
    }

    #[test]
    fn the_end_of_the_captured_connection_frees_the_lane_once_it_is_served() {
        let mut lanes = Lanes::new(8);
        assert!(lanes.push(key(1), ()));
        assert_eq!(lanes.end(key(1), How::Reset), None, "a request still waits");
        lanes.next(key(1));
        assert_eq!(lanes.park(key(1), "a"), None);
        assert_eq!(lanes.leave(key(1)), Some(("a", How::Reset)));
        assert!(lanes.push(key(2), ()));
        lanes.next(key(2));
        assert_eq!(lanes.park(key(2), "b"), None);
        assert_eq!(lanes.leave(key(2)), None);
        assert_eq!(lanes.end(key(2), How::Close), Some("b"));
        assert!(lanes.by_key.is_empty() && lanes.parked.is_empty());
    }

    #[test]
    fn pooled_connections_go_from_lane_to_lane_and_outlive_them() {
        let mut lanes = Lanes::<(), u32>::pooled(2);
        assert_eq!(lanes.park(key(1), 1), None);
        assert_eq!(lanes.park(key(2), 2), None);
        assert_eq!(lanes.park(key(3), 3), Some(1), "one too many");
        assert_eq!(lanes.end(key(2), How::Close), None);
        assert_eq!((lanes.take_parked(key(7)), lanes.take_parked(key(8))), (Some(3), Some(2)));
        let other = LaneKey { destination: 1, ..key(1) };
        assert_eq!(lanes.park(other, 4), None);
        assert_eq!(lanes.take_parked(key(1)), None, "another destination is another server");
        assert_eq!(lanes.take_parked(other), Some(4));
    }

    #[test]
    fn the_end_of_a_captured_connection_closes_none_of_the_pool() {
        let mut lanes = Lanes::pooled(2);
        assert!(lanes.push(key(1), ()));
        lanes.next(key(1));
        assert_eq!(lanes.end(key(1), How::Close), None, "it is busy");
        assert_eq!(lanes.park(key(1), "a"), None);
        assert_eq!(lanes.leave(key(1)), None);
        assert_eq!(lanes.take_parked(key(2)), Some("a"));
    }

    #[test]
    fn lanes_without_anything_leave_no_trace() {
        let mut lanes = Lanes::new(0);
        for port in 1..100 {
            assert!(lanes.push(key(port), ()));
            lanes.next(key(port));
            assert_eq!(lanes.park(key(port), port), Some(port));
            assert_eq!(lanes.leave(key(port)), None);
        }
        assert!(lanes.by_key.is_empty() && lanes.parked.is_empty());
    }
}
