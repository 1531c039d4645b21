//! GRE (RFC 2784, RFC 2890, RFC 1701), its version 1 of PPTP (RFC 2637), and ERSPAN
//! (draft-foschiano-erspan).

use super::account::{Layer, PacketClass};
use super::ethernet::{self, types};
use super::ppp;
use super::view::{Next, Parsed, View, be16};

const CHECKSUM: u8 = 0x80;
const ROUTING: u8 = 0x40;
const KEY: u8 = 0x20;
const SEQUENCE: u8 = 0x10;
/// In the second byte, of version 1.
const ACKNOWLEDGEMENT: u8 = 0x80;

/// A GRE header and what it carries.
pub(super) fn packet(view: View<'_>) -> Parsed<'_> {
    let (&[flags, version, high, low], rest) = view.header::<4>(Layer::Gre)?;
    match version & 0x07 {
        0 => version0(flags, be16(high, low), rest),
        1 => version1(flags, version, rest),
        _ => Err(PacketClass::malformed(Layer::Gre)),
    }
}

/// Whether the bytes begin with a header that a sender of today writes: version 0, no reserved bit, a
/// protocol that is an Ethernet type.
pub(super) fn is_plausible(view: View<'_>) -> bool {
    view.peek::<4>().is_some_and(|&[flags, version, high, low]| {
        flags & !(CHECKSUM | KEY | SEQUENCE) == 0 && version == 0 && be16(high, low) >= 0x0600
    })
}

fn version0(flags: u8, protocol: u16, view: View<'_>) -> Parsed<'_> {
    let checksum = if flags & (CHECKSUM | ROUTING) == 0 { 0 } else { 4 };
    let optional = checksum + (flags & KEY).count_ones() + (flags & SEQUENCE).count_ones();
    // Key and sequence number are single bits, of 4 bytes each.
    let len = checksum as usize + 4 * (optional - checksum) as usize;
    let mut payload = view.skip(len, Layer::Gre)?;
    if flags & ROUTING != 0 {
        payload = routes(payload)?;
    }
    match protocol {
        // Type I has no header of its own, and no sequence number either.
        types::ERSPAN if flags & SEQUENCE == 0 => Ok(Next::Ethernet(payload)),
        types::WCCP => wccp(payload),
        protocol => ethernet::ether_type(protocol, payload),
    }
}

/// Source routes (RFC 1701): entries of family, offset, length and data, the last one empty.
fn routes(mut view: View<'_>) -> Result<View<'_>, PacketClass> {
    loop {
        let (&[high, low, _, len], rest) = view.header::<4>(Layer::Gre)?;
        view = rest.skip(usize::from(len), Layer::Gre)?;
        if be16(high, low) == 0 && len == 0 {
            return Ok(view);
        }
    }
}

/// The redirection of web caches: IPv4, in version 2 behind 4 bytes of its own.
fn wccp(view: View<'_>) -> Parsed<'_> {
    match view.peek::<1>() {
        Some([0x45..=0x4f]) => Ok(Next::Ipv4(view)),
        _ => Ok(Next::Ipv4(view.skip(4, Layer::Gre)?)),
    }
}

/// PPTP: payload length and call, then the numbers whose bits are set, then PPP, if anything.
fn version1(flags: u8, version: u8, view: View<'_>) -> Parsed<'_> {
    let (&[high, low, _, _], mut rest) = view.header::<4>(Layer::Gre)?;
    for present in [flags & SEQUENCE, version & ACKNOWLEDGEMENT] {
        if present != 0 {
            rest = rest.skip(4, Layer::Gre)?;
        }
    }
    if flags & SEQUENCE == 0 {
        return Err(PacketClass::NotTcp);
    }
    ppp::frame(rest.limit(usize::from(be16(high, low))))
}

/// A mirrored frame behind the header of ERSPAN type II or III.
pub(super) fn erspan(protocol: u16, view: View<'_>) -> Parsed<'_> {
    const IP: u8 = 2;
    if protocol == types::ERSPAN {
        return Ok(Next::Ethernet(view.skip(8, Layer::Gre)?));
    }
    let (header, rest) = view.header::<12>(Layer::Gre)?;
    let subheader = if header[11] & 1 == 0 { 0 } else { 8 };
    let payload = rest.skip(subheader, Layer::Gre)?;
    let frame_type = (header[10] >> 2) & 0x1f;
    if frame_type == IP { super::ip::by_version(payload) } else { Ok(Next::Ethernet(payload)) }
}
