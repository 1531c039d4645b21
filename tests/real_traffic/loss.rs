//! The same traffic with packets missing: what is read whole and without a mark is what was said, and what lost
//! nothing is found.

use std::collections::{BTreeMap, HashMap, HashSet};
use std::convert::Infallible;
use std::path::Path;
use std::time::Duration;

use shadowcap::anomaly::Anomaly;
use shadowcap::capture::{CaptureSet, Input, PacketSource};
use shadowcap::exchange::Exchange;
use shadowcap::http::{BodyKeep, Options};
use shadowcap::packet::Packet;
use shadowcap::pipeline::{Reading, ReadingOptions};
use shadowcap::time::Timestamp;

use super::{Traffic, next, packet};

/// A packet of the capture.
#[derive(Clone)]
struct Captured {
    at: Timestamp,
    data: Vec<u8>,
}

impl Captured {
    /// The client's port, and whether there is payload.
    fn port(&self) -> (u16, bool) {
        let sliced = etherparse::SlicedPacket::from_ethernet(&self.data).unwrap();
        let Some(etherparse::TransportSlice::Tcp(tcp)) = sliced.transport else { panic!("not TCP") };
        let server = tcp.source_port() == 8080;
        let port = if server { tcp.destination_port() } else { tcp.source_port() };
        (port, !tcp.payload().is_empty())
    }
}

/// Whether the handshake of a connection told where both sides begin before either sent payload: by the server's SYN, or
/// by the client's and the segment that acknowledges the server's (RFC 9293, section 3.5).
fn is_greeted(packets: &[Captured], port: u16) -> bool {
    let (mut called, mut greeted) = (false, false);
    for packet in
        packets.iter().filter(|packet| packet.port().0 == port).take_while(|packet| !packet.port().1)
    {
        let sliced = etherparse::SlicedPacket::from_ethernet(&packet.data).unwrap();
        let Some(etherparse::TransportSlice::Tcp(tcp)) = sliced.transport else { panic!("not TCP") };
        greeted |= tcp.syn() && tcp.ack() || called && !tcp.syn() && tcp.source_port() == port;
        called |= tcp.syn();
    }
    greeted
}

struct Memory<'a>(std::slice::Iter<'a, Captured>, u64);

impl PacketSource for Memory<'_> {
    type Error = Infallible;

    fn next_packet(&mut self) -> Result<Option<Packet<'_>>, Infallible> {
        self.1 += 1;
        let len = |data: &[u8]| u32::try_from(data.len()).unwrap();
        Ok(self.0.next().map(|next| packet(next.at, self.1, len(&next.data), &next.data)))
    }
}

fn load(capture: &Path) -> Vec<Captured> {
    let mut set = CaptureSet::open(&[Input::parse(capture)]).unwrap();
    let mut packets = Vec::new();
    while let Some(packet) = set.next_packet().unwrap() {
        packets.push(Captured { at: packet.at, data: packet.data.to_vec() });
    }
    packets
}

fn read(packets: &[Captured]) -> Vec<Exchange> {
    let bodies = Options { keep: BodyKeep::UpTo(1 << 20), hash: false };
    let options = ReadingOptions { bodies, ..ReadingOptions::default() };
    let mut exchanges = Vec::new();
    let mut reading = Reading::new(Memory(packets.iter(), 0), options, |exchange| exchanges.push(exchange));
    while reading.step().unwrap() {}
    reading.finish();
    assert_eq!(reading.account().imbalances(), Vec::<String>::new());
    drop(reading);
    exchanges
}

/// What happens to packets of a hundred.
#[derive(Clone, Copy, Debug)]
struct Harm {
    lost: u64,
    /// Seen again a few packets later.
    doubled: u64,
    /// A few packets late.
    late: u64,
}

/// No queue holds a packet for longer; some are between two connections of curl.
const LATEST: Duration = Duration::from_millis(20);

/// The packets that are left, and which are missing.
fn harmed(packets: &[Captured], harm: Harm, seed: u64) -> (Vec<Captured>, Vec<Captured>) {
    let mut state = seed;
    let (mut order, mut missing) = (Vec::new(), Vec::new());
    for (place, packet) in packets.iter().enumerate() {
        let (fate, later) = (next(&mut state) % 100, 1 + next(&mut state) % 8);
        let behind = packets.iter().skip(place + 1).take(usize::try_from(later).unwrap());
        let later = behind.take_while(|behind| behind.at < packet.at + LATEST).count();
        if fate < harm.lost {
            missing.push(packet.clone());
            continue;
        }
        let again = (harm.lost..harm.lost + harm.doubled).contains(&fate);
        let late = (harm.lost + harm.doubled..harm.lost + harm.doubled + harm.late).contains(&fate);
        order.push((if late { place + later } else { place }, packet.data.clone()));
        if again {
            order.push((place + later, packet.data.clone()));
        }
    }
    order.sort_by_key(|(place, _)| *place);
    let times = |place: usize| packets[place.min(packets.len() - 1)].at;
    let left = order.into_iter().map(|(place, data)| Captured { at: times(place), data });
    (left.collect(), missing)
}

fn port(exchange: &Exchange) -> u16 {
    exchange.connection.client.port()
}

fn target(exchange: &Exchange) -> String {
    String::from_utf8_lossy(exchange.request.head.target()).into_owned()
}

/// All of request and response is there, and nothing is said against it.
fn is_unmarked(exchange: &Exchange) -> bool {
    let response = exchange.response.as_ref();
    exchange.anomalies.is_empty()
        && exchange.request.completeness.is_complete()
        && response.is_some_and(|response| response.completeness.is_complete())
}

/// Whether both are the same, byte for byte.
fn is_same(read: &Exchange, truth: &Exchange) -> bool {
    let said = |exchange: &Exchange| {
        let response = exchange.response.as_ref().unwrap();
        let body = (response.body.len, response.body.entity.clone());
        (
            exchange.request.head.raw().clone(),
            exchange.request.body.entity.clone(),
            response.head.raw().clone(),
            body,
        )
    };
    said(read) == said(truth)
}

/// An exchange in a line.
fn told(exchange: &Exchange) -> String {
    let body = exchange.response.as_ref().and_then(|response| response.body.entity.clone());
    let body = body.map(|body| String::from_utf8_lossy(&body[..body.len().min(30)]).into_owned());
    format!("{} answered {body:?}", target(exchange))
}

/// The packets of a connection around an exchange, one to a line.
fn drawn(packets: &[Captured], said: &Exchange) -> String {
    let around = Duration::from_millis(3);
    let response = said.response.as_ref().unwrap();
    let near = |packet: &&Captured| {
        packet.port().0 == port(said)
            && packet.at + around > said.request.first_byte
            && packet.at < response.last_byte + around
    };
    let line = |packet: &Captured| {
        let sliced = etherparse::SlicedPacket::from_ethernet(&packet.data).unwrap();
        let Some(etherparse::TransportSlice::Tcp(tcp)) = sliced.transport else { return String::new() };
        let (at, ack, len) = (tcp.sequence_number(), tcp.acknowledgment_number(), tcp.payload().len());
        let text = String::from_utf8_lossy(&tcp.payload()[..len.min(30)]).escape_debug().to_string();
        format!("from {} at {at}+{len} ack {ack} {text}", tcp.source_port())
    };
    packets.iter().filter(near).map(line).collect::<Vec<_>>().join("\n")
}

/// The exchanges of the whole capture by connection and target: those that the server logged as well.
fn truth(traffic: &Traffic, packets: &[Captured]) -> HashMap<(u16, String), Exchange> {
    let logged: HashSet<_> = traffic
        .log
        .iter()
        .map(|line| (line.client_port.unwrap(), line.target().to_owned(), line.status, line.length))
        .collect();
    let read = read(packets).into_iter().filter(is_unmarked);
    let known = read.filter(|exchange| {
        let response = exchange.response.as_ref().unwrap();
        logged.contains(&(port(exchange), target(exchange), response.head.status, response.body.len))
    });
    known.map(|exchange| ((port(&exchange), target(&exchange)), exchange)).collect()
}

/// Those of which no packet is missing: its connection has lost none with payload while it went on.
fn unharmed<'t>(truth: &'t HashMap<(u16, String), Exchange>, missing: &[Captured]) -> Vec<&'t (u16, String)> {
    let mut lost = BTreeMap::<u16, Vec<Timestamp>>::new();
    for packet in missing {
        if let (port, true) = packet.port() {
            lost.entry(port).or_default().push(packet.at);
        }
    }
    let untouched = |exchange: &Exchange| {
        let span = exchange.request.first_byte..=exchange.response.as_ref().unwrap().last_byte;
        lost.get(&port(exchange)).is_none_or(|times| !times.iter().any(|at| span.contains(at)))
    };
    truth.iter().filter(|(_, exchange)| untouched(exchange)).map(|(key, _)| key).collect()
}

fn what_is_unmarked_is_right_and_what_lost_nothing_is_found(harm: Harm) {
    let traffic = or_skip!(Traffic::record(1500));
    let packets = load(&traffic.capture());
    let truth = truth(&traffic, &packets);
    assert!(truth.len() > 100, "there was hardly any traffic");
    let (mut complete, mut marked) = (0, 0);
    let (mut unharmed_ones, mut strayed) = (0, 0);
    for seed in 1..=5 {
        let (left, missing) = harmed(&packets, harm, seed);
        let read = read(&left);
        for exchange in read.iter().filter(|exchange| is_unmarked(exchange)) {
            let key = (port(exchange), target(exchange));
            // wrk stops in the middle: what the server had not logged by then is nobody's truth.
            let Some(said) = truth.get(&key) else { continue };
            assert!(
                is_same(exchange, said),
                "{harm:?}, seed {seed}: {}, not {}\n{}",
                told(exchange),
                told(said),
                drawn(&left, said)
            );
        }
        let found: HashMap<_, _> = read.iter().map(|read| ((port(read), target(read)), read)).collect();
        assert_eq!(found.len(), read.len(), "{harm:?}, seed {seed}: some exchanges are there twice");
        for key in unharmed(&truth, &missing) {
            unharmed_ones += 1;
            let drawn = || drawn(&left, &truth[key]);
            let read = found.get(key);
            let read =
                read.unwrap_or_else(|| panic!("{harm:?}, seed {seed}: {key:?} was not read\n{}", drawn()));
            if !is_same_and_whole(read, &truth[key]) {
                // What is unmarked is the same: the mark says that its answer may be another's, or has none.
                strayed += 1;
                println!("{harm:?}, seed {seed}: {key:?} lost nothing and lacks its answer\n{}", drawn());
            }
        }
        let whole = |read: &&Exchange| {
            let response = read.response.as_ref();
            read.request.completeness.is_complete() && response.is_some_and(|r| r.completeness.is_complete())
        };
        complete += read.iter().filter(whole).count();
        marked += read.iter().filter(whole).filter(|read| !read.anomalies.is_empty()).count();
    }
    // Between holes of both directions an exchange may have nothing that tells which answer is its own.
    assert!(strayed * 2000 <= unharmed_ones, "{harm:?}: {strayed} of {unharmed_ones} that lost nothing");
    println!("{harm:?}: {complete} complete exchanges, {marked} of them marked");
    assert!(marked * 20 < complete, "{harm:?}: {marked} of {complete} complete exchanges are marked");
}

fn is_same_and_whole(read: &Exchange, truth: &Exchange) -> bool {
    read.response.is_some() && is_same(read, truth)
}

#[test]
fn with_packets_missing_what_is_unmarked_is_right_and_what_lost_nothing_is_found() {
    for lost in [2, 5] {
        what_is_unmarked_is_right_and_what_lost_nothing_is_found(Harm { lost, doubled: 0, late: 0 });
    }
}

#[test]
fn with_packets_missing_out_of_order_and_twice_the_same() {
    what_is_unmarked_is_right_and_what_lost_nothing_is_found(Harm { lost: 5, doubled: 5, late: 5 });
}

#[test]
fn with_no_packet_missing_all_is_read_and_nothing_is_marked() {
    let traffic = or_skip!(Traffic::record(1500));
    let packets = load(&traffic.capture());
    let truth = truth(&traffic, &packets);
    assert!(truth.len() > 100, "there was hardly any traffic");
    for seed in 1..=5 {
        let (left, missing) = harmed(&packets, Harm { lost: 0, doubled: 10, late: 10 }, seed);
        assert_eq!(missing.len(), 0);
        let read = read(&left);
        let found: HashMap<_, _> = read.iter().map(|read| ((port(read), target(read)), read)).collect();
        assert_eq!(found.len(), read.len(), "seed {seed}: some exchanges are there twice");
        for (key, said) in &truth {
            let drawn = || drawn(&left, said);
            let read =
                found.get(key).unwrap_or_else(|| panic!("seed {seed}: {key:?} was not read\n{}", drawn()));
            let marks = read.anomalies;
            assert!(is_same_and_whole(read, said), "seed {seed}: {key:?} is not as it was\n{}", drawn());
            // Where the handshake came after the request, nothing told that it was the first one.
            let in_middle = || marks.without(Anomaly::MidConnection).is_empty() && !is_greeted(&left, key.0);
            assert!(marks.is_empty() || in_middle(), "seed {seed}: {key:?} is marked {marks:?}\n{}", drawn());
        }
    }
}
