//! MPLS label stacks (RFC 3032) and what they carry, which no field says.

use super::account::{Layer, PacketClass};
use super::ip;
use super::view::{Next, Parsed, View, be16};

/// Takes all labels off and guesses the payload as routers do: IP by its first nibble (RFC 4928), else
/// a pseudowire.
pub(super) fn stack(mut view: View<'_>) -> Parsed<'_> {
    const BOTTOM: u8 = 0x01;
    loop {
        let (label, rest) = view.header::<4>(Layer::Mpls)?;
        view = rest;
        if label[2] & BOTTOM != 0 {
            break;
        }
    }
    if ip::is_plausible(view) { ip::by_version(view) } else { pseudowire(view) }
}

/// An Ethernet pseudowire (RFC 4448), whose control word begins with a zero nibble and may be missing;
/// the addresses of a frame may begin with the same nibble. The Ethernet types decide.
fn pseudowire(view: View<'_>) -> Parsed<'_> {
    let first = view.peek::<1>().ok_or(PacketClass::truncated(Layer::Mpls))?[0];
    match first >> 4 {
        0 if has_known_type(view, 4) => Ok(Next::Ethernet(view.skip(4, Layer::Mpls)?)),
        _ if has_known_type(view, 0) => Ok(Next::Ethernet(view)),
        0 => Ok(Next::Ethernet(view.skip(4, Layer::Mpls)?)),
        _ => Err(PacketClass::NotIp),
    }
}

/// Whether a frame that begins at `offset` has a type that frames usually have.
fn has_known_type(view: View<'_>, offset: usize) -> bool {
    let ether_type = view.bytes.get(offset + 12..offset + 14).map(|b| be16(b[0], b[1]));
    matches!(ether_type, Some(0x0800 | 0x0806 | 0x8100 | 0x86dd | 0x8847 | 0x8864 | 0x88a8))
}
