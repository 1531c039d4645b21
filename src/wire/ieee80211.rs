//! IEEE 802.11 data frames, bare and behind a radiotap header (<https://www.radiotap.org>).

use super::account::{Layer, PacketClass, Undecodable};
use super::ethernet;
use super::view::{Parsed, View, be16};

/// Whether the capturing driver padded the MAC header to 4 bytes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Padding {
    /// The payload follows the header.
    None,
    /// The payload begins at a multiple of 4 bytes.
    ToFourBytes,
}

/// A radiotap header, of which only the flags matter here.
pub(super) fn radiotap(view: View<'_>) -> Parsed<'_> {
    const CHECK_SEQUENCE_AT_END: u8 = 0x10;
    const PADDED: u8 = 0x20;
    let (fixed, _) = view.header::<8>(Layer::Radiotap)?;
    let len = usize::from(u16::from_le_bytes([fixed[2], fixed[3]]));
    if fixed[0] != 0 || len < fixed.len() {
        return Err(PacketClass::malformed(Layer::Radiotap));
    }
    let flags = view.bytes.get(..len).and_then(radiotap_flags).unwrap_or(0);
    let mut mac = view.skip(len, Layer::Radiotap)?;
    if flags & CHECK_SEQUENCE_AT_END != 0 {
        mac = mac.trim_end(4);
    }
    frame(mac, if flags & PADDED == 0 { Padding::None } else { Padding::ToFourBytes })
}

/// The flags field: the second of the fields, behind the words that say which are present and the
/// 8-byte timestamp, which is aligned to 8.
fn radiotap_flags(header: &[u8]) -> Option<u8> {
    const TIMESTAMP: u32 = 1 << 0;
    const FLAGS: u32 = 1 << 1;
    const ANOTHER_WORD: u32 = 1 << 31;
    let mut words = header.get(4..)?.chunks_exact(4);
    let mut offset = 4_usize;
    let mut first = None;
    loop {
        let word = words.next().and_then(|w| w.first_chunk()).map(|w| u32::from_le_bytes(*w))?;
        offset += 4;
        first.get_or_insert(word);
        if word & ANOTHER_WORD == 0 {
            break;
        }
    }
    let present = first?;
    if present & TIMESTAMP != 0 {
        offset = offset.next_multiple_of(8) + 8;
    }
    if present & FLAGS == 0 { None } else { header.get(offset).copied() }
}

/// A frame from its frame control field on (IEEE 802.11, section 9.2.3). Only data frames carry IP.
pub(super) fn frame(view: View<'_>, padding: Padding) -> Parsed<'_> {
    const DATA: u8 = 2;
    const NO_DATA: u8 = 0x4;
    const PROTECTED: u8 = 0x40;
    const MORE_FRAGMENTS: u8 = 0x04;
    let &[control, flags] = view.peek::<2>().ok_or(PacketClass::truncated(Layer::Ieee80211))?;
    let (version, kind, subtype) = (control & 3, (control >> 2) & 3, control >> 4);
    if version != 0 {
        return Err(PacketClass::malformed(Layer::Ieee80211));
    }
    if kind != DATA || subtype & NO_DATA != 0 {
        return Err(PacketClass::NotIp);
    }
    if flags & PROTECTED != 0 {
        return Err(PacketClass::Undecodable(Undecodable::Encrypted));
    }
    let header = MacHeader::read(view)?;
    if header.fragment != 0 || flags & MORE_FRAGMENTS != 0 {
        return Err(PacketClass::FragmentDropped);
    }
    let len = match padding {
        Padding::None => header.len,
        Padding::ToFourBytes => header.len.next_multiple_of(4),
    };
    let body = view.skip(len, Layer::Ieee80211)?;
    if header.aggregated { aggregate(body) } else { ethernet::llc(body) }
}

/// What the MAC header of a data frame says about its body.
struct MacHeader {
    len: usize,
    fragment: u8,
    aggregated: bool,
}

impl MacHeader {
    fn read(view: View<'_>) -> Result<Self, PacketClass> {
        const QUALITY_OF_SERVICE: u8 = 0x80;
        const BOTH_DISTRIBUTION_SYSTEMS: u8 = 0x03;
        const HT_CONTROL: u8 = 0x80;
        const AGGREGATED: u8 = 0x80;
        let (fixed, _) = view.header::<24>(Layer::Ieee80211)?;
        let four_addresses = fixed[1] & BOTH_DISTRIBUTION_SYSTEMS == BOTH_DISTRIBUTION_SYSTEMS;
        let mut header =
            Self { len: if four_addresses { 30 } else { 24 }, fragment: fixed[22] & 0x0f, aggregated: false };
        if fixed[0] & QUALITY_OF_SERVICE != 0 {
            let service = view.bytes.get(header.len).ok_or(PacketClass::truncated(Layer::Ieee80211))?;
            header.aggregated = service & AGGREGATED != 0;
            header.len += if fixed[1] & HT_CONTROL == 0 { 2 } else { 6 };
        }
        Ok(header)
    }
}

/// An A-MSDU: frames of destination, source, length and LLC, padded to 4 bytes. One packet gives one
/// segment, so that it can be read only when it holds one.
fn aggregate(view: View<'_>) -> Parsed<'_> {
    let (header, rest) = view.header::<14>(Layer::Ieee80211)?;
    let len = usize::from(be16(header[12], header[13]));
    if rest.wire_len() > (14 + len).next_multiple_of(4) {
        return Err(PacketClass::Undecodable(Undecodable::Aggregated));
    }
    ethernet::llc(rest.limit(len))
}
