//! The shadows' own traffic is captured and not shadowed again.

use std::fs;

use tempfile::TempDir;

use crate::lab::{Lab, balance, curl, summary};
use crate::support::{Process, Shadowcap, Skip, require_tool};

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

/// What is asked again passes the interface as well, towards v2 and towards v1, whose traffic is just what is shadowed.
#[test]
fn what_is_asked_again_of_either_side_is_not_shadowed() {
    const OTHER: &str = "server { listen {listen} backlog=4096; keepalive_requests 1000000; location / { return 200 'bye\n'; } }";
    let lab = or_skip!(Lab::new());
    let v2 = or_skip!(lab.v2_of_site(OTHER));
    let (to, v1) = (v2.url(), lab.v1.url());
    for client in ["exact", "reqwest"] {
        let (of_v1, of_v2) = (lab.v1.wait_for_requests(0).len(), v2.wait_for_requests(0).len());
        let mut arguments = vec!["live", "-i", "lo", "--to", &to, "--out", "run", "--host-suffix", "none"];
        arguments.extend([
            "--allow-captured-server",
            "--client",
            client,
            "--verify-sample",
            "100",
            "--baseline",
            &v1,
        ]);
        let running = lab.start(&arguments);
        curl(&lab.cable.b, &format!("{v1}/lo/[1-30]"));
        // Each once more of both.
        lab.v1.wait_for_requests(of_v1 + 60);
        v2.wait_for_requests(of_v2 + 60);
        // One more: had anything gone round, it would have come before.
        curl(&lab.cable.b, &format!("{v1}/last"));
        let requests = (lab.v1.wait_for_requests(of_v1 + 62).len(), v2.wait_for_requests(of_v2 + 62).len());
        assert_eq!(requests, (of_v1 + 62, of_v2 + 62), "{client}");
        running.interrupt();
        let finished = running.wait();
        finished.exits(1);
        let summary = summary(&finished.folder().join("run"));
        assert_eq!(balance(&summary), (31, 31, 0), "{client}");
        assert_eq!((&summary["asked"]["v1"], &summary["asked"]["v2"]), (&31.into(), &31.into()), "{client}");
        assert_eq!(summary["differences"][0]["class"], "confirmed", "{client}: {summary}");
    }
}

#[test]
fn the_connections_of_reqwest_are_known_as_well() {
    let lab = or_skip!(Lab::new());
    let v2 = or_skip!(lab.v2_beside());
    let to = v2.url();
    let running = lab.start(&[
        "live",
        "-i",
        "lo",
        "--to",
        &to,
        "--out",
        "run",
        "--istio",
        "1.28",
        "--allow-captured-server",
        "--client",
        "reqwest",
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

/// tinyproxy beside v1 and v2.
fn proxy(lab: &Lab) -> Result<(Process, TempDir), Skip> {
    require_tool("tinyproxy", "-v")?;
    let folder = TempDir::new().unwrap();
    let file = folder.path().join("tinyproxy.conf");
    fs::write(&file, "Port 3128\nListen 10.99.0.2\nAllow 10.99.0.2\nLogLevel Connect\n").unwrap();
    let mut command = lab.cable.b.command("tinyproxy");
    command.arg("-d").arg("-c").arg(file).stdin(std::process::Stdio::null());
    let process = Process::spawn(command, "TERM");
    let mut command = lab.cable.b.command("bash");
    let knock = "for i in {1..600}; do (exec 3<>/dev/tcp/10.99.0.2/3128) 2>/dev/null && exit 0; sleep 0.05; done; exit 1";
    assert!(command.args(["-c", knock]).status().unwrap().success(), "{}", process.describe());
    Ok((process, folder))
}

#[test]
fn through_a_proxy_on_the_same_interface_nothing_goes_round() {
    let lab = or_skip!(Lab::new());
    let _proxy = or_skip!(proxy(&lab));
    let v2 = or_skip!(lab.v2_beside());
    let to = v2.url();
    let mut arguments = vec!["live", "-i", "lo", "--to", &to, "--out", "run", "--istio", "1.28"];
    arguments.extend(["--client", "reqwest", "--proxy", "http://10.99.0.2:3128"]);
    let running = lab.start(&arguments);
    curl(&lab.cable.b, &format!("{}/lo/[1-20]", lab.v1.url()));
    v2.wait_for_requests(1);
    curl(&lab.cable.b, &format!("{}/last", lab.v1.url()));
    running.interrupt();
    let finished = running.wait();
    // This proxy closes connections as it likes, so that a shadow may come to nothing; but none leaves twice. What the
    // proxy sent on was captured, too, and known by v2's address.
    let of_v2 = u64::try_from(v2.wait_for_requests(1).len()).unwrap();
    let summary = summary(&finished.folder().join("run"));
    let (_, replayed, to_v2) = balance(&summary);
    assert_eq!(replayed, 21, "{summary}");
    assert!(of_v2 <= 21 && to_v2 <= of_v2, "{of_v2} requests at v2: {}", summary["exchanges"]);
    assert_eq!(summary["exchanges"]["skipped"]["to-target"], to_v2, "{}", summary["exchanges"]);
}

#[test]
fn a_proxy_behind_which_v2_cannot_be_known_is_refused_unless_the_port_tells_it() {
    let lab = or_skip!(Lab::new());
    let common =
        ["live", "-i", "lo", "--out", "run", "--client", "reqwest", "--proxy", "socks5h://127.0.0.1:9"];
    for (further, told) in [
        (&["--to", "http://v2.invalid:9000"][..], "v2's name does not resolve here"),
        (&["--to", "http://v2.invalid:9000", "--port", "8000,9000"], "v2's port 9000 not among them"),
        (
            &["--to", "http://10.99.0.2:9000", "--allow-captured-server"],
            "--allow-captured-server lets it through",
        ),
    ] {
        let finished = Shadowcap::new_in(&lab.cable.b, [&common[..], further].concat()).run();
        finished.exits(2).stderr_has(told).stderr_has("shadowed again without end");
    }
    for further in [
        &["--to", "http://v2.invalid:9000", "--port", "8000"][..],
        &["--to", "http://10.99.0.2:9000"],
        // Nobody who captures it can read it.
        &["--to", "https://v2.invalid:9000"],
    ] {
        let running = lab.start(&[&common[..], further].concat());
        running.interrupt();
        running.wait().exits(3).stdout_has("nothing was compared");
    }
}
