//! What a mesh mirrored while it was captured: both sides are paired inside the capture and compared, and nothing is
//! sent.

use std::collections::BTreeMap;
use std::fs::{self, File};
use std::io::BufWriter;
use std::net::SocketAddr;
use std::path::Path;
use std::time::Duration;

use shadowcap::capture::PcapWriter;
use shadowcap::capture::synth::{Conversation, Frame};
use shadowcap::packet::LinkType;
use shadowcap::time::Timestamp;

use crate::rendered_again::{assert_same, reports};
use crate::run::Run;
use crate::support::{Shadowcap, access_log, captures};

fn compare(capture: &Path, more: &[&str]) -> Run {
    let arguments = [&["compare", capture.to_str().unwrap(), "--out", "run"], more].concat();
    let run = Run::of(Shadowcap::new(arguments).run());
    assert_eq!(run.summary["mode"], "compare");
    assert!(run.summary["lateness"].is_null(), "nothing was sent, so nothing was late");
    run
}

/// The request lines of an access log, sorted.
fn logged(name: &str) -> Vec<String> {
    let mut lines: Vec<_> = access_log::read(&captures::bundled(name))
        .into_iter()
        .map(|line| format!("{} {}", line.request, line.status))
        .collect();
    lines.sort();
    lines
}

#[test]
fn all_that_envoy_mirrored_is_paired_and_differs_only_in_what_is_random_or_made_by_the_shadowing() {
    let capture = captures::bundled("envoy-mirror.pcap");
    for more in [
        &[][..],
        &["--host-suffix", "none"],
        &["--istio", "1.28"],
        &["--host-suffix", "none", "--shadow-server", ":8002"],
        &["--shadow-server", "127.0.0.1:8002", "--window", "50ms"],
    ] {
        let run = compare(&capture, more);
        assert_eq!(run.summary["exchanges"]["captured"], 93, "{}", run.finished);
        assert_eq!((run.replayed(), run.summary["requests"].as_u64()), (93, Some(93)), "{}", run.finished);
        let counted: Vec<_> = run.counted().into_iter().map(|d| (d.route, d.path, d.count)).collect();
        assert_eq!(counted, [("GET /uuid".into(), "$['uuid']".into(), 1)], "{more:?}");
        for difference in run.differences() {
            let path = difference.path.as_str();
            // The address that Envoy adds to x-forwarded-for.
            let forwarded = ["['origin']", "['X-Forwarded-For']"].iter().any(|name| path.ends_with(name))
                && difference.v2.contains("192.0.2.2");
            let host = difference.v1.contains("httpbin:8000")
                && difference.v2 == difference.v1.replace("httpbin:8000", "httpbin-shadow:8000");
            let values = (difference.v1.as_str(), difference.v2.as_str());
            let internal = path.ends_with("['X-Envoy-Internal']") && values == ("", "\"true\"");
            let shadow_made = difference.class == "shadow" && (host || forwarded || internal);
            assert!(shadow_made || difference.route == "GET /uuid", "{difference:?}");
        }
        run.finished.exits(1).stdout_has("captured  93 = 93 paired + 0 skipped");
    }
}

#[test]
fn the_two_sides_of_the_pairs_are_what_the_two_access_logs_say() {
    let run = compare(&captures::bundled("envoy-mirror.pcap"), &["--no-redact"]);
    let head = |message: &serde_json::Value| {
        message["head"]["text"].as_str().unwrap_or_else(|| panic!("{message}")).to_owned()
    };
    let line = |request: &str, answer: &str| {
        format!("{} {}", request.lines().next().unwrap(), answer.split(' ').nth(1).unwrap())
    };
    let (mut v1, mut v2) = (Vec::new(), Vec::new());
    for row in run.recording().iter().filter(|line| line["type"] == "row") {
        v1.push(line(&head(&row["request"]), &head(&row["response"])));
        v2.push(line(row["sent_head"]["text"].as_str().unwrap(), &head(&row["outcome"]["response"])));
        assert_eq!(row["reason"], "same x-request-id");
        assert_eq!(row["destination"], "127.0.0.1:8002");
    }
    v1.sort();
    v2.sort();
    assert_eq!(v1, logged("envoy-mirror.v1.access.log"));
    assert_eq!(v2, logged("envoy-mirror.v2.access.log"));
}

#[test]
fn a_recording_of_a_comparison_is_reported_again_to_the_byte() {
    let run = compare(&captures::bundled("envoy-mirror.pcap"), &[]);
    let folder = run.finished.folder().join("run");
    let elsewhere = run.finished.folder().join("elsewhere");
    let again =
        Shadowcap::new(["report", folder.to_str().unwrap(), "--out", elsewhere.to_str().unwrap()]).run();
    again.exits(1);
    assert_same(&reports(&elsewhere), &reports(&folder), &again);
}

#[test]
fn the_mirrored_request_of_istios_task_is_answered_alike() {
    let run = compare(&captures::bundled("istio-mirroring-task.pcap"), &[]);
    assert_eq!((run.replayed(), run.summary["exchanges"]["captured"].as_u64()), (1, Some(1)));
    assert_eq!(run.summary["verdicts"]["noise"], 1, "{}", run.finished);
    let mut echoes: Vec<_> = run.differences().into_iter().map(|d| (d.class, d.path)).collect();
    echoes.sort();
    let shadow = |path: &str| ("shadow".to_owned(), path.to_owned());
    assert_eq!(echoes, [shadow("$['headers']['Host']"), shadow("$['headers']['X-Envoy-Internal']")]);
    run.finished.exits(0);
}

#[test]
fn a_capture_without_shadows_proves_nothing_and_says_what_to_do() {
    let run = compare(&captures::bundled("httpbin-v1.pcap"), &[]);
    assert_eq!((run.replayed(), run.skipped("no-shadow")), (0, 94));
    run.finished.exits(3).stdout_has("94 without a shadow in the capture").stdout_has("--shadow-server");
}

/// One connection with one request, at a time in ms.
struct Talk {
    at: u64,
    server: &'static str,
    request: String,
    answer: &'static str,
    /// The server resets the connection after its bytes.
    reset: bool,
}

const V1: &str = "192.0.2.10:80";
const V2: &str = "192.0.2.20:80";
const OK: &str = "HTTP/1.1 200 OK\r\nContent-Type: text/plain\r\nContent-Length: 2\r\n\r\nok";

fn talk(at: u64, server: &'static str, target: &str, fields: &str, answer: &'static str) -> Talk {
    let host = if server == V1 { "shop:8000" } else { "shop-shadow:8000" };
    let request = format!("GET {target} HTTP/1.1\r\nHost: {host}\r\n{fields}\r\n");
    Talk { at, server, request, answer, reset: false }
}

fn write_capture(file: &Path, talks: &[Talk]) {
    let mut frames: Vec<Frame> = (20_000..).zip(talks).flat_map(|(port, talk)| frames(port, talk)).collect();
    frames.sort_by_key(|frame| frame.at);
    let mut writer =
        PcapWriter::new(BufWriter::new(File::create(file).unwrap()), LinkType::ETHERNET).unwrap();
    for (number, frame) in (0..).zip(frames) {
        writer.write(&frame.packet(number)).unwrap();
    }
    writer.finish().unwrap();
}

fn frames(port: u16, talk: &Talk) -> Vec<Frame> {
    let at = Timestamp::from_parts(1_700_000_000, 0) + Duration::from_millis(talk.at);
    let client = SocketAddr::from(([192, 0, 2, 1], port));
    let mut conversation = Conversation::new(client, talk.server.parse().unwrap(), at);
    conversation.open();
    conversation.client_sends(talk.request.as_bytes());
    if !talk.answer.is_empty() {
        conversation.server_sends(talk.answer.as_bytes());
    }
    if talk.reset {
        conversation.server_resets();
    } else {
        conversation.close();
    }
    conversation.take_frames()
}

fn compare_talks(talks: &[Talk], more: &[&str]) -> Run {
    let folder = tempfile::TempDir::new().unwrap();
    let capture = folder.path().join("mesh.pcap");
    write_capture(&capture, talks);
    compare(&capture, more)
}

#[test]
fn what_is_not_compared_is_counted_with_its_reason() {
    let cut = "HTTP/1.1 200 OK\r\nContent-Length: 100\r\n\r\nok";
    let other = "HTTP/1.1 200 OK\r\nContent-Type: text/plain\r\nContent-Length: 2\r\n\r\nno";
    let mut talks = vec![
        talk(0, V1, "/same", "x-request-id: 1\r\n", OK),
        talk(1, V2, "/same", "x-request-id: 1\r\n", OK),
        talk(100, V1, "/like", "", OK),
        talk(101, V2, "/like", "", OK),
        talk(200, V1, "/alone", "x-request-id: 2\r\n", OK),
        talk(300, V2, "/copy", "x-request-id: 3\r\n", OK),
        talk(400, V1, "/slow", "x-request-id: 4\r\n", OK),
        talk(5500, V2, "/slow", "x-request-id: 4\r\n", OK),
        talk(600, V1, "/twins", "", OK),
        talk(601, V1, "/twins", "", other),
        talk(602, V2, "/twins", "", OK),
        talk(700, V1, "/v2-silent", "x-request-id: 5\r\n", OK),
        talk(701, V2, "/v2-silent", "x-request-id: 5\r\n", ""),
        talk(800, V1, "/v1-silent", "x-request-id: 6\r\n", ""),
        talk(801, V2, "/v1-silent", "x-request-id: 6\r\n", OK),
        talk(900, V1, "/v2-breaks-off", "x-request-id: 7\r\n", OK),
        Talk { reset: true, ..talk(901, V2, "/v2-breaks-off", "x-request-id: 7\r\n", cut) },
        talk(1000, V1, "/differs", "x-request-id: 8\r\n", OK),
        talk(1001, V2, "/differs", "x-request-id: 8\r\n", other),
    ];
    talks.push(Talk {
        request: "POST /half HTTP/1.1\r\nHost: shop\r\nContent-Length: 9\r\n\r\nabc".into(),
        ..talk(1100, V1, "", "", "")
    });
    let run = compare_talks(&talks, &[]);
    let verdicts: BTreeMap<(String, String), String> = run
        .rows()
        .into_iter()
        .map(|row| ((row["target"].clone(), row["host"].clone()), row["verdict"].clone()))
        .collect();
    let of =
        |target: &str, host: &str| verdicts.get(&(target.to_owned(), host.to_owned())).map(String::as_str);
    for (target, host, verdict) in [
        ("/same", "shop:8000", "match"),
        ("/like", "shop:8000", "match"),
        ("/alone", "shop:8000", "skipped:no-shadow"),
        ("/copy", "shop-shadow:8000", "skipped:no-primary"),
        ("/slow", "shop:8000", "skipped:no-shadow"),
        ("/slow", "shop-shadow:8000", "skipped:outside-window"),
        ("/twins", "shop:8000", "skipped:no-shadow"),
        ("/twins", "shop-shadow:8000", "skipped:ambiguous"),
        ("/v2-silent", "shop:8000", "skipped:no-shadow-answer"),
        ("/v1-silent", "shop:8000", "not_comparable"),
        ("/v2-breaks-off", "shop:8000", "failed"),
        ("/differs", "shop:8000", "different"),
        ("/half", "shop", "skipped:incomplete-request"),
    ] {
        assert_eq!(of(target, host), Some(verdict), "{target}\n{}", run.finished);
    }
    assert_eq!(run.rows().len(), talks.len() - 6, "each of the six pairs is one row\n{}", run.finished);
    run.finished.exits(1);

    let wider = compare_talks(&talks, &["--window", "10s"]);
    assert_eq!(wider.skipped("outside-window"), 0, "{}", wider.finished);
}

#[test]
fn shadows_that_mostly_find_no_primary_prove_nothing() {
    let pair = |n: u64| {
        let id = format!("x-request-id: {n}\r\n");
        [talk(10 * n, V1, "/", &id, OK), talk(10 * n + 1, V2, "/", &id, OK)]
    };
    let copy = |n: u64| talk(10 * n, V2, "/", &format!("x-request-id: {n}\r\n"), OK);
    let mut talks: Vec<_> = (0..8).flat_map(pair).collect();
    talks.push(copy(8));
    compare_talks(&talks[..16], &[]).finished.exits(0);
    talks.push(copy(9));
    let run = compare_talks(&talks, &[]);
    run.finished.exits(3).stdout_has("2 shadows (20.0 %) found no primary");
}

#[test]
fn credentials_of_both_sides_are_redacted() {
    let fields = "x-request-id: 1\r\nAuthorization: Bearer the-secret-token\r\n";
    let talks = [
        talk(0, V1, "/?api_key=the-secret-key", fields, OK),
        talk(1, V2, "/?api_key=the-secret-key", fields, OK),
    ];
    let run = compare_talks(&talks, &[]);
    assert_eq!(run.replayed(), 1);
    let recording = serde_json::to_string(&run.recording()).unwrap();
    let folder = run.finished.folder().join("run");
    let reports: String =
        reports(&folder).into_iter().map(|(_, bytes)| String::from_utf8_lossy(&bytes).into_owned()).collect();
    assert!(!recording.contains("the-secret") && !reports.contains("the-secret"));
    assert!(fs::read_dir(folder.join("recording")).unwrap().next().is_some());
}

/// Rules are those of any run; asking again is nothing that a comparison could do.
#[test]
fn rules_are_followed_and_nothing_can_be_asked_again() {
    let rules = tempfile::NamedTempFile::new().unwrap();
    let text = "[[route]]\ntemplate = \"/{anything}\"\n\n[[rule]]\nname = \"random\"\nroute = \"/{anything}\"\n\
                path = \"$.uuid\"\nshape = \"uuid\"\n";
    fs::write(rules.path(), text).unwrap();
    let capture = captures::bundled("envoy-mirror.pcap");
    let run = compare(&capture, &["--rules", rules.path().to_str().unwrap()]);
    assert!(run.counted().is_empty(), "{}", run.finished);
    assert_eq!(run.summary["rules"][0]["matched"], 1, "{}", run.summary["rules"]);
    let routes = run.summary["routes"].as_array().unwrap();
    assert!(routes.iter().any(|route| route["route"] == "GET /{anything}"), "{routes:?}");
    for arguments in [&["--verify"][..], &["--baseline", "http://127.0.0.1:9"]] {
        let finished =
            Shadowcap::new([&["compare", capture.to_str().unwrap()][..], arguments].concat()).run();
        finished.exits(2).stderr_has("unexpected argument");
    }
}

#[test]
fn what_cannot_be_meant_is_refused() {
    let capture = captures::bundled("envoy-mirror.pcap");
    let capture = capture.to_str().unwrap();
    for (arguments, said) in [
        (["--shadow-server", "v2"], "`v2` is not a server of a capture"),
        (["--istio", "new"], "write a version of Istio"),
        (["--host-suffix", "a b"], "a host has no ' ' in it"),
        (["--window", "0s"], "a duration is more than zero"),
    ] {
        let finished = Shadowcap::new([&["compare", capture][..], &arguments].concat()).run();
        finished.exits(2).stderr_has(said);
    }
}
