use std::process::Command;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use crate::made::{self, Asked};
use crate::support::{RawServer, Reply, Script, Welcome, get, refusing_address, require_tool, venv};
use crate::{Shadowcap, ends, none_came_twice, replay, resume, same_v2, summary, targets};

#[test]
fn a_dry_run_prints_what_would_be_sent_and_sends_and_writes_nothing() {
    let v2 = same_v2();
    let capture = made::capture(&[
        Asked::new(1, 0, "GET /a", "Authorization: Bearer secret-of-a\r\nX-Odd:  b \r\n"),
        Asked::new(1, 1500, "POST /b", "Content-Length: 11\r\n\r\n{\"id\":\"é\"}"),
        Asked::new(2, 1700, "DELETE /c", ""),
    ]);
    let dry = |arguments: &[&str]| {
        let program = Shadowcap::new([&["replay", "a.pcap", "--to", &v2.url()], arguments].concat());
        std::fs::write(program.folder().join("a.pcap"), &capture).unwrap();
        let finished = program.run();
        ends(&finished, 0);
        assert_eq!(finished.files(), [std::path::PathBuf::from("a.pcap")], "{finished}");
        finished
    };
    let text = dry(&["--dry-run", "--speed", "1"]);
    for part in ["due after 1.500 s", "GET /a HTTP/1.1", "Host: shop-shadow:8000", "X-Odd:  b ", "redacted:"]
    {
        text.stdout_has(part);
    }
    text.stderr_has("3 would be sent, 2 of them with a method that may change state; not sent: none");
    assert!(!text.stdout.contains("secret-of-a"), "{text}");
    assert!(dry(&["--dry-run", "--no-redact"]).stdout.contains("Bearer secret-of-a"));

    let lines = dry(&["--dry-run=jsonl", "--methods", "POST", "--speed", "2"]);
    let lines = lines.json_lines();
    let skipped: Vec<_> = lines.iter().map(|line| line["skipped"].as_str()).collect();
    assert_eq!(skipped, [Some("method"), None, Some("method")]);
    assert_eq!((&lines[1]["due_ms"], &lines[1]["body"]), (&0.0.into(), &"{\"id\":\"é\"}".into()));
    assert!(lines[1]["head"].as_str().unwrap().starts_with("POST /b HTTP/1.1\r\nHost: shop-shadow:8000\r\n"));
    assert!(v2.connections().is_empty());
}

#[test]
fn a_dry_run_whose_reader_has_seen_enough_ends() {
    let mut shell = Command::new("bash");
    shell.args(["-c", "set -o pipefail; \"$0\" \"$@\" | head -n 1"]);
    let arguments = ["replay", "a.pcap", "--to", "http://127.0.0.1:9", "--dry-run=jsonl", "--quiet"];
    let program = Shadowcap::under(shell, arguments);
    std::fs::write(program.folder().join("a.pcap"), made::exchanges(10, 1000)).unwrap();
    let finished = program.run();
    assert_eq!((finished.stdout.lines().count(), finished.stderr.as_str()), (1, ""), "{finished}");
}

#[test]
fn after_failures_to_connect_in_a_row_the_rest_is_counted_as_not_sent() {
    let (address, _kept) = refusing_address();
    let capture = made::exchanges(5, 20);
    let finished =
        replay(&format!("http://{address}"), &capture, &["--abort-after", "7", "--concurrency", "1"]).run();
    ends(&finished, 3);
    finished.stderr_has("gave up after the target could not be reached 7 times in a row");
    finished.stderr_has("--resume run");
    let summary = summary(finished.folder());
    assert_eq!(summary["exchanges"]["skipped"]["target-gone"], 93, "{summary:#}");
    assert_eq!(summary["failures"]["connect"], 7, "{summary:#}");
    assert!(summary["reasons"][0].as_str().unwrap().contains("gave up"), "{summary:#}");

    // An hour's schedule does not keep it.
    let later = made::capture(&[Asked::new(1, 0, "GET /a", ""), Asked::new(2, 3_600_000, "GET /b", "")]);
    let paced = replay(&format!("http://{address}"), &later, &["--abort-after", "1", "--speed", "1"]).run();
    ends(&paced, 3);
    assert_eq!(self::summary(paced.folder())["exchanges"]["skipped"]["target-gone"], 1);
}

#[test]
fn a_target_that_ends_each_handshake_of_tls_cannot_be_reached() {
    let v2 = RawServer::start(Script::new(|_| made::answer()).welcome(|_| Welcome::Close));
    let arguments = ["--insecure", "--abort-after", "7", "--concurrency", "1"];
    let finished = replay(&format!("https://{}", v2.address()), &made::exchanges(5, 20), &arguments).run();
    ends(&finished, 3);
    finished.stderr_has("gave up after the target could not be reached 7 times in a row: no TLS session");
    let summary = summary(finished.folder());
    assert_eq!(summary["exchanges"]["skipped"]["target-gone"], 93, "{summary:#}");
    assert_eq!(summary["failures"]["tls"], 7, "{summary:#}");
}

#[test]
fn what_cannot_be_gone_on_with_is_not_said_to_be() {
    let (address, _kept) = refusing_address();
    let url = format!("http://{address}");
    for arguments in [["--record", "none"], ["--loop", "60s"]] {
        let finished =
            replay(&url, &made::exchanges(1, 10), &[&["--abort-after", "2"], &arguments[..]].concat()).run();
        ends(&finished, 3);
        finished.stderr_has("gave up");
        assert!(!finished.stderr.contains("--resume"), "{finished}");
    }
    let v2 = crate::starved::hanging_after(3);
    let running = replay(&v2.url(), &made::exchanges(1, 10), &["--loop", "60s", "--timeout", "60s"]).spawn();
    v2.wait_for_requests(4);
    running.interrupt();
    running.process.wait_for_stderr("Stopping");
    running.interrupt();
    let stopped = running.wait();
    ends(&stopped, 130);
    assert!(!stopped.stderr.contains("--resume"), "{stopped}");
}

#[test]
fn a_run_that_gave_up_goes_on_when_the_target_is_back() {
    let (address, socket) = refusing_address();
    let url = format!("http://{address}");
    let finished = replay(&url, &made::exchanges(1, 10), &["--abort-after", "2"]).run();
    ends(&finished, 3);
    socket.listen(16).unwrap();
    let v2 = RawServer::on(socket.into(), Script::new(|_| made::answer()));
    let again = resume(&url, finished.folder(), &[]).run();
    ends(&again, 1);
    none_came_twice(&v2);
    let summary = summary(finished.folder());
    // The two that failed have their outcome; the others were put off.
    assert_eq!((&summary["verdicts"]["match"], &summary["failures"]["connect"]), (&8.into(), &2.into()));
    assert_eq!(summary["exchanges"]["skipped"], serde_json::json!({}), "{summary:#}");
}

#[test]
fn a_target_that_is_not_ready_in_time_gets_nothing() {
    let (address, _kept) = refusing_address();
    let url = format!("http://{address}");
    let finished = replay(&url, &made::exchanges(1, 3), &["--wait-ready", "500ms"]).run();
    ends(&finished, 3);
    finished.stderr_has("was not ready within 500ms, so nothing was sent").stderr_has("refused");
    assert!(!finished.folder().join("run").exists(), "{finished}");
}

#[test]
fn a_target_is_waited_for_until_it_answers_the_probe() {
    let probes = Arc::new(AtomicUsize::new(0));
    let seen = Arc::clone(&probes);
    let v2 = RawServer::start(Script::new(move |request| {
        if !request.bytes.starts_with(b"GET /health HTTP/1.1\r\n") {
            return made::answer();
        }
        if seen.fetch_add(1, Ordering::Relaxed) < 3 {
            Reply::status(503, "starting")
        } else {
            Reply::ok("up")
        }
    }));
    let arguments = ["--wait-ready", "30s", "--ready-path", "/health"];
    let finished = replay(&v2.url(), &made::exchanges(1, 3), &arguments).run();
    ends(&finished, 0);
    assert_eq!(probes.load(Ordering::Relaxed), 4);
    assert_eq!(targets(&v2)[4..], ["/0/0", "/0/1", "/0/2"]);
    assert_eq!(summary(finished.folder())["exchanges"]["captured"], 3, "the probes are no rows");
}

/// What the parser of Prometheus' own client library makes of the text: names of samples with their values.
const PARSE: &str = "
import json, sys
from prometheus_client.parser import text_string_to_metric_families
samples = {}
for family in text_string_to_metric_families(sys.stdin.read()):
    assert family.documentation and family.type in ('counter', 'gauge', 'histogram'), family
    for sample in family.samples:
        samples[sample.name + sample.labels.get('le', '')] = sample.value
print(json.dumps(samples))
";

#[test]
fn metrics_are_served_in_prometheus_format_while_the_run_goes_on() {
    let venv = or_skip!(venv());
    let v2 = crate::starved::hanging_after(3);
    let arguments = ["--metrics", "127.0.0.1:0", "--timeout", "60s"];
    let running = replay(&v2.url(), &made::exchanges(1, 10), &arguments).spawn();
    let line = running.process.wait_for_stderr("Metrics at http://");
    let address = line.split("http://").nth(1).unwrap().split('/').next().unwrap().parse().unwrap();
    v2.wait_for_requests(4);
    let answer = get(address, "/metrics");
    let (head, body) = answer.split_once("\r\n\r\n").unwrap();
    assert!(head.starts_with("HTTP/1.1 200 OK\r\n"), "{head}");
    assert!(head.contains("Content-Type: text/plain; version=0.0.4"), "{head}");
    assert!(get(address, "/").starts_with("HTTP/1.1 404"));

    let mut python = Command::new(venv.join("bin/python"));
    python.args(["-c", PARSE]).stdin(std::process::Stdio::piped()).stdout(std::process::Stdio::piped());
    let mut python = python.spawn().unwrap();
    std::io::Write::write_all(&mut python.stdin.take().unwrap(), body.as_bytes()).unwrap();
    let output = python.wait_with_output().unwrap();
    assert!(output.status.success(), "{body}");
    let samples: serde_json::Value = serde_json::from_slice(&output.stdout).unwrap();
    for (name, value) in [
        ("shadowcap_sent_total", 4.0),
        ("shadowcap_in_flight", 1.0),
        ("shadowcap_failed_total", 0.0),
        ("shadowcap_latency_seconds_count", 3.0),
        ("shadowcap_latency_seconds_bucket+Inf", 3.0),
        ("shadowcap_lateness_seconds_count", 3.0),
    ] {
        assert_eq!(samples[name], value, "{name}\n{body}");
    }
    running.interrupt();
    running.process.wait_for_stderr("Stopping");
    running.interrupt();
    ends(&running.wait(), 130);
}

#[test]
fn metrics_at_an_address_that_is_taken_are_refused_before_anything_is_sent() {
    let v2 = same_v2();
    let taken = v2.address().to_string();
    let finished = replay(&v2.url(), &made::exchanges(1, 3), &["--metrics", &taken]).run();
    ends(&finished, 2);
    finished.stderr_has("--metrics").stderr_has("port 0");
    assert!(targets(&v2).is_empty());
}

#[test]
fn where_there_is_no_terminal_lines_tell_how_far_a_run_is() {
    let v2 = crate::starved::hanging_after(3);
    let running = replay(&v2.url(), &made::exchanges(1, 10), &["--timeout", "60s"]).spawn();
    let line = running.process.wait_for_stderr(" in flight");
    for part in [
        "3 of 10 done",
        "(30 %)",
        " s left",
        "4 sent",
        "1 in flight",
        "0 failed",
        "0 different",
        "0 skipped",
        "ms late",
    ] {
        assert!(line.contains(part), "{part} in {line}");
    }
    running.interrupt();
    running.process.wait_for_stderr("Stopping");
    running.interrupt();
    ends(&running.wait(), 130);
}

#[test]
fn the_time_left_of_a_schedule_is_that_until_its_end_however_far_ahead_was_read() {
    let v2 = same_v2();
    // Ten seconds apart, a minute and a half in all.
    let running = replay(&v2.url(), &made::exchanges(1, 10), &["--speed", "0.0001"]).spawn();
    let line = running.process.wait_for_stderr(" of 10 done");
    assert!(line.contains(" left; ") && line.contains("about 1 min "), "{line}");
    assert!(line.contains("(10 %)") || line.contains("(20 %)"), "{line}");
    running.interrupt();
    ends(&running.wait(), 130);
}

#[test]
fn of_a_loop_for_a_time_the_time_is_shown_and_not_how_often_the_capture_was_read() {
    let v2 = same_v2();
    let running = replay(&v2.url(), &made::exchanges(1, 10), &["--loop", "60s", "--rate", "20"]).spawn();
    let line = running.process.wait_for_stderr(" s of 60 s");
    assert!(line.contains(" %), about ") && !line.contains("read "), "{line}");
    let left: u64 = line.split("about ").nth(1).unwrap().split(' ').next().unwrap().parse().unwrap();
    assert!((1..=51).contains(&left), "{line}");
    running.interrupt();
    ends(&running.wait(), 130);
}

/// Each drawing of the bar that counts outcomes: outcomes, percent, and the seconds left where they are told.
fn frames(text: &str) -> Vec<(u64, u64, Option<u64>)> {
    let frame = |part: &str| {
        let (before, after) = part.split_once(" of 100 done")?;
        let outcomes = before.rsplit(|c: char| !c.is_ascii_digit()).next()?.parse().ok()?;
        let percent = after.split_once('(')?.1.split_once(" %)")?.0.parse().ok()?;
        let left = after.split_once("about ").and_then(|(_, left)| left.split_once(" s left"));
        Some((outcomes, percent, left.and_then(|(left, _)| left.parse().ok())))
    };
    text.split('\r').filter_map(frame).collect()
}

#[test]
fn the_bar_on_a_terminal_is_as_far_as_the_outcomes_are() {
    or_skip!(require_tool("script", "--version"));
    let v2 = same_v2();
    // Three seconds in all. `script` gives the program a terminal.
    let mut shell = Command::new("bash");
    shell.args(["-c", "script -qec \"stty cols 160; exec $0 $*\" /dev/null"]).env("TERM", "xterm");
    let arguments = ["replay", "a.pcap", "--to", &v2.url(), "--out", "run", "--speed", "0.033"];
    let program = Shadowcap::under(shell, arguments);
    std::fs::write(program.folder().join("a.pcap"), made::exchanges(1, 100)).unwrap();
    let finished = program.run();
    ends(&finished, 0);
    let frames = frames(&finished.stdout);
    assert!(frames.iter().all(|(outcomes, percent, _)| outcomes == percent), "{frames:?}");
    assert!(frames.is_sorted_by_key(|(outcomes, ..)| *outcomes), "{frames:?}");
    let early =
        |(outcomes, _, left): &(u64, u64, Option<u64>)| *outcomes < 60 && left.is_some_and(|left| left >= 1);
    assert!(frames.iter().any(early), "{frames:?}\n{finished}");
}

#[test]
fn pooled_connections_are_as_many_as_were_asked_for() {
    let v2 = same_v2();
    let finished = replay(&v2.url(), &made::exchanges(10, 10), &["--connections", "pooled:2"]).run();
    ends(&finished, 0);
    none_came_twice(&v2);
    assert_eq!(targets(&v2).len(), 100);
    assert!((1..=2).contains(&v2.connections().len()), "{}", v2.connections().len());
}

#[test]
fn connecting_and_the_first_byte_have_limits_of_their_own() {
    let v2 = RawServer::start(Script::new(|_| Reply::hang()));
    let arguments = ["--timeout", "60s", "--timeout-first-byte", "200ms"];
    let finished = replay(&v2.url(), &made::exchanges(3, 1), &arguments).run();
    ends(&finished, 1);
    assert_eq!(summary(finished.folder())["failures"], serde_json::json!({"first-byte-timeout": 3}));

    // It takes connections and says nothing of TLS.
    let mute = RawServer::start(Script::new(|_| Reply::hang()).welcome(|_| Welcome::NeverRead));
    let arguments = ["--insecure", "--timeout", "60s", "--timeout-connect", "200ms"];
    let finished = replay(&format!("https://{}", mute.address()), &made::exchanges(3, 1), &arguments).run();
    ends(&finished, 3);
    assert_eq!(summary(finished.folder())["failures"], serde_json::json!({"connect-timeout": 3}));
}
