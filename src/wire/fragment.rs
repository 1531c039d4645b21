//! Fragments of IP packets (RFC 791, section 3.2; RFC 8200, section 4.5) into whole payloads.
//!
//! Where fragments overlap, the first copy wins. Memory, number and time are bounded: the oldest
//! datagram is given up for a new one, and any after [`TIMEOUT`] of packet time.

use std::collections::{HashMap, VecDeque};
use std::net::IpAddr;
use std::time::Duration;

use super::ip::{FragmentHeader, IpHeader};
use super::view::View;
use crate::time::Timestamp;

/// How long a datagram may wait for its fragments, as in Linux.
const TIMEOUT: Duration = Duration::from_secs(30);
/// Datagrams that wait at once.
const MAX_DATAGRAMS: usize = 4096;
/// Bytes that wait at once, over all datagrams.
const MAX_BYTES: usize = 16 << 20;
/// The largest payload that an IP packet can have.
const MAX_DATAGRAM: usize = 65_535;
/// Separate pieces of one datagram.
const MAX_PIECES: usize = 256;

/// The payload of an IP packet that came in fragments.
#[derive(Debug)]
pub(super) struct Whole<'b> {
    /// The header of the fragment that came last.
    pub(super) ip: IpHeader<'b>,
    /// The protocol of the payload.
    pub(super) protocol: u8,
    /// What was captured of it, up to the first byte that was not.
    pub(super) bytes: Vec<u8>,
    /// What was on the wire behind that.
    pub(super) cut: usize,
}

/// What became of a fragment.
#[derive(Debug)]
pub(super) enum Insertion<'b> {
    /// It waits for others.
    Held,
    /// It was the last one missing.
    Completed(Whole<'b>),
    /// It contradicts the others or the bounds.
    Dropped,
}

/// What fragments of one datagram have in common. IPv6 does not count the protocol (RFC 8200, section
/// 4.5), which only the first fragment need tell.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
struct Key {
    source: IpAddr,
    destination: IpAddr,
    id: u32,
    protocol: Option<u8>,
}

/// Collects fragments until their datagrams are whole.
#[derive(Debug, Default)]
pub(super) struct Defragmenter {
    waiting: HashMap<Key, Pending, foldhash::fast::RandomState>,
    /// Keys in the order in which their datagrams began, with the serial number that tells whether the
    /// key still stands for the same datagram.
    order: VecDeque<(Key, u64)>,
    serial: u64,
    bytes: usize,
    /// Fragments held now, and those once held of datagrams given up.
    held: u64,
    given_up: u64,
}

impl Defragmenter {
    /// Fragments that were held and belong to no completed datagram.
    pub(super) const fn incomplete_fragments(&self) -> u64 {
        self.held + self.given_up
    }

    /// Datagrams that wait, and the bytes that they take.
    pub(super) fn waiting(&self) -> (usize, usize) {
        (self.waiting.len(), self.bytes)
    }

    /// Takes a fragment that was captured at `at`.
    pub(super) fn insert<'b>(
        &mut self,
        at: Timestamp,
        ip: IpHeader<'b>,
        header: FragmentHeader,
        payload: View<'_>,
    ) -> Insertion<'b> {
        let len = payload.wire_len();
        if len == 0 || header.offset + len > MAX_DATAGRAM {
            return Insertion::Dropped;
        }
        self.expire(at);
        let protocol = (!ip.is_v6()).then_some(header.protocol);
        let key = Key { source: ip.source(), destination: ip.destination(), id: header.id, protocol };
        let pending = self.waiting.entry(key).or_insert_with(|| {
            self.serial += 1;
            self.order.push_back((key, self.serial));
            Pending::new(at, self.serial)
        });
        let before = pending.bytes.len();
        if !pending.add(header, payload) {
            return Insertion::Dropped;
        }
        self.bytes += pending.bytes.len() - before;
        if pending.is_complete() {
            return self.complete(&key, ip);
        }
        pending.fragments += 1;
        self.held += 1;
        self.make_room();
        Insertion::Held
    }

    fn complete<'b>(&mut self, key: &Key, ip: IpHeader<'b>) -> Insertion<'b> {
        let Some(pending) = self.waiting.remove(key) else { return Insertion::Dropped };
        self.bytes -= pending.bytes.len();
        self.held -= pending.fragments;
        if self.order.len() > 2 * MAX_DATAGRAMS {
            let waiting = &self.waiting;
            self.order.retain(|(key, serial)| waiting.get(key).is_some_and(|p| p.serial == *serial));
        }
        Insertion::Completed(pending.into_whole(ip))
    }

    /// Gives up the datagrams whose time is over.
    fn expire(&mut self, now: Timestamp) {
        while let Some((key, serial)) = self.order.front() {
            match self.waiting.get(key) {
                Some(p) if p.serial == *serial && now.since(p.began) <= TIMEOUT => return,
                _ => self.give_up_oldest(),
            }
        }
    }

    /// Gives up the oldest datagrams until the others fit the bounds.
    fn make_room(&mut self) {
        while self.waiting.len() > MAX_DATAGRAMS || self.bytes > MAX_BYTES {
            self.give_up_oldest();
        }
    }

    fn give_up_oldest(&mut self) {
        let Some((key, serial)) = self.order.pop_front() else { return };
        if self.waiting.get(&key).is_none_or(|p| p.serial != serial) {
            return;
        }
        if let Some(pending) = self.waiting.remove(&key) {
            self.bytes -= pending.bytes.len();
            self.held -= pending.fragments;
            self.given_up += pending.fragments;
        }
    }
}

/// A datagram that lacks fragments.
///
/// Invariant: `pieces` are in order, do not overlap and do not touch; each lies within `bytes`, and
/// within `total` where that is known.
#[derive(Debug)]
struct Pending {
    began: Timestamp,
    serial: u64,
    /// Of those held, for the account.
    fragments: u64,
    /// From the fragment at offset 0, once it came; until then from any.
    protocol: u8,
    bytes: Vec<u8>,
    pieces: Vec<Piece>,
    /// The length of the payload, once the last fragment came.
    total: Option<usize>,
    /// The first byte that was on the wire and was not captured.
    first_cut: usize,
}

/// Bytes that fragments cover, on the wire if not in the capture.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct Piece {
    start: usize,
    end: usize,
}

impl Pending {
    fn new(began: Timestamp, serial: u64) -> Self {
        Self {
            began,
            serial,
            fragments: 0,
            protocol: 0,
            bytes: Vec::new(),
            pieces: Vec::new(),
            total: None,
            first_cut: usize::MAX,
        }
    }

    /// Adds what is new in a fragment; says whether it agrees with the others.
    fn add(&mut self, header: FragmentHeader, payload: View<'_>) -> bool {
        let piece = Piece { start: header.offset, end: header.offset + payload.wire_len() };
        let furthest = self.pieces.last().map_or(0, |p| p.end);
        let fits = match self.total {
            Some(total) if header.more => piece.end <= total,
            Some(total) => piece.end == total,
            None => header.more || furthest <= piece.end,
        };
        if !fits || self.pieces.len() >= MAX_PIECES {
            return false;
        }
        if !header.more {
            self.total = Some(piece.end);
        }
        if header.offset == 0 || self.pieces.is_empty() {
            self.protocol = header.protocol;
        }
        self.fill(piece, payload);
        self.cover(piece);
        true
    }

    /// Copies the bytes that no earlier fragment brought.
    fn fill(&mut self, piece: Piece, payload: View<'_>) {
        if self.bytes.len() < piece.end {
            self.bytes.resize(piece.end, 0);
        }
        let mut start = piece.start;
        let first = self.pieces.partition_point(|p| p.end <= start);
        for i in first..=self.pieces.len() {
            let (known, resume) = self.pieces.get(i).map_or((piece.end, piece.end), |p| (p.start, p.end));
            let end = known.min(piece.end);
            if start < end {
                self.copy(start, end, &payload.bytes[(start - piece.start).min(payload.bytes.len())..]);
            }
            start = start.max(resume);
            if start >= piece.end {
                return;
            }
        }
    }

    /// Copies what was captured of `start..end`, and notes what was not.
    fn copy(&mut self, start: usize, end: usize, captured: &[u8]) {
        let len = captured.len().min(end - start);
        self.bytes[start..start + len].copy_from_slice(&captured[..len]);
        if start + len < end {
            self.first_cut = self.first_cut.min(start + len);
        }
    }

    /// Adds a piece, joined with those that it touches.
    fn cover(&mut self, piece: Piece) {
        let first = self.pieces.partition_point(|p| p.end < piece.start);
        let last = self.pieces.partition_point(|p| p.start <= piece.end);
        let touched = &self.pieces[first..last];
        let start = touched.first().map_or(piece.start, |p| p.start.min(piece.start));
        let end = touched.last().map_or(piece.end, |p| p.end.max(piece.end));
        self.pieces.splice(first..last, [Piece { start, end }]);
    }

    fn is_complete(&self) -> bool {
        self.total.is_some_and(|total| self.pieces == [Piece { start: 0, end: total }])
    }

    fn into_whole(mut self, ip: IpHeader<'_>) -> Whole<'_> {
        let total = self.bytes.len();
        self.bytes.truncate(self.first_cut);
        let cut = total - self.bytes.len();
        Whole { ip, protocol: self.protocol, bytes: self.bytes, cut }
    }
}
