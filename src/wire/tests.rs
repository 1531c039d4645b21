//! The decoder from the outside: packets in, segments or classes out.

mod account;
mod duplicates;
mod fragments;
mod properties;
mod samples;

use super::{Decoded, Decoder, PacketClass};
use crate::packet::{LinkType, Packet};
use crate::time::Timestamp;

/// A packet that arrives whole, at a number of milliseconds that is also the packet's number.
fn packet(link: LinkType, number: u64, data: &[u8]) -> Packet<'_> {
    Packet {
        at: Timestamp::from_nanos(i64::try_from(number).unwrap() * 1_000_000),
        link,
        number,
        interface: 0,
        original_len: u32::try_from(data.len()).unwrap(),
        data,
    }
}

/// The payload of the segment in a packet, and what the snaplen cut of it.
fn payload(decoder: &mut Decoder, packet: &Packet<'_>) -> Result<(Vec<u8>, u32), PacketClass> {
    match decoder.decode(packet) {
        Decoded::Segment(segment) => Ok((segment.payload.to_vec(), segment.cut)),
        Decoded::Other(class) => Err(class),
    }
}
