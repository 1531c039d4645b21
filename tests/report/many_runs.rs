//! Several runs as one, and one against another.

use serde_json::Value;

use crate::made::{Talk, answer, capture, v2};
use crate::support::Shadowcap;

fn talks(differing: &[&str]) -> Vec<Talk> {
    let names = ["apples", "pears", "plums", "quinces", "figs", "dates", "limes", "melons"];
    let talk = |(n, name): (usize, &&str)| {
        let number = if differing.contains(name) { "2" } else { "1" };
        let body = |number: &str| format!("{{\"{name}\":{number}}}").into_bytes();
        let head = "HTTP/1.1 200 OK\r\nContent-Type: application/json";
        Talk {
            request: format!("GET /{name} HTTP/1.1\r\nHost: h\r\nX-Case: {n}\r\n\r\n").into_bytes(),
            v1: answer(head, &body("1")),
            v2: answer(head, &body(number)),
        }
    };
    names.iter().enumerate().map(talk).collect()
}

fn replay(folder: &std::path::Path, name: &str, talks: &[Talk], more: &[&str]) -> String {
    let server = v2(talks);
    let file = folder.join("made.pcap");
    std::fs::write(&file, capture(talks)).unwrap();
    let run = folder.join(name).display().to_string();
    let arguments = ["replay", file.to_str().unwrap(), "--out", &run, "--to", &server.url()];
    let run_of = Shadowcap::new([&arguments[..], more].concat()).run();
    assert!(run_of.code.is_some_and(|code| code <= 1 || code == 3), "{run_of}");
    run
}

fn paths(summary: &Value, which: impl Fn(&Value) -> bool) -> Vec<String> {
    let all = summary["differences"].as_array().unwrap().iter().filter(|d| which(d));
    let mut paths: Vec<_> = all.map(|d| d["path"].as_str().unwrap().to_owned()).collect();
    paths.sort();
    paths
}

#[test]
fn shards_that_each_sent_a_part_make_the_whole() {
    let folder = tempfile::tempdir().unwrap();
    let talks = talks(&["apples", "figs"]);
    // The seeds take different halves; a third shard sends what is left over, and all the rest again.
    let shards: Vec<_> = [("one", "50", "1"), ("two", "50", "2"), ("three", "100", "3")]
        .map(|(name, percent, seed)| {
            replay(folder.path(), name, &talks, &["--percent", percent, "--seed", seed])
        })
        .into();
    let out = folder.path().join("all").display().to_string();
    let arguments: Vec<&str> =
        ["report"].into_iter().chain(shards.iter().map(String::as_str)).chain(["--out", &out]).collect();
    let merged = Shadowcap::new(arguments).run();
    merged.exits(1).stdout_has("3 runs put together");
    let text = std::fs::read_to_string(folder.path().join("all/summary.json")).unwrap();
    let summary: Value = serde_json::from_str(&text).unwrap();
    assert_eq!(summary["exchanges"]["captured"], 8, "{merged}");
    assert_eq!(summary["exchanges"]["replayed"], 8, "{merged}");
    assert_eq!(summary["requests"], 8);
    assert_eq!(summary["capture"]["connections"], 8, "the capture is counted once: {merged}");
    assert_eq!(paths(&summary, |_| true), ["$['apples']", "$['figs']"]);
    Shadowcap::new(["report", &shards[0], &shards[1]]).run().exits(2).stderr_has("--out");
}

#[test]
fn against_an_earlier_run_differences_are_new_known_or_gone() {
    let folder = tempfile::tempdir().unwrap();
    let earlier = replay(folder.path(), "earlier", &talks(&["apples", "figs"]), &[]);
    let later = replay(folder.path(), "later", &talks(&["figs", "dates"]), &[]);
    let report = Shadowcap::new(["report", &later, "--against", &earlier]).run();
    report.exits(1).stdout_has("1 new, 1 known, 1 gone").stdout_has("NEW  GET /dates");
    let read = |name: &str| std::fs::read_to_string(folder.path().join("later").join(name)).unwrap();
    let summary: Value = serde_json::from_str(&read("summary.json")).unwrap();
    assert_eq!(paths(&summary, |d| d["standing"] == "new"), ["$['dates']"]);
    assert_eq!(paths(&summary, |d| d["standing"] == "known"), ["$['figs']"]);
    assert_eq!(summary["against"]["gone"][0]["path"], "$['apples']");
    let page = read("report.html");
    for part in ["data-standing=\"new\"", "data-standing=\"known\"", ">Gone <small>"] {
        assert!(page.contains(part), "{part}");
    }
    assert!(read("summary.md").contains("1 new, 1 known, 1 gone"));
    assert!(read("differences.csv").lines().next().unwrap().contains(",standing,"));
    let schema = serde_json::from_str(shadowcap::report::SUMMARY_SCHEMA).unwrap();
    let faults: Vec<_> =
        jsonschema::validator_for(&schema).unwrap().iter_errors(&summary).map(|e| e.to_string()).collect();
    assert!(faults.is_empty(), "{faults:?}");
}
