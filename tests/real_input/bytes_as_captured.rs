//! Byte fidelity from end to end: awkward requests in a capture, and what of them arrives at v2.

use std::collections::BTreeMap;
use std::fs::File;
use std::io::BufWriter;
use std::net::SocketAddr;
use std::path::Path;

use shadowcap::capture::PcapWriter;
use shadowcap::capture::synth::Conversation;
use shadowcap::packet::LinkType;
use shadowcap::time::Timestamp;

use crate::awkward_requests::{Awkward, awkward_requests};
use crate::run::Run;
use crate::support::{RawServer, Reply, Script};

const OK: &[u8] = b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok";

/// What a capture holds of one connection: what the client sent, and what the server.
struct Talk<'t> {
    request: &'t [u8],
    answer: &'t [u8],
}

/// A capture of these connections, one after the other.
fn write_capture(file: &Path, talks: &[Talk<'_>]) {
    let sink = BufWriter::new(File::create(file).unwrap());
    let mut writer = PcapWriter::new(sink, LinkType::ETHERNET).unwrap();
    let mut at = Timestamp::from_parts(1_700_000_000, 0);
    for (port, talk) in (20_000..).zip(talks) {
        let client = SocketAddr::from(([192, 0, 2, 1], port));
        let mut conversation = Conversation::new(client, SocketAddr::from(([192, 0, 2, 2], 80)), at);
        conversation.open();
        conversation.client_sends(talk.request);
        conversation.server_sends(talk.answer);
        conversation.close();
        at = conversation.now();
        for (number, frame) in (0..).zip(conversation.take_frames()) {
            writer.write(&frame.packet(number)).unwrap();
        }
    }
    writer.finish().unwrap();
}

/// Answers whatever is complete by the table; what arrives otherwise is never answered, and shows in the record.
fn server_for(rows: &[Awkward]) -> RawServer {
    let expected: Vec<Vec<u8>> = rows.iter().map(|row| row.expected.clone()).collect();
    let framing = move |bytes: &[u8]| expected.iter().find(|row| bytes.starts_with(row)).map(Vec::len);
    RawServer::start(Script::new(|_| Reply::Answer(OK.to_vec())).framing(framing))
}

/// The beginnings of what did not come as it should.
fn beginnings<'b>(all: impl IntoIterator<Item = &'b Vec<u8>>) -> String {
    let line = |bytes: &Vec<u8>| {
        format!("{} bytes: {}\n", bytes.len(), bytes[..bytes.len().min(300)].escape_ascii())
    };
    all.into_iter().map(line).collect()
}

#[test]
fn awkward_requests_out_of_a_capture_arrive_with_only_the_host_changed() {
    let rows = awkward_requests();
    assert!(rows.len() >= 50, "{}", rows.len());
    let folder = tempfile::TempDir::new().unwrap();
    let capture = folder.path().join("awkward.pcap");
    let talks: Vec<_> = rows.iter().map(|row| Talk { request: &row.captured, answer: OK }).collect();
    write_capture(&capture, &talks);
    let server = server_for(&rows);
    let run = Run::replay(&capture, &server.url(), &["--timeout", "10s"]);

    let mut arrived: BTreeMap<Vec<u8>, usize> = BTreeMap::new();
    for connection in server.connections() {
        *arrived.entry(connection.bytes).or_default() += 1;
    }
    let mut missing = Vec::new();
    for row in &rows {
        match arrived.get_mut(&row.expected) {
            Some(count) if *count > 0 => *count -= 1,
            _ => missing.push(row),
        }
    }
    arrived.retain(|_, count| *count > 0);
    let names: Vec<_> = missing.iter().map(|row| row.name).collect();
    assert!(
        missing.is_empty() && arrived.is_empty(),
        "not as expected: {names:?}\nexpected\n{}arrived\n{}{}",
        beginnings(missing.iter().map(|row| &row.expected)),
        beginnings(arrived.keys()),
        run.finished
    );
    assert_eq!(run.replayed(), rows.len() as u64, "{}", run.finished);
    assert_eq!(run.summary["verdicts"]["match"], rows.len(), "{}", run.finished);
    run.finished.exits(0);
}

#[test]
fn what_cannot_be_sent_again_is_skipped_with_its_reason() {
    let cases: [(&str, &[u8], &[u8]); 5] = [
        ("connect-method", b"CONNECT a:443 HTTP/1.1\r\nHost: a:443\r\n\r\n", b"HTTP/1.1 200 OK\r\n\r\n"),
        (
            "upgrade",
            b"GET /ws HTTP/1.1\r\nHost: a\r\nConnection: Upgrade\r\nUpgrade: websocket\r\n\r\n",
            b"HTTP/1.1 101 Switching Protocols\r\nConnection: Upgrade\r\nUpgrade: websocket\r\n\r\n\x81\x00",
        ),
        ("already-shadow", b"GET / HTTP/1.1\r\nHost: a-shadow:8000\r\n\r\n", OK),
        (
            "incomplete-request",
            b"POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 9\r\n\r\nabc",
            b"HTTP/1.1 400 Bad Request\r\nContent-Length: 0\r\n\r\n",
        ),
        ("http-0.9", b"GET /old\r\n\r\n", b"<p>an answer without a head"),
    ];
    let folder = tempfile::TempDir::new().unwrap();
    let capture = folder.path().join("unsendable.pcap");
    let talks: Vec<_> = cases.iter().map(|(_, request, answer)| Talk { request, answer }).collect();
    write_capture(&capture, &talks);
    let server = RawServer::answering(OK);
    let run = Run::replay(&capture, &server.url(), &["--max-body", "10"]);
    for (reason, request, _) in cases {
        assert_eq!(run.skipped(reason), 1, "{reason} of {}\n{}", request.escape_ascii(), run.finished);
    }
    assert_eq!(run.replayed(), 0);
    assert!(server.connections().is_empty(), "nothing may be sent");
    // Nothing was compared, so nothing was judged.
    run.finished.exits(3);
}
