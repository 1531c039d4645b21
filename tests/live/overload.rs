//! A v2 that cannot keep up costs nothing but shadows.

use std::process::Stdio;

use crate::lab::{Lab, balance, summary};
use crate::support::require_tool;

#[test]
fn a_v2_that_hangs_takes_nothing_from_v1_and_what_is_shed_is_counted() {
    let lab = or_skip!(Lab::new());
    let _v2 = lab.hanging_v2();
    let running = lab.start(&[
        "live",
        "-i",
        "veth0",
        "-f",
        "tcp port 8000",
        "--to",
        "http://10.99.0.2:9000",
        "--out",
        "run",
        "--queue",
        "100",
        "--concurrency",
        "4",
        "--timeout",
        "1s",
    ]);
    lab.curls(4, 500);
    lab.v1.wait_for_requests(2000);
    running.interrupt();
    let finished = running.wait();
    // v2 gave no whole answer to what was sent.
    finished.exits(1);
    let summary = summary(&finished.folder().join("run"));
    let (captured, replayed, _) = balance(&summary);
    assert_eq!(captured, 2000);
    let skipped = &summary["exchanges"]["skipped"];
    let shed = skipped["queue-full"].as_u64().unwrap();
    assert!(shed >= 1000, "{skipped}");
    // What found a place waited, and was sent or given up at the end.
    let interrupted = skipped["interrupted"].as_u64().unwrap_or(0);
    assert_eq!(replayed + shed + interrupted, 2000, "{summary}");
    assert!(summary["anomalies"].get("dropped-by-kernel").is_none(), "{summary}");
}

#[test]
fn more_than_can_be_read_is_lost_in_the_kernel_and_told() {
    let lab = or_skip!(Lab::new());
    or_skip!(require_tool("wrk", "-v"));
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
        "-B",
        "256KiB",
        "--queue",
        "200",
    ]);
    let mut wrk = lab.cable.a.command("wrk");
    let output =
        wrk.args(["-t", "2", "-c", "32", "-d", "2s", &lab.v1.url()]).stdin(Stdio::null()).output().unwrap();
    assert!(output.status.success(), "{output:?}");
    running.interrupt();
    let finished = running.wait();
    let summary = summary(&finished.folder().join("run"));
    let (captured, ..) = balance(&summary);
    let of_v1 = u64::try_from(lab.v1.wait_for_requests(1).len()).unwrap();
    let dropped = summary["anomalies"]["dropped-by-kernel"].as_u64().unwrap_or(0);
    println!("{captured} of {of_v1} requests captured, {dropped} packets dropped by the kernel");
    assert!(captured == of_v1 || dropped > 0, "requests are missing and nobody says why: {summary}");
}
