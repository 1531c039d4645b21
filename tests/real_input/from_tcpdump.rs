//! tcpdump's own files and pipes.

use std::path::Path;
use std::process::{Command, Stdio};

use tempfile::TempDir;

use crate::run::Run;
use crate::support::{Nginx, RawServer, Reply, Script, Shadowcap, Tcpdump, raw_exchange, require_tool};

/// A shop of three pages, whose price list is this.
fn shop(prices: &str) -> String {
    format!(
        "server {{ listen {{listen}}; default_type text/plain;
           location = /prices {{ default_type application/json; return 200 '{prices}'; }}
           location = /about {{ return 200 'about us'; }}
           location / {{ return 404 'no such page'; }} }}"
    )
}

fn curl(url: &str, more: &[&str]) {
    let mut command = Command::new("curl");
    command.args(["-sS", "--max-time", "20", "-H", "Host: shop:8000", "-o", "/dev/null"]).args(more).arg(url);
    let output = command.stdin(Stdio::null()).output().unwrap();
    assert!(output.status.success(), "{output:?}");
}

/// Asks v1 for each of its pages, while tcpdump writes to `file`.
fn capture_shop(v1: &Nginx, file: &Path) -> Result<(), crate::support::Skip> {
    require_tool("curl", "--version")?;
    let tcpdump = Tcpdump::start("lo", &format!("tcp port {}", v1.address().port()), file)?;
    curl(&format!("{}/prices", v1.url()), &[]);
    curl(&format!("{}/about?lang=en", v1.url()), &["--compressed"]);
    curl(&format!("{}/{{prices,about,missing}}", v1.url()), &["-o", "/dev/null", "-o", "/dev/null"]);
    curl(&format!("{}/about", v1.url()), &["--http1.0"]);
    curl(&format!("{}/about", v1.url()), &["--head"]);
    // Two requests at once on one connection.
    let pipelined = b"GET /about HTTP/1.1\r\nHost: shop:8000\r\n\r\n\
        GET /prices HTTP/1.1\r\nHost: shop:8000\r\nConnection: close\r\n\r\n";
    raw_exchange(v1.address(), pipelined);
    v1.wait_for_requests(9);
    assert_eq!(tcpdump.stop().dropped, 0);
    Ok(())
}

#[test]
fn the_one_page_in_which_v2_differs_is_the_one_difference() {
    let v1 = or_skip!(Nginx::start(&shop(r#"{"coffee": 3, "tea": 2}"#)));
    let v2 = or_skip!(Nginx::start(&shop(r#"{"coffee": 3, "tea": "2"}"#)));
    let folder = TempDir::new().unwrap();
    let file = folder.path().join("yesterday.pcap");
    or_skip!(capture_shop(&v1, &file));
    let run = Run::replay(&file, &v2.url(), &[]);
    assert_eq!(run.summary["exchanges"]["captured"], 9, "{}", run.finished);
    assert_eq!(run.summary["capture"]["lost_bytes"], 0);
    let counted = run.counted();
    let found: Vec<_> = counted
        .iter()
        .map(|d| (d.route.as_str(), d.layer.as_str(), d.path.as_str(), d.kind.as_str(), d.count))
        .collect();
    assert_eq!(found, [("GET /prices", "body", "$['tea']", "string_number", 3)], "{}", run.finished);
    assert_eq!((counted[0].v1.as_str(), counted[0].v2.as_str()), ("2", "\"2\""));
    assert_eq!(run.summary["verdicts"]["different"], 3);
    assert_eq!(run.summary["verdicts"]["match"], 6, "{}", run.finished);
    run.finished.exits(1);

    let mut asked: Vec<_> = v2.wait_for_requests(9).into_iter().map(|line| line.request).collect();
    let mut captured: Vec<_> = v1.wait_for_requests(9).into_iter().map(|line| line.request).collect();
    asked.sort();
    captured.sort();
    assert_eq!(asked, captured);
}

#[test]
fn v2_that_answers_like_v1_passes() {
    let prices = r#"{"coffee": 3, "tea": 2}"#;
    let v1 = or_skip!(Nginx::start(&shop(prices)));
    let v2 = or_skip!(Nginx::start(&shop(prices)));
    let folder = TempDir::new().unwrap();
    let file = folder.path().join("yesterday.pcap");
    or_skip!(capture_shop(&v1, &file));
    let run = Run::replay(&file, &v2.url(), &[]);
    assert_eq!(run.counted(), [], "{}", run.finished);
    run.finished.exits(0).stdout_has("PASS");
}

fn plain_server() -> RawServer {
    let answer = b"HTTP/1.1 200 OK\r\nContent-Length: 7\r\nConnection: close\r\n\r\nas ever";
    RawServer::start(Script::new(|_| Reply::AnswerThenClose(answer.to_vec())))
}

fn ask(server: &RawServer, target: &str) {
    let request = format!("GET {target} HTTP/1.1\r\nHost: shop:8000\r\n\r\n");
    raw_exchange(server.address(), request.as_bytes());
}

#[test]
fn a_pipe_from_tcpdump_is_replayed_while_it_flows() {
    let (v1, v2) = (plain_server(), plain_server());
    let (reading, writing) = std::io::pipe().unwrap();
    let filter = format!("tcp port {}", v1.address().port());
    let tcpdump = or_skip!(Tcpdump::into_pipe("lo", &filter, writing));
    let replay =
        Shadowcap::new(["replay", "-", "--to", &v2.url(), "--out", "run"]).stdin_from(reading).spawn();
    for round in 0..5 {
        ask(&v1, &format!("/round/{round}"));
    }
    // They come to v2 before the capture has ended.
    let targets: Vec<_> = v2
        .wait_for_requests(5)
        .iter()
        .map(|request| String::from_utf8_lossy(&request.bytes).split(' ').nth(1).unwrap().to_owned())
        .collect();
    tcpdump.stop();
    let run = Run::of(replay.wait());
    run.finished.exits(0);
    let mut sorted = targets;
    sorted.sort();
    assert_eq!(sorted, ["/round/0", "/round/1", "/round/2", "/round/3", "/round/4"]);
    assert_eq!(run.summary["verdicts"]["match"], 5, "{}", run.finished);
}

#[test]
fn a_pipe_from_tcpdump_is_inspected_while_it_flows() {
    let v1 = plain_server();
    let (reading, writing) = std::io::pipe().unwrap();
    let filter = format!("tcp port {}", v1.address().port());
    let tcpdump = or_skip!(Tcpdump::into_pipe("lo", &filter, writing));
    let inspect = Shadowcap::new(["inspect", "-", "--format", "jsonl"]).stdin_from(reading).spawn();
    ask(&v1, "/first");
    let line = inspect.process.stdout.wait_for(|lines| lines.first().cloned());
    let line = line.unwrap_or_else(|| panic!("nothing while it flows: {}", inspect.process.describe()));
    assert!(line.contains(r#""target":"/first""#), "{line}");
    ask(&v1, "/second");
    tcpdump.stop();
    let finished = inspect.wait();
    let targets: Vec<_> = finished.exits(0).json_lines().iter().map(|e| e["target"].clone()).collect();
    assert_eq!(targets, ["/first", "/second"]);
}
