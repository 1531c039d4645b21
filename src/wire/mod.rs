//! Packet bytes into TCP segments: link layers, tunnels, IP, and the TCP header.

mod segment;

pub use segment::{Flags, Segment, SeqNumber};
