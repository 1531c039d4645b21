//! The demo, and what else makes something of a capture or of a run, with the secrets of their traffic.

use std::fs;
use std::path::Path;

use crate::made::{self, replayed};
use crate::secrets::{ALSO, found, found_of, talks};
use crate::support::{Finished, Shadowcap, captures};

/// Those that the demo's visitors send and are given.
const OF_THE_DEMO: [(&str, &str); 4] = [
    ("a token in the Authorization field", "demo-token"),
    ("a key in a query", "demo-key"),
    ("a password in a form", "correct-horse"),
    ("the session in a Set-Cookie", "7d1a4a8e"),
];

#[test]
fn the_demo_keeps_and_says_none_of_its_visitors_secrets() {
    let capture = fs::read(captures::bundled("demo-shop-v1.pcap")).unwrap();
    for (kind, secret) in OF_THE_DEMO {
        let sent = capture.windows(secret.len()).any(|bytes| bytes == secret.as_bytes());
        assert!(sent, "the demo's traffic has no {kind}");
    }
    let demo = Shadowcap::new(["demo", "--out", "run", "-vvv"]).run();
    demo.exits(0).stderr_has("GET /orders/7?api_key=redacted:");
    let folder = demo.folder().join("run");
    let mut others = of_run(&folder);
    for id in ids(&folder) {
        others.push(report(&folder, &["--show", &id]));
    }
    assert!(others.len() > 140);
    let found = found_of(&OF_THE_DEMO, &demo, &others.iter().collect::<Vec<_>>());
    assert!(found.is_empty(), "{found:#?}");
}

/// The exchanges of a run.
fn ids(folder: &Path) -> Vec<String> {
    let mut csv = csv::Reader::from_path(folder.join("exchanges.csv")).unwrap();
    csv.records().map(|record| record.unwrap()[0].to_owned()).collect()
}

fn report(folder: &Path, more: &[&str]) -> Finished {
    Shadowcap::new(["report", &folder.display().to_string()]).args(more).run()
}

/// What `report` makes of a run besides its files.
fn of_run(folder: &Path) -> Vec<Finished> {
    let run = folder.display().to_string();
    let forms: [&[&str]; 5] = [
        &["--export", "har"],
        &["--export", "ndjson"],
        &["--export", "csv"],
        &["--suggest-rules", "-"],
        &["--against", &run, "--annotations", "github", "-vvv"],
    ];
    forms.map(|more| report(folder, more)).into()
}

#[test]
fn suggested_rules_and_accepted_differences_hold_no_secret() {
    let run = replayed(&talks(), &ALSO);
    let folder = run.folder().join("run");
    let others = of_run(&folder);
    let accepted = folder.join("accepted.toml").display().to_string();
    let accept = report(&folder, &["--accept", &accepted, "-vvv"]);
    accept.exits(0);
    let judged = report(&folder, &["--accepted", &accepted, "-vvv"]);
    judged.stdout_has("accepted by");
    let all: Vec<_> = others.iter().chain([&accept, &judged]).collect();
    let found = found(&run, &all);
    assert!(found.is_empty(), "{found:#?}");
    assert!(fs::read_to_string(&accepted).unwrap().contains("[[accepted]]"));
}

#[test]
fn neither_does_what_a_dry_run_says() {
    let dry = |form: &str, more: &[&str]| {
        let program = Shadowcap::new(["replay", "made.pcap", "--to", "http://127.0.0.1:9", form]).args(more);
        fs::write(program.folder().join("made.pcap"), made::capture(&talks())).unwrap();
        fs::create_dir(program.folder().join("run")).unwrap();
        let finished = program.run();
        finished.exits(0);
        finished
    };
    for form in ["--dry-run", "--dry-run=jsonl"] {
        assert_eq!(found(&dry(form, &ALSO), &[]), Vec::<String>::new(), "{form}");
        let kept = found(&dry(form, &["--no-redact"]), &[]);
        assert!(kept.iter().any(|found| found.starts_with("a query by name in stdout")), "{kept:?}");
    }
}

#[test]
fn a_run_that_is_resumed_and_shards_that_are_put_together_keep_none() {
    let talks = talks();
    let run = replayed(&talks, &[&ALSO[..], &["--limit", "3"]].concat());
    let server = made::v2(&talks);
    let sends = |capture: &[made::Talk]| {
        let program = Shadowcap::new(["replay", "made.pcap", "--out", "run", "--to", &server.url()]);
        fs::write(program.folder().join("made.pcap"), made::capture(capture)).unwrap();
        program.args(ALSO).run()
    };
    let mut resume = Shadowcap::new(["replay", "made.pcap", "--to", &server.url(), "--resume"]);
    resume = resume.arg(run.folder().join("run")).args(ALSO);
    fs::write(resume.folder().join("made.pcap"), made::capture(&talks)).unwrap();
    let resumed = resume.run();
    let shard = sends(&talks[3..]);
    let folder = run.folder().join("run");
    let both = folder.join("both").display().to_string();
    let merged = report(&folder, &[&shard.folder().join("run").display().to_string(), "--out", &both]);
    merged.stdout_has("report");
    assert!(Path::new(&both).join("report.html").exists(), "{merged}");
    let found = found(&run, &[&resumed, &merged, &shard]);
    assert!(found.is_empty(), "{found:#?}");
}
