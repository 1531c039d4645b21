use std::io::Write;
use std::time::{Duration, Instant};

use serde_json::Value;

use crate::made;
use crate::support::{Finished, RawServer, Reply, Script, refusing_address};
use crate::{ends, none_came_twice, reasons, refuses, replay, same_v2, summary, targets, with_file};

/// Replays four connections with two requests each.
fn replayed(url: &str, arguments: &[&str]) -> Finished {
    let program = replay(url, &[&["a.pcap"], arguments].concat());
    with_file(program, "a.pcap", &made::exchanges(4, 2).bytes).run()
}

#[test]
fn a_target_that_refuses_is_called_unreachable_and_proves_nothing() {
    let (refusing, _socket) = refusing_address();
    let finished = replayed(&format!("http://{refusing}"), &[]);
    ends(&finished, 3);
    let summary = summary(&finished);
    assert_eq!((&summary["verdict"], &summary["failures"]["connect"]), (&"inconclusive".into(), &8.into()));
    let unreachable = format!("cannot connect to {refusing}: Connection refused");
    for part in ["the target is unreachable", &unreachable] {
        assert!(reasons(&summary).contains(part), "{summary:#}");
        finished.stdout_has(part);
    }
}

/// Asserts that v2 failed all eight requests in this way, and got none of them twice.
#[track_caller]
fn all_fail(v2: &RawServer, finished: &Finished, failure: &str) -> Value {
    ends(finished, 1);
    let summary = summary(finished);
    assert_eq!((&summary["verdict"], &summary["verdicts"]["failed"]), (&"fail".into(), &8.into()));
    assert_eq!(summary["failures"][failure], 8, "{summary:#}");
    finished.stdout_has("v2 gave no whole answer to 8 of 8 requests");
    none_came_twice(v2);
    summary
}

#[test]
fn a_target_that_never_answers_fails_each_request_in_its_time() {
    let v2 = RawServer::start(Script::new(|_| Reply::hang()));
    let began = Instant::now();
    let finished = replayed(&v2.url(), &["--timeout", "300ms"]);
    assert!(began.elapsed() < Duration::from_secs(15), "{finished}");
    all_fail(&v2, &finished, "timeout");
    assert_eq!(v2.requests().len(), 8);
}

#[test]
fn what_is_no_answer_is_a_failure_with_its_name() {
    type Answering = fn() -> Reply;
    let cases: [(Answering, &str); 3] = [
        (Reply::garbage, "garbage"),
        (Reply::close_in_body, "closed-in-answer"),
        (Reply::close, "closed-before-answer"),
    ];
    for (reply, failure) in cases {
        let v2 = RawServer::start(Script::new(move |_| reply()));
        let finished = replayed(&v2.url(), &[]);
        all_fail(&v2, &finished, failure);
        assert_eq!(v2.requests().len(), 8, "{failure}");
    }
}

#[test]
fn a_target_that_closes_after_each_answer_gets_a_connection_for_each_request() {
    let v2 = RawServer::start(Script::new(|_| match made::answer() {
        // Announced: otherwise the next request may be on its way before the end of the connection is.
        Reply::Answer(bytes) => {
            let line = bytes.iter().position(|&b| b == b'\n').unwrap() + 1;
            Reply::AnswerThenClose([&bytes[..line], b"Connection: close\r\n", &bytes[line..]].concat())
        }
        other => other,
    }));
    let finished = replayed(&v2.url(), &[]);
    ends(&finished, 0);
    assert_eq!(summary(&finished)["verdicts"]["match"], 8);
    none_came_twice(&v2);
    assert_eq!((v2.requests().len(), v2.connections().len()), (8, 8));
}

#[test]
fn some_failures_among_answers_are_counted_apart() {
    let v2 = RawServer::start(Script::new(|request| {
        if request.bytes.starts_with(b"GET /2/") { Reply::close() } else { made::answer() }
    }));
    let finished = replayed(&v2.url(), &[]);
    ends(&finished, 1);
    let summary = summary(&finished);
    assert_eq!((&summary["verdicts"]["match"], &summary["verdicts"]["failed"]), (&6.into(), &2.into()));
    finished.stdout_has("v2 gave no whole answer to 2 of 8 requests");
}

#[test]
fn the_captured_server_is_not_asked_again_unless_it_is_allowed() {
    let v1 = same_v2();
    let bytes = made::exchanges_with(&v1.address().to_string(), 4, 2).bytes;
    let finished = with_file(replay(&v1.url(), &["a.pcap"]), "a.pcap", &bytes).run();
    refuses(&finished, 2, &["is a server of this capture", "GET /0/0", "--allow-captured-server"]);
    assert!(v1.connections().is_empty());
    assert_eq!(finished.files(), [std::path::Path::new("a.pcap")], "{finished}");

    let program = replay(&v1.url(), &["a.pcap", "--allow-captured-server"]);
    let finished = with_file(program, "a.pcap", &bytes).run();
    ends(&finished, 0);
    assert_eq!((summary(&finished)["exchanges"]["replayed"].as_u64(), v1.requests().len()), (Some(8), 8));
}

/// As from a tcpdump that goes on.
#[test]
fn a_captured_server_that_is_met_in_a_stream_is_refused_while_the_stream_goes_on() {
    let v1 = same_v2();
    let bytes = made::exchanges_with(&v1.address().to_string(), 4, 2).bytes;
    let (reader, mut writer) = std::io::pipe().unwrap();
    writer.write_all(&bytes).unwrap();
    let program = crate::support::Shadowcap::new(["replay", "-", "--to", &v1.url()]);
    let finished = program.stdin_from(reader).run();
    refuses(&finished, 2, &["is a server of this capture"]);
    assert!(v1.connections().is_empty());
    drop(writer);
}

#[test]
fn a_refused_target_leaves_no_folder_that_was_not_there() {
    let v1 = same_v2();
    let bytes = made::exchanges_with(&v1.address().to_string(), 1, 1).bytes;
    let program = crate::support::Shadowcap::new(["replay", "a.pcap", "--to", &v1.url()]);
    let finished = with_file(program, "a.pcap", &bytes).run();
    refuses(&finished, 2, &["is a server of this capture"]);
    assert!(!finished.folder().join("reports").exists(), "{finished}");

    let program = with_file(replay(&v1.url(), &["a.pcap"]), "a.pcap", &bytes);
    let program = with_file(program, "run/mine.txt", b"kept");
    let finished = program.run();
    ends(&finished, 2);
    assert_eq!(finished.file("run/mine.txt"), "kept");
    assert_eq!(finished.files().len(), 2, "{finished}");
}

#[test]
fn what_was_sent_before_the_target_was_met_in_the_capture_stays_recorded() {
    // Ten connections to another server, which are sent; then one to the target itself.
    let v2 = same_v2();
    let other = made::exchanges_with("192.0.2.80:80", 10, 300).bytes;
    let own = made::exchanges_with(&v2.address().to_string(), 11, 1);
    let last = &own.bytes[own.packets[10 * made::packets_of_connection(1)]..];
    let bytes = [&other, last].concat();
    let finished = with_file(replay(&v2.url(), &["a.pcap"]), "a.pcap", &bytes).run();
    ends(&finished, 2);
    finished.stderr_has("is a server of this capture");
    let sent = targets(&v2).len();
    if sent == 0 {
        assert!(!finished.folder().join("run").exists(), "{finished}");
    } else {
        finished.stderr_has("had been sent before").stderr_has("run");
        assert!(finished.folder().join("run/recording").exists(), "{finished}");
    }
}
