//! Where packets come from.

use crate::packet::Packet;

/// A source of packets, in the order of the capture.
///
/// Sources lend: a packet's bytes live in the source's buffer until the next call, so that reading a
/// file copies nothing.
pub trait PacketSource {
    /// What can go wrong, with file and offset in its message.
    type Error: std::error::Error + Send + Sync + 'static;

    /// The next packet, or `None` at the end.
    fn next_packet(&mut self) -> Result<Option<Packet<'_>>, Self::Error>;
}
