//! The shadows' own traffic is captured and not shadowed again.

use crate::lab::{Lab, balance, curl, summary};

#[test]
fn with_v1_v2_and_itself_on_one_interface_nothing_goes_round() {
    let lab = or_skip!(Lab::new());
    let v2 = or_skip!(lab.v2_opposite());
    // Without a suffix only the connection tells a shadow from what it shadows; and without knowing v2's address as a
    // server of the capture, nothing else would.
    let running = lab.start(&[
        "live",
        "-i",
        "veth0",
        "--to",
        &v2.url(),
        "--out",
        "run",
        "--host-suffix",
        "none",
        "--allow-captured-server",
    ]);
    lab.curls(4, 50);
    v2.wait_for_requests(200);
    // One more on each side: had anything gone round, it would have come before.
    lab.curl("last", 1);
    let of_v2 = v2.wait_for_requests(201);
    running.interrupt();
    let finished = running.wait();
    finished.exits(0);
    assert_eq!(of_v2.len(), 201);
    assert_eq!(balance(&summary(&finished.folder().join("run"))), (201, 201, 0));
}

#[test]
fn others_who_ask_v2_are_seen_counted_and_not_sent_to_it_again() {
    let lab = or_skip!(Lab::new());
    let v2 = or_skip!(lab.v2_opposite());
    let running = lab.start(&["live", "-i", "veth0", "--to", &v2.url(), "--out", "run"]);
    lab.curl("v1", 10);
    curl(&lab.cable.b, &format!("{}/direct/[1-10]", v2.url()));
    let of_v2 = v2.wait_for_requests(20);
    running.interrupt();
    let finished = running.wait();
    finished.exits(0);
    assert_eq!(of_v2.iter().filter(|line| line.target().starts_with("/direct/")).count(), 10);
    let summary = summary(&finished.folder().join("run"));
    assert_eq!(balance(&summary), (20, 10, 10));
    assert_eq!(summary["exchanges"]["skipped"]["to-target"], 10, "{}", summary["exchanges"]);
}

#[test]
fn on_loopback_with_clients_and_shadows_on_the_same_addresses_nothing_goes_round() {
    let lab = or_skip!(Lab::new());
    let v2 = or_skip!(lab.v2_beside());
    let running = lab.start(&[
        "live",
        "-i",
        "lo",
        "--to",
        &v2.url(),
        "--out",
        "run",
        "--host-suffix",
        "none",
        "--allow-captured-server",
    ]);
    curl(&lab.cable.b, &format!("{}/lo/[1-50]", lab.v1.url()));
    v2.wait_for_requests(50);
    curl(&lab.cable.b, &format!("{}/last", lab.v1.url()));
    assert_eq!(v2.wait_for_requests(51).len(), 51);
    running.interrupt();
    let finished = running.wait();
    finished.exits(0);
    assert_eq!(balance(&summary(&finished.folder().join("run"))), (51, 51, 0));
}
