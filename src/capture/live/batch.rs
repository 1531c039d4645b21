//! Packets copied out of the kernel's ring, many at a time.

use std::ops::Range;

use crate::packet::{LinkType, Packet};
use crate::time::Timestamp;

/// Packets of a batch, at most.
pub(super) const MOST_PACKETS: usize = 512;
/// Bytes after which a batch is handed on.
pub(super) const MOST_BYTES: usize = 256 << 10;

/// Packets in the order of their capture, in one buffer.
#[derive(Debug, Default)]
pub(super) struct Batch {
    bytes: Vec<u8>,
    packets: Vec<Held>,
}

#[derive(Clone, Debug)]
struct Held {
    at: Timestamp,
    link: LinkType,
    interface: u32,
    original_len: u32,
    data: Range<usize>,
}

impl Batch {
    pub(super) fn len(&self) -> usize {
        self.packets.len()
    }

    pub(super) fn is_full(&self) -> bool {
        self.packets.len() >= MOST_PACKETS || self.bytes.len() >= MOST_BYTES
    }

    pub(super) fn clear(&mut self) {
        self.bytes.clear();
        self.packets.clear();
    }

    /// Copies a packet in; its number is not kept.
    pub(super) fn push(&mut self, packet: &Packet<'_>) {
        let start = self.bytes.len();
        self.bytes.extend_from_slice(packet.data);
        let Packet { at, link, interface, original_len, .. } = *packet;
        self.packets.push(Held { at, link, interface, original_len, data: start..self.bytes.len() });
    }

    /// Brings packets of several interfaces into the order of their times; those of one interface stay
    /// in theirs where the times are equal.
    pub(super) fn sort(&mut self) {
        if !self.packets.is_sorted_by_key(|packet| packet.at) {
            self.packets.sort_by_key(|packet| packet.at);
        }
    }

    /// The packet at a place.
    pub(super) fn packet(&self, place: usize, number: u64) -> Option<Packet<'_>> {
        let Held { at, link, interface, original_len, data } = self.packets.get(place)?.clone();
        let data = self.bytes.get(data)?;
        Some(Packet { at, link, number, interface, original_len, data })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn packets_come_out_as_they_went_in_by_time() {
        let mut batch = Batch::default();
        for (nanos, interface, data) in [(5, 0, &b"one"[..]), (7, 0, b"three"), (6, 1, b""), (7, 1, b"four")]
        {
            let at = Timestamp::from_nanos(nanos);
            let link = LinkType::ETHERNET;
            batch.push(&Packet { at, link, number: 9, interface, original_len: 60, data });
        }
        batch.sort();
        let told = |place| {
            let packet = batch.packet(place, place as u64 + 1).unwrap();
            (packet.at.as_nanos(), packet.interface, packet.number, packet.data.to_vec())
        };
        let expected = [(5, 0, 1, &b"one"[..]), (6, 1, 2, b""), (7, 0, 3, b"three"), (7, 1, 4, b"four")];
        assert_eq!([0, 1, 2, 3].map(told), expected.map(|(at, i, n, data)| (at, i, n, data.to_vec())));
        assert!(batch.packet(4, 5).is_none());
    }
}
