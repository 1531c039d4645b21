//! The same packet seen twice: on two interfaces, before and behind a bridge, tagged and untagged.

use std::time::Duration;

use super::ip::{FragmentHeader, IpHeader};
use super::print::Print;
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
    fingerprint::<HEAD>(ip, u64::from(ip.id()), tcp)
}

/// The fingerprint of a fragment.
pub(super) fn of_fragment(ip: &IpHeader<'_>, fragment: &FragmentHeader, payload: View<'_>) -> u64 {
    let place = (fragment.offset as u64) << 1 | u64::from(fragment.more);
    fingerprint::<SAMPLE>(ip, place << 32 | u64::from(fragment.id), payload)
}

/// A print of the addresses, an identity, the length, the first `HEAD` bytes and the last [`SAMPLE`].
#[inline]
fn fingerprint<const HEAD: usize>(ip: &IpHeader<'_>, identity: u64, view: View<'_>) -> u64 {
    let bytes = view.bytes;
    let mut print = Print::default();
    match ip {
        IpHeader::V4(header) => {
            print.add(header.last_chunk().map_or(0, |both| u128::from(u64::from_ne_bytes(*both))));
        }
        IpHeader::V6(header) => {
            for word in header[8..].as_chunks().0 {
                print.add(u128::from_ne_bytes(*word));
            }
        }
    }
    print.add(u128::from(identity) << 64 | u128::from((bytes.len() as u64) << 32 ^ view.cut as u64));
    let (words, _) = bytes.get(..HEAD).unwrap_or(bytes).as_chunks();
    for word in words {
        print.add(u128::from_ne_bytes(*word));
    }
    // What of the first bytes makes no whole word is among the last.
    let last = bytes.last_chunk().copied().unwrap_or_else(|| {
        let mut padded = [0; SAMPLE];
        for (place, byte) in padded.iter_mut().zip(bytes) {
            *place = *byte;
        }
        padded
    });
    print.add(u128::from_ne_bytes(last));
    print.finish()
}
