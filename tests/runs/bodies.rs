use std::collections::BTreeMap;
use std::fs;
use std::process::Command;

use shadowcap::record::Reader;

use crate::made::{self, Asked};
use crate::support::{RawServer, Script, Shadowcap};
use crate::{ends, none_came_twice, replay, resume, same_v2, starved, summary, target, targets};

/// What the tests keep in memory of a body, in bytes.
pub(crate) const KEPT: &str = "20000";

/// Bytes that repeat nowhere near.
pub(crate) fn filling(len: usize) -> Vec<u8> {
    (0..len).map(|n| b'a' + u8::try_from((n * n / 7 + n) % 26).unwrap()).collect()
}

/// A chunked body in chunks of odd sizes, with an extension and a trailer, and its entity.
fn chunked(len: usize) -> (Vec<u8>, Vec<u8>) {
    let entity = filling(len);
    let mut body = Vec::new();
    for (n, chunk) in entity.chunks(7919).enumerate() {
        let extension = if n == 1 { ";a=\"b\"" } else { "" };
        body.extend(format!("{:X}{extension}\r\n", chunk.len()).into_bytes());
        body.extend(chunk);
        body.extend(b"\r\n");
    }
    body.extend(b"0\r\nX-Trailer: t\r\n\r\n");
    (body, entity)
}

fn posted(port: u16, millis: u64, target: &str, framing: &str, body: &[u8]) -> Asked {
    let mut asked = Asked::new(port, millis, &format!("POST {target}"), framing);
    asked.request.extend(body);
    asked
}

pub(crate) fn of_length(port: u16, millis: u64, target: &str, len: usize) -> Asked {
    posted(port, millis, target, &format!("Content-Length: {len}\r\n"), &filling(len))
}

/// A small body, one of a length, a chunked one and a small one again on one connection, and one that is asked about
/// before it is sent.
fn captured() -> Vec<Asked> {
    let (body, _) = chunked(300_000);
    let expecting = "Content-Length: 50000\r\nExpect: 100-continue\r\n";
    vec![
        of_length(1, 0, "/small", 100),
        of_length(1, 10, "/long", 1_000_000),
        posted(1, 20, "/chunked", "Transfer-Encoding: chunked\r\n", &body),
        of_length(1, 30, "/after", 20_000),
        posted(2, 35, "/expected", expecting, &filling(50_000)),
    ]
}

/// The bytes that arrived behind each head, by target.
fn bodies(v2: &RawServer) -> BTreeMap<String, Vec<u8>> {
    let requests = v2.requests();
    let body = |bytes: &[u8]| bytes[bytes.windows(4).position(|w| w == b"\r\n\r\n").unwrap() + 4..].to_vec();
    requests.iter().map(|request| (target(&request.bytes), body(&request.bytes))).collect()
}

#[test]
fn a_body_that_is_too_large_for_memory_is_sent_as_it_was_captured() {
    let v2 = same_v2();
    let finished = replay(&v2.url(), &made::capture(&captured()), &["--max-body", KEPT]).run();
    ends(&finished, 0);
    for (target, body) in bodies(&v2) {
        let asked = captured().into_iter().find(|asked| self::target(&asked.request) == target).unwrap();
        assert!(
            asked.request.ends_with(&[b"\r\n\r\n", &body[..]].concat()),
            "{target}: {} bytes",
            body.len()
        );
    }
    assert_eq!(summary(finished.folder())["verdicts"]["match"], 5);
    // Recorded is a digest of it, and no file is left.
    let mut reader = Reader::open(&finished.folder().join("run/recording")).unwrap();
    let rows: Vec<_> = std::iter::from_fn(|| reader.next_row().unwrap()).collect();
    let of = |name: &str| {
        let row = rows.iter().find(|row| row.exchange.request.head.target() == name.as_bytes()).unwrap();
        let body = &row.exchange.request.body;
        (body.len, body.entity.is_some(), body.sha256.is_some())
    };
    assert_eq!((of("/long"), of("/chunked")), ((1_000_000, false, true), (300_000, false, true)));
    assert_eq!(of("/after"), (20_000, true, false));
    let known = ["csv", "html", "json", "md", "xml", "pcap", "zst"];
    let files = finished.files();
    assert!(
        files.iter().all(|file| known.iter().any(|end| file.extension().is_some_and(|e| e == *end))),
        "{files:?}"
    );
}

#[test]
fn the_second_client_sends_it_too_without_the_chunks() {
    let v2 = same_v2();
    let arguments = ["--max-body", KEPT, "--client", "reqwest"];
    let finished = replay(&v2.url(), &made::capture(&captured()), &arguments).run();
    ends(&finished, 0);
    let bodies = bodies(&v2);
    assert!(bodies["/long"] == filling(1_000_000) && bodies["/chunked"] == chunked(300_000).1);
    let head = |name: &str| {
        let request = v2.requests().into_iter().find(|request| target(&request.bytes) == name).unwrap();
        String::from_utf8_lossy(&request.bytes[..300]).to_ascii_lowercase()
    };
    assert!(head("/chunked").contains("content-length: 300000\r\n"), "{}", head("/chunked"));
    assert!(!head("/chunked").contains("transfer-encoding"), "{}", head("/chunked"));
}

#[test]
fn one_that_was_put_off_is_sent_when_the_run_is_resumed() {
    let v2 = starved::hanging_after(1);
    let running =
        replay(&v2.url(), &made::capture(&captured()), &["--max-body", KEPT, "--timeout", "60s"]).spawn();
    v2.wait_for_requests(3);
    running.interrupt();
    running.process.wait_for_stderr("Stopping");
    running.interrupt();
    let stopped = running.wait();
    ends(&stopped, 130);
    v2.answer_from_now_on();
    ends(&resume(&v2.url(), stopped.folder(), &["--max-body", KEPT]).run(), 0);
    none_came_twice(&v2);
    assert!(bodies(&v2)["/chunked"] == chunked(300_000).0);
    assert_eq!(summary(stopped.folder())["exchanges"]["replayed"], 5);
}

#[test]
fn without_room_on_the_disk_it_is_not_sent_and_named_and_sent_when_there_is_some() {
    let v2 = same_v2();
    let mut shell = Command::new("bash");
    shell.args(["-c", "trap '' XFSZ; ulimit -f 128; exec \"$0\" \"$@\""]);
    let arguments = ["replay", "a.pcap", "--to", &v2.url(), "--out", "run", "--max-body", KEPT];
    let program = Shadowcap::under(shell, arguments);
    fs::write(program.folder().join("a.pcap"), made::capture(&captured())).unwrap();
    let starved = program.run();
    ends(&starved, 3);
    starved.stdout_has("the disk had no room for these");
    let before = summary(starved.folder());
    assert_eq!(before["exchanges"]["skipped"], serde_json::json!({"no-room-for-body": 2}), "{before:#}");
    assert_eq!(targets(&v2).len(), 3);

    ends(&resume(&v2.url(), starved.folder(), &["--max-body", KEPT]).run(), 0);
    none_came_twice(&v2);
    assert!(bodies(&v2)["/long"] == filling(1_000_000));
    assert_eq!(summary(starved.folder())["exchanges"]["skipped"], serde_json::json!({}));
}

#[test]
fn one_that_the_capture_has_in_part_is_not_sent() {
    let v2 = same_v2();
    let asked = [of_length(1, 0, "/whole", 100), of_length(2, 5, "/cut", 1_000_000)];
    let mut capture = made::capture(&asked);
    capture.truncate(600_000);
    let finished = replay(&v2.url(), &capture, &["--max-body", KEPT]).run();
    assert_eq!(targets(&v2), ["/whole"], "{finished}");
    assert_eq!(
        summary(finished.folder())["exchanges"]["skipped"],
        serde_json::json!({"incomplete-request": 1})
    );
}

#[test]
fn a_dry_run_tells_of_it_without_writing_it_anywhere() {
    let program =
        Shadowcap::new(["replay", "a.pcap", "--to", "http://127.0.0.1:9", "--dry-run", "--max-body", KEPT]);
    fs::write(program.folder().join("a.pcap"), made::capture(&captured())).unwrap();
    let finished = program.run();
    ends(&finished, 0);
    finished.stdout_has("# and 1000000 bytes of its body").stderr_has("5 would be sent");
}

#[test]
fn v2_may_answer_before_it_has_read_it() {
    // It says 413 at once and closes, as servers do that refuse a body by its length.
    let v2 = RawServer::start(
        Script::new(|_| {
            crate::support::Reply::AnswerThenClose(
                b"HTTP/1.1 413 Too Large\r\nContent-Length: 0\r\nConnection: close\r\n\r\n".to_vec(),
            )
        })
        .framing(|bytes| bytes.windows(4).position(|w| w == b"\r\n\r\n").map(|at| at + 4)),
    );
    let finished =
        replay(&v2.url(), &made::capture(&[of_length(1, 0, "/long", 5_000_000)]), &["--max-body", KEPT])
            .run();
    ends(&finished, 1);
    assert_eq!(summary(finished.folder())["verdicts"]["different"], 1, "{finished}");
}
