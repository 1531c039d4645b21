//! What hostile traffic costs.

use std::net::SocketAddr;

use super::dialogue::{Scribe, Sent};
use crate::anomaly::Anomaly;
use crate::stream::{ConnectionTable, Direction, Limits};
use crate::wire::{Flags, Segment};

fn packet(at: u64, seq: u32, flags: Flags, payload: &[u8]) -> Sent {
    Sent { at, direction: Direction::ToServer, seq, ack: 0, flags, payload: payload.to_vec(), cut: 0 }
}

fn from_client(sent: &Sent, number: u32) -> Segment<'_> {
    let [a, b, c, d] = number.to_be_bytes();
    Segment { source: SocketAddr::from(([a, b, c, d], 40000)), ..sent.segment() }
}

#[test]
fn a_flood_of_syns_stays_within_a_quarter_of_the_budget() {
    let (mut table, mut scribe) = (ConnectionTable::new(Limits { memory: 1 << 20 }), Scribe::default());
    let syn = packet(0, 7, Flags::SYN, b"");
    for number in 0..50_000 {
        table.push(&from_client(&syn, number), &mut scribe);
        assert!(table.memory() <= 1 << 18);
    }
    table.finish(&mut scribe);
    assert_eq!((scribe.opened, table.account().empty_connections), (0, 50_000));
}

#[test]
fn an_attempt_at_a_connection_takes_less_than_200_bytes() {
    let mut table = ConnectionTable::<Scribe>::new(Limits::default());
    table.push(&packet(0, 7, Flags::SYN, b"").segment(), &mut Scribe::default());
    assert!(table.memory() < 200, "{}", table.memory());
}

#[test]
fn the_longest_silent_connection_is_given_up_first_and_counted() {
    let (mut table, mut scribe) = (ConnectionTable::new(Limits { memory: 1 << 20 }), Scribe::default());
    let data = packet(0, 7, Flags::ACK, b"ten bytes.");
    for number in 0..5_000 {
        table.push(&from_client(&data, number), &mut scribe);
        assert!(table.memory() <= 1 << 20);
    }
    let evicted = table.account().anomalies.of(Anomaly::Evicted);
    assert_eq!(evicted, scribe.closed.len() as u64);
    assert!(evicted > 0);
    assert_eq!(scribe.closed[0].info.id.client, from_client(&data, 0).source);
    table.finish(&mut scribe);
    assert_eq!(scribe.closed.len(), 5_000);
    assert_eq!(table.account().total().balance(), 50_000);
}

#[test]
fn connections_that_are_given_up_leave_nothing_behind() {
    let (mut table, mut scribe) = (ConnectionTable::new(Limits { memory: 1 << 20 }), Scribe::default());
    // Each waits for segments before its first, and is given up long before it has waited enough.
    for number in 0..20_000 {
        let data = packet(u64::from(number) * 100, 7, Flags::ACK, b"ten bytes.");
        table.push(&from_client(&data, number), &mut scribe);
        // Those of the last 100 ms.
        assert!(table.deadlines() <= 1001, "{}", table.deadlines());
    }
}

#[test]
fn where_time_stands_still_the_waits_of_connections_that_were_given_up_do_not_pile_up() {
    let (mut table, mut scribe) = (ConnectionTable::new(Limits { memory: 1 << 20 }), Scribe::default());
    for number in 0..20_000 {
        let data = packet(0, 7, Flags::ACK, b"ten bytes.");
        table.push(&from_client(&data, number), &mut scribe);
        let most = 2 * table.open_connections() + 1030;
        assert!(table.deadlines() <= most, "{} for {}", table.deadlines(), table.open_connections());
        assert!(table.memory() <= 1 << 20, "{}", table.memory());
    }
}

#[test]
fn a_hole_that_never_fills_holds_no_more_than_its_share() {
    let (mut table, mut scribe) = (ConnectionTable::new(Limits::default()), Scribe::default());
    table.push(&packet(0, 0, Flags::SYN, b"").segment(), &mut scribe);
    let payload = [b'x'; 1000];
    // Every other thousand bytes: each segment stands behind a hole of its own.
    for index in 0..40_000 {
        table.push(&packet(0, 2000 * index + 1001, Flags(0), &payload).segment(), &mut scribe);
        assert!(table.memory() < 18 << 20);
    }
    table.finish(&mut scribe);
    let account = table.account().to_server;
    assert_eq!((account.delivered, account.lost), (40_000_000, 40_000_000));
}
