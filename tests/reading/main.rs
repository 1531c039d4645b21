//! From packets to exchanges, for any traffic and anything that a network or a capture does to it: what is
//! read is what was written.

#![cfg(feature = "cli")]
#![allow(clippy::unwrap_used, reason = "a test says what broke by panicking")]

mod network;
mod traffic;

use std::convert::Infallible;
use std::path::Path;

use proptest::prelude::*;
use proptest::test_runner::RngSeed;
use shadowcap::anomaly::Anomaly;
use shadowcap::capture::{CaptureSet, Input, PacketSource, PcapWriter};
use shadowcap::exchange::{Exchange, ExchangeId};
use shadowcap::http::{BodyKeep, Message, Options};
use shadowcap::packet::{LinkType, Packet};
use shadowcap::pipeline::{Account, Reading, ReadingOptions};

use network::{Captured, Recut, captured, fates, losses};
use traffic::{Written, connections, noise_connections, patient_connections};

/// Packets in memory.
struct Memory<'a> {
    packets: &'a [Captured],
    next: usize,
}

impl PacketSource for Memory<'_> {
    type Error = Infallible;

    fn next_packet(&mut self) -> Result<Option<Packet<'_>>, Infallible> {
        let packet = self.packets.get(self.next);
        self.next += 1;
        Ok(packet.map(|packet| packet.packet(self.next as u64)))
    }
}

/// Reads a source to its end, and checks that every packet and byte is accounted for.
fn read<S: PacketSource>(source: S) -> (Vec<Exchange>, Account) {
    let bodies = Options { keep: BodyKeep::UpTo(1 << 20), hash: false };
    let options = ReadingOptions { bodies, ..ReadingOptions::default() };
    let mut exchanges = Vec::new();
    let mut reading = Reading::new(source, options, |exchange| exchanges.push(exchange));
    while reading.step().unwrap() {}
    reading.finish();
    let account = reading.account();
    drop(reading);
    assert_eq!(account.imbalances(), Vec::<String>::new());
    assert_eq!(account.exchanges.exchanges, exchanges.len() as u64);
    (exchanges, account)
}

fn read_packets(packets: &[Captured]) -> (Vec<Exchange>, Account) {
    read(Memory { packets, next: 0 })
}

/// Which connection carried the exchange.
fn place_of(exchange: &Exchange) -> usize {
    usize::from(exchange.connection.client.port()) - usize::from(network::FIRST_PORT)
}

/// The packets that the capture has not lost; whether those of the handshake may be among the lost.
fn lossy(mut packets: Vec<Captured>, losses: &[bool], handshakes: bool) -> Vec<Captured> {
    let mut lost = losses.iter().cycle();
    packets.retain(|packet| (packet.is_syn() && !handshakes) || !lost.next().unwrap());
    packets
}

/// Each exchange of packets was written, none is there twice, and none is another than written without a mark.
fn assert_exact_or_marked(packets: &[Captured], written: &[Vec<Written>]) -> Result<(), TestCaseError> {
    let mut seen = std::collections::HashSet::new();
    for exchange in read_packets(packets).0 {
        let written = written_of(&exchange, written)?;
        prop_assert!(seen.insert((exchange.connection, &written.target)), "twice: {}", written.target);
        if !is_marked(&exchange) {
            let exact = assert_exact(&exchange, written);
            exact.map_err(|why| {
                let answer = exchange.response.as_ref().map(|response| response.head.raw());
                let drawn = network::drawn(packets, exchange.connection.client.port());
                TestCaseError::fail(format!("{why}, read as {answer:?}\n{drawn}\n{}", told(packets)))
            })?;
        }
    }
    Ok(())
}

/// What is read of packets, an exchange to a line.
fn told(packets: &[Captured]) -> String {
    let one = |read: &Exchange| {
        let status = read.response.as_ref().map(|response| response.head.status);
        let marks: Vec<_> = read.anomalies.iter().map(Anomaly::name).collect();
        let target = read.request.head.target().escape_ascii();
        format!("{} {target} {:?} {status:?} {marks:?}", read.connection, read.interim)
    };
    read_packets(packets).0.iter().map(one).collect::<Vec<_>>().join("\n")
}

/// What was written of the exchange that was read. An invented one was never written.
fn written_of<'w>(read: &Exchange, written: &'w [Vec<Written>]) -> Result<&'w Written, TestCaseError> {
    let target = read.request.head.target();
    let found = written[place_of(read)].iter().find(|written| written.target.as_bytes() == target);
    found.ok_or_else(|| TestCaseError::fail(format!("invented: {}", target.escape_ascii())))
}

/// Whether head and body are those written, byte for byte.
fn is_exact<H>(message: &Message<H>, raw: &[u8], written: &traffic::Text) -> bool {
    let (entity, wire) = (message.body.entity.as_deref(), message.body.wire());
    message.completeness.is_complete()
        && raw == written.head
        && entity == Some(&written.entity)
        && wire.is_some_and(|wire| *wire == written.wire)
}

fn assert_exact(read: &Exchange, written: &Written) -> Result<(), TestCaseError> {
    let (id, target) = (read.connection, &written.target);
    prop_assert!(
        is_exact(&read.request, read.request.head.raw(), &written.request),
        "request {target} of {id}"
    );
    let Some(response) = &read.response else {
        return Err(TestCaseError::fail(format!("no answer to {target} of {id}")));
    };
    prop_assert!(is_exact(response, response.head.raw(), &written.response), "answer to {target} of {id}");
    prop_assert_eq!(&read.interim, &written.interim);
    Ok(())
}

/// Each exchange, with its place on its connection.
fn assert_all_exact(read: &[Exchange], written: &[Vec<Written>]) -> Result<(), TestCaseError> {
    for exchange in read {
        let of_connection = written_of(exchange, written)?;
        prop_assert_eq!(exchange.ordinal as usize, of_connection.place);
        assert_exact(exchange, of_connection)?;
    }
    prop_assert_eq!(read.len(), written.iter().map(Vec::len).sum::<usize>());
    Ok(())
}

/// Whether something says of the exchange that not all of it may be there or right.
fn is_marked(exchange: &Exchange) -> bool {
    let response = exchange.response.as_ref();
    !exchange.anomalies.is_empty()
        || !exchange.request.completeness.is_complete()
        || response.is_none_or(|response| !response.completeness.is_complete())
}

/// Writes packets into files by turns as `cuts` say, and reads those as one capture.
fn read_files(folder: &Path, packets: &[Captured], cuts: &[u8]) -> Vec<Exchange> {
    let mut writers: Vec<_> = (0..4)
        .map(|n| {
            let file = std::fs::File::create(folder.join(format!("{n}.pcap"))).unwrap();
            PcapWriter::new(file, LinkType::ETHERNET).unwrap()
        })
        .collect();
    for (packet, file) in packets.iter().zip(cuts.iter().cycle()) {
        writers[usize::from(file % 4)].write(&packet.packet(1)).unwrap();
    }
    for writer in writers {
        writer.finish().unwrap();
    }
    read(CaptureSet::open(&[Input::Path(folder.to_owned())]).unwrap()).0
}

fn ids(exchanges: &[Exchange]) -> Vec<ExchangeId> {
    exchanges.iter().map(|exchange| exchange.id).collect()
}

/// The same cases in each run of CI, and others in each run by hand; with `READING_CASES=100000` so many others.
fn config(cases: u32) -> ProptestConfig {
    let asked = std::env::var("READING_CASES").ok();
    ProptestConfig {
        cases: asked.as_ref().map_or(cases, |cases| cases.parse().unwrap()),
        max_shrink_iters: 1500,
        rng_seed: if asked.is_none() && std::env::var_os("CI").is_some() {
            RngSeed::Fixed(9293)
        } else {
            RngSeed::Random
        },
        failure_persistence: None,
        ..ProptestConfig::default()
    }
}

proptest! {
    #![proptest_config(config(200))]

    #[test]
    fn without_loss_the_exchanges_are_those_written_byte_for_byte(connections in connections(), fates in fates()) {
        let (packets, written) = captured(&connections, &fates, Recut::Any);
        let (read, account) = read_packets(&packets);
        assert_all_exact(&read, &written)?;
        let (lost, orphans) = (account.streams.total().lost, account.exchanges.orphans);
        prop_assert_eq!((lost, orphans), (0, 0));
        prop_assert_eq!(account.anomalies().iter().collect::<Vec<_>>(), []);
    }
}

proptest! {
    #![proptest_config(config(200))]

    #[test]
    fn with_any_loss_each_exchange_of_a_client_that_takes_turns_is_exact_or_marked(
        connections in patient_connections(),
        fates in fates(),
        losses in losses(),
        handshakes in any::<bool>(),
    ) {
        let (packets, written) = captured(&connections, &fates, Recut::Unacknowledged);
        assert_exact_or_marked(&lossy(packets, &losses, handshakes), &written)?;
    }

    #[test]
    fn with_any_loss_each_exchange_of_a_client_that_pipelines_is_exact_or_marked(
        connections in noise_connections(),
        fates in fates(),
        losses in losses(),
        handshakes in any::<bool>(),
    ) {
        let (packets, written) = captured(&connections, &fates, Recut::Unacknowledged);
        assert_exact_or_marked(&lossy(packets, &losses, handshakes), &written)?;
    }
}

proptest! {
    #![proptest_config(config(32))]

    #[test]
    fn however_the_packets_are_spread_over_files_the_exchanges_are_the_same(
        connections in connections(),
        fates in fates(),
        cuts in prop::collection::vec(any::<u8>(), 1..40),
    ) {
        let (packets, written) = captured(&connections, &fates, Recut::Any);
        let folder = tempfile::tempdir().unwrap();
        let read = read_files(folder.path(), &packets, &cuts);
        assert_all_exact(&read, &written)?;
        prop_assert_eq!(ids(&read), ids(&read_packets(&packets).0));
    }

    #[test]
    fn however_what_is_left_of_the_packets_is_spread_over_files_the_same_is_read(
        connections in patient_connections(),
        fates in fates(),
        losses in losses(),
        cuts in prop::collection::vec(any::<u8>(), 1..40),
    ) {
        let packets = lossy(captured(&connections, &fates, Recut::Unacknowledged).0, &losses, true);
        let folder = tempfile::tempdir().unwrap();
        let said = |read: &[Exchange]| -> Vec<String> { read.iter().map(|read| format!("{read:?}")).collect() };
        prop_assert_eq!(said(&read_files(folder.path(), &packets, &cuts)), said(&read_packets(&packets).0));
    }
}
