//! A TCP segment as a window on a packet, and arithmetic on sequence numbers.

use std::net::SocketAddr;

use crate::time::Timestamp;

/// A TCP sequence number. Arithmetic wraps, and two of them have an order only relative to each other
/// (RFC 9293, section 3.4).
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
pub struct SeqNumber(pub u32);

impl SeqNumber {
    /// How far it lies ahead of `origin`, in bytes; negative when it lies behind. Right for distances
    /// below 2^31.
    #[must_use]
    pub const fn distance_from(self, origin: Self) -> i32 {
        self.0.wrapping_sub(origin.0).cast_signed()
    }

    /// The number `n` bytes further on.
    #[must_use]
    pub const fn advance(self, n: u32) -> Self {
        Self(self.0.wrapping_add(n))
    }
}

/// The control bits of a TCP header (RFC 9293, section 3.1).
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Flags(pub u8);

impl Flags {
    /// No more data from the sender.
    pub const FIN: Self = Self(0x01);
    /// Synchronise sequence numbers.
    pub const SYN: Self = Self(0x02);
    /// Reset the connection.
    pub const RST: Self = Self(0x04);
    /// Push.
    pub const PSH: Self = Self(0x08);
    /// The acknowledgement number counts.
    pub const ACK: Self = Self(0x10);
    /// The urgent pointer counts.
    pub const URG: Self = Self(0x20);

    /// Whether all bits of `other` are set.
    #[must_use]
    pub const fn contains(self, other: Self) -> bool {
        self.0 & other.0 == other.0
    }

    /// These bits without those of `other`.
    #[must_use]
    pub const fn without(self, other: Self) -> Self {
        Self(self.0 & !other.0)
    }
}

impl std::ops::BitOr for Flags {
    type Output = Self;

    fn bitor(self, rhs: Self) -> Self {
        Self(self.0 | rhs.0)
    }
}

/// One TCP segment. It owns nothing: the payload is borrowed from the packet, or from the buffer in
/// which its fragments were put together.
#[derive(Clone, Copy, Debug)]
pub struct Segment<'p> {
    /// When the packet was captured.
    pub at: Timestamp,
    /// The number of the packet, or of the last fragment.
    pub packet: u64,
    /// Who sent it.
    pub source: SocketAddr,
    /// To whom.
    pub destination: SocketAddr,
    /// The sequence number of the first payload byte (of the SYN, where there is one).
    pub seq: SeqNumber,
    /// The acknowledgement number; meaningful with [`Flags::ACK`].
    pub ack: SeqNumber,
    /// The control bits.
    pub flags: Flags,
    /// The window field, unscaled.
    pub window: u16,
    /// The payload bytes that were captured.
    pub payload: &'p [u8],
    /// Payload bytes that were on the wire behind `payload` and were cut off by the snaplen.
    pub cut: u32,
}

impl Segment<'_> {
    /// Whether it carries nothing of the stream, neither bytes nor its beginning or end.
    #[inline]
    #[must_use]
    pub const fn is_mere_ack(&self) -> bool {
        const MARKS: u8 = Flags::SYN.0 | Flags::FIN.0 | Flags::RST.0;
        self.payload.is_empty() && self.cut == 0 && self.flags.0 & MARKS == 0
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn sequence_numbers_wrap() {
        let before = SeqNumber(u32::MAX - 1);
        let after = before.advance(5);
        assert_eq!(after, SeqNumber(3));
        assert_eq!(after.distance_from(before), 5);
        assert_eq!(before.distance_from(after), -5);
    }
}
