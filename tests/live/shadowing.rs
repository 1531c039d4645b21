//! Requests are shadowed as they happen: all of them, soon, and once.

use std::io::Write as _;
use std::process::Stdio;

use crate::lab::{Lab, balance, captures_in, inspect, summary};
use crate::support::AccessLine;

fn targets(lines: &[AccessLine]) -> Vec<String> {
    let mut targets: Vec<_> = lines.iter().map(|line| line.target().to_owned()).collect();
    targets.sort();
    targets
}

#[test]
fn every_request_of_v1s_log_reaches_v2_once() {
    let lab = or_skip!(Lab::new());
    let v2 = or_skip!(lab.v2_beside());
    let running = lab.start(&[
        "live",
        "-i",
        "veth0",
        "-f",
        "tcp port 8000",
        "--to",
        &v2.url(),
        "--out",
        "run",
        "-w",
        "x.pcapng",
    ]);
    lab.curls(8, 100);
    let of_v1 = lab.v1.wait_for_requests(800);
    let of_v2 = v2.wait_for_requests(800);
    running.interrupt();
    let finished = running.wait();
    finished.exits(0).stdout_has("PASS");
    assert_eq!(targets(&of_v1), targets(&of_v2));
    let summary = summary(&finished.folder().join("run"));
    assert_eq!(balance(&summary), (800, 800, 0));
    assert_eq!(summary["mode"], "live");
    assert_eq!(summary["verdicts"]["match"], 800, "{}", summary["differences"]);
    assert!(summary["anomalies"].get("dropped-by-kernel").is_none(), "{summary}");
    // The packets beside it tell the same.
    let kept = inspect(&captures_in(finished.folder()));
    assert_eq!(kept["exchanges"].as_array().unwrap().len(), 800);
}

#[test]
fn a_shadow_leaves_when_v1_has_answered_whatever_else_v1_is_busy_with() {
    let lab = or_skip!(Lab::new());
    let v2 = or_skip!(lab.v2_beside());
    let running = lab.start(&["live", "-i", "veth0", "-f", "tcp", "--to", &v2.url(), "--out", "run"]);
    // A request that v1 has not answered yet, since it is not complete, before the others.
    let script = "import socket, sys\n\
                  s = socket.create_connection(('10.99.0.2', 8000))\n\
                  s.sendall(b'GET /slow HTTP/1.1\\r\\n')\n\
                  print('begun', flush=True)\n\
                  sys.stdin.readline()\n\
                  s.sendall(b'Host: slow\\r\\nConnection: close\\r\\n\\r\\n')\n\
                  while s.recv(4096): pass\n";
    let mut slow = lab.cable.a.command("python3");
    slow.args(["-c", script]).stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::piped());
    let mut child = slow.spawn().unwrap();
    let mut stdin = child.stdin.take().unwrap();
    let process = crate::support::Process::watch(child, "slow client".into(), "KILL");
    process.stdout.wait_for(|lines| (!lines.is_empty()).then_some(())).unwrap();
    lab.curl("fast", 20);
    // They are there while the slow one still goes on.
    assert!(v2.wait_for_requests(20).iter().all(|line| line.target().starts_with("/fast/")));
    stdin.write_all(b"\n").unwrap();
    assert_eq!(v2.wait_for_requests(21)[20].target(), "/slow");
    running.interrupt();
    let finished = running.wait();
    finished.exits(0);
    let summary = summary(&finished.folder().join("run"));
    println!("from v1's answer to the shadow's departure: {}", summary["lateness"]);
}

#[test]
fn reports_are_made_on_the_way_when_asked_for_and_at_intervals() {
    let lab = or_skip!(Lab::new());
    let v2 = or_skip!(lab.v2_beside());
    let arguments = ["live", "-i", "veth0", "-f", "tcp", "--to", &v2.url(), "--out", "run"];
    let running = lab.start(&arguments);
    lab.curl("first", 5);
    v2.wait_for_requests(5);
    // An answer is counted a moment after it was logged: asked until it is.
    let counted = (0..1000).find_map(|asked| {
        running.process.signal("USR1");
        let lines = |lines: &[String]| {
            lines.iter().filter(|line| line.starts_with("Reports of what there is so far")).count()
        };
        running.process.stderr.wait_for(|all| (lines(all) > asked).then_some(()))?;
        let summary = summary(&running.folder().join("run"));
        (balance(&summary).0 == 5).then_some(summary)
    });
    assert_eq!(counted.unwrap()["verdicts"]["match"], 5);
    assert!(running.folder().join("run/report.html").exists());
    lab.curl("second", 5);
    v2.wait_for_requests(10);
    running.terminate();
    let finished = running.wait();
    finished.exits(0);
    assert_eq!(balance(&summary(&finished.folder().join("run"))).0, 10);

    let running = lab.start(&[&arguments[..7], &["--out", "again", "--report-every", "50ms"]].concat());
    running.process.wait_for_stderr("Reports of what there is so far");
    lab.curl("third", 5);
    v2.wait_for_requests(15);
    // They are renewed without being asked for, and tell of what came in the meantime.
    let told = (1..1000).find_map(|reports| {
        let lines = |lines: &[String]| {
            lines.iter().filter(|line| line.starts_with("Reports of what there is so far")).count()
        };
        running.process.stderr.wait_for(|all| (lines(all) > reports).then_some(()))?;
        let summary = summary(&running.folder().join("again"));
        (balance(&summary).0 == 5).then_some(summary)
    });
    assert_eq!(told.unwrap()["verdicts"]["match"], 5);
    running.interrupt();
    running.wait().exits(0);
}

#[test]
fn it_ends_by_itself_after_its_time() {
    let lab = or_skip!(Lab::new());
    let v2 = or_skip!(lab.v2_beside());
    let running = lab.start(&[
        "live",
        "-i",
        "veth0",
        "-f",
        "tcp",
        "--to",
        &v2.url(),
        "--out",
        "run",
        "--duration",
        "1s",
    ]);
    lab.curl("timed", 3);
    let finished = running.wait();
    finished.exits(0);
    assert_eq!(balance(&summary(&finished.folder().join("run"))).0, 3);

    // Where nothing came, there is no capture to be looked at.
    let nothing = ["live", "-i", "veth0", "-f", "tcp port 9", "--to", &v2.url(), "--duration", "100ms"];
    lab.start(&nothing).wait().exits(3).stdout_has("no HTTP request was captured").stdout_has("-i, -f");
}

#[test]
fn an_interface_that_comes_back_is_shadowed_again() {
    let lab = or_skip!(Lab::new());
    let v2 = or_skip!(lab.v2_beside());
    let running =
        lab.start(&["live", "-i", "veth0", "-f", "tcp", "--to", &v2.url(), "--out", "run", "--reopen"]);
    lab.curl("before", 5);
    v2.wait_for_requests(5);
    lab.cable.b.ip(&["link", "set", "veth0", "down"]);
    running.process.wait_for_stderr("veth0: gone");
    lab.cable.b.ip(&["link", "set", "veth0", "up"]);
    running.process.wait_for_stderr("veth0: back");
    lab.curl("after", 5);
    v2.wait_for_requests(10);
    running.interrupt();
    let finished = running.wait();
    finished.exits(0);
    assert_eq!(balance(&summary(&finished.folder().join("run"))), (10, 10, 0));
}

#[test]
fn an_interface_that_is_made_anew_is_shadowed_again() {
    let lab = or_skip!(Lab::new());
    // v2 is reached by another interface, which stays.
    let at = "127.0.0.1:9000".parse().unwrap();
    let v2 = or_skip!(crate::support::Nginx::start_in(&lab.cable.b, at, crate::lab::SITE));
    let to = v2.url();
    let running = lab.start(&["live", "-i", "veth0", "-f", "tcp", "--to", &to, "--out", "run", "--reopen"]);
    lab.curl("before", 5);
    v2.wait_for_requests(5);
    lab.cable.b.ip(&["link", "del", "veth0"]);
    running.process.wait_for_stderr("veth0: gone");
    lab.cable.connect();
    running.process.wait_for_stderr("veth0: back");
    lab.curl("after", 5);
    v2.wait_for_requests(10);
    running.interrupt();
    let finished = running.wait();
    finished.exits(0);
    assert_eq!(balance(&summary(&finished.folder().join("run"))), (10, 10, 0));
}

#[test]
fn an_interface_that_goes_away_for_good_ends_it_with_a_report() {
    let lab = or_skip!(Lab::new());
    let v2 = or_skip!(lab.v2_beside());
    let running = lab.start(&["live", "-i", "veth0", "-f", "tcp", "--to", &v2.url(), "--out", "run"]);
    lab.curl("before", 5);
    v2.wait_for_requests(5);
    lab.cable.b.ip(&["link", "del", "veth0"]);
    let finished = running.wait();
    finished.exits(3).stderr_has("veth0");
    let summary = summary(&finished.folder().join("run"));
    assert_eq!(balance(&summary), (5, 5, 0));
    assert!(summary["broken_off"].as_str().unwrap().contains("veth0"), "{summary}");
}
