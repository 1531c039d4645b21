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
    assert!(row.contains(",httpbin http[0],any request,mirror of all requests,"), "{csv}");
    let summary: serde_json::Value = serde_json::from_str(&finished.file("run/summary.json")).unwrap();
    assert_eq!(summary["shares"][1]["destination"], "httpbin/v2", "{summary:#}");
    assert_eq!(summary["shares"][1]["picked"], 1, "{summary:#}");
}

/// The page applies the second rule while the first rule's `DestinationRule` is still there.
#[test]
fn the_second_rule_with_the_destination_rule_of_the_first_in_one_file_or_in_two() {
    let (_, destination_rule) = TO_V1.split_once("---\n").unwrap();
    let capture = captures::bundled("httpbin-v1.pcap").display().to_string();
    for files in [
        vec![("one.yaml", format!("{MIRROR_TO_V2}---\n{destination_rule}"))],
        vec![("rule.yaml", MIRROR_TO_V2.to_owned()), ("subsets.yaml", destination_rule.to_owned())],
        vec![("subsets.yaml", destination_rule.to_owned()), ("rule.yaml", MIRROR_TO_V2.to_owned())],
    ] {
        let v2 = v2();
        let endpoint = format!("v2={}", v2.url());
        let mut command = vec!["replay", &capture, "--endpoint", &endpoint, "--out", "run"];
        command.extend(files.iter().flat_map(|(name, _)| ["--routes", name]));
        let program = Shadowcap::new(command);
        for (name, text) in &files {
            std::fs::write(program.folder().join(name), text).unwrap();
        }
        let finished = program.run();
        finished.exits(1);
        assert_eq!(v2.requests().len(), 94, "{finished}");
        assert!(!finished.stderr.contains("warning"), "{finished}");
    }
}

const HALF: &str = "
    mirrorPercentage: {value: 50}
";

#[test]
fn a_replay_sends_what_route_says_for_the_seed_however_many_are_on_their_way() {
    let rules = format!("{MIRROR_TO_V2}{HALF}");
    let capture = captures::bundled("httpbin-v1.pcap").display().to_string();
    let mut sets = BTreeSet::new();
    for seed in ["4", "5"] {
        let program =
            Shadowcap::new(["route", "r.yaml", "--capture", &capture, "--seed", seed, "--format", "json"]);
        std::fs::write(program.folder().join("r.yaml"), &rules).unwrap();
        let document = program.run().json();
        let requests = document["requests"].as_array().unwrap();
        let said: BTreeSet<String> = requests
            .iter()
            .filter(|request| request["to"][0]["destination"] == "httpbin/v2")
            .map(|request| request["id"].as_str().unwrap().to_owned())
            .collect();
        assert!(said.len() > 20 && said.len() < 74, "{}", said.len());
        for concurrency in ["1", "32"] {
            let v2 = v2();
            let more = ["--seed", seed, "--concurrency", concurrency];
            let finished = replay("httpbin-v1.pcap", &rules, &format!("v2={}", v2.url()), &more);
            let csv = finished.file("run/exchanges.csv");
            let sent = csv.lines().skip(1).filter(|line| !line.contains("skipped:"));
            let sent: BTreeSet<String> =
                sent.map(|line| line.split(',').next().unwrap().to_owned()).collect();
            assert_eq!(sent, said, "seed {seed}, {concurrency} at once");
            assert_eq!(v2.requests().len(), said.len());
        }
        sets.insert(said);
    }
    assert_eq!(sets.len(), 2, "another seed takes others");
}

#[test]
fn a_runs_reports_have_the_shares_with_their_intervals_and_each_row_its_match_and_reason() {
    let rules = format!("{MIRROR_TO_V2}{HALF}");
    let v2 = v2();
    let finished = replay("httpbin-v1.pcap", &rules, &format!("v2={}", v2.url()), &["--seed", "4"]);
    let summary: serde_json::Value = serde_json::from_str(&finished.file("run/summary.json")).unwrap();
    let shadow = &summary["shares"][1];
    let sent = v2.requests().len();
    assert_eq!((&shadow["standing"], &shadow["expected"]), (&"shadow".into(), &0.5.into()), "{summary:#}");
    assert_eq!((&shadow["picked"], &shadow["requests"]), (&sent.into(), &94.into()));
    let observed = shadow["observed"].as_f64().unwrap();
    let [low, high] = [0, 1].map(|end| shadow["interval"][end].as_f64().unwrap());
    assert!((observed - f64::from(u32::try_from(sent).unwrap()) / 94.0).abs() < 1e-9, "{shadow}");
    // Wilson's interval at 99.9 % for about half of 94 is some 16 points to either side.
    assert!(low < observed && observed < high && (0.25..0.4).contains(&(high - low)), "{shadow}");
    assert_eq!(shadow["within"], true);
    let html = finished.file("run/report.html");
    let percent = |share: f64| format!("{:.2}", (share * 1e4).trunc() / 100.0);
    for text in ["httpbin/v2".to_owned(), percent(observed), percent(low), percent(high)] {
        assert!(html.contains(&text), "{text} is not in the report");
    }
    let folder = finished.folder().join("run").display().to_string();
    let exported = Shadowcap::new(["report", &folder, "--export", "ndjson"]).run();
    let lines = exported.json_lines();
    let row = lines.iter().find(|row| row["verdict"] != "skipped").unwrap();
    assert_eq!((&row["rule"], &row["match"]), (&"httpbin http[0]".into(), &"any request".into()), "{row}");
    assert!(row["rule_reason"].as_str().unwrap().starts_with("mirror 50%: R mod 1000000 = "), "{row}");
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
