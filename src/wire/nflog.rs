//! Linux netfilter log: the packet is one of several attributes.

use super::account::{Layer, PacketClass};
use super::ip;
use super::view::{Parsed, View};

/// How the machine that captured wrote numbers.
#[derive(Clone, Copy)]
enum ByteOrder {
    Little,
    Big,
}

/// `LINKTYPE_NFLOG`: family, version and resource, then attributes of length, type and value, padded to
/// 4 bytes, in the capturing machine's byte order.
pub(super) fn packet(view: View<'_>) -> Parsed<'_> {
    let (header, attributes) = view.header::<4>(Layer::Nflog)?;
    if header[1] != 0 {
        return Err(PacketClass::malformed(Layer::Nflog));
    }
    match payload(attributes, ByteOrder::Little) {
        Ok(packet) => ip::by_version(packet),
        Err(class) => payload(attributes, ByteOrder::Big).map_or(Err(class), ip::by_version),
    }
}

/// Finds the attribute `NFULA_PAYLOAD`.
fn payload(mut view: View<'_>, order: ByteOrder) -> Result<View<'_>, PacketClass> {
    const PAYLOAD: u16 = 9;
    /// Type bits that flag nesting and byte order.
    const TYPE_MASK: u16 = 0x3fff;
    loop {
        if view.wire_len() == 0 {
            return Err(PacketClass::NotIp);
        }
        let (head, value) = view.header::<4>(Layer::Nflog)?;
        let number = |b: [u8; 2]| match order {
            ByteOrder::Little => u16::from_le_bytes(b),
            ByteOrder::Big => u16::from_be_bytes(b),
        };
        let len = usize::from(number([head[0], head[1]]));
        let value_len = len.checked_sub(4).ok_or(PacketClass::malformed(Layer::Nflog))?;
        if number([head[2], head[3]]) & TYPE_MASK == PAYLOAD {
            return Ok(value.limit(value_len));
        }
        view = value.skip(value_len.next_multiple_of(4), Layer::Nflog)?;
    }
}
