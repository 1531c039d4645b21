//! What a run has to show to pass: conditions, accepted differences, and enough to judge by.

use std::fs;
use std::path::Path;

use serde_json::Value;

use crate::made::{Talk, answer, capture, v2};
use crate::support::{Finished, Shadowcap};

const HEAD: &str = "HTTP/1.1 200 OK\r\nContent-Type: application/json";

/// Ten fruits of which v2 has these wrong.
fn talks(wrong: &[&str]) -> Vec<Talk> {
    let names = ["apple", "date", "fig", "kiwi", "lime", "melon", "peach", "pear", "plum", "quince"];
    let talk = |(n, name): (usize, &&str)| {
        let body = |number: u8| format!("{{\"{name}\":{number}}}").into_bytes();
        Talk {
            request: format!("GET /{name} HTTP/1.1\r\nHost: h\r\nX-Case: {n}\r\n\r\n").into_bytes(),
            v1: answer(HEAD, &body(1)),
            v2: answer(HEAD, &body(if wrong.contains(name) { 2 } else { 1 })),
        }
    };
    names.iter().enumerate().map(talk).collect()
}

/// Replays in `folder` to a run of that name.
fn replay(folder: &Path, name: &str, wrong: &[&str], more: &[&str]) -> Finished {
    let talks = talks(wrong);
    let server = v2(&talks);
    let file = folder.join("fruits.pcap");
    fs::write(&file, capture(&talks)).unwrap();
    let out = folder.join(name);
    let arguments = ["replay", file.to_str().unwrap(), "--out", out.to_str().unwrap(), "--to", &server.url()];
    Shadowcap::new([&arguments[..], more].concat()).run()
}

fn summary(folder: &Path, name: &str) -> Value {
    let summary = fs::read_to_string(folder.join(name).join("summary.json")).unwrap();
    let summary: Value = serde_json::from_str(&summary).unwrap();
    let schema = serde_json::from_str(shadowcap::report::SUMMARY_SCHEMA).unwrap();
    let validator = jsonschema::validator_for(&schema).unwrap();
    let faults: Vec<_> = validator.iter_errors(&summary).map(|fault| fault.to_string()).collect();
    assert!(faults.is_empty(), "{faults:?}");
    summary
}

#[test]
fn a_condition_of_the_users_decides() {
    let folder = tempfile::tempdir().unwrap();
    for (n, (wrong, condition, status, says)) in [
        (
            &["fig"][..],
            "different > 1",
            0,
            "10 compared, 1 of them different, 0 failed: --fail-on different > 1 does not hold",
        ),
        (&["fig", "kiwi"], "different > 1", 1, "--fail-on different > 1 holds; 2 of 10 compared"),
        (&["fig", "kiwi"], "different_share > 0.25 || failed > 0", 0, "does not hold"),
        (&["fig", "kiwi"], "different_share >= 0.2", 1, "holds"),
        (&[], "same == 10", 1, "--fail-on same == 10 holds"),
        (&[], "different / failed > 1", 3, "--fail-on has no answer for this run"),
    ]
    .into_iter()
    .enumerate()
    {
        let finished = replay(folder.path(), &n.to_string(), wrong, &["--fail-on", condition]);
        finished.exits(status).stdout_has(says);
    }
    // A report by another condition is another verdict of the same rows.
    let run = folder.path().join("1").display().to_string();
    Shadowcap::new(["report", &run, "--fail-on", "different > 2"]).run().exits(0).stdout_has("PASS");
    for condition in ["differing > 1", "different", "different >"] {
        let finished = replay(folder.path(), "refused", &[], &["--fail-on", condition]);
        finished.exits(2).stderr_has("--fail-on");
    }
    assert!(!folder.path().join("refused").exists());
}

#[test]
fn too_little_proves_nothing() {
    let folder = tempfile::tempdir().unwrap();
    let few = replay(folder.path(), "few", &[], &["--min-compared", "11"]);
    few.exits(3).stdout_has("10 compared, and at least 11 are asked for");
    replay(folder.path(), "enough", &[], &["--min-compared", "10"]).exits(0);
    // What was found stands, however little was compared.
    replay(folder.path(), "found", &["fig"], &["--min-compared", "11"]).exits(1);
    for (most, problem) in [("101", "from 0 to 100"), ("-1", ""), ("many", "")] {
        let option = format!("--max-loss={most}");
        replay(folder.path(), "refused", &[], &[&option])
            .exits(2)
            .stderr_has("--max-loss")
            .stderr_has(problem);
    }
}

#[test]
fn what_was_accepted_is_known_and_a_new_difference_still_fails() {
    let folder = tempfile::tempdir().unwrap();
    let first = replay(folder.path(), "first", &["fig", "kiwi"], &[]);
    first.exits(1);
    let (run, file) = (folder.path().join("first"), folder.path().join("accepted.toml"));
    let (run, file) = (run.to_str().unwrap(), file.to_str().unwrap());
    let accepting = Shadowcap::new(["report", run, "--accept", file]).run();
    accepting.exits(0).stderr_has("2 differences added");
    let text = fs::read_to_string(file).unwrap();
    assert!(
        text.contains("path = \"$['fig']\"") && text.contains("reason = \"say why this is accepted\""),
        "{text}"
    );
    assert!(!text.contains("\"1\"") && !text.contains("\"2\""), "no value of the wire: {text}");
    Shadowcap::new(["report", run, "--accept", file]).run().exits(0).stderr_has("0 differences added");

    let known = replay(folder.path(), "known", &["fig"], &["--accepted", file]);
    known
        .exits(0)
        .stdout_has("1 of them different in 1 ways that are accepted")
        .stdout_has("1 known, 0 new, 1 gone");
    let account = summary(folder.path(), "known");
    assert_eq!(account["accepted"]["gone"][0], "GET /kiwi body $['kiwi'] value_changed");
    assert_eq!(account["differences"][0]["standing"], "known");
    // The facts are what they were: the exchange differs, the difference counts.
    assert_eq!((&account["verdicts"]["different"], &account["verdict"]), (&1.into(), &"pass".into()));

    let new = replay(folder.path(), "new", &["fig", "plum"], &["--accepted", file]);
    new.exits(1).stdout_has("1 known, 1 new").stdout_has("NEW  GET /plum");
    let strict = ["--accepted", file, "--fail-on", "new > 0 || known > 0"];
    replay(folder.path(), "strict", &["fig"], &strict).exits(1);

    fs::write(file, text.replacen("reason", "expires = 2020-01-01\nreason", 1)).unwrap();
    let lapsed = Shadowcap::new(["report", run, "--accepted", file]).run();
    lapsed.exits(1).stdout_has("1 no longer accepted");
    assert!(fs::read_to_string(format!("{run}/summary.md")).unwrap().contains("accepted until 2020-01-01"));
    assert!(fs::read_to_string(format!("{run}/report.html")).unwrap().contains("accepted until 2020-01-01"));

    fs::write(file, "[[accepted]]\nroute = 3\n").unwrap();
    let broken = replay(folder.path(), "broken", &[], &["--accepted", file]);
    broken.exits(2).stderr_has("line 2").stderr_has("accepted.toml");
    Shadowcap::new(["report", run, "--accepted", "missing.toml"])
        .run()
        .exits(2)
        .stderr_has("report --accept");
}
