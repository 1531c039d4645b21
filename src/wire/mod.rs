//! Packet bytes into TCP segments: link layers, tunnels, IP, and the TCP header.
//!
//! Owns everything between a captured [`Packet`](crate::packet::Packet) and a [`Segment`]. A
//! [`Decoder`] peels one layer after the other; each layer is a function of its own from the bytes in
//! front of it to what comes next, so that any layer may stand inside any other, up to a depth. What
//! does not arrive at TCP belongs to a [`PacketClass`], which says why; a [`PacketAccount`] counts
//! them, each packet once.
//!
//! ```text
//! link ─┬ ethernet ┬ VLAN, LLC, PPPoE, MPLS ─┐        ┌ tcp → Segment
//!       ├ cooked, null, ppp, 802.11, nflog ──┼ ip ────┼ ip, gre, udp tunnels ─┐
//!       └ raw ───────────────────────────────┘  │     └ else: not TCP         │
//!                                     ↑     fragments                         │
//!                                     └───────────────────────────────────────┘
//! ```

mod account;
mod cooked;
mod decoder;
mod duplicate;
mod ethernet;
mod fragment;
mod gre;
mod ieee80211;
mod ip;
mod link;
mod mpls;
mod nflog;
mod ppp;
mod print;
mod segment;
mod tcp;
mod udp;
mod view;

#[cfg(test)]
mod tests;

pub use account::{Layer, PacketAccount, PacketClass, Undecodable};
pub use decoder::{Decoded, Decoder};
pub(crate) use print::Print;
pub use segment::{Flags, Segment, SeqNumber};
