//! For any dialogue, and anything that a network or a capture does to its packets.

use proptest::prelude::*;

use super::dialogue::{Dialogue, Sent, Told, listen, listen_thoroughly};
use crate::stream::{Direction, End};
use crate::wire::Flags;

/// One side's turn: its bytes, and how they are cut into segments.
#[derive(Clone, Debug)]
struct Turn {
    bytes: Vec<u8>,
    cuts: Vec<usize>,
}

fn turn() -> impl Strategy<Value = Turn> {
    (prop::collection::vec(any::<u8>(), 1..400), prop::collection::vec(1..120_usize, 1..12))
        .prop_map(|(bytes, cuts)| Turn { bytes, cuts })
}

/// Turns of client and server, and their initial sequence numbers, often just before the wrap.
fn dialogue() -> impl Strategy<Value = (Vec<Turn>, u32, u32)> {
    let isn = || prop_oneof![any::<u32>(), (u32::MAX - 600)..=u32::MAX];
    (prop::collection::vec(turn(), 1..8), isn(), isn())
}

/// The packets of a dialogue, as they were sent, and the streams of the two sides.
fn written((turns, client, server): &(Vec<Turn>, u32, u32)) -> (Vec<Sent>, [Vec<u8>; 2]) {
    let mut dialogue = Dialogue::new(*client, *server);
    dialogue.handshake();
    let mut streams = [Vec::new(), Vec::new()];
    for (turn, direction) in turns.iter().zip([Direction::ToServer, Direction::ToClient].into_iter().cycle())
    {
        let mut rest = turn.bytes.as_slice();
        for &cut in turn.cuts.iter().cycle() {
            let (now, later) = rest.split_at(cut.min(rest.len()));
            if now.is_empty() {
                break;
            }
            dialogue.send(direction, Flags::ACK, now);
            rest = later;
        }
        streams[direction as usize].extend_from_slice(&turn.bytes);
    }
    dialogue.close();
    (dialogue.packets, streams)
}

/// What happens to a packet on its way into the capture.
#[derive(Clone, Copy, Debug)]
struct Fate {
    /// Packets by which it is late.
    late: usize,
    /// It is seen again, so many packets later.
    again: Option<usize>,
    /// The repeat starts so many bytes earlier: it was cut anew.
    overlap: usize,
}

fn fates() -> impl Strategy<Value = Vec<Fate>> {
    let fate = (0..12_usize, prop::option::weighted(0.3, 0..20_usize), 0..100_usize);
    let fate = fate.prop_map(|(late, again, overlap)| Fate { late, again, overlap });
    prop::collection::vec(fate, 1..64)
}

/// The capture of packets that met their fates.
fn captured(packets: &[Sent], fates: &[Fate], streams: &[Vec<u8>; 2]) -> Vec<Sent> {
    let mut order = Vec::new();
    for (index, (packet, fate)) in packets.iter().zip(fates.iter().cycle()).enumerate() {
        // Data comes a round trip after the SYNs, so that no capture shows it before them.
        let late = if packet.flags.contains(Flags::SYN) { 0 } else { fate.late };
        order.push((index + late, packet.clone()));
        if let Some(again) = fate.again {
            order.push((index + again, recut(packet, fate.overlap, packets, streams)));
        }
    }
    order.sort_by_key(|(when, _)| *when);
    let times: Vec<_> = (0..order.len() as u64).map(|i| 1_000_000 + 50 * i).collect();
    order.into_iter().zip(times).map(|((_, packet), at)| Sent { at, ..packet }).collect()
}

/// A retransmission of a packet together with bytes that were sent before it.
fn recut(packet: &Sent, overlap: usize, packets: &[Sent], streams: &[Vec<u8>; 2]) -> Sent {
    if packet.payload.is_empty() {
        return packet.clone();
    }
    let side = packet.direction as usize;
    let first = packets[side].seq.wrapping_add(1);
    let end = packet.seq.wrapping_sub(first) as usize + packet.payload.len();
    let start = end - packet.payload.len() - overlap.min(end - packet.payload.len());
    let seq = first.wrapping_add(start as u32);
    Sent { seq, payload: streams[side][start..end].to_vec(), ..packet.clone() }
}

/// Each byte that was told stands where it was sent, from `origin` on.
fn assert_true(told: &Told, stream: &[u8], origin: usize) -> Result<(), TestCaseError> {
    for (position, bytes) in &told.data {
        let start = origin + *position as usize;
        prop_assert_eq!(stream.get(start..start + bytes.len()), Some(bytes.as_slice()));
    }
    Ok(())
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 400, ..ProptestConfig::default() })]

    #[test]
    fn without_loss_every_byte_arrives_once_and_in_order(dialogue in dialogue(), fates in fates()) {
        let (packets, streams) = written(&dialogue);
        let (scribe, account) = listen(&captured(&packets, &fates, &streams));
        prop_assert_eq!(scribe.closed.len(), 1);
        for (told, stream) in [(&scribe.closed[0].to_server, &streams[0]), (&scribe.closed[0].to_client, &streams[1])] {
            prop_assert_eq!(&told.bytes(), stream);
            prop_assert_eq!(&told.ends, &[End::Fin]);
        }
        prop_assert_eq!(account.total().lost, 0);
        prop_assert_eq!(account.anomalies.iter().collect::<Vec<_>>(), []);
    }

    #[test]
    fn a_turn_is_told_of_after_the_turn_that_it_answers(dialogue in dialogue(), fates in fates()) {
        let (packets, streams) = written(&dialogue);
        // A repeat that joins bytes of two turns carries one acknowledgement for both.
        let uncut: Vec<_> = fates.iter().map(|fate| Fate { overlap: 0, ..*fate }).collect();
        let (scribe, _) = listen(&captured(&packets, &uncut, &streams));
        let spoken = scribe.closed[0].script.iter().filter(|line| &line[1..] != ".Fin");
        let mut sides: Vec<_> = spoken.map(|line| line.as_bytes()[0]).collect();
        sides.dedup();
        let truth: Vec<_> = b"><".iter().copied().cycle().take(dialogue.0.len()).collect();
        prop_assert_eq!(sides, truth);
    }

    #[test]
    fn with_loss_every_byte_is_right_and_every_gap_has_its_length(
        dialogue in dialogue(),
        fates in fates(),
        losses in prop::collection::vec(prop::bool::weighted(0.2), 1..64),
    ) {
        let (packets, streams) = written(&dialogue);
        let mut kept = captured(&packets, &fates, &streams);
        let mut losses = losses.iter().cycle();
        kept.retain(|packet| packet.flags.contains(Flags::SYN) || !losses.next().unwrap_or(&false));
        let (scribe, account) = listen(&kept);
        prop_assert!(scribe.closed.len() <= 1);
        for heard in &scribe.closed {
            let sides = [(&heard.to_server, Direction::ToServer), (&heard.to_client, Direction::ToClient)];
            for (told, direction) in sides {
                let stream = &streams[direction as usize];
                assert_true(told, stream, 0)?;
                // A FIN lost together with the bytes before it has a number like them.
                prop_assert!(told.position <= stream.len() as u64 + 1);
                let fin_seen = kept.iter().any(|p| p.flags.contains(Flags::FIN) && p.direction == direction);
                if fin_seen {
                    prop_assert_eq!(told.position, stream.len() as u64);
                    prop_assert_eq!(&told.ends, &[End::Fin]);
                }
            }
            let gaps = heard.to_server.gaps.iter().chain(&heard.to_client.gaps);
            prop_assert_eq!(account.total().lost, gaps.map(|(_, len)| len).sum::<u64>());
        }
    }

    #[test]
    fn the_quick_way_tells_what_the_thorough_one_does(
        dialogue in dialogue(),
        fates in fates(),
        losses in prop::collection::vec(prop::bool::weighted(0.05), 1..64),
        begin in 0..4_usize,
        odd in prop::collection::vec((any::<prop::sample::Index>(), 0..5_u8, -3..4_i32), 0..4),
    ) {
        let (packets, streams) = written(&dialogue);
        let mut kept = captured(&packets, &fates, &streams);
        let mut losses = losses.iter().cycle();
        kept.retain(|_| !losses.next().unwrap_or(&false));
        kept.drain(..begin.min(kept.len()));
        for (place, what, by) in odd {
            let Some(packet) = (!kept.is_empty()).then(|| place.index(kept.len())).and_then(|at| kept.get_mut(at)) else { continue };
            match what {
                0 => packet.seq = packet.seq.wrapping_add_signed(by),
                1 => packet.ack = packet.ack.wrapping_add_signed(by),
                2 => packet.cut = by.unsigned_abs(),
                3 => packet.flags = packet.flags | Flags::RST,
                _ => packet.flags = packet.flags.without(Flags::ACK),
            }
        }
        let (quick, thorough) = (listen(&kept), listen_thoroughly(&kept));
        prop_assert_eq!(quick.0.closed, thorough.0.closed);
        prop_assert_eq!(quick.1, thorough.1);
    }

    #[test]
    fn a_capture_that_begins_in_the_middle_has_all_from_its_first_packet(
        dialogue in dialogue(),
        fates in fates(),
        missed in 3..30_usize,
    ) {
        let (packets, streams) = written(&dialogue);
        let missed = missed.min(packets.len() - 3);
        let late_only: Vec<_> = fates.iter().map(|fate| Fate { again: None, ..*fate }).collect();
        let (scribe, account) = listen(&captured(&packets[missed..], &late_only, &streams));
        prop_assert_eq!(account.total().lost, 0);
        for heard in &scribe.closed {
            let (asked, answered) = if heard.info.id.client.port() == 40000 {
                (&heard.to_server, &heard.to_client)
            } else {
                (&heard.to_client, &heard.to_server)
            };
            for (told, stream, direction) in [(asked, &streams[0], Direction::ToServer), (answered, &streams[1], Direction::ToClient)] {
                let captured: u64 = packets[missed..].iter().filter(|p| p.direction == direction).map(|p| p.payload.len() as u64).sum();
                prop_assert!(told.position <= captured);
                assert_true(told, stream, stream.len() - told.position as usize)?;
            }
        }
    }
}
