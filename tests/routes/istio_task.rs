//! Istio's mirroring task, with its rules as the page has them, against real servers.

use std::collections::BTreeSet;

use crate::support::{RawServer, Reply, Script, Shadowcap, captures};

const TO_V1: &str = "
apiVersion: networking.istio.io/v1alpha3
kind: VirtualService
metadata:
  name: httpbin
spec:
  hosts:
    - httpbin
  http:
  - route:
    - destination:
        host: httpbin
        subset: v1
      weight: 100
---
apiVersion: networking.istio.io/v1alpha3
kind: DestinationRule
metadata:
  name: httpbin
spec:
  host: httpbin
  subsets:
  - name: v1
    labels:
      version: v1
  - name: v2
    labels:
      version: v2
";

const MIRROR_TO_V2: &str = "
apiVersion: networking.istio.io/v1alpha3
kind: VirtualService
metadata:
  name: httpbin
spec:
  hosts:
    - httpbin
  http:
  - route:
    - destination:
        host: httpbin
        subset: v1
      weight: 100
    mirror:
      host: httpbin
      subset: v2
";

fn v2() -> RawServer {
    RawServer::start(Script::new(|_| Reply::ok("v2")))
}

/// Replays a bundled capture under these rules.
fn replay(capture: &str, rules: &str, endpoint: &str, more: &[&str]) -> crate::support::Finished {
    let capture = captures::bundled(capture).display().to_string();
    let command = ["replay", &capture, "--routes", "routes.yaml", "--endpoint", endpoint, "--out", "run"];
    let program = Shadowcap::new(command.iter().chain(more));
    std::fs::write(program.folder().join("routes.yaml"), rules).unwrap();
    program.run()
}

/// The Host of each request that came.
fn hosts(server: &RawServer) -> BTreeSet<String> {
    let line = |bytes: &[u8]| {
        let text = String::from_utf8_lossy(bytes).into_owned();
        text.lines().find(|line| line.to_ascii_lowercase().starts_with("host:")).map(str::to_owned)
    };
    server.requests().iter().filter_map(|request| line(&request.bytes)).collect()
}

#[test]
fn under_the_first_rule_nothing_is_sent_to_v2() {
    for (capture, requests) in [("istio-mirroring-task.pcap", 1), ("httpbin-v1.pcap", 94)] {
        let v2 = v2();
        let finished = replay(capture, TO_V1, &format!("v2={}", v2.url()), &[]);
        finished.exits(3).stdout_has(&format!("{requests} for the captured service alone, by the rules"));
        assert!(v2.connections().is_empty(), "{finished}");
    }
}

#[test]
fn under_the_second_rule_everything_is_sent_to_v2() {
    let v2 = v2();
    let url = v2.url();
    let finished = replay("istio-mirroring-task.pcap", MIRROR_TO_V2, &format!("v2={url}"), &[]);
    finished.exits(1).stdout_has("captured  2 = 1 replayed + 1 skipped");
    let requests = v2.requests();
    assert_eq!(requests.len(), 1, "{finished}");
    let text = String::from_utf8(requests[0].bytes.clone()).unwrap();
    assert!(text.starts_with("GET /headers HTTP/1.1\r\nhost: httpbin-shadow:8000\r\n"), "{text}");
    let csv = finished.file("run/exchanges.csv");
    let row = csv.lines().find(|line| line.contains("shadow,httpbin/v2")).unwrap_or_default().to_owned();
    assert!(row.ends_with(",httpbin http[0],any request,mirror of all requests"), "{csv}");
    let summary: serde_json::Value = serde_json::from_str(&finished.file("run/summary.json")).unwrap();
    assert_eq!(summary["shares"][1]["destination"], "httpbin/v2", "{summary:#}");
    assert_eq!(summary["shares"][1]["picked"], 1, "{summary:#}");
}

#[test]
fn every_request_of_a_larger_capture_is_mirrored_too() {
    let v2 = v2();
    replay("httpbin-v1.pcap", MIRROR_TO_V2, &format!("httpbin/v2={}", v2.url()), &[]).exits(1);
    assert_eq!(v2.requests().len(), 94);
    assert_eq!(hosts(&v2), BTreeSet::from(["Host: httpbin-shadow:8000".to_owned()]));
}

#[test]
fn from_istio_1_28_on_the_host_has_no_suffix() {
    for (version, host) in [("1.28", "Host: httpbin:8000"), ("1.27.3", "Host: httpbin-shadow:8000")] {
        let v2 = v2();
        replay("httpbin-v1.pcap", MIRROR_TO_V2, &format!("v2={}", v2.url()), &["--istio", version]).exits(1);
        assert_eq!(hosts(&v2), BTreeSet::from([host.to_owned()]), "{version}");
    }
}

#[test]
fn headers_can_be_set_for_one_mirror_alone() {
    let (v2, v3) = (v2(), v2());
    let rules = MIRROR_TO_V2.replace("    mirror:\n      host: httpbin\n      subset: v2\n", "")
        + "
    mirrors:
    - destination: {host: httpbin, subset: v2}
    - destination: {host: httpbin, subset: v3}
";
    let v3_endpoint = format!("v3={}", v3.url());
    let more = [
        "--endpoint",
        &v3_endpoint,
        "--set-header",
        "x-all: 1",
        "--set-header",
        "v3=x-one: 2",
        "--remove-header",
        "httpbin/v2=Accept",
    ];
    replay("httpbin-v1.pcap", &rules, &format!("v2={}", v2.url()), &more).exits(1);
    let with = |server: &RawServer, text: &str| {
        let requests = server.requests();
        requests.iter().filter(|request| String::from_utf8_lossy(&request.bytes).contains(text)).count()
    };
    assert_eq!(
        (with(&v2, "\r\nx-all: 1\r\n"), with(&v2, "\r\nx-one:"), with(&v2, "\r\nAccept: ")),
        (94, 0, 0)
    );
    assert_eq!((with(&v3, "\r\nx-all: 1\r\n"), with(&v3, "\r\nx-one: 2\r\n")), (94, 94));
    assert!(with(&v3, "\r\nAccept: ") > 0);
}

#[test]
fn a_weighted_choice_of_another_subset_is_a_canary_with_its_host() {
    let v2 = v2();
    let rules = TO_V1.replace(
        "      weight: 100\n",
        "      weight: 50\n    - destination: {host: httpbin, subset: v2}\n      weight: 50\n",
    );
    let finished = replay("httpbin-v1.pcap", &rules, &format!("v2={}", v2.url()), &["--seed", "7"]);
    finished.exits(1);
    let sent = v2.requests().len();
    assert!((20..75).contains(&sent), "{sent} of 94 at 50 %");
    assert_eq!(hosts(&v2), BTreeSet::from(["Host: httpbin:8000".to_owned()]));
    let csv = finished.file("run/exchanges.csv");
    assert_eq!(csv.lines().filter(|line| line.contains(",canary,httpbin/v2,")).count(), sent, "{csv}");
    assert_eq!(csv.lines().filter(|line| line.contains("skipped:no-mirror")).count(), 94 - sent, "{csv}");
}

#[test]
fn what_has_no_endpoint_is_counted_and_what_is_misnamed_is_refused() {
    let v2 = v2();
    let capture = captures::bundled("httpbin-v1.pcap").display().to_string();
    let program = Shadowcap::new(["replay", &capture, "--routes", "routes.yaml", "--out", "run"]);
    std::fs::write(program.folder().join("routes.yaml"), MIRROR_TO_V2).unwrap();
    let finished = program.run();
    finished.exits(3).stderr_has("routes.yaml:10: there is no --endpoint for httpbin/v2");
    finished.stdout_has("94 for destinations without an --endpoint");
    let misnamed = replay("httpbin-v1.pcap", MIRROR_TO_V2, &format!("v3={}", v2.url()), &[]);
    misnamed.exits(2).stderr_has("--endpoint `v3`").stderr_has("httpbin/v1, httpbin/v2");
    assert!(v2.connections().is_empty());
}
