//! What happens to segments on their way into a capture: they are cut, late, repeated, cut anew, lost, and
//! mixed with those of other connections.

use std::net::Ipv4Addr;

use etherparse::{PacketBuilder, TcpHeader};
use proptest::prelude::*;
use shadowcap::packet::{LinkType, Packet};
use shadowcap::time::Timestamp;

use crate::traffic::{Connection, Speaker, Written};

/// The client port of the first connection.
pub(crate) const FIRST_PORT: u16 = 40_000;

/// A frame, and when it was captured.
#[derive(Clone, Debug)]
pub(crate) struct Captured {
    at: Timestamp,
    bytes: Vec<u8>,
    syn: bool,
}

impl Captured {
    pub(crate) fn packet(&self, number: u64) -> Packet<'_> {
        Packet {
            at: self.at,
            link: LinkType::ETHERNET,
            number,
            interface: 0,
            original_len: u32::try_from(self.bytes.len()).unwrap(),
            data: &self.bytes,
        }
    }

    pub(crate) fn is_syn(&self) -> bool {
        self.syn
    }
}

/// What happens to a segment.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Fate {
    /// Segments of its connection by which it is late.
    late: usize,
    /// It is sent again, so many segments later.
    again: Option<usize>,
    /// The repeat starts so many bytes earlier: it was cut anew.
    overlap: usize,
    /// Which connection's segment comes next.
    turn: usize,
}

pub(crate) fn fates() -> impl Strategy<Value = Vec<Fate>> {
    let late = prop_oneof![3 => Just(0), 1 => 0..10_usize];
    let fate = (late, prop::option::weighted(0.2, 0..20_usize), 0..1000_usize, 0..64_usize)
        .prop_map(|(late, again, overlap, turn)| Fate { late, again, overlap, turn });
    prop::collection::vec(fate, 1..64)
}

/// Which packets the capture does not have, in rounds: few of them, or many.
pub(crate) fn losses() -> impl Strategy<Value = Vec<bool>> {
    let share = prop_oneof![Just(0.02), Just(0.1), Just(0.3)];
    share.prop_flat_map(|share| prop::collection::vec(prop::bool::weighted(share), 1..200))
}

#[derive(Clone, Debug)]
struct Segment {
    from: Speaker,
    /// The place of the first payload byte in its sender's stream.
    place: usize,
    bytes: Vec<u8>,
    /// What of the other stream has been received, FIN included.
    received: usize,
    /// What the other side is known to have received: nothing before it is sent again.
    acknowledged: usize,
    kind: Kind,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Kind {
    Syn,
    SynAck,
    Plain,
    Fin,
}

/// What a repeat may hold beside the bytes of its segment.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Recut {
    /// Any bytes before them, as no sane sender would repeat them.
    Any,
    /// Those that the other side has not acknowledged.
    Unacknowledged,
}

/// The packets that a capture of the connections has, and their exchanges.
pub(crate) fn captured(
    connections: &[Connection],
    fates: &[Fate],
    recut: Recut,
) -> (Vec<Captured>, Vec<Vec<Written>>) {
    let mut queues: Vec<_> = connections
        .iter()
        .zip(FIRST_PORT..)
        .enumerate()
        .map(|(n, (connection, port))| {
            // Each connection meets other fates.
            let fates: Vec<_> = fates.iter().cycle().skip(n * 7).take(fates.len()).copied().collect();
            let (segments, streams) = sent(connection);
            let met = met(&segments, &streams, &fates, recut);
            met.iter()
                .map(|segment| frame(segment, connection, port))
                .collect::<std::collections::VecDeque<_>>()
        })
        .collect();
    let mut packets = Vec::new();
    let mut turns = fates.iter().cycle();
    while queues.iter().any(|queue| !queue.is_empty()) {
        let n = turns.next().unwrap().turn % queues.len();
        let Some((bytes, syn)) = queues[n].pop_front() else {
            queues.retain(|queue| !queue.is_empty());
            continue;
        };
        let at =
            Timestamp::from_nanos(1_700_000_000_000_000_000 + 50_000 * i64::try_from(packets.len()).unwrap());
        packets.push(Captured { at, bytes, syn });
    }
    (packets, connections.iter().map(|connection| connection.exchanges.clone()).collect())
}

/// The segments of a connection as they are sent, and the streams of client and server.
fn sent(connection: &Connection) -> (Vec<Segment>, [Vec<u8>; 2]) {
    let mut segments = Vec::new();
    let mut streams = [Vec::new(), Vec::new()];
    let bare = |from, place, received, kind| Segment {
        from,
        place,
        bytes: Vec::new(),
        received,
        acknowledged: 0,
        kind,
    };
    let (mut speaker, mut acknowledged) = (Speaker::Server, 0);
    segments.push(bare(Speaker::Client, 0, 0, Kind::Syn));
    segments.push(bare(Speaker::Server, 0, 0, Kind::SynAck));
    segments.push(bare(Speaker::Client, 0, 0, Kind::Plain));
    let mut cuts = connection.cuts.iter().cycle();
    for turn in &connection.turns {
        let (own, other) = (turn.speaker as usize, 1 - turn.speaker as usize);
        if turn.speaker != speaker {
            (speaker, acknowledged) = (turn.speaker, streams[own].len());
        }
        let mut rest = turn.bytes.as_slice();
        while !rest.is_empty() {
            let (now, later) = rest.split_at((*cuts.next().unwrap()).min(rest.len()));
            let (place, received) = (streams[own].len(), streams[other].len());
            let bytes = now.to_vec();
            segments.push(Segment {
                bytes,
                acknowledged,
                ..bare(turn.speaker, place, received, Kind::Plain)
            });
            streams[own].extend_from_slice(now);
            rest = later;
        }
        segments.push(bare(reverse(turn.speaker), streams[other].len(), streams[own].len(), Kind::Plain));
    }
    let [client, server] = [streams[0].len(), streams[1].len()];
    segments.push(bare(Speaker::Server, server, client, Kind::Fin));
    segments.push(bare(Speaker::Client, client, server + 1, Kind::Fin));
    segments.push(bare(Speaker::Server, server + 1, client + 1, Kind::Plain));
    (segments, streams)
}

fn reverse(speaker: Speaker) -> Speaker {
    match speaker {
        Speaker::Client => Speaker::Server,
        Speaker::Server => Speaker::Client,
    }
}

/// The segments after they met their fates, in the order of capture.
fn met(segments: &[Segment], streams: &[Vec<u8>; 2], fates: &[Fate], recut: Recut) -> Vec<Segment> {
    let mut order = Vec::new();
    for (index, (segment, fate)) in segments.iter().zip(fates.iter().cycle()).enumerate() {
        // Data comes a round trip after the SYNs, so that no capture shows it before them.
        let late = if matches!(segment.kind, Kind::Syn | Kind::SynAck) { 0 } else { fate.late };
        order.push((index + late, segment.clone()));
        if let Some(again) = fate.again {
            let before = match recut {
                Recut::Any => fate.overlap,
                Recut::Unacknowledged => fate.overlap.min(segment.place - segment.acknowledged),
            };
            order.push((index + again, repeated(segment, before, streams)));
        }
    }
    order.sort_by_key(|(when, _)| *when);
    order.into_iter().map(|(_, segment)| segment).collect()
}

/// A retransmission of a segment together with bytes that were sent before it.
fn repeated(segment: &Segment, overlap: usize, streams: &[Vec<u8>; 2]) -> Segment {
    if segment.bytes.is_empty() {
        return segment.clone();
    }
    let end = segment.place + segment.bytes.len();
    let place = segment.place.saturating_sub(overlap);
    Segment { place, bytes: streams[segment.from as usize][place..end].to_vec(), ..segment.clone() }
}

/// The frame of a segment, and whether it is a SYN.
fn frame(segment: &Segment, connection: &Connection, port: u16) -> (Vec<u8>, bool) {
    let ends = [(Ipv4Addr::new(192, 0, 2, 1), port), (Ipv4Addr::new(192, 0, 2, 2), 80)];
    let first = [connection.numbers.0, connection.numbers.1];
    let (own, other) = (segment.from as usize, 1 - segment.from as usize);
    let number =
        |side: usize, place: usize| first[side].wrapping_add(1).wrapping_add(u32::try_from(place).unwrap());
    let mut tcp = TcpHeader::new(ends[own].1, ends[other].1, number(own, segment.place), 64_240);
    let syn = matches!(segment.kind, Kind::Syn | Kind::SynAck);
    if syn {
        (tcp.syn, tcp.sequence_number) = (true, first[own]);
    }
    tcp.fin = segment.kind == Kind::Fin;
    tcp.ack = segment.kind != Kind::Syn;
    tcp.acknowledgment_number = if tcp.ack { number(other, segment.received) } else { 0 };
    let builder = PacketBuilder::ethernet2([2, 0, 0, 0, 0, 1], [2, 0, 0, 0, 0, 2])
        .ipv4(ends[own].0.octets(), ends[other].0.octets(), 64)
        .tcp_header(tcp);
    let mut bytes = Vec::with_capacity(builder.size(segment.bytes.len()));
    builder.write(&mut bytes, &segment.bytes).unwrap();
    (bytes, syn)
}

/// The packets of a client's port as text, one to a line: who sends, the positions of its first byte and of what it
/// acknowledges from the first SYN on, and the first of its bytes.
pub(crate) fn drawn(packets: &[Captured], port: u16) -> String {
    let mut first = std::collections::HashMap::new();
    let lines = packets.iter().filter_map(|packet| {
        let sliced = etherparse::SlicedPacket::from_ethernet(&packet.bytes).unwrap();
        let Some(etherparse::TransportSlice::Tcp(tcp)) = sliced.transport else { return None };
        let (from, to) = (tcp.source_port(), tcp.destination_port());
        if from.max(to) != port {
            return None;
        }
        let place = |(from, to), number: u32, first: &mut std::collections::HashMap<_, u32>| {
            number.wrapping_sub(*first.entry((from, to)).or_insert(number)).wrapping_sub(1).cast_signed()
        };
        let at = place((from, to), tcp.sequence_number(), &mut first);
        let acked = if tcp.ack() { place((to, from), tcp.acknowledgment_number(), &mut first) } else { 0 };
        let arrow = if to == 80 { '>' } else { '<' };
        let flags = [(tcp.syn(), " SYN"), (tcp.fin(), " FIN")].map(|(set, name)| if set { name } else { "" });
        let bytes = tcp.payload();
        let text = String::from_utf8_lossy(&bytes[..bytes.len().min(24)]).escape_debug().to_string();
        Some(format!("{arrow} {at}+{} ack {acked}{} {text}", bytes.len(), flags.concat()))
    });
    lines.collect::<Vec<_>>().join("\n")
}
