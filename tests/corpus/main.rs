//! Reading against the truth: other projects' captures, where they lie beside the checkout, and our own.

#![cfg(feature = "cli")]
#![allow(clippy::unwrap_used, clippy::panic, reason = "a test says what broke by panicking")]

#[macro_use]
#[path = "../support/mod.rs"]
mod support;
mod truth;

use std::collections::BTreeMap;
use std::path::Path;

use shadowcap::capture::{CaptureSet, Input};
use shadowcap::exchange::{Exchange, Protocol};
use shadowcap::http::{BodyKeep, Options};
use shadowcap::pipeline::{Account, Reading, ReadingOptions};
use support::{access_log, captures};
use truth::{Capture, differences};

/// Reads a capture to its end, and checks that every packet and byte of it is accounted for.
fn read(path: &Path) -> (Vec<Exchange>, Account) {
    let source = CaptureSet::open(&[Input::Path(path.to_owned())]).unwrap();
    let bodies = Options { keep: BodyKeep::Nothing, hash: true };
    let options = ReadingOptions { bodies, ..ReadingOptions::default() };
    let mut exchanges = Vec::new();
    let mut reading = Reading::new(source, options, |exchange| exchanges.push(exchange));
    while reading.step().unwrap() {}
    reading.finish();
    let account = reading.account();
    drop(reading);
    assert_eq!(account.imbalances(), Vec::<String>::new(), "{}", path.display());
    (exchanges, account)
}

#[test]
fn other_projects_captures_are_read_as_independent_decoders_agree() {
    let corpus = or_skip!(captures::corpus());
    let mut classes = BTreeMap::<String, (usize, Vec<String>)>::new();
    for capture in truth::load(&corpus.join("truth.json")) {
        let path = corpus.join("captures").join(&capture.repo).join(&capture.path);
        let (exchanges, account) = read(&path);
        let (count, wrong) = classes.entry(capture.class.clone()).or_default();
        *count += 1;
        if capture.class == "HTTP2" {
            assert!(account.exchanges.of(Protocol::Http2).connections > 0, "{}", capture.path);
        }
        let found = differences(&capture.exchanges, &exchanges);
        wrong.extend(found.first().map(|first| format!("{}: {first}", capture.path)));
    }
    assert!(classes.len() >= 4, "the truth has other classes: {:?}", classes.keys());
    for (class, (count, wrong)) in classes {
        println!("{class}: {} of {count} exactly right", count - wrong.len());
        assert!(wrong.is_empty(), "{class}: {} of {count} are wrong\n{}", wrong.len(), wrong.join("\n"));
    }
}

/// The bytes that `inspect` prints, by what they are, are those that the streams delivered and lost; its packets are
/// those of the classes. Gives what it is true of.
fn assert_printed_account_balances(capture: &Path) -> serde_json::Value {
    let inspect = std::process::Command::new(env!("CARGO_BIN_EXE_shadowcap"))
        .args(["inspect", "--quiet", "--format", "json"])
        .arg(capture)
        .output()
        .unwrap();
    let document: serde_json::Value = serde_json::from_slice(&inspect.stdout).unwrap_or_else(|e| {
        panic!("{}: {e}: {}", capture.display(), String::from_utf8_lossy(&inspect.stderr))
    });
    let sum = |counts: &serde_json::Value, which: &dyn Fn(&str) -> bool| -> u64 {
        let counts = counts.as_object().unwrap().iter().filter(|(name, _)| which(name));
        counts.map(|(_, n)| n.as_u64().unwrap()).sum()
    };
    let all = |_: &str| true;
    let streams = |name: &str| document["streams"][name].as_u64().unwrap();
    let bytes =
        sum(&document["http"], &|name| name.ends_with("_bytes")) + sum(&document["other_bytes"], &all);
    assert_eq!(bytes, streams("delivered") + streams("lost"), "{}: {document:#}", capture.display());
    let payload = sum(&document["streams"], &|name| !["payload", "lost", "conflicting"].contains(&name));
    assert_eq!(payload, streams("payload"), "{}: {document:#}", capture.display());
    assert_eq!(sum(&document["packets"], &all), document["capture"]["packets"], "{}", capture.display());
    document
}

#[test]
fn what_is_printed_of_other_projects_captures_adds_up() {
    let corpus = or_skip!(captures::corpus());
    let mut others = 0;
    for capture in truth::load(&corpus.join("truth.json")) {
        let path = corpus.join("captures").join(&capture.repo).join(&capture.path);
        let document = assert_printed_account_balances(&path);
        others += usize::from(!document["other_bytes"].as_object().unwrap().is_empty());
    }
    assert!(others > 0, "all of it was HTTP/1");
}

#[test]
fn packets_of_other_ports_are_filtered_and_counted_as_such() {
    let capture = captures::bundled("httpbin-v1.pcap");
    let document = |more: &[&str]| -> serde_json::Value {
        let inspect = std::process::Command::new(env!("CARGO_BIN_EXE_shadowcap"))
            .args(["inspect", "--quiet", "--format", "json"])
            .args(more)
            .arg(&capture)
            .output()
            .unwrap();
        serde_json::from_slice(&inspect.stdout).unwrap()
    };
    let whole = document(&[]);
    let (packets, used) = (&whole["capture"]["packets"], &whole["packets"]["used"]);
    let none = document(&["--port", "1"]);
    assert_eq!((&none["packets"]["filtered"], &none["http"]["exchanges"]), (used, &0.into()), "{none:#}");
    assert_eq!(&none["capture"]["packets"], packets);
    // The port of the server, as tcpdump's language has it too: the same exchanges.
    let port = (1..=u16::MAX).find(|port| whole_of(&whole, *port)).expect("a port of the server").to_string();
    let some = document(&["--port", &port]);
    assert_eq!(some["http"], whole["http"]);
    let filter = document(&["--bpf", &format!("tcp port {port}")]);
    assert_eq!(filter["http"], whole["http"]);
    assert_eq!(filter["imbalances"], serde_json::json!([]));
}

/// Whether the server of the first exchange has this port.
fn whole_of(document: &serde_json::Value, port: u16) -> bool {
    let server = document["exchanges"][0]["server"].as_str().unwrap_or_default();
    server.ends_with(&format!(":{port}"))
}

#[test]
fn our_captures_have_the_requests_that_the_servers_logged() {
    for (capture, logs) in [
        ("httpbin-v1.pcap", &["httpbin-v1.access.log"][..]),
        ("envoy-mirror.pcap", &["envoy-mirror.v1.access.log", "envoy-mirror.v2.access.log"]),
    ] {
        let (exchanges, account) = read(&captures::bundled(capture));
        let mut read: Vec<_> = exchanges.iter().map(line).collect();
        let logs = logs.iter().flat_map(|log| access_log::read(&captures::bundled(log)));
        let mut logged: Vec<_> = logs.map(|line| format!("{} {}", line.request, line.status)).collect();
        read.sort();
        logged.sort();
        assert_eq!(read, logged, "{capture}");
        assert_eq!((account.exchanges.unanswered, account.exchanges.orphans), (0, 0), "{capture}");
    }
}

/// An exchange as a server logs it: the request line and the status.
fn line(exchange: &Exchange) -> String {
    let head = &exchange.request.head;
    let (method, target) = (String::from_utf8_lossy(head.method()), String::from_utf8_lossy(head.target()));
    let status = exchange.response.as_ref().map_or(0, |response| response.head.status);
    format!("{method} {target} {} {status}", head.version)
}

#[test]
fn all_of_our_captures_are_accounted_for() {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("captures");
    let files = std::fs::read_dir(folder).unwrap().map(|entry| entry.unwrap().path());
    let captures: Vec<_> = files.filter(|path| path.extension().is_some_and(|e| e == "pcap")).collect();
    assert!(captures.len() >= 4);
    for capture in captures {
        assert!(!read(&capture).0.is_empty(), "{}", capture.display());
    }
}

/// The exchange of a request and its answer, on one connection.
fn exchange(request: &str, response: &str) -> Vec<Exchange> {
    use shadowcap::capture::PcapWriter;
    use shadowcap::capture::synth::Conversation;
    let start = shadowcap::time::Timestamp::from_parts(1_700_000_000, 0);
    let ends = ("192.0.2.1:40000".parse().unwrap(), "192.0.2.2:80".parse().unwrap());
    let mut talk = Conversation::new(ends.0, ends.1, start);
    talk.open();
    talk.client_sends(request.as_bytes());
    talk.server_sends(response.as_bytes());
    talk.close();
    let mut file = tempfile::NamedTempFile::new().unwrap();
    let mut writer = PcapWriter::new(&mut file, shadowcap::packet::LinkType::ETHERNET).unwrap();
    for (frame, number) in talk.take_frames().iter().zip(1..) {
        writer.write(&frame.packet(number)).unwrap();
    }
    writer.finish().unwrap();
    read(file.path()).0
}

#[test]
fn the_comparison_finds_what_is_wrong() {
    // The digest of `hi` is that of sha256sum.
    let right = r#"{"method": "GET", "target": "/a", "status": 200, "req_len": 0, "rsp_len": 2,
                    "rsp_sha": "8f434346648f6b96"}"#;
    let read =
        exchange("GET /a HTTP/1.1\r\nHost: x\r\n\r\n", "HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nhi");
    let found = |truth: &str| differences(&Capture::parse(truth), &read).len();
    assert_eq!(found(&format!("[{right}]")), 0);
    assert_eq!(found("[]"), 1, "an exchange too many");
    assert_eq!(found(&format!("[{right}, {right}]")), 1, "one too few");
    for (from, to) in
        [("GET", "PUT"), ("/a", "/b"), ("200", "404"), ("\"rsp_len\": 2", "\"rsp_len\": 3"), ("8f", "9f")]
    {
        assert!(found(&format!("[{}]", right.replace(from, to))) > 0, "{to}");
    }
    let lenient = right.replace("200", "\"?\"").replace('}', ", \"opt\": \"orphan\"}");
    assert_eq!(found(&format!("[{right}, {lenient}]")), 0, "what may be there need not");
    assert_eq!(found(&format!("[{lenient}]")), 0);
}
