//! Shares over 20,000 captured requests: met within what chance allows, nested, and the same each time.

use std::collections::BTreeSet;
use std::fs::File;
use std::io::BufWriter;
use std::net::{Ipv4Addr, SocketAddr};
use std::path::Path;
use std::time::Duration;

use serde_json::Value;
use shadowcap::capture::PcapWriter;
use shadowcap::capture::synth::Conversation;
use shadowcap::packet::LinkType;
use shadowcap::time::Timestamp;

use crate::support::Shadowcap;

const REQUESTS: usize = 20_000;
const ON_EACH: usize = 20;

const RULES: &str = "
apiVersion: networking.istio.io/v1
kind: VirtualService
metadata: {name: httpbin}
spec:
  hosts: [httpbin]
  http:
  - route:
    - {destination: {host: httpbin, subset: v1}, weight: 70}
    - {destination: {host: httpbin, subset: v2}, weight: 25}
    - {destination: {host: httpbin, subset: v3}, weight: 5}
    mirrors:
    - {destination: {host: m0}, percentage: {value: 0.5}}
    - {destination: {host: m1}, percentage: {value: 12.25}}
    - {destination: {host: m2}, percentage: {value: 50}}
    - {destination: {host: m3}, percentage: {value: 99.9}}
    - {destination: {host: m4}}
    - {destination: {host: m5}, percentage: {value: 0}}
";

/// Writes the captured traffic, an equal part of its packets to each file: the cuts lie within connections.
fn write(folder: &Path, names: &[&str]) {
    let start = Timestamp::from_parts(1_795_000_000, 0);
    let mut packets = Vec::new();
    for number in 0..REQUESTS / ON_EACH {
        let port = 10_000 + u16::try_from(number).unwrap();
        let at = start + Duration::from_millis(10 * number as u64);
        let client = SocketAddr::from((Ipv4Addr::new(10, 0, 0, 1), port));
        let server = SocketAddr::from((Ipv4Addr::new(10, 0, 0, 2), 8000));
        let mut talk = Conversation::new(client, server, at).step(Duration::from_micros(50));
        talk.open();
        for request in 0..ON_EACH {
            talk.client_sends(
                format!("GET /{number}/{request} HTTP/1.1\r\nHost: httpbin:8000\r\n\r\n").as_bytes(),
            );
            talk.server_sends(b"HTTP/1.1 204 No Content\r\n\r\n");
        }
        talk.close();
        packets.push(talk.take_frames());
    }
    let of_connection = packets[0].len();
    let packets = packets.concat();
    let share = packets.len().div_ceil(names.len());
    // A connection begins in one file and ends in the next.
    assert!(names.len() == 1 || !share.is_multiple_of(of_connection), "{share} of {of_connection} each");
    for (name, packets) in names.iter().zip(packets.chunks(share)) {
        let out = BufWriter::new(File::create(folder.join(name)).unwrap());
        let mut out = PcapWriter::new(out, LinkType::ETHERNET).unwrap();
        for (n, frame) in packets.iter().enumerate() {
            out.write(&frame.packet(n as u64)).unwrap();
        }
        out.finish().unwrap();
    }
}

/// What `shadowcap route` says of the capture in these files.
fn route(files: &[&str], more: &[&str]) -> Value {
    let captures = files.iter().flat_map(|file| ["--capture", file]);
    let command =
        ["route", "routes.yaml", "--format", "json"].into_iter().chain(captures).chain(more.iter().copied());
    let program = Shadowcap::new(command).patience(Duration::from_secs(120));
    std::fs::write(program.folder().join("routes.yaml"), RULES).unwrap();
    write(program.folder(), files);
    let finished = program.run();
    finished.exits(0);
    finished.json()
}

/// The requests that a destination was picked for.
fn of(document: &Value, destination: &str) -> BTreeSet<String> {
    let requests = document["requests"].as_array().unwrap();
    let goes = |request: &&Value| {
        request["to"].as_array().unwrap().iter().any(|to| to["destination"] == destination)
    };
    requests.iter().filter(goes).map(|request| request["id"].as_str().unwrap().to_owned()).collect()
}

#[test]
fn each_share_is_met_within_a_binomial_interval_and_shares_nest() {
    let document = route(&["all.pcap"], &[]);
    assert_eq!(document["requests"].as_array().unwrap().len(), REQUESTS);
    for (destination, share) in [
        ("httpbin/v2", 0.25),
        ("httpbin/v3", 0.05),
        ("m0", 0.005),
        ("m1", 0.1225),
        ("m2", 0.5),
        ("m3", 0.999),
        ("m4", 1.0),
        ("m5", 0.0),
    ] {
        let picked = of(&document, destination).len();
        // 3.29 standard deviations of the binomial distribution hold 99.9 % of it.
        let n = number(REQUESTS);
        let most = 3.29 * (n * share * (1.0 - share)).sqrt();
        let off = (number(picked) - n * share).abs();
        assert!(off <= most, "{destination}: {picked} of {REQUESTS}, {off} off where {most} are allowed");
    }
    let mirrors: Vec<_> = ["m5", "m0", "m1", "m2", "m3", "m4"].map(|name| of(&document, name)).into();
    for pair in mirrors.windows(2) {
        assert!(pair[0].is_subset(&pair[1]));
    }
    let shares = document["shares"].as_array().unwrap();
    let captured = shares.iter().find(|share| share["standing"] == "captured").unwrap();
    assert_eq!((&captured["destination"], &captured["requests"]), (&"httpbin/v1".into(), &REQUESTS.into()));
    let sent = of(&document, "httpbin/v2").len() + of(&document, "httpbin/v3").len();
    assert_eq!(captured["picked"], REQUESTS - sent);
}

#[test]
fn the_same_seed_decides_the_same_however_files_are_cut_and_another_seed_does_not() {
    let once = route(&["all.pcap"], &["--seed", "5"]);
    assert_eq!(once, route(&["all.pcap"], &["--seed", "5"]));
    assert_eq!(once["requests"], route(&["a.pcap", "b.pcap", "c.pcap"], &["--seed", "5"])["requests"]);
    let other = route(&["all.pcap"], &["--seed", "6"]);
    assert_ne!(of(&once, "m2"), of(&other, "m2"));
}

#[test]
fn independent_mirrors_do_not_nest() {
    let document = route(&["all.pcap"], &["--sampling", "independent"]);
    let (m1, m2) = (of(&document, "m1"), of(&document, "m2"));
    let both = m1.intersection(&m2).count();
    // Half of the one, give or take 3.29 standard deviations.
    let half = number(m1.len()) / 2.0;
    assert!((number(both) - half).abs() <= 3.29 * (half / 2.0).sqrt(), "{both} of {}", m1.len());
}

fn number(count: usize) -> f64 {
    u32::try_from(count).unwrap().into()
}
