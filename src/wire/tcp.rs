//! The TCP header (RFC 9293, section 3.1).

use std::net::SocketAddr;

use super::account::{Layer, PacketClass};
use super::ip::IpHeader;
use super::segment::{Flags, Segment, SeqNumber};
use super::view::{View, be16};
use crate::packet::Packet;

/// A header without its options, and what lies behind them.
pub(super) struct Parts<'b> {
    header: &'b [u8; 20],
    payload: &'b [u8],
    /// Payload bytes that the capture lacks.
    cut: usize,
}

/// Finds the parts of a segment. Its options are skipped, cut off by the snaplen or not, and urgent data stays
/// where it is in the payload: this is how receivers treat it that do not ask for it (RFC 6093).
#[inline]
pub(super) fn header(view: View<'_>) -> Result<Parts<'_>, PacketClass> {
    let (header, _) = view.header::<20>(Layer::Tcp)?;
    let header_len = usize::from(header[12] >> 4) * 4;
    if header_len < header.len() || header_len > view.wire_len() {
        return Err(PacketClass::malformed(Layer::Tcp));
    }
    let payload = view.bytes.get(header_len..).unwrap_or_default();
    Ok(Parts { header, payload, cut: view.wire_len() - header_len - payload.len() })
}

impl<'b> Parts<'b> {
    /// The segment, which came in this packet behind this header of IP.
    #[expect(clippy::inline_always, reason = "a segment is large, and is moved through memory otherwise")]
    #[inline(always)]
    pub(super) fn of(&self, packet: &Packet<'_>, ip: IpHeader<'b>) -> Segment<'b> {
        let [s_high, s_low, d_high, d_low, s0, s1, s2, s3, a0, a1, a2, a3, _, flags, w_high, w_low, ..] =
            *self.header;
        Segment {
            at: packet.at,
            packet: packet.number,
            source: SocketAddr::new(ip.source(), be16(s_high, s_low)),
            destination: SocketAddr::new(ip.destination(), be16(d_high, d_low)),
            seq: SeqNumber(u32::from_be_bytes([s0, s1, s2, s3])),
            ack: SeqNumber(u32::from_be_bytes([a0, a1, a2, a3])),
            flags: Flags(flags),
            window: be16(w_high, w_low),
            payload: self.payload,
            cut: u32::try_from(self.cut).unwrap_or(u32::MAX),
        }
    }
}
