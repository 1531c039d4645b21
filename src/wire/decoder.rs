//! Drives the layers, from the link to TCP.

use super::account::{PacketClass, Undecodable};
use super::duplicate::{self, Deduplicator};
use super::fragment::{Defragmenter, Insertion, Whole};
use super::ip::{self, Datagram, protocol};
use super::segment::Segment;
use super::view::{Next, Parsed, View};
use super::{ethernet, gre, link, mpls, tcp, udp};
use crate::packet::Packet;

/// Headers inside each other that are followed, tags and labels not counted: enough for several
/// tunnels in one another, where real networks nest two. It also bounds chains of extension headers.
const MAX_LAYERS: usize = 32;
/// Datagrams inside each other that all came in fragments.
const MAX_REASSEMBLIES: usize = 4;

/// What a packet turned out to be.
#[derive(Clone, Copy, Debug)]
pub enum Decoded<'p> {
    /// A TCP segment ([`PacketClass::Used`]).
    Segment(Segment<'p>),
    /// Something else, or nothing that could be read; never [`PacketClass::Used`].
    Other(PacketClass),
}

impl Decoded<'_> {
    /// The packet's class, for the account.
    #[must_use]
    pub const fn class(&self) -> PacketClass {
        match self {
            Self::Segment(_) => PacketClass::Used,
            Self::Other(class) => *class,
        }
    }
}

/// Turns packets into segments. It remembers fragments of IP datagrams and, briefly, which packets it
/// has seen; both in bounded memory.
#[derive(Debug, Default)]
pub struct Decoder {
    state: State,
    /// Payloads put together from fragments. They live until the next packet, as segments borrow from
    /// them; the second and later ones serve fragments inside of such payloads.
    whole: [Vec<u8>; MAX_REASSEMBLIES],
}

#[derive(Debug, Default)]
struct State {
    defragmenter: Defragmenter,
    deduplicator: Deduplicator,
}

/// Where following the layers ended.
enum Arrival<'b> {
    Tcp(Datagram<'b>),
    Reassembled(Whole<'b>),
    Nowhere(PacketClass),
}

impl Decoder {
    /// A decoder that has seen no packet.
    #[must_use]
    pub fn new() -> Self {
        Self::default()
    }

    /// Decodes one packet. Packets must come in the order of the capture, with their numbers.
    #[inline]
    pub fn decode<'a>(&'a mut self, packet: &Packet<'a>) -> Decoded<'a> {
        // The path of most packets, of which the loop below is the general form. Each version of IP has its own, so
        // that the compiler knows it.
        match link::packet(packet) {
            Ok(Next::Ipv4(view)) => self.decode_transport(packet, ip::version4(view)),
            Ok(Next::Ipv6(view)) => self.decode_transport(packet, ip::version6(view)),
            other => self.decode_further(packet, other),
        }
    }

    #[expect(clippy::inline_always, reason = "so that the version of IP is known")]
    #[inline(always)]
    fn decode_transport<'a>(&'a mut self, packet: &Packet<'a>, parsed: Parsed<'a>) -> Decoded<'a> {
        match parsed {
            Ok(Next::Transport(datagram)) if datagram.protocol == protocol::TCP => {
                self.state.arrive(packet, datagram)
            }
            other => self.decode_further(packet, other),
        }
    }

    #[inline(never)]
    fn decode_further<'a>(&'a mut self, packet: &Packet<'a>, parsed: Parsed<'a>) -> Decoded<'a> {
        match self.state.follow(packet, parsed) {
            Arrival::Tcp(datagram) => self.state.arrive(packet, datagram),
            Arrival::Nowhere(class) => Decoded::Other(class),
            Arrival::Reassembled(whole) => self.state.resume(packet, whole, &mut self.whole),
        }
    }

    /// The packets among those called [`PacketClass::FragmentHeld`] whose datagram was not completed:
    /// given up already, or waiting still.
    #[must_use]
    pub fn incomplete_fragments(&self) -> u64 {
        self.state.defragmenter.incomplete_fragments()
    }

    /// IP datagrams that wait for fragments, and the bytes that they take.
    #[must_use]
    pub fn waiting(&self) -> (usize, usize) {
        self.state.defragmenter.waiting()
    }
}

impl State {
    /// Follows the layers until they arrive at TCP, at the last missing fragment, or at nothing.
    fn follow<'b>(&mut self, packet: &Packet<'_>, mut parsed: Parsed<'b>) -> Arrival<'b> {
        for _ in 0..MAX_LAYERS {
            parsed = match parsed {
                Ok(Next::Ipv4(view)) => ip::version4(view),
                Ok(Next::Transport(datagram)) if datagram.protocol == protocol::TCP => {
                    return Arrival::Tcp(datagram);
                }
                Ok(Next::Ipv6(view)) => ip::version6(view),
                Ok(Next::Ethernet(view)) => ethernet::frame(view),
                Ok(Next::EtherType(ether_type, view)) => ethernet::ether_type(ether_type, view),
                Ok(Next::Link(link, view)) => link::other(link, view),
                Ok(Next::Transport(datagram)) => tunnel(datagram),
                Ok(Next::Fragment(ip, header, payload)) => {
                    if self.deduplicator.is_copy(packet, duplicate::of_fragment(&ip, &header, payload)) {
                        return Arrival::Nowhere(PacketClass::Duplicate);
                    }
                    return match self.defragmenter.insert(packet.at, ip, header, payload) {
                        Insertion::Completed(whole) => Arrival::Reassembled(whole),
                        Insertion::Held => Arrival::Nowhere(PacketClass::FragmentHeld),
                        Insertion::Dropped => Arrival::Nowhere(PacketClass::FragmentDropped),
                    };
                }
                Err(class) => return Arrival::Nowhere(class),
            };
        }
        Arrival::Nowhere(PacketClass::Undecodable(Undecodable::NestedTooDeep))
    }

    #[expect(clippy::inline_always, reason = "a segment is large, and is moved through memory otherwise")]
    #[inline(always)]
    fn arrive<'b>(&mut self, packet: &Packet<'_>, datagram: Datagram<'b>) -> Decoded<'b> {
        let segment = match tcp::header(datagram.payload) {
            Ok(segment) => segment,
            Err(class) => return Decoded::Other(class),
        };
        let fingerprint = duplicate::of_segment(&datagram.ip, datagram.payload);
        if self.deduplicator.is_copy(packet, fingerprint) {
            return Decoded::Other(PacketClass::Duplicate);
        }
        // Put together last, and where it stays.
        Decoded::Segment(segment.of(packet, datagram.ip))
    }

    /// Goes on inside a datagram whose last fragment has come. Each such datagram takes one of `room`,
    /// and a fragmented one inside of it the next.
    fn resume<'a>(&mut self, packet: &Packet<'_>, whole: Whole<'a>, room: &'a mut [Vec<u8>]) -> Decoded<'a> {
        let Some((place, room)) = room.split_first_mut() else {
            return Decoded::Other(PacketClass::Undecodable(Undecodable::NestedTooDeep));
        };
        *place = whole.bytes;
        let payload = View { bytes: place, cut: whole.cut };
        let first = Next::Transport(Datagram { ip: whole.ip, protocol: whole.protocol, payload });
        match self.follow(packet, Ok(first)) {
            Arrival::Tcp(datagram) => self.arrive(packet, datagram),
            Arrival::Nowhere(class) => Decoded::Other(class),
            Arrival::Reassembled(whole) => self.resume(packet, whole, room),
        }
    }
}

/// The payload of an IP packet that is not TCP itself, and may lead to it.
fn tunnel(datagram: Datagram<'_>) -> Parsed<'_> {
    const ETHERNET_IN_IP_VERSION: u8 = 0x30;
    let view = datagram.payload;
    match datagram.protocol {
        protocol::UDP => udp::packet(view),
        protocol::IPV4 => Ok(Next::Ipv4(view)),
        protocol::IPV6 => Ok(Next::Ipv6(view)),
        protocol::GRE => gre::packet(view),
        protocol::MPLS => mpls::stack(view),
        // RFC 3378: 2 bytes of version and reserved bits.
        protocol::ETHERNET_IN_IP if view.peek::<1>() == Some(&[ETHERNET_IN_IP_VERSION]) => {
            Ok(Next::Ethernet(view.skip(2, super::Layer::Ethernet)?))
        }
        _ => ip::extension(datagram),
    }
}
