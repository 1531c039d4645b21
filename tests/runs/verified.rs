use std::collections::HashMap;
use std::fs;
use std::path::Path;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Condvar, Mutex};

use serde_json::{Value, json};

use crate::made::Asked;
use crate::support::{Finished, RawServer, Reply, Script, Shadowcap};
use crate::{ends, made, replay, resume, summary, target, targets};

/// A v2 that gives the same wrong answer each time.
fn wrong_v2() -> RawServer {
    RawServer::start(Script::new(|_| Reply::ok("no")))
}

/// A server that never gives the same answer twice.
fn restless() -> RawServer {
    let count = AtomicUsize::new(0);
    RawServer::start(Script::new(move |_| Reply::ok(&format!("n{}", count.fetch_add(1, Ordering::Relaxed)))))
}

/// How often each target was asked for.
fn times(server: &RawServer) -> HashMap<String, usize> {
    let mut times = HashMap::new();
    for target in targets(server) {
        *times.entry(target).or_default() += 1;
    }
    times
}

/// The classes of the body's distinct differences, with how many rows show them.
fn classes(summary: &Value) -> Vec<(String, u64)> {
    let all = summary["differences"].as_array().unwrap().iter();
    let body = all.filter(|difference| difference["layer"] == "body");
    body.map(|d| (d["class"].as_str().unwrap().to_owned(), d["count"].as_u64().unwrap())).collect()
}

/// Asserts that the reports made again from the recording are those of the run, byte for byte.
#[track_caller]
fn made_again(finished: &Finished) {
    let run = finished.folder().join("run");
    let report = Shadowcap::new(["report", "--out", "again"]).arg(&run).run();
    assert!(matches!(report.code, Some(0 | 1 | 3 | 130)), "{report}");
    same_reports(&run, &report.folder().join("again"));
}

#[track_caller]
fn same_reports(run: &Path, again: &Path) {
    for file in ["summary.json", "summary.md", "exchanges.csv", "differences.csv", "junit.xml", "report.html"]
    {
        let read = |folder: &Path| fs::read_to_string(folder.join(file)).unwrap();
        assert!(read(run) == read(again), "{file} differs:\n{}\n{}", read(run), read(again));
    }
}

#[test]
fn what_v2_repeats_is_asked_once_more() {
    let v2 = wrong_v2();
    let finished = replay(&v2.url(), &made::exchanges(2, 5), &["--verify"]).run();
    ends(&finished, 1);
    assert!(times(&v2).values().all(|&n| n == 2), "{:?}", times(&v2));
    let summary = summary(finished.folder());
    assert_eq!(summary["asked"], json!({"v1": 0, "v2": 10, "not_asked": {}}));
    assert_eq!(summary["exchanges"]["replayed"], 10);
    // Of v1 nothing is known but what was recorded.
    assert_eq!(classes(&summary), [("unverified".to_owned(), 10)], "{summary:#}");
    made_again(&finished);
}

#[test]
fn without_being_asked_to_nothing_is_sent_twice() {
    let v2 = wrong_v2();
    let finished = replay(&v2.url(), &made::exchanges(1, 5), &[]).run();
    ends(&finished, 1);
    assert_eq!(v2.requests().len(), 5);
    assert_eq!(summary(finished.folder()).get("asked"), None);
}

#[test]
fn what_disagrees_with_itself_is_asked_on() {
    let v2 = restless();
    let finished = replay(&v2.url(), &made::exchanges(1, 4), &["--verify", "--verify-rounds", "3"]).run();
    assert!(times(&v2).values().all(|&n| n == 4), "{:?}", times(&v2));
    let summary = summary(finished.folder());
    assert_eq!(summary["asked"]["v2"], 12);
    assert!(classes(&summary).iter().all(|(class, _)| class == "volatile"), "{summary:#}");
    assert_eq!(summary["verdicts"]["different"], 0, "{summary:#}");
    made_again(&finished);
}

#[test]
fn a_sample_of_what_is_the_same_is_asked_too() {
    for (percent, range) in [("0", 0..=0), ("30", 30..=100), ("100", 200..=200)] {
        let v2 = crate::same_v2();
        let finished =
            replay(&v2.url(), &made::exchanges(4, 50), &["--verify", "--verify-sample", percent]).run();
        ends(&finished, 0);
        let again = v2.requests().len() - 200;
        assert!(range.contains(&again), "{again} of {percent} %");
        let asked = summary(finished.folder())["asked"]["v2"].as_u64().unwrap_or(0);
        assert_eq!(asked, again as u64);
    }
}

fn with_post() -> Vec<u8> {
    let asked = [
        Asked::new(40_000, 0, "GET /a", ""),
        Asked::new(40_000, 10, "POST /b", "Content-Length: 0\r\n"),
        Asked::new(40_000, 20, "DELETE /c", ""),
    ];
    made::capture(&asked)
}

#[test]
fn methods_that_may_change_state_are_asked_again_only_where_the_user_says_so() {
    let v2 = wrong_v2();
    let finished = replay(&v2.url(), &with_post(), &["--verify"]).run();
    ends(&finished, 1);
    assert_eq!(times(&v2), HashMap::from([("/a".into(), 2), ("/b".into(), 1), ("/c".into(), 1)]));
    assert_eq!(summary(finished.folder())["asked"]["not_asked"], json!({"unsafe-method": 2}));
    made_again(&finished);

    let (v1, v2) = (crate::same_v2(), wrong_v2());
    let finished = replay(&v2.url(), &with_post(), &["--verify=all", "--baseline", &v1.url()]).run();
    ends(&finished, 1);
    assert!(times(&v2).values().all(|&n| n == 2), "{:?}", times(&v2));
    // v1, which serves others, is never asked to change anything.
    assert_eq!(targets(&v1), ["/a"]);
    let summary = summary(finished.folder());
    assert_eq!(summary["asked"], json!({"v1": 1, "v2": 3, "not_asked": {"unsafe-baseline": 2}}));
}

#[test]
fn v1_is_asked_with_the_captured_host_and_without_what_is_meant_for_v2() {
    let (v1, v2) = (crate::same_v2(), wrong_v2());
    let asked = [Asked::new(40_000, 0, "GET /a", "X-Odd:  kept \r\n")];
    let finished = replay(
        &v2.url(),
        &made::capture(&asked),
        &["--baseline", &v1.url(), "--as-envoy", "--set-header", "X-Set: 1"],
    )
    .run();
    ends(&finished, 1);
    let received = v1.requests();
    assert_eq!(received.len(), 1);
    let bytes = String::from_utf8(received[0].bytes.clone()).unwrap();
    assert_eq!(bytes, "GET /a HTTP/1.1\r\nHost: shop:8000\r\nX-Odd:  kept \r\nX-Set: 1\r\n\r\n");
}

#[test]
fn what_v1_itself_answers_by_now_does_not_count() {
    let (v1, v2) = (wrong_v2(), wrong_v2());
    let finished = replay(&v2.url(), &made::exchanges(1, 6), &["--baseline", &v1.url()]).run();
    let summary = summary(finished.folder());
    assert!(classes(&summary).iter().all(|(class, _)| class == "drift"), "{summary:#}");
    assert_eq!(summary["verdicts"]["different"], 0, "{summary:#}");
    made_again(&finished);

    let (v1, v2) = (crate::same_v2(), wrong_v2());
    let finished = replay(&v2.url(), &made::exchanges(1, 6), &["--baseline", &v1.url()]).run();
    ends(&finished, 1);
    assert_eq!(classes(&self::summary(finished.folder())), [("confirmed".to_owned(), 6)]);
    assert_eq!(v1.requests().len(), 6);
}

#[test]
fn rules_are_followed_while_the_run_goes_on_and_those_that_did_nothing_are_named() {
    let v2 = wrong_v2();
    let program = replay(&v2.url(), &made::exchanges(1, 3), &["--rules", "rules.toml"]);
    let rules = "[[rule]]\nname = \"text\"\npath = \"$\"\nignore = \"another text\"\n\n[[rule]]\nname = \"none\"\n\
                 header = \"x-none\"\nignore = true\n";
    fs::write(program.folder().join("rules.toml"), rules).unwrap();
    let finished = program.run();
    ends(&finished, 0);
    finished.stderr_has("warning: the rule `none` matched nothing");
    let summary = summary(finished.folder());
    let told = json!([
        {"name": "text", "reason": "another text", "matched": 3},
        {"name": "none", "matched": 0},
    ]);
    assert_eq!(summary["rules"], told, "{summary:#}");
    assert_eq!(classes(&summary), [("ruled_out".to_owned(), 3)]);
    let run = finished.folder().join("run");
    let rules = finished.folder().join("rules.toml");
    let report = Shadowcap::new(["report", "--out", "again", "--rules"]).arg(rules).arg(&run).run();
    ends(&report, 0);
    same_reports(&run, &report.folder().join("again"));
}

/// The user says which requests are one route, and rules speak of it, also where it is decided what is asked again.
#[test]
fn routes_of_the_user_are_those_of_rules_and_reports() {
    let v2 = wrong_v2();
    let asked = ["/acme/orders/1", "/initech/orders/two", "/acme/carts/1"];
    let asked = (0..).zip(asked).map(|(n, target)| Asked::new(40_000, n * 10, &format!("GET {target}"), ""));
    let capture = made::capture(&asked.collect::<Vec<_>>());
    let program = replay(&v2.url(), &capture, &["--rules", "rules.toml", "--verify", "--verify-sample", "0"]);
    let rules = "[[route]]\ntemplate = \"/{tenant}/orders/{order}\"\n\n[[rule]]\nname = \"orders\"\n\
                 route = \"/{tenant}/orders/{order}\"\npath = \"$\"\nignore = \"another text\"\n";
    fs::write(program.folder().join("rules.toml"), rules).unwrap();
    let finished = program.run();
    ends(&finished, 1);
    let summary = summary(finished.folder());
    let routes: HashMap<_, _> = summary["routes"]
        .as_array()
        .unwrap()
        .iter()
        .map(|route| (route["route"].as_str().unwrap(), route["captured"].as_u64().unwrap()))
        .collect();
    assert_eq!(routes, HashMap::from([("GET /{tenant}/orders/{order}", 2), ("GET /acme/carts/{number}", 1)]));
    assert_eq!(classes(&summary), [("unverified".to_owned(), 1), ("ruled_out".to_owned(), 2)], "{summary:#}");
    assert_eq!(summary["rules"][0]["matched"], 2);
    // What the rule allows is not asked again.
    assert_eq!(summary["asked"]["v2"], 1, "{summary:#}");
    assert_eq!(times(&v2)["/acme/orders/1"], 1);
}

/// With a schedule nothing waits for what is asked again: what finds no room among those that wait is counted. v2 answers no
/// second request before it has got every first one, so that more wait than there is room for.
#[test]
fn what_finds_no_room_among_those_that_wait_is_not_asked_and_counted() {
    const ALL: usize = 1400;
    let (seen, all_came) = (Mutex::new(HashMap::<String, usize>::new()), Condvar::new());
    let v2 = RawServer::start(Script::new(move |received| {
        let mut seen = seen.lock().unwrap();
        let times = seen.entry(target(&received.bytes)).or_default();
        *times += 1;
        if *times == 2 {
            drop(all_came.wait_while(seen, |seen| seen.len() < ALL).unwrap());
        } else {
            all_came.notify_all();
        }
        Reply::ok("no")
    }));
    // All of the captured seconds pass at once, and it is a schedule all the same.
    let arguments = ["--verify", "--speed", "1000", "--concurrency", "8", "--timeout", "60s"];
    let finished = replay(&v2.url(), &made::exchanges(8, ALL as u64 / 8), &arguments).run();
    ends(&finished, 1);
    let summary = summary(finished.folder());
    assert_eq!(summary["verdicts"]["different"], ALL, "{summary:#}");
    let asked = summary["asked"]["v2"].as_u64().unwrap();
    let full = summary["asked"]["not_asked"]["queue-full"].as_u64().unwrap();
    assert_eq!(summary["asked"]["not_asked"].as_object().unwrap().len(), 1, "{summary:#}");
    assert_eq!(asked + full, ALL as u64);
    assert!(full > 0 && asked >= 1024, "{asked} asked, {full} not");
    assert_eq!(v2.requests().len() as u64, ALL as u64 + asked);
    let note = summary["notes"].to_string();
    assert!(note.contains(&format!("{full} not asked")), "{note}");
}

#[test]
fn the_recorded_answers_hold_no_secret() {
    let secret = "hunter2-is-a-long-secret";
    let answer = move |_: &_| Reply::ok(&format!("{{\"password\":\"{secret}\",\"you\":\"{secret}\"}}"));
    let (v1, v2) = (RawServer::start(Script::new(answer)), RawServer::start(Script::new(answer)));
    let asked = [Asked::new(40_000, 0, "GET /a", "Authorization: Bearer tok-0123456789abcdef\r\n")];
    let finished = replay(&v2.url(), &made::capture(&asked), &["--baseline", &v1.url()]).run();
    assert_eq!((!v1.requests().is_empty(), v2.requests().len() > 1), (true, true));
    let recording = finished.folder().join("run/recording/segment-00001.ndjson.zst");
    let text = zstd::decode_all(&fs::read(recording).unwrap()[..]).unwrap();
    let text = String::from_utf8_lossy(&text);
    assert!(text.contains(r#""type":"again""#), "{text}");
    for secret in [secret, "tok-0123456789abcdef"] {
        assert!(!text.contains(secret), "{text}");
    }
}

#[test]
fn a_run_killed_while_it_asks_again_is_gone_on_with_and_asks_nothing_a_third_time() {
    // The second time that a target is asked for there is no answer, until the run was killed.
    let (seen, held) = (Mutex::new(HashMap::<String, usize>::new()), AtomicUsize::new(0));
    let v2 = RawServer::start(Script::new(move |received| {
        let mut seen = seen.lock().unwrap();
        let times = seen.entry(target(&received.bytes)).or_default();
        *times += 1;
        if *times == 2 && held.fetch_add(1, Ordering::Relaxed) < 4 { Reply::hang() } else { Reply::ok("no") }
    }));
    let arguments = ["--verify", "--concurrency", "4", "--timeout", "60s"];
    let running = replay(&v2.url(), &made::exchanges(1, 8), &arguments).spawn();
    // All eight have been recorded when the last of the four that hang has come, or they come later.
    v2.wait_for_requests(12);
    running.process.signal("KILL");
    let killed = running.wait();
    let finished = resume(&v2.url(), killed.folder(), &arguments).run();
    ends(&finished, 1);
    assert!(times(&v2).values().all(|&n| n <= 2), "{:?}", times(&v2));
    let summary = summary(killed.folder());
    assert_eq!(summary["exchanges"]["replayed"], 8);
    let asked = &summary["asked"];
    // A row whose first answer was still on its way at the kill is not asked again either.
    let lost = summary["not_comparable"]["killed"].as_u64().unwrap_or(0);
    let unasked = asked["not_asked"]["killed"].as_u64().unwrap_or(0) + lost;
    assert_eq!(asked["v2"].as_u64().unwrap() + unasked, 8, "{summary:#}");
    made_again(&killed);
}

#[test]
fn a_run_that_is_stopped_counts_what_it_did_not_ask() {
    let seen = Mutex::new(HashMap::<String, usize>::new());
    let v2 = RawServer::start(Script::new(move |received| {
        let mut seen = seen.lock().unwrap();
        let times = seen.entry(target(&received.bytes)).or_default();
        *times += 1;
        if *times == 2 { Reply::hang() } else { Reply::ok("no") }
    }));
    let arguments = ["--verify", "--concurrency", "2", "--timeout", "4s"];
    let running = replay(&v2.url(), &made::exchanges(1, 8), &arguments).spawn();
    v2.wait_for_requests(10);
    running.process.signal("INT");
    let stopped = running.wait();
    ends(&stopped, 130);
    let summary = summary(stopped.folder());
    assert_eq!(summary["verdicts"]["different"], 8, "{summary:#}");
    // Two were on their way, and have got no answer.
    assert_eq!(summary["asked"], json!({"v1": 0, "v2": 2, "not_asked": {"interrupted": 6}}), "{summary:#}");
    made_again(&stopped);
}

#[test]
fn what_cannot_be_meant_is_refused() {
    for (arguments, said) in [
        (&["--verify", "--record", "none"][..], "leave out --record none"),
        (&["--baseline", "http://127.0.0.1:9", "--diff", "none"], "leave out --record none"),
        (&["--verify", "--verify-sample", "101"], "a percentage is from 0 to 100"),
        (&["--verify", "--verify-rounds", "0"], "--verify-rounds"),
        (&["--baseline", "nowhere"], "--baseline"),
        (&["--verify=unsafe"], "possible values"),
    ] {
        let finished = replay("http://127.0.0.1:9", &made::exchanges(1, 1), arguments).run();
        finished.exits(2).stderr_has(said);
    }
}
