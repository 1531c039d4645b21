use std::fs::OpenOptions;
use std::io::Write as _;
use std::net::SocketAddr;
use std::process::Command;
use std::sync::Mutex;
use std::sync::mpsc::{self, Sender};
use std::time::{Duration, Instant};

use socket2::{Domain, Socket, Type};

use crate::made;
use crate::support::{Finished, PATIENCE, RawServer, Reply, Running, Script, Shadowcap};
use crate::{ends, none_came_twice, replay, same_v2, summary, summary_in, with_file};

/// A v2 that answers three requests, and the fourth when it is told, or never where nobody is left to tell it.
pub(crate) fn holding() -> (RawServer, Sender<()>) {
    let (release, released) = mpsc::channel();
    let released = Mutex::new(released);
    let v2 = RawServer::start(Script::new(move |request| {
        if request.ordinal == 3 && released.lock().unwrap().recv().is_err() {
            return Reply::hang();
        }
        made::answer()
    }));
    (v2, release)
}

/// Starts the replay of one connection with ten requests.
fn start(v2: &RawServer) -> Running {
    let program = replay(&v2.url(), &["a.pcap", "--timeout", "60s"]);
    with_file(program, "a.pcap", &made::exchanges(1, 10).bytes).spawn()
}

/// Asserts what every stopped run leaves: the report of what there was, and the rest as interrupted.
#[track_caller]
fn stopped(v2: &RawServer, finished: &Finished, sent: u64) -> serde_json::Value {
    ends(finished, 130);
    none_came_twice(v2);
    let summary = summary(finished);
    assert_eq!((summary["interrupted"].as_bool(), v2.requests().len() as u64), (Some(true), sent));
    assert_eq!(summary["exchanges"]["replayed"], sent, "{summary:#}");
    assert_eq!(summary["exchanges"]["skipped"]["interrupted"], 10 - sent, "{summary:#}");
    assert_eq!(summary["verdict"], "inconclusive", "{summary:#}");
    assert!(finished.file("run/report.html").contains("the run was stopped before its end"));
    summary
}

#[test]
fn ctrl_c_lets_what_is_on_its_way_end_and_reports_the_rest_as_interrupted() {
    let (v2, release) = holding();
    let running = start(&v2);
    v2.wait_for_requests(4);
    running.interrupt();
    running.process.wait_for_stderr("Stopping: waiting for the answers");
    release.send(()).unwrap();
    let finished = running.wait();
    let summary = stopped(&v2, &finished, 4);
    assert_eq!(summary["verdicts"]["match"], 4, "{summary:#}");
}

#[test]
fn sigterm_is_heard_like_ctrl_c() {
    let (v2, release) = holding();
    let running = start(&v2);
    v2.wait_for_requests(4);
    running.terminate();
    running.process.wait_for_stderr("Stopping: waiting for the answers");
    release.send(()).unwrap();
    let summary = stopped(&v2, &running.wait(), 4);
    assert_eq!(summary["verdicts"]["match"], 4, "{summary:#}");
}

#[test]
fn a_second_ctrl_c_waits_for_nothing_and_blames_nobody() {
    let (v2, _kept) = holding();
    let running = start(&v2);
    v2.wait_for_requests(4);
    let began = Instant::now();
    running.interrupt();
    running.process.wait_for_stderr("Stopping");
    running.interrupt();
    let finished = running.wait();
    assert!(began.elapsed() < Duration::from_secs(10), "{finished}");
    let summary = stopped(&v2, &finished, 4);
    // That the fourth was not answered is our doing, not v2's.
    assert_eq!(summary["verdicts"]["match"], 3, "{summary:#}");
    assert_eq!(summary["not_comparable"]["interrupted"], 1, "{summary:#}");

    let again = Shadowcap::new(["report", "--out", "again"]).arg(finished.folder().join("run")).run();
    ends(&again, 130);
    assert_eq!(summary_in(&again, "again".as_ref())["verdicts"], summary["verdicts"]);
}

#[test]
fn a_pipe_that_gives_nothing_more_does_not_keep_a_run_from_stopping() {
    let v2 = same_v2();
    let program = replay(&v2.url(), &["pipe"]);
    let pipe = program.folder().join("pipe");
    assert!(Command::new("mkfifo").arg(&pipe).status().unwrap().success());
    let running = program.spawn();
    let mut writer = OpenOptions::new().write(true).open(&pipe).unwrap();
    writer.write_all(&made::exchanges(1, 10).bytes).unwrap();
    v2.wait_for_requests(10);
    running.interrupt();
    let finished = running.wait();
    // Only now does the pipe end.
    drop(writer);
    ends(&finished, 130);
    let summary = summary(&finished);
    assert_eq!(summary["exchanges"]["captured"], 10, "{summary:#}");
    assert!(!summary["anomalies"].as_object().unwrap().contains_key("truncated-file"), "{summary:#}");
}

/// An address where connections are neither accepted nor refused, while the value is kept.
fn deaf_address() -> (SocketAddr, (Socket, Vec<Socket>)) {
    let new = || Socket::new(Domain::IPV4, Type::STREAM, None).unwrap();
    let listener = new();
    listener.bind(&SocketAddr::from(([127, 0, 0, 1], 0)).into()).unwrap();
    listener.listen(0).unwrap();
    let address = listener.local_addr().unwrap();
    // Linux drops what asks for a connection when the queue of those not yet accepted is full.
    let queue = (0..4).map(|_| {
        let socket = new();
        socket.set_nonblocking(true).unwrap();
        let _ = socket.connect(&address);
        socket
    });
    let queue = queue.collect();
    (address.as_socket().unwrap(), (listener, queue))
}

/// How many sockets of this machine wait for this address to accept them: `/proc/net/tcp` names addresses in
/// hexadecimal, and the state `SYN_SENT` by 02.
fn connecting_to(address: SocketAddr) -> usize {
    let remote = format!("0100007F:{:04X}", address.port());
    let table = std::fs::read_to_string("/proc/net/tcp").unwrap();
    let is_waiting = |line: &&str| {
        let mut words = line.split_whitespace().skip(2);
        words.next() == Some(&remote) && words.next() == Some("02")
    };
    table.lines().filter(is_waiting).count()
}

#[test]
fn a_second_ctrl_c_does_not_wait_for_a_connection_either() {
    let (deaf, _kept) = deaf_address();
    let before = connecting_to(deaf);
    let program = replay(&format!("http://{deaf}"), &["a.pcap", "--timeout", "60s"]);
    let running = with_file(program, "a.pcap", &made::exchanges(1, 10).bytes).spawn();
    let deadline = Instant::now() + PATIENCE;
    while connecting_to(deaf) == before {
        assert!(Instant::now() < deadline, "no connection was tried");
        std::thread::yield_now();
    }
    running.interrupt();
    running.process.wait_for_stderr("Stopping");
    running.interrupt();
    let finished = running.wait();
    ends(&finished, 130);
    assert_eq!(summary(&finished)["exchanges"]["skipped"]["interrupted"], 10, "{finished}");
}
