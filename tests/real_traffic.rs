//! Real servers, real clients, a real tcpdump between them: what is read is what the server logged.

#![cfg(feature = "cli")]
#![allow(clippy::unwrap_used, clippy::panic, reason = "a test says what broke by panicking")]

#[macro_use]
mod support;
#[path = "real_traffic/loss.rs"]
mod loss;

use std::collections::BTreeMap;
use std::fs;
use std::net::SocketAddr;
use std::path::{Path, PathBuf};

use serde_json::Value;
use shadowcap::capture::{CaptureSet, Input, PacketSource, PcapWriter};
use shadowcap::packet::{LinkType, Packet};
use shadowcap::time::Timestamp;
use support::{AccessLine, Nginx, Shadowcap, Skip, Tcpdump, Veth, require_tool};
use tempfile::TempDir;

/// A server of small answers, of a file that takes hundreds of packets, and of errors; it closes each
/// connection after fifty requests.
const SITE: &str = "server { listen {listen}; keepalive_requests 50; root html; \
    location /small { return 200 'an answer to $request_uri'; } location /none { return 204; } }";

/// wrk asks for another target each time, so that no request can stand for another.
const SCRIPT: &str = "local n = 0\nfunction request() n = n + 1\n \
    local path = n % 20 == 0 and '/big.bin' or n % 7 == 0 and '/none' or n % 5 == 0 and '/missing' or '/small'\n \
    return wrk.format('GET', path .. '?n=' .. n) end\n";

/// What is compared: method, target, status, bytes of the answer's body.
type Fact = (String, String, u64, u64);

struct Traffic {
    folder: TempDir,
    log: Vec<AccessLine>,
}

impl Traffic {
    fn capture(&self) -> PathBuf {
        self.folder.path().join("traffic.pcap")
    }

    /// wrk and curl against nginx over a cable with this MTU, until a capture has dropped nothing.
    fn record(mtu: u16) -> Result<Self, Skip> {
        require_tool("wrk", "-v")?;
        require_tool("curl", "--version")?;
        for _ in 0..5 {
            let cable = Veth::new()?;
            for end in [&cable.a, &cable.b] {
                end.ip(&["link", "set", Veth::INTERFACE, "mtu", &mtu.to_string()]);
            }
            let folder = TempDir::new().unwrap();
            let nginx = Nginx::start_in(&cable.a, SocketAddr::new(Veth::ADDRESS_A, 8080), SITE)?;
            fs::create_dir(nginx.folder().join("html")).unwrap();
            let big: Vec<u8> = (0..300_000u32).map(|n| n.to_le_bytes()[usize::from(n % 3 == 0)]).collect();
            fs::write(nginx.folder().join("html/big.bin"), big).unwrap();
            let traffic = Self { folder, log: Vec::new() };
            let tcpdump = Tcpdump::start_in(&cable.b, Veth::INTERFACE, "tcp port 8080", &traffic.capture())?;
            let asked = traffic.ask(&cable, &nginx.url());
            let log = nginx.wait_for_requests(asked);
            if tcpdump.stop().dropped == 0 {
                return Ok(Self { log, ..traffic });
            }
        }
        panic!("the kernel dropped packets in each of five attempts");
    }

    /// Returns how many requests were surely answered.
    fn ask(&self, cable: &Veth, url: &str) -> usize {
        let script = self.folder.path().join("targets.lua");
        fs::write(&script, SCRIPT).unwrap();
        let mut wrk = cable.b.command("wrk");
        wrk.args(["-t", "1", "-c", "6", "-d", "1s", "-s"]).arg(&script).arg(url);
        let said = String::from_utf8(wrk.output().unwrap().stdout).unwrap();
        let answered = said.split(" requests in").next().and_then(|text| text.rsplit(' ').next());
        let answered: usize = answered.unwrap().parse().unwrap();
        let mut curl = cable.b.command("curl");
        curl.args(["-sS", "--data-binary", "x=1"]).stdout(std::process::Stdio::null());
        curl.args((0..8).map(|n| format!("{url}/small?posted={n}")));
        assert!(curl.status().unwrap().success());
        // wrk waits for the body that an answer to HEAD announces.
        let mut curl = cable.b.command("curl");
        curl.args(["-sS", "--head"])
            .stdout(std::process::Stdio::null())
            .args((0..4).map(|n| format!("{url}/big.bin?head={n}")));
        assert!(curl.status().unwrap().success());
        answered + 12
    }
}

fn inspect(capture: &Path) -> Vec<Value> {
    let shown = Shadowcap::new(["inspect", "--format", "jsonl"]).arg(capture).run();
    shown.exits(0);
    shown.json_lines()
}

fn fact(exchange: &Value) -> Fact {
    let text = |name: &str| exchange[name].as_str().unwrap().to_owned();
    let number = |name: &str| exchange[name].as_u64().unwrap_or_default();
    (text("method"), text("target"), number("status"), number("response_body_bytes"))
}

fn is_whole(exchange: &Value) -> bool {
    exchange["request_complete"] == true && exchange["response_complete"] == true
}

/// The exchanges of each client port, in their order, and whether all of each was there.
fn by_port(exchanges: &[Value]) -> BTreeMap<u16, Vec<(Fact, bool)>> {
    let mut ports = BTreeMap::<u16, Vec<_>>::new();
    for exchange in exchanges {
        let client: SocketAddr = exchange["client"].as_str().unwrap().parse().unwrap();
        ports.entry(client.port()).or_default().push((fact(exchange), is_whole(exchange)));
    }
    ports
}

/// Reads a capture, hands its packets through `rewrite`, and writes them with the times of the original.
fn rewritten(capture: &Path, name: &str, rewrite: impl FnOnce(Vec<Vec<u8>>) -> Vec<Vec<u8>>) -> PathBuf {
    let mut set = CaptureSet::open(&[Input::parse(capture)]).unwrap();
    let (mut times, mut packets) = (Vec::new(), Vec::new());
    while let Some(packet) = set.next_packet().unwrap() {
        times.push(packet.at);
        packets.push(packet.data.to_vec());
    }
    let out = capture.with_file_name(name);
    let file = std::io::BufWriter::new(fs::File::create(&out).unwrap());
    let mut writer = PcapWriter::new(file, LinkType::ETHERNET).unwrap();
    let last = *times.last().unwrap();
    let times = times.into_iter().chain(std::iter::repeat(last));
    for (number, (at, data)) in (1..).zip(times.zip(rewrite(packets))) {
        let original_len = u32::try_from(data.len()).unwrap();
        writer.write(&packet(at, number, original_len, &data)).unwrap();
    }
    writer.finish().unwrap();
    out
}

fn packet(at: Timestamp, number: u64, original_len: u32, data: &[u8]) -> Packet<'_> {
    Packet { at, link: LinkType::ETHERNET, number, interface: 0, original_len, data }
}

/// The next of a sequence of numbers that looks random and is always the same (a linear congruential
/// generator with Knuth's constants for MMIX).
fn next(state: &mut u64) -> u64 {
    *state = state.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
    *state >> 33
}

/// What nginx logged of each client port, in the order of the requests.
fn logged(traffic: &Traffic) -> BTreeMap<u16, Vec<Fact>> {
    let mut logged = BTreeMap::<u16, Vec<Fact>>::new();
    for line in &traffic.log {
        let fact = (line.method().to_owned(), line.target().to_owned(), u64::from(line.status), line.length);
        logged.entry(line.client_port.unwrap()).or_default().push(fact);
    }
    logged
}

fn every_logged_request_is_read_and_none_is_invented(mtu: u16) {
    let traffic = or_skip!(Traffic::record(mtu));
    let (read, logged) = (by_port(&inspect(&traffic.capture())), logged(&traffic));
    assert!(logged.values().map(Vec::len).sum::<usize>() > 100, "there was hardly any traffic");
    for (port, logged) in &logged {
        let read = read.get(port).unwrap_or_else(|| panic!("nothing was read of port {port}"));
        assert!(read.len() >= logged.len(), "port {port}: {} read, {} logged", read.len(), logged.len());
        for (nth, (logged, (said, whole))) in logged.iter().zip(read).enumerate() {
            assert_eq!((&said.0, &said.1), (&logged.0, &logged.1), "port {port}, request {nth}");
            // wrk hangs up in the middle: of that answer the server may have logged more than passed the cable.
            let cut = !whole && nth + 1 == read.len();
            assert!(
                cut || (*whole && said == logged),
                "port {port}, request {nth}: {said:?}, not {logged:?}"
            );
        }
    }
    for (port, read) in &read {
        let known = logged.get(port).map_or(0, Vec::len);
        // A request that nobody logged is one that wrk hung up on: the last, and without an answer.
        let unlogged = &read[known.min(read.len())..];
        assert!(unlogged.len() <= 1, "port {port}: invented: {unlogged:?}");
        assert!(unlogged.iter().all(|(_, whole)| !whole), "port {port}: not logged: {unlogged:?}");
    }
}

#[test]
fn every_request_that_nginx_logged_is_read_and_none_is_invented() {
    every_logged_request_is_read_and_none_is_invented(1500);
}

#[test]
fn the_same_with_packets_of_576_bytes() {
    every_logged_request_is_read_and_none_is_invented(576);
}

#[test]
fn packets_out_of_order_and_twice_change_nothing() {
    let traffic = or_skip!(Traffic::record(1500));
    let whole = by_port(&inspect(&traffic.capture()));
    let reordered = rewritten(&traffic.capture(), "reordered.pcap", |packets| {
        let mut state = 2;
        let mut out: Vec<Vec<u8>> = Vec::new();
        for packet in packets {
            let back = usize::try_from(next(&mut state) % 40).unwrap();
            let place = if back < 4 { out.len().saturating_sub(back) } else { out.len() };
            if back == 5 {
                out.push(packet.clone());
            }
            out.insert(place, packet);
        }
        out
    });
    assert_eq!(by_port(&inspect(&reordered)), whole);
}
