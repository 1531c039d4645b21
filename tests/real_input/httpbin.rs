//! A capture of httpbin, replayed to another httpbin: nothing differs but what httpbin makes at random.

use std::collections::BTreeMap;

use crate::line::assert_same;
use crate::run::Run;
use crate::support::{Httpbin, Shadowcap, access_log, captures};

/// httpbin sends the last of its five bytes, then sleeps once more, and only then does gunicorn log.
pub(crate) const DRIP: &str = "/drip?numbytes=5&duration=1&delay=0";

/// What httpbin makes anew for each answer: route, and where in the answer.
const RANDOM: [(&str, &str); 3] = [
    // A version 4 UUID.
    ("GET /uuid", "$['uuid']"),
    // Random bytes without a seed. They come from the process's one generator, which `/bytes/1024?seed=7` seeds just
    // before, so that they may be the same again.
    ("GET /bytes/{number}", ""),
    // The same generator, seeded, from which a request at the same time draws as well while the answer streams.
    ("GET /stream-bytes/{number}", ""),
];

/// Every difference that counts is one that httpbin makes at random, and the rest has a class that says why not.
pub(crate) fn assert_only_random_differences(run: &Run) {
    for difference in run.differences() {
        let place = (difference.route.as_str(), difference.path.as_str());
        match difference.class.as_str() {
            "unverified" => {
                assert!(RANDOM.contains(&place) && difference.layer == "body", "{difference:?}");
            }
            "shadow" => {
                assert!(
                    difference.v1.contains("httpbin:8000")
                        && difference.v2 == difference.v1.replace("httpbin:8000", "httpbin-shadow:8000"),
                    "{difference:?}"
                );
            }
            _ => panic!("nothing here is of this class: {difference:?}"),
        }
    }
    let counted: Vec<_> = run.counted().into_iter().map(|d| (d.route, d.path, d.count)).collect();
    assert!(
        counted.contains(&("GET /uuid".into(), "$['uuid']".into(), 1)),
        "a UUID is another each time: {counted:?}"
    );
    let shadow = run.differences().iter().filter(|d| d.class == "shadow").count();
    run.finished.exits(1).stdout_has("GET /uuid").stdout_has(&format!("{shadow}  shadow: made by"));
}

#[test]
fn the_capture_holds_what_gunicorn_logged() {
    let capture = captures::bundled("httpbin-v1.pcap");
    let exchanges =
        Shadowcap::new(["inspect", "--format", "jsonl", capture.to_str().unwrap()]).run().json_lines();
    assert_eq!(exchanges.len(), 94);
    let log = access_log::read(&captures::bundled("httpbin-v1.access.log"));
    assert_same(&log, &exchanges, &[DRIP]);
    assert!(exchanges.iter().all(|e| e["anomalies"].as_array().unwrap().is_empty()));
}

#[test]
fn another_httpbin_is_asked_the_same_and_differs_only_in_what_is_random() {
    let httpbin = or_skip!(Httpbin::start());
    let capture = captures::bundled("httpbin-v1.pcap");
    let run = Run::replay(&capture, &httpbin.url(), &[]);
    assert_eq!(run.replayed(), 94, "{}", run.finished);
    assert_only_random_differences(&run);

    let exchanges =
        Shadowcap::new(["inspect", "--format", "jsonl", capture.to_str().unwrap()]).run().json_lines();
    let mut captured: BTreeMap<String, Vec<String>> = BTreeMap::new();
    for exchange in exchanges {
        let text = |name: &str| exchange[name].as_str().unwrap().to_owned();
        let request = format!("{} {} {}", text("method"), text("target"), text("version"));
        captured.entry(text("client")).or_default().push(request);
    }
    let mut sent: BTreeMap<u16, Vec<String>> = BTreeMap::new();
    for line in httpbin.wait_for_requests(94) {
        sent.entry(line.client_port.unwrap()).or_default().push(line.request);
    }
    let sorted = |connections: Vec<Vec<String>>| {
        let mut connections = connections;
        connections.sort();
        connections
    };
    assert_eq!(sorted(sent.into_values().collect()), sorted(captured.into_values().collect()));
}
