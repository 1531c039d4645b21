//! What `replay` can be told, `live` can be told as well, as far as it has a meaning there.

use std::fs;

use crate::lab::{Lab, balance, summary};
use crate::support::Shadowcap;

#[test]
fn rules_say_where_requests_go() {
    let lab = or_skip!(Lab::new());
    let v2 = or_skip!(lab.v2_beside());
    let rules = "apiVersion: networking.istio.io/v1\nkind: VirtualService\nmetadata: {name: shop}\nspec:\n  hosts: ['*']\n  \
                 http:\n  - match: [{uri: {prefix: /mirrored}}]\n    route: [{destination: {host: shop, subset: v1}}]\n    \
                 mirror: {host: shop, subset: v2}\n  - route: [{destination: {host: shop, subset: v1}}]\n";
    let file = tempfile::NamedTempFile::new().unwrap();
    fs::write(&file, rules).unwrap();
    let endpoint = format!("v2={}", v2.url());
    let rules = file.path().to_str().unwrap();
    let arguments =
        ["live", "-i", "veth0", "-f", "tcp port 8000", "--out", "run", "--routes", rules, "--endpoint"];
    let running = lab.start(&[&arguments[..], &[&endpoint]].concat());
    lab.curl("mirrored", 10);
    lab.curl("other", 5);
    v2.wait_for_requests(10);
    lab.curl("mirrored", 1);
    let of_v2 = v2.wait_for_requests(11);
    running.interrupt();
    let finished = running.wait();
    finished.exits(0);
    assert!(of_v2.iter().all(|line| line.target().starts_with("/mirrored/")), "{of_v2:?}");
    let summary = summary(&finished.folder().join("run"));
    let (captured, replayed, skipped) = balance(&summary);
    assert_eq!((captured, replayed, skipped), (16, 11, 5), "{}", summary["exchanges"]);
}

#[test]
fn which_requests_are_sent_and_what_is_kept_of_them() {
    let lab = or_skip!(Lab::new());
    let v2 = or_skip!(lab.v2_beside());
    let common = ["live", "-i", "veth0", "-f", "tcp port 8000", "--to", &v2.url(), "--out", "run"];
    for (further, sent, reason) in [
        (&["--filter", "path.endsWith(\"/3\")"][..], 1, "filtered"),
        (&["--limit", "4", "--record", "none"], 4, "limit"),
        (&["--methods", "POST"], 0, "method"),
    ] {
        let before = v2.wait_for_requests(0).len();
        let running = lab.start(&[&common[..], further].concat());
        lab.curl("chosen", 10);
        v2.wait_for_requests(before + sent);
        // What a connection to the machine that goes away sends.
        running.process.signal("HUP");
        let finished = running.wait();
        let summary = summary(&finished.folder().join("run"));
        let sent = sent as u64;
        assert_eq!(balance(&summary), (10, sent, 10 - sent), "{reason}: {}", summary["exchanges"]);
        assert_eq!(summary["exchanges"]["skipped"].as_object().unwrap().len(), 1, "{reason}");
        let options = summary["options"].to_string();
        assert!(further.chunks(2).all(|pair| options.contains(pair[0])), "{options}");
        let kept = finished.files().iter().any(|file| file.to_string_lossy().contains("exchanges.csv"));
        assert_eq!(kept, !further.contains(&"none"), "{:?}", finished.files());
    }
}

/// Answers of another text, and a number of its own in each, of which v1 gives another by then.
const RESTLESS: &str = "server { listen {listen} backlog=4096; keepalive_requests 1000000; default_type application/json; \
                        location / { return 200 '{\"request\":\"$request_id\",\"text\":\"TEXT\"}'; } }";

/// Rules, what is asked again, and what all exchanges show together; which reports on the way leave out, and say so.
#[test]
fn rules_and_asking_again_are_those_of_replay() {
    let lab = or_skip!(Lab::with_site(&RESTLESS.replace("TEXT", "one")));
    let v2 = or_skip!(lab.v2_of_site(&RESTLESS.replace("TEXT", "two")));
    let file = tempfile::NamedTempFile::new().unwrap();
    let rules = "[[route]]\ntemplate = \"/{kind}/{n}\"\n\n[[rule]]\nname = \"text\"\nroute = \"/{kind}/{n}\"\n\
                 path = \"$.text\"\nequal = [[\"one\", \"two\"]]\n";
    fs::write(file.path(), rules).unwrap();
    let (to, v1, rules) = (v2.url(), lab.v1.url(), file.path().to_str().unwrap());
    let common =
        ["live", "-i", "veth0", "-f", "tcp port 8000", "--to", &to, "--out", "run", "--rules", rules];
    let running = lab.start(&[&common[..], &["--baseline", &v1, "--verify-rounds", "2"]].concat());
    lab.curl("item", 15);
    // Each once, and twice more, of both.
    v2.wait_for_requests(45);
    lab.v1.wait_for_requests(45);
    let on_the_way = (0..1000).find_map(|asked| {
        running.process.signal("USR1");
        let reports = |lines: &[String]| {
            lines.iter().filter(|line| line.starts_with("Reports of what there is so far")).count()
        };
        running.process.stderr.wait_for(|all| (reports(all) > asked).then_some(()))?;
        let summary = summary(&running.folder().join("run"));
        (balance(&summary).0 == 15).then_some(summary)
    });
    let on_the_way = on_the_way.unwrap();
    let note = "each exchange is judged by itself, so that differences which are noise still count";
    assert!(on_the_way["notes"].to_string().contains(note), "{}", on_the_way["notes"]);
    assert_eq!(on_the_way["verdicts"]["different"], 15, "{}", on_the_way["differences"]);
    running.interrupt();
    let finished = running.wait();
    finished.exits(0);
    let summary = summary(&finished.folder().join("run"));
    assert!(!summary["notes"].to_string().contains(note), "{}", summary["notes"]);
    assert_eq!(balance(&summary), (15, 15, 0));
    assert_eq!(summary["asked"], serde_json::json!({"v1": 30, "v2": 30, "not_asked": {}}));
    let found: Vec<_> = summary["differences"].as_array().unwrap().iter().collect();
    let found = found.iter().map(|d| ["route", "path", "class"].map(|name| d[name].as_str().unwrap()));
    assert_eq!(
        found.collect::<Vec<_>>(),
        [["GET /{kind}/{n}", "$['request']", "volatile"], ["GET /{kind}/{n}", "$['text']", "ruled_out"],]
    );
    assert_eq!(summary["rules"][0]["matched"], 15);
}

#[test]
fn its_counters_are_served_while_it_goes_on() {
    let lab = or_skip!(Lab::new());
    let v2 = or_skip!(lab.v2_beside());
    let arguments = ["live", "-i", "veth0", "-f", "tcp port 8000", "--to", &v2.url(), "--out", "run"];
    let running = lab.start(&[&arguments[..], &["--metrics", "127.0.0.1:9464", "--diff", "none"]].concat());
    running.process.wait_for_stderr("Metrics at http://127.0.0.1:9464/metrics");
    lab.curl("counted", 10);
    v2.wait_for_requests(10);
    let metrics = || {
        let mut command = lab.cable.b.command("curl");
        let output = command.args(["-sS", "http://127.0.0.1:9464/metrics"]).output().unwrap();
        String::from_utf8_lossy(&output.stdout).into_owned()
    };
    // An answer is counted a moment after it was logged.
    let text = (0..1000).map(|_| metrics()).find(|text| text.contains("shadowcap_judged_total 10"));
    let text = text.unwrap_or_else(metrics);
    for line in [
        "shadowcap_requests_total 10",
        "shadowcap_sent_total 10",
        "shadowcap_in_flight 0",
        "shadowcap_lateness_seconds_count 10",
    ] {
        assert!(text.lines().any(|one| one == line), "{line} in {text}");
    }
    running.interrupt();
    running.wait();
}

#[test]
fn a_target_that_is_gone_ends_it_and_one_that_does_not_come_keeps_it_from_beginning() {
    let lab = or_skip!(Lab::new());
    let to = ["--to", "http://10.99.0.2:9"];
    let common = ["live", "-i", "veth0", "-f", "tcp port 8000", "--out", "run"];
    let running = lab.start(&[&common[..], &to, &["--abort-after", "3"]].concat());
    lab.curl("gone", 10);
    let finished = running.wait();
    finished.exits(3).stderr_has("gave up");
    assert!(!finished.stderr.contains("--resume"), "{finished}");

    let finished =
        Shadowcap::new_in(&lab.cable.b, [&common[..], &to, &["--wait-ready", "200ms"]].concat()).run();
    finished.exits(3).stderr_has("10.99.0.2:9");
    assert!(!finished.stderr.contains("Capturing on"), "{finished}");

    let v2 = or_skip!(lab.v2_beside());
    let ready = ["--to", &v2.url(), "--wait-ready", "10s", "--ready-path", "/ready"];
    let running = lab.start(&[&common[..], &ready].concat());
    assert_eq!(v2.wait_for_requests(1)[0].target(), "/ready");
    lab.curl("ready", 3);
    v2.wait_for_requests(4);
    running.interrupt();
    running.wait().exits(0);
}

#[test]
fn no_more_than_so_many_a_second_are_sent() {
    let lab = or_skip!(Lab::new());
    let v2 = or_skip!(lab.v2_beside());
    let arguments = ["live", "-i", "veth0", "-f", "tcp port 8000", "--to", &v2.url(), "--out", "run"];
    let running = lab.start(&[&arguments[..], &["--rate", "20/s"]].concat());
    let begun = std::time::Instant::now();
    lab.curl("paced", 30);
    v2.wait_for_requests(30);
    // One each twentieth of a second, however fast they came: what is late is caught up at a tenth more.
    assert!(begun.elapsed().as_secs_f64() >= 29.0 / 22.0, "{:?}", begun.elapsed());
    running.interrupt();
    let finished = running.wait();
    let summary = summary(&finished.folder().join("run"));
    assert_eq!(balance(&summary), (30, 30, 0));
}

#[test]
fn the_rate_is_reached_evenly() {
    let lab = or_skip!(Lab::new());
    let v2 = or_skip!(lab.v2_beside());
    let arguments = ["live", "-i", "veth0", "-f", "tcp port 8000", "--to", &v2.url(), "--out", "run"];
    let running = lab.start(&[&arguments[..], &["--rate", "20/s", "--ramp", "2s"]].concat());
    let begun = std::time::Instant::now();
    lab.curl("ramp", 20);
    v2.wait_for_requests(20);
    // A rate that grows evenly to 20/s lets 20 go in its two seconds; without a ramp they took one.
    assert!(begun.elapsed().as_secs_f64() >= 19.0 / 11.0, "{:?}", begun.elapsed());
    running.interrupt();
    let finished = running.wait();
    assert_eq!(balance(&summary(&finished.folder().join("run"))), (20, 20, 0));
}

#[test]
fn a_sample_of_the_requests_goes_without_its_credentials() {
    let lab = or_skip!(Lab::new());
    // It says what it was given: only who is known is served.
    let site = "server { listen {listen}; location / { if ($http_authorization = '') { return 401; } return 200 'hello\n'; } }";
    let v2 = or_skip!(lab.v2_of_site(site));
    let common = ["live", "-i", "veth0", "-f", "tcp port 8000", "--to", &v2.url(), "--out", "run"];
    let ask = || {
        let mut command = lab.cable.a.command("curl");
        let credentials = ["-H", "Authorization: Bearer seeded-9f2c"];
        command.args(["-sS", "-o", "/dev/null"]).args(credentials);
        assert!(command.arg(format!("{}/[1-100]", lab.v1.url())).status().unwrap().success());
    };
    for (credentials, expected) in [("pass", 200), ("strip", 401)] {
        let before = v2.wait_for_requests(0).len();
        let running = lab.start(&[&common[..], &["--sample", "30", "--credentials", credentials]].concat());
        ask();
        running.process.signal("HUP");
        let finished = running.wait();
        let summary = summary(&finished.folder().join("run"));
        let (captured, sent, left_out) = balance(&summary);
        assert_eq!(summary["exchanges"]["skipped"]["not-in-sample"], left_out, "{summary}");
        assert!(captured == 100 && (10..=50).contains(&sent), "{summary}");
        let of_v2 = &v2.wait_for_requests(before + usize::try_from(sent).unwrap())[before..];
        assert!(of_v2.iter().all(|line| line.status == expected), "{credentials}: {of_v2:?}");
    }
}
