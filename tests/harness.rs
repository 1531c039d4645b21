//! The harness itself: each real server starts, is asked, and says so; each tool does what tests rely on.

#![cfg(feature = "cli")]
#![allow(clippy::unwrap_used, reason = "a test says what broke by panicking")]

#[macro_use]
mod support;

use std::io::{Read, Write};
use std::net::{SocketAddr, TcpStream};
use std::process::Stdio;
use std::time::Duration;

use support::{
    AccessLine, Envoy, Httpbin, Nginx, PATIENCE, Process, RawServer, Reply, Script, Shadowcap, Skip, Tcpdump,
    Veth, Welcome, access_log, captures, get, raw_exchange, refusing_address, require_tool,
};
use tempfile::TempDir;

#[test]
fn httpbin_answers_and_logs_the_request() {
    let httpbin = or_skip!(Httpbin::start());
    let answer = get(httpbin.address(), "/headers");
    assert!(answer.starts_with("HTTP/1.1 200 OK\r\n"), "{answer}");
    assert!(answer.contains(r#""Host": "httpbin:8000""#), "{answer}");
    get(httpbin.address(), "/status/418?a=%20b");
    let log = httpbin.wait_for_requests(2);
    let lines: Vec<_> = log.iter().map(|line| (line.request.as_str(), line.status)).collect();
    assert_eq!(lines, [("GET /headers HTTP/1.1", 200), ("GET /status/418?a=%20b HTTP/1.1", 418)]);
    assert_ne!(log[0].client_port, log[1].client_port, "two connections have two ports");
}

#[test]
fn httpbin_keeps_a_connection_alive_and_logs_its_port() {
    let httpbin = or_skip!(Httpbin::start());
    let mut stream = TcpStream::connect(httpbin.address()).unwrap();
    for _ in 0..3 {
        stream.write_all(b"GET /status/204 HTTP/1.1\r\nHost: httpbin\r\n\r\n").unwrap();
        read_head(&mut stream);
    }
    let port = stream.local_addr().unwrap().port();
    let ports: Vec<_> = httpbin.wait_for_requests(3).iter().map(|line| line.client_port).collect();
    assert_eq!(ports, [Some(port); 3]);
}

fn read_head(stream: &mut TcpStream) -> String {
    stream.set_read_timeout(Some(PATIENCE)).unwrap();
    let mut head = Vec::new();
    let mut byte = [0];
    while !head.ends_with(b"\r\n\r\n") {
        stream.read_exact(&mut byte).unwrap();
        head.push(byte[0]);
    }
    String::from_utf8(head).unwrap()
}

#[test]
fn nginx_answers_and_logs_the_request() {
    let nginx = or_skip!(Nginx::start("server { listen {listen}; location / { return 200 'nginx here'; } }"));
    let answer = get(nginx.address(), "/some/path?q");
    assert!(answer.ends_with("\r\n\r\nnginx here"), "{answer}");
    let log = nginx.wait_for_requests(1);
    assert_eq!(
        (log[0].method(), log[0].target(), log[0].status, log[0].length),
        ("GET", "/some/path?q", 200, 10)
    );
    assert!(log[0].client_port.is_some());
}

#[test]
fn envoy_answers_on_the_port_that_it_names() {
    let envoy = or_skip!(Envoy::start(
        r#"
static_resources:
  listeners:
  - name: front
    address: {socket_address: {address: 127.0.0.1, port_value: 0}}
    filter_chains:
    - filters:
      - name: envoy.filters.network.http_connection_manager
        typed_config:
          "@type": type.googleapis.com/envoy.extensions.filters.network.http_connection_manager.v3.HttpConnectionManager
          stat_prefix: front
          http_filters:
          - name: envoy.filters.http.router
            typed_config: {"@type": type.googleapis.com/envoy.extensions.filters.http.router.v3.Router}
          route_config:
            virtual_hosts:
            - name: all
              domains: ["*"]
              routes:
              - match: {prefix: "/"}
                direct_response: {status: 203, body: {inline_string: "envoy here"}}
"#
    ));
    let answer = get(envoy.listener("front"), "/");
    assert!(answer.starts_with("HTTP/1.1 203 "), "{answer}");
    assert!(answer.ends_with("envoy here"), "{answer}");
}

#[test]
fn tcpdump_writes_every_packet_of_a_connection_on_loopback() {
    let folder = TempDir::new().unwrap();
    let file = folder.path().join("lo.pcap");
    let server =
        RawServer::start(Script::new(|_| Reply::AnswerThenClose(b"HTTP/1.1 200 OK\r\n\r\nhello".to_vec())));
    let filter = format!("tcp port {}", server.address().port());
    let tcpdump = or_skip!(Tcpdump::start("lo", &filter, &file));
    for round in 0..20 {
        get(server.address(), &format!("/round-{round}"));
    }
    let counts = tcpdump.stop();
    let bytes = std::fs::read(&file).unwrap();
    assert_eq!(&bytes[..4], [0xd4, 0xc3, 0xb2, 0xa1], "a little-endian pcap with microseconds");
    // SYN, SYN-ACK, ACK, the request and the answer are the least that a connection has.
    assert!(counts.captured >= 20 * 5 && counts.dropped == 0, "{counts:?}");
    for round in 0..20 {
        let request = format!("GET /round-{round} HTTP/1.1\r\n");
        let found = bytes.windows(request.len()).filter(|window| *window == request.as_bytes()).count();
        assert_eq!(found, 1, "{request:?} in the capture");
    }
}

#[test]
fn a_cable_joins_two_namespaces_and_tcpdump_sees_what_passes() {
    or_skip!(require_tool("curl", "--version"));
    let veth = or_skip!(Veth::new());
    let folder = TempDir::new().unwrap();
    let file = folder.path().join("veth.pcap");
    let address = SocketAddr::new(Veth::ADDRESS_B, 80);
    let http = "server { listen {listen}; location / { return 200 'over the cable'; } }";
    let nginx = or_skip!(Nginx::start_in(&veth.b, address, http));
    let tcpdump = or_skip!(Tcpdump::start_in(&veth.a, Veth::INTERFACE, "tcp port 80", &file));
    let mut curl = veth.a.command("curl");
    curl.args(["-sS", "--max-time", "10", &nginx.url()]).stdin(Stdio::null());
    let output = curl.output().unwrap();
    assert_eq!(String::from_utf8_lossy(&output.stdout), "over the cable", "{output:?}");
    assert_eq!(nginx.wait_for_requests(1)[0].client, Veth::ADDRESS_A.to_string());
    let counts = tcpdump.stop();
    assert!(counts.captured >= 8, "{counts:?}");
    let httpbin = or_skip!(Httpbin::start_in(&veth.a, SocketAddr::new(Veth::ADDRESS_A, 8000)));
    let mut curl = veth.b.command("curl");
    let output =
        curl.args(["-sS", "--max-time", "10", &format!("{}/headers", httpbin.url())]).output().unwrap();
    assert!(output.stdout.starts_with(b"{"), "{output:?}");
    assert_eq!(httpbin.wait_for_requests(1)[0].client, Veth::ADDRESS_B.to_string());
    let said = Shadowcap::new_in(&veth.a, ["no-such-command"]).run();
    assert!(said.to_string().contains(veth.a.name()), "{said}");
    let name = veth.a.name().to_owned();
    drop((nginx, httpbin, veth));
    assert!(!std::path::Path::new("/run/netns").join(name).exists(), "a dropped namespace is gone");
}

#[test]
fn the_raw_server_records_every_byte_and_answers_each_request() {
    let server = RawServer::start(Script::new(|request| Reply::ok(&format!("number {}", request.ordinal))));
    let requests = [
        &b"GET /a//b/../%2e?{}\"<>\\ HTTP/1.1\r\nhOST:  x\r\n\r\n"[..],
        b"POST / HTTP/1.1\r\nHost: x\r\nContent-Length: 5\r\n\r\nhello",
        b"POST / HTTP/1.1\r\nTransfer-Encoding: chunked\r\n\r\n3;ext=1\r\nabc\r\n0\r\nTrailer: t\r\n\r\n",
    ];
    let mut stream = TcpStream::connect(server.address()).unwrap();
    stream.write_all(&requests.concat()).unwrap();
    let received = server.wait_for_requests(3);
    assert_eq!(received.iter().map(|request| request.bytes.as_slice()).collect::<Vec<_>>(), requests);
    stream.shutdown(std::net::Shutdown::Write).unwrap();
    let mut answers = String::new();
    stream.read_to_string(&mut answers).unwrap();
    assert_eq!(answers.matches("HTTP/1.1 200").count(), 3, "{answers}");
    assert!(answers.ends_with("number 2"), "{answers}");
    assert_eq!(server.connections()[0].bytes, requests.concat());
}

#[test]
fn the_raw_server_fails_in_each_way_that_it_is_told() {
    let request = b"GET / HTTP/1.1\r\nHost: x\r\n\r\n";
    let cases: [(Reply, &str); 4] = [
        (Reply::close(), ""),
        (Reply::close_in_body(), "HTTP/1.1 200 OK\r\nContent-Length: 1000\r\n\r\nonly this"),
        (Reply::Each(vec![Reply::ok("one"), Reply::close()]), "\r\n\r\none"),
        (Reply::After(Duration::from_millis(5), Box::new(Reply::close_in_body())), "only this"),
    ];
    for (reply, expected) in cases {
        let told = reply.clone();
        let server = RawServer::start(Script::new(move |_| told.clone()));
        let answer = String::from_utf8(raw_exchange(server.address(), request)).unwrap();
        assert!(answer.ends_with(expected), "{reply:?}: {answer:?}");
    }
}

#[test]
fn the_raw_server_resets_closes_and_hangs_at_the_point_that_it_is_told() {
    let request = b"GET / HTTP/1.1\r\nHost: x\r\n\r\n";
    let server = RawServer::start(Script::new(|_| Reply::hang()).welcome(|connection| match connection {
        0 => Welcome::Reset,
        1 => Welcome::Close,
        2 => Welcome::CloseAfter(7),
        3 => Welcome::ResetAfter(7),
        4 => Welcome::NeverRead,
        _ => Welcome::Serve,
    }));
    let outcome = |_: usize| {
        let mut stream = TcpStream::connect(server.address())?;
        stream.set_read_timeout(Some(Duration::from_millis(200)))?;
        // A reset is told once: by the write, when it came before.
        stream.write_all(request)?;
        stream.read(&mut [0; 16])
    };
    let outcomes: Vec<String> =
        (0..6).map(outcome).map(|end| end.map_or_else(|e| e.kind().to_string(), |n| n.to_string())).collect();
    assert_eq!(outcomes[1..3], ["0", "0"], "a close is an end: {outcomes:?}");
    for reset in [0, 3] {
        assert!(["connection reset", "broken pipe"].contains(&outcomes[reset].as_str()), "{outcomes:?}");
    }
    for hang in [4, 5] {
        assert!(["operation would block", "timed out"].contains(&outcomes[hang].as_str()), "{outcomes:?}");
    }
    server.wait_for("the last request", |connections| connections[5].bytes.len() == request.len());
    let read: Vec<usize> = server.connections().iter().map(|connection| connection.bytes.len()).collect();
    assert_eq!(read, [0, 0, 7, 7, 0, request.len()]);
}

#[test]
fn a_refusing_address_refuses() {
    let (address, _held) = refusing_address();
    let error = TcpStream::connect(address).unwrap_err();
    assert_eq!(error.kind(), std::io::ErrorKind::ConnectionRefused);
}

#[test]
fn a_dropped_process_is_gone() {
    let mut command = std::process::Command::new("sh");
    command.args(["-c", "echo $$; exec sleep 1000"]);
    let process = Process::spawn(command, "TERM");
    let pid = process.stdout.wait_for(|lines| lines.first().cloned()).unwrap();
    let entry = std::path::Path::new("/proc").join(pid);
    assert!(entry.exists());
    drop(process);
    assert!(!entry.exists());
}

#[test]
fn access_logs_of_the_captures_are_read_whole() {
    let cases = [("httpbin-v1", 94), ("envoy-mirror.v1", 93), ("envoy-mirror.v2", 93)];
    for (name, count) in cases {
        let log = access_log::read(&captures::bundled(&format!("{name}.access.log")));
        assert_eq!(log.len(), count, "{name}");
        assert!(
            log.iter().all(|line| line.client == "127.0.0.1" && line.request.ends_with(char::is_numeric))
        );
    }
}

#[test]
fn an_access_log_line_falls_into_its_parts() {
    let line = r#"::1 - - [22/Nov/2026:12:07:50 +0000] "GET /a "b" c HTTP/1.0" 404 - "-" "agent x" "4711""#;
    let parsed = AccessLine::parse(line).unwrap();
    assert_eq!(
        (parsed.method(), parsed.target(), parsed.status, parsed.length),
        ("GET", r#"/a "b" c"#, 404, 0)
    );
    assert_eq!((parsed.agent.as_str(), parsed.client_port), ("agent x", Some(4711)));
    assert_eq!(AccessLine::parse("no log line"), None);
}

#[test]
fn a_failed_assertion_shows_the_command_and_all_that_it_said() {
    let failure = std::panic::catch_unwind(|| {
        let finished = Shadowcap::new(["no-such-command"]).stdin("input").run();
        finished.exits(77);
    });
    let message = *failure.unwrap_err().downcast::<String>().unwrap();
    for part in
        ["the exit status should be 77", "no-such-command", "exit: ", "--- stdout", "--- stderr", "files: "]
    {
        assert!(message.contains(part), "{part:?} in {message}");
    }
}

#[test]
fn only_what_set_up_would_have_brought_fails_in_ci() {
    let unable = Skip::Unable(String::new());
    let missing = Skip::NotSetUp(String::new());
    assert_eq!([unable.is_failure(true), unable.is_failure(false)], [false, false]);
    assert_eq!([missing.is_failure(true), missing.is_failure(false)], [true, false]);
}
