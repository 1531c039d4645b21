//! A run judged again under rules of the user's own.

use serde_json::{Value, json};

use crate::made::{Talk, answer, replayed};
use crate::support::Shadowcap;

const HEAD: &str = "HTTP/1.1 200 OK\r\nContent-Type: application/json";

fn talk(n: usize, v1: &str, v2: &str) -> Talk {
    Talk {
        request: format!("GET /orders/{n} HTTP/1.1\r\nHost: shop:80\r\nX-Case: {n}\r\n\r\n").into_bytes(),
        v1: answer(HEAD, v1.as_bytes()),
        v2: answer(HEAD, v2.as_bytes()),
    }
}

#[test]
fn what_a_rule_allows_does_not_count_and_is_told() {
    let talks = [
        talk(0, r#"{"at":"2026-01-01T00:00:00Z","price":1}"#, r#"{"at":"2026-01-01T00:00:03Z","price":1}"#),
        talk(1, r#"{"at":"2026-01-01T00:00:00Z","price":1}"#, r#"{"at":"2026-01-01T00:00:01Z","price":2}"#),
    ];
    let run = replayed(&talks, &[]);
    run.exits(1);
    let folder = run.folder().join("run").display().to_string();
    let judged = |rules: &str| {
        let program = Shadowcap::new(["report", &folder, "--rules", "rules.toml", "--out", "again"]);
        std::fs::write(program.folder().join("rules.toml"), rules).unwrap();
        let finished = program.run();
        let summary = std::fs::read(finished.folder().join("again/summary.json")).unwrap_or_default();
        (serde_json::from_slice::<Value>(&summary).unwrap_or_default(), finished)
    };
    let clock = "[[rule]]\nname = \"clock\"\nroute = \"/orders/{number}\"\nhost = \"shop\"\npath = \"$.at\"\n\
                 time_tolerance = \"5s\"\nreason = \"written when it is read\"\n";
    let (summary, finished) = judged(clock);
    finished.exits(1);
    assert_eq!(summary["verdicts"]["noise"], 1);
    assert_eq!(summary["verdicts"]["different"], 1);
    let classes: Vec<_> = summary["differences"].as_array().unwrap().iter().map(|d| &d["class"]).collect();
    assert!(classes.contains(&&json!("ruled_out")) && classes.contains(&&json!("unverified")), "{summary:#}");
    let notes = &summary["notes"];
    assert_eq!(notes, &json!(["the rule `clock` ruled out 2 differences (written when it is read)"]));

    let both = format!(
        "{clock}\n[[rule]]\npath = \"$.price\"\ntolerance = 1\n[[rule]]\nheader = \"x-none\"\nignore = true\n"
    );
    let (summary, finished) = judged(&both);
    finished.exits(0);
    assert_eq!(summary["verdicts"]["noise"], 2);
    assert!(summary["notes"].to_string().contains("`line 12` matched nothing"), "{}", summary["notes"]);

    let (_, finished) = judged("[[rule]]\npath = \"$.at\"\n\nignored = true\n");
    finished.exits(2).stderr_has("rules.toml").stderr_has("line 4: unknown field `ignored`");
    let (_, finished) = judged("[[rule]]\npath = \"$.at\"\nignore = true\nexpires = 2020-01-01\n");
    finished.exits(1);
}
