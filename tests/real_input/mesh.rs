//! Captures of a mesh that mirrors: the shadows are recognised, and only the rest is sent.

use crate::line::assert_same;
use crate::run::Run;
use crate::support::{Httpbin, Shadowcap, access_log, captures};

#[test]
fn of_the_two_requests_in_istios_task_the_mirrored_one_is_skipped_and_the_other_reaches_httpbin() {
    let httpbin = or_skip!(Httpbin::start());
    let run = Run::replay(&captures::bundled("istio-mirroring-task.pcap"), &httpbin.url(), &[]);
    assert_eq!((run.replayed(), run.skipped("already-shadow")), (1, 1), "{}", run.finished);

    let rows = run.rows();
    let row = |host: &str| rows.iter().find(|row| row["host"] == host).unwrap_or_else(|| panic!("{rows:?}"));
    assert_eq!(row("httpbin-shadow:8000")["verdict"], "skipped:already-shadow");
    assert_eq!(row("httpbin:8000")["v2_status"], "200");

    let log = httpbin.wait_for_requests(1);
    let requests: Vec<_> = log.iter().map(|line| line.request.as_str()).collect();
    assert_eq!(requests, ["GET /headers HTTP/1.1"]);

    let recording = run.recording();
    let answered = recording.iter().find(|line| line["outcome"]["kind"] == "answered");
    let body = &answered.unwrap_or_else(|| panic!("{recording:#?}"))["outcome"]["response"]["body"];
    let echo: serde_json::Value = serde_json::from_str(body["entity"]["text"].as_str().unwrap()).unwrap();
    assert_eq!(echo["headers"]["Host"], "httpbin-shadow:8000", "{echo}");
    let echoed = run.differences().into_iter().find(|d| d.class == "shadow").unwrap();
    assert_eq!(
        (echoed.path.as_str(), echoed.v1.as_str(), echoed.v2.as_str()),
        ("$['headers']['Host']", r#""httpbin:8000""#, r#""httpbin-shadow:8000""#)
    );
}

#[test]
fn what_envoy_sent_to_either_server_is_what_their_logs_say() {
    let capture = captures::bundled("envoy-mirror.pcap");
    let exchanges =
        Shadowcap::new(["inspect", "--format", "jsonl", capture.to_str().unwrap()]).run().json_lines();
    assert_eq!(exchanges.len(), 186);
    for (port, log) in [(":8001", "envoy-mirror.v1.access.log"), (":8002", "envoy-mirror.v2.access.log")] {
        let log = access_log::read(&captures::bundled(log));
        let of_server = |e: &&serde_json::Value| e["server"].as_str().unwrap().ends_with(port);
        let exchanges: Vec<_> = exchanges.iter().filter(of_server).cloned().collect();
        assert_same(&log, &exchanges, &[crate::httpbin::DRIP]);
    }
}

#[test]
fn envoys_own_shadows_are_recognised_and_the_93_others_are_sent() {
    let httpbin = or_skip!(Httpbin::start());
    let run = Run::replay(&captures::bundled("envoy-mirror.pcap"), &httpbin.url(), &[]);
    assert_eq!((run.replayed(), run.skipped("already-shadow")), (93, 93), "{}", run.finished);
    for row in run.rows() {
        let skipped = row["verdict"] == "skipped:already-shadow";
        assert_eq!(row["host"].starts_with("httpbin-shadow"), skipped, "{row:?}");
    }
    let mut asked: Vec<_> = httpbin.wait_for_requests(93).into_iter().map(|line| line.request).collect();
    let log = access_log::read(&captures::bundled("envoy-mirror.v1.access.log"));
    let mut logged: Vec<_> = log.into_iter().map(|line| line.request).collect();
    asked.sort();
    logged.sort();
    assert_eq!(asked, logged);
    crate::httpbin::assert_only_random_differences(&run);
}
