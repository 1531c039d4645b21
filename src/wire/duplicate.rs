//! The same packet seen twice: on two interfaces, before and behind a bridge, tagged and untagged.

use std::hash::{BuildHasher, Hasher};
use std::time::Duration;

use foldhash::fast::FixedState;

use super::ip::{FragmentHeader, IpHeader};
use super::view::View;
use crate::packet::Packet;
use crate::time::Timestamp;

/// Packets remembered; a power of two.
const SLOTS: usize = 512;
/// Copies come within moments: a switch's mirror of two ports is the slowest. True retransmissions
/// wait for at least a round trip, and have another identification where they have one.
const WINDOW: Duration = Duration::from_millis(20);
/// Copies come with few packets between them, which matters in captures without sensible times.
const WINDOW_PACKETS: u64 = 128;
/// Payload bytes that are compared at each end.
const SAMPLE: usize = 16;

/// A short memory of packets that tells a further copy of one from a retransmission.
///
/// Two packets are copies when all agrees that a network does not change on the way: addresses, IP
/// identification, the whole TCP header with checksum and options, the length, and a sample of the
/// payload. Link headers, VLAN tags and the time to live may differ. A retransmission that is mistaken
/// for a copy costs nothing but its count, as its bytes are those of the copy.
#[derive(Debug)]
pub(super) struct Deduplicator {
    recent: Box<[Seen; SLOTS]>,
}

#[derive(Clone, Copy, Debug, Default)]
struct Seen {
    fingerprint: u64,
    at: Timestamp,
    packet: u64,
}

impl Default for Deduplicator {
    fn default() -> Self {
        Self { recent: Box::new([Seen::default(); SLOTS]) }
    }
}

impl Deduplicator {
    /// Whether a packet with this fingerprint was seen just before; remembers it if not.
    #[inline]
    pub(super) fn is_copy(&mut self, packet: &Packet<'_>, fingerprint: u64) -> bool {
        #[expect(clippy::cast_possible_truncation, reason = "only the low bits choose a slot")]
        let slot = &mut self.recent[fingerprint as usize % SLOTS];
        let copy = slot.fingerprint == fingerprint
            && slot.packet != 0
            && packet.number.wrapping_sub(slot.packet) <= WINDOW_PACKETS
            && packet.at.since(slot.at) <= WINDOW
            && slot.at.since(packet.at) <= WINDOW;
        if !copy {
            *slot = Seen { fingerprint, at: packet.at, packet: packet.number };
        }
        copy
    }
}

/// The fingerprint of a TCP segment, from its header on.
#[inline]
pub(super) fn of_segment(ip: &IpHeader<'_>, tcp: View<'_>) -> u64 {
    /// The header with the most common option, the timestamp, and a sample of the payload.
    const HEAD: usize = 32 + SAMPLE;
    fingerprint(ip, u64::from(ip.id()), tcp, HEAD)
}

/// The fingerprint of a fragment.
pub(super) fn of_fragment(ip: &IpHeader<'_>, fragment: &FragmentHeader, payload: View<'_>) -> u64 {
    let place = (fragment.offset as u64) << 1 | u64::from(fragment.more);
    fingerprint(ip, place << 32 | u64::from(fragment.id), payload, SAMPLE)
}

#[inline]
fn fingerprint(ip: &IpHeader<'_>, identity: u64, view: View<'_>, head: usize) -> u64 {
    let bytes = view.bytes;
    let mut hasher = FixedState::with_seed(0).build_hasher();
    match ip {
        IpHeader::V4(header) => {
            hasher.write_u64(header.last_chunk().map_or(0, |both| u64::from_ne_bytes(*both)));
        }
        IpHeader::V6(header) => write_words(&mut hasher, &header[8..]),
    }
    hasher.write_u64(identity);
    hasher.write_u64((bytes.len() as u64) << 32 ^ view.cut as u64);
    let tail = &bytes[bytes.len().saturating_sub(SAMPLE)..];
    for part in [bytes.get(..head).unwrap_or(bytes), tail] {
        write_words(&mut hasher, part);
    }
    hasher.finish()
}

/// Hashes word by word, which for a few words is faster than the hasher's own way with bytes.
#[inline]
fn write_words(hasher: &mut impl Hasher, bytes: &[u8]) {
    let (words, rest) = bytes.as_chunks::<16>();
    for word in words {
        hasher.write_u128(u128::from_ne_bytes(*word));
    }
    if !rest.is_empty() {
        hasher.write(rest);
    }
}
